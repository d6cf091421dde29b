/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packet table on the nft target: each row in scratch namespaces, through the real netfilter.
 * Rows that wait longer than a live test may are skipped, and counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "base/util.h"
#include "packet/table.h"
#include "trace/trace.h"

/* In all, a row waits no longer than this. */
#define WAIT_MAX_NS (2 * NSEC_PER_SEC)

struct live {
	struct trace_runner *runner;
	uint32_t after_ms; /* before the next packet */
};

static int start(void *arg, const struct snapshot *s, const char *node, struct err *e)
{
	struct live *live = arg;

	live->after_ms = 0;
	return trace_live_open(target_find("nft"), s, node, &live->runner, NULL, e);
}

static void stop(void *arg)
{
	struct live *live = arg;

	trace_close(live->runner);
	live->runner = NULL;
}

static int packet(void *arg, enum sim_origin origin, const uint8_t *buf, size_t size, struct table_seen *ret,
		  struct err *e)
{
	struct live *live = arg;
	struct trace_packet p = { .origin = (enum trace_origin)origin, .after_ms = live->after_ms, .size = size };
	struct trace_result res = {};
	int r;

	if (size == 0 || size > sizeof(p.buf))
		return err_set(e, -EOPNOTSUPP, NULL, "no device carries %zu bytes", size);
	memcpy(p.buf, buf, size);
	r = trace_run(live->runner, &p, &res, e);
	if (r < 0)
		return r;
	live->after_ms = 0;
	ret->verdict = res.verdict;
	ret->reason = res.reason;
	ret->ttl_less = res.forwarded;
	ret->out_size = res.out_size;
	memcpy(ret->out, res.out_buf, res.out_size);
	return 0;
}

static int update(void *arg, const struct snapshot *s, struct err *e)
{
	struct live *live = arg;

	return trace_update(live->runner, s, e);
}

static int advance(void *arg, uint64_t ns, struct err *e)
{
	struct live *live = arg;

	if (ns > WAIT_MAX_NS)
		return err_set(e, -EOPNOTSUPP, NULL, "waits too long for a live target");
	live->after_ms += (uint32_t)(ns / NSEC_PER_MSEC);
	return 0;
}

static const struct table_ops ops = {
	.name = "nft",
	.routes = true,
	.start = start,
	.stop = stop,
	.packet = packet,
	.update = update,
	.advance = advance,
};

int main(void)
{
	const char *top = getenv("OFFKUBE_SOURCE_DIR");
	char *dir = str_printf("%s/tests/packet/table", top ? top : ".");
	size_t count[3] = {};
	struct table *t = NULL;
	struct live first = {};
	struct err e = {};
	int r;

	if (!dir || table_load(dir, &t, &e) < 0) {
		fprintf(stderr, "%s: %s\n", e.path, e.text);
		return 1;
	}
	free(dir);
	r = start(&first, table_model(t, "shop"), "n1", &e);
	stop(&first);
	if (r == -EPERM || r == -EOPNOTSUPP) {
		printf("SKIP: %s\n", e.text);
		table_free(t);
		return 77;
	}
	for (size_t i = 0; i < table_n_rows(t); i++) {
		struct live live = {};
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
