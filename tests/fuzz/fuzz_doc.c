/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The document reader on any bytes. What it gives must be a sound tree: depth and text bounded, keys unique, a walk
 * over it finite in reasonable time; typed reads of each key may fail but not crash. An error must have a place and
 * a text.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/doc.h"

#define NODES_MAX 2000000
#define DEPTH_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition)
{
	if (!condition)
		abort();
}

static void read_typed(const struct doc_node *map, const char *key)
{
	const struct doc_node *n;
	struct err e = { 0 };
	const char *s;
	int64_t v;
	bool b;
	int r;

	(void)doc_get_str(map, key, "p", &s, NULL);
	(void)doc_get_bool(map, key, "p", &b, NULL);
	(void)doc_get_map(map, key, "p", &n, NULL);
	(void)doc_get_seq(map, key, "p", &n, NULL);
	r = doc_get_int(map, key, "p", -10, 70000, &v, &e);
	must(r != 1 || (v >= -10 && v <= 70000));
	must(r >= 0 || (e.code == r && e.path[0] && e.text[0]));
}

static size_t walk(const struct doc_node *n, unsigned int depth)
{
	size_t met = 1;

	must(depth <= DEPTH_MAX && n->line > 0);
	switch (n->type) {
	case DOC_SCALAR:
		must(n->scalar != NULL && strlen(n->scalar) <= 2 << 20);
		must(doc_plain(n) != DOC_PLAIN_NONE);
		break;
	case DOC_MAP:
		for (size_t i = 0; i < n->n && i < 50; i++) {
			must(doc_get(n, n->key[i]) == (n->child[i]->type == DOC_NULL ? NULL : n->child[i]));
			read_typed(n, n->key[i]);
		}
		break;
	default:
		break;
	}
	for (size_t i = 0; i < n->n; i++)
		met += walk(n->child[i], depth + 1);
	must(met < NODES_MAX);
	return met;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct doc_reader *r = NULL;
	struct doc *last = NULL;
	struct doc *d = NULL;
	struct err e = { 0 };
	int code;

	must(doc_reader_new("fuzz", (const char *)data, size, &r) == 0);
	while ((code = doc_reader_next(r, &d, &e)) == 1) {
		(void)walk(doc_root(d), 0);
		/* One document outlives its successor, since items of a List may share nodes. */
		if (last)
			(void)walk(doc_root(last), 0);
		doc_free(last);
		last = d;
	}
	must(code == 0 || (e.code == code && strncmp(e.path, "fuzz:", 5) == 0 && e.text[0]));
	doc_reader_free(r);
	doc_free(last);
	return 0;
}
