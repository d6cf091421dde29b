/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network namespaces. Named ones are bind mounts in /run/netns, as iproute2 makes them, so that "ip netns" sees
 * them.
 */
#ifndef OFFKUBE_NET_NETNS_H
#define OFFKUBE_NET_NETNS_H

#include "base/err.h"

#include <stddef.h>

#define NETNS_DIR "/run/netns"
#define NETNS_NAME_MAX 64

/* -EEXIST when the name is taken; -EPERM without CAP_SYS_ADMIN. Brings lo up inside. The caller stays where it is. */
int netns_create(const char *name, struct err *e);
/* An unnamed one that lives as long as an fd or process holds it. CLOEXEC fd. */
int netns_create_anonymous(int *ret_fd, struct err *e);
/* Absent is success. Processes inside keep it alive unseen: the caller ends them first. */
int netns_delete(const char *name, struct err *e);
/* CLOEXEC fd; -ENOENT. */
int netns_open(const char *name, int *ret_fd, struct err *e);
/* The caller's own. */
int netns_open_self(int *ret_fd);

/* The calling thread enters netns_fd; *ret_old_fd gets where it was, to go back with netns_leave. netns_fd -1
 * means "stay" (then *ret_old_fd = -1 and leave does nothing). Going back cannot fail short of a bug: netns_leave
 * aborts then. */
int netns_enter(int netns_fd, int *ret_old_fd);
void netns_leave(int old_fd);
/* socket(2) made inside netns_fd; CLOEXEC is added. fd or -errno. */
int netns_socket(int netns_fd, int domain, int type, int protocol);
/* Names in /run/netns that begin with `prefix`, sorted; caller frees each and the array. */
int netns_list(const char *prefix, char ***ret_names, size_t *ret_n);

#endif
