/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What programs of others print, read. Pure; nothing is believed of the text. Private to measure/. */
#ifndef OFFKUBE_MEASURE_TOOL_PARSE_H
#define OFFKUBE_MEASURE_TOOL_PARSE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hist.h"
#include "net/addr.h"

struct tool_result {
	double seconds; /* that it counted; over 0 */
	double n_done, n_failed; /* requests; iperf3: streams, 0 */
	double bytes; /* iperf3: that arrived; h2load: of bodies; else 0 */
	double sent_bytes; /* iperf3 */
	double n_retransmits; /* iperf3 over TCP; else -1 */
	struct ip_addr server; /* iperf3: the address on the server's side; else unset */
};

/* All: 0; -EREMOTEIO: the program says that it failed, err says how; -EBADMSG: this is not its output. `text` is NUL-terminated. */
int tool_parse_iperf3(const char *text, size_t size, struct tool_result *ret,
		      struct err *e); /* -J --get-server-output, server with -J */
int tool_parse_wrk(const char *text, struct tool_result *ret,
		   struct err *e); /* with the line that TOOL_WRK_SCRIPT prints */
int tool_parse_h2load(const char *text, struct tool_result *ret, struct err *e);
int tool_parse_redis_benchmark(const char *text, double n_requests, struct tool_result *ret, struct err *e); /* --csv */
/* h2load --log-file: adds the latencies of requests with status 200; *ret_n gets how many there were in all. */
int tool_parse_h2load_log(const char *text, struct hist *latency, uint64_t *ret_n, struct err *e);

/* Lua for wrk: exact numbers instead of rounded ones. */
#define TOOL_WRK_SCRIPT                                                               \
	"function done(s, latency, requests)\n"                                       \
	"  local e = s.errors\n"                                                      \
	"  io.write(string.format(\"offkube %d %d %d\\n\", s.duration, s.requests,\n" \
	"    e.connect + e.read + e.write + e.status + e.timeout))\n"                 \
	"end\n"

#endif
