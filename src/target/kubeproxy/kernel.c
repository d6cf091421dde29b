/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads what kube-proxy has written into nf_tables, and removes it. Called by force.c (in force?), ops.c and counters.c. What the kernel sends is
 * checked as any other input.
 *
 * The tables of kube-proxy 1.36: maps "service-ips" and "no-endpoint-services" (address . protocol . port : verdict), set "cluster-ips". A Service
 * port has a chain with one rule: DNAT by an anonymous map (index : address . port); with affinity an anonymous map (index : goto the endpoint's
 * chain), whose last rule is the DNAT.
 */
#include "kubeproxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <libnftnl/common.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define REQUEST_SIZE 1024
#define MARK_TABLE "offkube-kube-proxy"

static const uint8_t nfproto[IP_FAMILY_MAX] = { NFPROTO_IPV4, NFPROTO_IPV6 };

/* A callback's way to fail: nl.c reads errno. */
static int cb_fail(int r)
{
	errno = -r;
	return MNL_CB_ERROR;
}

static const char *get_str(const struct nlattr *attr)
{
	return attr && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0 ? mnl_attr_get_str(attr) : NULL;
}

/* ---- one chain ---- */

static int handle_cb(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *v[NFTA_CHAIN_MAX + 1] = {};

	if (nl_attrs(nlh, sizeof(struct nfgenmsg), v, NFTA_CHAIN_MAX) < 0 || !v[NFTA_CHAIN_HANDLE] ||
	    mnl_attr_validate(v[NFTA_CHAIN_HANDLE], MNL_TYPE_U64) < 0)
		return cb_fail(-EBADMSG);
	*(uint64_t *)arg = be64toh(mnl_attr_get_u64(v[NFTA_CHAIN_HANDLE]));
	return MNL_CB_OK;
}

int kp_kernel_epoch(struct nl *nl, enum ip_family fam, uint64_t *ret, struct err *e)
{
	_Alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETCHAIN, nfproto[fam], 0, 0);
	struct err inner = {};
	int r;

	*ret = 0;
	mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, KP_TABLE);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, "nat-prerouting");
	r = nl_request(nl, nlh, handle_cb, ret, &inner);
	return r == 0 || r == -ENOENT ? 0 : err_set(e, r, KP_TABLE, "cannot read a chain: %s", inner.text);
}

/* ---- elements ---- */

struct elem {
	const struct nlattr *key, *value, *verdict; /* nests; value or verdict may be NULL */
};

struct elem_walk {
	int (*fn)(const struct elem *el, void *arg);
	void *arg;
	int r; /* of fn, when it stopped the walk */
};

static const struct nlattr *value_of(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *v[NFTA_DATA_MAX + 1] = {};

	return nest && nl_attrs_nested(nest, v, NFTA_DATA_MAX) == 0 ? v[type] : NULL;
}

static int one_elem(struct elem_walk *w, const struct nlattr *nest)
{
	const struct nlattr *v[NFTA_SET_ELEM_MAX + 1] = {};
	struct elem el;

	if (nl_attrs_nested(nest, v, NFTA_SET_ELEM_MAX) < 0)
		return -EBADMSG;
	el.key = value_of(v[NFTA_SET_ELEM_KEY], NFTA_DATA_VALUE);
	el.value = value_of(v[NFTA_SET_ELEM_DATA], NFTA_DATA_VALUE);
	el.verdict = value_of(v[NFTA_SET_ELEM_DATA], NFTA_DATA_VERDICT);
	return w->fn(&el, w->arg);
}

static int elems_cb(const struct nlmsghdr *nlh, void *arg)
{
	struct elem_walk *w = arg;
	const struct nlattr *attr, *item;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(attr) != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		mnl_attr_for_each_nested(item, attr)
		{
			int r = one_elem(w, item);

			if (r < 0)
				return cb_fail(r);
			if (r > 0) {
				w->r = r;
				return MNL_CB_STOP;
			}
		}
	}
	return MNL_CB_OK;
}

