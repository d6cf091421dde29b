/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is it in force? Compares the model with what kube-proxy has written into the kernel. Called by ops.c after each change, for what changed, and as
 * verify() for everything. Also dump().
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "kubeproxy.h"
#include "net/sysctl.h"

/* One Service port of one family. */
struct front {
	struct nl *nl;
	const struct service *svc;
	const struct service_port *port;
	enum ip_family fam;
};

static int differs(const struct front *f, const char *what, struct err *e)
{
	char ip[IP_ADDR_STR_MAX], path[256];

	(void)snprintf(path, sizeof(path), "Service %.100s/%.100s", f->svc->ns, f->svc->name);
	return err_set(e, -ESTALE, path, "%s port %u of %s %s", ip_proto_name(f->port->proto), f->port->port,
		       ip_addr_format(&f->svc->cluster_ip[f->fam], ip), what);
}

static int lookup(const struct front *f, const char *map, struct kp_verdict *ret, struct err *e)
{
	return kp_kernel_lookup(f->nl, f->fam, map, &f->svc->cluster_ip[f->fam], f->port->proto, f->port->port, ret, e);
}

/* ---- a Service that is there ---- */

static int backend_cmp(const void *pa, const void *pb)
{
	const struct kp_backend *a = pa, *b = pb;
	int r = ip_addr_cmp(&a->addr, &b->addr);

	return r ? r : (int)a->port - (int)b->port;
}

static int same_backends(const struct front *f, const char *chain, const struct endpoint *const *eps, size_t n,
			 struct err *e)
{
	CLEANUP(kp_backends_free) struct kp_backends there = {};
	bool sticky = f->svc->features & (1u << SERVICE_FEATURE_AFFINITY);
	int r = kp_kernel_backends(f->nl, f->fam, chain, &there, e);

	if (r < 0)
		return r;
	if (there.v.n != n)
		return differs(f, "leads to another number of endpoints", e);
	if (there.affinity != sticky)
		return differs(f, "has the wrong affinity", e);
	qsort(there.v.v, n, sizeof(there.v.v[0]), backend_cmp);
	for (size_t i = 0; i < n; i++)
		if (!ip_addr_eq(&there.v.v[i].addr, &eps[i]->addr) || there.v.v[i].port != eps[i]->port)
			return differs(f, "leads to other endpoints", e);
	return 0;
}

static int port_in_force(const struct front *f, const struct node *node, struct err *e)
{
	size_t n_all = f->port->n_endpoints[f->fam], n;
	CLEANUP_FREE const struct endpoint **eps = malloc((n_all + 1) * sizeof(*eps));
	struct kp_verdict front, reject;
	int r;

	if (!eps)
		return -ENOMEM;
	n = service_select(f->port, f->fam, node, eps, NULL);
	r = lookup(f, "service-ips", &front, e);
	if (r == 0)
		r = lookup(f, "no-endpoint-services", &reject, e);
	if (r < 0)
		return r;
	if (n == 0)
		return front.found  ? differs(f, "still leads to endpoints", e) :
		       reject.found ? 0 :
				      differs(f, "is not refused", e);
	if (reject.found)
		return differs(f, "is still refused", e);
	if (!front.found)
		return differs(f, "is missing", e);
	return same_backends(f, front.chain, eps, n, e);
}

int kp_service_in_force(struct nl *nl, const struct service *svc, const struct node *node, struct err *e)
{
	for (enum ip_family fam = IP_V4; fam < IP_FAMILY_MAX; fam++) {
		struct kp_verdict v;
		int r;

		if (!ip_addr_is_set(&svc->cluster_ip[fam]))
			continue;
		for (size_t i = 0; i < svc->n_ports; i++) {
			const struct front f = { nl, svc, &svc->ports[i], fam };

			r = port_in_force(&f, node, e);
			if (r < 0)
				return r;
		}
		if (!svc->n_ports)
			continue;
		r = kp_kernel_lookup(nl, fam, "cluster-ips", &svc->cluster_ip[fam], 0, 0, &v, e);
		if (r < 0)
			return r;
		if (!v.found)
			return differs(&(struct front){ nl, svc, &svc->ports[0], fam }, "is no active ClusterIP", e);
	}
	return 0;
}

