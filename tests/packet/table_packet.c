/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets of the packet table: a short mapping to bytes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "table_int.h"

#define PACKET_TTL 64
#define PAYLOAD_MAX 1400

int table_resolve(const struct names *names, const char *s, struct ip_addr *ret, uint16_t *ret_port, bool *ret_any)
{
	const char *dot = strchr(s, '.');

	if (s[0] != '$')
		return table_parse_endpoint(s, ret, ret_port, ret_any);
	*ret_any = false;
	for (size_t i = 0; dot && i < names->n; i++) {
		const struct l4_tuple *in = &names->v[i].in, *out = &names->v[i].out;

		if (strlen(names->v[i].name) != (size_t)(dot - s - 1) ||
		    strncmp(names->v[i].name, s + 1, (size_t)(dot - s - 1)) != 0)
			continue;
		if (str_eq(dot, ".client") || str_eq(dot, ".vip")) {
			*ret = str_eq(dot, ".client") ? in->src : in->dst;
			*ret_port = str_eq(dot, ".client") ? in->sport : in->dport;
			return 0;
		}
		if (str_eq(dot, ".source") || str_eq(dot, ".backend")) {
			*ret = str_eq(dot, ".source") ? out->src : out->dst;
			*ret_port = str_eq(dot, ".source") ? out->sport : out->dport;
			return 0;
		}
	}
	return -EINVAL;
}

static int read_end(const struct doc_node *map, const struct names *names, const char *key, struct ip_addr *ret,
		    uint16_t *ret_port, struct err *e)
{
	const char *s = NULL;
	bool any = false;

	if (doc_get_str(map, key, key, &s, e) < 0)
		return -EINVAL;
	if (!s || table_resolve(names, s, ret, ret_port, &any) < 0 || any)
		return doc_err(map, key, e, "%s is no address", s ? s : "(nothing)");
	return 0;
}

static int read_tcp(const struct doc_node *map, struct pkt *p, struct err *e)
{
	static const char letters[] = "FSRPA"; /* in the order of the bits */
	const char *s = NULL;
	int r = doc_get_str(map, "tcp", "tcp", &s, e);

	if (r <= 0)
		return r;
	p->t.proto = IPPROTO_TCP;
	p->tcp_window = 64240;
	for (; *s; s++) {
		const char *l = strchr(letters, *s);

		if (!l && *s != '-')
			return doc_err(map, "tcp", e, "unknown flag %c", *s);
		if (l)
			p->tcp_flags |= (uint8_t)(1u << (l - letters));
	}
	/* As if nothing but the SYNs had used up numbers: every segment is in its window. */
	p->tcp_seq = !(p->tcp_flags & TCP_FLAG_SYN);
	p->tcp_ack = !!(p->tcp_flags & TCP_FLAG_ACK);
	return 1;
}

static int read_udp(const struct doc_node *map, struct pkt *p, struct err *e)
{
	int64_t size = 0;
	int r = doc_get_int(map, "udp", "udp", 0, PAYLOAD_MAX, &size, e);

	if (r <= 0)
		return r;
	p->t.proto = IPPROTO_UDP;
	p->payload_size = (size_t)size;
	return 1;
}

/* "init", or several with + between. The chunks go into `payload`. */
static int read_sctp(const struct doc_node *map, struct pkt *p, uint8_t *payload, struct err *e)
{
	static const struct {
		const char *name;
		uint8_t type, size;
	} chunks[] = {
		{ "data", 0, 20 },
		{ "init", 1, 20 },
		{ "init-ack", 2, 20 },
		{ "sack", 3, 16 },
		{ "heartbeat", 4, 12 },
		{ "heartbeat-ack", 5, 12 },
		{ "abort", 6, 4 },
		{ "shutdown", 7, 8 },
		{ "shutdown-ack", 8, 4 },
		{ "error", 9, 4 },
		{ "cookie-echo", 10, 12 },
		{ "cookie-ack", 11, 4 },
		{ "shutdown-complete", 14, 4 },
		{ "none", 0, 0 },
	};
	const char *s = NULL;
	int r = doc_get_str(map, "sctp", "sctp", &s, e);

	if (r <= 0)
		return r;
	p->t.proto = IPPROTO_SCTP;
	while (*s) {
		size_t len = strcspn(s, "+"), i;

		for (i = 0; i < ARRAY_LEN(chunks); i++) {
			if (strlen(chunks[i].name) == len && strncmp(chunks[i].name, s, len) == 0)
				break;
		}
		if (i == ARRAY_LEN(chunks) || p->payload_size + 32 > PAYLOAD_MAX)
			return doc_err(map, "sctp", e, "unknown chunk %s", s);
		memset(payload + p->payload_size, 0, chunks[i].size);
		if (chunks[i].size > 0) {
			payload[p->payload_size] = chunks[i].type;
			payload[p->payload_size + 3] = chunks[i].size;
			if (chunks[i].type == 0)
				payload[p->payload_size + 1] = 3; /* DATA: first and last part */
			if (chunks[i].type == 1 || chunks[i].type == 2)
				memcpy(payload + p->payload_size + 4, "\x11\x22\x33\x44\0\0\xff\xff\0\1\0\1\0\0\0\1",
				       16);
		}
		/* Only an INIT goes without a tag; here both sides use the same. */
		p->sctp_vtag = chunks[i].type == 1 ? 0 : 0x11223344;
		p->payload_size += chunks[i].size;
		s += len + (s[len] == '+');
	}
	return 1;
}

