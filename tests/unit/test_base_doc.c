/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Documents: streams, Lists item by item, bounds, places of errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/doc.h"
#include "base/str.h"

static struct doc_reader *open_text(const char *text)
{
	struct doc_reader *r = NULL;

	assert_int_equal(doc_reader_new("in.yaml", text, strlen(text), &r), 0);
	return r;
}

static struct doc *next_ok(struct doc_reader *r)
{
	struct doc *d = NULL;
	struct err e = { 0 };
	int code = doc_reader_next(r, &d, &e);

	if (code != 1)
		fail_msg("%d %s: %s", code, e.path, e.text);
	return d;
}

static void assert_end(struct doc_reader *r)
{
	struct doc *d = NULL;
	struct err e = { 0 };

	assert_int_equal(doc_reader_next(r, &d, &e), 0);
	assert_int_equal(doc_reader_next(r, &d, &e), 0);
	assert_null(d);
	doc_reader_free(r);
}

/* Reads until the error; the number of documents before it. */
static int assert_fails(const char *text, int code, const char *path, const char *words)
{
	struct doc_reader *r = open_text(text);
	struct doc *d = NULL;
	struct err e = { 0 };
	int n = 0, got;

	while ((got = doc_reader_next(r, &d, &e)) == 1) {
		doc_free(d);
		n++;
	}
	assert_int_equal(got, code);
	assert_string_equal(e.path, path);
	if (!strstr(e.text, words))
		fail_msg("\"%s\" does not say \"%s\"", e.text, words);
	/* The reader stays failed. */
	e = (struct err){ 0 };
	assert_int_equal(doc_reader_next(r, &d, &e), code);
	assert_true(e.text[0]);
	doc_reader_free(r);
	return n;
}

static const char *str_of(const struct doc_node *map, const char *key)
{
	const struct doc_node *n = doc_get(map, key);

	return n && n->type == DOC_SCALAR ? n->scalar : "(none)";
}

static void nodes_know_type_and_line(void **state)
{
	struct doc_reader *r = open_text("# first\na: 1\nb:\n  - x\n  - \"y\"\nc: {d: ~, e: ''}\n");
	struct doc *d = next_ok(r);
	const struct doc_node *root = doc_root(d), *b = doc_get(root, "b"), *c = doc_get(root, "c");

	(void)state;
	assert_int_equal(root->type, DOC_MAP);
	assert_int_equal(root->n, 3);
	assert_string_equal(root->key[2], "c");
	assert_int_equal(doc_get(root, "a")->line, 2);
	assert_int_equal(b->type, DOC_SEQ);
	assert_int_equal(b->n, 2);
	assert_int_equal(b->child[1]->line, 5);
	assert_false(b->child[0]->quoted);
	assert_true(b->child[1]->quoted);
	assert_int_equal(c->child[0]->type, DOC_NULL);
	assert_int_equal(c->child[1]->type, DOC_SCALAR);
	assert_null(doc_get(c, "d"));
	assert_string_equal(str_of(c, "e"), "");
	assert_null(doc_list_kind(d));
	doc_free(d);
	assert_end(r);
}

static void many_documents_empty_ones_skipped(void **state)
{
	struct doc_reader *r = open_text("---\n---\na: 1\n---\n# nothing\n---\n~\n---\nb: 2\n...\n---\n");
	struct doc *d = next_ok(r);

	(void)state;
	assert_string_equal(str_of(doc_root(d), "a"), "1");
	doc_free(d);
	d = next_ok(r);
	assert_string_equal(str_of(doc_root(d), "b"), "2");
	assert_int_equal(doc_root(d)->line, 9);
	doc_free(d);
	assert_end(r);
	assert_end(open_text(""));
	assert_end(open_text("\n\n# only a remark\n"));
	assert_end(open_text("---\n"));
}

