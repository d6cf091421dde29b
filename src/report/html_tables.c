/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The winner map and the tables of all cells. Called by html.c. */
#include <inttypes.h>

#include "base/util.h"
#include "html.h"

#define CELLS_OPEN 8 /* with more cells their tables are folded */

static const char *const verdict_class[VERDICT_MAX] = { "", "dim", "dim", "tie", "better", "worse" };
/* For those who do not see the colours. */
static const char *const verdict_mark[VERDICT_MAX] = { "", "too few rounds,", "requests failed,", "tie,", "▲", "▼" };

static size_t count_services(const struct report *r, size_t *ret_only)
{
	size_t n = 0;

	for (size_t s = 0; s < r->strategies.n; s++)
		if (r->strategies.v[s].services && strategy_measured(r, s)) {
			*ret_only = s;
			n++;
		}
	return n;
}

static bool cell_tells(const struct report *r, const struct cell *c, enum metric m)
{
	for (size_t s = 0; s < r->strategies.n; s++)
		if (cell_estimate(r, c, s, m))
			return true;
	return false;
}

static bool metric_seen(const struct report *r, enum metric m)
{
	for (size_t i = 0; i < r->cells.n; i++)
		for (size_t s = 0; s < r->strategies.n; s++)
			if (cell_estimate(r, &r->cells.v[i], s, m))
				return true;
	return false;
}

static void add_cell_label(struct strbuf *sb, const struct report *r, const struct cell *c)
{
	CLEANUP_STRBUF struct strbuf label = STRBUF_INIT;

	(void)cell_label(r, c, &label); /* an empty label then */
	strbuf_add_html(sb, label.buf ? label.buf : "");
}

static void change_td(struct strbuf *sb, const struct cell *c, const struct estimate *est, enum metric m)
{
	char a[NUM_SIZE];

	strbuf_addf(sb, "<td class=\"num %s\">%s %s", verdict_class[est->vs[REF_BOUND].verdict],
		    verdict_mark[est->vs[REF_BOUND].verdict], fmt_change(a, est->vs[REF_BOUND].ratio.mid));
	strbuf_addf(sb, "<small>%s</small>", fmt_change_interval(a, &est->vs[REF_BOUND].ratio));
	if (c->noise[m].known)
		strbuf_addf(sb, "<small>noise ±%s</small>", fmt_percent(a, c->noise[m].floor));
	strbuf_add(sb, "</td>");
}

/* ---- the map ---- */

/* One strategy with Services: what it costs. */
static void map_td_only(struct strbuf *sb, const struct report *r, const struct cell *c, size_t only, enum metric m)
{
	const struct estimate *est = cell_estimate(r, c, only, m);
	char a[NUM_SIZE];

	if (!est)
		strbuf_add(sb, "<td class=\"dim\">not measured</td>");
	else if (!est->vs[REF_BOUND].n_pairs)
		strbuf_addf(sb, "<td class=\"num\">%s<small>nothing to compare</small></td>",
			    fmt_value(a, quantity_of(r, c, m), est->median.mid));
	else if (c->few[m])
		strbuf_addf(sb, "<td class=\"num dim\">%s<small>slowest request only</small></td>",
			    fmt_change(a, est->vs[REF_BOUND].ratio.mid));
	else
		change_td(sb, c, est, m);
}

/* Several: who is best, and what it costs against the baseline. */
static void map_td(struct strbuf *sb, const struct report *r, const struct cell *c, enum metric m)
{
	size_t n_shown = 0;
	char a[NUM_SIZE];

	if (c->few[m] || c->n_ranked[m] < 2) {
		strbuf_addf(sb, "<td class=\"dim\">%s</td>", c->few[m] ? "too few requests" : "no contest");
		return;
	}
	strbuf_add(sb, "<td class=\"tie\">");
	for (size_t s = 0; s < r->strategies.n; s++) {
		const struct estimate *est = cell_estimate(r, c, s, m);

		if (!est || (!est->best && !est->tied))
			continue;
		strbuf_add(sb, n_shown++ ? "<br>= " : "");
		html_strategy(sb, r, s, KIND_REAL);
		if (est->vs[REF_BOUND].n_pairs)
			strbuf_addf(sb, " <span class=\"dim\">%s</span>", fmt_change(a, est->vs[REF_BOUND].ratio.mid));
	}
	strbuf_add(sb, n_shown > 1 ? "<small>tie</small></td>" : "</td>");
}

