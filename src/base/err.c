/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Failures in words. Called by every room; app/ prints the result with log_err(). */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

/* Control characters would break the one-line promise, and terminals. Bytes of UTF-8 stay. */
static void make_one_line(char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = ' ';
	}
}

/* `wrote` is what snprintf returned for buf: marks a cut. A cut UTF-8 sequence is dropped whole. */
static void mark_cut(char *buf, size_t size, int wrote)
{
	size_t end;

	if (wrote < 0 || (size_t)wrote < size)
		return;
	end = size - sizeof("...");
	while (end > 0 && ((unsigned char)buf[end] & 0xc0) == 0x80)
		end--;
	memcpy(buf + end, "...", sizeof("..."));
}

static void fill(struct err *e, int code, const char *path, const char *fmt, va_list ap)
{
	e->code = code;
	mark_cut(e->path, sizeof(e->path), snprintf(e->path, sizeof(e->path), "%s", path ? path : ""));
	mark_cut(e->text, sizeof(e->text), vsnprintf(e->text, sizeof(e->text), fmt, ap));
	make_one_line(e->path);
	make_one_line(e->text);
}

int err_set(struct err *e, int code, const char *path, const char *fmt, ...)
{
	va_list ap;

	if (!e || e->code)
		return code;
	va_start(ap, fmt);
	fill(e, code, path, fmt, ap);
	va_end(ap);
	return code;
}

int err_set_errno(struct err *e, int code, const char *path, const char *fmt, ...)
{
	char reason[128];
	va_list ap;
	size_t len;

	if (!e || e->code)
		return code;
	va_start(ap, fmt);
	fill(e, code, path, fmt, ap);
	va_end(ap);
	/* The GNU strerror_r: may answer with a static text instead of the buffer. */
	const char *why = strerror_r(-code, reason, sizeof(reason));

	len = strlen(e->text);
	mark_cut(e->text + len, sizeof(e->text) - len,
		 sizeof(e->text) - len > sizeof("...") ? snprintf(e->text + len, sizeof(e->text) - len, ": %s", why) :
							 0);
	return code;
}

void err_prefix_path(struct err *e, const char *prefix)
{
	char old[sizeof(e->path)];

	if (!e || !prefix || !*prefix)
		return;
	memcpy(old, e->path, sizeof(old));
	mark_cut(e->path, sizeof(e->path), snprintf(e->path, sizeof(e->path), "%s%s%s", prefix, *old ? ": " : "", old));
	make_one_line(e->path);
}
