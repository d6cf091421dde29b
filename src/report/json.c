/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine-readable summary: the same numbers as the table and the page, unrounded. Called by app/. docs/report.md describes it. */
#include <errno.h>
#include <math.h>

#include "base/util.h"
#include "report_int.h"

#define SUMMARY_SCHEMA 2

static json_t *interval_json(const struct interval *i)
{
	return json_pack("{s:f, s:f, s:f}", "mid", i->mid, "low", i->low, "high", i->high);
}

/* "against": name of the reference to the comparison with it. */
static json_t *estimate_json(const struct report *r, const struct estimate *est)
{
	json_t *j = json_pack("{s:I, s:o}", "rounds", (json_int_t)est->n, "median", interval_json(&est->median));
	json_t *against = json_object();

	for (int ref = 0; ref < REF_MAX; ref++) {
		const struct against *vs = &est->vs[ref];

		if (vs->n_pairs)
			(void)json_object_set_new(against, r->strategies.v[r->ref[ref]].name,
						  json_pack("{s:I, s:o, s:o, s:s}", "pairs", (json_int_t)vs->n_pairs,
							    "ratio", interval_json(&vs->ratio), "difference",
							    interval_json(&vs->diff), "verdict",
							    outcome_name[vs->verdict]));
	}
	(void)json_object_set_new(j, "against", against);
	return j;
}

static json_t *carried_json(const struct series *s)
{
	json_t *j = json_object();

	for (size_t i = 0; i < s->carried.n; i++)
		(void)json_object_set_new(j, s->carried.v[i].target,
					  s->carried.v[i].counted ? json_integer((json_int_t)s->carried.v[i].n) :
								    json_null());
	return j;
}

static json_t *series_json(const struct report *r, const struct cell *c, size_t arm)
{
	const struct series *s = &c->series[arm];
	json_t *m = json_object();

	for (int k = 0; k < METRIC_MAX; k++) {
		json_t *est;

		if (!s->est[k].n)
			continue;
		est = estimate_json(r, &s->est[k]);
		if (c->n_ranked[k] > 1 && !r->arms.v[arm].twin) {
			(void)json_object_set_new(est, "best", json_boolean(s->est[k].best));
			(void)json_object_set_new(est, "shares_first_place", json_boolean(s->est[k].tied));
		}
		(void)json_object_set_new(m, metrics[k].key, est);
	}
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "arm", r->arms.v[arm].name,
			 "strategy", r->strategies.v[r->arms.v[arm].strategy].name, "kind", record_kind_name[s->kind],
			 "sent", (json_int_t)s->n_sent, "ok", (json_int_t)s->n_ok, "refused", (json_int_t)s->n_refused,
			 "timeout", (json_int_t)s->n_timeout, "other_error", (json_int_t)s->n_other, "wrong",
			 (json_int_t)s->n_wrong, "discarded", (json_int_t)s->n_discarded, "carried", carried_json(s),
			 "metrics", m);
}

static json_t *noise_json(const struct cell *c)
{
	json_t *j = json_object();

	for (int k = 0; k < METRIC_MAX; k++)
		if (c->noise[k].known)
			(void)json_object_set_new(j, metrics[k].key,
						  json_pack("{s:f, s:o}", "floor", c->noise[k].floor, "ratio",
							    interval_json(&c->noise[k].ratio)));
	return j;
}

static json_t *cell_json(const struct report *r, const struct cell *c)
{
	json_t *arms = json_array(), *j;

	for (size_t a = 0; a < r->arms.n; a++)
		if (c->series[a].rows.n)
			(void)json_array_append_new(arms, series_json(r, c, a));
	j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "workload", r->workloads.v[c->workload].name, "load",
		      r->loads.v[c->load].name, "unit", record_unit_name[r->loads.v[c->load].unit], "path", c->path,
		      "family", c->family, "noise", noise_json(c), "arms", arms);
	if (c->axis) {
		(void)json_object_set_new(j, "axis", json_string(c->axis));
		(void)json_object_set_new(j, "x", json_real(c->x));
	}
	return j;
}

static json_t *cells_json(const struct report *r, const struct cell *cells, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(list, cell_json(r, &cells[i]));
	return list;
}

