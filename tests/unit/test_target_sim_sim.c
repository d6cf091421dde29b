/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The interface of sim beyond the packet table: observed choices, connect calls, errors, counters, robustness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/rand.h"
#include "base/str.h"
#include "base/util.h"
#include "model/maglev.h"
#include "packet/table.h"

struct fixture {
	struct table *t; /* for its models */
	struct clock clock;
	struct sim *sim;
};

static int setup(void **state)
{
	const char *top = getenv("OFFKUBE_SOURCE_DIR");
	char *dir = str_printf("%s/tests/packet/table", top ? top : ".");
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e = {};

	assert_non_null(f);
	assert_non_null(dir);
	assert_int_equal(table_load(dir, &f->t, &e), 0);
	free(dir);
	f->clock = (struct clock){ .now_ns = clock_manual_now_ns, .manual_ns = NSEC_PER_SEC };
	assert_int_equal(sim_new(table_model(f->t, "shop"), "n1", &f->clock, &f->sim, &e), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	sim_free(f->sim);
	table_free(f->t);
	free(f);
	return 0;
}

static struct ip_addr addr(const char *s)
{
	struct ip_addr a;

	assert_int_equal(ip_addr_parse(s, &a), 0);
	return a;
}

static struct l4_tuple tuple(uint8_t proto, const char *src, uint16_t sport, const char *dst, uint16_t dport)
{
	return (struct l4_tuple){ .src = addr(src), .dst = addr(dst), .sport = sport, .dport = dport, .proto = proto };
}

static struct sim_result connect_ok(struct fixture *f, const struct l4_tuple *t, const struct sim_observed *o)
{
	struct sim_result res;

	assert_int_equal(sim_connect(f->sim, SIM_FROM_POD, t, o, &res), 0);
	return res;
}

/* ---- observed choices ---- */

static void test_observed_backend(void **state)
{
	struct fixture *f = *state;
	struct l4_tuple t = tuple(IPPROTO_TCP, "10.244.1.9", 40000, "10.96.0.10", 80);
	struct sim_backend wrong = { addr("10.244.1.5"), 8081 }, right = { addr("10.244.2.5"), 8081 };
	struct sim_observed o = { .backend = &wrong };
	struct sim_result res;

	assert_int_equal(sim_connect(f->sim, SIM_FROM_POD, &t, &o, &res), -ESRCH);
	assert_int_equal(res.n_allowed, 2);
	assert_string_equal(res.service->name, "cart");
	assert_int_equal(res.port->port, 80);
	assert_int_equal(sim_n_connections(f->sim), 0);
	for (size_t i = 0; i < sim_n_branches(); i++)
		assert_int_equal(sim_branch_count(f->sim, i), 0);
	for (int i = 0; i < REASON_MAX; i++)
		assert_int_equal(sim_reason_count(f->sim, (enum reason)i), 0);
	o.backend = &right;
	res = connect_ok(f, &t, &o);
	assert_int_equal(res.verdict, VERDICT_TRANSLATE);
	assert_int_equal(res.reason, REASON_CHOSEN);
	assert_true(ip_addr_eq(&res.backend.addr, &right.addr));
	assert_false(res.snat || res.sport_free || res.hairpin);
	assert_int_equal(res.out.sport, 40000);
	assert_int_equal(res.out.dport, 8081);
	assert_int_equal(sim_n_connections(f->sim), 1);
	/* The same call again belongs to the connection. */
	res = connect_ok(f, &t, NULL);
	assert_int_equal(res.reason, REASON_ESTABLISHED);
	assert_int_equal(res.n_allowed, 0);
	assert_true(ip_addr_eq(&res.backend.addr, &right.addr));
	sim_forget(f->sim, &t);
	assert_int_equal(sim_n_connections(f->sim), 0);
	assert_int_equal(connect_ok(f, &t, NULL).reason, REASON_CHOSEN);
}

static void test_observed_affinity(void **state)
{
	struct fixture *f = *state;
	struct l4_tuple t = tuple(IPPROTO_TCP, "10.244.1.9", 40000, "10.96.0.40", 80);
	struct sim_backend a = { addr("10.244.1.6"), 80 }, b = { addr("10.244.2.5"), 80 };
	struct sim_observed o = { .backend = &a };
	struct sim_result res = connect_ok(f, &t, &o);

	assert_int_equal(res.reason, REASON_CHOSEN);
	assert_int_equal(res.n_allowed, 3);
	t.sport++;
	o.backend = &b;
	assert_int_equal(sim_connect(f->sim, SIM_FROM_POD, &t, &o, &res), -ESRCH);
	assert_int_equal(res.n_allowed, 1);
	assert_true(ip_addr_eq(&res.allowed[0].addr, &a.addr));
	o.backend = &a;
	assert_int_equal(connect_ok(f, &t, &o).reason, REASON_AFFINITY);
}

static void test_observed_port(void **state)
{
	struct fixture *f = *state;
	struct l4_tuple t = tuple(IPPROTO_TCP, "198.51.100.7", 40000, "10.96.0.20", 80), reply;
	uint16_t port = 0;
	struct sim_observed o = { .sport = &port };
	struct sim_result res;

	assert_int_equal(sim_connect(f->sim, SIM_FROM_OUTSIDE, &t, &o, &res), -ESRCH);
	port = 55555;
	res = connect_ok(f, &t, &o);
	assert_true(res.snat && res.sport_free);
	assert_int_equal(res.out.sport, 40000); /* as was: any is right */
	assert_true(ip_addr_eq(&res.out.src, &(struct ip_addr){ AF_INET, { 192, 168, 0, 1 } }));
	reply = tuple(IPPROTO_TCP, "10.244.1.5", 8080, "192.168.0.1", 55555);
	res = connect_ok(f, &reply, NULL); /* a SYN from the server: both opened at once */
	assert_int_equal(res.reason, REASON_REPLY);
	assert_true(ip_addr_eq(&res.out.dst, &t.src));
	assert_int_equal(res.out.dport, 40000);
	/* Somebody else has that port towards this backend. */
	t.src = addr("198.51.100.8");
	assert_int_equal(sim_connect(f->sim, SIM_FROM_OUTSIDE, &t, &o, &res), -ESRCH);
	port = 55556;
	assert_int_equal(connect_ok(f, &t, &o).verdict, VERDICT_TRANSLATE);
	/* Not free to choose at all. */
	t.src = addr("10.244.1.9");
	assert_int_equal(sim_connect(f->sim, SIM_FROM_POD, &t, &o, &res), -ESRCH);
	port = 40000;
	assert_int_equal(connect_ok(f, &t, &o).verdict, VERDICT_TRANSLATE);
}

static int send_tcp(struct fixture *f, const struct l4_tuple *t, uint8_t flags, struct sim_result *res)
{
	struct pkt p = { .t = *t, .tcp_flags = flags, .ttl = 64 };
	uint8_t buf[100];
	size_t size = sizeof(buf);

	assert_int_equal(pkt_build(&p, buf, &size), 0);
	return sim_packet(f->sim, SIM_FROM_POD, buf, size, NULL, res, NULL, NULL);
}

/* A port of a connection that both ends have closed may be taken by the next one. */
static void test_observed_port_of_closed(void **state)
{
	struct fixture *f = *state;
	struct l4_tuple t = tuple(IPPROTO_TCP, "198.51.100.7", 40000, "10.96.0.20", 80);
	struct l4_tuple reply = tuple(IPPROTO_TCP, "10.244.1.5", 8080, "192.168.0.1", 55555);
	uint16_t port = 55555;
	struct sim_observed o = { .sport = &port };
	struct sim_result res = connect_ok(f, &t, &o);

	assert_int_equal(send_tcp(f, &reply, TCP_FLAG_SYN | TCP_FLAG_ACK, &res), 0);
	assert_int_equal(res.reason, REASON_REPLY);
	assert_int_equal(send_tcp(f, &t, TCP_FLAG_RST, &res), 0);
	assert_int_equal(sim_n_connections(f->sim), 1);
	t.src = addr("198.51.100.8");
	res = connect_ok(f, &t, &o);
	assert_int_equal(res.reason, REASON_CHOSEN);
	assert_int_equal(sim_n_connections(f->sim), 1);
	assert_int_equal(send_tcp(f, &reply, TCP_FLAG_SYN | TCP_FLAG_ACK, &res), 0);
	assert_true(ip_addr_eq(&res.out.dst, &t.src));
}

/* 511 low ports are soon used up; then there is no port left. */
static void test_ports_used_up(void **state)
{
	struct fixture *f = *state;
	struct sim_result res;

	for (uint32_t i = 0; i < 512; i++) {
		struct l4_tuple t = tuple(IPPROTO_UDP, "198.51.100.7", 100, "10.96.0.20", 53);
		int r;

		t.src.bytes[2] = (uint8_t)(i >> 8);
		t.src.bytes[3] = (uint8_t)i;
		r = sim_connect(f->sim, SIM_FROM_OUTSIDE, &t, NULL, &res);
		assert_int_equal(r, i < 511 ? 0 : -ENOMEM);
	}
	assert_int_equal(sim_n_connections(f->sim), 511);
}

/* ---- connect ---- */

static void test_connect_protocols(void **state)
{
	struct fixture *f = *state;
	struct l4_tuple t = tuple(IPPROTO_SCTP, "10.244.1.9", 40000, "10.96.0.20", 9);
	struct sim_result res = connect_ok(f, &t, NULL);

	assert_int_equal(res.reason, REASON_CHOSEN);
	t = tuple(IPPROTO_ICMP, "10.244.1.9", 0, "10.96.0.20", 0);
	res = connect_ok(f, &t, NULL);
	assert_int_equal(res.reason, REASON_UNKNOWN_PORT);
	assert_int_equal(res.reject_icmp_type, 3);
	assert_int_equal(res.reject_icmp_code, 3);
	assert_true(ip_addr_eq(&res.out.dst, &t.src));
	assert_int_equal(res.out.proto, IPPROTO_ICMP);
	t = tuple(IPPROTO_ICMPV6, "fd00:b:1::9", 0, "fd00:c::20", 0);
	res = connect_ok(f, &t, NULL);
	assert_int_equal(res.reason, REASON_UNKNOWN_PORT);
	assert_int_equal(res.reject_icmp_type, 1);
	assert_int_equal(res.reject_icmp_code, 4);
	t = tuple(47, "10.244.1.9", 0, "10.96.0.20", 0);
	assert_int_equal(connect_ok(f, &t, NULL).reason, REASON_UNKNOWN_PORT);
}

static void test_connect_from_node(void **state)
{
	struct fixture *f = *state;
	struct l4_tuple t = tuple(IPPROTO_UDP, "10.0.0.0", 40000, "10.96.0.20", 53);
	struct sim_result res;

	t.src = (struct ip_addr){};
	assert_int_equal(sim_connect(f->sim, SIM_FROM_NODE, &t, NULL, &res), 0);
	assert_int_equal(res.verdict, VERDICT_TRANSLATE);
	/* Masqueraded, but the address is the node's already: told alike on the first packet and later. */
	assert_true(!res.snat && res.sport_free);
	assert_int_equal(sim_connect(f->sim, SIM_FROM_NODE, &t, NULL, &res), 0);
	assert_int_equal(res.reason, REASON_ESTABLISHED);
	assert_false(res.snat);
	t.dst = addr("198.51.100.1");
	assert_int_equal(sim_connect(f->sim, SIM_FROM_NODE, &t, NULL, &res), 0);
	assert_int_equal(res.verdict, VERDICT_PASS);
	assert_int_equal(res.out.src.bytes[0], 192);
}

static void test_hairpin_flag(void **state)
{
	struct fixture *f = *state;
	struct l4_tuple t = tuple(IPPROTO_TCP, "10.244.1.5", 40000, "10.96.0.20", 80);
	struct sim_result res = connect_ok(f, &t, NULL);

	assert_true(res.hairpin && res.snat && res.sport_free);
	res = connect_ok(f, &t, NULL);
	assert_int_equal(res.reason, REASON_ESTABLISHED);
	assert_true(res.hairpin && res.snat);
}

/* sim's own choice is the shared one: hash and table of DESIGN 3.2. */
static void test_own_choice_is_maglev(void **state)
{
	struct fixture *f = *state;
	struct maglev_backend b[3] = { { addr("10.244.1.5"), 80 },
				       { addr("10.244.1.6"), 80 },
				       { addr("10.244.2.5"), 80 } };
	uint32_t m = maglev_size(3, 0);
	uint16_t *slot = calloc(m, sizeof(*slot));
	size_t seen[3] = {};

	assert_non_null(slot);
	assert_int_equal(maglev_fill(b, 3, m, slot), 0);
	for (uint16_t port = 40000; port < 40300; port++) {
		struct l4_tuple t = tuple(IPPROTO_TCP, "10.244.1.9", port, "10.96.0.50", 80);
		uint16_t want = slot[tuple_hash(&t) & (m - 1)];
		struct sim_result res = connect_ok(f, &t, NULL);

		assert_true(ip_addr_eq(&res.backend.addr, &b[want].addr));
		assert_int_equal(res.n_allowed, 3);
		seen[want]++;
	}
	assert_true(seen[0] > 50 && seen[1] > 50 && seen[2] > 50);
	free(slot);
}

/* ---- errors ---- */

static void test_new_and_update_errors(void **state)
{
	struct fixture *f = *state;
	struct snapshot_edit *ed;
	struct snapshot *empty;
	struct sim *sim = NULL;
	struct err e = {};

	assert_int_equal(sim_new(table_model(f->t, "shop"), "no-such-node", &f->clock, &sim, &e), -ENOENT);
	assert_int_equal(e.code, -ENOENT);
	assert_null(sim);
	assert_int_equal(snapshot_edit_new(NULL, &ed), 0);
	assert_int_equal(snapshot_edit_commit(ed, &empty), 0);
	assert_int_equal(sim_update(f->sim, empty), -ENOENT);
	snapshot_unref(empty);
	/* Nothing has changed. */
	{
		struct l4_tuple t = tuple(IPPROTO_TCP, "10.244.1.9", 40000, "10.96.0.10", 80);

		assert_int_equal(connect_ok(f, &t, NULL).reason, REASON_CHOSEN);
	}
	sim_free(NULL);
}

static void test_no_room(void **state)
{
	struct fixture *f = *state;
	struct pkt p = { .t = tuple(IPPROTO_TCP, "10.244.1.9", 40000, "10.96.0.10", 80),
			 .tcp_flags = TCP_FLAG_SYN,
			 .ttl = 64 };
	uint8_t buf[100], out[100];
	size_t size = sizeof(buf), out_size = 39;
	struct sim_result res;

	assert_int_equal(pkt_build(&p, buf, &size), 0);
	assert_int_equal(sim_packet(f->sim, SIM_FROM_POD, buf, size, NULL, &res, out, &out_size), -ENOSPC);
	assert_int_equal(sim_n_connections(f->sim), 0);
	out_size = size;
	assert_int_equal(sim_packet(f->sim, SIM_FROM_POD, buf, size, NULL, &res, out, &out_size), 0);
	assert_int_equal(out_size, size);
	/* A reset is as long as the segment, an ICMP error longer than the packet. */
	p.t.dst = addr("10.96.0.30");
	size = sizeof(buf);
	assert_int_equal(pkt_build(&p, buf, &size), 0);
	out_size = size;
	assert_int_equal(sim_packet(f->sim, SIM_FROM_POD, buf, size, NULL, &res, out, &out_size), 0);
	assert_true(res.reject_rst);
	p.t = tuple(IPPROTO_UDP, "10.244.1.9", 40000, "10.96.0.30", 53);
	size = sizeof(buf);
	assert_int_equal(pkt_build(&p, buf, &size), 0);
	out_size = size;
	assert_int_equal(sim_packet(f->sim, SIM_FROM_POD, buf, size, NULL, &res, out, &out_size), -ENOSPC);
}

static void test_branch_names(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < sim_n_branches(); i++) {
		assert_non_null(sim_branch_name(i));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(sim_branch_name(i), sim_branch_name(j));
	}
	assert_null(sim_branch_name(sim_n_branches()));
	assert_int_equal(sim_branch_count(f->sim, sim_n_branches()), 0);
	assert_int_equal(sim_reason_count(f->sim, REASON_MAX), 0);
}

