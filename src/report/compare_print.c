/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A comparison on the terminal, as JSON and as a page. Called by app/. */
#include <errno.h>
#include <inttypes.h>

#include "base/util.h"
#include "compare.h"
#include "html.h"

#define COMPARE_SCHEMA 1
#define ROWS_SHOWN 60 /* on the terminal */

static const char *const ref_text[REF_MAX] = { "none", PEER_NAME };

/* ---- terminal ---- */

static void print_pad(FILE *f, const char *text, int width)
{
	fprintf(f, "%s%*s", text, MAX(width - (int)text_width(text), 0), "");
}

static void print_side(FILE *f, const struct against *vs)
{
	char a[NUM_SIZE], b[NUM_SIZE], text[3 * NUM_SIZE];

	(void)snprintf(text, sizeof(text), "%s [%s] %s", fmt_change(a, vs->ratio.mid),
		       fmt_change_interval(b, &vs->ratio), outcome_name[vs->verdict]);
	print_pad(f, text, 38);
}

static void print_rows(const struct comparison *c, FILE *f, bool only_differing)
{
	size_t n = 0;

	for (size_t i = 0; i < c->rows.n; i++) {
		const struct compare_row *row = &c->rows.v[i];

		if (only_differing ? !row->differ : !row->told || row->differ)
			continue;
		if (n == 0) {
			fprintf(f, "\n%s\n", only_differing ? "verdicts that differ" : "verdicts that agree");
			print_pad(f, "cell", 36);
			print_pad(f, "strategy over", 24);
			print_pad(f, "metric", 22);
			print_pad(f, "A", 38);
			fputs("B\n", f);
		}
		if (n++ >= ROWS_SHOWN)
			continue;
		print_pad(f, row->cell, 36);
		fputc(' ', f);
		{
			char over[200];

			(void)snprintf(over, sizeof(over), "%s / %s", row->strategy, ref_text[row->ref]);
			print_pad(f, over, 23);
		}
		print_pad(f, row->metric, 22);
		print_side(f, &row->side[0]);
		print_side(f, &row->side[1]);
		fputc('\n', f);
	}
	if (n > ROWS_SHOWN)
		fprintf(f, "... and %zu more, on the page\n", n - ROWS_SHOWN);
}

int comparison_print_table(const struct comparison *c, FILE *f)
{
	fprintf(f, "%s\n", c->answer);
	for (int k = 0; k < 2; k++)
		fprintf(f, "%s: %s (%s, %s, %zu rounds%s, commit %s)\n", k ? "B" : "A", c->name[k],
			c->side[k]->run.started, c->side[k]->run.cpu, c->side[k]->n_rounds,
			c->side[k]->run.quick ? ", quick" : "", c->side[k]->run.commit);
	for (size_t i = 0; i < c->winners.n; i++)
		if (c->winners.v[i].changed)
			fprintf(f, "winner changed: %s, %s: %s in A, %s in B\n", c->winners.v[i].cell,
				c->winners.v[i].metric, c->winners.v[i].first[0], c->winners.v[i].first[1]);
	print_rows(c, f, true);
	print_rows(c, f, false);
	for (size_t i = 0; i < MIN(c->refusals.n, (size_t)ROWS_SHOWN); i++)
		fprintf(f, "%snot compared: %s: %s\n", i ? "" : "\n", c->refusals.v[i].what, c->refusals.v[i].why);
	if (c->refusals.n > ROWS_SHOWN)
		fprintf(f, "not compared: ... and %zu more\n", c->refusals.n - ROWS_SHOWN);
	return ferror(f) ? -EIO : 0;
}

/* ---- JSON ---- */

static json_t *side_json(const struct against *vs)
{
	return json_pack("{s:I, s:{s:f, s:f, s:f}, s:s}", "pairs", (json_int_t)vs->n_pairs, "ratio", "mid",
			 vs->ratio.mid, "low", vs->ratio.low, "high", vs->ratio.high, "verdict",
			 outcome_name[vs->verdict]);
}

