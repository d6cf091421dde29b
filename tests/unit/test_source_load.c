/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * source/file/load.c: documents, kinds, Lists, the report; and the fixtures of bad input, each with
 * its message.
 */
#include "source_case.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "base/util.h"

#define SVC M_SERVICE("a", "ports: [{port: 80}]")

static const struct source_kind_count *kind(const struct source_case *c, const char *name)
{
	for (size_t i = 0; i < c->report.n_kinds; i++)
		if (strcmp(c->report.kinds[i].kind, name) == 0)
			return &c->report.kinds[i];
	return NULL;
}

static void test_counts_kinds(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, SVC, M_SERVICE("b", "ports: [{port: 80}]"),
		  "---\n"
		  "apiVersion: v1\n"
		  "kind: ConfigMap\n"
		  "metadata: {name: 'any:thing'}\n",
		  "---\n"
		  "apiVersion: v1\n"
		  "kind: Namespace\n"
		  "metadata: {name: x}\n"
		  "---\n"
		  "# nothing\n");
	assert_int_equal(c.report.n_kinds, 3);
	assert_int_equal(kind(&c, "Service")->n, 2);
	assert_true(kind(&c, "Service")->used);
	assert_int_equal(kind(&c, "ConfigMap")->n, 1);
	assert_false(kind(&c, "ConfigMap")->used);
	assert_true(kind(&c, "Namespace")->used);
	assert_int_equal(snapshot_n_services(c.s), 2);
	case_free(&c);
}

static void test_counts_many_kinds(void **state)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	struct source_case c = {};
	uint64_t n = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		strbuf_addf(&sb, "---\napiVersion: example.com/v1\nkind: Kind%d\n", i);
	strbuf_add(&sb, SVC);
	case_good(&c, sb.buf);
	assert_int_equal(c.report.n_kinds, ARRAY_LEN(c.report.kinds));
	assert_string_equal(c.report.kinds[ARRAY_LEN(c.report.kinds) - 1].kind, "(other)");
	for (size_t i = 0; i < c.report.n_kinds; i++)
		n += c.report.kinds[i].n;
	assert_int_equal(n, 101);
	case_free(&c);
}

/* Knative's Service is no Service. */
static void test_kinds_of_other_groups(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, SVC,
		  "---\n"
		  "apiVersion: serving.knative.dev/v1\n"
		  "kind: Service\n"
		  "metadata: {name: a}\n"
		  "spec: {template: {}}\n",
		  "---\n"
		  "apiVersion: metrics.k8s.io/v1beta1\n"
		  "kind: NodeMetrics\n");
	assert_int_equal(snapshot_n_services(c.s), 1);
	case_good(&c, SVC,
		  "---\n"
		  "apiVersion: extensions/v1beta1\n"
		  "kind: Deployment\n"
		  "metadata: {name: a}\n"
		  "spec: {template: {spec: {}}}\n");
	assert_int_equal(snapshot_n_pods(c.s), 1);
	case_bad(&c, "in.yaml:1: Deployment: apiVersion", "\"app/v1\" has no kind Deployment: apps/v1 has",
		 "apiVersion: app/v1\n"
		 "kind: Deployment\n");
	case_free(&c);
}

