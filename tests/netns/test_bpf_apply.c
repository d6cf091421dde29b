/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Target bpf-sock on the real kernel: full, delta, adoption, drift and what verify() says of it, growth, kill -9, dead nodes, remove. */
#include <bpf/bpf.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "bpf_node.h"
#include "target/bpf/sock.h"

extern const struct target_ops target_bpf_sock;

#define RANDOM_STEPS 60
#define N_KILLS 15

static int setup(void **state)
{
	*state = bpf_node_new();
	return 0;
}

static int teardown(void **state)
{
	bpf_node_free(*state);
	return 0;
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
	  .maglev = true,
	  .ports = { { "", IPPROTO_TCP, 80, "10.244.1.4:80 10.244.2.4:80 10.244.3.4:80" } } },
	{ .name = "empty", .ip4 = "10.96.0.12", .ports = { { "", IPPROTO_TCP, 80, "10.244.1.9:80!" } } },
};

/* Beside the addresses of world_many(). */
static const struct world_service far = { .name = "far",
					  .ip4 = "10.200.0.10",
					  .ports = { { "dns", IPPROTO_UDP, 53, "10.244.1.2:5353" } } };

static struct snapshot *shop_snapshot(void)
{
	return world_snapshot(NULL, shop, ARRAY_LEN(shop), NULL);
}

static void assert_verified(struct bpf_node *n, const struct snapshot *s)
{
	if (bpf_node_verify(n, s) < 0)
		fail_msg("%s: %s", n->e.path, n->e.text);
}

static void test_full_then_same(void **state)
{
	struct bpf_node *n = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *s = shop_snapshot();

	bpf_node_apply(n, NULL, s);
	assert_true(n->stats.n_added > 20 && n->stats.n_kept == 0);
	assert_verified(n, s);
	/* Somebody who knows nothing, as after a restart. */
	target_bpf_sock.close(n->handle);
	n->handle = bpf_node_open(n);
	bpf_node_apply(n, NULL, s);
	assert_true(n->stats.n_added == 0 && n->stats.n_removed == 0 && n->stats.n_kept > 20);
	assert_verified(n, s);
}

static void test_deltas(void **state)
{
	struct bpf_node *n = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *s = NULL;
	struct rng rng;

	rng_seed(&rng, 11);
	for (int step = 0; step < RANDOM_STEPS; step++) {
		struct snapshot *next = world_random(&rng, s);

		bpf_node_apply(n, step % 10 == 9 ? NULL : s, next); /* a full one brings only the difference, too */
		assert_verified(n, next);
		snapshot_unref(s);
		s = next;
	}
}

/* ---- drift ---- */

static int map_fd(const struct bpf_node *n, enum table_id t)
{
	int fd = bpf_pins_open(n->cgroup_fd, table_spec[t].name);

	assert_true(fd >= 0);
	return fd;
}

static void assert_stale(struct bpf_node *n, const struct snapshot *s, const char *path, const char *part)
{
	assert_int_equal(bpf_node_verify(n, s), -ESTALE);
	if (!strstr(n->e.path, path) || !strstr(n->e.text, part))
		fail_msg("wanted %s: ... %s, got %s: %s", path, part, n->e.path, n->e.text);
	bpf_node_apply(n, NULL, s);
	assert_verified(n, s);
}

/* Of each table one element is taken away, one is changed, and one is added. */
static void test_verify_names_it(void **state)
{
	struct bpf_node *n = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *s = shop_snapshot();

	bpf_node_apply(n, NULL, s);
	for (int t = 0; t < TABLE_MAX; t++) {
		CLEANUP_FD int fd = map_fd(n, t);
		uint8_t key[64], value[512] = {};

		assert_int_equal(bpf_map_get_next_key(fd, NULL, key), 0);
		assert_int_equal(bpf_map_delete_elem(fd, key), 0);
		assert_stale(n, s, table_spec[t].name, "is missing");
		assert_int_equal(bpf_map_lookup_elem(fd, key, value), 0); /* it is there again */
		value[0] ^= 0x55;
		assert_int_equal(bpf_map_update_elem(fd, key, value, BPF_EXIST), 0);
		assert_stale(n, s, table_spec[t].name, "is not what it should be");
		key[3] ^= 0x55; /* of the address */
		assert_int_equal(bpf_map_update_elem(fd, key, value, BPF_NOEXIST), 0);
		assert_stale(n, s, table_spec[t].name, "is there, but should not be");
	}
}

