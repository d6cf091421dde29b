/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The live runner: the real program of any target, fed packet by packet in scratch namespaces. Called by `offkube trace --target X` and by the
 * differential tests. scratch.c builds the node, scratch_io.c moves the packets, judge.c concludes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"
#include "judge.h"

struct live {
	struct trace_runner runner;
	const struct target_ops *ops; /* NULL: a plain router */
	struct target_probe probe;
	struct target_env env;
	void *handle;
	struct scratch *scratch;
	struct judge judge;
	struct snapshot *snapshot;
	char *node_name;
	const struct node *node; /* in snapshot */
	struct scratch_seen_list seen; /* of the packet at hand */
};

/* Does the target carry the Service's ClusterIP? Else *ret_why (may be NULL) says why not. */
static bool carries(const struct live *live, const struct service *svc, enum refusal *ret_why)
{
	struct refusal_list notes = {};
	uint32_t facets = 0;

	if (live->ops && live->ops->check)
		facets = live->ops->check(&live->probe, svc, &notes);
	if (ret_why)
		*ret_why = notes.n ? notes.v[0].why : REFUSAL_NO_FUNCTION;
	refusal_list_free(&notes);
	return facets & 1u << SERVICE_FACET_CLUSTER_IP;
}

static bool carries_cb(void *arg, const struct service *svc)
{
	return carries(arg, svc, NULL);
}

static void pass_time(uint32_t ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (ms && nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

/* The Service that the packet is for, and which the target leaves alone. */
static void note_refusal(const struct live *live, const struct trace_packet *p, struct trace_result *ret)
{
	const struct service *svc;
	struct pkt fields;
	int r = pkt_parse(p->buf, p->size, &fields);

	if (r < 0 && r != -EPROTONOSUPPORT)
		return;
	svc = snapshot_service_by_ip(live->snapshot, &fields.t.dst);
	if (!svc || carries(live, svc, &ret->why))
		return;
	ret->refused = true;
	ret->service = svc;
	ret->port = service_find_port(svc, fields.t.proto, fields.t.dport);
}

static int live_run(struct trace_runner *runner, const struct trace_packet *p, struct trace_result *ret, struct err *e)
{
	struct live *live = container_of(runner, struct live, runner);
	struct judge_case c = {
		.s = live->snapshot,
		.node = live->node,
		.packet = p,
		.seen = &live->seen,
		.carries = carries_cb,
		.carries_arg = live,
	};
	int r;

	pass_time(p->after_ms);
	live->seen.v.n = 0;
	r = scratch_run(live->scratch, p, &live->seen, e);
	if (r < 0)
		return r;
	r = judge_packet(&live->judge, &c, ret, e);
	if (r == 0 && !ret->refused)
		note_refusal(live, p, ret);
	return r;
}

/* `from` NULL: all of it. */
static int install(struct live *live, const struct snapshot *from, const struct snapshot *to, struct err *e)
{
	struct target_input in = {
		.from = from, .to = to, .node = live->node_name, .probe = &live->probe, .with_services = true
	};
	struct target_program *program = NULL;
	struct target_stats stats = {};
	int r;

	if (!live->ops)
		return 0;
	r = live->ops->compile(&in, &program, e);
	if (r < 0)
		return r;
	r = live->ops->apply(live->handle, program, &stats, e);
	live->ops->program_free(program);
	return r;
}

static bool same_node(const struct node *a, const struct node *b)
{
	return memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}

static int live_update(struct trace_runner *runner, const struct snapshot *s, struct err *e)
{
	struct live *live = container_of(runner, struct live, runner);
	const struct node *node = snapshot_node(s, live->node_name);
	int r;

	if (!node)
		return err_set(e, -ENOENT, live->node_name, "the new model has no such node");
	if (!same_node(node, live->node))
		return err_set(e, -EOPNOTSUPP, live->node_name, "a node that changes its address cannot be followed");
	if ((r = scratch_add_pods(live->scratch, s, node, e)) < 0 || (r = install(live, live->snapshot, s, e)) < 0 ||
	    (r = scratch_drop_pods(live->scratch, e)) < 0 || (r = judge_update(&live->judge, s)) < 0)
		return r;
	snapshot_unref(live->snapshot);
	live->snapshot = snapshot_ref(s);
	live->node = node;
	return 0;
}

static void live_close(struct trace_runner *runner)
{
	struct live *live = container_of(runner, struct live, runner);

	if (live->handle)
		live->ops->close(live->handle);
	scratch_free(live->scratch);
	judge_done(&live->judge);
	snapshot_unref(live->snapshot);
	vec_free(&live->seen.v);
	free(live->node_name);
	free(live);
}

static const struct trace_runner_ops live_ops = { .run = live_run, .update = live_update, .close = live_close };

/* Connects the target to the scratch node and puts the model in force. */
static int attach(struct live *live, enum refusal *ret_why, struct err *e)
{
	int r;

	if (!live->ops)
		return 0;
	live->env = (struct target_env){
		.node = live->node_name,
		.netns_fd = live->scratch->node_ns,
		.cgroup_fd = -1,
		.clock = &clock_monotonic,
		.uplink = SCRATCH_UPLINK,
	};
	r = live->ops->probe(&live->env, &live->probe, e);
	if (r < 0)
		return r;
	if (!live->probe.usable) {
		if (ret_why)
			*ret_why = live->probe.why;
		return err_set(e, -EOPNOTSUPP, live->ops->name, "%s: %s", refusal_text(live->probe.why),
			       live->probe.detail);
	}
	r = live->ops->open(&live->env, &live->handle, e);
	return r < 0 ? r : install(live, NULL, live->snapshot, e);
}

int trace_live_open(const struct target_ops *ops, const struct snapshot *s, const char *node, struct trace_runner **ret,
		    enum refusal *ret_why, struct err *e)
{
	const struct node *n = snapshot_node(s, node);
	struct live *live;
	int r;

	if (!n)
		return err_set(e, -ENOENT, node, "no such node in the model");
	live = calloc(1, sizeof(*live));
	if (!live)
		return -ENOMEM;
	live->runner.ops = &live_ops;
	live->runner.target = ops ? ops->name : "none";
	live->ops = ops;
	live->snapshot = snapshot_ref(s);
	live->node = n;
	live->node_name = strdup(node);
	r = live->node_name ? judge_init(&live->judge, &clock_monotonic) : -ENOMEM;
	if (r == 0)
		r = scratch_new(s, n, &live->scratch, e);
	if (r == 0)
		r = attach(live, ret_why, e);
	if (r < 0) {
		live_close(&live->runner);
		return r;
	}
	*ret = &live->runner;
	return 0;
}
