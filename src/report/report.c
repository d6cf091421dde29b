/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of a report and small questions about it. */
#include <stdlib.h>

#include "base/util.h"
#include "report_int.h"

static void free_cells(const struct report *r, struct cell *cells, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t a = 0; a < r->arms.n; a++) {
			struct series *s = &cells[i].series[a];

			vec_free(&s->rows);
			vec_free(&s->hist);
			vec_free(&s->lateness);
			vec_free(&s->carried);
			vec_free(&s->lost_share);
			vec_free(&s->in_force);
		}
		free(cells[i].series);
	}
}

static void free_experiments(struct report *r)
{
	for (size_t i = 0; i < r->scale.n; i++) {
		for (int m = 0; m < SCALE_MAX; m++)
			vec_free(&r->scale.v[i].values[m].at);
		vec_free(&r->scale.v[i].in_force);
	}
	for (size_t i = 0; i < r->idle.n; i++) {
		vec_free(&r->idle.v[i].cores.at);
		vec_free(&r->idle.v[i].process_kib.at);
	}
	for (size_t i = 0; i < r->faults.n; i++) {
		vec_free(&r->faults.v[i].outage_ns.at);
		vec_free(&r->faults.v[i].repair_ns.at);
		vec_free(&r->faults.v[i].timeline);
	}
	vec_free(&r->scale);
	vec_free(&r->idle);
	vec_free(&r->faults);
	vec_free(&r->cpu_checks);
	vec_free(&r->curves);
	vec_free(&r->sweeps);
}

void report_free(struct report *r)
{
	if (!r)
		return;
	free_cells(r, r->cells.v, r->cells.n);
	free_cells(r, r->sweeps.v, r->sweeps.n);
	free_experiments(r);
	for (size_t i = 0; i < r->lines.n; i++)
		free(r->lines.v[i]);
	vec_free(&r->lines);
	vec_free(&r->strategies);
	vec_free(&r->arms);
	vec_free(&r->loads);
	vec_free(&r->tools);
	vec_free(&r->workloads);
	vec_free(&r->cells);
	vec_free(&r->left_out);
	vec_free(&r->refusals);
	vec_free(&r->reach_notes);
	vec_free(&r->testbeds);
	vec_free(&r->cpu_difference);
	free(r->reach);
	free(r->pooled);
	free(r->answer);
	map_free(r->strings, NULL);
	arena_free(r->arena);
	free(r);
}

const char *report_answer(const struct report *r)
{
	return r->answer;
}

const struct series *cell_series(const struct report *r, const struct cell *c, size_t strategy)
{
	size_t arm = strategy < r->strategies.n ? r->strategies.v[strategy].arm : ARMS_MAX;

	return arm < r->arms.n ? &c->series[arm] : NULL;
}

const struct estimate *cell_estimate(const struct report *r, const struct cell *c, size_t strategy, enum metric m)
{
	const struct series *s = cell_series(r, c, strategy);

	return s && s->est[m].n ? &s->est[m] : NULL;
}

bool series_failing(const struct series *s)
{
	for (int m = 0; m < MODE_MAX; m++)
		if ((double)s->n_failed_in[m] > FAIL_SHARE_MAX * (double)s->n_sent_in[m])
			return true;
	return false;
}

bool strategy_measured(const struct report *r, size_t strategy)
{
	for (size_t i = 0; i < r->cells.n; i++) {
		const struct series *s = cell_series(r, &r->cells.v[i], strategy);

		if (s && s->rows.n > 0)
			return true;
	}
	return false;
}
