/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Benchmarks of scale: what the number of Services costs. Three measurements, all on real testbeds:
 *
 *	first-packet	time from the first datagram of a fresh socket to its answer, at n_large Services over n_small, side by side in alternating slices
 *	change		one endpoint changed among n_large Services with two endpoints each: from the edit of the model until it is in force, per node
 *	load		n_large Services with two endpoints each from empty until in force, per node
 *
 * Results are records ("bench-...", docs/records.md) and a summary for people.
 */
#ifndef OFFKUBE_MEASURE_BENCH_H
#define OFFKUBE_MEASURE_BENCH_H

#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "plan/plan.h"

struct bench_conf {
	const struct strategy *strategy;
	uint32_t n_small, n_large; /* Services; 10 and 10,000 */
	uint32_t n_rounds; /* of alternating slices */
	uint32_t n_asks; /* first packets per slice */
	uint32_t n_changes;
	uint32_t n_loads;
	uint64_t seed;
	const char *out_dir; /* gets records.jsonl */
	const char *commit, *command;
	FILE *out; /* the summary */
	FILE *progress; /* NULL = quiet */
	const volatile int *stop;
};

int bench_run(const struct bench_conf *conf, struct err *e);

#endif
