/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /proc/sys inside a network namespace. Names with slashes: "net/ipv4/ip_forward". */
#ifndef OFFKUBE_NET_SYSCTL_H
#define OFFKUBE_NET_SYSCTL_H

#include "base/err.h"

#include <stddef.h>

/* Trailing newline cut. -ENOENT when this kernel lacks it. */
int sysctl_read(int netns_fd, const char *name, char *buf, size_t buf_size, struct err *e);
int sysctl_write(int netns_fd, const char *name, const char *value, struct err *e);

#endif
