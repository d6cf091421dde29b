/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Identical strategies: how often does chance make a winner? Three testbeds whose samples come from one distribution (two strategies and the A/A arm), many
 * seeded runs. A winner must be rare in single figures, and what stands in docs/evaluation.md ("How often chance wins") is what is counted here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "report/report_int.h"
#include "report_run.h"

#define RUNS 60

struct count {
	int n, n_won; /* figures, and those with a single winner */
	int n_runs_won; /* runs with any */
	int n_pools, n_pools_won; /* the same of cells together: a load's, and all */
};

static void count_pools(const struct report *r, struct count *count)
{
	for (size_t l = 0; l <= r->loads.n; l++)
		for (int m = 0; m < METRIC_MAX; m++) {
			count->n_pools++;
			for (size_t s = 0; s < r->strategies.n; s++)
				count->n_pools_won += pool_of(r, l, s, (enum metric)m)->best;
		}
}

static struct count count_winners(double factor, int n_rounds)
{
	struct count count = {};

	for (int seed = 1; seed <= RUNS; seed++) {
		struct report_run run = report_run_default();
		struct report *r;
		int before = count.n_won;

		run.strategies[0] = "nft";
		run.strategies[1] = "nft-again";
		run.factor[0] = 1;
		run.factor[1] = factor;
		run.n_loads = 2;
		run.n_paths = 2;
		run.n_rounds = run.n_rounds_planned = n_rounds;
		run.noise = 0.05;
		run.seed = (uint64_t)seed;
		r = report_run_load(&run);
		for (size_t c = 0; c < r->cells.n; c++)
			for (int m = 0; m < METRIC_MAX; m++) {
				bool won = false;

				for (size_t s = 0; s < r->strategies.n; s++)
					won |= cell_estimate(r, &r->cells.v[c], s, (enum metric)m)->best;
				count.n++;
				count.n_won += won;
			}
		count.n_runs_won += count.n_won > before;
		count_pools(r, &count);
		report_free(r);
	}
	printf("factor %.2f, %d rounds: %d of %d figures have a winner (%.2f %%), %d of %d runs; %d of %d pools\n",
	       factor, n_rounds, count.n_won, count.n, 100.0 * count.n_won / count.n, count.n_runs_won, RUNS,
	       count.n_pools_won, count.n_pools);
	return count;
}

static void test_no_winner_of_twins(void **state)
{
	struct count full = count_winners(1, 10), quick = count_winners(1, 5);

	(void)state;
	assert_true(full.n > 1000);
	assert_true(full.n_won * 100 <= full.n); /* 1 % */
	assert_true(quick.n_won * 100 <= 2 * quick.n);
	assert_true(full.n_pools > 1000);
	assert_true(full.n_pools_won * 100 <= full.n_pools);
	assert_true(quick.n_pools_won * 100 <= 2 * quick.n_pools);
}

/* And the same rule finds one that is there. */
static void test_winner_is_found(void **state)
{
	struct count c = count_winners(1.3, 10);

	(void)state;
	assert_true(c.n_won * 100 >= 95 * c.n);
	assert_true(c.n_pools_won * 100 >= 99 * c.n_pools);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_winner_of_twins),
		cmocka_unit_test(test_winner_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
