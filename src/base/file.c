/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whole files: read with a bound, written so that a reader sees the old or the new one. Called by source/, report/
 * and app/.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "base/util.h"

/* At least one byte more than asked for is read, so that a file of max_size bytes is told from a longer one. */
static int read_fd(int fd, size_t max_size, char **ret_buf, size_t *ret_size)
{
	CLEANUP_FREE char *buf = NULL;
	size_t cap = 0, size = 0;
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
		if ((uint64_t)st.st_size > max_size)
			return -EFBIG;
		cap = (size_t)st.st_size;
	}
	for (;;) {
		ssize_t n;

		if (!buf || size == cap) {
			size_t want = !buf ? MAX(cap, (size_t)4096) : cap * 2;
			char *grown = realloc(buf, want + 1);

			if (!grown)
				return -ENOMEM;
			buf = grown;
			cap = want;
		}
		n = read(fd, buf + size, cap - size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		size += (size_t)n;
		if (size > max_size)
			return -EFBIG;
	}
	buf[size] = '\0';
	*ret_size = size;
	*ret_buf = TAKE_PTR(buf);
	return 0;
}

int read_file(const char *path, size_t max_size, char **ret_buf, size_t *ret_size)
{
	CLEANUP_FD int fd = -1;

	if (strcmp(path, "-") == 0)
		return read_fd(STDIN_FILENO, max_size, ret_buf, ret_size);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return read_fd(fd, max_size, ret_buf, ret_size);
}

static int write_all(int fd, const char *p, size_t size)
{
	while (size) {
		ssize_t n = write(fd, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

/* What open(2) with 0666 would have given; mkostemp always gives 0600. The mask can only be read by setting it. */
static int publish_mode(int fd)
{
	mode_t mask = umask(077);

	(void)umask(mask); /* cannot fail */
	return fchmod(fd, 0666 & ~mask) < 0 ? -errno : 0;
}

static int write_and_rename(int fd, const char *tmp, const char *path, const void *data, size_t size)
{
	int r = write_all(fd, data, size);

	if (!r)
		r = publish_mode(fd);
	if (!r && fsync(fd) < 0 && errno != EINVAL && errno != EROFS)
		r = -errno;
	if (close(fd) < 0 && !r)
		r = -errno;
	if (!r && rename(tmp, path) < 0)
		r = -errno;
	return r;
}

int write_file_atomic(const char *path, const void *data, size_t size)
{
	CLEANUP_FREE char *tmp = str_printf("%s.XXXXXX", path);
	int fd, r;

	if (!tmp)
		return -ENOMEM;
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = write_and_rename(fd, tmp, path, data, size);
	if (r)
		(void)unlink(tmp); /* the first failure counts */
	return r;
}

static int make_dir(const char *path, unsigned int mode)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int mkdir_all(const char *path, unsigned int mode)
{
	CLEANUP_FREE char *copy = strdup(path);
	int r;

	if (!copy)
		return -ENOMEM;
	for (char *p = copy + 1; *copy && *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		r = make_dir(copy, mode);
		*p = '/';
		if (r)
			return r;
	}
	return make_dir(copy, mode);
}
