/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPU time in softirq context, of a stated size: a kernel timer that runs a BPF program, which is busy for a stated time by the kernel's clock. No process
 * is charged for it. Private to measure/.
 */
#ifndef OFFKUBE_MEASURE_SOFTIRQ_LOAD_H
#define OFFKUBE_MEASURE_SOFTIRQ_LOAD_H

#include <stdint.h>

#include "base/err.h"

struct softirq_load; /* ends with the process that holds it, whatever ends that */

/* Busy for burn_ns, again period_ns after it began. -EOPNOTSUPP when this kernel has no BPF timers, or we may not load one: err says why. */
int softirq_load_start(uint64_t burn_ns, uint64_t period_ns, struct softirq_load **ret, struct err *e);
/* By the program's own clock, since the start. */
uint64_t softirq_load_burned_ns(const struct softirq_load *l);
void softirq_load_stop(struct softirq_load *l); /* NULL is fine */

#endif
