/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kinds of objects that a snapshot holds, seen alike: name, address, equality, and their keys in the tries. Private to the room. */
#ifndef OFFKUBE_MODEL_KIND_H
#define OFFKUBE_MODEL_KIND_H

#include "hamt.h"
#include "model/object.h"

enum kind { KIND_NODE, KIND_POD, KIND_SERVICE, KIND_MAX };

struct obj_name {
	const char *ns, *name; /* ns is "" for a node */
};

static inline const struct node *to_node(const struct obj_ref *obj)
{
	return (const struct node *)obj;
}

static inline const struct pod *to_pod(const struct obj_ref *obj)
{
	return (const struct pod *)obj;
}

static inline const struct service *to_service(const struct obj_ref *obj)
{
	return (const struct service *)obj;
}

const char *kind_text(enum kind kind); /* "pod", for messages */
struct obj_name kind_name(enum kind kind, const struct obj_ref *obj);
/* By namespace, then name. */
int obj_name_cmp(struct obj_name a, struct obj_name b);
/* The address by which the object is found; unset when there is none. Host-network pods have no address of their own (S6). */
const struct ip_addr *kind_addr(enum kind kind, const struct obj_ref *obj, int fam);
/* 0 for anything but a Service; NULL is fine. */
size_t kind_n_endpoints(enum kind kind, const struct obj_ref *obj);
/* Same content. */
bool kind_equal(enum kind kind, const struct obj_ref *a, const struct obj_ref *b);

/* Keys point to what they are made from. */
struct name_key {
	struct hamt_key key;
	enum kind kind;
	struct obj_name name;
};
struct name_key kind_name_key(enum kind kind, const char *ns, const char *name);
struct name_key kind_key(enum kind kind, const struct obj_ref *obj);

struct ip_key {
	struct hamt_key key;
	enum kind kind;
	int fam;
	const struct ip_addr *addr;
};
struct ip_key kind_ip_key(enum kind kind, const struct ip_addr *a);

/* Nodes by pod CIDR. */
struct cidr_key {
	struct hamt_key key;
	const struct ip_prefix *prefix;
};
struct cidr_key kind_cidr_key(const struct ip_prefix *p);

#endif
