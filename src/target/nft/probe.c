/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * probe(): can this kernel carry our rules? The real table with one chain of each kind is written into an empty
 * network namespace that nobody else sees and that vanishes with us. When that is refused, small tables with one kind
 * of expression each find the missing option.
 */
#include "nft.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "net/netns.h"

/*
 * One kind of expression and the kernel option that brings it. Asked for by a rule without attributes: -ENOENT when the kernel
 * does not know the name, another error when it does.
 */
static const struct {
	const char *option, *expr;
} features[] = {
	{ "CONFIG_NFT_CT", "ct" },	   { "CONFIG_NFT_NAT", "nat" },	      { "CONFIG_NFT_MASQ", "masq" },
	{ "CONFIG_NFT_NUMGEN", "numgen" }, { "CONFIG_NFT_REJECT", "reject" },
};

static int try_whole(struct nl *nl, enum ip_family fam, struct err *e)
{
	static const struct chain_ref refs[] = { { .n = 2 }, { .n = 2, .timeout_s = 60 } };
	struct ip_prefix cidr = { .addr = { .fam = nft_family[fam].nfproto }, .len = 24 };
	CLEANUP(txn_freep) struct txn *t = NULL;
	int r = txn_new(nl, &t);

	if (r < 0)
		return r;
	txn_add_table(t, fam);
	for (size_t i = 0; i < COUNTER_MAX; i++)
		txn_add_counter(t, fam, i);
	for (size_t i = 0; i < SET_MAX; i++)
		txn_add_set(t, fam, i);
	for (size_t i = 0; i < CHAIN_MAX + ARRAY_LEN(refs); i++) {
		struct chain_id c = { .fam = fam, .id = MIN(i, (size_t)CHAIN_MAX), .pod_cidr = &cidr };

		if (i >= CHAIN_MAX)
			c.ref = refs[i - CHAIN_MAX];
		txn_add_chain(t, &c);
	}
	for (size_t i = 0; i < CHAIN_MAX + ARRAY_LEN(refs); i++) {
		struct chain_id c = { .fam = fam, .id = MIN(i, (size_t)CHAIN_MAX), .pod_cidr = &cidr };

		if (i >= CHAIN_MAX)
			c.ref = refs[i - CHAIN_MAX];
		txn_add_rules(t, &c);
	}
	return txn_commit(t, e);
}

/* A table and a chain, to try single rules in. */
static int make_scratch(struct nl *nl, enum ip_family fam)
{
	CLEANUP(txn_freep) struct txn *t = NULL;
	struct chain_id c = { .fam = fam, .id = CHAIN_SERVICE };
	struct err ignored = {};
	int r = txn_new(nl, &t);

	if (r < 0)
		return r;
	txn_add_table(t, fam);
	txn_add_chain(t, &c);
	return txn_commit(t, &ignored);
}

/* A base chain of type nat needs the family's NAT. */
static int try_nat_chain(struct nl *nl, enum ip_family fam)
{
	CLEANUP(txn_freep) struct txn *t = NULL;
	struct chain_id c = { .fam = fam, .id = CHAIN_OUTPUT };
	struct err ignored = {};
	int r = txn_new(nl, &t);

	if (r < 0)
		return r;
	txn_add_chain(t, &c);
	return txn_commit(t, &ignored);
}

/* The kernel looks the name up before it looks at attributes. */
static bool knows_expr(struct nl *nl, enum ip_family fam, const char *name)
{
	char buf[1024];
	struct nlmsghdr *nlh;
	struct nlattr *list, *elem;
	size_t size = nftnl_batch_begin(buf, nl_seq(nl))->nlmsg_len;
	struct err ignored = {};
	uint32_t seq = nl_seq(nl);

	nlh = nftnl_nlmsg_build_hdr(buf + size, NFT_MSG_NEWRULE, nft_family[fam].nfproto,
				    NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK, seq);
	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, TABLE_NAME);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, nft_chain_spec[CHAIN_SERVICE].name);
	list = mnl_attr_nest_start(nlh, NFTA_RULE_EXPRESSIONS);
	elem = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
	mnl_attr_put_strz(nlh, NFTA_EXPR_NAME, name);
	mnl_attr_nest_end(nlh, elem);
	mnl_attr_nest_end(nlh, list);
	size += nlh->nlmsg_len;
	size += nftnl_batch_end(buf + size, nl_seq(nl))->nlmsg_len;
	return nl_batch(nl, buf, size, seq, NULL, &ignored) != -ENOENT;
}

