/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connected UDP sockets whose backend serves no longer (SEMANTICS 1.6): what conntrack's reconciler does for packets. The sockets are found by an iterator over
 * the storage that the programs wrote, so only those that we led somewhere are seen, and ended one by one by their cookie (SOCK_DESTROY): the
 * application gets ECONNABORTED and connects anew. Unconnected sockets need none of it: their next datagram chooses again.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "net/netns.h"
#include "net/nl.h"
#include "pinned.skel.h"
#include "sock.h"

struct pinned_list {
	VEC(struct bpf_pinned) v;
};

void pinned_close(struct sock *h)
{
	pinned_bpf__destroy(h->pinned);
	h->pinned = NULL;
}

static int read_all(int fd, struct pinned_list *l)
{
	struct bpf_pinned buf[64];

	for (;;) {
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		if ((size_t)n % sizeof(*buf))
			return -EBADMSG; /* the kernel hands out whole elements */
		for (size_t i = 0; i < (size_t)n / sizeof(*buf); i++) {
			int r = vec_push(&l->v, buf[i]);

			if (r < 0)
				return r;
		}
	}
}

int pinned_try_load(void)
{
	struct pinned_bpf *p = pinned_bpf__open_and_load();
	int r = p ? 0 : -errno;

	pinned_bpf__destroy(p);
	return r;
}

/* Loading costs more than all the rest of a change: the program is kept with the handle. */
static int list_pinned(struct sock *h, struct pinned_list *l)
{
	union bpf_iter_link_info info = { .map.map_fd = (uint32_t)h->map_fd[MAP_PEER] };
	DECLARE_LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));
	struct bpf_link *link;
	int r;

	if (!h->pinned)
		h->pinned = pinned_bpf__open_and_load();
	if (!h->pinned)
		return -errno;
	link = bpf_program__attach_iter(h->pinned->progs.list_pinned, &opts);
	if (!link)
		return -errno;
	r = bpf_iter_create(bpf_link__fd(link));
	if (r >= 0) {
		CLEANUP_FD int fd = r;

		r = read_all(fd, l);
	}
	(void)bpf_link__destroy(link); /* an iterator's link holds nothing in force */
	return r;
}

/* Its Service port is gone, or its backend serves it no longer. */
static bool is_stale(const struct target_program *p, const struct bpf_pinned *s)
{
	const struct service_port *port = bpf_sock_program_port(p, &s->peer.vip);
	struct ip_addr addr = bpf_addr_to_ip(&s->peer.backend.addr);

	return !port || !service_port_serves(port, &addr, __builtin_bswap16(s->peer.backend.port));
}

static int destroy(int netns_fd, const struct bpf_pinned *s, struct err *e)
{
	char buf[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *req;
	struct nl *nl = NULL;
	struct ip_addr peer = bpf_addr_to_ip(&s->peer.backend.addr);
	int r = nl_open(netns_fd, NETLINK_SOCK_DIAG, &nl, e);

	if (r < 0)
		return r;
	nlh->nlmsg_type = SOCK_DESTROY;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nlh->nlmsg_seq = nl_seq(nl);
	req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));
	req->sdiag_family = (uint8_t)s->family;
	req->sdiag_protocol = IPPROTO_UDP;
	req->idiag_states = UINT32_MAX;
	req->id.idiag_sport = s->local_port;
	req->id.idiag_dport = s->peer.backend.port;
	req->id.idiag_if = s->ifindex;
	if (s->family == AF_INET) {
		req->id.idiag_src[0] = s->local.word[3];
		memcpy(req->id.idiag_dst, peer.bytes, 4);
	} else {
		memcpy(req->id.idiag_src, s->local.word, sizeof(req->id.idiag_src));
		memcpy(req->id.idiag_dst, s->peer.backend.addr.word, sizeof(req->id.idiag_dst));
	}
	req->id.idiag_cookie[0] = (uint32_t)s->cookie;
	req->id.idiag_cookie[1] = (uint32_t)(s->cookie >> 32);
	r = nl_request(nl, nlh, NULL, NULL, e);
	nl_close(nl);
	return r;
}

static int destroy_one(const struct sock *h, const struct target_program *p, const struct bpf_pinned *s,
		       uint64_t *ret_n, struct err *e)
{
	CLEANUP_FD int fd = clients_open_netns(h, p->to, s->netns_cookie);
	struct err why = {};
	int r;

	if (fd < 0)
		return 0; /* the pod is leaving, and its sockets with it */
	r = destroy(fd, s, &why);
	if (r == -ENOENT)
		return 0; /* closed, or connected elsewhere, meanwhile */
	if (r == -EOPNOTSUPP)
		return 0; /* CONFIG_INET_DIAG_DESTROY is not set: the README says what that means */
	if (r < 0)
		return err_set(e, r, "SOCK_DESTROY", "%s", why.text);
	++*ret_n;
	return 0;
}

int pinned_destroy_stale(struct sock *h, const struct target_program *p, uint64_t *ret_n, struct err *e)
{
	struct pinned_list l = {};
	int r = list_pinned(h, &l);

	if (r < 0)
		r = err_set_errno(e, r, NULL, "cannot list UDP sockets");
	for (size_t i = 0; i < l.v.n && r == 0; i++)
		if (is_stale(p, &l.v.v[i]))
			r = destroy_one(h, p, &l.v.v[i], ret_n, e);
	vec_free(&l.v);
	return r;
}
