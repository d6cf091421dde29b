/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Figures that sum up: who wins where, the band from worst to best, which tier carried what, what idling costs, and, for one cell, the front of
 * host cores against p99. Called by figures.c.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "base/util.h"
#include "figure.h"

#define WIDTH 560
#define ROW_HEIGHT 26
#define LANE_HEIGHT 17
#define FRAME_HEIGHT 96
#define TARGETS_MAX 8

/* Rows from the top, 1 to n; `label` of each is in single quotes and closed by the caller's list. */
static void row_axis(struct sketch *k, const char *const *labels, size_t n, double width_max)
{
	size_t width = 0;

	strbuf_addf(&k->gp, "set yrange [%zu.5:0.5]\nset ytics scale 0 (", n);
	for (size_t i = 0; i < n; i++) {
		strbuf_add(&k->gp, i ? ", " : "");
		gp_text(&k->gp, labels[i]);
		strbuf_addf(&k->gp, " %zu", i + 1);
		width = MAX(width, text_width(labels[i]));
	}
	strbuf_addf(&k->gp, ")\nset lmargin %.1f\n", 0.86 * MIN((double)width, width_max) + 2);
}

static void free_labels(char **labels, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(labels[i]);
}

static char *label_without_workload(const struct report *r, const struct cell *c)
{
	return str_printf("%s, %s, %s", r->loads.v[c->load].name, path_text(c->path), family_text(c->family));
}

/* ---- winner map ---- */

/* "socket", or "socket = nft"; *ret_first = a strategy in first place, STRATEGIES_MAX without a contest. */
static bool winner_text(const struct report *r, const struct cell *c, enum metric m, struct strbuf *sb,
			size_t *ret_first)
{
	size_t n = 0;

	*ret_first = STRATEGIES_MAX;
	if (c->n_ranked[m] < 2)
		return false;
	for (size_t s = 0; s < r->strategies.n; s++) {
		const struct estimate *est = cell_estimate(r, c, s, m);

		if (!est || (!est->best && !est->tied))
			continue;
		strbuf_addf(sb, "%s%s", n++ ? " = " : "", r->strategies.v[s].name);
		*ret_first = s;
	}
	if (n > 1)
		*ret_first = STRATEGIES_MAX;
	return n > 0;
}

static unsigned int tint_of(const struct report *r, size_t s)
{
	const char *colour = s == STRATEGIES_MAX ? "#c8ccd1" : strategy_colour(r, s);

	return 0x80000000u | (unsigned int)strtoul(colour + 1, NULL, 16);
}

static bool winner_row(struct sketch *k, const struct cell *c, size_t row)
{
	bool any = false;

	for (size_t i = 0; i < N_TOLD_METRICS; i++) {
		CLEANUP_STRBUF struct strbuf text = STRBUF_INIT;
		CLEANUP_STRBUF struct strbuf label = STRBUF_INIT;
		size_t first;

		if (!winner_text(k->r, c, told_metrics[i], &text, &first))
			continue;
		strbuf_addf(&k->csv, "%zu,%zu,%u,", i + 1, row, tint_of(k->r, first));
		csv_text(&k->csv, text.buf ? text.buf : "");
		strbuf_addf(&k->csv, ",%s,", metrics[told_metrics[i]].key);
		(void)cell_label(k->r, c, &label); /* an empty label then */
		csv_text(&k->csv, label.buf ? label.buf : "");
		strbuf_add_char(&k->csv, '\n');
		any = true;
	}
	return any;
}

