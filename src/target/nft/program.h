/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A compiled program of target nft: which elements are to be, or (delta) what to remove and add. */
#ifndef OFFKUBE_NFT_PROGRAM_H
#define OFFKUBE_NFT_PROGRAM_H

#include "elem.h"
#include "target/target.h"

/* target_probe.features */
#define NFT_FEATURE_IPV6 (1u << 0)

struct chain_list {
	struct chain_ref *v;
	size_t n, cap;
};

struct target_program {
	struct snapshot *from, *to; /* references; from NULL: full */
	char *node;
	struct target_probe probe;
	bool has_probe;
	bool with_services;
	struct elem_list add, del;
	struct op_list ops; /* over add and del */
	struct chain_list chains[IP_FAMILY_MAX]; /* that the operations begin to lead to; sorted, each once */
	struct chain_list left[IP_FAMILY_MAX]; /* that they cease to lead to: perhaps unused from now on */
	struct ip_prefix pod_cidr[IP_FAMILY_MAX]; /* of the node; rules of masquerade */
	bool node_changed; /* delta: the masquerade rules may differ */
	size_t n_services; /* carried: of the program, or changed */
	bool touches_udp[IP_FAMILY_MAX]; /* full: a UDP port exists; delta: one was or is in a changed Service */
};

bool program_is_full(const struct target_program *p);
/* Of a delta: the full program of where it leads to. */
int program_compile_full(const struct target_program *p, struct target_program **ret, struct err *e);

/* The members of target_ops. */
uint32_t nft_check(const struct target_probe *probe, const struct service *svc, struct refusal_list *refusals);
int nft_compile(const struct target_input *in, struct target_program **ret, struct err *e);
void nft_program_free(struct target_program *p);
int nft_program_print(const struct target_program *p, bool json, FILE *f);
DEFINE_CLEANUP(struct target_program *, nft_program_free);

#endif
