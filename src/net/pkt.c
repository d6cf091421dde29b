/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets read: fields, checksums, text. Called by target/sim, trace/ and the tests.
 *
 * Each header is bounds-checked as a whole, read, and left behind; what an IP length field calls padding is cut off
 * first.
 */
#include "net/pkt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "pkt_impl.h"

#define IPV6_EXT_HOP 0
#define IPV6_EXT_ROUTING 43
#define IPV6_EXT_FRAGMENT 44
#define IPV6_EXT_DEST 60
#define IPV6_EXT_MAX 8 /* more in a row is nonsense */

#define ICMP_ERROR_FIRST 3

uint32_t csum_partial(const void *data, size_t size, uint32_t sum)
{
	const uint8_t *p = data;
	uint64_t wide = sum;
	size_t i;

	for (i = 0; i + 1 < size; i += 2)
		wide += get_be16(p + i);
	if (i < size)
		wide += (uint64_t)p[i] << 8;
	while (wide >> 32)
		wide = (wide & 0xffffffff) + (wide >> 32);
	return (uint32_t)wide;
}

uint16_t csum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static struct ip_addr read_addr(uint8_t fam, const uint8_t *p)
{
	struct ip_addr a = { .fam = fam };

	memcpy(a.bytes, p, ip_addr_size(&a));
	return a;
}

static int parse_v4(const uint8_t *buf, size_t size, bool quoted, struct pkt *p, struct l4_view *ret)
{
	size_t header_size, total_size;
	uint16_t frag;

	if (size < IPV4_HEADER_SIZE)
		return -EBADMSG;
	header_size = (buf[0] & 0x0fu) * 4u;
	total_size = get_be16(buf + 2);
	if (header_size < IPV4_HEADER_SIZE || header_size > size || total_size < header_size)
		return -EBADMSG;
	if (!quoted && (total_size > size || csum_fold(csum_partial(buf, header_size, 0)) != 0))
		return -EBADMSG;
	frag = get_be16(buf + 6);
	p->dscp_ecn = buf[1];
	p->ip_id = get_be16(buf + 4);
	p->dont_fragment = frag & IPV4_FLAG_DF;
	p->more_fragments = frag & IPV4_FLAG_MF;
	p->frag_offset = (uint16_t)((frag & IPV4_OFFSET_MASK) * 8u);
	p->is_fragment = p->more_fragments || p->frag_offset;
	p->ttl = buf[8];
	p->t.proto = buf[9];
	p->t.src = read_addr(AF_INET, buf + 12);
	p->t.dst = read_addr(AF_INET, buf + 16);
	ret->l4 = buf + header_size;
	ret->size = (total_size < size ? total_size : size) - header_size;
	return 0;
}

static void read_v6_fragment(const uint8_t *ext, struct pkt *p)
{
	uint16_t frag = get_be16(ext + 2);

	p->is_fragment = true;
	p->more_fragments = frag & 1;
	p->frag_offset = frag & 0xfff8u;
	p->ip_id = get_be16(ext + 6);
}

/* Walks the extension headers from `at`; a later fragment ends the walk, the rest is its payload. */
static int skip_v6_extensions(const uint8_t *buf, size_t size, uint8_t next, struct pkt *p, struct l4_view *ret)
{
	size_t at = IPV6_HEADER_SIZE;

	for (int i = 0; i < IPV6_EXT_MAX; i++) {
		bool fragment = next == IPV6_EXT_FRAGMENT;
		size_t ext_size;

		if (!fragment && next != IPV6_EXT_HOP && next != IPV6_EXT_ROUTING && next != IPV6_EXT_DEST) {
			p->t.proto = next;
			ret->l4 = buf + at;
			ret->size = size - at;
			return 0;
		}
		if (size - at < IPV6_FRAG_HEADER_SIZE)
			return -EBADMSG;
		ext_size = fragment ? IPV6_FRAG_HEADER_SIZE : (buf[at + 1] + 1u) * 8u;
		if (size - at < ext_size)
			return -EBADMSG;
		if (fragment && p->is_fragment)
			return -EBADMSG;
		if (fragment)
			read_v6_fragment(buf + at, p);
		next = buf[at];
		at += ext_size;
		if (p->frag_offset) {
			p->t.proto = next;
			ret->l4 = buf + at;
			ret->size = size - at;
			return 0;
		}
	}
	return -EBADMSG;
}

