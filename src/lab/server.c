/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server in every pod: one epoll loop over all its ports, TCP and UDP. Started by servers.c in a process of its
 * own; tests start it on loopback. Made to cost little, since it is part of what is measured: reads and writes
 * straight from the event, UDP in batches.
 *
 * Bounds: CONNS_MAX connections (further ones are closed at once), per connection one input and one output buffer
 * of fixed size: a client that does not read its answers is not read from.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "proto.h"

#define CONNS_MAX 16384
#define BACKLOG 4096
#define EVENTS_MAX 128
#define ACCEPTS_MAX 64 /* per event, so that connections in being get their turn */
#define IN_SIZE (64 * RESPONDER_REQUEST_SIZE)
#define OUT_SIZE (4 * RESPONDER_REPLY_MAX)
#define UDP_BATCH 32

enum kind { KIND_LISTENER, KIND_UDP, KIND_CONN };

/* What epoll hands back. */
struct source {
	enum kind kind;
	int fd;
};

struct conn {
	struct source src;
	struct ip_addr peer;
	uint16_t peer_port;
	bool closing; /* after the output is flushed */
	uint32_t events; /* asked of epoll */
	size_t in_size, out_size, out_done;
	uint8_t in[IN_SIZE], out[OUT_SIZE];
};

struct udp_slot {
	struct sockaddr_storage peer;
	struct iovec in_iov, out_iov;
	uint8_t in[RESPONDER_REQUEST_SIZE + 1], out[RESPONDER_REPLY_MAX];
	_Alignas(struct cmsghdr)
		uint8_t control[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
};

struct server {
	const char *name;
	int epoll_fd;
	size_t n_conns;
	struct source *sources; /* listeners and UDP sockets */
	size_t n_sources;
	struct udp_slot *slots; /* UDP_BATCH */
	struct mmsghdr *msgs;
};

/* ---- TCP ---- */

static void conn_close(struct server *s, struct conn *c)
{
	(void)close(c->src.fd); /* epoll forgets it by itself */
	free(c);
	s->n_conns--;
}

/* 0, or -errno: the connection is over. */
static int conn_flush(struct conn *c)
{
	while (c->out_done < c->out_size) {
		ssize_t n =
			send(c->src.fd, c->out + c->out_done, c->out_size - c->out_done, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		c->out_done += (size_t)n;
	}
	c->out_done = c->out_size = 0;
	return c->closing ? -ESHUTDOWN : 0;
}

/* Answers as many whole requests as there is room for. */
static int conn_answer(struct server *s, struct conn *c)
{
	size_t at = 0;
	int r = 0;

	while (!c->closing && OUT_SIZE - c->out_size >= RESPONDER_REPLY_MAX) {
		struct responder_request req;

		r = responder_parse_request(c->in + at, c->in_size - at, &req);
		if (r < 0)
			break;
		at += RESPONDER_REQUEST_SIZE;
		c->out_size += responder_build_reply(&req, s->name, &c->peer, c->peer_port, c->out + c->out_size);
		c->closing = req.flags & RESPONDER_CLOSE;
	}
	memmove(c->in, c->in + at, c->in_size - at);
	c->in_size -= at;
	return r == -EBADMSG ? r : 0;
}

/* 1 = more may come, 0 = nothing more now, -errno = over. */
static int conn_read(struct conn *c)
{
	ssize_t n = recv(c->src.fd, c->in + c->in_size, IN_SIZE - c->in_size, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	c->in_size += (size_t)n;
	return c->in_size == IN_SIZE;
}

static int conn_watch(struct server *s, struct conn *c)
{
	uint32_t events = c->out_size ? EPOLLOUT : EPOLLIN;
	struct epoll_event ev = { .events = events, .data.ptr = &c->src };
	int op = c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (events == c->events)
		return 0;
	c->events = events;
	return epoll_ctl(s->epoll_fd, op, c->src.fd, &ev) < 0 ? -errno : 0;
}

/* One turn: what is left of the output, then read, answer, write. Level-triggered: what does not fit comes again. */
static int conn_turn(struct server *s, struct conn *c)
{
	int more = 0;
	int r = conn_flush(c);

	if (r < 0)
		return r;
	if (!c->out_size) {
		more = conn_read(c);
		if (more < 0)
			return more;
	}
	while (!c->out_size && c->in_size >= RESPONDER_REQUEST_SIZE) {
		r = conn_answer(s, c);
		if (r < 0)
			return r;
		r = conn_flush(c);
		if (r < 0)
			return r;
	}
	if (c->in_size && c->in_size < RESPONDER_REQUEST_SIZE) {
		r = conn_answer(s, c); /* a wrong beginning is found at once */
		if (r < 0)
			return r;
	}
	return conn_watch(s, c);
}

static void conn_event(struct server *s, struct conn *c)
{
	if (conn_turn(s, c) < 0)
		conn_close(s, c);
}

static void accept_one(struct server *s, int fd, const struct sockaddr_storage *ss)
{
	struct conn *c = s->n_conns < CONNS_MAX ? malloc(sizeof(*c)) : NULL;

	if (!c) {
		(void)close(fd); /* bounded: this client is turned away */
		return;
	}
	memset(c, 0, offsetof(struct conn, in));
	c->src = (struct source){ KIND_CONN, fd };
	s->n_conns++;
	if (responder_peer(ss, &c->peer, &c->peer_port) < 0) {
		conn_close(s, c);
		return;
	}
	conn_event(s, c);
}

static void listener_event(struct server *s, int fd)
{
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		struct sockaddr_storage ss = {};
		socklen_t size = sizeof(ss);
		int conn = accept4(fd, (struct sockaddr *)&ss, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (conn < 0)
			return; /* none left, or one that died in the queue: epoll calls again */
		accept_one(s, conn, &ss);
	}
}

/* ---- UDP ---- */

static void slot_prepare(struct udp_slot *slot, struct msghdr *m)
{
	slot->in_iov = (struct iovec){ slot->in, sizeof(slot->in) };
	*m = (struct msghdr){
		.msg_name = &slot->peer,
		.msg_namelen = sizeof(slot->peer),
		.msg_iov = &slot->in_iov,
		.msg_iovlen = 1,
		.msg_control = slot->control,
		.msg_controllen = sizeof(slot->control),
	};
}

/* The answer leaves from the address that was asked. The interface is left to routing, but for link-local addresses. */
static bool slot_pktinfo(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo *pi = (struct in6_pktinfo *)CMSG_DATA(c);

			if (!IN6_IS_ADDR_LINKLOCAL(&pi->ipi6_addr))
				pi->ipi6_ifindex = 0;
			m->msg_control = c;
			m->msg_controllen = CMSG_SPACE(sizeof(*pi));
			return true;
		}
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo *pi = (struct in_pktinfo *)CMSG_DATA(c);

			pi->ipi_ifindex = 0;
			pi->ipi_spec_dst = pi->ipi_addr;
			m->msg_control = c;
			m->msg_controllen = CMSG_SPACE(sizeof(*pi));
			return true;
		}
	}
	return false;
}

