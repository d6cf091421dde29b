/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The run record of an evaluation: everything that a reader needs to judge the samples. Called by eval.c. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "eval_int.h"

static json_t *cpu_list(uint64_t cpus)
{
	json_t *list = json_array();

	for (int i = 0; i < 64; i++)
		if (cpus & (1ull << i))
			(void)json_array_append_new(list, json_integer(i));
	return list;
}

json_t *eval_ns_list(const uint64_t *v, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(list, json_integer((json_int_t)v[i]));
	return list;
}

/* Of the first peer among those that carry its Services; null = there is none, or it does not tell. */
static json_t *strategy_version(const struct strategy *st)
{
	for (const char *const *t = st->tiers[FUNC_SERVICE_LB]; *t; t++) {
		const struct target_ops *ops = target_find(*t);
		char version[TARGET_VERSION_MAX];

		if (ops && ops->version && ops->version(version) == 0)
			return json_string(version);
	}
	return json_null();
}

static json_t *strategy_list(const struct eval *ev)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ev->conf->n_strategies; i++) {
		const struct strategy *st = ev->conf->strategies[i];

		(void)json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:o}", "name", st->name, "text", st->text,
							    "service_addresses", st->service_addresses, "version",
							    strategy_version(st)));
	}
	return list;
}

static json_t *arm_list(const struct eval *ev)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ev->n_arms; i++)
		(void)json_array_append_new(list, json_pack("{s:s, s:s}", "arm", ev->arms[i].name, "strategy",
							    ev->arms[i].strategy->name));
	return list;
}

static json_t *load_list(const struct eval *ev)
{
	uint32_t loads = eval_loads(ev->conf);
	json_t *list = json_array();

	for (int i = 0; i < LOAD_KIND_MAX; i++) {
		const struct load_info *info = &load_info[i];

		if (loads & (1u << i))
			(void)json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:b, s:b, s:f, s:i}", "name",
								    load_name[i], "text", load_text[i], "unit",
								    info->unit, "open", info->offered > 0, "closed",
								    info->closed, "offered", info->offered,
								    "connections", (int)info->n_connections));
	}
	return list;
}

static json_t *tool_list(const struct eval *ev)
{
	json_t *list = json_array();

	for (size_t i = 0; i < EVAL_TOOLS; i++)
		if (ev->tools.tool[i].path[0])
			(void)json_array_append_new(list, json_pack("{s:s, s:s}", "name", eval_tool_name[i], "version",
								    ev->tools.tool[i].version));
	return list;
}

static json_t *workload_list(const struct eval *ev)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ev->conf->n_workloads + (ev->synthetic.snapshot != NULL); i++) {
		const struct eval_workload *w = i < ev->conf->n_workloads ? &ev->conf->workloads[i] : &ev->synthetic;
		const struct snapshot *s = w->snapshot;

		(void)json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:I, s:I}", "name", w->name, "nodes",
							    (json_int_t)snapshot_n_nodes(s), "pods",
							    (json_int_t)snapshot_n_pods(s), "services",
							    (json_int_t)snapshot_n_services(s), "endpoints",
							    (json_int_t)snapshot_n_endpoints(s)));
	}
	return list;
}

int eval_write_run(struct eval *ev, struct err *e)
{
	time_t now = time(NULL);
	char started[32], id[64];
	struct tm tm;

	(void)gmtime_r(&now, &tm);
	(void)strftime(started, sizeof(started), "%Y-%m-%dT%H:%M:%SZ", &tm);
	(void)snprintf(id, sizeof(id), "%s-%d", started, (int)getpid());
	return record_write(
		ev->rec, "run",
		json_pack(
			"{s:s, s:s, s:s, s:s, s:I, s:b, s:i, s:i, s:i, s:i, s:i, s:o, s:{s:o, s:o}, s:o, s:o, s:o, s:o, s:o}",
			"id", id, "started", started, "commit", ev->conf->commit, "command", ev->conf->command, "seed",
			(json_int_t)ev->conf->seed, "quick", ev->conf->quick, "budget_s", (int)ev->conf->budget_s,
			"rounds", (int)ev->n_rounds, "open_ms", (int)ev->open_ms, "closed_ms", (int)ev->closed_ms,
			"warmup_ms", (int)ev->warmup_ms, "machine", record_machine(), "placement", "servers",
			cpu_list(ev->server_cpus), "generator", cpu_list(ev->generator_cpus), "tools", tool_list(ev),
			"strategies", strategy_list(ev), "arms", arm_list(ev), "loads", load_list(ev), "workloads",
			workload_list(ev)),
		e);
}
