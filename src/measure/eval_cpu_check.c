/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The CPU meter against known loads, once in each full run. Called by eval_experiments.c; what must come out: docs/evaluation.md, "CPU". */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/util.h"
#include "eval_int.h"
#include "measure/cpu_check.h"

#define ROUNDS 3
#define WINDOW_MS 1000
#define QUICK_WINDOW_MS 300 /* one round */

static const double shares[] = { 0.1, 0.3, 0.6 };

static int check_one(struct eval *ev, enum cpu_check_kind kind, double share, uint32_t round, struct err *e)
{
	struct cpu_check c;
	struct err why = {};
	int r = cpu_check_run(ev->meter, kind, share, ev->conf->quick ? QUICK_WINDOW_MS : WINDOW_MS, ev->conf->stop, &c,
			      &why);

	if (r == -EOPNOTSUPP)
		return round ? 0 : eval_left_out(ev, "", "cpu-check", NULL, why.text, e);
	if (r < 0)
		return err_set(e, r, why.path, "%s", why.text);
	return record_write(ev->rec, "cpu-check",
			    json_pack("{s:s, s:i, s:f, s:f, s:f, s:f, s:b}", "what", cpu_check_name[kind], "round",
				      (int)round, "stated_cores", c.stated_cores, "measured_cores", c.measured_cores,
				      "idle_cores", (c.idle_cores[0] + c.idle_cores[1]) / 2, "stat_cores", c.stat_cores,
				      "discard", c.discard),
			    e);
}

int eval_cpu_check(struct eval *ev, struct err *e)
{
	uint32_t n_rounds = ev->conf->quick ? 1 : ROUNDS, done = 0;
	int r = 0;

	if (ev->conf->progress)
		progress_start(&ev->progress, ev->conf->progress, &clock_monotonic,
			       (double)(n_rounds * CPU_CHECK_KIND_MAX * ARRAY_LEN(shares)));
	for (uint32_t round = 0; round < n_rounds && r == 0; round++)
		for (int k = 0; k < CPU_CHECK_KIND_MAX; k++)
			for (size_t i = 0; i < ARRAY_LEN(shares) && r == 0; i++) {
				if (ev->conf->progress)
					progress_update(&ev->progress, done++, "cpu-check");
				r = *ev->conf->stop ? -EINTR : eval_calibrate(ev, 3, e);
				if (r == 0)
					r = check_one(ev, (enum cpu_check_kind)k, shares[i], round, e);
			}
	if (ev->conf->progress)
		progress_end(&ev->progress);
	return r;
}