static int port_known(const struct front *f, struct err *e)
{
	struct kp_verdict front, reject;
	int r = lookup(f, "service-ips", &front, e);

	if (r == 0)
		r = lookup(f, "no-endpoint-services", &reject, e);
	return r < 0 || front.found || reject.found ? r : differs(f, "is not known", e);
}

int kp_service_known(struct nl *nl, const struct service *svc, struct err *e)
{
	int r = 0;

	for (enum ip_family fam = IP_V4; fam < IP_FAMILY_MAX; fam++)
		for (size_t i = 0; r == 0 && ip_addr_is_set(&svc->cluster_ip[fam]) && i < svc->n_ports; i++) {
			const struct front f = { nl, svc, &svc->ports[i], fam };

			r = port_known(&f, e);
		}
	return r;
}

/* ---- a Service that is gone ---- */

int kp_service_gone(struct nl *nl, const struct service *from, const struct snapshot *to, struct err *e)
{
	for (enum ip_family fam = IP_V4; fam < IP_FAMILY_MAX; fam++) {
		const struct ip_addr *ip = &from->cluster_ip[fam];
		const struct service *now = ip_addr_is_set(ip) ? snapshot_service_by_ip(to, ip) : NULL;

		now = now && kp_carries(now) ? now : NULL;
		for (size_t i = 0; ip_addr_is_set(ip) && i < from->n_ports; i++) {
			const struct front f = { nl, from, &from->ports[i], fam };
			struct kp_verdict front, reject;
			int r;

			if (now && service_find_port(now, f.port->proto, f.port->port))
				continue;
			r = lookup(&f, "service-ips", &front, e);
			if (r == 0)
				r = lookup(&f, "no-endpoint-services", &reject, e);
			if (r < 0)
				return r;
			if (front.found || reject.found)
				return differs(&f, "is still there", e);
		}
	}
	return 0;
}

/* ---- verify ---- */

struct verifier {
	struct nl *nl;
	const struct node *node;
	struct err *e;
	size_t n_fronts[IP_FAMILY_MAX], n_rejects[IP_FAMILY_MAX], n_ips[IP_FAMILY_MAX];
};

static int count_port(struct verifier *v, const struct service_port *port, enum ip_family fam)
{
	CLEANUP_FREE const struct endpoint **eps = malloc((port->n_endpoints[fam] + 1) * sizeof(*eps));

	if (!eps)
		return -ENOMEM;
	if (service_select(port, fam, v->node, eps, NULL))
		v->n_fronts[fam]++;
	else
		v->n_rejects[fam]++;
	return 0;
}

static int verify_service(const struct service *svc, void *arg)
{
	struct verifier *v = arg;
	int r;

	if (!kp_carries(svc))
		return 0;
	for (enum ip_family fam = IP_V4; fam < IP_FAMILY_MAX; fam++) {
		if (!ip_addr_is_set(&svc->cluster_ip[fam]))
			continue;
		v->n_ips[fam] += svc->n_ports > 0;
		for (size_t i = 0; i < svc->n_ports; i++) {
			r = count_port(v, &svc->ports[i], fam);
			if (r < 0)
				return r;
		}
	}
	return kp_service_in_force(v->nl, svc, v->node, v->e);
}

static int verify_count(struct verifier *v, enum ip_family fam, const char *set, size_t wanted)
{
	size_t n;
	int r = kp_kernel_count(v->nl, fam, set, &n, v->e);

	if (r < 0)
		return r;
	return n == wanted ? 0 : err_set(v->e, -ESTALE, set, "%zu elements are there, %zu are wanted", n, wanted);
}

