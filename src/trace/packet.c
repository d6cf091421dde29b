/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Crafts packets for trace: where a packet meets the node, first packets of connections, SCTP chunks. Called by the parsers of this room, by tests.
 *
 * Numbers that nobody asked for are fixed so that a sequence of packets is one sound connection to a conntrack that checks windows: every side's
 * first sequence number is 0 (the SYN's), whatever comes after has 1.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "packet.h"
#include "trace/trace.h"

const char *const trace_origin_name[] = {
	[TRACE_FROM_POD] = "pod",
	[TRACE_FROM_NODE] = "node",
	[TRACE_FROM_OUTSIDE] = "outside",
};
static_assert(ARRAY_LEN(trace_origin_name) == TRACE_FROM_MAX, "one name per origin");

enum trace_origin trace_origin_of(const struct snapshot *s, const struct node *node, const struct ip_addr *src)
{
	const struct pod *p = snapshot_pod_by_ip(s, src);

	if (p && str_eq(p->node, node->name))
		return TRACE_FROM_POD;
	if (ip_addr_eq(src, &node->addr[ip_addr_family(src)]))
		return TRACE_FROM_NODE;
	return TRACE_FROM_OUTSIDE;
}

static void put16(uint8_t *b, uint16_t v)
{
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

static void put32(uint8_t *b, uint32_t v)
{
	put16(b, (uint16_t)(v >> 16));
	put16(b + 2, (uint16_t)v);
}

/* RFC 9260, section 3.3: type, and the size of the fixed part behind the chunk header. */
static const struct sctp_chunk {
	const char *name;
	uint8_t type;
	uint8_t flags;
	uint8_t body_size;
} sctp_chunks[] = {
	{ "init", 1, 0, 16 },
	{ "init-ack", 2, 0, 16 + 8 }, /* with a state cookie parameter */
	{ "cookie-echo", 10, 0, 4 },
	{ "cookie-ack", 11, 0, 0 },
	{ "data", 0, 3, 12 + 4 }, /* one whole message of four bytes */
	{ "sack", 3, 0, 12 },
	{ "heartbeat", 4, 0, 8 },
	{ "heartbeat-ack", 5, 0, 8 },
	{ "abort", 6, 0, 0 },
	{ "shutdown", 7, 0, 4 },
	{ "shutdown-ack", 8, 0, 0 },
	{ "shutdown-complete", 14, 0, 0 },
};

static void sctp_init_body(uint8_t *b, bool is_ack)
{
	put32(b, is_ack ? TRACE_SCTP_TAG_SERVER : TRACE_SCTP_TAG_CLIENT);
	put32(b + 4, 65536); /* a_rwnd */
	put16(b + 8, 1); /* streams out */
	put16(b + 10, 1); /* streams in */
	put32(b + 12, 1); /* first TSN */
	if (is_ack) {
		put16(b + 16, 7); /* parameter: state cookie */
		put16(b + 18, 8);
		memcpy(b + 20, "cook", 4);
	}
}

int trace_sctp_chunk(const char *name, uint8_t *buf, size_t *ret_size)
{
	for (size_t i = 0; i < ARRAY_LEN(sctp_chunks); i++) {
		const struct sctp_chunk *c = &sctp_chunks[i];
		size_t size = 4 + (size_t)c->body_size;

		if (strcmp(c->name, name) != 0)
			continue;
		if (*ret_size < size)
			return -ENOSPC;
		memset(buf, 0, size);
		buf[0] = c->type;
		buf[1] = c->flags;
		put16(buf + 2, (uint16_t)size);
		if (c->type == 1 || c->type == 2)
			sctp_init_body(buf + 4, c->type == 2);
		else if (c->type == 0)
			put32(buf + 4, 1); /* TSN */
		else if (c->type == 4 || c->type == 5) {
			put16(buf + 4, 1); /* parameter: heartbeat info */
			put16(buf + 6, 8);
		}
		*ret_size = size;
		return 0;
	}
	return -EINVAL;
}

void packet_fill_defaults(struct pkt *p)
{
	memset(p, 0, sizeof(*p));
	p->ttl = 64;
	p->ip_id = 1; /* a raw socket would replace 0 */
	p->tcp_flags = TCP_FLAG_SYN;
	p->tcp_window = 64240;
}

int packet_build(const struct pkt *p, struct trace_packet *ret)
{
	size_t size = sizeof(ret->buf);
	int r;

	r = pkt_build(p, ret->buf, &size);
	if (r < 0)
		return r;
	ret->size = size;
	return 0;
}

int trace_packet_first(enum trace_origin origin, const struct l4_tuple *t, struct trace_packet *ret)
{
	uint8_t chunk[64];
	size_t chunk_size = sizeof(chunk);
	struct pkt p;
	int r;

	if (t->src.fam != t->dst.fam || !t->src.fam)
		return -EINVAL;
	packet_fill_defaults(&p);
	p.t = *t;
	switch (t->proto) {
	case IPPROTO_TCP:
		break;
	case IPPROTO_UDP:
		p.payload = (const uint8_t *)"trace";
		p.payload_size = 5;
		break;
	case IPPROTO_SCTP:
		r = trace_sctp_chunk("init", chunk, &chunk_size);
		if (r < 0)
			return r;
		p.payload = chunk;
		p.payload_size = chunk_size;
		break;
	default:
		return -EINVAL;
	}
	ret->origin = origin;
	ret->after_ms = 0;
	return packet_build(&p, ret);
}

void trace_packet_fix_id(struct trace_packet *p)
{
	uint16_t sum;

	if (p->size < 20 || p->buf[0] != 0x45 || p->buf[4] || p->buf[5])
		return;
	p->buf[5] = 1;
	put16(p->buf + 10, 0);
	sum = csum_fold(csum_partial(p->buf, 20, 0));
	put16(p->buf + 10, sum);
}
