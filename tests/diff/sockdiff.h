/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sockets in a lab against sim: what one question, from one client, must lead to. One sim for each node; the node that a client's packets meet
 * first decides, the backend's node must let them pass. Where the strategy has bpf-sock, what each call leads to is worked out first (sockways.h): what bpf-sock
 * carries is compared with a sim of its own, what it leaves with that of the tier below; each tier has its own memory of clients. Used by sockrun.c.
 */
#ifndef OFFKUBE_TESTS_DIFF_SOCKDIFF_H
#define OFFKUBE_TESTS_DIFF_SOCKDIFF_H

#include "base/clock.h"
#include "base/str.h"
#include "base/vec.h"
#include "measure/testbed.h"
#include "sockets.h"
#include "sockmodel.h"
#include "socktap.h"
#include "sockways.h"
#include "target/target.h"
#include "target_sim/sim.h"

/* Pods, nodes, a client outside. For bpf-sock also: a process of a node in a network namespace that is no pod's; a process of a node that binds to
 * another address of it. */
#define SD_CLIENTS (SM_PODS + SM_NODES + 1)
#define SD_CLIENTS_MAX (SD_CLIENTS + 2)

struct sd_client {
	char name[16];
	struct sock_place place; /* the lab's fds; cgroup -1: of no node */
	struct ip_addr addr[IP_FAMILY_MAX];
	struct ip_addr identity[IP_FAMILY_MAX]; /* as its node knows it; unset: not */
	enum sim_origin origin;
	unsigned int node; /* whose sim decides */
	int pod; /* -1: none */
	int tap_fd;
	bool always_bound; /* its address is not what the kernel would take */
	uint16_t next_port, first_port, last_port;
};

enum sd_hook {
	SD_CONNECT4,
	SD_CONNECT6,
	SD_SENDMSG4,
	SD_SENDMSG6,
	SD_RECVMSG4,
	SD_RECVMSG6,
	SD_PEER4,
	SD_PEER6,
	SD_HOOK_MAX
};
extern const char *const sd_hook_name[SD_HOOK_MAX];

/* What else bpf-sock is to be seen doing. */
enum sd_feat {
	SD_KEPT_TCP, /* on a connection of before a change */
	SD_KEPT_UDP, /* connected, the backend serves still */
	SD_ENDED_UDP, /* connected, the backend serves no longer */
	SD_CHOSEN_ANEW, /* unconnected, the backend serves no longer */
	SD_MAGLEV, /* exactly the backend of the model's table */
	SD_MAPPED, /* IPv4 on a socket of IPv6 */
	SD_UNBOUND,
	SD_NODE, /* a socket of the node itself */
	SD_TOPOLOGY, /* some that are ready may not be chosen */
	SD_TERMINATING, /* only such that end are left */
	SD_CLEAN, /* led, and the tap saw no packet with the Service's address */
	SD_SEEN, /* left, and the tap saw one */
	SD_FEAT_MAX
};
extern const char *const sd_feat_name[SD_FEAT_MAX];

/* A socket that is asked again later, or has been asked just now. */
struct sd_flow {
	struct sock s;
	struct sd_client *c;
	struct sw_socket *socket; /* shared by all flows of one socket */
	struct sw_call call; /* the last; its pointers hold until the model changes */
	bool answered, translated, passed; /* the last time */
	struct sim_backend backend; /* if translated */
	struct ip_addr seen; /* by the backend */
	uint16_t seen_port;
	uint64_t used_ns;
};

/* When sim remembers a client's backend. The kernel does so a moment later: around the end of that time either is right. */
struct sd_memory {
	struct sd_client *c;
	bool led; /* memory of bpf-sock */
	struct ip_addr client;
	char service[16];
	uint8_t proto;
	uint16_t port;
	uint64_t expires_ns, latest_ns; /* begun when the question left, and when its answer was there */
};

struct sd_stats {
	uint64_t asks, verdict[VERDICT_MAX], reason[REASON_MAX];
	uint64_t origin[SIM_FROM_OUTSIDE + 1], per_proto[256], v6, again, remote, hairpin, clashes, late;
	uint64_t way[REASON_MAX], hook[SD_HOOK_MAX], feat[SD_FEAT_MAX]; /* of bpf-sock */
};

/* New connections to one Service port since the last look at the counters. */
struct sd_tally {
	struct ip_addr dst;
	uint16_t dport;
	uint8_t proto;
	uint64_t led, below;
};
struct sockcount; /* the last look */
void sockcount_free(struct sockcount *c);

struct sockdiff {
	struct sockmodel m;
	struct testbed *tb; /* has the model in force */
	struct clock clock; /* of the sims */
	struct sim *sims[SM_NODES]; /* of packets */
	struct sim *leads[SM_NODES]; /* of what bpf-sock carries; it keeps memory of clients only. NULL without it */
	int metrics_fd[SM_NODES];
	struct sd_client clients[SD_CLIENTS_MAX];
	size_t n_clients;
	VEC(struct sd_tally) tally;
	struct sockcount *count;
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

bool sockdiff_has_leads(const struct sockdiff *d);
/* A socket of this client towards `dst`. sport 0: one that it never had. `flags` of sockets.h. 0, 1 (d->why), -errno: then there is nothing to close. */
int sockdiff_open(struct sockdiff *d, struct sd_client *c, uint8_t proto, const struct ip_addr *dst, uint16_t dport,
		  uint16_t sport, unsigned int flags, struct sd_flow *ret);
/* The socket of another flow (UDP, unconnected) towards `dst`. */
int sockdiff_share(const struct sd_flow *with, const struct ip_addr *dst, uint16_t dport, struct sd_flow *ret);
/* Asks, and compares. 0 they agree, 1 they do not (d->why), -errno. */
int sockdiff_ask(struct sockdiff *d, struct sd_flow *f);
/* The sim goes on to know it for as long as the kernel does. */
void sockdiff_close(struct sockdiff *d, struct sd_flow *f);

/* What all the differences led to is read back; then a full program by somebody who knows nothing, as after a restart, must
 * find everything as wanted. 0, 1 not so (d->why), -errno. */
int sockdiff_apply_from_scratch(struct sockdiff *d, struct err *e);
struct target_env sockdiff_env(struct sockdiff *d, unsigned int node); /* of this lab's node */

/* The counters of all tiers are looked at. Check: they have grown by what was asked since the last look, Service port by Service port. 0, 1, -errno. */
int sockdiff_start_counters(struct sockdiff *d, struct err *e);
int sockdiff_check_counters(struct sockdiff *d, struct err *e);

#endif
