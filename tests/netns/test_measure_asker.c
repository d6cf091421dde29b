/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The observer: how often it asks, whether anything is waited for or not, and what it sees. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "labtest.h"
#include "measure/asker.h"
#include "measure/synthetic.h"
#include "net/netns.h"

#define PERIOD_US 5000
#define LOOK_MS 400

struct world {
	int netns_fd, server_fd;
	volatile int stop;
	struct asker *asker;
};

/* All ClusterIPs of the synthetic cluster are here. */
static int setup(void **state)
{
	static struct world w;
	const struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(SYNTHETIC_SERVICE_PORT) };
	struct err e = {};

	w = (struct world){};
	if (netns_create_anonymous(&w.netns_fd, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	assert_int_equal(lt_run(w.netns_fd, "ip link set lo up && ip route add local 10.96.0.0/12 dev lo"), 0);
	if (asker_start(w.netns_fd, -1, 0, &w.stop, &w.asker, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	/* After the fork: else its process would hold it, too. */
	w.server_fd = netns_socket(w.netns_fd, AF_INET, SOCK_DGRAM, 0);
	assert_true(w.server_fd >= 0);
	assert_int_equal(bind(w.server_fd, (const struct sockaddr *)&any, sizeof(any)), 0);
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	asker_stop(w->asker);
	if (w->server_fd >= 0)
		(void)close(w->server_fd);
	(void)close(w->netns_fd);
	return 0;
}

/* Takes questions for so long, answers none, and says how many there were. */
static uint32_t count(const struct world *w, int ms)
{
	uint64_t end = clock_now_ns(&clock_monotonic) + (uint64_t)ms * NSEC_PER_MSEC, now;
	uint32_t n = 0;

	while ((now = clock_now_ns(&clock_monotonic)) < end) {
		struct pollfd p = { .fd = w->server_fd, .events = POLLIN };
		uint8_t req[RESPONDER_REQUEST_SIZE];

		if (poll(&p, 1, (int)((end - now) / NSEC_PER_MSEC) + 1) > 0)
			n += recv(w->server_fd, req, sizeof(req), 0) == (ssize_t)sizeof(req);
	}
	return n;
}

static void begin(struct world *w)
{
	struct asker_steady steady = { .port = SYNTHETIC_SERVICE_PORT, .n_each = 2, .period_us = PERIOD_US };

	synthetic_service_addr(7, &steady.addr);
	assert_int_equal(asker_steady_begin(w->asker, &steady, NULL), 0);
}

static uint32_t most_since(uint64_t from_ns)
{
	return 2 * (uint32_t)((clock_now_ns(&clock_monotonic) - from_ns) / (PERIOD_US * NSEC_PER_USEC) + 1);
}

/* The same number of questions whether it looks for something or not; a busy machine may make them fewer, nothing more. */
static void test_constant_rate(void **state)
{
	const uint32_t usual = 2 * LOOK_MS * 1000 / PERIOD_US;
	uint64_t from = clock_now_ns(&clock_monotonic), ns;
	struct world *w = *state;
	uint32_t n;

	begin(w);
	n = count(w, LOOK_MS);
	assert_in_range(n, usual / 8, most_since(from));
	asker_steady_expect(w->asker, 1);
	n += count(w, LOOK_MS);
	assert_in_range(n, usual / 4, most_since(from));
	assert_int_equal(asker_steady_seen(w->asker, 0, &ns, NULL), 0);
	assert_int_equal(asker_steady_end(w->asker, NULL), 0);
	(void)count(w, 1); /* what was under way */
	while (recv(w->server_fd, &ns, sizeof(ns), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(count(w, LOOK_MS), 0); /* it has stopped */
}

static pid_t serve(struct world *w, uint32_t backend)
{
	static const struct responder_port ports[] = { { IPPROTO_UDP, SYNTHETIC_SERVICE_PORT } };
	int ready[2], old;
	pid_t pid;
	char c;

	(void)close(w->server_fd);
	w->server_fd = -1;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(ready[0]);
		if (netns_enter(w->netns_fd, &old) == 0)
			(void)responder_run(synthetic_backend_name(backend), ports, ARRAY_LEN(ports), ready[1], NULL);
		_exit(1);
	}
	(void)close(ready[1]);
	assert_true(pid > 0);
	assert_int_equal(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
	return pid;
}

/* Only an answer by the backend that is looked for, to a question of after, counts. */
static void test_seen(void **state)
{
	struct world *w = *state;
	pid_t pid = serve(w, 2);
	uint64_t from, ns = 0;

	begin(w);
	asker_steady_expect(w->asker, 1);
	assert_int_equal(asker_steady_seen(w->asker, LOOK_MS * NSEC_PER_MSEC, &ns, NULL), 0);
	for (int i = 0; i < 2; i++) {
		from = clock_now_ns(&clock_monotonic);
		asker_steady_expect(w->asker, 2);
		assert_int_equal(asker_steady_seen(w->asker, 60 * NSEC_PER_SEC, &ns, NULL), 1);
		assert_true(ns > from && ns <= clock_now_ns(&clock_monotonic));
	}
	asker_steady_expect(w->asker, 2); /* nobody waits for this one */
	assert_int_equal(asker_steady_end(w->asker, NULL), 0);
	begin(w);
	assert_int_equal(asker_steady_end(w->asker, NULL), 0);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

/* The longer it takes, the seldomer it asks: the number of questions grows with the logarithm of the time. */
static void test_backoff(void **state)
{
	const struct asker_watch watch = {
		.n = 1, .backend = -1, .n_each = 1, .period_us = 2000, .backoff = 20, .timeout_ns = NSEC_PER_SEC
	};
	struct world *w = *state;
	uint64_t ns;
	uint32_t n;

	assert_int_equal(asker_watch_begin(w->asker, &watch, NULL), 0);
	n = count(w, 1200);
	assert_in_range(n, 10,
			20 + 65 + 10); /* 20 in the first 40 ms, then 20 for each e-fold of the time; without it 500 */
	assert_int_equal(asker_watch_end(w->asker, &ns, NULL), -ETIMEDOUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_constant_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_backoff, setup, teardown),
	};

	lt_need_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
