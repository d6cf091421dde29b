/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From samples to estimates: medians, ratios within rounds, noise floors, verdicts and who is best. Called by load.c.
 *
 * 1. A metric of an arm in a cell has one value per round. Its estimate is the median over the rounds, with a bootstrap 95 % interval.
 * 2. Ratios and differences are taken within a round, so that what hits both arms of a round cancels. There are two references: the upper bound (no
 *    Service at all) and the incumbent (kube-proxy).
 * 3. The noise floor of a cell and metric is the largest distance from 1 of the interval of the A/A ratio (two testbeds that are identical).
 * 4. A comparison is a tie when its ratio interval touches [1 - floor, 1 + floor].
 *    Under PAIRS_MIN rounds, and where requests failed on either side, there is no verdict.
 * 5. CPU is compared at the load that was offered to all alike, and at full load, where the meter's noise is smallest beside what is used.
 * 6. Only strategies that carry Services compete. A strategy that answered wrongly, failed requests, or was not really measured (emulated,
 *    modelled) does not. The best has the best median; who ties with it shares the place.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "report_int.h"

const char *const outcome_name[VERDICT_MAX] = {
	"no comparison", "too few rounds", "requests failed", "tie", "better", "worse",
};

const struct metric_info metrics[METRIC_MAX] = {
	[METRIC_P50] = { "p50", "median latency", "the lowest median latency", false },
	[METRIC_P90] = { "p90", "p90 latency", "the lowest p90 latency", false },
	[METRIC_P99] = { "p99", "p99 latency", "the lowest p99 latency", false },
	[METRIC_P999] = { "p999", "p99.9 latency", "the lowest p99.9 latency", false },
	[METRIC_CPU] = { "cpu", "CPU per request", "the least CPU per request", false },
	[METRIC_CPU_FULL] = { "cpu_full", "CPU per request at full load", "the least CPU per request at full load",
			      false },
	[METRIC_RATE] = { "rate", "requests per second", "the most requests per second", true },
};

/* Requests of a slice beyond a percentile that make it more than its slowest request. */
#define BEYOND_MIN 1.0
static const double beyond[METRIC_MAX] = {
	[METRIC_P50] = 0.5, [METRIC_P90] = 0.1, [METRIC_P99] = 0.01, [METRIC_P999] = 0.001
};

/* The same numbers whenever the page is made: the seed says what is resampled, and nothing else. */
static uint64_t seed_of(const struct cell *c, size_t arm, enum metric m, int what)
{
	return ((c->number * ARMS_MAX + arm) * METRIC_MAX + (uint64_t)m) * 8 + (uint64_t)what + 1;
}

static void track_free(struct track *t)
{
	vec_free(&t->at);
}
#define CLEANUP_TRACK CLEANUP(track_free)

/* Values of a metric by round, those that are there. */
static int series_track(const struct series *s, enum metric m, struct track *ret)
{
	int r = vec_reserve(&ret->at, s->rows.n + 1);

	for (size_t i = 0; i < s->rows.n && r == 0; i++)
		if (!isnan(s->rows.v[i].v[m]))
			ret->at.v[ret->at.n++] = (struct value){ s->rows.v[i].round, s->rows.v[i].v[m] };
	return r;
}

/* Values of both in the rounds that both have; denominators are over 0. */
static int paired_values(const struct track *a, const struct track *b, double **ret_a, double **ret_b, size_t *ret_n)
{
	CLEANUP_FREE double *va = malloc((a->at.n + 1) * sizeof(*va));
	CLEANUP_FREE double *vb = malloc((a->at.n + 1) * sizeof(*vb));
	size_t n = 0, j = 0;

	if (!va || !vb)
		return -ENOMEM;
	for (size_t i = 0; i < a->at.n; i++) {
		while (j < b->at.n && b->at.v[j].round < a->at.v[i].round)
			j++;
		if (j == b->at.n || b->at.v[j].round != a->at.v[i].round || b->at.v[j].v <= 0)
			continue;
		va[n] = a->at.v[i].v;
		vb[n++] = b->at.v[j].v;
	}
	*ret_a = TAKE_PTR(va);
	*ret_b = TAKE_PTR(vb);
	*ret_n = n;
	return 0;
}

