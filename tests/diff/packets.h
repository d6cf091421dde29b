/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random packets over a random model (gen.h): new connections, replies, further packets, refusals, ICMP errors, nonsense. What it learns of each
 * packet's fate it uses for the next ones, so that whole conversations come about.
 */
#ifndef OFFKUBE_TESTS_DIFF_PACKETS_H
#define OFFKUBE_TESTS_DIFF_PACKETS_H

#include "gen.h"
#include "trace/trace.h"

#define PACKETS_FLOWS_MAX 48

/* A connection that some packet began. */
struct packets_flow {
	struct l4_tuple orig; /* as the client sends */
	struct l4_tuple reply; /* as the other side answers */
	bool translated;
	uint8_t opened_by; /* SCTP: type of the first chunk, which says what script follows */
	uint8_t step; /* in the script of an orderly connection */
};

struct packets {
	struct gen *g;
	struct packets_flow flows[PACKETS_FLOWS_MAX];
	uint32_t n_flows, next_flow;
	/* Plain connections whose port was changed so that they would not look like another: sim does not know to which, and so not what they
	 * stand in the way of later. */
	struct l4_tuple clashed[PACKETS_FLOWS_MAX];
	uint32_t n_clashed;
	int follows; /* flow that the last packet belongs to, or -1 */
	uint16_t next_sport;
	bool prefer_sctp;
	bool revisit; /* mostly clients and connections of before: what timed out meanwhile is to be met */
};

void packets_init(struct packets *p, struct gen *g);
/* The next packet. Always succeeds. */
void packets_next(struct packets *p, struct trace_packet *ret);
/* What became of it. */
void packets_learn(struct packets *p, const struct trace_packet *packet, const struct trace_result *r);

#endif
