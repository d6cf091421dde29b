/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sentence that a page opens with, for runs of known effect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "report_run.h"

static void expect(const struct report_run *run, const char *want)
{
	struct report *rep = report_run_load(run);

	assert_string_equal(report_answer(rep), want);
	report_free(rep);
}

static void test_clear_cost(void **state)
{
	struct report_run run = report_run_default();

	(void)state;
	expect(&run,
	       "Against no Service at all, nft costs 6.2 % (5.0 to 7.5 %) more CPU per request and adds 2.48 µs (2.14 to 2.84 µs) at the median on echo, same node, IPv4.");
	run.factor[1] = 0.9;
	expect(&run,
	       "Against no Service at all, nft costs 9.8 % (8.7 to 11 %) less CPU per request and takes 3.96 µs (3.58 to 4.26 µs) off the median on echo, same node, IPv4.");
}

static void test_tie(void **state)
{
	struct report_run run = report_run_default();

	(void)state;
	run.factor[1] = 1.002;
	expect(&run,
	       "Against no Service at all, nft adds no CPU per request beyond the noise (a tie: −0.8 to +1.6 %) and adds no median latency beyond the noise (a tie: −0.4 to +1.3 %) on echo, same node, IPv4.");
	run.n_paths = 2;
	expect(&run,
	       "Against no Service at all, nft adds no CPU per request beyond the noise (ties in both cells: −1.7 to +1.4 %) and adds no median latency beyond the noise (ties in both cells: −0.6 to +1.6 %) on echo.");
}

static void test_several_cells(void **state)
{
	struct report_run run = report_run_default();

	(void)state;
	run.n_loads = 2;
	run.n_paths = 2;
	expect(&run,
	       "Against no Service at all, nft costs 4.9 to 5.0 % more CPU per request in both cells and adds 2.16 to 3.83 µs at the median in both cells on echo; on connect it costs 5.9 to 6.2 % more CPU per request in both cells and adds 9.02 to 12.1 µs at the median in both cells.");
	run.n_workloads = 16;
	run.n_rounds = run.n_rounds_planned = 3;
	run.noise = 0.02;
	run.factor[1] = 1.03;
	expect(&run,
	       "Against no Service at all, nft costs 4.5 to 7.9 % more CPU per request in 5 of 32 cells (27 ties) and adds 1.36 to 2.62 µs at the median in 4 of 32 cells (28 ties) on echo; on connect it costs 3.6 to 5.7 % more CPU per request in 4 of 32 cells (28 ties) and adds 4.88 to 7.62 µs at the median in 8 of 32 cells (24 ties).");
}

static void test_contest(void **state)
{
	struct report_run run = report_run_default();

	(void)state;
	run.n_strategies = 4;
	run.strategies[1] = "kube-proxy";
	run.strategies[2] = "nft";
	run.strategies[3] = "socket";
	run.factor[1] = 1.15;
	run.factor[2] = 1.08;
	run.factor[3] = 1.02;
	run.n_paths = 2;
	expect(&run,
	       "Of kube-proxy, nft and socket, socket has the least CPU per request in both cells and the lowest median latency in both cells; against kube-proxy, socket costs 10 to 11 % less CPU per request in both cells and takes 5.63 to 7.23 µs off the median in both cells; against no Service at all, it costs 2.7 % more CPU per request in 1 of 2 cells (1 tie) and adds no median latency beyond the noise (ties in both cells: −0.3 to +3.0 %).");
	run.factor[1] = run.factor[2] = run.factor[3] = 1.1;
	expect(&run,
	       "Of kube-proxy, nft and socket, nobody alone has the least CPU per request (ties in both cells) and nobody alone has the lowest median latency (ties in both cells); against no Service at all, kube-proxy costs 9.6 to 10 % more CPU per request in both cells and adds 3.79 to 5.30 µs at the median in both cells.");
	/* Whoever answers wrongly wins nothing. */
	run.factor[3] = 0.5;
	run.wrong = 3;
	run.n_paths = 1;
	expect(&run,
	       "Not to be trusted, 3 requests were answered by a pod that is no backend: of kube-proxy, nft and socket, nobody alone has the least CPU per request (ties in the one cell) and nobody alone has the lowest median latency (ties in the one cell); against no Service at all, kube-proxy costs 9.7 % (8.5 to 11 %) more CPU per request and adds 4.02 µs (3.71 to 4.32 µs) at the median.");
}