static void lists_are_streamed(void **state)
{
	struct doc_reader *r = open_text("apiVersion: v1\nkind: ServiceList\nmetadata: {resourceVersion: '5'}\nitems:\n"
					 "- spec: {a: 1}\n- spec: {a: 2}\nextra: [1, {b: 2}]\n---\nkind: Pod\n");
	struct doc *first = next_ok(r), *second = next_ok(r), *third = next_ok(r);

	(void)state;
	assert_string_equal(doc_list_kind(first), "Service");
	assert_string_equal(str_of(doc_get(doc_root(first), "spec"), "a"), "1");
	assert_int_equal(doc_root(first)->line, 5);
	assert_string_equal(str_of(doc_get(doc_root(second), "spec"), "a"), "2");
	assert_null(doc_list_kind(third));
	assert_string_equal(str_of(doc_root(third), "kind"), "Pod");
	doc_free(first);
	assert_end(r);
	/* They outlive the reader. */
	assert_string_equal(doc_list_kind(second), "Service");
	doc_free(second);
	doc_free(third);
}

static void plain_list_has_no_kind(void **state)
{
	struct doc_reader *r =
		open_text("{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{\"kind\":\"A\"},null],\"x\":{}}");
	struct doc *d = next_ok(r);

	(void)state;
	assert_null(doc_list_kind(d));
	assert_string_equal(str_of(doc_root(d), "kind"), "A");
	doc_free(d);
	d = next_ok(r);
	assert_int_equal(doc_root(d)->type, DOC_NULL);
	doc_free(d);
	assert_end(r);
	assert_end(open_text("apiVersion: v1\nkind: List\nitems: []\n"));
}

static void list_comes_whole_when_kind_is_late(void **state)
{
	static const char *const texts[] = {
		"items: [{a: 1}, {a: 2}]\nkind: PodList\napiVersion: v1\n",
		"kind: PodList\nitems: [{a: 1}, {a: 2}]\n",
		"apiVersion: v1\nkind: Listing\nitems: [{a: 1}, {a: 2}]\n",
		"apiVersion: v1\nkind: PodList\nitems: &x [{a: 1}, {a: 2}]\n",
	};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct doc_reader *r = open_text(texts[i]);
		struct doc *d = next_ok(r);

		assert_int_equal(doc_get(doc_root(d), "items")->n, 2);
		assert_null(doc_list_kind(d));
		doc_free(d);
		assert_end(r);
	}
}

static void mistakes_in_lists_are_found(void **state)
{
	(void)state;
	assert_int_equal(assert_fails("apiVersion: v1\nkind: AList\nitems:\n- {a: 1}\n- {a: 1, a: 2}\n", -EINVAL,
				      "in.yaml:5", "key \"a\" is there twice"),
			 1);
	assert_int_equal(assert_fails("apiVersion: v1\nkind: AList\nitems:\n- {a: 1}\nkind: B\n", -EINVAL, "in.yaml:5",
				      "\"kind\" is there twice, first in line 2"),
			 1);
	assert_int_equal(assert_fails("apiVersion: v1\nkind: AList\nitems: [1]\nitems: [2]\n", -EINVAL, "in.yaml:4",
				      "\"items\" is there twice"),
			 1);
	assert_int_equal(
		assert_fails("apiVersion: v1\nkind: AList\nitems:\n- {a: 1}\n- b: [\n", -EINVAL, "in.yaml:6", ""), 1);
}

