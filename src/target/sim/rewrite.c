/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bytes of a translated packet. Checksums are carried on by difference (RFC 1624), so that a
 * wrong one stays wrong and nothing but addresses, ports and checksums changes; SCTP's CRC-32C is
 * made anew. Called by sim.c with packets that pkt_parse() accepted.
 */
#include <netinet/in.h>
#include <string.h>

#include "internal.h"
#include "base/crc32c.h"
#include "base/util.h"

#define ICMP_HEADER_SIZE 8

/* Where things are in a packet. */
struct layout {
	uint8_t *ip, *l4;
	size_t l4_size; /* bytes that are there, from l4 on */
	size_t addr_size;
	uint8_t *src, *dst;
	uint8_t *ip_check; /* NULL for IPv6 */
	uint8_t *l4_check; /* NULL: there is none to keep right */
	uint8_t proto;
};

/* Steps over the IPv6 extension headers that may precede the upper layer (RFC 8200, section 4). */
static bool skip_extensions(struct layout *l, size_t size)
{
	size_t off = 40;

	while (l->proto == IPPROTO_HOPOPTS || l->proto == IPPROTO_ROUTING || l->proto == IPPROTO_DSTOPTS ||
	       l->proto == IPPROTO_FRAGMENT) {
		if (off + 8 > size)
			return false;
		l->proto = l->ip[off];
		off += l->ip[off] == IPPROTO_NONE ? 8 : (l->ip[off + 1] + 1u) * 8;
	}
	if (off > size)
		return false;
	l->l4 = l->ip + off;
	l->l4_size = size - off;
	return true;
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* The L4 checksum that is the ones' complement sum with the pseudo header, or NULL: none, cut
 * off, or (UDP over IPv4) not used. Asked once, before any change: a sum may be 0 on the way. */
static uint8_t *find_l4_check(const struct layout *l)
{
	switch (l->proto) {
	case IPPROTO_TCP:
		return l->l4_size >= 20 ? l->l4 + 16 : NULL;
	case IPPROTO_UDP:
		return l->l4_size >= 8 && get16(l->l4 + 6) != 0 ? l->l4 + 6 : NULL;
	case IPPROTO_ICMPV6:
		return l->l4_size >= 4 ? l->l4 + 2 : NULL;
	default:
		return NULL;
	}
}

static bool locate(uint8_t *buf, size_t size, struct layout *ret)
{
	struct layout l = { .ip = buf };
	size_t header_size;

	if (size < 20)
		return false;
	if (buf[0] >> 4 == 6) {
		if (size < 40)
			return false;
		l.addr_size = 16;
		l.src = buf + 8;
		l.dst = buf + 24;
		l.proto = buf[6];
		if (!skip_extensions(&l, size))
			return false;
	} else {
		header_size = (buf[0] & 15) * 4u;
		if (header_size < 20 || header_size > size)
			return false;
		l.addr_size = 4;
		l.src = buf + 12;
		l.dst = buf + 16;
		l.ip_check = buf + 10;
		l.proto = buf[9];
		l.l4 = buf + header_size;
		l.l4_size = size - header_size;
	}
	l.l4_check = find_l4_check(&l);
	*ret = l;
	return true;
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* The checksum at `check` covers words that change from `from` to `to`; size is even. */
static void check_replace(uint8_t *check, const uint8_t *from, const uint8_t *to, size_t size)
{
	uint32_t sum = (uint16_t)~get16(check);

	for (size_t i = 0; i < size; i += 2)
		sum += (uint16_t)~get16(from + i) + get16(to + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	put16(check, (uint16_t)~sum);
}

static void set_addr(const struct layout *l, uint8_t *where, const struct ip_addr *a)
{
	uint8_t *check = l->l4_check;

	if (l->ip_check)
		check_replace(l->ip_check, where, a->bytes, l->addr_size);
	if (check)
		check_replace(check, where, a->bytes, l->addr_size);
	memcpy(where, a->bytes, l->addr_size);
}

static void set_ports(const struct layout *l, uint16_t sport, uint16_t dport)
{
	uint8_t *check = l->l4_check;
	uint8_t ports[4];

	if (l->l4_size < 4)
		return;
	put16(ports, sport);
	put16(ports + 2, dport);
	if (check)
		check_replace(check, l->l4, ports, 4);
	memcpy(l->l4, ports, 4);
	/* RFC 768: a sum of 0 is sent as all ones, 0 would say "none". */
	if (l->proto == IPPROTO_UDP && check && get16(check) == 0)
		put16(check, 0xffff);
}

/* RFC 9260, section 6.8; little endian on the wire (appendix A). */
static void set_sctp_crc(const struct layout *l)
{
	uint32_t crc;

	if (l->l4_size < 12)
		return;
	memset(l->l4 + 8, 0, 4);
	crc = ~crc32c_update(~0u, l->l4, l->l4_size);
	for (int i = 0; i < 4; i++)
		l->l4[8 + i] = (uint8_t)(crc >> (8 * i));
}

static void set_tuple(const struct layout *l, const struct l4_tuple *to)
{
	set_addr(l, l->src, &to->src);
	set_addr(l, l->dst, &to->dst);
	set_ports(l, to->sport, to->dport);
	if (l->proto == IPPROTO_SCTP)
		set_sctp_crc(l);
}

/* The IP header says how long the packet is; bytes behind it are not covered by any checksum. */
static size_t packet_size(const uint8_t *buf, size_t size)
{
	size_t said;

	if (size < 20)
		return size;
	said = buf[0] >> 4 == 6 ? 40u + get16(buf + 4) : get16(buf + 2);
	return MIN(said, size);
}

void rewrite_packet(uint8_t *buf, size_t size, const struct l4_tuple *to)
{
	struct layout l;

	if (locate(buf, packet_size(buf, size), &l))
		set_tuple(&l, to);
}

void rewrite_error(uint8_t *buf, size_t size, const struct ip_addr *src, const struct ip_addr *dst,
		   const struct l4_tuple *inner)
{
	/* What one header of the quoted packet may be long at most, with its ports and checksum. */
	uint8_t before[512];
	struct layout outer, quoted;
	size_t even;

	if (!locate(buf, packet_size(buf, size), &outer) || outer.l4_size < ICMP_HEADER_SIZE)
		return;
	even = MIN(outer.l4_size & ~(size_t)1, sizeof(before));
	memcpy(before, outer.l4, even);
	if (locate(outer.l4 + ICMP_HEADER_SIZE, outer.l4_size - ICMP_HEADER_SIZE, &quoted))
		set_tuple(&quoted, inner);
	/* The ICMP checksum covers the quoted bytes, and itself, which is the same before and
	 * after. */
	check_replace(outer.l4 + 2, before, outer.l4, even);
	set_addr(&outer, outer.src, src);
	set_addr(&outer, outer.dst, dst);
}
