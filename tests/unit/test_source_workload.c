/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * source/file/workload.c, pods.c: workloads to pods: how many, what they carry, their names, nodes
 * and addresses.
 */
#include "source_case.h"

#include <string.h>

#include "base/str.h"
#include "base/util.h"
#include "source/file/load.h"

static void test_kinds(void **state)
{
	struct source_case c = {};

	(void)state;
	c.conf.n_nodes = 3;
	case_good(&c, M_WORKLOAD("Deployment", "d", "", ""), M_WORKLOAD("ReplicaSet", "r", "replicas: 2, ", ""),
		  M_WORKLOAD("StatefulSet", "s", "replicas: 2, ", ""), M_WORKLOAD("DaemonSet", "e", "", ""),
		  M_WORKLOAD("Deployment", "z", "replicas: 0, ", ""), M_POD("p", "x", ""));
	assert_string_equal(
		case_pods(&c),
		"d-0@node-1 e-0@node-1 e-1@node-2 e-2@node-3 p@node-1 r-0@node-2 r-1@node-3 s-0@node-2 s-1@node-3");
	assert_string_equal(case_pod(&c, "d-0")->workload, "Deployment/d");
	assert_null(case_pod(&c, "p")->workload);
	assert_true(case_pod(&c, "d-0")->ready);
	assert_false(case_pod(&c, "d-0")->terminating);
	case_free(&c);
}

/* Replicas of one workload on different nodes; the sum over all is even to one pod. */
static void test_spread(void **state)
{
	struct source_case c = {};
	size_t n[3] = {}, of_b[3] = {};
	const struct pod **pods = NULL;
	size_t n_pods = 0;

	(void)state;
	c.conf.n_nodes = 3;
	case_good(&c, M_WORKLOAD("Deployment", "a", "replicas: 4, ", ""),
		  M_WORKLOAD("Deployment", "b", "replicas: 5, ", ""), M_WORKLOAD("Deployment", "c", "", ""),
		  M_WORKLOAD("Deployment", "d", "", ""), M_WORKLOAD("StatefulSet", "e", "", ""));
	assert_int_equal(snapshot_sorted_pods(c.s, &pods, &n_pods), 0);
	for (size_t i = 0; i < n_pods; i++) {
		size_t at = (size_t)(pods[i]->node[5] - '1');

		n[at]++;
		of_b[at] += pods[i]->name[0] == 'b';
	}
	free(pods);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(n[i], 4);
		assert_in_range(of_b[i], 1, 2);
	}
	case_free(&c);
}

static void test_addresses(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c,
		  M_POD("given", "x",
			"status: {podIP: 10.244.0.3, podIPs: [{ip: 10.244.0.3}, {ip: 'fd00:10:244::9'}]}\n"),
		  M_WORKLOAD("Deployment", "d", "replicas: 3, ", "nodeName: node-1, "),
		  M_WORKLOAD("Deployment", "h", "", "hostNetwork: true, nodeName: node-1, "));
	assert_string_equal(case_ip(&case_pod(&c, "given")->addr[IP_V4]), "10.244.0.3");
	assert_string_equal(case_ip(&case_pod(&c, "given")->addr[IP_V6]), "fd00:10:244::9");
	assert_string_equal(case_ip(&case_pod(&c, "d-0")->addr[IP_V4]), "10.244.0.2"); /* .1 is the gateway's */
	assert_string_equal(case_ip(&case_pod(&c, "d-1")->addr[IP_V4]), "10.244.0.4"); /* .3 is taken */
	assert_string_equal(case_ip(&case_pod(&c, "d-2")->addr[IP_V4]), "10.244.0.5");
	assert_string_equal(case_ip(&case_pod(&c, "d-0")->addr[IP_V6]), "fd00:10:244::2");
	assert_true(case_pod(&c, "h-0")->host_network);
	assert_true(ip_addr_eq(&case_pod(&c, "h-0")->addr[IP_V4], &snapshot_node(c.s, "node-1")->addr[IP_V4]));
	assert_true(ip_addr_eq(&case_pod(&c, "h-0")->addr[IP_V6], &snapshot_node(c.s, "node-1")->addr[IP_V6]));
	case_free(&c);
}

