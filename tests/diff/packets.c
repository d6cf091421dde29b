/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random packets over a random model (packets.h). */
#include "packets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

/* RFC 9260, 3.2: what may begin an association, or a path of one. */
enum { CHUNK_INIT = 1, CHUNK_HEARTBEAT = 4, CHUNK_HEARTBEAT_ACK = 5, CHUNK_SHUTDOWN_ACK = 8 };

void packets_init(struct packets *p, struct gen *g)
{
	memset(p, 0, sizeof(*p));
	p->g = g;
	p->follows = -1;
	p->next_sport = 30000;
}

/* ---- building ---- */

static struct pkt blank(const struct l4_tuple *t)
{
	return (struct pkt){ .t = *t, .ttl = 64, .ip_id = 7, .tcp_window = 64240 };
}

static void set_origin(struct packets *p, struct trace_packet *ret, const struct ip_addr *src)
{
	ret->origin = trace_origin_of(p->g->snapshot, snapshot_node(p->g->snapshot, GEN_NODE), src);
	ret->after_ms = 0;
}

static void build(struct packets *p, const struct pkt *pkt, struct trace_packet *ret)
{
	size_t size = sizeof(ret->buf);

	if (pkt_build(pkt, ret->buf, &size) < 0)
		abort(); /* nothing here is too long */
	ret->size = size;
	set_origin(p, ret, &pkt->t.src);
}

/* Sequence numbers as trace's own: 0 on a SYN, 1 after. */
static void build_tcp(struct packets *p, const struct l4_tuple *t, uint8_t flags, struct trace_packet *ret)
{
	struct pkt pkt = blank(t);

	pkt.tcp_flags = flags;
	pkt.tcp_seq = flags & TCP_FLAG_SYN ? 0 : 1;
	pkt.tcp_ack = flags & TCP_FLAG_ACK ? 1 : 0;
	if (flags & TCP_FLAG_PSH) {
		pkt.payload = (const uint8_t *)"segment";
		pkt.payload_size = 7;
	}
	build(p, &pkt, ret);
}

static void build_udp(struct packets *p, const struct l4_tuple *t, struct trace_packet *ret)
{
	static const uint8_t bytes[64] = "datagram";
	struct pkt pkt = blank(t);

	pkt.payload = bytes;
	pkt.payload_size = gen_below(p->g, sizeof(bytes));
	build(p, &pkt, ret);
}

static void build_sctp(struct packets *p, const struct l4_tuple *t, bool to_client, const char *chunk,
		       struct trace_packet *ret)
{
	struct pkt pkt = blank(t);
	uint8_t buf[64];
	size_t size = sizeof(buf);

	if (trace_sctp_chunk(chunk, buf, &size) < 0)
		abort();
	pkt.payload = buf;
	pkt.payload_size = size;
	pkt.sctp_vtag = to_client ? TRACE_SCTP_TAG_CLIENT : TRACE_SCTP_TAG_SERVER;
	if (strcmp(chunk, "init") == 0)
		pkt.sctp_vtag = 0;
	build(p, &pkt, ret);
}

static void build_first(struct packets *p, const struct l4_tuple *t, struct trace_packet *ret)
{
	if (t->proto == IPPROTO_TCP)
		build_tcp(p, t, gen_chance(p->g, 6) ? TCP_FLAG_ACK : TCP_FLAG_SYN, ret);
	else if (t->proto == IPPROTO_UDP)
		build_udp(p, t, ret);
	else
		build_sctp(p, t, false, "init", ret);
}

static struct l4_tuple inverse(const struct l4_tuple *t)
{
	return (struct l4_tuple){
		.src = t->dst, .dst = t->src, .sport = t->dport, .dport = t->sport, .proto = t->proto
	};
}

/* ---- who talks ---- */

static struct ip_addr pick_client(struct packets *p, uint8_t fam)
{
	const struct node *node = snapshot_node(p->g->snapshot, GEN_NODE);
	uint32_t k = gen_below(p->g, 100);
	const struct pod *pod = NULL;

	if (k < 55)
		pod = gen_pick_pod(p->g, true, fam);
	else if (k < 70)
		return node->addr[fam == AF_INET6 ? IP_V6 : IP_V4];
	else if (k < 80)
		pod = gen_pick_pod(p->g, false, fam);
	if (pod)
		return pod->addr[fam == AF_INET6 ? IP_V6 : IP_V4];
	return gen_outside_addr(gen_below(p->g, 3), fam);
}

