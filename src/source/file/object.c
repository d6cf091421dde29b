/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all kinds have in common: metadata, names, labels, and how messages name an object. Called
 * by load.c and the readers.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "load.h"

#define ANNOTATIONS_SIZE_MAX 262144 /* of one object, as the API server has it */

int object_err(const struct object *o, unsigned int line, const char *path, const char *text)
{
	const struct place place = { o->place.file, line ? line : o->place.line };
	char what[224], at[sizeof(o->load->e->path)];

	if (*o->name)
		(void)snprintf(what, sizeof(what), "%.40s %.40s%s%.63s%s%s", o->kind, o->ns, *o->ns ? "/" : "", o->name,
			       *path ? ": " : "", path);
	else
		(void)snprintf(what, sizeof(what), "%.63s%s%s", o->kind, *path ? ": " : "", path);
	load_place(at, sizeof(at), &place, what);
	return err_set(o->load->e, -EINVAL, at, "%s", text);
}

/* ---- names ---- */

/* RFC 1123: lower case letters, digits and '-', a letter or digit at both ends. */
static bool dns_label(const char *s, size_t len)
{
	if (len == 0 || len > LABEL_VALUE_MAX || s[0] == '-' || s[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!islower((unsigned char)s[i]) && !isdigit((unsigned char)s[i]) && s[i] != '-')
			return false;
	return true;
}

bool name_is_dns_label(const char *s)
{
	return dns_label(s, strlen(s));
}

/* Labels joined by dots. Each part may be as long as the whole: so does the API server read names. */
static bool name_is_dns_subdomain(const char *s, size_t len)
{
	bool edge = true; /* at the start or after a dot: a letter or digit must follow */

	if (len == 0 || len > OBJ_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool alnum = islower((unsigned char)s[i]) || isdigit((unsigned char)s[i]);

		if (!alnum && (edge || (s[i] != '-' && s[i] != '.')))
			return false;
		if (s[i] == '.' && s[i - 1] == '-')
			return false;
		edge = s[i] == '.';
	}
	return !edge && s[len - 1] != '-';
}

bool name_is_port(const char *s)
{
	size_t len = strlen(s);
	bool letter = false;

	if (len == 0 || len > 15 || s[0] == '-' || s[len - 1] == '-' || strstr(s, "--"))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!islower((unsigned char)s[i]) && !isdigit((unsigned char)s[i]) && s[i] != '-')
			return false;
		letter |= islower((unsigned char)s[i]) != 0;
	}
	return letter;
}

/*
 * What labels are called and what they say: letters of both cases, digits, '-', '_', '.'; letter or
 * digit at both ends.
 */
