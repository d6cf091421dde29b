/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Collections, their events, and how an event looks on the wire. Called by server.c (changes) and http.c (lists and watches). */
#include "store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

const char *const store_type_name[] = { "ADDED", "MODIFIED", "DELETED", "BOOKMARK" };

/* ---- blobs ---- */

struct blob *blob_new(uint64_t version, const char *json, size_t json_size, const char *proto, size_t proto_size)
{
	struct blob *b = malloc(sizeof(*b) + json_size + proto_size);

	if (!b)
		return NULL;
	*b = (struct blob){ .n_refs = 1, .version = version, .json_size = json_size, .proto_size = proto_size };
	memcpy(b->bytes, json, json_size);
	memcpy(b->bytes + json_size, proto, proto_size);
	return b;
}

struct blob *blob_ref(struct blob *b)
{
	b->n_refs++;
	return b;
}

void blob_unref(struct blob *b)
{
	if (b && --b->n_refs == 0)
		free(b);
}

static void unref_value(void *b)
{
	blob_unref(b);
}

/* ---- collections ---- */

int store_init(struct store *s)
{
	memset(s, 0, sizeof(*s));
	for (size_t i = 0; i < API_KIND_MAX; i++)
		if (map_new(&s->kinds[i].objects) < 0) {
			store_done(s);
			return -ENOMEM;
		}
	return 0;
}

void store_done(struct store *s)
{
	for (size_t i = 0; i < API_KIND_MAX; i++) {
		struct collection *c = &s->kinds[i];

		map_free(c->objects, unref_value);
		for (size_t k = 0; k < c->events.n; k++)
			blob_unref(c->events.v[k].blob);
		vec_free(&c->events);
	}
	memset(s, 0, sizeof(*s));
}

/* Room for the event is made first, so that nothing can fail after the object is in. */
static void add_event(struct store *s, struct collection *c, enum store_type type, struct blob *b)
{
	c->events.v[c->events.n++] = (struct store_event){ type, blob_ref(b) };
	s->version = MAX(s->version, b->version);
}

int store_put(struct store *s, enum api_kind kind, const char *key, struct blob *b)
{
	struct collection *c = &s->kinds[kind];
	void *old = NULL;
	int r = vec_reserve(&c->events, c->events.n + 1);

	if (r == 0)
		r = map_put_str(c->objects, key, blob_ref(b), &old);
	if (r < 0) {
		blob_unref(b);
		return r;
	}
	add_event(s, c, old ? STORE_MODIFIED : STORE_ADDED, b);
	blob_unref(old);
	return 0;
}

int store_del(struct store *s, enum api_kind kind, const char *key, struct blob *last)
{
	struct collection *c = &s->kinds[kind];
	int r = vec_reserve(&c->events, c->events.n + 1);
	struct blob *old;

	if (r < 0)
		return r;
	old = map_del(c->objects, key, map_str_size(key));
	if (!old)
		return -ENOENT;
	add_event(s, c, STORE_DELETED, last);
	blob_unref(old);
	return 0;
}

struct all {
	struct blob **v;
	size_t n;
};

static int take_one(const void *key, size_t key_size, void *value, void *arg)
{
	struct all *all = arg;

	(void)key;
	(void)key_size;
	all->v[all->n++] = blob_ref(value);
	return 0;
}

int store_all(const struct store *s, enum api_kind kind, struct blob ***ret, size_t *ret_n)
{
	const struct map *m = s->kinds[kind].objects;
	struct all all = { .v = malloc((map_count(m) + 1) * sizeof(*all.v)) };

	if (!all.v)
		return -ENOMEM;
	(void)map_each(m, take_one, &all); /* never stops */
	*ret = all.v;
	*ret_n = all.n;
	return 0;
}

int store_since(const struct store *s, enum api_kind kind, uint64_t version, uint64_t *ret)
{
	const struct collection *c = &s->kinds[kind];
	size_t i = c->events.n;

	if (version < c->forgotten)
		return -ESTALE;
	while (i && c->events.v[i - 1].blob->version > version)
		i--;
	*ret = c->first_event + i;
	return 0;
}

