/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * offkube trace: what happens to a packet on one node, under sim (the reference) and under real targets in scratch namespaces, and why.
 * Packets come from --from/--to or, one JSON object a line, from a file; docs/trace.md has both schemas.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/util.h"
#include "trace/trace.h"
#include "trace_sim.h"

#define TRACE_RUNNERS_MAX 8

struct trace_job {
	struct app_workload workload;
	struct trace_request req;
	const char *strategy, *target, *packets;
	uint64_t count;
	bool json, done;
	struct snapshot *snapshot;
	const struct node *node;
	size_t n_runners;
	struct trace_runner *runners[TRACE_RUNNERS_MAX];
	bool at_sockets[TRACE_RUNNERS_MAX]; /* what it makes of a packet is what the tiers below see */
};

static void trace_job_free(struct trace_job *q)
{
	for (size_t i = 0; i < q->n_runners; i++)
		trace_close(q->runners[i]);
	snapshot_unref(q->snapshot);
	opt_list_free(&q->workload.paths);
}

/* ---- runners ---- */

static int add_sim(struct trace_job *q, struct err *e)
{
	int r = trace_sim_open(q->snapshot, q->node->name, &q->runners[q->n_runners], e);

	if (r == 0)
		q->n_runners++;
	return r;
}

static int add_live(struct trace_job *q, const struct target_ops *ops, struct err *e)
{
	enum refusal why = REFUSAL_MAX;
	struct err err = {};
	bool at_sockets = ops && ops->at_sockets;
	int r = (at_sockets ? trace_call_open : trace_live_open)(ops, q->snapshot, q->node->name,
								 &q->runners[q->n_runners], &why, &err);

	if (r == 0) {
		q->at_sockets[q->n_runners++] = at_sockets;
		return 0;
	}
	if (!err.code)
		return r;
	if (r == -EPERM)
		why = REFUSAL_NO_PRIVILEGE;
	return err_set(e, r, err.path, "%s%s%s", why < REFUSAL_MAX ? refusal_name(why) : "",
		       why < REFUSAL_MAX ? ": " : "", err.text);
}

static int add_target(struct trace_job *q, const char *name, struct err *e)
{
	const struct target_ops *ops = target_find(name);

	if (str_eq(name, "sim"))
		return add_sim(q, e);
	if (!ops)
		return err_set(e, -EINVAL, name, "no such target; see offkube probe");
	if (!(ops->functions & (1u << FUNC_SERVICE_LB)))
		return err_set(e, -EINVAL, name, "this target carries no Services: there is nothing to trace");
	return add_live(q, ops, e);
}

/* The reference, and what the strategy puts Services on; without a strategy or target the reference alone. */
static int open_runners(struct trace_job *q, struct err *e)
{
	const struct strategy *st;
	int r;

	if (q->target)
		return add_target(q, q->target, e);
	r = add_sim(q, e);
	if (r < 0 || !q->strategy)
		return r;
	st = strategy_find(q->strategy);
	if (!st)
		return err_set(e, -EINVAL, q->strategy, "no such strategy; see offkube probe");
	if (!st->tiers[FUNC_SERVICE_LB][0])
		return add_live(q, NULL, e);
	for (const char *const *t = st->tiers[FUNC_SERVICE_LB]; *t && r == 0; t++)
		r = add_target(q, *t, e);
	return r;
}

/* ---- packets ---- */

/* A socket that was led to a backend sends this first packet instead. */
static int make_led_packet(const struct trace_result *res, const struct trace_packet *p, struct trace_packet *ret)
{
	*ret = (struct trace_packet){};
	return trace_packet_first(p->origin, &res->out, ret);
}

static int run_packet(struct trace_job *q, const struct trace_packet *p, struct err *e)
{
	CLEANUP_FREE struct trace_result *res = malloc(sizeof(*res));
	CLEANUP_FREE struct trace_packet *led = malloc(sizeof(*led));
	int r = res && led ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < q->n_runners; i++) {
		memset(res, 0, sizeof(*res));
		r = trace_run(q->runners[i], p, res, e);
		if (r == 0)
			r = q->json ? trace_result_print_json(q->runners[i]->target, res, stdout) :
				      trace_result_print(q->runners[i]->target, p, res, stdout);
		if (r < 0 || !q->at_sockets[i] || res->verdict == VERDICT_PASS)
			continue;
		if (res->verdict == VERDICT_REJECT)
			break; /* the call failed: there is no packet */
		r = make_led_packet(res, p, led);
		p = led;
	}
	return r;
}

static int run_flow(struct trace_job *q, const struct trace_flow *flow, struct err *e)
{
	CLEANUP_FREE struct trace_packet *p = malloc(sizeof(*p));
	int r = p ? 0 : -ENOMEM;

	for (uint32_t i = 0; r == 0 && i < flow->count; i++) {
		memset(p, 0, sizeof(*p));
		r = trace_flow_packet(flow, i, p);
		if (r == 0)
			r = run_packet(q, p, e);
	}
	return r;
}

