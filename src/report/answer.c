/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sentence that the page and the table open with, and what must stand beside it on every page. Called by load.c and the printers.
 *
 * 1. Two or more strategies with Services: who wins how many cells, then the leader against the incumbent and the baseline (no Service at all), all cells
 *    together.
 * 2. One: what it costs against the baseline, load by load.
 * 3. No baseline, or nothing but the baseline, or nothing at all: what was seen, and what cannot be said.
 * Ties are told as ties. What makes the figures doubtful (wrong answers, an interrupted run) comes first.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "answer.h"

/* A strategy against the baseline in one metric, over the cells of a load. */
struct tally {
	size_t n, n_tie, n_better, n_worse;
	double low, high; /* of the cells that are better, or, if there are some, those that are worse */
	struct interval ties; /* the outermost ends of the ties' ratio intervals: so much can be said */
	const struct against *only; /* the last one; the only one when n == 1 */
	const struct cell *cell; /* of `only` */
};

static void tally_add(struct tally *t, const struct against *est, enum metric m)
{
	double v = m == METRIC_CPU ? est->ratio.mid - 1 : est->diff.mid;
	bool worse = est->verdict == VERDICT_WORSE;

	t->n++;
	if (est->verdict == VERDICT_TIE) {
		t->ties.low = t->n_tie ? MIN(t->ties.low, est->ratio.low) : est->ratio.low;
		t->ties.high = t->n_tie ? MAX(t->ties.high, est->ratio.high) : est->ratio.high;
		t->n_tie++;
		return;
	}
	if (worse ? t->n_worse == 0 : t->n_better == 0 && t->n_worse == 0) {
		t->low = INFINITY;
		t->high = 0;
	}
	t->n_worse += worse;
	t->n_better += !worse;
	if (!worse && t->n_worse)
		return;
	t->low = MIN(t->low, fabs(v));
	t->high = MAX(t->high, fabs(v));
}

static struct tally make_tally(const struct report *r, size_t strategy, size_t load, enum metric m, enum ref ref)
{
	struct tally t = {};

	for (size_t i = 0; i < r->cells.n; i++) {
		const struct cell *c = &r->cells.v[i];
		const struct estimate *est = cell_estimate(r, c, strategy, m);

		if (c->load != load || !est || est->vs[ref].verdict < VERDICT_TIE)
			continue;
		t.only = &est->vs[ref];
		t.cell = c;
		tally_add(&t, t.only, m);
	}
	return t;
}

/* "3.1 to 5.6 %" of a share, else "2.2 to 4.0 µs"; "4.3 %" when both read alike. */
static void add_range(struct strbuf *sb, bool share, double low, double high)
{
	char a[NUM_SIZE], b[NUM_SIZE];

	if (share) {
		(void)fmt_percent(a, low);
		(void)fmt_percent(b, high);
	} else {
		(void)fmt_value(a, QUANTITY_NS, low);
		(void)fmt_value(b, QUANTITY_NS, high);
	}
	if (str_eq(a, b)) {
		strbuf_add(sb, a);
		return;
	}
	if (str_eq(strrchr(a, ' '), strrchr(b, ' ')))
		*strrchr(a, ' ') = '\0';
	strbuf_addf(sb, "%s to %s", a, b);
}

static void add_one(struct strbuf *sb, const struct tally *t, enum metric m, bool less)
{
	const struct interval *i = m == METRIC_CPU ? &t->only->ratio : &t->only->diff;
	double at = m == METRIC_CPU ? 1 : 0, sign = less ? -1 : 1;

	add_range(sb, m == METRIC_CPU, t->low, t->low);
	strbuf_add(sb, " (");
	add_range(sb, m == METRIC_CPU, sign * ((less ? i->high : i->low) - at),
		  sign * ((less ? i->low : i->high) - at));
	strbuf_add(sb, ")");
}

