/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Typed reads, by the rules of YAML 1.1 as Kubernetes has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/doc.h"
#include "base/util.h"

/* The document stays until the test ends. */
static struct doc *read_ok(const char *text)
{
	struct doc_reader *r = NULL;
	struct doc *d = NULL;
	struct err e = { 0 };

	assert_int_equal(doc_reader_new("in", text, strlen(text), &r), 0);
	if (doc_reader_next(r, &d, &e) != 1)
		fail_msg("%s: %s", e.path, e.text);
	doc_reader_free(r);
	return d;
}

static void words_of_yaml_1_1(void **state)
{
	static const char *const yes[] = { "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y" };
	static const char *const no[] = { "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		struct doc_node plain = { .type = DOC_SCALAR, .scalar = yes[i] },
				other = { .type = DOC_SCALAR, .scalar = no[i] };
		const struct doc_node *children[] = { &plain, &other };
		const char *keys[] = { "a", "b" };
		const struct doc_node map = { .type = DOC_MAP, .n = 2, .child = children, .key = keys };
		bool a = false, b = true;

		assert_int_equal(doc_get_bool(&map, "a", "a", &a, NULL), 1);
		assert_int_equal(doc_get_bool(&map, "b", "b", &b, NULL), 1);
		assert_true(a);
		assert_false(b);
		plain.quoted = true;
		assert_int_equal(doc_get_bool(&map, "a", "a", &a, NULL), -EINVAL);
		assert_int_equal(doc_plain(&plain), DOC_PLAIN_STR);
	}
}

static void kinds_of_plain_scalars(void **state)
{
	static const struct {
		const char *text;
		enum doc_plain want;
	} cases[] = {
		{ "80", DOC_PLAIN_INT },	{ "-80", DOC_PLAIN_INT },
		{ "+80", DOC_PLAIN_INT },	{ "0x1F", DOC_PLAIN_INT },
		{ "017", DOC_PLAIN_INT },	{ "0o17", DOC_PLAIN_INT },
		{ "0b101", DOC_PLAIN_INT },	{ "1_000", DOC_PLAIN_INT },
		{ "0", DOC_PLAIN_INT },		{ "99999999999999999999", DOC_PLAIN_INT },
		{ "1.5", DOC_PLAIN_FLOAT },	{ "1.", DOC_PLAIN_FLOAT },
		{ ".5", DOC_PLAIN_FLOAT },	{ "1e3", DOC_PLAIN_FLOAT },
		{ "-1.5E-3", DOC_PLAIN_FLOAT }, { ".inf", DOC_PLAIN_FLOAT },
		{ ".NaN", DOC_PLAIN_FLOAT },	{ "09", DOC_PLAIN_FLOAT },
		{ "tRuE", DOC_PLAIN_STR },	{ "10.0.0.1", DOC_PLAIN_STR },
		{ "1.2.3", DOC_PLAIN_STR },	{ "http", DOC_PLAIN_STR },
		{ "_1", DOC_PLAIN_STR },	{ "0x", DOC_PLAIN_STR },
		{ "-", DOC_PLAIN_STR },		{ ".", DOC_PLAIN_STR },
		{ "1e", DOC_PLAIN_STR },	{ "0xZ", DOC_PLAIN_STR },
		{ "12a", DOC_PLAIN_STR },	{ "::1", DOC_PLAIN_STR },
		{ "- 1", DOC_PLAIN_STR },	{ "0x-1", DOC_PLAIN_STR },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct doc_node n = { .type = DOC_SCALAR, .scalar = cases[i].text };

		if (doc_plain(&n) != cases[i].want)
			fail_msg("%s: %d, not %d", cases[i].text, doc_plain(&n), cases[i].want);
	}
	assert_int_equal(doc_plain(NULL), DOC_PLAIN_NONE);
}

