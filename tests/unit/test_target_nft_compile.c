/* SPDX-License-Identifier: GPL-2.0-or-later */
/* compile.c, program.c: golden texts, refusals, and: applying a delta to the elements of one model gives those of
 * the next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../src/target/nft/program.h"
#include "base/cleanup.h"
#include "base/map.h"
#include "base/str.h"
#include "base/util.h"
#include "golden.h"
#include "nft_world.h"

extern const struct target_ops target_nft;

static const struct world_service shop[] = {
	{ .name = "web",
	  .ip4 = "10.96.0.10",
	  .ip6 = "fd96::10",
	  .ports = { { "http", IPPROTO_TCP, 80, "10.244.1.2:8080 10.244.2.3:8080 10.244.1.9:8080! [fd44:1::2]:8080" },
		     { "dns", IPPROTO_UDP, 53, "10.244.1.2:5353~" } } },
	{ .name = "cart",
	  .ip4 = "10.96.0.11",
	  .affinity_s = 60,
	  .ports = { { "", IPPROTO_TCP, 80, "10.244.1.4:80 10.244.1.4:81 10.244.2.4:80" } } },
	{ .name = "empty", .ip4 = "10.96.0.12", .ports = { { "", IPPROTO_SCTP, 80, "10.244.1.9:80!" } } },
	{ .name = "refused",
	  .ip4 = "10.96.0.13",
	  .features = 1u << SERVICE_FEATURE_INTERNAL_LOCAL,
	  .ports = { { "", IPPROTO_TCP, 80, "10.244.1.9:80" } } },
};
static const struct world_service web_changed = {
	.name = "web",
	.ip4 = "10.96.0.10",
	.ip6 = "fd96::10",
	.ports = { { "http", IPPROTO_TCP, 80, "10.244.2.3:8080 10.244.2.7:8080 10.244.2.8:8080 [fd44:1::2]:8080" },
		   { "dns", IPPROTO_UDP, 53, "" } },
};

static void test_golden(void **state)
{
	static const char *const del[] = { "cart", NULL };
	CLEANUP(snapshot_unrefp) struct snapshot *a = world_snapshot(NULL, shop, ARRAY_LEN(shop), NULL);
	CLEANUP(snapshot_unrefp) struct snapshot *b = world_snapshot(a, &web_changed, 1, del);
	struct target_program *full = world_compile(NULL, a), *delta = world_compile(a, b);

	(void)state;
	assert_golden(&target_nft, "nft", full, delta);
	target_nft.program_free(full);
	target_nft.program_free(delta);
}

static void test_same_is_empty(void **state)
{
	CLEANUP(snapshot_unrefp) struct snapshot *a = world_snapshot(NULL, shop, ARRAY_LEN(shop), NULL);
	CLEANUP(snapshot_unrefp)
	struct snapshot *b = world_snapshot(a, &shop[1], 1, NULL); /* another block, equal content */
	struct target_program *p = world_compile(a, b);

	(void)state;
	assert_int_equal(p->ops.n, 0);
	target_nft.program_free(p);
}

static void test_check(void **state)
{
	struct target_probe v4_only = { .usable = true }, both = { .usable = true, .features = NFT_FEATURE_IPV6 };
	struct service *web = world_service(&shop[0]), *cart = world_service(&shop[1]),
		       *refused = world_service(&shop[3]);
	struct refusal_list l = {};

	(void)state;
	assert_int_equal(target_nft.check(&both, web, &l), 1u << SERVICE_FACET_CLUSTER_IP);
	assert_int_equal(target_nft.check(&v4_only, cart, &l), 1u << SERVICE_FACET_CLUSTER_IP);
	assert_int_equal(l.n, 0);
	assert_int_equal(target_nft.check(&v4_only, web, &l), 0);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.v[0].why, REFUSAL_KERNEL_FEATURE);
	assert_int_equal(target_nft.check(&both, refused, &l), 0);
	assert_int_equal(l.n, 2);
	assert_int_equal(l.v[1].why, REFUSAL_INTERNAL_LOCAL);
	refusal_list_free(&l);
	service_unref(web);
	service_unref(cart);
	service_unref(refused);
}

static void test_without_services(void **state)
{
	CLEANUP(snapshot_unrefp) struct snapshot *a = world_snapshot(NULL, shop, ARRAY_LEN(shop), NULL);
	struct target_input in = { .to = a, .node = WORLD_NODE };
	struct target_program *p = NULL;

	(void)state;
	assert_int_equal(target_nft.compile(&in, &p, NULL), 0);
	assert_int_equal(p->add.n, 0);
	target_nft.program_free(p);
}

/* ---- the property ---- */

