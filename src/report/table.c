/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table on the terminal: the answer, what makes it doubtful, per metric a row for each cell and strategy, reach, and what was left
 * out. Called by app/.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/util.h"
#include "report_int.h"

#define WRAP_WIDTH 100
#define CELLS_WIDE 16 /* with more cells only the first metrics are printed: one page */
#define LIST_MAX 12

enum ink { INK_PLAIN, INK_BOLD, INK_RED, INK_GREEN, INK_YELLOW, INK_DIM, INK_MAX };

static const char *const ink_code[INK_MAX] = { "0", "1", "31", "32", "33", "2" };

struct out {
	const struct report *r;
	FILE *f;
	bool colour;
	int pending; /* spaces owed before the next column of the row */
};

static void ink_on(const struct out *o, enum ink ink)
{
	if (o->colour && ink != INK_PLAIN)
		fprintf(o->f, "\033[%sm", ink_code[ink]);
}

static void ink_off(const struct out *o, enum ink ink)
{
	if (o->colour && ink != INK_PLAIN)
		fputs("\033[0m", o->f);
}

/* Words within WRAP_WIDTH; lines but the first are indented. */
static void wrapped(const struct out *o, enum ink ink, const char *text, int indent)
{
	size_t column = 0;

	ink_on(o, ink);
	while (*text) {
		size_t len = strcspn(text, " ");
		char word[1100];
		size_t width;

		(void)snprintf(word, sizeof(word), "%.*s", (int)MIN(len, sizeof(word) - 1), text);
		width = text_width(word);
		if (column && column + 1 + width > WRAP_WIDTH) {
			fprintf(o->f, "\n%*s", indent, "");
			column = (size_t)indent;
		} else if (column) {
			fputc(' ', o->f);
			column++;
		}
		fputs(word, o->f);
		column += width;
		text += len + (text[len] == ' ');
	}
	ink_off(o, ink);
	fputc('\n', o->f);
}

/* Padded to `width`: to the left edge, or (negative) to the right one. */
static void column(struct out *o, enum ink ink, int width, const char *text)
{
	int pad = MAX((width < 0 ? -width : width) - (int)text_width(text), 0);

	if (*text) {
		fprintf(o->f, "%*s", o->pending + (width < 0 ? pad : 0), "");
		ink_on(o, ink);
		fputs(text, o->f);
		ink_off(o, ink);
		o->pending = 0;
	}
	o->pending += 2 + (width > 0 || !*text ? pad : 0);
}

static void end_row(struct out *o)
{
	fputc('\n', o->f);
	o->pending = 0;
}

static void print_remark(enum remark_level level, const char *text, void *arg)
{
	static const enum ink ink[] = { INK_DIM, INK_YELLOW, INK_RED };

	wrapped(arg, ink[level], text, 2);
}

static enum ink verdict_ink(enum verdict v)
{
	static const enum ink ink[VERDICT_MAX] = { INK_PLAIN, INK_YELLOW, INK_YELLOW, INK_DIM, INK_GREEN, INK_RED };

	return ink[v];
}

static void strategy_label(const struct report *r, const struct cell *c, size_t strategy, char *buf, size_t size)
{
	const struct series *s = cell_series(r, c, strategy);

	(void)snprintf(buf, size, "%s%s%s%s", r->strategies.v[strategy].name, s->kind == KIND_REAL ? "" : " (",
		       s->kind == KIND_REAL ? "" : record_kind_name[s->kind], s->kind == KIND_REAL ? "" : ")");
}