bool sketch_winner(struct sketch *k)
{
	char *labels[FIGURE_ROWS_MAX];
	size_t n = 0;

	strbuf_add(&k->csv, "column,row,colour,winner,metric,cell\n");
	for (size_t i = 0; i < k->r->cells.n && n < FIGURE_ROWS_MAX; i++) {
		const struct cell *c = &k->r->cells.v[i];

		if (c->workload != k->fig.workload || !winner_row(k, c, n + 1))
			continue;
		labels[n] = label_without_workload(k->r, c);
		k->gp.failed |= !labels[n];
		n += labels[n] != NULL;
	}
	if (n == 0)
		return false;
	k->width = 760;
	k->height = 60 + (int)n * ROW_HEIGHT;
	sketch_begin(k);
	row_axis(k, (const char *const *)labels, n, 40);
	free_labels(labels, n);
	strbuf_add(
		&k->gp,
		"set xrange [0.5:4.5]\nset x2range [0.5:4.5]\nunset xtics\nunset key\nset border 0\nset x2tics scale 0 (");
	for (size_t i = 0; i < N_TOLD_METRICS; i++)
		strbuf_addf(&k->gp, "%s'%s' %zu", i ? ", " : "", short_name[told_metrics[i]], i + 1);
	strbuf_addf(
		&k->gp,
		")\nplot '%s.csv' skip 1 using 1:2:($1-0.49):($1+0.49):($2-0.46):($2+0.46):3 with boxxyerror fillstyle solid noborder "
		"linecolor rgb variable notitle, \\\n     '%s.csv' skip 1 using 1:2:4 with labels textcolor rgb '#444444' notitle\n",
		k->fig.stem, k->fig.stem);
	return true;
}

/* ---- band ---- */

/* Rates over those of no Service, of every round and cell of a load. */
static int band_values(const struct report *r, size_t workload, size_t load, size_t s, struct numbers *ret)
{
	int ret_r = 0;

	for (size_t i = 0; i < r->cells.n; i++) {
		const struct cell *c = &r->cells.v[i];
		const struct series *a = cell_series(r, c, s), *b = cell_series(r, c, r->ref[REF_BOUND]);

		if (c->workload != workload || c->load != load || !a || !b || series_failing(a) || series_failing(b))
			continue;
		for (size_t x = 0, y = 0; x < a->rows.n && ret_r == 0; x++) {
			double va = a->rows.v[x].v[METRIC_RATE], vb;

			while (y < b->rows.n && b->rows.v[y].round < a->rows.v[x].round)
				y++;
			if (y == b->rows.n || b->rows.v[y].round != a->rows.v[x].round)
				continue;
			vb = b->rows.v[y].v[METRIC_RATE];
			if (!isnan(va) && !isnan(vb) && vb > 0)
				ret_r = vec_push(ret, 100 * va / vb);
		}
	}
	return ret_r;
}

struct lanes {
	size_t n; /* strategies with a lane */
	size_t lane[STRATEGIES_MAX];
};

static double lane_y(const struct lanes *l, size_t row, size_t s)
{
	return (double)row + (((double)l->lane[s] + 0.5) / (double)l->n - 0.5) * 0.8;
}

static struct lanes service_lanes(const struct report *r, bool with_others)
{
	struct lanes l = {};

	for (size_t s = 0; s < r->strategies.n; s++)
		l.lane[s] = strategy_ranked(r, s) || (with_others && strategy_measured(r, s)) ? l.n++ : STRATEGIES_MAX;
	return l;
}

static bool band_load(struct sketch *k, const struct lanes *l, size_t load, size_t row)
{
	const struct report *r = k->r;
	bool any = false;

	for (size_t s = 0; s < r->strategies.n; s++) {
		struct numbers v = {};

		if (l->lane[s] == STRATEGIES_MAX)
			continue;
		if (band_values(r, k->fig.workload, load, s, &v) < 0)
			k->csv.failed = true;
		if (v.n) {
			strbuf_addf(&k->csv, "%.3f,%zu,%.4f,%.4f,%.4f,%zu,", lane_y(l, row, s), s,
				    stats_median(v.v, v.n), stats_quantile(v.v, v.n, 0), stats_quantile(v.v, v.n, 1),
				    v.n);
			csv_text(&k->csv, r->loads.v[load].name);
			strbuf_add_char(&k->csv, ',');
			csv_text(&k->csv, r->strategies.v[s].name);
			strbuf_add_char(&k->csv, '\n');
			any = true;
		}
		vec_free(&v);
	}
	return any;
}

