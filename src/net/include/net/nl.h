/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A netlink socket inside a given network namespace, over libmnl. Every room that speaks netlink (rtnetlink,
 * nf_tables, ctnetlink) uses this one: requests are acknowledged, dumps are restarted on NLM_F_DUMP_INTR, buffers
 * are sized for batches.
 */
#ifndef OFFKUBE_NET_NL_H
#define OFFKUBE_NET_NL_H

#include <libmnl/libmnl.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct nl;

/* protocol: NETLINK_ROUTE or NETLINK_NETFILTER. netns_fd -1 = the caller's own. */
int nl_open(int netns_fd, int protocol, struct nl **ret, struct err *e);
void nl_close(struct nl *nl); /* NULL is fine */

/* Fresh sequence number. */
uint32_t nl_seq(struct nl *nl);

/* Sends one request built by the caller in `buf` (NLM_F_ACK is added), waits for the acknowledgement. Returns 0 or
 * the kernel's -errno; the extended-ack text, if any, is put in err. Replies before the ack go to cb (may be
 * NULL). */
int nl_request(struct nl *nl, struct nlmsghdr *nlh, mnl_cb_t cb, void *arg, struct err *e);
/*
 * Dump request (NLM_F_DUMP is added). `restart` (may be NULL) is called before a dump is begun again after
 * NLM_F_DUMP_INTR.
 */
int nl_dump(struct nl *nl, struct nlmsghdr *nlh, mnl_cb_t cb, void *arg, void (*restart)(void *arg), struct err *e);
/* Sends a finished nfnetlink batch (begin .. end). Collects the answers of all messages: 0, or the first -errno
 * with the sequence number of the refused message in *ret_bad_seq (may be NULL). Nothing of a refused batch is in
 * force. */
int nl_batch(struct nl *nl, const void *batch, size_t size, uint32_t last_seq, uint32_t *ret_bad_seq, struct err *e);

/* Attributes by type: v[type] for types up to `max` (v has max + 1 places, NULL before), unknown ones are passed over. -EBADMSG when they do
 * not fit their frame. The first takes a message's attributes behind a header of hdr_size bytes, the second those of a nest (NULL: -EBADMSG). */
int nl_attrs(const struct nlmsghdr *nlh, size_t hdr_size, const struct nlattr **v, uint16_t max);
int nl_attrs_nested(const struct nlattr *nest, const struct nlattr **v, uint16_t max);

#endif
