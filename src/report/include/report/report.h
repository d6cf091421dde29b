/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records to what people read: a table on the terminal, report.html (self-contained, SVG by gnuplot inside), and for each figure the .csv and .gp beside it. Needs
 * no live system and nothing but records.jsonl.
 */
#ifndef OFFKUBE_REPORT_REPORT_H
#define OFFKUBE_REPORT_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"

struct report; /* records read and evaluated */

/* DIR/records.jsonl. -EINVAL names file:line for a record that is not as docs/records.md says; a cut last line (killed run) is survived and noted. */
int report_load(const char *dir, struct report **ret, struct err *e);
void report_free(struct report *r);
/* The answer in one sentence, owned by the report. */
const char *report_answer(const struct report *r);
int report_print_table(const struct report *r, FILE *f, bool colour);
/* Writes report.html, *.csv, *.gp, *.svg into dir. Without gnuplot the page holds the tables and says so. */
int report_write_html(const struct report *r, const char *dir, struct err *e);
int report_print_json(const struct report *r, FILE *f);

/*
 * Two runs or machines: ratio by ratio and winner by winner; what is not comparable is refused with its reason. Both reports and names must
 * outlive the comparison.
 */
struct comparison;
int report_compare(const struct report *a, const char *name_a, const struct report *b, const char *name_b,
		   struct comparison **ret);
void comparison_free(struct comparison *c); /* NULL is fine */
int comparison_print_table(const struct comparison *c, FILE *f);
int comparison_print_json(const struct comparison *c, FILE *f);
int comparison_write_html(const struct comparison *c, const char *dir, struct err *e); /* DIR/compare.html */

#endif
