/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Statistics of repeated measurements (EVALUATION.md rule 3). Inputs are not changed; n > 0. */
#ifndef OFFKUBE_BASE_STATS_H
#define OFFKUBE_BASE_STATS_H

#include <stddef.h>
#include <stdint.h>

struct interval {
	double mid; /* the median of the samples */
	double low; /* 2.5 % */
	double high; /* 97.5 % */
};

double stats_median(const double *v, size_t n);
/* Linear interpolation between closest ranks; p in [0, 1]. */
double stats_quantile(const double *v, size_t n, double p);
/* Percentile bootstrap of the median, 2,000 resamples. Deterministic for a seed. */
int stats_bootstrap_median(const double *v, size_t n, uint64_t seed, struct interval *ret);
/*
 * Of the median of the paired ratios a[i] / b[i] (same slice round). Pairs with b <= 0 are left out; -EDOM if none
 * is left.
 */
int stats_bootstrap_ratio(const double *a, const double *b, size_t n, uint64_t seed, struct interval *ret);

#endif
