/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables of the experiments (sweeps, scale, idle, faults, the CPU meter), and the published figures beside them. Called by html.c. */
#include <inttypes.h>
#include <math.h>

#include "answer.h"
#include "base/util.h"
#include "html.h"
#include "published.h"

#define CPU_CHECK_MAX 0.03 /* EVALUATION.md rule 1 */

static const char *const ref_word[REF_MAX] = { "no Service", PEER_NAME };

/* "<td>1.20 ms<small>1.10 to 1.30</small><small>−12 % against kube-proxy</small></td>" */
static void estimate_td(struct strbuf *sb, const struct estimate *est, enum quantity q, const char *class)
{
	char a[NUM_SIZE], b[NUM_SIZE];

	if (!est || !est->n) {
		strbuf_add(sb, "<td class=\"dim\">–</td>");
		return;
	}
	strbuf_addf(sb, "<td class=\"num %s\">%s", class, fmt_value(a, q, est->median.mid));
	if (est->n > 1)
		strbuf_addf(sb, "<small>%s</small>", fmt_interval(a, q, &est->median));
	for (int ref = REF_MAX - 1; ref >= 0; ref--) {
		const struct against *vs = &est->vs[ref];

		if (!vs->n_pairs)
			continue;
		strbuf_addf(sb, "<small>%s (%s) against %s</small>", fmt_change(a, vs->ratio.mid),
			    fmt_change_interval(b, &vs->ratio), ref_word[ref]);
		break;
	}
	strbuf_add(sb, "</td>");
}

static void strategy_heads(struct strbuf *sb, const struct report *r, const char *first)
{
	strbuf_add(sb, "<thead><tr><th scope=\"col\">");
	strbuf_add_html(sb, first);
	strbuf_add(sb, "</th>");
	for (size_t s = 0; s < r->strategies.n; s++) {
		strbuf_add(sb, "<th scope=\"col\" class=\"num\">");
		html_strategy(sb, r, s, KIND_REAL);
		strbuf_add(sb, "</th>");
	}
	strbuf_add(sb, "</tr></thead>\n<tbody>\n");
}

/* ---- sweeps ---- */

static const char *axis_text(const char *axis)
{
	return str_eq(axis, "offered")	    ? "offered, per second" :
	       str_eq(axis, "size")	    ? "bytes of a message" :
	       str_eq(axis, "live")	    ? "live connections" :
	       str_eq(axis, "updates")	    ? "changes per second, of a Service not asked" :
	       str_eq(axis, "updates-same") ? "changes per second, of the Service asked" :
					      axis;
}

static void objective_table(struct strbuf *sb, const struct report *r)
{
	bool any = false;

	for (size_t i = 0; i < r->curves.n; i++) {
		const struct curve *c = &r->curves.v[i];
		CLEANUP_STRBUF struct strbuf label = STRBUF_INIT;

		if (!str_eq(r->sweeps.v[c->first].axis, "offered"))
			continue;
		if (!any) {
			html_table_begin(
				sb,
				"Largest offered load up to which p99 stays within 1 ms and 95 % of what is offered is carried");
			strategy_heads(sb, r, "cell");
		}
		any = true;
		(void)cell_label(r, &r->sweeps.v[c->first], &label); /* an empty label then */
		strbuf_add(sb, "<tr><th scope=\"row\">");
		strbuf_add_html(sb, label.buf ? label.buf : "");
		strbuf_add(sb, "</th>");
		for (size_t s = 0; s < r->strategies.n; s++) {
			bool all;
			double x = curve_largest_load(r, c, s, &all);
			char a[NUM_SIZE];

			if (isnan(x))
				strbuf_add(sb, "<td class=\"dim\">–</td>");
			else if (x <= 0)
				strbuf_addf(sb, "<td class=\"num\">under %s</td>",
					    fmt_value(a, QUANTITY_PER_S, r->sweeps.v[c->first].x));
			else
				strbuf_addf(sb, "<td class=\"num\">%s%s</td>", all ? "≥ " : "",
					    fmt_value(a, QUANTITY_PER_S, x));
		}
		strbuf_add(sb, "</tr>\n");
	}
	if (any)
		html_table_end(sb);
}

