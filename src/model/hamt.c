/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The persistent hash trie behind the indexes of snapshot.c. See hamt.h for its invariants, cited here by number. */
#include "hamt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "obj.h"

#define BITS 5
#define HASH_BITS 64

struct hamt_slot {
	uint64_t hash; /* of the object; unused for a child */
	union {
		struct hamt_node *child;
		const struct obj_ref *obj;
	};
};

struct hamt_node {
	unsigned int refs;
	uint32_t map; /* bit i: there is a slot for index i of this level; 0 in a node of collisions */
	uint32_t child_map; /* bit i: and it is a child */
	uint32_t n; /* slots */
	struct hamt_slot slot[]; /* in the order of the bits */
};

static size_t node_size(size_t n)
{
	return sizeof(struct hamt_node) + n * sizeof(struct hamt_slot);
}

/* Below the last bits of the hash stand lists of objects whose hashes are all equal. */
static bool is_collision_level(unsigned int shift)
{
	return shift >= HASH_BITS;
}

static uint32_t hash_bit(uint64_t hash, unsigned int shift)
{
	return 1u << (hash >> shift & ((1u << BITS) - 1));
}

static unsigned int bit_pos(const struct hamt_node *node, uint32_t bit)
{
	return (unsigned int)__builtin_popcount(node->map & (bit - 1));
}

static bool slot_is_child(const struct hamt_node *node, uint32_t bit)
{
	return node->child_map & bit;
}

static bool slot_matches(const struct hamt_slot *slot, const struct hamt_key *key)
{
	return slot->hash == key->hash && key->match(slot->obj, key);
}

/* Walks slots and bits together: `bits` starts as the map and loses its lowest bit with each slot. In a node of collisions it is 0. */
static uint32_t lowest(uint32_t bits)
{
	return bits & -bits;
}

static void trie_node_unref(struct hamt_node *node)
{
	uint32_t bits = node->map;

	if (--node->refs > 0)
		return;
	for (uint32_t i = 0; i < node->n; i++, bits &= bits - 1) {
		if (slot_is_child(node, lowest(bits)))
			trie_node_unref(node->slot[i].child);
		else
			obj_put(node->slot[i].obj);
	}
	free(node);
}

/* Makes *np ours (invariant 1), with room for `grow` more slots. */
static int node_own(struct hamt_node **np, unsigned int grow)
{
	struct hamt_node *old = *np, *node;
	uint32_t bits = old->map;

	if (old->refs == 1) {
		node = grow ? realloc(old, node_size(old->n + grow)) : old;
		if (!node)
			return -ENOMEM;
		*np = node;
		return 0;
	}
	node = malloc(node_size(old->n + grow));
	if (!node)
		return -ENOMEM;
	memcpy(node, old, node_size(old->n));
	node->refs = 1;
	for (uint32_t i = 0; i < node->n; i++, bits &= bits - 1) {
		if (slot_is_child(node, lowest(bits)))
			node->slot[i].child->refs++;
		else
			obj_get(node->slot[i].obj);
	}
	old->refs--;
	*np = node;
	return 0;
}

static int node_insert(struct hamt_node **np, unsigned int pos, uint32_t bit, uint64_t hash, const struct obj_ref *obj)
{
	struct hamt_node *node;
	int r = node_own(np, 1);

	if (r < 0)
		return r;
	node = *np;
	memmove(&node->slot[pos + 1], &node->slot[pos], (node->n - pos) * sizeof(node->slot[0]));
	node->slot[pos] = (struct hamt_slot){ .hash = hash, .obj = obj };
	node->map |= bit;
	node->n++;
	obj_get(obj);
	return 0;
}

static int node_replace(struct hamt_node **np, unsigned int pos, const struct obj_ref *obj)
{
	int r = node_own(np, 0);

	if (r < 0)
		return r;
	obj_get(obj);
	obj_put((*np)->slot[pos].obj);
	(*np)->slot[pos].obj = obj;
	return 0;
}

/* The node is ours. Takes the slot out without giving back its reference. */
static struct hamt_slot node_take(struct hamt_node *node, unsigned int pos, uint32_t bit)
{
	struct hamt_slot slot = node->slot[pos];

