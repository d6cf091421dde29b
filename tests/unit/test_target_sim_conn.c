/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>

#include "target/sim/internal.h"

static struct ip_addr addr(uint8_t last)
{
	return (struct ip_addr){ .fam = AF_INET, .bytes = { 10, 0, 0, last } };
}

static struct l4_tuple tuple(uint8_t src, uint16_t sport, uint8_t dst, uint16_t dport)
{
	return (struct l4_tuple){
		.src = addr(src), .dst = addr(dst), .sport = sport, .dport = dport, .proto = IPPROTO_UDP
	};
}

/* client:sport -> .100:80, answered by backend:8080. */
static struct conn conn(uint8_t client, uint16_t sport, uint8_t backend, uint64_t expires_ns)
{
	return (struct conn){ .orig = tuple(client, sport, 100, 80),
			      .reply = tuple(backend, 8080, client, sport),
			      .translated = true,
			      .track.expires_ns = expires_ns };
}

static void test_find(void **state)
{
	struct conn c = conn(1, 4000, 5, 10);
	struct conn_table t;
	struct l4_tuple other;
	enum dir dir;

	(void)state;
	assert_int_equal(conn_table_init(&t), 0);
	assert_int_equal(conn_add(&t, &c, 0), 0);
	assert_int_equal(t.n, 1);
	assert_non_null(conn_find(&t, &c.orig, &dir));
	assert_int_equal(dir, DIR_ORIGINAL);
	assert_non_null(conn_find(&t, &c.reply, &dir));
	assert_int_equal(dir, DIR_REPLY);
	/* Everything in the tuple counts. */
	other = c.orig;
	other.proto = IPPROTO_TCP;
	assert_null(conn_find(&t, &other, &dir));
	other = c.orig;
	other.sport++;
	assert_null(conn_find(&t, &other, &dir));
	other = c.orig;
	other.src = addr(9);
	assert_null(conn_find(&t, &other, &dir));
	other = tuple_inverse(&c.orig);
	assert_null(conn_find(&t, &other, &dir));
	conn_del(&t, conn_find(&t, &c.reply, &dir));
	assert_null(conn_find(&t, &c.orig, &dir));
	assert_null(conn_find(&t, &c.reply, &dir));
	assert_int_equal(t.n, 0);
	conn_table_done(&t);
}

static void test_taken(void **state)
{
	struct conn a = conn(1, 4000, 5, 10), b = a;
	struct conn_table t;

	(void)state;
	assert_int_equal(conn_table_init(&t), 0);
	assert_int_equal(conn_add(&t, &a, 0), 0);
	assert_int_equal(conn_add(&t, &a, 0), -EEXIST);
	b.orig.dst = addr(101); /* another VIP, same backend */
	assert_int_equal(conn_add(&t, &b, 0), -EEXIST);
	b.reply.dport = 4001;
	assert_int_equal(conn_add(&t, &b, 0), 0);
	conn_table_done(&t);
}

/* Somebody talks to himself: both tuples are one. */
static void test_self(void **state)
{
	struct conn c = { .orig = tuple(1, 7, 1, 7), .reply = tuple(1, 7, 1, 7) };
	struct conn_table t;
	enum dir dir;

	(void)state;
	assert_int_equal(conn_table_init(&t), 0);
	assert_int_equal(conn_add(&t, &c, 0), 0);
	assert_non_null(conn_find(&t, &c.orig, &dir));
	assert_int_equal(dir, DIR_ORIGINAL);
	conn_del(&t, conn_find(&t, &c.orig, &dir));
	assert_null(conn_find(&t, &c.orig, &dir));
	conn_table_done(&t);
}

/* The table does not grow with connections that are over. */
static void test_sweep(void **state)
{
	struct conn_table t;
	enum dir dir;
	struct conn last = {};

	(void)state;
	assert_int_equal(conn_table_init(&t), 0);
	for (uint32_t i = 0; i < 20000; i++) {
		last = conn((uint8_t)(1 + i / 60000), (uint16_t)(1 + i % 60000), 5, i + 10);
		assert_int_equal(conn_add(&t, &last, i), 0);
	}
	assert_true(t.n < 3000);
	assert_non_null(conn_find(&t, &last.orig, &dir));
	conn_table_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_self),
		cmocka_unit_test(test_sweep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
