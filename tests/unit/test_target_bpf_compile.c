/* SPDX-License-Identifier: GPL-2.0-or-later */
/* compile.c and print.c of target bpf-sock: golden texts, what is refused, each kind of entry, and: what a delta writes leads from the full program of one
 * model to that of the next. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../src/target/bpf/program.h"
#include "base/cleanup.h"
#include "base/util.h"
#include "model/maglev.h"
#include "golden.h"
#include "nft_world.h"

extern const struct target_ops target_bpf_sock;
DEFINE_CLEANUP(struct maglev_pool *, maglev_pool_free);

#define RANDOM_STEPS 400

static const struct world_service shop[] = {
	{ .name = "web",
	  .ip4 = "10.96.0.10",
	  .ip6 = "fd96::10",
	  .ports = { { "http", IPPROTO_TCP, 80,
		       "10.244.1.2:8080@n1 10.244.2.3:8080@n2 10.244.1.9:8080! [fd44:1::2]:8080" },
		     { "dns", IPPROTO_UDP, 53, "10.244.1.2:5353~ 10.244.2.3:5353!" } } },
	{ .name = "cart",
	  .ip4 = "10.96.0.11",
	  .affinity_s = 60,
	  .ports = { { "", IPPROTO_TCP, 80, "10.244.1.4:80 10.244.1.4:81 10.244.2.4:80@n2 10.244.2.5:80@n2~" } } },
	{ .name = "empty", .ip4 = "10.96.0.12", .ports = { { "", IPPROTO_TCP, 80, "10.244.1.9:80!" } } },
	{ .name = "refused",
	  .ip4 = "10.96.0.13",
	  .features = 1u << SERVICE_FEATURE_INTERNAL_LOCAL,
	  .ports = { { "", IPPROTO_TCP, 80, "10.244.1.9:80" } } },
	{ .name = "sctp", .ip4 = "10.96.0.14", .ports = { { "", IPPROTO_SCTP, 80, "10.244.1.9:80" } } },
	{ .name = "table",
	  .ip4 = "10.96.0.15",
	  .maglev = true,
	  .ports = { { "", IPPROTO_TCP, 80, "10.244.2.3:80@n2" } } },
};
static const struct world_service web_changed = {
	.name = "web",
	.ip4 = "10.96.0.10",
	.ip6 = "fd96::10",
	.ports = { { "http", IPPROTO_TCP, 80,
		     "10.244.2.3:8080@n2 10.244.2.7:8080@n2 10.244.2.8:8080 [fd44:1::2]:8080" },
		   { "dns", IPPROTO_UDP, 53, "" } },
};

static struct target_program *compile(const struct snapshot *from, const struct snapshot *to, bool host_only)
{
	const struct target_input in = {
		.from = from, .to = to, .node = WORLD_NODE, .with_services = true, .host_sockets_only = host_only
	};
	struct target_program *p = NULL;
	struct err e = {};

	if (target_bpf_sock.compile(&in, &p, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	return p;
}

/* ---- text ---- */

static void test_golden(void **state)
{
	static const char *const del[] = { "cart", NULL };
	CLEANUP(snapshot_unrefp) struct snapshot *a = world_snapshot(NULL, shop, ARRAY_LEN(shop), NULL);
	CLEANUP(snapshot_unrefp) struct snapshot *b = world_snapshot(a, &web_changed, 1, del);
	CLEANUP(bpf_sock_program_freep) struct target_program *full = compile(NULL, a, false);
	CLEANUP(bpf_sock_program_freep) struct target_program *delta = compile(a, b, true);

	(void)state;
	assert_golden(&target_bpf_sock, "bpf", full, delta);
}

static void test_check(void **state)
{
	struct service *svc[ARRAY_LEN(shop)];
	struct refusal_list l = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(shop); i++)
		svc[i] = world_service(&shop[i]);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(target_bpf_sock.check(NULL, svc[i], &l), 1u << SERVICE_FACET_CLUSTER_IP);
	assert_int_equal(l.n, 0);
	assert_int_equal(target_bpf_sock.check(NULL, svc[3], &l), 0);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.v[0].why, REFUSAL_INTERNAL_LOCAL);
	assert_int_equal(target_bpf_sock.check(NULL, svc[4], &l), 0);
	assert_int_equal(l.n, 2);
	assert_int_equal(l.v[1].why, REFUSAL_SCTP);
	refusal_list_free(&l);
	for (size_t i = 0; i < ARRAY_LEN(shop); i++)
		service_unref(svc[i]);
}

