/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process in a client's pod that puts single questions to Services of a synthetic cluster, each from a fresh UDP socket, and takes the time by
 * itself: what the first packet of a connection meets, and when something is in force. The same observer for every strategy. Private to measure/.
 */
#ifndef OFFKUBE_MEASURE_ASKER_H
#define OFFKUBE_MEASURE_ASKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "net/addr.h"

#define ASKER_TIMES_MAX 4096

struct asker; /* dies with the caller */

/* `netns_fd`, `cgroup_fd` (-1 = stay) and `cpus` (bit mask, 0 = any) say where it asks from. Whoever waits for it ends with -EINTR when *stop is set; after a
 * failure it is good for asker_stop only. */
int asker_start(int netns_fd, int cgroup_fd, uint64_t cpus, const volatile int *stop, struct asker **ret,
		struct err *e);
void asker_stop(struct asker *a); /* NULL is fine */

/* One question after the other to Services chosen at random among s0 ... s<n_services - 1>: times from the send to the answer, ns. n_asks <= ASKER_TIMES_MAX.
 * -ETIMEDOUT when a Service did not answer within two seconds. */
int asker_first_packets(struct asker *a, uint32_t n_services, uint32_t n_asks, uint64_t seed, uint64_t *times,
			struct err *e);

/*
 * When is it in force? Services first, first + step, ... are asked, each until it has answered rightly, then the next. A question is repeated, by fresh
 * sockets, every period_us; earlier ones may still be answered meanwhile. So the answer is known to period_us and the time of one
 * question.
 */
struct asker_watch {
	uint32_t first, step, n;
	int backend; /* of the synthetic cluster, that must answer; -1 = any */
	uint32_t n_each; /* fresh sockets in each period: two endpoints and one new among them want more than one */
	uint32_t period_us;
	/* 0 = never; else the period grows with the time since the begin, to one part in so many of it: one who is slow is not asked so often that the flows of the
	 * questions would be what is counted. The answer is then known to that. */
	uint32_t backoff;
	uint64_t timeout_ns;
};
/* Returns when the first question is out. */
int asker_watch_begin(struct asker *a, const struct asker_watch *w, struct err *e);
/* Waits; *ret_ns is the time (CLOCK_MONOTONIC) of the last of the answers. -ETIMEDOUT. */
int asker_watch_end(struct asker *a, uint64_t *ret_ns, struct err *e);

/*
 * Under load: it asks one address all the time at a constant rate, whether anything is waited for or not, so that every arm bears the same. When something is in
 * force is known to period_us and the time of one question.
 */
struct asker_steady {
	struct ip_addr addr;
	uint16_t port;
	uint32_t n_each, period_us; /* as above */
};
int asker_steady_begin(struct asker *a, const struct asker_steady *s, struct err *e);
/* From now on it looks for an answer by this backend to a question that is sent from now on. */
void asker_steady_expect(struct asker *a, uint32_t backend);
/* Waits for that answer, 0 = looks only. 1 = it came at *ret_ns, 0 = not yet. */
int asker_steady_seen(struct asker *a, uint64_t timeout_ns, uint64_t *ret_ns, struct err *e);
int asker_steady_end(struct asker *a, struct err *e);

#endif
