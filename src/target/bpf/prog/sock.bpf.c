// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Service balancing at the socket: connect(), sendmsg(), recvmsg() and getpeername() of the processes in a node's cgroup. From the first packet on a
 * connection goes between client and backend; no device on the way has anything to translate.
 *
 * A socket call goes one of three ways: translated; refused (ECONNREFUSED); or left as it is, when the tier below shall carry it because
 * what the sockets observe would else differ from what the model says. Entry programs at the end of this file: parse the context, decide, act.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "hash.h"
#include "maps.h"

#define AF_INET 2
#define AF_INET6 10
#define ECONNREFUSED 111
#define ALLOW 1
#define DENY 0
#define NSEC_PER_SEC 1000000000ull

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Configuration, set before load. */
const volatile __u64 node_netns_cookie = 0; /* of the node's own network namespace */
const volatile bool host_only =
	false; /* only sockets of that namespace: pods with a service mesh keep seeing Services */

/* One call, independent of family and hook. */
struct call {
	struct bpf_vip vip; /* what the caller named */
	struct bpf_addr bound; /* where its socket is bound; all zero: nowhere yet */
	__be16 bound_port; /* 0: none yet */
	__u8 is_v6;
	__u64 netns_cookie;
};

enum way { LEAVE, TRANSLATE, REFUSE };

static __always_inline void count(enum reason reason)
{
	__u32 key = reason;
	__u64 *n = bpf_map_lookup_elem(&metrics, &key);

	if (n)
		(*n)++;
}

/* Comparisons without branches: each branch in a loop doubles what the verifier has to walk. */
static __always_inline __u32 addr_diff(const struct bpf_addr *a, const struct bpf_addr *b)
{
	return (a->word[0] ^ b->word[0]) | (a->word[1] ^ b->word[1]) | (a->word[2] ^ b->word[2]) |
	       (a->word[3] ^ b->word[3]);
}

static __always_inline bool addr_eq(const struct bpf_addr *a, const struct bpf_addr *b)
{
	return addr_diff(a, b) == 0;
}

static __always_inline bool addr_is_set(const struct bpf_addr *a)
{
	return (a->word[0] | a->word[1] | a->word[2] | a->word[3]) != 0;
}

static __always_inline bool vip_eq(const struct bpf_vip *a, const struct bpf_vip *b)
{
	return (addr_diff(&a->addr, &b->addr) | (__u32)(a->port ^ b->port) | (__u32)(a->proto ^ b->proto)) == 0;
}

static __always_inline bool backend_eq(const struct bpf_backend *a, const struct bpf_backend *b)
{
	return (addr_diff(&a->addr, &b->addr) | (__u32)(a->port ^ b->port)) == 0;
}

static __always_inline void map_v4(struct bpf_addr *a, __be32 v4)
{
	a->word[0] = a->word[1] = 0;
	a->word[2] = bpf_htonl(0xffff);
	a->word[3] = v4;
}

static __always_inline void read_v6(struct bpf_addr *a, const volatile __u32 *word)
{
	a->word[0] = word[0];
	a->word[1] = word[1];
	a->word[2] = word[2];
	a->word[3] = word[3];
}

static __always_inline bool is_member(const struct bpf_vip *vip, const struct bpf_backend *b, __u32 as)
{
	struct bpf_member_key key = { .vip = *vip, .backend = *b };
	__u32 *flags = bpf_map_lookup_elem(&members, &key);

	return flags && (*flags & as);
}

/* ---- which backend ---- */

static __always_inline __u32 pick_index(const struct bpf_service *svc, const struct call *c,
					const struct bpf_addr *client)
{
	struct bpf_slots_key key = { .vip = c->vip };
	struct bpf_slots *block;
	__be16 sport = c->bound_port;
	__u32 slot;

	if (!(svc->flags & BPF_SERVICE_MAGLEV))
		return bpf_get_prandom_u32() % svc->n_backends;
	/* The kernel draws the port after us: any is as likely. With affinity the hash leaves it out. */
	if (svc->flags & BPF_SERVICE_AFFINITY)
		sport = 0;
	else if (!sport)
		sport = (__be16)bpf_get_prandom_u32();
	slot = tuple_hash(client, sport, &c->vip) & svc->slot_mask;
	key.block = slot / BPF_SLOTS_PER_BLOCK;
	block = bpf_map_lookup_elem(&slots, &key);
	return block ? block->index[slot % BPF_SLOTS_PER_BLOCK] : svc->n_backends;
}

