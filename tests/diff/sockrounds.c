/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Questions in rounds (sockrounds.h). */
#include "sockrounds.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/util.h"

#define SPREAD_ASKS 100
#define PAIRS_MAX (SD_CLIENTS_MAX * IP_FAMILY_MAX * 2)
#define PAIRS_MIN 20 /* so many do not all choose again what they had */
#define PART_MS 600 /* of the second that affinity lasts: two of them are more, one is less */
#define OVER_MS 1200
#define EARLY_MS 50 /* the kernel counts in ticks */

static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };

struct asked {
	struct sim_backend backend;
	bool led;
};

static int ask_once(struct sockdiff *d, struct sd_client *c, unsigned int slot, uint8_t proto, enum ip_family fam,
		    struct asked *ret)
{
	const struct ip_addr dst = sm_service_addr(slot, fam);
	struct sd_flow f;
	int r = sockdiff_open(d, c, proto, &dst, SM_STAYING_PORT, 0, SOCK_CONNECT, &f);

	if (r)
		return r;
	r = sockdiff_ask(d, &f);
	*ret = (struct asked){ f.backend, f.call.way == SW_LED };
	sockdiff_close(d, &f);
	return r;
}

/* ---- how choices spread ---- */

static int spread_of(struct sockdiff *d, struct sd_client *c, uint8_t proto, enum ip_family fam)
{
	const struct ip_addr dst = sm_service_addr(SM_PLAIN, fam);
	const struct service *svc = snapshot_service_by_ip(d->m.snapshot, &dst);
	const struct service_port *port = service_find_port(svc, proto, SM_STAYING_PORT);
	unsigned int n_hits[SM_ENDPOINTS_MAX] = {};
	size_t n = port->n_endpoints[fam]; /* all of them are ready */
	int r = 0;

	for (unsigned int i = 0; i < SPREAD_ASKS && r == 0; i++) {
		struct asked b = {};

		r = ask_once(d, c, SM_PLAIN, proto, fam, &b);
		for (size_t k = 0; k < n; k++)
			n_hits[k] += ip_addr_eq(&port->endpoints[fam][k].addr, &b.backend.addr);
	}
	for (size_t k = 0; k < n && r == 0; k++) {
		if (n_hits[k] >= SPREAD_ASKS / n / 5)
			continue;
		(void)snprintf(d->why, sizeof(d->why), "of %d new connections endpoint %zu of %zu got %u", SPREAD_ASKS,
			       k, n, n_hits[k]);
		r = 1;
	}
	return r;
}

/* The client is himself a backend, since that must not matter; with bpf-sock he is not, since it leaves such clients to the tier below. */
int sockround_spread(struct sockdiff *d)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(protos) && r == 0; i++)
		for (int fam = 0; fam < IP_FAMILY_MAX && r == 0; fam++)
			r = spread_of(d, &d->clients[sockdiff_has_leads(d) ? 2 : 1], protos[i], fam);
	return r;
}

/* ---- affinity and time ---- */

struct backends {
	uint64_t begin_ns, end_ns;
	size_t n;
	struct asked v[PAIRS_MAX]; /* in the same order each time */
};

static int ask_all(struct sockdiff *d, struct backends *ret)
{
	int r = 0;

	ret->begin_ns = clock_now_ns(&clock_monotonic);
	ret->n = 0;
	for (size_t i = 0; i < d->n_clients; i++)
		for (int fam = 0; fam < IP_FAMILY_MAX; fam++)
			for (size_t k = 0; k < ARRAY_LEN(protos) && r == 0; k++)
				if (ip_addr_is_set(&d->clients[i].addr[fam]))
					r = ask_once(d, &d->clients[i], SM_STICKY, protos[k], fam, &ret->v[ret->n++]);
	ret->end_ns = clock_now_ns(&clock_monotonic);
	return r;
}

