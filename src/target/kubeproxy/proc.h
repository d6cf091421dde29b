/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process by its pid and the time of its start, and what /proc says of it. */
#ifndef OFFKUBE_TARGET_KUBEPROXY_PROC_H
#define OFFKUBE_TARGET_KUBEPROXY_PROC_H

#include <stdint.h>
#include <sys/types.h>

struct proc_use {
	uint64_t rss_bytes, peak_rss_bytes;
	uint64_t cpu_ns; /* its own, and that of its children that it has waited for (the nft programs) */
};

/* Clock ticks after boot; 0 = there is no such process. */
uint64_t proc_start(pid_t pid);
/* -ESRCH when it is gone. */
int proc_use_read(pid_t pid, uint64_t start, struct proc_use *ret);
/* SIGKILL, and waits until it is gone; another process with that pid is left alone. 0, -ETIMEDOUT. */
int proc_end(pid_t pid, uint64_t start, int timeout_ms);
/*
 * The same for all processes of a group, also those that outlived its leader: the process `id` that started at `start`. As long as the group has members nobody
 * else gets that id; who they are is told by the leader, or, when it is gone, by PROC_GROUP_ENV in the environment of one of them. A group of
 * other processes with that id is left alone.
 */
#define PROC_GROUP_ENV "OFFKUBE_GROUP" /* =ID.START, for all but the leader */
int proc_end_group(pid_t id, uint64_t start, int timeout_ms);

#endif
