/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the table "offkube" back from the kernel: this table only, every request names it. */
#ifndef OFFKUBE_NFT_READBACK_H
#define OFFKUBE_NFT_READBACK_H

#include "elem.h"
#include "net/nl.h"
#include "rules.h"

/* A rule as found. */
struct seen_rule {
	char *chain;
	char *text; /* rule_canonical() */
};

struct seen_name {
	char *name;
};

/* The table without its elements. */
struct skeleton {
	bool exists;
	uint32_t use; /* chains, sets and counters in it, as the kernel counts */
	bool set_ok[SET_MAX]; /* there, and as it should be */
	bool set_seen[SET_MAX];
	bool counter_ok[COUNTER_MAX];
	uint32_t n_names; /* sets and counters that were listed */
	struct {
		struct seen_rule *v;
		size_t n, cap;
	} rules; /* in order */
	struct {
		struct seen_name *v;
		size_t n, cap;
	} strange; /* sets that are none of ours */
};

int skeleton_read(struct nl *nl, enum ip_family fam, struct skeleton *ret, struct err *e);
void skeleton_free(struct skeleton *s);
/* All sets and counters are there and of the right kind. */
bool skeleton_sets_ok(const struct skeleton *s);
size_t skeleton_n_rules(const struct skeleton *s, const char *chain);
/* 1 the chain has exactly the rules that it should, 0 not, -errno. */
int skeleton_rules_ok(const struct skeleton *s, const struct chain_id *c);

/* One chain, by name. -ENOENT when absent. */
struct seen_chain {
	bool is_base;
	int hook, priority;
	bool is_nat;
	uint32_t policy;
	uint32_t use; /* its own rules, and what leads to it */
};
int readback_chain(struct nl *nl, enum ip_family fam, const char *name, struct seen_chain *ret, struct err *e);

/* Packets counted per element, beside the elements of the list. */
struct packet_list {
	uint64_t *v;
	size_t n, cap;
};
/*
 * Appends the elements of one set to `out`; `packets` may be NULL. An absent set is empty.
 *
 * The kernel lists a set in pieces, each found by counting from the start, while it may still be growing the hash
 * table behind it (it does so for a while after many insertions). Then elements come twice, and others not at all.
 * Those that come twice are dropped here, and counted in *ret_n_twice (may be NULL); whoever must be sure that an
 * element is missing asks readback_elem() for it.
 */
int readback_elems(struct nl *nl, enum ip_family fam, enum nft_set_id set, struct elem_list *out,
		   struct packet_list *packets, size_t *ret_n_twice, struct err *e);
/* One element by its key: appends what is there to `out`. -ENOENT when absent. */
int readback_elem(struct nl *nl, const struct elem_list *l, const struct elem *elem, struct elem_list *out,
		  struct err *e);
/* Named counters: packets. */
int readback_counters(struct nl *nl, enum ip_family fam, uint64_t ret[static COUNTER_MAX], struct err *e);
/*
 * The names of all chains in the table. The kernel can list chains of a family only, so this is for the rare case that the
 * table holds more than it should: chains of other tables are passed over.
 */
int readback_chain_names(struct nl *nl, enum ip_family fam, int (*fn)(const char *name, void *arg), void *arg,
			 struct err *e);

#endif
