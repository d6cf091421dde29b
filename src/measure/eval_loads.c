/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cells of the loads that need more than the workload's own Services: those with servers of others (eval_servers.h), and the call graph. And how long a slice of
 * each load is. Called by eval.c and eval_slice.c.
 *
 * Call graph: a pod calls what its environment variables name: "catalog:3550", "catalog.shop:3550", "catalog.shop.svc.cluster.local:3550", with or without
 * "http://" before and a path behind; several with commas or spaces between. The name must be a Service with that TCP port and somebody behind it.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "eval_int.h"

#define MIB (1ull << 20)
#define UDP_MESSAGES 100000 /* of a closed slice */
#define UDP_MESSAGES_QUICK 30000
#define CALL_OVERHEAD_MS 60 /* fork, connections, drain */

/* ---- how long ---- */

unsigned int eval_duration_ms(const struct eval *ev, enum slice_mode mode)
{
	return mode == MODE_OPEN ? ev->open_ms : ev->closed_ms;
}

uint64_t eval_amount(const struct eval *ev, const struct eval_cell *cell, const struct slice_conf *sc)
{
	uint32_t message = cell->message_size ? cell->message_size : BULK_MESSAGE_SIZE;
	double open_bytes = sc->offered * (double)MIB * sc->duration_ms / 1000;

	switch (cell->load) {
	case LOAD_FILE:
		return ev->file_mib * MIB;
	case LOAD_REDIS:
		return ev->conf->quick ? 10000 : 20000;
	case LOAD_BULK:
	case LOAD_BULK_8:
		return sc->mode == MODE_OPEN ? (uint64_t)open_bytes : (ev->conf->quick ? 256 : 512) * MIB;
	case LOAD_BULK_UDP:
		return sc->mode == MODE_OPEN ?
			       (uint64_t)open_bytes :
			       (uint64_t)(ev->conf->quick ? UDP_MESSAGES_QUICK : UDP_MESSAGES) * message;
	default:
		return 0;
	}
}

/* Roughly, of one slice: for estimates. */
double eval_slice_s(const struct eval *ev, const struct eval_cell *cell, enum slice_mode mode)
{
	double ms = eval_duration_ms(ev, mode);

	if (mode == MODE_OPEN)
		return (ms + (load_info[cell->load].open_tool ? 20 : ev->warmup_ms) + CALL_OVERHEAD_MS) / 1000;
	switch (cell->load) {
	case LOAD_HTTP:
		return 1.1; /* wrk counts in whole seconds */
	case LOAD_FILE:
		return 0.1 + (double)ev->file_mib / 1200;
	case LOAD_REDIS:
		return ev->conf->quick ? 0.3 : 0.5;
	case LOAD_H2:
		return (ms + 100) / 1000;
	case LOAD_BULK:
	case LOAD_BULK_8:
		return ev->conf->quick ? 0.35 : 0.65;
	case LOAD_BULK_UDP:
		return ev->conf->quick ? 0.4 : 0.75;
	default:
		return (ms + ev->warmup_ms + CALL_OVERHEAD_MS) / 1000;
	}
}

const char *eval_tool_of(enum load_kind load, enum slice_mode mode)
{
	return mode == MODE_OPEN ? load_info[load].open_tool : load_info[load].closed_tool;
}

/* ---- servers of others ---- */

/* A cell's one Service, by its number; the second TCP port of bulk is another one: its servers take turns. */
static void take_server(struct eval_cell *cell, const struct snapshot *s, const struct service *svc, const char *pod)
{
	uint8_t proto = IPPROTO_TCP; /* iperf3 over UDP says hello by TCP, on the same port */

	for (size_t p = 0; p < svc->n_ports && cell->n_services < EVAL_SERVICES_MAX; p++) {
		const struct service_port *port = &svc->ports[p];
		struct eval_service *es = &cell->services[cell->n_services];

		if (port->proto != proto || port->n_endpoints[cell->family] == 0)
			continue;
		*es = (struct eval_service){ .svc = svc, .port = port, .n_backends = 1 };
		es->backends[0] = (struct eval_backend){
			.addr = port->endpoints[cell->family][0].addr,
			.port = port->endpoints[cell->family][0].port,
			.pod = snapshot_pod(s, EVAL_NS, pod),
		};
		cell->n_services++;
	}
}

static void say_missing(const struct eval_tools *tools, enum load_kind load, char why[static 160])
{
	const char *name = load_info[load].server;

	if (name && !eval_tool(tools, name))
		(void)snprintf(why, 160, "%s is not installed on this host", name);
}