static __always_inline bool pick(const struct bpf_service *svc, const struct call *c, const struct bpf_addr *client,
				 struct bpf_backend *ret)
{
	struct bpf_backend_key key = { .vip = c->vip };
	struct bpf_backend *b;

	if (!svc->n_backends)
		return false;
	key.index = pick_index(svc, c, client);
	b = bpf_map_lookup_elem(&backends, &key);
	if (!b)
		return false;
	*ret = *b;
	return true;
}

/* Backends are replaced before the number of them shrinks, so a second look at the Service finds one. */
static __always_inline bool pick_twice(const struct bpf_service *svc, const struct call *c,
				       const struct bpf_addr *client, struct bpf_backend *ret)
{
	if (pick(svc, c, client, ret))
		return true;
	svc = bpf_map_lookup_elem(&services, &c->vip);
	return svc && pick(svc, c, client, ret);
}

/*
 * SEMANTICS 1.5. Returns the reason; LEFT_CHANGING when there is no backend.
 *	1. Remembered, in time, and still eligible: it, and its time begins anew.
 *	2. Else a fresh choice is remembered. Of two that choose at once for a new client the second adopts the first's.
 */
static __always_inline enum reason pick_sticky(const struct bpf_service *svc, const struct call *c,
					       const struct bpf_addr *client, struct bpf_backend *ret)
{
	struct bpf_client_key key = { .vip = c->vip, .client = *client };
	struct bpf_affinity fresh = {};
	struct bpf_affinity *known = bpf_map_lookup_elem(&affinity, &key);
	__u64 now_ns = bpf_ktime_get_ns();
	__u64 expires_ns = now_ns + svc->affinity_timeout_s * NSEC_PER_SEC;

	if (known && now_ns < known->expires_ns && is_member(&c->vip, &known->backend, BPF_MEMBER_ELIGIBLE)) { /* 1 */
		known->expires_ns = expires_ns;
		*ret = known->backend;
		return REASON_AFFINITY;
	}
	if (!pick_twice(svc, c, client, ret)) /* 2 */
		return REASON_LEFT_CHANGING;
	fresh.backend = *ret;
	fresh.expires_ns = expires_ns;
	if (bpf_map_update_elem(&affinity, &key, &fresh, known ? BPF_ANY : BPF_NOEXIST) == 0)
		return REASON_CHOSEN;
	known = bpf_map_lookup_elem(&affinity, &key);
	if (known && is_member(&c->vip, &known->backend, BPF_MEMBER_ELIGIBLE))
		*ret = known->backend;
	return REASON_CHOSEN;
}

/* ---- whether ---- */

/*
 * The client as the model knows it, where the choice depends on it; and of datagrams always: a socket in a namespace that we cannot enter could not be ended
 * when its backend goes. REASON_CHOSEN: go on; else why the call is left.
 *	1. Bound to another address than the client's own: what the backend would see is the tier below's matter.
 *	2. The client is itself a backend: it must see what the model says of hairpins, whatever is chosen.
 */
static __always_inline enum reason find_client(const struct bpf_service *svc, const struct call *c,
					       struct bpf_addr *ret)
{
	bool bound = addr_is_set(&c->bound);
	struct bpf_client_key key = { .vip = c->vip };
	struct bpf_client *client;

	if (!svc->flags && !bound && c->vip.proto == IPPROTO_TCP)
		return REASON_CHOSEN;
	client = bpf_map_lookup_elem(&clients, &c->netns_cookie);
	if (client)
		*ret = client->addr[is_v4(&c->vip.addr) ? 0 : 1];
	if (!addr_is_set(ret))
		return REASON_LEFT_CLIENT;
	if (bound && !addr_eq(&c->bound, ret)) /* 1 */
		return REASON_LEFT_BOUND;
	key.client = *ret;
	if ((svc->flags & BPF_SERVICE_LOCAL) && bpf_map_lookup_elem(&hairpins, &key)) /* 2 */
		return REASON_LEFT_HAIRPIN;
	return REASON_CHOSEN;
}

/* Every decision about a Service ends here, once. */
static __always_inline enum way go(enum reason reason)
{
	count(reason);
	switch (reason) {
	case REASON_CHOSEN:
	case REASON_AFFINITY:
	case REASON_ESTABLISHED:
		return TRANSLATE;
	case REASON_NO_ENDPOINTS:
	case REASON_UNKNOWN_PORT:
		bpf_set_retval(-ECONNREFUSED);
		return REFUSE;
	default:
		return LEAVE;
	}
}

