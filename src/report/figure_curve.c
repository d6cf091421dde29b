/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines along an axis: sweeps, and what the number of Services costs. Called by figures.c. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "figure.h"
#include "published.h"

#define WIDTH 560
#define HEIGHT 360
#define LABEL_SHARE 0.13 /* of the axis that a label takes */
#define GRID "set grid xtics ytics linecolor rgb '#dddddd' linetype 1\n"

void plot_strategy(struct sketch *k, bool *any, size_t s, enum kind kind, const char *using, const char *with,
		   bool named)
{
	strbuf_addf(&k->gp, "%s'%s.csv' skip 1 using %s with %s ", *any ? ", \\\n     " : "plot ", k->fig.stem, using,
		    with);
	if (strstr(with, "points") || strstr(with, "error"))
		strbuf_addf(&k->gp, "pointtype %d ", strategy_point(s, kind));
	strbuf_addf(&k->gp, "linecolor rgb '%s' ", strategy_colour(k->r, s));
	if (named) {
		CLEANUP_STRBUF struct strbuf name = STRBUF_INIT;

		add_series_name(&name, k->r, s, kind);
		strbuf_add(&k->gp, "title ");
		gp_text(&k->gp, name.buf ? name.buf : "");
	} else {
		strbuf_add(&k->gp, "notitle");
	}
	*any = true;
}

/* ---- places on the x axis ---- */

/* A logarithmic axis has no zero: it stands a step left of the least. */
static double zero_place(double least)
{
	return least / 4;
}

static double place(double x, double least)
{
	return x > 0 ? x : zero_place(least);
}

static void x_axis(struct sketch *k, const double *x, size_t n)
{
	double least = INFINITY, most = 1, labelled = 0, left, right;
	bool zero = false;

	for (size_t i = 0; i < n; i++) {
		zero = zero || x[i] <= 0;
		if (x[i] > 0)
			least = MIN(least, x[i]);
		most = MAX(most, x[i]);
	}
	if (isinf(least))
		least = 1;
	left = (zero ? zero_place(least) : least) * 0.85;
	right = most * 1.18;
	strbuf_addf(&k->gp, "set logscale x\nset xrange [%.6g:%.6g]\nset xtics (", left, right);
	for (size_t i = 0; i < n; i++) {
		char text[NUM_SIZE];

		double at = place(x[i], least);
		/* Labels that would run into each other are left out. */
		bool room = labelled <= 0 || log(at / labelled) > LABEL_SHARE * log(right / left);

		strbuf_addf(&k->gp, "%s'%s' %.9g", i ? ", " : "", room ? fmt_count(text, (uint64_t)x[i]) : "", at);
		if (room)
			labelled = at;
	}
	strbuf_add(&k->gp, ")\n");
}

static double least_of(const double *x, size_t n)
{
	double least = INFINITY;

	for (size_t i = 0; i < n; i++)
		if (x[i] > 0)
			least = MIN(least, x[i]);
	return isinf(least) ? 1 : least;
}

/* ---- sweeps ---- */

struct look {
	const char *axis, *xlabel, *ylabel;
	enum metric m[2]; /* METRIC_MAX = none; the second is dashed */
	double scale;
	bool log_y;
};

static struct look look_of(const struct report *r, const struct cell *p)
{
	static const struct look looks[] = {
		{ "offered",
		  "offered load, requests per second",
		  "latency, µs: p99 solid, median dashed",
		  { METRIC_P99, METRIC_P50 },
		  1e-3,
		  true },
		{ "size", "bytes of a message", "Gbit/s", { METRIC_RATE, METRIC_MAX }, GBIT_PER_MIB, false },
		{ "live",
		  "idle connections that stand meanwhile",
		  "new connections per second",
		  { METRIC_RATE, METRIC_MAX },
		  1,
		  false },
		{ "updates",
		  "endpoint changes per second",
		  "requests per second",
		  { METRIC_RATE, METRIC_MAX },
		  1,
		  false },
	};
	struct look look = looks[ARRAY_LEN(looks) - 1]; /* also "updates-same" */

	for (size_t i = 0; i < ARRAY_LEN(looks); i++)
		if (str_eq(looks[i].axis, p->axis))
			look = looks[i];
	if (str_eq(p->axis, "updates-same"))
		look.xlabel = "endpoint changes per second, of the Service asked";
	if (axis_is_updates(p->axis) && r->loads.v[p->load].open)
		for (size_t a = 0; a < r->arms.n; a++)
			if (p->series[a].n_samples[MODE_OPEN]) { /* offered at a fixed rate: latency tells */
				look.m[0] = METRIC_P99;
				look.m[1] = METRIC_P50;
				look.scale = 1e-3;
				look.log_y = true;
				look.ylabel = "latency, µs: p99 solid, median dashed";
			}
	if (str_eq(p->axis, "size") && r->loads.v[p->load].unit != UNIT_MIB) {
		look.scale = 1;
		look.ylabel = "requests per second";
	}
	return look;
}