/* Few numbers, so that connections meet; and now and then a new one. */
static uint16_t pick_sport(struct packets *p)
{
	static const uint16_t few[] = { 20000, 20001, 20002, 700, 300 };

	return gen_chance(p->g, 50) ? few[gen_below(p->g, ARRAY_LEN(few))] : p->next_sport++;
}

static bool pick_service_tuple(struct packets *p, struct l4_tuple *ret)
{
	struct gen_target t;

	for (int i = 0; i < (p->prefer_sctp ? 6 : 1); i++) {
		if (!gen_pick_target(p->g, &t))
			return false;
		if (t.port->proto == IPPROTO_SCTP)
			break;
	}
	*ret = (struct l4_tuple){
		.src = pick_client(p, t.ip.fam),
		.dst = t.ip,
		.sport = pick_sport(p),
		.dport = t.port->port,
		.proto = t.port->proto,
	};
	return true;
}

/* One whose entry times out within seconds: SCTP, its INIT answered. `step`: before or after the answer. */
static struct packets_flow *pick_short_lived(struct packets *p, uint8_t step)
{
	uint32_t start = gen_below(p->g, p->n_flows);

	for (uint32_t i = 0; i < p->n_flows; i++) {
		struct packets_flow *f = &p->flows[(start + i) % p->n_flows];

		if (f->orig.proto == IPPROTO_SCTP && f->opened_by == CHUNK_INIT && f->step == step && f->translated)
			return f;
	}
	return NULL;
}

/* One whose client a Service with affinity remembers. */
static struct packets_flow *pick_remembered(struct packets *p)
{
	uint32_t start = gen_below(p->g, p->n_flows);

	for (uint32_t i = 0; i < p->n_flows; i++) {
		struct packets_flow *f = &p->flows[(start + i) % p->n_flows];
		const struct service *svc = snapshot_service_by_ip(p->g->snapshot, &f->orig.dst);

		if (svc && svc->features & 1u << SERVICE_FEATURE_AFFINITY &&
		    service_find_port(svc, f->orig.proto, f->orig.dport))
			return f;
	}
	return NULL;
}

static struct packets_flow *pick_flow(struct packets *p)
{
	struct packets_flow *f = NULL;
	uint32_t i;

	if (!p->n_flows)
		return NULL;
	if (p->prefer_sctp || p->revisit)
		f = gen_chance(p->g, 50) ? pick_short_lived(p, p->revisit ? 1 : 0) : NULL;
	if (f) {
		p->follows = (int)(f - p->flows);
		return f;
	}
	/* Mostly the latest ones, so that some get far. */
	if (!p->revisit && gen_chance(p->g, 65))
		i = (p->next_flow + PACKETS_FLOWS_MAX - 1 - gen_below(p->g, MIN(3u, p->n_flows))) % PACKETS_FLOWS_MAX;
	else
		i = gen_below(p->g, p->n_flows);
	if (!p->flows[i].translated && gen_chance(p->g, 70))
		i = gen_below(p->g, p->n_flows);
	if (!p->flows[i].orig.proto)
		return NULL; /* over */
	p->follows = (int)i;
	return &p->flows[i];
}

/* ---- kinds of packets: each fills *ret, or returns false when the model does not give it ---- */

static bool make_new(struct packets *p, struct trace_packet *ret)
{
	bool again = p->n_flows && gen_chance(p->g, p->revisit ? 70 : 10);
	const struct packets_flow *f = again ? pick_remembered(p) : NULL;
	struct l4_tuple t;

	if (f) {
		t = f->orig; /* the client again, for affinity */
		t.sport = p->next_sport++;
	} else if (!pick_service_tuple(p, &t)) {
		return false;
	}
	build_first(p, &t, ret);
	return true;
}

struct tcp_step {
	bool reply;
	uint8_t flags;
};

static const struct tcp_step tcp_script[2][9] = { {
							  { true, TCP_FLAG_SYN | TCP_FLAG_ACK },
							  { false, TCP_FLAG_ACK },
							  { false, TCP_FLAG_PSH | TCP_FLAG_ACK },
							  { true, TCP_FLAG_ACK },
							  { true, TCP_FLAG_FIN | TCP_FLAG_ACK },
							  { false, TCP_FLAG_ACK },
							  { false, TCP_FLAG_FIN | TCP_FLAG_ACK },
							  { true, TCP_FLAG_ACK },
							  { false, TCP_FLAG_SYN },
						  },
						  {
							  /* cut short, and again */
							  { true, TCP_FLAG_SYN | TCP_FLAG_ACK },
							  { false, TCP_FLAG_RST },
							  { false, TCP_FLAG_SYN },
							  { true, TCP_FLAG_SYN | TCP_FLAG_ACK },
							  { false, TCP_FLAG_ACK },
							  { true, TCP_FLAG_RST | TCP_FLAG_ACK },
							  { false, TCP_FLAG_SYN },
							  { true, TCP_FLAG_SYN | TCP_FLAG_ACK },
							  { true, TCP_FLAG_PSH | TCP_FLAG_ACK },
						  } };