	node->n--;
	memmove(&node->slot[pos], &node->slot[pos + 1], (node->n - pos) * sizeof(node->slot[0]));
	node->map &= ~bit;
	node->child_map &= ~bit;
	return slot;
}

/* Frees a chain made by pair_new; its objects' references were not its own yet. */
static void pair_free(struct hamt_node *node)
{
	while (node) {
		struct hamt_node *child = node->child_map ? node->slot[0].child : NULL;

		free(node);
		node = child;
	}
}

/* A subtree of two objects: nodes with one child each as long as the hashes agree, then one with both. Takes no references. */
static int pair_new(unsigned int shift, struct hamt_slot a, struct hamt_slot b, struct hamt_node **ret)
{
	struct hamt_node *top = NULL, **link = &top, *node;

	for (;; shift += BITS) {
		uint32_t bit_a = is_collision_level(shift) ? 0 : hash_bit(a.hash, shift);
		uint32_t bit_b = is_collision_level(shift) ? 0 : hash_bit(b.hash, shift);
		bool chain = bit_a && bit_a == bit_b;

		node = calloc(1, node_size(2));
		if (!node) {
			pair_free(top);
			return -ENOMEM;
		}
		*link = node;
		node->refs = 1;
		node->map = bit_a | bit_b;
		if (!chain) {
			node->n = 2;
			node->slot[0] = bit_a <= bit_b ? a : b;
			node->slot[1] = bit_a <= bit_b ? b : a;
			*ret = top;
			return 0;
		}
		node->n = 1;
		node->child_map = bit_a;
		link = &node->slot[0].child;
	}
}

/* Puts the object at `pos`, which has another key, one level down together with the new one. */
static int node_split(struct hamt_node **np, unsigned int pos, uint32_t bit, unsigned int shift, uint64_t hash,
		      const struct obj_ref *obj)
{
	struct hamt_slot added = { .hash = hash, .obj = obj };
	struct hamt_node *child;
	int r;

	r = node_own(np, 0);
	if (r < 0)
		return r;
	r = pair_new(shift + BITS, (*np)->slot[pos], added, &child);
	if (r < 0)
		return r;
	obj_get(obj); /* the other object's reference moves down with it */
	(*np)->slot[pos] = (struct hamt_slot){ .child = child };
	(*np)->child_map |= bit;
	return 0;
}

static int find_colliding(const struct hamt_node *node, const struct hamt_key *key)
{
	for (unsigned int i = 0; i < node->n; i++)
		if (slot_matches(&node->slot[i], key))
			return (int)i;
	return -ENOENT;
}

/* 1 = added, 0 = replaced, -ENOMEM. */
static int node_put(struct hamt_node **np, unsigned int shift, const struct hamt_key *key, const struct obj_ref *obj)
{
	const struct hamt_node *node = *np;
	unsigned int pos;
	uint32_t bit;
	int r;

	if (is_collision_level(shift)) {
		int at = find_colliding(node, key);

		if (at >= 0)
			return node_replace(np, (unsigned int)at, obj);
		r = node_insert(np, node->n, 0, key->hash, obj);
		return r < 0 ? r : 1;
	}
	bit = hash_bit(key->hash, shift);
	pos = bit_pos(node, bit);
	if (!(node->map & bit)) {
		r = node_insert(np, pos, bit, key->hash, obj);
		return r < 0 ? r : 1;
	}
	if (slot_is_child(node, bit)) {
		r = node_own(np, 0);
		return r < 0 ? r : node_put(&(*np)->slot[pos].child, shift + BITS, key, obj);
	}
	if (slot_matches(&node->slot[pos], key))
		return node_replace(np, pos, obj);
	r = node_split(np, pos, bit, shift, key->hash, obj);
	return r < 0 ? r : 1;
}

/* A child that is left with one object gives it to its parent (invariant 2). Both are ours. */
static void node_pull_up(struct hamt_node *node, unsigned int pos, uint32_t bit)
{
	struct hamt_node *child = node->slot[pos].child;

	if (child->n != 1 || child->child_map)
		return;
	node->slot[pos] = child->slot[0];
	node->child_map &= ~bit;
	free(child);
}

