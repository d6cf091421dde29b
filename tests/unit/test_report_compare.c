/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two runs compared: what agrees, what changed, and what is refused with its reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "report/compare.h"
#include "report_run.h"

static struct report_run four_strategies(void)
{
	struct report_run run = report_run_default();

	run.n_strategies = 4;
	run.strategies[1] = "kube-proxy";
	run.strategies[2] = "nft";
	run.strategies[3] = "socket";
	run.factor[1] = 1.3;
	run.factor[2] = 1.2;
	run.factor[3] = 1.05;
	run.n_loads = run.n_paths = 2;
	return run;
}

static struct comparison *compare(const struct report *a, const struct report *b)
{
	struct comparison *c = NULL;

	assert_int_equal(report_compare(a, "one", b, "two", &c), 0);
	return c;
}

static char *table_of(const struct comparison *c)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	assert_int_equal(comparison_print_table(c, f), 0);
	assert_int_equal(fclose(f), 0);
	return text;
}

static const struct compare_refusal *refusal_of(const struct comparison *c, const char *what)
{
	for (size_t i = 0; i < c->refusals.n; i++)
		if (str_eq(c->refusals.v[i].what, what))
			return &c->refusals.v[i];
	fail_msg("nothing is refused of %s", what);
	return NULL;
}

/* The same effects under other noise: the ratios agree, no winner changes. */
static void test_again(void **state)
{
	struct report_run run = four_strategies();
	CLEANUP(report_freep) struct report *a = report_run_load(&run), *b = NULL;
	CLEANUP(comparison_freep) struct comparison *c = NULL;
	size_t n_peer = 0;

	(void)state;
	run.seed = 2;
	b = report_run_load(&run);
	c = compare(a, b);
	assert_int_equal(c->n_changed, 0);
	assert_int_equal(c->n_opposed, 0);
	/* Told metrics of four cells, of two loads, of both loads together. */
	assert_int_equal(c->winners.n, 5 * (4 + 2 + 1));
	assert_int_equal(c->refusals.n, 0);
	for (size_t i = 0; i < c->rows.n; i++) {
		n_peer += c->rows.v[i].ref == REF_PEER;
		assert_true(c->rows.v[i].side[0].ratio.mid / c->rows.v[i].side[1].ratio.mid < 1.05);
		assert_true(c->rows.v[i].side[0].ratio.mid / c->rows.v[i].side[1].ratio.mid > 0.95);
	}
	assert_int_equal(n_peer, c->rows.n / 2); /* none, nft, socket over kube-proxy; the three others over none */
	assert_non_null(strstr(c->answer, "No winner changed outside ties (35 contests)"));
}

static void test_winner_changed(void **state)
{
	struct report_run run = four_strategies();
	CLEANUP(report_freep) struct report *a = report_run_load(&run), *b = NULL;
	CLEANUP(comparison_freep) struct comparison *c = NULL;
	CLEANUP_FREE char *text = NULL;

	(void)state;
	run.factor[2] = 1.05;
	run.factor[3] = 1.45;
	b = report_run_load(&run);
	c = compare(a, b);
	assert_int_equal(c->n_changed, 35);
	assert_true(c->n_opposed > 0); /* socket against kube-proxy */
	text = table_of(c);
	assert_non_null(strstr(text, "35 of 35 winners changed outside ties"));
	assert_non_null(
		strstr(text, "winner changed: shop: echo, same node, IPv4, CPU per request: socket in A, nft in B"));
	assert_non_null(strstr(text, "winner changed: echo, all its cells, CPU at full load: socket in A, nft in B"));
	assert_non_null(strstr(text, "winner changed: all loads together, p99 latency: socket in A, nft in B"));
	assert_non_null(strstr(text, "verdicts that differ"));
}

/* A tie on one side is no change. */
static void test_ties(void **state)
{
	struct report_run run = four_strategies();
	CLEANUP(report_freep) struct report *a = report_run_load(&run), *b = NULL;
	CLEANUP(comparison_freep) struct comparison *c = NULL;

	(void)state;
	run.factor[2] = 1.05;
	b = report_run_load(&run);
	c = compare(a, b);
	assert_int_equal(c->n_changed, 0);
	assert_string_equal(c->winners.v[0].first[0], "socket");
	assert_string_equal(c->winners.v[0].first[1], "nft = socket");
}

