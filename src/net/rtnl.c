/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rtnetlink: links. Called by target/host and lab/. Addresses, routes and neighbours: rtnl_addr.c, rtnl_route.c. */
#include "net/rtnl.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "base/vec.h"
#include "rtnl_impl.h"

struct nlmsghdr *rtnl_begin(char buf[static RTNL_MSG_SIZE], uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh;

	memset(buf, 0, RTNL_MSG_SIZE);
	nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = flags;
	return nlh;
}

int rtnl_talk(struct nl *nl, struct nlmsghdr *nlh, const char *what, int fine, int fine_too, struct err *e)
{
	struct err own = { 0 };
	int r = nl_request(nl, nlh, NULL, NULL, &own);

	if (!r || r == fine || r == fine_too)
		return 0;
	return err_set(e, r, what, "%s", own.text);
}

/* Interface names: 1 to 15 bytes, as the kernel has them. */
static int check_name(const char *name, struct err *e)
{
	size_t len = strlen(name);

	if (!len || len >= IFNAMSIZ)
		return err_set(e, -EINVAL, name, "an interface name has 1 to %d characters", IFNAMSIZ - 1);
	return 0;
}

static struct ifinfomsg *put_ifinfo(struct nlmsghdr *nlh)
{
	return mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
}

static void copy_text(const struct nlattr *attr, char *buf, size_t size)
{
	size_t len = strnlen(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));

	len = MIN(len, size - 1);
	memcpy(buf, mnl_attr_get_payload(attr), len);
	buf[len] = '\0';
}

static void read_linkinfo(const struct nlattr *nest, struct rtnl_link *l)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest)
	{
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			copy_text(attr, l->kind, sizeof(l->kind));
	}
}

/* An attribute too short for its type is left out. */
static int get_int(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) >= sizeof(uint32_t) ? (int)mnl_attr_get_u32(attr) : 0;
}

static void read_link(const struct nlmsghdr *nlh, struct rtnl_link *l)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;
	int link = 0;

	*l = (struct rtnl_link){ .ifindex = ifi->ifi_index, .up = ifi->ifi_flags & IFF_UP };
	mnl_attr_for_each(attr, nlh, sizeof(*ifi))
	{
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			copy_text(attr, l->name, sizeof(l->name));
			break;
		case IFLA_ADDRESS:
			if (mnl_attr_get_payload_len(attr) == sizeof(l->mac))
				memcpy(l->mac, mnl_attr_get_payload(attr), sizeof(l->mac));
			break;
		case IFLA_MTU:
			l->mtu_bytes = get_int(attr);
			break;
		case IFLA_MASTER:
			l->master = get_int(attr);
			break;
		case IFLA_LINK:
			link = get_int(attr);
			break;
		case IFLA_LINKINFO:
			read_linkinfo(attr, l);
			break;
		}
	}
	l->peer_ifindex = str_eq(l->kind, "veth") ? link : 0;
}

static bool is_link(const struct nlmsghdr *nlh)
{
	return nlh->nlmsg_type == RTM_NEWLINK && mnl_nlmsg_get_payload_len(nlh) >= sizeof(struct ifinfomsg);
}

static int on_link(const struct nlmsghdr *nlh, void *arg)
{
	if (is_link(nlh))
		read_link(nlh, arg);
	return MNL_CB_OK;
}

int rtnl_link_get(struct nl *nl, const char *name, struct rtnl_link *ret, struct err *e)
{
	RTNL_BUF(buf);
	struct nlmsghdr *nlh = rtnl_begin(buf, RTM_GETLINK, 0);
	struct rtnl_link l = { 0 };
	struct err own = { 0 };
	int r;

	r = check_name(name, e);
	if (r)
		return r;
	(void)put_ifinfo(nlh);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	r = nl_request(nl, nlh, on_link, &l, &own);
	if (r)
		return err_set(e, r, name, "%s", own.text);
	if (!l.ifindex)
		return err_set_errno(e, -ENODEV, name, "the kernel did not describe the interface");
	*ret = l;
	return 0;
}

struct link_list {
	VEC(struct rtnl_link) links;
};

static int on_listed_link(const struct nlmsghdr *nlh, void *arg)
{
	struct link_list *list = arg;
	struct rtnl_link l;

	if (!is_link(nlh))
		return MNL_CB_OK;
	read_link(nlh, &l);
	if (vec_push(&list->links, l)) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	return MNL_CB_OK;
}

