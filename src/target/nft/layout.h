/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the table "offkube" looks like: sets with their keys and data, chains, registers. The one description: the
 * compiler, the writer of rules, the reader and the printer all use it, so that they cannot disagree. README.md shows
 * the same for people.
 *
 * Keys and data are concatenations of fields, each padded with zeros to a multiple of four bytes, as the kernel's
 * registers are.
 */
#ifndef OFFKUBE_NFT_LAYOUT_H
#define OFFKUBE_NFT_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/addr.h"

#define TABLE_NAME "offkube"
#define NFT_BYTES_MAX 56 /* longest key: hairpin of IPv6 */
#define NFT_DATA_MAX 24 /* longest data: proto . ip6 . port */
#define NFT_CHAIN_NAME_MAX 40
/* Clients that affinity remembers, over all Services of one family. A client beyond it is balanced without being
 * remembered. */
#define NFT_AFFINITY_MAX 524288

/* In the order of creation. */
enum nft_set_id {
	SET_CLUSTER_IPS,
	SET_CONNECTIONS,
	SET_SERVICES,
	SET_BACKENDS,
	SET_STICKY_BACKENDS,
	SET_NO_ENDPOINTS,
	SET_AFFINITY,
	SET_ELIGIBLE,
	SET_HAIRPIN,
	SET_MAX,
};

/* One letter a field: a address, p protocol, s port, i index; data also v: verdict (jump to a chain_ref). */
struct nft_set_spec {
	const char *name;
	const char *key;
	const char *data; /* NULL: a set, else a map */
	uint8_t cluster_ip; /* which field of the key is the ClusterIP */
	bool dynamic; /* written by packets, with timeouts */
	bool counter; /* each element counts the packets that found it */
};
extern const struct nft_set_spec nft_set_spec[SET_MAX];

/* Constants of a family. */
struct nft_family {
	uint8_t nfproto; /* AF_INET, AF_INET6: the same numbers */
	const char *name; /* "ip", "ip6" */
	uint8_t addr_size, addr_words; /* bytes; registers */
	uint8_t saddr_offset, daddr_offset; /* in the IP header */
	uint32_t ct_saddr, ct_daddr; /* enum nft_ct_keys */
	uint32_t addr_type; /* type number of the nft program, for its listings */
	uint8_t reject_code; /* ICMP port unreachable */
};
extern const struct nft_family nft_family[IP_FAMILY_MAX];

/*
 * Registers, in 32-bit words; A = words of an address. Windows that overlap are what makes one lookup feed the next:
 *	services, connections, no-endpoints: CIP PROTO PORT
 *	backends, sticky-backends: CIP PROTO PORT INDEX
 *	affinity: CIP PROTO PORT SADDR
 *	eligible: BIP BPORT CIP PROTO PORT
 *	data of backends: BIP BPORT
 *	data of sticky-backends and affinity: LEAD BIP BPORT
 */
struct nft_regs {
	uint8_t lead, bip, bport, cip, proto, port, index, saddr;
};
struct nft_regs nft_regs(enum ip_family fam);

/* Chain that chooses among n endpoints; timeout_s > 0: with affinity. */
struct chain_ref {
	uint32_t n;
	uint32_t timeout_s;
};
/* "pick-3" or "affinity-3-10800". */
const char *chain_ref_name(struct chain_ref c, char buf[static NFT_CHAIN_NAME_MAX]);
/* 0 or -EINVAL when the name is not of that shape. */
int chain_ref_parse(const char *name, struct chain_ref *ret);
int chain_ref_cmp(const void *a, const void *b);
#define CHAIN_RULES_PICK 1
#define CHAIN_RULES_AFFINITY 4

/* Fixed chains, in the order of creation. */
enum nft_chain_id {
	CHAIN_REJECT,
	CHAIN_SERVICE,
	CHAIN_PREROUTING,
	CHAIN_OUTPUT,
	CHAIN_POSTROUTING,
	CHAIN_MAX,
};
struct nft_chain_spec {
	const char *name;
	int hook; /* NF_INET_*, -1: not a base chain */
	int priority;
};
extern const struct nft_chain_spec nft_chain_spec[CHAIN_MAX];

/* Named counters; the first four bear the names of reasons (model/drops.def). */
enum nft_counter_id {
	COUNTER_CHOSEN,
	COUNTER_AFFINITY,
	COUNTER_NO_ENDPOINTS,
	COUNTER_UNKNOWN_PORT,
	COUNTER_MASQUERADED,
	COUNTER_MAX,
};
extern const char *const nft_counter_name[COUNTER_MAX];

size_t nft_fields_size(const char *fields, enum ip_family fam); /* NULL: 0 */
size_t nft_key_size(enum nft_set_id set, enum ip_family fam);
size_t nft_data_size(enum nft_set_id set, enum ip_family fam); /* verdict: of a struct chain_ref, in memory */
size_t nft_cluster_ip_offset(enum nft_set_id set, enum ip_family fam);
uint32_t nft_fields_type(const char *fields, enum ip_family fam);

#endif
