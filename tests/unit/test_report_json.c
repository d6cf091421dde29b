/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The summary as JSON: its shape, and its numbers against an independent computation (tests/report/check_stats.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "report/report_int.h"
#include "report_run.h"

#define PYTHON "/usr/bin/python3"

static json_t *summary_of(const struct report_run *run)
{
	CLEANUP(report_freep) struct report *rep = report_run_load(run);
	CLEANUP_FREE char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	json_t *j;

	assert_int_equal(report_print_json(rep, f), 0);
	assert_int_equal(fclose(f), 0);
	j = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(j);
	return j;
}

static void test_shape(void **state)
{
	struct report_run run = report_run_default();
	json_t *j, *arms, *est;

	(void)state;
	run.left_out = "budget";
	run.wrong = 2;
	j = summary_of(&run);
	assert_int_equal(json_integer_value(json_object_get(j, "schema")), 2);
	assert_string_equal(json_string_value(json_object_get(j, "baseline")), "none");
	assert_string_equal(json_string_value(json_object_get(j, "status")), "complete");
	assert_int_equal(json_array_size(json_object_get(j, "left_out")), 1);
	assert_int_equal(json_array_size(json_object_get(j, "reach")), 2);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(json_object_get(j, "remarks"), 0), "level")), "alarm");
	arms = json_object_get(json_array_get(json_object_get(j, "cells"), 0), "arms");
	assert_int_equal(json_array_size(arms), 3);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(arms, 1), "wrong")), 2);
	est = json_object_get(json_object_get(json_array_get(arms, 1), "metrics"), "cpu");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(json_object_get(est, "against"), "none"), "verdict")),
		"worse");
	assert_null(json_object_get(est, "best")); /* one alone competes with nobody */
	json_decref(j);
}

static void test_places(void **state)
{
	struct report_run run = report_run_default();
	json_t *j, *arms, *est;

	(void)state;
	run.n_strategies = 3;
	run.strategies[2] = "socket";
	run.factor[2] = 1.01;
	run.factor[1] = 1.2;
	j = summary_of(&run);
	arms = json_object_get(json_array_get(json_object_get(j, "cells"), 0), "arms");
	est = json_object_get(json_object_get(json_array_get(arms, 2), "metrics"), "cpu");
	assert_true(json_is_true(json_object_get(est, "best")));
	est = json_object_get(json_object_get(json_array_get(arms, 1), "metrics"), "cpu");
	assert_true(json_is_false(json_object_get(est, "best")));
	assert_true(json_is_false(json_object_get(est, "shares_first_place")));
	json_decref(j);
}

static json_t *pool_of_strategy(json_t *summary, const char *load, const char *strategy)
{
	size_t i;
	json_t *pool;

	json_array_foreach(json_object_get(summary, "pools"), i, pool)
	{
		const char *of = json_string_value(json_object_get(pool, "load"));

		if ((load ? of && str_eq(of, load) : !of) &&
		    str_eq(json_string_value(json_object_get(pool, "strategy")), strategy))
			return pool;
	}
	fail_msg("no pool of %s, %s", load ? load : "all loads", strategy);
	return NULL;
}