/* Turns a received message into its answer; false: no answer. */
static bool slot_answer(struct server *s, struct udp_slot *slot, struct mmsghdr *mm)
{
	struct responder_request req;
	struct ip_addr peer;
	uint16_t port;

	if (mm->msg_len != RESPONDER_REQUEST_SIZE || responder_parse_request(slot->in, mm->msg_len, &req) < 0 ||
	    responder_peer(&slot->peer, &peer, &port) < 0 || !slot_pktinfo(&mm->msg_hdr))
		return false;
	slot->out_iov = (struct iovec){ slot->out, responder_build_reply(&req, s->name, &peer, port, slot->out) };
	mm->msg_hdr.msg_iov = &slot->out_iov;
	mm->msg_hdr.msg_flags = 0;
	return true;
}

static void udp_event(struct server *s, int fd)
{
	int n, n_out = 0, done = 0;

	for (int i = 0; i < UDP_BATCH; i++)
		slot_prepare(&s->slots[i], &s->msgs[i].msg_hdr);
	n = recvmmsg(fd, s->msgs, UDP_BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++)
		if (slot_answer(s, &s->slots[i], &s->msgs[i]))
			s->msgs[n_out++] = s->msgs[i];
	/* What cannot be sent is lost, as datagrams are; one bad receiver does not hold up the rest. */
	while (done < n_out) {
		int sent = sendmmsg(fd, s->msgs + done, (unsigned int)(n_out - done), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		done += sent > 0 ? sent : 1;
	}
}

/* ---- setting up ---- */

static int set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* One socket for both families; IPv4 alone on a machine without IPv6. */
static int open_socket(const struct responder_port *p)
{
	int type = p->proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(p->port) };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(p->port) };
	CLEANUP_FD int fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool v6 = fd >= 0;
	int r = 0;

	if (!v6)
		fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (v6)
		r = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	if (!r && p->proto == IPPROTO_TCP) {
		r = set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
		r = r ? r : set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* connections inherit it */
	} else if (!r) {
		r = v6 ? set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) : set_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
	}
	if (r < 0)
		return r;
	if (bind(fd, v6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in, v6 ? sizeof(in6) : sizeof(in)) < 0)
		return -errno;
	if (p->proto == IPPROTO_TCP && listen(fd, BACKLOG) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int add_port(struct server *s, const struct responder_port *p, struct err *e)
{
	struct source *src = &s->sources[s->n_sources];
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = src };
	int fd = open_socket(p);

	if (fd < 0)
		return err_set_errno(e, fd, s->name, "cannot listen on %s port %u", ip_proto_name(p->proto), p->port);
	*src = (struct source){ p->proto == IPPROTO_TCP ? KIND_LISTENER : KIND_UDP, fd };
	s->n_sources++;
	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? err_set_errno(e, -errno, s->name, "epoll_ctl") : 0;
}

