/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random models x random connections and datagrams, in a lab: clients and servers must see what sim says (sockrun.h).
 *
 * One lab stays up; the models go into it one after the other, as differences. Clients are the pods, processes of the nodes, and a client outside the
 * cluster. Some sockets are kept over changes of the model and asked again. A disagreement prints the seed, the model and what was done with it.
 * Prints how often each verdict, reason and branch of sim came up, and leaves the counts for test_histogram.py.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/opt.h"
#include "base/util.h"
#include "histogram.h"
#include "sockrounds.h"
#include "sockrun.h"

#define KEPT_MAX 20
#define KEPT_AGE_MAX_NS (10 * NSEC_PER_SEC) /* far less than the kernel's timeout of a UDP entry */
#define PAST_MAX 48
#define FRESH_EVERY 10 /* models: one is made of its seed alone, so that a failure can be had again from there */
#define SCRATCH_EVERY 8
#define MANY_EVERY 4
#define ROUNDS_EVERY 40 /* models: rounds (sockrounds.h), in the fourth of each 40 */

struct conf {
	uint64_t seed, models, asks;
	bool verbose, help;
};

/* Who asked what: to be asked again. */
struct past {
	struct sd_client *c;
	struct ip_addr dst;
	uint16_t dport;
	uint8_t proto;
};

struct run {
	const struct conf *conf;
	const char *suite, *strategy;
	struct sockdiff d;
	struct sd_flow kept[KEPT_MAX];
	size_t n_kept;
	struct sockround_leaving leaving;
	struct past past[PAST_MAX];
	size_t n_past; /* ever */
	uint64_t model; /* its seed */
	uint64_t n_edits, apply_ns;
};

static uint32_t below(struct run *r, uint32_t n)
{
	return sockmodel_below(&r->d.m, n);
}

static bool chance(struct run *r, unsigned int percent)
{
	return sockmodel_chance(&r->d.m, percent);
}

/* ---- what to ask ---- */

static struct sd_client *random_client(struct run *r, enum ip_family fam)
{
	for (;;) {
		struct sd_client *c = &r->d.clients[below(r, (uint32_t)r->d.n_clients)];

		if (ip_addr_is_set(&c->addr[fam]))
			return c;
	}
}

/* Some Service of the model, and one of its addresses. */
static const struct service *random_service(struct run *r, struct ip_addr *ret)
{
	for (;;) {
		enum ip_family fam = below(r, 2) ? IP_V6 : IP_V4;
		const struct service *svc;

		*ret = sm_service_addr(below(r, SM_SLOTS), fam);
		svc = snapshot_service_by_ip(r->d.m.snapshot, ret);
		if (svc)
			return svc;
	}
}

static struct past ask_service(struct run *r)
{
	struct past p = {};
	const struct service *svc = random_service(r, &p.dst);
	const struct service_port *port = &svc->ports[below(r, (uint32_t)svc->n_ports)];

	p.c = random_client(r, ip_addr_family(&p.dst));
	p.dport = port->port;
	p.proto = port->proto;
	return p;
}

/* A backend asks its own Service: sooner or later it gets itself. */
static struct past ask_as_backend(struct run *r)
{
	struct past p = ask_service(r);
	const struct service *svc = snapshot_service_by_ip(r->d.m.snapshot, &p.dst);
	const struct service_port *port = service_find_port(svc, p.proto, p.dport);
	enum ip_family fam = ip_addr_family(&p.dst);

	for (size_t i = 0; i < r->d.n_clients; i++) {
		if (port->n_endpoints[fam] && ip_addr_eq(&r->d.clients[i].addr[fam], &port->endpoints[fam][0].addr))
			p.c = &r->d.clients[i];
	}
	return p;
}

static struct past ask_unknown_port(struct run *r)
{
	static const uint16_t others[] = { 80, 81, 53, 443, 7, 40000 };
	struct past p = {};
	const struct service *svc = random_service(r, &p.dst);

	p.c = random_client(r, ip_addr_family(&p.dst));
	do {
		p.proto = chance(r, 50) ? IPPROTO_TCP : IPPROTO_UDP;
		p.dport = others[below(r, ARRAY_LEN(others))];
	} while (service_find_port(svc, p.proto, p.dport));
	return p;
}

/* A pod by its own address; one in four on a port where nobody listens. */
static struct past ask_pod(struct run *r)
{
	enum ip_family fam = below(r, 2) ? IP_V6 : IP_V4;
	unsigned int pod;
	struct past p = { .proto = chance(r, 50) ? IPPROTO_TCP : IPPROTO_UDP };

