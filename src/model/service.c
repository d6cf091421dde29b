/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Services with their endpoints: checking, copying into one block, comparing, and the choice of the endpoints that may take a
 * connection. Called by the sources, by snapshot.c and by every target. Rules S1... are those of docs/semantics.md.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "check.h"
#include "model/object.h"
#include "obj.h"
#include "pack.h"

const char *const service_facet_name[] = {
	[SERVICE_FACET_CLUSTER_IP] = "cluster-ip",
	[SERVICE_FACET_NODE_PORT] = "node-port",
	[SERVICE_FACET_LOAD_BALANCER] = "load-balancer",
	[SERVICE_FACET_EXTERNAL_IP] = "external-ip",
};
static_assert(ARRAY_LEN(service_facet_name) == SERVICE_FACET_MAX, "one name a facet");

const char *const service_feature_name[] = {
	[SERVICE_FEATURE_AFFINITY] = "affinity",
	[SERVICE_FEATURE_TOPOLOGY] = "topology",
	[SERVICE_FEATURE_INTERNAL_LOCAL] = "internal-local",
	[SERVICE_FEATURE_EXTERNAL_LOCAL] = "external-local",
	[SERVICE_FEATURE_SOURCE_RANGES] = "source-ranges",
	[SERVICE_FEATURE_SCTP] = "sctp",
};
static_assert(ARRAY_LEN(service_feature_name) == SERVICE_FEATURE_MAX, "one name a feature");

const char *const select_mode_name[] = {
	[SELECT_NONE] = "none",
	[SELECT_READY] = "ready",
	[SELECT_SAME_NODE] = "same-node",
	[SELECT_SAME_ZONE] = "same-zone",
	[SELECT_TERMINATING] = "terminating",
};
static_assert(ARRAY_LEN(select_mode_name) == SELECT_MODE_MAX, "one name a mode");

/* ---- checks ---- */

static int check_endpoints(const struct service_port *port, size_t index, struct err *e)
{
	char path[96];

	for (int fam = 0; fam < IP_FAMILY_MAX; fam++) {
		for (size_t i = 0; i < port->n_endpoints[fam]; i++) {
			const struct endpoint *ep = &port->endpoints[fam][i];

			(void)snprintf(path, sizeof(path), "spec.ports[%zu]: endpoints[%zu]", index, i);
			if (ep->addr.fam != (fam == IP_V6 ? AF_INET6 : AF_INET))
				return err_set(e, -EINVAL, path, "its address is not IPv%d", fam == IP_V6 ? 6 : 4);
			if (ep->port == 0)
				return err_set(e, -EINVAL, path, "port 0 is not allowed");
			for (size_t k = 0; k < ep->n_for_nodes; k++)
				if (!ep->for_nodes[k])
					return err_set(e, -EINVAL, path, "a hint without a node's name");
			for (size_t k = 0; k < ep->n_for_zones; k++)
				if (!ep->for_zones[k])
					return err_set(e, -EINVAL, path, "a hint without a zone's name");
		}
	}
	return 0;
}

static const char *port_name(const struct service_port *port)
{
	return port->name ? port->name : "";
}

static int port_number_cmp(const void *a, const void *b)
{
	const struct service_port *x = *(const struct service_port *const *)a;
	const struct service_port *y = *(const struct service_port *const *)b;
	int d = (x->proto > y->proto) - (x->proto < y->proto);

	return d ? d : (x->port > y->port) - (x->port < y->port);
}

static int port_name_cmp(const void *a, const void *b)
{
	return strcmp(port_name(*(const struct service_port *const *)a),
		      port_name(*(const struct service_port *const *)b));
}

/* Two ports that compare as equal: refused, with the place of the later one. `by` is sorted on the way. */
static int check_twins(const struct service *fill, const struct service_port **by,
		       int (*cmp)(const void *, const void *), const char *what, struct err *e)
{
	char path[64];

	qsort(by, fill->n_ports, sizeof(*by), cmp);
	for (size_t i = 1; i < fill->n_ports; i++) {
		if (cmp(&by[i - 1], &by[i]) != 0)
			continue;
		(void)snprintf(path, sizeof(path), "spec.ports[%td]", MAX(by[i - 1], by[i]) - fill->ports);
		return err_set(e, -EINVAL, path, "another port has the same %s", what);
	}
	return 0;
}

