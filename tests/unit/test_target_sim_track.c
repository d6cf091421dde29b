/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of connections: sequences of segments, and what conntrack makes of the last of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>

#include "base/util.h"
#include "target/sim/internal.h"

#define SEC NSEC_PER_SEC

static struct pkt segment(const char *flags)
{
	struct pkt p = { .t.proto = IPPROTO_TCP };

	for (; *flags; flags++)
		p.tcp_flags |= *flags == 'S' ? TCP_FLAG_SYN :
			       *flags == 'A' ? TCP_FLAG_ACK :
			       *flags == 'F' ? TCP_FLAG_FIN :
			       *flags == 'R' ? TCP_FLAG_RST :
					       TCP_FLAG_PSH;
	return p;
}

/*
 * A story: ">S <SA >A". Returns what became of the last segment: 'n' opens, '-' does not open,
 * 'f' fits, 'l' last, 'i' invalid, 'o' reopens; and the connection as it is then.
 */
static char tell(const char *story, struct track *t)
{
	char word[8];
	char got = '?';
	bool open = false;
	int used;

	while (sscanf(story, " %7s%n", word, &used) == 1) {
		enum dir dir = word[0] == '>' ? DIR_ORIGINAL : DIR_REPLY;
		struct pkt p = segment(word + 1);

		story += used;
		if (!open) {
			open = track_opens(&p, 0, t);
			got = open ? 'n' : '-';
			continue;
		}
		switch (track_packet(t, dir, &p, 0)) {
		case TRACK_FITS:
			got = 'f';
			break;
		case TRACK_LAST:
			got = 'l';
			break;
		case TRACK_INVALID:
			got = 'i';
			break;
		case TRACK_REOPEN:
			got = 'o';
			break;
		}
	}
	return got;
}

/* Facts: nf_conntrack_proto_tcp.c, table tcp_conntracks and nf_conntrack_tcp_packet(). The timeout
 * in seconds is that after the last segment. */
