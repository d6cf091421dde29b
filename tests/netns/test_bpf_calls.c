/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Single socket calls under target bpf-sock, which the random run (diff/random_sockets_bpf) does not make: sockets that are connected, disconnected, connected
 * elsewhere; one socket and many Services; the option for the node's own sockets; memory that must not outlive its Service. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/util.h"
#include "bpf_node.h"
#include "net/cgroup.h"
#include "net/netns.h"
#include "target/bpf/sock.h"

#define N_SERVERS 4 /* 127.0.0.2 ..: of another node, as far as the model knows */
#define SERVER_PORT 5300
#define DEADLINE_MS 60000
#define SILENCE_MS 100 /* on one machine an answer takes microseconds */

struct place {
	struct bpf_node *node;
	int server[N_SERVERS];
};

static struct ip_addr server_addr(unsigned int i)
{
	return (struct ip_addr){ AF_INET, { 127, 0, 0, (uint8_t)(2 + i) } };
}

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_int_equal(ip_addr_parse(text, &a), 0);
	return a;
}

static void run_in(const struct bpf_node *n, const char *command)
{
	int old = -1;

	assert_int_equal(netns_enter(n->netns_fd, &old), 0);
	assert_int_equal(system(command), 0);
	netns_leave(old);
}

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->node = bpf_node_new();
	/* Nobody is there, but connect() finds a way; and a source, which is the node's address in the model. */
	run_in(p->node, "ip addr add 10.9.0.1/32 dev lo && ip route add 10.96.0.0/16 dev lo src 10.9.0.1");
	for (unsigned int i = 0; i < N_SERVERS; i++) {
		const struct ip_addr a = server_addr(i);
		struct sockaddr_storage ss;
		socklen_t size = ip_addr_to_sockaddr(&a, SERVER_PORT, &ss);

		p->server[i] = netns_socket(p->node->netns_fd, AF_INET, SOCK_DGRAM, 0);
		assert_int_equal(bind(p->server[i], (struct sockaddr *)&ss, size), 0);
	}
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	for (unsigned int i = 0; i < N_SERVERS; i++)
		(void)close(p->server[i]);
	bpf_node_free(p->node);
	free(p);
	return 0;
}

/* ---- models ---- */

static struct world_service udp(const char *name, const char *ip, const char *endpoints)
{
	return (struct world_service){ .name = name, .ip4 = ip, .ports = { { "u", IPPROTO_UDP, 53, endpoints } } };
}

#define ALL_SERVERS "127.0.0.2:5300@n2 127.0.0.3:5300@n2 127.0.0.4:5300@n2 127.0.0.5:5300@n2"

/* ---- sockets ---- */

static socklen_t sockaddr_of(int family, const char *text, uint16_t port, struct sockaddr_storage *ss)
{
	CLEANUP_FREE char *mapped = family == AF_INET6 ? str_printf("::ffff:%s", text) : NULL;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ss;
	const struct ip_addr a = addr(text);

	if (!mapped)
		return ip_addr_to_sockaddr(&a, port, ss);
	*sin6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port) };
	assert_int_equal(inet_pton(AF_INET6, mapped, &sin6->sin6_addr), 1);
	return sizeof(*sin6);
}

static int client(const struct place *p, int family)
{
	return bpf_node_socket(p->node, family, SOCK_DGRAM);
}

static int connect_to(int fd, int family, const char *ip, uint16_t port)
{
	struct sockaddr_storage ss;
	socklen_t size = sockaddr_of(family, ip, port, &ss);

	return connect(fd, (struct sockaddr *)&ss, size) < 0 ? -errno : 0;
}

static int send_to(int fd, int family, const char *ip, uint16_t port)
{
	struct sockaddr_storage ss;
	socklen_t size = sockaddr_of(family, ip, port, &ss);

	return sendto(fd, "q", 1, 0, (struct sockaddr *)&ss, size) < 0 ? -errno : 0;
}

static void disconnect(int fd)
{
	const struct sockaddr sa = { .sa_family = AF_UNSPEC };

	assert_int_equal(connect(fd, &sa, sizeof(sa)), 0);
}

