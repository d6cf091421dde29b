/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The snapshot: a set of persistent tries (hamt.h) over the objects of the model, and the edit that makes the next one. The sources edit;
 * plan, apply and the targets look up and compare. The text form is in dump.c.
 *
 * Each kind of object has one trie by name and one per family by address; nodes have one more per family by pod CIDR. The lookup of the
 * node of a pod address tries each prefix length in use, longest first: O(lengths), which is one or two in practice.
 */
#include "model/snapshot.h"

#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "check.h"
#include "hamt.h"
#include "kind.h"

#define PREFIX_LEN_MAX 128

struct snapshot {
	unsigned int refs;
	struct hamt by_name[KIND_MAX];
	struct hamt by_ip[KIND_MAX][IP_FAMILY_MAX];
	struct hamt by_cidr[IP_FAMILY_MAX]; /* nodes by pod_cidr */
	uint32_t n_cidr[IP_FAMILY_MAX][PREFIX_LEN_MAX + 1]; /* pod CIDRs of each length */
	size_t n_endpoints;
};

/* The next snapshot, still private, so that it may change. */
struct snapshot_edit {
	struct snapshot *next;
	int failed; /* -ENOMEM half-way through a change: the indexes may disagree, so nothing more is taken */
};

/* ---- life of a snapshot ---- */

/* The tries of a snapshot one by one: NULL behind the last. */
static struct hamt *trie_at(struct snapshot *s, unsigned int i)
{
	if (i < KIND_MAX)
		return &s->by_name[i];
	i -= KIND_MAX;
	if (i < KIND_MAX * IP_FAMILY_MAX)
		return &s->by_ip[i / IP_FAMILY_MAX][i % IP_FAMILY_MAX];
	i -= KIND_MAX * IP_FAMILY_MAX;
	return i < IP_FAMILY_MAX ? &s->by_cidr[i] : NULL;
}

struct snapshot *snapshot_ref(const struct snapshot *s)
{
	struct snapshot *mine = (struct snapshot *)(uintptr_t)s; /* the count is no part of the value */

	mine->refs++;
	return mine;
}

void snapshot_unref(struct snapshot *s)
{
	struct hamt *t;

	if (!s || --s->refs > 0)
		return;
	for (unsigned int i = 0; (t = trie_at(s, i)); i++)
		hamt_unref(t);
	free(s);
}

int snapshot_edit_new(const struct snapshot *base, struct snapshot_edit **ret)
{
	CLEANUP_FREE struct snapshot_edit *ed = calloc(1, sizeof(*ed));
	struct hamt *t;

	if (!ed)
		return -ENOMEM;
	ed->next = calloc(1, sizeof(*ed->next));
	if (!ed->next)
		return -ENOMEM;
	if (base)
		*ed->next = *base;
	ed->next->refs = 1;
	for (unsigned int i = 0; (t = trie_at(ed->next, i)); i++)
		*t = hamt_ref(t);
	*ret = TAKE_PTR(ed);
	return 0;
}

void snapshot_edit_free(struct snapshot_edit *ed)
{
	if (!ed)
		return;
	snapshot_unref(ed->next);
	free(ed);
}

int snapshot_edit_commit(struct snapshot_edit *ed, struct snapshot **ret)
{
	int r = ed->failed;

	if (r == 0)
		*ret = TAKE_PTR(ed->next);
	snapshot_edit_free(ed);
	return r;
}

/* ---- edits ---- */

static const struct obj_ref *find_name(const struct snapshot *s, enum kind kind, const char *ns, const char *name)
{
	struct name_key k = kind_name_key(kind, ns, name);

	return hamt_get(&s->by_name[kind], &k.key);
}

static const struct obj_ref *find_ip(const struct snapshot *s, enum kind kind, const struct ip_addr *a)
{
	struct ip_key k = kind_ip_key(kind, a);

	return ip_addr_is_set(a) ? hamt_get(&s->by_ip[kind][k.fam], &k.key) : NULL;
}

static int err_taken(enum kind kind, const struct obj_ref *obj, enum kind owner_kind, const struct obj_ref *owner,
		     const char *what, struct err *e)
{
	struct obj_name n = kind_name(kind, obj), o = kind_name(owner_kind, owner);
	char path[2 * OBJ_NAME_MAX + 16];

	(void)snprintf(path, sizeof(path), "%s %s%s%s", kind_text(kind), n.ns, *n.ns ? "/" : "", n.name);
	return err_set(e, -EEXIST, path, "%s belongs to %s %s%s%s", what, kind_text(owner_kind), o.ns, *o.ns ? "/" : "",
		       o.name);
}

