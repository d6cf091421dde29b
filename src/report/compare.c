/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compares two runs, or two machines: ratio by ratio, winner by winner. Called by app/ through report_compare().
 *
 * What travels are ratios within a run, so only those are compared: strategy over no Service, and over kube-proxy.
 * 1. Nothing is compared when one run is quick and the other is not.
 * 2. A cell is not compared when only one run has it, when its load was offered differently, or when its workload differs in size.
 * 3. A strategy's ratio is not compared when one run really measured it and the other did not.
 * 4. A winner has changed when nobody is in first place in both; who shares a place in one and not in the other has not changed.
 */
#include "compare.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "base/util.h"

void comparison_free(struct comparison *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->rows.n; i++)
		free(c->rows.v[i].cell);
	for (size_t i = 0; i < c->winners.n; i++) {
		free(c->winners.v[i].cell);
		free(c->winners.v[i].first[0]);
		free(c->winners.v[i].first[1]);
	}
	for (size_t i = 0; i < c->refusals.n; i++) {
		free(c->refusals.v[i].what);
		free(c->refusals.v[i].why);
	}
	vec_free(&c->rows);
	vec_free(&c->winners);
	vec_free(&c->refusals);
	free(c->answer);
	free(c);
}

static int refuse(struct comparison *c, const char *what, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int refuse(struct comparison *c, const char *what, const char *fmt, ...)
{
	struct compare_refusal refusal = { .what = strdup(what) };
	char why[400];
	va_list ap;
	int r;

	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	refusal.why = strdup(why);
	r = refusal.what && refusal.why ? vec_push(&c->refusals, refusal) : -ENOMEM;
	if (r < 0) {
		free(refusal.what);
		free(refusal.why);
	}
	return r;
}

/* With the workload always, and the place on the axis of a point. */
static char *label_of(const struct report *r, const struct cell *c)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;

	strbuf_addf(&sb, "%s: %s, %s, %s", r->workloads.v[c->workload].name, r->loads.v[c->load].name,
		    path_text(c->path), family_text(c->family));
	if (c->axis)
		strbuf_addf(&sb, ", %s %.10g", c->axis, c->x);
	return strbuf_take(&sb);
}

static const struct cell *same_cell(const struct report *a, const struct cell *c, const struct report *b)
{
	size_t n = c->axis ? b->sweeps.n : b->cells.n;

	for (size_t i = 0; i < n; i++) {
		const struct cell *o = c->axis ? &b->sweeps.v[i] : &b->cells.v[i];

		if (str_eq(a->workloads.v[c->workload].name, b->workloads.v[o->workload].name) &&
		    str_eq(a->loads.v[c->load].name, b->loads.v[o->load].name) && str_eq(c->path, o->path) &&
		    str_eq(c->family, o->family) && c->x == o->x && (!c->axis || str_eq(c->axis, o->axis)))
			return o;
	}
	return NULL;
}

static size_t strategy_named(const struct report *r, const char *name)
{
	size_t s = 0;

	while (s < r->strategies.n && !str_eq(r->strategies.v[s].name, name))
		s++;
	return s;
}

/* ---- cells ---- */

/* Rule 2. True: refused, or r set. */
static bool cell_differs(struct comparison *c, const struct cell *a, const struct cell *b, const char *label, int *r)
{
	const struct load_rec *la = &c->side[0]->loads.v[a->load], *lb = &c->side[1]->loads.v[b->load];
	const struct workload_rec *wa = &c->side[0]->workloads.v[a->workload],
				  *wb = &c->side[1]->workloads.v[b->workload];

	if (la->unit != lb->unit)
		*r = refuse(c, label, "the load counts %s in A and %s in B", record_unit_name[la->unit],
			    record_unit_name[lb->unit]);
	else if (la->open != lb->open || la->closed != lb->closed)
		*r = refuse(c, label, "the load has other modes (open, closed) in A than in B");
	else if (la->offered != lb->offered)
		*r = refuse(c, label, "the load was offered at %.10g per second in A and %.10g in B", la->offered,
			    lb->offered);
	else if (la->connections != lb->connections)
		*r = refuse(c, label, "the load ran on %" PRId64 " connections in A and %" PRId64 " in B",
			    la->connections, lb->connections);
	else if (wa->services != wb->services || wa->endpoints != wb->endpoints || wa->nodes != wb->nodes)
		*r = refuse(c, label,
			    "the workload has %" PRId64 " Services, %" PRId64 " endpoints and %" PRId64
			    " nodes in A, %" PRId64 ", %" PRId64 " and %" PRId64 " in B",
			    wa->services, wa->endpoints, wa->nodes, wb->services, wb->endpoints, wb->nodes);
	else
		return false;
	return true;
}

