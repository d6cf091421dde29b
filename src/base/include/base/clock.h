/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Injected time: monotonic nanoseconds. Tests drive their own. */
#ifndef OFFKUBE_BASE_CLOCK_H
#define OFFKUBE_BASE_CLOCK_H

#include <stdint.h>

struct clock {
	uint64_t (*now_ns)(const struct clock *c);
	uint64_t manual_ns; /* used by clock_manual only */
};

/* CLOCK_MONOTONIC. */
extern const struct clock clock_monotonic;
/* `now_ns` for a clock whose manual_ns the test sets. */
uint64_t clock_manual_now_ns(const struct clock *c);

static inline uint64_t clock_now_ns(const struct clock *c)
{
	return c->now_ns(c);
}

#define NSEC_PER_SEC 1000000000ull
#define NSEC_PER_MSEC 1000000ull
#define NSEC_PER_USEC 1000ull

#endif
