/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sweep and fault run on a cluster of known shape, not on the user's workload: what is varied there (changes of a Service under load, a backend that dies) needs
 * Services with several backends and one to spare. Called by eval_experiments.c.
 */
#include "eval_synthetic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"

const struct synthetic eval_synthetic_shape = { .n_nodes = 2, .n_services = 1000, .n_endpoints = 2, .tcp = true };

void eval_synthetic_cell(const struct eval *ev, enum load_kind load, size_t n, struct eval_cell *ret)
{
	const struct snapshot *s = ev->synthetic.snapshot;

	*ret = (struct eval_cell){
		.load = load,
		.path = PATH_OTHER_NODE,
		.family = IP_V4,
		.client = snapshot_pod(s, SYNTHETIC_NS, "client"),
		.n_services = n,
	};
	for (size_t i = 0; i < n; i++) {
		struct eval_service *es = &ret->services[i];
		char name[24];

		(void)snprintf(name, sizeof(name), "s%zu", i);
		es->svc = snapshot_service(s, SYNTHETIC_NS, name);
		for (size_t p = 0; p < es->svc->n_ports; p++)
			if (es->svc->ports[p].proto == IPPROTO_TCP)
				es->port = &es->svc->ports[p];
		es->n_backends = eval_synthetic_shape.n_endpoints;
		es->n_more = 1; /* to which its last endpoint may move */
		for (uint32_t k = 0; k <= eval_synthetic_shape.n_endpoints; k++) {
			uint32_t b = ((uint32_t)i + k) % SYNTHETIC_BACKENDS;
			const char *backend = synthetic_backend_name(b) + sizeof(SYNTHETIC_NS);
			const struct pod *p = snapshot_pod(s, SYNTHETIC_NS, backend);

			es->backends[k] =
				(struct eval_backend){ .addr = p->addr[IP_V4], .port = SYNTHETIC_PORT, .pod = p };
		}
	}
}

int eval_synthetic_netns(const struct eval_arm *arm, const char *pod)
{
	return lab_pod_netns(testbed_lab(arm->testbed), SYNTHETIC_NS, pod);
}

int eval_synthetic_cgroup(const struct eval_arm *arm)
{
	return lab_node_cgroup(testbed_lab(arm->testbed), "node-1");
}