static void test_tcp_stories(void **state)
{
	static const struct {
		const char *story;
		char want;
		uint32_t timeout_s; /* 0: not looked at */
	} cases[] = {
		{ ">S", 'n', 120 },
		{ ">A", 'n', 300 },
		{ ">PA", 'n', 300 },
		{ ">SA", '-', 0 },
		{ ">FA", '-', 0 },
		{ ">F", '-', 0 },
		{ ">R", '-', 0 },
		{ ">RA", '-', 0 },
		{ ">P", '-', 0 },
		{ ">SF", '-', 0 },
		{ ">SR", '-', 0 },
		{ ">FR", '-', 0 },
		{ ">SFA", '-', 0 },
		/* the opening */
		{ ">S >S", 'f', 120 },
		{ ">S >SA", 'i', 0 },
		{ ">S >A", 'i', 0 },
		{ ">S >FA", 'i', 0 },
		{ ">S <FA", 'i', 0 },
		{ ">S <A", 'f', 120 },
		{ ">S <SA", 'f', 60 },
		{ ">S <SA <SA", 'f', 60 },
		{ ">S <SA >S", 'f', 60 },
		{ ">S <SA <S", 'i', 0 },
		{ ">S <SA >SA", 'f', 60 },
		{ ">S <SA <A", 'f', 60 },
		{ ">S <SA >A", 'f', 432000 },
		{ ">S <SA >FA", 'f', 120 },
		/* opened by both at once */
		{ ">S <S", 'f', 120 },
		{ ">S <S >S", 'f', 120 },
		{ ">S <S <S", 'f', 120 },
		{ ">S <S >A", 'i', 0 },
		{ ">S <S <A", 'f', 120 },
		{ ">S <S >FA", 'i', 0 },
		{ ">S <S >SA", 'f', 60 },
		{ ">S <S <SA", 'f', 60 },
		{ ">S <S >SA <SA", 'f', 60 },
		{ ">S <S >SA <SA <A", 'f', 432000 },
		{ ">S <S >SA >S <A", 'f', 60 },
		/* established */
		{ ">S <SA >A >S", 'f', 432000 },
		{ ">S <SA >A <S", 'i', 0 },
		{ ">S <SA >A <SA", 'f', 432000 },
		{ ">S <SA >A <PA", 'f', 432000 },
		{ ">S <SA >A >P", 'i', 0 },
		{ ">A <A", 'f', 300 },
		{ ">A <A >A", 'f', 432000 },
		/* the end */
		{ ">S <SA >A >FA", 'f', 120 },
		{ ">S <SA >A >FA <A", 'f', 60 },
		{ ">S <SA >A >FA <A <FA", 'f', 30 },
		{ ">S <SA >A >FA <A <FA >A", 'f', 120 },
		{ ">S <SA >A >FA <FA", 'f', 30 },
		{ ">S <SA >A <FA >A", 'f', 60 },
		{ ">S <SA >A >FA <FA <FA", 'f', 30 },
		{ ">S <SA >A >FA <FA >A >FA", 'f', 120 },
		{ ">S <SA >A >FA <FA >A >A", 'f', 120 },
		{ ">S <SA >A >FA <FA >A <S", 'o', 0 },
		/* SYN+ACK of the client, later than any SYN of the server */
		{ ">S <SA >A >SA", 'i', 432000 },
		{ ">S <SA >A >FA >SA", 'i', 120 },
		{ ">S <SA >A >FA <A >SA", 'i', 60 },
		{ ">S <SA >A >FA <FA >SA", 'i', 30 },
		{ ">S <SA >A >FA <FA >A >SA", 'i', 120 },
		{ ">S <SA >A <R >SA", 'i', 10 },
		/* an ACK against a stray SYN is not the last one */
		{ ">S <SA >A >FA <FA >S <A", 'f', 30 },
		{ ">S <SA >A >FA <FA >S <A >S", 'f', 30 },
		{ ">S <SA >A >FA <FA >S <A >S <A <A", 'f', 120 },
		{ ">S <SA >A >FA <FA >S >A", 'f', 120 },
		{ ">S <SA >A >FA >S", 'f', 120 },
		{ ">S <SA >A >FA <FA >A >S", 'o', 0 },
		/* RST */
		{ ">S <RA", 'l', 0 },
		{ ">S >R", 'l', 0 },
		{ ">A <R", 'l', 0 },
		{ ">S <SA >R", 'f', 10 },
		{ ">S <SA >A <R", 'f', 10 },
		{ ">S <SA >A <R >A", 'f', 10 },
		{ ">S <SA >A <R <FA", 'f', 10 },
		{ ">S <SA >A >R >S", 'o', 0 },
		{ ">S <SA >A <R <S", 'i', 0 },
		/* Aborted by the server alone: the SYN passes, the answer decides. */
		{ ">S <SA >A <R >S", 'f', 10 },
		{ ">S <SA >A <R >S <SA", 'f', 60 },
		{ ">S <SA >A <R >S <SA >A", 'f', 432000 },
		{ ">S <SA >A >FA <R >S", 'o', 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct track t = {};
		char got = tell(cases[i].story, &t);

		if (got != cases[i].want)
			fail_msg("%s: %c, wanted %c", cases[i].story, got, cases[i].want);
		if (cases[i].timeout_s && t.expires_ns != cases[i].timeout_s * SEC)
			fail_msg("%s: %llu s, wanted %u", cases[i].story, (unsigned long long)(t.expires_ns / SEC),
				 cases[i].timeout_s);
	}
}

static void test_tcp_over(void **state)
{
	struct track t;

	(void)state;
	assert_int_equal(tell(">S <SA >A", &t), 'f');
	assert_false(track_is_over(&t));
	assert_int_equal(tell(">S <SA >A >FA <FA", &t), 'f');
	assert_false(track_is_over(&t));
	assert_int_equal(tell(">S <SA >A >FA <FA >A", &t), 'f');
	assert_true(track_is_over(&t));
	assert_int_equal(tell(">S <SA >A >R", &t), 'f');
	assert_true(track_is_over(&t));
}

static void test_tcp_pickup(void **state)
{
	struct pkt ack = segment("A"), syn = segment("S"), udp = { .t.proto = IPPROTO_UDP };

	(void)state;
	assert_true(track_is_pickup(&ack));
	assert_false(track_is_pickup(&syn));
	assert_false(track_is_pickup(&udp));
}

static void test_udp(void **state)
{
	struct pkt p = { .t.proto = IPPROTO_UDP };
	struct track t;

	(void)state;
	assert_true(track_opens(&p, 5 * SEC, &t));
	assert_int_equal(t.expires_ns, 35 * SEC);
	assert_int_equal(track_packet(&t, DIR_ORIGINAL, &p, 20 * SEC), TRACK_FITS);
	assert_int_equal(t.expires_ns, 50 * SEC);
	/* The first answer does not make a stream by itself, the next packet does. */
	assert_int_equal(track_packet(&t, DIR_REPLY, &p, 21 * SEC), TRACK_FITS);
	assert_int_equal(t.expires_ns, 51 * SEC);
	assert_int_equal(track_packet(&t, DIR_REPLY, &p, 22 * SEC), TRACK_FITS);
	assert_int_equal(t.expires_ns, 142 * SEC);
	/* Question and answer within two seconds: no stream. */
	assert_true(track_opens(&p, 0, &t));
	assert_int_equal(track_packet(&t, DIR_REPLY, &p, SEC), TRACK_FITS);
	assert_int_equal(track_packet(&t, DIR_ORIGINAL, &p, 2 * SEC), TRACK_FITS);
	assert_int_equal(t.expires_ns, 32 * SEC);
	assert_false(track_is_over(&t));
}

/* ---- SCTP: a story of chunk types; "1" opens ---- */

struct chunks {
	uint8_t buf[64];
	struct pkt p;
};

static void chunks_init(struct chunks *c, const uint8_t *types, size_t n)
{
	memset(c, 0, sizeof(*c));
	for (size_t i = 0; i < n; i++) {
		c->buf[4 * i] = types[i];
		c->buf[4 * i + 3] = 4;
	}
	c->p = (struct pkt){ .t.proto = IPPROTO_SCTP, .payload = c->buf, .payload_size = 4 * n };
}

static void test_sctp_opens(void **state)
{
	/* nf_conntrack_proto_sctp.c, column sNO: what is not invalid. */
	static const bool opens[] = {
		[1] = true, [2] = true, [4] = true, [5] = true, [7] = true, [8] = true, [9] = true, [10] = true
	};
	struct track t;

	(void)state;
	for (uint8_t type = 0; type < 20; type++) {
		struct chunks c;

		chunks_init(&c, &type, 1);
		assert_int_equal(track_opens(&c.p, 0, &t), type < ARRAY_LEN(opens) && opens[type]);
	}
}

static void test_sctp_tags(void **state)
{
	/* With a tag that nobody has told; INIT has none at all. */
	static const uint8_t open[] = { 4, 5, 8 }, closed[] = { 1, 2, 7, 9, 10 };
	struct chunks c;
	struct track t;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(open) + ARRAY_LEN(closed); i++) {
		bool opens = i < ARRAY_LEN(open);

		chunks_init(&c, opens ? &open[i] : &closed[i - ARRAY_LEN(open)], 1);
		c.p.sctp_vtag = 7;
		assert_int_equal(track_opens(&c.p, 0, &t), opens);
	}
}

