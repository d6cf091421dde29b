/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs plans on one node. Called by measure/ (testbeds), app/ and later the agent.
 *
 * Order: the parts of the plan as they stand in it (what carries others first); then what only an earlier strategy had is removed, in
 * reverse order of registration. So at every moment the complete tier of the old or of the new strategy is in force.
 */
#include "apply/apply.h"

#include "base/cleanup.h"
#include "base/util.h"

#define APPLIER_TARGETS_MAX 16

struct applier_slot {
	const struct target_ops *ops;
	void *handle; /* NULL = not open */
	bool in_force; /* a program of this applier is in force */
};

struct applier {
	struct target_env env;
	char *node, *uplink;
	struct snapshot *snapshot; /* in force; NULL = unknown: the next run is a full one */
	const struct strategy *strategy;
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
	for (size_t i = 0; i < a->n_slots; i++)
		if (a->slots[i].handle)
			a->slots[i].ops->close(a->slots[i].handle);
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

static int compile_part(const struct applier *a, const struct plan_part *part, const struct snapshot *from,
			const struct snapshot *to, struct program *ret, struct err *e)
{
	const struct target_input in = {
		.from = from,
		.to = to,
		.node = a->node,
		.probe = &part->probe,
		.with_services = part->functions & (1u << FUNC_SERVICE_LB),
	};

	ret->ops = part->ops;
	return part->ops->compile(&in, &ret->p, e);
}

/* One part from what is in force (NULL: unknown) to `to`. Times and counts go to the report. */
static int run_part(struct applier *a, const struct plan_part *part, const struct snapshot *from,
		    const struct snapshot *to, struct apply_report *rep, struct err *e)
{
	CLEANUP(program_free) struct program prog = {};
	struct applier_slot *slot = slot_of(a, part->ops);
	struct target_stats st = {};
	uint64_t t0 = clock_now_ns(a->env.clock), t1;
	int r;

	r = slot_open(a, slot, e);
	if (r < 0)
		return r;
	r = compile_part(a, part, slot->in_force ? from : NULL, to, &prog, e);
	if (r < 0)
		return r;
	t1 = clock_now_ns(a->env.clock);
	r = part->ops->apply(slot->handle, prog.p, &st, e);
	rep->compile_ns += t1 - t0;
	rep->apply_ns += clock_now_ns(a->env.clock) - t1;
	rep->total.n_transactions += st.n_transactions;
	rep->total.n_added += st.n_added;
	rep->total.n_removed += st.n_removed;
	rep->total.n_kept += st.n_kept;
	rep->total.n_stale_flows += st.n_stale_flows;
	slot->in_force = r == 0;
	return r;
}

/* Part `failed` could not take the change: it is set back by a full program of the snapshot in force, the parts before it by the reverse
 * difference. What cannot be set back is left to the next run, which is then a full one. */
static void roll_back(struct applier *a, const struct plan *p, size_t failed)
{
	struct apply_report ignored = {};
	int r = 0;

	for (size_t i = failed + 1; i-- > 0;) {
		int ri = 0;

		if (p->parts[i].functions)
			ri = run_part(a, &p->parts[i], p->snapshot, a->snapshot, &ignored, NULL);
		if (r == 0)
			r = ri;
	}
	if (r < 0) {
		snapshot_unref(a->snapshot);
		a->snapshot = NULL;
	}
}

static bool plan_uses(const struct plan *p, const struct target_ops *ops)
{
	for (size_t i = 0; i < p->n_parts; i++)
		if (p->parts[i].ops == ops && p->parts[i].functions)
			return true;
	return false;
}

static int slot_remove(struct applier *a, struct applier_slot *slot, struct err *e)
{
	struct target_probe probe = {};
	int r = 0;

	/* A target that cannot run here cannot have left anything. */
	if (!slot->handle) {
		r = slot->ops->probe(&a->env, &probe, e);
		if (r < 0 || !probe.usable)
			return r;
		r = slot_open(a, slot, e);
	}
	if (r == 0)
		r = slot->ops->remove(slot->handle, e);
	if (r == 0) {
		slot->ops->close(slot->handle);
		slot->handle = NULL;
		slot->in_force = false;
	}
	return r;
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
		const struct plan_part *part = &p->parts[i];
		int r;

		if (!part->functions)
			continue;
		r = compile_part(a, part, NULL, p->snapshot, &prog, e);
		if (r == 0)
			r = part->ops->verify(slot_of(a, part->ops)->handle, prog.p, e);
		if (r < 0)
			return r;
	}
	rep->verify_ns = clock_now_ns(a->env.clock) - t0;
	return 0;
}

int applier_run(struct applier *a, const struct plan *p, bool verify, struct apply_report *ret, struct err *e)
{
	struct apply_report rep = {};
	bool first = a->strategy != p->strategy;
	int r = 0;

	if (!p->usable)
		return err_set(e, -EOPNOTSUPP, p->node, "%s: %s", refusal_name(p->why), p->detail);
	for (size_t i = 0; i < p->n_parts && r == 0; i++) {
		if (!p->parts[i].functions)
			continue;
		r = run_part(a, &p->parts[i], a->snapshot, p->snapshot, &rep, e);
		if (r < 0 && a->snapshot)
			roll_back(a, p, i);
	}
	if (r < 0)
		return r;
	snapshot_unref(a->snapshot);
	a->snapshot = snapshot_ref(p->snapshot);
	if (first)
		r = remove_others(a, p, e);
	if (r < 0)
		return r;
	a->strategy = p->strategy;
	if (verify)
		r = verify_parts(a, p, &rep, e);
	*ret = rep;
	return r;
}

int applier_cleanup(struct applier *a, struct err *e)
{
	int r = remove_others(a, NULL, e);

	snapshot_unref(a->snapshot);
	a->snapshot = NULL;
	a->strategy = NULL;
	return r;
}
