/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nodes and pods: deep copies in one block, what is refused and where, equality. */
#include <errno.h>

#include "model_alloc.h"

static const struct label labels[] = { { "tier", "web" }, { "app", "cart" }, { "b", "" } };
static const struct container_port ports[] = { { "http", 8080, IPPROTO_TCP }, { NULL, 53, IPPROTO_UDP } };
static const struct env_var env[] = { { "CART_ADDR", "cart:80" }, { "EMPTY", "" } };

static struct pod full_pod(void)
{
	return (struct pod){ .ns = "shop",
			     .name = "cart-0",
			     .workload = "Deployment/cart",
			     .node = "worker-1",
			     .addr = { ip("10.1.0.2"), ip("fd00::2") },
			     .ready = true,
			     .n_labels = 3,
			     .labels = labels,
			     .n_ports = 2,
			     .ports = ports,
			     .n_env = 2,
			     .env = env };
}

static struct node full_node(void)
{
	return (struct node){ .name = "worker-1",
			      .zone = "a",
			      .addr = { ip("10.0.0.1"), ip("fd00:0:0:1::1") },
			      .pod_cidr = { cidr("10.1.0.0/24"), cidr("fd00:10::/64") } };
}

static void assert_pod_refused(const struct pod *fill, const char *path)
{
	struct pod *p = NULL;
	struct err e = { 0 };

	assert_int_equal(pod_new(fill, &p, &e), -EINVAL);
	assert_null(p);
	assert_string_equal(e.path, path);
	assert_true(strlen(e.text) > 0);
	assert_int_equal(pod_new(fill, &p, NULL), -EINVAL);
}

static void assert_node_refused(const struct node *fill, const char *path)
{
	struct node *n = NULL;
	struct err e = { 0 };

	assert_int_equal(node_new(fill, &n, &e), -EINVAL);
	assert_null(n);
	assert_string_equal(e.path, path);
}

static void pod_is_one_deep_copy(void **state)
{
	char name[] = "cart-0", value[] = "cart";
	struct label mine[] = { { "tier", "web" }, { "app", value }, { "b", "" } };
	struct pod fill = full_pod();
	struct pod *p = NULL;

	(void)state;
	fill.name = name;
	fill.labels = mine;
	n_allocs = 0;
	assert_int_equal(pod_new(&fill, &p, NULL), 0);
	assert_int_equal(n_allocs, 1);
	memset(name, 'x', 4);
	memset(value, 'x', 4);
	memset(mine, 0, sizeof(mine));
	assert_string_equal(p->name, "cart-0");
	assert_string_equal(p->ns, "shop");
	assert_string_equal(p->workload, "Deployment/cart");
	assert_string_equal(p->node, "worker-1");
	assert_string_equal(p->labels[0].key, "app");
	assert_string_equal(p->labels[1].key, "b");
	assert_string_equal(p->labels[2].key, "tier");
	assert_string_equal(pod_label(p, "app"), "cart");
	assert_string_equal(pod_label(p, "b"), "");
	assert_null(pod_label(p, "c"));
	assert_string_equal(p->ports[0].name, "http");
	assert_null(p->ports[1].name);
	assert_int_equal(p->ports[1].port, 53);
	assert_string_equal(p->env[0].value, "cart:80");
	assert_true(p->ready && !p->terminating && !p->host_network);
	assert_ptr_equal(pod_ref(p), p);
	pod_unref(p);
	assert_string_equal(p->env[1].name, "EMPTY");
	pod_unref(p);
	pod_unref(NULL);
}

static void bare_pod_is_fine(void **state)
{
	struct pod fill = { .ns = "a", .name = "b" };
	struct pod *p = NULL;

	(void)state;
	assert_int_equal(pod_new(&fill, &p, NULL), 0);
	assert_null(p->workload);
	assert_null(p->node);
	assert_null(pod_label(p, "x"));
	assert_false(ip_addr_is_set(&p->addr[IP_V4]));
	pod_unref(p);
}

