/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Samples and points of sweeps into the report. Called by load_rec.c. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hist.h"
#include "base/util.h"
#include "report_int.h"

const char *const record_kind_name[KIND_MAX] = { "real", "emulated", "modelled" };

/* The cell, or the point of a sweep, that is like `want`. NULL with c->r set. */
static struct cell *find_cell(struct rec *c, const struct cell *want)
{
	struct report *rep = c->rep;
	struct cell cell = *want;

	size_t n = want->axis ? rep->sweeps.n : rep->cells.n;

	for (size_t i = n; i > 0; i--) { /* the last ones are the likely ones */
		struct cell *at = want->axis ? &rep->sweeps.v[i - 1] : &rep->cells.v[i - 1];

		if (at->workload == want->workload && at->load == want->load && str_eq(at->path, want->path) &&
		    str_eq(at->family, want->family) && at->x == want->x && at->axis == want->axis)
			return at;
	}
	if (n == CELLS_MAX || (rep->sweeps.n + rep->cells.n + 1) * rep->arms.n > SERIES_MAX)
		return rec_fail(c, "more than %d cells or %d series", CELLS_MAX, SERIES_MAX), NULL;
	cell.series = calloc(rep->arms.n, sizeof(*cell.series));
	if (!cell.series || (want->axis ? vec_push(&rep->sweeps, cell) : vec_push(&rep->cells, cell)) < 0) {
		free(cell.series);
		c->r = -ENOMEM;
		return NULL;
	}
	return want->axis ? &rep->sweeps.v[n] : &rep->cells.v[n];
}

/* The row of a round; rows stay sorted. NULL with c->r set. */
static struct round_row *find_row(struct rec *c, struct series *s, int64_t round)
{
	struct round_row row = { .round = round };
	size_t at = s->rows.n;

	while (at > 0 && s->rows.v[at - 1].round > round)
		at--;
	if (at > 0 && s->rows.v[at - 1].round == round)
		return &s->rows.v[at - 1];
	for (int m = 0; m < METRIC_MAX; m++)
		row.v[m] = NAN;
	c->r = vec_push(&s->rows, row);
	if (c->r < 0)
		return NULL;
	memmove(&s->rows.v[at + 1], &s->rows.v[at], (s->rows.n - 1 - at) * sizeof(row));
	s->rows.v[at] = row;
	return &s->rows.v[at];
}

static void add_pair(struct rec *c, struct series *s, struct hist_pair p)
{
	size_t low = 0, high = s->hist.n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (s->hist.v[mid].bucket < p.bucket)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < s->hist.n && s->hist.v[low].bucket == p.bucket) {
		s->hist.v[low].count += p.count;
		return;
	}
	c->r = vec_push(&s->hist, p);
	if (c->r < 0)
		return;
	memmove(&s->hist.v[low + 1], &s->hist.v[low], (s->hist.n - 1 - low) * sizeof(p));
	s->hist.v[low] = p;
}

static void take_hist(struct rec *c, struct series *s)
{
	const json_t *list = rec_list(c, c->obj, "hist", HIST_BUCKETS), *v;
	size_t i;

	json_array_foreach((json_t *)list, i, v)
	{
		const json_t *bucket = json_array_get(v, 0), *count = json_array_get(v, 1);
		json_int_t b = json_integer_value(bucket), n = json_integer_value(count);

		if (json_array_size(v) != 2 || !json_is_integer(bucket) || !json_is_integer(count) || b < 0 ||
		    b >= HIST_BUCKETS || n < 0 || n > REC_COUNT_MAX)
			(void)rec_fail(c, "\"hist\" member %zu is no pair of bucket (below %d) and count", i,
				       HIST_BUCKETS);
		if (c->r < 0)
			return;
		if (n > 0)
			add_pair(c, s, (struct hist_pair){ (uint32_t)b, (uint64_t)n });
	}
}

bool rec_take_cpu(struct rec *c, double *ret_used, double *ret_stat)
{
	const json_t *cpu = rec_obj(c, c->obj, "cpu");
	double used = rec_num(c, cpu, "used_cores", -REC_NUM_MAX, REC_NUM_MAX);
	double stat = rec_num(c, cpu, "stat_cores", -REC_NUM_MAX, REC_NUM_MAX);

	(void)rec_num(c, cpu, "steal_share", -1, 2);
	if (rec_bool(c, cpu, "discard") || c->r < 0)
		return false;
	*ret_used = used;
	*ret_stat = stat;
	return true;
}

