/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Throughput against the size of datagrams, to the other node over IPv4: records "sweep", axis "size". Full runs only. Called by eval.c, before the labs go. */
#include <errno.h>
#include <stdio.h>

#include "base/util.h"
#include "eval_int.h"

/* Of a datagram's payload; the last one does not fit the MTU of 1,500. */
static const uint32_t sizes[] = { 64, 128, 256, 512, 1024, 1400, 2800 };

/* NULL: not in this run, or it cannot be measured. */
static const struct eval_cell *find_cell(const struct eval *ev)
{
	for (size_t i = 0; !ev->conf->quick && i < ev->n_cells; i++) {
		const struct eval_cell *c = &ev->cells[i];

		if (c->load == LOAD_BULK_UDP && c->path == PATH_OTHER_NODE && c->family == IP_V4 && !c->why_not[0] &&
		    !c->left_out && c->modes & (1u << MODE_CLOSED))
			return c;
	}
	return NULL;
}

double eval_sweep_size_s(const struct eval *ev)
{
	const struct eval_cell *c = find_cell(ev);

	return c ? eval_slice_s(ev, c, MODE_CLOSED) * ARRAY_LEN(sizes) : 0;
}

static int run_point(struct eval *ev, struct eval_cell *cell, const struct slice *sl, uint32_t round, size_t order,
		     struct err *e)
{
	const struct slice_conf sc = {
		.mode = MODE_CLOSED, .duration_ms = ev->closed_ms, .round = round, .order = order
	};
	json_t *j = NULL;
	int r;

	cell->message_size = sizes[sl->cell];
	r = eval_measure(ev, cell, &ev->arms[sl->arm], &sc, &j, e);
	if (r < 0)
		return r;
	ev->n_wrong += (uint64_t)json_integer_value(json_object_get(j, "wrong"));
	(void)json_object_set_new(j, "axis", json_string("size"));
	(void)json_object_set_new(j, "x", json_integer(sizes[sl->cell]));
	return record_write(ev->rec, "sweep", j, e);
}

/* In each round every size once per arm, in random order; as many rounds as the budget allows. */
int eval_sweep_size(struct eval *ev, uint32_t n_rounds, struct err *e)
{
	const struct eval_cell *found = find_cell(ev);
	struct eval_cell cell;
	int r = 0;

	if (!found)
		return 0;
	cell = *found;
	for (uint32_t round = 0; round < n_rounds && r == 0; round++) {
		struct slice slices[ARRAY_LEN(sizes) * EVAL_ARMS_MAX]; /* .cell is the size */
		size_t n = 0;

		if (ev->conf->budget_s &&
		    eval_rounds_budget_s(ev) < eval_sweep_size_s(ev) * (double)eval_n_live_arms(ev)) {
			char why[80];

			(void)snprintf(why, sizeof(why), "budget: %u rounds of %u", round, n_rounds);
			return eval_left_out(ev, ev->workload->name, "sweep-size", NULL, why, e);
		}
		r = eval_calibrate(ev, 3, e);
		for (size_t s = 0; s < ARRAY_LEN(sizes); s++)
			for (size_t a = 0; a < ev->n_arms; a++)
				if (ev->arms[a].testbed)
					slices[n++] = (struct slice){ .cell = s, .arm = a, .mode = MODE_CLOSED };
		rng_shuffle(&ev->rng, slices, n, sizeof(*slices));
		for (size_t i = 0; i < n && r == 0; i++) {
			r = *ev->conf->stop ? -EINTR : run_point(ev, &cell, &slices[i], round, i, e);
			if (ev->conf->progress && r == 0)
				progress_update(&ev->progress, ev->progress.done + eval_slice_s(ev, &cell, MODE_CLOSED),
						"datagrams of several sizes");
		}
	}
	return r;
}
