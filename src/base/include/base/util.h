/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small things that every room needs. */
#ifndef OFFKUBE_BASE_UTIL_H
#define OFFKUBE_BASE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
/* Arguments are evaluated once; names are fresh, so that calls nest. */
#define MIN(a, b) MIN_NAMED_(a, b, __COUNTER__)
#define MAX(a, b) MAX_NAMED_(a, b, __COUNTER__)
#define MIN_NAMED_(a, b, id) MIN_EXPANDED_(a, b, id)
#define MAX_NAMED_(a, b, id) MAX_EXPANDED_(a, b, id)
#define MIN_EXPANDED_(a, b, id)                    \
	({                                         \
		__typeof__(a) a_##id = (a);        \
		__typeof__(b) b_##id = (b);        \
		a_##id < b_##id ? a_##id : b_##id; \
	})
#define MAX_EXPANDED_(a, b, id)                    \
	({                                         \
		__typeof__(a) a_##id = (a);        \
		__typeof__(b) b_##id = (b);        \
		a_##id > b_##id ? a_##id : b_##id; \
	})
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))

static inline bool str_eq(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/*
 * A strong 64-bit hash for hash tables and tries (never on the wire, never stored). Same input, same process: same
 * value.
 */
uint64_t hash_bytes(const void *data, size_t size, uint64_t seed);

#endif
