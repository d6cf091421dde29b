/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Endpoints of Services. Called by build.c. For each Service the first of these that applies:
 *
 * 1. EndpointSlices of the input (the dump of a cluster, or a Service without selector). What was
 *    observed is the truth.
 * 2. Endpoints objects of the input, when no slice names the Service.
 * 3. The pods that its selector matches, as the EndpointSlice controller takes them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "selector.h"

struct endpoint_list {
	VEC(struct endpoint) eps;
};

struct endpoints_build {
	struct load *l;
	struct snapshot_edit *ed;
	struct selector_index *index;
	struct map *by_name; /* "ns/name" -> struct raw_service */
};

static void service_key(char key[static 2 * OBJ_NAME_MAX], const char *ns, const char *name)
{
	(void)snprintf(key, 2 * OBJ_NAME_MAX, "%s/%s", ns, name);
}

/* ---- slices to their Services ---- */

static int index_services(struct endpoints_build *b)
{
	char key[2 * OBJ_NAME_MAX];
	int r = 0;

	for (size_t i = 0; i < b->l->services.n && r == 0; i++) {
		struct raw_service *s = b->l->services.v[i];

		service_key(key, s->ns, s->name);
		r = map_put_str(b->by_name, key, s, NULL);
	}
	return r;
}

static bool names_match(const struct raw_slice_port *sp, const struct raw_service_port *p)
{
	return sp->proto == p->proto && strcmp(sp->name, p->name) == 0;
}

/* A port of a slice that is none of the Service's carries nothing: most often a typo in its name. */
static void warn_about_ports(struct load *l, const struct raw_service *s, const struct raw_slice *slice)
{
	for (size_t i = 0; i < slice->n_ports; i++) {
		bool found = false;

		for (size_t j = 0; j < s->n_ports && !found; j++)
			found = names_match(&slice->ports[i], &s->ports[j]);
		if (!found)
			load_warn(l, &slice->place,
				  "%s %.63s/%.80s: Service %.63s has no port \"%.63s\" of this protocol",
				  slice->legacy ? "Endpoints" : "EndpointSlice", slice->ns, slice->name, s->name,
				  slice->ports[i].name);
	}
}

static void attach_slices(struct endpoints_build *b, bool legacy)
{
	struct load *l = b->l;
	char key[2 * OBJ_NAME_MAX];

	/* Backwards, and each to the front: the order of the input. */
	for (size_t i = l->slices.n; i-- > 0;) {
		struct raw_slice *slice = l->slices.v[i];
		struct raw_service *s;

		if (slice->legacy != legacy)
			continue;
		service_key(key, slice->ns, slice->service);
		s = map_get_str(b->by_name, key);
		if (!s) {
			load_warn(l, &slice->place, "%s %.63s/%.80s: there is no Service %.63s",
				  legacy ? "Endpoints" : "EndpointSlice", slice->ns, slice->name, slice->service);
			continue;
		}
		if (s->skipped || (legacy && s->slices && !s->slices->legacy))
			continue;
		slice->next = s->slices;
		s->slices = slice;
		warn_about_ports(l, s, slice);
	}
}

/* ---- endpoints out of slices ---- */

