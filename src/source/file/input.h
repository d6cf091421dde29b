/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Paths to buffers: a file, "-" = standard input, a folder = its manifests in sorted order. */
#ifndef OFFKUBE_SOURCE_FILE_INPUT_H
#define OFFKUBE_SOURCE_FILE_INPUT_H

#include <stddef.h>

#include "base/err.h"

/*
 * Calls fn for each file, one in memory at a time, until it returns non-zero, and returns that.
 * `name` is what messages call it. -errno with the path in the error when something cannot be read;
 * -ENOENT for a folder without manifests.
 */
int input_read(const char *path, int (*fn)(const char *name, const char *buf, size_t size, void *arg), void *arg,
	       struct err *e);

#endif
