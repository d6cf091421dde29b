/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs plans on one node. Called by measure/ (testbeds), app/ and later the agent.
 *
 * Order: see run_parts(); then what only an earlier strategy had is removed, in reverse order of registration. So at every moment the
 * complete tier of the old or of the new strategy is in force.
 *
 * Each target's slot knows what is in force there. Whatever failed half way makes it unknown, and the next program of that target a full one.
 */
#include "apply/apply.h"

#include "base/cleanup.h"
#include "base/util.h"

#define APPLIER_TARGETS_MAX 16

struct applier_slot {
	const struct target_ops *ops;
	void *handle; /* NULL = not open */
	struct snapshot *snapshot; /* in force; NULL = unknown: the next program is a full one */
	uint32_t functions; /* that are in force; 0 = none of ours, or never known */
	bool host_sockets_only; /* in force with this */
};

struct applier {
	struct target_env env;
	char *node, *uplink;
	struct snapshot *snapshot; /* of the last run that succeeded: what roll back leads to; NULL = none */
	const struct strategy *strategy; /* of that run; NULL = anything may be there */
	size_t n_slots;
	struct applier_slot slots[APPLIER_TARGETS_MAX]; /* one per registered target, same order */
};

DEFINE_CLEANUP(struct applier *, applier_free);

/* A compiled program and who frees it. */
struct program {
	const struct target_ops *ops;
	struct target_program *p;
};

static void program_free(struct program *prog)
{
	if (prog->p)
		prog->ops->program_free(prog->p);
}

int applier_new(const struct target_env *env, struct applier **ret, struct err *e)
{
	CLEANUP(applier_freep) struct applier *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	if (target_count() > APPLIER_TARGETS_MAX)
		return err_set(e, -E2BIG, NULL, "more than %d targets are registered", APPLIER_TARGETS_MAX);
	a->env = *env;
	a->node = strdup(env->node);
	a->uplink = env->uplink ? strdup(env->uplink) : NULL;
	if (!a->node || (env->uplink && !a->uplink))
		return -ENOMEM;
	a->env.node = a->node;
	a->env.uplink = a->uplink;
	a->n_slots = target_count();
	for (size_t i = 0; i < a->n_slots; i++)
		a->slots[i].ops = target_at(i);
	*ret = TAKE_PTR(a);
	return 0;
}

void applier_free(struct applier *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->n_slots; i++) {
		if (a->slots[i].handle)
			a->slots[i].ops->close(a->slots[i].handle);
		snapshot_unref(a->slots[i].snapshot);
	}
	snapshot_unref(a->snapshot);
	free(a->node);
	free(a->uplink);
	free(a);
}

static struct applier_slot *slot_of(struct applier *a, const struct target_ops *ops)
{
	for (size_t i = 0; i < a->n_slots; i++)
		if (a->slots[i].ops == ops)
			return &a->slots[i];
	return NULL;
}

static int slot_open(struct applier *a, struct applier_slot *slot, struct err *e)
{
	return slot->handle ? 0 : slot->ops->open(&a->env, &slot->handle, e);
}

static void slot_set(struct applier_slot *slot, const struct snapshot *s, uint32_t functions)
{
	struct snapshot *old = slot->snapshot;

	slot->snapshot = s ? snapshot_ref(s) : NULL;
	slot->functions = functions;
	snapshot_unref(old);
}

/* What one target shall carry. */
struct goal {
	const struct target_probe *probe;
	const struct snapshot *snapshot;
	uint32_t functions;
	bool host_sockets_only;
};

static struct goal part_goal(const struct plan *p, size_t i)
{
	return (struct goal){ &p->parts[i].probe, p->snapshot, p->parts[i].functions, p->strategy->host_sockets_only };
}

static int slot_compile(const struct applier *a, const struct applier_slot *slot, const struct goal *goal,
			const struct snapshot *from, struct program *ret, struct err *e)
{
	const struct target_input in = {
		.from = from,
		.to = goal->snapshot,
		.node = a->node,
		.probe = goal->probe,
		.with_services = goal->functions & (1u << FUNC_SERVICE_LB),
		.host_sockets_only = goal->host_sockets_only,
	};

	ret->ops = slot->ops;
	return slot->ops->compile(&in, &ret->p, e);
}

