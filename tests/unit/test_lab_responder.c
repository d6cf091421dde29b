/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The responder on loopback: protocol, pipelining, bad input, bounds, addresses of UDP answers. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "lab/proto.h"

#define NAME "shop/cart-0"
#define DEADLINE_MS 60000

/* ---- the protocol, without a server ---- */

static void test_request_round_trip(void **state)
{
	uint8_t buf[RESPONDER_REQUEST_SIZE];
	struct responder_request req;

	(void)state;
	responder_build_request(0x0102030405060708ull, RESPONDER_CLOSE, 1200, buf);
	assert_memory_equal(buf, "OKRQ\1\2\3\4\5\6\7\10\0\1\4\260", sizeof(buf));
	assert_int_equal(responder_parse_request(buf, sizeof(buf), &req), 0);
	assert_true(req.id == 0x0102030405060708ull && req.flags == RESPONDER_CLOSE && req.reply_size == 1200);
	for (size_t i = 0; i < sizeof(buf); i++)
		assert_int_equal(responder_parse_request(buf, i, &req), -EAGAIN);
	buf[12] = 0x80; /* a flag that does not exist */
	assert_int_equal(responder_parse_request(buf, sizeof(buf), &req), -EBADMSG);
	buf[1] = 'X';
	assert_int_equal(responder_parse_request(buf, 1, &req), -EAGAIN);
	assert_int_equal(responder_parse_request(buf, 2, &req), -EBADMSG);
}

static void test_reply_round_trip(void **state)
{
	static const struct {
		uint16_t asked;
		size_t want;
	} sizes[] = { { 0, RESPONDER_REPLY_MIN + sizeof(NAME) - 1 },
		      { 40, RESPONDER_REPLY_MIN + sizeof(NAME) - 1 },
		      { 100, 100 },
		      { RESPONDER_REPLY_MAX, RESPONDER_REPLY_MAX },
		      { 65535, RESPONDER_REPLY_MAX } };
	static const char *const clients[] = { "10.244.1.2", "fd00:10:244:1::2" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		for (size_t k = 0; k < ARRAY_LEN(clients); k++) {
			const struct responder_request req = { 42 + i, 0, sizes[i].asked };
			struct responder_reply reply;
			uint8_t buf[RESPONDER_REPLY_MAX];
			struct ip_addr client;
			size_t size, got = 0;

			assert_int_equal(ip_addr_parse(clients[k], &client), 0);
			size = responder_build_reply(&req, NAME, &client, 4711, buf);
			assert_int_equal(size, sizes[i].want);
			for (size_t n = 0; n < size; n++)
				assert_int_equal(responder_parse_reply(buf, n, &reply, &got), -EAGAIN);
			assert_int_equal(responder_parse_reply(buf, size, &reply, &got), 0);
			assert_int_equal(got, size);
			assert_int_equal(reply.id, 42 + i);
			assert_true(ip_addr_eq(&reply.client, &client));
			assert_int_equal(reply.client_port, 4711);
			assert_string_equal(reply.name, NAME);
		}
}

static void test_reply_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} bad[] = { { 0, 'X' }, { 12, 0xff }, { 14, 9 }, { 34, 1 }, { 35, 255 }, { 13, 10 }, { 36, 0 } };
	const struct responder_request req = { 1, 0, 0 };
	struct ip_addr client = { AF_INET, { 127, 0, 0, 1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		uint8_t buf[RESPONDER_REPLY_MAX];
		struct responder_reply reply;
		size_t size = responder_build_reply(&req, NAME, &client, 1, buf);

		buf[bad[i].at] = bad[i].value;
		assert_int_equal(responder_parse_reply(buf, size, &reply, &size), -EBADMSG);
	}
}

static void test_long_name(void **state)
{
	const struct responder_request req = { 1, 0, 0 };
	struct ip_addr client = { AF_INET, { 127, 0, 0, 1 } };
	uint8_t buf[RESPONDER_REPLY_MAX];
	struct responder_reply reply;
	char name[400];
	size_t size;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	size = responder_build_reply(&req, name, &client, 1, buf);
	assert_int_equal(responder_parse_reply(buf, size, &reply, &size), 0);
	assert_int_equal(strlen(reply.name), RESPONDER_NAME_MAX);
}

/* ---- a server on loopback ---- */

struct server {
	pid_t pid;
	uint16_t port; /* TCP and UDP */
};

/* A port that is free now for both; the server may still lose it, then another is tried. */
static uint16_t free_port(void)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6 };
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
	(void)close(fd);
	return ntohs(a.sin6_port);
}

static bool start_once(struct server *s)
{
	struct responder_port ports[3];
	struct pollfd p;
	int fd[2];
	bool up;

	s->port = free_port();
	ports[0] = (struct responder_port){ IPPROTO_TCP, s->port };
	ports[1] = (struct responder_port){ IPPROTO_UDP, s->port };
	ports[2] = ports[0]; /* twice is once */
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(fd[0]);
		(void)responder_run(NAME, ports, ARRAY_LEN(ports), fd[1], NULL);
		_exit(1);
	}
	(void)close(fd[1]);
	p = (struct pollfd){ .fd = fd[0], .events = POLLIN };
	up = poll(&p, 1, DEADLINE_MS) == 1 && p.revents & POLLIN;
	(void)close(fd[0]);
	if (!up)
		(void)waitpid(s->pid, NULL, 0);
	return up;
}