/* Lines of one strategy and metric; widens *low and *high. */
static size_t curve_data(struct sketch *k, const struct curve *c, const struct look *look, size_t s, size_t which,
			 double least, double *low, double *high, enum kind *kind)
{
	enum metric m = look->m[which];
	size_t n = 0;

	for (size_t i = c->first; i < c->first + c->n && m != METRIC_MAX; i++) {
		const struct cell *p = &k->r->sweeps.v[i];
		const struct estimate *est = cell_estimate(k->r, p, s, m);

		if (!est)
			continue;
		*low = MIN(*low, est->median.low * look->scale);
		*high = MAX(*high, est->median.high * look->scale);
		*kind = MAX(*kind, cell_series(k->r, p, s)->kind);
		strbuf_addf(&k->csv, "%.9g,%.9g,%zu,%s,%.6g,%.6g,%.6g,", p->x, place(p->x, least), s * 2 + which,
			    metrics[m].key, est->median.mid * look->scale, est->median.low * look->scale,
			    est->median.high * look->scale);
		csv_text(&k->csv, k->r->strategies.v[s].name);
		strbuf_addf(&k->csv, ",%s\n", record_kind_name[cell_series(k->r, p, s)->kind]);
		n++;
	}
	return n;
}

static void plot_line(struct sketch *k, bool *any, size_t s, size_t line, enum kind kind, bool dashed, bool named)
{
	CLEANUP_FREE char *using = str_printf("($3==%zu?$2:1/0):5%s", line, dashed ? "" : ":6:7");

	plot_strategy(k, any, s, kind, using ? using : "",
		      dashed ? "linespoints linewidth 1.4 dashtype 2 pointsize 0.5" :
			       "yerrorlines linewidth 2 pointsize 0.8",
		      named);
}

static void curve_frame(struct sketch *k, const struct look *look, double low, double high)
{
	strbuf_add(&k->gp, "set xlabel ");
	gp_text(&k->gp, look->xlabel);
	strbuf_add(&k->gp, "\nset ylabel ");
	gp_text(&k->gp, look->ylabel);
	strbuf_add(&k->gp, "\n" GRID);
	if (str_eq(look->axis, "offered")) {
		high = MAX(high, OBJECTIVE_P99_NS / 1e3);
		strbuf_addf(
			&k->gp,
			"set arrow from graph 0, first %.6g to graph 1, first %.6g nohead dashtype 3 linecolor rgb '#b00020'\n"
			"set label 'objective: p99 within 1 ms' at graph 0.01, first %.6g offset 0,0.5 textcolor rgb '#b00020'\n",
			OBJECTIVE_P99_NS / 1e3, OBJECTIVE_P99_NS / 1e3, OBJECTIVE_P99_NS / 1e3);
	}
	if (look->log_y)
		gp_log_axis(&k->gp, 'y', MAX(low, 0.001), MAX(high, 0.001));
	else
		strbuf_add(&k->gp, "set yrange [0:*]\n");
}

bool sketch_curve(struct sketch *k, const struct curve *c)
{
	const struct report *r = k->r;
	const struct look look = look_of(r, &r->sweeps.v[c->first]);
	double low = INFINITY, high = 0, *x = calloc(c->n + 1, sizeof(*x)), least;
	size_t n[STRATEGIES_MAX][2] = {};
	enum kind kind[STRATEGIES_MAX] = {};
	bool any = false, there = false;

	if (!x) {
		k->gp.failed = true;
		return true;
	}
	for (size_t i = 0; i < c->n; i++)
		x[i] = r->sweeps.v[c->first + i].x;
	least = least_of(x, c->n);
	k->width = WIDTH;
	k->height = HEIGHT;
	sketch_begin(k);
	x_axis(k, x, c->n);
	free(x);
	strbuf_add(&k->csv, "x,place,line,metric,median,low,high,strategy,kind\n");
	for (size_t s = 0; s < r->strategies.n; s++)
		for (size_t which = 0; which < 2; which++) {
			n[s][which] = curve_data(k, c, &look, s, which, least, &low, &high, &kind[s]);
			there = there || n[s][which];
		}
	if (!there)
		return false;
	curve_frame(k, &look, low, high);
	for (size_t s = 0; s < r->strategies.n; s++)
		for (size_t which = 0; which < 2; which++)
			if (n[s][which])
				plot_line(k, &any, s, s * 2 + which, kind[s], which, which == 0);
	strbuf_add_char(&k->gp, '\n');
	return true;
}

/* ---- scale ---- */

const char *const scale_figure_key[SCALE_FIGURE_MAX] = { "first-packet", "from-empty", "change", "memory" };

static const struct {
	const char *ylabel;
	enum scale_metric m[2];
	double scale;
} scale_looks[SCALE_FIGURE_MAX] = {
	[SCALE_FIGURE_FIRST] = { "first packet, µs: p99 solid, median dashed",
				 { SCALE_FIRST_P99, SCALE_FIRST_P50 },
				 1e-3 },
	[SCALE_FIGURE_EMPTY] = { "all of it from nothing, s per node", { SCALE_FROM_EMPTY, SCALE_MAX }, 1e-9 },
	[SCALE_FIGURE_CHANGE] = { "ms: in force solid, target done dashed", { SCALE_IN_FORCE, SCALE_APPLY }, 1e-6 },
	[SCALE_FIGURE_MEMORY] = { "MiB: kernel per node solid, process dashed",
				  { SCALE_KERNEL, SCALE_PROCESS },
				  1.0 / 1024 },
};

