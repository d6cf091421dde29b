/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Formats of API objects. Called by objects.c. */
#include "emit.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define WIRE_VARINT 0u
#define WIRE_BYTES 2u
#define LENGTH_SIZE 5 /* of a nested message: a varint of fixed width, so that it can be filled in at the end */

/* ---- protobuf ---- */

void emit_varint(struct strbuf *sb, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		strbuf_add_char(sb, (char)(v | 0x80));
	strbuf_add_char(sb, (char)v);
}

static void put_tag(struct emit *em, unsigned int number, unsigned int wire)
{
	const struct emit_frame *f = em->depth ? &em->frames[em->depth - 1] : NULL;

	emit_varint(em->out, (f && f->is_list ? f->number : number) << 3 | wire);
}

static void put_bytes(struct emit *em, const char *s)
{
	emit_varint(em->out, strlen(s));
	strbuf_add(em->out, s);
}

static void fill_length(struct emit *em, const struct emit_frame *f)
{
	size_t size;

	if (em->out->failed)
		return;
	size = em->out->len - f->start - LENGTH_SIZE;
	for (size_t i = 0; i < LENGTH_SIZE; i++, size >>= 7)
		em->out->buf[f->start + i] = (char)((size & 0x7f) | (i + 1 < LENGTH_SIZE ? 0x80 : 0));
}

/* ---- text ---- */

static void put_quoted(struct strbuf *sb, const char *s)
{
	strbuf_add_char(sb, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			strbuf_addf(sb, "\\%c", *s);
		else if ((unsigned char)*s < 0x20 || *s == 0x7f)
			strbuf_addf(sb, "\\u%04x", (unsigned char)*s);
		else
			strbuf_add_char(sb, *s);
	}
	strbuf_add_char(sb, '"');
}

/* Lists of YAML stand at the depth of their name. */
static size_t yaml_indent(const struct emit *em)
{
	size_t n = 0;

	for (size_t i = 1; i < em->depth; i++)
		n += !em->frames[i].is_list;
	return n;
}

/* What stands before a value: separators and its name. */
static void put_name(struct emit *em, const char *name)
{
	struct emit_frame *f = em->depth ? &em->frames[em->depth - 1] : NULL;

	if (!f)
		return;
	if (em->format == EMIT_JSON) {
		if (f->used)
			strbuf_add_char(em->out, ',');
		if (name)
			strbuf_addf(em->out, "\"%s\":", name);
	} else if (f->is_list) {
		strbuf_addf(em->out, "\n%*s- ", (int)(2 * yaml_indent(em)), "");
	} else {
		/* The first field of an item stands behind its dash. */
		if (!f->is_item || f->used)
			strbuf_addf(em->out, "%s%*s", em->out->len ? "\n" : "", (int)(2 * yaml_indent(em)), "");
		strbuf_addf(em->out, "%s:", name);
	}
	f->used = true;
}

static void put_value(struct emit *em, const char *name, const char *value, bool quoted)
{
	put_name(em, name);
	if (em->format == EMIT_YAML && name)
		strbuf_add_char(em->out, ' ');
	if (quoted)
		put_quoted(em->out, value);
	else
		strbuf_add(em->out, value);
}

/* ---- the interface ---- */

static void push(struct emit *em, struct emit_frame f)
{
	assert(em->depth < EMIT_DEPTH_MAX);
	em->frames[em->depth++] = f;
}

void emit_begin(struct emit *em, const char *name, unsigned int number)
{
	const struct emit_frame *f = em->depth ? &em->frames[em->depth - 1] : NULL;
	struct emit_frame next = { .is_item = f && f->is_list };

	if (em->format == EMIT_PROTO && f) {
		put_tag(em, number, WIRE_BYTES);
		next.start = em->out->len;
		next.has_length = true;
		strbuf_add_mem(em->out, "\0\0\0\0", LENGTH_SIZE);
	} else if (em->format != EMIT_PROTO) {
		put_name(em, name);
		if (em->format == EMIT_JSON)
			strbuf_add_char(em->out, '{');
	}
	push(em, next);
}

void emit_end(struct emit *em)
{
	struct emit_frame f;

	assert(em->depth);
	f = em->frames[--em->depth];
	if (f.has_length)
		fill_length(em, &f);
	else if (em->format == EMIT_JSON)
		strbuf_add_char(em->out, '}');
	else if (em->format == EMIT_YAML && !f.used)
		strbuf_add(em->out, " {}");
}

void emit_list(struct emit *em, const char *name, unsigned int number)
{
	if (em->format != EMIT_PROTO)
		put_name(em, name);
	if (em->format == EMIT_JSON)
		strbuf_add_char(em->out, '[');
	push(em, (struct emit_frame){ .is_list = true, .number = number });
}

void emit_list_end(struct emit *em)
{
	struct emit_frame f;

	assert(em->depth);
	f = em->frames[--em->depth];
	if (em->format == EMIT_JSON)
		strbuf_add_char(em->out, ']');
	else if (em->format == EMIT_YAML && !f.used)
		strbuf_add(em->out, " []");
}

void emit_label(struct emit *em, const char *name, unsigned int number, const char *key, const char *value)
{
	if (em->format == EMIT_PROTO) {
		emit_begin(em, name, number);
		emit_str(em, NULL, 1, key);
		emit_str(em, NULL, 2, value);
	} else {
		emit_begin(em, name, number);
		emit_str(em, key, 0, value);
	}
	emit_end(em);
}

void emit_str(struct emit *em, const char *name, unsigned int number, const char *value)
{
	if (em->format == EMIT_PROTO) {
		put_tag(em, number, WIRE_BYTES);
		put_bytes(em, value);
		return;
	}
	put_value(em, name, value, true);
}

void emit_int(struct emit *em, const char *name, unsigned int number, uint64_t value)
{
	char text[24];

	if (em->format == EMIT_PROTO) {
		put_tag(em, number, WIRE_VARINT);
		emit_varint(em->out, value);
		return;
	}
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value); /* 20 digits at most */
	put_value(em, name, text, false);
}

void emit_bool(struct emit *em, const char *name, unsigned int number, bool value)
{
	if (em->format == EMIT_PROTO)
		emit_int(em, name, number, value);
	else
		put_value(em, name, value ? "true" : "false", false);
}

void emit_int_or_string(struct emit *em, const char *name, unsigned int number, uint32_t value)
{
	if (em->format != EMIT_PROTO) {
		emit_int(em, name, number, value);
		return;
	}
	emit_begin(em, name, number);
	emit_int(em, NULL, 1, 0); /* an integer */
	emit_int(em, NULL, 2, value);
	emit_end(em);
}
