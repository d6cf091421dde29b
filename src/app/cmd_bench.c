/* SPDX-License-Identifier: GPL-2.0-or-later */
/* offkube bench: what the number of Services costs. `make bench` runs it for every strategy that carries Services. */
#include <unistd.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/util.h"
#include "measure/bench.h"
#include "version.h"

int cmd_bench(int argc, char **argv)
{
	CLEANUP_FREE char *command = app_command_line(argc, argv);
	const char *strategy = "nft", *out = NULL;
	uint64_t n_small = 10, n_large = 10000, n_rounds = 20, n_asks = 300, n_changes = 100, n_loads = 5, seed = 1;
	char out_buf[64];
	bool done;
	const struct opt opts[] = {
		{ "strategy", OPT_STR, "NAME", "a strategy that carries Services (default nft)", &strategy, 0, 0 },
		{ "small", OPT_U64, "N", "Services of the small cluster (default 10)", &n_small, 1, 100000 },
		{ "large", OPT_U64, "N", "Services of the large cluster (default 10000)", &n_large, 1, 100000 },
		{ "rounds", OPT_U64, "N", "rounds of the first-packet comparison (default 20)", &n_rounds, 1, 1000 },
		{ "asks", OPT_U64, "N", "first packets per slice (default 300)", &n_asks, 1, 100000 },
		{ "changes", OPT_U64, "N", "endpoint changes (default 100)", &n_changes, 1, 100000 },
		{ "loads", OPT_U64, "N", "times to load the large cluster from empty (default 5)", &n_loads, 1, 1000 },
		{ "seed", OPT_U64, "N", "of order and bootstrap (default 1)", &seed, 0, INT64_MAX },
		{ "out", OPT_STR, "DIR", "where records.jsonl goes (default out/TIME)", &out, 0, 0 },
	};
	const struct opt_command cmd = {
		.name = "bench",
		.summary = "First-packet latency, one change, and loading from empty, at a large number of Services.",
		.usage = "offkube bench [options]",
		.examples = "  offkube bench --large 30000 --loads 3\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
	};
	struct bench_conf conf = { .out = stdout, .progress = stderr, .commit = OFFKUBE_COMMIT, .stop = &app_stop };
	struct err e = {};
	int r = app_parse(&cmd, argc, argv, NULL, NULL, &done);

	if (done)
		return r;
	conf.strategy = strategy_find(strategy);
	if (!conf.strategy || !conf.strategy->service_addresses)
		r = err_set(&e, -EINVAL, "--strategy", "no strategy \"%s\" that carries Services; see offkube probe",
			    strategy);
	if (r == 0 && !command)
		r = -ENOMEM;
	if (r == 0)
		r = app_out_dir(out, out_buf, &conf.out_dir, &e);
	if (r < 0)
		return app_fail(&e, r);
	conf.n_small = (uint32_t)n_small;
	conf.n_large = (uint32_t)n_large;
	conf.n_rounds = (uint32_t)n_rounds;
	conf.n_asks = (uint32_t)n_asks;
	conf.n_changes = (uint32_t)n_changes;
	conf.n_loads = (uint32_t)n_loads;
	conf.seed = seed;
	conf.command = command;
	app_catch_signals();
	r = bench_run(&conf, &e);
	if (r < 0)
		return app_fail(&e, r);
	printf("records: %s/records.jsonl\n", conf.out_dir);
	return APP_OK;
}
