/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the CPU meter says of a load of known size: a process that is busy for a stated share of each ten milliseconds. It prints, for people;
 * it never fails on a clock, as who else uses this machine is not known. On an idle machine "used" follows "share".
 */
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/util.h"
#include "measure/cpu.h"

#define PERIOD_NS (10 * NSEC_PER_MSEC)
#define WINDOW_MS 500

/* Busy by the clock: what is taken from it by others is not made up for. */
_Noreturn static void burn(unsigned int percent, pid_t parent)
{
	uint64_t begin = clock_now_ns(&clock_monotonic);
	cpu_set_t set;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
	(void)prctl(PR_SET_TIMERSLACK, 1);
	for (; getppid() == parent; begin += PERIOD_NS) {
		uint64_t busy_to = begin + PERIOD_NS * percent / 100, now;

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

static struct cpu_use measure(struct cpu_meter *m, unsigned int percent)
{
	const struct timespec window = { .tv_nsec = WINDOW_MS * (long)NSEC_PER_MSEC };
	pid_t parent = getpid(), pid = fork();
	struct cpu_mark from, to;
	struct cpu_use use;

	assert_true(pid >= 0);
	if (pid == 0)
		burn(percent, parent);
	assert_int_equal(cpu_meter_mark(m, &from, NULL), 0);
	(void)nanosleep(&window, NULL);
	assert_int_equal(cpu_meter_mark(m, &to, NULL), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	cpu_meter_use(m, &from, &to, &use);
	return use;
}

static void test_known_shares(void **state)
{
	static const unsigned int share[] = { 0, 10, 30, 60, 100 };
	struct cpu_meter *m = NULL;
	unsigned int n_cpus;

	(void)state;
	assert_int_equal(cpu_meter_new(&m, NULL), 0);
	n_cpus = cpu_meter_n_cpus(m);
	assert_int_equal(cpu_meter_calibrate(m, 40, 8, NULL), 0);
	printf("%u CPUs; busy loop on CPU 0\nshare  used_core[0]  used_cores  stat_cores  busy_share x CPUs\n", n_cpus);
	for (size_t i = 0; i < ARRAY_LEN(share); i++) {
		struct cpu_use use = measure(m, share[i]);

		printf("%4.2f   %12.3f  %10.3f  %10.3f  %17.3f\n", share[i] / 100.0, use.used_core[0], use.used_cores,
		       use.stat_cores, use.busy_share * n_cpus);
		assert_true(use.used_cores >= 0 && use.used_cores <= n_cpus);
		assert_true(use.used_core[0] >= 0 && use.used_core[0] <= 1);
		assert_true(use.stat_cores >= 0 && use.stat_cores <= n_cpus);
		assert_true(use.busy_share >= 0 && use.busy_share <= 1);
	}
	cpu_meter_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_known_shares) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