/* " in 3 of 4 cells (1 tie)"; nothing when there is only one. */
static void add_share(struct strbuf *sb, const struct tally *t, size_t n)
{
	if (t->n == 1)
		return;
	if (n == t->n) {
		strbuf_addf(sb, t->n == 2 ? " in both cells" : " in all %zu cells", t->n);
		return;
	}
	strbuf_addf(sb, " in %zu of %zu cells", n, t->n);
	if (t->n_tie)
		strbuf_addf(sb, " (%zu tie%s)", t->n_tie, t->n_tie > 1 ? "s" : "");
}

/* "adds no CPU per request beyond the noise (a tie: −0.8 to +1.9 %)". */
static void add_ties(struct strbuf *sb, const struct tally *t, enum metric m)
{
	char range[NUM_SIZE];

	strbuf_addf(sb, "adds no %s beyond the noise (", m == METRIC_CPU ? "CPU per request" : "median latency");
	if (t->n == 1)
		strbuf_add(sb, "a tie");
	else if (t->n == 2)
		strbuf_add(sb, "ties in both cells");
	else
		strbuf_addf(sb, "ties in all %zu cells", t->n);
	strbuf_addf(sb, ": %s)", fmt_change_interval(range, &t->ties));
}

/* "costs 4.3 % (3.1 to 5.6 %) more CPU per request" or "adds 3.1 µs (2.2 to 4.0 µs) at the median", and how many cells say so. */
static void add_cost(struct strbuf *sb, const struct tally *t, enum metric m)
{
	bool less = t->n_worse == 0;
	size_t n = less ? t->n_better : t->n_worse;

	if (n == 0) {
		add_ties(sb, t, m);
		return;
	}
	strbuf_add(sb, m == METRIC_CPU ? "costs " : less ? "takes " : "adds ");
	if (t->n == 1)
		add_one(sb, t, m, less);
	else
		add_range(sb, m == METRIC_CPU, t->low, t->high);
	if (m == METRIC_CPU)
		strbuf_addf(sb, " %s CPU per request", less ? "less" : "more");
	else
		strbuf_add(sb, less ? " off the median" : " at the median");
	add_share(sb, t, n);
	if (!less && t->n_better)
		strbuf_addf(sb, " and is better in %zu", t->n_better);
}

/* "costs ... and adds ..."; false when there is nothing to compare. */
static bool add_costs(struct strbuf *sb, const struct report *r, size_t strategy, size_t load, enum ref ref)
{
	struct tally cpu = make_tally(r, strategy, load, METRIC_CPU, ref);
	struct tally p50 = make_tally(r, strategy, load, METRIC_P50, ref);

	if (cpu.n == 0 && p50.n == 0)
		return false;
	if (cpu.n)
		add_cost(sb, &cpu, METRIC_CPU);
	if (cpu.n && p50.n)
		strbuf_add(sb, " and ");
	if (p50.n)
		add_cost(sb, &p50, METRIC_P50);
	return true;
}

static void add_load_name(struct strbuf *sb, const struct report *r, size_t strategy, size_t load)
{
	struct tally t = make_tally(r, strategy, load, METRIC_P50, REF_BOUND);

	if (t.n == 1)
		(void)cell_label(r, t.cell, sb); /* failure is sticky in sb */
	else
		strbuf_add(sb, r->loads.v[load].name);
}

/* The name, with the mark of its kind when it was not this hardware's doing. */
static void add_name(struct strbuf *sb, const struct report *r, size_t strategy)
{
	enum kind kind = KIND_REAL;

	for (size_t i = 0; i < r->cells.n; i++)
		kind = MAX(kind, cell_series(r, &r->cells.v[i], strategy)->kind);
	strbuf_add(sb, r->strategies.v[strategy].name);
	if (kind != KIND_REAL)
		strbuf_addf(sb, " (%s)", record_kind_name[kind]);
}

static bool add_against_base(struct strbuf *sb, const struct report *r, size_t strategy, bool again)
{
	bool any = false;

	for (size_t l = 0; l < r->loads.n; l++) {
		CLEANUP_STRBUF struct strbuf part = STRBUF_INIT;

		if (!add_costs(&part, r, strategy, l, REF_BOUND) || part.failed)
			continue;
		if (any) {
			strbuf_add(sb, "; on ");
			add_load_name(sb, r, strategy, l);
			strbuf_addf(sb, " it %s", part.buf);
		} else {
			strbuf_add(sb, again ? "against no Service at all, " : "Against no Service at all, ");
			add_name(sb, r, strategy);
			strbuf_addf(sb, " %s on ", part.buf);
			add_load_name(sb, r, strategy, l);
		}
		any = true;
	}
	return any;
}