static void test_lists(void **state)
{
	static const char *const lists[] = {
		/*
		 * As kubectl writes it, as the API server writes it, and without apiVersion and
		 * kind in the items.
		 */
		"{\"apiVersion\":\"v1\",\"items\":[{\"apiVersion\":\"v1\",\"kind\":\"Service\","
		"\"metadata\":{\"name\":\"a\"},\"spec\":"
		"{\"ports\":[{\"port\":80}]}}],\"kind\":\"List\",\"metadata\":{\"resourceVersion\":\"\"}}",
		"{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":[{\"apiVersion\":\"v1\","
		"\"kind\":\"Service\",\"metadata\":{\"name\":\"a\"},"
		"\"spec\":{\"ports\":[{\"port\":80}]}}]}",
		"kind: ServiceList\napiVersion: v1\nmetadata: {}\nitems:\n- metadata: {name: a}\n  "
		"spec: {ports: [{port: 80}]}\n",
		"items:\n- metadata: {name: a}\n  spec: {ports: [{port: 80}]}\nkind: ServiceList\napiVersion: v1\n",
		/* A List in a List. */
		"kind: List\napiVersion: v1\nitems:\n- apiVersion: v1\n  kind: ServiceList\n  items:\n  "
		"- metadata: {name: a}\n    spec: "
		"{ports: [{port: 80}]}\n",
	};
	struct source_case c = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		case_good(&c, lists[i]);
		assert_int_equal(snapshot_n_services(c.s), 1);
		assert_int_equal(kind(&c, "Service")->n, 1);
		assert_null(kind(&c, "List"));
	}
	case_bad(&c, "in.yaml:4: document", "no Kubernetes object: kind is missing",
		 "kind: List\n"
		 "apiVersion: v1\n"
		 "items:\n"
		 "- metadata: {name: a}\n");
	case_bad(&c, "in.yaml", "nothing to run: no Service with an address, and no pod",
		 "items: []\n"
		 "kind: List\n"
		 "apiVersion: v1\n");
	case_free(&c);
}

static void test_empty(void **state)
{
	struct source_case c = {};

	(void)state;
	case_bad(&c, "in.yaml", "nothing to run: no Service with an address, and no pod", "");
	case_bad(&c, "in.yaml", "nothing to run: no Service with an address, and no pod",
		 "---\n"
		 "---\n");
	case_free(&c);
}

/* What one document does wrong leaves nothing of the others. */
static void test_nothing_or_everything(void **state)
{
	struct source_case c = {};

	(void)state;
	case_bad(&c, "in.yaml:10: Service default/b: spec.typ", "no such field", SVC,
		 M_SERVICE("b", "ports: [{port: 80}], typ: NodePort"));
	assert_null(c.s);
	case_free(&c);
}

static void test_bad_cidrs(void **state)
{
	struct source_case c = {};

	(void)state;
	c.conf.pod_cidr[IP_V4] = "10.96.0.0/12";
	case_bad(&c, "IPv4", "pod, service and node CIDR overlap", SVC);
	c.conf.pod_cidr[IP_V4] = "fd00::/56";
	case_bad(&c, "pod CIDR", "\"fd00::/56\" is no IPv4 prefix", SVC);
	c.conf.pod_cidr[IP_V4] = "10.1.0.0";
	case_bad(&c, "pod CIDR", "\"10.1.0.0\" is no IPv4 prefix", SVC);
	case_free(&c);
}

/* A label of 1 MB: refused, and the message stays readable. */
static void test_huge_label(void **state)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	CLEANUP_FREE char *big = malloc((1 << 20) + 1);
	struct source_case c = {};

	(void)state;
	assert_non_null(big);
	memset(big, 'x', 1 << 20);
	big[1 << 20] = '\0';
	strbuf_addf(&sb,
		    "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  labels:\n    app: %s\nspec: "
		    "{ports: [{port: 80}]}\n",
		    big);
	case_bad(&c, "in.yaml:6: Service default/a: metadata.labels.app",
		 "a label's value has at most 63 characters, this one 1048576", sb.buf);
	strbuf_free(&sb);
	strbuf_addf(&sb,
		    "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  labels:\n    ? %s\n    : "
		    "x\nspec: {ports: [{port: 80}]}\n",
		    big);
	case_load(&c, sb.buf);
	assert_int_equal(c.r, -EINVAL);
	strbuf_free(&sb);
	strbuf_addf(&sb,
		    "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  annotations:\n    note: "
		    "%s\nspec: {ports: [{port: 80}]}\n",
		    big);
	case_bad(&c, "in.yaml:6: Service default/a: metadata.annotations",
		 "annotations have at most 262144 bytes, these 1048580", sb.buf);
	case_free(&c);
}

