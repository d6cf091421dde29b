/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The answer in detail, a sentence each: which, when, by how much, and what it costs. Called by answer.c; printed by the table, the page and the summary.
 *
 * 1. Each strategy with Services against the incumbent (kube-proxy), when it took part: all cells together (pool.c), and cell by cell.
 * 2. Its distance to no Service at all: the median cell and the worst.
 * 3. Where an offload is worse than the incumbent, said as plainly as where it is better.
 * 4. The largest load within the latency objective.
 * 5. What it costs to program, to hold and to do nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "base/util.h"

#define HURTS_MAX 6 /* named; the rest is counted */

const char *const short_name[METRIC_MAX] = {
	[METRIC_CPU] = "CPU",	      [METRIC_CPU_FULL] = "CPU at full load", [METRIC_P50] = "median latency",
	[METRIC_P90] = "p90 latency", [METRIC_P99] = "p99 latency",	      [METRIC_P999] = "p99.9 latency",
	[METRIC_RATE] = "rate",
};
const enum metric told_metrics[N_TOLD_METRICS] = { METRIC_CPU, METRIC_CPU_FULL, METRIC_P50, METRIC_P99, METRIC_RATE };

static bool worse_than(double a, double b, enum metric m)
{
	return metrics[m].higher_is_better ? a < b : a > b;
}

struct ref_sum sum_against(const struct report *r, size_t strategy, enum ref ref, enum metric m)
{
	struct ref_sum sum = { .low = INFINITY, .high = -INFINITY };
	double *mids = malloc((r->cells.n + 1) * sizeof(*mids));

	for (size_t i = 0; i < r->cells.n && mids; i++) {
		const struct cell *c = &r->cells.v[i];
		const struct estimate *est = cell_estimate(r, c, strategy, m);
		const struct against *vs = est ? &est->vs[ref] : NULL;

		if (!vs || vs->verdict < VERDICT_TIE || c->few[m])
			continue;
		sum.n_better += vs->verdict == VERDICT_BETTER;
		sum.n_worse += vs->verdict == VERDICT_WORSE;
		sum.n_tie += vs->verdict == VERDICT_TIE;
		sum.low = MIN(sum.low, vs->ratio.mid);
		sum.high = MAX(sum.high, vs->ratio.mid);
		/* A verdict goes before a larger figure that is a tie. */
		bool worse = vs->verdict == VERDICT_WORSE;

		if (!sum.worst || (worse && sum.worst->vs[ref].verdict != VERDICT_WORSE) ||
		    (worse == (sum.worst->vs[ref].verdict == VERDICT_WORSE) &&
		     worse_than(vs->ratio.mid, sum.worst->vs[ref].ratio.mid, m))) {
			sum.worst = est;
			sum.worst_cell = c;
		}
		mids[sum.n++] = vs->ratio.mid;
	}
	sum.median = sum.n ? stats_median(mids, sum.n) : NAN;
	free(mids);
	return sum;
}

bool strategy_ranked(const struct report *r, size_t strategy)
{
	return r->strategies.v[strategy].services && strategy_measured(r, strategy);
}

static int add_line(struct report *r, struct strbuf *sb)
{
	char *line;
	int ret;

	strbuf_add_char(sb, '.');
	line = strbuf_take(sb);
	*sb = (struct strbuf)STRBUF_INIT;
	if (!line)
		return -ENOMEM;
	ret = vec_push(&r->lines, line);
	if (ret < 0)
		free(line);
	return ret;
}

/* ---- against the references ---- */

static void add_counts(struct strbuf *sb, const struct ref_sum *sum)
{
	const struct {
		size_t n;
		const char *word;
	} counts[] = { { sum->n_better, "better" }, { sum->n_worse, "worse" }, { sum->n_tie, "a tie" } };
	bool any = false;

	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		if (counts[i].n == 0)
			continue;
		strbuf_add(sb, any ? ", " : "");
		if (counts[i].n == sum->n)
			strbuf_addf(sb,
				    sum->n == 1 ? "%s" :
				    sum->n == 2 ? "%s in both cells" :
						  "%s in all %zu cells",
				    counts[i].word, sum->n);
		else if (any)
			strbuf_addf(sb, "%s in %zu", counts[i].word, counts[i].n);
		else
			strbuf_addf(sb, "%s in %zu of %zu cells", counts[i].word, counts[i].n, sum->n);
		any = true;
	}
}

