/* SPDX-License-Identifier: GPL-2.0-or-later */
/* offkube bench: what the number of Services costs each strategy that carries them (make bench). */
#include <unistd.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/util.h"
#include "measure/bench.h"
#include "version.h"

struct bench_request {
	const char *strategy_names, *out;
	uint64_t n_small, n_large, n_huge, n_rounds, n_huge_rounds, n_asks, n_changes, seed;
	const struct strategy *strategies[APP_STRATEGIES_MAX];
	size_t n_strategies;
	char out_buf[64];
};

/* Named ones must carry Services; without names all are taken that do. */
static int choose_strategies(struct bench_request *q, struct err *e)
{
	size_t n = 0;
	int r = app_parse_strategies(q->strategy_names, q->strategies, &n, e);

	for (size_t i = 0; i < n && r == 0; i++)
		if (q->strategies[i]->service_addresses)
			q->strategies[q->n_strategies++] = q->strategies[i];
		else if (q->strategy_names)
			r = err_set(e, -EINVAL, "--strategy",
				    "no strategy \"%s\" that carries Services; see offkube probe",
				    q->strategies[i]->name);
	return r;
}

static int run(const struct bench_request *q, const char *command, struct err *e)
{
	const struct bench_conf conf = {
		.strategies = q->strategies,
		.n_strategies = q->n_strategies,
		.n_small = (uint32_t)q->n_small,
		.n_large = (uint32_t)q->n_large,
		.n_huge = (uint32_t)q->n_huge,
		.n_rounds = (uint32_t)q->n_rounds,
		.n_huge_rounds = (uint32_t)q->n_huge_rounds,
		.n_asks = (uint32_t)q->n_asks,
		.n_changes = (uint32_t)q->n_changes,
		.seed = q->seed,
		.out_dir = q->out,
		.commit = OFFKUBE_COMMIT,
		.command = command,
		.out = stdout,
		.progress = stderr,
		.stop = &app_stop,
	};

	app_catch_signals();
	return bench_run(&conf, e);
}

int cmd_bench(int argc, char **argv)
{
	CLEANUP_FREE char *command = app_command_line(argc, argv);
	const char *kube_proxy = NULL;
	struct bench_request q = {
		.n_small = 10,
		.n_large = 10000,
		.n_huge = 5000,
		.n_rounds = 10,
		.n_huge_rounds = 3,
		.n_asks = 800,
		.n_changes = 10,
		.seed = 1,
	};
	bool done;
	const struct opt opts[] = {
		{ "strategy", OPT_STR, "LIST", "strategies, comma-separated (default: all that carry Services)",
		  &q.strategy_names, 0, 0 },
		{ "small", OPT_U64, "N", "Services of the small cluster (default 10)", &q.n_small, 1, 100000 },
		{ "large", OPT_U64, "N", "Services of the large cluster (default 10000)", &q.n_large, 1, 100000 },
		{ "huge", OPT_U64, "N", "Services of 50 endpoints each (default 5000; 0 = not measured)", &q.n_huge, 0,
		  100000 },
		{ "rounds", OPT_U64, "N", "times that small and large are loaded (default 10)", &q.n_rounds, 1, 1000 },
		{ "huge-rounds", OPT_U64, "N", "times that huge is loaded (default 3)", &q.n_huge_rounds, 1, 1000 },
		{ "asks", OPT_U64, "N", "first packets per cluster and round (default 800)", &q.n_asks, 1, 4096 },
		{ "changes", OPT_U64, "N", "endpoint changes per cluster and round (default 10)", &q.n_changes, 0,
		  256 },
		{ "seed", OPT_U64, "N", "of order and bootstrap (default 1)", &q.seed, 0, INT64_MAX },
		{ "out", OPT_STR, "DIR", "where records.jsonl goes (default out/TIME)", &q.out, 0, 0 },
		APP_KUBE_PROXY_OPT(&kube_proxy),
	};
	const struct opt_command cmd = {
		.name = "bench",
		.summary =
			"First packets, one change, loading from empty and memory at a large number of Services, and the ratios "
			"between strategies.",
		.usage = "offkube bench [options]",
		.examples = "  offkube bench --strategy nft --large 30000 --rounds 3 --huge 0\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
	};
	struct err e = {};
	int r = app_parse(&cmd, argc, argv, NULL, NULL, &done);

	if (done)
		return r;
	r = command ? choose_strategies(&q, &e) : -ENOMEM;
	if (r == 0)
		r = app_out_dir(q.out, q.out_buf, &q.out, &e);
	if (r == 0)
		r = run(&q, command, &e);
	if (r < 0)
		return app_fail(&e, r);
	printf("records: %s/records.jsonl\n", q.out);
	return APP_OK;
}
