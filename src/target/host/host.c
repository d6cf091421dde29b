/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Target "host": pod wiring and routes between nodes, by rtnetlink. It carries the function pod-routing and no
 * Services. This file: the members of target_ops, and the order of one run. compile.c thinks, wire.c does one pod,
 * sysctl.c the sysctls, kernel.c reads back.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "host.h"
#include "net/netns.h"

/* ---- probe ---- */

/* Tries a veth pair in a namespace of its own, which vanishes with the fd. */
static int host_probe(const struct target_env *env, struct target_probe *ret, struct err *e)
{
	CLEANUP_FD int ns = -1, ns2 = -1;
	struct target_probe p = {};
	struct err inner = {};
	struct nl *nl = NULL;
	uint64_t cookie;
	int r;

	(void)env; /* what the kernel can do is the same in every namespace */
	r = netns_create_anonymous(&ns, &inner);
	if (!r)
		r = netns_create_anonymous(&ns2, &inner);
	if (!r)
		r = nl_open(ns, NETLINK_ROUTE, &nl, &inner);
	if (!r)
		r = rtnl_veth_add(nl, "okprobe", NULL, HOST_POD_IFNAME, NULL, ns2, 0, &inner);
	nl_close(nl);
	if (r == -ENOMEM || r == -ENFILE || r == -EMFILE)
		return err_set_errno(e, r, "host", "cannot probe");
	if (r == -EPERM || r == -EACCES) {
		p.why = REFUSAL_NO_PRIVILEGE;
		(void)snprintf(p.detail, sizeof(p.detail),
			       "network namespaces and links need CAP_SYS_ADMIN and CAP_NET_ADMIN");
	} else if (r < 0) {
		p.why = REFUSAL_KERNEL_FEATURE;
		(void)snprintf(p.detail, sizeof(p.detail), "cannot make a veth pair: %.100s",
			       inner.text[0] ? inner.text : strerror(-r));
	}
	if (!r && host_netns_cookie(ns, &cookie) < 0) {
		r = -EOPNOTSUPP;
		p.why = REFUSAL_KERNEL_FEATURE;
		(void)snprintf(p.detail, sizeof(p.detail), "no SO_NETNS_COOKIE (Linux 5.14)");
	}
	p.usable = r == 0;
	*ret = p;
	return 0;
}

/* ---- open, close ---- */

static void host_close(void *handle)
{
	struct host *h = handle;

	if (!h)
		return;
	nl_close(h->nl);
	free(h->node);
	free(h);
}

static int host_open(const struct target_env *env, void **ret, struct err *e)
{
	struct host *h = calloc(1, sizeof(*h));
	int r = -ENOMEM;

	if (!h)
		return r;
	h->env = *env;
	h->node = strdup(env->node ? env->node : "");
	if (h->node)
		r = nl_open(env->netns_fd, NETLINK_ROUTE, &h->nl, e);
	if (!r)
		r = host_netns_cookie(env->netns_fd, &h->cookie);
	if (r < 0) {
		host_close(h);
		return err_set_errno(e, r, env->node, "cannot open the node's network namespace");
	}
	h->env.node = h->node;
	*ret = h;
	return 0;
}

/* ---- the uplink ---- */

struct uplink {
	int ifindex; /* looked for; 0 = by address */
	const struct ip_addr *addr; /* of the node */
	struct rtnl_link found;
};

static int default_route_fn(const struct rtnl_route *r, void *arg)
{
	struct uplink *u = arg;

	if (r->dst.len || !r->ifindex || (r->table && r->table != RT_TABLE_MAIN))
		return 0;
	u->ifindex = r->ifindex;
	return 1;
}

static int addr_fn(int ifindex, const struct ip_prefix *a, void *arg)
{
	struct uplink *u = arg;

	if (!u->ifindex && (ip_addr_eq(&a->addr, &u->addr[IP_V4]) || ip_addr_eq(&a->addr, &u->addr[IP_V6])))
		u->ifindex = ifindex; /* the first: our veths, which carry it too, came later */
	return 0;
}

static int link_fn(const struct rtnl_link *l, void *arg)
{
	struct uplink *u = arg;

	if (l->ifindex != u->ifindex)
		return 0;
	u->found = *l;
	return 1;
}

