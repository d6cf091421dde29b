/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The named strategies, as data. Called by app/ (choice, help), measure/ and plan.c. A new strategy is a new entry. */
#include "base/util.h"
#include "plan/plan.h"

static const struct strategy strategies[] = {
	{
		.name = "none",
		.text = "no Service at all: clients use pod addresses (the upper bound)",
		.service_addresses = false,
		.tiers = { [FUNC_POD_ROUTING] = { "host" } },
	},
	{
		.name = "kube-proxy",
		.text = "Services by Kubernetes' own kube-proxy in nftables mode (the peer)",
		.service_addresses = true,
		.tiers = {
			[FUNC_POD_ROUTING] = { "host" },
			[FUNC_SERVICE_LB] = { "kube-proxy" },
			[FUNC_MASQUERADE] = { "kube-proxy" },
		},
	},
	{
		.name = "nft",
		.text = "Services by netfilter: nf_tables maps on every node",
		.service_addresses = true,
		.tiers = {
			[FUNC_POD_ROUTING] = { "host" },
			[FUNC_SERVICE_LB] = { "nft" },
			[FUNC_MASQUERADE] = { "nft" },
		},
	},
	{
		.name = "nft-again",
		.text = "the same as nft: an evaluation of the two must find no winner",
		.is_variant = true,
		.service_addresses = true,
		.tiers = {
			[FUNC_POD_ROUTING] = { "host" },
			[FUNC_SERVICE_LB] = { "nft" },
			[FUNC_MASQUERADE] = { "nft" },
		},
	},
	{
		.name = "socket",
		.text = "Services at connect() and sendmsg(), by BPF on every node's cgroup; nft below",
		.service_addresses = true,
		.tiers = {
			[FUNC_POD_ROUTING] = { "host" },
			[FUNC_SERVICE_LB] = { "bpf-sock", "nft" },
			[FUNC_MASQUERADE] = { "nft" },
		},
	},
	{
		.name = "socket-host",
		.text = "as socket, for the node's own sockets only: pods behind a service mesh keep Service addresses",
		.is_variant = true,
		.service_addresses = true,
		.host_sockets_only = true,
		.tiers = {
			[FUNC_POD_ROUTING] = { "host" },
			[FUNC_SERVICE_LB] = { "bpf-sock", "nft" },
			[FUNC_MASQUERADE] = { "nft" },
		},
	},
};

const struct strategy *strategy_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(strategies); i++)
		if (str_eq(strategies[i].name, name))
			return &strategies[i];
	return NULL;
}

size_t strategy_count(void)
{
	return ARRAY_LEN(strategies);
}

const struct strategy *strategy_at(size_t i)
{
	return i < ARRAY_LEN(strategies) ? &strategies[i] : NULL;
}
