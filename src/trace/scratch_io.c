/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets into and out of the scratch node. Called by live.c.
 *
 * How a dropped packet is known without waiting for it: behind each packet a sentinel is sent from the same place, to an address that is always
 * forwarded, by the same thread bound to one CPU. A veth hands a frame to the backlog of the CPU that sent it (netif_rx; no packet steering is
 * set), which is first in, first out, and each hop puts the packet behind what is already there. So what the packet causes on at most as many
 * hops as the sentinel takes is captured before the sentinel is. Tried with 360,000 packets of twelve kinds (forwarded, translated, rejected,
 * dropped, delivered to the node, from the node) while four floods of datagrams kept both CPUs and ksoftirqd busy: none came late.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/icmp6.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/util.h"
#include "scratch.h"

/* Only an error: nothing is ever waited for this long. */
#define SENTINEL_DEADLINE_MS 2000

/* RFC 3692: a protocol for experiments, so no Service is asked. RFC 5737: addresses of nobody. */
#define SENTINEL_PROTO 253
static const uint8_t sentinel_src[4] = { 192, 0, 2, 1 };
static const uint8_t sentinel_dst[4] = { 192, 0, 2, 2 };
static const char sentinel_mark[8] = "sentinel";
#define SENTINEL_SIZE (20 + sizeof(sentinel_mark) + sizeof(uint64_t))

static void sentinel_build(uint64_t cookie, uint8_t buf[static SENTINEL_SIZE])
{
	uint16_t sum;

	memset(buf, 0, SENTINEL_SIZE);
	buf[0] = 0x45;
	buf[3] = SENTINEL_SIZE;
	buf[5] = 1; /* id: a raw socket would replace 0 */
	buf[8] = 64;
	buf[9] = SENTINEL_PROTO;
	memcpy(buf + 12, sentinel_src, 4);
	memcpy(buf + 16, sentinel_dst, 4);
	sum = csum_fold(csum_partial(buf, 20, 0));
	buf[10] = (uint8_t)(sum >> 8);
	buf[11] = (uint8_t)sum;
	memcpy(buf + 20, sentinel_mark, sizeof(sentinel_mark));
	memcpy(buf + 20 + sizeof(sentinel_mark), &cookie, sizeof(cookie));
}

/* 1 = the sentinel with this cookie, 0 = one of an earlier packet, -1 = none. */
static int sentinel_is(const struct scratch_seen *seen, uint64_t cookie)
{
	if (seen->size != SENTINEL_SIZE || seen->buf[9] != SENTINEL_PROTO ||
	    memcmp(seen->buf + 20, sentinel_mark, sizeof(sentinel_mark)) != 0)
		return -1;
	return memcmp(seen->buf + 20 + sizeof(sentinel_mark), &cookie, sizeof(cookie)) == 0;
}

/* ---- in ---- */

