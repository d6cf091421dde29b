/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sentence that the page and the table open with. Called by load.c. */
#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "report_int.h"

int report_make_answer(struct report *r)
{
	struct strbuf sb = STRBUF_INIT;
	char a[NUM_SIZE], b[NUM_SIZE];

	for (size_t s = 0; s < r->strategies.n; s++) {
		const struct estimate *est = r->cells.n ? cell_estimate(r, &r->cells.v[0], s, METRIC_CPU) : NULL;

		if (est && est->n_pairs)
			strbuf_addf(&sb, "%s%s: %s (%s) CPU per request", sb.len ? "; " : "", r->strategies.v[s].name,
				    fmt_change(a, est->ratio.mid), fmt_change_interval(b, &est->ratio));
	}
	r->answer = strbuf_take(&sb);
	return r->answer ? 0 : -ENOMEM;
}
