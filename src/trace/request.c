/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the command line asks for (--from, --to, --proto, --node) into addresses, ports and a node. Called by `offkube trace`.
 *
 * Every refusal says what there is instead, so that nobody has to guess names.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/util.h"
#include "trace/trace.h"

/* Names listed in one message. */
#define LISTED_MAX 8

/* "A:PORT", "[v6]:PORT", "A" (any IPv6 without brackets is all address). */
struct place {
	char host[2 * OBJ_NAME_MAX + 2];
	char port[64]; /* "" = none */
	bool is_addr;
	struct ip_addr addr;
};

struct resolver {
	const struct snapshot *s;
	const struct trace_request *req;
	struct trace_flow flow;
	/* Families that a name offers, before one is taken. */
	struct ip_addr from[IP_FAMILY_MAX], to[IP_FAMILY_MAX];
	const struct pod *pod; /* --from named one */
	const struct service *service; /* --to named one */
	struct err *e;
};

static int split_place(const char *what, const char *text, struct place *ret, struct err *e)
{
	const char *colon = strrchr(text, ':');
	size_t len = strlen(text);

	memset(ret, 0, sizeof(*ret));
	if (!len || len >= sizeof(ret->host))
		return err_set(e, -EINVAL, what, "empty, or too long");
	if (ip_addr_parse(text, &ret->addr) == 0) {
		ret->is_addr = true;
		memcpy(ret->host, text, len + 1);
		return 0;
	}
	if (text[0] == '[') {
		const char *end = strchr(text, ']');

		if (!end || (end[1] && end[1] != ':'))
			return err_set(e, -EINVAL, what, "\"%s\": write an IPv6 address with a port as [ADDRESS]:PORT",
				       text);
		colon = end[1] ? end + 1 : NULL;
		memcpy(ret->host, text + 1, (size_t)(end - text - 1));
	} else {
		memcpy(ret->host, text, colon ? (size_t)(colon - text) : len);
	}
	if (colon) {
		if (!colon[1] || strlen(colon + 1) >= sizeof(ret->port))
			return err_set(e, -EINVAL, what, "\"%s\": no port behind the colon", text);
		strcpy(ret->port, colon + 1);
	}
	ret->is_addr = ip_addr_parse(ret->host, &ret->addr) == 0;
	if (text[0] == '[' && (!ret->is_addr || ret->addr.fam != AF_INET6))
		return err_set(e, -EINVAL, what, "\"%s\" is no IPv6 address", ret->host);
	return 0;
}

/* 1 = a number in 1..65535, 0 = not a number. */
static int parse_port(const char *what, const char *text, uint16_t *ret, struct err *e)
{
	unsigned long v = 0;

	if (text[strspn(text, "0123456789")] != '\0')
		return 0;
	for (const char *p = text; *p && v <= UINT16_MAX; p++)
		v = v * 10 + (unsigned long)(*p - '0');
	if (!v || v > UINT16_MAX)
		return err_set(e, -EINVAL, what, "port %s is not in 1..65535", text);
	*ret = (uint16_t)v;
	return 1;
}

static void list_name(struct strbuf *sb, size_t i, const char *fmt_name)
{
	if (i < LISTED_MAX)
		strbuf_addf(sb, "%s%s", i ? ", " : "", fmt_name);
	else if (i == LISTED_MAX)
		strbuf_add(sb, ", ...");
}

/* "ns/name" or "name" apart; ns NULL = not given. */
static void split_name(char *host, const char **ret_ns, const char **ret_name)
{
	char *slash = strchr(host, '/');

	*ret_ns = NULL;
	*ret_name = host;
	if (slash) {
		*slash = '\0';
		*ret_ns = host;
		*ret_name = slash + 1;
	}
}

static int no_such(struct err *e, const char *what, const char *kind, const char *ns, const char *name,
		   struct strbuf *near)
{
	CLEANUP_FREE char *text = strbuf_take(near);

	return err_set(e, -ENOENT, what, "no %s %s%s%s%s%s", kind, ns ? ns : "", ns ? "/" : "", name,
		       text && *text ? "; there is " : "", text ? text : "");
}

/* Without a namespace: "default" first, else the only one of that name. */
static int find_pod(struct resolver *c, const char *ns, const char *name)
{
	CLEANUP_FREE const struct pod **pods = NULL;
	CLEANUP_STRBUF struct strbuf all = STRBUF_INIT, same = STRBUF_INIT;
	char label[2 * OBJ_NAME_MAX + 2];
	size_t n, n_same = 0;
	int r;

	c->pod = snapshot_pod(c->s, ns ? ns : "default", name);
	if (c->pod)
		return 0;
	r = snapshot_sorted_pods(c->s, &pods, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(label, sizeof(label), "%s/%s", pods[i]->ns, pods[i]->name);
		list_name(&all, i, label);
		if (!ns && strcmp(pods[i]->name, name) == 0) {
			list_name(&same, n_same++, label);
			c->pod = pods[i];
		}
	}
	if (n_same == 1)
		return 0;
	if (n_same) {
		CLEANUP_FREE char *text = strbuf_take(&same);

		return err_set(c->e, -EINVAL, "--from", "%zu pods are called %s: %s", n_same, name, text ? text : "");
	}
	return no_such(c->e, "--from", "pod", ns, name, &all);
}

