/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes and pods: checking, copying into one block, comparing. Services are in service.c. Called by the sources, which make objects,
 * and by snapshot.c, which compares them. Rules S1... are those of docs/semantics.md.
 */
#include "model/object.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "check.h"
#include "obj.h"
#include "pack.h"

/* ---- checks shared with service.c (check.h) ---- */

int model_check_name(const char *name, const char *path, struct err *e)
{
	size_t len = name ? strlen(name) : 0;

	if (len == 0)
		return err_set(e, -EINVAL, path, "a name is needed");
	if (len > OBJ_NAME_MAX)
		return err_set(e, -EINVAL, path, "longer than %d characters", OBJ_NAME_MAX);
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f || *c == '/')
			return err_set(e, -EINVAL, path, "character 0x%02x is not allowed in a name",
				       (unsigned char)*c);
	return 0;
}

int model_check_addr_pair(const struct ip_addr addr[IP_FAMILY_MAX], const char *path, struct err *e)
{
	if (addr[IP_V4].fam != 0 && addr[IP_V4].fam != AF_INET)
		return err_set(e, -EINVAL, path, "the first address is not IPv4");
	if (addr[IP_V6].fam != 0 && addr[IP_V6].fam != AF_INET6)
		return err_set(e, -EINVAL, path, "the second address is not IPv6");
	return 0;
}

int model_check_proto(uint8_t proto, const char *path, struct err *e)
{
	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP && proto != IPPROTO_SCTP)
		return err_set(e, -EINVAL, path, "protocol %u is not TCP, UDP or SCTP", proto);
	return 0;
}

static bool addr_pair_equal(const struct ip_addr a[IP_FAMILY_MAX], const struct ip_addr b[IP_FAMILY_MAX])
{
	return ip_addr_eq(&a[IP_V4], &b[IP_V4]) && ip_addr_eq(&a[IP_V6], &b[IP_V6]);
}

/* ---- nodes ---- */

static int check_pod_cidr(const struct ip_prefix *cidr, uint8_t fam, struct err *e)
{
	struct ip_prefix net;

	if (!ip_addr_is_set(&cidr->addr))
		return 0;
	if (cidr->addr.fam != fam)
		return err_set(e, -EINVAL, "spec.podCIDRs", "of the wrong family");
	if (cidr->len > 8 * ip_addr_size(&cidr->addr))
		return err_set(e, -EINVAL, "spec.podCIDRs", "prefix length %u is too long", cidr->len);
	model_prefix_of(&cidr->addr, cidr->len, &net);
	if (!ip_addr_eq(&net.addr, &cidr->addr))
		return err_set(e, -EINVAL, "spec.podCIDRs", "bits behind the prefix are set");
	return 0;
}

void model_prefix_of(const struct ip_addr *a, uint8_t len, struct ip_prefix *ret)
{
	unsigned int whole = len / 8;

	*ret = (struct ip_prefix){ .addr.fam = a->fam, .len = len };
	memcpy(ret->addr.bytes, a->bytes, whole);
	if (len % 8)
		ret->addr.bytes[whole] = (uint8_t)(a->bytes[whole] & (0xff00 >> (len % 8)));
}

static struct node *pack_node(struct pack *p, const struct node *fill)
{
	struct node *n = pack_take(p, sizeof(*n), _Alignof(struct node));
	const char *name = pack_str(p, fill->name);
	const char *zone = pack_str(p, fill->zone);

	if (!n)
		return NULL;
	*n = *fill;
	n->ref.count = 1;
	n->name = name;
	n->zone = zone;
	return n;
}

int node_new(const struct node *fill, struct node **ret, struct err *e)
{
	struct pack p = { NULL, 0 };
	int r;

	r = model_check_name(fill->name, "metadata.name", e);
	if (r == 0)
		r = model_check_addr_pair(fill->addr, "status.addresses", e);
	for (int fam = 0; fam < IP_FAMILY_MAX && r == 0; fam++)
		r = check_pod_cidr(&fill->pod_cidr[fam], fam == IP_V6 ? AF_INET6 : AF_INET, e);
	if (r < 0)
		return r;
	(void)pack_node(&p, fill); /* counts */
	p = (struct pack){ malloc(p.size), 0 };
	if (!p.block)
		return err_set_errno(e, -ENOMEM, NULL, "node %s", fill->name);
	*ret = pack_node(&p, fill);
	return 0;
}

struct node *node_ref(const struct node *n)
{
	obj_get(&n->ref);
	return (struct node *)(uintptr_t)n;
}

void node_unref(struct node *n)
{
	if (n)
		obj_put(&n->ref);
}

static bool prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return ip_addr_eq(&a->addr, &b->addr) && a->len == b->len;
}

bool node_equal(const struct node *a, const struct node *b)
{
	return a == b || (str_eq(a->name, b->name) && str_eq(a->zone, b->zone) && addr_pair_equal(a->addr, b->addr) &&
			  prefix_equal(&a->pod_cidr[IP_V4], &b->pod_cidr[IP_V4]) &&
			  prefix_equal(&a->pod_cidr[IP_V6], &b->pod_cidr[IP_V6]));
}

/* ---- pods ---- */

static int label_cmp(const void *a, const void *b)
{
	return strcmp(((const struct label *)a)->key, ((const struct label *)b)->key);
}

static const struct label *pack_labels(struct pack *p, const struct pod *fill)
{
	struct label *copy = pack_array(p, struct label, fill->n_labels);

	for (size_t i = 0; i < fill->n_labels; i++) {
		struct label l = { pack_str(p, fill->labels[i].key), pack_str(p, fill->labels[i].value) };

		if (copy)
			copy[i] = l;
	}
	if (copy)
		qsort(copy, fill->n_labels, sizeof(*copy), label_cmp);
	return copy;
}

