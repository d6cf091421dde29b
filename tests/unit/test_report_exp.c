/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Experiments: sweeps, scale, idle, faults and checks of the CPU meter, from records to estimates, sentences and figures. */
#include <errno.h>
#include <math.h>
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
#include "report/figure.h"
#include "report_run.h"

static struct report_run four_strategies(void)
{
	struct report_run run = report_run_default();

	run.n_strategies = 4;
	run.strategies[1] = "kube-proxy";
	run.strategies[2] = "nft";
	run.strategies[3] = "socket";
	run.factor[1] = 1.3;
	run.factor[2] = 1.18;
	run.factor[3] = 1.03;
	run.n_loads = 3;
	run.n_paths = 2;
	run.experiments = 1;
	return run;
}

enum { NONE, PEER, NFT, SOCKET };

static const struct curve *curve_of(const struct report *r, const char *load, const char *axis)
{
	for (size_t i = 0; i < r->curves.n; i++) {
		const struct cell *p = &r->sweeps.v[r->curves.v[i].first];

		if (str_eq(p->axis, axis) && str_eq(r->loads.v[p->load].name, load))
			return &r->curves.v[i];
	}
	fail_msg("no curve of %s along %s", load, axis);
	return NULL;
}

static void test_curves(void **state)
{
	struct report_run run = four_strategies();
	CLEANUP(report_freep) struct report *r = report_run_load(&run), *whole = NULL, *dead = NULL, *none = NULL;
	const struct curve *c = curve_of(r, "echo", "offered");
	bool all;

	(void)state;
	assert_int_equal(r->curves.n, 5);
	assert_int_equal(c->n, 7);
	for (size_t i = c->first; i + 1 < c->first + c->n; i++)
		assert_true(r->sweeps.v[i].x < r->sweeps.v[i + 1].x);
	/* The generator's queue has room for 30,000 / factor^2 requests a second: 1 ms of p99 is 0.5 ms of median. */
	assert_true(curve_largest_load(r, c, NONE, &all) == 24000 && !all);
	assert_true(curve_largest_load(r, c, PEER, &all) == 8000 && !all);
	assert_true(curve_largest_load(r, c, NFT, &all) == 16000 && !all);
	assert_true(curve_largest_load(r, c, SOCKET, &all) == 24000 && !all);
	/* The largest load of the curve, and all is well until then; or nothing is answered from there on. */
	run.factor[SOCKET] = 0.8;
	whole = report_run_load(&run);
	c = curve_of(whole, "echo", "offered");
	assert_true(curve_largest_load(whole, c, SOCKET, &all) == 32000 && all);
	run.collapse_at = 16000;
	dead = report_run_load(&run);
	c = curve_of(dead, "echo", "offered");
	assert_true(curve_largest_load(dead, c, SOCKET, &all) == 8000 && !all);
	run.collapse_at = 1;
	none = report_run_load(&run);
	c = curve_of(none, "echo", "offered");
	assert_true(curve_largest_load(none, c, SOCKET, &all) == 0 && !all);
	c = curve_of(r, "echo", "updates");
	assert_int_equal(cell_series(r, &r->sweeps.v[c->first + 3], NFT)->n_changes, 5 * 400);
	assert_int_equal(cell_series(r, &r->sweeps.v[c->first + 3], NFT)->in_force.n, 5 * 8);
	c = curve_of(r, "bulk", "size");
	assert_true(cell_estimate(r, &r->sweeps.v[c->first], SOCKET, METRIC_RATE)->vs[REF_PEER].ratio.mid > 1.1);
}

static void test_scale(void **state)
{
	struct report_run run = four_strategies();
	CLEANUP(report_freep) struct report *r = report_run_load(&run);
	const struct scale_point *p = scale_find(r, SOCKET, 2, 10000, 2);

	(void)state;
	assert_non_null(p);
	assert_null(scale_find(r, NONE, 2, 10000, 2));
	assert_int_equal(p->est[SCALE_FROM_EMPTY].n, 5);
	assert_int_equal(p->in_force.n, 5 * 12);
	assert_true(p->est[SCALE_FROM_EMPTY].best);
	assert_int_equal(p->est[SCALE_FROM_EMPTY].vs[REF_BOUND].n_pairs, 0);
	assert_int_equal(p->est[SCALE_FROM_EMPTY].vs[REF_PEER].verdict, VERDICT_BETTER);
	/* (0.002 + n * 1e-4 * f^2) */
	assert_true(fabs(p->est[SCALE_FROM_EMPTY].vs[REF_PEER].ratio.mid - 1.03 * 1.03 / 1.3 / 1.3) < 0.02);
	assert_false(scale_find(r, PEER, 2, 10000, 2)->est[SCALE_FROM_EMPTY].tied);
}

