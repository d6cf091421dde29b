/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plan: which function (of which object) is carried by which target on one node, and for what is not, why. Pure: no I/O.
 *
 * A strategy is a named policy: for each function the targets that may carry it, fastest first; the last is the complete tier or nothing.
 */
#ifndef OFFKUBE_PLAN_PLAN_H
#define OFFKUBE_PLAN_PLAN_H

#include <stdbool.h>
#include <stdio.h>

#include "model/snapshot.h"
#include "target/target.h"

#define STRATEGY_TIERS_MAX 4

struct strategy {
	const char *name; /* "none", "nft" */
	const char *text; /* one line for help and reports */
	bool is_variant; /* of another strategy, for a special setting: not among those that are compared unless asked for */
	bool service_addresses; /* clients use Service addresses (false: pod addresses, the upper bound) */
	/* Only sockets of the node's own namespace are balanced as they connect: in pods a service mesh's proxy must see Service addresses. */
	bool host_sockets_only;
	/* Targets per function, fastest first, NULL-terminated; empty = nobody carries it. */
	const char *tiers[FUNC_MAX][STRATEGY_TIERS_MAX + 1];
};

const struct strategy *strategy_find(const char *name); /* NULL when unknown */
size_t strategy_count(void);
const struct strategy *strategy_at(size_t i);

/* One target of the plan, in the order of apply (what carries others first). */
struct plan_part {
	const struct target_ops *ops;
	struct target_probe probe;
	uint32_t functions; /* that it carries in this plan */
	uint64_t n_services; /* Services of which it carries the ClusterIP */
	struct refusal_list refusals;
};

struct plan {
	const struct strategy *strategy;
	const char *node; /* points into the snapshot */
	struct snapshot *snapshot;
	size_t n_parts;
	struct plan_part parts[8];
	bool usable; /* false: some function has no usable tier; then why/detail */
	enum refusal why;
	char detail[256];
	uint64_t n_unserved; /* Services that no tier carries */
};

/* How plan learns what is here: normally target->probe in the node's environment; tests inject. */
struct plan_prober {
	int (*probe)(void *arg, const struct target_ops *ops, struct target_probe *ret, struct err *e);
	void *arg;
};

int plan_new(const struct strategy *st, const struct snapshot *s, const char *node, const struct plan_prober *prober,
	     struct plan **ret, struct err *e);
/* The same plan for a changed snapshot: only changed objects are checked anew. */
int plan_update(const struct plan *old, const struct snapshot *s, struct plan **ret, struct err *e);
void plan_free(struct plan *p);
/* For people and as JSON: function, target, reason; per faster target the refusal; per refused object the note. */
int plan_print(const struct plan *p, bool json, FILE *f);

#endif
