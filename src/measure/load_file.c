/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The load `file`: one file over HTTP on a new connection, as fast as it comes. Also a single question, for programs that judge nothing. Runs in the child of load.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"
#include "load_gen.h"
#include "load_proto.h"

#define BUFFER_SIZE (256u << 10)
#define STALL_S 10 /* no byte for so long: it has timed out */
#define MIB 1048576.0

static int open_connection(const struct load_target *t)
{
	CLEANUP_FD int fd = socket(t->addr.fam, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct timeval stall = { .tv_sec = STALL_S };
	struct sockaddr_storage ss;
	socklen_t len = ip_addr_to_sockaddr(&t->addr, t->port, &ss);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof(stall)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &stall, sizeof(stall)) < 0 ||
	    connect(fd, (struct sockaddr *)&ss, len) < 0)
		return errno == EINPROGRESS || errno == EAGAIN ? -ETIMEDOUT : -errno;
	return TAKE_FD(fd);
}

static int send_all(int fd, const void *buf, size_t size)
{
	ssize_t n = send(fd, buf, size, MSG_NOSIGNAL);

	return n == (ssize_t)size ? 0 : n < 0 ? -errno : -EMSGSIZE;
}

/* Bytes, > 0. */
static ssize_t receive(int fd, void *buf, size_t size)
{
	ssize_t n;

	do
		n = recv(fd, buf, size, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return n == 0 ? -ECONNRESET : n;
}

static bool is_right(const struct load_hooks *hooks, const char *name)
{
	return !hooks || !hooks->is_backend || hooks->is_backend(name, 0, hooks->arg);
}

/* ---- one question ---- */

int load_probe(const struct load_conf *conf, const struct load_hooks *hooks)
{
	const struct load_proto *proto = load_proto_of(conf->kind);
	uint8_t req[LOAD_REQUEST_MAX], buf[2 * LOAD_REPLY_MAX];
	CLEANUP_FD int fd = open_connection(&conf->targets[0]);
	struct load_reply reply = {};
	size_t n_buf = 0;
	int r = fd < 0 ? fd : send_all(fd, req, proto->build(1, req));

	while (r == 0) {
		ssize_t n = n_buf < sizeof(buf) ? receive(fd, buf + n_buf, sizeof(buf) - n_buf) : -EBADMSG;

		if (n < 0)
			return (int)n;
		n_buf += (size_t)n;
		r = proto->parse(buf, n_buf, &reply);
		if (r == 0)
			return is_right(hooks, reply.name) ? 0 : -EREMOTEIO;
		r = r == -EAGAIN ? 0 : r;
	}
	return r;
}

/* ---- the file ---- */

/* The head, and who serves: *ret_size bytes of the body, of *ret_total, are there. */
static int read_head(int fd, uint8_t *buf, char name[static LOAD_NAME_MAX], uint64_t *ret_size, uint64_t *ret_total)
{
	struct load_http_head head = {};
	size_t n_buf = 0;

	name[0] = '\0';
	while (!name[0]) {
		ssize_t n = n_buf < LOAD_REPLY_MAX ? receive(fd, buf + n_buf, LOAD_REPLY_MAX - n_buf) : -EBADMSG;
		int r;

		if (n < 0)
			return (int)n;
		n_buf += (size_t)n;
		r = load_http_head(buf, n_buf, &head);
		if (r == 0)
			load_name_at(buf + head.size, n_buf - head.size, name);
		else if (r != -EAGAIN)
			return r;
	}
	*ret_size = n_buf - head.size;
	*ret_total = head.body_size;
	return 0;
}

/* 0, or -errno as the client saw it. -EREMOTEIO: the wrong server, or not the whole file. */
static int fetch(const struct load_conf *conf, const struct load_hooks *hooks, uint8_t *buf, uint64_t *ret_size)
{
	static const char request[] = "GET " LOAD_FILE_PATH " HTTP/1.1\r\nHost: offkube\r\nConnection: close\r\n\r\n";
	CLEANUP_FD int fd = open_connection(&conf->targets[0]);
	char name[LOAD_NAME_MAX];
	uint64_t total = 0;
	int r = fd < 0 ? fd : send_all(fd, request, sizeof(request) - 1);

	if (r == 0)
		r = read_head(fd, buf, name, ret_size, &total);
	if (r < 0)
		return r;
	if (total != conf->amount || !is_right(hooks, name))
		return -EREMOTEIO;
	while (*ret_size < total) {
		ssize_t n = receive(fd, buf, BUFFER_SIZE);

		if (n < 0)
			return (int)n;
		*ret_size += (uint64_t)n;
	}
	return *ret_size == total ? 0 : -EREMOTEIO;
}

int load_file(const struct load_conf *conf, const struct load_hooks *hooks, struct load_page *page)
{
	struct load_result *res = &page->result;
	CLEANUP_FREE uint8_t *buf = malloc(BUFFER_SIZE);
	uint64_t size = 0;
	int r;

	if (!buf)
		return -ENOMEM;
	if (hooks && hooks->on_window)
		hooks->on_window(true, hooks->arg);
	res->start_ns = clock_now_ns(&clock_monotonic);
	r = fetch(conf, hooks, buf, &size);
	res->end_ns = clock_now_ns(&clock_monotonic);
	if (hooks && hooks->on_window)
		hooks->on_window(false, hooks->arg);
	res->n_sent = 1;
	res->n_ok = r == 0;
	res->n_refused = r == -ECONNREFUSED;
	res->n_timeout = r == -ETIMEDOUT;
	res->n_wrong = r == -EREMOTEIO;
	res->n_other_error = !(res->n_ok || res->n_refused || res->n_timeout || res->n_wrong);
	res->units = r == 0 ? (double)size / MIB : 0;
	return 0;
}
