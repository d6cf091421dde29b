/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much memory a process and the kernel hold. Private to measure/. */
#ifndef OFFKUBE_MEASURE_MEMORY_H
#define OFFKUBE_MEASURE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Before a first reading: what the calling process has freed goes back to the kernel, so that what it takes from there on is seen as growth, and its peak
 * begins anew.
 */
int memory_of_self_begin(struct err *e);
/* Resident memory of the calling process; `peak`: the most since memory_of_self_begin. */
int memory_of_self_kib(bool peak, int64_t *ret_kib, struct err *e);
/* What the kernel holds for itself and cannot give back: SUnreclaim + Percpu + VmallocUsed of /proc/meminfo. Of the whole machine: others' noise is in
 * differences, some hundred KiB on a quiet one. */
int memory_of_kernel_kib(int64_t *ret_kib, struct err *e);
/* The same when it has come to rest: what ended processes and namespaces held is given back behind their backs. 0; 1 = five seconds without rest, *ret_kib is as
 * it is then; -errno. */
int memory_of_kernel_at_rest_kib(int64_t *ret_kib, struct err *e);

#endif
