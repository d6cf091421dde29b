/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stale UDP connection entries (SEMANTICS 1.6), a reconciler: after a change the UDP entries of the node are compared
 * with the model, whatever the change was. TCP needs none of it: its ends notice. Called by apply.c.
 *
 * An entry goes when its original destination is a Service port of UDP
 * 1. that exists, with endpoints or without, and the entry's reply does not come from a serving endpoint: the
 *    endpoint went away, or there was no
 *    rule when the entry was made and the reply would come from the Service address itself;
 * 2. or that this run took away.
 * Readiness, hints and termination are no reasons: whoever still serves keeps its flows.
 */
#include "nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "base/vec.h"

#define REQUEST_SIZE 1024

/* Bits of CTA_FILTER_ORIG_FLAGS (kernel: net/netfilter/nf_internals.h); no public header names them. Kernels
 * before 5.8 ignore the filter. */
#define FILTER_PROTO_NUM (1u << 3)

struct flow {
	struct ip_addr dst; /* original */
	uint16_t dport;
	struct ip_addr reply_src;
	uint16_t reply_sport;
	uint8_t proto;
	uint8_t tuple[128]; /* payload of CTA_TUPLE_ORIG, to name the entry when it is deleted */
	uint16_t tuple_size;
	uint32_t id; /* network order, as it came */
	bool has_id;
};

struct cleaner {
	struct run *r;
	enum ip_family fam;
	VEC(struct flow) stale;
};

/* ---- parsing ---- */

static bool get_addr(const struct nlattr *v4, const struct nlattr *v6, enum ip_family fam, struct ip_addr *ret)
{
	const struct nlattr *attr = fam == IP_V4 ? v4 : v6;

	if (!attr || mnl_attr_get_payload_len(attr) != nft_family[fam].addr_size)
		return false;
	*ret = (struct ip_addr){ .fam = nft_family[fam].nfproto };
	memcpy(ret->bytes, mnl_attr_get_payload(attr), nft_family[fam].addr_size);
	return true;
}

struct tuple {
	struct ip_addr src, dst;
	uint16_t sport, dport;
	uint8_t proto;
};

static bool parse_tuple(const struct nlattr *nest, enum ip_family fam, struct tuple *ret)
{
	const struct nlattr *t[CTA_TUPLE_MAX + 1] = {}, *ip[CTA_IP_MAX + 1] = {}, *proto[CTA_PROTO_MAX + 1] = {};

	if (nl_attrs_nested(nest, t, CTA_TUPLE_MAX) < 0 || nl_attrs_nested(t[CTA_TUPLE_IP], ip, CTA_IP_MAX) < 0 ||
	    nl_attrs_nested(t[CTA_TUPLE_PROTO], proto, CTA_PROTO_MAX) < 0)
		return false;
	if (!get_addr(ip[CTA_IP_V4_SRC], ip[CTA_IP_V6_SRC], fam, &ret->src) ||
	    !get_addr(ip[CTA_IP_V4_DST], ip[CTA_IP_V6_DST], fam, &ret->dst))
		return false;
	if (!proto[CTA_PROTO_NUM] || mnl_attr_validate(proto[CTA_PROTO_NUM], MNL_TYPE_U8) < 0 ||
	    !proto[CTA_PROTO_SRC_PORT] || mnl_attr_validate(proto[CTA_PROTO_SRC_PORT], MNL_TYPE_U16) < 0 ||
	    !proto[CTA_PROTO_DST_PORT] || mnl_attr_validate(proto[CTA_PROTO_DST_PORT], MNL_TYPE_U16) < 0)
		return false;
	ret->proto = mnl_attr_get_u8(proto[CTA_PROTO_NUM]);
	ret->sport = ntohs(mnl_attr_get_u16(proto[CTA_PROTO_SRC_PORT]));
	ret->dport = ntohs(mnl_attr_get_u16(proto[CTA_PROTO_DST_PORT]));
	return true;
}

static bool parse_flow(const struct nlmsghdr *nlh, enum ip_family fam, struct flow *ret)
{
	const struct nlattr *v[CTA_MAX + 1] = {};
	struct tuple orig, reply;

	if (nl_attrs(nlh, sizeof(struct nfgenmsg), v, ARRAY_LEN(v) - 1) < 0 ||
	    !parse_tuple(v[CTA_TUPLE_ORIG], fam, &orig) || !parse_tuple(v[CTA_TUPLE_REPLY], fam, &reply) ||
	    mnl_attr_get_payload_len(v[CTA_TUPLE_ORIG]) > sizeof(ret->tuple))
		return false;
	*ret = (struct flow){ .dst = orig.dst,
			      .dport = orig.dport,
			      .reply_src = reply.src,
			      .reply_sport = reply.sport,
			      .proto = orig.proto };
	ret->tuple_size = mnl_attr_get_payload_len(v[CTA_TUPLE_ORIG]);
	memcpy(ret->tuple, mnl_attr_get_payload(v[CTA_TUPLE_ORIG]), ret->tuple_size);
	ret->has_id = v[CTA_ID] && mnl_attr_validate(v[CTA_ID], MNL_TYPE_U32) >= 0;
	if (ret->has_id)
		ret->id = mnl_attr_get_u32(v[CTA_ID]);
	return true;
}

