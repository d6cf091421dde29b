/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One nf_tables transaction; see txn.h. Called by skeleton.c, apply.c and probe.c. */
#include "txn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/object.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>

#include "base/util.h"
#include "base/vec.h"

/* A nest of elements must stay under 64 KiB: its size is a 16-bit field. One element is at most 256 bytes. */
#define NEST_MAX 60000
#define MSG_ROOM 8192 /* for any one message but elements */
#define ELEM_ROOM 256
#define END_ROOM 64

/* What a message was about, to name what the kernel refuses. */
struct txn_note {
	uint32_t seq;
	enum ip_family fam;
	const char *what; /* "set", "chain", ...: static */
	char name[NFT_CHAIN_NAME_MAX];
	const struct elem_list *list; /* elements: the first of the message */
	const struct elem *elem;
};

struct txn {
	struct nl *nl;
	uint8_t *buf;
	size_t size, cap;
	size_t last_off; /* of the last message */
	int failed; /* 0 or -errno */
	size_t n_msgs, n_elems;
	bool tolerate_present;
	VEC(struct txn_note) notes;
	/* The message of elements that is still open; nest_off 0: none. */
	size_t nest_off;
	const struct service *svc;
	struct ip_addr cluster_ip;
	uint8_t fam, set;
	bool is_del;
};

int txn_new(struct nl *nl, struct txn **ret)
{
	struct txn *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->nl = nl;
	*ret = t;
	return 0;
}

void txn_free(struct txn *t)
{
	if (!t)
		return;
	free(t->buf);
	vec_free(&t->notes);
	free(t);
}

bool txn_is_empty(const struct txn *t)
{
	return t->n_msgs == 0;
}

bool txn_is_full(const struct txn *t, size_t n_elems)
{
	return t->n_msgs && (t->n_elems + n_elems > TXN_ELEMS_MAX || t->size + n_elems * ELEM_ROOM > TXN_BYTES_MAX);
}

size_t txn_n_elems(const struct txn *t)
{
	return t->n_elems;
}

/* ---- messages ---- */

static bool room(struct txn *t, size_t size)
{
	if (t->failed)
		return false;
	if (vec_grow_raw((void **)&t->buf, &t->cap, t->size + size, 1) < 0)
		t->failed = -ENOMEM;
	return t->failed == 0;
}

static struct nlmsghdr *last_msg(struct txn *t)
{
	return (struct nlmsghdr *)(t->buf + t->last_off);
}

static void close_elems(struct txn *t)
{
	if (!t->nest_off)
		return;
	mnl_attr_nest_end(last_msg(t), (struct nlattr *)(t->buf + t->nest_off));
	t->size = t->last_off + last_msg(t)->nlmsg_len;
	t->nest_off = 0;
}

/* Begins a message; NULL after a failure. end_msg() must follow, except for elements. */
static struct nlmsghdr *begin_msg(struct txn *t, int type, enum ip_family fam, int flags, const char *what,
				  const char *name)
{
	struct txn_note note = { .fam = fam, .what = what };
	struct nlmsghdr *nlh;

	close_elems(t);
	if (!room(t, MSG_ROOM))
		return NULL;
	if (t->size == 0)
		t->size = nftnl_batch_begin((char *)t->buf, nl_seq(t->nl))->nlmsg_len;
	note.seq = nl_seq(t->nl);
	(void)snprintf(note.name, sizeof(note.name), "%s", name ? name : "");
	t->failed = vec_push(&t->notes, note);
	if (t->failed)
		return NULL;
	t->last_off = t->size;
	nlh = nftnl_nlmsg_build_hdr((char *)t->buf + t->size, (uint16_t)type, nft_family[fam].nfproto, (uint16_t)flags,
				    note.seq);
	t->n_msgs++;
	return nlh;
}

static void end_msg(struct txn *t, const struct nlmsghdr *nlh)
{
	t->size += nlh->nlmsg_len;
}

void txn_add_table(struct txn *t, enum ip_family fam)
{
	struct nlmsghdr *nlh = begin_msg(t, NFT_MSG_NEWTABLE, fam, NLM_F_CREATE, "table", "");

	if (!nlh)
		return;
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, TABLE_NAME);
	end_msg(t, nlh);
}

