/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reader of manifests: one document, or one item of a List, at a time. Called by source/ and by whoever reads
 * YAML or JSON.
 *
 * While a List is streamed its own mapping stays open as frames[0] of the reader and belongs to reader->head; each
 * item is built on top of it as a document of its own. So only one item is in memory, unless an anchor stands in
 * it: then it stays until the List ends, since a later item may refer to it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "doc_impl.h"

static void event_delete(yaml_event_t *ev)
{
	yaml_event_delete(ev);
}
#define CLEANUP_EVENT CLEANUP(event_delete)

DEFINE_CLEANUP(struct doc *, doc_free);

int doc_fail(const struct doc_reader *r, size_t line, int code, struct err *e, const char *fmt, ...)
{
	char place[256], text[400];
	va_list ap;

	if (!e)
		return code;
	(void)snprintf(place, sizeof(place), "%.200s:%zu", r->name, line); /* err_set cuts as well */
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(e, code, place, "%s", text);
}

struct doc *doc_new(void)
{
	struct doc *d = calloc(1, sizeof(*d));

	if (d && arena_new(&d->arena)) {
		free(d);
		return NULL;
	}
	if (d)
		d->refs = 1;
	return d;
}

struct doc *doc_ref(struct doc *d)
{
	d->refs++;
	return d;
}

void doc_free(struct doc *d)
{
	if (!d || --d->refs)
		return;
	for (struct doc_dep *dep = d->deps; dep; dep = dep->next)
		doc_free(dep->doc);
	arena_free(d->arena);
	free(d);
}

const struct doc_node *doc_root(const struct doc *d)
{
	return d->root;
}

const char *doc_list_kind(const struct doc *d)
{
	return d->list_kind;
}

int doc_reader_new(const char *name, const char *buf, size_t size, struct doc_reader **ret)
{
	struct doc_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->name = strdup(name);
	if (!r->name || !yaml_parser_initialize(&r->parser)) {
		free((char *)r->name);
		free(r);
		return -ENOMEM;
	}
	doc_input_init(&r->input, buf, size);
	yaml_parser_set_input(&r->parser, doc_input_read, &r->input);
	*ret = r;
	return 0;
}

void doc_reader_free(struct doc_reader *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < ARRAY_LEN(r->frames); i++) {
		vec_free(&r->frames[i].child);
		vec_free(&r->frames[i].key);
		vec_free(&r->frames[i].key_line);
	}
	doc_build_forget_anchors(r);
	doc_free(r->head);
	yaml_parser_delete(&r->parser);
	free((char *)r->name);
	free(r);
}

static int next_event(struct doc_reader *r, yaml_event_t *ev, struct err *e)
{
	const yaml_parser_t *p = &r->parser;

	yaml_event_delete(ev);
	if (yaml_parser_parse(&r->parser, ev))
		return 0;
	if (p->error == YAML_MEMORY_ERROR)
		return doc_fail(r, p->mark.line + 1, -ENOMEM, e, "out of memory");
	return doc_fail(r, p->problem_mark.line + 1, -EINVAL, e, "%s%s%s%s", p->problem ? p->problem : "cannot be read",
			p->context ? " (" : "", p->context ? p->context : "", p->context ? ")" : "");
}

static const char *top_scalar(const struct doc_frame *f, const char *key)
{
	for (size_t i = 0; i < f->child.n; i++) {
		if (strcmp(f->key.v[i], key) == 0)
			return f->child.v[i]->type == DOC_SCALAR ? f->child.v[i]->scalar : NULL;
	}
	return NULL;
}

static bool has_key(const struct doc_frame *f, const char *key)
{
	for (size_t i = 0; i < f->child.n; i++) {
		if (strcmp(f->key.v[i], key) == 0)
			return true;
	}
	return false;
}

/* The kind of a List whose items this event opens, NULL when it opens none. */
static const char *opens_items(const struct doc_reader *r, const yaml_event_t *ev)
{
	const struct doc_frame *top = &r->frames[0];
	const char *kind;
	size_t len;

	if (ev->type != YAML_SEQUENCE_START_EVENT || ev->data.sequence_start.anchor || r->depth != 1)
		return NULL;
	if (!doc_build_waits_for(r, "items") || has_key(top, "items") || !top_scalar(top, "apiVersion"))
		return NULL;
	kind = top_scalar(top, "kind");
	len = kind ? strlen(kind) : 0;
	if (len < strlen("List") || strcmp(kind + len - strlen("List"), "List") != 0)
		return NULL;
	return kind;
}

/* "ServiceList": items of kind "Service". "List": they say their kind themselves. */
static int begin_items(struct doc_reader *r, struct doc *d, const char *list_kind, const yaml_event_t *ev,
		       struct err *e)
{
	size_t len = strlen(list_kind) - strlen("List");

