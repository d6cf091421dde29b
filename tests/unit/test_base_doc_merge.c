/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Merge keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/doc.h"

static struct doc *read_one(const char *text, struct err *e, int *ret)
{
	struct doc_reader *r = NULL;
	struct doc *d = NULL;

	assert_int_equal(doc_reader_new("in", text, strlen(text), &r), 0);
	*ret = doc_reader_next(r, &d, e);
	doc_reader_free(r);
	return d;
}

static struct doc *read_ok(const char *text)
{
	struct err e = { 0 };
	struct doc *d;
	int r;

	d = read_one(text, &e, &r);
	if (r != 1)
		fail_msg("%d %s: %s", r, e.path, e.text);
	return d;
}

static const char *value(const struct doc *d, const char *key)
{
	return doc_get(doc_get(doc_root(d), "x"), key)->scalar;
}

static void own_keys_win(void **state)
{
	struct doc *d = read_ok("b: &b {p: 1, q: 2, r: 3}\nx:\n  p: own\n  <<: *b\n  q: own too\n");
	const struct doc_node *x = doc_get(doc_root(d), "x");

	(void)state;
	assert_int_equal(x->n, 3);
	assert_string_equal(value(d, "p"), "own");
	assert_string_equal(value(d, "q"), "own too");
	assert_string_equal(value(d, "r"), "3");
	assert_null(doc_get(x, "<<"));
	doc_free(d);
}

static void earlier_mappings_win(void **state)
{
	struct doc *d = read_ok("x: {<<: [{p: 1}, {p: 2, q: 2}, {r: 3, q: 3}]}\n");

	(void)state;
	assert_int_equal(doc_get(doc_root(d), "x")->n, 3);
	assert_string_equal(value(d, "p"), "1");
	assert_string_equal(value(d, "q"), "2");
	assert_string_equal(value(d, "r"), "3");
	doc_free(d);
}

static void quoted_is_a_key_like_any_other(void **state)
{
	struct doc *d = read_ok("x: {\"<<\": 5}\n");

	(void)state;
	assert_string_equal(value(d, "<<"), "5");
	doc_free(d);
}

static void misuse_is_refused(void **state)
{
	static const char *const texts[] = { "x:\n  <<: 5\n", "x:\n  <<: [1]\n", "x:\n  <<: ~\n" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct err e = { 0 };
		int r;

		doc_free(read_one(texts[i], &e, &r));
		assert_int_equal(r, -EINVAL);
		assert_string_equal(e.path, "in:2");
		assert_string_equal(e.text, "\"<<\" wants a mapping or a list of mappings");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_keys_win),
		cmocka_unit_test(earlier_mappings_win),
		cmocka_unit_test(quoted_is_a_key_like_any_other),
		cmocka_unit_test(misuse_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
