/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each allocation of the document reader fails once: the answer is -ENOMEM, nothing is leaked, nothing crashes. The
 * sources are compiled into the test with an allocator that fails on demand; libyaml's own allocations do not fail
 * here.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static size_t n_allocs;
static size_t fail_at = SIZE_MAX; /* the number of the allocation that fails */

static void *failing_malloc(size_t size)
{
	return n_allocs++ == fail_at ? NULL : malloc(size);
}

static void *failing_calloc(size_t n, size_t size)
{
	return n_allocs++ == fail_at ? NULL : calloc(n, size);
}

static void *failing_realloc(void *p, size_t size)
{
	return n_allocs++ == fail_at ? NULL : realloc(p, size);
}

#undef malloc
#undef calloc
#undef realloc
#define malloc failing_malloc
#define calloc failing_calloc
#define realloc failing_realloc

#include "../../src/base/arena.c"
#include "../../src/base/doc.c"
#include "../../src/base/doc_build.c"
#include "../../src/base/doc_input.c"
#include "../../src/base/doc_merge.c"
#include "../../src/base/map.c"
#include "../../src/base/vec.c"

#undef malloc
#undef calloc
#undef realloc

static const char text[] =
	"apiVersion: v1\nkind: ThingList\nmeta: &m {a: 1}\nitems:\n"
	"- &x {name: one, list: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}\n"
	"- {<<: *x, name: two, ref: *m}\n"
	"- {a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1, h: 1, i: 1, j: 1, k: 1, l: 1, m: 1, n: 1, o: 1, p: 1, q: 1}\n"
	"tail: &n [*x, *m]\n---\nplain: document\n";

/* 0, or what the reader failed with. */
static int read_all(void)
{
	struct doc *docs[8] = { 0 };
	struct doc_reader *r = NULL;
	struct err e = { 0 };
	size_t n = 0;
	int code = doc_reader_new("in", text, strlen(text), &r);

	if (code)
		return code;
	do {
		assert_true(n < 8);
		code = doc_reader_next(r, &docs[n++], &e);
	} while (code == 1);
	assert_int_equal(e.code, code);
	doc_reader_free(r);
	for (size_t i = 0; i < n; i++)
		doc_free(docs[i]);
	return code;
}

static void every_failing_allocation_is_told(void **state)
{
	size_t n_failed = 0;

	(void)state;
	for (fail_at = 0;; fail_at++) {
		int code;

		n_allocs = 0;
		code = read_all();
		if (n_allocs <= fail_at) {
			assert_int_equal(code, 0);
			break;
		}
		if (code != -ENOMEM)
			fail_msg("allocation %zu: %d", fail_at, code);
		n_failed++;
	}
	assert_true(n_failed > 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_failing_allocation_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
