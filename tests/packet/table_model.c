/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Models of the packet table: short YAML to snapshots. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/util.h"
#include "table_int.h"

struct ctx {
	struct arena *arena; /* what the fill structs point to, until x_new() has copied it */
	struct snapshot_edit *ed;
	struct err *e;
};

int table_parse_endpoint(const char *s, struct ip_addr *ret, uint16_t *ret_port, bool *ret_any)
{
	const char *colon = strrchr(s, ':'), *addr = s, *port = NULL;
	char buf[IP_ADDR_STR_MAX];
	size_t len = strlen(s);
	char *end;

	*ret_port = 0;
	*ret_any = false;
	if (s[0] == '[') {
		const char *close = strchr(s, ']');

		if (!close || (close[1] && close[1] != ':'))
			return -EINVAL;
		addr = s + 1;
		len = (size_t)(close - addr);
		port = close[1] ? close + 2 : NULL;
	} else if (colon && strchr(s, ':') == colon) {
		len = (size_t)(colon - s);
		port = colon + 1;
	}
	if (len >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, addr, len);
	buf[len] = '\0';
	if (port && str_eq(port, "*")) {
		*ret_any = true;
	} else if (port) {
		unsigned long v = strtoul(port, &end, 10);

		if (end == port || *end || v > UINT16_MAX)
			return -EINVAL;
		*ret_port = (uint16_t)v;
	}
	return ip_addr_parse(buf, ret);
}

/* A list of one address per family. */
static int read_addrs(struct ctx *c, const struct doc_node *map, const char *key, struct ip_addr ret[IP_FAMILY_MAX])
{
	const struct doc_node *list = NULL;

	if (doc_get_seq(map, key, key, &list, c->e) < 0)
		return -EINVAL;
	for (size_t i = 0; list && i < list->n; i++) {
		struct ip_addr a;

		if (list->child[i]->type != DOC_SCALAR || ip_addr_parse(list->child[i]->scalar, &a) < 0)
			return doc_err(list->child[i], key, c->e, "is no address");
		ret[ip_addr_family(&a)] = a;
	}
	return 0;
}

static int read_node(struct ctx *c, const char *name, const struct doc_node *map)
{
	struct node fill = { .name = name }, *node;
	const struct doc_node *pods = NULL;
	int r = table_check_keys(map, "addr pods zone", name, c->e);

	if (r < 0)
		return r;
	if (read_addrs(c, map, "addr", fill.addr) < 0 || doc_get_str(map, "zone", "zone", &fill.zone, c->e) < 0 ||
	    doc_get_seq(map, "pods", "pods", &pods, c->e) < 0)
		return -EINVAL;
	for (size_t i = 0; pods && i < pods->n; i++) {
		struct ip_prefix p;

		if (pods->child[i]->type != DOC_SCALAR || ip_prefix_parse(pods->child[i]->scalar, &p) < 0)
			return doc_err(pods->child[i], "pods", c->e, "is no prefix");
		fill.pod_cidr[ip_addr_family(&p.addr)] = p;
	}
	r = node_new(&fill, &node, c->e);
	if (r < 0)
		return r;
	r = snapshot_edit_put_node(c->ed, node, c->e);
	node_unref(node);
	return r;
}

