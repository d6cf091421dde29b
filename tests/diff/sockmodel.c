/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random models over pods that stay (sockmodel.h). */
#include "sockmodel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define SM_LASTING 5 /* the first Services change more rarely: what they remember of clients is to time out */

uint32_t sockmodel_below(struct sockmodel *m, uint32_t n)
{
	return (uint32_t)rng_below(&m->rng, n);
}

bool sockmodel_chance(struct sockmodel *m, unsigned int percent)
{
	return rng_below(&m->rng, 100) < percent;
}

/* ---- what stays ---- */

static struct ip_addr addr_of(const char *fmt, unsigned int a, unsigned int b)
{
	struct ip_addr ret = {};
	char text[64];

	(void)snprintf(text, sizeof(text), fmt, a, b);
	if (ip_addr_parse(text, &ret) < 0)
		abort(); /* the formats below */
	return ret;
}

const char *sm_node_name(unsigned int node)
{
	static const char *const names[SM_NODES] = { "node-a", "node-b" };

	return names[node];
}

struct ip_addr sm_node_addr(unsigned int node, enum ip_family fam)
{
	return addr_of(fam == IP_V6 ? "fd00:172:30::%x" : "172.30.0.%u", node + 1, 0);
}

const char *sm_pod_name(unsigned int pod)
{
	static const char *const names[SM_PODS] = { "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7" };

	return names[pod];
}

unsigned int sm_pod_node(unsigned int pod)
{
	return pod < SM_PODS / 2 ? 0 : 1;
}

/* One pod has IPv4 only, one IPv6 only. */
bool sm_pod_has(unsigned int pod, enum ip_family fam)
{
	return pod != (fam == IP_V6 ? 3 : SM_PODS - 1);
}

struct ip_addr sm_pod_addr(unsigned int pod, enum ip_family fam)
{
	return addr_of(fam == IP_V6 ? "fd00:10:244:%x::%x" : "10.244.%u.%u", sm_pod_node(pod) + 1, pod + 2);
}

uint16_t sm_pod_port(unsigned int pod, uint8_t proto, unsigned int i)
{
	return (uint16_t)((proto == IPPROTO_TCP ? 8000 : 5300) + 100 * pod + 37 * i);
}

struct ip_addr sm_service_addr(unsigned int slot, enum ip_family fam)
{
	return addr_of(fam == IP_V6 ? "fd00:10:96::%x" : "10.96.0.%u", slot + 16, 0);
}

static struct ip_prefix pod_cidr(unsigned int node, enum ip_family fam)
{
	struct ip_prefix ret = { .len = fam == IP_V6 ? 64 : 24 };

	ret.addr = addr_of(fam == IP_V6 ? "fd00:10:244:%x::" : "10.244.%u.0", node + 1, 0);
	return ret;
}

static int put_node(struct snapshot_edit *ed, unsigned int node)
{
	struct node fill = { .name = sm_node_name(node), .zone = node ? "zone-2" : "zone-1" };
	struct node *n = NULL;
	int r;

	for (int fam = 0; fam < IP_FAMILY_MAX; fam++) {
		fill.addr[fam] = sm_node_addr(node, fam);
		fill.pod_cidr[fam] = pod_cidr(node, fam);
	}
	r = node_new(&fill, &n, NULL);
	if (r == 0)
		r = snapshot_edit_put_node(ed, n, NULL);
	node_unref(n);
	return r;
}

static int put_pod(struct snapshot_edit *ed, unsigned int pod)
{
	struct container_port ports[2 * SM_POD_PORTS];
	struct pod fill = { .ns = "pods", .name = sm_pod_name(pod), .ready = true, .ports = ports };
	struct pod *p = NULL;
	int r;

	fill.node = sm_node_name(sm_pod_node(pod));
	for (unsigned int i = 0; i < SM_POD_PORTS; i++) {
		ports[fill.n_ports++] =
			(struct container_port){ .port = sm_pod_port(pod, IPPROTO_TCP, i), .proto = IPPROTO_TCP };
		ports[fill.n_ports++] =
			(struct container_port){ .port = sm_pod_port(pod, IPPROTO_UDP, i), .proto = IPPROTO_UDP };
	}
	for (int fam = 0; fam < IP_FAMILY_MAX; fam++)
		if (sm_pod_has(pod, fam))
			fill.addr[fam] = sm_pod_addr(pod, fam);
	r = pod_new(&fill, &p, NULL);
	if (r == 0)
		r = snapshot_edit_put_pod(ed, p, NULL);
	pod_unref(p);
	return r;
}

