/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What bpf-sock has to do with one socket call, worked out from the model and from what the socket did before; and what it says that it did, by its
 * counters. Used by sockdiff.c when the strategy has bpf-sock as its first tier.
 */
#ifndef OFFKUBE_TESTS_DIFF_SOCKWAYS_H
#define OFFKUBE_TESTS_DIFF_SOCKWAYS_H

#include "bpf_pins.h"
#include "model/snapshot.h"
#include "net/pkt.h"
#include "target_sim/sim.h"

#define SW_PEERS_MAX 8 /* as BPF_PEERS_MAX */

enum sw_way {
	SW_BELOW, /* as without bpf-sock */
	SW_REFUSED, /* at the call */
	SW_LED, /* to a backend */
};

/* What one socket was led to, Service by Service: unconnected datagrams. */
struct sw_peer {
	struct ip_addr dst;
	uint16_t dport;
	enum reason left; /* NOT_SERVICE: not left */
	struct sim_backend backend; /* port 0: none */
};
struct sw_socket {
	unsigned int n_refs;
	size_t n_peers;
	struct sw_peer peers[SW_PEERS_MAX];
};

/* One call. Filled by the caller up to `sending`. */
struct sw_call {
	const struct snapshot *s;
	const struct node *node; /* whose cgroup the socket belongs to; NULL: none */
	const struct ip_addr *identity; /* the client's address as that node knows it; unset: not known */
	const struct ip_addr *bound; /* NULL: not bound */
	const struct l4_tuple *t;
	struct sw_socket *socket;
	bool sending; /* sendto(), else connect() */

	/* What is expected. CHOSEN stands for AFFINITY, too; and for LEFT_CLASH where that may be. */
	enum sw_way way;
	enum reason reason; /* NOT_SERVICE: nothing is counted */
	struct sw_peer *peer; /* of the socket, when sending */
	const struct service *service;
	const struct service_port *port;
	const struct endpoint *eligible[16];
	size_t n_eligible;
	uint64_t before[REASON_MAX];
};

void sw_expect(struct sw_call *c);
/* Reads the counters: call before and after the socket call. */
int sw_begin(struct sw_call *c, int metrics_fd);
/* 0: as expected; then way and reason say what was done. 1: not so, `why` tells. -errno. */
int sw_end(struct sw_call *c, int metrics_fd, char *why, size_t why_size);
/* A led call that another Service of the socket has made unusable. */
bool sw_clashes(const struct sw_call *c, const struct sim_backend *b);
/* The backend of the model's table, for a bound socket and for sticky clients; false when any will do. */
bool sw_maglev(const struct sw_call *c, struct sim_backend *ret);

#endif
