/* SPDX-License-Identifier: GPL-2.0-or-later */
/* offkube report: the table and the page of a run, made again from its records alone; or two runs compared. */
#include <unistd.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/util.h"
#include "report/report.h"

DEFINE_CLEANUP(struct report *, report_free);
DEFINE_CLEANUP(struct comparison *, comparison_free);

static int compare(const char *const *dirs, const char *out, bool json)
{
	CLEANUP(report_freep) struct report *a = NULL, *b = NULL;
	CLEANUP(comparison_freep) struct comparison *c = NULL;
	struct err e = {};
	int r = report_load(dirs[0], &a, &e);

	if (r == 0)
		r = report_load(dirs[1], &b, &e);
	if (r == 0)
		r = report_compare(a, dirs[0], b, dirs[1], &c);
	if (r == 0)
		r = comparison_write_html(c, out, &e);
	if (r == 0)
		r = json ? comparison_print_json(c, stdout) : comparison_print_table(c, stdout);
	if (r < 0)
		return app_fail(&e, r);
	if (!json)
		printf("page: %s/compare.html\n", out);
	return APP_OK;
}

int cmd_report(int argc, char **argv)
{
	CLEANUP(report_freep) struct report *rep = NULL;
	bool json = false, two = false, done;
	const char *args[2], *out = NULL;
	size_t n_args = 0;
	const struct opt opts[] = {
		{ "compare", OPT_FLAG, NULL, "compare two runs, or the same run on two machines: A and B", &two, 0, 0 },
		{ "out", OPT_STR, "DIR", "where compare.html goes (default: the second DIR)", &out, 0, 0 },
		{ "json", OPT_FLAG, NULL, "machine-readable summary on standard output", &json, 0, 0 },
	};
	const struct opt_command cmd = {
		.name = "report",
		.summary =
			"Makes report.html and the figures again from DIR/records.jsonl, and prints the table; or compares two runs.",
		.usage = "offkube report DIR [--json] | offkube report --compare DIR DIR [--out DIR] [--json]",
		.examples = "  offkube report out/2026-11-23T10-00-00\n"
			    "  offkube report --compare out/2026-11-23T10-00-00 out/2026-11-24T10-00-00\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
		.max_args = ARRAY_LEN(args),
	};
	struct err e = {};
	int r = app_parse(&cmd, argc, argv, args, &n_args, &done);

	if (done)
		return r;
	if (n_args != (two ? 2 : 1) || (out && !two)) {
		fprintf(stderr, "usage: %s\n", cmd.usage);
		return APP_USAGE;
	}
	if (two)
		return compare(args, out ? out : args[1], json);
	r = report_load(args[0], &rep, &e);
	if (r == 0)
		r = report_write_html(rep, args[0], &e);
	if (r == 0)
		r = json ? report_print_json(rep, stdout) : report_print_table(rep, stdout, isatty(STDOUT_FILENO));
	if (r < 0)
		return app_fail(&e, r);
	if (!json)
		printf("page: %s/report.html\n", args[0]);
	return APP_OK;
}
