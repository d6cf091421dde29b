/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets written: equal to an independent implementation's, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/rand.h"
#include "net/pkt.h"
#include "net_pkt_vectors.h"

static void rebuild(const uint8_t *want, size_t size)
{
	uint8_t buf[256];
	size_t got = sizeof(buf);
	struct pkt p;

	assert_int_equal(pkt_parse(want, size, &p), 0);
	assert_int_equal(pkt_build(&p, buf, &got), 0);
	assert_int_equal(got, size);
	assert_memory_equal(buf, want, size);
}
#define REBUILD(v) rebuild(v, sizeof(v))

static void parsed_and_built_is_the_same(void **state)
{
	(void)state;
	REBUILD(tcp4);
	REBUILD(udp4);
	REBUILD(sctp4);
	REBUILD(icmp4_echo);
	REBUILD(icmp6_echo);
	REBUILD(frag4_last);
}

/* The flow label is not kept. */
static void udp6_but_for_its_flow_label(void **state)
{
	uint8_t want[sizeof(udp6)];

	(void)state;
	memcpy(want, udp6, sizeof(udp6));
	want[1] &= 0xf0;
	want[2] = want[3] = 0;
	REBUILD(want);
}

static void errors_quote(void **state)
{
	struct pkt p4, p6;
	uint8_t buf[256];
	size_t size = sizeof(buf);

	(void)state;
	assert_int_equal(pkt_parse(icmp4_error, sizeof(icmp4_error), &p4), 0);
	assert_int_equal(pkt_build_icmp_error(&p4.t.src, 3, 4, 1400, p4.payload, p4.payload_size, buf, &size), 0);
	assert_int_equal(size, sizeof(icmp4_error));
	/* id and flags are the writer's choice: from the TTL on all is fixed, but for the header's checksum. */
	assert_memory_equal(buf + 8, icmp4_error + 8, 2);
	assert_memory_equal(buf + 12, icmp4_error + 12, size - 12);
	assert_true(pkt_checksums_ok(buf, size));
	assert_int_equal(pkt_build(&p4, buf, &size), -EINVAL);

	size = sizeof(buf);
	assert_int_equal(pkt_parse(icmp6_error, sizeof(icmp6_error), &p6), 0);
	assert_int_equal(pkt_build_icmp_error(&p6.t.src, 2, 0, 1280, p6.payload, p6.payload_size, buf, &size), 0);
	assert_int_equal(size, sizeof(icmp6_error));
	assert_memory_equal(buf, icmp6_error, size);

	size = sizeof(buf);
	assert_int_equal(pkt_build_icmp_error(&p6.t.src, 2, 0, 0, p4.payload, p4.payload_size, buf, &size), -EBADMSG);
	assert_int_equal(pkt_build_icmp_error(&p4.t.src, 3, 0, 0, p4.payload, 10, buf, &size), -EBADMSG);
	assert_int_equal(size, sizeof(buf));
}

static void long_quotes_are_cut(void **state)
{
	static uint8_t data[1800], quoted[2000], buf[2000];
	struct pkt p = { .ttl = 64, .payload = data, .payload_size = sizeof(data) };
	size_t quoted_size, size;

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct pkt back;

		assert_int_equal(ip_addr_parse(v6 ? "fd00::1" : "10.0.0.1", &p.t.src), 0);
		assert_int_equal(ip_addr_parse(v6 ? "fd00::2" : "10.0.0.2", &p.t.dst), 0);
		p.t.proto = IPPROTO_UDP;
		quoted_size = sizeof(quoted);
		assert_int_equal(pkt_build(&p, quoted, &quoted_size), 0);
		size = sizeof(buf);
		assert_int_equal(pkt_build_icmp_error(&p.t.dst, v6 ? 1 : 3, 0, 0, quoted, quoted_size, buf, &size), 0);
		assert_int_equal(size, v6 ? 1280 : 576);
		assert_int_equal(pkt_parse(buf, size, &back), 0);
		assert_true(back.has_inner);
		assert_true(ip_addr_eq(&back.inner.dst, &p.t.dst));
		assert_true(pkt_checksums_ok(buf, size));
	}
}

static struct pkt udp_packet(void)
{
	struct pkt p = { .ttl = 64, .t = { .sport = 1, .dport = 2, .proto = IPPROTO_UDP } };

	assert_int_equal(ip_addr_parse("10.0.0.1", &p.t.src), 0);
	assert_int_equal(ip_addr_parse("10.0.0.2", &p.t.dst), 0);
	return p;
}

static void room_is_respected(void **state)
{
	struct pkt p = udp_packet();
	uint8_t buf[28];
	size_t size;

	(void)state;
	for (size_t room = 0; room < 28; room++) {
		CLEANUP_FREE uint8_t *exact = malloc(room ? room : 1);

		size = room;
		assert_int_equal(pkt_build(&p, exact, &size), -ENOSPC);
		assert_int_equal(size, room);
	}
	size = sizeof(buf);
	assert_int_equal(pkt_build(&p, buf, &size), 0);
	assert_int_equal(size, 28);
}

