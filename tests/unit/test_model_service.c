/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Services: one deep copy, sorted and without twins; what is refused and where; equality; the choice of endpoints, rule by rule. */
#include <errno.h>

#include "base/rand.h"
#include "model_alloc.h"

/* ---- construction ---- */

static void service_is_one_deep_copy(void **state)
{
	const char *zones[] = { "a", "b" };
	char node[] = "worker-1";
	struct endpoint v4[] = { ready_at("10.1.0.9", 8080), ready_at("10.1.0.2", 9090), ready_at("10.1.0.2", 8080) };
	struct endpoint v6[] = { ready_at("fd00::2", 8080) };
	struct service_port ports[] = {
		{ .name = "web", .proto = IPPROTO_TCP, .port = 80, .n_endpoints = { 3, 1 }, .endpoints = { v4, v6 } },
		{ .name = "dns", .proto = IPPROTO_UDP, .port = 53 },
	};
	struct service fill = { .ns = "shop", .name = "cart", .n_ports = 2, .ports = ports }, *s = NULL;
	size_t n_scratch = 1; /* of check_ports, freed at once */

	(void)state;
	fill.cluster_ip[IP_V4] = ip("10.96.0.10");
	v4[0].node = node;
	v4[0].for_zones = zones;
	v4[0].n_for_zones = 2;
	n_allocs = 0;
	assert_int_equal(service_new(&fill, &s, NULL), 0);
	assert_int_equal(n_allocs, 1 + n_scratch);
	memset(node, 'x', 3);
	memset(v4, 0, sizeof(v4));
	memset(ports, 0, sizeof(ports));
	zones[0] = NULL;

	assert_int_equal(s->n_ports, 2);
	assert_string_equal(s->ports[0].name, "web"); /* order of the manifest */
	assert_string_equal(s->ports[1].name, "dns");
	assert_int_equal(s->ports[0].n_endpoints[IP_V4], 3);
	assert_int_equal(s->ports[0].n_endpoints[IP_V6], 1);
	assert_int_equal(s->ports[0].endpoints[IP_V4][0].port, 8080); /* sorted */
	assert_int_equal(s->ports[0].endpoints[IP_V4][0].addr.bytes[3], 2);
	assert_int_equal(s->ports[0].endpoints[IP_V4][1].port, 9090);
	assert_int_equal(s->ports[0].endpoints[IP_V4][2].addr.bytes[3], 9);
	assert_string_equal(s->ports[0].endpoints[IP_V4][2].node, "worker-1");
	assert_string_equal(s->ports[0].endpoints[IP_V4][2].for_zones[0], "a");
	assert_true(s->features == 1u << SERVICE_FEATURE_TOPOLOGY);
	assert_ptr_equal(service_find_port(s, IPPROTO_UDP, 53), &s->ports[1]);
	assert_ptr_equal(service_find_port(s, IPPROTO_TCP, 80), &s->ports[0]);
	assert_null(service_find_port(s, IPPROTO_TCP, 53));
	assert_null(service_find_port(s, IPPROTO_UDP, 80));
	assert_ptr_equal(service_ref(s), s);
	service_unref(s);
	assert_string_equal(s->name, "cart");
	service_unref(s);
	service_unref(NULL);
}

/* One allocation also for as many endpoints as anybody has, whatever their order. */
static void many_endpoints_are_sorted(void **state)
{
	enum { N = 5000 };
	struct endpoint *ep = calloc(N, sizeof(*ep));
	struct service_port port = { .proto = IPPROTO_TCP, .port = 80, .n_endpoints = { N }, .endpoints = { ep } };
	struct service fill = { .ns = "a", .name = "b", .n_ports = 1, .ports = &port }, *s = NULL;
	struct rng rng;

	(void)state;
	for (uint32_t i = 0; i < N; i++)
		ep[i] = (struct endpoint){
			.addr = ip4_nth(i / 2), .port = (uint16_t)(1 + i % 2), .ready = true, .node = "w"
		};
	rng_seed(&rng, 1);
	rng_shuffle(&rng, ep, N, sizeof(*ep));
	n_allocs = 0;
	assert_int_equal(service_new(&fill, &s, NULL), 0);
	assert_int_equal(n_allocs, 1);
	assert_int_equal(s->ports[0].n_endpoints[IP_V4], N);
	assert_string_equal(s->ports[0].name, "");
	for (uint32_t i = 0; i < N; i++) {
		struct ip_addr want = ip4_nth(i / 2);

		assert_true(ip_addr_eq(&s->ports[0].endpoints[IP_V4][i].addr, &want));
		assert_int_equal(s->ports[0].endpoints[IP_V4][i].port, 1 + i % 2);
	}
	service_unref(s);
	free(ep);
}

