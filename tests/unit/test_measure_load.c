/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The load generator against responders on loopback: what is counted, what is timed, and that nothing is lost. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rand.h"
#include "base/util.h"
#include "lab/responder.h"
#include "measure/load.h"
#include "model_util.h"

#define DEADLINE_MS 60000
#define LONGEST_WINDOW_NS (12 * NSEC_PER_SEC)

/* ---- servers ---- */

/* A TCP port that is free now. Nobody else on this machine is told of it, but it is not held: as good as it gets. */
static uint16_t free_port(void)
{
	const struct ip_addr any = ip("127.0.0.1");
	struct sockaddr_storage ss;
	socklen_t size = ip_addr_to_sockaddr(&any, 0, &ss);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct ip_addr addr;
	uint16_t port = 0;

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, size), 0);
	size = sizeof(ss);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &size), 0);
	assert_int_equal(ip_addr_from_sockaddr(&ss, &addr, &port), 0);
	assert_int_equal(close(fd), 0);
	return port;
}

struct server {
	pid_t pid;
	uint16_t port;
};

static struct server serve(const char *name)
{
	struct server s = { .port = free_port() };
	const struct responder_port port = { IPPROTO_TCP, s.port };
	struct pollfd p = { .events = POLLIN };
	int fd[2];
	char byte;

	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	s.pid = fork();
	assert_true(s.pid >= 0);
	if (s.pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(fd[0]);
		(void)responder_run(name, &port, 1, fd[1], NULL);
		_exit(1);
	}
	(void)close(fd[1]);
	p.fd = fd[0];
	assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
	assert_int_equal(read(fd[0], &byte, 1), 1);
	(void)close(fd[0]);
	return s;
}

static void end(struct server *s)
{
	assert_int_equal(kill(s->pid, SIGKILL), 0);
	assert_int_equal(waitpid(s->pid, NULL, 0), s->pid);
}

static struct load_target target_at_port(uint16_t port)
{
	return (struct load_target){ .addr = ip("127.0.0.1"), .port = port, .proto = IPPROTO_TCP };
}

/* ---- hooks: in the generator's process, so in shared memory ---- */

struct seen {
	uint32_t n_begin, n_end, n_answers;
	uint64_t begin_ns, end_ns;
	pid_t victim; /* a server that is killed after the first answer; 0 = none */
};

static void on_window(bool begin, void *arg)
{
	struct seen *seen = arg;

	if (begin) {
		seen->n_begin++;
		seen->begin_ns = clock_now_ns(&clock_monotonic);
	} else {
		seen->n_end++;
		seen->end_ns = clock_now_ns(&clock_monotonic);
	}
}

/* Target 0 is backed by "t/a", target 1 by "t/b". */
static bool is_backend(const char *name, size_t target, void *arg)
{
	struct seen *seen = arg;

	seen->n_answers++;
	if (seen->victim && seen->n_answers == 1)
		(void)kill(seen->victim, SIGKILL);
	return str_eq(name, target ? "t/b" : "t/a");
}

/* ---- runs ---- */

struct run {
	struct load_conf conf;
	struct load_target targets[2];
	struct load_result res;
	struct seen *seen;
};

static struct run *run_new(enum load_kind kind, double rate, const struct server *a, const struct server *b)
{
	struct run *run = calloc(1, sizeof(*run));

