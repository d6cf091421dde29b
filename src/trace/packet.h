/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Crafting of packets, shared by the files of this room. */
#ifndef OFFKUBE_TRACE_PACKET_H
#define OFFKUBE_TRACE_PACKET_H

#include "trace/trace.h"

/* A TCP SYN without addresses: TTL 64, IPv4 id 1, window 64240, all numbers 0. */
void packet_fill_defaults(struct pkt *p);
/* pkt_build into ret->buf. -ENOSPC over TRACE_PACKET_SIZE_MAX. */
int packet_build(const struct pkt *p, struct trace_packet *ret);

#endif