/* S3: whatever the order of the slices, the more usable of two twins stays. */
static void more_usable_twin_stays(void **state)
{
	struct endpoint ready = ready_at("10.1.0.2", 80), serving = ready, terminating = ready, down = ready;
	struct service *s, *t;

	(void)state;
	serving.ready = false;
	terminating.ready = false, terminating.terminating = true;
	down.ready = down.serving = false;
	s = make_service("x", NULL, (struct endpoint[]){ down, terminating, ready, serving, ready }, 5);
	assert_int_equal(s->ports[0].n_endpoints[IP_V4], 1);
	assert_true(s->ports[0].endpoints[IP_V4][0].ready);
	service_unref(s);
	s = make_service("x", NULL, (struct endpoint[]){ down, terminating, serving }, 3);
	t = make_service("x", NULL, (struct endpoint[]){ terminating, serving, down }, 3);
	assert_true(service_equal(s, t));
	assert_int_equal(s->ports[0].n_endpoints[IP_V4], 1);
	assert_true(s->ports[0].endpoints[IP_V4][0].serving && !s->ports[0].endpoints[IP_V4][0].terminating);
	service_unref(s);
	service_unref(t);
}

static void features_are_derived(void **state)
{
	const char *nodes[] = { "w" };
	struct endpoint ep = ready_at("10.1.0.2", 80);
	struct service_port port = { .proto = IPPROTO_SCTP, .port = 80, .n_endpoints = { 1 }, .endpoints = { &ep } };
	struct service fill = { .ns = "a", .name = "b", .n_ports = 1, .ports = &port, .affinity_timeout_s = 99 },
		       *s = NULL;

	(void)state;
	assert_int_equal(service_new(&fill, &s, NULL), 0);
	assert_int_equal(s->features, 1u << SERVICE_FEATURE_SCTP);
	assert_int_equal(s->affinity_timeout_s, 0); /* has no meaning without affinity */
	service_unref(s);
	port.proto = IPPROTO_TCP;
	ep.for_nodes = nodes, ep.n_for_nodes = 1;
	fill.features = 1u << SERVICE_FEATURE_SCTP | 1u << SERVICE_FEATURE_AFFINITY; /* one wrong, one ours to say */
	assert_int_equal(service_new(&fill, &s, NULL), 0);
	assert_int_equal(s->features, 1u << SERVICE_FEATURE_TOPOLOGY | 1u << SERVICE_FEATURE_AFFINITY);
	assert_int_equal(s->affinity_timeout_s, 99);
	service_unref(s);
}

struct full {
	struct endpoint ep[2];
	struct service_port port[3];
	struct service svc;
};

static void full_service(struct full *f)
{
	*f = (struct full){
		.ep = { ready_at("10.1.0.2", 80), ready_at("10.1.0.3", 80) },
		.port = { { .name = "a", .proto = IPPROTO_TCP, .port = 80 },
			  { .name = "b", .proto = IPPROTO_UDP, .port = 80 },
			  { .name = "c", .proto = IPPROTO_TCP, .port = 81 } },
		.svc = { .ns = "shop",
			 .name = "cart",
			 .facets = 1,
			 .features = 1,
			 .affinity_timeout_s = 10,
			 .n_ports = 3 },
	};
	f->svc.cluster_ip[IP_V4] = ip("10.96.0.1");
	f->svc.ports = f->port;
	f->port[1].n_endpoints[IP_V4] = 2;
	f->port[1].endpoints[IP_V4] = f->ep;
}

static void assert_refused(const struct full *f, const char *path)
{
	struct service *s = NULL;
	struct err e = { 0 };

	assert_int_equal(service_new(&f->svc, &s, &e), -EINVAL);
	assert_null(s);
	assert_string_equal(e.path, path);
	assert_true(strlen(e.text) > 0);
}

