/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a plan on one node: opens the targets of the plan, compiles, applies in order, reads back; on failure leaves what was in force.
 * What an earlier run (or a killed one) left is adopted: a full apply over a node in use changes only what differs.
 */
#ifndef OFFKUBE_APPLY_APPLY_H
#define OFFKUBE_APPLY_APPLY_H

#include "plan/plan.h"

struct applier; /* one node: open handles and the snapshot in force */

int applier_new(const struct target_env *env, struct applier **ret, struct err *e);
void applier_free(struct applier *a); /* closes; everything stays in force */

struct apply_report {
	uint64_t compile_ns, apply_ns, verify_ns;
	struct target_stats total;
};

/*
 * What a target is known to have in force for the same functions gets only the difference, else a full program. Another strategy: the
 * new parts first, then what only the old strategy had is removed. `verify`: read back after.
 *
 * *ret is filled on success only. -EOPNOTSUPP when the plan is not usable: nothing is touched. A part that fails: it and those before it are led back to
 * what the last successful run left (before the first one: left as they are). A removal or a read-back (-ESTALE) that fails: the plan stays
 * in force, and the next run makes up for it.
 */
int applier_run(struct applier *a, const struct plan *p, bool verify, struct apply_report *ret, struct err *e);
/* Removes everything of ours on the node, in reverse order; goes on after a failure and returns the first. */
int applier_cleanup(struct applier *a, struct err *e);
/* What any target keeps on this host for nodes that are gone. For whoever took nodes away without an applier. */
int apply_sweep(struct err *e);

#endif
