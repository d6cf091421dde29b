/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"

static void monotonic_goes_forward(void **state)
{
	uint64_t before = clock_now_ns(&clock_monotonic);
	uint64_t after = clock_now_ns(&clock_monotonic);

	(void)state;
	assert_true(before > 0);
	assert_true(after >= before);
}

static void manual_is_what_was_set(void **state)
{
	struct clock c = { .now_ns = clock_manual_now_ns, .manual_ns = 5 };

	(void)state;
	assert_int_equal(clock_now_ns(&c), 5);
	c.manual_ns = 10 * NSEC_PER_SEC;
	assert_int_equal(clock_now_ns(&c), 10000000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(monotonic_goes_forward),
		cmocka_unit_test(manual_is_what_was_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