static struct nlmsghdr *elems_request(char *buf, enum ip_family fam, const char *set)
{
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETSETELEM, nfproto[fam], 0, 0);

	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, KP_TABLE);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set);
	return nlh;
}

/* Absent: -ENOENT. A listing that the kernel interrupts begins again at `restart`. */
static int each_elem(struct nl *nl, enum ip_family fam, const char *set, struct elem_walk *w,
		     void (*restart)(void *arg), struct err *e)
{
	_Alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
	struct err inner = {};
	int r = nl_dump(nl, elems_request(buf, fam, set), elems_cb, w, restart, &inner);

	if (r < 0 && r != -ENOENT)
		return err_set(e, r, set, "cannot read its elements: %s", inner.text[0] ? inner.text : strerror(-r));
	return r < 0 ? r : w->r;
}

/* Where a verdict goes: the name of the chain, or NULL. */
static const char *verdict_chain(const struct nlattr *nest)
{
	const struct nlattr *v[NFTA_VERDICT_MAX + 1] = {};

	return nest && nl_attrs_nested(nest, v, NFTA_VERDICT_MAX) == 0 ? get_str(v[NFTA_VERDICT_CHAIN]) : NULL;
}

static int verdict_fn(const struct elem *el, void *arg)
{
	struct kp_verdict *v = arg;
	const char *chain = verdict_chain(el->verdict);

	v->found = true;
	if (chain)
		(void)snprintf(v->chain, sizeof(v->chain), "%s", chain); /* longer names do not exist */
	return 0;
}

/* Each part of a key fills whole words. */
static size_t put_front_key(const struct ip_addr *ip, uint8_t proto, uint16_t port, uint8_t key[static 24])
{
	size_t n = ip_addr_size(ip);

	memset(key, 0, 24);
	memcpy(key, ip->bytes, n);
	if (!port)
		return n; /* the set of addresses */
	key[n] = proto;
	key[n + 4] = (uint8_t)(port >> 8);
	key[n + 5] = (uint8_t)port;
	return n + 8;
}

int kp_kernel_lookup(struct nl *nl, enum ip_family fam, const char *map, const struct ip_addr *ip, uint8_t proto,
		     uint16_t port, struct kp_verdict *ret, struct err *e)
{
	_Alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
	struct nlmsghdr *nlh = elems_request(buf, fam, map);
	struct elem_walk w = { verdict_fn, ret, 0 };
	struct nlattr *list, *item, *nest;
	struct err inner = {};
	uint8_t key[24];
	size_t size = put_front_key(ip, proto, port, key);
	int r;

	*ret = (struct kp_verdict){};
	list = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	item = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
	nest = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_KEY);
	mnl_attr_put(nlh, NFTA_DATA_VALUE, size, key);
	mnl_attr_nest_end(nlh, nest);
	mnl_attr_nest_end(nlh, item);
	mnl_attr_nest_end(nlh, list);
	r = nl_request(nl, nlh, elems_cb, &w, &inner);
	return r == 0 || r == -ENOENT ? 0 : err_set(e, r, map, "cannot read an element: %s", inner.text);
}

static int count_fn(const struct elem *el, void *arg)
{
	(void)el;
	++*(size_t *)arg;
	return 0;
}

static void count_restart(void *arg)
{
	struct elem_walk *w = arg;

	*(size_t *)w->arg = 0;
}

int kp_kernel_count(struct nl *nl, enum ip_family fam, const char *set, size_t *ret, struct err *e)
{
	struct elem_walk w = { count_fn, ret, 0 };
	int r;

	*ret = 0;
	r = each_elem(nl, fam, set, &w, count_restart, e);
	return r == -ENOENT ? 0 : r;
}

struct front_walk {
	enum ip_family fam;
	int (*fn)(const struct kp_front *f, void *arg);
	void *arg;
};

