/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Typed reads of an object's fields; every reader of this room goes through here, so that all
 * messages name file, line, object and field.
 */
#include "field.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "load.h"

#define PATH_MAX_LEN 160

static void path_add(char *buf, size_t size, const struct field *f)
{
	size_t len;

	if (!f->up)
		return;
	path_add(buf, size, f->up);
	len = strlen(buf);
	if (f->key)
		(void)snprintf(buf + len, size - len, "%s%.63s", len ? "." : "", f->key);
	else
		(void)snprintf(buf + len, size - len, "[%zu]", f->index);
}

/* The node that a message about `key` of `f` points to. */
static unsigned int field_line(const struct field *f, const char *key)
{
	const struct doc_node *child = key ? doc_get(f->node, key) : NULL;

	if (child && child->line)
		return child->line;
	for (; f; f = f->up)
		if (f->node && f->node->line)
			return f->node->line;
	return 0;
}

int field_err(const struct field *f, const char *key, const char *fmt, ...)
{
	const struct field leaf = { .obj = f->obj, .up = f, .key = key };
	char path[PATH_MAX_LEN] = "";
	char text[320];
	va_list ap;

	path_add(path, sizeof(path), key ? &leaf : f);
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return object_err(f->obj, field_line(f, key), path, text);
}

bool field_has(const struct field *f, const char *key)
{
	return doc_get(f->node, key) != NULL;
}

int field_any(const struct field *f, const char *key, struct field *ret)
{
	const struct doc_node *node = doc_get(f->node, key);

	if (!node)
		return 0;
	*ret = (struct field){ .obj = f->obj, .up = f, .key = key, .node = node };
	return 1;
}

static const char *type_text(const struct doc_node *n)
{
	switch (n->type) {
	case DOC_MAP:
		return "a mapping";
	case DOC_SEQ:
		return "a list";
	case DOC_SCALAR:
		return n->quoted ? "a string" : "a plain value";
	default:
		return "null";
	}
}

static int want_type(const struct field *f, enum doc_type type)
{
	if (f->node->type == type)
		return 0;
	return field_err(f, NULL, "%s is wanted here, this is %s", type == DOC_MAP ? "a mapping" : "a list",
			 type_text(f->node));
}

int field_map(const struct field *f, const char *key, struct field *ret)
{
	struct field child;
	int r = field_any(f, key, &child);

	if (r <= 0)
		return r;
	r = want_type(&child, DOC_MAP);
	if (r < 0)
		return r;
	*ret = child;
	return 1;
}

int field_seq(const struct field *f, const char *key, struct field *ret)
{
	struct field child;
	int r = field_any(f, key, &child);

	if (r <= 0)
		return r;
	r = want_type(&child, DOC_SEQ);
	if (r < 0)
		return r;
	*ret = child;
	return 1;
}

int field_item(const struct field *seq, size_t index, struct field *ret)
{
	*ret = (struct field){ .obj = seq->obj, .up = seq, .index = index, .node = seq->node->child[index] };
	if (ret->node->type == DOC_NULL)
		return field_err(ret, NULL, "an item of a list may not be null");
	return 1;
}

int field_child(const struct field *map, size_t index, struct field *ret)
{
	*ret = (struct field){
		.obj = map->obj, .up = map, .key = map->node->key[index], .node = map->node->child[index]
	};
	return ret->node->type != DOC_NULL;
}

int field_item_map(const struct field *seq, size_t index, struct field *ret)
{
	int r = field_item(seq, index, ret);

	if (r < 0)
		return r;
	r = want_type(ret, DOC_MAP);
	return r < 0 ? r : 1;
}

int field_self_str(const struct field *f, const char **ret)
{
	const struct doc_node *n = f->node;

	if (n->type != DOC_SCALAR)
		return field_err(f, NULL, "a string is wanted here, this is %s", type_text(n));
	if (doc_plain(n) != DOC_PLAIN_STR)
		return field_err(f, NULL, "a string is wanted here, \"%" FIELD_SHOW "\" is a %s: quote it", n->scalar,
				 doc_plain(n) == DOC_PLAIN_BOOL ? "bool" : "number");
	*ret = n->scalar;
	return 1;
}

int field_str(const struct field *f, const char *key, const char **ret)
{
	struct field child;
	int r = field_any(f, key, &child);

	return r <= 0 ? r : field_self_str(&child, ret);
}