/* What finds no address waits; the last address of an IPv4 CIDR is its broadcast address. */
static void test_full(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, M_NODE("a", "spec: {podCIDR: 10.1.0.0/29}\n"),
		  M_WORKLOAD("Deployment", "d", "replicas: 2000000000, ", ""),
		  M_WORKLOAD("DaemonSet", "h", "", "hostNetwork: true, "));
	assert_int_equal(c.report.n_pods_pending, 2000000000 - 5);
	case_warns(&c, "Deployment default/d: 1999999995 pods pending: the pod CIDRs of the nodes are full");
	assert_string_equal(case_ip(&case_pod(&c, "d-4")->addr[IP_V4]), "10.1.0.6");
	assert_non_null(case_pod(&c, "h-0"));
	case_free(&c);
}

static void test_node_choice(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, M_NODE("a", "spec: {unschedulable: true}\n"),
		  "---\n"
		  "apiVersion: v1\n"
		  "kind: Node\n"
		  "metadata: {name: b, labels: {disk: ssd}}\n",
		  M_NODE("c", ""), M_WORKLOAD("Deployment", "any", "replicas: 2, ", ""),
		  M_WORKLOAD("DaemonSet", "each", "", ""),
		  M_WORKLOAD("Deployment", "ssd", "replicas: 2, ", "nodeSelector: {disk: ssd}, "),
		  M_WORKLOAD("Deployment", "host", "", "nodeSelector: {kubernetes.io/hostname: c}, "),
		  M_WORKLOAD("Deployment", "named", "", "nodeName: a, "),
		  M_WORKLOAD("Deployment", "nowhere", "", "nodeName: x, "),
		  M_WORKLOAD("Deployment", "never", "replicas: 3, ", "nodeSelector: {disk: tape}, "));
	assert_string_equal(case_pods(&c),
			    "any-0@b any-1@c each-0@a each-1@b each-2@c host-0@c named-0@a ssd-0@b ssd-1@b");
	assert_int_equal(c.report.n_pods_pending, 4);
	case_warns(&c, "Deployment default/nowhere: 1 pod pending: there is no node of that name");
	case_warns(&c, "Deployment default/never: 3 pods pending: no node fits");
	case_free(&c);
}

#define TAINT(key, value, effect) "{key: " key ", value: '" value "', effect: " effect "}"

static void test_taints(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(
		&c, M_NODE("cp", "spec: {taints: [" TAINT("role/cp", "", "NoSchedule") "]}\n"),
		M_NODE("gpu", "spec: {taints: [" TAINT("gpu", "big",
						       "NoExecute") ", " TAINT("soft", "", "PreferNoSchedule") "]}\n"),
		M_NODE("sick", "spec: {taints: [" TAINT("node.kubernetes.io/disk-pressure", "", "NoSchedule") "]}\n"),
		M_NODE("w", ""), M_WORKLOAD("Deployment", "any", "replicas: 2, ", ""),
		M_WORKLOAD("DaemonSet", "ds", "", ""),
		M_WORKLOAD("DaemonSet", "all", "", "tolerations: [{operator: Exists}], "),
		M_WORKLOAD("Deployment", "gpu", "replicas: 2, ",
			   "tolerations: [{key: gpu, value: big, effect: NoExecute}], "),
		M_WORKLOAD(
			"Deployment", "small", "replicas: 2, ",
			"tolerations: [{key: gpu, value: small}, {key: gpu, operator: Exists, effect: NoSchedule}], "),
		M_WORKLOAD("Deployment", "named", "", "nodeName: cp, "));
	assert_string_equal(case_pods(&c),
			    "all-0@cp all-1@gpu all-2@sick all-3@w any-0@w any-1@w ds-0@sick ds-1@w gpu-0@gpu "
			    "gpu-1@w named-0@cp small-0@w "
			    "small-1@w");
	case_bad(&c, "in.yaml:5: Deployment default/d: spec.template.spec.tolerations[0].operator",
		 "\"exists\" is not known: Equal or Exists",
		 M_WORKLOAD("Deployment", "d", "", "tolerations: [{operator: exists}], "));
	case_free(&c);
}

