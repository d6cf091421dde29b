/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshot to program: which pods of this node are wired, under which names, and which routes lead to the pods of
 * the other nodes. Pure. Called through target_host.compile.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "host.h"

#define NAME_BITS 40

/*
 * FNV-1a, 64 bit, folded to 40: names and MACs are derived from it, so it may never change (links of an older
 * version are told by it).
 */
static uint64_t name_hash(const char *ns, const char *name)
{
	const char *const part[] = { ns, "/", name };
	uint64_t h = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < ARRAY_LEN(part); i++)
		for (const char *c = part[i]; *c; c++)
			h = (h ^ (uint8_t)*c) * 0x100000001b3ull;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ull;
	h ^= h >> 32;
	return h & ((1ull << NAME_BITS) - 1);
}

/* Locally administered: 0a: the node's end, 0e: the pod's. */
static void name_mac(uint64_t h, uint8_t first, uint8_t mac[static 6])
{
	mac[0] = first;
	for (int i = 1; i < 6; i++)
		mac[i] = (uint8_t)(h >> (8 * (5 - i)));
}

void host_pod_names(const char *ns, const char *name, struct host_pod *ret)
{
	uint64_t h = name_hash(ns, name);

	(void)snprintf(ret->ifname, sizeof(ret->ifname), HOST_IFNAME_PREFIX "%010llx", (unsigned long long)h);
	name_mac(h, 0x0a, ret->mac_node);
	name_mac(h, 0x0e, ret->mac_pod);
}

bool host_link_is_ours(const struct rtnl_link *l)
{
	unsigned long long h = 0;
	char again[16];
	uint8_t mac[6];
	int end = 0;

	if (strcmp(l->kind, "veth") != 0 || sscanf(l->name, HOST_IFNAME_PREFIX "%10llx%n", &h, &end) != 1 ||
	    l->name[end])
		return false;
	(void)snprintf(again, sizeof(again), HOST_IFNAME_PREFIX "%010llx", h);
	name_mac(h, 0x0a, mac);
	return strcmp(again, l->name) == 0 && memcmp(mac, l->mac, sizeof(mac)) == 0;
}

/* Is the pod wired on this node? */
static bool is_ours(const struct target_program *p, const struct pod *pod)
{
	return pod && !pod->host_network && str_eq(pod->node, p->node) &&
	       (ip_addr_is_set(&pod->addr[IP_V4]) || ip_addr_is_set(&pod->addr[IP_V6]));
}

static int add_pod(struct target_program *p, const struct pod *pod, bool gone, struct err *e)
{
	struct host_pod hp = {};
	int r;

	host_pod_names(pod->ns, pod->name, &hp);
	for (size_t i = 0; !gone && i < p->pods.n; i++) {
		const struct pod *other = p->pods.v[i].pod;

		if (strcmp(p->pods.v[i].ifname, hp.ifname) == 0)
			return err_set(e, -EEXIST, hp.ifname,
				       "the interface names of pods %s/%s and %s/%s collide: rename one", pod->ns,
				       pod->name, other->ns, other->name);
	}
	hp.pod = pod_ref(pod);
	r = gone ? vec_push(&p->gone_pods, hp) : vec_push(&p->pods, hp);
	if (r < 0)
		pod_unref(hp.pod);
	return r;
}

static int add_route(struct target_program *p, const struct ip_prefix *dst, const struct ip_addr *via, const char *node,
		     bool gone)
{
	struct host_route hr = { .dst = *dst, .node = arena_strdup(p->arena, node) };

	if (!hr.node)
		return -ENOMEM;
	if (via)
		hr.via = *via;
	return gone ? vec_push(&p->gone_routes, hr) : vec_push(&p->routes, hr);
}

static bool route_wanted(const struct node *n, enum ip_family f)
{
	return n && ip_addr_is_set(&n->pod_cidr[f].addr) && ip_addr_is_set(&n->addr[f]);
}

