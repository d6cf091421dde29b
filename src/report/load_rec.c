/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each type of record into the report (docs/records.md). Called by load.c. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hist.h"
#include "base/util.h"
#include "report_int.h"

#define COUNT_MAX ((int64_t)1 << 53)
#define NUM_MAX 1e18

const char *const record_kind_name[KIND_MAX] = { "real", "emulated", "modelled" };
const char *const record_unit_name[UNIT_MAX] = { "request", "MiB" };
const char *const run_status_name[RUN_STATUS_MAX] = { "complete", "interrupted", "failed", "killed" };

/* ---- names that the run record gave ---- */

#define FIND(list, want)                                                        \
	({                                                                      \
		size_t at_ = 0;                                                 \
		while (at_ < (list)->n && !str_eq((list)->v[at_].name, (want))) \
			at_++;                                                  \
		at_;                                                            \
	})

/* The index of the name in member `key` of the record; 0 with c->r set when the run record has no such name. */
#define REC_NAMED(c, list, key)                                                                  \
	({                                                                                       \
		const char *name_ = rec_str((c), (c)->obj, (key));                               \
		size_t i_ = (c)->r < 0 ? 0 : FIND((list), name_);                                \
		if ((c)->r == 0 && i_ == (list)->n) {                                            \
			(void)rec_fail((c), "%s \"%s\" is not in the run record", (key), name_); \
			i_ = 0;                                                                  \
		}                                                                                \
		i_;                                                                              \
	})

/* ---- run ---- */

static const char *cpu_numbers(struct rec *c, const json_t *obj, const char *key)
{
	const json_t *list = rec_list(c, obj, key, 4096), *v;
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	size_t i;

	json_array_foreach((json_t *)list, i, v)
	{
		if (!json_is_integer(v))
			return rec_fail(c, "\"%s\" holds something else than CPU numbers", key), "";
		strbuf_addf(&sb, "%s%" JSON_INTEGER_FORMAT, i ? ", " : "", json_integer_value(v));
	}
	return rec_keep(c, sb.buf ? sb.buf : "any");
}

static void take_machine(struct rec *c, struct run_rec *run)
{
	const json_t *m = rec_obj(c, c->obj, "machine");
	const json_t *p = rec_obj(c, c->obj, "placement");

	run->kernel = rec_str(c, m, "kernel");
	run->os = rec_str(c, m, "os");
	run->cpu = rec_str(c, m, "cpu");
	run->n_cpus = rec_int(c, m, "n_cpus", 1, 1 << 20);
	run->memory_mib = rec_int(c, m, "memory_mib", 0, COUNT_MAX);
	run->is_virtual = rec_bool(c, m, "virtual");
	run->congestion_control = rec_str(c, m, "congestion_control");
	run->load_1m = rec_num(c, m, "load_1m", 0, 1e9);
	run->servers = cpu_numbers(c, p, "servers");
	run->generator = cpu_numbers(c, p, "generator");
}

static void take_strategies(struct rec *c)
{
	const json_t *list = rec_list(c, c->obj, "strategies", STRATEGIES_MAX), *v;
	struct report *rep = c->rep;
	size_t i;

	json_array_foreach((json_t *)list, i, v)
	{
		struct strategy_rec s = { .name = rec_str(c, v, "name"),
					  .text = rec_str(c, v, "text"),
					  .services = rec_bool(c, v, "service_addresses"),
					  .version = rec_str_or_null(c, v, "version"),
					  .arm = ARMS_MAX };

		if (c->r == 0 && FIND(&rep->strategies, s.name) < rep->strategies.n)
			(void)rec_fail(c, "strategy \"%s\" stands there twice", s.name);
		if (c->r == 0)
			c->r = vec_push(&rep->strategies, s);
	}
}

static bool ends_in(const char *s, const char *end)
{
	size_t s_len = strlen(s), end_len = strlen(end);

	return s_len >= end_len && str_eq(s + s_len - end_len, end);
}

