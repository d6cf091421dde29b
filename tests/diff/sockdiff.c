/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets in a lab against sim (sockdiff.h). */
#include "sockdiff_int.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "net/nl.h"
#include "net/rtnl.h"

/* Below those that the kernel gives to sockets which are not bound; the client outside and whoever shares its namespace have a half each. */
#define FIRST_PORT 10000
#define MIDDLE_PORT 21000
#define LAST_PORT 31999

int sd_differ(struct sockdiff *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(d->why, sizeof(d->why), fmt, ap); /* cut, if need be */
	va_end(ap);
	return 1;
}

/* ---- life ---- */

static struct sd_client *add_client(struct sockdiff *d, const char *name, int netns_fd, int cgroup_fd,
				    enum sim_origin origin, unsigned int node)
{
	struct sd_client *c = &d->clients[d->n_clients++];

	*c = (struct sd_client){
		.place = { netns_fd, d->leads[0] ? cgroup_fd : -1 }, .origin = origin, .node = node, .pod = -1
	};
	c->next_port = c->first_port = FIRST_PORT;
	c->last_port = LAST_PORT;
	c->tap_fd = socktap_open(netns_fd);
	(void)snprintf(c->name, sizeof(c->name), "%s", name);
	return c;
}

static void add_pods(struct sockdiff *d, const struct lab *lab)
{
	for (unsigned int i = 0; i < SM_PODS; i++) {
		int cgroup_fd = lab_node_cgroup(lab, sm_node_name(sm_pod_node(i)));
		struct sd_client *c = add_client(d, sm_pod_name(i), lab_pod_netns(lab, "pods", sm_pod_name(i)),
						 cgroup_fd, SIM_FROM_POD, sm_pod_node(i));

		c->pod = (int)i;
		for (int fam = 0; fam < IP_FAMILY_MAX; fam++)
			if (sm_pod_has(i, fam))
				c->addr[fam] = c->identity[fam] = sm_pod_addr(i, fam);
	}
}

static struct sd_client *add_node(struct sockdiff *d, const struct lab *lab, const char *name, unsigned int node)
{
	struct sd_client *c = add_client(d, name, lab_node_netns(lab, sm_node_name(node)),
					 lab_node_cgroup(lab, sm_node_name(node)), SIM_FROM_NODE, node);

	for (int fam = 0; fam < IP_FAMILY_MAX; fam++)
		c->addr[fam] = c->identity[fam] = sm_node_addr(node, fam);
	return c;
}

/* The client outside comes in by the lab's first node. */
static struct sd_client *add_outside(struct sockdiff *d, const struct lab *lab, const char *name, int cgroup_fd)
{
	struct sd_client *c = add_client(d, name, lab_client_netns(lab, 0), cgroup_fd, SIM_FROM_OUTSIDE, 0);

	for (int fam = 0; fam < IP_FAMILY_MAX; fam++)
		c->addr[fam] = *lab_client_addr(lab, 0, fam);
	return c;
}

/* Another address of the first node, IPv4. */
static int add_second_address(struct sockdiff *d, const struct lab *lab, struct err *e)
{
	struct sd_client *c = add_node(d, lab, "node-a.2", 0);
	struct ip_prefix p = { .addr = sm_node_addr(SM_NODES + 100, IP_V4), .len = 32 };
	struct nl *nl = NULL;
	int r = nl_open(c->place.netns_fd, NETLINK_ROUTE, &nl, e);

	if (r == 0)
		r = rtnl_addr_add(nl, "lo", &p, e);
	nl_close(nl);
	c->addr[IP_V4] = p.addr;
	c->addr[IP_V6] = (struct ip_addr){};
	c->always_bound = true;
	c->next_port = c->first_port = MIDDLE_PORT; /* the node has the other half */
	d->clients[SM_PODS].last_port = MIDDLE_PORT - 1;
	return r;
}

static int add_clients(struct sockdiff *d, const struct lab *lab, struct err *e)
{
	struct sd_client *outside, *stranger;

	add_pods(d, lab);
	for (unsigned int i = 0; i < SM_NODES; i++)
		add_node(d, lab, sm_node_name(i), i);
	outside = add_outside(d, lab, "outside", -1);
	if (!sockdiff_has_leads(d))
		return 0;
	stranger = add_outside(d, lab, "stranger", lab_node_cgroup(lab, sm_node_name(0)));
	stranger->next_port = stranger->first_port = MIDDLE_PORT;
	outside->last_port = MIDDLE_PORT - 1;
	return add_second_address(d, lab, e);
}

