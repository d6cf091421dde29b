/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "target/refusal.h"

static void test_names(void **state)
{
	(void)state;
	for (int i = 0; i < REFUSAL_MAX; i++) {
		assert_int_equal(refusal_parse(refusal_name((enum refusal)i)), i);
		assert_true(strlen(refusal_text((enum refusal)i)) > 10);
	}
	assert_int_equal(refusal_parse("no-such-refusal"), -EINVAL);
	assert_int_equal(refusal_parse(NULL), -EINVAL);
	assert_string_equal(refusal_name(REFUSAL_MAX), "?");
	assert_string_equal(refusal_text(REFUSAL_MAX), "?");
}

static void test_notes(void **state)
{
	struct refusal_list l = {};
	char longer[1000];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(refusal_add(&l, REFUSAL_SCTP, "Service a/b", "spec.ports[0]", "no"), 0);
	assert_int_equal(refusal_add(&l, REFUSAL_NODE_PORT, NULL, NULL, NULL), 0);
	assert_int_equal(refusal_add(&l, REFUSAL_NODE_PORT, longer, longer, longer), 0);
	assert_int_equal(l.n, 3);
	assert_int_equal(l.v[0].why, REFUSAL_SCTP);
	assert_string_equal(l.v[0].object, "Service a/b");
	assert_string_equal(l.v[0].field, "spec.ports[0]");
	assert_string_equal(l.v[0].detail, "no");
	assert_string_equal(l.v[1].object, "");
	assert_int_equal(strlen(l.v[2].object), sizeof(l.v[2].object) - 1);
	assert_int_equal(l.count[REFUSAL_NODE_PORT], 2);
	refusal_list_free(&l);
	assert_int_equal(l.n, 0);
	assert_null(l.v);
}

static void test_bound(void **state)
{
	struct refusal_list l = {};

	(void)state;
	for (int i = 0; i < 10050; i++)
		assert_int_equal(refusal_add(&l, REFUSAL_TOO_LARGE, "x", "", ""), 0);
	assert_int_equal(l.n, 10000);
	assert_int_equal(l.count[REFUSAL_TOO_LARGE], 10050);
	refusal_list_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