static void take_arms(struct rec *c)
{
	const json_t *list = rec_list(c, c->obj, "arms", ARMS_MAX), *v;
	struct report *rep = c->rep;
	size_t i;

	json_array_foreach((json_t *)list, i, v)
	{
		const char *strategy = rec_str(c, v, "strategy");
		struct arm_rec a = { .name = rec_str(c, v, "arm"), .strategy = FIND(&rep->strategies, strategy) };

		a.twin = ends_in(a.name, "(A/A)");
		if (c->r == 0 && a.strategy == rep->strategies.n)
			(void)rec_fail(c, "arm \"%s\" is of strategy \"%s\", which is not in \"strategies\"", a.name,
				       strategy);
		if (c->r == 0 && FIND(&rep->arms, a.name) < rep->arms.n)
			(void)rec_fail(c, "arm \"%s\" stands there twice", a.name);
		if (c->r == 0 && !a.twin && rep->strategies.v[a.strategy].arm != ARMS_MAX)
			(void)rec_fail(c, "strategy \"%s\" has two arms that are no A/A", strategy);
		if (c->r < 0)
			return;
		if (!a.twin)
			rep->strategies.v[a.strategy].arm = rep->arms.n;
		c->r = vec_push(&rep->arms, a);
	}
}

static enum unit take_unit(struct rec *c, const json_t *obj)
{
	const char *unit = rec_str(c, obj, "unit");

	for (int u = 0; u < UNIT_MAX && c->r == 0; u++)
		if (str_eq(unit, record_unit_name[u]))
			return u;
	(void)rec_fail(c, "\"unit\" is \"%s\", not request or MiB", unit);
	return UNIT_REQUEST;
}

static void take_tools(struct rec *c)
{
	const json_t *list = rec_list(c, c->obj, "tools", TOOLS_MAX), *v;
	size_t i;

	json_array_foreach((json_t *)list, i, v)
	{
		struct tool_rec t = { .name = rec_str(c, v, "name"), .version = rec_str(c, v, "version") };

		if (c->r == 0)
			c->r = vec_push(&c->rep->tools, t);
	}
}

static void take_loads_and_workloads(struct rec *c)
{
	const json_t *loads = rec_list(c, c->obj, "loads", LOADS_MAX), *v;
	const json_t *workloads = rec_list(c, c->obj, "workloads", WORKLOADS_MAX);
	struct report *rep = c->rep;
	size_t i;

	take_tools(c);
	json_array_foreach((json_t *)loads, i, v)
	{
		struct load_rec l = { .name = rec_str(c, v, "name"),
				      .text = rec_str(c, v, "text"),
				      .unit = take_unit(c, v),
				      .open = rec_bool(c, v, "open"),
				      .closed = rec_bool(c, v, "closed"),
				      .offered = rec_num(c, v, "offered", 0, NUM_MAX),
				      .connections = rec_int(c, v, "connections", 0, COUNT_MAX) };

		if (c->r == 0 && FIND(&rep->loads, l.name) < rep->loads.n)
			(void)rec_fail(c, "load \"%s\" stands there twice", l.name);
		if (c->r == 0)
			c->r = vec_push(&rep->loads, l);
	}
	json_array_foreach((json_t *)workloads, i, v)
	{
		struct workload_rec w = { .name = rec_str(c, v, "name"),
					  .nodes = rec_int(c, v, "nodes", 0, COUNT_MAX),
					  .pods = rec_int(c, v, "pods", 0, COUNT_MAX),
					  .services = rec_int(c, v, "services", 0, COUNT_MAX),
					  .endpoints = rec_int(c, v, "endpoints", 0, COUNT_MAX) };

		if (c->r == 0 && FIND(&rep->workloads, w.name) < rep->workloads.n)
			(void)rec_fail(c, "workload \"%s\" stands there twice", w.name);
		if (c->r == 0)
			c->r = vec_push(&rep->workloads, w);
	}
}

