/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory of session affinity (SEMANTICS 1.5): client address and Service port -> backend, for a
 * time. The key is the Service port, not the address by which it was reached. Called by decide.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "internal.h"
#include "base/util.h"

#define AFFINITY_MAX (1u << 20)
#define SWEEP_MIN 1024

/* Family, address, protocol, port, "ns/name". */
#define KEY_MAX (1 + 16 + 1 + 2 + 2 * (OBJ_NAME_MAX + 1))

static size_t key_of(uint8_t key[static KEY_MAX], const struct service *svc, const struct service_port *port,
		     const struct ip_addr *client)
{
	int len = snprintf((char *)key + 20, KEY_MAX - 20, "%s/%s", svc->ns, svc->name);

	key[0] = client->fam;
	memcpy(key + 1, client->bytes, 16);
	key[17] = port->proto;
	memcpy(key + 18, &port->port, 2);
	return 20 + MIN((size_t)len, (size_t)KEY_MAX - 21);
}

int affinity_init(struct affinity_table *t)
{
	t->n_swept = 0;
	return map_new(&t->by_client);
}

void affinity_done(struct affinity_table *t)
{
	map_free(t->by_client, free);
}

struct affinity *affinity_find(const struct affinity_table *t, const struct service *svc,
			       const struct service_port *port, const struct ip_addr *client)
{
	uint8_t key[KEY_MAX];

	return map_get(t->by_client, key, key_of(key, svc, port, client));
}

/* ---- forgetting: a map must not change while one walks it, so the victims are collected first
 * ---- */

struct victims {
	VEC(struct affinity *) v;
	const struct snapshot *snapshot; /* or NULL: by time */
	uint64_t now_ns;
};

static bool is_asked_for(const struct snapshot *s, const struct affinity *a)
{
	const struct service *svc = snapshot_service(s, a->ns, a->name);

	return svc && is_carried(svc) && (svc->features & (1u << SERVICE_FEATURE_AFFINITY)) &&
	       service_find_port(svc, a->proto, a->port);
}

static int collect(const void *key, size_t key_size, void *value, void *arg)
{
	struct victims *victims = arg;
	struct affinity *a = value;

	(void)key;
	(void)key_size;
	if (victims->snapshot ? is_asked_for(victims->snapshot, a) : victims->now_ns < a->expires_ns)
		return 0;
	return vec_push(&victims->v, a);
}

static int forget(struct affinity_table *t, struct victims *victims)
{
	int r = map_each(t->by_client, collect, victims);

	for (size_t i = 0; r == 0 && i < victims->v.n; i++) {
		struct affinity *a = victims->v.v[i];

		(void)map_del(t->by_client, a->key, a->key_size); /* the value is a */
		free(a);
	}
	if (r == 0)
		r = (int)victims->v.n;
	vec_free(&victims->v);
	return r;
}

int affinity_update(struct affinity_table *t, const struct snapshot *s)
{
	struct victims victims = { .snapshot = s };

	return forget(t, &victims);
}

static int make_room(struct affinity_table *t, uint64_t now_ns)
{
	struct victims victims = { .now_ns = now_ns };
	size_t n = map_count(t->by_client);
	int r;

	if (n < SWEEP_MIN || n < 2 * t->n_swept)
		return 0;
	r = forget(t, &victims);
	t->n_swept = map_count(t->by_client);
	if (r < 0)
		return r;
	return t->n_swept < AFFINITY_MAX ? 0 : -ENOMEM;
}

static struct affinity *affinity_new(const uint8_t *key, size_t key_size, const struct service *svc,
				     const struct service_port *port)
{
	size_t ns_size = strlen(svc->ns) + 1, name_size = strlen(svc->name) + 1;
	struct affinity *a = calloc(1, sizeof(*a) + ns_size + name_size + key_size);
	char *tail;

	if (!a)
		return NULL;
	tail = (char *)(a + 1);
	a->ns = memcpy(tail, svc->ns, ns_size);
	a->name = memcpy(tail + ns_size, svc->name, name_size);
	a->key = memcpy(tail + ns_size + name_size, key, key_size);
	a->key_size = key_size;
	a->proto = port->proto;
	a->port = port->port;
	return a;
}

int affinity_set(struct affinity_table *t, const struct service *svc, const struct service_port *port,
		 const struct ip_addr *client, const struct sim_backend *backend, uint64_t now_ns)
{
	uint8_t key[KEY_MAX];
	size_t key_size = key_of(key, svc, port, client);
	struct affinity *a = map_get(t->by_client, key, key_size);
	int r;

	if (!a) {
		r = make_room(t, now_ns);
		if (r < 0)
			return r;
		a = affinity_new(key, key_size, svc, port);
		if (!a)
			return -ENOMEM;
		r = map_put(t->by_client, key, key_size, a, NULL);
		if (r < 0) {
			free(a);
			return r;
		}
	}
	a->backend = *backend;
	a->expires_ns = now_ns + svc->affinity_timeout_s * NSEC_PER_SEC;
	return 0;
}
