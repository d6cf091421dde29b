/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets read: fields, checksums, malformed ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "net/pkt.h"
#include "net_pkt_vectors.h"

static struct pkt parse(const uint8_t *buf, size_t size)
{
	struct pkt p;

	assert_int_equal(pkt_parse(buf, size, &p), 0);
	return p;
}

static void assert_text(const struct pkt *p, const char *want)
{
	char buf[256];

	assert_string_equal(pkt_format(p, buf, sizeof(buf)), want);
}

static void assert_payload(const struct pkt *p, const char *want)
{
	assert_int_equal(p->payload_size, strlen(want));
	assert_memory_equal(p->payload, want, strlen(want));
}

static void tcp(void **state)
{
	struct pkt p = parse(tcp4, sizeof(tcp4));

	(void)state;
	assert_text(&p, "tcp 10.0.0.1:40000 > 10.96.0.10:80 flags=PA");
	assert_int_equal(p.ttl, 63);
	assert_int_equal(p.dscp_ecn, 0xb8);
	assert_int_equal(p.ip_id, 0x1234);
	assert_true(p.dont_fragment);
	assert_false(p.is_fragment);
	assert_int_equal(p.tcp_seq, 0x01020304);
	assert_int_equal(p.tcp_ack, 0x05060708);
	assert_int_equal(p.tcp_window, 4096);
	assert_payload(&p, "hello");
	p = parse(tcp4_options, sizeof(tcp4_options));
	assert_text(&p, "tcp 10.0.0.1:40000 > 10.96.0.10:80 flags=S");
	assert_payload(&p, "x");
	p = parse(tcp6_ext, sizeof(tcp6_ext));
	assert_text(&p, "tcp [fd00::1]:1 > [fd00::2]:2 flags=S");
}

static void udp_and_sctp(void **state)
{
	struct pkt p = parse(udp4, sizeof(udp4));

	(void)state;
	assert_text(&p, "udp 10.0.0.1:5000 > 10.96.0.10:53");
	assert_payload(&p, "abc");
	p = parse(udp6, sizeof(udp6));
	assert_text(&p, "udp [fd00::1]:5000 > [fd00::2]:53");
	assert_int_equal(p.ttl, 9);
	assert_int_equal(p.dscp_ecn, 3);
	assert_payload(&p, "abcd");
	p = parse(sctp4, sizeof(sctp4));
	assert_text(&p, "sctp 10.0.0.1:7 > 10.0.0.2:8");
	assert_true(p.sctp_vtag == 0xdeadbeef);
	assert_int_equal(p.payload_size, 20);
}

static void icmp(void **state)
{
	struct pkt p = parse(icmp4_echo, sizeof(icmp4_echo));

	(void)state;
	assert_text(&p, "icmp 10.0.0.1 > 10.0.0.2 type=8 code=0");
	assert_int_equal(p.icmp_rest, 0x00110022);
	assert_payload(&p, "ping");
	p = parse(icmp6_echo, sizeof(icmp6_echo));
	assert_text(&p, "icmpv6 fd00::1 > fd00::2 type=128 code=0");
	assert_int_equal(p.icmp_rest, 0x00110022);
	p = parse(icmp4_error, sizeof(icmp4_error));
	assert_text(&p, "icmp 10.0.0.9 > 10.0.0.1 type=3 code=4 quotes=(tcp 10.0.0.1:40000 > 10.96.0.10:80)");
	assert_int_equal(p.icmp_rest, 1400);
	p = parse(icmp6_error, sizeof(icmp6_error));
	assert_text(&p, "icmpv6 fd00::9 > fd00::1 type=2 code=0 quotes=(udp [fd00::1]:5 > [fd00::2]:6)");
	assert_int_equal(p.icmp_rest, 1280);
}

