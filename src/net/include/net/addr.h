/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IP addresses and prefixes. Addresses are in network byte order; ports in this header are host order. */
#ifndef OFFKUBE_NET_ADDR_H
#define OFFKUBE_NET_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Index of per-family arrays: frontends, endpoints, addresses come in pairs. */
enum ip_family { IP_V4, IP_V6, IP_FAMILY_MAX };

struct ip_addr {
	uint8_t fam; /* AF_INET, AF_INET6, or 0: no address. Other bytes are then 0 */
	uint8_t bytes[16]; /* network order; IPv4 uses the first four, the rest are 0: compare with memcmp */
};

struct ip_prefix {
	struct ip_addr addr; /* host bits are 0 */
	uint8_t len; /* bits */
};

#define IP_ADDR_STR_MAX 46
#define IP_PREFIX_STR_MAX 50

static inline enum ip_family ip_addr_family(const struct ip_addr *a)
{
	return a->fam == AF_INET6 ? IP_V6 : IP_V4;
}
static inline size_t ip_addr_size(const struct ip_addr *a)
{
	return a->fam == AF_INET6 ? 16 : 4;
}
static inline bool ip_addr_is_set(const struct ip_addr *a)
{
	return a->fam != 0;
}
/* By family (unset, IPv4, IPv6), then by value. */
int ip_addr_cmp(const struct ip_addr *a, const struct ip_addr *b);
bool ip_addr_eq(const struct ip_addr *a, const struct ip_addr *b);

/* Text. IPv4 with leading zeros is decimal, as the Kubernetes API server reads it (CVE-2021-29923, SEMANTICS
 * 1.2.8); IPv4-mapped IPv6 ("::ffff:1.2.3.4") is read as IPv4, as Go's net.ParseIP does. 0 or -EINVAL. */
int ip_addr_parse(const char *s, struct ip_addr *ret);
const char *ip_addr_format(const struct ip_addr *a, char buf[static IP_ADDR_STR_MAX]); /* returns buf; "-" when unset */
/* "10.0.0.0/8"; host bits set is -EINVAL. */
int ip_prefix_parse(const char *s, struct ip_prefix *ret);
const char *ip_prefix_format(const struct ip_prefix *p, char buf[static IP_PREFIX_STR_MAX]);
bool ip_prefix_contains(const struct ip_prefix *p, const struct ip_addr *a);
/* The nth address of the prefix (0 = network address). -ERANGE beyond it. */
int ip_prefix_nth(const struct ip_prefix *p, uint64_t n, struct ip_addr *ret);
/* The nth sub-prefix of length `len`. -ERANGE. */
int ip_prefix_sub(const struct ip_prefix *p, uint8_t len, uint64_t n, struct ip_prefix *ret);

/* sockaddr conversion; port host order. Returns the sockaddr's length. */
socklen_t ip_addr_to_sockaddr(const struct ip_addr *a, uint16_t port, struct sockaddr_storage *ret);
/* An IPv4-mapped address is given as IPv4. -EAFNOSUPPORT for other families. */
int ip_addr_from_sockaddr(const struct sockaddr_storage *ss, struct ip_addr *ret, uint16_t *ret_port);

/*
 * IANA protocol number <-> "tcp", "udp", "sctp", "icmp", "icmpv6" (any case on input); -EINVAL / NULL when unknown.
 */
int ip_proto_parse(const char *s, uint8_t *ret);
const char *ip_proto_name(uint8_t proto);

#endif
