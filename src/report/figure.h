/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Figures: data (.csv), program (.gp) and picture (.svg) of the same stem, beside the page. Private to report/. */
#ifndef OFFKUBE_REPORT_FIGURE_H
#define OFFKUBE_REPORT_FIGURE_H

#include "report_int.h"

#define FIGURE_STEM_SIZE 48
#define FIGURE_CELLS_MAX 64 /* cells with figures of their own; tables hold all */
#define FIGURE_WORKLOADS_MAX 64

enum figure_group { GROUP_CHANGE, GROUP_CPU, GROUP_RATE, GROUP_LATENCY, GROUP_CDF, GROUP_MAX };

struct figure {
	char stem[FIGURE_STEM_SIZE];
	enum figure_group group;
	size_t workload;
	char *title; /* one sentence: also the text for those who do not see it */
	char *svg; /* for the page, or NULL when not drawn */
};

struct figures {
	VEC(struct figure) v;
	bool no_gnuplot; /* none found */
	char why[256]; /* not empty: gnuplot failed */
	size_t n_not_drawn; /* cells and workloads beyond the bounds */
};

int figures_make(const struct report *r, const char *dir, struct figures *ret, struct err *e);
void figures_free(struct figures *f);

/* One figure under construction. */
struct sketch {
	const struct report *r;
	struct figure fig;
	struct strbuf csv, gp;
	int width, height;
};

/* Beginning of the .gp: terminal, output, looks. */
void sketch_begin(struct sketch *k);
/* A text as a gnuplot string of single quotes. */
void gp_text(struct strbuf *sb, const char *s);
/* Range and tics of a logarithmic axis; 0 < low <= high. */
void gp_log_axis(struct strbuf *sb, char axis, double low, double high);
/* A text as a CSV field. */
void csv_text(struct strbuf *sb, const char *s);
/* "#0072B2": the same for a strategy wherever it is shown. */
const char *strategy_colour(const struct report *r, size_t strategy);
/* gnuplot point type: filled for real arms, hollow for emulated and modelled. */
int strategy_point(size_t strategy, enum kind kind);
/* Name with the mark of its kind, as the legend has it. */
void add_series_name(struct strbuf *sb, const struct report *r, size_t strategy, enum kind kind);

/* figure_rows.c: figures with a row per cell of a workload. False: there is nothing to draw. */
bool sketch_change(struct sketch *k, enum metric m);
bool sketch_cpu(struct sketch *k);
bool sketch_rate(struct sketch *k);
/* figure_cell.c: figures of one cell. */
bool sketch_latency(struct sketch *k, const struct cell *c);
bool sketch_cdf(struct sketch *k, const struct cell *c);

/* gnuplot.c: draws stem.gp for each stem, in dir. 0, -ENOENT without gnuplot, -EIO when it failed (ret_why says how), -ETIMEDOUT. */
int gnuplot_run(const char *dir, const char *const *stems, size_t n, char *ret_why, size_t why_size);

#endif
