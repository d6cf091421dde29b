/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What leaves a client: a packet socket in its network namespace. */
#ifndef OFFKUBE_TESTS_DIFF_SOCKTAP_H
#define OFFKUBE_TESTS_DIFF_SOCKTAP_H

#include <stddef.h>

#include "net/pkt.h"

int socktap_open(int netns_fd); /* fd or -errno */
/* Reads all that was seen since the last call; how many packets of exactly this tuple left. */
size_t socktap_count(int fd, const struct l4_tuple *t);

#endif
