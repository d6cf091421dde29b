/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ClusterIPs: those of the input are taken first, the others are given out. An address depends on
 * namespace and name alone unless it is taken (then the next free one), so that adding a Service
 * seldom moves another. The first 16 of the range are left to explicit ones, as the API server
 * leaves them. Called by build.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "load.h"

#define RANGE_MAX (1ull << 24) /* of a large IPv6 prefix the start is enough */
#define N_EXPLICIT_ONLY 16

#define FIELD "spec.clusterIPs"

/* The Service as messages name it; NULL = -ENOMEM. */
static const char *service_text(struct load *l, const struct raw_service *s)
{
	return arena_printf(l->arena, "Service %.63s/%.63s", s->ns, s->name);
}

/*
 * An address outside the service CIDR is fine (the dump of another cluster), but in a node's pod
 * CIDR it could not work.
 */
static int check_place(struct load *l, const struct raw_service *s, const struct ip_addr *a)
{
	enum ip_family fam = ip_addr_family(a);
	char text[IP_ADDR_STR_MAX], what[200];

	if (ip_prefix_contains(&l->service_cidr[fam], a))
		return 0;
	(void)snprintf(what, sizeof(what), "Service %.63s/%.63s: " FIELD, s->ns, s->name);
	for (size_t i = 0; i < l->nodes.n; i++) {
		const struct raw_node *n = l->nodes.v[i];

		if (ip_addr_is_set(&n->pod_cidr[fam].addr) && ip_prefix_contains(&n->pod_cidr[fam], a))
			return load_err(l, -EINVAL, &s->place, what, "%s lies in the pod CIDR of Node %.100s",
					ip_addr_format(a, text), n->name);
	}
	return 0;
}

static int take_given(struct load *l, struct raw_service *s)
{
	const char *what = service_text(l, s);
	int r = 0;

	if (!what)
		return -ENOMEM;
	for (enum ip_family fam = 0; fam < IP_FAMILY_MAX && r == 0; fam++) {
		if (!load_uses(l, fam)) {
			memset(&s->cluster_ip[fam], 0, sizeof(s->cluster_ip[fam]));
			s->want[fam] = false;
		}
		if (!ip_addr_is_set(&s->cluster_ip[fam]))
			continue;
		r = check_place(l, s, &s->cluster_ip[fam]);
		if (r == 0)
			r = build_take_addr(l, &s->cluster_ip[fam], &s->place, what, FIELD);
	}
	return r;
}

/* Indexes [first, first + n) of the service CIDR may be given out. */
static void range_of(const struct ip_prefix *cidr, uint64_t *ret_first, uint64_t *ret_n)
{
	unsigned int bits = (cidr->addr.fam == AF_INET ? 32u : 128u) - cidr->len;
	uint64_t size = bits >= 24 ? RANGE_MAX : 1ull << bits;

	*ret_first = size >= 16 * N_EXPLICIT_ONLY ? N_EXPLICIT_ONLY : 1;
	*ret_n = size > *ret_first + 1 ? size - *ret_first - 1 : 0; /* the last one is a broadcast address */
}

static int give(struct load *l, struct raw_service *s, enum ip_family fam)
{
	const char *what = service_text(l, s);
	uint64_t first, n, start;

	range_of(&l->service_cidr[fam], &first, &n);
	start = n ? load_stable_hash(s->name, load_stable_hash(s->ns, 0)) % n : 0;
	if (!what)
		return -ENOMEM;
	for (uint64_t i = 0; i < n; i++) {
		struct ip_addr a;

		if (ip_prefix_nth(&l->service_cidr[fam], first + (start + i) % n, &a) < 0 ||
		    map_has(l->addrs, &a, sizeof(a)))
			continue;
		s->cluster_ip[fam] = a;
		return build_take_addr(l, &a, &s->place, what, "");
	}
	return load_err(l, -ENOSPC, &s->place, what, "the service CIDR has no free IPv%d address",
			fam == IP_V4 ? 4 : 6);
}

int cluster_ip_build(struct load *l)
{
	int r = 0;

	for (size_t i = 0; i < l->services.n && r == 0; i++)
		r = take_given(l, l->services.v[i]);
	for (size_t i = 0; i < l->services.n && r == 0; i++) {
		struct raw_service *s = l->services.v[i];

		for (enum ip_family fam = 0; fam < IP_FAMILY_MAX && r == 0; fam++)
			if (!s->skipped && s->want[fam] && !ip_addr_is_set(&s->cluster_ip[fam]))
				r = give(l, s, fam);
	}
	return r;
}
