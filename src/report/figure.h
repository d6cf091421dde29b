/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Figures: data (.csv), program (.gp) and picture (.svg) of the same stem, beside the page. Private to report/. */
#ifndef OFFKUBE_REPORT_FIGURE_H
#define OFFKUBE_REPORT_FIGURE_H

#include "report_int.h"

#define FIGURE_STEM_SIZE 48
#define FIGURE_CELLS_MAX 64 /* cells with figures of their own; tables hold all */
#define FIGURE_WORKLOADS_MAX 64
#define FIGURE_ROWS_MAX 64 /* cells in one figure; tables hold all */
#define FIGURE_CURVES_MAX 64
#define FIGURE_NO_WORKLOAD SIZE_MAX

/* In the order of the page. */
enum figure_group {
	GROUP_WINNER,
	GROUP_VERSUS,
	GROUP_CHANGE,
	GROUP_CPU,
	GROUP_CORES,
	GROUP_RATE,
	GROUP_THROUGHPUT,
	GROUP_BAND,
	GROUP_PARETO,
	GROUP_OFFERED,
	GROUP_SIZE,
	GROUP_LIVE,
	GROUP_UPDATES,
	GROUP_SCALE,
	GROUP_IN_FORCE,
	GROUP_FAULT,
	GROUP_IDLE,
	GROUP_COVERAGE,
	GROUP_LATENCY,
	GROUP_CDF,
	GROUP_MAX
};
struct group_info {
	const char *stem;
	const char *title, *text; /* on the page */
	bool open; /* not folded, in the first workload */
};
extern const struct group_info figure_groups[GROUP_MAX];

struct figure {
	char stem[FIGURE_STEM_SIZE];
	enum figure_group group;
	size_t workload; /* or FIGURE_NO_WORKLOAD */
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
bool sketch_change(struct sketch *k, enum metric m, enum ref ref);
bool sketch_cpu(struct sketch *k, enum unit unit);
bool sketch_rate(struct sketch *k, enum unit unit);
/* figure_cell.c: figures of one cell. */
bool sketch_latency(struct sketch *k, const struct cell *c);
bool sketch_cdf(struct sketch *k, const struct cell *c);
/* figure_sum.c: figures over all cells of a workload, and who gives way in one. */
bool sketch_winner(struct sketch *k);
bool sketch_band(struct sketch *k);
bool sketch_coverage(struct sketch *k);
bool sketch_idle(struct sketch *k);
bool sketch_pareto(struct sketch *k, const struct cell *c);
/* figure_curve.c: lines along an axis. */
bool sketch_curve(struct sketch *k, const struct curve *c);
enum scale_figure {
	SCALE_FIGURE_FIRST,
	SCALE_FIGURE_EMPTY,
	SCALE_FIGURE_CHANGE,
	SCALE_FIGURE_MEMORY,
	SCALE_FIGURE_MAX
};
extern const char *const scale_figure_key[SCALE_FIGURE_MAX];
bool sketch_scale(struct sketch *k, const struct scale_point *like, enum scale_figure what);
/* figure_time.c: distributions of times to be in force, and time lines. */
bool sketch_in_force_scale(struct sketch *k, const struct scale_point *like);
bool sketch_in_force_sweep(struct sketch *k, const struct curve *c);
bool sketch_fault(struct sketch *k, const struct fault_rec *like);
/* One line or set of points of a plot, named once. */
void plot_strategy(struct sketch *k, bool *any, size_t s, enum kind kind, const char *using, const char *with,
		   bool named);

/* gnuplot.c: draws stem.gp for each stem, in dir. 0, -ENOENT without gnuplot, -EIO when it failed (ret_why says how), -ETIMEDOUT. */
int gnuplot_run(const char *dir, const char *const *stems, size_t n, char *ret_why, size_t why_size);

#endif
