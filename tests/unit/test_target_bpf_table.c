/* SPDX-License-Identifier: GPL-2.0-or-later */
/* table.c: addresses and entries as bytes and as text, and what leads from one list to another. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../src/target/bpf/table.h"
#include "base/cleanup.h"
#include "base/rand.h"
#include "base/util.h"

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_int_equal(ip_addr_parse(text, &a), 0);
	return a;
}

static struct bpf_vip vip(const char *text, uint8_t proto, uint16_t port)
{
	const struct ip_addr a = addr(text);

	return bpf_vip_of(&a, proto, port);
}

static struct bpf_backend backend(const char *text, uint16_t port)
{
	const struct ip_addr a = addr(text);

	return bpf_backend_of(&a, port);
}

/* IPv4 stands as ::ffff:a.b.c.d, network order, ports too; an address that is unset is not 0.0.0.0. */
static void test_bytes(void **state)
{
	static const uint8_t want[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 96, 0, 1, 0x01, 0xbb, 6, 0 };
	const struct bpf_vip v4 = vip("10.96.0.1", IPPROTO_TCP, 443);
	const struct ip_addr unset = {}, v6 = addr("fd00::1:2");
	const struct bpf_addr nothing = bpf_addr_of(&unset), six = bpf_addr_of(&v6);
	struct ip_addr back;

	(void)state;
	assert_memory_equal(&v4, want, sizeof(want));
	back = bpf_addr_to_ip(&v4.addr);
	assert_int_equal(back.fam, AF_INET);
	assert_memory_equal(back.bytes, want + 12, 4);
	assert_memory_equal(six.word, v6.bytes, 16);
	back = bpf_addr_to_ip(&six);
	assert_true(ip_addr_eq(&back, &v6));
	for (size_t i = 0; i < ARRAY_LEN(nothing.word); i++)
		assert_int_equal(nothing.word[i], 0);
}

static void assert_text(void (*format)(struct strbuf *sb, const void *what), const void *what, const char *want)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;

	format(&sb, what);
	assert_string_equal(sb.buf ? sb.buf : "", want);
}

static void test_keys_as_text(void **state)
{
	const struct bpf_vip v4 = vip("10.96.0.1", IPPROTO_TCP, 80), v6 = vip("fd96::1", IPPROTO_UDP, 53);
	const struct bpf_backend_key index = { .vip = v6, .index = 7 };
	const struct bpf_member_key member = { .vip = v6, .backend = backend("fd44::2", 5353) };
	const struct bpf_client_key client = { .vip = v4, .client = backend("10.244.0.9", 0).addr };
	const struct bpf_slots_key block = { .vip = v4, .block = 3 };

	(void)state;
	assert_text(table_spec[TABLE_CLUSTER_IPS].format_key, &v4.addr, "10.96.0.1");
	assert_text(table_spec[TABLE_SERVICES].format_key, &v4, "10.96.0.1 tcp 80");
	assert_text(table_spec[TABLE_BACKENDS].format_key, &index, "fd96::1 udp 53 7");
	assert_text(table_spec[TABLE_MEMBERS].format_key, &member, "fd96::1 udp 53 [fd44::2]:5353");
	assert_text(table_spec[TABLE_HAIRPINS].format_key, &client, "10.96.0.1 tcp 80 10.244.0.9");
	assert_text(table_spec[TABLE_SLOTS].format_key, &block, "10.96.0.1 tcp 80 block 3");
}