static void add_stats(struct target_stats *sum, const struct target_stats *st)
{
	sum->n_transactions += st->n_transactions;
	sum->n_added += st->n_added;
	sum->n_removed += st->n_removed;
	sum->n_kept += st->n_kept;
	sum->n_stale_flows += st->n_stale_flows;
}

/* One target from what is in force (unknown, or for other functions: a full program) to the goal. Times and counts go to the report. */
static int slot_run(struct applier *a, struct applier_slot *slot, const struct goal *goal, struct apply_report *rep,
		    struct err *e)
{
	CLEANUP(program_free) struct program prog = {};
	bool same = slot->functions == goal->functions && slot->host_sockets_only == goal->host_sockets_only;
	const struct snapshot *from = same ? slot->snapshot : NULL;
	struct target_stats st = {};
	uint64_t t0 = clock_now_ns(a->env.clock), t1;
	int r;

	r = slot_open(a, slot, e);
	if (r == 0)
		r = slot_compile(a, slot, goal, from, &prog, e);
	if (r < 0)
		return r; /* nothing was touched */
	t1 = clock_now_ns(a->env.clock);
	r = slot->ops->apply(slot->handle, prog.p, &st, e);
	rep->compile_ns += t1 - t0;
	rep->apply_ns += clock_now_ns(a->env.clock) - t1;
	add_stats(&rep->total, &st);
	slot_set(slot, r == 0 ? goal->snapshot : NULL, goal->functions);
	slot->host_sockets_only = goal->host_sockets_only;
	return r;
}

static int slot_remove(struct applier *a, struct applier_slot *slot, struct err *e)
{
	struct target_probe probe = {};
	int r = 0;

	/* A target that cannot run here cannot have left anything. A program that it needs may have been here before. */
	if (!slot->handle) {
		r = slot->ops->probe(&a->env, &probe, e);
		if (r < 0 || (!probe.usable && probe.why != REFUSAL_NO_PROGRAM))
			return r;
		r = slot_open(a, slot, e);
	}
	if (r == 0)
		r = slot->ops->remove(slot->handle, e);
	if (r < 0) {
		slot_set(slot, NULL, slot->functions);
		return r;
	}
	slot->ops->close(slot->handle);
	slot->handle = NULL;
	slot_set(slot, NULL, 0);
	return 0;
}

/*
 * A part could not take the change. It and those that did are led back, last first, to what the run before left: `before` holds the
 * functions of each slot then; what was not reached is as it was, and is passed over. A slot that does not come back stays unknown, so that its next program is a full one; and as
 * something may be there that no strategy has, the next run removes what it does not use.
 */
static void roll_back(struct applier *a, const struct plan *p, const uint32_t *before)
{
	struct apply_report ignored = {};

	for (size_t i = p->n_parts; i-- > 0;) {
		struct applier_slot *slot = slot_of(a, p->parts[i].ops);
		const struct goal goal = {
			.probe = &p->parts[i].probe,
			.snapshot = a->snapshot,
			.functions = before[slot - a->slots],
			.host_sockets_only = a->strategy && a->strategy->host_sockets_only,
		};
		int r = 0;

		if (slot->snapshot == goal.snapshot && slot->functions == goal.functions &&
		    slot->host_sockets_only == goal.host_sockets_only)
			continue;
		if (goal.functions)
			r = slot_run(a, slot, &goal, &ignored, NULL);
		else if (slot->functions)
			r = slot_remove(a, slot, NULL);
		if (r < 0)
			a->strategy = NULL;
	}
}

static bool plan_uses(const struct plan *p, const struct target_ops *ops)
{
	for (size_t i = 0; i < p->n_parts; i++)
		if (p->parts[i].ops == ops && p->parts[i].functions)
			return true;
	return false;
}

