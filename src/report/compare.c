/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compares two runs, or two machines: ratio by ratio, winner by winner. Called by app/ through report_compare().
 *
 * What travels are ratios within a run, so only those are compared: strategy over no Service, and over kube-proxy.
 * 1. Nothing is compared when one run is quick and the other is not.
 * 2. A cell is not compared when only one run has it, when its load was offered differently, or when its workload differs in size.
 * 3. A strategy's ratio is not compared when one run really measured it and the other did not.
 * 4. A winner has changed when nobody is in first place in both; who shares a place in one and not in the other has not changed.
 * 5. So with the winners of all cells of a load, and of all loads (pool.c), when both runs have the same cells of it and rule 2 refuses none.
 */
#include "compare.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "base/util.h"

#define WHY_SIZE 400

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
	char why[WHY_SIZE];
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

/* Rule 2. True: they cannot be compared, and `why` says the reason. */
static bool cell_differs(const struct comparison *c, const struct cell *a, const struct cell *b, char *why, size_t size)
{
	const struct load_rec *la = &c->side[0]->loads.v[a->load], *lb = &c->side[1]->loads.v[b->load];
	const struct workload_rec *wa = &c->side[0]->workloads.v[a->workload],
				  *wb = &c->side[1]->workloads.v[b->workload];

	if (la->unit != lb->unit)
		(void)snprintf(why, size, "the load counts %s in A and %s in B", record_unit_name[la->unit],
			       record_unit_name[lb->unit]);
	else if (la->open != lb->open || la->closed != lb->closed)
		(void)snprintf(why, size, "the load has other modes (open, closed) in A than in B");
	else if (la->offered != lb->offered)
		(void)snprintf(why, size, "the load was offered at %.10g per second in A and %.10g in B", la->offered,
			       lb->offered);
	else if (la->connections != lb->connections)
		(void)snprintf(why, size, "the load ran on %" PRId64 " connections in A and %" PRId64 " in B",
			       la->connections, lb->connections);
	else if (wa->services != wb->services || wa->endpoints != wb->endpoints || wa->nodes != wb->nodes)
		(void)snprintf(why, size,
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

/* Whose first place it is: of a cell, or of all cells of a load. */
struct contest {
	const struct report *r;
	const struct cell *cell; /* NULL: several */
	size_t load; /* of several; r->loads.n = all */
	enum metric m;
};

static bool is_first(const struct contest *t, size_t strategy)
{
	if (strategy >= t->r->strategies.n)
		return false;
	if (!t->cell) {
		const struct pooled *of = pool_of(t->r, t->load, strategy, t->m);

		return of->best || of->tied;
	}
	const struct estimate *est = cell_estimate(t->r, t->cell, strategy, t->m);

	return est && (est->best || est->tied);
}

/* Names in first place, " = " between them; NULL without a contest. */
static char *first_places(const struct contest *t)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;

	if (t->cell && (t->cell->few[t->m] || t->cell->n_ranked[t->m] < 2))
		return NULL;
	for (size_t s = 0; s < t->r->strategies.n; s++)
		if (is_first(t, s))
			strbuf_addf(&sb, "%s%s", sb.len ? " = " : "", t->r->strategies.v[s].name);
	return sb.len ? strbuf_take(&sb) : NULL;
}

static int compare_winner(struct comparison *c, const struct contest *a, const struct contest *b, const char *label,
			  const char *metric)
{
	struct compare_winner w = { .metric = metric, .first = { first_places(a), first_places(b) }, .changed = true };
	int r = 0;

	if (w.first[0] && w.first[1]) {
		for (size_t s = 0; s < a->r->strategies.n; s++)
			if (is_first(a, s) && is_first(b, strategy_named(b->r, a->r->strategies.v[s].name)))
				w.changed = false;
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
	char why[WHY_SIZE];
	int r;

	if (!label)
		return -ENOMEM;
	if (!b)
		return refuse(c, label, "only A has it");
	if (cell_differs(c, a, b, why, sizeof(why)))
		return refuse(c, label, "%s", why);
	r = compare_strategies(c, a, b, label);
	for (size_t k = 0; k < N_TOLD_METRICS && r == 0 && !a->axis; k++) {
		enum metric m = told_metrics[k];

		r = compare_winner(c, &(struct contest){ .r = c->side[0], .cell = a, .m = m },
				   &(struct contest){ .r = c->side[1], .cell = b, .m = m }, label,
				   metric_name(c->side[0], a, m));
	}
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

/* ---- several cells together ---- */

/* `load`: its name, or NULL for all. */
static bool in_pool(const struct report *r, const struct cell *c, const char *load)
{
	return !load || str_eq(r->loads.v[c->load].name, load);
}

/* What the two have of a pool; all counts are of cells. */
struct pool_cells {
	size_t n[2], n_only[2], n_differ;
	size_t n_loads[2];
};

static struct pool_cells count_cells(const struct comparison *c, const char *load)
{
	struct pool_cells count = {};
	char why[WHY_SIZE];

	for (int k = 0; k < 2; k++) {
		const struct report *r = c->side[k];
		bool seen[LOADS_MAX] = {};

		for (size_t i = 0; i < r->cells.n; i++) {
			const struct cell *cell = &r->cells.v[i], *other = same_cell(r, cell, c->side[!k]);

			if (!in_pool(r, cell, load))
				continue;
			count.n[k]++;
			count.n_loads[k] += !seen[cell->load];
			seen[cell->load] = true;
			count.n_only[k] += !other;
			count.n_differ += other && k == 0 && cell_differs(c, cell, other, why, sizeof(why));
		}
	}
	return count;
}

static bool is_contested(const struct cell *c, enum metric m)
{
	return !c->few[m] && c->n_ranked[m] > 0;
}

/* Both let the same cells count for a metric. All cells of the pool are in both. */
static bool judged_alike(const struct comparison *c, const char *load, enum metric m)
{
	const struct report *a = c->side[0];

	for (size_t i = 0; i < a->cells.n; i++) {
		const struct cell *cell = &a->cells.v[i];

		if (in_pool(a, cell, load) && is_contested(cell, m) != is_contested(same_cell(a, cell, c->side[1]), m))
			return false;
	}
	return true;
}

static size_t load_named(const struct report *r, const char *name)
{
	size_t l = 0;

	while (l < r->loads.n && (!name || !str_eq(r->loads.v[l].name, name)))
		l++;
	return l;
}

static int compare_pool_winner(struct comparison *c, const char *load, const char *label, enum metric m)
{
	CLEANUP_FREE char *what = str_printf("%s, %s", label, short_name[m]);
	struct contest t[2];

	if (!judged_alike(c, load, m))
		return refuse(c, what ? what : label, "it is judged in other cells in A than in B");
	for (int k = 0; k < 2; k++)
		t[k] = (struct contest){ .r = c->side[k], .load = load_named(c->side[k], load), .m = m };
	return compare_winner(c, &t[0], &t[1], label, short_name[m]);
}

/* One cell, or one load, says nothing anew: it was compared already. */
static int compare_pool(struct comparison *c, const char *load)
{
	CLEANUP_FREE char *label = load ? str_printf("%s, all its cells", load) : strdup("all loads together");
	struct pool_cells count = count_cells(c, load);
	int r = 0;

	if (!label)
		return -ENOMEM;
	if (load ? count.n[0] < 2 && count.n[1] < 2 : count.n_loads[0] < 2 && count.n_loads[1] < 2)
		return 0;
	if (count.n_only[0] || count.n_only[1] || count.n_differ)
		return refuse(
			c, label,
			"its cells are not the same in both: %zu only in A, %zu only in B, %zu measured differently",
			count.n_only[0], count.n_only[1], count.n_differ);
	for (size_t k = 0; k < N_TOLD_METRICS && r == 0; k++)
		r = compare_pool_winner(c, load, label, told_metrics[k]);
	return r;
}

static int compare_pools(struct comparison *c)
{
	const struct report *a = c->side[0], *b = c->side[1];
	int r = 0;

	for (size_t l = 0; l < a->loads.n && r == 0; l++)
		r = compare_pool(c, a->loads.v[l].name);
	for (size_t l = 0; l < b->loads.n && r == 0; l++)
		if (load_named(a, b->loads.v[l].name) == a->loads.n)
			r = compare_pool(c, b->loads.v[l].name);
	return r < 0 ? r : compare_pool(c, NULL);
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
	if (r == 0)
		r = compare_pools(c);
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