void txn_del_table(struct txn *t, enum ip_family fam)
{
	struct nlmsghdr *nlh = begin_msg(t, NFT_MSG_DELTABLE, fam, 0, "table", "");

	if (!nlh)
		return;
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, TABLE_NAME);
	end_msg(t, nlh);
}

void txn_add_counter(struct txn *t, enum ip_family fam, enum nft_counter_id id)
{
	struct nftnl_obj *o = nftnl_obj_alloc();
	struct nlmsghdr *nlh = begin_msg(t, NFT_MSG_NEWOBJ, fam, NLM_F_CREATE, "counter", nft_counter_name[id]);

	if (!o)
		t->failed = -ENOMEM;
	if (nlh && o) {
		nftnl_obj_set_str(o, NFTNL_OBJ_TABLE, TABLE_NAME);
		nftnl_obj_set_str(o, NFTNL_OBJ_NAME, nft_counter_name[id]);
		nftnl_obj_set_u32(o, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
		nftnl_obj_nlmsg_build_payload(nlh, o);
		end_msg(t, nlh);
	}
	if (o)
		nftnl_obj_free(o);
}

static int describe_set(struct nftnl_set *s, enum ip_family fam, enum nft_set_id id)
{
	const struct nft_set_spec *spec = &nft_set_spec[id];
	uint32_t flags = spec->dynamic ? NFT_SET_TIMEOUT | NFT_SET_EVAL : 0;
	struct nftnl_expr *counter = NULL;

	if (nftnl_set_set_str(s, NFTNL_SET_TABLE, TABLE_NAME) < 0 ||
	    nftnl_set_set_str(s, NFTNL_SET_NAME, spec->name) < 0)
		return -ENOMEM;
	nftnl_set_set_u32(s, NFTNL_SET_FAMILY, nft_family[fam].nfproto);
	nftnl_set_set_u32(s, NFTNL_SET_ID, (uint32_t)id + 1);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, nft_fields_type(spec->key, fam));
	nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, (uint32_t)nft_key_size(id, fam));
	if (spec->data) {
		flags |= NFT_SET_MAP;
		nftnl_set_set_u32(s, NFTNL_SET_DATA_TYPE,
				  id == SET_SERVICES ? NFT_DATA_VERDICT : nft_fields_type(spec->data, fam));
		nftnl_set_set_u32(s, NFTNL_SET_DATA_LEN, id == SET_SERVICES ? 0 : (uint32_t)nft_data_size(id, fam));
	}
	if (spec->dynamic)
		nftnl_set_set_u32(s, NFTNL_SET_DESC_SIZE, NFT_AFFINITY_MAX);
	if (spec->counter) {
		counter = nftnl_expr_alloc("counter");
		if (!counter)
			return -ENOMEM;
		nftnl_set_add_expr(s, counter);
		flags |= NFT_SET_EXPR;
	}
	nftnl_set_set_u32(s, NFTNL_SET_FLAGS, flags);
	return 0;
}

void txn_add_set(struct txn *t, enum ip_family fam, enum nft_set_id id)
{
	struct nftnl_set *s = nftnl_set_alloc();
	struct nlmsghdr *nlh = begin_msg(t, NFT_MSG_NEWSET, fam, NLM_F_CREATE, "set", nft_set_spec[id].name);

	if (!s || describe_set(s, fam, id) < 0)
		t->failed = -ENOMEM;
	if (nlh && !t->failed) {
		nftnl_set_nlmsg_build_payload(nlh, s);
		end_msg(t, nlh);
	}
	if (s)
		nftnl_set_free(s);
}

