/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The applier: order, differences, roll back, what is removed. The registry of this program holds three fakes that write down what is done
 * with them (the linker takes these target_count, target_at and target_find before those of target/registry.c).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apply/apply.h"
#include "base/util.h"
#include "model_util.h"

#define LB (1u << FUNC_SERVICE_LB)
#define ROUTING (1u << FUNC_POD_ROUTING)
#define N_FAKES 3

/* What is in force at a fake, and what fails next. */
static struct fake {
	const struct snapshot *now; /* NULL = nothing */
	bool services;
	bool unusable;
	int fail_compile, fail_verify; /* taken by the next call */
	int fail_apply, n_fail_apply; /* by the next n */
	int fail_remove;
	unsigned int n_open;
} fakes[N_FAKES];
static char journal[1024]; /* "a:full b:diff" */
static const struct snapshot *snapshots[4]; /* for the journal: s0 .. */

struct target_program {
	const struct snapshot *from, *to;
	bool services;
};

static void note(size_t i, const char *what, const struct snapshot *s)
{
	size_t n = strlen(journal);
	int k = -1;

	for (int j = 0; s && j < (int)ARRAY_LEN(snapshots); j++)
		if (snapshots[j] == s)
			k = j;
	(void)snprintf(journal + n, sizeof(journal) - n, k < 0 ? "%s%c:%s" : "%s%c:%s%d", n ? " " : "", (int)('a' + i),
		       what, k);
}

static int take(int *fail)
{
	int r = *fail;

	*fail = 0;
	return r;
}

static int fake_compile(size_t i, const struct target_input *in, struct target_program **ret)
{
	int r = take(&fakes[i].fail_compile);

	assert_string_equal(in->node, "node-1");
	if (r < 0)
		return r;
	*ret = malloc(sizeof(**ret));
	assert_non_null(*ret);
	**ret = (struct target_program){ in->from, in->to, in->with_services };
	return 0;
}

static int fake_apply(size_t i, const struct target_program *p, struct target_stats *st)
{
	struct fake *f = &fakes[i];

	note(i, p->from ? "diff" : "full", p->to);
	/* A difference is right only on what it starts from. */
	if (p->from)
		assert_true(f->now == p->from && f->services == p->services);
	if (f->n_fail_apply > 0) {
		f->n_fail_apply--;
		f->now = snapshots[3]; /* half done */
		return f->fail_apply;
	}
	f->now = p->to;
	f->services = p->services;
	st->n_added = 1;
	return 0;
}

static int fake_verify(size_t i, const struct target_program *p)
{
	note(i, "verify", NULL);
	assert_null(p->from);
	return fakes[i].now != p->to ? -ESTALE : take(&fakes[i].fail_verify);
}

static int fake_remove(size_t i)
{
	int r = take(&fakes[i].fail_remove);

	note(i, "remove", NULL);
	if (r == 0)
		fakes[i].now = NULL;
	return r;
}

static int fake_open(size_t i, const struct target_env *env, void **ret)
{
	assert_string_equal(env->node, "node-1");
	assert_string_equal(env->uplink, "eth7");
	fakes[i].n_open++;
	*ret = &fakes[i];
	return 0;
}

static void fake_free(struct target_program *p)
{
	free(p);
}

static int no_text(const struct target_program *p, bool json, FILE *f)
{
	(void)p, (void)json, (void)f;
	return 0;
}

static int no_dump(void *h, FILE *f, struct err *e)
{
	(void)h, (void)f, (void)e;
	return 0;
}

static void fake_close(void *h)
{
	if (h)
		((struct fake *)h)->n_open--;
}

