/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lab's cgroup v2 subtree: <root>/offkube.<lab>/<node>, wherever cgroup v2 is mounted. Called by lab.c and
 * clean.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/util.h"
#include "internal.h"

#define PATH_SIZE 1024
#define DELETE_DEADLINE_NS (10 * NSEC_PER_SEC)
#define RETRY_MS 2

static int make_node(struct lab *lab, struct lab_node *n, struct err *e)
{
	char path[PATH_SIZE];

	(void)snprintf(path, sizeof(path), "%s/%s", lab->cgroup, n->name);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_set_errno(e, -errno, path, "cannot make the node's cgroup");
	n->cgroup_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return n->cgroup_fd < 0 ? err_set_errno(e, -errno, path, "cannot open the node's cgroup") : 0;
}

int lab_cgroup_make(struct lab *lab, struct err *e)
{
	int r = 0;

	if (!lab->cgroup)
		return 0;
	if (mkdir(lab->cgroup, 0755) < 0 && errno != EEXIST) {
		if (errno != EROFS && errno != EACCES && errno != EPERM)
			return err_set_errno(e, -errno, lab->cgroup, "cannot make the lab's cgroup");
		return 0; /* cgroup v2 is there to look at only: the fds stay -1 */
	}
	for (size_t i = 0; !r && i < lab->nodes.n; i++)
		r = make_node(lab, &lab->nodes.v[i], e);
	return r;
}

/* The caller itself may have moved into the cgroup (a load generator does): out to the root with it. */
static void move_out(const char *path)
{
	const char *name = strstr(path, "/" LAB_CGROUP_PREFIX);
	char root[PATH_SIZE];
	CLEANUP_FD int fd = -1;

	if (!name)
		return;
	(void)snprintf(root, sizeof(root), "%.*s/cgroup.procs", (int)(name - path), path);
	fd = open(root, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "0", 1) != 1)
		return; /* rmdir will fail and tell */
}

static int kill_all(const char *path, struct err *e)
{
	char file[PATH_SIZE + 32];
	CLEANUP_FILE FILE *f = NULL;
	int pid, r = 0;

	(void)snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	f = fopen(file, "re");
	if (!f)
		return 0;
	while (!r && fscanf(f, "%d", &pid) == 1) {
		const struct lab_proc p = { pid, lab_proc_start(pid) };

		if (pid == getpid())
			move_out(path);
		else
			r = lab_proc_kill(&p, true, e);
	}
	return r;
}

static int remove_dir(const char *path, struct err *e)
{
	uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + DELETE_DEADLINE_NS;

	for (;;) {
		int r;

		if (rmdir(path) == 0 || errno == ENOENT)
			return 0;
		if (errno != EBUSY || clock_now_ns(&clock_monotonic) > deadline_ns)
			return err_set_errno(e, -errno, path, "cannot remove the cgroup");
		r = kill_all(path, e);
		if (r < 0)
			return r;
		(void)poll(NULL, 0, RETRY_MS); /* the last process is still being reaped */
	}
}

/* One level of folders below: nodes. */
int lab_cgroup_delete(const char *path, struct err *e)
{
	DIR *dir = opendir(path);
	const struct dirent *d;
	int r = 0;

	if (!dir)
		return errno == ENOENT ? 0 : err_set_errno(e, -errno, path, "cannot open the cgroup");
	while ((d = readdir(dir))) {
		char below[PATH_SIZE + 300];
		int ri;

		if (d->d_type != DT_DIR || d->d_name[0] == '.')
			continue;
		(void)snprintf(below, sizeof(below), "%s/%s", path, d->d_name);
		ri = lab_cgroup_delete(below, e);
		r = r ? r : ri;
	}
	(void)closedir(dir); /* only read */
	return r ? r : remove_dir(path, e);
}

int lab_cgroup_list(const char *root, char ***ret, size_t *ret_n)
{
	VEC(char *) names = {};
	DIR *dir = opendir(root);
	const struct dirent *d;
	int r = 0;

	if (!dir)
		return -errno;
	while (!r && (d = readdir(dir))) {
		char *name;

		if (strncmp(d->d_name, LAB_CGROUP_PREFIX, strlen(LAB_CGROUP_PREFIX)) != 0)
			continue;
		name = strdup(d->d_name + strlen(LAB_CGROUP_PREFIX));
		r = name ? vec_push(&names, name) : -ENOMEM;
		if (r < 0)
			free(name);
	}
	(void)closedir(dir); /* only read */
	if (r < 0) {
		for (size_t i = 0; i < names.n; i++)
			free(names.v[i]);
		vec_free(&names);
		return r;
	}
	*ret = names.v;
	*ret_n = names.n;
	return 0;
}
