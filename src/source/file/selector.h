/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which pods does a Service's selector match? An index by label, so that thousands of Services over
 * thousands of pods stay cheap.
 */
#ifndef OFFKUBE_SOURCE_FILE_SELECTOR_H
#define OFFKUBE_SOURCE_FILE_SELECTOR_H

#include "load.h"

struct selector_index;

struct selector_pods {
	const struct pod **v; /* the caller's: free() */
	size_t n;
};

/* The pods must outlive the index. */
int selector_index_new(const struct pod *const *pods, size_t n, struct selector_index **ret);
void selector_index_free(struct selector_index *x); /* NULL is fine */
/*
 * The pods of the namespace that have all labels of the selector, which has one or more, in the
 * order of the index's pods.
 */
int selector_match(const struct selector_index *x, const char *ns, const struct labels *selector,
		   struct selector_pods *ret);

#endif