static void take_cpu(struct rec *c, struct series *s, struct round_row *row, enum metric m, double units)
{
	double used, stat;

	if (!rec_take_cpu(c, &used, &stat)) {
		s->n_discarded++;
		return;
	}
	if (units <= 0)
		return;
	row->v[m] = rec_num(c, c->obj, "cpu_per_unit_ns", -REC_NUM_MAX, REC_NUM_MAX);
	if (c->r == 0 && used > 0)
		c->r = vec_push(&c->rep->cpu_difference, fabs(used - stat) / used);
}

/* Only where each request's time is known. */
static void take_latency(struct rec *c, struct series *s, struct round_row *row, uint64_t ok)
{
	static const char *const key[] = { "p50", "p90", "p99", "p999" };
	const json_t *latency;

	if (!json_object_get(c->obj, "latency_ns"))
		return;
	latency = rec_obj(c, c->obj, "latency_ns");
	for (size_t i = 0; i < ARRAY_LEN(key); i++) {
		double v = rec_num(c, latency, key[i], 0, REC_NUM_MAX);

		if (c->r == 0 && ok > 0)
			row->v[METRIC_P50 + i] = v;
	}
	if (json_object_get(c->obj, "hist"))
		take_hist(c, s);
	s->n_open_ok += ok;
	s->n_timed++;
}

static void take_lateness(struct rec *c, struct series *s)
{
	double lateness;

	if (!json_object_get(c->obj, "lateness_p99_ns"))
		return;
	lateness = rec_num(c, c->obj, "lateness_p99_ns", 0, REC_NUM_MAX);
	if (c->r == 0)
		c->r = vec_push(&s->lateness, lateness);
}

static void take_carried(struct rec *c, struct series *s)
{
	const json_t *list = rec_obj(c, c->obj, "carried");
	const char *target;
	json_t *v;

	json_object_foreach((json_t *)list, target, v)
	{
		struct carried *at = NULL;
		uint64_t n;

		for (size_t i = 0; i < s->carried.n; i++)
			if (str_eq(s->carried.v[i].target, target))
				at = &s->carried.v[i];
		if (!at && s->carried.n == TIERS_MAX)
			(void)rec_fail(c, "\"carried\" names more than %d targets", TIERS_MAX);
		if (!at && c->r == 0) {
			c->r = vec_push(&s->carried, ((struct carried){ .target = rec_keep(c, target) }));
			at = c->r == 0 ? &s->carried.v[s->carried.n - 1] : NULL;
		}
		if (!at || json_is_null(v))
			continue;
		n = (uint64_t)rec_int(c, list, target, 0, REC_COUNT_MAX);
		at->n += n;
		at->counted = true;
		s->n_connections += n;
		s->counted = true;
	}
}

static void take_counts(struct rec *c, struct series *s, enum mode mode, uint64_t *ret_ok)
{
	uint64_t sent = (uint64_t)rec_int(c, c->obj, "sent", 0, REC_COUNT_MAX);
	uint64_t refused = (uint64_t)rec_int(c, c->obj, "refused", 0, REC_COUNT_MAX);
	uint64_t timeout = (uint64_t)rec_int(c, c->obj, "timeout", 0, REC_COUNT_MAX);
	uint64_t other = (uint64_t)rec_int(c, c->obj, "other_error", 0, REC_COUNT_MAX);

	*ret_ok = (uint64_t)rec_int(c, c->obj, "ok", 0, REC_COUNT_MAX);
	s->n_ok += *ret_ok;
	s->n_sent += sent;
	s->n_refused += refused;
	s->n_timeout += timeout;
	s->n_other += other;
	s->n_wrong += (uint64_t)rec_int(c, c->obj, "wrong", 0, REC_COUNT_MAX);
	s->n_sent_in[mode] += sent;
	s->n_failed_in[mode] += refused + timeout + other;
	take_carried(c, s);
}

enum kind rec_take_kind(struct rec *c)
{
	const char *kind = rec_str(c, c->obj, "kind");

	for (int k = 0; k < KIND_MAX && c->r == 0; k++)
		if (str_eq(kind, record_kind_name[k]))
			return k;
	(void)rec_fail(c, "\"kind\" is \"%s\", not real, emulated or modelled", kind);
	return KIND_REAL;
}

