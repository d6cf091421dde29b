/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One IP packet as fields: parser and builder of what the tests, sim and trace need. Works on packets from the IP
 * header on (no link header). Field integers are host order; addresses are struct ip_addr.
 *
 * Sources: RFC 791, RFC 8200, RFC 792, RFC 4443, RFC 9293, RFC 768, RFC 9260 (SCTP's CRC-32C).
 */
#ifndef OFFKUBE_NET_PKT_H
#define OFFKUBE_NET_PKT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/addr.h"

struct l4_tuple {
	struct ip_addr src, dst;
	uint16_t sport, dport; /* host order; 0 when the protocol has none */
	uint8_t proto; /* IPPROTO_* */
};

/* A tuple as a key of a map: a struct l4_tuple has padding. */
struct l4_key {
	uint8_t b[17 + 17 + 2 + 2 + 1]; /* src, dst: family and bytes; ports in host order; protocol */
};
struct l4_key l4_key_of(const struct l4_tuple *t);

#define TCP_FLAG_FIN 0x01
#define TCP_FLAG_SYN 0x02
#define TCP_FLAG_RST 0x04
#define TCP_FLAG_PSH 0x08
#define TCP_FLAG_ACK 0x10

struct pkt {
	struct l4_tuple t;
	uint8_t ttl; /* hop limit */
	uint8_t dscp_ecn; /* TOS / traffic class */
	uint16_t ip_id; /* IPv4; of an IPv6 fragment the low half */
	bool dont_fragment; /* IPv4 */
	bool is_fragment; /* offset > 0 or more-fragments: ports are only there at offset 0 */
	bool more_fragments;
	uint16_t frag_offset; /* bytes */
	uint32_t tcp_seq, tcp_ack;
	uint8_t tcp_flags;
	uint16_t tcp_window;
	uint32_t sctp_vtag;
	uint8_t icmp_type, icmp_code;
	uint32_t icmp_rest; /* second word: id/seq, MTU; host order */
	bool has_inner; /* ICMP error: the packet it quotes */
	struct l4_tuple inner;
	const uint8_t *payload; /* behind the L4 header; into the caller's buffer */
	size_t payload_size;
};

/* 0; -EBADMSG malformed (lengths, version, header checksum of IPv4), -EPROTONOSUPPORT for an L4 protocol other
 * than TCP, UDP, SCTP, ICMP, ICMPv6 (then addresses and proto are set). L4 checksums are checked by
 * pkt_checksums_ok, not here. */
int pkt_parse(const uint8_t *buf, size_t size, struct pkt *ret);
/* All checksums of the packet right (UDP over IPv4 with checksum 0 is right). */
bool pkt_checksums_ok(const uint8_t *buf, size_t size);
/* Serialises with right checksums; *ret_size in: room, out: written. -ENOSPC. has_inner packets are built by
 * pkt_build_icmp_error. -EINVAL: addresses of two families, a fragment offset that is no multiple of 8 or stands
 * in a packet that is no fragment, too large for IP; -EPROTONOSUPPORT as pkt_parse. A first fragment (offset 0)
 * gets more_fragments set. TCP options are not built. */
int pkt_build(const struct pkt *p, uint8_t *buf, size_t *ret_size);
/* ICMP/ICMPv6 error from `from` to the source of the quoted packet; the quote is cut to what RFC 1812 and RFC 4443
 * allow. -EBADMSG: quoted is no IP packet of from's family. */
int pkt_build_icmp_error(const struct ip_addr *from, uint8_t type, uint8_t code, uint32_t rest, const uint8_t *quoted,
			 size_t quoted_size, uint8_t *buf, size_t *ret_size);
/* "tcp 10.0.0.1:1 > 10.0.0.2:80 flags=S" into buf. */
const char *pkt_format(const struct pkt *p, char *buf, size_t buf_size);

/* RFC 1071 sum of bytes as 16-bit words of network order, folded and complemented by the second. The results are
 * in host order: who stores one writes it big-endian. All pieces but the last have an even size. */
uint32_t csum_partial(const void *data, size_t size, uint32_t sum);
uint16_t csum_fold(uint32_t sum);

#endif
