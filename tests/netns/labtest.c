/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See labtest.h. */
#include "labtest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/util.h"
#include "net/netns.h"

extern const struct target_ops target_host;

static void put_node(struct snapshot_edit *ed, const struct lt_conf *conf, uint32_t i)
{
	struct node fill = {}, *n = NULL;
	struct err e = {};
	char name[32], s[64];

	(void)snprintf(name, sizeof(name), "node-%u", i);
	fill.name = name;
	(void)snprintf(s, sizeof(s), "172.30.0.%u", i);
	fill.addr[IP_V4] = lt_addr(s);
	(void)snprintf(s, sizeof(s), "fd00:172:30::%x", i);
	fill.addr[IP_V6] = lt_addr(s);
	(void)snprintf(s, sizeof(s), "10.244.%u.0/24", i);
	assert_int_equal(ip_prefix_parse(s, &fill.pod_cidr[IP_V4]), 0);
	(void)snprintf(s, sizeof(s), "fd00:10:244:%x::/64", i);
	assert_int_equal(ip_prefix_parse(s, &fill.pod_cidr[IP_V6]), 0);
	if (conf->ipv4_only) {
		fill.addr[IP_V6] = (struct ip_addr){};
		fill.pod_cidr[IP_V6] = (struct ip_prefix){};
	}
	assert_int_equal(node_new(&fill, &n, &e), 0);
	assert_int_equal(snapshot_edit_put_node(ed, n, &e), 0);
	node_unref(n);
}

