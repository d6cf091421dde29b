/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The reference interpreter as a trace runner (trace/trace.h). It lives here because only app/ may name a concrete target. */
#ifndef OFFKUBE_APP_TRACE_SIM_H
#define OFFKUBE_APP_TRACE_SIM_H

#include "target_sim/sim.h"
#include "trace/trace.h"

/* Time is the packets' own: it begins at 0 and passes by their after_ms. */
int trace_sim_open(const struct snapshot *s, const char *node, struct trace_runner **ret, struct err *e);
/* Time is the clock's, after_ms has no effect. */
int trace_sim_open_clock(const struct snapshot *s, const char *node, const struct clock *clock,
			 struct trace_runner **ret, struct err *e);
/* A result of sim in the words of trace; allowed sets are not copied. */
void trace_sim_result(const struct sim_result *from, struct trace_result *ret);

#endif
