/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses and prefixes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <arpa/inet.h>

#include "base/rand.h"
#include "base/util.h"
#include "net/addr.h"

static struct ip_addr addr(const char *s)
{
	struct ip_addr a;

	if (ip_addr_parse(s, &a))
		fail_msg("%s", s);
	return a;
}

static struct ip_prefix prefix(const char *s)
{
	struct ip_prefix p;

	if (ip_prefix_parse(s, &p))
		fail_msg("%s", s);
	return p;
}

static void text_there_and_back(void **state)
{
	static const char *const cases[][2] = {
		{ "0.0.0.0", "0.0.0.0" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "10.96.0.1", "10.96.0.1" },
		{ "010.001.0000.09", "10.1.0.9" },
		{ "::", "::" },
		{ "::1", "::1" },
		{ "FD00:0::A", "fd00::a" },
		{ "::ffff:1.2.3.4", "1.2.3.4" },
		{ "::ffff:102:304", "1.2.3.4" },
		{ "::1.2.3.4", "::1.2.3.4" },
		{ "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8" },
	};
	char buf[IP_ADDR_STR_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ip_addr a = addr(cases[i][0]);

		assert_string_equal(ip_addr_format(&a, buf), cases[i][1]);
	}
	assert_string_equal(ip_addr_format(&(struct ip_addr){ 0 }, buf), "-");
}

static void bad_text_changes_nothing(void **state)
{
	static const char *const bad[] = {
		"",
		"1",
		"1.2.3",
		"1.2.3.4.5",
		"1.2.3.256",
		"1.2.3.",
		".1.2.3",
		"1..2.3",
		"1.2.3.4 ",
		" 1.2.3.4",
		"1.2.3.-4",
		"a.b.c.d",
		"0x1.2.3.4",
		"1.2.3.4/8",
		":",
		":::",
		"1::2::3",
		"fe80::1%eth0",
		"12345::",
		"1.2.3.99999999999",
		"::ffff:1.2.3",
		"g::",
	};
	struct ip_addr a = addr("9.9.9.9");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (ip_addr_parse(bad[i], &a) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
	}
	assert_memory_equal(a.bytes, "\x09\x09\x09\x09", 4);
}

static void order_is_total(void **state)
{
	static const char *const sorted[] = { "0.0.0.0", "9.255.0.0", "10.0.0.0", "255.0.0.1", "::", "::1", "fd00::" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sorted); i++) {
		for (size_t k = 0; k < ARRAY_LEN(sorted); k++) {
			struct ip_addr a = addr(sorted[i]), b = addr(sorted[k]);
			int c = ip_addr_cmp(&a, &b);

			assert_int_equal((c > 0) - (c < 0), (i > k) - (i < k));
			assert_int_equal(ip_addr_eq(&a, &b), i == k);
		}
	}
}