bool sketch_band(struct sketch *k)
{
	const struct report *r = k->r;
	struct lanes l = service_lanes(r, false);
	const char *labels[LOADS_MAX];
	size_t n = 0;
	bool any = false;

	if (l.n == 0 || r->ref[REF_BOUND] == STRATEGIES_MAX)
		return false;
	strbuf_add(&k->csv, "y,strategy_number,median_percent,worst_percent,best_percent,values,load,strategy\n");
	for (size_t i = 0; i < r->loads.n; i++)
		if (band_load(k, &l, i, n + 1))
			labels[n++] = r->loads.v[i].name;
	if (n == 0)
		return false;
	k->width = WIDTH;
	k->height = FRAME_HEIGHT + (int)(n * MAX(l.n, (size_t)2) * LANE_HEIGHT);
	sketch_begin(k);
	row_axis(k, labels, n, 40);
	strbuf_addf(&k->gp, "set xlabel 'rate, %% of that without Services: worst, median, best round'\n"
			    "set grid xtics linecolor rgb '#dddddd' linetype 1\n"
			    "set arrow from 100, graph 0 to 100, graph 1 nohead linecolor rgb '#444444' linewidth 1\n");
	for (size_t s = 0; s < r->strategies.n; s++) {
		CLEANUP_FREE char *using = str_printf("($2==%zu?$3:NaN):1:4:5", s);

		if (l.lane[s] != STRATEGIES_MAX)
			plot_strategy(k, &any, s, KIND_REAL, using ? using : "", "xerrorbars linewidth 3.5 pointsize 1",
				      true);
	}
	strbuf_add_char(&k->gp, '\n');
	return true;
}

/* ---- offload coverage ---- */

struct tiers {
	size_t n;
	const char *name[TARGETS_MAX];
	uint64_t count[TARGETS_MAX];
};

static void add_tiers(struct tiers *t, const struct series *s)
{
	for (size_t i = 0; i < s->carried.n; i++) {
		const struct carried *c = &s->carried.v[i];
		size_t at = 0;

		while (at < t->n && !str_eq(t->name[at], c->target))
			at++;
		if (!c->counted || at == TARGETS_MAX)
			continue;
		if (at == t->n)
			t->name[t->n++] = c->target;
		t->count[at] += c->n;
	}
}

static bool coverage_load(struct sketch *k, const struct lanes *l, size_t load, size_t row, struct tiers *all)
{
	const struct report *r = k->r;
	bool any = false;

	for (size_t s = 0; s < r->strategies.n; s++) {
		struct tiers t = *all;
		uint64_t total = 0, sum = 0;

		memset(t.count, 0, sizeof(t.count));
		for (size_t i = 0; i < r->cells.n; i++)
			if (r->cells.v[i].workload == k->fig.workload && r->cells.v[i].load == load &&
			    l->lane[s] != STRATEGIES_MAX)
				add_tiers(&t, cell_series(r, &r->cells.v[i], s));
		for (size_t i = 0; i < t.n; i++)
			total += t.count[i];
		all->n = t.n;
		memcpy(all->name, t.name, sizeof(t.name));
		for (size_t i = 0; i < t.n && total; i++) {
			if (t.count[i] == 0)
				continue;
			strbuf_addf(&k->csv, "%.3f,%zu,%zu,%.4f,%.4f,%llu,", lane_y(l, row, s), s, i,
				    100.0 * (double)sum / (double)total,
				    100.0 * (double)(sum + t.count[i]) / (double)total, (unsigned long long)t.count[i]);
			sum += t.count[i];
			csv_text(&k->csv, t.name[i]);
			strbuf_add_char(&k->csv, ',');
			csv_text(&k->csv, r->loads.v[load].name);
			strbuf_add_char(&k->csv, ',');
			csv_text(&k->csv, r->strategies.v[s].name);
			strbuf_add_char(&k->csv, '\n');
			any = true;
		}
	}
	return any;
}

