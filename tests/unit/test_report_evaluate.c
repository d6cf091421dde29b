/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Estimates, noise floors, verdicts and places, on runs of known effect. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "report/report_int.h"
#include "report_run.h"

#define NFT 1

static const struct estimate *estimate(const struct report *r, size_t strategy, enum metric m)
{
	const struct estimate *est = cell_estimate(r, &r->cells.v[0], strategy, m);

	assert_non_null(est);
	return est;
}

static void test_clear_win_and_loss(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP(report_freep) struct report *r = NULL;
	const struct estimate *est;

	(void)state;
	run.factor[NFT] = 1.2;
	r = report_run_load(&run);
	for (int m = 0; m < METRIC_MAX; m++) {
		double want = m == METRIC_RATE ? 1 / 1.2 : 1.2;

		est = estimate(r, NFT, m);
		assert_int_equal(est->n, 10);
		assert_int_equal(est->vs[REF_BOUND].n_pairs, 10);
		assert_int_equal(est->vs[REF_BOUND].verdict, VERDICT_WORSE);
		assert_true(est->vs[REF_BOUND].ratio.low <= est->vs[REF_BOUND].ratio.mid &&
			    est->vs[REF_BOUND].ratio.mid <= est->vs[REF_BOUND].ratio.high);
		assert_true(fabs(est->vs[REF_BOUND].ratio.mid - want) < 0.02);
	}
	est = estimate(r, NFT, METRIC_CPU);
	assert_true(fabs(est->vs[REF_BOUND].diff.mid - 0.2 * 24000) < 500); /* the Service cost */
	/* The baseline is compared with nothing. */
	assert_int_equal(estimate(r, 0, METRIC_CPU)->vs[REF_BOUND].n_pairs, 0);
	report_free(r);
	run.factor[NFT] = 0.8;
	r = report_run_load(&run);
	for (int m = 0; m < METRIC_MAX; m++)
		assert_int_equal(estimate(r, NFT, m)->vs[REF_BOUND].verdict, VERDICT_BETTER);
}

static void test_tie_within_noise(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP(report_freep) struct report *r = NULL;

	(void)state;
	run.noise = 0.1;
	run.factor[NFT] = 1.03;
	r = report_run_load(&run);
	for (int m = 0; m < METRIC_MAX; m++) {
		const struct noise *noise = &r->cells.v[0].noise[m];

		assert_true(noise->known);
		assert_true(noise->floor > 0.01);
		assert_true(noise->floor >= fabs(noise->ratio.low - 1) && noise->floor >= fabs(noise->ratio.high - 1));
		assert_int_equal(estimate(r, NFT, m)->vs[REF_BOUND].verdict, VERDICT_TIE);
	}
}

/* An effect that its own interval shows, but no larger than what two equal testbeds differ by. */
static void test_noise_floor_decides(void **state)
{
	struct report_run run = report_run_default();
	struct report *r;
	bool told = false;

	(void)state;
	run.factor[NFT] = 1.015;
	for (run.seed = 1; run.seed < 40 && !told; run.seed++) {
		const struct estimate *est;

		r = report_run_load(&run);
		est = estimate(r, NFT, METRIC_P50);
		told = est->vs[REF_BOUND].ratio.low > 1 &&
		       est->vs[REF_BOUND].ratio.low < 1 + r->cells.v[0].noise[METRIC_P50].floor;
		if (told)
			assert_int_equal(est->vs[REF_BOUND].verdict, VERDICT_TIE);
		report_free(r);
	}
	assert_true(told);
}

static void test_without_twin(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP(report_freep) struct report *r = NULL;

	(void)state;
	run.no_twin = 1;
	run.factor[NFT] = 1.2;
	r = report_run_load(&run);
	assert_false(r->cells.v[0].noise[METRIC_P50].known);
	assert_int_equal(estimate(r, NFT, METRIC_P50)->vs[REF_BOUND].verdict, VERDICT_WORSE);
}

static void test_steal_is_left_out(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP(report_freep) struct report *r = NULL;

	(void)state;
	run.discarded = 4;
	r = report_run_load(&run);
	assert_int_equal(r->n_discarded, 12); /* four rounds of three arms */
	assert_int_equal(estimate(r, NFT, METRIC_CPU)->n, 6);
	assert_int_equal(estimate(r, NFT, METRIC_CPU)->vs[REF_BOUND].n_pairs, 6);
	assert_int_equal(estimate(r, NFT, METRIC_P50)->n, 10);
	assert_true(estimate(r, NFT, METRIC_CPU)->median.high < 1e6);
	report_free(r);
	run.discarded = 10;
	r = report_run_load(&run);
	assert_null(cell_estimate(r, &r->cells.v[0], NFT, METRIC_CPU));
}

static void make_contest(struct report_run *run)
{
	*run = report_run_default();
	run->n_strategies = 4;
	run->strategies[1] = "kube-proxy";
	run->strategies[2] = "nft";
	run->strategies[3] = "socket";
	run->factor[1] = 1.15;
	run->factor[2] = 1.15;
	run->factor[3] = 1.02;
}

