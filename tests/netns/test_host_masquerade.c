/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which address the node shows to its pods: always its own, also where the kernel would pick another. lo carries a
 * decoy that IPv4 finds first and that fits IPv6 destinations better (operators put virtual addresses there).
 * Masquerading is done here by a few nft rules: it is the business of other targets, but its source address hangs
 * on the wiring. And hairpin: a pod reaches itself by a Service's address.
 */
#include "labtest.h"

#include <errno.h>
#include <stdio.h>

#include "base/util.h"

static struct lt lt;
static char name[LAB_NAME_MAX + 1];
static struct ip_addr node[IP_FAMILY_MAX];

#define DECOY4 "10.99.0.1"
#define DECOY6 "fd00:10:244:1:8000::1"
#define VIP4 "10.96.0.10"
#define VIP6 "fd00:10:96::10"
#define NODE1_COMMAND                                                                                                            \
	"ip addr add " DECOY4 "/32 dev lo scope global && ip -6 addr add " DECOY6 "/128 dev lo nodad && "                        \
	"nft 'add table inet t; add chain inet t pre { type nat hook prerouting priority dstnat; };"                             \
	" add rule inet t pre ip daddr " VIP4 " tcp dport 80 dnat ip to 10.244.1.2:8080;"                                        \
	" add rule inet t pre ip6 daddr " VIP6 " tcp dport 80 dnat ip6 to [fd00:10:244:1::2]:8080;"                              \
	" add chain inet t post { type nat hook postrouting priority srcnat; };"                                                 \
	" add rule inet t post oifname \"ok*\" masquerade; add rule inet t post oifname eth0 ip saddr 172.31.0.0/24 masquerade;" \
	" add rule inet t post oifname eth0 ip6 saddr fd00:172:31::/64 masquerade'"

static int setup(void **state)
{
	const struct lt_conf conf = { .n_nodes = 2, .n_pods = 4 };

	(void)state;
	lt_up(&lt, lt_name("masq", name), &conf, false);
	for (int f = 0; f < IP_FAMILY_MAX; f++)
		node[f] = lt_node_addr(&lt, "node-1", f);
	assert_int_equal(lt_run(lab_node_netns(lt.lab, "node-1"), NODE1_COMMAND), 0);
	return 0;
}

static int teardown(void **state)
{
	lt_down(&lt);
	assert_int_equal(lt_left_over(name), 0);
	return lt_clean_up(state);
}

static void test_masquerade_to_own_pod(void **state)
{
	(void)state;
	lt_reach(&lt, lab_client_netns(lt.lab, 0), "p0", &node[IP_V4], &node[IP_V6]);
}

static void test_masquerade_to_other_node(void **state)
{
	(void)state;
	lt_reach(&lt, lab_client_netns(lt.lab, 0), "p1", &node[IP_V4], &node[IP_V6]);
}

static void test_node_processes(void **state)
{
	(void)state;
	lt_reach(&lt, lab_node_netns(lt.lab, "node-1"), "p0", &node[IP_V4], &node[IP_V6]);
	lt_reach(&lt, lab_node_netns(lt.lab, "node-1"), "p1", &node[IP_V4], &node[IP_V6]);
}

/* DNAT back to the pod that asked, by the veth that it came in by; the pod sees the node. */
static void test_hairpin(void **state)
{
	static const char *const vip[] = { VIP4, VIP6 };

	(void)state;
	for (int f = 0; f < IP_FAMILY_MAX; f++) {
		struct ip_addr a = lt_addr(vip[f]);
		struct responder_reply reply = {};

		assert_int_equal(lt_ask(lt_pod_netns(&lt, "p0"), &a, 80, IPPROTO_TCP, &reply), 0);
		assert_string_equal(reply.name, "t/p0");
		assert_true(ip_addr_eq(&reply.client, &node[f]));
	}
	/* Nobody was told a shorter way. */
	assert_int_equal(lt_run(lt_pod_netns(&lt, "p0"), "test -z \"$(ip route show cache)$(ip -6 route show cache)\""),
			 0);
}

#define COUNT_FILTERED                                                                                                                            \
	"awk '/^TcpExt:/ && !n { split($0, name); n = 1; next } /^TcpExt:/ { for (i in name) if (name[i] == \"IPReversePathFilter\") hits = $i }" \
	" END { exit !(hits > 0) }' /proc/net/netstat"

/* A pod that sends from somebody else's address is not heard. */
static void test_no_spoofing(void **state)
{
	const struct ip_addr other = lt_addr("10.9.9.9"), to = lt_pod_addr(&lt, "p2", IP_V4);
	struct responder_ask ask = {
		.to = to, .to_port = LT_PORT, .proto = IPPROTO_UDP, .from = &other, .timeout_ms = 300
	};
	struct responder_reply reply;

	(void)state;
	assert_int_equal(lt_run(lt_pod_netns(&lt, "p0"), "ip addr add 10.9.9.9/32 dev eth0"), 0);
	ask.netns_fd = lt_pod_netns(&lt, "p0");
	assert_int_equal(responder_ask(&ask, &reply, NULL, NULL), -ETIMEDOUT);
	assert_int_equal(lt_run(lab_node_netns(lt.lab, "node-1"), COUNT_FILTERED), 0);
}

/* The kernel takes routes and neighbours with an interface's last IPv4 address: they are put back. */
#define TAKE_ADDRESSES                                                                                                                                      \
	"dev=$(ip -o route get 10.244.1.2 | sed 's/.*dev \\([^ ]*\\).*/\\1/') && mac=$(ip neigh show 10.244.1.2 | sed 's/.*lladdr \\([^ ]*\\).*/\\1/') && " \
	"ip addr del 172.30.0.1/32 dev $dev && ip -6 addr del fd00:172:30::1/128 dev $dev && "                                                              \
	"ip route add 10.244.1.2 dev $dev && ip neigh replace 10.244.1.2 lladdr $mac dev $dev"

/* The test can fail: without the node's addresses on the veth the decoys win. */
static void test_decoys_are_good(void **state)
{
	static const char *const decoy[] = { DECOY4, DECOY6 };

	(void)state;
	assert_int_equal(lt_run(lab_node_netns(lt.lab, "node-1"), TAKE_ADDRESSES), 0);
	for (int f = 0; f < IP_FAMILY_MAX; f++) {
		struct ip_addr a = lt_pod_addr(&lt, "p0", f), want = lt_addr(decoy[f]);
		struct responder_reply reply = {};

		assert_int_equal(lt_ask(lab_client_netns(lt.lab, 0), &a, LT_PORT, IPPROTO_TCP, &reply), 0);
		assert_true(ip_addr_eq(&reply.client, &want));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_masquerade_to_own_pod),
		cmocka_unit_test(test_masquerade_to_other_node),
		cmocka_unit_test(test_node_processes),
		cmocka_unit_test(test_hairpin),
		cmocka_unit_test(test_no_spoofing),
		cmocka_unit_test(test_decoys_are_good), /* last: breaks the wiring */
	};

	lt_need_root();
	if (lt_run(-1, "command -v nft >/dev/null && command -v ip >/dev/null") != 0) {
		printf("SKIP: no nft or ip program to set up the test with\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
