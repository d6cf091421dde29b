/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a process of the measurement runs. Private to measure/. */
#ifndef OFFKUBE_MEASURE_PLACE_H
#define OFFKUBE_MEASURE_PLACE_H

#include <stdint.h>

/* The calling process enters a cgroup (-1 = stays), CPUs (bit mask, 0 = any) and a network namespace (-1 = stays). 0 or -errno. */
int place_enter(int netns_fd, int cgroup_fd, uint64_t cpus);

#endif
