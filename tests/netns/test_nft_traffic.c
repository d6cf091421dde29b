/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Real connections through the rules of target nft, IPv4 and IPv6: a node with two pods (10.244.1.2, .3) and a client
 * outside (10.9.0.9), each a namespace. Which server answers and whom it saw says what the rules did.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "lab/responder.h"
#include "net/netns.h"
#include "net/rtnl.h"
#include "net/sysctl.h"
#include "nft_world.h"

extern const struct target_ops target_nft;

#define PATIENCE_MS 60000 /* for an answer that must come */
#define SILENCE_MS 1000

enum { P1, P2, CLIENT, N_PEERS };

static const struct {
	const char *link, *addr[IP_FAMILY_MAX];
	bool is_pod;
} peers[N_PEERS] = {
	[P1] = { "p1", { "10.244.1.2/32", "fd44:1::2/128" }, true },
	[P2] = { "p2", { "10.244.1.3/32", "fd44:1::3/128" }, true },
	[CLIENT] = { "c", { "10.9.0.9/32", "fd09::9/128" }, false },
};
static const char *const node_addr[IP_FAMILY_MAX] = { "10.9.0.1/32", "fd09::1/128" };
static const char *const vip[][IP_FAMILY_MAX] = { { "10.96.0.10", "fd96::10" },
						  { "10.96.0.11", "fd96::11" },
						  { "10.96.0.12", "fd96::12" } };

struct world {
	int node, peer[N_PEERS];
	pid_t server[N_PEERS];
	void *handle;
	struct target_stats stats;
	struct err e;
};

#define OK(call)                                                               \
	do {                                                                   \
		struct err *err_ = &w->e;                                      \
		if ((call) < 0)                                                \
			fail_msg("%s: %s: %s", #call, err_->path, err_->text); \
	} while (0)

static struct ip_prefix prefix(const char *s)
{
	struct ip_prefix p;

	assert_int_equal(ip_prefix_parse(s, &p), 0);
	return p;
}

static struct ip_addr addr(const char *s)
{
	struct ip_addr a;

	assert_int_equal(ip_addr_parse(s, &a), 0);
	return a;
}

/* ---- the node ---- */

static void wire(struct world *w, size_t i)
{
	struct nl *node = NULL, *peer = NULL;

	OK(netns_create_anonymous(&w->peer[i], &w->e));
	OK(sysctl_write(w->peer[i], "net/ipv6/conf/default/accept_dad", "0", &w->e));
	OK(nl_open(w->node, NETLINK_ROUTE, &node, &w->e));
	OK(nl_open(w->peer[i], NETLINK_ROUTE, &peer, &w->e));
	OK(rtnl_veth_add(node, peers[i].link, NULL, "eth0", NULL, w->peer[i], 0, &w->e));
	OK(rtnl_link_up(node, peers[i].link, &w->e));
	OK(rtnl_link_up(peer, "eth0", &w->e));
	for (int fam = 0; fam < IP_FAMILY_MAX; fam++) {
		struct ip_prefix self = prefix(peers[i].addr[fam]), gate = prefix(node_addr[fam]);
		struct ip_prefix all = { .addr = { .fam = gate.addr.fam } };
		struct rtnl_link at_node, at_peer;

		OK(rtnl_link_get(node, peers[i].link, &at_node, &w->e));
		OK(rtnl_link_get(peer, "eth0", &at_peer, &w->e));
		OK(rtnl_addr_add(node, peers[i].link, &gate, &w->e));
		OK(rtnl_addr_add(peer, "eth0", &self, &w->e));
		OK(rtnl_route_replace(node, &(struct rtnl_route){ .dst = self, .ifindex = at_node.ifindex }, &w->e));
		OK(rtnl_route_replace(peer, &(struct rtnl_route){ .dst = gate, .ifindex = at_peer.ifindex }, &w->e));
		OK(rtnl_route_replace(
			peer, &(struct rtnl_route){ .dst = all, .via = gate.addr, .ifindex = at_peer.ifindex }, &w->e));
		if (i == CLIENT) /* the node's default route */
			OK(rtnl_route_replace(
				node, &(struct rtnl_route){ .dst = all, .via = self.addr, .ifindex = at_node.ifindex },
				&w->e));
	}
	nl_close(node);
	nl_close(peer);
}

static void serve(struct world *w, size_t i)
{
	static const struct responder_port ports[] = { { IPPROTO_TCP, 8080 }, { IPPROTO_UDP, 8080 } };
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	w->server[i] = fork();
	assert_true(w->server[i] >= 0);
	if (w->server[i] == 0) {
		int old;

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ready[0]);
		if (netns_enter(w->peer[i], &old) == 0)
			(void)responder_run(peers[i].link, ports, ARRAY_LEN(ports), ready[1], NULL);
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
}

static void reopen(struct world *w)
{
	struct target_env env = { .node = WORLD_NODE, .netns_fd = w->node, .cgroup_fd = -1, .clock = &clock_monotonic };

	target_nft.close(w->handle);
	w->handle = NULL;
	OK(target_nft.open(&env, &w->handle, &w->e));
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	*state = w;
	OK(netns_create_anonymous(&w->node, &w->e));
	OK(sysctl_write(w->node, "net/ipv4/ip_forward", "1", &w->e));
	OK(sysctl_write(w->node, "net/ipv6/conf/all/forwarding", "1", &w->e));
	OK(sysctl_write(w->node, "net/ipv6/conf/default/accept_dad", "0", &w->e));
	/* Hairpins would make the kernel send redirects, which count against the rate of ICMP errors to a host. */
	OK(sysctl_write(w->node, "net/ipv4/conf/all/send_redirects", "0", &w->e));
	OK(sysctl_write(w->node, "net/ipv4/conf/default/send_redirects", "0", &w->e));
	OK(sysctl_write(w->node, "net/ipv4/icmp_ratelimit", "0", &w->e));
	OK(sysctl_write(w->node, "net/ipv6/icmp/ratelimit", "0", &w->e));
	for (size_t i = 0; i < N_PEERS; i++)
		wire(w, i);
	serve(w, P1);
	serve(w, P2);
	reopen(w);
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < N_PEERS; i++) {
		if (w->server[i] > 0) {
			(void)kill(w->server[i], SIGKILL);
			(void)waitpid(w->server[i], NULL, 0);
		}
		close(w->peer[i]);
	}
	target_nft.close(w->handle);
	close(w->node);
	free(w);
	return 0;
}