static void values_of_integers(void **state)
{
	struct doc *d = read_ok("{a: 8080, b: -5, c: 0x1F, d: 017, e: 1_000, f: 0b11, g: 9223372036854775807, "
				"h: -9223372036854775808, i: 9223372036854775808, j: '5', k: 5.0}\n");
	static const int64_t want[] = { 8080, -5, 31, 15, 1000, 3, INT64_MAX, INT64_MIN };
	struct err e = { 0 };
	int64_t v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		char key[] = { (char)('a' + i), '\0' };

		v = 77;
		assert_int_equal(doc_get_int(doc_root(d), key, key, INT64_MIN, INT64_MAX, &v, NULL), 1);
		assert_true(v == want[i]);
	}
	v = 77;
	assert_int_equal(doc_get_int(doc_root(d), "i", "i", INT64_MIN, INT64_MAX, &v, NULL), -EINVAL);
	assert_int_equal(doc_get_int(doc_root(d), "j", "spec.j", 0, 9, &v, &e), -EINVAL);
	assert_string_equal(e.path, "line 1: spec.j");
	assert_string_equal(e.text, "a whole number is wanted here, \"5\" is a string");
	assert_int_equal(doc_get_int(doc_root(d), "k", "k", 0, 9, &v, NULL), -EINVAL);
	e = (struct err){ 0 };
	assert_int_equal(doc_get_int(doc_root(d), "a", "spec.ports[2].port", 1, 1000, &v, &e), -EINVAL);
	assert_string_equal(e.path, "line 1: spec.ports[2].port");
	assert_string_equal(e.text, "8080 is not between 1 and 1000");
	assert_int_equal(v, 77);
	doc_free(d);
}

static void strings_are_strict(void **state)
{
	struct doc *d = read_ok("a: x\nb: 5\nc: '5'\nd: yes\ne: \"yes\"\nf: 10.0.0.1\ng: |\n  5\nh: [1]\ni: ~\n");
	const struct doc_node *root = doc_root(d);
	static const struct {
		const char *key;
		int want;
		const char *value;
	} cases[] = {
		{ "a", 1, "x" },   { "b", -EINVAL, "old" }, { "c", 1, "5" },   { "d", -EINVAL, "old" },
		{ "e", 1, "yes" }, { "f", 1, "10.0.0.1" },  { "g", 1, "5\n" }, { "h", -EINVAL, "old" },
		{ "i", 0, "old" }, { "none", 0, "old" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *s = "old";

		assert_int_equal(doc_get_str(root, cases[i].key, "p", &s, NULL), cases[i].want);
		assert_string_equal(s, cases[i].value);
	}
	doc_free(d);
}

static void collections_and_their_errors(void **state)
{
	struct doc *d = read_ok("m: {a: 1}\ns: [1]\nx: 5\n");
	const struct doc_node *root = doc_root(d), *n = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(doc_get_map(root, "m", "m", &n, NULL), 1);
	assert_int_equal(n->type, DOC_MAP);
	assert_int_equal(doc_get_seq(root, "s", "s", &n, NULL), 1);
	assert_int_equal(n->type, DOC_SEQ);
	assert_int_equal(doc_get_map(root, "s", "spec.s", &n, &e), -EINVAL);
	assert_string_equal(e.path, "line 2: spec.s");
	assert_string_equal(e.text, "a mapping is wanted here, this is a list");
	e = (struct err){ 0 };
	assert_int_equal(doc_get_seq(root, "x", "spec.x", &n, &e), -EINVAL);
	assert_string_equal(e.text, "a list is wanted here, \"5\" is a number");
	assert_int_equal(n->type, DOC_SEQ);
	doc_free(d);
}

static void absence_is_harmless(void **state)
{
	const struct doc_node scalar = { .type = DOC_SCALAR, .scalar = "x" };
	const struct doc_node *n = NULL;
	bool b = true;

	(void)state;
	assert_null(doc_get(NULL, "a"));
	assert_null(doc_get(&scalar, "a"));
	assert_int_equal(doc_get_bool(NULL, "a", "a", &b, NULL), 0);
	assert_int_equal(doc_get_map(&scalar, "a", "a", &n, NULL), 0);
	assert_true(b);
}

static void callers_errors_have_a_place(void **state)
{
	const struct doc_node at = { .type = DOC_NULL, .line = 7 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(doc_err(&at, "spec", &e, "no %s", "luck"), -EINVAL);
	assert_string_equal(e.path, "line 7: spec");
	assert_string_equal(e.text, "no luck");
	assert_int_equal(doc_err(NULL, "spec", NULL, "x"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_of_yaml_1_1),
		cmocka_unit_test(kinds_of_plain_scalars),
		cmocka_unit_test(values_of_integers),
		cmocka_unit_test(strings_are_strict),
		cmocka_unit_test(collections_and_their_errors),
		cmocka_unit_test(absence_is_harmless),
		cmocka_unit_test(callers_errors_have_a_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