static json_t *run_json(const struct comparison *c, int k)
{
	const struct run_rec *run = &c->side[k]->run;

	return json_pack("{s:s, s:s, s:s, s:s, s:b}", "name", c->name[k], "run", run->id, "commit", run->commit, "cpu",
			 run->cpu, "quick", run->quick);
}

int comparison_print_json(const struct comparison *c, FILE *f)
{
	json_t *rows = json_array(), *winners = json_array(), *refusals = json_array(), *j;
	int r = 0;

	for (size_t i = 0; i < c->rows.n; i++) {
		const struct compare_row *row = &c->rows.v[i];

		(void)json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:b}", "cell", row->cell,
							    "strategy", row->strategy, "metric", row->metric, "against",
							    ref_text[row->ref], "a", side_json(&row->side[0]), "b",
							    side_json(&row->side[1]), "verdicts_differ", row->differ));
	}
	for (size_t i = 0; i < c->winners.n; i++) {
		const struct compare_winner *w = &c->winners.v[i];

		(void)json_array_append_new(winners,
					    json_pack("{s:s, s:s, s:s, s:s, s:b}", "cell", w->cell, "metric", w->metric,
						      "a", w->first[0], "b", w->first[1], "changed", w->changed));
	}
	for (size_t i = 0; i < c->refusals.n; i++)
		(void)json_array_append_new(refusals, json_pack("{s:s, s:s}", "what", c->refusals.v[i].what, "why",
								c->refusals.v[i].why));
	j = json_pack("{s:i, s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "schema", COMPARE_SCHEMA, "answer",
		      c->answer, "a", run_json(c, 0), "b", run_json(c, 1), "winners_changed", (json_int_t)c->n_changed,
		      "verdicts", (json_int_t)c->n_judged, "verdicts_differing", (json_int_t)c->n_differ,
		      "verdicts_opposed", (json_int_t)c->n_opposed, "winners", winners, "ratios", rows, "not_compared",
		      refusals);
	if (!j)
		return -ENOMEM;
	if (json_dumpf(j, f, JSON_INDENT(2)) < 0 || fputc('\n', f) == EOF)
		r = -EIO;
	json_decref(j);
	return r;
}

/* ---- page ---- */

static void side_td(struct strbuf *sb, const struct against *vs)
{
	static const char *const class[VERDICT_MAX] = { "", "dim", "dim", "tie", "better", "worse" };
	static const char *const mark[VERDICT_MAX] = { "", "too few rounds,", "requests failed,", "tie,", "▲", "▼" };
	char a[NUM_SIZE];

	strbuf_addf(sb, "<td class=\"num %s\">%s %s", class[vs->verdict], mark[vs->verdict],
		    fmt_change(a, vs->ratio.mid));
	strbuf_addf(sb, "<small>%s</small></td>", fmt_change_interval(a, &vs->ratio));
}

static void page_rows(struct strbuf *sb, const struct comparison *c, bool only_differing)
{
	html_table_begin(sb, "Change of a strategy against a reference, with the 95 % interval");
	strbuf_add(
		sb,
		"<thead><tr><th scope=\"col\">cell</th><th scope=\"col\">strategy</th><th scope=\"col\">against</th><th "
		"scope=\"col\">metric</th><th scope=\"col\" class=\"num\">A</th><th scope=\"col\" "
		"class=\"num\">B</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < c->rows.n; i++) {
		const struct compare_row *row = &c->rows.v[i];

		if (only_differing && !row->differ)
			continue;
		strbuf_add(sb, "<tr>");
		html_td(sb, row->cell);
		html_td(sb, row->strategy);
		html_td(sb, ref_text[row->ref]);
		html_td(sb, row->metric);
		side_td(sb, &row->side[0]);
		side_td(sb, &row->side[1]);
		strbuf_add(sb, "</tr>\n");
	}
	html_table_end(sb);
}

