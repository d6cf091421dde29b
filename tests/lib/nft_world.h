/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small models in few lines, for the tests of targets nft and bpf-sock. */
#ifndef OFFKUBE_TESTS_NFT_WORLD_H
#define OFFKUBE_TESTS_NFT_WORLD_H

#include "base/rand.h"
#include "model/snapshot.h"
#include "target/target.h"

#define WORLD_NODE "n1" /* 10.9.0.1, fd09::1; pods 10.244.1.0/24, fd44:1::/64 */

struct world_port {
	const char *name;
	uint8_t proto;
	uint16_t port;
	/* "10.244.1.2:8080 10.244.2.3:8080! [fd44:1::2]:80~": ! not ready and not serving, ~ terminating but serving. @n2 before that: its node */
	const char *endpoints;
};

struct world_service {
	const char *name; /* namespace "shop" */
	const char *ip4, *ip6; /* NULL: none */
	uint32_t affinity_s;
	uint32_t features; /* more of them */
	bool maglev;
	struct world_port ports[4]; /* up to the first without a port */
};

/* Each fails the test when it cannot. */
struct service *world_service(const struct world_service *w);
/* base may be NULL (then the nodes are made); `put` up to n; `del` names, NULL-terminated, may be NULL. The base
 * is not consumed. */
struct snapshot *world_snapshot(const struct snapshot *base, const struct world_service *put, size_t n,
				const char *const *del);
/* n Services svc-0.., one TCP port 80 each at 10.96.0.0/12, n_eps endpoints. */
struct snapshot *world_many(size_t n, size_t n_eps);
/* The i-th Service of world_many with another number of endpoints. */
struct snapshot *world_many_edit(const struct snapshot *base, size_t i, size_t n_eps);
/* Some random change of a random small world; base NULL: from empty. */
struct snapshot *world_random(struct rng *rng, const struct snapshot *base);

/* compile() with every feature probed; from NULL: full. */
struct target_program *world_compile(const struct snapshot *from, const struct snapshot *to);

#endif