#define FAKE(i, letter)                                                                                            \
	static int probe_##letter(const struct target_env *env, struct target_probe *ret, struct err *e)           \
	{                                                                                                          \
		(void)env, (void)e;                                                                                \
		*ret = (struct target_probe){ .usable = !fakes[i].unusable };                                      \
		return 0;                                                                                          \
	}                                                                                                          \
	static int compile_##letter(const struct target_input *in, struct target_program **ret, struct err *e)     \
	{                                                                                                          \
		(void)e;                                                                                           \
		return fake_compile(i, in, ret);                                                                   \
	}                                                                                                          \
	static int open_##letter(const struct target_env *env, void **ret, struct err *e)                          \
	{                                                                                                          \
		(void)e;                                                                                           \
		return fake_open(i, env, ret);                                                                     \
	}                                                                                                          \
	static int apply_##letter(void *h, const struct target_program *p, struct target_stats *st, struct err *e) \
	{                                                                                                          \
		assert_ptr_equal(h, &fakes[i]);                                                                    \
		(void)e;                                                                                           \
		return fake_apply(i, p, st);                                                                       \
	}                                                                                                          \
	static int verify_##letter(void *h, const struct target_program *p, struct err *e)                         \
	{                                                                                                          \
		assert_ptr_equal(h, &fakes[i]);                                                                    \
		(void)e;                                                                                           \
		return fake_verify(i, p);                                                                          \
	}                                                                                                          \
	static int remove_##letter(void *h, struct err *e)                                                         \
	{                                                                                                          \
		assert_ptr_equal(h, &fakes[i]);                                                                    \
		(void)e;                                                                                           \
		return fake_remove(i);                                                                             \
	}                                                                                                          \
	static const struct target_ops target_##letter = { .name = #letter,                                        \
							   .text = "fake",                                         \
							   .functions = ROUTING | LB,                              \
							   .probe = probe_##letter,                                \
							   .compile = compile_##letter,                            \
							   .program_free = fake_free,                              \
							   .program_print = no_text,                               \
							   .open = open_##letter,                                  \
							   .close = fake_close,                                    \
							   .apply = apply_##letter,                                \
							   .verify = verify_##letter,                              \
							   .remove = remove_##letter,                              \
							   .dump = no_dump }

FAKE(0, a);
FAKE(1, b);
FAKE(2, c);

static const struct target_ops *const registry[N_FAKES] = { &target_a, &target_b, &target_c };

size_t target_count(void)
{
	return N_FAKES;
}

const struct target_ops *target_at(size_t i)
{
	return i < N_FAKES ? registry[i] : NULL;
}

const struct target_ops *target_find(const char *name)
{
	for (size_t i = 0; i < N_FAKES; i++)
		if (str_eq(registry[i]->name, name))
			return registry[i];
	return NULL;
}

/* ---- the plans: "plain" = a routes; "lb" = a routes, b carries Services; "all" = a does both ---- */

static const struct strategy plain = { .name = "plain" }, lb = { .name = "lb" }, all = { .name = "all" };

static struct plan make_plan(const struct strategy *st, const struct snapshot *s)
{
	struct plan p = { .strategy = st, .node = "node-1", .snapshot = (struct snapshot *)s, .usable = true };

	p.parts[p.n_parts++] = (struct plan_part){ .ops = &target_a,
						   .probe.usable = true,
						   .functions = ROUTING | (st == &all ? LB : 0) };
	if (st == &lb)
		p.parts[p.n_parts++] = (struct plan_part){ .ops = &target_b, .probe.usable = true, .functions = LB };
	return p;
}

static struct applier *a;

static int run(const struct strategy *st, size_t snapshot, const char *want)
{
	const struct plan p = make_plan(st, snapshots[snapshot]);
	struct apply_report rep = { .verify_ns = 77 };
	struct err e = {};
	int r;

	journal[0] = '\0';
	r = applier_run(a, &p, false, &rep, &e);
	assert_string_equal(journal, want);
	if (r < 0)
		assert_int_equal(rep.verify_ns, 77); /* untouched on failure */
	return r;
}

