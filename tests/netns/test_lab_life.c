/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of labs: two at once, kept ones, changes, names in use, and owners that are killed at any moment. */
#include "labtest.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rand.h"
#include "base/util.h"

static const struct lt_conf conf = { .n_nodes = 2, .n_pods = 4, .service = true };

static void test_two_at_once(void **state)
{
	struct lt a, b;
	char na[LAB_NAME_MAX + 1], nb[LAB_NAME_MAX + 1];

	(void)state;
	lt_up(&a, lt_name("a", na), &conf, false);
	lt_up(&b, lt_name("b", nb), &conf, false);
	lt_reach(&a, lt_pod_netns(&a, "p0"), "p1", NULL, NULL);
	lt_reach(&b, lt_pod_netns(&b, "p0"), "p1", NULL, NULL);
	assert_int_equal(lab_n_servers(a.lab), 4);
	lt_down(&a);
	assert_int_equal(lt_left_over(na), 0);
	lt_reach(&b, lt_pod_netns(&b, "p0"), "p1", NULL, NULL);
	lt_verify(&b);
	lt_down(&b);
	assert_int_equal(lt_left_over(nb), 0);
}

static void test_name_in_use(void **state)
{
	struct lt lt;
	char name[LAB_NAME_MAX + 1];
	struct lab_conf lc = { .name = name, .n_clients = 1 };
	struct lab *second = NULL;
	struct err e = {};
	size_t n = 7;

	(void)state;
	lt_up_bare(&lt, lt_name("use", name), &conf, false);
	lc.snapshot = lt.s;
	assert_int_equal(lab_up(&lc, &second, &e), -EEXIST);
	assert_int_equal(lab_open(name, lt.s, &second, NULL), -ENOENT); /* not a kept one */
	assert_int_equal(lab_clean(NULL, &n, &e), 0); /* spares us */
	assert_true(lt_left_over(name) > 0);
	lt_down(&lt);
	assert_int_equal(lt_left_over(name), 0);
}

static void test_bad_conf(void **state)
{
	static const char *const bad[] = { "", "0a", "A", "a/b", "a.b", "abcdefghijklmnopq", ".." };
	struct snapshot *s = lt_snapshot(&conf);
	struct lab *lab = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct lab_conf lc = { .name = bad[i], .snapshot = s };
		struct err e = {};

		assert_int_equal(lab_up(&lc, &lab, &e), -EINVAL);
		assert_true(e.text[0]);
		assert_int_equal(lab_clean(bad[i], NULL, NULL), -EINVAL);
		assert_int_equal(lab_open(bad[i], s, &lab, NULL), -EINVAL);
	}
	snapshot_unref(s);
}

/* ---- kept labs ---- */

struct seen {
	const char *name;
	struct lab_status s;
	int hits;
};

static int see(const struct lab_status *s, void *arg)
{
	struct seen *seen = arg;

	if (strcmp(s->name, seen->name) == 0) {
		seen->s = *s;
		seen->hits++;
	}
	return 0;
}