static void bad_services_are_refused(void **state)
{
	static const char timeout[] = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
	const char *hole[] = { NULL };
	struct full f;

	(void)state;
	full_service(&f), f.svc.ns = NULL, assert_refused(&f, "metadata.namespace");
	full_service(&f), f.svc.name = "", assert_refused(&f, "metadata.name");
	full_service(&f), f.svc.cluster_ip[IP_V6] = ip("10.0.0.1"), assert_refused(&f, "spec.clusterIPs");
	full_service(&f), f.svc.cluster_ip[IP_V4] = ip("::1"), assert_refused(&f, "spec.clusterIPs");
	full_service(&f), f.svc.facets = 1u << SERVICE_FACET_MAX, assert_refused(&f, "spec.type");
	full_service(&f), f.svc.features = 1u << SERVICE_FEATURE_MAX, assert_refused(&f, "spec");
	full_service(&f), f.svc.choice = (enum backend_choice)7, assert_refused(&f, "spec");
	full_service(&f), f.svc.affinity_timeout_s = 0, assert_refused(&f, timeout);
	full_service(&f), f.svc.affinity_timeout_s = SERVICE_AFFINITY_TIMEOUT_MAX_S + 1, assert_refused(&f, timeout);
	full_service(&f), f.port[2].port = 0, assert_refused(&f, "spec.ports[2].port");
	full_service(&f), f.port[1].proto = IPPROTO_ICMP, assert_refused(&f, "spec.ports[1].protocol");
	full_service(&f), f.port[2].port = 80, assert_refused(&f, "spec.ports[2]");
	full_service(&f), f.port[1].proto = IPPROTO_TCP, assert_refused(&f, "spec.ports[1]");
	full_service(&f), f.port[2].name = "a", assert_refused(&f, "spec.ports[2]");
	full_service(&f), f.port[0].name = NULL, f.port[1].name = "", assert_refused(&f, "spec.ports[1]");
	full_service(&f), f.ep[1].addr = ip("fd00::1"), assert_refused(&f, "spec.ports[1]: endpoints[1]");
	full_service(&f), f.ep[0].addr.fam = 0, assert_refused(&f, "spec.ports[1]: endpoints[0]");
	full_service(&f), f.ep[0].port = 0, assert_refused(&f, "spec.ports[1]: endpoints[0]");
	full_service(&f), f.ep[0].for_nodes = hole, f.ep[0].n_for_nodes = 1;
	assert_refused(&f, "spec.ports[1]: endpoints[0]");
	full_service(&f), f.ep[1].for_zones = hole, f.ep[1].n_for_zones = 1;
	assert_refused(&f, "spec.ports[1]: endpoints[1]");
}

static void assert_differs(const struct full *f)
{
	struct service *a = NULL, *b = NULL;
	struct full base;

	full_service(&base);
	assert_int_equal(service_new(&base.svc, &a, NULL), 0);
	assert_int_equal(service_new(&f->svc, &b, NULL), 0);
	assert_false(service_equal(a, b));
	assert_false(service_equal(b, a));
	service_unref(b);
	assert_int_equal(service_new(&base.svc, &b, NULL), 0);
	assert_true(service_equal(a, b));
	assert_true(service_equal(a, a));
	service_unref(a);
	service_unref(b);
}

static void services_are_equal_by_content(void **state)
{
	const char *hint[] = { "w" };
	struct full f;

	(void)state;
	full_service(&f), f.svc.ns = "x", assert_differs(&f);
	full_service(&f), f.svc.name = "x", assert_differs(&f);
	full_service(&f), f.svc.cluster_ip[IP_V4] = ip("10.96.0.2"), assert_differs(&f);
	full_service(&f), f.svc.cluster_ip[IP_V6] = ip("fd00::1"), assert_differs(&f);
	full_service(&f), f.svc.facets = 3, assert_differs(&f);
	full_service(&f), f.svc.features = 0, assert_differs(&f);
	full_service(&f), f.svc.affinity_timeout_s = 11, assert_differs(&f);
	full_service(&f), f.svc.choice = BACKEND_CHOICE_MAGLEV, assert_differs(&f);
	full_service(&f), f.svc.n_ports = 2, assert_differs(&f);
	full_service(&f), f.port[0].name = "x", assert_differs(&f);
	full_service(&f), f.port[0].port = 82, assert_differs(&f);
	full_service(&f), f.port[0].proto = IPPROTO_SCTP, assert_differs(&f);
	full_service(&f), f.port[1].n_endpoints[IP_V4] = 1, assert_differs(&f);
	full_service(&f), f.ep[0].addr = ip("10.1.0.4"), assert_differs(&f);
	full_service(&f), f.ep[0].port = 81, assert_differs(&f);
	full_service(&f), f.ep[0].ready = false, assert_differs(&f);
	full_service(&f), f.ep[0].serving = false, assert_differs(&f);
	full_service(&f), f.ep[0].terminating = true, assert_differs(&f);
	full_service(&f), f.ep[0].node = "w", assert_differs(&f);
	full_service(&f), f.ep[0].for_nodes = hint, f.ep[0].n_for_nodes = 1, assert_differs(&f);
	full_service(&f), f.ep[0].for_zones = hint, f.ep[0].n_for_zones = 1, assert_differs(&f);
}