bool sockdiff_has_leads(const struct sockdiff *d)
{
	return d->leads[0];
}

static bool has_bpf_sock(const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_parts; i++)
		if (plan->parts[i].functions && str_eq(plan->parts[i].ops->name, "bpf-sock"))
			return true;
	return false;
}

static int open_lead(struct sockdiff *d, unsigned int node, struct err *e)
{
	int r = sim_new(d->m.snapshot, sm_node_name(node), &d->clock, &d->leads[node], e);

	if (r < 0)
		return r;
	d->metrics_fd[node] = bpf_pins_open(lab_node_cgroup(testbed_lab(d->tb), sm_node_name(node)), "metrics");
	return d->metrics_fd[node] < 0 ? err_set_errno(e, d->metrics_fd[node], "metrics", "no such pin") : 0;
}

int sockdiff_init(struct sockdiff *d, struct testbed *tb, struct err *e)
{
	int r = 0;

	d->tb = tb;
	d->clock = (struct clock){ .now_ns = clock_manual_now_ns, .manual_ns = clock_now_ns(&clock_monotonic) };
	for (unsigned int i = 0; i < SM_NODES; i++)
		d->metrics_fd[i] = -1;
	for (unsigned int i = 0; i < SM_NODES && r == 0; i++) {
		r = sim_new(d->m.snapshot, sm_node_name(i), &d->clock, &d->sims[i], e);
		if (r == 0 && has_bpf_sock(testbed_plan(tb, sm_node_name(i))))
			r = open_lead(d, i, e);
	}
	return r ? r : add_clients(d, testbed_lab(tb), e);
}

void sockdiff_done(struct sockdiff *d)
{
	for (size_t i = 0; i < SM_NODES; i++) {
		sim_free(d->sims[i]);
		sim_free(d->leads[i]);
		cleanup_fd(&d->metrics_fd[i]);
	}
	for (size_t i = 0; i < d->n_clients; i++)
		cleanup_fd(&d->clients[i].tap_fd);
	sockcount_free(d->count);
	vec_free(&d->tally);
	vec_free(&d->memory);
	strbuf_free(&d->log);
}

int sockdiff_apply(struct sockdiff *d, struct err *e)
{
	int r = testbed_apply(d->tb, d->m.snapshot, e);

	d->clock.manual_ns = clock_now_ns(&clock_monotonic);
	for (size_t i = 0; i < SM_NODES && r == 0; i++) {
		r = sim_update(d->sims[i], d->m.snapshot);
		if (r == 0 && d->leads[i])
			r = sim_update(d->leads[i], d->m.snapshot);
		if (r < 0)
			(void)err_set_errno(e, r, NULL, "sim_update");
	}
	return r;
}

static uint16_t take_port(struct sd_client *c)
{
	uint16_t ret = c->next_port;

	c->next_port = ret == c->last_port ? c->first_port : (uint16_t)(ret + 1);
	return ret;
}

int sockdiff_open(struct sockdiff *d, struct sd_client *c, uint8_t proto, const struct ip_addr *dst, uint16_t dport,
		  uint16_t sport, unsigned int flags, struct sd_flow *ret)
{
	bool connects = flags & SOCK_CONNECT && proto == IPPROTO_UDP;
	struct sd_flow f = { .c = c, .socket = calloc(1, sizeof(*f.socket)) };
	struct l4_tuple t = {
		.src = c->addr[ip_addr_family(dst)], .sport = sport, .dst = *dst, .dport = dport, .proto = proto
	};
	int r = 0;

	if (!f.socket)
		return -ENOMEM;
	f.socket->n_refs = 1;
	if (c->always_bound)
		flags &= ~(unsigned int)SOCK_UNBOUND;
	if (!sport && !(flags & SOCK_UNBOUND))
		t.sport = take_port(c);
	f.s = (struct sock){ .fd = -1, .t = t, .unbound = flags & SOCK_UNBOUND };
	if (connects)
		r = sd_call_begin(d, &f, false);
	if (r == 0)
		r = sock_open(&f.s, &c->place, &t, flags);
	if (r == 0 && connects)
		r = sd_call_end(d, &f);
	if (r) {
		sock_close(&f.s);
		free(f.socket);
		return r;
	}
	*ret = f;
	return 0;
}

