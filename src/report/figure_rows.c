/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Figures with a row for each cell of one workload, and in the row a lane for each strategy: change against the baseline, CPU per
 * request, request rate. Called by figures.c.
 */
#include <math.h>

#include "base/util.h"
#include "figure.h"
#include "published.h"

#define LANE_HEIGHT 17
#define FRAME_HEIGHT 92
#define WIDTH 560
#define LABEL_WIDTH_MAX ((size_t)40)

#define ANY_UNIT UNIT_MAX

/* The cells that have rows, and the strategies that have lanes. */
struct rows {
	size_t n;
	const struct cell *cell[FIGURE_ROWS_MAX];
	size_t n_lanes;
	size_t lane[STRATEGIES_MAX]; /* of a strategy; STRATEGIES_MAX = none */
	enum kind kind[STRATEGIES_MAX]; /* least real one */
};

/* Is there something to show of the strategy? With `ref` (REF_MAX = any) only what was compared with it counts. */
static bool shown(const struct report *r, const struct cell *c, size_t s, enum metric m, enum ref ref)
{
	const struct estimate *est = cell_estimate(r, c, s, m);

	return est && (ref == REF_MAX || est->vs[ref].n_pairs);
}

static struct rows make_rows(const struct report *r, size_t workload, enum metric m, enum ref ref, enum unit unit)
{
	struct rows rows = {};

	for (size_t s = 0; s < r->strategies.n; s++)
		rows.lane[s] = STRATEGIES_MAX;
	for (size_t i = 0; i < r->cells.n && rows.n < FIGURE_ROWS_MAX; i++) {
		const struct cell *c = &r->cells.v[i];
		bool any = false;

		if (c->workload != workload || (unit != ANY_UNIT && r->loads.v[c->load].unit != unit))
			continue;
		for (size_t s = 0; s < r->strategies.n; s++) {
			if (!shown(r, c, s, m, ref))
				continue;
			any = true;
			rows.lane[s] = 0;
			rows.kind[s] = MAX(rows.kind[s], cell_series(r, c, s)->kind);
		}
		if (any)
			rows.cell[rows.n++] = c;
	}
	for (size_t s = 0; s < r->strategies.n; s++)
		if (rows.lane[s] != STRATEGIES_MAX)
			rows.lane[s] = rows.n_lanes++;
	return rows;
}

/* Height of the lane's middle in its row; rows count from 1 at the top. */
static double lane_y(const struct rows *rows, size_t row, size_t strategy)
{
	return (double)row + 1 + (((double)rows->lane[strategy] + 0.5) / (double)rows->n_lanes - 0.5) * 0.8;
}

static void begin(struct sketch *k, const struct rows *rows, const char *xlabel)
{
	size_t label_width = 0;

	k->width = WIDTH;
	k->height = FRAME_HEIGHT + (int)(rows->n * MAX(rows->n_lanes, (size_t)2) * LANE_HEIGHT);
	sketch_begin(k);
	strbuf_addf(&k->gp, "set yrange [%zu.5:0.5]\nset xlabel ", rows->n);
	gp_text(&k->gp, xlabel);
	strbuf_add(&k->gp, "\nset grid xtics linecolor rgb '#dddddd' linetype 1\nset ytics scale 0 (");
	for (size_t i = 0; i < rows->n; i++) {
		const struct cell *c = rows->cell[i];
		CLEANUP_STRBUF struct strbuf label = STRBUF_INIT;

		strbuf_addf(&label, "%s, %s, %s", k->r->loads.v[c->load].name, path_text(c->path),
			    family_text(c->family));
		strbuf_add(&k->gp, i ? ", " : "");
		gp_text(&k->gp, label.buf ? label.buf : "");
		strbuf_addf(&k->gp, " %zu", i + 1);
		label_width = MAX(label_width, label.buf ? text_width(label.buf) : 0);
	}
	strbuf_addf(&k->gp, ")\nset lmargin %.1f\n", 0.86 * (double)MIN(label_width, LABEL_WIDTH_MAX) + 2);
}

