/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * target_check_service(): what every target's check() does with the facets and features of a
 * Service. What the target consumes is passed in; whatever is left over is refused by its usual
 * name. A bit that nobody knows is refused too: unknown means no.
 */
#include <assert.h>
#include <stdio.h>

#include "base/util.h"
#include "target/target.h"

#define FACET(x) (1u << SERVICE_FACET_##x)
#define FACETS_EXTERNAL (FACET(NODE_PORT) | FACET(LOAD_BALANCER) | FACET(EXTERNAL_IP))
#define FACETS_ALL ((1u << SERVICE_FACET_MAX) - 1)
#define FEATURES_ALL ((1u << SERVICE_FEATURE_MAX) - 1)

static const struct {
	enum refusal why;
	const char *field;
} facet_refusal[] = {
	[SERVICE_FACET_CLUSTER_IP] = { REFUSAL_NO_FUNCTION, "spec.clusterIPs" },
	[SERVICE_FACET_NODE_PORT] = { REFUSAL_NODE_PORT, "spec.ports[].nodePort" },
	[SERVICE_FACET_LOAD_BALANCER] = { REFUSAL_LOAD_BALANCER, "spec.type" },
	[SERVICE_FACET_EXTERNAL_IP] = { REFUSAL_EXTERNAL_IP, "spec.externalIPs" },
};
static_assert(ARRAY_LEN(facet_refusal) == SERVICE_FACET_MAX, "one refusal per facet");

/* A left-over feature takes away the facets that would be carried wrongly without it. */
static const struct {
	enum refusal why;
	const char *field;
	uint32_t facets;
} feature_refusal[] = {
	[SERVICE_FEATURE_AFFINITY] = { REFUSAL_AFFINITY, "spec.sessionAffinity", FACETS_ALL },
	[SERVICE_FEATURE_TOPOLOGY] = { REFUSAL_TOPOLOGY, "endpoints[].hints", FACETS_ALL },
	[SERVICE_FEATURE_INTERNAL_LOCAL] = { REFUSAL_INTERNAL_LOCAL, "spec.internalTrafficPolicy", FACET(CLUSTER_IP) },
	[SERVICE_FEATURE_EXTERNAL_LOCAL] = { REFUSAL_EXTERNAL_LOCAL, "spec.externalTrafficPolicy", FACETS_EXTERNAL },
	[SERVICE_FEATURE_SOURCE_RANGES] = { REFUSAL_SOURCE_RANGES, "spec.loadBalancerSourceRanges",
					    FACET(LOAD_BALANCER) },
	[SERVICE_FEATURE_SCTP] = { REFUSAL_SCTP, "spec.ports[].protocol", FACETS_ALL },
};
static_assert(ARRAY_LEN(feature_refusal) == SERVICE_FEATURE_MAX, "one refusal per feature");

static void note(struct refusal_list *l, const struct service *svc, enum refusal why, const char *field,
		 const char *detail)
{
	char object[sizeof(((struct refusal_note *)0)->object)];

	if (!l)
		return;
	(void)snprintf(object, sizeof(object), "Service %s/%s", svc->ns, svc->name);
	/* Counted even when there is no memory for the note; the facet is taken away all the
	 * same. */
	(void)refusal_add(l, why, object, field, detail);
}

uint32_t target_check_service(const struct service *svc, uint32_t carried, uint32_t understood,
			      struct refusal_list *refusals)
{
	uint32_t facets = svc->facets & carried & FACETS_ALL;
	uint32_t facets_left = svc->facets & ~carried;
	uint32_t features_left = svc->features & ~understood;

	for (size_t i = 0; i < SERVICE_FACET_MAX; i++) {
		if (facets_left & (1u << i))
			note(refusals, svc, facet_refusal[i].why, facet_refusal[i].field, NULL);
	}
	for (size_t i = 0; i < SERVICE_FEATURE_MAX; i++) {
		if (!(features_left & (1u << i)))
			continue;
		note(refusals, svc, feature_refusal[i].why, feature_refusal[i].field, NULL);
		facets &= ~feature_refusal[i].facets;
	}
	if ((svc->facets & ~FACETS_ALL) || (svc->features & ~FEATURES_ALL)) {
		note(refusals, svc, REFUSAL_UNKNOWN_FEATURE, "", "a facet or feature bit that has no name");
		facets = 0;
	}
	return facets;
}
