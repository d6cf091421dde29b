/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the evaluation adds to a workload for its loads, where it finds no room; and the call graph that the pods' environment gives. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "measure/eval_int.h"
#include "model_util.h"

#define ALL ((1u << LOAD_KIND_MAX) - 1)

static struct snapshot_edit *cluster(const char *first_cidr)
{
	struct node *n1 = make_node("node-1", "172.30.0.1", first_cidr);
	struct node *n2 = make_node("node-2", "172.30.0.2", "10.244.2.0/24");
	struct snapshot_edit *ed = NULL;

	assert_int_equal(snapshot_edit_new(NULL, &ed), 0);
	assert_int_equal(snapshot_edit_put_node(ed, n1, NULL), 0);
	assert_int_equal(snapshot_edit_put_node(ed, n2, NULL), 0);
	node_unref(n1);
	node_unref(n2);
	return ed;
}

static void put_pod(struct snapshot_edit *ed, const char *ns, const char *name, const char *addr, const char *env)
{
	const struct env_var v = { .name = "UPSTREAM", .value = env };
	struct pod fill = { .ns = ns, .name = name, .node = "node-1", .ready = true, .n_env = env != NULL, .env = &v };
	struct pod *p = NULL;

	fill.addr[IP_V4] = ip(addr);
	assert_int_equal(pod_new(&fill, &p, NULL), 0);
	assert_int_equal(snapshot_edit_put_pod(ed, p, NULL), 0);
	pod_unref(p);
}

static struct snapshot *commit(struct snapshot_edit *ed)
{
	struct snapshot *s = NULL;

	assert_int_equal(snapshot_edit_commit(ed, &s), 0);
	return s;
}

/* As if all programs but `but` (NULL = none) were there. */
static struct eval_tools tools_but(const char *but)
{
	struct eval_tools t = {};

	for (size_t i = 0; i < EVAL_TOOLS; i++)
		if (!str_eq(eval_tool_name[i], but))
			(void)snprintf(t.tool[i].path, sizeof(t.tool[i].path), "/usr/bin/%s", eval_tool_name[i]);
	return t;
}

static void assert_pod(const struct snapshot *s, const char *name, const char *node, const char *addr)
{
	const struct pod *p = snapshot_pod(s, EVAL_NS, name);
	struct ip_addr want = ip(addr);

	assert_non_null(p);
	assert_string_equal(p->node, node);
	assert_true(ip_addr_eq(&p->addr[IP_V4], &want));
}

static void test_added(void **state)
{
	struct snapshot_edit *ed = cluster("10.244.1.0/24");
	struct eval_tools tools = tools_but("redis-server");
	struct snapshot *s, *more = NULL;
	const struct service *svc;

	(void)state;
	put_pod(ed, "shop", "a", "10.244.1.253", NULL);
	s = commit(ed);
	assert_int_equal(eval_servers_add(s, ALL, &tools, &more, NULL), 0);
	assert_pod(more, "server-1", "node-1", "10.244.1.254");
	assert_pod(more, "server-2", "node-2", "10.244.2.254");
	assert_pod(more, "client", "node-1", "10.244.1.252"); /* 253 is the workload's */
	assert_int_equal(snapshot_n_services(more), 8); /* http, file, h2, bulk on both */
	assert_null(eval_server_service(more, LOAD_REDIS, 0));
	svc = eval_server_service(more, LOAD_BULK_UDP, 1);
	assert_non_null(svc);
	assert_string_equal(svc->name, "bulk-2");
	assert_int_equal(svc->n_ports, 4);
	assert_string_equal(svc->ports[0].endpoints[IP_V4][0].node, "node-2");
	assert_null(eval_server_service(more, LOAD_ECHO, 0));
	assert_int_equal(snapshot_n_pods(s), 1); /* the workload is as it was */
	snapshot_unref(more);
	snapshot_unref(s);
}