/* The key is there. */
static int node_del(struct hamt_node **np, unsigned int shift, const struct hamt_key *key)
{
	unsigned int pos;
	uint32_t bit = 0;
	int r;

	r = node_own(np, 0);
	if (r < 0)
		return r;
	if (is_collision_level(shift)) {
		pos = (unsigned int)find_colliding(*np, key);
	} else {
		bit = hash_bit(key->hash, shift);
		pos = bit_pos(*np, bit);
	}
	if (slot_is_child(*np, bit)) {
		r = node_del(&(*np)->slot[pos].child, shift + BITS, key);
		if (r == 0)
			node_pull_up(*np, pos, bit);
		return r;
	}
	obj_put(node_take(*np, pos, bit).obj);
	return 0;
}

struct hamt hamt_ref(const struct hamt *t)
{
	if (t->root)
		t->root->refs++;
	return *t;
}

void hamt_unref(struct hamt *t)
{
	if (t->root)
		trie_node_unref(t->root);
	*t = (struct hamt){ 0 };
}

const struct obj_ref *hamt_get(const struct hamt *t, const struct hamt_key *key)
{
	const struct hamt_node *node = t->root;

	for (unsigned int shift = 0; node; shift += BITS) {
		const struct hamt_slot *slot;
		uint32_t bit;

		if (is_collision_level(shift)) {
			int at = find_colliding(node, key);

			return at < 0 ? NULL : node->slot[at].obj;
		}
		bit = hash_bit(key->hash, shift);
		if (!(node->map & bit))
			return NULL;
		slot = &node->slot[bit_pos(node, bit)];
		if (!slot_is_child(node, bit))
			return slot_matches(slot, key) ? slot->obj : NULL;
		node = slot->child;
	}
	return NULL;
}

int hamt_put(struct hamt *t, const struct hamt_key *key, const struct obj_ref *obj)
{
	int r;

	if (!t->root) {
		t->root = calloc(1, node_size(1));
		if (!t->root)
			return -ENOMEM;
		t->root->refs = 1;
	}
	r = node_put(&t->root, 0, key, obj);
	if (t->root->n == 0) { /* was empty and the insertion failed */
		free(t->root);
		t->root = NULL;
	}
	if (r < 0)
		return r;
	t->n += (size_t)r;
	return 0;
}

int hamt_del(struct hamt *t, const struct hamt_key *key)
{
	int r;

	if (!hamt_get(t, key))
		return -ENOENT;
	r = node_del(&t->root, 0, key);
	if (r < 0)
		return r;
	t->n--;
	if (t->n == 0)
		hamt_unref(t);
	return 0;
}

static int node_each(const struct hamt_node *node, int (*fn)(const struct obj_ref *obj, void *arg), void *arg)
{
	uint32_t bits = node->map;

	for (uint32_t i = 0; i < node->n; i++, bits &= bits - 1) {
		const struct hamt_slot *slot = &node->slot[i];
		int r = slot_is_child(node, lowest(bits)) ? node_each(slot->child, fn, arg) : fn(slot->obj, arg);

		if (r)
			return r;
	}
	return 0;
}

int hamt_each(const struct hamt *t, int (*fn)(const struct obj_ref *obj, void *arg), void *arg)
{
	return t->root ? node_each(t->root, fn, arg) : 0;
}

/*
 * The walk of two tries at once. One side of a pair of slots is nothing, an object, or a subtree:
 *
 * 1. The same pointer on both sides: no difference below.
 * 2. Two subtrees: slot by slot.
 * 3. Two objects: of one key, changed; else one removed and one added.
 * 4. Else all of one side against at most one object of the other, which may be among them under the same key. All but that one
 *    are differences, so that also this costs O(changed).
 */
static const struct hamt_slot no_slot;

struct side {
	const struct hamt_slot *slot; /* NULL: nothing */
	bool is_child;
};

static int report(struct hamt_diff *d, const struct obj_ref *from, const struct obj_ref *to)
{
	return from == to ? 0 : d->fn(from, to, d->arg);
}

static bool same_key(const struct hamt_diff *d, const struct hamt_slot *a, const struct hamt_slot *b)
{
	return a->obj == b->obj || (a->hash == b->hash && d->same_key(a->obj, b->obj, d->arg));
}

struct one_sided {
	struct hamt_diff *d;
	const struct hamt_slot *one; /* the single object of the other side, or no_slot */
	bool one_is_from;
	bool found;
};

