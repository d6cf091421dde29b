/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much memory a process and the kernel hold. Private to measure/. */
#ifndef OFFKUBE_MEASURE_MEMORY_H
#define OFFKUBE_MEASURE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Resident memory of the calling process; `peak`: the most so far since it was forked. */
int memory_of_self_kib(bool peak, int64_t *ret_kib, struct err *e);
/* What the kernel holds for itself and cannot give back: SUnreclaim + Percpu + VmallocUsed of /proc/meminfo. Of the whole machine: others' noise is in
 * differences, some hundred KiB on a quiet one. */
int memory_of_kernel_kib(int64_t *ret_kib, struct err *e);
/* The same when it has come to rest: what ended processes and namespaces held is given back behind their backs. After five seconds without rest it is as it is. */
int memory_of_kernel_at_rest_kib(int64_t *ret_kib, struct err *e);

#endif