static void test_idle_and_faults(void **state)
{
	struct report_run run = four_strategies();
	CLEANUP(report_freep) struct report *r = report_run_load(&run);

	(void)state;
	assert_int_equal(r->idle.n, 4);
	assert_true(fabs(r->idle.v[PEER].est_cores.vs[REF_BOUND].ratio.mid - 1.3) < 0.03);
	assert_true(r->idle.v[PEER].est_process.median.mid == 61234);
	assert_int_equal(r->faults.n, 12);
	assert_string_equal(r->faults.v[0].fault, "backend");
	assert_int_equal(r->faults.v[0].n_rounds, 5);
	assert_int_equal(r->faults.v[0].timeline.n, 100);
	assert_int_equal(r->faults.v[0].timeline.v[0].ms, -300);
	assert_int_equal(r->faults.v[0].timeline.v[0].ok, 5 * 40); /* summed over rounds */
	assert_int_equal(r->faults.v[0].n_broken, 5);
	assert_int_equal(r->cpu_checks.n, 2);
}

static bool said(const struct report *r, const char *text)
{
	for (size_t i = 0; i < r->lines.n; i++)
		if (strstr(r->lines.v[i], text))
			return true;
	return false;
}

static void test_lines(void **state)
{
	struct report_run run = four_strategies();
	CLEANUP(report_freep) struct report *r = report_run_load(&run), *hurt = NULL, *alone = NULL;

	(void)state;
	assert_true(said(r, "Against kube-proxy, socket, all cells together: CPU "));
	assert_true(said(r, "higher in 6 of 6 cells, sign test p = 0.031; cell by cell better in all 6 cells)"));
	assert_true(said(r, "Nowhere is another strategy worse than kube-proxy beyond the noise"));
	assert_true(said(r, "Distance of nft to no Service at all: CPU +18 % in the median cell"));
	assert_true(said(
		r,
		"Largest load with p99 within 1 ms (echo, other node, IPv4): none 24,000 /s, kube-proxy 8,000 /s, nft "
		"16,000 /s, socket 24,000 /s."));
	assert_true(said(r, "With 10,000 Services of 2 endpoints: all of it from nothing takes 1."));
	assert_true(said(r, "When nothing is asked: "));
	run.factor[NFT] = 1.5;
	hurt = report_run_load(&run);
	assert_true(said(hurt,
			 "Where kube-proxy is better (24 of 48 comparisons): nft on echo, same node, IPv4: CPU +16 %"));
	assert_true(said(hurt, "; and 18 more, marked in the tables."));
	run.strategies[PEER] = "xdp";
	alone = report_run_load(&run);
	assert_true(said(alone, "kube-proxy took no part"));
	assert_false(said(alone, "Against kube-proxy"));
}

/* Where a p99 is the slowest request it is compared with nothing. */
static void test_hurts_few(void **state)
{
	struct report_run run = four_strategies();
	CLEANUP(report_freep) struct report *r = NULL;

	(void)state;
	run.experiments = 0;
	run.n_loads = run.n_paths = 1;
	run.factor[NFT] = 1.5;
	run.requests = 60;
	r = report_run_load(&run);
	assert_true(r->cells.v[0].few[METRIC_P99]);
	assert_true(said(r, "Where kube-proxy is better (4 of 8 comparisons): nft on echo"));
}

static void expect_refused(const struct report_run *run, const char *from, const char *to, const char *why)
{
	CLEANUP_FREE char *text = NULL;
	CLEANUP_FREE char *bad = NULL;
	struct report *rep = NULL;
	struct err e = {};
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	const char *at;

	report_run_write(run, f);
	assert_int_equal(fclose(f), 0);
	at = strstr(text, from);
	if (!at)
		fail_msg("no %s in the records", from);
	bad = str_printf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	f = fmemopen(bad, strlen(bad), "r");
	assert_int_equal(report_load_stream(f, "records.jsonl", &rep, &e), -EINVAL);
	assert_int_equal(fclose(f), 0);
	if (!strstr(e.text, why))
		fail_msg("\"%s\" says nothing of \"%s\"", e.text, why);
}

