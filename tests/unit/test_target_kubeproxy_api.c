/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Target kube-proxy: slices, the encodings of one object, the store and its frames, requests, log, metrics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "lib/nft_world.h"
#include "target/kubeproxy/kubeproxy.h"
#include "target/kubeproxy/log.h"
#include "target/kubeproxy/metrics.h"
#include "target/kubeproxy/request.h"
#include "target/kubeproxy/store.h"

/* ---- slices ---- */

static void test_ports_share_slices(void **state)
{
	const struct world_service w = {
		.name = "web",
		.ip4 = "10.96.0.1",
		.ports = { { "http", IPPROTO_TCP, 80, "10.244.1.2:8080 10.244.2.2:8080" },
			   { "dns", IPPROTO_UDP, 53, "10.244.1.2:5353 10.244.2.2:5353" },
			   { "odd", IPPROTO_TCP, 81, "10.244.1.2:1 10.244.2.2:2" } },
	};
	struct service *svc = world_service(&w);
	struct slices s = {};

	(void)state;
	assert_int_equal(slices_make(svc, &s), 0);
	assert_int_equal(s.v.n, 3);
	assert_string_equal(s.v.v[0].name, "ipv4.http.8080.0.web");
	assert_int_equal(s.v.v[0].n_ports, 2);
	assert_int_equal(s.v.v[0].ports[1].number, 5353);
	assert_int_equal(s.v.v[0].n_endpoints, 2);
	assert_int_equal(s.v.v[1].n_ports, 1);
	assert_int_equal(s.v.v[1].n_endpoints, 1);
	assert_int_equal(s.v.v[2].n_endpoints, 1);
	slices_free(&s);
	service_unref(svc);
}

/* A Service with n endpoints 10.245.x.y, the first `skip` of them left out. */
static struct service *large(size_t n, size_t skip)
{
	struct endpoint *eps = calloc(n, sizeof(*eps));
	struct service_port port = { .name = "", .proto = IPPROTO_TCP, .port = 80 };
	struct service fill = { .ns = "shop", .name = "large", .facets = 1, .n_ports = 1, .ports = &port };
	struct service *svc = NULL;
	struct err e = {};

	assert_non_null(eps);
	assert_int_equal(ip_addr_parse("10.96.0.9", &fill.cluster_ip[IP_V4]), 0);
	for (size_t i = 0; i < n; i++) {
		eps[i] = (struct endpoint){ .port = 8080, .ready = true, .serving = true };
		eps[i].addr.fam = AF_INET;
		memcpy(eps[i].addr.bytes, (uint8_t[]){ 10, 245, (uint8_t)(i >> 8), (uint8_t)i }, 4);
	}
	port.n_endpoints[IP_V4] = n - skip;
	port.endpoints[IP_V4] = eps + skip;
	assert_int_equal(service_new(&fill, &svc, &e), 0);
	free(eps);
	return svc;
}

static void test_one_endpoint_changes_one_slice(void **state)
{
	struct service *a = large(3000, 0), *b = large(3000, 1);
	struct slices sa = {}, sb = {};
	size_t n = 0, n_differ = 0;

	(void)state;
	assert_int_equal(slices_make(a, &sa), 0);
	assert_int_equal(slices_make(b, &sb), 0);
	assert_int_equal(sa.v.n, 32);
	assert_int_equal(sb.v.n, 32);
	for (size_t i = 0; i < sa.v.n; i++) {
		assert_string_equal(sa.v.v[i].name, sb.v.v[i].name);
		assert_true(sa.v.v[i].n_endpoints <= SLICE_ENDPOINTS_MAX);
		n += sa.v.v[i].n_endpoints;
		n_differ += !slice_equal(&sa.v.v[i], &sb.v.v[i]);
	}
	assert_int_equal(n, 3000);
	assert_int_equal(n_differ, 1);
	slices_free(&sa);
	slices_free(&sb);
	service_unref(a);
	service_unref(b);
}

/* ---- a program: what is printed is JSON; a delta holds what changed ---- */