/* An address belongs to one object of any kind, a pod CIDR to one node (S7). */
static int check_free(const struct snapshot *s, enum kind kind, const struct obj_ref *obj, const struct obj_ref *old,
		      struct err *e)
{
	char text[IP_PREFIX_STR_MAX];

	for (int fam = 0; fam < IP_FAMILY_MAX; fam++) {
		const struct ip_addr *a = kind_addr(kind, obj, fam);

		for (int other = 0; other < KIND_MAX; other++) {
			const struct obj_ref *owner = find_ip(s, (enum kind)other, a);

			if (owner && owner != old)
				return err_taken(kind, obj, (enum kind)other, owner, ip_addr_format(a, text), e);
		}
	}
	for (int fam = 0; fam < IP_FAMILY_MAX && kind == KIND_NODE; fam++) {
		const struct ip_prefix *p = &to_node(obj)->pod_cidr[fam];
		struct cidr_key k = kind_cidr_key(p);
		const struct obj_ref *owner = ip_addr_is_set(&p->addr) ? hamt_get(&s->by_cidr[fam], &k.key) : NULL;

		if (owner && owner != old)
			return err_taken(kind, obj, KIND_NODE, owner, ip_prefix_format(p, text), e);
	}
	return 0;
}

/* Moves the address index from `old` to `obj`; either may be NULL. */
static int index_ip(struct snapshot *s, enum kind kind, int fam, const struct obj_ref *old, const struct obj_ref *obj)
{
	static const struct ip_addr none;
	const struct ip_addr *was = old ? kind_addr(kind, old, fam) : &none;
	const struct ip_addr *is = obj ? kind_addr(kind, obj, fam) : &none;
	int r = 0;

	if (ip_addr_is_set(was) && !ip_addr_eq(was, is)) {
		struct ip_key k = kind_ip_key(kind, was);

		r = hamt_del(&s->by_ip[kind][fam], &k.key);
	}
	if (r == 0 && ip_addr_is_set(is)) {
		struct ip_key k = kind_ip_key(kind, is);

		r = hamt_put(&s->by_ip[kind][fam], &k.key, obj);
	}
	return r;
}

static int index_cidr(struct snapshot *s, int fam, const struct obj_ref *old, const struct obj_ref *obj)
{
	static const struct ip_prefix none;
	const struct ip_prefix *was = old ? &to_node(old)->pod_cidr[fam] : &none;
	const struct ip_prefix *is = obj ? &to_node(obj)->pod_cidr[fam] : &none;
	int r = 0;

	/* Removed even if it stays the same: then put back by the next step, with the count of its length. */
	if (ip_addr_is_set(&was->addr)) {
		struct cidr_key k = kind_cidr_key(was);

		r = hamt_del(&s->by_cidr[fam], &k.key);
		if (r == 0)
			s->n_cidr[fam][was->len]--;
	}
	if (r == 0 && ip_addr_is_set(&is->addr)) {
		struct cidr_key k = kind_cidr_key(is);

		r = hamt_put(&s->by_cidr[fam], &k.key, obj);
		if (r == 0)
			s->n_cidr[fam][is->len]++;
	}
	return r;
}

/* All indexes from `old` to `obj`; one of them may be NULL. */
static int replace(struct snapshot *s, enum kind kind, const struct obj_ref *old, const struct obj_ref *obj)
{
	struct name_key k = kind_key(kind, obj ? obj : old);
	size_t n_old = kind_n_endpoints(kind, old);
	int r = 0;

	for (int fam = 0; fam < IP_FAMILY_MAX && r == 0; fam++) {
		r = index_ip(s, kind, fam, old, obj);
		if (r == 0 && kind == KIND_NODE)
			r = index_cidr(s, fam, old, obj);
	}
	if (r == 0)
		r = obj ? hamt_put(&s->by_name[kind], &k.key, obj) : hamt_del(&s->by_name[kind], &k.key);
	if (r == 0)
		s->n_endpoints += kind_n_endpoints(kind, obj) - n_old; /* `old` may be gone by now */
	return r;
}

static int edit_put(struct snapshot_edit *ed, enum kind kind, const struct obj_ref *obj, struct err *e)
{
	struct name_key k = kind_key(kind, obj);
	const struct obj_ref *old;
	int r;

	if (ed->failed)
		return err_set_errno(e, ed->failed, NULL, "edit of the snapshot");
	old = hamt_get(&ed->next->by_name[kind], &k.key);
	if (old == obj)
		return 0;
	r = check_free(ed->next, kind, obj, old, e);
	if (r < 0)
		return r;
	ed->failed = replace(ed->next, kind, old, obj);
	return ed->failed ? err_set_errno(e, ed->failed, NULL, "edit of the snapshot") : 0;
}

