/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packet table on real kube-proxy: each row in scratch namespaces, through the rules that it writes.
 *
 * Where kube-proxy does otherwise than sim, the row is in the list below with what the table says of it, and why. A row of the list that passes,
 * or fails in another way, fails the test, as does a failing row that is not in it. docs/equivalence.md explains them.
 *
 * Rows may be named as arguments, for the mutations: then only they are run, in this order, up to the first that fails.
 */
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "packet/table_live.h"

/* How often a row whose difference is a matter of chance is run: it passes one time in three. */
#define CHANCES 14

static const struct difference {
	const char *row, *said, *why;
	bool by_chance;
} differences[] = {
	{ "affinity-backend-gone-and-back", "the backend is none of those allowed",
	  "the memory of an endpoint goes with the endpoint", true },
	{ "hairpin-of-an-endpoint-without-node", "OUT has the wrong source",
	  "endpoints are here when their nodeName says so, not by their address", false },
	{ "hairpin-without-pod-cidr", "OUT has the wrong source", "as above: the node of the endpoint is another",
	  false },
	{ "foreign-hairpin-without-pod-cidr", "OUT has the wrong source", "as above", false },
	{ "udp-scaled-to-zero", "verdict translate",
	  "UDP entries of a Service without endpoints stay (kubernetes 139628)", false },
	{ "udp-does-not-outlive-its-service", "verdict translate", "UDP entries of a Service that is gone stay",
	  false },
	{ "udp-does-not-outlive-its-port", "verdict translate", "UDP entries of a port that is gone stay", false },
	{ "udp-to-deleted-and-made-again", "verdict translate", "UDP entries of a Service without endpoints stay",
	  false },
	{ "unanswered-ping-begun-before-the-service", "verdict reject",
	  "the filter chains reject what nobody has answered yet", false },
};

static const struct difference *difference_of(const char *row)
{
	for (size_t i = 0; i < ARRAY_LEN(differences); i++)
		if (str_eq(differences[i].row, row))
			return &differences[i];
	return NULL;
}

static void run_row(const struct table *t, size_t row, const struct table_ops *ops, struct table_result *ret)
{
	const struct difference *d = difference_of(table_row_name(t, row));

	for (int i = 0; i < (d && d->by_chance ? CHANCES : 1); i++) {
		struct table_live live = { .target = "kube-proxy" };

		table_run(t, row, ops, &live, ret);
		if (ret->status != TABLE_PASSED)
			return;
	}
}

/* True when the row went as it should, or as the list says. */
static bool as_expected(const char *row, const struct table_result *res)
{
	const struct difference *d = difference_of(row);

	if (res->status == TABLE_SKIPPED)
		return true;
	if (!d)
		return res->status == TABLE_PASSED;
	if (res->status == TABLE_PASSED) {
		fprintf(stderr, "FAILED: row %s passes; it is listed as different: %s\n", row, d->why);
		return false;
	}
	return strstr(res->text, d->said) != NULL;
}

static int run_named(const struct table *t, const struct table_ops *ops, char **names)
{
	for (; *names; names++) {
		struct table_result res = { .status = TABLE_FAILED, .text = "no such row" };

		for (size_t i = 0; i < table_n_rows(t); i++)
			if (str_eq(table_row_name(t, i), *names))
				run_row(t, i, ops, &res);
		if (res.status != TABLE_PASSED) {
			fprintf(stderr, "FAILED: %s: %s\n", *names, res.text);
			return 1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct table_ops ops = table_live_ops("kube-proxy");
	size_t n_same = 0, n_differ = 0, n_skipped = 0, n_wrong = 0;
	struct table *t = NULL;
	int r = table_live_begin("kube-proxy", &t);

	if (r)
		return r;
	ops.icmp_for_tcp = true; /* the one difference that is everywhere */
	if (argc > 1) {
		r = run_named(t, &ops, argv + 1);
		table_free(t);
		return r;
	}
	for (size_t i = 0; i < table_n_rows(t); i++) {
		struct table_result res;

		run_row(t, i, &ops, &res);
		if (!as_expected(table_row_name(t, i), &res)) {
			n_wrong++;
			fprintf(stderr, "FAILED: %s\n", res.text);
			continue;
		}
		n_same += res.status == TABLE_PASSED;
		n_differ += res.status == TABLE_FAILED;
		n_skipped += res.status == TABLE_SKIPPED;
		if (res.status == TABLE_SKIPPED)
			fprintf(stderr, "skipped: %s\n", res.text);
	}
	printf("%zu rows as sim, %zu differ as listed, %zu skipped, %zu wrong\n", n_same, n_differ, n_skipped, n_wrong);
	for (size_t i = 0; i < ARRAY_LEN(differences); i++)
		printf("differs: %s: %s\n", differences[i].row, differences[i].why);
	table_free(t);
	return n_wrong > 0 || n_same < 60 || n_differ != ARRAY_LEN(differences);
}
