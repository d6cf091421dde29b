/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * apply() of target bpf-sock.
 *
 * A change is written in an order in which every call finds a whole Service, old or new:
 *	1. what a Service will lead to: backends, members, hairpins, slots, counters
 *	2. what switches it: addresses that are no longer carried, then Service ports, then new addresses (an address without its ports is refused)
 *	3. what nothing leads to any more
 *	4. clients' memory of Service ports without affinity, and UDP sockets that are connected to a backend which serves no longer
 *
 * Full: compared with what is in force, and only the difference is written, into the same maps when they have room. Else all is written into new ones, and the
 * programs are exchanged for such as use these. Delta: its own operations, into the maps in force.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "sock.h"

/* Clients that are remembered once any Service asks for it; about 8 MiB. */
#define AFFINITY_ENTRIES 65536
#define AFFINITY_ENTRIES_NONE 1024

struct change {
	struct sock *h;
	const struct target_program *p;
	struct target_stats *stats;
	struct err *e;
	int fd[MAP_MAX]; /* where to write */
	const struct entries *del; /* TABLE_MAX lists: what is there */
	struct table_ops ops[TABLE_MAX];
};

static void change_free(struct change *c)
{
	for (int t = 0; t < TABLE_MAX; t++)
		table_ops_free(&c->ops[t]);
}

static int build_ops(struct change *c)
{
	int r = 0;

	for (int t = 0; t < TABLE_MAX && r == 0; t++) {
		table_ops_free(&c->ops[t]);
		r = table_ops_build(t, &c->del[t], &c->p->add[t], &c->ops[t]);
	}
	return r;
}

static int put(struct change *c, enum table_id t)
{
	const struct table_ops *ops = &c->ops[t];
	int r = map_write(c->fd[t], t, &c->p->add[t], ops->put, ops->n_put);

	c->stats->n_transactions += DIV_ROUND_UP(ops->n_put, SOCK_BATCH);
	c->stats->n_added += ops->n_put;
	return r < 0 ? err_set_errno(c->e, r, table_spec[t].name, "cannot write the map") : 0;
}

static int drop(struct change *c, enum table_id t)
{
	const struct table_ops *ops = &c->ops[t];
	int r = map_delete(c->fd[t], t, &c->del[t], ops->drop, ops->n_drop);

	c->stats->n_transactions += DIV_ROUND_UP(ops->n_drop, SOCK_BATCH);
	c->stats->n_removed += ops->n_drop;
	return r < 0 ? err_set_errno(c->e, r, table_spec[t].name, "cannot delete from the map") : 0;
}

static int put_connections(struct change *c)
{
	const struct table_ops *ops = &c->ops[TABLE_SERVICES];
	int r = map_sync_connections(c->fd[MAP_CONNECTIONS], &c->p->add[TABLE_SERVICES], ops->put, ops->n_put);

	return r < 0 ? err_set_errno(c->e, r, "connections", "cannot write the map") : 0;
}

static int drop_connections(struct change *c)
{
	const struct table_ops *ops = &c->ops[TABLE_SERVICES];
	int r = map_drop_connections(c->fd[MAP_CONNECTIONS], &c->del[TABLE_SERVICES], ops->drop, ops->n_drop);

	return r < 0 ? err_set_errno(c->e, r, "connections", "cannot delete from the map") : 0;
}

/* Steps 1 and 2, without the removals among them when `fresh`: nobody sees the maps yet. */
static int write_changes(struct change *c)
{
	static const enum table_id prepare[] = { TABLE_BACKENDS, TABLE_MEMBERS, TABLE_HAIRPINS, TABLE_SLOTS };
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(prepare) && r == 0; i++)
		r = put(c, prepare[i]);
	if (r == 0)
		r = put_connections(c);
	if (r == 0)
		r = drop(c, TABLE_CLUSTER_IPS);
	if (r == 0)
		r = put(c, TABLE_SERVICES);
	if (r == 0)
		r = drop(c, TABLE_SERVICES);
	return r ? r : put(c, TABLE_CLUSTER_IPS);
}

static int clean_up(struct change *c)
{
	static const enum table_id clean[] = { TABLE_BACKENDS, TABLE_MEMBERS, TABLE_HAIRPINS, TABLE_SLOTS };
	int r = drop_connections(c);

	for (size_t i = 0; i < ARRAY_LEN(clean) && r == 0; i++)
		r = drop(c, clean[i]);
	return r;
}

static void note_sizes(struct change *c)
{
	for (int t = 0; t < TABLE_MAX; t++) {
		c->h->n_entries[t] = c->del == c->p->del ? c->h->n_entries[t] : c->del[t].n;
		c->h->n_entries[t] += c->ops[t].n_new;
		c->h->n_entries[t] -= MIN(c->ops[t].n_drop, c->h->n_entries[t]);
	}
}

