/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The load under which faults are made: a process in a client's pod that every two milliseconds asks once on a lasting connection, once on a fresh TCP
 * connection and once by a datagram from a fresh socket, and keeps what became of each question. Private to measure/.
 */
#ifndef OFFKUBE_MEASURE_PULSE_H
#define OFFKUBE_MEASURE_PULSE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/addr.h"

#define PULSE_TICK_MS 2
#define PULSE_TIMEOUT_MS 1000 /* a question without answer is lost then */
#define PULSE_TARGETS_MAX 8
#define PULSE_BIN_MS 10
#define PULSE_BINS_MAX 1024
#define PULSE_BINS_BEFORE 20 /* of the time line: before the fault */

enum pulse_kind { PULSE_LASTING, PULSE_CONNECT, PULSE_DATAGRAM, PULSE_KIND_MAX };
enum pulse_outcome { PULSE_OK, PULSE_LOST, PULSE_WRONG };

/* One question that is over; they are kept in the order of their ends. */
struct pulse_event {
	uint64_t sent_ns, done_ns; /* CLOCK_MONOTONIC */
	uint8_t kind, outcome;
};

struct pulse_target {
	struct ip_addr addr;
	uint16_t port; /* TCP and UDP */
	uint32_t backends; /* of the synthetic cluster that may answer: bit k = backend k */
};

struct pulse; /* dies with the caller */

/* Returns when the lasting connections stand. */
int pulse_start(int netns_fd, int cgroup_fd, uint64_t cpus, const struct pulse_target *targets, size_t n_targets,
		struct pulse **ret, struct err *e);
/* Ends it: questions under way get their time. *ret_events is good until pulse_free. *ret_n_broken: lasting connections that had answered and were cut or stuck. */
int pulse_end(struct pulse *p, const struct pulse_event **ret_events, size_t *ret_n, uint32_t *ret_n_broken,
	      struct err *e);
void pulse_free(struct pulse *p); /* NULL is fine */

/* What the events say of a fault. Pure. */
struct pulse_sum {
	uint64_t n_sent, n_ok, n_lost, n_wrong;
	uint64_t outage_ns; /* longest time without an answer of one kind, as far as it reaches beyond the fault */
	uint64_t well_ns; /* when the last question that was lost or answered wrongly had been sent, or the fault itself when there was none after it */
	size_t n_bins; /* of PULSE_BIN_MS, the first begins PULSE_BINS_BEFORE bins before the fault */
	uint32_t ok[PULSE_BINS_MAX], failed[PULSE_BINS_MAX]; /* by the end of an answer; by the send of what failed */
};
void pulse_sum(const struct pulse_event *events, size_t n, uint64_t fault_ns, struct pulse_sum *ret);

#endif