/* ---- several strategies ---- */

struct places {
	size_t n; /* cells in which two or more were ranked */
	size_t n_tie; /* nobody alone in front */
	size_t wins[STRATEGIES_MAX];
	size_t leader; /* most wins; STRATEGIES_MAX = nobody won anything */
};

static struct places make_places(const struct report *r, enum metric m)
{
	struct places p = { .leader = STRATEGIES_MAX };

	for (size_t i = 0; i < r->cells.n; i++) {
		const struct cell *c = &r->cells.v[i];
		bool won = false;

		if (c->n_ranked[m] < 2)
			continue;
		p.n++;
		for (size_t s = 0; s < r->strategies.n; s++) {
			const struct estimate *est = cell_estimate(r, c, s, m);

			if (est && est->best) {
				p.wins[s]++;
				won = true;
			}
		}
		p.n_tie += !won;
	}
	for (size_t s = 0; s < r->strategies.n; s++)
		if (p.wins[s] && (p.leader == STRATEGIES_MAX || p.wins[s] > p.wins[p.leader]))
			p.leader = s;
	return p;
}

static void add_of_cells(struct strbuf *sb, size_t n, size_t of)
{
	if (of == 1)
		strbuf_add(sb, "in the one cell");
	else if (n == of)
		strbuf_addf(sb, of == 2 ? "in both cells" : "in all %zu cells", of);
	else
		strbuf_addf(sb, "in %zu of %zu cells", n, of);
}

/* `before`: who was named just before. */
static void add_places(struct strbuf *sb, const struct report *r, const struct places *p, enum metric m, size_t before)
{
	if (p->leader == STRATEGIES_MAX) {
		strbuf_addf(sb, "nobody alone has %s (ties ", metrics[m].superlative);
		add_of_cells(sb, p->n, p->n);
		strbuf_add(sb, ")");
		return;
	}
	if (p->leader != before)
		strbuf_addf(sb, "%s has ", r->strategies.v[p->leader].name);
	strbuf_addf(sb, "%s ", metrics[m].superlative);
	add_of_cells(sb, p->wins[p->leader], p->n);
	for (size_t s = 0; s < r->strategies.n; s++)
		if (s != p->leader && p->wins[s])
			strbuf_addf(sb, ", %s in %zu", r->strategies.v[s].name, p->wins[s]);
	if (p->n_tie)
		strbuf_addf(sb, " (%zu tie%s)", p->n_tie, p->n_tie > 1 ? "s" : "");
}

static void add_service_names(struct strbuf *sb, const struct report *r, const char *last)
{
	size_t n = 0, at = 0;

	for (size_t s = 0; s < r->strategies.n; s++)
		n += r->strategies.v[s].services && strategy_measured(r, s);
	for (size_t s = 0; s < r->strategies.n; s++)
		if (r->strategies.v[s].services && strategy_measured(r, s)) {
			strbuf_add(sb, at == 0 ? "" : at + 1 == n ? last : ", ");
			add_name(sb, r, s);
			at++;
		}
}

static const enum metric contested[] = { METRIC_CPU, METRIC_CPU_FULL, METRIC_P50 };

static bool is_first(const struct report *r, size_t strategy, enum metric m)
{
	const struct pooled *of = pool_of(r, r->loads.n, strategy, m);

	return of->best || of->tied;
}

/* How many are in first place, all cells together. */
static size_t count_first(const struct report *r, enum metric m)
{
	size_t n = 0;

	for (size_t s = 0; s < r->strategies.n; s++)
		n += is_first(r, s, m);
	return n;
}

/*
 * Who leads in most of the metrics: alone in front of all cells together counts most, then sharing that place while better than the incumbent, then the
 * cells won. Else the first that is not the incumbent.
 */
