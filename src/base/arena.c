/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocations that die together: documents, plans, compiled programs. Chunks double up to a megabyte; what is large
 * against the next chunk gets its own.
 */
#include "base/arena.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define CHUNK_SIZE_MIN ((size_t)4096)
#define CHUNK_SIZE_MAX ((size_t)1 << 20)
#define ALIGN _Alignof(max_align_t)

struct chunk {
	struct chunk *next;
	_Alignas(max_align_t) unsigned char data[];
};

struct arena {
	struct chunk *chunks;
	unsigned char *at; /* free bytes of the current chunk */
	size_t left;
	size_t next_size;
	size_t total;
};

int arena_new(struct arena **ret_arena)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->next_size = CHUNK_SIZE_MIN;
	a->total = sizeof(*a);
	*ret_arena = a;
	return 0;
}

void arena_free(struct arena *a)
{
	struct chunk *next;

	if (!a)
		return;
	for (struct chunk *c = a->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	free(a);
}

static struct chunk *add_chunk(struct arena *a, size_t size)
{
	struct chunk *c = calloc(1, sizeof(*c) + size);

	if (!c)
		return NULL;
	c->next = a->chunks;
	a->chunks = c;
	a->total += sizeof(*c) + size;
	return c;
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct chunk *c;
	void *p;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = size ? DIV_ROUND_UP(size, ALIGN) * ALIGN : ALIGN;
	if (size > a->left) {
		/* A large piece does not end the current chunk. */
		if (size > a->next_size / 4) {
			c = add_chunk(a, size);
			return c ? c->data : NULL;
		}
		c = add_chunk(a, a->next_size);
		if (!c)
			return NULL;
		a->at = c->data;
		a->left = a->next_size;
		a->next_size = MIN(a->next_size * 2, CHUNK_SIZE_MAX);
	}
	p = a->at;
	a->at += size;
	a->left -= size;
	return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
	size_t size = strlen(s) + 1;
	char *copy = arena_alloc(a, size);

	if (copy)
		memcpy(copy, s, size);
	return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return NULL;
	s = arena_alloc(a, (size_t)n + 1);
	if (!s)
		return NULL;
	va_start(ap, fmt);
	(void)vsnprintf(s, (size_t)n + 1, fmt, ap); /* measured above */
	va_end(ap);
	return s;
}

size_t arena_size(const struct arena *a)
{
	return a->total;
}
