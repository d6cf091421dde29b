/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table itself and its chains: made when missing, mended when different, chains that nothing leads to any more
 * removed. Called by apply.c.
 *
 * A chain cannot be deleted in the transaction that drops the last element that leads to it (kernels before 6.2), and
 * for a while after it; so unused chains are tried later, each try in a transaction of its own that may fail.
 */
#include "nft.h"

#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "base/vec.h"

#define CHAINS_PER_TXN 500
#define COLLECT_MAX 64 /* tries of one apply */

void chains_forget(struct nft *h, enum ip_family fam)
{
	h->known[fam] = h->exists[fam] = false;
	vec_free(&h->chains[fam]);
	vec_free(&h->unused[fam]);
}

static bool has_chain(const struct chain_list *l, struct chain_ref c)
{
	for (size_t i = 0; i < l->n; i++) {
		if (chain_ref_cmp(&l->v[i], &c) == 0)
			return true;
	}
	return false;
}

/* Sorted, as the program's lists are. */
static bool is_wanted(const struct target_program *p, enum ip_family fam, struct chain_ref c)
{
	const struct chain_list *l = &p->chains[fam];

	return l->n && bsearch(&c, l->v, l->n, sizeof(*l->v), chain_ref_cmp);
}

static struct chain_id fixed_chain(const struct run *r, enum ip_family fam, enum nft_chain_id id)
{
	return (struct chain_id){ .fam = fam, .id = id, .pod_cidr = &r->p->pod_cidr[fam] };
}

static struct chain_id ref_chain(enum ip_family fam, struct chain_ref ref)
{
	return (struct chain_id){ .fam = fam, .id = CHAIN_MAX, .ref = ref };
}

/* ---- the table ---- */

int table_delete(struct nft *h, enum ip_family fam, bool *ret_deleted, struct err *e)
{
	CLEANUP(txn_freep) struct txn *t = NULL;
	struct err inner = {};
	int r = txn_new(h->nl, &t);

	if (r < 0)
		return err_set_errno(e, r, NULL, "cannot delete the table");
	txn_del_table(t, fam);
	r = txn_commit(t, &inner);
	*ret_deleted = r == 0;
	chains_forget(h, fam);
	/* Without the family in this kernel there was never a table. */
	if (r == -ENOENT || r == -EAFNOSUPPORT || r == -EOPNOTSUPP)
		return 0;
	return r ? err_set(e, r, inner.path, "%s", inner.text) : 0;
}

/* One transaction: the table is never without its rules. */
static int create(struct run *r, enum ip_family fam, bool replace)
{
	CLEANUP(txn_freep) struct txn *t = NULL;
	int ret = txn_new(r->h->nl, &t);

	if (ret < 0)
		return ret;
	if (replace)
		txn_del_table(t, fam);
	txn_add_table(t, fam);
	for (size_t i = 0; i < COUNTER_MAX; i++)
		txn_add_counter(t, fam, i);
	for (size_t i = 0; i < SET_MAX; i++)
		txn_add_set(t, fam, i);
	for (size_t i = 0; i < CHAIN_MAX; i++) {
		struct chain_id c = fixed_chain(r, fam, i);

		txn_add_chain(t, &c);
	}
	for (size_t i = 0; i < CHAIN_MAX; i++) {
		struct chain_id c = fixed_chain(r, fam, i);

		txn_add_rules(t, &c);
	}
	ret = run_commit(r, t);
	if (ret == 0) {
		chains_forget(r->h, fam);
		r->h->known[fam] = r->h->exists[fam] = true;
		r->stats->n_added += CHAIN_MAX;
	}
	return ret;
}

/* ---- what is there ---- */

/* 1 the base chain hangs where it should, 0 not or absent. */
static int hook_ok(struct run *r, enum ip_family fam, enum nft_chain_id id, bool *ret_there)
{
	const struct nft_chain_spec *spec = &nft_chain_spec[id];
	struct seen_chain seen = {};
	int ret = readback_chain(r->h->nl, fam, spec->name, &seen, r->e);

	*ret_there = ret == 0;
	if (ret == -ENOENT)
		return 0;
	if (ret < 0)
		return ret;
	if (spec->hook < 0)
		return !seen.is_base;
	return seen.is_base && seen.is_nat && seen.hook == spec->hook && seen.priority == spec->priority &&
	       seen.policy == 1;
}