static void test_pools(void **state)
{
	struct report_run run = report_run_default();
	json_t *j, *cpu, *against;

	(void)state;
	run.n_strategies = 3;
	run.strategies[2] = "socket";
	run.factor[1] = 1.2;
	run.n_loads = run.n_paths = 2;
	run.factor[2] = 1.05;
	j = summary_of(&run);
	assert_int_equal(json_array_size(json_object_get(j, "pools")),
			 3 * 2); /* echo, connect, all; `none` has no reference */
	cpu = json_object_get(json_object_get(pool_of_strategy(j, NULL, "socket"), "metrics"), "cpu_full");
	assert_true(json_is_true(json_object_get(cpu, "best")));
	assert_true(json_is_false(json_object_get(cpu, "shares_first_place")));
	against = json_object_get(json_object_get(cpu, "against"), "none");
	assert_int_equal(json_integer_value(json_object_get(against, "cells")), 4);
	assert_int_equal(json_integer_value(json_object_get(against, "under")), 0);
	assert_int_equal(json_integer_value(json_object_get(against, "over")), 4);
	assert_float_equal(json_real_value(json_object_get(against, "sign_test_p")), 0.125, 1e-12);
	assert_string_equal(json_string_value(json_object_get(against, "verdict")), "worse");
	cpu = json_object_get(json_object_get(pool_of_strategy(j, "echo", "nft"), "metrics"), "cpu");
	assert_true(json_is_false(json_object_get(cpu, "best")));
	json_decref(j);
}

/* Exit code of the script on the run and its summary. */
static int run_check(const char *dir, const char *summary)
{
	const char *top = getenv("OFFKUBE_SOURCE_DIR");
	CLEANUP_FREE char *script = str_printf("%s/tests/report/check_stats.py", top ? top : ".");
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)execl(PYTHON, PYTHON, script, dir, summary, (char *)NULL); /* returns only on failure */
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Where a wrong number is put into the summary first, which the script must see. */
enum spoil { SPOIL_NOTHING, SPOIL_CELL, SPOIL_POOL };

static int check(const struct report_run *run, enum spoil spoil)
{
	char *dir = report_run_folder(run);
	CLEANUP_FREE char *path = str_printf("%s/summary.json", dir);
	json_t *j = summary_of(run);
	int r;

	if (spoil) {
		json_t *arm =
			json_array_get(json_object_get(json_array_get(json_object_get(j, "cells"), 0), "arms"), 1);
		json_t *p99 = json_object_get(json_object_get(arm, "metrics"), "p99");
		json_t *ratio = json_object_get(json_object_get(json_object_get(p99, "against"), "none"), "ratio");

		if (spoil == SPOIL_POOL) {
			json_t *cpu = json_object_get(json_object_get(pool_of_strategy(j, NULL, "nft"), "metrics"),
						      "cpu_full");

			ratio = json_object_get(json_object_get(json_object_get(cpu, "against"), "none"), "ratio");
		}
		assert_int_equal(json_real_set(json_object_get(ratio, "mid"),
					       json_real_value(json_object_get(ratio, "mid")) * 1.0001),
				 0);
	}
	assert_int_equal(json_dump_file(j, path, 0), 0);
	json_decref(j);
	r = run_check(dir, path);
	report_run_remove(dir);
	return r;
}

static void test_independent_check(void **state)
{
	struct report_run run = report_run_default();

	(void)state;
	if (access(PYTHON, X_OK) < 0)
		skip();
	assert_int_equal(check(&run, SPOIL_NOTHING), 0);
	assert_int_equal(check(&run, SPOIL_CELL), 1);
	assert_int_equal(check(&run, SPOIL_POOL), 1);
	run.n_strategies = 4;
	run.strategies[1] = "kube-proxy";
	run.strategies[2] = "nft";
	run.strategies[3] = "socket";
	run.factor[2] = 0.99;
	run.factor[3] = 1.3;
	run.n_loads = run.n_paths = 2;
	run.discarded = 2;
	run.wrong = run.failed = 5;
	run.n_rounds = 7;
	assert_int_equal(check(&run, SPOIL_NOTHING), 0);
	run.n_loads = 3;
	run.n_paths = 1;
	run.experiments = 1;
	assert_int_equal(check(&run, SPOIL_NOTHING), 0);
	run.n_loads = 2;
	run.n_paths = 2;
	run.experiments = 0;
	run.no_twin = 1;
	run.n_workloads = 3;
	run.n_rounds = 3;
	run.discarded = 3;
	assert_int_equal(check(&run, SPOIL_NOTHING), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_pools),
		cmocka_unit_test(test_independent_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
