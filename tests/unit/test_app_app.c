/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands share: text of the user's in records, the command line, which node. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app.h"
#include "base/util.h"
#include "model_util.h"

static void test_fit_utf8(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "", "" },
		{ "shop", "shop" },
		{ "caf\xc3\xa9", "caf\xc3\xa9" },
		{ "caf\xc3", "caf" }, /* cut within a character */
		{ "\xe2\x82", "" },
		{ "\xc3\xa9\xf0\x9f\x98", "\xc3\xa9" },
		{ "\xff"
		  "abcd",
		  "?abcd" },
		{ "\xc3\xa9 \xff abcd", "?? ? abcd" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char buf[32];

		(void)snprintf(buf, sizeof(buf), "%s", rows[i].in);
		app_fit_utf8(buf);
		assert_string_equal(buf, rows[i].out);
	}
}

static void test_command_line(void **state)
{
	char *argv[] = { (char *)"eval", (char *)"--out", (char *)"\xff/x", NULL };
	char *line = app_command_line(3, argv);

	(void)state;
	assert_string_equal(line, "offkube eval --out ?/x");
	free(line);
}

static void test_pick_node(void **state)
{
	struct node *b = make_node("b", "172.30.0.2", NULL), *a = make_node("a", "172.30.0.1", NULL);
	struct snapshot_edit *ed = NULL;
	struct snapshot *s = NULL, *empty = NULL;
	const char *name = NULL;
	struct err e = {};

	(void)state;
	assert_int_equal(snapshot_edit_new(NULL, &ed), 0);
	assert_int_equal(snapshot_edit_commit(ed, &empty), 0);
	assert_int_equal(snapshot_edit_new(NULL, &ed), 0);
	assert_int_equal(snapshot_edit_put_node(ed, b, NULL), 0);
	assert_int_equal(snapshot_edit_put_node(ed, a, NULL), 0);
	assert_int_equal(snapshot_edit_commit(ed, &s), 0);
	assert_int_equal(app_pick_node(s, NULL, &name, &e), 0);
	assert_string_equal(name, "a"); /* the first in order */
	assert_int_equal(app_pick_node(s, "b", &name, &e), 0);
	assert_string_equal(name, "b");
	assert_int_equal(app_pick_node(s, "c", &name, &e), -ENOENT);
	assert_int_equal(app_pick_node(empty, NULL, &name, NULL), -ENOENT);
	assert_string_equal(name, "b"); /* untouched on failure */
	snapshot_unref(s);
	snapshot_unref(empty);
	node_unref(a);
	node_unref(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fit_utf8),
		cmocka_unit_test(test_command_line),
		cmocka_unit_test(test_pick_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