	do
		pod = below(r, SM_PODS);
	while (!sm_pod_has(pod, fam));
	do
		p.c = random_client(r, fam);
	while (p.c->pod == (int)pod || p.c->always_bound); /* other nodes do not know that address */
	p.dst = sm_pod_addr(pod, fam);
	p.dport = chance(r, 25) ? 9 : sm_pod_port(pod, p.proto, below(r, SM_POD_PORTS));
	return p;
}

/* An address that no Service has, or one that nobody carries. */
static struct past ask_nobody(struct run *r)
{
	enum ip_family fam = below(r, 2) ? IP_V6 : IP_V4;
	struct past p = { .proto = chance(r, 50) ? IPPROTO_TCP : IPPROTO_UDP, .dport = 80 };

	p.dst = sm_service_addr(SM_SLOTS + 1, fam);
	p.c = random_client(r, fam);
	return p;
}

static struct past ask_again(struct run *r)
{
	size_t n = MIN(r->n_past, (size_t)PAST_MAX);

	for (unsigned int tries = 0; n && tries < 20; tries++) {
		struct past p = r->past[below(r, (uint32_t)n)];

		if (snapshot_service_by_ip(r->d.m.snapshot, &p.dst))
			return p;
	}
	return ask_service(r);
}

/* A client that some Service remembers, best one whose time is over. */
static struct past ask_remembered(struct run *r)
{
	const struct snapshot *s = r->d.m.snapshot;
	struct past p = {};

	for (unsigned int tries = 0; r->d.memory.n && tries < 30; tries++) {
		const struct sd_memory *m = &r->d.memory.v[below(r, (uint32_t)r->d.memory.n)];
		const struct service *svc = snapshot_service(s, "svcs", m->service);
		enum ip_family fam = ip_addr_family(&m->client);

		if (!svc || !(svc->features & 1u << SERVICE_FEATURE_AFFINITY) ||
		    !ip_addr_is_set(&svc->cluster_ip[fam]) || !service_find_port(svc, m->proto, m->port))
			continue;
		p = (struct past){ m->c, svc->cluster_ip[fam], m->port, m->proto };
		if (m->expires_ns < clock_now_ns(&clock_monotonic))
			break;
	}
	return p.c ? p : ask_again(r);
}

/* ---- asking ---- */

/* The lab's sockets are few: the oldest makes room. */
static void keep(struct run *r, const struct sd_flow *f)
{
	if (r->n_kept == KEPT_MAX) {
		sockdiff_close(&r->d, &r->kept[0]);
		memmove(r->kept, r->kept + 1, --r->n_kept * sizeof(*r->kept));
	}
	r->kept[r->n_kept++] = *f;
}

static void drop_kept(struct run *r, size_t i)
{
	sockdiff_close(&r->d, &r->kept[i]);
	r->kept[i] = r->kept[--r->n_kept];
}

/* Connections that were refused are of no use; datagram sockets are, unless it was connect() that was refused. */
static bool may_keep(const struct sd_flow *f)
{
	return f->answered || (f->s.t.proto == IPPROTO_UDP && f->call.way != SW_LED && !f->s.connect_err);
}

/* Does a flow of this socket ask that already? */
static bool asks_already(const struct run *r, const struct sw_socket *s, const struct past *p)
{
	for (size_t i = 0; i < r->n_kept; i++)
		if (r->kept[i].socket == s && r->kept[i].s.t.dport == p->dport &&
		    ip_addr_eq(&r->kept[i].s.t.dst, &p->dst))
			return true;
	return false;
}

/* How the socket is made: packets look the same, and bpf-sock sees the difference. */
static unsigned int random_flags(struct run *r, const struct past *p, uint16_t sport, bool connect)
{
	unsigned int flags = connect ? SOCK_CONNECT : 0;

	if (!sockdiff_has_leads(&r->d))
		return flags;
	if (p->dst.fam == AF_INET && chance(r, 25))
		flags |= SOCK_MAPPED;
	if (!sport && chance(r, 40))
		flags |= SOCK_UNBOUND;
	return flags;
}

/* What bpf-sock led somewhere is kept more often: what becomes of it after a change is to be seen often enough. */
static unsigned int keep_of(const struct run *r, const struct sd_flow *f, unsigned int percent)
{
	bool led = f->call.way == SW_LED && f->s.t.proto == IPPROTO_UDP;

	return percent && led && sockdiff_has_leads(&r->d) ? 80 : percent;
}