void store_trim(struct store *s, enum api_kind kind, uint64_t needed)
{
	struct collection *c = &s->kinds[kind];
	uint64_t end = c->first_event + c->events.n;
	size_t n = 0;

	if (c->events.n >= 2 * STORE_EVENTS_KEPT && needed > c->first_event)
		n = (size_t)(MIN(needed, end - STORE_EVENTS_KEPT) - c->first_event);
	if (n == 0)
		return;
	c->forgotten = c->events.v[n - 1].blob->version;
	for (size_t i = 0; i < n; i++)
		blob_unref(c->events.v[i].blob);
	memmove(c->events.v, c->events.v + n, (c->events.n - n) * sizeof(c->events.v[0]));
	c->events.n -= n;
	c->first_event += n;
}

/* ---- on the wire ---- */

struct blob *store_bookmark(enum api_kind kind, uint64_t version, bool initial_end)
{
	struct strbuf text[2] = { STRBUF_INIT, STRBUF_INIT };
	static const enum emit_format formats[] = { EMIT_JSON, EMIT_PROTO };
	char digits[24];
	struct blob *b = NULL;

	(void)snprintf(digits, sizeof(digits), "%" PRIu64, version);
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		struct emit em = { .format = formats[i], .out = &text[i] };

		emit_begin(&em, NULL, 0);
		if (em.format == EMIT_JSON) {
			emit_str(&em, "apiVersion", 0, api_types[kind].version);
			emit_str(&em, "kind", 0, api_types[kind].kind);
		}
		emit_begin(&em, "metadata", 1);
		emit_str(&em, "resourceVersion", 6, digits);
		if (initial_end)
			emit_label(&em, "annotations", 12, "k8s.io/initial-events-end", "true");
		emit_end(&em);
		emit_end(&em);
	}
	if (!text[0].failed && !text[1].failed)
		b = blob_new(version, text[0].buf, text[0].len, text[1].buf, text[1].len);
	for (size_t i = 0; i < ARRAY_LEN(formats); i++)
		strbuf_free(&text[i]);
	return b;
}

static size_t varint_size(uint64_t v)
{
	size_t n = 1;

	for (; v >= 0x80; v >>= 7)
		n++;
	return n;
}

/* Size of a bytes field with a one-byte tag. */
static size_t field_size(size_t size)
{
	return 1 + varint_size(size) + size;
}

static void put_field(struct strbuf *sb, unsigned int number, const void *bytes, size_t size)
{
	strbuf_add_char(sb, (char)(number << 3 | 2));
	emit_varint(sb, size);
	if (bytes)
		strbuf_add_mem(sb, bytes, size);
}

/*
 * The length in four bytes, then WatchEvent{1: type, 2: RawExtension{1: "k8s\0" and Unknown{1: TypeMeta{1: apiVersion, 2: kind}, 2: the object}}}.
 * The fields without bytes are those whose content is written next.
 */
static void frame_proto(struct strbuf *sb, enum api_kind kind, enum store_type type, const struct blob *b)
{
	const struct api_type *t = &api_types[kind];
	const char *name = store_type_name[type];
	size_t type_meta = field_size(strlen(t->version)) + field_size(strlen(t->kind));
	size_t raw = 4 + field_size(type_meta) + field_size(b->proto_size);
	size_t size = field_size(strlen(name)) + field_size(field_size(raw));
	const char length[4] = { (char)(size >> 24), (char)(size >> 16), (char)(size >> 8), (char)size };

	strbuf_add_mem(sb, length, sizeof(length));
	put_field(sb, 1, name, strlen(name));
	put_field(sb, 2, NULL, field_size(raw));
	put_field(sb, 1, NULL, raw);
	strbuf_add_mem(sb, "k8s", 4);
	put_field(sb, 1, NULL, type_meta);
	put_field(sb, 1, t->version, strlen(t->version));
	put_field(sb, 2, t->kind, strlen(t->kind));
	put_field(sb, 2, b->bytes + b->json_size, b->proto_size);
}

void store_frame(struct strbuf *sb, enum emit_format format, enum api_kind kind, enum store_type type,
		 const struct blob *b)
{
	if (format == EMIT_PROTO) {
		frame_proto(sb, kind, type, b);
		return;
	}
	strbuf_addf(sb, "{\"type\":\"%s\",\"object\":", store_type_name[type]);
	strbuf_add_mem(sb, b->bytes, b->json_size);
	strbuf_add(sb, "}\n");
}