void html_map(struct strbuf *sb, const struct report *r)
{
	size_t only = 0, n_services = count_services(r, &only);

	strbuf_addf(sb, "<section id=\"map\">\n<h2>%s</h2>\n",
		    n_services == 1 ? "What Services cost, cell by cell" : "Winner map");
	if (n_services == 0 || r->cells.n == 0) {
		strbuf_add(sb, "<p>No strategy that carries Services was measured.</p>\n</section>\n");
		return;
	}
	strbuf_add(sb, "<p class=\"note\">");
	if (n_services == 1) {
		strbuf_add_html(sb, r->strategies.v[only].name);
		strbuf_add(
			sb,
			" is the only strategy with Services in this run, so there is no contest: the map shows its change against no Service at "
			"all. ▲ better, ▼ worse; a tie: the interval touches the noise floor.</p>\n");
	} else {
		strbuf_add(
			sb,
			"Which strategy with Services is best where. Strategies whose difference touches the noise floor share a place.</p>\n");
		html_winners(sb, r);
		strbuf_add(sb, "<details><summary>All metrics, cell by cell, against no Service at all</summary>\n");
	}
	strbuf_add(
		sb,
		"<div class=\"wide\" tabindex=\"0\"><table class=\"map\"><caption>Cells by metrics</caption>\n<thead><tr><th scope=\"col\">cell</th>");
	for (int m = 0; m < METRIC_MAX; m++)
		if (metric_seen(r, m))
			strbuf_addf(sb, "<th scope=\"col\">%s</th>", metrics[m].name);
	strbuf_add(sb, "</tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < r->cells.n; i++) {
		strbuf_add(sb, "<tr><th scope=\"row\">");
		add_cell_label(sb, r, &r->cells.v[i]);
		strbuf_add(sb, "</th>");
		for (int m = 0; m < METRIC_MAX; m++) {
			if (!metric_seen(r, m))
				continue;
			if (n_services == 1)
				map_td_only(sb, r, &r->cells.v[i], only, m);
			else
				map_td(sb, r, &r->cells.v[i], m);
		}
		strbuf_add(sb, "</tr>\n");
	}
	html_table_end(sb);
	strbuf_add(sb, n_services == 1 ? "</section>\n" : "</details>\n</section>\n");
}

/* ---- tables ---- */

static void metric_td(struct strbuf *sb, const struct report *r, const struct cell *c, const struct estimate *est,
		      enum metric m)
{
	char a[NUM_SIZE];

	if (!est->n) {
		strbuf_add(sb, "<td class=\"dim\">not measured</td><td></td>");
		return;
	}
	strbuf_addf(sb, "<td class=\"num\">%s", fmt_value(a, quantity_of(r, c, m), est->median.mid));
	strbuf_addf(sb, "<small>%s</small>", fmt_interval(a, quantity_of(r, c, m), &est->median));
	if (metric_is_cpu(m) && r->loads.v[c->load].unit == UNIT_MIB)
		strbuf_addf(sb, "<small>%.2f cores per 10 Gbit/s</small>", CORES_PER_10G(est->median.mid));
	strbuf_addf(sb, "<small>%zu rounds%s</small></td>", est->n, c->few[m] ? ", slowest request" : "");
	if (!est->vs[REF_BOUND].n_pairs) {
		strbuf_add(sb, "<td></td>");
		return;
	}
	strbuf_addf(sb, "<td class=\"num %s\">%s %s", verdict_class[est->vs[REF_BOUND].verdict],
		    verdict_mark[est->vs[REF_BOUND].verdict], fmt_change(a, est->vs[REF_BOUND].ratio.mid));
	strbuf_addf(sb, "<small>%s</small>", fmt_change_interval(a, &est->vs[REF_BOUND].ratio));
	strbuf_addf(sb, "<small>%s</small>", fmt_diff(a, quantity_of(r, c, m), est->vs[REF_BOUND].diff.mid));
	strbuf_add(sb, "</td>");
}

/* Against the incumbent; nothing where it took no part. */
static void peer_td(struct strbuf *sb, const struct report *r, const struct estimate *est)
{
	const struct against *vs = &est->vs[REF_PEER];
	char a[NUM_SIZE];

	if (r->ref[REF_PEER] == STRATEGIES_MAX)
		return;
	if (!est->n || !vs->n_pairs) {
		strbuf_add(sb, "<td></td>");
		return;
	}
	strbuf_addf(sb, "<td class=\"num %s\">%s %s", verdict_class[vs->verdict], verdict_mark[vs->verdict],
		    fmt_change(a, vs->ratio.mid));
	strbuf_addf(sb, "<small>%s</small></td>", fmt_change_interval(a, &vs->ratio));
}