static void wait_ms(uint32_t ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

/* Who moved, besides those whose backend is `gone` (NULL: no exception), and those who became or ceased to be a backend: the tiers do not share what
 * they remember. */
static size_t n_moved(const struct backends *from, const struct backends *to, const struct ip_addr *gone)
{
	size_t n = 0;

	for (size_t i = 0; i < from->n; i++) {
		const struct ip_addr *was = &from->v[i].backend.addr;

		if (from->v[i].led == to->v[i].led && !ip_addr_eq(was, &to->v[i].backend.addr))
			n += !gone || !ip_addr_eq(was, &gone[ip_addr_family(was)]);
	}
	return n;
}

/* sim allows what it does not remember, so this is said without it. A slow machine may have taken longer than the second. */
static int nobody_moved(struct sockdiff *d, const struct backends *from, const struct backends *to,
			const struct ip_addr *gone)
{
	size_t n = n_moved(from, to, gone);

	if (n == 0 || to->end_ns - from->begin_ns > (NSEC_PER_SEC - EARLY_MS * NSEC_PER_MSEC))
		return 0;
	(void)snprintf(d->why, sizeof(d->why), "%zu clients moved in the time of their affinity", n);
	return 1;
}

/* Twice within the time: the second time it would be over, had the first not begun it anew. */
static int ask_in_time(struct sockdiff *d, struct backends *ret)
{
	struct backends before;
	int r = ask_all(d, ret);

	for (int i = 0; i < 2 && r == 0; i++) {
		before = *ret;
		wait_ms(PART_MS);
		r = ask_all(d, ret);
		if (r == 0)
			r = nobody_moved(d, &before, ret, NULL);
	}
	return r;
}

int sockround_affinity(struct sockdiff *d, struct err *e)
{
	unsigned int gone = d->m.n_rotated % SM_PODS;
	const struct ip_addr gone_addr[] = { sm_pod_addr(gone, IP_V4), sm_pod_addr(gone, IP_V6) };
	struct backends before, after;
	int r = ask_in_time(d, &before);

	if (r == 0)
		r = sockmodel_rotate(&d->m);
	if (r == 0)
		r = sockdiff_apply(d, e);
	if (r == 0)
		r = ask_all(d, &after);
	if (r == 0)
		r = nobody_moved(d, &before, &after, gone_addr);
	if (r)
		return r;
	before = after;
	wait_ms(OVER_MS);
	r = ask_all(d, &after);
	if (r || n_moved(&before, &after, NULL) > 0 || after.n < PAIRS_MIN)
		return r;
	(void)snprintf(d->why, sizeof(d->why), "the time of %zu affinities is over, and nobody moved", after.n);
	return 1;
}

/* ---- many Services by one socket ---- */

#define MANY_MAX 40

struct many {
	struct sockdiff *d;
	struct sd_client *c;
	struct sd_flow v[MANY_MAX];
	size_t n;
};

static int ask_another(struct many *k, const struct ip_addr *dst, uint16_t dport)
{
	struct sd_flow *f = &k->v[k->n];
	int r;

	if (k->n == MANY_MAX)
		return 0;
	if (k->n == 0)
		r = sockdiff_open(k->d, k->c, IPPROTO_UDP, dst, dport, 0, SOCK_UNBOUND | SOCK_MAPPED, f);
	else
		r = sockdiff_share(&k->v[0], dst, dport, f);
	if (r)
		return r;
	k->n++;
	return sockdiff_ask(k->d, f);
}

/* Every UDP port of every Service, both families. */
static int ask_every_service(struct many *k)
{
	int r = 0;

	for (unsigned int slot = 0; slot < SM_SLOTS; slot++)
		for (int fam = 0; fam < IP_FAMILY_MAX; fam++) {
			const struct ip_addr dst = sm_service_addr(slot, fam);
			const struct service *svc = snapshot_service_by_ip(k->d->m.snapshot, &dst);

			for (size_t i = 0; svc && i < svc->n_ports && r == 0; i++)
				if (svc->ports[i].proto == IPPROTO_UDP)
					r = ask_another(k, &dst, svc->ports[i].port);
		}
	return r;
}

int sockround_many(struct sockdiff *d)
{
	struct many *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	k->d = d;
	do
		k->c = &d->clients[sockmodel_below(&d->m, SM_PODS)];
	while (!ip_addr_is_set(&k->c->addr[IP_V4]) || !ip_addr_is_set(&k->c->addr[IP_V6]));
	r = ask_every_service(k);
	for (size_t i = 0; i < k->n && r == 0; i++)
		r = sockdiff_ask(d, &k->v[i]);
	while (k->n)
		sockdiff_close(d, &k->v[--k->n]);
	free(k);
	return r;
}

/* ---- backends that leave ---- */

static struct sd_client *client_for(struct sockdiff *d, enum ip_family fam)
{
	struct sd_client *c;

	do
		c = &d->clients[sockmodel_below(&d->m, SM_PODS)];
	while (!ip_addr_is_set(&c->addr[fam]));
	return c;
}

int sockround_before_leaving(struct sockdiff *d, struct sockround_leaving *l)
{
	const struct sm_leaving *p = &d->m.leaving;
	int r = 0;

	sockmodel_pick_leaving(&d->m);
	while (p->used && l->n < ARRAY_LEN(l->v) && r == 0) {
		const struct sm_service *s = &d->m.slots[p->slot];
		enum ip_family fam = s->v6 && (!s->v4 || sockmodel_chance(&d->m, 50)) ? IP_V6 : IP_V4;
		const struct ip_addr dst = sm_service_addr(p->slot, fam);
		unsigned int flags = l->n % 2 ? SOCK_CONNECT : 0;

		r = sockdiff_open(d, client_for(d, fam), p->proto, &dst, p->port, 0, flags, &l->v[l->n]);
		if (r == 0)
			r = sockdiff_ask(d, &l->v[l->n++]);
	}
	return r;
}

int sockround_after_leaving(struct sockdiff *d, struct sockround_leaving *l)
{
	int r = 0;

	for (size_t i = 0; i < l->n && r == 0; i++)
		r = sockdiff_ask(d, &l->v[i]);
	sockround_close_leaving(d, l);
	return r;
}

void sockround_close_leaving(struct sockdiff *d, struct sockround_leaving *l)
{
	while (l->n)
		sockdiff_close(d, &l->v[--l->n]);
}
