/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs, links and maps of one node: finding what is in force, loading, putting in force, taking away. Called by apply.c and ops.c.
 *
 * Order of a change: load (nothing is in force yet) - fill the new maps - update the links hook by hook, each at once - pin the maps. Killed at any point: what is
 * attached is whole, old or new, for each hook, and the next full apply makes all hooks the same again.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/util.h"
#include "net/cgroup.h"
#include "sock.h"
#include "sock.skel.h"

#define MAP_ENTRIES_MIN 1024
#define PROG_MAPS_MAX 32
#define FILEID_KERNFS_NUMBER 0xfe /* linux/exportfs.h: FILEID_KERNFS */
#define BPF_FS_MAGIC_NUMBER 0xcafe4a11 /* linux/magic.h: BPF_FS_MAGIC */
#define PATH_SIZE (SOCK_DIR_SIZE + 32)

const char *const sock_map_name[MAP_MAX] = {
	[TABLE_CLUSTER_IPS] = "cluster_ips",
	[TABLE_SERVICES] = "services",
	[TABLE_BACKENDS] = "backends",
	[TABLE_MEMBERS] = "members",
	[TABLE_HAIRPINS] = "hairpins",
	[TABLE_SLOTS] = "slots",
	[MAP_CLIENTS] = "clients",
	[MAP_CONNECTIONS] = "connections",
	[MAP_AFFINITY] = "affinity",
	[MAP_METRICS] = "metrics",
	[MAP_PEER] = "peer",
	[MAP_PEERS] = "peers",
};

/* Grown by need; the others keep their size for ever, and with it what packets and sockets wrote. */
static bool is_sized(int map)
{
	return map <= MAP_AFFINITY;
}

const char *const sock_hook_name[HOOK_MAX] = {
	[HOOK_CONNECT4] = "connect4",	      [HOOK_CONNECT6] = "connect6",	    [HOOK_SENDMSG4] = "sendmsg4",
	[HOOK_SENDMSG6] = "sendmsg6",	      [HOOK_RECVMSG4] = "recvmsg4",	    [HOOK_RECVMSG6] = "recvmsg6",
	[HOOK_GETPEERNAME4] = "getpeername4", [HOOK_GETPEERNAME6] = "getpeername6",
};
static const enum bpf_attach_type hook_type[HOOK_MAX] = {
	[HOOK_CONNECT4] = BPF_CGROUP_INET4_CONNECT,	    [HOOK_CONNECT6] = BPF_CGROUP_INET6_CONNECT,
	[HOOK_SENDMSG4] = BPF_CGROUP_UDP4_SENDMSG,	    [HOOK_SENDMSG6] = BPF_CGROUP_UDP6_SENDMSG,
	[HOOK_RECVMSG4] = BPF_CGROUP_UDP4_RECVMSG,	    [HOOK_RECVMSG6] = BPF_CGROUP_UDP6_RECVMSG,
	[HOOK_GETPEERNAME4] = BPF_CGROUP_INET4_GETPEERNAME, [HOOK_GETPEERNAME6] = BPF_CGROUP_INET6_GETPEERNAME,
};

static void close_fd(int *fd)
{
	cleanup_fd(fd);
	*fd = -1;
}

static void pin_path(const struct sock *h, const char *name, char path[static PATH_SIZE])
{
	(void)snprintf(path, PATH_SIZE, "%s/%s", h->dir, name);
}

/* ---- what is in force ---- */

void kernel_forget(struct sock *h)
{
	for (int i = 0; i < MAP_MAX; i++)
		close_fd(&h->map_fd[i]);
	for (int i = 0; i < HOOK_MAX; i++)
		close_fd(&h->link_fd[i]);
	h->loaded = false;
}

static int link_info(int link_fd, struct bpf_link_info *ret)
{
	uint32_t size = sizeof(*ret);

	*ret = (struct bpf_link_info){};
	return bpf_obj_get_info_by_fd(link_fd, ret, &size);
}

