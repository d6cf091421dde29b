/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers as people read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "report/report_int.h"

static void test_values(void **state)
{
	char buf[NUM_SIZE];

	(void)state;
	assert_string_equal(fmt_value(buf, QUANTITY_NS, 0), "0.00 ns");
	assert_string_equal(fmt_value(buf, QUANTITY_NS, 999), "999 ns");
	assert_string_equal(fmt_value(buf, QUANTITY_NS, 999.6), "1.00 µs");
	assert_string_equal(fmt_value(buf, QUANTITY_NS, 41234), "41.2 µs");
	assert_string_equal(fmt_value(buf, QUANTITY_NS, 999600), "1.00 ms");
	assert_string_equal(fmt_value(buf, QUANTITY_NS, 2.5e9), "2.50 s");
	assert_string_equal(fmt_value(buf, QUANTITY_NS, -1500), "\u22121.50 µs");
	assert_string_equal(fmt_value(buf, QUANTITY_PER_S, 123456), "123,000 /s");
	assert_string_equal(fmt_value(buf, QUANTITY_PER_S, 9.5), "9.50 /s");
	assert_string_equal(fmt_value(buf, QUANTITY_PER_S, 1e18), "1e+18 /s");
}

static void test_intervals(void **state)
{
	const struct interval i = { .mid = 41000, .low = 900, .high = 1200000 };
	const struct interval around = { .mid = 500, .low = -2000, .high = 3000 };
	const struct interval ratio = { .mid = 1.04, .low = 0.9989, .high = 1.126 };
	char buf[NUM_SIZE];

	(void)state;
	/* Both ends in the unit of the middle. */
	assert_string_equal(fmt_interval(buf, QUANTITY_NS, &i), "0.90 to 1,200");
	assert_string_equal(fmt_interval(buf, QUANTITY_NS, &around), "\u22122,000 to 3,000");
	assert_string_equal(fmt_change_interval(buf, &ratio), "\u22120.1 to +13 %");
}

static void test_changes(void **state)
{
	char buf[NUM_SIZE];

	(void)state;
	assert_string_equal(fmt_change(buf, 1), "0.0 %");
	assert_string_equal(fmt_change(buf, 0.9999), "0.0 %");
	assert_string_equal(fmt_change(buf, 1.043), "+4.3 %");
	assert_string_equal(fmt_change(buf, 0.5), "\u221250 %");
	assert_string_equal(fmt_change(buf, 12), "×12.0");
	assert_string_equal(fmt_change(buf, 3230.5), "×3,230");
	assert_string_equal(fmt_diff(buf, QUANTITY_NS, 2900), "+2.90 µs");
	assert_string_equal(fmt_diff(buf, QUANTITY_NS, -2900), "\u22122.90 µs");
	assert_string_equal(fmt_percent(buf, 0.0432), "4.3 %");
	assert_string_equal(fmt_percent(buf, 0.25), "25 %");
}

static void test_counts_and_names(void **state)
{
	char buf[NUM_SIZE];

	(void)state;
	assert_string_equal(fmt_count(buf, 0), "0");
	assert_string_equal(fmt_count(buf, 999), "999");
	assert_string_equal(fmt_count(buf, 1000), "1,000");
	assert_string_equal(fmt_count(buf, UINT64_MAX), "18,446,744,073,709,551,615");
	assert_string_equal(path_text("other-node"), "other node");
	assert_string_equal(path_text("uplink"), "uplink");
	assert_string_equal(family_text("ipv6"), "IPv6");
	assert_int_equal(text_width("41 µs"), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_intervals),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_counts_and_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
