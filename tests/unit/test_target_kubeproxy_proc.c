/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Process groups whose leader has died: whom proc_end_group() ends, and whom it lets be. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "target/kubeproxy/proc.h"

#define END_MS 10000

struct group {
	pid_t leader, member;
	uint64_t start;
};

/* The member runs a program, with the group's word in its environment when `word`; it ends with the test at the latest. */
static _Noreturn void member(pid_t leader, uint64_t start, bool word, int out)
{
	char *argv[] = { "sleep", "600", NULL };
	char *env[] = { word ? str_printf(PROC_GROUP_ENV "=%d.%llu", (int)leader, (unsigned long long)start) : NULL,
			NULL };
	pid_t self = getpid();

	if (write(out, &self, sizeof(self)) != sizeof(self))
		_exit(1);
	(void)execve("/bin/sleep", argv, env); /* closes `out` */
	_exit(1);
}

/* The leader starts the member and ends; it is not buried. */
static struct group group_new(bool word)
{
	struct group g = {};
	int fds[2];
	char end;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	g.leader = fork();
	assert_true(g.leader >= 0);
	if (g.leader == 0) {
		uint64_t start = proc_start(getpid());
		pid_t self = getpid();

		if (setpgid(0, 0) < 0 || write(fds[1], &start, sizeof(start)) != sizeof(start))
			_exit(1);
		if (fork() == 0)
			member(self, start, word, fds[1]);
		_exit(0);
	}
	(void)close(fds[1]);
	assert_int_equal(read(fds[0], &g.start, sizeof(g.start)), sizeof(g.start));
	assert_int_equal(read(fds[0], &g.member, sizeof(g.member)), sizeof(g.member));
	assert_int_equal(read(fds[0], &end, 1), 0); /* it runs its program */
	(void)close(fds[0]);
	assert_true(proc_start(g.member) > 0);
	return g;
}

static void bury(pid_t pid)
{
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void end_member(const struct group *g)
{
	assert_int_equal(kill(g->member, SIGKILL), 0);
	bury(g->member);
}

static void test_unburied_leader(void **state)
{
	struct group g = group_new(false);

	(void)state;
	assert_int_equal(proc_end_group(g.leader, g.start + 1, END_MS), 0); /* another's */
	assert_true(proc_start(g.member) > 0);
	assert_int_equal(proc_end_group(g.leader, g.start, END_MS), 0);
	assert_int_equal(proc_start(g.member), 0);
	bury(g.member);
	bury(g.leader);
	assert_int_equal(proc_end_group(g.leader, g.start, END_MS), 0); /* nobody is there */
}

static void test_buried_leader(void **state)
{
	struct group g = group_new(true);

	(void)state;
	bury(g.leader);
	assert_int_equal(proc_end_group(g.leader, g.start + 1, END_MS), 0);
	assert_true(proc_start(g.member) > 0);
	assert_int_equal(proc_end_group(g.leader, g.start, END_MS), 0);
	assert_int_equal(proc_start(g.member), 0);
	bury(g.member);
}

/* Somebody else's group has got the number. */
static void test_no_word(void **state)
{
	struct group g = group_new(false);

	(void)state;
	bury(g.leader);
	assert_int_equal(proc_end_group(g.leader, g.start, END_MS), 0);
	assert_true(proc_start(g.member) > 0);
	end_member(&g);
}

static void test_never(void **state)
{
	(void)state;
	assert_int_equal(proc_end_group(getpgrp(), proc_start(getpgrp()), END_MS), 0); /* we live */
	assert_int_equal(proc_end_group(1, proc_start(1), END_MS), 0);
	assert_int_equal(proc_end_group(0, 1, END_MS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unburied_leader),
		cmocka_unit_test(test_buried_leader),
		cmocka_unit_test(test_no_word),
		cmocka_unit_test(test_never),
	};

	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) /* members whose leader has ended become ours to bury */
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
