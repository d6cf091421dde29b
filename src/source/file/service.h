/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A Service while it is read: shared by service.c and service_port.c. */
#ifndef OFFKUBE_SOURCE_FILE_SERVICE_H
#define OFFKUBE_SOURCE_FILE_SERVICE_H

#include "load.h"

enum service_type { TYPE_CLUSTER_IP, TYPE_NODE_PORT, TYPE_LOAD_BALANCER, TYPE_EXTERNAL_NAME };

struct service_fields {
	struct raw_service *raw;
	struct field spec;
	enum service_type type;
	size_t n_given; /* ClusterIPs given; given[0] unset = "None" */
	struct ip_addr given[IP_FAMILY_MAX];
	size_t n_families;
	enum ip_family family[IP_FAMILY_MAX];
	size_t n_node_ports; /* given ones */
};

/* spec.ports: numbers, names, protocols, target ports. */
int service_read_ports(struct service_fields *s);

#endif
