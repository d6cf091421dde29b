/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Load generators. A generator runs in a child process inside the client's network namespace and cgroup, on the CPUs that it is given, and
 * hands its result back through shared memory. Open loop: arrival times are fixed before (Poisson), a late reply delays no request; latency is counted from the
 * moment of the send, and how late the sends themselves were is a histogram of its own.
 */
#ifndef OFFKUBE_MEASURE_LOAD_H
#define OFFKUBE_MEASURE_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hist.h"
#include "net/addr.h"

enum load_kind {
	LOAD_ECHO, /* small request and reply on lasting connections; open loop */
	LOAD_CONNECT, /* a new connection for each request, closed after the reply; open loop */
	LOAD_KIND_MAX,
};
extern const char *const load_name[LOAD_KIND_MAX]; /* "echo", "connect" */
extern const char *const load_text[LOAD_KIND_MAX];
int load_parse(const char *s); /* enum load_kind or -EINVAL */

struct load_target {
	struct ip_addr addr;
	uint16_t port;
	uint8_t proto; /* IPPROTO_TCP or _UDP */
};

struct load_conf {
	enum load_kind kind;
	int netns_fd;
	int cgroup_fd; /* -1 = stay */
	uint64_t cpus; /* bit mask, 0 = any */
	const struct load_target *targets; /* requests go to them in turn */
	size_t n_targets;
	uint32_t n_connections; /* echo: lasting connections, spread over the targets */
	double rate_rps; /* offered; 0 = closed loop: as fast as n_connections allow */
	uint64_t warmup_ns, duration_ns;
	uint64_t seed;
};

struct load_result {
	uint64_t n_sent, n_ok, n_refused, n_timeout, n_other_error; /* inside the timed window */
	uint64_t n_wrong; /* answered by somebody who is no backend of the target: never acceptable */
	uint64_t start_ns, end_ns; /* CLOCK_MONOTONIC, of the timed window */
	struct hist latency; /* of ok requests, ns */
	struct hist lateness; /* send time less intended time */
};

/* Both run in the generator's process: what they change must be in shared memory. `on_window` (may be NULL) is called when the timed window begins
 * (begin = true) and when it has ended. A wrong delivery is judged by `is_backend` (name as answered, target index). */
struct load_hooks {
	void (*on_window)(bool begin, void *arg);
	bool (*is_backend)(const char *name, size_t target, void *arg);
	void *arg;
};
int load_run(const struct load_conf *conf, const struct load_hooks *hooks, struct load_result *ret, struct err *e);

#endif