/* Nobody said what labels a made-up node has. */
static void test_selector_on_made_up_nodes(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, M_WORKLOAD("Deployment", "d", "replicas: 2, ",
				 "nodeSelector: {kubernetes.io/os: linux, disk: ssd}, "));
	assert_string_equal(case_pods(&c), "d-0@node-1 d-1@node-2");
	case_free(&c);
}

/* Two pods on the ports of one host cannot be. */
static void test_host_network_replicas(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, M_WORKLOAD("Deployment", "d", "replicas: 3, ", "hostNetwork: true, "));
	assert_string_equal(case_pods(&c), "d-0@node-1 d-1@node-2");
	case_warns(&c, "1 pod pending: each node has one already on its own ports");
	case_free(&c);
}

static void test_names(void **state)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	struct source_case c = {};
	const struct pod **pods = NULL;
	size_t n = 0;
	char big[OBJ_NAME_MAX + 1];

	(void)state;
	/* The second of one name gets letters in between, always the same ones. */
	case_good(&c, M_POD("d-0", "x", ""), M_WORKLOAD("Deployment", "d", "", ""),
		  M_WORKLOAD("StatefulSet", "d", "replicas: 2, ordinals: {start: 3}, ", ""));
	assert_string_equal(case_pods(&c), "d-0@node-1 d-3@node-2 d-4@node-1 d-g9xqf-0@node-2");
	/* Names at their longest, that differ at the end only. */
	memset(big, 'a', sizeof(big) - 1);
	big[OBJ_NAME_MAX] = '\0';
	for (int i = 0; i < 2; i++) {
		big[OBJ_NAME_MAX - 1] = (char)('b' + i);
		strbuf_addf(&sb,
			    "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %s}\nspec: "
			    "{template: {spec: {}}}\n",
			    big);
	}
	case_good(&c, sb.buf);
	assert_int_equal(snapshot_sorted_pods(c.s, &pods, &n), 0);
	assert_int_equal(n, 2);
	for (size_t i = 0; i < n; i++)
		assert_true(strlen(pods[i]->name) <= OBJ_NAME_MAX);
	free(pods);
	case_free(&c);
}

static void test_stateful_set_labels(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, M_WORKLOAD("StatefulSet", "db", "replicas: 2, ", ""),
		  M_SERVICE("first", "selector: {statefulset.kubernetes.io/pod-name: db-0}, ports: [{port: 80}]"));
	assert_string_equal(pod_label(case_pod(&c, "db-1"), "apps.kubernetes.io/pod-index"), "1");
	assert_string_equal(pod_label(case_pod(&c, "db-1"), "app"), "db");
	assert_string_equal(case_endpoints(&c, "first", IPPROTO_TCP, 80, IP_V4), "10.244.0.2:80@node-1 rs");
	case_free(&c);
}

static void test_ports_and_env(void **state)
{
	struct source_case c = {};
	const struct pod *p;

	(void)state;
	case_good(&c, "apiVersion: v1\n"
		      "kind: Pod\n"
		      "metadata: {name: p}\n"
		      "spec:\n"
		      "  futureField: 1\n"
		      "  initContainers:\n"
		      "  - {name: i, ports: [{containerPort: 1}], env: [{name: I, value: x}]}\n"
		      "  - {name: s, restartPolicy: Always, ports: [{containerPort: 2, name: side}]}\n"
		      "  containers:\n"
		      "  - name: a\n"
		      "    ports: [{containerPort: 3, protocol: UDP, hostPort: 99}]\n"
		      "    env: [{name: A, value: 'b:1'}, {name: F, valueFrom: {fieldRef: {fieldPath: x}}}, "
		      "{name: E, value: ''}]\n"
		      "  - name: b\n"
		      "    ports: [{containerPort: 4, protocol: SCTP, name: x}]\n"
		      "    env: [{name: B, value: c}]\n");
	p = case_pod(&c, "p");
	assert_int_equal(p->n_ports, 3);
	assert_int_equal(p->ports[0].port, 3);
	assert_int_equal(p->ports[0].proto, IPPROTO_UDP);
	assert_null(p->ports[0].name);
	assert_int_equal(p->ports[1].port, 4);
	assert_int_equal(p->ports[1].proto, IPPROTO_SCTP);
	assert_int_equal(p->ports[2].port, 2);
	assert_string_equal(p->ports[2].name, "side");
	assert_int_equal(p->n_env, 3);
	assert_string_equal(p->env[0].value, "b:1");
	assert_string_equal(p->env[1].name, "E");
	assert_string_equal(p->env[2].name, "B");
	case_free(&c);
}

