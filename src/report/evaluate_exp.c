/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Estimates of the experiments: sweeps (each point as a cell), scale, idle, faults. Called by evaluate.c.
 *
 * Scale, idle and fault records have no A/A twins: a verdict there means only that the interval of the ratio does not hold 1.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "report_int.h"

#define SEEDS_SWEEP CELLS_MAX /* numbers of points follow those of cells */
#define SEEDS_EXP (UINT64_C(1) << 40)

static bool same_curve(const struct cell *a, const struct cell *b)
{
	return a->workload == b->workload && a->load == b->load && str_eq(a->path, b->path) &&
	       str_eq(a->family, b->family) && a->axis == b->axis;
}

static int eval_sweeps(struct report *r)
{
	int ret = 0;

	if (r->sweeps.n)
		qsort(r->sweeps.v, r->sweeps.n, sizeof(*r->sweeps.v), report_compare_cells);
	for (size_t i = 0; i < r->sweeps.n && ret == 0; i++) {
		struct cell *c = &r->sweeps.v[i];

		c->number = SEEDS_SWEEP + i;
		ret = evaluate_cell(r, c);
		if (ret == 0 && (i == 0 || !same_curve(c, &c[-1])))
			ret = vec_push(&r->curves, ((struct curve){ .first = i }));
		if (ret == 0)
			r->curves.v[r->curves.n - 1].n++;
	}
	return ret;
}

double curve_largest_load(const struct report *r, const struct curve *c, size_t strategy, bool *ret_all)
{
	double x = 0;
	bool any = false;

	*ret_all = true;
	for (size_t i = c->first; i < c->first + c->n; i++) {
		const struct cell *p = &r->sweeps.v[i];
		const struct series *s = cell_series(r, p, strategy);

		if (!s || !s->rows.n)
			continue;
		any = true;
		/* Without a p99 no request was answered. */
		if (!s->est[METRIC_P99].n || s->est[METRIC_P99].median.mid > OBJECTIVE_P99_NS || series_failing(s) ||
		    (s->est[METRIC_RATE].n && s->est[METRIC_RATE].median.mid < CARRIED_SHARE_MIN * p->x)) {
			*ret_all = false;
			break;
		}
		x = p->x;
	}
	return any ? x : NAN;
}

/* ---- scale ---- */

static int compare_points(const void *pa, const void *pb)
{
	const struct scale_point *a = pa, *b = pb;

	if (a->nodes != b->nodes)
		return a->nodes < b->nodes ? -1 : 1;
	if (a->endpoints != b->endpoints)
		return a->endpoints < b->endpoints ? -1 : 1;
	if (a->services != b->services)
		return a->services < b->services ? -1 : 1;
	return a->strategy < b->strategy ? -1 : a->strategy > b->strategy;
}

const struct scale_point *scale_find(const struct report *r, size_t strategy, int64_t nodes, int64_t services,
				     int64_t endpoints)
{
	for (size_t i = 0; i < r->scale.n; i++) {
		const struct scale_point *p = &r->scale.v[i];

		if (p->strategy == strategy && p->nodes == nodes && p->services == services &&
		    p->endpoints == endpoints)
			return p;
	}
	return NULL;
}

/* Under PAIRS_MIN rounds nobody is ranked. */
static bool may_win(const struct report *r, const struct scale_point *p, enum scale_metric m)
{
	return p->est[m].n >= PAIRS_MIN && p->kind == KIND_REAL && r->strategies.v[p->strategy].services;
}

/* The best median among real strategies with Services; whose interval touches that of the best shares the place. */
static void eval_scale_best(struct report *r, size_t first, size_t n, enum scale_metric m)
{
	struct scale_point *best = NULL;
	size_t n_ranked = 0;
	bool alone = true;

	for (size_t i = first; i < first + n; i++) {
		struct scale_point *p = &r->scale.v[i];

		if (!may_win(r, p, m))
			continue;
		n_ranked++;
		if (!best || p->est[m].median.mid < best->est[m].median.mid)
			best = p;
	}
	if (n_ranked < 2)
		return;
	for (size_t i = first; i < first + n; i++) {
		struct scale_point *p = &r->scale.v[i];

		if (p == best || !may_win(r, p, m))
			continue;
		/* Intervals of the medians, as rounds may be few: conservative. */
		p->est[m].tied = p->est[m].median.low <= best->est[m].median.high;
		alone = alone && !p->est[m].tied;
	}
	best->est[m].best = alone;
	best->est[m].tied = !alone;
}

