/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rtnetlink verbs that target/host and the lab need. All are idempotent unless said otherwise: what is there
 * already, as asked, is success. The nl session decides the namespace. Interface names at most 15 characters.
 */
#ifndef OFFKUBE_NET_RTNL_H
#define OFFKUBE_NET_RTNL_H

#include <stdbool.h>

#include "net/addr.h"
#include "net/nl.h"

struct rtnl_link {
	int ifindex;
	char name[16];
	char kind[16]; /* "veth", "bridge", "" */
	uint8_t mac[6];
	bool up;
	int mtu_bytes;
	int master; /* ifindex or 0 */
	int peer_ifindex; /* IFLA_LINK of a veth: index in the peer's namespace, else 0 */
};

/* veth pair: `name` in the session's namespace, `peer` in peer_netns_fd. mac, peer_mac may be NULL (kernel chooses).
 * Not idempotent: -EEXIST when either name is taken. mtu_bytes 0 = default. */
int rtnl_veth_add(struct nl *nl, const char *name, const uint8_t mac[6], const char *peer, const uint8_t peer_mac[6],
		  int peer_netns_fd, int mtu_bytes, struct err *e);
int rtnl_bridge_add(struct nl *nl, const char *name, struct err *e);
int rtnl_link_del(struct nl *nl, const char *name, struct err *e);
int rtnl_link_get(struct nl *nl, const char *name, struct rtnl_link *ret, struct err *e); /* -ENODEV */
int rtnl_link_list(struct nl *nl, int (*fn)(const struct rtnl_link *l, void *arg), void *arg, struct err *e);
int rtnl_link_up(struct nl *nl, const char *name, struct err *e);
/* master NULL = none any more. */
int rtnl_link_set_master(struct nl *nl, const char *name, const char *master, struct err *e);
/* IPv6 addresses are added with IFA_F_NODAD: usable at once. */
int rtnl_addr_add(struct nl *nl, const char *ifname, const struct ip_prefix *addr_with_host_bits, struct err *e);
int rtnl_addr_del(struct nl *nl, const char *ifname, const struct ip_prefix *addr_with_host_bits, struct err *e);
/* Lists: fn is called when the whole list is there, until it returns non-zero, which is returned. */
int rtnl_addr_list(struct nl *nl, int (*fn)(int ifindex, const struct ip_prefix *a, void *arg), void *arg,
		   struct err *e);

struct rtnl_route {
	struct ip_prefix dst; /* len 0 and addr.fam set = default */
	struct ip_addr via; /* fam 0 = none (scope link) */
	struct ip_addr src; /* preferred source; fam 0 = none */
	int ifindex; /* 0 = none */
	bool onlink;
	uint8_t protocol; /* RTPROT_*; who made it. 0: RTPROT_OFFKUBE when written, any when deleted or listed */
	uint32_t table; /* RT_TABLE_MAIN by default (0) */
};
/* Protocol number that marks our routes ("ip route show proto 79"). */
#define RTPROT_OFFKUBE 79
int rtnl_route_replace(struct nl *nl, const struct rtnl_route *r, struct err *e);
int rtnl_route_del(struct nl *nl, const struct rtnl_route *r, struct err *e); /* absent is success */
/* Unicast routes of one family, all tables. */
int rtnl_route_list(struct nl *nl, uint8_t fam, uint8_t protocol, int (*fn)(const struct rtnl_route *r, void *arg),
		    void *arg, struct err *e);
/* Permanent neighbour entry. */
int rtnl_neigh_replace(struct nl *nl, int ifindex, const struct ip_addr *a, const uint8_t mac[6], struct err *e);
int rtnl_neigh_del(struct nl *nl, int ifindex, const struct ip_addr *a, struct err *e);

#endif
