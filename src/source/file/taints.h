/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Taints of nodes and tolerations of pods: whom the scheduler keeps away from a node. */
#ifndef OFFKUBE_SOURCE_FILE_TAINTS_H
#define OFFKUBE_SOURCE_FILE_TAINTS_H

#include "load.h"

struct taint {
	const char *key, *value;
	const char *effect; /* "NoSchedule" or "NoExecute": others keep nobody away */
};

struct toleration {
	const char *key; /* "" = any */
	const char *value;
	const char *effect; /* "" = any */
	bool exists; /* whatever the value */
};

/* spec.taints of a Node, spec.tolerations of a Pod or template. */
int taints_read(const struct field *spec, struct raw_node *n);
int tolerations_read(const struct field *spec, struct pod_spec *p);
/*
 * May pods of this workload be scheduled there? DaemonSets tolerate what Kubernetes itself says
 * about a node's state.
 */
bool taints_allow(const struct raw_node *n, const struct raw_workload *w);

#endif
