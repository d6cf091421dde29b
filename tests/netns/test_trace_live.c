/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The live runner of trace with no target: a plain router, on which every packet of every kind must come out where and as it should. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "trace/trace.h"

#define NODE_V4 "172.18.0.1"
#define POD_V4 "10.1.0.2"
#define POD2_V4 "10.1.0.3"
#define NODE_V6 "fd00:172::1"
#define POD_V6 "fd00:10:1::2"
#define POD2_V6 "fd00:10:1::3"

struct world {
	struct snapshot *s;
	struct trace_runner *r;
};

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_int_equal(ip_addr_parse(text, &a), 0);
	return a;
}

static void put_pod(struct snapshot_edit *ed, const char *name, const char *v4, const char *v6)
{
	struct pod fill = { .ns = "default", .name = name, .node = "node-a", .ready = true };
	struct pod *p = NULL;

	fill.addr[IP_V4] = addr(v4);
	fill.addr[IP_V6] = addr(v6);
	assert_int_equal(pod_new(&fill, &p, NULL), 0);
	assert_int_equal(snapshot_edit_put_pod(ed, p, NULL), 0);
	pod_unref(p);
}

static struct snapshot *make_snapshot(void)
{
	struct node fill = { .name = "node-a" };
	struct snapshot_edit *ed = NULL;
	struct snapshot *s = NULL;
	struct node *n = NULL;

	fill.addr[IP_V4] = addr(NODE_V4);
	fill.addr[IP_V6] = addr(NODE_V6);
	assert_int_equal(ip_prefix_parse("10.1.0.0/16", &fill.pod_cidr[IP_V4]), 0);
	assert_int_equal(ip_prefix_parse("fd00:10:1::/64", &fill.pod_cidr[IP_V6]), 0);
	assert_int_equal(snapshot_edit_new(NULL, &ed), 0);
	assert_int_equal(node_new(&fill, &n, NULL), 0);
	assert_int_equal(snapshot_edit_put_node(ed, n, NULL), 0);
	node_unref(n);
	put_pod(ed, "client", POD_V4, POD_V6);
	put_pod(ed, "server", POD2_V4, POD2_V6);
	assert_int_equal(snapshot_edit_commit(ed, &s), 0);
	return s;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct err e = {};
	int r;

	assert_non_null(w);
	w->s = make_snapshot();
	r = trace_live_open(NULL, w->s, "node-a", &w->r, NULL, &e);
	if (r < 0)
		fail_msg("%s: %s (%s)", e.path, e.text, strerror(-r));
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	trace_close(w->r);
	snapshot_unref(w->s);
	free(w);
	return 0;
}

static void parse(struct world *w, const char *line, struct trace_packet *ret)
{
	struct err e = {};

	if (trace_packet_parse_json(line, strlen(line), w->s, snapshot_node(w->s, "node-a"), ret, &e) < 0)
		fail_msg("%s: %s: %s", line, e.path, e.text);
}

static void run(struct world *w, const struct trace_packet *p, struct trace_result *ret)
{
	struct err e = {};
	int r = trace_run(w->r, p, ret, &e);

	if (r < 0)
		fail_msg("%s: %s (%s)", e.path, e.text, strerror(-r));
}

/* TTL and header checksum aside, every byte is as it was. */
static void assert_same_bytes(const struct trace_packet *p, const struct trace_result *r)
{
	bool v6 = p->buf[0] >> 4 == 6;
	uint8_t in[TRACE_PACKET_SIZE_MAX], out[TRACE_PACKET_SIZE_MAX];

	assert_int_equal(r->out_size, p->size);
	memcpy(in, p->buf, p->size);
	memcpy(out, r->out_buf, p->size);
	assert_int_equal(out[v6 ? 7 : 8], in[v6 ? 7 : 8] - (r->forwarded ? 1 : 0));
	in[v6 ? 7 : 8] = out[v6 ? 7 : 8] = 0;
	if (!v6)
		memset(in + 10, 0, 2), memset(out + 10, 0, 2);
	assert_memory_equal(in, out, p->size);
}

