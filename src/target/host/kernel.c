/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What target/host reads back from rtnetlink, and the route requests that net/rtnl.h does not have: unreachable
 * routes, and additions that never overwrite somebody else's route. Called by host.c and wire.c.
 */
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "base/util.h"
#include "host.h"

static int get_addr(const struct nlattr *a, uint8_t fam, struct ip_addr *ret)
{
	struct ip_addr ip = { .fam = fam };

	if (mnl_attr_get_payload_len(a) != ip_addr_size(&ip))
		return -EBADMSG;
	memcpy(ip.bytes, mnl_attr_get_payload(a), ip_addr_size(&ip));
	*ret = ip;
	return 0;
}

/* ---- routes ---- */

/* 1 = take it, 0 = not one of ours, -EBADMSG. */
static int parse_route(const struct nlmsghdr *nlh, struct host_kroute *ret)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(nlh);
	struct host_kroute k = { .type = rt->rtm_type };
	const struct nlattr *a;
	int r = 0;

	if (rt->rtm_protocol != RTPROT_OFFKUBE || (rt->rtm_flags & RTM_F_CLONED) || rt->rtm_table != RT_TABLE_MAIN)
		return 0;
	k.dst.addr.fam = rt->rtm_family;
	k.dst.len = rt->rtm_dst_len;
	k.onlink = rt->rtm_flags & RTNH_F_ONLINK;
	mnl_attr_for_each(a, nlh, sizeof(*rt))
	{
		switch (mnl_attr_get_type(a)) {
		case RTA_DST:
			r = get_addr(a, rt->rtm_family, &k.dst.addr);
			break;
		case RTA_GATEWAY:
			r = get_addr(a, rt->rtm_family, &k.via);
			break;
		case RTA_PREFSRC:
			r = get_addr(a, rt->rtm_family, &k.src);
			break;
		case RTA_OIF:
			k.ifindex = (int)mnl_attr_get_u32(a);
			break;
		default:
			break; /* metrics, preference: never set by us */
		}
		if (r < 0)
			return r;
	}
	if (k.type != RTN_UNICAST)
		k.ifindex = 0; /* IPv6 shows "dev lo" */
	*ret = k;
	return 1;
}

static int route_cb(const struct nlmsghdr *nlh, void *arg)
{
	struct host_state *st = arg;
	struct host_kroute k;
	int r = parse_route(nlh, &k);

	if (r > 0)
		r = vec_push(&st->routes, k);
	if (r < 0) {
		errno = -r;
		return MNL_CB_ERROR;
	}
	return MNL_CB_OK;
}

static void route_restart(void *arg)
{
	((struct host_state *)arg)->routes.n = 0;
}

static int read_routes(struct nl *nl, struct host_state *st, struct err *e)
{
	_Alignas(NLMSG_ALIGNTO) uint8_t buf[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct rtmsg *rt;

	nlh->nlmsg_type = RTM_GETROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	rt = mnl_nlmsg_put_extra_header(nlh, sizeof(*rt));
	rt->rtm_family = AF_UNSPEC;
	rt->rtm_protocol = RTPROT_OFFKUBE;
	return nl_dump(nl, nlh, route_cb, st, route_restart, e);
}

static void put_addr(struct nlmsghdr *nlh, uint16_t type, const struct ip_addr *a)
{
	if (ip_addr_is_set(a))
		mnl_attr_put(nlh, type, ip_addr_size(a), a->bytes);
}

static struct nlmsghdr *route_msg(void *buf, uint16_t type, uint16_t flags, const struct host_kroute *r)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct rtmsg *rt;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	rt = mnl_nlmsg_put_extra_header(nlh, sizeof(*rt));
	rt->rtm_family = r->dst.addr.fam;
	rt->rtm_dst_len = r->dst.len;
	rt->rtm_table = RT_TABLE_MAIN;
	rt->rtm_protocol = RTPROT_OFFKUBE;
	rt->rtm_type = r->type;
	rt->rtm_scope = RT_SCOPE_UNIVERSE;
	if (r->type == RTN_UNICAST && !ip_addr_is_set(&r->via) && r->dst.addr.fam == AF_INET)
		rt->rtm_scope = RT_SCOPE_LINK;
	if (r->onlink)
		rt->rtm_flags |= RTNH_F_ONLINK;
	if (r->dst.len)
		put_addr(nlh, RTA_DST, &r->dst.addr);
	put_addr(nlh, RTA_GATEWAY, &r->via);
	put_addr(nlh, RTA_PREFSRC, &r->src);
	if (r->ifindex)
		mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)r->ifindex);
	return nlh;
}