static int front_fn(const struct elem *el, void *arg)
{
	static const size_t addr_size[IP_FAMILY_MAX] = { 4, 16 };
	static const uint8_t af[IP_FAMILY_MAX] = { AF_INET, AF_INET6 };
	const struct front_walk *w = arg;
	size_t n = addr_size[w->fam];
	struct kp_front f = { .ip.fam = af[w->fam] };
	const uint8_t *key;

	if (!el->key || mnl_attr_get_payload_len(el->key) != n + 8)
		return -EBADMSG;
	key = mnl_attr_get_payload(el->key);
	memcpy(f.ip.bytes, key, n);
	f.proto = key[n];
	f.port = (uint16_t)(key[n + 4] << 8 | key[n + 5]);
	f.chain = verdict_chain(el->verdict);
	return w->fn(&f, w->arg);
}

int kp_kernel_fronts(struct nl *nl, enum ip_family fam, const char *map, int (*fn)(const struct kp_front *f, void *arg),
		     void *arg, struct err *e)
{
	struct front_walk fw = { fam, fn, arg };
	struct elem_walk w = { front_fn, &fw, 0 };
	int r = each_elem(nl, fam, map, &w, NULL, e);

	return r == -ENOENT ? 0 : r;
}

/* ---- a Service port's chain ---- */

/* The anonymous map that the last rule of a chain looks up. */
struct rule_walk {
	char map[64];
};

static void take_lookup(struct rule_walk *w, const struct nlattr *nest)
{
	const struct nlattr *expr[NFTA_EXPR_MAX + 1] = {}, *v[NFTA_LOOKUP_MAX + 1] = {};
	const char *set;

	if (nl_attrs_nested(nest, expr, NFTA_EXPR_MAX) < 0 || !str_eq(get_str(expr[NFTA_EXPR_NAME]), "lookup") ||
	    nl_attrs_nested(expr[NFTA_EXPR_DATA], v, NFTA_LOOKUP_MAX) < 0)
		return;
	set = get_str(v[NFTA_LOOKUP_SET]);
	if (set && strncmp(set, "__map", 5) == 0)
		(void)snprintf(w->map, sizeof(w->map), "%s", set);
}

static int rule_cb(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *v[NFTA_RULE_MAX + 1] = {}, *item;

	if (nl_attrs(nlh, sizeof(struct nfgenmsg), v, NFTA_RULE_MAX) < 0)
		return cb_fail(-EBADMSG);
	if (!v[NFTA_RULE_EXPRESSIONS])
		return MNL_CB_OK;
	mnl_attr_for_each_nested(item, v[NFTA_RULE_EXPRESSIONS]) take_lookup(arg, item);
	return MNL_CB_OK;
}

static void rule_restart(void *arg)
{
	*(struct rule_walk *)arg = (struct rule_walk){};
}

struct backend_walk {
	enum ip_family fam;
	struct kp_backends *out;
};

/* "endpoint-2ZNCRGVO-shop/cart/tcp/http__fd44:1::2/8080", with dots for the colons. */
static int parse_endpoint_chain(const char *chain, enum ip_family fam, struct kp_backend *ret)
{
	const char *at = strstr(chain, "__"), *next;
	char text[IP_ADDR_STR_MAX];
	unsigned long port;
	char *slash, *end;

	for (; at && (next = strstr(at + 1, "__")); at = next)
		;
	if (!at || strlen(at + 2) >= sizeof(text))
		return -EBADMSG;
	(void)snprintf(text, sizeof(text), "%s", at + 2);
	slash = strchr(text, '/');
	if (!slash)
		return -EBADMSG;
	*slash = '\0';
	port = strtoul(slash + 1, &end, 10);
	if (*end || end == slash + 1 || port > UINT16_MAX)
		return -EBADMSG;
	for (char *p = text; fam == IP_V6 && *p; p++)
		if (*p == '.')
			*p = ':';
	ret->port = (uint16_t)port;
	return ip_addr_parse(text, &ret->addr) < 0 ? -EBADMSG : 0;
}