/* May a UDP socket have lost its backend? A delta tells: a member went, or changed, or a Service port went. */
static bool may_strand(const struct change *c)
{
	const struct table_ops *members = &c->ops[TABLE_MEMBERS];

	if (!c->p->touches_udp)
		return false;
	return bpf_sock_program_is_full(c->p) || members->n_drop || members->n_put > members->n_new ||
	       c->ops[TABLE_SERVICES].n_drop;
}

static int finish(struct change *c)
{
	struct snapshot *old = c->h->snapshot;
	int r;

	note_sizes(c);
	c->h->snapshot = snapshot_ref(c->p->to);
	snapshot_unref(old);
	r = memory_forget_gone(c->h, c->p, &c->stats->n_removed, c->e);
	if (r == 0 && may_strand(c))
		r = pinned_destroy_stale(c->h, c->p, &c->stats->n_stale_flows, c->e);
	return r;
}

static size_t affinity_entries(const struct target_program *p)
{
	const struct entries *l = &p->add[TABLE_SERVICES];

	for (size_t i = 0; i < l->n; i++) {
		struct bpf_service svc;

		memcpy(&svc, entry_value(TABLE_SERVICES, l, i), sizeof(svc));
		if (svc.flags & BPF_SERVICE_AFFINITY)
			return AFFINITY_ENTRIES;
	}
	return AFFINITY_ENTRIES_NONE;
}

static int count_pod(const struct pod *p, void *arg)
{
	(void)p;
	++*(size_t *)arg;
	return 0;
}

/* The node, and at most all pods. */
static size_t count_clients(const struct target_program *p)
{
	size_t n = 1;

	(void)snapshot_each_pod(p->to, count_pod, &n); /* count_pod never fails */
	return n;
}

/* ---- delta ---- */

/* Old and new of a change stand side by side for a moment. */
static bool delta_has_room(const struct change *c)
{
	if (count_clients(c->p) > c->h->max_entries[MAP_CLIENTS])
		return false;
	for (int t = 0; t < TABLE_MAX; t++)
		if (c->h->n_entries[t] + c->ops[t].n_new > c->h->max_entries[t])
			return false;
	if (affinity_entries(c->p) > c->h->max_entries[MAP_AFFINITY])
		return false;
	return c->h->n_entries[TABLE_SERVICES] + c->ops[TABLE_SERVICES].n_new <= c->h->max_entries[MAP_CONNECTIONS];
}

/* -ESTALE: this needs a full program. Its maps are not those in force (any more), or have no room. Nothing was changed. */
static int apply_delta(struct sock *h, const struct target_program *p, struct target_stats *stats, struct err *e)
{
	CLEANUP(change_free) struct change c = { .h = h, .p = p, .stats = stats, .e = e, .del = p->del };
	CLEANUP_FD int lock = h->loaded ? kernel_lock(e) : -ESTALE;
	int r = lock < 0 ? lock : 0;

	if (r == 0 && !kernel_is_current(h))
		r = -ESTALE;
	if (r < 0)
		return r;
	memcpy(c.fd, h->map_fd, sizeof(c.fd));
	r = build_ops(&c);
	if (r < 0)
		return r;
	if (!delta_has_room(&c))
		return -ESTALE;
	if (p->changes_clients || h->clients_missing)
		r = clients_sync(h, p, h->map_fd[MAP_CLIENTS], e);
	if (r == 0)
		r = write_changes(&c);
	if (r == 0)
		r = clean_up(&c);
	return r ? r : finish(&c);
}

/* ---- full ---- */

/* What is in force; nothing, when it is not whole. */
struct found {
	struct entries v[TABLE_MAX];
};

static void found_free(struct found *f)
{
	for (int t = 0; t < TABLE_MAX; t++)
		entries_free(&f->v[t]);
}

static int read_found(const struct sock *h, struct found *ret, struct err *e)
{
	for (int t = 0; t < TABLE_MAX && h->loaded; t++) {
		int r = map_read(h->map_fd[t], t, &ret->v[t]);

		if (r < 0)
			return err_set_errno(e, r, table_spec[t].name, "cannot read the map");
	}
	return 0;
}

struct copy {
	int from, to;
	uint64_t flags; /* of bpf(2) */
	void *value; /* of all CPUs */
};

static int copy_element(const void *key, void *arg)
{
	struct copy *copy = arg;
	int r = bpf_map_lookup_elem(copy->from, key, copy->value);

	if (r == 0)
		r = bpf_map_update_elem(copy->to, key, copy->value, copy->flags);
	return r == -ENOENT ? 0 : r; /* it went, or belongs to a Service that did */
}

