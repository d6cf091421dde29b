/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Network namespaces: made, entered, named. Called by lab/, and by whoever opens a socket inside one. */
#include "net/netns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/util.h"

#define SELF "/proc/thread-self/ns/net"
#define PATH_SIZE (sizeof(NETNS_DIR) + NETNS_NAME_MAX + 1)

static int name_path(const char *name, char buf[static PATH_SIZE], struct err *e)
{
	size_t len = strlen(name);

	if (!len || len >= NETNS_NAME_MAX || strchr(name, '/') || str_eq(name, ".") || str_eq(name, ".."))
		return err_set(e, -EINVAL, name, "this is no name for a network namespace");
	(void)snprintf(buf, PATH_SIZE, NETNS_DIR "/%s", name); /* fits: measured above */
	return 0;
}

static int loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	CLEANUP_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
		return -errno;
	ifr.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &ifr) < 0 ? -errno : 0;
}

/* Mounts made here shall be seen in other mount namespaces, as iproute2 arranges it. */
static int share_dir(void)
{
	int r = mkdir_all(NETNS_DIR, 0755);

	if (r)
		return r;
	if (mount("", NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) == 0)
		return 0;
	if (errno != EINVAL)
		return -errno;
	/* Not a mount point yet. */
	if (mount(NETNS_DIR, NETNS_DIR, "none", MS_BIND | MS_REC, NULL) < 0)
		return -errno;
	return mount("", NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) < 0 ? -errno : 0;
}

/* Binds the namespace that the thread is in to `path`. */
static int bind_self(const char *path)
{
	CLEANUP_FD int fd = -1;
	int r;

	r = share_dir();
	if (r)
		return r;
	fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	r = mount(SELF, path, "none", MS_BIND, NULL) < 0 ? -errno : 0;
	if (r)
		(void)unlink(path); /* the first failure counts */
	return r;
}

int netns_open_self(int *ret_fd)
{
	int fd = open(SELF, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/* The thread moves to a new namespace, its lo up; *ret_old_fd is for netns_leave(). */
static int enter_new(int *ret_old_fd, struct err *e)
{
	CLEANUP_FD int old = -1;
	int r = netns_open_self(&old);

	if (r)
		return err_set_errno(e, r, SELF, "cannot be opened");
	if (unshare(CLONE_NEWNET) < 0)
		return err_set_errno(e, -errno, NULL, "cannot make a network namespace");
	r = loopback_up();
	if (r) {
		netns_leave(TAKE_FD(old));
		return err_set_errno(e, r, "lo", "cannot be brought up in a new network namespace");
	}
	*ret_old_fd = TAKE_FD(old);
	return 0;
}

int netns_create(const char *name, struct err *e)
{
	char path[PATH_SIZE];
	int old = -1;
	int r;

	r = name_path(name, path, e);
	if (r)
		return r;
	r = enter_new(&old, e);
	if (r)
		return r;
	r = bind_self(path);
	netns_leave(old);
	return r ? err_set_errno(e, r, path, "cannot make the network namespace") : 0;
}

int netns_create_anonymous(int *ret_fd, struct err *e)
{
	int old = -1;
	int r;

	r = enter_new(&old, e);
	if (r)
		return r;
	r = netns_open_self(ret_fd);
	netns_leave(old);
	return r ? err_set_errno(e, r, SELF, "cannot be opened") : 0;
}

int netns_delete(const char *name, struct err *e)
{
	char path[PATH_SIZE];
	int r;

	r = name_path(name, path, e);
	if (r)
		return r;
	/* EINVAL: a name that a killed process left without its mount. */
	if (umount2(path, MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
		return err_set_errno(e, -errno, path, "cannot be unmounted");
	if (unlink(path) < 0 && errno != ENOENT)
		return err_set_errno(e, -errno, path, "cannot be removed");
	return 0;
}

int netns_open(const char *name, int *ret_fd, struct err *e)
{
	CLEANUP_FD int fd = -1;
	char path[PATH_SIZE];
	struct statfs fs;
	int r;

	r = name_path(name, path, e);
	if (r)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set_errno(e, -errno, path, "cannot be opened");
	if (fstatfs(fd, &fs) < 0)
		return err_set_errno(e, -errno, path, "cannot be read");
	if (fs.f_type != NSFS_MAGIC)
		return err_set(e, -ENOENT, path, "is a left-over name, no network namespace stands behind it");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int netns_enter(int netns_fd, int *ret_old_fd)
{
	CLEANUP_FD int old = -1;
	int r;

	if (netns_fd < 0) {
		*ret_old_fd = -1;
		return 0;
	}
	r = netns_open_self(&old);
	if (r)
		return r;
	if (setns(netns_fd, CLONE_NEWNET) < 0)
		return -errno;
	*ret_old_fd = TAKE_FD(old);
	return 0;
}

void netns_leave(int old_fd)
{
	int saved = errno;

	if (old_fd < 0)
		return;
	/* To go on in the wrong namespace would touch what is not ours. */
	if (setns(old_fd, CLONE_NEWNET) < 0)
		abort();
	(void)close(old_fd); /* only a handle */
	errno = saved;
}

int netns_socket(int netns_fd, int domain, int type, int protocol)
{
	int old = -1;
	int fd, r;

	r = netns_enter(netns_fd, &old);
	if (r)
		return r;
	fd = socket(domain, type | SOCK_CLOEXEC, protocol);
	r = fd < 0 ? -errno : fd;
	netns_leave(old);
	return r;
}

static void free_names(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

int netns_list(const char *prefix, char ***ret_names, size_t *ret_n)
{
	struct dirent **entries = NULL;
	char **names;
	size_t n_names = 0;
	int n, r = 0;

	n = scandir(NETNS_DIR, &entries, NULL, alphasort);
	if (n < 0 && errno != ENOENT)
		return -errno;
	n = MAX(n, 0);
	names = calloc((size_t)n + 1, sizeof(*names));
	if (!names)
		r = -ENOMEM;
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;

		if (!r && name[0] != '.' && strncmp(name, prefix, strlen(prefix)) == 0) {
			names[n_names] = strdup(name);
			r = names[n_names] ? 0 : -ENOMEM;
			n_names += !r;
		}
		free(entries[i]);
	}
	free(entries);
	if (r) {
		free_names(names, n_names);
		return r;
	}
	*ret_names = names;
	*ret_n = n_names;
	return 0;
}