/* ---- Services ---- */

#define BOTH "10.244.1.2:8080 10.244.1.3:8080 [fd44:1::2]:8080 [fd44:1::3]:8080"
#define ONLY_P1 "10.244.1.2:8080 [fd44:1::2]:8080"
#define ONLY_P2 "10.244.1.3:8080 [fd44:1::3]:8080"

/* web: TCP 80 and UDP 53; sticky: TCP 80 with affinity; empty: no endpoint. */
static struct snapshot *services(const struct snapshot *base, const char *web, const char *sticky)
{
	const struct world_service s[] = {
		{ .name = "web",
		  .ip4 = vip[0][0],
		  .ip6 = vip[0][1],
		  .ports = { { "http", IPPROTO_TCP, 80, web }, { "dns", IPPROTO_UDP, 53, web } } },
		{ .name = "sticky",
		  .ip4 = vip[1][0],
		  .ip6 = vip[1][1],
		  .affinity_s = 600,
		  .ports = { { "", IPPROTO_TCP, 80, sticky } } },
		{ .name = "empty",
		  .ip4 = vip[2][0],
		  .ip6 = vip[2][1],
		  .ports = { { "t", IPPROTO_TCP, 80, "" }, { "u", IPPROTO_UDP, 53, "" } } },
	};

	return world_snapshot(base, s, ARRAY_LEN(s), NULL);
}

static void apply(struct world *w, const struct snapshot *from, const struct snapshot *to)
{
	struct target_program *p = world_compile(from, to), *full = world_compile(NULL, to);

	OK(target_nft.apply(w->handle, p, &w->stats, &w->e));
	OK(target_nft.verify(w->handle, full, &w->e));
	target_nft.program_free(p);
	target_nft.program_free(full);
}

