/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random models (gen.h). */
#include "gen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

static const uint16_t tcp_ports[] = { 8080, 8081 };
static const uint16_t udp_ports[] = { 5300, 5301 };
static const uint16_t sctp_ports[] = { 9000, 9001 };

uint32_t gen_below(struct gen *g, uint32_t n)
{
	return (uint32_t)rng_below(&g->rng, n);
}

bool gen_chance(struct gen *g, unsigned int percent)
{
	return rng_below(&g->rng, 100) < percent;
}

/* ---- addresses ---- */

static struct ip_addr addr_of(const char *fmt, uint32_t a, uint32_t b)
{
	struct ip_addr ret = {};
	char text[64];

	(void)snprintf(text, sizeof(text), fmt, a, b);
	if (ip_addr_parse(text, &ret) < 0)
		abort(); /* the formats below */
	return ret;
}

static struct ip_addr node_addr(bool here, uint8_t fam)
{
	return fam == AF_INET6 ? addr_of("fd00:172::%x", here ? 1 : 2, 0) : addr_of("172.18.0.%u", here ? 1 : 2, 0);
}

static struct ip_addr pod_addr(const struct gen_pod *p, uint8_t fam)
{
	uint32_t net = p->here ? 1 : 2;

	if (fam == AF_INET6)
		return addr_of("fd00:10:%u::%x", net, p->index + 2);
	return p->here ? addr_of("10.1.%u.%u", p->index / 200, p->index % 200 + 2) :
			 addr_of("10.2.%u.%u", p->index / 200, p->index % 200 + 2);
}

static struct ip_addr service_addr(uint32_t index, uint8_t fam)
{
	return fam == AF_INET6 ? addr_of("fd00:96::%x", index + 2, 0) :
				 addr_of("10.96.%u.%u", index / 200, index % 200 + 2);
}

struct ip_addr gen_outside_addr(uint32_t i, uint8_t fam)
{
	return fam == AF_INET6 ? addr_of("fd00:203::%x", i % 4 + 1, 0) : addr_of("203.0.113.%u", i % 4 + 1, 0);
}

struct ip_addr gen_unused_service_addr(uint8_t fam)
{
	return fam == AF_INET6 ? addr_of("fd00:96::ffff:%x", 1, 0) : addr_of("10.96.255.%u", 1, 0);
}

static struct ip_prefix pod_cidr(bool here, enum ip_family fam)
{
	struct ip_prefix ret = {};
	const char *text = fam == IP_V6 ? (here ? "fd00:10:1::/64" : "fd00:10:2::/64") :
					  (here ? "10.1.0.0/16" : "10.2.0.0/16");

	if (ip_prefix_parse(text, &ret) < 0)
		abort();
	return ret;
}

/* ---- objects of the model out of our descriptions ---- */

static int put_node(struct gen *g, struct snapshot_edit *ed, bool here)
{
	struct node fill = { .name = here ? GEN_NODE : GEN_OTHER_NODE,
			     .zone = g->zones ? (here ? "zone-1" : "zone-2") : NULL };
	struct node *n = NULL;
	int r;

	for (int i = 0; i < (g->v6 ? 2 : 1); i++) {
		fill.addr[i] = node_addr(here, i == IP_V6 ? AF_INET6 : AF_INET);
		if (g->cidrs)
			fill.pod_cidr[i] = pod_cidr(here, (enum ip_family)i);
	}
	r = node_new(&fill, &n, NULL);
	if (r == 0)
		r = snapshot_edit_put_node(ed, n, NULL);
	node_unref(n);
	return r;
}

static int put_pod(struct snapshot_edit *ed, const struct gen_pod *p)
{
	struct container_port ports[6];
	struct pod fill = { .ns = "gen", .node = p->here ? GEN_NODE : GEN_OTHER_NODE, .ready = true, .ports = ports };
	struct pod *pod = NULL;
	char name[32];
	int r;

	(void)snprintf(name, sizeof(name), "pod-%u", p->index);
	fill.name = name;
	for (int i = 0; i < 2; i++) {
		ports[fill.n_ports++] = (struct container_port){ .port = tcp_ports[i], .proto = IPPROTO_TCP };
		ports[fill.n_ports++] = (struct container_port){ .port = udp_ports[i], .proto = IPPROTO_UDP };
		ports[fill.n_ports++] = (struct container_port){ .port = sctp_ports[i], .proto = IPPROTO_SCTP };
	}
	if (p->v4)
		fill.addr[IP_V4] = pod_addr(p, AF_INET);
	if (p->v6)
		fill.addr[IP_V6] = pod_addr(p, AF_INET6);
	r = pod_new(&fill, &pod, NULL);
	if (r == 0)
		r = snapshot_edit_put_pod(ed, pod, NULL);
	pod_unref(pod);
	return r;
}

