/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packet table on the nft target: each row in scratch namespaces, through the real netfilter.
 * Rows that wait longer than a live test may are skipped, and counted.
 */
#include <stdio.h>

#include "packet/table_live.h"

int main(void)
{
	const struct table_ops ops = table_live_ops("nft");
	struct table *t = NULL;
	size_t count[3] = {};
	int r = table_live_begin("nft", &t);

	if (r)
		return r;
	for (size_t i = 0; i < table_n_rows(t); i++) {
		struct table_live live = { .target = "nft" };
		struct table_result res;

		table_run(t, i, &ops, &live, &res);
		count[res.status]++;
		if (res.status != TABLE_PASSED)
			fprintf(stderr, "%s: %s\n", res.status == TABLE_FAILED ? "FAILED" : "skipped", res.text);
	}
	printf("%zu rows passed, %zu failed, %zu skipped\n", count[TABLE_PASSED], count[TABLE_FAILED],
	       count[TABLE_SKIPPED]);
	table_free(t);
	return count[TABLE_FAILED] > 0 || count[TABLE_PASSED] < 60;
}
