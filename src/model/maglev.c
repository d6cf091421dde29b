/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tuple hash and Maglev tables. Called by every tier that chooses a backend without state, by sim, and by the planners of their
 * tables. Both are frozen by tests/vectors/, which tools/gen-vectors.py makes without this code.
 *
 * Maglev: Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4. There M is prime, so
 * that any skip visits all slots; here M is a power of two, for targets without modulo, and an odd skip does.
 */
#include "model/maglev.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/crc32c.h"
#include "base/map.h"
#include "base/util.h"

#define SLOTS_MIN 128
#define SLOTS_PER_BACKEND_MIN 100
#define SLOTS_PER_BACKEND_MAX 400 /* beyond: a table that shrank so much is built afresh */
#define FREE_SLOT 0xffff /* no backend: there are at most 65,535, from 0 on */

static size_t put_be16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
	return 2;
}

static size_t put_addr(uint8_t *at, const struct ip_addr *a, size_t size)
{
	memcpy(at, a->bytes, size);
	return size;
}

uint32_t tuple_hash(const struct l4_tuple *t)
{
	size_t addr_size = ip_addr_size(&t->dst), at = 0;
	uint8_t key[40] = { 0 };

	at += put_addr(key + at, &t->src, addr_size);
	at += put_addr(key + at, &t->dst, addr_size);
	at += put_be16(key + at, t->sport);
	at += put_be16(key + at, t->dport);
	key[at] = t->proto; /* and three bytes of 0 */
	return crc32c_update(0, key, at + 4);
}

uint32_t maglev_size(size_t n, uint32_t old_m)
{
	uint32_t m = SLOTS_MIN;

	if (n == 0 || n > UINT16_MAX)
		return 0;
	if (old_m >= SLOTS_MIN && (old_m & (old_m - 1)) == 0 && old_m >= SLOTS_PER_BACKEND_MIN * n &&
	    old_m <= SLOTS_PER_BACKEND_MAX * n)
		return old_m;
	while (m < SLOTS_PER_BACKEND_MIN * n)
		m *= 2;
	return m;
}

/* FNV-1a over the key, then the finaliser of MurmurHash3: 64 bits, of which h1 and h2 are the lower and the upper half. A CRC will not
 * do here: it is linear, and neighbouring addresses would get related permutations. */
static uint64_t backend_hash(const struct maglev_backend *b)
{
	uint64_t h = 0xcbf29ce484222325ull;
	uint8_t key[18];
	size_t size = put_addr(key, &b->addr, ip_addr_size(&b->addr));

	size += put_be16(key + size, b->port);
	for (size_t i = 0; i < size; i++)
		h = (h ^ key[i]) * 0x100000001b3ull;
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdull;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ull;
	return h ^ h >> 33;
}

static bool is_sorted(const struct maglev_backend *b, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		int d = ip_addr_cmp(&b[i - 1].addr, &b[i].addr);

		if (d > 0 || (d == 0 && b[i - 1].port >= b[i].port))
			return false;
	}
	return true;
}

struct walk {
	uint32_t at, skip;
};

int maglev_fill(const struct maglev_backend *b, size_t n, uint32_t m, uint16_t *slot)
{
	CLEANUP_FREE struct walk *walks = NULL;
	uint32_t filled = 0;

	if (n == 0 || n > UINT16_MAX || m < n || (m & (m - 1)) != 0 || !is_sorted(b, n))
		return -EINVAL;
	walks = calloc(n, sizeof(*walks));
	if (!walks)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		uint64_t h = backend_hash(&b[i]);

		walks[i] = (struct walk){ (uint32_t)h & (m - 1), ((uint32_t)(h >> 32) | 1) & (m - 1) };
	}
	for (uint32_t i = 0; i < m; i++)
		slot[i] = FREE_SLOT;
	/* In turns each backend takes the next slot of its permutation that is still free. */
	for (size_t i = 0; filled < m; i = i + 1 < n ? i + 1 : 0) {
		struct walk *w = &walks[i];

		while (slot[w->at] != FREE_SLOT)
			w->at = (w->at + w->skip) & (m - 1);
		slot[w->at] = (uint16_t)i;
		filled++;
	}
	return 0;
}

