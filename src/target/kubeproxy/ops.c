/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Target "kube-proxy": the real one, in nftables mode, on the node's network namespace. This file is its entry: the handle, apply() and remove().
 *
 * apply() shows kube-proxy the objects and returns when the kernel has what they say. The first apply starts it: it writes nothing before it has
 * seen all objects, and then all of one family in one transaction, in which it makes its base chains anew. So a new handle of a base chain says that
 * everything is in force. Later applies look at the Services that change.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "kubeproxy.h"
#include "proc.h"

#define WAIT_BASE_MS 60000
#define WAIT_PER_ENDPOINT_US 2000 /* 250,000 endpoints: 500 s */
#define LOOK_MS 200 /* when the log says nothing */
#define QUIET_MAX 3
#define END_MS 5000

struct run {
	struct kp *h;
	const struct target_program *p;
	struct target_stats *stats;
	struct err *e;
	uint64_t begin_ns, limit_ns;
	struct kp_status status;
	unsigned int n_quiet; /* looks without news, one after the other */
	bool zone_told; /* again */
};

DEFINE_CLEANUP(struct target_program *, kp_program_free);

/* ---- open, close ---- */

static void forget(struct kp *h)
{
	kp_process_stop(h->process);
	h->process = NULL;
	snapshot_unref(h->snapshot);
	h->snapshot = NULL;
	free(h->cluster_cidr);
	h->cluster_cidr = NULL;
}

static void kp_close(void *handle)
{
	struct kp *h = handle;

	if (!h)
		return;
	forget(h);
	nl_close(h->nl);
	if (h->netns_fd >= 0)
		(void)close(h->netns_fd);
	free(h->node);
	free(h);
}

static int kp_open(const struct target_env *env, void **ret_handle, struct err *e)
{
	struct kp *h = calloc(1, sizeof(*h));
	int r = h ? 0 : -ENOMEM;

	if (r == 0) {
		h->netns_fd = env->netns_fd < 0 ? -1 : fcntl(env->netns_fd, F_DUPFD_CLOEXEC, 0);
		if (env->netns_fd >= 0 && h->netns_fd < 0)
			r = -errno;
	}
	if (r == 0) {
		h->node = strdup(env->node ? env->node : "");
		r = h->node ? nl_open(env->netns_fd, NETLINK_NETFILTER, &h->nl, e) : -ENOMEM;
	}
	if (r < 0) {
		kp_close(h);
		return err_set_errno(e, r, NULL, "cannot open target kube-proxy"); /* keeps a text that is there */
	}
	*ret_handle = h;
	return 0;
}

/* ---- waiting ---- */

static int ended(const struct run *r)
{
	return err_set(r->e, -EPIPE, "kube-proxy", "it has ended: %s", r->status.words);
}

/*
 * kube-proxy may miss the zone of its node at its start: it hears of the node before it has put the listener there (NewNodeTopologyConfig, then
 * RegisterEventHandler). A zone that changes is heard.
 */
static int tell_zone_again(struct run *r)
{
	const struct node *node = snapshot_node(r->p->to, r->p->node);

	if (!node || !node->zone || r->zone_told)
		return 0;
	r->zone_told = true;
	return kp_feed_zone_again(r->h, node, r->e);
}

/* Until there is news, or LOOK_MS. `what` is what is waited for. */
static int wait_news(struct run *r, const struct err *what)
{
	int ret = kp_process_wait(r->h->process, LOOK_MS, &r->status, r->e);

	if (ret < 0)
		return ret;
	if (r->status.ended)
		return ended(r);
	r->n_quiet = ret ? 0 : r->n_quiet + 1;
	if (r->n_quiet == QUIET_MAX) {
		ret = tell_zone_again(r);
		if (ret < 0)
			return ret;
	}
	if (clock_now_ns(&clock_monotonic) < r->begin_ns + r->limit_ns)
		return 0;
	(void)kp_process_ask(r->h->process, &r->status, NULL); /* for its words */
	return err_set(r->e, -ETIMEDOUT, "kube-proxy", "it has not done it in %llu s: %s%s%s; its log: %s",
		       (unsigned long long)(r->limit_ns / NSEC_PER_SEC), what->path, what->path[0] ? ": " : "",
		       what->text, r->status.words);
}

static bool is_idle(const struct kp_status *s)
{
	for (int fam = 0; fam < IP_FAMILY_MAX; fam++)
		if (s->n_begun[fam] != s->n_done[fam])
			return false;
	return true;
}

