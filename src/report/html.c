/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report.html: one file, nothing fetched, every text of the records escaped. Called by app/. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/util.h"
#include "html.h"

void html_td(struct strbuf *sb, const char *text)
{
	strbuf_add(sb, "<td>");
	strbuf_add_html(sb, text);
	strbuf_add(sb, "</td>");
}

void html_td_num(struct strbuf *sb, const char *text)
{
	strbuf_add(sb, "<td class=\"num\">");
	strbuf_add_html(sb, text);
	strbuf_add(sb, "</td>");
}

void html_strategy(struct strbuf *sb, const struct report *r, size_t strategy, enum kind kind)
{
	strbuf_addf(sb, "<span class=\"dot s%zu\"></span>", strategy);
	strbuf_add_html(sb, r->strategies.v[strategy].name);
	if (kind != KIND_REAL)
		strbuf_addf(sb, "<span class=\"kind\">%s</span>", record_kind_name[kind]);
}

void html_table_begin(struct strbuf *sb, const char *caption)
{
	strbuf_add(sb, "<div class=\"wide\" tabindex=\"0\"><table><caption>");
	strbuf_add_html(sb, caption);
	strbuf_add(sb, "</caption>\n");
}

void html_table_end(struct strbuf *sb)
{
	strbuf_add(sb, "</tbody></table></div>\n");
}

/* What makes the answer doubtful stands above the map, what is only good to know below it. */
struct remarks_to {
	struct strbuf *sb;
	bool notes;
};

static void add_remark(enum remark_level level, const char *text, void *arg)
{
	static const char *const class[] = { "note", "warning", "alarm" };
	struct strbuf *sb = ((struct remarks_to *)arg)->sb;

	if ((level == REMARK_NOTE) != ((struct remarks_to *)arg)->notes)
		return;
	strbuf_addf(sb, "<p class=\"remark %s\"%s>", class[level], level == REMARK_ALARM ? " role=\"alert\"" : "");
	strbuf_add_html(sb, text);
	strbuf_add(sb, "</p>\n");
}

static void add_run_line(struct strbuf *sb, const struct report *r)
{
	strbuf_add(sb, "<p class=\"run\">");
	for (size_t i = 0; i < MIN(r->workloads.n, (size_t)4); i++) {
		const struct workload_rec *w = &r->workloads.v[i];

		strbuf_add(sb, i ? "; " : "Workload ");
		strbuf_add_html(sb, w->name);
		strbuf_addf(sb, " (%" PRId64 " Services, %" PRId64 " endpoints, %" PRId64 " pods on %" PRId64 " nodes)",
			    w->services, w->endpoints, w->pods, w->nodes);
	}
	if (r->workloads.n > 4)
		strbuf_addf(sb, "; and %zu more", r->workloads.n - 4);
	strbuf_addf(sb, " · %zu rounds%s · ", r->n_rounds, r->run.quick ? ", quick" : "");
	strbuf_add_html(sb, r->run.started);
	strbuf_add(sb, " · commit ");
	strbuf_add_html(sb, r->run.commit);
	strbuf_add(sb, " · ");
	strbuf_add_html(sb, r->run.cpu);
	strbuf_addf(sb, ", %" PRId64 " CPUs%s</p>\n", r->run.n_cpus, r->run.is_virtual ? " (virtual machine)" : "");
}

static void add_head(struct strbuf *sb, const struct report *r)
{
	strbuf_add(
		sb,
		"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>OffKube: ");
	for (size_t i = 0; i < r->strategies.n; i++) {
		strbuf_add(sb, i ? ", " : "");
		strbuf_add_html(sb, r->strategies.v[i].name);
	}
	strbuf_add(sb, " on ");
	for (size_t i = 0; i < MIN(r->workloads.n, (size_t)4); i++) {
		strbuf_add(sb, i ? ", " : "");
		strbuf_add_html(sb, r->workloads.v[i].name);
	}
	strbuf_add(sb, "</title>\n");
	html_style(sb, r);
	strbuf_add(sb, "</head>\n<body>\n<header>\n<p class=\"brand\">OffKube evaluation</p>\n<h1>");
	strbuf_add_html(sb, r->answer);
	strbuf_add(sb, "</h1>\n");
	add_run_line(sb, r);
	report_each_remark(r, add_remark, &(struct remarks_to){ sb, false });
	strbuf_add(
		sb,
		"<nav aria-label=\"Sections\"><a href=\"#map\">Winner map</a><a href=\"#figures\">Figures</a><a href=\"#cells\">All "
		"figures as tables</a><a href=\"#reach\">Reach</a><a href=\"#left-out\">Left out</a><a href=\"#method\">Method and threats</a>"
		"<a href=\"#machine\">Machine</a><a href=\"#again\">Make it again</a></nav>\n</header>\n<main>\n");
}

int report_write_html(const struct report *r, const char *dir, struct err *e)
{
	CLEANUP(figures_free) struct figures figures = {};
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	CLEANUP_FREE char *path = str_printf("%s/report.html", dir);
	int ret = path ? figures_make(r, dir, &figures, e) : -ENOMEM;

	if (ret < 0)
		return err_set_errno(e, ret, dir, "the figures cannot be made");
	add_head(&sb, r);
	html_map(&sb, r);
	html_answer(&sb, r);
	report_each_remark(r, add_remark, &(struct remarks_to){ &sb, true });
	html_figures(&sb, r, &figures);
	html_cells(&sb, r);
	html_experiments(&sb, r);
	html_published(&sb, r);
	html_reach(&sb, r);
	html_left_out(&sb, r);
	html_proof(&sb, r);
	html_method(&sb, r);
	html_machine(&sb, r);
	html_remake(&sb, r, &figures);
	strbuf_add(&sb, "</main>\n</body>\n</html>\n");
	if (sb.failed)
		return err_set(e, -ENOMEM, path, "no memory for the page");
	ret = write_file_atomic(path, sb.buf, sb.len);
	return ret < 0 ? err_set_errno(e, ret, path, "cannot be written") : 0;
}
