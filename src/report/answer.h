/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sums over cells, for the answer and the page. Private to report/. */
#ifndef OFFKUBE_REPORT_ANSWER_H
#define OFFKUBE_REPORT_ANSWER_H

#include "report_int.h"

#define N_TOLD_METRICS 5
extern const enum metric
	told_metrics[N_TOLD_METRICS]; /* CPU at the offered and at full load, median latency, p99 latency, rate */
extern const char *const short_name[METRIC_MAX]; /* whatever the unit: "CPU" */

/* A strategy against a reference over all cells that were judged. */
struct ref_sum {
	size_t n, n_better, n_tie, n_worse;
	double low, high, median; /* of the ratios; NAN and infinite when n == 0 */
	const struct estimate *worst;
	const struct cell *worst_cell;
};
struct ref_sum sum_against(const struct report *r, size_t strategy, enum ref ref, enum metric m);

bool strategy_ranked(const struct report *r, size_t strategy); /* it carries Services, and was measured */
const struct scale_point *scale_largest(const struct report *r); /* NULL: none was measured */
/* Fills r->lines. */
int report_make_lines(struct report *r);

#endif