/* Environment is bounded: it goes into every replica. */
static void test_env_bounds(void **state)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	char value[LOAD_ENV_VALUE_MAX + 2];
	struct source_case c = {};
	size_t size = 0;

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	strbuf_add(&sb,
		   "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - name: a\n    env:\n");
	strbuf_addf(&sb, "    - {name: LONG, value: %s}\n", value);
	value[LOAD_ENV_VALUE_MAX] = '\0';
	for (int i = 0; i < 100; i++)
		strbuf_addf(&sb, "    - {name: V%d, value: %s}\n", i, value);
	case_good(&c, sb.buf);
	for (size_t i = 0; i < case_pod(&c, "p")->n_env; i++) {
		const struct env_var *v = &case_pod(&c, "p")->env[i];

		assert_string_not_equal(v->name, "LONG");
		size += strlen(v->name) + strlen(v->value) + 2;
	}
	assert_in_range(size, 30000, LOAD_ENV_SIZE_MAX);
	case_free(&c);
}

/* Status of Pods: the dump of a cluster. */
static void test_status(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, M_POD("ready", "x", "status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}\n"),
		  M_POD("unready", "x",
			"status: {phase: Running, conditions: [{type: PodScheduled, status: 'True'}, "
			"{type: Ready, status: 'False'}]}\n"),
		  M_POD("done", "x", "status: {phase: Succeeded, podIP: 10.244.0.2}\n"),
		  M_POD("failed", "x", "status: {phase: Failed, podIP: 10.244.0.2}\n"),
		  M_POD("waiting", "x", "status: {phase: Pending}\n"),
		  "---\n"
		  "apiVersion: v1\n"
		  "kind: Pod\n"
		  "metadata: {name: leaving, deletionTimestamp: '2026-01-01T00:00:00Z'}\n"
		  "spec: {containers: []}\n");
	assert_true(case_pod(&c, "ready")->ready);
	assert_false(case_pod(&c, "unready")->ready);
	assert_true(case_pod(&c, "leaving")->ready && case_pod(&c, "leaving")->terminating);
	assert_int_equal(snapshot_n_pods(c.s), 3);
	assert_int_equal(c.report.n_pods_pending, 1);
	assert_string_equal(case_ip(&case_pod(&c, "ready")->addr[IP_V4]), "10.244.0.2"); /* done ones hold no address */
	case_free(&c);
}

/* The same input gives the same snapshot. */
static void test_deterministic(void **state)
{
	static const char text[] = M_WORKLOAD("Deployment", "a", "replicas: 7, ", "")
		M_WORKLOAD("StatefulSet", "b", "replicas: 3, ", "")
			M_SERVICE("a", "selector: {app: a}, ports: [{port: 80}]")
				M_SERVICE("b", "selector: {app: b}, ports: [{port: 80}]");
	CLEANUP_FREE char *first = NULL;
	struct source_case c = {};

	(void)state;
	for (int i = 0; i < 2; i++) {
		CLEANUP_FREE char *dump = NULL;
		size_t size = 0;
		FILE *f = open_memstream(&dump, &size);

		assert_non_null(f);
		case_good(&c, text);
		assert_int_equal(snapshot_dump(c.s, f), 0);
		assert_int_equal(fclose(f), 0);
		if (first)
			assert_string_equal(first, dump);
		else
			first = TAKE_PTR(dump);
	}
	case_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_node_choice),
		cmocka_unit_test(test_taints),
		cmocka_unit_test(test_selector_on_made_up_nodes),
		cmocka_unit_test(test_host_network_replicas),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_stateful_set_labels),
		cmocka_unit_test(test_ports_and_env),
		cmocka_unit_test(test_env_bounds),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_deterministic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
