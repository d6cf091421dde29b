/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small things that every room needs. */
#ifndef OFFKUBE_BASE_UTIL_H
#define OFFKUBE_BASE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ < b_ ? a_ : b_; })
#define MAX(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ > b_ ? a_ : b_; })
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))

static inline bool str_eq(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* A strong 64-bit hash for hash tables and tries (never on the wire, never stored). Same input, same process: same value. */
uint64_t hash_bytes(const void *data, size_t size, uint64_t seed);

#endif
