/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which cells a workload gives: paths, the order of Services, who may be the client, pods of the host's network. */
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

#define ECHO (1u << LOAD_ECHO)
#define BOTH (1u << LOAD_ECHO | 1u << LOAD_CONNECT)

/* ---- a small cluster: node-1 (10.244.1.0/24), node-2 (10.244.2.0/24); pod "a1" is 10.244.1.<number> ---- */

static struct snapshot_edit *cluster(void)
{
	struct node *n1 = make_node("node-1", "172.30.0.1", "10.244.1.0/24");
	struct node *n2 = make_node("node-2", "172.30.0.2", "10.244.2.0/24");
	struct snapshot_edit *ed = NULL;

	assert_int_equal(snapshot_edit_new(NULL, &ed), 0);
	assert_int_equal(snapshot_edit_put_node(ed, n1, NULL), 0);
	assert_int_equal(snapshot_edit_put_node(ed, n2, NULL), 0);
	node_unref(n1);
	node_unref(n2);
	return ed;
}

static void put_pod(struct snapshot_edit *ed, const char *name, const char *node, const char *addr, uint16_t host_port)
{
	const struct container_port port = { .port = host_port, .proto = IPPROTO_TCP };
	struct pod fill = { .ns = "shop", .name = name, .node = node, .ready = true, .host_network = host_port != 0 };
	struct pod *p = NULL;
	struct err e = {};

	fill.addr[IP_V4] = ip(addr);
	fill.ports = &port;
	fill.n_ports = host_port != 0;
	if (pod_new(&fill, &p, &e) < 0 || snapshot_edit_put_pod(ed, p, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	pod_unref(p);
}

/* Endpoints: addresses separated by blanks, port 8080 ("addr:port" for another). */
static void put_service(struct snapshot_edit *ed, const char *name, unsigned int n, const char *endpoints,
			uint32_t features, uint8_t proto)
{
	struct endpoint eps[20];
	struct service_port port = { .name = "", .proto = proto, .port = 80, .endpoints = { eps } };
	struct service fill = {
		.ns = "shop", .name = name, .facets = 1, .features = features, .n_ports = 1, .ports = &port
	};
	char *copy = strdup(endpoints), *save = NULL, addr[32];
	struct service *svc = NULL;
	struct err e = {};

	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		char *colon = strchr(w, ':');
		struct endpoint *ep = &eps[port.n_endpoints[IP_V4]++];

		if (colon)
			*colon = '\0';
		*ep = ready_at(w, colon ? (uint16_t)atoi(colon + 1) : 8080);
	}
	(void)snprintf(addr, sizeof(addr), "10.96.0.%u", n);
	fill.cluster_ip[IP_V4] = ip(addr);
	if (service_new(&fill, &svc, &e) < 0 || snapshot_edit_put_service(ed, svc, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	service_unref(svc);
	free(copy);
}

static void put_tcp(struct snapshot_edit *ed, const char *name, unsigned int n, const char *endpoints)
{
	put_service(ed, name, n, endpoints, 0, IPPROTO_TCP);
}

/* The cells of a finished edit. */
struct cells {
	struct snapshot *s;
	size_t n;
	struct eval_cell v[EVAL_CELLS_MAX];
};

static struct cells *cells_of(struct snapshot_edit *ed, uint32_t loads, bool quick)
{
	struct cells *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	assert_int_equal(snapshot_edit_commit(ed, &c->s), 0);
	assert_int_equal(eval_make_cells(c->s, loads, quick, c->v, &c->n), 0);
	return c;
}

static void cells_free(struct cells *c)
{
	snapshot_unref(c->s);
	free(c);
}

static const struct eval_cell *cell_at(const struct cells *c, enum eval_path path)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].path == path && c->v[i].family == IP_V4 && c->v[i].load == LOAD_ECHO)
			return &c->v[i];
	return NULL;
}

/* ---- tests ---- */

