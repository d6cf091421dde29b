/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random edits against plain arrays: after each commit every lookup, the counts, the difference to an older snapshot, and the dump must
 * be what the arrays say; the older snapshots must stay what they were.
 */
#include <errno.h>

#include "base/rand.h"
#include "model_util.h"

enum { N_NODES = 6, N_PODS = 25, N_SERVICES = 15, N_ADDRS = 40, N_CIDRS = 8, N_OLD = 5, N_ROUNDS = 300 };

static const char *const cidrs[N_CIDRS] = { "10.0.0.0/27", "10.0.0.32/27", "10.0.0.0/28",   "10.0.0.16/29",
					    "10.0.0.1/32", "10.0.0.0/8",   "10.0.0.128/25", "0.0.0.0/0" };

struct world {
	struct node *node[N_NODES];
	struct pod *pod[N_PODS];
	struct service *service[N_SERVICES];
};

struct old {
	struct snapshot *s;
	struct world world;
	char *text;
};

static const char *numbered(char buf[static 16], const char *what, size_t i)
{
	(void)snprintf(buf, 16, "%.6s-%u", what, (unsigned int)i % 1000);
	return buf;
}

/* One of few addresses, or none. Pods, nodes and Services draw from the same, so that they meet. */
static struct ip_addr random_addr(struct rng *rng)
{
	uint64_t n = rng_below(rng, N_ADDRS + 10);

	return n < N_ADDRS ? ip4_nth((uint32_t)n) : (struct ip_addr){ 0 };
}

static struct ip_addr random_addr6(struct rng *rng)
{
	uint64_t n = rng_below(rng, 4 * N_ADDRS);

	return n < N_ADDRS ? ip6_nth((uint32_t)n) : (struct ip_addr){ 0 };
}

static struct node *random_node(struct rng *rng, size_t i)
{
	struct node fill = { .addr = { random_addr(rng), random_addr6(rng) } }, *n = NULL;
	uint64_t c = rng_below(rng, N_CIDRS + 2);
	char name[16];

	fill.name = numbered(name, "node", i);
	if (c < N_CIDRS)
		fill.pod_cidr[IP_V4] = cidr(cidrs[c]);
	assert_int_equal(node_new(&fill, &n, NULL), 0);
	return n;
}

static struct pod *random_pod(struct rng *rng, size_t i)
{
	struct pod fill = { .addr = { random_addr(rng), random_addr6(rng) } }, *p = NULL;
	char name[16];

	fill.ns = i % 2 ? "odd" : "even";
	fill.name = numbered(name, "pod", i / 2); /* the same name in both namespaces */
	fill.host_network = rng_below(rng, 6) == 0;
	fill.ready = rng_below(rng, 2);
	assert_int_equal(pod_new(&fill, &p, NULL), 0);
	return p;
}

static struct service *random_service(struct rng *rng, size_t i)
{
	struct endpoint ep[5];
	struct service_port port = { .proto = IPPROTO_TCP, .port = 80, .endpoints = { ep } };
	struct service fill = { .ns = "odd", .n_ports = 1, .ports = &port }, *s = NULL;
	char name[16];

	fill.name = numbered(name, "pod", i); /* as the pods */
	fill.cluster_ip[IP_V4] = random_addr(rng);
	fill.cluster_ip[IP_V6] = random_addr6(rng);
	port.n_endpoints[IP_V4] = rng_below(rng, ARRAY_LEN(ep) + 1);
	for (size_t k = 0; k < port.n_endpoints[IP_V4]; k++)
		ep[k] = (struct endpoint){ .addr = ip4_nth((uint32_t)rng_below(rng, 8)),
					   .port = 80,
					   .ready = rng_below(rng, 2) };
	assert_int_equal(service_new(&fill, &s, NULL), 0);
	return s;
}

/* ---- the world as arrays ---- */

static bool addrs_meet(const struct ip_addr a[IP_FAMILY_MAX], const struct ip_addr b[IP_FAMILY_MAX])
{
	for (int fam = 0; fam < IP_FAMILY_MAX; fam++)
		if (ip_addr_is_set(&a[fam]) && ip_addr_eq(&a[fam], &b[fam]))
			return true;
	return false;
}

/* Whether another object than `self` has one of the addresses. */
static bool is_taken(const struct world *w, const void *self, const struct ip_addr a[IP_FAMILY_MAX])
{
	for (size_t i = 0; i < N_NODES; i++)
		if (w->node[i] && w->node[i] != self && addrs_meet(a, w->node[i]->addr))
			return true;
	for (size_t i = 0; i < N_PODS; i++)
		if (w->pod[i] && w->pod[i] != self && !w->pod[i]->host_network && addrs_meet(a, w->pod[i]->addr))
			return true;
	for (size_t i = 0; i < N_SERVICES; i++)
		if (w->service[i] && w->service[i] != self && addrs_meet(a, w->service[i]->cluster_ip))
			return true;
	return false;
}

