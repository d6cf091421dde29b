/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The API objects that kube-proxy watches, made from the model. Private to target/kubeproxy. */
#ifndef OFFKUBE_TARGET_KUBEPROXY_API_H
#define OFFKUBE_TARGET_KUBEPROXY_API_H

#include "base/vec.h"
#include "emit.h"
#include "model/snapshot.h"

/* The collections that kube-proxy 1.36 lists and watches. There is no ServiceCIDR: the model knows no range of Service addresses. */
enum api_kind { API_NODE, API_SERVICE, API_SLICE, API_SERVICE_CIDR, API_KIND_MAX };

struct api_type {
	const char *version; /* "discovery.k8s.io/v1" */
	const char *kind; /* "EndpointSlice" */
	const char *path; /* of the collection over all namespaces */
};
extern const struct api_type api_types[API_KIND_MAX];

/* ---- EndpointSlices ---- */

/* Service and family, and the ports that the endpoints of a slice have in common. */
struct slice_port {
	const struct service_port *port;
	uint16_t number; /* of the endpoints; host order */
};

struct slice {
	const struct service *svc;
	enum ip_family fam;
	size_t n_ports;
	const struct slice_port *ports;
	size_t n_endpoints;
	const struct endpoint **endpoints; /* of ports[0], in its order */
	char *name;
};

/* All slices of one Service. Endpoints belong to the Service; the rest is owned: slices_free. */
struct slices {
	VEC(struct slice) v;
	VEC(struct slice_port *) port_lists; /* shared by the slices of one group */
};

#define SLICE_ENDPOINTS_MEAN 100 /* what the slice controller fills slices to by default */
#define SLICE_ENDPOINTS_MAX 1000 /* what the API allows */

/* -ENOMEM. A port without endpoints has no slice. The slice that an endpoint is in depends on its address and on how many there are, so that one
 * that comes or goes changes one slice, as with the slice controller. */
int slices_make(const struct service *svc, struct slices *ret);
void slices_free(struct slices *s);
/* Same name is taken for granted. */
bool slice_equal(const struct slice *a, const struct slice *b);

/* ---- objects ---- */

/* One object: `version` is its resourceVersion. */
void api_emit_node(struct emit *em, const struct node *n, uint64_t version);
void api_emit_service(struct emit *em, const struct service *svc, uint64_t version);
void api_emit_slice(struct emit *em, const struct slice *s, uint64_t version);

#endif
