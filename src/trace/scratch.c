/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Builds the scratch node of the live runner: namespaces, links, addresses, routes, sockets. Called by live.c; packets go through scratch_io.c. */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/fib_rules.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "net/netns.h"
#include "net/rtnl.h"
#include "net/sysctl.h"
#include "scratch.h"

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

#define CAPTURE_BUFFER_BYTES (4 << 20)

/* Gateways of the default routes: on no link but the uplink. */
#define GATEWAY_V4 "169.254.1.1"
#define GATEWAY_V6 "fe80::1"

/* ---- sysctls ---- */

struct setting {
	const char *name, *value;
	bool optional; /* some kernels lack it */
};

/* A router that answers every refusal at once and says nothing by itself. */
static const struct setting node_settings[] = {
	{ "net/ipv4/ip_forward", "1", false },
	{ "net/ipv4/conf/all/rp_filter", "0", false },
	{ "net/ipv4/conf/default/rp_filter", "0", false },
	{ "net/ipv4/conf/all/send_redirects", "0", false },
	{ "net/ipv4/conf/default/send_redirects", "0", false },
	{ "net/ipv4/icmp_ratelimit", "0", false },
	{ "net/ipv4/icmp_msgs_per_sec", "1000000", true },
	{ "net/ipv4/icmp_msgs_burst", "1000000", true },
	{ "net/ipv6/conf/all/forwarding", "1", true },
	{ "net/ipv6/conf/default/forwarding", "1", true },
	{ "net/ipv6/conf/default/addr_gen_mode", "1", true },
	{ "net/ipv6/conf/default/accept_ra", "0", true },
	{ "net/ipv6/icmp/ratelimit", "0", true },
	/* Crafted segments need not lie in any window. */
	{ "net/netfilter/nf_conntrack_tcp_be_liberal", "1", true },
};

static const struct setting outer_settings[] = {
	{ "net/ipv6/conf/default/disable_ipv6", "1", true },
};

static int apply_settings(int netns_fd, const struct setting *s, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		struct err why = {};
		int r = sysctl_write(netns_fd, s[i].name, s[i].value, &why);

		if (r == -ENOENT && s[i].optional)
			continue;
		if (r < 0)
			return err_set(e, r, why.path[0] ? why.path : s[i].name, "%s", why.text);
	}
	return 0;
}

/* ---- links ---- */

