/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The load of the experiment `fault`, against a server that is stopped: late is not broken, stuck is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "lab/responder.h"
#include "measure/pulse.h"
#include "measure/synthetic.h"
#include "net/netns.h"

#define LASTING 8
#define BEFORE_MS 200 /* of load */
#define STALL_MS (PULSE_TIMEOUT_MS + 500)
#define PORT 80

struct world {
	int netns_fd;
	pid_t server;
	struct pulse *load;
};

static void loopback_up(int netns_fd)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = netns_socket(netns_fd, AF_INET, SOCK_DGRAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	(void)close(fd);
}

static pid_t start_server(int netns_fd)
{
	static const struct responder_port ports[] = { { IPPROTO_TCP, PORT }, { IPPROTO_UDP, PORT } };
	int ready[2], old;
	pid_t pid;
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(ready[0]);
		if (netns_enter(netns_fd, &old) == 0)
			(void)responder_run(synthetic_backend_name(0), ports, ARRAY_LEN(ports), ready[1], NULL);
		_exit(1);
	}
	(void)close(ready[1]);
	assert_true(pid > 0);
	assert_int_equal(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
	return pid;
}

static int setup(void **state)
{
	static struct world w;
	struct pulse_target target = { .port = PORT, .backends = 1 };
	struct err e = {};

	if (geteuid() != 0) {
		printf("SKIP: network namespaces need root\n");
		exit(77);
	}
	assert_int_equal(ip_addr_parse("127.0.0.1", &target.addr), 0);
	w = (struct world){};
	if (netns_create_anonymous(&w.netns_fd, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	loopback_up(w.netns_fd);
	w.server = start_server(w.netns_fd);
	if (pulse_start(w.netns_fd, -1, 0, &target, 1, &w.load, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	(void)poll(NULL, 0, BEFORE_MS);
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	pulse_free(w->load);
	(void)kill(w->server, SIGKILL);
	(void)waitpid(w->server, NULL, 0);
	(void)close(w->netns_fd);
	return 0;
}

static void end(struct world *w, uint32_t *ret_n_broken, size_t ret_lasting[PULSE_WRONG + 1])
{
	const struct pulse_event *events;
	struct err e = {};
	size_t n;

	if (pulse_end(w->load, &events, &n, ret_n_broken, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	for (size_t i = 0; i < n; i++)
		if (events[i].kind == PULSE_LASTING)
			ret_lasting[events[i].outcome]++;
}

static void test_late_is_lost_not_broken(void **state)
{
	struct world *w = *state;
	size_t lasting[PULSE_WRONG + 1] = {};
	uint32_t n_broken = 99;

	assert_int_equal(kill(w->server, SIGSTOP), 0);
	(void)poll(NULL, 0, STALL_MS); /* the stall itself */
	assert_int_equal(kill(w->server, SIGCONT), 0);
	end(w, &n_broken, lasting);
	assert_int_equal(n_broken, 0);
	assert_int_equal(lasting[PULSE_LOST], LASTING); /* one question on each */
	assert_int_equal(lasting[PULSE_WRONG], 0);
	assert_true(lasting[PULSE_OK] > 0);
}

static void test_stuck_is_broken(void **state)
{
	struct world *w = *state;
	size_t lasting[PULSE_WRONG + 1] = {};
	uint32_t n_broken = 99;

	assert_int_equal(kill(w->server, SIGSTOP), 0);
	(void)poll(NULL, 0, STALL_MS);
	end(w, &n_broken, lasting);
	assert_int_equal(n_broken, LASTING);
	assert_int_equal(lasting[PULSE_LOST], LASTING);
}

static size_t n_lasting(const struct pulse_event *events, size_t n, enum pulse_outcome outcome, uint64_t from_ns)
{
	size_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += events[i].kind == PULSE_LASTING && events[i].outcome == outcome && events[i].done_ns > from_ns;
	return sum;
}

/* The server dies: its connections are broken once, however often they cannot be made anew. It comes back: they are made anew, and answer. */
static void test_cut_is_broken_once(void **state)
{
	struct world *w = *state;
	const struct pulse_event *events;
	uint32_t n_broken = 99;
	struct err e = {};
	uint64_t back_ns;
	size_t n;

	assert_int_equal(kill(w->server, SIGKILL), 0);
	assert_int_equal(waitpid(w->server, NULL, 0), w->server);
	(void)poll(NULL, 0, BEFORE_MS); /* of being away: many turns of each connection */
	w->server = start_server(w->netns_fd);
	back_ns = clock_now_ns(&clock_monotonic);
	(void)poll(NULL, 0, BEFORE_MS); /* of load */
	if (pulse_end(w->load, &events, &n, &n_broken, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	assert_int_equal(n_broken, LASTING);
	assert_true(n_lasting(events, n, PULSE_OK, back_ns) >= LASTING);
	assert_int_equal(n_lasting(events, n, PULSE_LOST, back_ns + BEFORE_MS / 2 * NSEC_PER_MSEC), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_late_is_lost_not_broken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stuck_is_broken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_is_broken_once, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
