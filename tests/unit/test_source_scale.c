/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * source/file at size: 250,000 endpoints in EndpointSlices in bounded memory, a Service with 5,000
 * endpoints, thousands of Services with selectors. Prints what it took. Under the sanitizers a
 * tenth, and no bound on memory: theirs is counted too.
 */
#include "source_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

#ifdef __SANITIZE_ADDRESS__
#define DIVISOR 10
#else
#define DIVISOR 1
#endif
#define MIB (1u << 20)

/* ---- 250,000 endpoints ---- */

#define N_ENDPOINTS (250000 / DIVISOR)
#define PER_SLICE 1000
#define N_SLICES (N_ENDPOINTS / PER_SLICE)
#define PER_SERVICE 5 /* slices */

static void write_slice(FILE *f, int i)
{
	fprintf(f,
		",{\"apiVersion\":\"discovery.k8s.io/v1\",\"kind\":\"EndpointSlice\","
		"\"metadata\":{\"name\":\"s%d-%d\",\"namespace\":\"default\","
		"\"labels\":{\"kubernetes.io/service-name\":\"s%d\"}},\"addressType\":\"IPv4\","
		"\"ports\":[{\"port\":8080}],\"endpoints\":[",
		i / PER_SERVICE, i, i / PER_SERVICE);
	for (int k = 0; k < PER_SLICE; k++) {
		int n = i * PER_SLICE + k + 1;

		fprintf(f,
			"%s{\"addresses\":[\"10.%d.%d.%d\"],\"conditions\":{\"ready\":true,"
			"\"serving\":true,\"terminating\":false},"
			"\"nodeName\":\"node-%d\",\"targetRef\":{\"kind\":\"Pod\","
			"\"namespace\":\"default\",\"name\":\"web-%d\","
			"\"uid\":\"00000000-0000-0000-0000-%012d\"},\"zone\":\"z%d\"}",
			k ? "," : "", n >> 16, n >> 8 & 255, n & 255, k % 100, n, n, k % 3);
	}
	fprintf(f, "]}");
}

/* A List as the API server writes it: kind before items. */
static void write_list(const char *path)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fprintf(f, "{\"kind\":\"List\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[");
	for (int i = 0; i < N_SLICES / PER_SERVICE; i++)
		fprintf(f,
			"%s{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"s%d\"},"
			"\"spec\":{\"ports\":[{\"port\":80}]}}",
			i ? "," : "", i);
	for (int i = 0; i < N_SLICES; i++)
		write_slice(f, i);
	fprintf(f, "]}\n");
	assert_int_equal(fclose(f), 0);
}

/* In a process of its own, so that its peak is its own. */
static int load_list(const char *path)
{
	const char *paths[] = { path };
	struct source_file_conf conf = { .paths = paths, .n_paths = 1 };
	uint64_t start = clock_now_ns(&clock_monotonic);
	struct snapshot *s = NULL;
	struct err e = {};
	bool ok;

	if (source_file_load(&conf, &s, NULL, &e) < 0) {
		printf("%s: %s\n", e.path, e.text);
		return 1;
	}
	ok = snapshot_n_endpoints(s) == N_ENDPOINTS;
	printf("%zu endpoints in %.2f s", snapshot_n_endpoints(s),
	       (double)(clock_now_ns(&clock_monotonic) - start) / NSEC_PER_SEC);
	snapshot_unref(s);
	(void)fflush(stdout);
	return ok ? 0 : 1;
}

static void test_endpoints_in_bounded_memory(void **state)
{
	char path[] = "/tmp/offkube-scale-XXXXXX";
	struct rusage usage = {};
	struct stat st;
	int status = 0;
	int fd = mkstemp(path);
	pid_t pid;

	(void)state;
	assert_true(fd >= 0);
	(void)close(fd);
	write_list(path);
	assert_int_equal(stat(path, &st), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(load_list(path));
	assert_int_equal(wait4(pid, &status, 0, &usage), pid);
	(void)unlink(path);
	printf(", file %ld MiB, peak %ld MiB\n", (long)(st.st_size / MIB), usage.ru_maxrss / 1024);
	assert_int_equal(status, 0);
	if (DIVISOR == 1) /* the file, and at most 400 bytes an endpoint */
		assert_true((uint64_t)usage.ru_maxrss * 1024 < (uint64_t)st.st_size + N_ENDPOINTS * 400ull);
}

/* ---- one large Service ---- */

static void test_large_service(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, M_WORKLOAD("Deployment", "d", "replicas: 5000, ", ""),
		  M_SERVICE("a", "selector: {app: d}, ipFamilyPolicy: RequireDualStack, ports: [{port: 80}]"));
	assert_int_equal(case_service(&c, "a")->ports[0].n_endpoints[IP_V4], 5000);
	assert_int_equal(case_service(&c, "a")->ports[0].n_endpoints[IP_V6], 5000);
	assert_int_equal(c.report.n_warnings, 0);
	case_free(&c);
}

/* ---- many Services ---- */

static void test_many_services(void **state)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	const int n = 10000 / DIVISOR;
	uint64_t start;
	struct source_case c = {};

	(void)state;
	for (int i = 0; i < n; i++)
		strbuf_addf(&sb,
			    "---\napiVersion: v1\nkind: Service\nmetadata: {name: s%d}\nspec: {selector: "
			    "{app: s%d, tier: web}, ports: [{port: 80}]}\n"
			    "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: s%d}\nspec: "
			    "{replicas: 2, template: {metadata: "
			    "{labels: {tier: web, app: s%d}}, spec: {containers: [{name: c}]}}}\n",
			    i, i, i, i);
	start = clock_now_ns(&clock_monotonic);
	case_good(&c, sb.buf);
	printf("%d Services, %d pods in %.2f s\n", n, 2 * n,
	       (double)(clock_now_ns(&clock_monotonic) - start) / NSEC_PER_SEC);
	assert_int_equal(snapshot_n_services(c.s), n);
	assert_int_equal(snapshot_n_endpoints(c.s), 2 * n);
	assert_int_equal(c.report.n_pods_pending, 0);
	case_free(&c);
}

/*
 * An object with very many labels must not take quadratic time: 20,000 are read in a moment, or the
 * time limit of the test ends it.
 */
static void test_many_labels(void **state)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	struct source_case c = {};

	(void)state;
	strbuf_add(&sb, "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  labels:\n");
	for (int i = 0; i < 20000; i++)
		strbuf_addf(&sb, "    l%d: v%d\n", i, i);
	strbuf_add(&sb, "spec: {}\n");
	case_good(&c, sb.buf);
	assert_int_equal(case_pod(&c, "p")->n_labels, 20000);
	case_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_endpoints_in_bounded_memory),
		cmocka_unit_test(test_large_service),
		cmocka_unit_test(test_many_services),
		cmocka_unit_test(test_many_labels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