static void test_paths(void **state)
{
	struct snapshot_edit *ed = cluster();
	const struct eval_cell *cell;
	struct cells *c;

	(void)state;
	put_pod(ed, "client", "node-1", "10.244.1.2", 0);
	put_pod(ed, "near", "node-1", "10.244.1.3", 0);
	put_pod(ed, "far", "node-2", "10.244.2.3", 0);
	put_tcp(ed, "s-near", 1, "10.244.1.3");
	put_tcp(ed, "s-far", 2, "10.244.2.3");
	put_tcp(ed, "s-both", 3, "10.244.1.3 10.244.2.3");
	c = cells_of(ed, ECHO, false);
	assert_int_equal(c->n, PATH_MAX * IP_FAMILY_MAX);

	cell = cell_at(c, PATH_SAME_NODE);
	assert_int_equal(cell->n_services, 1);
	assert_string_equal(cell->services[0].svc->name, "s-near");
	assert_string_equal(cell->services[0].backends[0].pod->name, "near");
	assert_string_equal(cell->client->name, "client");
	cell = cell_at(c, PATH_OTHER_NODE);
	assert_int_equal(cell->n_services, 1);
	assert_string_not_equal(cell->services[0].backends[0].pod->node, cell->client->node);
	cell = cell_at(c, PATH_MIXED_NODES);
	assert_int_equal(cell->n_services, 1);
	assert_string_equal(cell->services[0].svc->name, "s-both");
	assert_int_equal(cell->services[0].n_backends, 2);
	/* Nothing has IPv6: told, not measured. */
	for (size_t i = 0; i < c->n; i++)
		assert_int_equal(c->v[i].why_not[0] != '\0', c->v[i].family == IP_V6);
	assert_string_equal(c->v[PATH_MAX].why_not, "no TCP Service whose ipv6 backends are all on a client's node");
	cells_free(c);
}

static void test_fewest_backends_first(void **state)
{
	struct snapshot_edit *ed = cluster();
	const struct eval_cell *cell;
	struct cells *c;

	(void)state;
	put_pod(ed, "client", "node-1", "10.244.1.2", 0);
	for (int i = 0; i < 8; i++) {
		char name[16], addr[32];

		(void)snprintf(name, sizeof(name), "b%d", i);
		(void)snprintf(addr, sizeof(addr), "10.244.1.%d", 10 + i);
		put_pod(ed, name, "node-1", addr, 0);
	}
	put_tcp(ed, "a-three", 1, "10.244.1.10 10.244.1.11 10.244.1.12");
	put_tcp(ed, "b-two", 2, "10.244.1.13 10.244.1.14");
	put_tcp(ed, "c-one", 3, "10.244.1.15");
	put_tcp(ed, "d-one", 4, "10.244.1.16");
	put_tcp(ed, "e-one", 5, "10.244.1.17");
	c = cells_of(ed, ECHO, false);
	cell = cell_at(c, PATH_SAME_NODE);
	assert_int_equal(cell->n_services, EVAL_SERVICES_MAX);
	assert_string_equal(cell->services[0].svc->name, "c-one");
	assert_string_equal(cell->services[1].svc->name, "d-one");
	assert_string_equal(cell->services[2].svc->name, "e-one");
	assert_string_equal(cell->services[3].svc->name, "b-two");
	cells_free(c);
}

/* Each pod of the node is a backend of something: Services are given up until one is none. */
static void test_client_is_no_backend(void **state)
{
	struct snapshot_edit *ed = cluster();
	const struct eval_cell *cell;
	struct cells *c;

	(void)state;
	put_pod(ed, "x", "node-1", "10.244.1.2", 0);
	put_pod(ed, "y", "node-1", "10.244.1.3", 0);
	put_tcp(ed, "s-x", 1, "10.244.1.2");
	put_tcp(ed, "s-y", 2, "10.244.1.3");
	put_tcp(ed, "s-xy", 3, "10.244.1.2 10.244.1.3");
	c = cells_of(ed, ECHO, false);
	cell = cell_at(c, PATH_SAME_NODE);
	assert_int_equal(cell->n_services, 1);
	assert_string_equal(cell->services[0].svc->name, "s-x");
	assert_string_equal(cell->client->name, "y");
	cells_free(c);

	ed = cluster();
	put_pod(ed, "x", "node-1", "10.244.1.2", 0);
	put_tcp(ed, "s-x", 1, "10.244.1.2");
	c = cells_of(ed, ECHO, false);
	assert_true(cell_at(c, PATH_SAME_NODE)->why_not[0]);
	assert_true(cell_at(c, PATH_OTHER_NODE)->why_not[0]); /* nobody lives on the other node */
	cells_free(c);
}

