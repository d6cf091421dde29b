/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The handle of target bpf-sock on one node, and what the files of its acting half offer each other.
 *
 * What is in force is what the node's cgroup has attached: links, pinned in BPF_ROOT/<cgroup id>-v<ABI>/, hold the programs, and the programs their maps. Maps are found
 * through the programs; their own pins are for bpftool and people.
 */
#ifndef OFFKUBE_BPF_SOCK_H
#define OFFKUBE_BPF_SOCK_H

#include "base/vec.h"
#include "program.h"

#define BPF_FS "/sys/fs/bpf"
#define BPF_ROOT BPF_FS "/offkube"
#define SOCK_DIR_SIZE 96
#define SOCK_BATCH 4096 /* elements in one bpf(2) call */

/* The maps of prog/maps.h: tables first, with the numbers of enum table_id. */
enum sock_map {
	MAP_CLIENTS = TABLE_MAX,
	MAP_CONNECTIONS,
	MAP_AFFINITY, /* up to here: made by need */
	MAP_METRICS,
	MAP_PEER,
	MAP_PEERS,
	MAP_MAX,
};
extern const char *const sock_map_name[MAP_MAX];

enum sock_hook {
	HOOK_CONNECT4,
	HOOK_CONNECT6,
	HOOK_SENDMSG4,
	HOOK_SENDMSG6,
	HOOK_RECVMSG4,
	HOOK_RECVMSG6,
	HOOK_GETPEERNAME4,
	HOOK_GETPEERNAME6,
	HOOK_MAX,
};
extern const char *const sock_hook_name[HOOK_MAX];

struct sock {
	char *node;
	int cgroup_fd, netns_fd; /* own duplicates; netns_fd -1 = the caller's own */
	uint64_t cgroup_id;
	char dir[SOCK_DIR_SIZE]; /* of the pins */
	int (*pod_netns)(void *arg, const struct pod *p); /* as target_env */
	void *pod_netns_arg;
	bool loaded; /* map_fd and link_fd are those in force */
	int map_fd[MAP_MAX], link_fd[HOOK_MAX]; /* -1 = none */
	uint32_t prog_id[2]; /* in force when the maps were taken; kernel_is_current() */
	uint32_t max_entries[MAP_MAX];
	size_t n_entries[TABLE_MAX]; /* that a delta counts on */
	struct snapshot *snapshot; /* in force; NULL before the first apply */
	bool clients_missing; /* a pod had no namespace yet: look again */
	struct pinned_bpf *pinned; /* the iterator; NULL until it is needed */
};

/* ---- kernel.c: programs, links, maps ---- */

/* Finds what is attached. Nothing there, or not whole: h->loaded is false, which is no error. */
int kernel_adopt(struct sock *h, struct err *e);
/* Are the maps of `h` still those in force? Another process may have exchanged or removed them. Under the lock. */
bool kernel_is_current(const struct sock *h);
void kernel_forget(struct sock *h); /* closes what adopt or load opened; all stays in force */
struct kernel_new; /* loaded, not yet in force */
void kernel_new_free(struct kernel_new *n);
DEFINE_CLEANUP(struct kernel_new *, kernel_new_free);
/* Loads the programs. Maps with room for `want` entries each are taken over from what is in force, else made anew, half as large again (affinity: just as large). */
int kernel_load(const struct sock *h, const size_t want[static MAP_MAX], bool host_only, uint64_t node_cookie,
		struct kernel_new **ret, struct err *e);
int kernel_new_map(const struct kernel_new *n, int map); /* fd */
bool kernel_new_is_kept(const struct kernel_new *n, int map); /* taken over */
/* Puts it in force, hook by hook, and pins. */
int kernel_attach(struct sock *h, struct kernel_new *n, struct err *e);
/* Detaches and unpins all. Absent is success. */
int kernel_remove(struct sock *h, struct err *e);
/* Can the programs be loaded here? -errno of the kernel's refusal. */
int kernel_try_load(struct err *e);
/* Pins of nodes whose cgroup is gone. */
void kernel_sweep(void);
/* One process at a time changes pins: fd to close, or -errno. Mounts bpffs and makes BPF_ROOT when they are missing. */
int kernel_lock(struct err *e);
int kernel_is_attached(const struct sock *h, enum sock_hook *ret_missing); /* 1, 0 (*ret_missing says which), -errno */

/* ---- map.c: elements in bulk ---- */

int map_write(int fd, enum table_id t, const struct entries *l, const uint32_t *which, size_t n);
int map_delete(int fd, enum table_id t, const struct entries *l, const uint32_t *which, size_t n); /* absent is fine */
/* All elements, sorted. Not for maps that packets write. */
int map_read(int fd, enum table_id t, struct entries *ret);
/* Sums of a per-CPU element. -ENOENT. */
int map_sum(int fd, const void *key, uint64_t *ret);
/* Calls fn with each key until it returns non-zero, and returns that. */
int map_each_key(int fd, size_t key_size, int (*fn)(const void *key, void *arg), void *arg);
/* Counts of Service ports: what came gets an element, what went loses it. */
int map_sync_connections(int fd, const struct entries *add, const uint32_t *which, size_t n);
int map_drop_connections(int fd, const struct entries *del, const uint32_t *which, size_t n);

/* ---- clients.c: who lives in which network namespace ---- */

int clients_sync(struct sock *h, const struct target_program *p, int map_fd, struct err *e);
int clients_node_cookie(const struct sock *h, uint64_t *ret, struct err *e);
/* Namespace with this cookie, of a pod or of the node itself: CLOEXEC fd, or -ENOENT. */
int clients_open_netns(const struct sock *h, const struct snapshot *s, uint64_t cookie);

/* ---- affinity.c: the memory of clients ---- */

int memory_forget_gone(const struct sock *h, const struct target_program *p, uint64_t *n_removed, struct err *e);

/* ---- pinned.c: connected UDP sockets whose backend went (SEMANTICS 1.6) ---- */

int pinned_destroy_stale(struct sock *h, const struct target_program *p, uint64_t *ret_n, struct err *e);
void pinned_close(struct sock *h);
int pinned_try_load(void); /* -errno of the kernel's refusal */

/* The members of target_ops. */
int bpf_sock_probe(const struct target_env *env, struct target_probe *ret, struct err *e);
int bpf_sock_open(const struct target_env *env, void **ret_handle, struct err *e);
void bpf_sock_close(void *handle);
int bpf_sock_apply(void *handle, const struct target_program *p, struct target_stats *stats, struct err *e);
int bpf_sock_verify(void *handle, const struct target_program *full, struct err *e);
int bpf_sock_remove(void *handle, struct err *e);
int bpf_sock_dump(void *handle, FILE *f, struct err *e);
int bpf_sock_counters(void *handle, int (*fn)(const struct target_counter *c, void *arg), void *arg, struct err *e);

#endif
