/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kinds of objects seen alike: names, addresses, order, and keys that tell what differs. */
#include "model/kind.h"
#include "model_util.h"

static void names_and_addresses_are_found(void **state)
{
	struct node *n = make_node("n", "10.0.0.1", "10.1.0.0/24");
	struct pod *p = make_pod("p", "10.1.0.2");
	struct endpoint ep = ready_at("10.1.0.2", 80);
	struct service *s = make_service("s", "10.96.0.1", &ep, 1);
	struct ip_addr node_addr = ip("10.0.0.1"), pod_addr = ip("10.1.0.2"), vip = ip("10.96.0.1");

	(void)state;
	assert_string_equal(kind_name(KIND_NODE, &n->ref).ns, "");
	assert_string_equal(kind_name(KIND_NODE, &n->ref).name, "n");
	assert_string_equal(kind_name(KIND_POD, &p->ref).ns, "shop");
	assert_string_equal(kind_name(KIND_SERVICE, &s->ref).name, "s");
	assert_string_equal(kind_text(KIND_SERVICE), "Service");
	assert_string_equal(kind_text(KIND_POD), "pod");
	assert_string_equal(kind_text(KIND_NODE), "node");
	assert_true(ip_addr_eq(kind_addr(KIND_NODE, &n->ref, IP_V4), &node_addr));
	assert_true(ip_addr_eq(kind_addr(KIND_POD, &p->ref, IP_V4), &pod_addr));
	assert_true(ip_addr_eq(kind_addr(KIND_SERVICE, &s->ref, IP_V4), &vip));
	assert_false(ip_addr_is_set(kind_addr(KIND_SERVICE, &s->ref, IP_V6)));
	p->host_network = true;
	assert_false(ip_addr_is_set(kind_addr(KIND_POD, &p->ref, IP_V4)));
	assert_int_equal(kind_n_endpoints(KIND_SERVICE, &s->ref), 1);
	assert_int_equal(kind_n_endpoints(KIND_SERVICE, NULL), 0);
	assert_int_equal(kind_n_endpoints(KIND_POD, &p->ref), 0);
	assert_true(kind_equal(KIND_NODE, &n->ref, &n->ref));
	node_unref(n);
	pod_unref(p);
	service_unref(s);
}

static void order_is_by_namespace_then_name(void **state)
{
	(void)state;
	assert_true(obj_name_cmp((struct obj_name){ "a", "z" }, (struct obj_name){ "b", "a" }) < 0);
	assert_true(obj_name_cmp((struct obj_name){ "a", "b" }, (struct obj_name){ "a", "a" }) > 0);
	assert_int_equal(obj_name_cmp((struct obj_name){ "a", "b" }, (struct obj_name){ "a", "b" }), 0);
}

static void keys_match_their_objects_only(void **state)
{
	struct pod *p = make_pod("p", "10.1.0.2");
	struct node *n = make_node("n", NULL, "10.1.0.0/24");
	struct name_key own = kind_key(KIND_POD, &p->ref), same = kind_name_key(KIND_POD, "shop", "p");
	struct name_key other_name = kind_name_key(KIND_POD, "shop", "q"),
			other_ns = kind_name_key(KIND_POD, "sho", "p");
	struct ip_addr a = ip("10.1.0.2"), b = ip("10.1.0.3");
	struct ip_key at_a = kind_ip_key(KIND_POD, &a), at_b = kind_ip_key(KIND_POD, &b);
	struct ip_prefix wide = cidr("10.1.0.0/16"), right = cidr("10.1.0.0/24"), beside = cidr("10.1.1.0/24");
	struct cidr_key k_wide = kind_cidr_key(&wide), k_right = kind_cidr_key(&right),
			k_beside = kind_cidr_key(&beside);

	(void)state;
	assert_true(own.key.hash == same.key.hash);
	assert_true(same.key.match(&p->ref, &same.key));
	assert_false(other_name.key.match(&p->ref, &other_name.key));
	assert_false(other_ns.key.match(&p->ref, &other_ns.key));
	assert_true(own.key.hash != other_name.key.hash && own.key.hash != other_ns.key.hash);
	assert_true(at_a.key.match(&p->ref, &at_a.key));
	assert_false(at_b.key.match(&p->ref, &at_b.key));
	assert_true(k_right.key.match(&n->ref, &k_right.key));
	assert_false(k_wide.key.match(&n->ref, &k_wide.key));
	assert_false(k_beside.key.match(&n->ref, &k_beside.key));
	assert_true(k_wide.key.hash != k_right.key.hash); /* the length counts */
	pod_unref(p);
	node_unref(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_addresses_are_found),
		cmocka_unit_test(order_is_by_namespace_then_name),
		cmocka_unit_test(keys_match_their_objects_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