void txn_add_chain(struct txn *t, const struct chain_id *c)
{
	char name[NFT_CHAIN_NAME_MAX];
	const char *s = chain_id_name(c, name);
	const struct nft_chain_spec *spec = c->id < CHAIN_MAX ? &nft_chain_spec[c->id] : NULL;
	struct nlmsghdr *nlh = begin_msg(t, NFT_MSG_NEWCHAIN, c->fam, NLM_F_CREATE, "chain", s);
	struct nlattr *hook;

	if (!nlh)
		return;
	mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, TABLE_NAME);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, s);
	if (spec && spec->hook >= 0) {
		hook = mnl_attr_nest_start(nlh, NFTA_CHAIN_HOOK);
		mnl_attr_put_u32(nlh, NFTA_HOOK_HOOKNUM, htonl((uint32_t)spec->hook));
		mnl_attr_put_u32(nlh, NFTA_HOOK_PRIORITY, htonl((uint32_t)spec->priority));
		mnl_attr_nest_end(nlh, hook);
		mnl_attr_put_u32(nlh, NFTA_CHAIN_POLICY, htonl(NF_ACCEPT));
		mnl_attr_put_strz(nlh, NFTA_CHAIN_TYPE, "nat");
	}
	end_msg(t, nlh);
}

void txn_add_rules(struct txn *t, const struct chain_id *c)
{
	char name[NFT_CHAIN_NAME_MAX];
	struct rule_list rules;

	if (rules_build(c, &rules) < 0)
		t->failed = -ENOMEM;
	for (size_t i = 0; i < rules.n && !t->failed; i++) {
		struct nlmsghdr *nlh = begin_msg(t, NFT_MSG_NEWRULE, c->fam, NLM_F_CREATE | NLM_F_APPEND,
						 "rule of chain", chain_id_name(c, name));

		if (!nlh)
			break;
		nftnl_rule_nlmsg_build_payload(nlh, rules.v[i]);
		end_msg(t, nlh);
	}
	rule_list_free(&rules);
}

void txn_flush_chain(struct txn *t, enum ip_family fam, const char *name)
{
	struct nlmsghdr *nlh = begin_msg(t, NFT_MSG_DELRULE, fam, 0, "rules of chain", name);

	if (!nlh)
		return;
	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, TABLE_NAME);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, name);
	end_msg(t, nlh);
}

void txn_del_chain(struct txn *t, enum ip_family fam, const char *name)
{
	struct nlmsghdr *nlh = begin_msg(t, NFT_MSG_DELCHAIN, fam, 0, "chain", name);

	if (!nlh)
		return;
	mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, TABLE_NAME);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, name);
	end_msg(t, nlh);
}

void txn_del_set(struct txn *t, enum ip_family fam, const char *name)
{
	struct nlmsghdr *nlh = begin_msg(t, NFT_MSG_DELSET, fam, 0, "set", name);

	if (!nlh)
		return;
	mnl_attr_put_strz(nlh, NFTA_SET_TABLE, TABLE_NAME);
	mnl_attr_put_strz(nlh, NFTA_SET_NAME, name);
	end_msg(t, nlh);
}

/* ---- elements ---- */

void txn_tolerate_present(struct txn *t)
{
	t->tolerate_present = true;
}

static bool fits_open_message(const struct txn *t, const struct elem *e, const struct ip_addr *cluster_ip, bool is_del)
{
	return t->nest_off && t->is_del == is_del && t->fam == e->fam && t->set == e->set && t->svc == e->svc &&
	       ip_addr_eq(&t->cluster_ip, cluster_ip) &&
	       t->last_off + ((const struct nlmsghdr *)(t->buf + t->last_off))->nlmsg_len < t->nest_off + NEST_MAX;
}

static void open_elems(struct txn *t, const struct elem_list *l, const struct elem *e, const struct ip_addr *cluster_ip,
		       bool is_del)
{
	const char *set = nft_set_spec[e->set].name;
	struct nlmsghdr *nlh = begin_msg(t, is_del ? NFT_MSG_DELSETELEM : NFT_MSG_NEWSETELEM, e->fam,
					 is_del		     ? 0 :
					 t->tolerate_present ? NLM_F_CREATE :
							       NLM_F_CREATE | NLM_F_EXCL,
					 is_del ? "removal from" : "element of", set);

	if (!nlh)
		return;
	t->notes.v[t->notes.n - 1].list = l;
	t->notes.v[t->notes.n - 1].elem = e;
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, TABLE_NAME);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set);
	t->nest_off = (size_t)((uint8_t *)mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS) - t->buf);
	t->fam = e->fam;
	t->set = e->set;
	t->svc = e->svc;
	t->cluster_ip = *cluster_ip;
	t->is_del = is_del;
}

