/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading back elements, chains and counters; skeleton.c reads sets and rules. Called by apply.c, verify.c and
 * counters.c. What the kernel sends is checked as any other input: a set of another shape must not be read as ours.
 */
#include "readback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "base/vec.h"

#define REQUEST_SIZE 512

/* A callback's way to fail: nl.c reads errno. */
static int cb_fail(int r)
{
	errno = -r;
	return MNL_CB_ERROR;
}

/* ---- elements ---- */

struct elem_reader {
	enum ip_family fam;
	enum nft_set_id set;
	struct elem_list *out;
	struct packet_list *packets;
	size_t n_before, n_bytes_before, n_packets_before; /* to begin again */
};

static int read_value(const struct nlattr *nest, size_t size, struct elem_build *b)
{
	const struct nlattr *v[NFTA_DATA_MAX + 1] = {};

	if (nl_attrs_nested(nest, v, NFTA_DATA_MAX) < 0 || !v[NFTA_DATA_VALUE] ||
	    mnl_attr_get_payload_len(v[NFTA_DATA_VALUE]) != size)
		return -EBADMSG;
	memcpy(b->bytes + b->size, mnl_attr_get_payload(v[NFTA_DATA_VALUE]), size);
	b->size += size;
	return 0;
}

/* A verdict that is none of ours reads as chain {0, 0}, which nothing wants. */
static int read_verdict(const struct nlattr *nest, struct elem_build *b)
{
	const struct nlattr *data[NFTA_DATA_MAX + 1] = {}, *v[NFTA_VERDICT_MAX + 1] = {};
	struct chain_ref c = {};

	if (nl_attrs_nested(nest, data, NFTA_DATA_MAX) < 0 ||
	    nl_attrs_nested(data[NFTA_DATA_VERDICT], v, NFTA_VERDICT_MAX) < 0)
		return -EBADMSG;
	if (v[NFTA_VERDICT_CODE] && mnl_attr_validate(v[NFTA_VERDICT_CODE], MNL_TYPE_U32) >= 0 &&
	    ntohl(mnl_attr_get_u32(v[NFTA_VERDICT_CODE])) == (uint32_t)NFT_JUMP && v[NFTA_VERDICT_CHAIN] &&
	    mnl_attr_validate(v[NFTA_VERDICT_CHAIN], MNL_TYPE_NUL_STRING) >= 0)
		(void)chain_ref_parse(mnl_attr_get_str(v[NFTA_VERDICT_CHAIN]), &c); /* left {0, 0} if strange */
	elem_put_chain(b, c);
	return 0;
}

/* Packets of the counter in an expression nest; 0 when it is none. */
static uint64_t read_counter(const struct nlattr *nest)
{
	const struct nlattr *expr[NFTA_EXPR_MAX + 1] = {}, *v[NFTA_COUNTER_MAX + 1] = {};
	uint64_t be;

	if (!nest || nl_attrs_nested(nest, expr, NFTA_EXPR_MAX) < 0 ||
	    nl_attrs_nested(expr[NFTA_EXPR_DATA], v, NFTA_COUNTER_MAX) < 0 || !v[NFTA_COUNTER_PACKETS] ||
	    mnl_attr_validate(v[NFTA_COUNTER_PACKETS], MNL_TYPE_U64) < 0)
		return 0;
	be = mnl_attr_get_u64(v[NFTA_COUNTER_PACKETS]);
	return be64toh(be);
}

static int read_elem(struct elem_reader *r, const struct nlattr *nest)
{
	const struct nlattr *v[NFTA_SET_ELEM_MAX + 1] = {};
	struct elem_build b = {};
	int ret = nl_attrs_nested(nest, v, NFTA_SET_ELEM_MAX);

	if (ret == 0)
		ret = read_value(v[NFTA_SET_ELEM_KEY], nft_key_size(r->set, r->fam), &b);
	if (ret == 0 && nft_set_spec[r->set].data)
		ret = r->set == SET_SERVICES ? read_verdict(v[NFTA_SET_ELEM_DATA], &b) :
					       read_value(v[NFTA_SET_ELEM_DATA], nft_data_size(r->set, r->fam), &b);
	if (ret == 0)
		ret = elem_add(r->out, r->set, r->fam, NULL, &b);
	if (ret == 0 && r->packets)
		ret = vec_push(r->packets, read_counter(v[NFTA_SET_ELEM_EXPR]));
	return ret;
}

static int elems_cb(const struct nlmsghdr *nlh, void *arg)
{
	struct elem_reader *r = arg;
	const struct nlattr *attr, *item;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(attr) != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		mnl_attr_for_each_nested(item, attr)
		{
			int ret = read_elem(r, item);

			if (ret < 0)
				return cb_fail(ret);
		}
	}
	return MNL_CB_OK;
}

