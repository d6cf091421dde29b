// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Lists the connected UDP sockets that were led to a backend: an iterator over the socket storage of sock.bpf.c. Run by user space when
 * an endpoint of a UDP Service went away; what it lists is judged there.
 */
#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "abi.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Of the kernel's own types what is read here; offsets are found at load (CO-RE). */
struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
} __attribute__((preserve_access_index));
struct net {
	__u64 net_cookie;
} __attribute__((preserve_access_index));
typedef struct {
	struct net *net;
} possible_net_t;
struct in6_addr___k {
	union {
		__be32 u6_addr32[4];
	} in6_u;
} __attribute__((preserve_access_index));
struct sock_common {
	__be16 skc_dport;
	__be32 skc_rcv_saddr;
	__u16 skc_num;
	unsigned short skc_family;
	int skc_bound_dev_if;
	possible_net_t skc_net;
	struct in6_addr___k skc_v6_rcv_saddr;
} __attribute__((preserve_access_index));
struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
} __attribute__((preserve_access_index));
struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	struct sock *sk;
	void *value;
} __attribute__((preserve_access_index));

SEC("iter/bpf_sk_storage_map")
int list_pinned(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct bpf_peer *p = ctx->value;
	struct sock *sk = ctx->sk;
	struct bpf_pinned out = {};

	if (!sk || !p || !p->vip.port || sk->sk_protocol != IPPROTO_UDP)
		return 0;
	if (!sk->__sk_common.skc_dport) /* disconnected, which passes no hook */
		return 0;
	out.peer = *p;
	out.cookie = bpf_get_socket_cookie(sk);
	out.netns_cookie = BPF_CORE_READ(sk, __sk_common.skc_net.net, net_cookie);
	out.family = sk->__sk_common.skc_family;
	out.ifindex = (__u32)sk->__sk_common.skc_bound_dev_if;
	out.local_port = __builtin_bswap16(sk->__sk_common.skc_num);
	out.local.word[3] = sk->__sk_common.skc_rcv_saddr;
	if (out.family == 10)
		BPF_CORE_READ_INTO(&out.local, sk, __sk_common.skc_v6_rcv_saddr);
	bpf_seq_write(ctx->meta->seq, &out, sizeof(out));
	return 0;
}
