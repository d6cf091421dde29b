/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Programs of others that make or serve load: where they are, which version, how they are run. Private to measure/. */
#ifndef OFFKUBE_MEASURE_TOOL_H
#define OFFKUBE_MEASURE_TOOL_H

#include <stddef.h>

#include "base/err.h"

#define TOOL_VERSION_MAX 32
#define TOOL_OUTPUT_MAX (1u << 20)

struct tool {
	char path[256];
	char version[TOOL_VERSION_MAX]; /* "3.12"; "" = it does not tell */
};

/* Looks in PATH, then where Debian has servers. -ENOENT. */
int tool_find(const char *name, struct tool *ret);

/* Runs it to its end with nothing on standard input: what it printed on standard output and error, up to TOOL_OUTPUT_MAX, NUL-terminated and owned by the
 * caller; *ret_status as waitpid gives it. `inherit` is an fd that it gets beside (-1 = none). -ETIMEDOUT: it was killed; -EFBIG: it said more. It dies with the
 * caller. */
struct tool_run {
	const char *const *argv; /* argv[0] is a path */
	int inherit;
	unsigned int timeout_ms;
};
int tool_run(const struct tool_run *run, char **ret_out, size_t *ret_size, int *ret_status);

/* A file in memory of `size` bytes, which does not grow (0: empty, and it does), and its name for a program that inherits the fd. */
int tool_file(size_t size, int *ret_fd, char path[static 32]);

#endif
