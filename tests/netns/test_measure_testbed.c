/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Testbeds: up, apply, update, down, adopt; that failures in the middle leave nothing, and that what went missing is repaired. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "labtest.h"
#include "measure/testbed.h"

static const struct lt_conf four_pods = { .n_nodes = 2, .n_pods = 4, .service = true };
static const struct lt_conf five_pods = { .n_nodes = 2, .n_pods = 5, .service = true };

/* Needs a target that no build has: fails when the lab is up already. */
static const struct strategy broken = {
	.name = "broken",
	.text = "",
	.tiers = { [FUNC_POD_ROUTING] = { "host" }, [FUNC_SERVICE_LB] = { "no-such-target" } },
};

static struct testbed *up(const char *name, const struct snapshot *s, bool keep)
{
	const struct testbed_conf conf = {
		.name = name, .snapshot = s, .strategy = strategy_find("nft"), .keep = keep, .verify = true
	};
	struct testbed *tb = NULL;
	struct err e = {};
	int r = testbed_up(&conf, &tb, &e);

	if (r < 0)
		fail_msg("%s: %s", e.path, e.text);
	return tb;
}

static int pod_of(const struct testbed *tb, const char *pod)
{
	return lab_pod_netns(testbed_lab(tb), "t", pod);
}

/* The Service, from a pod of each node, both families. */
static int ask_service(const struct testbed *tb)
{
	const struct ip_addr to[] = { lt_addr("10.96.0.10"), lt_addr("fd00:10:96::10") };
	static const char *const from[] = { "p1", "p2" };
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(from); i++)
		for (size_t f = 0; f < ARRAY_LEN(to) && r == 0; f++) {
			struct responder_reply reply;

			r = lt_ask(pod_of(tb, from[i]), &to[f], 80, IPPROTO_TCP, &reply);
			if (r == 0)
				assert_string_equal(reply.name, "t/p0");
		}
	return r;
}

static uint64_t connections(struct testbed *tb)
{
	uint64_t n = 0;

	assert_int_equal(testbed_counter(tb, "nft", NULL, "connections", &n, NULL), 1);
	return n;
}