static void test_host_network(void **state)
{
	struct snapshot_edit *ed = cluster();
	const struct eval_cell *cell;
	struct ip_addr node = ip("172.30.0.2");
	struct cells *c;

	(void)state;
	put_pod(ed, "host-a", "node-2", "172.30.0.2", 9100);
	put_pod(ed, "host-b", "node-2", "172.30.0.2", 9200);
	put_pod(ed, "client", "node-1", "10.244.1.2", 0);
	put_tcp(ed, "agent", 1, "172.30.0.2:9200");
	c = cells_of(ed, ECHO, false);
	/* Told by the port that it declares; and no client: it has no namespace of its own. */
	cell = cell_at(c, PATH_OTHER_NODE);
	assert_string_equal(cell->services[0].backends[0].pod->name, "host-b");
	assert_string_equal(cell->client->name, "client");
	assert_true(cell_at(c, PATH_SAME_NODE)->why_not[0]);
	assert_null(eval_pod_of(c->s, &node, 9300, IPPROTO_TCP));
	assert_null(eval_pod_of(c->s, &node, 9100, IPPROTO_UDP));
	assert_string_equal(eval_pod_of(c->s, &node, 9100, IPPROTO_TCP)->name, "host-a");
	cells_free(c);
}

static void test_what_is_no_candidate(void **state)
{
	struct snapshot_edit *ed = cluster();
	struct cells *c;

	(void)state;
	put_pod(ed, "client", "node-1", "10.244.1.2", 0);
	put_pod(ed, "far", "node-2", "10.244.2.3", 0);
	put_service(ed, "udp", 1, "10.244.2.3", 0, IPPROTO_UDP);
	put_service(ed, "local", 2, "10.244.2.3", 1u << SERVICE_FEATURE_INTERNAL_LOCAL, IPPROTO_TCP);
	put_tcp(ed, "empty", 3, "");
	put_tcp(ed, "stranger", 4, "192.0.2.1"); /* nobody's address: who answers cannot be judged */
	put_tcp(ed, "half", 5, "10.244.2.3 192.0.2.1");
	c = cells_of(ed, ECHO, false);
	for (size_t i = 0; i < c->n; i++)
		assert_true(c->v[i].why_not[0] && !c->v[i].client);
	cells_free(c);
}

static void test_quick(void **state)
{
	struct snapshot_edit *ed = cluster();
	struct cells *c;

	(void)state;
	put_pod(ed, "client", "node-1", "10.244.1.2", 0);
	put_pod(ed, "far", "node-2", "10.244.2.3", 0);
	put_tcp(ed, "s-far", 2, "10.244.2.3");
	c = cells_of(ed, BOTH, true);
	/* IPv4 alone, and no mixed cell as there is a pure one. */
	assert_int_equal(c->n, 2 * 2);
	assert_null(cell_at(c, PATH_MIXED_NODES));
	cells_free(c);

	ed = cluster();
	put_pod(ed, "client", "node-1", "10.244.1.2", 0);
	put_pod(ed, "near", "node-1", "10.244.1.3", 0);
	put_pod(ed, "far", "node-2", "10.244.2.3", 0);
	put_tcp(ed, "s-both", 3, "10.244.1.3 10.244.2.3");
	c = cells_of(ed, BOTH, true);
	assert_int_equal(c->n, 3 * 2);
	assert_false(cell_at(c, PATH_MIXED_NODES)->why_not[0]);
	cells_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_fewest_backends_first),
		cmocka_unit_test(test_client_is_no_backend),
		cmocka_unit_test(test_host_network),
		cmocka_unit_test(test_what_is_no_candidate),
		cmocka_unit_test(test_quick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