static int take_run(struct rec *c)
{
	struct run_rec *run = &c->rep->run;

	if (c->rep->have_run)
		return rec_fail(c, "a second run in one file");
	c->rep->have_run = true;
	run->id = rec_str(c, c->obj, "id");
	run->started = rec_str(c, c->obj, "started");
	run->commit = rec_str(c, c->obj, "commit");
	run->command = rec_str(c, c->obj, "command");
	run->seed = rec_int(c, c->obj, "seed", INT64_MIN, INT64_MAX);
	run->quick = rec_bool(c, c->obj, "quick");
	run->budget_s = rec_int(c, c->obj, "budget_s", 0, COUNT_MAX);
	run->rounds = rec_int(c, c->obj, "rounds", 0, ROUNDS_MAX);
	run->open_ms = rec_int(c, c->obj, "open_ms", 0, COUNT_MAX);
	run->closed_ms = rec_int(c, c->obj, "closed_ms", 0, COUNT_MAX);
	run->warmup_ms = rec_int(c, c->obj, "warmup_ms", 0, COUNT_MAX);
	take_machine(c, run);
	take_strategies(c);
	take_arms(c);
	take_loads_and_workloads(c);
	if (c->r < 0)
		return c->r;
	c->rep->reach = calloc(c->rep->workloads.n * c->rep->strategies.n + 1, sizeof(*c->rep->reach));
	return c->rep->reach ? 0 : -ENOMEM;
}

/* ---- samples ---- */

static struct cell *find_cell(struct rec *c, size_t workload, size_t load, const char *path, const char *family)
{
	struct report *rep = c->rep;
	struct cell cell = { .workload = workload, .load = load, .path = path, .family = family };

	for (size_t i = rep->cells.n; i > 0; i--) { /* the last ones are the likely ones */
		struct cell *at = &rep->cells.v[i - 1];

		if (at->workload == workload && at->load == load && str_eq(at->path, path) &&
		    str_eq(at->family, family))
			return at;
	}
	if (rep->cells.n == CELLS_MAX || (rep->cells.n + 1) * rep->arms.n > SERIES_MAX)
		return rec_fail(c, "more than %d cells or %d series", CELLS_MAX, SERIES_MAX), NULL;
	cell.series = calloc(rep->arms.n, sizeof(*cell.series));
	if (!cell.series || vec_push(&rep->cells, cell) < 0) {
		free(cell.series);
		c->r = -ENOMEM;
		return NULL;
	}
	return &rep->cells.v[rep->cells.n - 1];
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
		    b >= HIST_BUCKETS || n < 0 || n > COUNT_MAX)
			(void)rec_fail(c, "\"hist\" member %zu is no pair of bucket (below %d) and count", i,
				       HIST_BUCKETS);
		if (c->r < 0)
			return;
		if (n > 0)
			add_pair(c, s, (struct hist_pair){ (uint32_t)b, (uint64_t)n });
	}
}

/* A load without an open mode tells its CPU at full load. */
static void take_cpu(struct rec *c, struct series *s, struct round_row *row, double units)
{
	const json_t *cpu = rec_obj(c, c->obj, "cpu");
	double used = rec_num(c, cpu, "used_cores", -NUM_MAX, NUM_MAX);
	double stat = rec_num(c, cpu, "stat_cores", -NUM_MAX, NUM_MAX);

	(void)rec_num(c, cpu, "steal_share", -1, 2);
	if (rec_bool(c, cpu, "discard")) {
		s->n_discarded++;
		return;
	}
	if (c->r < 0 || units <= 0)
		return;
	row->v[METRIC_CPU] = rec_num(c, c->obj, "cpu_per_unit_ns", -NUM_MAX, NUM_MAX);
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
		double v = rec_num(c, latency, key[i], 0, NUM_MAX);

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
	lateness = rec_num(c, c->obj, "lateness_p99_ns", 0, NUM_MAX);
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
		n = (uint64_t)rec_int(c, list, target, 0, COUNT_MAX);
		at->n += n;
		at->counted = true;
		s->n_connections += n;
		s->counted = true;
	}
}

