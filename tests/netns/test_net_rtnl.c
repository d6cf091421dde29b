/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Namespaces, sysctls and rtnetlink verbs against the running kernel, in namespaces of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "net/netns.h"
#include "net/rtnl.h"
#include "net/sysctl.h"

struct fixture {
	int here, there; /* two namespaces */
	struct nl *nl, *nl_there;
};

static void assert_ok(int r, const struct err *e)
{
	if (r)
		fail_msg("%d %s: %s", r, e->path, e->text);
}
#define OK(call)                           \
	do {                               \
		struct err ok_err = { 0 }; \
		int r_ = (call);           \
		assert_ok(r_, &ok_err);    \
	} while (0)

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	OK(netns_create_anonymous(&f->here, &ok_err));
	OK(netns_create_anonymous(&f->there, &ok_err));
	OK(nl_open(f->here, NETLINK_ROUTE, &f->nl, &ok_err));
	OK(nl_open(f->there, NETLINK_ROUTE, &f->nl_there, &ok_err));
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	nl_close(f->nl);
	nl_close(f->nl_there);
	close(f->here);
	close(f->there);
	free(f);
	return 0;
}

static struct ip_prefix with_host_bits(const char *addr, uint8_t len)
{
	struct ip_prefix p = { .len = len };

	assert_int_equal(ip_addr_parse(addr, &p.addr), 0);
	return p;
}

static struct ip_addr addr(const char *s)
{
	return with_host_bits(s, 0).addr;
}

static ino_t own_netns(void)
{
	struct stat st;

	assert_int_equal(stat("/proc/thread-self/ns/net", &st), 0);
	return st.st_ino;
}

/* Index of an interface as a socket of that namespace sees it, 0 when there is none. */
static int index_inside(int netns_fd, const char *name)
{
	struct ifreq ifr = { 0 };
	int fd = netns_socket(netns_fd, AF_INET, SOCK_DGRAM, 0);
	int r;

	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	r = ioctl(fd, SIOCGIFINDEX, &ifr);
	close(fd);
	return r < 0 ? 0 : ifr.ifr_ifindex;
}

static void free_names(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static void named_namespaces_live_and_die(void **state)
{
	char prefix[32], a[NETNS_NAME_MAX], b[NETNS_NAME_MAX], path[128];
	ino_t self = own_netns();
	struct rtnl_link l;
	struct nl *nl = NULL;
	char **names = NULL;
	struct err e = { 0 };
	size_t n = 0;
	int fd = -1;

	(void)state;
	snprintf(prefix, sizeof(prefix), "okt%d-", (int)getpid());
	snprintf(a, sizeof(a), "%sa", prefix);
	snprintf(b, sizeof(b), "%sb", prefix);
	OK(netns_create(b, &ok_err));
	OK(netns_create(a, &ok_err));
	assert_true(own_netns() == self);
	assert_int_equal(netns_create(a, &e), -EEXIST);
	assert_non_null(strstr(e.path, a));
	assert_int_equal(netns_list(prefix, &names, &n), 0);
	assert_int_equal(n, 2);
	assert_string_equal(names[0], a);
	assert_string_equal(names[1], b);
	free_names(names, n);

	OK(netns_open(a, &fd, &ok_err));
	OK(nl_open(fd, NETLINK_ROUTE, &nl, &ok_err));
	OK(rtnl_link_get(nl, "lo", &l, &ok_err));
	assert_true(l.up);
	nl_close(nl);
	close(fd);

	OK(netns_delete(a, &ok_err));
	OK(netns_delete(a, &ok_err));
	assert_int_equal(netns_open(a, &fd, NULL), -ENOENT);
	OK(netns_delete(b, &ok_err));
	/* What a killed process may leave: a name without a mount. */
	snprintf(path, sizeof(path), NETNS_DIR "/%s", a);
	fd = open(path, O_CREAT | O_EXCL | O_CLOEXEC, 0);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(netns_open(a, &fd, NULL), -ENOENT);
	OK(netns_delete(a, &ok_err));
	assert_int_equal(netns_list(prefix, &names, &n), 0);
	assert_int_equal(n, 0);
	free_names(names, n);
}

static void bad_names_touch_nothing(void **state)
{
	static const char *const bad[] = { "",	   ".",
					   "..",   "a/b",
					   "../x", "0123456789012345678901234567890123456789012345678901234567890123" };
	int fd;

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(netns_create(bad[i], NULL), -EINVAL);
		assert_int_equal(netns_delete(bad[i], NULL), -EINVAL);
		assert_int_equal(netns_open(bad[i], &fd, NULL), -EINVAL);
	}
}

