/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes: after a rewrite the packet is the one that the builder would have made for the new tuple. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>

#include "base/rand.h"
#include "base/util.h"
#include "target/sim/internal.h"

#define SIZE_MAX_TEST 1600

static struct ip_addr random_addr(struct rng *r, bool v6)
{
	struct ip_addr a = { .fam = v6 ? AF_INET6 : AF_INET };

	for (size_t i = 0; i < ip_addr_size(&a); i++)
		a.bytes[i] = (uint8_t)rng_u64(r);
	return a;
}

static struct l4_tuple random_tuple(struct rng *r, bool v6, uint8_t proto)
{
	return (struct l4_tuple){ .src = random_addr(r, v6),
				  .dst = random_addr(r, v6),
				  .sport = (uint16_t)rng_u64(r),
				  .dport = (uint16_t)rng_u64(r),
				  .proto = proto };
}

static struct pkt random_pkt(struct rng *r, bool v6, uint8_t proto, uint8_t *payload)
{
	struct pkt p = { .t = random_tuple(r, v6, proto), .ttl = (uint8_t)rng_u64(r) };

	p.ip_id = v6 ? 0 : (uint16_t)rng_u64(r);
	p.dscp_ecn = (uint8_t)rng_u64(r);
	p.tcp_seq = (uint32_t)rng_u64(r);
	p.tcp_ack = (uint32_t)rng_u64(r);
	p.tcp_flags = (uint8_t)rng_u64(r);
	p.tcp_window = (uint16_t)rng_u64(r);
	p.sctp_vtag = (uint32_t)rng_u64(r);
	p.payload_size = rng_below(r, 300);
	for (size_t i = 0; i < p.payload_size; i++)
		payload[i] = (uint8_t)rng_u64(r);
	p.payload = payload;
	return p;
}

/* Built anew for the new tuple, the packet has the same bytes. */
static void test_equals_built(void **state)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };
	struct rng r;

	(void)state;
	rng_seed(&r, 1);
	for (int i = 0; i < 3000; i++) {
		uint8_t buf[SIZE_MAX_TEST], want[SIZE_MAX_TEST], payload[300];
		size_t size = sizeof(buf), want_size = sizeof(want);
		uint8_t proto = protos[i % 3];
		bool v6 = i / 3 % 2;
		struct pkt p = random_pkt(&r, v6, proto, payload);
		struct l4_tuple to = random_tuple(&r, v6, proto);

		assert_int_equal(pkt_build(&p, buf, &size), 0);
		p.t = to;
		assert_int_equal(pkt_build(&p, want, &want_size), 0);
		rewrite_packet(buf, size, &to);
		assert_int_equal(size, want_size);
		assert_true(pkt_checksums_ok(buf, size));
		assert_memory_equal(buf, want, size);
	}
}

/* 0 over IPv4 means "none": it stays. A sum that comes out as 0 is sent as all ones. */
static void test_udp_zero(void **state)
{
	uint8_t buf[64], payload[2] = {};
	bool seen_ones = false;

	(void)state;
	for (uint32_t i = 0; i < 65536; i++) {
		struct pkt p = { .t = { .src = { AF_INET, { 10, 0, 0, 1 } },
					.dst = { AF_INET, { 10, 0, 0, 2 } },
					.sport = 1,
					.dport = 2,
					.proto = IPPROTO_UDP },
				 .ttl = 64,
				 .payload = payload,
				 .payload_size = 2 };
		struct l4_tuple to = p.t;
		size_t size = sizeof(buf);

		assert_int_equal(pkt_build(&p, buf, &size), 0);
		to.sport = (uint16_t)i;
		rewrite_packet(buf, size, &to);
		assert_false(buf[26] == 0 && buf[27] == 0);
		seen_ones = seen_ones || (buf[26] == 0xff && buf[27] == 0xff);
		assert_true(pkt_checksums_ok(buf, size));
		buf[26] = buf[27] = 0;
		to.sport++;
		rewrite_packet(buf, size, &to);
		assert_int_equal(buf[26] | buf[27], 0);
	}
	assert_true(seen_ones);
}

static void test_wrong_stays_wrong(void **state)
{
	uint8_t buf[SIZE_MAX_TEST], payload[300];
	struct rng r;

	(void)state;
	rng_seed(&r, 2);
	for (int i = 0; i < 200; i++) {
		struct pkt p = random_pkt(&r, i % 2, i / 2 % 2 ? IPPROTO_TCP : IPPROTO_UDP, payload);
		struct l4_tuple to = random_tuple(&r, i % 2, p.t.proto);
		size_t size = sizeof(buf);

		assert_int_equal(pkt_build(&p, buf, &size), 0);
		buf[(i % 2 ? 40 : 20) + (p.t.proto == IPPROTO_TCP ? 17 : 7)] ^= 0x11;
		rewrite_packet(buf, size, &to);
		assert_false(pkt_checksums_ok(buf, size));
	}
}

