/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kubernetes manifests (YAML, JSON) to a snapshot, as API server, scheduler and the EndpointSlice
 * controller would: workloads become pods spread over the nodes, pods get addresses of their node's
 * pod CIDR, Services get ClusterIPs and endpoints.
 */
#ifndef OFFKUBE_SOURCE_FILE_H
#define OFFKUBE_SOURCE_FILE_H

#include "base/err.h"
#include "model/snapshot.h"

struct source_file_conf {
	const char *const *paths; /* "-" = standard input; a folder = its *.yaml, *.yml, *.json, sorted */
	size_t n_paths;
	uint32_t n_nodes; /* made up ("node-1" ...) when the manifests have no Node; default 2 */
	const char *pod_cidr
		[IP_FAMILY_MAX]; /* cluster-wide; NULL = 10.244.0.0/16, fd00:10:244::/56 (a /24 and a /64 per node) */
	const char *service_cidr[IP_FAMILY_MAX]; /* NULL = 10.96.0.0/16, fd00:10:96::/112 */
	const char *node_cidr[IP_FAMILY_MAX]; /* addresses of made-up nodes; NULL = 172.30.0.0/24, fd00:172:30::/64 */
	bool ipv4_only;
	enum backend_choice choice;
};

/* What was seen, for the user: "12 Deployments, 12 Services; skipped 11 ServiceAccount". */
struct source_kind_count {
	char kind[64];
	uint64_t n;
	bool used;
};

struct source_report {
	struct source_kind_count kinds[64]; /* the rest is summed in the last, "(other)" */
	size_t n_kinds;
	uint64_t n_headless, n_external_name, n_other_proxy; /* Services skipped by SEMANTICS 1.2.1 */
	uint64_t n_pods_pending; /* no room in a pod CIDR, or no node */
	char warning[16]
		    [256]; /* survived oddities ("Service shop/x: no pod matches its selector"); the rest is counted */
	uint64_t n_warnings;
};

/* Nothing or everything: on failure *ret is untouched and err names file:line, object and field. */
int source_file_load(const struct source_file_conf *conf, struct snapshot **ret, struct source_report *ret_report,
		     struct err *e);
/* The same for a buffer, called `name` in messages (fuzzing, tests). */
int source_file_parse(const struct source_file_conf *conf, const char *name, const char *buf, size_t size,
		      struct snapshot **ret, struct source_report *ret_report, struct err *e);

#endif