static void test_warnings_are_bounded(void **state)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	struct source_case c = {};

	(void)state;
	for (int i = 0; i < 50; i++)
		strbuf_addf(&sb,
			    "---\napiVersion: v1\nkind: Service\nmetadata: {name: a%d}\nspec: {ports: [{port: 80}]}\n",
			    i);
	case_good(&c, sb.buf);
	assert_int_equal(c.report.n_warnings, 50);
	case_warns(&c, "in.yaml:2: Service default/a0 has no endpoints: no selector, and no EndpointSlice of it");
	case_free(&c);
}

/* ---- fixtures/bad ---- */

/* The message a bad fixture must give: its first line "# expect: ...", or the file beside it. */
static void expected_of(const char *path, char *ret, size_t size)
{
	CLEANUP_FREE char *sidecar = str_printf("%s.expect", path);
	CLEANUP_FREE char *buf = NULL;
	const char *text;
	size_t len = 0;

	assert_non_null(sidecar);
	assert_int_equal(read_file(access(sidecar, F_OK) == 0 ? sidecar : path, 1 << 20, &buf, &len), 0);
	text = strncmp(buf, "# expect: ", 10) == 0 ? buf + 10 : buf;
	(void)snprintf(ret, size, "%.*s", (int)strcspn(text, "\n"), text);
}

static int is_fixture(const struct dirent *d)
{
	return d->d_name[0] != '.' && !strstr(d->d_name, ".expect");
}

static void test_bad_fixtures(void **state)
{
	const char *top = getenv("OFFKUBE_SOURCE_DIR");
	CLEANUP_FREE char *folder = str_printf("%s/fixtures/bad", top ? top : ".");
	struct dirent **list = NULL;
	int n_wrong = 0;
	int n = scandir(folder, &list, is_fixture, alphasort);

	(void)state;
	assert_true(n > 80);
	for (int i = 0; i < n; i++) {
		CLEANUP_FREE char *path = str_printf("%s/%s", folder, list[i]->d_name);
		CLEANUP_FREE char *buf = NULL;
		const struct source_file_conf conf = {};
		struct snapshot *s = NULL;
		struct err e = {};
		char want[800], got[800];
		size_t size = 0;
		int r;

		assert_int_equal(read_file(path, 1 << 20, &buf, &size), 0);
		r = source_file_parse(&conf, list[i]->d_name, buf, size, &s, NULL, &e);
		expected_of(path, want, sizeof(want));
		(void)snprintf(got, sizeof(got), "%s: %s", e.path, e.text);
		if (r != -EINVAL || s || strcmp(got, want) != 0) {
			print_error("%s: %d\n  got  %s\n  want %s\n", list[i]->d_name, r, got, want);
			n_wrong++;
		}
		snapshot_unref(s);
		free(list[i]);
	}
	free(list);
	assert_int_equal(n_wrong, 0);
}

/* ---- manifests of others, when they are there ---- */

static char *shared_file(const char *name)
{
	const char *shared = getenv("OFFKUBE_SHARED"), *top = getenv("OFFKUBE_SOURCE_DIR");
	char *path = shared ? str_printf("%s/data/workloads/%s", shared, name) :
			      str_printf("%s/../shared/data/workloads/%s", top ? top : ".", name);

	if (path && access(path, R_OK) == 0)
		return path;
	free(path);
	return NULL;
}

static void load_shared(const char *name, size_t n_services, size_t n_pods, size_t n_endpoints)
{
	CLEANUP_FREE char *path = shared_file(name);
	const char *paths[] = { path };
	struct source_case c = { .conf = { .paths = paths, .n_paths = 1 } };

	if (!path) {
		print_message("SKIP: %s is not here\n", name);
		skip();
	}
	c.r = source_file_load(&c.conf, &c.s, &c.report, &c.e);
	if (c.r)
		fail_msg("%s: %s", c.e.path, c.e.text);
	assert_int_equal(snapshot_n_services(c.s), n_services);
	assert_int_equal(snapshot_n_pods(c.s), n_pods);
	assert_int_equal(snapshot_n_endpoints(c.s), n_endpoints);
	assert_int_equal(c.report.n_warnings, 0);
	case_free(&c);
}