/* ---- entries ---- */

static struct bpf_vip vip(const char *ip, uint8_t proto, uint16_t port)
{
	struct ip_addr a;

	assert_int_equal(ip_addr_parse(ip, &a), 0);
	return bpf_vip_of(&a, proto, port);
}

static struct bpf_backend backend(const char *ip, uint16_t port)
{
	struct ip_addr a;

	assert_int_equal(ip_addr_parse(ip, &a), 0);
	return bpf_backend_of(&a, port);
}

static const void *find(const struct entries *l, enum table_id t, const void *key)
{
	for (size_t i = 0; i < l->n; i++)
		if (memcmp(entry_key(t, l, i), key, table_spec[t].key_size) == 0)
			return entry_value(t, l, i);
	return NULL;
}

static uint32_t flags_of(const struct target_program *p, struct bpf_vip v, const char *ip, uint16_t port)
{
	const struct bpf_member_key key = { .vip = v, .backend = backend(ip, port) };
	const uint32_t *flags = find(&p->add[TABLE_MEMBERS], TABLE_MEMBERS, &key);

	return flags ? *flags : 0;
}

/* Whose choice outlives the moment: UDP (who serves) and affinity (who is eligible). Not TCP without it. */
static void test_members(void **state)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = world_snapshot(NULL, shop, ARRAY_LEN(shop), NULL);
	CLEANUP(bpf_sock_program_freep) struct target_program *p = compile(NULL, s, false);
	const struct bpf_vip http = vip("10.96.0.10", IPPROTO_TCP, 80), dns = vip("10.96.0.10", IPPROTO_UDP, 53),
			     cart = vip("10.96.0.11", IPPROTO_TCP, 80);

	(void)state;
	assert_int_equal(flags_of(p, http, "10.244.1.2", 8080), 0);
	/* None is ready: who ends but serves is chosen. */
	assert_int_equal(flags_of(p, dns, "10.244.1.2", 5353), BPF_MEMBER_ELIGIBLE | BPF_MEMBER_SERVING);
	assert_int_equal(flags_of(p, dns, "10.244.2.3", 5353), 0);
	assert_int_equal(flags_of(p, cart, "10.244.1.4", 81), BPF_MEMBER_ELIGIBLE | BPF_MEMBER_SERVING);
	assert_int_equal(flags_of(p, cart, "10.244.2.5", 80), BPF_MEMBER_SERVING);
}

static bool is_hairpin(const struct target_program *p, struct bpf_vip v, const char *ip)
{
	const struct bpf_client_key key = { .vip = v, .client = backend(ip, 0).addr };

	return find(&p->add[TABLE_HAIRPINS], TABLE_HAIRPINS, &key);
}

static uint32_t service_flags(const struct target_program *p, struct bpf_vip v)
{
	const struct bpf_service *svc = find(&p->add[TABLE_SERVICES], TABLE_SERVICES, &v);

	assert_non_null(svc);
	return svc->flags;
}

/* Backends of this node, that may be chosen; each address once. */
static void test_hairpins(void **state)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = world_snapshot(NULL, shop, ARRAY_LEN(shop), NULL);
	CLEANUP(bpf_sock_program_freep) struct target_program *p = compile(NULL, s, false);
	const struct bpf_vip http = vip("10.96.0.10", IPPROTO_TCP, 80), cart = vip("10.96.0.11", IPPROTO_TCP, 80),
			     empty = vip("10.96.0.12", IPPROTO_TCP, 80), table = vip("10.96.0.15", IPPROTO_TCP, 80);

	(void)state;
	assert_true(is_hairpin(p, http, "10.244.1.2"));
	assert_false(is_hairpin(p, http, "10.244.1.9")); /* not ready */
	assert_false(is_hairpin(p, http, "10.244.2.3")); /* of another node */
	assert_true(is_hairpin(p, vip("fd96::10", IPPROTO_TCP, 80), "fd44:1::2"));
	assert_true(is_hairpin(p, cart, "10.244.1.4"));
	assert_int_equal(p->add[TABLE_HAIRPINS].n, 4); /* the fourth: dns */
	assert_int_equal(service_flags(p, http), BPF_SERVICE_LOCAL);
	assert_int_equal(service_flags(p, cart), BPF_SERVICE_LOCAL | BPF_SERVICE_AFFINITY);
	assert_int_equal(service_flags(p, empty), 0);
	assert_int_equal(service_flags(p, table), BPF_SERVICE_MAGLEV);
}