/* ---- the pool ---- */

struct maglev_pool {
	struct map *tables; /* key: see pool_key; value: struct entry */
	size_t bytes;
};

struct entry {
	struct maglev t; /* t.slot is behind the struct, the key behind the slots */
	size_t refs;
	const uint8_t *key;
	size_t key_size;
	uint16_t slot[];
};

#define KEY_BACKEND_SIZE 19

/* What a table follows from, as bytes: m, then family, address and port of each backend. Owned by the caller. */
static uint8_t *pool_key(const struct maglev_backend *b, size_t n, uint32_t m, size_t *ret_size)
{
	uint8_t *key = malloc(4 + n * KEY_BACKEND_SIZE);
	size_t size = 0;

	if (!key)
		return NULL;
	size += put_be16(key + size, (uint16_t)(m >> 16));
	size += put_be16(key + size, (uint16_t)m);
	for (size_t i = 0; i < n; i++) {
		key[size++] = b[i].addr.fam;
		size += put_addr(key + size, &b[i].addr, ip_addr_size(&b[i].addr));
		size += put_be16(key + size, b[i].port);
	}
	*ret_size = size;
	return key;
}

int maglev_pool_new(struct maglev_pool **ret)
{
	CLEANUP_FREE struct maglev_pool *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	r = map_new(&p->tables);
	if (r < 0)
		return r;
	p->bytes = sizeof(*p);
	*ret = TAKE_PTR(p);
	return 0;
}

void maglev_pool_free(struct maglev_pool *p)
{
	if (!p)
		return;
	map_free(p->tables, free);
	free(p);
}

static size_t entry_size(uint32_t m, size_t key_size)
{
	return sizeof(struct entry) + m * sizeof(uint16_t) + key_size;
}

/* The map copies the key too. */
static size_t entry_bytes(const struct entry *en)
{
	return entry_size(en->t.m, en->key_size) + en->key_size;
}

static int pool_add(struct maglev_pool *p, const struct maglev_backend *b, size_t n, uint32_t m, const uint8_t *key,
		    size_t key_size, struct entry **ret)
{
	CLEANUP_FREE struct entry *en = malloc(entry_size(m, key_size));
	int r;

	if (!en)
		return -ENOMEM;
	*en = (struct entry){ .t = { m, (uint16_t)n, en->slot },
			      .key = (uint8_t *)(en->slot + m),
			      .key_size = key_size };
	memcpy(en->slot + m, key, key_size);
	r = maglev_fill(b, n, m, en->slot);
	if (r == 0)
		r = map_put(p->tables, key, key_size, en, NULL);
	if (r < 0)
		return r;
	p->bytes += entry_bytes(en);
	*ret = TAKE_PTR(en);
	return 0;
}

int maglev_get(struct maglev_pool *p, const struct maglev_backend *b, size_t n, uint32_t old_m,
	       const struct maglev **ret)
{
	CLEANUP_FREE uint8_t *key = NULL;
	uint32_t m = maglev_size(n, old_m);
	size_t key_size = 0;
	struct entry *en;
	int r;

	if (m == 0)
		return -EINVAL;
	key = pool_key(b, n, m, &key_size);
	if (!key)
		return -ENOMEM;
	en = map_get(p->tables, key, key_size);
	if (!en) {
		r = pool_add(p, b, n, m, key, key_size, &en);
		if (r < 0)
			return r;
	}
	en->refs++;
	*ret = &en->t;
	return 0;
}

void maglev_put(struct maglev_pool *p, const struct maglev *t)
{
	struct entry *en;

	if (!t)
		return;
	en = (struct entry *)(uintptr_t)container_of(t, const struct entry, t);
	if (--en->refs > 0)
		return;
	p->bytes -= entry_bytes(en);
	(void)map_del(p->tables, en->key, en->key_size);
	free(en);
}

size_t maglev_pool_bytes(const struct maglev_pool *p)
{
	return p->bytes;
}
