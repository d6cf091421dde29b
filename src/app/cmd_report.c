/* SPDX-License-Identifier: GPL-2.0-or-later */
/* offkube report: the table and the page of a run, made again from its records alone. */
#include <unistd.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/util.h"
#include "report/report.h"

DEFINE_CLEANUP(struct report *, report_free);

int cmd_report(int argc, char **argv)
{
	CLEANUP(report_freep) struct report *rep = NULL;
	bool json = false, done;
	const char *args[1];
	size_t n_args = 0;
	const struct opt opts[] = {
		{ "json", OPT_FLAG, NULL, "machine-readable summary on standard output", &json, 0, 0 },
	};
	const struct opt_command cmd = {
		.name = "report",
		.summary = "Makes report.html and the figures again from DIR/records.jsonl; prints the table.",
		.usage = "offkube report DIR [--json]",
		.examples = "  offkube report out/2026-11-23T10-00-00\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
		.max_args = ARRAY_LEN(args),
	};
	struct err e = {};
	int r = app_parse(&cmd, argc, argv, args, &n_args, &done);

	if (done)
		return r;
	if (n_args != 1) {
		fprintf(stderr, "usage: %s\n", cmd.usage);
		return APP_USAGE;
	}
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
