/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must stand beside the answer on every page and table: alarms, warnings, and how small the run was. Called by the printers. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>

#include "base/util.h"
#include "report_int.h"

#define BUSY_SHARE_MAX 0.05 /* while calibrating */

struct remarks {
	const struct report *r;
	void (*fn)(enum remark_level level, const char *text, void *arg);
	void *arg;
};

static void say(const struct remarks *k, enum remark_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void say(const struct remarks *k, enum remark_level level, const char *fmt, ...)
{
	char text[1400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	k->fn(level, text, k->arg);
}

struct strategy_sums {
	uint64_t n_sent, n_wrong, n_slices, n_discarded, n_connections, n_ok;
	bool counted;
};

static struct strategy_sums sum_strategy(const struct report *r, size_t strategy)
{
	struct strategy_sums sum = {};

	for (size_t i = 0; i < r->cells.n; i++)
		for (size_t a = 0; a < r->arms.n; a++) {
			const struct series *s = &r->cells.v[i].series[a];

			if (r->arms.v[a].strategy != strategy)
				continue;
			sum.n_sent += s->n_sent;
			sum.n_ok += s->n_ok;
			sum.n_wrong += s->n_wrong;
			sum.n_slices += s->n_samples[MODE_OPEN] + s->n_samples[MODE_CLOSED];
			sum.n_discarded += s->n_discarded;
			sum.n_connections += s->n_connections;
			sum.counted = sum.counted || s->counted;
		}
	return sum;
}

static void say_alarms(const struct remarks *k)
{
	const struct report *r = k->r;
	char a[NUM_SIZE], b[NUM_SIZE];

	for (size_t s = 0; s < r->strategies.n; s++) {
		struct strategy_sums sum = sum_strategy(r, s);

		if (sum.n_wrong)
			say(k, REMARK_ALARM,
			    "Wrong deliveries: under %s, %s of %s requests were answered by a pod that is no backend of the "
			    "Service asked. There must be none; its figures do not count until this is explained.",
			    r->strategies.v[s].name, fmt_count(a, sum.n_wrong), fmt_count(b, sum.n_sent));
		if (sum.counted && sum.n_connections == 0 && sum.n_ok)
			say(k, REMARK_ALARM,
			    "The Service counters of %s saw no connection while %s requests were answered: it is not proven that "
			    "%s carried them.",
			    r->strategies.v[s].name, fmt_count(a, sum.n_ok), r->strategies.v[s].name);
	}
	if (r->n_reach_failed)
		say(k, REMARK_ALARM,
		    "%s of %s questions to Services before the load were not answered rightly; they are listed below.",
		    fmt_count(a, r->n_reach_failed), fmt_count(b, r->n_reach_asked));
	if (r->status == RUN_FAILED)
		say(k, REMARK_ALARM, "The run failed: %s.", r->error ? r->error : "no reason was recorded");
}

#define CPU_CHECK_MAX 0.03 /* of a core */

static void say_cpu_checks(const struct remarks *k)
{
	const struct report *r = k->r;
	const struct cpu_check *worst = NULL;
	size_t n = 0;

	for (size_t i = 0; i < r->cpu_checks.n; i++) {
		const struct cpu_check *c = &r->cpu_checks.v[i];

		if (fabs(c->measured - c->stated) <= CPU_CHECK_MAX)
			continue;
		if (!worst || fabs(c->measured - c->stated) > fabs(worst->measured - worst->stated))
			worst = c;
		n++;
	}
	if (n)
		say(k, REMARK_WARNING,
		    "The CPU meter was more than 3 %% of a core off in %zu of %zu loads of a stated size, at worst %.3f cores where %s "
		    "used %.3f. CPU figures are as doubtful.",
		    n, r->cpu_checks.n, worst->measured, worst->what, worst->stated);
}

static void say_failing(const struct remarks *k)
{
	const struct report *r = k->r;

	for (size_t i = 0; i < r->cells.n; i++)
		for (size_t s = 0; s < r->strategies.n; s++) {
			const struct series *at = cell_series(r, &r->cells.v[i], s);
			CLEANUP_STRBUF struct strbuf label = STRBUF_INIT;

			if (!at || !series_failing(at) || cell_label(r, &r->cells.v[i], &label) < 0)
				continue;
			say(k, REMARK_WARNING,
			    "Failed requests: %s on %s: %" PRIu64 " of %" PRIu64 " (refused %" PRIu64
			    ", timeout %" PRIu64 ", other %" PRIu64
			    "). Its figures there are of the others only: they are shown, not judged.",
			    r->strategies.v[s].name, label.buf, at->n_refused + at->n_timeout + at->n_other, at->n_sent,
			    at->n_refused, at->n_timeout, at->n_other);
		}
}

/* The A/A arm of a refused strategy is refused too. */
static bool refused_before(const struct report *r, size_t at)
{
	const struct refusal *f = &r->refusals.v[at];

	for (size_t i = 0; i < at; i++)
		if (r->refusals.v[i].whole && str_eq(r->refusals.v[i].workload, f->workload) &&
		    str_eq(r->refusals.v[i].strategy, f->strategy))
			return true;
	return false;
}

static void say_warnings(const struct remarks *k)
{
	const struct report *r = k->r;

	if (r->status == RUN_INTERRUPTED)
		say(k, REMARK_WARNING,
		    "This run was interrupted: its figures rest on the %zu of %" PRId64 " rounds that were begun.",
		    r->n_rounds, r->run.rounds);
	if (r->status == RUN_KILLED)
		say(k, REMARK_WARNING,
		    "The records have no end: the run was killed or is still going on. Figures rest on the %zu of %" PRId64
		    " rounds that were begun.",
		    r->n_rounds, r->run.rounds);
	if (r->cut_line)
		say(k, REMARK_WARNING, "The last line of the records (line %zu) is cut and was left out.", r->cut_line);
	for (size_t i = 0; i < r->refusals.n; i++)
		if (r->refusals.v[i].whole && !refused_before(r, i))
			say(k, REMARK_WARNING, "%s could not run here on %s: %s (%s).", r->refusals.v[i].strategy,
			    r->refusals.v[i].workload, r->refusals.v[i].refusal, r->refusals.v[i].detail);
	if (r->n_busy && r->busy_sum / (double)r->n_busy > BUSY_SHARE_MAX)
		say(k, REMARK_WARNING,
		    "The machine was busy with other things while CPU time was calibrated (%.0f %% of it on average): CPU figures are "
		    "noisy, and off either way. Compare strategies within this run only.",
		    100 * r->busy_sum / (double)r->n_busy);
	say_cpu_checks(k);
	say_failing(k);
	if (r->n_reach_notes > r->reach_notes.n || r->n_refusals > r->refusals.n || r->n_left_out > r->left_out.n)
		say(k, REMARK_WARNING, "Lists below are cut at %d entries; the counts are whole.", NOTES_MAX);
}

static bool any_kind(const struct report *r, enum kind kind)
{
	for (size_t i = 0; i < r->cells.n; i++)
		for (size_t a = 0; a < r->arms.n; a++)
			if (r->cells.v[i].series[a].rows.n && r->cells.v[i].series[a].kind == kind)
				return true;
	return false;
}

static bool noise_unknown(const struct report *r)
{
	for (size_t i = 0; i < r->cells.n; i++)
		for (int m = 0; m < METRIC_MAX; m++)
			for (size_t s = 0; s < r->strategies.n; s++)
				if (!r->cells.v[i].noise[m].known && cell_estimate(r, &r->cells.v[i], s, m))
					return true;
	return false;
}

static bool left_out_experiments(const struct report *r)
{
	for (size_t i = 0; i < r->left_out.n; i++)
		if (!r->left_out.v[i].path[0])
			return true;
	return false;
}

static void say_notes(const struct remarks *k)
{
	const struct report *r = k->r;
	char a[NUM_SIZE], b[NUM_SIZE];
	uint64_t n_slices = 0;

	for (size_t s = 0; s < r->strategies.n; s++)
		n_slices += sum_strategy(r, s).n_slices;
	if (r->run.quick && r->n_rounds)
		say(k, REMARK_NOTE,
		    "Quick run: %zu rounds of %" PRId64
		    " ms slices. Good for a first look; for figures to quote, run without --quick.",
		    r->n_rounds, r->run.open_ms);
	else if (r->n_rounds && r->n_rounds < ROUNDS_WANTED)
		say(k, REMARK_NOTE, "%zu rounds only: %d or more are wanted for figures to quote.", r->n_rounds,
		    ROUNDS_WANTED);
	if (r->run.budget_s)
		say(k, REMARK_NOTE, "Budget of %" PRId64 " s: %zu %s%s left out.", r->run.budget_s, r->n_left_out,
		    left_out_experiments(r) ? "cells or experiment" : "cell", r->n_left_out == 1 ? " was" : "s were");
	if (r->n_discarded)
		say(k, REMARK_NOTE,
		    "%s of %s slices had CPU time stolen by the hypervisor (over 2 %%) or no CPU reading, and are left out of "
		    "CPU figures.",
		    fmt_count(a, r->n_discarded), fmt_count(b, n_slices));
	if (r->cells.n && noise_unknown(r))
		say(k, REMARK_NOTE,
		    "Some cells have no A/A pair: a tie there means only that the interval holds no change.");
	for (int kind = KIND_EMULATED; kind < KIND_MAX; kind++)
		if (any_kind(r, kind))
			say(k, REMARK_NOTE,
			    "Arms marked \"%s\" are not this hardware's doing: %s They are shown and not ranked.",
			    record_kind_name[kind],
			    kind == KIND_EMULATED ? "a software stand-in of the device ran." :
						    "their figures come from a device profile.");
}

void report_each_remark(const struct report *r, void (*fn)(enum remark_level level, const char *text, void *arg),
			void *arg)
{
	const struct remarks k = { r, fn, arg };

	say_alarms(&k);
	say_warnings(&k);
	say_notes(&k);
}