static void test_emulated_is_not_ranked(void **state)
{
	struct report_run run = report_run_default();

	(void)state;
	run.n_strategies = 3;
	run.strategies[2] = "switch";
	run.factor[2] = 0.7;
	run.kind = "emulated";
	expect(&run,
	       "Against no Service at all, nft costs 5.5 % (4.5 to 7.2 %) more CPU per request and adds 2.55 µs (2.25 to 2.84 µs) at the median on echo, same node, IPv4; against no Service at all, switch (emulated) costs 30 % (29 to 31 %) less CPU per request and takes 12.1 µs (11.9 to 12.3 µs) off the median on echo, same node, IPv4.");
}

static void test_one_alone(void **state)
{
	struct report_run run = report_run_default();

	(void)state;
	run.n_strategies = 1;
	expect(&run,
	       "none alone was measured, with a median latency of 40.0 µs and 24.1 µs CPU per request on echo, same node, IPv4; without a strategy that carries Services beside it, what Services cost cannot be said.");
	run.strategies[0] = "nft";
	expect(&run,
	       "nft alone was measured, with a median latency of 40.0 µs and 24.1 µs CPU per request on echo, same node, IPv4; without a strategy that carries no Service beside it, what Services cost cannot be said.");
	run.n_paths = 2;
	expect(&run,
	       "nft alone was measured, with a median latency of 40.0 to 55.8 µs and 24.1 to 33.6 µs CPU per request on 2 cells; without a strategy that carries no Service beside it, what Services cost cannot be said.");
}

static void test_doubts(void **state)
{
	struct report_run run = report_run_default();

	(void)state;
	run.status = "interrupted";
	run.n_rounds = 4;
	expect(&run,
	       "Interrupted after 4 of 10 rounds: against no Service at all, nft costs 5.8 % (3.4 to 6.6 %) more CPU per request and adds 2.60 µs (1.62 to 3.44 µs) at the median on echo, same node, IPv4.");
	run.status = "";
	expect(&run,
	       "Killed after 4 of 10 rounds: against no Service at all, nft costs 5.8 % (3.4 to 6.6 %) more CPU per request and adds 2.60 µs (1.62 to 3.44 µs) at the median on echo, same node, IPv4.");
	run.status = NULL;
	run.n_rounds = 10;
	run.unreached = 2;
	expect(&run,
	       "Not all Services could be reached (2 of 20 questions failed): against no Service at all, nft costs 6.2 % (5.0 to 7.5 %) more CPU per request and adds 2.48 µs (2.14 to 2.84 µs) at the median on echo, same node, IPv4.");
	run.wrong = 1;
	expect(&run,
	       "Not to be trusted, 1 request was answered by a pod that is no backend: against no Service at all, nft costs 6.2 % (5.0 to 7.5 %) more CPU per request and adds 2.48 µs (2.14 to 2.84 µs) at the median on echo, same node, IPv4.");
}

static void test_nothing(void **state)
{
	struct report_run run = report_run_default();

	(void)state;
	run.n_rounds = 0;
	run.left_out = "budget";
	expect(&run, "Nothing was measured: every cell was left out (budget).");
	run.status = "interrupted";
	expect(&run, "Interrupted after 0 of 10 rounds: nothing was measured: the run ended before the first sample.");
}

static void test_not_judged(void **state)
{
	struct report_run run = report_run_default();

	(void)state;
	run.failed = 100;
	run.n_paths = 2;
	expect(&run, "No strategy can be judged against none: requests failed on 2 of 2 cells.");
	run.failed = 0;
	run.n_rounds = 2;
	run.status = "interrupted";
	expect(&run,
	       "Interrupted after 2 of 10 rounds: no strategy can be judged against none: 2 cells have too few rounds.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clear_cost),
		cmocka_unit_test(test_tie),
		cmocka_unit_test(test_several_cells),
		cmocka_unit_test(test_contest),
		cmocka_unit_test(test_emulated_is_not_ranked),
		cmocka_unit_test(test_one_alone),
		cmocka_unit_test(test_doubts),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_not_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