/* The server that got the question, after it has answered; -1: none. */
static int answer(const struct place *p)
{
	struct pollfd fds[N_SERVERS];

	for (unsigned int i = 0; i < N_SERVERS; i++)
		fds[i] = (struct pollfd){ .fd = p->server[i], .events = POLLIN };
	if (poll(fds, N_SERVERS, SILENCE_MS) <= 0)
		return -1;
	for (int i = 0; i < N_SERVERS; i++) {
		struct sockaddr_storage ss;
		socklen_t size = sizeof(ss);
		char c;

		if (!(fds[i].revents & POLLIN))
			continue;
		assert_int_equal(recvfrom(p->server[i], &c, 1, 0, (struct sockaddr *)&ss, &size), 1);
		assert_int_equal(sendto(p->server[i], "a", 1, 0, (struct sockaddr *)&ss, size), 1);
		return i;
	}
	return -1;
}

static void assert_answered_by(int fd, const char *ip, uint16_t port)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	struct sockaddr_storage ss = {};
	socklen_t size = sizeof(ss);
	const struct ip_addr want = addr(ip);
	struct ip_addr got;
	uint16_t got_port;
	char c;

	assert_int_equal(poll(&pfd, 1, DEADLINE_MS), 1);
	assert_int_equal(recvfrom(fd, &c, 1, 0, (struct sockaddr *)&ss, &size), 1);
	assert_int_equal(ip_addr_from_sockaddr(&ss, &got, &got_port), 0);
	assert_true(ip_addr_eq(&got, &want));
	assert_int_equal(got_port, port);
}

static void assert_peer(int fd, const char *ip, uint16_t port)
{
	struct sockaddr_storage ss = {};
	socklen_t size = sizeof(ss);
	const struct ip_addr want = addr(ip);
	struct ip_addr got;
	uint16_t got_port;

	assert_int_equal(getpeername(fd, (struct sockaddr *)&ss, &size), 0);
	assert_int_equal(ip_addr_from_sockaddr(&ss, &got, &got_port), 0);
	assert_true(ip_addr_eq(&got, &want));
	assert_int_equal(got_port, port);
}

static int so_error(int fd)
{
	int err = 0;
	socklen_t size = sizeof(err);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size), 0);
	return err;
}

/* ---- connected, disconnected, connected elsewhere ---- */

/* sendto() names the Service that the socket is connected to: not a new choice. */
static void connected_sendto(struct place *p, int family)
{
	const struct world_service w = udp("web", "10.96.0.1", ALL_SERVERS);
	CLEANUP(snapshot_unrefp) struct snapshot *s = world_snapshot(NULL, &w, 1, NULL);
	CLEANUP_FD int fd = client(p, family);
	int first;

	bpf_node_apply(p->node, NULL, s);
	assert_int_equal(connect_to(fd, family, "10.96.0.1", 53), 0);
	assert_int_equal(send(fd, "q", 1, 0), 1);
	first = answer(p);
	assert_true(first >= 0);
	assert_answered_by(fd, "10.96.0.1", 53);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(send_to(fd, family, "10.96.0.1", 53), 0);
		assert_int_equal(answer(p), first);
		assert_answered_by(fd, "10.96.0.1", 53);
	}
}

static void test_connected_sendto(void **state)
{
	connected_sendto(*state, AF_INET);
	connected_sendto(*state, AF_INET6);
}

/* Connected when the address was nobody's: the packets are the tier's below, also those of an IPv6 socket, whose every datagram passes the hook. */
static void connected_before(struct place *p, int family)
{
	const struct world_service w = udp("web", "10.96.0.1", ALL_SERVERS), other = udp("other", "10.96.0.2", "");
	CLEANUP(snapshot_unrefp) struct snapshot *before = world_snapshot(NULL, &other, 1, NULL);
	CLEANUP(snapshot_unrefp) struct snapshot *after = world_snapshot(before, &w, 1, NULL);
	CLEANUP_FD int fd = client(p, family);
	uint64_t chosen;

	bpf_node_apply(p->node, NULL, before);
	assert_int_equal(connect_to(fd, family, "10.96.0.1", 53), 0);
	bpf_node_apply(p->node, before, after);
	chosen = bpf_node_metric(p->node, REASON_CHOSEN);
	(void)send(fd, "q", 1, 0); /* to nobody */
	assert_int_equal(answer(p), -1);
	(void)send_to(fd, family, "10.96.0.1", 53); /* said again, it is still connect()'s matter */
	assert_int_equal(answer(p), -1);
	assert_int_equal(bpf_node_metric(p->node, REASON_CHOSEN), chosen);
}

static void test_connected_before(void **state)
{
	connected_before(*state, AF_INET);
	connected_before(*state, AF_INET6);
}