static const char *const hint_here[] = { GEN_NODE };
static const char *const hint_there[] = { GEN_OTHER_NODE };
static const char *const hint_both[] = { GEN_NODE, GEN_OTHER_NODE };
static const char *const hint_zone_here[] = { "zone-1" };
static const char *const hint_zone_there[] = { "zone-2" };

/* i: the endpoint's number in its port, so that hints differ among them. */
static void set_hints(struct endpoint *ep, enum gen_hints hints, size_t i, bool here)
{
	switch (hints) {
	case GEN_HINTS_NODES:
		ep->n_for_nodes = i % 3 == 2 ? 2 : 1;
		ep->for_nodes = i % 3 == 2 ? hint_both : i % 2 ? hint_there : hint_here;
		break;
	case GEN_HINTS_PARTIAL:
		if (i == 0)
			break;
		/* fall through */
	case GEN_HINTS_ZONES:
		ep->n_for_zones = 1;
		ep->for_zones = i % 2 ? hint_zone_there : hint_zone_here;
		break;
	case GEN_HINTS_FOREIGN:
		ep->n_for_zones = 1;
		ep->for_zones = hint_zone_there;
		break;
	default:
		break;
	}
	ep->node = here ? GEN_NODE : GEN_OTHER_NODE;
}

static bool endpoint_addr(const struct gen *g, const struct gen_endpoint *e, uint8_t fam, struct ip_addr *ret,
			  bool *ret_here)
{
	*ret_here = e->pod == GEN_EP_NODE || (e->pod >= 0 && g->pods[e->pod].here);
	if (e->pod < 0) {
		*ret = e->pod == GEN_EP_OUTSIDE ? gen_outside_addr(3, fam) : node_addr(e->pod == GEN_EP_NODE, fam);
		return fam == AF_INET || g->v6;
	}
	if (!g->pods[e->pod].used || !(fam == AF_INET6 ? g->pods[e->pod].v6 : g->pods[e->pod].v4))
		return false;
	*ret = pod_addr(&g->pods[e->pod], fam);
	return true;
}

struct port_room {
	char name[16];
	struct endpoint eps[IP_FAMILY_MAX][GEN_ENDPOINTS_MAX];
};

static void fill_port(const struct gen *g, const struct gen_service *s, const struct gen_port *p,
		      struct port_room *room, struct service_port *ret)
{
	(void)snprintf(room->name, sizeof(room->name), "p%u-%u", p->port, p->proto);
	*ret = (struct service_port){ .name = room->name, .proto = p->proto, .port = p->port };
	for (int fam = 0; fam < IP_FAMILY_MAX; fam++) {
		ret->endpoints[fam] = room->eps[fam];
		if (!(fam == IP_V6 ? s->v6 : s->v4))
			continue;
		for (size_t i = 0; i < p->n_endpoints; i++) {
			const struct gen_endpoint *e = &p->endpoints[i];
			struct endpoint *to = &room->eps[fam][ret->n_endpoints[fam]];
			bool here;

			*to = (struct endpoint){
				.port = e->port, .ready = e->ready, .serving = e->serving, .terminating = e->terminating
			};
			if (!endpoint_addr(g, e, fam == IP_V6 ? AF_INET6 : AF_INET, &to->addr, &here))
				continue;
			set_hints(to, p->hints, i, here);
			ret->n_endpoints[fam]++;
		}
	}
}

