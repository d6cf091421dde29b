/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The model's objects as objects of the Kubernetes API: core/v1 Node and Service, discovery.k8s.io/v1 EndpointSlice. The numbers are those of the
 * API's .proto files. Called by program.c (print) and by feed.c (what the server serves).
 */
#include "api.h"

#include <inttypes.h>
#include <string.h>

#include "base/util.h"

const struct api_type api_types[API_KIND_MAX] = {
	[API_NODE] = { "v1", "Node", "/api/v1/nodes" },
	[API_SERVICE] = { "v1", "Service", "/api/v1/services" },
	[API_SLICE] = { "discovery.k8s.io/v1", "EndpointSlice", "/apis/discovery.k8s.io/v1/endpointslices" },
	[API_SERVICE_CIDR] = { "networking.k8s.io/v1", "ServiceCIDR", "/apis/networking.k8s.io/v1/servicecidrs" },
};

static const char *const family_name[IP_FAMILY_MAX] = { "IPv4", "IPv6" };

static const char *proto_name(uint8_t proto)
{
	return proto == IPPROTO_UDP ? "UDP" : proto == IPPROTO_SCTP ? "SCTP" : "TCP";
}

static void begin_object(struct emit *em, enum api_kind kind)
{
	emit_begin(em, NULL, 0);
	if (em->format == EMIT_PROTO)
		return; /* stands in the envelope */
	emit_str(em, "apiVersion", 0, api_types[kind].version);
	emit_str(em, "kind", 0, api_types[kind].kind);
}

static void begin_meta(struct emit *em, const char *ns, const char *name, uint64_t version)
{
	char text[24];

	emit_begin(em, "metadata", 1);
	emit_str(em, "name", 1, name);
	if (ns)
		emit_str(em, "namespace", 3, ns);
	(void)snprintf(text, sizeof(text), "%" PRIu64, version); /* 20 digits at most */
	emit_str(em, "resourceVersion", 6, text);
}

/* ---- Node ---- */

void api_emit_node(struct emit *em, const struct node *n, uint64_t version)
{
	char text[IP_PREFIX_STR_MAX];

	begin_object(em, API_NODE);
	begin_meta(em, NULL, n->name, version);
	if (n->zone)
		emit_label(em, "labels", 11, "topology.kubernetes.io/zone", n->zone);
	emit_end(em);
	emit_begin(em, "spec", 2);
	emit_list(em, "podCIDRs", 7);
	for (int fam = 0; fam < IP_FAMILY_MAX; fam++)
		if (ip_addr_is_set(&n->pod_cidr[fam].addr))
			emit_str(em, NULL, 7, ip_prefix_format(&n->pod_cidr[fam], text));
	emit_list_end(em);
	emit_end(em);
	emit_begin(em, "status", 3);
	emit_list(em, "addresses", 5);
	for (int fam = 0; fam < IP_FAMILY_MAX; fam++) {
		if (!ip_addr_is_set(&n->addr[fam]))
			continue;
		emit_begin(em, NULL, 5);
		emit_str(em, "type", 1, "InternalIP");
		emit_str(em, "address", 2, ip_addr_format(&n->addr[fam], text));
		emit_end(em);
	}
	emit_list_end(em);
	emit_end(em);
	emit_end(em);
}

/* ---- Service ---- */

static void service_ports(struct emit *em, const struct service *svc)
{
	emit_list(em, "ports", 1);
	for (size_t i = 0; i < svc->n_ports; i++) {
		const struct service_port *p = &svc->ports[i];

		emit_begin(em, NULL, 1);
		if (p->name && p->name[0])
			emit_str(em, "name", 1, p->name);
		emit_str(em, "protocol", 2, proto_name(p->proto));
		emit_int(em, "port", 3, p->port);
		emit_int_or_string(em, "targetPort", 4, p->port); /* proxies read the slices */
		emit_end(em);
	}
	emit_list_end(em);
}

