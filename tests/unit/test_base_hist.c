/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The latency histogram, against exact quantiles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/hist.h"
#include "base/rand.h"
#include "base/stats.h"

static void every_value_is_near_its_bucket(void **state)
{
	size_t last = 0;

	(void)state;
	for (uint64_t v = 0; v < 1ull << 40; v += 1 + v / 500) {
		size_t b = hist_bucket(v);
		uint64_t mid = hist_bucket_mid(b);
		uint64_t off = mid > v ? mid - v : v - mid;

		assert_true(b >= last && b <= last + 1);
		assert_true(b < HIST_BUCKETS);
		assert_true(off * 128 <= v); /* the middle of a bucket 1/64 wide */
		assert_int_equal(hist_bucket(mid), b);
		last = b;
	}
	assert_int_equal(hist_bucket(UINT64_MAX), HIST_BUCKETS - 1);
	assert_int_equal(hist_bucket(1ull << 41), HIST_BUCKETS - 1);
}

static void quantiles_are_near_the_exact_ones(void **state)
{
	static double v[10000];
	static struct hist h;
	struct rng r;

	(void)state;
	rng_seed(&r, 2);
	hist_init(&h);
	for (int i = 0; i < 10000; i++) {
		uint64_t ns = (uint64_t)rng_exp(&r, 50000) + 1000;

		v[i] = (double)ns;
		hist_add(&h, ns);
	}
	for (double q = 0.01; q < 1; q += 0.07) {
		double exact = stats_quantile(v, 10000, q);
		double got = (double)hist_quantile(&h, q);

		assert_true(got > exact * 0.98 && got < exact * 1.02);
	}
	assert_true((double)hist_quantile(&h, 0) == stats_quantile(v, 10000, 0));
	assert_true((double)hist_quantile(&h, 1) <= stats_quantile(v, 10000, 1));
	assert_int_equal(h.count, 10000);
}

static void empty_and_single(void **state)
{
	static struct hist h;

	(void)state;
	hist_init(&h);
	assert_int_equal(hist_quantile(&h, 0.5), 0);
	hist_add(&h, 123457);
	assert_int_equal(hist_quantile(&h, 0), 123457);
	assert_int_equal(hist_quantile(&h, 0.5), 123457);
	assert_int_equal(hist_quantile(&h, 1), 123457);
	assert_int_equal(h.min_ns, 123457);
	assert_int_equal(h.max_ns, 123457);
}

static void merge_is_adding_all(void **state)
{
	static struct hist a, b, all;

	(void)state;
	hist_init(&a);
	hist_init(&b);
	hist_init(&all);
	for (uint64_t i = 0; i < 1000; i++) {
		hist_add(i % 3 ? &a : &b, i * i * 1000);
		hist_add(&all, i * i * 1000);
	}
	hist_merge(&a, &b);
	assert_memory_equal(a.buckets, all.buckets, sizeof(a.buckets));
	assert_int_equal(a.count, 1000);
	assert_int_equal(a.min_ns, 0);
	assert_int_equal(a.max_ns, 998001000);
	assert_true(a.sum_ns == all.sum_ns);
	hist_init(&b);
	hist_merge(&a, &b);
	assert_int_equal(a.min_ns, 0);
	assert_int_equal(a.count, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_value_is_near_its_bucket),
		cmocka_unit_test(quantiles_are_near_the_exact_ones),
		cmocka_unit_test(empty_and_single),
		cmocka_unit_test(merge_is_adding_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