/* ---- Services out of our descriptions ---- */

static const char *const for_node[][1] = { { "node-a" }, { "node-b" } };
static const char *const for_both[] = { "node-a", "node-b" };
static const char *const for_zone[][1] = { { "zone-1" }, { "zone-2" }, { "zone-3" } };

/* i: the endpoint's number in its port, so that hints differ among them. */
static void set_hints(struct endpoint *ep, enum sm_hints hints, size_t i)
{
	switch (hints) {
	case SM_HINTS_NODES:
		ep->n_for_nodes = i % 3 == 2 ? 2 : 1;
		ep->for_nodes = i % 3 == 2 ? for_both : for_node[i % 2];
		break;
	case SM_HINTS_PARTIAL:
		if (i == 0)
			break;
		/* fall through */
	case SM_HINTS_ZONES:
		ep->n_for_zones = 1;
		ep->for_zones = for_zone[i % 2];
		break;
	case SM_HINTS_FOREIGN:
		ep->n_for_zones = 1;
		ep->for_zones = for_zone[2];
		break;
	default:
		break;
	}
}

struct port_room {
	char name[16];
	struct endpoint eps[IP_FAMILY_MAX][SM_ENDPOINTS_MAX];
};

static void fill_port(const struct sm_service *s, const struct sm_port *p, struct port_room *room,
		      struct service_port *ret)
{
	(void)snprintf(room->name, sizeof(room->name), "p%u-%u", p->port, p->proto);
	*ret = (struct service_port){ .name = room->name, .proto = p->proto, .port = p->port };
	for (int fam = 0; fam < IP_FAMILY_MAX; fam++) {
		ret->endpoints[fam] = room->eps[fam];
		if (!(fam == IP_V6 ? s->v6 : s->v4))
			continue;
		for (size_t i = 0; i < p->n_endpoints; i++) {
			const struct sm_endpoint *e = &p->endpoints[i];
			struct endpoint *to = &room->eps[fam][ret->n_endpoints[fam]];

			if (!sm_pod_has(e->pod, fam))
				continue;
			*to = (struct endpoint){
				.port = e->port, .ready = e->ready, .serving = e->serving, .terminating = e->terminating
			};
			to->addr = sm_pod_addr(e->pod, fam);
			to->node = sm_node_name(sm_pod_node(e->pod));
			set_hints(to, p->hints, i);
			ret->n_endpoints[fam]++;
		}
	}
}

static void service_name(unsigned int slot, const struct sm_service *s, char buf[static 16])
{
	(void)snprintf(buf, 16, "svc-%u%s", slot, s->second_name ? "b" : "");
}

static int put_service(struct snapshot_edit *ed, unsigned int slot, const struct sm_service *s)
{
	struct port_room rooms[SM_PORTS_MAX] = {};
	struct service_port ports[SM_PORTS_MAX];
	struct service fill = {
		.ns = "svcs", .facets = 1u << SERVICE_FACET_CLUSTER_IP, .ports = ports, .n_ports = s->n_ports
	};
	struct service *svc = NULL;
	char name[16];
	int r;

	service_name(slot, s, name);
	fill.name = name;
	if (s->v4)
		fill.cluster_ip[IP_V4] = sm_service_addr(slot, IP_V4);
	if (s->v6)
		fill.cluster_ip[IP_V6] = sm_service_addr(slot, IP_V6);
	if (s->affinity_s)
		fill.features |= 1u << SERVICE_FEATURE_AFFINITY;
	fill.affinity_timeout_s = s->affinity_s;
	if (s->internal_local)
		fill.features |= 1u << SERVICE_FEATURE_INTERNAL_LOCAL;
	if (s->node_port)
		fill.facets |= 1u << SERVICE_FACET_NODE_PORT;
	fill.choice = s->maglev ? BACKEND_CHOICE_MAGLEV : BACKEND_CHOICE_RANDOM;
	for (size_t i = 0; i < s->n_ports; i++)
		fill_port(s, &s->ports[i], &rooms[i], &ports[i]);
	r = service_new(&fill, &svc, NULL);
	if (r == 0)
		r = snapshot_edit_put_service(ed, svc, NULL);
	service_unref(svc);
	return r;
}