/* What is refused is not there at all: neither its ports nor its address, else its clients were refused by us. */
static void test_refused_is_absent(void **state)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = world_snapshot(NULL, shop, ARRAY_LEN(shop), NULL);
	CLEANUP(bpf_sock_program_freep) struct target_program *p = compile(NULL, s, false);
	const struct bpf_vip local = vip("10.96.0.13", IPPROTO_TCP, 80), sctp = vip("10.96.0.14", IPPROTO_SCTP, 80),
			     empty = vip("10.96.0.12", IPPROTO_TCP, 80);

	(void)state;
	assert_null(find(&p->add[TABLE_SERVICES], TABLE_SERVICES, &local));
	assert_null(find(&p->add[TABLE_CLUSTER_IPS], TABLE_CLUSTER_IPS, &local.addr));
	assert_null(find(&p->add[TABLE_CLUSTER_IPS], TABLE_CLUSTER_IPS, &sctp.addr));
	assert_non_null(find(&p->add[TABLE_CLUSTER_IPS], TABLE_CLUSTER_IPS, &empty.addr));
	assert_null(bpf_sock_program_port(p, &local));
	assert_non_null(bpf_sock_program_port(p, &empty));
	assert_int_equal(p->n_services, 4);
}

static void test_maglev(void **state)
{
	static const struct world_service table = {
		.name = "table",
		.ip4 = "10.96.0.15",
		.maglev = true,
		.ports = { { "", IPPROTO_TCP, 80,
			     "10.244.1.2:80 10.244.1.2:81 10.244.2.3:80 10.244.1.4:80! 10.244.2.9:80" } }
	};
	static const char *const eligible[] = { "10.244.1.2", "10.244.1.2", "10.244.2.3", "10.244.2.9" };
	static const uint16_t ports[] = { 80, 81, 80, 80 };
	CLEANUP(snapshot_unrefp) struct snapshot *s = world_snapshot(NULL, &table, 1, NULL);
	CLEANUP(bpf_sock_program_freep) struct target_program *p = compile(NULL, s, false);
	CLEANUP(maglev_pool_freep) struct maglev_pool *pool = NULL;
	struct maglev_backend b[ARRAY_LEN(eligible)];
	const struct maglev *want;
	struct bpf_slots_key key = { .vip = vip("10.96.0.15", IPPROTO_TCP, 80) };
	const struct bpf_service *svc = find(&p->add[TABLE_SERVICES], TABLE_SERVICES, &key.vip);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(b); i++) {
		b[i].port = ports[i];
		assert_int_equal(ip_addr_parse(eligible[i], &b[i].addr), 0);
	}
	assert_int_equal(maglev_pool_new(&pool), 0);
	assert_int_equal(maglev_get(pool, b, ARRAY_LEN(b), 0, &want), 0);
	assert_int_equal(svc->slot_mask, want->m - 1);
	assert_int_equal(p->add[TABLE_SLOTS].n, want->m / BPF_SLOTS_PER_BLOCK);
	for (key.block = 0; key.block < want->m / BPF_SLOTS_PER_BLOCK; key.block++) {
		const void *slots = find(&p->add[TABLE_SLOTS], TABLE_SLOTS, &key);

		assert_non_null(slots);
		assert_memory_equal(slots, want->slot + key.block * BPF_SLOTS_PER_BLOCK, sizeof(struct bpf_slots));
	}
	maglev_put(pool, want);
}

/* ---- differences ---- */