/* ---- deciding ---- */

static bool was_taken_away(const struct run *r, const struct flow *f)
{
	for (size_t i = 0; i < r->gone.n; i++) {
		const struct gone_port *g = &r->gone.v[i];

		if (g->proto == f->proto && g->port == f->dport && ip_addr_eq(&g->cluster_ip, &f->dst))
			return true;
	}
	return false;
}

static bool is_stale(const struct run *r, const struct flow *f)
{
	const struct service_port *port;

	if (f->proto != IPPROTO_UDP)
		return false;
	port = carried_port(r->p, &f->dst, f->proto, f->dport, NULL);
	if (port) /* 1 */
		return !service_port_serves(port, &f->reply_src, f->reply_sport);
	return was_taken_away(r, f); /* 2 */
}

static int flow_cb(const struct nlmsghdr *nlh, void *arg)
{
	struct cleaner *c = arg;
	struct flow f;
	int r;

	if (!parse_flow(nlh, c->fam, &f) || !is_stale(c->r, &f))
		return MNL_CB_OK;
	r = vec_push(&c->stale, f);
	if (r < 0) {
		errno = -r;
		return MNL_CB_ERROR;
	}
	return MNL_CB_OK;
}

static void restart(void *arg)
{
	struct cleaner *c = arg;

	c->stale.n = 0;
}

/* ---- acting ---- */

static struct nlmsghdr *ct_request(char *buf, uint16_t type, enum ip_family fam)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = nft_family[fam].nfproto;
	nfg->version = NFNETLINK_V0;
	return nlh;
}

static int delete_flow(struct run *r, enum ip_family fam, const struct flow *f)
{
	_Alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
	struct nlmsghdr *nlh = ct_request(buf, IPCTNL_MSG_CT_DELETE, fam);
	struct err inner = {};
	int ret;

	mnl_attr_put(nlh, CTA_TUPLE_ORIG | NLA_F_NESTED, f->tuple_size, f->tuple);
	if (f->has_id) /* not a newer entry of the same tuple */
		mnl_attr_put_u32(nlh, CTA_ID, f->id);
	ret = nl_request(r->h->nl, nlh, NULL, NULL, &inner);
	if (ret == -ENOENT) /* timed out meanwhile */
		return 0;
	if (ret < 0)
		return err_set(r->e, ret, "conntrack", "cannot delete a stale UDP entry: %s", inner.text);
	r->stats->n_stale_flows++;
	return 0;
}

/* Only UDP comes out of the kernel. */
static void put_filter(struct nlmsghdr *nlh)
{
	struct nlattr *tuple = mnl_attr_nest_start(nlh, CTA_TUPLE_ORIG);
	struct nlattr *nest = mnl_attr_nest_start(nlh, CTA_TUPLE_PROTO);

	mnl_attr_put_u8(nlh, CTA_PROTO_NUM, IPPROTO_UDP);
	mnl_attr_nest_end(nlh, nest);
	mnl_attr_nest_end(nlh, tuple);
	nest = mnl_attr_nest_start(nlh, CTA_FILTER);
	mnl_attr_put_u32(nlh, CTA_FILTER_ORIG_FLAGS, FILTER_PROTO_NUM);
	mnl_attr_nest_end(nlh, nest);
}

static int clean_family(struct run *r, enum ip_family fam)
{
	_Alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
	struct nlmsghdr *nlh = ct_request(buf, IPCTNL_MSG_CT_GET, fam);
	struct cleaner c = { .r = r, .fam = fam };
	struct err inner = {};
	int ret;

	put_filter(nlh);
	ret = nl_dump(r->h->nl, nlh, flow_cb, &c, restart, &inner);
	if (ret < 0)
		ret = err_set(r->e, ret, "conntrack", "cannot list UDP entries: %s", inner.text);
	for (size_t i = 0; i < c.stale.n && ret == 0; i++)
		ret = delete_flow(r, fam, &c.stale.v[i]);
	vec_free(&c.stale);
	return ret;
}

static bool has_gone_udp(const struct run *r, enum ip_family fam)
{
	for (size_t i = 0; i < r->gone.n; i++) {
		if (r->gone.v[i].proto == IPPROTO_UDP && ip_addr_family(&r->gone.v[i].cluster_ip) == fam)
			return true;
	}
	return false;
}

/*
 * The kernel walks its whole table for a listing, however little of it is asked for (milliseconds): so only when UDP is concerned.
 * A packet on its way through the old rules may make an entry after this look: the next apply looks once more.
 */
int conntrack_clean(struct run *r)
{
	int ret = 0;

	for (int fam = 0; fam < IP_FAMILY_MAX && ret == 0; fam++) {
		bool now = r->p->touches_udp[fam] || has_gone_udp(r, fam);

		if (now || r->h->udp_again[fam])
			ret = clean_family(r, fam);
		r->h->udp_again[fam] = ret < 0 || now;
	}
	return ret;
}
