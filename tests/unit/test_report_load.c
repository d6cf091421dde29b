/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading records: what is refused, with its line; what is survived. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "report/report_int.h"
#include "report_run.h"

static char *make_text(const struct report_run *run)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	report_run_write(run, f);
	assert_int_equal(fclose(f), 0);
	return text;
}

static int load(const char *text, size_t size, struct report **ret, struct err *e)
{
	FILE *f = fmemopen((void *)(uintptr_t)text, size, "r");
	int r;

	assert_non_null(f);
	r = report_load_stream(f, "records.jsonl", ret, e);
	assert_int_equal(fclose(f), 0);
	return r;
}

static void expect_refused(const char *text, const char *path, const char *why)
{
	struct report *rep = NULL;
	struct err e = {};

	assert_int_equal(load(text, strlen(text), &rep, &e), -EINVAL);
	assert_null(rep);
	assert_string_equal(e.path, path);
	if (!strstr(e.text, why))
		fail_msg("\"%s\" says nothing of \"%s\"", e.text, why);
}

/* The text with the first `from` (behind the first `after`, unless NULL) replaced. */
static char *replaced(const char *text, const char *after, const char *from, const char *to)
{
	const char *start = after ? strstr(text, after) : text, *at;
	char *out;

	assert_non_null(start);
	at = strstr(start, from);
	assert_non_null(at);
	out = str_printf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	assert_non_null(out);
	return out;
}

static void expect_refused_change(const char *after, const char *from, const char *to, const char *why)
{
	struct report_run run = report_run_default();
	CLEANUP_FREE char *text = make_text(&run);
	CLEANUP_FREE char *bad = replaced(text, after, from, to);
	struct report *rep = NULL;
	struct err e = {};

	if (load(bad, strlen(bad), &rep, &e) != -EINVAL)
		fail_msg("%s -> %s was taken", from, to);
	if (!strstr(e.text, why))
		fail_msg("\"%s\" says nothing of \"%s\"", e.text, why);
	assert_memory_equal(e.path, "records.jsonl:", 14);
}

static void test_whole_run(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP_FREE char *text = make_text(&run);
	CLEANUP(report_freep) struct report *rep = NULL;

	(void)state;
	assert_int_equal(load(text, strlen(text), &rep, NULL), 0);
	assert_int_equal(rep->status, RUN_COMPLETE);
	assert_int_equal(rep->cells.n, 1);
	assert_int_equal(rep->n_samples, 60);
	assert_int_equal(rep->n_rounds, 10);
	assert_int_equal(rep->cut_line, 0);
	assert_int_equal(rep->n_reach_asked, 20);
	assert_int_equal(rep->n_reach_ok, 20);
	assert_string_equal(rep->run.servers, "0");
}

static void test_not_a_file(void **state)
{
	struct report *rep = NULL;
	struct err e = {};

	(void)state;
	assert_int_equal(report_load("/nonexistent", &rep, &e), -ENOENT);
	assert_string_equal(e.path, "/nonexistent/records.jsonl");
	expect_refused("\n", "records.jsonl:1", "empty line");
	expect_refused("[]\n", "records.jsonl:1", "JSON object");
	expect_refused("{}\n", "records.jsonl:1", "schema");
	expect_refused("{\"schema\":2}\n", "records.jsonl:1", "\"type\" is missing");
	expect_refused("\x7f"
		       "ELF\n",
		       "records.jsonl:1", "no JSON");
	expect_refused("{\"schema\":2,\"type\":\"end\"}\n", "records.jsonl:1", "before the run record");
	expect_refused("{\"schema\":2,\"type\":\"ru", "records.jsonl", "no run record");
	expect_refused("{\"schema\":2,\"type\":\"run\",\"type\":\"run\"}\n", "records.jsonl:1",
		       "no JSON: duplicate object key");
}

static void test_other_schemas(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP_FREE char *old = NULL, *later = NULL;

	(void)state;
	run.schema = 1;
	old = make_text(&run);
	expect_refused(old, "records.jsonl:1", "schema 1: an older OffKube wrote these records");
	run.schema = 3;
	later = make_text(&run);
	expect_refused(later, "records.jsonl:1", "schema 3, but this program reads schema 2");
}

