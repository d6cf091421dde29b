/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events of libyaml to nodes of a document. Called by doc.c for each event.
 *
 * Sequences and mappings that are open stand in reader->frames. A node that is complete is attached to the
 * innermost frame, or becomes the root. Aliases attach the node they name again; what a walk over the tree will
 * meet is counted as if they were copies.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "doc_impl.h"

#define TAG_PREFIX "tag:yaml.org,2002:"
#define SHOW_LEN 64

static unsigned int event_line(const yaml_event_t *ev)
{
	return (unsigned int)ev->start_mark.line + 1;
}

static int no_memory(const struct doc_reader *r, const yaml_event_t *ev, struct err *e)
{
	return doc_fail(r, event_line(ev), -ENOMEM, e, "out of memory");
}

static void anchor_free(void *p)
{
	struct doc_anchor *a = p;

	doc_free(a->doc);
	free(a);
}

void doc_build_forget_anchors(struct doc_reader *r)
{
	map_free(r->anchors, anchor_free);
	r->anchors = NULL;
	r->n_aliases = 0;
	r->alias_nodes = 0;
}

/* Names the coming node. A name may be given again: the latest counts. */
static int add_anchor(struct doc_reader *r, struct doc *d, const yaml_char_t *name, struct doc_anchor **ret)
{
	struct doc_anchor *a;
	void *old = NULL;
	int err;

	*ret = NULL;
	if (!name)
		return 0;
	if (!r->anchors) {
		err = map_new(&r->anchors);
		if (err)
			return err;
	}
	a = map_get_str(r->anchors, (const char *)name);
	if (a && !a->node)
		return -ELOOP; /* a frame still points to it */
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	err = map_put_str(r->anchors, (const char *)name, a, &old);
	if (err) {
		free(a);
		return err;
	}
	if (old)
		anchor_free(old);
	a->doc = doc_ref(d);
	*ret = a;
	return 0;
}

static int fail_anchor(const struct doc_reader *r, const yaml_event_t *ev, const yaml_char_t *name, int code,
		       struct err *e)
{
	if (code == -ENOMEM)
		return no_memory(r, ev, e);
	return doc_fail(r, event_line(ev), -EINVAL, e, "anchor \"%.*s\" is given again inside itself", SHOW_LEN,
			(const char *)name);
}

static void set_anchor(struct doc_anchor *a, const struct doc_node *node, size_t weight, unsigned int height)
{
	if (!a)
		return;
	a->node = node;
	a->weight = weight;
	a->height = height;
}

static int attach(struct doc_reader *r, struct doc *d, unsigned int base, const struct doc_node *node, size_t weight,
		  unsigned int height)
{
	struct doc_frame *f;

	if (r->depth == base) {
		d->root = node;
		return 0;
	}
	f = &r->frames[r->depth - 1];
	f->has_key = false;
	f->weight += weight;
	f->height = MAX(f->height, height + 1);
	return vec_push(&f->child, node);
}

static bool wants_key(const struct doc_reader *r, unsigned int base)
{
	const struct doc_frame *f = r->depth > base ? &r->frames[r->depth - 1] : NULL;

	return f && f->node->type == DOC_MAP && !f->has_key;
}

bool doc_build_waits_for(const struct doc_reader *r, const char *key)
{
	const struct doc_frame *f = r->depth ? &r->frames[r->depth - 1] : NULL;

	return f && f->has_key && strcmp(f->key.v[f->key.n - 1], key) == 0;
}

/* 1 = a string whatever it looks like, 0 = as its text says. */
static int scalar_tag(const struct doc_reader *r, const yaml_event_t *ev, struct err *e)
{
	const char *tag = (const char *)ev->data.scalar.tag;
	static const char *const plain[] = { "null", "bool", "int", "float", "timestamp" };

	if (!tag)
		return ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	if (strcmp(tag, "!") == 0 || strcmp(tag, TAG_PREFIX "str") == 0)
		return 1;
	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		if (strncmp(tag, TAG_PREFIX, strlen(TAG_PREFIX)) == 0 &&
		    strcmp(tag + strlen(TAG_PREFIX), plain[i]) == 0)
			return 0;
	}
	return doc_fail(r, event_line(ev), -EINVAL, e, "tag \"%.*s\" is not known here", SHOW_LEN, tag);
}

