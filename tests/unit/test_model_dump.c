/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text of a snapshot, to the letter: order, every field, escapes, a failing stream. */
#include <errno.h>

#include "model_util.h"

static struct snapshot *everything(void)
{
	const char *const nodes[] = { "w1", "w2" }, *const zones[] = { "a" };
	const struct label labels[] = { { "tier", "a b,c\\d\n" }, { "app", "cart" } };
	const struct container_port ports[] = { { "http", 8080, IPPROTO_TCP }, { NULL, 53, IPPROTO_UDP } };
	const struct env_var env[] = { { "URL", "http://example.com" }, { "E", "" } };
	const struct node node = { .name = "w1",
				   .zone = "a",
				   .addr = { ip("10.0.0.1"), ip("fd00::1") },
				   .pod_cidr = { cidr("10.1.0.0/24"), cidr("fd00:1::/64") } };
	const struct node bare_node = { .name = "w0" };
	const struct pod pod = { .ns = "shop",
				 .name = "cart-0",
				 .workload = "Deployment/cart",
				 .node = "w1",
				 .addr = { ip("10.1.0.2"), ip("fd00:1::2") },
				 .ready = true,
				 .terminating = true,
				 .host_network = true,
				 .n_labels = 2,
				 .labels = labels,
				 .n_ports = 2,
				 .ports = ports,
				 .n_env = 2,
				 .env = env };
	const struct pod bare_pod = { .ns = "a", .name = "z", .addr[IP_V6] = ip("fd00:1::3") };
	struct endpoint v4[] = { ready_at("10.1.0.10", 8080), ready_at("10.1.0.2", 8080) },
			v6[] = { ready_at("fd00:1::2", 80) };
	const struct service_port service_ports[] = {
		{ .name = "http", .proto = IPPROTO_TCP, .port = 80, .n_endpoints = { 2, 1 }, .endpoints = { v4, v6 } },
		{ .name = "", .proto = IPPROTO_SCTP, .port = 36412 },
	};
	const struct service service = { .ns = "shop",
					 .name = "cart",
					 .cluster_ip = { ip("10.96.0.1"), ip("fd00:96::1") },
					 .facets = 1u << SERVICE_FACET_CLUSTER_IP | 1u << SERVICE_FACET_NODE_PORT,
					 .features = 1u << SERVICE_FEATURE_AFFINITY,
					 .affinity_timeout_s = 60,
					 .choice = BACKEND_CHOICE_MAGLEV,
					 .n_ports = 2,
					 .ports = service_ports };
	const struct service bare_service = { .ns = "shop", .name = "a" };
	const struct node *all_nodes[] = { &node, &bare_node };
	const struct pod *all_pods[] = { &pod, &bare_pod };
	const struct service *all_services[] = { &service, &bare_service };
	struct snapshot_edit *ed = NULL;
	struct snapshot *s = NULL;

	v4[0].ready = v4[0].serving = false, v4[0].terminating = true;
	v4[1].node = "w1";
	v4[1].for_nodes = nodes, v4[1].n_for_nodes = 2;
	v4[1].for_zones = zones, v4[1].n_for_zones = 1;
	assert_int_equal(snapshot_edit_new(NULL, &ed), 0);
	for (size_t i = 0; i < 2; i++) {
		struct node *n = NULL;
		struct pod *p = NULL;
		struct service *svc = NULL;

		assert_int_equal(node_new(all_nodes[i], &n, NULL), 0);
		assert_int_equal(pod_new(all_pods[i], &p, NULL), 0);
		assert_int_equal(service_new(all_services[i], &svc, NULL), 0);
		assert_int_equal(snapshot_edit_put_node(ed, n, NULL), 0);
		assert_int_equal(snapshot_edit_put_pod(ed, p, NULL), 0);
		assert_int_equal(snapshot_edit_put_service(ed, svc, NULL), 0);
		node_unref(n);
		pod_unref(p);
		service_unref(svc);
	}
	assert_int_equal(snapshot_edit_commit(ed, &s), 0);
	return s;
}

static void everything_is_told(void **state)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = everything();
	CLEANUP_FREE char *text = dump_text(s);

	(void)state;
	assert_string_equal(
		text,
		"node w0\n"
		"node w1 zone=a addr=10.0.0.1,fd00::1 pod-cidr=10.1.0.0/24,fd00:1::/64\n"
		"pod a/z addr=fd00:1::3\n"
		"pod shop/cart-0 workload=Deployment/cart node=w1 addr=10.1.0.2,fd00:1::2 host-network ready terminating "
		"labels=app=cart,tier=a\\x20b\\x2cc\\x5cd\\x0a ports=http:8080/tcp,53/udp env=URL=http://example.com,E=\n"
		"service shop/a choice=random\n"
		"service shop/cart ip=10.96.0.1,fd00:96::1 facets=cluster-ip,node-port features=affinity,topology,sctp "
		"affinity-timeout=60s choice=maglev\n"
		"  port http 80/tcp\n"
		"    endpoint 10.1.0.2:8080 node=w1 ready serving for-nodes=w1,w2 for-zones=a\n"
		"    endpoint 10.1.0.10:8080 terminating\n"
		"    endpoint [fd00:1::2]:80 ready serving\n"
		"  port - 36412/sctp\n");
}

static void failing_stream_is_told(void **state)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = everything();
	char small[16];
	FILE *f = fmemopen(small, sizeof(small), "w");

	(void)state;
	assert_non_null(f);
	(void)setvbuf(f, NULL, _IONBF, 0);
	assert_int_equal(snapshot_dump(s, f), -EIO);
	(void)fclose(f); /* it has failed already */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_is_told),
		cmocka_unit_test(failing_stream_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