static void put_verdict(struct nlmsghdr *nlh, struct chain_ref c)
{
	char name[NFT_CHAIN_NAME_MAX];
	struct nlattr *nest = mnl_attr_nest_start(nlh, NFTA_DATA_VERDICT);

	mnl_attr_put_u32(nlh, NFTA_VERDICT_CODE, htonl((uint32_t)NFT_JUMP));
	mnl_attr_put_strz(nlh, NFTA_VERDICT_CHAIN, chain_ref_name(c, name));
	mnl_attr_nest_end(nlh, nest);
}

static void put_elem(struct nlmsghdr *nlh, const struct elem_list *l, const struct elem *e, bool is_del)
{
	struct nlattr *outer = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
	struct nlattr *nest = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_KEY);

	mnl_attr_put(nlh, NFTA_DATA_VALUE, nft_key_size(e->set, e->fam), elem_key(l, e));
	mnl_attr_nest_end(nlh, nest);
	if (!is_del && nft_set_spec[e->set].data) {
		nest = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_DATA);
		if (e->set == SET_SERVICES)
			put_verdict(nlh, elem_chain(l, e));
		else
			mnl_attr_put(nlh, NFTA_DATA_VALUE, nft_data_size(e->set, e->fam), elem_data(l, e));
		mnl_attr_nest_end(nlh, nest);
	}
	mnl_attr_nest_end(nlh, outer);
}

void txn_elem(struct txn *t, const struct elem_list *l, const struct elem *e, bool is_del)
{
	struct ip_addr cluster_ip = elem_cluster_ip(l, e);

	if (t->failed)
		return;
	if (!fits_open_message(t, e, &cluster_ip, is_del))
		open_elems(t, l, e, &cluster_ip, is_del);
	if (!room(t, MSG_ROOM) || !t->nest_off)
		return;
	put_elem(last_msg(t), l, e, is_del);
	t->size = t->last_off + last_msg(t)->nlmsg_len;
	t->n_elems++;
}

/* ---- sending ---- */

static void name_culprit(const struct txn *t, uint32_t seq, struct err *e)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	const struct txn_note *note = NULL;
	char *text;

	for (size_t i = 0; i < t->notes.n && !note; i++) {
		if (t->notes.v[i].seq == seq)
			note = &t->notes.v[i];
	}
	if (!note)
		return;
	strbuf_addf(&sb, "%s %s %s %s", nft_family[note->fam].name, TABLE_NAME, note->what, note->name);
	if (note->elem) {
		strbuf_add(&sb, " { ");
		elem_format_key(&sb, note->list, note->elem);
		strbuf_add(&sb, " }");
		if (note->elem->svc)
			strbuf_addf(&sb, " of Service %s/%s", note->elem->svc->ns, note->elem->svc->name);
	}
	text = strbuf_take(&sb);
	if (text)
		err_prefix_path(e, text);
	free(text);
}

static void reset(struct txn *t)
{
	t->size = t->last_off = t->nest_off = 0;
	t->n_msgs = t->n_elems = 0;
	t->failed = 0;
	t->notes.n = 0;
}

int txn_commit(struct txn *t, struct err *e)
{
	struct err inner = {};
	uint32_t bad_seq = 0, last_seq;
	int r = t->failed;

	close_elems(t);
	if (r == 0 && t->n_msgs == 0)
		return 0;
	if (r == 0 && !room(t, END_ROOM))
		r = t->failed;
	if (r == 0) {
		last_msg(t)->nlmsg_flags |= NLM_F_ACK;
		last_seq = last_msg(t)->nlmsg_seq;
		t->size += nftnl_batch_end((char *)t->buf + t->size, nl_seq(t->nl))->nlmsg_len;
		r = nl_batch(t->nl, t->buf, t->size, last_seq, &bad_seq, &inner);
	}
	if (r < 0) {
		name_culprit(t, bad_seq, &inner);
		(void)err_set(e, r, inner.path[0] ? inner.path : NULL, "%s",
			      inner.text[0] ? inner.text : strerror(-r)); /* returns r */
	}
	reset(t);
	return r;
}
