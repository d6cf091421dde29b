/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tables that a program fills, as bytes: lists of entries of one shape (key, then value), and what leads from one list to another. Tables are the maps
 * of prog/maps.h whose content follows from the model alone.
 */
#ifndef OFFKUBE_BPF_TABLE_H
#define OFFKUBE_BPF_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "base/str.h"
#include "net/addr.h"

enum table_id {
	TABLE_CLUSTER_IPS,
	TABLE_SERVICES,
	TABLE_BACKENDS,
	TABLE_MEMBERS,
	TABLE_HAIRPINS,
	TABLE_SLOTS,
	TABLE_MAX
};

struct table_spec {
	const char *name; /* of the map */
	uint16_t key_size, value_size;
	void (*format_key)(struct strbuf *sb, const void *key);
	void (*format_value)(struct strbuf *sb, const void *value);
};
extern const struct table_spec table_spec[TABLE_MAX];

/* Entries of one table; zero-initialised is empty. */
struct entries {
	uint8_t *bytes;
	size_t n, cap; /* cap in entries */
};
static inline size_t entry_size(enum table_id t)
{
	return (size_t)table_spec[t].key_size + table_spec[t].value_size;
}
static inline const uint8_t *entry_key(enum table_id t, const struct entries *l, size_t i)
{
	return l->bytes + i * entry_size(t);
}
static inline const uint8_t *entry_value(enum table_id t, const struct entries *l, size_t i)
{
	return entry_key(t, l, i) + table_spec[t].key_size;
}
/* 0 or -ENOMEM. */
int entries_add(enum table_id t, struct entries *l, const void *key, const void *value);
void entries_sort(enum table_id t, struct entries *l); /* by key */
void entries_free(struct entries *l);

/* From what is there (`del`) to what is to be (`add`), both sorted: positions to write (new, or with another value) and to delete. */
struct table_ops {
	uint32_t *put, *drop;
	size_t n_put, n_drop, n_new; /* n_new: of n_put, those whose key was not there */
};
int table_ops_build(enum table_id t, const struct entries *del, const struct entries *add, struct table_ops *ret);
void table_ops_free(struct table_ops *ops);

/* The model's addresses in the maps' form, and back. */
struct bpf_addr bpf_addr_of(const struct ip_addr *a);
struct ip_addr bpf_addr_to_ip(const struct bpf_addr *a);
struct bpf_vip bpf_vip_of(const struct ip_addr *a, uint8_t proto, uint16_t port);
struct bpf_backend bpf_backend_of(const struct ip_addr *a, uint16_t port);
void format_vip(struct strbuf *sb, const struct bpf_vip *vip); /* "10.96.0.1 tcp 80" */
void format_backend(struct strbuf *sb, const struct bpf_backend *b); /* "10.244.0.7:8080" */

#endif
