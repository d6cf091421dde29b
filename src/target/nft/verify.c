/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verify(): what is there against a full program; the first difference is named. */
#include "nft.h"

#include <errno.h>
#include <stdlib.h>

#include "base/util.h"

struct check {
	struct nft *h;
	const struct target_program *p;
	enum ip_family fam;
	struct skeleton s;
	struct err *e;
};

static int stale(const struct check *c, const char *what, const char *name, const char *how)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s %s %s %s", nft_family[c->fam].name, TABLE_NAME, what, name);
	return err_set(c->e, -ESTALE, path, "%s", how);
}

static int check_sets(const struct check *c)
{
	for (size_t i = 0; i < SET_MAX; i++) {
		if (!c->s.set_ok[i])
			return stale(c, "set", nft_set_spec[i].name,
				     c->s.set_seen[i] ? "is of another kind" : "is missing");
	}
	for (size_t i = 0; i < COUNTER_MAX; i++) {
		if (!c->s.counter_ok[i])
			return stale(c, "counter", nft_counter_name[i], "is missing");
	}
	if (c->s.strange.n)
		return stale(c, "set", c->s.strange.v[0].name, "is not ours");
	return 0;
}

static int check_hook(const struct check *c, enum nft_chain_id id)
{
	const struct nft_chain_spec *spec = &nft_chain_spec[id];
	struct seen_chain seen = {};
	int r = readback_chain(c->h->nl, c->fam, spec->name, &seen, c->e);

	if (r == -ENOENT)
		return stale(c, "chain", spec->name, "is missing");
	if (r < 0)
		return r;
	if (seen.is_base != (spec->hook >= 0))
		return stale(c, "chain", spec->name, "is of another kind");
	if (seen.is_base &&
	    (!seen.is_nat || seen.hook != spec->hook || seen.priority != spec->priority || seen.policy != 1))
		return stale(c, "chain", spec->name, "has another hook, priority or policy");
	return 0;
}

static int check_rules(const struct check *c, const struct chain_id *id)
{
	char buf[NFT_CHAIN_NAME_MAX];
	const char *name = chain_id_name(id, buf);
	int r = skeleton_rules_ok(&c->s, id);

	if (r < 0)
		return r;
	if (r == 0)
		return stale(c, "chain", name,
			     skeleton_n_rules(&c->s, name) || id->id < CHAIN_MAX ? "has other rules" : "is missing");
	return 0;
}

static int check_chains(const struct check *c)
{
	int r = 0;

	for (size_t i = 0; i < CHAIN_MAX && r == 0; i++) {
		struct chain_id id = { .fam = c->fam, .id = i, .pod_cidr = &c->p->pod_cidr[c->fam] };

		r = check_hook(c, i);
		if (r == 0)
			r = check_rules(c, &id);
	}
	for (size_t i = 0; i < c->p->chains[c->fam].n && r == 0; i++) {
		struct chain_id id = { .fam = c->fam, .id = CHAIN_MAX, .ref = c->p->chains[c->fam].v[i] };

		r = check_rules(c, &id);
	}
	return r;
}

static bool is_fixed(const char *name)
{
	for (size_t i = 0; i < CHAIN_MAX; i++) {
		if (str_eq(name, nft_chain_spec[i].name))
			return true;
	}
	return false;
}

/* Chains of our shape that nothing leads to wait for their removal (chains.c): they are no difference. */
static int check_no_strangers(const struct check *c)
{
	uint32_t n_chains = CHAIN_MAX;

	for (size_t i = 0; i < c->s.rules.n; i++) {
		const char *name = c->s.rules.v[i].chain;
		struct chain_ref ref;

		if (i && str_eq(name, c->s.rules.v[i - 1].chain))
			continue;
		if (is_fixed(name))
			continue;
		if (chain_ref_parse(name, &ref) < 0)
			return stale(c, "chain", name, "is not ours");
		n_chains++;
	}
	/* The kernel's own count shows chains without rules, which no listing of this table alone does. */
	if (c->s.use != n_chains + c->s.n_names)
		return stale(c, "table", "", "holds chains that are not ours");
	return 0;
}

static int name_difference(const struct check *c, const struct op_list *ops)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	const struct op *op = &ops->v[0];
	const struct elem *e;
	CLEANUP_FREE char *text = NULL;

	if (op->is_replaced && ops->n > 1) /* the wanted one knows its Service */
		op = &ops->v[1];
	e = op_elem(ops, op);
	elem_format_key(&sb, op_side(ops, op), e);
	if (e->svc)
		strbuf_addf(&sb, " of Service %s/%s", e->svc->ns, e->svc->name);
	strbuf_add(&sb, op->is_replaced ? " leads elsewhere" :
			op->is_del	? " is there, but should not be" :
					  " is missing");
	text = strbuf_take(&sb);
	return text ? stale(c, "element of", nft_set_spec[e->set].name, text) : -ENOMEM;
}

static int check_elems(const struct check *c)
{
	CLEANUP(elem_list_free) struct elem_list found = {};
	CLEANUP(op_list_free) struct op_list ops = {};
	int r = difference(c->h->nl, c->fam, c->p, &found, &ops, c->e);

	if (r == 0 && ops.n)
		r = name_difference(c, &ops);
	return r;
}

static bool wants_elems(const struct check *c)
{
	for (size_t i = 0; i < c->p->add.n; i++) {
		if (c->p->add.v[i].fam == c->fam)
			return true;
	}
	return false;
}

static int verify_family(struct check *c)
{
	int r = skeleton_read(c->h->nl, c->fam, &c->s, c->e);

	if (r < 0)
		return r;
	if (!c->s.exists)
		return wants_elems(c) ? stale(c, "table", "", "is missing") : 0;
	r = check_sets(c);
	if (r == 0)
		r = check_chains(c);
	if (r == 0)
		r = check_no_strangers(c);
	return r ? r : check_elems(c);
}

int nft_verify(void *handle, const struct target_program *full, struct err *e)
{
	int r = 0;

	if (!program_is_full(full))
		return err_set(e, -EINVAL, NULL, "verify needs a full program");
	for (int fam = 0; fam < IP_FAMILY_MAX && r == 0; fam++) {
		struct check c = { .h = handle, .p = full, .fam = fam, .e = e };

		r = verify_family(&c);
		skeleton_free(&c.s);
	}
	return r < 0 ? err_set_errno(e, r, NULL, "cannot verify the Services") : 0; /* keeps a text that is there */
}