static enum mode take_mode(struct rec *c)
{
	const char *mode = rec_str(c, c->obj, "mode");

	if (c->r == 0 && !str_eq(mode, "open") && !str_eq(mode, "closed"))
		(void)rec_fail(c, "\"mode\" is \"%s\", not open or closed", mode ? mode : "");
	return str_eq(mode, "closed") ? MODE_CLOSED : MODE_OPEN;
}

static struct series *sample_series(struct rec *c, bool sweep)
{
	const struct cell want = {
		.workload = REC_NAMED(c, &c->rep->workloads, "workload"),
		.load = REC_NAMED(c, &c->rep->loads, "load"),
		.path = rec_str(c, c->obj, "path"),
		.family = rec_str(c, c->obj, "family"),
		.axis = sweep ? rec_str(c, c->obj, "axis") : NULL, /* one text is kept once: pointers compare */
		.x = sweep ? rec_num(c, c->obj, "x", 0, REC_NUM_MAX) : 0,
	};
	size_t arm = REC_NAMED(c, &c->rep->arms, "arm");
	size_t strategy = REC_NAMED(c, &c->rep->strategies, "strategy");
	enum kind kind = rec_take_kind(c);
	struct cell *cell = c->r < 0 ? NULL : find_cell(c, &want);
	struct series *s = cell ? &cell->series[arm] : NULL;

	if (!s)
		return NULL;
	if (c->rep->arms.v[arm].strategy != strategy)
		return rec_fail(c, "arm and strategy do not belong together"), NULL;
	if (s->rows.n > 0 && s->kind != kind)
		return rec_fail(c, "kind \"%s\" among samples of kind \"%s\" of the same arm", record_kind_name[kind],
				record_kind_name[s->kind]),
		       NULL;
	s->kind = kind;
	return s;
}

/* What only some loads tell. */
static void take_rest(struct rec *c, struct series *s, bool sweep)
{
	double median;

	if (json_object_get(c->obj, "retransmits"))
		s->n_retransmits += (uint64_t)rec_int(c, c->obj, "retransmits", 0, REC_COUNT_MAX);
	if (json_object_get(c->obj, "lost_share")) {
		double lost = rec_num(c, c->obj, "lost_share", 0, 1);

		if (c->r == 0)
			c->r = vec_push(&s->lost_share, lost);
	}
	if (!sweep)
		return;
	if (json_object_get(c->obj, "changes"))
		s->n_changes += (uint64_t)rec_int(c, c->obj, "changes", 0, REC_COUNT_MAX);
	if (json_object_get(c->obj, "broken"))
		s->n_broken += (uint64_t)rec_int(c, c->obj, "broken", 0, REC_COUNT_MAX);
	if (json_object_get(c->obj, "in_force_ns"))
		(void)rec_numbers(c, "in_force_ns", &s->in_force, &median); /* failure is sticky in c */
}

int rec_take_sample(struct rec *c, bool sweep)
{
	struct series *s = sample_series(c, sweep);
	int64_t round = rec_int(c, c->obj, "round", 0, ROUNDS_MAX - 1);
	enum mode mode = take_mode(c);
	struct round_row *row;
	double units;
	uint64_t ok;

	if (c->r == 0 && c->rep->n_samples++ == SAMPLES_MAX)
		return rec_fail(c, "more than %d samples", SAMPLES_MAX);
	row = c->r < 0 ? NULL : find_row(c, s, round);
	if (!row)
		return c->r;
	if (row->modes & (1u << mode))
		return rec_fail(c, "a second %s %s of this cell and arm in round %d",
				mode == MODE_OPEN ? "open" : "closed", c->type, (int)round);
	row->modes |= 1u << mode;
	take_counts(c, s, mode, &ok);
	s->n_samples[mode]++;
	units = rec_num(c, c->obj, "units", 0, REC_NUM_MAX);
	if (mode == MODE_OPEN) {
		take_latency(c, s, row, ok);
		take_lateness(c, s);
	}
	/* In an open slice the rate is what was offered; along an axis it shows where that is no longer carried. */
	if ((mode == MODE_CLOSED || sweep) && units > 0)
		row->v[METRIC_RATE] = rec_num(c, c->obj, "rate", 0, REC_NUM_MAX);
	take_cpu(c, s, row, mode == MODE_OPEN ? METRIC_CPU : METRIC_CPU_FULL, units);
	take_rest(c, s, sweep);
	return c->r;
}
