/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Endpoint changes at a rate, on a testbed with the synthetic cluster, while another process makes load. Private to measure/. */
#ifndef OFFKUBE_MEASURE_CHURN_H
#define OFFKUBE_MEASURE_CHURN_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "measure/testbed.h"
#include "synthetic.h"

#define CHURN_MARKS_MAX 1024
#define CHURN_CHANGES_MAX 65536 /* more are made, but not kept */

struct churn;

struct churn_conf {
	const struct synthetic *shape;
	struct testbed *testbed;
	double rate; /* changes per second; 0 = none. What the strategy cannot keep up with is not made */
	/* Changes of the TCP port of `service`. Beside them, when there are any, now and then one of `mark` (none while one is not in force), which is watched. */
	uint32_t service, mark;
	/* Whom the watch asks, all the time and at the same rate in every arm: `mark`'s UDP port, or one of its pods where there are no Service addresses. */
	struct ip_addr mark_addr;
	uint16_t mark_port;
	/* Where it asks from. */
	int netns_fd, cgroup_fd;
	uint64_t cpus;
	const volatile int *stop;
};

struct churn_result {
	uint32_t n_changes, n_in_force;
	uint64_t done_ns[CHURN_CHANGES_MAX]; /* when each change of `service` that succeeded was done; CLOCK_MONOTONIC */
	uint64_t in_force_ns[CHURN_MARKS_MAX]; /* from a change until a fresh socket was answered by the new backend */
	bool dirty; /* it failed, and what it had changed could not be undone */
};

int churn_new(const struct churn_conf *conf, struct churn **ret, struct err *e);
/* Forks the process of the load: *ret_pid is 0 there, and it must end by _exit. It dies with us. */
int churn_fork(struct churn *c, pid_t *ret_pid, struct err *e);
/* Changes until process `pid` has ended; then everything is as it was, also after a failure but -EINTR. Reaps it, whatever happens. */
int churn_until_end(struct churn *c, pid_t pid, struct churn_result *ret, struct err *e);
void churn_free(struct churn *c); /* NULL is fine */

#endif