/* What several cells say together; "load": null for all of them. */
static json_t *pool_json(const struct report *r, size_t load, size_t strategy)
{
	json_t *m = json_object();

	for (int k = 0; k < METRIC_MAX; k++) {
		const struct pooled *of = pool_of(r, load, strategy, k);
		json_t *against = json_object();

		for (int ref = 0; ref < REF_MAX; ref++) {
			const struct pool *p = &of->vs[ref];

			if (p->n_cells)
				(void)json_object_set_new(
					against, r->strategies.v[r->ref[ref]].name,
					json_pack("{s:I, s:I, s:I, s:o, s:f, s:s, s:f}", "cells",
						  (json_int_t)p->n_cells, "under", (json_int_t)p->n_under, "over",
						  (json_int_t)p->n_over, "ratio", interval_json(&p->ratio), "floor",
						  p->floor, "verdict", outcome_name[p->verdict], "sign_test_p",
						  p->sign_p));
		}
		if (json_object_size(against) || of->best || of->tied)
			(void)json_object_set_new(m, metrics[k].key,
						  json_pack("{s:O, s:b, s:b}", "against", against, "best", of->best,
							    "shares_first_place", of->tied));
		json_decref(against);
	}
	return json_pack("{s:s?, s:s, s:o}", "load", load < r->loads.n ? r->loads.v[load].name : NULL, "strategy",
			 r->strategies.v[strategy].name, "metrics", m);
}

static json_t *pools_json(const struct report *r)
{
	json_t *list = json_array();

	for (size_t l = 0; l <= r->loads.n; l++)
		for (size_t s = 0; s < r->strategies.n; s++) {
			json_t *j = pool_json(r, l, s);

			if (json_object_size(json_object_get(j, "metrics")))
				(void)json_array_append(list, j);
			json_decref(j);
		}
	return list;
}

static json_t *scale_json(const struct report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->scale.n; i++) {
		const struct scale_point *p = &r->scale.v[i];
		json_t *m = json_object();

		for (int k = 0; k < SCALE_MAX; k++) {
			json_t *est;

			if (!p->est[k].n)
				continue;
			est = estimate_json(r, &p->est[k]);
			(void)json_object_set_new(est, "best", json_boolean(p->est[k].best));
			(void)json_object_set_new(est, "shares_first_place", json_boolean(p->est[k].tied));
			(void)json_object_set_new(m, scale_metrics[k].key, est);
		}
		(void)json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:I, s:s, s:s?, s:o}", "strategy",
							    r->strategies.v[p->strategy].name, "nodes",
							    (json_int_t)p->nodes, "services", (json_int_t)p->services,
							    "endpoints_per_service", (json_int_t)p->endpoints, "kind",
							    record_kind_name[p->kind], "why", p->why, "metrics", m));
	}
	return list;
}

static json_t *idle_json(const struct report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->idle.n; i++) {
		const struct idle_rec *at = &r->idle.v[i];

		(void)json_array_append_new(
			list, json_pack("{s:s, s:s, s:o, s:o}", "workload", r->workloads.v[at->workload].name, "arm",
					r->arms.v[at->arm].name, "cores", estimate_json(r, &at->est_cores),
					"process_kib", estimate_json(r, &at->est_process)));
	}
	return list;
}

static json_t *faults_json(const struct report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->faults.n; i++) {
		const struct fault_rec *f = &r->faults.v[i];

		(void)json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "workload",
				  r->workloads.v[f->workload].name, "arm", r->arms.v[f->arm].name, "fault", f->fault,
				  "rounds", (json_int_t)f->n_rounds, "sent", (json_int_t)f->n_sent, "ok",
				  (json_int_t)f->n_ok, "lost", (json_int_t)f->n_lost, "broken", (json_int_t)f->n_broken,
				  "wrong", (json_int_t)f->n_wrong, "outage_ns", estimate_json(r, &f->est_outage),
				  "repair_ns", estimate_json(r, &f->est_repair)));
	}
	return list;
}

static json_t *objectives_json(const struct report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->curves.n; i++) {
		const struct cell *p = &r->sweeps.v[r->curves.v[i].first];

		for (size_t s = 0; s < r->strategies.n && str_eq(p->axis, "offered"); s++) {
			bool all;
			double x = curve_largest_load(r, &r->curves.v[i], s, &all);

			if (!isnan(x))
				(void)json_array_append_new(
					list,
					json_pack("{s:s, s:s, s:s, s:s, s:s, s:f, s:b}", "workload",
						  r->workloads.v[p->workload].name, "load", r->loads.v[p->load].name,
						  "path", p->path, "family", p->family, "strategy",
						  r->strategies.v[s].name, "largest_load", x, "at_all_loads", all));
		}
	}
	return list;
}

