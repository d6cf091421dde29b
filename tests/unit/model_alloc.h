/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The model's sources compiled into the test with an allocator that counts, and fails on demand: so it works under every sanitizer and
 * counts what the model asks for, not what libc does inside. The room's library is linked too, but its copies are not taken.
 */
#ifndef OFFKUBE_TESTS_MODEL_ALLOC_H
#define OFFKUBE_TESTS_MODEL_ALLOC_H

#include "model_util.h"

static size_t n_allocs; /* since the last reset */
static size_t fail_at = SIZE_MAX; /* the allocation with this number fails, and all behind it */

static bool alloc_fails(void)
{
	return n_allocs++ >= fail_at;
}

static inline void *test_malloc_(size_t size)
{
	return alloc_fails() ? NULL : malloc(size);
}

static inline void *test_calloc_(size_t n, size_t size)
{
	return alloc_fails() ? NULL : calloc(n, size);
}

static inline void *test_realloc_(void *p, size_t size)
{
	return alloc_fails() ? NULL : realloc(p, size);
}

#undef malloc
#undef calloc
#undef realloc
#define malloc test_malloc_
#define calloc test_calloc_
#define realloc test_realloc_

#include "../../src/model/hamt.c"
#ifndef MODEL_ALLOC_HAMT_ONLY
#include "../../src/model/kind.c"
#include "../../src/model/object.c"
#include "../../src/model/service.c"
#include "../../src/model/snapshot.c"
#endif

#undef malloc
#undef calloc
#undef realloc

#endif