	assert_non_null(run);
	run->targets[run->conf.n_targets++] = target_at_port(a->port);
	if (b)
		run->targets[run->conf.n_targets++] = target_at_port(b->port);
	run->seen = mmap(NULL, sizeof(*run->seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(run->seen != MAP_FAILED);
	run->conf.kind = kind;
	run->conf.netns_fd = -1;
	run->conf.cgroup_fd = -1;
	run->conf.targets = run->targets;
	run->conf.n_connections = 4;
	run->conf.rate_rps = rate;
	run->conf.warmup_ns = 20 * NSEC_PER_MSEC;
	run->conf.duration_ns = 200 * NSEC_PER_MSEC;
	run->conf.seed = 5;
	return run;
}

static int run_it(struct run *run, struct err *e)
{
	const struct load_hooks hooks = { .on_window = on_window, .is_backend = is_backend, .arg = run->seen };

	return load_run(&run->conf, &hooks, &run->res, e);
}

/* A window in which a busy machine gave the generator no turn says nothing: again, in one twice as long, until at least n are sent. */
static void run_until(struct run *run, uint64_t n)
{
	for (;; run->conf.duration_ns *= 2) {
		struct err e = {};

		*run->seen = (struct seen){};
		if (run_it(run, &e) < 0)
			fail_msg("%s: %s", e.path, e.text);
		if (run->res.n_sent >= n)
			return;
		if (run->conf.duration_ns > LONGEST_WINDOW_NS)
			fail_msg("%" PRIu64 " sent, at least %" PRIu64 " wanted", run->res.n_sent, n);
	}
}

static void run_free(struct run *run)
{
	(void)munmap(run->seen, sizeof(*run->seen));
	free(run);
}

static void assert_adds_up(const struct run *run)
{
	const struct load_result *r = &run->res;

	assert_int_equal(r->n_sent, r->n_ok + r->n_refused + r->n_timeout + r->n_other_error + r->n_wrong);
	assert_int_equal(r->latency.count, r->n_ok);
	assert_int_equal(r->end_ns - r->start_ns, run->conf.duration_ns);
	assert_true(run->seen->n_begin == 1 && run->seen->n_end == 1);
	assert_true(run->seen->begin_ns >= r->start_ns && run->seen->end_ns >= r->end_ns);
}

/* ---- tests ---- */

static void test_open(void **state)
{
	struct server a = serve("t/a"), b = serve("t/b");

	(void)state;
	for (int kind = LOAD_ECHO; kind <= LOAD_CONNECT; kind++) {
		struct run *run = run_new(kind, 1000, &a, &b);
		const struct load_result *r = &run->res;

		/* At first 200 are offered, and some of the warm-up may be late; Poisson: 5 standard deviations and more. */
		run_until(run, 100);
		assert_adds_up(run);
		assert_int_equal(r->n_ok, r->n_sent);
		assert_true(r->n_sent <= 300 * (run->conf.duration_ns / (200 * NSEC_PER_MSEC)));
		assert_true(r->latency.min_ns > 0 && r->latency.max_ns < 2 * NSEC_PER_SEC);
		assert_int_equal(r->lateness.count, r->n_sent);
		run_free(run);
	}
	end(&a);
	end(&b);
}

static void test_closed(void **state)
{
	struct server a = serve("t/a");

	(void)state;
	for (int kind = LOAD_ECHO; kind <= LOAD_CONNECT; kind++) {
		struct run *run = run_new(kind, 0, &a, NULL);

		run_until(run, run->conf.n_connections + 1); /* they go on after the first reply */
		assert_adds_up(run);
		assert_int_equal(run->res.n_ok, run->res.n_sent);
		assert_int_equal(run->res.lateness.count, 0); /* nothing was due */
		run_free(run);
	}
	end(&a);
}

/* How many requests are due before duration_ns, as load_gen.c draws them. */
static uint64_t n_due(const struct load_conf *conf)
{
	uint64_t n = 0, at_ns = 0;
	struct rng rng;

	rng_seed(&rng, conf->seed);
	for (; at_ns < conf->duration_ns; n++)
		at_ns += (uint64_t)rng_exp(&rng, 1e9 / conf->rate_rps);
	return n;
}

/* The seed says which requests are due. No more than these are sent, ever; fewer when the machine keeps us from the last ones until the window is over, so
 * that is tried again. */
static void test_same_seed_same_arrivals(void **state)
{
	struct server a = serve("t/a");

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct run *run = run_new(i % 2 ? LOAD_ECHO : LOAD_CONNECT, 500, &a, NULL);
		uint64_t due, deadline_ns = clock_now_ns(&clock_monotonic) + LONGEST_WINDOW_NS;

		run->conf.warmup_ns = 0;
		run->conf.seed = 5 + (uint64_t)i / 2;
		due = n_due(&run->conf);
		do {
			assert_int_equal(run_it(run, NULL), 0);
			assert_true(run->res.n_sent <= due);
		} while (run->res.n_sent < due && clock_now_ns(&clock_monotonic) < deadline_ns);
		assert_int_equal(run->res.n_sent, due);
		run_free(run);
	}
	end(&a);
}

/* Nobody listens: refusals are an answer that is counted, and a closed loop goes on after them. */
static void test_refused(void **state)
{
	const struct server nobody = { .port = free_port() };

	(void)state;
	for (int closed = 0; closed < 2; closed++) {
		struct run *run = run_new(LOAD_CONNECT, closed ? 0 : 500, &nobody, NULL);

		run_until(run, run->conf.n_connections + 1);
		assert_adds_up(run);
		assert_int_equal(run->res.n_refused, run->res.n_sent);
		assert_int_equal(run->seen->n_answers, 0);
		run_free(run);
	}
}

static void test_echo_cannot_begin(void **state)
{
	const struct server nobody = { .port = free_port() };
	struct run *run = run_new(LOAD_ECHO, 500, &nobody, NULL);
	struct err e = {};

	(void)state;
	run->res.n_sent = 77;
	assert_int_equal(run_it(run, &e), -ECONNREFUSED);
	assert_string_equal(e.path, "echo");
	assert_int_equal(run->res.n_sent, 77); /* untouched on failure */
	run_free(run);
}

static void test_wrong_backend(void **state)
{
	struct server a = serve("t/a"), stranger = serve("t/stranger");

	(void)state;
	for (int kind = LOAD_ECHO; kind <= LOAD_CONNECT; kind++) {
		struct run *run = run_new(kind, 500, &a, &stranger);

		run_until(run, 2);
		assert_adds_up(run);
		assert_true(run->res.n_wrong > 0 && run->res.n_ok > 0);
		/* Requests go to the targets in turn. */
		assert_true(llabs((long long)run->res.n_wrong - (long long)run->res.n_ok) <= 1);
		run_free(run);
	}
	end(&a);
	end(&stranger);
}

/* The server dies in the middle: what was under way is counted, nothing hangs. */
static void test_server_dies(void **state)
{
	struct server a = serve("t/a");
	struct run *run = run_new(LOAD_ECHO, 1000, &a, NULL);

	(void)state;
	run->conf.duration_ns = NSEC_PER_SEC;
	run->seen->victim = a.pid;
	assert_int_equal(run_it(run, NULL), 0);
	assert_int_equal(waitpid(a.pid, NULL, 0), a.pid);
	assert_adds_up(run);
	assert_true(run->res.n_ok > 0 && run->res.n_other_error > 0);
	run_free(run);
}

/* A server that takes connections and never answers: all has timed out, and the run ends. */
static void test_silent_server(void **state)
{
	const struct ip_addr lo = ip("127.0.0.1");
	struct sockaddr_storage ss;
	const struct server silent = { .port = free_port() };
	socklen_t size = ip_addr_to_sockaddr(&lo, silent.port, &ss);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct run *run = run_new(LOAD_CONNECT, 100, &silent, NULL);

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, size), 0);
	assert_int_equal(listen(fd, 128), 0);
	assert_int_equal(run_it(run, NULL), 0);
	assert_adds_up(run);
	assert_int_equal(run->res.n_timeout, run->res.n_sent);
	(void)close(fd);
	run_free(run);
}

