/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the document reader share. */
#ifndef OFFKUBE_BASE_DOC_IMPL_H
#define OFFKUBE_BASE_DOC_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/doc.h"
#include "base/map.h"
#include "base/vec.h"

#define DOC_DEPTH_MAX 64
#define DOC_ALIASES_MAX 10000
#define DOC_ALIAS_NODES_MAX 1000000
#define DOC_SCALAR_SIZE_MAX ((size_t)2 << 20)
#define DOC_NO_MERGE ((size_t)-1)

/* Another document whose nodes are referred to; only between items of one streamed List. */
struct doc_dep {
	struct doc_dep *next;
	struct doc *doc;
};

/* Reference-counted: the caller, later documents that refer to it, and the reader while an anchor stands in it. */
struct doc {
	struct arena *arena;
	const struct doc_node *root;
	const char *list_kind;
	struct doc_dep *deps;
	unsigned int refs;
};

struct doc_anchor {
	const struct doc_node *node; /* NULL until the node is complete */
	struct doc *doc; /* a reference */
	size_t weight; /* nodes met by a walk, aliases expanded */
	unsigned int height;
};

/* A sequence or mapping that is being read. The vectors keep their memory for the next one. */
struct doc_frame {
	struct doc_node *node;
	struct doc_anchor *anchor;
	VEC(const struct doc_node *) child;
	VEC(const char *) key;
	VEC(unsigned int) key_line;
	bool has_key; /* the last key waits for its value */
	size_t merge_at; /* index of "<<" or DOC_NO_MERGE */
	size_t weight;
	unsigned int height;
};

/* Input of libyaml, see doc_input.c. */
struct doc_input {
	const char *buf;
	size_t size, at;
	bool json;
	bool begun; /* past the white space in front */
	bool escaped; /* an odd number of backslashes stands in front of `at` */
	char pending[16];
	size_t n_pending;
};

struct doc_reader {
	const char *name; /* owned */
	yaml_parser_t parser;
	struct doc_input input;
	bool checked; /* the text was found to be text */
	int failed; /* the error that ended the input */
	bool ended;

	struct doc_frame frames[DOC_DEPTH_MAX];
	unsigned int depth;
	struct map *anchors; /* name -> struct doc_anchor */
	unsigned int n_aliases;
	size_t alias_nodes;

	struct doc *head; /* a List whose items are being streamed, else NULL */
	const char *item_kind; /* in head's arena, or NULL */
};

/* Fails with "name:line". */
int doc_fail(const struct doc_reader *r, size_t line, int code, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

struct doc *doc_new(void);
struct doc *doc_ref(struct doc *d);

/* doc_input.c */
void doc_input_init(struct doc_input *in, const char *buf, size_t size);
/* The yaml_read_handler_t of a struct doc_input. */
int doc_input_read(void *input, unsigned char *buf, size_t size, size_t *ret_size);
/* -EINVAL with the line of the first byte that no YAML text can hold. */
int doc_input_check(const struct doc_reader *r, struct err *e);

/* doc_build.c: feeds one event. When the depth is back at `base` after it, d->root is set. */
int doc_build_event(struct doc_reader *r, struct doc *d, unsigned int base, const yaml_event_t *ev, struct err *e);
/* Puts an empty sequence as the value of the last key of the innermost mapping. */
int doc_build_placeholder(struct doc_reader *r, struct doc *d, unsigned int line, struct err *e);
void doc_build_forget_anchors(struct doc_reader *r);
/* Is the innermost frame a mapping whose last key, `key`, waits for its value? */
bool doc_build_waits_for(const struct doc_reader *r, const char *key);

/* doc_merge.c: duplicate keys and "<<". */
int doc_finish_map(const struct doc_reader *r, struct doc_frame *f, struct err *e);

#endif