static json_t *checks_json(const struct report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->cpu_checks.n; i++)
		(void)json_array_append_new(list, json_pack("{s:s, s:f, s:f}", "what", r->cpu_checks.v[i].what,
							    "stated_cores", r->cpu_checks.v[i].stated, "measured_cores",
							    r->cpu_checks.v[i].measured));
	return list;
}

static json_t *lines_json(const struct report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->lines.n; i++)
		(void)json_array_append_new(list, json_string(r->lines.v[i]));
	return list;
}

static const char *ref_name(const struct report *r, enum ref ref)
{
	return r->ref[ref] == STRATEGIES_MAX ? NULL : r->strategies.v[r->ref[ref]].name;
}

static json_t *reach_json(const struct report *r)
{
	json_t *list = json_array();

	for (size_t w = 0; w < r->workloads.n; w++)
		for (size_t s = 0; s < r->strategies.n; s++) {
			const struct reach_sum *sum = &r->reach[w * r->strategies.n + s];

			if (sum->n_asked || sum->n_skipped)
				(void)json_array_append_new(
					list,
					json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "workload",
						  r->workloads.v[w].name, "strategy", r->strategies.v[s].name,
						  "services", (json_int_t)sum->n_services, "asked",
						  (json_int_t)sum->n_asked, "ok", (json_int_t)sum->n_ok, "failed",
						  (json_int_t)sum->n_failed, "skipped", (json_int_t)sum->n_skipped));
		}
	return list;
}

static json_t *left_out_json(const struct report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->left_out.n; i++) {
		const struct left_out *l = &r->left_out.v[i];

		(void)json_array_append_new(list,
					    json_pack("{s:s, s:s, s:s, s:s, s:s?, s:s}", "workload", l->workload,
						      "load", l->load, "path", l->path, "family", l->family, "strategy",
						      l->strategy[0] ? l->strategy : NULL, "why", l->why));
	}
	return list;
}

static json_t *refusals_json(const struct report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->refusals.n; i++) {
		const struct refusal *f = &r->refusals.v[i];

		(void)json_array_append_new(list,
					    json_pack("{s:s, s:s, s:s?, s:s?, s:s?, s:s, s:s}", "workload", f->workload,
						      "strategy", f->strategy, "target", f->target, "object", f->object,
						      "field", f->field, "refusal", f->refusal, "detail", f->detail));
	}
	return list;
}

static void add_remark(enum remark_level level, const char *text, void *arg)
{
	static const char *const name[] = { "note", "warning", "alarm" };

	(void)json_array_append_new(arg, json_pack("{s:s, s:s}", "level", name[level], "text", text));
}

int report_print_json(const struct report *r, FILE *f)
{
	json_t *remarks = json_array(), *more, *j;
	int ret = 0;

	report_each_remark(r, add_remark, remarks);
	j = json_pack("{s:i, s:s, s:o, s:s, s:s, s:s, s:b, s:I, s:s?, s:s?, s:o, s:o, s:o}", "schema", SUMMARY_SCHEMA,
		      "answer", r->answer, "lines", lines_json(r), "run", r->run.id, "commit", r->run.commit, "status",
		      run_status_name[r->status], "quick", r->run.quick, "rounds", (json_int_t)r->n_rounds, "baseline",
		      ref_name(r, REF_BOUND), "incumbent", ref_name(r, REF_PEER), "remarks", remarks, "cells",
		      cells_json(r, r->cells.v, r->cells.n), "sweeps", cells_json(r, r->sweeps.v, r->sweeps.n));
	more = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "pools", pools_json(r), "objectives",
			 objectives_json(r), "scale", scale_json(r), "idle", idle_json(r), "faults", faults_json(r),
			 "cpu_checks", checks_json(r), "reach", reach_json(r), "left_out", left_out_json(r), "refusals",
			 refusals_json(r));
	if (j && (!more || json_object_update(j, more) < 0)) {
		json_decref(j);
		j = NULL;
	}
	json_decref(more);
	if (!j)
		return -ENOMEM;
	if (json_dumpf(j, f, JSON_INDENT(2)) < 0 || fputc('\n', f) == EOF)
		ret = -EIO;
	json_decref(j);
	return ret;
}