static int parse_v6(const uint8_t *buf, size_t size, bool quoted, struct pkt *p, struct l4_view *ret)
{
	size_t total_size;

	if (size < IPV6_HEADER_SIZE)
		return -EBADMSG;
	total_size = IPV6_HEADER_SIZE + get_be16(buf + 4);
	if (total_size > size && !quoted)
		return -EBADMSG;
	p->dscp_ecn = (uint8_t)(get_be16(buf) >> 4);
	p->ttl = buf[7];
	p->t.src = read_addr(AF_INET6, buf + 8);
	p->t.dst = read_addr(AF_INET6, buf + 24);
	return skip_v6_extensions(buf, total_size < size ? total_size : size, buf[6], p, ret);
}

int pkt_parse_ip(const uint8_t *buf, size_t size, bool quoted, struct pkt *p, struct l4_view *ret)
{
	if (!size)
		return -EBADMSG;
	switch (buf[0] >> 4) {
	case 4:
		return parse_v4(buf, size, quoted, p, ret);
	case 6:
		return parse_v6(buf, size, quoted, p, ret);
	default:
		return -EBADMSG;
	}
}

bool pkt_proto_known(const struct pkt *p)
{
	switch (p->t.proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		return true;
	case IPPROTO_ICMP:
		return p->t.src.fam == AF_INET;
	case IPPROTO_ICMPV6:
		return p->t.src.fam == AF_INET6;
	default:
		return false;
	}
}

/* Destination unreachable, source quench, redirect, time exceeded, parameter problem; ICMPv6: all below 128. */
bool pkt_is_icmp_error(const struct pkt *p)
{
	if (p->t.proto == IPPROTO_ICMPV6)
		return p->icmp_type < 128;
	return p->t.proto == IPPROTO_ICMP && (p->icmp_type == ICMP_ERROR_FIRST || p->icmp_type == 4 ||
					      p->icmp_type == 5 || p->icmp_type == 11 || p->icmp_type == 12);
}

/* What an error quotes. A quote that cannot be read is none. */
static void parse_quote(struct pkt *p)
{
	struct pkt inner = { 0 };
	struct l4_view v;

	if (pkt_parse_ip(p->payload, p->payload_size, true, &inner, &v))
		return;
	if (inner.t.src.fam != p->t.src.fam)
		return;
	p->has_inner = true;
	p->inner = inner.t;
	if (inner.frag_offset || v.size < 4)
		return;
	if (inner.t.proto == IPPROTO_TCP || inner.t.proto == IPPROTO_UDP || inner.t.proto == IPPROTO_SCTP) {
		p->inner.sport = get_be16(v.l4);
		p->inner.dport = get_be16(v.l4 + 2);
	}
}

static int parse_tcp(const struct l4_view *v, struct pkt *p)
{
	size_t header_size;

	if (v->size < TCP_HEADER_SIZE)
		return -EBADMSG;
	header_size = (size_t)(v->l4[12] >> 4) * 4;
	if (header_size < TCP_HEADER_SIZE || header_size > v->size)
		return -EBADMSG;
	p->tcp_seq = get_be32(v->l4 + 4);
	p->tcp_ack = get_be32(v->l4 + 8);
	p->tcp_flags = v->l4[13];
	p->tcp_window = get_be16(v->l4 + 14);
	p->payload = v->l4 + header_size;
	p->payload_size = v->size - header_size;
	return 0;
}

