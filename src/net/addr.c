/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IP addresses and prefixes as values and as text. Called by every room that names an address. */
#include "net/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/util.h"

typedef unsigned __int128 u128;

bool ip_addr_eq(const struct ip_addr *a, const struct ip_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

int ip_addr_cmp(const struct ip_addr *a, const struct ip_addr *b)
{
	if (a->fam != b->fam)
		return (a->fam > b->fam) - (a->fam < b->fam);
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

/* Four decimal parts. Leading zeros mean nothing: no part is octal. */
static int parse_v4(const char *s, uint8_t bytes[static 4])
{
	for (int i = 0; i < 4; i++) {
		unsigned int v = 0;
		const char *start = s;

		for (; *s >= '0' && *s <= '9'; s++) {
			v = v * 10 + (unsigned int)(*s - '0');
			if (v > 255)
				return -EINVAL;
		}
		if (s == start || *s != (i < 3 ? '.' : '\0'))
			return -EINVAL;
		s++;
		bytes[i] = (uint8_t)v;
	}
	return 0;
}

static bool is_mapped(const uint8_t bytes[static 16])
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(bytes, prefix, sizeof(prefix)) == 0;
}

static struct ip_addr from_v6_bytes(const uint8_t bytes[static 16])
{
	struct ip_addr a = { .fam = AF_INET6 };

	if (is_mapped(bytes)) {
		a.fam = AF_INET;
		memcpy(a.bytes, bytes + 12, 4);
	} else {
		memcpy(a.bytes, bytes, 16);
	}
	return a;
}

int ip_addr_parse(const char *s, struct ip_addr *ret)
{
	struct ip_addr a = { .fam = AF_INET };
	uint8_t bytes[16];

	if (!strchr(s, ':')) {
		if (parse_v4(s, a.bytes))
			return -EINVAL;
	} else {
		if (inet_pton(AF_INET6, s, bytes) != 1)
			return -EINVAL;
		a = from_v6_bytes(bytes);
	}
	*ret = a;
	return 0;
}

const char *ip_addr_format(const struct ip_addr *a, char buf[static IP_ADDR_STR_MAX])
{
	if (!ip_addr_is_set(a) || !inet_ntop(a->fam, a->bytes, buf, IP_ADDR_STR_MAX))
		memcpy(buf, "-", 2);
	return buf;
}

static unsigned int addr_bits(const struct ip_addr *a)
{
	return (unsigned int)ip_addr_size(a) * 8;
}

static u128 to_number(const struct ip_addr *a)
{
	u128 v = 0;

	for (size_t i = 0; i < ip_addr_size(a); i++)
		v = v << 8 | a->bytes[i];
	return v;
}

static struct ip_addr from_number(uint8_t fam, u128 v)
{
	struct ip_addr a = { .fam = fam };

	for (size_t i = ip_addr_size(&a); i-- > 0; v >>= 8)
		a.bytes[i] = (uint8_t)v;
	return a;
}

/* The low n bits set, n <= 128. */
static u128 low_bits(unsigned int n)
{
	return n >= 128 ? ~(u128)0 : ((u128)1 << n) - 1;
}

int ip_prefix_parse(const char *s, struct ip_prefix *ret)
{
	const char *slash = strchr(s, '/');
	char text[IP_ADDR_STR_MAX];
	struct ip_prefix p;
	unsigned int len = 0;

	if (!slash || (size_t)(slash - s) >= sizeof(text) || !slash[1] || strlen(slash + 1) > 3)
		return -EINVAL;
	memcpy(text, s, (size_t)(slash - s));
	text[slash - s] = '\0';
	if (ip_addr_parse(text, &p.addr))
		return -EINVAL;
	/* The length of an IPv4-mapped prefix could mean either family. */
	if (p.addr.fam == AF_INET && strchr(text, ':'))
		return -EINVAL;
	for (const char *d = slash + 1; *d; d++) {
		if (*d < '0' || *d > '9')
			return -EINVAL;
		len = len * 10 + (unsigned int)(*d - '0');
	}
	if (len > addr_bits(&p.addr) || (to_number(&p.addr) & low_bits(addr_bits(&p.addr) - len)))
		return -EINVAL;
	p.len = (uint8_t)len;
	*ret = p;
	return 0;
}

const char *ip_prefix_format(const struct ip_prefix *p, char buf[static IP_PREFIX_STR_MAX])
{
	char addr[IP_ADDR_STR_MAX];

	if (ip_addr_is_set(&p->addr))
		(void)snprintf(buf, IP_PREFIX_STR_MAX, "%s/%u", ip_addr_format(&p->addr, addr), p->len); /* fits */
	else
		memcpy(buf, "-", 2);
	return buf;
}

bool ip_prefix_contains(const struct ip_prefix *p, const struct ip_addr *a)
{
	if (!ip_addr_is_set(a) || p->addr.fam != a->fam)
		return false;
	return !((to_number(&p->addr) ^ to_number(a)) & ~low_bits(addr_bits(a) - p->len) & low_bits(addr_bits(a)));
}

int ip_prefix_nth(const struct ip_prefix *p, uint64_t n, struct ip_addr *ret)
{
	unsigned int host_bits = addr_bits(&p->addr) - p->len;

	if (n > low_bits(host_bits))
		return -ERANGE;
	*ret = from_number(p->addr.fam, to_number(&p->addr) + n);
	return 0;
}

int ip_prefix_sub(const struct ip_prefix *p, uint8_t len, uint64_t n, struct ip_prefix *ret)
{
	unsigned int bits = addr_bits(&p->addr);

	if (len < p->len || len > bits || n > low_bits((unsigned int)len - p->len))
		return -ERANGE;
	/* n > 0 needs len > 0, so the shift is below 128. */
	ret->addr = from_number(p->addr.fam, to_number(&p->addr) + (n ? (u128)n << (bits - len) : 0));
	ret->len = len;
	return 0;
}

socklen_t ip_addr_to_sockaddr(const struct ip_addr *a, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	ret->ss_family = a->fam;
	if (a->fam == AF_INET) {
		memcpy(&sin->sin_addr, a->bytes, 4);
		sin->sin_port = htons(port);
		return sizeof(*sin);
	}
	if (a->fam == AF_INET6) {
		memcpy(&sin6->sin6_addr, a->bytes, 16);
		sin6->sin6_port = htons(port);
		return sizeof(*sin6);
	}
	return 0;
}

int ip_addr_from_sockaddr(const struct sockaddr_storage *ss, struct ip_addr *ret, uint16_t *ret_port)
{
	const struct sockaddr_in *sin = (const struct sockaddr_in *)ss;
	const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)ss;

	if (ss->ss_family == AF_INET) {
		*ret = (struct ip_addr){ .fam = AF_INET };
		memcpy(ret->bytes, &sin->sin_addr, 4);
		*ret_port = ntohs(sin->sin_port);
		return 0;
	}
	if (ss->ss_family == AF_INET6) {
		*ret = from_v6_bytes(sin6->sin6_addr.s6_addr);
		*ret_port = ntohs(sin6->sin6_port);
		return 0;
	}
	return -EAFNOSUPPORT;
}

static const struct {
	uint8_t proto;
	const char *name;
} protos[] = {
	{ IPPROTO_TCP, "tcp" },	  { IPPROTO_UDP, "udp" },	{ IPPROTO_SCTP, "sctp" },
	{ IPPROTO_ICMP, "icmp" }, { IPPROTO_ICMPV6, "icmpv6" },
};

int ip_proto_parse(const char *s, uint8_t *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
		if (strcasecmp(s, protos[i].name) == 0) {
			*ret = protos[i].proto;
			return 0;
		}
	}
	return -EINVAL;
}

const char *ip_proto_name(uint8_t proto)
{
	for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
		if (protos[i].proto == proto)
			return protos[i].name;
	}
	return NULL;
}
