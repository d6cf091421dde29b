/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From what came out of the scratch node to a result. A target shows effects only; which of the reasons with the same effect it was is concluded
 * from the connections and the clients seen before. docs/trace.md lists which reasons are seen and which are inferred.
 */
#ifndef OFFKUBE_TRACE_JUDGE_H
#define OFFKUBE_TRACE_JUDGE_H

#include "scratch.h"

/* A translated connection as it was seen to begin. */
struct judge_flow {
	struct l4_tuple orig; /* as the client sends */
	struct l4_tuple reply; /* as the backend answers */
	bool answered;
};

struct judge {
	struct map *flows; /* either tuple -> struct judge_flow; the original's entry owns it */
	struct map *affinity; /* Service port and client -> struct judge_affinity */
	const struct clock *clock;
};

/* One packet at hand. */
struct judge_case {
	const struct snapshot *s;
	const struct node *node;
	const struct trace_packet *packet;
	const struct scratch_seen_list *seen;
	/* Does the target carry the ClusterIP of this Service? */
	bool (*carries)(void *arg, const struct service *svc);
	void *carries_arg;
};

int judge_init(struct judge *j, const struct clock *clock);
void judge_done(struct judge *j); /* zeroed is fine */
/* -EPROTO when what came out cannot be understood. */
int judge_packet(struct judge *j, const struct judge_case *c, struct trace_result *ret, struct err *e);
/* A new model: forgets UDP connections whose backend no longer serves. */
int judge_update(struct judge *j, const struct snapshot *s);

#endif
