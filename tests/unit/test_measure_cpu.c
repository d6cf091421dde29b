/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The CPU meter's arithmetic, and that meters start, count and leave nothing. What it measures is proven by the evaluation's own checks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "measure/cpu.h"

static void test_meter_counts(void **state)
{
	struct cpu_meter *m = NULL;
	struct cpu_mark from, to;
	struct cpu_use use;
	struct err e = {};

	(void)state;
	assert_int_equal(cpu_meter_new(&m, &e), 0);
	assert_true(cpu_meter_n_cpus(m) >= 1);
	assert_int_equal(cpu_meter_calibrate(m, 5, 4, &e), 0);
	assert_true(cpu_meter_rounds_per_s(m, 0) > 0);
	assert_int_equal(cpu_meter_mark(m, &from, &e), 0);
	do
		assert_int_equal(cpu_meter_mark(m, &to, &e), 0);
	while (to.time_ns - from.time_ns < 20 * NSEC_PER_MSEC);
	cpu_meter_use(m, &from, &to, &use);
	assert_true(use.seconds >= 0.02);
	assert_true(use.used_cores >= 0 && use.used_cores <= cpu_meter_n_cpus(m));
	cpu_meter_free(m);
	cpu_meter_clean();
}

static void test_calibration_only_improves(void **state)
{
	struct cpu_meter *m = NULL;
	struct err e = {};
	double before;

	(void)state;
	assert_int_equal(cpu_meter_new(&m, &e), 0);
	assert_int_equal(cpu_meter_calibrate(m, 5, 2, &e), 0);
	before = cpu_meter_rounds_per_s(m, 0);
	assert_int_equal(cpu_meter_calibrate(m, 1, 1, &e), 0);
	assert_true(cpu_meter_rounds_per_s(m, 0) >= before);
	cpu_meter_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meter_counts),
		cmocka_unit_test(test_calibration_only_improves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
