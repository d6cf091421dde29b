/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * source/file/service.c, service_port.c: what of a Service reaches the model. What is refused:
 * fixtures/bad, test_source_load.c.
 */
#include "source_case.h"

#include <string.h>

#include "base/util.h"

#define PORT "ports: [{port: 80}]"
#define BIT(x) (1u << (x))

static void test_families(void **state)
{
	static const struct {
		const char *spec;
		bool want[IP_FAMILY_MAX];
	} rows[] = {
		{ PORT, { true, false } },
		{ PORT ", ipFamilyPolicy: SingleStack", { true, false } },
		{ PORT ", ipFamilyPolicy: PreferDualStack", { true, true } },
		{ PORT ", ipFamilyPolicy: RequireDualStack", { true, true } },
		{ PORT ", ipFamilies: [IPv6]", { false, true } },
		{ PORT ", ipFamilies: [IPv6], ipFamilyPolicy: PreferDualStack", { true, true } },
		{ PORT ", ipFamilies: [IPv6, IPv4], ipFamilyPolicy: RequireDualStack", { true, true } },
		{ PORT ", clusterIP: 'fd00:10:96::77'", { false, true } },
		{ PORT ", clusterIP: 10.96.0.77", { true, false } },
		{ PORT ", clusterIP: ''", { true, false } },
		{ PORT ", clusterIPs: [10.96.0.77], ipFamilyPolicy: PreferDualStack", { true, true } },
		{ PORT ", clusterIPs: ['fd00:10:96::77', 10.96.0.77], ipFamilyPolicy: PreferDualStack",
		  { true, true } },
	};
	struct source_case c = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[512];

		(void)snprintf(text, sizeof(text), "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {%s}\n",
			       rows[i].spec);
		case_good(&c, text);
		for (enum ip_family fam = 0; fam < IP_FAMILY_MAX; fam++) {
			const struct ip_addr *a = &case_service(&c, "a")->cluster_ip[fam];

			assert_int_equal(ip_addr_is_set(a), rows[i].want[fam]);
			if (strstr(rows[i].spec, "77") && (fam == IP_V6) == !!strstr(rows[i].spec, "fd00"))
				assert_string_equal(case_ip(a), fam == IP_V6 ? "fd00:10:96::77" : "10.96.0.77");
		}
	}
	case_free(&c);
}

static void test_ipv4_only(void **state)
{
	struct source_case c = { .conf = { .ipv4_only = true } };

	(void)state;
	case_good(&c, M_SERVICE("a", PORT ", ipFamilyPolicy: RequireDualStack"),
		  M_SERVICE("b", PORT ", ipFamilies: [IPv6]"), M_POD("p", "x", ""));
	assert_true(ip_addr_is_set(&case_service(&c, "a")->cluster_ip[IP_V4]));
	assert_false(ip_addr_is_set(&case_service(&c, "a")->cluster_ip[IP_V6]));
	assert_null(snapshot_service(c.s, "default", "b"));
	case_warns(&c, "Service default/b is left out: it is IPv6 only");
	assert_false(ip_addr_is_set(&case_pod(&c, "p")->addr[IP_V6]));
	assert_false(ip_addr_is_set(&snapshot_node(c.s, "node-1")->addr[IP_V6]));
	case_free(&c);
}

