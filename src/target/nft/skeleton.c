/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading back the table, its sets and its rules, and comparing them with what they should be. Called by apply.c
 * and verify.c. */
#include "readback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "base/vec.h"

#define REQUEST_SIZE 512

void skeleton_free(struct skeleton *s)
{
	for (size_t i = 0; i < s->rules.n; i++) {
		free(s->rules.v[i].chain);
		free(s->rules.v[i].text);
	}
	for (size_t i = 0; i < s->strange.n; i++)
		free(s->strange.v[i].name);
	vec_free(&s->rules);
	vec_free(&s->strange);
	*s = (struct skeleton){};
}

static int cb_fail(int r)
{
	errno = -r;
	return MNL_CB_ERROR;
}

/* ---- the table ---- */

static int table_cb(const struct nlmsghdr *nlh, void *arg)
{
	struct skeleton *s = arg;
	const struct nlattr *attr;

	s->exists = true;
	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(attr) == NFTA_TABLE_USE && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
			s->use = ntohl(mnl_attr_get_u32(attr));
	}
	return MNL_CB_OK;
}

static int read_table(struct nl *nl, enum ip_family fam, struct skeleton *s, struct err *e)
{
	_Alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETTABLE, nft_family[fam].nfproto, 0, 0);
	struct err inner = {};
	int r;

	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, TABLE_NAME);
	r = nl_request(nl, nlh, table_cb, s, &inner);
	if (r == -ENOENT || r == -EAFNOSUPPORT)
		return 0;
	return r ? err_set(e, r, TABLE_NAME, "cannot read back the table: %s", inner.text) : 0;
}

/* ---- sets ---- */

static bool set_is_right(const struct nftnl_set *s, enum nft_set_id id, enum ip_family fam)
{
	const struct nft_set_spec *spec = &nft_set_spec[id];
	uint32_t flags = (spec->data ? NFT_SET_MAP : 0) | (spec->dynamic ? NFT_SET_TIMEOUT | NFT_SET_EVAL : 0) |
			 (spec->counter ? NFT_SET_EXPR : 0);

	if (nftnl_set_get_u32(s, NFTNL_SET_FLAGS) != flags ||
	    nftnl_set_get_u32(s, NFTNL_SET_KEY_LEN) != nft_key_size(id, fam) ||
	    nftnl_set_get_u32(s, NFTNL_SET_KEY_TYPE) != nft_fields_type(spec->key, fam))
		return false;
	if (spec->dynamic && nftnl_set_get_u32(s, NFTNL_SET_DESC_SIZE) != NFT_AFFINITY_MAX)
		return false;
	if (id == SET_SERVICES)
		return nftnl_set_get_u32(s, NFTNL_SET_DATA_TYPE) == NFT_DATA_VERDICT;
	return !spec->data || (nftnl_set_get_u32(s, NFTNL_SET_DATA_TYPE) == nft_fields_type(spec->data, fam) &&
			       nftnl_set_get_u32(s, NFTNL_SET_DATA_LEN) == nft_data_size(id, fam));
}

struct skeleton_reader {
	struct skeleton *s;
	enum ip_family fam;
};

static int note_strange(struct skeleton *s, const char *name)
{
	struct seen_name seen = { strdup(name) };
	int r = seen.name ? vec_push(&s->strange, seen) : -ENOMEM;

	if (r < 0)
		free(seen.name);
	return r;
}

static int note_set(struct skeleton_reader *reader, const struct nftnl_set *set)
{
	const char *name = nftnl_set_get_str(set, NFTNL_SET_NAME);

	reader->s->n_names++;
	for (size_t i = 0; i < SET_MAX; i++) {
		if (!str_eq(name, nft_set_spec[i].name))
			continue;
		reader->s->set_seen[i] = true;
		reader->s->set_ok[i] = set_is_right(set, i, reader->fam);
		return 0;
	}
	return note_strange(reader->s, name ? name : "");
}

static int set_cb(const struct nlmsghdr *nlh, void *arg)
{
	struct nftnl_set *set = nftnl_set_alloc();
	int r = set ? 0 : -ENOMEM;

	if (r == 0 && nftnl_set_nlmsg_parse(nlh, set) < 0)
		r = -EBADMSG;
	if (r == 0)
		r = note_set(arg, set);
	if (set)
		nftnl_set_free(set);
	return r < 0 ? cb_fail(r) : MNL_CB_OK;
}

static void sets_restart(void *arg)
{
	struct skeleton *s = ((struct skeleton_reader *)arg)->s;

	for (size_t i = 0; i < s->strange.n; i++)
		free(s->strange.v[i].name);
	s->strange.n = 0;
	s->n_names = 0;
	memset(s->set_ok, 0, sizeof(s->set_ok));
	memset(s->set_seen, 0, sizeof(s->set_seen));
}

/* ---- counters ---- */

