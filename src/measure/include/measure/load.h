/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads. A load runs in a child process inside the client's network namespace and cgroup, on the CPUs that it is given, and hands its result back through
 * shared memory. It is our own generator, or, for a rate, a program of others that is known to readers (wrk, h2load, redis-benchmark, iperf3).
 *
 * Our own, open loop: arrival times are fixed before (Poisson), a late reply delays no request; latency is counted from the moment of the send, and how late the
 * sends themselves were is a histogram of its own.
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
	LOAD_ECHO, /* small request and reply on lasting connections */
	LOAD_CONNECT, /* a new connection for each request, closed after the reply */
	LOAD_HTTP, /* a small page of a web server, HTTP/1.1 */
	LOAD_BULK, /* one TCP stream */
	LOAD_CALLS, /* every pod calls the Services that its environment names, on lasting connections */
	LOAD_H2, /* a small page, HTTP/2 */
	LOAD_REDIS, /* small GET and SET */
	LOAD_FILE, /* one large file over HTTP */
	LOAD_BULK_8, /* eight TCP streams */
	LOAD_BULK_UDP, /* datagrams of one size */
	LOAD_KIND_MAX,
};
extern const char *const load_name[LOAD_KIND_MAX]; /* "echo", "connect", ... */
extern const char *const load_text[LOAD_KIND_MAX];
int load_parse(const char *s); /* enum load_kind or -EINVAL */

/* What a load is made of. Programs are names (measure/tool.h); NULL = our own generator, or the pod's responder. */
struct load_info {
	const char *unit; /* "request" or "MiB" */
	double offered; /* units per second, open loop; 0 = no open mode. Well under what the slowest strategy can carry on two CPUs */
	bool closed; /* it has a closed mode */
	uint32_t n_connections; /* lasting ones, or under way in closed loops */
	const char *server, *open_tool, *closed_tool;
};
extern const struct load_info load_info[LOAD_KIND_MAX];

/* Where a target is asked from. */
struct load_place {
	int netns_fd;
	int cgroup_fd; /* -1 = stay */
};

struct load_target {
	struct ip_addr addr;
	uint16_t port;
	uint8_t proto; /* IPPROTO_TCP or _UDP */
	const struct load_place *place; /* NULL = the load's own */
	struct ip_addr backend; /* programs of others: who has to answer; unset = not checked */
	uint32_t page_size; /* likewise: bytes of the page that this one serves; 0 = not checked */
};

#define BULK_MESSAGE_SIZE 1400 /* of bulk-udp */

struct load_conf {
	enum load_kind kind;
	int netns_fd;
	int cgroup_fd; /* -1 = stay */
	uint64_t cpus; /* bit mask, 0 = any */
	const struct load_target *targets; /* requests go to them in turn */
	size_t n_targets;
	uint32_t n_connections; /* lasting connections, spread over the targets; `calls`: as many as targets, whatever is said here */
	double rate_rps; /* offered units per second; 0 = closed loop: as fast as n_connections allow */
	uint64_t warmup_ns,
		duration_ns; /* our own generator; programs of others have no warm-up, and wrk counts in whole seconds */
	const char *tool; /* path of the program that load_info names for this mode; NULL = our own generator */
	uint32_t message_size; /* bulk-udp: bytes of a datagram; 0 = BULK_MESSAGE_SIZE */
	uint64_t amount; /* loads of unit MiB: bytes to move. Closed `redis`: requests */
	uint64_t seed;
};

struct load_result {
	/* Inside the timed window. Loads of unit MiB count connections here. */
	uint64_t n_sent, n_ok, n_refused, n_timeout, n_other_error;
	uint64_t n_wrong; /* answered by somebody who is no backend of the target: never acceptable */
	uint64_t start_ns,
		end_ns; /* CLOCK_MONOTONIC, of the timed window; of a program of others: as long as it counted */
	double units; /* requests answered, or MiB that arrived */
	double lost_share; /* bulk-udp: of what was sent; else -1 */
	int64_t n_retransmits; /* TCP of unit MiB, where the program tells it; else -1 */
	struct hist latency; /* of ok requests, ns; empty where the program does not tell */
	struct hist lateness; /* send time less intended time */
};

/* A program of others that failed is no failure of load_run: it is told in `note` (may be NULL), and counted as other_error with nothing done. */
struct load_note {
	char text[200];
};

/* Both run in the generator's process: what they change must be in shared memory. `on_window` (may be NULL) is called when the timed window begins
 * (begin = true) and when it has ended. A wrong delivery is judged by `is_backend` (name as answered, target index). */
struct load_hooks {
	void (*on_window)(bool begin, void *arg);
	bool (*is_backend)(const char *name, size_t target, void *arg);
	void *arg;
	struct load_note *note; /* in shared memory */
};
int load_run(const struct load_conf *conf, const struct load_hooks *hooks, struct load_result *ret, struct err *e);

#endif