static void test_facets_and_features(void **state)
{
	const uint32_t ip = BIT(SERVICE_FACET_CLUSTER_IP), np = BIT(SERVICE_FACET_NODE_PORT),
		       lb = BIT(SERVICE_FACET_LOAD_BALANCER);
	const uint32_t ext = BIT(SERVICE_FACET_EXTERNAL_IP);
	const struct {
		const char *spec;
		uint32_t facets, features;
	} rows[] = {
		{ PORT, ip, 0 },
		{ PORT ", type: NodePort", ip | np, 0 },
		{ PORT ", type: LoadBalancer", ip | np | lb, 0 },
		{ PORT ", type: LoadBalancer, allocateLoadBalancerNodePorts: false", ip | lb, 0 },
		{ "ports: [{port: 80, nodePort: 30000}], type: LoadBalancer, allocateLoadBalancerNodePorts: false",
		  ip | np | lb, 0 },
		{ PORT ", externalIPs: [192.0.2.1]", ip | ext, 0 },
		{ PORT ", externalIPs: []", ip, 0 },
		{ PORT ", type: NodePort, externalTrafficPolicy: Local", ip | np, BIT(SERVICE_FEATURE_EXTERNAL_LOCAL) },
		{ PORT ", type: NodePort, externalTrafficPolicy: Cluster", ip | np, 0 },
		{ PORT ", internalTrafficPolicy: Local", ip, BIT(SERVICE_FEATURE_INTERNAL_LOCAL) },
		{ PORT ", internalTrafficPolicy: Cluster", ip, 0 },
		{ PORT ", type: LoadBalancer, loadBalancerSourceRanges: [' 10.0.0.0/8 ']", ip | np | lb,
		  BIT(SERVICE_FEATURE_SOURCE_RANGES) },
		{ PORT ", type: LoadBalancer, loadBalancerSourceRanges: []", ip | np | lb, 0 },
		{ "ports: [{port: 80, protocol: SCTP}]", ip, BIT(SERVICE_FEATURE_SCTP) },
		{ PORT ", sessionAffinity: ClientIP", ip, BIT(SERVICE_FEATURE_AFFINITY) },
		{ PORT ", sessionAffinity: None", ip, 0 },
		{ PORT ", loadBalancerIP: 192.0.2.9, healthCheckNodePort: 0, loadBalancerClass: x/y", ip, 0 },
	};
	struct source_case c = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[512];

		(void)snprintf(text, sizeof(text), "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {%s}\n",
			       rows[i].spec);
		case_good(&c, text);
		assert_int_equal(case_service(&c, "a")->facets, rows[i].facets);
		assert_int_equal(case_service(&c, "a")->features, rows[i].features);
	}
	case_free(&c);
}

static void test_affinity_timeout(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, M_SERVICE("a", PORT ", sessionAffinity: ClientIP"),
		  M_SERVICE("b", PORT
			    ", sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 86400}}"),
		  M_SERVICE("c", PORT ", sessionAffinity: ClientIP, sessionAffinityConfig: {}"), M_SERVICE("d", PORT));
	assert_int_equal(case_service(&c, "a")->affinity_timeout_s, SERVICE_AFFINITY_TIMEOUT_DEFAULT_S);
	assert_int_equal(case_service(&c, "b")->affinity_timeout_s, 86400);
	assert_int_equal(case_service(&c, "c")->affinity_timeout_s, SERVICE_AFFINITY_TIMEOUT_DEFAULT_S);
	assert_int_equal(case_service(&c, "d")->affinity_timeout_s, 0);
	case_free(&c);
}

/* SEMANTICS 1.2.1 */
static void test_skipped(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, M_SERVICE("none", "clusterIP: None"),
		  M_SERVICE("nones", "clusterIPs: [None], clusterIP: None, " PORT),
		  M_SERVICE("name", "type: ExternalName, externalName: a.example.com"), M_SERVICE("a", PORT),
		  "---\n"
		  "apiVersion: v1\n"
		  "kind: Service\n"
		  "metadata: {name: other, labels: "
		  "{service.kubernetes.io/service-proxy-name: foo}}\n"
		  "spec: {clusterIP: 10.96.0.9, " PORT "}\n",
		  "---\n"
		  "apiVersion: v1\n"
		  "kind: Service\n"
		  "metadata: {name: labelled, labels: "
		  "{service.kubernetes.io/headless: ''}}\n"
		  "spec: {" PORT "}\n");
	assert_int_equal(snapshot_n_services(c.s), 1);
	assert_int_equal(c.report.n_headless, 3);
	assert_int_equal(c.report.n_external_name, 1);
	assert_int_equal(c.report.n_other_proxy, 1);
	assert_int_equal(c.report.kinds[0].n, 6);
	case_free(&c);
}

static void test_ports(void **state)
{
	struct source_case c = {};
	const struct service *s;

	(void)state;
	case_good(&c,
		  M_SERVICE("a", "ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53}, "
				 "{name: d, port: 3868, protocol: SCTP, "
				 "appProtocol: x}]"),
		  M_SERVICE("b", "ports: [{port: 0x50}]"));
	s = case_service(&c, "a");
	assert_int_equal(s->n_ports, 3);
	assert_string_equal(s->ports[0].name, "dns");
	assert_int_equal(s->ports[0].proto, IPPROTO_UDP);
	assert_int_equal(s->ports[1].proto, IPPROTO_TCP);
	assert_int_equal(s->ports[2].proto, IPPROTO_SCTP);
	assert_int_equal(s->ports[2].port, 3868);
	assert_string_equal(case_service(&c, "b")->ports[0].name, "");
	assert_int_equal(case_service(&c, "b")->ports[0].port, 80);
	case_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_ipv4_only),
		cmocka_unit_test(test_facets_and_features),
		cmocka_unit_test(test_affinity_timeout),
		cmocka_unit_test(test_skipped),
		cmocka_unit_test(test_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
