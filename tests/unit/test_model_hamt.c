/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The persistent trie alone, with objects whose hashes the test chooses: good ones, ones that agree in many bits, and equal ones. Random
 * edits against an array; older tries stay as they were; differences; every allocation failing once.
 */
#define MODEL_ALLOC_HAMT_ONLY
#include <errno.h>

#include "base/rand.h"
#include "model_alloc.h"

struct item {
	struct obj_ref ref;
	unsigned int id; /* the key */
	unsigned int version;
};

struct id_key {
	struct hamt_key key;
	unsigned int id;
};

static bool match_id(const struct obj_ref *obj, const struct hamt_key *key)
{
	return ((const struct item *)obj)->id == container_of(key, const struct id_key, key)->id;
}

static bool same_id(const struct obj_ref *a, const struct obj_ref *b, void *arg)
{
	(void)arg;
	return ((const struct item *)a)->id == ((const struct item *)b)->id;
}

enum hashing {
	HASH_GOOD,
	HASH_LAST_BITS, /* differ in the last 4 bits looked at only */
	HASH_FEW, /* 5 values */
	HASH_ONE, /* all collide */
	HASH_MAX,
};

static struct id_key key_for(enum hashing hashing, unsigned int id)
{
	uint64_t hash = 0;

	switch (hashing) {
	case HASH_GOOD:
		hash = hash_bytes(&id, sizeof(id), 0);
		break;
	case HASH_LAST_BITS:
		hash = 0x0123456789abcdefull ^ (uint64_t)(id % 16) << 60;
		break;
	case HASH_FEW:
		hash = (uint64_t)(id % 5) << 30;
		break;
	default:
		break;
	}
	return (struct id_key){ { hash, match_id }, id };
}

static struct item *item_new(unsigned int id, unsigned int version)
{
	struct item *item = calloc(1, sizeof(*item));

	assert_non_null(item);
	*item = (struct item){ { 1 }, id, version };
	return item;
}

#define N_IDS 60
#define N_OLD 6

/* What a trie should hold: by id, with a reference. */
struct reference {
	const struct item *item[N_IDS];
	size_t n;
};

static void reference_set(struct reference *ref, unsigned int id, const struct item *item)
{
	const struct item *old = ref->item[id];

	if (item)
		obj_get(&item->ref);
	ref->item[id] = item;
	ref->n = ref->n + (item != NULL) - (old != NULL);
	if (old)
		obj_put(&old->ref);
}

static void reference_copy(struct reference *to, const struct reference *from)
{
	for (unsigned int id = 0; id < N_IDS; id++)
		reference_set(to, id, from->item[id]);
}

static void reference_clear(struct reference *ref)
{
	for (unsigned int id = 0; id < N_IDS; id++)
		reference_set(ref, id, NULL);
}

static int count_one(const struct obj_ref *obj, void *arg)
{
	(void)obj;
	++*(size_t *)arg;
	return 0;
}

static void assert_holds(const struct hamt *t, const struct reference *ref, enum hashing hashing)
{
	size_t n = 0;

	assert_int_equal(t->n, ref->n);
	for (unsigned int id = 0; id < N_IDS; id++) {
		struct id_key k = key_for(hashing, id);

		assert_ptr_equal(hamt_get(t, &k.key), ref->item[id]);
	}
	assert_int_equal(hamt_each(t, count_one, &n), 0);
	assert_int_equal(n, ref->n);
	assert_true((t->root == NULL) == (ref->n == 0));
}

/* Canonical form (hamt.h, invariant 2): no child with fewer than two objects. Returns the objects below. */
static size_t assert_canonical(const struct hamt_node *node, bool is_root)
{
	uint32_t bits = node->map;
	size_t n = 0;

	for (uint32_t i = 0; i < node->n; i++, bits &= bits - 1)
		n += slot_is_child(node, lowest(bits)) ? assert_canonical(node->slot[i].child, false) : 1;
	assert_true(is_root || n >= 2);
	if (node->map)
		assert_int_equal(__builtin_popcount(node->map), node->n);
	return n;
}

struct diff_check {
	const struct reference *from, *to;
	bool seen[N_IDS];
};

