/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --from, --to, --proto, --node into addresses and ports, and what is said when they fit nothing. */
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

static void set_addr(struct ip_addr *a, const char *text)
{
	if (text)
		assert_int_equal(ip_addr_parse(text, a), 0);
}

static void put_node(struct snapshot_edit *ed, const char *name, const char *v4, const char *v6)
{
	struct node fill = { .name = name };
	struct node *n = NULL;

	set_addr(&fill.addr[IP_V4], v4);
	set_addr(&fill.addr[IP_V6], v6);
	assert_int_equal(node_new(&fill, &n, NULL), 0);
	assert_int_equal(snapshot_edit_put_node(ed, n, NULL), 0);
	node_unref(n);
}

static void put_pod(struct snapshot_edit *ed, const char *ns, const char *name, const char *node, const char *v4,
		    const char *v6)
{
	struct pod fill = { .ns = ns, .name = name, .node = node, .ready = true };
	struct pod *p = NULL;

	set_addr(&fill.addr[IP_V4], v4);
	set_addr(&fill.addr[IP_V6], v6);
	assert_int_equal(pod_new(&fill, &p, NULL), 0);
	assert_int_equal(snapshot_edit_put_pod(ed, p, NULL), 0);
	pod_unref(p);
}

static void put_service(struct snapshot_edit *ed, const char *ns, const char *name, const char *v4, const char *v6,
			const struct service_port *ports, size_t n_ports)
{
	struct service fill = {
		.ns = ns, .name = name, .facets = 1u << SERVICE_FACET_CLUSTER_IP, .ports = ports, .n_ports = n_ports
	};
	struct service *svc = NULL;

	set_addr(&fill.cluster_ip[IP_V4], v4);
	set_addr(&fill.cluster_ip[IP_V6], v6);
	assert_int_equal(service_new(&fill, &svc, NULL), 0);
	assert_int_equal(snapshot_edit_put_service(ed, svc, NULL), 0);
	service_unref(svc);
}

static int setup(void **state)
{
	static const struct service_port web[] = { { .name = "", .proto = IPPROTO_TCP, .port = 80 } };
	static const struct service_port dns[] = {
		{ .name = "dns", .proto = IPPROTO_UDP, .port = 53 },
		{ .name = "dns-tcp", .proto = IPPROTO_TCP, .port = 53 },
		{ .name = "metrics", .proto = IPPROTO_TCP, .port = 9153 },
	};
	struct snapshot_edit *ed = NULL;
	struct snapshot *s = NULL;

	assert_int_equal(snapshot_edit_new(NULL, &ed), 0);
	put_node(ed, "node-a", "172.18.0.1", "fd00:172::1");
	put_node(ed, "node-b", "172.18.0.2", NULL);
	put_pod(ed, "default", "web-0", "node-a", "10.1.0.2", "fd00:10:1::2");
	put_pod(ed, "shop", "cart-0", "node-b", "10.2.0.2", NULL);
	put_pod(ed, "shop", "twin", "node-a", "10.1.0.8", NULL);
	put_pod(ed, "test", "twin", "node-a", "10.1.0.9", NULL);
	put_service(ed, "default", "web", "10.96.0.10", "fd00:96::a", web, ARRAY_LEN(web));
	put_service(ed, "kube-system", "dns", "10.96.0.11", NULL, dns, ARRAY_LEN(dns));
	put_service(ed, "shop", "six", NULL, "fd00:96::c", web, ARRAY_LEN(web));
	assert_int_equal(snapshot_edit_commit(ed, &s), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	snapshot_unref(*state);
	return 0;
}

static const struct {
	struct trace_request req;
	const char *node, *src, *dst;
	enum trace_origin origin;
	uint16_t sport, dport;
	uint8_t proto;
} right[] = {
	{ { .from = "web-0", .to = "web" }, "node-a", "10.1.0.2", "10.96.0.10", TRACE_FROM_POD, 40000, 80, IPPROTO_TCP },
	{ { .from = "default/web-0:5000", .to = "default/web:80" },
	  "node-a",
	  "10.1.0.2",
	  "10.96.0.10",
	  TRACE_FROM_POD,
	  5000,
	  80,
	  IPPROTO_TCP },
	{ { .from = "cart-0", .to = "dns:dns" },
	  "node-b",
	  "10.2.0.2",
	  "10.96.0.11",
	  TRACE_FROM_POD,
	  40000,
	  53,
	  IPPROTO_UDP },
	{ { .from = "cart-0", .to = "dns:53", .proto = "TCP" },
	  "node-b",
	  "10.2.0.2",
	  "10.96.0.11",
	  TRACE_FROM_POD,
	  40000,
	  53,
	  IPPROTO_TCP },
	{ { .from = "cart-0", .to = "dns", .proto = "udp" },
	  "node-b",
	  "10.2.0.2",
	  "10.96.0.11",
	  TRACE_FROM_POD,
	  40000,
	  53,
	  IPPROTO_UDP },
	{ { .from = "cart-0", .to = "dns:9999" },
	  "node-b",
	  "10.2.0.2",
	  "10.96.0.11",
	  TRACE_FROM_POD,
	  40000,
	  9999,
	  IPPROTO_TCP },
	{ { .from = "web-0", .to = "shop/six" },
	  "node-a",
	  "fd00:10:1::2",
	  "fd00:96::c",
	  TRACE_FROM_POD,
	  40000,
	  80,
	  IPPROTO_TCP },
	{ { .to = "web" }, "node-a", "172.18.0.1", "10.96.0.10", TRACE_FROM_NODE, 40000, 80, IPPROTO_TCP },
	{ { .from = "node", .to = "web", .node = "node-b" },
	  "node-b",
	  "172.18.0.2",
	  "10.96.0.10",
	  TRACE_FROM_NODE,
	  40000,
	  80,
	  IPPROTO_TCP },
	{ { .from = "203.0.113.1:77", .to = "10.96.0.10:80" },
	  "node-a",
	  "203.0.113.1",
	  "10.96.0.10",
	  TRACE_FROM_OUTSIDE,
	  77,
	  80,
	  IPPROTO_TCP },
	{ { .from = "10.2.0.2", .to = "8.8.8.8:53", .proto = "udp" },
	  "node-b",
	  "10.2.0.2",
	  "8.8.8.8",
	  TRACE_FROM_POD,
	  40000,
	  53,
	  IPPROTO_UDP },
	{ { .from = "10.2.0.2", .to = "web", .node = "node-a" },
	  "node-a",
	  "10.2.0.2",
	  "10.96.0.10",
	  TRACE_FROM_OUTSIDE,
	  40000,
	  80,
	  IPPROTO_TCP },
	{ { .from = "[fd00::9]:5", .to = "[fd00:96::a]:80" },
	  "node-a",
	  "fd00::9",
	  "fd00:96::a",
	  TRACE_FROM_OUTSIDE,
	  5,
	  80,
	  IPPROTO_TCP },
	{ { .from = "fd00::9", .to = "fd00:96::a" },
	  "node-a",
	  "fd00::9",
	  "fd00:96::a",
	  TRACE_FROM_OUTSIDE,
	  40000,
	  80,
	  IPPROTO_TCP },
};

static void test_right(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(right); i++) {
		char src[IP_ADDR_STR_MAX], dst[IP_ADDR_STR_MAX];
		struct trace_packet packet;
		struct trace_flow f = {};
		struct err e = {};
		struct pkt p;

		if (trace_request_resolve(*state, &right[i].req, &f, &e) < 0)
			fail_msg("row %zu: %s: %s", i, e.path, e.text);
		assert_string_equal(f.node->name, right[i].node);
		assert_string_equal(ip_addr_format(&f.t.src, src), right[i].src);
		assert_string_equal(ip_addr_format(&f.t.dst, dst), right[i].dst);
		assert_int_equal(f.origin, right[i].origin);
		assert_int_equal(f.t.sport, right[i].sport);
		assert_int_equal(f.t.dport, right[i].dport);
		assert_int_equal(f.t.proto, right[i].proto);
		assert_int_equal(f.count, 1);
		assert_int_equal(trace_flow_packet(&f, 3, &packet), 0);
		assert_int_equal(pkt_parse(packet.buf, packet.size, &p), 0);
		assert_int_equal(p.t.sport, right[i].sport + 3);
		assert_int_equal(packet.origin, right[i].origin);
	}
}