/* Larger maps: what packets wrote goes along, counts of Service ports that are still there and the memory of clients. */
static int move_written(struct change *c)
{
	int n_cpus = libbpf_num_possible_cpus();
	CLEANUP_FREE void *value = calloc((size_t)MAX(n_cpus, 1), MAX(sizeof(uint64_t), sizeof(struct bpf_affinity)));
	struct copy counts = { c->h->map_fd[MAP_CONNECTIONS], c->fd[MAP_CONNECTIONS], BPF_EXIST, value };
	struct copy memory = { c->h->map_fd[MAP_AFFINITY], c->fd[MAP_AFFINITY], BPF_ANY, value };
	int r;

	if (!value)
		return -ENOMEM;
	r = map_each_key(counts.from, sizeof(struct bpf_vip), copy_element, &counts);
	return r ? r : map_each_key(memory.from, sizeof(struct bpf_client_key), copy_element, &memory);
}

static void want_entries(const struct change *c, size_t want[static MAP_MAX])
{
	for (int t = 0; t < TABLE_MAX; t++)
		want[t] = c->p->add[t].n + c->ops[t].n_drop;
	want[MAP_CONNECTIONS] = want[TABLE_SERVICES];
	want[MAP_CLIENTS] = count_clients(c->p);
	want[MAP_AFFINITY] = affinity_entries(c->p);
}

/* Loads the programs, with the maps in force or new ones, and brings those to what they are to hold. Nothing new is in force yet if the maps are. */
static int load_and_fill(struct change *c, struct kernel_new **ret)
{
	static const struct entries nothing[TABLE_MAX];
	struct sock *h = c->h;
	CLEANUP(kernel_new_freep) struct kernel_new *n = NULL;
	size_t want[MAP_MAX] = {};
	uint64_t cookie;
	int r = clients_node_cookie(h, &cookie, c->e);

	if (r == 0)
		r = build_ops(c);
	want_entries(c, want);
	if (r == 0)
		r = kernel_load(h, want, c->p->host_only, cookie, &n, c->e);
	for (int i = 0; i < MAP_MAX && r == 0; i++)
		c->fd[i] = kernel_new_map(n, i);
	if (r == 0 && !kernel_new_is_kept(n, TABLE_SERVICES)) {
		c->del = nothing;
		r = build_ops(c);
	}
	if (r == 0)
		r = clients_sync(h, c->p, c->fd[MAP_CLIENTS], c->e);
	if (r == 0)
		r = write_changes(c);
	if (r == 0 && h->loaded && !kernel_new_is_kept(n, MAP_CONNECTIONS))
		r = move_written(c);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(n);
	return 0;
}

static int apply_full(struct sock *h, const struct target_program *p, struct target_stats *stats, struct err *e)
{
	CLEANUP(found_free) struct found found = {};
	CLEANUP(change_free) struct change c = { .h = h, .p = p, .stats = stats, .e = e, .del = found.v };
	CLEANUP(kernel_new_freep) struct kernel_new *n = NULL;
	CLEANUP_FD int lock = kernel_lock(e);
	int r = lock < 0 ? lock : 0;

	if (r < 0)
		return r;
	kernel_sweep();
	r = kernel_adopt(h, e);
	if (r == 0)
		r = read_found(h, &found, e);
	if (r == 0)
		r = load_and_fill(&c, &n);
	if (r == 0)
		r = kernel_attach(h, n, e);
	if (r == 0)
		r = clean_up(&c);
	for (int t = 0; t < TABLE_MAX; t++)
		stats->n_kept += p->add[t].n - c.ops[t].n_put;
	return r ? r : finish(&c);
}

static int apply_full_of(struct sock *h, const struct target_program *p, struct target_stats *stats, struct err *e)
{
	CLEANUP(bpf_sock_program_freep) struct target_program *full = NULL;
	int r = bpf_sock_program_compile_full(p, &full, e);

	return r < 0 ? r : apply_full(h, full, stats, e);
}

int bpf_sock_apply(void *handle, const struct target_program *p, struct target_stats *stats, struct err *e)
{
	struct sock *h = handle;
	int r;

	if (bpf_sock_program_is_full(p)) {
		r = apply_full(h, p, stats, e);
	} else {
		r = apply_delta(h, p, stats, e);
		if (r == -ESTALE)
			r = apply_full_of(h, p, stats, e);
	}
	return r < 0 ? err_set_errno(e, r, NULL, "cannot change what the node's sockets are led to") :
		       0; /* keeps a text */
}