int field_item_str(const struct field *seq, size_t index, const char **ret)
{
	struct field item;
	int r = field_item(seq, index, &item);

	return r < 0 ? r : field_self_str(&item, ret);
}

int field_bool(const struct field *f, const char *key, bool *ret)
{
	struct err e = {};
	int r = doc_get_bool(f->node, key, key, ret, &e);

	return r < 0 ? field_err(f, key, "%s", e.text) : r;
}

int field_int(const struct field *f, const char *key, int64_t min, int64_t max, int64_t *ret)
{
	struct err e = {};
	int r = doc_get_int(f->node, key, key, min, max, ret, &e);

	return r < 0 ? field_err(f, key, "%s", e.text) : r;
}

bool field_is_int(const struct field *f)
{
	return doc_plain(f->node) == DOC_PLAIN_INT;
}

/*
 * Addresses that mean something else on every host: the API server takes them for no endpoint
 * either.
 */
static const char *special(const struct ip_addr *a)
{
	static const uint8_t zero[16];
	const uint8_t *b = a->bytes;

	if (memcmp(b, zero, sizeof(zero)) == 0)
		return "the unspecified";
	if (a->fam == AF_INET)
		return b[0] == 127		  ? "a loopback" :
		       b[0] == 169 && b[1] == 254 ? "a link-local" :
		       b[0] >= 224		  ? "a multicast or reserved" :
						    NULL;
	if (memcmp(b, zero, 15) == 0 && b[15] == 1)
		return "a loopback";
	return b[0] == 0xfe && (b[1] & 0xc0) == 0x80 ? "a link-local" : b[0] == 0xff ? "a multicast" : NULL;
}

int field_parse_addr(const struct field *f, const char *key, const char *s, struct ip_addr *ret)
{
	struct ip_addr a;

	if (ip_addr_parse(s, &a) < 0)
		return field_err(f, key, "\"%" FIELD_SHOW "\" is no IP address", s);
	if (special(&a))
		return field_err(f, key, "%" FIELD_SHOW " is %s address", s, special(&a));
	*ret = a;
	return 0;
}

int field_addr(const struct field *f, const char *key, struct ip_addr *ret)
{
	const char *s;
	int r = field_str(f, key, &s);

	if (r > 0 && field_parse_addr(f, key, s, ret) < 0)
		return -EINVAL;
	return r;
}

int field_item_addr(const struct field *seq, size_t index, struct ip_addr *ret)
{
	struct field item;
	const char *s;
	int r = field_item(seq, index, &item);

	if (r < 0)
		return r;
	r = field_self_str(&item, &s);
	if (r > 0 && field_parse_addr(&item, NULL, s, ret) < 0)
		return -EINVAL;
	return r;
}

int field_word(const struct field *f, const char *key, const char *const *words, size_t n_words, size_t *ret)
{
	char known[160] = "";
	const char *s;
	int r = field_str(f, key, &s);

	if (r <= 0)
		return r;
	for (size_t i = 0; i < n_words; i++) {
		if (strcmp(s, words[i]) == 0) {
			*ret = i;
			return 1;
		}
	}
	for (size_t i = 0; i < n_words; i++) {
		size_t len = strlen(known);

		(void)snprintf(known + len, sizeof(known) - len, "%s%s",
			       !i		? "" :
			       i + 1 == n_words ? " or " :
						  ", ",
			       words[i]);
	}
	return field_err(f, key, "\"%" FIELD_SHOW "\" is not known: %s", s, known);
}

int field_proto(const struct field *f, const char *key, uint8_t *ret)
{
	static const char *const words[] = { "TCP", "UDP", "SCTP" };
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };
	size_t word;
	int r = field_word(f, key, words, ARRAY_LEN(words), &word);

	if (r > 0)
		*ret = protos[word];
	return r;
}

int field_check_known(const struct field *f, const char *const *known, size_t n_known)
{
	for (size_t i = 0; i < f->node->n; i++) {
		bool found = false;

		for (size_t j = 0; j < n_known && !found; j++)
			found = strcmp(f->node->key[i], known[j]) == 0;
		if (!found)
			return field_err(f, f->node->key[i], "no such field");
	}
	return 0;
}
