/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check() and compile() of target bpf-sock: pure, the model only. A Service becomes entries that follow from the Service and the node alone: keys are its own
 * address, protocol and port. So a program is the same after a restart, and a delta is made of the changed Services only.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "base/vec.h"
#include "model/maglev.h"
#include "program.h"

#define UNDERSTOOD (1u << SERVICE_FEATURE_AFFINITY | 1u << SERVICE_FEATURE_TOPOLOGY)

uint32_t bpf_sock_check(const struct target_probe *probe, const struct service *svc, struct refusal_list *refusals)
{
	(void)probe;
	return target_check_service(svc, 1u << SERVICE_FACET_CLUSTER_IP, UNDERSTOOD, refusals);
}

struct compiler {
	struct target_program *p;
	const struct node *node_from, *node_to;
	const struct endpoint **selected; /* scratch */
	size_t cap_selected;
};

/* One Service port in one family, as this node sees it. */
struct view {
	struct entries *out; /* TABLE_MAX lists */
	const struct service *svc;
	const struct service_port *port;
	const struct node *node;
	enum ip_family fam;
	struct bpf_vip vip;
	struct bpf_service value;
};

/* May a client of this node have the endpoint's address? */
static bool may_be_here(const struct endpoint *ep, const struct node *node, enum ip_family fam)
{
	if (!node)
		return false;
	return !ep->node || str_eq(ep->node, node->name) || ip_addr_eq(&ep->addr, &node->addr[fam]) ||
	       (ip_addr_is_set(&node->pod_cidr[fam].addr) && ip_prefix_contains(&node->pod_cidr[fam], &ep->addr));
}

/* Endpoints whose choice outlives the moment. The selection keeps the port's order. */
static int compile_members(struct compiler *c, struct view *v, size_t n)
{
	bool sticky = v->svc->features & (1u << SERVICE_FEATURE_AFFINITY), udp = v->port->proto == IPPROTO_UDP;
	size_t next = 0;
	int r = 0;

	for (size_t i = 0; (sticky || udp) && i < v->port->n_endpoints[v->fam] && r == 0; i++) {
		const struct endpoint *ep = &v->port->endpoints[v->fam][i];
		struct bpf_member_key key = { .vip = v->vip, .backend = bpf_backend_of(&ep->addr, ep->port) };
		uint32_t flags = 0;

		if (next < n && c->selected[next] == ep) {
			flags |= BPF_MEMBER_ELIGIBLE;
			next++;
		}
		if (ep->serving)
			flags |= BPF_MEMBER_SERVING;
		if (flags)
			r = entries_add(TABLE_MEMBERS, &v->out[TABLE_MEMBERS], &key, &flags);
	}
	return r;
}

static int compile_backends(struct compiler *c, struct view *v, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		const struct endpoint *ep = c->selected[i];
		struct bpf_backend_key key = { .vip = v->vip, .index = (uint32_t)i };
		struct bpf_client_key self = { .vip = v->vip, .client = bpf_addr_of(&ep->addr) };
		struct bpf_backend b = bpf_backend_of(&ep->addr, ep->port);
		uint32_t one = 1;

		r = entries_add(TABLE_BACKENDS, &v->out[TABLE_BACKENDS], &key, &b);
		if (r < 0 || !may_be_here(ep, v->node, v->fam))
			continue;
		v->value.flags |= BPF_SERVICE_LOCAL;
		/* Two ports of one pod behind one Service port: one entry tells of both. */
		if (i == 0 || !ip_addr_eq(&c->selected[i - 1]->addr, &ep->addr))
			r = entries_add(TABLE_HAIRPINS, &v->out[TABLE_HAIRPINS], &self, &one);
	}
	return r;
}

