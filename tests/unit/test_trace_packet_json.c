/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets as JSON lines: what is built, and how mistakes are named. */
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

static struct snapshot *make_snapshot(void)
{
	struct node node_fill = { .name = "node-a" };
	struct pod pod_fill = { .ns = "default", .name = "web", .node = "node-a", .ready = true };
	struct snapshot_edit *ed = NULL;
	struct snapshot *s = NULL;
	struct node *n = NULL;
	struct pod *p = NULL;

	assert_int_equal(ip_addr_parse("172.18.0.1", &node_fill.addr[IP_V4]), 0);
	assert_int_equal(ip_addr_parse("10.1.0.2", &pod_fill.addr[IP_V4]), 0);
	assert_int_equal(node_new(&node_fill, &n, NULL), 0);
	assert_int_equal(pod_new(&pod_fill, &p, NULL), 0);
	assert_int_equal(snapshot_edit_new(NULL, &ed), 0);
	assert_int_equal(snapshot_edit_put_node(ed, n, NULL), 0);
	assert_int_equal(snapshot_edit_put_pod(ed, p, NULL), 0);
	assert_int_equal(snapshot_edit_commit(ed, &s), 0);
	node_unref(n);
	pod_unref(p);
	return s;
}

static int setup(void **state)
{
	*state = make_snapshot();
	return 0;
}

static int teardown(void **state)
{
	snapshot_unref(*state);
	return 0;
}

static int parse(struct snapshot *s, const char *line, struct trace_packet *ret, struct err *e)
{
	*e = (struct err){};
	return trace_packet_parse_json(line, strlen(line), s, snapshot_node(s, "node-a"), ret, e);
}

static struct pkt must_parse(struct snapshot *s, const char *line, struct trace_packet *ret)
{
	struct pkt p;
	struct err e;

	if (parse(s, line, ret, &e) < 0)
		fail_msg("%s: %s: %s", line, e.path, e.text);
	assert_int_equal(pkt_parse(ret->buf, ret->size, &p), 0);
	assert_true(pkt_checksums_ok(ret->buf, ret->size));
	return p;
}

#define ENDS "\"src\":\"10.1.0.2\",\"dst\":\"10.96.0.10\",\"sport\":1000,\"dport\":80"
#define ENDS6 "\"src\":\"fd00::1\",\"dst\":\"fd00::2\",\"sport\":1000,\"dport\":80"

static void test_tcp(void **state)
{
	struct trace_packet out;
	struct pkt p = must_parse(*state, "{\"proto\":\"tcp\"," ENDS "}", &out);

	assert_int_equal(p.tcp_flags, TCP_FLAG_SYN);
	assert_int_equal(p.tcp_seq, 0);
	assert_int_equal(p.ttl, 64);
	assert_int_equal(p.t.sport, 1000);
	assert_int_equal(p.t.dport, 80);
	assert_int_equal(out.origin, TRACE_FROM_POD);
	p = must_parse(*state, "{\"proto\":\"TCP\"," ENDS6 ",\"flags\":\"PA\",\"payload\":\"hello\",\"ttl\":9}", &out);
	assert_int_equal(p.tcp_flags, TCP_FLAG_PSH | TCP_FLAG_ACK);
	assert_int_equal(p.tcp_seq, 1);
	assert_int_equal(p.tcp_ack, 1);
	assert_int_equal(p.ttl, 9);
	assert_int_equal(p.payload_size, 5);
	assert_memory_equal(p.payload, "hello", 5);
	assert_int_equal(out.origin, TRACE_FROM_OUTSIDE);
	p = must_parse(*state, "{\"proto\":\"tcp\"," ENDS ",\"flags\":\"\",\"seq\":5,\"ack\":6,\"window\":7}", &out);
	assert_int_equal(p.tcp_flags, 0);
	assert_int_equal(p.tcp_seq, 5);
	assert_int_equal(p.tcp_ack, 6);
	assert_int_equal(p.tcp_window, 7);
}