static int ask_from(int netns, const char *to, uint16_t port, uint8_t proto, uint16_t from_port,
		    unsigned int timeout_ms, struct responder_reply *ret)
{
	struct ip_addr any = { .fam = addr(to).fam };
	struct responder_ask q = {
		.netns_fd = netns, .to = addr(to), .to_port = port, .proto = proto, .timeout_ms = timeout_ms
	};

	if (from_port) {
		q.from = &any;
		q.from_port = from_port;
	}
	return responder_ask(&q, ret, NULL, NULL);
}

static int ask(int netns, const char *to, uint16_t port, uint8_t proto, struct responder_reply *ret)
{
	return ask_from(netns, to, port, proto, 0, PATIENCE_MS, ret);
}

static struct responder_reply must_ask(struct world *w, int netns, const char *to, uint16_t port, uint8_t proto,
				       uint16_t from_port)
{
	struct responder_reply reply = {};
	int r = ask_from(netns, to, port, proto, from_port, PATIENCE_MS, &reply);

	(void)w;
	if (r < 0)
		fail_msg("%s port %u: %s", to, port, strerror(-r));
	return reply;
}

static void assert_client(const struct responder_reply *r, const char *want)
{
	struct ip_prefix p = prefix(want);
	char a[IP_ADDR_STR_MAX];

	if (!ip_addr_eq(&r->client, &p.addr))
		fail_msg("%s saw %s, not %s", r->name, ip_addr_format(&r->client, a), want);
}

/* ---- tests ---- */

/* Both servers answer, and each sees whom it should: pods by their own address, others and the pod itself by the
 * node's. */
static void test_choice_and_source(void **state)
{
	struct world *w = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *s = services(NULL, BOTH, BOTH);

	apply(w, NULL, s);
	for (int fam = 0; fam < IP_FAMILY_MAX; fam++) {
		for (int proto = 0; proto < 2; proto++) {
			const int from[] = { w->peer[P1], w->peer[P2], w->peer[CLIENT], w->node };
			uint16_t port = proto ? 53 : 80;

			for (size_t i = 0; i < ARRAY_LEN(from); i++) {
				size_t n[2] = {};

				for (int k = 0; k < 40; k++) {
					struct responder_reply r = must_ask(w, from[i], vip[0][fam], port,
									    proto ? IPPROTO_UDP : IPPROTO_TCP, 0);
					size_t who = str_eq(r.name, "p2") ? P2 : P1;

					n[who]++;
					assert_client(&r, i < N_PEERS && peers[i].is_pod && who != i ?
								  peers[i].addr[fam] :
								  node_addr[fam]);
				}
				assert_true(n[0] > 0 && n[1] > 0);
			}
		}
	}
}

static void test_refused(void **state)
{
	struct world *w = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *s = services(NULL, BOTH, BOTH);

	apply(w, NULL, s);
	for (int fam = 0; fam < IP_FAMILY_MAX; fam++) {
		struct responder_reply r;

		assert_int_equal(ask(w->peer[CLIENT], vip[2][fam], 80, IPPROTO_TCP, &r),
				 -ECONNREFUSED); /* no endpoints */
		assert_int_equal(ask(w->peer[P1], vip[2][fam], 53, IPPROTO_UDP, &r), -ECONNREFUSED);
		assert_int_equal(ask(w->node, vip[2][fam], 80, IPPROTO_TCP, &r), -ECONNREFUSED);
		assert_int_equal(ask(w->peer[P1], vip[0][fam], 81, IPPROTO_TCP, &r), -ECONNREFUSED); /* no such port */
		assert_int_equal(ask(w->peer[P1], vip[0][fam], 80, IPPROTO_UDP, &r), -ECONNREFUSED);
		assert_int_equal(ask(w->node, vip[0][fam], 81, IPPROTO_TCP, &r), -ECONNREFUSED);
	}
}

