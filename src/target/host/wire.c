/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One pod on its node: a veth pair without a bridge, without ARP or neighbour discovery. Called by host.c for each
 * pod of a program.
 *
 *	pod:	eth0, its /32 and /128, default routes by 169.254.1.1 and fe80::1 (onlink), which are permanent
 *		neighbours with the MAC of the node's end. Nobody owns these two addresses.
 *	node:	ok<hash>, a route to the pod's /32 and /128, a permanent neighbour with the MAC of the pod's end. It
 *		carries the node's own addresses (/32, /128) for one reason: masquerading takes an address of the
 *		outgoing interface first; without one it takes the first global address of any interface, which is
 *		the wrong one on a node with several. IPv6 (RFC 6724 rule 5) chooses alike.
 *
 * Hairpin: a packet may leave by the veth that it came in by; it carries the node's address then (masqueraded),
 * which the pod's rp_filter and ours accept.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "host.h"

static const struct ip_addr gateway[IP_FAMILY_MAX] = {
	[IP_V4] = { AF_INET, { 169, 254, 1, 1 } },
	[IP_V6] = { AF_INET6, { 0xfe, 0x80, [15] = 1 } },
};

struct wire {
	struct host_run *run;
	const struct host_pod *hp;
	char object[300]; /* "Pod ns/name" */
	int pod_fd;
	struct nl *nl; /* in the pod */
	struct host_state st; /* of the pod */
	struct rtnl_link node_end, pod_end;
	bool fresh; /* the links were made just now: nothing to compare with */
};

static void wire_done(struct wire *w)
{
	host_state_free(&w->st);
	nl_close(w->nl);
	if (w->pod_fd >= 0)
		(void)close(w->pod_fd); /* only opened */
}

int host_differs(struct host_run *run, const char *object, const char *what)
{
	return run->dry ? err_set(run->e, -ESTALE, object, "%s", what) : 0;
}

int host_prefix_of(const struct ip_addr *a, struct ip_prefix *ret)
{
	*ret = (struct ip_prefix){ *a, (uint8_t)(8 * ip_addr_size(a)) };
	return 0;
}

static struct host_klink *find_link(struct host_run *run, const char *name)
{
	for (size_t i = 0; i < run->st.links.n; i++)
		if (strcmp(run->st.links.v[i].l.name, name) == 0)
			return &run->st.links.v[i];
	return NULL;
}

/* ---- the pair of links ---- */

/* Both ends there, and each other's: by index in both directions, and by the MACs, which hold the pod's name. */
static bool is_pair(const struct rtnl_link *node_end, const struct rtnl_link *pod_end, const struct host_pod *hp)
{
	return node_end->peer_ifindex == pod_end->ifindex && pod_end->peer_ifindex == node_end->ifindex &&
	       strcmp(pod_end->kind, "veth") == 0 && memcmp(pod_end->mac, hp->mac_pod, sizeof(hp->mac_pod)) == 0;
}

/* A node side of ours whose pod is gone, or in a namespace that is being taken down, is in the way. */
static int clear_way(struct wire *w, const struct host_klink *old, bool has_pod_end)
{
	struct host_run *run = w->run;
	int r = 0;

	if (has_pod_end && memcmp(w->pod_end.mac, w->hp->mac_pod, sizeof(w->hp->mac_pod)) != 0)
		return err_set(run->e, -EEXIST, w->object, "the pod has an %s that is not ours", HOST_POD_IFNAME);
	if (has_pod_end)
		r = rtnl_link_del(w->nl, HOST_POD_IFNAME, run->e);
	if (!r && old)
		r = rtnl_link_del(run->h->nl, w->hp->ifname, run->e);
	run->stats->n_removed += old || has_pod_end;
	return r;
}

static int want_pair(struct wire *w)
{
	struct host_run *run = w->run;
	const struct host_pod *hp = w->hp;
	struct host_klink *old = find_link(run, hp->ifname);
	int r = rtnl_link_get(w->nl, HOST_POD_IFNAME, &w->pod_end, NULL);
	bool has_pod_end = r == 0;

	if (r < 0 && r != -ENODEV)
		return err_set_errno(run->e, r, w->object, "cannot read %s", HOST_POD_IFNAME);
	if (old && has_pod_end && is_pair(&old->l, &w->pod_end, hp)) {
		old->used = true;
		w->node_end = old->l;
		run->stats->n_kept++;
		return 0;
	}
	r = host_differs(run, w->object, old ? "the link is not that of the pod" : "the link is missing");
	if (!r)
		r = clear_way(w, old, has_pod_end);
	if (r < 0)
		return r;
	if (old)
		old->used = true; /* deleted: not the sweep's matter */
	r = rtnl_veth_add(run->h->nl, hp->ifname, hp->mac_node, HOST_POD_IFNAME, hp->mac_pod, w->pod_fd,
			  run->uplink_mtu, run->e);
	if (!r)
		r = rtnl_link_get(run->h->nl, hp->ifname, &w->node_end, run->e);
	if (!r)
		r = rtnl_link_get(w->nl, HOST_POD_IFNAME, &w->pod_end, run->e);
	run->stats->n_added += !r;
	w->fresh = true;
	return r;
}

