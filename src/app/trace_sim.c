/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The reference interpreter as a trace runner. Called by cmd_trace.c and by tests. */
#include "trace_sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "base/vec.h"

struct runner {
	struct trace_runner runner;
	struct clock clock; /* the packets' own time */
	struct sim *sim;
	struct snapshot *snapshot; /* results point into it */
	VEC(struct trace_backend) allowed; /* of the packet at hand */
};

void trace_sim_result(const struct sim_result *from, struct trace_result *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->verdict = from->verdict;
	ret->reason = from->reason;
	ret->service = from->service;
	ret->port = from->port;
	ret->has_backend = from->verdict == VERDICT_TRANSLATE;
	if (ret->has_backend)
		ret->backend = (struct trace_backend){ from->backend.addr, from->backend.port };
	ret->has_out = from->verdict == VERDICT_PASS || from->verdict == VERDICT_TRANSLATE;
	if (ret->has_out)
		ret->out = from->out;
	ret->snat = from->snat;
	ret->hairpin = from->hairpin;
	ret->sport_free = from->sport_free;
	ret->reject_rst = from->reject_rst;
	ret->reject_icmp_type = from->reject_icmp_type;
	ret->reject_icmp_code = from->reject_icmp_code;
}

static enum sim_origin origin_of(enum trace_origin o)
{
	static const enum sim_origin to[TRACE_FROM_MAX] = {
		[TRACE_FROM_POD] = SIM_FROM_POD,
		[TRACE_FROM_NODE] = SIM_FROM_NODE,
		[TRACE_FROM_OUTSIDE] = SIM_FROM_OUTSIDE,
	};

	return to[o];
}

static int copy_allowed(struct runner *run, const struct sim_result *from, struct trace_result *ret)
{
	run->allowed.n = 0;
	for (size_t i = 0; i < from->n_allowed; i++) {
		int r = vec_push(&run->allowed, (struct trace_backend){ from->allowed[i].addr, from->allowed[i].port });

		if (r < 0)
			return r;
	}
	ret->allowed = run->allowed.v;
	ret->n_allowed = run->allowed.n;
	return 0;
}

/* Where the port is free, the bytes hold the one that sim took. */
static void read_sport(struct trace_result *ret)
{
	struct pkt out;

	if (ret->sport_free && ret->has_out && pkt_parse(ret->out_buf, ret->out_size, &out) == 0)
		ret->out.sport = out.t.sport;
}

static int sim_run(struct trace_runner *runner, const struct trace_packet *p, struct trace_result *ret, struct err *e)
{
	struct runner *run = container_of(runner, struct runner, runner);
	struct sim_result res;
	uint8_t out[TRACE_PACKET_SIZE_MAX];
	size_t out_size = sizeof(out);
	int r;

	run->clock.manual_ns += p->after_ms * NSEC_PER_MSEC;
	r = sim_packet(run->sim, origin_of(p->origin), p->buf, p->size, NULL, &res, out, &out_size);
	if (r < 0)
		return err_set_errno(e, r, NULL, "sim cannot take the packet");
	trace_sim_result(&res, ret);
	ret->out_size = MIN(out_size, sizeof(ret->out_buf));
	memcpy(ret->out_buf, out, ret->out_size);
	read_sport(ret);
	return copy_allowed(run, &res, ret);
}

static int sim_runner_update(struct trace_runner *runner, const struct snapshot *s, struct err *e)
{
	struct runner *run = container_of(runner, struct runner, runner);
	int r = sim_update(run->sim, s);

	if (r < 0)
		return err_set_errno(e, r, NULL, "sim cannot take the new model");
	snapshot_unref(run->snapshot);
	run->snapshot = snapshot_ref(s);
	return 0;
}

static void sim_close(struct trace_runner *runner)
{
	struct runner *run = container_of(runner, struct runner, runner);

	sim_free(run->sim);
	snapshot_unref(run->snapshot);
	vec_free(&run->allowed);
	free(run);
}

static const struct trace_runner_ops sim_runner_ops = { .run = sim_run,
							.update = sim_runner_update,
							.close = sim_close };

int trace_sim_open_clock(const struct snapshot *s, const char *node, const struct clock *clock,
			 struct trace_runner **ret, struct err *e)
{
	struct runner *run = calloc(1, sizeof(*run));
	int r;

	if (!run)
		return -ENOMEM;
	run->runner.ops = &sim_runner_ops;
	run->runner.target = "sim";
	run->clock.now_ns = clock_manual_now_ns;
	run->snapshot = snapshot_ref(s);
	r = sim_new(s, node, clock ? clock : &run->clock, &run->sim, e);
	if (r < 0) {
		sim_close(&run->runner);
		return r;
	}
	*ret = &run->runner;
	return 0;
}

int trace_sim_open(const struct snapshot *s, const char *node, struct trace_runner **ret, struct err *e)
{
	return trace_sim_open_clock(s, node, NULL, ret, e);
}