static void test_online_boutique(void **state)
{
	(void)state;
	load_shared("online-boutique.yaml", 12, 12, 12);
}

static void test_open5gs(void **state)
{
	(void)state;
	load_shared("open5gs.yaml", 13, 15, 22);
}

/* The project's own example carries what its README says. */
static void test_shop(void **state)
{
	const char *top = getenv("OFFKUBE_SOURCE_DIR");
	CLEANUP_FREE char *path = str_printf("%s/examples/shop.yaml", top ? top : ".");
	const char *paths[] = { path };
	struct source_case c = { .conf = { .paths = paths, .n_paths = 1 } };
	const struct service *s;

	(void)state;
	assert_int_equal(source_file_load(&c.conf, &c.s, &c.report, &c.e), 0);
	assert_int_equal(snapshot_n_services(c.s), 11);
	assert_int_equal(c.report.n_headless, 1);
	assert_int_equal(c.report.n_external_name, 1);
	assert_int_equal(c.report.n_warnings, 1); /* reviews has no pods, and is there for that */
	s = snapshot_service(c.s, "shop", "payment");
	assert_true(ip_addr_is_set(&s->cluster_ip[IP_V4]) && ip_addr_is_set(&s->cluster_ip[IP_V6]));
	s = snapshot_service(c.s, "shop", "cart");
	assert_int_equal(s->affinity_timeout_s, 600);
	case_free(&c);
}

/* What kubectl gives for a running cluster: all as it was observed, nothing made again. */
static void test_cluster_dump(void **state)
{
	const char *top = getenv("OFFKUBE_SOURCE_DIR");
	CLEANUP_FREE char *path = str_printf("%s/fixtures/cluster-dump.yaml", top ? top : ".");
	const char *paths[] = { path };
	struct source_case c = { .conf = { .paths = paths, .n_paths = 1, .ipv4_only = true } };
	const struct service *s;

	(void)state;
	assert_int_equal(source_file_load(&c.conf, &c.s, &c.report, &c.e), 0);
	assert_int_equal(c.report.n_warnings, 0);
	assert_int_equal(snapshot_n_nodes(c.s), 2);
	assert_int_equal(snapshot_n_pods(c.s), 4);
	assert_string_equal(case_ip(&snapshot_node(c.s, "lab-worker")->addr[IP_V4]), "172.18.0.3");
	assert_string_equal(case_pod(&c, "web-5d59d67564-k2v7m")->workload, "Deployment/web");
	assert_string_equal(case_endpoints(&c, "web", IPPROTO_TCP, 80, IP_V4),
			    "10.244.1.5:8080@lab-worker rs, 10.244.1.6:8080@lab-worker st");
	assert_string_equal(case_endpoints(&c, "kubernetes", IPPROTO_TCP, 443, IP_V4), "172.18.0.2:6443@- rs");
	assert_int_equal(case_service(&c, "web")->features, 1u << SERVICE_FEATURE_EXTERNAL_LOCAL);
	s = snapshot_service(c.s, "kube-system", "kube-dns");
	assert_string_equal(case_ip(&s->cluster_ip[IP_V4]), "10.96.0.10");
	case_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_kinds),
		cmocka_unit_test(test_counts_many_kinds),
		cmocka_unit_test(test_kinds_of_other_groups),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_nothing_or_everything),
		cmocka_unit_test(test_bad_cidrs),
		cmocka_unit_test(test_huge_label),
		cmocka_unit_test(test_warnings_are_bounded),
		cmocka_unit_test(test_bad_fixtures),
		cmocka_unit_test(test_online_boutique),
		cmocka_unit_test(test_open5gs),
		cmocka_unit_test(test_shop),
		cmocka_unit_test(test_cluster_dump),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
