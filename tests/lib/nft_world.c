/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small models in few lines; see nft_world.h. */
#include "nft_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/util.h"

extern const struct target_ops target_nft;

static struct ip_addr addr(const char *s)
{
	struct ip_addr a;

	assert_int_equal(ip_addr_parse(s, &a), 0);
	return a;
}

static struct ip_prefix prefix(const char *s)
{
	struct ip_prefix p;

	assert_int_equal(ip_prefix_parse(s, &p), 0);
	return p;
}

/* One word "10.244.1.2:8080!", "[fd44::1]:80", "10.244.2.2:80@n2". */
static struct endpoint parse_endpoint(char *word)
{
	static const char *const nodes[] = { WORLD_NODE, "n2" };
	struct endpoint ep = { .ready = true, .serving = true, .node = NULL };
	size_t len = strlen(word);
	char *colon, *at = strchr(word, '@');

	if (word[len - 1] == '!')
		ep.ready = ep.serving = false;
	if (word[len - 1] == '~') {
		ep.ready = false;
		ep.terminating = true;
	}
	for (size_t i = 0; at && i < ARRAY_LEN(nodes); i++)
		if (strncmp(at + 1, nodes[i], strlen(nodes[i])) == 0)
			ep.node = nodes[i];
	colon = strrchr(word, ':');
	assert_non_null(colon);
	ep.port = (uint16_t)strtoul(colon + 1, NULL, 10);
	*colon = '\0';
	if (word[0] == '[') {
		word[strlen(word) - 1] = '\0';
		word++;
	}
	ep.addr = addr(word);
	return ep;
}

static void parse_endpoints(const char *text, struct service_port *port, struct endpoint *room[static IP_FAMILY_MAX],
			    size_t max)
{
	char *copy = strdup(text ? text : ""), *save = NULL;

	assert_non_null(copy);
	for (int fam = 0; fam < IP_FAMILY_MAX; fam++) {
		room[fam] = calloc(max, sizeof(struct endpoint));
		assert_non_null(room[fam]);
		port->endpoints[fam] = room[fam];
	}
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		struct endpoint ep = parse_endpoint(word);
		enum ip_family fam = ip_addr_family(&ep.addr);

		assert_true(port->n_endpoints[fam] < max);
		room[fam][port->n_endpoints[fam]++] = ep;
	}
	free(copy);
}

struct service *world_service(const struct world_service *w)
{
	struct service_port ports[ARRAY_LEN(w->ports)] = {};
	struct endpoint *room[ARRAY_LEN(w->ports)][IP_FAMILY_MAX] = {};
	struct service fill = { .ns = "shop",
				.name = w->name,
				.facets = 1u << SERVICE_FACET_CLUSTER_IP,
				.features = w->features,
				.ports = ports };
	struct service *svc = NULL;
	struct err e = {};

