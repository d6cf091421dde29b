/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The maps that target bpf-sock has pinned for a node, looked at from outside. */
#ifndef OFFKUBE_TESTS_BPF_PINS_H
#define OFFKUBE_TESTS_BPF_PINS_H

#include <stddef.h>
#include <stdint.h>

#include "model/vocab.h"
#include "net/pkt.h"

#define BPF_PINS_DIR_SIZE 96

/* The folder of the pins of the node with this cgroup. */
int bpf_pins_dir(int cgroup_fd, char dir[static BPF_PINS_DIR_SIZE]);
/* fd of a pinned map or link, or -errno. */
int bpf_pins_open(int cgroup_fd, const char *name);
/* The counters of reasons, summed over CPUs. */
int bpf_metrics_read(int metrics_fd, uint64_t ret[static REASON_MAX]);
/* Whom bpf-sock remembers of this client for the Service port that t asks; -ENOENT. */
int bpf_affinity_read(int cgroup_fd, const struct l4_tuple *t, const struct ip_addr *client, struct ip_addr *ret,
		      uint16_t *ret_port);

#endif
