/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tuples as keys: equal tuples give equal bytes, each field counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/pkt.h"

static struct l4_tuple tuple(void)
{
	struct l4_tuple t;

	memset(&t, 0xa5, sizeof(t)); /* padding is not looked at */
	assert_int_equal(ip_addr_parse("10.0.0.1", &t.src), 0);
	assert_int_equal(ip_addr_parse("10.0.0.2", &t.dst), 0);
	t.sport = 1;
	t.dport = 2;
	t.proto = IPPROTO_TCP;
	return t;
}

static void assert_differs(const struct l4_tuple *t)
{
	const struct l4_tuple plain = tuple();
	const struct l4_key a = l4_key_of(&plain), b = l4_key_of(t);

	assert_int_not_equal(memcmp(&a, &b, sizeof(a)), 0);
}

static void test_key(void **state)
{
	struct l4_tuple t = tuple(), same = {};
	struct l4_key a, b;

	(void)state;
	same.src = t.src;
	same.dst = t.dst;
	same.sport = t.sport;
	same.dport = t.dport;
	same.proto = t.proto;
	a = l4_key_of(&t);
	b = l4_key_of(&same);
	assert_memory_equal(&a, &b, sizeof(a));
	t.src.bytes[3]++;
	assert_differs(&t);
	t = tuple();
	t.dst.fam = AF_INET6;
	assert_differs(&t);
	t = tuple();
	t.sport = 3;
	assert_differs(&t);
	t = tuple();
	t.dport = 3;
	assert_differs(&t);
	t = tuple();
	t.proto = IPPROTO_UDP;
	assert_differs(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_key) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
