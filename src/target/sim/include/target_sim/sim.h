/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim: the reference interpreter of the model, in plain C without I/O. It says what must happen to
 * a packet, or to a connect() call, on one node. Everything else is compared with it, so it is
 * written for reading: one numbered rule of the semantics, one branch.
 *
 * It keeps what a node keeps: a connection table and the affinity memory, on an injected clock, so
 * that sequences of packets can be told. Where the model leaves a choice free (backend, masquerade
 * port) sim returns the set that is allowed; the caller may say what the tested target chose
 * (`observed`), and sim goes on from there. Without that, sim takes the model's own choice.
 */
#ifndef OFFKUBE_TARGET_SIM_SIM_H
#define OFFKUBE_TARGET_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"
#include "model/snapshot.h"
#include "model/vocab.h"
#include "net/pkt.h"

struct sim;

/* Holds a reference to the snapshot. `node` must be in it. */
int sim_new(const struct snapshot *s, const char *node, const struct clock *clock, struct sim **ret, struct err *e);
void sim_free(struct sim *sim); /* NULL is fine */
/* A new model: connections live on; UDP entries whose backend no longer serves are forgotten,
 * and their affinity by rule (SEMANTICS 1.5, 1.6). 0; -ENOENT when the node is not in it,
 * -ENOMEM: then nothing has changed. */
int sim_update(struct sim *sim, const struct snapshot *s);

/* Where a packet meets the node. The matrix of SEMANTICS 1.4 asks for nothing else. */
enum sim_origin {
	SIM_FROM_POD, /* from a pod of this node */
	SIM_FROM_NODE, /* from a process of the node itself */
	SIM_FROM_OUTSIDE, /* in by the uplink */
};

/* A backend as seen on the wire. */
struct sim_backend {
	struct ip_addr addr;
	uint16_t port;
};

struct sim_result {
	enum verdict verdict;
	enum reason reason;
	const struct service *service; /* that decided; NULL when none. Lives as long as the snapshot */
	const struct service_port *port;
	/* TRANSLATE of a new connection: which backends are allowed (owned by sim, valid until
	 * its next call), and the one taken. */
	const struct sim_backend *allowed;
	size_t n_allowed;
	struct sim_backend backend;
	/* The connection's packets reach the backend with another address than the client's own (the node's). In both
	 * directions, from the first packet on. False for a client on the node: its address is the node's already. */
	bool snat;
	/* The source port may be any free one: `out` holds the original. Always when rule 10
	 * masquerades, also the node's own clients; else when another connection has the same answer
	 * tuple (rule 11), then also for PASS. */
	bool sport_free;
	/* Addresses and ports as they leave; for PASS those of the packet; for REJECT those of the answer. */
	struct l4_tuple out;
	/* REJECT: a TCP segment is answered with a reset from the Service's address, all else with this ICMP error. */
	bool reject_rst;
	uint8_t reject_icmp_type, reject_icmp_code;
	bool hairpin; /* backend is the client itself */
};

/* What the tested target was seen to choose; NULL members = unknown. */
struct sim_observed {
	const struct sim_backend *backend;
	const uint16_t *sport; /* port after masquerade */
};

/*
 * One IP packet (from the IP header on). out_buf (may be NULL; *out_size in: room, out: bytes) gets
 * the rewritten packet, or for REJECT the answer that the client must see. 0, or -ENOSPC, -ENOMEM.
 * A packet that is not well-formed is verdict DROP, not an error. -ESRCH when `observed->backend`
 * is not in the allowed set, or `observed->sport` is taken, 0, or not free to choose: then *ret
 * tells the set, and the state and the counters are unchanged.
 *
 * Whole packets only: netfilter puts fragments together before it looks at them, and so must the
 * caller. A fragment by itself is what a node makes of one whose rest never comes: DROP, MALFORMED.
 * Sequence numbers, windows and SCTP verification tags (but of what opens an association) are not judged: the sender is taken to be
 * honest. Wrong L4 checksums are (but from the node itself, whose checksums the device makes): such
 * a packet belongs to no connection. A packet that passes is taken to leave the node: it makes an
 * entry, as conntrack does.
 */
int sim_packet(struct sim *sim, enum sim_origin origin, const uint8_t *buf, size_t size,
	       const struct sim_observed *observed, struct sim_result *ret, uint8_t *out_buf, size_t *out_size);

/* A new connection (TCP, SCTP) or first datagram of a socket: as the first packet of t would
 * fare. Same returns. An unset source address is the node's own. A tuple that is used again
 * after its connection ended needs sim_forget() first: sim saw no FIN. */
int sim_connect(struct sim *sim, enum sim_origin origin, const struct l4_tuple *t, const struct sim_observed *observed,
		struct sim_result *ret);

/* Connection over: forget its entry (both ends closed, or timed out). */
void sim_forget(struct sim *sim, const struct l4_tuple *original);

/* How often each verdict, reason and branch was taken. Branches are named in sim/branches.def,
 * after the rules of sim/decide.c. */
size_t sim_n_branches(void);
const char *sim_branch_name(size_t i);
uint64_t sim_branch_count(const struct sim *sim, size_t i);
uint64_t sim_reason_count(const struct sim *sim, enum reason r);
size_t sim_n_connections(const struct sim *sim);

#endif
