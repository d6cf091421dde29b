/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The laboratory: a cluster out of network namespaces on one machine (DESIGN section 7).
 *
 *	ToR namespace "okl.<lab>.tor": a Linux bridge; every node and client hangs on it
 *	node namespaces "okl.<lab>.node.<node>": uplink "eth0" with the node's addresses
 *	pod namespaces "okl.<lab>.pod.<n>": empty until target/host wires "eth0" (names are short: the index in
 *	sorted order)
 *	client namespaces "okl.<lab>.client.<n>": outside the cluster, routes to Services and pods by the first node
 *
 * Each node has a cgroup v2 subtree "offkube.<lab>/<node>" (when cgroup v2 is mounted anywhere) that holds its
 * pods' processes. In every pod runs a responder (lab/responder.h) on all ports that a Service or container port of
 * it names.
 *
 * A lab belongs to a process (eval: dies with it, whatever ends it) or is kept (lab up). Before anything is made
 * its intent is written to LAB_STATE_DIR/<lab>/state.json, so that lab_clean() finds everything that a killed
 * process left; what is made is named by the lab, and nothing else is touched. Two labs with different names never
 * meet.
 */
#ifndef OFFKUBE_LAB_LAB_H
#define OFFKUBE_LAB_LAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "model/snapshot.h"

#define LAB_STATE_DIR "/run/offkube/lab"
#define LAB_NAME_MAX 16 /* [a-z0-9-], first a letter */

struct lab;

struct lab_conf {
	const char *name;
	const struct snapshot *snapshot;
	uint32_t n_clients; /* outside the cluster */
	bool keep; /* true: lives on after the process (lab up); false: its processes die with the caller */
	/* CPUs of the pods' servers; all zero = no placement. Bit i = CPU i. */
	uint64_t server_cpus;
	/* Set by a signal handler: lab_up and lab_start_servers end with -EINTR. NULL = never. Must outlive the lab. */
	const volatile int *stop;
	/* Pods of this namespace get no responders: the caller runs programs of its own in them. NULL = none. Not with `keep`. */
	const char *bare_ns;
};

/*
 * Builds everything but the wiring of pods and Services (that is target/host and the strategy's targets). On
 * failure nothing is left. -EEXIST when the name is in use by a live lab; what a dead one left under this name is
 * cleaned first.
 */
int lab_up(const struct lab_conf *conf, struct lab **ret, struct err *e);
/*
 * Attaches to a kept lab by its state file (which holds the snapshot's sources; the caller loads the same
 * snapshot). -ENOENT.
 */
int lab_open(const char *name, const struct snapshot *s, struct lab **ret, struct err *e);
/*
 * Waits until nobody else changes the lab; returns an fd, and until it is closed others wait (lab_hold, lab_clean).
 * For whoever changes a lab that another process built: before lab_open. -ENOENT.
 */
int lab_hold(const char *name, struct err *e);
/*
 * Ends the responders, deletes namespaces and cgroups, the state file last. Frees `lab`. Goes on after a failure,
 * returns the first.
 */
int lab_down(struct lab *lab, struct err *e);
/* Only frees the handle (kept labs). */
void lab_free(struct lab *lab);
/*
 * What any lab of that name left, live or dead: everything is gone after. NULL = all labs whose owner is dead (kept
 * and complete ones are spared). By name -EBUSY names a live owner (kept labs have none, they are cleaned). *ret_n
 * = labs cleaned (may be NULL).
 */
int lab_clean(const char *name, size_t *ret_n, struct err *e);

/*
 * Starts the responders: call after target/host wired the pods. Returns when every one of them listens. Again:
 * starts what is missing (a port that came with lab_update, a server that died). Of a lab that is not kept they die
 * with the calling thread: call it from the main thread. A kept lab is complete from here on and belongs to nobody.
 */
int lab_start_servers(struct lab *lab, struct err *e);
/*
 * Ends the servers of one pod as a crash would (SIGKILL), and forgets them; lab_start_servers starts them again.
 * -ENOENT when the pod has none.
 */
int lab_kill_servers(struct lab *lab, const char *ns, const char *pod, struct err *e);
/*
 * A program of others in a pod: executed (no shell, no search for it) in a session of its own, inside the pod's network namespace and its node's cgroup, on the
 * servers' CPUs. It dies with the caller, whatever ends that, and with the lab. What it prints is kept up to a bound, for error messages.
 */
struct lab_program {
	const char *ns, *pod;
	const char *const *argv; /* argv[0] is a path; NULL ends it */
	uint16_t tcp_ports[4]; /* it is there when it listens on all of these; 0 ends them */
};
/*
 * Starts all, returns when all listen. -ECHILD: one ended before, the error has its last words; -ETIMEDOUT; -EINVAL for a lab that is kept. On failure some
 * may run on until lab_down.
 */
int lab_start_programs(struct lab *lab, const struct lab_program *programs, size_t n, struct err *e);
/* 0, or -ECHILD with the name and the last words of a program that has ended. For whoever wonders why nobody answers. */
int lab_check_programs(const struct lab *lab, struct err *e);
/* A folder in memory (tmpfs, as a rule) for files of such programs; goes with the lab, also when lab_clean ends it. Owned by the caller. */
int lab_folder(const struct lab *lab, char **ret_path, struct err *e);

/* A new snapshot: namespaces and responders for added pods, none for removed ones; nodes must be the same. */
int lab_update(struct lab *lab, const struct snapshot *s, struct err *e);

/* fds stay the lab's. -1 when absent. */
int lab_node_netns(const struct lab *lab, const char *node);
int lab_node_cgroup(const struct lab *lab, const char *node);
int lab_pod_netns(const struct lab *lab, const char *ns, const char *pod);
int lab_client_netns(const struct lab *lab, uint32_t i);
const struct ip_addr *lab_client_addr(const struct lab *lab, uint32_t i, enum ip_family fam);
size_t lab_n_servers(const struct lab *lab);
const char *lab_name(const struct lab *lab);
const struct snapshot *lab_snapshot(const struct lab *lab); /* of the last up, open or update */

struct lab_status {
	char name[LAB_NAME_MAX + 1];
	bool alive; /* kept, or its owner lives */
	pid_t owner; /* 0 = kept */
	size_t n_nodes, n_pods, n_servers;
	char strategy[32]; /* recorded by the caller with lab_set_note, else "" */
};
int lab_list(int (*fn)(const struct lab_status *s, void *arg), void *arg, struct err *e);
/*
 * key/value kept in the state file: strategy in force, manifests it was made from (absolute paths,
 * newline-separated).
 */
int lab_set_note(struct lab *lab, const char *key, const char *value, struct err *e);
int lab_get_note(const char *name, const char *key, char **ret_value, struct err *e);

#endif