static void take_counts(struct rec *c, struct series *s, enum mode mode, uint64_t *ret_ok)
{
	uint64_t sent = (uint64_t)rec_int(c, c->obj, "sent", 0, COUNT_MAX);
	uint64_t refused = (uint64_t)rec_int(c, c->obj, "refused", 0, COUNT_MAX);
	uint64_t timeout = (uint64_t)rec_int(c, c->obj, "timeout", 0, COUNT_MAX);
	uint64_t other = (uint64_t)rec_int(c, c->obj, "other_error", 0, COUNT_MAX);

	*ret_ok = (uint64_t)rec_int(c, c->obj, "ok", 0, COUNT_MAX);
	s->n_ok += *ret_ok;
	s->n_sent += sent;
	s->n_refused += refused;
	s->n_timeout += timeout;
	s->n_other += other;
	s->n_wrong += (uint64_t)rec_int(c, c->obj, "wrong", 0, COUNT_MAX);
	s->n_sent_in[mode] += sent;
	s->n_failed_in[mode] += refused + timeout + other;
	take_carried(c, s);
}

static enum kind take_kind(struct rec *c)
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

static struct series *sample_series(struct rec *c, const struct load_rec **ret_load)
{
	size_t workload = REC_NAMED(c, &c->rep->workloads, "workload");
	size_t load = REC_NAMED(c, &c->rep->loads, "load");
	const char *path = rec_str(c, c->obj, "path");
	const char *family = rec_str(c, c->obj, "family");
	size_t arm = REC_NAMED(c, &c->rep->arms, "arm");
	size_t strategy = REC_NAMED(c, &c->rep->strategies, "strategy");
	enum kind kind = take_kind(c);
	struct cell *cell = c->r < 0 ? NULL : find_cell(c, workload, load, path, family);
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
	*ret_load = &c->rep->loads.v[load];
	return s;
}

static int take_sample(struct rec *c)
{
	const struct load_rec *load = NULL;
	struct series *s = sample_series(c, &load);
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
		return rec_fail(c, "a second %s sample of this cell and arm in round %d",
				mode == MODE_OPEN ? "open" : "closed", (int)round);
	row->modes |= 1u << mode;
	take_counts(c, s, mode, &ok);
	s->n_samples[mode]++;
	units = rec_num(c, c->obj, "units", 0, NUM_MAX);
	if (mode == MODE_OPEN) {
		take_latency(c, s, row, ok);
		take_lateness(c, s);
	} else if (units > 0) {
		row->v[METRIC_RATE] = rec_num(c, c->obj, "rate", 0, NUM_MAX);
	}
	if (mode == MODE_OPEN || !load->open)
		take_cpu(c, s, row, units);
	return c->r;
}

/* ---- the rest ---- */

static int take_reach_note(struct rec *c, size_t strategy, const char *skip)
{
	const char *error = rec_str_or_null(c, c->obj, "error");
	struct reach_note n = {
		.strategy = strategy,
		.workload = rec_str(c, c->obj, "workload"),
		.service = rec_str(c, c->obj, "service"),
		.proto = rec_str(c, c->obj, "proto"),
		.family = rec_str(c, c->obj, "family"),
		.path = rec_str(c, c->obj, "path"),
		.client = rec_str_or_null(c, c->obj, "client"),
		.asked = rec_str_or_null(c, c->obj, "asked"),
		.answered_by = rec_str_or_null(c, c->obj, "answered_by"),
		.port = rec_int(c, c->obj, "port", 0, 65535),
		.why = skip ? skip : error,
		.skipped = skip,
	};

	if (c->r < 0 || c->rep->n_reach_notes++ >= NOTES_MAX)
		return c->r;
	return vec_push(&c->rep->reach_notes, n);
}

static int take_reach(struct rec *c)
{
	size_t workload = REC_NAMED(c, &c->rep->workloads, "workload");
	size_t strategy = REC_NAMED(c, &c->rep->strategies, "strategy");
	const char *service = rec_str(c, c->obj, "service");
	const char *skip = rec_str_or_null(c, c->obj, "skip");
	bool ok = rec_bool(c, c->obj, "ok");
	struct reach_sum *sum;

	if (c->r < 0)
		return c->r;
	sum = &c->rep->reach[workload * c->rep->strategies.n + strategy];
	if (!str_eq(sum->last_service, service))
		sum->n_services++;
	sum->last_service = service;
	sum->n_skipped += skip != NULL;
	sum->n_asked += !skip;
	sum->n_ok += !skip && ok;
	sum->n_failed += !skip && !ok;
	return !skip && ok ? 0 : take_reach_note(c, strategy, skip);
}

