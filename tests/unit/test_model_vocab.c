/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The vocabulary: every name is there, is unique, and parses back to its value. */
#include <errno.h>

#include "model/vocab.h"
#include "model_util.h"

static void assert_name_is_plain(const char *name)
{
	assert_true(strlen(name) > 0);
	assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
}

static void functions_are_named(void **state)
{
	(void)state;
	for (int f = 0; f < FUNC_MAX; f++) {
		assert_name_is_plain(function_name((enum function)f));
		assert_true(strlen(function_text((enum function)f)) > 0);
		for (int other = 0; other < f; other++)
			assert_string_not_equal(function_name((enum function)f), function_name((enum function)other));
	}
	assert_string_equal(function_name(FUNC_SERVICE_LB), "service-lb");
	assert_string_equal(function_name(FUNC_MAX), "unknown");
	assert_string_equal(function_text((enum function) - 1), "unknown");
}

static void verdicts_parse_back(void **state)
{
	(void)state;
	for (int v = 0; v < VERDICT_MAX; v++)
		assert_int_equal(verdict_parse(verdict_name((enum verdict)v)), v);
	assert_string_equal(verdict_name(VERDICT_REJECT), "reject");
	assert_string_equal(verdict_name(VERDICT_MAX), "unknown");
	assert_int_equal(verdict_parse("unknown"), -EINVAL);
	assert_int_equal(verdict_parse(""), -EINVAL);
	assert_int_equal(verdict_parse(NULL), -EINVAL);
}

static void reasons_parse_back(void **state)
{
	(void)state;
	for (int r = 0; r < REASON_MAX; r++) {
		assert_name_is_plain(reason_name((enum reason)r));
		assert_true(strlen(reason_text((enum reason)r)) > 0);
		assert_int_equal(reason_parse(reason_name((enum reason)r)), r);
		assert_in_range(reason_verdict((enum reason)r), 0, VERDICT_MAX - 1);
	}
	assert_int_equal(reason_verdict(REASON_CHOSEN), VERDICT_TRANSLATE);
	assert_int_equal(reason_verdict(REASON_NO_ENDPOINTS), VERDICT_REJECT);
	assert_int_equal(reason_verdict(REASON_MALFORMED), VERDICT_DROP);
	assert_int_equal(reason_verdict(REASON_NOT_SERVICE), VERDICT_PASS);
	assert_string_equal(reason_name(REASON_MAX), "unknown");
	assert_string_equal(reason_text(REASON_MAX), "unknown");
	assert_int_equal(reason_verdict(REASON_MAX), VERDICT_DROP);
	assert_int_equal(reason_parse("nonsense"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_are_named),
		cmocka_unit_test(verdicts_parse_back),
		cmocka_unit_test(reasons_parse_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