static int read_icmp(const struct doc_node *map, struct pkt *p, struct err *e)
{
	const struct doc_node *list = NULL;
	int r = doc_get_seq(map, "icmp", "icmp", &list, e);

	if (r <= 0)
		return r;
	if (list->n != 2 || !list->child[0]->scalar || !list->child[1]->scalar)
		return doc_err(list, "icmp", e, "is [TYPE, CODE]");
	p->t.proto = p->t.src.fam == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	p->icmp_type = (uint8_t)atoi(list->child[0]->scalar);
	p->icmp_code = (uint8_t)atoi(list->child[1]->scalar);
	p->icmp_rest = 0x00010001;
	return 1;
}

/* Addresses and protocol. Payload bytes that nobody gave count up. */
static int read_fields(const struct doc_node *map, const struct names *names, struct pkt *p, uint8_t *payload,
		       struct err *e)
{
	int64_t ttl = PACKET_TTL, size = 0;
	int r;

	if (read_end(map, names, "src", &p->t.src, &p->t.sport, e) < 0 ||
	    read_end(map, names, "dst", &p->t.dst, &p->t.dport, e) < 0 ||
	    doc_get_int(map, "ttl", "ttl", 1, 255, &ttl, e) < 0 ||
	    doc_get_int(map, "payload", "payload", 0, PAYLOAD_MAX, &size, e) < 0)
		return -EINVAL;
	p->ttl = (uint8_t)ttl;
	p->ip_id = 0x1234;
	p->dont_fragment = true;
	p->payload_size = (size_t)size;
	r = read_tcp(map, p, e);
	if (r == 0)
		r = read_udp(map, p, e);
	if (r == 0)
		r = read_sctp(map, p, payload, e);
	if (r == 0)
		r = read_icmp(map, p, e);
	if (r < 0)
		return r;
	if (r == 0)
		p->t.proto = IPPROTO_UDP; /* proto: a number, put in afterwards */
	if (p->t.proto != IPPROTO_SCTP) {
		for (size_t i = 0; i < p->payload_size; i++)
			payload[i] = (uint8_t)i;
	}
	p->payload = payload;
	return 0;
}

static size_t l4_offset(const uint8_t *buf)
{
	return buf[0] >> 4 == 6 ? 40 : 20;
}

static void fix_ip_checksum(uint8_t *buf)
{
	uint16_t sum;

	if (buf[0] >> 4 != 4)
		return;
	memset(buf + 10, 0, 2);
	sum = csum_fold(csum_partial(buf, 20, 0));
	buf[10] = (uint8_t)(sum >> 8);
	buf[11] = (uint8_t)sum;
}

/* What pkt_build() would never make. */
static int spoil(const struct doc_node *map, uint8_t *buf, size_t *size, struct err *e)
{
	size_t check_at[256] = {
		[IPPROTO_TCP] = 16, [IPPROTO_UDP] = 6, [IPPROTO_SCTP] = 8, [IPPROTO_ICMP] = 2, [IPPROTO_ICMPV6] = 2
	};
	uint8_t *proto = &buf[buf[0] >> 4 == 6 ? 6 : 9];
	const char *what = NULL;
	int64_t number = 0;

	if (doc_get_int(map, "proto", "proto", 1, 255, &number, e) < 0 ||
	    doc_get_str(map, "break", "break", &what, e) < 0)
		return -EINVAL;
	if (number > 0) {
		*proto = (uint8_t)number;
		fix_ip_checksum(buf);
	}
	if (!what)
		return 0;
	if (str_eq(what, "l4-checksum"))
		buf[l4_offset(buf) + check_at[*proto]] ^= 0x5a;
	else if (str_eq(what, "ip-checksum"))
		buf[10] ^= 0x5a;
	else if (str_eq(what, "version"))
		buf[0] = (uint8_t)((buf[0] & 15) | 0x50);
	else if (str_eq(what, "short"))
		*size -= 1;
	else if (str_eq(what, "empty"))
		*size = 0;
	else
		return doc_err(map, "break", e, "cannot break %s", what);
	return 0;
}