static void test_values_as_text(void **state)
{
	const struct bpf_service plain = { .n_backends = 2 }, none = {};
	const struct bpf_service all = { .n_backends = 3, .flags = 7, .affinity_timeout_s = 60, .slot_mask = 1023 };
	const struct bpf_backend b4 = backend("10.244.0.9", 8080), b6 = backend("fd44::2", 80);
	struct bpf_slots slots = {};
	const uint32_t one = 1, serving = BPF_MEMBER_SERVING, both = BPF_MEMBER_SERVING | BPF_MEMBER_ELIGIBLE;
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;

	(void)state;
	assert_text(table_spec[TABLE_SERVICES].format_value, &none, "backends 0");
	assert_text(table_spec[TABLE_SERVICES].format_value, &plain, "backends 2");
	assert_text(table_spec[TABLE_SERVICES].format_value, &all, "backends 3 affinity 60s maglev 1024 local");
	assert_text(table_spec[TABLE_BACKENDS].format_value, &b4, "10.244.0.9:8080");
	assert_text(table_spec[TABLE_BACKENDS].format_value, &b6, "[fd44::2]:80");
	assert_text(table_spec[TABLE_MEMBERS].format_value, &one, "eligible");
	assert_text(table_spec[TABLE_MEMBERS].format_value, &serving, "serving");
	assert_text(table_spec[TABLE_MEMBERS].format_value, &both, "eligible serving");
	assert_text(table_spec[TABLE_HAIRPINS].format_value, &one, "");
	slots.index[1] = 65535;
	slots.index[127] = 9;
	table_spec[TABLE_SLOTS].format_value(&sb, &slots);
	assert_int_equal(strncmp(sb.buf, "0,65535,0,", 10), 0);
	assert_string_equal(sb.buf + sb.len - 4, ",0,9");
}

/* ---- lists ---- */

static void add(struct entries *l, uint16_t port, uint32_t n_backends)
{
	const struct bpf_vip key = vip("10.96.0.1", IPPROTO_TCP, port);
	const struct bpf_service value = { .n_backends = n_backends };

	assert_int_equal(entries_add(TABLE_SERVICES, l, &key, &value), 0);
}

static uint16_t port_at(const struct entries *l, size_t i)
{
	struct bpf_vip key;

	memcpy(&key, entry_key(TABLE_SERVICES, l, i), sizeof(key));
	return ntohs(key.port);
}

static void test_difference(void **state)
{
	CLEANUP(entries_free) struct entries before = {}, after = {};
	CLEANUP(table_ops_free) struct table_ops ops = {};

	(void)state;
	add(&before, 30, 1);
	add(&before, 10, 1);
	add(&before, 20, 1);
	add(&before, 50, 1);
	add(&after, 40, 1); /* new */
	add(&after, 20, 2); /* changed */
	add(&after, 30, 1); /* as it was */
	add(&after, 60, 1); /* new, after the last */
	entries_sort(TABLE_SERVICES, &before);
	entries_sort(TABLE_SERVICES, &after);
	assert_int_equal(port_at(&before, 0), 10);
	assert_int_equal(table_ops_build(TABLE_SERVICES, &before, &after, &ops), 0);
	assert_int_equal(ops.n_put, 3);
	assert_int_equal(port_at(&after, ops.put[0]), 20);
	assert_int_equal(port_at(&after, ops.put[1]), 40);
	assert_int_equal(port_at(&after, ops.put[2]), 60);
	assert_int_equal(ops.n_new, 2);
	assert_int_equal(ops.n_drop, 2);
	assert_int_equal(port_at(&before, ops.drop[0]), 10);
	assert_int_equal(port_at(&before, ops.drop[1]), 50);
}

static void test_difference_of_nothing(void **state)
{
	CLEANUP(entries_free) struct entries some = {}, none = {};
	CLEANUP(table_ops_free) struct table_ops all = {}, gone = {}, same = {}, empty = {};

	(void)state;
	add(&some, 1, 1);
	add(&some, 2, 1);
	assert_int_equal(table_ops_build(TABLE_SERVICES, &none, &some, &all), 0);
	assert_true(all.n_put == 2 && all.n_new == 2 && all.n_drop == 0);
	assert_int_equal(table_ops_build(TABLE_SERVICES, &some, &none, &gone), 0);
	assert_true(gone.n_put == 0 && gone.n_new == 0 && gone.n_drop == 2);
	assert_int_equal(table_ops_build(TABLE_SERVICES, &some, &some, &same), 0);
	assert_true(same.n_put == 0 && same.n_drop == 0);
	assert_int_equal(table_ops_build(TABLE_SERVICES, &none, &none, &empty), 0);
	assert_true(empty.n_put == 0 && empty.n_drop == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_keys_as_text),
		cmocka_unit_test(test_values_as_text),
		cmocka_unit_test(test_difference),
		cmocka_unit_test(test_difference_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
