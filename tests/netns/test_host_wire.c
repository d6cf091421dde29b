/* SPDX-License-Identifier: GPL-2.0-or-later */
/* target/host in a lab: applied again, repaired, verified, changed, removed; and what it must never touch. */
#include "labtest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "net/sysctl.h"
#include "target/host/host.h"

static const struct lt_conf conf = { .n_nodes = 2, .n_pods = 6 };

struct fixture {
	struct lt lt;
	char name[LAB_NAME_MAX + 1];
};

static int setup_bare(void **state)
{
	struct fixture *fx = calloc(1, sizeof(*fx));

	assert_non_null(fx);
	lt_up_bare(&fx->lt, lt_name("wire", fx->name), &conf, false);
	*state = fx;
	return 0;
}

static int setup(void **state)
{
	struct fixture *fx;

	setup_bare(state);
	fx = *state;
	lt_wire(&fx->lt, NULL, fx->lt.s, NULL);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fx = *state;

	lt_down(&fx->lt);
	assert_int_equal(lt_left_over(fx->name), 0);
	free(fx);
	return 0;
}

static int node1(const struct lt *lt)
{
	return lab_node_netns(lt->lab, "node-1");
}

/* verify() of node-1 for snapshot s. */
static int verify1(struct lt *lt, const struct snapshot *s, struct err *e)
{
	struct target_probe probe = { .usable = true };
	struct target_input in = { .to = s, .node = "node-1", .probe = &probe };
	struct target_program *p = NULL;
	int r;

	assert_int_equal(target_host.compile(&in, &p, NULL), 0);
	r = target_host.verify(lt->host[0], p, e);
	target_host.program_free(p);
	return r;
}

static void test_probe(void **state)
{
	struct target_env env = { .node = "node-1", .netns_fd = -1, .cgroup_fd = -1 };
	struct target_probe p = {};

	(void)state;
	assert_int_equal(target_host.probe(&env, &p, NULL), 0);
	assert_true(p.usable);
}

static void test_second_apply_changes_nothing(void **state)
{
	struct lt *lt = &((struct fixture *)*state)->lt;
	struct target_stats first = {}, second = {}, third = {};

	lt_wire(lt, NULL, lt->s, &first);
	assert_int_equal(first.n_added, 0); /* setup has wired */
	assert_int_equal(first.n_removed, 0);
	assert_true(first.n_kept > 6 * 10);
	lt_wire(lt, NULL, lt->s, &second);
	assert_int_equal(second.n_added + second.n_removed, 0);
	lt_verify(lt);
	lt_wire(lt, lt->s, lt->s, &third); /* an empty delta */
	assert_int_equal(third.n_added + third.n_removed, 0);
}

