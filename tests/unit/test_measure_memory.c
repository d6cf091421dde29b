/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The peak of a process begins anew where a measurement begins: what it held before is neither in the growth nor hidden by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/mman.h>

#include "measure/memory.h"

#define SIZE ((size_t)32 << 20)
#define KIB ((int64_t)SIZE / 1024)
#define SLACK_KIB 4096

static void take_and_give_back(void)
{
	void *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	memset(p, 1, SIZE);
	assert_int_equal(munmap(p, SIZE), 0);
}

static int64_t reading(bool peak)
{
	struct err e = {};
	int64_t kib = 0;

	if (memory_of_self_kib(peak, &kib, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	return kib;
}

static void test_peak_begins_anew(void **state)
{
	struct err e = {};
	int64_t before;

	(void)state;
	before = reading(false);
	take_and_give_back();
	assert_true(reading(true) >= before + KIB - SLACK_KIB);
	if (memory_of_self_begin(&e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	before = reading(false);
	assert_in_range(reading(true), before - SLACK_KIB, before + SLACK_KIB);
	take_and_give_back();
	assert_in_range(reading(true) - before, KIB - SLACK_KIB, KIB + SLACK_KIB);
	assert_in_range(reading(false), 0, before + SLACK_KIB);
}

static void test_kernel(void **state)
{
	int64_t kib = 0;

	(void)state;
	assert_in_range(memory_of_kernel_at_rest_kib(&kib, NULL), 0, 1); /* others may be at work */
	assert_true(kib > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_peak_begins_anew), cmocka_unit_test(test_kernel) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
