/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Several cells as one number: what noise hides in each cell, and what must not count. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/util.h"
#include "report/report_int.h"
#include "report_run.h"

#define NONE 0
#define NFT 1
#define SOCKET 2
#define ECHO 0
#define ALL(r) ((r)->loads.n)

/* none, nft and socket on eight cells of two loads. */
static struct report_run eight_cells(void)
{
	struct report_run run = report_run_default();

	run.n_strategies = 3;
	run.strategies[SOCKET] = "socket";
	run.factor[NFT] = 1.3;
	run.factor[SOCKET] = 1.3;
	run.n_loads = run.n_paths = run.n_families = 2;
	return run;
}

static size_t count_verdicts(const struct report *r, size_t strategy, enum metric m, enum verdict verdict)
{
	size_t n = 0;

	for (size_t i = 0; i < r->cells.n; i++)
		n += cell_estimate(r, &r->cells.v[i], strategy, m)->vs[REF_BOUND].verdict == verdict;
	return n;
}

/* 12 % under 10 % of noise: hardly any cell can tell, all together can. */
static void test_shared_effect(void **state)
{
	static const enum metric m[] = { METRIC_CPU, METRIC_CPU_FULL, METRIC_P50, METRIC_RATE };
	struct report_run run = eight_cells();
	CLEANUP(report_freep) struct report *r = NULL;

	(void)state;
	run.n_workloads = 2;
	run.noise = 0.1;
	run.factor[NFT] = 1.12;
	run.factor[SOCKET] = 0.88;
	r = report_run_load(&run);
	assert_int_equal(r->cells.n, 16);
	for (size_t k = 0; k < ARRAY_LEN(m); k++) {
		const struct pool *p = &pool_of(r, ALL(r), NFT, m[k])->vs[REF_BOUND];
		bool higher = metrics[m[k]].higher_is_better;

		assert_true(count_verdicts(r, NFT, m[k], VERDICT_TIE) >= 13);
		assert_int_equal(p->n_cells, 16);
		assert_int_equal(p->verdict, VERDICT_WORSE);
		assert_true(fabs(p->ratio.mid - (higher ? 1 / 1.12 : 1.12)) < 0.05);
		assert_true(p->ratio.low <= p->ratio.mid && p->ratio.mid <= p->ratio.high);
		assert_true(p->noise_known);
		assert_true(p->floor < r->cells.v[0].noise[m[k]].floor || p->floor < 0.05);
		assert_int_equal(p->n_under + p->n_over, 16);
		assert_true((higher ? p->n_under : p->n_over) >= 13);
		assert_true(p->sign_p < 0.05);
		p = &pool_of(r, ALL(r), SOCKET, m[k])->vs[REF_BOUND];
		assert_int_equal(p->verdict, VERDICT_BETTER);
		assert_true(pool_of(r, ALL(r), SOCKET, m[k])->best);
		assert_false(pool_of(r, ALL(r), SOCKET, m[k])->tied);
		assert_false(pool_of(r, ALL(r), NFT, m[k])->best || pool_of(r, ALL(r), NFT, m[k])->tied);
	}
	/* A load's pool has only its cells. */
	assert_int_equal(pool_of(r, ECHO, NFT, METRIC_CPU)->vs[REF_BOUND].n_cells, 8);
	/* The baseline is compared with nothing and wins nothing. */
	assert_int_equal(pool_of(r, ALL(r), NONE, METRIC_CPU)->vs[REF_BOUND].n_cells, 0);
	assert_false(pool_of(r, ALL(r), NONE, METRIC_CPU)->best || pool_of(r, ALL(r), NONE, METRIC_CPU)->tied);
}

/* Equal strategies, many times: no pool has a verdict, nobody is first alone. */
static void test_equals_tie(void **state)
{
	struct report_run run = eight_cells();

	(void)state;
	run.factor[NFT] = run.factor[SOCKET] = 1;
	run.noise = 0.05;
	for (run.seed = 1; run.seed <= 5; run.seed++) {
		struct report *r = report_run_load(&run);

		for (size_t l = 0; l <= r->loads.n; l++)
			for (int m = 0; m < METRIC_MAX; m++) {
				const struct pooled *nft = pool_of(r, l, NFT, m), *socket = pool_of(r, l, SOCKET, m);

				if (m == METRIC_P999) /* the slowest request */
					continue;
				assert_int_equal(nft->vs[REF_BOUND].verdict, VERDICT_TIE);
				assert_int_equal(socket->vs[REF_BOUND].verdict, VERDICT_TIE);
				assert_true(nft->tied && socket->tied);
				assert_false(nft->best || socket->best);
			}
		report_free(r);
	}
}

