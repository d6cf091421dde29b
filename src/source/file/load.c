/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The entry of source/file: inputs (files, folders, standard input, buffers) to documents to
 * objects, each given to the reader of its kind; then build.c makes the snapshot. Kinds without
 * meaning for networking are counted and skipped.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "input.h"
#include "load.h"

static const char *const default_pod_cidr[IP_FAMILY_MAX] = { "10.244.0.0/16", "fd00:10:244::/56" };
static const char *const default_service_cidr[IP_FAMILY_MAX] = { "10.96.0.0/16", "fd00:10:96::/112" };
static const char *const default_node_cidr[IP_FAMILY_MAX] = { "172.30.0.0/24", "fd00:172:30::/64" };

static void load_free(struct load *l)
{
	vec_free(&l->nodes);
	vec_free(&l->workloads);
	vec_free(&l->services);
	vec_free(&l->slices);
	for (size_t i = 0; i < l->pods.n; i++)
		pod_unref(l->pods.v[i]);
	vec_free(&l->pods);
	map_free(l->strings, NULL);
	map_free(l->seen, NULL);
	map_free(l->addrs, NULL);
	map_free(l->node_by_name, NULL);
	arena_free(l->arena);
	free(l);
}
DEFINE_CLEANUP(struct load *, load_free);

bool load_uses(const struct load *l, enum ip_family fam)
{
	return fam == IP_V4 || !l->conf->ipv4_only;
}

static bool overlap(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return ip_prefix_contains(a, &b->addr) || ip_prefix_contains(b, &a->addr);
}

static int read_cidr(struct load *l, const char *what, const char *given, enum ip_family fam, const char *fallback,
		     struct ip_prefix *ret)
{
	const char *s = given ? given : fallback;

	if (ip_prefix_parse(s, ret) < 0 || ip_addr_family(&ret->addr) != fam)
		return err_set(l->e, -EINVAL, what, "\"%.60s\" is no IPv%d prefix", s, fam == IP_V4 ? 4 : 6);
	return 0;
}

static int read_cidrs(struct load *l)
{
	const struct source_file_conf *c = l->conf;

	for (enum ip_family fam = 0; fam < IP_FAMILY_MAX; fam++) {
		if (read_cidr(l, "pod CIDR", c->pod_cidr[fam], fam, default_pod_cidr[fam], &l->pod_cidr[fam]) < 0 ||
		    read_cidr(l, "service CIDR", c->service_cidr[fam], fam, default_service_cidr[fam],
			      &l->service_cidr[fam]) < 0 ||
		    read_cidr(l, "node CIDR", c->node_cidr[fam], fam, default_node_cidr[fam], &l->node_cidr[fam]) < 0)
			return -EINVAL;
		if (overlap(&l->pod_cidr[fam], &l->service_cidr[fam]) ||
		    overlap(&l->pod_cidr[fam], &l->node_cidr[fam]) ||
		    overlap(&l->service_cidr[fam], &l->node_cidr[fam]))
			return err_set(l->e, -EINVAL, fam == IP_V4 ? "IPv4" : "IPv6",
				       "pod, service and node CIDR overlap");
	}
	return 0;
}

static int load_new(const struct source_file_conf *conf, struct err *e, struct load **ret)
{
	CLEANUP(load_freep) struct load *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->conf = conf;
	l->e = e;
	r = arena_new(&l->arena);
	if (r == 0)
		r = map_new(&l->strings);
	if (r == 0)
		r = map_new(&l->seen);
	if (r == 0)
		r = map_new(&l->addrs);
	if (r == 0)
		r = map_new(&l->node_by_name);
	if (r == 0)
		r = read_cidrs(l);
	if (r == 0)
		*ret = TAKE_PTR(l);
	return r;
}

char *load_strdup(struct load *l, const char *s)
{
	return arena_strdup(l->arena, s);
}

const char *load_intern(struct load *l, const char *s)
{
	char *copy = map_get_str(l->strings, s);

	if (copy)
		return copy;
	copy = arena_strdup(l->arena, s);
	return copy && map_put_str(l->strings, s, copy, NULL) == 0 ? copy : NULL;
}

void load_warn(struct load *l, const struct place *place, const char *fmt, ...)
{
	struct source_report *rep = &l->report;
	int len = 0;
	va_list ap;
	char *to;

	if (rep->n_warnings++ >= ARRAY_LEN(rep->warning))
		return;
	to = rep->warning[rep->n_warnings - 1];
	if (place)
		len = snprintf(to, sizeof(rep->warning[0]), "%.80s:%u: ", place->file, place->line);
	va_start(ap, fmt);
	(void)vsnprintf(to + len, sizeof(rep->warning[0]) - (size_t)len, fmt, ap);
	va_end(ap);
}

