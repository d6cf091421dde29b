/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The counters of the tiers against what was asked (sockdiff.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "sockdiff_int.h"

/* "10.96.0.17 tcp 80", whoever says so, and how often. */
struct counted {
	char port[64];
	uint64_t n;
};

/* At the last look. */
struct counted_list {
	VEC(struct counted) v;
};
struct sockcount {
	const struct target_ops *ops[2]; /* led, below */
	void *handle[SM_NODES][2];
	struct counted_list seen[2];
};

void sockcount_free(struct sockcount *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < 2; i++) {
		for (size_t node = 0; node < SM_NODES; node++)
			if (c->ops[i])
				c->ops[i]->close(c->handle[node][i]);
		vec_free(&c->seen[i].v);
	}
	free(c);
}

/* ---- what was asked ---- */

int sd_tally(struct sockdiff *d, const struct l4_tuple *t, bool led)
{
	struct sd_tally fill = { .dst = t->dst, .dport = t->dport, .proto = t->proto, .led = led, .below = !led };

	for (size_t i = 0; i < d->tally.n; i++) {
		struct sd_tally *k = &d->tally.v[i];

		if (k->dport == t->dport && k->proto == t->proto && ip_addr_eq(&k->dst, &t->dst)) {
			k->led += led;
			k->below += !led;
			return 0;
		}
	}
	return vec_push(&d->tally, fill);
}

/* ---- what was counted ---- */

/* A handle that has applied nothing knows no names: bpf-sock says "Service 10.96.0.17 tcp 80", nft "Service 10.96.0.17:80/tcp" or
 * "Service fd00::1:80/tcp". */
static bool normalise(const char *object, char ret[static 64])
{
	char text[64], proto[8];
	unsigned int port;
	char *colon;

	if (strncmp(object, "Service ", 8) != 0)
		return false;
	(void)snprintf(text, sizeof(text), "%s", object + 8);
	if (strchr(text, ' ')) {
		(void)snprintf(ret, 64, "%s", text);
		return true;
	}
	colon = strrchr(text, ':');
	if (!colon || sscanf(colon + 1, "%u/%7s", &port, proto) != 2)
		return false;
	(void)snprintf(ret, 64, "%.*s %s %u", (int)(colon - text), text, proto, port);
	return true;
}

static uint64_t count_of(const struct counted_list *l, const char *port)
{
	for (size_t i = 0; i < l->v.n; i++)
		if (strcmp(l->v.v[i].port, port) == 0)
			return l->v.v[i].n;
	return 0;
}

static int add(const struct target_counter *tc, void *arg)
{
	struct counted_list *l = arg;
	struct counted fill = { .n = tc->value };

	if (strcmp(tc->name, "connections") != 0 || !normalise(tc->object, fill.port))
		return 0;
	for (size_t i = 0; i < l->v.n; i++)
		if (strcmp(l->v.v[i].port, fill.port) == 0) {
			l->v.v[i].n += fill.n;
			return 0;
		}
	return vec_push(&l->v, fill);
}

static int open_all(struct sockdiff *d, struct err *e)
{
	static const char *const names[2] = { "bpf-sock", "nft" };
	struct sockcount *c = calloc(1, sizeof(*c));
	int r = 0;

	if (!c)
		return -ENOMEM;
	d->count = c;
	for (size_t i = 0; i < 2 && r == 0; i++) {
		if (i == 0 && !sockdiff_has_leads(d))
			continue;
		c->ops[i] = target_find(names[i]);
		for (unsigned int node = 0; node < SM_NODES && r == 0; node++) {
			const struct target_env env = sockdiff_env(d, node);

			r = c->ops[i]->open(&env, &c->handle[node][i], e);
		}
	}
	return r;
}

static int compare_port(struct sockdiff *d, const struct counted_list now[2], const struct sd_tally *t)
{
	char addr[IP_ADDR_STR_MAX], port[64];
	uint64_t got[2];

	(void)snprintf(port, sizeof(port), "%s %s %u", ip_addr_format(&t->dst, addr), ip_proto_name(t->proto),
		       t->dport);
	for (size_t i = 0; i < 2; i++)
		got[i] = count_of(&now[i], port) - count_of(&d->count->seen[i], port);
	if (got[0] == t->led && got[1] == t->below)
		return 0;
	return sd_differ(d, "Service port %s: bpf-sock counts %llu and nft %llu connections, asked were %llu and %llu",
			 port, (unsigned long long)got[0], (unsigned long long)got[1], (unsigned long long)t->led,
			 (unsigned long long)t->below);
}

/* `compare`: else only the new starting point is taken, since a change began some counters anew. */
static int look(struct sockdiff *d, bool compare, struct err *e)
{
	struct counted_list now[2] = {};
	int r = d->count ? 0 : open_all(d, e);

	for (size_t i = 0; i < 2; i++)
		for (unsigned int node = 0; node < SM_NODES && r == 0; node++)
			if (d->count->ops[i])
				r = d->count->ops[i]->counters(d->count->handle[node][i], add, &now[i], e);
	for (size_t i = 0; i < d->tally.n && r == 0 && compare; i++)
		r = compare_port(d, now, &d->tally.v[i]);
	for (size_t i = 0; i < 2; i++) {
		if (d->count)
			vec_free(&d->count->seen[i].v);
		if (d->count)
			d->count->seen[i] = now[i];
		else
			vec_free(&now[i].v);
	}
	d->tally.n = 0;
	return r;
}

int sockdiff_check_counters(struct sockdiff *d, struct err *e)
{
	return look(d, true, e);
}

int sockdiff_start_counters(struct sockdiff *d, struct err *e)
{
	return look(d, false, e);
}