static int put_service(struct gen *g, struct snapshot_edit *ed, const struct gen_service *s)
{
	struct port_room rooms[GEN_PORTS_MAX] = {};
	struct service_port ports[GEN_PORTS_MAX];
	struct service fill = {
		.ns = "gen", .facets = 1u << SERVICE_FACET_CLUSTER_IP, .ports = ports, .n_ports = s->n_ports
	};
	struct service *svc = NULL;
	char name[32];
	int r;

	(void)snprintf(name, sizeof(name), "svc-%u", s->index);
	fill.name = name;
	if (s->v4)
		fill.cluster_ip[IP_V4] = service_addr(s->index, AF_INET);
	if (s->v6)
		fill.cluster_ip[IP_V6] = service_addr(s->index, AF_INET6);
	if (s->affinity_s) {
		fill.features |= 1u << SERVICE_FEATURE_AFFINITY;
		fill.affinity_timeout_s = s->affinity_s;
	}
	if (s->internal_local)
		fill.features |= 1u << SERVICE_FEATURE_INTERNAL_LOCAL;
	if (s->node_port)
		fill.facets |= 1u << SERVICE_FACET_NODE_PORT;
	fill.choice = s->maglev ? BACKEND_CHOICE_MAGLEV : BACKEND_CHOICE_RANDOM;
	for (size_t i = 0; i < s->n_ports; i++)
		fill_port(g, s, &s->ports[i], &rooms[i], &ports[i]);
	r = service_new(&fill, &svc, NULL);
	if (r == 0)
		r = snapshot_edit_put_service(ed, svc, NULL);
	service_unref(svc);
	return r;
}

/* ---- random descriptions ---- */

static void random_conditions(struct gen *g, struct gen_endpoint *e)
{
	uint32_t k = gen_below(g, 100);

	/* ready; ready is never terminating. Serving and terminating; not serving; terminating and gone. */
	e->ready = k < 65;
	e->serving = k < 85;
	e->terminating = k >= 65 && k != 99 && !(k >= 85 && k < 92);
}

static uint16_t random_target_port(struct gen *g, uint8_t proto)
{
	uint32_t i = gen_below(g, 2);

	return proto == IPPROTO_UDP ? udp_ports[i] : proto == IPPROTO_SCTP ? sctp_ports[i] : tcp_ports[i];
}

static int random_pod(struct gen *g)
{
	uint32_t start = gen_below(g, GEN_PODS_MAX);

	for (uint32_t i = 0; i < GEN_PODS_MAX; i++)
		if (g->pods[(start + i) % GEN_PODS_MAX].used)
			return (int)((start + i) % GEN_PODS_MAX);
	return GEN_EP_OUTSIDE;
}

static void random_endpoint(struct gen *g, uint8_t proto, struct gen_endpoint *e)
{
	e->pod = random_pod(g);
	if (!g->conf.pods_only && gen_chance(g, 12))
		e->pod = -1 - (int)gen_below(g, 3);
	e->port = random_target_port(g, proto);
	random_conditions(g, e);
}

static void random_endpoints(struct gen *g, struct gen_port *p)
{
	bool none_ready = gen_chance(g, 15);

	p->n_endpoints = gen_chance(g, 15) ? 0 : 1 + gen_below(g, GEN_ENDPOINTS_MAX);
	p->hints = gen_chance(g, 55) ? GEN_HINTS_NONE : (enum gen_hints)gen_below(g, GEN_HINTS_MAX);
	for (size_t i = 0; i < p->n_endpoints; i++) {
		random_endpoint(g, p->proto, &p->endpoints[i]);
		if (none_ready && p->endpoints[i].ready) {
			p->endpoints[i].ready = false;
			p->endpoints[i].terminating = true;
		}
	}
}

static void random_port(struct gen *g, struct gen_service *s, struct gen_port *p)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDP, IPPROTO_SCTP };
	bool clash = true;

	while (clash) {
		p->proto = protos[gen_below(g, g->conf.sctp ? 5 : 4)];
		/* Few numbers: one number with several protocols is wanted. */
		p->port = (uint16_t)(80 + gen_below(g, 3));
		clash = false;
		for (size_t i = 0; i < s->n_ports; i++)
			clash |= &s->ports[i] != p && s->ports[i].proto == p->proto && s->ports[i].port == p->port;
	}
	random_endpoints(g, p);
}

static void random_service(struct gen *g, struct gen_service *s)
{
	uint32_t fams = g->v6 ? gen_below(g, 3) : 0;

	memset(s, 0, sizeof(*s));
	s->used = true;
	s->index = g->n_made++;
	s->v4 = fams != 1;
	s->v6 = fams != 0;
	s->affinity_s =
		gen_chance(g, 45) ? GEN_AFFINITY_MIN_S + gen_below(g, GEN_AFFINITY_MAX_S - GEN_AFFINITY_MIN_S + 1) : 0;
	s->internal_local = g->conf.refused && gen_chance(g, 5);
	s->node_port = g->conf.refused && gen_chance(g, 10);
	s->maglev = gen_chance(g, 20);
	s->n_ports = 0;
	for (uint32_t n = 1 + gen_below(g, GEN_PORTS_MAX); n; n--) {
		struct gen_port *p = &s->ports[s->n_ports];

		random_port(g, s, p);
		s->n_ports++;
	}
}

