/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * source/file/endpoints.c, slice.c: endpoints out of pods, EndpointSlices and Endpoints (SEMANTICS
 * 1.2).
 */
#include "source_case.h"

#include <string.h>

#include "base/util.h"

#define TCP IPPROTO_TCP
#define PORT "ports: [{port: 80}]"
#define IP(n) "status: {podIP: 10.244.0." n "}\n"

static void test_selector(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, M_SERVICE("a", "selector: {app: x, tier: web}, " PORT), M_SERVICE("e", "selector: {}, " PORT),
		  "---\n"
		  "apiVersion: v1\n"
		  "kind: Pod\n"
		  "metadata: {name: both, labels: {app: x, tier: web, z: z}}\n"
		  "spec: {nodeName: node-1}\n" IP("7"),
		  "---\n"
		  "apiVersion: v1\n"
		  "kind: Pod\n"
		  "metadata: {name: one, labels: {app: x}}\n"
		  "spec: {nodeName: node-1}\n" IP("8"),
		  "---\n"
		  "apiVersion: v1\n"
		  "kind: Pod\n"
		  "metadata: {name: two, labels: {app: x, tier: db}}\n"
		  "spec: {nodeName: node-1}\n" IP("9"),
		  "---\n"
		  "apiVersion: v1\n"
		  "kind: Pod\n"
		  "metadata: {name: far, namespace: other, labels: {app: x, tier: web}}\n"
		  "spec: {}\n");
	assert_string_equal(case_endpoints(&c, "a", TCP, 80, IP_V4), "10.244.0.7:80@node-1 rs");
	assert_string_equal(case_endpoints(&c, "e", TCP, 80, IP_V4), ""); /* an empty selector selects nothing here */
	case_warns(&c, "Service default/e has no endpoints");
	case_free(&c);
}

static void test_families(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, M_SERVICE("four", "selector: {app: x}, " PORT),
		  M_SERVICE("six", "selector: {app: x}, ipFamilies: [IPv6], " PORT),
		  M_SERVICE("both", "selector: {app: x}, ipFamilyPolicy: PreferDualStack, " PORT), M_POD("p", "x", ""),
		  M_POD("q", "x", IP("7"))); /* q has an IPv4 address only */
	assert_string_equal(case_endpoints(&c, "four", TCP, 80, IP_V4),
			    "10.244.0.2:80@node-1 rs, 10.244.0.7:80@node-2 rs");
	assert_string_equal(case_endpoints(&c, "four", TCP, 80, IP_V6), "");
	assert_string_equal(case_endpoints(&c, "six", TCP, 80, IP_V4), "");
	assert_string_equal(case_endpoints(&c, "six", TCP, 80, IP_V6), "fd00:10:244::2:80@node-1 rs");
	assert_string_equal(case_endpoints(&c, "both", TCP, 80, IP_V4),
			    "10.244.0.2:80@node-1 rs, 10.244.0.7:80@node-2 rs");
	assert_string_equal(case_endpoints(&c, "both", TCP, 80, IP_V6), "fd00:10:244::2:80@node-1 rs");
	case_free(&c);
}

#define WITH_PORTS(name, ip, ports)                              \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: " name \
	", labels: {app: x}}\nspec: {nodeName: node-1, containers: [{name: c, ports: [" ports "]}]}\n" IP(ip)

/*
 * Each pod answers for itself which number a name means; who has no such port, or of another
 * protocol, is left out of this port.
 */
