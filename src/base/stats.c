/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Medians and bootstrap intervals. Called by measure/ and report/.
 *
 * A resample is drawn as counts over the sorted samples, so that its median is found by one walk and no second
 * sort.
 */
#include "base/stats.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/rand.h"

#define N_RESAMPLES 2000

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double *sorted_copy(const double *v, size_t n)
{
	double *copy = malloc(n * sizeof(*copy));

	if (!copy)
		return NULL;
	memcpy(copy, v, n * sizeof(*copy));
	qsort(copy, n, sizeof(*copy), compare_doubles);
	return copy;
}

static double sorted_quantile(const double *v, size_t n, double p)
{
	double pos = p * (double)(n - 1);
	size_t i;

	if (pos <= 0)
		return v[0];
	if (pos >= (double)(n - 1))
		return v[n - 1];
	i = (size_t)pos;
	return v[i] + (v[i + 1] - v[i]) * (pos - (double)i);
}

double stats_quantile(const double *v, size_t n, double p)
{
	CLEANUP_FREE double *copy = sorted_copy(v, n);

	return copy ? sorted_quantile(copy, n, p) : NAN;
}

double stats_median(const double *v, size_t n)
{
	return stats_quantile(v, n, 0.5);
}

/* Median of the multiset in which sorted[i] stands counts[i] times, n in all. */
static double median_of_counts(const double *sorted, const unsigned int *counts, size_t n)
{
	size_t low_rank = (n - 1) / 2, high_rank = n / 2;
	size_t seen = 0, i = 0;
	double low;

	while (seen + counts[i] <= low_rank)
		seen += counts[i++];
	low = sorted[i];
	while (seen + counts[i] <= high_rank)
		seen += counts[i++];
	return low + (sorted[i] - low) / 2;
}

static double resampled_median(struct rng *rng, const double *sorted, unsigned int *counts, size_t n)
{
	memset(counts, 0, n * sizeof(*counts));
	for (size_t i = 0; i < n; i++)
		counts[rng_below(rng, n)]++;
	return median_of_counts(sorted, counts, n);
}

static void interval_of(double *resampled, double mid, struct interval *ret)
{
	qsort(resampled, N_RESAMPLES, sizeof(*resampled), compare_doubles);
	ret->mid = mid;
	ret->low = sorted_quantile(resampled, N_RESAMPLES, 0.025);
	ret->high = sorted_quantile(resampled, N_RESAMPLES, 0.975);
}

int stats_bootstrap_median(const double *v, size_t n, uint64_t seed, struct interval *ret)
{
	CLEANUP_FREE double *sorted = sorted_copy(v, n);
	CLEANUP_FREE double *medians = malloc(N_RESAMPLES * sizeof(*medians));
	CLEANUP_FREE unsigned int *counts = malloc(n * sizeof(*counts));
	struct rng rng;

	if (!sorted || !medians || !counts)
		return -ENOMEM;
	rng_seed(&rng, seed);
	for (size_t k = 0; k < N_RESAMPLES; k++)
		medians[k] = resampled_median(&rng, sorted, counts, n);
	interval_of(medians, sorted_quantile(sorted, n, 0.5), ret);
	return 0;
}

int stats_bootstrap_ratio(const double *a, const double *b, size_t n, uint64_t seed, struct interval *ret)
{
	CLEANUP_FREE double *ratios = malloc((n ? n : 1) * sizeof(*ratios));
	size_t n_ratios = 0;

	if (!ratios)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (b[i] > 0)
			ratios[n_ratios++] = a[i] / b[i];
	}
	if (!n_ratios)
		return -EDOM;
	return stats_bootstrap_median(ratios, n_ratios, seed, ret);
}

int stats_bootstrap_groups(const double *v, const size_t *n, size_t n_groups, uint64_t seed, struct interval *ret)
{
	CLEANUP_FREE double *means = calloc(N_RESAMPLES, sizeof(*means));
	double mid = 0;

	if (!means)
		return -ENOMEM;
	for (size_t g = 0; g < n_groups; v += n[g++]) {
		CLEANUP_FREE double *sorted = sorted_copy(v, n[g]);
		CLEANUP_FREE unsigned int *counts = malloc(n[g] * sizeof(*counts));
		struct rng rng;

		if (!sorted || !counts)
			return -ENOMEM;
		rng_seed(&rng, seed + g);
		for (size_t k = 0; k < N_RESAMPLES; k++)
			means[k] += resampled_median(&rng, sorted, counts, n[g]) / (double)n_groups;
		mid += sorted_quantile(sorted, n[g], 0.5) / (double)n_groups;
	}
	interval_of(means, mid, ret);
	return 0;
}

double stats_sign_test(size_t n_a, size_t n_b)
{
	size_t n = n_a + n_b, least = n_a < n_b ? n_a : n_b;
	double p = 0;

	for (size_t k = 0; k <= least; k++)
		p += exp(lgamma((double)n + 1) - lgamma((double)k + 1) - lgamma((double)(n - k) + 1) -
			 (double)n * log(2));
	return fmin(1, 2 * p);
}