/* Ratio and (unless NULL) difference of a over b. *ret_n pairs; nothing is set when 0. */
static int compare(const struct track *a, const struct track *b, uint64_t seed, struct interval *ret_ratio,
		   struct interval *ret_diff, size_t *ret_n)
{
	CLEANUP_FREE double *va = NULL;
	CLEANUP_FREE double *vb = NULL;
	int r = paired_values(a, b, &va, &vb, ret_n);

	if (r < 0 || *ret_n == 0)
		return r;
	r = stats_bootstrap_ratio(va, vb, *ret_n, seed, ret_ratio);
	if (r < 0 || !ret_diff)
		return r;
	for (size_t i = 0; i < *ret_n; i++)
		va[i] -= vb[i];
	return stats_bootstrap_median(va, *ret_n, seed, ret_diff);
}

static int compare_series(const struct series *a, const struct series *b, enum metric m, uint64_t seed,
			  struct interval *ret_ratio, size_t *ret_n)
{
	CLEANUP_TRACK struct track ta = {};
	CLEANUP_TRACK struct track tb = {};
	int r = series_track(a, m, &ta);

	if (r == 0)
		r = series_track(b, m, &tb);
	return r < 0 ? r : compare(&ta, &tb, seed, ret_ratio, NULL, ret_n);
}

int series_ratios(const struct series *a, const struct series *b, enum metric m, double **ret, size_t *ret_n)
{
	CLEANUP_TRACK struct track ta = {};
	CLEANUP_TRACK struct track tb = {};
	CLEANUP_FREE double *va = NULL;
	CLEANUP_FREE double *vb = NULL;
	int r = series_track(a, m, &ta);

	if (r == 0)
		r = series_track(b, m, &tb);
	if (r == 0)
		r = paired_values(&ta, &tb, &va, &vb, ret_n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < *ret_n; i++)
		va[i] /= vb[i];
	*ret = TAKE_PTR(va);
	return 0;
}

enum verdict judge(const struct interval *ratio, double floor, bool higher_is_better)
{
	if (ratio->low <= 1 + floor && ratio->high >= 1 - floor)
		return VERDICT_TIE;
	return (ratio->mid > 1) == higher_is_better ? VERDICT_BETTER : VERDICT_WORSE;
}

int evaluate_track(const struct track *t, const struct track *const ref[REF_MAX], uint64_t seed, struct estimate *est)
{
	CLEANUP_FREE double *v = malloc((t->at.n + 1) * sizeof(*v));
	int r;

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < t->at.n; i++)
		v[i] = t->at.v[i].v;
	est->n = t->at.n;
	r = est->n ? stats_bootstrap_median(v, est->n, seed, &est->median) : 0;
	for (int k = 0; k < REF_MAX && r == 0 && est->n; k++) {
		struct against *vs = &est->vs[k];

		if (!ref[k] || ref[k] == t)
			continue;
		r = compare(t, ref[k], seed + 1 + (uint64_t)k * 3, &vs->ratio, &vs->diff, &vs->n_pairs);
		if (r == 0 && vs->n_pairs)
			vs->verdict = vs->n_pairs < PAIRS_MIN ? VERDICT_FEW : judge(&vs->ratio, 0, false);
	}
	return r;
}

/* Of an arm whose requests fail little is measured, and that by those that survived. */
static int eval_noise(const struct report *r, struct cell *c, enum metric m)
{
	struct noise *noise = &c->noise[m];

	for (size_t a = 0; a < r->arms.n; a++) {
		size_t twin_of = r->strategies.v[r->arms.v[a].strategy].arm;
		struct interval ratio;
		size_t n = 0;
		int ret;

		if (!r->arms.v[a].twin || twin_of == ARMS_MAX || series_failing(&c->series[a]) ||
		    series_failing(&c->series[twin_of]))
			continue;
		ret = compare_series(&c->series[a], &c->series[twin_of], m, seed_of(c, a, m, 2), &ratio, &n);
		if (ret < 0)
			return ret;
		if (n < PAIRS_MIN || (noise->known && MAX(fabs(ratio.low - 1), fabs(ratio.high - 1)) <= noise->floor))
			continue;
		*noise = (struct noise){ true, ratio, MAX(fabs(ratio.low - 1), fabs(ratio.high - 1)) };
	}
	return 0;
}

