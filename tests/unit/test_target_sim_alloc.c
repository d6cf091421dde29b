/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim without memory: its sources, and those of base that it stands on, compiled into the test with an
 * allocator that fails from the nth request on. Whatever n: -ENOMEM, nothing leaks, and what was there
 * before still works.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static size_t n_allocs;
static size_t fail_at = SIZE_MAX;

static bool alloc_fails(void)
{
	return n_allocs++ >= fail_at;
}

static void *failing_malloc(size_t size)
{
	return alloc_fails() ? NULL : malloc(size);
}

static void *failing_calloc(size_t n, size_t size)
{
	return alloc_fails() ? NULL : calloc(n, size);
}

static void *failing_realloc(void *p, size_t size)
{
	return alloc_fails() ? NULL : realloc(p, size);
}

static char *failing_strdup(const char *s)
{
	return alloc_fails() ? NULL : strdup(s);
}

#undef malloc
#undef calloc
#undef realloc
#undef strdup
#define malloc failing_malloc
#define calloc failing_calloc
#define realloc failing_realloc
#define strdup failing_strdup

#include "../../src/base/map.c"
#include "../../src/base/str.c"
#include "../../src/base/vec.c"
#include "../../src/target/sim/choose.c"
#include "../../src/target/sim/decide.c"
#include "../../src/target/sim/program.c"
#include "../../src/target/sim/sim.c"
#include "../../src/target/sim/target.c"
#define key_of key_of_conn
#include "../../src/target/sim/conn.c"
#undef key_of
#undef SWEEP_MIN
#define key_of key_of_client
#include "../../src/target/sim/affinity.c"
#undef key_of

#undef malloc
#undef calloc
#undef realloc
#undef strdup

#include "packet/table.h"

/* More than any story here asks for. */
#define ALLOCS_MAX 5000

static struct table *load(void)
{
	const char *top = getenv("OFFKUBE_SOURCE_DIR");
	char *dir = str_printf("%s/tests/packet/table", top ? top : ".");
	struct table *t = NULL;

	assert_non_null(dir);
	assert_int_equal(table_load(dir, &t, NULL), 0);
	free(dir);
	return t;
}

static struct l4_tuple tuple(const char *src, const char *dst, uint16_t dport, uint8_t proto)
{
	struct l4_tuple t = { .sport = 40000, .dport = dport, .proto = proto };

	assert_int_equal(ip_addr_parse(src, &t.src), 0);
	assert_int_equal(ip_addr_parse(dst, &t.dst), 0);
	return t;
}

/* A node's day: clients with and without affinity, a Maglev table, masquerade, a change of the model. */
static int live(const struct table *t)
{
	struct l4_tuple conns[] = {
		tuple("10.244.1.9", "10.96.0.40", 80, IPPROTO_TCP),
		tuple("10.244.1.9", "10.96.0.50", 80, IPPROTO_TCP),
		tuple("198.51.100.7", "10.96.0.20", 53, IPPROTO_UDP),
		tuple("10.244.1.9", "10.244.2.9", 80, IPPROTO_TCP),
		tuple("fd00:b:1::9", "fd00:c::40", 80, IPPROTO_TCP),
	};
	struct clock clock = { .now_ns = clock_manual_now_ns };
	struct sim_result res;
	struct sim *sim = NULL;
	int r = sim_new(table_model(t, "shop"), "n1", &clock, &sim, NULL);

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(conns); i++) {
		size_t before = sim_n_connections(sim);

		r = sim_connect(sim, SIM_FROM_POD, &conns[i], NULL, &res);
		if (r < 0 && i != 0 && i != 4) /* with affinity the entry may be made first */
			assert_int_equal(sim_n_connections(sim), before);
	}
	if (r == 0)
		r = sim_update(sim, table_model(t, "sticky-off"));
	sim_free(sim);
	return r;
}

static int compile_once(const struct table *t, const char *from, const char *to, struct target_program **ret)
{
	struct target_input in = { .from = from ? table_model(t, from) : NULL,
				   .to = table_model(t, to),
				   .node = "n1",
				   .with_services = true };

	return target_sim.compile(&in, ret, NULL);
}

/* The way of a target: compile, open, apply, update, read back. */
static int carry(const struct table *t)
{
	struct target_env env = { .node = "n1", .netns_fd = -1, .cgroup_fd = -1 };
	struct target_program *shop = NULL, *update = NULL;
	void *handle = NULL;
	FILE *null = fopen("/dev/null", "w");
	int r = compile_once(t, NULL, "shop", &shop);

	assert_non_null(null);
	if (r == 0)
		r = compile_once(t, "shop", "moved", &update);
	if (r == 0)
		r = target_sim.open(&env, &handle, NULL);
	if (r == 0)
		r = target_sim.apply(handle, shop, NULL, NULL);
	if (r == 0)
		r = target_sim.apply(handle, update, NULL, NULL);
	if (r < 0 && handle && fail_at != SIZE_MAX) {
		/* With memory again, a full program makes it right. */
		fail_at = SIZE_MAX;
		assert_int_equal(target_sim.apply(handle, shop, NULL, NULL), 0);
		assert_int_equal(target_sim.verify(handle, shop, NULL), 0);
	}
	if (r == 0)
		r = target_sim.dump(handle, null, NULL);
	if (r == 0)
		r = target_sim.remove(handle, NULL);
	target_sim.close(handle);
	target_sim.program_free(shop);
	target_sim.program_free(update);
	assert_int_equal(fclose(null), 0);
	return r;
}

static void fail_everywhere(int (*story)(const struct table *t))
{
	struct table *t = load();
	size_t n = 0;
	int r = -ENOMEM;

	for (n = 0; r != 0 && n < ALLOCS_MAX; n++) {
		n_allocs = 0;
		fail_at = n;
		r = story(t);
		fail_at = SIZE_MAX;
		assert_true(r == 0 || r == -ENOMEM);
	}
	assert_int_equal(r, 0);
	assert_true(n > 10);
	table_free(t);
}

static void test_live(void **state)
{
	(void)state;
	fail_everywhere(live);
}

static void test_carry(void **state)
{
	(void)state;
	fail_everywhere(carry);
}

/* Names come from manifests; JSON stays JSON. */
static void test_json_escapes(void **state)
{
	struct strbuf sb = STRBUF_INIT;

	(void)state;
	add_json_str(&sb, "a\"b\\c\nd");
	assert_string_equal(sb.buf, "\"a\\\"b\\\\c\\u000ad\"");
	strbuf_free(&sb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_live),
		cmocka_unit_test(test_carry),
		cmocka_unit_test(test_json_escapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