/* Removes what the plan does not use; `p` NULL = everything. Goes on after a failure. */
static int remove_others(struct applier *a, const struct plan *p, struct err *e)
{
	int r = 0;

	for (size_t i = a->n_slots; i-- > 0;) {
		int ri;

		if (p && plan_uses(p, a->slots[i].ops))
			continue;
		ri = slot_remove(a, &a->slots[i], e);
		if (r == 0)
			r = ri;
	}
	return r;
}

static int verify_parts(struct applier *a, const struct plan *p, struct apply_report *rep, struct err *e)
{
	uint64_t t0 = clock_now_ns(a->env.clock);

	for (size_t i = 0; i < p->n_parts; i++) {
		CLEANUP(program_free) struct program prog = {};
		struct applier_slot *slot = slot_of(a, p->parts[i].ops);
		const struct goal goal = part_goal(p, i);
		int r;

		if (!goal.functions)
			continue;
		r = slot_compile(a, slot, &goal, NULL, &prog, e);
		if (r == 0)
			r = slot->ops->verify(slot->handle, prog.p, e);
		if (r < 0) {
			slot_set(slot, NULL, slot->functions); /* not what we believed */
			return r;
		}
	}
	rep->verify_ns = clock_now_ns(a->env.clock) - t0;
	return 0;
}

static int run_part(struct applier *a, const struct plan *p, size_t i, struct apply_report *rep, struct err *e)
{
	const struct goal goal = part_goal(p, i);

	return goal.functions ? slot_run(a, slot_of(a, p->parts[i].ops), &goal, rep, e) : 0;
}

/*
 * 1. What carries no Services (pods are wired before anybody is led to them).
 * 2. Tiers of Services: as they stand in the plan, the complete one first, so that what a faster one leaves finds it. When all are in force already, the
 *    fastest first: a change reaches most connections there, and the others need not wait for it.
 */
static int run_parts(struct applier *a, const struct plan *p, struct apply_report *rep, struct err *e)
{
	const uint32_t services = 1u << FUNC_SERVICE_LB;
	bool in_force = a->snapshot && a->strategy == p->strategy;
	uint32_t before[APPLIER_TARGETS_MAX] = {};
	int r = 0;

	for (size_t i = 0; i < a->n_slots; i++)
		before[i] = a->slots[i].functions;
	for (size_t i = 0; i < p->n_parts && r == 0; i++) /* 1 */
		if (!(p->parts[i].functions & services))
			r = run_part(a, p, i, rep, e);
	for (size_t k = 0; k < p->n_parts && r == 0; k++) { /* 2 */
		size_t i = in_force ? p->n_parts - 1 - k : k;

		if (p->parts[i].functions & services)
			r = run_part(a, p, i, rep, e);
	}
	if (r < 0 && a->snapshot)
		roll_back(a, p, before);
	return r;
}

int applier_run(struct applier *a, const struct plan *p, bool verify, struct apply_report *ret, struct err *e)
{
	struct apply_report rep = {};
	int r;

	if (!p->usable)
		return err_set(e, -EOPNOTSUPP, p->node, "%s: %s", refusal_name(p->why), p->detail);
	r = run_parts(a, p, &rep, e);
	if (r < 0)
		return r;
	snapshot_unref(a->snapshot);
	a->snapshot = snapshot_ref(p->snapshot);
	if (a->strategy != p->strategy) {
		a->strategy = NULL;
		r = remove_others(a, p, e);
	}
	if (r < 0)
		return r;
	a->strategy = p->strategy;
	if (verify)
		r = verify_parts(a, p, &rep, e);
	if (r < 0)
		return r;
	*ret = rep;
	return 0;
}

int applier_cleanup(struct applier *a, struct err *e)
{
	int r = remove_others(a, NULL, e);

	snapshot_unref(a->snapshot);
	a->snapshot = NULL;
	a->strategy = NULL;
	return r;
}

int apply_sweep(struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < target_count(); i++) {
		int ri = target_at(i)->sweep ? target_at(i)->sweep(e) : 0;

		if (r == 0)
			r = ri;
	}
	return r;
}