static void test_named_ports(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c,
		  M_SERVICE("a", "selector: {app: x}, ports: [{name: h, port: 80, targetPort: http}, "
				 "{name: d, port: 53, protocol: UDP, targetPort: http}, "
				 "{name: num, port: 90, targetPort: 9}, {name: s, port: 91}]"),
		  WITH_PORTS("p", "7", "{name: http, containerPort: 8080}"),
		  WITH_PORTS("q", "8",
			     "{name: http, containerPort: 53, protocol: UDP}, {name: http, "
			     "containerPort: 8081}"),
		  WITH_PORTS("r", "9", ""));
	assert_string_equal(case_endpoints(&c, "a", TCP, 80, IP_V4),
			    "10.244.0.7:8080@node-1 rs, 10.244.0.8:8081@node-1 rs");
	assert_string_equal(case_endpoints(&c, "a", IPPROTO_UDP, 53, IP_V4), "10.244.0.8:53@node-1 rs");
	assert_string_equal(case_endpoints(&c, "a", TCP, 90, IP_V4),
			    "10.244.0.7:9@node-1 rs, 10.244.0.8:9@node-1 rs, 10.244.0.9:9@node-1 rs");
	assert_string_equal(case_endpoints(&c, "a", TCP, 91, IP_V4),
			    "10.244.0.7:91@node-1 rs, 10.244.0.8:91@node-1 rs, 10.244.0.9:91@node-1 rs");
	assert_int_equal(c.report.n_warnings, 0);
	case_good(&c, M_SERVICE("a", "selector: {app: x}, ports: [{port: 80, targetPort: htpp}]"), M_POD("p", "x", ""));
	case_warns(&c, "Service default/a: no pod has an endpoint for port 80, named htpp");
	case_free(&c);
}

#define DYING(name, ip, ready)                                                                                  \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: " name                                                \
	", labels: {app: x}, deletionTimestamp: '2026-01-01T00:00:00Z'}\n"                                      \
	"spec: {nodeName: node-1}\nstatus: {podIP: 10.244.0." ip ", conditions: [{type: Ready, status: '" ready \
	"'}]}\n"
#define LIVING(name, ip, ready)                                                                                 \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: " name ", labels: {app: x}}\n"                        \
	"spec: {nodeName: node-1}\nstatus: {podIP: 10.244.0." ip ", conditions: [{type: Ready, status: '" ready \
	"'}]}\n"

static void test_conditions(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, M_SERVICE("a", "selector: {app: x}, " PORT),
		  M_SERVICE("all", "selector: {app: x}, publishNotReadyAddresses: true, " PORT),
		  LIVING("p", "7", "True"), LIVING("q", "8", "False"), DYING("r", "9", "True"),
		  DYING("s", "10", "False"));
	assert_string_equal(
		case_endpoints(&c, "a", TCP, 80, IP_V4),
		"10.244.0.7:80@node-1 rs, 10.244.0.8:80@node-1 , 10.244.0.9:80@node-1 st, 10.244.0.10:80@node-1 t");
	assert_string_equal(
		case_endpoints(&c, "all", TCP, 80, IP_V4),
		"10.244.0.7:80@node-1 rs, 10.244.0.8:80@node-1 r, 10.244.0.9:80@node-1 rst, 10.244.0.10:80@node-1 rt");
	case_free(&c);
}

static void test_host_network(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, M_SERVICE("a", "selector: {app: x}, ipFamilyPolicy: RequireDualStack, " PORT),
		  "---\n"
		  "apiVersion: v1\n"
		  "kind: Pod\n"
		  "metadata: {name: p, labels: {app: x}}\n"
		  "spec: {hostNetwork: true}\n");
	assert_string_equal(case_endpoints(&c, "a", TCP, 80, IP_V4), "172.30.0.11:80@node-1 rs");
	assert_string_equal(case_endpoints(&c, "a", TCP, 80, IP_V6), "fd00:172:30::b:80@node-1 rs");
	case_free(&c);
}

static void test_traffic_distribution(void **state)
{
	static const char nodes[] =
		"---\napiVersion: v1\nkind: Node\nmetadata: {name: n1, labels: {topology.kubernetes.io/zone: east}}\n";
	static const char *const words[] = { "PreferClose", "PreferSameZone", "PreferSameNode" };
	struct source_case c = {};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		const struct endpoint *ep;

		(void)snprintf(text, sizeof(text),
			       "%s" M_POD("p", "x", "") "---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
							"spec: {selector: {app: x}, trafficDistribution: %s, " PORT
							"}\n",
			       nodes, words[i]);
		case_good(&c, text);
		ep = &case_service(&c, "a")->ports[0].endpoints[IP_V4][0];
		assert_int_equal(ep->n_for_zones, 1);
		assert_string_equal(ep->for_zones[0], "east");
		assert_int_equal(ep->n_for_nodes, i == 2);
		assert_true(case_service(&c, "a")->features & 1u << SERVICE_FEATURE_TOPOLOGY);
	}
	/* Nodes without zone: no hint, so no topology. */
	case_good(&c, M_POD("p", "x", ""),
		  M_SERVICE("a", "selector: {app: x}, trafficDistribution: PreferSameZone, " PORT));
	assert_int_equal(case_service(&c, "a")->features, 0);
	case_free(&c);
}