void load_place(char *buf, size_t size, const struct place *place, const char *what)
{
	char tail[224];
	size_t file_len = strlen(place->file), room;

	(void)snprintf(tail, sizeof(tail), ":%u: %s", place->line, what);
	room = size - 1 - MIN(strlen(tail), size - 1);
	/* Of a long path the end says more. */
	if (file_len <= room || room < 4)
		(void)snprintf(buf, size, "%.*s%s", (int)room, place->file, tail);
	else
		(void)snprintf(buf, size, "...%s%s", place->file + file_len - (room - 3), tail);
}

int load_err(struct load *l, int code, const struct place *place, const char *what, const char *fmt, ...)
{
	char path[sizeof(l->e->path)];
	char text[400];
	va_list ap;

	load_place(path, sizeof(path), place, what);
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(l->e, code, path, "%s", text);
}

/* FNV-1a, then the finalizer of splitmix64 (FNV's low bits alone are poor). */
uint64_t load_stable_hash(const char *s, uint64_t seed)
{
	uint64_t h = 0xcbf29ce484222325ull ^ seed;

	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3ull;
	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9ull;
	h = (h ^ h >> 27) * 0x94d049bb133111ebull;
	return h ^ h >> 31;
}

/* ---- kinds ---- */

struct kind {
	const char *name;
	const char *group; /* of the apiVersion; "" = core */
	bool namespaced;
	int (*read)(struct object *o); /* NULL: known, nothing to read */
};

static const struct kind kinds[] = {
	{ "Deployment", "apps", true, workload_read },
	{ "StatefulSet", "apps", true, workload_read },
	{ "DaemonSet", "apps", true, workload_read },
	{ "ReplicaSet", "apps", true, workload_read },
	{ "Pod", "", true, workload_read },
	{ "Service", "", true, service_read },
	{ "EndpointSlice", "discovery.k8s.io", true, slice_read },
	{ "Endpoints", "", true, endpoints_read },
	{ "Node", "", false, node_read },
	{ "Namespace", "", false, NULL },
};

static bool group_is(const char *api_version, const char *group)
{
	size_t len = strlen(group);

	if (len == 0)
		return strcmp(api_version, "v1") == 0;
	return strncmp(api_version, group, len) == 0 && api_version[len] == '/';
}

/*
 * Other groups have kinds of the same name (Knative's Service): those are not ours, *ret = NULL.
 * Their names have a dot; what has none is a mistake. An item of a typed List may do without
 * apiVersion.
 */
static int find_kind(const struct field *root, const char *kind, const char *api_version, const struct kind **ret)
{
	const struct kind *k = NULL;

	*ret = NULL;
	for (size_t i = 0; i < ARRAY_LEN(kinds) && !k; i++)
		if (strcmp(kinds[i].name, kind) == 0)
			k = &kinds[i];
	if (!k)
		return 0;
	if (!api_version || group_is(api_version, k->group) ||
	    (strcmp(k->group, "apps") == 0 && group_is(api_version, "extensions"))) {
		*ret = k;
		return 0;
	}
	if (strchr(api_version, '.') && (!*k->group || strncmp(api_version, k->group, strlen(k->group)) != 0))
		return 0;
	return field_err(root, "apiVersion", "\"%" FIELD_SHOW "\" has no kind %s: %s%sv1 has", api_version, k->name,
			 k->group, *k->group ? "/" : "");
}

static void count_kind(struct load *l, const char *kind, bool used)
{
	struct source_report *rep = &l->report;
	struct source_kind_count *k = NULL;

	for (size_t i = 0; i < rep->n_kinds && !k; i++)
		if (rep->kinds[i].used == used &&
		    strncmp(rep->kinds[i].kind, kind, sizeof(rep->kinds[i].kind) - 1) == 0)
			k = &rep->kinds[i];
	if (!k && rep->n_kinds == ARRAY_LEN(rep->kinds)) {
		k = &rep->kinds[rep->n_kinds - 1];
		(void)snprintf(k->kind, sizeof(k->kind), "(other)");
		k->used = false;
	}
	if (!k) {
		k = &rep->kinds[rep->n_kinds++];
		(void)snprintf(k->kind, sizeof(k->kind), "%s", kind);
		k->used = used;
	}
	k->n++;
}

static int load_object(struct load *l, const struct doc_node *root, const char *list_kind);

static bool ends_with(const char *s, const char *end)
{
	size_t len = strlen(s), end_len = strlen(end);

	return len >= end_len && strcmp(s + len - end_len, end) == 0;
}

