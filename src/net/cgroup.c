/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cgroup v2: where it is, and sockets that belong to one. Called by lab/, target/bpf and whoever asks as a pod would. */
#include "net/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "net/netns.h"

#define PATH_SIZE 1024

int cgroup2_mount(char **ret)
{
	CLEANUP_FILE FILE *f = fopen("/proc/self/mountinfo", "re");
	CLEANUP_FREE char *line = NULL;
	size_t cap = 0;

	if (!f)
		return -errno;
	/* 31 23 0:28 /root /mount/point options ... - type source options */
	while (getline(&line, &cap, f) > 0) {
		char root[PATH_SIZE], point[PATH_SIZE];
		const char *type = strstr(line, " - ");

		if (!type || strncmp(type + 3, "cgroup2 ", 8) != 0 ||
		    sscanf(line, "%*s %*s %*s %1023s %1023s", root, point) != 2)
			continue;
		if (strchr(point, '\\'))
			continue; /* a mount point with a space in it: not for us */
		*ret = strdup(point);
		return *ret ? 0 : -ENOMEM;
	}
	return -ENOENT;
}

int cgroup_enter(int cgroup_fd)
{
	CLEANUP_FD int fd = -1;

	if (cgroup_fd < 0)
		return 0;
	fd = openat(cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, "0", 1) != 1 ? -errno : 0;
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

int cgroup_socket(int cgroup_fd, int netns_fd, int domain, int type, int protocol)
{
	struct clone_args args = {
		.flags = CLONE_FILES | CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)cgroup_fd,
	};
	int *made, fd;
	pid_t pid;
	int r;

	if (cgroup_fd < 0)
		return netns_socket(netns_fd, domain, type, protocol);
	made = mmap(NULL, sizeof(*made), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (made == MAP_FAILED)
		return -errno;
	*made = -ECHILD;
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		*made = netns_socket(netns_fd, domain, type, protocol);
		_exit(0);
	}
	r = pid < 0 ? -errno : wait_for(pid);
	fd = *made;
	(void)munmap(made, sizeof(*made)); /* ours, mapped above */
	return r < 0 ? r : fd;
}