static int inject_frame(struct scratch *sc, const struct scratch_port *port, const uint8_t *buf, size_t size)
{
	uint8_t frame[ETH_HLEN + TRACE_PACKET_SIZE_MAX];
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = port->outer_ifindex, .sll_halen = 6 };
	uint16_t type = htons(buf[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP);

	memcpy(frame, port->node_mac, 6);
	memcpy(frame + 6, port->outer_mac, 6);
	memcpy(frame + 12, &type, 2);
	memcpy(frame + ETH_HLEN, buf, size);
	memcpy(to.sll_addr, port->node_mac, 6);
	return sendto(sc->inject_fd, frame, ETH_HLEN + size, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

/* EPERM is how a process learns that its packet was dropped on the way out: a result, not a failure. */
static int send_from_node(struct scratch *sc, const uint8_t *buf, size_t size)
{
	bool v6 = buf[0] >> 4 == 6;
	struct ip_addr dst = { .fam = v6 ? AF_INET6 : AF_INET };
	struct sockaddr_storage to;
	socklen_t to_size;

	if (size < (v6 ? 40u : 20u))
		return -EINVAL;
	memcpy(dst.bytes, buf + (v6 ? 24 : 16), ip_addr_size(&dst));
	to_size = ip_addr_to_sockaddr(&dst, 0, &to);
	if (sc->raw_fd[v6 ? IP_V6 : IP_V4] < 0)
		return -EAFNOSUPPORT;
	if (sendto(sc->raw_fd[v6 ? IP_V6 : IP_V4], buf, size, 0, (struct sockaddr *)&to, to_size) < 0)
		return errno == EPERM || errno == ECONNREFUSED ? 0 : -errno;
	return 0;
}

/* A packet too short to have a source, or with somebody else's, from a pod: by the first pod. */
static int find_ingress(const struct scratch *sc, const struct trace_packet *p, const struct scratch_port **ret,
			struct err *e)
{
	char text[IP_ADDR_STR_MAX];
	struct pkt fields;
	int r;

	*ret = sc->uplink;
	if (p->origin != TRACE_FROM_POD)
		return 0;
	*ret = NULL;
	for (size_t i = 0; i < sc->pods.n && !*ret; i++)
		*ret = sc->pods.v[i]->gone ? NULL : sc->pods.v[i];
	if (!*ret)
		return err_set(e, -ENOENT, "origin", "the node has no pod");
	r = pkt_parse(p->buf, p->size, &fields);
	if (r < 0 && r != -EPROTONOSUPPORT)
		return 0;
	*ret = scratch_pod(sc, &fields.t.src);
	if (!*ret)
		return err_set(e, -ENOENT, "origin", "no pod of the node has the address %s",
			       ip_addr_format(&fields.t.src, text));
	return 0;
}

static int inject(struct scratch *sc, const struct trace_packet *p, struct err *e)
{
	const struct scratch_port *port = NULL;
	uint8_t sentinel[SENTINEL_SIZE];
	int r;

	sentinel_build(++sc->cookie, sentinel);
	if (p->origin == TRACE_FROM_NODE) {
		r = send_from_node(sc, p->buf, p->size);
		if (r < 0)
			return err_set_errno(e, r, "origin", "no process of the node can send this packet");
		r = send_from_node(sc, sentinel, sizeof(sentinel));
	} else {
		r = find_ingress(sc, p, &port, e);
		if (r < 0)
			return r;
		r = inject_frame(sc, port, p->buf, p->size);
		if (r == 0)
			r = inject_frame(sc, port, sentinel, sizeof(sentinel));
	}
	return r < 0 ? err_set_errno(e, r, NULL, "cannot inject a packet") : 0;
}

/* ---- out ---- */

static const struct scratch_port *port_by_ifindex(const struct scratch *sc, int ifindex)
{
	if (sc->uplink->outer_ifindex == ifindex)
		return sc->uplink;
	for (size_t i = 0; i < sc->pods.n; i++)
		if (sc->pods.v[i]->outer_ifindex == ifindex)
			return sc->pods.v[i];
	return NULL;
}

/* The kernels' own business: neighbour discovery, group membership. */
static bool is_noise(const struct scratch_seen *s)
{
	uint8_t version = s->size ? s->buf[0] >> 4 : 0;

	if (version == 6 && s->size >= 40)
		return s->buf[24] == 0xff || (s->buf[8] == 0xfe && (s->buf[9] & 0xc0) == 0x80);
	return version != 4 || s->size < 20 || (s->buf[16] & 0xf0) == 0xe0;
}

/* 1 = one more in *ret, 0 = nothing there. */
static int read_captured(struct scratch *sc, struct scratch_seen *ret)
{
	for (;;) {
		struct sockaddr_ll from = {};
		socklen_t from_size = sizeof(from);
		ssize_t n = recvfrom(sc->capture_fd, ret->buf, sizeof(ret->buf), MSG_TRUNC, (struct sockaddr *)&from,
				     &from_size);

		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		ret->port = port_by_ifindex(sc, from.sll_ifindex);
		ret->size = MIN((size_t)n, sizeof(ret->buf));
		if (ret->port && (from.sll_protocol == htons(ETH_P_IP) || from.sll_protocol == htons(ETH_P_IPV6)) &&
		    !is_noise(ret))
			return 1;
	}
}

/* Raw IPv6 sockets give no header: it is put together again from what they tell. */
static int rebuild_v6(struct msghdr *msg, const struct sockaddr_in6 *from, size_t n, uint8_t proto,
		      struct scratch_seen *ret)
{
	memset(ret->buf, 0, 40);
	ret->buf[0] = 0x60;
	ret->buf[4] = (uint8_t)(n >> 8);
	ret->buf[5] = (uint8_t)n;
	ret->buf[6] = proto;
	memcpy(ret->buf + 8, &from->sin6_addr, 16);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		int v;

		if (c->cmsg_level != IPPROTO_IPV6)
			continue;
		if (c->cmsg_type == IPV6_PKTINFO) {
			memcpy(ret->buf + 24, CMSG_DATA(c), 16); /* the address leads struct in6_pktinfo */
		} else if (c->cmsg_type == IPV6_HOPLIMIT) {
			memcpy(&v, CMSG_DATA(c), sizeof(v));
			ret->buf[7] = (uint8_t)v;
		} else if (c->cmsg_type == IPV6_TCLASS) {
			memcpy(&v, CMSG_DATA(c), sizeof(v));
			ret->buf[0] |= (uint8_t)((v >> 4) & 0x0f);
			ret->buf[1] = (uint8_t)(v << 4);
		}
	}
	ret->size = 40 + n;
	return 1;
}

static int read_local_v6(int fd, uint8_t proto, struct scratch_seen *ret)
{
	char control[256] __attribute__((aligned(8)));
	struct sockaddr_in6 from = {};
	struct iovec iov = { .iov_base = ret->buf + 40, .iov_len = sizeof(ret->buf) - 40 };
	struct msghdr msg = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &msg, 0);

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	ret->port = NULL;
	return rebuild_v6(&msg, &from, (size_t)n, proto, ret);
}

