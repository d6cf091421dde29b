/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The end of a mapping: no key twice, and "<<" merged. Called by doc_build.c.
 *
 * Merge (yaml.org/type/merge.html): the value of "<<" is a mapping or a sequence of mappings. Own keys win over
 * merged ones, earlier mappings of a sequence over later ones.
 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "doc_impl.h"

#define FEW_KEYS 16
#define SHOW_LEN 64

static void set_free(struct map *m)
{
	map_free(m, NULL);
}
DEFINE_CLEANUP(struct map *, set_free);

static int duplicate(const struct doc_reader *r, const struct doc_frame *f, size_t first, size_t second, struct err *e)
{
	return doc_fail(r, f->key_line.v[second], -EINVAL, e, "key \"%.*s\" is there twice, first in line %u", SHOW_LEN,
			f->key.v[second], f->key_line.v[first]);
}

static int check_few(const struct doc_reader *r, const struct doc_frame *f, struct err *e)
{
	for (size_t i = 1; i < f->key.n; i++) {
		for (size_t j = 0; j < i; j++) {
			if (strcmp(f->key.v[i], f->key.v[j]) == 0)
				return duplicate(r, f, j, i, e);
		}
	}
	return 0;
}

/* Values of the set: index + 1. */
static int check_many(const struct doc_reader *r, const struct doc_frame *f, struct map *set, struct err *e)
{
	for (size_t i = 0; i < f->key.n; i++) {
		void *old = NULL;

		if (map_put_str(set, f->key.v[i], (void *)(uintptr_t)(i + 1), &old))
			return doc_fail(r, f->key_line.v[i], -ENOMEM, e, "out of memory");
		if (old)
			return duplicate(r, f, (uintptr_t)old - 1, i, e);
	}
	return 0;
}

static int merge_one(const struct doc_reader *r, struct doc_frame *f, struct map *set, const struct doc_node *from,
		     struct err *e)
{
	unsigned int line = f->key_line.v[f->merge_at];

	if (from->type != DOC_MAP)
		return doc_fail(r, line, -EINVAL, e, "\"<<\" wants a mapping or a list of mappings");
	for (size_t i = 0; i < from->n; i++) {
		if (map_has(set, from->key[i], map_str_size(from->key[i])))
			continue;
		if (map_put_str(set, from->key[i], set, NULL) || vec_push(&f->key, from->key[i]) ||
		    vec_push(&f->child, from->child[i]) || vec_push(&f->key_line, line))
			return doc_fail(r, line, -ENOMEM, e, "out of memory");
	}
	return 0;
}

static int merge(const struct doc_reader *r, struct doc_frame *f, struct map *set, struct err *e)
{
	const struct doc_node *value = f->child.v[f->merge_at];
	size_t tail;
	int err = 0;

	if (value->type == DOC_SEQ) {
		for (size_t i = 0; i < value->n && !err; i++)
			err = merge_one(r, f, set, value->child[i], e);
	} else {
		err = merge_one(r, f, set, value, e);
	}
	if (err)
		return err;
	tail = f->key.n - f->merge_at - 1;
	memmove(f->key.v + f->merge_at, f->key.v + f->merge_at + 1, tail * sizeof(*f->key.v));
	memmove(f->child.v + f->merge_at, f->child.v + f->merge_at + 1, tail * sizeof(*f->child.v));
	f->key.n--;
	f->child.n--;
	return 0;
}

int doc_finish_map(const struct doc_reader *r, struct doc_frame *f, struct err *e)
{
	CLEANUP(set_freep) struct map *set = NULL;
	int err;

	if (f->key.n <= FEW_KEYS && f->merge_at == DOC_NO_MERGE)
		return check_few(r, f, e);
	if (map_new(&set))
		return doc_fail(r, f->node->line, -ENOMEM, e, "out of memory");
	err = check_many(r, f, set, e);
	if (!err && f->merge_at != DOC_NO_MERGE)
		err = merge(r, f, set, e);
	return err;
}