static int fill_slots(struct compiler *c, size_t n, uint32_t m, uint16_t *slot)
{
	CLEANUP_FREE struct maglev_backend *b = calloc(n, sizeof(*b));

	if (!b)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		b[i] = (struct maglev_backend){ c->selected[i]->addr, c->selected[i]->port };
	return maglev_fill(b, n, m, slot);
}

static int compile_slots(struct compiler *c, struct view *v, size_t n)
{
	uint32_t m = maglev_size(n, 0);
	CLEANUP_FREE uint16_t *slot = NULL;
	int r;

	if (v->svc->choice != BACKEND_CHOICE_MAGLEV || m == 0)
		return 0;
	slot = calloc(m, sizeof(*slot));
	r = slot ? fill_slots(c, n, m, slot) : -ENOMEM;
	v->value.flags |= BPF_SERVICE_MAGLEV;
	v->value.slot_mask = m - 1;
	for (uint32_t i = 0; i < m / BPF_SLOTS_PER_BLOCK && r == 0; i++) {
		struct bpf_slots_key key = { .vip = v->vip, .block = i };

		r = entries_add(TABLE_SLOTS, &v->out[TABLE_SLOTS], &key, slot + i * BPF_SLOTS_PER_BLOCK);
	}
	return r;
}

static int compile_port(struct compiler *c, struct view *v)
{
	size_t n;
	int r = vec_grow_raw((void **)&c->selected, &c->cap_selected, v->port->n_endpoints[v->fam] + 1,
			     sizeof(struct endpoint *));

	if (r < 0)
		return r;
	n = service_select(v->port, v->fam, v->node, c->selected, NULL);
	v->value = (struct bpf_service){ .n_backends = (uint32_t)n };
	if (v->svc->features & (1u << SERVICE_FEATURE_AFFINITY)) {
		v->value.flags |= BPF_SERVICE_AFFINITY;
		v->value.affinity_timeout_s = v->svc->affinity_timeout_s;
	}
	r = compile_backends(c, v, n);
	if (r == 0)
		r = compile_members(c, v, n);
	if (r == 0 && n > 0)
		r = compile_slots(c, v, n);
	return r ? r : entries_add(TABLE_SERVICES, &v->out[TABLE_SERVICES], &v->vip, &v->value);
}

static bool is_carried(const struct target_program *p, const struct service *svc)
{
	return svc && p->with_services && bpf_sock_check(NULL, svc, NULL) & 1u << SERVICE_FACET_CLUSTER_IP;
}

static int compile_service(struct compiler *c, const struct service *svc, const struct node *node, struct entries *out)
{
	uint32_t one = 1;
	int r = 0;

	if (!is_carried(c->p, svc))
		return 0;
	for (int fam = 0; fam < IP_FAMILY_MAX && r == 0; fam++) {
		const struct ip_addr *ip = &svc->cluster_ip[fam];
		struct bpf_addr addr = bpf_addr_of(ip);

		if (!ip_addr_is_set(ip))
			continue;
		r = entries_add(TABLE_CLUSTER_IPS, &out[TABLE_CLUSTER_IPS], &addr, &one);
		for (size_t i = 0; i < svc->n_ports && r == 0; i++) {
			struct view v = { .out = out, .svc = svc, .port = &svc->ports[i], .node = node, .fam = fam };

			v.vip = bpf_vip_of(ip, v.port->proto, v.port->port);
			c->p->touches_udp = c->p->touches_udp || v.port->proto == IPPROTO_UDP;
			r = compile_port(c, &v);
		}
	}
	return r;
}

/* ---- delta ---- */

static int service_changed(const struct service *from, const struct service *to, void *arg)
{
	struct compiler *c = arg;
	int r = compile_service(c, from, c->node_from, c->p->del);

	c->p->n_services++;
	return r ? r : compile_service(c, to, c->node_to, c->p->add);
}

static int pod_changed(const struct pod *from, const struct pod *to, void *arg)
{
	struct compiler *c = arg;

	c->p->changes_clients = c->p->changes_clients || (from && str_eq(from->node, c->p->node)) ||
				(to && str_eq(to->node, c->p->node));
	return 0;
}

