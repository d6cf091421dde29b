/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to lab: the state file, the handle, and who offers which step.
 *
 * Invariants that make lab_clean() complete, whenever the owner is killed:
 *	1. The state file is there before anything else of the lab, and goes last. It is made and deleted under the
 *	   lock, so that who holds the lock and sees a folder without a state file sees what a killed process left.
 *	2. Namespaces ("okl.<lab>.") and cgroups ("offkube.<lab>") carry the lab's name, so they are found without
 *	   the state file too.
 *	3. A server dies with its parent (PR_SET_PDEATHSIG) until its pid stands in the state file; only then the
 *	   server of a kept lab is let go.
 */
#ifndef OFFKUBE_LAB_INTERNAL_H
#define OFFKUBE_LAB_INTERNAL_H

#include "base/cleanup.h"
#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"
#include "lab/lab.h"
#include "lab/responder.h"

#define LAB_NETNS_PREFIX "okl."
#define LAB_CGROUP_PREFIX "offkube."
#define LAB_UPLINK "eth0"
#define LAB_BRIDGE "br0"

/* ---- state.c ---- */

struct lab_proc {
	pid_t pid; /* 0 = none */
	uint64_t start; /* clock ticks since boot, /proc/<pid>/stat: a pid alone may be another process by now */
};

struct lab_server {
	struct lab_proc proc;
	char *pod; /* "ns/name" */
	VEC(struct responder_port) ports;
};

struct lab_pod {
	char *key; /* "ns/name" */
	char *node;
	uint32_t slot; /* namespace okl.<lab>.pod.<slot>; unused with host_network */
	bool host_network;
	int netns_fd; /* -1 with host_network */
	VEC(struct responder_port) want; /* what it has to serve; servers.c */
};

struct lab_node {
	char *name;
	uint32_t index;
	struct ip_addr addr[IP_FAMILY_MAX];
	int netns_fd, cgroup_fd;
};

struct lab_client {
	struct ip_addr addr[IP_FAMILY_MAX];
	int netns_fd;
};

/* A program of others; never in the state file: it dies with its lab's owner, and lab_clean finds it by its namespace. */
struct lab_running {
	struct lab_proc proc;
	char *name; /* "nginx in ns/pod" */
	int out_fd; /* what it printed; a file in memory that does not grow */
	uint16_t tcp_ports[4];
	uint64_t netns; /* inode of the pod's */
};

struct lab_note {
	char *key, *value;
};

struct lab {
	char name[LAB_NAME_MAX + 1];
	bool keep;
	struct lab_proc owner; /* pid 0: kept and complete */
	uint64_t server_cpus;
	char *cgroup; /* folder of the lab in cgroup v2; NULL = none */
	/* Range of the clients' addresses and the ToR's; addr.fam 0 = the cluster has not this family. */
	struct ip_prefix outside[IP_FAMILY_MAX];
	VEC(struct lab_node) nodes;
	VEC(struct lab_client) clients;
	VEC(struct lab_pod *) pods;
	VEC(struct lab_server) servers;
	VEC(struct lab_note) notes;
	bool stale_boot; /* the file was written before the last boot: nothing of it is left */

	/* Not in the state file. */
	struct map *by_key; /* "ns/name" -> struct lab_pod, not owned */
	struct snapshot *snapshot;
	VEC(struct lab_running) programs;
	char *bare_ns; /* as lab_conf; NULL = none */
	bool serving; /* lab_start_servers was called */
	bool claimed; /* the state file is ours to delete */
	const volatile int *stop; /* as lab_conf; NULL = never */
};

static inline bool lab_stopped(const struct lab *lab)
{
	return lab->stop && *lab->stop;
}

int lab_name_check(const char *name, struct err *e);
int lab_new(const char *name, struct lab **ret);
/* Frees memory and fds; nothing is taken down. */
DEFINE_CLEANUP(struct lab *, lab_free);
struct lab_node *lab_find_node(const struct lab *lab, const char *name); /* NULL */
struct lab_pod *lab_find_pod(const struct lab *lab, const char *ns, const char *name); /* NULL */
int lab_add_pod(struct lab *lab, struct lab_pod *pod); /* takes it */
void lab_pod_free(struct lab_pod *pod);

/* One process of all works on the set of labs at a time: fd to close, or -errno. */
int lab_lock(struct err *e);
int lab_state_write(const struct lab *lab, struct err *e);
/* -ENOENT; -EINVAL when it cannot be understood. */
int lab_state_read(const char *name, struct lab **ret, struct err *e);
/* The folder of a lab, which may not be there. */
void lab_state_dir(const char *name, char *buf, size_t size);
/* The folder of a lab, whatever is in it. Absent is success. */
int lab_state_delete(const char *name, struct err *e);

struct lab_proc lab_proc_self(void);
/* Start time of a process; 0 = no such process. */
uint64_t lab_proc_start(pid_t pid);
bool lab_proc_alive(const struct lab_proc *p);
/*
 * Ends it by SIGKILL; `wait`: returns when it is gone. A pid that is another process by now is left alone. Absent
 * is success.
 */
int lab_proc_kill(const struct lab_proc *p, bool wait, struct err *e);

/* ---- cgroup.c ---- */

/* The lab's and the nodes' folders. Without cgroup v2: success, fds stay -1. */
int lab_cgroup_make(struct lab *lab, struct err *e);
/* Ends what runs in the folder and below, and removes it. Absent is success. */
int lab_cgroup_delete(const char *path, struct err *e);
/* Names of the folders of labs below the root, without the prefix; caller frees each and the array. */
int lab_cgroup_list(const char *root, char ***ret, size_t *ret_n);

/* ---- fabric.c ---- */

/*
 * Addresses of clients; pure. lab->outside decides if it is set, else a range that the snapshot does not use is
 * taken.
 */
int lab_fabric_plan(struct lab *lab, struct err *e);
int lab_fabric_up(struct lab *lab, struct err *e); /* ToR, nodes, clients */
int lab_fabric_pod(struct lab *lab, struct lab_pod *pod, struct err *e); /* an empty namespace */
void lab_netns_node(const struct lab *lab, const struct lab_node *n, char *buf, size_t size);
void lab_netns_pod(const struct lab *lab, const struct lab_pod *p, char *buf, size_t size);
void lab_netns_client(const struct lab *lab, size_t i, char *buf, size_t size);
/*
 * Ends the processes inside the namespaces whose names begin with `prefix` (exact: that are called so), then
 * deletes those, and what targets keep about them (NETNS_STATE_DIR in fabric.c). Goes on after a failure.
 */
int lab_fabric_delete(const char *prefix, bool exact, struct err *e);

/* ---- servers.c ---- */

/* Starts what is missing: per pod, the ports that nobody of it serves yet. Returns when all listen. */
int lab_servers_start(struct lab *lab, struct err *e);
/* Ends the servers of one pod (NULL = of all) and forgets them. */
int lab_servers_stop(struct lab *lab, const char *pod, struct err *e);
/* A fresh child: into the pod's network namespace, its node's cgroup, the servers' CPUs. */
int lab_child_place(const struct lab *lab, const struct lab_pod *pod);
/* A fresh child: a session of its own, no signal handlers of ours, SIGPIPE ignored if so wished; death with `parent`, or at once if that is gone. */
void lab_child_detach(pid_t parent, bool ignore_pipe);

/* ---- programs.c ---- */

/* Ends them all; returns when they are gone. */
int lab_programs_stop(struct lab *lab, struct err *e);
void lab_running_free(struct lab_running *p); /* what it holds */

#endif
