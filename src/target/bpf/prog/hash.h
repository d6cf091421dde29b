/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The model's tuple hash (model/maglev.h): CRC-32C, reflected, over the same bytes. Kept equal by the vectors in tests/vectors/. */
#ifndef OFFKUBE_BPF_HASH_H
#define OFFKUBE_BPF_HASH_H

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"

/* For half a byte: 64 bytes of table stay in one cache line, and a socket call can afford two steps a byte. */
static const __u32 crc32c_nibble[16] = {
	0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
	0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

static __always_inline __u32 crc32c_word(__u32 crc, __be32 word)
{
	crc ^= word; /* little-endian CPU: the first byte on the wire is the lowest */
	for (int i = 0; i < 8; i++)
		crc = (crc >> 4) ^ crc32c_nibble[crc & 0xf];
	return crc;
}

/* Is it an IPv4-mapped address? */
static __always_inline bool is_v4(const struct bpf_addr *a)
{
	return a->word[0] == 0 && a->word[1] == 0 && a->word[2] == bpf_htonl(0xffff);
}

static __always_inline __u32 tuple_hash(const struct bpf_addr *src, __be16 sport, const struct bpf_vip *vip)
{
	__u32 crc = 0;

	if (is_v4(&vip->addr)) {
		crc = crc32c_word(crc, src->word[3]);
		crc = crc32c_word(crc, vip->addr.word[3]);
	} else {
		for (int i = 0; i < 4; i++)
			crc = crc32c_word(crc, src->word[i]);
		for (int i = 0; i < 4; i++)
			crc = crc32c_word(crc, vip->addr.word[i]);
	}
	crc = crc32c_word(crc, (__u32)sport | (__u32)vip->port << 16);
	return crc32c_word(crc, vip->proto);
}

#endif
