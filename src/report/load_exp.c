/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Experiments into the report: scale, idle, fault, cpu-check. Called by load_rec.c. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "report_int.h"

#define LIST_MAX 100000 /* numbers in one list of a record */
#define POOL_MAX 1000000 /* kept of such lists */
#define BINS_MAX 100000
#define POINTS_MAX 4096 /* of scale, of faults, of idle */

const struct scale_info scale_metrics[SCALE_MAX] = {
	[SCALE_FROM_EMPTY] = { "from_empty", "all from nothing", QUANTITY_NS },
	[SCALE_FIRST_P50] = { "first_packet_p50", "first packet, median", QUANTITY_NS },
	[SCALE_FIRST_P99] = { "first_packet_p99", "first packet, p99", QUANTITY_NS },
	[SCALE_IN_FORCE] = { "in_force", "change in force", QUANTITY_NS },
	[SCALE_APPLY] = { "apply", "change applied", QUANTITY_NS },
	[SCALE_PROCESS] = { "process_memory", "process memory", QUANTITY_KIB },
	[SCALE_KERNEL] = { "kernel_memory", "kernel memory", QUANTITY_KIB },
};

int track_add(struct rec *c, struct track *t, int64_t round, double v)
{
	size_t at = t->at.n;

	if (c->r < 0)
		return c->r;
	while (at > 0 && t->at.v[at - 1].round > round)
		at--;
	if (at > 0 && t->at.v[at - 1].round == round)
		return rec_fail(c, "a second one of its kind in round %d", (int)round);
	c->r = vec_push(&t->at, ((struct value){ round, v }));
	if (c->r < 0)
		return c->r;
	memmove(&t->at.v[at + 1], &t->at.v[at], (t->at.n - 1 - at) * sizeof(*t->at.v));
	t->at.v[at] = (struct value){ round, v };
	return 0;
}

int rec_numbers(struct rec *c, const char *key, struct numbers *pool, double *ret_median)
{
	const json_t *list = rec_list(c, c->obj, key, LIST_MAX), *v;
	struct numbers own = {};
	size_t i;

	*ret_median = NAN;
	json_array_foreach((json_t *)list, i, v)
	{
		double d = json_number_value(v);

		if (!json_is_number(v) || d < 0 || d > REC_NUM_MAX)
			(void)rec_fail(c, "\"%s\" member %zu is no number from 0", key, i);
		if (c->r == 0)
			c->r = vec_push(&own, d);
		if (c->r == 0 && pool->n < POOL_MAX)
			c->r = vec_push(pool, d);
	}
	if (c->r == 0 && own.n)
		*ret_median = stats_median(own.v, own.n);
	vec_free(&own);
	return c->r;
}

/* ---- scale ---- */

static struct scale_point *find_point(struct rec *c, const struct scale_point *want)
{
	struct report *rep = c->rep;

	for (size_t i = 0; i < rep->scale.n; i++) {
		struct scale_point *p = &rep->scale.v[i];

		if (p->strategy == want->strategy && p->nodes == want->nodes && p->services == want->services &&
		    p->endpoints == want->endpoints)
			return p;
	}
	if (rep->scale.n == POINTS_MAX)
		return rec_fail(c, "more than %d points", POINTS_MAX), NULL;
	c->r = vec_push(&rep->scale, *want);
	return c->r < 0 ? NULL : &rep->scale.v[rep->scale.n - 1];
}

static void scale_list(struct rec *c, struct scale_point *p, const char *key, enum scale_metric m, int64_t round)
{
	struct numbers unused = {};
	double median = NAN;

	if (!json_object_get(c->obj, key) || json_is_null(json_object_get(c->obj, key)))
		return;
	if (m == SCALE_IN_FORCE)
		(void)rec_numbers(c, key, &p->in_force, &median); /* failure is sticky in c */
	else
		(void)rec_numbers(c, key, &unused, &median); /* the same */
	vec_free(&unused);
	if (c->r == 0 && !isnan(median))
		(void)track_add(c, &p->values[m], round, median); /* the same */
}

/* A number in an object of the record, times `times`; what is not there or null was not measured. */
static void scale_number(struct rec *c, struct scale_point *p, const json_t *obj, const char *key, double times,
			 enum scale_metric m, int64_t round)
{
	const json_t *v = json_object_get(obj, key);