static void enter_and_leave(void **state)
{
	struct fixture *f = *state;
	ino_t self = own_netns();
	int old;

	assert_int_equal(netns_enter(f->here, &old), 0);
	assert_true(own_netns() != self);
	netns_leave(old);
	assert_true(own_netns() == self);
	assert_int_equal(netns_enter(-1, &old), 0);
	assert_int_equal(old, -1);
	netns_leave(old);
	assert_int_equal(netns_enter(STDERR_FILENO, &old), -EINVAL);
	assert_true(own_netns() == self);
}

static void sysctls_are_per_namespace(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };
	char value[32], tiny[1];

	OK(sysctl_write(f->here, "net/ipv4/ip_forward", "1", &ok_err));
	OK(sysctl_write(f->there, "net/ipv4/ip_forward", "0", &ok_err));
	OK(sysctl_read(f->here, "net/ipv4/ip_forward", value, sizeof(value), &ok_err));
	assert_string_equal(value, "1");
	OK(sysctl_read(f->there, "net/ipv4/ip_forward", value, sizeof(value), &ok_err));
	assert_string_equal(value, "0");
	assert_int_equal(sysctl_read(f->here, "net/ipv4/no_such", value, sizeof(value), &e), -ENOENT);
	assert_string_equal(e.path, "net/ipv4/no_such");
	assert_int_equal(sysctl_write(f->here, "net/ipv4/no_such", "1", NULL), -ENOENT);
	assert_int_equal(sysctl_write(f->here, "net/ipv4/ip_forward", "x", NULL), -EINVAL);
	assert_int_equal(sysctl_read(f->here, "net/ipv4/ip_forward", tiny, sizeof(tiny), NULL), -ENOSPC);
	assert_int_equal(sysctl_read(f->here, "../self/status", value, sizeof(value), NULL), -EINVAL);
	assert_int_equal(sysctl_read(f->here, "/net/ipv4/ip_forward", value, sizeof(value), NULL), -EINVAL);
}

static void veth_over_two_namespaces(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 }, peer_mac[6] = { 2, 0, 0, 0, 0, 2 };
	struct fixture *f = *state;
	struct rtnl_link l, peer;
	struct err e = { 0 };

	OK(rtnl_veth_add(f->nl, "veth-a", mac, "eth0", peer_mac, f->there, 1400, &ok_err));
	OK(rtnl_link_get(f->nl, "veth-a", &l, &ok_err));
	OK(rtnl_link_get(f->nl_there, "eth0", &peer, &ok_err));
	assert_string_equal(l.name, "veth-a");
	assert_string_equal(l.kind, "veth");
	assert_memory_equal(l.mac, mac, 6);
	assert_memory_equal(peer.mac, peer_mac, 6);
	assert_int_equal(l.mtu_bytes, 1400);
	assert_int_equal(peer.mtu_bytes, 1400);
	assert_int_equal(l.peer_ifindex, peer.ifindex);
	assert_int_equal(l.ifindex, index_inside(f->here, "veth-a"));
	assert_int_equal(index_inside(f->here, "eth0"), 0);
	assert_int_equal(index_inside(f->there, "eth0"), peer.ifindex);
	assert_false(l.up);
	OK(rtnl_link_up(f->nl, "veth-a", &ok_err));
	OK(rtnl_link_up(f->nl, "veth-a", &ok_err));
	OK(rtnl_link_get(f->nl, "veth-a", &l, &ok_err));
	assert_true(l.up);

	assert_int_equal(rtnl_veth_add(f->nl, "veth-a", NULL, "eth1", NULL, f->there, 0, &e), -EEXIST);
	assert_string_equal(e.path, "veth-a");
	assert_int_equal(rtnl_veth_add(f->nl, "veth-b", NULL, "eth0", NULL, f->there, 0, NULL), -EEXIST);
	assert_int_equal(index_inside(f->here, "veth-b"), 0);
	OK(rtnl_veth_add(f->nl, "veth-c", NULL, "veth-d", NULL, -1, 0, &ok_err));
	assert_true(index_inside(f->here, "veth-d") > 0);
}

