/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The run record into the report. Called by load_rec.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "report_int.h"

const char *const record_unit_name[UNIT_MAX] = { "request", "MiB" };

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
	run->memory_mib = rec_int(c, m, "memory_mib", 0, REC_COUNT_MAX);
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

		if (c->r == 0 && REC_FIND(&rep->strategies, s.name) < rep->strategies.n)
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
		struct arm_rec a = { .name = rec_str(c, v, "arm"), .strategy = REC_FIND(&rep->strategies, strategy) };

		a.twin = ends_in(a.name, "(A/A)");
		if (c->r == 0 && a.strategy == rep->strategies.n)
			(void)rec_fail(c, "arm \"%s\" is of strategy \"%s\", which is not in \"strategies\"", a.name,
				       strategy);
		if (c->r == 0 && REC_FIND(&rep->arms, a.name) < rep->arms.n)
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
				      .offered = rec_num(c, v, "offered", 0, REC_NUM_MAX),
				      .connections = rec_int(c, v, "connections", 0, REC_COUNT_MAX) };

		if (c->r == 0 && REC_FIND(&rep->loads, l.name) < rep->loads.n)
			(void)rec_fail(c, "load \"%s\" stands there twice", l.name);
		if (c->r == 0)
			c->r = vec_push(&rep->loads, l);
	}
	json_array_foreach((json_t *)workloads, i, v)
	{
		struct workload_rec w = { .name = rec_str(c, v, "name"),
					  .nodes = rec_int(c, v, "nodes", 0, REC_COUNT_MAX),
					  .pods = rec_int(c, v, "pods", 0, REC_COUNT_MAX),
					  .services = rec_int(c, v, "services", 0, REC_COUNT_MAX),
					  .endpoints = rec_int(c, v, "endpoints", 0, REC_COUNT_MAX) };

		if (c->r == 0 && REC_FIND(&rep->workloads, w.name) < rep->workloads.n)
			(void)rec_fail(c, "workload \"%s\" stands there twice", w.name);
		if (c->r == 0)
			c->r = vec_push(&rep->workloads, w);
	}
}

int rec_take_run(struct rec *c)
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
	run->budget_s = rec_int(c, c->obj, "budget_s", 0, REC_COUNT_MAX);
	run->rounds = rec_int(c, c->obj, "rounds", 0, ROUNDS_MAX);
	run->open_ms = rec_int(c, c->obj, "open_ms", 0, REC_COUNT_MAX);
	run->closed_ms = rec_int(c, c->obj, "closed_ms", 0, REC_COUNT_MAX);
	run->warmup_ms = rec_int(c, c->obj, "warmup_ms", 0, REC_COUNT_MAX);
	take_machine(c, run);
	take_strategies(c);
	take_arms(c);
	take_loads_and_workloads(c);
	if (c->r < 0)
		return c->r;
	c->rep->reach = calloc(c->rep->workloads.n * c->rep->strategies.n + 1, sizeof(*c->rep->reach));
	return c->rep->reach ? 0 : -ENOMEM;
}
