/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes -> pointer. Linear probing in a power-of-two table at most three quarters full; a removal shifts the run
 * behind it back, so there are no tombstones. The seed differs per process: names chosen by outsiders cannot be
 * made to collide.
 */
#include "base/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/cleanup.h"
#include "base/util.h"

#define INITIAL_SLOTS 16

struct slot {
	uint64_t hash;
	void *key; /* owned; NULL = empty slot */
	size_t key_size;
	void *value;
};

struct map {
	uint64_t seed;
	size_t n;
	size_t mask; /* slots - 1 */
	struct slot *slots;
};

/* The kernel hands each process 16 random bytes: a seed without state and without a system call. */
static uint64_t process_seed(void)
{
	const void *random = (const void *)getauxval(AT_RANDOM);
	uint64_t seed = 0;

	if (random)
		memcpy(&seed, random, sizeof(seed));
	return seed;
}

int map_new(struct map **ret_map)
{
	struct map *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->slots = calloc(INITIAL_SLOTS, sizeof(*m->slots));
	if (!m->slots) {
		free(m);
		return -ENOMEM;
	}
	m->mask = INITIAL_SLOTS - 1;
	m->seed = process_seed();
	*ret_map = m;
	return 0;
}

void map_free(struct map *m, void (*free_value)(void *))
{
	if (!m)
		return;
	for (size_t i = 0; i <= m->mask; i++) {
		if (!m->slots[i].key)
			continue;
		if (free_value)
			free_value(m->slots[i].value);
		free(m->slots[i].key);
	}
	free(m->slots);
	free(m);
}

/* The slot of the key, or the empty one where it would go. */
static struct slot *find(const struct map *m, uint64_t hash, const void *key, size_t key_size)
{
	for (size_t i = hash & m->mask;; i = (i + 1) & m->mask) {
		struct slot *s = &m->slots[i];

		if (!s->key)
			return s;
		if (s->hash == hash && s->key_size == key_size && (!key_size || memcmp(s->key, key, key_size) == 0))
			return s;
	}
}

void *map_get(const struct map *m, const void *key, size_t key_size)
{
	return find(m, hash_bytes(key, key_size, m->seed), key, key_size)->value;
}

bool map_has(const struct map *m, const void *key, size_t key_size)
{
	return find(m, hash_bytes(key, key_size, m->seed), key, key_size)->key != NULL;
}

static int grow(struct map *m)
{
	size_t n_slots = (m->mask + 1) * 2;
	struct slot *slots = calloc(n_slots, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i <= m->mask; i++) {
		size_t at = m->slots[i].hash & (n_slots - 1);

		if (!m->slots[i].key)
			continue;
		while (slots[at].key)
			at = (at + 1) & (n_slots - 1);
		slots[at] = m->slots[i];
	}
	free(m->slots);
	m->slots = slots;
	m->mask = n_slots - 1;
	return 0;
}

int map_put(struct map *m, const void *key, size_t key_size, void *value, void **ret_old)
{
	uint64_t hash = hash_bytes(key, key_size, m->seed);
	struct slot *s = find(m, hash, key, key_size);
	void *copy;
	int r;

	if (s->key) {
		if (ret_old)
			*ret_old = s->value;
		s->value = value;
		return 0;
	}
	copy = malloc(key_size ? key_size : 1);
	if (!copy)
		return -ENOMEM;
	if (key_size)
		memcpy(copy, key, key_size);
	if ((m->n + 1) * 4 > (m->mask + 1) * 3) {
		r = grow(m);
		if (r) {
			free(copy);
			return r;
		}
		s = find(m, hash, key, key_size);
	}
	*s = (struct slot){ .hash = hash, .key = copy, .key_size = key_size, .value = value };
	m->n++;
	if (ret_old)
		*ret_old = NULL;
	return 0;
}

/* Moves back what only stood behind `hole` because it was taken. */
static void close_hole(struct map *m, size_t hole)
{
	for (size_t i = (hole + 1) & m->mask; m->slots[i].key; i = (i + 1) & m->mask) {
		size_t home = m->slots[i].hash & m->mask;

		if (((i - home) & m->mask) >= ((i - hole) & m->mask)) {
			m->slots[hole] = m->slots[i];
			hole = i;
		}
	}
	m->slots[hole] = (struct slot){ 0 };
}

void *map_del(struct map *m, const void *key, size_t key_size)
{
	struct slot *s = find(m, hash_bytes(key, key_size, m->seed), key, key_size);
	void *value = s->value;

	if (!s->key)
		return NULL;
	free(s->key);
	close_hole(m, (size_t)(s - m->slots));
	m->n--;
	return value;
}

size_t map_count(const struct map *m)
{
	return m->n;
}

int map_each(const struct map *m, int (*fn)(const void *key, size_t key_size, void *value, void *arg), void *arg)
{
	for (size_t i = 0; i <= m->mask; i++) {
		const struct slot *s = &m->slots[i];
		int r = s->key ? fn(s->key, s->key_size, s->value, arg) : 0;

		if (r)
			return r;
	}
	return 0;
}
