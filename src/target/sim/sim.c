/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The public face of sim: packets and connect() calls in, results and bytes out. Called by
 * trace, by the packet table and by the differential tests. The rules are in decide.c. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "base/util.h"

static const struct {
	const char *name;
} branches[] = {
#define BRANCH(id, name, text) { name },
#include "branches.def"
#undef BRANCH
};
static_assert(ARRAY_LEN(branches) == BRANCH_MAX, "one name per branch");

int sim_new(const struct snapshot *s, const char *node, const struct clock *clock, struct sim **ret, struct err *e)
{
	const struct node *n = snapshot_node(s, node);
	struct sim *sim;

	if (!n)
		return err_set(e, -ENOENT, node, "no such node in the model");
	sim = calloc(1, sizeof(*sim));
	if (!sim)
		return err_set(e, -ENOMEM, NULL, "out of memory");
	sim->clock = clock;
	sim->snapshot = snapshot_ref(s);
	sim->node = n;
	sim->node_name = strdup(node);
	if (!sim->node_name || conn_table_init(&sim->conns) < 0 || affinity_init(&sim->affinity) < 0 ||
	    maglev_pool_new(&sim->pool) < 0) {
		sim_free(sim);
		return err_set(e, -ENOMEM, NULL, "out of memory");
	}
	*ret = sim;
	return 0;
}

void sim_free(struct sim *sim)
{
	if (!sim)
		return;
	conn_table_done(&sim->conns);
	affinity_done(&sim->affinity);
	maglev_pool_free(sim->pool);
	vec_free(&sim->allowed);
	vec_free(&sim->selected);
	vec_free(&sim->keys);
	snapshot_unref(sim->snapshot);
	free(sim->node_name);
	free(sim);
}

int sim_update(struct sim *sim, const struct snapshot *s)
{
	return decide_update(sim, s);
}

/* A call that fails counts nothing. */
static int decide_counted(struct sim *sim, const struct sim_in *in, const struct sim_observed *observed,
			  struct sim_result *ret, struct sim_wire *wire)
{
	uint64_t before[BRANCH_MAX];
	int r;

	memcpy(before, sim->branch, sizeof(before));
	r = decide(sim, in, observed, ret, wire);
	if (r < 0)
		memcpy(sim->branch, before, sizeof(before));
	return r;
}

/* Rule 1. The addresses are told as far as they could be read. */
static int drop(struct sim *sim, enum sim_branch branch, const struct pkt *p, struct sim_result *ret)
{
	hit(sim, branch);
	sim->reason[REASON_MALFORMED]++;
	ret->reason = REASON_MALFORMED;
	ret->verdict = reason_verdict(ret->reason);
	ret->out = p->t;
	return 0;
}

/* The answer of a closed port to this segment: RFC 9293 3.10.7.1. */
static int write_reset(const struct pkt *in, const struct sim_result *res, uint8_t *out_buf, size_t *out_size)
{
	struct pkt rst = { .t = res->out, .ttl = 64, .dont_fragment = true, .tcp_flags = TCP_FLAG_RST };

	if (in->tcp_flags & TCP_FLAG_ACK) {
		rst.tcp_seq = in->tcp_ack;
	} else {
		rst.tcp_flags |= TCP_FLAG_ACK;
		rst.tcp_ack = in->tcp_seq + (uint32_t)in->payload_size + !!(in->tcp_flags & TCP_FLAG_SYN) +
			      !!(in->tcp_flags & TCP_FLAG_FIN);
	}
	return pkt_build(&rst, out_buf, out_size);
}

/* The bytes that leave the node, or go back to the client. The room was checked, but for an
 * answer. */