static bool cidr_is_taken(const struct world *w, const struct node *self, const struct ip_prefix *p)
{
	for (size_t i = 0; i < N_NODES; i++)
		if (w->node[i] && w->node[i] != self && ip_addr_is_set(&p->addr) &&
		    p->len == w->node[i]->pod_cidr[IP_V4].len &&
		    ip_addr_eq(&p->addr, &w->node[i]->pod_cidr[IP_V4].addr))
			return true;
	return false;
}

static const struct node *naive_node_by_pod_ip(const struct world *w, const struct ip_addr *a)
{
	const struct node *best = NULL;

	for (size_t i = 0; i < N_NODES; i++) {
		const struct node *n = w->node[i];

		if (n && ip_addr_is_set(&n->pod_cidr[IP_V4].addr) && ip_prefix_contains(&n->pod_cidr[IP_V4], a) &&
		    (!best || n->pod_cidr[IP_V4].len > best->pod_cidr[IP_V4].len))
			best = n;
	}
	return best;
}

static void world_clear(struct world *w)
{
	for (size_t i = 0; i < N_NODES; i++)
		node_unref(w->node[i]);
	for (size_t i = 0; i < N_PODS; i++)
		pod_unref(w->pod[i]);
	for (size_t i = 0; i < N_SERVICES; i++)
		service_unref(w->service[i]);
	*w = (struct world){ 0 };
}

static void world_copy(struct world *to, const struct world *from)
{
	world_clear(to);
	*to = *from;
	for (size_t i = 0; i < N_NODES; i++)
		if (to->node[i])
			(void)node_ref(to->node[i]);
	for (size_t i = 0; i < N_PODS; i++)
		if (to->pod[i])
			(void)pod_ref(to->pod[i]);
	for (size_t i = 0; i < N_SERVICES; i++)
		if (to->service[i])
			(void)service_ref(to->service[i]);
}

/* ---- one random edit on both ---- */

static unsigned int n_refused, n_put, n_deleted;

static void tally(int r)
{
	n_refused += r == -EEXIST;
	n_put += r == 0;
}

static void edit_node(struct rng *rng, struct snapshot_edit *ed, struct world *w)
{
	size_t i = rng_below(rng, N_NODES);
	struct node *n = random_node(rng, i);
	bool taken = is_taken(w, w->node[i], n->addr) || cidr_is_taken(w, w->node[i], &n->pod_cidr[IP_V4]);
	int r;

	if (rng_below(rng, 4) == 0) {
		n_deleted++;
		assert_int_equal(snapshot_edit_del_node(ed, n->name), w->node[i] ? 0 : -ENOENT);
		node_unref(w->node[i]);
		w->node[i] = NULL;
		node_unref(n);
		return;
	}
	r = snapshot_edit_put_node(ed, n, NULL);
	assert_int_equal(r, taken ? -EEXIST : 0);
	tally(r);
	node_unref(taken ? n : w->node[i]);
	if (!taken)
		w->node[i] = n;
}

static void edit_pod(struct rng *rng, struct snapshot_edit *ed, struct world *w)
{
	size_t i = rng_below(rng, N_PODS);
	struct pod *p = random_pod(rng, i);
	bool taken = !p->host_network && is_taken(w, w->pod[i], p->addr);
	int r;

	if (rng_below(rng, 4) == 0) {
		n_deleted++;
		assert_int_equal(snapshot_edit_del_pod(ed, p->ns, p->name), w->pod[i] ? 0 : -ENOENT);
		pod_unref(w->pod[i]);
		w->pod[i] = NULL;
		pod_unref(p);
		return;
	}
	r = snapshot_edit_put_pod(ed, p, NULL);
	assert_int_equal(r, taken ? -EEXIST : 0);
	tally(r);
	pod_unref(taken ? p : w->pod[i]);
	if (!taken)
		w->pod[i] = p;
}

static void edit_service(struct rng *rng, struct snapshot_edit *ed, struct world *w)
{
	size_t i = rng_below(rng, N_SERVICES);
	struct service *s = random_service(rng, i);
	bool taken = is_taken(w, w->service[i], s->cluster_ip);
	int r;

	if (rng_below(rng, 4) == 0) {
		n_deleted++;
		assert_int_equal(snapshot_edit_del_service(ed, s->ns, s->name), w->service[i] ? 0 : -ENOENT);
		service_unref(w->service[i]);
		w->service[i] = NULL;
		service_unref(s);
		return;
	}
	r = snapshot_edit_put_service(ed, s, NULL);
	assert_int_equal(r, taken ? -EEXIST : 0);
	tally(r);
	service_unref(taken ? s : w->service[i]);
	if (!taken)
		w->service[i] = s;
}

