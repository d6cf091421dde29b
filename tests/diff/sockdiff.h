/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sockets in a lab against sim: what one question, from one client, must lead to. One sim for each node; the node that a client's packets meet
 * first decides, the backend's node must let them pass. Used by test_random_sockets.c.
 */
#ifndef OFFKUBE_TESTS_DIFF_SOCKDIFF_H
#define OFFKUBE_TESTS_DIFF_SOCKDIFF_H

#include "base/clock.h"
#include "base/str.h"
#include "base/vec.h"
#include "measure/testbed.h"
#include "sockets.h"
#include "sockmodel.h"
#include "target_sim/sim.h"

#define SD_CLIENTS (SM_PODS + SM_NODES + 1)

struct sd_client {
	char name[16];
	int netns_fd; /* the lab's */
	struct ip_addr addr[IP_FAMILY_MAX];
	enum sim_origin origin;
	unsigned int node; /* whose sim decides */
	int pod; /* -1: none */
	uint16_t next_port;
};

/* A socket that is asked again later, or has been asked just now. */
struct sd_flow {
	struct sock s;
	struct sd_client *c;
	bool answered, translated, passed; /* the last time */
	struct sim_backend backend; /* if translated */
	struct ip_addr seen; /* by the backend */
	uint16_t seen_port;
	uint64_t used_ns;
};

/* When sim remembers a client's backend. The kernel does so a moment later: around the end of that time either is right. */
struct sd_memory {
	struct sd_client *c;
	struct ip_addr client;
	char service[16];
	uint8_t proto;
	uint16_t port;
	uint64_t expires_ns;
};

struct sd_stats {
	uint64_t asks, verdict[VERDICT_MAX], reason[REASON_MAX];
	uint64_t origin[SIM_FROM_OUTSIDE + 1], per_proto[256], v6, again, remote, hairpin, clashes, late;
};

struct sockdiff {
	struct sockmodel m;
	struct testbed *tb; /* has the model in force */
	struct clock clock; /* of the sims */
	struct sim *sims[SM_NODES];
	struct sd_client clients[SD_CLIENTS];
	VEC(struct sd_memory) memory;
	struct sd_stats stats;
	struct strbuf log; /* what was done with this model */
	char why[512]; /* the disagreement */
};

/* Clients and sims on a testbed that has d->m in force. The caller has made both. */
int sockdiff_init(struct sockdiff *d, struct testbed *tb, struct err *e);
void sockdiff_done(struct sockdiff *d); /* the testbed and the model stay the caller's */
/* The model into the testbed and the sims. */
int sockdiff_apply(struct sockdiff *d, struct err *e);

/* A socket of this client towards `dst`. sport 0: one that it never had. */
int sockdiff_open(struct sockdiff *d, struct sd_client *c, uint8_t proto, const struct ip_addr *dst, uint16_t dport,
		  uint16_t sport, bool connect, struct sd_flow *ret);
/* Asks, and compares. 0 they agree, 1 they do not (d->why), -errno. */
int sockdiff_ask(struct sockdiff *d, struct sd_flow *f);
/* The sim goes on to know it for as long as the kernel does. */
void sockdiff_close(struct sockdiff *d, struct sd_flow *f);

/* What all the differences led to is read back; then a full program by somebody who knows nothing, as after a restart, must
 * find everything as wanted. 0, 1 not so (d->why), -errno. */
int sockdiff_apply_from_scratch(struct sockdiff *d, struct err *e);

#endif
