/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Seeded pseudo-random numbers (xoshiro256**, seeded by splitmix64): the same seed gives the same run on any
 * machine.
 */
#ifndef OFFKUBE_BASE_RAND_H
#define OFFKUBE_BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

struct rng {
	uint64_t s[4];
};

void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_u64(struct rng *r);
/* Uniform in [0, n); n > 0, without modulo bias. */
uint64_t rng_below(struct rng *r, uint64_t n);
/* Uniform in [0, 1). */
double rng_double(struct rng *r);
/* Exponential with the given mean (Poisson arrivals). */
double rng_exp(struct rng *r, double mean);
/* Fisher-Yates over n elements of elem_size bytes. */
void rng_shuffle(struct rng *r, void *v, size_t n, size_t elem_size);

#endif