/* Each target is asked on a connection of its own, by whoever may ask it. */
static void test_calls(void **state)
{
	struct server a = serve("t/a"), b = serve("t/b");
	const struct load_place here = { .netns_fd = -1, .cgroup_fd = -1 };

	(void)state;
	for (int closed = 0; closed < 2; closed++) {
		struct run *run = run_new(LOAD_CALLS, closed ? 0 : 1000, &a, &b);

		run->targets[1].place = &here;
		run_until(run, 21);
		assert_adds_up(run);
		assert_int_equal(run->res.n_ok, run->res.n_sent);
		assert_true(run->res.units == (double)run->res.n_ok && run->res.lost_share < 0);
		run_free(run);
	}
	end(&a);
	end(&b);
}

/* ---- HTTP, from a server of ours that says what it is told to ---- */

/* Answers each connection with `reply` per request, in turn; never returns. */
static void serve_text(int fd, const char *reply, bool close_after) __attribute__((noreturn));
static void serve_text(int fd, const char *reply, bool close_after)
{
	char buf[4096];

	for (;;) {
		int c = accept(fd, NULL, NULL);
		ssize_t n;

		while ((n = recv(c, buf, sizeof(buf) - 1, 0)) > 0) {
			buf[n] = '\0';
			for (const char *at = buf; (at = strstr(at, "\r\n\r\n")); at += 4)
				(void)send(c, reply, strlen(reply), MSG_NOSIGNAL);
			if (close_after)
				break;
		}
		(void)close(c);
	}
}

