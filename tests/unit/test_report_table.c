/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table on the terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "report/report_int.h"
#include "report_run.h"

static char *table_of(const struct report_run *run, bool colour)
{
	CLEANUP(report_freep) struct report *rep = report_run_load(run);
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	assert_int_equal(report_print_table(rep, f, colour), 0);
	assert_int_equal(fclose(f), 0);
	return text;
}

static void assert_has(const char *text, const char *what)
{
	if (!strstr(text, what))
		fail_msg("nothing of \"%s\" in:\n%s", what, text);
}

static void test_table(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP_FREE char *text = NULL;

	(void)state;
	run.left_out = "budget";
	text = table_of(&run, false);
	assert_memory_equal(text, "Against no Service at all, nft costs", 36);
	assert_has(
		text,
		"\nCPU per request                                median  [95 %]                  change  [95 %]                  noise  against none\n");
	assert_has(text, "\necho, same node, IPv4         none            23.8 µs  [23.8 to 24.1]\n");
	assert_has(text, "worse  Service cost +1.53 µs\n");
	assert_has(text, "\nCPU per request at full load ");
	assert_has(text, "\np99 latency ");
	assert_has(text, "reach: shop, nft: 10 Services, 10 of 10 questions answered rightly\n");
	assert_has(text, "left out: shop: connect, other node, IPv6: budget\n");
	assert_null(strchr(text, '\033'));
	assert_null(strstr(text, " \n"));
}

static void test_colour(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP_FREE char *text = NULL;

	(void)state;
	run.wrong = 1;
	text = table_of(&run, true);
	assert_has(text, "\033[31mWrong deliveries: under nft, 1 of ");
	assert_has(text, "\033[31mworse\033[0m");
}

static void test_contest(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP_FREE char *text = NULL;

	(void)state;
	run.n_strategies = 3;
	run.strategies[2] = "socket";
	run.factor[1] = 1.2;
	run.factor[2] = 1.1;
	text = table_of(&run, false);
	assert_has(text, "worse  best  Service cost");
}

static void test_failures(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP_FREE char *text = NULL;

	(void)state;
	run.unreached = 1;
	run.refused = "nft";
	run.n_rounds = 0;
	text = table_of(&run, false);
	assert_has(text, "  failed: shop shop/s0:80/TCP IPv4, same node, under nft: ETIMEDOUT\n");
	assert_has(text, "nft could not run here on shop: kernel-feature");
}

static void test_many_cells(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP_FREE char *text = NULL;

	(void)state;
	run.n_workloads = 16;
	run.n_loads = 2;
	run.n_rounds = 3;
	text = table_of(&run, false);
	assert_has(text, "\nload-15: connect, same node, IPv4  none ");
	assert_has(text, "32 cells: the other metrics are on the page.");
	assert_has(text, "\nCPU per request at full load ");
	assert_null(strstr(text, "\np99 latency "));
}

static void test_busy_while_calibrating(void **state)
{
	struct report_run run = report_run_default();
	CLEANUP_FREE char *busy = NULL, *idle = NULL, *old = NULL;

	(void)state;
	run.busy_share = 0.25;
	busy = table_of(&run, false);
	assert_has(busy, "busy with other things while CPU time was calibrated (25 % of it on average)");
	run.busy_share = 0.05;
	idle = table_of(&run, false);
	assert_null(strstr(idle, "busy with other things"));
	run.busy_share = -1;
	old = table_of(&run, false);
	assert_string_equal(old, idle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),	   cmocka_unit_test(test_colour),
		cmocka_unit_test(test_contest),	   cmocka_unit_test(test_failures),
		cmocka_unit_test(test_many_cells), cmocka_unit_test(test_busy_while_calibrating),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
