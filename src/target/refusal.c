/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Refusals: their names and the list of notes. Called by every target's check(), by plan and by
 * reports. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "base/vec.h"
#include "target/refusal.h"

#define NOTES_MAX 10000

static const struct {
	const char *name, *text;
} table[] = {
#define REFUSAL(id, name, text) { name, text },
#include "target/refusals.def"
#undef REFUSAL
};
static_assert(ARRAY_LEN(table) == REFUSAL_MAX, "one entry per refusal");

const char *refusal_name(enum refusal r)
{
	return (size_t)r < REFUSAL_MAX ? table[r].name : "?";
}

const char *refusal_text(enum refusal r)
{
	return (size_t)r < REFUSAL_MAX ? table[r].text : "?";
}

int refusal_parse(const char *s)
{
	for (size_t i = 0; i < REFUSAL_MAX; i++) {
		if (str_eq(s, table[i].name))
			return (int)i;
	}
	return -EINVAL;
}

int refusal_add(struct refusal_list *l, enum refusal why, const char *object, const char *field, const char *detail)
{
	struct refusal_note *note;
	int r;

	l->count[why]++;
	if (l->n >= NOTES_MAX)
		return 0;
	r = vec_grow_raw((void **)&l->v, &l->cap, l->n + 1, sizeof(*l->v));
	if (r < 0)
		return r;
	note = &l->v[l->n++];
	memset(note, 0, sizeof(*note));
	note->why = why;
	/* Cut, if need be: notes are for people. */
	(void)snprintf(note->object, sizeof(note->object), "%s", object ? object : "");
	(void)snprintf(note->field, sizeof(note->field), "%s", field ? field : "");
	(void)snprintf(note->detail, sizeof(note->detail), "%s", detail ? detail : "");
	return 0;
}

void refusal_list_free(struct refusal_list *l)
{
	free(l->v);
	memset(l, 0, sizeof(*l));
}