static int want_up(struct wire *w)
{
	struct host_run *run = w->run;
	int r = 0;

	if (w->node_end.up && w->pod_end.up)
		return 0;
	r = host_differs(run, w->object, "the link is down");
	if (!r)
		r = rtnl_link_up(run->h->nl, w->hp->ifname, run->e);
	return r ? r : rtnl_link_up(w->nl, HOST_POD_IFNAME, run->e);
}

/* ---- addresses and neighbours: the same on both ends ---- */

struct end {
	struct nl *nl;
	struct host_state *st;
	const char *ifname;
	int ifindex;
};

static bool is_link_local(const struct ip_addr *a)
{
	return a->fam == AF_INET6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

/* Exactly `want` (those that are set), and what the kernel made by itself. */
static int want_addrs(struct wire *w, const struct end *end, const struct ip_addr want[static IP_FAMILY_MAX])
{
	struct host_run *run = w->run;
	struct ip_prefix p[IP_FAMILY_MAX] = {};
	int r = 0;

	for (int f = 0; !r && f < IP_FAMILY_MAX; f++) {
		if (!ip_addr_is_set(&want[f]))
			continue;
		(void)host_prefix_of(&want[f], &p[f]);
		if (!w->fresh && host_state_has_addr(end->st, end->ifindex, &p[f])) {
			run->stats->n_kept++;
			continue;
		}
		r = host_differs(run, w->object, "an address is missing");
		if (!r)
			r = rtnl_addr_add(end->nl, end->ifname, &p[f], run->e);
		run->stats->n_added += !r;
	}
	for (size_t i = 0; !r && !w->fresh && i < end->st->addrs.n; i++) {
		const struct host_kaddr *k = &end->st->addrs.v[i];

		if (k->ifindex != end->ifindex || is_link_local(&k->addr.addr) ||
		    memcmp(&k->addr, &p[IP_V4], sizeof(k->addr)) == 0 ||
		    memcmp(&k->addr, &p[IP_V6], sizeof(k->addr)) == 0)
			continue;
		r = host_differs(run, w->object, "an address is left over");
		if (!r)
			r = rtnl_addr_del(end->nl, end->ifname, &k->addr, run->e);
		run->stats->n_removed += !r;
	}
	return r;
}

static int want_neigh(struct wire *w, const struct end *end, const struct ip_addr *a, const uint8_t mac[6])
{
	struct host_run *run = w->run;
	int r;

	if (!w->fresh && host_state_has_neigh(end->st, end->ifindex, a, mac)) {
		run->stats->n_kept++;
		return 0;
	}
	r = host_differs(run, w->object, "a neighbour entry is missing");
	if (!r)
		r = rtnl_neigh_replace(end->nl, end->ifindex, a, mac, run->e);
	run->stats->n_added += !r;
	return r;
}

/* ---- routes ---- */

static bool route_same(const struct host_kroute *a, const struct host_kroute *b)
{
	return a->type == b->type && a->ifindex == b->ifindex && a->onlink == b->onlink &&
	       ip_addr_eq(&a->via, &b->via) && ip_addr_eq(&a->src, &b->src);
}

static int route_want(struct host_run *run, struct nl *nl, struct host_state *st, const struct host_kroute *want,
		      const char *object)
{
	bool replace = false;
	int r;

	for (size_t i = 0; i < st->routes.n; i++) {
		struct host_kroute *k = &st->routes.v[i];

		if (memcmp(&k->dst, &want->dst, sizeof(k->dst)) != 0)
			continue;
		if (route_same(k, want)) {
			k->used = true;
			run->stats->n_kept++;
			return 0;
		}
		if (!replace)
			k->used = true; /* replaced below: not the sweep's matter */
		replace = true;
	}
	r = host_differs(run, object, "a route is missing or leads elsewhere");
	if (!r)
		r = host_kroute_add(nl, want, replace, run->e);
	if (r == -EEXIST && run->e)
		err_prefix_path(run->e, "a route that is not ours is in the way");
	run->stats->n_added += !r;
	return r;
}

int host_route_want(struct host_run *run, const struct host_kroute *want, const char *object)
{
	return route_want(run, run->h->nl, &run->st, want, object);
}

static int want_pod_route(struct wire *w, enum ip_family f)
{
	struct host_kroute k = { .via = gateway[f], .ifindex = w->pod_end.ifindex, .onlink = true, .type = RTN_UNICAST };

	k.dst.addr.fam = gateway[f].fam;
	return route_want(w->run, w->nl, &w->st, &k, w->object);
}

static int want_node_route(struct wire *w, enum ip_family f)
{
	struct host_kroute k = { .src = w->run->p->addr[f], .ifindex = w->node_end.ifindex, .type = RTN_UNICAST };

	(void)host_prefix_of(&w->hp->pod->addr[f], &k.dst);
	return host_route_want(w->run, &k, w->object);
}

/* The pod first, whole; then the node's route: what arrives finds a pod that can answer. */
static int want_family(struct wire *w, const struct end *pod, const struct end *node, enum ip_family f)
{
	int r;

	if (!ip_addr_is_set(&w->hp->pod->addr[f]))
		return 0;
	r = want_neigh(w, pod, &gateway[f], w->hp->mac_node);
	if (!r)
		r = want_pod_route(w, f);
	if (!r)
		r = want_neigh(w, node, &w->hp->pod->addr[f], w->hp->mac_pod);
	return r ? r : want_node_route(w, f);
}

static int wire_pod(struct wire *w)
{
	struct host_run *run = w->run;
	struct end pod, node;
	int r = want_pair(w);

	if (!r)
		r = host_sysctl_link(run, HOST_SYSCTL_VETH, run->h->env.netns_fd, w->hp->ifname);
	if (!r)
		r = host_sysctl_link(run, HOST_SYSCTL_POD, w->pod_fd, HOST_POD_IFNAME);
	if (!r)
		r = want_up(w);
	if (!r && !w->fresh)
		r = host_state_read(w->nl, false, &w->st, run->e);
	if (r < 0)
		return r;
	pod = (struct end){ w->nl, &w->st, HOST_POD_IFNAME, w->pod_end.ifindex };
	node = (struct end){ run->h->nl, &run->st, w->hp->ifname, w->node_end.ifindex };
	r = want_addrs(w, &pod, w->hp->pod->addr);
	if (!r)
		r = want_addrs(w, &node, run->p->addr);
	for (int f = 0; !r && f < IP_FAMILY_MAX; f++)
		r = want_family(w, &pod, &node, f);
	return r;
}

/* A pod that the model knows keeps what it has, though we cannot look into its namespace now. */
static void leave_alone(struct host_run *run, const struct host_pod *hp)
{
	struct host_klink *old = find_link(run, hp->ifname);

	if (!old)
		return;
	old->used = true;
	host_forget_routes(run, old->l.ifindex);
}

int host_pod_wire(struct host_run *run, const struct host_pod *hp)
{
	CLEANUP(wire_done) struct wire w = { .run = run, .hp = hp, .pod_fd = -1 };
	int r;

	(void)snprintf(w.object, sizeof(w.object), "Pod %s/%s", hp->pod->ns, hp->pod->name);
	if (!run->h->env.pod_netns) {
		leave_alone(run, hp); /* wired by somebody else */
		return 0;
	}
	r = run->h->env.pod_netns(run->h->env.pod_netns_arg, hp->pod);
	if (r == -ENOENT) {
		run->n_skipped++;
		leave_alone(run, hp);
		log_debug("event=pod-skipped pod=%s/%s why=\"no network namespace yet\"", hp->pod->ns, hp->pod->name);
		return 0;
	}
	if (r < 0)
		return err_set_errno(run->e, r, w.object, "cannot open the pod's network namespace");
	w.pod_fd = r;
	r = nl_open(w.pod_fd, NETLINK_ROUTE, &w.nl, run->e);
	if (!r)
		r = wire_pod(&w);
	if (r < 0)
		err_prefix_path(run->e, w.object);
	return r;
}

/* Addresses, routes and neighbours go with the link, and the pod's end with ours. */
int host_pod_unwire(struct host_run *run, const struct host_pod *hp)
{
	struct host_klink *old = find_link(run, hp->ifname);
	int r;

	if (!old)
		return 0;
	old->used = true;
	r = rtnl_link_del(run->h->nl, hp->ifname, run->e);
	run->stats->n_removed += !r;
	return r;
}
