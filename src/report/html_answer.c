/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first screen of the page: who wins where, in one small table, and what that means. Called by html.c. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "answer.h"
#include "base/util.h"
#include "html.h"

#define PLACES_MAX 16 /* columns: paths and families */

/* ---- winner map ---- */

struct place {
	const char *path, *family;
};

/* Paths and families that occur, as columns. */
static size_t find_places(const struct report *r, struct place *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < r->cells.n; i++) {
		const struct cell *c = &r->cells.v[i];
		size_t at = 0;

		while (at < n && !(str_eq(ret[at].path, c->path) && str_eq(ret[at].family, c->family)))
			at++;
		if (at == n && n < PLACES_MAX)
			ret[n++] = (struct place){ c->path, c->family };
	}
	return n;
}

static const struct cell *cell_at(const struct report *r, size_t workload, size_t load, const struct place *p)
{
	for (size_t i = 0; i < r->cells.n; i++) {
		const struct cell *c = &r->cells.v[i];

		if (c->workload == workload && c->load == load && str_eq(c->path, p->path) &&
		    str_eq(c->family, p->family))
			return c;
	}
	return NULL;
}

/* "CPU: socket −22 %", or "CPU: nft = socket"; the change is against the incumbent, else against no Service. */
static void place_line(struct strbuf *sb, const struct report *r, const struct cell *c, enum metric m)
{
	enum ref ref = r->ref[REF_PEER] != STRATEGIES_MAX ? REF_PEER : REF_BOUND;
	size_t n = 0;
	char a[NUM_SIZE];

	if (c->n_ranked[m] < 2 || c->few[m])
		return;
	strbuf_addf(sb, "<div><span class=\"dim\">%s</span> ", short_name[m]);
	for (size_t s = 0; s < r->strategies.n; s++) {
		const struct estimate *est = cell_estimate(r, c, s, m);

		if (!est || (!est->best && !est->tied))
			continue;
		strbuf_add(sb, n++ ? " = " : "");
		html_strategy(sb, r, s, KIND_REAL);
		if (est->best && est->vs[ref].n_pairs)
			strbuf_addf(sb, " <span class=\"dim\">%s</span>", fmt_change(a, est->vs[ref].ratio.mid));
	}
	strbuf_add(sb, "</div>");
}

/* The same of all cells of a load together. */
static void pool_line(struct strbuf *sb, const struct report *r, size_t load, enum metric m)
{
	enum ref ref = r->ref[REF_PEER] != STRATEGIES_MAX ? REF_PEER : REF_BOUND;
	CLEANUP_STRBUF struct strbuf names = STRBUF_INIT;
	char a[NUM_SIZE];

	for (size_t s = 0; s < r->strategies.n; s++) {
		const struct pooled *of = pool_of(r, load, s, m);

		if (!of->best && !of->tied)
			continue;
		strbuf_add(&names, names.len ? " = " : "");
		html_strategy(&names, r, s, KIND_REAL);
		if (of->best && of->vs[ref].n_cells)
			strbuf_addf(&names, " <span class=\"dim\">%s</span>", fmt_change(a, of->vs[ref].ratio.mid));
	}
	if (names.len)
		strbuf_addf(sb, "<div><span class=\"dim\">%s</span> %s</div>", short_name[m], names.buf);
}

static void map_row(struct strbuf *sb, const struct report *r, size_t workload, size_t load, const struct place *places,
		    size_t n_places)
{
	strbuf_add(sb, "<tr><th scope=\"row\">");
	strbuf_add_html(sb, r->loads.v[load].name);
	if (r->workloads.n > 1) {
		strbuf_add(sb, "<small>");
		strbuf_add_html(sb, r->workloads.v[workload].name);
		strbuf_add(sb, "</small>");
	}
	strbuf_add(sb, "</th><td class=\"tie\">");
	for (size_t k = 0; k < N_TOLD_METRICS; k++)
		pool_line(sb, r, load, told_metrics[k]);
	strbuf_add(sb, "</td>");
	for (size_t p = 0; p < n_places; p++) {
		const struct cell *c = cell_at(r, workload, load, &places[p]);
		CLEANUP_STRBUF struct strbuf text = STRBUF_INIT;

		for (size_t k = 0; k < N_TOLD_METRICS && c; k++)
			place_line(&text, r, c, told_metrics[k]);
		if (!c)
			strbuf_add(sb, "<td class=\"dim\">not measured</td>");
		else
			strbuf_addf(sb, "<td class=\"tie\">%s</td>", text.len ? text.buf : "no contest");
	}
	strbuf_add(sb, "</tr>\n");
}