/* Frames that the kernel itself makes (a TCP reset) then leave with their checksums filled in, as they are captured. */
static int disable_tx_checksum(int netns_fd, const char *ifname)
{
	struct ethtool_value v = { .cmd = ETHTOOL_STXCSUM, .data = 0 };
	struct ifreq req = { .ifr_data = (char *)&v };
	CLEANUP_FD int fd = netns_socket(netns_fd, AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		return fd;
	(void)snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", ifname);
	return ioctl(fd, SIOCETHTOOL, &req) < 0 ? -errno : 0;
}

static void make_mac(uint8_t mac[6], uint8_t side, uint32_t index)
{
	mac[0] = 0x02;
	mac[1] = 0;
	mac[2] = side;
	mac[3] = (uint8_t)(index >> 16);
	mac[4] = (uint8_t)(index >> 8);
	mac[5] = (uint8_t)index;
}

static int port_new(struct scratch *sc, const char *ifname, struct scratch_port **ret, struct err *e)
{
	CLEANUP_FREE struct scratch_port *p = calloc(1, sizeof(*p));
	struct rtnl_link link;
	int r;

	if (!p)
		return -ENOMEM;
	(void)snprintf(p->ifname, sizeof(p->ifname), "%s", ifname);
	make_mac(p->node_mac, 1, sc->n_made);
	make_mac(p->outer_mac, 2, sc->n_made);
	sc->n_made++;
	r = rtnl_veth_add(sc->node_nl, p->ifname, p->node_mac, p->ifname, p->outer_mac, sc->outer_ns, 0, e);
	if (r < 0)
		return r;
	r = disable_tx_checksum(sc->node_ns, p->ifname);
	if (r < 0)
		return err_set_errno(e, r, p->ifname, "cannot turn transmit checksum offload off");
	if ((r = rtnl_link_up(sc->outer_nl, p->ifname, e)) < 0 || (r = rtnl_link_up(sc->node_nl, p->ifname, e)) < 0 ||
	    (r = rtnl_link_get(sc->outer_nl, p->ifname, &link, e)) < 0)
		return r;
	p->outer_ifindex = link.ifindex;
	*ret = TAKE_PTR(p);
	return 0;
}

static int node_ifindex(struct scratch *sc, const struct scratch_port *p, int *ret, struct err *e)
{
	struct rtnl_link link;
	int r = rtnl_link_get(sc->node_nl, p->ifname, &link, e);

	if (r < 0)
		return r;
	*ret = link.ifindex;
	return 0;
}

static struct ip_prefix host_prefix(const struct ip_addr *a)
{
	return (struct ip_prefix){ .addr = *a, .len = (uint8_t)(8 * ip_addr_size(a)) };
}

/* ---- uplink ---- */

static int add_default_route(struct scratch *sc, int ifindex, const char *gateway, struct err *e)
{
	struct rtnl_route route = { .ifindex = ifindex, .onlink = true, .protocol = RTPROT_STATIC };
	int r;

	r = ip_addr_parse(gateway, &route.via);
	if (r < 0)
		return r;
	route.dst.addr.fam = route.via.fam;
	r = rtnl_neigh_replace(sc->node_nl, ifindex, &route.via, sc->uplink->outer_mac, e);
	if (r < 0)
		return r;
	return rtnl_route_replace(sc->node_nl, &route, e);
}

static int add_node_addresses(struct scratch *sc, struct err *e)
{
	for (int i = 0; i < IP_FAMILY_MAX; i++) {
		struct ip_prefix a = host_prefix(&sc->node_addr[i]);
		int r;

		if (!ip_addr_is_set(&sc->node_addr[i]))
			continue;
		r = rtnl_addr_add(sc->node_nl, SCRATCH_UPLINK, &a, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_uplink(struct scratch *sc, struct err *e)
{
	int ifindex, r;

	r = port_new(sc, SCRATCH_UPLINK, &sc->uplink, e);
	if (r < 0)
		return r;
	(void)snprintf(sc->uplink->label, sizeof(sc->uplink->label), "uplink");
	if ((r = add_node_addresses(sc, e)) < 0 || (r = node_ifindex(sc, sc->uplink, &ifindex, e)) < 0)
		return r;
	r = add_default_route(sc, ifindex, GATEWAY_V4, e);
	if (r < 0)
		return r;
	r = add_default_route(sc, ifindex, GATEWAY_V6, e);
	return r == -EAFNOSUPPORT || r == -EOPNOTSUPP ? 0 : r; /* a kernel without IPv6 */
}

/* Priorities of routing rules: ours stands before "local", which the kernel puts at 0. */
enum { RULE_SILENCE = 5, RULE_LOCAL = 10 };

struct rule {
	uint16_t type; /* RTM_NEWRULE, RTM_DELRULE */
	uint8_t fam, action, table;
	uint32_t priority;
	const struct ip_addr *src; /* NULL = any; else TCP of this host's own from there only */
};

static int change_rule(struct scratch *sc, const struct rule *r, struct err *e)
{
	char buf[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct fib_rule_hdr *hdr;

	nlh->nlmsg_type = r->type;
	nlh->nlmsg_flags = NLM_F_REQUEST | (r->type == RTM_NEWRULE ? NLM_F_CREATE | NLM_F_EXCL : 0);
	nlh->nlmsg_seq = nl_seq(sc->node_nl);
	hdr = mnl_nlmsg_put_extra_header(nlh, sizeof(*hdr));
	hdr->family = r->fam;
	hdr->action = r->action;
	hdr->table = r->table;
	mnl_attr_put_u32(nlh, FRA_PRIORITY, r->priority);
	if (r->src) {
		hdr->src_len = (uint8_t)(8 * ip_addr_size(r->src));
		mnl_attr_put(nlh, FRA_SRC, ip_addr_size(r->src), r->src->bytes);
		mnl_attr_put_strz(nlh, FRA_IIFNAME, "lo");
		mnl_attr_put_u8(nlh, FRA_IP_PROTO, IPPROTO_TCP);
	}
	return nl_request(sc->node_nl, nlh, NULL, NULL, e);
}

/*
 * Nobody listens on the scratch node. When a TCP packet is delivered to its own address the kernel answers with a
 * reset, which would close the connection behind the target's back. So resets from the node's addresses are routed
 * nowhere, not even to the node. A target's own refusal has another source (the Service's address), and what raw
 * sockets send is of another protocol to the routing rules.
 */
static int silence_tcp(struct scratch *sc, const struct ip_addr *a, struct err *e)
{
	const struct rule rules[] = {
		{ RTM_NEWRULE, a->fam, FR_ACT_TO_TBL, RT_TABLE_LOCAL, RULE_LOCAL, NULL },
		{ RTM_NEWRULE, a->fam, FR_ACT_BLACKHOLE, RT_TABLE_UNSPEC, RULE_SILENCE, a },
		{ RTM_DELRULE, a->fam, FR_ACT_TO_TBL, RT_TABLE_LOCAL, 0, NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		int r = change_rule(sc, &rules[i], e);

		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- sockets ---- */

static int open_packet_sockets(struct scratch *sc, struct err *e)
{
	const int size = CAPTURE_BUFFER_BYTES, on = 1;

	sc->inject_fd = netns_socket(sc->outer_ns, AF_PACKET, SOCK_RAW, 0);
	if (sc->inject_fd < 0)
		return err_set_errno(e, sc->inject_fd, NULL, "cannot open a packet socket");
	sc->capture_fd = netns_socket(sc->outer_ns, AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK, htons(ETH_P_ALL));
	if (sc->capture_fd < 0)
		return err_set_errno(e, sc->capture_fd, NULL, "cannot open a packet socket");
	if (setsockopt(sc->capture_fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0)
		return err_set_errno(e, -errno, NULL, "PACKET_IGNORE_OUTGOING");
	/* A smaller buffer only makes an overrun possible, which is noticed. */
	(void)setsockopt(sc->capture_fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return 0;
}

static int set_v6_options(int fd)
{
	const int on = 1;

	if (setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof(on)) < 0)
		return -errno;
	return 0;
}

static int open_raw_sockets(struct scratch *sc, enum ip_family fam, struct err *e)
{
	const int protos[SCRATCH_N_LOCAL] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP,
					      fam == IP_V6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP };
	int domain = fam == IP_V6 ? AF_INET6 : AF_INET;
	int r;

	sc->raw_fd[fam] = netns_socket(sc->node_ns, domain, SOCK_RAW, IPPROTO_RAW);
	if (sc->raw_fd[fam] == -EAFNOSUPPORT)
		return 0; /* no IPv6 here: such packets cannot be sent, and say so */
	if (sc->raw_fd[fam] < 0)
		return err_set_errno(e, sc->raw_fd[fam], NULL, "cannot open a raw socket");
	for (int i = 0; i < SCRATCH_N_LOCAL; i++) {
		int fd = netns_socket(sc->node_ns, domain, SOCK_RAW | SOCK_NONBLOCK, protos[i]);

		if (fd < 0)
			return err_set_errno(e, fd, NULL, "cannot open a raw socket");
		sc->local_fd[fam][i] = fd;
		r = fam == IP_V6 ? set_v6_options(fd) : 0;
		if (r < 0)
			return err_set_errno(e, r, NULL, "raw socket options");
	}
	return 0;
}

/* ---- pods ---- */

const struct scratch_port *scratch_pod(const struct scratch *sc, const struct ip_addr *a)
{
	for (size_t i = 0; i < sc->pods.n; i++)
		if (!sc->pods.v[i]->gone && ip_addr_eq(&sc->pods.v[i]->addr[ip_addr_family(a)], a))
			return sc->pods.v[i];
	return NULL;
}

static int route_pod(struct scratch *sc, const struct scratch_port *p, struct err *e)
{
	int ifindex, r;

	r = node_ifindex(sc, p, &ifindex, e);
	if (r < 0)
		return r;
	for (int i = 0; i < IP_FAMILY_MAX; i++) {
		struct rtnl_route route = { .dst = host_prefix(&p->addr[i]),
					    .ifindex = ifindex,
					    .protocol = RTPROT_STATIC };

		if (!ip_addr_is_set(&p->addr[i]))
			continue;
		if ((r = rtnl_neigh_replace(sc->node_nl, ifindex, &p->addr[i], p->outer_mac, e)) < 0 ||
		    (r = rtnl_route_replace(sc->node_nl, &route, e)) < 0)
			return r;
	}
	return 0;
}

static int add_pod(struct scratch *sc, const struct pod *pod, struct err *e)
{
	CLEANUP_FREE struct scratch_port *p = NULL;
	char ifname[16];
	int r;

	(void)snprintf(ifname, sizeof(ifname), "p%u", sc->n_made);
	r = port_new(sc, ifname, &p, e);
	if (r < 0)
		return r;
	(void)snprintf(p->label, sizeof(p->label), "pod %s/%s", pod->ns, pod->name);
	memcpy(p->addr, pod->addr, sizeof(p->addr));
	p->wanted = true;
	r = route_pod(sc, p, e);
	if (r < 0)
		return r;
	r = vec_push(&sc->pods, p);
	if (r == 0)
		(void)TAKE_PTR(p); /* the list's now */
	return r;
}

static struct scratch_port *find_pod_port(const struct scratch *sc, const struct pod *pod)
{
	for (size_t i = 0; i < sc->pods.n; i++)
		if (!sc->pods.v[i]->gone && memcmp(sc->pods.v[i]->addr, pod->addr, sizeof(pod->addr)) == 0)
			return sc->pods.v[i];
	return NULL;
}

int scratch_add_pods(struct scratch *sc, const struct snapshot *s, const struct node *node, struct err *e)
{
	CLEANUP_FREE const struct pod **pods = NULL;
	size_t n;
	int r;

	r = snapshot_sorted_pods(s, &pods, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < sc->pods.n; i++)
		sc->pods.v[i]->wanted = false;
	for (size_t i = 0; i < n; i++) {
		struct scratch_port *p;

		if (pods[i]->host_network || !str_eq(pods[i]->node, node->name))
			continue;
		if (!ip_addr_is_set(&pods[i]->addr[IP_V4]) && !ip_addr_is_set(&pods[i]->addr[IP_V6]))
			continue;
		p = find_pod_port(sc, pods[i]);
		if (p)
			p->wanted = true;
		else if ((r = add_pod(sc, pods[i], e)) < 0)
			return r;
	}
	return 0;
}

static int unroute_pod(struct scratch *sc, struct scratch_port *p, struct err *e)
{
	int ifindex, r;

	r = node_ifindex(sc, p, &ifindex, e);
	for (int i = 0; i < IP_FAMILY_MAX && r == 0; i++) {
		struct rtnl_route route = { .dst = host_prefix(&p->addr[i]),
					    .ifindex = ifindex,
					    .protocol = RTPROT_STATIC };

		if (!ip_addr_is_set(&p->addr[i]))
			continue;
		r = rtnl_route_del(sc->node_nl, &route, e);
		if (r == 0)
			r = rtnl_neigh_del(sc->node_nl, ifindex, &p->addr[i], e);
	}
	return r;
}

/* The link stays: with it the kernel would forget the connections that were masqueraded on it, and no target has a say in that. */
int scratch_drop_pods(struct scratch *sc, struct err *e)
{
	for (size_t i = 0; i < sc->pods.n; i++) {
		struct scratch_port *p = sc->pods.v[i];
		int r;

		if (p->wanted || p->gone)
			continue;
		r = unroute_pod(sc, p, e);
		if (r < 0)
			return r;
		memset(p->addr, 0, sizeof(p->addr));
		p->gone = true;
	}
	return 0;
}

/* ---- all ---- */

static int make_namespaces(struct scratch *sc, struct err *e)
{
	int r;

	if ((r = netns_create_anonymous(&sc->node_ns, e)) < 0 || (r = netns_create_anonymous(&sc->outer_ns, e)) < 0)
		return r;
	if ((r = nl_open(sc->node_ns, NETLINK_ROUTE, &sc->node_nl, e)) < 0 ||
	    (r = nl_open(sc->outer_ns, NETLINK_ROUTE, &sc->outer_nl, e)) < 0)
		return r;
	r = apply_settings(sc->node_ns, node_settings, ARRAY_LEN(node_settings), e);
	if (r < 0)
		return r;
	r = apply_settings(sc->outer_ns, outer_settings, ARRAY_LEN(outer_settings), e);
	if (r < 0)
		return r;
	return rtnl_link_up(sc->node_nl, "lo", e);
}

static int build(struct scratch *sc, const struct snapshot *s, const struct node *node, struct err *e)
{
	int r;

	if ((r = make_namespaces(sc, e)) < 0 || (r = open_packet_sockets(sc, e)) < 0 || (r = add_uplink(sc, e)) < 0)
		return r;
	for (int i = 0; i < IP_FAMILY_MAX; i++) {
		r = open_raw_sockets(sc, (enum ip_family)i, e);
		if (r == 0 && ip_addr_is_set(&sc->node_addr[i]))
			r = silence_tcp(sc, &sc->node_addr[i], e);
		if (r < 0)
			return r;
	}
	return scratch_add_pods(sc, s, node, e);
}

int scratch_new(const struct snapshot *s, const struct node *node, struct scratch **ret, struct err *e)
{
	struct scratch *sc = calloc(1, sizeof(*sc));
	int r;

	if (!sc)
		return -ENOMEM;
	sc->node_ns = sc->outer_ns = sc->inject_fd = sc->capture_fd = -1;
	memset(sc->raw_fd, 0xff, sizeof(sc->raw_fd)); /* all -1 */
	memset(sc->local_fd, 0xff, sizeof(sc->local_fd));
	memcpy(sc->node_addr, node->addr, sizeof(sc->node_addr));
	r = build(sc, s, node, e);
	if (r < 0) {
		scratch_free(sc);
		return r;
	}
	*ret = sc;
	return 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd); /* nothing sensible can be done */
}

void scratch_free(struct scratch *sc)
{
	if (!sc)
		return;
	for (int i = 0; i < IP_FAMILY_MAX; i++) {
		close_fd(sc->raw_fd[i]);
		for (int j = 0; j < SCRATCH_N_LOCAL; j++)
			close_fd(sc->local_fd[i][j]);
	}
	close_fd(sc->inject_fd);
	close_fd(sc->capture_fd);
	nl_close(sc->node_nl);
	nl_close(sc->outer_nl);
	close_fd(sc->node_ns);
	close_fd(sc->outer_ns);
	for (size_t i = 0; i < sc->pods.n; i++)
		free(sc->pods.v[i]);
	vec_free(&sc->pods);
	free(sc->uplink);
	free(sc);
}
