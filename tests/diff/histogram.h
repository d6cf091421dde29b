/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often random runs took each verdict, reason and branch of sim: each suite leaves its counts in the build folder, test_histogram.py adds
 * them up and says whether they suffice.
 */
#ifndef OFFKUBE_TESTS_DIFF_HISTOGRAM_H
#define OFFKUBE_TESTS_DIFF_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "model/vocab.h"

struct histogram {
	uint64_t asked; /* packets or questions; those for REASON_NOT_SERVICE are the misses */
	const uint64_t *verdict, *reason; /* [VERDICT_MAX], [REASON_MAX] */
	const uint64_t *branch; /* [sim_n_branches()] */
};

/* To OFFKUBE_BUILD_DIR/histogram/<suite>.json; without that variable nothing is done. 0 or -errno. */
int histogram_write(const char *suite, const struct histogram *h);
/* Counts of other things, by name, in the same way: {"name": n, ...}. */
struct histogram_count {
	const char *name;
	uint64_t n;
};
int histogram_write_counts(const char *file, const struct histogram_count *c, size_t n);
/* Takes the file of an earlier run away: a run that fails leaves none. */
void histogram_forget(const char *suite);

#endif
