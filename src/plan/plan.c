/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes plans. Called by app/ (plan, compile), apply/'s users and measure/.
 *
 * A tier takes part when its probe says that it is usable here. A Service is carried by the first tier of service-lb whose check() leaves
 * its ClusterIP facet; what the tiers before refused is noted with them.
 */
#include "plan/plan.h"

#include "base/cleanup.h"
#include "base/util.h"

DEFINE_CLEANUP(struct plan *, plan_free);

static struct plan_part *find_part(struct plan *p, const struct target_ops *ops)
{
	for (size_t i = 0; i < p->n_parts; i++)
		if (p->parts[i].ops == ops)
			return &p->parts[i];
	return NULL;
}

/* The part of a target, probed when it is met first. */
static int get_part(struct plan *p, const char *name, const struct plan_prober *prober, struct plan_part **ret,
		    struct err *e)
{
	const struct target_ops *ops = target_find(name);
	struct plan_part *part;
	int r;

	if (!ops)
		return err_set(e, -ENOENT, name, "strategy %s names a target that this build does not have",
			       p->strategy->name);
	part = find_part(p, ops);
	if (!part) {
		if (p->n_parts == ARRAY_LEN(p->parts))
			return err_set(e, -E2BIG, name, "too many targets in strategy %s", p->strategy->name);
		part = &p->parts[p->n_parts];
		part->ops = ops;
		r = prober->probe(prober->arg, ops, &part->probe, e);
		if (r < 0)
			return r;
		p->n_parts++;
	}
	*ret = part;
	return 0;
}

/* One function: its tiers, the complete one first, since the faster ones stand over it. The plan is usable only if that one is. */
static int assign_function(struct plan *p, enum function f, const struct plan_prober *prober, struct err *e)
{
	const char *const *tiers = p->strategy->tiers[f];
	struct plan_part *part = NULL;
	size_t n = 0;
	int r;

	while (tiers[n])
		n++;
	for (size_t i = n; i-- > 0;) {
		r = get_part(p, tiers[i], prober, &part, e);
		if (r < 0)
			return r;
		if (!(part->ops->functions & (1u << f)))
			return err_set(e, -EINVAL, tiers[i],
				       "strategy %s wants %s from a target that does not carry it", p->strategy->name,
				       function_name(f));
		if (part->probe.usable)
			part->functions |= 1u << f;
	}
	part = n ? find_part(p, target_find(tiers[n - 1])) : NULL;
	if (part && !part->probe.usable && p->usable) {
		p->usable = false;
		p->why = part->probe.why;
		(void)snprintf(p->detail, sizeof(p->detail), "%s needs %s: %s", function_name(f), part->ops->name,
			       part->probe.detail[0] ? part->probe.detail : refusal_text(part->probe.why));
	}
	return 0;
}

/* Puts one Service on its tier: +1 (sign > 0) with its refusals noted, or -1 (it is gone). */
static int count_service(struct plan *p, const struct service *svc, int sign)
{
	const char *const *tier = p->strategy->tiers[FUNC_SERVICE_LB];

	if (!*tier)
		return 0;
	for (; *tier; tier++) {
		struct plan_part *part = find_part(p, target_find(*tier));
		struct refusal_list scratch = {};
		uint32_t carried;

		if (!part || !part->probe.usable || !part->ops->check)
			continue;
		carried = part->ops->check(&part->probe, svc, sign > 0 ? &part->refusals : &scratch);
		for (size_t i = 0; i < REFUSAL_MAX; i++)
			part->refusals.count[i] -= scratch.count[i];
		refusal_list_free(&scratch);
		if (carried & (1u << SERVICE_FACET_CLUSTER_IP)) {
			part->n_services += (uint64_t)sign;
			return 0;
		}
	}
	p->n_unserved += (uint64_t)sign;
	return 0;
}

static int add_service(const struct service *svc, void *arg)
{
	return count_service(arg, svc, 1);
}

/* Drops the kept notes about one object. */
static void forget_notes(struct plan *p, const char *object)
{
	for (size_t i = 0; i < p->n_parts; i++) {
		struct refusal_list *l = &p->parts[i].refusals;
		size_t kept = 0;

		for (size_t j = 0; j < l->n; j++)
			if (!str_eq(l->v[j].object, object))
				l->v[kept++] = l->v[j];
		l->n = kept;
	}
}

static int change_service(const struct service *from, const struct service *to, void *arg)
{
	struct plan *p = arg;
	char object[sizeof(((struct refusal_note *)NULL)->object)];
	int r = 0;

	if (from) {
		(void)snprintf(object, sizeof(object), "Service %s/%s", from->ns, from->name);
		r = count_service(p, from, -1);
		forget_notes(p, object);
	}
	if (r == 0 && to)
		r = count_service(p, to, 1);
	return r;
}

int plan_new(const struct strategy *st, const struct snapshot *s, const char *node, const struct plan_prober *prober,
	     struct plan **ret, struct err *e)
{
	CLEANUP(plan_freep) struct plan *p = NULL;
	const struct node *n = snapshot_node(s, node);
	int r;

	if (!n)
		return err_set(e, -ENOENT, node, "no such node in the snapshot");
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->strategy = st;
	p->snapshot = snapshot_ref(s);
	p->node = n->name;
	p->usable = true;
	for (int f = 0; f < FUNC_MAX; f++) {
		r = assign_function(p, f, prober, e);
		if (r < 0)
			return r;
	}
	r = snapshot_each_service(s, add_service, p);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(p);
	return 0;
}

static int copy_refusals(struct refusal_list *to, const struct refusal_list *from)
{
	*to = *from;
	to->v = NULL;
	to->cap = 0;
	if (from->n == 0)
		return 0;
	to->v = malloc(from->n * sizeof(*from->v));
	if (!to->v)
		return -ENOMEM;
	memcpy(to->v, from->v, from->n * sizeof(*from->v));
	to->cap = from->n;
	return 0;
}

int plan_update(const struct plan *old, const struct snapshot *s, struct plan **ret, struct err *e)
{
	static const struct snapshot_diff_ops ops = { .service = change_service };
	CLEANUP(plan_freep) struct plan *p = NULL;
	const struct node *n = snapshot_node(s, old->node);
	int r = 0;

	if (!n)
		return err_set(e, -ENOENT, old->node, "the node is not in the new snapshot");
	p = malloc(sizeof(*p));
	if (!p)
		return -ENOMEM;
	*p = *old;
	p->snapshot = snapshot_ref(s);
	p->node = n->name;
	for (size_t i = 0; i < p->n_parts; i++) {
		int copied = copy_refusals(&p->parts[i].refusals, &old->parts[i].refusals);

		if (r == 0)
			r = copied;
	}
	if (r == 0)
		r = snapshot_diff(old->snapshot, s, &ops, p);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(p);
	return 0;
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_parts; i++)
		refusal_list_free(&p->parts[i].refusals);
	snapshot_unref(p->snapshot);
	free(p);
}