static json_t *printed(const struct target_program *p)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	json_t *root;

	assert_int_equal(target_kube_proxy.program_print(p, true, f), 0);
	fclose(f);
	root = json_loadb(text, size, 0, NULL);
	free(text);
	assert_non_null(root);
	return root;
}

static struct target_program *compiled(const struct snapshot *from, const struct snapshot *to)
{
	const struct target_input in = { .from = from, .to = to, .node = WORLD_NODE, .with_services = true };
	struct target_program *p = NULL;
	struct err e = {};

	assert_int_equal(target_kube_proxy.compile(&in, &p, &e), 0);
	return p;
}

static const char *kind_of(json_t *root, size_t i)
{
	json_t *object = json_object_get(json_array_get(json_object_get(root, "objects"), i), "object");

	return json_string_value(json_object_get(object, "kind"));
}

static void test_delta(void **state)
{
	const struct world_service web = { .name = "web",
					   .ip4 = "10.96.0.1",
					   .ip6 = "fd96::1",
					   .affinity_s = 60,
					   .ports = { { "", IPPROTO_TCP, 80, "10.244.1.2:8080 [fd44:1::2]:8080" } } };
	const struct world_service local = { .name = "local",
					     .ip4 = "10.96.0.2",
					     .features = 1u << SERVICE_FEATURE_INTERNAL_LOCAL,
					     .ports = { { "", IPPROTO_TCP, 80, "10.244.1.2:8080" } } };
	const struct world_service all[] = { web, local };
	struct world_service more = web;
	struct snapshot *a = world_snapshot(NULL, all, 2, NULL), *b;
	struct target_program *p = compiled(NULL, a);
	json_t *root = printed(p);

	(void)state;
	/* The node, one Service (the other is refused), a slice a family. */
	assert_int_equal(json_array_size(json_object_get(root, "objects")), 4);
	assert_string_equal(kind_of(root, 0), "Node");
	assert_string_equal(kind_of(root, 1), "Service");
	assert_string_equal(kind_of(root, 3), "EndpointSlice");
	json_decref(root);
	kp_program_free(p);
	more.ports[0].endpoints = "10.244.1.2:8080 10.244.1.3:8080 [fd44:1::2]:8080";
	b = world_snapshot(a, &more, 1, NULL);
	p = compiled(a, b);
	root = printed(p);
	assert_int_equal(json_array_size(json_object_get(root, "objects")), 1);
	assert_string_equal(kind_of(root, 0), "EndpointSlice");
	json_decref(root);
	kp_program_free(p);
	snapshot_unref(a);
	snapshot_unref(b);
}

/* ---- objects ---- */

static void assert_json(struct strbuf *sb, const char *wanted)
{
	assert_false(sb->failed);
	assert_string_equal(sb->buf, wanted);
	strbuf_free(sb);
	*sb = (struct strbuf)STRBUF_INIT;
}

static void test_node_object(void **state)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	struct emit em = { .format = EMIT_JSON, .out = &sb };
	struct node n = { .name = "n1", .zone = "z1" };

	(void)state;
	assert_int_equal(ip_addr_parse("192.168.0.1", &n.addr[IP_V4]), 0);
	api_emit_node(&em, &n, 7);
	assert_json(&sb,
		    "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"n1\",\"resourceVersion\":\"7\","
		    "\"labels\":{\"topology.kubernetes.io/zone\":\"z1\"}},\"spec\":{\"podCIDRs\":[]},"
		    "\"status\":{\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"192.168.0.1\"}]}}");
}

/* One endpoint of IPv6 that serves and ends, with hints of both kinds. */
static struct service *one_endpoint(void)
{
	static const char *const zones[] = { "z1" }, *const nodes[] = { "n1" };
	struct endpoint ep = { .port = 8080,
			       .serving = true,
			       .terminating = true,
			       .node = "n2",
			       .n_for_zones = 1,
			       .for_zones = zones,
			       .n_for_nodes = 1,
			       .for_nodes = nodes };
	struct service_port port = { .name = "", .proto = IPPROTO_UDP, .port = 53 };
	struct service fill = { .ns = "shop", .name = "dns", .facets = 1, .n_ports = 1, .ports = &port };
	struct service *svc = NULL;

