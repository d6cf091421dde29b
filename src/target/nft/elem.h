/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Elements of the sets as bytes, lists of them, and the operations that lead from one list to another. */
#ifndef OFFKUBE_NFT_ELEM_H
#define OFFKUBE_NFT_ELEM_H

#include <stdio.h>

#include "base/str.h"
#include "layout.h"
#include "model/object.h"

/* One element. Key, then data, lie in the list's bytes; lengths follow from set and family. */
struct elem {
	const struct service *svc; /* whose it is; NULL when read back */
	uint32_t off;
	uint8_t fam, set;
};

struct elem_list {
	struct elem *v;
	size_t n, cap;
	uint8_t *bytes;
	size_t n_bytes, cap_bytes;
};
void elem_list_free(struct elem_list *l);
static inline const uint8_t *elem_key(const struct elem_list *l, const struct elem *e)
{
	return l->bytes + e->off;
}
static inline const uint8_t *elem_data(const struct elem_list *l, const struct elem *e)
{
	return l->bytes + e->off + nft_key_size(e->set, e->fam);
}

/* Builder of one element: fields in the order of the set's key, then of its data. */
struct elem_build {
	uint8_t bytes[NFT_BYTES_MAX + NFT_DATA_MAX];
	size_t size;
};
void elem_put_addr(struct elem_build *b, const struct ip_addr *a);
void elem_put_proto(struct elem_build *b, uint8_t proto);
void elem_put_port(struct elem_build *b, uint16_t port);
void elem_put_index(struct elem_build *b, uint32_t index);
void elem_put_chain(struct elem_build *b, struct chain_ref c);
/* Copies `b`, which must be complete, to the list. 0 or -ENOMEM. */
int elem_add(struct elem_list *l, enum nft_set_id set, enum ip_family fam, const struct service *svc,
	     const struct elem_build *b);

struct chain_ref elem_chain(const struct elem_list *l, const struct elem *e); /* of SET_SERVICES */
struct ip_addr elem_cluster_ip(const struct elem_list *l, const struct elem *e);
uint8_t elem_proto(const struct elem_list *l, const struct elem *e); /* of the Service; 0 for SET_CLUSTER_IPS */
uint16_t elem_port(const struct elem_list *l, const struct elem *e);

/* "10.96.0.1 . tcp . 80": nft's own way. */
void elem_format_key(struct strbuf *sb, const struct elem_list *l, const struct elem *e);
void elem_format_data(struct strbuf *sb, const struct elem_list *l, const struct elem *e); /* "" for a set */

/*
 * Operations. Sorted by family and ClusterIP (a group: all of one Service), inside a group by phase:
 *	1. additions, and replacements of data, where nothing leads to yet or any mixture of old and new is right
 *	2. what switches the Service: services, no-endpoints, cluster-ips; one transaction
 *	3. removals of what nothing leads to any more
 */
enum op_phase { OP_PHASE_PREPARE = 1, OP_PHASE_SWITCH, OP_PHASE_CLEAN };

struct op {
	uint32_t i; /* in `del` or `add` */
	bool is_del;
	bool is_replaced; /* the same key is removed and added */
	uint8_t phase;
};

struct op_list {
	const struct elem_list *add, *del; /* not owned */
	struct op *v;
	size_t n, cap;
	size_t n_kept; /* in both, equal */
	size_t n_add, n_del;
};
static inline const struct elem_list *op_side(const struct op_list *l, const struct op *op)
{
	return op->is_del ? l->del : l->add;
}
static inline const struct elem *op_elem(const struct op_list *l, const struct op *op)
{
	return &op_side(l, op)->v[op->i];
}
/* Finds elements of a list by set, family and key. */
struct elem_index {
	const struct elem_list *list;
	uint32_t *slot; /* element + 1, 0 = free */
	size_t mask;
};
#define ELEM_NONE SIZE_MAX
/* Of the first `n` elements; room for all that `n_max` will be. 0 or -ENOMEM. */
int elem_index_new(const struct elem_list *list, size_t n, size_t n_max, struct elem_index *ret);
void elem_index_free(struct elem_index *x);
/* Position in the list, or ELEM_NONE. `e` lies in list `of`. */
size_t elem_index_find(const struct elem_index *x, const struct elem_list *of, const struct elem *e);
void elem_index_put(struct elem_index *x, size_t i);

#define OP_ALL_FAMILIES IP_FAMILY_MAX
/* From `del` (what is there; NULL or empty: nothing) to `add` (what is to be). Both lists outlive *ret. */
int op_list_build(const struct elem_list *del, const struct elem_list *add, enum ip_family fam, struct op_list *ret);
void op_list_free(struct op_list *l);

#endif