static int mend_fixed_chain(struct run *r, enum ip_family fam, const struct skeleton *s, enum nft_chain_id id)
{
	CLEANUP(txn_freep) struct txn *t = NULL;
	struct chain_id c = fixed_chain(r, fam, id);
	bool there = false;
	int hook = hook_ok(r, fam, id, &there);
	int ret = hook < 0 ? hook : skeleton_rules_ok(s, &c);

	if (ret < 0 || (ret && hook))
		return ret < 0 ? ret : 0;
	ret = txn_new(r->h->nl, &t);
	if (ret < 0)
		return ret;
	if (there)
		txn_flush_chain(t, fam, nft_chain_spec[id].name);
	if (there && !hook && nft_chain_spec[id].hook >= 0)
		txn_del_chain(t, fam, nft_chain_spec[id].name);
	if (!hook)
		txn_add_chain(t, &c);
	txn_add_rules(t, &c);
	r->stats->n_added++;
	return run_commit(r, t);
}

static int mend_ref_chain(struct run *r, const struct skeleton *s, const struct chain_id *c)
{
	CLEANUP(txn_freep) struct txn *t = NULL;
	char name[NFT_CHAIN_NAME_MAX];
	int ret = skeleton_rules_ok(s, c);

	if (ret)
		return ret < 0 ? ret : 0;
	ret = txn_new(r->h->nl, &t);
	if (ret < 0)
		return ret;
	txn_flush_chain(t, c->fam, chain_id_name(c, name));
	txn_add_rules(t, c);
	r->stats->n_added++;
	return run_commit(r, t);
}

/* The chains of the shape pick-N and affinity-N-T, from their rules: each has some. */
static int learn_chains(struct run *r, enum ip_family fam, const struct skeleton *s)
{
	struct nft *h = r->h;
	int ret = 0;

	for (size_t i = 0; i < s->rules.n && ret == 0; i++) {
		struct chain_ref ref;

		if (i && str_eq(s->rules.v[i].chain, s->rules.v[i - 1].chain))
			continue;
		if (chain_ref_parse(s->rules.v[i].chain, &ref) < 0 || has_chain(&h->chains[fam], ref))
			continue;
		ret = vec_push(&h->chains[fam], ref);
	}
	return ret;
}

static int adopt(struct run *r, enum ip_family fam, const struct skeleton *s)
{
	struct nft *h = r->h;
	int ret = 0;

	chains_forget(h, fam);
	for (size_t i = 0; i < CHAIN_MAX && ret == 0; i++)
		ret = mend_fixed_chain(r, fam, s, i);
	if (ret == 0)
		ret = learn_chains(r, fam, s);
	for (size_t i = 0; i < h->chains[fam].n && ret == 0; i++) {
		struct chain_id c = ref_chain(fam, h->chains[fam].v[i]);

		ret = mend_ref_chain(r, s, &c);
	}
	h->exists[fam] = true;
	h->known[fam] = ret == 0;
	return ret;
}

static bool has_elems(const struct target_program *p, enum ip_family fam)
{
	for (size_t i = 0; i < p->add.n; i++) {
		if (p->add.v[i].fam == fam)
			return true;
	}
	return false;
}

int chains_prepare_full(struct run *r, enum ip_family fam, bool *ret_was_empty)
{
	CLEANUP(skeleton_free) struct skeleton s = {};
	bool deleted = false;
	int ret = skeleton_read(r->h->nl, fam, &s, r->e);

	*ret_was_empty = true;
	if (ret < 0)
		return ret;
	if (!has_elems(r->p, fam)) {
		if (s.exists)
			ret = table_delete(r->h, fam, &deleted, r->e);
		r->stats->n_transactions += deleted;
		r->stats->n_removed += deleted;
		r->h->known[fam] = ret == 0;
		return ret;
	}
	if (!s.exists || !skeleton_sets_ok(&s)) /* of another version, or half: nothing can be kept */
		return create(r, fam, s.exists);
	*ret_was_empty = false;
	return adopt(r, fam, &s);
}

