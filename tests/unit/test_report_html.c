/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The page: what it opens with, that it fetches nothing, escapes everything, and stands without gnuplot. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "report/report_int.h"
#include "report_run.h"

static char *slurp(const char *dir, const char *name)
{
	CLEANUP_FREE char *path = str_printf("%s/%s", dir, name);
	char *text = NULL;
	size_t size;

	return read_file(path, 64u << 20, &text, &size) < 0 ? NULL : text;
}

static char *page_of(const struct report_run *run, char **ret_dir)
{
	char *dir = report_run_folder(run), *page;
	struct report *rep = NULL;
	struct err e = {};

	if (report_load(dir, &rep, &e) < 0 || report_write_html(rep, dir, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	report_free(rep);
	page = slurp(dir, "report.html");
	assert_non_null(page);
	if (ret_dir)
		*ret_dir = dir;
	else
		report_run_remove(dir);
	return page;
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
		n++;
	return n;
}

static void assert_has(const char *page, const char *what)
{
	if (!strstr(page, what))
		fail_msg("the page says nothing of \"%s\"", what);
}

static bool have_gnuplot(void)
{
	return access("/usr/bin/gnuplot", X_OK) == 0;
}

static void test_page(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP_FREE char *page = NULL;
	const char *h1;

	(void)state;
	run.n_loads = run.n_paths = 2;
	page = page_of(&run, NULL);
	h1 = strstr(page, "<h1>");
	assert_non_null(h1);
	assert_memory_equal(h1 + 4, "Against no Service at all, nft costs ", 37);
	assert_int_equal(count(page, "<h1"), 1);
	assert_int_equal(count(page, "<table"), count(page, "<caption"));
	assert_int_equal(count(page, "<section"), count(page, "</section>"));
	assert_has(page, "Proof of the path");
	assert_has(page, "offkube report .");
	assert_has(page, "No cell was left out");
	assert_has(page, "</html>\n");
	assert_null(strstr(page, "Quick run"));
}

/* Nothing is fetched: no address but the name spaces of SVG, no script, no source. */
static void test_self_contained(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP_FREE char *page = page_of(&run, NULL);

	(void)state;
	assert_int_equal(count(page, "http://") + count(page, "https://"), count(page, "http://www.w3.org/"));
	assert_null(strstr(page, "<script"));
	assert_null(strstr(page, "src="));
	assert_null(strstr(page, "@import"));
	assert_null(strstr(page, "<link"));
	assert_has(page, "default-src 'none'");
}

static void test_figures(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP_FREE char *page = NULL;
	static const char *const stems[] = { "change-cpu-1", "change-p50-1", "cpu-1",
					     "rate-1",	     "latency-1",    "distribution-1" };
	char *dir;

	(void)state;
	if (!have_gnuplot())
		skip();
	page = page_of(&run, &dir);
	assert_int_equal(count(page, "<svg role=\"img\""), count(page, "<figure "));
	assert_null(strstr(page, "Not drawn"));
	for (size_t i = 0; i < ARRAY_LEN(stems); i++) {
		CLEANUP_FREE char *gp = str_printf("%s.gp", stems[i]);
		CLEANUP_FREE char *command = str_printf("gnuplot %s.gp", stems[i]);
		CLEANUP_FREE char *csv = str_printf("%s.csv", stems[i]);
		CLEANUP_FREE char *program = slurp(dir, gp);
		CLEANUP_FREE char *data = slurp(dir, csv);

		assert_non_null(program);
		assert_non_null(data);
		assert_true(count(data, "\n") > 1);
		assert_has(page, command);
		assert_has(page, csv);
	}
	/* Names inside the pictures do not collide. */
	assert_int_equal(count(page, "id='cpu-1-gpDot'"), 1);
	assert_int_equal(count(page, "id='gpDot'"), 0);
	report_run_remove(dir);
}

static void test_without_gnuplot(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP_FREE char *path = strdup(getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
	CLEANUP_FREE char *page = NULL;

	(void)state;
	assert_int_equal(setenv("PATH", "/nonexistent", 1), 0);
	page = page_of(&run, NULL);
	assert_int_equal(setenv("PATH", path, 1), 0);
	assert_has(page, "gnuplot was not found");
	assert_null(strstr(page, "<svg"));
	assert_has(page, "Not drawn");
	assert_has(page, "cpu-1.csv");
	assert_has(page, "CPU per request");
}

/* A name from outside is text, on the page, in the figures, and in the programs that gnuplot runs. */
static void test_escaping(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP_FREE char *page = NULL;
	CLEANUP_FREE char *gp = NULL;
	char *dir, *made;

	(void)state;
	run.workload_name = "<script>alert(1)</script>&'`touch hacked`;system(\\\"touch hacked\\\")";
	run.strategies[1] = "<b>'`touch hacked`";
	page = page_of(&run, &dir);
	assert_null(strstr(page, "<script"));
	assert_null(strstr(page, "<b>"));
	assert_has(page, "&lt;script&gt;alert(1)");
	made = slurp(dir, "hacked");
	assert_null(made);
	gp = slurp(dir, "cpu-1.gp");
	assert_non_null(gp);
	/* Outside of its first line, which is a comment. */
	assert_null(strchr(strchr(gp, '\n'), '`'));
	if (have_gnuplot())
		assert_has(page, "<svg role");
	report_run_remove(dir);
}

static void test_alarms(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP_FREE char *page = NULL;
	const char *alarm, *map;

	(void)state;
	run.wrong = 7;
	run.unreached = 2;
	run.no_counters = 1;
	page = page_of(&run, NULL);
	alarm = strstr(page, "class=\"remark alarm\"");
	map = strstr(page, "id=\"map\"");
	assert_non_null(alarm);
	assert_true(alarm < map);
	assert_has(page, "Wrong deliveries: under nft, 7 of ");
	assert_has(page, "2 of 20 questions to Services before the load were not answered rightly");
	assert_has(page, "it is not proven that nft carried them");
	assert_has(page, "ETIMEDOUT");
}

static void test_remarks(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP_FREE char *page = NULL;

	(void)state;
	run.n_rounds = run.n_rounds_planned = 3;
	run.status = "";
	run.discarded = 1;
	run.kind = "emulated";
	run.failed = 20;
	run.left_out = "budget";
	run.refused = "socket";
	run.no_twin = 1;
	page = page_of(&run, NULL);
	assert_has(page, "Quick run: 3 rounds");
	assert_has(page, "The records have no end");
	assert_has(page, "2 of 12 slices had CPU time stolen");
	assert_has(page, "Arms marked &quot;emulated&quot;");
	assert_has(page, "<span class=\"kind\">emulated</span>");
	assert_has(page, "Failed requests: nft on echo, same node, IPv4: 60 of ");
	assert_has(page, "<td>budget</td>");
	assert_has(page, "socket could not run here on shop: kernel-feature (this kernel has none)");
	assert_has(page, "Some cells have no A/A pair");
}

static void test_nothing_measured(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP_FREE char *page = NULL;

	(void)state;
	run.n_rounds = 0;
	page = page_of(&run, NULL);
	assert_has(page, "<h1>Nothing was measured");
	assert_has(page, "There is nothing to draw");
	assert_has(page, "No cell was measured");
}

static void test_sixteen_workloads(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP_FREE char *page = NULL;

	(void)state;
	run.n_workloads = 16;
	run.n_loads = 2;
	run.n_paths = 2;
	run.n_rounds = 3;
	page = page_of(&run, NULL);
	assert_int_equal(count(page, "<summary>load-15</summary>"), 1);
	assert_has(page, "load-15: connect, other node, IPv4");
	assert_int_equal(count(page, "id=\"fig-latency-"), 64);
}

static void test_cannot_write(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP(report_freep) struct report *rep = report_run_load(&run);
	struct err e = {};

	(void)state;
	assert_int_equal(report_write_html(rep, "/nonexistent", &e), -ENOENT);
	assert_memory_equal(e.path, "/nonexistent/", 13);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_self_contained),
		cmocka_unit_test(test_figures),
		cmocka_unit_test(test_without_gnuplot),
		cmocka_unit_test(test_escaping),
		cmocka_unit_test(test_alarms),
		cmocka_unit_test(test_remarks),
		cmocka_unit_test(test_nothing_measured),
		cmocka_unit_test(test_sixteen_workloads),
		cmocka_unit_test(test_cannot_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