/* Made by a process that ends; used, changed and taken down by another. */
static void test_kept(void **state)
{
	static const char workload[] = "/tmp/a \"b\".yaml\n/tmp/c\\d.yaml";
	struct seen seen = {};
	struct lt lt = {};
	char name[LAB_NAME_MAX + 1], *note = NULL;
	struct err e = {};
	int status;
	size_t n;
	pid_t pid;

	(void)state;
	seen.name = lt_name("keep", name);
	pid = fork();
	if (pid == 0) {
		lt_up(&lt, name, &conf, true);
		if (lab_set_note(lt.lab, "strategy", "nft", NULL) < 0 ||
		    lab_set_note(lt.lab, "workload", "x", NULL) < 0 ||
		    lab_set_note(lt.lab, "workload", workload, NULL) < 0)
			_exit(1);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);

	assert_int_equal(lab_list(see, &seen, NULL), 0);
	assert_int_equal(seen.hits, 1);
	assert_true(seen.s.alive);
	assert_int_equal(seen.s.owner, 0);
	assert_int_equal(seen.s.n_nodes, 2);
	assert_int_equal(seen.s.n_pods, 4);
	assert_int_equal(seen.s.n_servers, 4);
	assert_string_equal(seen.s.strategy, "nft");
	assert_int_equal(lab_get_note(name, "workload", &note, NULL), 0);
	assert_string_equal(note, workload);
	free(note);
	assert_int_equal(lab_get_note(name, "none", &note, NULL), -ENOENT);

	lt.s = lt_snapshot(&conf);
	if (lab_open(name, lt.s, &lt.lab, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	assert_int_equal(lab_start_servers(lt.lab, NULL), 0); /* they run */
	assert_int_equal(lab_n_servers(lt.lab), 4);
	lt_reach(&lt, lab_client_netns(lt.lab, 0), "p1", lab_client_addr(lt.lab, 0, IP_V4),
		 lab_client_addr(lt.lab, 0, IP_V6));
	lab_free(lt.lab);

	assert_int_equal(lab_clean(NULL, &n, NULL), 0); /* kept and complete: spared */
	assert_true(lt_left_over(name) > 0);
	assert_int_equal(lab_clean(name, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(lt_left_over(name), 0);
	assert_int_equal(lab_clean(name, &n, NULL), 0);
	assert_int_equal(n, 0);
	assert_int_equal(lab_open(name, lt.s, &lt.lab, NULL), -ENOENT);
	snapshot_unref(lt.s);
}

/* ---- changes ---- */

static void test_update(void **state)
{
	struct lt_conf more = { .n_nodes = 2, .n_pods = 6, .skip_pod = 2 }; /* without p1, with p4 and p5 */
	const struct lt_conf first = { .n_nodes = 2, .n_pods = 4 }, other_nodes = { .n_nodes = 3, .n_pods = 4 };
	struct snapshot *s, *wrong;
	struct lt lt;
	char name[LAB_NAME_MAX + 1];
	struct ip_addr gone;
	struct err e = {};

	(void)state;
	lt_up(&lt, lt_name("upd", name), &first, false);
	gone = lt_pod_addr(&lt, "p1", IP_V4);
	s = lt_snapshot(&more);
	if (lab_update(lt.lab, s, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	assert_int_equal(lab_pod_netns(lt.lab, "t", "p1"), -1);
	lt_wire(&lt, lt.s, s, NULL);
	assert_int_equal(lab_start_servers(lt.lab, &e), 0);
	assert_int_equal(lab_n_servers(lt.lab), 5);
	snapshot_unref(lt.s);
	lt.s = s;
	lt_verify(&lt);
	lt_reach(&lt, lt_pod_netns(&lt, "p0"), "p4", NULL, NULL);
	lt_reach(&lt, lt_pod_netns(&lt, "p0"), "p5", NULL, NULL);
	assert_int_equal(lt_ask(lt_pod_netns(&lt, "p0"), &gone, LT_PORT, IPPROTO_TCP, NULL), -EHOSTUNREACH);

	/* A Service that comes later brings its pod a port; the server that runs keeps running. */
	more.service = true;
	s = lt_snapshot(&more);
	assert_int_equal(lab_update(lt.lab, s, NULL), 0);
	assert_int_equal(lab_n_servers(lt.lab), 6);
	snapshot_unref(lt.s);
	lt.s = s;
	gone = lt_pod_addr(&lt, "p0", IP_V4);
	assert_int_equal(lt_ask(lt_pod_netns(&lt, "p4"), &gone, 8081, IPPROTO_TCP, NULL), 0);
	lt_reach(&lt, lt_pod_netns(&lt, "p4"), "p0", NULL, NULL);

	wrong = lt_snapshot(&other_nodes);
	assert_int_equal(lab_update(lt.lab, wrong, NULL), -EINVAL);
	snapshot_unref(wrong);
	lt_down(&lt);
	assert_int_equal(lt_left_over(name), 0);
}

/* ---- killed owners ---- */

/* Builds a lab over and over till it is killed. */
static void build_for_ever(const char *name, bool keep, int started_fd)
{
	struct lt lt;

	if (write(started_fd, "", 1) != 1)
		_exit(1);
	for (;;) {
		lt_up(&lt, name, &conf, keep);
		lt_down(&lt);
	}
}

static void kill_once(const char *name, bool keep, uint64_t after_us)
{
	struct timespec ts = { .tv_nsec = (long)(after_us * 1000) };
	struct err e = {};
	int fd[2], status;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (!freopen("/dev/null", "w", stderr) || !freopen("/dev/null", "w", stdout))
			_exit(1);
		build_for_ever(name, keep, fd[1]);
	}
	assert_int_equal(read(fd[0], &byte, 1), 1);
	(void)nanosleep(&ts, NULL); /* the moment of death, not a condition */
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	(void)close(fd[0]);
	(void)close(fd[1]);
	/* A kept lab may have been complete at that moment: then it lives, and goes by its name. */
	if (lab_clean(NULL, NULL, &e) < 0 || (keep && lab_clean(name, NULL, &e) < 0))
		fail_msg("after %llu us: %s: %s", (unsigned long long)after_us, e.path, e.text);
	if (lt_left_over(name) != 0)
		fail_msg("killed after %llu us: something is left", (unsigned long long)after_us);
}

static void test_killed_owner(void **state)
{
	const char *seed = getenv("OFFKUBE_TEST_SEED");
	const char *rounds = getenv("OFFKUBE_TEST_ROUNDS");
	int n = rounds ? atoi(rounds) : 60;
	char name[LAB_NAME_MAX + 1];
	struct rng rng;

	(void)state;
	rng_seed(&rng, seed ? strtoull(seed, NULL, 10) : (uint64_t)getpid());
	printf("seed %llu\n", seed ? strtoull(seed, NULL, 10) : (unsigned long long)getpid());
	(void)fflush(stdout); /* children would write it again */
	lt_name("kill", name);
	for (int i = 0; i < n; i++)
		kill_once(name, i % 2, rng_below(&rng, 120000));
}

/* The servers die with their owner, before anybody cleans. */
static void test_servers_die_with_owner(void **state)
{
	char name[LAB_NAME_MAX + 1], command[256];
	uint64_t deadline;
	int fd[2], status;
	char byte;
	pid_t pid;

	(void)state;
	lt_name("die", name);
	assert_int_equal(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		struct lt lt;

		lt_up(&lt, name, &conf, false);
		if (write(fd[1], "", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	assert_int_equal(read(fd[0], &byte, 1), 1);
	(void)snprintf(command, sizeof(command), "test $(grep -c '\"pid\":' " LAB_STATE_DIR "/%s/state.json) -eq 4",
		       name);
	assert_int_equal(lt_run(-1, command), 0);
	/* Alive: each recorded pid has the process that the name says. */
	(void)snprintf(command, sizeof(command),
		       "for p in $(sed -n 's/.*\"pid\":\\([0-9]*\\).*/\\1/p' " LAB_STATE_DIR "/%s/state.json); do",
		       name);
	(void)strncat(command, " test -d /proc/$p && exit 0; done; exit 1", sizeof(command) - strlen(command) - 1);
	assert_int_equal(lt_run(-1, command), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	deadline = clock_now_ns(&clock_monotonic) + 60 * NSEC_PER_SEC;
	while (lt_run(-1, command) == 0) {
		assert_true(clock_now_ns(&clock_monotonic) < deadline);
		(void)poll(NULL, 0, 5);
	}
	(void)close(fd[0]);
	(void)close(fd[1]);
	assert_int_equal(lab_clean(name, NULL, NULL), 0);
	assert_int_equal(lt_left_over(name), 0);
}

/*
 * Rests without a state file, and a state file that is rubbish. (A clean of another test may be faster: that is
 * fine.)
 */
static void test_rests_are_found(void **state)
{
	char name[LAB_NAME_MAX + 1], command[256];

	(void)state;
	lt_name("rest", name);
	(void)snprintf(command, sizeof(command),
		       "mkdir -p " LAB_STATE_DIR "/%s && echo '{' > " LAB_STATE_DIR
		       "/%s/state.json && ip netns add okl.%s.pod.3",
		       name, name, name);
	assert_int_equal(lt_run(-1, command), 0);
	assert_int_equal(lab_clean(NULL, NULL, NULL), 0);
	assert_int_equal(lt_left_over(name), 0);
	(void)snprintf(command, sizeof(command), "ip netns add okl.%s.tor", name);
	assert_int_equal(lt_run(-1, command), 0);
	assert_int_equal(lab_clean(name, NULL, NULL), 0);
	assert_int_equal(lt_left_over(name), 0);
}

/* A recorded pid that is another process by now is left alone. */
static void test_reused_pid(void **state)
{
	char name[LAB_NAME_MAX + 1], command[512];
	int status;
	pid_t pid;

	(void)state;
	lt_name("pid", name);
	pid = fork();
	if (pid == 0)
		for (;;)
			(void)pause();
	(void)snprintf(
		command, sizeof(command),
		"mkdir -p " LAB_STATE_DIR
		"/%s && printf '{\"name\":\"%s\",\"boot\":\"%%s\",\"keep\":true,\"owner\":0,\"servers\":"
		"[{\"pid\":%d,\"start\":1,\"pod\":\"t/x\",\"ports\":[]}]}' $(cat /proc/sys/kernel/random/boot_id) > " LAB_STATE_DIR
		"/%s/state.json",
		name, name, pid, name);
	assert_int_equal(lt_run(-1, command), 0);
	assert_int_equal(lab_clean(name, NULL, NULL), 0);
	assert_int_equal(lt_left_over(name), 0);
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0); /* lives */
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_at_once),	cmocka_unit_test(test_name_in_use),
		cmocka_unit_test(test_bad_conf),	cmocka_unit_test(test_kept),
		cmocka_unit_test(test_update),		cmocka_unit_test(test_servers_die_with_owner),
		cmocka_unit_test(test_rests_are_found), cmocka_unit_test(test_reused_pid),
		cmocka_unit_test(test_killed_owner),
	};

	lt_need_root();
	return cmocka_run_group_tests(tests, NULL, lt_clean_up);
}