/* Modes whose program is there; the rest is recorded as left out. */
static void choose_modes(const struct eval_tools *tools, struct eval_cell *cell)
{
	const struct load_info *info = &load_info[cell->load];
	uint32_t has = (info->offered > 0 ? 1u << MODE_OPEN : 0) | (info->closed ? 1u << MODE_CLOSED : 0);

	cell->modes &= has;
	for (int m = 0; m < MODE_MAX; m++) {
		const char *tool = eval_tool_of(cell->load, m);

		if (!(cell->modes & (1u << m)) || !tool || eval_tool(tools, tool))
			continue;
		cell->modes &= ~(1u << m);
		(void)snprintf(cell->less, sizeof(cell->less), "%s is not installed on this host: no %s loop", tool,
			       m == MODE_OPEN ? "open" : "closed");
	}
	if (!cell->modes && !cell->why_not[0])
		memcpy(cell->why_not, cell->less, sizeof(cell->less)); /* ends within */
}

static void server_cell(struct eval *ev, enum load_kind load, enum eval_path path, enum ip_family fam)
{
	struct eval_cell *cell = &ev->cells[ev->n_cells++];
	size_t at = path == PATH_SAME_NODE ? 0 : 1;
	const struct service *svc = eval_server_service(ev->snapshot, load, at);

	*cell = (struct eval_cell){ .load = load, .path = path, .family = fam, .modes = EVAL_BOTH_MODES };
	say_missing(&ev->tools, load, cell->why_not);
	cell->client = snapshot_pod(ev->snapshot, EVAL_NS, "client");
	cell->page_size = (uint32_t)EVAL_PAGE_SIZE(at);
	if (svc)
		take_server(cell, ev->snapshot, svc, at ? "server-2" : "server-1");
	choose_modes(&ev->tools, cell);
	if (cell->why_not[0] || (cell->client && cell->n_services > 0))
		return;
	if (at && !svc && !ev->servers_why[0])
		(void)strcpy(cell->why_not, "the workload has one node only");
	else if (!ev->servers_why[0])
		(void)strcpy(cell->why_not, "the nodes have no pods of this family");
	else
		memcpy(cell->why_not, ev->servers_why, sizeof(cell->why_not));
}

/* ---- the call graph ---- */

struct graph {
	struct eval *ev;
	enum ip_family fam;
	const struct pod *caller;
	struct eval_calls *calls;
};

static bool is_backend(const struct eval_service *es, const struct pod *p)
{
	for (size_t i = 0; i < es->n_backends; i++)
		if (es->backends[i].pod == p)
			return true;
	return false;
}

/* As the caller's node sees it. */
static bool fill_service(const struct graph *g, const struct service *svc, const struct service_port *port,
			 struct eval_service *ret)
{
	const struct snapshot *s = g->ev->snapshot;
	CLEANUP_FREE const struct endpoint **eps = calloc(port->n_endpoints[g->fam] + 1, sizeof(struct endpoint *));
	size_t n = eps ? service_select(port, g->fam, snapshot_node(s, g->caller->node), eps, NULL) : 0;

	*ret = (struct eval_service){ .svc = svc, .port = port, .n_backends = n };
	if (n == 0 || n > ARRAY_LEN(ret->backends) || !ip_addr_is_set(&svc->cluster_ip[g->fam]) ||
	    svc->features & (1u << SERVICE_FEATURE_INTERNAL_LOCAL))
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct pod *p = eval_pod_of(s, &eps[i]->addr, eps[i]->port, port->proto);

		if (!p)
			return false;
		ret->backends[i] = (struct eval_backend){ .addr = eps[i]->addr, .port = eps[i]->port, .pod = p };
	}
	return !is_backend(ret, g->caller); /* who may reach himself is another question */
}

static void add_call(struct graph *g, const struct service *svc, uint16_t port)
{
	const struct service_port *sp = service_find_port(svc, IPPROTO_TCP, port);
	struct eval_calls *c = g->calls;

	if (!sp || c->n == EVAL_TARGETS_MAX)
		return;
	for (size_t i = 0; i < c->n; i++)
		if (c->call[i].caller == g->caller && c->call[i].service.port == sp)
			return;
	c->call[c->n].caller = g->caller;
	if (fill_service(g, svc, sp, &c->call[c->n].service))
		c->n++;
}

/* One "name[.namespace[...]]:port[/...]". */
static void take_word(struct graph *g, const char *word, size_t len)
{
	char host[2 * OBJ_NAME_MAX], *colon, *dot, *end;
	const char *scheme = memmem(word, len, "://", 3);
	const char *ns = g->caller->ns;
	const struct service *svc;
	unsigned long port;

	if (scheme) {
		len -= (size_t)(scheme + 3 - word);
		word = scheme + 3;
	}
	if (len == 0 || len >= sizeof(host))
		return;
	memcpy(host, word, len);
	host[len] = '\0';
	host[strcspn(host, "/")] = '\0';
	colon = strchr(host, ':');
	if (!colon || !isdigit((unsigned char)colon[1]))
		return;
	*colon = '\0';
	port = strtoul(colon + 1, &end, 10);
	if (*end || port == 0 || port > UINT16_MAX)
		return;
	dot = strchr(host, '.');
	if (dot) {
		*dot = '\0';
		ns = dot + 1;
		dot[1 + strcspn(dot + 1, ".")] = '\0';
	}
	svc = snapshot_service(g->ev->snapshot, ns, host);
	if (svc)
		add_call(g, svc, (uint16_t)port);
}

