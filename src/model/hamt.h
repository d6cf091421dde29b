/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * struct hamt: a persistent hash trie of objects, the index of a snapshot. Private to the room.
 *
 * A trie is one pointer; hamt_ref() makes a second, independent trie of it in O(1). A change to either copies the nodes on one path from
 * the root, O(log32 n), and shares all others. A node that only one trie holds is changed in place, so that loading n objects into
 * an edit copies nothing twice. Invariants:
 *
 * 1. A node's count is the number of slots (and struct hamt) that point to it. A path is ours iff every node on it has count 1: a change
 *    goes from the root down and owns (copies if need be) a node before it looks at the counts of the children.
 * 2. Canonical form: every child holds at least two objects, so the shape follows from the set of hashes alone, not from history.
 *    (Within a node of full 64-bit collisions the order is that of insertion.)
 * 3. A failed change (-ENOMEM) leaves a valid trie with the old contents.
 * 4. Each slot with an object holds a reference to it.
 */
#ifndef OFFKUBE_MODEL_HAMT_H
#define OFFKUBE_MODEL_HAMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/object.h"

struct hamt_node;

/* Zero-initialised is empty. */
struct hamt {
	struct hamt_node *root;
	size_t n; /* objects */
};

/* A key is embedded in a struct that knows more: match() finds it by container_of. */
struct hamt_key {
	uint64_t hash;
	bool (*match)(const struct obj_ref *obj, const struct hamt_key *key);
};

struct hamt hamt_ref(const struct hamt *t);
void hamt_unref(struct hamt *t); /* the trie is then empty */

/* NULL when absent. */
const struct obj_ref *hamt_get(const struct hamt *t, const struct hamt_key *key);
/* Adds or replaces; takes its own reference to obj, which must match the key. 0 or -ENOMEM. */
int hamt_put(struct hamt *t, const struct hamt_key *key, const struct obj_ref *obj);
/* 0, -ENOENT or -ENOMEM. */
int hamt_del(struct hamt *t, const struct hamt_key *key);

/* Calls fn for each object, in the order of the hashes, until it returns non-zero, and returns that. */
int hamt_each(const struct hamt *t, int (*fn)(const struct obj_ref *obj, void *arg), void *arg);

struct hamt_diff {
	/* Whether two objects of equal hash have the same key. */
	bool (*same_key)(const struct obj_ref *a, const struct obj_ref *b, void *arg);
	/* From NULL: added; to NULL: removed; never both the same block. Non-zero ends the walk. */
	int (*fn)(const struct obj_ref *from, const struct obj_ref *to, void *arg);
	void *arg;
	size_t n_visited; /* out: nodes looked into, both sides; added to */
};

/* Cost: O(number of differences x log n): subtrees that both share are not entered. */
int hamt_diff(const struct hamt *from, const struct hamt *to, struct hamt_diff *d);

#endif
