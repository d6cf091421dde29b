/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which cells a workload gives. Called by eval.c. Pure.
 *
 * A cell needs a client pod on some node and Services all of whose usable backends are on that node (same-node), or none of them (other-node), so
 * that the path is known whatever backend is chosen; mixed-nodes is for Services that have both. Services with the fewest backends are taken first.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "eval_int.h"

const char *const eval_path_name[PATH_MAX] = {
	[PATH_SAME_NODE] = "same-node",
	[PATH_OTHER_NODE] = "other-node",
	[PATH_MIXED_NODES] = "mixed-nodes",
};
static const char *const backends_are[PATH_MAX] = {
	[PATH_SAME_NODE] = "all on a client's node",
	[PATH_OTHER_NODE] = "all on another node",
	[PATH_MIXED_NODES] = "on a client's and on another node",
};
const char *const eval_family_name[IP_FAMILY_MAX] = { [IP_V4] = "ipv4", [IP_V6] = "ipv6" };

struct port_search {
	const struct ip_addr *addr;
	uint16_t port;
	uint8_t proto;
	enum ip_family fam;
	const struct pod *found;
};

/* A host-network pod has its node's address: it is told by the port that it declares. */
static int match_host_pod(const struct pod *p, void *arg)
{
	struct port_search *q = arg;

	if (!p->host_network || !ip_addr_eq(&p->addr[q->fam], q->addr))
		return 0;
	for (size_t i = 0; i < p->n_ports; i++)
		if (p->ports[i].port == q->port && p->ports[i].proto == q->proto)
			q->found = p;
	return q->found != NULL;
}

const struct pod *eval_pod_of(const struct snapshot *s, const struct ip_addr *a, uint16_t port, uint8_t proto)
{
	const struct pod *p = snapshot_pod_by_ip(s, a);
	struct port_search q = { .addr = a, .port = port, .proto = proto, .fam = ip_addr_family(a) };

	if (p)
		return p;
	(void)snapshot_each_pod(s, match_host_pod, &q); /* returns only what match_host_pod says */
	return q.found;
}

static bool path_fits(enum eval_path path, size_t n, size_t n_same)
{
	switch (path) {
	case PATH_SAME_NODE:
		return n_same == n;
	case PATH_OTHER_NODE:
		return n_same == 0;
	default:
		return n_same > 0 && n_same < n;
	}
}

/* Fills *ret when all usable backends of the port lie as the path wants, seen from `node`. */
static bool take_service(const struct snapshot *s, const struct service *svc, const struct service_port *port,
			 const struct eval_cell *cell, const struct node *node, struct eval_service *ret)
{
	CLEANUP_FREE const struct endpoint **eps = NULL;
	size_t n, n_same = 0;

	if (port->proto != IPPROTO_TCP || str_eq(svc->ns, EVAL_NS) || port->n_endpoints[cell->family] == 0 ||
	    !ip_addr_is_set(&svc->cluster_ip[cell->family]) ||
	    port->n_endpoints[cell->family] > ARRAY_LEN(ret->backends) ||
	    (svc->features & (1u << SERVICE_FEATURE_INTERNAL_LOCAL)))
		return false;
	eps = calloc(port->n_endpoints[cell->family], sizeof(struct endpoint *));
	n = eps ? service_select(port, cell->family, node, eps, NULL) : 0;
	*ret = (struct eval_service){ .svc = svc, .port = port, .n_backends = n };
	for (size_t i = 0; i < n; i++) {
		const struct pod *p = eval_pod_of(s, &eps[i]->addr, eps[i]->port, port->proto);

		if (!p)
			return false;
		n_same += str_eq(p->node, node->name);
		ret->backends[i] = (struct eval_backend){ .addr = eps[i]->addr, .port = eps[i]->port, .pod = p };
	}
	return n > 0 && path_fits(cell->path, n, n_same);
}

static bool is_backend_of(const struct eval_cell *cell, const struct pod *p)
{
	for (size_t i = 0; i < cell->n_services; i++)
		for (size_t j = 0; j < cell->services[i].n_backends; j++)
			if (cell->services[i].backends[j].pod == p)
				return true;
	return false;
}