/* "−5.2 % (−7.1 to −3.4 %; lower in 12 of 13 cells, sign test p = 0.003; better in 2 of 13 cells, a tie in 11)". */
static void add_pool(struct strbuf *sb, const struct pool *p, const struct ref_sum *sum)
{
	bool lower = p->n_under >= p->n_over;
	char a[NUM_SIZE], b[NUM_SIZE];

	strbuf_addf(sb, "%s (%s%s; %s in %zu of %zu cells, sign test p = %.2g; cell by cell ",
		    fmt_change(a, p->ratio.mid), p->verdict == VERDICT_TIE ? "a tie: " : "",
		    fmt_change_interval(b, &p->ratio), lower ? "lower" : "higher", lower ? p->n_under : p->n_over,
		    p->n_cells, p->sign_p);
	add_counts(sb, sum);
	strbuf_add_char(sb, ')');
}

static int against_peer(struct report *r, size_t strategy)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	bool any = false;
	char a[NUM_SIZE];

	for (size_t k = 0; k < N_TOLD_METRICS; k++) {
		const struct pool *p = &pool_of(r, r->loads.n, strategy, told_metrics[k])->vs[REF_PEER];
		struct ref_sum sum = sum_against(r, strategy, REF_PEER, told_metrics[k]);

		if (sum.n == 0)
			continue;
		if (any)
			strbuf_add(&sb, "; ");
		else
			strbuf_addf(&sb, "Against %s, %s%s: ", PEER_NAME, r->strategies.v[strategy].name,
				    r->cells.n > 1 ? ", all cells together" : "");
		strbuf_addf(&sb, "%s ", short_name[told_metrics[k]]);
		any = true;
		if (sum.n > 1 && p->n_cells) {
			add_pool(&sb, p, &sum);
			continue;
		}
		strbuf_addf(&sb, "%s (", fmt_change(a, sum.low));
		add_counts(&sb, &sum);
		strbuf_add_char(&sb, ')');
	}
	return any ? add_line(r, &sb) : 0;
}

static int against_bound(struct report *r, size_t strategy)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	bool any = false;
	char a[NUM_SIZE], b[NUM_SIZE];

	for (size_t k = 0; k < N_TOLD_METRICS; k++) {
		struct ref_sum sum = sum_against(r, strategy, REF_BOUND, told_metrics[k]);

		if (sum.n == 0)
			continue;
		if (any)
			strbuf_add(&sb, "; ");
		else
			strbuf_addf(&sb, "Distance of %s to no Service at all: ", r->strategies.v[strategy].name);
		any = true;
		if (sum.n_tie == sum.n) {
			strbuf_addf(&sb, "%s a tie%s", short_name[told_metrics[k]], sum.n > 1 ? " in every cell" : "");
			continue;
		}
		strbuf_addf(&sb, "%s %s", short_name[told_metrics[k]], fmt_change(a, sum.median));
		if (sum.n > 1) {
			strbuf_addf(&sb, " in the median cell, %s at worst (",
				    fmt_change(b, sum.worst->vs[REF_BOUND].ratio.mid));
			(void)cell_label(r, sum.worst_cell, &sb); /* failure is sticky in sb */
			strbuf_add_char(&sb, ')');
		}
	}
	return any ? add_line(r, &sb) : 0;
}

/* ---- where it hurts ---- */