static void link_mistakes(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };
	struct rtnl_link l;

	assert_int_equal(rtnl_link_get(f->nl, "none", &l, &e), -ENODEV);
	assert_string_equal(e.path, "none");
	assert_int_equal(rtnl_link_up(f->nl, "none", NULL), -ENODEV);
	assert_int_equal(rtnl_link_get(f->nl, "a-name-of-16-cha", &l, NULL), -EINVAL);
	assert_int_equal(rtnl_bridge_add(f->nl, "", NULL), -EINVAL);
	assert_int_equal(rtnl_link_set_master(f->nl, "lo", "none", NULL), -ENODEV);
	OK(rtnl_link_del(f->nl, "none", &ok_err));
}

static int count_links(const struct rtnl_link *l, void *arg)
{
	assert_true(l->ifindex > 0);
	++*(int *)arg;
	return 0;
}

static int stop_at_bridge(const struct rtnl_link *l, void *arg)
{
	(void)arg;
	return strcmp(l->kind, "bridge") == 0 ? l->ifindex : 0;
}

static void bridges_and_lists(void **state)
{
	struct fixture *f = *state;
	struct rtnl_link bridge, port;
	struct err e = { 0 };
	int n = 0;

	OK(rtnl_bridge_add(f->nl, "br", &ok_err));
	OK(rtnl_bridge_add(f->nl, "br", &ok_err));
	OK(rtnl_veth_add(f->nl, "p", NULL, "q", NULL, -1, 0, &ok_err));
	assert_int_equal(rtnl_bridge_add(f->nl, "p", &e), -EEXIST);
	assert_string_equal(e.text, "is there already and is no bridge");
	OK(rtnl_link_set_master(f->nl, "p", "br", &ok_err));
	OK(rtnl_link_set_master(f->nl, "p", "br", &ok_err));
	OK(rtnl_link_get(f->nl, "br", &bridge, &ok_err));
	OK(rtnl_link_get(f->nl, "p", &port, &ok_err));
	assert_int_equal(port.master, bridge.ifindex);
	assert_int_equal(bridge.peer_ifindex, 0);
	OK(rtnl_link_set_master(f->nl, "p", NULL, &ok_err));
	OK(rtnl_link_get(f->nl, "p", &port, &ok_err));
	assert_int_equal(port.master, 0);
	OK(rtnl_link_list(f->nl, count_links, &n, &ok_err));
	assert_int_equal(n, 4); /* lo, br, p, q */
	assert_int_equal(rtnl_link_list(f->nl, stop_at_bridge, NULL, &e), bridge.ifindex);
	OK(rtnl_link_del(f->nl, "br", &ok_err));
	OK(rtnl_link_del(f->nl, "br", &ok_err));
	OK(rtnl_link_del(f->nl, "p", &ok_err));
	assert_int_equal(index_inside(f->here, "q"), 0);
}

struct wanted {
	struct ip_prefix prefix;
	int n;
};

static int count_addr(int ifindex, const struct ip_prefix *a, void *arg)
{
	struct wanted *w = arg;

	assert_true(ifindex > 0);
	w->n += a->len == w->prefix.len && ip_addr_eq(&a->addr, &w->prefix.addr);
	return 0;
}

static int times_listed(struct nl *nl, const struct ip_prefix *p)
{
	struct wanted w = { .prefix = *p };

	OK(rtnl_addr_list(nl, count_addr, &w, &ok_err));
	return w.n;
}

static void addresses(void **state)
{
	struct ip_prefix four = with_host_bits("10.1.2.3", 24), four_other = with_host_bits("10.1.2.3", 16);
	struct ip_prefix six = with_host_bits("fd00::5", 64), six_other = with_host_bits("fd00::5", 80);
	struct fixture *f = *state;
	struct sockaddr_storage ss;
	struct err e = { 0 };
	socklen_t len;
	int fd;

	OK(rtnl_veth_add(f->nl, "v", NULL, "w", NULL, -1, 0, &ok_err));
	OK(rtnl_link_up(f->nl, "v", &ok_err));
	OK(rtnl_link_up(f->nl, "w", &ok_err));
	OK(rtnl_addr_add(f->nl, "v", &four, &ok_err));
	OK(rtnl_addr_add(f->nl, "v", &four, &ok_err));
	OK(rtnl_addr_add(f->nl, "v", &six, &ok_err));
	OK(rtnl_addr_add(f->nl, "v", &six, &ok_err));
	assert_int_equal(times_listed(f->nl, &four), 1);
	assert_int_equal(times_listed(f->nl, &six), 1);
	/* Without waiting for duplicate address detection. */
	fd = netns_socket(f->here, AF_INET6, SOCK_DGRAM, 0);
	len = ip_addr_to_sockaddr(&six.addr, 0, &ss);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	close(fd);
	/* IPv6 knows an address once per interface; what is there is not what was asked for. */
	assert_int_equal(rtnl_addr_add(f->nl, "v", &six_other, &e), -EEXIST);
	assert_string_equal(e.path, "v fd00::5/80");
	OK(rtnl_addr_add(f->nl, "v", &four_other, &ok_err));
	OK(rtnl_addr_del(f->nl, "v", &four_other, &ok_err));
	OK(rtnl_addr_del(f->nl, "v", &four, &ok_err));
	OK(rtnl_addr_del(f->nl, "v", &four, &ok_err));
	OK(rtnl_addr_del(f->nl, "v", &six, &ok_err));
	OK(rtnl_addr_del(f->nl, "v", &six, &ok_err));
	OK(rtnl_addr_del(f->nl, "none", &six, &ok_err));
	assert_int_equal(times_listed(f->nl, &four) + times_listed(f->nl, &six), 0);
	assert_int_equal(rtnl_addr_add(f->nl, "none", &four, NULL), -ENODEV);
}

