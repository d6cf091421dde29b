/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The CPU meter's arithmetic, and that meters start, count and leave nothing. What it measures is proven by the evaluation's own checks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <sys/wait.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sched.h>
#include <string.h>

#include <cmocka.h>
#include <poll.h>

#include "base/clock.h"
#include "measure/cpu.h"

/* On a machine that others keep busy a spinner may wait for its first turn: until then there is nothing to calibrate on. */
static void calibrate(struct cpu_meter *m)
{
	uint64_t deadline = clock_now_ns(&clock_monotonic) + 120 * NSEC_PER_SEC;
	bool all;

	do {
		assert_int_equal(cpu_meter_calibrate(m, 5, 2, NULL), 0);
		all = true;
		for (unsigned int i = 0; i < cpu_meter_n_cpus(m); i++)
			all = all && cpu_meter_rounds_per_s(m, i) > 0;
	} while (!all && clock_now_ns(&clock_monotonic) < deadline);
	assert_true(all);
}

static void test_meter_counts(void **state)
{
	struct cpu_meter *m = NULL;
	struct cpu_mark from, to;
	struct cpu_use use;
	struct err e = {};

	(void)state;
	assert_int_equal(cpu_meter_new(&m, &e), 0);
	assert_true(cpu_meter_n_cpus(m) >= 1);
	calibrate(m);
	assert_int_equal(cpu_meter_mark(m, &from, &e), 0);
	do
		assert_int_equal(cpu_meter_mark(m, &to, &e), 0);
	while (to.time_ns - from.time_ns < 20 * NSEC_PER_MSEC || to.spun_ns[0] == from.spun_ns[0]);
	cpu_meter_use(m, &from, &to, &use);
	assert_true(use.seconds >= 0.02);
	assert_true(use.used_cores >= 0 && use.used_cores <= cpu_meter_n_cpus(m));
	assert_true(use.busy_share >= 0 && use.busy_share < 1);
	cpu_meter_free(m);
	cpu_meter_clean();
}

static uint64_t all_rounds(struct cpu_meter *m)
{
	struct cpu_mark mark;
	uint64_t sum = 0;

	assert_int_equal(cpu_meter_mark(m, &mark, NULL), 0);
	for (unsigned int i = 0; i < cpu_meter_n_cpus(m); i++)
		sum += mark.rounds[i];
	return sum;
}

static void test_pause(void **state)
{
	struct cpu_meter *m = NULL;
	uint64_t before;

	(void)state;
	cpu_meter_pause(NULL);
	cpu_meter_resume(NULL);
	assert_int_equal(cpu_meter_new(&m, NULL), 0);
	calibrate(m);
	cpu_meter_pause(m);
	before = all_rounds(m);
	(void)poll(NULL, 0, 50); /* in which nothing happens */
	assert_int_equal(all_rounds(m), before);
	cpu_meter_resume(m);
	while (all_rounds(m) == before)
		(void)poll(NULL, 0, 1); /* gives way; the test's own deadline ends it */
	cpu_meter_pause(m);
	cpu_meter_free(m); /* of stopped ones too */
	cpu_meter_clean();
}

static void burn(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)sched_setaffinity(0, sizeof(set), &set);
	for (volatile unsigned int x = 0;; x++)
		;
}

/* A CPU that somebody else uses is no slower one: it keeps what was found before, through more calibrations than are kept. */
static void test_busy_is_not_slow(void **state)
{
	struct cpu_meter *m = NULL;
	double before;
	pid_t pid;

	(void)state;
	assert_int_equal(cpu_meter_new(&m, NULL), 0);
	calibrate(m);
	before = cpu_meter_rounds_per_s(m, 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		burn(0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(cpu_meter_calibrate(m, 20, 2, NULL), 0);
	assert_true(cpu_meter_rounds_per_s(m, 0) > before * 0.5);
	assert_int_equal(kill(pid, SIGKILL), 0); /* ours, not reaped */
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	cpu_meter_free(m);
	cpu_meter_clean();
}

/* /proc/stat is known to go backwards by a tick or two (iowait, steal): nothing must come out huge, or negative. */
static void test_counters_that_go_back(void **state)
{
	struct cpu_mark from = {
		.time_ns = NSEC_PER_SEC, .user = 100, .idle = 100, .iowait = 10, .steal = 5, .nice = 7
	};
	struct cpu_mark to = {
		.time_ns = 2 * NSEC_PER_SEC, .user = 150, .idle = 150, .iowait = 8, .steal = 4, .nice = 6
	};
	struct cpu_meter *m = NULL;
	struct cpu_use use;

	(void)state;
	assert_int_equal(cpu_meter_new(&m, NULL), 0);
	cpu_meter_use(m, &from, &to, &use);
	assert_true(use.used_cores == 0 && use.discard); /* not calibrated: nothing is known */
	calibrate(m);
	cpu_meter_use(m, &from, &to, &use);
	assert_true(use.steal_share == 0 && !use.discard);
	assert_true(use.stat_cores == 0.5 * cpu_meter_n_cpus(m)); /* 50 of 100 ticks */
	assert_true(use.busy_share == 1); /* the spinners got nothing */
	assert_true(use.used_cores == cpu_meter_n_cpus(m)); /* no rounds */
	cpu_meter_use(m, &to, &to, &use);
	assert_true(use.seconds == 0 && use.used_cores == 0 && use.stat_cores == 0 && use.busy_share == 0);
	from.steal = 0;
	cpu_meter_use(m, &from, &to, &use);
	assert_true(use.discard); /* 4 of 104 */
	for (unsigned int i = 0; i < cpu_meter_n_cpus(m); i++)
		to.spun_ns[i] = NSEC_PER_SEC / 4;
	cpu_meter_use(m, &from, &to, &use);
	assert_true(use.busy_share == 0.75);
	cpu_meter_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meter_counts),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_busy_is_not_slow),
		cmocka_unit_test(test_counters_that_go_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
