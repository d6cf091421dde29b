/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to target/kubeproxy: the program, the handle, and who offers which step.
 *
 *	program.c	compile(), print: which API objects change
 *	feed.c		a program as messages to the server process
 *	process.c	starts the server process, which starts kube-proxy; talks with it
 *	server.c	the server process: collections (store.c) over HTTP (http.c), kube-proxy's log
 *	kernel.c	reads kube-proxy's nf_tables tables
 *	force.c		is a Service in force there? verify()
 *	ops.c		the members of target_ops
 */
#ifndef OFFKUBE_TARGET_KUBEPROXY_KUBEPROXY_H
#define OFFKUBE_TARGET_KUBEPROXY_KUBEPROXY_H

#include "api.h"
#include "process.h"
#include "net/nl.h"
#include "target/target.h"

/* Tables "ip kube-proxy" and "ip6 kube-proxy": the name is fixed in kube-proxy. */
#define KP_TABLE "kube-proxy"

extern const struct target_ops target_kube_proxy; /* named by registry.c */

/* ---- the program ---- */

struct kp_change {
	enum api_kind kind;
	bool removed;
	const struct node *node; /* API_NODE */
	const struct service *svc; /* API_SERVICE and API_SLICE */
	const struct slice *slice; /* API_SLICE */
};

struct target_program {
	struct snapshot *from, *to; /* from NULL: a full program */
	char *node;
	bool with_services;
	char *cluster_cidr; /* "10.244.1.0/24,fd44:1::/64": what kube-proxy takes for pods of this node; may be "" */
	VEC(struct kp_change) changes; /* Nodes, Services, slices; each in order of namespace and name */
	VEC(struct slices *) slices; /* that the changes point into */
};

int kp_compile(const struct target_input *in, struct target_program **ret, struct err *e);
void kp_program_free(struct target_program *p);
int kp_program_print(const struct target_program *p, bool json, FILE *f);
/* Does kube-proxy get this Service? */
bool kp_carries(const struct service *svc);
uint32_t kp_check(const struct target_probe *probe, const struct service *svc, struct refusal_list *refusals);
/* The key of the object that a change is about: "namespace/name", or the name of a node. Owned by the caller; NULL without memory. */
char *kp_change_key(const struct kp_change *c);
void kp_change_emit(const struct kp_change *c, struct emit *em, uint64_t version);

/* ---- probe.c ---- */

int kp_probe(const struct target_env *env, struct target_probe *ret, struct err *e);
/* Path of the program: $OFFKUBE_KUBE_PROXY, else peers/kube-proxy in a folder above this executable, else in $PATH. Owned by the caller. -ENOENT with
 * a sentence that says where it was looked for; -EACCES when it cannot be executed. */
int kp_find_program(char **ret, struct err *e);

/* ---- version.c ---- */

int kp_version(char ret[static TARGET_VERSION_MAX]);
/* "Kubernetes v1.36.3" -> "kube-proxy v1.36.3"; -EBADMSG. Pure. */
int kp_version_parse(const char *said, char ret[static TARGET_VERSION_MAX]);

/* ---- the handle ---- */

struct kp {
	char *node;
	int netns_fd; /* a copy, CLOEXEC; -1 = the caller's own */
	struct nl *nl; /* NETLINK_NETFILTER, in the node's namespace */
	struct kp_process *process; /* NULL = none of ours runs */
	struct snapshot *snapshot; /* that the server serves; NULL = none */
	char *cluster_cidr; /* that kube-proxy was started with */
	uint64_t version; /* last resourceVersion */
};

/* feed.c: sends changes from..to-1. */
int kp_feed(struct kp *h, const struct target_program *p, size_t from, size_t to, struct target_stats *stats,
	    struct err *e);
/* The node without its zone, then with it. */
int kp_feed_zone_again(struct kp *h, const struct node *node, struct err *e);

/* ---- kernel.c ---- */

/* Where a verdict map leads: "goto" a chain. */
struct kp_verdict {
	bool found;
	char chain[256];
};

struct kp_backend {
	struct ip_addr addr;
	uint16_t port;
};

struct kp_backends {
	VEC(struct kp_backend) v;
	bool affinity; /* by chains of endpoints */
};

/* Handle of the chain nat-prerouting, which kube-proxy makes anew when it starts; 0 = there is none. */
int kp_kernel_epoch(struct nl *nl, enum ip_family fam, uint64_t *ret, struct err *e);
/* One element of the verdict maps "service-ips" and "no-endpoint-services", or of the set "cluster-ips". Absent, also without a table: found false. */
int kp_kernel_lookup(struct nl *nl, enum ip_family fam, const char *map, const struct ip_addr *ip, uint8_t proto,
		     uint16_t port, struct kp_verdict *ret, struct err *e);
/* Number of elements of a set or map of ours; 0 without a table. */
int kp_kernel_count(struct nl *nl, enum ip_family fam, const char *set, size_t *ret, struct err *e);
/* To whom a chain of a Service port leads. Nothing, without an error, when the chain is not there. */
int kp_kernel_backends(struct nl *nl, enum ip_family fam, const char *chain, struct kp_backends *ret, struct err *e);
void kp_backends_free(struct kp_backends *b);
/* Calls fn for each element of "service-ips", with the chain, or of "no-endpoint-services" with "reject-chain". */
struct kp_front {
	struct ip_addr ip;
	uint8_t proto;
	uint16_t port;
	const char *chain;
};
int kp_kernel_fronts(struct nl *nl, enum ip_family fam, const char *map, int (*fn)(const struct kp_front *f, void *arg),
		     void *arg, struct err *e);
/* Deletes the tables of kube-proxy and the mark. Absent is success. */
int kp_kernel_remove(struct nl *nl, struct err *e);

/* The mark that the tables are ours: an empty table of our own that holds the processes. */
struct kp_mark {
	pid_t server, proxy; /* 0 = none; the server leads the process group of all */
	uint64_t server_start, proxy_start; /* clock ticks, as in /proc/PID/stat: a pid alone may be another's by now */
};
int kp_mark_write(struct nl *nl, const struct kp_mark *m, struct err *e);
/* 0 = no mark, 1 = *ret is filled. */
int kp_mark_read(struct nl *nl, struct kp_mark *ret, struct err *e);
int kp_table_exists(struct nl *nl, enum ip_family fam, const char *table, struct err *e); /* 0, 1 */

/* ---- force.c ---- */

/* Is `svc` in force as seen from `node` (NULL: as a Service that is gone)? 0, -ESTALE with the difference, -errno. */
int kp_service_in_force(struct nl *nl, const struct service *svc, const struct node *node, struct err *e);
/* Has kube-proxy written anything of this Service, for all its ports? 0, -ESTALE, -errno. */
int kp_service_known(struct nl *nl, const struct service *svc, struct err *e);
/* A Service that is gone, or ports of it: whatever of `from` nobody in `to` has now must be absent. */
int kp_service_gone(struct nl *nl, const struct service *from, const struct snapshot *to, struct err *e);
int kp_verify(void *handle, const struct target_program *full, struct err *e);
int kp_dump(void *handle, FILE *f, struct err *e);
bool kp_ipv6_enabled(int netns_fd);

/* ---- counters.c ---- */

int kp_counters(void *handle, int (*fn)(const struct target_counter *c, void *arg), void *arg, struct err *e);

#endif
