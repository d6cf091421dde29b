/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>

#include "target/target.h"

#define FACET(x) (1u << SERVICE_FACET_##x)
#define FEATURE(x) (1u << SERVICE_FEATURE_##x)

/* Carries ClusterIPs, with `understood`. */
static uint32_t check(uint32_t facets, uint32_t features, uint32_t understood, struct refusal_list *l)
{
	struct service svc = { .ns = "shop", .name = "cart", .facets = facets, .features = features };

	return target_check_service(&svc, FACET(CLUSTER_IP), understood, l);
}

static void test_accepts(void **state)
{
	struct refusal_list l = {};

	(void)state;
	assert_int_equal(check(FACET(CLUSTER_IP), 0, 0, &l), FACET(CLUSTER_IP));
	assert_int_equal(check(FACET(CLUSTER_IP), FEATURE(AFFINITY) | FEATURE(SCTP), FEATURE(AFFINITY) | FEATURE(SCTP),
			       &l),
			 FACET(CLUSTER_IP));
	assert_int_equal(l.n, 0);
}

static void test_facets_left(void **state)
{
	static const enum refusal want[] = { REFUSAL_NODE_PORT, REFUSAL_LOAD_BALANCER, REFUSAL_EXTERNAL_IP };
	struct refusal_list l = {};
	struct service svc = { .ns = "a", .name = "b", .facets = FACET(CLUSTER_IP) };

	(void)state;
	assert_int_equal(check(FACET(CLUSTER_IP) | FACET(NODE_PORT) | FACET(LOAD_BALANCER) | FACET(EXTERNAL_IP), 0, 0,
			       &l),
			 FACET(CLUSTER_IP));
	assert_int_equal(l.n, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(l.v[i].why, want[i]);
		assert_string_equal(l.v[i].object, "Service shop/cart");
		assert_true(l.v[i].field[0] != '\0');
	}
	assert_int_equal(target_check_service(&svc, 0, 0, &l), 0);
	assert_int_equal(l.v[3].why, REFUSAL_NO_FUNCTION);
	refusal_list_free(&l);
}

/* Each feature that is not understood is named, and takes away what it belongs to. */
static void test_features_left(void **state)
{
	static const struct {
		uint32_t feature;
		enum refusal why;
		uint32_t left;
	} cases[] = {
		{ FEATURE(AFFINITY), REFUSAL_AFFINITY, 0 },
		{ FEATURE(TOPOLOGY), REFUSAL_TOPOLOGY, 0 },
		{ FEATURE(INTERNAL_LOCAL), REFUSAL_INTERNAL_LOCAL, 0 },
		{ FEATURE(EXTERNAL_LOCAL), REFUSAL_EXTERNAL_LOCAL, FACET(CLUSTER_IP) },
		{ FEATURE(SOURCE_RANGES), REFUSAL_SOURCE_RANGES, FACET(CLUSTER_IP) },
		{ FEATURE(SCTP), REFUSAL_SCTP, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct refusal_list l = {};

		assert_int_equal(check(FACET(CLUSTER_IP), cases[i].feature, 0, &l), cases[i].left);
		assert_int_equal(l.n, 1);
		assert_int_equal(l.v[0].why, cases[i].why);
		refusal_list_free(&l);
		/* The answer is the same when nobody wants to know why. */
		assert_int_equal(check(FACET(CLUSTER_IP), cases[i].feature, 0, NULL), cases[i].left);
	}
}

/* What was invented after this code. */
static void test_unknown_bits(void **state)
{
	struct refusal_list l = {};

	(void)state;
	assert_int_equal(check(FACET(CLUSTER_IP), 1u << SERVICE_FEATURE_MAX, ~0u, &l), 0);
	assert_int_equal(check(FACET(CLUSTER_IP) | 1u << SERVICE_FACET_MAX, 0, 0, &l), 0);
	assert_int_equal(l.count[REFUSAL_UNKNOWN_FEATURE], 2);
	refusal_list_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepts),
		cmocka_unit_test(test_facets_left),
		cmocka_unit_test(test_features_left),
		cmocka_unit_test(test_unknown_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