static void blame(struct nl *nl, enum ip_family fam, const struct err *refused, char *detail, size_t detail_size)
{
	const char *missing = NULL;

	if (make_scratch(nl, fam) < 0)
		missing = fam == IP_V4 ? "CONFIG_NF_TABLES_IPV4" : "CONFIG_NF_TABLES_IPV6";
	else if (try_nat_chain(nl, fam) < 0)
		missing = "CONFIG_NFT_NAT";
	for (size_t i = 0; i < ARRAY_LEN(features) && !missing; i++) {
		if (!knows_expr(nl, fam, features[i].expr))
			missing = features[i].option;
	}
	if (missing)
		(void)snprintf(detail, detail_size, "%s is not set (or its module is not there)", missing);
	else
		(void)snprintf(detail, detail_size, "kernel 5.13 is needed; refused: %.60s: %.60s", refused->path,
			       refused->text);
}

static int ignore_cb(const struct nlmsghdr *nlh, void *arg)
{
	(void)nlh;
	(void)arg;
	return MNL_CB_OK;
}

static int try_ctnetlink(struct nl *nl)
{
	char buf[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;
	struct err ignored = {};

	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = AF_INET;
	nfg->version = NFNETLINK_V0;
	return nl_dump(nl, nlh, ignore_cb, NULL, NULL, &ignored);
}

/* Fills p from what the kernel takes and refuses in an empty namespace. */
static int probe_inside(struct nl *nl, struct target_probe *p)
{
	struct err refused = {};
	int r = try_whole(nl, IP_V4, &refused);

	if (r == -ENOMEM)
		return r;
	if (r == -EPERM || r == -EACCES) {
		p->why = REFUSAL_NO_PRIVILEGE;
		(void)snprintf(p->detail, sizeof(p->detail), "nf_tables needs CAP_NET_ADMIN");
		return 0;
	}
	p->why = REFUSAL_KERNEL_FEATURE;
	if (r < 0) {
		blame(nl, IP_V4, &refused, p->detail, sizeof(p->detail));
		return 0;
	}
	if (try_ctnetlink(nl) < 0) {
		(void)snprintf(p->detail, sizeof(p->detail),
			       "CONFIG_NF_CT_NETLINK is not set (or its module is not there)");
		return 0;
	}
	p->usable = true;
	p->why = 0;
	refused = (struct err){};
	if (try_whole(nl, IP_V6, &refused) == 0)
		p->features |= NFT_FEATURE_IPV6;
	else
		blame(nl, IP_V6, &refused, p->detail, sizeof(p->detail)); /* usable, for IPv4 only */
	return 0;
}

int nft_probe(const struct target_env *env, struct target_probe *ret, struct err *e)
{
	CLEANUP_FD int ns = -1;
	struct target_probe p = {};
	struct err inner = {};
	struct nl *nl = NULL;
	int r = netns_create_anonymous(&ns, &inner);

	(void)env; /* what the kernel can do is the same in every namespace */
	if (r == 0)
		r = nl_open(ns, NETLINK_NETFILTER, &nl, &inner);
	if (r == 0)
		r = probe_inside(nl, &p);
	nl_close(nl);
	if (r == -EPERM || r == -EACCES) {
		p = (struct target_probe){ .why = REFUSAL_NO_PRIVILEGE };
		(void)snprintf(p.detail, sizeof(p.detail), "network namespaces need CAP_SYS_ADMIN and CAP_NET_ADMIN");
		r = 0;
	} else if (r == -EPROTONOSUPPORT) {
		p = (struct target_probe){ .why = REFUSAL_KERNEL_FEATURE };
		(void)snprintf(p.detail, sizeof(p.detail),
			       "CONFIG_NETFILTER_NETLINK is not set (or its module is not there)");
		r = 0;
	}
	if (r < 0)
		return err_set_errno(e, r, "nft", "cannot probe%s%s", inner.text[0] ? ": " : "", inner.text);
	*ret = p;
	return 0;
}