static void page_winners(struct strbuf *sb, const struct comparison *c)
{
	html_table_begin(sb, "Who is in first place; changed = nobody is first in both");
	strbuf_add(sb, "<thead><tr><th scope=\"col\">cell</th><th scope=\"col\">metric</th><th scope=\"col\">A</th><th "
		       "scope=\"col\">B</th><th scope=\"col\"></th></tr></thead>\n<tbody>\n");
	for (size_t k = 0; k < 2 * c->winners.n; k++) {
		const struct compare_winner *w = &c->winners.v[k % c->winners.n];

		if (w->changed != (k < c->winners.n)) /* those that changed come first */
			continue;
		strbuf_add(sb, "<tr>");
		html_td(sb, w->cell);
		html_td(sb, w->metric);
		html_td(sb, w->first[0]);
		html_td(sb, w->first[1]);
		strbuf_addf(sb, "<td%s</td></tr>\n",
			    w->changed			     ? " class=\"bad\">changed" :
			    str_eq(w->first[0], w->first[1]) ? ">same" :
							       ">within ties");
	}
	html_table_end(sb);
}

static void page_refusals(struct strbuf *sb, const struct comparison *c)
{
	html_table_begin(sb, "What cannot be compared, and why");
	strbuf_add(sb, "<thead><tr><th scope=\"col\">what</th><th scope=\"col\">why</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < c->refusals.n; i++) {
		strbuf_add(sb, "<tr>");
		html_td(sb, c->refusals.v[i].what);
		html_td(sb, c->refusals.v[i].why);
		strbuf_add(sb, "</tr>\n");
	}
	html_table_end(sb);
}

static void page_head(struct strbuf *sb, const struct comparison *c)
{
	strbuf_add(
		sb,
		"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>OffKube: two "
		"runs compared</title>\n");
	html_style(sb, c->side[0]);
	strbuf_add(sb, "</head>\n<body>\n<header>\n<p class=\"brand\">OffKube, two runs compared</p>\n<h1>");
	strbuf_add_html(sb, c->answer);
	strbuf_add(sb, "</h1>\n");
	for (int k = 0; k < 2; k++) {
		const struct run_rec *run = &c->side[k]->run;

		strbuf_addf(sb, "<p class=\"run\">%s: ", k ? "B" : "A");
		strbuf_add_html(sb, c->name[k]);
		strbuf_add(sb, " · ");
		strbuf_add_html(sb, run->started);
		strbuf_addf(sb, " · %zu rounds%s · commit ", c->side[k]->n_rounds, run->quick ? ", quick" : "");
		strbuf_add_html(sb, run->commit);
		strbuf_add(sb, " · ");
		strbuf_add_html(sb, run->cpu);
		strbuf_addf(sb, ", %" PRId64 " CPUs · kernel ", run->n_cpus);
		strbuf_add_html(sb, run->kernel);
		strbuf_add(sb, "</p>\n");
	}
	strbuf_add(
		sb,
		"<p class=\"note\">Ratios within a run are what travels between runs and machines; absolute figures are not "
		"compared.</p>\n</header>\n<main>\n");
}

int comparison_write_html(const struct comparison *c, const char *dir, struct err *e)
{
	CLEANUP_FREE char *path = str_printf("%s/compare.html", dir);
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	int r;

	if (!path)
		return -ENOMEM;
	page_head(&sb, c);
	strbuf_add(&sb, "<section>\n<h2>Winners</h2>\n");
	if (c->winners.n)
		page_winners(&sb, c);
	else
		strbuf_add(&sb, "<p>There is no contest that both runs have.</p>\n");
	strbuf_add(&sb, "</section>\n<section>\n<h2>Verdicts that differ</h2>\n");
	if (c->n_differ)
		page_rows(&sb, c, true);
	else
		strbuf_add(&sb, "<p>None.</p>\n");
	strbuf_add(&sb, "</section>\n<section>\n<h2>Not compared</h2>\n");
	if (c->refusals.n)
		page_refusals(&sb, c);
	else
		strbuf_add(&sb, "<p>Everything was compared.</p>\n");
	strbuf_add(&sb, "</section>\n<section>\n<h2>All ratios</h2>\n<details><summary>Table</summary>\n");
	page_rows(&sb, c, false);
	strbuf_add(&sb, "</details>\n</section>\n</main>\n</body>\n</html>\n");
	if (sb.failed)
		return err_set(e, -ENOMEM, path, "no memory for the page");
	r = write_file_atomic(path, sb.buf, sb.len);
	return r < 0 ? err_set_errno(e, r, path, "cannot be written") : 0;
}
