/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rtnetlink: routes. Called by target/host and lab/. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "rtnl_impl.h"

#define PLACE_SIZE (IP_PREFIX_STR_MAX + IP_ADDR_STR_MAX + 16)

static const char *place(const struct rtnl_route *r, char buf[static PLACE_SIZE])
{
	char dst[IP_PREFIX_STR_MAX], via[IP_ADDR_STR_MAX];

	ip_prefix_format(&r->dst, dst);
	ip_addr_format(&r->via, via);
	(void)snprintf(buf, PLACE_SIZE, ip_addr_is_set(&r->via) ? "route %s via %s" : "route %s", dst, via); /* fits */
	return buf;
}

static void put_ip(struct nlmsghdr *nlh, uint16_t type, const struct ip_addr *a)
{
	mnl_attr_put(nlh, type, ip_addr_size(a), a->bytes);
}

/* A gateway of the other family goes into RTA_VIA. */
static void put_via(struct nlmsghdr *nlh, const struct rtnl_route *r)
{
	uint8_t via[sizeof(struct rtvia) + 16] = { 0 };
	uint16_t family = r->via.fam;

	if (r->via.fam == r->dst.addr.fam) {
		put_ip(nlh, RTA_GATEWAY, &r->via);
		return;
	}
	memcpy(via, &family, sizeof(family));
	memcpy(via + sizeof(struct rtvia), r->via.bytes, ip_addr_size(&r->via));
	mnl_attr_put(nlh, RTA_VIA, sizeof(struct rtvia) + ip_addr_size(&r->via), via);
}

static struct rtmsg *put_route(struct nlmsghdr *nlh, const struct rtnl_route *r)
{
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	uint32_t table = r->table ? r->table : RT_TABLE_MAIN;

	rtm->rtm_family = r->dst.addr.fam;
	rtm->rtm_dst_len = r->dst.len;
	rtm->rtm_table = table < 256 ? (uint8_t)table : RT_TABLE_UNSPEC;
	rtm->rtm_type = RTN_UNICAST;
	rtm->rtm_flags = r->onlink ? RTNH_F_ONLINK : 0;
	if (r->dst.len)
		put_ip(nlh, RTA_DST, &r->dst.addr);
	if (ip_addr_is_set(&r->via))
		put_via(nlh, r);
	if (ip_addr_is_set(&r->src))
		put_ip(nlh, RTA_PREFSRC, &r->src);
	if (r->ifindex)
		mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)r->ifindex);
	mnl_attr_put_u32(nlh, RTA_TABLE, table);
	return rtm;
}

int rtnl_route_replace(struct nl *nl, const struct rtnl_route *r, struct err *e)
{
	RTNL_BUF(buf);
	struct nlmsghdr *nlh = rtnl_begin(buf, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
	struct rtmsg *rtm = put_route(nlh, r);
	char where[PLACE_SIZE];

	rtm->rtm_protocol = r->protocol ? r->protocol : RTPROT_OFFKUBE;
	rtm->rtm_scope = ip_addr_is_set(&r->via) ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	return rtnl_talk(nl, nlh, place(r, where), 0, 0, e);
}

int rtnl_route_del(struct nl *nl, const struct rtnl_route *r, struct err *e)
{
	RTNL_BUF(buf);
	struct nlmsghdr *nlh = rtnl_begin(buf, RTM_DELROUTE, 0);
	struct rtmsg *rtm = put_route(nlh, r);
	char where[PLACE_SIZE];

	rtm->rtm_protocol = r->protocol; /* 0 fits all */
	rtm->rtm_scope = RT_SCOPE_NOWHERE; /* fits all */
	return rtnl_talk(nl, nlh, place(r, where), -ESRCH, -ENODEV, e);
}

struct route_list {
	uint8_t fam, protocol; /* wanted; protocol 0 = all */
	VEC(struct rtnl_route) routes;
};

static bool read_ip(const struct nlattr *attr, uint8_t fam, struct ip_addr *ret)
{
	struct ip_addr a = { .fam = fam };

	if (mnl_attr_get_payload_len(attr) != ip_addr_size(&a))
		return false;
	memcpy(a.bytes, mnl_attr_get_payload(attr), ip_addr_size(&a));
	*ret = a;
	return true;
}

static void read_via(const struct nlattr *attr, struct ip_addr *ret)
{
	const uint8_t *via = mnl_attr_get_payload(attr);
	size_t size = mnl_attr_get_payload_len(attr);
	uint16_t family;

	if (size < sizeof(family))
		return;
	memcpy(&family, via, sizeof(family));
	*ret = (struct ip_addr){ .fam = family == AF_INET6 ? AF_INET6 : AF_INET };
	if (size == sizeof(family) + ip_addr_size(ret))
		memcpy(ret->bytes, via + sizeof(family), ip_addr_size(ret));
	else
		*ret = (struct ip_addr){ 0 };
}

static void read_attr(const struct nlattr *attr, uint8_t fam, struct rtnl_route *r)
{
	size_t size = mnl_attr_get_payload_len(attr);

	switch (mnl_attr_get_type(attr)) {
	case RTA_DST:
		(void)read_ip(attr, fam, &r->dst.addr); /* of a wrong size: stays the default route's 0 */
		break;
	case RTA_GATEWAY:
		(void)read_ip(attr, fam, &r->via); /* of a wrong size: none */
		break;
	case RTA_VIA:
		read_via(attr, &r->via);
		break;
	case RTA_PREFSRC:
		(void)read_ip(attr, fam, &r->src); /* of a wrong size: none */
		break;
	case RTA_OIF:
		r->ifindex = size >= sizeof(uint32_t) ? (int)mnl_attr_get_u32(attr) : 0;
		break;
	case RTA_TABLE:
		r->table = size >= sizeof(uint32_t) ? mnl_attr_get_u32(attr) : r->table;
		break;
	}
}

static int on_route(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct route_list *list = arg;
	struct rtnl_route r = { 0 };
	const struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(nlh) < sizeof(*rtm))
		return MNL_CB_OK;
	if (rtm->rtm_family != list->fam || rtm->rtm_type != RTN_UNICAST || rtm->rtm_flags & RTM_F_CLONED)
		return MNL_CB_OK;
	if (list->protocol && rtm->rtm_protocol != list->protocol)
		return MNL_CB_OK;
	r.dst.addr.fam = rtm->rtm_family;
	r.dst.len = rtm->rtm_dst_len;
	r.protocol = rtm->rtm_protocol;
	r.table = rtm->rtm_table;
	r.onlink = rtm->rtm_flags & RTNH_F_ONLINK;
	mnl_attr_for_each(attr, nlh, sizeof(*rtm)) read_attr(attr, rtm->rtm_family, &r);
	if (vec_push(&list->routes, r)) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	return MNL_CB_OK;
}

static void restart_routes(void *arg)
{
	((struct route_list *)arg)->routes.n = 0;
}

int rtnl_route_list(struct nl *nl, uint8_t fam, uint8_t protocol, int (*fn)(const struct rtnl_route *r, void *arg),
		    void *arg, struct err *e)
{
	RTNL_BUF(buf);
	struct nlmsghdr *nlh = rtnl_begin(buf, RTM_GETROUTE, 0);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	struct route_list list = { .fam = fam, .protocol = protocol };
	int r;

	rtm->rtm_family = fam;
	r = nl_dump(nl, nlh, on_route, &list, restart_routes, e);
	for (size_t i = 0; i < list.routes.n && !r; i++)
		r = fn(&list.routes.v[i], arg);
	vec_free(&list.routes);
	return r;
}
