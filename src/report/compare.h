/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two reports side by side. Private to report/. */
#ifndef OFFKUBE_REPORT_COMPARE_H
#define OFFKUBE_REPORT_COMPARE_H

#include "report_int.h"

/* One ratio in both: what a strategy is against a reference, in one cell and metric. */
struct compare_row {
	char *cell; /* "shop: echo, same node, IPv4", owned */
	const char *strategy, *metric; /* the metric's name */
	bool told; /* of the metrics that the terminal shows */
	enum ref ref;
	struct against side[2];
	bool differ; /* the verdicts, where both have one */
};

/* Who has the first place of a cell and metric in each. */
struct compare_winner {
	char *cell; /* owned */
	const char *metric;
	char *first[2]; /* "nft = socket", owned */
	bool changed; /* nobody is first in both: outside ties */
};

/* What cannot be compared, and why. */
struct compare_refusal {
	char *what, *why; /* owned */
};

struct comparison {
	const struct report *side[2];
	const char *name[2]; /* as the user calls them */
	VEC(struct compare_row) rows;
	VEC(struct compare_winner) winners;
	VEC(struct compare_refusal) refusals;
	size_t n_judged, n_differ,
		n_opposed; /* rows with two verdicts; that differ; better in one, worse in the other */
	size_t n_changed; /* winners */
	char *answer;
};

#endif
