/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stateless backend choice, DESIGN 3.2: the tuple hash and the Maglev table that all tiers share, bit for bit. Frozen by the vectors in
 * tests/vectors/: a change here is a change of the wire behaviour of every tier.
 *
 * Hash: CRC-32C, reflected (polynomial 0x82f63b78), init 0, no final xor, over network-order bytes:
 *	IPv4, 16 bytes: src[4] dst[4] sport[2] dport[2] proto[1] zero[3]
 *	IPv6, 40 bytes: src[16] dst[16] sport[2] dport[2] proto[1] zero[3]
 * With session affinity sport is hashed as 0. Slot = hash & (M - 1).
 */
#ifndef OFFKUBE_MODEL_MAGLEV_H
#define OFFKUBE_MODEL_MAGLEV_H

#include <stddef.h>
#include <stdint.h>

#include "net/pkt.h"

uint32_t tuple_hash(const struct l4_tuple *t);

/* Slots are 16-bit backend indexes into the list that the table was built from. Tables are interned: equal backend lists (and sizes: only
 * hysteresis makes them differ) give the same table (one more reference), see maglev_pool. */
struct maglev {
	uint32_t m; /* slots, a power of two, >= 128 and >= 100 * n when built afresh */
	uint16_t n; /* backends, 1..65535 */
	const uint16_t *slot;
};

/* The smallest legal M for n backends; with hysteresis: an `old_m` (0 = none) that is still between 100 and 400 times n is kept.
 * 0 when n is not in 1..65535. */
uint32_t maglev_size(size_t n, uint32_t old_m);

/* Fills m slots: backend i's permutation is offset h1(key_i) & (m-1), skip (h2(key_i) | 1) & (m-1). Keys are addr bytes + port in network
 * order; h1 and h2 are the lower and upper 32 bits of fmix64(FNV-1a-64(key)), fmix64 being MurmurHash3's finaliser. The list must be sorted
 * (ip_addr_cmp, then port) and free of duplicates, so that all nodes build the same table: -EINVAL else, or if m is no power of two or
 * below n. Each backend gets m/n slots, rounded down or up. */
struct maglev_backend {
	struct ip_addr addr;
	uint16_t port;
};
int maglev_fill(const struct maglev_backend *b, size_t n, uint32_t m, uint16_t *slot);

struct maglev_pool;
int maglev_pool_new(struct maglev_pool **ret);
void maglev_pool_free(struct maglev_pool *p);
/* -EINVAL as maglev_fill. */
int maglev_get(struct maglev_pool *p, const struct maglev_backend *b, size_t n, uint32_t old_m,
	       const struct maglev **ret);
void maglev_put(struct maglev_pool *p, const struct maglev *t); /* NULL is fine */
/* Of all tables and their keys. */
size_t maglev_pool_bytes(const struct maglev_pool *p);

#endif
