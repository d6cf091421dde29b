/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The contract of a target: a place where functions are carried out.
 *
 * Thinking and acting are apart. check() and compile() are pure: they see the model only and touch nothing outside. open() connects to one node;
 * apply() and remove() are the only members that change that node; dump() and counters() read back what is really there.
 *
 * Life of one node under one target:
 *	probe -> (check for every object, by plan) -> compile(NULL, s1) -> open -> apply -> [compile(s1, s2) -> apply] ... -> close
 * close() leaves everything in force: traffic never depends on our processes. remove() takes away all that apply() ever made, and nothing else.
 *
 * A target folder is whole: it includes base, net, model and this header, never another target. New target: copy sim/, fill the ops, add
 * a line to registry.c.
 */
#ifndef OFFKUBE_TARGET_TARGET_H
#define OFFKUBE_TARGET_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"
#include "model/snapshot.h"
#include "model/vocab.h"
#include "target/refusal.h"

/* Where one node is. All fds stay the caller's. */
struct target_env {
	const char *node; /* name in the snapshot */
	int netns_fd; /* the node's network namespace; -1 = the caller's own */
	int cgroup_fd; /* root of the node's cgroup v2 subtree; -1 = none */
	const struct clock *clock;
	/* The network namespace of a pod on this node: CLOEXEC fd that the target closes, or -ENOENT (not started yet: skip and do not fail). NULL
	 * when pods are wired by somebody else. */
	int (*pod_netns)(void *arg, const struct pod *p);
	void *pod_netns_arg;
	const char *uplink; /* interface towards the other nodes; NULL = find by default route */
};

/* What probe() found. */
struct target_probe {
	bool usable;
	enum refusal why; /* if not usable */
	char detail[160]; /* which privilege, which kernel option */
	uint64_t features; /* target's own bits, handed back to its check() and compile() */
};

/* What check() says of one Service: facets that this target carries (1 << enum service_facet). Those asked for and not carried are noted in the list. */

/* A compiled program: the target's own type, in memory, immutable, owned by who compiled. */
struct target_program;

/* What compile() is asked for. Only Services that check() accepts (for facet CLUSTER_IP) take part: the target calls its own check for the
 * objects that it meets, so that plan and compile cannot disagree. */
struct target_input {
	const struct snapshot *from; /* NULL: a full program, which apply() makes true whatever it finds */
	const struct snapshot *to; /* never NULL */
	const char *node;
	const struct target_probe *probe;
	bool with_services; /* false: pod wiring only (strategy none) */
	bool host_sockets_only; /* a target at the sockets leaves those of pods alone (struct strategy) */
};

struct target_stats {
	uint64_t n_transactions; /* kernel transactions or requests */
	uint64_t n_added, n_removed; /* elements, rules, routes, links */
	uint64_t n_kept; /* found as wanted (full program only) */
	uint64_t n_stale_flows; /* connection entries removed (SEMANTICS 1.6) */
};

/* One counter read back from the target. */
struct target_counter {
	const char *object; /* "Service shop/cart:http" or "" = whole target */
	const char *name; /* "connections", "packets", "bytes", or a reason name */
	uint64_t value;
};

#define TARGET_VERSION_MAX 64

struct target_ops {
	const char *name; /* "nft": in strategies, reports, CLI */
	const char *text; /* one line */
	uint32_t functions; /* 1 << enum function */
	bool complete; /* may be the lowest tier of a node */
	bool at_sockets; /* decides on socket calls of the node's cgroup; else on packets */

	/* Is this target usable in `env`? 0 with *ret filled also when not usable; -errno only when asking itself failed. Leaves nothing. */
	int (*probe)(const struct target_env *env, struct target_probe *ret, struct err *e);

	/* Pure. Which facets of `svc` are carried; consumes the facets and features that it understands, and notes a refusal for each left over
	 * (`refusals` may be NULL). Optional: NULL = carries no Services. */
	uint32_t (*check)(const struct target_probe *probe, const struct service *svc, struct refusal_list *refusals);

	/* Pure. -EOPNOTSUPP with a sentence when the input as a whole cannot be carried. */
	int (*compile)(const struct target_input *in, struct target_program **ret, struct err *e);
	void (*program_free)(struct target_program *p); /* NULL is fine */
	/* Stable text of a program; json: one JSON object. */
	int (*program_print)(const struct target_program *p, bool json, FILE *f);

	/* Connects; changes nothing. One handle per node; not shared between threads. */
	int (*open)(const struct target_env *env, void **ret_handle, struct err *e);
	void (*close)(void *handle); /* NULL is fine; leaves everything in force */

	/* Makes the program true, in bounded transactions, in an order in which no live connection is cut and no packet sees half a Service. Idempotent.
	 * On failure nothing of the failed transaction is in force, earlier ones are, and the next full apply repairs. */
	int (*apply)(void *handle, const struct target_program *p, struct target_stats *stats, struct err *e);

	/* Reads back: 0 when what is there is what the full program says, -ESTALE with the first difference in err, -errno. */
	int (*verify)(void *handle, const struct target_program *full, struct err *e);

	/* Takes away everything that this target ever made on the node, also what a killed run left. Absent is success. */
	int (*remove)(void *handle, struct err *e);

	/* Optional. Takes away what the target keeps on this host for nodes whose namespace or cgroup is gone (their owner was killed, or never called
	 * remove). Leaves all others alone. */
	int (*sweep)(struct err *e);

	/* Optional. Name and version of a peer's program that it would run now, as that tells them: "kube-proxy v1.36.3". 0 or -errno. */
	int (*version)(char ret[static TARGET_VERSION_MAX]);

	/* Text of what is really there (own objects only). */
	int (*dump)(void *handle, FILE *f, struct err *e);
	/* Optional. Stops at the first non-zero return of fn and returns it. */
	int (*counters)(void *handle, int (*fn)(const struct target_counter *c, void *arg), void *arg, struct err *e);
};

/* registry.c: all targets, in order of registration; mandatory members are asserted there. */
const struct target_ops *target_find(const char *name); /* NULL when unknown */
size_t target_count(void);
const struct target_ops *target_at(size_t i);

/* Helper for check(): facets minus what `carried` holds, and features minus `understood`, become refusal notes with their usual names.
 * A left-over feature that belongs to the ClusterIP facet takes that facet away. Returns the facets that remain. */
uint32_t target_check_service(const struct service *svc, uint32_t carried, uint32_t understood,
			      struct refusal_list *refusals);

#endif
