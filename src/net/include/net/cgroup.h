/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cgroup v2, as far as networking needs it: a socket belongs to the cgroup of the process that makes it, for ever. */
#ifndef OFFKUBE_NET_CGROUP_H
#define OFFKUBE_NET_CGROUP_H

/* Where cgroup v2 is mounted; owned by the caller. -ENOENT when nowhere. */
int cgroup2_mount(char **ret);

/* Moves the calling process there; its sockets of before stay where they were. fd < 0: stays. 0 or -errno. */
int cgroup_enter(int cgroup_fd);

/* socket(2) inside netns_fd, as if a process of the cgroup had made it; CLOEXEC is added. The caller stays where it is: a child is born into the cgroup
 * (clone3, CLONE_INTO_CGROUP) and shares its files with us. cgroup_fd -1: the caller's own cgroup. netns_fd as netns_socket. fd or -errno. */
int cgroup_socket(int cgroup_fd, int netns_fd, int domain, int type, int protocol);

#endif
