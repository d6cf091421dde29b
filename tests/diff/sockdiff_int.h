/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of sockdiff.h offer each other. 0 they agree, 1 they do not, -errno. */
#ifndef OFFKUBE_TESTS_DIFF_SOCKDIFF_INT_H
#define OFFKUBE_TESTS_DIFF_SOCKDIFF_INT_H

#include "sockdiff.h"

/* The kernel counts in ticks, and sets its timer a little after the question left. */
#define SD_EXPIRY_MARGIN_NS (50 * NSEC_PER_MSEC)

int sd_differ(struct sockdiff *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool sd_seen_backend(const struct sockdiff *d, const struct l4_tuple *t, const struct sock_answer *a,
		     struct sim_backend *ret);
int sd_same_client(struct sockdiff *d, const struct sock_answer *a, const struct ip_addr *addr, uint16_t port,
		   bool any_port);
int sd_same_sender(struct sockdiff *d, const struct sd_flow *f, const struct sock_answer *a);
struct sd_memory *sd_find_memory(struct sockdiff *d, const struct sd_flow *f, const struct service *svc);
int sd_note_memory(struct sockdiff *d, const struct sd_flow *f, const struct sim_result *res, uint64_t took_ns);
int sd_tell_second_node(struct sockdiff *d, const struct sd_flow *f, const struct sock_answer *a);
int sd_tally(struct sockdiff *d, const struct l4_tuple *t, bool led);

/* sockled.c. Around a socket call that may pass a hook of bpf-sock. */
int sd_call_begin(struct sockdiff *d, struct sd_flow *f, bool sending);
int sd_call_end(struct sockdiff *d, struct sd_flow *f);
/* It chose, and nothing came of it: the socket could not use the backend. With affinity the client is remembered all the same. */
int sd_tell_unused(struct sockdiff *d, struct sd_flow *f);
/* The answer, where bpf-sock decided. `calls`: this question passed a hook that decides. *ret: as sim has it. */
int sd_compare_led(struct sockdiff *d, struct sd_flow *f, const struct sock_answer *a, bool calls,
		   struct sim_result *ret);
int sd_compare_refused(struct sockdiff *d, struct sd_flow *f, const struct sock_answer *a, struct sim_result *ret);

#endif
