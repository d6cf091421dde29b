/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The figures on the page, and how to make each again. Called by html.c. */
#include "base/util.h"
#include "html.h"

static const char *const group_title[GROUP_MAX] = {
	[GROUP_CHANGE] = "Change against no Service at all",
	[GROUP_CPU] = "CPU per request",
	[GROUP_RATE] = "Request rate",
	[GROUP_LATENCY] = "Latency percentiles",
	[GROUP_CDF] = "Distribution of latency",
};

static const char *const group_text[GROUP_MAX] = {
	[GROUP_CHANGE] =
		"Median of the ratios within rounds, 95 % interval; the band is the noise floor (A/A). What touches the band is a tie.",
	[GROUP_CPU] =
		"Client, server and network together. Grey: the same requests without any Service. Coloured: what the strategy adds (Service cost) or saves, with the 95 % interval of the paired "
		"difference.",
	[GROUP_RATE] = "Closed loop: as fast as the connections allow, 95 % interval.",
	[GROUP_LATENCY] =
		"Open loop at a fixed rate: medians over rounds of each slice's percentiles, with 95 % intervals.",
	[GROUP_CDF] = "All requests of all open-loop slices together; logarithmic.",
};

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

static void add_group(struct strbuf *sb, const struct figures *f, size_t workload, enum figure_group group)
{
	bool any = false;

	for (size_t i = 0; i < f->v.n; i++) {
		if (f->v.v[i].workload != workload || f->v.v[i].group != group)
			continue;
		if (!any)
			strbuf_addf(sb, "<h3>%s</h3>\n<p class=\"note\">%s</p>\n<div class=\"figures\">\n",
				    group_title[group], group_text[group]);
		any = true;
		add_figure(sb, &f->v.v[i]);
	}
	if (any)
		strbuf_add(sb, "</div>\n");
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
			add_group(sb, f, w, g);
		strbuf_add(sb, r->workloads.n > 1 ? "</details>\n" : "");
		first = false;
	}
	if (first)
		strbuf_add(sb, "<p>There is nothing to draw.</p>\n");
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