/* An INIT once more does not keep the entry. */
static void test_sctp_init_again(void **state)
{
	const uint8_t init = 1, init_ack = 2;
	struct chunks c;
	struct track t;

	(void)state;
	chunks_init(&c, &init, 1);
	assert_true(track_opens(&c.p, 0, &t));
	assert_int_equal(track_packet(&t, DIR_ORIGINAL, &c.p, 5 * SEC), TRACK_FITS);
	assert_int_equal(t.expires_ns, 10 * SEC);
	chunks_init(&c, &init_ack, 1);
	assert_int_equal(track_packet(&t, DIR_REPLY, &c.p, 6 * SEC), TRACK_FITS);
	assert_int_equal(t.expires_ns, 9 * SEC);
	chunks_init(&c, &init, 1);
	assert_int_equal(track_packet(&t, DIR_ORIGINAL, &c.p, 8 * SEC), TRACK_FITS);
	assert_int_equal(t.expires_ns, 11 * SEC);
}

static void test_sctp_bundles(void **state)
{
	static const struct {
		uint8_t types[3];
		size_t n;
		bool opens;
	} cases[] = {
		{ { 1, 1 }, 2, false }, /* INIT stands alone */
		{ { 9, 1 }, 2, false },	  { { 2, 9 }, 2, false },
		{ { 14, 0 }, 2, false },  { { 9, 10 }, 2, false }, /* COOKIE ECHO comes first */
		{ { 10, 9 }, 2, true },	  { { 10, 0 }, 2, false }, /* DATA opens nothing */
		{ { 9, 7, 8 }, 3, true }, { { 0 }, 0, false },
	};
	struct track t;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct chunks c;

		chunks_init(&c, cases[i].types, cases[i].n);
		if (track_opens(&c.p, 0, &t) != cases[i].opens)
			fail_msg("case %zu", i);
	}
}

