/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sim behind the contract of target.h: programs, their print, apply, verify, update, remove, counters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/str.h"
#include "packet/table.h"
#include "target/target.h"

extern const struct target_ops target_sim;

struct fixture {
	struct table *t;
	struct clock clock;
	void *handle;
};

static int setup(void **state)
{
	const char *top = getenv("OFFKUBE_SOURCE_DIR");
	char *dir = str_printf("%s/tests/packet/table", top ? top : ".");
	struct fixture *f = calloc(1, sizeof(*f));
	struct target_env env = { .node = "n1", .netns_fd = -1, .cgroup_fd = -1 };
	struct err e = {};

	assert_non_null(f);
	assert_non_null(dir);
	assert_int_equal(table_load(dir, &f->t, &e), 0);
	free(dir);
	f->clock = (struct clock){ .now_ns = clock_manual_now_ns };
	env.clock = &f->clock;
	assert_int_equal(target_sim.open(&env, &f->handle, &e), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	target_sim.close(f->handle);
	table_free(f->t);
	free(f);
	return 0;
}

static struct target_program *compile_node(struct fixture *f, const char *node, const char *from, const char *to,
					   bool services)
{
	struct target_probe probe = { .usable = true };
	struct target_input in = { .from = from ? table_model(f->t, from) : NULL,
				   .to = table_model(f->t, to),
				   .node = node,
				   .probe = &probe,
				   .with_services = services };
	struct target_program *p = NULL;
	struct err e = {};

	if (target_sim.compile(&in, &p, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	return p;
}

static struct target_program *compile(struct fixture *f, const char *from, const char *to)
{
	return compile_node(f, "n1", from, to, true);
}

static char *print(const struct target_program *p, bool json)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(target_sim.program_print(p, json, out), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

static char *dump(struct fixture *f)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(target_sim.dump(f->handle, out, NULL), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void test_probe(void **state)
{
	struct target_env env = { .node = "n1", .netns_fd = -1, .cgroup_fd = -1 };
	struct target_probe probe = {};

	(void)state;
	assert_int_equal(target_sim.probe(&env, &probe, NULL), 0);
	assert_true(probe.usable);
}

static void test_check(void **state)
{
	struct service svc = { .ns = "a", .name = "b", .facets = 1u << SERVICE_FACET_CLUSTER_IP };
	struct refusal_list l = {};

	(void)state;
	svc.features = 1u << SERVICE_FEATURE_AFFINITY | 1u << SERVICE_FEATURE_TOPOLOGY | 1u << SERVICE_FEATURE_SCTP;
	assert_int_equal(target_sim.check(NULL, &svc, &l), 1u << SERVICE_FACET_CLUSTER_IP);
	assert_int_equal(l.n, 0);
	svc.features |= 1u << SERVICE_FEATURE_INTERNAL_LOCAL;
	svc.facets |= 1u << SERVICE_FACET_NODE_PORT;
	assert_int_equal(target_sim.check(NULL, &svc, &l), 0);
	assert_int_equal(l.count[REFUSAL_INTERNAL_LOCAL], 1);
	assert_int_equal(l.count[REFUSAL_NODE_PORT], 1);
	refusal_list_free(&l);
}

static void test_print_text(void **state)
{
	struct target_program *p = compile(*state, NULL, "shop");
	char *text = print(p, false);

	assert_non_null(strstr(text, "sim node n1 full: "));
	assert_non_null(
		strstr(text, "\n10.96.0.10:80/tcp shop/cart:http random ready: 10.244.1.5:8080 10.244.2.5:8081\n"));
	assert_non_null(strstr(
		text, "\n[fd00:c::10]:80/tcp shop/cart:http random ready: [fd00:b:1::5]:8080 [fd00:b:2::5]:8081\n"));
	assert_non_null(strstr(text, "\n10.96.0.30:80/tcp shop/empty:http reject\n"));
	assert_non_null(strstr(text, " affinity=60s "));
	assert_non_null(strstr(text, "\n10.96.0.50:80/tcp shop/ring: maglev "));
	assert_null(strstr(text, "shop/local")); /* refused */
	free(text);
	target_sim.program_free(p);
	target_sim.program_free(NULL);
}

static void test_print_json(void **state)
{
	struct target_program *p = compile(*state, NULL, "shop");
	char *text = print(p, true);
	json_t *root = json_loads(text, 0, NULL), *fronts;
	bool seen = false;

	assert_non_null(root);
	assert_string_equal(json_string_value(json_object_get(root, "target")), "sim");
	assert_string_equal(json_string_value(json_object_get(root, "kind")), "full");
	fronts = json_object_get(root, "frontends");
	assert_true(json_array_size(fronts) > 10);
	for (size_t i = 0; i < json_array_size(fronts); i++) {
		json_t *fr = json_array_get(fronts, i);

		if (strcmp(json_string_value(json_object_get(fr, "address")), "10.96.0.40") != 0)
			continue;
		seen = true;
		assert_int_equal(json_integer_value(json_object_get(fr, "affinityTimeoutSeconds")), 60);
		assert_int_equal(json_array_size(json_object_get(fr, "backends")), 3);
		assert_true(json_is_false(json_object_get(fr, "reject")));
	}
	assert_true(seen);
	json_decref(root);
	free(text);
	target_sim.program_free(p);
}

/* What was changed, and nothing else. */
static void test_print_update(void **state)
{
	struct target_program *p = compile(*state, "shop", "sticky-less");
	char *text = print(p, false), *json = print(p, true);
	json_t *root = json_loads(json, 0, NULL);

	assert_non_null(strstr(text, "\n- 10.96.0.40:80/tcp "));
	assert_non_null(strstr(text, "\n+ 10.96.0.40:80/tcp "));
	assert_null(strstr(text, "shop/cart"));
	assert_non_null(root);
	assert_string_equal(json_string_value(json_object_get(root, "kind")), "update");
	json_decref(root);
	free(text);
	free(json);
	target_sim.program_free(p);
	/* One endpoint more on one port: the other ports' lines stay out of it. */
	p = compile(*state, "shop", "sticky-more");
	text = print(p, false);
	assert_non_null(strstr(text, "+ 10.96.0.40:80/tcp "));
	assert_null(strstr(text, "10.96.0.40:81/tcp"));
	free(text);
	target_sim.program_free(p);
}

static void test_no_such_node(void **state)
{
	struct fixture *f = *state;
	struct target_input in = { .to = table_model(f->t, "shop"), .node = "nobody", .with_services = true };
	struct target_program *p = NULL;
	struct err e = {};

	assert_int_equal(target_sim.compile(&in, &p, &e), -ENOENT);
	assert_null(p);
}

static void apply_ok(struct fixture *f, const struct target_program *p, struct target_stats *stats)
{
	struct err e = {};

	if (target_sim.apply(f->handle, p, stats, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
}

static void test_apply(void **state)
{
	struct fixture *f = *state;
	struct target_program *shop = compile(f, NULL, "shop"), *update = compile(f, "shop", "sticky-less");
	struct target_program *less = compile(f, NULL, "sticky-less");
	struct target_stats stats = {};
	struct err e = {};
	char *text;

	assert_int_equal(target_sim.verify(f->handle, shop, &e), -ESTALE);
	apply_ok(f, shop, &stats);
	assert_true(stats.n_added > 10);
	assert_int_equal(stats.n_removed + stats.n_kept, 0);
	assert_int_equal(stats.n_transactions, 1);
	assert_int_equal(target_sim.verify(f->handle, shop, NULL), 0);
	/* Again: nothing to do. */
	apply_ok(f, shop, &stats);
	assert_true(stats.n_kept > 10);
	assert_int_equal(stats.n_added + stats.n_removed + stats.n_transactions, 0);
	apply_ok(f, update, &stats);
	assert_true(stats.n_added > 0 && stats.n_removed > 0);
	assert_int_equal(target_sim.verify(f->handle, less, NULL), 0);
	memset(&e, 0, sizeof(e));
	assert_int_equal(target_sim.verify(f->handle, shop, &e), -ESTALE);
	/* The update does not fit twice, and then nothing has changed. */
	memset(&e, 0, sizeof(e));
	assert_int_equal(target_sim.apply(f->handle, update, &stats, &e), -ESTALE);
	assert_int_equal(target_sim.verify(f->handle, less, NULL), 0);
	/* A full program repairs whatever is there. */
	apply_ok(f, shop, NULL);
	assert_int_equal(target_sim.verify(f->handle, shop, NULL), 0);
	text = dump(f);
	assert_non_null(strstr(text, "10.96.0.10:80/tcp shop/cart:http"));
	free(text);
	assert_int_equal(target_sim.remove(f->handle, NULL), 0);
	assert_int_equal(target_sim.remove(f->handle, NULL), 0);
	text = dump(f);
	assert_string_equal(text, "sim node n1: 0 frontends, 0 connections\n");
	free(text);
	target_sim.program_free(shop);
	target_sim.program_free(update);
	target_sim.program_free(less);
}

static void test_apply_other_node(void **state)
{
	struct fixture *f = *state;
	struct target_program *p = compile_node(f, "n2", NULL, "shop", true);
	struct err e = {};

	assert_int_equal(target_sim.apply(f->handle, p, NULL, &e), -EINVAL);
	target_sim.program_free(p);
}

static void test_without_services(void **state)
{
	struct fixture *f = *state;
	struct target_program *with = compile(f, NULL, "shop"), *without = compile_node(f, "n1", NULL, "shop", false);
	struct target_stats stats;
	char *text;

	apply_ok(f, with, NULL);
	apply_ok(f, without, &stats);
	assert_true(stats.n_removed > 10);
	text = dump(f);
	assert_string_equal(text, "sim node n1: 0 frontends, 0 connections\n");
	free(text);
	target_sim.program_free(with);
	target_sim.program_free(without);
}

static int count(const struct target_counter *c, void *arg)
{
	assert_string_equal(c->object, "");
	assert_true(reason_parse(c->name) >= 0);
	*(size_t *)arg += 1;
	return 0;
}

static int stop_at_once(const struct target_counter *c, void *arg)
{
	(void)c;
	(void)arg;
	return 7;
}

static void test_counters(void **state)
{
	struct fixture *f = *state;
	struct target_program *p = compile(f, NULL, "shop");
	size_t n = 0;

	assert_int_equal(target_sim.counters(f->handle, count, &n, NULL), 0);
	assert_int_equal(n, 0);
	apply_ok(f, p, NULL);
	assert_int_equal(target_sim.counters(f->handle, count, &n, NULL), 0);
	assert_int_equal(n, REASON_MAX);
	assert_int_equal(target_sim.counters(f->handle, stop_at_once, NULL, NULL), 7);
	target_sim.program_free(p);
	target_sim.close(NULL);
}

/* The node's own labels change: every line may. */
static void test_node_changes(void **state)
{
	struct fixture *f = *state;
	const struct node *old = snapshot_node(table_model(f->t, "shop"), "n1");
	struct node fill = *old, *node;
	struct target_input in = { .from = table_model(f->t, "shop"), .node = "n1", .with_services = true };
	struct snapshot_edit *ed;
	struct snapshot *s;
	struct target_program *p;
	char *text;

	fill.zone = "z2";
	assert_int_equal(node_new(&fill, &node, NULL), 0);
	assert_int_equal(snapshot_edit_new(in.from, &ed), 0);
	assert_int_equal(snapshot_edit_put_node(ed, node, NULL), 0);
	node_unref(node);
	assert_int_equal(snapshot_edit_commit(ed, &s), 0);
	in.to = s;
	assert_int_equal(target_sim.compile(&in, &p, NULL), 0);
	text = print(p, false);
	assert_non_null(
		strstr(text, "\n- 10.96.1.20:80/tcp near/zone: random same-zone: 10.244.1.5:80 10.244.2.5:80\n"));
	assert_non_null(
		strstr(text, "\n+ 10.96.1.20:80/tcp near/zone: random same-zone: 10.244.1.6:80 10.244.2.5:80\n"));
	assert_null(strstr(text, "shop/cart"));
	free(text);
	target_sim.program_free(p);
	snapshot_unref(s);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_check),
		T(test_print_text),
		T(test_print_json),
		T(test_print_update),
		T(test_no_such_node),
		T(test_apply),
		T(test_apply_other_node),
		T(test_without_services),
		T(test_counters),
		T(test_node_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
