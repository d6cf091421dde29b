/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs rows of the packet table on a live target. Called by the tests test_table_TARGET.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/util.h"
#include "table_live.h"

/* In all, a row waits no longer than this. */
#define WAIT_MAX_NS (2 * NSEC_PER_SEC)

static int start(void *arg, const struct snapshot *s, const char *node, struct err *e)
{
	struct table_live *live = arg;

	live->after_ms = 0;
	return trace_live_open(target_find(live->target), s, node, &live->runner, NULL, e);
}

static void stop(void *arg)
{
	struct table_live *live = arg;

	trace_close(live->runner);
	live->runner = NULL;
}

static int packet(void *arg, enum sim_origin origin, const uint8_t *buf, size_t size, struct table_seen *ret,
		  struct err *e)
{
	struct table_live *live = arg;
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
	struct table_live *live = arg;

	return trace_update(live->runner, s, e);
}

static int advance(void *arg, uint64_t ns, struct err *e)
{
	struct table_live *live = arg;

	if (ns > WAIT_MAX_NS)
		return err_set(e, -EOPNOTSUPP, NULL, "waits too long for a live target");
	live->after_ms += (uint32_t)(ns / NSEC_PER_MSEC);
	return 0;
}

struct table_ops table_live_ops(const char *target)
{
	return (struct table_ops){
		.name = target,
		.routes = true,
		.start = start,
		.stop = stop,
		.packet = packet,
		.update = update,
		.advance = advance,
	};
}

int table_live_begin(const char *target, struct table **ret)
{
	const char *top = getenv("OFFKUBE_SOURCE_DIR");
	char *dir = str_printf("%s/tests/packet/table", top ? top : ".");
	struct table_live first = { .target = target };
	struct table *t = NULL;
	struct err e = {};
	int r = dir ? table_load(dir, &t, &e) : -ENOMEM;

	free(dir);
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", e.path, e.text);
		return 1;
	}
	r = start(&first, table_model(t, "shop"), "n1", &e);
	if (r == 0) {
		stop(&first);
		*ret = t;
		return 0;
	}
	table_free(t);
	if (r == -EPERM || r == -EOPNOTSUPP) {
		printf("SKIP: %s\n", e.text);
		return 77;
	}
	fprintf(stderr, "%s: %s\n", e.path, e.text);
	return 1;
}