static void fragments(void **state)
{
	struct pkt p = parse(frag4_first, sizeof(frag4_first));

	(void)state;
	assert_text(&p, "udp 10.0.0.1:5 > 10.0.0.2:6 frag=0+");
	assert_true(p.is_fragment && p.more_fragments);
	assert_int_equal(p.payload_size, 16);
	p = parse(frag4_last, sizeof(frag4_last));
	assert_text(&p, "udp 10.0.0.1 > 10.0.0.2 frag=24");
	assert_payload(&p, "yyyyyyyyy");
	p = parse(frag6_last, sizeof(frag6_last));
	assert_text(&p, "udp fd00::1 > fd00::2 frag=24");
	assert_int_equal(p.ip_id, 5);
}

static void unknown_protocols_keep_addresses(void **state)
{
	struct pkt p = { 0 };

	(void)state;
	assert_int_equal(pkt_parse(gre4, sizeof(gre4), &p), -EPROTONOSUPPORT);
	assert_text(&p, "proto-47 10.0.0.1 > 10.0.0.2");
	assert_int_equal(p.payload_size, 4);
}

static const struct {
	const char *name;
	const uint8_t *buf;
	size_t size;
} all[] = {
	{ "tcp4", tcp4, sizeof(tcp4) },
	{ "tcp4_options", tcp4_options, sizeof(tcp4_options) },
	{ "udp4", udp4, sizeof(udp4) },
	{ "udp6", udp6, sizeof(udp6) },
	{ "tcp6_ext", tcp6_ext, sizeof(tcp6_ext) },
	{ "sctp4", sctp4, sizeof(sctp4) },
	{ "icmp4_echo", icmp4_echo, sizeof(icmp4_echo) },
	{ "icmp6_echo", icmp6_echo, sizeof(icmp6_echo) },
	{ "icmp4_error", icmp4_error, sizeof(icmp4_error) },
	{ "icmp6_error", icmp6_error, sizeof(icmp6_error) },
};

static void right_checksums_and_one_wrong_bit(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		uint8_t copy[256];

		if (!pkt_checksums_ok(all[i].buf, all[i].size))
			fail_msg("%s", all[i].name);
		/* Behind the IP header each bit counts; extension headers stand under no checksum. */
		for (size_t bit = (all[i].buf == tcp6_ext ? 56 :
				   all[i].buf[0] == 0x45  ? 20 :
							    40) *
				  8;
		     bit < all[i].size * 8; bit++) {
			memcpy(copy, all[i].buf, all[i].size);
			copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
			if (pkt_checksums_ok(copy, all[i].size))
				fail_msg("%s with bit %zu flipped", all[i].name, bit);
		}
	}
	assert_true(pkt_checksums_ok(udp4_nosum, sizeof(udp4_nosum)));
	assert_true(pkt_checksums_ok(frag4_first, sizeof(frag4_first)));
	assert_true(pkt_checksums_ok(gre4, sizeof(gre4)));
}

static void zero_checksum_of_udp6_is_wrong(void **state)
{
	uint8_t copy[sizeof(udp6)];

	(void)state;
	memcpy(copy, udp6, sizeof(udp6));
	copy[46] = copy[47] = 0;
	assert_false(pkt_checksums_ok(copy, sizeof(copy)));
}

static void cut_packets_are_malformed(void **state)
{
	struct pkt p;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		for (size_t size = 0; size < all[i].size; size++) {
			assert_int_equal(pkt_parse(all[i].buf, size, &p), -EBADMSG);
			assert_false(pkt_checksums_ok(all[i].buf, size));
		}
	}
}

static void padding_is_left_out(void **state)
{
	uint8_t padded[sizeof(udp4) + 20] = { 0 };
	struct pkt p;

	(void)state;
	memcpy(padded, udp4, sizeof(udp4));
	p = parse(padded, sizeof(padded));
	assert_payload(&p, "abc");
	assert_true(pkt_checksums_ok(padded, sizeof(padded)));
}

/* `at` gets `value`; an IPv4 header's checksum is made right again. */
static int parse_changed(const uint8_t *buf, size_t size, size_t at, uint8_t value)
{
	uint8_t copy[256];
	struct pkt p;
	uint16_t sum;

	memcpy(copy, buf, size);
	copy[at] = value;
	if (copy[0] >> 4 == 4) {
		size_t header_size = (size_t)(copy[0] & 15) * 4;

		copy[10] = copy[11] = 0;
		sum = csum_fold(csum_partial(copy, MIN(header_size, size), 0));
		copy[10] = (uint8_t)(sum >> 8);
		copy[11] = (uint8_t)sum;
	}
	return pkt_parse(copy, size, &p);
}