static void test_affinity(void **state)
{
	struct world *w = *state;
	struct snapshot *s = services(NULL, BOTH, BOTH), *next;

	apply(w, NULL, s);
	for (int fam = 0; fam < IP_FAMILY_MAX; fam++) {
		const int from[] = { w->peer[P1], w->peer[P2], w->peer[CLIENT] };
		char first[ARRAY_LEN(from)][256], second[256];

		for (size_t i = 0; i < ARRAY_LEN(from); i++) {
			(void)snprintf(first[i], sizeof(first[i]), "%s",
				       must_ask(w, from[i], vip[1][fam], 80, IPPROTO_TCP, 0).name);
			for (int k = 0; k < 15; k++)
				assert_string_equal(must_ask(w, from[i], vip[1][fam], 80, IPPROTO_TCP, 0).name,
						    first[i]);
		}
		/* A new process, and the other Service changed: the memory lives. */
		reopen(w);
		next = services(s, fam ? ONLY_P1 : ONLY_P2, BOTH);
		apply(w, NULL, next);
		snapshot_unref(s);
		s = next;
		for (size_t i = 0; i < ARRAY_LEN(from); i++)
			assert_string_equal(must_ask(w, from[i], vip[1][fam], 80, IPPROTO_TCP, 0).name, first[i]);
		/* The backend of the first client goes: it moves, stays there, and stays there when the old one is
		 * back. */
		next = services(s, BOTH, str_eq(first[0], "p1") ? ONLY_P2 : ONLY_P1);
		apply(w, s, next);
		snapshot_unref(s);
		s = next;
		(void)snprintf(second, sizeof(second), "%s",
			       must_ask(w, from[0], vip[1][fam], 80, IPPROTO_TCP, 0).name);
		assert_string_not_equal(second, first[0]);
		next = services(s, BOTH, BOTH);
		apply(w, s, next);
		snapshot_unref(s);
		s = next;
		for (int k = 0; k < 15; k++)
			assert_string_equal(must_ask(w, from[0], vip[1][fam], 80, IPPROTO_TCP, 0).name, second);
	}
	snapshot_unref(s);
}

/* A Service without affinity at the address of one with it: nothing is remembered, also when affinity comes back. */
static void test_affinity_is_forgotten(void **state)
{
	static const char *const del[] = { "sticky", NULL };
	struct world *w = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *a = services(NULL, BOTH, BOTH);
	CLEANUP(snapshot_unrefp) struct snapshot *b = world_snapshot(a, NULL, 0, del);

	apply(w, NULL, a);
	(void)must_ask(w, w->peer[P1], vip[1][0], 80, IPPROTO_TCP, 0);
	(void)must_ask(w, w->peer[CLIENT], vip[1][1], 80, IPPROTO_TCP, 0);
	apply(w, a, b);
	for (int delta = 0; delta < 2; delta++) {
		char *text = NULL;
		size_t size = 0;
		FILE *f = open_memstream(&text, &size);

		assert_non_null(f);
		OK(target_nft.dump(w->handle, f, &w->e));
		fclose(f);
		assert_non_null(strstr(text, "map affinity: 0 elements"));
		assert_null(strstr(text, "tcp . 80 . 10.244.1.2"));
		free(text);
		reopen(w);
		apply(w, NULL, b);
	}
}

/* One source port throughout, as a resolver library has: every answer comes from a server that serves now. */
static void test_udp_follows(void **state)
{
	struct world *w = *state;

	for (int fam = 0; fam < IP_FAMILY_MAX; fam++) {
		struct snapshot *s = services(NULL, ONLY_P1, BOTH), *next;
		uint16_t port = (uint16_t)(5000 + fam);
		struct responder_reply r;

		/* Before there is a rule: an entry that leads nowhere. */
		next = world_snapshot(s, NULL, 0, (const char *const[]){ "web", NULL });
		apply(w, NULL, next);
		assert_int_equal(ask_from(w->peer[P2], vip[0][fam], 53, IPPROTO_UDP, port, SILENCE_MS, &r), -ETIMEDOUT);
		apply(w, next, s);
		snapshot_unref(next);
		assert_true(w->stats.n_stale_flows >= 1);
		assert_string_equal(must_ask(w, w->peer[P2], vip[0][fam], 53, IPPROTO_UDP, port).name, "p1");
		assert_string_equal(must_ask(w, w->peer[CLIENT], vip[0][fam], 53, IPPROTO_UDP, port).name, "p1");
		/* One more endpoint: flows stay where they are, none is wiped. */
		next = services(s, BOTH, BOTH);
		apply(w, s, next);
		assert_int_equal(w->stats.n_stale_flows, 0);
		apply(w, NULL, next);
		assert_int_equal(w->stats.n_stale_flows, 0);
		for (int k = 0; k < 5; k++)
			assert_string_equal(must_ask(w, w->peer[CLIENT], vip[0][fam], 53, IPPROTO_UDP, port).name,
					    "p1");
		snapshot_unref(s);
		s = next;
		/* The first endpoint goes. */
		next = services(s, ONLY_P2, BOTH);
		apply(w, s, next);
		assert_int_equal(w->stats.n_stale_flows, 2);
		assert_string_equal(must_ask(w, w->peer[CLIENT], vip[0][fam], 53, IPPROTO_UDP, port).name, "p2");
		snapshot_unref(s);
		s = next;
		/* To zero, and back. */
		next = services(s, "", BOTH);
		apply(w, s, next);
		assert_int_equal(w->stats.n_stale_flows, 1);
		assert_int_equal(ask_from(w->peer[CLIENT], vip[0][fam], 53, IPPROTO_UDP, port, PATIENCE_MS, &r),
				 -ECONNREFUSED);
		snapshot_unref(s);
		s = next;
		next = services(s, ONLY_P1, BOTH);
		apply(w, s, next);
		assert_string_equal(must_ask(w, w->peer[CLIENT], vip[0][fam], 53, IPPROTO_UDP, port).name, "p1");
		snapshot_unref(s);
		s = next;
		/* The whole Service goes. */
		next = world_snapshot(s, NULL, 0, (const char *const[]){ "web", NULL });
		apply(w, s, next);
		assert_int_equal(w->stats.n_stale_flows, 1);
		snapshot_unref(s);
		snapshot_unref(next);
	}
}

