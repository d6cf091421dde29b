/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Our pods and Services in a workload's snapshot. Called by eval.c and eval_loads.c. Pure but for the search for programs. */
#include "eval_servers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "eval_server_ports.h"

DEFINE_CLEANUP(struct snapshot_edit *, snapshot_edit_free);

#define TRIES_MAX 4096 /* addresses of a pod CIDR that are looked at, from its end */

const char *const eval_tool_name[EVAL_TOOLS] = { "nginx", "nghttpd", "redis-server",   "iperf3",
						 "wrk",	  "h2load",  "redis-benchmark" };

static const struct server {
	const char *name; /* of the Service, before "-1" */
	const char *tool;
	uint32_t loads; /* 1 << enum load_kind */
	uint16_t service_port[2], port[2]; /* 0 = no second one */
	bool udp; /* also UDP, on the same ports */
} servers[] = {
	{ "http", "nginx", 1u << LOAD_HTTP, { 80 }, { SERVER_HTTP_PORT }, false },
	{ "file", "nginx", 1u << LOAD_FILE, { 80 }, { SERVER_FILE_PORT }, false },
	{ "h2", "nghttpd", 1u << LOAD_H2, { 80 }, { SERVER_H2_PORT }, false },
	{ "redis", "redis-server", 1u << LOAD_REDIS, { 6379 }, { SERVER_REDIS_PORT }, false },
	{ "bulk",
	  "iperf3",
	  1u << LOAD_BULK | 1u << LOAD_BULK_8 | 1u << LOAD_BULK_UDP,
	  { SERVER_BULK_PORT, SERVER_BULK_PORT + 1 },
	  { SERVER_BULK_PORT, SERVER_BULK_PORT + 1 },
	  true },
};

/* ---- programs ---- */

static bool is_wanted(uint32_t loads, const char *tool)
{
	for (int i = 0; i < LOAD_KIND_MAX; i++)
		if (loads & (1u << i) && (str_eq(load_info[i].server, tool) || str_eq(load_info[i].open_tool, tool) ||
					  str_eq(load_info[i].closed_tool, tool)))
			return true;
	return false;
}

void eval_tools_find(uint32_t loads, struct eval_tools *ret)
{
	for (size_t i = 0; i < EVAL_TOOLS; i++)
		if (!is_wanted(loads, eval_tool_name[i]) || tool_find(eval_tool_name[i], &ret->tool[i]) < 0)
			ret->tool[i].path[0] = '\0';
}

const struct tool *eval_tool(const struct eval_tools *tools, const char *name)
{
	for (size_t i = 0; i < EVAL_TOOLS; i++)
		if (str_eq(eval_tool_name[i], name) && tools->tool[i].path[0])
			return &tools->tool[i];
	return NULL;
}

/* ---- free addresses ---- */

struct taken {
	const struct ip_addr *addr;
};

static int has_endpoint(const struct service *s, void *arg)
{
	const struct taken *t = arg;
	enum ip_family f = ip_addr_family(t->addr);

	for (size_t i = 0; i < s->n_ports; i++)
		for (size_t k = 0; k < s->ports[i].n_endpoints[f]; k++)
			if (ip_addr_eq(&s->ports[i].endpoints[f][k].addr, t->addr))
				return 1;
	return 0;
}

static bool is_taken(const struct snapshot *s, const struct ip_addr *a)
{
	struct taken t = { a };

	return snapshot_pod_by_ip(s, a) || snapshot_node_by_ip(s, a) || snapshot_service_by_ip(s, a) ||
	       snapshot_each_service(s, has_endpoint, &t) != 0;
}

/* From the end of the range downwards: pods are given addresses from its beginning. *next is where to go on. */
static int free_address(const struct snapshot *s, const struct ip_prefix *range, uint64_t *next, struct ip_addr *ret)
{
	for (uint64_t end = *next > TRIES_MAX ? *next - TRIES_MAX : 1; *next > end;) {
		if (ip_prefix_nth(range, --*next, ret) < 0)
			continue;
		if (!is_taken(s, ret))
			return 0;
	}
	return -ENOSPC;
}

/* One behind the last address that is looked at: not the broadcast address; of a large IPv6 range the first 64 Ki. */
static uint64_t range_end(const struct ip_prefix *range)
{
	unsigned int bits = (range->addr.fam == AF_INET ? 32u : 128u) - range->len;

	return bits >= 16 ? 1u << 16 : (1u << bits) - (bits > 1);
}

