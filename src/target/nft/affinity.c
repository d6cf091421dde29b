/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory of affinity belongs to the packets: it is never flushed. Only what belongs to a Service port that has no
 * affinity (any more) is removed, so that a later Service with the same address does not inherit it. Called by
 * apply.c.
 */
#include "nft.h"

#include <errno.h>
#include <stdlib.h>

static bool is_remembered_rightly(const struct target_program *p, const struct elem_list *l, const struct elem *e)
{
	const struct service *svc = NULL;
	struct ip_addr cluster_ip = elem_cluster_ip(l, e);

	return carried_port(p, &cluster_ip, elem_proto(l, e), elem_port(l, e), &svc) &&
	       svc->features & 1u << SERVICE_FEATURE_AFFINITY;
}

/* An element may time out between the dump and its removal, which refuses the transaction: then one by one. */
static int remove_singly(struct run *r, struct txn *t, const struct elem_list *l, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		struct err inner = {};
		int ret;

		if (is_remembered_rightly(r->p, l, &l->v[i]))
			continue;
		txn_elem(t, l, &l->v[i], true);
		ret = txn_commit(t, &inner);
		if (ret < 0 && ret != -ENOENT)
			return err_set(r->e, ret, inner.path, "%s", inner.text);
		r->stats->n_removed += ret == 0;
	}
	return 0;
}

static int commit(struct run *r, struct txn *t, const struct elem_list *l, size_t from, size_t to)
{
	struct err inner = {};
	size_t n = txn_n_elems(t);
	int ret = txn_commit(t, &inner);

	if (ret == -ENOENT)
		return remove_singly(r, t, l, from, to);
	if (ret < 0)
		return err_set(r->e, ret, inner.path, "%s", inner.text);
	r->stats->n_removed += n;
	r->stats->n_transactions += n > 0;
	return 0;
}

int affinity_forget_gone(struct run *r, enum ip_family fam)
{
	CLEANUP(elem_list_free) struct elem_list found = {};
	CLEANUP(txn_freep) struct txn *t = NULL;
	size_t from = 0;
	int ret;

	if (!r->affinity_gone)
		return 0;
	ret = readback_elems(r->h->nl, fam, SET_AFFINITY, &found, NULL, NULL, r->e);
	if (ret == 0)
		ret = txn_new(r->h->nl, &t);
	for (size_t i = 0; i < found.n && ret == 0; i++) {
		if (is_remembered_rightly(r->p, &found, &found.v[i]))
			continue;
		if (txn_is_full(t, 1)) {
			ret = commit(r, t, &found, from, i);
			from = i;
		}
		if (ret == 0)
			txn_elem(t, &found, &found.v[i], true);
	}
	return ret ? ret : commit(r, t, &found, from, found.n);
}
