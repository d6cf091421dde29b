/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * apply(): from the program to the kernel.
 *
 * Full program: the table is read back and only the difference is written, so that what a killed run left is adopted,
 * and connections, counters and the memory of affinity survive. Delta: its operations as they stand; when the kernel
 * says that the table is not what the delta was made for (somebody changed it), one full reconciliation follows.
 *
 * Order. A transaction holds whole groups (all operations of one ClusterIP, see elem.h) up to its bound. A group
 * beyond the bound, a Service with thousands of endpoints, is spread: backends that nothing leads to yet first, then
 * the switch in one transaction, then removals. New packets see the old Service or the new one. A backend index that
 * a split replacement has not reached yet holds the endpoint of before.
 */
#include "nft.h"

#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "base/vec.h"

const struct service_port *carried_port(const struct target_program *p, const struct ip_addr *cluster_ip, uint8_t proto,
					uint16_t port, const struct service **ret_svc)
{
	const struct service *svc = p->with_services ? snapshot_service_by_ip(p->to, cluster_ip) : NULL;

	if (!svc || !(nft_check(p->has_probe ? &p->probe : NULL, svc, NULL) & 1u << SERVICE_FACET_CLUSTER_IP))
		return NULL;
	if (ret_svc)
		*ret_svc = svc;
	return service_find_port(svc, proto, port);
}

/* ---- groups of operations ---- */

struct group {
	const struct op *v;
	size_t n;
};

static struct group next_group(const struct op_list *l, size_t start)
{
	struct ip_addr first = elem_cluster_ip(op_side(l, &l->v[start]), op_elem(l, &l->v[start]));
	size_t end = start + 1;

	for (; end < l->n; end++) {
		struct ip_addr a = elem_cluster_ip(op_side(l, &l->v[end]), op_elem(l, &l->v[end]));

		if (!ip_addr_eq(&a, &first))
			break;
	}
	return (struct group){ &l->v[start], end - start };
}

static void write_op(struct txn *t, const struct op_list *l, const struct op *op)
{
	txn_elem(t, op_side(l, op), op_elem(l, op), op->is_del);
}

int run_commit(struct run *r, struct txn *t)
{
	int ret;

	if (txn_is_empty(t))
		return 0;
	ret = txn_commit(t, r->e);
	if (ret == 0)
		r->stats->n_transactions++;
	return ret;
}

/* Phase by phase; what belongs together (a replacement's two halves, the whole switch) is never split. */
static int write_large_group(struct run *r, struct txn *t, const struct op_list *l, const struct group *g)
{
	uint8_t phase = 0;
	int ret = 0;

	for (size_t i = 0; i < g->n && ret == 0; i++) {
		const struct op *op = &g->v[i];
		bool may_split = op->phase != OP_PHASE_SWITCH && (op->is_del || !op->is_replaced);

		if (op->phase != phase || (may_split && txn_is_full(t, 2)))
			ret = run_commit(r, t);
		phase = op->phase;
		if (ret == 0)
			write_op(t, l, op);
	}
	return ret ? ret : run_commit(r, t);
}

static int write_ops(struct run *r, struct txn *t, const struct op_list *l)
{
	int ret = 0;

	for (size_t i = 0; i < l->n && ret == 0;) {
		struct group g = next_group(l, i);

		if (txn_is_full(t, g.n))
			ret = run_commit(r, t);
		if (ret == 0 && g.n > TXN_ELEMS_MAX) {
			ret = run_commit(r, t); /* chains may be waiting in it */
			ret = ret ? ret : write_large_group(r, t, l, &g);
		} else if (ret == 0) {
			for (size_t k = 0; k < g.n; k++)
				write_op(t, l, &g.v[k]);
		}
		i += g.n;
	}
	return ret ? ret : run_commit(r, t);
}

/* ---- what the operations take away ---- */

static int note_gone(struct run *r, const struct op_list *l)
{
	int ret = 0;

	for (size_t i = 0; i < l->n && ret == 0; i++) {
		const struct elem_list *list = op_side(l, &l->v[i]);
		const struct elem *e = op_elem(l, &l->v[i]);
		struct gone_port gone = { elem_cluster_ip(list, e), elem_port(list, e), elem_proto(list, e) };

		if (!l->v[i].is_del || (e->set != SET_SERVICES && e->set != SET_NO_ENDPOINTS))
			continue;
		if (e->set == SET_SERVICES && elem_chain(list, e).timeout_s)
			r->affinity_gone = true;
		if (!carried_port(r->p, &gone.cluster_ip, gone.proto, gone.port, NULL))
			ret = vec_push(&r->gone, gone);
	}
	return ret;
}