static const struct compare_winner *winner_of(const struct comparison *c, const char *cell, const char *metric)
{
	for (size_t i = 0; i < c->winners.n; i++)
		if (str_eq(c->winners.v[i].cell, cell) && str_eq(c->winners.v[i].metric, metric))
			return &c->winners.v[i];
	return NULL;
}

/* What the noise of each cell hides, all cells together show; a run that shows it not is within ties. */
static void test_pools(void **state)
{
	struct report_run run = four_strategies();
	CLEANUP(report_freep) struct report *a = NULL, *b = NULL;
	CLEANUP(comparison_freep) struct comparison *c = NULL, *again = NULL;
	const struct compare_winner *w;

	(void)state;
	run.n_families = 2;
	run.noise = 0.1;
	run.factor[2] = 1.25;
	a = report_run_load(&run);
	run.factor[2] = 1.05;
	run.factor[3] = 1.25;
	b = report_run_load(&run);
	c = compare(a, b);
	w = winner_of(c, "all loads together", "median latency");
	assert_non_null(w);
	assert_string_equal(w->first[0], "socket");
	assert_string_equal(w->first[1], "nft");
	assert_true(w->changed);
	w = winner_of(c, "shop: echo, same node, IPv4", "median latency");
	assert_non_null(w);
	assert_false(w->changed);
	report_free(b);
	run.factor[3] = 1.05;
	b = report_run_load(&run);
	again = compare(a, b);
	w = winner_of(again, "all loads together", "median latency");
	assert_non_null(w);
	assert_string_equal(w->first[1], "nft = socket");
	assert_false(w->changed);
}

/* One cell, or one load, is no pool: nothing is told, or refused, twice. */
static void test_no_pool_of_one(void **state)
{
	struct report_run run = four_strategies();
	CLEANUP(report_freep) struct report *a = NULL, *b = NULL;
	CLEANUP(comparison_freep) struct comparison *c = NULL, *more = NULL;

	(void)state;
	run.n_loads = run.n_paths = 1;
	a = report_run_load(&run);
	c = compare(a, a);
	assert_int_equal(c->winners.n, 5);
	assert_int_equal(c->refusals.n, 0);
	/* A load that only one of them has spoils only its own pool, and that of all. */
	run.n_loads = 2;
	run.n_paths = 2;
	b = report_run_load(&run);
	more = compare(a, b);
	assert_int_equal(more->winners.n, 5);
	assert_string_equal(refusal_of(more, "echo, all its cells")->why,
			    "its cells are not the same in both: 0 only in A, 1 only in B, 0 measured differently");
	assert_string_equal(refusal_of(more, "connect, all its cells")->why,
			    "its cells are not the same in both: 0 only in A, 2 only in B, 0 measured differently");
	assert_string_equal(refusal_of(more, "all loads together")->why,
			    "its cells are not the same in both: 0 only in A, 3 only in B, 0 measured differently");
	assert_int_equal(more->refusals.n, 3 + 3);
}

/* Percentiles of too few requests in one of the two are not pooled alike. */
static void test_other_cells_count(void **state)
{
	struct report_run run = four_strategies();
	CLEANUP(report_freep) struct report *a = report_run_load(&run), *b = NULL;
	CLEANUP(comparison_freep) struct comparison *c = NULL;

	(void)state;
	run.requests = 50;
	b = report_run_load(&run);
	c = compare(a, b);
	assert_string_equal(refusal_of(c, "echo, all its cells, p99 latency")->why,
			    "it is judged in other cells in A than in B");
	assert_null(winner_of(c, "echo, all its cells", "p99 latency"));
	assert_non_null(winner_of(c, "echo, all its cells", "median latency"));
}

