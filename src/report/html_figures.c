/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The figures on the page, and how to make each again. Called by html.c. */
#include "base/util.h"
#include "html.h"

static void add_figure(struct strbuf *sb, const struct figure *fig)
{
	strbuf_addf(sb, "<figure id=\"fig-%s\">\n", fig->stem);
	if (fig->svg)
		strbuf_add(sb, fig->svg);
	else
		strbuf_add(sb, "<p class=\"note\">Not drawn.</p>");
	strbuf_add(sb, "\n<figcaption>");
	strbuf_add_html(sb, fig->title);
	strbuf_addf(sb, ". <a href=\"%s.csv\">.csv</a> <a href=\"%s.gp\">.gp</a>", fig->stem, fig->stem);
	if (fig->svg)
		strbuf_addf(sb, " <a href=\"%s.svg\">.svg</a>", fig->stem);
	strbuf_add(sb, "</figcaption>\n</figure>\n");
}

static void add_group(struct strbuf *sb, const struct figures *f, size_t workload, enum figure_group group, bool first)
{
	const struct group_info *info = &figure_groups[group];
	bool any = false;

	for (size_t i = 0; i < f->v.n; i++) {
		if (f->v.v[i].workload != workload || f->v.v[i].group != group)
			continue;
		if (!any)
			strbuf_addf(
				sb,
				"<details%s><summary>%s</summary>\n<p class=\"note\">%s</p>\n<div class=\"figures\">\n",
				info->open && first ? " open" : "", info->title, info->text);
		any = true;
		add_figure(sb, &f->v.v[i]);
	}
	if (any)
		strbuf_add(sb, "</div></details>\n");
}

static bool workload_has_figures(const struct figures *f, size_t workload)
{
	for (size_t i = 0; i < f->v.n; i++)
		if (f->v.v[i].workload == workload)
			return true;
	return false;
}

static void add_gnuplot_remark(struct strbuf *sb, const struct figures *f)
{
	if (f->no_gnuplot) {
		strbuf_add(
			sb,
			"<p class=\"remark warning\">gnuplot was not found, so no picture is drawn. The tables hold all the numbers; the .csv and .gp "
			"files are there: install gnuplot and run <code>offkube report</code> on this folder.</p>\n");
	} else if (f->why[0]) {
		strbuf_add(sb, "<p class=\"remark warning\">gnuplot failed, so some pictures are missing: ");
		strbuf_add_html(sb, f->why);
		strbuf_add(sb, "</p>\n");
	}
	if (f->n_not_drawn)
		strbuf_addf(
			sb,
			"<p class=\"note\">%zu cells have no figures of their own (the first %d have); the tables hold all.</p>\n",
			f->n_not_drawn, FIGURE_CELLS_MAX);
}

void html_figures(struct strbuf *sb, const struct report *r, const struct figures *f)
{
	bool first = true;

	strbuf_add(sb, "<section id=\"figures\">\n<h2>Figures</h2>\n");
	add_gnuplot_remark(sb, f);
	for (size_t w = 0; w < r->workloads.n; w++) {
		if (!workload_has_figures(f, w))
			continue;
		if (r->workloads.n > 1) {
			strbuf_addf(sb, "<details%s><summary>", first ? " open" : "");
			strbuf_add_html(sb, r->workloads.v[w].name);
			strbuf_add(sb, "</summary>\n");
		}
		for (int g = 0; g < GROUP_MAX; g++)
			add_group(sb, f, w, g, first);
		strbuf_add(sb, r->workloads.n > 1 ? "</details>\n" : "");
		first = false;
	}
	for (int g = 0; g < GROUP_MAX; g++)
		add_group(sb, f, FIGURE_NO_WORKLOAD, g, true);
	if (f->v.n == 0)
		strbuf_add(sb, "<p>There is nothing to draw.</p>\n");
	strbuf_add(
		sb,
		"<p class=\"note\">Not among the figures, with the reason: watts and joules (no energy counter was read); table occupancy (these tiers hold "
		"entries in memory, there is no table to fill); line rate (the wires are veth pairs); prediction against measurement (nothing "
		"predicts yet).</p>\n");
	strbuf_add(sb, "</section>\n");
}

void html_remake(struct strbuf *sb, const struct report *r, const struct figures *f)
{
	strbuf_add(
		sb,
		"<section id=\"again\">\n<h2>Make it again</h2>\n<p>The measurement, on a machine of yours:</p>\n<pre><code>");
	strbuf_add_html(sb, r->run.command);
	strbuf_add(
		sb,
		"</code></pre>\n<p>This page and all figures, from the records alone (in this folder):</p>\n<pre><code>offkube report .</code></pre>\n");
	if (f->v.n) {
		strbuf_add(sb, "<details><summary>One figure</summary>\n");
		html_table_begin(sb, "Each figure is drawn from the .csv of the same name");
		strbuf_add(
			sb,
			"<thead><tr><th scope=\"col\">figure</th><th scope=\"col\">command</th></tr></thead>\n<tbody>\n");
		for (size_t i = 0; i < f->v.n; i++) {
			strbuf_addf(sb, "<tr><td><a href=\"#fig-%s\">", f->v.v[i].stem);
			strbuf_add_html(sb, f->v.v[i].title);
			strbuf_addf(sb, "</a></td><td><code>gnuplot %s.gp</code></td></tr>\n", f->v.v[i].stem);
		}
		html_table_end(sb);
		strbuf_add(sb, "</details>\n");
	}
	strbuf_add(sb, "</section>\n");
}
