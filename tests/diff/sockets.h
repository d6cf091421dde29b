/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Client sockets in the namespaces of a lab, for test_random_sockets.c: like responder_ask(), but a socket may be kept and asked again, and a
 * datagram socket that is not connected tells who answered.
 */
#ifndef OFFKUBE_TESTS_DIFF_SOCKETS_H
#define OFFKUBE_TESTS_DIFF_SOCKETS_H

#include "lab/responder.h"
#include "net/pkt.h"

#define SOCK_DEADLINE_MS 60000 /* far more than any answer takes, also on a busy machine: who reaches it has failed */
#define SOCK_SILENCE_MS 40 /* for what nobody answers: routers say so a few times a second only */

/* Whose sockets. */
struct sock_place {
	int netns_fd;
	int cgroup_fd; /* -1: the caller's own */
};

enum sock_flags {
	SOCK_CONNECT = 1, /* UDP */
	SOCK_MAPPED = 2, /* IPv4 on a socket of IPv6 */
	SOCK_UNBOUND = 4, /* the kernel finds address and port */
};

struct sock {
	int fd;
	struct l4_tuple
		t; /* as the client sees it: its own address, the address it asks. Unbound: source port 0 until it is known */
	bool v6; /* a socket of IPv6, whatever it asks */
	bool unbound;
	bool connected; /* TCP: it was. UDP: send() instead of sendto() */
	int connect_err; /* UDP: what connect() said */
};

/* What the client saw. */
struct sock_answer {
	int err; /* 0 or -errno */
	bool late; /* TCP: a common client, that does not ask for soft errors, would be told a second later */
	struct responder_reply reply; /* if err is 0 */
	struct ip_addr from; /* who answered, as the client sees it */
	uint16_t from_port;
	uint64_t begin_ns, end_ns; /* of clock_monotonic */
};

/* Bound to t->src and t->sport unless SOCK_UNBOUND; other sockets of ours may be bound there, too. 0 or -errno; a connect() that is refused is 0, and told by
 * sock_ask(). */
int sock_open(struct sock *s, const struct sock_place *place, const struct l4_tuple *t, unsigned int flags);
/* The same socket, for another address; UDP that is not connected. */
int sock_share(struct sock *s, const struct sock *with, const struct l4_tuple *t);
/* Connects if need be, asks, waits for the answer or an error; -ETIMEDOUT after the deadline. */
void sock_ask(struct sock *s, uint32_t deadline_ms, struct sock_answer *ret);
void sock_close(struct sock *s);

#endif