static int check_diff(const struct obj_ref *from, const struct obj_ref *to, void *arg)
{
	struct diff_check *c = arg;
	const struct item *a = (const struct item *)from, *b = (const struct item *)to;
	unsigned int id = (a ? a : b)->id;

	assert_false(c->seen[id]);
	c->seen[id] = true;
	assert_ptr_equal(a, c->from->item[id]);
	assert_ptr_equal(b, c->to->item[id]);
	assert_ptr_not_equal(a, b);
	return 0;
}

static void assert_diff(const struct hamt *from, const struct reference *ref_from, const struct hamt *to,
			const struct reference *ref_to)
{
	struct diff_check c = { ref_from, ref_to, { false } };
	struct hamt_diff d = { same_id, check_diff, &c, 0 };

	assert_int_equal(hamt_diff(from, to, &d), 0);
	for (unsigned int id = 0; id < N_IDS; id++)
		assert_int_equal(c.seen[id], ref_from->item[id] != ref_to->item[id]);
}

static void random_edit(struct rng *rng, struct hamt *t, struct reference *ref, enum hashing hashing)
{
	unsigned int id = (unsigned int)rng_below(rng, N_IDS);
	struct id_key k = key_for(hashing, id);
	struct item *item;

	if (rng_below(rng, 5) < 2) {
		assert_int_equal(hamt_del(t, &k.key), ref->item[id] ? 0 : -ENOENT);
		reference_set(ref, id, NULL);
		return;
	}
	item = item_new(id, (unsigned int)rng_below(rng, 1000));
	assert_int_equal(hamt_put(t, &k.key, &item->ref), 0);
	reference_set(ref, id, item);
	obj_put(&item->ref);
}

static void random_edits_match_an_array(void **state)
{
	(void)state;
	for (int h = 0; h < HASH_MAX; h++) {
		enum hashing hashing = (enum hashing)h;
		struct hamt now = { 0 }, old[N_OLD] = { { 0 } };
		struct reference ref = { 0 }, old_ref[N_OLD] = { 0 };
		struct rng rng;

		rng_seed(&rng, 11 + (uint64_t)h);
		for (int round = 0; round < 400; round++) {
			unsigned int at = (unsigned int)rng_below(&rng, N_OLD);
			unsigned int n_edits = (unsigned int)rng_below(&rng, 12);

			for (unsigned int i = 0; i < n_edits; i++)
				random_edit(&rng, &now, &ref, hashing);
			assert_holds(&now, &ref, hashing);
			if (now.root)
				assert_int_equal(assert_canonical(now.root, true), now.n);
			assert_diff(&old[at], &old_ref[at], &now, &ref);
			assert_diff(&now, &ref, &old[at], &old_ref[at]);
			hamt_unref(&old[at]);
			old[at] = hamt_ref(&now);
			reference_copy(&old_ref[at], &ref);
			for (unsigned int i = 0; i < N_OLD; i++)
				assert_holds(&old[i], &old_ref[i], hashing);
		}
		for (unsigned int i = 0; i < N_OLD; i++) {
			hamt_unref(&old[i]);
			reference_clear(&old_ref[i]);
		}
		hamt_unref(&now);
		reference_clear(&ref);
	}
}

/* The same objects in any order give the same shape, so that a diff by pointers after a detour finds all that is shared. */
static void walk_order_is_by_content(void **state)
{
	struct item *item[N_IDS];
	struct hamt up = { 0 }, down = { 0 };
	struct hamt_diff d = { same_id, check_diff, NULL, 0 };

	(void)state;
	for (unsigned int id = 0; id < N_IDS; id++)
		item[id] = item_new(id, 0);
	for (unsigned int id = 0; id < N_IDS; id++) {
		struct id_key k = key_for(HASH_GOOD, id), other = key_for(HASH_GOOD, N_IDS - 1 - id);

		assert_int_equal(hamt_put(&up, &k.key, &item[id]->ref), 0);
		assert_int_equal(hamt_put(&down, &other.key, &item[N_IDS - 1 - id]->ref), 0);
	}
	assert_int_equal(hamt_diff(&up, &down, &d), 0); /* check_diff would fault */
	hamt_unref(&up);
	hamt_unref(&down);
	for (unsigned int id = 0; id < N_IDS; id++) {
		assert_int_equal(item[id]->ref.count, 1);
		obj_put(&item[id]->ref);
	}
}

