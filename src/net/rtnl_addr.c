/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rtnetlink: addresses of interfaces, and permanent neighbours. Called by target/host and lab/. */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "rtnl_impl.h"

#define PLACE_SIZE (16 + IP_PREFIX_STR_MAX)

struct listed_addr {
	int ifindex;
	struct ip_prefix prefix;
};

struct addr_list {
	VEC(struct listed_addr) addrs;
};

static bool read_addr(const struct nlmsghdr *nlh, struct listed_addr *ret)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWADDR || mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifa))
		return false;
	if (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6)
		return false;
	*ret = (struct listed_addr){ .ifindex = (int)ifa->ifa_index };
	ret->prefix.addr.fam = ifa->ifa_family;
	ret->prefix.len = ifa->ifa_prefixlen;
	mnl_attr_for_each(attr, nlh, sizeof(*ifa))
	{
		uint16_t type = mnl_attr_get_type(attr);

		/* IFA_LOCAL is ours; IFA_ADDRESS is the other end of a point-to-point link, else the same. */
		if ((type == IFA_LOCAL || (type == IFA_ADDRESS && ifa->ifa_family == AF_INET6)) &&
		    mnl_attr_get_payload_len(attr) == ip_addr_size(&ret->prefix.addr))
			memcpy(ret->prefix.addr.bytes, mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
		if (type == IFA_LOCAL && ifa->ifa_family == AF_INET6)
			break;
	}
	return true;
}

static int on_addr(const struct nlmsghdr *nlh, void *arg)
{
	struct addr_list *list = arg;
	struct listed_addr a;

	if (read_addr(nlh, &a) && vec_push(&list->addrs, a)) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	return MNL_CB_OK;
}

static void restart_addrs(void *arg)
{
	((struct addr_list *)arg)->addrs.n = 0;
}

int rtnl_addr_list(struct nl *nl, int (*fn)(int ifindex, const struct ip_prefix *a, void *arg), void *arg,
		   struct err *e)
{
	RTNL_BUF(buf);
	struct nlmsghdr *nlh = rtnl_begin(buf, RTM_GETADDR, 0);
	struct addr_list list = { 0 };
	int r;

	(void)mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifaddrmsg));
	r = nl_dump(nl, nlh, on_addr, &list, restart_addrs, e);
	for (size_t i = 0; i < list.addrs.n && !r; i++)
		r = fn(list.addrs.v[i].ifindex, &list.addrs.v[i].prefix, arg);
	vec_free(&list.addrs);
	return r;
}

static void put_addr(struct nlmsghdr *nlh, int ifindex, const struct ip_prefix *a)
{
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));

	ifa->ifa_family = a->addr.fam;
	ifa->ifa_prefixlen = a->len;
	ifa->ifa_flags = a->addr.fam == AF_INET6 ? IFA_F_NODAD : 0;
	ifa->ifa_index = (unsigned int)ifindex;
	mnl_attr_put(nlh, IFA_LOCAL, ip_addr_size(&a->addr), a->addr.bytes);
	mnl_attr_put(nlh, IFA_ADDRESS, ip_addr_size(&a->addr), a->addr.bytes);
}

static const char *place(const char *ifname, const struct ip_prefix *a, char buf[static PLACE_SIZE])
{
	char text[IP_PREFIX_STR_MAX];

	(void)snprintf(buf, PLACE_SIZE, "%.15s %s", ifname, ip_prefix_format(a, text)); /* fits */
	return buf;
}

static int find_addr(int ifindex, const struct ip_prefix *a, void *arg)
{
	const struct listed_addr *want = arg;

	return ifindex == want->ifindex && a->len == want->prefix.len && ip_addr_eq(&a->addr, &want->prefix.addr);
}

int rtnl_addr_add(struct nl *nl, const char *ifname, const struct ip_prefix *a, struct err *e)
{
	RTNL_BUF(buf);
	struct nlmsghdr *nlh = rtnl_begin(buf, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
	struct listed_addr want = { .prefix = *a };
	char where[PLACE_SIZE];
	struct err own = { 0 };
	struct rtnl_link l;
	int r;

	r = rtnl_link_get(nl, ifname, &l, e);
	if (r)
		return r;
	want.ifindex = l.ifindex;
	put_addr(nlh, l.ifindex, a);
	r = nl_request(nl, nlh, NULL, NULL, &own);
	/* The same address with another prefix length is refused the same way, and is not what was asked for. */
	if (r == -EEXIST && rtnl_addr_list(nl, find_addr, &want, NULL) == 1)
		return 0;
	return r ? err_set(e, r, place(ifname, a, where), "%s", own.text) : 0;
}

int rtnl_addr_del(struct nl *nl, const char *ifname, const struct ip_prefix *a, struct err *e)
{
	RTNL_BUF(buf);
	struct nlmsghdr *nlh = rtnl_begin(buf, RTM_DELADDR, 0);
	char where[PLACE_SIZE];
	struct err own = { 0 };
	struct rtnl_link l;
	int r;

	r = rtnl_link_get(nl, ifname, &l, &own);
	if (r == -ENODEV)
		return 0;
	if (r)
		return err_set(e, r, ifname, "%s", own.text);
	put_addr(nlh, l.ifindex, a);
	return rtnl_talk(nl, nlh, place(ifname, a, where), -EADDRNOTAVAIL, 0, e);
}

static struct nlmsghdr *begin_neigh(char buf[static RTNL_MSG_SIZE], uint16_t type, uint16_t flags, int ifindex,
				    const struct ip_addr *a)
{
	struct nlmsghdr *nlh = rtnl_begin(buf, type, flags);
	struct ndmsg *nd = mnl_nlmsg_put_extra_header(nlh, sizeof(*nd));

	nd->ndm_family = a->fam;
	nd->ndm_ifindex = ifindex;
	nd->ndm_state = NUD_PERMANENT;
	mnl_attr_put(nlh, NDA_DST, ip_addr_size(a), a->bytes);
	return nlh;
}

int rtnl_neigh_replace(struct nl *nl, int ifindex, const struct ip_addr *a, const uint8_t mac[6], struct err *e)
{
	RTNL_BUF(buf);
	struct nlmsghdr *nlh = begin_neigh(buf, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, ifindex, a);
	char text[IP_ADDR_STR_MAX];

	mnl_attr_put(nlh, NDA_LLADDR, 6, mac);
	return rtnl_talk(nl, nlh, ip_addr_format(a, text), 0, 0, e);
}

int rtnl_neigh_del(struct nl *nl, int ifindex, const struct ip_addr *a, struct err *e)
{
	RTNL_BUF(buf);
	struct nlmsghdr *nlh = begin_neigh(buf, RTM_DELNEIGH, 0, ifindex, a);
	char text[IP_ADDR_STR_MAX];

	return rtnl_talk(nl, nlh, ip_addr_format(a, text), -ENOENT, -ENODEV, e);
}