static int apply_ops(struct run *r, enum ip_family fam, const struct op_list *l)
{
	CLEANUP(txn_freep) struct txn *t = NULL;
	int ret = txn_new(r->h->nl, &t);

	if (ret == 0 && program_is_full(r->p))
		txn_tolerate_present(t); /* the listing may have left it out */
	if (ret == 0)
		ret = chains_add_missing(r, fam, t);
	if (ret == 0)
		ret = write_ops(r, t, l);
	if (ret < 0)
		return ret;
	chains_added(r, fam);
	r->stats->n_added += l->n_add;
	r->stats->n_removed += l->n_del;
	r->stats->n_kept += l->n_kept;
	return note_gone(r, l);
}

/* ---- full ---- */

static int apply_full_family(struct run *r, enum ip_family fam)
{
	CLEANUP(elem_list_free) struct elem_list found = {};
	CLEANUP(op_list_free) struct op_list ops = {};
	bool was_empty = true;
	int ret = chains_prepare_full(r, fam, &was_empty);

	if (ret < 0 || !r->h->exists[fam])
		return ret;
	if (was_empty)
		ret = op_list_build(NULL, &r->p->add, fam, &ops);
	else
		ret = difference(r->h->nl, fam, r->p, &found, &ops, r->e);
	if (ret == 0)
		ret = apply_ops(r, fam, &ops);
	r->affinity_gone = !was_empty; /* a killed run may have left some */
	if (ret == 0)
		ret = affinity_forget_gone(r, fam);
	if (ret == 0)
		ret = chains_note_unused(r, fam);
	if (ret == 0)
		ret = chains_collect(r, fam);
	return ret || was_empty ? ret : chains_remove_extras(r, fam);
}

/* The kernel's way to say that the table is not the one that the operations start from. */
static bool is_drift(int r)
{
	return r == -ENOENT || r == -EEXIST || r == -EBUSY;
}

static int apply_families(struct run *r, int (*fn)(struct run *r, enum ip_family fam))
{
	int ret = 0;

	for (int fam = 0; fam < IP_FAMILY_MAX && ret == 0; fam++) {
		ret = fn(r, fam);
		if (ret < 0)
			chains_forget(r->h, fam);
	}
	return ret;
}

/* Twice, if somebody else writes to the table at the same time. */
static int apply_full(struct run *r)
{
	struct err inner = {}, *e = r->e;
	int ret;

	r->e = &inner;
	ret = apply_families(r, apply_full_family);
	r->e = e;
	if (ret == 0)
		return 0;
	if (is_drift(ret))
		return apply_families(r, apply_full_family);
	return err_set(e, ret, inner.path, "%s", inner.text);
}

/* ---- delta ---- */

static int apply_delta_family(struct run *r, enum ip_family fam)
{
	CLEANUP(op_list_free) struct op_list ops = {};
	int ret = chains_prepare_delta(r, fam);

	if (ret < 0 || !r->h->exists[fam])
		return ret;
	ret = chains_collect(r, fam); /* of the applies before: the kernel had time to let go */
	if (ret == 0)
		ret = op_list_build(&r->p->del, &r->p->add, fam, &ops);
	if (ret == 0)
		ret = apply_ops(r, fam, &ops);
	if (ret == 0 && r->affinity_gone)
		ret = affinity_forget_gone(r, fam);
	return ret ? ret : chains_note_unused(r, fam);
}

static int apply_delta(struct run *r)
{
	CLEANUP(nft_program_freep) struct target_program *full = NULL;
	struct run again;
	struct err inner = {}, *e = r->e;
	int ret;

	r->e = &inner;
	ret = apply_families(r, apply_delta_family);
	r->e = e;
	if (ret == 0)
		return 0;
	if (!is_drift(ret))
		return err_set(e, ret, inner.path, "%s", inner.text);
	ret = program_compile_full(r->p, &full, e);
	if (ret < 0)
		return ret;
	again = *r;
	again.p = full;
	ret = apply_full(&again);
	r->gone = again.gone;
	return ret;
}

/* ---- entry ---- */

int nft_apply(void *handle, const struct target_program *p, struct target_stats *stats, struct err *e)
{
	struct target_stats ignored = {};
	struct run r = { .h = handle, .p = p, .stats = stats ? stats : &ignored, .e = e };
	int ret;

	*r.stats = (struct target_stats){};
	ret = program_is_full(p) ? apply_full(&r) : apply_delta(&r);
	if (ret == 0)
		ret = conntrack_clean(&r);
	vec_free(&r.gone);
	if (ret < 0)
		return err_set_errno(e, ret, NULL, "cannot apply the Services"); /* keeps a text that is there */
	snapshot_unref(r.h->snapshot);
	r.h->snapshot = snapshot_ref(p->to);
	return 0;
}

int nft_remove(void *handle, struct err *e)
{
	struct nft *h = handle;
	int ret = 0;

	for (int fam = 0; fam < IP_FAMILY_MAX; fam++) {
		bool deleted;
		int r = table_delete(h, fam, &deleted, e);

		ret = ret ? ret : r;
	}
	return ret;
}
