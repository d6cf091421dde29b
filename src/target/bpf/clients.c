/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who lives in which network namespace: the cookies of the node's and its pods' namespaces (SO_NETNS_COOKIE), which the programs see at every call. A pod whose
 * namespace is not there yet is looked for again at the next apply; until then what depends on its address is left to the tier below.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "net/netns.h"
#include "sock.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static int cookie_of(int netns_fd, uint64_t *ret)
{
	CLEANUP_FD int fd = netns_socket(netns_fd, AF_UNIX, SOCK_DGRAM, 0);
	socklen_t size = sizeof(*ret);

	if (fd < 0)
		return fd;
	return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, ret, &size) < 0 ? -errno : 0;
}

int clients_node_cookie(const struct sock *h, uint64_t *ret, struct err *e)
{
	int r = cookie_of(h->netns_fd, ret);

	return r < 0 ? err_set_errno(e, r, h->node, "cannot tell the node's network namespace") : 0;
}

struct client {
	uint64_t cookie;
	struct bpf_client value;
};

struct learn {
	struct sock *h;
	const char *node;
	VEC(struct client) v;
	bool missing;
	/* clients_open_netns */
	uint64_t want;
	int found_fd;
};

static int add_client(struct learn *l, uint64_t cookie, const struct ip_addr addr[static IP_FAMILY_MAX])
{
	struct client c = { .cookie = cookie };

	for (int fam = 0; fam < IP_FAMILY_MAX; fam++)
		c.value.addr[fam] = bpf_addr_of(&addr[fam]);
	return vec_push(&l->v, c);
}

static bool is_here(const struct learn *l, const struct pod *p)
{
	return l->h->pod_netns && !p->host_network && str_eq(p->node, l->node);
}

static int learn_pod(const struct pod *p, void *arg)
{
	struct learn *l = arg;
	CLEANUP_FD int fd = -1;
	uint64_t cookie;
	int r;

	if (!is_here(l, p))
		return 0;
	fd = l->h->pod_netns(l->h->pod_netns_arg, p);
	if (fd == -ENOENT) {
		l->missing = true;
		return 0;
	}
	r = fd < 0 ? fd : cookie_of(fd, &cookie);
	return r < 0 ? r : add_client(l, cookie, p->addr);
}

static int learn_all(struct learn *l, const struct target_program *p)
{
	const struct node *node = snapshot_node(p->to, p->node);
	uint64_t cookie;
	int r = cookie_of(l->h->netns_fd, &cookie);

	if (r == 0 && node)
		r = add_client(l, cookie, node->addr);
	return r ? r : snapshot_each_pod(p->to, learn_pod, l);
}

static bool is_wanted(const struct learn *l, uint64_t cookie)
{
	for (size_t i = 0; i < l->v.n; i++)
		if (l->v.v[i].cookie == cookie)
			return true;
	return false;
}

struct gone {
	const struct learn *l;
	VEC(uint64_t) v;
};

static int note_gone(const void *key, void *arg)
{
	struct gone *g = arg;
	uint64_t cookie;

	memcpy(&cookie, key, sizeof(cookie));
	return is_wanted(g->l, cookie) ? 0 : vec_push(&g->v, cookie);
}

static int write_clients(const struct learn *l, int map_fd)
{
	struct gone gone = { .l = l };
	int r;

	/* First those that are gone: the map has room for all that are there, not for both. */
	r = map_each_key(map_fd, sizeof(uint64_t), note_gone, &gone);
	for (size_t i = 0; i < gone.v.n && r == 0; i++)
		r = bpf_map_delete_elem(map_fd, &gone.v.v[i]);
	vec_free(&gone.v);
	for (size_t i = 0; i < l->v.n && r == 0; i++)
		r = bpf_map_update_elem(map_fd, &l->v.v[i].cookie, &l->v.v[i].value, BPF_ANY);
	return r;
}

int clients_sync(struct sock *h, const struct target_program *p, int map_fd, struct err *e)
{
	struct learn l = { .h = h, .node = p->node };
	int r = learn_all(&l, p);

	if (r == 0)
		r = write_clients(&l, map_fd);
	vec_free(&l.v);
	if (r < 0)
		return err_set_errno(e, r, h->node, "cannot tell the network namespaces of its pods");
	h->clients_missing = l.missing;
	return 0;
}

static int match_pod(const struct pod *p, void *arg)
{
	struct learn *l = arg;
	CLEANUP_FD int fd = -1;
	uint64_t cookie;

	if (!is_here(l, p))
		return 0;
	fd = l->h->pod_netns(l->h->pod_netns_arg, p);
	if (fd < 0 || cookie_of(fd, &cookie) < 0 || cookie != l->want)
		return 0;
	l->found_fd = TAKE_FD(fd);
	return 1;
}

int clients_open_netns(const struct sock *h, const struct snapshot *s, uint64_t cookie)
{
	struct learn l = { .h = (struct sock *)h, .node = h->node, .want = cookie, .found_fd = -ENOENT };
	uint64_t own;

	if (cookie_of(h->netns_fd, &own) == 0 && own == cookie) {
		int fd = -1;
		int r = h->netns_fd < 0 ? netns_open_self(&fd) : 0;

		if (h->netns_fd >= 0)
			fd = fcntl(h->netns_fd, F_DUPFD_CLOEXEC, 0);
		return r < 0 ? r : fd < 0 ? -errno : fd;
	}
	(void)snapshot_each_pod(s, match_pod, &l); /* 1 when found */
	return l.found_fd;
}