/* A model of the sets: text of set and key -> text of the data. */
static char *key_text(const struct elem_list *l, const struct elem *e)
{
	struct strbuf sb = STRBUF_INIT;

	strbuf_addf(&sb, "%s %s ", nft_family[e->fam].name, nft_set_spec[e->set].name);
	elem_format_key(&sb, l, e);
	return strbuf_take(&sb);
}

static char *data_text(const struct elem_list *l, const struct elem *e)
{
	struct strbuf sb = STRBUF_INIT;

	elem_format_data(&sb, l, e);
	return strbuf_take(&sb);
}

/* As the kernel does it: a removal of what is absent, and an addition of what is present, fail. */
static void run_ops(struct map *m, const struct op_list *ops)
{
	for (size_t i = 0; i < ops->n; i++) {
		const struct elem_list *l = op_side(ops, &ops->v[i]);
		CLEANUP_FREE char *key = key_text(l, op_elem(ops, &ops->v[i]));

		if (ops->v[i].is_del) {
			char *old = map_del(m, key, map_str_size(key));

			if (!old)
				fail_msg("removal of the absent %s", key);
			free(old);
		} else {
			if (map_get_str(m, key))
				fail_msg("addition of the present %s", key);
			assert_int_equal(map_put_str(m, key, data_text(l, op_elem(ops, &ops->v[i])), NULL), 0);
		}
	}
}

static void assert_is(struct map *m, const struct target_program *full)
{
	assert_int_equal(map_count(m), full->add.n);
	for (size_t i = 0; i < full->add.n; i++) {
		CLEANUP_FREE char *key = key_text(&full->add, &full->add.v[i]);
		CLEANUP_FREE char *data = data_text(&full->add, &full->add.v[i]);
		const char *have = map_get_str(m, key);

		if (!have || !str_eq(have, data))
			fail_msg("%s: have %s, want %s", key, have ? have : "nothing", data);
	}
}

static void test_delta_is_the_difference(void **state)
{
	struct map *m = NULL;
	struct snapshot *s;
	struct target_program *p;
	struct rng rng;

	(void)state;
	rng_seed(&rng, 42);
	assert_int_equal(map_new(&m), 0);
	s = world_random(&rng, NULL);
	p = world_compile(NULL, s);
	run_ops(m, &p->ops);
	target_nft.program_free(p);
	for (int i = 0; i < 1500; i++) {
		struct snapshot *next = world_random(&rng, s);
		struct target_program *full = world_compile(NULL, next);

		p = world_compile(s, next);
		run_ops(m, &p->ops);
		assert_is(m, full);
		target_nft.program_free(p);
		target_nft.program_free(full);
		snapshot_unref(s);
		s = next;
	}
	snapshot_unref(s);
	map_free(m, free);
}

/* Groups do not mix, phases ascend in a group, a replacement stands together: what apply() relies on. */
static void test_order(void **state)
{
	struct snapshot *s;
	struct rng rng;

	(void)state;
	rng_seed(&rng, 43);
	s = world_random(&rng, NULL);
	for (int i = 0; i < 300; i++) {
		struct snapshot *next = world_random(&rng, s);
		struct target_program *p = world_compile(s, next);

		for (size_t k = 0; k < p->ops.n; k++) {
			const struct op *op = &p->ops.v[k], *before = k ? op - 1 : NULL;
			struct ip_addr a = elem_cluster_ip(op_side(&p->ops, op), op_elem(&p->ops, op)), b;

			if (op->is_replaced && op->is_del) {
				assert_true(k + 1 < p->ops.n && op[1].is_replaced && !op[1].is_del);
				assert_int_equal(op_elem(&p->ops, op)->set, op_elem(&p->ops, op + 1)->set);
			}
			if (!before)
				continue;
			b = elem_cluster_ip(op_side(&p->ops, before), op_elem(&p->ops, before));
			if (ip_addr_eq(&a, &b))
				assert_true(before->phase <= op->phase);
		}
		target_nft.program_free(p);
		snapshot_unref(s);
		s = next;
	}
	snapshot_unref(s);
}

/* One endpoint among 10,000 Services: the delta is small. */
static void test_delta_is_small(void **state)
{
	CLEANUP(snapshot_unrefp) struct snapshot *a = world_many(10000, 2);
	CLEANUP(snapshot_unrefp) struct snapshot *b = world_many_edit(a, 77, 3);
	struct target_program *p = world_compile(a, b);

	(void)state;
	assert_int_equal(p->n_services, 1);
	assert_int_equal(p->ops.n, 3); /* one backend more; the verdict replaced */
	target_nft.program_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_same_is_empty),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_without_services),
		cmocka_unit_test(test_delta_is_the_difference),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_delta_is_small),
	};

	return cmocka_run_group_tests_name("target_nft_compile", tests, NULL, NULL);
}