static void random_pod_at(struct gen *g, struct gen_pod *p, bool here)
{
	uint32_t fams = g->v6 ? gen_below(g, 6) : 0;

	*p = (struct gen_pod){ .used = true, .here = here, .index = g->n_made++, .v4 = true, .v6 = g->v6 };
	if (fams == 1)
		p->v4 = false;
	else if (fams == 2)
		p->v6 = false;
}

/* ---- life ---- */

static int commit(struct gen *g, struct snapshot_edit *ed)
{
	struct snapshot *s = NULL;
	int r = snapshot_edit_commit(ed, &s);

	if (r < 0)
		return r;
	snapshot_unref(g->snapshot);
	g->snapshot = s;
	return 0;
}

static int put_all(struct gen *g, struct snapshot_edit *ed)
{
	int r;

	if ((r = put_node(g, ed, true)) < 0 || (r = put_node(g, ed, false)) < 0)
		return r;
	for (size_t i = 0; i < GEN_PODS_MAX; i++)
		if (g->pods[i].used && (r = put_pod(ed, &g->pods[i])) < 0)
			return r;
	for (size_t i = 0; i < GEN_SERVICES_MAX; i++)
		if (g->services[i].used && (r = put_service(g, ed, &g->services[i])) < 0)
			return r;
	return 0;
}

int gen_init(struct gen *g, const struct gen_conf *conf)
{
	struct snapshot_edit *ed = NULL;
	int r;

	memset(g, 0, sizeof(*g));
	g->conf = *conf;
	rng_seed(&g->rng, conf->seed);
	g->v6 = gen_chance(g, 75);
	g->cidrs = gen_chance(g, 92) || conf->cidrs;
	g->zones = gen_chance(g, 80);
	for (uint32_t i = 0, n = 4 + gen_below(g, 5); i < n; i++)
		random_pod_at(g, &g->pods[i], i < 2 || (i != 2 && gen_chance(g, 60)));
	for (uint32_t i = 0, n = 2 + gen_below(g, 5); i < n; i++)
		random_service(g, &g->services[i]);
	/* One stays, in both families, as "kubernetes" does in a cluster: the node tracks connections at all times. */
	g->services[0].v4 = true;
	g->services[0].v6 = g->v6;
	g->services[0].internal_local = false;
	r = snapshot_edit_new(NULL, &ed);
	if (r < 0)
		return r;
	r = put_all(g, ed);
	if (r < 0) {
		snapshot_edit_free(ed);
		return r;
	}
	return commit(g, ed);
}

void gen_done(struct gen *g)
{
	snapshot_unref(g->snapshot);
	g->snapshot = NULL;
}

/* ---- edits ---- */

static int edit_add_or_drop_service(struct gen *g, struct snapshot_edit *ed)
{
	struct gen_service *s = &g->services[1 + gen_below(g, GEN_SERVICES_MAX - 1)];
	char name[32];

	if (s->used) {
		(void)snprintf(name, sizeof(name), "svc-%u", s->index);
		s->used = false;
		return snapshot_edit_del_service(ed, "gen", name);
	}
	random_service(g, s);
	return put_service(g, ed, s);
}

/* Endpoints of a removed pod go with it, as the slice controller would see to. */
static int edit_add_or_drop_pod(struct gen *g, struct snapshot_edit *ed)
{
	uint32_t at = gen_below(g, GEN_PODS_MAX);
	struct gen_pod *p = &g->pods[at];
	char name[32];
	int r;

	if (!p->used) {
		random_pod_at(g, p, gen_chance(g, 60));
		return put_pod(ed, p);
	}
	/* Each node keeps some. And a pod of this node stays: when packets to it leave by another interface the kernel ends the connections that
	 * were masqueraded on the first (nf_nat_oif_changed), which no target has a say in. */
	if (at < 3 || p->here)
		return 0;
	(void)snprintf(name, sizeof(name), "pod-%u", p->index);
	p->used = false;
	r = snapshot_edit_del_pod(ed, "gen", name);
	for (size_t i = 0; i < GEN_SERVICES_MAX && r == 0; i++) {
		struct gen_service *s = &g->services[i];
		bool touched = false;

		for (size_t j = 0; s->used && j < s->n_ports; j++) {
			struct gen_port *port = &s->ports[j];
			size_t n = 0;

			for (size_t k = 0; k < port->n_endpoints; k++)
				if (port->endpoints[k].pod != (int)at)
					port->endpoints[n++] = port->endpoints[k];
			touched |= n != port->n_endpoints;
			port->n_endpoints = n;
		}
		if (touched)
			r = put_service(g, ed, s);
	}
	return r;
}