static void arm_row(struct strbuf *sb, const struct report *r, const struct cell *c, size_t arm)
{
	const struct series *s = &c->series[arm];
	size_t strategy = r->arms.v[arm].strategy;
	uint64_t n_bad = s->n_refused + s->n_timeout + s->n_other;
	char a[NUM_SIZE];

	strbuf_add(sb, "<tr><th scope=\"row\">");
	html_strategy(sb, r, strategy, s->kind);
	strbuf_add(sb, r->arms.v[arm].twin ? " <span class=\"dim\">(A/A)</span></th>" : "</th>");
	for (int m = 0; m < METRIC_MAX; m++)
		if (cell_tells(r, c, m)) {
			metric_td(sb, r, c, &s->est[m], m);
			peer_td(sb, r, &s->est[m]);
		}
	html_td_num(sb, fmt_count(a, s->n_ok));
	strbuf_addf(sb, "<td class=\"num%s\">%s</td>", n_bad ? " bad" : "", fmt_count(a, n_bad));
	strbuf_addf(sb, "<td class=\"num%s\">%s</td>", s->n_wrong ? " bad" : "", fmt_count(a, s->n_wrong));
	html_td_num(sb, fmt_count(a, s->n_discarded));
	strbuf_add(sb, "</tr>\n");
}

static void noise_row(struct strbuf *sb, const struct report *r, const struct cell *c)
{
	char a[NUM_SIZE];

	strbuf_add(sb, "<tr><th scope=\"row\">noise floor</th>");
	for (int m = 0; m < METRIC_MAX; m++) {
		if (!cell_tells(r, c, m))
			continue;
		if (c->noise[m].known)
			strbuf_addf(sb, "<td></td><td class=\"num\">±%s</td>", fmt_percent(a, c->noise[m].floor));
		else
			strbuf_add(sb, "<td></td><td class=\"dim\">no A/A pair</td>");
		if (r->ref[REF_PEER] != STRATEGIES_MAX)
			strbuf_add(sb, "<td></td>");
	}
	strbuf_add(sb, "<td></td><td></td><td></td><td></td></tr>\n");
}

static void cell_table(struct strbuf *sb, const struct report *r, const struct cell *c)
{
	const struct load_rec *l = &r->loads.v[c->load];
	char a[NUM_SIZE];

	strbuf_add(sb, "<div class=\"wide\" tabindex=\"0\"><table><caption>");
	strbuf_add_html(sb, l->text);
	if (l->open)
		strbuf_addf(sb, "; open loop at %s requests per second", fmt_count(a, (uint64_t)l->offered));
	strbuf_addf(sb, "; closed loop on %" PRId64 " connections. Median over rounds, 95 %% interval; change against ",
		    l->connections);
	strbuf_add_html(sb, r->ref[REF_BOUND] == STRATEGIES_MAX ? "nothing (no baseline)" :
								  r->strategies.v[r->ref[REF_BOUND]].name);
	strbuf_add(sb, ", paired by round</caption>\n<thead><tr><th scope=\"col\">strategy</th>");
	for (int m = 0; m < METRIC_MAX; m++)
		if (cell_tells(r, c, m))
			strbuf_addf(sb,
				    "<th scope=\"col\" class=\"num\">%s</th><th scope=\"col\" class=\"num\">%s</th>%s",
				    metric_name(r, c, m), metric_is_cpu(m) ? "change, Service cost" : "change",
				    r->ref[REF_PEER] == STRATEGIES_MAX ?
					    "" :
					    "<th scope=\"col\" class=\"num\">against " PEER_NAME "</th>");
	strbuf_add(
		sb,
		"<th scope=\"col\" class=\"num\">answered</th><th scope=\"col\" class=\"num\">failed</th><th scope=\"col\" class=\"num\">wrong"
		"</th><th scope=\"col\" class=\"num\">slices discarded</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < r->arms.n; i++)
		if (c->series[i].rows.n)
			arm_row(sb, r, c, i);
	noise_row(sb, r, c);
	html_table_end(sb);
}

void html_cells(struct strbuf *sb, const struct report *r)
{
	strbuf_add(sb, "<section id=\"cells\">\n<h2>All figures as tables</h2>\n");
	for (size_t i = 0; i < r->cells.n; i++) {
		strbuf_addf(sb, "<details%s><summary>", r->cells.n <= CELLS_OPEN ? " open" : "");
		add_cell_label(sb, r, &r->cells.v[i]);
		strbuf_add(sb, "</summary>\n");
		cell_table(sb, r, &r->cells.v[i]);
		strbuf_add(sb, "</details>\n");
	}
	if (r->cells.n == 0)
		strbuf_add(sb, "<p>No cell was measured.</p>\n");
	strbuf_add(sb, "</section>\n");
}