int kp_verify(void *handle, const struct target_program *full, struct err *e)
{
	struct kp *h = handle;
	struct verifier v = { .nl = h->nl, .node = snapshot_node(full->to, full->node), .e = e };
	int r = full->with_services ? snapshot_each_service(full->to, verify_service, &v) : 0;

	for (enum ip_family fam = IP_V4; r == 0 && fam < IP_FAMILY_MAX; fam++) {
		r = verify_count(&v, fam, "service-ips", v.n_fronts[fam]);
		if (r == 0)
			r = verify_count(&v, fam, "no-endpoint-services", v.n_rejects[fam]);
		if (r == 0)
			r = verify_count(&v, fam, "cluster-ips", v.n_ips[fam]);
	}
	return r < 0 ? err_set_errno(e, r, NULL, "cannot read back") : 0; /* keeps a text that is there */
}

/* ---- dump ---- */

struct dumper {
	struct nl *nl;
	enum ip_family fam;
	FILE *f;
	VEC(struct kp_front) fronts; /* chains are copies */
};

static int collect_front(const struct kp_front *f, void *arg)
{
	struct dumper *d = arg;
	struct kp_front copy = *f;
	int r;

	copy.chain = strdup(f->chain ? f->chain : "?");
	r = copy.chain ? vec_push(&d->fronts, copy) : -ENOMEM;
	if (r < 0)
		free((char *)copy.chain);
	return r;
}

static int front_cmp(const void *pa, const void *pb)
{
	const struct kp_front *a = pa, *b = pb;
	int r = ip_addr_cmp(&a->ip, &b->ip);

	r = r ? r : (int)a->proto - (int)b->proto;
	return r ? r : (int)a->port - (int)b->port;
}

static int dump_front(struct dumper *d, const struct kp_front *f, struct err *e)
{
	CLEANUP(kp_backends_free) struct kp_backends b = {};
	const char *proto = ip_proto_name(f->proto);
	char ip[IP_ADDR_STR_MAX];
	int r = kp_kernel_backends(d->nl, d->fam, f->chain, &b, e);

	fprintf(d->f, "%s %s %u: %s%s", ip_addr_format(&f->ip, ip), proto ? proto : "?", f->port, f->chain,
		b.affinity ? " affinity" : "");
	if (r == 0 && b.v.n > 1)
		qsort(b.v.v, b.v.n, sizeof(b.v.v[0]), backend_cmp);
	for (size_t i = 0; i < b.v.n; i++)
		fprintf(d->f, " %s.%u", ip_addr_format(&b.v.v[i].addr, ip), b.v.v[i].port);
	fputc('\n', d->f);
	return r;
}

static int dump_family(struct dumper *d, struct err *e)
{
	int r = kp_kernel_fronts(d->nl, d->fam, "service-ips", collect_front, d, e);

	if (r == 0)
		r = kp_kernel_fronts(d->nl, d->fam, "no-endpoint-services", collect_front, d, e);
	if (d->fronts.n > 1)
		qsort(d->fronts.v, d->fronts.n, sizeof(d->fronts.v[0]), front_cmp);
	for (size_t i = 0; i < d->fronts.n; i++) {
		if (r == 0)
			r = dump_front(d, &d->fronts.v[i], e);
		free((char *)d->fronts.v[i].chain);
	}
	vec_free(&d->fronts);
	return r;
}

int kp_dump(void *handle, FILE *f, struct err *e)
{
	struct kp *h = handle;
	int r = 0;

	for (enum ip_family fam = IP_V4; r == 0 && fam < IP_FAMILY_MAX; fam++) {
		struct dumper d = { .nl = h->nl, .fam = fam, .f = f };

		r = dump_family(&d, e);
	}
	if (r == 0 && ferror(f))
		r = -EIO;
	return r < 0 ? err_set_errno(e, r, NULL, "cannot list the tables") : 0; /* keeps a text that is there */
}

/* ---- does kube-proxy do IPv6 here? ---- */

bool kp_ipv6_enabled(int netns_fd)
{
	char value[16];

	return sysctl_read(netns_fd, "net/ipv6/conf/all/disable_ipv6", value, sizeof(value), NULL) == 0 &&
	       str_eq(value, "0");
}
