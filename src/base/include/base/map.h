/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * struct map: bytes -> pointer, open addressing. Keys are copied; values belong to the caller.
 * Iteration order is not defined: who prints sorts.
 */
#ifndef OFFKUBE_BASE_MAP_H
#define OFFKUBE_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map;

int map_new(struct map **ret_map);
/* `free_value` may be NULL. NULL map is fine. */
void map_free(struct map *m, void (*free_value)(void *));
/* NULL when absent. */
void *map_get(const struct map *m, const void *key, size_t key_size);
bool map_has(const struct map *m, const void *key, size_t key_size);
/* Adds or replaces; *ret_old (may be NULL) gets the replaced value or NULL. 0 or -ENOMEM. */
int map_put(struct map *m, const void *key, size_t key_size, void *value, void **ret_old);
/* Returns the removed value, NULL when absent. */
void *map_del(struct map *m, const void *key, size_t key_size);
size_t map_count(const struct map *m);
/* Calls fn for each entry until it returns non-zero, and returns that. fn must not change the map. */
int map_each(const struct map *m, int (*fn)(const void *key, size_t key_size, void *value, void *arg), void *arg);

static inline size_t map_str_size(const char *s)
{
	return __builtin_strlen(s) + 1;
}
#define map_get_str(m, s) map_get((m), (s), map_str_size(s))
#define map_put_str(m, s, val, old) map_put((m), (s), map_str_size(s), (val), (old))

#endif