static void anchors_between_items(void **state)
{
	struct doc_reader *r =
		open_text("apiVersion: v1\nkind: AList\nmeta: &m {k: v}\nitems:\n- &x {a: 1}\n- {b: *x, c: *m}\n"
			  "- &y [*x]\n- d: *y\n");
	struct doc *d[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		d[i] = next_ok(r);
	doc_free(d[0]);
	doc_free(d[2]);
	assert_end(r);
	assert_string_equal(str_of(doc_get(doc_root(d[1]), "b"), "a"), "1");
	assert_string_equal(str_of(doc_get(doc_root(d[1]), "c"), "k"), "v");
	assert_string_equal(str_of(doc_get(doc_root(d[3]), "d")->child[0], "a"), "1");
	doc_free(d[1]);
	doc_free(d[3]);
}

static void malformed_input_has_a_place(void **state)
{
	(void)state;
	assert_fails("a: [1, 2\nb: 3\n", -EINVAL, "in.yaml:2", "did not find expected ',' or ']'");
	assert_fails("a: 1\n b: 2\n", -EINVAL, "in.yaml:2", "mapping values are not allowed");
	assert_int_equal(assert_fails("a: 1\n---\nb: 1\n\tc: 2\n", -EINVAL, "in.yaml:4", ""), 1);
	assert_fails("a: 1\nb: 2\nc: 3\nb: 4\n", -EINVAL, "in.yaml:4", "key \"b\" is there twice, first in line 2");
	assert_fails("? [a]\n: 1\n", -EINVAL, "in.yaml:1", "a key must be plain text");
	assert_fails("a: *b\n", -EINVAL, "in.yaml:1", "alias \"b\" has no anchor");
	assert_fails("a: !!binary aGk=\n", -EINVAL, "in.yaml:1", "tag \"tag:yaml.org,2002:binary\" is not known");
	assert_fails("a: \"x\\0y\"\n", -EINVAL, "in.yaml:1", "NUL");
	assert_fails("a: 1\n...\nb\n", -EINVAL, "in.yaml:3", "");
}

static void many_keys_with_a_duplicate(void **state)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;

	(void)state;
	for (int i = 0; i < 20000; i++)
		strbuf_addf(&sb, "k%d: 1\n", i);
	strbuf_add(&sb, "k7: 2\n");
	assert_fails(sb.buf, -EINVAL, "in.yaml:20001", "key \"k7\" is there twice, first in line 8");
}

/* `depth` brackets, closed again. */
static void brackets(struct strbuf *sb, int depth)
{
	for (int i = 0; i < depth; i++)
		strbuf_add_char(sb, '[');
	for (int i = 0; i < depth; i++)
		strbuf_add_char(sb, ']');
}

static void depth_is_bounded(void **state)
{
	CLEANUP_STRBUF struct strbuf fine = STRBUF_INIT, deep = STRBUF_INIT, sum = STRBUF_INIT;
	struct doc_reader *r;

	(void)state;
	brackets(&fine, 64);
	r = open_text(fine.buf);
	doc_free(next_ok(r));
	assert_end(r);
	brackets(&deep, 65);
	assert_fails(deep.buf, -E2BIG, "in.yaml:1", "nested deeper than 64");
	/* Also when an alias makes it so. */
	strbuf_add(&sum, "- &a ");
	brackets(&sum, 40);
	strbuf_add(&sum, "\n- &b ");
	for (int i = 0; i < 23; i++)
		strbuf_add_char(&sum, '[');
	strbuf_add(&sum, "*a");
	for (int i = 0; i < 23; i++)
		strbuf_add_char(&sum, ']');
	strbuf_add(&sum, "\n- [*b]\n");
	assert_fails(sum.buf, -E2BIG, "in.yaml:3", "nested deeper than 64");
}

static void aliases_are_bounded(void **state)
{
	CLEANUP_STRBUF struct strbuf many = STRBUF_INIT, laughs = STRBUF_INIT;

	(void)state;
	strbuf_add(&many, "- &a 1\n");
	for (int i = 0; i < 10001; i++)
		strbuf_add(&many, "- *a\n");
	assert_fails(many.buf, -E2BIG, "in.yaml:10002", "more than 10000 aliases");
	strbuf_add(&laughs, "a0: &a0 [x]\n");
	for (int i = 1; i < 20; i++) {
		strbuf_addf(&laughs, "a%d: &a%d [", i, i);
		for (int k = 0; k < 10; k++)
			strbuf_addf(&laughs, "%s*a%d", k ? ", " : "", i - 1);
		strbuf_add(&laughs, "]\n");
	}
	assert_fails(laughs.buf, -E2BIG, "in.yaml:7", "aliases stand for more than 1000000 nodes");
	assert_fails("a: &a [*a]\n", -EINVAL, "in.yaml:1", "stands inside its own anchor");
	assert_fails("a: &a\n  b: &a {c: 1}\n", -EINVAL, "in.yaml:2", "given again inside itself");
}

