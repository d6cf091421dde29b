/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For the tests of lab and target/host: a small cluster as a snapshot, a lab of it, wired by target/host. */
#ifndef OFFKUBE_TESTS_LABTEST_H
#define OFFKUBE_TESTS_LABTEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lab/lab.h"
#include "lab/responder.h"
#include "target/target.h"

/* node-1 ..: 172.30.0.n, fd00:172:30::n, pods 10.244.n.0/24 and fd00:10:244:n::/64.
 * Pods t/p0 ..: on the nodes in turn, addresses .2, .3 ... in order; each serves TCP and UDP LT_PORT. */
#define LT_PORT 8080
struct lt_conf {
	uint32_t n_nodes, n_pods;
	uint32_t skip_pod; /* left out: 1 + its number; 0 = none */
	bool ipv4_only;
	bool host_pod; /* also t/host on node-1, in the node's network, port 9090 */
	bool service; /* also Service t/svc 10.96.0.10, fd00:10:96::10 port 80 to p0 port 8081 */
};
struct snapshot *lt_snapshot(const struct lt_conf *conf);

/* Skips the whole program (exit 77) when namespaces cannot be made here. */
void lt_need_root(void);
/* A name of at most LAB_NAME_MAX that no other test run has; same `tag`, same name. */
const char *lt_name(const char *tag, char buf[static LAB_NAME_MAX + 1]);

#define LT_NODES_MAX 8
struct lt {
	struct lab *lab;
	struct snapshot *s;
	size_t n_nodes;
	char node[LT_NODES_MAX][16];
	void *host[LT_NODES_MAX]; /* handles of target_host */
};
/* Lab, wiring and servers. */
void lt_up(struct lt *lt, const char *name, const struct lt_conf *conf, bool keep);
/* lab_up only, and handles. */
void lt_up_bare(struct lt *lt, const char *name, const struct lt_conf *conf, bool keep);
void lt_wire(struct lt *lt, const struct snapshot *from, const struct snapshot *to, struct target_stats *sum);
void lt_verify(struct lt *lt);
void lt_down(struct lt *lt);
/* Group teardown: what failed tests of this process left. */
int lt_clean_up(void **state);

/* One question with a deadline of three seconds: 0 or -errno as responder_ask. ret may be NULL. */
int lt_ask(int netns_fd, const struct ip_addr *to, uint16_t port, uint8_t proto, struct responder_reply *ret);
struct ip_addr lt_pod_addr(const struct lt *lt, const char *pod, enum ip_family f);
struct ip_addr lt_node_addr(const struct lt *lt, const char *node, enum ip_family f);
int lt_pod_netns(const struct lt *lt, const char *pod);
/*
 * Fails the test unless pod `to` answers on LT_PORT over TCP and UDP, both families, and saw the client under
 * `from` (NULL = any).
 */
void lt_reach(const struct lt *lt, int netns_fd, const char *to, const struct ip_addr *from4,
	      const struct ip_addr *from6);

/*
 * Number of whatever is on this host of labs whose names begin with `prefix`: namespaces, cgroups, state folders,
 * processes.
 */
size_t lt_left_over(const char *prefix);
/*
 * A shell command inside a namespace (-1 = here); its exit code. For what the product has no code of its own: nft,
 * ip.
 */
int lt_run(int netns_fd, const char *command);
struct ip_addr lt_addr(const char *s);

#endif
