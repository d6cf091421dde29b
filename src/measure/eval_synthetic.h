/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cluster on which sweep, idle and fault are measured, and what these share. Private to measure/. */
#ifndef OFFKUBE_MEASURE_EVAL_SYNTHETIC_H
#define OFFKUBE_MEASURE_EVAL_SYNTHETIC_H

#include "eval_int.h"
#include "synthetic.h"

/* Services s0 to s3 are asked; these are changed. */
#define EVAL_SYNTHETIC_OTHER 500
#define EVAL_SYNTHETIC_MARK 900
extern const struct synthetic eval_synthetic_shape; /* two nodes, 1,000 Services of two endpoints, TCP and UDP */

/* Fills in a cell that asks Services s0 ... s<n - 1> from the client's pod, other-node, IPv4. `n` is at most EVAL_SERVICES_MAX. */
void eval_synthetic_cell(const struct eval *ev, enum load_kind load, size_t n, struct eval_cell *ret);

/* A process in the pod of an arm's lab: namespace and cgroup. */
int eval_synthetic_netns(const struct eval_arm *arm, const char *pod);
int eval_synthetic_cgroup(const struct eval_arm *arm);

/* With all arms up but the twin. What an arm cannot do is recorded as left out and the others go on. */
int eval_sweep(struct eval *ev, struct err *e);
int eval_fault(struct eval *ev, struct err *e);

#endif
