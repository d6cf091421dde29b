/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the rtnetlink files share. */
#ifndef OFFKUBE_NET_RTNL_IMPL_H
#define OFFKUBE_NET_RTNL_IMPL_H

#include <stdint.h>

#include "net/rtnl.h"

#define RTNL_MSG_SIZE 1024 /* the largest request here, a veth pair, has under 300 bytes */

/* A zeroed message with its header in a buffer declared by RTNL_BUF. */
struct nlmsghdr *rtnl_begin(char buf[static RTNL_MSG_SIZE], uint16_t type, uint16_t flags);
/* nl_request without replies; err gets `what` as its place. The codes fine and fine_too (0 = none) count as success. */
int rtnl_talk(struct nl *nl, struct nlmsghdr *nlh, const char *what, int fine, int fine_too, struct err *e);

#define RTNL_BUF(name) _Alignas(struct nlmsghdr) char name[RTNL_MSG_SIZE]

#endif