static struct server text_server(const char *reply, bool close_after)
{
	struct server s = { .port = free_port() };
	const struct ip_addr lo = ip("127.0.0.1");
	struct sockaddr_storage ss;
	socklen_t size = ip_addr_to_sockaddr(&lo, s.port, &ss);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&ss, size), 0);
	assert_int_equal(listen(fd, 8), 0);
	s.pid = fork();
	assert_true(s.pid >= 0);
	if (s.pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve_text(fd, reply, close_after);
	}
	(void)close(fd);
	return s;
}

#define PAGE(name) "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 8\r\n\r\n" name "\nxxxx"

static void test_http(void **state)
{
	struct server good = text_server(PAGE("t/a"), false), other = text_server(PAGE("t/b"), false),
		      bad = text_server("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", false);
	struct run *run = run_new(LOAD_HTTP, 500, &good, NULL);

	(void)state;
	run->conf.n_connections = 1;
	run_until(run, 21);
	assert_adds_up(run);
	assert_int_equal(run->res.n_ok, run->res.n_sent);
	run->targets[0].port = other.port;
	run_until(run, 21);
	assert_int_equal(run->res.n_wrong, run->res.n_sent);
	run->targets[0].port = bad.port;
	run_until(run, 21);
	assert_int_equal(run->res.n_other_error, run->res.n_sent);
	run_free(run);
	end(&good);
	end(&other);
	end(&bad);
}

static void test_file(void **state)
{
	struct server good = text_server(PAGE("t/a"), true), other = text_server(PAGE("t/b"), true);
	struct run *run = run_new(LOAD_FILE, 0, &good, NULL);

	(void)state;
	run->conf.amount = 8;
	assert_int_equal(run_it(run, NULL), 0);
	assert_true(run->res.n_sent == 1 && run->res.n_ok == 1);
	assert_true(run->res.units > 0 && run->res.units * 1048576 == 8);
	assert_true(run->seen->n_begin == 1 && run->seen->n_end == 1);
	run->conf.amount = 9; /* not the file that it should be */
	assert_int_equal(run_it(run, NULL), 0);
	assert_true(run->res.n_wrong == 1 && run->res.units == 0);
	run->conf.amount = 8;
	run->targets[0].port = other.port;
	assert_int_equal(run_it(run, NULL), 0);
	assert_int_equal(run->res.n_wrong, 1);
	end(&other);
	assert_int_equal(run_it(run, NULL), 0);
	assert_int_equal(run->res.n_refused, 1);
	run_free(run);
	end(&good);
}

/* ---- programs of others: what one says, and one that is no such program ---- */

static void test_tool(void **state)
{
	const struct server nobody = { .port = free_port() };
	struct run *run = run_new(LOAD_H2, 0, &nobody, NULL);
	struct load_note *note = mmap(NULL, sizeof(*note), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const struct load_hooks hooks = { .on_window = on_window, .arg = run->seen, .note = note };

	(void)state;
	assert_true(note != MAP_FAILED);
	run->conf.tool = "/bin/echo";
	assert_int_equal(load_run(&run->conf, &hooks, &run->res, NULL), 0);
	assert_true(run->res.n_other_error == 1 && run->res.n_ok == 0 && run->res.units == 0);
	assert_non_null(strstr(note->text, "no summary"));
	assert_true(run->seen->n_begin == 1 && run->seen->n_end == 1);
	run->conf.tool = "/nonexistent/h2load";
	assert_int_equal(load_run(&run->conf, &hooks, &run->res, NULL), 0);
	assert_int_equal(run->res.n_other_error, 1);
	(void)munmap(note, sizeof(*note));
	run_free(run);
}

/* A program that prints a file of the fuzz corpus (without its first byte), whatever it is asked. */
static void write_program(const char *path, const char *corpus_file)
{
	const char *top = getenv("OFFKUBE_SOURCE_DIR");
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fprintf(f, "#!/bin/sh\ntail -c +2 '%s/tests/fuzz/corpus/tool_output/%s'\n", top ? top : ".",
			    corpus_file) > 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0755), 0);
}