static struct snapshot *random_edits(struct rng *rng, const struct snapshot *base, struct world *w)
{
	struct snapshot_edit *ed = NULL;
	struct snapshot *s = NULL;
	uint64_t n = rng_below(rng, 15);

	assert_int_equal(snapshot_edit_new(base, &ed), 0);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t kind = rng_below(rng, 4);

		if (kind == 0)
			edit_node(rng, ed, w);
		else if (kind == 1)
			edit_service(rng, ed, w);
		else
			edit_pod(rng, ed, w);
	}
	assert_int_equal(snapshot_edit_commit(ed, &s), 0);
	return s;
}

/* ---- comparison ---- */

static void assert_names(const struct snapshot *s, const struct world *w)
{
	size_t n_nodes = 0, n_pods = 0, n_services = 0, n_endpoints = 0;
	char name[16];

	for (size_t i = 0; i < N_NODES; i++) {
		assert_ptr_equal(snapshot_node(s, numbered(name, "node", i)), w->node[i]);
		n_nodes += w->node[i] != NULL;
	}
	for (size_t i = 0; i < N_PODS; i++) {
		assert_ptr_equal(snapshot_pod(s, i % 2 ? "odd" : "even", numbered(name, "pod", i / 2)), w->pod[i]);
		n_pods += w->pod[i] != NULL;
	}
	for (size_t i = 0; i < N_SERVICES; i++) {
		assert_ptr_equal(snapshot_service(s, "odd", numbered(name, "pod", i)), w->service[i]);
		n_services += w->service[i] != NULL;
		n_endpoints += w->service[i] ? w->service[i]->ports[0].n_endpoints[IP_V4] : 0;
	}
	assert_int_equal(snapshot_n_nodes(s), n_nodes);
	assert_int_equal(snapshot_n_pods(s), n_pods);
	assert_int_equal(snapshot_n_services(s), n_services);
	assert_int_equal(snapshot_n_endpoints(s), n_endpoints);
}

static void assert_addr(const struct snapshot *s, const struct world *w, const struct ip_addr *a)
{
	const void *node = NULL, *pod = NULL, *service = NULL;
	int fam = ip_addr_family(a);

	for (size_t i = 0; i < N_NODES; i++)
		if (w->node[i] && ip_addr_eq(&w->node[i]->addr[fam], a))
			node = w->node[i];
	for (size_t i = 0; i < N_PODS; i++)
		if (w->pod[i] && !w->pod[i]->host_network && ip_addr_eq(&w->pod[i]->addr[fam], a))
			pod = w->pod[i];
	for (size_t i = 0; i < N_SERVICES; i++)
		if (w->service[i] && ip_addr_eq(&w->service[i]->cluster_ip[fam], a))
			service = w->service[i];
	assert_ptr_equal(snapshot_node_by_ip(s, a), node);
	assert_ptr_equal(snapshot_pod_by_ip(s, a), pod);
	assert_ptr_equal(snapshot_service_by_ip(s, a), service);
	if (fam == IP_V4)
		assert_ptr_equal(snapshot_node_by_pod_ip(s, a), naive_node_by_pod_ip(w, a));
}

static void assert_is_world(const struct snapshot *s, const struct world *w)
{
	struct ip_addr far = ip("10.0.0.200"), farther = ip("11.0.0.1");

	assert_names(s, w);
	for (uint32_t i = 0; i < N_ADDRS; i++) {
		struct ip_addr a = ip4_nth(i), b = ip6_nth(i);

		assert_addr(s, w, &a);
		assert_addr(s, w, &b);
	}
	assert_addr(s, w, &far);
	assert_addr(s, w, &farther);
}

struct seen {
	const struct world *from, *to;
	bool node[N_NODES], pod[N_PODS], service[N_SERVICES];
};

static size_t index_in(const void *const *v, size_t n, const void *p)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == p)
			return i;
	fail_msg("reported an object that is not there");
	return 0;
}

/* Where the pair stands in the arrays; both sides must stand at the same place, and for the first time. */
#define CHECK_PAIR(seen, member, n)                                                                \
	do {                                                                                       \
		size_t at_ = from ? index_in((const void *const *)(seen)->from->member, n, from) : \
				    index_in((const void *const *)(seen)->to->member, n, to);      \
		assert_ptr_equal((seen)->from->member[at_], from);                                 \
		assert_ptr_equal((seen)->to->member[at_], to);                                     \
		assert_false((seen)->member[at_]);                                                 \
		(seen)->member[at_] = true;                                                        \
	} while (0)

