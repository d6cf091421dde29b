/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules: what must happen to a packet on a node. Called by sim.c. The reference is kube-proxy
 * in nftables mode (pkg/proxy/nftables/proxier.go) on Linux netfilter; SEMANTICS =
 * docs/semantics.md.
 *
 *  1. What is no well-formed packet is dropped. Netfilter collects fragments before it looks at
 *     them (nf_defrag), so the caller gives whole packets; a fragment for which nobody has the rest
 *     goes nowhere: dropped.
 *  2. An ICMP error that quotes a packet of a known connection is translated like that connection,
 *     in the direction opposite to the quoted packet: outer addresses and quoted packet, with all
 *     checksums (SEMANTICS 1.9 B6; nf_nat_icmp_reply_translation). From the backend's side, the
 *     error comes from the Service's address, whoever sent it; from the client's side, from the address
 *     that the backend knows, if address or port of the client were changed. About a connection that is not
 *     translated: it passes. About nothing known: not new (rule 5).
 *  3. A packet of a known connection goes the way of its first packet, in both directions, whatever
 *     the model says by now: decisions apply to new connections only (1.4 "ct state new"). A packet
 *     that does not fit the state of its connection is not translated (conntrack INVALID). A SYN
 *     after the end, or any packet after the timeout, is a new connection; the old one is forgotten
 *     first, whatever becomes of the new. An ICMP request and what has its addresses, type and id are one
 *     connection, which is never translated: who pinged an address before it was a Service's goes on (conntrack).
 *  4. Otherwise the destination decides: what is not the ClusterIP of a Service that is carried
 *     passes. Services that target_check_service() refuses are not in force (internalTrafficPolicy:
 *     Local so far). Only the address and the packet are looked at, never where the packet came
 *     from.
 *  5. To a ClusterIP, a packet that opens no connection passes untouched: conntrack says INVALID,
 *     and no rule of kube-proxy matches that (all are "ct state new"). Opens: TCP SYN, and plain
 *     ACK (tcp_loose = 1: taken up); any UDP; SCTP INIT, HEARTBEAT and its ACK, SHUTDOWN ACK; ICMP
 *     requests. Does not: SYN+ACK, FIN, RST, other TCP flags; SCTP chunks whose tag nobody knows
 *     (COOKIE ECHO, DATA, ABORT, ...); a wrong checksum (nf_conntrack_checksum = 1).
 *  6. To a port (or protocol) that the Service does not have: rejected, ICMP requests as well (1.4;
 *     chain cluster-ips-check).
 *  7. To a port without a usable endpoint for this node: rejected (1.4; map no-endpoint-services).
 *     Rejected means: TCP is reset from the Service's address (RFC 9293 3.10.7.1), all else gets ICMP
 *     port unreachable, 3/3 or ICMPv6 1/4, from the node's address. (kube-proxy sends that to TCP too;
 *     see README.)
 *  8. Otherwise any of the endpoints of SEMANTICS 1.3 may be chosen. All are alike ("numgen
 *     random").
 *  9. With session affinity the backend that this client had on this Service port, by whichever
 *     address, is kept if its time is not over and it is among those of rule 8; else the fresh
 *     choice is remembered. Each new connection starts the time anew (1.5).
 * 10. The client's address becomes the node's, and the port any free one, when the backend is the
 *     client itself (hairpin), or the client's address is not in the node's pod CIDR (1.4). A node
 *     without a pod CIDR cannot tell and does only the former, as kube-proxy without a local
 *     traffic detector. A client from elsewhere keeps its address towards a backend on the node's own
 *     address, such as an API server: what is delivered here does not pass the postrouting hook.
 * 11. Two connections must not look alike to the backend: when the answer tuple is taken, the
 *     source port becomes any free one, the source address stays (1.9 B5; nf_nat null binding).
 * 12. New model: connections live on, TCP, SCTP and UDP. UDP entries, translated or not, whose
 *     original destination is a port of a Service, and whose backend does not serve it any more, are
 *     forgotten, also when nobody serves or the port or the Service has gone (1.6). Affinity is
 *     forgotten with the Service port or with its affinity, and when the Service is not carried any
 *     more (rule 4); a remembered backend that goes and comes back in time is kept (rule 9).
 */
#include <errno.h>

#include "internal.h"
#include "base/util.h"

#define SNAT_PORT_MIN 1024

uint32_t sim_check(const struct service *svc, struct refusal_list *refusals)
{
	uint32_t understood = 1u << SERVICE_FEATURE_AFFINITY | 1u << SERVICE_FEATURE_TOPOLOGY |
			      1u << SERVICE_FEATURE_SCTP;

	return target_check_service(svc, 1u << SERVICE_FACET_CLUSTER_IP, understood, refusals);
}

/* A new connection in the making. */
struct fresh {
	struct sim *sim;
	const struct sim_in *in;
	const struct l4_tuple *t;
	const struct sim_observed *observed; /* never NULL */
	struct sim_result *ret;
	struct sim_wire *wire;
	struct conn *over; /* entry with this tuple that gives way, or NULL */
	struct conn conn;
	uint64_t now_ns;
};

/* Always 0, so that callers can end with it. */
static int conclude(struct sim *sim, struct sim_result *ret, enum reason reason)
{
	ret->reason = reason;
	ret->verdict = reason_verdict(reason);
	sim->reason[reason]++;
	return 0;
}

bool is_carried(const struct service *svc)
{
	return sim_check(svc, NULL) & (1u << SERVICE_FACET_CLUSTER_IP);
}

static const struct service *carried_service(const struct snapshot *s, const struct ip_addr *dst)
{
	const struct service *svc = snapshot_service_by_ip(s, dst);

	return svc && is_carried(svc) ? svc : NULL;
}

/* ---- rule 2 ---- */

static int decide_error(struct sim *sim, const struct sim_in *in, struct sim_result *ret, struct sim_wire *wire)
{
	const struct l4_tuple *t = &in->p->t;
	struct l4_tuple quoted_reply = tuple_inverse(&in->p->inner);
	enum dir dir;
	struct conn *c = conn_find(&sim->conns, &quoted_reply, &dir);

	/* The error must go to where the answer of the quoted packet's connection goes. */
	if (!c || clock_now_ns(sim->clock) >= c->track.expires_ns || !ip_addr_eq(&t->dst, &quoted_reply.dst)) {
		hit(sim, BRANCH_R2_ERROR_UNKNOWN);
		ret->service = carried_service(sim->snapshot, &t->dst);
		return conclude(sim, ret, ret->service ? REASON_NOT_NEW : REASON_NOT_SERVICE);
	}
	if (!c->translated) {
		hit(sim, BRANCH_R2_ERROR_PLAIN);
		return conclude(sim, ret, REASON_NOT_SERVICE);
	}
	ret->service = snapshot_service_by_ip(sim->snapshot, &c->orig.dst);
	ret->backend = (struct sim_backend){ c->reply.src, c->reply.sport };
	ret->snat = !ip_addr_eq(&c->reply.dst, &c->orig.src);
	if (dir == DIR_REPLY) {
		hit(sim, BRANCH_R2_ERROR_REPLY);
		ret->out.src = c->orig.dst;
		ret->out.dst = c->orig.src;
	} else {
		hit(sim, BRANCH_R2_ERROR_ORIGINAL);
		ret->out.dst = c->reply.src;
		if (ret->snat || c->reply.dport != c->orig.sport)
			ret->out.src = c->reply.dst;
	}
	wire->out = ret->out;
	wire->quoted = dir == DIR_REPLY ? c->orig : c->reply;
	return conclude(sim, ret, REASON_ICMP_RELATED);
}

/* ---- rule 3 ---- */

/* A packet of connection c. */
static void decide_member(struct sim *sim, const struct conn *c, enum dir dir, bool is_invalid, struct sim_result *ret)
{
	if (!c->translated) {
		hit(sim, BRANCH_R3_PLAIN);
		conclude(sim, ret, REASON_NOT_SERVICE);
		return;
	}
	ret->service = snapshot_service_by_ip(sim->snapshot, &c->orig.dst);
	ret->port = ret->service ? service_find_port(ret->service, c->orig.proto, c->orig.dport) : NULL;
	if (is_invalid) {
		hit(sim, BRANCH_R3_INVALID);
		conclude(sim, ret, REASON_NOT_NEW);
		return;
	}
	hit(sim, dir == DIR_ORIGINAL ? BRANCH_R3_ORIGINAL : BRANCH_R3_REPLY);
	ret->backend = (struct sim_backend){ c->reply.src, c->reply.sport };
	ret->snat = !ip_addr_eq(&c->reply.dst, &c->orig.src);
	ret->hairpin = ip_addr_eq(&c->reply.src, &c->orig.src);
	ret->out = tuple_inverse(dir == DIR_ORIGINAL ? &c->reply : &c->orig);
	conclude(sim, ret, dir == DIR_ORIGINAL ? REASON_ESTABLISHED : REASON_REPLY);
}

/* 1 = decided. 0 = the entry is over (*ret_over): go on as for a new connection. */
static int decide_known(struct sim *sim, const struct sim_in *in, struct sim_result *ret, struct sim_wire *wire,
			struct conn **ret_over)
{
	uint64_t now_ns = clock_now_ns(sim->clock);
	enum track_verdict verdict;
	enum dir dir;
	struct l4_tuple t = in->p->t, opposite;
	struct conn *c = NULL;

	if (in->has_ports || track_query(in->p, &t, &opposite))
		c = conn_find(&sim->conns, &t, &dir);
	if (!c)
		return 0;
	if (now_ns >= c->track.expires_ns) {
		hit(sim, BRANCH_R3_EXPIRED);
		*ret_over = c;
		return 0;
	}
	verdict = track_packet(&c->track, dir, in->p, now_ns);
	if (verdict == TRACK_REOPEN) {
		hit(sim, BRANCH_R3_REOPEN);
		*ret_over = c;
		return 0;
	}
	decide_member(sim, c, dir, verdict == TRACK_INVALID, ret);
	wire->out = ret->out;
	if (verdict == TRACK_LAST) {
		hit(sim, BRANCH_R3_RESET);
		conn_del(&sim->conns, c);
	}
	return 1;
}

/* ---- rules 4 and 5 ---- */

static bool is_icmp(const struct pkt *p)
{
	return p->t.proto == IPPROTO_ICMP || p->t.proto == IPPROTO_ICMPV6;
}

static bool opens(struct fresh *f)
{
	if (f->in->damaged)
		return false;
	if (!f->in->has_ports && !is_icmp(f->in->p))
		return true; /* other protocols: any packet (nf_conntrack_proto_generic) */
	return track_opens(f->in->p, f->now_ns, &f->conn.track);
}

/* The owner of this tuple among those that stand in the way of a new connection. */
static struct conn *owner(const struct fresh *f, const struct l4_tuple *tuple)
{
	enum dir dir;
	struct conn *c = conn_find(&f->sim->conns, tuple, &dir);

	return c && c != f->over && f->now_ns < c->track.expires_ns ? c : NULL;
}

/* Puts f->conn into the table; what stood in its way has ended by now. */
static int commit(struct fresh *f)
{
	struct conn_table *conns = &f->sim->conns;
	enum dir dir;
	struct conn *c;

	while ((c = conn_find(conns, &f->conn.orig, &dir)) || (c = conn_find(conns, &f->conn.reply, &dir))) {
		if (c == f->over)
			f->over = NULL;
		conn_del(conns, c);
	}
	return conn_add(conns, &f->conn, f->now_ns);
}

/* Passes, and is known from now on: its answer tuple may collide with that of a later connection
 * (rule 11). */
static int pass_plain(struct fresh *f, bool remember)
{
	int r;

	if (remember) {
		f->conn.orig = *f->t;
		f->conn.reply = tuple_inverse(f->t);
		if (is_icmp(f->in->p))
			(void)track_query(f->in->p, &f->conn.orig, &f->conn.reply); /* true of what opens */
		if (owner(f, &f->conn.reply)) {
			hit(f->sim, BRANCH_R11_CLASH);
			f->ret->sport_free = true;
		} else {
			r = commit(f);
			if (r < 0)
				return r;
		}
	}
	return conclude(f->sim, f->ret, REASON_NOT_SERVICE);
}

/* ---- rules 6 and 7 ---- */

static int reject(struct fresh *f, enum sim_branch branch, enum reason reason)
{
	const struct ip_addr *node = &f->sim->node->addr[ip_addr_family(&f->t->dst)];
	bool v4 = f->t->dst.fam == AF_INET;
	struct sim_result *ret = f->ret;

	hit(f->sim, branch);
	ret->reject_rst = f->t->proto == IPPROTO_TCP;
	if (ret->reject_rst) {
		ret->out = tuple_inverse(f->t);
		return conclude(f->sim, ret, reason);
	}
	ret->reject_icmp_type = v4 ? 3 : 1;
	ret->reject_icmp_code = v4 ? 3 : 4;
	ret->out = (struct l4_tuple){
		.src = ip_addr_is_set(node) ? *node : f->t->dst,
		.dst = f->t->src,
		.proto = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
	};
	return conclude(f->sim, ret, reason);
}

/* ---- rules 8 and 9 ---- */

static bool is_allowed(const struct sim *sim, const struct sim_backend *b)
{
	for (size_t i = 0; i < sim->allowed.n; i++) {
		if (sim->allowed.v[i].port == b->port && ip_addr_eq(&sim->allowed.v[i].addr, &b->addr))
			return true;
	}
	return false;
}

/* True when the client's backend of before is kept; then it alone is allowed. */
static bool remembered(struct fresh *f)
{
	struct sim *sim = f->sim;
	struct affinity *a;

	if (!(f->ret->service->features & (1u << SERVICE_FEATURE_AFFINITY)))
		return false;
	a = affinity_find(&sim->affinity, f->ret->service, f->ret->port, &f->t->src);
	if (!a) {
		hit(sim, BRANCH_R9_FIRST);
	} else if (f->now_ns >= a->expires_ns) {
		hit(sim, BRANCH_R9_EXPIRED);
	} else if (!is_allowed(sim, &a->backend)) {
		hit(sim, BRANCH_R9_GONE);
	} else {
		hit(sim, BRANCH_R9_REMEMBERED);
		sim->allowed.v[0] = a->backend;
		sim->allowed.n = 1;
		return true;
	}
	return false;
}

static int pick_backend(struct fresh *f)
{
	struct sim_result *ret = f->ret;
	struct sim *sim = f->sim;
	int r = 0;

	ret->reason = remembered(f) ? REASON_AFFINITY : REASON_CHOSEN;
	ret->allowed = sim->allowed.v;
	ret->n_allowed = sim->allowed.n;
	if (f->observed->backend) {
		if (!is_allowed(sim, f->observed->backend))
			return -ESRCH;
		ret->backend = *f->observed->backend;
	} else if (ret->reason == REASON_AFFINITY) {
		ret->backend = sim->allowed.v[0];
	} else {
		r = choose_one(sim, ret->service, f->t, &ret->backend);
	}
	ret->hairpin = ip_addr_eq(&ret->backend.addr, &f->t->src);
	return r;
}

/* ---- rules 10 and 11 ---- */

/* From elsewhere to a backend on the node's own address: local input comes before postrouting. */
static bool is_delivered_here(const struct fresh *f)
{
	const struct ip_addr *node = &f->sim->node->addr[ip_addr_family(&f->t->src)];

	return ip_addr_eq(&f->ret->backend.addr, node) && !ip_addr_eq(&f->t->src, node);
}

static bool needs_masquerade(struct fresh *f)
{
	const struct ip_prefix *pods = &f->sim->node->pod_cidr[ip_addr_family(&f->t->src)];

	if (f->ret->hairpin) {
		hit(f->sim, BRANCH_R10_HAIRPIN);
		return true;
	}
	if (!ip_addr_is_set(&pods->addr) || ip_prefix_contains(pods, &f->t->src) || is_delivered_here(f)) {
		hit(f->sim, BRANCH_R10_KEPT);
		return false;
	}
	hit(f->sim, BRANCH_R10_FOREIGN);
	return true;
}

/* sim's own choice of a free port: the next one. Low ports stay low, as rpc of old wants
 * (nf_nat_l4proto_unique_tuple). */
static int free_port(struct fresh *f, struct l4_tuple *reply)
{
	uint32_t min = f->t->sport >= SNAT_PORT_MIN ? SNAT_PORT_MIN : f->t->sport >= 512 ? 600 : 1;
	uint32_t max = f->t->sport >= SNAT_PORT_MIN ? 65535 : f->t->sport >= 512 ? 1023 : 511;
	uint32_t n = max - min + 1;

	for (uint32_t i = 0; i < n; i++) {
		reply->dport = (uint16_t)(min + (f->t->sport + n - min + i) % n);
		if (!owner(f, reply))
			return 0;
	}
	return -ENOMEM; /* 64,511 connections to this backend: netfilter gives up too */
}

/* The answer tuple: from the backend, to the client or to the node in its place. */
static int pick_source(struct fresh *f)
{
	const struct ip_addr *node = &f->sim->node->addr[ip_addr_family(&f->t->src)];
	const uint16_t *observed = f->observed->sport;
	struct sim_result *ret = f->ret;
	struct l4_tuple reply = {
		.src = ret->backend.addr,
		.sport = ret->backend.port,
		.dst = f->t->src,
		.dport = f->t->sport,
		.proto = f->t->proto,
	};
	struct conn *c;

	if (needs_masquerade(f) && ip_addr_is_set(node)) {
		ret->sport_free = true;
		ret->snat = !ip_addr_eq(node, &f->t->src);
		reply.dst = *node;
	} else if (owner(f, &reply)) {
		hit(f->sim, BRANCH_R11_CLASH);
		ret->sport_free = true;
	}
	ret->out = tuple_inverse(&reply);
	if (observed) {
		if (*observed == 0 || (!ret->sport_free && *observed != f->t->sport))
			return -ESRCH;
		reply.dport = *observed;
		c = owner(f, &reply);
		if (c && !track_is_over(&c->track))
			return -ESRCH;
	} else if (ret->sport_free) {
		int r = free_port(f, &reply);

		if (r < 0)
			return r;
	}
	f->conn.orig = *f->t;
	f->conn.reply = reply;
	f->conn.translated = true;
	f->wire->out = tuple_inverse(&reply);
	return 0;
}

/* ---- a new connection ---- */

static int translate_new(struct fresh *f)
{
	struct sim_result *ret = f->ret;
	struct sim *sim = f->sim;
	int r = pick_backend(f);

	if (r == 0)
		r = pick_source(f);
	if (r == 0)
		r = commit(f);
	if (r == 0 && (ret->service->features & (1u << SERVICE_FEATURE_AFFINITY)))
		r = affinity_set(&sim->affinity, ret->service, ret->port, &f->t->src, &ret->backend, f->now_ns);
	if (r < 0)
		return r;
	return conclude(sim, ret, ret->reason);
}

static int decide_new(struct fresh *f)
{
	struct sim_result *ret = f->ret;
	struct sim *sim = f->sim;
	bool is_open = opens(f);
	int r;

	ret->service = carried_service(sim->snapshot, &f->t->dst);
	if (!ret->service) { /* 4 */
		bool refused = snapshot_service_by_ip(sim->snapshot, &f->t->dst);

		hit(sim, refused ? BRANCH_R4_NOT_CARRIED : BRANCH_R4_NO_SERVICE);
		return pass_plain(f, is_open && (f->in->has_ports || is_icmp(f->in->p)));
	}
	if (!is_open) { /* 5 */
		hit(sim, BRANCH_R5_NOT_NEW);
		return conclude(sim, ret, REASON_NOT_NEW);
	}
	if (!f->in->has_ports) /* 6 */
		return reject(f, BRANCH_R6_NO_PORTS, REASON_UNKNOWN_PORT);
	if (track_is_pickup(f->in->p))
		hit(sim, BRANCH_R5_PICKUP);
	ret->port = service_find_port(ret->service, f->t->proto, f->t->dport);
	if (!ret->port) /* 6 */
		return reject(f, BRANCH_R6_UNKNOWN_PORT, REASON_UNKNOWN_PORT);
	r = choose_allowed(sim, ret->port, ip_addr_family(&f->t->dst)); /* 8 */
	if (r < 0)
		return r;
	if (sim->allowed.n == 0) /* 7 */
		return reject(f, BRANCH_R7_NO_ENDPOINTS, REASON_NO_ENDPOINTS);
	return translate_new(f);
}

int decide(struct sim *sim, const struct sim_in *in, const struct sim_observed *observed, struct sim_result *ret,
	   struct sim_wire *wire)
{
	static const struct sim_observed nothing = {};
	struct fresh f = {
		.sim = sim,
		.in = in,
		.t = &in->p->t,
		.observed = observed ? observed : &nothing,
		.ret = ret,
		.wire = wire,
		.now_ns = clock_now_ns(sim->clock),
	};
	int r;

	ret->out = in->p->t;
	if (in->p->has_inner && !in->damaged)
		return decide_error(sim, in, ret, wire);
	if (!in->damaged && decide_known(sim, in, ret, wire, &f.over))
		return 0;
	r = decide_new(&f);
	if (r == 0 && f.over)
		conn_del(&sim->conns, f.over);
	return r;
}

/* ---- rule 12 ---- */

static const struct service_port *udp_port(const struct snapshot *s, const struct l4_tuple *orig)
{
	const struct service *svc = carried_service(s, &orig->dst);

	return svc ? service_find_port(svc, IPPROTO_UDP, orig->dport) : NULL;
}

static bool is_stale(const struct snapshot *from, const struct snapshot *to, const struct conn *c)
{
	const struct service_port *port;

	if (c->orig.proto != IPPROTO_UDP)
		return false;
	port = udp_port(to, &c->orig);
	if (port)
		return !service_port_serves(port, &c->reply.src, c->reply.sport);
	return udp_port(from, &c->orig);
}

int decide_update(struct sim *sim, const struct snapshot *s)
{
	const struct node *node = snapshot_node(s, sim->node_name);
	struct snapshot *from;
	struct conn *next;
	int n;

	if (!node)
		return -ENOENT;
	n = affinity_update(&sim->affinity, s);
	if (n < 0)
		return n;
	sim->branch[BRANCH_R12_AFFINITY_DROPPED] += (uint64_t)n;
	for (struct conn *c = sim->conns.head.next; c != &sim->conns.head; c = next) {
		next = c->next;
		if (is_stale(sim->snapshot, s, c)) {
			hit(sim, BRANCH_R12_UDP_STALE);
			conn_del(&sim->conns, c);
		} else if (c->translated) {
			hit(sim, BRANCH_R12_KEPT);
		}
	}
	from = sim->snapshot;
	sim->snapshot = snapshot_ref(s);
	sim->node = node;
	snapshot_unref(from);
	return 0;
}