static void test_connections_expire(void **state)
{
	struct fixture *f = *state;
	struct l4_tuple t = tuple(IPPROTO_UDP, "10.244.1.9", 40000, "10.96.0.10", 53);
	struct l4_tuple reply = t;

	(void)connect_ok(f, &t, NULL);
	assert_int_equal(sim_n_connections(f->sim), 1);
	f->clock.manual_ns += 29 * NSEC_PER_SEC;
	assert_int_equal(sim_n_connections(f->sim), 1);
	f->clock.manual_ns += NSEC_PER_SEC;
	assert_int_equal(sim_n_connections(f->sim), 0);
	/* Only by its original tuple is a connection forgotten. */
	(void)connect_ok(f, &t, NULL);
	reply.src = t.dst;
	sim_forget(f->sim, &reply);
	assert_int_equal(sim_n_connections(f->sim), 1);
}

/* ---- robustness: whatever comes, sim says something, and what leaves is a packet ---- */

static void check_result(const struct sim_result *res, const uint8_t *buf, size_t size, const uint8_t *out,
			 size_t out_size)
{
	struct pkt p;

	assert_true(res->reason < REASON_MAX);
	assert_int_equal(res->verdict, reason_verdict(res->reason));
	switch (res->verdict) {
	case VERDICT_PASS:
		assert_int_equal(out_size, size);
		assert_memory_equal(buf, out, size);
		break;
	case VERDICT_TRANSLATE:
		assert_int_equal(out_size, size);
		assert_int_equal(pkt_parse(out, out_size, &p), 0);
		assert_true(pkt_checksums_ok(out, out_size));
		break;
	case VERDICT_REJECT:
		assert_int_equal(pkt_parse(out, out_size, &p), 0);
		assert_true(pkt_checksums_ok(out, out_size));
		if (res->reject_rst)
			assert_true(p.t.proto == IPPROTO_TCP && p.tcp_flags & TCP_FLAG_RST);
		else
			assert_int_equal(p.icmp_type, res->reject_icmp_type);
		break;
	default:
		assert_int_equal(out_size, 0);
	}
}