static int edit_del(struct snapshot_edit *ed, enum kind kind, const char *ns, const char *name)
{
	const struct obj_ref *old;

	if (ed->failed)
		return ed->failed;
	old = find_name(ed->next, kind, ns, name);
	if (!old)
		return -ENOENT;
	/* The index by name goes last, and holds `old` (and the caller's ns and name, if they are its own) until then. */
	ed->failed = replace(ed->next, kind, old, NULL);
	return ed->failed;
}

int snapshot_edit_put_node(struct snapshot_edit *ed, const struct node *n, struct err *e)
{
	return edit_put(ed, KIND_NODE, &n->ref, e);
}

int snapshot_edit_put_pod(struct snapshot_edit *ed, const struct pod *p, struct err *e)
{
	return edit_put(ed, KIND_POD, &p->ref, e);
}

int snapshot_edit_put_service(struct snapshot_edit *ed, const struct service *s, struct err *e)
{
	return edit_put(ed, KIND_SERVICE, &s->ref, e);
}

int snapshot_edit_del_node(struct snapshot_edit *ed, const char *name)
{
	return edit_del(ed, KIND_NODE, "", name);
}

int snapshot_edit_del_pod(struct snapshot_edit *ed, const char *ns, const char *name)
{
	return edit_del(ed, KIND_POD, ns, name);
}

int snapshot_edit_del_service(struct snapshot_edit *ed, const char *ns, const char *name)
{
	return edit_del(ed, KIND_SERVICE, ns, name);
}

/* ---- lookups ---- */

const struct node *snapshot_node(const struct snapshot *s, const char *name)
{
	return to_node(find_name(s, KIND_NODE, "", name));
}

const struct pod *snapshot_pod(const struct snapshot *s, const char *ns, const char *name)
{
	return to_pod(find_name(s, KIND_POD, ns, name));
}

const struct service *snapshot_service(const struct snapshot *s, const char *ns, const char *name)
{
	return to_service(find_name(s, KIND_SERVICE, ns, name));
}

const struct service *snapshot_service_by_ip(const struct snapshot *s, const struct ip_addr *cluster_ip)
{
	return to_service(find_ip(s, KIND_SERVICE, cluster_ip));
}

const struct pod *snapshot_pod_by_ip(const struct snapshot *s, const struct ip_addr *a)
{
	return to_pod(find_ip(s, KIND_POD, a));
}

const struct node *snapshot_node_by_ip(const struct snapshot *s, const struct ip_addr *a)
{
	return to_node(find_ip(s, KIND_NODE, a));
}

const struct node *snapshot_node_by_pod_ip(const struct snapshot *s, const struct ip_addr *a)
{
	enum ip_family fam = ip_addr_family(a);

	if (!ip_addr_is_set(a))
		return NULL;
	for (int len = (int)(8 * ip_addr_size(a)); len >= 0; len--) {
		const struct obj_ref *obj;
		struct ip_prefix prefix;
		struct cidr_key k;

		if (s->n_cidr[fam][len] == 0)
			continue;
		model_prefix_of(a, (uint8_t)len, &prefix);
		k = kind_cidr_key(&prefix);
		obj = hamt_get(&s->by_cidr[fam], &k.key);
		if (obj)
			return to_node(obj);
	}
	return NULL;
}

size_t snapshot_n_nodes(const struct snapshot *s)
{
	return s->by_name[KIND_NODE].n;
}

size_t snapshot_n_pods(const struct snapshot *s)
{
	return s->by_name[KIND_POD].n;
}

size_t snapshot_n_services(const struct snapshot *s)
{
	return s->by_name[KIND_SERVICE].n;
}

size_t snapshot_n_endpoints(const struct snapshot *s)
{
	return s->n_endpoints;
}

/* ---- all of a kind ---- */

struct each {
	int (*node)(const struct node *n, void *arg);
	int (*pod)(const struct pod *p, void *arg);
	int (*service)(const struct service *svc, void *arg);
	void *arg;
};

static int each_node(const struct obj_ref *obj, void *arg)
{
	const struct each *each = arg;

	return each->node(to_node(obj), each->arg);
}

static int each_pod(const struct obj_ref *obj, void *arg)
{
	const struct each *each = arg;

	return each->pod(to_pod(obj), each->arg);
}

static int each_service(const struct obj_ref *obj, void *arg)
{
	const struct each *each = arg;

	return each->service(to_service(obj), each->arg);
}

