/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packet parser on any bytes. What it reads must lie inside the input; built again it must parse to the same
 * fields, with right checksums; an ICMP error that quotes the input must parse, and quote what was read.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/pkt.h"

#define ROOM 66000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition)
{
	if (!condition)
		abort();
}

static int same_tuple(const struct l4_tuple *a, const struct l4_tuple *b)
{
	return ip_addr_eq(&a->src, &b->src) && ip_addr_eq(&a->dst, &b->dst) && a->sport == b->sport &&
	       a->dport == b->dport && a->proto == b->proto;
}

static void same_packet(const struct pkt *a, const struct pkt *b)
{
	must(same_tuple(&a->t, &b->t));
	must(a->ttl == b->ttl && a->dscp_ecn == b->dscp_ecn);
	must(a->t.src.fam == AF_INET6 || (a->ip_id == b->ip_id && a->dont_fragment == b->dont_fragment));
	must(a->is_fragment == b->is_fragment && a->frag_offset == b->frag_offset &&
	     a->more_fragments == b->more_fragments);
	must(a->tcp_seq == b->tcp_seq && a->tcp_ack == b->tcp_ack && a->tcp_flags == b->tcp_flags);
	must(a->tcp_window == b->tcp_window && a->sctp_vtag == b->sctp_vtag);
	must(a->icmp_type == b->icmp_type && a->icmp_code == b->icmp_code && a->icmp_rest == b->icmp_rest);
	must(a->payload_size == b->payload_size && memcmp(a->payload, b->payload, a->payload_size) == 0);
}

static void build_again(const struct pkt *p, uint8_t *buf)
{
	size_t size = ROOM;
	struct pkt back;
	int r = pkt_build(p, buf, &size);

	/*
	 * An IPv6 fragment header may mark a whole packet; the first fragment may end anywhere. Neither is ours to
	 * send.
	 */
	if (r == -EINVAL) {
		must(p->has_inner || p->is_fragment);
		return;
	}
	must(r == 0);
	must(pkt_checksums_ok(buf, size));
	must(pkt_parse(buf, size, &back) == 0);
	if (!p->is_fragment || p->frag_offset || p->more_fragments)
		same_packet(p, &back);
}

static void quote(const struct pkt *p, const uint8_t *data, size_t size, uint8_t *buf)
{
	bool v6 = p->t.src.fam == AF_INET6;
	struct ip_addr from = { .fam = v6 ? AF_INET6 : AF_INET, .bytes = { 10, 9, 8, 7 } };
	size_t written = ROOM;
	struct pkt error;

	must(pkt_build_icmp_error(&from, v6 ? 1 : 3, 1, 7, data, size, buf, &written) == 0);
	must(pkt_checksums_ok(buf, written));
	must(pkt_parse(buf, written, &error) == 0);
	must(ip_addr_eq(&error.t.dst, &p->t.src) && error.icmp_rest == 7);
	/* A chain of extension headers may be longer than the quote. */
	must(error.has_inner || v6);
	if (error.has_inner)
		must(ip_addr_eq(&error.inner.dst, &p->t.dst));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t buf[ROOM];
	char text[300];
	struct pkt p;
	int r = pkt_parse(data, size, &p);

	if (r == -EBADMSG) {
		must(!pkt_checksums_ok(data, size));
		return 0;
	}
	must(r == 0 || r == -EPROTONOSUPPORT);
	must(p.payload >= data && p.payload + p.payload_size <= data + size);
	must(pkt_format(&p, text, sizeof(text)) == text && strlen(text) < sizeof(text) - 1);
	(void)pkt_checksums_ok(data, size);
	if (r == 0)
		build_again(&p, buf);
	quote(&p, data, size, buf);
	return 0;
}
