/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Target nft on the real kernel, in empty network namespaces: full, delta, adoption, drift, verify, remove,
 * foreign tables, large Services. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../src/target/nft/nft.h"
#include "base/cleanup.h"
#include "base/util.h"
#include "net/netns.h"
#include "nft_world.h"

extern const struct target_ops target_nft;

/* A node: an anonymous namespace with an open handle. */
struct node_ns {
	int fd;
	void *handle;
	struct target_stats stats;
	struct err e;
};

static void *open_handle(int fd)
{
	struct target_env env = { .node = WORLD_NODE, .netns_fd = fd, .cgroup_fd = -1, .clock = &clock_monotonic };
	void *handle = NULL;
	struct err e = {};

	if (target_nft.open(&env, &handle, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	return handle;
}

static int setup(void **state)
{
	struct node_ns *n = calloc(1, sizeof(*n));
	struct err e = {};

	assert_non_null(n);
	assert_int_equal(netns_create_anonymous(&n->fd, &e), 0);
	n->handle = open_handle(n->fd);
	*state = n;
	return 0;
}

static int teardown(void **state)
{
	struct node_ns *n = *state;

	target_nft.close(n->handle);
	close(n->fd);
	free(n);
	return 0;
}

static int try_apply(struct node_ns *n, const struct snapshot *from, const struct snapshot *to)
{
	struct target_program *p = world_compile(from, to);
	int r;

	n->e = (struct err){};
	r = target_nft.apply(n->handle, p, &n->stats, &n->e);
	target_nft.program_free(p);
	return r;
}

static void apply(struct node_ns *n, const struct snapshot *from, const struct snapshot *to)
{
	if (try_apply(n, from, to) < 0)
		fail_msg("%s: %s", n->e.path, n->e.text);
}

static int try_verify(struct node_ns *n, const struct snapshot *s)
{
	struct target_program *p = world_compile(NULL, s);
	int r;

	n->e = (struct err){};
	r = target_nft.verify(n->handle, p, &n->e);
	target_nft.program_free(p);
	return r;
}

static void verify(struct node_ns *n, const struct snapshot *s)
{
	if (try_verify(n, s) < 0)
		fail_msg("%s: %s", n->e.path, n->e.text);
}

/* Runs a shell command inside the namespace; its exit code. Tests may look, and break things, with the nft program. */
static int sh(struct node_ns *n, const char *cmd)
{
	int old = -1, status;

	assert_int_equal(netns_enter(n->fd, &old), 0);
	status = system(cmd);
	netns_leave(old);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static uint64_t now_ns(void)
{
	return clock_now_ns(&clock_monotonic);
}

static const struct world_service shop[] = {
	{ .name = "web",
	  .ip4 = "10.96.0.10",
	  .ip6 = "fd96::10",
	  .ports = { { "http", IPPROTO_TCP, 80, "10.244.1.2:8080 10.244.2.3:8080 [fd44:1::2]:8080" },
		     { "dns", IPPROTO_UDP, 53, "10.244.1.2:5353" } } },
	{ .name = "cart",
	  .ip4 = "10.96.0.11",
	  .affinity_s = 60,
	  .ports = { { "", IPPROTO_TCP, 80, "10.244.1.4:80 10.244.2.4:80 10.244.3.4:80" } } },
	{ .name = "empty", .ip4 = "10.96.0.12", .ports = { { "", IPPROTO_TCP, 80, "10.244.1.9:80!" } } },
};
static const struct world_service web_scaled = {
	.name = "web",
	.ip4 = "10.96.0.10",
	.ip6 = "fd96::10",
	.ports = { { "http", IPPROTO_TCP, 80, "10.244.1.2:8080 10.244.2.3:8080 10.244.2.7:8080 [fd44:1::2]:8080" },
		   { "dns", IPPROTO_UDP, 53, "" } },
};

static void test_full_then_same(void **state)
{
	struct node_ns *n = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *s = world_snapshot(NULL, shop, ARRAY_LEN(shop), NULL);

	assert_int_equal(try_verify(n, s), -ESTALE);
	apply(n, NULL, s);
	assert_true(n->stats.n_added > 20);
	verify(n, s);
	apply(n, NULL, s);
	assert_int_equal(n->stats.n_transactions, 0);
	assert_int_equal(n->stats.n_added, 0);
	assert_int_equal(n->stats.n_removed, 0);
	assert_true(n->stats.n_kept > 20);
}

static void test_listing_is_sane(void **state)
{
	struct node_ns *n = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *s = world_snapshot(NULL, shop, ARRAY_LEN(shop), NULL);

	if (system("command -v nft >/dev/null") != 0)
		skip();
	apply(n, NULL, s);
	assert_int_equal(sh(n, "nft list ruleset > /dev/null"), 0);
	assert_int_equal(sh(n, "nft -j list ruleset > /dev/null"), 0);
	assert_int_equal(sh(n, "nft list table ip offkube | grep -q '10.96.0.10 . tcp . 80 : jump pick-2'"), 0);
	assert_int_equal(
		sh(n, "nft list table ip offkube | grep -q '10.96.0.10 . tcp . 80 . 0x00000000 : 10.244.1.2 . 8080'"),
		0);
	assert_int_equal(sh(n, "nft list table ip6 offkube | grep -q 'fd96::10 . tcp . 80 : jump pick-1'"), 0);
	assert_int_equal(sh(n, "nft list table ip offkube | grep -q 'numgen random mod 2 map @backends'"), 0);
}

static void test_delta(void **state)
{
	struct node_ns *n = *state;
	static const char *const del[] = { "cart", NULL };
	CLEANUP(snapshot_unrefp) struct snapshot *a = world_snapshot(NULL, shop, ARRAY_LEN(shop), NULL);
	CLEANUP(snapshot_unrefp) struct snapshot *b = world_snapshot(a, &web_scaled, 1, NULL);
	CLEANUP(snapshot_unrefp) struct snapshot *c = world_snapshot(b, NULL, 0, del);

	apply(n, NULL, a);
	apply(n, a, b);
	assert_int_equal(n->stats.n_transactions, 1); /* IPv6 is as it was; the chain for three endpoints goes along */
	verify(n, b);
	assert_int_equal(try_verify(n, a), -ESTALE);
	apply(n, b, c);
	verify(n, c);
	apply(n, c, a);
	verify(n, a);
	apply(n, a, a); /* perhaps a chain that became unused goes now */
	apply(n, a, a);
	assert_int_equal(n->stats.n_added + n->stats.n_removed, 0);
}

/* A new process, which knows nothing, goes on with a delta. */
static void test_delta_by_another(void **state)
{
	struct node_ns *n = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *a = world_snapshot(NULL, shop, ARRAY_LEN(shop), NULL);
	CLEANUP(snapshot_unrefp) struct snapshot *b = world_snapshot(a, &web_scaled, 1, NULL);

	apply(n, NULL, a);
	target_nft.close(n->handle);
	n->handle = open_handle(n->fd);
	apply(n, a, b);
	verify(n, b);
}

static void test_random_deltas(void **state)
{
	struct node_ns *n = *state;
	struct snapshot *s;
	struct rng rng;

	rng_seed(&rng, 7);
	s = world_random(&rng, NULL);
	apply(n, NULL, s);
	for (int i = 0; i < 150; i++) {
		struct snapshot *next = world_random(&rng, s);

		apply(n, s, next);
		verify(n, next);
		snapshot_unref(s);
		s = next;
	}
	snapshot_unref(s);
}

/* What somebody else breaks: a delta notices, or a full apply mends; verify names it. */
static void test_drift(void **state)
{
	static const struct {
		const char *cmd, *named;
	} cases[] = {
		{ "nft delete element ip offkube services '{ 10.96.0.10 . tcp . 80 }'", "services" },
		{ "nft delete element ip offkube backends '{ 10.96.0.10 . tcp . 80 . 1 }'", "backends" },
		{ "nft add element ip offkube cluster-ips '{ 10.1.2.3 }'", "cluster-ips" },
		{ "nft flush set ip offkube eligible", "eligible" },
		{ "nft flush chain ip offkube service", "service" },
		{ "nft add rule ip offkube postrouting counter", "postrouting" },
		{ "nft flush chain ip6 offkube pick-1", "pick-1" },
		{ "nft add chain ip offkube stranger", "table" },
		{ "nft add chain ip offkube stranger2; nft add rule ip offkube stranger2 counter", "stranger2" },
		{ "nft add set ip offkube strange '{ type ipv4_addr; }'", "strange" },
		{ "nft delete table ip offkube", "table" },
		{ "nft delete table ip offkube; nft add table ip offkube; nft add set ip offkube backends '{ type ipv4_addr; }'",
		  "set" },
	};
	struct node_ns *n = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *s = world_snapshot(NULL, shop, ARRAY_LEN(shop), NULL);

	if (system("command -v nft >/dev/null") != 0)
		skip();
	apply(n, NULL, s);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(sh(n, cases[i].cmd), 0);
		if (try_verify(n, s) != -ESTALE)
			fail_msg("not noticed: %s", cases[i].cmd);
		if (!strstr(n->e.path, cases[i].named))
			fail_msg("%s: named %s: %s", cases[i].cmd, n->e.path, n->e.text);
		apply(n, NULL, s);
		assert_true(n->stats.n_added + n->stats.n_removed > 0);
		if (try_verify(n, s) < 0)
			fail_msg("not mended: %s: %s: %s", cases[i].cmd, n->e.path, n->e.text);
	}
}

static void test_delta_over_drift(void **state)
{
	struct node_ns *n = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *a = world_snapshot(NULL, shop, ARRAY_LEN(shop), NULL);
	CLEANUP(snapshot_unrefp) struct snapshot *b = world_snapshot(a, &web_scaled, 1, NULL);

	if (system("command -v nft >/dev/null") != 0)
		skip();
	apply(n, NULL, a);
	assert_int_equal(sh(n, "nft flush map ip offkube services; nft flush map ip offkube backends"), 0);
	apply(n, a, b);
	verify(n, b);
	assert_int_equal(sh(n, "nft flush ruleset"), 0);
	apply(n, b, a);
	verify(n, a);
}

static void test_others_are_left_alone(void **state)
{
	struct node_ns *n = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *s = world_snapshot(NULL, shop, ARRAY_LEN(shop), NULL);

	if (system("command -v nft >/dev/null") != 0)
		skip();
	assert_int_equal(
		sh(n,
		   "nft 'add table ip kube-proxy; add chain ip kube-proxy service { type nat hook prerouting priority -100; }; "
		   "add rule ip kube-proxy service counter; add table inet offkube; add chain inet offkube x'"),
		0);
	assert_int_equal(sh(n, "nft list ruleset > /tmp/okt-nft-before.$PPID"), 0);
	apply(n, NULL, s);
	apply(n, NULL, s);
	assert_int_equal(target_nft.remove(n->handle, &n->e), 0);
	assert_int_equal(
		sh(n,
		   "nft list ruleset | cmp - /tmp/okt-nft-before.$PPID; r=$?; rm -f /tmp/okt-nft-before.$PPID; exit $r"),
		0);
	assert_int_equal(target_nft.remove(n->handle, &n->e), 0);
}

static void test_large_service(void **state)
{
	struct node_ns *n = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *a = world_many(1, 5000);
	CLEANUP(snapshot_unrefp) struct snapshot *b = world_many_edit(a, 0, 4999);
	CLEANUP(snapshot_unrefp) struct snapshot *c = world_many_edit(b, 0, 3);

	apply(n, NULL, a);
	assert_true(n->stats.n_transactions >= 4);
	verify(n, a);
	apply(n, a, b);
	verify(n, b);
	apply(n, b, c);
	verify(n, c);
	apply(n, c, a);
	verify(n, a);
}

/* Chains that nothing leads to any more go, at a later apply. */
static void test_chains_are_collected(void **state)
{
	struct node_ns *n = *state;
	struct snapshot *s = world_many(3, 2);

	apply(n, NULL, s);
	for (size_t i = 3; i < 30; i++) {
		struct snapshot *next = world_many_edit(s, 0, i);

		apply(n, s, next);
		verify(n, next);
		snapshot_unref(s);
		s = next;
	}
	apply(n, s, s);
	for (size_t fam = 0; fam < 1; fam++) {
		const struct nft *h = n->handle;

		assert_true(h->chains[fam].n <= 4);
		assert_true(h->unused[fam].n <= 2);
	}
	snapshot_unref(s);
}

/* A killed run leaves the first half; the next full apply makes it whole. */
static void test_killed(void **state)
{
	struct node_ns *n = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *s = world_many(6000, 2);
	bool was_partial = false;

	for (int i = 0; i < 6; i++) {
		struct timespec delay = { 0, (3 + i * 6) * 1000000 };
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			struct node_ns child = { .fd = n->fd, .handle = open_handle(n->fd) };

			_exit(try_apply(&child, NULL, s) < 0);
		}
		(void)nanosleep(&delay, NULL); /* any moment will do */
		(void)kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		was_partial = was_partial || try_verify(n, s) == -ESTALE;
	}
	assert_true(was_partial);
	apply(n, NULL, s);
	verify(n, s);
	apply(n, NULL, s);
	assert_int_equal(n->stats.n_transactions, 0);
}

static void test_scale(void **state)
{
	struct node_ns *n = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *s = world_many(10000, 2);
	struct snapshot *now = snapshot_ref(s);
	uint64_t t0 = now_ns(), t1, t2, sum = 0, max = 0;
	struct target_program *p = world_compile(NULL, s);

	t1 = now_ns();
	if (target_nft.apply(n->handle, p, &n->stats, &n->e) < 0)
		fail_msg("%s: %s", n->e.path, n->e.text);
	t2 = now_ns();
	print_message("10,000 Services x 2: compile %.1f ms, apply %.1f ms, %llu transactions\n",
		      (double)(t1 - t0) / 1e6, (double)(t2 - t1) / 1e6, (unsigned long long)n->stats.n_transactions);
	t0 = now_ns();
	assert_int_equal(target_nft.apply(n->handle, p, &n->stats, &n->e), 0);
	print_message("again, nothing to do: %.1f ms\n", (double)(now_ns() - t0) / 1e6);
	t0 = now_ns();
	assert_int_equal(target_nft.verify(n->handle, p, &n->e), 0);
	print_message("verify: %.1f ms\n", (double)(now_ns() - t0) / 1e6);
	target_nft.program_free(p);
	for (size_t i = 0; i < 100; i++) {
		struct snapshot *next = world_many_edit(now, i * 97, i % 2 ? 2 : 3);

		t0 = now_ns();
		apply(n, now, next);
		t1 = now_ns() - t0;
		sum += t1;
		max = MAX(max, t1);
		snapshot_unref(now);
		now = next;
	}
	print_message("one change: mean %.3f ms, max %.3f ms\n", (double)sum / 100 / 1e6, (double)max / 1e6);
	verify(n, now);
	snapshot_unref(now);
	t0 = now_ns();
	assert_int_equal(target_nft.remove(n->handle, &n->e), 0);
	print_message("remove: %.1f ms\n", (double)(now_ns() - t0) / 1e6);
}

static void test_scale_endpoints(void **state)
{
	struct node_ns *n = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *s = world_many(5000, 50);
	uint64_t t0 = now_ns();

	apply(n, NULL, s);
	print_message("5,000 Services x 50: %.1f ms, %llu transactions\n", (double)(now_ns() - t0) / 1e6,
		      (unsigned long long)n->stats.n_transactions);
	t0 = now_ns();
	apply(n, NULL, s);
	print_message("again: %.1f ms\n", (double)(now_ns() - t0) / 1e6);
	assert_int_equal(n->stats.n_transactions, 0);
}

static void test_probe(void **state)
{
	struct node_ns *n = *state;
	struct target_env env = { .node = WORLD_NODE, .netns_fd = n->fd, .cgroup_fd = -1, .clock = &clock_monotonic };
	struct target_probe p = {};

	assert_int_equal(target_nft.probe(&env, &p, &n->e), 0);
	if (!p.usable)
		fail_msg("%s", p.detail);
	assert_true(p.features & NFT_FEATURE_IPV6);
	if (system("command -v nft >/dev/null") == 0)
		assert_int_equal(sh(n, "test -z \"$(nft list ruleset)\""), 0);
}

static void test_dump(void **state)
{
	struct node_ns *n = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *s = world_snapshot(NULL, shop, ARRAY_LEN(shop), NULL);
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	apply(n, NULL, s);
	assert_non_null(f);
	assert_int_equal(target_nft.dump(n->handle, f, &n->e), 0);
	fclose(f);
	assert_non_null(strstr(text, "10.96.0.10 . tcp . 80 : jump pick-2"));
	assert_non_null(strstr(text, "fd96::10 . tcp . 80 . 0 : fd44:1::2 . 8080"));
	assert_non_null(strstr(text, "10.96.0.12 . tcp . 80"));
	if (getenv("OFFKUBE_TEST_SHOW"))
		print_message("%s", text);
	free(text);
}

/* An argument: only the tests that match it ("test_aff*"). */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_probe, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_then_same, setup, teardown),
		cmocka_unit_test_setup_teardown(test_listing_is_sane, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dump, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delta, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delta_by_another, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random_deltas, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drift, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delta_over_drift, setup, teardown),
		cmocka_unit_test_setup_teardown(test_others_are_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_service, setup, teardown),
		cmocka_unit_test_setup_teardown(test_chains_are_collected, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_scale, setup, teardown),
		cmocka_unit_test_setup_teardown(test_scale_endpoints, setup, teardown),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	if (geteuid() != 0) {
		printf("SKIP: network namespaces need root\n");
		return 77;
	}
	return cmocka_run_group_tests_name("nft_apply", tests, NULL, NULL);
}
