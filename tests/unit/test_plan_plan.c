/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plans: what is usable, what is refused and counted, that an update says the same as a new plan, and the two forms of print. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/rand.h"
#include "base/util.h"
#include "model_util.h"
#include "plan/plan.h"

/* ---- probers ---- */

struct answers {
	const char *refused; /* a target's name, or NULL */
	int fails; /* -errno of asking it */
	unsigned int n_asked;
};

static int probe(void *arg, const struct target_ops *ops, struct target_probe *ret, struct err *e)
{
	struct answers *a = arg;
	bool refused = str_eq(a->refused, ops->name);

	a->n_asked++;
	if (refused && a->fails)
		return err_set(e, a->fails, ops->name, "cannot be asked");
	*ret = (struct target_probe){ .usable = !refused, .why = REFUSAL_KERNEL_FEATURE };
	if (refused)
		(void)snprintf(ret->detail, sizeof(ret->detail), "CONFIG_NF_TABLES is not set");
	return 0;
}

static struct plan *plan_of(const char *strategy, const struct snapshot *s)
{
	struct answers a = {};
	const struct plan_prober prober = { probe, &a };
	struct plan *p = NULL;

	assert_int_equal(plan_new(strategy_find(strategy), s, "node-1", &prober, &p, NULL), 0);
	return p;
}

static const struct plan_part *part_of(const struct plan *p, const char *target)
{
	for (size_t i = 0; i < p->n_parts; i++)
		if (str_eq(p->parts[i].ops->name, target))
			return &p->parts[i];
	fail_msg("no part %s", target);
	return NULL;
}

/* ---- snapshots ---- */