static int eval_scale(struct report *r)
{
	int ret = 0;

	if (r->scale.n)
		qsort(r->scale.v, r->scale.n, sizeof(*r->scale.v), compare_points);
	for (size_t i = 0; i < r->scale.n && ret == 0; i++) {
		struct scale_point *p = &r->scale.v[i];
		const struct scale_point *ref[REF_MAX];

		for (int k = 0; k < REF_MAX; k++)
			ref[k] = scale_find(r, r->ref[k], p->nodes, p->services, p->endpoints);
		for (int m = 0; m < SCALE_MAX && ret == 0; m++) {
			const struct track *tracks[REF_MAX] = {};

			for (int k = 0; k < REF_MAX; k++)
				tracks[k] = ref[k] && ref[k] != p ? &ref[k]->values[m] : NULL;
			ret = evaluate_track(&p->values[m], tracks, SEEDS_EXP + (i * SCALE_MAX + (size_t)m) * 8,
					     &p->est[m]);
		}
	}
	for (size_t i = 0, n; i < r->scale.n && ret == 0; i += n) {
		const struct scale_point *p = &r->scale.v[i];

		for (n = 1; i + n < r->scale.n && p[n].nodes == p->nodes && p[n].endpoints == p->endpoints &&
			    p[n].services == p->services;)
			n++;
		for (int m = 0; m < SCALE_MAX; m++)
			eval_scale_best(r, i, n, m);
	}
	return ret;
}

/* ---- idle, faults ---- */

static const struct idle_rec *idle_of(const struct report *r, size_t workload, size_t strategy)
{
	size_t arm = strategy < r->strategies.n ? r->strategies.v[strategy].arm : ARMS_MAX;

	for (size_t i = 0; i < r->idle.n; i++)
		if (r->idle.v[i].workload == workload && r->idle.v[i].arm == arm)
			return &r->idle.v[i];
	return NULL;
}

static const struct fault_rec *fault_of(const struct report *r, const struct fault_rec *like, size_t strategy)
{
	size_t arm = strategy < r->strategies.n ? r->strategies.v[strategy].arm : ARMS_MAX;

	for (size_t i = 0; i < r->faults.n; i++)
		if (r->faults.v[i].workload == like->workload && r->faults.v[i].arm == arm &&
		    str_eq(r->faults.v[i].fault, like->fault))
			return &r->faults.v[i];
	return NULL;
}

static int eval_idle(struct report *r)
{
	int ret = 0;

	for (size_t i = 0; i < r->idle.n && ret == 0; i++) {
		struct idle_rec *at = &r->idle.v[i];
		const struct track *cores[REF_MAX] = {}, *process[REF_MAX] = {};

		for (int k = 0; k < REF_MAX; k++) {
			const struct idle_rec *ref = idle_of(r, at->workload, r->ref[k]);

			cores[k] = ref && ref != at ? &ref->cores : NULL;
			process[k] = ref && ref != at ? &ref->process_kib : NULL;
		}
		ret = evaluate_track(&at->cores, cores, 2 * SEEDS_EXP + i * 16, &at->est_cores);
		if (ret == 0)
			ret = evaluate_track(&at->process_kib, process, 2 * SEEDS_EXP + i * 16 + 8, &at->est_process);
	}
	return ret;
}

static int compare_faults(const void *pa, const void *pb)
{
	const struct fault_rec *a = pa, *b = pb;
	int d = strcmp(a->fault, b->fault);

	if (a->workload != b->workload)
		return a->workload < b->workload ? -1 : 1;
	return d ? d : a->arm < b->arm ? -1 : a->arm > b->arm;
}

static int eval_faults(struct report *r)
{
	int ret = 0;

	if (r->faults.n)
		qsort(r->faults.v, r->faults.n, sizeof(*r->faults.v), compare_faults);
	for (size_t i = 0; i < r->faults.n && ret == 0; i++) {
		struct fault_rec *at = &r->faults.v[i];
		const struct track *outage[REF_MAX] = {}, *repair[REF_MAX] = {};

		for (int k = 0; k < REF_MAX; k++) {
			const struct fault_rec *ref = fault_of(r, at, r->ref[k]);

			outage[k] = ref && ref != at ? &ref->outage_ns : NULL;
			repair[k] = ref && ref != at ? &ref->repair_ns : NULL;
		}
		ret = evaluate_track(&at->outage_ns, outage, 3 * SEEDS_EXP + i * 16, &at->est_outage);
		if (ret == 0)
			ret = evaluate_track(&at->repair_ns, repair, 3 * SEEDS_EXP + i * 16 + 8, &at->est_repair);
	}
	return ret;
}

int report_evaluate_exp(struct report *r)
{
	int ret = eval_sweeps(r);

	if (ret == 0)
		ret = eval_scale(r);
	if (ret == 0)
		ret = eval_idle(r);
	return ret < 0 ? ret : eval_faults(r);
}