static int start(void **state)
{
	static struct server s;

	for (int i = 0; i < 20; i++)
		if (start_once(&s)) {
			*state = &s;
			return 0;
		}
	return -1;
}

static int stop(void **state)
{
	const struct server *s = *state;
	int status = 0;

	if (waitpid(s->pid, &status, WNOHANG) != 0) {
		print_error("the responder ended by itself, status %d\n", status);
		return -1;
	}
	(void)kill(s->pid, SIGKILL);
	(void)waitpid(s->pid, &status, 0);
	return 0;
}

static int dial(const struct server *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(s->port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval tv = { .tv_sec = DEADLINE_MS / 1000 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void read_all(int fd, uint8_t *buf, size_t size)
{
	for (size_t n = 0; n < size;) {
		ssize_t got = read(fd, buf + n, size - n);

		assert_true(got > 0);
		n += (size_t)got;
	}
}

static void test_ask(void **state)
{
	static const char *const to[] = { "127.0.0.1", "::1", "127.0.0.9" };
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };
	const struct server *s = *state;

	for (size_t i = 0; i < ARRAY_LEN(to); i++)
		for (size_t k = 0; k < ARRAY_LEN(protos); k++) {
			struct responder_ask ask = {
				.netns_fd = -1, .to_port = s->port, .proto = protos[k], .timeout_ms = DEADLINE_MS
			};
			struct responder_reply reply;
			struct ip_addr local;
			uint16_t port = 0;

			assert_int_equal(ip_addr_parse(to[i], &ask.to), 0);
			/* UDP sockets are connected: 127.0.0.9 is heard only if the answer comes from there. */
			assert_int_equal(responder_ask(&ask, &reply, &local, &port), 0);
			assert_string_equal(reply.name, NAME);
			assert_true(ip_addr_eq(&reply.client, &local));
			assert_int_equal(reply.client_port, port);
			assert_int_equal(local.fam, ask.to.fam);
		}
}

static void test_ask_from(void **state)
{
	const struct server *s = *state;
	struct ip_addr from = { AF_INET, { 127, 0, 0, 7 } };
	struct responder_ask ask = { .netns_fd = -1,
				     .to = { AF_INET, { 127, 0, 0, 1 } },
				     .to_port = s->port,
				     .proto = IPPROTO_TCP,
				     .from = &from,
				     .timeout_ms = DEADLINE_MS };
	struct responder_reply reply;

	assert_int_equal(responder_ask(&ask, &reply, NULL, NULL), 0);
	assert_true(ip_addr_eq(&reply.client, &from));
}

static void test_ask_fails(void **state)
{
	struct responder_ask ask = {
		.netns_fd = -1, .to = { AF_INET, { 127, 0, 0, 1 } }, .proto = IPPROTO_TCP, .timeout_ms = 200
	};
	struct responder_reply reply;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(a);
	int mute = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)state;
	ask.to_port = free_port();
	assert_int_equal(responder_ask(&ask, &reply, NULL, NULL), -ECONNREFUSED);
	ask.proto = IPPROTO_UDP;
	assert_int_equal(responder_ask(&ask, &reply, NULL, NULL), -ECONNREFUSED);
	/* Somebody who listens and says nothing. */
	assert_int_equal(bind(mute, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(mute, (struct sockaddr *)&a, &size), 0);
	ask.to_port = ntohs(a.sin_port);
	assert_int_equal(responder_ask(&ask, &reply, NULL, NULL), -ETIMEDOUT);
	(void)close(mute);
}

/* Many requests in one write, answered in order; then one that closes, after which nothing is answered. */
static void test_pipeline(void **state)
{
	enum { N = 500 };
	static uint8_t requests[(N + 2) * RESPONDER_REQUEST_SIZE];
	uint8_t buf[RESPONDER_REPLY_MAX];
	int fd = dial(*state);

	for (uint64_t i = 0; i < N + 2; i++)
		responder_build_request(i, i == N ? RESPONDER_CLOSE : 0, (uint16_t)(i * 7 % 1400),
					requests + i * RESPONDER_REQUEST_SIZE);
	assert_int_equal(write(fd, requests, sizeof(requests)), sizeof(requests));
	for (uint64_t i = 0; i <= N; i++) {
		struct responder_reply reply;
		size_t size = MAX((size_t)(i * 7 % 1400), RESPONDER_REPLY_MIN + sizeof(NAME) - 1);

		read_all(fd, buf, size);
		assert_int_equal(responder_parse_reply(buf, size, &reply, &size), 0);
		assert_int_equal(reply.id, i);
	}
	assert_true(read(fd, buf, 1) <= 0);
	(void)close(fd);
}

static void test_byte_by_byte(void **state)
{
	uint8_t req[RESPONDER_REQUEST_SIZE], buf[100];
	struct responder_reply reply;
	int fd = dial(*state);
	size_t size;

	responder_build_request(5, 0, sizeof(buf), req);
	for (size_t i = 0; i < sizeof(req); i++)
		assert_int_equal(write(fd, req + i, 1), 1);
	read_all(fd, buf, sizeof(buf));
	assert_int_equal(responder_parse_reply(buf, sizeof(buf), &reply, &size), 0);
	assert_int_equal(reply.id, 5);
	(void)close(fd);
}

static void test_rubbish_closes(void **state)
{
	static const char *const rubbish[] = { "GET / HTTP/1.0\r\n\r\n", "X", "OKRX",
					       "OKRQ\0\0\0\0\0\0\0\0\xff\xff\0\0" };

	for (size_t i = 0; i < ARRAY_LEN(rubbish); i++) {
		int fd = dial(*state);
		char byte;

		assert_true(write(fd, rubbish[i], i == 3 ? 16 : strlen(rubbish[i])) > 0);
		assert_true(read(fd, &byte, 1) <= 0);
		(void)close(fd);
	}
	test_ask(state); /* others are served as before */
}

static void test_rubbish_datagrams(void **state)
{
	const struct server *s = *state;
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(s->port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint8_t req[RESPONDER_REQUEST_SIZE + 1] = {}, buf[RESPONDER_REPLY_MAX];
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	responder_build_request(9, 0, 0, req);
	assert_true(send(fd, req, 0, 0) >= 0);
	assert_true(send(fd, req, 15, 0) > 0);
	assert_true(send(fd, req, 17, 0) > 0); /* longer than a request */
	assert_true(send(fd, "OKRX____________", 16, 0) > 0);
	/* The good one behind them is answered, and nothing else. */
	assert_true(send(fd, req, 16, 0) > 0);
	assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
	assert_true(recv(fd, buf, sizeof(buf), 0) >= RESPONDER_REPLY_MIN);
	assert_int_equal(poll(&p, 1, 0), 0);
	(void)close(fd);
}

/* Who does not read his answers is not read from: the server's memory stays, its other clients too. */
static void test_slow_reader(void **state)
{
	uint8_t req[64 * RESPONDER_REQUEST_SIZE], buf[RESPONDER_REPLY_MAX];
	struct pollfd p = { .events = POLLOUT };
	struct responder_reply reply;
	uint64_t n_sent = 0;
	size_t size, sent_bytes = 0;
	int fd = dial(*state);

	p.fd = fd;
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	for (uint64_t i = 0; i < 64; i++)
		responder_build_request(i, 0, RESPONDER_REPLY_MAX, req + i * RESPONDER_REQUEST_SIZE);
	/* Until nothing fits any more for a while: both sockets' buffers are full. */
	while (poll(&p, 1, 500) == 1) {
		ssize_t n = write(fd, req + sent_bytes % sizeof(req), sizeof(req) - sent_bytes % sizeof(req));

		assert_true(n > 0);
		sent_bytes += (size_t)n;
		assert_true(sent_bytes < 256u << 20);
	}
	test_ask(state);
	n_sent = sent_bytes / RESPONDER_REQUEST_SIZE;
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	for (uint64_t i = 0; i < MIN(n_sent, 3000u); i++) {
		read_all(fd, buf, sizeof(buf));
		assert_int_equal(responder_parse_reply(buf, sizeof(buf), &reply, &size), 0);
		assert_int_equal(reply.id, i % 64);
	}
	(void)close(fd);
}

static void test_port_in_use(void **state)
{
	const struct server *s = *state;
	const struct responder_port port = { IPPROTO_TCP, s->port };
	struct err e = {};
	int fd[2];

	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	assert_int_equal(responder_run("t/other", &port, 1, fd[1], &e), -EADDRINUSE);
	assert_string_equal(e.path, "t/other");
	assert_non_null(strstr(e.text, "tcp port"));
	(void)close(fd[0]);
	(void)close(fd[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request_round_trip),
		cmocka_unit_test(test_reply_round_trip),
		cmocka_unit_test(test_reply_refused),
		cmocka_unit_test(test_long_name),
		cmocka_unit_test_setup_teardown(test_ask, start, stop),
		cmocka_unit_test_setup_teardown(test_ask_from, start, stop),
		cmocka_unit_test(test_ask_fails),
		cmocka_unit_test_setup_teardown(test_pipeline, start, stop),
		cmocka_unit_test_setup_teardown(test_byte_by_byte, start, stop),
		cmocka_unit_test_setup_teardown(test_rubbish_closes, start, stop),
		cmocka_unit_test_setup_teardown(test_rubbish_datagrams, start, stop),
		cmocka_unit_test_setup_teardown(test_slow_reader, start, stop),
		cmocka_unit_test_setup_teardown(test_port_in_use, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
