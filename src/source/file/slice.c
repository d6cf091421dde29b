/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads EndpointSlices, and the Endpoints objects that came before them, to the same records.
 * endpoints.c joins them with their Services. Lists of hundreds of thousands of endpoints pass
 * through here: nothing is kept but what the model needs.
 */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "load.h"

#define ENDPOINTS_PER_SLICE_MAX 1000 /* of the API */
#define PORTS_PER_SLICE_MAX 100

static const char *const known_root[] = { "apiVersion", "kind", "metadata", "addressType", "endpoints", "ports" };
static const char *const known_endpoint[] = { "addresses", "conditions", "hostname", "targetRef", "deprecatedTopology",
					      "nodeName",  "zone",	 "hints",    "topology" };
static const char *const known_conditions[] = { "ready", "serving", "terminating" };
static const char *const known_hints[] = { "forZones", "forNodes" };
static const char *const known_port[] = { "name", "protocol", "port", "appProtocol" };

/* ---- ports ---- */

/*
 * Ports without a number ("all ports") can be carried by no Service; kube-proxy passes them over
 * too.
 */
static int read_port(const struct field *item, struct raw_slice *s)
{
	struct load *l = item->obj->load;
	struct raw_slice_port p = { .name = "", .proto = IPPROTO_TCP };
	int64_t port = 0;
	int r;

	if (field_check_known(item, known_port, ARRAY_LEN(known_port)) < 0 || field_str(item, "name", &p.name) < 0 ||
	    field_proto(item, "protocol", &p.proto) < 0)
		return -EINVAL;
	r = field_int(item, "port", 1, UINT16_MAX, &port);
	if (r < 0)
		return r;
	if (r == 0) {
		load_warn(l, &s->place,
			  "EndpointSlice %.60s/%.100s: a port without a number (all ports) is passed over", s->ns,
			  s->name);
		return 0;
	}
	p.port = (uint16_t)port;
	p.name = load_intern(l, p.name);
	if (!p.name)
		return -ENOMEM;
	s->ports[s->n_ports++] = p;
	return 0;
}