static int read_map_ids(int prog_fd, uint32_t ids[static PROG_MAPS_MAX], uint32_t *ret_n)
{
	struct bpf_prog_info info = { .nr_map_ids = PROG_MAPS_MAX, .map_ids = (uintptr_t)ids };
	uint32_t size = sizeof(info);
	int r = bpf_obj_get_info_by_fd(prog_fd, &info, &size);

	*ret_n = MIN(info.nr_map_ids, (uint32_t)PROG_MAPS_MAX);
	return r;
}

/* Takes the map if it is one of ours and not there yet. */
static void take_map(struct sock *h, int fd)
{
	struct bpf_map_info info = {};
	uint32_t size = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &size) == 0)
		for (int i = 0; i < MAP_MAX; i++)
			if (str_eq(info.name, sock_map_name[i]) && h->map_fd[i] < 0) {
				h->map_fd[i] = fd;
				h->max_entries[i] = info.max_entries;
				return;
			}
	(void)close(fd); /* .rodata, or opened before */
}

/* Programs that use all maps between them: if these are still attached, our maps are in force. */
static const enum sock_hook telling_hook[2] = { HOOK_CONNECT4, HOOK_SENDMSG4 };

static int note_programs(struct sock *h)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(telling_hook) && r == 0; i++) {
		struct bpf_link_info info;

		r = link_info(h->link_fd[telling_hook[i]], &info);
		h->prog_id[i] = info.prog_id;
	}
	return r;
}

bool kernel_is_current(const struct sock *h)
{
	for (size_t i = 0; i < ARRAY_LEN(telling_hook); i++) {
		struct bpf_link_info info = {};
		char path[PATH_SIZE];
		CLEANUP_FD int fd = -1;

		pin_path(h, sock_hook_name[telling_hook[i]], path);
		fd = bpf_obj_get(path);
		if (fd < 0 || link_info(fd, &info) < 0 || info.prog_id != h->prog_id[i] ||
		    info.cgroup.cgroup_id != h->cgroup_id)
			return false;
	}
	return true;
}

static int adopt_maps(struct sock *h, uint32_t prog_id)
{
	CLEANUP_FD int prog_fd = bpf_prog_get_fd_by_id(prog_id);
	uint32_t ids[PROG_MAPS_MAX], n = 0;
	int r = prog_fd < 0 ? prog_fd : read_map_ids(prog_fd, ids, &n);

	for (uint32_t i = 0; i < n && r == 0; i++) {
		int fd = bpf_map_get_fd_by_id(ids[i]);

		if (fd < 0)
			r = fd;
		else
			take_map(h, fd);
	}
	return r;
}

int kernel_adopt(struct sock *h, struct err *e)
{
	bool whole = true;
	int r = 0;

	kernel_forget(h);
	for (int i = 0; i < HOOK_MAX && r == 0; i++) {
		struct bpf_link_info info;
		char path[PATH_SIZE];

		pin_path(h, sock_hook_name[i], path);
		h->link_fd[i] = bpf_obj_get(path);
		if (h->link_fd[i] < 0) {
			whole = false;
			r = h->link_fd[i] == -ENOENT ? 0 : h->link_fd[i];
			continue;
		}
		r = link_info(h->link_fd[i], &info);
		/* Sends and connects use all maps between them. */
		if (r == 0 && (i == HOOK_CONNECT4 || i == HOOK_SENDMSG4))
			r = adopt_maps(h, info.prog_id);
	}
	if (r < 0) {
		kernel_forget(h);
		return err_set_errno(e, r, h->dir, "cannot read what is attached to the node's cgroup");
	}
	for (int i = 0; i < MAP_MAX; i++)
		whole = whole && h->map_fd[i] >= 0;
	h->loaded = whole;
	r = whole ? note_programs(h) : 0;
	return r < 0 ? err_set_errno(e, r, h->dir, "cannot read what is attached to the node's cgroup") : 0;
}

