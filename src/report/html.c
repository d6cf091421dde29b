/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report.html. Called by app/. */
#include <errno.h>
#include <stdlib.h>

#include "report_int.h"

int report_write_html(const struct report *r, const char *dir, struct err *e)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	CLEANUP_FREE char *path = str_printf("%s/report.html", dir);
	int ret;

	strbuf_add(&sb, "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><title>OffKube</title><p>");
	strbuf_add_html(&sb, r->answer);
	strbuf_add(&sb, "</p></html>\n");
	if (sb.failed || !path)
		return -ENOMEM;
	ret = write_file_atomic(path, sb.buf, sb.len);
	return ret < 0 ? err_set_errno(e, ret, path, "cannot be written") : 0;
}