static size_t find_leader(const struct report *r)
{
	enum { ALONE = 100, SHARED = 10 };
	size_t points[STRATEGIES_MAX] = {}, leader = STRATEGIES_MAX;

	for (size_t k = 0; k < ARRAY_LEN(contested); k++) {
		struct places p = make_places(r, contested[k]);

		for (size_t s = 0; s < r->strategies.n; s++) {
			const struct pooled *of = pool_of(r, r->loads.n, s, contested[k]);

			points[s] += of->best						    ? ALONE :
				     of->tied && of->vs[REF_PEER].verdict == VERDICT_BETTER ? SHARED :
											      0;
		}
		if (p.leader != STRATEGIES_MAX)
			points[p.leader]++;
	}
	for (size_t s = 0; s < r->strategies.n; s++)
		if (strategy_ranked(r, s) && (leader == STRATEGIES_MAX || points[s] > points[leader] ||
					      (points[s] == points[leader] && leader == r->ref[REF_PEER])))
			leader = s;
	return leader;
}

/* "; socket against kube-proxy: CPU −5.2 % (−7.1 to −3.4 %), median latency ... (a tie)". */
static void add_pools(struct strbuf *sb, const struct report *r, size_t strategy, enum ref ref)
{
	char a[NUM_SIZE], b[NUM_SIZE];
	bool any = false;

	for (size_t k = 0; k < ARRAY_LEN(contested); k++) {
		const struct pool *p = &pool_of(r, r->loads.n, strategy, contested[k])->vs[ref];

		if (p->n_cells == 0)
			continue;
		if (any)
			strbuf_add(sb, ", ");
		else
			strbuf_addf(sb, "; %s against %s: ", r->strategies.v[strategy].name,
				    ref == REF_PEER ? PEER_NAME : "no Service at all");
		strbuf_addf(sb, "%s %s (%s%s)", short_name[contested[k]], fmt_change(a, p->ratio.mid),
			    p->verdict == VERDICT_TIE ? "a tie: " : "", fmt_change_interval(b, &p->ratio));
		any = true;
	}
}

/* "socket has the least CPU", "nft and socket share it", "nobody has it alone"; who was named just before is not named again. */
static void add_first(struct strbuf *sb, const struct report *r, enum metric m, size_t *before)
{
	size_t n = count_first(r, m), at = 0, n_ranked = 0;

	for (size_t s = 0; s < r->strategies.n; s++)
		n_ranked += strategy_ranked(r, s);
	if (n == 0 || n == n_ranked) {
		strbuf_addf(sb, "nobody alone has %s", metrics[m].superlative);
		*before = STRATEGIES_MAX;
		return;
	}
	for (size_t s = 0; s < r->strategies.n; s++) {
		if (!is_first(r, s, m) || (n == 1 && s == *before))
			continue;
		strbuf_addf(sb, "%s%s", at == 0 ? "" : at + 1 == n ? " and " : ", ", r->strategies.v[s].name);
		if (++at == n)
			strbuf_add(sb, n == 1 ? " has " : " share ");
		*before = n == 1 ? s : STRATEGIES_MAX;
	}
	strbuf_add(sb, metrics[m].superlative);
}

/* False when nowhere two were ranked. */
static bool add_contest(struct strbuf *sb, const struct report *r)
{
	size_t leader = find_leader(r), before = STRATEGIES_MAX, n = 0, at = 0;
	struct places places[ARRAY_LEN(contested)];

	for (size_t k = 0; k < ARRAY_LEN(contested); k++) {
		places[k] = make_places(r, contested[k]);
		n += places[k].n > 0;
	}
	if (n == 0)
		return false;
	strbuf_add(sb, "Of ");
	add_service_names(sb, r, " and ");
	strbuf_add(sb, r->cells.n > 1 ? ", all cells together, " : ", ");
	for (size_t k = 0; k < ARRAY_LEN(contested); k++) {
		if (places[k].n == 0)
			continue;
		strbuf_add(sb, at == 0 ? "" : at + 1 == n ? " and " : ", ");
		at++;
		if (r->cells.n > 1) {
			add_first(sb, r, contested[k], &before);
			continue;
		}
		add_places(sb, r, &places[k], contested[k], before);
		before = places[k].leader;
	}
	if (leader != r->ref[REF_PEER])
		add_pools(sb, r, leader, REF_PEER);
	add_pools(sb, r, leader, REF_BOUND);
	return true;
}