static void restart_links(void *arg)
{
	((struct link_list *)arg)->links.n = 0;
}

int rtnl_link_list(struct nl *nl, int (*fn)(const struct rtnl_link *l, void *arg), void *arg, struct err *e)
{
	RTNL_BUF(buf);
	struct nlmsghdr *nlh = rtnl_begin(buf, RTM_GETLINK, 0);
	struct link_list list = { 0 };
	int r;

	(void)put_ifinfo(nlh);
	r = nl_dump(nl, nlh, on_listed_link, &list, restart_links, e);
	for (size_t i = 0; i < list.links.n && !r; i++)
		r = fn(&list.links.v[i], arg);
	vec_free(&list.links);
	return r;
}

/* The attributes that both ends of a pair have. */
static void put_end(struct nlmsghdr *nlh, const char *name, const uint8_t *mac, int mtu_bytes)
{
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	if (mac)
		mnl_attr_put(nlh, IFLA_ADDRESS, 6, mac);
	if (mtu_bytes)
		mnl_attr_put_u32(nlh, IFLA_MTU, (uint32_t)mtu_bytes);
}

int rtnl_veth_add(struct nl *nl, const char *name, const uint8_t mac[6], const char *peer, const uint8_t peer_mac[6],
		  int peer_netns_fd, int mtu_bytes, struct err *e)
{
	RTNL_BUF(buf);
	struct nlmsghdr *nlh = rtnl_begin(buf, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	struct nlattr *info, *data, *other;
	int r;

	r = check_name(name, e);
	if (!r)
		r = check_name(peer, e);
	if (r)
		return r;
	(void)put_ifinfo(nlh);
	put_end(nlh, name, mac, mtu_bytes);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	other = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
	(void)put_ifinfo(nlh);
	put_end(nlh, peer, peer_mac, mtu_bytes);
	if (peer_netns_fd >= 0)
		mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)peer_netns_fd);
	mnl_attr_nest_end(nlh, other);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
	return rtnl_talk(nl, nlh, name, 0, 0, e);
}

int rtnl_bridge_add(struct nl *nl, const char *name, struct err *e)
{
	RTNL_BUF(buf);
	struct nlmsghdr *nlh = rtnl_begin(buf, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	struct rtnl_link l = { 0 };
	struct err own = { 0 };
	struct nlattr *info;
	int r;

	r = check_name(name, e);
	if (r)
		return r;
	(void)put_ifinfo(nlh);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "bridge");
	mnl_attr_nest_end(nlh, info);
	r = nl_request(nl, nlh, NULL, NULL, &own);
	if (r == -EEXIST && rtnl_link_get(nl, name, &l, NULL) == 0) {
		if (str_eq(l.kind, "bridge"))
			return 0;
		return err_set(e, r, name, "is there already and is no bridge");
	}
	return r ? err_set(e, r, name, "%s", own.text) : 0;
}

int rtnl_link_del(struct nl *nl, const char *name, struct err *e)
{
	RTNL_BUF(buf);
	struct nlmsghdr *nlh = rtnl_begin(buf, RTM_DELLINK, 0);
	int r = check_name(name, e);

	if (r)
		return r;
	(void)put_ifinfo(nlh);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return rtnl_talk(nl, nlh, name, -ENODEV, 0, e);
}

int rtnl_link_up(struct nl *nl, const char *name, struct err *e)
{
	RTNL_BUF(buf);
	struct nlmsghdr *nlh = rtnl_begin(buf, RTM_NEWLINK, 0);
	struct ifinfomsg *ifi = put_ifinfo(nlh);
	int r = check_name(name, e);

	if (r)
		return r;
	ifi->ifi_flags = IFF_UP;
	ifi->ifi_change = IFF_UP;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return rtnl_talk(nl, nlh, name, 0, 0, e);
}

int rtnl_link_set_master(struct nl *nl, const char *name, const char *master, struct err *e)
{
	RTNL_BUF(buf);
	struct nlmsghdr *nlh = rtnl_begin(buf, RTM_NEWLINK, 0);
	struct rtnl_link l = { 0 };
	int r = check_name(name, e);

	if (r)
		return r;
	if (master) {
		r = rtnl_link_get(nl, master, &l, e);
		if (r)
			return r;
	}
	(void)put_ifinfo(nlh);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put_u32(nlh, IFLA_MASTER, (uint32_t)l.ifindex);
	return rtnl_talk(nl, nlh, name, 0, 0, e);
}