/* From the slots as they were to the slots as they are. Addresses are free before they are taken again. */
static int commit(struct sockmodel *m, const struct sm_service *were)
{
	struct snapshot_edit *ed = NULL;
	struct snapshot *s = NULL;
	char name[16], old_name[16];
	int r = snapshot_edit_new(m->snapshot, &ed);

	for (unsigned int i = 0; i < SM_SLOTS && r == 0; i++) {
		service_name(i, &were[i], old_name);
		service_name(i, &m->slots[i], name);
		if (were[i].used && (!m->slots[i].used || strcmp(name, old_name) != 0))
			r = snapshot_edit_del_service(ed, "svcs", old_name);
	}
	for (unsigned int i = 0; i < SM_SLOTS && r == 0; i++) {
		if (m->slots[i].used && memcmp(&m->slots[i], &were[i], sizeof(were[i])) != 0)
			r = put_service(ed, i, &m->slots[i]);
	}
	if (r < 0) {
		snapshot_edit_free(ed);
		return r;
	}
	r = snapshot_edit_commit(ed, &s);
	if (r < 0)
		return r;
	snapshot_unref(m->snapshot);
	m->snapshot = s;
	return 0;
}

/* ---- random descriptions ---- */

static void random_conditions(struct sockmodel *m, struct sm_endpoint *e)
{
	uint32_t k = sockmodel_below(m, 100);

	/* Ready; serving and terminating; not serving, some of them terminating. */
	e->ready = k < 68;
	e->serving = k < 86;
	e->terminating = k >= 68 && k < 93;
}

static bool has_pod(const struct sm_port *p, uint8_t pod)
{
	for (size_t i = 0; i < p->n_endpoints; i++)
		if (p->endpoints[i].pod == pod)
			return true;
	return false;
}

static void add_endpoint(struct sockmodel *m, struct sm_port *p)
{
	struct sm_endpoint e = {};

	if (p->n_endpoints == SM_ENDPOINTS_MAX)
		return;
	do
		e.pod = (uint8_t)sockmodel_below(m, SM_PODS);
	while (has_pod(p, e.pod));
	e.port = sm_pod_port(e.pod, p->proto, sockmodel_below(m, SM_POD_PORTS));
	random_conditions(m, &e);
	p->endpoints[p->n_endpoints++] = e;
}

static void random_endpoints(struct sockmodel *m, struct sm_port *p)
{
	static const enum sm_hints hints[] = { SM_HINTS_NODES, SM_HINTS_NODES,	 SM_HINTS_ZONES,
					       SM_HINTS_ZONES, SM_HINTS_PARTIAL, SM_HINTS_FOREIGN };
	bool none_ready = sockmodel_chance(m, 15);
	uint32_t n = sockmodel_chance(m, 12) ? 0 : 1 + sockmodel_below(m, SM_ENDPOINTS_MAX);

	memset(p->endpoints, 0, sizeof(p->endpoints));
	p->n_endpoints = 0;
	p->hints = sockmodel_chance(m, 50) ? SM_HINTS_NONE : hints[sockmodel_below(m, ARRAY_LEN(hints))];
	while (p->n_endpoints < n)
		add_endpoint(m, p);
	for (size_t i = 0; i < p->n_endpoints && none_ready; i++) {
		p->endpoints[i].terminating |= p->endpoints[i].ready;
		p->endpoints[i].ready = false;
	}
}