static void test_sctp_bad_chunks(void **state)
{
	const uint8_t init = 1;
	struct chunks c;
	struct track t;

	(void)state;
	chunks_init(&c, &init, 1);
	c.p.sctp_vtag = 7; /* an INIT has none */
	assert_false(track_opens(&c.p, 0, &t));
	chunks_init(&c, &init, 1);
	c.buf[3] = 0; /* no length */
	assert_false(track_opens(&c.p, 0, &t));
	chunks_init(&c, &init, 1);
	c.p.payload_size = 3;
	assert_false(track_opens(&c.p, 0, &t));
}

static void test_sctp_life(void **state)
{
	static const struct {
		const char *story; /* direction and chunk letters, see below */
		uint32_t timeout_s; /* 0: the last packet is invalid */
	} cases[] = {
		{ ">i", 10 },
		{ ">i >i", 10 },
		{ ">i <I", 3 },
		{ ">i >I", 10 },
		{ ">i <I >e", 3 },
		{ ">i <I >e <a", 210 },
		{ ">i <I >e <x", 10 },
		{ ">i <I >e >x", 3 },
		{ ">i <I >e <a >s", 3 },
		{ ">i <I >e <a <s >S", 3 },
		{ ">i <I >e <a >s <S >c", 10 },
		{ ">i <I >e <a >c", 210 },
		{ ">i <I >e <a >b", 10 },
		{ ">i <I >e <a >s >i", 10 },
		{ ">i <I >e <a >s <i", 3 },
		{ ">i <I >e <a >d", 210 },
		{ ">h", 30 },
		{ ">h >h", 30 },
		{ ">h <h", 30 },
		{ ">h <H", 210 },
		{ ">h <d", 0 },
		{ ">h <h <d", 30 },
		{ ">h >d", 30 },
		{ ">h >i", 3 },
		{ ">h >i <I", 3 },
		{ ">h >i >e <a", 210 },
		{ ">h >s", 10 },
		{ ">h >S", 3 },
		{ ">h >b", 10 },
		{ ">h <i", 0 },
		{ ">h <b", 0 },
		{ ">S", 3 },
		{ ">S >i", 3 },
		{ ">S >c", 10 },
		{ ">H", 10 },
		{ ">i <I >e <a >s >c", 3 },
		{ ">i <I >e <a >s <S >i", 3 },
	};
	static const char letters[] = "diI?hHbsSxea??c"; /* at the place of the chunk type */

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		enum track_verdict v = TRACK_FITS;
		struct track t = {};

		for (const char *s = cases[i].story; *s; s += s[2] ? 3 : 2) {
			uint8_t type = (uint8_t)(strchr(letters, s[1]) - letters);
			struct chunks c;

			chunks_init(&c, &type, 1);
			if (s == cases[i].story)
				assert_true(track_opens(&c.p, 0, &t));
			else
				v = track_packet(&t, s[0] == '>' ? DIR_ORIGINAL : DIR_REPLY, &c.p, 0);
		}
		if (v != (cases[i].timeout_s ? TRACK_FITS : TRACK_INVALID) ||
		    (cases[i].timeout_s && t.expires_ns != cases[i].timeout_s * SEC))
			fail_msg("%s: verdict %d, %llu s", cases[i].story, v, (unsigned long long)(t.expires_ns / SEC));
	}
}

