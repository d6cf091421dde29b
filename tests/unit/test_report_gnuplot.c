/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Running gnuplot: there, not there, failing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "report/figure.h"
#include "report_run.h"

/* A folder with a program called gnuplot in it, first on the PATH. */
static char *make_folder(const char *script)
{
	char dir[] = "/tmp/offkube-gnuplot-XXXXXX";
	CLEANUP_FREE char *path = NULL;

	assert_non_null(mkdtemp(dir));
	path = str_printf("%s/gnuplot", dir);
	if (script) {
		assert_int_equal(write_file_atomic(path, script, strlen(script)), 0);
		assert_int_equal(chmod(path, 0755), 0);
	}
	return strdup(dir);
}

static int run_in(char *dir, const char *rest_of_path, const char *stem, char why[static 256])
{
	CLEANUP_FREE char *before = strdup(getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
	CLEANUP_FREE char *path = str_printf("%s%s", dir, rest_of_path);
	int r;

	assert_int_equal(setenv("PATH", path, 1), 0);
	r = gnuplot_run(dir, &stem, 1, why, 256);
	assert_int_equal(setenv("PATH", before, 1), 0);
	report_run_remove(dir);
	return r;
}

static void test_not_there(void **state)
{
	char why[256];

	(void)state;
	assert_int_equal(run_in(make_folder(NULL), "", "a", why), -ENOENT);
}

static void test_fails(void **state)
{
	char why[256];

	(void)state;
	assert_int_equal(run_in(make_folder("#!/bin/sh\necho out of ink >&2\nexit 3\n"), "", "a", why), -EIO);
	assert_string_equal(why, "out of ink ");
}

static void test_arguments(void **state)
{
	char why[256];

	(void)state;
	assert_int_equal(run_in(make_folder("#!/bin/sh\necho $# $1 $2 >&2\n"), "", "some", why), 0);
	assert_string_equal(why, "2 --default-settings some.gp ");
}

static void test_talks_much(void **state)
{
	char why[256];

	(void)state;
	assert_int_equal(
		run_in(make_folder(
			       "#!/bin/sh\ni=0\nwhile [ $i -lt 20000 ]; do echo again and again >&2; i=$((i+1)); done\n"),
		       "", "a", why),
		0);
	assert_int_equal(strlen(why), 255);
}

static void test_nothing_to_draw(void **state)
{
	char why[256];

	(void)state;
	assert_int_equal(gnuplot_run("/nonexistent", NULL, 0, why, sizeof(why)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_there),	cmocka_unit_test(test_fails),
		cmocka_unit_test(test_arguments),	cmocka_unit_test(test_talks_much),
		cmocka_unit_test(test_nothing_to_draw),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
