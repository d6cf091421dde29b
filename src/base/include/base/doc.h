/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * struct doc: a YAML 1.1 or JSON document as a tree with places, over libyaml. The one parser of manifests.
 *
 * Bounds: nesting at most 64; aliases are expanded by reference (no copy) and cyclic or over 10,000 uses refused;
 * a scalar at most 2 MiB; duplicate keys of a mapping are an error that names both lines. A document is freed as a
 * whole. Aliases may add at most 1,000,000 nodes to what a walk over the tree meets. Merge keys ("<<") are merged.
 */
#ifndef OFFKUBE_BASE_DOC_H
#define OFFKUBE_BASE_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum doc_type { DOC_NULL, DOC_SCALAR, DOC_SEQ, DOC_MAP };

struct doc_node {
	enum doc_type type;
	unsigned int line; /* 1-based */
	bool quoted; /* scalar was quoted: never null, number or bool */
	const char *scalar; /* NUL-terminated, DOC_SCALAR only */
	size_t n; /* children of SEQ or MAP */
	const struct doc_node *const *child; /* MAP: values */
	const char *const *key; /* MAP only */
};

/* What a scalar is by the YAML 1.1 rules that Kubernetes reads manifests with (sigs.k8s.io/yaml):
 * yes/no/on/off/y/n are bools, 0x1f and 017 integers. Quoted ones are strings. DOC_PLAIN_NONE: no scalar. */
enum doc_plain { DOC_PLAIN_NONE, DOC_PLAIN_STR, DOC_PLAIN_BOOL, DOC_PLAIN_INT, DOC_PLAIN_FLOAT };
enum doc_plain doc_plain(const struct doc_node *n); /* NULL is fine */

struct doc_reader;
struct doc;

/* `name` is what messages call the input. The buffer must outlive the reader. */
int doc_reader_new(const char *name, const char *buf, size_t size, struct doc_reader **ret);
void doc_reader_free(struct doc_reader *r);

/* Next document, or next item: the items of a top-level "items" sequence of a mapping whose kind ends in "List"
 * come one by one, each as a document of its own, in bounded memory (if apiVersion and kind stand before items, as
 * API servers write it; otherwise the List comes whole). 1 = *ret_doc set (caller frees), 0 = end, -EINVAL with
 * name:line in err->path, -E2BIG when a bound is passed, -ENOMEM. Empty documents are skipped. */
int doc_reader_next(struct doc_reader *r, struct doc **ret_doc, struct err *e);
void doc_free(struct doc *d);
const struct doc_node *doc_root(const struct doc *d);
/* Kind/apiVersion inherited from the List for a streamed item ("ServiceList" -> "Service"), NULL else. */
const char *doc_list_kind(const struct doc *d);

/* NULL when absent or map is NULL or no mapping. An explicit null counts as absent. */
const struct doc_node *doc_get(const struct doc_node *map, const char *key);

/* Typed reads. Absent: *ret untouched, return 0. Present: 1. Wrong type or range: -EINVAL, `path` and the line in
 * err. A plain scalar that is a number or a bool is no string: Kubernetes refuses it too. */
int doc_get_str(const struct doc_node *map, const char *key, const char *path, const char **ret, struct err *e);
int doc_get_bool(const struct doc_node *map, const char *key, const char *path, bool *ret, struct err *e);
int doc_get_int(const struct doc_node *map, const char *key, const char *path, int64_t min, int64_t max, int64_t *ret,
		struct err *e);
int doc_get_map(const struct doc_node *map, const char *key, const char *path, const struct doc_node **ret,
		struct err *e);
int doc_get_seq(const struct doc_node *map, const char *key, const char *path, const struct doc_node **ret,
		struct err *e);
/* Writes "line N: path" style place into err for a semantic error found by the caller. */
int doc_err(const struct doc_node *at, const char *path, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
