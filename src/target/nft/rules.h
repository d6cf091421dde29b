/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules of each chain, as libnftnl objects and as text. */
#ifndef OFFKUBE_NFT_RULES_H
#define OFFKUBE_NFT_RULES_H

#include "layout.h"

#include <libnftnl/rule.h>

#include "base/str.h"

/* Which chain: a fixed one, or (id CHAIN_MAX) the one of `ref`. */
struct chain_id {
	enum ip_family fam;
	enum nft_chain_id id;
	struct chain_ref ref;
	const struct ip_prefix *pod_cidr; /* CHAIN_POSTROUTING; addr.fam 0 = none */
};
const char *chain_id_name(const struct chain_id *c, char buf[static NFT_CHAIN_NAME_MAX]);

#define CHAIN_RULES_MAX 4
struct rule_list {
	struct nftnl_rule *v[CHAIN_RULES_MAX];
	size_t n;
};
/* The rules that the chain is to have, in order. 0 or -ENOMEM; *ret is valid either way. */
int rules_build(const struct chain_id *c, struct rule_list *ret);
void rule_list_free(struct rule_list *l);

/* The same in the syntax of nft, a line each. */
void rules_text(const struct chain_id *c, const char *indent, struct strbuf *sb);
/* The kernel's view of a rule as text that two equal rules share (registers and all). */
int rule_canonical(const struct nftnl_rule *r, char **ret);

#endif