/* The interface of the default route, else the one with the node's address. None is fine for a node alone. */
static int find_uplink(struct host_run *run)
{
	struct nl *nl = run->h->nl;
	struct uplink u = { .addr = run->p->addr };
	int r = 0;

	if (run->h->env.uplink) {
		r = rtnl_link_get(nl, run->h->env.uplink, &u.found, run->e);
	} else {
		for (int f = 0; r == 0 && f < IP_FAMILY_MAX; f++)
			r = rtnl_route_list(nl, f == IP_V4 ? AF_INET : AF_INET6, 0, default_route_fn, &u, run->e);
		if (r == 0)
			r = rtnl_addr_list(nl, addr_fn, &u, run->e);
		if (r >= 0 && u.ifindex)
			r = rtnl_link_list(nl, link_fn, &u, run->e);
	}
	if (r < 0)
		return r;
	(void)snprintf(run->uplink, sizeof(run->uplink), "%s", u.found.name);
	run->uplink_ifindex = u.found.ifindex;
	run->uplink_mtu = u.found.mtu_bytes;
	return 0;
}

/* ---- one run ---- */

static struct host_kroute node_route(const struct host_run *run, const struct host_route *hr)
{
	struct host_kroute k = { .dst = hr->dst, .via = hr->via, .type = RTN_UNREACHABLE };

	if (ip_addr_is_set(&hr->via)) {
		k.type = RTN_UNICAST;
		k.ifindex = run->uplink_ifindex;
		k.src = run->p->addr[ip_addr_family(&hr->via)];
	}
	return k;
}

static int want_node_routes(struct host_run *run)
{
	for (size_t i = 0; i < run->p->routes.n; i++) {
		const struct host_route *hr = &run->p->routes.v[i];
		struct host_kroute k = node_route(run, hr);
		char object[256];
		int r;

		(void)snprintf(object, sizeof(object), "Node %.200s", hr->node[0] ? hr->node : run->p->node);
		if (k.type == RTN_UNICAST && !k.ifindex)
			return err_set(run->e, -ENETUNREACH, object, "this node has no uplink to reach it by");
		r = host_route_want(run, &k, object);
		if (r < 0) {
			err_prefix_path(run->e, object);
			return r;
		}
	}
	return 0;
}

static int drop_route(struct host_run *run, const struct host_kroute *k)
{
	int r = host_kroute_del(run->h->nl, k, run->e);

	run->stats->n_removed += !r;
	return r;
}

