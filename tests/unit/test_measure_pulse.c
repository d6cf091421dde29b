/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the events of a load say of a fault: counts, the longest outage that reaches beyond it, when all was well, the time line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/util.h"
#include "measure/pulse.h"

#define MS NSEC_PER_MSEC
#define T0 (10000 * MS) /* the fault */

static struct pulse_event ev(int64_t sent_ms, int64_t done_ms, enum pulse_kind kind, enum pulse_outcome outcome)
{
	return (struct pulse_event){ .sent_ns = T0 + (uint64_t)(sent_ms * (int64_t)MS),
				     .done_ns = T0 + (uint64_t)(done_ms * (int64_t)MS),
				     .kind = kind,
				     .outcome = outcome };
}

static void test_nothing_happens(void **state)
{
	struct pulse_event events[400];
	struct pulse_sum s;

	(void)state;
	for (int i = 0; i < 400; i++)
		events[i] = ev(i - 200, i - 200, i % 2 ? PULSE_CONNECT : PULSE_DATAGRAM, PULSE_OK);
	pulse_sum(events, ARRAY_LEN(events), T0, &s);
	assert_int_equal(s.n_sent, 400);
	assert_int_equal(s.n_ok, 400);
	assert_int_equal(s.n_lost + s.n_wrong, 0);
	assert_int_equal(s.outage_ns, 2 * MS);
	assert_int_equal(s.well_ns, T0);
	assert_int_equal(s.n_bins, 40);
	for (size_t i = 0; i < 40; i++) {
		assert_int_equal(s.ok[i], 10);
		assert_int_equal(s.failed[i], 0);
	}
}

/* One kind has no answer for 50 ms, another goes on: the outage is seen, and what lies before the fault is not. */
static void test_outage_of_one_kind(void **state)
{
	const struct pulse_event events[] = {
		ev(-300, -300, PULSE_CONNECT, PULSE_OK), ev(-100, -100, PULSE_CONNECT, PULSE_OK),
		ev(-2, -1, PULSE_CONNECT, PULSE_OK),	 ev(0, 1, PULSE_DATAGRAM, PULSE_OK),
		ev(10, 11, PULSE_DATAGRAM, PULSE_OK),	 ev(5, 12, PULSE_CONNECT, PULSE_LOST),
		ev(20, 21, PULSE_DATAGRAM, PULSE_OK),	 ev(30, 31, PULSE_DATAGRAM, PULSE_WRONG),
		ev(40, 41, PULSE_DATAGRAM, PULSE_OK),	 ev(48, 49, PULSE_CONNECT, PULSE_OK),
	};
	struct pulse_sum s;

	(void)state;
	pulse_sum(events, ARRAY_LEN(events), T0, &s);
	assert_int_equal(s.n_sent, 10);
	assert_int_equal(s.n_ok, 8);
	assert_int_equal(s.n_lost, 1);
	assert_int_equal(s.n_wrong, 1);
	assert_int_equal(s.outage_ns, 50 * MS);
	assert_int_equal(s.well_ns, T0 + 30 * MS);
	assert_int_equal(s.failed[PULSE_BINS_BEFORE], 1); /* sent 5 ms after the fault */
	assert_int_equal(s.failed[PULSE_BINS_BEFORE + 3], 1);
	assert_int_equal(s.n_bins, PULSE_BINS_BEFORE + 5);
}

/* What never comes back is out until it was asked last. */
static void test_never_back(void **state)
{
	const struct pulse_event events[] = {
		ev(-1, -1, PULSE_LASTING, PULSE_OK),
		ev(-1, 0, PULSE_CONNECT, PULSE_OK),
		ev(400, 401, PULSE_CONNECT, PULSE_LOST),
		ev(700, 701, PULSE_LASTING, PULSE_OK),
	};
	struct pulse_sum s;

	(void)state;
	pulse_sum(events, 3, T0, &s);
	assert_int_equal(s.outage_ns, 400 * MS);
	pulse_sum(events, 4, T0, &s);
	assert_int_equal(s.outage_ns, 702 * MS);
}

/* Events far outside of the time line are counted, not drawn. */
static void test_bounds(void **state)
{
	const struct pulse_event events[] = {
		ev(-5000, -4999, PULSE_CONNECT, PULSE_OK),
		ev(100000, 100001, PULSE_CONNECT, PULSE_OK),
	};
	struct pulse_sum s;

	(void)state;
	pulse_sum(events, 2, T0, &s);
	assert_int_equal(s.n_ok, 2);
	assert_int_equal(s.n_bins, 0);
	pulse_sum(events, 0, T0, &s);
	assert_int_equal(s.n_sent, 0);
	assert_int_equal(s.outage_ns, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_happens),
		cmocka_unit_test(test_outage_of_one_kind),
		cmocka_unit_test(test_never_back),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