bool sketch_coverage(struct sketch *k)
{
	static const char *const colours[TARGETS_MAX] = { "#56b4e9", "#8c6d00", "#cc79a7", "#44aa99",
							  "#d55e00", "#332288", "#999933", "#661100" };
	const struct report *r = k->r;
	struct lanes l = service_lanes(r, false);
	char *labels[LOADS_MAX * 4];
	struct tiers all = {};
	size_t n = 0;
	double h;

	strbuf_add(&k->csv,
		   "y,strategy_number,target_number,from_percent,to_percent,connections,target,load,strategy\n");
	if (l.n == 0)
		return false;
	for (size_t i = 0; i < r->loads.n; i++) {
		if (!coverage_load(k, &l, i, n + 1, &all))
			continue;
		labels[n] = strdup(r->loads.v[i].name);
		k->gp.failed |= !labels[n];
		n += labels[n] != NULL;
	}
	if (n == 0)
		return false;
	k->width = WIDTH;
	k->height = FRAME_HEIGHT + (int)(n * MAX(l.n, (size_t)2) * LANE_HEIGHT);
	sketch_begin(k);
	row_axis(k, (const char *const *)labels, n, 40);
	free_labels(labels, n);
	h = 0.8 / (double)l.n / 2 * 0.86;
	strbuf_add(
		&k->gp,
		"set xrange [0:140]\nset xtics (0, 20, 40, 60, 80, 100)\nset xlabel '% of the connections that the strategy’s tiers counted'\n");
	for (size_t i = 0; i < all.n; i++) {
		strbuf_addf(
			&k->gp,
			"%s'%s.csv' skip 1 using ($3==%zu?$5:NaN):1:4:5:($1-%.3f):($1+%.3f) with boxxyerror fillstyle solid 0.85 noborder "
			"linecolor rgb '%s' title ",
			i ? ", \\\n     " : "plot ", k->fig.stem, i, h, h, colours[i]);
		gp_text(&k->gp, all.name[i]);
	}
	strbuf_addf(
		&k->gp,
		", \\\n     '%s.csv' skip 1 using ($5>99.9?102:NaN):1:9 with labels left textcolor rgb '#444444' font ',11' notitle\n",
		k->fig.stem);
	return true;
}

/* ---- idle ---- */

bool sketch_idle(struct sketch *k)
{
	const struct report *r = k->r;
	char *labels[ARMS_MAX];
	double least = 0, most = 0;
	size_t n = 0;
	bool any = false;

	strbuf_add(&k->csv, "y,strategy_number,millicores,low,high,process_mib,strategy\n");
	for (size_t i = 0; i < r->idle.n; i++) {
		const struct idle_rec *at = &r->idle.v[i];
		size_t s = r->arms.v[at->arm].strategy;

		if (at->workload != k->fig.workload || r->arms.v[at->arm].twin || !at->est_cores.n)
			continue;
		labels[n] = strdup(r->strategies.v[s].name);
		if (!labels[n]) {
			k->gp.failed = true;
			break;
		}
		n++;
		strbuf_addf(&k->csv, "%zu,%zu,%.5g,%.5g,%.5g,%.5g,", n, s, 1e3 * at->est_cores.median.mid,
			    1e3 * at->est_cores.median.low, 1e3 * at->est_cores.median.high,
			    at->est_process.n ? at->est_process.median.mid / 1024 : 0.0);
		csv_text(&k->csv, r->strategies.v[s].name);
		strbuf_add_char(&k->csv, '\n');
		least = MIN(least, at->est_cores.median.low);
		most = MAX(most, at->est_cores.median.high);
	}
	if (n == 0)
		return false;
	k->width = WIDTH;
	k->height = 90 + (int)n * ROW_HEIGHT;
	sketch_begin(k);
	row_axis(k, (const char *const *)labels, n, 30);
	free_labels(labels, n);
	strbuf_addf(&k->gp, "set xrange [%.5g:%.5g]\n", 1.05e3 * least, most > 0 ? 1.05e3 * most : 1.0);
	strbuf_add(&k->gp, "set xlabel 'millicores while nothing is asked (left is better)'\n"
			   "set grid xtics linecolor rgb '#dddddd' linetype 1\nunset key\n");
	for (size_t s = 0; s < r->strategies.n; s++) {
		CLEANUP_FREE char *bar = str_printf("($2==%zu?$3:NaN):1:(0):3:($1-0.3):($1+0.3)", s);
		CLEANUP_FREE char *using = str_printf("($2==%zu?$3:NaN):1:4:5", s);

		plot_strategy(k, &any, s, KIND_REAL, bar ? bar : "", "boxxyerror fillstyle solid 0.85 noborder", false);
		strbuf_addf(
			&k->gp,
			", \\\n     '%s.csv' skip 1 using %s with xerrorbars pointtype 0 linewidth 1.4 linecolor rgb '#444444' notitle",
			k->fig.stem, using ? using : "");
	}
	strbuf_add_char(&k->gp, '\n');
	return true;
}