static void impossible_packets_are_refused(void **state)
{
	static uint8_t large[70000], buf[70100];
	struct pkt p = udp_packet();
	size_t size = sizeof(buf);

	(void)state;
	p.payload = large;
	p.payload_size = 65535 - 28;
	assert_int_equal(pkt_build(&p, buf, &size), 0);
	size = sizeof(buf);
	p.payload_size++;
	assert_int_equal(pkt_build(&p, buf, &size), -EINVAL);
	p.payload_size = SIZE_MAX;
	assert_int_equal(pkt_build(&p, buf, &size), -EINVAL);
	p = udp_packet();
	p.t.dst.fam = AF_INET6;
	assert_int_equal(pkt_build(&p, buf, &size), -EINVAL);
	p = udp_packet();
	p.t.proto = 47;
	assert_int_equal(pkt_build(&p, buf, &size), -EPROTONOSUPPORT);
	p.t.proto = IPPROTO_ICMPV6;
	assert_int_equal(pkt_build(&p, buf, &size), -EPROTONOSUPPORT);
	p = udp_packet();
	p.frag_offset = 8;
	assert_int_equal(pkt_build(&p, buf, &size), -EINVAL);
	p.is_fragment = true;
	assert_int_equal(pkt_build(&p, buf, &size), 0);
	p.frag_offset = 9;
	assert_int_equal(pkt_build(&p, buf, &size), -EINVAL);
}

/* A checksum that comes out as 0 is sent as all ones, since 0 means "none". */
static void udp_checksum_is_never_zero(void **state)
{
	struct pkt p = udp_packet();
	bool met = false;

	(void)state;
	for (unsigned int port = 0; port < 65536; port++) {
		uint8_t buf[64];
		size_t size = sizeof(buf);

		p.t.sport = (uint16_t)port;
		assert_int_equal(pkt_build(&p, buf, &size), 0);
		assert_true(buf[26] || buf[27]);
		met = met || (buf[26] == 0xff && buf[27] == 0xff);
		assert_true(pkt_checksums_ok(buf, size));
	}
	assert_true(met);
}

static void random_addr(struct rng *rng, uint8_t fam, struct ip_addr *a)
{
	*a = (struct ip_addr){ .fam = fam };
	for (size_t i = 0; i < ip_addr_size(a); i++)
		a->bytes[i] = (uint8_t)rng_u64(rng);
}

/* What is built is read back field by field. */
static void random_round_trips(void **state)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP };
	uint8_t data[100], buf[300];
	struct rng rng;

	(void)state;
	rng_seed(&rng, 1);
	for (int i = 0; i < 20000; i++) {
		uint8_t fam = rng_below(&rng, 2) ? AF_INET : AF_INET6;
		struct pkt p = { .ttl = (uint8_t)rng_u64(&rng), .dscp_ecn = (uint8_t)rng_u64(&rng), .payload = data },
			   q;
		size_t size = sizeof(buf);

		random_addr(&rng, fam, &p.t.src);
		random_addr(&rng, fam, &p.t.dst);
		p.t.proto = protos[rng_below(&rng, 4)];
		p.payload_size = rng_below(&rng, sizeof(data));
		if (p.t.proto == IPPROTO_ICMP) {
			p.t.proto = fam == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
			p.icmp_type = fam == AF_INET ? 8 : 128;
			p.icmp_rest = (uint32_t)rng_u64(&rng);
		} else {
			p.t.sport = (uint16_t)rng_u64(&rng);
			p.t.dport = (uint16_t)rng_u64(&rng);
		}
		if (p.t.proto == IPPROTO_TCP) {
			p.tcp_seq = (uint32_t)rng_u64(&rng);
			p.tcp_ack = (uint32_t)rng_u64(&rng);
			p.tcp_flags = (uint8_t)rng_u64(&rng);
			p.tcp_window = (uint16_t)rng_u64(&rng);
		}
		if (p.t.proto == IPPROTO_SCTP)
			p.sctp_vtag = (uint32_t)rng_u64(&rng);
		for (size_t k = 0; k < p.payload_size; k++)
			data[k] = (uint8_t)rng_u64(&rng);
		assert_int_equal(pkt_build(&p, buf, &size), 0);
		assert_true(pkt_checksums_ok(buf, size));
		assert_int_equal(pkt_parse(buf, size, &q), 0);
		assert_int_equal(q.payload_size, p.payload_size);
		assert_memory_equal(q.payload, data, p.payload_size);
		q.payload = p.payload;
		assert_memory_equal(&q.t, &p.t, sizeof(p.t));
		assert_int_equal(q.ttl, p.ttl);
		assert_int_equal(q.dscp_ecn, p.dscp_ecn);
		assert_true(q.tcp_seq == p.tcp_seq && q.tcp_ack == p.tcp_ack && q.tcp_flags == p.tcp_flags);
		assert_true(q.tcp_window == p.tcp_window && q.sctp_vtag == p.sctp_vtag && q.icmp_rest == p.icmp_rest);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parsed_and_built_is_the_same),
		cmocka_unit_test(udp6_but_for_its_flow_label),
		cmocka_unit_test(errors_quote),
		cmocka_unit_test(long_quotes_are_cut),
		cmocka_unit_test(room_is_respected),
		cmocka_unit_test(impossible_packets_are_refused),
		cmocka_unit_test(udp_checksum_is_never_zero),
		cmocka_unit_test(random_round_trips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
