/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Workloads to pods, as controllers, scheduler and IPAM would. Called by build.c.
 *
 * Names: "<workload>-<n>" from 0 (a StatefulSet's first ordinal) on. If that is taken in the
 * namespace, and only then, "<workload>-<five letters>-<n>". Always the same for the same input.
 * Nodes: the eligible one with the fewest replicas of this workload, then with the fewest pods,
 * then the first; a DaemonSet takes them in order. Pods of the input come first, then StatefulSets,
 * then the rest, each in the order of the input.
 * Addresses: the lowest free of the node's pod CIDR; network, gateway (.1, ::1) and broadcast
 * address are no pod's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "load.h"
#include "owners.h"
#include "taints.h"

#define POD_NAME_LABEL "statefulset.kubernetes.io/pod-name"
#define POD_INDEX_LABEL "apps.kubernetes.io/pod-index"
#define SUFFIX_MAX 32 /* "-" five letters "-" number */

/* ---- nodes for pods ---- */

static bool selector_allows(const struct raw_workload *w, const struct raw_node *n)
{
	const struct labels *want = &w->spec.node_selector;

	for (size_t i = 0; i < want->n; i++) {
		const char *have = labels_get(&n->labels, want->v[i].key);

		if (!have && strcmp(want->v[i].key, "kubernetes.io/hostname") == 0)
			have = n->name;
		else if (!have && n->made_up) /* nobody said what a made-up node is like */
			continue;
		if (!str_eq(have, want->v[i].value))
			return false;
	}
	return true;
}

static bool is_eligible(const struct raw_workload *w, const struct raw_node *n)
{
	if (w->spec.node_name)
		return str_eq(w->spec.node_name, n->name);
	if (n->unschedulable && w->kind != WORKLOAD_DAEMON_SET)
		return false;
	return taints_allow(n, w) && selector_allows(w, n);
}

/*
 * Of a DaemonSet there is one a node. Pods that share the node's addresses share its ports: a
 * second one of a workload could not listen.
 */
static bool has_room(const struct raw_workload *w, const struct raw_node *n)
{
	if (n->n_of_workload && (w->kind == WORKLOAD_DAEMON_SET || (w->spec.host_network && w->spec.n_ports)))
		return false;
	return w->spec.host_network || !n->full;
}

static void start_workload(struct load *l, const struct raw_workload *w)
{
	for (size_t i = 0; i < l->nodes.n; i++) {
		l->nodes.v[i]->n_of_workload = 0;
		l->nodes.v[i]->eligible = is_eligible(w, l->nodes.v[i]);
	}
}

static struct raw_node *pick_node(struct load *l, const struct raw_workload *w)
{
	struct raw_node *best = NULL;

	for (size_t i = 0; i < l->nodes.n; i++) {
		struct raw_node *n = l->nodes.v[i];

		if (!n->eligible || !has_room(w, n))
			continue;
		if (!best || n->n_of_workload < best->n_of_workload ||
		    (n->n_of_workload == best->n_of_workload && n->n_pods < best->n_pods &&
		     w->kind != WORKLOAD_DAEMON_SET))
			best = n;
	}
	return best;
}

/* ---- addresses ---- */

/* The next free address of the node's pod CIDR, not yet marked as taken. -ENOSPC. */
static int next_addr(struct load *l, struct raw_node *n, enum ip_family fam, struct ip_addr *ret)
{
	const struct ip_prefix *cidr = &n->pod_cidr[fam];
	uint8_t bits = (fam == IP_V4 ? 32 : 128) - cidr->len;

	if (n->next[fam] < 2)
		n->next[fam] = 2;
	for (;; n->next[fam]++) {
		if (fam == IP_V4 && n->next[fam] + 1 >= 1ull << bits)
			return -ENOSPC;
		if (ip_prefix_nth(cidr, n->next[fam], ret) < 0)
			return -ENOSPC;
		if (!map_has(l->addrs, ret, sizeof(*ret)))
			return 0;
	}
}

/* One address of each family that the node has, or none: then the node is full. */
static int give_addrs(struct load *l, const struct raw_workload *w, struct raw_node *n,
		      struct ip_addr addr[IP_FAMILY_MAX])
{
	int r = 0;

	for (enum ip_family fam = 0; fam < IP_FAMILY_MAX && r == 0; fam++)
		if (ip_addr_is_set(&n->pod_cidr[fam].addr))
			r = next_addr(l, n, fam, &addr[fam]);
	if (r == -ENOSPC)
		n->full = true;
	for (enum ip_family fam = 0; fam < IP_FAMILY_MAX && r == 0; fam++)
		if (ip_addr_is_set(&addr[fam]))
			r = build_take_addr(l, &addr[fam], &w->place, w->workload ? w->workload : "Pod", "");
	return r;
}

static bool has_addrs(const struct raw_workload *w)
{
	return ip_addr_is_set(&w->addr[IP_V4]) || ip_addr_is_set(&w->addr[IP_V6]);
}

/* Addresses that the input gives to Pods, before any is handed out. */
static int take_given_addrs(struct load *l)
{
	int r = 0;

	for (size_t i = 0; i < l->workloads.n && r == 0; i++) {
		struct raw_workload *w = l->workloads.v[i];
		const char *what = w->kind == WORKLOAD_POD ? arena_printf(l->arena, "Pod %.63s/%.80s", w->ns, w->name) :
							     NULL;

		if (w->kind != WORKLOAD_POD || w->completed)
			continue;
		if (!what)
			return -ENOMEM;
		for (enum ip_family fam = 0; fam < IP_FAMILY_MAX && r == 0; fam++) {
			if (!load_uses(l, fam) || w->spec.host_network)
				memset(&w->addr[fam], 0, sizeof(w->addr[fam]));
			else if (ip_addr_is_set(&w->addr[fam]))
				r = build_take_addr(l, &w->addr[fam], &w->place, what, "status.podIPs");
		}
	}
	return r;
}

/* ---- names ---- */

static bool name_is_taken(const struct load *l, const char *ns, const char *name)
{
	char key[3 * OBJ_NAME_MAX];

	(void)snprintf(key, sizeof(key), "Pod %s/%s", ns, name);
	return map_get_str(l->seen, key) != NULL;
}

static int take_name(struct load *l, const struct raw_workload *w, const char *name)
{
	char key[3 * OBJ_NAME_MAX];

	(void)snprintf(key, sizeof(key), "Pod %s/%s", w->ns, name);
	return map_put_str(l->seen, key, (void *)&w->place, NULL);
}

/*
 * Five letters that depend on kind, namespace and name; from the alphabet that Kubernetes takes for
 * such (no vowels: no words).
 */
static void tag_of(const struct raw_workload *w, char tag[static 6])
{
	static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
	uint64_t h = load_stable_hash(w->workload, load_stable_hash(w->ns, 0));

	for (size_t i = 0; i < 5; i++, h /= sizeof(alphabet) - 1)
		tag[i] = alphabet[h % (sizeof(alphabet) - 1)];
	tag[5] = '\0';
}

static int name_pod(struct load *l, const struct raw_workload *w, uint64_t n, char name[static OBJ_NAME_MAX + 1])
{
	int base = (int)MIN(strlen(w->name), (size_t)OBJ_NAME_MAX - SUFFIX_MAX);
	char tag[6];

	(void)snprintf(name, OBJ_NAME_MAX + 1, "%.*s-%llu", base, w->name, (unsigned long long)n);
	if (!name_is_taken(l, w->ns, name))
		return take_name(l, w, name);
	tag_of(w, tag);
	(void)snprintf(name, OBJ_NAME_MAX + 1, "%.*s-%s-%llu", base, w->name, tag, (unsigned long long)n);
	if (!name_is_taken(l, w->ns, name))
		return take_name(l, w, name);
	return load_err(l, -EINVAL, &w->place, w->workload, "pod name %s is taken", name);
}

/* ---- one pod ---- */

static int put_pod(struct load *l, struct snapshot_edit *ed, const struct raw_workload *w, const struct pod *fill)
{
	struct pod *p = NULL;
	struct err e = {};
	char what[256];
	int r = pod_new(fill, &p, &e);

	if (r == 0)
		r = snapshot_edit_put_pod(ed, p, &e);
	if (r == 0)
		r = vec_push(&l->pods, p);
	if (r == 0)
		return 0;
	pod_unref(p);
	(void)snprintf(what, sizeof(what), "Pod %.63s/%.100s", fill->ns, fill->name);
	return load_err(l, r, &w->place, what, "%s%s%s", e.path, *e.path ? ": " : "", *e.text ? e.text : strerror(-r));
}

static void fill_common(const struct raw_workload *w, const struct raw_node *n, struct pod *fill)
{
	fill->ns = w->ns;
	fill->workload = w->workload;
	fill->node = n->name;
	fill->host_network = w->spec.host_network;
	fill->labels = w->spec.labels.v;
	fill->n_labels = w->spec.labels.n;
	fill->ports = w->spec.ports;
	fill->n_ports = w->spec.n_ports;
	fill->env = w->spec.env;
	fill->n_env = w->spec.n_env;
	if (w->spec.host_network)
		memcpy(fill->addr, n->addr, sizeof(fill->addr));
}

static void count_pending(struct load *l, const struct raw_workload *w, uint64_t n, const char *why)
{
	l->report.n_pods_pending += n;
	load_warn(l, &w->place, "%s %.63s/%.100s: %llu pod%s pending: %s", workload_kind_name[w->kind], w->ns, w->name,
		  (unsigned long long)n, n == 1 ? "" : "s", why);
}

static const char *why_pending(const struct load *l, const struct raw_workload *w)
{
	bool any = false;

	for (size_t i = 0; i < l->nodes.n; i++)
		any |= l->nodes.v[i]->eligible;
	if (!any)
		return w->spec.node_name ? "there is no node of that name" : "no node fits";
	if (l->pods.n >= LOAD_PODS_MAX)
		return "there are too many pods";
	return w->spec.host_network ? "each node has one already on its own ports" :
				      "the pod CIDRs of the nodes are full";
}

/* Returns 1 when placed, 0 when there is no room. */
static int place_pod(struct load *l, const struct raw_workload *w, struct pod *fill)
{
	struct raw_node *n;
	int r = -ENOSPC;

	while (r == -ENOSPC) {
		n = l->pods.n < LOAD_PODS_MAX ? pick_node(l, w) : NULL;
		if (!n)
			return 0;
		memset(fill->addr, 0, sizeof(fill->addr));
		if (w->kind == WORKLOAD_POD && has_addrs(w))
			memcpy(fill->addr, w->addr, sizeof(fill->addr));
		fill_common(w, n, fill);
		r = w->spec.host_network || ip_addr_is_set(&fill->addr[IP_V4]) || ip_addr_is_set(&fill->addr[IP_V6]) ?
			    0 :
			    give_addrs(l, w, n, fill->addr);
	}
	if (r < 0)
		return r;
	n->n_of_workload++;
	n->n_pods++;
	return 1;
}

/* ---- Pods of the input ---- */

static int build_pod(struct load *l, struct snapshot_edit *ed, const struct raw_workload *w)
{
	struct pod fill = { .name = w->name, .ready = !w->not_ready, .terminating = w->terminating };
	int r;

	if (w->completed)
		return 0;
	if (w->pending) {
		count_pending(l, w, 1, "so says its status");
		return 0;
	}
	start_workload(l, w);
	r = place_pod(l, w, &fill);
	if (r == 0) {
		count_pending(l, w, 1, why_pending(l, w));
		return 0;
	}
	return r < 0 ? r : put_pod(l, ed, w, &fill);
}

/* ---- workloads ---- */

/* The two labels that a StatefulSet's controller adds: Services may select by them. */
static int add_set_labels(struct load *l, const struct raw_workload *w, uint64_t n, struct pod *fill)
{
	struct label *v = arena_alloc(l->arena, (w->spec.labels.n + 2) * sizeof(*v));
	const char *name = load_strdup(l, fill->name);
	const char *index = arena_printf(l->arena, "%llu", (unsigned long long)n);
	struct labels all = { .v = v };

	if (!v || !name || !index)
		return -ENOMEM;
	for (size_t i = 0; i < w->spec.labels.n; i++) {
		const struct label *have = &w->spec.labels.v[i];

		if (strcmp(have->key, POD_NAME_LABEL) != 0 && strcmp(have->key, POD_INDEX_LABEL) != 0)
			v[all.n++] = *have;
	}
	if (strlen(name) <= LABEL_VALUE_MAX)
		v[all.n++] = (struct label){ POD_NAME_LABEL, name };
	v[all.n++] = (struct label){ POD_INDEX_LABEL, index };
	fill->labels = all.v;
	fill->n_labels = all.n;
	return 0;
}

static int build_replica(struct load *l, struct snapshot_edit *ed, const struct raw_workload *w, uint64_t i)
{
	char name[OBJ_NAME_MAX + 1];
	struct pod fill = { .ready = true };
	int r = place_pod(l, w, &fill);

	if (r <= 0)
		return r;
	r = name_pod(l, w, i + w->first_ordinal, name);
	fill.name = name;
	if (r == 0 && w->kind == WORKLOAD_STATEFUL_SET)
		r = add_set_labels(l, w, i + w->first_ordinal, &fill);
	if (r == 0)
		r = put_pod(l, ed, w, &fill);
	return r < 0 ? r : 1;
}

/* How many pods it wants: a DaemonSet one on each node that fits. */
static uint64_t n_wanted(const struct load *l, const struct raw_workload *w)
{
	uint64_t n = 0;

	if (w->kind != WORKLOAD_DAEMON_SET)
		return w->replicas;
	for (size_t i = 0; i < l->nodes.n; i++)
		n += l->nodes.v[i]->eligible;
	return n;
}

static int build_workload(struct load *l, struct snapshot_edit *ed, const struct raw_workload *w)
{
	uint64_t want, i;

	if (w->observed)
		return 0;
	start_workload(l, w);
	want = n_wanted(l, w);
	for (i = 0; i < want; i++) {
		int r = build_replica(l, ed, w, i);

		if (r < 0)
			return r;
		if (r == 0)
			break;
	}
	if (i < want)
		count_pending(l, w, want - i, why_pending(l, w));
	return 0;
}

static int rank(const struct raw_workload *w)
{
	return w->kind == WORKLOAD_POD ? 0 : w->kind == WORKLOAD_STATEFUL_SET ? 1 : 2;
}

int pods_build(struct load *l, struct snapshot_edit *ed)
{
	int r = owners_resolve(l);

	if (r == 0)
		r = take_given_addrs(l);
	for (int pass = 0; pass < 3; pass++) {
		for (size_t i = 0; i < l->workloads.n && r == 0; i++) {
			const struct raw_workload *w = l->workloads.v[i];

			if (rank(w) == pass)
				r = pass == 0 ? build_pod(l, ed, w) : build_workload(l, ed, w);
		}
	}
	return r;
}
