/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What bpf-sock decided, against sim (sockdiff_int.h). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "sockdiff_int.h"

const char *const sd_hook_name[SD_HOOK_MAX] = {
	[SD_CONNECT4] = "connect4",  [SD_CONNECT6] = "connect6",  [SD_SENDMSG4] = "sendmsg4",
	[SD_SENDMSG6] = "sendmsg6",  [SD_RECVMSG4] = "recvmsg4",  [SD_RECVMSG6] = "recvmsg6",
	[SD_PEER4] = "getpeername4", [SD_PEER6] = "getpeername6",
};
const char *const sd_feat_name[SD_FEAT_MAX] = {
	[SD_KEPT_TCP] = "kept-tcp",	  [SD_KEPT_UDP] = "kept-udp", [SD_ENDED_UDP] = "ended-udp",
	[SD_CHOSEN_ANEW] = "chosen-anew", [SD_MAGLEV] = "maglev",     [SD_MAPPED] = "mapped",
	[SD_UNBOUND] = "unbound",	  [SD_NODE] = "node",	      [SD_TOPOLOGY] = "topology",
	[SD_TERMINATING] = "terminating", [SD_CLEAN] = "tap-clean",   [SD_SEEN] = "tap-seen",
};

/* ---- around the call ---- */

static void set_client(struct sw_call *c, const struct sd_flow *f)
{
	c->identity = &f->c->identity[ip_addr_family(&f->s.t.dst)];
	c->bound = f->s.unbound ? NULL : &f->s.t.src;
	c->t = &f->s.t;
	c->socket = f->socket;
}

int sd_call_begin(struct sockdiff *d, struct sd_flow *f, bool sending)
{
	struct sw_call *c = &f->call;
	bool mine = f->c->place.cgroup_fd >= 0;

	*c = (struct sw_call){ .s = d->m.snapshot, .sending = sending };
	c->node = mine ? snapshot_node(d->m.snapshot, sm_node_name(f->c->node)) : NULL;
	set_client(c, f);
	sw_expect(c);
	if (c->peer && c->way == SW_LED && c->reason == REASON_CHOSEN && f->used_ns > 0)
		d->stats.feat[SD_CHOSEN_ANEW]++;
	return sw_begin(c, mine ? d->metrics_fd[f->c->node] : -1);
}

static void count_choice(struct sockdiff *d, const struct sd_flow *f)
{
	const struct sw_call *c = &f->call;
	size_t n_ready = 0;

	for (size_t i = 0; i < c->port->n_endpoints[ip_addr_family(&f->s.t.dst)]; i++)
		n_ready += c->port->endpoints[ip_addr_family(&f->s.t.dst)][i].ready;
	d->stats.feat[SD_TOPOLOGY] += n_ready > c->n_eligible;
	d->stats.feat[SD_TERMINATING] += n_ready == 0;
	d->stats.feat[SD_MAPPED] += f->s.v6 && f->s.t.dst.fam == AF_INET;
	d->stats.feat[SD_UNBOUND] += f->s.unbound;
	d->stats.feat[SD_NODE] += f->c->origin == SIM_FROM_NODE;
}

static void count_hooks(struct sockdiff *d, const struct sd_flow *f)
{
	bool v6 = f->s.v6, mapped = v6 && f->s.t.dst.fam == AF_INET;

	/* A socket of IPv6 that sends to a mapped address does so by the code, and the hook, of IPv4. */
	d->stats.hook[f->call.sending ? (v6 && !mapped ? SD_SENDMSG6 : SD_SENDMSG4) : v6 ? SD_CONNECT6 : SD_CONNECT4]++;
}

int sd_tell_unused(struct sockdiff *d, struct sd_flow *f)
{
	const struct sw_call *c = &f->call;
	struct sim_backend b = {};
	const struct sim_observed observed = { .backend = &b };
	enum sw_way way = c->way;
	struct sim_result res;
	int r;

	if (!(c->service->features & 1u << SERVICE_FEATURE_AFFINITY))
		return 0;
	r = bpf_affinity_read(f->c->place.cgroup_fd, &f->s.t, c->identity, &b.addr, &b.port);
	if (r < 0)
		return r;
	d->clock.manual_ns = clock_now_ns(&clock_monotonic);
	sim_forget(d->leads[f->c->node], &f->s.t);
	r = sim_connect(d->leads[f->c->node], f->c->origin, &f->s.t, &observed, &res);
	sim_forget(d->leads[f->c->node], &f->s.t);
	f->call.way = SW_LED; /* whose memory it is */
	if (r == 0)
		r = sd_note_memory(d, f, &res, 0);
	f->call.way = way;
	return r == -ESRCH ? sd_differ(d, "bpf-sock remembers a backend that it may not choose") : r;
}

