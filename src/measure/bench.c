/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The benchmark of scale: a front to the experiment. Called by `offkube bench` (make bench). */
#include "measure/bench.h"

#include <errno.h>
#include <stdlib.h>

#include "base/stats.h"
#include "base/util.h"
#include "base/vec.h"
#include "measure/eval.h"

#define PEER "kube-proxy"
#define ROUNDS_MAX 1000
#define SLICES 4 /* alternating, of one round's first packets */

struct bench {
	const struct bench_conf *conf;
	VEC(struct scale_result) results;
	bool failed; /* no memory for a result */
};

enum metric { METRIC_FIRST, METRIC_CHANGE, METRIC_CHANGE_APPLY, METRIC_LOAD, METRIC_PROCESS, METRIC_KERNEL };
static const char *const metric_unit[] = {
	[METRIC_FIRST] = "us", [METRIC_CHANGE] = "ms",	 [METRIC_CHANGE_APPLY] = "ms",
	[METRIC_LOAD] = "s",   [METRIC_PROCESS] = "MiB", [METRIC_KERNEL] = "MiB",
};

static void on_result(const struct scale_result *res, void *arg)
{
	struct bench *b = arg;

	if (vec_push(&b->results, *res) < 0)
		b->failed = true;
}

static double median_ms(const uint64_t *ns, uint32_t n)
{
	double v[SCALE_CHANGES_MAX];

	for (uint32_t i = 0; i < n; i++)
		v[i] = (double)ns[i] / 1e6;
	return n ? stats_median(v, n) : 0;
}

/* 0 = not measured. */
static double value_of(const struct scale_result *res, enum metric m)
{
	switch (m) {
	case METRIC_FIRST:
		return res->first_p50_ns / 1e3;
	case METRIC_CHANGE:
		return median_ms(res->in_force_ns, res->n_changes);
	case METRIC_CHANGE_APPLY:
		return median_ms(res->apply_ns, res->n_changes);
	case METRIC_LOAD:
		return res->from_empty_s;
	case METRIC_PROCESS:
		return (double)res->process_kib / 1024;
	default:
		return (double)res->kernel_kib / 1024;
	}
}

/* The values of the rounds that measured it, by round; 0 where none. */
static size_t by_round(const struct bench *b, const struct strategy *st, uint32_t n_services, uint32_t n_endpoints,
		       enum metric m, double v[static ROUNDS_MAX])
{
	size_t n = 0;

	memset(v, 0, ROUNDS_MAX * sizeof(*v));
	for (size_t i = 0; i < b->results.n; i++) {
		const struct scale_result *res = &b->results.v[i];

		if (res->strategy == st && res->n_services == n_services && res->n_endpoints == n_endpoints &&
		    res->round < ROUNDS_MAX) {
			v[res->round] = MAX(0.0, value_of(res, m));
			n += v[res->round] > 0;
		}
	}
	return n;
}

static size_t pack(const double *v, double *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < ROUNDS_MAX; i++)
		if (v[i] > 0)
			ret[n++] = v[i];
	return n;
}

static void print_interval(FILE *f, const char *what, const struct interval *iv, const char *unit, const char *asked)
{
	fprintf(f, "  %-64s %10.3f  [%.3f, %.3f] %s%s%s\n", what, iv->mid, iv->low, iv->high, unit,
		asked[0] ? "   asked: " : "", asked);
}

static int print_value(const struct bench *b, const struct strategy *st, uint32_t n_services, uint32_t n_endpoints,
		       enum metric m, const char *text, const char *asked)
{
	double v[ROUNDS_MAX], packed[ROUNDS_MAX];
	struct interval iv;
	char what[96];
	int r;

	if (by_round(b, st, n_services, n_endpoints, m, v) == 0)
		return 0;
	r = stats_bootstrap_median(packed, pack(v, packed), b->conf->seed, &iv);
	if (r < 0)
		return r;
	(void)snprintf(what, sizeof(what), "%u Services x %u: %s", n_services, n_endpoints, text);
	print_interval(b->conf->out, what, &iv, metric_unit[m], asked);
	return 0;
}

/* One side of a ratio. */
struct side {
	const struct strategy *strategy;
	uint32_t n_services, n_endpoints;
};

static int print_ratio(const struct bench *b, const struct side *over, const struct side *under, enum metric m,
		       const char *what, const char *asked)
{
	double v[ROUNDS_MAX], w[ROUNDS_MAX];
	struct interval iv;
	int r;

	if (by_round(b, over->strategy, over->n_services, over->n_endpoints, m, v) == 0 ||
	    by_round(b, under->strategy, under->n_services, under->n_endpoints, m, w) == 0)
		return 0;
	for (size_t i = 0; i < ROUNDS_MAX; i++)
		if (v[i] <= 0)
			w[i] = 0; /* not measured on one side: left out */
	r = stats_bootstrap_ratio(v, w, ROUNDS_MAX, b->conf->seed, &iv);
	if (r == -EDOM)
		return 0;
	if (r == 0)
		print_interval(b->conf->out, what, &iv, "x", asked);
	return r;
}