int chains_prepare_delta(struct run *r, enum ip_family fam)
{
	CLEANUP(skeleton_free) struct skeleton s = {};
	int ret = 0;

	if (!r->h->known[fam]) {
		ret = skeleton_read(r->h->nl, fam, &s, r->e);
		if (ret < 0)
			return ret;
		if (s.exists && !skeleton_sets_ok(&s))
			return -ENOENT; /* the caller reconciles */
		if (s.exists)
			return adopt(r, fam, &s);
		r->h->known[fam] = true;
		r->h->exists[fam] = false;
	}
	if (!r->h->exists[fam])
		return has_elems(r->p, fam) ? create(r, fam, false) : 0;
	if (r->p->node_changed) {
		CLEANUP(txn_freep) struct txn *t = NULL;
		struct chain_id c = fixed_chain(r, fam, CHAIN_POSTROUTING);

		ret = txn_new(r->h->nl, &t);
		if (ret < 0)
			return ret;
		txn_flush_chain(t, fam, nft_chain_spec[CHAIN_POSTROUTING].name);
		txn_add_rules(t, &c);
		ret = run_commit(r, t);
	}
	return ret;
}

/* ---- chains of the program ---- */

/* Chains beyond CHAINS_PER_TXN go ahead in transactions of their own; the rest into `t`. */
int chains_add_missing(struct run *r, enum ip_family fam, struct txn *t)
{
	const struct chain_list *want = &r->p->chains[fam];
	size_t n = 0;
	int ret = 0;

	for (size_t i = 0; i < want->n && ret == 0; i++) {
		struct chain_id c = ref_chain(fam, want->v[i]);

		if (has_chain(&r->h->chains[fam], want->v[i]))
			continue;
		txn_add_chain(t, &c);
		txn_add_rules(t, &c);
		r->stats->n_added++;
		if (++n % CHAINS_PER_TXN == 0)
			ret = run_commit(r, t);
	}
	return ret;
}

void chains_added(struct run *r, enum ip_family fam)
{
	const struct chain_list *want = &r->p->chains[fam];
	int ret = 0;

	for (size_t i = 0; i < want->n && ret == 0; i++) {
		if (!has_chain(&r->h->chains[fam], want->v[i]))
			ret = vec_push(&r->h->chains[fam], want->v[i]);
	}
	if (ret < 0)
		r->h->known[fam] = false; /* no memory: read again next time */
}

/* ---- unused chains ---- */

static void drop_chain(struct chain_list *l, struct chain_ref c)
{
	for (size_t i = 0; i < l->n; i++) {
		if (chain_ref_cmp(&l->v[i], &c) == 0) {
			l->v[i] = l->v[--l->n];
			return;
		}
	}
}

int chains_note_unused(struct run *r, enum ip_family fam)
{
	struct nft *h = r->h;
	const struct chain_list *from = program_is_full(r->p) ? &h->chains[fam] : &r->p->left[fam];
	int ret = 0;

	for (size_t i = 0; i < from->n && ret == 0; i++) {
		struct chain_ref c = from->v[i];

		if (!is_wanted(r->p, fam, c) && has_chain(&h->chains[fam], c) && !has_chain(&h->unused[fam], c))
			ret = vec_push(&h->unused[fam], c);
	}
	return ret;
}

static size_t n_own_rules(struct chain_ref c)
{
	return c.timeout_s ? CHAIN_RULES_AFFINITY : CHAIN_RULES_PICK;
}