static int drop_gone_routes(struct host_run *run)
{
	for (size_t i = 0; i < run->p->gone_routes.n; i++) {
		const struct host_route *hr = &run->p->gone_routes.v[i];

		for (size_t k = 0; k < run->st.routes.n; k++) {
			const struct host_kroute *old = &run->st.routes.v[k];
			int r;

			if (memcmp(&old->dst, &hr->dst, sizeof(old->dst)) != 0 || !ip_addr_eq(&old->via, &hr->via))
				continue;
			r = drop_route(run, old);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

void host_forget_routes(struct host_run *run, int ifindex)
{
	for (size_t i = 0; i < run->st.routes.n; i++)
		if (run->st.routes.v[i].ifindex == ifindex)
			run->st.routes.v[i].used = true;
}

/* What of ours the full program does not know. */
static int sweep(struct host_run *run)
{
	int r = 0;

	for (size_t i = 0; !r && i < run->st.links.n; i++) {
		const struct host_klink *k = &run->st.links.v[i];

		if (k->used)
			continue;
		r = host_differs(run, k->l.name, "the link is left over");
		if (!r)
			r = rtnl_link_del(run->h->nl, k->l.name, run->e);
		host_forget_routes(run, k->l.ifindex);
		run->stats->n_removed += !r;
	}
	for (size_t i = 0; !r && i < run->st.routes.n; i++) {
		const struct host_kroute *k = &run->st.routes.v[i];

		if (k->used)
			continue;
		r = host_differs(run, "routes", "a route is left over");
		if (!r)
			r = drop_route(run, k);
	}
	return r;
}

/*
 * Forwarding first; then ways to pods; what goes away goes last, except that a removed pod's address may be a new
 * one's.
 */
static int run_program(struct host_run *run)
{
	const struct target_program *p = run->p;
	int r = find_uplink(run);

	if (!r)
		r = host_state_read(run->h->nl, true, &run->st, run->e);
	if (!r)
		r = host_sysctl_node(run);
	for (size_t i = 0; !r && i < p->gone_pods.n; i++)
		r = host_pod_unwire(run, &p->gone_pods.v[i]);
	if (!r)
		r = drop_gone_routes(run);
	if (!r)
		r = want_node_routes(run);
	for (size_t i = 0; !r && i < p->pods.n; i++)
		r = host_pod_wire(run, &p->pods.v[i]);
	if (!r && p->full)
		r = sweep(run);
	if (run->n_skipped)
		log_debug("event=host-skipped node=%s pods=%llu", run->h->node, (unsigned long long)run->n_skipped);
	return r;
}

static int host_run(struct host *h, const struct target_program *p, bool dry, struct target_stats *stats, struct err *e)
{
	struct target_stats own = {};
	struct err inner = {};
	struct host_run run = { .h = h, .p = p, .dry = dry, .stats = &own, .e = &inner };
	int r = run_program(&run);

	host_state_free(&run.st);
	own.n_transactions = own.n_added + own.n_removed;
	if (stats)
		*stats = own;
	if (r < 0)
		return inner.code ? err_set(e, r, inner.path, "%s", inner.text) :
				    err_set_errno(e, r, h->node, "pod wiring failed");
	return 0;
}

static int host_apply(void *handle, const struct target_program *p, struct target_stats *stats, struct err *e)
{
	return host_run(handle, p, false, stats, e);
}

static int host_verify(void *handle, const struct target_program *full, struct err *e)
{
	return host_run(handle, full, true, NULL, e);
}

/* ---- remove, dump ---- */

static int host_remove(void *handle, struct err *e)
{
	static const struct target_program nothing = { .full = true, .node = "" };
	struct host *h = handle;
	struct target_stats stats = {};
	struct host_run run = { .h = h, .p = &nothing, .stats = &stats, .e = e };
	int r = host_state_read(h->nl, true, &run.st, e);
	int r2;

	if (!r)
		r = sweep(&run);
	host_state_free(&run.st);
	r2 = host_sysctl_restore(h, e);
	return r < 0 ? r : r2;
}

static void dump_route(const struct host_kroute *k, FILE *f)
{
	char dst[IP_PREFIX_STR_MAX], via[IP_ADDR_STR_MAX];

	if (k->type == RTN_UNREACHABLE)
		fprintf(f, "unreachable %s\n", ip_prefix_format(&k->dst, dst));
	else
		fprintf(f, "route %s via %s dev %d\n", ip_prefix_format(&k->dst, dst), ip_addr_format(&k->via, via),
			k->ifindex);
}

static void dump_link(const struct host_state *st, const struct rtnl_link *l, FILE *f)
{
	char ip[IP_ADDR_STR_MAX];

	fprintf(f, "link %s dev %d %s mtu %d", l->name, l->ifindex, l->up ? "up" : "down", l->mtu_bytes);
	for (size_t i = 0; i < st->neighs.n; i++)
		if (st->neighs.v[i].ifindex == l->ifindex)
			fprintf(f, " pod %s", ip_addr_format(&st->neighs.v[i].addr, ip));
	fputc('\n', f);
}

static int host_dump(void *handle, FILE *f, struct err *e)
{
	struct host *h = handle;
	struct host_state st = {};
	int r = host_state_read(h->nl, true, &st, e);

	for (size_t i = 0; !r && i < st.links.n; i++)
		dump_link(&st, &st.links.v[i].l, f);
	for (size_t i = 0; !r && i < st.routes.n; i++)
		dump_route(&st.routes.v[i], f);
	host_state_free(&st);
	if (!r)
		r = host_sysctl_dump(h, f);
	return r;
}

const struct target_ops target_host = {
	.name = "host",
	.text = "pod interfaces, addresses and routes by rtnetlink",
	.functions = 1u << FUNC_POD_ROUTING,
	.complete = true,
	.probe = host_probe,
	.compile = host_compile,
	.program_free = host_program_free,
	.program_print = host_program_print,
	.open = host_open,
	.close = host_close,
	.apply = host_apply,
	.verify = host_verify,
	.remove = host_remove,
	.dump = host_dump,
};
