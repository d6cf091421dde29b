/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Endpoints of a Service as EndpointSlices. Called by program.c.
 *
 *	1. Ports whose endpoints are the same but for the port number share slices, as the slice controller has it for the ports of one pod.
 *	2. Endpoints of one port with several numbers (a named targetPort) are apart by number.
 *	3. Within such a group an endpoint's slice is told by its address: the group has 2^k slices, the fewest with SLICE_ENDPOINTS_MEAN on average and
 *	   no more than SLICE_ENDPOINTS_MAX in any.
 */
#include "api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/util.h"

/* The endpoints of one number of one port; more ports may join. */
struct group {
	size_t n;
	const struct endpoint **endpoints;
	size_t n_ports;
	struct slice_port *ports;
};

static uint32_t addr_hash(const struct ip_addr *a)
{
	return crc32c_update(0, a->bytes, ip_addr_size(a));
}

static bool same_names(const char *const *a, size_t n_a, const char *const *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (!str_eq(a[i], b[i]))
			return false;
	return true;
}

static bool same_endpoint(const struct endpoint *a, const struct endpoint *b)
{
	return ip_addr_eq(&a->addr, &b->addr) && a->ready == b->ready && a->serving == b->serving &&
	       a->terminating == b->terminating && str_eq(a->node, b->node) &&
	       same_names(a->for_nodes, a->n_for_nodes, b->for_nodes, b->n_for_nodes) &&
	       same_names(a->for_zones, a->n_for_zones, b->for_zones, b->n_for_zones);
}

static bool same_endpoints(const struct endpoint *const *a, size_t n_a, const struct endpoint *const *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (a[i] != b[i] && !same_endpoint(a[i], b[i]))
			return false;
	return true;
}

bool slice_equal(const struct slice *a, const struct slice *b)
{
	if (a->n_ports != b->n_ports)
		return false;
	for (size_t i = 0; i < a->n_ports; i++)
		if (a->ports[i].number != b->ports[i].number || a->ports[i].port->proto != b->ports[i].port->proto ||
		    !str_eq(a->ports[i].port->name, b->ports[i].port->name))
			return false;
	return same_endpoints(a->endpoints, a->n_endpoints, b->endpoints, b->n_endpoints);
}

/* ---- one group to slices ---- */

static bool fits(const struct group *g, uint32_t n_slices)
{
	CLEANUP_FREE size_t *count = calloc(n_slices, sizeof(*count));

	for (size_t i = 0; count && i < g->n; i++)
		if (++count[addr_hash(&g->endpoints[i]->addr) & (n_slices - 1)] > SLICE_ENDPOINTS_MAX)
			return false;
	return true; /* without memory what follows fails too */
}

static uint32_t count_slices(const struct group *g)
{
	uint32_t n = 1;

	while (g->n > (size_t)n * SLICE_ENDPOINTS_MEAN)
		n *= 2;
	/* An address has one endpoint in a group, so that halving always comes to an end. */
	while (g->n > SLICE_ENDPOINTS_MAX && n < 1u << 24 && !fits(g, n))
		n *= 2;
	return n;
}

/* "ipv4.http.8080.3.cart": only the last part may have dots. */
static int add_slice(struct slices *out, const struct slice *fill, uint32_t index)
{
	struct slice s = *fill;
	int r;

	s.name = str_printf("%s.%s.%u.%u.%s", s.fam == IP_V6 ? "ipv6" : "ipv4",
			    s.ports[0].port->name ? s.ports[0].port->name : "", s.ports[0].number, index, s.svc->name);
	r = s.name ? vec_push(&out->v, s) : -ENOMEM;
	if (r < 0) {
		free(s.name);
		free(s.endpoints);
	}
	return r;
}

static int fill_slices(const struct group *g, struct slice *slices, uint32_t n_slices, const struct slice *fill)
{
	for (size_t i = 0; i < g->n; i++)
		slices[addr_hash(&g->endpoints[i]->addr) & (n_slices - 1)].n_endpoints++;
	for (uint32_t k = 0; k < n_slices; k++) {
		struct slice *s = &slices[k];
		size_t n = s->n_endpoints;

		*s = *fill;
		s->endpoints = n ? malloc(n * sizeof(*s->endpoints)) : NULL;
		if (n && !s->endpoints)
			return -ENOMEM;
	}
	for (size_t i = 0; i < g->n; i++) {
		struct slice *s = &slices[addr_hash(&g->endpoints[i]->addr) & (n_slices - 1)];

		s->endpoints[s->n_endpoints++] = g->endpoints[i];
	}
	return 0;
}