/* 1 removed, 0 something leads to it still (or again), -errno. */
static int try_remove(struct run *r, enum ip_family fam, struct chain_ref ref)
{
	CLEANUP(txn_freep) struct txn *t = NULL;
	char name[NFT_CHAIN_NAME_MAX];
	struct seen_chain seen = {};
	struct err ignored = {};
	int ret = readback_chain(r->h->nl, fam, chain_ref_name(ref, name), &seen, r->e);

	if (ret == -ENOENT)
		return 1;
	if (ret < 0)
		return ret;
	if (seen.use > n_own_rules(ref))
		return 0;
	ret = txn_new(r->h->nl, &t);
	if (ret < 0)
		return ret;
	txn_flush_chain(t, fam, name);
	txn_del_chain(t, fam, name);
	ret = txn_commit(t, &ignored);
	if (ret == 0) {
		r->stats->n_transactions++;
		r->stats->n_removed++;
	}
	return ret == 0;
}

/* 1 done with the first of the list, 0 it stays for a later try. */
static int collect_first(struct run *r, enum ip_family fam)
{
	struct chain_list *l = &r->h->unused[fam];
	struct chain_ref c = l->v[0];
	int ret;

	if (is_wanted(r->p, fam, c))
		return 1; /* in use again */
	ret = try_remove(r, fam, c);
	if (ret > 0)
		drop_chain(&r->h->chains[fam], c);
	return ret;
}

int chains_collect(struct run *r, enum ip_family fam)
{
	struct chain_list *l = &r->h->unused[fam];

	for (size_t n_tries = MIN(l->n, (size_t)COLLECT_MAX); n_tries; n_tries--) {
		struct chain_ref c = l->v[0];
		int ret = collect_first(r, fam);

		if (ret < 0)
			return ret;
		memmove(l->v, l->v + 1, --l->n * sizeof(*l->v));
		if (ret == 0)
			l->v[l->n++] =
				c; /* to the end: another Service leads there, or the kernel has not let go of it yet */
	}
	return 0;
}

/* ---- what is not ours in our table ---- */

struct extras {
	struct seen_name *v;
	size_t n, cap;
};

static bool is_known_name(const char *name)
{
	struct chain_ref ref;

	for (size_t i = 0; i < CHAIN_MAX; i++) {
		if (str_eq(name, nft_chain_spec[i].name))
			return true;
	}
	return chain_ref_parse(name, &ref) == 0;
}

static int note_extra(const char *name, void *arg)
{
	struct extras *x = arg;
	struct seen_name seen = { is_known_name(name) ? NULL : strdup(name) };

	if (is_known_name(name))
		return 0;
	return seen.name ? vec_push(x, seen) : -ENOMEM;
}

/* Somebody else's additions to our table: verify() would name them, so they go. */
static int remove_names(struct run *r, enum ip_family fam, const struct extras *chains, const struct skeleton *s)
{
	CLEANUP(txn_freep) struct txn *t = NULL;
	int ret = txn_new(r->h->nl, &t);

	if (ret < 0)
		return ret;
	for (size_t i = 0; i < chains->n; i++)
		txn_flush_chain(t, fam, chains->v[i].name);
	for (size_t i = 0; i < chains->n; i++)
		txn_del_chain(t, fam, chains->v[i].name);
	for (size_t i = 0; i < s->strange.n; i++)
		txn_del_set(t, fam, s->strange.v[i].name);
	r->stats->n_removed += chains->n + s->strange.n;
	return run_commit(r, t);
}

int chains_remove_extras(struct run *r, enum ip_family fam)
{
	CLEANUP(skeleton_free) struct skeleton s = {};
	struct extras chains = {};
	int ret;

	if (!r->h->exists[fam])
		return 0;
	ret = skeleton_read(r->h->nl, fam, &s, r->e);
	if (ret == 0 && s.use != s.n_names + CHAIN_MAX + r->h->chains[fam].n)
		ret = readback_chain_names(r->h->nl, fam, note_extra, &chains, r->e);
	if (ret == 0 && (chains.n || s.strange.n))
		ret = remove_names(r, fam, &chains, &s);
	for (size_t i = 0; i < chains.n; i++)
		free(chains.v[i].name);
	vec_free(&chains);
	return ret;
}
