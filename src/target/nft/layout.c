/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables behind layout.h. Used by every file of this folder. */
#include "layout.h"

#include <assert.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_ipv4.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"

const struct nft_set_spec nft_set_spec[] = {
	[SET_CLUSTER_IPS] = { .name = "cluster-ips", .key = "a" },
	[SET_CONNECTIONS] = { .name = "connections", .key = "aps", .counter = true },
	[SET_SERVICES] = { .name = "services", .key = "aps", .data = "v" },
	[SET_BACKENDS] = { .name = "backends", .key = "apsi", .data = "as" },
	[SET_STICKY_BACKENDS] = { .name = "sticky-backends", .key = "apsi", .data = "pas" },
	[SET_NO_ENDPOINTS] = { .name = "no-endpoints", .key = "aps" },
	[SET_AFFINITY] = { .name = "affinity", .key = "apsa", .data = "pas", .dynamic = true },
	[SET_ELIGIBLE] = { .name = "eligible", .key = "asaps", .cluster_ip = 2 },
	[SET_HAIRPIN] = { .name = "hairpin", .key = "aaaps", .cluster_ip = 2 },
};
static_assert(ARRAY_LEN(nft_set_spec) == SET_MAX, "one entry a set");

/* Type numbers of the nft program (its datatype.h): ipv4_addr 7, ipv6_addr 8, inet_proto 12, inet_service 13, mark
 * 19. */
#define TYPE_PROTO 12
#define TYPE_PORT 13
#define TYPE_MARK 19
#define TYPE_BITS 6

const struct nft_family nft_family[] = {
	[IP_V4] = { .nfproto = NFPROTO_IPV4,
		    .name = "ip",
		    .addr_size = 4,
		    .addr_words = 1,
		    .saddr_offset = 12,
		    .daddr_offset = 16,
		    .ct_saddr = NFT_CT_SRC_IP,
		    .ct_daddr = NFT_CT_DST_IP,
		    .addr_type = 7,
		    .reject_code = 3 },
	[IP_V6] = { .nfproto = NFPROTO_IPV6,
		    .name = "ip6",
		    .addr_size = 16,
		    .addr_words = 4,
		    .saddr_offset = 8,
		    .daddr_offset = 24,
		    .ct_saddr = NFT_CT_SRC_IP6,
		    .ct_daddr = NFT_CT_DST_IP6,
		    .addr_type = 8,
		    .reject_code = 4 },
};
static_assert(ARRAY_LEN(nft_family) == IP_FAMILY_MAX, "one entry a family");

const struct nft_chain_spec nft_chain_spec[] = {
	[CHAIN_REJECT] = { .name = "reject", .hook = -1 },
	[CHAIN_SERVICE] = { .name = "service", .hook = -1 },
	[CHAIN_PREROUTING] = { .name = "prerouting", .hook = NF_INET_PRE_ROUTING, .priority = NF_IP_PRI_NAT_DST },
	[CHAIN_OUTPUT] = { .name = "output", .hook = NF_INET_LOCAL_OUT, .priority = NF_IP_PRI_NAT_DST },
	[CHAIN_POSTROUTING] = { .name = "postrouting", .hook = NF_INET_POST_ROUTING, .priority = NF_IP_PRI_NAT_SRC },
};
static_assert(ARRAY_LEN(nft_chain_spec) == CHAIN_MAX, "one entry a chain");

const char *const nft_counter_name[] = {
	[COUNTER_CHOSEN] = "chosen",
	[COUNTER_AFFINITY] = "affinity",
	[COUNTER_NO_ENDPOINTS] = "no-endpoints",
	[COUNTER_UNKNOWN_PORT] = "unknown-port",
	[COUNTER_MASQUERADED] = "masqueraded",
};
static_assert(ARRAY_LEN(nft_counter_name) == COUNTER_MAX, "one name a counter");

struct nft_regs nft_regs(enum ip_family fam)
{
	uint8_t a = nft_family[fam].addr_words;

	return (struct nft_regs){
		.lead = 0,
		.bip = 1,
		.bport = 1 + a,
		.cip = 2 + a,
		.proto = 2 + 2 * a,
		.port = 3 + 2 * a,
		.index = 4 + 2 * a,
		.saddr = 4 + 2 * a, /* the last word of IPv6: 15 */
	};
}

const char *chain_ref_name(struct chain_ref c, char buf[static NFT_CHAIN_NAME_MAX])
{
	if (c.timeout_s)
		(void)snprintf(buf, NFT_CHAIN_NAME_MAX, "affinity-%u-%u", c.n, c.timeout_s);
	else
		(void)snprintf(buf, NFT_CHAIN_NAME_MAX, "pick-%u", c.n);
	return buf;
}

int chain_ref_parse(const char *name, struct chain_ref *ret)
{
	char again[NFT_CHAIN_NAME_MAX];
	struct chain_ref c = {};

	if (sscanf(name, "pick-%u", &c.n) != 1 && sscanf(name, "affinity-%u-%u", &c.n, &c.timeout_s) != 2)
		return -EINVAL;
	if (c.n == 0 || !str_eq(chain_ref_name(c, again), name))
		return -EINVAL;
	*ret = c;
	return 0;
}

int chain_ref_cmp(const void *a, const void *b)
{
	const struct chain_ref *x = a, *y = b;
	int d = (x->timeout_s > y->timeout_s) - (x->timeout_s < y->timeout_s);

	return d ? d : (x->n > y->n) - (x->n < y->n);
}

static size_t field_size(char field, enum ip_family fam)
{
	return field == 'a' ? nft_family[fam].addr_size : field == 'v' ? sizeof(struct chain_ref) : 4;
}

size_t nft_fields_size(const char *fields, enum ip_family fam)
{
	size_t size = 0;

	for (; fields && *fields; fields++)
		size += field_size(*fields, fam);
	return size;
}

size_t nft_key_size(enum nft_set_id set, enum ip_family fam)
{
	return nft_fields_size(nft_set_spec[set].key, fam);
}

size_t nft_data_size(enum nft_set_id set, enum ip_family fam)
{
	return nft_fields_size(nft_set_spec[set].data, fam);
}

size_t nft_cluster_ip_offset(enum nft_set_id set, enum ip_family fam)
{
	size_t offset = 0;

	for (size_t i = 0; i < nft_set_spec[set].cluster_ip; i++)
		offset += field_size(nft_set_spec[set].key[i], fam);
	return offset;
}

uint32_t nft_fields_type(const char *fields, enum ip_family fam)
{
	uint32_t type = 0;

	for (; *fields; fields++) {
		uint32_t t = *fields == 'a' ? nft_family[fam].addr_type :
			     *fields == 'p' ? TYPE_PROTO :
			     *fields == 's' ? TYPE_PORT :
					      TYPE_MARK;

		type = type << TYPE_BITS | t;
	}
	return type;
}