static int check_ports(const struct service *fill, struct err *e)
{
	CLEANUP_FREE const struct service_port **by = NULL;
	char path[64];
	int r = 0;

	for (size_t i = 0; i < fill->n_ports && r == 0; i++) {
		(void)snprintf(path, sizeof(path), "spec.ports[%zu].protocol", i);
		r = model_check_proto(fill->ports[i].proto, path, e);
		(void)snprintf(path, sizeof(path), "spec.ports[%zu].port", i);
		if (r == 0 && fill->ports[i].port == 0)
			r = err_set(e, -EINVAL, path, "port 0 is not allowed");
		if (r == 0)
			r = check_endpoints(&fill->ports[i], i, e);
	}
	if (r < 0 || fill->n_ports < 2)
		return r;
	by = calloc(fill->n_ports, sizeof(*by));
	if (!by)
		return err_set_errno(e, -ENOMEM, NULL, "Service %s/%s", fill->ns, fill->name);
	for (size_t i = 0; i < fill->n_ports; i++)
		by[i] = &fill->ports[i];
	r = check_twins(fill, by, port_number_cmp, "number and protocol", e);
	return r ? r : check_twins(fill, by, port_name_cmp, "name", e);
}

static bool has_affinity(const struct service *s)
{
	return s->features & 1u << SERVICE_FEATURE_AFFINITY;
}

static int check_service(const struct service *fill, struct err *e)
{
	int r;

	r = model_check_name(fill->ns, "metadata.namespace", e);
	if (r == 0)
		r = model_check_name(fill->name, "metadata.name", e);
	if (r == 0)
		r = model_check_addr_pair(fill->cluster_ip, "spec.clusterIPs", e);
	if (r < 0)
		return r;
	if (fill->facets >> SERVICE_FACET_MAX)
		return err_set(e, -EINVAL, "spec.type", "facets 0x%x are not known", fill->facets);
	if (fill->features >> SERVICE_FEATURE_MAX)
		return err_set(e, -EINVAL, "spec", "features 0x%x are not known", fill->features);
	if (fill->choice != BACKEND_CHOICE_RANDOM && fill->choice != BACKEND_CHOICE_MAGLEV)
		return err_set(e, -EINVAL, "spec", "choice %d is not known", (int)fill->choice);
	if (has_affinity(fill) &&
	    (fill->affinity_timeout_s == 0 || fill->affinity_timeout_s > SERVICE_AFFINITY_TIMEOUT_MAX_S))
		return err_set(e, -EINVAL, "spec.sessionAffinityConfig.clientIP.timeoutSeconds", "%u is not in 1..%d",
			       fill->affinity_timeout_s, SERVICE_AFFINITY_TIMEOUT_MAX_S);
	return check_ports(fill, e);
}

/* ---- the copy ---- */