	if (v && !json_is_null(v))
		(void)track_add(c, &p->values[m], round, times * rec_num(c, obj, key, -REC_NUM_MAX, REC_NUM_MAX));
}

static const json_t *object_or_null(struct rec *c, const char *key)
{
	const json_t *v = json_object_get(c->obj, key);

	return v && !json_is_null(v) ? rec_obj(c, c->obj, key) : NULL;
}

int rec_take_scale(struct rec *c)
{
	const struct scale_point want = {
		.strategy = REC_NAMED(c, &c->rep->strategies, "strategy"),
		.nodes = rec_int(c, c->obj, "nodes", 0, REC_COUNT_MAX),
		.services = rec_int(c, c->obj, "services", 0, REC_COUNT_MAX),
		.endpoints = rec_int(c, c->obj, "endpoints_per_service", 0, REC_COUNT_MAX),
		.kind = rec_take_kind(c),
	};
	int64_t round = rec_int(c, c->obj, "round", 0, ROUNDS_MAX - 1);
	const char *why = rec_str_or_null(c, c->obj, "why");
	const json_t *first = object_or_null(c, "first_packet_ns"), *memory = object_or_null(c, "memory");
	struct scale_point *p = c->r < 0 ? NULL : find_point(c, &want);

	if (!p)
		return c->r;
	p->kind = MAX(p->kind, want.kind);
	if (why)
		p->why = why;
	scale_number(c, p, c->obj, "from_empty_s", 1e9, SCALE_FROM_EMPTY, round);
	scale_number(c, p, first, "p50", 1, SCALE_FIRST_P50, round);
	scale_number(c, p, first, "p99", 1, SCALE_FIRST_P99, round);
	scale_list(c, p, "in_force_ns", SCALE_IN_FORCE, round);
	scale_list(c, p, "apply_ns", SCALE_APPLY, round);
	scale_number(c, p, memory, "process_kib", 1, SCALE_PROCESS, round);
	scale_number(c, p, memory, "kernel_kib", 1, SCALE_KERNEL, round);
	return c->r;
}

/* ---- idle ---- */

/* The arm of the record, which must be one of its strategy's. */
static size_t take_arm(struct rec *c)
{
	size_t arm = REC_NAMED(c, &c->rep->arms, "arm");
	size_t strategy = REC_NAMED(c, &c->rep->strategies, "strategy");

	if (c->r == 0 && c->rep->arms.v[arm].strategy != strategy)
		(void)rec_fail(c, "arm and strategy do not belong together");
	return arm;
}

int rec_take_idle(struct rec *c)
{
	struct idle_rec want = { .workload = REC_NAMED(c, &c->rep->workloads, "workload"), .arm = take_arm(c) };
	int64_t round = rec_int(c, c->obj, "round", 0, ROUNDS_MAX - 1);
	double process = rec_num(c, c->obj, "process_kib", 0, REC_NUM_MAX), used, stat;
	struct idle_rec *at = NULL;

	(void)rec_num(c, c->obj, "seconds", 0, REC_NUM_MAX);
	for (size_t i = 0; i < c->rep->idle.n && c->r == 0; i++)
		if (c->rep->idle.v[i].workload == want.workload && c->rep->idle.v[i].arm == want.arm)
			at = &c->rep->idle.v[i];
	if (!at && c->r == 0) {
		if (c->rep->idle.n == POINTS_MAX)
			return rec_fail(c, "more than %d arms", POINTS_MAX);
		c->r = vec_push(&c->rep->idle, want);
		at = c->r == 0 ? &c->rep->idle.v[c->rep->idle.n - 1] : NULL;
	}
	if (!at)
		return c->r;
	(void)track_add(c, &at->process_kib, round, process); /* failure is sticky in c */
	if (rec_take_cpu(c, &used, &stat))
		(void)track_add(c, &at->cores, round, used); /* the same */
	else
		at->n_discarded++;
	return c->r;
}

/* ---- faults ---- */