static void test_refused(void **state)
{
	struct report_run run = four_strategies();
	CLEANUP(report_freep) struct report *a = report_run_load(&run), *b = NULL, *quick = NULL, *emulated = NULL;
	CLEANUP(comparison_freep) struct comparison *c = NULL, *nothing = NULL, *kinds = NULL;
	CLEANUP_FREE char *text = NULL;

	(void)state;
	run.offered = 5000;
	run.n_paths = 1;
	b = report_run_load(&run);
	c = compare(a, b);
	assert_int_equal(c->rows.n, 0);
	assert_string_equal(c->answer, "Nothing can be compared; 7 things are not comparable.");
	assert_string_equal(refusal_of(c, "shop: echo, same node, IPv4")->why,
			    "the load was offered at 4000 per second in A and 5000 in B");
	assert_string_equal(refusal_of(c, "echo, all its cells")->why,
			    "its cells are not the same in both: 1 only in A, 0 only in B, 1 measured differently");
	assert_string_equal(refusal_of(c, "all loads together")->why,
			    "its cells are not the same in both: 2 only in A, 0 only in B, 2 measured differently");
	assert_string_equal(refusal_of(c, "shop: echo, other node, IPv4")->why, "only A has it");
	text = table_of(c);
	assert_non_null(strstr(text, "not compared: shop: connect, other node, IPv4: only A has it"));
	run.n_rounds_planned = 5;
	quick = report_run_load(&run);
	nothing = compare(a, quick);
	assert_int_equal(nothing->refusals.n, 1);
	assert_string_equal(refusal_of(nothing, "everything")->why,
			    "B is a quick run and A is not: slices and rounds differ");
	run = four_strategies();
	run.kind = "emulated";
	emulated = report_run_load(&run);
	kinds = compare(a, emulated);
	assert_string_equal(refusal_of(kinds, "shop: echo, same node, IPv4, under socket")->why,
			    "it is real in A and emulated in B");
	for (size_t i = 0; i < kinds->rows.n; i++)
		assert_string_not_equal(kinds->rows.v[i].strategy, "socket");
}

static void test_experiments(void **state)
{
	struct report_run run = four_strategies();
	CLEANUP(report_freep) struct report *a = NULL, *b = NULL, *emulated = NULL;
	CLEANUP(comparison_freep) struct comparison *c = NULL, *kinds = NULL;
	size_t n_scale = 0, n_sweep = 0;

	(void)state;
	run.experiments = 1;
	a = report_run_load(&run);
	run.seed = 3;
	b = report_run_load(&run);
	c = compare(a, b);
	assert_int_equal(c->refusals.n, 0);
	for (size_t i = 0; i < c->rows.n; i++) {
		n_scale += strstr(c->rows.v[i].cell, "scale: 10000 Services") != NULL;
		n_sweep += strstr(c->rows.v[i].cell, "offered 16000") != NULL;
	}
	assert_int_equal(n_scale, 2 * SCALE_MAX); /* nft and socket over kube-proxy */
	assert_true(n_sweep > 0);
	run.kind = "emulated";
	emulated = report_run_load(&run);
	kinds = compare(a, emulated);
	assert_string_equal(refusal_of(kinds, "scale: 10000 Services × 2 endpoints on 2 nodes, under socket")->why,
			    "it is real in A and emulated in B");
	assert_int_equal(kinds->refusals.n, 4 + 4); /* cells, points of scale */
}

static void test_page_and_json(void **state)
{
	struct report_run run = four_strategies();
	CLEANUP(report_freep) struct report *a = NULL, *b = NULL;
	CLEANUP(comparison_freep) struct comparison *c = NULL;
	char *dir = report_run_folder(&run);
	CLEANUP_FREE char *path = str_printf("%s/compare.html", dir);
	CLEANUP_FREE char *page = NULL;
	CLEANUP_FREE char *text = NULL;
	size_t size;
	json_t *j;
	FILE *f;

	(void)state;
	run.workload_name = "<b>shop</b>";
	a = report_run_load(&run);
	run.factor[3] = 1.5;
	b = report_run_load(&run);
	c = compare(a, b);
	assert_int_equal(comparison_write_html(c, dir, NULL), 0);
	assert_int_equal(read_file(path, 4 << 20, &page, &size), 0);
	report_run_remove(dir);
	assert_null(strstr(page, "<b>shop"));
	assert_non_null(strstr(page, "&lt;b&gt;shop"));
	assert_non_null(strstr(page, "class=\"bad\">changed"));
	f = open_memstream(&text, &size);
	assert_int_equal(comparison_print_json(c, f), 0);
	assert_int_equal(fclose(f), 0);
	j = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(j);
	assert_int_equal(json_integer_value(json_object_get(j, "winners_changed")), c->n_changed);
	assert_int_equal(json_array_size(json_object_get(j, "ratios")), c->rows.n);
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_winner_changed),
		cmocka_unit_test(test_ties),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_pools),
		cmocka_unit_test(test_no_pool_of_one),
		cmocka_unit_test(test_other_cells_count),
		cmocka_unit_test(test_experiments),
		cmocka_unit_test(test_page_and_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
