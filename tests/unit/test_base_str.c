/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Growing strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static void adds_all_kinds(void **state)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	CLEANUP_FREE char *s = NULL;

	(void)state;
	strbuf_add(&sb, "a");
	strbuf_addf(&sb, "%d-%s", 5, "x");
	strbuf_add_char(&sb, '!');
	strbuf_add_mem(&sb, "yz", 1);
	strbuf_add_html(&sb, "<a href=\"x\">'&");
	s = strbuf_take(&sb);
	assert_string_equal(s, "a5-x!y&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
	assert_null(sb.buf);
	assert_int_equal(sb.len, 0);
}

static void empty_take_is_empty_string(void **state)
{
	struct strbuf sb = STRBUF_INIT;
	CLEANUP_FREE char *s = strbuf_take(&sb);

	(void)state;
	assert_string_equal(s, "");
}

static void grows_by_long_formats(void **state)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;

	(void)state;
	for (int i = 0; i < 1000; i++)
		strbuf_addf(&sb, "%0200d", i);
	assert_int_equal(sb.len, 200000);
	assert_int_equal(strlen(sb.buf), 200000);
	assert_string_equal(sb.buf + 200000 - 4, "0999");
	assert_false(sb.failed);
}

static void holds_nul_bytes(void **state)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;

	(void)state;
	strbuf_add_mem(&sb, "a\0b", 3);
	strbuf_add_mem(&sb, NULL, 0);
	assert_int_equal(sb.len, 3);
	assert_memory_equal(sb.buf, "a\0b", 4);
}

static void failure_is_sticky(void **state)
{
	struct strbuf sb = STRBUF_INIT;

	(void)state;
	strbuf_add(&sb, "abc");
	strbuf_add_mem(&sb, "x", SIZE_MAX - 10); /* can never be had; nothing is read */
	assert_true(sb.failed);
	strbuf_add(&sb, "def");
	strbuf_addf(&sb, "%d", 1);
	assert_int_equal(sb.len, 3);
	assert_null(strbuf_take(&sb));
	assert_false(sb.failed);
}

static void printf_owns_its_result(void **state)
{
	CLEANUP_FREE char *s = str_printf("%s/%d", "a", 7);

	(void)state;
	assert_string_equal(s, "a/7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_all_kinds),    cmocka_unit_test(empty_take_is_empty_string),
		cmocka_unit_test(holds_nul_bytes),   cmocka_unit_test(grows_by_long_formats),
		cmocka_unit_test(failure_is_sticky), cmocka_unit_test(printf_owns_its_result),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
