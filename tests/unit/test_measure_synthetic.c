/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The snapshots of the experiments: as many Services as asked for, over a few pods; a move changes one Service and its way back undoes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/util.h"
#include "measure/synthetic.h"
#include "model_util.h"

static void test_services(void **state)
{
	const struct synthetic c = { .n_nodes = 1, .n_services = 700, .n_endpoints = 2 };
	struct snapshot *s = NULL;
	struct ip_addr a, b;

	(void)state;
	assert_int_equal(synthetic_snapshot(&c, &s, NULL), 0);
	assert_int_equal(snapshot_n_nodes(s), 1);
	assert_int_equal(snapshot_n_services(s), 700);
	assert_int_equal(snapshot_n_endpoints(s), 1400);
	for (uint32_t i = 0; i < 700; i++) {
		const struct service *svc;

		synthetic_service_addr(i, &a);
		svc = snapshot_service_by_ip(s, &a);
		assert_non_null(svc);
		assert_int_equal(svc->n_ports, 1);
		assert_int_equal(svc->ports[0].proto, IPPROTO_UDP);
		assert_int_equal(svc->ports[0].port, SYNTHETIC_SERVICE_PORT);
		for (uint32_t k = 0; k < 2; k++) {
			const struct endpoint *ep = &svc->ports[0].endpoints[IP_V4][k];
			const struct pod *p = snapshot_pod_by_ip(s, &ep->addr);
			char name[64];

			assert_non_null(p);
			assert_string_equal(p->node, ep->node);
			(void)snprintf(name, sizeof(name), "%s/%s", p->ns, p->name);
			assert_true(str_eq(name, synthetic_backend_name(i % 4)) ||
				    str_eq(name, synthetic_backend_name((i + 1) % 4)));
		}
	}
	synthetic_service_addr(0, &a);
	b = ip("10.96.0.10");
	assert_true(ip_addr_eq(&a, &b));
	synthetic_service_addr(99999, &a); /* the most that `offkube bench` takes */
	b = ip("10.97.134.169");
	assert_true(ip_addr_eq(&a, &b));
	snapshot_unref(s);
}

/* Many endpoints of a Service over four pods: every one is another address and port, and its pod serves it. */
static void test_many_endpoints(void **state)
{
	const struct synthetic c = { .n_nodes = 2, .n_services = 3, .n_endpoints = 50, .tcp = true };
	struct snapshot *s = NULL;
	const struct service *svc;

	(void)state;
	assert_int_equal(synthetic_snapshot(&c, &s, NULL), 0);
	svc = snapshot_service(s, SYNTHETIC_NS, "s2");
	assert_int_equal(svc->n_ports, 2);
	for (size_t p = 0; p < 2; p++) {
		const struct endpoint *eps = svc->ports[p].endpoints[IP_V4];

		assert_int_equal(svc->ports[p].n_endpoints[IP_V4], 50);
		for (size_t i = 0; i < 50; i++) {
			const struct pod *pod = snapshot_pod_by_ip(s, &eps[i].addr);
			size_t n = 0;

			assert_string_equal(pod->node, "node-2");
			for (size_t k = 0; k < pod->n_ports; k++)
				n += pod->ports[k].port == eps[i].port && pod->ports[k].proto == svc->ports[p].proto;
			assert_int_equal(n, 1);
			for (size_t k = 0; k < i; k++)
				assert_false(ip_addr_eq(&eps[i].addr, &eps[k].addr) && eps[i].port == eps[k].port);
		}
	}
	snapshot_unref(s);
}

static void test_refused(void **state)
{
	static const struct synthetic bad[] = {
		{ .n_nodes = 0, .n_services = 1, .n_endpoints = 1 },
		{ .n_nodes = 3, .n_services = 1, .n_endpoints = 1 },
		{ .n_nodes = 1, .n_services = SYNTHETIC_SERVICES_MAX + 1, .n_endpoints = 1 },
		{ .n_nodes = 1, .n_services = 1, .n_endpoints = 0 },
		{ .n_nodes = 1, .n_services = 1, .n_endpoints = SYNTHETIC_ENDPOINTS_MAX + 1 },
	};
	const struct synthetic full = { .n_nodes = 1, .n_services = 1, .n_endpoints = 4 };
	struct snapshot *s = NULL, *moved = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = {};

		assert_int_equal(synthetic_snapshot(&bad[i], &s, &e), -EINVAL);
		assert_null(s);
	}
	assert_int_equal(synthetic_snapshot(&full, &s, NULL), 0);
	assert_int_equal(synthetic_move(&full, s, 0, true, false, &moved, NULL), -EINVAL); /* no backend is free */
	assert_null(moved);
	snapshot_unref(s);
}

static int count_change(const struct service *from, const struct service *to, void *arg)
{
	assert_true(from && to);
	assert_string_equal(to->name, "s7");
	++*(int *)arg;
	return 0;
}