/* No Service port has this address: none at all, or another port of a Service. */
static __always_inline enum way decide_unknown(const struct call *c)
{
	if (bpf_map_lookup_elem(&cluster_ips, &c->vip.addr))
		return go(REASON_UNKNOWN_PORT);
	return LEAVE;
}

static __always_inline enum reason decide_new(const struct bpf_service *svc, const struct call *c,
					      struct bpf_backend *ret)
{
	struct bpf_addr client = {};
	enum reason reason;

	if (svc->n_backends == 0)
		return REASON_NO_ENDPOINTS;
	reason = find_client(svc, c, &client);
	if (reason != REASON_CHOSEN)
		return reason;
	if (svc->flags & BPF_SERVICE_AFFINITY)
		return pick_sticky(svc, c, &client, ret);
	return pick_twice(svc, c, &client, ret) ? REASON_CHOSEN : REASON_LEFT_CHANGING;
}

/* The connection goes as decided: it is one of the Service's. */
static __always_inline void count_connection(const struct bpf_vip *vip)
{
	__u64 *n = bpf_map_lookup_elem(&connections, vip);

	if (n)
		(*n)++;
}

static __always_inline bool is_mine(const struct call *c)
{
	return (c->vip.proto == IPPROTO_TCP || c->vip.proto == IPPROTO_UDP) &&
	       (!host_only || c->netns_cookie == node_netns_cookie);
}

/* ---- connect() ---- */

static __always_inline enum way do_connect(struct bpf_sock_addr *ctx, const struct call *c, struct bpf_backend *ret)
{
	struct bpf_service *svc;
	struct bpf_peer *p;
	enum way way;

	if (!is_mine(c))
		return LEAVE;
	svc = bpf_map_lookup_elem(&services, &c->vip);
	way = svc ? go(decide_new(svc, c, ret)) : decide_unknown(c);
	if (!ctx->sk)
		return way;
	if (way == REFUSE)
		return way; /* a datagram socket stays connected to what it was */
	if (way == LEAVE) {
		/* The socket may have been led to a Service before. */
		p = bpf_sk_storage_get(&peer, ctx->sk, NULL, 0);
		if (p)
			*p = (struct bpf_peer){};
		return way;
	}
	p = bpf_sk_storage_get(&peer, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!p) {
		count(REASON_LEFT_FULL);
		return LEAVE;
	}
	p->vip = c->vip;
	p->backend = *ret;
	count_connection(&c->vip);
	return TRANSLATE;
}

/* ---- sendmsg() of unconnected UDP sockets ---- */

/* Where on this socket a peer for the call belongs: the one that it has, else a free one; BPF_PEERS_MAX = none. Global functions are verified once, by
 * themselves, not for each way that leads to and from them. A number of 64 bits: the verifier loses the bounds of one that has to be widened. */
__noinline __u64 find_peer(const struct bpf_peers *p, const struct bpf_vip *vip)
{
	__u32 unused = BPF_PEERS_MAX;

	if (!p || !vip)
		return BPF_PEERS_MAX;
	for (__u32 i = 0; i < BPF_PEERS_MAX; i++) {
		if (vip_eq(&p->v[i].vip, vip))
			return i;
		if (!p->v[i].vip.port)
			unused = i;
	}
	return unused;
}

static __always_inline bool leads_there(const struct bpf_peer *p, const struct bpf_vip *vip,
					const struct bpf_backend *b)
{
	return backend_eq(&p->backend, b) && p->vip.port && !vip_eq(&p->vip, vip);
}

/* Another Service of this socket leads to `b`. */
__noinline int clashes(const struct bpf_peers *p, const struct bpf_vip *vip, const struct bpf_backend *b)
{
	if (!p || !vip || !b)
		return 0;
	for (__u32 i = 0; i < BPF_PEERS_MAX; i++)
		if (leads_there(&p->v[i], vip, b))
			return 1;
	return 0;
}

/* It is connected to what it names. connect() has decided about it; a socket of IPv6 passes here with each datagram to an IPv4 peer. */
static __always_inline bool is_own_peer(struct bpf_sock_addr *ctx, const struct call *c)
{
	struct bpf_addr dst;

	if (!ctx->sk || ctx->sk->dst_port != c->vip.port)
		return false;
	if (is_v4(&c->vip.addr))
		map_v4(&dst, ctx->sk->dst_ip4);
	else
		read_v6(&dst, ctx->sk->dst_ip6);
	return addr_eq(&dst, &c->vip.addr);
}