static int eval_estimate(const struct report *r, struct cell *c, size_t arm, enum metric m)
{
	struct series *s = &c->series[arm];
	CLEANUP_TRACK struct track own = {};
	const struct series *ref[REF_MAX];
	struct track tracks[REF_MAX] = {};
	const struct track *there[REF_MAX] = {};
	int ret = series_track(s, m, &own);

	for (int k = 0; k < REF_MAX; k++) {
		ref[k] = cell_series(r, c, r->ref[k]);
		if (ret == 0 && ref[k] && ref[k] != s) {
			ret = series_track(ref[k], m, &tracks[k]);
			there[k] = &tracks[k];
		}
	}
	if (ret == 0)
		ret = evaluate_track(&own, there, seed_of(c, arm, m, 0), &s->est[m]);
	for (int k = 0; k < REF_MAX; k++) {
		struct against *vs = &s->est[m].vs[k];

		track_free(&tracks[k]);
		if (ret < 0 || vs->n_pairs == 0)
			continue;
		if (series_failing(s) || series_failing(ref[k]))
			vs->verdict = VERDICT_FAILED;
		else if (vs->n_pairs >= PAIRS_MIN)
			vs->verdict = judge(&vs->ratio, c->noise[m].floor, metrics[m].higher_is_better);
	}
	return ret;
}

/* A percentile of slices with too few requests says how slow the slowest was. An arm that fails does not compete, and spoils it for nobody. */
static void eval_few(const struct report *r, struct cell *c)
{
	for (size_t a = 0; a < r->arms.n; a++) {
		const struct series *s = &c->series[a];
		double per_slice = s->n_timed ? (double)s->n_open_ok / (double)s->n_timed : INFINITY;

		for (int m = 0; m < METRIC_MAX && !series_failing(s); m++)
			if (beyond[m] > 0 && per_slice * beyond[m] < BEYOND_MIN)
				c->few[m] = true;
	}
}

bool may_win_cell(const struct report *r, const struct cell *c, size_t strategy, enum metric m)
{
	const struct series *s = cell_series(r, c, strategy);

	return r->strategies.v[strategy].services && s && s->est[m].n && s->kind == KIND_REAL && !s->n_wrong &&
	       !series_failing(s);
}

static int eval_best(const struct report *r, struct cell *c, enum metric m)
{
	size_t best = STRATEGIES_MAX;
	struct series *first;
	bool alone = true;

	for (size_t i = 0; i < r->strategies.n && !c->few[m]; i++) {
		if (!may_win_cell(r, c, i, m))
			continue;
		c->n_ranked[m]++;
		if (best == STRATEGIES_MAX || (cell_estimate(r, c, i, m)->median.mid >
					       cell_estimate(r, c, best, m)->median.mid) == metrics[m].higher_is_better)
			best = i;
	}
	if (best == STRATEGIES_MAX)
		return 0;
	first = &c->series[r->strategies.v[best].arm];
	for (size_t i = 0; i < r->strategies.n; i++) {
		struct series *s;
		struct interval ratio;
		size_t n = 0;
		int ret;

		if (i == best || !may_win_cell(r, c, i, m))
			continue;
		s = &c->series[r->strategies.v[i].arm];
		ret = compare_series(s, first, m, seed_of(c, r->strategies.v[i].arm, m, 3), &ratio, &n);
		if (ret < 0)
			return ret;
		/* Without common rounds there is no telling them apart. */
		s->est[m].tied = n < PAIRS_MIN ||
				 judge(&ratio, c->noise[m].floor, metrics[m].higher_is_better) == VERDICT_TIE;
		alone = alone && !s->est[m].tied;
	}
	first->est[m].best = alone;
	first->est[m].tied = !alone;
	return 0;
}

int evaluate_cell(const struct report *r, struct cell *c)
{
	int ret = 0;

	eval_few(r, c);
	for (int m = 0; m < METRIC_MAX && ret == 0; m++) {
		ret = eval_noise(r, c, m);
		for (size_t a = 0; a < r->arms.n && ret == 0; a++)
			ret = eval_estimate(r, c, a, m);
		if (ret == 0)
			ret = eval_best(r, c, m);
	}
	return ret;
}