static void add_port(struct sockmodel *m, struct sm_service *s)
{
	/* Few numbers: one number with both protocols is wanted. */
	static const uint16_t numbers[] = { 80, 81, 53 };
	struct sm_port p = {};
	bool clash = true;

	while (clash) {
		p.proto = sockmodel_chance(m, 50) ? IPPROTO_TCP : IPPROTO_UDP;
		p.port = numbers[sockmodel_below(m, ARRAY_LEN(numbers))];
		clash = false;
		for (size_t i = 0; i < s->n_ports; i++)
			clash |= s->ports[i].proto == p.proto && s->ports[i].port == p.port;
	}
	random_endpoints(m, &p);
	s->ports[s->n_ports++] = p;
}

static uint32_t random_affinity(struct sockmodel *m)
{
	static const uint32_t timeouts_s[] = { 1, 1, 2, 3, 10800 };

	return sockmodel_chance(m, 45) ? timeouts_s[sockmodel_below(m, ARRAY_LEN(timeouts_s))] : 0;
}

static void random_service(struct sockmodel *m, struct sm_service *s)
{
	uint32_t fams = sockmodel_below(m, 4);

	memset(s, 0, sizeof(*s));
	if (sockmodel_chance(m, 20))
		return;
	s->used = true;
	s->second_name = sockmodel_chance(m, 30);
	s->v4 = fams != 1;
	s->v6 = fams != 0;
	s->affinity_s = random_affinity(m);
	s->internal_local = sockmodel_chance(m, 4);
	s->node_port = sockmodel_chance(m, 5);
	s->maglev = sockmodel_chance(m, 30);
	for (uint32_t n = 1 + sockmodel_below(m, SM_PORTS_MAX); n; n--)
		add_port(m, s);
}

static void change_endpoints(struct sockmodel *m, struct sm_port *p)
{
	switch (sockmodel_below(m, 5)) {
	case 0:
		add_endpoint(m, p);
		break;
	case 1:
	case 2:
		if (p->n_endpoints) { /* the first: all indexes move */
			memmove(p->endpoints, p->endpoints + 1, --p->n_endpoints * sizeof(*p->endpoints));
			memset(&p->endpoints[p->n_endpoints], 0, sizeof(*p->endpoints));
		}
		break;
	case 3:
		if (p->n_endpoints)
			random_conditions(m, &p->endpoints[sockmodel_below(m, (uint32_t)p->n_endpoints)]);
		break;
	default:
		random_endpoints(m, p);
		break;
	}
}

static void change_service(struct sockmodel *m, struct sm_service *s)
{
	switch (sockmodel_below(m, 12)) {
	case 0:
		s->affinity_s = random_affinity(m);
		break;
	case 1:
		if (s->n_ports < SM_PORTS_MAX)
			add_port(m, s);
		break;
	case 2:
		if (s->n_ports > 1)
			memset(&s->ports[--s->n_ports], 0, sizeof(s->ports[0]));
		break;
	default:
		for (size_t i = 0; i < s->n_ports; i++)
			if (sockmodel_chance(m, 60))
				change_endpoints(m, &s->ports[i]);
		break;
	}
}

/* ---- life ---- */

static void staying_service(struct sm_service *s, uint8_t first_pod, uint8_t step, size_t n)
{
	*s = (struct sm_service){ .used = true, .v4 = true, .v6 = true, .n_ports = 2 };
	for (size_t i = 0; i < s->n_ports; i++) {
		struct sm_port *p = &s->ports[i];

		p->proto = i ? IPPROTO_UDP : IPPROTO_TCP;
		p->port = SM_STAYING_PORT;
		for (uint8_t pod = first_pod; p->n_endpoints < n; pod = (uint8_t)((pod + step) % SM_PODS))
			p->endpoints[p->n_endpoints++] = (struct sm_endpoint){
				.pod = pod, .port = sm_pod_port(pod, p->proto, 0), .ready = true, .serving = true
			};
	}
}

static void staying_services(struct sockmodel *m)
{
	staying_service(&m->slots[SM_PLAIN], 0, 3, 4);
	staying_service(&m->slots[SM_STICKY], m->n_rotated % SM_PODS, 1, 5);
	m->slots[SM_STICKY].affinity_s = 1;
}