/*
 * What is decided is fixed for a socket and a Service address:
 *	1. by connect(), for the Service that the socket is connected to: answers of other backends would not reach it;
 *	2. left to the tier below: for good. Connection tracking knows a backend by now, and the next datagram must not find another;
 *	3. a backend: while it is serving, as connection tracking has it for packets;
 *	4. else, and for the first datagram, it is chosen, unless another Service of this socket has the same backend: one could not tell the answers apart.
 */
static __always_inline enum reason send_to_service(struct bpf_sock_addr *ctx, const struct bpf_service *svc,
						   const struct call *c, struct bpf_backend *ret)
{
	struct bpf_peer *mine, *connected = bpf_sk_storage_get(&peer, ctx->sk, NULL, 0);
	struct bpf_peers *p;
	enum reason reason;
	__u64 i;

	if (connected && !ctx->sk->dst_port)
		connected = NULL; /* it was: disconnecting passes no hook */
	if (connected && vip_eq(&connected->vip, &c->vip)) { /* 1 */
		*ret = connected->backend;
		return REASON_ESTABLISHED;
	}
	p = bpf_sk_storage_get(&peers, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	i = p ? find_peer(p, &c->vip) : BPF_PEERS_MAX;
	if (!p || i >= BPF_PEERS_MAX)
		return REASON_LEFT_FULL;
	if (p->left[i]) /* 2 */
		return p->left[i];
	mine = &p->v[i];
	if (mine->vip.port && is_member(&c->vip, &mine->backend, BPF_MEMBER_SERVING)) { /* 3 */
		*ret = mine->backend;
		return REASON_ESTABLISHED;
	}
	mine->vip = c->vip;
	mine->backend = (struct bpf_backend){};
	reason = decide_new(svc, c, ret); /* 4 */
	if (reason == REASON_NO_ENDPOINTS)
		return reason;
	if (reason != REASON_CHOSEN && reason != REASON_AFFINITY) {
		p->left[i] = reason;
	} else if (clashes(p, &c->vip, ret) || (connected && leads_there(connected, &c->vip, ret))) {
		reason = p->left[i] = REASON_LEFT_CLASH;
	} else {
		mine->backend = *ret;
		count_connection(&c->vip);
	}
	return reason;
}

static __always_inline enum way do_sendmsg(struct bpf_sock_addr *ctx, const struct call *c, struct bpf_backend *ret)
{
	struct bpf_service *svc;

	if (!is_mine(c) || is_own_peer(ctx, c))
		return LEAVE;
	svc = bpf_map_lookup_elem(&services, &c->vip);
	if (!svc)
		return decide_unknown(c);
	return ctx->sk ? go(send_to_service(ctx, svc, c, ret)) : LEAVE;
}

/* ---- what the socket is told: the Service in place of the backend ---- */

static __always_inline bool shown(const struct bpf_peer *p, const struct bpf_backend *from, struct bpf_vip *ret)
{
	if (!p->vip.port || !backend_eq(&p->backend, from))
		return false;
	*ret = p->vip;
	return true;
}

static __always_inline bool do_getpeername(struct bpf_sock_addr *ctx, const struct bpf_backend *from,
					   struct bpf_vip *ret)
{
	struct bpf_peer *p = ctx->sk ? bpf_sk_storage_get(&peer, ctx->sk, NULL, 0) : NULL;

	return p && shown(p, from, ret);
}

static __always_inline bool do_recvmsg(struct bpf_sock_addr *ctx, const struct bpf_backend *from, struct bpf_vip *ret)
{
	struct bpf_peers *p;

	if (ctx->sk && ctx->sk->dst_port && do_getpeername(ctx, from, ret)) /* connected still */
		return true;
	p = ctx->sk ? bpf_sk_storage_get(&peers, ctx->sk, NULL, 0) : NULL;
	if (!p)
		return false;
	for (__u32 i = 0; i < BPF_PEERS_MAX; i++)
		if (shown(&p->v[i], from, ret))
			return true;
	return false;
}

/* ---- contexts ---- */

static __always_inline void read_call(struct bpf_sock_addr *ctx, struct call *c)
{
	c->vip.port = (__be16)ctx->user_port;
	c->vip.proto = (__u8)ctx->protocol;
	c->netns_cookie = bpf_get_netns_cookie(ctx);
	if (ctx->sk)
		c->bound_port = bpf_htons((__u16)ctx->sk->src_port);
}

static __always_inline void read_call4(struct bpf_sock_addr *ctx, struct call *c, bool is_send)
{
	__be32 bound = ctx->sk ? ctx->sk->src_ip4 : 0;

	read_call(ctx, c);
	map_v4(&c->vip.addr, ctx->user_ip4);
	if (is_send && ctx->msg_src_ip4)
		bound = ctx->msg_src_ip4;
	if (bound)
		map_v4(&c->bound, bound);
}

static __always_inline void read_call6(struct bpf_sock_addr *ctx, struct call *c, bool is_send)
{
	read_call(ctx, c);
	read_v6(&c->vip.addr, ctx->user_ip6);
	if (ctx->sk)
		read_v6(&c->bound, ctx->sk->src_ip6);
	if (is_send && (ctx->msg_src_ip6[0] || ctx->msg_src_ip6[1] || ctx->msg_src_ip6[2] || ctx->msg_src_ip6[3]))
		read_v6(&c->bound, ctx->msg_src_ip6);
	c->is_v6 = 1;
}

static __always_inline void write_addr(struct bpf_sock_addr *ctx, bool is_v6, const struct bpf_addr *a, __be16 port)
{
	ctx->user_port = port;
	if (!is_v6) {
		ctx->user_ip4 = a->word[3];
		return;
	}
	ctx->user_ip6[0] = a->word[0];
	ctx->user_ip6[1] = a->word[1];
	ctx->user_ip6[2] = a->word[2];
	ctx->user_ip6[3] = a->word[3];
}

static __always_inline int act(struct bpf_sock_addr *ctx, bool is_v6, enum way way, const struct bpf_backend *b)
{
	if (way == REFUSE)
		return DENY;
	if (way == TRANSLATE)
		write_addr(ctx, is_v6, &b->addr, b->port);
	return ALLOW;
}

static __always_inline void read_from(struct bpf_sock_addr *ctx, bool is_v6, struct bpf_backend *from)
{
	from->port = (__be16)ctx->user_port;
	if (is_v6)
		read_v6(&from->addr, ctx->user_ip6);
	else
		map_v4(&from->addr, ctx->user_ip4);
}

/* ---- entries ---- */

SEC("cgroup/connect4")
int sock_connect4(struct bpf_sock_addr *ctx)
{
	struct bpf_backend b = {};
	struct call c = {};

	read_call4(ctx, &c, false);
	return act(ctx, false, do_connect(ctx, &c, &b), &b);
}

SEC("cgroup/connect6")
int sock_connect6(struct bpf_sock_addr *ctx)
{
	struct bpf_backend b = {};
	struct call c = {};

	read_call6(ctx, &c, false);
	return act(ctx, true, do_connect(ctx, &c, &b), &b);
}

SEC("cgroup/sendmsg4")
int sock_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct bpf_backend b = {};
	struct call c = {};

	read_call4(ctx, &c, true);
	return act(ctx, false, do_sendmsg(ctx, &c, &b), &b);
}

