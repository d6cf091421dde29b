/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CPU meter against loads whose size is stated by somebody else: a process that is busy for a share of each ten milliseconds (stated by the scheduler's clock of
 * that process), and a softirq load (stated by the clock of the program that makes it). Called by eval (records "cpu-check") and by tests.
 */
#ifndef OFFKUBE_MEASURE_CPU_CHECK_H
#define OFFKUBE_MEASURE_CPU_CHECK_H

#include "measure/cpu.h"

enum cpu_check_kind { CPU_CHECK_BUSY_LOOP, CPU_CHECK_SOFTIRQ, CPU_CHECK_KIND_MAX };
extern const char *const cpu_check_name[CPU_CHECK_KIND_MAX]; /* "busy-loop", "softirq" */

struct cpu_check {
	double stated_cores; /* that the load took in the window */
	double measured_cores; /* used in the window, less what was used beside it: the mean of the windows before and after, without the load */
	double idle_cores[2]; /* those windows: how quiet the machine was */
	double stat_cores; /* the window by /proc/stat, less the same */
	bool discard; /* as struct cpu_use, of any of the windows */
};

/* One load of about `share` of a core, 0.05 to 0.9. The meter must be calibrated. Takes three windows of window_ms. -EINTR when *stop is set; -EOPNOTSUPP where
 * this kernel cannot make the load: err says why. */
int cpu_check_run(struct cpu_meter *m, enum cpu_check_kind kind, double share, unsigned int window_ms,
		  const volatile int *stop, struct cpu_check *ret, struct err *e);

#endif