static void print_row(struct out *o, const struct cell *c, size_t strategy, enum metric m, const char *label,
		      int label_width)
{
	const struct estimate *est = cell_estimate(o->r, c, strategy, m);
	char a[NUM_SIZE], b[NUM_SIZE], text[3 * NUM_SIZE], name[1100];
	const struct noise *noise = &c->noise[m];

	strategy_label(o->r, c, strategy, name, sizeof(name));
	column(o, INK_PLAIN, label_width, label);
	column(o, INK_PLAIN, 12, name);
	column(o, INK_BOLD, -9, fmt_value(a, quantity_of(o->r, c, m), est->median.mid));
	(void)snprintf(text, sizeof(text), "[%s]", fmt_interval(b, quantity_of(o->r, c, m), &est->median));
	column(o, INK_DIM, 20, text);
	if (est->vs[REF_BOUND].n_pairs) {
		column(o, INK_PLAIN, -8, fmt_change(a, est->vs[REF_BOUND].ratio.mid));
		(void)snprintf(text, sizeof(text), "[%s]", fmt_change_interval(b, &est->vs[REF_BOUND].ratio));
		column(o, INK_DIM, 20, text);
		(void)snprintf(text, sizeof(text), "±%s", fmt_percent(a, noise->floor));
		column(o, INK_DIM, -7, noise->known ? text : "?");
		(void)snprintf(text, sizeof(text), "%s%s", outcome_name[est->vs[REF_BOUND].verdict],
			       c->few[m] ? " (slowest request)" : "");
		column(o, verdict_ink(est->vs[REF_BOUND].verdict), 0, text);
	}
	if (est->vs[REF_PEER].n_pairs) {
		(void)snprintf(text, sizeof(text), "%s against %s: %s", fmt_change(a, est->vs[REF_PEER].ratio.mid),
			       PEER_NAME, outcome_name[est->vs[REF_PEER].verdict]);
		column(o, verdict_ink(est->vs[REF_PEER].verdict), 0, text);
	}
	if (c->n_ranked[m] > 1 && (est->best || est->tied))
		column(o, INK_BOLD, 0, est->best ? "best" : "shares first place");
	if (metric_is_cpu(m) && est->vs[REF_BOUND].n_pairs && o->r->strategies.v[strategy].services) {
		(void)snprintf(text, sizeof(text), "Service cost %s",
			       fmt_diff(a, quantity_of(o->r, c, m), est->vs[REF_BOUND].diff.mid));
		column(o, INK_PLAIN, 0, text);
	}
	end_row(o);
}

static void print_head(struct out *o, const struct cell *c, enum metric m, int label_width)
{
	const struct report *r = o->r;
	char against[1100];

	end_row(o);
	column(o, INK_BOLD, label_width, metric_name(r, c, m));
	column(o, INK_DIM, 12, "");
	column(o, INK_DIM, -9, "median");
	column(o, INK_DIM, 20, "[95 %]");
	if (r->ref[REF_BOUND] != STRATEGIES_MAX) {
		(void)snprintf(against, sizeof(against), "against %s", r->strategies.v[r->ref[REF_BOUND]].name);
		column(o, INK_DIM, -8, "change");
		column(o, INK_DIM, 20, "[95 %]");
		column(o, INK_DIM, -7, "noise");
		column(o, INK_DIM, 0, against);
	}
	end_row(o);
}

static void print_metric(struct out *o, enum metric m, enum unit unit, int label_width)
{
	const struct report *r = o->r;
	bool headed = false;

	for (size_t i = 0; i < r->cells.n; i++) {
		CLEANUP_STRBUF struct strbuf label = STRBUF_INIT;
		const char *shown;

		if (r->loads.v[r->cells.v[i].load].unit != unit || cell_label(r, &r->cells.v[i], &label) < 0)
			continue;
		shown = label.buf;
		for (size_t s = 0; s < r->strategies.n; s++) {
			if (!cell_estimate(r, &r->cells.v[i], s, m))
				continue;
			if (!headed)
				print_head(o, &r->cells.v[i], m, label_width);
			headed = true;
			print_row(o, &r->cells.v[i], s, m, shown, label_width);
			shown = "";
		}
	}
}

static void print_metrics(struct out *o)
{
	static const enum metric shown[] = { METRIC_CPU, METRIC_P50, METRIC_CPU_FULL, METRIC_P99, METRIC_RATE };
	const struct report *r = o->r;
	size_t n_shown = r->cells.n > CELLS_WIDE ? 3 : ARRAY_LEN(shown);
	size_t label_width = 0;

	for (int m = 0; m < METRIC_MAX; m++)
		label_width = MAX(label_width, text_width(metrics[m].name));
	for (size_t i = 0; i < r->cells.n; i++) {
		CLEANUP_STRBUF struct strbuf label = STRBUF_INIT;

		if (cell_label(r, &r->cells.v[i], &label) == 0)
			label_width = MAX(label_width, text_width(label.buf));
	}
	for (size_t k = 0; k < n_shown; k++)
		for (int unit = 0; unit < UNIT_MAX; unit++)
			print_metric(o, shown[k], unit, (int)MIN(label_width, (size_t)60));
}