struct route_search {
	struct rtnl_route want, got;
	int n;
};

static int find_route(const struct rtnl_route *r, void *arg)
{
	struct route_search *s = arg;

	if (r->dst.len == s->want.dst.len && ip_addr_eq(&r->dst.addr, &s->want.dst.addr)) {
		s->got = *r;
		s->n++;
	}
	return 0;
}

/* How often the destination is listed as ours; *ret is the last one. */
static int routes_to(struct nl *nl, const struct ip_prefix *dst, uint8_t protocol, struct rtnl_route *ret)
{
	struct route_search s = { .want.dst = *dst };

	OK(rtnl_route_list(nl, dst->addr.fam, protocol, find_route, &s, &ok_err));
	*ret = s.got;
	return s.n;
}

static void check_route(struct nl *nl, const struct rtnl_route *r, uint32_t table)
{
	struct rtnl_route got;

	OK(rtnl_route_replace(nl, r, &ok_err));
	OK(rtnl_route_replace(nl, r, &ok_err));
	assert_int_equal(routes_to(nl, &r->dst, RTPROT_OFFKUBE, &got), 1);
	assert_int_equal(routes_to(nl, &r->dst, 200, &got), 0);
	assert_int_equal(routes_to(nl, &r->dst, 0, &got), 1);
	assert_int_equal(got.protocol, RTPROT_OFFKUBE);
	assert_true(ip_addr_eq(&got.via, &r->via));
	assert_true(!ip_addr_is_set(&r->src) || ip_addr_eq(&got.src, &r->src));
	assert_int_equal(got.ifindex, r->ifindex);
	assert_int_equal(got.table, table);
	assert_int_equal(got.onlink, r->onlink);
	OK(rtnl_route_del(nl, r, &ok_err));
	OK(rtnl_route_del(nl, r, &ok_err));
	assert_int_equal(routes_to(nl, &r->dst, 0, &got), 0);
}

static void routes(void **state)
{
	struct ip_prefix four = with_host_bits("10.1.0.1", 24), six = with_host_bits("fd00::1", 64);
	struct fixture *f = *state;
	struct rtnl_route r = { 0 };
	struct err e = { 0 };
	struct rtnl_link l;

	OK(rtnl_veth_add(f->nl, "v", NULL, "w", NULL, -1, 0, &ok_err));
	OK(rtnl_link_up(f->nl, "v", &ok_err));
	OK(rtnl_link_up(f->nl, "w", &ok_err));
	OK(rtnl_addr_add(f->nl, "v", &four, &ok_err));
	OK(rtnl_addr_add(f->nl, "v", &six, &ok_err));
	OK(rtnl_link_get(f->nl, "v", &l, &ok_err));
	r.ifindex = l.ifindex;

	r.dst = with_host_bits("10.9.0.0", 16);
	r.via = addr("10.1.0.2");
	r.src = addr("10.1.0.1");
	check_route(f->nl, &r, 254);
	r.dst = with_host_bits("0.0.0.0", 0);
	check_route(f->nl, &r, 254);
	r.table = 1000;
	check_route(f->nl, &r, 1000);
	r.table = 0;
	r.via = addr("192.0.2.1");
	assert_int_equal(rtnl_route_replace(f->nl, &r, &e), -ENETUNREACH);
	assert_string_equal(e.path, "route 0.0.0.0/0 via 192.0.2.1");
	r.onlink = true;
	check_route(f->nl, &r, 254);
	r.onlink = false;
	r.via = (struct ip_addr){ 0 };
	r.dst = with_host_bits("10.9.9.9", 32);
	check_route(f->nl, &r, 254);
	r.via = addr("fd00::2");
	check_route(f->nl, &r, 254);

	r.src = (struct ip_addr){ 0 };
	r.dst = with_host_bits("fd09::", 16);
	check_route(f->nl, &r, 254);
	r.dst = with_host_bits("::", 0);
	check_route(f->nl, &r, 254);
	r.via = (struct ip_addr){ 0 };
	r.dst = with_host_bits("fd09::9", 128);
	check_route(f->nl, &r, 254);
}

