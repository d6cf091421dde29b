/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of a report and small questions about it. */
#include <stdlib.h>

#include "base/util.h"
#include "report_int.h"

void report_free(struct report *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->cells.n; i++) {
		for (size_t a = 0; a < r->arms.n; a++) {
			vec_free(&r->cells.v[i].series[a].rows);
			vec_free(&r->cells.v[i].series[a].hist);
			vec_free(&r->cells.v[i].series[a].lateness);
			vec_free(&r->cells.v[i].series[a].carried);
		}
		free(r->cells.v[i].series);
	}
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