/* Each kind of damage is seen by verify and mended by apply, which then finds nothing more to do. */
static void test_repair(void **state)
{
	static const struct {
		bool in_pod; /* p0, else node-1 */
		const char *command;
	} damage[] = {
		{ false, "ip route del 10.244.1.2" },
		{ false, "ip -6 route del fd00:10:244:1::2" },
		{ false, "ip route del unreachable 10.244.1.0/24" },
		{ false, "ip -6 route del unreachable fd00:10:244:1::/64" },
		{ false, "ip route replace 10.244.2.0/24 via 172.31.0.254 dev eth0 onlink proto 79" },
		{ false, "ip -6 route del fd00:10:244:2::/64" },
		{ false,
		  "ip neigh del 10.244.1.2 dev $(ip -o route get 10.244.1.2 | sed 's/.*dev \\([^ ]*\\).*/\\1/')" },
		{ false, "ip link del $(ip -o route get 10.244.1.2 | sed 's/.*dev \\([^ ]*\\).*/\\1/')" },
		{ false, "ip link set $(ip -o route get 10.244.1.2 | sed 's/.*dev \\([^ ]*\\).*/\\1/') down" },
		{ false,
		  "ip addr del 172.30.0.1/32 dev $(ip -o route get 10.244.1.2 | sed 's/.*dev \\([^ ]*\\).*/\\1/')" },
		{ false,
		  "ip addr add 10.9.9.9/32 dev $(ip -o route get 10.244.1.2 | sed 's/.*dev \\([^ ]*\\).*/\\1/')" },
		{ false, "echo 0 > /proc/sys/net/ipv4/ip_forward" },
		{ false, "echo 1 > /proc/sys/net/ipv4/conf/all/send_redirects" },
		{ false,
		  "echo 0 > /proc/sys/net/ipv4/conf/$(ip -o route get 10.244.1.2 | sed 's/.*dev \\([^ ]*\\).*/\\1/')/rp_filter" },
		{ false,
		  "ip route add 10.77.0.0/16 via 172.30.0.2 dev eth0 proto 79" }, /* ours, says the mark, and nobody wants it */
		{ true, "ip addr del 10.244.1.2/32 dev eth0" },
		{ true, "ip -6 addr del fd00:10:244:1::2/128 dev eth0" },
		{ true, "ip addr add 10.9.9.8/32 dev eth0" },
		{ true, "ip route del default" },
		{ true, "ip -6 route del default" },
		{ true, "ip neigh del 169.254.1.1 dev eth0" },
		{ true, "ip neigh replace fe80::1 lladdr 02:00:00:00:00:01 dev eth0" },
		{ true, "ip link set eth0 down" },
		{ true, "ip link del eth0" },
	};
	struct lt *lt = &((struct fixture *)*state)->lt;

	for (size_t i = 0; i < ARRAY_LEN(damage); i++) {
		struct target_stats st = {};
		struct err e = {};
		int r;

		assert_int_equal(verify1(lt, lt->s, NULL), 0);
		if (lt_run(damage[i].in_pod ? lt_pod_netns(lt, "p0") : node1(lt), damage[i].command) != 0)
			fail_msg("%s: cannot be done", damage[i].command);
		r = verify1(lt, lt->s, &e);
		if (r != -ESTALE || !e.text[0])
			fail_msg("%s: verify says %d", damage[i].command, r);
		lt_wire(lt, NULL, lt->s, &st);
		assert_true(st.n_added + st.n_removed > 0);
		if (verify1(lt, lt->s, &e) < 0)
			fail_msg("%s: not mended", damage[i].command);
		lt_wire(lt, NULL, lt->s, &st);
		assert_int_equal(st.n_added + st.n_removed, 0);
	}
}

/* A pod removed from the model and put back, by delta and by full program. */
static void test_change(void **state)
{
	struct lt *lt = &((struct fixture *)*state)->lt;
	struct lt_conf less = conf;
	struct target_stats st = {};
	struct snapshot *s;

	less.skip_pod = 3; /* p2, on node-1 */
	s = lt_snapshot(&less);
	lt_wire(lt, lt->s, s, &st);
	assert_int_equal(st.n_removed, 1);
	assert_int_equal(st.n_added, 0);
	assert_int_equal(verify1(lt, s, NULL), 0);
	assert_int_equal(verify1(lt, lt->s, NULL), -ESTALE);
	lt_wire(lt, s, lt->s, &st);
	assert_int_equal(verify1(lt, lt->s, NULL), 0);
	lt_wire(lt, NULL, s, &st); /* full: sweeps what it does not know */
	assert_int_equal(st.n_removed, 1);
	assert_int_equal(verify1(lt, s, NULL), 0);
	snapshot_unref(s);
}