static int ask(struct run *r, const struct past *p, uint16_t sport, bool connect, unsigned int keep_percent)
{
	unsigned int flags = random_flags(r, p, sport, connect);
	struct sd_flow f;
	int ret = sockdiff_open(&r->d, p->c, p->proto, &p->dst, p->dport, sport, flags, &f);

	if (ret)
		return ret;
	ret = sockdiff_ask(&r->d, &f);
	if (ret == 0 && may_keep(&f) && chance(r, keep_of(r, &f, keep_percent)))
		keep(r, &f);
	else
		sockdiff_close(&r->d, &f);
	r->past[r->n_past++ % PAST_MAX] = *p;
	return ret;
}

static int ask_kept(struct run *r, size_t i)
{
	struct sd_flow *f = &r->kept[i];
	int ret = sockdiff_ask(&r->d, f);

	if (ret == 0 && !may_keep(f))
		drop_kept(r, i);
	return ret;
}

/* All that were kept, over a change of the model. */
static int ask_all_kept(struct run *r)
{
	uint64_t now_ns = clock_now_ns(&clock_monotonic);
	int ret = 0;

	for (size_t i = r->n_kept; i-- > 0 && ret == 0;) {
		if (now_ns - r->kept[i].used_ns > KEPT_AGE_MAX_NS)
			drop_kept(r, i);
		else
			ret = ask_kept(r, i);
	}
	return ret;
}

/* A datagram to another Service than the kept socket asks; best one that may lead to the same backend. */
static bool another_service(struct run *r, const struct sd_flow *k, struct past *ret)
{
	bool found = false;

	for (unsigned int tries = 0; tries < 20; tries++) {
		struct past p = ask_service(r);
		const struct service *svc = snapshot_service_by_ip(r->d.m.snapshot, &p.dst);

		if (p.proto != IPPROTO_UDP || p.dst.fam != k->s.t.dst.fam || asks_already(r, k->socket, &p))
			continue;
		*ret = p;
		found = true;
		if (service_port_serves(service_find_port(svc, p.proto, p.dport), &k->backend.addr, k->backend.port))
			break;
	}
	return found;
}

/* Another Service by a datagram socket that was kept. */
static int ask_same_socket(struct run *r)
{
	struct past p = {};
	struct sd_flow f;
	int ret;

	for (size_t i = r->n_kept; i-- > 0;) {
		const struct sd_flow *k = &r->kept[i];

		if (k->s.t.proto != IPPROTO_UDP || k->s.connected || k->call.way != SW_LED ||
		    !another_service(r, k, &p))
			continue;
		ret = sockdiff_share(k, &p.dst, p.dport, &f);
		if (ret == 0)
			ret = sockdiff_ask(&r->d, &f);
		if (ret == 0)
			keep(r, &f);
		return ret;
	}
	p = ask_service(r);
	return ask(r, &p, 0, false, 100);
}

/* Another way to the backend of a kept socket, from the same address and port: to the backend the two must differ. */
static int ask_same_backend(struct run *r)
{
	const struct sd_flow *f = r->n_kept ? &r->kept[below(r, (uint32_t)r->n_kept)] : NULL;
	struct past ways[1 + SM_SLOTS * SM_PORTS_MAX];
	struct sim_backend b;
	size_t n = 0;
	enum ip_family fam;

	if (!f || !f->answered || !f->s.connected || f->s.unbound)
		return 0;
	b = f->translated ? f->backend : (struct sim_backend){ f->s.t.dst, f->s.t.dport };
	fam = ip_addr_family(&b.addr);
	if (f->translated && !f->c->always_bound && !ip_addr_eq(&b.addr, &f->s.t.src))
		ways[n++] = (struct past){ f->c, b.addr, b.port, f->s.t.proto };
	for (unsigned int i = 0; i < SM_SLOTS; i++) {
		const struct ip_addr dst = sm_service_addr(i, fam);
		const struct service *svc = snapshot_service_by_ip(r->d.m.snapshot, &dst);

		for (size_t k = 0; svc && k < svc->n_ports; k++) {
			const struct service_port *p = &svc->ports[k];
			bool same = ip_addr_eq(&dst, &f->s.t.dst) && p->port == f->s.t.dport;

			if (p->proto == f->s.t.proto && !same && service_port_serves(p, &b.addr, b.port))
				ways[n++] = (struct past){ f->c, dst, p->port, p->proto };
		}
	}
	return n ? ask(r, &ways[below(r, (uint32_t)n)], f->s.t.sport, true, 0) : 0;
}