static const struct {
	const char *line, *left_by;
	bool forwarded;
} passing[] = {
#define SEND(proto, src, dst, more) "{\"proto\":\"" proto "\",\"src\":\"" src "\",\"dst\":\"" dst "\"" more "}"
#define PORTS ",\"sport\":40000,\"dport\":80"
	{ SEND("tcp", POD_V4, POD2_V4, PORTS), "pod default/server", true },
	{ SEND("tcp", POD_V6, POD2_V6, PORTS), "pod default/server", true },
	{ SEND("udp", POD_V4, "203.0.113.1", PORTS ",\"payload\":\"x\""), "uplink", true },
	{ SEND("udp", POD_V6, "fd00:203::1", PORTS), "uplink", true },
	{ SEND("sctp", POD_V4, POD2_V4, PORTS), "pod default/server", true },
	{ SEND("sctp", POD_V6, POD2_V6, PORTS ",\"chunk\":\"data\""), "pod default/server", true },
	{ SEND("icmp", POD_V4, POD2_V4, ",\"payload\":\"ping\""), "pod default/server", true },
	{ SEND("icmpv6", POD_V6, POD2_V6, ""), "pod default/server", true },
	/* Out by where it came in. */
	{ SEND("udp", "203.0.113.1", "203.0.113.2", PORTS), "uplink", true },
	{ SEND("udp", "fd00:203::1", "fd00:203::2", PORTS), "uplink", true },
	{ SEND("tcp", "203.0.113.1", POD_V4, PORTS), "pod default/client", true },
	/* To the node itself, where nobody listens; and that is not a refusal of the target. */
	{ SEND("tcp", POD_V4, NODE_V4, PORTS), "node", false },
	{ SEND("tcp", POD_V6, NODE_V6, PORTS), "node", false },
	{ SEND("udp", POD_V4, NODE_V4, PORTS), "node", false },
	{ SEND("udp", "fd00:203::1", NODE_V6, PORTS ",\"payload\":\"x\""), "node", false },
	{ SEND("sctp", POD_V4, NODE_V4, PORTS), "node", false },
	{ SEND("icmp", POD_V4, NODE_V4, ""), "node", false },
	{ SEND("icmpv6", POD_V6, NODE_V6, ""), "node", false },
	/* From the node. */
	{ SEND("tcp", NODE_V4, POD_V4, PORTS ",\"flags\":\"SA\""), "pod default/client", false },
	{ SEND("tcp", NODE_V6, POD_V6, PORTS), "pod default/client", false },
	{ SEND("udp", NODE_V4, "203.0.113.1", PORTS), "uplink", false },
	{ SEND("udp", NODE_V6, "fd00:203::1", PORTS), "uplink", false },
	{ SEND("tcp", NODE_V4, NODE_V4, PORTS), "node", false },
	{ SEND("udp", NODE_V6, NODE_V6, PORTS), "node", false },
	{ SEND("sctp", NODE_V4, POD2_V4, PORTS), "pod default/server", false },
};

static void test_pass(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(passing); i++) {
		struct trace_packet p;
		struct trace_result r;

		print_message("%s\n", passing[i].line);
		parse(w, passing[i].line, &p);
		run(w, &p, &r);
		assert_string_equal(verdict_name(r.verdict), "pass");
		assert_string_equal(reason_name(r.reason), "not-service");
		assert_string_equal(r.left_by, passing[i].left_by);
		assert_int_equal(r.forwarded, passing[i].forwarded);
		assert_true(r.has_out);
		assert_same_bytes(&p, &r);
		assert_true(pkt_checksums_ok(r.out_buf, r.out_size));
	}
}

static void test_icmp_error(void **state)
{
	static const char line[] =
		"{\"proto\":\"icmp\",\"src\":\"203.0.113.9\",\"type\":3,\"code\":1,\"quote\":{\"proto\":\"udp\","
		"\"src\":\"" POD_V4 "\",\"sport\":1000,\"dst\":\"203.0.113.1\",\"dport\":53,\"payload\":\"abc\"}}";
	struct world *w = *state;
	struct trace_packet p;
	struct trace_result r;

	parse(w, line, &p);
	assert_int_equal(p.origin, TRACE_FROM_OUTSIDE);
	run(w, &p, &r);
	assert_int_equal(r.verdict, VERDICT_PASS);
	assert_string_equal(r.left_by, "pod default/client");
	assert_same_bytes(&p, &r);
}

/* What a router drops: it is known without waiting, and many times in a row. */
static void test_drop(void **state)
{
	struct world *w = *state;
	struct trace_packet p;
	struct trace_result r;

	for (int i = 0; i < 200; i++) {
		parse(w, passing[0].line, &p);
		if (i % 3 == 0)
			p.buf[10] ^= 0x55; /* header checksum */
		else if (i % 3 == 1)
			p.buf[3] += 8; /* longer than it is */
		else
			p.buf[0] = 0x42; /* header of eight bytes */
		run(w, &p, &r);
		assert_int_equal(r.verdict, VERDICT_DROP);
		assert_int_equal(r.reason, REASON_MALFORMED);
		assert_false(r.has_out);
		parse(w, passing[0].line, &p);
		run(w, &p, &r);
		assert_int_equal(r.verdict, VERDICT_PASS);
	}
}

/* A pod that comes is reached, one that goes is not. */
static void test_update(void **state)
{
	struct world *w = *state;
	struct snapshot_edit *ed = NULL;
	struct snapshot *next = NULL;
	struct trace_packet p;
	struct trace_result r;
	struct err e = {};

	assert_int_equal(snapshot_edit_new(w->s, &ed), 0);
	put_pod(ed, "third", "10.1.0.9", "fd00:10:1::9");
	assert_int_equal(snapshot_edit_del_pod(ed, "default", "server"), 0);
	assert_int_equal(snapshot_edit_commit(ed, &next), 0);
	if (trace_update(w->r, next, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	snapshot_unref(w->s);
	w->s = next;
	parse(w, SEND("tcp", POD_V6, "fd00:10:1::9", PORTS), &p);
	run(w, &p, &r);
	assert_string_equal(r.left_by, "pod default/third");
	parse(w, passing[0].line, &p);
	run(w, &p, &r);
	assert_string_equal(r.left_by, "uplink");
	parse(w, "{\"origin\":\"pod\",\"proto\":\"udp\",\"src\":\"" POD2_V4 "\",\"dst\":\"" POD_V4 "\"" PORTS "}", &p);
	assert_int_equal(trace_run(w->r, &p, &r, &e), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pass, setup, teardown),
		cmocka_unit_test_setup_teardown(test_icmp_error, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_update, setup, teardown),
	};
	struct snapshot *s = make_snapshot();
	struct trace_runner *r = NULL;
	struct err e = {};
	int open = trace_live_open(NULL, s, "node-a", &r, NULL, &e);

	trace_close(r);
	snapshot_unref(s);
	if (open == -EPERM) {
		printf("SKIP: %s\n", e.text);
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
