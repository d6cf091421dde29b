/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets as JSON lines (trace_packet_parse_json). What parses must print to a line that parses to the same bytes. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct snapshot *make_snapshot(void)
{
	struct node fill = { .name = "node-a" };
	struct snapshot_edit *ed = NULL;
	struct snapshot *s = NULL;
	struct node *n = NULL;

	if (ip_addr_parse("172.18.0.1", &fill.addr[IP_V4]) < 0 || node_new(&fill, &n, NULL) < 0 ||
	    snapshot_edit_new(NULL, &ed) < 0 || snapshot_edit_put_node(ed, n, NULL) < 0 ||
	    snapshot_edit_commit(ed, &s) < 0)
		abort();
	node_unref(n);
	return s;
}

static void parse_line(const char *line, size_t size, const struct snapshot *s)
{
	const struct node *node = snapshot_node(s, "node-a");
	struct trace_packet first, again;
	struct err e = {};
	char *text = NULL;
	size_t text_size = 0;
	FILE *f;

	if (trace_packet_parse_json(line, size, s, node, &first, &e) < 0) {
		if (!e.text[0])
			abort(); /* every refusal says why */
		return;
	}
	f = open_memstream(&text, &text_size);
	if (!f)
		abort();
	if (trace_packet_print_json(&first, f) < 0 || fclose(f) != 0)
		abort();
	if (trace_packet_parse_json(text, text_size, s, node, &again, NULL) < 0 || again.size != first.size ||
	    again.origin != first.origin || again.after_ms != first.after_ms ||
	    memcmp(again.buf, first.buf, first.size) != 0)
		abort();
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snapshot *s = make_snapshot();
	const char *at = (const char *)data, *end = at + size;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t len = newline ? (size_t)(newline - at) : (size_t)(end - at);

		parse_line(at, len, s);
		at += len + 1;
	}
	snapshot_unref(s);
	return 0;
}
