/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counts of random runs as files (histogram.h). */
#include "histogram.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"
#include "target_sim/sim.h"

static char *folder(void)
{
	const char *build = getenv("OFFKUBE_BUILD_DIR");

	return build ? str_printf("%s/histogram", build) : NULL;
}

static char *path_of(const char *suite)
{
	CLEANUP_FREE char *dir = folder();

	return dir ? str_printf("%s/%s.json", dir, suite) : NULL;
}

void histogram_forget(const char *suite)
{
	CLEANUP_FREE char *path = path_of(suite);

	if (path)
		(void)unlink(path); /* mostly there is none */
}

static void put(struct strbuf *sb, const char **comma, const char *name, uint64_t n)
{
	strbuf_addf(sb, "%s\n\t\"%s\": %" PRIu64, *comma, name, n);
	*comma = ",";
}

static void put_all(struct strbuf *sb, const struct histogram *h)
{
	const char *comma = "";

	strbuf_addf(sb, "{\"asked\": %" PRIu64 ", \"misses\": %" PRIu64 ", \"verdict\": {", h->asked,
		    h->reason[REASON_NOT_SERVICE]);
	for (int i = 0; i < VERDICT_MAX; i++)
		put(sb, &comma, verdict_name((enum verdict)i), h->verdict[i]);
	strbuf_add(sb, "}, \"reason\": {");
	comma = "";
	for (int i = 0; i < REASON_MAX; i++)
		put(sb, &comma, reason_name((enum reason)i), h->reason[i]);
	strbuf_add(sb, "}, \"branch\": {");
	comma = "";
	for (size_t i = 0; i < sim_n_branches(); i++)
		put(sb, &comma, sim_branch_name(i), h->branch[i]);
	strbuf_add(sb, "}}\n");
}

static int write_to(const char *suite, const struct strbuf *sb)
{
	CLEANUP_FREE char *dir = folder();
	CLEANUP_FREE char *path = path_of(suite);
	int r;

	if (!dir || !path)
		return getenv("OFFKUBE_BUILD_DIR") ? -ENOMEM : 0;
	r = mkdir_all(dir, 0755);
	if (r < 0 || sb->failed)
		return r < 0 ? r : -ENOMEM;
	return write_file_atomic(path, sb->buf, sb->len);
}

int histogram_write(const char *suite, const struct histogram *h)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;

	put_all(&sb, h);
	return write_to(suite, &sb);
}

int histogram_write_counts(const char *file, const struct histogram_count *c, size_t n)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	const char *comma = "{";

	for (size_t i = 0; i < n; i++)
		put(&sb, &comma, c[i].name, c[i].n);
	strbuf_add(&sb, "}\n");
	return write_to(file, &sb);
}
