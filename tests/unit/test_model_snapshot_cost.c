/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one changed endpoint costs in a cluster of 250,000, in allocations and in trie nodes visited by the diff: bounded, and the same
 * in a cluster of twice the size but for the depth of the tries. Times are printed, never asserted.
 */
#include "base/clock.h"
#include "model_alloc.h"

#define ENDPOINTS_PER_SERVICE 50

static struct service *numbered_service(uint32_t number, uint32_t version)
{
	struct endpoint ep[ENDPOINTS_PER_SERVICE];
	struct service_port port = { .name = "http", .proto = IPPROTO_TCP, .port = 80 };
	struct service fill = { .ns = "shop", .facets = 1u << SERVICE_FACET_CLUSTER_IP, .n_ports = 1, .ports = &port };
	struct service *s = NULL;
	char name[32], node[32];

	(void)snprintf(name, sizeof(name), "svc-%u", number);
	(void)snprintf(node, sizeof(node), "worker-%u", number % 1000);
	for (uint32_t i = 0; i < ENDPOINTS_PER_SERVICE; i++)
		ep[i] = (struct endpoint){ .addr = ip4_nth(number * ENDPOINTS_PER_SERVICE + i),
					   .port = 8080,
					   .ready = true,
					   .serving = true,
					   .node = node };
	ep[7].port = (uint16_t)(8080 + version);
	port.n_endpoints[IP_V4] = ENDPOINTS_PER_SERVICE;
	port.endpoints[IP_V4] = ep;
	fill.name = name;
	fill.cluster_ip[IP_V4] =
		(struct ip_addr){ AF_INET, { 172, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number } };
	fill.cluster_ip[IP_V6] = ip6_nth(number);
	assert_int_equal(service_new(&fill, &s, NULL), 0);
	return s;
}

static double ms_since(uint64_t start_ns)
{
	return (double)(clock_now_ns(&clock_monotonic) - start_ns) / NSEC_PER_MSEC;
}

static struct snapshot *load(uint32_t n_services)
{
	struct snapshot_edit *ed = NULL;
	struct snapshot *s = NULL;

	assert_int_equal(snapshot_edit_new(NULL, &ed), 0);
	for (uint32_t i = 0; i < n_services; i++) {
		struct service *svc = numbered_service(i, 0);

		assert_int_equal(snapshot_edit_put_service(ed, svc, NULL), 0);
		service_unref(svc);
	}
	assert_int_equal(snapshot_edit_commit(ed, &s), 0);
	return s;
}

struct cost {
	size_t n_allocs; /* of the new Service, the edit and its commit */
	size_t n_diff_allocs;
	size_t n_visited; /* trie nodes looked into by the diff, both sides */
	size_t n_changes;
	double change_us, diff_us;
};

static int count_change(const struct service *from, const struct service *to, void *arg)
{
	assert_true(from && to);
	assert_string_equal(from->name, to->name);
	assert_int_equal(from->ports[0].endpoints[IP_V4][7].port, 8080);
	assert_int_equal(to->ports[0].endpoints[IP_V4][7].port, 8081);
	++*(size_t *)arg;
	return 0;
}

static int ignore_change(const struct obj_ref *from, const struct obj_ref *to, void *arg)
{
	(void)from;
	(void)to;
	(void)arg;
	return 0;
}

static struct cost one_change(const struct snapshot *s, uint32_t number)
{
	const struct snapshot_diff_ops ops = { .service = count_change };
	struct diff keys = { .kind = KIND_SERVICE };
	struct hamt_diff walk = { diff_same_key, ignore_change, &keys, 0 };
	struct snapshot_edit *ed = NULL;
	struct snapshot *next = NULL;
	struct cost c = { 0 };
	struct service *svc;
	uint64_t start_ns = clock_now_ns(&clock_monotonic);

	n_allocs = 0;
	svc = numbered_service(number, 1);
	assert_int_equal(snapshot_edit_new(s, &ed), 0);
	assert_int_equal(snapshot_edit_put_service(ed, svc, NULL), 0);
	assert_int_equal(snapshot_edit_commit(ed, &next), 0);
	c.n_allocs = n_allocs;
	c.change_us = 1000 * ms_since(start_ns);
	service_unref(svc);

	start_ns = clock_now_ns(&clock_monotonic);
	n_allocs = 0;
	assert_int_equal(snapshot_diff(s, next, &ops, &c.n_changes), 0);
	c.n_diff_allocs = n_allocs;
	c.diff_us = 1000 * ms_since(start_ns);
	assert_int_equal(hamt_diff(&s->by_name[KIND_SERVICE], &next->by_name[KIND_SERVICE], &walk), 0);
	c.n_visited = walk.n_visited;
	snapshot_unref(next);
	return c;
}

/* The most that any of some changes costs. */
static struct cost worst_change(const struct snapshot *s, uint32_t n_services)
{
	struct cost worst = { 0 };

	for (uint32_t i = 0; i < 20; i++) {
		struct cost c = one_change(s, i * (n_services / 20));

		assert_int_equal(c.n_changes, 1);
		worst.n_allocs = MAX(worst.n_allocs, c.n_allocs);
		worst.n_diff_allocs = MAX(worst.n_diff_allocs, c.n_diff_allocs);
		worst.n_visited = MAX(worst.n_visited, c.n_visited);
		worst.change_us = MAX(worst.change_us, c.change_us);
		worst.diff_us = MAX(worst.diff_us, c.diff_us);
	}
	return worst;
}

static struct cost cost_at(uint32_t n_services)
{
	uint64_t start_ns = clock_now_ns(&clock_monotonic);
	struct snapshot *s = load(n_services);
	double load_ms = ms_since(start_ns);
	struct cost c = worst_change(s, n_services);

	assert_int_equal(snapshot_n_endpoints(s), n_services * ENDPOINTS_PER_SERVICE);
	print_message(
		"%zu endpoints: loaded in %.0f ms; one change: %zu allocations, %.0f us; its diff: %zu nodes, %.1f us\n",
		snapshot_n_endpoints(s), load_ms, c.n_allocs, c.change_us, c.n_visited, c.diff_us);
	snapshot_unref(s);
	return c;
}

static void one_change_costs_one_change(void **state)
{
	struct cost small = cost_at(5000), twice = cost_at(10000);

	(void)state;
	/* The block of the Service, the edit, the snapshot; then one path in each of three tries: by name and by two addresses. */
	assert_in_range(small.n_allocs, 4, 30);
	assert_int_equal(small.n_diff_allocs, 0);
	assert_in_range(small.n_visited, 2, 20);
	assert_true(twice.n_allocs <= small.n_allocs + 3); /* one level more in each trie, at worst */
	assert_true(twice.n_visited <= small.n_visited + 2);
	assert_int_equal(twice.n_diff_allocs, 0);
}

/* Loading costs a constant number of allocations for each Service: its block, and the growth of three tries. */
static void loading_costs_what_is_loaded(void **state)
{
	struct snapshot *s;

	(void)state;
	n_allocs = 0;
	s = load(2000);
	assert_in_range(n_allocs, 2000, 2000 * 6);
	snapshot_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_change_costs_one_change),
		cmocka_unit_test(loading_costs_what_is_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