static int build_hex(const struct doc_node *map, const char *hex, uint8_t *buf, size_t *ret_size, struct err *e)
{
	size_t n = 0;
	unsigned int byte;

	for (; *hex; hex += *hex == ' ' ? 1 : 2) {
		if (*hex == ' ')
			continue;
		if (n >= *ret_size || sscanf(hex, "%2x", &byte) != 1 || !hex[1])
			return doc_err(map, "hex", e, "cannot read");
		buf[n++] = (uint8_t)byte;
	}
	*ret_size = n;
	return 0;
}

static int build_error(const struct doc_node *map, const struct doc_node *quote, const struct names *names,
		       const struct pkt *outer, uint8_t *buf, size_t *ret_size, struct err *e)
{
	uint8_t payload[PAYLOAD_MAX], quoted[TABLE_PACKET_MAX];
	size_t quoted_size = sizeof(quoted);
	struct pkt inner = {};
	struct pkt built;
	int r = read_fields(quote, names, &inner, payload, e);

	if (r < 0)
		return r;
	r = pkt_build(&inner, quoted, &quoted_size);
	if (r == 0)
		r = pkt_build_icmp_error(&outer->t.src, outer->icmp_type, outer->icmp_code, 1400, quoted, quoted_size,
					 buf, ret_size);
	/* The builder sends it to the source of the quoted packet, as every honest router does. */
	if (r == 0 && (pkt_parse(buf, *ret_size, &built) < 0 || !ip_addr_eq(&built.t.dst, &outer->t.dst)))
		return doc_err(map, "dst", e, "must be the source of the quoted packet");
	return r < 0 ? doc_err(map, "quote", e, "cannot build") : 0;
}

/* From whom a packet with this source comes: a pod of the node, the node itself, or outside. */
static enum sim_origin origin_of(const struct snapshot *s, const char *node, const struct ip_addr *src)
{
	const struct node *n = snapshot_node_by_ip(s, src);
	const struct pod *p = snapshot_pod_by_ip(s, src);

	if (p && str_eq(p->node, node))
		return SIM_FROM_POD;
	return n && str_eq(n->name, node) ? SIM_FROM_NODE : SIM_FROM_OUTSIDE;
}

static int read_origin(const struct doc_node *map, enum sim_origin *ret, struct err *e)
{
	const char *from = NULL;

	if (doc_get_str(map, "from", "from", &from, e) < 0)
		return -EINVAL;
	if (!from)
		return 0;
	if (str_eq(from, "pod"))
		*ret = SIM_FROM_POD;
	else if (str_eq(from, "node"))
		*ret = SIM_FROM_NODE;
	else if (str_eq(from, "outside"))
		*ret = SIM_FROM_OUTSIDE;
	else
		return doc_err(map, "from", e, "pod, node or outside");
	return 0;
}

int table_build_packet(const struct doc_node *map, const struct names *names, const struct snapshot *s,
		       const char *node, enum sim_origin *ret_origin, uint8_t *buf, size_t *ret_size, struct err *e)
{
	const struct doc_node *quote = NULL;
	const char *hex = NULL, *fragment = NULL;
	uint8_t payload[PAYLOAD_MAX];
	struct pkt p = {};
	int r;

	*ret_origin = SIM_FROM_OUTSIDE;
	if (doc_get_str(map, "hex", "hex", &hex, e) < 0 || doc_get_str(map, "fragment", "fragment", &fragment, e) < 0 ||
	    doc_get_map(map, "quote", "quote", &quote, e) < 0)
		return -EINVAL;
	if (hex)
		return build_hex(map, hex, buf, ret_size, e);
	r = read_fields(map, names, &p, payload, e);
	if (r < 0)
		return r;
	*ret_origin = origin_of(s, node, &p.t.src);
	r = read_origin(map, ret_origin, e);
	if (r < 0)
		return r;
	if (quote)
		return build_error(map, quote, names, &p, buf, ret_size, e);
	if (fragment) {
		p.is_fragment = true;
		p.dont_fragment = false;
		p.frag_offset = str_eq(fragment, "later") ? 64 : 0;
	}
	r = pkt_build(&p, buf, ret_size);
	return r < 0 ? doc_err(map, "packet", e, "cannot build") : spoil(map, buf, ret_size, e);
}
