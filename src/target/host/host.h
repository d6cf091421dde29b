/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to target/host: the compiled program, the handle, what was read back from the kernel, and who offers
 * which step.
 *
 * One engine serves apply and verify: each wanted thing is compared with what was read back; apply makes what
 * differs, verify (run->dry) reports the first difference as -ESTALE.
 */
#ifndef OFFKUBE_TARGET_HOST_H
#define OFFKUBE_TARGET_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/vec.h"
#include "net/nl.h"
#include "net/rtnl.h"
#include "target/target.h"

#define HOST_POD_IFNAME "eth0"
#define HOST_IFNAME_PREFIX "ok"
/*
 * State of targets that belongs to one network namespace: <cookie>.<target>.json. The cookie (SO_NETNS_COOKIE) is
 * never used twice in a boot. Whoever deletes a namespace for good (the lab) deletes its files.
 */
#define HOST_STATE_DIR "/run/offkube/netns"

extern const struct target_ops target_host; /* named by registry.c */

/* ---- the program ---- */

struct host_pod {
	struct pod *pod; /* a reference */
	char ifname[16]; /* node side */
	uint8_t mac_node[6], mac_pod[6];
};

struct host_route {
	struct ip_prefix dst;
	struct ip_addr via; /* fam 0: unreachable */
	const char *node; /* who is behind it; "" for our own pod CIDR */
};

struct target_program {
	struct arena *arena;
	bool full;
	const char *node;
	struct ip_addr addr[IP_FAMILY_MAX];
	VEC(struct host_pod) pods; /* to be there */
	VEC(struct host_pod) gone_pods; /* delta only */
	VEC(struct host_route) routes;
	VEC(struct host_route) gone_routes; /* delta only */
};

/*
 * "ok" and ten hex digits of a hash of "ns/name"; the MACs carry the same 40 bits, so that a link can be told for
 * ours by its name and MAC.
 */
void host_pod_names(const char *ns, const char *name, struct host_pod *ret);
bool host_link_is_ours(const struct rtnl_link *l);

int host_compile(const struct target_input *in, struct target_program **ret, struct err *e);
void host_program_free(struct target_program *p);
DEFINE_CLEANUP(struct target_program *, host_program_free);
int host_program_print(const struct target_program *p, bool json, FILE *f);

/* ---- the kernel's view ---- */

struct host_kroute {
	struct ip_prefix dst;
	struct ip_addr via, src;
	int ifindex;
	bool onlink;
	uint8_t type; /* RTN_UNICAST or RTN_UNREACHABLE */
	bool used; /* wanted by the program */
};

struct host_kneigh {
	int ifindex;
	struct ip_addr addr;
	uint8_t mac[6];
};

struct host_kaddr {
	int ifindex;
	struct ip_prefix addr;
};

struct host_klink {
	struct rtnl_link l;
	bool used;
};

struct host_state {
	VEC(struct host_klink) links; /* ours only */
	VEC(struct host_kaddr) addrs;
	VEC(struct host_kroute) routes; /* RTPROT_OFFKUBE of the main table */
	VEC(struct host_kneigh) neighs; /* permanent ones */
};

/* Reads all of it from the session's namespace; with_links false leaves the links out (pods). */
int host_state_read(struct nl *nl, bool with_links, struct host_state *ret, struct err *e);
void host_state_free(struct host_state *st);
bool host_state_has_addr(const struct host_state *st, int ifindex, const struct ip_prefix *a);
bool host_state_has_neigh(const struct host_state *st, int ifindex, const struct ip_addr *a, const uint8_t mac[6]);

/* replace: a route of ours to the same destination is there. Without it another's route is -EEXIST and stays. */
int host_kroute_add(struct nl *nl, const struct host_kroute *r, bool replace, struct err *e);
int host_kroute_del(struct nl *nl, const struct host_kroute *r, struct err *e); /* absent is success */

/* ---- the handle and one run ---- */

struct host {
	struct target_env env;
	char *node;
	struct nl *nl; /* in the node's namespace */
	uint64_t cookie; /* of the node's namespace */
};

struct host_run {
	struct host *h;
	const struct target_program *p;
	bool dry;
	char uplink[16]; /* "" when there is none */
	int uplink_ifindex, uplink_mtu;
	struct host_state st;
	struct target_stats *stats;
	uint64_t n_skipped; /* pods without a namespace yet */
	struct err *e;
};

/* In a dry run: -ESTALE with `what` about `object`. Else 0: go and make it. */
int host_differs(struct host_run *run, const char *object, const char *what);
int host_prefix_of(const struct ip_addr *a, struct ip_prefix *ret);

/* One pod wired (veth, both ends, routes, neighbours), or skipped when its namespace is not there. */
int host_pod_wire(struct host_run *run, const struct host_pod *hp);
/* The sweep passes over the routes of this link: they go or stay with it. */
void host_forget_routes(struct host_run *run, int ifindex);
int host_pod_unwire(struct host_run *run, const struct host_pod *hp);
/* A route of the node: made if it is not there as wanted. */
int host_route_want(struct host_run *run, const struct host_kroute *want, const char *object);

/* ---- sysctls ---- */

enum host_sysctl_scope { HOST_SYSCTL_NODE, HOST_SYSCTL_UPLINK, HOST_SYSCTL_VETH, HOST_SYSCTL_POD };

struct host_sysctl {
	enum host_sysctl_scope scope;
	const char *name; /* %s = the interface */
	const char *wanted;
	const char *only_if; /* change only this value; NULL = any other */
	const char *why;
};
extern const struct host_sysctl host_sysctls[];
extern const size_t host_n_sysctls;

/* Node and uplink: originals are recorded in the state file before the first change. */
int host_sysctl_node(struct host_run *run);
/* Those of one of our veths or of a pod's end: they vanish with the device, nothing is recorded. */
int host_sysctl_link(struct host_run *run, enum host_sysctl_scope scope, int netns_fd, const char *ifname);
/*
 * Puts the recorded originals back and deletes the state file. A value that somebody else changed since is left
 * alone.
 */
int host_sysctl_restore(struct host *h, struct err *e);
int host_sysctl_dump(struct host *h, FILE *f);

int host_netns_cookie(int netns_fd, uint64_t *ret);

#endif
