/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two clocks: the kernel's, and the one that tests set by hand. */
#include "base/clock.h"

#include <time.h>

#include "base/util.h"

static uint64_t monotonic_now_ns(const struct clock *c)
{
	struct timespec ts;

	(void)c; /* has no state */
	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail with this clock and a valid pointer */
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

const struct clock clock_monotonic = { .now_ns = monotonic_now_ns };

uint64_t clock_manual_now_ns(const struct clock *c)
{
	return c->manual_ns;
}
