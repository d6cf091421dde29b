/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Distributions of the time from a change until it is in force, and time lines around a fault. Called by figures.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "figure.h"

#define WIDTH 560
#define HEIGHT 340
#define BIN_MS 10 /* of a time line: docs/records.md */

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Steps of the distribution, in ms; widens the range. */
static void add_numbers(struct sketch *k, const struct numbers *numbers, size_t s, enum kind kind, double *low,
			double *high)
{
	double *v = malloc((numbers->n + 1) * sizeof(*v));
	size_t step = numbers->n / 500 + 1;

	if (!v) {
		k->csv.failed = true;
		return;
	}
	memcpy(v, numbers->v, numbers->n * sizeof(*v));
	qsort(v, numbers->n, sizeof(*v), compare_doubles);
	*low = MIN(*low, v[0] / 1e6);
	*high = MAX(*high, v[numbers->n - 1] / 1e6);
	for (size_t i = 0; i < numbers->n; i++) {
		if (i % step && i + 1 < numbers->n)
			continue;
		strbuf_addf(&k->csv, "%.6g,%zu,%.6f,", v[i] / 1e6, s, (double)(i + 1) / (double)numbers->n);
		csv_text(&k->csv, k->r->strategies.v[s].name);
		strbuf_addf(&k->csv, ",%s\n", record_kind_name[kind]);
	}
	free(v);
}

struct cdf_line {
	const struct numbers *numbers; /* NULL or empty: none */
	enum kind kind;
};

static bool sketch_numbers(struct sketch *k, const struct cdf_line *lines)
{
	double low = INFINITY, high = 0;
	bool any = false;

	k->width = WIDTH;
	k->height = HEIGHT;
	sketch_begin(k);
	strbuf_add(
		&k->gp,
		"set xlabel 'from the change until it is in force, ms (left is better)'\nset yrange [0:1]\nset ylabel 'share of changes'\n"
		"set grid xtics ytics linecolor rgb '#dddddd' linetype 1\n");
	strbuf_add(&k->csv, "in_force_ms,strategy_number,share,strategy,kind\n");
	for (size_t s = 0; s < k->r->strategies.n; s++)
		if (lines[s].numbers && lines[s].numbers->n)
			add_numbers(k, lines[s].numbers, s, lines[s].kind, &low, &high);
	if (isinf(low))
		return false;
	gp_log_axis(&k->gp, 'x', MAX(low, 1e-4), MAX(high, 1e-4));
	for (size_t s = 0; s < k->r->strategies.n; s++) {
		CLEANUP_FREE char *using = str_printf("($2==%zu?$1:1/0):3", s);

		if (lines[s].numbers && lines[s].numbers->n)
			plot_strategy(k, &any, s, lines[s].kind, using ? using : "", "steps linewidth 2", true);
	}
	strbuf_add_char(&k->gp, '\n');
	return true;
}

/* At the most Services of the group. */
bool sketch_in_force_scale(struct sketch *k, const struct scale_point *like)
{
	struct cdf_line lines[STRATEGIES_MAX] = {};
	int64_t most = 0;

	for (size_t i = 0; i < k->r->scale.n; i++) {
		const struct scale_point *p = &k->r->scale.v[i];

		if (p->nodes == like->nodes && p->endpoints == like->endpoints && p->in_force.n)
			most = MAX(most, p->services);
	}
	for (size_t s = 0; s < k->r->strategies.n; s++) {
		const struct scale_point *p = scale_find(k->r, s, like->nodes, most, like->endpoints);

		if (p)
			lines[s] = (struct cdf_line){ &p->in_force, p->kind };
	}
	return sketch_numbers(k, lines);
}

/* At the most changes per second. */
bool sketch_in_force_sweep(struct sketch *k, const struct curve *c)
{
	const struct cell *p = &k->r->sweeps.v[c->first + c->n - 1];
	struct cdf_line lines[STRATEGIES_MAX] = {};

	for (size_t s = 0; s < k->r->strategies.n; s++) {
		const struct series *series = cell_series(k->r, p, s);

		if (series)
			lines[s] = (struct cdf_line){ &series->in_force, series->kind };
	}
	return sketch_numbers(k, lines);
}

/* ---- time line ---- */

static void fault_data(struct sketch *k, const struct fault_rec *f, size_t s)
{
	for (size_t i = 0; i < f->timeline.n; i++) {
		const struct fault_bin *bin = &f->timeline.v[i];
		double per_bin = 1000.0 / BIN_MS / (double)f->n_rounds;

		strbuf_addf(&k->csv, "%lld,%zu,%.6g,%.6g,", (long long)bin->ms, s, (double)bin->ok * per_bin,
			    (double)bin->failed * per_bin);
		csv_text(&k->csv, k->r->strategies.v[s].name);
		strbuf_add(&k->csv, "\n");
	}
}

bool sketch_fault(struct sketch *k, const struct fault_rec *like)
{
	const struct report *r = k->r;
	bool any = false;

	k->width = WIDTH;
	k->height = HEIGHT;
	sketch_begin(k);
	strbuf_add(
		&k->gp,
		"set xlabel 'ms from the fault'\nset yrange [0:*]\nset ylabel 'requests per second: answered solid, failed dotted'\n"
		"set grid ytics linecolor rgb '#dddddd' linetype 1\n"
		"set arrow from 0, graph 0 to 0, graph 1 nohead dashtype 3 linecolor rgb '#b00020'\n");
	strbuf_add(&k->csv, "ms,strategy_number,answered_rps,failed_rps,strategy\n");
	for (size_t i = 0; i < r->faults.n; i++) {
		const struct fault_rec *f = &r->faults.v[i];
		size_t s = r->arms.v[f->arm].strategy;
		CLEANUP_FREE char *ok = str_printf("($2==%zu?$1:1/0):3", s);
		CLEANUP_FREE char *failed = str_printf("($2==%zu?$1:1/0):4", s);

		if (r->arms.v[f->arm].twin || f->workload != like->workload || !str_eq(f->fault, like->fault) ||
		    f->timeline.n == 0)
			continue;
		fault_data(k, f, s);
		plot_strategy(k, &any, s, KIND_REAL, ok ? ok : "", "lines linewidth 1.8", true);
		plot_strategy(k, &any, s, KIND_REAL, failed ? failed : "", "lines linewidth 1.2 dashtype 3", false);
	}
	strbuf_add_char(&k->gp, '\n');
	return any;
}
