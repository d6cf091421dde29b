/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A node for tests of target bpf-sock (bpf_node.h). */
#include "bpf_node.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "net/cgroup.h"
#include "net/netns.h"
#include "target/bpf/sock.h"

extern const struct target_ops target_bpf_sock;

int bpf_node_need(void **state)
{
	const struct target_env env = { .node = WORLD_NODE, .netns_fd = -1, .cgroup_fd = -1, .clock = &clock_monotonic };
	struct target_probe probe = {};
	struct err e = {};

	(void)state;
	if (geteuid() == 0 && target_bpf_sock.probe(&env, &probe, &e) == 0 && probe.usable)
		return 0;
	printf("SKIP: bpf-sock does not run here: %s\n", geteuid()	 ? "needs root" :
							 probe.detail[0] ? probe.detail :
									   e.text);
	exit(77);
}

struct target_env bpf_node_env(const struct bpf_node *n)
{
	return (struct target_env){
		.node = WORLD_NODE, .netns_fd = n->netns_fd, .cgroup_fd = n->cgroup_fd, .clock = &clock_monotonic
	};
}

void *bpf_node_open(const struct bpf_node *n)
{
	const struct target_env env = bpf_node_env(n);
	void *handle = NULL;
	struct err e = {};

	if (target_bpf_sock.open(&env, &handle, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	return handle;
}

/* Labs of this process make more than one. */
static void make_cgroup(struct bpf_node *n)
{
	CLEANUP_FREE char *mount_point = NULL;
	int i = 0;

	assert_int_equal(cgroup2_mount(&mount_point), 0);
	do
		(void)snprintf(n->cgroup, sizeof(n->cgroup), "%s/okt-bpf-%d-%d", mount_point, (int)getpid(), i++);
	while (mkdir(n->cgroup, 0755) < 0 && errno == EEXIST);
	n->cgroup_fd = open(n->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(n->cgroup_fd >= 0);
}

struct bpf_node *bpf_node_new(void)
{
	struct bpf_node *n = calloc(1, sizeof(*n));
	struct err e = {};

	assert_non_null(n);
	make_cgroup(n);
	assert_int_equal(netns_create_anonymous(&n->netns_fd, &e), 0);
	n->handle = bpf_node_open(n);
	return n;
}

void bpf_node_free(struct bpf_node *n)
{
	struct err e = {};

	if (n->handle && target_bpf_sock.remove(n->handle, &e) < 0)
		print_error("%s: %s\n", e.path, e.text);
	target_bpf_sock.close(n->handle);
	(void)close(n->cgroup_fd);
	(void)close(n->netns_fd);
	(void)rmdir(n->cgroup); /* a test may have taken it away */
	free(n);
}

static struct target_program *compile(const struct bpf_node *n, const struct snapshot *from, const struct snapshot *to)
{
	const struct target_input in = {
		.from = from, .to = to, .node = WORLD_NODE, .with_services = true, .host_sockets_only = n->host_only
	};
	struct target_program *p = NULL;
	struct err e = {};

	if (target_bpf_sock.compile(&in, &p, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	return p;
}

void bpf_node_apply(struct bpf_node *n, const struct snapshot *from, const struct snapshot *to)
{
	struct target_program *p = compile(n, from, to);
	int r;

	n->stats = (struct target_stats){};
	r = target_bpf_sock.apply(n->handle, p, &n->stats, &n->e);
	target_bpf_sock.program_free(p);
	if (r < 0)
		fail_msg("%s: %s", n->e.path, n->e.text);
}

int bpf_node_verify(struct bpf_node *n, const struct snapshot *s)
{
	struct target_program *p = compile(n, NULL, s);
	int r;

	n->e = (struct err){};
	r = target_bpf_sock.verify(n->handle, p, &n->e);
	target_bpf_sock.program_free(p);
	return r;
}

int bpf_node_socket(const struct bpf_node *n, int family, int type)
{
	int fd = cgroup_socket(n->cgroup_fd, n->netns_fd, family, type, 0);

	assert_true(fd >= 0);
	return fd;
}

uint64_t bpf_node_metric(const struct bpf_node *n, enum reason r)
{
	CLEANUP_FD int fd = bpf_pins_open(n->cgroup_fd, "metrics");
	uint64_t v[REASON_MAX];

	assert_int_equal(bpf_metrics_read(fd, v), 0);
	return v[r];
}
