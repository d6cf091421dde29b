/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets in a lab against sim (sockdiff.h). */
#include "sockdiff.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

/* The kernel counts in ticks, and sets its timer a little after the question left. */
#define EXPIRY_MARGIN_NS (50 * NSEC_PER_MSEC)
#define FIRST_PORT 10000
#define LAST_PORT 59999

static int __attribute__((format(printf, 2, 3))) differ(struct sockdiff *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(d->why, sizeof(d->why), fmt, ap); /* cut, if need be */
	va_end(ap);
	return 1;
}

/* ---- life ---- */

static struct sd_client *add_client(struct sd_client *c, const char *name, int netns_fd, enum sim_origin origin,
				    unsigned int node)
{
	*c = (struct sd_client){
		.netns_fd = netns_fd, .origin = origin, .node = node, .pod = -1, .next_port = FIRST_PORT
	};
	(void)snprintf(c->name, sizeof(c->name), "%s", name);
	return c;
}

/* The client outside comes in by the lab's first node. */
static void add_clients(struct sockdiff *d, const struct lab *lab)
{
	struct sd_client *c = d->clients;

	for (unsigned int i = 0; i < SM_PODS; i++, c++) {
		add_client(c, sm_pod_name(i), lab_pod_netns(lab, "pods", sm_pod_name(i)), SIM_FROM_POD, sm_pod_node(i))
			->pod = (int)i;
		for (int fam = 0; fam < IP_FAMILY_MAX; fam++)
			if (sm_pod_has(i, fam))
				c->addr[fam] = sm_pod_addr(i, fam);
	}
	for (unsigned int i = 0; i < SM_NODES; i++, c++) {
		add_client(c, sm_node_name(i), lab_node_netns(lab, sm_node_name(i)), SIM_FROM_NODE, i);
		for (int fam = 0; fam < IP_FAMILY_MAX; fam++)
			c->addr[fam] = sm_node_addr(i, fam);
	}
	add_client(c, "outside", lab_client_netns(lab, 0), SIM_FROM_OUTSIDE, 0);
	for (int fam = 0; fam < IP_FAMILY_MAX; fam++)
		c->addr[fam] = *lab_client_addr(lab, 0, fam);
}

int sockdiff_init(struct sockdiff *d, struct testbed *tb, struct err *e)
{
	int r = 0;

	d->tb = tb;
	d->clock = (struct clock){ .now_ns = clock_manual_now_ns, .manual_ns = clock_now_ns(&clock_monotonic) };
	add_clients(d, testbed_lab(tb));
	for (unsigned int i = 0; i < SM_NODES && r == 0; i++)
		r = sim_new(d->m.snapshot, sm_node_name(i), &d->clock, &d->sims[i], e);
	return r;
}

void sockdiff_done(struct sockdiff *d)
{
	for (size_t i = 0; i < SM_NODES; i++)
		sim_free(d->sims[i]);
	vec_free(&d->memory);
	strbuf_free(&d->log);
}

int sockdiff_apply(struct sockdiff *d, struct err *e)
{
	int r = testbed_apply(d->tb, d->m.snapshot, e);

	d->clock.manual_ns = clock_now_ns(&clock_monotonic);
	for (size_t i = 0; i < SM_NODES && r == 0; i++) {
		r = sim_update(d->sims[i], d->m.snapshot);
		if (r < 0)
			(void)err_set_errno(e, r, NULL, "sim_update");
	}
	return r;
}

