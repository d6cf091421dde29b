/* SPDX-License-Identifier: GPL-2.0-or-later */
/* offkube eval: the main job. Manifests in, strategies measured side by side in labs of their own, a table and a page out. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "base/util.h"
#include "base/vec.h"
#include "measure/eval.h"
#include "report/report.h"
#include "version.h"

DEFINE_CLEANUP(struct report *, report_free);

#define EVAL_WORKLOADS_MAX 16

struct eval_request {
	struct app_workload workload;
	const char *strategy_names, *load_names, *experiment_names, *out;
	uint64_t n_rounds, seed, budget_s;
	bool quick, json;
	size_t n_workloads;
	struct eval_workload workloads[EVAL_WORKLOADS_MAX];
	char names[EVAL_WORKLOADS_MAX][64];
	const struct strategy *strategies[APP_STRATEGIES_MAX];
	size_t n_strategies;
	uint32_t loads, experiments;
	char out_buf[64];
};

static void eval_request_free(struct eval_request *q)
{
	for (size_t i = 0; i < q->n_workloads; i++)
		snapshot_unref((struct snapshot *)q->workloads[i].snapshot);
	opt_list_free(&q->workload.paths);
}

/* "a,b" into items, each handed to fn. */
static int each_item(const char *list, int (*fn)(struct eval_request *q, const char *item, struct err *e),
		     struct eval_request *q, struct err *e)
{
	CLEANUP_FREE char *copy = strdup(list);
	char *save = NULL;
	int r = 0;

	if (!copy)
		return -ENOMEM;
	for (char *item = strtok_r(copy, ",", &save); item && r == 0; item = strtok_r(NULL, ",", &save))
		r = fn(q, item, e);
	return r;
}

static int add_load(struct eval_request *q, const char *item, struct err *e)
{
	int load = load_parse(item);

	if (load < 0)
		return err_set(e, -EINVAL, "--load", "no load \"%s\"", item);
	q->loads |= 1u << load;
	return 0;
}

static int add_experiment(struct eval_request *q, const char *item, struct err *e)
{
	int x = eval_experiment_parse(item);

	if (x < 0)
		return err_set(e, -EINVAL, "--experiments",
			       "no experiment \"%s\": cells, sweep, scale, idle, fault, cpu-check", item);
	q->experiments |= 1u << x;
	return 0;
}

/* "dir/online-boutique.yaml" is called online-boutique. */
static void name_workload(const char *path, char name[static 64])
{
	const char *base = strrchr(path, '/');
	char *dot;

	(void)snprintf(name, 64, "%s", str_eq(path, "-") ? "stdin" : base && base[1] ? base + 1 : path);
	dot = strrchr(name, '.');
	if (dot && dot != name)
		*dot = '\0';
}

/* Records tell workloads by name: of two "shop.yaml" in different folders the second is "shop-2". And they are UTF-8. */
static void make_name_fit(struct eval_request *q, size_t at)
{
	char base[56];
	unsigned int n = 1;

	app_fit_utf8(q->names[at]);
	(void)snprintf(base, sizeof(base), "%.55s", q->names[at]);
	app_fit_utf8(base);
	for (size_t i = 0; i <= at; i++) {
		if (!str_eq(i < at ? q->names[i] : EVAL_SYNTHETIC_NAME, q->names[at]))
			continue;
		(void)snprintf(q->names[at], sizeof(q->names[at]), "%s-%u", base, ++n);
		i = (size_t)-1; /* from the first again */
	}
}

static int load_workloads(struct eval_request *q, struct err *e)
{
	if (q->workload.paths.n > EVAL_WORKLOADS_MAX)
		return err_set(e, -E2BIG, "--workload", "at most %d workloads", EVAL_WORKLOADS_MAX);
	if (q->workload.paths.n == 0 && (!q->experiments || q->experiments & (1u << EVAL_CELLS)))
		return err_set(e, -EINVAL, NULL, "no manifests: give --workload FILE");
	for (size_t i = 0; i < q->workload.paths.n; i++) {
		struct snapshot *s = NULL;
		int r = app_load(&q->workload, &q->workload.paths.v[i], 1, &s, NULL, e);

		if (r < 0)
			return r;
		name_workload(q->workload.paths.v[i], q->names[i]);
		make_name_fit(q, i);
		q->workloads[i].name = q->names[i];
		q->workloads[i].snapshot = s;
		q->n_workloads++;
	}
	return 0;
}

