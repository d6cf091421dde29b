/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loads of a stated size for the CPU meter. Called by eval_cpu_check.c and tests/netns/test_measure_cpu_share.c. */
#include "measure/cpu_check.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "softirq_load.h"

#define PERIOD_NS (10 * NSEC_PER_MSEC) /* of the busy loop */
#define SOFTIRQ_PERIOD_NS (2 * NSEC_PER_MSEC) /* long against a timer's own cost, short against a window */

const char *const cpu_check_name[CPU_CHECK_KIND_MAX] = {
	[CPU_CHECK_BUSY_LOOP] = "busy-loop",
	[CPU_CHECK_SOFTIRQ] = "softirq",
};

/* A load that runs. */
struct known_load {
	pid_t pid; /* busy loop; 0 = none */
	struct softirq_load *softirq;
};

/* Busy by the clock on CPU 0. */
_Noreturn static void burn(double share, pid_t parent)
{
	uint64_t begin = clock_now_ns(&clock_monotonic);
	cpu_set_t set;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail with a valid signal */
	(void)prctl(PR_SET_TIMERSLACK, 1);
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	(void)sched_setaffinity(0, sizeof(set), &set); /* any CPU does */
	for (; getppid() == parent; begin += PERIOD_NS) {
		uint64_t busy_to = begin + (uint64_t)(share * (double)PERIOD_NS), now;

		do
			now = clock_now_ns(&clock_monotonic);
		while (now < busy_to);
		if (begin + PERIOD_NS > now) {
			const struct timespec rest = { .tv_nsec = (long)(begin + PERIOD_NS - now) };

			(void)nanosleep(&rest, NULL);
		}
	}
	_exit(0);
}

static int start(enum cpu_check_kind kind, double share, struct known_load *l, struct err *e)
{
	pid_t parent = getpid();

	if (kind == CPU_CHECK_SOFTIRQ)
		return softirq_load_start((uint64_t)(share * (double)SOFTIRQ_PERIOD_NS), SOFTIRQ_PERIOD_NS, &l->softirq,
					  e);
	l->pid = fork();
	if (l->pid == 0)
		burn(share, parent);
	return l->pid < 0 ? -errno : 0;
}

static void end(struct known_load *l)
{
	softirq_load_stop(l->softirq);
	if (l->pid > 0) {
		(void)kill(l->pid, SIGKILL); /* ours, not reaped */
		(void)waitpid(l->pid, NULL, 0);
	}
}

/* CPU time of the load so far, by who makes it. */
static uint64_t taken_ns(const struct known_load *l)
{
	struct timespec ts = {};
	clockid_t clock;

	if (l->softirq)
		return softirq_load_burned_ns(l->softirq);
	if (clock_getcpuclockid(l->pid, &clock) == 0)
		(void)clock_gettime(clock, &ts); /* 0 shows */
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* One window; `l` NULL = without load. */
static int window(struct cpu_meter *m, const struct known_load *l, unsigned int window_ms, const volatile int *stop,
		  struct cpu_use *ret, double *ret_stated, struct err *e)
{
	uint64_t until, now, from_ns, to_ns;
	struct cpu_mark from, to;
	int r = cpu_meter_mark(m, &from, e);

	if (r < 0)
		return r;
	from_ns = l ? taken_ns(l) : 0;
	until = clock_now_ns(&clock_monotonic) + window_ms * NSEC_PER_MSEC;
	while ((now = clock_now_ns(&clock_monotonic)) < until) {
		if (*stop)
			return -EINTR;
		(void)poll(NULL, 0,
			   (int)((until - now) / NSEC_PER_MSEC) + 1); /* cut short by a signal: looked at again */
	}
	to_ns = l ? taken_ns(l) : 0;
	r = cpu_meter_mark(m, &to, e);
	if (r < 0)
		return r;
	cpu_meter_use(m, &from, &to, ret);
	*ret_stated = (double)(to_ns - from_ns) / 1e9 / ret->seconds;
	return 0;
}

int cpu_check_run(struct cpu_meter *m, enum cpu_check_kind kind, double share, unsigned int window_ms,
		  const volatile int *stop, struct cpu_check *ret, struct err *e)
{
	struct known_load load = {};
	struct cpu_use before, during, after;
	double none, stated = 0;
	int r;

	if (share < 0.05 || share > 0.9)
		return err_set(e, -EINVAL, cpu_check_name[kind], "a share of %.2f", share);
	r = window(m, NULL, window_ms, stop, &before, &none, e);
	if (r == 0)
		r = start(kind, share, &load, e);
	if (r == 0)
		r = window(m, &load, window_ms, stop, &during, &stated, e);
	end(&load);
	if (r == 0)
		r = window(m, NULL, window_ms, stop, &after, &none, e);
	if (r < 0)
		return r;
	*ret = (struct cpu_check){
		.stated_cores = stated,
		.measured_cores = during.used_cores - (before.used_cores + after.used_cores) / 2,
		.idle_cores = { before.used_cores, after.used_cores },
		.stat_cores = during.stat_cores - (before.stat_cores + after.stat_cores) / 2,
		.discard = before.discard || during.discard || after.discard,
	};
	return 0;
}