int sockmodel_init(struct sockmodel *m)
{
	struct snapshot_edit *ed = NULL;
	struct sm_service none[SM_SLOTS];
	int r;

	memset(m, 0, sizeof(*m));
	memset(none, 0, sizeof(none));
	r = snapshot_edit_new(NULL, &ed);
	for (unsigned int i = 0; i < SM_NODES && r == 0; i++)
		r = put_node(ed, i);
	for (unsigned int i = 0; i < SM_PODS && r == 0; i++)
		r = put_pod(ed, i);
	if (r < 0) {
		snapshot_edit_free(ed);
		return r;
	}
	r = snapshot_edit_commit(ed, &m->snapshot);
	if (r < 0)
		return r;
	staying_services(m);
	return commit(m, none);
}

void sockmodel_done(struct sockmodel *m)
{
	snapshot_unref(m->snapshot);
	m->snapshot = NULL;
}

int sockmodel_next(struct sockmodel *m, uint64_t seed, bool fresh)
{
	struct sm_service were[SM_SLOTS];

	memcpy(were, m->slots, sizeof(were));
	rng_seed(&m->rng, seed);
	for (unsigned int i = SM_STICKY + 1; i < SM_SLOTS; i++) {
		uint32_t k = sockmodel_below(m, 100) + (i < SM_LASTING ? 30 : 0);

		if (fresh || k < 35)
			random_service(m, &m->slots[i]);
		else if (k < 60 && m->slots[i].used)
			change_service(m, &m->slots[i]);
	}
	return commit(m, were);
}

static size_t n_ready(const struct sm_port *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_endpoints; i++)
		n += p->endpoints[i].ready;
	return n;
}

void sockmodel_pick_leaving(struct sockmodel *m)
{
	uint32_t n = 0;

	m->leaving = (struct sm_leaving){};
	for (unsigned int i = SM_STICKY + 1; i < SM_SLOTS; i++) {
		const struct sm_service *s = &m->slots[i];

		for (size_t k = 0; s->used && !s->internal_local && k < s->n_ports; k++)
			if (s->ports[k].proto == IPPROTO_UDP && n_ready(&s->ports[k]) > 1 &&
			    sockmodel_below(m, ++n) == 0)
				m->leaving = (struct sm_leaving){ true, i, s->ports[k].proto, s->ports[k].port };
	}
}

/* The last that is ready stays. */
static void leave_port(struct sockmodel *m, struct sm_port *p)
{
	bool removed = sockmodel_chance(m, 50);
	size_t last = p->n_endpoints;

	while (last > 0 && !p->endpoints[last - 1].ready)
		last--;
	if (last == 0)
		return;
	if (removed) {
		p->endpoints[0] = p->endpoints[last - 1];
		memset(&p->endpoints[1], 0, (SM_ENDPOINTS_MAX - 1) * sizeof(p->endpoints[0]));
		p->n_endpoints = 1;
		return;
	}
	for (size_t i = 0; i < p->n_endpoints; i++)
		if (i != last - 1)
			p->endpoints[i].ready = p->endpoints[i].serving = false;
}

static void leave(struct sockmodel *m)
{
	struct sm_service *s = &m->slots[m->leaving.slot];

	for (size_t i = 0; m->leaving.used && i < s->n_ports; i++)
		if (s->ports[i].proto == m->leaving.proto && s->ports[i].port == m->leaving.port)
			leave_port(m, &s->ports[i]);
	m->leaving = (struct sm_leaving){};
}

int sockmodel_edit(struct sockmodel *m)
{
	struct sm_service were[SM_SLOTS];

	memcpy(were, m->slots, sizeof(were));
	for (unsigned int i = SM_STICKY + 1; i < SM_SLOTS; i++)
		if (m->slots[i].used && sockmodel_chance(m, 40))
			change_service(m, &m->slots[i]);
	leave(m);
	return commit(m, were);
}

int sockmodel_rotate(struct sockmodel *m)
{
	struct sm_service were[SM_SLOTS];

	memcpy(were, m->slots, sizeof(were));
	m->n_rotated++;
	staying_services(m);
	return commit(m, were);
}