int sockdiff_open(struct sockdiff *d, struct sd_client *c, uint8_t proto, const struct ip_addr *dst, uint16_t dport,
		  uint16_t sport, bool connect, struct sd_flow *ret)
{
	struct l4_tuple t = {
		.src = c->addr[ip_addr_family(dst)], .sport = sport, .dst = *dst, .dport = dport, .proto = proto
	};

	(void)d;
	if (!sport) {
		t.sport = c->next_port;
		c->next_port = c->next_port == LAST_PORT ? FIRST_PORT : (uint16_t)(c->next_port + 1);
	}
	*ret = (struct sd_flow){ .c = c };
	return sock_open(&ret->s, c->netns_fd, &t, connect);
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
static bool seen_backend(const struct sockdiff *d, const struct l4_tuple *t, const struct sock_answer *a,
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

	strbuf_addf(&d->log, "%s: %s: ", f->c->name, pkt_format(&p, text, sizeof(text)));
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

static int same_client(struct sockdiff *d, const struct sock_answer *a, const struct ip_addr *addr, uint16_t port,
		       bool any_port)
{
	char got[IP_ADDR_STR_MAX], want[IP_ADDR_STR_MAX];

	if (!ip_addr_eq(&a->reply.client, addr))
		return differ(d, "the server sees %s, wanted %s", ip_addr_format(&a->reply.client, got),
			      ip_addr_format(addr, want));
	if (!any_port && a->reply.client_port != port)
		return differ(d, "the server sees source port %u, wanted %u", a->reply.client_port, port);
	return 0;
}

static int compare_translated(struct sockdiff *d, const struct sock_answer *a, const struct sim_result *want)
{
	char got[IP_ADDR_STR_MAX];
	int pod = pod_of_addr(&want->backend.addr);

	if (a->err)
		return differ(d, "no answer (%s), wanted one of backend %s:%u", strerrorname_np(-a->err),
			      ip_addr_format(&want->backend.addr, got), want->backend.port);
	if (pod < 0 || pod_of_name(a->reply.name) != pod)
		return differ(d, "answered by %s, wanted %s:%u", a->reply.name,
			      ip_addr_format(&want->backend.addr, got), want->backend.port);
	return same_client(d, a, &want->out.src, want->out.sport, want->sport_free);
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
		return differ(d, "%s, but no Service is asked", a->err ? strerrorname_np(-a->err) : a->reply.name);
	if (pod_of_name(a->reply.name) != pod)
		return differ(d, "answered by %s, asked was %s", a->reply.name, sm_pod_name((unsigned int)pod));
	/* A process of the node may have a port that masquerading took before. */
	return same_client(d, a, &t->src, t->sport, want->sport_free || f->c->origin == SIM_FROM_NODE);
}

static int compare(struct sockdiff *d, const struct sd_flow *f, const struct sock_answer *a,
		   const struct sim_result *want)
{
	const struct l4_tuple *t = &f->s.t;
	char got[IP_ADDR_STR_MAX];

	if (a->err == 0 && (!ip_addr_eq(&a->from, &t->dst) || a->from_port != t->dport))
		return differ(d, "the answer comes from %s:%u", ip_addr_format(&a->from, got), a->from_port);
	switch (want->verdict) {
	case VERDICT_TRANSLATE:
		return compare_translated(d, a, want);
	case VERDICT_REJECT:
		if (a->err == -ECONNREFUSED && !a->late)
			return 0;
		if (a->err == -ECONNREFUSED)
			return differ(d, "the refusal is none that a client hears at once");
		return differ(d, "%s, wanted a refusal (%s)", a->err ? strerrorname_np(-a->err) : a->reply.name,
			      reason_name(want->reason));
	case VERDICT_PASS:
		return compare_passed(d, f, a, want);
	default:
		return differ(d, "sim drops a packet of a socket: %s", reason_name(want->reason));
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
	if (t->proto != IPPROTO_TCP || !f->answered || !f->translated)
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
			return differ(d, "sim says %s of a %s that came through", reason_name(res.reason),
				      steps[i].reply ? "reply" : "packet");
		if (steps[i].reply && (!ip_addr_eq(&res.out.src, &t->dst) || res.out.sport != t->dport ||
				       !ip_addr_eq(&res.out.dst, &t->src) || res.out.dport != t->sport))
			return differ(d, "sim sends the reply elsewhere");
	}
	return 0;
}

/* The backend's node must let it pass as it is. */
static int tell_second_node(struct sockdiff *d, const struct sd_flow *f, const struct sock_answer *a)
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
		return differ(d, "the backend's node: %s", reason_name(res.reason));
	return 0;
}

static struct sd_memory *find_memory(struct sockdiff *d, const struct sd_flow *f, const struct service *svc)
{
	for (size_t i = 0; i < d->memory.n; i++) {
		struct sd_memory *m = &d->memory.v[i];

		if (m->c == f->c && ip_addr_eq(&m->client, &f->s.t.src) && strcmp(m->service, svc->name) == 0 &&
		    m->proto == f->s.t.proto && m->port == f->s.t.dport)
			return m;
	}
	return NULL;
}

static int note_memory(struct sockdiff *d, const struct sd_flow *f, const struct sim_result *res)
{
	struct sd_memory fill = { .c = f->c, .client = f->s.t.src, .proto = f->s.t.proto, .port = f->s.t.dport };
	struct sd_memory *m;
	int r;

	if (!res->service || !(res->service->features & 1u << SERVICE_FEATURE_AFFINITY))
		return 0;
	m = find_memory(d, f, res->service);
	if (!m) {
		(void)snprintf(fill.service, sizeof(fill.service), "%s", res->service->name);
		r = vec_push(&d->memory, fill);
		if (r < 0)
			return r;
		m = &d->memory.v[d->memory.n - 1];
	}
	m->expires_ns = d->clock.manual_ns + res->service->affinity_timeout_s * NSEC_PER_SEC;
	return 0;
}

/* The first packet, or a further datagram. When the memory of a client ends about now, the kernel may have forgotten already what sim has not. */
static int tell_first(struct sockdiff *d, const struct sd_flow *f, const struct sock_answer *a, struct sim_result *ret)
{
	struct sim_backend backend = {};
	bool known = seen_backend(d, &f->s.t, a, &backend);
	const struct sim_observed observed = { .backend = known ? &backend : NULL,
					       .sport = known ? &a->reply.client_port : NULL };
	const struct sd_memory *m;
	int r;

	d->clock.manual_ns = a->begin_ns;
	r = sim_connect(d->sims[f->c->node], f->c->origin, &f->s.t, &observed, ret);
	m = r == -ESRCH && ret->service ? find_memory(d, f, ret->service) : NULL;
	if (m && a->begin_ns < m->expires_ns && a->end_ns + EXPIRY_MARGIN_NS >= m->expires_ns) {
		d->stats.late++;
		d->clock.manual_ns = m->expires_ns;
		r = sim_connect(d->sims[f->c->node], f->c->origin, &f->s.t, &observed, ret);
	}
	if (r == -ESRCH)
		return differ(d, "answered by %s to source port %u, which is not among the %zu that are allowed (%s)",
			      a->reply.name, a->reply.client_port, ret->n_allowed, reason_name(ret->reason));
	if (r == 0 && (ret->reason == REASON_CHOSEN || ret->reason == REASON_AFFINITY))
		r = note_memory(d, f, ret);
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

int sockdiff_ask(struct sockdiff *d, struct sd_flow *f)
{
	bool again = f->used_ns > 0, tcp = f->s.t.proto == IPPROTO_TCP;
	struct sim_result want = {};
	struct sock_answer a;
	int r;

	sock_ask(&f->s, is_silent(d, f) ? SOCK_SILENCE_MS : SOCK_DEADLINE_MS, &a);
	if (a.err == -EADDRNOTAVAIL) /* the client still has such a connection in TIME_WAIT: nothing was sent */
		return 0;
	if (again && tcp) {
		d->clock.manual_ns = a.begin_ns;
		r = tell_packet(d, f->c, &f->s.t, TCP_FLAG_ACK | TCP_FLAG_PSH, &want);
	} else {
		r = tell_first(d, f, &a, &want);
	}
	log_ask(d, f, &a, &want);
	if (r)
		return r;
	count(d, f, &want, again);
	r = compare(d, f, &a, &want);
	if (r)
		return r;
	f->used_ns = a.end_ns;
	f->answered = a.err == 0;
	f->translated = want.verdict == VERDICT_TRANSLATE;
	f->passed = want.verdict == VERDICT_PASS;
	if (!f->answered || !f->translated)
		return 0;
	f->backend = want.backend;
	f->seen = a.reply.client;
	f->seen_port = a.reply.client_port;
	r = tell_rest(d, f, &a, !again && tcp);
	return r ? r : tell_second_node(d, f, &a);
}