/* ---- Pareto front ---- */

struct trade {
	double cores, us;
	bool on_front;
};

/* On the front: nobody else that really carries Services is better in one and no worse in the other. */
static void find_front(const struct report *r, const struct cell *c, struct trade *t)
{
	for (size_t s = 0; s < r->strategies.n; s++) {
		t[s].on_front = t[s].us > 0 && r->strategies.v[s].services && cell_series(r, c, s)->kind == KIND_REAL;
		for (size_t o = 0; o < r->strategies.n && t[s].on_front; o++)
			if (o != s && t[o].us > 0 && r->strategies.v[o].services &&
			    cell_series(r, c, o)->kind == KIND_REAL && t[o].us <= t[s].us && t[o].cores <= t[s].cores &&
			    (t[o].us < t[s].us || t[o].cores < t[s].cores))
				t[s].on_front = false;
	}
}

static size_t pareto_data(struct sketch *k, const struct cell *c, struct trade *t, double times)
{
	size_t n = 0;

	for (size_t s = 0; s < k->r->strategies.n; s++) {
		const struct estimate *cpu = cell_estimate(k->r, c, s, METRIC_CPU),
				      *p99 = cell_estimate(k->r, c, s, METRIC_P99);

		if (!cpu || !p99)
			continue;
		t[s] = (struct trade){ cpu->median.mid * times, p99->median.mid / 1e3, false };
		n++;
	}
	find_front(k->r, c, t);
	for (size_t s = 0; s < k->r->strategies.n; s++) {
		const struct estimate *cpu = cell_estimate(k->r, c, s, METRIC_CPU),
				      *p99 = cell_estimate(k->r, c, s, METRIC_P99);

		if (!cpu || !p99)
			continue;
		strbuf_addf(&k->csv, "%.5g,%.5g,%.5g,%.5g,%.5g,%.5g,%zu,%s,", t[s].cores, t[s].us,
			    cpu->median.low * times, cpu->median.high * times, p99->median.low / 1e3,
			    p99->median.high / 1e3, s, t[s].on_front ? "yes" : "no");
		csv_text(&k->csv, k->r->strategies.v[s].name);
		strbuf_addf(&k->csv, ",%s\n", record_kind_name[cell_series(k->r, c, s)->kind]);
	}
	return n;
}

bool sketch_pareto(struct sketch *k, const struct cell *c)
{
	const struct report *r = k->r;
	struct trade t[STRATEGIES_MAX] = {};
	bool any = false;

	strbuf_add(&k->csv,
		   "cores,p99_us,cores_low,cores_high,p99_low_us,p99_high_us,strategy_number,on_front,strategy,kind\n");
	if (pareto_data(k, c, t, r->loads.v[c->load].offered / 1e9) < 2)
		return false;
	k->width = WIDTH;
	k->height = 330;
	sketch_begin(k);
	strbuf_add(
		&k->gp,
		"set xlabel 'cores used at the offered load (left is better)'\nset ylabel 'p99 latency, µs (lower is better)'\n"
		"set grid xtics ytics linecolor rgb '#dddddd' linetype 1\nset offsets graph 0.06, graph 0.06, graph 0.06, graph 0.06\n");
	for (size_t s = 0; s < r->strategies.n; s++) {
		CLEANUP_FREE char *using = str_printf("($7==%zu?$1:NaN):2:3:4:5:6", s);
		CLEANUP_FREE char *ring = str_printf("($7==%zu?$1:NaN):2", s);

		if (t[s].us <= 0)
			continue;
		plot_strategy(k, &any, s, cell_series(r, c, s)->kind, using ? using : "",
			      "xyerrorbars linewidth 1.4 pointsize 1", true);
		if (t[s].on_front)
			strbuf_addf(
				&k->gp,
				", \\\n     '%s.csv' skip 1 using %s with points pointtype 6 pointsize 2.4 linewidth 1.5 linecolor rgb '#444444' notitle",
				k->fig.stem, ring ? ring : "");
	}
	strbuf_add_char(&k->gp, '\n');
	return true;
}
