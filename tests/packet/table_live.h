/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any target under the packet table: the live runner of trace/, in scratch namespaces, through the real kernel. */
#ifndef OFFKUBE_TESTS_PACKET_TABLE_LIVE_H
#define OFFKUBE_TESTS_PACKET_TABLE_LIVE_H

#include "table.h"
#include "target/refusal.h"
#include "trace/trace.h"

struct table_live {
	const char *target;
	struct trace_runner *runner;
	uint32_t after_ms; /* before the next packet */
};

/* struct table_ops of a target; arg: struct table_live *. Rows that wait longer than a live test may are skipped. */
struct table_ops table_live_ops(const char *target);

/* The packet table of this tree. Can the target run here? 0, or the exit code of the test: 77 after "SKIP: why", 1 after what is wrong. */
int table_live_begin(const char *target, struct table **ret);

#endif
