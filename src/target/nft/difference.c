/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is there against what a full program says: difference(). Called by apply.c and verify.c.
 *
 * A listing of the kernel cannot be trusted to be complete (readback.h). So every element that seems to be missing is
 * asked for by its key, and as long as a listing was wrong anywhere it is read anew: it may have left out an element
 * that should go, too.
 */
#include "nft.h"

#include <errno.h>

#define TRIES_MAX 5

static int read_all(struct nl *nl, enum ip_family fam, struct elem_list *out, size_t *ret_n_twice, struct err *e)
{
	int r = 0;

	out->n = out->n_bytes = 0;
	*ret_n_twice = 0;
	for (size_t set = 0; set < SET_MAX && r == 0; set++) {
		if (!nft_set_spec[set].dynamic)
			r = readback_elems(nl, fam, set, out, NULL, ret_n_twice, e);
	}
	return r;
}

/* Looks for each element that would be added and was not listed; what is there after all goes to `found`. */
static int find_unlisted(struct nl *nl, const struct op_list *ops, struct elem_list *found, size_t *ret_n,
			 struct err *e)
{
	int r = 0;

	*ret_n = 0;
	for (size_t i = 0; i < ops->n && r == 0; i++) {
		if (ops->v[i].is_del || ops->v[i].is_replaced)
			continue;
		r = readback_elem(nl, ops->add, op_elem(ops, &ops->v[i]), found, e);
		*ret_n += r == 0;
		r = r == -ENOENT ? 0 : r;
	}
	return r;
}

int difference(struct nl *nl, enum ip_family fam, const struct target_program *full, struct elem_list *found,
	       struct op_list *ret, struct err *e)
{
	for (int i = 0; i < TRIES_MAX; i++) {
		CLEANUP(op_list_free) struct op_list ops = {};
		size_t n_twice = 0, n_unlisted = 0;
		int r = read_all(nl, fam, found, &n_twice, e);

		if (r == 0)
			r = op_list_build(found, &full->add, fam, &ops);
		if (r == 0 && found->n)
			r = find_unlisted(nl, &ops, found, &n_unlisted, e);
		if (r < 0)
			return r;
		if (n_twice == 0 && n_unlisted == 0) {
			*ret = ops;
			ops = (struct op_list){};
			return 0;
		}
	}
	/* The last listing, with what it left out, is the best that can be had. */
	return op_list_build(found, &full->add, fam, ret);
}