static int find_service(struct resolver *c, const char *ns, const char *name)
{
	CLEANUP_FREE const struct service **svcs = NULL;
	CLEANUP_STRBUF struct strbuf all = STRBUF_INIT, same = STRBUF_INIT;
	char label[2 * OBJ_NAME_MAX + 2];
	size_t n, n_same = 0;
	int r;

	c->service = snapshot_service(c->s, ns ? ns : "default", name);
	if (c->service)
		return 0;
	r = snapshot_sorted_services(c->s, &svcs, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(label, sizeof(label), "%s/%s", svcs[i]->ns, svcs[i]->name);
		list_name(&all, i, label);
		if (!ns && strcmp(svcs[i]->name, name) == 0) {
			list_name(&same, n_same++, label);
			c->service = svcs[i];
		}
	}
	if (n_same == 1)
		return 0;
	if (n_same) {
		CLEANUP_FREE char *text = strbuf_take(&same);

		return err_set(c->e, -EINVAL, "--to", "%zu Services are called %s: %s", n_same, name, text ? text : "");
	}
	return no_such(c->e, "--to", "Service", ns, name, &all);
}

static int resolve_from(struct resolver *c)
{
	const char *text = c->req->from ? c->req->from : "node";
	const char *ns, *name;
	struct place at;
	uint16_t port = TRACE_SPORT_DEFAULT;
	int r;

	r = split_place("--from", text, &at, c->e);
	if (r < 0)
		return r;
	if (at.port[0]) {
		r = parse_port("--from", at.port, &port, c->e);
		if (r <= 0)
			return r < 0 ? r : err_set(c->e, -EINVAL, "--from", "\"%s\" is no port number", at.port);
	}
	c->flow.t.sport = port;
	if (at.is_addr) {
		c->from[ip_addr_family(&at.addr)] = at.addr;
		return 0;
	}
	if (strcmp(at.host, "node") == 0)
		return 0; /* of the node that is still to be found */
	split_name(at.host, &ns, &name);
	r = find_pod(c, ns, name);
	if (r < 0)
		return r;
	memcpy(c->from, c->pod->addr, sizeof(c->from));
	return 0;
}

static int resolve_node(struct resolver *c)
{
	CLEANUP_FREE const struct node **nodes = NULL;
	CLEANUP_STRBUF struct strbuf all = STRBUF_INIT;
	const char *name = c->req->node;
	size_t n;
	int r;

	for (int i = 0; i < IP_FAMILY_MAX && !name; i++) {
		const struct pod *p = c->pod			  ? c->pod :
				      ip_addr_is_set(&c->from[i]) ? snapshot_pod_by_ip(c->s, &c->from[i]) :
								    NULL;
		const struct node *at = ip_addr_is_set(&c->from[i]) ? snapshot_node_by_ip(c->s, &c->from[i]) : NULL;

		name = p && p->node ? p->node : at ? at->name : NULL;
	}
	r = snapshot_sorted_nodes(c->s, &nodes, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		list_name(&all, i, nodes[i]->name);
		if (!c->flow.node && (!name || strcmp(nodes[i]->name, name) == 0))
			c->flow.node = nodes[i];
	}
	if (!n)
		return err_set(c->e, -ENOENT, "--node", "the workload has no node");
	if (!c->flow.node)
		return no_such(c->e, c->req->node ? "--node" : "--from", "node", NULL, name, &all);
	if (!c->pod && !ip_addr_is_set(&c->from[IP_V4]) && !ip_addr_is_set(&c->from[IP_V6]))
		memcpy(c->from, c->flow.node->addr, sizeof(c->from));
	return 0;
}

static int bad_port(const struct resolver *c, const char *port, const char *why)
{
	CLEANUP_STRBUF struct strbuf all = STRBUF_INIT;
	CLEANUP_FREE char *text = NULL;
	char label[96];

	for (size_t i = 0; i < c->service->n_ports; i++) {
		const struct service_port *sp = &c->service->ports[i];

		(void)snprintf(label, sizeof(label), "%.63s%s%u/%s", sp->name, sp->name[0] ? ":" : "", sp->port,
			       ip_proto_name(sp->proto));
		list_name(&all, i, label);
	}
	text = strbuf_take(&all);
	return err_set(c->e, -ENOENT, "--to", "Service %s/%s %s%s; it has %s", c->service->ns, c->service->name, why,
		       port, text ? text : "");
}