/* What it has begun is done: also the removal of connection entries, which comes after the transaction. */
static int wait_idle(struct run *r)
{
	const struct err what = { .text = "it goes on writing" };
	int ret;

	for (;;) {
		ret = kp_process_ask(r->h->process, &r->status, r->e);
		if (ret < 0)
			return ret;
		if (r->status.ended)
			return ended(r);
		if (is_idle(&r->status))
			return 0;
		ret = wait_news(r, &what);
		if (ret < 0)
			return ret;
	}
}

/* ---- what changed is in force ---- */

struct topology_check {
	struct nl *nl;
	const struct node *node;
	struct err *e;
};

static int check_topology(const struct service *svc, void *arg)
{
	const struct topology_check *c = arg;

	return svc->features & (1u << SERVICE_FEATURE_TOPOLOGY) && kp_carries(svc) ?
		       kp_service_in_force(c->nl, svc, c->node, c->e) :
		       0;
}

static int check_change(const struct run *r, const struct kp_change *c, struct err *e)
{
	const struct node *node = snapshot_node(r->p->to, r->p->node);
	const struct service *from, *to;
	int ret = 0;

	if (c->kind == API_NODE) {
		struct topology_check tc = { r->h->nl, node, e };

		return r->p->with_services ? snapshot_each_service(r->p->to, check_topology, &tc) : 0;
	}
	to = snapshot_service(r->p->to, c->svc->ns, c->svc->name);
	from = r->p->from ? snapshot_service(r->p->from, c->svc->ns, c->svc->name) : NULL;
	if (c->kind == API_SERVICE && from && kp_carries(from))
		ret = kp_service_gone(r->h->nl, from, r->p->to, e);
	if (ret == 0 && to && kp_carries(to))
		ret = kp_service_in_force(r->h->nl, to, node, e);
	return ret;
}

/* Several changes about one Service are looked at once: they stand side by side. */
static bool same_matter(const struct kp_change *a, const struct kp_change *b)
{
	return a->kind == API_SLICE && b->kind == API_SLICE && str_eq(a->svc->ns, b->svc->ns) &&
	       str_eq(a->svc->name, b->svc->name);
}

