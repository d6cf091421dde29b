/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Allocations that die together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/rand.h"

static void pieces_are_zero_aligned_and_apart(void **state)
{
	static unsigned char *pieces[2000];
	static size_t sizes[2000];
	struct arena *a = NULL;
	struct rng rng;

	(void)state;
	rng_seed(&rng, 3);
	assert_int_equal(arena_new(&a), 0);
	for (size_t i = 0; i < 2000; i++) {
		sizes[i] = rng_below(&rng, i % 50 ? 200 : 40000);
		pieces[i] = arena_alloc(a, sizes[i]);
		assert_non_null(pieces[i]);
		assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(pieces[i][k], 0);
		memset(pieces[i], (int)(i & 0xff), sizes[i]);
	}
	for (size_t i = 0; i < 2000; i++) {
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(pieces[i][k], i & 0xff);
	}
	arena_free(a);
}

static void strings(void **state)
{
	char long_text[10000];
	struct arena *a = NULL;

	(void)state;
	assert_int_equal(arena_new(&a), 0);
	assert_string_equal(arena_strdup(a, "abc"), "abc");
	assert_string_equal(arena_printf(a, "%s-%d", "x", 4), "x-4");
	assert_string_equal(arena_printf(a, "%s", ""), "");
	memset(long_text, 'y', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	assert_string_equal(arena_printf(a, "%s", long_text), long_text);
	arena_free(a);
	arena_free(NULL);
}

static void waste_is_bounded(void **state)
{
	struct arena *a = NULL;

	(void)state;
	assert_int_equal(arena_new(&a), 0);
	assert_true(arena_size(a) < 1024);
	for (int i = 0; i < 100000; i++)
		assert_non_null(arena_alloc(a, 48));
	assert_in_range(arena_size(a), 4800000, 4800000 + (2 << 20));
	arena_free(a);
}

static void impossible_sizes_are_refused(void **state)
{
	struct arena *a = NULL;

	(void)state;
	assert_int_equal(arena_new(&a), 0);
	assert_null(arena_alloc(a, SIZE_MAX));
	assert_null(arena_alloc(a, SIZE_MAX / 2 + 1));
	assert_non_null(arena_alloc(a, 0));
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_zero_aligned_and_apart),
		cmocka_unit_test(strings),
		cmocka_unit_test(waste_is_bounded),
		cmocka_unit_test(impossible_sizes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
