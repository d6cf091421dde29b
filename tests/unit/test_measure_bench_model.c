/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The snapshots of the benchmarks: as many Services as asked for, over a few pods; a move changes one Service and its way back undoes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "measure/bench_model.h"
#include "model_util.h"

static void test_services(void **state)
{
	struct snapshot *s = NULL;
	struct ip_addr a, b;

	(void)state;
	assert_int_equal(bench_snapshot(700, &s, NULL), 0);
	assert_int_equal(snapshot_n_nodes(s), BENCH_NODES);
	assert_int_equal(snapshot_n_services(s), 700);
	assert_int_equal(snapshot_n_endpoints(s), 1400);
	for (uint32_t i = 0; i < 700; i++) {
		const struct service *svc;

		bench_service_addr(i, &a);
		svc = snapshot_service_by_ip(s, &a);
		assert_non_null(svc);
		assert_int_equal(svc->n_ports, 1);
		assert_int_equal(svc->ports[0].proto, IPPROTO_UDP);
		assert_int_equal(svc->ports[0].port, BENCH_SERVICE_PORT);
		for (size_t k = 0; k < 2; k++) {
			const struct endpoint *ep = &svc->ports[0].endpoints[IP_V4][k];
			const struct pod *p = snapshot_pod_by_ip(s, &ep->addr);

			assert_non_null(p);
			assert_string_equal(p->node, ep->node);
			assert_string_not_equal(p->name, "client");
		}
	}
	bench_service_addr(0, &a);
	b = ip("10.96.0.10");
	assert_true(ip_addr_eq(&a, &b));
	bench_service_addr(99999, &a); /* the most that `offkube bench` takes */
	b = ip("10.97.134.169");
	assert_true(ip_addr_eq(&a, &b));
	snapshot_unref(s);
}

static int count_change(const struct service *from, const struct service *to, void *arg)
{
	assert_true(from && to);
	assert_string_equal(to->name, "s7");
	++*(int *)arg;
	return 0;
}

static int changes(const struct snapshot *from, const struct snapshot *to)
{
	static const struct snapshot_diff_ops ops = { .service = count_change };
	int n = 0;

	assert_int_equal(snapshot_diff(from, to, &ops, &n), 0);
	return n;
}

static void test_move(void **state)
{
	struct snapshot *s = NULL, *moved = NULL, *again = NULL, *back = NULL;
	char *before, *after;

	(void)state;
	assert_int_equal(bench_snapshot(20, &s, NULL), 0);
	assert_int_equal(bench_snapshot_move(s, 7, true, &moved, NULL), 0);
	assert_int_equal(changes(s, moved), 1);
	assert_string_equal(snapshot_service(moved, "bench", "s7")->ports[0].endpoints[IP_V4][1].node, "node-2");
	/* Who moves what is there already changes nothing: such a step would be no measurement. */
	assert_int_equal(bench_snapshot_move(moved, 7, true, &again, NULL), 0);
	assert_int_equal(changes(moved, again), 0);
	assert_int_equal(bench_snapshot_move(moved, 7, false, &back, NULL), 0);
	assert_int_equal(changes(moved, back), 1);
	assert_int_equal(changes(s, back), 0);
	before = dump_text(s);
	after = dump_text(back);
	assert_string_equal(before, after);
	free(before);
	free(after);
	snapshot_unref(s);
	snapshot_unref(moved);
	snapshot_unref(again);
	snapshot_unref(back);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_services), cmocka_unit_test(test_move) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