	r->item_kind = NULL;
	if (len) {
		r->item_kind = arena_printf(d->arena, "%.*s", (int)len, list_kind);
		if (!r->item_kind)
			return doc_fail(r, ev->start_mark.line + 1, -ENOMEM, e, "out of memory");
	}
	return doc_build_placeholder(r, d, (unsigned int)ev->start_mark.line + 1, e);
}

/* Reads on until the root is complete (0) or the items of a List begin (1). */
static int build_document(struct doc_reader *r, struct doc *d, struct err *e)
{
	CLEANUP_EVENT yaml_event_t ev = { 0 };
	const char *list_kind;
	int err;

	do {
		err = next_event(r, &ev, e);
		if (err)
			return err;
		list_kind = opens_items(r, &ev);
		if (list_kind)
			return begin_items(r, d, list_kind, &ev, e) ?: 1;
		err = doc_build_event(r, d, 0, &ev, e);
		if (err)
			return err;
	} while (r->depth > 0);
	return 0;
}

static int expect_document_end(struct doc_reader *r, struct err *e)
{
	CLEANUP_EVENT yaml_event_t ev = { 0 };
	int err = next_event(r, &ev, e);

	doc_build_forget_anchors(r);
	if (!err && ev.type != YAML_DOCUMENT_END_EVENT)
		err = doc_fail(r, ev.start_mark.line + 1, -EINVAL, e, "the document should end here");
	return err;
}

/* The List's mapping behind its items. */
static int finish_list(struct doc_reader *r, struct err *e)
{
	int err = build_document(r, r->head, e);

	if (err)
		return err;
	err = expect_document_end(r, e);
	doc_free(TAKE_PTR(r->head));
	return err;
}

/* 1 = an item, 0 = the List is over. */
static int next_item(struct doc_reader *r, struct doc **ret_doc, struct err *e)
{
	CLEANUP(doc_freep) struct doc *d = NULL;
	CLEANUP_EVENT yaml_event_t ev = { 0 };
	int err = next_event(r, &ev, e);

	if (err)
		return err;
	if (ev.type == YAML_SEQUENCE_END_EVENT)
		return finish_list(r, e);
	d = doc_new();
	if (d && r->item_kind)
		d->list_kind = arena_strdup(d->arena, r->item_kind);
	if (!d || (r->item_kind && !d->list_kind))
		return doc_fail(r, ev.start_mark.line + 1, -ENOMEM, e, "out of memory");
	for (;;) {
		err = doc_build_event(r, d, 1, &ev, e);
		if (err)
			return err;
		if (r->depth == 1)
			break;
		err = next_event(r, &ev, e);
		if (err)
			return err;
	}
	*ret_doc = TAKE_PTR(d);
	return 1;
}

/* 1 = a document, 0 = it was empty, or a List whose items come next. */
static int next_document(struct doc_reader *r, struct doc **ret_doc, struct err *e)
{
	CLEANUP(doc_freep) struct doc *d = doc_new();
	int err;

	if (!d)
		return doc_fail(r, 1, -ENOMEM, e, "out of memory");
	err = build_document(r, d, e);
	if (err < 0)
		return err;
	if (err == 1) {
		r->head = TAKE_PTR(d);
		return 0;
	}
	err = expect_document_end(r, e);
	if (err)
		return err;
	if (d->root->type == DOC_NULL)
		return 0;
	*ret_doc = TAKE_PTR(d);
	return 1;
}

/* Between documents. 1 = one begins. */
static int find_document(struct doc_reader *r, struct err *e)
{
	for (;;) {
		CLEANUP_EVENT yaml_event_t ev = { 0 };
		int err = next_event(r, &ev, e);

		if (err)
			return err;
		if (ev.type == YAML_DOCUMENT_START_EVENT)
			return 1;
		if (ev.type == YAML_STREAM_END_EVENT || ev.type == YAML_NO_EVENT)
			return 0;
	}
}

static int read_on(struct doc_reader *r, struct doc **ret_doc, struct err *e)
{
	int err;

	if (!r->checked) {
		err = doc_input_check(r, e);
		if (err)
			return err;
		r->checked = true;
	}
	for (;;) {
		if (!r->head) {
			err = find_document(r, e);
			if (err <= 0)
				return err;
			err = next_document(r, ret_doc, e);
		} else {
			err = next_item(r, ret_doc, e);
		}
		if (err)
			return err;
	}
}

int doc_reader_next(struct doc_reader *r, struct doc **ret_doc, struct err *e)
{
	int err;

	if (r->failed)
		return err_set(e, r->failed, r->name, "reading ended at an earlier error");
	if (r->ended)
		return 0;
	err = read_on(r, ret_doc, e);
	if (err < 0)
		r->failed = err;
	r->ended = err == 0;
	return err;
}
