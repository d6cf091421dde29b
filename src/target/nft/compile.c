/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check() and compile() of target nft: pure, the model only. A Service becomes elements that follow from the Service
 * and the node alone, so that a program is the same after a restart, and a delta is made of the changed Services
 * only.
 */
#include "program.h"

#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "base/vec.h"

#define UNDERSTOOD (1u << SERVICE_FEATURE_AFFINITY | 1u << SERVICE_FEATURE_TOPOLOGY | 1u << SERVICE_FEATURE_SCTP)

uint32_t nft_check(const struct target_probe *probe, const struct service *svc, struct refusal_list *refusals)
{
	uint32_t facets = target_check_service(svc, 1u << SERVICE_FACET_CLUSTER_IP, UNDERSTOOD, refusals);
	char object[2 * OBJ_NAME_MAX + 16];

	if (facets && probe && !(probe->features & NFT_FEATURE_IPV6) && ip_addr_is_set(&svc->cluster_ip[IP_V6])) {
		(void)snprintf(object, sizeof(object), "Service %s/%s", svc->ns, svc->name);
		if (refusals) /* counted even when there is no memory for the note */
			(void)refusal_add(refusals, REFUSAL_KERNEL_FEATURE, object, "spec.clusterIPs",
					  "nf_tables of this kernel has no NAT for IPv6");
		facets = 0;
	}
	return facets;
}

/* ---- one Service ---- */

struct compiler {
	struct target_program *p;
	const struct node *node_from, *node_to;
	const struct endpoint **scratch; /* selected endpoints of one port */
	size_t cap_scratch;
	uint32_t *n_selected; /* per port of the Service at hand */
	size_t cap_selected;
};

/* One Service of one family, as one node is to see it. */
struct view {
	struct elem_list *out;
	const struct service *svc;
	const struct node *node; /* NULL: unknown node; then no topology and no pod CIDR */
	enum ip_family fam;
	const struct ip_addr *cluster_ip;
};

static uint32_t affinity_timeout(const struct service *svc)
{
	return svc->features & 1u << SERVICE_FEATURE_AFFINITY ? svc->affinity_timeout_s : 0;
}

static void put_service_port(struct elem_build *b, const struct view *v, const struct service_port *port)
{
	elem_put_addr(b, v->cluster_ip);
	elem_put_proto(b, port->proto);
	elem_put_port(b, port->port);
}

static int add_backend(const struct view *v, const struct service_port *port, const struct endpoint *ep, uint32_t index)
{
	bool sticky = affinity_timeout(v->svc) > 0;
	struct elem_build b = {};

	put_service_port(&b, v, port);
	elem_put_index(&b, index);
	if (sticky)
		elem_put_proto(&b, port->proto);
	elem_put_addr(&b, &ep->addr);
	elem_put_port(&b, ep->port);
	return elem_add(v->out, sticky ? SET_STICKY_BACKENDS : SET_BACKENDS, v->fam, v->svc, &b);
}

static int add_eligible(const struct view *v, const struct service_port *port, const struct endpoint *ep)
{
	struct elem_build b = {};

	elem_put_addr(&b, &ep->addr);
	elem_put_port(&b, ep->port);
	put_service_port(&b, v, port);
	return elem_add(v->out, SET_ELIGIBLE, v->fam, v->svc, &b);
}

/* May the endpoint be a client of its own Service whose address is kept otherwise? Who is outside the pod CIDR is masqueraded
 * anyway. Without a pod CIDR, clients of other nodes may come this way, too. */
static bool is_kept(const struct view *v, const struct endpoint *ep)
{
	const struct ip_prefix *cidr = v->node ? &v->node->pod_cidr[v->fam] : NULL;

	if (cidr && ip_addr_is_set(&cidr->addr))
		return ip_prefix_contains(cidr, &ep->addr);
	return true;
}

static int add_hairpin(const struct view *v, const struct service_port *port, const struct endpoint *ep)
{
	struct elem_build b = {};

	elem_put_addr(&b, &ep->addr);
	elem_put_addr(&b, &ep->addr);
	put_service_port(&b, v, port);
	return elem_add(v->out, SET_HAIRPIN, v->fam, v->svc, &b);
}

static int add_key(const struct view *v, const struct service_port *port, enum nft_set_id set)
{
	struct elem_build b = {};

	put_service_port(&b, v, port);
	return elem_add(v->out, set, v->fam, v->svc, &b);
}

