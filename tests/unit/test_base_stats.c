/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Medians, quantiles and bootstrap intervals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/rand.h"
#include "base/stats.h"

static void assert_near(double a, double b)
{
	assert_true(a - b < 1e-9 && b - a < 1e-9);
}

static void medians(void **state)
{
	const double odd[] = { 5, 1, 3 }, even[] = { 4, 1, 3, 2 }, one[] = { 7 };

	(void)state;
	assert_near(stats_median(odd, 3), 3);
	assert_near(stats_median(even, 4), 2.5);
	assert_near(stats_median(one, 1), 7);
	assert_near(odd[0], 5); /* untouched */
}

static void quantiles_interpolate(void **state)
{
	const double v[] = { 40, 10, 30, 20, 50 };

	(void)state;
	assert_near(stats_quantile(v, 5, 0), 10);
	assert_near(stats_quantile(v, 5, 1), 50);
	assert_near(stats_quantile(v, 5, 0.25), 20);
	assert_near(stats_quantile(v, 5, 0.9), 46);
}

static void same_seed_same_interval(void **state)
{
	const double v[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };
	struct interval a, b, c;

	(void)state;
	assert_int_equal(stats_bootstrap_median(v, 10, 1, &a), 0);
	assert_int_equal(stats_bootstrap_median(v, 10, 1, &b), 0);
	assert_int_equal(stats_bootstrap_median(v, 10, 2, &c), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_near(a.mid, 5.5);
	assert_true(a.low >= 1 && a.low < a.mid && a.mid < a.high && a.high <= 10);
	assert_true(c.low > a.low - 2 && c.low < a.low + 2);
}

/*
 * 2.5 % and 97.5 % of the exact distribution of the median of six draws from six values (by enumeration): both are
 * between two values.
 */
static void small_interval_is_the_exact_one(void **state)
{
	const double v[] = { 0, 1, 2, 3, 4, 5 };
	struct interval i;

	(void)state;
	assert_int_equal(stats_bootstrap_median(v, 6, 1, &i), 0);
	assert_near(i.low, 0.5);
	assert_near(i.mid, 2.5);
	assert_near(i.high, 4.5);
}

static void constant_samples_have_no_width(void **state)
{
	const double v[] = { 3, 3, 3 };
	struct interval i;

	(void)state;
	assert_int_equal(stats_bootstrap_median(v, 3, 1, &i), 0);
	assert_near(i.low, 3);
	assert_near(i.mid, 3);
	assert_near(i.high, 3);
}

/* The interval holds the true median of a known distribution in about 95 of 100 experiments. */
static void coverage_is_near_95_percent(void **state)
{
	int hits = 0;
	struct rng r;

	(void)state;
	rng_seed(&r, 8);
	for (int k = 0; k < 300; k++) {
		struct interval i;
		double v[41];

		for (int n = 0; n < 41; n++)
			v[n] = rng_double(&r);
		assert_int_equal(stats_bootstrap_median(v, 41, (uint64_t)k, &i), 0);
		hits += i.low <= 0.5 && 0.5 <= i.high;
	}
	assert_in_range(hits, 273, 297);
}

static void ratios_are_paired(void **state)
{
	const double a[] = { 2, 40, 6, 9 }, b[] = { 1, 20, 3, 0 };
	const double zero[] = { 0, -1 };
	struct interval i = { 0 };

	(void)state;
	assert_int_equal(stats_bootstrap_ratio(a, b, 4, 1, &i), 0);
	assert_near(i.low, 2);
	assert_near(i.high, 2);
	assert_int_equal(stats_bootstrap_ratio(a, zero, 2, 1, &i), -EDOM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_interval_is_the_exact_one),
		cmocka_unit_test(medians),
		cmocka_unit_test(quantiles_interpolate),
		cmocka_unit_test(same_seed_same_interval),
		cmocka_unit_test(constant_samples_have_no_width),
		cmocka_unit_test(coverage_is_near_95_percent),
		cmocka_unit_test(ratios_are_paired),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