int sd_call_end(struct sockdiff *d, struct sd_flow *f)
{
	struct sw_call *c = &f->call;
	bool mine = f->c->place.cgroup_fd >= 0;
	int r;

	set_client(c, f);
	r = sw_end(c, mine ? d->metrics_fd[f->c->node] : -1, d->why, sizeof(d->why));
	if (r || !mine)
		return r;
	d->stats.way[c->reason]++;
	if (c->reason != REASON_NOT_SERVICE)
		count_hooks(d, f);
	if (c->reason == REASON_LEFT_CLASH && c->n_eligible > 0)
		return sd_tell_unused(d, f);
	if (c->way != SW_LED || c->reason == REASON_ESTABLISHED)
		return 0;
	count_choice(d, f);
	return sd_tally(d, &f->s.t, true);
}

/* ---- which backend ---- */

/* Is the end of the client's memory so near that either is right? */
static bool is_near(const struct sd_memory *m, const struct sock_answer *a)
{
	return m && a->begin_ns < m->latest_ns + SD_EXPIRY_MARGIN_NS &&
	       a->end_ns + SD_EXPIRY_MARGIN_NS >= m->expires_ns;
}

/* A choice: among those allowed, remembered if it should be, the table's if there is one. */
static int compare_choice(struct sockdiff *d, struct sd_flow *f, const struct sock_answer *a,
			  const struct sim_backend *backend, struct sim_result *ret)
{
	const struct sim_observed observed = { .backend = backend };
	struct sim *sim = d->leads[f->c->node];
	const struct sd_memory *m = sd_find_memory(d, f, f->call.service);
	bool near = is_near(m, a);
	struct sim_backend wanted;
	int r;

	d->clock.manual_ns = a->begin_ns;
	sim_forget(sim, &f->s.t);
	r = sim_connect(sim, f->c->origin, &f->s.t, &observed, ret);
	if (r == -ESRCH && near && a->begin_ns < m->expires_ns) {
		d->stats.late++;
		d->clock.manual_ns = m->expires_ns;
		r = sim_connect(sim, f->c->origin, &f->s.t, &observed, ret);
	}
	sim_forget(sim, &f->s.t); /* what a socket was led to, it keeps by itself */
	if (r == -ESRCH)
		return sd_differ(d, "led to %s, which is not among the %zu that are allowed (%s)", a->reply.name,
				 ret->n_allowed, reason_name(ret->reason));
	if (r < 0)
		return r;
	if (ret->reason != f->call.reason && !near)
		return sd_differ(d, "bpf-sock counts %s, sim says %s", reason_name(f->call.reason),
				 reason_name(ret->reason));
	if (sw_clashes(&f->call, backend))
		return sd_differ(d, "led to %s, as another Service of this socket", a->reply.name);
	if (f->call.reason == REASON_CHOSEN && ret->reason == REASON_CHOSEN && sw_maglev(&f->call, &wanted)) {
		d->stats.feat[SD_MAGLEV]++;
		if (wanted.port != backend->port || !ip_addr_eq(&wanted.addr, &backend->addr))
			return sd_differ(d, "led to %s, which is not the one of the model's table", a->reply.name);
	}
	return sd_note_memory(d, f, ret, a->end_ns - a->begin_ns);
}

static int compare_same(struct sockdiff *d, const struct sd_flow *f, const struct sim_backend *was,
			const struct sim_backend *now)
{
	if (now->port == was->port && ip_addr_eq(&now->addr, &was->addr))
		return 0;
	(void)f;
	return sd_differ(d, "the socket was moved to another backend");
}

/* The direct packets as the tier below sees them. */
static int tell_below(struct sockdiff *d, const struct sd_flow *f, struct sim_result *ret)
{
	const struct l4_tuple t = { f->s.t.src, f->backend.addr, f->s.t.sport, f->backend.port, f->s.t.proto };
	int r = sim_connect(d->sims[f->c->node], f->c->origin, &t, NULL, ret);

	if (r == 0 && ret->verdict != VERDICT_PASS)
		return sd_differ(d, "the tier below has something to do: %s", reason_name(ret->reason));
	return r;
}

/* Its backend serves no longer: it hears so at once, and not of another. TCP lives on. */
static bool is_ended(const struct sockdiff *d, const struct sd_flow *f)
{
	const struct service *svc = snapshot_service_by_ip(d->m.snapshot, &f->s.t.dst);
	const struct service_port *port = NULL;

	if (svc && !(svc->features & 1u << SERVICE_FEATURE_INTERNAL_LOCAL))
		port = service_find_port(svc, f->s.t.proto, f->s.t.dport);
	return f->s.t.proto == IPPROTO_UDP && (!port || !service_port_serves(port, &f->backend.addr, f->backend.port));
}

