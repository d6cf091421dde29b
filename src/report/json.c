/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine-readable summary. Called by app/. */
#include <errno.h>

#include "report_int.h"

int report_print_json(const struct report *r, FILE *f)
{
	json_t *j = json_pack("{s:s, s:s}", "answer", r->answer, "status", run_status_name[r->status]);
	int ret = j && json_dumpf(j, f, JSON_INDENT(2)) == 0 && fputc('\n', f) != EOF ? 0 : -EIO;

	json_decref(j);
	return ret;
}