static int backend_fn(const struct elem *el, void *arg)
{
	struct backend_walk *w = arg;
	size_t n = w->fam == IP_V6 ? 16 : 4;
	struct kp_backend b = { .addr.fam = w->fam == IP_V6 ? AF_INET6 : AF_INET };
	const char *chain = verdict_chain(el->verdict);
	const uint8_t *data;

	if (chain) {
		w->out->affinity = true;
		if (parse_endpoint_chain(chain, w->fam, &b) < 0)
			return -EBADMSG;
		return vec_push(&w->out->v, b);
	}
	if (!el->value || mnl_attr_get_payload_len(el->value) < n + 2)
		return -EBADMSG;
	data = mnl_attr_get_payload(el->value);
	memcpy(b.addr.bytes, data, n);
	b.port = (uint16_t)(data[n] << 8 | data[n + 1]);
	return vec_push(&w->out->v, b);
}

static void backend_restart(void *arg)
{
	struct elem_walk *w = arg;

	((struct backend_walk *)w->arg)->out->v.n = 0;
}

int kp_kernel_backends(struct nl *nl, enum ip_family fam, const char *chain, struct kp_backends *ret, struct err *e)
{
	_Alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETRULE, nfproto[fam], 0, 0);
	struct backend_walk bw = { fam, ret };
	struct elem_walk w = { backend_fn, &bw, 0 };
	struct rule_walk rule = {};
	struct err inner = {};
	int r;

	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, KP_TABLE);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, chain);
	r = nl_dump(nl, nlh, rule_cb, &rule, rule_restart, &inner);
	if (r == 0 && rule.map[0])
		r = each_elem(nl, fam, rule.map, &w, backend_restart, e);
	if (r == -ENOENT) {
		ret->v.n = 0; /* it went while we looked */
		return 0;
	}
	return r < 0 ? err_set(e, r, chain, "cannot read the chain: %s", inner.text) : 0;
}

void kp_backends_free(struct kp_backends *b)
{
	vec_free(&b->v);
}

/* ---- tables ---- */

struct table_seen {
	bool found;
	size_t size; /* of the user data */
	uint8_t data[NFT_USERDATA_MAXLEN];
};

static int table_cb(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *v[NFTA_TABLE_MAX + 1] = {};
	struct table_seen *t = arg;

	if (nl_attrs(nlh, sizeof(struct nfgenmsg), v, NFTA_TABLE_MAX) < 0)
		return cb_fail(-EBADMSG);
	t->found = true;
	if (v[NFTA_TABLE_USERDATA]) {
		t->size = MIN((size_t)mnl_attr_get_payload_len(v[NFTA_TABLE_USERDATA]), sizeof(t->data));
		memcpy(t->data, mnl_attr_get_payload(v[NFTA_TABLE_USERDATA]), t->size);
	}
	return MNL_CB_OK;
}

static int table_get(struct nl *nl, enum ip_family fam, const char *name, struct table_seen *ret, struct err *e)
{
	_Alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETTABLE, nfproto[fam], 0, 0);
	struct err inner = {};
	int r;

	*ret = (struct table_seen){};
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, name);
	r = nl_request(nl, nlh, table_cb, ret, &inner);
	return r == 0 || r == -ENOENT ? 0 : err_set(e, r, name, "cannot read the table: %s", inner.text);
}

int kp_table_exists(struct nl *nl, enum ip_family fam, const char *table, struct err *e)
{
	struct table_seen t;
	int r = table_get(nl, fam, table, &t, e);

	return r < 0 ? r : t.found;
}

/* A batch of one table: deleted, and made anew with user data unless `size` is 0. */
static int table_batch(struct nl *nl, enum ip_family fam, const char *name, bool delete, const void *data, size_t size,
		       struct err *e)
{
	_Alignas(struct nlmsghdr) char buf[4096];
	struct mnl_nlmsg_batch *b = mnl_nlmsg_batch_start(buf, sizeof(buf));
	struct nlmsghdr *nlh;
	uint32_t last = 0, bad;
	int r;