static void curve_table(struct strbuf *sb, const struct report *r, const struct curve *c, enum metric m)
{
	const struct cell *p = &r->sweeps.v[c->first];
	CLEANUP_STRBUF struct strbuf caption = STRBUF_INIT;
	bool there = false;

	for (size_t i = c->first; i < c->first + c->n; i++)
		for (size_t s = 0; s < r->strategies.n; s++)
			there = there || cell_estimate(r, &r->sweeps.v[i], s, m);
	if (!there)
		return;
	(void)cell_label(r, p, &caption); /* an empty caption then */
	strbuf_addf(&caption, ": %s", metric_name(r, p, m));
	html_table_begin(sb, caption.buf ? caption.buf : "");
	strategy_heads(sb, r, axis_text(p->axis));
	for (size_t i = c->first; i < c->first + c->n; i++) {
		char a[NUM_SIZE];

		strbuf_addf(sb, "<tr><th scope=\"row\" class=\"num\">%s</th>",
			    fmt_count(a, (uint64_t)r->sweeps.v[i].x));
		for (size_t s = 0; s < r->strategies.n; s++) {
			const struct estimate *est = cell_estimate(r, &r->sweeps.v[i], s, m);

			estimate_td(sb, est, quantity_of(r, &r->sweeps.v[i], m),
				    est && est->best ? "better" :
				    est && est->tied ? "tie" :
						       "");
		}
		strbuf_add(sb, "</tr>\n");
	}
	html_table_end(sb);
}

static void changes_table(struct strbuf *sb, const struct report *r, const struct curve *c)
{
	const struct cell *p = &r->sweeps.v[c->first + c->n - 1]; /* at the most changes */
	bool any = false;

	for (size_t s = 0; s < r->strategies.n; s++) {
		const struct series *at = cell_series(r, p, s);
		char a[NUM_SIZE], b[NUM_SIZE];

		if (!at || !at->n_changes)
			continue;
		if (!any) {
			html_table_begin(sb, "At the most changes per second, all rounds");
			strbuf_add(
				sb,
				"<thead><tr><th scope=\"col\">strategy</th><th scope=\"col\" class=\"num\">changes made</th><th "
				"scope=\"col\" class=\"num\">connections broken</th><th scope=\"col\" class=\"num\">in force after, "
				"median</th><th scope=\"col\" class=\"num\">p99</th></tr></thead>\n<tbody>\n");
		}
		any = true;
		strbuf_add(sb, "<tr><th scope=\"row\">");
		html_strategy(sb, r, s, at->kind);
		strbuf_addf(sb, "</th><td class=\"num\">%s</td><td class=\"num%s\">%s</td>",
			    fmt_count(a, at->n_changes), at->n_broken ? " bad" : "", fmt_count(b, at->n_broken));
		if (at->in_force.n)
			strbuf_addf(sb, "<td class=\"num\">%s</td><td class=\"num\">%s</td></tr>\n",
				    fmt_value(a, QUANTITY_NS, stats_median(at->in_force.v, at->in_force.n)),
				    fmt_value(b, QUANTITY_NS, stats_quantile(at->in_force.v, at->in_force.n, 0.99)));
		else
			strbuf_add(sb, "<td class=\"dim\">–</td><td class=\"dim\">–</td></tr>\n");
	}
	if (any)
		html_table_end(sb);
}

static void sweeps(struct strbuf *sb, const struct report *r)
{
	static const enum metric shown[] = { METRIC_P50, METRIC_P99, METRIC_RATE, METRIC_CPU, METRIC_CPU_FULL };

	if (r->curves.n == 0)
		return;
	strbuf_add(sb, "<h3>Along an axis</h3>\n");
	objective_table(sb, r);
	for (size_t i = 0; i < r->curves.n; i++) {
		const struct curve *c = &r->curves.v[i];
		const struct cell *p = &r->sweeps.v[c->first];
		CLEANUP_STRBUF struct strbuf label = STRBUF_INIT;

		(void)cell_label(r, p, &label); /* an empty label then */
		strbuf_add(sb, "<details><summary>");
		strbuf_add_html(sb, label.buf ? label.buf : "");
		strbuf_add(sb, ": ");
		strbuf_add_html(sb, axis_text(p->axis));
		strbuf_add(sb, "</summary>\n");
		for (size_t k = 0; k < ARRAY_LEN(shown); k++)
			curve_table(sb, r, c, shown[k]);
		changes_table(sb, r, c);
		strbuf_add(sb, "</details>\n");
	}
}

