/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The strategies against the registry: every tier is there and carries the function; what is lowest can be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/util.h"
#include "plan/plan.h"

static void test_find(void **state)
{
	(void)state;
	assert_true(strategy_count() >= 2);
	assert_null(strategy_at(strategy_count()));
	assert_null(strategy_find("no-such-strategy"));
	assert_null(strategy_find(""));
	for (size_t i = 0; i < strategy_count(); i++)
		assert_ptr_equal(strategy_find(strategy_at(i)->name), strategy_at(i));
}

static void test_names_differ(void **state)
{
	(void)state;
	for (size_t i = 0; i < strategy_count(); i++) {
		assert_true(strategy_at(i)->name[0] && strategy_at(i)->text[0]);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(strategy_at(i)->name, strategy_at(j)->name);
	}
}

static void check_tiers(const struct strategy *st, enum function f)
{
	const struct target_ops *last = NULL;

	for (size_t k = 0; st->tiers[f][k]; k++) {
		assert_true(k < STRATEGY_TIERS_MAX);
		last = target_find(st->tiers[f][k]);
		if (!last || !(last->functions & (1u << f)))
			fail_msg("%s: %s does not carry %s", st->name, st->tiers[f][k], function_name(f));
		for (size_t j = 0; j < k; j++)
			assert_string_not_equal(st->tiers[f][j], st->tiers[f][k]);
	}
	if (f == FUNC_SERVICE_LB && last && !last->complete)
		fail_msg("%s: the last tier of service-lb, %s, is not complete", st->name, last->name);
}

static void test_tiers(void **state)
{
	(void)state;
	for (size_t i = 0; i < strategy_count(); i++)
		for (int f = 0; f < FUNC_MAX; f++)
			check_tiers(strategy_at(i), f);
}

/* Clients use Service addresses exactly where somebody carries them; pods are reached under all. */
static void test_service_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < strategy_count(); i++) {
		const struct strategy *st = strategy_at(i);

		assert_int_equal(st->service_addresses, st->tiers[FUNC_SERVICE_LB][0] != NULL);
		assert_non_null(st->tiers[FUNC_POD_ROUTING][0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_names_differ),
		cmocka_unit_test(test_tiers),
		cmocka_unit_test(test_service_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