static bool load_measured(const struct report *r, size_t workload, size_t load)
{
	for (size_t i = 0; i < r->cells.n; i++)
		if (r->cells.v[i].workload == workload && r->cells.v[i].load == load)
			return true;
	return false;
}

static void scale_map(struct strbuf *sb, const struct report *r)
{
	strbuf_add(
		sb,
		"<div class=\"wide\" tabindex=\"0\"><table class=\"map tight\"><caption>Scale: who is best with so many Services</caption>\n"
		"<thead><tr><th scope=\"col\">Services × endpoints</th>");
	for (int m = 0; m < SCALE_MAX; m++)
		strbuf_addf(sb, "<th scope=\"col\">%s</th>", scale_metrics[m].name);
	strbuf_add(sb, "</tr></thead>\n<tbody>\n");
	for (size_t i = 0, n; i < r->scale.n; i += n) {
		const struct scale_point *p = &r->scale.v[i];
		char a[NUM_SIZE], b[NUM_SIZE];

		for (n = 1; i + n < r->scale.n && p[n].nodes == p->nodes && p[n].endpoints == p->endpoints &&
			    p[n].services == p->services;)
			n++;
		strbuf_addf(sb, "<tr><th scope=\"row\">%s × %s</th>", fmt_count(a, (uint64_t)p->services),
			    fmt_count(b, (uint64_t)p->endpoints));
		for (int m = 0; m < SCALE_MAX; m++) {
			size_t n_first = 0;

			strbuf_add(sb, "<td class=\"tie\">");
			for (size_t k = 0; k < n; k++) {
				if (!p[k].est[m].best && !p[k].est[m].tied)
					continue;
				strbuf_add(sb, n_first++ ? "<br>= " : "");
				html_strategy(sb, r, p[k].strategy, KIND_REAL);
			}
			strbuf_addf(sb, "%s</td>",
				    n_first		      ? "" :
				    p[0].est[m].n < PAIRS_MIN ? "<span class=\"dim\">too few rounds</span>" :
								"<span class=\"dim\">no contest</span>");
		}
		strbuf_add(sb, "</tr>\n");
	}
	html_table_end(sb);
}

void html_winners(struct strbuf *sb, const struct report *r)
{
	struct place places[PLACES_MAX];
	size_t n = find_places(r, places);

	strbuf_add(
		sb,
		"<div class=\"wide\" tabindex=\"0\"><table class=\"map\"><caption>Function: Services (ClusterIP, pod to pod). Best strategy of each "
		"load, path and family; “=” is a tie within the noise floor. Change of the winner against ");
	strbuf_add(sb, r->ref[REF_PEER] != STRATEGIES_MAX ? PEER_NAME : "no Service at all");
	strbuf_add(
		sb,
		".</caption>\n<thead><tr><th scope=\"col\">load</th><th scope=\"col\">all cells of the load together</th>");
	for (size_t p = 0; p < n; p++) {
		strbuf_add(sb, "<th scope=\"col\">");
		strbuf_add_html(sb, path_text(places[p].path));
		strbuf_add(sb, ", ");
		strbuf_add_html(sb, family_text(places[p].family));
		strbuf_add(sb, "</th>");
	}
	strbuf_add(sb, "</tr></thead>\n<tbody>\n");
	for (size_t w = 0; w < r->workloads.n; w++)
		for (size_t l = 0; l < r->loads.n; l++)
			if (load_measured(r, w, l))
				map_row(sb, r, w, l, places, n);
	html_table_end(sb);
	if (r->scale.n)
		scale_map(sb, r);
}

/* ---- at a glance ---- */

static const char *const told_head[N_TOLD_METRICS] = { "CPU", "CPU at full load", "p50", "p99", "rate" };

static void glance_change(struct strbuf *sb, const struct report *r, size_t s, enum ref ref, enum metric m)
{
	struct ref_sum sum = sum_against(r, s, ref, m);
	const char *class = sum.n_better && !sum.n_worse	   ? "better" :
			    sum.n_worse && !sum.n_better	   ? "worse" :
			    sum.n && !sum.n_better && !sum.n_worse ? "tie" :
								     "";
	struct interval range = { .low = sum.low, .high = sum.high };
	char a[NUM_SIZE];

	if (sum.n == 0) {
		strbuf_add(sb, "<td class=\"dim\">–</td>");
		return;
	}
	strbuf_addf(sb, "<td class=\"num %s\">%s", class, fmt_change(a, sum.median));
	if (sum.n > 1)
		strbuf_addf(sb, "<small>%s</small>", fmt_change_interval(a, &range));
	strbuf_addf(sb, "<small>▲ %zu = %zu ▼ %zu</small></td>", sum.n_better, sum.n_tie, sum.n_worse);
}

