/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What programs of others print and servers reply: the first byte says which parser the rest is for. None may read past its end, and what it accepts makes sense. */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "measure/load_proto.h"
#include "measure/tool_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int r, const struct tool_result *res, const struct err *e)
{
	if (r < 0) {
		if (!e->text[0])
			abort();
		return;
	}
	if (!isfinite(res->seconds) || res->seconds <= 0 || res->n_done < 0 || res->n_failed < 0 || res->bytes < 0)
		abort();
}

static void one_reply(enum load_kind kind, const uint8_t *data, size_t size)
{
	struct load_reply reply = {};
	/* In a block of its own size, so that a byte too far is seen. */
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	if (load_proto_of(kind)->parse(copy, size, &reply) == 0 && (reply.size == 0 || reply.size > size))
		abort();
	free(copy);
}

static void one_text(uint8_t which, const char *text, size_t size)
{
	struct tool_result res = {};
	struct err e = {};
	struct hist *h;
	uint64_t n = 0;

	switch (which) {
	case 'i':
		check(tool_parse_iperf3(text, size, &res, &e), &res, &e);
		break;
	case 'w':
		check(tool_parse_wrk(text, &res, &e), &res, &e);
		break;
	case 'h':
		check(tool_parse_h2load(text, &res, &e), &res, &e);
		break;
	case 'r':
		check(tool_parse_redis_benchmark(text, 1000, &res, &e), &res, &e);
		break;
	default:
		h = calloc(1, sizeof(*h));
		if (!h)
			abort();
		hist_init(h);
		if (tool_parse_h2load_log(text, h, &n, &e) == 0 && h->count > n)
			abort();
		free(h);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size == 0)
		return 0;
	if (data[0] == 'H' || data[0] == 'R') {
		one_reply(data[0] == 'H' ? LOAD_HTTP : LOAD_REDIS, data + 1, size - 1);
		return 0;
	}
	text = malloc(size);
	if (!text)
		abort();
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	one_text(data[0], text, size - 1);
	free(text);
	return 0;
}
