/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Failures in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/err.h"

static void fills_code_path_text(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(err_set(&e, -EINVAL, "shop.yaml:12", "port %d is too large", 70000), -EINVAL);
	assert_int_equal(e.code, -EINVAL);
	assert_string_equal(e.path, "shop.yaml:12");
	assert_string_equal(e.text, "port 70000 is too large");
}

static void first_failure_stays(void **state)
{
	struct err e = { 0 };

	(void)state;
	err_set(&e, -EINVAL, "first", "one");
	assert_int_equal(err_set(&e, -ENOMEM, "second", "two"), -ENOMEM);
	assert_int_equal(err_set_errno(&e, -EIO, "third", "three"), -EIO);
	assert_int_equal(e.code, -EINVAL);
	assert_string_equal(e.path, "first");
	assert_string_equal(e.text, "one");
}

static void null_err_is_fine(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, -EPERM, NULL, "x"), -EPERM);
	assert_int_equal(err_set_errno(NULL, -EPERM, NULL, "x"), -EPERM);
	err_prefix_path(NULL, "x");
}

static void errno_text_is_appended(void **state)
{
	struct err e = { 0 };

	(void)state;
	err_set_errno(&e, -ENOENT, NULL, "cannot read %s", "x");
	assert_string_equal(e.path, "");
	assert_string_equal(e.text, "cannot read x: No such file or directory");
}

static void long_text_is_cut(void **state)
{
	char text[1000];
	struct err e = { 0 };

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_set_errno(&e, -EINVAL, text, "%s", text);
	assert_int_equal(strlen(e.path), sizeof(e.path) - 1);
	assert_string_equal(e.path + strlen(e.path) - 4, "x...");
	assert_true(strlen(e.text) < sizeof(e.text));
	assert_string_equal(e.text + strlen(e.text) - 4, "x...");
}

static void cut_keeps_utf8_whole(void **state)
{
	char text[1000] = "";
	struct err e = { 0 };

	(void)state;
	for (int i = 0; i < 300; i++)
		strcat(text, "\xe2\x82\xac");
	err_set(&e, -EINVAL, NULL, "%s", text);
	assert_int_equal((strlen(e.text) - 3) % 3, 0);
	assert_string_equal(e.text + strlen(e.text) - 6, "\xe2\x82\xac...");
}

static void control_characters_become_spaces(void **state)
{
	struct err e = { 0 };

	(void)state;
	err_set(&e, -EINVAL, "a\nb", "c\x1b[31md\n");
	assert_string_equal(e.path, "a b");
	assert_string_equal(e.text, "c [31md ");
}

static void prefixes_the_path(void **state)
{
	struct err e = { 0 };

	(void)state;
	err_set(&e, -EINVAL, NULL, "x");
	err_prefix_path(&e, "ports[2]");
	assert_string_equal(e.path, "ports[2]");
	err_prefix_path(&e, "spec");
	assert_string_equal(e.path, "spec: ports[2]");
	for (int i = 0; i < 100; i++)
		err_prefix_path(&e, "spec");
	assert_int_equal(strlen(e.path), sizeof(e.path) - 1);
	assert_string_equal(e.path + strlen(e.path) - 3, "...");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills_code_path_text), cmocka_unit_test(first_failure_stays),
		cmocka_unit_test(null_err_is_fine),	cmocka_unit_test(errno_text_is_appended),
		cmocka_unit_test(long_text_is_cut),	cmocka_unit_test(cut_keeps_utf8_whole),
		cmocka_unit_test(prefixes_the_path),	cmocka_unit_test(control_characters_become_spaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
