/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Target "bpf-sock": Services at the sockets of a node's processes. This file is its entry: the handle, probe() and the members of target_ops. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "net/cgroup.h"
#include "sock.h"

extern const struct target_ops target_bpf_sock;

void bpf_sock_close(void *handle)
{
	struct sock *h = handle;

	if (!h)
		return;
	kernel_forget(h);
	pinned_close(h);
	cleanup_fd(&h->cgroup_fd);
	cleanup_fd(&h->netns_fd);
	snapshot_unref(h->snapshot);
	free(h->node);
	free(h);
}
DEFINE_CLEANUP(struct sock *, bpf_sock_close);

/* The node's cgroup, or the root of all. CLOEXEC fd. */
static int open_cgroup(int given)
{
	CLEANUP_FREE char *path = NULL;
	int fd, r;

	if (given >= 0) {
		fd = fcntl(given, F_DUPFD_CLOEXEC, 0);
		return fd < 0 ? -errno : fd;
	}
	r = cgroup2_mount(&path);
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int fill_handle(struct sock *h, const struct target_env *env)
{
	struct stat st;

	h->node = strdup(env->node ? env->node : "");
	if (!h->node)
		return -ENOMEM;
	h->cgroup_fd = open_cgroup(env->cgroup_fd);
	if (h->cgroup_fd < 0)
		return h->cgroup_fd;
	if (env->netns_fd >= 0) {
		h->netns_fd = fcntl(env->netns_fd, F_DUPFD_CLOEXEC, 0);
		if (h->netns_fd < 0)
			return -errno;
	}
	if (fstat(h->cgroup_fd, &st) < 0)
		return -errno;
	h->cgroup_id = st.st_ino; /* of cgroup v2 */
	h->pod_netns = env->pod_netns;
	h->pod_netns_arg = env->pod_netns_arg;
	(void)snprintf(h->dir, sizeof(h->dir), "%s/%llu-v%d", BPF_ROOT, (unsigned long long)h->cgroup_id,
		       BPF_ABI_VERSION);
	return 0;
}

int bpf_sock_open(const struct target_env *env, void **ret_handle, struct err *e)
{
	CLEANUP(bpf_sock_closep) struct sock *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	h->cgroup_fd = h->netns_fd = -1;
	for (int i = 0; i < MAP_MAX; i++)
		h->map_fd[i] = -1;
	for (int i = 0; i < HOOK_MAX; i++)
		h->link_fd[i] = -1;
	r = fill_handle(h, env);
	if (r < 0)
		return err_set_errno(e, r, env->node, "cannot open the node's cgroup (v2)");
	r = kernel_adopt(h, e);
	if (r < 0)
		return r;
	*ret_handle = TAKE_PTR(h);
	return 0;
}

static int refuse(struct target_probe *ret, enum refusal why, const char *fmt, const char *detail)
{
	*ret = (struct target_probe){ .why = why };
	(void)snprintf(ret->detail, sizeof(ret->detail), fmt, detail);
	return 0;
}

int bpf_sock_probe(const struct target_env *env, struct target_probe *ret, struct err *e)
{
	CLEANUP_FD int cgroup_fd = open_cgroup(env->cgroup_fd);
	struct err why = {};
	int r;

	(void)e;
	if (cgroup_fd < 0)
		return refuse(ret, REFUSAL_KERNEL_FEATURE, "cgroup v2 is not mounted: %s", strerror(-cgroup_fd));
	if (access(BPF_FS, F_OK) < 0)
		return refuse(ret, REFUSAL_KERNEL_FEATURE, "%s is not there (CONFIG_BPF_SYSCALL)", BPF_FS);
	r = kernel_try_load(&why);
	if (r == 0 && pinned_try_load() < 0)
		return refuse(ret, REFUSAL_KERNEL_FEATURE, "the iterator over socket storage does not load: %s",
			      "CONFIG_DEBUG_INFO_BTF is needed");
	if (r == -EPERM || r == -EACCES)
		return refuse(ret, REFUSAL_NO_PRIVILEGE, "CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN are needed: %s",
			      why.text);
	if (r < 0)
		return refuse(ret, REFUSAL_KERNEL_FEATURE, "kernel 6.1 with CONFIG_CGROUP_BPF is needed: %s", why.text);
	*ret = (struct target_probe){ .usable = true };
	return 0;
}

int bpf_sock_remove(void *handle, struct err *e)
{
	struct sock *h = handle;
	CLEANUP_FD int lock = -1;
	struct stat st;
	int r;

	if (stat(BPF_ROOT, &st) < 0 && errno == ENOENT)
		return 0; /* also when bpffs was never mounted */
	lock = kernel_lock(e);
	if (lock < 0)
		return lock;
	kernel_sweep();
	r = kernel_remove(h, e);
	snapshot_unref(h->snapshot);
	h->snapshot = NULL;
	return r;
}

static int bpf_sock_sweep(struct err *e)
{
	CLEANUP_FD int lock = -1;

	if (access(BPF_ROOT, F_OK) < 0)
		return 0;
	lock = kernel_lock(e);
	if (lock < 0)
		return lock == -EPERM || lock == -EACCES ? 0 : lock; /* not ours to look at, so not ours to clean */
	kernel_sweep();
	(void)rmdir(BPF_ROOT); /* mostly not empty */
	return 0;
}

const struct target_ops target_bpf_sock = {
	.name = "bpf-sock",
	.text = "Services at connect() and sendmsg(), by BPF programs on the node's cgroup",
	.functions = 1u << FUNC_SERVICE_LB,
	.complete = false,
	.at_sockets = true,
	.probe = bpf_sock_probe,
	.check = bpf_sock_check,
	.compile = bpf_sock_compile,
	.program_free = bpf_sock_program_free,
	.program_print = bpf_sock_program_print,
	.open = bpf_sock_open,
	.close = bpf_sock_close,
	.apply = bpf_sock_apply,
	.verify = bpf_sock_verify,
	.remove = bpf_sock_remove,
	.sweep = bpf_sock_sweep,
	.dump = bpf_sock_dump,
	.counters = bpf_sock_counters,
};