/* Phase 1 of a port: everything that nothing leads to yet. */
static int compile_backends(struct compiler *c, const struct view *v, const struct service_port *port, uint32_t *ret_n)
{
	size_t n;
	int r = vec_grow_raw((void **)&c->scratch, &c->cap_scratch, port->n_endpoints[v->fam] + 1, sizeof(*c->scratch));

	if (r < 0)
		return r;
	n = service_select(port, v->fam, v->node, c->scratch, NULL);
	r = add_key(v, port, SET_CONNECTIONS);
	for (size_t i = 0; i < n && r == 0; i++) {
		const struct endpoint *ep = c->scratch[i];

		r = add_backend(v, port, ep, (uint32_t)i);
		if (r == 0 && affinity_timeout(v->svc))
			r = add_eligible(v, port, ep);
		/* Sorted by address: one element for several ports of one address. */
		if (r == 0 && is_kept(v, ep) && (i == 0 || !ip_addr_eq(&c->scratch[i - 1]->addr, &ep->addr)))
			r = add_hairpin(v, port, ep);
	}
	*ret_n = (uint32_t)n;
	return r;
}

/* Phase 2 of a port: what leads there. */
static int compile_switch(const struct view *v, const struct service_port *port, uint32_t n)
{
	struct elem_build b = {};

	if (n == 0)
		return add_key(v, port, SET_NO_ENDPOINTS);
	put_service_port(&b, v, port);
	elem_put_chain(&b, (struct chain_ref){ .n = n, .timeout_s = affinity_timeout(v->svc) });
	return elem_add(v->out, SET_SERVICES, v->fam, v->svc, &b);
}

static int compile_view(struct compiler *c, const struct view *v)
{
	struct elem_build b = {};
	int r = vec_grow_raw((void **)&c->n_selected, &c->cap_selected, v->svc->n_ports + 1, sizeof(*c->n_selected));

	for (size_t i = 0; i < v->svc->n_ports && r == 0; i++)
		r = compile_backends(c, v, &v->svc->ports[i], &c->n_selected[i]);
	if (r < 0)
		return r;
	elem_put_addr(&b, v->cluster_ip);
	r = elem_add(v->out, SET_CLUSTER_IPS, v->fam, v->svc, &b);
	for (size_t i = 0; i < v->svc->n_ports && r == 0; i++)
		r = compile_switch(v, &v->svc->ports[i], c->n_selected[i]);
	return r;
}

static bool is_carried(const struct compiler *c, const struct service *svc)
{
	return svc && c->p->with_services &&
	       nft_check(c->p->has_probe ? &c->p->probe : NULL, svc, NULL) & 1u << SERVICE_FACET_CLUSTER_IP;
}

static bool has_udp(const struct service *svc)
{
	bool has = false;

	for (size_t i = 0; i < svc->n_ports; i++)
		has = has || svc->ports[i].proto == IPPROTO_UDP;
	return has;
}

static int compile_service(struct compiler *c, const struct service *svc, const struct node *node,
			   struct elem_list *out)
{
	int r = 0;

	if (!is_carried(c, svc))
		return 0;
	for (int fam = 0; fam < IP_FAMILY_MAX && r == 0; fam++) {
		struct view v = {
			.out = out, .svc = svc, .node = node, .fam = fam, .cluster_ip = &svc->cluster_ip[fam]
		};

		if (!ip_addr_is_set(v.cluster_ip))
			continue;
		r = compile_view(c, &v);
		c->p->touches_udp[fam] = c->p->touches_udp[fam] || has_udp(svc);
	}
	return r;
}

/* ---- delta: one changed Service ---- */

static int service_changed(const struct service *from, const struct service *to, void *arg)
{
	struct compiler *c = arg;
	int r = compile_service(c, from, c->node_from, &c->p->del);

	if (r == 0)
		r = compile_service(c, to, c->node_to, &c->p->add);
	c->p->n_services++;
	return r;
}

static int service_removed_fn(const struct service *svc, void *arg)
{
	struct compiler *c = arg;

	c->p->n_services++;
	return compile_service(c, svc, c->node_from, &c->p->del);
}

static int service_added_fn(const struct service *svc, void *arg)
{
	struct compiler *c = arg;

	return compile_service(c, svc, c->node_to, &c->p->add);
}

static bool is_same_node(const struct node *a, const struct node *b)
{
	if (!a || !b)
		return a == b;
	return str_eq(a->zone, b->zone) && memcmp(a->pod_cidr, b->pod_cidr, sizeof(a->pod_cidr)) == 0;
}