static int read_ports(const struct field *f, struct raw_slice *s)
{
	struct field seq, item;
	int r = field_seq(f, "ports", &seq);

	if (r <= 0 || seq.node->n == 0)
		return r < 0 ? r : 0;
	if (seq.node->n > PORTS_PER_SLICE_MAX && !s->legacy)
		return field_err(f, "ports", "a slice has at most %d ports, this one %zu", PORTS_PER_SLICE_MAX,
				 seq.node->n);
	s->ports = arena_alloc(f->obj->load->arena, seq.node->n * sizeof(*s->ports));
	if (!s->ports)
		return -ENOMEM;
	for (size_t i = 0; i < seq.node->n; i++) {
		r = field_item_map(&seq, i, &item);
		if (r > 0)
			r = read_port(&item, s);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- endpoints of a slice ---- */

/* SEMANTICS 1.2.4: ready unset = true, serving unset = as ready, terminating unset = false. */
static int read_conditions(const struct field *item, struct raw_endpoint *ep)
{
	bool ready = true, serving = true, terminating = false;
	struct field c;
	int r = field_map(item, "conditions", &c);

	if (r < 0)
		return r;
	if (r > 0) {
		if (field_check_known(&c, known_conditions, ARRAY_LEN(known_conditions)) < 0 ||
		    field_bool(&c, "ready", &ready) < 0)
			return -EINVAL;
		serving = ready;
		if (field_bool(&c, "serving", &serving) < 0 || field_bool(&c, "terminating", &terminating) < 0)
			return -EINVAL;
	}
	ep->ready = ready;
	ep->serving = serving;
	ep->terminating = terminating;
	return 0;
}

static int read_hint_list(const struct field *hints, const char *key, const char ***ret, size_t *ret_n)
{
	static const char *const known_hint[] = { "name" };
	struct load *l = hints->obj->load;
	struct field seq, item;
	const char *name, **v;
	int r = field_seq(hints, key, &seq);

	if (r <= 0 || seq.node->n == 0)
		return r < 0 ? r : 0;
	v = arena_alloc(l->arena, seq.node->n * sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < seq.node->n; i++) {
		if (field_item_map(&seq, i, &item) < 0 ||
		    field_check_known(&item, known_hint, ARRAY_LEN(known_hint)) < 0)
			return -EINVAL;
		r = field_str(&item, "name", &name);
		if (r <= 0)
			return r < 0 ? r : field_err(&item, NULL, "name is missing");
		v[i] = load_intern(l, name);
		if (!v[i])
			return -ENOMEM;
	}
	*ret = v;
	*ret_n = seq.node->n;
	return 0;
}

static int read_hints(const struct field *item, struct raw_endpoint *ep)
{
	struct raw_hints *hints;
	struct field f;
	int r = field_map(item, "hints", &f);

	if (r <= 0 || f.node->n == 0)
		return r < 0 ? r : 0;
	if (field_check_known(&f, known_hints, ARRAY_LEN(known_hints)) < 0)
		return -EINVAL;
	hints = arena_alloc(f.obj->load->arena, sizeof(*hints));
	if (!hints)
		return -ENOMEM;
	r = read_hint_list(&f, "forZones", &hints->zones, &hints->n_zones);
	if (r == 0)
		r = read_hint_list(&f, "forNodes", &hints->nodes, &hints->n_nodes);
	ep->hints = hints;
	return r;
}

static int read_node_name(const struct field *item, struct raw_endpoint *ep)
{
	const char *node = NULL;
	int r = field_str(item, "nodeName", &node);

	if (r <= 0)
		return r;
	ep->node = load_intern(item->obj->load, node);
	return ep->node ? 0 : -ENOMEM;
}

/*
 * All addresses of one endpoint mean the same pod; the first is the one that is used, as proxies
 * do.
 */
static int read_endpoint(const struct field *item, enum ip_family fam, struct raw_slice *s)
{
	struct raw_endpoint *ep = &s->endpoints[s->n_endpoints];
	struct ip_addr addr;
	struct field seq, at;
	int r;

	if (field_check_known(item, known_endpoint, ARRAY_LEN(known_endpoint)) < 0)
		return -EINVAL;
	r = field_seq(item, "addresses", &seq);
	if (r < 0)
		return r;
	if (r == 0 || seq.node->n == 0)
		return field_err(item, NULL, "an endpoint needs an address");
	for (size_t i = 0; i < seq.node->n; i++) {
		if (field_item(&seq, i, &at) < 0 || field_item_addr(&seq, i, &addr) < 0)
			return -EINVAL;
		if (ip_addr_family(&addr) != fam)
			return field_err(&at, NULL, "no IPv%d address, as addressType says", fam == IP_V4 ? 4 : 6);
		if (i == 0)
			ep->addr = addr;
	}
	r = read_conditions(item, ep);
	if (r == 0)
		r = read_node_name(item, ep);
	if (r == 0)
		r = read_hints(item, ep);
	if (r == 0)
		s->n_endpoints++;
	return r;
}

static int read_endpoints(const struct field *root, enum ip_family fam, struct raw_slice *s)
{
	struct field seq, item;
	int r = field_seq(root, "endpoints", &seq);

	if (r <= 0 || seq.node->n == 0)
		return r < 0 ? r : 0;
	if (seq.node->n > ENDPOINTS_PER_SLICE_MAX)
		load_warn(root->obj->load, &s->place, "EndpointSlice %.60s/%.100s: %zu endpoints, the API allows %d",
			  s->ns, s->name, seq.node->n, ENDPOINTS_PER_SLICE_MAX);
	s->endpoints = arena_alloc(root->obj->load->arena, seq.node->n * sizeof(*s->endpoints));
	if (!s->endpoints)
		return -ENOMEM;
	for (size_t i = 0; i < seq.node->n; i++) {
		r = field_item_map(&seq, i, &item);
		if (r > 0)
			r = read_endpoint(&item, fam, s);
		if (r < 0)
			return r;
	}
	return 0;
}

static int slice_new(const struct object *o, const char *service, bool legacy, struct raw_slice **ret)
{
	struct load *l = o->load;
	struct raw_slice *s = arena_alloc(l->arena, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->place = o->place;
	s->ns = o->ns;
	s->name = o->name;
	s->legacy = legacy;
	s->service = load_intern(l, service);
	if (!s->service)
		return -ENOMEM;
	*ret = s;
	return 0;
}

int slice_read(struct object *o)
{
	static const char *const types[] = { [IP_V4] = "IPv4", [IP_V6] = "IPv6", "FQDN" };
	const struct field root = { .obj = o, .node = o->root };
	const char *service = labels_get(&o->labels, "kubernetes.io/service-name");
	struct raw_slice *s = NULL;
	size_t type = 0;
	int r = field_check_known(&root, known_root, ARRAY_LEN(known_root));

	if (r < 0)
		return r;
	r = field_word(&root, "addressType", types, ARRAY_LEN(types), &type);
	if (r <= 0)
		return r < 0 ? r : field_err(&root, NULL, "addressType is missing");
	if (type == IP_FAMILY_MAX) {
		load_warn(o->load, &o->place, "EndpointSlice %.60s/%.100s: addressType FQDN is passed over", o->ns,
			  o->name);
		return 0;
	}
	if (!service || !*service) {
		load_warn(o->load, &o->place,
			  "EndpointSlice %.60s/%.100s: no label kubernetes.io/service-name, so of no Service", o->ns,
			  o->name);
		service = "";
	}
	r = slice_new(o, service, false, &s);
	if (r == 0)
		r = read_ports(&root, s);
	if (r == 0)
		r = read_endpoints(&root, (enum ip_family)type, s);
	return r < 0 || !*service ? r : vec_push(&o->load->slices, s);
}

/* ---- Endpoints ---- */

static int read_legacy_addresses(const struct field *subset, const char *key, bool ready, struct raw_slice *s)
{
	struct field seq, item;
	int r = field_seq(subset, key, &seq);

	for (size_t i = 0; r > 0 && i < seq.node->n; i++) {
		struct raw_endpoint *ep = &s->endpoints[s->n_endpoints];

		r = field_item_map(&seq, i, &item);
		if (r > 0)
			r = field_addr(&item, "ip", &ep->addr);
		if (r == 0)
			return field_err(&item, NULL, "ip is missing");
		if (r > 0)
			r = read_node_name(&item, ep);
		if (r < 0)
			return r;
		r = 1;
		ep->ready = ep->serving = ready;
		s->n_endpoints++;
	}
	return r < 0 ? r : 0;
}

static int read_subset(const struct field *subset)
{
	static const char *const known_subset[] = { "addresses", "notReadyAddresses", "ports" };
	const struct object *o = subset->obj;
	struct field good = {}, bad = {};
	struct raw_slice *s = NULL;
	size_t n = 0;
	int r = field_check_known(subset, known_subset, ARRAY_LEN(known_subset));

	if (r < 0 || field_seq(subset, "addresses", &good) < 0 || field_seq(subset, "notReadyAddresses", &bad) < 0)
		return -EINVAL;
	n = (good.node ? good.node->n : 0) + (bad.node ? bad.node->n : 0);
	r = slice_new(o, o->name, true, &s);
	if (r < 0 || n == 0)
		return r;
	s->endpoints = arena_alloc(o->load->arena, n * sizeof(*s->endpoints));
	if (!s->endpoints)
		return -ENOMEM;
	r = read_ports(subset, s);
	if (r == 0)
		r = read_legacy_addresses(subset, "addresses", true, s);
	if (r == 0)
		r = read_legacy_addresses(subset, "notReadyAddresses", false, s);
	return r < 0 ? r : vec_push(&o->load->slices, s);
}

int endpoints_read(struct object *o)
{
	static const char *const known_endpoints[] = { "apiVersion", "kind", "metadata", "subsets" };
	const struct field root = { .obj = o, .node = o->root };
	struct field seq, item;
	int r = field_check_known(&root, known_endpoints, ARRAY_LEN(known_endpoints));

	if (r < 0)
		return r;
	r = field_seq(&root, "subsets", &seq);
	for (size_t i = 0; r > 0 && i < seq.node->n; i++) {
		r = field_item_map(&seq, i, &item);
		if (r > 0)
			r = read_subset(&item);
		if (r == 0)
			r = 1;
	}
	return r < 0 ? r : 0;
}