/* ---- EndpointSlices ---- */

static void test_slices(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, M_SERVICE("a", PORT),
		  M_SLICE("s1", "a", "IPv4",
			  "ports: [{port: 8080}]\n"
			  "endpoints:\n"
			  "- {addresses: [10.1.0.1]}\n"
			  "- {addresses: [10.1.0.2], conditions: {}, nodeName: n1}\n"
			  "- {addresses: [10.1.0.3], conditions: {ready: false}}\n"
			  "- {addresses: [10.1.0.4], conditions: {ready: false, serving: true, terminating: true}}\n"
			  "- {addresses: [10.1.0.5], conditions: {ready: true, serving: null}, targetRef: "
			  "{kind: Pod}, zone: z, hostname: h}\n"
			  "- {addresses: [010.001.000.009]}\n"));
	assert_string_equal(case_endpoints(&c, "a", TCP, 80, IP_V4),
			    "10.1.0.1:8080@- rs, 10.1.0.2:8080@n1 rs, 10.1.0.3:8080@- , 10.1.0.4:8080@- st, "
			    "10.1.0.5:8080@- rs, 10.1.0.9:8080@- rs");
	assert_int_equal(c.report.n_warnings, 0);
	case_free(&c);
}

/*
 * Several slices of one Service: together, each endpoint once. Other families and FQDN do not
 * disturb.
 */
static void test_many_slices(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c,
		  M_SLICE("s1", "a", "IPv4",
			  "ports: [{port: 8080}]\n"
			  "endpoints: [{addresses: [10.1.0.2], conditions: {ready: false}}]\n"),
		  M_SLICE("s2", "a", "IPv4",
			  "ports: [{port: 8080}]\n"
			  "endpoints: [{addresses: [10.1.0.2]}, {addresses: [10.1.0.1]}]\n"),
		  M_SLICE("s3", "a", "IPv4",
			  "ports: [{port: 8081}]\n"
			  "endpoints: [{addresses: [10.1.0.2]}]\n"),
		  M_SLICE("s4", "a", "IPv6",
			  "ports: [{port: 8080}]\n"
			  "endpoints: [{addresses: ['fd00::1']}]\n"),
		  M_SLICE("s5", "a", "FQDN",
			  "ports: [{port: 8080}]\n"
			  "endpoints: [{addresses: [a.example.com]}]\n"),
		  M_SERVICE("a", PORT));
	assert_string_equal(case_endpoints(&c, "a", TCP, 80, IP_V4),
			    "10.1.0.1:8080@- rs, 10.1.0.2:8080@- rs, 10.1.0.2:8081@- rs");
	assert_string_equal(case_endpoints(&c, "a", TCP, 80, IP_V6), "");
	case_warns(&c, "EndpointSlice default/s5: addressType FQDN is passed over");
	case_free(&c);
}

static void test_slice_ports(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c,
		  M_SERVICE("a",
			    "ports: [{name: x, port: 80}, {name: w, port: 81}, {name: u, port: 80, protocol: UDP}]"),
		  M_SLICE("s1", "a", "IPv4",
			  "ports: [{name: x, port: 8080}, {name: u, port: 9, protocol: UDP}, {name: z, "
			  "port: 1}, {name: w}, "
			  "{name: w, port: 5, protocol: UDP}]\n"
			  "endpoints: [{addresses: [10.1.0.1]}]\n"));
	assert_string_equal(case_endpoints(&c, "a", TCP, 80, IP_V4), "10.1.0.1:8080@- rs");
	assert_string_equal(case_endpoints(&c, "a", IPPROTO_UDP, 80, IP_V4), "10.1.0.1:9@- rs");
	assert_string_equal(case_endpoints(&c, "a", TCP, 81, IP_V4), "");
	case_warns(&c, "EndpointSlice default/s1: Service a has no port \"z\" of this protocol");
	case_warns(&c, "EndpointSlice default/s1: Service a has no port \"w\" of this protocol");
	case_warns(&c, "EndpointSlice default/s1: a port without a number (all ports) is passed over");
	case_free(&c);
}

