/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The runner of targets that decide on socket calls (target_ops.at_sockets): each first packet of a connection becomes the call that makes it, connect() by a real
 * socket, under the real programs. Called by `offkube trace`.
 *
 * A cgroup and an unnamed network namespace of our own are the node; a pod that asks gets an unnamed namespace with its addresses, in which all routes lead to
 * the loopback device, so nothing ever leaves. Where the socket was led to is read by sock_diag, which no program of a cgroup can colour; why, from the target's
 * counters.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/util.h"
#include "base/vec.h"
#include "net/cgroup.h"
#include "net/netns.h"
#include "net/rtnl.h"
#include "trace/trace.h"

#define CGROUPS_MAX 99 /* of one pid: the names of labs are short */

/* A namespace that a pod of the node, or the node itself (ns, name ""), asks from. */
struct place {
	char *ns, *name;
	int netns_fd;
};

struct call {
	struct trace_runner runner;
	const struct target_ops *ops;
	struct snapshot *snapshot;
	char *node_name, *cgroup; /* the cgroup is ours: NULL until it is made */
	int cgroup_fd;
	void *handle;
	struct target_probe probe;
	VEC(struct place) places; /* the first is the node */
	uint64_t count[REASON_MAX]; /* as read last */
};

/* ---- places ---- */

static int add_address(struct nl *nl, const struct ip_addr *a, struct err *e)
{
	struct ip_prefix p = { .addr = *a, .len = (uint8_t)(8 * ip_addr_size(a)) };
	struct rtnl_link lo;
	struct rtnl_route route = { .protocol = RTPROT_OFFKUBE };
	int r = ip_addr_is_set(a) ? rtnl_addr_add(nl, "lo", &p, e) : 1;

	if (r)
		return r < 0 ? r : 0;
	r = rtnl_link_get(nl, "lo", &lo, e);
	if (r < 0)
		return r;
	route.dst.addr.fam = a->fam; /* 0/0 */
	route.ifindex = lo.ifindex;
	route.src = *a;
	return rtnl_route_replace(nl, &route, e);
}

static int place_new(const char *ns, const char *name, const struct ip_addr addr[static IP_FAMILY_MAX],
		     struct place *ret, struct err *e)
{
	struct place p = { .ns = strdup(ns), .name = strdup(name), .netns_fd = -1 };
	struct nl *nl = NULL;
	int r = p.ns && p.name ? netns_create_anonymous(&p.netns_fd, e) : -ENOMEM;

	if (r == 0)
		r = nl_open(p.netns_fd, NETLINK_ROUTE, &nl, e);
	for (int fam = 0; fam < IP_FAMILY_MAX && r == 0; fam++)
		r = add_address(nl, &addr[fam], e);
	nl_close(nl);
	if (r < 0) {
		cleanup_fd(&p.netns_fd);
		free(p.ns);
		free(p.name);
		return r;
	}
	*ret = p;
	return 0;
}

static int add_place(struct call *c, const char *ns, const char *name, const struct ip_addr addr[static IP_FAMILY_MAX],
		     struct err *e)
{
	struct place p;
	int r = place_new(ns, name, addr, &p, e);

	return r < 0 ? r : vec_push(&c->places, p);
}

static const struct place *find_place(const struct call *c, const char *ns, const char *name)
{
	for (size_t i = 0; i < c->places.n; i++)
		if (str_eq(c->places.v[i].ns, ns) && str_eq(c->places.v[i].name, name))
			return &c->places.v[i];
	return NULL;
}

struct add_pods {
	struct call *c;
	struct err *e;
};

static int add_pod(const struct pod *p, void *arg)
{
	struct add_pods *a = arg;

	if (p->host_network || !str_eq(p->node, a->c->node_name) || find_place(a->c, p->ns, p->name))
		return 0;
	return add_place(a->c, p->ns, p->name, p->addr, a->e);
}

