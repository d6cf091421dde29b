/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the server process serves: collections of encoded objects, each with the events since. Knows nothing of the model. Bounds: it holds what
 * our own process sent, and of events those that a watcher still needs, or the last STORE_EVENTS_KEPT.
 */
#ifndef OFFKUBE_TARGET_KUBEPROXY_STORE_H
#define OFFKUBE_TARGET_KUBEPROXY_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "api.h"
#include "base/map.h"

#define STORE_EVENTS_KEPT 4096

enum store_type { STORE_ADDED, STORE_MODIFIED, STORE_DELETED, STORE_BOOKMARK };
extern const char *const store_type_name[];

/* One state of an object, in both encodings; immutable. */
struct blob {
	unsigned int n_refs;
	uint64_t version;
	size_t json_size, proto_size;
	char bytes[]; /* JSON, then protobuf */
};

struct blob *blob_new(uint64_t version, const char *json, size_t json_size, const char *proto, size_t proto_size);
struct blob *blob_ref(struct blob *b);
void blob_unref(struct blob *b); /* NULL is fine */

struct store_event {
	enum store_type type;
	struct blob *blob;
};

struct collection {
	struct map *objects; /* key -> struct blob * */
	VEC(struct store_event) events;
	uint64_t first_event; /* number of events.v[0] since the beginning */
	uint64_t forgotten; /* version of the last event that is gone */
};

struct store {
	struct collection kinds[API_KIND_MAX];
	uint64_t version; /* of the last change to any of them */
};

int store_init(struct store *s);
void store_done(struct store *s);
/* Both take a reference of their own. 0, -ENOMEM; store_del: -ENOENT. */
int store_put(struct store *s, enum api_kind kind, const char *key, struct blob *b);
int store_del(struct store *s, enum api_kind kind, const char *key, struct blob *last);
/* Every object of a collection, referenced; the array is the caller's. */
int store_all(const struct store *s, enum api_kind kind, struct blob ***ret, size_t *ret_n);
/* Number of the first event after `version`; -ESTALE when events after it were forgotten. */
int store_since(const struct store *s, enum api_kind kind, uint64_t version, uint64_t *ret);
/* Forgets events before number `needed`, but for the last STORE_EVENTS_KEPT. */
void store_trim(struct store *s, enum api_kind kind, uint64_t needed);

/* ---- one event as bytes of a watch ---- */

/* Appends: a line of JSON, or a frame of protobuf. */
void store_frame(struct strbuf *sb, enum emit_format format, enum api_kind kind, enum store_type type,
		 const struct blob *b);
/* A bookmark; `initial_end`: the one that ends the initial events of a streaming list. NULL without memory. */
struct blob *store_bookmark(enum api_kind kind, uint64_t version, bool initial_end);

#endif