static bool is_null_text(const char *s)
{
	static const char *const words[] = { "", "~", "null", "Null", "NULL" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(s, words[i]) == 0)
			return true;
	}
	return false;
}

/* The text in the arena. */
static int copy_text(const struct doc_reader *r, struct doc *d, const yaml_event_t *ev, const char **ret, struct err *e)
{
	const char *text = (const char *)ev->data.scalar.value;
	size_t len = ev->data.scalar.length;
	char *copy;

	if (len > DOC_SCALAR_SIZE_MAX)
		return doc_fail(r, event_line(ev), -E2BIG, e, "a text of %zu bytes, at most %zu are read", len,
				DOC_SCALAR_SIZE_MAX);
	if (memchr(text, '\0', len))
		return doc_fail(r, event_line(ev), -EINVAL, e, "a text may not hold a NUL character");
	copy = arena_alloc(d->arena, len + 1);
	if (!copy)
		return no_memory(r, ev, e);
	memcpy(copy, text, len);
	*ret = copy;
	return 0;
}

static int add_key(struct doc_reader *r, struct doc *d, const yaml_event_t *ev, struct err *e)
{
	struct doc_frame *f = &r->frames[r->depth - 1];
	const char *text;
	int err = copy_text(r, d, ev, &text, e);

	if (err)
		return err;
	if (ev->data.scalar.anchor)
		return doc_fail(r, event_line(ev), -EINVAL, e, "an anchor at a key is not read here");
	if (f->merge_at == DOC_NO_MERGE && ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strcmp(text, "<<") == 0)
		f->merge_at = f->key.n;
	if (vec_push(&f->key, text) || vec_push(&f->key_line, event_line(ev)))
		return no_memory(r, ev, e);
	f->has_key = true;
	return 0;
}

static int add_scalar(struct doc_reader *r, struct doc *d, unsigned int base, const yaml_event_t *ev, struct err *e)
{
	struct doc_node *node = arena_alloc(d->arena, sizeof(*node));
	int quoted = scalar_tag(r, ev, e);
	struct doc_anchor *anchor;
	int err;

	if (quoted < 0)
		return quoted;
	if (!node)
		return no_memory(r, ev, e);
	node->line = event_line(ev);
	node->quoted = quoted;
	err = copy_text(r, d, ev, &node->scalar, e);
	if (err)
		return err;
	node->type = DOC_SCALAR;
	if (!quoted && is_null_text(node->scalar)) {
		node->type = DOC_NULL;
		node->scalar = NULL;
	}
	err = add_anchor(r, d, ev->data.scalar.anchor, &anchor);
	if (err)
		return fail_anchor(r, ev, ev->data.scalar.anchor, err, e);
	set_anchor(anchor, node, 1, 0);
	return attach(r, d, base, node, 1, 0) ? no_memory(r, ev, e) : 0;
}

/* A node of another document is only good as long as that document. */
static int depend_on(struct doc *d, struct doc *other)
{
	struct doc_dep *dep;

	if (d == other)
		return 0;
	for (dep = d->deps; dep; dep = dep->next) {
		if (dep->doc == other)
			return 0;
	}
	dep = arena_alloc(d->arena, sizeof(*dep));
	if (!dep)
		return -ENOMEM;
	*dep = (struct doc_dep){ .next = d->deps, .doc = doc_ref(other) };
	d->deps = dep;
	return 0;
}

