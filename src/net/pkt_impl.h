/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What pkt.c (reading) and pkt_build.c (writing) share. */
#ifndef OFFKUBE_NET_PKT_IMPL_H
#define OFFKUBE_NET_PKT_IMPL_H

#include <stdint.h>

#include "net/pkt.h"

#define IPV4_HEADER_SIZE 20u
#define IPV6_HEADER_SIZE 40u
#define IPV6_FRAG_HEADER_SIZE 8u
#define TCP_HEADER_SIZE 20u
#define UDP_HEADER_SIZE 8u
#define SCTP_HEADER_SIZE 12u
#define ICMP_HEADER_SIZE 8u

#define IPV4_FLAG_DF 0x4000u
#define IPV4_FLAG_MF 0x2000u
#define IPV4_OFFSET_MASK 0x1fffu

static inline uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put_be32(uint8_t *p, uint32_t v)
{
	put_be16(p, (uint16_t)(v >> 16));
	put_be16(p + 2, (uint16_t)v);
}

/* The transport part of a packet. */
struct l4_view {
	const uint8_t *l4;
	size_t size;
};

/* Reads the IP header into p (addresses, protocol, fragment fields). With `quoted` the packet may be cut behind
 * its header, and its header checksum is not looked at: routers quote what they have rewritten. 0 or -EBADMSG. */
int pkt_parse_ip(const uint8_t *buf, size_t size, bool quoted, struct pkt *p, struct l4_view *ret);
bool pkt_proto_known(const struct pkt *p);
bool pkt_is_icmp_error(const struct pkt *p);
/* The pseudo header's part of a checksum. */
uint32_t pkt_pseudo_sum(const struct l4_tuple *t, size_t l4_size);
/*
 * SCTP's CRC-32C with the checksum field taken as 0, as it stands in the packet: little-endian (RFC 9260, appendix
 * A).
 */
uint32_t pkt_sctp_crc(const uint8_t *l4, size_t size);

#endif