static void test_verify_names_service(void **state)
{
	struct bpf_node *n = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *s = shop_snapshot();
	struct ip_addr ip;
	struct bpf_vip vip;

	assert_int_equal(ip_addr_parse("10.96.0.11", &ip), 0);
	vip = bpf_vip_of(&ip, IPPROTO_TCP, 80);
	bpf_node_apply(n, NULL, s);
	{
		CLEANUP_FD int fd = map_fd(n, TABLE_SERVICES);

		assert_int_equal(bpf_map_delete_elem(fd, &vip), 0);
	}
	assert_stale(n, s, "services", "10.96.0.11 tcp 80 of Service shop/cart is missing");
}

static void test_lost_pin(void **state)
{
	struct bpf_node *n = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *s = shop_snapshot();
	char dir[BPF_PINS_DIR_SIZE], path[BPF_PINS_DIR_SIZE + 32];

	assert_int_equal(bpf_pins_dir(n->cgroup_fd, dir), 0);
	for (int hook = 0; hook < HOOK_MAX; hook++) {
		bpf_node_apply(n, NULL, s);
		(void)snprintf(path, sizeof(path), "%s/%s", dir, sock_hook_name[hook]);
		target_bpf_sock.close(n->handle); /* it holds the link, too */
		assert_int_equal(unlink(path), 0);
		n->handle = bpf_node_open(n);
		assert_stale(n, s, sock_hook_name[hook], "no program of ours");
	}
}

/* Somebody detaches a link by force: its pin stays, and an update of it fails. */
static void test_detached(void **state)
{
	struct bpf_node *n = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *s = shop_snapshot();

	for (int hook = 0; hook < HOOK_MAX; hook++) {
		CLEANUP_FD int fd = -1;

		bpf_node_apply(n, NULL, s);
		fd = bpf_pins_open(n->cgroup_fd, sock_hook_name[hook]);
		assert_true(fd >= 0);
		assert_int_equal(bpf_link_detach(fd), 0);
		assert_stale(n, s, sock_hook_name[hook], "no program of ours");
	}
}

static size_t n_attached(const struct bpf_node *n)
{
	static const enum bpf_attach_type types[] = {
		BPF_CGROUP_INET4_CONNECT,     BPF_CGROUP_INET6_CONNECT,	    BPF_CGROUP_UDP4_SENDMSG,
		BPF_CGROUP_UDP6_SENDMSG,      BPF_CGROUP_UDP4_RECVMSG,	    BPF_CGROUP_UDP6_RECVMSG,
		BPF_CGROUP_INET4_GETPEERNAME, BPF_CGROUP_INET6_GETPEERNAME,
	};
	size_t sum = 0;

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		uint32_t flags = 0, ids[8], count = ARRAY_LEN(ids);

		assert_int_equal(bpf_prog_query(n->cgroup_fd, types[i], 0, &flags, ids, &count), 0);
		sum += count;
	}
	return sum;
}

/* What a program of another version attached goes when this one is in force. */
static void test_other_version(void **state)
{
	struct bpf_node *n = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *s = shop_snapshot();
	char dir[BPF_PINS_DIR_SIZE], old[BPF_PINS_DIR_SIZE + 8], from[BPF_PINS_DIR_SIZE + 40],
		to[BPF_PINS_DIR_SIZE + 40];
	struct stat st;

	assert_int_equal(bpf_pins_dir(n->cgroup_fd, dir), 0);
	bpf_node_apply(n, NULL, s);
	(void)snprintf(old, sizeof(old), "%.*s-v0", (int)(strrchr(dir, '-') - dir), dir);
	assert_int_equal(mkdir(old, 0700), 0);
	for (int hook = 0; hook < HOOK_MAX; hook++) {
		(void)snprintf(from, sizeof(from), "%s/%s", dir, sock_hook_name[hook]);
		(void)snprintf(to, sizeof(to), "%s/%s", old, sock_hook_name[hook]);
		assert_int_equal(rename(from, to), 0);
	}
	target_bpf_sock.close(n->handle);
	n->handle = bpf_node_open(n);
	bpf_node_apply(n, NULL, s);
	assert_int_equal(stat(old, &st), -1);
	assert_verified(n, s);
	assert_int_equal(n_attached(n), HOOK_MAX);
}

