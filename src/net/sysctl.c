/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernel settings of a network namespace. Called by target/host and lab/. /proc/sys/net shows the namespace of the
 * reading thread.
 */
#include "net/sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "net/netns.h"

#define PATH_SIZE 256

/* fd or -errno, err filled. */
static int open_sysctl(const char *name, int flags, struct err *e)
{
	char path[PATH_SIZE];
	int fd;

	if (!*name || *name == '/' || strstr(name, "..") || strlen(name) + sizeof("/proc/sys/") > sizeof(path))
		return err_set(e, -EINVAL, name, "this is no name of a sysctl");
	(void)snprintf(path, sizeof(path), "/proc/sys/%s", name); /* fits: measured above */
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? err_set_errno(e, -errno, name, "the sysctl cannot be opened") : fd;
}

static int read_here(const char *name, char *buf, size_t buf_size, struct err *e)
{
	CLEANUP_FD int fd = open_sysctl(name, O_RDONLY, e);
	ssize_t n;

	if (fd < 0)
		return fd;
	do {
		n = read(fd, buf, buf_size);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set_errno(e, -errno, name, "the sysctl cannot be read");
	if ((size_t)n == buf_size)
		return err_set(e, -ENOSPC, name, "the value of the sysctl is longer than %zu bytes", buf_size - 1);
	while (n > 0 && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return 0;
}

static int write_here(const char *name, const char *value, struct err *e)
{
	CLEANUP_FD int fd = open_sysctl(name, O_WRONLY, e);
	size_t size = strlen(value);
	ssize_t n;

	if (fd < 0)
		return fd;
	do {
		n = write(fd, value, size);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set_errno(e, -errno, name, "\"%s\" cannot be written to the sysctl", value);
	if ((size_t)n != size)
		return err_set(e, -EIO, name, "the sysctl took only a part of \"%s\"", value);
	return 0;
}

int sysctl_read(int netns_fd, const char *name, char *buf, size_t buf_size, struct err *e)
{
	int old = -1;
	int r = netns_enter(netns_fd, &old);

	if (r)
		return err_set_errno(e, r, name, "cannot enter the network namespace");
	r = read_here(name, buf, buf_size, e);
	netns_leave(old);
	return r;
}

int sysctl_write(int netns_fd, const char *name, const char *value, struct err *e)
{
	int old = -1;
	int r = netns_enter(netns_fd, &old);

	if (r)
		return err_set_errno(e, r, name, "cannot enter the network namespace");
	r = write_here(name, value, e);
	netns_leave(old);
	return r;
}