/* Who has left the Service is neither told of it nor ended with its backend; who has not, is. */
static void test_disconnected(void **state)
{
	struct place *p = *state;
	const struct world_service w = udp("web", "10.96.0.1", "127.0.0.2:5300@n2"), none = udp("web", "10.96.0.1", "");
	CLEANUP(snapshot_unrefp) struct snapshot *s = world_snapshot(NULL, &w, 1, NULL);
	CLEANUP(snapshot_unrefp) struct snapshot *gone = world_snapshot(s, &none, 1, NULL);
	CLEANUP_FD int left = client(p, AF_INET), stays = client(p, AF_INET), stays6 = client(p, AF_INET6);

	bpf_node_apply(p->node, NULL, s);
	assert_int_equal(connect_to(left, AF_INET, "10.96.0.1", 53), 0);
	assert_int_equal(connect_to(stays, AF_INET, "10.96.0.1", 53), 0);
	assert_int_equal(connect_to(stays6, AF_INET6, "10.96.0.1", 53), 0);
	disconnect(left);
	assert_int_equal(send_to(left, AF_INET, "127.0.0.2", SERVER_PORT), 0);
	assert_int_equal(answer(p), 0);
	assert_answered_by(left, "127.0.0.2", SERVER_PORT);
	bpf_node_apply(p->node, s, gone);
	assert_int_equal(p->node->stats.n_stale_flows, 2);
	assert_int_equal(so_error(left), 0);
	assert_int_equal(so_error(stays), ECONNABORTED);
	assert_int_equal(so_error(stays6), ECONNABORTED);
	assert_int_equal(send_to(left, AF_INET, "127.0.0.2", SERVER_PORT), 0);
	assert_int_equal(answer(p), 0);
}

static void test_connected_elsewhere(void **state)
{
	struct place *p = *state;
	const struct world_service w[] = { udp("a", "10.96.0.1", "127.0.0.2:5300@n2"),
					   udp("b", "10.96.0.2", "127.0.0.3:5300@n2"), udp("none", "10.96.0.3", "") };
	CLEANUP(snapshot_unrefp) struct snapshot *s = world_snapshot(NULL, w, ARRAY_LEN(w), NULL);
	CLEANUP_FD int fd = client(p, AF_INET);

	bpf_node_apply(p->node, NULL, s);
	assert_int_equal(connect_to(fd, AF_INET, "10.96.0.1", 53), 0);
	assert_peer(fd, "10.96.0.1", 53);
	assert_int_equal(connect_to(fd, AF_INET, "10.96.0.2", 53), 0);
	assert_peer(fd, "10.96.0.2", 53);
	assert_int_equal(connect_to(fd, AF_INET, "127.0.0.2", SERVER_PORT), 0);
	assert_peer(fd, "127.0.0.2", SERVER_PORT); /* asked for by its own address, it is shown so */
	assert_int_equal(connect_to(fd, AF_INET, "10.96.0.2", 53), 0);
	assert_int_equal(connect_to(fd, AF_INET, "10.96.0.3", 53), -ECONNREFUSED);
	assert_int_equal(connect_to(fd, AF_INET, "10.96.0.1", 54), -ECONNREFUSED);
	assert_peer(fd, "10.96.0.2", 53); /* a call that was refused changes nothing */
}

/* ---- one socket, many Services ---- */

static void test_clash_stays_left(void **state)
{
	struct place *p = *state;
	const struct world_service w[] = { udp("a", "10.96.0.1", "127.0.0.2:5300@n2"),
					   udp("b", "10.96.0.2", "127.0.0.2:5300@n2") };
	const struct world_service moved = udp("b", "10.96.0.2", "127.0.0.3:5300@n2");
	CLEANUP(snapshot_unrefp) struct snapshot *s = world_snapshot(NULL, w, ARRAY_LEN(w), NULL);
	CLEANUP(snapshot_unrefp) struct snapshot *next = world_snapshot(s, &moved, 1, NULL);
	CLEANUP_FD int fd = client(p, AF_INET), other = client(p, AF_INET);

	bpf_node_apply(p->node, NULL, s);
	assert_int_equal(send_to(fd, AF_INET, "10.96.0.1", 53), 0);
	assert_int_equal(answer(p), 0);
	assert_answered_by(fd, "10.96.0.1", 53);
	for (int i = 1; i <= 3; i++) {
		(void)send_to(fd, AF_INET, "10.96.0.2", 53); /* to nobody */
		assert_int_equal(answer(p), -1);
		assert_int_equal(bpf_node_metric(p->node, REASON_LEFT_CLASH), i);
		if (i == 1)
			bpf_node_apply(p->node, s, next); /* no clash any more, but the tier below has it */
	}
	assert_int_equal(send_to(other, AF_INET, "10.96.0.2", 53), 0);
	assert_int_equal(answer(p), 1);
	assert_answered_by(other, "10.96.0.2", 53);
}