static void glance_places(struct strbuf *sb, const struct report *r, size_t s)
{
	size_t n = 0, n_best = 0, n_tied = 0;

	for (size_t i = 0; i < r->cells.n; i++)
		for (size_t k = 0; k < N_TOLD_METRICS; k++) {
			const struct estimate *est = cell_estimate(r, &r->cells.v[i], s, told_metrics[k]);

			if (!est || r->cells.v[i].n_ranked[told_metrics[k]] < 2)
				continue;
			n++;
			n_best += est->best;
			n_tied += est->tied;
		}
	strbuf_addf(sb, "<td class=\"num\">%zu of %zu<small>%zu shared</small></td>", n_best + n_tied, n, n_tied);
}

static void glance_scale(struct strbuf *sb, const struct report *r, size_t s, const struct scale_point *at,
			 enum scale_metric m)
{
	const struct scale_point *p = scale_find(r, s, at->nodes, at->services, at->endpoints);
	char a[NUM_SIZE];

	if (!p || !p->est[m].n) {
		strbuf_add(sb, "<td class=\"dim\">–</td>");
		return;
	}
	strbuf_addf(sb, "<td class=\"num\">%s", fmt_value(a, scale_metrics[m].quantity, p->est[m].median.mid));
	if (p->est[m].vs[REF_PEER].n_pairs)
		strbuf_addf(sb, "<small>%s</small>", fmt_change(a, p->est[m].vs[REF_PEER].ratio.mid));
	strbuf_add(sb, "</td>");
}

static void glance_head(struct strbuf *sb, const struct report *r, const struct scale_point *at)
{
	char a[NUM_SIZE], b[NUM_SIZE];

	strbuf_add(
		sb,
		"<div class=\"wide\" tabindex=\"0\"><table class=\"tight\"><caption>Strategies at a glance: change in the median cell, range over the cells, and in how "
		"many cells it is better ▲, a tie =, or worse ▼</caption>\n<thead><tr><th rowspan=\"2\" scope=\"col\">strategy</th><th "
		"rowspan=\"2\" scope=\"col\">first places</th>");
	for (int ref = REF_MAX - 1; ref >= 0; ref--)
		if (r->ref[ref] != STRATEGIES_MAX) {
			strbuf_addf(sb, "<th colspan=\"%d\" scope=\"colgroup\">against ", N_TOLD_METRICS);
			strbuf_add_html(sb, ref == REF_PEER ? PEER_NAME : "no Service at all");
			strbuf_add(sb, "</th>");
		}
	if (at)
		strbuf_addf(sb, "<th colspan=\"3\" scope=\"colgroup\">with %s Services × %s endpoints</th>",
			    fmt_count(a, (uint64_t)at->services), fmt_count(b, (uint64_t)at->endpoints));
	strbuf_add(sb, "</tr>\n<tr>");
	for (int ref = REF_MAX - 1; ref >= 0; ref--)
		for (size_t k = 0; k < N_TOLD_METRICS && r->ref[ref] != STRATEGIES_MAX; k++)
			strbuf_addf(sb, "<th scope=\"col\" class=\"num\">%s</th>", told_head[k]);
	if (at)
		strbuf_add(
			sb,
			"<th scope=\"col\" class=\"num\">from nothing</th><th scope=\"col\" class=\"num\">one change</th><th "
			"scope=\"col\" class=\"num\">kernel memory</th>");
	strbuf_add(sb, "</tr></thead>\n<tbody>\n");
}

static void glance(struct strbuf *sb, const struct report *r)
{
	const struct scale_point *at = scale_largest(r);

	glance_head(sb, r, at);
	for (size_t s = 0; s < r->strategies.n; s++) {
		if (!strategy_ranked(r, s))
			continue;
		strbuf_add(sb, "<tr><th scope=\"row\">");
		html_strategy(sb, r, s, KIND_REAL);
		strbuf_add(sb, "</th>");
		glance_places(sb, r, s);
		for (int ref = REF_MAX - 1; ref >= 0; ref--)
			for (size_t k = 0; k < N_TOLD_METRICS && r->ref[ref] != STRATEGIES_MAX; k++)
				glance_change(sb, r, s, ref, told_metrics[k]);
		if (at) {
			glance_scale(sb, r, s, at, SCALE_FROM_EMPTY);
			glance_scale(sb, r, s, at, SCALE_IN_FORCE);
			glance_scale(sb, r, s, at, SCALE_KERNEL);
		}
		strbuf_add(sb, "</tr>\n");
	}
	html_table_end(sb);
}

/* ---- load by load ---- */

