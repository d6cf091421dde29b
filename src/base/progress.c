/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The progress line. Called by app/ and measure/ for whatever takes more than two seconds. */
#include "base/progress.h"

#include <string.h>
#include <unistd.h>

#include "base/util.h"

#define BAR_WIDTH 24
#define WHAT_WIDTH 36
#define REDRAW_NS (100 * NSEC_PER_MSEC)
#define LINE_NS (10 * NSEC_PER_SEC)

void progress_start(struct progress *p, FILE *out, const struct clock *clock, double total)
{
	int fd = fileno(out);

	*p = (struct progress){ .out = out, .tty = fd >= 0 && isatty(fd), .clock = clock, .total = total };
	p->start_ns = p->last_ns = clock_now_ns(clock);
}

static double done_part(const struct progress *p)
{
	double part = p->total > 0 ? p->done / p->total : 0;

	return MIN(1.0, MAX(0.0, part));
}

/* "4:05 left", from the mean rate so far; nothing before there is one. */
static void format_left(const struct progress *p, uint64_t now_ns, char buf[static 32])
{
	double elapsed_s = (double)(now_ns - p->start_ns) / (double)NSEC_PER_SEC;
	double part = done_part(p);
	double left_s;

	buf[0] = '\0';
	if (part < 0.01 || elapsed_s < 1)
		return;
	left_s = elapsed_s * (1 - part) / part;
	if (left_s < 360000)
		(void)snprintf(buf, 32, "%d:%02d left", (int)(left_s + 0.5) / 60, (int)(left_s + 0.5) % 60); /* fits */
}

static void draw(const struct progress *p, uint64_t now_ns, const char *what)
{
	char bar[BAR_WIDTH + 1], left[32];
	double part = done_part(p);
	int filled = (int)(part * BAR_WIDTH);

	memset(bar, '.', BAR_WIDTH);
	memset(bar, '#', (size_t)filled);
	bar[BAR_WIDTH] = '\0';
	format_left(p, now_ns, left);
	if (p->tty)
		fprintf(p->out, "\r\033[K[%s] %3d%% %s %.*s", bar, (int)(part * 100), left, WHAT_WIDTH, what);
	else
		fprintf(p->out, "%3d%% %s %s\n", (int)(part * 100), left, what);
	(void)fflush(p->out); /* nothing to do about a closed terminal */
}

void progress_update(struct progress *p, double done, const char *what)
{
	uint64_t now_ns = clock_now_ns(p->clock);
	bool first = p->tty && p->last_ns == p->start_ns;

	p->done = done;
	if (!first && now_ns - p->last_ns < (p->tty ? REDRAW_NS : LINE_NS))
		return;
	p->last_ns = MAX(now_ns, p->start_ns + 1);
	draw(p, now_ns, what ? what : "");
}

void progress_end(struct progress *p)
{
	if (p->tty) {
		fputs("\r\033[K", p->out);
		(void)fflush(p->out); /* nothing to do about a closed terminal */
	}
}
