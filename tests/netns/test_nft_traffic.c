/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Real connections through the rules of target nft, IPv4 and IPv6: a node with two pods (10.244.1.2, .3) and a client outside (10.9.0.9), each a
 * namespace. Which server answers and whom it saw says what the rules did.
 */
#include <errno.h>
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
		    struct responder_reply *ret)
{
	struct ip_addr any = { .fam = addr(to).fam };
	/* An ICMP error that comes while the client's connect() is still sending counts only when the SYN is sent again, a second later. */
	struct responder_ask q = {
		.netns_fd = netns, .to = addr(to), .to_port = port, .proto = proto, .timeout_ms = 4000
	};

	if (from_port) {
		q.from = &any;
		q.from_port = from_port;
	}
	return responder_ask(&q, ret, NULL, NULL);
}

static int ask(int netns, const char *to, uint16_t port, uint8_t proto, struct responder_reply *ret)
{
	return ask_from(netns, to, port, proto, 0, ret);
}

static struct responder_reply must_ask(struct world *w, int netns, const char *to, uint16_t port, uint8_t proto,
				       uint16_t from_port)
{
	struct responder_reply reply = {};
	int r = ask_from(netns, to, port, proto, from_port, &reply);

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

/* Both servers answer, and each sees whom it should: pods by their own address, others and the pod itself by the node's. */
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
		/* The backend of the first client goes: it moves, stays there, and stays there when the old one is back. */
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
		assert_int_equal(ask_from(w->peer[P2], vip[0][fam], 53, IPPROTO_UDP, port, &r), -ETIMEDOUT);
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
		assert_int_equal(ask_from(w->peer[CLIENT], vip[0][fam], 53, IPPROTO_UDP, port, &r), -ECONNREFUSED);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_choice_and_source, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_affinity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_affinity_is_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(test_udp_follows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_counters, setup, teardown),
	};

	if (geteuid() != 0) {
		printf("SKIP: network namespaces need root\n");
		return 77;
	}
	return cmocka_run_group_tests_name("nft_traffic", tests, NULL, NULL);
}