/* Requests on connections that are open, while the rules under them are applied anew, changed, and left by their process. */
static void test_connections_survive(void **state)
{
	struct world *w = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *a = services(NULL, BOTH, BOTH);
	CLEANUP(snapshot_unrefp) struct snapshot *b = services(a, ONLY_P1, ONLY_P2);
	int fds[40];

	apply(w, NULL, a);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		struct ip_addr to = addr(vip[i % 2][i % 4 / 2]);
		struct sockaddr_storage ss;
		socklen_t len = ip_addr_to_sockaddr(&to, 80, &ss);

		fds[i] = netns_socket(i % 3 ? w->peer[CLIENT] : w->peer[P1], ss.ss_family, SOCK_STREAM, 0);
		assert_true(fds[i] >= 0);
		assert_int_equal(connect(fds[i], (struct sockaddr *)&ss, len), 0);
	}
	for (int step = 0; step < 4; step++) {
		for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
			uint8_t request[RESPONDER_REQUEST_SIZE], reply[RESPONDER_REPLY_MAX];
			struct timeval limit = { .tv_sec = PATIENCE_MS / 1000 };

			responder_build_request(i, 0, RESPONDER_REPLY_MIN, request);
			assert_int_equal(setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
			assert_int_equal(send(fds[i], request, sizeof(request), MSG_NOSIGNAL), sizeof(request));
			assert_true(recv(fds[i], reply, sizeof(reply), 0) >= RESPONDER_REPLY_MIN);
		}
		if (step == 0) {
			reopen(w);
			apply(w, NULL, a);
		} else if (step == 1) {
			apply(w, a, b); /* also those whose endpoint went: it lives on as long as it does */
		} else if (step == 2) {
			reopen(w);
			apply(w, NULL, a);
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

struct sums {
	uint64_t chosen, affinity, no_endpoints, unknown_port, masqueraded, connections, web;
};

static int sum_fn(const struct target_counter *c, void *arg)
{
	struct sums *s = arg;

	s->chosen += str_eq(c->name, "chosen") ? c->value : 0;
	s->affinity += str_eq(c->name, "affinity") ? c->value : 0;
	s->no_endpoints += str_eq(c->name, "no-endpoints") ? c->value : 0;
	s->unknown_port += str_eq(c->name, "unknown-port") ? c->value : 0;
	s->masqueraded += str_eq(c->name, "masqueraded") ? c->value : 0;
	s->connections += str_eq(c->name, "connections") ? c->value : 0;
	s->web += str_eq(c->object, "Service shop/web:http (IPv4)") ? c->value : 0;
	return 0;
}

/* Connects without pause until it is told to end; its exit code says how it went. */
static void client(struct world *w, int stop_fd)
{
	struct pollfd stop = { .fd = stop_fd, .events = POLLIN };
	size_t n = 0;

	/* One Service a client, and no port used twice: a server that still remembers the connection before would be in the way. */
	while (poll(&stop, 1, 0) == 0 && n < 20000) {
		struct responder_reply r;
		int ret = ask(w->peer[n % 2 ? CLIENT : P1], vip[n % 2][n / 2 % 2], 80, IPPROTO_TCP, &r);

		if (ret < 0) {
			(void)dprintf(STDERR_FILENO, "connection %zu: %s\n", n, strerror(-ret));
			_exit(1);
		}
		n++;
	}
	_exit(n > 20 ? 0 : 2);
}

/* Endpoints come and go, affinity too, as fast as can be; every connection finds a server: no packet sees half a Service. */
static void test_no_gap(void **state)
{
	static const char *const sets[] = { BOTH, ONLY_P1, BOTH, ONLY_P2 };
	struct world *w = *state;
	struct snapshot *s = services(NULL, BOTH, BOTH);
	struct sums sums = {};
	int stop[2], status;
	pid_t pid;

	apply(w, NULL, s);
	assert_int_equal(pipe(stop), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		client(w, stop[0]);
	}
	for (size_t i = 0; i < 600; i++) {
		const char *web = sets[i % 4];
		const struct world_service sticky = {
			.name = "sticky",
			.ip4 = vip[1][0],
			.ip6 = vip[1][1],
			.affinity_s = i % 3 ? 600 : 0,
			.ports = { { "", IPPROTO_TCP, 80, sets[(i + 1) % 4] } },
		};
		struct snapshot *mid = services(s, web, sets[i % 4]), *next = world_snapshot(mid, &sticky, 1, NULL);
		struct target_program *p = world_compile(s, next);

		OK(target_nft.apply(w->handle, p, &w->stats, &w->e));
		target_nft.program_free(p);
		snapshot_unref(mid);
		snapshot_unref(s);
		s = next;
	}
	assert_int_equal(write(stop[1], "x", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(stop[0]);
	close(stop[1]);
	assert_int_equal(target_nft.counters(w->handle, sum_fn, &sums, &w->e), 0);
	assert_int_equal(sums.no_endpoints + sums.unknown_port, 0); /* nor was one refused and tried again */
	snapshot_unref(s);
}

/* The counters of the rules say what was done; they survive changes of the Service. */
static void test_counters(void **state)
{
	struct world *w = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *a = services(NULL, BOTH, BOTH);
	CLEANUP(snapshot_unrefp) struct snapshot *b = services(a, ONLY_P1, ONLY_P2);
	struct responder_reply r;
	struct sums s = {};

	apply(w, NULL, a);
	for (int k = 0; k < 7; k++)
		(void)must_ask(w, w->peer[CLIENT], vip[0][0], 80, IPPROTO_TCP, 0);
	for (int k = 0; k < 5; k++)
		(void)must_ask(w, w->peer[P1], vip[1][0], 80, IPPROTO_TCP, 0);
	apply(w, a, b);
	for (int k = 0; k < 4; k++)
		(void)must_ask(w, w->peer[P2], vip[0][0], 80, IPPROTO_TCP, 0);
	assert_int_equal(ask(w->peer[P1], vip[2][0], 53, IPPROTO_UDP, &r), -ECONNREFUSED);
	assert_int_equal(ask(w->peer[P1], vip[0][0], 99, IPPROTO_UDP, &r), -ECONNREFUSED);
	assert_int_equal(target_nft.counters(w->handle, sum_fn, &s, &w->e), 0);
	assert_int_equal(s.connections, 16);
	assert_int_equal(s.web, 11);
	assert_int_equal(s.chosen + s.affinity, 16);
	assert_int_equal(s.affinity, 4);
	assert_int_equal(s.no_endpoints, 1);
	assert_int_equal(s.unknown_port, 1);
	assert_true(s.masqueraded >= 7);
}

/* An argument: only the tests that match it ("test_aff*"). */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_choice_and_source, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_affinity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_affinity_is_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(test_udp_follows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_connections_survive, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_gap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_counters, setup, teardown),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	if (geteuid() != 0) {
		printf("SKIP: network namespaces need root\n");
		return 77;
	}
	return cmocka_run_group_tests_name("nft_traffic", tests, NULL, NULL);
}
