/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The untyped half of VEC(): growth. */
#include "base/vec.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

int vec_grow_raw(void **v, size_t *cap, size_t want, size_t elem_size)
{
	size_t new_cap = *cap ? *cap : 8;
	void *grown;

	if (want <= *cap)
		return 0;
	while (new_cap < want) {
		if (new_cap > SIZE_MAX / 2)
			return -ENOMEM;
		new_cap *= 2;
	}
	if (elem_size && new_cap > SIZE_MAX / elem_size)
		return -ENOMEM;
	grown = realloc(*v, new_cap * elem_size);
	if (!grown)
		return -ENOMEM;
	*v = grown;
	*cap = new_cap;
	return 0;
}
