/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What bpf-sock has to do with a call (sockways.h). */
#include "sockways.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "model/maglev.h"

/* ---- expecting ---- */

/* Nobody carries a Service whose backends must be on the client's node. */
static const struct service *carried_service(const struct sw_call *c)
{
	const struct service *svc = snapshot_service_by_ip(c->s, &c->t->dst);

	return svc && !(svc->features & 1u << SERVICE_FEATURE_INTERNAL_LOCAL) ? svc : NULL;
}

static struct sw_peer *find_peer(struct sw_socket *s, const struct l4_tuple *t)
{
	for (size_t i = 0; i < s->n_peers; i++)
		if (s->peers[i].dport == t->dport && ip_addr_eq(&s->peers[i].dst, &t->dst))
			return &s->peers[i];
	if (s->n_peers == SW_PEERS_MAX)
		return NULL;
	s->peers[s->n_peers] = (struct sw_peer){ .dst = t->dst, .dport = t->dport };
	return &s->peers[s->n_peers++];
}

static bool is_eligible(const struct sw_call *c, const struct ip_addr *a)
{
	for (size_t i = 0; i < c->n_eligible; i++)
		if (ip_addr_eq(&c->eligible[i]->addr, a))
			return true;
	return false;
}

static void expect(struct sw_call *c, enum sw_way way, enum reason reason)
{
	c->way = way;
	c->reason = reason;
}

/*
 * The choice depends on who asks: with affinity, with the model's table, on a bound socket, and where a backend is on this node (it might be
 * the client itself). A datagram socket must be in a namespace where it can be ended.
 */
static bool needs_client(const struct sw_call *c)
{
	if (c->bound || c->t->proto == IPPROTO_UDP || c->service->features & 1u << SERVICE_FEATURE_AFFINITY ||
	    c->service->choice == BACKEND_CHOICE_MAGLEV)
		return true;
	for (size_t i = 0; i < c->n_eligible; i++)
		if (str_eq(c->eligible[i]->node, c->node->name))
			return true;
	return false;
}

static void expect_choice(struct sw_call *c)
{
	enum ip_family fam = ip_addr_family(&c->t->dst);

	c->n_eligible = service_select(c->port, fam, c->node, c->eligible, NULL);
	if (c->n_eligible == 0)
		expect(c, SW_REFUSED, REASON_NO_ENDPOINTS);
	else if (!needs_client(c))
		expect(c, SW_LED, REASON_CHOSEN);
	else if (!ip_addr_is_set(c->identity))
		expect(c, SW_BELOW, REASON_LEFT_CLIENT);
	else if (c->bound && !ip_addr_eq(c->bound, c->identity))
		expect(c, SW_BELOW, REASON_LEFT_BOUND);
	else if (is_eligible(c, c->identity))
		expect(c, SW_BELOW, REASON_LEFT_HAIRPIN);
	else
		expect(c, SW_LED, REASON_CHOSEN);
}

static void expect_sending(struct sw_call *c)
{
	c->peer = find_peer(c->socket, c->t);
	if (!c->peer) {
		expect(c, SW_BELOW, REASON_LEFT_FULL);
	} else if (c->peer->left != REASON_NOT_SERVICE) {
		expect(c, SW_BELOW, c->peer->left);
	} else if (c->peer->backend.port &&
		   service_port_serves(c->port, &c->peer->backend.addr, c->peer->backend.port)) {
		expect(c, SW_LED, REASON_ESTABLISHED);
	} else {
		c->peer->backend = (struct sim_backend){};
		expect_choice(c);
		if (c->way == SW_BELOW)
			c->peer->left = c->reason;
	}
}

void sw_expect(struct sw_call *c)
{
	expect(c, SW_BELOW, REASON_NOT_SERVICE);
	c->service = c->node ? carried_service(c) : NULL;
	c->port = c->service ? service_find_port(c->service, c->t->proto, c->t->dport) : NULL;
	c->peer = NULL;
	if (!c->service)
		return;
	if (!c->port)
		expect(c, SW_REFUSED, REASON_UNKNOWN_PORT);
	else if (c->sending)
		expect_sending(c);
	else
		expect_choice(c);
}

bool sw_clashes(const struct sw_call *c, const struct sim_backend *b)
{
	for (size_t i = 0; c->sending && i < c->socket->n_peers; i++) {
		const struct sw_peer *p = &c->socket->peers[i];

		if (p != c->peer && p->backend.port == b->port && ip_addr_eq(&p->backend.addr, &b->addr))
			return true;
	}
	return false;
}

static bool may_clash(const struct sw_call *c)
{
	for (size_t i = 0; i < c->n_eligible; i++) {
		const struct sim_backend b = { c->eligible[i]->addr, c->eligible[i]->port };

		if (sw_clashes(c, &b))
			return true;
	}
	return false;
}

bool sw_maglev(const struct sw_call *c, struct sim_backend *ret)
{
	bool sticky = c->service->features & 1u << SERVICE_FEATURE_AFFINITY;
	struct l4_tuple t = *c->t;
	struct maglev_backend b[ARRAY_LEN(c->eligible)];
	uint16_t slot[4096];
	uint32_t m = maglev_size(c->n_eligible, 0);
	uint16_t i;

	if (c->service->choice != BACKEND_CHOICE_MAGLEV || (!sticky && !c->bound))
		return false;
	t.src = *c->identity;
	t.sport = sticky ? 0 : t.sport;
	for (size_t k = 0; k < c->n_eligible; k++)
		b[k] = (struct maglev_backend){ c->eligible[k]->addr, c->eligible[k]->port };
	if (m > ARRAY_LEN(slot) || maglev_fill(b, c->n_eligible, m, slot) < 0)
		return false;
	i = slot[tuple_hash(&t) & (m - 1)];
	*ret = (struct sim_backend){ b[i].addr, b[i].port };
	return true;
}

/* ---- what was counted ---- */

int sw_begin(struct sw_call *c, int metrics_fd)
{
	return metrics_fd < 0 ? 0 : bpf_metrics_read(metrics_fd, c->before);
}

static bool is_allowed(const struct sw_call *c, enum reason seen)
{
	if (seen == c->reason)
		return true;
	if (c->reason != REASON_CHOSEN)
		return false;
	return (seen == REASON_AFFINITY && c->service->features & 1u << SERVICE_FEATURE_AFFINITY) ||
	       (seen == REASON_LEFT_CLASH && may_clash(c));
}

int sw_end(struct sw_call *c, int metrics_fd, char *why, size_t why_size)
{
	uint64_t after[REASON_MAX], n = 0;
	enum reason seen = REASON_NOT_SERVICE;
	int r = metrics_fd < 0 ? 0 : bpf_metrics_read(metrics_fd, after);

	if (r < 0 || metrics_fd < 0)
		return r;
	for (int i = 0; i < REASON_MAX; i++) {
		n += after[i] - c->before[i];
		if (after[i] != c->before[i])
			seen = (enum reason)i;
	}
	if (n > 1 || !is_allowed(c, seen)) {
		(void)snprintf(why, why_size, "bpf-sock counts %s (%llu in all), wanted %s", reason_name(seen),
			       (unsigned long long)n, reason_name(c->reason));
		return 1;
	}
	c->reason = seen;
	if (seen == REASON_LEFT_CLASH && c->way == SW_LED) {
		c->way = SW_BELOW;
		c->peer->left = seen;
	}
	return 0;
}