/* The columns of names that end every line of data. */
static void csv_names(struct sketch *k, const struct rows *rows, size_t row, size_t strategy)
{
	const struct cell *c = rows->cell[row];
	CLEANUP_STRBUF struct strbuf label = STRBUF_INIT;

	(void)cell_label(k->r, c, &label); /* an empty label then */
	strbuf_add_char(&k->csv, ',');
	csv_text(&k->csv, label.buf ? label.buf : "");
	strbuf_add_char(&k->csv, ',');
	csv_text(&k->csv, k->r->strategies.v[strategy].name);
	strbuf_addf(&k->csv, ",%s\n", record_kind_name[cell_series(k->r, c, strategy)->kind]);
}

static void plot_points(struct sketch *k, const struct rows *rows, size_t s, const char *using, bool named)
{
	strbuf_addf(
		&k->gp,
		"'%s.csv' skip 1 using %s with xerrorbars pointtype %d pointsize 0.8 linewidth 1.6 linecolor rgb '%s' ",
		k->fig.stem, using, strategy_point(s, rows->kind[s]), strategy_colour(k->r, s));
	if (named) {
		CLEANUP_STRBUF struct strbuf name = STRBUF_INIT;

		add_series_name(&name, k->r, s, rows->kind[s]);
		strbuf_add(&k->gp, "title ");
		gp_text(&k->gp, name.buf ? name.buf : "");
	} else {
		strbuf_add(&k->gp, "notitle");
	}
}

/* ---- change against the baseline ---- */

static void change_data(struct sketch *k, const struct rows *rows, enum metric m, enum ref ref)
{
	double low = -1, high = 1; /* so much is always shown */

	strbuf_add(
		&k->csv,
		"y,strategy_number,change_percent,low_percent,high_percent,noise_percent,verdict,cell,strategy,kind\n");
	for (size_t i = 0; i < rows->n; i++) {
		const struct cell *c = rows->cell[i];

		low = MIN(low, -c->noise[m].floor * 100);
		high = MAX(high, c->noise[m].floor * 100);
		if (c->noise[m].known)
			strbuf_addf(
				&k->gp,
				"set object rectangle from %.4f,%.2f to %.4f,%.2f behind fillstyle solid noborder fillcolor rgb '#e4e4e4'\n",
				-c->noise[m].floor * 100, (double)i + 0.55, c->noise[m].floor * 100, (double)i + 1.45);
		for (size_t s = 0; s < k->r->strategies.n; s++) {
			const struct estimate *est = cell_estimate(k->r, c, s, m);

			if (rows->lane[s] == STRATEGIES_MAX || !est || !est->vs[ref].n_pairs)
				continue;
			low = MIN(low, (est->vs[ref].ratio.low - 1) * 100);
			high = MAX(high, (est->vs[ref].ratio.high - 1) * 100);
			strbuf_addf(&k->csv, "%.3f,%zu,%.4f,%.4f,%.4f,%.4f,%s", lane_y(rows, i, s), s,
				    (est->vs[ref].ratio.mid - 1) * 100, (est->vs[ref].ratio.low - 1) * 100,
				    (est->vs[ref].ratio.high - 1) * 100, c->noise[m].floor * 100,
				    outcome_name[est->vs[ref].verdict]);
			csv_names(k, rows, i, s);
		}
	}
	strbuf_addf(&k->gp, "set xrange [%.4f:%.4f]\n", low - (high - low) * 0.04, high + (high - low) * 0.04);
}

bool sketch_change(struct sketch *k, enum metric m, enum ref ref)
{
	struct rows rows = make_rows(k->r, k->fig.workload, m, ref, ANY_UNIT);
	CLEANUP_STRBUF struct strbuf xlabel = STRBUF_INIT;
	bool any = false;

	if (rows.n_lanes == 0)
		return false;
	strbuf_addf(&xlabel, "change against %s, %% (%s)", k->r->strategies.v[k->r->ref[ref]].name,
		    metrics[m].higher_is_better ? "right is better" : "left is better");
	begin(k, &rows, xlabel.buf ? xlabel.buf : "");
	change_data(k, &rows, m, ref);
	strbuf_add(&k->gp, "set arrow from 0, graph 0 to 0, graph 1 nohead linecolor rgb '#444444' linewidth 1\n");
	for (size_t s = 0; s < k->r->strategies.n; s++) {
		CLEANUP_FREE char *using = str_printf("($2==%zu?$3:NaN):1:4:5", s);

		if (rows.lane[s] == STRATEGIES_MAX)
			continue;
		strbuf_add(&k->gp, any ? ", \\\n     " : "plot ");
		plot_points(k, &rows, s, using ? using : "", true);
		any = true;
	}
	strbuf_add_char(&k->gp, '\n');
	return true;
}

