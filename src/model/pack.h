/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * struct pack: lays out an object with its strings and arrays in one block. The same function runs twice: first with no block, which
 * only counts, then with a block of that size, which copies. In the first run every result is NULL and nothing may be written.
 */
#ifndef OFFKUBE_MODEL_PACK_H
#define OFFKUBE_MODEL_PACK_H

#include <stddef.h>
#include <string.h>

struct pack {
	char *block; /* NULL: count only */
	size_t size;
};

static inline void *pack_take(struct pack *p, size_t size, size_t align)
{
	size_t at = (p->size + align - 1) / align * align;

	p->size = at + size;
	return p->block ? p->block + at : NULL;
}

/* Room for an array of n; NULL for none. */
#define pack_array(p, T, n) ((n) ? (T *)pack_take((p), (n) * sizeof(T), _Alignof(T)) : NULL)

/* NULL stays NULL. */
static inline const char *pack_str(struct pack *p, const char *s)
{
	char *copy;
	size_t size;

	if (!s)
		return NULL;
	size = strlen(s) + 1;
	copy = pack_take(p, size, 1);
	if (copy)
		memcpy(copy, s, size);
	return copy;
}

#endif