/* Where ClusterIPs are: the surroundings of one that is there. */
struct service_range {
	enum ip_family fam;
	struct ip_addr near;
};

static int find_cluster_ip(const struct service *svc, void *arg)
{
	struct service_range *q = arg;

	if (ip_addr_is_set(&svc->cluster_ip[q->fam]))
		q->near = svc->cluster_ip[q->fam];
	return ip_addr_is_set(&q->near);
}

static void service_range(const struct snapshot *s, enum ip_family fam, struct ip_prefix *ret)
{
	struct service_range q = { .fam = fam };

	(void)snapshot_each_service(s, find_cluster_ip, &q); /* returns only what find_cluster_ip says */
	if (!ip_addr_is_set(&q.near))
		(void)ip_addr_parse(fam == IP_V4 ? "10.96.0.0" : "fd00:10:96::", &q.near); /* constants */
	ret->addr = q.near;
	ret->len = fam == IP_V4 ? 24 : 120;
	ret->addr.bytes[fam == IP_V4 ? 3 : 15] = 0;
}

/* ---- objects ---- */

struct add {
	const struct snapshot *s;
	struct snapshot_edit *ed;
	size_t n_nodes;
	const struct node *node[EVAL_SERVER_NODES];
	uint64_t pod_next[EVAL_SERVER_NODES][IP_FAMILY_MAX], ip_next[IP_FAMILY_MAX];
	bool dual[IP_FAMILY_MAX]; /* the nodes have pods of this family */
	struct ip_addr server[EVAL_SERVER_NODES][IP_FAMILY_MAX];
	struct err *e;
};

static int add_pod(struct add *q, const char *name, size_t node, struct ip_addr addr[static IP_FAMILY_MAX])
{
	struct pod fill = { .ns = EVAL_NS, .name = name, .node = q->node[node]->name, .ready = true };
	struct pod *p = NULL;
	int r = 0;

	for (int f = 0; f < IP_FAMILY_MAX && r == 0; f++)
		if (q->dual[f])
			r = free_address(q->s, &q->node[node]->pod_cidr[f], &q->pod_next[node][f], &addr[f]);
	if (r < 0)
		return err_set(q->e, r, q->node[node]->name,
			       "no free address in the pod CIDR for the servers of the loads");
	memcpy(fill.addr, addr, sizeof(fill.addr));
	r = pod_new(&fill, &p, q->e);
	if (r == 0)
		r = snapshot_edit_put_pod(q->ed, p, q->e);
	pod_unref(p);
	return r;
}

static void fill_port(const struct add *q, const struct server *sv, size_t node, size_t i, uint8_t proto,
		      struct service_port *port, struct endpoint eps[static IP_FAMILY_MAX], char name[static 8])
{
	(void)snprintf(name, 8, "%s-%zu", ip_proto_name(proto), i + 1);
	*port = (struct service_port){ .name = name, .proto = proto, .port = sv->service_port[i] };
	for (int f = 0; f < IP_FAMILY_MAX; f++) {
		if (!q->dual[f])
			continue;
		eps[f] = (struct endpoint){
			.addr = q->server[node][f],
			.port = sv->port[i],
			.ready = true,
			.serving = true,
			.node = q->node[node]->name,
		};
		port->n_endpoints[f] = 1;
		port->endpoints[f] = &eps[f];
	}
}

static int add_service(struct add *q, const struct server *sv, size_t node)
{
	struct service_port ports[4];
	struct endpoint eps[ARRAY_LEN(ports)][IP_FAMILY_MAX];
	char port_names[ARRAY_LEN(ports)][8], name[32];
	struct service fill = { .ns = EVAL_NS, .name = name, .facets = 1u << SERVICE_FACET_CLUSTER_IP, .ports = ports };
	struct ip_prefix range;
	struct service *svc = NULL;
	int r = 0;

	(void)snprintf(name, sizeof(name), "%s-%zu", sv->name, node + 1);
	for (size_t i = 0; i < ARRAY_LEN(sv->port) && sv->port[i]; i++)
		for (int udp = 0; udp <= (int)sv->udp; udp++) {
			size_t at = fill.n_ports++;

			fill_port(q, sv, node, i, udp ? IPPROTO_UDP : IPPROTO_TCP, &ports[at], eps[at], port_names[at]);
		}
	for (int f = 0; f < IP_FAMILY_MAX && r == 0; f++) {
		if (!q->dual[f])
			continue;
		service_range(q->s, f, &range);
		r = free_address(q->s, &range, &q->ip_next[f], &fill.cluster_ip[f]);
	}
	if (r < 0)
		return err_set(q->e, r, NULL, "no free address beside the ClusterIPs for the Services of the loads");
	r = service_new(&fill, &svc, q->e);
	if (r == 0)
		r = snapshot_edit_put_service(q->ed, svc, q->e);
	service_unref(svc);
	return r;
}