static const uint8_t tcp_odd[] = {
	TCP_FLAG_SYN,
	TCP_FLAG_SYN | TCP_FLAG_ACK,
	TCP_FLAG_ACK,
	TCP_FLAG_RST,
	TCP_FLAG_RST | TCP_FLAG_ACK,
	TCP_FLAG_FIN | TCP_FLAG_ACK,
	TCP_FLAG_FIN,
	TCP_FLAG_SYN | TCP_FLAG_FIN,
	0,
	TCP_FLAG_PSH | TCP_FLAG_ACK,
};

/* Of an association that nobody knows. */
static const char *const sctp_odd[] = { "data",	    "sack",	"cookie-ack", "cookie-echo",
					"init-ack", "shutdown", "abort",      "shutdown-complete" };

static const struct sctp_step {
	bool reply;
	const char *chunk;
} sctp_script[] = {
	{ true, "init-ack" }, { false, "cookie-echo" }, { true, "cookie-ack" },	  { false, "data" },
	{ true, "sack" },     { false, "shutdown" },	{ true, "shutdown-ack" }, { false, "shutdown-complete" },
	{ false, "init" },
};

/* A path that is probed: the server knows no tag before it answers. An INIT leads to the script above. */
static const struct sctp_step sctp_probe_script[2][9] = {
	{ { true, "data" },
	  { true, "heartbeat" },
	  { true, "heartbeat-ack" },
	  { false, "data" },
	  { true, "sack" },
	  { false, "shutdown" },
	  { true, "shutdown-ack" },
	  { false, "shutdown-complete" },
	  { false, "init" } },
	{ { false, "heartbeat" },
	  { true, "init-ack" },
	  { false, "init" },
	  { false, "init" },
	  { false, "init" },
	  { false, "init" },
	  { false, "init" },
	  { false, "init" },
	  { false, "init" } },
};

static struct tcp_step odd_segment(struct packets *p)
{
	return (struct tcp_step){ gen_chance(p->g, 50), tcp_odd[gen_below(p->g, ARRAY_LEN(tcp_odd))] };
}

static void next_tcp(struct packets *p, struct packets_flow *f, struct trace_packet *ret)
{
	struct tcp_step s = tcp_script[f->orig.sport % 2][f->step % ARRAY_LEN(tcp_script[0])];
	struct l4_tuple t;

	if (gen_chance(p->g, 18))
		s = odd_segment(p);
	else if (!f->step && gen_chance(p->g, 8))
		s = (struct tcp_step){ gen_chance(p->g, 50), TCP_FLAG_RST | TCP_FLAG_ACK }; /* refused, or given up */
	else
		f->step++;
	t = s.reply ? f->reply : f->orig;
	build_tcp(p, &t, s.flags, ret);
}

static void next_sctp(struct packets *p, struct packets_flow *f, struct trace_packet *ret)
{
	struct sctp_step s = sctp_script[f->step % ARRAY_LEN(sctp_script)];
	struct l4_tuple t;
	bool abort = gen_chance(p->g, 10);

	if (f->opened_by == CHUNK_HEARTBEAT) {
		s = sctp_probe_script[f->orig.sport % 2][f->step % ARRAY_LEN(sctp_probe_script[0])];
		abort = abort && f->step > 2; /* both have a tag by now */
	} else if (f->opened_by != CHUNK_INIT) {
		/* Once more, and then an INIT. */
		s = (struct sctp_step){ false, f->step				  ? "init" :
					       f->opened_by == CHUNK_SHUTDOWN_ACK ? "shutdown-ack" :
										    "heartbeat-ack" };
		abort = false;
	}
	/* Who timed out begins anew. Only an INIT does so: other chunks carry a tag that nobody knows any more. */
	if (p->revisit && f->step == 1)
		s = (struct sctp_step){ false, "init" };
	else if (abort)
		s = (struct sctp_step){ !f->step || gen_chance(p->g, 50),
					"abort" }; /* who was not answered knows no tag to put in */
	else
		f->step++;
	t = s.reply ? f->reply : f->orig;
	build_sctp(p, &t, s.reply, s.chunk, ret);
}

