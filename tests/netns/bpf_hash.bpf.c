// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The tuple hash of the BPF programs, to be run on the vectors of the model (test_bpf_hash.c). */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "prog/hash.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct bpf_hash_args {
	struct bpf_vip vip;
	struct bpf_addr src;
	__be16 sport;
	__u16 pad;
	__u32 hash; /* out */
};

SEC("syscall")
int run_hash(struct bpf_hash_args *args)
{
	struct bpf_vip vip = args->vip;
	struct bpf_addr src = args->src;

	args->hash = tuple_hash(&src, args->sport, &vip);
	return 0;
}
