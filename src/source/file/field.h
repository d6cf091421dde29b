/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Typed reads of an object's fields. A struct field is a node with the way to it; it lives on the
 * stack of the reader, so that a path ("spec.ports[2].port") is put together only when a message
 * needs it.
 *
 * All reads: 1 = present, 0 = absent or null (*ret untouched), -EINVAL = wrong type or value, the
 * error is set. Strings belong to the document: load_strdup() or load_intern() what outlives it.
 */
#ifndef OFFKUBE_SOURCE_FILE_FIELD_H
#define OFFKUBE_SOURCE_FILE_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/doc.h"
#include "net/addr.h"

struct object;

struct field {
	const struct object *obj;
	const struct field *up; /* NULL: the object itself */
	const char *key; /* NULL: item `index` of `up` */
	size_t index;
	const struct doc_node *node;
};

int field_map(const struct field *f, const char *key, struct field *ret);
int field_seq(const struct field *f, const char *key, struct field *ret);
/* Any type. */
int field_any(const struct field *f, const char *key, struct field *ret);
/* Numbers and truth values that are not quoted are no strings, as for the API server. */
int field_str(const struct field *f, const char *key, const char **ret);
int field_bool(const struct field *f, const char *key, bool *ret);
int field_int(const struct field *f, const char *key, int64_t min, int64_t max, int64_t *ret);
/*
 * An address that a pod, node or Service can have: no loopback, link-local, multicast or
 * unspecified one.
 */
int field_addr(const struct field *f, const char *key, struct ip_addr *ret);
int field_proto(const struct field *f, const char *key, uint8_t *ret);
/* One of the words; *ret = its index. */
int field_word(const struct field *f, const char *key, const char *const *words, size_t n_words, size_t *ret);

/* Items of a sequence: never absent, an item that is null is an error. */
int field_item(const struct field *seq, size_t index, struct field *ret);
int field_item_map(const struct field *seq, size_t index, struct field *ret);
int field_item_str(const struct field *seq, size_t index, const char **ret);
int field_item_addr(const struct field *seq, size_t index, struct ip_addr *ret);

/* As field_addr, of a text that stands at `key` (may be NULL) of f. 0 or -EINVAL. */
int field_parse_addr(const struct field *f, const char *key, const char *s, struct ip_addr *ret);

/* Child `index` of a mapping, for who walks all of them. 0 = it is null; *ret is set. */
int field_child(const struct field *map, size_t index, struct field *ret);
/* The field's own node as a string. */
int field_self_str(const struct field *f, const char **ret);

/* Is it there and not null? */
bool field_has(const struct field *f, const char *key);
/* A whole number that is not quoted? */
bool field_is_int(const struct field *f);
/* A key of the mapping that is not in the list is an error that names it. */
int field_check_known(const struct field *f, const char *const *known, size_t n_known);

/*
 * Sets the error at `f`, or at its child `key` (may be NULL); the line is that of the nearest node
 * that exists. Returns -EINVAL.
 */
int field_err(const struct field *f, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Texts of unknown length in messages: "%" FIELD_SHOW. */
#define FIELD_SHOW ".40s"

#endif
