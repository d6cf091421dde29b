/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random models for sockets in a lab (test_random_sockets.c): nodes and pods stay as they are, Services come, change, go and come back under
 * the same address. The same seed gives the same models.
 */
#ifndef OFFKUBE_TESTS_DIFF_SOCKMODEL_H
#define OFFKUBE_TESTS_DIFF_SOCKMODEL_H

#include "base/rand.h"
#include "model/snapshot.h"

#define SM_NODES 2
#define SM_PODS 8 /* the first half on node 0 */
/* ClusterIPs, of one Service at most each. Two Services stay, in both families: one is always the same, as
 * "kubernetes" is in a cluster, one has affinity of a second. */
#define SM_SLOTS 8
#define SM_PLAIN 0
#define SM_STICKY 1
#define SM_STAYING_PORT 443 /* of both, TCP and UDP */
#define SM_PORTS_MAX 3
#define SM_ENDPOINTS_MAX 6
#define SM_POD_PORTS 2 /* per protocol; no two pods have a port in common, so that a wrong one is seen */

struct sm_endpoint {
	uint8_t pod; /* once in a port: the pod's name tells the endpoint */
	uint16_t port;
	bool ready, serving, terminating;
};

enum sm_hints { SM_HINTS_NONE, SM_HINTS_NODES, SM_HINTS_ZONES, SM_HINTS_PARTIAL, SM_HINTS_FOREIGN, SM_HINTS_MAX };

struct sm_port {
	uint8_t proto;
	uint16_t port;
	enum sm_hints hints;
	size_t n_endpoints;
	struct sm_endpoint endpoints[SM_ENDPOINTS_MAX];
};

struct sm_service {
	bool used;
	bool second_name; /* "svc-1b": another Service with the address of svc-1 */
	bool v4, v6;
	uint32_t affinity_s; /* 0 = none */
	bool internal_local, node_port, maglev;
	size_t n_ports;
	struct sm_port ports[SM_PORTS_MAX];
};

/* A port whose endpoints are about to leave. */
struct sm_leaving {
	bool used;
	unsigned int slot;
	uint8_t proto;
	uint16_t port;
};

struct sockmodel {
	struct rng rng;
	struct sm_service slots[SM_SLOTS];
	uint8_t n_rotated;
	struct sm_leaving leaving;
	struct snapshot *snapshot; /* the model now */
};

/* Nodes, pods, the two Services that stay. */
int sockmodel_init(struct sockmodel *m);
void sockmodel_done(struct sockmodel *m);
/* The next model, out of `seed` and the one before; `fresh`: of `seed` alone. m->snapshot is another then: who needs the one before holds a
 * reference to it. */
int sockmodel_next(struct sockmodel *m, uint64_t seed, bool fresh);
/* Picks m->leaving, a UDP port with several endpoints that are ready; none when there is no such port. */
void sockmodel_pick_leaving(struct sockmodel *m);
/* A few changes of endpoints and of what Services ask for. Of m->leaving all endpoints but one go, or serve no longer. */
int sockmodel_edit(struct sockmodel *m);
/* SM_STICKY gets another endpoint in place of one that goes. */
int sockmodel_rotate(struct sockmodel *m);

bool sockmodel_chance(struct sockmodel *m, unsigned int percent);
uint32_t sockmodel_below(struct sockmodel *m, uint32_t n);

const char *sm_node_name(unsigned int node);
struct ip_addr sm_node_addr(unsigned int node, enum ip_family fam);
const char *sm_pod_name(unsigned int pod); /* in namespace "pods" */
unsigned int sm_pod_node(unsigned int pod);
bool sm_pod_has(unsigned int pod, enum ip_family fam);
struct ip_addr sm_pod_addr(unsigned int pod, enum ip_family fam);
uint16_t sm_pod_port(unsigned int pod, uint8_t proto, unsigned int i); /* i < SM_POD_PORTS */
struct ip_addr sm_service_addr(unsigned int slot, enum ip_family fam);

#endif
