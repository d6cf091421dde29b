/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Seeded random numbers: the published sequence, bounds, distributions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/rand.h"

/* splitmix64 of seed 0 begins e220a8397b1dcdaf (its authors' test vector); the state of xoshiro is filled with it. */
static void seeding_is_splitmix(void **state)
{
	struct rng r;

	(void)state;
	rng_seed(&r, 0);
	assert_true(r.s[0] == 0xe220a8397b1dcdafull);
	assert_true(r.s[1] == 0x6e789e6aa1b965f4ull);
	assert_true(r.s[2] == 0x06c45d188009454full);
	assert_true(r.s[3] == 0xf88bb8a8724c81ecull);
}

/* State {1, 2, 3, 4}: the first values by hand from the definition. */
static void sequence_is_xoshiro(void **state)
{
	struct rng r = { { 1, 2, 3, 4 } };

	(void)state;
	assert_true(rng_u64(&r) == 11520);
	assert_true(rng_u64(&r) == 0);
	assert_true(rng_u64(&r) == 1509978240);
	assert_true(rng_u64(&r) == 1215971899390074240ull);
}

static void same_seed_same_numbers(void **state)
{
	struct rng a, b, c;

	(void)state;
	rng_seed(&a, 12);
	rng_seed(&b, 12);
	rng_seed(&c, 13);
	assert_true(rng_u64(&a) != rng_u64(&c));
	(void)rng_u64(&b);
	for (int i = 0; i < 100; i++)
		assert_true(rng_u64(&a) == rng_u64(&b));
}

static void below_is_uniform(void **state)
{
	unsigned int n[7] = { 0 };
	struct rng r;

	(void)state;
	rng_seed(&r, 4);
	for (int i = 0; i < 70000; i++)
		n[rng_below(&r, 7)]++;
	for (int i = 0; i < 7; i++)
		assert_in_range(n[i], 9600, 10400);
	assert_int_equal(rng_below(&r, 1), 0);
	/* Just over half of the range: half of all draws are thrown away, both halves come alike. */
	memset(n, 0, sizeof(n));
	for (int i = 0; i < 10000; i++) {
		uint64_t v = rng_below(&r, (1ull << 63) + 1);

		assert_true(v <= 1ull << 63);
		n[v >> 62]++;
	}
	assert_in_range(n[0], 4700, 5300);
}

static void doubles_and_waits(void **state)
{
	double sum = 0, waits = 0;
	struct rng r;

	(void)state;
	rng_seed(&r, 5);
	for (int i = 0; i < 100000; i++) {
		double d = rng_double(&r), w = rng_exp(&r, 20);

		assert_true(d >= 0 && d < 1);
		assert_true(w >= 0 && w < 2000);
		sum += d;
		waits += w;
	}
	assert_true(sum > 49500 && sum < 50500);
	assert_true(waits > 1960000 && waits < 2040000);
}

static void shuffle_is_a_fair_permutation(void **state)
{
	unsigned int at[4][4] = { 0 };
	struct rng r;

	(void)state;
	rng_seed(&r, 6);
	for (int i = 0; i < 24000; i++) {
		uint16_t v[4] = { 0, 1, 2, 3 };
		unsigned int seen = 0;

		rng_shuffle(&r, v, 4, sizeof(v[0]));
		for (int k = 0; k < 4; k++) {
			seen |= 1u << v[k];
			at[k][v[k]]++;
		}
		assert_int_equal(seen, 15);
	}
	for (int k = 0; k < 4; k++) {
		for (int v = 0; v < 4; v++)
			assert_in_range(at[k][v], 5600, 6400);
	}
	rng_shuffle(&r, NULL, 0, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seeding_is_splitmix),	  cmocka_unit_test(sequence_is_xoshiro),
		cmocka_unit_test(same_seed_same_numbers), cmocka_unit_test(below_is_uniform),
		cmocka_unit_test(doubles_and_waits),	  cmocka_unit_test(shuffle_is_a_fair_permutation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
