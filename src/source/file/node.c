/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads Node objects: addresses, pod CIDRs, labels. What is missing is filled in by nodes.c. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "load.h"
#include "taints.h"

static const char *const known_spec[] = { "podCIDR",	   "podCIDRs",	   "providerID", "taints",
					  "unschedulable", "configSource", "externalID" };

static int add_cidr(const struct field *f, const char *s, struct raw_node *n)
{
	struct ip_prefix p;
	enum ip_family fam;

	if (ip_prefix_parse(s, &p) < 0)
		return field_err(f, NULL, "\"%" FIELD_SHOW "\" is no CIDR", s);
	fam = ip_addr_family(&p.addr);
	if (ip_addr_is_set(&n->pod_cidr[fam].addr))
		return field_err(f, NULL, "a second IPv%d pod CIDR", fam == IP_V4 ? 4 : 6);
	n->pod_cidr[fam] = p;
	return 0;
}

/* podCIDR repeats the first of podCIDRs; either may stand alone. */
static int read_cidrs(const struct field *spec, struct raw_node *n)
{
	const char *first = NULL, *s;
	struct field seq;
	int r = field_str(spec, "podCIDR", &first);

	if (r < 0)
		return r;
	r = field_seq(spec, "podCIDRs", &seq);
	if (r < 0)
		return r;
	for (size_t i = 0; r > 0 && i < seq.node->n; i++) {
		struct field item;

		if (field_item(&seq, i, &item) < 0 || field_item_str(&seq, i, &s) < 0)
			return -EINVAL;
		if (i == 0 && first && strcmp(first, s) != 0)
			return field_err(spec, "podCIDR", "\"%" FIELD_SHOW "\" is not the first of podCIDRs", first);
		if (add_cidr(&item, s, n) < 0)
			return -EINVAL;
	}
	if (first && (r == 0 || seq.node->n == 0)) {
		struct field at;

		(void)field_any(spec, "podCIDR", &at); /* it is there */
		return add_cidr(&at, first, n);
	}
	return 0;
}

static int read_address(const struct field *item, struct raw_node *n)
{
	const char *type = "";
	struct ip_addr addr;
	int r = field_str(item, "type", &type);

	if (r < 0 || strcmp(type, "InternalIP") != 0)
		return r < 0 ? r : 0;
	r = field_addr(item, "address", &addr);
	if (r <= 0)
		return r < 0 ? r : field_err(item, NULL, "the address is missing");
	/* The first of a family is the primary one. */
	if (!ip_addr_is_set(&n->addr[ip_addr_family(&addr)]))
		n->addr[ip_addr_family(&addr)] = addr;
	return 0;
}

static int read_status(const struct field *root, struct raw_node *n)
{
	struct field status, seq, item;
	int r = field_map(root, "status", &status);

	if (r > 0)
		r = field_seq(&status, "addresses", &seq);
	for (size_t i = 0; r > 0 && i < seq.node->n; i++)
		if (field_item_map(&seq, i, &item) < 0 || read_address(&item, n) < 0)
			return -EINVAL;
	return r < 0 ? r : 0;
}

static int read_spec(const struct field *root, struct raw_node *n)
{
	struct field spec;
	int r = field_map(root, "spec", &spec);

	if (r <= 0)
		return r;
	if (field_check_known(&spec, known_spec, ARRAY_LEN(known_spec)) < 0 ||
	    field_bool(&spec, "unschedulable", &n->unschedulable) < 0)
		return -EINVAL;
	r = read_cidrs(&spec, n);
	return r == 0 ? taints_read(&spec, n) : r;
}

int node_read(struct object *o)
{
	const struct field root = { .obj = o, .node = o->root };
	struct load *l = o->load;
	struct raw_node *n = arena_alloc(l->arena, sizeof(*n));
	int r;

	if (!n)
		return -ENOMEM;
	n->place = o->place;
	n->name = load_intern(l, o->name);
	if (!n->name)
		return -ENOMEM;
	n->labels = o->labels;
	n->zone = labels_get(&n->labels, "topology.kubernetes.io/zone");
	if (n->zone && !*n->zone)
		n->zone = NULL;
	r = read_spec(&root, n);
	if (r == 0)
		r = read_status(&root, n);
	return r == 0 ? vec_push(&l->nodes, n) : r;
}
