/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The objects of the model: nodes, pods, Services with their endpoints. Each is one immutable, reference-counted block: strings and
 * arrays live inside it, so an object is made by one allocation, shared by any number of snapshots, and freed by the last of them.
 *
 * Build: fill a struct on the stack (pointers to anything), call x_new(), which checks and deep-copies. Addresses are network order inside
 * struct ip_addr; ports are host order. Meaning: Kubernetes API v1 (core), discovery.k8s.io/v1, as restated in docs/semantics.md.
 */
#ifndef OFFKUBE_MODEL_OBJECT_H
#define OFFKUBE_MODEL_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/addr.h"

/* Longest object name or namespace that the API server lets through (RFC 1123 subdomain). */
#define OBJ_NAME_MAX 253

struct obj_ref {
	unsigned int count; /* one thread: no atomics */
};

/* ---- nodes ---- */

struct node {
	struct obj_ref ref;
	const char *name;
	const char *zone; /* label topology.kubernetes.io/zone; NULL when unset */
	struct ip_addr addr[IP_FAMILY_MAX]; /* InternalIP */
	struct ip_prefix pod_cidr[IP_FAMILY_MAX]; /* addr.fam 0 = none */
};

int node_new(const struct node *fill, struct node **ret, struct err *e);
struct node *node_ref(const struct node *n);
void node_unref(struct node *n); /* NULL is fine */
bool node_equal(const struct node *a, const struct node *b);

/* ---- pods ---- */

struct label {
	const char *key, *value;
};

struct container_port {
	const char *name; /* NULL when unnamed */
	uint16_t port;
	uint8_t proto; /* IPPROTO_TCP, _UDP, _SCTP */
};

/* Environment of the containers: which Services this pod calls can be read from it (call graphs). */
struct env_var {
	const char *name, *value;
};

struct pod {
	struct obj_ref ref;
	const char *ns, *name;
	const char *workload; /* "Deployment/frontend" that it was expanded from, NULL for a bare Pod */
	const char *node; /* node name; NULL = not scheduled */
	struct ip_addr addr[IP_FAMILY_MAX];
	bool host_network; /* shares the node's addresses */
	bool ready;
	bool terminating;
	size_t n_labels;
	const struct label *labels; /* sorted by key */
	size_t n_ports;
	const struct container_port *ports;
	size_t n_env;
	const struct env_var *env;
};

int pod_new(const struct pod *fill, struct pod **ret, struct err *e);
struct pod *pod_ref(const struct pod *p);
void pod_unref(struct pod *p);
const char *pod_label(const struct pod *p, const char *key); /* NULL when absent */
bool pod_equal(const struct pod *a, const struct pod *b);

/* ---- Services ---- */

struct endpoint {
	struct ip_addr addr;
	uint16_t port;
	bool ready, serving, terminating; /* EndpointSlice conditions after their defaults (SEMANTICS 1.2.4) */
	const char *node; /* node name; NULL when unknown */
	/* Topology hints (KEP 2433, 3015); n = 0: no hint of that kind. */
	size_t n_for_nodes, n_for_zones;
	const char *const *for_nodes;
	const char *const *for_zones;
};

struct service_port {
	const char *name; /* "" for the only, unnamed port */
	uint8_t proto;
	uint16_t port;
	/* Per family, sorted by address then port, without duplicates (x_new sees to both). */
	size_t n_endpoints[IP_FAMILY_MAX];
	const struct endpoint *endpoints[IP_FAMILY_MAX];
};

/* By what a client may reach a Service. Each is carried, or refused, by itself. Only CLUSTER_IP has its addresses in the model so far;
 * the others are known to be asked for, so that plan and reports can say that they are refused. */
enum service_facet {
	SERVICE_FACET_CLUSTER_IP,
	SERVICE_FACET_NODE_PORT,
	SERVICE_FACET_LOAD_BALANCER,
	SERVICE_FACET_EXTERNAL_IP,
	SERVICE_FACET_MAX,
};
extern const char *const service_facet_name[SERVICE_FACET_MAX];

/* What a target must understand to carry the Service rightly: a bit that its check() does not consume refuses the Service. */
enum service_feature {
	SERVICE_FEATURE_AFFINITY, /* sessionAffinity: ClientIP */
	SERVICE_FEATURE_TOPOLOGY, /* endpoints carry hints */
	SERVICE_FEATURE_INTERNAL_LOCAL, /* internalTrafficPolicy: Local */
	SERVICE_FEATURE_EXTERNAL_LOCAL, /* externalTrafficPolicy: Local */
	SERVICE_FEATURE_SOURCE_RANGES, /* loadBalancerSourceRanges */
	SERVICE_FEATURE_SCTP, /* a port is SCTP */
	SERVICE_FEATURE_MAX,
};
extern const char *const service_feature_name[SERVICE_FEATURE_MAX];

/* How a backend is chosen for a new connection (DESIGN 3.2). */
enum backend_choice { BACKEND_CHOICE_RANDOM, BACKEND_CHOICE_MAGLEV };

struct maglev; /* model/maglev.h */

struct service {
	struct obj_ref ref;
	const char *ns, *name;
	struct ip_addr cluster_ip[IP_FAMILY_MAX]; /* fam 0 = not of that family */
	uint32_t facets; /* 1 << enum service_facet */
	uint32_t features; /* 1 << enum service_feature; SCTP and TOPOLOGY are derived by service_new */
	uint32_t affinity_timeout_s; /* 1..86400; only with SERVICE_FEATURE_AFFINITY */
	enum backend_choice choice;
	size_t n_ports;
	const struct service_port *ports; /* in the order of the manifest */
};

#define SERVICE_AFFINITY_TIMEOUT_DEFAULT_S 10800
#define SERVICE_AFFINITY_TIMEOUT_MAX_S 86400

/* -EINVAL with the field in err->path: no name, port 0, two ports with one (port, protocol) or one name, endpoint of the wrong family,
 * timeout out of range. Without SERVICE_FEATURE_AFFINITY the timeout is taken as 0. Of two endpoints with one address and port the more usable
 * is kept: ready before serving before terminating. */
int service_new(const struct service *fill, struct service **ret, struct err *e);
struct service *service_ref(const struct service *s);
void service_unref(struct service *s);
/* NULL when the Service has no such port. */
const struct service_port *service_find_port(const struct service *s, uint8_t proto, uint16_t port);
/* Same in everything that a target can see. */
bool service_equal(const struct service *a, const struct service *b);

/*
 * Endpoint selection, SEMANTICS 1.3, cluster set: which endpoints of one port may take a new connection on `node`.
 * *ret (room for n_endpoints[fam]) is filled in the port's order; returns their number. 0 means that clients are rejected.
 * `ret_mode` (may be NULL) tells which rule decided. `node` NULL: a place outside of the cluster, that no hint names.
 */
enum select_mode {
	SELECT_NONE, /* no usable endpoint */
	SELECT_READY, /* all that are ready */
	SELECT_SAME_NODE, /* hints name this node */
	SELECT_SAME_ZONE, /* hints name this node's zone */
	SELECT_TERMINATING, /* none ready: those serving and terminating */
	SELECT_MODE_MAX,
};
extern const char *const select_mode_name[SELECT_MODE_MAX];
size_t service_select(const struct service_port *port, enum ip_family fam, const struct node *node,
		      const struct endpoint **ret, enum select_mode *ret_mode);
/* Serving endpoints: UDP connection entries to any other address are stale (SEMANTICS 1.6). */
bool service_port_serves(const struct service_port *port, const struct ip_addr *addr, uint16_t ep_port);

#endif