int sockdiff_share(const struct sd_flow *with, const struct ip_addr *dst, uint16_t dport, struct sd_flow *ret)
{
	struct sd_flow f = { .c = with->c, .socket = with->socket };
	struct l4_tuple t = {
		.src = with->c->addr[ip_addr_family(dst)], .sport = with->s.t.sport, .dst = *dst, .dport = dport
	};
	int r;

	t.proto = with->s.t.proto;
	r = sock_share(&f.s, &with->s, &t);
	if (r < 0)
		return r;
	f.socket->n_refs++;
	*ret = f;
	return 0;
}

/* ---- what was seen ---- */

static int pod_of_name(const char *name)
{
	for (unsigned int i = 0; i < SM_PODS; i++)
		if (strncmp(name, "pods/", 5) == 0 && strcmp(name + 5, sm_pod_name(i)) == 0)
			return (int)i;
	return -1;
}

static int pod_of_addr(const struct ip_addr *a)
{
	for (unsigned int i = 0; i < SM_PODS; i++) {
		struct ip_addr pod = sm_pod_addr(i, ip_addr_family(a));

		if (sm_pod_has(i, ip_addr_family(a)) && ip_addr_eq(&pod, a))
			return (int)i;
	}
	return -1;
}

/* The endpoint that answered, by the pod's name: a pod is in a port once, and no other pod listens on its ports. False when no Service port was
 * asked. A pod that is no endpoint of it gets port 0, which sim never allows. */
bool sd_seen_backend(const struct sockdiff *d, const struct l4_tuple *t, const struct sock_answer *a,
		     struct sim_backend *ret)
{
	const struct service *svc = snapshot_service_by_ip(d->m.snapshot, &t->dst);
	const struct service_port *port = svc ? service_find_port(svc, t->proto, t->dport) : NULL;
	enum ip_family fam = ip_addr_family(&t->dst);
	int pod = a->err ? -1 : pod_of_name(a->reply.name);

	if (!port || pod < 0)
		return false;
	*ret = (struct sim_backend){ .addr = sm_pod_addr((unsigned int)pod, fam) };
	for (size_t i = 0; i < port->n_endpoints[fam]; i++)
		if (ip_addr_eq(&port->endpoints[fam][i].addr, &ret->addr))
			ret->port = port->endpoints[fam][i].port;
	return true;
}

static void log_ask(struct sockdiff *d, const struct sd_flow *f, const struct sock_answer *a,
		    const struct sim_result *want)
{
	const struct pkt p = { .t = f->s.t };
	char text[256], seen[IP_ADDR_STR_MAX];

	strbuf_addf(&d->log, "%s: %s%s%s%s: ", f->c->name, pkt_format(&p, text, sizeof(text)),
		    f->s.connected ? ", connected" : "", f->s.unbound ? ", not bound" : "",
		    f->s.v6 && f->s.t.dst.fam == AF_INET ? ", mapped" : "");
	if (sockdiff_has_leads(d))
		strbuf_addf(&d->log, "%s by bpf-sock (%s); ",
			    f->call.way == SW_LED   ? "led" :
			    f->call.way == SW_BELOW ? "left" :
						      "refused",
			    reason_name(f->call.reason));
	if (a->err)
		strbuf_addf(&d->log, "%s", strerrorname_np(-a->err));
	else
		strbuf_addf(&d->log, "%s saw %s:%u", a->reply.name, ip_addr_format(&a->reply.client, seen),
			    a->reply.client_port);
	strbuf_addf(&d->log, "; sim: %s, %zu allowed%s%s (%.1f ms)\n", reason_name(want->reason), want->n_allowed,
		    want->snat ? ", snat" : "", want->sport_free ? ", any port" : "",
		    (double)(a->end_ns - a->begin_ns) / 1e6);
}

/* ---- comparing ---- */