/* A hop-by-hop and a destination header in front of UDP, IPv4 with options in front of TCP. */
static void test_longer_headers(void **state)
{
	uint8_t buf[128] = {}, plain[128], payload[4] = { 1, 2, 3, 4 };
	struct pkt p = { .ttl = 9, .payload = payload, .payload_size = 4 };
	struct pkt out;
	struct l4_tuple to;
	size_t size = sizeof(plain);
	struct rng r;

	(void)state;
	rng_seed(&r, 3);
	p.t = random_tuple(&r, true, IPPROTO_UDP);
	to = random_tuple(&r, true, IPPROTO_UDP);
	assert_int_equal(pkt_build(&p, plain, &size), 0);
	memcpy(buf, plain, 40);
	buf[6] = IPPROTO_HOPOPTS;
	buf[5] = (uint8_t)(buf[5] + 24);
	buf[40] = IPPROTO_DSTOPTS;
	buf[48] = IPPROTO_UDP;
	buf[49] = 1;
	memcpy(buf + 64, plain + 40, size - 40);
	rewrite_packet(buf, size + 24, &to);
	assert_int_equal(pkt_parse(buf, size + 24, &out), 0);
	assert_true(pkt_checksums_ok(buf, size + 24));
	assert_int_equal(out.t.sport, to.sport);
	assert_true(ip_addr_eq(&out.t.dst, &to.dst));
}

/* ICMP error: what it quotes is rewritten as the packet itself would be; the whole stays well-formed. */
static void test_error(void **state)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };
	struct rng r;

	(void)state;
	rng_seed(&r, 4);
	for (int i = 0; i < 3000; i++) {
		uint8_t quoted[SIZE_MAX_TEST], buf[SIZE_MAX_TEST], payload[300];
		uint8_t proto = protos[i % 3];
		bool v6 = i / 3 % 2;
		struct pkt p = random_pkt(&r, v6, proto, payload), out;
		struct ip_addr from = random_addr(&r, v6), src = random_addr(&r, v6), dst = random_addr(&r, v6);
		struct l4_tuple to = random_tuple(&r, v6, proto);
		size_t size = sizeof(quoted), error_size = sizeof(buf), inner_at = v6 ? 48 : 28;
		size_t quote_size;

		assert_int_equal(pkt_build(&p, quoted, &size), 0);
		/* Routers may quote as little as the ports. */
		quote_size = i % 5 == 0 ? MIN(size, (size_t)(v6 ? 40 : 20) + 8 + rng_below(&r, 14)) : size;
		assert_int_equal(pkt_build_icmp_error(&from, v6 ? 2 : 3, v6 ? 0 : 4, 1280, quoted, quote_size, buf,
						      &error_size),
				 0);
		rewrite_error(buf, error_size, &src, &dst, &to);
		assert_true(pkt_checksums_ok(buf, error_size));
		assert_int_equal(pkt_parse(buf, error_size, &out), 0);
		assert_true(ip_addr_eq(&out.t.src, &src) && ip_addr_eq(&out.t.dst, &dst));
		assert_true(out.has_inner);
		assert_true(ip_addr_eq(&out.inner.src, &to.src) && ip_addr_eq(&out.inner.dst, &to.dst));
		assert_int_equal(out.inner.sport, to.sport);
		assert_int_equal(out.inner.dport, to.dport);
		assert_int_equal(out.icmp_rest, 1280);
		/* Quoted as a whole: it is a packet with right checksums again. */
		if (quote_size == size && error_size - inner_at == size)
			assert_true(pkt_checksums_ok(buf + inner_at, size));
	}
}

/* Whatever the bytes: nothing outside of the buffer is touched (the sanitizers look on). */
static void test_robust(void **state)
{
	struct rng r;

	(void)state;
	rng_seed(&r, 5);
	for (int i = 0; i < 20000; i++) {
		size_t size = rng_below(&r, 100);
		uint8_t *buf = malloc(MAX(size, (size_t)1)); /* exactly: the sanitizers see a byte too far */
		struct ip_addr a = random_addr(&r, i & 1);
		struct l4_tuple to = random_tuple(&r, i & 1, IPPROTO_UDP);

		assert_non_null(buf);
		for (size_t j = 0; j < size; j++)
			buf[j] = (uint8_t)rng_u64(&r);
		if (size > 9) {
			buf[0] = i & 1 ? 0x60 : 0x45;
			buf[i & 1 ? 6 : 9] = (uint8_t[]){ 6, 17, 132, 1, 58, 0, 43, 44, 60 }[rng_below(&r, 9)];
		}
		rewrite_packet(buf, size, &to);
		rewrite_error(buf, size, &a, &a, &to);
		free(buf);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equals_built),
		cmocka_unit_test(test_udp_zero),
		cmocka_unit_test(test_wrong_stays_wrong),
		cmocka_unit_test(test_longer_headers),
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_robust),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