static void add_totals(struct report *r)
{
	for (size_t i = 0; i < r->cells.n; i++)
		for (size_t a = 0; a < r->arms.n; a++) {
			const struct series *s = &r->cells.v[i].series[a];

			r->n_wrong += s->n_wrong;
			r->n_discarded += s->n_discarded;
			r->n_failed += s->n_refused + s->n_timeout + s->n_other;
			r->n_rounds = MAX(r->n_rounds, s->rows.n);
		}
	for (size_t i = 0; i < r->sweeps.n; i++)
		for (size_t a = 0; a < r->arms.n; a++)
			r->n_wrong += r->sweeps.v[i].series[a].n_wrong;
	for (size_t i = 0; i < r->faults.n; i++)
		r->n_wrong += r->faults.v[i].n_wrong;
	for (size_t i = 0; i < r->workloads.n * r->strategies.n; i++) {
		r->n_reach_asked += r->reach[i].n_asked;
		r->n_reach_ok += r->reach[i].n_ok;
		r->n_reach_failed += r->reach[i].n_failed;
		r->n_reach_skipped += r->reach[i].n_skipped;
	}
}

/* As in the run record; IPv4 before IPv6, the same node before others. They were found in random order. */
int report_compare_cells(const void *pa, const void *pb)
{
	const struct cell *a = pa, *b = pb;
	bool same_a = str_eq(a->path, "same-node"), same_b = str_eq(b->path, "same-node");
	int d;

	if (a->workload != b->workload)
		return a->workload < b->workload ? -1 : 1;
	if (a->load != b->load)
		return a->load < b->load ? -1 : 1;
	d = strcmp(a->family, b->family);
	if (d != 0)
		return d;
	if (!str_eq(a->path, b->path))
		return same_a != same_b ? (same_a ? -1 : 1) : strcmp(a->path, b->path);
	if (a->axis && !str_eq(a->axis, b->axis))
		return strcmp(a->axis, b->axis);
	return a->x < b->x ? -1 : a->x > b->x;
}

/* In a cell, or in an experiment. */
static bool took_part(const struct report *r, size_t strategy)
{
	bool any = strategy_measured(r, strategy);

	for (size_t i = 0; i < r->sweeps.n && !any; i++) {
		const struct series *s = cell_series(r, &r->sweeps.v[i], strategy);

		any = s && s->rows.n > 0;
	}
	for (size_t i = 0; i < r->scale.n && !any; i++)
		any = r->scale.v[i].strategy == strategy;
	for (size_t i = 0; i < r->idle.n && !any; i++)
		any = r->arms.v[r->idle.v[i].arm].strategy == strategy;
	for (size_t i = 0; i < r->faults.n && !any; i++)
		any = r->arms.v[r->faults.v[i].arm].strategy == strategy;
	return any;
}

/* kube-proxy is the incumbent only where it ran. */
static void find_references(struct report *r)
{
	r->ref[REF_BOUND] = r->ref[REF_PEER] = STRATEGIES_MAX;
	for (size_t i = r->strategies.n; i > 0; i--) {
		const struct strategy_rec *s = &r->strategies.v[i - 1];

		if (!s->services)
			r->ref[REF_BOUND] = i - 1;
		else if (str_eq(s->name, PEER_NAME) && took_part(r, i - 1))
			r->ref[REF_PEER] = i - 1;
	}
}

int report_evaluate(struct report *r, struct err *e)
{
	int ret = 0;

	find_references(r);
	if (r->cells.n)
		qsort(r->cells.v, r->cells.n, sizeof(*r->cells.v), report_compare_cells);
	for (size_t i = 0; i < r->cells.n && ret == 0; i++) {
		r->cells.v[i].number = i;
		ret = evaluate_cell(r, &r->cells.v[i]);
	}
	if (ret == 0)
		ret = report_evaluate_exp(r);
	add_totals(r);
	if (ret == 0)
		ret = report_evaluate_pools(r);
	return ret < 0 ? err_set_errno(e, ret, NULL, "the samples cannot be evaluated") : 0;
}
