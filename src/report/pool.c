/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Several cells as one number: what a strategy changes on a load whatever the path, family and workload, and on all loads. Called by evaluate.c.
 *
 * 1. A cell gives the median of its ratios within rounds; the pool is the geometric mean of those medians, so that every cell weighs the same. Its 95 %
 *    interval resamples each cell's rounds.
 * 2. The noise floor is found in the same way from the A/A pairs of the same cells: with more cells it is narrower than that of any of them.
 * 3. Beside it stands the sign test over cells, which asks only in how many the ratio is under 1, and needs no floor.
 * 4. Cells without verdict (too few rounds, failed requests) and percentiles of too few requests are left out.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "report_int.h"

#define CELLS_SEEDS 4096 /* a pool's cells take a seed each, from the pool's on */

/* Logarithms of ratios, cell by cell. */
struct logs {
	double *v;
	size_t n_v;
	size_t *n; /* per cell that has any */
	size_t n_cells, n_under, n_over;
};

static void logs_free(struct logs *l)
{
	free(l->v);
	free(l->n);
}

static bool is_in(const struct report *r, const struct cell *c, size_t load, enum metric m)
{
	return (load == r->loads.n || c->load == load) && !c->few[m];
}

static int add_cell(struct logs *l, const struct series *a, const struct series *b, enum metric m)
{
	CLEANUP_FREE double *ratios = NULL;
	size_t n = 0;
	double median;
	int r;

	if (!a || !b || a == b || series_failing(a) || series_failing(b))
		return 0;
	r = series_ratios(a, b, m, &ratios, &n);
	if (r < 0 || n < PAIRS_MIN)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (ratios[i] <= 0) /* a CPU reading below that of the idle machine: no logarithm */
			continue;
		l->v[l->n_v++] = log(ratios[i]);
		l->n[l->n_cells]++;
	}
	if (l->n[l->n_cells] == 0)
		return 0;
	median = stats_median(&l->v[l->n_v - l->n[l->n_cells]], l->n[l->n_cells]);
	l->n_under += median < 0;
	l->n_over += median > 0;
	l->n_cells++;
	return 0;
}

static int logs_start(const struct report *r, struct logs *l)
{
	l->v = calloc(r->cells.n * r->n_rounds + 1, sizeof(*l->v));
	l->n = calloc(r->cells.n + 1, sizeof(*l->n));
	return l->v && l->n ? 0 : -ENOMEM;
}

static int interval_of(const struct logs *l, uint64_t seed, struct interval *ret)
{
	int r = stats_bootstrap_groups(l->v, l->n, l->n_cells, seed, ret);

	*ret = (struct interval){ .low = exp(ret->low), .mid = exp(ret->mid), .high = exp(ret->high) };
	return r;
}

static uint64_t seed_of(size_t a, size_t b, size_t load, enum metric m)
{
	return (((load * ARMS_MAX + a) * ARMS_MAX + b) * METRIC_MAX + (uint64_t)m) * CELLS_SEEDS;
}

/* Of the A/A pair whose interval lies farthest from 1. */
static int find_floor(const struct report *r, size_t load, enum metric m, struct noise *noise)
{
	for (size_t a = 0; a < r->arms.n; a++) {
		size_t twin_of = r->strategies.v[r->arms.v[a].strategy].arm;
		CLEANUP(logs_free) struct logs l = {};
		struct interval ratio;
		int ret = 0;

		if (!r->arms.v[a].twin || twin_of == ARMS_MAX)
			continue;
		ret = logs_start(r, &l);
		for (size_t i = 0; i < r->cells.n && ret == 0; i++)
			if (is_in(r, &r->cells.v[i], load, m))
				ret = add_cell(&l, &r->cells.v[i].series[a], &r->cells.v[i].series[twin_of], m);
		if (ret == 0 && l.n_cells)
			ret = interval_of(&l, seed_of(a, twin_of, load, m) + CELLS_SEEDS / 2, &ratio);
		if (ret < 0)
			return ret;
		if (l.n_cells == 0 || (noise->known && MAX(fabs(ratio.low - 1), fabs(ratio.high - 1)) <= noise->floor))
			continue;
		*noise = (struct noise){ true, ratio, MAX(fabs(ratio.low - 1), fabs(ratio.high - 1)) };
	}
	return 0;
}