static void test_full(void **state)
{
	struct place *p = *state;
	char names[BPF_PEERS_MAX + 1][8], ips[BPF_PEERS_MAX + 1][16], eps[BPF_PEERS_MAX + 1][32];
	struct world_service w[BPF_PEERS_MAX + 1];
	CLEANUP(snapshot_unrefp) struct snapshot *s = NULL;
	CLEANUP_FD int fd = client(p, AF_INET);

	for (int i = 0; i <= BPF_PEERS_MAX; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "s%d", i);
		(void)snprintf(ips[i], sizeof(ips[i]), "10.96.0.%d", 10 + i);
		(void)snprintf(eps[i], sizeof(eps[i]), "127.0.1.%d:5300@n2", 1 + i); /* nobody answers there */
		w[i] = udp(names[i], ips[i], eps[i]);
	}
	s = world_snapshot(NULL, w, ARRAY_LEN(w), NULL);
	bpf_node_apply(p->node, NULL, s);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i <= BPF_PEERS_MAX; i++) {
			(void)so_error(fd); /* of the one before */
			(void)send_to(fd, AF_INET, ips[i], 53);
		}
	assert_int_equal(bpf_node_metric(p->node, REASON_CHOSEN), BPF_PEERS_MAX);
	assert_int_equal(bpf_node_metric(p->node, REASON_ESTABLISHED), BPF_PEERS_MAX);
	assert_int_equal(bpf_node_metric(p->node, REASON_LEFT_FULL), 2);
}

/* ---- whose sockets ---- */

/* Bound to another address than its client's: what the backend would see is the tier's below. */
static void test_bound_elsewhere(void **state)
{
	struct place *p = *state;
	const struct world_service w = udp("web", "10.96.0.1", ALL_SERVERS);
	CLEANUP(snapshot_unrefp) struct snapshot *s = world_snapshot(NULL, &w, 1, NULL);
	static const char *const from[] = { "127.0.0.9", "10.9.0.1" };

	bpf_node_apply(p->node, NULL, s);
	for (size_t i = 0; i < ARRAY_LEN(from); i++) {
		CLEANUP_FD int fd = client(p, AF_INET);
		struct sockaddr_storage ss;
		socklen_t size = sockaddr_of(AF_INET, from[i], 0, &ss);

		assert_int_equal(bind(fd, (struct sockaddr *)&ss, size), 0);
		(void)connect_to(fd, AF_INET, "10.96.0.1", 53);
		assert_int_equal(bpf_node_metric(p->node, REASON_LEFT_BOUND), 1);
		assert_int_equal(bpf_node_metric(p->node, REASON_CHOSEN), i);
	}
}

static void test_host_only(void **state)
{
	struct place *p = *state;
	const struct world_service w = udp("web", "10.96.0.1", ALL_SERVERS);
	CLEANUP(snapshot_unrefp) struct snapshot *s = world_snapshot(NULL, &w, 1, NULL);
	CLEANUP_FD int other_netns = -1, own = client(p, AF_INET), other = -1;

	assert_int_equal(netns_create_anonymous(&other_netns, NULL), 0);
	other = cgroup_socket(p->node->cgroup_fd, other_netns, AF_INET, SOCK_DGRAM, 0);
	assert_true(other >= 0);
	p->node->host_only = true;
	bpf_node_apply(p->node, NULL, s);
	(void)connect_to(other, AF_INET, "10.96.0.1", 53);
	assert_int_equal(bpf_node_metric(p->node, REASON_CHOSEN), 0);
	assert_int_equal(connect_to(own, AF_INET, "10.96.0.1", 53), 0);
	assert_int_equal(bpf_node_metric(p->node, REASON_CHOSEN), 1);
	assert_int_equal(bpf_node_metric(p->node, REASON_LEFT_CLIENT), 0);
	p->node->host_only = false;
	bpf_node_apply(p->node, NULL, s);
	(void)connect_to(other, AF_INET, "10.96.0.1", 53);
	assert_int_equal(bpf_node_metric(p->node, REASON_CHOSEN), 1);
	assert_int_equal(bpf_node_metric(p->node, REASON_LEFT_CLIENT),
			 1); /* seen, but of nobody: its datagrams are left */
}