static void service_addresses(struct emit *em, const struct service *svc)
{
	const char *first = NULL;
	char text[IP_FAMILY_MAX][IP_ADDR_STR_MAX];
	size_t n = 0;

	for (int fam = IP_FAMILY_MAX - 1; fam >= 0; fam--)
		if (ip_addr_is_set(&svc->cluster_ip[fam])) {
			first = ip_addr_format(&svc->cluster_ip[fam], text[fam]);
			n++;
		}
	if (first)
		emit_str(em, "clusterIP", 3, first);
	emit_list(em, "clusterIPs", 18);
	for (int fam = 0; fam < IP_FAMILY_MAX; fam++)
		if (ip_addr_is_set(&svc->cluster_ip[fam]))
			emit_str(em, NULL, 18, text[fam]);
	emit_list_end(em);
	emit_list(em, "ipFamilies", 19);
	for (int fam = 0; fam < IP_FAMILY_MAX; fam++)
		if (ip_addr_is_set(&svc->cluster_ip[fam]))
			emit_str(em, NULL, 19, family_name[fam]);
	emit_list_end(em);
	emit_str(em, "ipFamilyPolicy", 17, n > 1 ? "RequireDualStack" : "SingleStack");
}

void api_emit_service(struct emit *em, const struct service *svc, uint64_t version)
{
	bool sticky = svc->features & (1u << SERVICE_FEATURE_AFFINITY);

	begin_object(em, API_SERVICE);
	begin_meta(em, svc->ns, svc->name, version);
	emit_end(em);
	emit_begin(em, "spec", 2);
	emit_str(em, "type", 4, "ClusterIP");
	service_addresses(em, svc);
	service_ports(em, svc);
	emit_str(em, "sessionAffinity", 7, sticky ? "ClientIP" : "None");
	if (sticky) {
		emit_begin(em, "sessionAffinityConfig", 14);
		emit_begin(em, "clientIP", 1);
		emit_int(em, "timeoutSeconds", 1, svc->affinity_timeout_s);
		emit_end(em);
		emit_end(em);
	}
	emit_str(em, "internalTrafficPolicy", 22, "Cluster");
	emit_end(em);
	emit_end(em);
}

/* ---- EndpointSlice ---- */

static void hint_list(struct emit *em, const char *name, unsigned int number, const char *const *v, size_t n)
{
	if (!n)
		return;
	emit_list(em, name, number);
	for (size_t i = 0; i < n; i++) {
		emit_begin(em, NULL, number);
		emit_str(em, "name", 1, v[i]);
		emit_end(em);
	}
	emit_list_end(em);
}

static void slice_endpoint(struct emit *em, const struct endpoint *ep)
{
	char text[IP_ADDR_STR_MAX];

	emit_begin(em, NULL, 2);
	emit_list(em, "addresses", 1);
	emit_str(em, NULL, 1, ip_addr_format(&ep->addr, text));
	emit_list_end(em);
	emit_begin(em, "conditions", 2);
	emit_bool(em, "ready", 1, ep->ready);
	emit_bool(em, "serving", 2, ep->serving);
	emit_bool(em, "terminating", 3, ep->terminating);
	emit_end(em);
	if (ep->node)
		emit_str(em, "nodeName", 6, ep->node);
	if (ep->n_for_nodes || ep->n_for_zones) {
		emit_begin(em, "hints", 8);
		hint_list(em, "forZones", 1, ep->for_zones, ep->n_for_zones);
		hint_list(em, "forNodes", 2, ep->for_nodes, ep->n_for_nodes);
		emit_end(em);
	}
	emit_end(em);
}

void api_emit_slice(struct emit *em, const struct slice *s, uint64_t version)
{
	begin_object(em, API_SLICE);
	begin_meta(em, s->svc->ns, s->name, version);
	emit_label(em, "labels", 11, "kubernetes.io/service-name", s->svc->name);
	emit_end(em);
	emit_str(em, "addressType", 4, family_name[s->fam]);
	emit_list(em, "ports", 3);
	for (size_t i = 0; i < s->n_ports; i++) {
		emit_begin(em, NULL, 3);
		emit_str(em, "name", 1, s->ports[i].port->name ? s->ports[i].port->name : "");
		emit_str(em, "protocol", 2, proto_name(s->ports[i].port->proto));
		emit_int(em, "port", 3, s->ports[i].number);
		emit_end(em);
	}
	emit_list_end(em);
	emit_list(em, "endpoints", 2);
	for (size_t i = 0; i < s->n_endpoints; i++)
		slice_endpoint(em, s->endpoints[i]);
	emit_list_end(em);
	emit_end(em);
}
