/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of this folder share. Loading has two halves:
 *
 *	read:  each object of the input becomes a raw_* record (load.c, object.c, and one reader
 *	       per kind: node.c, workload.c, service.c, slice.c).
 *	build: nodes get addresses (nodes.c), workloads become pods on them (pods.c), Services
 *	       get ClusterIPs (cluster_ip.c) and endpoints (endpoints.c), in an edit of an empty
 *	       snapshot (build.c).
 *
 * Records and their strings live in load->arena. All is freed when the load ends, however it ends;
 * the snapshot shares nothing with it.
 */
#ifndef OFFKUBE_SOURCE_FILE_LOAD_H
#define OFFKUBE_SOURCE_FILE_LOAD_H

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "field.h"
#include "model/snapshot.h"
#include "source/file.h"

/* Bounds on what one input may ask for. */
#define LOAD_INPUT_SIZE_MAX (2ull << 30)
#define LOAD_PODS_MAX 200000
#define LOAD_REPLICAS_MAX INT32_MAX
/* Of the API: characters of a label's value, and of the name part of its key. */
#define LABEL_VALUE_MAX 63
/*
 * Environment that a pod carries (call graphs are read from it): longer values, and what is beyond
 * the sum, are left out.
 */
#define LOAD_ENV_VALUE_MAX 1024
#define LOAD_ENV_SIZE_MAX 32768

struct place {
	const char *file;
	unsigned int line;
};

struct labels {
	struct label *v;
	size_t n;
};

/* The object that is being read, as messages name it. */
struct object {
	struct load *load;
	struct place place;
	const char *kind;
	const char *ns; /* "" for kinds without namespace */
	const char *name; /* "" until it is known */
	const struct doc_node *root;
	struct labels labels;
};

struct raw_node {
	struct place place;
	const char *name;
	const char *zone;
	struct labels labels;
	struct ip_addr addr[IP_FAMILY_MAX];
	struct ip_prefix pod_cidr[IP_FAMILY_MAX];
	bool made_up;
	bool unschedulable;
	size_t n_taints;
	struct taint *taints; /* taints.h */
	/* While pods are placed (pods.c). */
	uint64_t next[IP_FAMILY_MAX]; /* next address of the pod CIDR to try */
	uint64_t n_pods;
	uint64_t n_of_workload; /* of the workload that is being placed */
	bool eligible; /* for that workload */
	bool full;
};

enum workload_kind {
	WORKLOAD_POD,
	WORKLOAD_DEPLOYMENT,
	WORKLOAD_REPLICA_SET,
	WORKLOAD_STATEFUL_SET,
	WORKLOAD_DAEMON_SET,
	WORKLOAD_KIND_MAX,
};
extern const char *const workload_kind_name[WORKLOAD_KIND_MAX];

/* What matters of a pod template, and of a Pod. */
struct pod_spec {
	struct labels labels;
	size_t n_ports;
	struct container_port *ports;
	size_t n_env;
	struct env_var *env;
	bool host_network;
	const char *node_name;
	struct labels node_selector;
	size_t n_tolerations;
	struct toleration *tolerations; /* taints.h */
};

struct raw_workload {
	struct place place;
	enum workload_kind kind;
	const char *ns, *name;
	const char *owner_kind, *owner_name; /* the controller; NULL = none */
	uint64_t replicas; /* Deployment, ReplicaSet, StatefulSet */
	uint64_t first_ordinal; /* StatefulSet */
	struct pod_spec spec;
	bool observed; /* the input holds what it was expanded into, or what expands into it */
	const char *workload; /* "Deployment/frontend": what its pods are part of; NULL = a bare Pod */
	/* WORKLOAD_POD */
	struct ip_addr addr[IP_FAMILY_MAX];
	bool not_ready, terminating, completed, pending;
};

struct raw_service_port {
	const char *name; /* "" = unnamed */
	uint8_t proto;
	uint16_t port;
	uint16_t target_port; /* 0 = by name */
	const char *target_name;
};

enum distribution { DISTRIBUTION_NONE, DISTRIBUTION_SAME_ZONE, DISTRIBUTION_SAME_NODE };

struct raw_service {
	struct place place;
	const char *ns, *name;
	bool skipped; /* headless, ExternalName, another proxy's */
	struct labels selector;
	size_t n_ports;
	struct raw_service_port *ports;
	struct ip_addr cluster_ip[IP_FAMILY_MAX];
	bool want[IP_FAMILY_MAX];
	uint32_t facets, features;
	uint32_t affinity_timeout_s;
	bool publish_not_ready;
	enum distribution distribution;
	struct raw_slice *slices; /* of the build: sorted by slice name */
};

