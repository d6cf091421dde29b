/* SPDX-License-Identifier: GPL-2.0-or-later */
/* struct arena: allocations that die together. Results are zeroed and aligned for any type; NULL on -ENOMEM. */
#ifndef OFFKUBE_BASE_ARENA_H
#define OFFKUBE_BASE_ARENA_H

#include <stddef.h>

struct arena;

int arena_new(struct arena **ret_arena);
void arena_free(struct arena *a); /* NULL is fine */
void *arena_alloc(struct arena *a, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Bytes obtained from the system so far. */
size_t arena_size(const struct arena *a);

#endif