static int ask_something(struct run *r)
{
	uint32_t k = below(r, 100);
	struct past p;

	if (k < 10 && r->n_kept)
		return ask_kept(r, below(r, (uint32_t)r->n_kept));
	if (k < 20)
		return ask_same_backend(r);
	if (k < 26 && sockdiff_has_leads(&r->d))
		return ask_same_socket(r);
	if (k < 38)
		p = ask_again(r);
	else if (k < 45)
		p = ask_unknown_port(r);
	else if (k < 51)
		p = ask_pod(r);
	else if (k < 54)
		p = ask_nobody(r);
	else if (k < 62)
		p = ask_as_backend(r);
	else if (k < 72)
		p = ask_remembered(r);
	else
		p = ask_service(r);
	return ask(r, &p, 0, chance(r, sockdiff_has_leads(&r->d) ? 45 : 70), 25);
}

/* ---- models ---- */

static int apply(struct run *r, struct err *e)
{
	uint64_t begin_ns = clock_now_ns(&clock_monotonic);
	int ret = sockdiff_check_counters(&r->d, e);

	if (ret == 0)
		ret = sockdiff_apply(&r->d, e);
	r->apply_ns += clock_now_ns(&clock_monotonic) - begin_ns;
	return ret ? ret : sockdiff_start_counters(&r->d, e);
}

/* A datagram to an address that becomes a Service a moment later: its connection entry must not stand in the way (SEMANTICS 1.6). `before` is in
 * force, r->d.m is ahead of it. */
static int ask_early(struct run *r, const struct snapshot *before)
{
	struct snapshot *next = r->d.m.snapshot;
	int ret = 0;

	for (unsigned int i = 0; i < SM_SLOTS && ret == 0; i++) {
		enum ip_family fam = below(r, 2) ? IP_V6 : IP_V4;
		struct past p = { .dst = sm_service_addr(i, fam), .proto = IPPROTO_UDP };
		const struct service *svc = snapshot_service_by_ip(next, &p.dst);

		if (!svc || snapshot_service_by_ip(before, &p.dst))
			continue;
		for (size_t k = 0; k < svc->n_ports && !p.dport; k++)
			if (svc->ports[k].proto == IPPROTO_UDP)
				p.dport = svc->ports[k].port;
		if (!p.dport)
			continue;
		p.c = random_client(r, fam);
		r->d.m.snapshot = (struct snapshot *)before; /* what sockdiff looks at */
		ret = ask(r, &p, 0, chance(r, 70), 100);
		r->d.m.snapshot = next;
	}
	return ret;
}

static int some_asks(struct run *r, uint64_t n)
{
	int ret = 0;

	for (uint64_t i = 0; i < n && ret == 0; i++)
		ret = ask_something(r);
	return ret;
}

static int next_model(struct run *r, uint64_t i, struct err *e)
{
	CLEANUP(snapshot_unrefp) struct snapshot *before = snapshot_ref(r->d.m.snapshot);
	int ret;

	strbuf_free(&r->d.log);
	r->d.log = (struct strbuf)STRBUF_INIT;
	r->model = r->conf->seed + i;
	while (i % FRESH_EVERY == 0 && r->n_kept)
		drop_kept(r, r->n_kept - 1);
	if (i % FRESH_EVERY == 0)
		r->n_past = 0;
	ret = sockmodel_next(&r->d.m, r->model, i % FRESH_EVERY == 0);
	if (ret == 0)
		ret = ask_early(r, before);
	if (ret == 0)
		ret = apply(r, e);
	return ret ? ret : ask_all_kept(r);
}