/* ---- without comparison ---- */

/* "a median latency of 42.0 µs and 25.1 µs CPU per request on echo, same node, IPv4", or the range over the cells. */
static void add_seen(struct strbuf *sb, const struct report *r, size_t strategy)
{
	const struct cell *cell = NULL;
	static const enum metric shown[] = { METRIC_P50, METRIC_CPU };
	size_t n_cells = 0, n_shown = 0;

	for (size_t k = 0; k < ARRAY_LEN(shown); k++) {
		double low = INFINITY, high = 0;
		size_t n = 0;

		for (size_t i = 0; i < r->cells.n; i++) {
			const struct estimate *est = cell_estimate(r, &r->cells.v[i], strategy, shown[k]);

			if (!est)
				continue;
			low = MIN(low, est->median.mid);
			high = MAX(high, est->median.mid);
			cell = &r->cells.v[i];
			n++;
		}
		if (n == 0)
			continue;
		strbuf_add(sb, n_shown++ ? " and " : "");
		strbuf_add(sb, shown[k] == METRIC_P50 ? "a median latency of " : "");
		add_range(sb, false, low, high);
		strbuf_add(sb, shown[k] == METRIC_CPU ? " CPU per request" : "");
		n_cells = MAX(n_cells, n);
	}
	strbuf_add(sb, " on ");
	if (n_cells == 1)
		(void)cell_label(r, cell, sb); /* failure is sticky in sb */
	else
		strbuf_addf(sb, "%zu cells", n_cells);
}

static void add_nothing(struct strbuf *sb, const struct report *r)
{
	if (r->sweeps.n || r->scale.n || r->idle.n || r->faults.n) {
		strbuf_add(sb, "No cell was measured, only experiments");
		return;
	}
	strbuf_add(sb, "Nothing was measured");
	if (r->error)
		strbuf_addf(sb, ": %s", r->error);
	else if (r->status == RUN_INTERRUPTED || r->status == RUN_KILLED)
		strbuf_add(sb, ": the run ended before the first sample");
	else if (r->left_out.n)
		strbuf_addf(sb, ": every cell was left out (%s)", r->left_out.v[0].why);
}

/* A failure of every cell leaves a strategy measured, but without estimates. */
static bool has_estimates(const struct report *r, size_t strategy)
{
	for (size_t i = 0; i < r->cells.n; i++)
		for (int m = 0; m < METRIC_MAX; m++)
			if (cell_estimate(r, &r->cells.v[i], strategy, m))
				return true;
	return false;
}

struct unjudged {
	size_t n_failed, n_few; /* cells that have CPU or latency figures on both sides, but no verdict */
};

static struct unjudged count_unjudged(const struct report *r)
{
	struct unjudged u = {};

	for (size_t i = 0; i < r->cells.n; i++) {
		bool failed = false, few = false;

		for (size_t s = 0; s < r->strategies.n; s++)
			for (int m = METRIC_CPU; m <= METRIC_P50; m++) {
				const struct estimate *est = cell_estimate(r, &r->cells.v[i], s, m);

				failed = failed || (est && est->vs[REF_BOUND].verdict == VERDICT_FAILED);
				few = few || (est && est->vs[REF_BOUND].verdict == VERDICT_FEW);
			}
		u.n_failed += failed;
		u.n_few += few && !failed;
	}
	return u;
}

/* "requests failed on 2 of 4 cells, and 1 has too few rounds". */
static void add_unjudged(struct strbuf *sb, const struct report *r, const struct unjudged *u)
{
	if (u->n_failed)
		strbuf_addf(sb, "requests failed on %zu of %zu cell%s", u->n_failed, r->cells.n,
			    r->cells.n > 1 ? "s" : "");
	if (u->n_few)
		strbuf_addf(sb, u->n_failed ? ", and %zu ha%s too few rounds" : "%zu cell%s too few rounds", u->n_few,
			    u->n_failed ? (u->n_few > 1 ? "ve" : "s") : (u->n_few > 1 ? "s have" : " has"));
}

