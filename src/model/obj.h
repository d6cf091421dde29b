/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all objects of the model have in common: struct obj_ref is their first member, and an object is one block. So a reference is
 * taken and given back without knowing which kind of object it is: the tries of a snapshot (hamt.h) hold any kind.
 */
#ifndef OFFKUBE_MODEL_OBJ_H
#define OFFKUBE_MODEL_OBJ_H

#include <assert.h>
#include <stdlib.h>

#include "model/object.h"

static_assert(offsetof(struct node, ref) == 0, "struct obj_ref comes first");
static_assert(offsetof(struct pod, ref) == 0, "struct obj_ref comes first");
static_assert(offsetof(struct service, ref) == 0, "struct obj_ref comes first");

/* The count is the one member of an object that changes: it is no part of its value, hence the cast. */
static inline void obj_get(const struct obj_ref *obj)
{
	((struct obj_ref *)(uintptr_t)obj)->count++;
}

static inline void obj_put(const struct obj_ref *obj)
{
	struct obj_ref *ref = (struct obj_ref *)(uintptr_t)obj;

	if (ref && --ref->count == 0)
		free(ref);
}

#endif
