/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table on the terminal. Called by app/. */
#include <errno.h>

#include "report_int.h"

int report_print_table(const struct report *r, FILE *f, bool colour)
{
	char a[NUM_SIZE], b[NUM_SIZE], c[NUM_SIZE];

	(void)colour;
	fprintf(f, "%s\n", r->answer);
	for (size_t i = 0; i < r->cells.n; i++)
		for (int m = 0; m < METRIC_MAX; m++)
			for (size_t s = 0; s < r->strategies.n; s++) {
				CLEANUP_STRBUF struct strbuf label = STRBUF_INIT;
				const struct estimate *est = cell_estimate(r, &r->cells.v[i], s, m);

				if (!est || cell_label(r, &r->cells.v[i], &label) < 0)
					continue;
				fprintf(f, "%s  %s  %s  %s [%s]  %s  %s\n", label.buf, metrics[m].name, r->strategies.v[s].name,
					fmt_value(a, m, est->median.mid), fmt_interval(b, m, &est->median),
					est->n_pairs ? fmt_change(c, est->ratio.mid) : "", verdict_name[est->verdict]);
			}
	return ferror(f) ? -EIO : 0;
}
