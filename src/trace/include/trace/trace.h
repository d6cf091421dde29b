/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trace: what happens to a packet on one node under one target, and why. Users (`offkube trace`), differential tests and bug reports go through here.
 *
 *	request or JSON line -> struct trace_packet -> struct trace_runner (sim, or a real program in scratch namespaces) -> struct trace_result -> text
 *
 * The two schemas (JSON lines in, JSON lines out) are documented in docs/trace.md and stable.
 *
 * A runner is one node under one target, with its connections and its affinity memory; packets are told to it in order. This room has the live
 * runner, which takes its target as an ops pointer. The runner over the reference interpreter is src/app/trace_sim.c: only app/ and
 * the registry name a concrete target.
 */
#ifndef OFFKUBE_TRACE_TRACE_H
#define OFFKUBE_TRACE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "model/snapshot.h"
#include "model/vocab.h"
#include "net/pkt.h"
#include "target/target.h"

/* ---- packets ---- */

/* Where a packet meets the node. */
enum trace_origin {
	TRACE_FROM_POD, /* from a pod of this node */
	TRACE_FROM_NODE, /* from a process of the node itself */
	TRACE_FROM_OUTSIDE, /* in by the uplink */
	TRACE_FROM_MAX,
};
extern const char *const trace_origin_name[TRACE_FROM_MAX]; /* "pod", "node", "outside" */

#define TRACE_PACKET_SIZE_MAX 1500 /* bytes from the IP header on: one Ethernet frame's worth */
#define TRACE_LINE_SIZE_MAX 65536 /* bytes of one JSON line */
#define TRACE_AFTER_MS_MAX 600000

struct trace_packet {
	enum trace_origin origin;
	uint32_t after_ms; /* time that passes before it */
	size_t size;
	uint8_t buf[TRACE_PACKET_SIZE_MAX]; /* from the IP header on */
};

/* Where a packet with this source meets `node`: from its pods, from itself, else from outside. */
enum trace_origin trace_origin_of(const struct snapshot *s, const struct node *node, const struct ip_addr *src);

/* The first packet of a connection: TCP SYN, a UDP datagram, SCTP INIT. -EINVAL for other protocols and mixed families. */
int trace_packet_first(enum trace_origin origin, const struct l4_tuple *t, struct trace_packet *ret);
/* Gives an IPv4 packet without an identification (0) one: a raw socket would, and the packet could not be compared. */
void trace_packet_fix_id(struct trace_packet *p);
/* The chunks (behind the common header) of an SCTP packet by name: "init", "init-ack", "cookie-echo", "cookie-ack", "data", "abort",
 * "shutdown"; *ret_size in: room, out: written. -EINVAL unknown, -ENOSPC. */
int trace_sctp_chunk(const char *name, uint8_t *buf, size_t *ret_size);
/* Verification tags: the client names its own in "init", the server in "init-ack"; packets carry that of the side that they go to. */
#define TRACE_SCTP_TAG_CLIENT 0x0ffb0001u
#define TRACE_SCTP_TAG_SERVER 0x0ffb0002u

/* One JSON line (no newline needed) into a packet. `node` decides the origin where the line has none. -EINVAL with the key in err->path. */
int trace_packet_parse_json(const char *line, size_t size, const struct snapshot *s, const struct node *node,
			    struct trace_packet *ret, struct err *e);
/* The same packet as a JSON line that parses to it, byte for byte (origin, raw, and a note for people). */
int trace_packet_print_json(const struct trace_packet *p, FILE *f);

/* ---- requests of the command line ---- */

struct trace_request {
	const char *
		from; /* POD[:PORT], IP[:PORT] or "node"; POD = [namespace/]name; IPv6 with a port in brackets. NULL = "node" */
	const char *to; /* IP:PORT or SERVICE[:PORT]; SERVICE = [namespace/]name, PORT a number or the port's name */
	const char *proto; /* "tcp", "udp", "sctp"; NULL = the Service port's, else tcp */
	const char *node; /* on which node; NULL = the one of `from`, else the first by name */
	uint32_t count; /* new connections, each from the next source port; 0 = 1 */
};

#define TRACE_COUNT_MAX 10000
#define TRACE_SPORT_DEFAULT 40000

/* A request with everything looked up. */
struct trace_flow {
	const struct node *node; /* the snapshot's */
	enum trace_origin origin;
	struct l4_tuple t; /* of the first connection */
	uint32_t count;
};

/* -EINVAL, -ENOENT (no such pod, Service, port, node) with a sentence that says what there is instead. */
int trace_request_resolve(const struct snapshot *s, const struct trace_request *req, struct trace_flow *ret,
			  struct err *e);
