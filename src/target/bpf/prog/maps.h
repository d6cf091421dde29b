/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * All maps. Those marked "by need" are made as large as the cluster asks for, and replaced by larger ones when it outgrows them; no element has an
 * identifier, so nothing changes its meaning then. max_entries here is what the verifier sees in tests.
 */
#ifndef OFFKUBE_BPF_MAPS_H
#define OFFKUBE_BPF_MAPS_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "reasons.h"

#define HASH_BY_NEED(map, key_type, value_type)       \
	struct {                                      \
		__uint(type, BPF_MAP_TYPE_HASH);      \
		__uint(map_flags, BPF_F_NO_PREALLOC); \
		__uint(max_entries, 1024);            \
		__type(key, key_type);                \
		__type(value, value_type);            \
	} map SEC(".maps")

/* Service port -> how it is carried. Writer: user space, as the last step of a change. */
HASH_BY_NEED(services, struct bpf_vip, struct bpf_service);
/* Service port and index -> backend. Writer: user space. */
HASH_BY_NEED(backends, struct bpf_backend_key, struct bpf_backend);
/* Every ClusterIP that is carried: other ports of it are refused. Writer: user space. */
HASH_BY_NEED(cluster_ips, struct bpf_addr, __u32);
/* Who may be remembered, and who may keep its UDP clients. Writer: user space. */
HASH_BY_NEED(members, struct bpf_member_key, __u32);
/* Backends that would be led to themselves. Writer: user space. */
HASH_BY_NEED(hairpins, struct bpf_client_key, __u32);
/* Maglev tables. Writer: user space. */
HASH_BY_NEED(slots, struct bpf_slots_key, struct bpf_slots);
/* Who lives in a network namespace of this node. Writer: user space. */
HASH_BY_NEED(clients, __u64, struct bpf_client);

/* Connections of each Service port. Elements come from user space, so that the sums outlive everything but the Service port. By need. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, struct bpf_vip);
	__type(value, __u64);
} connections SEC(".maps");

/* Client and Service port -> backend of before. Writer: the programs. Its memory is taken when it is made, so it is small until a Service asks for affinity
 * (AFFINITY_ENTRIES in apply.c); when it is full, the longest unused is forgotten. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct bpf_client_key);
	__type(value, struct bpf_affinity);
} affinity SEC(".maps");

/* enum reason -> how often. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, REASON_MAX);
	__type(key, __u32);
	__type(value, __u64);
} metrics SEC(".maps");

/* What each socket was led to, connected ones and unconnected ones. Writer: the programs. Freed by the kernel with the socket: nothing is ever evicted, and
 * nothing leaks. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct bpf_peer);
} peer SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct bpf_peers);
} peers SEC(".maps");

#endif
