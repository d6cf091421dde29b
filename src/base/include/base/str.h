/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * struct strbuf: a growing string. Allocation failure is sticky: appends after it do nothing and strbuf_take()
 * returns NULL, so that a writer checks once at the end.
 */
#ifndef OFFKUBE_BASE_STR_H
#define OFFKUBE_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct strbuf {
	char *buf; /* NUL-terminated whenever not NULL; owned */
	size_t len;
	size_t cap;
	bool failed; /* an allocation failed */
};

#define STRBUF_INIT               \
	{                         \
		NULL, 0, 0, false \
	}

void strbuf_addf(struct strbuf *sb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strbuf_add(struct strbuf *sb, const char *s);
void strbuf_add_mem(struct strbuf *sb, const void *mem, size_t size);
void strbuf_add_char(struct strbuf *sb, char c);
/* HTML text escape: & < > " '. */
void strbuf_add_html(struct strbuf *sb, const char *s);
/* The text ("" when empty), owned by the caller (free); NULL when an allocation failed. Resets sb. */
char *strbuf_take(struct strbuf *sb);
void strbuf_free(struct strbuf *sb);
#define CLEANUP_STRBUF CLEANUP(strbuf_free)

/* Owned result or NULL. */
char *str_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Reads a whole file (path, or "-" for standard input). *ret_buf is NUL-terminated beyond *ret_size and owned by the
 * caller. -EFBIG over max_size, -errno of open/read else. */
int read_file(const char *path, size_t max_size, char **ret_buf, size_t *ret_size);
/* Writes to a temporary name beside `path` and renames: the file is old or new, never half. */
int write_file_atomic(const char *path, const void *data, size_t size);
/* mkdir -p. */
int mkdir_all(const char *path, unsigned int mode);

#endif