static int str_cmp(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static int strv_cmp(const char *const *a, size_t n_a, const char *const *b, size_t n_b)
{
	for (size_t i = 0; i < n_a && i < n_b; i++) {
		int d = strcmp(a[i], b[i]);

		if (d)
			return d;
	}
	return (n_a > n_b) - (n_a < n_b);
}

static int endpoint_key_cmp(const struct endpoint *a, const struct endpoint *b)
{
	int d = ip_addr_cmp(&a->addr, &b->addr);

	return d ? d : (a->port > b->port) - (a->port < b->port);
}

/* Everything but the key; the more usable first. Total, so that the order of the input never matters. */
static int endpoint_rest_cmp(const struct endpoint *a, const struct endpoint *b)
{
	int d = b->ready - a->ready;

	if (d == 0)
		d = b->serving - a->serving;
	if (d == 0)
		d = a->terminating - b->terminating;
	if (d == 0)
		d = str_cmp(a->node, b->node);
	if (d == 0)
		d = strv_cmp(a->for_nodes, a->n_for_nodes, b->for_nodes, b->n_for_nodes);
	if (d == 0)
		d = strv_cmp(a->for_zones, a->n_for_zones, b->for_zones, b->n_for_zones);
	return d;
}

static int endpoint_cmp(const void *a, const void *b)
{
	int d = endpoint_key_cmp(a, b);

	return d ? d : endpoint_rest_cmp(a, b);
}

static const char *const *pack_strv(struct pack *p, const char *const *v, size_t n)
{
	const char **copy = pack_array(p, const char *, n);

	for (size_t i = 0; i < n; i++) {
		const char *s = pack_str(p, v[i]);

		if (copy)
			copy[i] = s;
	}
	return copy;
}

/* Of endpoints with one address and port the first stays (S3). Returns how many are left. */
static size_t drop_twins(struct endpoint *ep, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (kept == 0 || endpoint_key_cmp(&ep[kept - 1], &ep[i]) != 0)
			ep[kept++] = ep[i];
	return kept;
}

static const struct endpoint *pack_endpoints(struct pack *p, const struct endpoint *v, size_t n, size_t *ret_n)
{
	struct endpoint *copy = pack_array(p, struct endpoint, n);

	for (size_t i = 0; i < n; i++) {
		struct endpoint ep = v[i];

		ep.for_nodes = pack_strv(p, ep.for_nodes, ep.n_for_nodes);
		ep.for_zones = pack_strv(p, ep.for_zones, ep.n_for_zones);
		ep.node = pack_str(p, ep.node);
		if (copy)
			copy[i] = ep;
	}
	if (copy) {
		qsort(copy, n, sizeof(*copy), endpoint_cmp);
		*ret_n = drop_twins(copy, n);
	}
	return copy;
}

static const struct service_port *pack_service_ports(struct pack *p, const struct service *fill)
{
	struct service_port *copy = pack_array(p, struct service_port, fill->n_ports);

	for (size_t i = 0; i < fill->n_ports; i++) {
		struct service_port port = fill->ports[i];

		for (int fam = 0; fam < IP_FAMILY_MAX; fam++)
			port.endpoints[fam] =
				pack_endpoints(p, port.endpoints[fam], port.n_endpoints[fam], &port.n_endpoints[fam]);
		port.name = pack_str(p, port_name(&port));
		if (copy)
			copy[i] = port;
	}
	return copy;
}

/* Features that follow from the rest: what a target must understand whoever made the object. */
static uint32_t derived_features(const struct service *s)
{
	uint32_t features = 0;

	for (size_t i = 0; i < s->n_ports; i++) {
		const struct service_port *port = &s->ports[i];

		if (port->proto == IPPROTO_SCTP)
			features |= 1u << SERVICE_FEATURE_SCTP;
		for (int fam = 0; fam < IP_FAMILY_MAX; fam++)
			for (size_t k = 0; k < port->n_endpoints[fam]; k++)
				if (port->endpoints[fam][k].n_for_nodes || port->endpoints[fam][k].n_for_zones)
					features |= 1u << SERVICE_FEATURE_TOPOLOGY;
	}
	return features;
}

static struct service *pack_service(struct pack *p, const struct service *fill)
{
	struct service *s = pack_take(p, sizeof(*s), _Alignof(struct service));
	struct service copy = *fill;

	copy.ref.count = 1;
	copy.ports = pack_service_ports(p, fill);
	copy.ns = pack_str(p, fill->ns);
	copy.name = pack_str(p, fill->name);
	if (!s)
		return NULL;
	copy.features &= ~(1u << SERVICE_FEATURE_SCTP | 1u << SERVICE_FEATURE_TOPOLOGY);
	copy.features |= derived_features(&copy);
	if (!has_affinity(&copy))
		copy.affinity_timeout_s = 0;
	*s = copy;
	return s;
}

int service_new(const struct service *fill, struct service **ret, struct err *e)
{
	struct pack p = { NULL, 0 };
	int r;

	r = check_service(fill, e);
	if (r < 0)
		return r;
	(void)pack_service(&p, fill); /* counts */
	p = (struct pack){ malloc(p.size), 0 };
	if (!p.block)
		return err_set_errno(e, -ENOMEM, NULL, "Service %s/%s", fill->ns, fill->name);
	*ret = pack_service(&p, fill);
	return 0;
}

struct service *service_ref(const struct service *s)
{
	obj_get(&s->ref);
	return (struct service *)(uintptr_t)s;
}

void service_unref(struct service *s)
{
	if (s)
		obj_put(&s->ref);
}

const struct service_port *service_find_port(const struct service *s, uint8_t proto, uint16_t port)
{
	for (size_t i = 0; i < s->n_ports; i++)
		if (s->ports[i].proto == proto && s->ports[i].port == port)
			return &s->ports[i];
	return NULL;
}

/* ---- comparison ---- */

static bool endpoints_equal(const struct service_port *a, const struct service_port *b, int fam)
{
	if (a->n_endpoints[fam] != b->n_endpoints[fam])
		return false;
	for (size_t i = 0; i < a->n_endpoints[fam]; i++)
		if (endpoint_cmp(&a->endpoints[fam][i], &b->endpoints[fam][i]) != 0)
			return false;
	return true;
}

static bool ports_equal(const struct service_port *a, const struct service_port *b)
{
	return str_eq(a->name, b->name) && a->proto == b->proto && a->port == b->port && endpoints_equal(a, b, IP_V4) &&
	       endpoints_equal(a, b, IP_V6);
}

bool service_equal(const struct service *a, const struct service *b)
{
	if (a == b)
		return true;
	if (!str_eq(a->ns, b->ns) || !str_eq(a->name, b->name) ||
	    !ip_addr_eq(&a->cluster_ip[IP_V4], &b->cluster_ip[IP_V4]) ||
	    !ip_addr_eq(&a->cluster_ip[IP_V6], &b->cluster_ip[IP_V6]) || a->facets != b->facets ||
	    a->features != b->features || a->affinity_timeout_s != b->affinity_timeout_s || a->choice != b->choice ||
	    a->n_ports != b->n_ports)
		return false;
	for (size_t i = 0; i < a->n_ports; i++)
		if (!ports_equal(&a->ports[i], &b->ports[i]))
			return false;
	return true;
}

/* ---- which endpoints may take a connection ---- */

static bool strv_has(const char *const *v, size_t n, const char *s)
{
	for (size_t i = 0; s && i < n; i++)
		if (str_eq(v[i], s))
			return true;
	return false;
}

static bool hint_allows(const struct endpoint *ep, enum select_mode mode, const struct node *node)
{
	if (mode == SELECT_SAME_NODE)
		return strv_has(ep->for_nodes, ep->n_for_nodes, node->name);
	if (mode == SELECT_SAME_ZONE)
		return strv_has(ep->for_zones, ep->n_for_zones, node->zone);
	return true;
}

static bool has_hint(const struct endpoint *ep, enum select_mode mode)
{
	return mode == SELECT_SAME_NODE ? ep->n_for_nodes > 0 : ep->n_for_zones > 0;
}

/* Every ready endpoint has a hint of this kind and at least one names us (S10). */
static bool hints_apply(const struct service_port *port, enum ip_family fam, enum select_mode mode,
			const struct node *node)
{
	bool any = false;

	for (size_t i = 0; node && i < port->n_endpoints[fam]; i++) {
		const struct endpoint *ep = &port->endpoints[fam][i];

		if (!ep->ready)
			continue;
		if (!has_hint(ep, mode))
			return false;
		any = any || hint_allows(ep, mode, node);
	}
	return any;
}

/*
 * The cluster set, docs/semantics.md S9 to S12:
 *
 * 1. (S10) Hints are looked at over ready endpoints only: those for nodes first, then those for zones.
 * 2. (S9) Ready endpoints that the hints in force allow; all that are ready when none are in force.
 * 3. (S11) If that is nobody: all that are serving and terminating, without regard to hints.
 */
size_t service_select(const struct service_port *port, enum ip_family fam, const struct node *node,
		      const struct endpoint **ret, enum select_mode *ret_mode)
{
	enum select_mode mode = SELECT_READY;
	size_t n = 0;

	if (hints_apply(port, fam, SELECT_SAME_NODE, node)) /* 1 */
		mode = SELECT_SAME_NODE;
	else if (hints_apply(port, fam, SELECT_SAME_ZONE, node))
		mode = SELECT_SAME_ZONE;
	for (size_t i = 0; i < port->n_endpoints[fam]; i++) { /* 2 */
		const struct endpoint *ep = &port->endpoints[fam][i];

		if (ep->ready && hint_allows(ep, mode, node))
			ret[n++] = ep;
	}
	if (n == 0) { /* 3 */
		mode = SELECT_TERMINATING;
		for (size_t i = 0; i < port->n_endpoints[fam]; i++) {
			const struct endpoint *ep = &port->endpoints[fam][i];

			if (ep->serving && ep->terminating)
				ret[n++] = ep;
		}
	}
	if (ret_mode)
		*ret_mode = n ? mode : SELECT_NONE;
	return n;
}

bool service_port_serves(const struct service_port *port, const struct ip_addr *addr, uint16_t ep_port)
{
	enum ip_family fam = ip_addr_family(addr);
	size_t low = 0, high = port->n_endpoints[fam];
	struct endpoint want = { .addr = *addr, .port = ep_port };

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int d = endpoint_key_cmp(&port->endpoints[fam][mid], &want);

		if (d == 0)
			return port->endpoints[fam][mid].serving;
		if (d < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}
