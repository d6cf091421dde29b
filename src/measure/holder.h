/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections that stand and ask nothing, from processes in a client's pod. Private to measure/. */
#ifndef OFFKUBE_MEASURE_HOLDER_H
#define OFFKUBE_MEASURE_HOLDER_H

#include <stdint.h>

#include "base/err.h"
#include "measure/load.h"

#define HOLDER_MAX 100000

struct holder; /* dies with the caller */

/* Returns when all n connections stand, spread over the targets in turn. Only addr and port of the targets count: it speaks TCP. -EINTR when *stop is set. */
int holder_start(int netns_fd, int cgroup_fd, const struct load_target *targets, size_t n_targets, uint32_t n,
		 const volatile int *stop, struct holder **ret, struct err *e);
/* One question on each connection: how many were not answered within two seconds (cut, or stuck). */
int holder_check(struct holder *h, uint32_t *ret_n_broken, struct err *e);
/* Resets all. NULL is fine. */
void holder_stop(struct holder *h);

#endif