static void test_udp_sctp(void **state)
{
	struct trace_packet out;
	struct pkt p = must_parse(*state,
				  "{\"proto\":\"udp\",\"origin\":\"node\",\"after_ms\":20," ENDS
				  ",\"payload_hex\":\"00fF\"}",
				  &out);

	assert_int_equal(out.origin, TRACE_FROM_NODE);
	assert_int_equal(out.after_ms, 20);
	assert_int_equal(p.payload_size, 2);
	assert_memory_equal(p.payload, "\x00\xff", 2);
	p = must_parse(*state, "{\"proto\":\"sctp\"," ENDS "}", &out);
	assert_int_equal(p.sctp_vtag, 0);
	assert_int_equal(p.payload[0], 1);
	p = must_parse(*state, "{\"proto\":\"sctp\"," ENDS6 ",\"chunk\":\"data\"}", &out);
	assert_int_equal(p.sctp_vtag, TRACE_SCTP_TAG_SERVER);
	assert_int_equal(p.payload[0], 0);
}

static void test_icmp(void **state)
{
	struct trace_packet out;
	struct pkt p = must_parse(*state, "{\"proto\":\"icmp\",\"src\":\"172.18.0.1\",\"dst\":\"10.96.0.10\"}", &out);

	assert_int_equal(out.origin, TRACE_FROM_NODE);
	assert_int_equal(p.icmp_type, 8);
	p = must_parse(
		*state,
		"{\"proto\":\"icmp\",\"src\":\"203.0.113.1\",\"type\":3,\"code\":4,\"rest\":1400,\"quote\":{\"proto\":\"udp\"," ENDS
		"}}",
		&out);
	assert_int_equal(out.origin, TRACE_FROM_OUTSIDE);
	assert_int_equal(p.icmp_type, 3);
	assert_int_equal(p.icmp_code, 4);
	assert_true(p.has_inner);
	assert_int_equal(p.inner.dport, 80);
	assert_int_equal(p.inner.proto, IPPROTO_UDP);
	p = must_parse(*state, "{\"proto\":\"icmpv6\",\"src\":\"fd00::9\",\"quote\":{\"proto\":\"tcp\"," ENDS6 "}}",
		       &out);
	assert_int_equal(p.icmp_type, 1);
	assert_int_equal(p.icmp_code, 4);
}

/* What is printed for a bug report is the same packet. */
static void test_round_trip(void **state)
{
	static const char *const lines[] = {
		"{\"proto\":\"tcp\"," ENDS "}",
		"{\"proto\":\"sctp\",\"after_ms\":7," ENDS6 "}",
		"{\"origin\":\"pod\",\"raw\":\"45000001\"}",
	};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct trace_packet first, again;
		char *text = NULL;
		size_t size = 0;
		struct err e;
		FILE *f = open_memstream(&text, &size);

		assert_non_null(f);
		assert_int_equal(parse(*state, lines[i], &first, &e), 0);
		assert_int_equal(trace_packet_print_json(&first, f), 0);
		assert_int_equal(fclose(f), 0);
		assert_int_equal(parse(*state, text, &again, &e), 0);
		assert_int_equal(again.size, first.size);
		assert_memory_equal(again.buf, first.buf, first.size);
		assert_int_equal(again.origin, first.origin);
		assert_int_equal(again.after_ms, first.after_ms);
		free(text);
	}
}

