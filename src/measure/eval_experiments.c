/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which experiments a run holds beside the cells, and their order. Called by eval.c. */
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "eval_int.h"
#include "eval_synthetic.h"

#define EXPERIMENT(x) (1u << EVAL_##x)
#define QUICK_SCALE_S 6 /* per strategy, of a quick run's scale; also reserved for it in a budget */
#define QUICK_SCALE_BUDGET_S 120 /* smaller budgets go to the cells alone */

const char *const eval_experiment_name[EVAL_EXPERIMENT_MAX] = {
	[EVAL_CELLS] = "cells", [EVAL_SWEEP] = "sweep", [EVAL_SCALE] = "scale",
	[EVAL_IDLE] = "idle",	[EVAL_FAULT] = "fault", [EVAL_CPU_CHECK] = "cpu-check",
};

int eval_experiment_parse(const char *s)
{
	for (int i = 0; i < EVAL_EXPERIMENT_MAX; i++)
		if (str_eq(eval_experiment_name[i], s))
			return i;
	return -EINVAL;
}

static size_t n_service_strategies(const struct eval *ev)
{
	size_t n = 0;

	for (size_t i = 0; i < ev->conf->n_strategies; i++)
		n += ev->conf->strategies[i]->service_addresses;
	return n;
}

/* Seconds, roughly, on a machine of two CPUs; a peer that is slow to program takes longer. */
static double estimate_s(const struct eval *ev, enum eval_experiment x)
{
	double n = (double)n_service_strategies(ev), n_all = (double)ev->conf->n_strategies;

	switch (x) {
	case EVAL_SWEEP:
		return n_all * (ev->conf->quick ? 8 : 130);
	case EVAL_SCALE:
		return n * (ev->conf->quick ? QUICK_SCALE_S : 100);
	case EVAL_IDLE:
		return (n_all + 1) * (ev->conf->quick ? 2 : 15);
	case EVAL_FAULT:
		return (n * 20 + 10) * (ev->conf->quick ? 0.3 : 1);
	case EVAL_CPU_CHECK:
		return ev->conf->quick ? 6 : 54;
	default:
		return 0;
	}
}

int eval_choose_experiments(struct eval *ev, struct err *e)
{
	const struct eval_conf *c = ev->conf;

	ev->experiments = c->experiments;
	if (!ev->experiments && c->quick) {
		ev->experiments = EXPERIMENT(CELLS);
		if (!c->budget_s || c->budget_s >= QUICK_SCALE_BUDGET_S)
			ev->experiments |= EXPERIMENT(SCALE);
	} else if (!ev->experiments) {
		ev->experiments = (1u << EVAL_EXPERIMENT_MAX) - 1;
	}
	if (c->n_workloads == 0)
		ev->experiments &= ~EXPERIMENT(CELLS);
	for (int x = EVAL_CELLS + 1; x < EVAL_EXPERIMENT_MAX; x++)
		if (ev->experiments & (1u << x))
			ev->experiments_s += estimate_s(ev, x);
	if (!(ev->experiments & (EXPERIMENT(SWEEP) | EXPERIMENT(IDLE) | EXPERIMENT(FAULT))))
		return 0;
	ev->synthetic.name = EVAL_SYNTHETIC_NAME;
	return synthetic_snapshot(&eval_synthetic_shape, (struct snapshot **)&ev->synthetic.snapshot, e);
}

/* All arms but the twin on the synthetic cluster, side by side. What was applied is read back once; changes under load are not: that would be load too. */
static int on_synthetic(struct eval *ev, int (*experiment)(struct eval *ev, struct err *e), struct err *e)
{
	size_t n_arms = ev->n_arms;
	int r, rd;

	ev->n_arms = ev->conf->n_strategies;
	r = eval_arms_up(ev, e);
	for (size_t i = 0; i < ev->n_arms; i++)
		if (ev->arms[i].testbed)
			testbed_set_verify(ev->arms[i].testbed, false);
	if (r == 0)
		r = experiment(ev, e);
	rd = eval_arms_down(ev, r == 0 ? e : NULL);
	ev->n_arms = n_arms;
	return r < 0 ? r : rd;
}

static bool fits_budget(const struct eval *ev, enum eval_experiment x)
{
	return !ev->conf->budget_s ||
	       eval_elapsed_s(ev) + estimate_s(ev, x) + EVAL_REPORT_RESERVE_S <= (double)ev->conf->budget_s;
}

/* No figure of scale is of CPU, and `offkube bench` has no meter: so without spinners in both. */
static int without_meter(struct eval *ev, int (*experiment)(struct eval *ev, struct err *e), struct err *e)
{
	int r;

	cpu_meter_pause(ev->meter);
	r = experiment(ev, e);
	cpu_meter_resume(ev->meter);
	return r;
}

static int run_one(struct eval *ev, enum eval_experiment x, struct err *e)
{
	switch (x) {
	case EVAL_SWEEP:
		return on_synthetic(ev, eval_sweep, e);
	case EVAL_SCALE:
		return without_meter(ev, eval_scale, e);
	case EVAL_IDLE:
		return eval_idle(ev, e);
	case EVAL_FAULT:
		return on_synthetic(ev, eval_fault, e);
	case EVAL_CPU_CHECK:
		return eval_cpu_check(ev, e);
	default:
		return 0;
	}
}

int eval_run_experiments(struct eval *ev, struct err *e)
{
	int r = 0;

	ev->workload = &ev->synthetic; /* of all but scale, which has its own */
	ev->workload_at = ev->conf->n_workloads;
	for (int x = EVAL_CELLS + 1; x < EVAL_EXPERIMENT_MAX && r == 0; x++) {
		if (!(ev->experiments & (1u << x)))
			continue;
		if (*ev->conf->stop)
			return -EINTR;
		if (!fits_budget(ev, x)) {
			r = eval_left_out(ev, "", eval_experiment_name[x], NULL, "budget", e);
			continue;
		}
		if (ev->conf->progress && estimate_s(ev, x) > 0)
			fprintf(ev->conf->progress, "%s: about %.0f s\n", eval_experiment_name[x], estimate_s(ev, x));
		r = run_one(ev, x, e);
	}
	return r;
}
