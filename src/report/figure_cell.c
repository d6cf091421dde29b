/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Figures of one cell: latency percentiles with their intervals, and the distribution of all requests. Called by figures.c. */
#include <math.h>

#include "base/hist.h"
#include "base/util.h"
#include "figure.h"

#define WIDTH 520
#define HEIGHT 330
#define LOW_MIN 0.001 /* µs: a logarithmic axis has no zero */
#define TAIL 0.0005 /* of the requests that may lie outside the picture at each end */
#define SHARE_STEP 0.002 /* of the distribution: points closer than this are left out */

static void plot_title(struct strbuf *sb, const struct report *r, const struct series *s, size_t strategy)
{
	CLEANUP_STRBUF struct strbuf name = STRBUF_INIT;

	add_series_name(&name, r, strategy, s->kind);
	strbuf_add(sb, "title ");
	gp_text(sb, name.buf ? name.buf : "");
}

static size_t count_measured(const struct report *r, const struct cell *c)
{
	size_t n = 0;

	for (size_t s = 0; s < r->strategies.n; s++)
		n += cell_estimate(r, c, s, METRIC_P50) != NULL;
	return n;
}

bool sketch_latency(struct sketch *k, const struct cell *c)
{
	CLEANUP_STRBUF struct strbuf plot = STRBUF_INIT;
	size_t n = count_measured(k->r, c), at = 0;
	double low = INFINITY, high = LOW_MIN;

	if (n == 0)
		return false;
	k->width = WIDTH;
	k->height = HEIGHT;
	sketch_begin(k);
	strbuf_addf(&k->gp,
		    "set ylabel 'latency, µs (lower is better)'\nset xrange [0.4:4.6]\n"
		    "set xtics scale 0 ('p50' 1, 'p90' 2, 'p99' 3, 'p99.9%s' 4)\n"
		    "set grid ytics linecolor rgb '#dddddd' linetype 1\n",
		    c->few[METRIC_P999] ? " (slowest)" : "");
	strbuf_add(&k->csv, "x,strategy_number,percentile,median_us,low_us,high_us,strategy,kind\n");
	for (size_t s = 0; s < k->r->strategies.n; s++) {
		const struct series *series = cell_series(k->r, c, s);

		if (!cell_estimate(k->r, c, s, METRIC_P50))
			continue;
		for (int m = METRIC_P50; m <= METRIC_P999; m++) {
			const struct interval *i = &series->est[m].median;

			low = MIN(low, i->low / 1e3);
			high = MAX(high, i->high / 1e3);
			strbuf_addf(&k->csv, "%.3f,%zu,%s,%.4f,%.4f,%.4f,",
				    m - METRIC_P50 + 1 + (((double)at + 0.5) / (double)n - 0.5) * 0.5, s,
				    metrics[m].key, i->mid / 1e3, i->low / 1e3, i->high / 1e3);
			csv_text(&k->csv, k->r->strategies.v[s].name);
			strbuf_addf(&k->csv, ",%s\n", record_kind_name[series->kind]);
		}
		strbuf_addf(
			&plot,
			"%s'%s.csv' skip 1 using ($2==%zu?$1:NaN):4:5:6 with yerrorbars pointtype %d pointsize 0.8 linewidth 1.6 "
			"linecolor rgb '%s' ",
			at ? ", \\\n     " : "plot ", k->fig.stem, s, strategy_point(s, series->kind),
			strategy_colour(k->r, s));
		plot_title(&plot, k->r, series, s);
		at++;
	}
	gp_log_axis(&k->gp, 'y', MAX(low, LOW_MIN), high);
	strbuf_addf(&k->gp, "%s\n", plot.buf ? plot.buf : "");
	k->gp.failed |= plot.failed;
	return true;
}

/* *low and *high are widened to where all but the outermost TAIL of the requests lie. */
static void cdf_data(struct sketch *k, const struct series *s, size_t strategy, double *low, double *high)
{
	uint64_t total = 0, sum = 0;
	double written = -1;

	for (size_t i = 0; i < s->hist.n; i++)
		total += s->hist.v[i].count;
	for (size_t i = 0; i < s->hist.n; i++) {
		double share, us = (double)hist_bucket_mid(s->hist.v[i].bucket) / 1e3;

		sum += s->hist.v[i].count;
		share = (double)sum / (double)total;
		if (share >= TAIL)
			*low = MIN(*low, us);
		if (share - (double)s->hist.v[i].count / (double)total < 1 - TAIL)
			*high = MAX(*high, us);
		if (share - written < SHARE_STEP && i + 1 < s->hist.n)
			continue;
		strbuf_addf(&k->csv, "%.4f,%zu,%.6f,", us, strategy, share);
		csv_text(&k->csv, k->r->strategies.v[strategy].name);
		strbuf_addf(&k->csv, ",%s\n", record_kind_name[s->kind]);
		written = share;
	}
}

bool sketch_cdf(struct sketch *k, const struct cell *c)
{
	CLEANUP_STRBUF struct strbuf plot = STRBUF_INIT;
	double low = INFINITY, high = LOW_MIN;
	bool any = false;

	k->width = WIDTH;
	k->height = HEIGHT;
	sketch_begin(k);
	strbuf_add(&k->gp,
		   "set xlabel 'latency, µs (left is better)'\nset yrange [0:1]\nset ylabel 'share of requests'\n"
		   "set grid xtics ytics linecolor rgb '#dddddd' linetype 1\n");
	strbuf_add(&k->csv, "latency_us,strategy_number,share,strategy,kind\n");
	for (size_t s = 0; s < k->r->strategies.n; s++) {
		const struct series *series = cell_series(k->r, c, s);

		if (!series || series->hist.n == 0)
			continue;
		cdf_data(k, series, s, &low, &high);
		/* Between its own rows the line is unbroken: others are left out, not NaN. */
		strbuf_addf(
			&plot,
			"%s'%s.csv' skip 1 using ($2==%zu?$1:1/0):3 with steps linewidth 2 dashtype %s linecolor rgb '%s' ",
			any ? ", \\\n     " : "plot ", k->fig.stem, s, series->kind == KIND_REAL ? "1" : "2",
			strategy_colour(k->r, s));
		plot_title(&plot, k->r, series, s);
		any = true;
	}
	if (!any)
		return false;
	gp_log_axis(&k->gp, 'x', MAX(low, LOW_MIN), MAX(low, high));
	strbuf_addf(&k->gp, "%s\n", plot.buf ? plot.buf : "");
	k->gp.failed |= plot.failed;
	return true;
}