static int changes(const struct snapshot *from, const struct snapshot *to)
{
	static const struct snapshot_diff_ops ops = { .service = count_change };
	int n = 0;

	assert_int_equal(snapshot_diff(from, to, &ops, &n), 0);
	return n;
}

static bool has_endpoint_in(const struct snapshot *s, const char *name, uint32_t backend)
{
	const struct service *svc = snapshot_service(s, SYNTHETIC_NS, name);

	for (size_t k = 0; k < svc->ports[0].n_endpoints[IP_V4]; k++) {
		const struct pod *p = snapshot_pod_by_ip(s, &svc->ports[0].endpoints[IP_V4][k].addr);
		char text[64];

		(void)snprintf(text, sizeof(text), "%s/%s", p->ns, p->name);
		if (str_eq(text, synthetic_backend_name(backend)))
			return true;
	}
	return false;
}

static void test_move(void **state)
{
	const struct synthetic c = { .n_nodes = 2, .n_services = 20, .n_endpoints = 2 };
	struct snapshot *s = NULL, *moved = NULL, *again = NULL, *back = NULL;
	char *before, *after;

	(void)state;
	assert_int_equal(synthetic_snapshot(&c, &s, NULL), 0);
	assert_true(has_endpoint_in(s, "s7", synthetic_moved_backend(&c, 7, false)));
	assert_false(has_endpoint_in(s, "s7", synthetic_moved_backend(&c, 7, true)));
	assert_int_equal(synthetic_move(&c, s, 7, true, false, &moved, NULL), 0);
	assert_int_equal(changes(s, moved), 1);
	assert_true(has_endpoint_in(moved, "s7", synthetic_moved_backend(&c, 7, true)));
	assert_false(has_endpoint_in(moved, "s7", synthetic_moved_backend(&c, 7, false)));
	/* Who moves what is there already changes nothing: such a step would be no measurement. */
	assert_int_equal(synthetic_move(&c, moved, 7, true, false, &again, NULL), 0);
	assert_int_equal(changes(moved, again), 0);
	assert_int_equal(synthetic_move(&c, moved, 7, false, false, &back, NULL), 0);
	assert_int_equal(changes(moved, back), 1);
	assert_int_equal(changes(s, back), 0);
	before = dump_text(s);
	after = dump_text(back);
	assert_string_equal(before, after);
	free(before);
	free(after);
	snapshot_unref(s);
	snapshot_unref(moved);
	snapshot_unref(again);
	snapshot_unref(back);
}

static void test_move_of_tcp_alone(void **state)
{
	const struct synthetic c = { .n_nodes = 2, .n_services = 3, .n_endpoints = 2, .tcp = true };
	struct snapshot *s = NULL, *moved = NULL;
	const struct service *a, *b;

	(void)state;
	assert_int_equal(synthetic_snapshot(&c, &s, NULL), 0);
	assert_int_equal(synthetic_move(&c, s, 1, true, true, &moved, NULL), 0);
	a = snapshot_service(s, SYNTHETIC_NS, "s1");
	b = snapshot_service(moved, SYNTHETIC_NS, "s1");
	for (size_t p = 0; p < 2; p++) {
		bool same = ip_addr_eq(&a->ports[p].endpoints[IP_V4][1].addr, &b->ports[p].endpoints[IP_V4][1].addr);

		assert_true(same == (a->ports[p].proto == IPPROTO_UDP));
	}
	snapshot_unref(s);
	snapshot_unref(moved);
}

static void test_without(void **state)
{
	const struct synthetic c = { .n_nodes = 2, .n_services = 8, .n_endpoints = 2 };
	struct snapshot *s = NULL, *without = NULL, *back = NULL;
	char *before, *after;

	(void)state;
	assert_int_equal(synthetic_snapshot(&c, &s, NULL), 0);
	assert_int_equal(synthetic_without(&c, s, 1, &without, NULL), 0);
	for (int i = 0; i < 8; i++) {
		char name[8];

		(void)snprintf(name, sizeof(name), "s%d", i);
		assert_false(has_endpoint_in(without, name, 1));
		assert_int_equal(snapshot_service(without, SYNTHETIC_NS, name)->ports[0].n_endpoints[IP_V4], 2);
	}
	assert_int_equal(synthetic_without(&c, without, -1, &back, NULL), 0);
	before = dump_text(s);
	after = dump_text(back);
	assert_string_equal(before, after);
	free(before);
	free(after);
	snapshot_unref(s);
	snapshot_unref(without);
	snapshot_unref(back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_services),	  cmocka_unit_test(test_many_endpoints),
		cmocka_unit_test(test_refused),		  cmocka_unit_test(test_move),
		cmocka_unit_test(test_move_of_tcp_alone), cmocka_unit_test(test_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