int sd_same_client(struct sockdiff *d, const struct sock_answer *a, const struct ip_addr *addr, uint16_t port,
		   bool any_port)
{
	char got[IP_ADDR_STR_MAX], want[IP_ADDR_STR_MAX];

	if (!ip_addr_eq(&a->reply.client, addr))
		return sd_differ(d, "the server sees %s, wanted %s", ip_addr_format(&a->reply.client, got),
				 ip_addr_format(addr, want));
	if (!any_port && a->reply.client_port != port)
		return sd_differ(d, "the server sees source port %u, wanted %u", a->reply.client_port, port);
	return 0;
}

int sd_same_sender(struct sockdiff *d, const struct sd_flow *f, const struct sock_answer *a)
{
	const struct l4_tuple *t = &f->s.t;
	char got[IP_ADDR_STR_MAX];

	if (a->err == 0 && (!ip_addr_eq(&a->from, &t->dst) || a->from_port != t->dport))
		return sd_differ(d, "the answer comes from %s:%u", ip_addr_format(&a->from, got), a->from_port);
	return 0;
}

static int compare_translated(struct sockdiff *d, const struct sock_answer *a, const struct sim_result *want)
{
	char got[IP_ADDR_STR_MAX];
	int pod = pod_of_addr(&want->backend.addr);

	if (a->err)
		return sd_differ(d, "no answer (%s), wanted one of backend %s:%u", strerrorname_np(-a->err),
				 ip_addr_format(&want->backend.addr, got), want->backend.port);
	if (pod < 0 || pod_of_name(a->reply.name) != pod)
		return sd_differ(d, "answered by %s, wanted %s:%u", a->reply.name,
				 ip_addr_format(&want->backend.addr, got), want->backend.port);
	return sd_same_client(d, a, &want->out.src, want->out.sport, want->sport_free);
}

static bool listens(int pod, uint8_t proto, uint16_t port)
{
	for (unsigned int i = 0; i < SM_POD_PORTS; i++)
		if (sm_pod_port((unsigned int)pod, proto, i) == port)
			return true;
	return false;
}

/* To a pod directly, or to an address of nobody. */
static int compare_passed(struct sockdiff *d, const struct sd_flow *f, const struct sock_answer *a,
			  const struct sim_result *want)
{
	const struct l4_tuple *t = &f->s.t;
	int pod = pod_of_addr(&t->dst);

	if (pod < 0 && (a->err == -EHOSTUNREACH || a->err == -ENETUNREACH || a->err == -ETIMEDOUT))
		return 0;
	if (pod >= 0 && !listens(pod, t->proto, t->dport) && a->err == -ECONNREFUSED)
		return 0;
	if (pod < 0 || !listens(pod, t->proto, t->dport) || a->err)
		return sd_differ(d, "%s, but no Service is asked", a->err ? strerrorname_np(-a->err) : a->reply.name);
	if (pod_of_name(a->reply.name) != pod)
		return sd_differ(d, "answered by %s, asked was %s", a->reply.name, sm_pod_name((unsigned int)pod));
	/* A process of the node may have a port that masquerading took before. */
	return sd_same_client(d, a, &t->src, t->sport, want->sport_free || f->c->origin == SIM_FROM_NODE);
}

static int compare(struct sockdiff *d, const struct sd_flow *f, const struct sock_answer *a,
		   const struct sim_result *want)
{
	if (sd_same_sender(d, f, a))
		return 1;
	switch (want->verdict) {
	case VERDICT_TRANSLATE:
		return compare_translated(d, a, want);
	case VERDICT_REJECT:
		if (a->err == -ECONNREFUSED && !a->late)
			return 0;
		if (a->err == -ECONNREFUSED)
			return sd_differ(d, "the refusal is none that a client hears at once");
		return sd_differ(d, "%s, wanted a refusal (%s)", a->err ? strerrorname_np(-a->err) : a->reply.name,
				 reason_name(want->reason));
	case VERDICT_PASS:
		return compare_passed(d, f, a, want);
	default:
		return sd_differ(d, "sim drops a packet of a socket: %s", reason_name(want->reason));
	}
}

/* ---- telling sim ---- */