static const struct {
	const char *line, *path, *text;
} wrong[] = {
	{ "", "", "no JSON object" },
	{ "[1]", "", "must be one JSON object" },
	{ "{\"proto\":\"tcp\"," ENDS "} x", "", "no JSON object" },
	{ "{" ENDS "}", "proto", "is missing" },
	{ "{\"proto\":\"gre\"," ENDS "}", "proto", "must be tcp" },
	{ "{\"proto\":6," ENDS "}", "proto", "must be a string" },
	{ "{\"proto\":\"tcp\",\"dst\":\"10.0.0.1\",\"sport\":1,\"dport\":2}", "src", "is missing" },
	{ "{\"proto\":\"tcp\",\"src\":\"web\",\"dst\":\"10.0.0.1\",\"sport\":1,\"dport\":2}", "src", "IP address" },
	{ "{\"proto\":\"tcp\",\"src\":\"fd00::1\",\"dst\":\"10.0.0.1\",\"sport\":1,\"dport\":2}", "dst",
	  "another address family" },
	{ "{\"proto\":\"tcp\",\"src\":\"10.0.0.2\",\"dst\":\"10.0.0.1\",\"sport\":1}", "dport", "is missing" },
	{ "{\"proto\":\"udp\"," ENDS ",\"flags\":\"S\"}", "flags", "no meaning" },
	{ "{\"proto\":\"tcp\"," ENDS ",\"flags\":\"SX\"}", "flags", "letters" },
	{ "{\"proto\":\"tcp\"," ENDS ",\"seq\":-1}", "seq", "whole number" },
	{ "{\"proto\":\"tcp\"," ENDS ",\"ttl\":1}", "ttl", "whole number from 2" },
	{ "{\"proto\":\"tcp\"," ENDS ",\"colour\":\"blue\"}", "", "unknown key \"colour\"" },
	{ "{\"proto\":\"tcp\"," ENDS ",\"origin\":\"moon\"}", "origin", "must be pod" },
	{ "{\"proto\":\"tcp\"," ENDS ",\"df\":1}", "df", "true or false" },
	{ "{\"proto\":\"tcp\"," ENDS6 ",\"id\":1}", "id", "IPv4 only" },
	{ "{\"proto\":\"udp\"," ENDS ",\"payload\":\"a\",\"payload_hex\":\"00\"}", "payload", "does not go with" },
	{ "{\"proto\":\"sctp\"," ENDS ",\"chunk\":\"hello\"}", "chunk", "must be init" },
	{ "{\"proto\":\"icmpv6\",\"src\":\"10.0.0.1\",\"dst\":\"10.0.0.2\"}", "proto", "another address family" },
	{ "{\"proto\":\"icmp\",\"src\":\"10.0.0.1\",\"quote\":1}", "quote", "must be an object" },
	{ "{\"proto\":\"icmp\",\"src\":\"10.0.0.1\",\"quote\":{\"proto\":\"udp\"," ENDS ",\"origin\":\"pod\"}}",
	  "quote.origin", "no meaning" },
	{ "{\"proto\":\"icmp\",\"src\":\"10.0.0.1\",\"dst\":\"10.0.0.9\",\"quote\":{\"proto\":\"udp\"," ENDS "}}",
	  "dst", "source of the quoted" },
	{ "{\"raw\":\"450\"}", "raw", "pairs" },
	{ "{\"raw\":\"4x\"}", "raw", "pairs" },
	{ "{\"raw\":\"\"}", "raw", "is empty" },
	{ "{\"raw\":\"45\",\"proto\":\"tcp\"}", "proto", "does not go with raw" },
};

static void test_wrong(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct trace_packet out = { .size = 77 };
		struct err e;

		assert_int_equal(parse(*state, wrong[i].line, &out, &e), -EINVAL);
		if (strcmp(e.path, wrong[i].path) != 0 || !strstr(e.text, wrong[i].text))
			fail_msg("%s: said \"%s: %s\", wanted \"%s: ... %s ...\"", wrong[i].line, e.path, e.text,
				 wrong[i].path, wrong[i].text);
		assert_int_equal(out.size, 77); /* untouched */
	}
}

static void test_too_long(void **state)
{
	char *line = malloc(TRACE_LINE_SIZE_MAX + 2);
	struct trace_packet out;
	struct err e;

	assert_non_null(line);
	memset(line, ' ', TRACE_LINE_SIZE_MAX + 1);
	line[TRACE_LINE_SIZE_MAX + 1] = '\0';
	assert_int_equal(parse(*state, line, &out, &e), -EINVAL);
	assert_non_null(strstr(e.text, "more than"));
	(void)snprintf(line, TRACE_LINE_SIZE_MAX, "{\"proto\":\"udp\"," ENDS ",\"payload\":\"%01600d\"}", 0);
	assert_int_equal(parse(*state, line, &out, &e), -EINVAL);
	assert_string_equal(e.path, "payload");
	free(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_tcp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_udp_sctp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_icmp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_long, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