static void test_wrong_members(void **state)
{
	struct report_run run = four_strategies();

	(void)state;
	run.n_rounds = 1;
	expect_refused(&run, "\"axis\":\"offered\"", "\"axis\":7", "\"axis\" is no string");
	expect_refused(&run, "\"axis\":\"offered\",\"x\":1000", "\"axis\":\"offered\",\"x\":-1", "\"x\" is no number");
	expect_refused(&run, "\"axis\":\"offered\",\"x\":2000", "\"axis\":\"offered\",\"x\":1000",
		       "a second open sweep of this cell");
	expect_refused(&run, "\"in_force_ns\":[", "\"in_force_ns\":[-1,", "\"in_force_ns\" member 0");
	expect_refused(&run, "\"from_empty_s\":", "\"from_empty_s\":\"\",\"x\":", "\"from_empty_s\" is no number");
	expect_refused(&run, "\"first_packet_ns\":{", "\"first_packet_ns\":7,\"x\":{",
		       "\"first_packet_ns\" is no object");
	expect_refused(&run, "\"type\":\"scale\",\"strategy\":\"nft\"",
		       "\"type\":\"scale\",\"strategy\":\"kube-proxy\"", "a second one of its kind in round 0");
	expect_refused(&run, "\"process_kib\":0}", "\"process_kib\":-1}", "\"process_kib\" is no number");
	expect_refused(&run, "[-300,40,0]", "[-300,40]", "\"timeline\" member 0");
	expect_refused(&run, "\"outage_ns\":", "\"outage_ns\":-", "\"outage_ns\" is no number");
	expect_refused(&run, "\"stated_cores\":0.5", "\"stated_cores\":null", "\"stated_cores\"");
}

static void count_remark(enum remark_level level, const char *text, void *arg)
{
	(void)level;
	*(size_t *)arg += strstr(text, "more than 3 % of a core off in 1 of 2 loads") != NULL;
}

/* 0.231 cores where 0.2 are stated is said; 0.507 of 0.5 is well. */
static void test_cpu_check(void **state)
{
	struct report_run run = four_strategies();
	CLEANUP(report_freep) struct report *r = report_run_load(&run);
	size_t n = 0;

	(void)state;
	report_each_remark(r, count_remark, &n);
	assert_int_equal(n, 1);
}

/* Every figure has its three files, and gnuplot draws each. */
static void test_figures(void **state)
{
	static const char *const wanted[] = {
		"winner-1",
		"versus-cpu-1",
		"versus-rate-1",
		"change-p99-1",
		"cpu-1",
		"cores-1",
		"rate-1",
		"throughput-1",
		"band-1",
		"pareto-1",
		"offered-1",
		"size-5",
		"live-3",
		"updates-2",
		"updates-4",
		"scale-change-1",
		"scale-first-packet-1",
		"scale-from-empty-1",
		"scale-memory-1",
		"in-force-scale-1",
		"in-force-updates-2",
		"fault-1",
		"fault-3",
		"idle-1",
		"coverage-1",
		"latency-1",
		"distribution-1",
	};
	struct report_run run = four_strategies();
	CLEANUP(report_freep) struct report *r = report_run_load(&run);
	CLEANUP(figures_free) struct figures figures = {};
	char *dir = report_run_folder(&run);

	(void)state;
	assert_int_equal(figures_make(r, dir, &figures, NULL), 0);
	report_run_remove(dir);
	assert_string_equal(figures.why, "");
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		size_t at = 0;

		while (at < figures.v.n && !str_eq(figures.v.v[at].stem, wanted[i]))
			at++;
		if (at == figures.v.n)
			fail_msg("no figure %s", wanted[i]);
		if (!figures.no_gnuplot && !figures.v.v[at].svg)
			fail_msg("%s was not drawn", wanted[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_curves),		cmocka_unit_test(test_scale),
		cmocka_unit_test(test_idle_and_faults), cmocka_unit_test(test_lines),
		cmocka_unit_test(test_hurts_few),	cmocka_unit_test(test_wrong_members),
		cmocka_unit_test(test_cpu_check),	cmocka_unit_test(test_figures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
