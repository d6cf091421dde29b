/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sim under the packet table. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "table.h"

static int start(void *arg, const struct snapshot *s, const char *node, struct err *e)
{
	struct table_sim *ts = arg;

	ts->clock = (struct clock){ .now_ns = clock_manual_now_ns, .manual_ns = NSEC_PER_SEC };
	return sim_new(s, node, &ts->clock, &ts->sim, e);
}

static void stop(void *arg)
{
	struct table_sim *ts = arg;

	for (size_t i = 0; ts->branch_sum && i < sim_n_branches(); i++)
		ts->branch_sum[i] += sim_branch_count(ts->sim, i);
	sim_free(ts->sim);
	ts->sim = NULL;
}

static int packet(void *arg, enum sim_origin origin, const uint8_t *buf, size_t size, struct table_seen *ret,
		  struct err *e)
{
	/* No backend has this address: sim says what is allowed, and does nothing yet. */
	static const struct sim_backend nobody = { { .fam = AF_INET, .bytes = { 255, 255, 255, 255 } }, 1 };
	struct sim_observed observed = { .backend = &nobody };
	struct table_sim *ts = arg;
	struct sim_backend take;
	struct sim_result res;
	int r;

	ret->out_size = sizeof(ret->out);
	r = sim_packet(ts->sim, origin, buf, size, ts->variant ? &observed : NULL, &res, ret->out, &ret->out_size);
	if (r == -ESRCH && res.n_allowed > 0) {
		take = res.allowed[(ts->variant - 1) % res.n_allowed];
		observed.backend = &take;
		ret->out_size = sizeof(ret->out);
		r = sim_packet(ts->sim, origin, buf, size, &observed, &res, ret->out, &ret->out_size);
	}
	if (r < 0)
		return err_set_errno(e, r, NULL, "sim_packet");
	ret->verdict = res.verdict;
	ret->reason = res.reason;
	return 0;
}

static int update(void *arg, const struct snapshot *s, struct err *e)
{
	struct table_sim *ts = arg;
	int r = sim_update(ts->sim, s);

	return r < 0 ? err_set_errno(e, r, NULL, "sim_update") : 0;
}

static int advance(void *arg, uint64_t ns, struct err *e)
{
	struct table_sim *ts = arg;

	(void)e;
	ts->clock.manual_ns += ns;
	return 0;
}

static uint64_t reason_count(void *arg, enum reason r)
{
	struct table_sim *ts = arg;

	return sim_reason_count(ts->sim, r);
}

const struct table_ops table_sim_ops = {
	.name = "sim",
	.knows_reasons = true,
	.start = start,
	.stop = stop,
	.packet = packet,
	.update = update,
	.advance = advance,
	.reason_count = reason_count,
};
