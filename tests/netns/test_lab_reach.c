/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A lab wired by target/host: who reaches whom, over TCP and UDP, IPv4 and IPv6, and under which address. */
#include "labtest.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "net/netns.h"

static struct lt lt;
static char name[LAB_NAME_MAX + 1];

static int setup(void **state)
{
	const struct lt_conf conf = { .n_nodes = 2, .n_pods = 4, .host_pod = true, .service = true };

	(void)state;
	lt_up(&lt, lt_name("reach", name), &conf, false);
	return 0;
}

static int teardown(void **state)
{
	lt_down(&lt);
	assert_int_equal(lt_left_over(name), 0);
	return lt_clean_up(state);
}

static void from_pod(const char *from, const char *to)
{
	struct ip_addr a4 = lt_pod_addr(&lt, from, IP_V4), a6 = lt_pod_addr(&lt, from, IP_V6);

	lt_reach(&lt, lt_pod_netns(&lt, from), to, &a4, &a6);
}

static void test_pod_to_pod(void **state)
{
	(void)state;
	from_pod("p0", "p2"); /* same node */
	from_pod("p0", "p1"); /* other node */
	from_pod("p3", "p0");
	from_pod("p0", "p0"); /* itself */
}

static void test_node_to_pod(void **state)
{
	struct ip_addr a4 = lt_node_addr(&lt, "node-1", IP_V4), a6 = lt_node_addr(&lt, "node-1", IP_V6);
	int fd = lab_node_netns(lt.lab, "node-1");

	(void)state;
	lt_reach(&lt, fd, "p0", &a4, &a6);
	lt_reach(&lt, fd, "p1", &a4, &a6);
}

static void test_pod_to_node(void **state)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };

	(void)state;
	for (int f = 0; f < IP_FAMILY_MAX; f++)
		for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
			struct ip_addr node = lt_node_addr(&lt, "node-1", f);
			struct responder_reply reply = {};

			assert_int_equal(lt_ask(lt_pod_netns(&lt, "p0"), &node, 9090, protos[i], &reply), 0);
			assert_string_equal(reply.name, "t/host");
			assert_int_equal(lt_ask(lt_pod_netns(&lt, "p1"), &node, 9090, protos[i], &reply), 0);
			assert_string_equal(reply.name, "t/host");
		}
}

static void test_client_to_pod(void **state)
{
	int fd = lab_client_netns(lt.lab, 0);

	(void)state;
	lt_reach(&lt, fd, "p0", lab_client_addr(lt.lab, 0, IP_V4), lab_client_addr(lt.lab, 0, IP_V6));
	lt_reach(&lt, fd, "p1", lab_client_addr(lt.lab, 0, IP_V4), lab_client_addr(lt.lab, 0, IP_V6));
}

/* The target port of a Service, which is no container port, is served too. */
static void test_endpoint_port(void **state)
{
	struct ip_addr a = lt_pod_addr(&lt, "p0", IP_V6);

	(void)state;
	assert_int_equal(lt_ask(lt_pod_netns(&lt, "p1"), &a, 8081, IPPROTO_TCP, NULL), 0);
	assert_int_equal(lt_ask(lt_pod_netns(&lt, "p1"), &a, 8082, IPPROTO_TCP, NULL), -ECONNREFUSED);
	a = lt_pod_addr(&lt, "p2", IP_V6);
	assert_int_equal(lt_ask(lt_pod_netns(&lt, "p1"), &a, 8081, IPPROTO_TCP, NULL), -ECONNREFUSED);
}

/*
 * The error that one datagram to nowhere brings back. (TCP would often hear it at the second SYN only: while connect()
 * holds the socket, an ICMP error is a soft one.)
 */