static int parse_udp(const struct l4_view *v, struct pkt *p)
{
	size_t udp_size;

	if (v->size < UDP_HEADER_SIZE)
		return -EBADMSG;
	udp_size = get_be16(v->l4 + 4);
	/* The first of several fragments holds a part only. */
	if (udp_size < UDP_HEADER_SIZE || (udp_size > v->size && !p->is_fragment))
		return -EBADMSG;
	p->payload = v->l4 + UDP_HEADER_SIZE;
	p->payload_size = (udp_size < v->size ? udp_size : v->size) - UDP_HEADER_SIZE;
	return 0;
}

static int parse_sctp(const struct l4_view *v, struct pkt *p)
{
	if (v->size < SCTP_HEADER_SIZE)
		return -EBADMSG;
	p->sctp_vtag = get_be32(v->l4 + 4);
	p->payload = v->l4 + SCTP_HEADER_SIZE;
	p->payload_size = v->size - SCTP_HEADER_SIZE;
	return 0;
}

static int parse_icmp(const struct l4_view *v, struct pkt *p)
{
	if (v->size < ICMP_HEADER_SIZE)
		return -EBADMSG;
	p->icmp_type = v->l4[0];
	p->icmp_code = v->l4[1];
	p->icmp_rest = get_be32(v->l4 + 4);
	p->payload = v->l4 + ICMP_HEADER_SIZE;
	p->payload_size = v->size - ICMP_HEADER_SIZE;
	if (pkt_is_icmp_error(p))
		parse_quote(p);
	return 0;
}

static int parse_l4(const struct l4_view *v, struct pkt *p)
{
	int r;

	switch (p->t.proto) {
	case IPPROTO_TCP:
		r = parse_tcp(v, p);
		break;
	case IPPROTO_UDP:
		r = parse_udp(v, p);
		break;
	case IPPROTO_SCTP:
		r = parse_sctp(v, p);
		break;
	default:
		return parse_icmp(v, p);
	}
	if (r)
		return r;
	p->t.sport = get_be16(v->l4);
	p->t.dport = get_be16(v->l4 + 2);
	return 0;
}

int pkt_parse(const uint8_t *buf, size_t size, struct pkt *ret)
{
	struct pkt p = { 0 };
	struct l4_view v;
	int r;

	r = pkt_parse_ip(buf, size, false, &p, &v);
	if (r)
		return r;
	p.payload = v.l4;
	p.payload_size = v.size;
	if (!pkt_proto_known(&p))
		r = -EPROTONOSUPPORT;
	else if (!p.frag_offset)
		r = parse_l4(&v, &p);
	if (r == -EBADMSG)
		return r;
	*ret = p;
	return r;
}

uint32_t pkt_pseudo_sum(const struct l4_tuple *t, size_t l4_size)
{
	uint8_t tail[8] = { [7] = t->proto };
	uint32_t sum = 0;

	put_be32(tail, (uint32_t)l4_size);
	sum = csum_partial(t->src.bytes, ip_addr_size(&t->src), sum);
	sum = csum_partial(t->dst.bytes, ip_addr_size(&t->dst), sum);
	return csum_partial(tail, sizeof(tail), sum);
}

uint32_t pkt_sctp_crc(const uint8_t *l4, size_t size)
{
	static const uint8_t zero[4];
	uint32_t crc = crc32c_update(~0u, l4, 8);

	crc = crc32c_update(crc, zero, sizeof(zero));
	return ~crc32c_update(crc, l4 + SCTP_HEADER_SIZE, size - SCTP_HEADER_SIZE);
}

static bool udp_ok(const struct pkt *p, const struct l4_view *v)
{
	size_t udp_size = get_be16(v->l4 + 4);

	if (get_be16(v->l4 + 6) == 0)
		return p->t.src.fam == AF_INET;
	return csum_fold(csum_partial(v->l4, udp_size, pkt_pseudo_sum(&p->t, udp_size))) == 0;
}

