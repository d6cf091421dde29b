/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random models for differential tests: two nodes, a few pods, Services in every state that the semantics tell apart, and random edits of
 * them. The same seed gives the same models. Used by random packets (test_random_packets.c) and by random sockets in a lab.
 */
#ifndef OFFKUBE_TESTS_DIFF_GEN_H
#define OFFKUBE_TESTS_DIFF_GEN_H

#include "base/rand.h"
#include "model/snapshot.h"
#include "net/pkt.h"

#define GEN_PODS_MAX 12
#define GEN_SERVICES_MAX 8
#define GEN_PORTS_MAX 3
#define GEN_ENDPOINTS_MAX 5
#define GEN_AFFINITY_MIN_S 2
#define GEN_AFFINITY_MAX_S 3

/* The node that tests look from, and the other one. */
#define GEN_NODE "node-a"
#define GEN_OTHER_NODE "node-b"

struct gen_conf {
	uint64_t seed;
	bool sctp; /* SCTP ports too */
	bool refused; /* Services that ask for what nobody carries */
	/* Every endpoint is a pod of the model with its own address, on a port that the pod declares: what sockets can be tried on. Else some are
	 * on the nodes' addresses or outside the cluster. */
	bool pods_only;
	bool cidrs; /* nodes have pod CIDRs in every model */
};

struct gen_pod {
	bool used;
	bool here; /* on GEN_NODE */
	uint32_t index; /* names and addresses come from it */
	bool v4, v6;
};

struct gen_endpoint {
	int pod; /* index in gen.pods, or one of GEN_EP_* */
	uint16_t port;
	bool ready, serving, terminating;
};
#define GEN_EP_NODE (-1) /* GEN_NODE's own address */
#define GEN_EP_OTHER_NODE (-2)
#define GEN_EP_OUTSIDE (-3)

enum gen_hints {
	GEN_HINTS_NONE,
	GEN_HINTS_NODES,
	GEN_HINTS_ZONES,
	GEN_HINTS_PARTIAL,
	GEN_HINTS_FOREIGN,
	GEN_HINTS_MAX
};

struct gen_port {
	uint8_t proto;
	uint16_t port;
	enum gen_hints hints;
	size_t n_endpoints;
	struct gen_endpoint endpoints[GEN_ENDPOINTS_MAX];
};

struct gen_service {
	bool used;
	uint32_t index;
	bool v4, v6;
	uint32_t affinity_s; /* 0 = none */
	bool internal_local, node_port, maglev;
	size_t n_ports;
	struct gen_port ports[GEN_PORTS_MAX];
};

struct gen {
	struct gen_conf conf;
	struct rng rng;
	bool v6; /* dual stack at all */
	bool cidrs; /* nodes have pod CIDRs */
	bool zones;
	uint32_t n_made; /* pods and Services so far: no address is ever used twice */
	struct gen_pod pods[GEN_PODS_MAX];
	struct gen_service services[GEN_SERVICES_MAX];
	struct snapshot *snapshot; /* the model now */
	uint32_t n_edits;
};

int gen_init(struct gen *g, const struct gen_conf *conf);
void gen_done(struct gen *g);
/* One to three random changes; g->snapshot is another then. The caller holds its own reference to the one before if it needs it. */
int gen_edit(struct gen *g);

/* True with probability percent / 100. */
bool gen_chance(struct gen *g, unsigned int percent);
uint32_t gen_below(struct gen *g, uint32_t n);

/* A random port of a random Service, in a family that the Service has. False when there is none. */
struct gen_target {
	const struct service *service; /* the snapshot's */
	const struct service_port *port;
	struct ip_addr ip;
};
bool gen_pick_target(struct gen *g, struct gen_target *ret);
/* A random pod of the node with an address of this family; NULL when none. `here`: on GEN_NODE. */
const struct pod *gen_pick_pod(struct gen *g, bool here, uint8_t fam);
/* One of a few addresses outside the cluster, by index. */
struct ip_addr gen_outside_addr(uint32_t i, uint8_t fam);
/* A ClusterIP that no Service has. */
struct ip_addr gen_unused_service_addr(uint8_t fam);

#endif