static int add_alias(struct doc_reader *r, struct doc *d, unsigned int base, const yaml_event_t *ev, struct err *e)
{
	const char *name = (const char *)ev->data.alias.anchor;
	const struct doc_anchor *a = r->anchors ? map_get_str(r->anchors, name) : NULL;

	if (!a)
		return doc_fail(r, event_line(ev), -EINVAL, e, "alias \"%.*s\" has no anchor", SHOW_LEN, name);
	if (!a->node)
		return doc_fail(r, event_line(ev), -EINVAL, e, "alias \"%.*s\" stands inside its own anchor", SHOW_LEN,
				name);
	if (++r->n_aliases > DOC_ALIASES_MAX)
		return doc_fail(r, event_line(ev), -E2BIG, e, "more than %d aliases", DOC_ALIASES_MAX);
	r->alias_nodes += a->weight;
	if (r->alias_nodes > DOC_ALIAS_NODES_MAX)
		return doc_fail(r, event_line(ev), -E2BIG, e, "aliases stand for more than %d nodes",
				DOC_ALIAS_NODES_MAX);
	if (r->depth + a->height > DOC_DEPTH_MAX)
		return doc_fail(r, event_line(ev), -E2BIG, e, "nested deeper than %d", DOC_DEPTH_MAX);
	if (depend_on(d, a->doc) || attach(r, d, base, a->node, a->weight, a->height))
		return no_memory(r, ev, e);
	return 0;
}

static int open_frame(struct doc_reader *r, struct doc *d, const yaml_event_t *ev, struct err *e)
{
	bool map = ev->type == YAML_MAPPING_START_EVENT;
	const yaml_char_t *name = map ? ev->data.mapping_start.anchor : ev->data.sequence_start.anchor;
	struct doc_node *node = arena_alloc(d->arena, sizeof(*node));
	struct doc_anchor *anchor;
	struct doc_frame *f;
	int err;

	if (!node)
		return no_memory(r, ev, e);
	if (r->depth == DOC_DEPTH_MAX)
		return doc_fail(r, event_line(ev), -E2BIG, e, "nested deeper than %d", DOC_DEPTH_MAX);
	err = add_anchor(r, d, name, &anchor);
	if (err)
		return fail_anchor(r, ev, name, err, e);
	node->type = map ? DOC_MAP : DOC_SEQ;
	node->line = event_line(ev);
	f = &r->frames[r->depth++];
	f->node = node;
	f->anchor = anchor;
	f->child.n = f->key.n = f->key_line.n = 0;
	f->has_key = false;
	f->merge_at = DOC_NO_MERGE;
	f->weight = 1;
	f->height = 1;
	return 0;
}

static void *copy_array(struct doc *d, const void *v, size_t n)
{
	void *copy = arena_alloc(d->arena, n * sizeof(void *));

	if (copy && n)
		memcpy(copy, v, n * sizeof(void *));
	return copy;
}

static int close_frame(struct doc_reader *r, struct doc *d, unsigned int base, const yaml_event_t *ev, struct err *e)
{
	struct doc_frame *f = &r->frames[r->depth - 1];
	struct doc_node *node = f->node;
	int err;

	if (node->type == DOC_MAP) {
		err = doc_finish_map(r, f, e);
		if (err)
			return err;
		node->key = copy_array(d, f->key.v, f->key.n);
		if (!node->key)
			return no_memory(r, ev, e);
	}
	node->n = f->child.n;
	node->child = copy_array(d, f->child.v, f->child.n);
	if (!node->child)
		return no_memory(r, ev, e);
	set_anchor(f->anchor, node, f->weight, f->height);
	r->depth--;
	return attach(r, d, base, node, f->weight, f->height) ? no_memory(r, ev, e) : 0;
}

int doc_build_placeholder(struct doc_reader *r, struct doc *d, unsigned int line, struct err *e)
{
	struct doc_node *node = arena_alloc(d->arena, sizeof(*node));

	if (!node || attach(r, d, 0, node, 1, 1))
		return doc_fail(r, line, -ENOMEM, e, "out of memory");
	node->type = DOC_SEQ;
	node->line = line;
	return 0;
}

int doc_build_event(struct doc_reader *r, struct doc *d, unsigned int base, const yaml_event_t *ev, struct err *e)
{
	bool key = wants_key(r, base);

	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		return key ? add_key(r, d, ev, e) : add_scalar(r, d, base, ev, e);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return close_frame(r, d, base, ev, e);
	case YAML_ALIAS_EVENT:
		if (!key)
			return add_alias(r, d, base, ev, e);
		break;
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		if (!key)
			return open_frame(r, d, ev, e);
		break;
	default:
		return doc_fail(r, event_line(ev), -EINVAL, e, "unexpected end of the document");
	}
	return doc_fail(r, event_line(ev), -EINVAL, e, "a key must be plain text");
}
