/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One progress line with the time left: redrawn on a terminal, a line every ten seconds else. */
#ifndef OFFKUBE_BASE_PROGRESS_H
#define OFFKUBE_BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/clock.h"

struct progress {
	FILE *out;
	bool tty;
	const struct clock *clock;
	uint64_t start_ns, last_ns;
	double done, total; /* any unit */
};

void progress_start(struct progress *p, FILE *out, const struct clock *clock, double total);
/* `what` is shown behind the bar. */
void progress_update(struct progress *p, double done, const char *what);
void progress_end(struct progress *p);

#endif
