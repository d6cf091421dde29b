/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Elements of maps in bulk: thousands a system call (SEMANTICS B18). Called by apply.c, verify.c and counters.c. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "sock.h"

struct batch {
	uint8_t *keys, *values;
};

static void batch_free(struct batch *b)
{
	free(b->keys);
	free(b->values);
}

static int batch_new(size_t key_size, size_t value_size, struct batch *ret)
{
	struct batch b = { malloc(SOCK_BATCH * key_size), calloc(SOCK_BATCH, value_size) };

	if (!b.keys || !b.values) {
		batch_free(&b);
		return -ENOMEM;
	}
	*ret = b;
	return 0;
}

int map_write(int fd, enum table_id t, const struct entries *l, const uint32_t *which, size_t n)
{
	const struct table_spec *spec = &table_spec[t];
	CLEANUP(batch_free) struct batch b = {};
	int r = n ? batch_new(spec->key_size, spec->value_size, &b) : 0;

	for (size_t done = 0; done < n && r == 0;) {
		uint32_t count = (uint32_t)MIN(n - done, (size_t)SOCK_BATCH);

		for (uint32_t i = 0; i < count; i++) {
			memcpy(b.keys + i * spec->key_size, entry_key(t, l, which[done + i]), spec->key_size);
			memcpy(b.values + i * spec->value_size, entry_value(t, l, which[done + i]), spec->value_size);
		}
		done += count;
		r = bpf_map_update_batch(fd, b.keys, b.values, &count, NULL);
	}
	return r;
}

static int delete_keys(int fd, size_t key_size, const uint8_t *keys, uint32_t n)
{
	for (uint32_t done = 0; done < n;) {
		uint32_t count = n - done;
		int r = bpf_map_delete_batch(fd, keys + done * key_size, &count, NULL);

		if (r < 0 && r != -ENOENT)
			return r;
		done += count + (r == -ENOENT); /* `count` were deleted, the next one was not there */
	}
	return 0;
}

static int delete_entries(int fd, enum table_id t, const struct entries *l, const uint32_t *which, size_t n)
{
	const struct table_spec *spec = &table_spec[t];
	CLEANUP(batch_free) struct batch b = {};
	int r = n ? batch_new(spec->key_size, 1, &b) : 0;

	for (size_t done = 0; done < n && r == 0;) {
		uint32_t count = (uint32_t)MIN(n - done, (size_t)SOCK_BATCH);

		for (uint32_t i = 0; i < count; i++)
			memcpy(b.keys + i * spec->key_size, entry_key(t, l, which[done + i]), spec->key_size);
		done += count;
		r = delete_keys(fd, spec->key_size, b.keys, count);
	}
	return r;
}

int map_delete(int fd, enum table_id t, const struct entries *l, const uint32_t *which, size_t n)
{
	return delete_entries(fd, t, l, which, n);
}

static int take_batch(enum table_id t, const struct batch *b, uint32_t count, struct entries *ret)
{
	int r = 0;

	for (uint32_t i = 0; i < count && r == 0; i++)
		r = entries_add(t, ret, b->keys + i * table_spec[t].key_size, b->values + i * table_spec[t].value_size);
	return r;
}

int map_read(int fd, enum table_id t, struct entries *ret)
{
	const struct table_spec *spec = &table_spec[t];
	CLEANUP(batch_free) struct batch b = {};
	uint8_t position[64];
	bool first = true;
	int r = batch_new(spec->key_size, spec->value_size, &b), last = 0;

	while (r == 0 && last == 0) {
		uint32_t count = SOCK_BATCH;

		/* -ENOENT: these were the last. -ENOSPC cannot be: no bucket holds 4,096 of a hash that is never over-full. */
		last = bpf_map_lookup_batch(fd, first ? NULL : position, position, b.keys, b.values, &count, NULL);
		if (last < 0 && last != -ENOENT)
			return last;
		first = false;
		r = take_batch(t, &b, count, ret);
	}
	if (r == 0)
		entries_sort(t, ret);
	return r;
}

int map_sum(int fd, const void *key, uint64_t *ret)
{
	int n_cpus = libbpf_num_possible_cpus();
	CLEANUP_FREE uint64_t *v = n_cpus > 0 ? calloc((size_t)n_cpus, sizeof(*v)) : NULL;
	uint64_t sum = 0;
	int r;

	if (!v)
		return n_cpus < 0 ? n_cpus : -ENOMEM;
	r = bpf_map_lookup_elem(fd, key, v);
	if (r < 0)
		return r;
	for (int i = 0; i < n_cpus; i++)
		sum += v[i];
	*ret = sum;
	return 0;
}

int map_each_key(int fd, size_t key_size, int (*fn)(const void *key, void *arg), void *arg)
{
	CLEANUP_FREE uint8_t *keys = malloc(2 * key_size);
	uint8_t *key = keys, *next = keys + key_size;
	int r;

	if (!keys)
		return -ENOMEM;
	r = bpf_map_get_next_key(fd, NULL, next);
	while (r == 0) {
		int rf;

		memcpy(key, next, key_size);
		rf = fn(key, arg);
		if (rf)
			return rf;
		r = bpf_map_get_next_key(fd, key, next);
	}
	return r == -ENOENT ? 0 : r;
}

int map_sync_connections(int fd, const struct entries *add, const uint32_t *which, size_t n)
{
	int n_cpus = libbpf_num_possible_cpus();
	CLEANUP_FREE uint64_t *zero = n_cpus > 0 ? calloc((size_t)n_cpus, sizeof(*zero)) : NULL;

	if (!zero)
		return n_cpus < 0 ? n_cpus : -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		int r = bpf_map_update_elem(fd, entry_key(TABLE_SERVICES, add, which[i]), zero, BPF_NOEXIST);

		if (r < 0 && r != -EEXIST)
			return r;
	}
	return 0;
}

int map_drop_connections(int fd, const struct entries *del, const uint32_t *which, size_t n)
{
	return delete_entries(fd, TABLE_SERVICES, del, which, n); /* the keys are the same */
}
