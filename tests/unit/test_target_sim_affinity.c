/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>

#include "target/sim/internal.h"

#define SEC NSEC_PER_SEC

static const struct service_port ports[] = {
	{ .name = "a", .proto = IPPROTO_TCP, .port = 80 },
	{ .name = "b", .proto = IPPROTO_UDP, .port = 80 },
	{ .name = "c", .proto = IPPROTO_TCP, .port = 81 },
};

static struct service service(const char *ns, const char *name)
{
	return (struct service){ .ns = ns,
				 .name = name,
				 .cluster_ip = { { .fam = AF_INET, .bytes = { 10, 96, 0, name[0] } } },
				 .facets = 1u << SERVICE_FACET_CLUSTER_IP,
				 .features = 1u << SERVICE_FEATURE_AFFINITY,
				 .affinity_timeout_s = 60,
				 .n_ports = 3,
				 .ports = ports };
}

static struct ip_addr client(uint32_t n)
{
	return (struct ip_addr){ .fam = AF_INET, .bytes = { 10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n } };
}

static struct sim_backend backend(uint16_t port)
{
	return (struct sim_backend){ client(7), port };
}

static void test_key(void **state)
{
	struct service svc = service("shop", "cart"), other_ns = service("shoq", "cart"),
		       other = service("shop", "carz");
	struct ip_addr c = client(1), d = client(2), v6 = { .fam = AF_INET6 };
	struct sim_backend b = backend(1), b2 = backend(2);
	struct affinity_table t;

	(void)state;
	memcpy(v6.bytes, c.bytes, 16);
	assert_int_equal(affinity_init(&t), 0);
	assert_null(affinity_find(&t, &svc, &ports[0], &c));
	assert_int_equal(affinity_set(&t, &svc, &ports[0], &c, &b, 5 * SEC), 0);
	assert_int_equal(affinity_find(&t, &svc, &ports[0], &c)->backend.port, 1);
	assert_int_equal(affinity_find(&t, &svc, &ports[0], &c)->expires_ns, 65 * SEC);
	assert_null(affinity_find(&t, &svc, &ports[1], &c));
	assert_null(affinity_find(&t, &svc, &ports[2], &c));
	assert_null(affinity_find(&t, &svc, &ports[0], &d));
	assert_null(affinity_find(&t, &svc, &ports[0], &v6));
	assert_null(affinity_find(&t, &other_ns, &ports[0], &c));
	assert_null(affinity_find(&t, &other, &ports[0], &c));
	assert_int_equal(affinity_set(&t, &svc, &ports[0], &c, &b2, 6 * SEC), 0);
	assert_int_equal(affinity_find(&t, &svc, &ports[0], &c)->backend.port, 2);
	assert_int_equal(affinity_find(&t, &svc, &ports[0], &c)->expires_ns, 66 * SEC);
	assert_int_equal(map_count(t.by_client), 1);
	affinity_done(&t);
}

/* "a" + "bc" and "ab" + "c" are two Services; names may be as long as names can be. */
static void test_names(void **state)
{
	char longest[OBJ_NAME_MAX + 1];
	struct service x = service("a", "b-c"), y = service("a-b", "c"), z;
	struct ip_addr c = client(1);
	struct sim_backend b = backend(1);
	struct affinity_table t;

	(void)state;
	memset(longest, 'n', OBJ_NAME_MAX);
	longest[OBJ_NAME_MAX] = '\0';
	z = service(longest, longest);
	assert_int_equal(affinity_init(&t), 0);
	assert_int_equal(affinity_set(&t, &x, &ports[0], &c, &b, 0), 0);
	assert_null(affinity_find(&t, &y, &ports[0], &c));
	assert_int_equal(affinity_set(&t, &z, &ports[0], &c, &b, 0), 0);
	assert_non_null(affinity_find(&t, &z, &ports[0], &c));
	affinity_done(&t);
}

static struct snapshot *snapshot_with(const struct service *fill)
{
	struct snapshot_edit *ed;
	struct snapshot *s;
	struct service *svc;
	struct err e = {};

	assert_int_equal(snapshot_edit_new(NULL, &ed), 0);
	if (fill) {
		assert_int_equal(service_new(fill, &svc, &e), 0);
		assert_int_equal(snapshot_edit_put_service(ed, svc, &e), 0);
		service_unref(svc);
	}
	assert_int_equal(snapshot_edit_commit(ed, &s), 0);
	return s;
}

static void test_update(void **state)
{
	struct service svc = service("shop", "cart");
	struct ip_addr c = client(1), d = client(2);
	struct sim_backend b = backend(1);
	struct affinity_table t;
	struct snapshot *s;

	(void)state;
	assert_int_equal(affinity_init(&t), 0);
	assert_int_equal(affinity_set(&t, &svc, &ports[0], &c, &b, 0), 0);
	assert_int_equal(affinity_set(&t, &svc, &ports[2], &d, &b, 0), 0);
	s = snapshot_with(&svc);
	assert_int_equal(affinity_update(&t, s), 0);
	snapshot_unref(s);
	svc.n_ports = 2; /* "c" has gone */
	s = snapshot_with(&svc);
	assert_int_equal(affinity_update(&t, s), 1);
	assert_non_null(affinity_find(&t, &svc, &ports[0], &c));
	snapshot_unref(s);
	svc.features = 0;
	svc.affinity_timeout_s = 0;
	s = snapshot_with(&svc);
	assert_int_equal(affinity_update(&t, s), 1);
	snapshot_unref(s);
	svc = service("shop", "cart");
	assert_int_equal(affinity_set(&t, &svc, &ports[0], &c, &b, 0), 0);
	s = snapshot_with(NULL);
	assert_int_equal(affinity_update(&t, s), 1);
	snapshot_unref(s);
	assert_int_equal(map_count(t.by_client), 0);
	affinity_done(&t);
}

/* The memory does not grow with clients whose time is over. */
static void test_sweep(void **state)
{
	struct service svc = service("shop", "cart");
	struct sim_backend b = backend(1);
	struct affinity_table t;

	(void)state;
	assert_int_equal(affinity_init(&t), 0);
	for (uint32_t i = 0; i < 10000; i++) {
		struct ip_addr c = client(i);

		assert_int_equal(affinity_set(&t, &svc, &ports[0], &c, &b, i * SEC), 0);
	}
	assert_true(map_count(t.by_client) < 3000);
	affinity_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_update),
		cmocka_unit_test(test_sweep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