static int set_up(void **state)
{
	char node[] = "node-1", uplink[] = "eth7";
	const struct target_env env = { .node = node, .uplink = uplink, .netns_fd = -1, .clock = &clock_monotonic };

	(void)state;
	memset(fakes, 0, sizeof(fakes));
	for (size_t i = 0; i < ARRAY_LEN(snapshots); i++) {
		struct snapshot_edit *ed = NULL;
		struct snapshot *s = NULL;

		if (snapshot_edit_new(NULL, &ed) < 0 || snapshot_edit_commit(ed, &s) < 0)
			return -1;
		snapshots[i] = s;
	}
	a = NULL;
	if (applier_new(&env, &a, NULL) < 0)
		return -1;
	memset(node, 'x', sizeof(node) - 1); /* the applier has copies of its own */
	memset(uplink, 'x', sizeof(uplink) - 1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	applier_free(a);
	for (size_t i = 0; i < ARRAY_LEN(snapshots); i++)
		snapshot_unref((struct snapshot *)snapshots[i]);
	for (size_t i = 0; i < N_FAKES; i++)
		if (fakes[i].n_open)
			return -1;
	return 0;
}

/* ---- tests ---- */

static void test_first_is_full_then_differences(void **state)
{
	(void)state;
	assert_int_equal(run(&lb, 0, "a:full0 b:full0 c:remove"), 0);
	assert_int_equal(run(&lb, 1, "a:diff1 b:diff1"), 0);
	assert_true(fakes[1].services && !fakes[0].services);
	assert_int_equal(fakes[2].n_open, 0);
}

static void test_target_that_cannot_run_is_not_removed(void **state)
{
	(void)state;
	fakes[1].unusable = fakes[2].unusable = true;
	assert_int_equal(run(&plain, 0, "a:full0"), 0);
}

static void test_other_strategy_removes_what_only_the_old_had(void **state)
{
	(void)state;
	assert_int_equal(run(&lb, 0, "a:full0 b:full0 c:remove"), 0);
	assert_int_equal(run(&plain, 1, "a:diff1 c:remove b:remove"), 0);
	assert_null(fakes[1].now);
	/* Back: b knows nothing any more. */
	assert_int_equal(run(&lb, 1, "a:diff1 b:full1 c:remove"), 0);
}

static void test_other_functions_need_a_full_program(void **state)
{
	(void)state;
	assert_int_equal(run(&plain, 0, "a:full0 c:remove b:remove"), 0);
	assert_int_equal(run(&all, 1, "a:full1 c:remove b:remove"), 0);
	assert_true(fakes[0].services);
}

static void test_failed_removal_is_made_up_for(void **state)
{
	(void)state;
	assert_int_equal(run(&lb, 0, "a:full0 b:full0 c:remove"), 0);
	fakes[1].fail_remove = -EBUSY;
	assert_int_equal(run(&plain, 0, "a:diff0 c:remove b:remove"), -EBUSY);
	assert_int_equal(run(&plain, 0, "a:diff0 c:remove b:remove"), 0);
	/* What a failed removal left is unknown. */
	assert_int_equal(run(&lb, 0, "a:diff0 b:full0 c:remove"), 0);
	fakes[1].fail_remove = -EBUSY;
	assert_int_equal(run(&plain, 0, "a:diff0 c:remove b:remove"), -EBUSY);
	assert_int_equal(run(&lb, 0, "a:diff0 b:full0 c:remove"), 0);
}

static void test_second_part_fails_first_is_led_back(void **state)
{
	(void)state;
	assert_int_equal(run(&lb, 0, "a:full0 b:full0 c:remove"), 0);
	fakes[1].fail_apply = -ENOBUFS;
	fakes[1].n_fail_apply = 1;
	assert_int_equal(run(&lb, 1, "a:diff1 b:diff1 b:full0 a:diff0"), -ENOBUFS);
	assert_true(fakes[0].now == snapshots[0] && fakes[1].now == snapshots[0]);
	assert_int_equal(run(&lb, 2, "a:diff2 b:diff2"), 0);
}

static void test_compile_fails_nothing_to_lead_back_there(void **state)
{
	(void)state;
	assert_int_equal(run(&lb, 0, "a:full0 b:full0 c:remove"), 0);
	fakes[1].fail_compile = -EOPNOTSUPP;
	assert_int_equal(run(&lb, 1, "a:diff1 a:diff0"), -EOPNOTSUPP);
	assert_int_equal(run(&lb, 1, "a:diff1 b:diff1"), 0);
}

static void test_failed_roll_back_is_repaired(void **state)
{
	(void)state;
	assert_int_equal(run(&lb, 0, "a:full0 b:full0 c:remove"), 0);
	fakes[1].fail_apply = -ENOBUFS;
	fakes[1].n_fail_apply = 2;
	assert_int_equal(run(&lb, 1, "a:diff1 b:diff1 b:full0 a:diff0"), -ENOBUFS);
	assert_int_equal(run(&lb, 1, "a:diff1 b:full1 c:remove"), 0);
	assert_true(fakes[0].now == snapshots[1] && fakes[1].now == snapshots[1]);
}

static void test_failed_change_of_strategy_leaves_the_old(void **state)
{
	(void)state;
	assert_int_equal(run(&plain, 0, "a:full0 c:remove b:remove"), 0);
	fakes[1].fail_apply = -ENOBUFS;
	fakes[1].n_fail_apply = 1;
	assert_int_equal(run(&lb, 1, "a:diff1 b:full1 b:remove a:diff0"), -ENOBUFS);
	assert_null(fakes[1].now);
	assert_int_equal(run(&plain, 1, "a:diff1"), 0);
	/* And where even that fails, the next run clears up. */
	fakes[1].n_fail_apply = 1;
	fakes[1].fail_remove = -EBUSY;
	assert_int_equal(run(&lb, 2, "a:diff2 b:full2 b:remove a:diff1"), -ENOBUFS);
	assert_int_equal(run(&plain, 1, "a:diff1 c:remove b:remove"), 0);
	assert_null(fakes[1].now);
}

static void test_first_run_fails(void **state)
{
	(void)state;
	fakes[1].fail_apply = -ENOBUFS;
	fakes[1].n_fail_apply = 1;
	/* What was there before is not known: nothing to lead back to. */
	assert_int_equal(run(&lb, 0, "a:full0 b:full0"), -ENOBUFS);
	assert_int_equal(run(&lb, 0, "a:diff0 b:full0 c:remove"), 0);
}

static void test_verify(void **state)
{
	const struct plan p0 = make_plan(&lb, snapshots[0]), p1 = make_plan(&lb, snapshots[1]);
	struct apply_report rep = {};

	(void)state;
	journal[0] = '\0';
	assert_int_equal(applier_run(a, &p0, true, &rep, NULL), 0);
	assert_string_equal(journal, "a:full0 b:full0 c:remove a:verify b:verify");
	assert_int_equal(rep.total.n_added, 2);
	fakes[1].fail_verify = -ESTALE;
	assert_int_equal(applier_run(a, &p1, true, &rep, NULL), -ESTALE);
	/* Something else is there than we believed: that target starts anew. */
	assert_int_equal(run(&lb, 1, "a:diff1 b:full1"), 0);
}

static void test_unusable_plan_touches_nothing(void **state)
{
	struct plan p = make_plan(&lb, snapshots[0]);
	struct apply_report rep = {};
	struct err e = {};

	(void)state;
	p.usable = false;
	p.why = REFUSAL_KERNEL_FEATURE;
	(void)snprintf(p.detail, sizeof(p.detail), "no tables");
	journal[0] = '\0';
	assert_int_equal(applier_run(a, &p, true, &rep, &e), -EOPNOTSUPP);
	assert_string_equal(e.text, "kernel-feature: no tables");
	assert_string_equal(journal, "");
	for (size_t i = 0; i < N_FAKES; i++)
		assert_int_equal(fakes[i].n_open, 0);
}

static void test_cleanup_goes_on(void **state)
{
	(void)state;
	assert_int_equal(run(&lb, 0, "a:full0 b:full0 c:remove"), 0);
	journal[0] = '\0';
	fakes[2].fail_remove = -EIO;
	fakes[1].fail_remove = -EBUSY;
	assert_int_equal(applier_cleanup(a, NULL), -EIO);
	assert_string_equal(journal, "c:remove b:remove a:remove");
	assert_null(fakes[0].now);
	journal[0] = '\0';
	assert_int_equal(applier_cleanup(a, NULL), 0);
	assert_string_equal(journal, "c:remove b:remove a:remove");
	assert_int_equal(run(&lb, 1, "a:full1 b:full1 c:remove"), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_first_is_full_then_differences),
		T(test_target_that_cannot_run_is_not_removed),
		T(test_other_strategy_removes_what_only_the_old_had),
		T(test_other_functions_need_a_full_program),
		T(test_failed_removal_is_made_up_for),
		T(test_second_part_fails_first_is_led_back),
		T(test_compile_fails_nothing_to_lead_back_there),
		T(test_failed_roll_back_is_repaired),
		T(test_failed_change_of_strategy_leaves_the_old),
		T(test_first_run_fails),
		T(test_verify),
		T(test_unusable_plan_touches_nothing),
		T(test_cleanup_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
