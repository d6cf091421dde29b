/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Programs of others in pods: they listen when started, die with the lab or its owner, and their last words are told. */
#include "labtest.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"

#define PYTHON "/usr/bin/python3"

static const struct lt_conf conf = { .n_nodes = 2, .n_pods = 2 };

/* Listens on 18080 and 18081 of both families. */
static const char *const listener[] = {
	PYTHON, "-c",
	"import socket, signal\n"
	"s = [socket.create_server(('::', p), family=socket.AF_INET6, dualstack_ipv6=True) for p in (18080, 18081)]\n"
	"signal.pause()\n",
	NULL
};
static const char *const talker[] = { PYTHON, "-c",
				      "import sys\n"
				      "print('x' * 100000)\n" /* more than is kept */
				      "sys.exit(1)\n",
				      NULL };
static const char *const complains[] = { PYTHON, "-c",
					 "import sys; print('one', flush=True); sys.exit('the port is taken')", NULL };
static const char *const absent[] = { "/nonexistent/server", NULL };

static int start(struct lab *lab, const char *const *argv, uint16_t port, struct err *e)
{
	const struct lab_program p = { .ns = "t", .pod = "p1", .argv = argv, .tcp_ports = { port, port ? 18081 : 0 } };

	return lab_start_programs(lab, &p, 1, e);
}

/* A connection from inside the pod. */
static int connects(const struct lt *lt, const char *pod, const char *to)
{
	char command[300];

	(void)snprintf(command, sizeof(command),
		       PYTHON " -c 'import socket; socket.create_connection((\"%s\", 18080), 3)' 2>/dev/null", to);
	return lt_run(lt_pod_netns(lt, pod), command);
}

static void test_listens(void **state)
{
	CLEANUP_FREE char *folder = NULL;
	char name[LAB_NAME_MAX + 1], file[600];
	struct err e = {};
	struct stat st;
	struct lt lt;
	FILE *f;

	(void)state;
	lt_up(&lt, lt_name("prog", name), &conf, false);
	if (start(lt.lab, listener, 18080, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	assert_int_equal(connects(&lt, "p1", "127.0.0.1"), 0);
	assert_int_equal(connects(&lt, "p1", "::1"), 0);
	assert_int_not_equal(connects(&lt, "p0", "127.0.0.1"), 0); /* in its pod, and nowhere else */
	assert_int_equal(lab_check_programs(lt.lab, NULL), 0);
	assert_int_equal(lab_folder(lt.lab, &folder, NULL), 0);
	(void)snprintf(file, sizeof(file), "%s/below", folder);
	assert_int_equal(mkdir(file, 0755), 0);
	(void)snprintf(file, sizeof(file), "%s/below/file", folder);
	f = fopen(file, "we");
	assert_non_null(f);
	assert_int_equal(fclose(f), 0);
	lt_down(&lt);
	assert_int_equal(lt_left_over(name), 0);
	assert_int_equal(stat(folder, &st), -1);
}

static void test_last_words(void **state)
{
	char name[LAB_NAME_MAX + 1];
	struct err e = {};
	struct lt lt;

	(void)state;
	lt_up(&lt, lt_name("words", name), &conf, false);
	assert_int_equal(start(lt.lab, complains, 18080, &e), -ECHILD);
	assert_non_null(strstr(e.path, "python3 in t/p1"));
	assert_non_null(strstr(e.text, "the port is taken"));
	lt_down(&lt);

	lt_up(&lt, lt_name("words", name), &conf, false);
	e = (struct err){};
	assert_int_equal(start(lt.lab, absent, 18080, &e), -ECHILD);
	assert_non_null(strstr(e.text, "/nonexistent/server: No such file or directory"));
	lt_down(&lt);

	lt_up(&lt, lt_name("words", name), &conf, false);
	e = (struct err){};
	assert_int_equal(start(lt.lab, talker, 18080, &e), -ECHILD);
	assert_int_equal(lab_check_programs(lt.lab, &e), -ECHILD);
	lt_down(&lt);
	assert_int_equal(lt_left_over(name), 0);
}

static void test_unknown_pod(void **state)
{
	const struct lab_program p = { .ns = "t", .pod = "nobody", .argv = listener };
	char name[LAB_NAME_MAX + 1];
	struct err e = {};
	struct lt lt;

	(void)state;
	lt_up_bare(&lt, lt_name("nopod", name), &conf, false);
	assert_int_equal(lab_start_programs(lt.lab, &p, 1, &e), -ENOENT);
	assert_string_equal(e.path, "nobody");
	lt_down(&lt);
}

static void test_not_in_kept(void **state)
{
	char name[LAB_NAME_MAX + 1];
	struct err e = {};
	struct lt lt;

	(void)state;
	lt_up(&lt, lt_name("kept", name), &conf, true);
	assert_int_equal(start(lt.lab, listener, 18080, &e), -EINVAL);
	lt_down(&lt);
	assert_int_equal(lt_left_over(name), 0);
}

/* kill -9 of the owner: the program is gone with it, and cleaning leaves nothing. */
static void test_owner_killed(void **state)
{
	char name[LAB_NAME_MAX + 1], byte = 0;
	int ready[2];
	pid_t owner;

	(void)state;
	(void)lt_name("orphan", name);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	owner = fork();
	assert_true(owner >= 0);
	if (owner == 0) {
		struct lt lt;

		lt_up(&lt, name, &conf, false);
		byte = start(lt.lab, listener, 18080, NULL) == 0;
		(void)!write(ready[1], &byte, 1);
		for (;;)
			(void)pause();
	}
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	assert_int_equal(byte, 1);
	assert_int_equal(kill(owner, SIGKILL), 0);
	assert_int_equal(waitpid(owner, NULL, 0), owner);
	assert_int_equal(lab_clean(name, NULL, NULL), 0);
	assert_int_equal(lt_left_over(name), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listens),	     cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_unknown_pod),  cmocka_unit_test(test_not_in_kept),
		cmocka_unit_test(test_owner_killed),
	};

	lt_need_root();
	return cmocka_run_group_tests(tests, NULL, lt_clean_up);
}