/* Service shop/s<n>, ClusterIP 10.96.0.<n>, with these facets and features beside. */
static void put(struct snapshot_edit *ed, unsigned int n, uint32_t facets, uint32_t features)
{
	const struct endpoint ep = ready_at("10.244.0.2", 8080);
	const struct service_port port = {
		.name = "http", .proto = IPPROTO_TCP, .port = 80, .n_endpoints = { 1 }, .endpoints = { &ep }
	};
	char name[16], addr[32];
	struct service fill = { .ns = "shop",
				.name = name,
				.facets = facets | 1u << SERVICE_FACET_CLUSTER_IP,
				.features = features,
				.n_ports = 1,
				.ports = &port };
	struct service *svc = NULL;
	struct err e = {};

	(void)snprintf(name, sizeof(name), "s%u", n);
	(void)snprintf(addr, sizeof(addr), "10.96.0.%u", n);
	fill.cluster_ip[IP_V4] = ip(addr);
	if (service_new(&fill, &svc, &e) < 0 || snapshot_edit_put_service(ed, svc, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	service_unref(svc);
}

static struct snapshot_edit *with_node(void)
{
	struct node *n = make_node("node-1", "172.30.0.1", "10.244.0.0/24");
	struct snapshot_edit *ed = NULL;

	assert_int_equal(snapshot_edit_new(NULL, &ed), 0);
	assert_int_equal(snapshot_edit_put_node(ed, n, NULL), 0);
	node_unref(n);
	return ed;
}

static struct snapshot *commit(struct snapshot_edit *ed)
{
	struct snapshot *s = NULL;

	assert_int_equal(snapshot_edit_commit(ed, &s), 0);
	return s;
}

#define FACET(x) (1u << SERVICE_FACET_##x)
#define FEATURE(x) (1u << SERVICE_FEATURE_##x)

static struct snapshot *mixed_snapshot(void)
{
	struct snapshot_edit *ed = with_node();

	put(ed, 1, 0, 0);
	put(ed, 2, FACET(NODE_PORT), 0);
	put(ed, 3, FACET(NODE_PORT) | FACET(LOAD_BALANCER), 0);
	put(ed, 4, FACET(EXTERNAL_IP), 0);
	put(ed, 5, 0, FEATURE(INTERNAL_LOCAL));
	return commit(ed);
}

/* ---- tests ---- */

static void test_all_usable(void **state)
{
	struct snapshot *s = mixed_snapshot();
	struct plan *p = plan_of("nft", s);

	(void)state;
	assert_true(p->usable);
	assert_string_equal(p->node, "node-1");
	assert_int_equal(p->n_parts, 2);
	assert_string_equal(p->parts[0].ops->name, "host"); /* what carries others first */
	assert_int_equal(part_of(p, "host")->functions, 1u << FUNC_POD_ROUTING);
	assert_int_equal(part_of(p, "nft")->functions, 1u << FUNC_SERVICE_LB | 1u << FUNC_MASQUERADE);
	plan_free(p);
	snapshot_unref(s);
}

static void test_refusals_and_counts(void **state)
{
	struct snapshot *s = mixed_snapshot();
	struct plan *p = plan_of("nft", s);
	const struct plan_part *nft = part_of(p, "nft");

	(void)state;
	assert_int_equal(nft->n_services, 4); /* all but s5 */
	assert_int_equal(p->n_unserved, 1);
	assert_int_equal(nft->refusals.count[REFUSAL_NODE_PORT], 2);
	assert_int_equal(nft->refusals.count[REFUSAL_LOAD_BALANCER], 1);
	assert_int_equal(nft->refusals.count[REFUSAL_EXTERNAL_IP], 1);
	assert_int_equal(nft->refusals.count[REFUSAL_INTERNAL_LOCAL], 1);
	assert_int_equal(nft->refusals.n, 5);
	assert_int_equal(part_of(p, "host")->refusals.n, 0);
	plan_free(p);
	snapshot_unref(s);
}

static void test_nothing_is_counted_without_services(void **state)
{
	struct snapshot *s = mixed_snapshot();
	struct plan *p = plan_of("none", s);

	(void)state;
	assert_true(p->usable);
	assert_int_equal(p->n_parts, 1);
	assert_int_equal(p->n_unserved, 0);
	assert_int_equal(p->parts[0].refusals.n, 0);
	plan_free(p);
	snapshot_unref(s);
}

static void test_refused_target(void **state)
{
	struct snapshot *s = mixed_snapshot();
	struct answers a = { .refused = "nft" };
	const struct plan_prober prober = { probe, &a };
	struct plan *p = NULL;

	(void)state;
	assert_int_equal(plan_new(strategy_find("nft"), s, "node-1", &prober, &p, NULL), 0);
	assert_false(p->usable);
	assert_int_equal(p->why, REFUSAL_KERNEL_FEATURE);
	assert_string_equal(p->detail, "service-lb needs nft: CONFIG_NF_TABLES is not set");
	assert_int_equal(part_of(p, "nft")->functions, 0);
	assert_int_equal(part_of(p, "nft")->n_services, 0);
	assert_int_equal(p->n_unserved, 5);
	assert_int_equal(a.n_asked, 2); /* each target once, however many functions it has */
	plan_free(p);
	snapshot_unref(s);
}

static void test_failures(void **state)
{
	struct snapshot *s = mixed_snapshot();
	struct answers a = { .refused = "nft", .fails = -EIO };
	const struct plan_prober prober = { probe, &a };
	struct strategy odd = { .name = "odd", .text = "", .tiers = { [FUNC_UPF] = { "no-such-target" } } };
	struct plan *p = NULL;
	struct err e = {};

	(void)state;
	assert_int_equal(plan_new(strategy_find("nft"), s, "node-1", &prober, &p, &e), -EIO);
	e = (struct err){};
	assert_int_equal(plan_new(strategy_find("none"), s, "node-9", &prober, &p, &e), -ENOENT);
	assert_string_equal(e.path, "node-9");
	e = (struct err){};
	assert_int_equal(plan_new(&odd, s, "node-1", &prober, &p, &e), -ENOENT);
	assert_string_equal(e.path, "no-such-target");
	odd.tiers[FUNC_UPF][0] = "host";
	assert_int_equal(plan_new(&odd, s, "node-1", &prober, &p, &e), -EINVAL);
	assert_null(p);
	snapshot_unref(s);
}

static char *text_of(const struct plan *p, bool json)
{
	char *buf = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&buf, &size);

	assert_non_null(f);
	assert_int_equal(plan_print(p, json, f), 0);
	assert_int_equal(fclose(f), 0);
	return buf;
}

static void assert_same(const struct plan *a, const struct plan *b)
{
	char *ta = text_of(a, false), *tb = text_of(b, false);

	assert_string_equal(ta, tb);
	free(ta);
	free(tb);
	assert_int_equal(a->n_unserved, b->n_unserved);
	for (size_t i = 0; i < a->n_parts; i++) {
		assert_int_equal(a->parts[i].n_services, b->parts[i].n_services);
		assert_memory_equal(a->parts[i].refusals.count, b->parts[i].refusals.count,
				    sizeof(a->parts[i].refusals.count));
	}
}

static void random_edit(struct rng *rng, struct snapshot_edit *ed)
{
	for (uint64_t n = 1 + rng_below(rng, 6); n > 0; n--) {
		unsigned int i = 1 + (unsigned int)rng_below(rng, 12);
		char name[16];

		(void)snprintf(name, sizeof(name), "s%u", i);
		if (rng_below(rng, 3) == 0)
			(void)snapshot_edit_del_service(ed, "shop", name); /* may be absent */
		else
			put(ed, i, (uint32_t)rng_below(rng, 16),
			    rng_below(rng, 3) ? 0 : FEATURE(INTERNAL_LOCAL) | FEATURE(EXTERNAL_LOCAL));
	}
}

static void test_update_equals_new(void **state)
{
	struct snapshot *s = commit(with_node());
	struct plan *p = plan_of("nft", s);
	struct rng rng;

	(void)state;
	rng_seed(&rng, 7);
	for (int i = 0; i < 300; i++) {
		struct snapshot_edit *ed = NULL;
		struct plan *updated = NULL, *fresh;
		struct snapshot *next;

		assert_int_equal(snapshot_edit_new(s, &ed), 0);
		random_edit(&rng, ed);
		next = commit(ed);
		assert_int_equal(plan_update(p, next, &updated, NULL), 0);
		fresh = plan_of("nft", next);
		assert_same(updated, fresh);
		plan_free(fresh);
		plan_free(p);
		snapshot_unref(s);
		p = updated;
		s = next;
	}
	plan_free(p);
	snapshot_unref(s);
}

static void test_update_forgets_and_keeps_the_old(void **state)
{
	struct snapshot *s = mixed_snapshot(), *next, *other;
	struct plan *p = plan_of("nft", s), *updated = NULL;
	struct snapshot_edit *ed = NULL;
	char *before = text_of(p, false), *after;

	(void)state;
	assert_int_equal(snapshot_edit_new(s, &ed), 0);
	assert_int_equal(snapshot_edit_del_service(ed, "shop", "s3"), 0);
	put(ed, 5, 0, 0);
	next = commit(ed);
	assert_int_equal(plan_update(p, next, &updated, NULL), 0);
	assert_int_equal(part_of(updated, "nft")->refusals.n, 2);
	assert_int_equal(part_of(updated, "nft")->refusals.count[REFUSAL_INTERNAL_LOCAL], 0);
	assert_int_equal(updated->n_unserved, 0);
	after = text_of(p, false);
	assert_string_equal(before, after);
	/* The node is gone: no plan. */
	other = NULL;
	assert_int_equal(snapshot_edit_new(NULL, &ed), 0);
	other = commit(ed);
	plan_free(p);
	p = NULL;
	assert_int_equal(plan_update(updated, other, &p, NULL), -ENOENT);
	assert_null(p);
	free(before);
	free(after);
	plan_free(updated);
	snapshot_unref(s);
	snapshot_unref(next);
	snapshot_unref(other);
}

static void test_json(void **state)
{
	struct snapshot *s = mixed_snapshot();
	struct plan *p = plan_of("nft", s);
	char *text = text_of(p, true);
	json_t *root = json_loads(text, 0, NULL), *targets;
	const char *last = "";
	json_t *note;
	size_t i;

	(void)state;
	assert_non_null(root);
	assert_string_equal(json_string_value(json_object_get(root, "strategy")), "nft");
	assert_true(json_is_true(json_object_get(root, "usable")));
	assert_int_equal(json_integer_value(json_object_get(root, "unserved")), 1);
	targets = json_object_get(root, "targets");
	assert_int_equal(json_array_size(targets), 2);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(targets, 1), "services")), 4);
	assert_int_equal(json_array_size(json_object_get(json_array_get(targets, 1), "refusals")), 5);
	json_array_foreach(json_object_get(json_array_get(targets, 1), "refusals"), i, note)
	{
		const char *object = json_string_value(json_object_get(note, "object"));

		assert_true(strcmp(last, object) <= 0); /* in order */
		last = object;
	}
	json_decref(root);
	free(text);
	plan_free(p);
	snapshot_unref(s);
}