static void prefixes_parse(void **state)
{
	static const char *const good[] = { "10.0.0.0/8", "0.0.0.0/0", "10.0.0.1/32", "fd00::/8", "::/0", "::1/128" };
	static const char *const bad[] = {
		"10.0.0.0",    "10.0.0.0/",  "/8",     "10.0.0.0/33", "10.0.0.0/-1",	     "10.0.0.0/8x",
		"10.0.0.1/31", "10.1.0.0/8", "::/129", "fd00::1/127", "::ffff:10.0.0.0/104", "10.0.0.0/0008",
		"10.0.0.0/ 8",
	};
	char buf[IP_PREFIX_STR_MAX];
	struct ip_prefix p;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		p = prefix(good[i]);
		assert_string_equal(ip_prefix_format(&p, buf), good[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (ip_prefix_parse(bad[i], &p) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
	}
	assert_string_equal(ip_prefix_format(&(struct ip_prefix){ 0 }, buf), "-");
}

static void contains(void **state)
{
	static const struct {
		const char *p, *a;
		bool want;
	} cases[] = {
		{ "10.0.0.0/8", "10.255.0.1", true }, { "10.0.0.0/8", "11.0.0.0", false },
		{ "0.0.0.0/0", "8.8.8.8", true },     { "0.0.0.0/0", "::1", false },
		{ "1.2.3.4/32", "1.2.3.4", true },    { "1.2.3.4/32", "1.2.3.5", false },
		{ "fd00::/8", "fdff::1", true },      { "fd00::/8", "fe00::1", false },
		{ "::/0", "fd00::1", true },	      { "::/0", "1.2.3.4", false },
		{ "fd00::/127", "fd00::1", true },    { "fd00::/127", "fd00::2", false },
		{ "10.0.0.0/9", "10.127.0.0", true }, { "10.0.0.0/9", "10.128.0.0", false },
	};
	struct ip_prefix any = prefix("0.0.0.0/0");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ip_prefix p = prefix(cases[i].p);
		struct ip_addr a = addr(cases[i].a);

		if (ip_prefix_contains(&p, &a) != cases[i].want)
			fail_msg("%s in %s", cases[i].a, cases[i].p);
	}
	assert_false(ip_prefix_contains(&any, &(struct ip_addr){ 0 }));
}

static void nth_address(void **state)
{
	struct ip_prefix p = prefix("10.0.255.0/24"), one = prefix("10.0.0.9/32"), all = prefix("0.0.0.0/0");
	struct ip_prefix six = prefix("fd00::ffff:0/112"), wide = prefix("fd00::/64");
	struct ip_addr a, want;

	(void)state;
	assert_int_equal(ip_prefix_nth(&p, 255, &a), 0);
	want = addr("10.0.255.255");
	assert_true(ip_addr_eq(&a, &want));
	assert_int_equal(ip_prefix_nth(&p, 256, &a), -ERANGE);
	assert_int_equal(ip_prefix_nth(&one, 0, &a), 0);
	assert_int_equal(ip_prefix_nth(&one, 1, &a), -ERANGE);
	assert_int_equal(ip_prefix_nth(&all, 0xffffffff, &a), 0);
	assert_int_equal(ip_prefix_nth(&all, 0x100000000, &a), -ERANGE);
	assert_int_equal(ip_prefix_nth(&six, 0x1234, &a), 0);
	want = addr("fd00::ffff:1234");
	assert_true(ip_addr_eq(&a, &want));
	assert_int_equal(ip_prefix_nth(&wide, UINT64_MAX, &a), 0);
	want = addr("fd00::ffff:ffff:ffff:ffff");
	assert_true(ip_addr_eq(&a, &want));
}

static void sub_prefix(void **state)
{
	struct ip_prefix four = prefix("10.244.0.0/16"), six = prefix("fd00:10::/48"), all = prefix("::/0"), p, want;

	(void)state;
	assert_int_equal(ip_prefix_sub(&four, 24, 255, &p), 0);
	want = prefix("10.244.255.0/24");
	assert_memory_equal(&p, &want, sizeof(p));
	assert_int_equal(ip_prefix_sub(&four, 24, 256, &p), -ERANGE);
	assert_int_equal(ip_prefix_sub(&four, 8, 0, &p), -ERANGE);
	assert_int_equal(ip_prefix_sub(&four, 33, 0, &p), -ERANGE);
	assert_int_equal(ip_prefix_sub(&four, 16, 0, &p), 0);
	assert_int_equal(ip_prefix_sub(&six, 64, 0xabcd, &p), 0);
	want = prefix("fd00:10:0:abcd::/64");
	assert_memory_equal(&p, &want, sizeof(p));
	assert_int_equal(ip_prefix_sub(&all, 64, UINT64_MAX, &p), 0);
	want = prefix("ffff:ffff:ffff:ffff::/64");
	assert_memory_equal(&p, &want, sizeof(p));
	assert_int_equal(ip_prefix_sub(&all, 0, 0, &p), 0);
	assert_int_equal(ip_prefix_sub(&all, 128, 1, &p), 0);
}

static void sockaddrs(void **state)
{
	struct ip_addr four = addr("1.2.3.4"), six = addr("fd00::1"), none = { 0 }, back;
	struct sockaddr_storage ss;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&ss;
	uint16_t port = 0;

	(void)state;
	assert_int_equal(ip_addr_to_sockaddr(&four, 80, &ss), sizeof(struct sockaddr_in));
	assert_int_equal(((struct sockaddr_in *)&ss)->sin_addr.s_addr, htonl(0x01020304));
	assert_int_equal(((struct sockaddr_in *)&ss)->sin_port, htons(80));
	assert_int_equal(ip_addr_from_sockaddr(&ss, &back, &port), 0);
	assert_true(ip_addr_eq(&back, &four) && port == 80);
	assert_int_equal(ip_addr_to_sockaddr(&six, 53, &ss), sizeof(struct sockaddr_in6));
	assert_int_equal(ip_addr_from_sockaddr(&ss, &back, &port), 0);
	assert_true(ip_addr_eq(&back, &six) && port == 53);
	assert_int_equal(inet_pton(AF_INET6, "::ffff:1.2.3.4", &sin6->sin6_addr), 1);
	assert_int_equal(ip_addr_from_sockaddr(&ss, &back, &port), 0);
	assert_true(ip_addr_eq(&back, &four));
	assert_int_equal(ip_addr_to_sockaddr(&none, 1, &ss), 0);
	assert_int_equal(ip_addr_from_sockaddr(&ss, &back, &port), -EAFNOSUPPORT);
}

static void protocols(void **state)
{
	uint8_t p = 99;

	(void)state;
	assert_int_equal(ip_proto_parse("TCP", &p), 0);
	assert_int_equal(p, 6);
	assert_int_equal(ip_proto_parse("Sctp", &p), 0);
	assert_int_equal(p, 132);
	assert_int_equal(ip_proto_parse("icmpv6", &p), 0);
	assert_int_equal(p, 58);
	assert_int_equal(ip_proto_parse("tcpx", &p), -EINVAL);
	assert_int_equal(p, 58);
	assert_string_equal(ip_proto_name(17), "udp");
	assert_null(ip_proto_name(47));
}

/* Any address printed is read back as itself. */
static void random_round_trips(void **state)
{
	char buf[IP_ADDR_STR_MAX];
	struct rng rng;

	(void)state;
	rng_seed(&rng, 1);
	for (int i = 0; i < 20000; i++) {
		struct ip_addr a = { .fam = i % 2 ? AF_INET : AF_INET6 }, back;

		for (size_t k = 0; k < ip_addr_size(&a); k++)
			a.bytes[k] = rng_below(&rng, 3) ? (uint8_t)rng_u64(&rng) : 0;
		assert_int_equal(ip_addr_parse(ip_addr_format(&a, buf), &back), 0);
		assert_true(ip_addr_eq(&a, &back));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_there_and_back),
		cmocka_unit_test(bad_text_changes_nothing),
		cmocka_unit_test(order_is_total),
		cmocka_unit_test(prefixes_parse),
		cmocka_unit_test(contains),
		cmocka_unit_test(nth_address),
		cmocka_unit_test(sub_prefix),
		cmocka_unit_test(sockaddrs),
		cmocka_unit_test(protocols),
		cmocka_unit_test(random_round_trips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