	if (!b)
		return err_set(e, -ENOMEM, NULL, "out of memory");
	nftnl_batch_begin(mnl_nlmsg_batch_current(b), nl_seq(nl));
	(void)mnl_nlmsg_batch_next(b); /* there is room */
	if (delete) {
		last = nl_seq(nl);
		nlh = nftnl_nlmsg_build_hdr(mnl_nlmsg_batch_current(b), NFT_MSG_DELTABLE, nfproto[fam], NLM_F_ACK,
					    last);
		mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, name);
		(void)mnl_nlmsg_batch_next(b);
	}
	if (size) {
		last = nl_seq(nl);
		nlh = nftnl_nlmsg_build_hdr(mnl_nlmsg_batch_current(b), NFT_MSG_NEWTABLE, nfproto[fam],
					    NLM_F_CREATE | NLM_F_ACK, last);
		mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, name);
		mnl_attr_put(nlh, NFTA_TABLE_USERDATA, size, data);
		(void)mnl_nlmsg_batch_next(b);
	}
	nftnl_batch_end(mnl_nlmsg_batch_current(b), nl_seq(nl));
	(void)mnl_nlmsg_batch_next(b);
	r = nl_batch(nl, mnl_nlmsg_batch_head(b), mnl_nlmsg_batch_size(b), last, &bad, e);
	mnl_nlmsg_batch_stop(b);
	return r;
}

static int table_delete(struct nl *nl, enum ip_family fam, const char *name, struct err *e)
{
	int r = kp_table_exists(nl, fam, name, e);

	if (r <= 0)
		return r;
	r = table_batch(nl, fam, name, true, NULL, 0, e);
	return r == -ENOENT ? 0 : r;
}

int kp_kernel_remove(struct nl *nl, struct err *e)
{
	int r = 0;

	for (enum ip_family fam = IP_V4; r == 0 && fam < IP_FAMILY_MAX; fam++)
		r = table_delete(nl, fam, KP_TABLE, e);
	return r == 0 ? table_delete(nl, IP_V4, MARK_TABLE, e) : r;
}

/* The mark is the table's comment, in the form that the nft program gives to comments and reads: type, length, text with its NUL. */
#define MARK_FORMAT "server %d.%" PRIu64 " kube-proxy %d.%" PRIu64

int kp_mark_write(struct nl *nl, const struct kp_mark *m, struct err *e)
{
	uint8_t data[2 + 100];
	int r = kp_table_exists(nl, IP_V4, MARK_TABLE, e);
	int len = snprintf((char *)data + 2, sizeof(data) - 2, MARK_FORMAT, (int)m->server, m->server_start,
			   (int)m->proxy, m->proxy_start);

	data[0] = NFTNL_UDATA_TABLE_COMMENT;
	data[1] = (uint8_t)(len + 1); /* two pids, two times: they always fit */
	return r < 0 ? r : table_batch(nl, IP_V4, MARK_TABLE, r > 0, data, (size_t)len + 3, e);
}

int kp_mark_read(struct nl *nl, struct kp_mark *ret, struct err *e)
{
	struct table_seen t;
	int server, proxy;
	uint64_t server_start, proxy_start;
	int r = table_get(nl, IP_V4, MARK_TABLE, &t, e);

	if (r < 0 || !t.found)
		return r;
	*ret = (struct kp_mark){};
	if (t.size > 3 && t.data[0] == NFTNL_UDATA_TABLE_COMMENT && t.data[1] == t.size - 2 && !t.data[t.size - 1] &&
	    sscanf((const char *)t.data + 2, "server %d.%" SCNu64 " kube-proxy %d.%" SCNu64, &server, &server_start,
		   &proxy, &proxy_start) == 4)
		*ret = (struct kp_mark){ server, proxy, server_start, proxy_start };
	return 1;
}