static void anchors_can_be_given_again_and_end_with_the_document(void **state)
{
	struct doc_reader *r = open_text("- &a 1\n- *a\n- &a 2\n- *a\n");
	struct doc *d = next_ok(r);

	(void)state;
	assert_string_equal(doc_root(d)->child[1]->scalar, "1");
	assert_string_equal(doc_root(d)->child[3]->scalar, "2");
	doc_free(d);
	assert_end(r);
	assert_int_equal(assert_fails("- &a 1\n---\n- *a\n", -EINVAL, "in.yaml:3", "has no anchor"), 1);
}

static void scalars_are_bounded(void **state)
{
	CLEANUP_FREE char *text = malloc((3 << 20) + 10);
	struct doc_reader *r;
	struct doc *d;

	(void)state;
	memcpy(text, "a: \"", 4);
	memset(text + 4, 'x', 3 << 20);
	memcpy(text + 4 + (2 << 20), "\"\n", 3);
	r = open_text(text);
	d = next_ok(r);
	assert_int_equal(strlen(str_of(doc_root(d), "a")), 2 << 20);
	doc_free(d);
	assert_end(r);
	memcpy(text + 4 + (2 << 20), "x\"\n", 4);
	assert_fails(text, -E2BIG, "in.yaml:1", "a text of 2097153 bytes");
}

static void tags_decide(void **state)
{
	struct doc_reader *r = open_text("a: !!str 5\nb: !!int \"5\"\nc: !!str\nd: !!null 'null'\n");
	struct doc *d = next_ok(r);

	(void)state;
	assert_int_equal(doc_plain(doc_get(doc_root(d), "a")), DOC_PLAIN_STR);
	assert_int_equal(doc_plain(doc_get(doc_root(d), "b")), DOC_PLAIN_INT);
	assert_string_equal(str_of(doc_root(d), "c"), "");
	assert_null(doc_get(doc_root(d), "d"));
	doc_free(d);
	assert_end(r);
}

#ifdef __SANITIZE_ADDRESS__
size_t __sanitizer_get_current_allocated_bytes(void); /* gcc has no header for it */
#endif

static size_t bytes_in_use(void)
{
#ifdef __SANITIZE_ADDRESS__
	return __sanitizer_get_current_allocated_bytes();
#else
	return mallinfo2().uordblks;
#endif
}

/* 25,000 endpoints in slices of 100: what is in use while they are read does not grow with their number. */
static void memory_is_bounded_by_the_item(void **state)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	struct doc_reader *r;
	size_t before, most = 0;

	(void)state;
	strbuf_add(&sb, "{\"apiVersion\":\"v1\",\"kind\":\"EndpointSliceList\",\"items\":[\n");
	for (int i = 0; i < 250; i++) {
		strbuf_addf(&sb, "%s{\"metadata\":{\"name\":\"s%d\"},\"endpoints\":[", i ? "," : "", i);
		for (int k = 0; k < 100; k++)
			strbuf_addf(&sb, "%s{\"addresses\":[\"10.%d.%d.%d\"]}", k ? "," : "", i / 256, i % 256, k);
		strbuf_add(&sb, "]}\n");
	}
	strbuf_add(&sb, "]}");
	r = open_text(sb.buf);
	before = bytes_in_use();
	for (int i = 0; i < 250; i++) {
		struct doc *d = next_ok(r);
		size_t used = bytes_in_use();

		assert_int_equal(doc_get(doc_root(d), "endpoints")->n, 100);
		most = used > most ? used : most;
		doc_free(d);
	}
	assert_end(r);
	assert_true(most > before);
	assert_true(most < before + (256 << 10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_know_type_and_line),
		cmocka_unit_test(many_documents_empty_ones_skipped),
		cmocka_unit_test(lists_are_streamed),
		cmocka_unit_test(plain_list_has_no_kind),
		cmocka_unit_test(list_comes_whole_when_kind_is_late),
		cmocka_unit_test(mistakes_in_lists_are_found),
		cmocka_unit_test(anchors_between_items),
		cmocka_unit_test(malformed_input_has_a_place),
		cmocka_unit_test(many_keys_with_a_duplicate),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(aliases_are_bounded),
		cmocka_unit_test(anchors_can_be_given_again_and_end_with_the_document),
		cmocka_unit_test(scalars_are_bounded),
		cmocka_unit_test(tags_decide),
		cmocka_unit_test(memory_is_bounded_by_the_item),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
