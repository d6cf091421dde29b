/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of the page. Private to report/. */
#ifndef OFFKUBE_REPORT_HTML_H
#define OFFKUBE_REPORT_HTML_H

#include "figure.h"

/* html_style.c: the style sheet, with the colours of the strategies. */
void html_style(struct strbuf *sb, const struct report *r);
/* html_answer.c */
void html_winners(struct strbuf *sb, const struct report *r);
void html_answer(struct strbuf *sb, const struct report *r);
/* html_exp.c */
void html_experiments(struct strbuf *sb, const struct report *r);
void html_published(struct strbuf *sb, const struct report *r);
/* html_tables.c */
void html_map(struct strbuf *sb, const struct report *r);
void html_cells(struct strbuf *sb, const struct report *r);
/* html_facts.c */
void html_reach(struct strbuf *sb, const struct report *r);
void html_left_out(struct strbuf *sb, const struct report *r);
void html_proof(struct strbuf *sb, const struct report *r);
void html_method(struct strbuf *sb, const struct report *r);
void html_machine(struct strbuf *sb, const struct report *r);
/* html_figures.c */
void html_figures(struct strbuf *sb, const struct report *r, const struct figures *f);
void html_remake(struct strbuf *sb, const struct report *r, const struct figures *f);

/* html.c. "<td>text</td>" with the text escaped. */
void html_td(struct strbuf *sb, const char *text);
void html_td_num(struct strbuf *sb, const char *text);
/* The strategy's name with its colour and, when not real, the mark of its kind. */
void html_strategy(struct strbuf *sb, const struct report *r, size_t strategy, enum kind kind);
/* Opens a table that scrolls sideways on narrow screens; the caption is escaped. Closed by html_table_end. */
void html_table_begin(struct strbuf *sb, const char *caption);
void html_table_end(struct strbuf *sb);

#endif