static int read_local_v4(int fd, struct scratch_seen *ret)
{
	ssize_t n = recv(fd, ret->buf, sizeof(ret->buf), 0);

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	ret->port = NULL;
	ret->size = (size_t)n;
	return 1;
}

static int read_local(struct scratch *sc, struct scratch_seen *ret)
{
	static const uint8_t v6_protos[SCRATCH_N_LOCAL] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMPV6 };

	for (int i = 0; i < SCRATCH_N_LOCAL; i++) {
		int r = sc->local_fd[IP_V4][i] >= 0 ? read_local_v4(sc->local_fd[IP_V4][i], ret) : 0;

		while (r == 0 && sc->local_fd[IP_V6][i] >= 0) {
			r = read_local_v6(sc->local_fd[IP_V6][i], v6_protos[i], ret);
			if (r <= 0 || !is_noise(ret))
				break;
			r = 0;
		}
		if (r)
			return r;
	}
	return 0;
}

static int collect_local(struct scratch *sc, struct scratch_seen_list *list)
{
	struct scratch_seen seen;
	int r;

	while ((r = read_local(sc, &seen)) > 0) {
		int r2 = list ? vec_push(&list->v, seen) : 0;

		if (r2 < 0)
			return r2;
	}
	return r;
}

/* 1 = the sentinel was among it. */
static int collect_captured(struct scratch *sc, struct scratch_seen_list *list)
{
	struct scratch_seen seen;
	int r;

	while ((r = read_captured(sc, &seen)) > 0) {
		int is = sentinel_is(&seen, sc->cookie);
		int r2;

		if (is > 0)
			return 1;
		r2 = is < 0 && list ? vec_push(&list->v, seen) : 0;
		if (r2 < 0)
			return r2;
	}
	return r;
}

static int collect(struct scratch *sc, struct scratch_seen_list *list, struct err *e)
{
	uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + SENTINEL_DEADLINE_MS * NSEC_PER_MSEC;
	struct pollfd pfd = { .fd = sc->capture_fd, .events = POLLIN };
	int r;

	while ((r = collect_captured(sc, list)) == 0) {
		uint64_t now_ns = clock_now_ns(&clock_monotonic);

		if (now_ns >= deadline_ns)
			return err_set(e, -ETIME, NULL, "the sentinel behind the packet did not come out within %d ms",
				       SENTINEL_DEADLINE_MS);
		if (poll(&pfd, 1, (int)((deadline_ns - now_ns) / NSEC_PER_MSEC) + 1) < 0 && errno != EINTR)
			return err_set_errno(e, -errno, NULL, "poll");
	}
	if (r > 0)
		r = collect_local(sc, list);
	return r < 0 ? err_set_errno(e, r, NULL, "cannot read what came out") : 0;
}

/* Binds the thread to the CPU that it runs on; *ret_old is for sched_setaffinity to undo it. */
static int pin(cpu_set_t *ret_old)
{
	cpu_set_t one;
	int cpu = sched_getcpu();

	if (cpu < 0 || sched_getaffinity(0, sizeof(*ret_old), ret_old) < 0)
		return -errno;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return sched_setaffinity(0, sizeof(one), &one) < 0 ? -errno : 0;
}

int scratch_run(struct scratch *sc, const struct trace_packet *p, struct scratch_seen_list *ret, struct err *e)
{
	cpu_set_t old;
	int r;

	if (!p->size || p->size > TRACE_PACKET_SIZE_MAX)
		return err_set(e, -EINVAL, NULL, "a packet has 1 to %d bytes", TRACE_PACKET_SIZE_MAX);
	r = pin(&old);
	if (r < 0)
		return err_set_errno(e, r, NULL, "cannot bind the thread to one CPU");
	/* What came after the last sentinel (an answer to an answer) is nobody's. */
	r = collect_captured(sc, NULL);
	if (r >= 0)
		r = collect_local(sc, NULL);
	if (r >= 0)
		r = inject(sc, p, e);
	if (r >= 0)
		r = collect(sc, ret, e);
	(void)sched_setaffinity(0, sizeof(old), &old); /* it was so before */
	return r;
}