/* Who answered is judged: by the size of what came, and by what the server says of itself. */
static void test_tool_judged(void **state)
{
	const struct server nobody = { .port = free_port() };
	struct run *run = run_new(LOAD_H2, 0, &nobody, NULL);
	char dir[] = "/tmp/okt-load-XXXXXX", path[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/tool", dir);
	write_program(path, "h2load.txt");
	run->conf.tool = path;
	run->conf.n_connections = 8;
	run->targets[0].page_size = 1230;
	assert_int_equal(run_it(run, NULL), 0);
	assert_true(run->res.n_ok == 136490 && run->res.n_wrong == 0 && run->res.n_other_error == 2);
	for (uint32_t size = 1024; size <= 1280; size += 256) {
		run->targets[0].page_size = size;
		assert_int_equal(run_it(run, NULL), 0);
		assert_true(run->res.n_ok == 0 && run->res.n_wrong == 136490 && run->res.units == 0);
	}

	write_program(path, "iperf3-tcp.json");
	run->conf.kind = LOAD_BULK;
	run->targets[0].backend = ip("127.0.0.1");
	assert_int_equal(run_it(run, NULL), 0);
	assert_true(run->res.n_ok == 1 && run->res.n_wrong == 0 && run->res.units * 1048576 == 201719808);
	assert_int_equal(run->res.n_retransmits, 0);
	run->targets[0].backend = ip("127.0.0.2");
	assert_int_equal(run_it(run, NULL), 0);
	assert_true(run->res.n_ok == 0 && run->res.n_wrong == 1 && run->res.units == 0);

	write_program(path, "iperf3-error.json");
	assert_int_equal(run_it(run, NULL), 0);
	assert_true(run->res.n_other_error == 1 && run->res.n_wrong == 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	run_free(run);
}

static void test_bad_conf(void **state)
{
	const struct server nobody = { .port = 1 };
	struct run *run = run_new(LOAD_ECHO, 500, &nobody, NULL);
	struct err e = {};

	(void)state;
	run->conf.n_connections = 0;
	assert_int_equal(run_it(run, &e), -EINVAL);
	run->conf.n_connections = 1;
	run->conf.n_targets = 0;
	assert_int_equal(run_it(run, &e), -EINVAL);
	run->conf.n_targets = 1;
	e = (struct err){};
	run->conf.cgroup_fd = STDERR_FILENO; /* no folder */
	assert_true(run_it(run, &e) < 0);
	assert_non_null(strstr(e.text, "cgroup"));
	run_free(run);
}

static void test_names(void **state)
{
	(void)state;
	for (int i = 0; i < LOAD_KIND_MAX; i++) {
		assert_int_equal(load_parse(load_name[i]), i);
		assert_true(load_text[i][0]);
		assert_true(str_eq(load_info[i].unit, "request") || str_eq(load_info[i].unit, "MiB"));
		assert_true(load_info[i].offered > 0 || load_info[i].closed);
	}
	assert_int_equal(load_parse("udp-flood"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_closed),
		cmocka_unit_test(test_same_seed_same_arrivals),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_echo_cannot_begin),
		cmocka_unit_test(test_wrong_backend),
		cmocka_unit_test(test_server_dies),
		cmocka_unit_test(test_silent_server),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_http),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_tool),
		cmocka_unit_test(test_tool_judged),
		cmocka_unit_test(test_bad_conf),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