static int group_to_slices(const struct service *svc, enum ip_family fam, const struct group *g, struct slices *out)
{
	const struct slice fill = { .svc = svc, .fam = fam, .n_ports = g->n_ports, .ports = g->ports };
	uint32_t n_slices = count_slices(g);
	CLEANUP_FREE struct slice *slices = calloc(n_slices, sizeof(*slices));
	int r;

	if (!slices)
		return -ENOMEM;
	r = fill_slices(g, slices, n_slices, &fill);
	for (uint32_t k = 0; k < n_slices; k++) {
		if (r == 0 && slices[k].n_endpoints)
			r = add_slice(out, &slices[k], k);
		else
			free(slices[k].endpoints);
	}
	return r;
}

/* ---- groups of one Service and family ---- */

struct groups {
	VEC(struct group) v;
};

static void groups_free(struct groups *gs)
{
	for (size_t i = 0; i < gs->v.n; i++)
		free(gs->v.v[i].endpoints); /* the ports are the slices' */
	vec_free(&gs->v);
}

/* Names of ports are unique in a slice. */
static bool group_has(const struct group *g, const struct service_port *port)
{
	for (size_t i = 0; i < g->n_ports; i++)
		if (g->ports[i].port == port)
			return true;
	return false;
}

static struct group *find_alike(struct groups *gs, size_t n_before, const struct group *g,
				const struct service_port *port)
{
	for (size_t i = 0; i < n_before; i++) {
		struct group *other = &gs->v.v[i];

		if (!group_has(other, port) && same_endpoints(other->endpoints, other->n, g->endpoints, g->n))
			return other;
	}
	return NULL;
}

/* The endpoints of `port` with this number. They join a group of an earlier port (one of the first n_before) that is alike. */
static int add_group(const struct service *svc, enum ip_family fam, const struct slice_port *sp, struct groups *gs,
		     size_t n_before, struct slices *out)
{
	const struct endpoint *eps = sp->port->endpoints[fam];
	size_t n = sp->port->n_endpoints[fam];
	struct group g = { .endpoints = malloc(n * sizeof(*g.endpoints)) }, *other;
	int r = g.endpoints ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++)
		if (eps[i].port == sp->number)
			g.endpoints[g.n++] = &eps[i];
	other = r == 0 ? find_alike(gs, n_before, &g, sp->port) : NULL;
	if (other) {
		other->ports[other->n_ports++] = *sp;
		free(g.endpoints);
		return 0;
	}
	g.ports = calloc(svc->n_ports, sizeof(*g.ports));
	if (r == 0 && !g.ports)
		r = -ENOMEM;
	if (r == 0)
		r = vec_push(&out->port_lists, g.ports);
	if (r == 0) {
		g.ports[g.n_ports++] = *sp;
		r = vec_push(&gs->v, g);
	} else {
		free(g.ports);
	}
	if (r < 0)
		free(g.endpoints);
	return r;
}

static int number_cmp(const void *a, const void *b)
{
	return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

static int add_port(const struct service *svc, enum ip_family fam, const struct service_port *port, struct groups *gs,
		    struct slices *out)
{
	size_t n = port->n_endpoints[fam], n_before = gs->v.n;
	CLEANUP_FREE uint16_t *numbers = malloc((n + 1) * sizeof(*numbers));
	int r = numbers ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++)
		numbers[i] = port->endpoints[fam][i].port;
	if (r == 0 && n > 1)
		qsort(numbers, n, sizeof(*numbers), number_cmp);
	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct slice_port sp = { port, numbers[i] };

		if (i == 0 || numbers[i] != numbers[i - 1])
			r = add_group(svc, fam, &sp, gs, n_before, out);
	}
	return r;
}

/* ---- all ---- */

static int make_family(const struct service *svc, enum ip_family fam, struct slices *out)
{
	CLEANUP(groups_free) struct groups gs = {};
	int r = 0;

	for (size_t i = 0; r == 0 && i < svc->n_ports; i++)
		r = add_port(svc, fam, &svc->ports[i], &gs, out);
	for (size_t i = 0; r == 0 && i < gs.v.n; i++)
		r = group_to_slices(svc, fam, &gs.v.v[i], out);
	return r;
}

int slices_make(const struct service *svc, struct slices *ret)
{
	struct slices out = {};
	int r = 0;

	for (enum ip_family fam = IP_V4; r == 0 && fam < IP_FAMILY_MAX; fam++)
		if (ip_addr_is_set(&svc->cluster_ip[fam]))
			r = make_family(svc, fam, &out);
	if (r < 0) {
		slices_free(&out);
		return r;
	}
	*ret = out;
	return 0;
}

void slices_free(struct slices *s)
{
	for (size_t i = 0; i < s->v.n; i++) {
		free(s->v.v[i].name);
		free(s->v.v[i].endpoints);
	}
	for (size_t i = 0; i < s->port_lists.n; i++)
		free(s->port_lists.v[i]);
	vec_free(&s->v);
	vec_free(&s->port_lists);
}
