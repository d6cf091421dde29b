/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clusters of known shape for the experiments: many Services over few real pods. Private to measure/. */
#ifndef OFFKUBE_MEASURE_SYNTHETIC_H
#define OFFKUBE_MEASURE_SYNTHETIC_H

#include "model/snapshot.h"

#define SYNTHETIC_NS "synthetic"
#define SYNTHETIC_PORT 8080 /* of the first endpoint in a pod */
#define SYNTHETIC_SERVICE_PORT 80
#define SYNTHETIC_BACKENDS 4
#define SYNTHETIC_ENDPOINTS_MAX 64 /* of one Service */
#define SYNTHETIC_SERVICES_MAX 100000

/*
 * Pods "client" and "holder" on node-1 and the backends "b0" to "b3" on the last node. Services "s0", "s1", ... of one UDP port, with `tcp` also of
 * a TCP port of the same number. Endpoint k of Service i is pod (i + k) mod 4, port 8080 + k / 4. Service i has ClusterIP 10.96.0.0/12 + 10 + i.
 */
struct synthetic {
	uint32_t n_nodes; /* 1 or 2 */
	uint32_t n_services;
	uint32_t n_endpoints; /* of each Service */
	bool tcp;
};

int synthetic_snapshot(const struct synthetic *c, struct snapshot **ret, struct err *e);
/*
 * The same snapshot with the last endpoint of Service i moved to the backend after the last (`away`), or back. Needs n_endpoints < 4. `tcp_only`: the UDP
 * port stays as made (a change that leaves no stale UDP flows to look for).
 */
int synthetic_move(const struct synthetic *c, const struct snapshot *s, uint32_t i, bool away, bool tcp_only,
		   struct snapshot **ret, struct err *e);
/* The same snapshot in which no Service has an endpoint in backend `gone`; -1 = as made. The backend after the last one takes its place. */
int synthetic_without(const struct synthetic *c, const struct snapshot *s, int gone, struct snapshot **ret,
		      struct err *e);
/* Which backend a move of Service i brings in (`away`), or takes out. */
uint32_t synthetic_moved_backend(const struct synthetic *c, uint32_t i, bool away);
void synthetic_service_addr(uint32_t i, struct ip_addr *ret);
/* The name of backend k as its answers carry it: "synthetic/b0". k < SYNTHETIC_BACKENDS. */
const char *synthetic_backend_name(uint32_t k);

#endif