	if (w->ip4)
		fill.cluster_ip[IP_V4] = addr(w->ip4);
	if (w->ip6)
		fill.cluster_ip[IP_V6] = addr(w->ip6);
	if (w->affinity_s) {
		fill.features |= 1u << SERVICE_FEATURE_AFFINITY;
		fill.affinity_timeout_s = w->affinity_s;
	}
	fill.choice = w->maglev ? BACKEND_CHOICE_MAGLEV : BACKEND_CHOICE_RANDOM;
	while (fill.n_ports < ARRAY_LEN(w->ports) && w->ports[fill.n_ports].port) {
		const struct world_port *wp = &w->ports[fill.n_ports];
		struct service_port *port = &ports[fill.n_ports];

		*port = (struct service_port){ .name = wp->name ? wp->name : "", .proto = wp->proto, .port = wp->port };
		parse_endpoints(wp->endpoints, port, room[fill.n_ports],
				1 + (wp->endpoints ? strlen(wp->endpoints) / 8 : 0));
		fill.n_ports++;
	}
	if (service_new(&fill, &svc, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	for (size_t i = 0; i < ARRAY_LEN(room); i++) {
		free(room[i][IP_V4]);
		free(room[i][IP_V6]);
	}
	return svc;
}

static void put_nodes(struct snapshot_edit *ed)
{
	struct node fill = {
		.name = WORLD_NODE,
		.zone = "z1",
		.addr = { addr("10.9.0.1"), addr("fd09::1") },
		.pod_cidr = { prefix("10.244.1.0/24"), prefix("fd44:1::/64") },
	};
	struct node *n = NULL;
	struct err e = {};

	assert_int_equal(node_new(&fill, &n, &e), 0);
	assert_int_equal(snapshot_edit_put_node(ed, n, &e), 0);
	node_unref(n);
}

static void put_service(struct snapshot_edit *ed, struct service *svc)
{
	struct err e = {};

	if (snapshot_edit_put_service(ed, svc, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	service_unref(svc);
}

struct snapshot *world_snapshot(const struct snapshot *base, const struct world_service *put, size_t n,
				const char *const *del)
{
	struct snapshot_edit *ed = NULL;
	struct snapshot *s = NULL;

	assert_int_equal(snapshot_edit_new(base, &ed), 0);
	if (!base)
		put_nodes(ed);
	for (; del && *del; del++)
		assert_int_equal(snapshot_edit_del_service(ed, "shop", *del), 0);
	for (size_t i = 0; i < n; i++)
		put_service(ed, world_service(&put[i]));
	assert_int_equal(snapshot_edit_commit(ed, &s), 0);
	return s;
}

/* ---- many ---- */

static struct service *numbered(size_t i, size_t n_eps)
{
	struct endpoint *eps = calloc(n_eps + 1, sizeof(*eps));
	struct service_port port = {
		.name = "", .proto = IPPROTO_TCP, .port = 80, .endpoints = { eps }, .n_endpoints = { n_eps }
	};
	char name[32];
	struct service fill = {
		.ns = "shop", .name = name, .facets = 1u << SERVICE_FACET_CLUSTER_IP, .n_ports = 1, .ports = &port
	};
	struct service *svc = NULL;
	struct err e = {};

	assert_non_null(eps);
	(void)snprintf(name, sizeof(name), "svc-%zu", i);
	fill.cluster_ip[IP_V4] =
		(struct ip_addr){ AF_INET, { 10, (uint8_t)(96 + (i >> 16)), (uint8_t)(i >> 8), (uint8_t)i } };
	for (size_t k = 0; k < n_eps; k++) {
		size_t pod = i * 2 + k;

		eps[k] = (struct endpoint){ .port = 8080, .ready = true, .serving = true };
		eps[k].addr = (struct ip_addr){
			AF_INET, { 10, (uint8_t)(128 + (pod >> 16) % 64), (uint8_t)(pod >> 8), (uint8_t)pod }
		};
	}
	if (service_new(&fill, &svc, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	free(eps);
	return svc;
}

struct snapshot *world_many(size_t n, size_t n_eps)
{
	struct snapshot_edit *ed = NULL;
	struct snapshot *s = NULL;

	assert_int_equal(snapshot_edit_new(NULL, &ed), 0);
	put_nodes(ed);
	for (size_t i = 0; i < n; i++)
		put_service(ed, numbered(i, n_eps));
	assert_int_equal(snapshot_edit_commit(ed, &s), 0);
	return s;
}

struct snapshot *world_many_edit(const struct snapshot *base, size_t i, size_t n_eps)
{
	struct snapshot_edit *ed = NULL;
	struct snapshot *s = NULL;

	assert_int_equal(snapshot_edit_new(base, &ed), 0);
	put_service(ed, numbered(i, n_eps));
	assert_int_equal(snapshot_edit_commit(ed, &s), 0);
	return s;
}

/* ---- random ---- */

#define RANDOM_SERVICES 6

static void random_endpoints(struct rng *rng, char *buf, size_t size)
{
	size_t n = rng_below(rng, 5), len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		static const char *const state[] = { "", "", "", "!", "~" };
		unsigned int a = 1 + (unsigned int)rng_below(rng, 6), port = 8080 + (unsigned int)rng_below(rng, 2);
		const char *s = state[rng_below(rng, ARRAY_LEN(state))];

		len += (size_t)snprintf(buf + len, size - len, "10.244.%u.%u:%u%s [fd44:%u::%u]:%u%s ", 1 + a % 2, a,
					port, s, 1 + a % 2, a, port, s);
	}
}

static void put_random(struct rng *rng, struct snapshot_edit *ed, size_t i)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };
	char name[16], ip4[32], ip6[32], eps[4][640];
	struct world_service w = { .name = name, .maglev = i % 3 == 0 };
	size_t n_ports = 1 + rng_below(rng, 3);

	(void)snprintf(name, sizeof(name), "s%zu", i);
	(void)snprintf(ip4, sizeof(ip4), "10.96.0.%zu", 10 + i);
	(void)snprintf(ip6, sizeof(ip6), "fd96::%zu", 10 + i);
	w.ip4 = rng_below(rng, 5) ? ip4 : NULL;
	w.ip6 = !w.ip4 || rng_below(rng, 2) ? ip6 : NULL;
	w.affinity_s = rng_below(rng, 3) ? 0 : 60 * (1 + (uint32_t)rng_below(rng, 2));
	if (rng_below(rng, 10) == 0)
		w.features = 1u << SERVICE_FEATURE_INTERNAL_LOCAL; /* refused */
	for (size_t k = 0; k < n_ports; k++) {
		static const char *const names[] = { "a", "b", "c" };

		random_endpoints(rng, eps[k], sizeof(eps[k]));
		w.ports[k] = (struct world_port){ names[k], protos[rng_below(rng, 3)], (uint16_t)(80 + k), eps[k] };
	}
	put_service(ed, world_service(&w));
}

static void change_node(struct rng *rng, struct snapshot_edit *ed)
{
	struct node fill = {
		.name = WORLD_NODE,
		.zone = rng_below(rng, 2) ? "z1" : "z2",
		.addr = { addr("10.9.0.1"), addr("fd09::1") },
		.pod_cidr = { prefix(rng_below(rng, 2) ? "10.244.1.0/24" : "10.244.2.0/24"), prefix("fd44:1::/64") },
	};
	struct node *n = NULL;
	struct err e = {};

	assert_int_equal(node_new(&fill, &n, &e), 0);
	assert_int_equal(snapshot_edit_put_node(ed, n, &e), 0);
	node_unref(n);
}

struct snapshot *world_random(struct rng *rng, const struct snapshot *base)
{
	struct snapshot_edit *ed = NULL;
	struct snapshot *s = NULL;
	size_t n = 1 + rng_below(rng, 3);

	assert_int_equal(snapshot_edit_new(base, &ed), 0);
	if (!base)
		put_nodes(ed);
	if (base && rng_below(rng, 8) == 0)
		change_node(rng, ed);
	for (size_t k = 0; k < n; k++) {
		size_t i = rng_below(rng, RANDOM_SERVICES);
		char name[16];

		(void)snprintf(name, sizeof(name), "s%zu", i);
		if (rng_below(rng, 4) == 0)
			(void)snapshot_edit_del_service(ed, "shop", name); /* may be absent */
		else
			put_random(rng, ed, i);
	}
	assert_int_equal(snapshot_edit_commit(ed, &s), 0);
	return s;
}

struct target_program *world_compile(const struct snapshot *from, const struct snapshot *to)
{
	struct target_probe probe = { .usable = true, .features = UINT64_MAX };
	struct target_input in = { .from = from, .to = to, .node = WORLD_NODE, .probe = &probe, .with_services = true };
	struct target_program *p = NULL;
	struct err e = {};

	if (target_nft.compile(&in, &p, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	return p;
}
