/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets written, with right checksums. Called by target/sim, trace/ and the tests. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "net/pkt.h"
#include "pkt_impl.h"

#define IP_SIZE_MAX 65535u
#define TCP_WORDS (TCP_HEADER_SIZE / 4)
/* RFC 1812 4.3.2.3 and RFC 4443 2.4 (c): the whole error at most this long. */
#define ICMP4_ERROR_SIZE_MAX 576u
#define ICMP6_ERROR_SIZE_MAX 1280u
#define ICMP_ERROR_TTL 64

static size_t l4_header_size(const struct pkt *p)
{
	if (p->is_fragment && p->frag_offset)
		return 0;
	switch (p->t.proto) {
	case IPPROTO_TCP:
		return TCP_HEADER_SIZE;
	case IPPROTO_UDP:
		return UDP_HEADER_SIZE;
	case IPPROTO_SCTP:
		return SCTP_HEADER_SIZE;
	default:
		return ICMP_HEADER_SIZE;
	}
}

static size_t ip_header_size(const struct pkt *p)
{
	if (p->t.src.fam == AF_INET)
		return IPV4_HEADER_SIZE;
	return IPV6_HEADER_SIZE + (p->is_fragment ? IPV6_FRAG_HEADER_SIZE : 0);
}

static bool more_fragments(const struct pkt *p)
{
	return p->is_fragment && (p->more_fragments || !p->frag_offset);
}

static void put_v4(const struct pkt *p, size_t total_size, uint8_t *buf)
{
	uint16_t frag = (uint16_t)(p->is_fragment ? p->frag_offset / 8u : 0);

	if (p->dont_fragment)
		frag |= IPV4_FLAG_DF;
	if (more_fragments(p))
		frag |= IPV4_FLAG_MF;
	buf[0] = 0x45;
	buf[1] = p->dscp_ecn;
	put_be16(buf + 2, (uint16_t)total_size);
	put_be16(buf + 4, p->ip_id);
	put_be16(buf + 6, frag);
	buf[8] = p->ttl;
	buf[9] = p->t.proto;
	memcpy(buf + 12, p->t.src.bytes, 4);
	memcpy(buf + 16, p->t.dst.bytes, 4);
	put_be16(buf + 10, csum_fold(csum_partial(buf, IPV4_HEADER_SIZE, 0)));
}

static void put_v6(const struct pkt *p, size_t total_size, uint8_t *buf)
{
	put_be32(buf, 6u << 28 | (uint32_t)p->dscp_ecn << 20);
	put_be16(buf + 4, (uint16_t)(total_size - IPV6_HEADER_SIZE));
	buf[6] = p->is_fragment ? IPPROTO_FRAGMENT : p->t.proto;
	buf[7] = p->ttl;
	memcpy(buf + 8, p->t.src.bytes, 16);
	memcpy(buf + 24, p->t.dst.bytes, 16);
	if (!p->is_fragment)
		return;
	buf += IPV6_HEADER_SIZE;
	buf[0] = p->t.proto;
	put_be16(buf + 2, (uint16_t)(p->frag_offset | more_fragments(p)));
	put_be32(buf + 4, p->ip_id);
}

