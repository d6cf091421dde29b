/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Log lines on standard error, each by one write, so that lines of several processes do not mix. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

/* The one global of base/: see log.h. */
static _Atomic int threshold = LOG_LEVEL_WARN;

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};
_Static_assert(ARRAY_LEN(level_names) == LOG_LEVEL_DEBUG + 1, "a name for each level");

void log_set_level(enum log_level level)
{
	atomic_store(&threshold, (int)level);
}

static void write_line(const char *line, size_t len)
{
	while (len) {
		ssize_t n = write(STDERR_FILENO, line, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* nowhere to tell it */
		line += n;
		len -= (size_t)n;
	}
}

/* Quotes and backslashes are escaped, control characters become spaces. */
static size_t put_quoted(char *out, size_t size, const char *s)
{
	size_t n = 0;

	for (; *s && n + 3 < size; s++) {
		if (*s == '"' || *s == '\\')
			out[n++] = '\\';
		out[n++] = (unsigned char)*s < 0x20 || *s == 0x7f ? ' ' : *s;
	}
	return n;
}

void log_at(enum log_level level, const char *fmt, ...)
{
	char text[1024], line[2304];
	int saved = errno;
	va_list ap;
	size_t n;

	if ((int)level > atomic_load(&threshold))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* a cut line is better than none */
	va_end(ap);
	n = (size_t)snprintf(line, sizeof(line), "level=%s msg=\"", level_names[level]);
	n += put_quoted(line + n, sizeof(line) - n - 2, text);
	line[n++] = '"';
	line[n++] = '\n';
	write_line(line, n);
	errno = saved;
}

void log_err(const struct err *e)
{
	char line[sizeof(e->path) + sizeof(e->text) + 32];
	int saved = errno;
	int n;

	n = snprintf(line, sizeof(line), "error: %s%s%s\n", e->path, e->path[0] ? ": " : "", e->text);
	if (n > 0)
		write_line(line, MIN((size_t)n, sizeof(line) - 1));
	errno = saved;
}
