/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kinds of objects have in common, and the keys of the indexes of snapshot.c, its only caller. */
#include "kind.h"

#include "base/util.h"

struct obj_name kind_name(enum kind kind, const struct obj_ref *obj)
{
	switch (kind) {
	case KIND_NODE:
		return (struct obj_name){ "", to_node(obj)->name };
	case KIND_POD:
		return (struct obj_name){ to_pod(obj)->ns, to_pod(obj)->name };
	default:
		return (struct obj_name){ to_service(obj)->ns, to_service(obj)->name };
	}
}

const struct ip_addr *kind_addr(enum kind kind, const struct obj_ref *obj, int fam)
{
	static const struct ip_addr none;

	switch (kind) {
	case KIND_NODE:
		return &to_node(obj)->addr[fam];
	case KIND_POD:
		return to_pod(obj)->host_network ? &none : &to_pod(obj)->addr[fam];
	default:
		return &to_service(obj)->cluster_ip[fam];
	}
}

const char *kind_text(enum kind kind)
{
	return kind == KIND_NODE ? "node" : kind == KIND_POD ? "pod" : "Service";
}

size_t kind_n_endpoints(enum kind kind, const struct obj_ref *obj)
{
	const struct service *s = to_service(obj);
	size_t n = 0;

	if (kind != KIND_SERVICE || !obj)
		return 0;
	for (size_t i = 0; i < s->n_ports; i++)
		n += s->ports[i].n_endpoints[IP_V4] + s->ports[i].n_endpoints[IP_V6];
	return n;
}

bool kind_equal(enum kind kind, const struct obj_ref *a, const struct obj_ref *b)
{
	switch (kind) {
	case KIND_NODE:
		return node_equal(to_node(a), to_node(b));
	case KIND_POD:
		return pod_equal(to_pod(a), to_pod(b));
	default:
		return service_equal(to_service(a), to_service(b));
	}
}

static bool match_name(const struct obj_ref *obj, const struct hamt_key *key)
{
	const struct name_key *want = container_of(key, const struct name_key, key);
	struct obj_name have = kind_name(want->kind, obj);

	return str_eq(have.name, want->name.name) && str_eq(have.ns, want->name.ns);
}

struct name_key kind_name_key(enum kind kind, const char *ns, const char *name)
{
	uint64_t hash = hash_bytes(name, strlen(name), hash_bytes(ns, strlen(ns), 0));

	return (struct name_key){ { hash, match_name }, kind, { ns, name } };
}

struct name_key kind_key(enum kind kind, const struct obj_ref *obj)
{
	struct obj_name n = kind_name(kind, obj);

	return kind_name_key(kind, n.ns, n.name);
}

static bool match_ip(const struct obj_ref *obj, const struct hamt_key *key)
{
	const struct ip_key *want = container_of(key, const struct ip_key, key);

	return ip_addr_eq(kind_addr(want->kind, obj, want->fam), want->addr);
}

struct ip_key kind_ip_key(enum kind kind, const struct ip_addr *a)
{
	uint64_t hash = hash_bytes(a->bytes, ip_addr_size(a), 0);

	return (struct ip_key){ { hash, match_ip }, kind, ip_addr_family(a), a };
}

static bool match_cidr(const struct obj_ref *obj, const struct hamt_key *key)
{
	const struct ip_prefix *want = container_of(key, const struct cidr_key, key)->prefix;
	const struct ip_prefix *have = &to_node(obj)->pod_cidr[ip_addr_family(&want->addr)];

	return have->len == want->len && ip_addr_eq(&have->addr, &want->addr);
}

struct cidr_key kind_cidr_key(const struct ip_prefix *p)
{
	return (struct cidr_key){ { hash_bytes(p->addr.bytes, ip_addr_size(&p->addr), p->len), match_cidr }, p };
}

int obj_name_cmp(struct obj_name a, struct obj_name b)
{
	int d = strcmp(a.ns, b.ns);

	return d ? d : strcmp(a.name, b.name);
}