/* Nothing to serve: nothing is added. */
static void test_not_needed(void **state)
{
	struct eval_tools tools = tools_but(NULL), none = {};
	struct snapshot *s = commit(cluster("10.244.1.0/24")), *same = NULL;

	(void)state;
	assert_int_equal(eval_servers_add(s, 1u << LOAD_ECHO | 1u << LOAD_CALLS, &tools, &same, NULL), 0);
	assert_ptr_equal(s, same);
	snapshot_unref(same);
	assert_int_equal(eval_servers_add(s, ALL, &none, &same, NULL), 0);
	assert_ptr_equal(s, same);
	snapshot_unref(same);
	snapshot_unref(s);
}

static void test_no_room(void **state)
{
	struct eval_tools tools = tools_but(NULL);
	struct snapshot_edit *ed = cluster("10.244.1.0/30");
	struct snapshot *s, *more = NULL;
	struct err e = {};

	(void)state;
	put_pod(ed, "shop", "a", "10.244.1.1", NULL);
	s = commit(ed);
	assert_int_equal(eval_servers_add(s, ALL, &tools, &more, &e),
			 -ENOSPC); /* .2 for the server, none for the client */
	assert_string_equal(e.path, "node-1");
	assert_non_null(strstr(e.text, "no free address in the pod CIDR"));
	snapshot_unref(s);

	ed = cluster("10.244.1.0/24");
	put_pod(ed, EVAL_NS, "a", "10.244.1.1", NULL);
	s = commit(ed);
	e = (struct err){};
	assert_int_equal(eval_servers_add(s, ALL, &tools, &more, &e), -EEXIST);
	assert_string_equal(e.path, EVAL_NS);
	assert_null(more);
	snapshot_unref(s);
}

/* ---- call graph ---- */

static void put_catalog(struct snapshot_edit *ed)
{
	const struct endpoint ep = ready_at("10.244.1.20", 8080);
	struct service *svc = make_service("catalog", "10.96.0.9", &ep, 1);

	assert_int_equal(snapshot_edit_put_service(ed, svc, NULL), 0);
	service_unref(svc);
	put_pod(ed, "shop", "catalog-0", "10.244.1.20", "catalog:80"); /* calls itself: left out */
}

/* How many calls a pod with this value makes. */
static size_t n_calls(const char *value)
{
	struct snapshot_edit *ed = cluster("10.244.1.0/24");
	struct eval *ev = calloc(1, sizeof(*ev));
	const struct pod **pods = NULL;
	size_t n_pods, n;

	assert_non_null(ev);
	put_catalog(ed);
	put_pod(ed, "shop", "caller", "10.244.1.21", value);
	ev->snapshot = commit(ed);
	assert_int_equal(snapshot_sorted_pods(ev->snapshot, &pods, &n_pods), 0);
	eval_find_calls(ev, IP_V4, pods, n_pods, &ev->calls[IP_V4]);
	n = ev->calls[IP_V4].n;
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(ev->calls[IP_V4].call[i].caller->name, "caller");
		assert_string_equal(ev->calls[IP_V4].call[i].service.svc->name, "catalog");
		assert_int_equal(ev->calls[IP_V4].call[i].service.n_backends, 1);
	}
	free(pods);
	snapshot_unref(ev->snapshot);
	free(ev);
	return n;
}

static void test_calls(void **state)
{
	static const char *const yes[] = {
		"catalog:80",	      "catalog.shop:80",	"catalog.shop.svc.cluster.local:80",
		"amqp://catalog:80/", "grpc://catalog.shop:80", "db:1, catalog:80;x",
		" catalog:80 ",	      "catalog:80,catalog:80", /* once */
	};
	static const char *const no[] = {
		"",
		"catalog",
		"catalog:81",
		"catalog:",
		"catalog:80x",
		"catalog:65616",
		"catalog.other:80",
		"catalogue:80",
		"amqp://catalog/",
		"x:catalog:80",
		":80",
		"://",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		if (n_calls(yes[i]) != 1)
			fail_msg("\"%s\" names the catalogue", yes[i]);
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		if (n_calls(no[i]) != 0)
			fail_msg("\"%s\" names nothing that is there", no[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_added),
		cmocka_unit_test(test_not_needed),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