static size_t list_hurts(const struct report *r, struct strbuf *sb, size_t *ret_n_compared)
{
	char a[NUM_SIZE], b[NUM_SIZE];
	size_t n = 0;

	*ret_n_compared = 0;
	for (size_t s = 0; s < r->strategies.n; s++)
		for (size_t i = 0; i < r->cells.n && strategy_ranked(r, s) && s != r->ref[REF_PEER]; i++)
			for (size_t k = 0; k < N_TOLD_METRICS; k++) {
				const struct cell *c = &r->cells.v[i];
				const struct estimate *est = cell_estimate(r, c, s, told_metrics[k]);
				const struct against *vs = est ? &est->vs[REF_PEER] : NULL;

				if (c->few[told_metrics[k]])
					continue;
				*ret_n_compared += vs && vs->verdict >= VERDICT_TIE;
				if (!vs || vs->verdict != VERDICT_WORSE || n++ >= HURTS_MAX)
					continue;
				strbuf_addf(sb, "%s%s on ", n > 1 ? "; " : "", r->strategies.v[s].name);
				(void)cell_label(r, c, sb); /* failure is sticky in sb */
				strbuf_addf(sb, ": %s %s (%s)", short_name[told_metrics[k]],
					    fmt_change(a, vs->ratio.mid), fmt_change_interval(b, &vs->ratio));
			}
	return n;
}

static int add_hurts(struct report *r)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	CLEANUP_STRBUF struct strbuf list = STRBUF_INIT;
	size_t n_compared, n, n_services = 0;

	for (size_t s = 0; s < r->strategies.n; s++)
		n_services += strategy_ranked(r, s);
	if (n_services < 2)
		return 0;
	if (r->ref[REF_PEER] == STRATEGIES_MAX) {
		strbuf_addf(&sb, "%s took no part: what these strategies are worth against it, this run cannot say",
			    PEER_NAME);
		return add_line(r, &sb);
	}
	n = list_hurts(r, &list, &n_compared);
	if (n_compared == 0)
		return 0;
	if (n == 0)
		strbuf_addf(&sb, "Nowhere is another strategy worse than %s beyond the noise (%zu comparisons)",
			    PEER_NAME, n_compared);
	else
		strbuf_addf(&sb, "Where %s is better (%zu of %zu comparisons): %s", PEER_NAME, n, n_compared,
			    list.buf ? list.buf : "");
	if (n > HURTS_MAX)
		strbuf_addf(&sb, "; and %zu more, marked in the tables", n - HURTS_MAX);
	return add_line(r, &sb);
}

/* ---- loads within the objective ---- */

static int add_objective(struct report *r, const struct curve *c)
{
	const struct cell *p = &r->sweeps.v[c->first];
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	bool any = false, all;
	char a[NUM_SIZE];

	if (!str_eq(p->axis, "offered"))
		return 0;
	strbuf_add(&sb, "Largest load with p99 within 1 ms (");
	(void)cell_label(r, p, &sb); /* failure is sticky in sb */
	strbuf_add(&sb, "): ");
	for (size_t s = 0; s < r->strategies.n; s++) {
		double x = curve_largest_load(r, c, s, &all);

		if (isnan(x))
			continue;
		strbuf_addf(&sb, "%s%s ", any ? ", " : "", r->strategies.v[s].name);
		if (x > 0)
			strbuf_addf(&sb, "%s%s", all ? "at least " : "", fmt_value(a, QUANTITY_PER_S, x));
		else
			strbuf_addf(&sb, "under %s", fmt_value(a, QUANTITY_PER_S, p->x));
		any = true;
	}
	return any ? add_line(r, &sb) : 0;
}

/* ---- what it costs ---- */

/* The point with the most Services, and of those the most endpoints; NULL when nothing was measured. */
const struct scale_point *scale_largest(const struct report *r)
{
	const struct scale_point *best = NULL;

	for (size_t i = 0; i < r->scale.n; i++) {
		const struct scale_point *p = &r->scale.v[i];
		bool any = false;

		for (int m = 0; m < SCALE_MAX; m++)
			any = any || p->est[m].n;
		if (any && (!best || p->services > best->services ||
			    (p->services == best->services && p->endpoints > best->endpoints)))
			best = p;
	}
	return best;
}