static bool sctp_ok(const struct l4_view *v)
{
	const uint8_t *f = v->l4 + 8;
	uint32_t in_packet = (uint32_t)f[3] << 24 | (uint32_t)f[2] << 16 | (uint32_t)f[1] << 8 | f[0];

	return in_packet == pkt_sctp_crc(v->l4, v->size);
}

bool pkt_checksums_ok(const uint8_t *buf, size_t size)
{
	struct l4_view v = { 0 };
	struct pkt p = { 0 };
	int r = pkt_parse(buf, size, &p);

	/*
	 * The IPv4 header's was checked by the parser. A fragment holds only a part of what a transport checksum
	 * covers.
	 */
	if (r == -EPROTONOSUPPORT || (!r && p.is_fragment))
		return true;
	if (r || pkt_parse_ip(buf, size, false, &p, &v))
		return false;
	switch (p.t.proto) {
	case IPPROTO_UDP:
		return udp_ok(&p, &v);
	case IPPROTO_SCTP:
		return sctp_ok(&v);
	case IPPROTO_ICMP:
		return csum_fold(csum_partial(v.l4, v.size, 0)) == 0;
	default:
		return csum_fold(csum_partial(v.l4, v.size, pkt_pseudo_sum(&p.t, v.size))) == 0;
	}
}

static void format_end(const struct ip_addr *a, uint16_t port, bool with_port, char buf[static 64])
{
	char text[IP_ADDR_STR_MAX];

	ip_addr_format(a, text);
	if (!with_port)
		(void)snprintf(buf, 64, "%s", text); /* fits */
	else
		(void)snprintf(buf, 64, a->fam == AF_INET6 ? "[%s]:%u" : "%s:%u", text, port); /* fits */
}

static void format_tuple(const struct l4_tuple *t, bool with_ports, char *buf, size_t size)
{
	const char *name = ip_proto_name(t->proto);
	char src[64], dst[64], number[16];

	(void)snprintf(number, sizeof(number), "proto-%u", t->proto); /* fits */
	format_end(&t->src, t->sport, with_ports, src);
	format_end(&t->dst, t->dport, with_ports, dst);
	(void)snprintf(buf, size, "%s %s > %s", name ? name : number, src, dst); /* may be cut, as asked */
}

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

const char *pkt_format(const struct pkt *p, char *buf, size_t buf_size)
{
	static const char letters[] = "FSRPAUEC";
	char tuple[160], inner[160], more[224] = "", frag[32] = "", flags[9];
	size_t n = 0;

	format_tuple(&p->t, has_ports(p->t.proto) && !p->frag_offset, tuple, sizeof(tuple));
	for (int i = 0; i < 8; i++) {
		if (p->tcp_flags & 1 << i)
			flags[n++] = letters[i];
	}
	flags[n] = '\0';
	/* A later fragment shows nothing of the transport header. */
	if (p->t.proto == IPPROTO_TCP && !p->frag_offset)
		(void)snprintf(more, sizeof(more), " flags=%s", n ? flags : "-"); /* fits */
	else if ((p->t.proto == IPPROTO_ICMP || p->t.proto == IPPROTO_ICMPV6) && !p->frag_offset)
		(void)snprintf(more, sizeof(more), " type=%u code=%u", p->icmp_type, p->icmp_code); /* fits */
	if (p->has_inner) {
		size_t len = strlen(more);

		format_tuple(&p->inner, has_ports(p->inner.proto), inner, sizeof(inner));
		(void)snprintf(more + len, sizeof(more) - len, " quotes=(%s)", inner);
	}
	if (p->is_fragment)
		(void)snprintf(frag, sizeof(frag), " frag=%u%s", p->frag_offset, p->more_fragments ? "+" : "");
	(void)snprintf(buf, buf_size, "%s%s%s", tuple, more, frag); /* cut to the room there is */
	return buf;
}
