/* SPDX-License-Identifier: GPL-2.0-or-later */
/* source/file/node.c, nodes.c: Node objects, nodes that are made up, and what is filled in. */
#include "source_case.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

#define SVC M_SERVICE("a", "ports: [{port: 80}]")

static const struct node *node(const struct source_case *c, const char *name)
{
	const struct node *n = snapshot_node(c->s, name);

	assert_non_null(n);
	return n;
}

static const char *cidr(const struct source_case *c, const char *name, enum ip_family fam)
{
	static char buf[2][IP_PREFIX_STR_MAX];

	return ip_prefix_format(&node(c, name)->pod_cidr[fam], buf[fam]);
}

static void test_made_up(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, SVC);
	assert_int_equal(snapshot_n_nodes(c.s), 2);
	assert_string_equal(case_ip(&node(&c, "node-1")->addr[IP_V4]), "172.30.0.11");
	assert_string_equal(case_ip(&node(&c, "node-2")->addr[IP_V6]), "fd00:172:30::c");
	assert_string_equal(cidr(&c, "node-2", IP_V4), "10.244.1.0/24");
	assert_string_equal(cidr(&c, "node-2", IP_V6), "fd00:10:244:1::/64");
	c.conf.n_nodes = 5;
	c.conf.pod_cidr[IP_V4] = "10.1.0.0/16";
	c.conf.pod_cidr[IP_V6] = "fd01::/48";
	c.conf.node_cidr[IP_V4] = "192.168.7.0/29";
	case_good(&c, SVC);
	assert_int_equal(snapshot_n_nodes(c.s), 5);
	assert_string_equal(cidr(&c, "node-5", IP_V4), "10.1.4.0/24");
	assert_string_equal(cidr(&c, "node-5", IP_V6), "fd01:0:0:4::/64");
	assert_string_equal(case_ip(&node(&c, "node-5")->addr[IP_V4]), "192.168.7.5");
	case_free(&c);
}

/* Names that Pods give are nodes before "node-1". */
static void test_made_up_by_name(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c,
		  "apiVersion: v1\n"
		  "kind: Pod\n"
		  "metadata: {name: p}\n"
		  "spec: {nodeName: worker-b, containers: []}\n",
		  M_WORKLOAD("Deployment", "d", "", "nodeSelector: {kubernetes.io/hostname: worker-a}, "));
	assert_int_equal(snapshot_n_nodes(c.s), 2);
	assert_string_equal(case_pods(&c), "d-0@worker-a p@worker-b");
	case_free(&c);
}

static void test_given(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, SVC, M_NODE("b", ""),
		  "---\n"
		  "apiVersion: v1\n"
		  "kind: Node\n"
		  "metadata: {name: a, labels: {topology.kubernetes.io/zone: east}}\n"
		  "spec: {podCIDR: 10.244.0.0/24, podCIDRs: [10.244.0.0/24, 'fd00:10:244::/64'], providerID: x}\n"
		  "status: {addresses: [{type: Hostname, address: a}, {type: InternalIP, address: 172.30.0.11}, "
		  "{type: InternalIP, address: 172.30.0.99}], capacity: {cpu: '4'}}\n");
	assert_int_equal(snapshot_n_nodes(c.s), 2);
	assert_string_equal(node(&c, "a")->zone, "east");
	assert_null(node(&c, "b")->zone);
	assert_string_equal(case_ip(&node(&c, "a")->addr[IP_V4]), "172.30.0.11"); /* the first of its family */
	assert_string_equal(case_ip(&node(&c, "a")->addr[IP_V6]),
			    "fd00:172:30::c"); /* filled in, in the order of the input */
	assert_string_equal(case_ip(&node(&c, "b")->addr[IP_V4]), "172.30.0.12"); /* not what another has */
	assert_string_equal(cidr(&c, "b", IP_V4), "10.244.1.0/24");
	assert_string_equal(cidr(&c, "b", IP_V6), "fd00:10:244:1::/64");
	case_free(&c);
}

/* Parts for many nodes, and larger parts for many pods. */
static void test_part_sizes(void **state)
{
	struct source_case c = {};

	(void)state;
	c.conf.n_nodes = 300;
	c.conf.node_cidr[IP_V4] = "172.30.0.0/16";
	case_good(&c, SVC);
	assert_string_equal(cidr(&c, "node-300", IP_V4), "10.244.149.128/25");
	assert_string_equal(cidr(&c, "node-300", IP_V6), "fd00:10:244:95:8000::/65");
	c.conf.n_nodes = 0;
	case_good(&c, M_WORKLOAD("Deployment", "d", "replicas: 5000, ", ""));
	assert_int_equal(snapshot_n_pods(c.s), 5000);
	assert_int_equal(c.report.n_pods_pending, 0);
	assert_string_equal(cidr(&c, "node-2", IP_V4), "10.244.32.0/19");
	case_free(&c);
}

static void test_too_small(void **state)
{
	struct source_case c = {};

	(void)state;
	c.conf.pod_cidr[IP_V4] = "10.1.0.0/28";
	c.conf.n_nodes = 3;
	case_load(&c, SVC);
	assert_int_equal(c.r, -ENOSPC);
	assert_string_equal(c.e.text, "is too small for 3 nodes");
	c.conf.pod_cidr[IP_V4] = NULL;
	c.conf.node_cidr[IP_V4] = "192.168.7.0/30";
	case_load(&c, SVC);
	assert_int_equal(c.r, -ENOSPC);
	assert_string_equal(c.e.text, "has too few IPv4 addresses for 3 nodes");
	case_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made_up),	   cmocka_unit_test(test_made_up_by_name), cmocka_unit_test(test_given),
		cmocka_unit_test(test_part_sizes), cmocka_unit_test(test_too_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