int kernel_is_attached(const struct sock *h, enum sock_hook *ret_missing)
{
	for (int i = 0; i < HOOK_MAX; i++) {
		struct bpf_link_info info;
		int r = h->link_fd[i] < 0 ? 0 : link_info(h->link_fd[i], &info);

		if (r < 0)
			return r;
		if (h->link_fd[i] < 0 || info.cgroup.cgroup_id != h->cgroup_id) {
			*ret_missing = i;
			return 0;
		}
	}
	return 1;
}

/* ---- loading ---- */

struct kernel_new {
	struct sock_bpf *skel;
	bool kept[MAP_MAX];
};

void kernel_new_free(struct kernel_new *n)
{
	if (!n)
		return;
	sock_bpf__destroy(n->skel);
	free(n);
}

static struct bpf_map *skeleton_map(const struct kernel_new *n, int map)
{
	return bpf_object__find_map_by_name(n->skel->obj, sock_map_name[map]);
}

static struct bpf_program *skeleton_program(const struct kernel_new *n, enum sock_hook hook)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "sock_%s", sock_hook_name[hook]);
	return bpf_object__find_program_by_name(n->skel->obj, name);
}

int kernel_new_map(const struct kernel_new *n, int map)
{
	return bpf_map__fd(skeleton_map(n, map));
}

bool kernel_new_is_kept(const struct kernel_new *n, int map)
{
	return n->kept[map];
}

/* Half as much again as is asked for, so that a cluster that grows slowly does not make us change maps all the time. */
static uint32_t entries_for(int map, size_t want)
{
	return (uint32_t)MAX((size_t)MAP_ENTRIES_MIN, map == MAP_AFFINITY ? want : want + want / 2);
}

/* Tables are changed together or not at all: elements of one lead to elements of another. */
static bool has_room(const struct sock *h, const size_t want[static MAP_MAX])
{
	for (int i = 0; i < MAP_MAX; i++)
		if (is_sized(i) && want[i] > h->max_entries[i])
			return false;
	return true;
}

static int prepare_maps(const struct sock *h, const size_t want[static MAP_MAX], struct kernel_new *n)
{
	bool keep = h->loaded && has_room(h, want);
	int r = 0;

	for (int i = 0; i < MAP_MAX && r == 0; i++) {
		n->kept[i] = h->loaded && (keep || !is_sized(i));
		if (n->kept[i])
			r = bpf_map__reuse_fd(skeleton_map(n, i), h->map_fd[i]);
		else if (is_sized(i))
			r = bpf_map__set_max_entries(skeleton_map(n, i), entries_for(i, want[i]));
	}
	return r;
}

static int print_nothing(enum libbpf_print_level level, const char *fmt, va_list args)
{
	(void)level;
	(void)fmt;
	(void)args;
	return 0;
}

int kernel_load(const struct sock *h, const size_t want[static MAP_MAX], bool host_only, uint64_t node_cookie,
		struct kernel_new **ret, struct err *e)
{
	CLEANUP(kernel_new_freep) struct kernel_new *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return -ENOMEM;
	(void)libbpf_set_print(print_nothing); /* failures come back as errno */
	n->skel = sock_bpf__open();
	if (!n->skel)
		return err_set_errno(e, -errno, NULL, "cannot open the BPF programs");
	n->skel->rodata->host_only = host_only;
	n->skel->rodata->node_netns_cookie = node_cookie;
	r = prepare_maps(h, want, n);
	if (r == 0)
		r = sock_bpf__load(n->skel);
	if (r < 0)
		return err_set_errno(e, r, NULL, "the kernel does not take the BPF programs");
	*ret = TAKE_PTR(n);
	return 0;
}

int kernel_try_load(struct err *e)
{
	CLEANUP(kernel_new_freep) struct kernel_new *n = NULL;
	const struct sock nothing = {};
	size_t want[MAP_MAX] = {};

	return kernel_load(&nothing, want, false, 0, &n, e);
}

/* ---- folders of pins ---- */

