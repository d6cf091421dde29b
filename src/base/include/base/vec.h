/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A typed growing array. Zero-initialised is empty. Elements are moved with memcpy.
 *
 *	VEC(struct endpoint) eps = {};
 *	r = vec_push(&eps, ep);		-- 0 or -ENOMEM
 *	vec_free(&eps);
 */
#ifndef OFFKUBE_BASE_VEC_H
#define OFFKUBE_BASE_VEC_H

#include <stddef.h>

#define VEC(T)              \
	struct {            \
		T *v;       \
		size_t n;   \
		size_t cap; \
	}

/* 0 or -ENOMEM; the array is untouched on failure. */
int vec_grow_raw(void **v, size_t *cap, size_t want, size_t elem_size);

#define vec_reserve(vec, want) vec_grow_raw((void **)&(vec)->v, &(vec)->cap, (want), sizeof(*(vec)->v))

#define vec_push(vec, ...)                                     \
	({                                                     \
		int vec_r_ = vec_reserve((vec), (vec)->n + 1); \
		if (vec_r_ == 0)                               \
			(vec)->v[(vec)->n++] = (__VA_ARGS__);  \
		vec_r_;                                        \
	})

#define vec_free(vec)                      \
	do {                               \
		free((vec)->v);            \
		(vec)->v = NULL;           \
		(vec)->n = (vec)->cap = 0; \
	} while (0)

#endif
