/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From what is there to what is to be: op_list_build(). Called by compile.c (delta: both lists hold the changed
 * Services only) and by apply.c (full program: what was read back against all that is wanted).
 */
#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "base/vec.h"
#include "elem.h"

void op_list_free(struct op_list *l)
{
	free(l->v);
	*l = (struct op_list){};
}

static int num_cmp(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

/* Same set and family. The index of a backend, in host order at the end of its key, is compared as a number. */
static int key_cmp(const struct elem_list *la, const struct elem *a, const struct elem_list *lb, const struct elem *b)
{
	size_t size = nft_key_size(a->set, a->fam);
	const uint8_t *ka = elem_key(la, a), *kb = elem_key(lb, b);
	uint32_t ia, ib;
	int d;

	if (a->set != SET_BACKENDS && a->set != SET_STICKY_BACKENDS)
		return memcmp(ka, kb, size);
	d = memcmp(ka, kb, size - 4);
	memcpy(&ia, ka + size - 4, 4);
	memcpy(&ib, kb + size - 4, 4);
	return d ? d : num_cmp(ia, ib);
}

static int group_cmp(const struct elem_list *la, const struct elem *a, const struct elem_list *lb, const struct elem *b)
{
	if (a->fam != b->fam)
		return num_cmp(a->fam, b->fam);
	return memcmp(elem_key(la, a) + nft_cluster_ip_offset(a->set, a->fam),
		      elem_key(lb, b) + nft_cluster_ip_offset(b->set, b->fam), nft_family[a->fam].addr_size);
}

static int elem_cmp(const struct elem_list *la, const struct elem *a, const struct elem_list *lb, const struct elem *b)
{
	int d = group_cmp(la, a, lb, b);

	if (d == 0)
		d = num_cmp(a->set, b->set);
	return d ? d : key_cmp(la, a, lb, b);
}

/* By element; of one key the removal first. */
static int op_by_elem(const void *x, const void *y, void *arg)
{
	const struct op_list *l = arg;
	const struct op *a = x, *b = y;
	int d = elem_cmp(op_side(l, a), op_elem(l, a), op_side(l, b), op_elem(l, b));

	return d ? d : (int)b->is_del - (int)a->is_del;
}

static int op_by_phase(const void *x, const void *y, void *arg)
{
	const struct op_list *l = arg;
	const struct op *a = x, *b = y;
	int d = group_cmp(op_side(l, a), op_elem(l, a), op_side(l, b), op_elem(l, b));

	if (d == 0)
		d = num_cmp(a->phase, b->phase);
	return d ? d : op_by_elem(x, y, arg);
}

static uint8_t phase_of(const struct op_list *l, const struct op *op)
{
	enum nft_set_id set = op_elem(l, op)->set;

	if (set == SET_CLUSTER_IPS || set == SET_SERVICES || set == SET_NO_ENDPOINTS)
		return OP_PHASE_SWITCH;
	return op->is_del && !op->is_replaced ? OP_PHASE_CLEAN : OP_PHASE_PREPARE;
}

static bool is_equal(const struct op_list *l, const struct elem *del, const struct elem *add)
{
	return memcmp(elem_data(l->del, del), elem_data(l->add, add), nft_data_size(add->set, add->fam)) == 0;
}

/* Sorted by element: two of one key that follow each other are a replacement. */
static void pair_up(struct op_list *l)
{
	for (size_t i = 0; i + 1 < l->n; i++) {
		struct op *op = &l->v[i], *next = op + 1;

		if (op->is_del && !next->is_del && elem_cmp(l->del, op_elem(l, op), l->add, op_elem(l, next)) == 0)
			op->is_replaced = next->is_replaced = true;
	}
}

/* ---- what is there and wanted, and equal: found by hash, so that a large table which is right costs no sorting
 * ---- */

struct matcher {
	struct elem_index index; /* of `add` */
	bool *kept; /* per element of `add` */
};

static void matcher_free(struct matcher *m)
{
	elem_index_free(&m->index);
	free(m->kept);
}

static int matcher_new(const struct elem_list *add, struct matcher *ret)
{
	struct matcher m = { .kept = calloc(add->n + 1, sizeof(*m.kept)) };
	int r = m.kept ? elem_index_new(add, add->n, add->n, &m.index) : -ENOMEM;

	if (r < 0) {
		free(m.kept);
		return r;
	}
	*ret = m;
	return 0;
}

/* True when `del` is wanted as it is: then neither is an operation. */
static bool is_kept(struct matcher *m, const struct op_list *l, const struct elem *del)
{
	size_t i = elem_index_find(&m->index, l->del, del);

	if (i == ELEM_NONE || m->kept[i] || !is_equal(l, del, &l->add->v[i]))
		return false;
	m->kept[i] = true;
	return true;
}

/* ---- building ---- */

static int collect(struct op_list *l, const struct elem_list *from, bool is_del, enum ip_family fam, struct matcher *m)
{
	int r = 0;

	for (size_t i = 0; from && i < from->n && r == 0; i++) {
		if (fam != OP_ALL_FAMILIES && from->v[i].fam != fam)
			continue;
		if (m && (is_del ? is_kept(m, l, &from->v[i]) : m->kept[i]))
			l->n_kept += is_del;
		else
			r = vec_push(l, (struct op){ .i = (uint32_t)i, .is_del = is_del });
	}
	return r;
}

static void finish(struct op_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		l->n_add += !l->v[i].is_del;
		l->n_del += l->v[i].is_del;
	}
	/* With nothing to remove, the compiler's own order is right: by Service, in it by phase. */
	if (l->n_del) {
		qsort_r(l->v, l->n, sizeof(*l->v), op_by_elem, l);
		pair_up(l);
	}
	for (size_t i = 0; i < l->n; i++)
		l->v[i].phase = phase_of(l, &l->v[i]);
	if (l->n_del)
		qsort_r(l->v, l->n, sizeof(*l->v), op_by_phase, l);
}

int op_list_build(const struct elem_list *del, const struct elem_list *add, enum ip_family fam, struct op_list *ret)
{
	CLEANUP(matcher_free) struct matcher m = {};
	struct op_list l = { .add = add, .del = del };
	bool compare = del && del->n > 0;
	int r = compare ? matcher_new(add, &m) : 0;

	if (r == 0)
		r = collect(&l, del, true, fam, compare ? &m : NULL);
	if (r == 0)
		r = collect(&l, add, false, fam, compare ? &m : NULL);
	if (r < 0) {
		op_list_free(&l);
		return r;
	}
	finish(&l);
	*ret = l;
	return 0;
}
