/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each type of record into the report (docs/records.md). Called by load.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "report_int.h"

const char *const run_status_name[RUN_STATUS_MAX] = { "complete", "interrupted", "failed", "killed" };

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
		.strategy = rec_str_or_null(c, c->obj, "strategy"),
		.why = rec_str(c, c->obj, "why"),
	};

	if (!l.strategy)
		l.strategy = "";
	if (c->r < 0 || c->rep->n_left_out++ >= NOTES_MAX)
		return c->r;
	return vec_push(&c->rep->left_out, l);
}

static int take_testbed(struct rec *c)
{
	struct testbed_rec t = {
		.workload = REC_NAMED(c, &c->rep->workloads, "workload"),
		.arm = REC_NAMED(c, &c->rep->arms, "arm"),
		.up_ms = rec_num(c, c->obj, "up_ms", 0, REC_NUM_MAX),
		.compile_ms = rec_num(c, c->obj, "compile_ms", 0, REC_NUM_MAX),
		.apply_ms = rec_num(c, c->obj, "apply_ms", 0, REC_NUM_MAX),
		.verify_ms = rec_num(c, c->obj, "verify_ms", 0, REC_NUM_MAX),
		.added = rec_int(c, c->obj, "added", 0, REC_COUNT_MAX),
	};

	return c->r < 0 || c->rep->testbeds.n >= NOTES_MAX ? c->r : vec_push(&c->rep->testbeds, t);
}

static int take_end(struct rec *c)
{
	const char *status = rec_str(c, c->obj, "status");
	struct report *rep = c->rep;

	rep->ended = true;
	rep->seconds = rec_num(c, c->obj, "seconds", 0, REC_NUM_MAX);
	rep->error = rec_str_or_null(c, c->obj, "error");
	for (int i = 0; i < RUN_KILLED && c->r == 0; i++)
		if (str_eq(status, run_status_name[i])) {
			rep->status = i;
			return 0;
		}
	return rec_fail(c, "\"status\" is \"%s\", not complete, interrupted or failed", status);
}

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
		return rec_take_run(c);
	if (!c->rep->have_run)
		return rec_fail(c, "stands before the run record");
	if (c->rep->ended)
		return rec_fail(c, "stands behind the end record");
	if (str_eq(c->type, "sample") || str_eq(c->type, "sweep"))
		return rec_take_sample(c, c->type[1] == 'w');
	if (str_eq(c->type, "scale"))
		return rec_take_scale(c);
	if (str_eq(c->type, "idle"))
		return rec_take_idle(c);
	if (str_eq(c->type, "fault"))
		return rec_take_fault(c);
	if (str_eq(c->type, "cpu-check"))
		return rec_take_cpu_check(c);
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