static int error_of_datagram(int netns_fd, const struct ip_addr *to)
{
	bool v6 = to->fam == AF_INET6;
	struct sockaddr_storage ss;
	socklen_t size = ip_addr_to_sockaddr(to, 80, &ss);
	CLEANUP_FD int fd = netns_socket(netns_fd, to->fam, SOCK_DGRAM, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int level = v6 ? IPPROTO_IPV6 : IPPROTO_IP, option = v6 ? IPV6_RECVERR : IP_RECVERR;
	_Alignas(struct cmsghdr) char control[512];
	struct msghdr m = { .msg_control = control, .msg_controllen = sizeof(control) };
	struct sock_extended_err ee;
	struct cmsghdr *c;
	int on = 1;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, level, option, &on, sizeof(on)), 0);
	if (connect(fd, (struct sockaddr *)&ss, size) < 0 || send(fd, "x", 1, 0) < 0)
		return -errno; /* the sender's own routes know it */
	if (poll(&p, 1, 60000) != 1)
		return -ETIMEDOUT;
	assert_true(recvmsg(fd, &m, MSG_ERRQUEUE) >= 0);
	c = CMSG_FIRSTHDR(&m);
	assert_non_null(c);
	memcpy(&ee, CMSG_DATA(c), sizeof(ee));
	assert_true(ee.ee_origin == SO_EE_ORIGIN_ICMP || ee.ee_origin == SO_EE_ORIGIN_ICMP6);
	/* "Time exceeded" comes with the same errno: a packet that went round in circles. */
	return ee.ee_type == (v6 ? ICMP6_DST_UNREACH : ICMP_DEST_UNREACH) ? -(int)ee.ee_errno : -ELOOP;
}

/* What nobody owns ends with an error, not in silence, and does not go round in circles. */
static void test_unknown_is_unreachable(void **state)
{
	static const char *const dst[] = { "10.244.1.77",	"10.244.2.77",	     "10.96.0.10",     "8.8.8.8",
					   "fd00:10:244:1::77", "fd00:10:244:2::77", "fd00:10:96::10", "2001:db8::1" };
	const int from[] = { lt_pod_netns(&lt, "p0"), lab_node_netns(lt.lab, "node-2"), lab_client_netns(lt.lab, 0) };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(dst); i++)
		for (size_t k = 0; k < ARRAY_LEN(from); k++) {
			struct ip_addr a = lt_addr(dst[i]);
			int r = error_of_datagram(from[k], &a);

			if (r != -EHOSTUNREACH && r != -ENETUNREACH)
				fail_msg("%s from %zu: %d", dst[i], k, r);
		}
}

/* A cluster without IPv6 is one without IPv6, not half of one. */
static void test_ipv4_only(void **state)
{
	const struct lt_conf conf = { .n_nodes = 2, .n_pods = 2, .ipv4_only = true };
	struct ip_addr to, node = lt_addr("172.30.0.1");
	struct responder_reply reply = {};
	struct lt four;
	char other[LAB_NAME_MAX + 1];

	(void)state;
	lt_up(&four, lt_name("four", other), &conf, false);
	to = lt_pod_addr(&four, "p1", IP_V4);
	assert_int_equal(lt_ask(lt_pod_netns(&four, "p0"), &to, LT_PORT, IPPROTO_TCP, NULL), 0);
	assert_int_equal(lt_ask(lab_node_netns(four.lab, "node-1"), &to, LT_PORT, IPPROTO_UDP, &reply), 0);
	assert_true(ip_addr_eq(&reply.client, &node));
	assert_int_equal(lt_ask(lab_client_netns(four.lab, 0), &to, LT_PORT, IPPROTO_TCP, NULL), 0);
	assert_null(lab_client_addr(four.lab, 0, IP_V6));
	lt_verify(&four);
	to = lt_addr("fd00:10:244:2::2");
	assert_int_equal(lt_ask(lt_pod_netns(&four, "p0"), &to, LT_PORT, IPPROTO_TCP, NULL), -ENETUNREACH);
	lt_down(&four);
	assert_int_equal(lt_left_over(other), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pod_to_pod),    cmocka_unit_test(test_node_to_pod),
		cmocka_unit_test(test_pod_to_node),   cmocka_unit_test(test_client_to_pod),
		cmocka_unit_test(test_endpoint_port), cmocka_unit_test(test_unknown_is_unreachable),
		cmocka_unit_test(test_ipv4_only),
	};

	lt_need_root();
	return cmocka_run_group_tests(tests, setup, teardown);
}