static void put_pod(struct snapshot_edit *ed, const struct lt_conf *conf, uint32_t i, bool host)
{
	const struct container_port ports[] = { { NULL, host ? 9090 : LT_PORT, IPPROTO_TCP },
						{ NULL, host ? 9090 : LT_PORT, IPPROTO_UDP } };
	struct pod fill = { .ns = "t",
			    .ready = true,
			    .host_network = host,
			    .ports = ports,
			    .n_ports = ARRAY_LEN(ports) },
		   *p = NULL;
	uint32_t node = i % conf->n_nodes + 1;
	struct err e = {};
	char name[32], node_name[32], s[64];

	(void)snprintf(name, sizeof(name), "p%u", i);
	(void)snprintf(node_name, sizeof(node_name), "node-%u", node);
	fill.name = host ? "host" : name;
	fill.node = node_name;
	(void)snprintf(s, sizeof(s), "10.244.%u.%u", node, 2 + i / conf->n_nodes);
	fill.addr[IP_V4] = lt_addr(host ? "172.30.0.1" : s);
	(void)snprintf(s, sizeof(s), "fd00:10:244:%x::%x", node, 2 + i / conf->n_nodes);
	fill.addr[IP_V6] = lt_addr(host ? "fd00:172:30::1" : s);
	if (conf->ipv4_only)
		fill.addr[IP_V6] = (struct ip_addr){};
	assert_int_equal(pod_new(&fill, &p, &e), 0);
	if (snapshot_edit_put_pod(ed, p, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	pod_unref(p);
}

static void put_service(struct snapshot_edit *ed)
{
	const struct endpoint ep[IP_FAMILY_MAX] = {
		{ .addr = lt_addr("10.244.1.2"), .port = 8081, .ready = true, .serving = true, .node = "node-1" },
		{ .addr = lt_addr("fd00:10:244:1::2"), .port = 8081, .ready = true, .serving = true, .node = "node-1" },
	};
	const struct service_port port = { "", IPPROTO_TCP, 80, { 1, 1 }, { &ep[IP_V4], &ep[IP_V6] } };
	struct service fill = { .ns = "t",
				.name = "svc",
				.facets = 1u << SERVICE_FACET_CLUSTER_IP,
				.n_ports = 1,
				.ports = &port },
		       *svc = NULL;
	struct err e = {};

	fill.cluster_ip[IP_V4] = lt_addr("10.96.0.10");
	fill.cluster_ip[IP_V6] = lt_addr("fd00:10:96::10");
	if (service_new(&fill, &svc, &e) < 0 || snapshot_edit_put_service(ed, svc, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	service_unref(svc);
}

struct snapshot *lt_snapshot(const struct lt_conf *conf)
{
	struct snapshot_edit *ed = NULL;
	struct snapshot *s = NULL;

	assert_int_equal(snapshot_edit_new(NULL, &ed), 0);
	for (uint32_t i = 1; i <= conf->n_nodes; i++)
		put_node(ed, conf, i);
	for (uint32_t i = 0; i < conf->n_pods; i++)
		if (conf->skip_pod != i + 1)
			put_pod(ed, conf, i, false);
	if (conf->host_pod)
		put_pod(ed, conf, 0, true);
	if (conf->service)
		put_service(ed);
	assert_int_equal(snapshot_edit_commit(ed, &s), 0);
	return s;
}

void lt_need_root(void)
{
	int fd = -1;
	int r = netns_create_anonymous(&fd, NULL);

	if (r < 0) {
		printf("SKIP: network namespaces cannot be made here: %s\n", strerror(-r));
		exit(77);
	}
	(void)close(fd);
	if (lt_run(-1, "command -v ip >/dev/null") != 0) {
		printf("SKIP: no ip program (iproute2) to disturb things with\n");
		exit(77);
	}
}

const char *lt_name(const char *tag, char buf[static LAB_NAME_MAX + 1])
{
	(void)snprintf(buf, LAB_NAME_MAX + 1, "okt%d-%.6s", getpid(), tag);
	return buf;
}

static int pod_netns(void *arg, const struct pod *p)
{
	const struct lt *lt = arg;
	int fd = lab_pod_netns(lt->lab, p->ns, p->name);

	if (fd < 0)
		return -ENOENT;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

void lt_up_bare(struct lt *lt, const char *name, const struct lt_conf *conf, bool keep)
{
	struct lab_conf lc = { .name = name, .n_clients = 1, .keep = keep };
	struct err e = {};

	*lt = (struct lt){ .s = lt_snapshot(conf), .n_nodes = conf->n_nodes };
	lc.snapshot = lt->s;
	if (lab_up(&lc, &lt->lab, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	for (size_t i = 0; i < lt->n_nodes; i++) {
		struct target_env env = { .node = lt->node[i],
					  .cgroup_fd = -1,
					  .clock = &clock_monotonic,
					  .pod_netns = pod_netns,
					  .pod_netns_arg = lt };

		(void)snprintf(lt->node[i], sizeof(lt->node[i]), "node-%u", (unsigned int)i + 1);
		env.netns_fd = lab_node_netns(lt->lab, lt->node[i]);
		if (target_host.open(&env, &lt->host[i], &e) < 0)
			fail_msg("%s: %s", e.path, e.text);
	}
}

void lt_wire(struct lt *lt, const struct snapshot *from, const struct snapshot *to, struct target_stats *sum)
{
	struct target_stats total = {};

	for (size_t i = 0; i < lt->n_nodes; i++) {
		struct target_probe probe = { .usable = true };
		struct target_input in = { .from = from, .to = to, .node = lt->node[i], .probe = &probe };
		struct target_program *p = NULL;
		struct target_stats st = {};
		struct err e = {};

		if (target_host.compile(&in, &p, &e) < 0 || target_host.apply(lt->host[i], p, &st, &e) < 0)
			fail_msg("%s: %s", e.path, e.text);
		target_host.program_free(p);
		total.n_added += st.n_added;
		total.n_removed += st.n_removed;
		total.n_kept += st.n_kept;
	}
	if (sum)
		*sum = total;
}

void lt_verify(struct lt *lt)
{
	for (size_t i = 0; i < lt->n_nodes; i++) {
		struct target_probe probe = { .usable = true };
		struct target_input in = { .to = lt->s, .node = lt->node[i], .probe = &probe };
		struct target_program *p = NULL;
		struct err e = {};

		assert_int_equal(target_host.compile(&in, &p, &e), 0);
		if (target_host.verify(lt->host[i], p, &e) < 0)
			fail_msg("%s: %s", e.path, e.text);
		target_host.program_free(p);
	}
}

void lt_up(struct lt *lt, const char *name, const struct lt_conf *conf, bool keep)
{
	struct err e = {};

	lt_up_bare(lt, name, conf, keep);
	lt_wire(lt, NULL, lt->s, NULL);
	if (lab_start_servers(lt->lab, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
}

void lt_down(struct lt *lt)
{
	struct err e = {};

	for (size_t i = 0; i < lt->n_nodes; i++)
		target_host.close(lt->host[i]);
	if (lt->lab && lab_down(lt->lab, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	snapshot_unref(lt->s);
	*lt = (struct lt){};
}

static int clean_mine(const struct lab_status *s, void *arg)
{
	char prefix[32];

	(void)arg;
	(void)snprintf(prefix, sizeof(prefix), "okt%d-", getpid());
	if (strncmp(s->name, prefix, strlen(prefix)) == 0)
		(void)lab_clean(s->name, NULL, NULL); /* the test has failed anyway */
	return 0;
}

int lt_clean_up(void **state)
{
	(void)state;
	return lab_list(clean_mine, NULL, NULL);
}

int lt_ask(int netns_fd, const struct ip_addr *to, uint16_t port, uint8_t proto, struct responder_reply *ret)
{
	struct responder_ask ask = {
		.netns_fd = netns_fd, .to = *to, .to_port = port, .proto = proto, .timeout_ms = 60000
	};
	struct responder_reply own;

	return responder_ask(&ask, ret ? ret : &own, NULL, NULL);
}

struct ip_addr lt_pod_addr(const struct lt *lt, const char *pod, enum ip_family f)
{
	const struct pod *p = snapshot_pod(lt->s, "t", pod);

	assert_non_null(p);
	return p->addr[f];
}

struct ip_addr lt_node_addr(const struct lt *lt, const char *node, enum ip_family f)
{
	const struct node *n = snapshot_node(lt->s, node);

	assert_non_null(n);
	return n->addr[f];
}

int lt_pod_netns(const struct lt *lt, const char *pod)
{
	int fd = lab_pod_netns(lt->lab, "t", pod);

	assert_true(fd >= 0);
	return fd;
}

void lt_reach(const struct lt *lt, int netns_fd, const char *to, const struct ip_addr *from4,
	      const struct ip_addr *from6)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };
	const struct ip_addr *from[] = { from4, from6 };
	char want[64];

	(void)snprintf(want, sizeof(want), "t/%s", to);
	for (int f = 0; f < IP_FAMILY_MAX; f++)
		for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
			struct ip_addr a = lt_pod_addr(lt, to, f);
			struct responder_reply reply = {};
			int r = lt_ask(netns_fd, &a, LT_PORT, protos[i], &reply);

			if (r < 0)
				fail_msg("%s over %s, family %d: %s", to, ip_proto_name(protos[i]), f, strerror(-r));
			assert_string_equal(reply.name, want);
			if (from[f])
				assert_true(ip_addr_eq(&reply.client, from[f]));
		}
}

/* ---- what is left ---- */

static size_t count_dir(const char *path, const char *prefix)
{
	DIR *dir = opendir(path);
	const struct dirent *d;
	size_t n = 0;

	while (dir && (d = readdir(dir)))
		n += strncmp(d->d_name, prefix, strlen(prefix)) == 0;
	if (dir)
		(void)closedir(dir);
	return n;
}

static size_t count_netns(const char *prefix)
{
	char full[64], **names = NULL;
	size_t n = 0;

	(void)snprintf(full, sizeof(full), "okl.%s", prefix);
	assert_int_equal(netns_list(full, &names, &n), 0);
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return n;
}

size_t lt_left_over(const char *prefix)
{
	char cgroup[64];

	(void)snprintf(cgroup, sizeof(cgroup), "offkube.%s", prefix);
	return count_netns(prefix) + count_dir(LAB_STATE_DIR, prefix) + count_dir("/sys/fs/cgroup/unified", cgroup) +
	       count_dir("/sys/fs/cgroup", cgroup);
}

int lt_run(int netns_fd, const char *command)
{
	pid_t pid = fork();
	int status = -1;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (netns_fd >= 0 && setns(netns_fd, CLONE_NEWNET) < 0)
			_exit(126);
		(void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

struct ip_addr lt_addr(const char *s)
{
	struct ip_addr a = {};

	assert_int_equal(ip_addr_parse(s, &a), 0);
	return a;
}
