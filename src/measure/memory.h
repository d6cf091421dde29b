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

#endif
