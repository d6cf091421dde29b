/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One question to a responder, as a simple client would put it: tests, trace and status use it. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "net/cgroup.h"
#include "proto.h"

struct question {
	const struct responder_ask *ask;
	int fd;
	uint64_t deadline_ns, id;
};

/* 0 when ready; -ETIMEDOUT. */
static int wait_for(const struct question *q, short events)
{
	for (;;) {
		uint64_t now_ns = clock_now_ns(&clock_monotonic);
		struct pollfd p = { .fd = q->fd, .events = events };
		uint64_t left_ms =
			now_ns < q->deadline_ns ? (q->deadline_ns - now_ns + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC : 0;
		int n = poll(&p, 1, (int)left_ms);

		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

static int bind_from(const struct question *q)
{
	struct sockaddr_storage ss;
	socklen_t size;
	int one = 1;

	if (!q->ask->from)
		return 0;
	size = ip_addr_to_sockaddr(q->ask->from, q->ask->from_port, &ss);
	/* A port of a connection that ended a moment ago may be taken again. */
	if (q->ask->proto == IPPROTO_TCP && setsockopt(q->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		return -errno;
	return bind(q->fd, (struct sockaddr *)&ss, size) < 0 ? -errno : 0;
}

static int connect_to(const struct question *q)
{
	struct sockaddr_storage ss;
	socklen_t size = ip_addr_to_sockaddr(&q->ask->to, q->ask->to_port, &ss);
	socklen_t so_size = sizeof(int);
	int so_error = 0;
	int r;

	if (connect(q->fd, (struct sockaddr *)&ss, size) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	r = wait_for(q, POLLOUT);
	if (r < 0)
		return r;
	return getsockopt(q->fd, SOL_SOCKET, SO_ERROR, &so_error, &so_size) < 0 ? -errno : -so_error;
}

static int send_request(const struct question *q)
{
	uint8_t buf[RESPONDER_REQUEST_SIZE];
	ssize_t n;

	responder_build_request(q->id, q->ask->proto == IPPROTO_TCP ? RESPONDER_CLOSE : 0, 0, buf);
	n = send(q->fd, buf, sizeof(buf), MSG_NOSIGNAL);
	if (n < 0)
		return -errno;
	return n == sizeof(buf) ? 0 : -EIO; /* 16 bytes always fit a fresh socket */
}

static int read_reply(const struct question *q, struct responder_reply *ret)
{
	uint8_t buf[RESPONDER_REPLY_MAX];
	size_t size = 0;

	for (;;) {
		size_t reply_size;
		ssize_t n;
		int r = wait_for(q, POLLIN);

		if (r < 0)
			return r;
		n = recv(q->fd, buf + size, sizeof(buf) - size, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ECONNRESET;
		size += (size_t)n;
		r = responder_parse_reply(buf, size, ret, &reply_size);
		if (r == -EAGAIN && q->ask->proto == IPPROTO_TCP)
			continue;
		if (r < 0 || ret->id != q->id)
			return -EBADMSG;
		return 0;
	}
}

static int tell_local(const struct question *q, struct ip_addr *ret_local, uint16_t *ret_port)
{
	struct sockaddr_storage ss = {};
	socklen_t size = sizeof(ss);
	struct ip_addr local;
	uint16_t port;

	if (getsockname(q->fd, (struct sockaddr *)&ss, &size) < 0)
		return -errno;
	if (responder_peer(&ss, &local, &port) < 0)
		return -EAFNOSUPPORT;
	if (ret_local)
		*ret_local = local;
	if (ret_port)
		*ret_port = port;
	return 0;
}

int responder_ask(const struct responder_ask *ask, struct responder_reply *ret, struct ip_addr *ret_local,
		  uint16_t *ret_local_port)
{
	int type = ask->proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
	uint64_t start_ns = clock_now_ns(&clock_monotonic);
	CLEANUP_FD int fd = cgroup_socket(ask->cgroup_fd > 0 ? ask->cgroup_fd : -1, ask->netns_fd, ask->to.fam,
					  type | SOCK_NONBLOCK, 0);
	struct question q = { ask, fd, start_ns + ask->timeout_ms * NSEC_PER_MSEC, start_ns };
	struct responder_reply reply;
	int r;

	if (fd < 0)
		return fd;
	r = bind_from(&q);
	if (!r)
		r = connect_to(&q);
	if (!r)
		r = tell_local(&q, ret_local, ret_local_port);
	if (!r)
		r = send_request(&q);
	if (!r)
		r = read_reply(&q, &reply);
	if (r < 0)
		return r;
	*ret = reply;
	return 0;
}