	fill.features = 1u << SERVICE_FEATURE_AFFINITY;
	fill.affinity_timeout_s = 60;
	assert_int_equal(ip_addr_parse("fd96::1", &fill.cluster_ip[IP_V6]), 0);
	assert_int_equal(ip_addr_parse("fd44::2", &ep.addr), 0);
	port.n_endpoints[IP_V6] = 1;
	port.endpoints[IP_V6] = &ep;
	assert_int_equal(service_new(&fill, &svc, NULL), 0);
	return svc;
}

static void test_service_objects(void **state)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	struct emit em = { .format = EMIT_JSON, .out = &sb };
	struct service *svc = one_endpoint();
	struct slices s = {};

	(void)state;
	api_emit_service(&em, svc, 8);
	assert_json(
		&sb,
		"{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"dns\",\"namespace\":\"shop\","
		"\"resourceVersion\":\"8\"},\"spec\":{\"type\":\"ClusterIP\",\"clusterIP\":\"fd96::1\","
		"\"clusterIPs\":[\"fd96::1\"],\"ipFamilies\":[\"IPv6\"],\"ipFamilyPolicy\":\"SingleStack\","
		"\"ports\":[{\"protocol\":\"UDP\",\"port\":53,\"targetPort\":53}],\"sessionAffinity\":\"ClientIP\","
		"\"sessionAffinityConfig\":{\"clientIP\":{\"timeoutSeconds\":60}},\"internalTrafficPolicy\":\"Cluster\"}}");
	assert_int_equal(slices_make(svc, &s), 0);
	assert_int_equal(s.v.n, 1);
	api_emit_slice(&em, &s.v.v[0], 9);
	assert_json(
		&sb,
		"{\"apiVersion\":\"discovery.k8s.io/v1\",\"kind\":\"EndpointSlice\",\"metadata\":{"
		"\"name\":\"ipv6..8080.0.dns\",\"namespace\":\"shop\",\"resourceVersion\":\"9\","
		"\"labels\":{\"kubernetes.io/service-name\":\"dns\"}},\"addressType\":\"IPv6\","
		"\"ports\":[{\"name\":\"\",\"protocol\":\"UDP\",\"port\":8080}],\"endpoints\":[{\"addresses\":[\"fd44::2\"],"
		"\"conditions\":{\"ready\":false,\"serving\":true,\"terminating\":true},\"nodeName\":\"n2\","
		"\"hints\":{\"forZones\":[{\"name\":\"z1\"}],\"forNodes\":[{\"name\":\"n1\"}]}}]}");
	slices_free(&s);
	service_unref(svc);
}

/* ---- encodings ---- */

static void test_proto(void **state)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	struct emit em = { .format = EMIT_PROTO, .out = &sb };
	static const char wanted[] = "\x0a\x86\x80\x80\x80\x00"
				     "\x0a\x01"
				     "a"
				     "\x10\xac\x02";

	(void)state;
	emit_begin(&em, NULL, 0);
	emit_begin(&em, "metadata", 1);
	emit_str(&em, "name", 1, "a");
	emit_int(&em, "n", 2, 300);
	emit_end(&em);
	emit_end(&em);
	assert_int_equal(sb.len, sizeof(wanted) - 1);
	assert_memory_equal(sb.buf, wanted, sb.len);
}

static void test_json_quotes(void **state)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	struct emit em = { .format = EMIT_JSON, .out = &sb };

	(void)state;
	emit_begin(&em, NULL, 0);
	emit_list(&em, "l", 1);
	emit_str(&em, NULL, 1, "a\"\\\n");
	emit_bool(&em, NULL, 1, true);
	emit_list_end(&em);
	emit_end(&em);
	assert_string_equal(sb.buf, "{\"l\":[\"a\\\"\\\\\\u000a\",true]}");
}

/* ---- store ---- */