/* ---- scale ---- */

static void scale_table(struct strbuf *sb, const struct report *r, enum scale_metric m)
{
	html_table_begin(sb, scale_metrics[m].name);
	strategy_heads(sb, r, "nodes, Services × endpoints");
	for (size_t i = 0; i < r->scale.n; i++) {
		const struct scale_point *at = &r->scale.v[i];
		char a[NUM_SIZE], b[NUM_SIZE];

		if (i && at->nodes == at[-1].nodes && at->services == at[-1].services &&
		    at->endpoints == at[-1].endpoints)
			continue;
		strbuf_addf(sb, "<tr><th scope=\"row\">%" PRId64 ", %s × %s</th>", at->nodes,
			    fmt_count(a, (uint64_t)at->services), fmt_count(b, (uint64_t)at->endpoints));
		for (size_t s = 0; s < r->strategies.n; s++) {
			const struct scale_point *p = scale_find(r, s, at->nodes, at->services, at->endpoints);

			estimate_td(sb, p ? &p->est[m] : NULL, scale_metrics[m].quantity,
				    p && p->est[m].best ? "better" :
				    p && p->est[m].tied ? "tie" :
							  "");
		}
		strbuf_add(sb, "</tr>\n");
	}
	html_table_end(sb);
}

static void scale(struct strbuf *sb, const struct report *r)
{
	if (r->scale.n == 0)
		return;
	strbuf_add(sb, "<details><summary>What the number of Services costs</summary>\n");
	for (int m = 0; m < SCALE_MAX; m++) {
		bool any = false;

		for (size_t i = 0; i < r->scale.n; i++)
			any = any || r->scale.v[i].est[m].n;
		if (any)
			scale_table(sb, r, m);
	}
	for (size_t i = 0; i < r->scale.n; i++)
		if (r->scale.v[i].why) {
			strbuf_addf(sb, "<p class=\"note\">%" PRId64 " Services under ", r->scale.v[i].services);
			strbuf_add_html(sb, r->strategies.v[r->scale.v[i].strategy].name);
			strbuf_add(sb, ": ");
			strbuf_add_html(sb, r->scale.v[i].why);
			strbuf_add(sb, "</p>\n");
		}
	strbuf_add(sb, "</details>\n");
}

/* ---- idle, faults ---- */

static void idle(struct strbuf *sb, const struct report *r)
{
	if (r->idle.n == 0)
		return;
	strbuf_add(sb, "<details><summary>Idle cost</summary>\n");
	html_table_begin(sb, "While nothing is asked");
	strbuf_add(
		sb,
		"<thead><tr><th scope=\"col\">workload</th><th scope=\"col\">strategy</th><th scope=\"col\" "
		"class=\"num\">CPU</th><th scope=\"col\" class=\"num\">memory of standing processes</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < r->idle.n; i++) {
		const struct idle_rec *at = &r->idle.v[i];

		strbuf_add(sb, "<tr>");
		html_td(sb, r->workloads.v[at->workload].name);
		strbuf_add(sb, "<td>");
		html_strategy(sb, r, r->arms.v[at->arm].strategy, KIND_REAL);
		strbuf_add(sb, r->arms.v[at->arm].twin ? " (A/A)</td>" : "</td>");
		estimate_td(sb, &at->est_cores, QUANTITY_CORES, "");
		if (at->est_process.n && at->est_process.median.high <= 0)
			strbuf_add(sb, "<td class=\"num\">none stands</td>");
		else
			estimate_td(sb, &at->est_process, QUANTITY_KIB, "");
		strbuf_add(sb, "</tr>\n");
	}
	html_table_end(sb);
	strbuf_add(sb, "</details>\n");
}

static void count_td(struct strbuf *sb, uint64_t n, bool bad)
{
	char a[NUM_SIZE];

	strbuf_addf(sb, "<td class=\"num%s\">%s</td>", n && bad ? " bad" : "", fmt_count(a, n));
}