static void shoot(struct fixture *f, const uint8_t *buf, size_t size)
{
	struct sim_result res;
	uint8_t out[2048];
	size_t out_size = sizeof(out);
	/* A copy of the exact size: the sanitizers see a byte too far. */
	uint8_t *copy = malloc(MAX(size, (size_t)1));

	assert_non_null(copy);
	memcpy(copy, buf, size);
	assert_int_equal(sim_packet(f->sim, SIM_FROM_OUTSIDE, copy, size, NULL, &res, out, &out_size), 0);
	check_result(&res, copy, size, out, out_size);
	free(copy);
}

static void test_random_bytes(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[128];
	struct rng r;

	rng_seed(&r, 7);
	for (int i = 0; i < 50000; i++) {
		size_t size = rng_below(&r, sizeof(buf) + 1);

		for (size_t j = 0; j < size; j++)
			buf[j] = (uint8_t)rng_u64(&r);
		if (size > 0 && i % 2)
			buf[0] = i % 4 == 1 ? 0x45 : 0x60;
		shoot(f, buf, size);
	}
}

/* Packets of few clients to few addresses, some of them damaged in a byte; time goes by and the model changes. */
static void test_random_packets(void **state)
{
	static const char *const models[] = {
		"shop", "moved", "draining", "sticky-off", "bare-cluster", "sticky-more",
	};
	static const char *const v4[] = { "10.244.1.9", "10.244.1.5",  "198.51.100.7", "10.96.0.10",
					  "10.96.0.20", "10.96.0.21",  "10.96.0.30",   "10.96.0.40",
					  "10.96.1.20", "192.168.0.1", "10.244.2.5" };
	static const char *const v6[] = { "fd00:b:1::9", "fd00:b:1::5", "2001:db8::7", "fd00:c::10",
					  "fd00:c::20",	 "fd00:c::21",	"fd00:c::30",  "fd00:c::40",
					  "fd00:c::110", "fd00:a::1",	"fd00:b:2::5" };
	static const uint16_t ports[] = { 80, 53, 9, 8080, 5353, 40000, 40001, 81 };
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP };
	struct fixture *f = *state;
	uint8_t payload[40], buf[256];
	struct rng r;

	rng_seed(&r, 8);
	for (int i = 0; i < 100000; i++) {
		bool is_v6 = rng_below(&r, 3) == 0;
		const char *const *names = is_v6 ? v6 : v4;
		struct pkt p = { .ttl = 64, .payload = payload, .payload_size = rng_below(&r, sizeof(payload)) };
		size_t size = sizeof(buf);

		p.t = tuple(protos[rng_below(&r, ARRAY_LEN(protos))], names[rng_below(&r, ARRAY_LEN(v4))],
			    ports[rng_below(&r, ARRAY_LEN(ports))], names[rng_below(&r, ARRAY_LEN(v4))],
			    ports[rng_below(&r, ARRAY_LEN(ports))]);
		if (p.t.proto == IPPROTO_ICMP && is_v6)
			p.t.proto = IPPROTO_ICMPV6;
		p.tcp_flags = (uint8_t[]){ 0x02, 0x02, 0x12, 0x10, 0x18, 0x11, 0x04, 0x00 }[rng_below(&r, 8)];
		p.icmp_type = (uint8_t)rng_below(&r, 140);
		memset(payload, 0, sizeof(payload));
		payload[0] = (uint8_t)rng_below(&r, 16);
		payload[3] = (uint8_t)p.payload_size;
		assert_int_equal(pkt_build(&p, buf, &size), 0);
		if (rng_below(&r, 20) == 0)
			buf[rng_below(&r, size)] ^= (uint8_t)(1u << rng_below(&r, 8));
		shoot(f, buf, size);
		f->clock.manual_ns += rng_below(&r, 2 * NSEC_PER_SEC);
		if (rng_below(&r, 500) == 0)
			assert_int_equal(
				sim_update(f->sim, table_model(f->t, models[rng_below(&r, ARRAY_LEN(models))])), 0);
	}
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_observed_backend),	 T(test_observed_affinity), T(test_observed_port),
		T(test_observed_port_of_closed), T(test_ports_used_up),	    T(test_connect_protocols),
		T(test_connect_from_node),	 T(test_hairpin_flag),	    T(test_own_choice_is_maglev),
		T(test_new_and_update_errors),	 T(test_no_room),	    T(test_branch_names),
		T(test_connections_expire),	 T(test_random_bytes),	    T(test_random_packets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
