/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Synthetic runs: records.jsonl as the evaluation writes it, with effects and noise of known size. For the tests of report/. */
#ifndef OFFKUBE_TESTS_REPORT_RUN_H
#define OFFKUBE_TESTS_REPORT_RUN_H

#include <stdint.h>
#include <stdio.h>

#include "base/rand.h"
#include "report/report.h"

#define RUN_STRATEGIES_MAX 8

struct report_run {
	const char *strategies[RUN_STRATEGIES_MAX]; /* "none" carries no Services; the first one has the A/A arm */
	double factor[RUN_STRATEGIES_MAX]; /* of latency and CPU against none; rates go the other way */
	int n_strategies;
	int n_workloads, n_loads, n_paths, n_families; /* at least 1; loads: echo, connect, bulk (MiB, closed only) */
	int n_rounds, n_rounds_planned;
	double noise; /* relative, of each value; 0.01 = 1 % */
	int requests; /* of an open slice */
	int offered; /* as the run record says; 0 = 4000 */
	uint64_t seed;
	const char *workload_name; /* of a run with one; NULL = "shop" */
	int schema; /* 0 = the right one */
	const char *kind; /* of the last strategy; NULL = real */
	int wrong; /* requests of the last strategy answered by no backend, in its first slice */
	int failed; /* requests of the last strategy that time out, in each open slice */
	int dead; /* the last strategy answers nothing in open slices: all its requests time out */
	int twin_failed; /* requests of the A/A arm that time out, in each open slice */
	int discarded; /* of the rounds from 0 on: steal, and an absurd CPU figure */
	int collapse_at; /* load of the sweep "offered" from which the last strategy answers nothing; 0 = none */
	int experiments; /* sweeps, scale, idle, faults, cpu-checks on the first workload: report_exp.c */
	int unreached; /* Services that the last strategy does not reach */
	int no_counters; /* the counters of strategies with Services stay 0 */
	int no_twin; /* no A/A arm */
	double busy_share; /* while calibrating; negative: not recorded */
	const char *status; /* of the end record; NULL = "complete"; "" = there is none */
	const char *left_out; /* why of a left-out record, or NULL */
	const char *refused; /* a strategy that is refused as a whole, or NULL */
};

/* Two strategies, one load and path, ten rounds, 1 % noise. */
struct report_run report_run_default(void);
void report_run_write(const struct report_run *run, FILE *f);
/* Loaded from memory; does not return on failure. */
/* report_exp.c */
void report_exp_write(const struct report_run *run, struct rng *rng, FILE *f);
struct report *report_run_load(const struct report_run *run);
/* A fresh folder (caller removes it) with records.jsonl in it; the path is owned by the caller. */
char *report_run_folder(const struct report_run *run);
void report_run_remove(char *dir);

#endif