static void down(struct testbed *tb, const char *name)
{
	struct err e = {};

	if (testbed_down(tb, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	assert_int_equal(lt_left_over(name), 0);
}

/* ---- tests ---- */

static void test_life(void **state)
{
	struct snapshot *s = lt_snapshot(&four_pods), *more = lt_snapshot(&five_pods);
	struct ip_addr p4;
	struct testbed *tb;
	char name[LAB_NAME_MAX + 1];
	struct err e = {};
	uint64_t n;

	(void)state;
	tb = up(lt_name("life", name), s, false);
	assert_ptr_equal(testbed_snapshot(tb), s);
	assert_string_equal(testbed_plan(tb, "node-2")->strategy->name, "nft");
	assert_null(testbed_plan(tb, "node-3"));
	assert_true(testbed_apply_report(tb)->total.n_added > 0);
	assert_int_equal(ask_service(tb), 0);
	n = connections(tb);
	assert_int_equal(n, 4);
	assert_int_equal(testbed_counter(tb, "no-such-target", NULL, "connections", &n, NULL), 0);
	assert_int_equal(n, 0);
	n = 1;
	assert_int_equal(testbed_counter(tb, "nft", NULL, "no-such-counter", &n, NULL), 0);
	assert_int_equal(n, 0);

	/* The same again changes nothing. */
	assert_int_equal(testbed_apply(tb, s, &e), 0);
	assert_int_equal(testbed_apply_report(tb)->total.n_added + testbed_apply_report(tb)->total.n_removed, 0);

	if (testbed_update(tb, more, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	assert_ptr_equal(testbed_snapshot(tb), more);
	p4 = lt_addr("10.244.1.4");
	assert_int_equal(lt_ask(pod_of(tb, "p1"), &p4, LT_PORT, IPPROTO_TCP, NULL), 0);
	assert_int_equal(ask_service(tb), 0);
	down(tb, name);
	snapshot_unref(s);
	snapshot_unref(more);
}

static void test_up_fails_in_the_middle(void **state)
{
	struct snapshot *s = lt_snapshot(&four_pods);
	char name[LAB_NAME_MAX + 1];
	const struct testbed_conf conf = { .name = lt_name("fail", name), .snapshot = s, .strategy = &broken };
	struct testbed *tb = NULL;
	struct err e = {};

	(void)state;
	assert_int_equal(testbed_up(&conf, &tb, &e), -ENOENT);
	assert_string_equal(e.path, "no-such-target");
	assert_null(tb);
	assert_int_equal(lt_left_over(name), 0);
	snapshot_unref(s);
}

/* Ctrl-C at some moment while it is built: as soon as `after` things are there. */
static void interrupt_at(size_t after)
{
	volatile int *stop = mmap(NULL, sizeof(*stop), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct snapshot *s = lt_snapshot(&four_pods);
	char name[LAB_NAME_MAX + 1];
	const struct testbed_conf conf = {
		.name = lt_name("stop", name), .snapshot = s, .strategy = strategy_find("nft"), .stop = stop
	};
	struct testbed *tb = NULL;
	pid_t parent = getpid(), pid;
	int r;

	assert_true(stop != MAP_FAILED);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		while (lt_left_over(name) < after && getppid() == parent && *stop != 2)
			(void)usleep(500);
		*stop = 1;
		_exit(0);
	}
	r = testbed_up(&conf, &tb, NULL);
	*stop = 2; /* should it have been too quick */
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	if (r == 0)
		assert_int_equal(testbed_down(tb, NULL), 0);
	else
		assert_int_equal(r, -EINTR);
	assert_int_equal(lt_left_over(name), 0);
	(void)munmap((void *)stop, sizeof(*stop));
	snapshot_unref(s);
}

static void test_interrupted(void **state)
{
	(void)state;
	interrupt_at(1);
	interrupt_at(5);
	interrupt_at(9);
}

/* A pod's interface goes away behind our back: reading back says so, and the next apply, a full one there, repairs it. */
static void test_read_back_and_repair(void **state)
{
	struct snapshot *s = lt_snapshot(&four_pods);
	struct testbed *tb;
	char name[LAB_NAME_MAX + 1];
	struct err e = {};

	(void)state;
	tb = up(lt_name("fix", name), s, false);
	assert_int_equal(lt_run(pod_of(tb, "p0"), "ip link del eth0"), 0);
	assert_int_equal(testbed_apply(tb, s, &e), -ESTALE);
	assert_true(e.text[0]);
	e = (struct err){};
	if (testbed_apply(tb, s, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	assert_int_equal(ask_service(tb), 0);
	down(tb, name);
	snapshot_unref(s);
}

/* Made by a process that ends, taken over by another with a pod more. */
static void test_adopt(void **state)
{
	struct snapshot *s = lt_snapshot(&four_pods), *more = lt_snapshot(&five_pods);
	char name[LAB_NAME_MAX + 1];
	struct testbed_conf conf = { .name = lt_name("adopt", name), .snapshot = more, .keep = true, .verify = true };
	struct ip_addr p4 = lt_addr("10.244.1.4");
	struct testbed *tb = NULL;
	struct lab *lab = NULL;
	struct err e = {};
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		testbed_free(up(name, s, true));
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);

	if (lab_open(name, s, &lab, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	conf.strategy = &broken;
	assert_int_equal(testbed_adopt(lab, &conf, &tb, NULL), -ENOENT);
	assert_null(tb); /* and the lab is still ours, with its pods */
	conf.strategy = strategy_find("nft");
	if (testbed_adopt(lab, &conf, &tb, &e) < 0 || lab_start_servers(lab, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	assert_ptr_equal(testbed_lab(tb), lab);
	assert_int_equal(ask_service(tb), 0);
	assert_int_equal(lt_ask(pod_of(tb, "p1"), &p4, LT_PORT, IPPROTO_TCP, NULL), 0);
	down(tb, name);
	snapshot_unref(s);
	snapshot_unref(more);
}

static void need_nft(void)
{
	struct snapshot *s = lt_snapshot(&four_pods);
	char name[LAB_NAME_MAX + 1];
	const struct testbed_conf conf = { .name = lt_name("probe", name),
					   .snapshot = s,
					   .strategy = strategy_find("nft") };
	struct testbed *tb = NULL;
	struct err e = {};
	int r = testbed_up(&conf, &tb, &e);

	if (r == 0)
		(void)testbed_down(tb, NULL); /* the tests look at it closely */
	snapshot_unref(s);
	if (r == -EOPNOTSUPP) {
		printf("SKIP: %s\n", e.text);
		exit(77);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),	    cmocka_unit_test(test_up_fails_in_the_middle),
		cmocka_unit_test(test_interrupted), cmocka_unit_test(test_read_back_and_repair),
		cmocka_unit_test(test_adopt),
	};

	lt_need_root();
	need_nft();
	return cmocka_run_group_tests(tests, NULL, lt_clean_up);
}