static int write_out(const uint8_t *buf, size_t size, const struct pkt *in, const struct sim_result *res,
		     const struct sim_wire *wire, uint8_t *out_buf, size_t *out_size)
{
	if (res->verdict == VERDICT_DROP) {
		*out_size = 0;
		return 0;
	}
	if (res->reject_rst)
		return write_reset(in, res, out_buf, out_size);
	if (res->verdict == VERDICT_REJECT)
		return pkt_build_icmp_error(&res->out.src, res->reject_icmp_type, res->reject_icmp_code, 0, buf, size,
					    out_buf, out_size);
	memcpy(out_buf, buf, size);
	*out_size = size;
	if (res->reason == REASON_ICMP_RELATED)
		rewrite_error(out_buf, size, &wire->out.src, &wire->out.dst, &wire->quoted);
	else if (res->verdict == VERDICT_TRANSLATE)
		rewrite_packet(out_buf, size, &wire->out);
	return 0;
}

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

int sim_packet(struct sim *sim, enum sim_origin origin, const uint8_t *buf, size_t size,
	       const struct sim_observed *observed, struct sim_result *ret, uint8_t *out_buf, size_t *out_size)
{
	struct sim_wire wire = {};
	struct pkt p = {};
	struct sim_in in = { .p = &p };
	int r;

	memset(ret, 0, sizeof(*ret));
	if (out_buf && *out_size < size)
		return -ENOSPC;
	r = pkt_parse(buf, size, &p);
	if (r < 0 && r != -EPROTONOSUPPORT) {
		r = drop(sim, BRANCH_R1_MALFORMED, &p, ret);
	} else if (p.is_fragment) {
		r = drop(sim, BRANCH_R1_FRAGMENT, &p, ret);
	} else {
		in.has_ports = r == 0 && has_ports(p.t.proto);
		/* What the node itself sends has its checksums made later, by the device: nobody
		 * looks at them. */
		in.damaged = r == 0 && origin != SIM_FROM_NODE && !pkt_checksums_ok(buf, size);
		r = decide_counted(sim, &in, observed, ret, &wire);
	}
	if (r < 0 || !out_buf)
		return r;
	return write_out(buf, size, &p, ret, &wire, out_buf, out_size);
}

int sim_connect(struct sim *sim, enum sim_origin origin, const struct l4_tuple *t, const struct sim_observed *observed,
		struct sim_result *ret)
{
	/* An INIT chunk as far as it is looked at. */
	static const uint8_t init[20] = { 1, 0, 0, sizeof(init) };
	struct sim_wire wire = {};
	struct pkt p = { .t = *t };
	struct sim_in in = { .p = &p, .has_ports = has_ports(t->proto) };

	(void)origin; /* the rules look at addresses only */
	memset(ret, 0, sizeof(*ret));
	if (!ip_addr_is_set(&p.t.src))
		p.t.src = sim->node->addr[ip_addr_family(&t->dst)];
	switch (t->proto) {
	case IPPROTO_TCP:
		p.tcp_flags = TCP_FLAG_SYN;
		break;
	case IPPROTO_SCTP:
		p.payload = init;
		p.payload_size = sizeof(init);
		break;
	case IPPROTO_ICMP:
		p.icmp_type = 8;
		break;
	case IPPROTO_ICMPV6:
		p.icmp_type = 128;
		break;
	default:
		break;
	}
	return decide_counted(sim, &in, observed, ret, &wire);
}

void sim_forget(struct sim *sim, const struct l4_tuple *original)
{
	enum dir dir;
	struct conn *c = conn_find(&sim->conns, original, &dir);

	if (c && dir == DIR_ORIGINAL)
		conn_del(&sim->conns, c);
}

size_t sim_n_branches(void)
{
	return BRANCH_MAX;
}

const char *sim_branch_name(size_t i)
{
	return i < BRANCH_MAX ? branches[i].name : NULL;
}

uint64_t sim_branch_count(const struct sim *sim, size_t i)
{
	return i < BRANCH_MAX ? sim->branch[i] : 0;
}

uint64_t sim_reason_count(const struct sim *sim, enum reason r)
{
	return (size_t)r < REASON_MAX ? sim->reason[r] : 0;
}

size_t sim_n_connections(const struct sim *sim)
{
	uint64_t now_ns = clock_now_ns(sim->clock);
	size_t n = 0;

	for (const struct conn *c = sim->conns.head.next; c != &sim->conns.head; c = c->next)
		n += now_ns < c->track.expires_ns;
	return n;
}