static void huge_label_is_copied(void **state)
{
	size_t size = 1 << 20;
	char *huge = malloc(size + 1);
	struct label l = { "k", huge };
	struct pod fill = { .ns = "a", .name = "b", .n_labels = 1, .labels = &l };
	struct pod *p = NULL;

	(void)state;
	memset(huge, 'v', size);
	huge[size] = '\0';
	assert_int_equal(pod_new(&fill, &p, NULL), 0);
	assert_int_equal(strlen(pod_label(p, "k")), size);
	pod_unref(p);
	free(huge);
}

static void bad_pods_are_refused(void **state)
{
	struct label twins[] = { { "a", "1" }, { "b", "2" }, { "a", "3" } }, no_value[] = { { "a", NULL } };
	struct container_port no_port[] = { { "x", 80, IPPROTO_TCP }, { "y", 0, IPPROTO_TCP } };
	struct container_port icmp[] = { { "x", 80, IPPROTO_ICMP } };
	struct env_var no_name[] = { { NULL, "x" } };
	char longest[OBJ_NAME_MAX + 2];
	struct pod fill, *p = NULL;

	(void)state;
	memset(longest, 'a', sizeof(longest));
	longest[OBJ_NAME_MAX + 1] = '\0';
	fill = full_pod(), fill.ns = NULL, assert_pod_refused(&fill, "metadata.namespace");
	fill = full_pod(), fill.ns = "", assert_pod_refused(&fill, "metadata.namespace");
	fill = full_pod(), fill.name = NULL, assert_pod_refused(&fill, "metadata.name");
	fill = full_pod(), fill.name = longest, assert_pod_refused(&fill, "metadata.name");
	fill = full_pod(), fill.name = "a\nb", assert_pod_refused(&fill, "metadata.name");
	fill = full_pod(), fill.name = "a/b", assert_pod_refused(&fill, "metadata.name");
	fill = full_pod(), fill.name = "a b", assert_pod_refused(&fill, "metadata.name");
	fill = full_pod(), fill.name = "\xc3\xa4", assert_pod_refused(&fill, "metadata.name");
	fill = full_pod(), fill.addr[IP_V4] = ip("::1"), assert_pod_refused(&fill, "status.podIPs");
	fill = full_pod(), fill.addr[IP_V6] = ip("10.0.0.1"), assert_pod_refused(&fill, "status.podIPs");
	fill = full_pod(), fill.labels = twins, assert_pod_refused(&fill, "metadata.labels");
	fill = full_pod(), fill.labels = no_value, fill.n_labels = 1, assert_pod_refused(&fill, "metadata.labels");
	fill = full_pod(), fill.ports = no_port, assert_pod_refused(&fill, "spec.containers.ports[1]");
	fill = full_pod(), fill.ports = icmp, fill.n_ports = 1, assert_pod_refused(&fill, "spec.containers.ports[0]");
	fill = full_pod(), fill.env = no_name, fill.n_env = 1, assert_pod_refused(&fill, "spec.containers.env");
	longest[OBJ_NAME_MAX] = '\0';
	fill = full_pod(), fill.name = longest;
	assert_int_equal(pod_new(&fill, &p, NULL), 0);
	pod_unref(p);
}

static void assert_pod_differs(const struct pod *fill)
{
	struct pod base = full_pod(), *a = NULL, *b = NULL;

	assert_int_equal(pod_new(&base, &a, NULL), 0);
	assert_int_equal(pod_new(fill, &b, NULL), 0);
	assert_false(pod_equal(a, b));
	assert_false(pod_equal(b, a));
	pod_unref(a);
	pod_unref(b);
}