static void test_wrong_members(void **state)
{
	(void)state;
	expect_refused_change(NULL, "\"rounds\":10", "\"rounds\":\"ten\"", "run record: \"rounds\" is no integer");
	expect_refused_change(NULL, "\"rounds\":10,", "", "\"rounds\" is missing");
	expect_refused_change(NULL, "\"servers\":[0]", "\"servers\":[\"x\"]", "CPU numbers");
	expect_refused_change(NULL, "\"strategies\":[",
			      "\"strategies\":[{\"name\":\"nft\",\"text\":\"\",\"service_addresses\":true},", "twice");
	expect_refused_change(NULL, "{\"arm\":\"nft\",\"strategy\":\"nft\"}", "{\"arm\":\"nft\",\"strategy\":\"x\"}",
			      "not in \"strategies\"");
	expect_refused_change("sample", "\"arm\":\"none\"", "\"arm\":\"nobody\"",
			      "arm \"nobody\" is not in the run record");
	expect_refused_change("sample", "\"arm\":\"none\"", "\"arm\":\"nft\"", "do not belong together");
	expect_refused_change("sample", "\"workload\":\"shop\"", "\"workload\":\"\"",
			      "workload \"\" is not in the run record");
	expect_refused_change("sample", "\"load\":\"echo\"", "\"load\":\"ping\"", "load \"ping\"");
	expect_refused_change("sample", "\"mode\":\"open\"", "\"mode\":\"ajar\"", "not open or closed");
	expect_refused_change("sample", "\"mode\":\"open\"", "\"mode\":\"closed\"", "a second closed sample");
	expect_refused_change("sample", "\"kind\":\"real\"", "\"kind\":\"imagined\"", "not real, emulated or modelled");
	expect_refused_change("\"round\":1", "\"kind\":\"real\"", "\"kind\":\"modelled\"", "among samples of kind");
	expect_refused_change("sample", "\"round\":0", "\"round\":-1", "\"round\" is no integer");
	expect_refused_change("sample", "\"ok\":1600", "\"ok\":-1", "\"ok\" is no integer");
	expect_refused_change("sample", "\"p50\":", "\"p50\":-", "\"p50\" is no number");
	expect_refused_change("sample", "\"hist\":[[", "\"hist\":[[99999999,1],[", "\"hist\" member 0");
	expect_refused_change("sample", "\"hist\":[[", "\"hist\":[7,[", "\"hist\" member 0");
	expect_refused_change(NULL, "\"unit\":\"request\"", "\"unit\":\"stone\"", "not request or MiB");
	expect_refused_change("sample", "\"units\":1600", "\"units\":-1", "\"units\" is no number");
	expect_refused_change("\"arm\":\"nft\",\"strategy\":\"nft\",\"round\"", "{\"nft\":8}", "{\"nft\":\"8\"}",
			      "\"nft\" is no integer");
	expect_refused_change("sample", "\"carried\":{}", "\"carried\":null", "\"carried\" is no object");
	expect_refused_change("sample", "\"discard\":false", "\"discard\":0", "neither true nor false");
	expect_refused_change(NULL, "\"status\":\"complete\"", "\"status\":\"fine\"",
			      "not complete, interrupted or failed");
	expect_refused_change("reach", "\"ok\":true", "\"ok\":null", "neither true nor false");
}

static void test_twice(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP_FREE char *text = make_text(&run);
	CLEANUP_FREE char *sample = NULL, *twice = NULL, *end = NULL;
	const char *at = strstr(text, "{\"schema\":2,\"type\":\"sample\"");

	(void)state;
	sample = str_printf("%.*s\n", (int)strcspn(at, "\n"), at);
	twice = str_printf("%.*s%s%s", (int)(at - text), text, sample, at);
	expect_refused(twice, "records.jsonl:24", "a second open sample");
	end = str_printf("%s%s", text, sample);
	expect_refused(end, "records.jsonl:84", "behind the end record");
}

static void test_cut_line(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP_FREE char *text = make_text(&run);
	size_t size = strlen(text);
	struct report *rep = NULL;

	(void)state;
	/* Cut within the end record: a killed run. */
	assert_int_equal(load(text, size - 5, &rep, NULL), 0);
	assert_int_equal(rep->status, RUN_KILLED);
	assert_int_equal(rep->cut_line, 83);
	report_free(rep);
	/* Only the newline is missing: nothing is lost. */
	assert_int_equal(load(text, size - 1, &rep, NULL), 0);
	assert_int_equal(rep->status, RUN_COMPLETE);
	assert_int_equal(rep->cut_line, 0);
	report_free(rep);
}

/* Wherever a run is killed behind its first record, the rest can be read. */
static void test_cut_anywhere(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP_FREE char *text = NULL;
	size_t size, first;

	(void)state;
	run.n_rounds = 1;
	text = make_text(&run);
	size = strlen(text);
	first = strcspn(text, "\n");
	for (size_t cut = first; cut < size; cut += 37) {
		struct report *rep = NULL;
		struct err e = {};

		if (load(text, cut, &rep, &e) < 0)
			fail_msg("cut at %zu: %s: %s", cut, e.path, e.text);
		assert_non_null(report_answer(rep));
		report_free(rep);
	}
}

static void test_unknown_is_ignored(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP_FREE char *text = make_text(&run);
	CLEANUP_FREE char *more = replaced(text, NULL, "\"seed\":1", "\"seed\":1,\"moon\":{\"phase\":[0.5]}");
	CLEANUP_FREE char *type =
		replaced(more, NULL, "{\"schema\":2,\"type\":\"calibration\"", "{\"schema\":2,\"type\":\"weather\"");
	CLEANUP(report_freep) struct report *rep = NULL;

	(void)state;
	assert_int_equal(load(type, strlen(type), &rep, NULL), 0);
	assert_int_equal(rep->n_samples, 60);
}

static void test_long_line(void **state)
{
	size_t size = LINE_SIZE_MAX + 2;
	CLEANUP_FREE char *text = malloc(size);
	struct report *rep = NULL;
	struct err e = {};

	(void)state;
	assert_non_null(text);
	memset(text, ' ', size);
	assert_int_equal(load(text, size, &rep, &e), -EINVAL);
	assert_string_equal(e.path, "records.jsonl:1");
	assert_non_null(strstr(e.text, "longer than"));
}

static void test_control_characters(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP_FREE char *text = NULL;
	CLEANUP(report_freep) struct report *rep = NULL;

	(void)state;
	run.workload_name = "a\\u001b[31mb\\nc\\u009bd";
	text = make_text(&run);
	assert_int_equal(load(text, strlen(text), &rep, NULL), 0);
	assert_string_equal(rep->workloads.v[0].name, "a [31mb c\u00a0d");
	assert_int_equal(rep->cells.n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_run),     cmocka_unit_test(test_not_a_file),
		cmocka_unit_test(test_other_schemas), cmocka_unit_test(test_wrong_members),
		cmocka_unit_test(test_twice),	      cmocka_unit_test(test_cut_line),
		cmocka_unit_test(test_cut_anywhere),  cmocka_unit_test(test_unknown_is_ignored),
		cmocka_unit_test(test_long_line),     cmocka_unit_test(test_control_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
