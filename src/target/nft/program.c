/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The text of a program: for people in the syntax of nft (near enough to read; it is never fed to that program), for
 * programs as one JSON object. Called through target_ops by `offkube compile` and by the golden tests.
 */
#include "program.h"

#include <errno.h>

#include "rules.h"

static void json_string(struct strbuf *sb, const char *s)
{
	strbuf_add_char(sb, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			strbuf_addf(sb, "\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			strbuf_addf(sb, "\\u%04x", *s);
		else
			strbuf_add_char(sb, *s);
	}
	strbuf_add_char(sb, '"');
}

static bool uses_family(const struct target_program *p, enum ip_family fam)
{
	for (size_t i = 0; i < p->add.n; i++) {
		if (p->add.v[i].fam == fam)
			return true;
	}
	return false;
}

/* ---- text ---- */

static void text_chain(struct strbuf *sb, const struct chain_id *c)
{
	char name[NFT_CHAIN_NAME_MAX];

	strbuf_addf(sb, "chain %s %s %s\n", nft_family[c->fam].name, TABLE_NAME, chain_id_name(c, name));
	rules_text(c, "\t", sb);
}

static void text_chains(struct strbuf *sb, const struct target_program *p, enum ip_family fam)
{
	if (program_is_full(p) && uses_family(p, fam)) {
		for (size_t i = 0; i < CHAIN_MAX; i++) {
			struct chain_id c = { .fam = fam, .id = i, .pod_cidr = &p->pod_cidr[fam] };

			text_chain(sb, &c);
		}
	} else if (p->node_changed) {
		struct chain_id c = { .fam = fam, .id = CHAIN_POSTROUTING, .pod_cidr = &p->pod_cidr[fam] };

		text_chain(sb, &c);
	}
	for (size_t i = 0; i < p->chains[fam].n; i++) {
		struct chain_id c = { .fam = fam, .id = CHAIN_MAX, .ref = p->chains[fam].v[i] };

		text_chain(sb, &c);
	}
}

static void text_op(struct strbuf *sb, const struct op_list *ops, const struct op *op)
{
	const struct elem_list *l = op_side(ops, op);
	const struct elem *e = op_elem(ops, op);

	strbuf_addf(sb, "%s element %s %s %s { ", op->is_del ? "delete" : "add", nft_family[e->fam].name, TABLE_NAME,
		    nft_set_spec[e->set].name);
	elem_format_key(sb, l, e);
	if (!op->is_del && nft_set_spec[e->set].data) {
		strbuf_add(sb, " : ");
		elem_format_data(sb, l, e);
	}
	strbuf_add(sb, " }");
	if (e->svc)
		strbuf_addf(sb, " # %s/%s", e->svc->ns, e->svc->name);
	strbuf_add_char(sb, '\n');
}

/* ---- JSON ---- */

static void json_op(struct strbuf *sb, const struct op_list *ops, const struct op *op)
{
	const struct elem_list *l = op_side(ops, op);
	const struct elem *e = op_elem(ops, op);

	strbuf_addf(sb, "{\"op\":\"%s\",\"family\":\"%s\",\"set\":\"%s\",\"key\":\"", op->is_del ? "delete" : "add",
		    nft_family[e->fam].name, nft_set_spec[e->set].name);
	elem_format_key(sb, l, e);
	strbuf_add_char(sb, '"');
	if (!op->is_del && nft_set_spec[e->set].data) {
		strbuf_add(sb, ",\"data\":\"");
		elem_format_data(sb, l, e);
		strbuf_add_char(sb, '"');
	}
	if (e->svc) {
		strbuf_add(sb, ",\"namespace\":");
		json_string(sb, e->svc->ns);
		strbuf_add(sb, ",\"service\":");
		json_string(sb, e->svc->name);
	}
	strbuf_add_char(sb, '}');
}

static void json_head(struct strbuf *sb, const struct target_program *p)
{
	char name[NFT_CHAIN_NAME_MAX];
	const char *comma = "";

	strbuf_addf(sb, "{\"target\":\"nft\",\"table\":\"%s\",\"full\":%s,\"node\":", TABLE_NAME,
		    program_is_full(p) ? "true" : "false");
	json_string(sb, p->node);
	strbuf_addf(sb, ",\"services\":%zu,\"add\":%zu,\"delete\":%zu,\"chains\":[", p->n_services, p->ops.n_add,
		    p->ops.n_del);
	for (int fam = 0; fam < IP_FAMILY_MAX; fam++) {
		for (size_t i = 0; i < p->chains[fam].n; i++) {
			strbuf_addf(sb, "%s{\"family\":\"%s\",\"name\":\"%s\"}", comma, nft_family[fam].name,
				    chain_ref_name(p->chains[fam].v[i], name));
			comma = ",";
		}
	}
	strbuf_add(sb, "],\"operations\":[");
}

/* ---- both ---- */

static int flush(struct strbuf *sb, FILE *f)
{
	int r = sb->failed ? -ENOMEM : 0;

	if (r == 0 && sb->len && fwrite(sb->buf, 1, sb->len, f) != sb->len)
		r = -EIO;
	strbuf_free(sb);
	*sb = (struct strbuf)STRBUF_INIT;
	return r;
}

static void text_head(struct strbuf *sb, const struct target_program *p)
{
	strbuf_addf(sb, "# %s for node %s: %zu Services, %zu elements to add, %zu to delete\n",
		    program_is_full(p) ? "full program" : "difference", p->node, p->n_services, p->ops.n_add,
		    p->ops.n_del);
	for (int fam = 0; fam < IP_FAMILY_MAX; fam++)
		text_chains(sb, p, fam);
}

int nft_program_print(const struct target_program *p, bool json, FILE *f)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	int r;

	if (json)
		json_head(&sb, p);
	else
		text_head(&sb, p);
	r = flush(&sb, f);
	for (size_t i = 0; i < p->ops.n && r == 0; i++) {
		if (json && i)
			strbuf_add_char(&sb, ',');
		if (json)
			json_op(&sb, &p->ops, &p->ops.v[i]);
		else
			text_op(&sb, &p->ops, &p->ops.v[i]);
		r = flush(&sb, f);
	}
	if (r == 0 && json)
		strbuf_add(&sb, "]}\n");
	return r ? r : flush(&sb, f);
}