/* A backend that is not there, as when its Service changes between two looks: the tier below has the connection, and the next one is as ever. */
static void test_changing(void **state)
{
	struct place *p = *state;
	const struct ip_addr vip = addr("10.96.0.1");
	const struct bpf_backend_key key = { .vip = bpf_vip_of(&vip, IPPROTO_UDP, 53), .index = 0 };

	for (uint32_t i = 0; i < 2; i++) {
		struct world_service w = udp("web", "10.96.0.1", "127.0.0.2:5300@n2");
		CLEANUP(snapshot_unrefp) struct snapshot *s = NULL;
		CLEANUP_FD int map = -1, left = client(p, AF_INET), next = client(p, AF_INET);
		struct bpf_backend backend;

		w.affinity_s = i * 600;
		s = world_snapshot(NULL, &w, 1, NULL);
		bpf_node_apply(p->node, NULL, s);
		map = bpf_pins_open(p->node->cgroup_fd, "backends");
		assert_int_equal(bpf_map_lookup_elem(map, &key, &backend), 0);
		assert_int_equal(bpf_map_delete_elem(map, &key), 0);
		assert_int_equal(connect_to(left, AF_INET, "10.96.0.1", 53), 0);
		assert_peer(left, "10.96.0.1", 53);
		assert_int_equal(bpf_node_metric(p->node, REASON_LEFT_CHANGING), i + 1);
		assert_int_equal(bpf_node_metric(p->node, REASON_CHOSEN), i);
		assert_int_equal(send(left, "q", 1, 0), 1);
		assert_int_equal(answer(p), -1); /* it went to the Service's address */
		assert_int_equal(bpf_map_update_elem(map, &key, &backend, BPF_NOEXIST), 0);
		assert_int_equal(connect_to(next, AF_INET, "10.96.0.1", 53), 0);
		assert_int_equal(send(next, "q", 1, 0), 1);
		assert_int_equal(answer(p), 0);
		assert_int_equal(bpf_node_metric(p->node, REASON_CHOSEN), i + 1);
	}
}

/* ---- memory of clients ---- */

static bool is_remembered(const struct bpf_node *n, const char *ip)
{
	CLEANUP_FD int fd = bpf_pins_open(n->cgroup_fd, "affinity");
	const struct ip_addr a = addr(ip), node = addr("10.9.0.1");
	struct bpf_client_key key = { .vip = bpf_vip_of(&a, IPPROTO_UDP, 53), .client = bpf_addr_of(&node) };
	struct bpf_affinity value;

	return bpf_map_lookup_elem(fd, &key, &value) == 0;
}

static enum reason reason_of_connect(const struct place *p, const char *ip)
{
	CLEANUP_FD int fd = client(p, AF_INET);
	uint64_t chosen = bpf_node_metric(p->node, REASON_CHOSEN);
	uint64_t remembered = bpf_node_metric(p->node, REASON_AFFINITY);

	assert_int_equal(connect_to(fd, AF_INET, ip, 53), 0);
	chosen = bpf_node_metric(p->node, REASON_CHOSEN) - chosen;
	remembered = bpf_node_metric(p->node, REASON_AFFINITY) - remembered;
	assert_int_equal(chosen + remembered, 1);
	return chosen ? REASON_CHOSEN : REASON_AFFINITY;
}

static void wait_ms(uint32_t ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	(void)nanosleep(&ts, NULL); /* the time that affinity is about */
}