/* Another process exchanged the maps, or took all away: the next difference is not written into the void. */
static void test_behind_our_back(void **state)
{
	struct bpf_node *n = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *few = shop_snapshot(), *many = world_many(4000, 2);
	CLEANUP(snapshot_unrefp) struct snapshot *next = world_snapshot(few, &far, 1, NULL);
	void *ours = n->handle, *other = bpf_node_open(n);

	bpf_node_apply(n, NULL, few);
	n->handle = other;
	bpf_node_apply(n, NULL, many); /* larger maps */
	n->handle = ours;
	bpf_node_apply(n, few, next);
	assert_verified(n, next);
	assert_int_equal(target_bpf_sock.remove(other, &n->e), 0);
	bpf_node_apply(n, next, few);
	assert_verified(n, few);
	target_bpf_sock.close(other);
}

/* ---- growth ---- */

static uint32_t max_entries(const struct bpf_node *n, enum table_id t)
{
	CLEANUP_FD int fd = map_fd(n, t);
	struct bpf_map_info info = {};
	uint32_t size = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	return info.max_entries;
}

static void connect_once(const struct bpf_node *n, const char *ip, uint16_t port)
{
	CLEANUP_FD int fd = bpf_node_socket(n, AF_INET, SOCK_DGRAM);
	struct sockaddr_storage ss;
	struct ip_addr a;

	assert_int_equal(ip_addr_parse(ip, &a), 0);
	(void)connect(fd, (struct sockaddr *)&ss,
		      ip_addr_to_sockaddr(&a, port, &ss)); /* no route: the hook came first */
}

static uint64_t connections(const struct bpf_node *n, const char *ip, uint16_t port)
{
	CLEANUP_FD int fd = bpf_pins_open(n->cgroup_fd, "connections");
	struct ip_addr a;
	struct bpf_vip vip;
	uint64_t ret = 0;

	assert_int_equal(ip_addr_parse(ip, &a), 0);
	vip = bpf_vip_of(&a, IPPROTO_UDP, port);
	assert_int_equal(map_sum(fd, &vip, &ret), 0);
	return ret;
}

/* By deltas, far beyond the size of the maps: they are made anew, and the counts go along. */
static void test_growth(void **state)
{
	struct bpf_node *n = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *few = world_many(50, 2), *many = world_many(4000, 2), *all = NULL;
	CLEANUP(snapshot_unrefp) struct snapshot *base = world_snapshot(few, &far, 1, NULL);
	uint32_t size;

	bpf_node_apply(n, NULL, base);
	for (int i = 0; i < 7; i++)
		connect_once(n, "10.200.0.10", 53);
	assert_int_equal(connections(n, "10.200.0.10", 53), 7);
	size = max_entries(n, TABLE_BACKENDS);
	all = world_snapshot(many, &far, 1, NULL);
	bpf_node_apply(n, base, all);
	assert_verified(n, all);
	assert_true(max_entries(n, TABLE_BACKENDS) > size && max_entries(n, TABLE_BACKENDS) >= 8000);
	assert_int_equal(connections(n, "10.200.0.10", 53), 7);
	connect_once(n, "10.200.0.10", 53);
	assert_int_equal(connections(n, "10.200.0.10", 53), 8);
	size = max_entries(n, TABLE_BACKENDS);
	bpf_node_apply(n, all, base);
	assert_verified(n, base);
	assert_int_equal(max_entries(n, TABLE_BACKENDS), size); /* they stay large */
	assert_int_equal(connections(n, "10.200.0.10", 53), 8);
}

/* ---- killed ---- */

static void apply_forever(struct bpf_node *n, const struct snapshot *a, const struct snapshot *b)
{
	for (unsigned int i = 0;; i++) {
		bpf_node_apply(n, NULL, i % 2 ? a : b);
		bpf_node_apply(n, i % 2 ? a : b, i % 2 ? b : a);
	}
}

static void test_killed(void **state)
{
	struct bpf_node *n = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *a = shop_snapshot(), *many = world_many(1500, 2), *b = NULL;
	struct rng rng;

	rng_seed(&rng, 5);
	b = world_snapshot(many, &far, 1, NULL);
	for (int i = 0; i < N_KILLS; i++) {
		struct timespec ts = { .tv_nsec = (long)rng_below(&rng, 120000000) };
		pid_t pid;

		if (i % 5 == 0) { /* from nothing, so that it is killed between the hooks, too */
			assert_int_equal(target_bpf_sock.remove(n->handle, &n->e), 0);
			ts.tv_nsec /= 4;
		}
		pid = fork();
		if (pid == 0)
			apply_forever(n, a, b);
		(void)nanosleep(&ts, NULL);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		target_bpf_sock.close(n->handle);
		n->handle = bpf_node_open(n);
		bpf_node_apply(n, NULL, a);
		assert_verified(n, a);
	}
}