static int diff_one_sided(const struct hamt_node *node, struct one_sided *w)
{
	uint32_t bits = node->map;
	int r;

	w->d->n_visited++;
	for (uint32_t i = 0; i < node->n; i++, bits &= bits - 1) {
		const struct hamt_slot *slot = &node->slot[i];
		const struct obj_ref *other = NULL;

		if (slot_is_child(node, lowest(bits))) {
			r = diff_one_sided(slot->child, w);
			if (r)
				return r;
			continue;
		}
		if (w->one->obj && !w->found && same_key(w->d, w->one, slot)) {
			w->found = true;
			other = w->one->obj;
		}
		r = w->one_is_from ? report(w->d, other, slot->obj) : report(w->d, slot->obj, other);
		if (r)
			return r;
	}
	return 0;
}

/* Rule 4. `many` is a subtree, `one` an object or nothing. */
static int diff_subtree(struct hamt_diff *d, const struct hamt_node *many, const struct hamt_slot *one,
			bool one_is_from)
{
	struct one_sided w = { d, one ? one : &no_slot, one_is_from, false };
	int r = diff_one_sided(many, &w);

	if (r || w.found || !w.one->obj)
		return r;
	return one_is_from ? report(d, one->obj, NULL) : report(d, NULL, one->obj);
}

static int diff_nodes(struct hamt_diff *d, const struct hamt_node *a, const struct hamt_node *b, unsigned int shift);

static int diff_sides(struct hamt_diff *d, struct side a, struct side b, unsigned int shift)
{
	int r;

	if (a.is_child && b.is_child)
		return diff_nodes(d, a.slot->child, b.slot->child, shift + BITS);
	if (a.is_child)
		return diff_subtree(d, a.slot->child, b.slot, false);
	if (b.is_child)
		return diff_subtree(d, b.slot->child, a.slot, true);
	if (a.slot && b.slot && same_key(d, a.slot, b.slot))
		return report(d, a.slot->obj, b.slot->obj);
	r = a.slot ? report(d, a.slot->obj, NULL) : 0;
	if (r == 0 && b.slot)
		r = report(d, NULL, b.slot->obj);
	return r;
}

static const struct hamt_slot *find_same(struct hamt_diff *d, const struct hamt_node *node,
					 const struct hamt_slot *slot)
{
	for (unsigned int i = 0; i < node->n; i++)
		if (same_key(d, &node->slot[i], slot))
			return &node->slot[i];
	return NULL;
}

/* Lists of objects of equal hashes: few, each looked up in the other. */
static int diff_colliding(struct hamt_diff *d, const struct hamt_node *a, const struct hamt_node *b)
{
	int r = 0;

	for (unsigned int i = 0; i < a->n && r == 0; i++) {
		const struct hamt_slot *other = find_same(d, b, &a->slot[i]);

		r = report(d, a->slot[i].obj, other ? other->obj : NULL);
	}
	for (unsigned int i = 0; i < b->n && r == 0; i++)
		if (!find_same(d, a, &b->slot[i]))
			r = report(d, NULL, b->slot[i].obj);
	return r;
}

static struct side side_at(const struct hamt_node *node, uint32_t bit)
{
	if (!(node->map & bit))
		return (struct side){ NULL, false };
	return (struct side){ &node->slot[bit_pos(node, bit)], slot_is_child(node, bit) };
}

static int diff_nodes(struct hamt_diff *d, const struct hamt_node *a, const struct hamt_node *b, unsigned int shift)
{
	if (a == b) /* rule 1 */
		return 0;
	d->n_visited += 2;
	if (is_collision_level(shift))
		return diff_colliding(d, a, b);
	for (uint32_t rest = a->map | b->map; rest; rest &= rest - 1) {
		uint32_t bit = lowest(rest);
		int r = diff_sides(d, side_at(a, bit), side_at(b, bit), shift);

		if (r)
			return r;
	}
	return 0;
}

int hamt_diff(const struct hamt *from, const struct hamt *to, struct hamt_diff *d)
{
	if (from->root && to->root)
		return diff_nodes(d, from->root, to->root, 0);
	if (from->root)
		return diff_subtree(d, from->root, NULL, false);
	if (to->root)
		return diff_subtree(d, to->root, NULL, true);
	return 0;
}