/* `l4_size` bytes at l4, zero but for the payload. */
static void put_l4(const struct pkt *p, uint8_t *l4, size_t l4_size)
{
	uint32_t pseudo = pkt_pseudo_sum(&p->t, l4_size);
	uint32_t crc;
	uint16_t sum;

	if (p->t.proto != IPPROTO_ICMP && p->t.proto != IPPROTO_ICMPV6) {
		put_be16(l4, p->t.sport);
		put_be16(l4 + 2, p->t.dport);
	}
	switch (p->t.proto) {
	case IPPROTO_TCP:
		put_be32(l4 + 4, p->tcp_seq);
		put_be32(l4 + 8, p->tcp_ack);
		l4[12] = TCP_WORDS << 4;
		l4[13] = p->tcp_flags;
		put_be16(l4 + 14, p->tcp_window);
		put_be16(l4 + 16, csum_fold(csum_partial(l4, l4_size, pseudo)));
		break;
	case IPPROTO_UDP:
		put_be16(l4 + 4, (uint16_t)l4_size);
		sum = csum_fold(csum_partial(l4, l4_size, pseudo));
		put_be16(l4 + 6, sum ? sum : 0xffff); /* 0 would mean "none" */
		break;
	case IPPROTO_SCTP:
		put_be32(l4 + 4, p->sctp_vtag);
		crc = pkt_sctp_crc(l4, l4_size);
		put_be32(l4 + 8, __builtin_bswap32(crc));
		break;
	default:
		l4[0] = p->icmp_type;
		l4[1] = p->icmp_code;
		put_be32(l4 + 4, p->icmp_rest);
		sum = csum_fold(csum_partial(l4, l4_size, p->t.proto == IPPROTO_ICMP ? 0 : pseudo));
		put_be16(l4 + 2, sum);
	}
}

static int check(const struct pkt *p)
{
	if (!ip_addr_is_set(&p->t.src) || p->t.src.fam != p->t.dst.fam)
		return -EINVAL;
	if (!pkt_proto_known(p))
		return -EPROTONOSUPPORT;
	if (p->frag_offset % 8 || (p->frag_offset && !p->is_fragment))
		return -EINVAL;
	/* All fragments but the last end on a multiple of 8. */
	if (more_fragments(p) && (l4_header_size(p) + p->payload_size) % 8)
		return -EINVAL;
	return 0;
}

static int build(const struct pkt *p, uint8_t *buf, size_t *ret_size)
{
	size_t ip_size = ip_header_size(p), l4_head = l4_header_size(p);
	size_t total_size;
	int r = check(p);

	if (r)
		return r;
	if (p->payload_size > IP_SIZE_MAX)
		return -EINVAL;
	total_size = ip_size + l4_head + p->payload_size;
	if (total_size - (p->t.src.fam == AF_INET6 ? IPV6_HEADER_SIZE : 0) > IP_SIZE_MAX)
		return -EINVAL;
	if (total_size > *ret_size)
		return -ENOSPC;
	memset(buf, 0, ip_size + l4_head);
	if (p->payload_size)
		memcpy(buf + ip_size + l4_head, p->payload, p->payload_size);
	if (p->t.src.fam == AF_INET)
		put_v4(p, total_size, buf);
	else
		put_v6(p, total_size, buf);
	if (l4_head)
		put_l4(p, buf + ip_size, total_size - ip_size);
	*ret_size = total_size;
	return 0;
}

int pkt_build(const struct pkt *p, uint8_t *buf, size_t *ret_size)
{
	return p->has_inner ? -EINVAL : build(p, buf, ret_size);
}

int pkt_build_icmp_error(const struct ip_addr *from, uint8_t type, uint8_t code, uint32_t rest, const uint8_t *quoted,
			 size_t quoted_size, uint8_t *buf, size_t *ret_size)
{
	bool v6 = from->fam == AF_INET6;
	size_t quote_max = v6 ? ICMP6_ERROR_SIZE_MAX - IPV6_HEADER_SIZE - ICMP_HEADER_SIZE :
				ICMP4_ERROR_SIZE_MAX - IPV4_HEADER_SIZE - ICMP_HEADER_SIZE;
	struct pkt inner = { 0 };
	struct pkt p = {
		.ttl = ICMP_ERROR_TTL,
		.icmp_type = type,
		.icmp_code = code,
		.icmp_rest = rest,
		.payload = quoted,
		.payload_size = MIN(quoted_size, quote_max),
	};
	struct l4_view v;

	if (pkt_parse_ip(quoted, quoted_size, true, &inner, &v) || inner.t.src.fam != from->fam)
		return -EBADMSG;
	p.t.src = *from;
	p.t.dst = inner.t.src;
	p.t.proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	return build(&p, buf, ret_size);
}