/* What is there after the delta's operations. */
static void apply(struct entries *l, const struct target_program *delta, enum table_id t)
{
	CLEANUP(table_ops_free) struct table_ops ops = {};
	CLEANUP(entries_free) struct entries next = {};

	assert_int_equal(table_ops_build(t, &delta->del[t], &delta->add[t], &ops), 0);
	for (size_t i = 0; i < l->n; i++) {
		bool goes = false;

		for (size_t k = 0; k < ops.n_drop; k++)
			goes |= !memcmp(entry_key(t, l, i), entry_key(t, &delta->del[t], ops.drop[k]),
					table_spec[t].key_size);
		for (size_t k = 0; k < ops.n_put; k++)
			goes |= !memcmp(entry_key(t, l, i), entry_key(t, &delta->add[t], ops.put[k]),
					table_spec[t].key_size);
		if (!goes)
			assert_int_equal(entries_add(t, &next, entry_key(t, l, i), entry_value(t, l, i)), 0);
	}
	for (size_t k = 0; k < ops.n_put; k++)
		assert_int_equal(entries_add(t, &next, entry_key(t, &delta->add[t], ops.put[k]),
					     entry_value(t, &delta->add[t], ops.put[k])),
				 0);
	entries_sort(t, &next);
	entries_free(l);
	*l = next;
	next = (struct entries){};
}

static void test_deltas(void **state)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = NULL;
	struct entries now[TABLE_MAX] = {};
	size_t n_entries = 0, n_full_like = 0;
	struct rng rng;

	(void)state;
	rng_seed(&rng, 7);
	for (int step = 0; step < RANDOM_STEPS; step++) {
		struct snapshot *next = world_random(&rng, s);
		struct target_program *p = compile(s, next, false), *full = compile(NULL, next, false);

		for (int t = 0; t < TABLE_MAX; t++) {
			apply(&now[t], p, t);
			assert_int_equal(now[t].n, full->add[t].n);
			if (now[t].n)
				assert_memory_equal(now[t].bytes, full->add[t].bytes, now[t].n * entry_size(t));
			n_entries += now[t].n;
		}
		n_full_like += s && p->n_services > 3; /* the node changed */
		assert_int_equal(bpf_sock_program_is_full(p), !s);
		target_bpf_sock.program_free(p);
		target_bpf_sock.program_free(full);
		snapshot_unref(s);
		s = next;
	}
	assert_true(n_entries > RANDOM_STEPS * 10);
	assert_true(n_full_like > 10);
	for (int t = 0; t < TABLE_MAX; t++)
		entries_free(&now[t]);
}

static void test_same_is_empty(void **state)
{
	CLEANUP(snapshot_unrefp) struct snapshot *a = world_snapshot(NULL, shop, ARRAY_LEN(shop), NULL);
	CLEANUP(snapshot_unrefp)
	struct snapshot *b = world_snapshot(a, &shop[1], 1, NULL); /* another block, equal content */
	CLEANUP(bpf_sock_program_freep) struct target_program *p = compile(a, b, false);

	(void)state;
	for (int t = 0; t < TABLE_MAX; t++) {
		CLEANUP(table_ops_free) struct table_ops ops = {};

		assert_int_equal(table_ops_build(t, &p->del[t], &p->add[t], &ops), 0);
		assert_int_equal(ops.n_put + ops.n_drop, 0);
	}
}

/* Without Services (strategy none for a node) nothing is carried. */
static void test_without_services(void **state)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = world_snapshot(NULL, shop, ARRAY_LEN(shop), NULL);
	const struct target_input in = { .to = s, .node = WORLD_NODE };
	CLEANUP(bpf_sock_program_freep) struct target_program *p = NULL;

	(void)state;
	assert_int_equal(target_bpf_sock.compile(&in, &p, NULL), 0);
	for (int t = 0; t < TABLE_MAX; t++)
		assert_int_equal(p->add[t].n, 0);
	assert_int_equal(p->n_services, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_hairpins),
		cmocka_unit_test(test_refused_is_absent),
		cmocka_unit_test(test_maglev),
		cmocka_unit_test(test_deltas),
		cmocka_unit_test(test_same_is_empty),
		cmocka_unit_test(test_without_services),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
