/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cgroup of a trace at the sockets: a name that is taken, and what a cleanup may take. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "lab/lab.h"
#include "net/cgroup.h"
#include "trace/trace.h"

extern const struct target_ops target_bpf_sock;

static struct snapshot *make_snapshot(void)
{
	struct node fill = { .name = "node-a" };
	struct snapshot_edit *ed = NULL;
	struct snapshot *s = NULL;
	struct node *n = NULL;

	assert_int_equal(ip_addr_parse("172.18.0.1", &fill.addr[IP_V4]), 0);
	assert_int_equal(ip_prefix_parse("10.1.0.0/16", &fill.pod_cidr[IP_V4]), 0);
	assert_int_equal(snapshot_edit_new(NULL, &ed), 0);
	assert_int_equal(node_new(&fill, &n, NULL), 0);
	assert_int_equal(snapshot_edit_put_node(ed, n, NULL), 0);
	node_unref(n);
	assert_int_equal(snapshot_edit_commit(ed, &s), 0);
	return s;
}

static char *path_of(const char *format, int pid)
{
	CLEANUP_FREE char *root = NULL;
	char name[64];

	assert_int_equal(cgroup2_mount(&root), 0);
	(void)snprintf(name, sizeof(name), format, pid);
	return str_printf("%s/offkube.%s", root, name);
}

static bool is_there(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

static int cleanup_of(const char *format, int pid, size_t *ret_n)
{
	struct err e = {};
	char name[64];

	(void)snprintf(name, sizeof(name), format, pid);
	return lab_clean(name, ret_n, &e);
}

static struct snapshot *snapshot;

static int open_call(struct trace_runner **ret)
{
	struct err e = {};
	int r = trace_call_open(&target_bpf_sock, snapshot, "node-a", ret, NULL, &e);

	if (r < 0)
		fprintf(stderr, "%s: %s\n", e.path, e.text);
	return r;
}

/* Two at once, and one that finds its name taken: none takes the cgroup of another. */
static void test_taken(void **state)
{
	CLEANUP_FREE char *first = path_of("trace-%d", getpid());
	CLEANUP_FREE char *second = path_of("trace-%d-1", getpid());
	CLEANUP_FREE char *third = path_of("trace-%d-2", getpid());
	struct trace_runner *a = NULL, *b = NULL;
	bool kept, made, spared, gone;
	int r;

	(void)state;
	assert_int_equal(mkdir(first, 0755), 0);
	r = open_call(&a);
	if (r == 0)
		r = open_call(&b);
	made = is_there(second) && is_there(third);
	spared = cleanup_of("trace-%d-1", getpid(), NULL) == -EBUSY && is_there(second);
	trace_close(b);
	gone = !is_there(third) && is_there(second);
	trace_close(a);
	gone = gone && !is_there(second);
	kept = is_there(first);
	(void)rmdir(first);
	assert_int_equal(r, 0);
	assert_true(made);
	assert_true(spared);
	assert_true(gone);
	assert_true(kept);
}

/* What a dead one left is swept, under either name. */
static void test_dead(void **state)
{
	static const char *const format[] = { "trace-%d", "trace-%d-99" };
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	for (size_t i = 0; i < 2; i++) {
		CLEANUP_FREE char *path = path_of(format[i], pid);
		size_t n = 0;
		int r;

		assert_int_equal(mkdir(path, 0755), 0);
		r = cleanup_of(format[i], pid, &n);
		(void)rmdir(path);
		assert_int_equal(r, 0);
		assert_int_equal(n, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_dead),
	};
	struct trace_runner *probe = NULL;
	int r;

	snapshot = make_snapshot();
	r = open_call(&probe);
	trace_close(probe);
	if (r == -EPERM || r == -EOPNOTSUPP) {
		printf("SKIP: needs root, a cgroup v2 and BPF\n");
		snapshot_unref(snapshot);
		return 77;
	}
	r = cmocka_run_group_tests(tests, NULL, NULL);
	snapshot_unref(snapshot);
	return r;
}