static const struct container_port *pack_ports(struct pack *p, const struct pod *fill)
{
	struct container_port *copy = pack_array(p, struct container_port, fill->n_ports);

	for (size_t i = 0; i < fill->n_ports; i++) {
		struct container_port port = fill->ports[i];

		port.name = pack_str(p, port.name);
		if (copy)
			copy[i] = port;
	}
	return copy;
}

static const struct env_var *pack_env(struct pack *p, const struct pod *fill)
{
	struct env_var *copy = pack_array(p, struct env_var, fill->n_env);

	for (size_t i = 0; i < fill->n_env; i++) {
		struct env_var v = { pack_str(p, fill->env[i].name), pack_str(p, fill->env[i].value) };

		if (copy)
			copy[i] = v;
	}
	return copy;
}

static struct pod *pack_pod(struct pack *p, const struct pod *fill)
{
	struct pod *pod = pack_take(p, sizeof(*pod), _Alignof(struct pod));
	struct pod copy = *fill;

	copy.ref.count = 1;
	copy.labels = pack_labels(p, fill);
	copy.ports = pack_ports(p, fill);
	copy.env = pack_env(p, fill);
	copy.ns = pack_str(p, fill->ns);
	copy.name = pack_str(p, fill->name);
	copy.workload = pack_str(p, fill->workload);
	copy.node = pack_str(p, fill->node);
	if (pod)
		*pod = copy;
	return pod;
}

static int check_pod(const struct pod *fill, struct err *e)
{
	char path[64];
	int r;

	r = model_check_name(fill->ns, "metadata.namespace", e);
	if (r == 0)
		r = model_check_name(fill->name, "metadata.name", e);
	if (r == 0)
		r = model_check_addr_pair(fill->addr, "status.podIPs", e);
	for (size_t i = 0; i < fill->n_ports && r == 0; i++) {
		(void)snprintf(path, sizeof(path), "spec.containers.ports[%zu]", i);
		r = model_check_proto(fill->ports[i].proto, path, e);
		if (r == 0 && fill->ports[i].port == 0)
			r = err_set(e, -EINVAL, path, "port 0 is not allowed");
	}
	for (size_t i = 0; i < fill->n_labels && r == 0; i++)
		if (!fill->labels[i].key || !fill->labels[i].value)
			r = err_set(e, -EINVAL, "metadata.labels", "a label without a key or value");
	for (size_t i = 0; i < fill->n_env && r == 0; i++)
		if (!fill->env[i].name || !fill->env[i].value)
			r = err_set(e, -EINVAL, "spec.containers.env", "a variable without a name or value");
	return r;
}

int pod_new(const struct pod *fill, struct pod **ret, struct err *e)
{
	struct pack p = { NULL, 0 };
	struct pod *pod;
	int r;

	r = check_pod(fill, e);
	if (r < 0)
		return r;
	(void)pack_pod(&p, fill); /* counts */
	p = (struct pack){ malloc(p.size), 0 };
	if (!p.block)
		return err_set_errno(e, -ENOMEM, NULL, "pod %s/%s", fill->ns, fill->name);
	pod = pack_pod(&p, fill);
	for (size_t i = 1; i < pod->n_labels; i++)
		if (str_eq(pod->labels[i - 1].key, pod->labels[i].key)) {
			r = err_set(e, -EINVAL, "metadata.labels", "label %s is given twice", pod->labels[i].key);
			pod_unref(pod);
			return r;
		}
	*ret = pod;
	return 0;
}

struct pod *pod_ref(const struct pod *p)
{
	obj_get(&p->ref);
	return (struct pod *)(uintptr_t)p;
}

void pod_unref(struct pod *p)
{
	if (p)
		obj_put(&p->ref);
}

const char *pod_label(const struct pod *p, const char *key)
{
	struct label want = { key, NULL };
	const struct label *l;

	if (p->n_labels == 0)
		return NULL;
	l = bsearch(&want, p->labels, p->n_labels, sizeof(want), label_cmp);
	return l ? l->value : NULL;
}

static bool labels_equal(const struct pod *a, const struct pod *b)
{
	if (a->n_labels != b->n_labels)
		return false;
	for (size_t i = 0; i < a->n_labels; i++)
		if (!str_eq(a->labels[i].key, b->labels[i].key) || !str_eq(a->labels[i].value, b->labels[i].value))
			return false;
	return true;
}

static bool container_ports_equal(const struct pod *a, const struct pod *b)
{
	if (a->n_ports != b->n_ports)
		return false;
	for (size_t i = 0; i < a->n_ports; i++)
		if (!str_eq(a->ports[i].name, b->ports[i].name) || a->ports[i].port != b->ports[i].port ||
		    a->ports[i].proto != b->ports[i].proto)
			return false;
	return true;
}

static bool env_equal(const struct pod *a, const struct pod *b)
{
	if (a->n_env != b->n_env)
		return false;
	for (size_t i = 0; i < a->n_env; i++)
		if (!str_eq(a->env[i].name, b->env[i].name) || !str_eq(a->env[i].value, b->env[i].value))
			return false;
	return true;
}

bool pod_equal(const struct pod *a, const struct pod *b)
{
	if (a == b)
		return true;
	return str_eq(a->ns, b->ns) && str_eq(a->name, b->name) && str_eq(a->workload, b->workload) &&
	       str_eq(a->node, b->node) && addr_pair_equal(a->addr, b->addr) && a->host_network == b->host_network &&
	       a->ready == b->ready && a->terminating == b->terminating && labels_equal(a, b) &&
	       container_ports_equal(a, b) && env_equal(a, b);
}
