/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/util.h"
#include "target/target.h"

static void test_registry(void **state)
{
	static const char *const order[] = { "sim", "host", "nft", "bpf-sock", "kube-proxy" };

	(void)state;
	assert_int_equal(target_count(), ARRAY_LEN(order));
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		assert_string_equal(target_at(i)->name, order[i]);
		assert_ptr_equal(target_find(order[i]), target_at(i));
	}
	assert_null(target_at(ARRAY_LEN(order)));
	assert_null(target_find("no-such-target"));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_registry) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
