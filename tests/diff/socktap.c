/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What leaves a client (socktap.h). */
#include "socktap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/netns.h"

int socktap_open(int netns_fd)
{
	int fd = netns_socket(netns_fd, AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK, htons(ETH_P_ALL));

	return fd;
}

static bool is_of(const uint8_t *buf, size_t size, const struct l4_tuple *t)
{
	struct pkt p;

	return pkt_parse(buf, size, &p) == 0 && p.t.proto == t->proto && p.t.sport == t->sport &&
	       p.t.dport == t->dport && ip_addr_eq(&p.t.src, &t->src) && ip_addr_eq(&p.t.dst, &t->dst);
}

size_t socktap_count(int fd, const struct l4_tuple *t)
{
	size_t n = 0;

	for (;;) {
		uint8_t buf[2048];
		struct sockaddr_ll from = {};
		socklen_t from_size = sizeof(from);
		ssize_t size = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &from_size);

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return n;
		n += from.sll_pkttype == PACKET_OUTGOING && is_of(buf, (size_t)size, t);
	}
}
