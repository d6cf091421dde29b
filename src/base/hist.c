/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Latency histogram. Called by the load generators and by report/.
 *
 * Buckets: below 64 ns one per nanosecond. A value whose highest bit is k >= 6 falls into bucket
 * (k - 6) * 64 + (ns >> (k - 6)): 64 equal parts per power of two.
 */
#include "base/hist.h"

#include <math.h>
#include <string.h>

#include "base/util.h"

void hist_init(struct hist *h)
{
	memset(h, 0, sizeof(*h));
	h->min_ns = UINT64_MAX;
}

size_t hist_bucket(uint64_t ns)
{
	unsigned int shift;
	size_t bucket;

	if (ns < 1u << HIST_SUB_BITS)
		return ns;
	shift = 63u - (unsigned int)__builtin_clzll(ns) - HIST_SUB_BITS;
	bucket = ((size_t)shift << HIST_SUB_BITS) + (ns >> shift);
	return MIN(bucket, (size_t)HIST_BUCKETS - 1);
}

uint64_t hist_bucket_mid(size_t bucket)
{
	unsigned int shift;
	uint64_t low;

	if (bucket < 2u << HIST_SUB_BITS)
		return bucket;
	shift = (unsigned int)(bucket >> HIST_SUB_BITS) - 1;
	low = (uint64_t)(bucket - ((size_t)shift << HIST_SUB_BITS)) << shift;
	return low + (1ull << shift) / 2;
}

void hist_add(struct hist *h, uint64_t ns)
{
	h->count++;
	h->min_ns = MIN(h->min_ns, ns);
	h->max_ns = MAX(h->max_ns, ns);
	h->sum_ns += (double)ns;
	h->buckets[hist_bucket(ns)]++;
}

void hist_merge(struct hist *into, const struct hist *from)
{
	into->count += from->count;
	into->min_ns = MIN(into->min_ns, from->min_ns);
	into->max_ns = MAX(into->max_ns, from->max_ns);
	into->sum_ns += from->sum_ns;
	for (size_t i = 0; i < HIST_BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
}

uint64_t hist_quantile(const struct hist *h, double q)
{
	uint64_t rank, seen = 0;

	if (!h->count)
		return 0;
	if (q <= 0)
		return h->min_ns;
	rank = q >= 1 ? h->count : (uint64_t)ceil(q * (double)h->count);
	for (size_t i = 0; i < HIST_BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen >= rank && h->buckets[i])
			return MAX(h->min_ns, MIN(h->max_ns, hist_bucket_mid(i)));
	}
	return h->max_ns;
}