static void replacing_a_route_changes_it(void **state)
{
	struct ip_prefix own = with_host_bits("10.1.0.1", 24);
	struct rtnl_route r = { .dst = with_host_bits("10.9.0.0", 16), .via = addr("10.1.0.2") }, got;
	struct fixture *f = *state;

	OK(rtnl_veth_add(f->nl, "v", NULL, "w", NULL, -1, 0, &ok_err));
	OK(rtnl_link_up(f->nl, "v", &ok_err));
	OK(rtnl_addr_add(f->nl, "v", &own, &ok_err));
	OK(rtnl_route_replace(f->nl, &r, &ok_err));
	r.via = addr("10.1.0.3");
	OK(rtnl_route_replace(f->nl, &r, &ok_err));
	assert_int_equal(routes_to(f->nl, &r.dst, 0, &got), 1);
	assert_true(ip_addr_eq(&got.via, &r.via));
}

/* The line of an address in the kernel's ARP table, "" when there is none. */
static void arp_line(int netns_fd, const char *ip, char *line, int size)
{
	FILE *f;
	int old;

	assert_int_equal(netns_enter(netns_fd, &old), 0);
	f = fopen("/proc/thread-self/net/arp", "re");
	netns_leave(old);
	assert_non_null(f);
	while (fgets(line, size, f)) {
		if (strncmp(line, ip, strlen(ip)) == 0 && line[strlen(ip)] == ' ')
			break;
		line[0] = '\0';
	}
	fclose(f);
}

static void neighbours(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 7 }, other[6] = { 2, 0, 0, 0, 0, 8 };
	struct ip_addr four = addr("10.1.0.7"), six = addr("fd00::7");
	struct fixture *f = *state;
	struct rtnl_link l;
	char line[200] = "";

	OK(rtnl_veth_add(f->nl, "v", NULL, "w", NULL, -1, 0, &ok_err));
	OK(rtnl_link_up(f->nl, "v", &ok_err));
	OK(rtnl_link_get(f->nl, "v", &l, &ok_err));
	OK(rtnl_neigh_replace(f->nl, l.ifindex, &four, mac, &ok_err));
	OK(rtnl_neigh_replace(f->nl, l.ifindex, &four, other, &ok_err));
	OK(rtnl_neigh_replace(f->nl, l.ifindex, &six, mac, &ok_err));
	arp_line(f->here, "10.1.0.7", line, sizeof(line));
	assert_non_null(strstr(line, "02:00:00:00:00:08"));
	assert_non_null(strstr(line, "0x6")); /* permanent and complete */
	OK(rtnl_neigh_del(f->nl, l.ifindex, &four, &ok_err));
	OK(rtnl_neigh_del(f->nl, l.ifindex, &four, &ok_err));
	OK(rtnl_neigh_del(f->nl, l.ifindex, &six, &ok_err));
	OK(rtnl_neigh_del(f->nl, l.ifindex, &six, &ok_err));
	arp_line(f->here, "10.1.0.7", line, sizeof(line));
	assert_string_equal(line, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(named_namespaces_live_and_die),
		cmocka_unit_test(bad_names_touch_nothing),
		cmocka_unit_test_setup_teardown(enter_and_leave, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sysctls_are_per_namespace, set_up, tear_down),
		cmocka_unit_test_setup_teardown(veth_over_two_namespaces, set_up, tear_down),
		cmocka_unit_test_setup_teardown(link_mistakes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bridges_and_lists, set_up, tear_down),
		cmocka_unit_test_setup_teardown(addresses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(routes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(replacing_a_route_changes_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(neighbours, set_up, tear_down),
	};
	struct err e = { 0 };
	int fd = -1;

	if (netns_create_anonymous(&fd, &e)) {
		printf("SKIP: %s\n", e.text);
		return 77;
	}
	close(fd);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