static void test_text(void **state)
{
	static const char want[] =
		"strategy nft on node node-1: Services by netfilter: nf_tables maps on every node\n"
		"  target host     usable\n"
		"    carries     pod-routing  interfaces, addresses and routes of pods, on and between nodes\n"
		"  target nft      usable\n"
		"    carries     service-lb   Service addresses to backends\n"
		"    carries     masquerade   source address of what leaves by a Service for the node's own where replies need it\n"
		"    Services    1\n"
		"    refused     Service shop/s2 spec.internalTrafficPolicy: internal-traffic-policy "
		"(internalTrafficPolicy: Local is not carried)\n"
		"  not carried policy       NetworkPolicy\n"
		"  not carried shortcut     splice of sockets on the same node\n"
		"  not carried overlay      tunnels between nodes\n"
		"  not carried telemetry    counters and flow events\n"
		"  not carried upf          5G user plane: GTP-U, metering, usage reports\n"
		"  no tier carries the ClusterIP of 1 Services\n";
	struct snapshot_edit *ed = with_node();
	struct snapshot *s;
	struct plan *p;
	char *text;

	(void)state;
	put(ed, 1, 0, 0);
	put(ed, 2, 0, FEATURE(INTERNAL_LOCAL));
	s = commit(ed);
	p = plan_of("nft", s);
	text = text_of(p, false);
	assert_string_equal(text, want);
	free(text);
	plan_free(p);
	snapshot_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_usable),
		cmocka_unit_test(test_refusals_and_counts),
		cmocka_unit_test(test_nothing_is_counted_without_services),
		cmocka_unit_test(test_refused_target),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_update_equals_new),
		cmocka_unit_test(test_update_forgets_and_keeps_the_old),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