static int run_lines(struct trace_job *q, FILE *f, struct err *e)
{
	CLEANUP_FREE struct trace_packet *p = malloc(sizeof(*p));
	CLEANUP_FREE char *line = NULL;
	size_t line_cap = 0;
	unsigned long n = 0;
	ssize_t len;
	int r = p ? 0 : -ENOMEM;

	while (r == 0 && (len = getline(&line, &line_cap, f)) >= 0) {
		char place[300];

		n++;
		if (strspn(line, " \t\r\n") == (size_t)len)
			continue;
		memset(p, 0, sizeof(*p));
		r = trace_packet_parse_json(line, (size_t)len, q->snapshot, q->node, p, e);
		if (r == 0)
			r = run_packet(q, p, e);
		(void)snprintf(place, sizeof(place), "%s:%lu", q->packets, n);
		if (r < 0)
			err_prefix_path(e, place);
	}
	return r == 0 && ferror(f) ? err_set_errno(e, -errno, q->packets, "cannot be read") : r;
}

static int run_file(struct trace_job *q, struct err *e)
{
	CLEANUP_FILE FILE *f = NULL;

	if (str_eq(q->packets, "-"))
		return run_lines(q, stdin, e);
	f = fopen(q->packets, "re");
	if (!f)
		return err_set_errno(e, -errno, q->packets, "cannot be read");
	return run_lines(q, f, e);
}

/* ---- the command ---- */

static int trace(struct trace_job *q, struct err *e)
{
	struct trace_flow flow = {};
	const char *node = NULL;
	int r;

	if (!q->packets == !q->req.to)
		return err_set(e, -EINVAL, NULL, "give --to (and --from), or --packets");
	r = app_load(&q->workload, q->workload.paths.v, q->workload.paths.n, &q->snapshot, NULL, e);
	if (r < 0)
		return r;
	q->req.count = (uint32_t)q->count;
	if (q->packets) {
		r = app_pick_node(q->snapshot, q->req.node, &node, e);
		q->node = r == 0 ? snapshot_node(q->snapshot, node) : NULL;
	} else {
		r = trace_request_resolve(q->snapshot, &q->req, &flow, e);
		q->node = flow.node;
	}
	if (r == 0)
		r = open_runners(q, e);
	if (r < 0)
		return r;
	return q->packets ? run_file(q, e) : run_flow(q, &flow, e);
}

int cmd_trace(int argc, char **argv)
{
	CLEANUP(trace_job_free) struct trace_job q = { .workload = APP_WORKLOAD_INIT, .count = 1 };
	const struct opt opts[] = {
		APP_WORKLOAD_OPTS(&q.workload),
		{ "from", OPT_STR, "WHO", "POD[:PORT], IP[:PORT] or node; POD = [namespace/]name (default node)",
		  &q.req.from, 0, 0 },
		{ "to", OPT_STR, "WHERE", "IP:PORT or [namespace/]SERVICE[:PORT]", &q.req.to, 0, 0 },
		{ "proto", OPT_STR, "NAME", "tcp, udp or sctp (default: the Service port's)", &q.req.proto, 0, 0 },
		{ "count", OPT_U64, "N", "new connections, each from the next source port (default 1)", &q.count, 1,
		  TRACE_COUNT_MAX },
		{ "packets", OPT_STR, "FILE", "packets as JSON lines, - for standard input (docs/trace.md)", &q.packets,
		  0, 0 },
		{ "node", OPT_STR, "NAME", "on which node (default: that of --from, else the first)", &q.req.node, 0,
		  0 },
		{ "strategy", OPT_STR, "NAME", "sim and the targets that carry Services under it", &q.strategy, 0, 0 },
		{ "target", OPT_STR, "NAME", "this target alone (default sim)", &q.target, 0, 0 },
		{ "json", OPT_FLAG, NULL, "one JSON object a line", &q.json, 0, 0 },
	};
	const struct opt_command cmd = {
		.name = "trace",
		.summary = "What happens to a packet, under the reference and under real targets, and why.",
		.usage =
			"offkube trace --workload FILE --from WHO --to WHERE [--proto NAME] [--strategy NAME | --target NAME] [--json]\n"
			"       offkube trace --workload FILE --packets FILE.jsonl [--strategy NAME | --target NAME] [--json]",
		.examples =
			"  offkube trace --workload examples/shop.yaml --from shop/frontend-0 --to shop/cart --count 5\n"
			"  offkube trace --workload examples/shop.yaml --strategy nft --packets packets.jsonl --json\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
	};
	struct err e = {};
	int r = app_parse(&cmd, argc, argv, NULL, NULL, &q.done);

	if (q.done)
		return r;
	r = trace(&q, &e);
	return r < 0 ? app_fail(&e, r) : APP_OK;
}