static const struct {
	struct trace_request req;
	int code;
	const char *path, *text;
} wrong[] = {
	{ { .from = "web-0" }, -EINVAL, "--to", "is missing" },
	{ { .from = "nobody", .to = "web" }, -ENOENT, "--from", "no pod nobody; there is default/web-0" },
	{ { .from = "twin", .to = "web" }, -EINVAL, "--from", "2 pods are called twin: shop/twin, test/twin" },
	{ { .from = "web-0:http", .to = "web" }, -EINVAL, "--from", "no port number" },
	{ { .from = "web-0:70000", .to = "web" }, -EINVAL, "--from", "not in 1..65535" },
	{ { .from = "[10.0.0.1]:5", .to = "web" }, -EINVAL, "--from", "no IPv6 address" },
	{ { .from = "web-0", .to = "wep" }, -ENOENT, "--to", "no Service wep; there is default/web" },
	{ { .from = "web-0", .to = "web:" }, -EINVAL, "--to", "no port behind the colon" },
	{ { .from = "web-0", .to = "dns" }, -ENOENT, "--to", "several ports: name one; it has dns:53/udp" },
	{ { .from = "web-0", .to = "dns:http" }, -ENOENT, "--to", "has no port http; it has dns:53/udp" },
	{ { .from = "web-0", .to = "dns:53" }, -ENOENT, "--to", "several protocols" },
	{ { .from = "web-0", .to = "dns", .proto = "sctp" }, -ENOENT, "--to", "no port of this protocol" },
	{ { .from = "web-0", .to = "8.8.8.8" }, -EINVAL, "--to", "needs a port number" },
	{ { .from = "web-0", .to = "web", .proto = "icmp" }, -EINVAL, "--proto", "not tcp, udp or sctp" },
	{ { .from = "web-0", .to = "web", .node = "node-z" },
	  -ENOENT,
	  "--node",
	  "no node node-z; there is node-a, node-b" },
	{ { .from = "cart-0", .to = "shop/six" }, -EINVAL, "--to", "no address family in common" },
	{ { .from = "web-0:65535", .to = "web", .count = 2 }, -EINVAL, "--count", "do not suffice" },
};

static void test_wrong(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct trace_flow f = { .count = 77 };
		struct err e = {};
		int r = trace_request_resolve(*state, &wrong[i].req, &f, &e);

		if (r != wrong[i].code || strcmp(e.path, wrong[i].path) != 0 || !strstr(e.text, wrong[i].text))
			fail_msg("row %zu: %d %s: %s", i, r, e.path, e.text);
		assert_int_equal(f.count, 77); /* untouched */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_right, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