/* Another node: its pods by its address. */
static int add_node(struct target_program *p, const struct node *n)
{
	for (int f = 0; f < IP_FAMILY_MAX; f++) {
		int r = route_wanted(n, f) ? add_route(p, &n->pod_cidr[f], &n->addr[f], n->name, false) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * Our own pod CIDR ends here: an address that no pod has must not follow the default route and come back.
 * "unreachable", not "blackhole": the client is told at once. A pod's own /32 or /128 is longer and wins.
 */
static int add_own(struct target_program *p, const struct node *n)
{
	for (int f = 0; f < IP_FAMILY_MAX; f++) {
		int r = ip_addr_is_set(&n->pod_cidr[f].addr) ? add_route(p, &n->pod_cidr[f], NULL, "", false) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static int compile_full(struct target_program *p, const struct snapshot *s, struct err *e)
{
	CLEANUP_FREE const struct node **nodes = NULL;
	CLEANUP_FREE const struct pod **pods = NULL;
	size_t n_nodes = 0, n_pods = 0;
	int r = snapshot_sorted_nodes(s, &nodes, &n_nodes);

	for (size_t i = 0; !r && i < n_nodes; i++)
		r = strcmp(nodes[i]->name, p->node) == 0 ? add_own(p, nodes[i]) : add_node(p, nodes[i]);
	if (!r)
		r = snapshot_sorted_pods(s, &pods, &n_pods);
	for (size_t i = 0; !r && i < n_pods; i++)
		r = is_ours(p, pods[i]) ? add_pod(p, pods[i], false, e) : 0;
	return r;
}

struct delta {
	struct target_program *p;
	struct err *e;
};

static bool pod_same_wiring(const struct pod *a, const struct pod *b)
{
	return ip_addr_eq(&a->addr[IP_V4], &b->addr[IP_V4]) && ip_addr_eq(&a->addr[IP_V6], &b->addr[IP_V6]);
}

static int delta_pod(const struct pod *from, const struct pod *to, void *arg)
{
	struct delta *d = arg;
	bool was = is_ours(d->p, from);
	bool is = is_ours(d->p, to);

	if (was && !is)
		return add_pod(d->p, from, true, d->e);
	if (is && !(was && pod_same_wiring(from, to)))
		return add_pod(d->p, to, false, d->e);
	return 0;
}

static int delta_node(const struct node *from, const struct node *to, void *arg)
{
	struct target_program *p = ((struct delta *)arg)->p;
	const char *name = from ? from->name : to->name;
	int r = 0;

	if (strcmp(name, p->node) == 0)
		return 0; /* compared before: nothing that matters here changed */
	for (int f = 0; !r && f < IP_FAMILY_MAX; f++) {
		bool was = route_wanted(from, f);
		bool is = route_wanted(to, f);
		bool same_dst = was && is &&
				memcmp(&from->pod_cidr[f], &to->pod_cidr[f], sizeof(struct ip_prefix)) == 0;

		if (was && !same_dst)
			r = add_route(p, &from->pod_cidr[f], &from->addr[f], name, true);
		if (!r && is && !(same_dst && ip_addr_eq(&from->addr[f], &to->addr[f])))
			r = add_route(p, &to->pod_cidr[f], &to->addr[f], name, false);
	}
	return r;
}

/* Does a change from `a` to `b` of our own node touch all that we made? */
static bool own_node_same(const struct node *a, const struct node *b)
{
	return a && memcmp(a->addr, b->addr, sizeof(a->addr)) == 0 &&
	       memcmp(a->pod_cidr, b->pod_cidr, sizeof(a->pod_cidr)) == 0;
}

int host_compile(const struct target_input *in, struct target_program **ret, struct err *e)
{
	const struct node *own = snapshot_node(in->to, in->node);
	CLEANUP(host_program_freep) struct target_program *p = NULL;
	int r;

	if (!own)
		return err_set(e, -ENOENT, in->node, "the model has no such node");
	p = calloc(1, sizeof(*p));
	if (!p || arena_new(&p->arena) < 0)
		return -ENOMEM;
	p->node = arena_strdup(p->arena, in->node);
	if (!p->node)
		return -ENOMEM;
	memcpy(p->addr, own->addr, sizeof(p->addr));
	p->full = !in->from || !own_node_same(snapshot_node(in->from, in->node), own);
	if (p->full) {
		r = compile_full(p, in->to, e);
	} else {
		const struct snapshot_diff_ops ops = { .node = delta_node, .pod = delta_pod };
		struct delta d = { p, e };

		r = snapshot_diff(in->from, in->to, &ops, &d);
	}
	if (r < 0)
		return r;
	*ret = TAKE_PTR(p);
	return 0;
}

void host_program_free(struct target_program *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->pods.n; i++)
		pod_unref(p->pods.v[i].pod);
	for (size_t i = 0; i < p->gone_pods.n; i++)
		pod_unref(p->gone_pods.v[i].pod);
	vec_free(&p->pods);
	vec_free(&p->gone_pods);
	vec_free(&p->routes);
	vec_free(&p->gone_routes);
	arena_free(p->arena);
	free(p);
}