static void change_endpoints(struct gen *g, struct gen_port *p)
{
	switch (gen_below(g, 4)) {
	case 0:
		if (p->n_endpoints < GEN_ENDPOINTS_MAX)
			random_endpoint(g, p->proto, &p->endpoints[p->n_endpoints++]);
		break;
	case 1:
		if (p->n_endpoints)
			p->n_endpoints--;
		break;
	case 2:
		if (p->n_endpoints)
			random_conditions(g, &p->endpoints[gen_below(g, (uint32_t)p->n_endpoints)]);
		break;
	default:
		random_endpoints(g, p);
		break;
	}
}

static int edit_service(struct gen *g, struct snapshot_edit *ed)
{
	struct gen_service *s = NULL;
	uint32_t start = gen_below(g, GEN_SERVICES_MAX);

	for (uint32_t i = 0; i < GEN_SERVICES_MAX && !s; i++)
		if (g->services[(start + i) % GEN_SERVICES_MAX].used)
			s = &g->services[(start + i) % GEN_SERVICES_MAX];
	if (!s)
		return 0;
	switch (gen_below(g, 10)) {
	case 0:
		s->affinity_s = s->affinity_s ? 0 : GEN_AFFINITY_MIN_S;
		break;
	case 1:
		if (s->n_ports < GEN_PORTS_MAX)
			random_port(g, s, &s->ports[s->n_ports++]);
		break;
	case 2:
		if (s->n_ports > 1)
			s->n_ports--;
		break;
	case 3:
		if (g->conf.refused && s != &g->services[0])
			s->internal_local = !s->internal_local && gen_chance(g, 30);
		break;
	default:
		change_endpoints(g, &s->ports[gen_below(g, (uint32_t)s->n_ports)]);
		break;
	}
	return put_service(g, ed, s);
}

int gen_edit(struct gen *g)
{
	struct snapshot_edit *ed = NULL;
	uint32_t n = 1 + gen_below(g, 3);
	int r = snapshot_edit_new(g->snapshot, &ed);

	if (r < 0)
		return r;
	for (; n && r == 0; n--) {
		uint32_t k = gen_below(g, 10);

		if (k == 0)
			r = edit_add_or_drop_service(g, ed);
		else if (k == 1)
			r = edit_add_or_drop_pod(g, ed);
		else
			r = edit_service(g, ed);
	}
	if (r < 0) {
		snapshot_edit_free(ed);
		return r;
	}
	g->n_edits++;
	return commit(g, ed);
}

/* ---- picks ---- */

bool gen_pick_target(struct gen *g, struct gen_target *ret)
{
	uint32_t start = gen_below(g, GEN_SERVICES_MAX);

	for (uint32_t i = 0; i < GEN_SERVICES_MAX; i++) {
		const struct gen_service *s = &g->services[(start + i) % GEN_SERVICES_MAX];
		char name[32];
		bool v6;

		if (!s->used)
			continue;
		(void)snprintf(name, sizeof(name), "svc-%u", s->index);
		ret->service = snapshot_service(g->snapshot, "gen", name);
		if (!ret->service)
			return false;
		v6 = s->v6 && (!s->v4 || gen_chance(g, 50));
		ret->ip = ret->service->cluster_ip[v6 ? IP_V6 : IP_V4];
		ret->port = &ret->service->ports[gen_below(g, (uint32_t)ret->service->n_ports)];
		return true;
	}
	return false;
}

const struct pod *gen_pick_pod(struct gen *g, bool here, uint8_t fam)
{
	uint32_t start = gen_below(g, GEN_PODS_MAX);

	for (uint32_t i = 0; i < GEN_PODS_MAX; i++) {
		const struct gen_pod *p = &g->pods[(start + i) % GEN_PODS_MAX];
		char name[32];

		if (!p->used || p->here != here || !(fam == AF_INET6 ? p->v6 : p->v4))
			continue;
		(void)snprintf(name, sizeof(name), "pod-%u", p->index);
		return snapshot_pod(g->snapshot, "gen", name);
	}
	return NULL;
}