static int counter_cb(const struct nlmsghdr *nlh, void *arg)
{
	struct skeleton *s = ((struct skeleton_reader *)arg)->s;
	const struct nlattr *attr;
	bool is_counter = false;
	const char *name = "";

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(attr) == NFTA_OBJ_NAME && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
			name = mnl_attr_get_str(attr);
		if (mnl_attr_get_type(attr) == NFTA_OBJ_TYPE && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
			is_counter = ntohl(mnl_attr_get_u32(attr)) == NFT_OBJECT_COUNTER;
	}
	s->n_names++;
	for (size_t i = 0; i < COUNTER_MAX; i++) {
		if (str_eq(name, nft_counter_name[i]))
			s->counter_ok[i] = is_counter;
	}
	return MNL_CB_OK;
}

/* n_names is corrected by the caller, who knows what stood before. */
struct counter_restart {
	struct skeleton_reader reader;
	uint32_t n_before;
};

static void counters_restart(void *arg)
{
	struct counter_restart *c = arg;

	c->reader.s->n_names = c->n_before;
	memset(c->reader.s->counter_ok, 0, sizeof(c->reader.s->counter_ok));
}

/* ---- rules ---- */

static int note_rule(struct skeleton *s, const struct nftnl_rule *rule)
{
	const char *chain = nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN);
	struct seen_rule seen = { .chain = strdup(chain ? chain : "") };
	int r = seen.chain ? rule_canonical(rule, &seen.text) : -ENOMEM;

	if (r == -EMSGSIZE) { /* far longer than any of ours */
		seen.text = strdup("");
		r = seen.text ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = vec_push(&s->rules, seen);
	if (r < 0) {
		free(seen.chain);
		free(seen.text);
	}
	return r;
}

static int rule_cb(const struct nlmsghdr *nlh, void *arg)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();
	int r = rule ? 0 : -ENOMEM;

	if (r == 0 && nftnl_rule_nlmsg_parse(nlh, rule) < 0)
		r = -EBADMSG;
	if (r == 0)
		r = note_rule(((struct skeleton_reader *)arg)->s, rule);
	if (rule)
		nftnl_rule_free(rule);
	return r < 0 ? cb_fail(r) : MNL_CB_OK;
}

static void rules_restart(void *arg)
{
	struct skeleton *s = ((struct skeleton_reader *)arg)->s;

	for (size_t i = 0; i < s->rules.n; i++) {
		free(s->rules.v[i].chain);
		free(s->rules.v[i].text);
	}
	s->rules.n = 0;
}

/* ---- all of it ---- */

static int dump(struct nl *nl, uint16_t type, uint16_t table_attr, struct skeleton_reader *reader, mnl_cb_t cb,
		void (*restart)(void *), struct err *e)
{
	_Alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buf, type, nft_family[reader->fam].nfproto, 0, 0);
	struct err inner = {};
	int r;

	mnl_attr_put_strz(nlh, table_attr, TABLE_NAME);
	r = nl_dump(nl, nlh, cb, reader, restart, &inner);
	return r ? err_set(e, r, TABLE_NAME, "cannot read back the table: %s", inner.text) : 0;
}

int skeleton_read(struct nl *nl, enum ip_family fam, struct skeleton *ret, struct err *e)
{
	struct skeleton s = {};
	struct skeleton_reader reader = { &s, fam };
	struct counter_restart counters = { { &s, fam }, 0 };
	int r = read_table(nl, fam, &s, e);

	if (r == 0 && s.exists)
		r = dump(nl, NFT_MSG_GETSET, NFTA_SET_TABLE, &reader, set_cb, sets_restart, e);
	counters.n_before = s.n_names;
	if (r == 0 && s.exists)
		r = dump(nl, NFT_MSG_GETOBJ, NFTA_OBJ_TABLE, &counters.reader, counter_cb, counters_restart, e);
	if (r == 0 && s.exists)
		r = dump(nl, NFT_MSG_GETRULE, NFTA_RULE_TABLE, &reader, rule_cb, rules_restart, e);
	if (r < 0) {
		skeleton_free(&s);
		return r;
	}
	*ret = s;
	return 0;
}

bool skeleton_sets_ok(const struct skeleton *s)
{
	bool ok = true;

	for (size_t i = 0; i < SET_MAX; i++)
		ok = ok && s->set_ok[i];
	for (size_t i = 0; i < COUNTER_MAX; i++)
		ok = ok && s->counter_ok[i];
	return ok;
}

size_t skeleton_n_rules(const struct skeleton *s, const char *chain)
{
	size_t n = 0;

	for (size_t i = 0; i < s->rules.n; i++)
		n += str_eq(s->rules.v[i].chain, chain);
	return n;
}

static int texts_match(const struct skeleton *s, const char *chain, const struct rule_list *want)
{
	size_t n = 0;

	for (size_t i = 0; i < s->rules.n; i++) {
		CLEANUP_FREE char *text = NULL;
		int r;

		if (!str_eq(s->rules.v[i].chain, chain))
			continue;
		if (n == want->n)
			return 0;
		r = rule_canonical(want->v[n++], &text);
		if (r < 0)
			return r;
		if (!str_eq(text, s->rules.v[i].text))
			return 0;
	}
	return n == want->n;
}

int skeleton_rules_ok(const struct skeleton *s, const struct chain_id *c)
{
	char name[NFT_CHAIN_NAME_MAX];
	struct rule_list want;
	int r = rules_build(c, &want);

	if (r == 0)
		r = texts_match(s, chain_id_name(c, name), &want);
	rule_list_free(&want);
	return r;
}