static int wait_changes(struct run *r)
{
	for (size_t i = 0; i < r->p->changes.n;) {
		const struct kp_change *c = &r->p->changes.v[i];
		struct err what = {};
		int ret = i && same_matter(c, c - 1) ? 0 : check_change(r, c, &what);

		if (ret == 0) {
			i++;
			continue;
		}
		if (ret != -ESTALE)
			return err_set(r->e, ret, what.path, "%s", what.text);
		ret = wait_news(r, &what);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static bool has_udp(const struct service *svc)
{
	for (size_t i = 0; i < svc->n_ports; i++)
		if (svc->ports[i].proto == IPPROTO_UDP)
			return true;
	return false;
}

static bool touches_udp(const struct target_program *p)
{
	for (size_t i = 0; i < p->changes.n; i++)
		if (p->changes.v[i].svc && has_udp(p->changes.v[i].svc))
			return true;
	return false;
}

/*
 * In a cluster the slices of a Service come after it, as the slice controller makes them. When kube-proxy hears of them first it removes no
 * connection entries of UDP ports. So new Services with UDP ports are told alone. Returns the first change that is a slice.
 */
static int tell_udp_services(struct run *r, size_t *ret_told)
{
	const struct target_program *p = r->p;
	size_t n = 0, n_udp = 0;
	int ret;

	*ret_told = 0;
	for (; n < p->changes.n && p->changes.v[n].kind != API_SLICE; n++)
		n_udp += p->changes.v[n].kind == API_SERVICE && !p->changes.v[n].removed &&
			 has_udp(p->changes.v[n].svc);
	if (!n_udp)
		return 0;
	ret = kp_feed(r->h, p, 0, n, r->stats, r->e);
	for (size_t i = 0; ret == 0 && i < n;) {
		const struct kp_change *c = &p->changes.v[i];
		struct err what = {};

		if (c->kind == API_SERVICE && !c->removed && has_udp(c->svc))
			ret = kp_service_known(r->h->nl, c->svc, &what);
		if (ret == 0)
			i++;
		else
			ret = ret == -ESTALE ? wait_news(r, &what) : err_set(r->e, ret, what.path, "%s", what.text);
	}
	*ret_told = n;
	return ret;
}

/* ---- starting ---- */

static int read_epochs(struct run *r, uint64_t ret[IP_FAMILY_MAX])
{
	for (enum ip_family fam = IP_V4; fam < IP_FAMILY_MAX; fam++) {
		int ret_fam = kp_kernel_epoch(r->h->nl, fam, &ret[fam], r->e);

		if (ret_fam < 0)
			return ret_fam;
	}
	return 0;
}

static int wait_started(struct run *r, const uint64_t before[IP_FAMILY_MAX])
{
	const struct err what = { .text = "it has not written its tables" };
	bool with_v6 = kp_ipv6_enabled(r->h->netns_fd);

	for (;;) {
		uint64_t now[IP_FAMILY_MAX];
		int ret = read_epochs(r, now);

		if (ret < 0)
			return ret;
		if (now[IP_V4] && now[IP_V4] != before[IP_V4] &&
		    (!with_v6 || (now[IP_V6] && now[IP_V6] != before[IP_V6])))
			return wait_idle(r);
		if (r->status.n_failed && is_idle(&r->status)) /* it does not repeat the first */
			return err_set(r->e, -EIO, "kube-proxy", "it cannot write its tables: %s", r->status.words);
		ret = wait_news(r, &what);
		if (ret < 0)
			return ret;
	}
}

/* Processes that another run left, or that another of our processes runs here: we take over. An nft of theirs would write after us. */
static int end_others(struct kp *h, struct err *e)
{
	struct kp_mark m = {};
	int r = kp_mark_read(h->nl, &m, e);

	if (r <= 0)
		return r;
	r = proc_end_group(m.server, m.server_start, KP_GROUP_END_MS);
	if (r == 0)
		r = proc_end(m.server, m.server_start, END_MS);
	if (r == 0)
		r = proc_end(m.proxy, m.proxy_start, END_MS);
	return r < 0 ? err_set(e, r, "kube-proxy", "the one that runs here does not end") : 1;
}

/* Tables of that name without our mark are somebody else's kube-proxy. */
static int claim(struct run *r)
{
	int ret = end_others(r->h, r->e);

	if (ret != 0)
		return ret < 0 ? ret : 0;
	for (enum ip_family fam = IP_V4; fam < IP_FAMILY_MAX; fam++) {
		ret = kp_table_exists(r->h->nl, fam, KP_TABLE, r->e);
		if (ret < 0)
			return ret;
		if (ret > 0)
			return err_set(r->e, -EEXIST, "table " KP_TABLE,
				       "a kube-proxy that is not ours runs on this node, or has left its tables");
	}
	return 0;
}

static int write_mark(struct run *r)
{
	pid_t server = kp_process_pid(r->h->process);
	const struct kp_mark m = { .server = server,
				   .server_start = proc_start(server),
				   .proxy = r->status.proxy,
				   .proxy_start = r->status.proxy ? proc_start(r->status.proxy) : 0 };

	return kp_mark_write(r->h->nl, &m, r->e);
}

static int start(struct run *r)
{
	CLEANUP_FREE char *program = NULL;
	uint64_t epochs[IP_FAMILY_MAX];
	struct kp_process_conf conf = { .netns_fd = r->h->netns_fd,
					.node = r->h->node,
					.cluster_cidr = r->p->cluster_cidr };
	int ret = kp_find_program(&program, r->e);

	if (ret == 0)
		ret = claim(r);
	if (ret == 0)
		ret = read_epochs(r, epochs);
	if (ret < 0)
		return ret;
	conf.program = program;
	ret = kp_process_start(&conf, &r->h->process, r->e);
	if (ret == 0)
		ret = write_mark(r);
	if (ret == 0)
		ret = kp_feed(r->h, r->p, 0, r->p->changes.n, r->stats, r->e);
	if (ret == 0)
		ret = kp_process_run(r->h->process, r->e);
	if (ret == 0)
		ret = kp_process_ask(r->h->process, &r->status, r->e);
	if (ret == 0)
		ret = write_mark(r);
	if (ret == 0)
		ret = wait_started(r, epochs);
	return ret;
}

/* The node's zone comes to kube-proxy on a way of its own, so Services with hints are looked at. */
static int run_full(struct run *r)
{
	const struct node *node = snapshot_node(r->p->to, r->p->node);
	int ret = start(r);

	while (ret == 0 && r->p->with_services) {
		struct err what = {};
		struct topology_check tc = { r->h->nl, node, &what };

		ret = snapshot_each_service(r->p->to, check_topology, &tc);
		if (ret == 0)
			break;
		ret = ret == -ESTALE ? wait_news(r, &what) : err_set(r->e, ret, what.path, "%s", what.text);
	}
	if (ret == 0)
		ret = wait_idle(r);
	return ret;
}

static int run_delta(struct run *r)
{
	size_t told;
	int ret = tell_udp_services(r, &told);

	if (ret == 0)
		ret = kp_feed(r->h, r->p, told, r->p->changes.n, r->stats, r->e);
	if (ret == 0)
		ret = wait_changes(r);
	if (ret == 0 && touches_udp(r->p))
		ret = wait_idle(r);
	return ret;
}

/* ---- apply ---- */

static int compile_from(const struct kp *h, const struct snapshot *from, const struct target_program *p,
			struct target_program **ret, struct err *e)
{
	const struct target_input in = { .from = from, .to = p->to, .node = h->node, .with_services = p->with_services };

	return kp_compile(&in, ret, e);
}

/* Can the kube-proxy that runs here be led from what it has to the program? */
static bool can_go_on(struct kp *h, const struct target_program *p)
{
	struct kp_status status = {};

	return h->process && h->snapshot && str_eq(h->cluster_cidr, p->cluster_cidr) &&
	       kp_process_ask(h->process, &status, NULL) == 0 && !status.ended;
}

static uint32_t syncs(const struct kp_status *s)
{
	return s->n_done[IP_V4] + s->n_done[IP_V6];
}

static int set_in_force(struct kp *h, const struct target_program *p)
{
	char *cidr = strdup(p->cluster_cidr);

	if (!cidr)
		return -ENOMEM;
	free(h->cluster_cidr);
	h->cluster_cidr = cidr;
	snapshot_unref(h->snapshot);
	h->snapshot = snapshot_ref(p->to);
	return 0;
}

/*
 * Leads the kube-proxy that runs here from what it has to p->to, whatever the program began with. -EAGAIN: a new one must be started, as it does not
 * know what the kernel has (somebody else wrote).
 */
static int go_on(struct run *r, const struct target_program *p)
{
	CLEANUP(kp_program_freep) struct target_program *own = NULL;
	uint32_t before;
	int ret = compile_from(r->h, r->h->snapshot, p, &own, r->e);

	if (ret == 0)
		ret = kp_process_ask(r->h->process, &r->status, r->e);
	if (ret < 0)
		return ret;
	before = syncs(&r->status);
	r->p = own;
	ret = run_delta(r);
	r->p = p;
	r->stats->n_transactions = syncs(&r->status) - before;
	if (ret == 0 && !p->from && kp_verify(r->h, p, NULL) < 0)
		ret = -EAGAIN;
	return ret;
}

static int begin(struct run *r, const struct target_program *p)
{
	CLEANUP(kp_program_freep) struct target_program *full = NULL;
	int ret = p->from ? compile_from(r->h, NULL, p, &full, r->e) : 0;

	forget(r->h);
	r->p = full ? full : p;
	if (ret == 0)
		ret = run_full(r);
	r->p = p;
	r->stats->n_transactions = syncs(&r->status);
	return ret;
}

static int kp_apply(void *handle, const struct target_program *p, struct target_stats *stats, struct err *e)
{
	struct target_stats ignored = {};
	struct err inner = {};
	struct kp *h = handle;
	struct run r = { .h = h, .p = p, .stats = stats ? stats : &ignored, .e = &inner };
	int ret = -EAGAIN;

	*r.stats = (struct target_stats){};
	r.begin_ns = clock_now_ns(&clock_monotonic);
	r.limit_ns = WAIT_BASE_MS * NSEC_PER_MSEC + snapshot_n_endpoints(p->to) * WAIT_PER_ENDPOINT_US * NSEC_PER_USEC;
	if (!str_eq(p->node, h->node))
		return err_set(e, -EINVAL, p->node, "the program is for another node than %s", h->node);
	if (can_go_on(h, p))
		ret = go_on(&r, p);
	if (ret == -EAGAIN) {
		inner = (struct err){};
		ret = begin(&r, p);
	}
	if (ret == 0)
		ret = set_in_force(h, p);
	if (ret == 0)
		return 0;
	forget(h); /* the next apply starts it anew */
	if (inner.code)
		return err_set(e, ret, inner.path, "%s", inner.text);
	return err_set_errno(e, ret, h->node, "cannot apply the Services");
}

static int kp_remove(void *handle, struct err *e)
{
	struct kp *h = handle;
	int r;

	forget(h);
	r = end_others(h, e);
	return r <= 0 ? r : kp_kernel_remove(h->nl, e); /* without our mark nothing is ours */
}

const struct target_ops target_kube_proxy = {
	.name = "kube-proxy",
	.text = "Kubernetes' own proxy, nftables mode: the peer that we are measured against",
	.functions = 1u << FUNC_SERVICE_LB | 1u << FUNC_MASQUERADE,
	.complete = true,
	.probe = kp_probe,
	.check = kp_check,
	.compile = kp_compile,
	.program_free = kp_program_free,
	.program_print = kp_program_print,
	.open = kp_open,
	.close = kp_close,
	.apply = kp_apply,
	.verify = kp_verify,
	.remove = kp_remove,
	.version = kp_version,
	.dump = kp_dump,
	.counters = kp_counters,
};