/* First packet of connection i < count. */
int trace_flow_packet(const struct trace_flow *f, uint32_t i, struct trace_packet *ret);

/* ---- results ---- */

struct trace_backend {
	struct ip_addr ip;
	uint16_t port;
};

struct trace_result {
	/* The target does not carry the Service that the packet is for: `why`. The verdict is what becomes of the packet all the same. */
	bool refused;
	enum refusal why;

	enum verdict verdict;
	enum reason reason;
	bool inferred; /* the reason was concluded from what was seen and from the connections so far, not told by the target */

	const struct service *service; /* that the packet (or its connection) is about; NULL when none. The snapshot's */
	const struct service_port *port;
	/* What the model allows for a new connection; the runner's, until its next call. A live runner knows no set: n = 0. */
	const struct trace_backend *allowed;
	size_t n_allowed;

	bool has_backend;
	struct trace_backend backend; /* of the connection that the packet belongs to */
	bool has_out; /* PASS and TRANSLATE: it left; out is how */
	struct l4_tuple out;
	bool snat; /* the connection's packets reach the backend with another address than the client's own */
	bool hairpin; /* the backend is the client */
	bool sport_free; /* the source port in `out` is one of many that are allowed (reference only) */
	uint8_t reject_icmp_type, reject_icmp_code; /* REJECT; both 0 and reject_rst: a TCP reset */
	bool reject_rst;
	int reject_errno; /* REJECT of a socket call: what the caller gets; else 0 */

	/* The bytes: as they leave, or for REJECT the answer. Size 0: none. */
	size_t out_size;
	uint8_t out_buf[TRACE_PACKET_SIZE_MAX];
	bool forwarded; /* out_buf was routed: its TTL is one less than when it came */
	char left_by[300]; /* live: "pod shop/cart-0", "uplink", "node"; else "" */
};

/* One line: {"target","verdict","reason","backend","out","snat"}, in this order. */
int trace_result_print_json(const char *target, const struct trace_result *r, FILE *f);
/* For people: packet, Service, backend out of which set, rewrite, reason. */
int trace_result_print(const char *target, const struct trace_packet *p, const struct trace_result *r, FILE *f);

/* ---- runners ---- */

struct trace_runner;

struct trace_runner_ops {
	/* One packet. 0 with *ret filled; -errno when the packet could not be run at all. */
	int (*run)(struct trace_runner *r, const struct trace_packet *p, struct trace_result *ret, struct err *e);
	/* A new model is in force when this returns. On failure the old one may be: close the runner. */
	int (*update)(struct trace_runner *r, const struct snapshot *s, struct err *e);
	void (*close)(struct trace_runner *r);
};

/* First member of each implementation. */
struct trace_runner {
	const struct trace_runner_ops *ops;
	const char *target; /* "sim", "nft": how results name it */
};

static inline int trace_run(struct trace_runner *r, const struct trace_packet *p, struct trace_result *ret,
			    struct err *e)
{
	return r->ops->run(r, p, ret, e);
}
static inline int trace_update(struct trace_runner *r, const struct snapshot *s, struct err *e)
{
	return r->ops->update(r, s, e);
}
static inline void trace_close(struct trace_runner *r)
{
	if (r)
		r->ops->close(r);
}

/*
 * The real program of a target, in scratch namespaces of its own (never on a live node): an unnamed node namespace with the node's addresses,
 * one veth for each pod of the node and one uplink, all peers in an unnamed outer namespace where packets are injected and captured byte by byte.
 * Needs CAP_NET_ADMIN and CAP_SYS_ADMIN: -EPERM. `ops` NULL = no target: a plain router (what strategy none is to packets).
 *
 * -EOPNOTSUPP when the target's probe says it is not usable here; *ret_why (may be NULL) is then its refusal.
 * The calling thread is bound to one CPU while a packet runs (see live.c for why), and put back after.
 */
int trace_live_open(const struct target_ops *ops, const struct snapshot *s, const char *node, struct trace_runner **ret,
		    enum refusal *ret_why, struct err *e);
/*
 * The same for a target that decides on socket calls (target_ops.at_sockets): the first packet of a TCP connection, or a datagram, of a pod of the node or of the
 * node itself becomes the connect() that makes it; the result's `out` is the packet that the socket sends instead. All other packets pass: no call makes them.
 * Needs CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN, and a cgroup v2 in which a folder "offkube.trace-PID" can be made
 * ("offkube.trace-PID-N" when there is one already).
 */
int trace_call_open(const struct target_ops *ops, const struct snapshot *s, const char *node, struct trace_runner **ret,
		    enum refusal *ret_why, struct err *e);

#endif