static void wrong_lengths_are_malformed(void **state)
{
	uint8_t bad_sum[sizeof(tcp4)];
	struct pkt p;

	(void)state;
	assert_int_equal(parse_changed(tcp4, sizeof(tcp4), 0, 0x55), -EBADMSG); /* version 5 */
	assert_int_equal(parse_changed(tcp4, sizeof(tcp4), 0, 0x44), -EBADMSG); /* header of 16 bytes */
	assert_int_equal(parse_changed(tcp4, sizeof(tcp4), 3, 255), -EBADMSG); /* total length beyond the end */
	assert_int_equal(parse_changed(tcp4, sizeof(tcp4), 3, 19), -EBADMSG); /* and below the header */
	assert_int_equal(parse_changed(tcp4, sizeof(tcp4), 32, 0x40), -EBADMSG); /* TCP header of 16 bytes */
	assert_int_equal(parse_changed(tcp4, sizeof(tcp4), 32, 0xf0), -EBADMSG); /* of 60 bytes */
	assert_int_equal(parse_changed(udp4, sizeof(udp4), 25, 7), -EBADMSG); /* UDP length below its header */
	assert_int_equal(parse_changed(udp4, sizeof(udp4), 25, 12), -EBADMSG); /* and beyond the packet */
	assert_int_equal(parse_changed(tcp6_ext, sizeof(tcp6_ext), 41, 40), -EBADMSG); /* extension beyond the end */
	memcpy(bad_sum, tcp4, sizeof(tcp4));
	bad_sum[8]--;
	assert_int_equal(pkt_parse(bad_sum, sizeof(bad_sum), &p), -EBADMSG);
}

/* Quotes that cannot be read are none, and no reason to refuse the error. */
static void broken_quotes(void **state)
{
	uint8_t copy[sizeof(icmp4_error)];
	struct pkt p;

	(void)state;
	memcpy(copy, icmp4_error, sizeof(copy));
	copy[28] = 0x65; /* another family */
	p = parse(copy, sizeof(copy));
	assert_false(p.has_inner);
	copy[28] = 0x41;
	p = parse(copy, sizeof(copy));
	assert_false(p.has_inner);
}

/* RFC 1071's own example, and carries. */
static void checksum_arithmetic(void **state)
{
	static const uint8_t example[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };
	static uint8_t ones[65536];
	uint32_t sum = 0;

	(void)state;
	assert_int_equal(csum_fold(csum_partial(example, sizeof(example), 0)), 0x220d);
	assert_int_equal(csum_partial("\x01", 1, 0), 0x100);
	assert_int_equal(csum_fold(0), 0xffff);
	memset(ones, 0xff, sizeof(ones));
	for (int i = 0; i < 10; i++)
		sum = csum_partial(ones, sizeof(ones), sum);
	assert_int_equal(csum_fold(sum), 0);
}

static void text_is_cut_to_the_room(void **state)
{
	struct pkt p = parse(icmp6_error, sizeof(icmp6_error));
	char buf[8];

	(void)state;
	assert_string_equal(pkt_format(&p, buf, sizeof(buf)), "icmpv6 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp),
		cmocka_unit_test(udp_and_sctp),
		cmocka_unit_test(icmp),
		cmocka_unit_test(fragments),
		cmocka_unit_test(unknown_protocols_keep_addresses),
		cmocka_unit_test(right_checksums_and_one_wrong_bit),
		cmocka_unit_test(zero_checksum_of_udp6_is_wrong),
		cmocka_unit_test(cut_packets_are_malformed),
		cmocka_unit_test(padding_is_left_out),
		cmocka_unit_test(wrong_lengths_are_malformed),
		cmocka_unit_test(broken_quotes),
		cmocka_unit_test(checksum_arithmetic),
		cmocka_unit_test(text_is_cut_to_the_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
