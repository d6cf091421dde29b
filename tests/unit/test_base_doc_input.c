/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON and bytes: what libyaml alone would not take, and what must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/doc.h"

static struct doc *read_one(const char *text, size_t size, struct err *e, int *ret)
{
	struct doc_reader *r = NULL;
	struct doc *d = NULL;

	assert_int_equal(doc_reader_new("in", text, size, &r), 0);
	*ret = doc_reader_next(r, &d, e);
	doc_reader_free(r);
	return d;
}

static struct doc *read_ok(const char *text)
{
	struct err e = { 0 };
	struct doc *d;
	int r;

	d = read_one(text, strlen(text), &e, &r);
	if (r != 1)
		fail_msg("%d %s: %s", r, e.path, e.text);
	return d;
}

#define assert_refused(bytes, path_, words)                                      \
	do {                                                                     \
		struct err e_ = { 0 };                                           \
		int r_;                                                          \
		struct doc *d_ = read_one((bytes), sizeof(bytes) - 1, &e_, &r_); \
                                                                                 \
		doc_free(d_);                                                    \
		assert_int_equal(r_, -EINVAL);                                   \
		assert_string_equal(e_.path, (path_));                           \
		assert_non_null(strstr(e_.text, (words)));                       \
	} while (0)

static void json_with_tabs(void **state)
{
	struct doc *d = read_ok("\t{\n\t\"a\":\t[\t1,\t-2 ,\n\t\ttrue\t],\n\t\t\"b\"\t:\t{\t}\n\t}\t\n");
	const struct doc_node *a = doc_get(doc_root(d), "a");

	(void)state;
	assert_int_equal(a->n, 3);
	assert_string_equal(a->child[1]->scalar, "-2");
	assert_int_equal(doc_plain(a->child[2]), DOC_PLAIN_BOOL);
	assert_int_equal(doc_get(doc_root(d), "b")->type, DOC_MAP);
	doc_free(d);
}

static void json_without_spaces(void **state)
{
	struct doc *d = read_ok("{\"a\":{\"b\":\"x\",\"c\":[1,null,\"2\"]},\"d\":-1,\"e\":1e3,\"f\":false}");
	const struct doc_node *root = doc_root(d), *c = doc_get(doc_get(root, "a"), "c");

	(void)state;
	assert_string_equal(doc_get(doc_get(root, "a"), "b")->scalar, "x");
	assert_int_equal(c->child[1]->type, DOC_NULL);
	assert_true(c->child[2]->quoted);
	assert_int_equal(doc_plain(doc_get(root, "d")), DOC_PLAIN_INT);
	assert_int_equal(doc_plain(doc_get(root, "e")), DOC_PLAIN_FLOAT);
	doc_free(d);
}

static void json_escapes(void **state)
{
	struct doc *d = read_ok("{\"a\":\"\\/\\\"\\\\\\n\\t\\u003c\\u00e9\",\"b\":\"\\ud83d\\ude00!\\uD83D\\uDE01\","
				"\"c\":\"\\\\ud83d\\\\ude00\",\"d\":\"\\\\\\ud83d\\ude00\"}");
	const struct doc_node *root = doc_root(d);

	(void)state;
	assert_string_equal(doc_get(root, "a")->scalar, "/\"\\\n\t<\xc3\xa9");
	assert_string_equal(doc_get(root, "b")->scalar, "\xf0\x9f\x98\x80!\xf0\x9f\x98\x81");
	assert_string_equal(doc_get(root, "c")->scalar, "\\ud83d\\ude00");
	assert_string_equal(doc_get(root, "d")->scalar, "\\\xf0\x9f\x98\x80");
	doc_free(d);
	assert_refused("{\"a\":\"\\ud83d\"}", "in:1", "");
	assert_refused("{\"a\":\"\\ud83dx\\ude00\"}", "in:1", "");
}

/* The same pair at each place around the sizes in which libyaml asks for input. */
static void surrogates_over_buffer_ends(void **state)
{
	static char text[40000];

	(void)state;
	for (size_t pad = 16360; pad < 16400; pad++) {
		struct doc *d;

		memcpy(text, "{\"a\":\"", 6);
		memset(text + 6, 'x', pad);
		strcpy(text + 6 + pad, "\\ud83d\\ude00y\"}");
		d = read_ok(text);
		assert_string_equal(doc_get(doc_root(d), "a")->scalar + pad, "\xf0\x9f\x98\x80y");
		doc_free(d);
	}
}

static void lines_count_in_json(void **state)
{
	assert_refused("{\"a\":\"\\ud83d\\ude00\",\n\"b\":\n1,\"a\":2}", "in:3", "first in line 1");
	(void)state;
}

static void long_values_are_fine(void **state)
{
	CLEANUP_FREE char *text = malloc(200000);
	struct doc *d;

	(void)state;
	memset(text, 'x', 199999);
	memcpy(text, "{\"k\":[\"", 7);
	strcpy(text + 150000, "\",\"y\"]}");
	d = read_ok(text);
	assert_int_equal(doc_get(doc_root(d), "k")->n, 2);
	doc_free(d);
}

static void byte_order_mark_is_skipped(void **state)
{
	struct doc *d = read_ok("\xef\xbb\xbf"
				"a: 1\n");

	(void)state;
	assert_non_null(doc_get(doc_root(d), "a"));
	doc_free(d);
	d = read_ok("\xef\xbb\xbf{\"a\": \"\\ud83d\\ude00\"}");
	assert_non_null(doc_get(doc_root(d), "a"));
	doc_free(d);
}

static void utf8_is_kept(void **state)
{
	struct doc *d = read_ok("a: gr\xc3\xbc\xc3\x9f\x65 \xe2\x82\xac \xf0\x9f\x98\x80\n");

	(void)state;
	assert_string_equal(doc_get(doc_root(d), "a")->scalar, "gr\xc3\xbc\xc3\x9f\x65 \xe2\x82\xac \xf0\x9f\x98\x80");
	doc_free(d);
}

static void what_is_no_text_is_refused_with_its_line(void **state)
{
	(void)state;
	assert_refused("a: 1\nb: \xff\n", "in:2", "no UTF-8 text: byte 0xff");
	assert_refused("a: \xc3\n", "in:1", "byte 0xc3");
	assert_refused("a: \xc0\xaf\n", "in:1", "byte 0xc0"); /* over-long form */
	assert_refused("a: \xed\xa0\x80\n", "in:1", "byte 0xed"); /* a surrogate */
	assert_refused("a: \xf4\x90\x80\x80\n", "in:1", "byte 0xf4"); /* beyond Unicode */
	assert_refused("\x7f"
		       "ELF\x02\x01\x01\0\0\0",
		       "in:1", "U+007F");
	assert_refused("a: 1\n\nb: \0\n", "in:3", "U+0000");
	assert_refused("\xff\xfe"
		       "a\0",
		       "in:1", "byte 0xff"); /* UTF-16 */
	assert_refused("a: \xef\xbb\xbf", "in:1", "U+FEFF");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_with_tabs),
		cmocka_unit_test(json_without_spaces),
		cmocka_unit_test(json_escapes),
		cmocka_unit_test(surrogates_over_buffer_ends),
		cmocka_unit_test(lines_count_in_json),
		cmocka_unit_test(long_values_are_fine),
		cmocka_unit_test(byte_order_mark_is_skipped),
		cmocka_unit_test(utf8_is_kept),
		cmocka_unit_test(what_is_no_text_is_refused_with_its_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