int snapshot_each_node(const struct snapshot *s, int (*fn)(const struct node *n, void *arg), void *arg)
{
	struct each each = { .node = fn, .arg = arg };

	return hamt_each(&s->by_name[KIND_NODE], each_node, &each);
}

int snapshot_each_pod(const struct snapshot *s, int (*fn)(const struct pod *p, void *arg), void *arg)
{
	struct each each = { .pod = fn, .arg = arg };

	return hamt_each(&s->by_name[KIND_POD], each_pod, &each);
}

int snapshot_each_service(const struct snapshot *s, int (*fn)(const struct service *svc, void *arg), void *arg)
{
	struct each each = { .service = fn, .arg = arg };

	return hamt_each(&s->by_name[KIND_SERVICE], each_service, &each);
}

struct collect {
	const struct obj_ref **v;
	size_t n;
};

static int collect_one(const struct obj_ref *obj, void *arg)
{
	struct collect *c = arg;

	c->v[c->n++] = obj;
	return 0;
}

static int node_cmp(const void *a, const void *b)
{
	return obj_name_cmp(kind_name(KIND_NODE, *(const struct obj_ref *const *)a),
			    kind_name(KIND_NODE, *(const struct obj_ref *const *)b));
}

static int pod_cmp(const void *a, const void *b)
{
	return obj_name_cmp(kind_name(KIND_POD, *(const struct obj_ref *const *)a),
			    kind_name(KIND_POD, *(const struct obj_ref *const *)b));
}

static int service_cmp(const void *a, const void *b)
{
	return obj_name_cmp(kind_name(KIND_SERVICE, *(const struct obj_ref *const *)a),
			    kind_name(KIND_SERVICE, *(const struct obj_ref *const *)b));
}

static int sorted(const struct snapshot *s, enum kind kind, int (*cmp)(const void *, const void *),
		  const struct obj_ref ***ret, size_t *ret_n)
{
	const struct hamt *t = &s->by_name[kind];
	struct collect c = { calloc(MAX(t->n, (size_t)1), sizeof(*c.v)), 0 };

	if (!c.v)
		return -ENOMEM;
	(void)hamt_each(t, collect_one, &c); /* collect_one never fails */
	qsort(c.v, c.n, sizeof(*c.v), cmp);
	*ret = c.v;
	*ret_n = c.n;
	return 0;
}

int snapshot_sorted_nodes(const struct snapshot *s, const struct node ***ret, size_t *ret_n)
{
	return sorted(s, KIND_NODE, node_cmp, (const struct obj_ref ***)ret, ret_n);
}

int snapshot_sorted_pods(const struct snapshot *s, const struct pod ***ret, size_t *ret_n)
{
	return sorted(s, KIND_POD, pod_cmp, (const struct obj_ref ***)ret, ret_n);
}

int snapshot_sorted_services(const struct snapshot *s, const struct service ***ret, size_t *ret_n)
{
	return sorted(s, KIND_SERVICE, service_cmp, (const struct obj_ref ***)ret, ret_n);
}

/* ---- differences ---- */

struct diff {
	enum kind kind;
	const struct snapshot_diff_ops *ops;
	void *arg;
};

static bool diff_same_key(const struct obj_ref *a, const struct obj_ref *b, void *arg)
{
	const struct diff *d = arg;

	return obj_name_cmp(kind_name(d->kind, a), kind_name(d->kind, b)) == 0;
}

static int diff_report(const struct obj_ref *from, const struct obj_ref *to, void *arg)
{
	const struct diff *d = arg;

	if (from && to && kind_equal(d->kind, from, to))
		return 0;
	switch (d->kind) {
	case KIND_NODE:
		return d->ops->node(to_node(from), to_node(to), d->arg);
	case KIND_POD:
		return d->ops->pod(to_pod(from), to_pod(to), d->arg);
	default:
		return d->ops->service(to_service(from), to_service(to), d->arg);
	}
}

int snapshot_diff(const struct snapshot *from, const struct snapshot *to, const struct snapshot_diff_ops *ops,
		  void *arg)
{
	static const struct hamt empty;
	const bool wanted[KIND_MAX] = {
		[KIND_NODE] = ops->node != NULL,
		[KIND_POD] = ops->pod != NULL,
		[KIND_SERVICE] = ops->service != NULL,
	};

	for (int kind = 0; kind < KIND_MAX; kind++) {
		struct diff d = { (enum kind)kind, ops, arg };
		struct hamt_diff walk = { diff_same_key, diff_report, &d, 0 };
		int r;

		if (!wanted[kind])
			continue;
		r = hamt_diff(from ? &from->by_name[kind] : &empty, to ? &to->by_name[kind] : &empty, &walk);
		if (r)
			return r;
	}
	return 0;
}