/* `a` over `b`; p->n_cells == 0: nothing to compare. */
static int pool_pair(const struct report *r, size_t a, size_t b, size_t load, enum metric m, const struct noise *noise,
		     struct pool *p)
{
	CLEANUP(logs_free) struct logs l = {};
	int ret = logs_start(r, &l);

	*p = (struct pool){ 0 };
	for (size_t i = 0; i < r->cells.n && ret == 0; i++)
		if (is_in(r, &r->cells.v[i], load, m))
			ret = add_cell(&l, cell_series(r, &r->cells.v[i], a), cell_series(r, &r->cells.v[i], b), m);
	if (ret < 0 || l.n_cells == 0)
		return ret;
	ret = interval_of(&l, seed_of(a, b, load, m), &p->ratio);
	p->noise_known = noise->known;
	p->floor = noise->floor;
	p->n_cells = l.n_cells;
	p->n_under = l.n_under;
	p->n_over = l.n_over;
	p->sign_p = stats_sign_test(l.n_under, l.n_over);
	p->verdict = judge(&p->ratio, p->floor, metrics[m].higher_is_better);
	return ret;
}

/* In every cell of the pool that anybody with Services was measured in: who failed in one of them does not win the others. */
static bool competes(const struct report *r, size_t strategy, size_t load, enum metric m)
{
	size_t n = 0;

	for (size_t i = 0; i < r->cells.n; i++) {
		const struct cell *c = &r->cells.v[i];

		if (!is_in(r, c, load, m) || c->n_ranked[m] == 0)
			continue;
		if (!may_win_cell(r, c, strategy, m))
			return false;
		n++;
	}
	return n > 0;
}

/* Who is best, and who cannot be told from him. */
static int find_first(const struct report *r, size_t load, enum metric m, const struct noise *noise, struct pooled *of)
{
	size_t who[STRATEGIES_MAX], n = 0, best = 0;
	struct pool p;
	bool alone = true;

	for (size_t s = 0; s < r->strategies.n; s++)
		if (competes(r, s, load, m))
			who[n++] = s;
	for (size_t i = 1; i < n; i++) {
		int ret = pool_pair(r, who[i], who[best], load, m, noise, &p);

		if (ret < 0)
			return ret;
		if (p.n_cells && (p.ratio.mid > 1) == metrics[m].higher_is_better)
			best = i;
	}
	for (size_t i = 0; i < n && n > 1; i++) {
		int ret = i == best ? 0 : pool_pair(r, who[i], who[best], load, m, noise, &p);

		if (ret < 0)
			return ret;
		of[who[i]].tied = i != best && (p.n_cells == 0 || p.verdict == VERDICT_TIE);
		alone = alone && !of[who[i]].tied;
	}
	if (n > 1) {
		of[who[best]].best = alone;
		of[who[best]].tied = !alone;
	}
	return 0;
}

const struct pooled *pool_of(const struct report *r, size_t load, size_t strategy, enum metric m)
{
	return &r->pooled[(load * r->strategies.n + strategy) * METRIC_MAX + (size_t)m];
}

int report_evaluate_pools(struct report *r)
{
	CLEANUP_FREE struct pooled *of = calloc(r->strategies.n + 1, sizeof(*of));
	int ret = 0;

	r->pooled = calloc((r->loads.n + 1) * (r->strategies.n + 1) * METRIC_MAX, sizeof(*r->pooled));
	if (!r->pooled || !of)
		return -ENOMEM;
	for (size_t l = 0; l <= r->loads.n; l++)
		for (int m = 0; m < METRIC_MAX && ret == 0; m++) {
			struct noise noise = {};

			ret = find_floor(r, l, m, &noise);
			memset(of, 0, (r->strategies.n + 1) * sizeof(*of));
			for (size_t s = 0; s < r->strategies.n && ret == 0; s++)
				for (int k = 0; k < REF_MAX && ret == 0; k++)
					if (r->ref[k] != STRATEGIES_MAX && r->ref[k] != s)
						ret = pool_pair(r, s, r->ref[k], l, m, &noise, &of[s].vs[k]);
			if (ret == 0)
				ret = find_first(r, l, m, &noise, of);
			for (size_t s = 0; s < r->strategies.n; s++)
				*(struct pooled *)pool_of(r, l, s, m) = of[s];
		}
	return ret;
}