static bool make_next(struct packets *p, struct trace_packet *ret)
{
	struct packets_flow *f = pick_flow(p);
	struct l4_tuple t;

	if (!f)
		return false;
	if (f->orig.proto == IPPROTO_TCP) {
		next_tcp(p, f, ret);
	} else if (f->orig.proto == IPPROTO_SCTP) {
		next_sctp(p, f, ret);
	} else {
		t = gen_chance(p->g, 50) ? f->reply : f->orig;
		build_udp(p, &t, ret);
	}
	return true;
}

static bool make_unknown_port(struct packets *p, struct trace_packet *ret)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };
	struct l4_tuple t;

	if (!pick_service_tuple(p, &t))
		return false;
	if (gen_chance(p->g, 50))
		t.proto = protos[gen_below(p->g, ARRAY_LEN(protos))]; /* may well be one that it has */
	else
		t.dport = (uint16_t)(1000 + gen_below(p->g, 3));
	build_first(p, &t, ret);
	return true;
}

static bool make_no_ports(struct packets *p, struct trace_packet *ret)
{
	struct l4_tuple t;
	struct pkt pkt;

	if (!pick_service_tuple(p, &t))
		return false;
	t.sport = t.dport = 0;
	t.proto = t.dst.fam == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	pkt = blank(&t);
	pkt.icmp_type = t.dst.fam == AF_INET6 ? 128 : 8;
	if (gen_chance(p->g, 25))
		pkt.icmp_type = t.dst.fam == AF_INET6 ? 129 : 0; /* an answer that nobody asked for */
	pkt.icmp_rest = 1u << 16 | p->next_sport++;
	build(p, &pkt, ret);
	return true;
}

/* What else begins an association than an INIT, from a port that nobody used: old tags do not matter then. */
static bool make_probe(struct packets *p, struct trace_packet *ret)
{
	static const char *const chunks[] = { "heartbeat", "heartbeat", "heartbeat-ack", "shutdown-ack" };
	struct l4_tuple t;

	if (!pick_service_tuple(p, &t) || t.proto != IPPROTO_SCTP)
		return false;
	t.sport = p->next_sport++;
	build_sctp(p, &t, false, chunks[gen_below(p->g, ARRAY_LEN(chunks))], ret);
	return true;
}

/* Opens nothing. */
static bool make_middle(struct packets *p, struct trace_packet *ret)
{
	struct l4_tuple t;

	if (!pick_service_tuple(p, &t))
		return false;
	t.sport = p->next_sport++;
	if (t.proto == IPPROTO_UDP || gen_chance(p->g, 20)) {
		build_first(p, &t, ret);
		if (ret->origin == TRACE_FROM_NODE)
			return false; /* its checksums are made right by the kernel, not by the sender */
		ret->buf[ret->size - 1] ^= 0x10; /* a checksum is wrong */
	} else if (t.proto == IPPROTO_TCP) {
		build_tcp(p, &t, tcp_odd[gen_below(p->g, ARRAY_LEN(tcp_odd))], ret);
	} else {
		build_sctp(p, &t, false, sctp_odd[gen_below(p->g, ARRAY_LEN(sctp_odd))], ret);
	}
	return true;
}

static bool make_plain(struct packets *p, struct trace_packet *ret)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };
	uint8_t fam = p->g->v6 && gen_chance(p->g, 50) ? AF_INET6 : AF_INET;
	uint32_t k = gen_below(p->g, 4);
	const struct pod *pod = k < 2 ? gen_pick_pod(p->g, k == 0, fam) : NULL;
	struct l4_tuple t = {
		.src = pick_client(p, fam),
		.sport = pick_sport(p),
		.dport = (uint16_t)(8080 + gen_below(p->g, 2)),
		.proto = protos[gen_below(p->g, ARRAY_LEN(protos))],
	};

	if (pod)
		t.dst = pod->addr[fam == AF_INET6 ? IP_V6 : IP_V4];
	else
		t.dst = k == 2 ? gen_unused_service_addr(fam) : gen_outside_addr(gen_below(p->g, 4), fam);
	if (ip_addr_eq(&t.src, &t.dst))
		return false;
	build_first(p, &t, ret);
	return true;
}