/* Adds Services with fewest backends first, until the cell is full. */
static void take_services(const struct snapshot *s, struct eval_cell *cell, const struct node *node,
			  const struct service *const *svcs, size_t n_svcs)
{
	for (size_t want = 1; want <= ARRAY_LEN(cell->services[0].backends); want++)
		for (size_t i = 0; i < n_svcs; i++)
			for (size_t p = 0; p < svcs[i]->n_ports; p++) {
				struct eval_service es;

				if (cell->n_services == EVAL_SERVICES_MAX)
					return;
				if (take_service(s, svcs[i], &svcs[i]->ports[p], cell, node, &es) &&
				    es.n_backends == want)
					cell->services[cell->n_services++] = es;
			}
}

/* A pod of the node that is no backend of the cell; Services whose backends leave no such pod are given up from the last. */
static void take_client(struct eval_cell *cell, const struct node *node, const struct pod *const *pods, size_t n_pods)
{
	for (; cell->n_services > 0; cell->n_services--)
		for (size_t i = 0; i < n_pods; i++)
			if (str_eq(pods[i]->node, node->name) && !pods[i]->host_network &&
			    !str_eq(pods[i]->ns, EVAL_NS) && ip_addr_is_set(&pods[i]->addr[cell->family]) &&
			    !is_backend_of(cell, pods[i])) {
				cell->client = pods[i];
				return;
			}
}

static void fill_cell(const struct snapshot *s, struct eval_cell *cell, const struct node *const *nodes, size_t n_nodes,
		      const struct service *const *svcs, size_t n_svcs, const struct pod *const *pods, size_t n_pods)
{
	struct eval_cell best = *cell;

	for (size_t i = 0; i < n_nodes; i++) {
		struct eval_cell try = *cell;

		take_services(s, &try, nodes[i], svcs, n_svcs);
		take_client(&try, nodes[i], pods, n_pods);
		if (try.client && try.n_services > best.n_services)
			best = try;
	}
	*cell = best;
	if (!cell->client)
		(void)snprintf(cell->why_not, sizeof(cell->why_not), "no TCP Service whose %s backends are %s",
			       eval_family_name[cell->family], backends_are[cell->path]);
}

/* Has this load a cell with a pure path already? */
static bool has_pure_path(const struct eval_cell *cells, size_t n, enum load_kind load)
{
	for (size_t i = 0; i < n; i++)
		if (cells[i].load == load && !cells[i].why_not[0])
			return true;
	return false;
}

/* Loads that ask the workload's own Services, one path at a time. */
static bool is_of_workload(enum load_kind load)
{
	return !load_info[load].server && load != LOAD_CALLS;
}

int eval_make_cells(const struct snapshot *s, uint32_t loads, bool quick, struct eval_cell *cells, size_t *ret_n)
{
	CLEANUP_FREE const struct node **nodes = NULL;
	CLEANUP_FREE const struct service **svcs = NULL;
	CLEANUP_FREE const struct pod **pods = NULL;
	size_t n_nodes, n_svcs, n_pods, n = 0;
	int r = snapshot_sorted_nodes(s, &nodes, &n_nodes);

	if (r == 0)
		r = snapshot_sorted_services(s, &svcs, &n_svcs);
	if (r == 0)
		r = snapshot_sorted_pods(s, &pods, &n_pods);
	if (r < 0)
		return r;
	for (int f = 0; f < (quick ? IP_V4 + 1 : IP_FAMILY_MAX); f++)
		for (int p = 0; p < PATH_MAX; p++)
			for (int l = 0; l < LOAD_KIND_MAX; l++) {
				struct eval_cell *cell = &cells[n];

				if (!(loads & (1u << l)) || !is_of_workload(l) || n == EVAL_CELLS_MAX ||
				    (quick && p == PATH_MIXED_NODES && has_pure_path(cells, n, l)))
					continue;
				*cell = (struct eval_cell){
					.load = l, .path = p, .family = f, .modes = EVAL_BOTH_MODES
				};
				fill_cell(s, cell, nodes, n_nodes, svcs, n_svcs, pods, n_pods);
				n++;
			}
	*ret_n = n;
	return 0;
}
