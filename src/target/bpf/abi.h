/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the BPF programs and the code that fills their maps share. Fixed widths, explicit padding, no pointers. Addresses and ports are in network order; an
 * IPv4 address stands as its IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2), so that one map serves both families, and a socket of IPv6 that asks for
 * ::ffff:a.b.c.d finds the same Service.
 */
#ifndef OFFKUBE_BPF_ABI_H
#define OFFKUBE_BPF_ABI_H

#include <linux/types.h>

/* Changes whenever a struct here, or the meaning of a member, does: maps of another version are not adopted. */
#define BPF_ABI_VERSION 2

struct bpf_addr {
	__be32 word[4];
};

/* A Service port by the address that clients use. */
struct bpf_vip {
	struct bpf_addr addr;
	__be16 port;
	__u8 proto; /* IPPROTO_TCP, _UDP */
	__u8 pad;
};

struct bpf_backend {
	struct bpf_addr addr;
	__be16 port;
	__u16 pad;
};

/* Map services. Written by user space. */
#define BPF_SERVICE_AFFINITY 0x1u
#define BPF_SERVICE_LOCAL \
	0x2u /* has backends on this node: their own connections are left to the tier below (map hairpins) */
#define BPF_SERVICE_MAGLEV 0x4u /* by the model's hash, map slots; else at random */
struct bpf_service {
	__u32 n_backends; /* 0: clients are refused */
	__u32 flags;
	__u32 affinity_timeout_s;
	__u32 slot_mask; /* M - 1; with BPF_SERVICE_MAGLEV */
};

/* Map backends: index 0 .. n_backends - 1. */
struct bpf_backend_key {
	struct bpf_vip vip;
	__u32 index;
};

/* Map members: endpoints of Service ports whose choice outlives the moment (UDP, affinity). */
#define BPF_MEMBER_ELIGIBLE 0x1u /* may take a new connection on this node */
#define BPF_MEMBER_SERVING 0x2u /* may keep a UDP client (SEMANTICS 1.6) */
struct bpf_member_key {
	struct bpf_vip vip;
	struct bpf_backend backend;
};

/* Map hairpins: eligible backends on this node. Map affinity: clients. */
struct bpf_client_key {
	struct bpf_vip vip;
	struct bpf_addr client;
};

/* Map affinity. Written by the programs. */
struct bpf_affinity {
	struct bpf_backend backend;
	__u32 pad;
	__u64 expires_ns; /* CLOCK_MONOTONIC */
};

/* Map slots: BPF_SLOTS_PER_BLOCK indexes of backends in each block. */
#define BPF_SLOTS_PER_BLOCK 128
struct bpf_slots_key {
	struct bpf_vip vip;
	__u32 block;
};
struct bpf_slots {
	__u16 index[BPF_SLOTS_PER_BLOCK];
};

/* Map clients: network namespace cookie -> addresses by which the model knows who lives there; all zero: none of that family. */
struct bpf_client {
	struct bpf_addr addr[2]; /* IPv4 (mapped), IPv6 */
};

/* What a socket was led to: the Service that it asked for, and who answers. Socket storage peer, for connected sockets: as small as can be, since each
 * connection has one. */
struct bpf_peer {
	struct bpf_vip vip; /* port 0: free */
	struct bpf_backend backend; /* port 0: none (yet) */
};

/* Socket storage peers, for unconnected UDP. */
#define BPF_PEERS_MAX 8 /* Services that one socket may ask at a time */
struct bpf_peers {
	struct bpf_peer v[BPF_PEERS_MAX];
	__u32 left[BPF_PEERS_MAX]; /* the reason why the tier below has that Service; 0: it has not */
};

/* What the iterator over the storage tells of each connected UDP socket. */
struct bpf_pinned {
	__u64 cookie, netns_cookie;
	struct bpf_peer peer;
	struct bpf_addr local; /* as the socket holds it */
	__be16 local_port;
	__u16 family; /* AF_INET, AF_INET6 */
	__u32 ifindex; /* of the device that it is bound to (SO_BINDTODEVICE); 0: none */
};

#ifdef __cplusplus
#define BPF_ABI_ASSERT(c) static_assert(c, #c)
#else
#define BPF_ABI_ASSERT(c) _Static_assert(c, #c)
#endif
BPF_ABI_ASSERT(sizeof(struct bpf_vip) == 20);
BPF_ABI_ASSERT(sizeof(struct bpf_backend) == 20);
BPF_ABI_ASSERT(sizeof(struct bpf_service) == 16);
BPF_ABI_ASSERT(sizeof(struct bpf_backend_key) == 24);
BPF_ABI_ASSERT(sizeof(struct bpf_member_key) == 40);
BPF_ABI_ASSERT(sizeof(struct bpf_client_key) == 36);
BPF_ABI_ASSERT(sizeof(struct bpf_affinity) == 32);
BPF_ABI_ASSERT(sizeof(struct bpf_slots_key) == 24);
BPF_ABI_ASSERT(sizeof(struct bpf_slots) == 256);
BPF_ABI_ASSERT(sizeof(struct bpf_client) == 32);
BPF_ABI_ASSERT(sizeof(struct bpf_peer) == 40);
BPF_ABI_ASSERT(sizeof(struct bpf_peers) == 352);
BPF_ABI_ASSERT(sizeof(struct bpf_pinned) == 80);

#endif