/* ---- bars ---- */

static void x_from_zero(struct sketch *k, double most)
{
	strbuf_addf(&k->gp, "set xrange [0:%.6g]\n", most > 0 ? most * 1.06 : 1);
}

static double half_lane(const struct rows *rows)
{
	return 0.8 / (double)rows->n_lanes / 2 * 0.86;
}

/* Bars from column `from` to column `to` of the strategy's rows. */
static void plot_bars(struct sketch *k, const struct rows *rows, size_t s, const char *from, const char *to,
		      const char *colour, const char *name)
{
	double h = half_lane(rows);

	strbuf_addf(
		&k->gp,
		"'%s.csv' skip 1 using ($2==%zu?%s:NaN):1:%s:%s:($1-%.3f):($1+%.3f) with boxxyerror fillstyle %s linecolor rgb '%s' ",
		k->fig.stem, s, to, from, to, h, h,
		rows->kind[s] == KIND_REAL ? "solid 0.85 noborder" : "pattern 4 border", colour);
	strbuf_add(&k->gp, name ? "title " : "notitle");
	if (name)
		gp_text(&k->gp, name);
}

/* Numbers are CPU times `scale`. Returns the largest: gnuplot, left alone, would stretch the axis to the rows. */
static double cpu_data(struct sketch *k, const struct rows *rows, enum metric m, double scale)
{
	const struct report *r = k->r;
	double most = 0;

	strbuf_add(&k->csv, "y,strategy_number,bar_from,bar_to,total,low,high,service_cost,cell,strategy,kind\n");
	for (size_t i = 0; i < rows->n; i++) {
		const struct cell *c = rows->cell[i];
		const struct estimate *base = cell_estimate(r, c, r->ref[REF_BOUND], m);

		for (size_t s = 0; s < r->strategies.n; s++) {
			const struct estimate *est = cell_estimate(r, c, s, m);
			double from = 0, total, low, high;

			if (rows->lane[s] == STRATEGIES_MAX || !est)
				continue;
			total = est->median.mid;
			low = est->median.low;
			high = est->median.high;
			if (base && est->vs[REF_BOUND].n_pairs) {
				/* The paired difference stands on the baseline, with its own interval: narrower than that of the total. */
				from = base->median.mid;
				total = from + est->vs[REF_BOUND].diff.mid;
				low = from + est->vs[REF_BOUND].diff.low;
				high = from + est->vs[REF_BOUND].diff.high;
			}
			strbuf_addf(&k->csv, "%.3f,%zu,%.4f,%.4f,%.4f,%.4f,%.4f,%.4f", lane_y(rows, i, s), s,
				    MIN(from, total) * scale, MAX(from, total) * scale, total * scale, low * scale,
				    high * scale,
				    est->vs[REF_BOUND].n_pairs ? est->vs[REF_BOUND].diff.mid * scale : 0.0);
			most = MAX(most, MAX(MAX(from, total), high) * scale);
			csv_names(k, rows, i, s);
		}
	}
	return most;
}

