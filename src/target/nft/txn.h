/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One nf_tables transaction: messages are put together here and sent as one batch, of which everything comes into
 * force at one moment or nothing. Bounded: who writes asks txn_is_full() at places where the transaction may end.
 */
#ifndef OFFKUBE_NFT_TXN_H
#define OFFKUBE_NFT_TXN_H

#include "elem.h"
#include "net/nl.h"
#include "rules.h"

#define TXN_ELEMS_MAX 2000
#define TXN_BYTES_MAX (1u << 20)

struct txn;

int txn_new(struct nl *nl, struct txn **ret);
void txn_free(struct txn *t);
DEFINE_CLEANUP(struct txn *, txn_free);

/* Writers. After the first failure (-ENOMEM) they do nothing and txn_commit() returns it. */
void txn_add_table(struct txn *t, enum ip_family fam);
void txn_del_table(struct txn *t, enum ip_family fam);
void txn_add_counter(struct txn *t, enum ip_family fam, enum nft_counter_id id);
void txn_add_set(struct txn *t, enum ip_family fam, enum nft_set_id id);
void txn_add_chain(struct txn *t, const struct chain_id *c);
void txn_add_rules(struct txn *t, const struct chain_id *c);
void txn_flush_chain(struct txn *t, enum ip_family fam, const char *name);
void txn_del_chain(struct txn *t, enum ip_family fam, const char *name);
void txn_del_set(struct txn *t, enum ip_family fam, const char *name);
/* From now on an element that is there already, with the same data, is no failure. */
void txn_tolerate_present(struct txn *t);
/* Elements of one set and Service that follow each other share a message. The list must live until the commit. */
void txn_elem(struct txn *t, const struct elem_list *l, const struct elem *e, bool is_del);

bool txn_is_empty(const struct txn *t);
/* Would `n_elems` more be too many? */
bool txn_is_full(const struct txn *t, size_t n_elems);
size_t txn_n_elems(const struct txn *t);

/* Sends and empties it; 0 also when there was nothing to send. On -errno nothing of it is in force, and err names
 * the object. */
int txn_commit(struct txn *t, struct err *e);

#endif