static void add_uncompared(struct strbuf *sb, const struct report *r, size_t first)
{
	struct unjudged u = count_unjudged(r);

	if (u.n_failed || u.n_few) {
		strbuf_addf(sb, "No strategy can be judged against %s: ", r->strategies.v[r->ref[REF_BOUND]].name);
		add_unjudged(sb, r, &u);
		return;
	}
	if (!has_estimates(r, first)) {
		strbuf_addf(sb, "No request of the load was answered under %s: there is nothing to compare",
			    r->strategies.v[first].name);
		return;
	}
	add_name(sb, r, first);
	strbuf_add(sb, " alone was measured, with ");
	add_seen(sb, r, first);
	strbuf_add(sb,
		   r->strategies.v[first].services ?
			   "; without a strategy that carries no Service beside it, what Services cost cannot be said" :
			   "; without a strategy that carries Services beside it, what Services cost cannot be said");
}

/* Cells that the sentence says nothing of. */
static void add_left_unjudged(struct strbuf *sb, const struct report *r)
{
	struct unjudged u = count_unjudged(r);

	if (!u.n_failed && !u.n_few)
		return;
	strbuf_add(sb, "; not judged: ");
	add_unjudged(sb, r, &u);
}

static void add_body(struct strbuf *sb, const struct report *r)
{
	size_t n_services = 0, first = STRATEGIES_MAX;
	bool any = false;

	for (size_t s = 0; s < r->strategies.n; s++) {
		if (!strategy_measured(r, s))
			continue;
		n_services += r->strategies.v[s].services;
		if (first == STRATEGIES_MAX || (r->strategies.v[s].services && !r->strategies.v[first].services))
			first = s;
	}
	if (first == STRATEGIES_MAX) {
		add_nothing(sb, r);
		return;
	}
	if (n_services > 1 && add_contest(sb, r)) {
		add_left_unjudged(sb, r);
		return;
	}
	for (size_t s = 0; s < r->strategies.n; s++) {
		CLEANUP_STRBUF struct strbuf one = STRBUF_INIT;

		if (!r->strategies.v[s].services || !add_against_base(&one, r, s, any) || one.failed)
			continue;
		strbuf_addf(sb, "%s%s", any ? "; " : "", one.buf);
		any = true;
	}
	if (any)
		add_left_unjudged(sb, r);
	else
		add_uncompared(sb, r, first);
}

static void add_doubts(struct strbuf *sb, const struct report *r)
{
	char a[NUM_SIZE];

	if (r->status == RUN_INTERRUPTED || r->status == RUN_KILLED)
		strbuf_addf(sb,
			    "%s after %zu of %" PRId64 " rounds: ", r->status == RUN_KILLED ? "Killed" : "Interrupted",
			    r->n_rounds, r->run.rounds);
	if (r->n_wrong)
		strbuf_addf(sb, "Not to be trusted, %s request%s answered by a pod that is no backend: ",
			    fmt_count(a, r->n_wrong), r->n_wrong == 1 ? " was" : "s were");
	else if (r->n_reach_failed)
		strbuf_addf(sb, "Not all Services could be reached (%s of %" PRIu64 " questions failed): ",
			    fmt_count(a, r->n_reach_failed), r->n_reach_asked);
}

int report_make_answer(struct report *r)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	size_t body;

	add_doubts(&sb, r);
	body = sb.len;
	add_body(&sb, r);
	/* Behind a colon; names of strategies stay as they are. */
	if (body > 0 && !sb.failed &&
	    (!strncmp(sb.buf + body, "Against ", 8) || !strncmp(sb.buf + body, "No", 2) ||
	     !strncmp(sb.buf + body, "Of ", 3)))
		sb.buf[body] |= 0x20;
	strbuf_add(&sb, ".");
	r->answer = strbuf_take(&sb);
	return r->answer ? report_make_lines(r) : -ENOMEM;
}
