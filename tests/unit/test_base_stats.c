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

/*
 * Three groups of { 0, 1, 2 }: a resampled median is 0 with probability 7/27, 1 with 13/27, 2 with 7/27. All three are 0 in 1.7 % of cases, their sum is at
 * most 1 in 11 %; so 2.5 % of the distribution of the mean is 1/3, and 97.5 % is 5/3.
 */
static void small_groups_are_exact(void **state)
{
	const double v[] = { 0, 1, 2, 2, 0, 1, 1, 2, 0 };
	const size_t n[] = { 3, 3, 3 };
	struct interval i, again;

	(void)state;
	assert_int_equal(stats_bootstrap_groups(v, n, 3, 1, &i), 0);
	assert_near(i.low, 1.0 / 3);
	assert_near(i.mid, 1);
	assert_near(i.high, 5.0 / 3);
	assert_int_equal(stats_bootstrap_groups(v, n, 3, 1, &again), 0);
	assert_memory_equal(&i, &again, sizeof(i));
}

static void one_group_is_the_median(void **state)
{
	const double v[] = { 3, 9, 4, 1, 5, 8, 2 };
	const size_t n = 7;
	struct interval group, median;

	(void)state;
	assert_int_equal(stats_bootstrap_groups(v, &n, 1, 5, &group), 0);
	assert_int_equal(stats_bootstrap_median(v, n, 5, &median), 0);
	assert_near(group.mid, median.mid);
	assert_near(group.low, median.low);
	assert_near(group.high, median.high);
}

/* One value weighs as much as ninety-nine. */
static void groups_weigh_alike(void **state)
{
	const size_t n[] = { 99, 1 };
	struct interval i;
	double v[100];

	(void)state;
	for (int k = 0; k < 99; k++)
		v[k] = 10;
	v[99] = 20;
	assert_int_equal(stats_bootstrap_groups(v, n, 2, 1, &i), 0);
	assert_near(i.low, 15);
	assert_near(i.mid, 15);
	assert_near(i.high, 15);
}

/*
 * Groups that lie apart and differ in size: the interval holds the mean of their true medians in 95 of 100 experiments, and with
 * so few values rather 97; one of half or twice the width would in 70 or in all.
 */
static void coverage_of_groups_is_near_95_percent(void **state)
{
	const size_t n[] = { 41, 31, 51, 61 };
	int hits = 0;
	struct rng r;

	(void)state;
	rng_seed(&r, 9);
	for (int k = 0; k < 300; k++) {
		struct interval i;
		double v[184];
		size_t at = 0;

		for (size_t g = 0; g < 4; g++)
			for (size_t j = 0; j < n[g]; j++)
				v[at++] = (double)g * 3 + rng_double(&r);
		assert_int_equal(stats_bootstrap_groups(v, n, 4, (uint64_t)k * 4, &i), 0);
		hits += i.low <= 5 && 5 <= i.high; /* (0.5 + 3.5 + 6.5 + 9.5) / 4 */
	}
	assert_in_range(hits, 273, 297);
}

static void signs(void **state)
{
	(void)state;
	assert_near(stats_sign_test(0, 0), 1);
	assert_near(stats_sign_test(1, 0), 1);
	assert_near(stats_sign_test(13, 0), 2.0 / 8192);
	assert_near(stats_sign_test(1, 9), 22.0 / 1024);
	assert_near(stats_sign_test(5, 5), 1);
	for (size_t a = 0; a < 12; a++)
		for (size_t b = 0; b < 12; b++) {
			assert_near(stats_sign_test(a, b), stats_sign_test(b, a));
			assert_true(stats_sign_test(a, b) > 0 && stats_sign_test(a, b) <= 1);
		}
	/* Many: nothing overflows on the way. Two standard deviations of 1,060 coins are 65 heads too many. */
	assert_true(stats_sign_test(100000, 0) >= 0 && stats_sign_test(100000, 0) < 1e-300);
	assert_true(stats_sign_test(500, 560) > 0.05 && stats_sign_test(500, 580) < 0.05);
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
		cmocka_unit_test(small_groups_are_exact),
		cmocka_unit_test(one_group_is_the_median),
		cmocka_unit_test(groups_weigh_alike),
		cmocka_unit_test(coverage_of_groups_is_near_95_percent),
		cmocka_unit_test(signs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
