/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A compiled program of target bpf-sock: what each table is to hold, or (delta) what was and is to be of the changed Services. */
#ifndef OFFKUBE_BPF_PROGRAM_H
#define OFFKUBE_BPF_PROGRAM_H

#include "table.h"
#include "target/target.h"

struct target_program {
	struct snapshot *from, *to; /* references; from NULL: full */
	char *node;
	bool with_services, host_only;
	struct entries add[TABLE_MAX], del[TABLE_MAX]; /* sorted; full: nothing in del */
	size_t n_services; /* carried: of the program, or changed */
	bool touches_udp; /* a UDP port exists, or was or is in a changed Service */
	bool changes_clients; /* full, or a pod or node differs */
};

bool bpf_sock_program_is_full(const struct target_program *p);
/* Of a delta: the full program of where it leads to. */
int bpf_sock_program_compile_full(const struct target_program *p, struct target_program **ret, struct err *e);

/* Is this port carried, in the snapshot that the program leads to? NULL when not. */
const struct service_port *bpf_sock_program_port(const struct target_program *p, const struct bpf_vip *vip);

/* The members of target_ops. */
uint32_t bpf_sock_check(const struct target_probe *probe, const struct service *svc, struct refusal_list *refusals);
int bpf_sock_compile(const struct target_input *in, struct target_program **ret, struct err *e);
void bpf_sock_program_free(struct target_program *p);
int bpf_sock_program_print(const struct target_program *p, bool json, FILE *f);
DEFINE_CLEANUP(struct target_program *, bpf_sock_program_free);

#endif
