/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Latency histogram, log-linear like HdrHistogram (not packaged in Debian 12): relative error at most 1/64 from 1
 * ns to 2^40 ns, fixed memory, mergeable, and stored in records as sparse [bucket, count] pairs.
 */
#ifndef OFFKUBE_BASE_HIST_H
#define OFFKUBE_BASE_HIST_H

#include <stddef.h>
#include <stdint.h>

#define HIST_SUB_BITS 6
#define HIST_BUCKETS ((40 - HIST_SUB_BITS + 2) << HIST_SUB_BITS)

struct hist {
	uint64_t count;
	uint64_t min_ns; /* exact; UINT64_MAX when empty */
	uint64_t max_ns; /* exact */
	double sum_ns;
	uint64_t buckets[HIST_BUCKETS];
};

void hist_init(struct hist *h);
void hist_add(struct hist *h, uint64_t ns);
void hist_merge(struct hist *into, const struct hist *from);
/* Middle of the bucket that holds quantile q in [0, 1], clipped to min/max; 0 when empty. */
uint64_t hist_quantile(const struct hist *h, double q);
size_t hist_bucket(uint64_t ns);
uint64_t hist_bucket_mid(size_t bucket);

#endif