/* ---- the end ---- */

static bool has_pins(const char *dir)
{
	return access(dir, F_OK) == 0;
}

static void test_remove(void **state)
{
	struct bpf_node *n = *state;
	CLEANUP(snapshot_unrefp) struct snapshot *s = shop_snapshot();
	char dir[BPF_PINS_DIR_SIZE];

	assert_int_equal(bpf_pins_dir(n->cgroup_fd, dir), 0);
	bpf_node_apply(n, NULL, s);
	assert_true(has_pins(dir));
	assert_int_equal(n_attached(n), HOOK_MAX);
	assert_int_equal(target_bpf_sock.remove(n->handle, &n->e), 0);
	assert_false(has_pins(dir));
	assert_int_equal(n_attached(n), 0);
	assert_int_equal(target_bpf_sock.remove(n->handle, &n->e), 0); /* absent is success */
	assert_int_equal(bpf_node_verify(n, s), -ESTALE);
}

/* Closing leaves everything in force; pins of a node whose cgroup is gone are swept, others not. */
static void test_sweep(void **state)
{
	struct bpf_node *n = *state, *dead = bpf_node_new();
	CLEANUP(snapshot_unrefp) struct snapshot *s = shop_snapshot();
	char dir[BPF_PINS_DIR_SIZE], dead_dir[BPF_PINS_DIR_SIZE];

	assert_int_equal(bpf_pins_dir(n->cgroup_fd, dir), 0);
	assert_int_equal(bpf_pins_dir(dead->cgroup_fd, dead_dir), 0);
	bpf_node_apply(n, NULL, s);
	bpf_node_apply(dead, NULL, s);
	target_bpf_sock.close(dead->handle);
	dead->handle = NULL;
	assert_int_equal(target_bpf_sock.sweep(&n->e), 0);
	assert_true(has_pins(dead_dir)); /* its node lives */
	assert_int_equal(n_attached(dead), HOOK_MAX);
	assert_int_equal(rmdir(dead->cgroup), 0);
	(void)close(dead->cgroup_fd);
	dead->cgroup_fd = -1;
	assert_int_equal(target_bpf_sock.sweep(&n->e), 0);
	assert_false(has_pins(dead_dir));
	assert_true(has_pins(dir));
	assert_verified(n, s);
	bpf_node_free(dead);
}

/* ---- probe ---- */

static int probe_as_nobody(const struct bpf_node *n)
{
	const struct target_env env = bpf_node_env(n);
	struct target_probe probe = {};
	struct err e = {};

	if (setgid(65534) < 0 || setuid(65534) < 0)
		return 1;
	if (target_bpf_sock.probe(&env, &probe, &e) < 0)
		return 2;
	if (probe.usable || probe.why != REFUSAL_NO_PRIVILEGE)
		return 3;
	return strstr(probe.detail, "CAP_BPF") ? 0 : 4;
}

static void test_no_privilege(void **state)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(probe_as_nobody(*state));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* probe() leaves nothing. */
static void test_probe(void **state)
{
	struct bpf_node *n = *state;
	const struct target_env env = bpf_node_env(n);
	struct target_probe probe = {};
	char dir[BPF_PINS_DIR_SIZE];

	assert_int_equal(bpf_pins_dir(n->cgroup_fd, dir), 0);
	assert_int_equal(target_bpf_sock.probe(&env, &probe, &n->e), 0);
	assert_true(probe.usable);
	assert_false(has_pins(dir));
	assert_int_equal(n_attached(n), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_full_then_same),  TEST(test_deltas),
		TEST(test_verify_names_it), TEST(test_verify_names_service),
		TEST(test_lost_pin),	    TEST(test_detached),
		TEST(test_other_version),   TEST(test_behind_our_back),
		TEST(test_growth),	    TEST(test_killed),
		TEST(test_remove),	    TEST(test_sweep),
		TEST(test_no_privilege),    TEST(test_probe),
	};

	return cmocka_run_group_tests(tests, bpf_node_need, NULL);
}
