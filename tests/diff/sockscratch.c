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

/* Does the part's target say that the node holds what a full program would make? */
static int verify_part(struct sockdiff *d, const struct target_env *env, const struct plan_part *part, struct err *e)
{
	const struct target_input in = {
		.to = d->m.snapshot,
		.node = env->node,
		.probe = &part->probe,
		.with_services = part->functions & 1u << FUNC_SERVICE_LB,
	};
	struct target_program *program = NULL;
	struct err found = {};
	void *handle = NULL;
	int r = part->ops->compile(&in, &program, e);

	if (r == 0)
		r = part->ops->open(env, &handle, e);
	if (r == 0)
		r = part->ops->verify(handle, program, &found);
	if (r == -ESTALE) {
		(void)snprintf(d->why, sizeof(d->why), "read back on %s: %s: %s", env->node, found.path, found.text);
		r = 1;
	} else if (r < 0) {
		(void)err_set(e, r, found.path, "%s", found.text);
	}
	part->ops->close(handle);
	part->ops->program_free(program);
	return r;
}

static int verify_node(struct sockdiff *d, const struct target_env *env, struct err *e)
{
	const struct plan *plan = testbed_plan(d->tb, env->node);
	int r = 0;

	for (size_t i = 0; i < plan->n_parts && r == 0; i++)
		if (plan->parts[i].functions)
			r = verify_part(d, env, &plan->parts[i], e);
	return r;
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

struct target_env sockdiff_env(struct sockdiff *d, unsigned int node)
{
	struct lab *lab = testbed_lab(d->tb);

	return (struct target_env){
		.node = sm_node_name(node),
		.netns_fd = lab_node_netns(lab, sm_node_name(node)),
		.cgroup_fd = lab_node_cgroup(lab, sm_node_name(node)),
		.clock = &clock_monotonic,
		.pod_netns = pod_netns,
		.pod_netns_arg = lab,
		.uplink = "eth0",
	};
}

int sockdiff_apply_from_scratch(struct sockdiff *d, struct err *e)
{
	int r = 0;

	for (unsigned int i = 0; i < SM_NODES && r == 0; i++) {
		struct target_env env = sockdiff_env(d, i);

		r = verify_node(d, &env, e);
		if (r == 0)
			r = apply_node(d, &env, e);
	}
	return r;
}