static void elems_restart(void *arg)
{
	struct elem_reader *r = arg;

	r->out->n = r->n_before;
	r->out->n_bytes = r->n_bytes_before;
	if (r->packets)
		r->packets->n = r->n_packets_before;
}

/* Keeps the first of each key. */
static int drop_twins(struct elem_reader *r, size_t *ret_n)
{
	struct elem_list *l = r->out;
	struct elem_index x = {};
	size_t n = r->n_before;
	int ret = elem_index_new(l, 0, l->n, &x);

	if (ret < 0)
		return ret;
	for (size_t i = r->n_before; i < l->n; i++) {
		if (elem_index_find(&x, l, &l->v[i]) != ELEM_NONE)
			continue;
		l->v[n] = l->v[i];
		if (r->packets)
			r->packets->v[r->n_packets_before + n - r->n_before] =
				r->packets->v[r->n_packets_before + i - r->n_before];
		elem_index_put(&x, n++);
	}
	*ret_n = l->n - n;
	l->n = n;
	if (r->packets)
		r->packets->n = r->n_packets_before + n - r->n_before;
	elem_index_free(&x);
	return 0;
}

static struct nlmsghdr *elems_request(char *buf, enum ip_family fam, enum nft_set_id set)
{
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETSETELEM, nft_family[fam].nfproto, 0, 0);

	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, TABLE_NAME);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, nft_set_spec[set].name);
	return nlh;
}

int readback_elems(struct nl *nl, enum ip_family fam, enum nft_set_id set, struct elem_list *out,
		   struct packet_list *packets, size_t *ret_n_twice, struct err *e)
{
	struct elem_reader reader = {
		.fam = fam,
		.set = set,
		.out = out,
		.packets = packets,
		.n_before = out->n,
		.n_bytes_before = out->n_bytes,
		.n_packets_before = packets ? packets->n : 0,
	};
	_Alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
	struct err inner = {};
	size_t n_twice = 0;
	int r = nl_dump(nl, elems_request(buf, fam, set), elems_cb, &reader, elems_restart, &inner);

	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = drop_twins(&reader, &n_twice);
	if (r < 0)
		return err_set(e, r, nft_set_spec[set].name, "cannot read back its elements: %s",
			       inner.text[0] ? inner.text : strerror(-r));
	if (ret_n_twice)
		*ret_n_twice += n_twice;
	return 0;
}

int readback_elem(struct nl *nl, const struct elem_list *l, const struct elem *elem, struct elem_list *out,
		  struct err *e)
{
	struct elem_reader reader = { .fam = elem->fam, .set = elem->set, .out = out };
	_Alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
	struct nlmsghdr *nlh = elems_request(buf, elem->fam, elem->set);
	struct nlattr *list = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	struct nlattr *item = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
	struct nlattr *key = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_KEY);
	struct err inner = {};
	int r;

	mnl_attr_put(nlh, NFTA_DATA_VALUE, nft_key_size(elem->set, elem->fam), elem_key(l, elem));
	mnl_attr_nest_end(nlh, key);
	mnl_attr_nest_end(nlh, item);
	mnl_attr_nest_end(nlh, list);
	r = nl_request(nl, nlh, elems_cb, &reader, &inner);
	if (r < 0 && r != -ENOENT)
		return err_set(e, r, nft_set_spec[elem->set].name, "cannot read back an element: %s", inner.text);
	return r;
}

/* ---- one chain ---- */

static uint32_t get_u32(const struct nlattr *attr)
{
	return attr && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0 ? ntohl(mnl_attr_get_u32(attr)) : 0;
}

static int chain_cb(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *v[NFTA_CHAIN_MAX + 1] = {}, *hook[NFTA_HOOK_MAX + 1] = {};
	struct seen_chain *c = arg;

	if (nl_attrs(nlh, sizeof(struct nfgenmsg), v, ARRAY_LEN(v) - 1) < 0)
		return cb_fail(-EBADMSG);
	*c = (struct seen_chain){ .use = get_u32(v[NFTA_CHAIN_USE]), .policy = get_u32(v[NFTA_CHAIN_POLICY]) };
	if (!v[NFTA_CHAIN_HOOK])
		return MNL_CB_OK;
	if (nl_attrs_nested(v[NFTA_CHAIN_HOOK], hook, NFTA_HOOK_MAX) < 0)
		return cb_fail(-EBADMSG);
	c->is_base = true;
	c->hook = (int)get_u32(hook[NFTA_HOOK_HOOKNUM]);
	c->priority = (int)get_u32(hook[NFTA_HOOK_PRIORITY]);
	c->is_nat = v[NFTA_CHAIN_TYPE] && mnl_attr_validate(v[NFTA_CHAIN_TYPE], MNL_TYPE_NUL_STRING) >= 0 &&
		    str_eq(mnl_attr_get_str(v[NFTA_CHAIN_TYPE]), "nat");
	return MNL_CB_OK;
}

