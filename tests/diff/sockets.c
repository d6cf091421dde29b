/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Client sockets (sockets.h). */
#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cleanup.h"
#include "cgroup_own.h"
#include "net/cgroup.h"
#include "net/netns.h"

#define CONNECT_SLICE_MS 5

static bool is_tcp(const struct sock *s)
{
	return s->t.proto == IPPROTO_TCP;
}

static socklen_t sockaddr_of(const struct sock *s, const struct ip_addr *a, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ret;

	if (!s->v6 || a->fam == AF_INET6)
		return ip_addr_to_sockaddr(a, port, ret);
	*sin6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port) };
	sin6->sin6_addr.s6_addr[10] = sin6->sin6_addr.s6_addr[11] = 0xff;
	memcpy(&sin6->sin6_addr.s6_addr[12], a->bytes, 4);
	return sizeof(*sin6);
}

/* Errors of datagrams come back on any socket, also those that are no "hard" ones. */
static int set_options(struct sock *s)
{
	int one = 1;

	if (setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		return -errno;
	if (is_tcp(s))
		return 0;
	if (setsockopt(s->fd, IPPROTO_IP, IP_RECVERR, &one, sizeof(one)) < 0)
		return -errno;
	return s->v6 && setsockopt(s->fd, IPPROTO_IPV6, IPV6_RECVERR, &one, sizeof(one)) < 0 ? -errno : 0;
}

/* Our own cgroup is left for a moment only: what else we start belongs where we are. */
static int socket_at(const struct sock_place *place, int family, int type)
{
	CLEANUP_FD int home = place->cgroup_fd < 0 ? -1 : cgroup_open_own();
	int fd, r;

	if (place->cgroup_fd >= 0 && home < 0)
		return home;
	r = cgroup_enter(place->cgroup_fd);
	if (r < 0)
		return r;
	fd = netns_socket(place->netns_fd, family, type | SOCK_NONBLOCK, 0);
	r = cgroup_enter(home);
	if (r < 0 && fd >= 0)
		(void)close(fd); /* of no use */
	return r < 0 ? r : fd;
}

static int connect_udp(struct sock *s)
{
	struct sockaddr_storage ss;
	socklen_t size = sockaddr_of(s, &s->t.dst, s->t.dport, &ss);
	int r = connect(s->fd, (struct sockaddr *)&ss, size) < 0 ? -errno : 0;

	s->connected = r == 0;
	s->connect_err = r;
	return r == -ECONNREFUSED ? 0 : r;
}

/* What the kernel found for a socket that is not bound. */
static int learn_local(struct sock *s)
{
	struct sockaddr_storage ss = {};
	socklen_t size = sizeof(ss);
	struct ip_addr addr;
	int r;

	if (!s->unbound)
		return 0;
	if (getsockname(s->fd, (struct sockaddr *)&ss, &size) < 0)
		return -errno;
	r = ip_addr_from_sockaddr(&ss, &addr, &s->t.sport);
	if (r == 0 && s->connected)
		s->t.src = addr;
	return r;
}

int sock_open(struct sock *s, const struct sock_place *place, const struct l4_tuple *t, unsigned int flags)
{
	int type = t->proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
	struct sockaddr_storage ss;
	socklen_t size;
	int r;

	*s = (struct sock){ .t = *t,
			    .v6 = flags & SOCK_MAPPED || t->dst.fam == AF_INET6,
			    .unbound = flags & SOCK_UNBOUND };
	s->fd = socket_at(place, s->v6 ? AF_INET6 : AF_INET, type);
	if (s->fd < 0)
		return s->fd;
	r = set_options(s);
	size = sockaddr_of(s, &t->src, t->sport, &ss);
	if (r == 0 && !s->unbound && bind(s->fd, (struct sockaddr *)&ss, size) < 0)
		r = -errno;
	if (r == 0 && flags & SOCK_CONNECT && !is_tcp(s))
		r = connect_udp(s);
	if (r < 0)
		sock_close(s);
	return r;
}

int sock_share(struct sock *s, const struct sock *with, const struct l4_tuple *t)
{
	int fd = fcntl(with->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	*s = *with;
	s->fd = fd;
	s->t = *t;
	return learn_local(s);
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
	socklen_t size = sockaddr_of(s, &s->t.dst, s->t.dport, &ss);
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

/* What came late for an earlier question, answers and errors. That the socket was ended is no such error. */
static int drain(const struct sock *s)
{
	uint8_t buf[RESPONDER_REPLY_MAX];

	if (pending_error(s) == -ECONNABORTED)
		return -ECONNABORTED;
	while (recv(s->fd, buf, sizeof(buf), MSG_ERRQUEUE | MSG_DONTWAIT) >= 0)
		;
	while (recv(s->fd, buf, sizeof(buf), MSG_DONTWAIT) >= 0)
		;
	return 0;
}

static int send_question(const struct sock *s, uint64_t id)
{
	uint8_t buf[RESPONDER_REQUEST_SIZE];
	struct sockaddr_storage ss;
	socklen_t size = sockaddr_of(s, &s->t.dst, s->t.dport, &ss);
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

/* Who answers, as the client sees it: the sender of a datagram, the peer of a connection. On a connected datagram socket they must be the same. */
static int read_peer(const struct sock *s, const struct sockaddr_storage *sender, struct sock_answer *ret)
{
	struct sockaddr_storage ss = {};
	socklen_t size = sizeof(ss);
	struct ip_addr addr;
	uint16_t port;
	int r = is_tcp(s) ? 0 : ip_addr_from_sockaddr(sender, &ret->from, &ret->from_port);

	if (r < 0 || !s->connected)
		return r;
	if (getpeername(s->fd, (struct sockaddr *)&ss, &size) < 0)
		return -errno;
	r = ip_addr_from_sockaddr(&ss, &addr, &port);
	if (r == 0 && !is_tcp(s) && (!ip_addr_eq(&addr, &ret->from) || port != ret->from_port))
		return -EXDEV;
	ret->from = addr;
	ret->from_port = port;
	return r;
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
		return r < 0 || ret->reply.id != id ? -EBADMSG : read_peer(s, &ss, ret);
	}
}

void sock_ask(struct sock *s, uint32_t deadline_ms, struct sock_answer *ret)
{
	uint64_t deadline_ns;

	*ret = (struct sock_answer){ .begin_ns = clock_now_ns(&clock_monotonic), .err = s->connect_err };
	deadline_ns = ret->begin_ns + deadline_ms * NSEC_PER_MSEC;
	if (is_tcp(s) && !s->connected)
		ret->err = connect_tcp(s, ret, deadline_ns);
	else if (!is_tcp(s) && ret->err == 0)
		ret->err = drain(s);
	if (ret->err == 0)
		ret->err = send_question(s, ret->begin_ns);
	if (ret->err == 0)
		ret->err = learn_local(s);
	if (ret->err == 0)
		ret->err = read_answer(s, ret->begin_ns, ret, deadline_ns);
	ret->end_ns = clock_now_ns(&clock_monotonic);
}
