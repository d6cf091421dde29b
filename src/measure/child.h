/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a process that we forked. Private to measure/. */
#ifndef OFFKUBE_MEASURE_CHILD_H
#define OFFKUBE_MEASURE_CHILD_H

#include <sys/types.h>

/* Waits for its end and reaps it; past the deadline it is killed: -ETIMEDOUT. *ret_status (may be NULL) as waitpid gives it. 0 or -errno. */
int child_wait(pid_t pid, unsigned int timeout_ms, int *ret_status);

#endif