/* Straight to the backend of a connection, from its client's port: to the backend both would look alike. */
static bool make_clash(struct packets *p, struct trace_packet *ret)
{
	struct packets_flow *f = pick_flow(p);
	struct l4_tuple t;

	p->follows = -1;
	if (!f || !f->translated || !ip_addr_eq(&f->reply.dst, &f->orig.src))
		return false;
	t = inverse(&f->reply);
	build_first(p, &t, ret);
	return true;
}

static void random_error_type(struct packets *p, bool v6, uint8_t *ret_type, uint8_t *ret_code, uint32_t *ret_rest)
{
	static const uint8_t v4_kinds[][2] = { { 3, 1 }, { 3, 3 }, { 3, 4 }, { 11, 0 } };
	static const uint8_t v6_kinds[][2] = { { 1, 0 }, { 1, 4 }, { 2, 0 }, { 3, 0 } };
	uint32_t i = gen_below(p->g, 4);

	*ret_type = v6 ? v6_kinds[i][0] : v4_kinds[i][0];
	*ret_code = v6 ? v6_kinds[i][1] : v4_kinds[i][1];
	*ret_rest = *ret_type == 3 || *ret_type == 2 ? 1400 : 0; /* MTU, where it is one */
}

/* Some flow; one that no Service has to do with more often than there are such. */
static const struct packets_flow *pick_flow_of_error(struct packets *p)
{
	bool plain = gen_chance(p->g, 25);
	const struct packets_flow *f = pick_flow(p);

	for (unsigned int tries = 0; tries < 8 && f && plain && f->translated; tries++)
		f = pick_flow(p);
	return f;
}

/* From one of the ends of a connection, or a router on the way, about a packet to it. */
static bool make_error(struct packets *p, struct trace_packet *ret)
{
	const struct packets_flow *f = gen_chance(p->g, 88) ? pick_flow_of_error(p) : NULL;
	bool to_backend = gen_chance(p->g, 70), router = gen_chance(p->g, 40);
	struct trace_packet quoted;
	struct ip_addr from;
	uint8_t type, code;
	uint32_t rest;
	struct l4_tuple t;
	size_t size = sizeof(ret->buf);

	if (f)
		t = inverse(to_backend ? &f->reply : &f->orig);
	else if (!pick_service_tuple(p, &t))
		return false;
	if (t.proto == IPPROTO_TCP)
		build_tcp(p, &t, TCP_FLAG_SYN, &quoted);
	else if (t.proto == IPPROTO_UDP)
		build_udp(p, &t, &quoted);
	else
		build_sctp(p, &t, false, "init", &quoted);
	from = router ? gen_outside_addr(3, t.dst.fam) : t.dst;
	random_error_type(p, t.dst.fam == AF_INET6, &type, &code, &rest);
	if (pkt_build_icmp_error(&from, type, code, rest, quoted.buf, quoted.size, ret->buf, &size) < 0)
		return false;
	ret->size = size;
	trace_packet_fix_id(ret);
	set_origin(p, ret, &from);
	p->follows = -1;
	return true;
}

/* Only what a router drops whatever it is for, and that no process can send. */
static bool make_malformed(struct packets *p, struct trace_packet *ret)
{
	bool v6;

	if (!make_new(p, ret) || ret->origin == TRACE_FROM_NODE)
		return false;
	v6 = ret->buf[0] >> 4 == 6;
	switch (gen_below(p->g, 4)) {
	case 0:
		ret->buf[v6 ? 5 : 3] += 4; /* longer than it is */
		break;
	case 1:
		ret->buf[0] = v6 ? 0x70 : 0x55;
		break;
	case 2:
		ret->size = v6 ? 24 : 16;
		break;
	default:
		if (v6)
			return false;
		ret->buf[10] ^= 1; /* header checksum */
		break;
	}
	return true;
}

/* The first of two fragments; the other never comes. */
static bool make_fragment(struct packets *p, struct trace_packet *ret)
{
	uint32_t sum = 0;

	if (!make_new(p, ret) || ret->buf[0] >> 4 != 4 || ret->buf[9] != IPPROTO_UDP || ret->size < 40)
		return false;
	ret->size -= (ret->size - 20) % 8; /* all but the last are of whole units */
	ret->buf[3] = (uint8_t)ret->size;
	ret->buf[4] = (uint8_t)(p->next_sport >> 8);
	ret->buf[5] = (uint8_t)p->next_sport++;
	ret->buf[6] = 0x20; /* more fragments */
	ret->buf[10] = ret->buf[11] = 0;
	sum = csum_fold(csum_partial(ret->buf, 20, 0));
	ret->buf[10] = (uint8_t)(sum >> 8);
	ret->buf[11] = (uint8_t)sum;
	return true;
}