static void print_reach(const struct out *o)
{
	const struct report *r = o->r;
	size_t listed = 0;

	if (r->n_reach_asked || r->n_reach_skipped)
		fputc('\n', o->f);
	for (size_t w = 0; w < r->workloads.n; w++)
		for (size_t s = 0; s < r->strategies.n; s++) {
			const struct reach_sum *sum = &r->reach[w * r->strategies.n + s];

			if (!sum->n_asked && !sum->n_skipped)
				continue;
			fprintf(o->f, "reach: %s, %s: %" PRIu64 " Services, ", r->workloads.v[w].name,
				r->strategies.v[s].name, sum->n_services);
			ink_on(o, sum->n_failed ? INK_RED : INK_GREEN);
			fprintf(o->f, "%" PRIu64 " of %" PRIu64 " questions answered rightly", sum->n_ok, sum->n_asked);
			ink_off(o, sum->n_failed ? INK_RED : INK_GREEN);
			fprintf(o->f, sum->n_skipped ? ", %" PRIu64 " not asked\n" : "\n", sum->n_skipped);
		}
	for (size_t i = 0; i < r->reach_notes.n && listed < LIST_MAX; i++) {
		const struct reach_note *n = &r->reach_notes.v[i];

		if (n->skipped)
			continue;
		fprintf(o->f, "  failed: %s %s:%" PRId64 "/%s %s, %s, under %s: %s%s\n", n->workload, n->service,
			n->port, n->proto, family_text(n->family), path_text(n->path),
			r->strategies.v[n->strategy].name, n->answered_by ? "answered by " : "",
			n->answered_by ? n->answered_by :
			n->why	       ? n->why :
					 "no answer");
		listed++;
	}
	if (r->n_reach_failed > listed)
		fprintf(o->f, "  ... and %" PRIu64 " more\n", r->n_reach_failed - listed);
}

static void print_left_out(const struct out *o)
{
	const struct report *r = o->r;

	if (r->left_out.n || r->refusals.n)
		fputc('\n', o->f);
	for (size_t i = 0; i < MIN(r->left_out.n, (size_t)LIST_MAX); i++) {
		const struct left_out *l = &r->left_out.v[i];

		fprintf(o->f, "left out: %s%s%s%s%s%s%s%s%s: %s\n", l->workload, l->workload[0] ? ": " : "", l->load,
			l->path[0] ? ", " : "", path_text(l->path), l->family[0] ? ", " : "", family_text(l->family),
			l->strategy[0] ? ", under " : "", l->strategy, l->why);
	}
	if (r->n_left_out > LIST_MAX)
		fprintf(o->f, "left out: ... and %zu more\n", r->n_left_out - LIST_MAX);
	for (size_t i = 0, n = 0; i < r->refusals.n && n <= LIST_MAX; i++) {
		const struct refusal *f = &r->refusals.v[i];

		if (f->whole)
			continue;
		if (n++ == LIST_MAX)
			fputs("refused: ... and more\n", o->f);
		else
			fprintf(o->f, "refused: %s: %s %s by %s: %s%s%s%s\n", f->workload, f->object, f->field,
				f->target, f->refusal, f->detail[0] ? " (" : "", f->detail, f->detail[0] ? ")" : "");
	}
}

int report_print_table(const struct report *r, FILE *f, bool colour)
{
	struct out o = { .r = r, .f = f, .colour = colour };

	wrapped(&o, INK_BOLD, r->answer, 0);
	for (size_t i = 0; i < r->lines.n; i++) {
		fputs("- ", f);
		wrapped(&o, INK_PLAIN, r->lines.v[i], 2);
	}
	report_each_remark(r, print_remark, &o);
	print_metrics(&o);
	if (r->cells.n > CELLS_WIDE)
		fprintf(f, "\n%zu cells: the other metrics are on the page.\n", r->cells.n);
	print_reach(&o);
	print_left_out(&o);
	return ferror(f) ? -EIO : 0;
}