static int service_removed(const struct service *svc, void *arg)
{
	struct compiler *c = arg;

	c->p->n_services++;
	return compile_service(c, svc, c->node_from, c->p->del);
}

static int service_added(const struct service *svc, void *arg)
{
	struct compiler *c = arg;

	return compile_service(c, svc, c->node_to, c->p->add);
}

static int compile_delta(struct compiler *c)
{
	static const struct snapshot_diff_ops ops = { .service = service_changed, .pod = pod_changed };
	struct target_program *p = c->p;
	int r;

	c->node_from = snapshot_node(p->from, p->node);
	if (c->node_from && c->node_to && node_equal(c->node_from, c->node_to))
		return snapshot_diff(p->from, p->to, &ops, c);
	/* The node moved to another zone, or got other addresses: every Service may look different from here. */
	p->changes_clients = true;
	r = snapshot_each_service(p->from, service_removed, c);
	return r ? r : snapshot_each_service(p->to, service_added, c);
}

/* ---- full ---- */

static int service_wanted(const struct service *svc, void *arg)
{
	struct compiler *c = arg;

	c->p->n_services += is_carried(c->p, svc);
	return compile_service(c, svc, c->node_to, c->p->add);
}

/* ---- the program ---- */

static int program_new(const struct target_input *in, struct target_program **ret)
{
	CLEANUP(bpf_sock_program_freep) struct target_program *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->from = in->from ? snapshot_ref(in->from) : NULL;
	p->to = snapshot_ref(in->to);
	p->node = strdup(in->node ? in->node : "");
	if (!p->node)
		return -ENOMEM;
	p->with_services = in->with_services;
	p->host_only = in->host_sockets_only;
	p->changes_clients = !in->from;
	*ret = TAKE_PTR(p);
	return 0;
}

int bpf_sock_compile(const struct target_input *in, struct target_program **ret, struct err *e)
{
	CLEANUP(bpf_sock_program_freep) struct target_program *p = NULL;
	struct compiler c = {};
	int r = program_new(in, &p);

	if (r == 0) {
		c.p = p;
		c.node_to = snapshot_node(p->to, p->node);
		r = p->from ? compile_delta(&c) : snapshot_each_service(p->to, service_wanted, &c);
	}
	free(c.selected);
	if (r < 0)
		return err_set_errno(e, r, NULL, "cannot compile the Services of node %s", in->node ? in->node : "");
	for (int t = 0; t < TABLE_MAX; t++) {
		entries_sort(t, &p->add[t]);
		entries_sort(t, &p->del[t]);
	}
	*ret = TAKE_PTR(p);
	return 0;
}

bool bpf_sock_program_is_full(const struct target_program *p)
{
	return !p->from;
}

int bpf_sock_program_compile_full(const struct target_program *p, struct target_program **ret, struct err *e)
{
	const struct target_input in = {
		.to = p->to,
		.node = p->node,
		.with_services = p->with_services,
		.host_sockets_only = p->host_only,
	};

	return bpf_sock_compile(&in, ret, e);
}

const struct service_port *bpf_sock_program_port(const struct target_program *p, const struct bpf_vip *vip)
{
	struct ip_addr ip = bpf_addr_to_ip(&vip->addr);
	const struct service *svc = snapshot_service_by_ip(p->to, &ip);

	return is_carried(p, svc) ? service_find_port(svc, vip->proto, ntohs(vip->port)) : NULL;
}

void bpf_sock_program_free(struct target_program *p)
{
	if (!p)
		return;
	for (int t = 0; t < TABLE_MAX; t++) {
		entries_free(&p->add[t]);
		entries_free(&p->del[t]);
	}
	snapshot_unref(p->from);
	snapshot_unref(p->to);
	free(p->node);
	free(p);
}