static void test_slice_hints(void **state)
{
	struct source_case c = {};
	const struct endpoint *ep;

	(void)state;
	case_good(&c, M_SERVICE("a", PORT),
		  M_SLICE("s1", "a", "IPv4",
			  "ports: [{port: 8080}]\n"
			  "endpoints: [{addresses: [10.1.0.1], hints: "
			  "{forZones: [{name: east}, {name: west}], forNodes: [{name: n1}]}}, {addresses: "
			  "[10.1.0.2], hints: {}}]\n"));
	ep = case_service(&c, "a")->ports[0].endpoints[IP_V4];
	assert_int_equal(ep[0].n_for_zones, 2);
	assert_string_equal(ep[0].for_zones[1], "west");
	assert_int_equal(ep[0].n_for_nodes, 1);
	assert_string_equal(ep[0].for_nodes[0], "n1");
	assert_int_equal(ep[1].n_for_zones + ep[1].n_for_nodes, 0);
	case_free(&c);
}

/* A dump: slices win over the selector, and over Endpoints. */
static void test_precedence(void **state)
{
	static const char pods[] = M_POD("p", "x", "");
	static const char svc[] = M_SERVICE("a", "selector: {app: x}, " PORT);
	static const char legacy[] =
		"---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: a}\nsubsets:\n- addresses: "
		"[{ip: 10.1.0.8, nodeName: n1, "
		"targetRef: {kind: Pod}}, {ip: 'fd00::8'}]\n  notReadyAddresses: [{ip: 10.1.0.9}]\n  "
		"ports: [{port: 8080}]\n";
	static const char slice[] =
		M_SLICE("s1", "a", "IPv4", "ports: [{port: 8080}]\nendpoints: [{addresses: [10.1.0.1]}]\n");
	static const char empty[] = M_SLICE("s1", "a", "IPv4", "ports: []\nendpoints: []\n");
	struct source_case c = {};
	char text[4096];

	(void)state;
	(void)snprintf(text, sizeof(text), "%s%s", pods, svc);
	case_good(&c, text);
	assert_string_equal(case_endpoints(&c, "a", TCP, 80, IP_V4), "10.244.0.2:80@node-1 rs");
	(void)snprintf(text, sizeof(text), "%s%s%s", pods, legacy, svc);
	case_good(&c, text);
	assert_string_equal(case_endpoints(&c, "a", TCP, 80, IP_V4), "10.1.0.8:8080@n1 rs, 10.1.0.9:8080@- ");
	(void)snprintf(text, sizeof(text), "%s%s%s%s", pods, legacy, svc, slice);
	case_good(&c, text);
	assert_string_equal(case_endpoints(&c, "a", TCP, 80, IP_V4), "10.1.0.1:8080@- rs");
	(void)snprintf(text, sizeof(text), "%s%s%s", pods, empty, svc);
	case_good(&c, text);
	assert_string_equal(case_endpoints(&c, "a", TCP, 80, IP_V4), "");
	case_free(&c);
}

static void test_strays(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, M_SERVICE("a", PORT), M_SERVICE("h", "clusterIP: None, " PORT),
		  M_SLICE("s1", "b", "IPv4", "endpoints: []\n"), M_SLICE("s2", "h", "IPv4", "endpoints: []\n"),
		  "---\n"
		  "apiVersion: discovery.k8s.io/v1\n"
		  "kind: EndpointSlice\n"
		  "metadata: {name: s3}\n"
		  "addressType: IPv4\n"
		  "endpoints: []\n");
	case_warns(&c, "EndpointSlice default/s1: there is no Service b");
	case_warns(&c, "EndpointSlice default/s3: no label kubernetes.io/service-name, so of no Service");
	case_warns(&c, "Service default/a has no endpoints: no selector, and no EndpointSlice of it");
	assert_int_equal(c.report.n_warnings, 3);
	case_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_selector),     cmocka_unit_test(test_families),
		cmocka_unit_test(test_named_ports),  cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_host_network), cmocka_unit_test(test_traffic_distribution),
		cmocka_unit_test(test_slices),	     cmocka_unit_test(test_many_slices),
		cmocka_unit_test(test_slice_ports),  cmocka_unit_test(test_slice_hints),
		cmocka_unit_test(test_precedence),   cmocka_unit_test(test_strays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