static void pods_are_equal_by_content(void **state)
{
	const struct label other_order[] = { labels[1], labels[2], labels[0] };
	static const struct label other_key[] = { { "tier", "web" }, { "app", "cart" }, { "c", "" } };
	static const struct label other_value[] = { { "tier", "web" }, { "app", "cart" }, { "b", "1" } };
	static const struct container_port port_named[] = { { "http", 8080, IPPROTO_TCP }, { "dns", 53, IPPROTO_UDP } };
	static const struct container_port port_number[] = { { "http", 8081, IPPROTO_TCP }, { NULL, 53, IPPROTO_UDP } };
	static const struct container_port port_proto[] = { { "http", 8080, IPPROTO_TCP }, { NULL, 53, IPPROTO_TCP } };
	static const struct env_var env_name[] = { { "CART", "cart:80" }, { "EMPTY", "" } };
	static const struct env_var env_value[] = { { "CART_ADDR", "cart:80" }, { "EMPTY", " " } };
	struct pod fill = full_pod(), *a = NULL, *b = NULL;

	(void)state;
	assert_int_equal(pod_new(&fill, &a, NULL), 0);
	fill.labels = other_order;
	assert_int_equal(pod_new(&fill, &b, NULL), 0);
	assert_true(pod_equal(a, b) && pod_equal(a, a));
	pod_unref(a);
	pod_unref(b);

	fill = full_pod(), fill.ns = "x", assert_pod_differs(&fill);
	fill = full_pod(), fill.name = "x", assert_pod_differs(&fill);
	fill = full_pod(), fill.workload = NULL, assert_pod_differs(&fill);
	fill = full_pod(), fill.node = "x", assert_pod_differs(&fill);
	fill = full_pod(), fill.addr[IP_V4] = ip("10.1.0.3"), assert_pod_differs(&fill);
	fill = full_pod(), fill.addr[IP_V6] = (struct ip_addr){ 0 }, assert_pod_differs(&fill);
	fill = full_pod(), fill.ready = false, assert_pod_differs(&fill);
	fill = full_pod(), fill.terminating = true, assert_pod_differs(&fill);
	fill = full_pod(), fill.host_network = true, assert_pod_differs(&fill);
	fill = full_pod(), fill.n_labels = 2, assert_pod_differs(&fill);
	fill = full_pod(), fill.labels = other_key, assert_pod_differs(&fill);
	fill = full_pod(), fill.labels = other_value, assert_pod_differs(&fill);
	fill = full_pod(), fill.n_ports = 1, assert_pod_differs(&fill);
	fill = full_pod(), fill.ports = port_named, assert_pod_differs(&fill);
	fill = full_pod(), fill.ports = port_number, assert_pod_differs(&fill);
	fill = full_pod(), fill.ports = port_proto, assert_pod_differs(&fill);
	fill = full_pod(), fill.n_env = 0, assert_pod_differs(&fill);
	fill = full_pod(), fill.env = env_name, assert_pod_differs(&fill);
	fill = full_pod(), fill.env = env_value, assert_pod_differs(&fill);
}

static void node_is_one_deep_copy(void **state)
{
	struct node fill = full_node(), *n = NULL;
	char name[] = "worker-1";

	(void)state;
	fill.name = name;
	n_allocs = 0;
	assert_int_equal(node_new(&fill, &n, NULL), 0);
	assert_int_equal(n_allocs, 1);
	memset(name, 'x', 3);
	assert_string_equal(n->name, "worker-1");
	assert_string_equal(n->zone, "a");
	assert_ptr_equal(node_ref(n), n);
	node_unref(n);
	assert_int_equal(n->pod_cidr[IP_V6].len, 64);
	node_unref(n);
	node_unref(NULL);
}

