/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The handle of target nft on one node, and what the files of its acting half offer each other. */
#ifndef OFFKUBE_NFT_NFT_H
#define OFFKUBE_NFT_NFT_H

#include "program.h"
#include "readback.h"
#include "txn.h"

struct nft {
	struct nl *nl; /* NETLINK_NETFILTER in the node's namespace: nf_tables and ctnetlink */
	struct snapshot *snapshot; /* in force; names things in counters. NULL before the first apply */
	/* What the table is known to hold; false after a failure: read again before the next change. */
	bool known[IP_FAMILY_MAX];
	bool exists[IP_FAMILY_MAX];
	struct chain_list chains[IP_FAMILY_MAX]; /* that exist */
	struct chain_list unused[IP_FAMILY_MAX]; /* of them, those that perhaps nothing leads to any more */
	/* The last apply touched UDP: look once more for entries that were made meanwhile. */
	bool udp_again[IP_FAMILY_MAX];
};

/* One run of apply(). */
struct run {
	struct nft *h;
	const struct target_program *p;
	struct target_stats *stats;
	struct err *e;
	/* Service ports that this run took away: their memory in the kernel goes too. */
	struct gone_ports {
		struct gone_port {
			struct ip_addr cluster_ip;
			uint16_t port;
			uint8_t proto;
		} * v;
		size_t n, cap;
	} gone;
	bool affinity_gone; /* a Service port with affinity was among them, or lost it */
};

/* apply.c: sends what is in the transaction, if anything is, and counts it. */
int run_commit(struct run *r, struct txn *t);

/* chains.c: the table itself and its chains. */
int chains_prepare_full(struct run *r, enum ip_family fam,
			bool *ret_was_empty); /* the table as it should be, without elements */
int chains_prepare_delta(struct run *r, enum ip_family fam);
int chains_add_missing(struct run *r, enum ip_family fam, struct txn *t);
void chains_added(struct run *r, enum ip_family fam); /* after the commit */
int chains_collect(struct run *r, enum ip_family fam); /* removes those that nothing leads to */
int chains_note_unused(struct run *r, enum ip_family fam);
int chains_remove_extras(struct run *r, enum ip_family fam);
void chains_forget(struct nft *h, enum ip_family fam);
int table_delete(struct nft *h, enum ip_family fam, bool *ret_deleted, struct err *e);

/* affinity.c */
int affinity_forget_gone(struct run *r, enum ip_family fam);

/* conntrack.c: UDP entries that lead nowhere (SEMANTICS 1.6). */
int conntrack_clean(struct run *r);

/* Is this port carried, in the snapshot that the program leads to? NULL when not. *ret_svc may be NULL. */
const struct service_port *carried_port(const struct target_program *p, const struct ip_addr *cluster_ip, uint8_t proto,
					uint16_t port, const struct service **ret_svc);
/* difference.c: the operations from what is there to what the program says. *found holds what was read and must
 * outlive *ret. */
int difference(struct nl *nl, enum ip_family fam, const struct target_program *full, struct elem_list *found,
	       struct op_list *ret, struct err *e);

/* The members of target_ops. */
int nft_probe(const struct target_env *env, struct target_probe *ret, struct err *e);
int nft_apply(void *handle, const struct target_program *p, struct target_stats *stats, struct err *e);
int nft_verify(void *handle, const struct target_program *full, struct err *e);
int nft_remove(void *handle, struct err *e);
int nft_dump(void *handle, FILE *f, struct err *e);
int nft_counters(void *handle, int (*fn)(const struct target_counter *c, void *arg), void *arg, struct err *e);

#endif
