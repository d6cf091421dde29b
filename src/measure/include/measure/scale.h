/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The experiment `scale`: what the number of Services costs each strategy that carries them, on synthetic clusters of one node. Method: docs/evaluation.md.
 */
#ifndef OFFKUBE_MEASURE_SCALE_H
#define OFFKUBE_MEASURE_SCALE_H

#include <stdint.h>

#include "plan/plan.h"

#define SCALE_SIZES_MAX 8
#define SCALE_CHANGES_MAX 256 /* of one cluster in one round */

struct scale_size {
	uint32_t n_services, n_endpoints; /* of each Service */
	uint32_t n_rounds;
	bool alone; /* one cluster at a time; else all that are not alone stand side by side, and their first packets alternate */
};

struct scale_conf {
	struct scale_size sizes[SCALE_SIZES_MAX];
	size_t n_sizes;
	uint32_t n_slices, n_asks; /* first packets: alternating slices of one round, questions in each */
	uint32_t n_changes; /* of one endpoint, per round; even; where n_endpoints < 4 */
};

/* One cluster in one round. */
struct scale_result {
	const struct strategy *strategy;
	uint32_t n_services, n_endpoints, round;
	double from_empty_s; /* in force as observed; 0 = not measured */
	double from_empty_apply_s; /* the part of it until the target said done */
	double first_p50_ns, first_p90_ns, first_p99_ns; /* 0 = not measured */
	uint32_t n_changes;
	uint64_t in_force_ns[SCALE_CHANGES_MAX], apply_ns[SCALE_CHANGES_MAX];
	int64_t process_kib, kernel_kib; /* 0 = not measured */
	char why[256]; /* what was not measured and why; "" */
};

#endif