static size_t scale_rounds(const struct scale_point *p)
{
	size_t n = 0;

	for (int m = 0; m < SCALE_MAX; m++)
		n = MAX(n, p->est[m].n);
	return n;
}

static bool add_scale_metric(struct strbuf *sb, const struct report *r, const struct scale_point *at,
			     enum scale_metric m, const char *text)
{
	bool any = false;
	char a[NUM_SIZE];

	for (size_t s = 0; s < r->strategies.n; s++) {
		const struct scale_point *p = scale_find(r, s, at->nodes, at->services, at->endpoints);

		if (!p || !p->est[m].n)
			continue;
		if (any)
			strbuf_add(sb, ", ");
		else
			strbuf_addf(sb, "%s ", text);
		strbuf_addf(sb, "%s under %s", fmt_value(a, scale_metrics[m].quantity, p->est[m].median.mid),
			    r->strategies.v[s].name);
		any = true;
	}
	return any;
}

static int add_scale(struct report *r)
{
	static const struct {
		enum scale_metric m;
		const char *text;
	} told[] = { { SCALE_FROM_EMPTY, "all of it from nothing takes" },
		     { SCALE_IN_FORCE, "one change is in force after" },
		     { SCALE_FIRST_P50, "a first packet is answered after" },
		     { SCALE_KERNEL, "kernel memory per node" } };
	const struct scale_point *at = scale_largest(r);
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	bool any = false;
	char a[NUM_SIZE], b[NUM_SIZE];

	if (!at)
		return 0;
	for (size_t k = 0; k < ARRAY_LEN(told); k++) {
		CLEANUP_STRBUF struct strbuf part = STRBUF_INIT;

		if (!add_scale_metric(&part, r, at, told[k].m, told[k].text) || part.failed)
			continue;
		if (any)
			strbuf_add(&sb, "; ");
		else
			strbuf_addf(&sb, "With %s Services of %s endpoints%s: ", fmt_count(a, (uint64_t)at->services),
				    fmt_count(b, (uint64_t)at->endpoints),
				    scale_rounds(at) < PAIRS_MIN ? " (too few rounds to rank)" : "");
		strbuf_add(&sb, part.buf);
		any = true;
	}
	return any ? add_line(r, &sb) : 0;
}

static int add_idle(struct report *r)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	char a[NUM_SIZE], b[NUM_SIZE];
	bool any = false;

	for (size_t i = 0; i < r->idle.n; i++) {
		const struct idle_rec *at = &r->idle.v[i];

		if (r->arms.v[at->arm].twin || at->workload != r->idle.v[0].workload || !at->est_cores.n)
			continue;
		strbuf_addf(&sb, "%s%s under %s", any ? ", " : "When nothing is asked: ",
			    fmt_value(a, QUANTITY_CORES, at->est_cores.median.mid),
			    r->strategies.v[r->arms.v[at->arm].strategy].name);
		if (at->est_process.n && at->est_process.median.mid > 0)
			strbuf_addf(&sb, " and %s of standing processes",
				    fmt_value(b, QUANTITY_KIB, at->est_process.median.mid));
		any = true;
	}
	return any ? add_line(r, &sb) : 0;
}

int report_make_lines(struct report *r)
{
	int ret = 0;

	for (size_t s = 0; s < r->strategies.n && ret == 0; s++)
		if (strategy_ranked(r, s) && s != r->ref[REF_PEER])
			ret = against_peer(r, s);
	if (ret == 0)
		ret = add_hurts(r);
	for (size_t s = 0; s < r->strategies.n && ret == 0 && r->cells.n > 1; s++)
		if (strategy_ranked(r, s))
			ret = against_bound(r, s);
	for (size_t i = 0; i < r->curves.n && ret == 0; i++)
		ret = add_objective(r, &r->curves.v[i]);
	if (ret == 0)
		ret = add_scale(r);
	return ret < 0 ? ret : add_idle(r);
}
