/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hash_bytes(): the hash of maps and tries. Each 16 bytes are folded by one 64 x 64 -> 128 bit multiplication whose
 * halves are xor-ed (the construction that wyhash made known); the length goes into the last fold, so that prefixes
 * differ.
 */
#include "base/util.h"

/* Odd, half of the bits set, no pattern: from the fractional parts of square roots of primes. */
#define K0 0x6a09e667f3bcc909ull
#define K1 0xbb67ae8584caa73bull
#define K2 0x3c6ef372fe94f82bull
#define K3 0xa54ff53a5f1d36f1ull

static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 p = (unsigned __int128)a * b;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static uint64_t load64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Up to 8 bytes, the rest 0. */
static uint64_t load_part(const unsigned char *p, size_t size)
{
	uint64_t v = 0;

	memcpy(&v, p, size);
	return v;
}

uint64_t hash_bytes(const void *data, size_t size, uint64_t seed)
{
	const unsigned char *p = data;
	uint64_t h = fold(seed ^ K0, K1);
	uint64_t a = 0, b = 0;
	size_t left = size;

	for (; left > 16; left -= 16, p += 16)
		h = fold(load64(p) ^ K1 ^ h, load64(p + 8) ^ K2);
	if (left > 8) {
		a = load64(p);
		b = load_part(p + 8, left - 8);
	} else if (left > 0) {
		a = load_part(p, left);
	}
	h = fold(a ^ K1 ^ h, b ^ K2 ^ (h >> 32));
	return fold(h ^ K3, (uint64_t)size ^ K1);
}