static void add_bin(struct rec *c, struct fault_rec *f, struct fault_bin bin)
{
	size_t low = 0, high = f->timeline.n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (f->timeline.v[mid].ms < bin.ms)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < f->timeline.n && f->timeline.v[low].ms == bin.ms) {
		f->timeline.v[low].ok += bin.ok;
		f->timeline.v[low].failed += bin.failed;
		return;
	}
	if (f->timeline.n == BINS_MAX) {
		(void)rec_fail(c, "more than %d bins", BINS_MAX);
		return;
	}
	c->r = vec_push(&f->timeline, bin);
	if (c->r < 0)
		return;
	memmove(&f->timeline.v[low + 1], &f->timeline.v[low], (f->timeline.n - 1 - low) * sizeof(bin));
	f->timeline.v[low] = bin;
}

static void take_timeline(struct rec *c, struct fault_rec *f)
{
	const json_t *list = rec_list(c, c->obj, "timeline", LIST_MAX), *v;
	size_t i;

	json_array_foreach((json_t *)list, i, v)
	{
		int64_t n[3];

		for (size_t k = 0; k < ARRAY_LEN(n); k++) {
			const json_t *at = json_array_get(v, k);

			n[k] = json_integer_value(at);
			if (json_array_size(v) != ARRAY_LEN(n) || !json_is_integer(at) || n[k] > REC_COUNT_MAX ||
			    n[k] < (k ? 0 : -REC_COUNT_MAX))
				(void)rec_fail(c, "\"timeline\" member %zu is not [ms, ok, failed]", i);
		}
		if (c->r == 0)
			add_bin(c, f, (struct fault_bin){ n[0], (uint64_t)n[1], (uint64_t)n[2] });
	}
}

static struct fault_rec *find_fault(struct rec *c)
{
	struct fault_rec want = {
		.workload = REC_NAMED(c, &c->rep->workloads, "workload"),
		.arm = take_arm(c),
		.fault = rec_str(c, c->obj, "fault"),
	};

	for (size_t i = 0; i < c->rep->faults.n && c->r == 0; i++) {
		struct fault_rec *f = &c->rep->faults.v[i];

		if (f->workload == want.workload && f->arm == want.arm && str_eq(f->fault, want.fault))
			return f;
	}
	if (c->r == 0 && c->rep->faults.n == POINTS_MAX)
		(void)rec_fail(c, "more than %d kinds and arms", POINTS_MAX);
	if (c->r == 0)
		c->r = vec_push(&c->rep->faults, want);
	return c->r < 0 ? NULL : &c->rep->faults.v[c->rep->faults.n - 1];
}

int rec_take_fault(struct rec *c)
{
	struct fault_rec *f = find_fault(c);
	int64_t round = rec_int(c, c->obj, "round", 0, ROUNDS_MAX - 1);
	const struct {
		const char *key;
		uint64_t *n;
	} sums[] = { { "sent", f ? &f->n_sent : NULL },
		     { "ok", f ? &f->n_ok : NULL },
		     { "broken", f ? &f->n_broken : NULL },
		     { "lost", f ? &f->n_lost : NULL },
		     { "wrong", f ? &f->n_wrong : NULL } };

	for (size_t i = 0; i < ARRAY_LEN(sums) && f; i++)
		*sums[i].n += (uint64_t)rec_int(c, c->obj, sums[i].key, 0, REC_COUNT_MAX);
	if (!f)
		return c->r;
	(void)track_add(c, &f->outage_ns, round, rec_num(c, c->obj, "outage_ns", 0, REC_NUM_MAX)); /* sticky in c */
	(void)track_add(c, &f->repair_ns, round, rec_num(c, c->obj, "repair_ns", 0, REC_NUM_MAX)); /* the same */
	take_timeline(c, f);
	f->n_rounds++;
	return c->r;
}

/* ---- the CPU meter ---- */

int rec_take_cpu_check(struct rec *c)
{
	const struct cpu_check check = {
		.what = rec_str(c, c->obj, "what"),
		.stated = rec_num(c, c->obj, "stated_cores", 0, REC_NUM_MAX),
		.measured = rec_num(c, c->obj, "measured_cores", -REC_NUM_MAX, REC_NUM_MAX),
	};

	return c->r < 0 || c->rep->cpu_checks.n >= NOTES_MAX ? c->r : vec_push(&c->rep->cpu_checks, check);
}
