/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hash map, against a plain array as the oracle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/rand.h"

#define N_KEYS 500
#define N_STEPS 200000

static void *number(uintptr_t n)
{
	return (void *)n;
}

static void random_steps_equal_an_array(void **state)
{
	uintptr_t truth[N_KEYS] = { 0 }; /* 0 = absent */
	struct map *m = NULL;
	size_t n_present = 0;
	struct rng rng;

	(void)state;
	rng_seed(&rng, 1);
	assert_int_equal(map_new(&m), 0);
	for (uintptr_t step = 1; step <= N_STEPS; step++) {
		uint32_t key = (uint32_t)rng_below(&rng, N_KEYS);
		void *old = number(77);

		switch (rng_below(&rng, 3)) {
		case 0:
			assert_int_equal(map_put(m, &key, sizeof(key), number(step), &old), 0);
			assert_ptr_equal(old, number(truth[key]));
			n_present += !truth[key];
			truth[key] = step;
			break;
		case 1:
			assert_ptr_equal(map_del(m, &key, sizeof(key)), number(truth[key]));
			n_present -= !!truth[key];
			truth[key] = 0;
			break;
		default:
			assert_ptr_equal(map_get(m, &key, sizeof(key)), number(truth[key]));
			assert_int_equal(map_has(m, &key, sizeof(key)), truth[key] != 0);
		}
		assert_int_equal(map_count(m), n_present);
	}
	map_free(m, NULL);
}

static void keys_are_copied_and_typed_by_size(void **state)
{
	char key[8] = "abc";
	struct map *m = NULL;

	(void)state;
	assert_int_equal(map_new(&m), 0);
	assert_int_equal(map_put(m, key, 3, number(1), NULL), 0);
	assert_int_equal(map_put_str(m, key, number(2), NULL), 0);
	assert_int_equal(map_put(m, NULL, 0, number(3), NULL), 0);
	memset(key, 'x', sizeof(key));
	assert_ptr_equal(map_get(m, "abc", 3), number(1));
	assert_ptr_equal(map_get_str(m, "abc"), number(2));
	assert_ptr_equal(map_get(m, "abc", 2), NULL);
	assert_ptr_equal(map_get(m, NULL, 0), number(3));
	assert_int_equal(map_count(m), 3);
	map_free(m, NULL);
}

static void null_values_are_there(void **state)
{
	struct map *m = NULL;

	(void)state;
	assert_int_equal(map_new(&m), 0);
	assert_int_equal(map_put_str(m, "a", NULL, NULL), 0);
	assert_null(map_get_str(m, "a"));
	assert_true(map_has(m, "a", 2));
	assert_false(map_has(m, "b", 2));
	map_free(m, NULL);
}

static void map_free_frees_values(void **state)
{
	struct map *m = NULL;

	(void)state;
	assert_int_equal(map_new(&m), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(map_put(m, &i, sizeof(i), malloc(10), NULL), 0);
	map_free(m, free);
	map_free(NULL, free);
}

static int mark(const void *key, size_t key_size, void *value, void *arg)
{
	int i;

	assert_int_equal(key_size, sizeof(i));
	memcpy(&i, key, sizeof(i));
	assert_ptr_equal(value, number((uintptr_t)i + 1));
	((int *)arg)[i]++;
	return 0;
}

static int stop_at_once(const void *key, size_t key_size, void *value, void *arg)
{
	(void)key;
	(void)key_size;
	(void)value;
	++*(int *)arg;
	return 42;
}

static void each_meets_all_once_and_stops(void **state)
{
	int seen[1000] = { 0 };
	struct map *m = NULL;
	int n = 0;

	(void)state;
	assert_int_equal(map_new(&m), 0);
	assert_int_equal(map_each(m, stop_at_once, &n), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(map_put(m, &i, sizeof(i), number((uintptr_t)i + 1), NULL), 0);
	assert_int_equal(map_each(m, mark, seen), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(seen[i], 1);
	assert_int_equal(map_each(m, stop_at_once, &n), 42);
	assert_int_equal(n, 1);
	map_free(m, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_steps_equal_an_array),	 cmocka_unit_test(keys_are_copied_and_typed_by_size),
		cmocka_unit_test(null_values_are_there),	 cmocka_unit_test(map_free_frees_values),
		cmocka_unit_test(each_meets_all_once_and_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