static bool qualified(const char *s, size_t len)
{
	if (len == 0 || len > LABEL_VALUE_MAX || !isalnum((unsigned char)s[0]) || !isalnum((unsigned char)s[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("-_.", s[i]))
			return false;
	return true;
}

static bool label_key_is_valid(const char *s)
{
	const char *slash = strchr(s, '/');

	if (slash && !name_is_dns_subdomain(s, (size_t)(slash - s)))
		return false;
	s = slash ? slash + 1 : s;
	return qualified(s, strlen(s));
}

/* ---- labels ---- */

static int label_cmp(const void *a, const void *b)
{
	return strcmp(((const struct label *)a)->key, ((const struct label *)b)->key);
}

static int read_label(const struct field *map, size_t i, struct label *ret)
{
	struct load *l = map->obj->load;
	const char *value = "";
	struct field child;
	int r = field_child(map, i, &child);

	if (!label_key_is_valid(child.key))
		return field_err(&child, NULL, "\"%" FIELD_SHOW "\" is no label name", child.key);
	if (r > 0 && field_self_str(&child, &value) < 0)
		return -EINVAL;
	if (strlen(value) > LABEL_VALUE_MAX)
		return field_err(&child, NULL, "a label's value has at most %d characters, this one %zu",
				 LABEL_VALUE_MAX, strlen(value));
	if (*value && !qualified(value, strlen(value)))
		return field_err(&child, NULL, "\"%" FIELD_SHOW "\" is no value of a label", value);
	ret->key = load_intern(l, child.key);
	ret->value = load_intern(l, value);
	return ret->key && ret->value ? 0 : -ENOMEM;
}

int object_read_labels(const struct field *f, const char *key, struct labels *ret)
{
	struct load *l = f->obj->load;
	struct labels got = {};
	struct field map;
	int r = field_map(f, key, &map);

	*ret = got;
	if (r <= 0 || map.node->n == 0)
		return r < 0 ? r : 0;
	got.n = map.node->n;
	got.v = arena_alloc(l->arena, got.n * sizeof(*got.v));
	if (!got.v)
		return -ENOMEM;
	for (size_t i = 0; i < got.n; i++) {
		r = read_label(&map, i, &got.v[i]);
		if (r < 0)
			return r;
	}
	qsort(got.v, got.n, sizeof(*got.v), label_cmp);
	*ret = got;
	return 0;
}

const char *labels_get(const struct labels *l, const char *key)
{
	const struct label want = { .key = key };
	const struct label *found = l->n ? bsearch(&want, l->v, l->n, sizeof(*l->v), label_cmp) : NULL;

	return found ? found->value : NULL;
}

bool labels_match(const struct labels *selector, const struct label *labels, size_t n_labels)
{
	const struct labels have = { .v = (struct label *)labels, .n = n_labels };

	for (size_t i = 0; i < selector->n; i++)
		if (!str_eq(labels_get(&have, selector->v[i].key), selector->v[i].value))
			return false;
	return true;
}

/* ---- metadata ---- */

static int check_annotations(const struct field *meta)
{
	struct field map;
	size_t size = 0;
	int r = field_map(meta, "annotations", &map);

	if (r <= 0)
		return r;
	for (size_t i = 0; i < map.node->n; i++) {
		const struct doc_node *value = map.node->child[i];

		size += strlen(map.node->key[i]) + (value->type == DOC_SCALAR ? strlen(value->scalar) : 0);
	}
	if (size > ANNOTATIONS_SIZE_MAX)
		return field_err(meta, "annotations", "annotations have at most %d bytes, these %zu",
				 ANNOTATIONS_SIZE_MAX, size);
	return 0;
}

static int read_names(struct object *o, const struct field *meta, bool namespaced)
{
	const char *name, *ns = "default";
	int r = field_str(meta, "name", &name);

	if (r < 0)
		return r;
	if (r == 0)
		return field_err(meta, NULL, "the name is missing");
	if (!name_is_dns_subdomain(name, strlen(name)))
		return field_err(meta, "name",
				 "\"%" FIELD_SHOW "\" is no name: lower case letters, digits, '-' and '.', at most %d",
				 name, OBJ_NAME_MAX);
	if (namespaced) {
		if (field_str(meta, "namespace", &ns) < 0)
			return -EINVAL;
		if (!name_is_dns_label(ns))
			return field_err(meta, "namespace", "\"%" FIELD_SHOW "\" is no name of a namespace", ns);
		o->ns = load_intern(o->load, ns);
	}
	o->name = load_strdup(o->load, name);
	return o->name && o->ns ? 0 : -ENOMEM;
}

static int check_duplicate(struct object *o)
{
	struct load *l = o->load;
	char key[3 * OBJ_NAME_MAX];
	char text[200];
	const struct place *first;
	struct place *place;

	(void)snprintf(key, sizeof(key), "%s %s/%s", o->kind, o->ns, o->name);
	first = map_get_str(l->seen, key);
	if (first) {
		(void)snprintf(text, sizeof(text), "defined a second time; the first is at %.140s:%u", first->file,
			       first->line);
		return object_err(o, o->place.line, "", text);
	}
	place = arena_alloc(l->arena, sizeof(*place));
	if (!place)
		return -ENOMEM;
	*place = o->place;
	return map_put_str(l->seen, key, place, NULL);
}

int object_read_meta(struct object *o, bool namespaced)
{
	const struct field root = { .obj = o, .node = o->root };
	struct field meta;
	int r = field_map(&root, "metadata", &meta);

	if (r < 0)
		return r;
	if (r == 0)
		return field_err(&root, NULL, "metadata is missing");
	r = read_names(o, &meta, namespaced);
	if (r < 0)
		return r;
	r = check_duplicate(o);
	if (r < 0)
		return r;
	r = object_read_labels(&meta, "labels", &o->labels);
	return r < 0 ? r : check_annotations(&meta);
}
