/* SPDX-License-Identifier: GPL-2.0-or-later */
/* offkube plan and offkube compile: the thinking half of a strategy, printed. Neither changes anything. */
#include "app.h"
#include "base/cleanup.h"
#include "base/util.h"

DEFINE_CLEANUP(struct plan *, plan_free);

struct plan_request {
	struct app_workload workload;
	const char *node, *strategy, *target;
	bool json, done;
	struct snapshot *snapshot;
	struct plan *plan;
};

static void plan_request_free(struct plan_request *q)
{
	plan_free(q->plan);
	snapshot_unref(q->snapshot);
	opt_list_free(&q->workload.paths);
}

static int make_plan(struct plan_request *q, struct err *e)
{
	const struct strategy *st = strategy_find(q->strategy);
	struct plan_prober prober = { .probe = app_probe_here };
	const char *node = NULL;
	int r;

	if (!st)
		return err_set(e, -EINVAL, q->strategy, "no such strategy; see offkube probe");
	r = app_load(&q->workload, q->workload.paths.v, q->workload.paths.n, &q->snapshot, NULL, e);
	if (r == 0)
		r = app_pick_node(q->snapshot, q->node, &node, e);
	if (r < 0)
		return r;
	prober.arg = (void *)node;
	return plan_new(st, q->snapshot, node, &prober, &q->plan, e);
}

int cmd_plan(int argc, char **argv)
{
	CLEANUP(plan_request_free) struct plan_request q = { .workload = APP_WORKLOAD_INIT, .strategy = "nft" };
	const struct opt opts[] = {
		APP_WORKLOAD_OPTS(&q.workload),
		{ "node", OPT_STR, "NAME", "for which node (default: the first)", &q.node, 0, 0 },
		{ "strategy", OPT_STR, "NAME", "strategy (default nft)", &q.strategy, 0, 0 },
		{ "json", OPT_FLAG, NULL, "machine-readable", &q.json, 0, 0 },
	};
	const struct opt_command cmd = {
		.name = "plan",
		.summary = "Which function goes to which target on this host, and each refusal with its reason.",
		.usage = "offkube plan --workload FILE [--strategy NAME] [--node NAME] [--json]",
		.examples = "  offkube plan --workload examples/shop.yaml --strategy nft\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
	};
	struct err e = {};
	int r = app_parse(&cmd, argc, argv, NULL, NULL, &q.done);

	if (q.done)
		return r;
	r = make_plan(&q, &e);
	if (r == 0)
		r = plan_print(q.plan, q.json, stdout);
	if (r < 0)
		return app_fail(&e, r);
	return q.plan->usable ? APP_OK : APP_CANNOT;
}

static int print_program(const struct target_ops *ops, const struct target_input *in, bool json, struct err *e)
{
	struct target_program *p = NULL;
	int r;

	if (!in->probe->usable)
		fprintf(stderr,
			"warning: %s cannot run here: %s: %s; compiled as for a host without its optional features ... continuing\n",
			ops->name, refusal_name(in->probe->why), in->probe->detail);
	r = ops->compile(in, &p, e);

	if (r == 0)
		r = ops->program_print(p, json, stdout);
	ops->program_free(p);
	return r;
}

/* The target that was asked for, though no strategy needs it (sim, say). */
static int compile_target(struct plan_request *q, struct err *e)
{
	const struct target_ops *ops = target_find(q->target);
	struct target_probe probe = {};
	const char *node = NULL;
	int r;

	if (!ops)
		return err_set(e, -EINVAL, q->target, "no such target; see offkube probe");
	r = app_load(&q->workload, q->workload.paths.v, q->workload.paths.n, &q->snapshot, NULL, e);
	if (r == 0)
		r = app_pick_node(q->snapshot, q->node, &node, e);
	if (r == 0)
		r = app_probe_here((void *)node, ops, &probe, e);
	if (r == 0) {
		const struct target_input in = {
			.to = q->snapshot, .node = node, .probe = &probe, .with_services = true
		};

		r = print_program(ops, &in, q->json, e);
	}
	return r;
}

static int compile_strategy(struct plan_request *q, struct err *e)
{
	int r = make_plan(q, e);

	for (size_t i = 0; r == 0 && i < q->plan->n_parts; i++) {
		const struct plan_part *part = &q->plan->parts[i];
		const struct target_input in = {
			.to = q->snapshot,
			.node = q->plan->node,
			.probe = &part->probe,
			.with_services = part->functions & (1u << FUNC_SERVICE_LB),
		};

		r = print_program(part->ops, &in, q->json, e);
	}
	return r;
}

int cmd_compile(int argc, char **argv)
{
	CLEANUP(plan_request_free) struct plan_request q = { .workload = APP_WORKLOAD_INIT, .strategy = "nft" };
	const struct opt opts[] = {
		APP_WORKLOAD_OPTS(&q.workload),
		{ "node", OPT_STR, "NAME", "for which node (default: the first)", &q.node, 0, 0 },
		{ "strategy", OPT_STR, "NAME", "all targets of this strategy (default nft)", &q.strategy, 0, 0 },
		{ "target", OPT_STR, "NAME", "this target alone", &q.target, 0, 0 },
		{ "json", OPT_FLAG, NULL, "machine-readable: one object per target", &q.json, 0, 0 },
	};
	const struct opt_command cmd = {
		.name = "compile",
		.summary = "The program that a target would be given for one node, printed. Nothing is installed.",
		.usage = "offkube compile --workload FILE [--strategy NAME | --target NAME] [--node NAME] [--json]",
		.examples = "  offkube compile --workload examples/shop.yaml --target nft\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
	};
	struct err e = {};
	int r = app_parse(&cmd, argc, argv, NULL, NULL, &q.done);

	if (q.done)
		return r;
	r = q.target ? compile_target(&q, &e) : compile_strategy(&q, &e);
	return r < 0 ? app_fail(&e, r) : APP_OK;
}
