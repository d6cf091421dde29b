/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A second applier for the nodes of a running testbed, as after a restart of whoever applied (sockdiff.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "apply/apply.h"
#include "base/cleanup.h"
#include "sockdiff.h"

DEFINE_CLEANUP(struct applier *, applier_free);
DEFINE_CLEANUP(struct plan *, plan_free);

static int pod_netns(void *arg, const struct pod *p)
{
	int fd = lab_pod_netns(arg, p->ns, p->name);

	fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -ENOENT : fd;
}

static int probe(void *arg, const struct target_ops *ops, struct target_probe *ret, struct err *e)
{
	return ops->probe(arg, ret, e);
}

static int apply_node(struct sockdiff *d, struct target_env *env, struct err *e)
{
	const struct plan_prober prober = { .probe = probe, .arg = env };
	CLEANUP(applier_freep) struct applier *applier = NULL;
	CLEANUP(plan_freep) struct plan *plan = NULL;
	struct apply_report rep = {};
	int r = applier_new(env, &applier, e);

	if (r == 0)
		r = plan_new(testbed_plan(d->tb, env->node)->strategy, d->m.snapshot, env->node, &prober, &plan, e);
	if (r == 0)
		r = applier_run(applier, plan, true, &rep, e);
	if (r < 0 || rep.total.n_added == 0)
		return r;
	(void)snprintf(d->why, sizeof(d->why), "applied again from scratch on %s: %llu things were added", env->node,
		       (unsigned long long)rep.total.n_added);
	return 1;
}

int sockdiff_apply_from_scratch(struct sockdiff *d, struct err *e)
{
	struct lab *lab = testbed_lab(d->tb);
	int r = 0;

	for (unsigned int i = 0; i < SM_NODES && r == 0; i++) {
		struct target_env env = {
			.node = sm_node_name(i),
			.netns_fd = lab_node_netns(lab, sm_node_name(i)),
			.cgroup_fd = lab_node_cgroup(lab, sm_node_name(i)),
			.clock = &clock_monotonic,
			.pod_netns = pod_netns,
			.pod_netns_arg = lab,
			.uplink = "eth0",
		};

		r = apply_node(d, &env, e);
	}
	return r;
}