int readback_chain(struct nl *nl, enum ip_family fam, const char *name, struct seen_chain *ret, struct err *e)
{
	_Alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETCHAIN, nft_family[fam].nfproto, 0, 0);
	struct err inner = {};
	int r;

	mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, TABLE_NAME);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, name);
	r = nl_request(nl, nlh, chain_cb, ret, &inner);
	if (r < 0 && r != -ENOENT)
		return err_set(e, r, name, "cannot read back the chain: %s", inner.text);
	return r;
}

struct name_reader {
	int (*fn)(const char *name, void *arg);
	void *arg;
	int r;
};

static int chain_name_cb(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *v[NFTA_CHAIN_MAX + 1] = {};
	struct name_reader *reader = arg;

	if (nl_attrs(nlh, sizeof(struct nfgenmsg), v, ARRAY_LEN(v) - 1) < 0)
		return cb_fail(-EBADMSG);
	if (!v[NFTA_CHAIN_TABLE] || !v[NFTA_CHAIN_NAME] ||
	    mnl_attr_validate(v[NFTA_CHAIN_TABLE], MNL_TYPE_NUL_STRING) < 0 ||
	    mnl_attr_validate(v[NFTA_CHAIN_NAME], MNL_TYPE_NUL_STRING) < 0 ||
	    !str_eq(mnl_attr_get_str(v[NFTA_CHAIN_TABLE]), TABLE_NAME))
		return MNL_CB_OK;
	reader->r = reader->fn(mnl_attr_get_str(v[NFTA_CHAIN_NAME]), reader->arg);
	return reader->r ? MNL_CB_STOP : MNL_CB_OK;
}

int readback_chain_names(struct nl *nl, enum ip_family fam, int (*fn)(const char *name, void *arg), void *arg,
			 struct err *e)
{
	struct name_reader reader = { fn, arg, 0 };
	_Alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETCHAIN, nft_family[fam].nfproto, 0, 0);
	int r = nl_dump(nl, nlh, chain_name_cb, &reader, NULL, e);

	return r ? r : reader.r;
}

/* ---- counters ---- */

static int counter_cb(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *v[NFTA_OBJ_MAX + 1] = {}, *data[NFTA_COUNTER_MAX + 1] = {};
	uint64_t *out = arg;

	if (nl_attrs(nlh, sizeof(struct nfgenmsg), v, ARRAY_LEN(v) - 1) < 0 || !v[NFTA_OBJ_NAME] ||
	    mnl_attr_validate(v[NFTA_OBJ_NAME], MNL_TYPE_NUL_STRING) < 0)
		return cb_fail(-EBADMSG);
	if (!v[NFTA_OBJ_DATA] || nl_attrs_nested(v[NFTA_OBJ_DATA], data, NFTA_COUNTER_MAX) < 0 ||
	    !data[NFTA_COUNTER_PACKETS] || mnl_attr_validate(data[NFTA_COUNTER_PACKETS], MNL_TYPE_U64) < 0)
		return MNL_CB_OK;
	for (size_t i = 0; i < COUNTER_MAX; i++) {
		if (str_eq(mnl_attr_get_str(v[NFTA_OBJ_NAME]), nft_counter_name[i]))
			out[i] = be64toh(mnl_attr_get_u64(data[NFTA_COUNTER_PACKETS]));
	}
	return MNL_CB_OK;
}

int readback_counters(struct nl *nl, enum ip_family fam, uint64_t ret[static COUNTER_MAX], struct err *e)
{
	_Alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETOBJ, nft_family[fam].nfproto, 0, 0);
	struct err inner = {};
	int r;

	memset(ret, 0, COUNTER_MAX * sizeof(*ret));
	mnl_attr_put_strz(nlh, NFTA_OBJ_TABLE, TABLE_NAME);
	mnl_attr_put_u32(nlh, NFTA_OBJ_TYPE, htonl(NFT_OBJECT_COUNTER));
	r = nl_dump(nl, nlh, counter_cb, ret, NULL, &inner);
	if (r == -ENOENT)
		return 0;
	return r ? err_set(e, r, "counters", "cannot read them back: %s", inner.text) : 0;
}