static void put(struct store *s, const char *key, uint64_t version)
{
	struct blob *b = blob_new(version, "{}", 2, "", 0);

	assert_non_null(b);
	assert_int_equal(store_put(s, API_SERVICE, key, b), 0);
	blob_unref(b);
}

static void test_store(void **state)
{
	struct store s;
	struct blob *last = blob_new(3, "{}", 2, "", 0);
	uint64_t next;

	(void)state;
	assert_int_equal(store_init(&s), 0);
	put(&s, "a/b", 1);
	put(&s, "a/b", 2);
	assert_int_equal(s.kinds[API_SERVICE].events.v[0].type, STORE_ADDED);
	assert_int_equal(s.kinds[API_SERVICE].events.v[1].type, STORE_MODIFIED);
	assert_int_equal(store_del(&s, API_SERVICE, "a/c", last), -ENOENT);
	assert_int_equal(store_del(&s, API_SERVICE, "a/b", last), 0);
	assert_int_equal(s.kinds[API_SERVICE].events.v[2].type, STORE_DELETED);
	assert_int_equal(s.version, 3);
	assert_int_equal(map_count(s.kinds[API_SERVICE].objects), 0);
	assert_int_equal(store_since(&s, API_SERVICE, 1, &next), 0);
	assert_int_equal(next, 1);
	for (uint64_t v = 4; v < 4 + 2 * STORE_EVENTS_KEPT; v++)
		put(&s, "a/d", v);
	store_trim(&s, API_SERVICE, 5); /* somebody still needs event 5 */
	assert_int_equal(s.kinds[API_SERVICE].first_event, 5);
	store_trim(&s, API_SERVICE, UINT64_MAX);
	assert_true(s.kinds[API_SERVICE].events.n <= 2 * STORE_EVENTS_KEPT);
	assert_int_equal(store_since(&s, API_SERVICE, 1, &next), -ESTALE);
	blob_unref(last);
	store_done(&s);
}

static void test_frame(void **state)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	struct blob *b = blob_new(7, "{}", 2, "\x0a\x00", 2);

	(void)state;
	store_frame(&sb, EMIT_JSON, API_SERVICE, STORE_DELETED, b);
	assert_string_equal(sb.buf, "{\"type\":\"DELETED\",\"object\":{}}\n");
	strbuf_free(&sb);
	sb = (struct strbuf)STRBUF_INIT;
	store_frame(&sb, EMIT_PROTO, API_SERVICE, STORE_ADDED, b);
	assert_int_equal(sb.len, 4 + (size_t)sb.buf[3]);
	assert_memory_equal(sb.buf + 4,
			    "\x0a\x05"
			    "ADDED",
			    7);
	assert_memory_equal(sb.buf + sb.len - 4, "\x12\x02\x0a\x00", 4);
	blob_unref(b);
}

/* ---- requests ---- */

static void test_requests(void **state)
{
	struct request_in in = { .method = "GET",
				 .path = "/api/v1/services",
				 .accept = "text/html, application/vnd.kubernetes.protobuf;q=1",
				 .watch = "true",
				 .send_initial = "true",
				 .timeout_s = "373",
				 .resource_version = "0",
				 .field_selector = "spec.clusterIP!=None" };
	struct request r;
	const char *why;

	(void)state;
	assert_int_equal(request_parse(&in, &r, &why), 0);
	assert_int_equal(r.what, REQUEST_WATCH);
	assert_int_equal(r.kind, API_SERVICE);
	assert_int_equal(r.format, EMIT_PROTO);
	assert_true(r.send_initial && !r.has_version && r.timeout_s == 373);
	in.accept = "application/json";
	in.resource_version = "18446744073709551615";
	assert_int_equal(request_parse(&in, &r, &why), 0);
	assert_int_equal(r.format, EMIT_JSON);
	assert_true(r.has_version && r.version == UINT64_MAX);
	in.resource_version = "18446744073709551616";
	assert_int_equal(request_parse(&in, &r, &why), 400);
	in.resource_version = NULL;
	in.timeout_s = "-1";
	assert_int_equal(request_parse(&in, &r, &why), 400);
	in.timeout_s = NULL;
	in.field_selector = "metadata.namespace=x";
	assert_int_equal(request_parse(&in, &r, &why), 400);
	in.field_selector = NULL;
	in.label_selector = "!service.kubernetes.io/service-proxy-name";
	assert_int_equal(request_parse(&in, &r, &why), 0);
	in.label_selector = "service.kubernetes.io/service-proxy-name=x";
	assert_int_equal(request_parse(&in, &r, &why), 400);
	in.label_selector = NULL;
	in.method = "DELETE";
	assert_int_equal(request_parse(&in, &r, &why), 405);
	in.path = "/api/v1/secrets";
	assert_int_equal(request_parse(&in, &r, &why), 404);
}

