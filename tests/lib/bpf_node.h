/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A node for tests of target bpf-sock: an empty network namespace (lo is up) and a cgroup of its own, under a handle. The models are those of nft_world.h. */
#ifndef OFFKUBE_TESTS_BPF_NODE_H
#define OFFKUBE_TESTS_BPF_NODE_H

#include "bpf_pins.h"
#include "nft_world.h"

struct bpf_node {
	int netns_fd, cgroup_fd;
	char cgroup[256]; /* path */
	void *handle;
	bool host_only;
	struct target_stats stats; /* of the last apply */
	struct err e; /* of the last failure */
};

/* Set-up of a group: ends the program with 77 where the target does not run. */
int bpf_node_need(void **state);
/* Each fails the test when it cannot. */
struct bpf_node *bpf_node_new(void);
void bpf_node_free(struct bpf_node *n); /* remove() first, and the cgroup goes */
struct target_env bpf_node_env(const struct bpf_node *n);
void *bpf_node_open(const struct bpf_node *n); /* another handle */
void bpf_node_apply(struct bpf_node *n, const struct snapshot *from, const struct snapshot *to);
int bpf_node_verify(struct bpf_node *n, const struct snapshot *s); /* as the target's; n->e */
/* A socket of a process of the node. */
int bpf_node_socket(const struct bpf_node *n, int family, int type);
uint64_t bpf_node_metric(const struct bpf_node *n, enum reason r);

#endif
