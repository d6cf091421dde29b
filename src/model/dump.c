/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The text form of a snapshot, for people, golden tests and bug reports: sorted, one line an object, port or endpoint; fields that are
 * unset are left out. Text from outside is escaped, so that a line stays a line.
 *
 *	node worker-1 zone=a addr=10.0.0.1,fd00::1 pod-cidr=10.1.0.0/24
 *	pod shop/cart-0 workload=Deployment/cart node=worker-1 addr=10.1.0.2 ready labels=app=cart ports=http:8080/tcp
 *	service shop/cart ip=10.96.0.10 facets=cluster-ip choice=random
 *	  port http 80/tcp
 *	    endpoint 10.1.0.2:8080 node=worker-1 ready serving
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "model/snapshot.h"

static void put_text(FILE *f, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c <= ' ' || c == 0x7f || c == '\\' || c == ',')
			(void)fprintf(f, "\\x%02x", c);
		else
			(void)fputc(c, f);
	}
}

static void put_field(FILE *f, const char *key, const char *value)
{
	if (!value)
		return;
	(void)fprintf(f, " %s=", key);
	put_text(f, value);
}

static void put_addrs(FILE *f, const char *key, const struct ip_addr addr[IP_FAMILY_MAX])
{
	const char *before = key;
	char text[IP_ADDR_STR_MAX];

	for (int fam = 0; fam < IP_FAMILY_MAX; fam++) {
		if (!ip_addr_is_set(&addr[fam]))
			continue;
		(void)fprintf(f, before == key ? " %s=%s" : "%s%s", before, ip_addr_format(&addr[fam], text));
		before = ",";
	}
}

static void put_proto(FILE *f, uint16_t port, uint8_t proto)
{
	const char *name = ip_proto_name(proto);

	(void)fprintf(f, "%u/%s", port, name ? name : "?");
}

static void put_list(FILE *f, const char *key, const char *const *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		(void)fprintf(f, i ? "," : " %s=", key);
		put_text(f, v[i]);
	}
}

static void put_bits(FILE *f, const char *key, uint32_t bits, const char *const *name, unsigned int n)
{
	const char *before = " ";

	for (unsigned int i = 0; i < n; i++) {
		if (!(bits & 1u << i))
			continue;
		(void)fprintf(f, "%s%s%s%s", before, *before == ' ' ? key : "", *before == ' ' ? "=" : "", name[i]);
		before = ",";
	}
}

static void dump_node(const struct node *n, FILE *f)
{
	const char *before = " pod-cidr=";
	char text[IP_PREFIX_STR_MAX];

	(void)fputs("node ", f);
	put_text(f, n->name);
	put_field(f, "zone", n->zone);
	put_addrs(f, "addr", n->addr);
	for (int fam = 0; fam < IP_FAMILY_MAX; fam++) {
		if (!ip_addr_is_set(&n->pod_cidr[fam].addr))
			continue;
		(void)fprintf(f, "%s%s", before, ip_prefix_format(&n->pod_cidr[fam], text));
		before = ",";
	}
	(void)fputc('\n', f);
}

static void dump_pod(const struct pod *p, FILE *f)
{
	(void)fputs("pod ", f);
	put_text(f, p->ns);
	(void)fputc('/', f);
	put_text(f, p->name);
	put_field(f, "workload", p->workload);
	put_field(f, "node", p->node);
	put_addrs(f, "addr", p->addr);
	(void)fprintf(f, "%s%s%s", p->host_network ? " host-network" : "", p->ready ? " ready" : "",
		      p->terminating ? " terminating" : "");
	for (size_t i = 0; i < p->n_labels; i++) {
		(void)fputs(i ? "," : " labels=", f);
		put_text(f, p->labels[i].key);
		(void)fputc('=', f);
		put_text(f, p->labels[i].value);
	}
	for (size_t i = 0; i < p->n_ports; i++) {
		(void)fputs(i ? "," : " ports=", f);
		if (p->ports[i].name) {
			put_text(f, p->ports[i].name);
			(void)fputc(':', f);
		}
		put_proto(f, p->ports[i].port, p->ports[i].proto);
	}
	for (size_t i = 0; i < p->n_env; i++) {
		(void)fputs(i ? "," : " env=", f);
		put_text(f, p->env[i].name);
		(void)fputc('=', f);
		put_text(f, p->env[i].value);
	}
	(void)fputc('\n', f);
}

static void dump_endpoint(const struct endpoint *ep, FILE *f)
{
	char text[IP_ADDR_STR_MAX];
	bool v6 = ep->addr.fam == AF_INET6;

	(void)fprintf(f, "    endpoint %s%s%s:%u", v6 ? "[" : "", ip_addr_format(&ep->addr, text), v6 ? "]" : "",
		      ep->port);
	put_field(f, "node", ep->node);
	(void)fprintf(f, "%s%s%s", ep->ready ? " ready" : "", ep->serving ? " serving" : "",
		      ep->terminating ? " terminating" : "");
	put_list(f, "for-nodes", ep->for_nodes, ep->n_for_nodes);
	put_list(f, "for-zones", ep->for_zones, ep->n_for_zones);
	(void)fputc('\n', f);
}

static void dump_service(const struct service *s, FILE *f)
{
	(void)fputs("service ", f);
	put_text(f, s->ns);
	(void)fputc('/', f);
	put_text(f, s->name);
	put_addrs(f, "ip", s->cluster_ip);
	put_bits(f, "facets", s->facets, service_facet_name, SERVICE_FACET_MAX);
	put_bits(f, "features", s->features, service_feature_name, SERVICE_FEATURE_MAX);
	if (s->affinity_timeout_s)
		(void)fprintf(f, " affinity-timeout=%us", s->affinity_timeout_s);
	(void)fprintf(f, " choice=%s\n", s->choice == BACKEND_CHOICE_MAGLEV ? "maglev" : "random");
	for (size_t i = 0; i < s->n_ports; i++) {
		const struct service_port *port = &s->ports[i];

		(void)fputs("  port ", f);
		put_text(f, *port->name ? port->name : "-");
		(void)fputc(' ', f);
		put_proto(f, port->port, port->proto);
		(void)fputc('\n', f);
		for (int fam = 0; fam < IP_FAMILY_MAX; fam++)
			for (size_t k = 0; k < port->n_endpoints[fam]; k++)
				dump_endpoint(&port->endpoints[fam][k], f);
	}
}

int snapshot_dump(const struct snapshot *s, FILE *f)
{
	CLEANUP_FREE const struct service **services = NULL;
	CLEANUP_FREE const struct node **nodes = NULL;
	CLEANUP_FREE const struct pod **pods = NULL;
	size_t n_nodes = 0, n_pods = 0, n_services = 0;
	int r;

	r = snapshot_sorted_nodes(s, &nodes, &n_nodes);
	if (r == 0)
		r = snapshot_sorted_pods(s, &pods, &n_pods);
	if (r == 0)
		r = snapshot_sorted_services(s, &services, &n_services);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n_nodes; i++)
		dump_node(nodes[i], f);
	for (size_t i = 0; i < n_pods; i++)
		dump_pod(pods[i], f);
	for (size_t i = 0; i < n_services; i++)
		dump_service(services[i], f);
	return ferror(f) ? -EIO : 0; /* of any of the writes above */
}