static bool tuple_eq(const struct l4_tuple *a, const struct l4_tuple *b)
{
	return a->proto == b->proto && a->sport == b->sport && a->dport == b->dport && ip_addr_eq(&a->src, &b->src) &&
	       ip_addr_eq(&a->dst, &b->dst);
}

static bool has_clashed(const struct packets *p, const struct trace_packet *packet)
{
	struct l4_tuple back;
	struct pkt pkt;

	if (pkt_parse(packet->buf, packet->size, &pkt) < 0)
		return false;
	back = inverse(&pkt.t);
	for (uint32_t i = 0; i < MIN(p->n_clashed, (uint32_t)PACKETS_FLOWS_MAX); i++)
		if (tuple_eq(&p->clashed[i], &pkt.t) || tuple_eq(&p->clashed[i], &back))
			return true;
	return false;
}

static const struct kind {
	unsigned int weight;
	bool (*make)(struct packets *p, struct trace_packet *ret);
} kinds[] = {
	{ 31, make_new },     { 33, make_next },     { 2, make_clash },	   { 5, make_unknown_port },
	{ 3, make_no_ports }, { 2, make_probe },     { 5, make_middle },   { 5, make_plain },
	{ 9, make_error },    { 2, make_malformed }, { 3, make_fragment },
};

void packets_next(struct packets *p, struct trace_packet *ret)
{
	struct packets before = *p;

	for (;; *p = before) {
		uint32_t k = gen_below(p->g, 100);
		size_t i = 0;

		while (k >= kinds[i].weight)
			k -= kinds[i++].weight;
		p->follows = -1;
		memset(ret, 0, sizeof(*ret));
		if (kinds[i].make(p, ret) && !has_clashed(p, ret))
			return;
	}
}

/* SCTP; 0 (DATA) is none that matters here. */
static uint8_t first_chunk(const struct pkt *pkt)
{
	return pkt->t.proto == IPPROTO_SCTP && pkt->payload_size ? pkt->payload[0] : 0;
}

void packets_learn(struct packets *p, const struct trace_packet *packet, const struct trace_result *r)
{
	struct packets_flow *f;
	struct pkt pkt;
	bool plain;

	if (pkt_parse(packet->buf, packet->size, &pkt) < 0 || pkt.has_inner || !pkt.t.sport)
		return;
	if (!r->has_out)
		return;
	if (r->verdict == VERDICT_PASS && r->out.sport != pkt.t.sport)
		p->clashed[p->n_clashed++ % PACKETS_FLOWS_MAX] = pkt.t;
	/* Begun anew, with another backend perhaps. */
	for (uint32_t i = 0; i < p->n_flows && r->verdict == VERDICT_TRANSLATE; i++) {
		if (tuple_eq(&p->flows[i].orig, &pkt.t)) {
			struct l4_tuple reply = inverse(&r->out);
			bool anew = r->reason == REASON_CHOSEN || r->reason == REASON_AFFINITY;

			/* Begun anew: the script goes on behind its SYN, or begins again. */
			if (anew && p->follows != (int)i)
				p->flows[i].step = 0;
			/* Every INIT is answered, and so is whatever else begins an association. */
			if (first_chunk(&pkt) == CHUNK_INIT || (first_chunk(&pkt) && anew)) {
				p->flows[i].step = 0;
				p->flows[i].opened_by = first_chunk(&pkt);
			}
			p->flows[i].reply = reply;
			return;
		}
	}
	plain = r->verdict == VERDICT_PASS && r->reason == REASON_NOT_SERVICE && p->follows < 0 &&
		r->out.sport == pkt.t.sport && gen_chance(p->g, 30);
	if (!plain && r->reason != REASON_CHOSEN && r->reason != REASON_AFFINITY)
		return;
	f = &p->flows[p->next_flow];
	*f = (struct packets_flow){
		.orig = pkt.t, .reply = inverse(&r->out), .translated = !plain, .opened_by = first_chunk(&pkt)
	};
	p->next_flow = (p->next_flow + 1) % PACKETS_FLOWS_MAX;
	p->n_flows = MAX(p->n_flows, p->next_flow);
	if (p->next_flow == 0)
		p->n_flows = PACKETS_FLOWS_MAX;
}