static int add_row(struct comparison *c, const char *cell, const struct compare_row *like, const struct estimate *a,
		   const struct estimate *b)
{
	for (int ref = 0; ref < REF_MAX; ref++) {
		struct compare_row row = *like;
		int r;

		if (!a->vs[ref].n_pairs || !b->vs[ref].n_pairs)
			continue;
		row.ref = ref;
		row.side[0] = a->vs[ref];
		row.side[1] = b->vs[ref];
		if (row.side[0].verdict >= VERDICT_TIE && row.side[1].verdict >= VERDICT_TIE) {
			row.differ = row.side[0].verdict != row.side[1].verdict;
			c->n_judged++;
			c->n_differ += row.differ;
			c->n_opposed += row.differ && row.side[0].verdict != VERDICT_TIE &&
					row.side[1].verdict != VERDICT_TIE;
		}
		row.cell = strdup(cell);
		r = row.cell ? vec_push(&c->rows, row) : -ENOMEM;
		if (r < 0) {
			free(row.cell);
			return r;
		}
	}
	return 0;
}

static bool is_told(enum metric m)
{
	for (size_t k = 0; k < N_TOLD_METRICS; k++)
		if (told_metrics[k] == m)
			return true;
	return false;
}

static int compare_strategies(struct comparison *c, const struct cell *a, const struct cell *b, const char *label)
{
	const struct report *ra = c->side[0], *rb = c->side[1];
	int r = 0;

	for (size_t s = 0; s < ra->strategies.n && r == 0; s++) {
		const char *name = ra->strategies.v[s].name;
		size_t other = strategy_named(rb, name);
		const struct series *sa = cell_series(ra, a, s), *sb = cell_series(rb, b, other);

		if (!sa || !sb || !sa->rows.n || !sb->rows.n)
			continue;
		if (sa->kind != sb->kind) {
			CLEANUP_FREE char *what = str_printf("%s, under %s", label, name);

			r = refuse(c, what ? what : label, "it is %s in A and %s in B", record_kind_name[sa->kind],
				   record_kind_name[sb->kind]);
			continue;
		}
		for (int m = 0; m < METRIC_MAX && r == 0; m++) {
			const struct compare_row like = { .strategy = name,
							  .metric = metric_name(ra, a, m),
							  .told = is_told(m) && !a->axis };

			if (sa->est[m].n && sb->est[m].n && !a->few[m] && !b->few[m])
				r = add_row(c, label, &like, &sa->est[m], &sb->est[m]);
		}
	}
	return r;
}

/* ---- winners ---- */

/* Names in first place, " = " between them; NULL without a contest. */
static char *first_places(const struct report *r, const struct cell *c, enum metric m)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;

	if (c->few[m] || c->n_ranked[m] < 2)
		return NULL;
	for (size_t s = 0; s < r->strategies.n; s++) {
		const struct estimate *est = cell_estimate(r, c, s, m);

		if (est && (est->best || est->tied))
			strbuf_addf(&sb, "%s%s", sb.len ? " = " : "", r->strategies.v[s].name);
	}
	return sb.len ? strbuf_take(&sb) : NULL;
}

static bool first_in(const struct report *r, const struct cell *c, enum metric m, const char *name)
{
	const struct estimate *est = cell_estimate(r, c, strategy_named(r, name), m);

	return est && (est->best || est->tied);
}

static int compare_winner(struct comparison *c, const struct cell *a, const struct cell *b, const char *label,
			  enum metric m)
{
	struct compare_winner w = { .metric = metric_name(c->side[0], a, m),
				    .first = { first_places(c->side[0], a, m), first_places(c->side[1], b, m) },
				    .changed = true };
	int r = 0;

	if (w.first[0] && w.first[1]) {
		for (size_t s = 0; s < c->side[0]->strategies.n; s++) {
			const char *name = c->side[0]->strategies.v[s].name;

			if (first_in(c->side[0], a, m, name) && first_in(c->side[1], b, m, name))
				w.changed = false;
		}
		w.cell = strdup(label);
		r = w.cell ? vec_push(&c->winners, w) : -ENOMEM;
		if (r == 0) {
			c->n_changed += w.changed;
			return 0;
		}
	}
	free(w.cell);
	free(w.first[0]);
	free(w.first[1]);
	return r;
}

static int compare_cell(struct comparison *c, const struct cell *a)
{
	const struct cell *b = same_cell(c->side[0], a, c->side[1]);
	CLEANUP_FREE char *label = label_of(c->side[0], a);
	int r = 0;

	if (!label)
		return -ENOMEM;
	if (!b)
		return refuse(c, label, "only A has it");
	if (cell_differs(c, a, b, label, &r))
		return r;
	r = compare_strategies(c, a, b, label);
	for (size_t k = 0; k < N_TOLD_METRICS && r == 0 && !a->axis; k++)
		r = compare_winner(c, a, b, label, told_metrics[k]);
	return r;
}