static int compile_delta(struct compiler *c)
{
	static const struct snapshot_diff_ops ops = { .service = service_changed };
	struct target_program *p = c->p;
	int r;

	c->node_from = snapshot_node(p->from, p->node);
	p->node_changed = !is_same_node(c->node_from, c->node_to);
	if (!p->node_changed)
		return snapshot_diff(p->from, p->to, &ops, c);
	/* The node moved to another zone, or got another pod CIDR: every Service may look different from here. */
	r = snapshot_each_service(p->from, service_removed_fn, c);
	return r ? r : snapshot_each_service(p->to, service_added_fn, c);
}

/* ---- full ---- */

static int compile_full(struct compiler *c)
{
	CLEANUP_FREE const struct service **v = NULL;
	size_t n = 0;
	int r = snapshot_sorted_services(c->p->to, &v, &n);

	for (size_t i = 0; i < n && r == 0; i++) {
		r = compile_service(c, v[i], c->node_to, &c->p->add);
		c->p->n_services += is_carried(c, v[i]);
	}
	return r;
}

/* ---- the program ---- */

static void sort_chains(struct chain_list *l)
{
	size_t n = 0;

	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), chain_ref_cmp);
	for (size_t i = 0; i < l->n; i++) {
		if (n == 0 || chain_ref_cmp(&l->v[n - 1], &l->v[i]) != 0)
			l->v[n++] = l->v[i];
	}
	l->n = n;
}

/* The chains that the operations begin to lead to, and those that they cease to lead to. */
static int collect_chains(struct target_program *p)
{
	int r = 0;

	for (size_t i = 0; i < p->ops.n && r == 0; i++) {
		const struct op *op = &p->ops.v[i];
		const struct elem *e = op_elem(&p->ops, op);
		struct chain_list *l = op->is_del ? &p->left[e->fam] : &p->chains[e->fam];
		struct chain_ref c;

		if (e->set != SET_SERVICES)
			continue;
		c = elem_chain(op_side(&p->ops, op), e);
		if (l->n == 0 || chain_ref_cmp(&l->v[l->n - 1], &c) != 0)
			r = vec_push(l, c);
	}
	for (int fam = 0; fam < IP_FAMILY_MAX; fam++) {
		sort_chains(&p->chains[fam]);
		sort_chains(&p->left[fam]);
	}
	return r;
}

static int program_new(const struct target_input *in, struct target_program **ret)
{
	CLEANUP(nft_program_freep) struct target_program *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->from = in->from ? snapshot_ref(in->from) : NULL;
	p->to = snapshot_ref(in->to);
	p->node = strdup(in->node ? in->node : "");
	if (!p->node)
		return -ENOMEM;
	p->with_services = in->with_services;
	p->has_probe = in->probe != NULL;
	if (in->probe)
		p->probe = *in->probe;
	*ret = TAKE_PTR(p);
	return 0;
}

int nft_compile(const struct target_input *in, struct target_program **ret, struct err *e)
{
	CLEANUP(nft_program_freep) struct target_program *p = NULL;
	struct compiler c = {};
	int r = program_new(in, &p);

	if (r == 0) {
		c.p = p;
		c.node_to = snapshot_node(p->to, p->node);
		if (c.node_to)
			memcpy(p->pod_cidr, c.node_to->pod_cidr, sizeof(p->pod_cidr));
		r = p->from ? compile_delta(&c) : compile_full(&c);
	}
	free(c.scratch);
	free(c.n_selected);
	if (r == 0)
		r = op_list_build(&p->del, &p->add, OP_ALL_FAMILIES, &p->ops);
	if (r == 0)
		r = collect_chains(p);
	if (r < 0)
		return err_set_errno(e, r, NULL, "cannot compile the Services of node %s", in->node ? in->node : "");
	*ret = TAKE_PTR(p);
	return 0;
}

int program_compile_full(const struct target_program *p, struct target_program **ret, struct err *e)
{
	struct target_input in = {
		.to = p->to,
		.node = p->node,
		.probe = p->has_probe ? &p->probe : NULL,
		.with_services = p->with_services,
	};

	return nft_compile(&in, ret, e);
}

bool program_is_full(const struct target_program *p)
{
	return !p->from;
}

void nft_program_free(struct target_program *p)
{
	if (!p)
		return;
	op_list_free(&p->ops);
	elem_list_free(&p->add);
	elem_list_free(&p->del);
	for (int fam = 0; fam < IP_FAMILY_MAX; fam++) {
		free(p->chains[fam].v);
		free(p->left[fam].v);
	}
	snapshot_unref(p->from);
	snapshot_unref(p->to);
	free(p->node);
	free(p);
}