static void pool_td(struct strbuf *sb, const struct pool *p)
{
	static const char *const class[VERDICT_MAX] = {
		[VERDICT_TIE] = "tie", [VERDICT_BETTER] = "better", [VERDICT_WORSE] = "worse"
	};
	static const char *const mark[VERDICT_MAX] = {
		[VERDICT_TIE] = "=", [VERDICT_BETTER] = "▲", [VERDICT_WORSE] = "▼"
	};
	char a[NUM_SIZE];

	if (p->n_cells == 0) {
		strbuf_add(sb, "<td class=\"dim\">–</td>");
		return;
	}
	strbuf_addf(sb, "<td class=\"num %s\">%s %s", class[p->verdict], mark[p->verdict], fmt_change(a, p->ratio.mid));
	strbuf_addf(sb, "<small>%s</small>", fmt_change_interval(a, &p->ratio));
	if (p->n_cells > 1)
		strbuf_addf(sb, "<small>lower in %zu of %zu</small>", p->n_under, p->n_cells);
	strbuf_add(sb, "</td>");
}

static bool is_pooled(const struct report *r, size_t load, enum ref ref)
{
	for (size_t s = 0; s < r->strategies.n; s++)
		for (int m = 0; m < METRIC_MAX; m++)
			if (strategy_ranked(r, s) && pool_of(r, load, s, m)->vs[ref].n_cells)
				return true;
	return false;
}

/* Against the incumbent, or where it took no part against no Service at all. */
static void load_by_load(struct strbuf *sb, const struct report *r)
{
	enum ref ref = r->ref[REF_PEER] != STRATEGIES_MAX ? REF_PEER : REF_BOUND;

	if (!is_pooled(r, r->loads.n, ref))
		return;
	strbuf_addf(
		sb,
		"<div class=\"wide\" tabindex=\"0\"><table class=\"tight\"><caption>Load by load, against %s: all paths, families and workloads of "
		"a load together (geometric mean of the cells, 95 %% interval; ▲ better, ▼ worse, = a tie within the noise "
		"floor of the same cells)</caption>\n<thead><tr><th rowspan=\"2\" scope=\"col\">load</th>",
		ref == REF_PEER ? PEER_NAME : "no Service at all");
	for (size_t s = 0; s < r->strategies.n; s++)
		if (strategy_ranked(r, s) && s != r->ref[ref]) {
			strbuf_addf(sb, "<th colspan=\"%d\" scope=\"colgroup\">", N_TOLD_METRICS);
			html_strategy(sb, r, s, KIND_REAL);
			strbuf_add(sb, "</th>");
		}
	strbuf_add(sb, "</tr>\n<tr>");
	for (size_t s = 0; s < r->strategies.n; s++)
		for (size_t k = 0; k < N_TOLD_METRICS && strategy_ranked(r, s) && s != r->ref[ref]; k++)
			strbuf_addf(sb, "<th scope=\"col\" class=\"num\">%s</th>", told_head[k]);
	strbuf_add(sb, "</tr></thead>\n<tbody>\n");
	for (size_t l = 0; l <= r->loads.n; l++) {
		if (!is_pooled(r, l, ref))
			continue;
		strbuf_add(sb, "<tr><th scope=\"row\">");
		strbuf_add_html(sb, l < r->loads.n ? r->loads.v[l].name : "all of them");
		strbuf_add(sb, "</th>");
		for (size_t s = 0; s < r->strategies.n; s++)
			for (size_t k = 0; k < N_TOLD_METRICS && strategy_ranked(r, s) && s != r->ref[ref]; k++)
				pool_td(sb, &pool_of(r, l, s, told_metrics[k])->vs[ref]);
		strbuf_add(sb, "</tr>\n");
	}
	html_table_end(sb);
}

void html_answer(struct strbuf *sb, const struct report *r)
{
	size_t n_services = 0;

	for (size_t s = 0; s < r->strategies.n; s++)
		n_services += strategy_ranked(r, s);
	if (n_services < 2 && r->lines.n == 0)
		return;
	strbuf_add(sb, "<section id=\"answer\">\n<h2>Which, when, by how much, and what it costs</h2>\n");
	if (n_services > 1) {
		glance(sb, r);
		load_by_load(sb, r);
	}
	if (r->lines.n) {
		strbuf_add(sb, "<ul class=\"lines\">\n");
		for (size_t i = 0; i < r->lines.n; i++) {
			strbuf_add(sb, "<li>");
			strbuf_add_html(sb, r->lines.v[i]);
			strbuf_add(sb, "</li>\n");
		}
		strbuf_add(sb, "</ul>\n");
	}
	strbuf_add(sb, "</section>\n");
}