static void out_of_memory_is_told(void **state)
{
	struct service *s = NULL;
	struct err e;
	struct full f;

	(void)state;
	full_service(&f);
	for (size_t i = 0; i < 2; i++) { /* the scratch of the checks, the block */
		e = (struct err){ 0 };
		n_allocs = 0;
		fail_at = i;
		assert_int_equal(service_new(&f.svc, &s, &e), -ENOMEM);
		fail_at = SIZE_MAX;
		assert_int_equal(e.code, -ENOMEM);
		assert_null(s);
	}
}

/* ---- selection ---- */

/* Endpoints by a short word: state r(eady) s(erving, not ready) t(erminating, serving) d(own) x(terminating, not serving), then hints:
 * "nA" for node A, "zB" for zone B. "rnAzB" is ready with both. */
static size_t parse_endpoints(const char *text, struct endpoint *ep, const char *hints[][2])
{
	static const char *const names[] = { "A", "B", "C" };
	size_t n = 0;

	for (const char *c = text; *c; n++) {
		ep[n] = (struct endpoint){ .addr = ip4_nth((uint32_t)n), .port = 80 };
		ep[n].ready = *c == 'r';
		ep[n].serving = strchr("rst", *c) != NULL;
		ep[n].terminating = strchr("tx", *c) != NULL;
		for (c++; *c && *c != ' '; c += 2) {
			bool zone = *c == 'z';

			hints[n][zone] = names[c[1] - 'A'];
			if (zone)
				ep[n].for_zones = &hints[n][1], ep[n].n_for_zones = 1;
			else
				ep[n].for_nodes = &hints[n][0], ep[n].n_for_nodes = 1;
		}
		while (*c == ' ')
			c++;
	}
	return n;
}

/* Expects those endpoints (numbers in order) for node A in zone B, and the mode. */
static void assert_selects(const char *text, const char *want, enum select_mode want_mode)
{
	const struct node node = { .name = "A", .zone = "B" };
	const struct endpoint *chosen[8];
	enum select_mode mode = SELECT_MODE_MAX;
	const char *hints[8][2];
	struct endpoint ep[8];
	struct service_port port = { .endpoints = { ep } };
	char got[9] = "";
	size_t n;

	port.n_endpoints[IP_V4] = parse_endpoints(text, ep, hints);
	n = service_select(&port, IP_V4, &node, chosen, &mode);
	for (size_t i = 0; i < n; i++)
		got[i] = (char)('0' + (chosen[i] - ep));
	if (strcmp(got, want) != 0 || mode != want_mode)
		fail_msg("\"%s\": chosen \"%s\" by %s, not \"%s\" by %s", text, got, select_mode_name[mode], want,
			 select_mode_name[want_mode]);
	assert_int_equal(service_select(&port, IP_V4, &node, chosen, NULL), n);
	assert_int_equal(service_select(&port, IP_V6, &node, chosen, &mode), 0);
	assert_int_equal(mode, SELECT_NONE);
}

static void ready_endpoints_are_chosen(void **state)
{
	(void)state;
	assert_selects("", "", SELECT_NONE);
	assert_selects("r", "0", SELECT_READY);
	assert_selects("r s r d t x r", "026", SELECT_READY);
	assert_selects("s d x", "", SELECT_NONE); /* serving alone is not enough, nor terminating alone */
}