static int only_in_b(struct comparison *c, const struct cell *b)
{
	CLEANUP_FREE char *label = NULL;

	if (same_cell(c->side[1], b, c->side[0]))
		return 0;
	label = label_of(c->side[1], b);
	return label ? refuse(c, label, "only B has it") : -ENOMEM;
}

/* ---- scale ---- */

static int compare_point(struct comparison *c, const struct scale_point *a)
{
	const char *name = c->side[0]->strategies.v[a->strategy].name;
	const struct scale_point *b =
		scale_find(c->side[1], strategy_named(c->side[1], name), a->nodes, a->services, a->endpoints);
	CLEANUP_FREE char *label = str_printf("scale: %" PRId64 " Services × %" PRId64 " endpoints on %" PRId64
					      " nodes",
					      a->services, a->endpoints, a->nodes);
	int r = 0;

	if (!label)
		return -ENOMEM;
	if (!b) {
		CLEANUP_FREE char *what = str_printf("%s, under %s", label, name);

		return refuse(c, what ? what : label, "only A has it");
	}
	if (a->kind != b->kind) {
		CLEANUP_FREE char *what = str_printf("%s, under %s", label, name);

		return refuse(c, what ? what : label, "it is %s in A and %s in B", record_kind_name[a->kind],
			      record_kind_name[b->kind]);
	}
	for (int m = 0; m < SCALE_MAX && r == 0; m++) {
		const struct compare_row like = { .strategy = name, .metric = scale_metrics[m].name, .told = true };

		if (a->est[m].n && b->est[m].n)
			r = add_row(c, label, &like, &a->est[m], &b->est[m]);
	}
	return r;
}

static int point_only_in_b(struct comparison *c, const struct scale_point *b)
{
	const char *name = c->side[1]->strategies.v[b->strategy].name;
	CLEANUP_FREE char *what = NULL;

	if (scale_find(c->side[0], strategy_named(c->side[0], name), b->nodes, b->services, b->endpoints))
		return 0;
	what = str_printf("scale: %" PRId64 " Services × %" PRId64 " endpoints on %" PRId64 " nodes, under %s",
			  b->services, b->endpoints, b->nodes, name);
	return what ? refuse(c, what, "only B has it") : -ENOMEM;
}

/* ---- the whole ---- */

static int compare_all(struct comparison *c)
{
	const struct report *a = c->side[0], *b = c->side[1];
	int r = 0;

	for (size_t i = 0; i < a->cells.n && r == 0; i++)
		r = compare_cell(c, &a->cells.v[i]);
	for (size_t i = 0; i < b->cells.n && r == 0; i++)
		r = only_in_b(c, &b->cells.v[i]);
	for (size_t i = 0; i < a->sweeps.n && r == 0; i++)
		r = compare_cell(c, &a->sweeps.v[i]);
	for (size_t i = 0; i < b->sweeps.n && r == 0; i++)
		r = only_in_b(c, &b->sweeps.v[i]);
	for (size_t i = 0; i < a->scale.n && r == 0; i++)
		r = compare_point(c, &a->scale.v[i]);
	for (size_t i = 0; i < b->scale.n && r == 0; i++)
		r = point_only_in_b(c, &b->scale.v[i]);
	return r;
}

static char *make_answer(const struct comparison *c)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;

	if (c->rows.n == 0) {
		strbuf_add(&sb, "Nothing can be compared");
	} else {
		if (c->winners.n == 0)
			strbuf_add(&sb, "There is no contest in both");
		else if (c->n_changed == 0)
			strbuf_addf(&sb, "No winner changed outside ties (%zu contests)", c->winners.n);
		else
			strbuf_addf(&sb, "%zu of %zu winners changed outside ties", c->n_changed, c->winners.n);
		strbuf_addf(&sb, "; %zu of %zu verdicts differ, %zu of them better in one and worse in the other",
			    c->n_differ, c->n_judged, c->n_opposed);
	}
	if (c->refusals.n)
		strbuf_addf(&sb, "; %zu thing%s not comparable", c->refusals.n, c->refusals.n > 1 ? "s are" : " is");
	strbuf_add(&sb, ".");
	return strbuf_take(&sb);
}

int report_compare(const struct report *a, const char *name_a, const struct report *b, const char *name_b,
		   struct comparison **ret)
{
	CLEANUP(comparison_freep) struct comparison *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->side[0] = a;
	c->side[1] = b;
	c->name[0] = name_a;
	c->name[1] = name_b;
	if (a->run.quick != b->run.quick)
		r = refuse(c, "everything", "%s is a quick run and %s is not: slices and rounds differ",
			   a->run.quick ? "A" : "B", a->run.quick ? "B" : "A");
	else
		r = compare_all(c);
	if (r < 0)
		return r;
	c->answer = make_answer(c);
	if (!c->answer)
		return -ENOMEM;
	*ret = TAKE_PTR(c);
	return 0;
}
