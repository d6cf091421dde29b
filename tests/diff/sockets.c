/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Client sockets (sockets.h). */
#include "sockets.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/netns.h"

#define CONNECT_SLICE_MS 5

static bool is_tcp(const struct sock *s)
{
	return s->t.proto == IPPROTO_TCP;
}

/* Errors of datagrams come back on any socket, also those that are no "hard" ones. */
static int set_options(struct sock *s)
{
	bool v6 = s->t.dst.fam == AF_INET6;
	int one = 1;

	if (setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		return -errno;
	if (!is_tcp(s) &&
	    setsockopt(s->fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVERR : IP_RECVERR, &one, sizeof(one)) < 0)
		return -errno;
	return 0;
}

int sock_open(struct sock *s, int netns_fd, const struct l4_tuple *t, bool connect_it)
{
	int type = t->proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
	struct sockaddr_storage ss;
	socklen_t size;
	int r;

	*s = (struct sock){ .fd = netns_socket(netns_fd, t->dst.fam, type | SOCK_NONBLOCK, 0), .t = *t };
	if (s->fd < 0)
		return s->fd;
	r = set_options(s);
	size = ip_addr_to_sockaddr(&t->src, t->sport, &ss);
	if (r == 0 && bind(s->fd, (struct sockaddr *)&ss, size) < 0)
		r = -errno;
	size = ip_addr_to_sockaddr(&t->dst, t->dport, &ss);
	if (r == 0 && connect_it && !is_tcp(s)) {
		r = connect(s->fd, (struct sockaddr *)&ss, size) < 0 ? -errno : 0;
		s->connected = r == 0;
	}
	if (r < 0)
		sock_close(s);
	return r;
}

void sock_close(struct sock *s)
{
	if (s->fd >= 0)
		(void)close(s->fd); /* nothing is written but questions */
	s->fd = -1;
}

/* ---- asking ---- */

static int wait_for(const struct sock *s, short events, uint64_t deadline_ns)
{
	for (;;) {
		uint64_t now_ns = clock_now_ns(&clock_monotonic);
		struct pollfd p = { .fd = s->fd, .events = events };
		int n;

		if (now_ns >= deadline_ns)
			return -ETIMEDOUT;
		n = poll(&p, 1, (int)((deadline_ns - now_ns) / NSEC_PER_MSEC + 1));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int pending_error(const struct sock *s)
{
	socklen_t size = sizeof(int);
	int so_error = 0;

	return getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &so_error, &size) < 0 ? -errno : -so_error;
}

/* A connection that failed is closed; one that goes on trying is not. */
static bool is_over(const struct sock *s)
{
	struct pollfd p = { .fd = s->fd };

	return poll(&p, 1, 0) > 0 && p.revents & POLLHUP;
}

/*
 * An ICMP error that comes back while connect() still holds the socket, as it does when all of the way is on one CPU, is
 * only noted ("soft error"): connect() would fail after the next SYN, a second later. SO_ERROR tells it at once.
 */
static int connect_tcp(struct sock *s, struct sock_answer *ret, uint64_t deadline_ns)
{
	struct sockaddr_storage ss;
	socklen_t size = ip_addr_to_sockaddr(&s->t.dst, s->t.dport, &ss);
	int r = connect(s->fd, (struct sockaddr *)&ss, size) < 0 ? -errno : 0;

	while (r == -EINPROGRESS) {
		uint64_t slice_ns = clock_now_ns(&clock_monotonic) + CONNECT_SLICE_MS * NSEC_PER_MSEC;

		r = pending_error(s);
		if (r == 0)
			r = wait_for(s, POLLOUT, slice_ns < deadline_ns ? slice_ns : deadline_ns);
		else
			ret->late = !is_over(s);
		if (r == 0)
			r = pending_error(s);
		if (r == -ETIMEDOUT && slice_ns < deadline_ns)
			r = -EINPROGRESS;
	}
	s->connected = r == 0;
	return r;
}

/* What came late for an earlier question, answers and errors. */
static void drain(const struct sock *s)
{
	uint8_t buf[RESPONDER_REPLY_MAX];

	(void)pending_error(s);
	while (recv(s->fd, buf, sizeof(buf), MSG_ERRQUEUE | MSG_DONTWAIT) >= 0)
		;
	while (recv(s->fd, buf, sizeof(buf), MSG_DONTWAIT) >= 0)
		;
}

static int send_question(const struct sock *s, uint64_t id)
{
	uint8_t buf[RESPONDER_REQUEST_SIZE];
	struct sockaddr_storage ss;
	socklen_t size = ip_addr_to_sockaddr(&s->t.dst, s->t.dport, &ss);
	ssize_t n;

	responder_build_request(id, 0, 0, buf);
	if (s->connected)
		n = send(s->fd, buf, sizeof(buf), MSG_NOSIGNAL);
	else
		n = sendto(s->fd, buf, sizeof(buf), MSG_NOSIGNAL, (struct sockaddr *)&ss, size);
	/* The node's own datagram that is rejected: the call says so at once, the ICMP error follows. */
	if (n < 0 && errno == EPERM && !is_tcp(s))
		return 0;
	return n < 0 ? -errno : 0;
}

static int read_answer(struct sock *s, uint64_t id, struct sock_answer *ret, uint64_t deadline_ns)
{
	uint8_t buf[RESPONDER_REPLY_MAX];
	size_t size = 0;

	for (;;) {
		struct sockaddr_storage ss = {};
		socklen_t ss_size = sizeof(ss);
		size_t reply_size;
		ssize_t n;
		int r = wait_for(s, POLLIN, deadline_ns);

		if (r < 0)
			return r;
		n = recvfrom(s->fd, buf + size, sizeof(buf) - size, 0, (struct sockaddr *)&ss, &ss_size);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ECONNRESET;
		size = is_tcp(s) ? size + (size_t)n : (size_t)n;
		r = responder_parse_reply(buf, size, &ret->reply, &reply_size);
		if (r == -EAGAIN && is_tcp(s))
			continue;
		if (r < 0 || ret->reply.id != id)
			return -EBADMSG;
		if (!is_tcp(s))
			return ip_addr_from_sockaddr(&ss, &ret->from, &ret->from_port);
		ss_size = sizeof(ss);
		if (getpeername(s->fd, (struct sockaddr *)&ss, &ss_size) < 0)
			return -errno;
		return ip_addr_from_sockaddr(&ss, &ret->from, &ret->from_port);
	}
}

void sock_ask(struct sock *s, uint32_t deadline_ms, struct sock_answer *ret)
{
	uint64_t deadline_ns;

	*ret = (struct sock_answer){ .begin_ns = clock_now_ns(&clock_monotonic) };
	deadline_ns = ret->begin_ns + deadline_ms * NSEC_PER_MSEC;
	if (is_tcp(s) && !s->connected)
		ret->err = connect_tcp(s, ret, deadline_ns);
	else if (!is_tcp(s))
		drain(s);
	if (ret->err == 0)
		ret->err = send_question(s, ret->begin_ns);
	if (ret->err == 0)
		ret->err = read_answer(s, ret->begin_ns, ret, deadline_ns);
	ret->end_ns = clock_now_ns(&clock_monotonic);
}
