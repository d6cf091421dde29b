/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all figures share: colours, quoting, the head of a .gp file. Called by figures.c, figure_rows.c, figure_cell.c and the page. */
#include <math.h>
#include <string.h>

#include "base/util.h"
#include "figure.h"

/* After Okabe and Ito: told apart by the colour-blind. A strategy keeps its colour on every page. */
static const struct {
	const char *strategy, *colour;
} colours[] = {
	{ "none", "#7f7f7f" },	 { "nft", "#0072b2" },	  { "kube-proxy", "#e69f00" },
	{ "socket", "#009e73" }, { "tc", "#56b4e9" },	  { "xdp", "#d55e00" },
	{ "nic", "#cc79a7" },	 { "switch", "#8c6d00" }, { "auto", "#882255" },
};
static const char *const spare_colours[] = { "#332288", "#117733", "#aa4499", "#44aa99", "#999933", "#661100" };

const char *strategy_colour(const struct report *r, size_t strategy)
{
	size_t n_unknown = 0;

	for (size_t s = 0; s <= strategy; s++) {
		const char *known = NULL;

		for (size_t i = 0; i < ARRAY_LEN(colours) && !known; i++)
			if (str_eq(colours[i].strategy, r->strategies.v[s].name))
				known = colours[i].colour;
		if (s == strategy && known)
			return known;
		n_unknown += !known;
	}
	return spare_colours[(n_unknown - 1) % ARRAY_LEN(spare_colours)];
}

int strategy_point(size_t strategy, enum kind kind)
{
	static const int hollow[] = { 6, 4, 8, 12, 10, 14 }; /* filled: one more */

	return hollow[strategy % ARRAY_LEN(hollow)] + (kind == KIND_REAL);
}

/* No quote, backquote or backslash gets into a gnuplot program. */
void gp_text(struct strbuf *sb, const char *s)
{
	strbuf_add_char(sb, '\'');
	for (; *s; s++) {
		if (*s == '\'')
			strbuf_add(sb, "\u2019");
		else
			strbuf_add_char(sb, *s == '`' || *s == '\\' ? ' ' : *s);
	}
	strbuf_add_char(sb, '\'');
}

void csv_text(struct strbuf *sb, const char *s)
{
	strbuf_add_char(sb, '"');
	for (; *s; s++) {
		if (*s == '"')
			strbuf_add_char(sb, '"');
		strbuf_add_char(sb, *s);
	}
	strbuf_add_char(sb, '"');
}

void add_series_name(struct strbuf *sb, const struct report *r, size_t strategy, enum kind kind)
{
	strbuf_add(sb, r->strategies.v[strategy].name);
	if (kind != KIND_REAL)
		strbuf_addf(sb, " (%s)", record_kind_name[kind]);
}

/* gnuplot would end at full decades and label only those. */
void gp_log_axis(struct strbuf *sb, char axis, double low, double high)
{
	static const double coarse[] = { 1, 2, 5 }, fine[] = { 1, 1.5, 2, 3, 4, 5, 6, 8 };
	bool narrow = high / low < 8;
	const double *steps = narrow ? fine : coarse;
	size_t n_steps = narrow ? ARRAY_LEN(fine) : ARRAY_LEN(coarse);
	const char *between = "";

	low *= 0.93;
	high *= 1.07;
	strbuf_addf(sb, "set logscale %c\nset %crange [%.4g:%.4g]\nset %ctics (", axis, axis, low, high, axis);
	for (double decade = pow(10, floor(log10(low))); decade <= high; decade *= 10)
		for (size_t i = 0; i < n_steps; i++)
			if (decade * steps[i] >= low && decade * steps[i] <= high) {
				strbuf_addf(sb, "%s'%.10g' %.10g", between, decade * steps[i], decade * steps[i]);
				between = ", ";
			}
	strbuf_add(sb, ")\n");
}

void sketch_begin(struct sketch *k)
{
	strbuf_add(&k->gp, "# ");
	strbuf_add(&k->gp, k->fig.title);
	strbuf_addf(&k->gp, "\n# Made from the records by offkube. Again, in this folder: gnuplot %s.gp\n",
		    k->fig.stem);
	strbuf_addf(&k->gp,
		    "reset session\n"
		    "set encoding utf8\n"
		    "set terminal svg size %d,%d dynamic font 'sans-serif,13' noenhanced background '#ffffff'\n"
		    "set output '%s.svg'\n"
		    "set datafile separator ','\n"
		    "set border 3 linecolor rgb '#444444'\n"
		    "set tics nomirror textcolor rgb '#444444'\n"
		    "set xlabel textcolor rgb '#444444'\n"
		    "set ylabel textcolor rgb '#444444'\n"
		    "set key textcolor rgb '#444444' above left horizontal Left reverse samplen 1.5 width 1\n"
		    "set bars small\n",
		    k->width, k->height, k->fig.stem);
}