/* Who answers wrongly in one cell does not win the others; who is left competes. */
static void test_failing_does_not_compete(void **state)
{
	struct report_run run = eight_cells();
	CLEANUP(report_freep) struct report *r = NULL;

	(void)state;
	run.n_strategies = 4;
	run.strategies[3] = "kube-proxy";
	run.factor[NFT] = 1.1;
	run.factor[3] = 0.5;
	run.wrong = 1; /* of the last strategy, in its first slice of echo on the same node */
	run.n_families = 1;
	r = report_run_load(&run);
	assert_true(cell_estimate(r, &r->cells.v[3], 3, METRIC_CPU)->best);
	for (size_t l = 0; l <= r->loads.n; l++) {
		const struct pooled *last = pool_of(r, l, 3, METRIC_CPU);

		assert_int_equal(last->best, l == 1); /* connect, where it answered rightly */
		assert_false(last->tied);
		assert_int_equal(pool_of(r, l, NFT, METRIC_CPU)->best, l != 1);
		assert_false(pool_of(r, l, SOCKET, METRIC_CPU)->best || pool_of(r, l, SOCKET, METRIC_CPU)->tied);
	}
}

/* Requests that fail leave the cell out of the pool, on either side. */
static void test_failures_are_left_out(void **state)
{
	struct report_run run = eight_cells();
	CLEANUP(report_freep) struct report *r = NULL;

	(void)state;
	run.failed = 100;
	r = report_run_load(&run);
	assert_int_equal(pool_of(r, ALL(r), SOCKET, METRIC_P50)->vs[REF_BOUND].n_cells, 0);
	assert_int_equal(pool_of(r, ALL(r), NFT, METRIC_P50)->vs[REF_BOUND].n_cells, 8);
	assert_false(pool_of(r, ALL(r), SOCKET, METRIC_P50)->best || pool_of(r, ALL(r), SOCKET, METRIC_P50)->tied);
	report_free(r);
	run.failed = 0;
	run.twin_failed = 100;
	r = report_run_load(&run);
	assert_false(pool_of(r, ALL(r), NFT, METRIC_P50)->vs[REF_BOUND].noise_known);
	assert_int_equal(pool_of(r, ALL(r), NFT, METRIC_P50)->vs[REF_BOUND].verdict, VERDICT_WORSE);
	report_free(r);
	run.twin_failed = 0;
	run.n_rounds = 2;
	r = report_run_load(&run);
	assert_int_equal(pool_of(r, ALL(r), NFT, METRIC_P50)->vs[REF_BOUND].n_cells, 0);
}

static void test_few_requests(void **state)
{
	struct report_run run = eight_cells();
	CLEANUP(report_freep) struct report *r = NULL;

	(void)state;
	run.requests = 50;
	r = report_run_load(&run);
	for (int m = METRIC_P99; m <= METRIC_P999; m++)
		for (size_t s = 0; s < r->strategies.n; s++) {
			const struct pooled *of = pool_of(r, ALL(r), s, m);

			assert_int_equal(of->vs[REF_BOUND].n_cells, 0);
			assert_false(of->best || of->tied);
		}
	assert_int_equal(pool_of(r, ALL(r), NFT, METRIC_P90)->vs[REF_BOUND].n_cells, 8);
}

static void test_one_alone(void **state)
{
	struct report_run run = eight_cells();
	CLEANUP(report_freep) struct report *r = NULL;

	(void)state;
	run.n_strategies = 2;
	r = report_run_load(&run);
	for (size_t l = 0; l <= r->loads.n; l++)
		for (int m = 0; m < METRIC_MAX; m++) {
			assert_false(pool_of(r, l, NFT, m)->best || pool_of(r, l, NFT, m)->tied);
			assert_int_equal(pool_of(r, l, NFT, m)->vs[REF_PEER].n_cells, 0);
		}
	assert_int_equal(pool_of(r, ALL(r), NFT, METRIC_CPU)->vs[REF_BOUND].n_cells, 8);
}

/* A load without an open mode tells its CPU at full load only. */
static void test_closed_only(void **state)
{
	struct report_run run = eight_cells();
	CLEANUP(report_freep) struct report *r = NULL;

	(void)state;
	run.n_loads = 3;
	run.n_families = 1;
	r = report_run_load(&run);
	assert_int_equal(pool_of(r, 2, NFT, METRIC_CPU)->vs[REF_BOUND].n_cells, 0);
	assert_int_equal(pool_of(r, 2, NFT, METRIC_CPU_FULL)->vs[REF_BOUND].n_cells, 2);
	assert_int_equal(pool_of(r, ALL(r), NFT, METRIC_CPU)->vs[REF_BOUND].n_cells, 4);
	assert_int_equal(pool_of(r, ALL(r), NFT, METRIC_CPU_FULL)->vs[REF_BOUND].n_cells, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared_effect),
		cmocka_unit_test(test_equals_tie),
		cmocka_unit_test(test_failing_does_not_compete),
		cmocka_unit_test(test_failures_are_left_out),
		cmocka_unit_test(test_few_requests),
		cmocka_unit_test(test_one_alone),
		cmocka_unit_test(test_closed_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