static int add_slice(struct load *l, const struct raw_slice *slice, uint16_t port,
		     struct endpoint_list out[IP_FAMILY_MAX])
{
	for (size_t i = 0; i < slice->n_endpoints; i++) {
		const struct raw_endpoint *raw = &slice->endpoints[i];
		struct endpoint ep = { .addr = raw->addr, .port = port, .node = raw->node };
		enum ip_family fam = ip_addr_family(&raw->addr);

		if (!load_uses(l, fam))
			continue;
		ep.ready = raw->ready;
		ep.serving = raw->serving;
		ep.terminating = raw->terminating;
		if (raw->hints) {
			ep.n_for_nodes = raw->hints->n_nodes;
			ep.for_nodes = raw->hints->nodes;
			ep.n_for_zones = raw->hints->n_zones;
			ep.for_zones = raw->hints->zones;
		}
		if (vec_push(&out[fam].eps, ep) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int from_slices(struct load *l, const struct raw_service *s, const struct raw_service_port *p,
		       struct endpoint_list out[IP_FAMILY_MAX])
{
	int r = 0;

	for (const struct raw_slice *slice = s->slices; slice; slice = slice->next)
		for (size_t i = 0; i < slice->n_ports && r == 0; i++)
			if (names_match(&slice->ports[i], p))
				r = add_slice(l, slice, slice->ports[i].port, out);
	return r;
}

/* ---- endpoints out of pods ---- */

/* The port of this pod that the Service's target means; 0 = it has none of that name and protocol. */
static uint16_t resolve_port(const struct pod *pod, const struct raw_service_port *p)
{
	if (p->target_port)
		return p->target_port;
	for (size_t i = 0; i < pod->n_ports; i++)
		if (pod->ports[i].name && pod->ports[i].proto == p->proto &&
		    strcmp(pod->ports[i].name, p->target_name) == 0)
			return pod->ports[i].port;
	return 0;
}

/* trafficDistribution, as the EndpointSlice controller turns it into hints (KEP 4444, 3015). */
static void add_hints(const struct load *l, const struct raw_service *s, const struct pod *pod, struct endpoint *ep)
{
	const struct raw_node *n = pod->node ? map_get_str(l->node_by_name, pod->node) : NULL;

	if (s->distribution == DISTRIBUTION_NONE || !ep->ready || !n)
		return;
	if (n->zone) {
		ep->n_for_zones = 1;
		ep->for_zones = &n->zone;
	}
	if (s->distribution == DISTRIBUTION_SAME_NODE) {
		ep->n_for_nodes = 1;
		ep->for_nodes = &n->name;
	}
}

static int from_pods(struct load *l, const struct raw_service *s, const struct raw_service_port *p,
		     const struct selector_pods *pods, struct endpoint_list out[IP_FAMILY_MAX])
{
	for (size_t i = 0; i < pods->n; i++) {
		const struct pod *pod = pods->v[i];
		struct endpoint ep = { .port = resolve_port(pod, p), .node = pod->node };

		if (!ep.port)
			continue;
		ep.serving = pod->ready;
		ep.terminating = pod->terminating;
		ep.ready = s->publish_not_ready || (pod->ready && !pod->terminating);
		add_hints(l, s, pod, &ep);
		for (enum ip_family fam = 0; fam < IP_FAMILY_MAX; fam++) {
			ep.addr = pod->addr[fam];
			if (ip_addr_is_set(&ep.addr) && s->want[fam] && vec_push(&out[fam].eps, ep) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

/* ---- Services ---- */

static void free_ports(struct service_port *ports, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (enum ip_family fam = 0; fam < IP_FAMILY_MAX; fam++)
			free((void *)ports[i].endpoints[fam]);
	free(ports);
}

/* Endpoints of a family that the Service has no address of are left out (SEMANTICS 1.2.2). */
static int fill_port(struct endpoints_build *b, const struct raw_service *s, const struct raw_service_port *p,
		     const struct selector_pods *pods, struct service_port *ret)
{
	struct endpoint_list out[IP_FAMILY_MAX] = {};
	int r = s->slices ? from_slices(b->l, s, p, out) : from_pods(b->l, s, p, pods, out);

	if (r == 0 && pods->n && !s->slices && !out[IP_V4].eps.n && !out[IP_V6].eps.n)
		load_warn(b->l, &s->place, "Service %.63s/%.63s: no pod has an endpoint for port %u%s%s", s->ns,
			  s->name, p->port, p->target_name ? ", named " : "", p->target_name ? p->target_name : "");
	ret->name = p->name;
	ret->proto = p->proto;
	ret->port = p->port;
	for (enum ip_family fam = 0; fam < IP_FAMILY_MAX; fam++) {
		if (r < 0 || !s->want[fam])
			vec_free(&out[fam].eps);
		ret->endpoints[fam] = out[fam].eps.v;
		ret->n_endpoints[fam] = out[fam].eps.n;
	}
	return r;
}

static int put_service(struct endpoints_build *b, const struct raw_service *s, const struct service_port *ports)
{
	struct service fill = { .ns = s->ns, .name = s->name, .facets = s->facets, .features = s->features };
	struct service *svc = NULL;
	struct err e = {};
	char what[200];
	int r;

	fill.affinity_timeout_s = s->affinity_timeout_s;
	fill.choice = b->l->conf->choice;
	fill.n_ports = s->n_ports;
	fill.ports = ports;
	memcpy(fill.cluster_ip, s->cluster_ip, sizeof(fill.cluster_ip));
	r = service_new(&fill, &svc, &e);
	if (r == 0)
		r = snapshot_edit_put_service(b->ed, svc, &e);
	service_unref(svc);
	if (r == 0)
		return 0;
	(void)snprintf(what, sizeof(what), "Service %.63s/%.63s", s->ns, s->name);
	return load_err(b->l, r, &s->place, what, "%s%s%s", e.path, *e.path ? ": " : "",
			*e.text ? e.text : strerror(-r));
}

static int build_service(struct endpoints_build *b, const struct raw_service *s)
{
	struct selector_pods pods = {};
	struct service_port *ports = calloc(s->n_ports, sizeof(*ports));
	int r = ports ? 0 : -ENOMEM;

	if (r == 0 && !s->slices && s->selector.n)
		r = selector_match(b->index, s->ns, &s->selector, &pods);
	if (r == 0 && !s->slices && pods.n == 0)
		load_warn(b->l, &s->place, "Service %.63s/%.63s has no endpoints: %s", s->ns, s->name,
			  s->selector.n ? "no pod matches its selector" : "no selector, and no EndpointSlice of it");
	for (size_t i = 0; i < s->n_ports && r == 0; i++)
		r = fill_port(b, s, &s->ports[i], &pods, &ports[i]);
	if (r == 0)
		r = put_service(b, s, ports);
	if (ports)
		free_ports(ports, s->n_ports);
	free(pods.v);
	return r;
}

static int build_services(struct endpoints_build *b)
{
	int r = 0;

	for (size_t i = 0; i < b->l->services.n && r == 0; i++) {
		const struct raw_service *s = b->l->services.v[i];

		if (s->skipped)
			continue;
		if (s->want[IP_V4] || s->want[IP_V6])
			r = build_service(b, s);
		else
			load_warn(b->l, &s->place, "Service %.63s/%.63s is left out: it is IPv6 only", s->ns, s->name);
	}
	return r;
}

int endpoints_build(struct load *l, struct snapshot_edit *ed)
{
	struct endpoints_build b = { .l = l, .ed = ed };
	int r = map_new(&b.by_name);

	if (r == 0)
		r = selector_index_new((const struct pod *const *)l->pods.v, l->pods.n, &b.index);
	if (r == 0)
		r = index_services(&b);
	if (r == 0) {
		attach_slices(&b, false);
		attach_slices(&b, true);
		r = build_services(&b);
	}
	selector_index_free(b.index);
	map_free(b.by_name, NULL);
	return r;
}