static int one_model(struct run *r, uint64_t i, struct err *e)
{
	uint64_t before_asks = r->d.stats.asks, half = r->conf->asks / 2;
	int ret = next_model(r, i, e);

	if (ret == 0)
		ret = some_asks(r, half);
	if (ret == 0 && sockdiff_has_leads(&r->d))
		ret = sockround_before_leaving(&r->d, &r->leaving);
	if (ret == 0)
		ret = sockmodel_edit(&r->d.m);
	strbuf_add(&r->d.log, "--- an edit\n");
	r->n_edits++;
	if (ret == 0)
		ret = apply(r, e);
	if (ret == 0)
		ret = sockround_after_leaving(&r->d, &r->leaving);
	if (ret == 0)
		ret = ask_all_kept(r);
	if (ret == 0)
		ret = some_asks(r, r->conf->asks - half);
	if (ret == 0 && i % ROUNDS_EVERY == 3)
		ret = sockround_spread(&r->d);
	if (ret == 0 && i % ROUNDS_EVERY == 3)
		ret = sockround_affinity(&r->d, e);
	if (ret == 0 && i % ROUNDS_EVERY == 3)
		ret = ask_all_kept(r);
	if (ret == 0 && sockdiff_has_leads(&r->d) && i % MANY_EVERY == 1)
		ret = sockround_many(&r->d);
	if (ret == 0 && i % SCRATCH_EVERY == SCRATCH_EVERY - 1)
		ret = sockdiff_apply_from_scratch(&r->d, e);
	if (r->conf->verbose)
		printf("model %llu: %llu asks\n", (unsigned long long)r->model,
		       (unsigned long long)(r->d.stats.asks - before_asks));
	return ret;
}

static void report(const struct run *r, uint64_t i)
{
	uint64_t first = r->model - i % FRESH_EVERY;

	printf("\n--- %s disagrees with sim: %s\n", r->strategy, r->d.why);
	printf("--- model of seed %llu: run it again with --seed %llu --models %llu\n", (unsigned long long)r->model,
	       (unsigned long long)first, (unsigned long long)(r->model - first + 1));
	(void)snapshot_dump(r->d.m.snapshot, stdout);
	printf("--- what was done with it, the last is the one:\n%s\n", r->d.log.buf ? r->d.log.buf : "");
	(void)fflush(stdout);
}

static int all_models(struct run *r, struct err *e)
{
	int ret = 0;

	for (uint64_t i = 0; i < r->conf->models && ret == 0; i++) {
		ret = one_model(r, i, e);
		if (ret == 1)
			report(r, i);
		else if (ret < 0)
			fprintf(stderr, "seed %llu: %s %s (%s)\n", (unsigned long long)r->model, e->path, e->text,
				strerror(-ret));
	}
	sockround_close_leaving(&r->d, &r->leaving);
	while (r->n_kept)
		drop_kept(r, r->n_kept - 1);
	return ret;
}

/* ---- counts ---- */

static void print_stats(const struct run *r, const struct histogram *h)
{
	const struct sd_stats *s = &r->d.stats;

	printf("%llu asks over %llu models and %llu edits; tcp %llu udp %llu, IPv6 %llu; from pods %llu, nodes %llu, outside %llu; "
	       "on sockets kept %llu, to another node %llu, hairpins %llu, ports changed %llu, at the end of an affinity %llu; apply %.1f ms\n",
	       (unsigned long long)s->asks, (unsigned long long)r->conf->models, (unsigned long long)r->n_edits,
	       (unsigned long long)s->per_proto[IPPROTO_TCP], (unsigned long long)s->per_proto[IPPROTO_UDP],
	       (unsigned long long)s->v6, (unsigned long long)s->origin[SIM_FROM_POD],
	       (unsigned long long)s->origin[SIM_FROM_NODE], (unsigned long long)s->origin[SIM_FROM_OUTSIDE],
	       (unsigned long long)s->again, (unsigned long long)s->remote, (unsigned long long)s->hairpin,
	       (unsigned long long)s->clashes, (unsigned long long)s->late,
	       (double)r->apply_ns / 1e6 / (double)(r->n_edits ? 2 * r->n_edits : 1));
	for (int i = 0; i < VERDICT_MAX; i++)
		printf("  verdict  %-24s %8llu\n", verdict_name((enum verdict)i), (unsigned long long)h->verdict[i]);
	for (int i = 0; i < REASON_MAX; i++)
		printf("  reason   %-24s %8llu\n", reason_name((enum reason)i), (unsigned long long)h->reason[i]);
	for (size_t i = 0; i < sim_n_branches(); i++)
		printf("  branch   %-24s %8llu\n", sim_branch_name(i), (unsigned long long)h->branch[i]);
}