struct raw_slice_port {
	const char *name; /* "" = unnamed */
	uint8_t proto;
	uint16_t port;
};

/* Topology hints of an endpoint. */
struct raw_hints {
	size_t n_nodes, n_zones;
	const char **nodes, **zones;
};

/* Hundreds of thousands of them: kept small. */
struct raw_endpoint {
	struct ip_addr addr;
	bool ready : 1, serving : 1, terminating : 1;
	const char *node; /* interned; NULL = unknown */
	const struct raw_hints *hints; /* NULL = none */
};

struct raw_slice {
	struct place place;
	const char *ns, *service, *name;
	bool legacy; /* from an Endpoints object: gives way to EndpointSlices */
	size_t n_ports;
	struct raw_slice_port *ports;
	size_t n_endpoints;
	struct raw_endpoint *endpoints;
	struct raw_slice *next;
};

struct load {
	const struct source_file_conf *conf;
	struct arena *arena;
	struct map *strings; /* load_intern() */
	struct map *seen; /* "Kind ns/name" -> struct place */
	struct map *addrs; /* addresses that are taken, with their owners (build.c) */
	struct map *node_by_name; /* -> struct raw_node */
	struct source_report report;
	struct err *e;
	const char *file; /* that is being read */
	struct ip_prefix pod_cidr[IP_FAMILY_MAX], service_cidr[IP_FAMILY_MAX], node_cidr[IP_FAMILY_MAX];
	VEC(struct raw_node *) nodes;
	VEC(struct raw_workload *) workloads;
	VEC(struct raw_service *) services;
	VEC(struct raw_slice *) slices;
	VEC(struct pod *) pods; /* of the build; one reference each */
};

/* ---- load.c ---- */

/* NULL = -ENOMEM. The second gives equal strings one copy. */
char *load_strdup(struct load *l, const char *s);
const char *load_intern(struct load *l, const char *s);
/* Survived oddities: the first ones are kept, all are counted. place may be NULL. */
void load_warn(struct load *l, const struct place *place, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* "file:line: what", the front of a long file name cut. */
void load_place(char *buf, size_t size, const struct place *place, const char *what);
/* An error found after reading: "file:line: Kind ns/name: path". Returns `code`. */
int load_err(struct load *l, int code, const struct place *place, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
bool load_uses(const struct load *l, enum ip_family fam);
/* The same on every machine and in every version: names and addresses are derived from it. */
uint64_t load_stable_hash(const char *s, uint64_t seed);

/* ---- object.c ---- */

/* Sets the load's error to text, at file:line: Kind ns/name: path. Returns -EINVAL. */
int object_err(const struct object *o, unsigned int line, const char *path, const char *text);
/*
 * Reads and checks metadata: name, namespace, labels. -EINVAL also for a duplicate, both places
 * named.
 */
int object_read_meta(struct object *o, bool namespaced);
/*
 * A mapping of label keys to label values, checked as the API server does; sorted by key. Absent =
 * none.
 */
int object_read_labels(const struct field *f, const char *key, struct labels *ret);
const char *labels_get(const struct labels *l, const char *key);
/* Does every pair of `selector` stand in `labels`? */
bool labels_match(const struct labels *selector, const struct label *labels, size_t n_labels);
bool name_is_dns_label(const char *s);
bool name_is_port(const char *s); /* IANA_SVC_NAME: what targetPort and container ports may be called */

/* ---- readers, one per kind ---- */

int node_read(struct object *o);
int workload_read(struct object *o);
int service_read(struct object *o);
int slice_read(struct object *o);
int endpoints_read(struct object *o);

/* ---- build ---- */

int build_snapshot(struct load *l, struct snapshot **ret);
/*
 * Marks an address as taken. -EINVAL, both owners named, when it is already. `what` is the owner as
 * messages name it, and lives as long as the load; `field` is where the address stands, "" when it
 * was given out.
 */
int build_take_addr(struct load *l, const struct ip_addr *a, const struct place *place, const char *what,
		    const char *field);

/*
 * Completes l->nodes: made-up ones when the input has none, addresses, pod CIDRs; puts them into
 * the edit.
 */
int nodes_build(struct load *l, struct snapshot_edit *ed);
/*
 * Workloads to pods with a node and addresses, into l->pods and the edit. What finds no room is
 * counted.
 */
int pods_build(struct load *l, struct snapshot_edit *ed);
/* Gives every Service that lacks one an address of each of its families. */
int cluster_ip_build(struct load *l);
/*
 * Services with their endpoints, as the EndpointSlice controller computes them or as the slices of
 * the input say, into the edit.
 */
int endpoints_build(struct load *l, struct snapshot_edit *ed);

#endif