/* A List that came whole: its items stand before its kind. */
static int load_list(const struct field *root, const char *kind)
{
	struct load *l = root->obj->load;
	char item_kind[64];
	struct field items;
	int r = field_seq(root, "items", &items);

	if (r <= 0)
		return r;
	(void)snprintf(item_kind, sizeof(item_kind), "%.*s",
		       (int)MIN(strlen(kind) - strlen("List"), sizeof(item_kind) - 1), kind);
	for (size_t i = 0; i < items.node->n; i++) {
		struct field item;

		r = field_item_map(&items, i, &item);
		if (r < 0)
			return r;
		r = load_object(l, item.node, item_kind);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_kind(const struct field *root, const char *list_kind, const char **ret_kind, const char **ret_api)
{
	const char *kind = list_kind && *list_kind ? list_kind : NULL;
	const char *api = NULL;
	int r;

	if (root->node->type != DOC_MAP)
		return field_err(root, NULL, "no Kubernetes object: a mapping with apiVersion and kind is wanted");
	r = field_str(root, "kind", &kind);
	if (r < 0)
		return r;
	if (!kind || !*kind)
		return field_err(root, NULL, "no Kubernetes object: kind is missing");
	r = field_str(root, "apiVersion", &api);
	if (r < 0)
		return r;
	if (!api && !list_kind)
		return field_err(root, NULL, "no Kubernetes object: apiVersion is missing");
	*ret_kind = kind;
	*ret_api = api;
	return 0;
}

/*
 * One document, or one item of a List (list_kind: what its items are, "" = anything; NULL = no
 * item).
 */
static int load_object(struct load *l, const struct doc_node *root, const char *list_kind)
{
	struct object o = {
		.load = l, .place = { l->file, root->line }, .kind = "document", .ns = "", .name = "", .root = root
	};
	const struct field f = { .obj = &o, .node = root };
	const char *kind = NULL, *api = NULL;
	const struct kind *k = NULL;
	int r = read_kind(&f, list_kind, &kind, &api);

	if (r < 0)
		return r;
	o.kind = kind;
	if (ends_with(kind, "List") && (strcmp(kind, "List") == 0 || field_has(&f, "items")))
		return load_list(&f, kind);
	r = find_kind(&f, kind, api, &k);
	if (r < 0)
		return r;
	count_kind(l, kind, k != NULL);
	if (!k)
		return 0;
	o.kind = k->name;
	r = object_read_meta(&o, k->namespaced);
	if (r == 0 && k->read)
		r = k->read(&o);
	return r;
}

DEFINE_CLEANUP(struct doc_reader *, doc_reader_free);
DEFINE_CLEANUP(struct doc *, doc_free);

static int load_buffer(struct load *l, const char *name, const char *buf, size_t size)
{
	CLEANUP(doc_reader_freep) struct doc_reader *reader = NULL;
	const char *nul = memchr(buf, 0, size);
	uint64_t n_docs = 0;
	int r;

	l->file = load_intern(l, name);
	if (!l->file)
		return -ENOMEM;
	if (nul)
		return err_set(l->e, -EINVAL, name, "a binary file, no manifest: there is a zero byte at offset %zu",
			       (size_t)(nul - buf));
	r = doc_reader_new(l->file, buf, size, &reader);
	if (r < 0)
		return r;
	for (;; n_docs++) {
		CLEANUP(doc_freep) struct doc *doc = NULL;

		r = doc_reader_next(reader, &doc, l->e);
		if (r <= 0)
			break;
		r = load_object(l, doc_root(doc), doc_list_kind(doc));
		if (r < 0)
			break;
	}
	if (r == 0 && n_docs == 0)
		load_warn(l, NULL, "%.200s holds no object", name);
	return r;
}

static int load_input(const char *name, const char *buf, size_t size, void *arg)
{
	return load_buffer(arg, name, buf, size);
}

/* ---- entry ---- */

/* A failure without words (memory, mostly) gets some. */
static int finish(struct load *l, int r, struct snapshot **ret, struct source_report *ret_report)
{
	struct snapshot *s = NULL;

	if (r == 0)
		r = build_snapshot(l, &s);
	if (r < 0)
		return err_set_errno(l->e, r, NULL, "cannot load the manifests");
	if (ret_report)
		*ret_report = l->report;
	*ret = s;
	return 0;
}

int source_file_load(const struct source_file_conf *conf, struct snapshot **ret, struct source_report *ret_report,
		     struct err *e)
{
	CLEANUP(load_freep) struct load *l = NULL;
	int r = load_new(conf, e, &l);

	if (r < 0)
		return err_set_errno(e, r, NULL, "cannot load manifests");
	for (size_t i = 0; i < conf->n_paths && r == 0; i++)
		r = input_read(conf->paths[i], load_input, l, e);
	return finish(l, r, ret, ret_report);
}

int source_file_parse(const struct source_file_conf *conf, const char *name, const char *buf, size_t size,
		      struct snapshot **ret, struct source_report *ret_report, struct err *e)
{
	CLEANUP(load_freep) struct load *l = NULL;
	int r = load_new(conf, e, &l);

	if (r < 0)
		return err_set_errno(e, r, NULL, "cannot load manifests");
	r = load_buffer(l, name, buf, size);
	return finish(l, r, ret, ret_report);
}