/* A list of strings; *ret_n stays 0 when absent. */
static int read_strings(struct ctx *c, const struct doc_node *map, const char *key, const char *const **ret,
			size_t *ret_n)
{
	const struct doc_node *list = NULL;
	const char **v;

	if (doc_get_seq(map, key, key, &list, c->e) < 0)
		return -EINVAL;
	if (!list)
		return 0;
	v = arena_alloc(c->arena, (list->n + 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++)
		v[i] = list->child[i]->scalar ? list->child[i]->scalar : "";
	*ret = v;
	*ret_n = list->n;
	return 0;
}

/* "ADDRESS:PORT", or a mapping with conditions and hints. */
static int read_endpoint(struct ctx *c, const struct doc_node *n, struct endpoint *ret)
{
	struct endpoint ep = { .ready = true };
	const char *at = n->scalar;
	bool any;

	if (n->type == DOC_MAP) {
		if (table_check_keys(n, "at ready serving terminating node for-nodes for-zones", "to[]", c->e) < 0 ||
		    doc_get_str(n, "at", "at", &at, c->e) < 0 || doc_get_bool(n, "ready", "ready", &ep.ready, c->e) < 0)
			return -EINVAL;
	}
	ep.serving = ep.ready; /* SEMANTICS 1.2.4 */
	if (n->type == DOC_MAP) {
		if (doc_get_bool(n, "serving", "serving", &ep.serving, c->e) < 0 ||
		    doc_get_bool(n, "terminating", "terminating", &ep.terminating, c->e) < 0 ||
		    doc_get_str(n, "node", "node", &ep.node, c->e) < 0 ||
		    read_strings(c, n, "for-nodes", &ep.for_nodes, &ep.n_for_nodes) < 0 ||
		    read_strings(c, n, "for-zones", &ep.for_zones, &ep.n_for_zones) < 0)
			return -EINVAL;
	}
	if (!at || table_parse_endpoint(at, &ep.addr, &ep.port, &any) < 0 || ep.port == 0)
		return doc_err(n, "to[]", c->e, "is no ADDRESS:PORT");
	*ret = ep;
	return 0;
}

static int read_port(struct ctx *c, const struct doc_node *map, struct service_port *ret)
{
	struct endpoint *eps[IP_FAMILY_MAX];
	const struct doc_node *to = NULL;
	const char *proto = "tcp";
	int64_t port = 0;

	*ret = (struct service_port){ .name = "" };
	if (table_check_keys(map, "port proto name to", "ports[]", c->e) < 0 ||
	    doc_get_int(map, "port", "port", 1, UINT16_MAX, &port, c->e) < 0 ||
	    doc_get_str(map, "proto", "proto", &proto, c->e) < 0 ||
	    doc_get_str(map, "name", "name", &ret->name, c->e) < 0 || doc_get_seq(map, "to", "to", &to, c->e) < 0)
		return -EINVAL;
	if (ip_proto_parse(proto, &ret->proto) < 0)
		return doc_err(map, "proto", c->e, "unknown protocol %s", proto);
	ret->port = (uint16_t)port;
	for (size_t fam = 0; fam < IP_FAMILY_MAX; fam++) {
		eps[fam] = arena_alloc(c->arena, ((to ? to->n : 0) + 1) * sizeof(struct endpoint));
		if (!eps[fam])
			return -ENOMEM;
		ret->endpoints[fam] = eps[fam];
	}
	for (size_t i = 0; to && i < to->n; i++) {
		struct endpoint ep;
		int r = read_endpoint(c, to->child[i], &ep);

		if (r < 0)
			return r;
		eps[ip_addr_family(&ep.addr)][ret->n_endpoints[ip_addr_family(&ep.addr)]++] = ep;
	}
	return 0;
}

static int read_service_fields(struct ctx *c, const struct doc_node *map, struct service *fill)
{
	int64_t affinity = 0;
	bool internal_local = false;
	const char *choice = "random";

	if (table_check_keys(map, "ip ports affinity choice internal-local", fill->name, c->e) < 0 ||
	    read_addrs(c, map, "ip", fill->cluster_ip) < 0 ||
	    doc_get_int(map, "affinity", "affinity", 1, SERVICE_AFFINITY_TIMEOUT_MAX_S, &affinity, c->e) < 0 ||
	    doc_get_str(map, "choice", "choice", &choice, c->e) < 0 ||
	    doc_get_bool(map, "internal-local", "internal-local", &internal_local, c->e) < 0)
		return -EINVAL;
	fill->facets = 1u << SERVICE_FACET_CLUSTER_IP;
	fill->choice = str_eq(choice, "maglev") ? BACKEND_CHOICE_MAGLEV : BACKEND_CHOICE_RANDOM;
	if (affinity > 0) {
		fill->features |= 1u << SERVICE_FEATURE_AFFINITY;
		fill->affinity_timeout_s = (uint32_t)affinity;
	}
	if (internal_local)
		fill->features |= 1u << SERVICE_FEATURE_INTERNAL_LOCAL;
	return 0;
}

/* "namespace/name". */
static int split_name(struct ctx *c, const struct doc_node *at, const char *full, const char **ret_ns,
		      const char **ret_name)
{
	char *copy = arena_strdup(c->arena, full);
	char *slash = copy ? strchr(copy, '/') : NULL;

	if (!slash)
		return doc_err(at, full, c->e, "is no NAMESPACE/NAME");
	*slash = '\0';
	*ret_ns = copy;
	*ret_name = slash + 1;
	return 0;
}

static int read_service(struct ctx *c, const char *full, const struct doc_node *map)
{
	const struct doc_node *ports = NULL;
	struct service fill = {}, *svc;
	struct service_port *v;
	int r = split_name(c, map, full, &fill.ns, &fill.name);

	if (r < 0)
		return r;
	r = read_service_fields(c, map, &fill);
	if (r < 0)
		return r;
	if (doc_get_seq(map, "ports", "ports", &ports, c->e) <= 0)
		return doc_err(map, full, c->e, "has no ports");
	v = arena_alloc(c->arena, (ports->n + 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < ports->n; i++) {
		r = read_port(c, ports->child[i], &v[i]);
		if (r < 0)
			return r;
	}
	fill.ports = v;
	fill.n_ports = ports->n;
	r = service_new(&fill, &svc, c->e);
	if (r < 0)
		return r;
	r = snapshot_edit_put_service(c->ed, svc, c->e);
	service_unref(svc);
	return r;
}

/* A pod of `node`: where a live target has somebody who sends and is reached. */
static int read_pod(struct ctx *c, const char *name, const struct doc_node *map)
{
	struct pod fill = { .ns = "pods", .name = name, .ready = true }, *pod;
	int r = table_check_keys(map, "addr node", name, c->e);

	if (r < 0)
		return r;
	if (read_addrs(c, map, "addr", fill.addr) < 0 || doc_get_str(map, "node", "node", &fill.node, c->e) < 0)
		return -EINVAL;
	r = pod_new(&fill, &pod, c->e);
	if (r < 0)
		return r;
	r = snapshot_edit_put_pod(c->ed, pod, c->e);
	pod_unref(pod);
	return r;
}

static int read_model(struct ctx *c, const struct doc_node *map)
{
	const struct doc_node *nodes = NULL, *pods = NULL, *services = NULL, *gone = NULL;
	int r = 0;

	if (table_check_keys(map, "base nodes pods services without", "models", c->e) < 0 ||
	    doc_get_map(map, "nodes", "nodes", &nodes, c->e) < 0 || doc_get_map(map, "pods", "pods", &pods, c->e) < 0 ||
	    doc_get_map(map, "services", "services", &services, c->e) < 0 ||
	    doc_get_seq(map, "without", "without", &gone, c->e) < 0)
		return -EINVAL;
	for (size_t i = 0; gone && r == 0 && i < gone->n; i++) {
		const char *ns, *name;

		r = split_name(c, gone->child[i], gone->child[i]->scalar, &ns, &name);
		if (r == 0)
			r = snapshot_edit_del_service(c->ed, ns, name);
	}
	for (size_t i = 0; nodes && r == 0 && i < nodes->n; i++)
		r = read_node(c, nodes->key[i], nodes->child[i]);
	for (size_t i = 0; pods && r == 0 && i < pods->n; i++)
		r = read_pod(c, pods->key[i], pods->child[i]);
	for (size_t i = 0; services && r == 0 && i < services->n; i++)
		r = read_service(c, services->key[i], services->child[i]);
	return r;
}

int table_read_models(struct table *t, const struct doc_node *models, struct err *e)
{
	for (size_t i = 0; i < models->n; i++) {
		const char *base = NULL;
		struct ctx c = { .e = e };
		struct snapshot *s = NULL;
		int r;

		if (doc_get_str(models->child[i], "base", "base", &base, e) < 0)
			return -EINVAL;
		if (base && !table_model(t, base))
			return doc_err(models->child[i], "base", e, "no model %s", base);
		r = arena_new(&c.arena);
		if (r == 0)
			r = snapshot_edit_new(base ? table_model(t, base) : NULL, &c.ed);
		if (r == 0)
			r = read_model(&c, models->child[i]);
		if (r == 0)
			r = snapshot_edit_commit(TAKE_PTR(c.ed), &s);
		if (c.ed)
			snapshot_edit_free(c.ed);
		arena_free(c.arena);
		if (r == 0)
			r = map_put_str(t->models, models->key[i], s, NULL);
		if (r < 0) {
			snapshot_unref(s);
			return err_set(e, r, models->key[i], "cannot make the model");
		}
	}
	return 0;
}