static void test_places(void **state)
{
	struct report_run run;
	CLEANUP(report_freep) struct report *r = NULL;

	(void)state;
	make_contest(&run);
	r = report_run_load(&run);
	for (int m = 0; m < METRIC_MAX; m++) {
		assert_int_equal(r->cells.v[0].n_ranked[m], 3);
		assert_true(estimate(r, 3, m)->best);
		assert_false(estimate(r, 3, m)->tied);
		assert_false(estimate(r, 2, m)->best || estimate(r, 2, m)->tied);
		assert_false(estimate(r, 0, m)->best || estimate(r, 0, m)->tied); /* none does not compete */
	}
	report_free(r);
	run.factor[3] = 1.3;
	r = report_run_load(&run);
	assert_true(estimate(r, 1, METRIC_CPU)->tied && estimate(r, 2, METRIC_CPU)->tied);
	assert_false(estimate(r, 1, METRIC_CPU)->best || estimate(r, 2, METRIC_CPU)->best);
	assert_false(estimate(r, 3, METRIC_CPU)->tied);
}

static void expect_unranked(const struct report_run *run)
{
	struct report *r = report_run_load(run);

	assert_int_equal(r->cells.v[0].n_ranked[METRIC_CPU], 2);
	assert_false(estimate(r, 3, METRIC_CPU)->best || estimate(r, 3, METRIC_CPU)->tied);
	report_free(r);
}

static void test_who_may_not_win(void **state)
{
	struct report_run run;

	(void)state;
	make_contest(&run);
	run.wrong = 1;
	expect_unranked(&run);
	run.wrong = 0;
	run.failed = 10;
	expect_unranked(&run);
	run.failed = 0;
	run.kind = "modelled";
	expect_unranked(&run);
}

static void test_few_requests(void **state)
{
	struct report_run run;
	CLEANUP(report_freep) struct report *r = NULL;

	(void)state;
	make_contest(&run);
	run.requests = 400;
	r = report_run_load(&run);
	assert_true(r->cells.v[0].few[METRIC_P999]);
	assert_false(r->cells.v[0].few[METRIC_P99]);
	assert_int_equal(r->cells.v[0].n_ranked[METRIC_P999], 0);
}

/* One strategy that answers nothing takes the contest from nobody. */
static void test_one_is_dead(void **state)
{
	struct report_run run;
	CLEANUP(report_freep) struct report *r = NULL;

	(void)state;
	make_contest(&run);
	run.dead = 1;
	r = report_run_load(&run);
	assert_null(cell_estimate(r, &r->cells.v[0], 3, METRIC_P99));
	assert_false(r->cells.v[0].few[METRIC_P50] || r->cells.v[0].few[METRIC_P99] || r->cells.v[0].few[METRIC_P999]);
	assert_int_equal(r->cells.v[0].n_ranked[METRIC_P99], 2);
	assert_true(estimate(r, 1, METRIC_P99)->tied && estimate(r, 2, METRIC_P99)->tied);
}

/* An A/A arm that fails tells no noise. */
static void test_twin_fails(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP(report_freep) struct report *r = NULL;

	(void)state;
	run.twin_failed = 100;
	r = report_run_load(&run);
	for (int m = 0; m < METRIC_MAX; m++)
		assert_false(r->cells.v[0].noise[m].known);
}

static void test_not_judged(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP(report_freep) struct report *r = NULL;

	(void)state;
	run.factor[NFT] = 2;
	run.n_rounds = 2;
	r = report_run_load(&run);
	assert_int_equal(estimate(r, NFT, METRIC_CPU)->vs[REF_BOUND].verdict, VERDICT_FEW);
	assert_false(r->cells.v[0].noise[METRIC_CPU].known);
	report_free(r);
	/* One in a thousand may fail; closed loops, which send many more, do not hide it. */
	run.n_rounds = 10;
	run.failed = 2;
	r = report_run_load(&run);
	assert_int_equal(estimate(r, NFT, METRIC_CPU)->vs[REF_BOUND].verdict, VERDICT_FAILED);
	report_free(r);
	run.failed = 1;
	r = report_run_load(&run);
	assert_int_equal(estimate(r, NFT, METRIC_CPU)->vs[REF_BOUND].verdict, VERDICT_WORSE);
}

/* Made again from the same records, every number is the same. */
static void test_same_again(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP(report_freep) struct report *a = NULL;
	CLEANUP(report_freep) struct report *b = NULL;

	(void)state;
	a = report_run_load(&run);
	b = report_run_load(&run);
	for (int m = 0; m < METRIC_MAX; m++)
		assert_memory_equal(&estimate(a, NFT, m)->vs[REF_BOUND].ratio,
				    &estimate(b, NFT, m)->vs[REF_BOUND].ratio, sizeof(struct interval));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clear_win_and_loss),  cmocka_unit_test(test_tie_within_noise),
		cmocka_unit_test(test_noise_floor_decides), cmocka_unit_test(test_without_twin),
		cmocka_unit_test(test_steal_is_left_out),   cmocka_unit_test(test_places),
		cmocka_unit_test(test_who_may_not_win),	    cmocka_unit_test(test_few_requests),
		cmocka_unit_test(test_one_is_dead),	    cmocka_unit_test(test_twin_fails),
		cmocka_unit_test(test_not_judged),	    cmocka_unit_test(test_same_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