SEC("cgroup/sendmsg6")
int sock_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct bpf_backend b = {};
	struct call c = {};

	read_call6(ctx, &c, true);
	return act(ctx, true, do_sendmsg(ctx, &c, &b), &b);
}

SEC("cgroup/recvmsg4")
int sock_recvmsg4(struct bpf_sock_addr *ctx)
{
	struct bpf_backend from = {};
	struct bpf_vip vip = {};

	read_from(ctx, false, &from);
	if (do_recvmsg(ctx, &from, &vip))
		write_addr(ctx, false, &vip.addr, vip.port);
	return ALLOW;
}

SEC("cgroup/recvmsg6")
int sock_recvmsg6(struct bpf_sock_addr *ctx)
{
	struct bpf_backend from = {};
	struct bpf_vip vip = {};

	read_from(ctx, true, &from);
	if (do_recvmsg(ctx, &from, &vip))
		write_addr(ctx, true, &vip.addr, vip.port);
	return ALLOW;
}

SEC("cgroup/getpeername4")
int sock_getpeername4(struct bpf_sock_addr *ctx)
{
	struct bpf_backend from = {};
	struct bpf_vip vip = {};

	read_from(ctx, false, &from);
	if (do_getpeername(ctx, &from, &vip))
		write_addr(ctx, false, &vip.addr, vip.port);
	return ALLOW;
}

SEC("cgroup/getpeername6")
int sock_getpeername6(struct bpf_sock_addr *ctx)
{
	struct bpf_backend from = {};
	struct bpf_vip vip = {};

	read_from(ctx, true, &from);
	if (do_getpeername(ctx, &from, &vip))
		write_addr(ctx, true, &vip.addr, vip.port);
	return ALLOW;
}