static void faults(struct strbuf *sb, const struct report *r)
{
	if (r->faults.n == 0)
		return;
	strbuf_add(sb, "<details><summary>Faults</summary>\n");
	html_table_begin(sb, "Around a fault; sums over rounds, outage and repair as medians");
	strbuf_add(
		sb,
		"<thead><tr><th scope=\"col\">workload</th><th scope=\"col\">fault</th><th scope=\"col\">strategy</th><th "
		"scope=\"col\" class=\"num\">rounds</th><th scope=\"col\" class=\"num\">sent</th><th scope=\"col\" "
		"class=\"num\">lost</th><th scope=\"col\" class=\"num\">broken</th><th scope=\"col\" class=\"num\">wrong</th><th "
		"scope=\"col\" class=\"num\">outage</th><th scope=\"col\" class=\"num\">until all is well</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < r->faults.n; i++) {
		const struct fault_rec *f = &r->faults.v[i];

		strbuf_add(sb, "<tr>");
		html_td(sb, r->workloads.v[f->workload].name);
		html_td(sb, f->fault);
		strbuf_add(sb, "<td>");
		html_strategy(sb, r, r->arms.v[f->arm].strategy, KIND_REAL);
		strbuf_add(sb, r->arms.v[f->arm].twin ? " (A/A)</td>" : "</td>");
		count_td(sb, f->n_rounds, false);
		count_td(sb, f->n_sent, false);
		count_td(sb, f->n_lost, false);
		count_td(sb, f->n_broken, false);
		count_td(sb, f->n_wrong, true);
		estimate_td(sb, &f->est_outage, QUANTITY_NS, "");
		estimate_td(sb, &f->est_repair, QUANTITY_NS, "");
		strbuf_add(sb, "</tr>\n");
	}
	html_table_end(sb);
	strbuf_add(sb, "</details>\n");
}

static void cpu_checks(struct strbuf *sb, const struct report *r)
{
	if (r->cpu_checks.n == 0)
		return;
	strbuf_add(sb, "<details><summary>The CPU meter against loads of a stated size</summary>\n");
	html_table_begin(sb, "Wanted: within 3 %");
	strbuf_add(sb,
		   "<thead><tr><th scope=\"col\">load</th><th scope=\"col\" class=\"num\">stated</th><th scope=\"col\" "
		   "class=\"num\">measured</th><th scope=\"col\" class=\"num\">off by</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < r->cpu_checks.n; i++) {
		const struct cpu_check *c = &r->cpu_checks.v[i];
		double ratio = c->stated > 0 ? c->measured / c->stated : NAN;
		char a[NUM_SIZE], b[NUM_SIZE], d[NUM_SIZE];

		strbuf_add(sb, "<tr>");
		html_td(sb, c->what);
		strbuf_addf(sb, "<td class=\"num\">%s</td><td class=\"num\">%s</td><td class=\"num%s\">%s</td></tr>\n",
			    fmt_value(a, QUANTITY_CORES, c->stated), fmt_value(b, QUANTITY_CORES, c->measured),
			    isnan(ratio) || fabs(ratio - 1) > CPU_CHECK_MAX ? " bad" : "",
			    isnan(ratio) ? "–" : fmt_change(d, ratio));
	}
	html_table_end(sb);
	strbuf_add(sb, "</details>\n");
}

void html_experiments(struct strbuf *sb, const struct report *r)
{
	if (r->curves.n + r->scale.n + r->idle.n + r->faults.n + r->cpu_checks.n == 0)
		return;
	strbuf_add(sb, "<section id=\"experiments\">\n<h2>Experiments as tables</h2>\n");
	sweeps(sb, r);
	scale(sb, r);
	idle(sb, r);
	faults(sb, r);
	cpu_checks(sb, r);
	strbuf_add(sb, "</section>\n");
}

void html_published(struct strbuf *sb, const struct report *r)
{
	(void)r; /* the same beside every run */
	strbuf_add(
		sb,
		"<section id=\"published\">\n<h2>Published by others</h2>\n<details><summary>Figures to stand beside: other "
		"machines; not measured here</summary>\n");
	html_table_begin(sb, "Published by others, on other machines; not measured here, and never in our bars");
	strbuf_add(sb,
		   "<thead><tr><th scope=\"col\">source</th><th scope=\"col\">figure</th><th scope=\"col\">beside our "
		   "load</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < n_published; i++) {
		strbuf_add(sb, "<tr>");
		html_td(sb, published[i].source);
		html_td(sb, published[i].figure);
		html_td(sb, published[i].beside);
		strbuf_add(sb, "</tr>\n");
	}
	html_table_end(sb);
	strbuf_add(sb, "</details>\n</section>\n");
}
