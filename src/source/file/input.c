/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Paths to buffers, for load.c. */
#include "input.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "load.h"

typedef int (*input_fn)(const char *name, const char *buf, size_t size, void *arg);

static int read_one(const char *path, input_fn fn, void *arg, struct err *e)
{
	CLEANUP_FREE char *buf = NULL;
	size_t size = 0;
	int r = read_file(path, LOAD_INPUT_SIZE_MAX, &buf, &size);

	if (r < 0)
		return err_set_errno(e, r, path, "cannot be read");
	return fn(strcmp(path, "-") == 0 ? "standard input" : path, buf, size, arg);
}

static int is_manifest(const struct dirent *d)
{
	static const char *const ends[] = { ".yaml", ".yml", ".json" };
	size_t len = strlen(d->d_name);

	if (d->d_name[0] == '.')
		return 0;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		size_t end = strlen(ends[i]);

		if (len > end && strcmp(d->d_name + len - end, ends[i]) == 0)
			return 1;
	}
	return 0;
}

/* By bytes, so that the locale does not decide. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_folder(const char *path, input_fn fn, void *arg, struct err *e)
{
	struct dirent **list = NULL;
	int r = 0;
	int n = scandir(path, &list, is_manifest, by_name);

	if (n < 0)
		return err_set_errno(e, -errno, path, "cannot be read");
	if (n == 0)
		r = err_set(e, -ENOENT, path, "this folder holds no *.yaml, *.yml or *.json");
	for (int i = 0; i < n; i++) {
		CLEANUP_FREE char *file = str_printf("%s/%s", path, list[i]->d_name);

		if (!file && r == 0)
			r = -ENOMEM;
		if (r == 0)
			r = read_one(file, fn, arg, e);
		free(list[i]);
	}
	free(list);
	return r;
}

int input_read(const char *path, input_fn fn, void *arg, struct err *e)
{
	struct stat st;

	if (strcmp(path, "-") != 0 && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return read_folder(path, fn, arg, e);
	return read_one(path, fn, arg, e);
}