static int is_ours(const struct pod *p, void *arg)
{
	(void)arg;
	return str_eq(p->ns, EVAL_NS);
}

static int is_our_service(const struct service *s, void *arg)
{
	(void)arg;
	return str_eq(s->ns, EVAL_NS);
}

/* The first nodes that have room for pods, and the families that all of them have. */
static int choose_nodes(struct add *q)
{
	CLEANUP_FREE const struct node **nodes = NULL;
	size_t n_nodes;
	int r = snapshot_sorted_nodes(q->s, &nodes, &n_nodes);

	if (r < 0)
		return r;
	if (snapshot_each_pod(q->s, is_ours, NULL) || snapshot_each_service(q->s, is_our_service, NULL))
		return err_set(q->e, -EEXIST, EVAL_NS,
			       "the workload has this namespace, which the servers of the loads need");
	for (size_t i = 0; i < n_nodes && q->n_nodes < EVAL_SERVER_NODES; i++)
		if (ip_addr_is_set(&nodes[i]->pod_cidr[IP_V4].addr) || ip_addr_is_set(&nodes[i]->pod_cidr[IP_V6].addr))
			q->node[q->n_nodes++] = nodes[i];
	if (q->n_nodes == 0)
		return err_set(q->e, -ENOSPC, NULL, "no node has a pod CIDR for the servers of the loads");
	for (int f = 0; f < IP_FAMILY_MAX; f++) {
		struct ip_prefix range;

		q->dual[f] = true;
		service_range(q->s, f, &range);
		q->ip_next[f] = range_end(&range);
		for (size_t i = 0; i < q->n_nodes; i++) {
			q->dual[f] &= ip_addr_is_set(&q->node[i]->pod_cidr[f].addr) &&
				      ip_addr_is_set(&q->node[i]->addr[f]);
			if (q->dual[f])
				q->pod_next[i][f] = range_end(&q->node[i]->pod_cidr[f]);
		}
	}
	if (!q->dual[IP_V4] && !q->dual[IP_V6])
		return err_set(q->e, -ENOSPC, NULL,
			       "the nodes have no address family in common for the servers of the loads");
	return 0;
}

static int add_all(struct add *q, uint32_t loads, const struct eval_tools *tools)
{
	struct ip_addr client[IP_FAMILY_MAX] = {};
	int r = choose_nodes(q);

	for (size_t i = 0; i < q->n_nodes && r == 0; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "server-%zu", i + 1);
		r = add_pod(q, name, i, q->server[i]);
		for (size_t k = 0; k < ARRAY_LEN(servers) && r == 0; k++)
			if (servers[k].loads & loads && eval_tool(tools, servers[k].tool))
				r = add_service(q, &servers[k], i);
	}
	return r == 0 ? add_pod(q, "client", 0, client) : r;
}

int eval_servers_add(const struct snapshot *s, uint32_t loads, const struct eval_tools *tools, struct snapshot **ret,
		     struct err *e)
{
	CLEANUP(snapshot_edit_freep) struct snapshot_edit *ed = NULL;
	struct add q = { .s = s, .e = e };
	bool any = false;
	int r;

	for (size_t k = 0; k < ARRAY_LEN(servers); k++)
		any |= servers[k].loads & loads && eval_tool(tools, servers[k].tool);
	if (!any) {
		*ret = snapshot_ref(s);
		return 0;
	}
	r = snapshot_edit_new(s, &ed);
	if (r < 0)
		return r;
	q.ed = ed;
	r = add_all(&q, loads, tools);
	return r < 0 ? r : snapshot_edit_commit(TAKE_PTR(ed), ret);
}

const struct service *eval_server_service(const struct snapshot *s, enum load_kind load, size_t i)
{
	for (size_t k = 0; k < ARRAY_LEN(servers); k++) {
		char name[32];

		if (!(servers[k].loads & (1u << load)))
			continue;
		(void)snprintf(name, sizeof(name), "%s-%zu", servers[k].name, i + 1);
		return snapshot_service(s, EVAL_NS, name);
	}
	return NULL;
}