static void take_pod(struct graph *g)
{
	static const char *const between = ", \t\n;";

	for (size_t i = 0; i < g->caller->n_env; i++)
		for (const char *at = g->caller->env[i].value; at && *at;) {
			size_t len = strcspn(at, between);

			take_word(g, at, len);
			at += len;
			at += strspn(at, between);
		}
}

void eval_find_calls(struct eval *ev, enum ip_family fam, const struct pod *const *pods, size_t n_pods,
		     struct eval_calls *ret)
{
	struct graph g = { .ev = ev, .fam = fam, .calls = ret };

	ret->n = 0;
	for (size_t i = 0; i < n_pods; i++) {
		g.caller = pods[i];
		if (pods[i]->node && !pods[i]->host_network && ip_addr_is_set(&pods[i]->addr[fam]) &&
		    !str_eq(pods[i]->ns, EVAL_NS))
			take_pod(&g);
	}
}

static int calls_cell(struct eval *ev, enum ip_family fam)
{
	CLEANUP_FREE const struct pod **pods = NULL;
	struct eval_cell *cell = &ev->cells[ev->n_cells++];
	size_t n_pods;
	int r = snapshot_sorted_pods(ev->snapshot, &pods, &n_pods);

	if (r < 0)
		return r;
	*cell = (struct eval_cell){
		.load = LOAD_CALLS, .path = PATH_MIXED_NODES, .family = fam, .modes = EVAL_BOTH_MODES
	};
	eval_find_calls(ev, fam, pods, n_pods, &ev->calls[fam]);
	cell->calls = &ev->calls[fam];
	if (cell->calls->n)
		cell->client = cell->calls->call[0].caller;
	else
		(void)snprintf(cell->why_not, sizeof(cell->why_not),
			       "no pod's environment names an %s Service and its port", eval_family_name[fam]);
	return 0;
}

/* ---- which cells ---- */

/* Quick runs without --load: what shows most in little time. */
static bool is_in_quick(enum load_kind load, enum eval_path path)
{
	return (load == LOAD_HTTP || load == LOAD_BULK) && path == PATH_OTHER_NODE;
}

/* Full runs without --load: over IPv6 those that show what the family costs a packet, a connection and a stream; the other programs would show it again. */
static bool is_in_family(enum load_kind load, int family)
{
	return family == IP_V4 || load == LOAD_HTTP || load == LOAD_BULK || load == LOAD_CALLS;
}

uint32_t eval_loads(const struct eval_conf *conf)
{
	if (conf->loads)
		return conf->loads;
	if (conf->quick)
		return 1u << LOAD_ECHO | 1u << LOAD_CONNECT | 1u << LOAD_HTTP | 1u << LOAD_BULK;
	return (1u << LOAD_KIND_MAX) - 1;
}

/* Other loads come behind those on the workload's own Services: a budget leaves out from the last. */
int eval_add_load_cells(struct eval *ev)
{
	bool by_default = ev->conf->quick && !ev->conf->loads;
	bool all_families = ev->conf->loads;
	uint32_t loads = eval_loads(ev->conf);
	int r = 0;

	for (int f = 0; f < (ev->conf->quick ? IP_V4 + 1 : IP_FAMILY_MAX) && r == 0; f++)
		for (int l = 0; l < LOAD_KIND_MAX && r == 0; l++) {
			if (!(loads & (1u << l)) || (!all_families && !is_in_family(l, f)))
				continue;
			if (l == LOAD_CALLS)
				r = calls_cell(ev, f);
			for (int p = PATH_SAME_NODE; load_info[l].server && p <= PATH_OTHER_NODE; p++) {
				if (by_default && !is_in_quick(l, p))
					continue;
				server_cell(ev, l, p, f);
				if (by_default) /* one mode of each: latency and CPU of http, the rate of bulk */
					ev->cells[ev->n_cells - 1].modes &=
						1u << (l == LOAD_HTTP ? MODE_OPEN : MODE_CLOSED);
			}
		}
	return r;
}

/* A server that does not start: its loads are left out everywhere. */
void eval_drop_server_cells(struct eval *ev, const char *why)
{
	for (size_t i = 0; i < ev->n_cells; i++)
		if (load_info[ev->cells[i].load].server && !ev->cells[i].why_not[0])
			(void)snprintf(ev->cells[i].why_not, sizeof(ev->cells[i].why_not), "%s", why);
}
