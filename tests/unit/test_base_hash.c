/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hash_bytes: equal inputs, lengths, avalanche, spread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/util.h"

static void same_input_same_hash_at_any_address(void **state)
{
	unsigned char a[80], b[81];

	(void)state;
	for (size_t i = 0; i < sizeof(a); i++)
		a[i] = (unsigned char)(i * 7);
	memcpy(b + 1, a, sizeof(a));
	for (size_t n = 0; n <= sizeof(a); n++)
		assert_true(hash_bytes(a, n, 5) == hash_bytes(b + 1, n, 5));
}

static void lengths_and_seeds_differ(void **state)
{
	unsigned char zero[64] = { 0 };

	(void)state;
	for (size_t n = 0; n < sizeof(zero); n++) {
		assert_true(hash_bytes(zero, n, 0) != hash_bytes(zero, n + 1, 0));
		assert_true(hash_bytes(zero, n, 0) != hash_bytes(zero, n, 1));
	}
	assert_true(hash_bytes(NULL, 0, 0) == hash_bytes(zero, 0, 0));
}

/* One flipped input bit flips each output bit about half of the time. */
static void avalanche(void **state)
{
	for (size_t size = 1; size <= 40; size += 13) {
		unsigned int flips = 0, n = 0;
		unsigned char v[40] = { 0 };

		for (int round = 0; round < 50; round++) {
			uint64_t h;

			v[0] = (unsigned char)round;
			h = hash_bytes(v, size, 9);
			for (size_t bit = 0; bit < size * 8; bit++, n++) {
				v[bit / 8] ^= (unsigned char)(1u << bit % 8);
				flips += (unsigned int)__builtin_popcountll(h ^ hash_bytes(v, size, 9));
				v[bit / 8] ^= (unsigned char)(1u << bit % 8);
			}
		}
		assert_in_range(flips / n, 30, 33);
	}
	(void)state;
}

/* Small integers, as indexes and addresses are, spread over the low bits. */
static void counters_spread(void **state)
{
	unsigned int buckets[1024] = { 0 };

	(void)state;
	for (uint32_t i = 0; i < 64 * 1024; i++)
		buckets[hash_bytes(&i, sizeof(i), 0) % 1024]++;
	for (size_t i = 0; i < 1024; i++)
		assert_in_range(buckets[i], 24, 120);
}

static void min_and_max_nest(void **state)
{
	int n = 0;

	(void)state;
	assert_int_equal(MAX(1, MIN(5, MAX(2, 3))), 3);
	assert_int_equal(MIN(n++, 10), 0);
	assert_int_equal(n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_input_same_hash_at_any_address),
		cmocka_unit_test(lengths_and_seeds_differ),
		cmocka_unit_test(avalanche),
		cmocka_unit_test(counters_spread),
		cmocka_unit_test(min_and_max_nest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