static int pod_netns(void *arg, const struct pod *p)
{
	const struct place *place = find_place(arg, p->ns, p->name);
	int fd = place ? fcntl(place->netns_fd, F_DUPFD_CLOEXEC, 0) : -1;

	return place ? (fd < 0 ? -errno : fd) : -ENOENT;
}

/* The namespace that has this address; NULL: nobody of this node. */
static const struct place *place_of(const struct call *c, const struct ip_addr *a)
{
	const struct pod *p = snapshot_pod_by_ip(c->snapshot, a);
	const struct node *node = snapshot_node(c->snapshot, c->node_name);

	if (p)
		return find_place(c, p->ns, p->name);
	return ip_addr_eq(a, &node->addr[ip_addr_family(a)]) ? &c->places.v[0] : NULL;
}

/* ---- the call ---- */

struct led {
	uint16_t sport; /* host order */
	bool found;
	struct ip_addr addr;
	uint16_t port;
};

static int on_socket(const struct nlmsghdr *nlh, void *arg)
{
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(nlh);
	struct led *led = arg;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*m) || ntohs(m->id.idiag_sport) != led->sport)
		return MNL_CB_OK;
	led->found = true;
	led->port = ntohs(m->id.idiag_dport);
	led->addr = (struct ip_addr){ .fam = m->idiag_family };
	memcpy(led->addr.bytes, m->id.idiag_dst, ip_addr_size(&led->addr));
	return MNL_CB_OK;
}

static int find_led(int netns_fd, const struct l4_tuple *t, struct led *ret, struct err *e)
{
	char buf[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *req;
	struct nl *nl = NULL;
	int r = nl_open(netns_fd, NETLINK_SOCK_DIAG, &nl, e);

	if (r < 0)
		return r;
	nlh->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nlh->nlmsg_seq = nl_seq(nl);
	req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));
	req->sdiag_family = t->dst.fam;
	req->sdiag_protocol = t->proto;
	req->idiag_states = UINT32_MAX;
	ret->sport = t->sport;
	r = nl_dump(nl, nlh, on_socket, ret, NULL, e);
	nl_close(nl);
	return r;
}

