/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine-readable summary: the same numbers as the table and the page, unrounded. Called by app/. docs/report.md describes it. */
#include <errno.h>

#include "report_int.h"

#define SUMMARY_SCHEMA 2

static json_t *interval_json(const struct interval *i)
{
	return json_pack("{s:f, s:f, s:f}", "mid", i->mid, "low", i->low, "high", i->high);
}

static json_t *estimate_json(const struct estimate *est)
{
	json_t *j = json_pack("{s:I, s:o}", "rounds", (json_int_t)est->n, "median", interval_json(&est->median));

	if (!j || !est->n_pairs)
		return j;
	(void)json_object_update_new(j, json_pack("{s:I, s:o, s:o, s:s}", "pairs", (json_int_t)est->n_pairs, "ratio",
						  interval_json(&est->ratio), "difference", interval_json(&est->diff),
						  "verdict", outcome_name[est->verdict]));
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
		est = estimate_json(&s->est[k]);
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

static json_t *cells_json(const struct report *r)
{
	json_t *cells = json_array();

	for (size_t i = 0; i < r->cells.n; i++) {
		const struct cell *c = &r->cells.v[i];
		json_t *arms = json_array();

		for (size_t a = 0; a < r->arms.n; a++)
			if (c->series[a].rows.n)
				(void)json_array_append_new(arms, series_json(r, c, a));
		(void)json_array_append_new(cells, json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "workload",
							     r->workloads.v[c->workload].name, "load",
							     r->loads.v[c->load].name, "path", c->path, "family",
							     c->family, "noise", noise_json(c), "arms", arms));
	}
	return cells;
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
					    json_pack("{s:s, s:s, s:s, s:s, s:s}", "workload", l->workload, "load",
						      l->load, "path", l->path, "family", l->family, "why", l->why));
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
	json_t *remarks = json_array(), *j;
	int ret = 0;

	report_each_remark(r, add_remark, remarks);
	j = json_pack("{s:i, s:s, s:s, s:s, s:s, s:b, s:I, s:s?, s:o, s:o, s:o, s:o, s:o}", "schema", SUMMARY_SCHEMA,
		      "answer", r->answer, "run", r->run.id, "commit", r->run.commit, "status",
		      run_status_name[r->status], "quick", r->run.quick, "rounds", (json_int_t)r->n_rounds, "baseline",
		      r->base == STRATEGIES_MAX ? NULL : r->strategies.v[r->base].name, "remarks", remarks, "cells",
		      cells_json(r), "reach", reach_json(r), "left_out", left_out_json(r), "refusals",
		      refusals_json(r));
	if (!j)
		return -ENOMEM;
	if (json_dumpf(j, f, JSON_INDENT(2)) < 0 || fputc('\n', f) == EOF)
		ret = -EIO;
	json_decref(j);
	return ret;
}
