/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A lab with a strategy in force on every node: what eval, bench, "lab up" and the differential tests run on.
 */
#ifndef OFFKUBE_MEASURE_TESTBED_H
#define OFFKUBE_MEASURE_TESTBED_H

#include "apply/apply.h"
#include "lab/lab.h"
#include "plan/plan.h"

struct testbed;

struct testbed_conf {
	const char *name; /* lab name */
	const struct snapshot *snapshot;
	const struct strategy *strategy;
	uint32_t n_clients;
	bool keep;
	uint64_t server_cpus; /* as lab_conf */
	const char *bare_ns; /* as lab_conf */
	bool verify; /* read back after apply; testbed_set_verify changes it */
	const volatile int *stop; /* as lab_conf: testbed_up ends with -EINTR, nothing is left */
};

/* Lab, wiring, strategy, servers. On failure nothing is left. -EOPNOTSUPP when the strategy cannot run on this host: err says why (typed
 * refusal, its name first). */
int testbed_up(const struct testbed_conf *conf, struct testbed **ret, struct err *e);
/* An opened lab (lab_open) of another process: pods that are new get namespaces, then everything is applied from scratch. Servers are the caller's
 * (lab_start_servers). Takes the lab over on success. */
int testbed_adopt(struct lab *lab, const struct testbed_conf *conf, struct testbed **ret, struct err *e);
/* New snapshot, same nodes: pods, then every node's targets, incrementally. */
int testbed_update(struct testbed *tb, const struct snapshot *s, struct err *e);
/* The Services half of an update: same nodes and pods, nothing is done in the lab. */
int testbed_apply(struct testbed *tb, const struct snapshot *s, struct err *e);
/* As after the death of the process that applied: its handles are gone, new ones know nothing and apply everything from scratch. When it fails the testbed is good
 * for another testbed_reapply and testbed_down only. */
int testbed_reapply(struct testbed *tb, const struct snapshot *s, struct err *e);
/* Read back after each apply from here on, or not: what is timed, and what runs beside a load, is to be the apply alone. */
void testbed_set_verify(struct testbed *tb, bool verify);
/* Everything gone. Goes on after a failure, returns the first. */
int testbed_down(struct testbed *tb, struct err *e);
/* Frees the handles only; a kept lab lives on with its strategy in force. */
void testbed_free(struct testbed *tb);

struct lab *testbed_lab(const struct testbed *tb);
const struct snapshot *testbed_snapshot(const struct testbed *tb);
const struct strategy *testbed_strategy(const struct testbed *tb);
const struct plan *testbed_plan(const struct testbed *tb, const char *node); /* NULL when unknown */
/* Sums over the nodes of the last apply. */
const struct apply_report *testbed_apply_report(const struct testbed *tb);
/* Counter of one target summed over the nodes ("nft", "Service shop/cart:redis", "connections"); object NULL: over all objects.
 * 1 = *ret is the sum, 0 = no node has such a counter (*ret is 0), -errno. */
int testbed_counter(struct testbed *tb, const char *target, const char *object, const char *name, uint64_t *ret,
		    struct err *e);

#endif