static bool like_point(const struct scale_point *p, const struct scale_point *like)
{
	return p->nodes == like->nodes && p->endpoints == like->endpoints;
}

static size_t scale_data(struct sketch *k, const struct scale_point *like, enum scale_figure what, size_t s,
			 size_t which, double *low, double *high, enum kind *kind)
{
	enum scale_metric m = scale_looks[what].m[which];
	double scale = scale_looks[what].scale;
	size_t n = 0;

	for (size_t i = 0; i < k->r->scale.n && m != SCALE_MAX; i++) {
		const struct scale_point *p = &k->r->scale.v[i];
		const struct interval *median = &p->est[m].median;

		/* A logarithmic axis: what is nothing or less is in the tables. */
		if (p->strategy != s || !like_point(p, like) || !p->est[m].n || median->mid <= 0)
			continue;
		*low = MIN(*low, (median->low > 0 ? median->low : median->mid) * scale);
		*high = MAX(*high, median->high * scale);
		*kind = MAX(*kind, p->kind);
		strbuf_addf(&k->csv, "%" PRId64 ",%" PRId64 ",%zu,%s,%.6g,%.6g,%.6g,", p->services, p->services,
			    s * 2 + which, scale_metrics[m].key, median->mid * scale,
			    (median->low > 0 ? median->low : median->mid) * scale, median->high * scale);
		csv_text(&k->csv, k->r->strategies.v[s].name);
		strbuf_addf(&k->csv, ",%s\n", record_kind_name[p->kind]);
		n++;
	}
	return n;
}

/* Published points of another machine: marked as such, outside the legend of ours. */
static void scale_published(struct sketch *k, enum scale_figure what, bool *any, double *high, double *x_most)
{
	for (size_t i = 0; what == SCALE_FIGURE_CHANGE && i < n_published_changes; i++) {
		const struct published_change *p = &published_changes[i];

		*high = MAX(*high, p->ms);
		*x_most = MAX(*x_most, p->services);
		strbuf_addf(&k->csv, "%.9g,%.9g,%d,change,%.6g,%.6g,%.6g,", p->services, p->services,
			    2 * STRATEGIES_MAX, p->ms, p->ms, p->ms);
		csv_text(&k->csv, "published by others, other machine (kube-proxy nftables)");
		strbuf_add(&k->csv, ",published\n");
		*any = true;
	}
}

static size_t scale_places(const struct report *r, const struct scale_point *like, double *x, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < r->scale.n && n < max; i++) { /* sorted by Services */
		const struct scale_point *p = &r->scale.v[i];

		if (like_point(p, like) && (n == 0 || x[n - 1] < (double)p->services))
			x[n++] = (double)p->services;
	}
	return n;
}

bool sketch_scale(struct sketch *k, const struct scale_point *like, enum scale_figure what)
{
	const struct report *r = k->r;
	double low = INFINITY, high = 0, x[32], most = 0;
	size_t n_x = scale_places(r, like, x, ARRAY_LEN(x) - 2), n[STRATEGIES_MAX][2] = {};
	enum kind kind[STRATEGIES_MAX] = {};
	bool any = false, there = false, others = false;

	k->width = WIDTH;
	k->height = HEIGHT;
	sketch_begin(k);
	strbuf_add(&k->csv, "services,place,line,metric,median,low,high,strategy,kind\n");
	for (size_t s = 0; s < r->strategies.n; s++)
		for (size_t which = 0; which < 2; which++) {
			n[s][which] = scale_data(k, like, what, s, which, &low, &high, &kind[s]);
			there = there || n[s][which];
		}
	if (!there)
		return false;
	if (n_x > 0)
		scale_published(k, what, &others, &high, &most);
	if (n_x > 0 && most > x[n_x - 1])
		x[n_x++] = most;
	x_axis(k, x, n_x);
	strbuf_addf(&k->gp, "set xlabel 'Services, of %" PRId64 " endpoints each'\nset ylabel ", like->endpoints);
	gp_text(&k->gp, scale_looks[what].ylabel);
	strbuf_add(&k->gp, "\n" GRID);
	gp_log_axis(&k->gp, 'y', MAX(low, 1e-6), MAX(high, 1e-6));
	for (size_t s = 0; s < r->strategies.n; s++)
		for (size_t which = 0; which < 2; which++)
			if (n[s][which])
				plot_line(k, &any, s, s * 2 + which, kind[s], which, which == 0);
	if (others)
		strbuf_addf(
			&k->gp,
			", \\\n     '%s.csv' skip 1 using ($3==%d?$2:1/0):5 with points pointtype 3 pointsize 1.1 linecolor rgb '#888888' title "
			"'published elsewhere'",
			k->fig.stem, 2 * STRATEGIES_MAX);
	strbuf_add_char(&k->gp, '\n');
	return true;
}