static int print_strategy(const struct bench *b, const struct strategy *st)
{
	const struct bench_conf *c = b->conf;
	const struct side small = { st, c->n_small, 2 }, large = { st, c->n_large, 2 };
	bool is_socket = str_eq(st->name, "socket");
	char what[96];
	int r;

	fprintf(c->out, "strategy %s; median [95 %% interval]\n", st->name);
	r = print_value(b, st, c->n_small, 2, METRIC_FIRST, "first packet", "");
	if (r == 0)
		r = print_value(b, st, c->n_large, 2, METRIC_FIRST, "first packet", "");
	(void)snprintf(what, sizeof(what), "first packet, %u over %u Services", c->n_large, c->n_small);
	if (r == 0)
		r = print_ratio(b, &large, &small, METRIC_FIRST, what, "");
	if (r == 0)
		r = print_value(b, st, c->n_large, 2, METRIC_CHANGE, "one change, in force",
				is_socket ? "< 10 ms" : "");
	if (r == 0)
		r = print_value(b, st, c->n_large, 2, METRIC_CHANGE_APPLY, "one change, target done", "");
	for (int k = 0; k < 2 && r == 0; k++) {
		uint32_t n = k ? c->n_huge : c->n_large, each = k ? BENCH_HUGE_ENDPOINTS : 2;

		r = print_value(b, st, n, each, METRIC_LOAD, "from empty, in force", is_socket && !k ? "< 2 s" : "");
		if (r == 0)
			r = print_value(b, st, n, each, METRIC_PROCESS, "memory of the programming process", "");
		if (r == 0)
			r = print_value(b, st, n, each, METRIC_KERNEL, "memory of the kernel", "");
	}
	for (size_t i = 0; i < b->results.n; i++) {
		const struct scale_result *res = &b->results.v[i];

		if (res->strategy == st && res->why[0])
			fprintf(c->out, "  not measured: %u Services x %u, round %u: %s\n", res->n_services,
				res->n_endpoints, res->round, res->why);
	}
	return r;
}

static int print_against(const struct bench *b, const struct strategy *st, const struct strategy *peer)
{
	const struct bench_conf *c = b->conf;
	const struct side mine = { st, c->n_large, 2 }, theirs = { peer, c->n_large, 2 };
	const struct side huge = { st, c->n_huge, BENCH_HUGE_ENDPOINTS },
			  huge_theirs = { peer, c->n_huge, BENCH_HUGE_ENDPOINTS };
	const char *change = "", *huge_load = "";
	int r;

	if (str_eq(st->name, "nft")) {
		change = "<= 0.5";
		huge_load = "<= 0.333";
	}
	fprintf(c->out, "%s / %s; median of the ratios within rounds\n", st->name, peer->name);
	r = print_ratio(b, &mine, &theirs, METRIC_FIRST, "first packet, large cluster", "");
	if (r == 0)
		r = print_ratio(b, &mine, &theirs, METRIC_CHANGE, "one change in force, large cluster", change);
	if (r == 0)
		r = print_ratio(b, &mine, &theirs, METRIC_LOAD, "from empty in force, large cluster", "");
	if (r == 0)
		r = print_ratio(b, &huge, &huge_theirs, METRIC_LOAD, "from empty in force, 50 endpoints each",
				huge_load);
	if (r == 0)
		r = print_ratio(b, &huge, &huge_theirs, METRIC_PROCESS, "process memory, 50 endpoints each", huge_load);
	if (r == 0)
		r = print_ratio(b, &huge, &huge_theirs, METRIC_KERNEL, "kernel memory, 50 endpoints each", "");
	return r;
}

static int print_summary(const struct bench *b)
{
	const struct bench_conf *c = b->conf;
	const struct strategy *peer = NULL;
	int r = 0;

	for (size_t i = 0; i < c->n_strategies && r == 0; i++) {
		if (str_eq(c->strategies[i]->name, PEER))
			peer = c->strategies[i];
		r = print_strategy(b, c->strategies[i]);
	}
	for (size_t i = 0; i < c->n_strategies && peer && r == 0; i++)
		if (c->strategies[i] != peer)
			r = print_against(b, c->strategies[i], peer);
	return r;
}

int bench_run(const struct bench_conf *conf, struct err *e)
{
	struct bench b = { .conf = conf };
	struct scale_conf sc = {
		.sizes = { { .n_services = conf->n_small, .n_endpoints = 2, .n_rounds = conf->n_rounds },
			   { .n_services = conf->n_large, .n_endpoints = 2, .n_rounds = conf->n_rounds },
			   { .n_services = conf->n_huge,
			     .n_endpoints = BENCH_HUGE_ENDPOINTS,
			     .n_rounds = conf->n_huge_rounds,
			     .alone = true } },
		.n_sizes = conf->n_huge ? 3 : 2,
		.n_slices = SLICES,
		.n_asks = DIV_ROUND_UP(conf->n_asks, SLICES),
		.n_changes = conf->n_changes,
	};
	const struct eval_conf eval = {
		.strategies = conf->strategies,
		.n_strategies = conf->n_strategies,
		.experiments = 1u << EVAL_SCALE,
		.scale = &sc,
		.on_scale = on_result,
		.on_scale_arg = &b,
		.seed = conf->seed,
		.out_dir = conf->out_dir,
		.progress = conf->progress,
		.commit = conf->commit,
		.command = conf->command,
		.stop = conf->stop,
	};
	int r;

	if (conf->n_rounds > ROUNDS_MAX || conf->n_huge_rounds > ROUNDS_MAX || !conf->n_rounds)
		return err_set(e, -EINVAL, NULL, "between 1 and %d rounds", ROUNDS_MAX);
	r = eval_run(&eval, e);
	if (r == 0)
		r = b.failed ? -ENOMEM : print_summary(&b);
	vec_free(&b.results);
	return r;
}