bool sketch_cpu(struct sketch *k, enum unit unit)
{
	/* Streams are compared by what they cost when nothing holds them back, as is published. */
	enum metric m = unit == UNIT_MIB ? METRIC_CPU_FULL : METRIC_CPU;
	struct rows rows = make_rows(k->r, k->fig.workload, m, REF_MAX, unit);
	bool any = false;
	double most;

	if (rows.n_lanes == 0)
		return false;
	if (unit == UNIT_MIB)
		begin(k, &rows, "cores per 10 Gbit/s, both ends (left is better)");
	else
		begin(k, &rows, "CPU per request, µs (left is better)");
	most = cpu_data(k, &rows, m, unit == UNIT_MIB ? CORES_PER_10G(1.0) : 1e-3);
	if (unit == UNIT_MIB)
		most = MAX(most, PUBLISHED_CORES_PER_10G);
	x_from_zero(k, most);
	if (unit == UNIT_MIB)
		strbuf_addf(
			&k->gp,
			"set arrow from %g, graph 0 to %g, graph 1 nohead front dashtype 3 linecolor rgb '#666666'\n",
			PUBLISHED_CORES_PER_10G, PUBLISHED_CORES_PER_10G);
	for (size_t s = 0; s < k->r->strategies.n; s++) {
		CLEANUP_FREE char *using = str_printf("($2==%zu?$5:NaN):1:6:7", s);
		CLEANUP_STRBUF struct strbuf name = STRBUF_INIT;

		if (rows.lane[s] == STRATEGIES_MAX)
			continue;
		strbuf_add(&k->gp, any ? ", \\\n     " : "plot ");
		if (s != k->r->ref[REF_BOUND]) {
			plot_bars(k, &rows, s, "(0)", "3",
				  k->r->ref[REF_BOUND] == STRATEGIES_MAX ? strategy_colour(k->r, s) : "#bfbfbf", NULL);
			strbuf_add(&k->gp, ", \\\n     ");
		}
		add_series_name(&name, k->r, s, rows.kind[s]);
		plot_bars(k, &rows, s, "3", "4", s == k->r->ref[REF_BOUND] ? "#bfbfbf" : strategy_colour(k->r, s),
			  name.buf ? name.buf : "");
		strbuf_addf(
			&k->gp,
			", \\\n     '%s.csv' skip 1 using %s with xerrorbars pointtype 0 linewidth 1.4 linecolor rgb '#444444' notitle",
			k->fig.stem, using ? using : "");
		any = true;
	}
	strbuf_add(
		&k->gp,
		unit == UNIT_MIB ?
			", \\\n     NaN with lines dashtype 3 linecolor rgb '#666666' title 'published elsewhere'\n" :
			"\n");
	return true;
}

bool sketch_rate(struct sketch *k, enum unit unit)
{
	struct rows rows = make_rows(k->r, k->fig.workload, METRIC_RATE, REF_MAX, unit);
	double scale = unit == UNIT_MIB ? GBIT_PER_MIB : 1, most = 0;
	bool any = false;

	if (rows.n_lanes == 0)
		return false;
	begin(k, &rows,
	      unit == UNIT_MIB ? "Gbit/s, as fast as it goes (right is better)" :
				 "requests per second, closed loop (right is better)");
	strbuf_add(&k->csv, unit == UNIT_MIB ? "y,strategy_number,rate_gbit,low_gbit,high_gbit,cell,strategy,kind\n" :
					       "y,strategy_number,rate_rps,low_rps,high_rps,cell,strategy,kind\n");
	for (size_t i = 0; i < rows.n; i++)
		for (size_t s = 0; s < k->r->strategies.n; s++) {
			const struct estimate *est = cell_estimate(k->r, rows.cell[i], s, METRIC_RATE);

			if (rows.lane[s] == STRATEGIES_MAX || !est)
				continue;
			strbuf_addf(&k->csv, "%.3f,%zu,%.5g,%.5g,%.5g", lane_y(&rows, i, s), s, scale * est->median.mid,
				    scale * est->median.low, scale * est->median.high);
			csv_names(k, &rows, i, s);
		}
	x_from_zero(k, most);
	strbuf_add(&k->gp, unit == UNIT_MIB ? "" : "set format x '%.0s%c'\n");
	for (size_t s = 0; s < k->r->strategies.n; s++) {
		CLEANUP_FREE char *using = str_printf("($2==%zu?$3:NaN):1:4:5", s);
		CLEANUP_STRBUF struct strbuf name = STRBUF_INIT;

		if (rows.lane[s] == STRATEGIES_MAX)
			continue;
		add_series_name(&name, k->r, s, rows.kind[s]);
		strbuf_add(&k->gp, any ? ", \\\n     " : "plot ");
		plot_bars(k, &rows, s, "(0)", "3", strategy_colour(k->r, s), name.buf ? name.buf : "");
		strbuf_addf(
			&k->gp,
			", \\\n     '%s.csv' skip 1 using %s with xerrorbars pointtype 0 linewidth 1.4 linecolor rgb '#444444' notitle",
			k->fig.stem, using ? using : "");
		any = true;
	}
	strbuf_add_char(&k->gp, '\n');
	return true;
}