int host_kroute_add(struct nl *nl, const struct host_kroute *r, bool replace, struct err *e)
{
	_Alignas(NLMSG_ALIGNTO) uint8_t buf[256];
	uint16_t flags = NLM_F_CREATE | (replace ? NLM_F_REPLACE : NLM_F_EXCL);

	return nl_request(nl, route_msg(buf, RTM_NEWROUTE, flags, r), NULL, NULL, e);
}

int host_kroute_del(struct nl *nl, const struct host_kroute *r, struct err *e)
{
	struct err inner = {};
	_Alignas(NLMSG_ALIGNTO) uint8_t buf[256];
	int err = nl_request(nl, route_msg(buf, RTM_DELROUTE, 0, r), NULL, NULL, &inner);

	if (err == -ESRCH || err == -ENODEV || err == -ENOENT)
		return 0;
	if (err < 0 && e && !e->code)
		*e = inner;
	return err;
}

/* ---- neighbours ---- */

static int neigh_cb(const struct nlmsghdr *nlh, void *arg)
{
	const struct ndmsg *nd = mnl_nlmsg_get_payload(nlh);
	struct host_kneigh k = { .ifindex = nd->ndm_ifindex };
	struct host_state *st = arg;
	const struct nlattr *a;
	bool has_mac = false;
	int r = 0;

	if (!(nd->ndm_state & NUD_PERMANENT) || (nd->ndm_family != AF_INET && nd->ndm_family != AF_INET6))
		return MNL_CB_OK;
	mnl_attr_for_each(a, nlh, sizeof(*nd))
	{
		if (mnl_attr_get_type(a) == NDA_DST && !r) {
			r = get_addr(a, nd->ndm_family, &k.addr);
		} else if (mnl_attr_get_type(a) == NDA_LLADDR && mnl_attr_get_payload_len(a) == sizeof(k.mac)) {
			memcpy(k.mac, mnl_attr_get_payload(a), sizeof(k.mac));
			has_mac = true;
		}
	}
	if (!r && has_mac)
		r = vec_push(&st->neighs, k);
	if (r < 0) {
		errno = -r;
		return MNL_CB_ERROR;
	}
	return MNL_CB_OK;
}

static void neigh_restart(void *arg)
{
	((struct host_state *)arg)->neighs.n = 0;
}

static int read_neighs(struct nl *nl, struct host_state *st, struct err *e)
{
	_Alignas(NLMSG_ALIGNTO) uint8_t buf[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = RTM_GETNEIGH;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	(void)mnl_nlmsg_put_extra_header(nlh, sizeof(struct ndmsg)); /* zeroed: all families */
	return nl_dump(nl, nlh, neigh_cb, st, neigh_restart, e);
}

/* ---- all ---- */

static int link_fn(const struct rtnl_link *l, void *arg)
{
	struct host_state *st = arg;

	return host_link_is_ours(l) ? vec_push(&st->links, (struct host_klink){ .l = *l }) : 0;
}

static int addr_fn(int ifindex, const struct ip_prefix *a, void *arg)
{
	struct host_state *st = arg;

	return vec_push(&st->addrs, (struct host_kaddr){ ifindex, *a });
}

int host_state_read(struct nl *nl, bool with_links, struct host_state *ret, struct err *e)
{
	int r = with_links ? rtnl_link_list(nl, link_fn, ret, e) : 0;

	if (!r)
		r = rtnl_addr_list(nl, addr_fn, ret, e);
	if (!r)
		r = read_routes(nl, ret, e);
	if (!r)
		r = read_neighs(nl, ret, e);
	return r;
}

void host_state_free(struct host_state *st)
{
	vec_free(&st->links);
	vec_free(&st->addrs);
	vec_free(&st->routes);
	vec_free(&st->neighs);
}

bool host_state_has_addr(const struct host_state *st, int ifindex, const struct ip_prefix *a)
{
	for (size_t i = 0; i < st->addrs.n; i++)
		if (st->addrs.v[i].ifindex == ifindex && memcmp(&st->addrs.v[i].addr, a, sizeof(*a)) == 0)
			return true;
	return false;
}

bool host_state_has_neigh(const struct host_state *st, int ifindex, const struct ip_addr *a, const uint8_t mac[6])
{
	for (size_t i = 0; i < st->neighs.n; i++) {
		const struct host_kneigh *k = &st->neighs.v[i];

		if (k->ifindex == ifindex && ip_addr_eq(&k->addr, a))
			return memcmp(k->mac, mac, sizeof(k->mac)) == 0;
	}
	return false;
}
