/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Completes the nodes. Without Node objects nodes are made up: first those that Pods name, then
 * "node-1", "node-2", ... What a node lacks is filled in: an address of the node CIDR, and a part
 * of the pod CIDR (a /24 and a /64; larger IPv4 parts when the pods would not fit into these).
 * Called by build.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

#define N_NODES_DEFAULT 2
#define HOSTNAME_LABEL "kubernetes.io/hostname"

static const uint8_t default_len[IP_FAMILY_MAX] = { 24, 64 };
static const uint8_t longest_len[IP_FAMILY_MAX] = { 29, 125 };

/* ---- making up ---- */

static int make_up(struct load *l, const char *name)
{
	struct raw_node *n;

	if (map_has(l->node_by_name, name, map_str_size(name)))
		return 0;
	n = arena_alloc(l->arena, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->place = (struct place){ "(made up)", 0 };
	n->made_up = true;
	n->name = load_intern(l, name);
	if (!n->name || map_put_str(l->node_by_name, name, n, NULL) < 0)
		return -ENOMEM;
	return vec_push(&l->nodes, n);
}

static int make_up_nodes(struct load *l)
{
	uint32_t want = l->conf->n_nodes ? l->conf->n_nodes : N_NODES_DEFAULT;

	for (size_t i = 0; i < l->workloads.n; i++) {
		const struct pod_spec *spec = &l->workloads.v[i]->spec;
		const char *name = spec->node_name ? spec->node_name : labels_get(&spec->node_selector, HOSTNAME_LABEL);

		if (name && *name && make_up(l, name) < 0)
			return -ENOMEM;
	}
	for (uint32_t i = 1; l->nodes.n < want; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "node-%u", i);
		if (make_up(l, name) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- node addresses ---- */

/* The node as messages name it; NULL = -ENOMEM. */
static const char *node_text(struct load *l, const struct raw_node *n)
{
	return arena_printf(l->arena, "Node %.100s", n->name);
}

static int take_addr(struct load *l, const struct raw_node *n, enum ip_family fam, const char *field)
{
	const char *what = node_text(l, n);

	return what ? build_take_addr(l, &n->addr[fam], &n->place, what, field) : -ENOMEM;
}

static int take_given_addrs(struct load *l)
{
	int r = 0;

	for (size_t i = 0; i < l->nodes.n; i++) {
		struct raw_node *n = l->nodes.v[i];

		for (enum ip_family fam = 0; fam < IP_FAMILY_MAX && r == 0; fam++) {
			if (!load_uses(l, fam)) {
				memset(&n->addr[fam], 0, sizeof(n->addr[fam]));
				memset(&n->pod_cidr[fam], 0, sizeof(n->pod_cidr[fam]));
			}
			if (ip_addr_is_set(&n->addr[fam]))
				r = take_addr(l, n, fam, "status.addresses");
		}
	}
	return r;
}

/*
 * "node-1" gets .11, and so on: the ones below are for gateways. A small CIDR is used from its
 * start.
 */
static int fill_addrs(struct load *l, enum ip_family fam)
{
	const struct ip_prefix *cidr = &l->node_cidr[fam];
	uint8_t bits = (fam == IP_V4 ? 32 : 128) - cidr->len;
	uint64_t next = bits >= 6 ? 11 : 1;

	for (size_t i = 0; i < l->nodes.n; i++) {
		struct raw_node *n = l->nodes.v[i];

		if (ip_addr_is_set(&n->addr[fam]))
			continue;
		do {
			if ((fam == IP_V4 && next + 1 >= 1ull << bits) ||
			    ip_prefix_nth(cidr, next++, &n->addr[fam]) < 0)
				return err_set(l->e, -ENOSPC, "node CIDR", "has too few IPv%d addresses for %zu nodes",
					       fam == IP_V4 ? 4 : 6, l->nodes.n);
		} while (map_has(l->addrs, &n->addr[fam], sizeof(n->addr[fam])));
		if (take_addr(l, n, fam, "") < 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- pod CIDRs ---- */

static bool overlap(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return ip_prefix_contains(a, &b->addr) || ip_prefix_contains(b, &a->addr);
}

static int by_pod_cidr(const void *a, const void *b, void *fam)
{
	const struct raw_node *x = *(struct raw_node *const *)a, *y = *(struct raw_node *const *)b;

	return ip_addr_cmp(&x->pod_cidr[*(enum ip_family *)fam].addr, &y->pod_cidr[*(enum ip_family *)fam].addr);
}

/* The nodes with a pod CIDR of this family, sorted by it; -EINVAL when two overlap. */
static int given_cidrs(struct load *l, enum ip_family fam, struct raw_node **ret, size_t *ret_n)
{
	size_t n = 0;

	for (size_t i = 0; i < l->nodes.n; i++)
		if (ip_addr_is_set(&l->nodes.v[i]->pod_cidr[fam].addr))
			ret[n++] = l->nodes.v[i];
	qsort_r(ret, n, sizeof(struct raw_node *), by_pod_cidr, &fam);
	for (size_t i = 0; i < n; i++) {
		const char *what = node_text(l, ret[i]);
		char text[IP_PREFIX_STR_MAX];

		if (!what)
			return -ENOMEM;
		(void)ip_prefix_format(&ret[i]->pod_cidr[fam], text);
		if (i && overlap(&ret[i - 1]->pod_cidr[fam], &ret[i]->pod_cidr[fam]))
			return load_err(l, -EINVAL, &ret[i]->place, what,
					"pod CIDR %s overlaps with that of Node %.80s at %s:%u", text, ret[i - 1]->name,
					ret[i - 1]->place.file, ret[i - 1]->place.line);
		if (overlap(&ret[i]->pod_cidr[fam], &l->service_cidr[fam]))
			return load_err(l, -EINVAL, &ret[i]->place, what, "pod CIDR %s overlaps with the service CIDR",
					text);
	}
	*ret_n = n;
	return 0;
}

/* Pods that need an address of their own. DaemonSets: one a node. */
static uint64_t n_pods_wanted(const struct load *l)
{
	uint64_t n = 0;

	for (size_t i = 0; i < l->workloads.n; i++) {
		const struct raw_workload *w = l->workloads.v[i];

		if (!w->spec.host_network && !w->observed)
			n += w->kind == WORKLOAD_POD ? 1 : w->kind == WORKLOAD_DAEMON_SET ? l->nodes.n : w->replicas;
	}
	return n;
}

static uint8_t log2_up(uint64_t n)
{
	uint8_t bits = 0;

	while (1ull << bits < n)
		bits++;
	return bits;
}

/* Length of a node's part of the pod CIDR. */
static int part_len(struct load *l, enum ip_family fam, uint8_t *ret)
{
	uint8_t least = l->pod_cidr[fam].len + log2_up(l->nodes.n); /* parts for all nodes exist */
	uint8_t len = default_len[fam] > least ? default_len[fam] : least;
	uint64_t want = n_pods_wanted(l);

	if (len > longest_len[fam])
		return err_set(l->e, -ENOSPC, "pod CIDR", "is too small for %zu nodes", l->nodes.n);
	if (want > LOAD_PODS_MAX)
		want = LOAD_PODS_MAX;
	/*
	 * Network, gateway and broadcast are no pod's; nor is it known that pods spread evenly:
	 * twice the need.
	 */
	while (fam == IP_V4 && len > least && ((1ull << (32 - len)) - 3) * l->nodes.n < want * 2)
		len--;
	*ret = len;
	return 0;
}

static bool is_free(const struct ip_prefix *p, struct raw_node *const *given, size_t n_given)
{
	for (size_t i = 0; i < n_given; i++)
		if (overlap(p, &given[i]->pod_cidr[ip_addr_family(&p->addr)]))
			return false;
	return true;
}

static int fill_pod_cidrs(struct load *l, enum ip_family fam)
{
	CLEANUP_FREE struct raw_node **given = calloc(l->nodes.n, sizeof(*given));
	size_t n_given = 0;
	uint64_t next = 0;
	uint8_t len = 0;
	int r = given ? given_cidrs(l, fam, given, &n_given) : -ENOMEM;

	if (r < 0 || n_given == l->nodes.n)
		return r;
	r = part_len(l, fam, &len);
	for (size_t i = 0; i < l->nodes.n && r == 0; i++) {
		struct raw_node *n = l->nodes.v[i];

		if (ip_addr_is_set(&n->pod_cidr[fam].addr))
			continue;
		do {
			r = ip_prefix_sub(&l->pod_cidr[fam], len, next++, &n->pod_cidr[fam]);
		} while (r == 0 && !is_free(&n->pod_cidr[fam], given, n_given));
		if (r < 0)
			return err_set(l->e, -ENOSPC, "pod CIDR", "is too small for %zu nodes", l->nodes.n);
	}
	return r;
}

/* ---- entry ---- */

static int put_nodes(struct load *l, struct snapshot_edit *ed)
{
	int r = 0;

	for (size_t i = 0; i < l->nodes.n && r == 0; i++) {
		const struct raw_node *raw = l->nodes.v[i];
		struct node fill = { .name = raw->name, .zone = raw->zone };
		struct node *n = NULL;
		struct err e = {};

		memcpy(fill.addr, raw->addr, sizeof(fill.addr));
		memcpy(fill.pod_cidr, raw->pod_cidr, sizeof(fill.pod_cidr));
		r = node_new(&fill, &n, &e);
		if (r == 0)
			r = snapshot_edit_put_node(ed, n, &e);
		node_unref(n);
		if (r < 0)
			return load_err(l, r, &raw->place, "Node", "%s: %s%s%s", raw->name, e.path, *e.path ? ": " : "",
					e.text);
	}
	return r;
}

int nodes_build(struct load *l, struct snapshot_edit *ed)
{
	int r = 0;

	for (size_t i = 0; i < l->nodes.n && r == 0; i++)
		r = map_put_str(l->node_by_name, l->nodes.v[i]->name, l->nodes.v[i], NULL);
	if (r == 0 && l->nodes.n == 0)
		r = make_up_nodes(l);
	if (r == 0)
		r = take_given_addrs(l);
	for (enum ip_family fam = 0; fam < IP_FAMILY_MAX && r == 0; fam++) {
		if (!load_uses(l, fam))
			continue;
		r = fill_addrs(l, fam);
		if (r == 0)
			r = fill_pod_cidrs(l, fam);
	}
	return r == 0 ? put_nodes(l, ed) : r;
}