static void count_answer(struct sockdiff *d, const struct sd_flow *f, bool kept)
{
	bool udp = f->s.t.proto == IPPROTO_UDP;

	d->stats.hook[f->s.v6 ? SD_RECVMSG6 : SD_RECVMSG4] += udp;
	d->stats.hook[f->s.v6 ? SD_PEER6 : SD_PEER4] += f->s.connected;
	if (kept)
		d->stats.feat[udp ? SD_KEPT_UDP : SD_KEPT_TCP]++;
}

/* The pod that answered, on the port that it was led to. After a change the endpoint may be none of the Service's any more. */
static bool answers(const struct sockdiff *d, const struct sd_flow *f, const struct sock_answer *a, bool kept,
		    struct sim_backend *ret)
{
	enum ip_family fam = ip_addr_family(&f->s.t.dst);

	if (!kept)
		return sd_seen_backend(d, &f->s.t, a, ret);
	for (unsigned int i = 0; i < SM_PODS; i++) {
		if (strncmp(a->reply.name, "pods/", 5) != 0 || strcmp(a->reply.name + 5, sm_pod_name(i)) != 0)
			continue;
		*ret = (struct sim_backend){ sm_pod_addr(i, fam), f->backend.port };
		return true;
	}
	return false;
}

static int compare_backend(struct sockdiff *d, struct sd_flow *f, const struct sock_answer *a, bool kept,
			   struct sim_result *ret)
{
	struct sim_backend backend = {};

	if (a->err || !answers(d, f, a, kept, &backend))
		return sd_differ(d, "%s, wanted an answer of a backend",
				 a->err ? strerrorname_np(-a->err) : a->reply.name);
	if (kept)
		return compare_same(d, f, &f->backend, &backend);
	if (f->call.reason == REASON_ESTABLISHED)
		return compare_same(d, f, &f->call.peer->backend, &backend);
	f->backend = backend;
	if (f->call.peer)
		f->call.peer->backend = backend;
	return compare_choice(d, f, a, &backend, ret);
}

/* Connection tracking below may have had to keep it apart from another connection to that backend: of the node, or of another Service of this socket, that was
 * left. */
static bool is_port_free(const struct sd_flow *f, const struct sim_result *below)
{
	return below->sport_free || below->out.sport != f->s.t.sport || f->c->origin == SIM_FROM_NODE ||
	       f->socket->n_peers > 1;
}

int sd_compare_led(struct sockdiff *d, struct sd_flow *f, const struct sock_answer *a, bool calls,
		   struct sim_result *ret)
{
	bool kept = !calls && f->used_ns > 0;
	struct sim_result below = {};
	int r;

	set_client(&f->call, f);
	ret->verdict = VERDICT_TRANSLATE;
	ret->reason = REASON_ESTABLISHED;
	if (kept && is_ended(d, f)) {
		d->stats.feat[SD_ENDED_UDP]++;
		return a->err == -ECONNABORTED ? 0 :
						 sd_differ(d, "%s, wanted an end: the backend serves no longer",
							   a->err ? strerrorname_np(-a->err) : a->reply.name);
	}
	r = sd_same_sender(d, f, a);
	if (r == 0)
		r = compare_backend(d, f, a, kept, ret);
	if (r == 0)
		r = tell_below(d, f, &below);
	if (r == 0)
		r = sd_same_client(d, a, &f->s.t.src, f->s.t.sport, is_port_free(f, &below));
	if (r)
		return r;
	count_answer(d, f, kept);
	ret->backend = f->backend;
	return sd_tell_second_node(d, f, a);
}

int sd_compare_refused(struct sockdiff *d, struct sd_flow *f, const struct sock_answer *a, struct sim_result *ret)
{
	struct sim *sim = d->leads[f->c->node];
	int r;

	d->clock.manual_ns = a->begin_ns;
	sim_forget(sim, &f->s.t);
	r = sim_connect(sim, f->c->origin, &f->s.t, NULL, ret);
	if (r < 0)
		return r;
	if (ret->verdict != VERDICT_REJECT || ret->reason != f->call.reason)
		return sd_differ(d, "refused (%s), sim says %s", reason_name(f->call.reason), reason_name(ret->reason));
	if (a->err == -ECONNREFUSED && !a->late)
		return 0;
	return sd_differ(d, "%s, wanted a refusal at once", a->err ? strerrorname_np(-a->err) : a->reply.name);
}
