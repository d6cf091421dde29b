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
	       "Against no Service at all, nft costs 6.4 % (5.5 to 7.6 %) more CPU per request and adds 2.83 µs (2.19 to 3.08 µs) at the median on echo, same node, IPv4.");
	run.factor[1] = 0.9;
	expect(&run,
	       "Against no Service at all, nft costs 9.7 % (8.6 to 10 %) less CPU per request and takes 3.62 µs (3.41 to 4.14 µs) off the median on echo, same node, IPv4.");
}

static void test_tie(void **state)
{
	struct report_run run = report_run_default();

	(void)state;
	run.factor[1] = 1.002;
	expect(&run,
	       "Against no Service at all, nft adds no CPU per request beyond the noise (a tie: −0.2 to +1.8 %) and adds no median latency beyond the noise (a tie: −0.3 to +1.8 %) on echo, same node, IPv4.");
	run.n_paths = 2;
	expect(&run,
	       "Against no Service at all, nft adds no CPU per request beyond the noise (ties in both cells: −1.3 to +1.2 %) and adds no median latency beyond the noise (ties in both cells: −0.7 to +1.5 %) on echo.");
}

static void test_several_cells(void **state)
{
	struct report_run run = report_run_default();

	(void)state;
	run.n_loads = 2;
	run.n_paths = 2;
	expect(&run,
	       "Against no Service at all, nft costs 5.7 % more CPU per request in both cells and adds 2.51 to 3.17 µs at the median in both cells on echo; on connect it costs 5.6 to 6.5 % more CPU per request in both cells and adds 7.94 to 10.3 µs at the median in both cells.");
	run.n_workloads = 16;
	run.n_rounds = run.n_rounds_planned = 3;
	run.noise = 0.02;
	run.factor[1] = 1.03;
	expect(&run,
	       "Against no Service at all, nft costs 2.2 to 4.8 % more CPU per request in 3 of 32 cells (29 ties) and adds 1.63 to 2.98 µs at the median in 5 of 32 cells (27 ties) on echo; on connect it costs 2.6 to 8.2 % more CPU per request in 8 of 32 cells (24 ties) and adds 3.44 to 10.2 µs at the median in 3 of 32 cells (29 ties).");
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
	       "Of kube-proxy, nft and socket, all cells together, socket has the least CPU per request, the least CPU per request at full load and the lowest median latency; socket against kube-proxy: CPU −11 % (−12 to −10 %), CPU at full load −11 % (−12 to −10 %), median latency −11 % (−11 to −10 %); socket against no Service at all: CPU +2.4 % (+1.7 to +3.4 %), CPU at full load +1.9 % (a tie: +1.0 to +2.9 %), median latency +1.8 % (+1.5 to +2.5 %).");
	run.factor[1] = run.factor[2] = run.factor[3] = 1.1;
	expect(&run,
	       "Of kube-proxy, nft and socket, all cells together, nobody alone has the least CPU per request, nobody alone has the least CPU per request at full load and nobody alone has the lowest median latency; nft against kube-proxy: CPU +0.5 % (a tie: −0.1 to +1.0 %), CPU at full load +0.2 % (a tie: −0.4 to +1.4 %), median latency +1.1 % (a tie: +0.3 to +1.7 %); nft against no Service at all: CPU +10 % (+9.3 to +11 %), CPU at full load +11 % (+9.6 to +11 %), median latency +10 % (+9.6 to +11 %).");
	/* Whoever answers wrongly wins nothing. */
	run.factor[3] = 0.5;
	run.wrong = 3;
	run.n_paths = 1;
	expect(&run,
	       "Not to be trusted, 3 requests were answered by a pod that is no backend: of kube-proxy, nft and socket, nobody alone has the least CPU per request (ties in the one cell), nobody alone has the least CPU per request at full load (ties in the one cell) and nobody alone has the lowest median latency (ties in the one cell); nft against kube-proxy: CPU −0.4 % (a tie: −1.5 to +0.6 %), CPU at full load 0.0 % (a tie: −0.4 to +1.7 %), median latency +0.7 % (a tie: +0.1 to +1.0 %); nft against no Service at all: CPU +9.2 % (+9.0 to +11 %), CPU at full load +11 % (+9.5 to +12 %), median latency +10 % (+9.3 to +11 %).");
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
	       "Against no Service at all, nft costs 5.8 % (4.8 to 7.4 %) more CPU per request and adds 2.24 µs (2.09 to 2.47 µs) at the median on echo, same node, IPv4; against no Service at all, switch (emulated) costs 30 % (30 to 31 %) less CPU per request and takes 12.1 µs (11.8 to 12.8 µs) off the median on echo, same node, IPv4.");
}

static void test_one_alone(void **state)
{
	struct report_run run = report_run_default();

	(void)state;
	run.n_strategies = 1;
	expect(&run,
	       "none alone was measured, with a median latency of 40.2 µs and 24.0 µs CPU per request on echo, same node, IPv4; without a strategy that carries Services beside it, what Services cost cannot be said.");
	run.strategies[0] = "nft";
	expect(&run,
	       "nft alone was measured, with a median latency of 40.2 µs and 24.0 µs CPU per request on echo, same node, IPv4; without a strategy that carries no Service beside it, what Services cost cannot be said.");
	run.n_paths = 2;
	expect(&run,
	       "nft alone was measured, with a median latency of 39.8 to 56.0 µs and 24.0 to 33.6 µs CPU per request on 2 cells; without a strategy that carries no Service beside it, what Services cost cannot be said.");
}

static void test_doubts(void **state)
{
	struct report_run run = report_run_default();

	(void)state;
	run.status = "interrupted";
	run.n_rounds = 4;
	expect(&run,
	       "Interrupted after 4 of 10 rounds: against no Service at all, nft costs 6.9 % (5.3 to 9.1 %) more CPU per request and adds 2.75 µs (1.72 to 3.50 µs) at the median on echo, same node, IPv4.");
	run.status = "";
	expect(&run,
	       "Killed after 4 of 10 rounds: against no Service at all, nft costs 6.9 % (5.3 to 9.1 %) more CPU per request and adds 2.75 µs (1.72 to 3.50 µs) at the median on echo, same node, IPv4.");
	run.status = NULL;
	run.n_rounds = 10;
	run.unreached = 2;
	expect(&run,
	       "Not all Services could be reached (2 of 20 questions failed): against no Service at all, nft costs 6.4 % (5.5 to 7.6 %) more CPU per request and adds 2.83 µs (2.19 to 3.08 µs) at the median on echo, same node, IPv4.");
	run.wrong = 1;
	expect(&run,
	       "Not to be trusted, 1 request was answered by a pod that is no backend: against no Service at all, nft costs 6.4 % (5.5 to 7.6 %) more CPU per request and adds 2.83 µs (2.19 to 3.08 µs) at the median on echo, same node, IPv4.");
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
