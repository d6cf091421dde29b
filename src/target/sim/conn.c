/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The connection table: each connection is found by the tuple of either side. Called by
 * decide.c. Bounded; who has timed out goes when the table has doubled. */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"
#include "base/util.h"

#define CONN_MAX (1u << 20)
#define SWEEP_MIN 1024

struct l4_tuple tuple_inverse(const struct l4_tuple *t)
{
	return (struct l4_tuple){
		.src = t->dst, .dst = t->src, .sport = t->dport, .dport = t->sport, .proto = t->proto
	};
}

int conn_table_init(struct conn_table *t)
{
	t->head.prev = t->head.next = &t->head;
	t->n = t->n_swept = 0;
	return map_new(&t->by_tuple);
}

void conn_table_done(struct conn_table *t)
{
	struct conn *c = t->head.next;

	while (c && c != &t->head) {
		struct conn *next = c->next;

		free(c);
		c = next;
	}
	map_free(t->by_tuple, NULL);
}

struct conn *conn_find(const struct conn_table *t, const struct l4_tuple *tuple, enum dir *ret_dir)
{
	struct l4_key k = l4_key_of(tuple);
	struct conn *c = map_get(t->by_tuple, &k, sizeof(k));
	struct l4_key orig;

	if (!c)
		return NULL;
	orig = l4_key_of(&c->orig);
	*ret_dir = memcmp(&orig, &k, sizeof(k)) == 0 ? DIR_ORIGINAL : DIR_REPLY;
	return c;
}

void conn_del(struct conn_table *t, struct conn *c)
{
	struct l4_key orig = l4_key_of(&c->orig), reply = l4_key_of(&c->reply);

	(void)map_del(t->by_tuple, &orig, sizeof(orig)); /* the value is c */
	(void)map_del(t->by_tuple, &reply, sizeof(reply));
	c->prev->next = c->next;
	c->next->prev = c->prev;
	t->n--;
	free(c);
}

static void sweep(struct conn_table *t, uint64_t now_ns)
{
	struct conn *next;

	for (struct conn *c = t->head.next; c != &t->head; c = next) {
		next = c->next;
		if (now_ns >= c->track.expires_ns)
			conn_del(t, c);
	}
	t->n_swept = t->n;
}

int conn_add(struct conn_table *t, const struct conn *fill, uint64_t now_ns)
{
	struct l4_key orig = l4_key_of(&fill->orig), reply = l4_key_of(&fill->reply);
	struct conn *c;
	int r;

	if (map_has(t->by_tuple, &orig, sizeof(orig)) || map_has(t->by_tuple, &reply, sizeof(reply)))
		return -EEXIST;
	if (t->n >= SWEEP_MIN && t->n >= 2 * t->n_swept)
		sweep(t, now_ns);
	if (t->n >= CONN_MAX)
		return -ENOMEM;
	c = malloc(sizeof(*c));
	if (!c)
		return -ENOMEM;
	*c = *fill;
	r = map_put(t->by_tuple, &orig, sizeof(orig), c, NULL);
	if (r == 0)
		r = map_put(t->by_tuple, &reply, sizeof(reply), c,
			    NULL); /* the same key when somebody talks to himself */
	if (r < 0) {
		(void)map_del(t->by_tuple, &orig, sizeof(orig));
		free(c);
		return r;
	}
	c->next = &t->head;
	c->prev = t->head.prev;
	c->prev->next = c;
	t->head.prev = c;
	t->n++;
	return 0;
}
