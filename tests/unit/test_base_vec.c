/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The typed growing array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "base/vec.h"

struct pair {
	int a;
	long b;
};

static void grows_and_keeps(void **state)
{
	VEC(struct pair) v = { 0 };

	(void)state;
	for (int i = 0; i < 10000; i++)
		assert_int_equal(vec_push(&v, (struct pair){ i, -i }), 0);
	assert_int_equal(v.n, 10000);
	for (int i = 0; i < 10000; i++) {
		assert_int_equal(v.v[i].a, i);
		assert_int_equal(v.v[i].b, -i);
	}
	vec_free(&v);
	assert_null(v.v);
	assert_int_equal(v.n + v.cap, 0);
}

static void reserve_leaves_the_count(void **state)
{
	VEC(int) v = { 0 };
	int *before;

	(void)state;
	assert_int_equal(vec_reserve(&v, 100), 0);
	assert_int_equal(v.n, 0);
	assert_true(v.cap >= 100);
	before = v.v;
	assert_int_equal(vec_reserve(&v, 50), 0);
	assert_ptr_equal(v.v, before);
	vec_free(&v);
}

static void impossible_sizes_change_nothing(void **state)
{
	VEC(struct pair) v = { 0 };

	(void)state;
	assert_int_equal(vec_push(&v, (struct pair){ 1, 2 }), 0);
	assert_int_equal(vec_reserve(&v, SIZE_MAX / 8), -ENOMEM);
	assert_int_equal(vec_reserve(&v, SIZE_MAX), -ENOMEM);
	assert_int_equal(v.n, 1);
	assert_int_equal(v.v[0].b, 2);
	vec_free(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_and_keeps),
		cmocka_unit_test(reserve_leaves_the_count),
		cmocka_unit_test(impossible_sizes_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