/* A port asked for twice is served once. */
static bool is_repeated(const struct responder_port *ports, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (ports[k].proto == ports[i].proto && ports[k].port == ports[i].port)
			return true;
	return false;
}

static int serve(struct server *s, struct err *e)
{
	struct epoll_event events[EVENTS_MAX];

	for (;;) {
		int n = epoll_wait(s->epoll_fd, events, EVENTS_MAX, -1);

		if (n < 0 && errno != EINTR)
			return err_set_errno(e, -errno, s->name, "epoll_wait");
		for (int i = 0; i < n; i++) {
			struct source *src = events[i].data.ptr;

			if (src->kind == KIND_LISTENER)
				listener_event(s, src->fd);
			else if (src->kind == KIND_UDP)
				udp_event(s, src->fd);
			else
				conn_event(s, container_of(src, struct conn, src));
		}
	}
}

static void server_free(struct server *s)
{
	for (size_t i = 0; i < s->n_sources; i++)
		(void)close(s->sources[i].fd); /* nothing was promised on it */
	if (s->epoll_fd >= 0)
		(void)close(s->epoll_fd);
	free(s->sources);
	free(s->slots);
	free(s->msgs);
}

int responder_run(const char *name, const struct responder_port *ports, size_t n_ports, int ready_fd, struct err *e)
{
	CLEANUP(server_free) struct server s = { .name = name, .epoll_fd = epoll_create1(EPOLL_CLOEXEC) };
	struct rlimit files;
	int r = 0;

	s.sources = calloc(n_ports + 1, sizeof(*s.sources));
	s.slots = calloc(UDP_BATCH, sizeof(*s.slots));
	s.msgs = calloc(UDP_BATCH, sizeof(*s.msgs));
	if (s.epoll_fd < 0 || !s.sources || !s.slots || !s.msgs)
		return err_set(e, -ENOMEM, name, "cannot start the responder");
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files); /* fewer connections, then */
	}
	for (size_t i = 0; i < n_ports && !r; i++)
		r = is_repeated(ports, i) ? 0 : add_port(&s, &ports[i], e);
	if (r < 0)
		return r;
	if (write(ready_fd, "", 1) != 1)
		return err_set_errno(e, -errno, name, "nobody waits for the responder");
	(void)close(ready_fd); /* said all */
	return serve(&s, e);
}