static int take_refusal(struct rec *c, bool whole)
{
	struct refusal f = {
		.workload = rec_str(c, c->obj, "workload"),
		.strategy = rec_str(c, c->obj, "strategy"),
		.refusal = rec_str(c, c->obj, "refusal"),
		.detail = rec_str(c, c->obj, "detail"),
		.whole = whole,
	};

	if (!whole) {
		f.target = rec_str(c, c->obj, "target");
		f.object = rec_str(c, c->obj, "object");
		f.field = rec_str(c, c->obj, "field");
	}
	if (c->r < 0 || c->rep->n_refusals++ >= NOTES_MAX)
		return c->r;
	return vec_push(&c->rep->refusals, f);
}

static int take_left_out(struct rec *c)
{
	struct left_out l = {
		.workload = rec_str(c, c->obj, "workload"),
		.load = rec_str(c, c->obj, "load"),
		.path = rec_str(c, c->obj, "path"),
		.family = rec_str(c, c->obj, "family"),
		.why = rec_str(c, c->obj, "why"),
	};

	if (c->r < 0 || c->rep->n_left_out++ >= NOTES_MAX)
		return c->r;
	return vec_push(&c->rep->left_out, l);
}

static int take_testbed(struct rec *c)
{
	struct testbed_rec t = {
		.workload = REC_NAMED(c, &c->rep->workloads, "workload"),
		.arm = REC_NAMED(c, &c->rep->arms, "arm"),
		.up_ms = rec_num(c, c->obj, "up_ms", 0, NUM_MAX),
		.compile_ms = rec_num(c, c->obj, "compile_ms", 0, NUM_MAX),
		.apply_ms = rec_num(c, c->obj, "apply_ms", 0, NUM_MAX),
		.verify_ms = rec_num(c, c->obj, "verify_ms", 0, NUM_MAX),
		.added = rec_int(c, c->obj, "added", 0, COUNT_MAX),
	};

	return c->r < 0 || c->rep->testbeds.n >= NOTES_MAX ? c->r : vec_push(&c->rep->testbeds, t);
}

static int take_end(struct rec *c)
{
	const char *status = rec_str(c, c->obj, "status");
	struct report *rep = c->rep;

	rep->ended = true;
	rep->seconds = rec_num(c, c->obj, "seconds", 0, NUM_MAX);
	rep->error = rec_str_or_null(c, c->obj, "error");
	for (int i = 0; i < RUN_KILLED && c->r == 0; i++)
		if (str_eq(status, run_status_name[i])) {
			rep->status = i;
			return 0;
		}
	return rec_fail(c, "\"status\" is \"%s\", not complete, interrupted or failed", status);
}

/* Older runs do not tell busy_share. */
static int take_calibration(struct rec *c)
{
	if (!json_object_get(c->obj, "busy_share"))
		return 0;
	c->rep->busy_sum += rec_num(c, c->obj, "busy_share", 0, 1);
	c->rep->n_busy++;
	return c->r;
}

int report_take_record(struct rec *c)
{
	if (str_eq(c->type, "run"))
		return take_run(c);
	if (!c->rep->have_run)
		return rec_fail(c, "stands before the run record");
	if (c->rep->ended)
		return rec_fail(c, "stands behind the end record");
	if (str_eq(c->type, "sample"))
		return take_sample(c);
	if (str_eq(c->type, "reach"))
		return take_reach(c);
	if (str_eq(c->type, "strategy-refused"))
		return take_refusal(c, true);
	if (str_eq(c->type, "refusal"))
		return take_refusal(c, false);
	if (str_eq(c->type, "left-out"))
		return take_left_out(c);
	if (str_eq(c->type, "testbed"))
		return take_testbed(c);
	if (str_eq(c->type, "end"))
		return take_end(c);
	if (str_eq(c->type, "calibration"))
		return take_calibration(c);
	return 0; /* types of later versions that do not mislead */
}