/* ---- log, metrics ---- */

static void test_log(void **state)
{
	static const char *const pieces[] = { "I1128 x] \"Syncing nftables ru",
					      "les\" ipFamily=\"IPv4\" fullSync=true\nE1128 boom\n",
					      "I1128 x] \"SyncProxyRules complete\" ipFamily=\"IPv6\"\nI1128 last\n" };
	struct kp_log l = {};
	struct kp_status st = {};
	char words[KP_WORDS_SIZE];

	(void)state;
	assert_false(kp_log_feed(&l, pieces[0], strlen(pieces[0]), &st));
	assert_true(kp_log_feed(&l, pieces[1], strlen(pieces[1]), &st));
	assert_true(kp_log_feed(&l, pieces[2], strlen(pieces[2]), &st));
	assert_true(st.n_begun[IP_V4] == 1 && st.n_begun[IP_V6] == 0 && st.n_done[IP_V6] == 1 && st.n_done[IP_V4] == 0);
	kp_log_words(&l, words);
	assert_string_equal(words, "E1128 boom");
}

static void test_metrics(void **state)
{
	static const char text[] = "HTTP/1.0 200 OK\r\n\r\n"
				   "kubeproxy_sync_proxy_rules_duration_seconds_sum{ip_family=\"IPv4\"} 0.5\n"
				   "kubeproxy_sync_proxy_rules_duration_seconds_sum{ip_family=\"IPv6\"} 0.25\n"
				   "kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"} 3\n"
				   "kubeproxy_sync_proxy_rules_duration_seconds_count_x 9\n"
				   "kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family=\"IPv6\"} nan\n";
	struct kp_metrics m;

	(void)state;
	kp_metrics_parse(text, sizeof(text) - 1, &m);
	assert_int_equal(m.n_syncs, 3);
	assert_int_equal(m.sync_ns, 750000000);
	assert_int_equal(m.n_failures, 0);
}

/* ---- the server process ---- */

/* Whoever was forked while the server ran holds a copy of our end of its socket: it must end at once all the same. */
static void test_stop_beside_a_fork(void **state)
{
	char node[] = "n1", none[] = "";
	const struct kp_process_conf conf = { .netns_fd = -1, .node = node, .cluster_cidr = none, .program = none };
	struct kp_process *p = NULL;
	struct err e = {};
	uint64_t begun;
	pid_t pid;

	(void)state;
	if (kp_process_start(&conf, &p, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			(void)pause();
	}
	assert_true(pid > 0);
	begun = clock_now_ns(&clock_monotonic);
	kp_process_stop(p);
	begun = clock_now_ns(&clock_monotonic) - begun;
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	assert_true(begun < 4 * NSEC_PER_SEC); /* it is killed after five */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ports_share_slices),
		cmocka_unit_test(test_one_endpoint_changes_one_slice),
		cmocka_unit_test(test_delta),
		cmocka_unit_test(test_node_object),
		cmocka_unit_test(test_service_objects),
		cmocka_unit_test(test_proto),
		cmocka_unit_test(test_json_quotes),
		cmocka_unit_test(test_store),
		cmocka_unit_test(test_frame),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_metrics),
		cmocka_unit_test(test_stop_beside_a_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
