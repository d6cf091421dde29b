/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The evaluation: strategies x loads x paths on the user's workload, by the rules of docs/evaluation.md. Writes records only; the report is made from them.
 *
 * Design: one testbed per arm, all up side by side. The arms are the strategies and a second, identical testbed of the first strategy (A/A), which gives the noise
 * floor. A cell is (workload, load, path, family). In each round every cell is measured once in every arm, in random order, in short slices; ratios are
 * taken within a round. Before any load every TCP and UDP Service is asked from a pod of the same and of another node, and the name
 * in the answer must be one of its pods.
 */
#ifndef OFFKUBE_MEASURE_EVAL_H
#define OFFKUBE_MEASURE_EVAL_H

#include <stdio.h>

#include "base/err.h"
#include "measure/load.h"
#include "measure/scale.h"
#include "model/snapshot.h"
#include "plan/plan.h"

/* What a run can hold; docs/evaluation.md has a section for each. */
enum eval_experiment {
	EVAL_CELLS, /* the user's workloads: loads x paths x families */
	EVAL_SWEEP, /* along an axis, on a synthetic cluster */
	EVAL_SCALE, /* what the number of Services costs */
	EVAL_IDLE, /* what a strategy takes when nothing is asked */
	EVAL_FAULT, /* what is lost when a part dies */
	EVAL_CPU_CHECK, /* the CPU meter against loads of a stated size */
	EVAL_EXPERIMENT_MAX,
};
extern const char *const eval_experiment_name[EVAL_EXPERIMENT_MAX]; /* "cells", "sweep", ... */
int eval_experiment_parse(const char *s); /* enum eval_experiment or -EINVAL */

/* The cluster of sweep, idle and fault, in records; no user's workload may be called so. */
#define EVAL_SYNTHETIC_NAME "synthetic"

struct eval_workload {
	const char *name; /* file name without folder and ending */
	const struct snapshot *snapshot;
};

struct eval_conf {
	const struct eval_workload *workloads;
	size_t n_workloads;
	const struct strategy *const *strategies;
	size_t n_strategies;
	uint32_t loads; /* 1 << enum load_kind; 0 = all, quick: echo, connect, and http and bulk to the other node */
	/* 1 << enum eval_experiment; 0 = all, quick: cells, and a small scale when the budget allows. Without workloads: no cells. */
	uint32_t experiments;
	const struct scale_conf *scale; /* NULL = the usual sizes */
	void (*on_scale)(const struct scale_result *res, void *arg); /* NULL = nobody wants to know */
	void *on_scale_arg;
	uint32_t n_rounds; /* 0 = 10; quick: 5, within a budget 12. The budget may allow fewer, never under 3 */
	uint64_t seed;
	bool quick;
	uint32_t budget_s; /* 0 = none. Cells that do not fit are left out and recorded as such */
	const char *out_dir; /* exists; gets records.jsonl */
	FILE *progress; /* NULL = quiet */
	const char *commit; /* of the program, for the record */
	const char *command; /* as typed, for the record */
	const volatile int *stop; /* set by a signal handler: end in order, clean up, -EINTR */
};

/* 0; -EOPNOTSUPP when no strategy can run here; -EINTR; -errno. A strategy that cannot run is recorded with its refusal and the others go on.
 * Records written so far stay valid whatever happens. */
int eval_run(const struct eval_conf *conf, struct err *e);

#endif