static void terminating_is_the_last_resort(void **state)
{
	(void)state;
	assert_selects("t s t d x", "02", SELECT_TERMINATING);
	assert_selects("t r", "1", SELECT_READY);
	assert_selects("tnA tnC t", "012", SELECT_TERMINATING); /* no topology here */
	assert_selects("rnC t", "0", SELECT_READY); /* a hint for elsewhere never makes the ready ones empty */
}

static void hints_hold_as_a_whole_or_not_at_all(void **state)
{
	(void)state;
	assert_selects("rnA rnC rnA", "02", SELECT_SAME_NODE);
	assert_selects("rnA rnC r", "012", SELECT_READY); /* one ready without a hint */
	assert_selects("rnC rnC", "01", SELECT_READY); /* none names us */
	assert_selects("rzB rzC rzB", "02", SELECT_SAME_ZONE);
	assert_selects("rzB rzC r", "012", SELECT_READY);
	assert_selects("rzC rzC", "01", SELECT_READY);
	assert_selects("rnAzC rnCzB", "0", SELECT_SAME_NODE); /* nodes before zones */
	assert_selects("rnCzC rnCzB", "1", SELECT_SAME_ZONE); /* no node hint names us: zones */
	assert_selects("rzB rnAzC", "0", SELECT_SAME_ZONE); /* one lacks a node hint: zones */
	assert_selects("rnA s t d", "0", SELECT_SAME_NODE); /* only ready ones count for hints */
	assert_selects("rnC tnA", "0", SELECT_READY); /* nor does a hint of another count */
}

static void hints_need_to_know_where_we_are(void **state)
{
	const struct node nowhere = { .name = "A", .zone = NULL };
	const char *hints[8][2];
	const struct endpoint *chosen[8];
	struct endpoint ep[8];
	struct service_port port = { .endpoints = { ep } };
	enum select_mode mode;

	(void)state;
	port.n_endpoints[IP_V4] = parse_endpoints("rzB rzC", ep, hints);
	assert_int_equal(service_select(&port, IP_V4, &nowhere, chosen, &mode), 2);
	assert_int_equal(mode, SELECT_READY);
	port.n_endpoints[IP_V4] = parse_endpoints("rnA rnC", ep, hints);
	assert_int_equal(service_select(&port, IP_V4, NULL, chosen, &mode), 2);
	assert_int_equal(mode, SELECT_READY);
}

/* S25: what is serving, in whatever other state, keeps its UDP connections. */
static void serving_ignores_other_states(void **state)
{
	struct endpoint ep[] = { ready_at("10.1.0.2", 80), ready_at("10.1.0.3", 80), ready_at("10.1.0.4", 80) };
	struct ip_addr a = ip("10.1.0.2"), b = ip("10.1.0.3"), c = ip("10.1.0.4"), d = ip("10.1.0.5"),
		       v6 = ip("fd00::1");
	struct service *s;

	(void)state;
	ep[1].ready = false, ep[1].terminating = true;
	ep[2].serving = ep[2].ready = false;
	s = make_service("x", NULL, ep, 3);
	assert_true(service_port_serves(&s->ports[0], &a, 80));
	assert_true(service_port_serves(&s->ports[0], &b, 80));
	assert_false(service_port_serves(&s->ports[0], &c, 80));
	assert_false(service_port_serves(&s->ports[0], &a, 81));
	assert_false(service_port_serves(&s->ports[0], &d, 80));
	assert_false(service_port_serves(&s->ports[0], &v6, 80));
	service_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(service_is_one_deep_copy),
		cmocka_unit_test(many_endpoints_are_sorted),
		cmocka_unit_test(more_usable_twin_stays),
		cmocka_unit_test(features_are_derived),
		cmocka_unit_test(bad_services_are_refused),
		cmocka_unit_test(services_are_equal_by_content),
		cmocka_unit_test(out_of_memory_is_told),
		cmocka_unit_test(ready_endpoints_are_chosen),
		cmocka_unit_test(terminating_is_the_last_resort),
		cmocka_unit_test(hints_hold_as_a_whole_or_not_at_all),
		cmocka_unit_test(hints_need_to_know_where_we_are),
		cmocka_unit_test(serving_ignores_other_states),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