static void bad_nodes_are_refused(void **state)
{
	struct node fill;

	(void)state;
	fill = full_node(), fill.name = NULL, assert_node_refused(&fill, "metadata.name");
	fill = full_node(), fill.addr[IP_V4] = ip("::1"), assert_node_refused(&fill, "status.addresses");
	fill = full_node(), fill.pod_cidr[IP_V4] = cidr("fd00::/64"), assert_node_refused(&fill, "spec.podCIDRs");
	fill = full_node(), fill.pod_cidr[IP_V6] = cidr("10.0.0.0/8"), assert_node_refused(&fill, "spec.podCIDRs");
	fill = full_node(), fill.pod_cidr[IP_V4].len = 33, assert_node_refused(&fill, "spec.podCIDRs");
	fill = full_node(), fill.pod_cidr[IP_V4].addr.bytes[3] = 1, assert_node_refused(&fill, "spec.podCIDRs");
	fill = full_node(), fill.pod_cidr[IP_V4].len = 9, fill.pod_cidr[IP_V4].addr = ip("10.64.0.0");
	assert_node_refused(&fill, "spec.podCIDRs");
}

static void assert_node_differs(const struct node *fill)
{
	struct node base = full_node(), *a = NULL, *b = NULL;

	assert_int_equal(node_new(&base, &a, NULL), 0);
	assert_int_equal(node_new(fill, &b, NULL), 0);
	assert_true(node_equal(a, a));
	assert_false(node_equal(a, b));
	node_unref(b);
	assert_int_equal(node_new(&base, &b, NULL), 0);
	assert_true(node_equal(a, b));
	node_unref(a);
	node_unref(b);
}

static void nodes_are_equal_by_content(void **state)
{
	struct node fill;

	(void)state;
	fill = full_node(), fill.name = "x", assert_node_differs(&fill);
	fill = full_node(), fill.zone = NULL, assert_node_differs(&fill);
	fill = full_node(), fill.addr[IP_V4] = ip("10.0.0.9"), assert_node_differs(&fill);
	fill = full_node(), fill.addr[IP_V6] = ip("fd00::9"), assert_node_differs(&fill);
	fill = full_node(), fill.pod_cidr[IP_V4] = cidr("10.1.0.0/25"), assert_node_differs(&fill);
	fill = full_node(), fill.pod_cidr[IP_V6] = cidr("fd00:11::/64"), assert_node_differs(&fill);
}

static void prefix_cuts_any_length(void **state)
{
	struct ip_prefix p;

	(void)state;
	model_prefix_of(&(struct ip_addr){ AF_INET, { 255, 255, 255, 255 } }, 0, &p);
	assert_memory_equal(p.addr.bytes, ((uint8_t[16]){ 0 }), 16);
	model_prefix_of(&(struct ip_addr){ AF_INET, { 255, 255, 255, 255 } }, 21, &p);
	assert_memory_equal(p.addr.bytes, ((uint8_t[16]){ 255, 255, 248 }), 16);
	model_prefix_of(&(struct ip_addr){ AF_INET, { 255, 255, 255, 255 } }, 32, &p);
	assert_memory_equal(p.addr.bytes, ((uint8_t[16]){ 255, 255, 255, 255 }), 16);
	assert_int_equal(p.addr.fam, AF_INET);
	assert_int_equal(p.len, 32);
}

static void out_of_memory_is_told(void **state)
{
	struct pod pod = full_pod(), *p = NULL;
	struct node node = full_node(), *n = NULL;
	struct err e = { 0 };

	(void)state;
	n_allocs = 0;
	fail_at = 0;
	assert_int_equal(pod_new(&pod, &p, &e), -ENOMEM);
	assert_int_equal(e.code, -ENOMEM);
	assert_int_equal(node_new(&node, &n, NULL), -ENOMEM);
	fail_at = SIZE_MAX;
	assert_null(p);
	assert_null(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pod_is_one_deep_copy),	     cmocka_unit_test(bare_pod_is_fine),
		cmocka_unit_test(huge_label_is_copied),	     cmocka_unit_test(bad_pods_are_refused),
		cmocka_unit_test(pods_are_equal_by_content), cmocka_unit_test(node_is_one_deep_copy),
		cmocka_unit_test(bad_nodes_are_refused),     cmocka_unit_test(nodes_are_equal_by_content),
		cmocka_unit_test(prefix_cuts_any_length),    cmocka_unit_test(out_of_memory_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