static int prepare(struct eval_request *q, struct err *e)
{
	int r = app_parse_strategies(q->strategy_names, q->strategies, &q->n_strategies, e);

	if (r == 0 && q->experiment_names)
		r = each_item(q->experiment_names, add_experiment, q, e);
	if (r == 0 && q->load_names)
		r = each_item(q->load_names, add_load, q, e);
	if (r == 0)
		r = load_workloads(q, e);
	if (r < 0)
		return r;
	return app_out_dir(q->out, q->out_buf, &q->out, e);
}

static int show(const struct eval_request *q, struct err *e)
{
	CLEANUP(report_freep) struct report *rep = NULL;
	int r = report_load(q->out, &rep, e);

	if (r == 0)
		r = report_write_html(rep, q->out, e);
	if (r == 0)
		r = q->json ? report_print_json(rep, stdout) : report_print_table(rep, stdout, isatty(STDOUT_FILENO));
	if (r == 0 && !q->json)
		printf("page: %s/report.html   records: %s/records.jsonl\n", q->out, q->out);
	return r;
}

static int run(struct eval_request *q, const char *command, struct err *e)
{
	const struct eval_conf conf = {
		.workloads = q->workloads,
		.n_workloads = q->n_workloads,
		.strategies = q->strategies,
		.n_strategies = q->n_strategies,
		.loads = q->loads,
		.experiments = q->experiments,
		.n_rounds = (uint32_t)q->n_rounds,
		.seed = q->seed,
		.quick = q->quick,
		.budget_s = (uint32_t)q->budget_s,
		.out_dir = q->out,
		.progress = stderr,
		.commit = OFFKUBE_COMMIT,
		.command = command,
		.stop = &app_stop,
	};

	app_catch_signals();
	return eval_run(&conf, e);
}

int cmd_eval(int argc, char **argv)
{
	CLEANUP(eval_request_free) struct eval_request q = { .workload = APP_WORKLOAD_INIT, .seed = 1 };
	CLEANUP_FREE char *command = app_command_line(argc, argv);
	const struct opt opts[] = {
		APP_WORKLOAD_OPTS(&q.workload),
		{ "strategy", OPT_STR, "LIST", "strategies, comma-separated (default: all)", &q.strategy_names, 0, 0 },
		{ "load", OPT_STR, "LIST",
		  "echo, connect, http, bulk, calls, h2, redis, file, bulk-8, bulk-udp (default: all; --quick: the first four)",
		  &q.load_names, 0, 0 },
		{ "experiments", OPT_STR, "LIST",
		  "cells, sweep, scale, idle, fault, cpu-check (default: all; --quick: cells, and a small scale)",
		  &q.experiment_names, 0, 0 },
		{ "repeat", OPT_U64, "N", "rounds (default 10; --quick 5, within a --budget up to 12)", &q.n_rounds, 3,
		  1000 },
		{ "seed", OPT_U64, "N", "of order, arrivals and bootstrap (default 1)", &q.seed, 0, INT64_MAX },
		{ "quick", OPT_FLAG, NULL, "fewer and shorter slices; every page says so", &q.quick, 0, 0 },
		{ "budget", OPT_U64, "SECONDS", "stop within this time; what does not fit is listed", &q.budget_s, 20,
		  86400 },
		{ "out", OPT_STR, "DIR", "where records and report go (default out/TIME)", &q.out, 0, 0 },
		{ "json", OPT_FLAG, NULL, "machine-readable summary on standard output", &q.json, 0, 0 },
	};
	const struct opt_command cmd = {
		.name = "eval",
		.summary = "Measures strategies on a workload, in labs of its own, and says which wins.",
		.usage =
			"offkube eval --workload FILE... [--strategy LIST] [--load LIST] [--experiments LIST] [--repeat N] [--seed N] [--quick] "
			"[--budget SECONDS] [--out DIR]",
		.examples = "  offkube eval --quick --budget 150 --workload examples/shop.yaml\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
	};
	struct err e = {};
	bool done;
	int r = app_parse(&cmd, argc, argv, NULL, NULL, &done), rs;

	if (done)
		return r;
	r = command ? prepare(&q, &e) : -ENOMEM;
	if (r < 0)
		return app_fail(&e, r);
	r = run(&q, command, &e);
	/* Wrong answers fail the run, but what was measured is worth looking at: the page says what is wrong with it. */
	rs = r == 0 || r == -EREMOTEIO ? show(&q, r == 0 ? &e : NULL) : 0;
	if (r < 0)
		fprintf(stderr, "records so far: %s/records.jsonl; see offkube report\n", q.out);
	if (r == 0)
		r = rs;
	return r < 0 ? app_fail(&e, r) : APP_OK;
}