/* What bpf-sock did: calls that it left uncounted are named "below". */
static int tell_ways(const struct run *r)
{
	const struct sd_stats *s = &r->d.stats;
	struct histogram_count c[REASON_MAX + SD_HOOK_MAX + SD_FEAT_MAX];
	size_t n = 0;

	for (int i = 0; i < REASON_MAX; i++)
		c[n++] = (struct histogram_count){ i == REASON_NOT_SERVICE ? "below" : reason_name((enum reason)i),
						   s->way[i] };
	for (int i = 0; i < SD_HOOK_MAX; i++)
		c[n++] = (struct histogram_count){ sd_hook_name[i], s->hook[i] };
	for (int i = 0; i < SD_FEAT_MAX; i++)
		c[n++] = (struct histogram_count){ sd_feat_name[i], s->feat[i] };
	for (size_t i = 0; i < n; i++)
		printf("  way      %-24s %8llu\n", c[i].name, (unsigned long long)c[i].n);
	return histogram_write_counts("ways", c, n);
}

static int tell_counts(const struct run *r)
{
	CLEANUP_FREE uint64_t *branch = calloc(sim_n_branches(), sizeof(*branch));
	const struct histogram h = { r->d.stats.asks, r->d.stats.verdict, r->d.stats.reason, branch };
	int ret;

	if (!branch)
		return -ENOMEM;
	for (size_t i = 0; i < sim_n_branches(); i++)
		for (size_t node = 0; node < SM_NODES; node++)
			branch[i] += sim_branch_count(r->d.sims[node], i);
	print_stats(r, &h);
	ret = histogram_write(r->suite, &h);
	return ret < 0 || !sockdiff_has_leads(&r->d) ? ret : tell_ways(r);
}

/* ---- the lab ---- */

static int with_lab(struct run *r, struct testbed *tb, struct err *e)
{
	int ret = sockdiff_init(&r->d, tb, e);

	if (ret < 0)
		fprintf(stderr, "%s: %s\n", e->path, e->text);
	if (ret == 0)
		ret = sockdiff_start_counters(&r->d, e);
	if (ret == 0)
		ret = all_models(r, e);
	if (ret == 0 && tell_counts(r) < 0) {
		fprintf(stderr, "cannot write the counts\n");
		ret = 1;
	}
	sockdiff_done(&r->d);
	return ret;
}

static int run_all(struct run *r)
{
	char name[LAB_NAME_MAX + 1];
	struct testbed_conf conf = { .name = name, .strategy = strategy_find(r->strategy), .n_clients = 1 };
	struct testbed *tb = NULL;
	struct err e = {}, down = {};
	int ret = sockmodel_init(&r->d.m);

	if (ret < 0)
		return ret;
	(void)snprintf(name, sizeof(name), "sk%c-%x", r->strategy[0], (unsigned int)getpid());
	conf.snapshot = r->d.m.snapshot;
	ret = testbed_up(&conf, &tb, &e);
	if (ret < 0) {
		printf("%s%s: %s\n", ret == -EPERM || ret == -EOPNOTSUPP ? "SKIP: " : "", e.path, e.text);
	} else {
		ret = with_lab(r, tb, &e);
		if (testbed_down(tb, &down) < 0) {
			fprintf(stderr, "testbed_down: %s: %s\n", down.path, down.text);
			ret = ret ? ret : 1;
		}
	}
	sockmodel_done(&r->d.m);
	return ret;
}

int sockrun_main(int argc, char **argv, const char *suite, const char *strategy)
{
	struct conf conf = { .seed = 1, .models = 200, .asks = 26 };
	const struct opt opts[] = {
		{ "seed", OPT_U64, "N", "seed of the first model", &conf.seed, 0, UINT32_MAX },
		{ "models", OPT_U64, "N", "number of models", &conf.models, 1, 1000000 },
		{ "asks", OPT_U64, "N", "connections and datagrams for each model, besides those on kept sockets",
		  &conf.asks, 2, 100000 },
		{ "verbose", OPT_FLAG, NULL, "name each model after it ran", &conf.verbose, 0, 0 },
	};
	const struct opt_command cmd = {
		.name = suite,
		.summary = "a strategy against sim on sockets in a lab",
		.usage = "test_SUITE [options]",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
	};
	struct run *r = calloc(1, sizeof(*r));
	struct err e = {};
	size_t n_args = 0;
	int ret;

	if (!r || opt_parse(&cmd, argc, argv, NULL, &n_args, &conf.help, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		free(r);
		return 2;
	}
	if (conf.help) {
		opt_print_help(&cmd, stdout);
		free(r);
		return 0;
	}
	*r = (struct run){ .conf = &conf, .suite = suite, .strategy = strategy };
	histogram_forget(suite);
	ret = run_all(r);
	free(r);
	return ret == -EPERM || ret == -EOPNOTSUPP ? 77 : ret ? 1 : 0;
}