static int tell_packet(struct sockdiff *d, const struct sd_client *c, const struct l4_tuple *t, uint8_t tcp_flags,
		       struct sim_result *ret)
{
	const struct pkt p = {
		.t = *t, .ttl = 64, .tcp_flags = tcp_flags, .tcp_seq = 1, .tcp_ack = 1, .tcp_window = 1000
	};
	uint8_t buf[128];
	size_t size = sizeof(buf);
	int r = pkt_build(&p, buf, &size);

	return r < 0 ? r : sim_packet(d->sims[c->node], c->origin, buf, size, NULL, ret, NULL, NULL);
}

void sockdiff_close(struct sockdiff *d, struct sd_flow *f)
{
	const struct l4_tuple *t = &f->s.t;
	const struct l4_tuple reply = { f->backend.addr, f->seen, f->backend.port, f->seen_port, t->proto };
	struct sim_result ignored;

	sock_close(&f->s);
	if (--f->socket->n_refs == 0)
		free(f->socket);
	if (f->call.way == SW_LED || t->proto != IPPROTO_TCP || !f->answered || !f->translated)
		return;
	/* As far as the kernel may have come by now; no memory is needed for it. */
	d->clock.manual_ns = clock_now_ns(&clock_monotonic);
	(void)tell_packet(d, f->c, t, TCP_FLAG_FIN | TCP_FLAG_ACK, &ignored);
	(void)tell_packet(d, f->c, &reply, TCP_FLAG_FIN | TCP_FLAG_ACK, &ignored);
	(void)tell_packet(d, f->c, t, TCP_FLAG_ACK, &ignored);
}

/* What follows the first packet of a translated connection: each packet goes its way, and answers come from the Service. */
static int tell_rest(struct sockdiff *d, const struct sd_flow *f, const struct sock_answer *a, bool is_new)
{
	static const struct {
		bool reply, first;
		uint8_t flags;
	} steps[] = {
		{ true, true, TCP_FLAG_SYN | TCP_FLAG_ACK },
		{ false, true, TCP_FLAG_ACK },
		{ false, true, TCP_FLAG_ACK | TCP_FLAG_PSH },
		{ true, false, TCP_FLAG_ACK | TCP_FLAG_PSH },
	};
	const struct l4_tuple *t = &f->s.t;
	const struct l4_tuple reply = { f->backend.addr, a->reply.client, f->backend.port, a->reply.client_port,
					t->proto };

	for (size_t i = t->proto == IPPROTO_TCP ? 0 : ARRAY_LEN(steps) - 1; i < ARRAY_LEN(steps); i++) {
		struct sim_result res;
		int r;

		if (steps[i].first && !is_new)
			continue;
		r = tell_packet(d, f->c, steps[i].reply ? &reply : t, steps[i].flags, &res);
		if (r < 0)
			return r;
		if (res.reason != (steps[i].reply ? REASON_REPLY : REASON_ESTABLISHED))
			return sd_differ(d, "sim says %s of a %s that came through", reason_name(res.reason),
					 steps[i].reply ? "reply" : "packet");
		if (steps[i].reply && (!ip_addr_eq(&res.out.src, &t->dst) || res.out.sport != t->dport ||
				       !ip_addr_eq(&res.out.dst, &t->src) || res.out.dport != t->sport))
			return sd_differ(d, "sim sends the reply elsewhere");
	}
	return 0;
}

/* The backend's node must let it pass as it is. */
int sd_tell_second_node(struct sockdiff *d, const struct sd_flow *f, const struct sock_answer *a)
{
	int pod = pod_of_addr(&f->backend.addr);
	const struct l4_tuple t = { a->reply.client, f->backend.addr, a->reply.client_port, f->backend.port,
				    f->s.t.proto };
	struct sim_result res;
	int r;

	if (pod < 0 || sm_pod_node((unsigned int)pod) == f->c->node)
		return 0;
	d->stats.remote++;
	r = sim_connect(d->sims[1 - f->c->node], SIM_FROM_OUTSIDE, &t, NULL, &res);
	if (r < 0)
		return r;
	if (res.verdict != VERDICT_PASS || res.sport_free)
		return sd_differ(d, "the backend's node: %s", reason_name(res.reason));
	return 0;
}

