/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The benchmark of scale: the experiment `scale` (measure/scale.h) at the sizes that the project's numbers speak of, for several strategies in one run, and
 * a summary for people: first packets at many over few Services, one change, loading from empty, memory; and the ratios to kube-proxy.
 */
#ifndef OFFKUBE_MEASURE_BENCH_H
#define OFFKUBE_MEASURE_BENCH_H

#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "plan/plan.h"

#define BENCH_HUGE_ENDPOINTS 50

struct bench_conf {
	const struct strategy *const *strategies; /* that carry Services */
	size_t n_strategies;
	uint32_t n_small, n_large; /* Services of two endpoints; 10 and 10,000 */
	uint32_t n_huge; /* Services of 50 endpoints; 5,000; 0 = not measured */
	uint32_t n_rounds, n_huge_rounds;
	uint32_t n_asks; /* first packets of each cluster and round */
	uint32_t n_changes; /* of each cluster and round */
	uint64_t seed;
	const char *out_dir; /* gets records.jsonl */
	const char *commit, *command;
	FILE *out; /* the summary */
	FILE *progress; /* NULL = quiet */
	const volatile int *stop;
};

int bench_run(const struct bench_conf *conf, struct err *e);

#endif