static void test_foreign_things_stay(void **state)
{
	struct lt *lt = &((struct fixture *)*state)->lt;
	struct target_probe probe = { .usable = true };
	struct target_input in = { .to = lt->s, .node = "node-1", .probe = &probe };
	struct target_program *p = NULL;
	struct err e = {};

	/* A link with a name like ours, an ordinary route, and a route of somebody else's to another node's pods. */
	assert_int_equal(lt_run(node1(lt),
				"ip link add ok0123456789 type veth peer name okpeer && ip link set ok0123456789 up && "
				"ip route add 10.66.0.0/16 dev ok0123456789 && "
				"ip route add 10.244.2.0/24 via 172.31.0.254 dev eth0 onlink"),
			 0);
	assert_int_equal(target_host.compile(&in, &p, NULL), 0);
	assert_int_equal(target_host.apply(lt->host[0], p, NULL, &e), -EEXIST);
	assert_non_null(strstr(e.path, "node-2"));
	assert_int_equal(lt_run(node1(lt),
				"ip route show 10.244.2.0/24 | grep -q 172.31.0.254 && ip route del 10.244.2.0/24"),
			 0);
	assert_int_equal(target_host.apply(lt->host[0], p, NULL, NULL), 0);
	assert_int_equal(target_host.remove(lt->host[0], &e), 0);
	assert_int_equal(
		lt_run(node1(lt),
		       "ip link show ok0123456789 >/dev/null && ip route show 10.66.0.0/16 | grep -q ok0123456789"),
		0);
	target_host.program_free(p);
}