/* Each connection begins the time anew; when it is over the client chooses again. On a machine that stands still for longer there is nothing to see. */
static void test_affinity_time(void **state)
{
	struct place *p = *state;
	struct world_service w = udp("web", "10.96.0.1", ALL_SERVERS);
	CLEANUP(snapshot_unrefp) struct snapshot *s = NULL;
	uint64_t begin_ns;

	w.affinity_s = 1;
	s = world_snapshot(NULL, &w, 1, NULL);
	bpf_node_apply(p->node, NULL, s);
	begin_ns = clock_now_ns(&clock_monotonic);
	assert_int_equal(reason_of_connect(p, "10.96.0.1"), REASON_CHOSEN);
	for (int i = 0; i < 2; i++) {
		uint64_t before_ns = begin_ns;
		enum reason r;

		wait_ms(600);
		begin_ns = clock_now_ns(&clock_monotonic);
		r = reason_of_connect(p, "10.96.0.1");
		if (clock_now_ns(&clock_monotonic) - before_ns < 900 * NSEC_PER_MSEC)
			assert_int_equal(r, REASON_AFFINITY);
	}
	wait_ms(1100);
	assert_int_equal(reason_of_connect(p, "10.96.0.1"), REASON_CHOSEN);
}

/* Who may not be chosen any more is not kept, though it serves. */
static void test_affinity_eligible(void **state)
{
	struct place *p = *state;
	struct world_service w = udp("web", "10.96.0.1", "127.0.0.2:5300@n2"),
			     next = udp("web", "10.96.0.1", "127.0.0.2:5300@n2~ 127.0.0.3:5300@n2");
	CLEANUP(snapshot_unrefp) struct snapshot *s = NULL, *s2 = NULL;
	CLEANUP_FD int fd = client(p, AF_INET);

	w.affinity_s = next.affinity_s = 600;
	s = world_snapshot(NULL, &w, 1, NULL);
	s2 = world_snapshot(s, &next, 1, NULL);
	bpf_node_apply(p->node, NULL, s);
	assert_int_equal(reason_of_connect(p, "10.96.0.1"), REASON_CHOSEN);
	assert_int_equal(reason_of_connect(p, "10.96.0.1"), REASON_AFFINITY);
	bpf_node_apply(p->node, s, s2);
	assert_int_equal(reason_of_connect(p, "10.96.0.1"), REASON_CHOSEN);
	assert_int_equal(reason_of_connect(p, "10.96.0.1"), REASON_AFFINITY);
	assert_int_equal(send_to(fd, AF_INET, "10.96.0.1", 53), 0);
	assert_int_equal(answer(p), 1);
}

/* It goes with the Service, with its affinity, with its name; also when that happened while nobody was there to see. */
static void test_memory_ends(void **state)
{
	struct place *p = *state;
	static const char *const del[] = { "a", NULL };
	struct world_service a = udp("a", "10.96.0.1", ALL_SERVERS), b = udp("b", "10.96.0.2", ALL_SERVERS),
			     plain = udp("a", "10.96.0.1", ALL_SERVERS), renamed = udp("c", "10.96.0.1", ALL_SERVERS);
	const struct {
		const struct world_service *put;
		bool gone, full;
	} cases[] = { { NULL, true, false },
		      { &plain, false, false },
		      { &renamed, true, false },
		      { NULL, true, true },
		      { &plain, false, true } };
	CLEANUP(snapshot_unrefp) struct snapshot *s = NULL;

	a.affinity_s = b.affinity_s = renamed.affinity_s = 600;
	s = world_snapshot(NULL, (const struct world_service[]){ a, b }, 2, NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(snapshot_unrefp)
		struct snapshot *next =
			world_snapshot(s, cases[i].put, cases[i].put != NULL, cases[i].gone ? del : NULL);

		bpf_node_apply(p->node, NULL, s);
		for (int k = 0; k < 3; k++) {
			CLEANUP_FD int fd = client(p, AF_INET), fd2 = client(p, AF_INET);

			assert_int_equal(connect_to(fd, AF_INET, "10.96.0.1", 53), 0);
			assert_int_equal(connect_to(fd2, AF_INET, "10.96.0.2", 53), 0);
		}
		assert_true(is_remembered(p->node, "10.96.0.1") && is_remembered(p->node, "10.96.0.2"));
		bpf_node_apply(p->node, cases[i].full ? NULL : s, next);
		assert_false(is_remembered(p->node, "10.96.0.1"));
		assert_true(is_remembered(p->node, "10.96.0.2")); /* of another Service */
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_connected_sendto),	TEST(test_connected_before),  TEST(test_disconnected),
		TEST(test_connected_elsewhere), TEST(test_clash_stays_left),  TEST(test_full),
		TEST(test_host_only),		TEST(test_bound_elsewhere),   TEST(test_changing),
		TEST(test_affinity_time),	TEST(test_affinity_eligible), TEST(test_memory_ends),
	};

	return cmocka_run_group_tests(tests, bpf_node_need, NULL);
}
