/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Growing strings. Called by whoever writes text: dumps, JSON, HTML. */
#include "base/str.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for `more` bytes and the NUL. */
static bool reserve(struct strbuf *sb, size_t more)
{
	size_t cap = sb->cap ? sb->cap : 64;
	char *grown;

	if (sb->failed)
		return false;
	if (more >= SIZE_MAX / 2 - sb->len) {
		sb->failed = true;
		return false;
	}
	if (sb->buf && sb->len + more < sb->cap)
		return true;
	while (cap <= sb->len + more)
		cap *= 2;
	grown = realloc(sb->buf, cap);
	if (!grown) {
		sb->failed = true;
		return false;
	}
	sb->buf = grown;
	sb->cap = cap;
	return true;
}

void strbuf_add_mem(struct strbuf *sb, const void *mem, size_t size)
{
	if (!reserve(sb, size))
		return;
	if (size)
		memcpy(sb->buf + sb->len, mem, size);
	sb->len += size;
	sb->buf[sb->len] = '\0';
}

void strbuf_add(struct strbuf *sb, const char *s)
{
	strbuf_add_mem(sb, s, strlen(s));
}

void strbuf_add_char(struct strbuf *sb, char c)
{
	strbuf_add_mem(sb, &c, 1);
}

static void add_vf(struct strbuf *sb, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	if (!reserve(sb, 64))
		return;
	va_copy(again, ap);
	n = vsnprintf(sb->buf + sb->len, sb->cap - sb->len, fmt, ap);
	if (n < 0) {
		sb->buf[sb->len] = '\0';
		sb->failed = true;
	} else if ((size_t)n < sb->cap - sb->len) {
		sb->len += (size_t)n;
	} else if (reserve(sb, (size_t)n)) {
		(void)vsnprintf(sb->buf + sb->len, sb->cap - sb->len, fmt, again); /* fits: measured above */
		sb->len += (size_t)n;
	} else {
		sb->buf[sb->len] = '\0';
	}
	va_end(again);
}

void strbuf_addf(struct strbuf *sb, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_vf(sb, fmt, ap);
	va_end(ap);
}

void strbuf_add_html(struct strbuf *sb, const char *s)
{
	for (; *s; s++) {
		switch (*s) {
		case '&':
			strbuf_add(sb, "&amp;");
			break;
		case '<':
			strbuf_add(sb, "&lt;");
			break;
		case '>':
			strbuf_add(sb, "&gt;");
			break;
		case '"':
			strbuf_add(sb, "&quot;");
			break;
		case '\'':
			strbuf_add(sb, "&#39;");
			break;
		default:
			strbuf_add_char(sb, *s);
		}
	}
}

char *strbuf_take(struct strbuf *sb)
{
	char *taken = NULL;

	if (!sb->failed && reserve(sb, 0)) {
		taken = TAKE_PTR(sb->buf);
		taken[sb->len] = '\0';
	}
	strbuf_free(sb);
	return taken;
}

void strbuf_free(struct strbuf *sb)
{
	free(sb->buf);
	*sb = (struct strbuf)STRBUF_INIT;
}

char *str_printf(const char *fmt, ...)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	add_vf(&sb, fmt, ap);
	va_end(ap);
	return strbuf_take(&sb);
}