static int remove_dir(const char *path)
{
	DIR *d = opendir(path);
	const struct dirent *ent;
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while ((ent = readdir(d)))
		if (ent->d_name[0] != '.' && unlinkat(dirfd(d), ent->d_name, 0) < 0 && errno != ENOENT && r == 0)
			r = -errno;
	(void)closedir(d);
	if (r == 0 && rmdir(path) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

/* "<cgroup id>-v<ABI>" -> the id; false when the name is not ours. */
static bool parse_leaf(const char *leaf, uint64_t *ret_id)
{
	char *end;

	*ret_id = strtoull(leaf, &end, 10);
	return end != leaf && strncmp(end, "-v", 2) == 0;
}

/* Folders of this cgroup that programs of other versions made; `own` too. Programs of two versions must not both be attached for long. */
static int remove_versions(const struct sock *h, bool own)
{
	DIR *d = opendir(BPF_ROOT);
	const struct dirent *ent;
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while ((ent = readdir(d))) {
		char path[SOCK_DIR_SIZE];
		uint64_t id;
		int ri;

		if (!parse_leaf(ent->d_name, &id) || id != h->cgroup_id ||
		    (size_t)snprintf(path, sizeof(path), "%s/%s", BPF_ROOT, ent->d_name) >= sizeof(path) ||
		    (!own && str_eq(path, h->dir)))
			continue;
		ri = remove_dir(path);
		if (r == 0)
			r = ri;
	}
	(void)closedir(d);
	return r;
}

/* ---- putting in force ---- */

static int attach_hook(struct sock *h, const struct kernel_new *n, enum sock_hook hook)
{
	int prog_fd = bpf_program__fd(skeleton_program(n, hook));
	char path[PATH_SIZE];
	int r;

	pin_path(h, sock_hook_name[hook], path);
	if (h->link_fd[hook] >= 0) {
		r = bpf_link_update(h->link_fd[hook], prog_fd, NULL);
		if (r != -ENOLINK)
			return r;
		close_fd(&h->link_fd[hook]); /* somebody detached it by force: anew */
		if (unlink(path) < 0 && errno != ENOENT)
			return -errno;
	}
	h->link_fd[hook] = bpf_link_create(prog_fd, h->cgroup_fd, hook_type[hook], NULL);
	if (h->link_fd[hook] < 0)
		return h->link_fd[hook];
	r = bpf_obj_pin(h->link_fd[hook], path);
	if (r < 0)
		close_fd(&h->link_fd[hook]); /* detaches it */
	return r;
}

static int take_maps(struct sock *h, const struct kernel_new *n)
{
	int r = 0;

	for (int i = 0; i < MAP_MAX && r == 0; i++) {
		struct bpf_map *map = skeleton_map(n, i);
		int fd = fcntl(bpf_map__fd(map), F_DUPFD_CLOEXEC, 0);

		if (fd < 0)
			return -errno;
		close_fd(&h->map_fd[i]);
		h->map_fd[i] = fd;
		h->max_entries[i] = bpf_map__max_entries(map);
	}
	return r;
}

static int pin_maps(const struct sock *h)
{
	int r = 0;

	for (int i = 0; i < MAP_MAX && r == 0; i++) {
		char path[PATH_SIZE];

		pin_path(h, sock_map_name[i], path);
		if (unlink(path) < 0 && errno != ENOENT)
			return -errno;
		r = bpf_obj_pin(h->map_fd[i], path);
	}
	return r;
}

/* Receiving hooks first: whoever is led to a backend must be told the Service's address in the answer. */
static const enum sock_hook attach_order[HOOK_MAX] = {
	HOOK_RECVMSG4, HOOK_RECVMSG6, HOOK_GETPEERNAME4, HOOK_GETPEERNAME6,
	HOOK_CONNECT4, HOOK_CONNECT6, HOOK_SENDMSG4,	 HOOK_SENDMSG6,
};

int kernel_attach(struct sock *h, struct kernel_new *n, struct err *e)
{
	int r = mkdir(h->dir, 0700) < 0 && errno != EEXIST ? -errno : 0;

	for (size_t i = 0; i < HOOK_MAX && r == 0; i++) {
		r = attach_hook(h, n, attach_order[i]);
		if (r < 0)
			return err_set_errno(e, r, sock_hook_name[attach_order[i]],
					     "cannot attach to the node's cgroup");
	}
	if (r == 0)
		r = take_maps(h, n);
	if (r == 0)
		r = pin_maps(h);
	if (r == 0)
		r = note_programs(h);
	if (r == 0)
		r = remove_versions(h, false);
	if (r < 0)
		return err_set_errno(e, r, h->dir, "cannot pin");
	h->loaded = true;
	return 0;
}

/* ---- taking away ---- */

int kernel_remove(struct sock *h, struct err *e)
{
	int r = remove_versions(h, true);

	kernel_forget(h);
	if (rmdir(BPF_ROOT) < 0 && errno != ENOENT && errno != ENOTEMPTY && errno != EBUSY && r == 0)
		r = -errno;
	return r < 0 ? err_set_errno(e, r, h->dir, "cannot remove the pins") : 0;
}

/* Is there no cgroup of this number any more? A handle of cgroupfs is its number. */
static bool is_gone(int mount_fd, uint64_t cgroup_id)
{
	union {
		struct file_handle handle;
		uint8_t bytes[sizeof(struct file_handle) + sizeof(cgroup_id)];
	} u = { .handle = { .handle_bytes = sizeof(cgroup_id), .handle_type = FILEID_KERNFS_NUMBER } };
	int fd;

	memcpy(u.handle.f_handle, &cgroup_id, sizeof(cgroup_id));
	fd = open_by_handle_at(mount_fd, &u.handle, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ESTALE;
	(void)close(fd);
	return false;
}

void kernel_sweep(void)
{
	CLEANUP_FREE char *mount_point = NULL;
	CLEANUP_FD int mount_fd = -1;
	const struct dirent *ent;
	DIR *d;

	if (cgroup2_mount(&mount_point) < 0)
		return;
	mount_fd = open(mount_point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = opendir(BPF_ROOT);
	if (!d)
		return;
	while (mount_fd >= 0 && (ent = readdir(d))) {
		char path[SOCK_DIR_SIZE];
		uint64_t id;

		if (!parse_leaf(ent->d_name, &id) ||
		    (size_t)snprintf(path, sizeof(path), "%s/%s", BPF_ROOT, ent->d_name) >= sizeof(path))
			continue; /* not ours */
		if (is_gone(mount_fd, id))
			(void)remove_dir(path); /* the next sweep tries again */
	}
	(void)closedir(d);
}

static int mount_bpffs(void)
{
	struct statfs fs;

	if (statfs(BPF_FS, &fs) < 0)
		return -errno;
	if ((unsigned long)fs.f_type == BPF_FS_MAGIC_NUMBER)
		return 0;
	return mount("bpf", BPF_FS, "bpf", 0, "mode=0700") < 0 ? -errno : 0;
}

int kernel_lock(struct err *e)
{
	int r = mount_bpffs();
	CLEANUP_FD int fd = -1;
	struct stat st;

	if (r < 0)
		return err_set_errno(e, r, BPF_FS, "cannot mount bpffs");
	/* Whoever removes the last node takes the folder away, perhaps while we wait for it. */
	for (;;) {
		cleanup_fd(&fd);
		fd = -1;
		if (mkdir(BPF_ROOT, 0700) < 0 && errno != EEXIST)
			return err_set_errno(e, -errno, BPF_ROOT, "cannot make the folder");
		fd = open(BPF_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0 || flock(fd, LOCK_EX) < 0 || fstat(fd, &st) < 0)
			return err_set_errno(e, -errno, BPF_ROOT, "cannot lock the folder");
		if (st.st_nlink > 0)
			return TAKE_FD(fd);
	}
}