/* By name; by nothing: the only one (of the protocol, if that is given). */
static int pick_service_port(struct resolver *c, const char *name)
{
	const struct service_port *found = NULL;
	size_t n = 0;

	for (size_t i = 0; i < c->service->n_ports; i++) {
		const struct service_port *sp = &c->service->ports[i];

		if (c->req->proto && sp->proto != c->flow.t.proto)
			continue;
		if (name[0] && strcmp(sp->name, name) != 0)
			continue;
		found = sp;
		n++;
	}
	if (n != 1)
		return bad_port(c, name,
				n	? "has several ports: name one" :
				name[0] ? "has no port " :
					  "has no port of this protocol");
	c->flow.t.dport = found->port;
	c->flow.t.proto = found->proto;
	return 0;
}

/* A number need not be a port of the Service: what happens then is a question too. */
static int resolve_service_port(struct resolver *c, const char *text)
{
	const struct service_port *found = NULL;
	uint16_t port = 0;
	int r = text[0] ? parse_port("--to", text, &port, c->e) : 0;

	if (r < 0)
		return r;
	if (!r)
		return pick_service_port(c, text);
	c->flow.t.dport = port;
	if (c->req->proto)
		return 0;
	for (size_t i = 0; i < c->service->n_ports; i++) {
		if (c->service->ports[i].port != port)
			continue;
		if (found)
			return bad_port(c, text, "carries several protocols (use --proto) on port ");
		found = &c->service->ports[i];
	}
	c->flow.t.proto = found ? found->proto : IPPROTO_TCP;
	return 0;
}

static int resolve_to(struct resolver *c)
{
	const char *ns, *name;
	struct place at;
	int r;

	if (!c->req->to)
		return err_set(c->e, -EINVAL, "--to", "is missing");
	r = split_place("--to", c->req->to, &at, c->e);
	if (r < 0)
		return r;
	if (!at.is_addr) {
		split_name(at.host, &ns, &name);
		r = find_service(c, ns, name);
		if (r < 0)
			return r;
		memcpy(c->to, c->service->cluster_ip, sizeof(c->to));
		return resolve_service_port(c, at.port);
	}
	c->to[ip_addr_family(&at.addr)] = at.addr;
	/* An address of a Service may be followed by the port's name too. */
	c->service = snapshot_service_by_ip(c->s, &at.addr);
	if (c->service)
		return resolve_service_port(c, at.port);
	if (!c->req->proto)
		c->flow.t.proto = IPPROTO_TCP;
	r = at.port[0] ? parse_port("--to", at.port, &c->flow.t.dport, c->e) : 0;
	if (r < 0)
		return r;
	return r ? 0 : err_set(c->e, -EINVAL, "--to", "\"%s\" needs a port number", c->req->to);
}

static int resolve_proto(struct resolver *c)
{
	uint8_t proto;

	if (!c->req->proto)
		return 0;
	if (ip_proto_parse(c->req->proto, &proto) < 0 ||
	    (proto != IPPROTO_TCP && proto != IPPROTO_UDP && proto != IPPROTO_SCTP))
		return err_set(c->e, -EINVAL, "--proto", "\"%s\" is not tcp, udp or sctp", c->req->proto);
	c->flow.t.proto = proto;
	return 0;
}

/* IPv4 if both ends have it, else IPv6. */
static int resolve_family(struct resolver *c)
{
	for (int i = 0; i < IP_FAMILY_MAX; i++) {
		if (!ip_addr_is_set(&c->from[i]) || !ip_addr_is_set(&c->to[i]))
			continue;
		c->flow.t.src = c->from[i];
		c->flow.t.dst = c->to[i];
		return 0;
	}
	return err_set(c->e, -EINVAL, "--to", "%s and %s have no address family in common",
		       c->req->from ? c->req->from : "node", c->req->to);
}

int trace_request_resolve(const struct snapshot *s, const struct trace_request *req, struct trace_flow *ret,
			  struct err *e)
{
	struct resolver c = { .s = s, .req = req, .e = e };
	int r;

	if ((r = resolve_proto(&c)) < 0 || (r = resolve_from(&c)) < 0 || (r = resolve_node(&c)) < 0 ||
	    (r = resolve_to(&c)) < 0 || (r = resolve_family(&c)) < 0)
		return r;
	c.flow.count = req->count ? req->count : 1;
	if (c.flow.count > TRACE_COUNT_MAX)
		return err_set(e, -EINVAL, "--count", "at most %d", TRACE_COUNT_MAX);
	if (c.flow.count - 1 > (uint32_t)(UINT16_MAX - c.flow.t.sport))
		return err_set(e, -EINVAL, "--count", "source ports from %u on do not suffice", c.flow.t.sport);
	c.flow.origin = trace_origin_of(s, c.flow.node, &c.flow.t.src);
	*ret = c.flow;
	return 0;
}

int trace_flow_packet(const struct trace_flow *f, uint32_t i, struct trace_packet *ret)
{
	struct l4_tuple t = f->t;

	t.sport = (uint16_t)(t.sport + i);
	return trace_packet_first(f->origin, &t, ret);
}