static bool same_key(const struct l4_tuple *a, const struct l4_tuple *b)
{
	struct l4_key ka = l4_key_of(a), kb = l4_key_of(b);

	return memcmp(&ka, &kb, sizeof(ka)) == 0;
}

/* A request opens a query, and either side keeps it alive. */
static void test_icmp_life(void **state)
{
	static const struct {
		uint8_t proto, type;
		bool opens;
	} cases[] = {
		{ IPPROTO_ICMP, 8, true },     { IPPROTO_ICMP, 0, false },     { IPPROTO_ICMP, 13, true },
		{ IPPROTO_ICMP, 14, false },   { IPPROTO_ICMP, 3, false },     { IPPROTO_ICMP, 128, false },
		{ IPPROTO_ICMPV6, 128, true }, { IPPROTO_ICMPV6, 129, false }, { IPPROTO_ICMPV6, 139, true },
		{ IPPROTO_ICMPV6, 8, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct pkt p = { .t.proto = cases[i].proto, .icmp_type = cases[i].type };
		struct track t;

		assert_int_equal(track_opens(&p, 0, &t), cases[i].opens);
		if (!cases[i].opens)
			continue;
		assert_int_equal(t.expires_ns, 30 * SEC);
		assert_int_equal(track_packet(&t, DIR_ORIGINAL, &p, 7 * SEC), TRACK_FITS);
		assert_int_equal(t.expires_ns, 37 * SEC);
		assert_false(t.seen_reply);
		assert_int_equal(track_packet(&t, DIR_REPLY, &p, 9 * SEC), TRACK_FITS);
		assert_int_equal(t.expires_ns, 39 * SEC);
		assert_true(t.seen_reply);
	}
}

/* A request and its answer name the same query; the same id the other way round is another. */
static void test_icmp_query(void **state)
{
	struct pkt ask = { .t.proto = IPPROTO_ICMP, .icmp_type = 8, .icmp_rest = 0x12340001 }, answer;
	struct l4_tuple a, a_opposite, b, b_opposite;

	(void)state;
	assert_int_equal(ip_addr_parse("10.0.0.1", &ask.t.src), 0);
	assert_int_equal(ip_addr_parse("10.0.0.2", &ask.t.dst), 0);
	answer = ask;
	answer.t.src = ask.t.dst;
	answer.t.dst = ask.t.src;
	answer.icmp_type = 0;
	answer.icmp_rest = 0x12340002; /* the sequence number is no part of it */
	assert_true(track_query(&ask, &a, &a_opposite));
	assert_true(track_query(&answer, &b, &b_opposite));
	assert_int_equal(a.sport, 0x1234);
	assert_true(same_key(&a, &b_opposite));
	assert_true(same_key(&b, &a_opposite));
	answer.icmp_type = 8;
	assert_true(track_query(&answer, &b, &b_opposite));
	assert_false(same_key(&b, &a_opposite));
	answer.icmp_type = 3;
	assert_false(track_query(&answer, &b, &b_opposite));
}

static void test_no_ports(void **state)
{
	struct pkt p = { .t.proto = IPPROTO_GRE };
	struct l4_tuple tuple, opposite;
	struct track t;

	(void)state;
	assert_false(track_opens(&p, 0, &t));
	assert_false(track_query(&p, &tuple, &opposite));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp_stories),	cmocka_unit_test(test_tcp_over),
		cmocka_unit_test(test_tcp_pickup),	cmocka_unit_test(test_udp),
		cmocka_unit_test(test_sctp_opens),	cmocka_unit_test(test_sctp_bundles),
		cmocka_unit_test(test_sctp_bad_chunks), cmocka_unit_test(test_sctp_life),
		cmocka_unit_test(test_sctp_tags),	cmocka_unit_test(test_sctp_init_again),
		cmocka_unit_test(test_icmp_life),	cmocka_unit_test(test_icmp_query),
		cmocka_unit_test(test_no_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