/* 0: the call was made and ret says where it led; 1: refused. */
static int make_call(const struct call *c, const struct place *from, const struct l4_tuple *t, struct led *ret,
		     struct err *e)
{
	int type = (t->proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK;
	CLEANUP_FD int fd = cgroup_socket(c->cgroup_fd, from->netns_fd, t->dst.fam, type, 0);
	struct sockaddr_storage ss;
	socklen_t size = ip_addr_to_sockaddr(&t->src, t->sport, &ss);
	int r;

	if (fd < 0)
		return err_set_errno(e, fd, NULL, "cannot make a socket");
	if (bind(fd, (struct sockaddr *)&ss, size) < 0)
		return err_set_errno(e, -errno, NULL, "cannot bind the client's address and port");
	size = ip_addr_to_sockaddr(&t->dst, t->dport, &ss);
	r = connect(fd, (struct sockaddr *)&ss, size) < 0 ? -errno : 0;
	if (r == -ECONNREFUSED)
		return 1;
	if (r < 0 && r != -EINPROGRESS)
		return err_set_errno(e, r, NULL, "connect() failed");
	r = find_led(from->netns_fd, t, ret, e);
	if (r == 0 && !ret->found)
		r = err_set(e, -ENOENT, NULL, "the socket that was connected cannot be found");
	return r;
}

/* ---- why ---- */

static int read_count(const struct target_counter *tc, void *arg)
{
	uint64_t *count = arg;
	int reason = tc->object[0] ? -1 : reason_parse(tc->name);

	if (reason >= 0)
		count[reason] = tc->value;
	return 0;
}

/* The reason that was counted since. */
static int find_reason(struct call *c, enum reason *ret, struct err *e)
{
	uint64_t now[REASON_MAX] = {};
	int r = c->ops->counters(c->handle, read_count, now, e);

	if (r < 0)
		return r;
	*ret = REASON_NOT_SERVICE;
	for (int i = 0; i < REASON_MAX; i++)
		if (now[i] != c->count[i])
			*ret = i;
	memcpy(c->count, now, sizeof(now));
	return 0;
}

static void conclude(const struct call *c, const struct l4_tuple *t, const struct led *led, struct trace_result *ret)
{
	const struct service *svc = snapshot_service_by_ip(c->snapshot, &t->dst);

	ret->verdict = reason_verdict(ret->reason);
	if (svc) {
		ret->service = svc;
		ret->port = service_find_port(svc, t->proto, t->dport);
	}
	if (ret->verdict == VERDICT_REJECT) {
		ret->reject_errno = ECONNREFUSED;
		return;
	}
	ret->has_out = true;
	ret->out = *t;
	if (ret->verdict != VERDICT_TRANSLATE)
		return;
	ret->out.dst = led->addr;
	ret->out.dport = led->port;
	ret->has_backend = true;
	ret->backend = (struct trace_backend){ led->addr, led->port };
}

/* Only what begins a connection of this node, by a protocol that sockets connect with, is a call. */
static bool is_call(const struct pkt *p)
{
	if (p->t.proto == IPPROTO_UDP)
		return true;
	return p->t.proto == IPPROTO_TCP && (p->tcp_flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == TCP_FLAG_SYN;
}

static int call_run(struct trace_runner *runner, const struct trace_packet *p, struct trace_result *ret, struct err *e)
{
	struct call *c = container_of(runner, struct call, runner);
	const struct place *from = NULL;
	struct led led = {};
	struct pkt in;
	int r = pkt_parse(p->buf, p->size, &in);

	if (r < 0 && r != -EPROTONOSUPPORT)
		return err_set(e, r, NULL, "no socket makes such a packet");
	if (p->origin != TRACE_FROM_OUTSIDE)
		from = place_of(c, &in.t.src);
	ret->reason = from ? REASON_NOT_NEW : REASON_LEFT_CLIENT;
	if (from && is_call(&in)) {
		r = make_call(c, from, &in.t, &led, e);
		if (r >= 0)
			r = find_reason(c, &ret->reason, e);
		if (r < 0)
			return r;
	}
	conclude(c, &in.t, &led, ret);
	return 0;
}

/* ---- life ---- */

static int install(struct call *c, const struct snapshot *from, const struct snapshot *to, struct err *e)
{
	const struct target_input in = {
		.from = from, .to = to, .node = c->node_name, .probe = &c->probe, .with_services = true
	};
	struct target_program *program = NULL;
	struct target_stats stats = {};
	int r = c->ops->compile(&in, &program, e);

	if (r < 0)
		return r;
	r = c->ops->apply(c->handle, program, &stats, e);
	c->ops->program_free(program);
	return r;
}

static int call_update(struct trace_runner *runner, const struct snapshot *s, struct err *e)
{
	struct call *c = container_of(runner, struct call, runner);
	struct add_pods a = { c, e };
	int r;

	if (!snapshot_node(s, c->node_name))
		return err_set(e, -ENOENT, c->node_name, "the new model has no such node");
	r = snapshot_each_pod(s, add_pod, &a);
	if (r == 0)
		r = install(c, c->snapshot, s, e);
	if (r < 0)
		return r;
	snapshot_unref(c->snapshot);
	c->snapshot = snapshot_ref(s);
	return 0;
}

static void call_close(struct trace_runner *runner)
{
	struct call *c = container_of(runner, struct call, runner);

	if (c->handle) {
		(void)c->ops->remove(c->handle, NULL); /* what stays is swept with the cgroup */
		c->ops->close(c->handle);
	}
	for (size_t i = 0; i < c->places.n; i++) {
		(void)close(c->places.v[i].netns_fd);
		free(c->places.v[i].ns);
		free(c->places.v[i].name);
	}
	vec_free(&c->places);
	cleanup_fd(&c->cgroup_fd);
	if (c->cgroup)
		(void)rmdir(c->cgroup); /* `offkube cleanup` finds it */
	free(c->cgroup);
	free(c->node_name);
	snapshot_unref(c->snapshot);
	free(c);
}

static const struct trace_runner_ops call_ops = { .run = call_run, .update = call_update, .close = call_close };

/* A name may be taken: by another trace of this process, by one of another pid namespace, or by what a dead one left. */
static int make_cgroup_named(const char *root, char **ret, struct err *e)
{
	for (int i = 0;; i++) {
		CLEANUP_FREE char *path = i ? str_printf("%s/offkube.trace-%d-%d", root, (int)getpid(), i) :
					      str_printf("%s/offkube.trace-%d", root, (int)getpid());

		if (!path)
			return -ENOMEM;
		if (mkdir(path, 0755) == 0) {
			*ret = TAKE_PTR(path);
			return 0;
		}
		if (errno != EEXIST || i == CGROUPS_MAX)
			return err_set_errno(e, -errno, path, "cannot make the cgroup");
	}
}

/* Named as a lab is, so that what a killed trace leaves is found by `offkube cleanup`. */
static int make_cgroup(struct call *c, struct err *e)
{
	CLEANUP_FREE char *root = NULL;
	int r = cgroup2_mount(&root);

	if (r < 0)
		return err_set(e, -EOPNOTSUPP, NULL, "cgroup v2 is not mounted");
	r = make_cgroup_named(root, &c->cgroup, e);
	if (r < 0)
		return r;
	c->cgroup_fd = open(c->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return c->cgroup_fd < 0 ? err_set_errno(e, -errno, c->cgroup, "cannot open the cgroup") : 0;
}

static int make_node(struct call *c, struct err *e)
{
	const struct node *node = snapshot_node(c->snapshot, c->node_name);
	struct add_pods a = { c, e };
	int r = add_place(c, "", "", node->addr, e);

	return r < 0 ? r : snapshot_each_pod(c->snapshot, add_pod, &a);
}

static int attach(struct call *c, enum refusal *ret_why, struct err *e)
{
	const struct target_env env = {
		.node = c->node_name,
		.netns_fd = c->places.v[0].netns_fd,
		.cgroup_fd = c->cgroup_fd,
		.clock = &clock_monotonic,
		.pod_netns = pod_netns,
		.pod_netns_arg = c,
	};
	int r = c->ops->probe(&env, &c->probe, e);

	if (r < 0)
		return r;
	if (!c->probe.usable) {
		if (ret_why)
			*ret_why = c->probe.why;
		return err_set(e, -EOPNOTSUPP, c->ops->name, "%s: %s", refusal_text(c->probe.why), c->probe.detail);
	}
	r = c->ops->open(&env, &c->handle, e);
	return r < 0 ? r : install(c, NULL, c->snapshot, e);
}

int trace_call_open(const struct target_ops *ops, const struct snapshot *s, const char *node, struct trace_runner **ret,
		    enum refusal *ret_why, struct err *e)
{
	struct call *c;
	int r;

	if (!snapshot_node(s, node))
		return err_set(e, -ENOENT, node, "no such node in the model");
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->runner.ops = &call_ops;
	c->runner.target = ops->name;
	c->ops = ops;
	c->cgroup_fd = -1;
	c->snapshot = snapshot_ref(s);
	c->node_name = strdup(node);
	r = c->node_name ? make_cgroup(c, e) : -ENOMEM;
	if (r == 0)
		r = make_node(c, e);
	if (r == 0)
		r = attach(c, ret_why, e);
	if (r < 0) {
		call_close(&c->runner);
		return r;
	}
	*ret = &c->runner;
	return 0;
}