static int see_node(const struct node *from, const struct node *to, void *arg)
{
	struct seen *seen = arg;

	CHECK_PAIR(seen, node, N_NODES);
	return 0;
}

static int see_pod(const struct pod *from, const struct pod *to, void *arg)
{
	struct seen *seen = arg;

	CHECK_PAIR(seen, pod, N_PODS);
	return 0;
}

static int see_service(const struct service *from, const struct service *to, void *arg)
{
	struct seen *seen = arg;

	CHECK_PAIR(seen, service, N_SERVICES);
	return 0;
}

static void assert_diff(const struct snapshot *from, const struct world *world_from, const struct snapshot *to,
			const struct world *world_to)
{
	const struct snapshot_diff_ops ops = { see_node, see_pod, see_service };
	struct seen seen = { .from = world_from, .to = world_to };

	assert_int_equal(snapshot_diff(from, to, &ops, &seen), 0);
	for (size_t i = 0; i < N_NODES; i++) {
		const struct node *a = world_from->node[i], *b = world_to->node[i];

		assert_int_equal(seen.node[i], a && b ? !node_equal(a, b) : a != b);
	}
	for (size_t i = 0; i < N_PODS; i++) {
		const struct pod *a = world_from->pod[i], *b = world_to->pod[i];

		assert_int_equal(seen.pod[i], a && b ? !pod_equal(a, b) : a != b);
	}
	for (size_t i = 0; i < N_SERVICES; i++) {
		const struct service *a = world_from->service[i], *b = world_to->service[i];

		assert_int_equal(seen.service[i], a && b ? !service_equal(a, b) : a != b);
	}
}

/* A snapshot with the same objects, loaded in another order and in one edit. */
static struct snapshot *rebuilt(const struct world *w)
{
	struct snapshot_edit *ed = NULL;
	struct snapshot *s = NULL;

	assert_int_equal(snapshot_edit_new(NULL, &ed), 0);
	for (size_t i = N_SERVICES; i-- > 0;)
		if (w->service[i])
			assert_int_equal(snapshot_edit_put_service(ed, w->service[i], NULL), 0);
	for (size_t i = N_PODS; i-- > 0;)
		if (w->pod[i])
			assert_int_equal(snapshot_edit_put_pod(ed, w->pod[i], NULL), 0);
	for (size_t i = N_NODES; i-- > 0;)
		if (w->node[i])
			assert_int_equal(snapshot_edit_put_node(ed, w->node[i], NULL), 0);
	assert_int_equal(snapshot_edit_commit(ed, &s), 0);
	return s;
}

static void assert_old_is_as_it_was(const struct old *old)
{
	char *text = dump_text(old->s);

	assert_string_equal(text, old->text);
	assert_is_world(old->s, &old->world);
	free(text);
}

static void one_round(struct rng *rng, struct old olds[N_OLD], struct snapshot **now, struct world *w)
{
	struct old *old = &olds[rng_below(rng, N_OLD)];
	struct snapshot *next, *same;
	char *text;

	next = random_edits(rng, *now, w);
	snapshot_unref(*now);
	*now = next;
	assert_is_world(next, w);
	assert_diff(old->s, &old->world, next, w);
	assert_diff(next, w, old->s, &old->world);

	same = rebuilt(w);
	text = dump_text(same);
	assert_diff(same, w, next, w);
	snapshot_unref(same);
	snapshot_unref(old->s);
	free(old->text);
	old->s = snapshot_ref(next);
	old->text = dump_text(next);
	world_copy(&old->world, w);
	assert_string_equal(old->text, text);
	free(text);
	for (size_t i = 0; i < N_OLD; i++)
		if (olds[i].s)
			assert_old_is_as_it_was(&olds[i]);
}

static void random_edits_match_arrays(void **state)
{
	struct old olds[N_OLD] = { 0 };
	struct snapshot *now = NULL;
	struct world w = { 0 };
	struct rng rng;

	(void)state;
	rng_seed(&rng, 31);
	for (int round = 0; round < N_ROUNDS; round++)
		one_round(&rng, olds, &now, &w);
	for (size_t i = 0; i < N_OLD; i++) {
		snapshot_unref(olds[i].s);
		free(olds[i].text);
		world_clear(&olds[i].world);
	}
	snapshot_unref(now);
	world_clear(&w);
	print_message("%u put, %u refused, %u deletions tried\n", n_put, n_refused, n_deleted);
	assert_true(n_put > 300 && n_refused > 300 && n_deleted > 300); /* the walk went everywhere */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_edits_match_arrays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
