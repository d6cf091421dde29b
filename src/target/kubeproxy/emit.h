/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes one API object in one of the formats of Kubernetes: what an object holds is said once (objects.c), with the name of each field for JSON
 * and YAML and its number for protobuf.
 *
 *	struct emit em = { .format = EMIT_JSON, .out = &sb };
 *	emit_begin(&em, NULL, 0);
 *	emit_str(&em, "type", 4, "ClusterIP");
 *	emit_end(&em);
 *
 * Nesting is bounded by EMIT_DEPTH_MAX (asserted: it is the shape of our own objects). An allocation that fails stays in `out`.
 */
#ifndef OFFKUBE_TARGET_KUBEPROXY_EMIT_H
#define OFFKUBE_TARGET_KUBEPROXY_EMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define EMIT_DEPTH_MAX 12

enum emit_format { EMIT_JSON, EMIT_YAML, EMIT_PROTO };

struct emit_frame {
	bool is_list, is_item, used; /* used: something was written into it */
	unsigned int number; /* of a list: the field that its items are */
	size_t start; /* protobuf: where the length stands */
	bool has_length;
};

struct emit {
	enum emit_format format;
	struct strbuf *out;
	size_t depth;
	struct emit_frame frames[EMIT_DEPTH_MAX];
};

/* A message: as a field, as an item of a list (name NULL), or the whole object (name NULL, depth 0). */
void emit_begin(struct emit *em, const char *name, unsigned int number);
void emit_end(struct emit *em);
/* A repeated field. */
void emit_list(struct emit *em, const char *name, unsigned int number);
void emit_list_end(struct emit *em);
/* map<string, string> of one entry. */
void emit_label(struct emit *em, const char *name, unsigned int number, const char *key, const char *value);
/* name NULL: an item of a list. */
void emit_str(struct emit *em, const char *name, unsigned int number, const char *value);
void emit_int(struct emit *em, const char *name, unsigned int number, uint64_t value);
void emit_bool(struct emit *em, const char *name, unsigned int number, bool value);
/* Kubernetes' IntOrString, of an integer. */
void emit_int_or_string(struct emit *em, const char *name, unsigned int number, uint32_t value);

/* A base-128 varint. */
void emit_varint(struct strbuf *sb, uint64_t v);

#endif
