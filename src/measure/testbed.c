/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lab, wiring, strategy and servers as one thing. Called by eval.c, the benchmarks, `offkube lab` and the differential tests.
 *
 * Order of life: lab namespaces -> per node plan and apply (pods are wired by the plan's first part) -> servers.
 */
#include "measure/testbed.h"

#include <errno.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"

struct testbed_node {
	struct testbed *tb; /* for callbacks */
	const char *name; /* of the snapshot in force */
	struct applier *applier;
	struct plan *plan;
};

struct testbed {
	struct lab *lab;
	struct snapshot *snapshot;
	const struct strategy *strategy;
	bool verify;
	const volatile int *stop; /* NULL = never */
	size_t n_nodes;
	struct testbed_node *nodes;
	struct apply_report report;
};

DEFINE_CLEANUP(struct testbed *, testbed_free);

void testbed_free(struct testbed *tb)
{
	if (!tb)
		return;
	for (size_t i = 0; i < tb->n_nodes; i++) {
		applier_free(tb->nodes[i].applier);
		plan_free(tb->nodes[i].plan);
	}
	free(tb->nodes);
	lab_free(tb->lab);
	snapshot_unref(tb->snapshot);
	free(tb);
}

static int find_pod_netns(void *arg, const struct pod *p)
{
	const struct testbed_node *n = arg;
	int fd = lab_pod_netns(n->tb->lab, p->ns, p->name);

	if (fd < 0)
		return -ENOENT;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

static struct target_env node_env(struct testbed_node *n)
{
	return (struct target_env){
		.node = n->name,
		.netns_fd = lab_node_netns(n->tb->lab, n->name),
		.cgroup_fd = lab_node_cgroup(n->tb->lab, n->name),
		.clock = &clock_monotonic,
		.pod_netns = find_pod_netns,
		.pod_netns_arg = n,
		.uplink = "eth0",
	};
}

static int probe_node(void *arg, const struct target_ops *ops, struct target_probe *ret, struct err *e)
{
	const struct target_env env = node_env(arg);

	return ops->probe(&env, ret, e);
}

static void add_report(struct apply_report *sum, const struct apply_report *r)
{
	sum->compile_ns += r->compile_ns;
	sum->apply_ns += r->apply_ns;
	sum->verify_ns += r->verify_ns;
	sum->total.n_transactions += r->total.n_transactions;
	sum->total.n_added += r->total.n_added;
	sum->total.n_removed += r->total.n_removed;
	sum->total.n_kept += r->total.n_kept;
	sum->total.n_stale_flows += r->total.n_stale_flows;
}

/* A strategy without one of its tiers would carry its Services, but be measured under a name that is not its own. */
static int refuse_degraded(const struct plan *p, struct err *e)
{
	for (size_t i = 0; p->usable && i < p->n_parts; i++)
		if (!p->parts[i].probe.usable)
			return err_set(e, -EOPNOTSUPP, NULL, "%s: %s: %s", refusal_name(p->parts[i].probe.why),
				       p->parts[i].ops->name, p->parts[i].probe.detail);
	return 0;
}

static int apply_node(struct testbed *tb, struct testbed_node *n, const struct snapshot *s, struct err *e)
{
	const struct plan_prober prober = { .probe = probe_node, .arg = n };
	struct apply_report rep = {};
	struct plan *plan = NULL;
	int r;

	if (n->plan)
		r = plan_update(n->plan, s, &plan, e);
	else
		r = plan_new(tb->strategy, s, n->name, &prober, &plan, e);
	if (r < 0)
		return r;
	r = refuse_degraded(plan, e);
	if (r == 0)
		r = applier_run(n->applier, plan, tb->verify, &rep, e);
	if (r < 0) {
		plan_free(plan);
		return r;
	}
	plan_free(n->plan);
	n->plan = plan;
	n->name = plan->node;
	add_report(&tb->report, &rep);
	return 0;
}

static int apply_all(struct testbed *tb, const struct snapshot *s, struct err *e)
{
	tb->report = (struct apply_report){};
	for (size_t i = 0; i < tb->n_nodes; i++) {
		int r = tb->stop && *tb->stop ? err_set(e, -EINTR, NULL, "interrupted") :
						apply_node(tb, &tb->nodes[i], s, e);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Handles for every node; nothing is touched yet. Takes the lab only on success. */
static int testbed_new(struct lab *lab, const struct testbed_conf *conf, struct testbed **ret, struct err *e)
{
	CLEANUP(testbed_freep) struct testbed *tb = calloc(1, sizeof(*tb));
	CLEANUP_FREE const struct node **nodes = NULL;
	size_t n_nodes;
	int r;

	if (!tb)
		return -ENOMEM;
	tb->strategy = conf->strategy;
	tb->verify = conf->verify;
	tb->stop = conf->stop;
	tb->snapshot = snapshot_ref(conf->snapshot);
	r = snapshot_sorted_nodes(conf->snapshot, &nodes, &n_nodes);
	if (r < 0)
		return r;
	tb->nodes = calloc(n_nodes + 1, sizeof(*tb->nodes));
	if (!tb->nodes)
		return -ENOMEM;
	tb->lab = lab;
	for (; tb->n_nodes < n_nodes && r == 0; tb->n_nodes++) {
		struct testbed_node *n = &tb->nodes[tb->n_nodes];
		struct target_env env;

		n->tb = tb;
		n->name = nodes[tb->n_nodes]->name;
		env = node_env(n);
		r = applier_new(&env, &n->applier, e);
	}
	if (r < 0) {
		tb->lab = NULL; /* stays the caller's */
		return r;
	}
	*ret = TAKE_PTR(tb);
	return 0;
}

int testbed_adopt(struct lab *lab, const struct testbed_conf *conf, struct testbed **ret, struct err *e)
{
	CLEANUP(testbed_freep) struct testbed *tb = NULL;
	int r = testbed_new(lab, conf, &tb, e);

	if (r < 0)
		return r;
	r = lab_update(lab, conf->snapshot, e);
	if (r == 0)
		r = apply_all(tb, conf->snapshot, e);
	if (r < 0) {
		tb->lab = NULL;
		return r;
	}
	*ret = TAKE_PTR(tb);
	return 0;
}

/* A lab that may not be made is a refusal: whoever tries several strategies goes on, and says why. */
static int lab_up_or_refuse(const struct lab_conf *conf, struct lab **ret, struct err *e)
{
	struct err why = {};
	int r = lab_up(conf, ret, &why);

	if (r == -EPERM || r == -EACCES)
		return err_set(e, -EOPNOTSUPP, NULL, "%s: labs need root (CAP_SYS_ADMIN, CAP_NET_ADMIN): %s%s%s",
			       refusal_name(REFUSAL_NO_PRIVILEGE), why.path, why.path[0] ? ": " : "", why.text);
	if (r < 0 && e)
		*e = why;
	return r;
}

int testbed_up(const struct testbed_conf *conf, struct testbed **ret, struct err *e)
{
	const struct lab_conf lab_conf = {
		.name = conf->name,
		.snapshot = conf->snapshot,
		.n_clients = conf->n_clients,
		.keep = conf->keep,
		.server_cpus = conf->server_cpus,
		.bare_ns = conf->bare_ns,
		.stop = conf->stop,
	};
	struct testbed *tb = NULL;
	struct lab *lab = NULL;
	int r;

	r = lab_up_or_refuse(&lab_conf, &lab, e);
	if (r < 0)
		return r;
	r = testbed_new(lab, conf, &tb, e);
	if (r < 0) {
		(void)lab_down(lab, NULL); /* the first failure is the one to tell */
		return r;
	}
	r = apply_all(tb, conf->snapshot, e);
	if (r == 0)
		r = lab_start_servers(lab, e);
	if (r == 0)
		r = lab_set_note(lab, "strategy", conf->strategy->name, e);
	if (r < 0) {
		(void)testbed_down(tb, NULL); /* as above */
		return r;
	}
	*ret = tb;
	return 0;
}

int testbed_apply(struct testbed *tb, const struct snapshot *s, struct err *e)
{
	int r = apply_all(tb, s, e);

	if (r < 0)
		return r;
	snapshot_unref(tb->snapshot);
	tb->snapshot = snapshot_ref(s);
	return 0;
}

int testbed_reapply(struct testbed *tb, const struct snapshot *s, struct err *e)
{
	for (size_t i = 0; i < tb->n_nodes; i++) {
		struct testbed_node *n = &tb->nodes[i];
		struct target_env env = node_env(n);
		struct applier *fresh = NULL;
		int r = applier_new(&env, &fresh, e);

		if (r < 0)
			return r;
		applier_free(n->applier);
		n->applier = fresh;
		n->name = snapshot_node(tb->snapshot, n->name)->name; /* the plan's may go with its snapshot */
		plan_free(n->plan);
		n->plan = NULL;
	}
	return testbed_apply(tb, s, e);
}

void testbed_set_verify(struct testbed *tb, bool verify)
{
	tb->verify = verify;
}

int testbed_update(struct testbed *tb, const struct snapshot *s, struct err *e)
{
	int r = lab_update(tb->lab, s, e);

	if (r == 0)
		r = testbed_apply(tb, s, e);
	return r < 0 ? r : lab_start_servers(tb->lab, e);
}

int testbed_down(struct testbed *tb, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < tb->n_nodes; i++) {
		int ri = applier_cleanup(tb->nodes[i].applier, e);

		if (r == 0)
			r = ri;
	}
	if (tb->lab) {
		int rl = lab_down(TAKE_PTR(tb->lab), e);

		if (r == 0)
			r = rl;
	}
	testbed_free(tb);
	return r;
}

struct lab *testbed_lab(const struct testbed *tb)
{
	return tb->lab;
}

const struct snapshot *testbed_snapshot(const struct testbed *tb)
{
	return tb->snapshot;
}

const struct strategy *testbed_strategy(const struct testbed *tb)
{
	return tb->strategy;
}

const struct plan *testbed_plan(const struct testbed *tb, const char *node)
{
	for (size_t i = 0; i < tb->n_nodes; i++)
		if (str_eq(tb->nodes[i].name, node))
			return tb->nodes[i].plan;
	return NULL;
}

const struct apply_report *testbed_apply_report(const struct testbed *tb)
{
	return &tb->report;
}

struct counter_sum {
	const char *object, *name;
	uint64_t sum;
	bool seen;
};

static int add_counter(const struct target_counter *c, void *arg)
{
	struct counter_sum *sum = arg;

	if ((!sum->object || str_eq(c->object, sum->object)) && str_eq(c->name, sum->name)) {
		sum->sum += c->value;
		sum->seen = true;
	}
	return 0;
}

int testbed_counter(struct testbed *tb, const char *target, const char *object, const char *name, uint64_t *ret,
		    struct err *e)
{
	const struct target_ops *ops = target_find(target);
	struct counter_sum sum = { .object = object, .name = name };

	for (size_t i = 0; ops && ops->counters && i < tb->n_nodes; i++) {
		const struct target_env env = node_env(&tb->nodes[i]);
		void *handle = NULL;
		int r = ops->open(&env, &handle, e);

		if (r == 0)
			r = ops->counters(handle, add_counter, &sum, e);
		ops->close(handle);
		if (r < 0)
			return r;
	}
	*ret = sum.sum;
	return sum.seen;
}