struct sd_memory *sd_find_memory(struct sockdiff *d, const struct sd_flow *f, const struct service *svc)
{
	for (size_t i = 0; i < d->memory.n; i++) {
		struct sd_memory *m = &d->memory.v[i];

		if (m->c == f->c && m->led == (f->call.way == SW_LED) && ip_addr_eq(&m->client, &f->s.t.src) &&
		    strcmp(m->service, svc->name) == 0 && m->proto == f->s.t.proto && m->port == f->s.t.dport)
			return m;
	}
	return NULL;
}

int sd_note_memory(struct sockdiff *d, const struct sd_flow *f, const struct sim_result *res, uint64_t took_ns)
{
	struct sd_memory fill = { .c = f->c,
				  .led = f->call.way == SW_LED,
				  .client = f->s.t.src,
				  .proto = f->s.t.proto,
				  .port = f->s.t.dport };
	struct sd_memory *m;
	int r;

	if (!res->service || !(res->service->features & 1u << SERVICE_FEATURE_AFFINITY))
		return 0;
	m = sd_find_memory(d, f, res->service);
	if (!m) {
		(void)snprintf(fill.service, sizeof(fill.service), "%s", res->service->name);
		r = vec_push(&d->memory, fill);
		if (r < 0)
			return r;
		m = &d->memory.v[d->memory.n - 1];
	}
	m->expires_ns = d->clock.manual_ns + res->service->affinity_timeout_s * NSEC_PER_SEC;
	m->latest_ns = m->expires_ns + took_ns;
	return 0;
}

/* The first packet, or a further datagram. When the memory of a client ends about now, the kernel may have forgotten already what sim has not. */
static int tell_first(struct sockdiff *d, const struct sd_flow *f, const struct sock_answer *a, struct sim_result *ret)
{
	struct sim_backend backend = {};
	bool known = sd_seen_backend(d, &f->s.t, a, &backend);
	const struct sim_observed observed = { .backend = known ? &backend : NULL,
					       .sport = known ? &a->reply.client_port : NULL };
	const struct sd_memory *m;
	int r;

	d->clock.manual_ns = a->begin_ns;
	r = sim_connect(d->sims[f->c->node], f->c->origin, &f->s.t, &observed, ret);
	m = r == -ESRCH && ret->service ? sd_find_memory(d, f, ret->service) : NULL;
	if (m && a->begin_ns < m->expires_ns && a->end_ns + SD_EXPIRY_MARGIN_NS >= m->expires_ns) {
		d->stats.late++;
		d->clock.manual_ns = m->expires_ns;
		r = sim_connect(d->sims[f->c->node], f->c->origin, &f->s.t, &observed, ret);
	}
	if (r == -ESRCH)
		return sd_differ(d,
				 "answered by %s to source port %u, which is not among the %zu that are allowed (%s)",
				 a->reply.name, a->reply.client_port, ret->n_allowed, reason_name(ret->reason));
	if (r == 0 && (ret->reason == REASON_CHOSEN || ret->reason == REASON_AFFINITY)) {
		r = sd_note_memory(d, f, ret, a->end_ns - a->begin_ns);
		if (r == 0)
			r = sd_tally(d, &f->s.t, false);
	}
	return r;
}

static void count(struct sockdiff *d, const struct sd_flow *f, const struct sim_result *want, bool again)
{
	struct sd_stats *st = &d->stats;

	st->asks++;
	st->verdict[want->verdict]++;
	st->reason[want->reason]++;
	st->origin[f->c->origin]++;
	st->per_proto[f->s.t.proto]++;
	st->v6 += f->s.t.dst.fam == AF_INET6;
	st->again += again;
	st->hairpin += want->hairpin;
	st->clashes += want->sport_free && !want->snat && f->c->origin != SIM_FROM_NODE;
}

/* Will the packets leave the cluster, to where nobody is? Neither a pod nor a Service that is carried; or what passed before, when it was neither, and
 * is no port of the Service of now. */
static bool is_silent(const struct sockdiff *d, const struct sd_flow *f)
{
	const struct l4_tuple *t = &f->s.t;
	const struct service *svc = snapshot_service_by_ip(d->m.snapshot, &t->dst);

	if (pod_of_addr(&t->dst) >= 0 || (f->translated && t->proto == IPPROTO_TCP))
		return false;
	if (!svc || svc->features & 1u << SERVICE_FEATURE_INTERNAL_LOCAL)
		return true;
	return f->passed && !service_find_port(svc, t->proto, t->dport);
}

