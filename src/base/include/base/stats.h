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
/*
 * Of the mean of the groups' medians: the first n[0] values are one group, the next n[1] another, and so on; each n > 0. Every group is resampled by
 * itself, so that a large one weighs no more than a small one, and `mid` is the mean of the medians as they are.
 */
int stats_bootstrap_groups(const double *v, const size_t *n, size_t n_groups, uint64_t seed, struct interval *ret);
/*
 * Two-sided sign test: the probability that fair coins fall at least as unevenly as n_a to n_b. 1 when there is nothing to tell.
 */
double stats_sign_test(size_t n_a, size_t n_b);

#endif
