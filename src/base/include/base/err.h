/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * struct err: what a room tells its caller about a failure, in words.
 *
 * Functions return 0 or -errno. Where a user will read the message they take a last argument struct err *,
 * which may be NULL. It holds the first failure only; who adds context calls err_prefix_path().
 */
#ifndef OFFKUBE_BASE_ERR_H
#define OFFKUBE_BASE_ERR_H

struct err {
	int code; /* negative errno; 0 = nothing failed yet */
	char path[256]; /* the offending thing: "shop.yaml:12: Service shop/cart: spec.ports[2].port" */
	char text[512]; /* one sentence, no full stop, no newline */
};

/* Fills `e` (unless NULL or already filled) and returns `code`, so that callers write: return err_set(e, -EINVAL,
 * ...). `path` may be NULL. Over-long text is cut and ends in "...". */
int err_set(struct err *e, int code, const char *path, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* As err_set, appends ": <strerror(-code)>". */
int err_set_errno(struct err *e, int code, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Puts "prefix: " in front of the path (or makes it the path). */
void err_prefix_path(struct err *e, const char *prefix);

#endif