/* As without bpf-sock. */
static int compare_below(struct sockdiff *d, const struct sd_flow *f, const struct sock_answer *a,
			 struct sim_result *ret)
{
	int r;

	if (f->used_ns > 0 && f->s.t.proto == IPPROTO_TCP) {
		d->clock.manual_ns = a->begin_ns;
		r = tell_packet(d, f->c, &f->s.t, TCP_FLAG_ACK | TCP_FLAG_PSH, ret);
	} else {
		r = tell_first(d, f, a, ret);
	}
	return r ? r : compare(d, f, a, ret);
}

static int compare_way(struct sockdiff *d, struct sd_flow *f, const struct sock_answer *a, bool calls,
		       struct sim_result *ret)
{
	switch (f->call.way) {
	case SW_LED:
		return sd_compare_led(d, f, a, calls, ret);
	case SW_REFUSED:
		return sd_compare_refused(d, f, a, ret);
	default:
		return compare_below(d, f, a, ret);
	}
}

/* Does this question pass a hook that decides? A connection was decided about when it was made. */
static bool is_call(const struct sd_flow *f)
{
	if (f->s.t.proto == IPPROTO_TCP)
		return f->used_ns == 0;
	return !f->s.connected && !f->s.connect_err;
}

static int ask_socket(struct sockdiff *d, struct sd_flow *f, bool calls, struct sock_answer *a)
{
	int r = calls ? sd_call_begin(d, f, f->s.t.proto == IPPROTO_UDP) : 0;

	if (r < 0)
		return r;
	sock_ask(&f->s, f->call.way == SW_BELOW && is_silent(d, f) ? SOCK_SILENCE_MS : SOCK_DEADLINE_MS, a);
	if (!f->s.t.sport) /* it failed: nobody knows the port any more */
		f->s.t.sport = take_port(f->c);
	return calls ? sd_call_end(d, f) : 0;
}

/* Packets with a Service's address leave a client if and only if a tier below has to translate them. Those of the node itself are translated before any
 * packet socket sees them. */
static int compare_tap(struct sockdiff *d, const struct sd_flow *f, const struct sim_result *want)
{
	size_t n = socktap_count(f->c->tap_fd, &f->s.t);

	if (f->c->origin == SIM_FROM_NODE)
		return 0;
	if (f->call.way != SW_BELOW) {
		d->stats.feat[SD_CLEAN]++;
		return n ? sd_differ(d, "%zu packets with the Service's address left the client", n) : 0;
	}
	if (want->verdict != VERDICT_TRANSLATE)
		return 0;
	d->stats.feat[SD_SEEN]++;
	return n ? 0 : sd_differ(d, "no packet left the client");
}

int sockdiff_ask(struct sockdiff *d, struct sd_flow *f)
{
	bool again = f->used_ns > 0, tcp = f->s.t.proto == IPPROTO_TCP, calls = is_call(f);
	struct sim_result want = {};
	struct sock_answer a;
	int r;

	if (f->c->tap_fd < 0)
		return f->c->tap_fd;
	(void)socktap_count(f->c->tap_fd, &f->s.t); /* of before */
	r = ask_socket(d, f, calls, &a);
	if (r == 0 &&
	    a.err ==
		    -EADDRNOTAVAIL) /* the client still has such a connection, perhaps in TIME_WAIT: nothing was sent */
		return f->call.way == SW_LED ? sd_tell_unused(d, f) : 0;
	if (r == 0)
		r = compare_way(d, f, &a, calls, &want);
	if (r == 0)
		r = compare_tap(d, f, &want);
	log_ask(d, f, &a, &want);
	if (r)
		return r;
	count(d, f, &want, again);
	f->used_ns = a.end_ns;
	f->answered = a.err == 0;
	f->translated = want.verdict == VERDICT_TRANSLATE;
	f->passed = want.verdict == VERDICT_PASS;
	if (!f->answered || !f->translated || f->call.way == SW_LED)
		return 0;
	f->backend = want.backend;
	f->seen = a.reply.client;
	f->seen_port = a.reply.client_port;
	r = tell_rest(d, f, &a, !again && tcp);
	return r ? r : sd_tell_second_node(d, f, &a);
}