static int refuse_p0(void *arg, const struct pod *p)
{
	const struct lt *lt = arg;
	int fd = strcmp(p->name, "p0") == 0 ? -1 : lab_pod_netns(lt->lab, p->ns, p->name);

	return fd < 0 ? -ENOENT : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static void test_pod_without_namespace_is_skipped(void **state)
{
	struct lt *lt = &((struct fixture *)*state)->lt;
	struct target_env env = { .node = "node-1",
				  .netns_fd = node1(lt),
				  .cgroup_fd = -1,
				  .clock = &clock_monotonic,
				  .pod_netns = refuse_p0,
				  .pod_netns_arg = lt };
	struct target_probe probe = { .usable = true };
	struct target_input in = { .to = lt->s, .node = "node-1", .probe = &probe };
	struct target_program *p = NULL;
	struct target_stats st = {};
	void *h = NULL;

	assert_int_equal(target_host.open(&env, &h, NULL), 0);
	assert_int_equal(target_host.compile(&in, &p, NULL), 0);
	assert_int_equal(target_host.apply(h, p, &st, NULL), 0);
	assert_true(st.n_added > 0);
	assert_int_equal(target_host.verify(h, p, NULL), 0);
	assert_int_not_equal(lt_run(lt_pod_netns(lt, "p0"), "ip link show eth0 >/dev/null 2>&1"), 0);
	assert_int_equal(lt_run(lt_pod_netns(lt, "p2"), "ip link show eth0 >/dev/null 2>&1"), 0);
	assert_int_equal(target_host.apply(lt->host[0], p, &st, NULL), 0); /* it has come by now */
	assert_int_equal(lt_run(lt_pod_netns(lt, "p0"), "ip link show eth0 >/dev/null 2>&1"), 0);
	/* Out of sight again, it keeps what it has. */
	assert_int_equal(target_host.apply(h, p, &st, NULL), 0);
	assert_int_equal(st.n_added + st.n_removed, 0);
	assert_int_equal(verify1(lt, lt->s, NULL), 0);
	target_host.close(h);
	target_host.program_free(p);
}

/* ---- remove ---- */

#define N_SYSCTLS 10
static const char *const watched[N_SYSCTLS] = {
	"net/ipv4/ip_forward",		 "net/ipv4/conf/all/accept_redirects", "net/ipv4/conf/default/forwarding",
	"net/ipv4/conf/eth0/forwarding", "net/ipv6/conf/default/forwarding",   "net/ipv6/conf/eth0/forwarding",
	"net/ipv6/conf/all/forwarding",	 "net/ipv4/conf/all/send_redirects",   "net/ipv4/conf/eth0/send_redirects",
	"net/ipv6/conf/eth0/accept_ra",
};

static void read_sysctls(int fd, char values[N_SYSCTLS][16])
{
	for (size_t i = 0; i < N_SYSCTLS; i++)
		assert_int_equal(sysctl_read(fd, watched[i], values[i], 16, NULL), 0);
}

static void remove_restores(struct lt *lt, const char *prepare)
{
	char before[N_SYSCTLS][16], during[N_SYSCTLS][16], after[N_SYSCTLS][16];

	assert_int_equal(lt_run(node1(lt), prepare), 0);
	read_sysctls(node1(lt), before);
	lt_wire(lt, NULL, lt->s, NULL);
	read_sysctls(node1(lt), during);
	assert_string_equal(during[0], "1");
	lt_wire(lt, NULL, lt->s, NULL); /* the second must not take our values for the originals */
	assert_int_equal(target_host.remove(lt->host[0], NULL), 0);
	read_sysctls(node1(lt), after);
	for (size_t i = 0; i < N_SYSCTLS; i++)
		if (strcmp(before[i], after[i]) != 0)
			fail_msg("%s (%s): was %s, is %s", watched[i], prepare, before[i], after[i]);
	assert_int_equal(
		lt_run(node1(lt),
		       "test -z \"$(ip route show proto 79)$(ip -6 route show proto 79)$(ip -o link show type veth | grep ': ok')\""),
		0);
	assert_int_equal(target_host.remove(lt->host[0], NULL), 0); /* absent is success */
}

static void test_remove_restores(void **state)
{
	struct lt *lt = &((struct fixture *)*state)->lt;

	remove_restores(lt, "true");
	remove_restores(
		lt, "cd /proc/sys/net && echo 1 > ipv6/conf/eth0/accept_ra && echo 0 > ipv4/conf/all/accept_redirects");
	remove_restores(lt, "cd /proc/sys/net && echo 1 > ipv4/ip_forward && echo 1 > ipv6/conf/all/forwarding && "
			    "echo 1 > ipv4/conf/all/accept_redirects && echo 0 > ipv4/conf/eth0/send_redirects");
}

/* What an administrator changed after us is his. */
static void test_remove_leaves_later_changes(void **state)
{
	struct lt *lt = &((struct fixture *)*state)->lt;
	char value[16];

	lt_wire(lt, NULL, lt->s, NULL);
	assert_int_equal(sysctl_write(node1(lt), "net/ipv6/conf/eth0/accept_ra", "0", NULL), 0);
	assert_int_equal(target_host.remove(lt->host[0], NULL), 0);
	assert_int_equal(sysctl_read(node1(lt), "net/ipv6/conf/eth0/accept_ra", value, sizeof(value), NULL), 0);
	assert_string_equal(value, "0");
}

static void test_dump(void **state)
{
	struct lt *lt = &((struct fixture *)*state)->lt;
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	assert_int_equal(target_host.dump(lt->host[0], f, NULL), 0);
	assert_int_equal(fclose(f), 0);
	assert_non_null(strstr(text, "pod 10.244.1.2"));
	assert_non_null(strstr(text, "unreachable fd00:10:244:1::/64"));
	assert_non_null(strstr(text, "route 10.244.2.0/24 via 172.30.0.2"));
	assert_non_null(strstr(text, "sysctl net/ipv4/ip_forward = 1 (was 0)"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probe),
		cmocka_unit_test_setup_teardown(test_second_apply_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_repair, setup, teardown),
		cmocka_unit_test_setup_teardown(test_change, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign_things_stay, setup_bare, teardown),
		cmocka_unit_test_setup_teardown(test_pod_without_namespace_is_skipped, setup_bare, teardown),
		cmocka_unit_test_setup_teardown(test_remove_restores, setup_bare, teardown),
		cmocka_unit_test_setup_teardown(test_remove_leaves_later_changes, setup_bare, teardown),
		cmocka_unit_test_setup_teardown(test_dump, setup, teardown),
	};

	lt_need_root();
	return cmocka_run_group_tests(tests, NULL, lt_clean_up);
}