static int stop_at_second(const struct obj_ref *obj, void *arg)
{
	(void)obj;
	return ++*(int *)arg == 2 ? 7 : 0;
}

static int stop_diff_at_second(const struct obj_ref *from, const struct obj_ref *to, void *arg)
{
	(void)from;
	(void)to;
	return ++*(int *)arg == 2 ? 8 : 0;
}

static void walks_stop_when_told(void **state)
{
	(void)state;
	for (int h = 0; h < HASH_MAX; h++) {
		struct hamt t = { 0 }, empty = { 0 };
		int n = 0;
		struct hamt_diff d = { same_id, stop_diff_at_second, &n, 0 };

		for (unsigned int id = 0; id < 10; id++) {
			struct id_key k = key_for((enum hashing)h, id);
			struct item *item = item_new(id, 0);

			assert_int_equal(hamt_put(&t, &k.key, &item->ref), 0);
			obj_put(&item->ref);
		}
		assert_int_equal(hamt_each(&t, stop_at_second, &n), 7);
		assert_int_equal(n, 2);
		n = 0;
		assert_int_equal(hamt_diff(&t, &empty, &d), 8);
		assert_int_equal(n, 2);
		n = 0;
		assert_int_equal(hamt_diff(&empty, &t, &d), 8);
		assert_int_equal(n, 2);
		hamt_unref(&t);
	}
}

/* Invariant 3: with every allocation failing in its turn, the trie keeps its contents and the older one its own. */
static void failed_edit_changes_nothing(void **state)
{
	(void)state;
	for (int h = 0; h < HASH_MAX; h++) {
		enum hashing hashing = (enum hashing)h;
		struct hamt now = { 0 };
		struct reference ref = { 0 };
		struct rng rng;

		rng_seed(&rng, 5);
		for (int i = 0; i < 300; i++) {
			struct hamt before = rng_below(&rng, 2) ? hamt_ref(&now) : (struct hamt){ 0 };
			bool has_before = before.root != NULL;
			unsigned int id = (unsigned int)rng_below(&rng, N_IDS);
			struct id_key k = key_for(hashing, id);
			struct item *item = item_new(id, (unsigned int)i);
			bool del = rng_below(&rng, 3) == 0 && ref.item[id];
			int r = -ENOMEM;

			for (size_t fails = 0; r == -ENOMEM; fails++) {
				assert_in_range(fails, 0, 40);
				assert_holds(&now, &ref, hashing);
				n_allocs = 0;
				fail_at = fails;
				r = del ? hamt_del(&now, &k.key) : hamt_put(&now, &k.key, &item->ref);
				fail_at = SIZE_MAX;
			}
			assert_int_equal(r, 0);
			if (has_before)
				assert_holds(&before, &ref, hashing);
			reference_set(&ref, id, del ? NULL : item);
			obj_put(&item->ref);
			assert_holds(&now, &ref, hashing);
			if (now.root)
				assert_int_equal(assert_canonical(now.root, true), now.n);
			hamt_unref(&before);
		}
		hamt_unref(&now);
		reference_clear(&ref);
	}
}

/* Loading copies nothing twice: one allocation for what an insertion adds, growth included; none for a replacement. */
static void unshared_nodes_change_in_place(void **state)
{
	enum { N = 20000 };
	struct hamt t = { 0 };

	(void)state;
	n_allocs = 0;
	for (unsigned int id = 0; id < N; id++) {
		struct id_key k = key_for(HASH_GOOD, id);
		struct item *item = item_new(id, 0);

		assert_int_equal(hamt_put(&t, &k.key, &item->ref), 0);
		obj_put(&item->ref);
	}
	assert_in_range(n_allocs, 1, 3 * N / 2);
	n_allocs = 0;
	for (unsigned int id = 0; id < N; id++) {
		struct id_key k = key_for(HASH_GOOD, id);
		struct item *item = item_new(id, 1);

		assert_int_equal(hamt_put(&t, &k.key, &item->ref), 0);
		obj_put(&item->ref);
	}
	assert_int_equal(n_allocs, 0);
	hamt_unref(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_edits_match_an_array),	  cmocka_unit_test(walk_order_is_by_content),
		cmocka_unit_test(walks_stop_when_told),		  cmocka_unit_test(failed_edit_changes_nothing),
		cmocka_unit_test(unshared_nodes_change_in_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
