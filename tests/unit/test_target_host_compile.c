/* SPDX-License-Identifier: GPL-2.0-or-later */
/* target/host's thinking part: snapshot to program, full and by difference, and its text. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/doc.h"
#include "base/util.h"
#include "target/host/host.h"

static struct ip_addr addr(const char *s)
{
	struct ip_addr a = {};

	if (s)
		assert_int_equal(ip_addr_parse(s, &a), 0);
	return a;
}

static struct ip_prefix cidr(const char *s)
{
	struct ip_prefix p = {};

	if (s)
		assert_int_equal(ip_prefix_parse(s, &p), 0);
	return p;
}

static void put_node(struct snapshot_edit *ed, const char *name, const char *a4, const char *a6, const char *c4,
		     const char *c6)
{
	struct node fill = { .name = name }, *n = NULL;

	fill.addr[IP_V4] = addr(a4);
	fill.addr[IP_V6] = addr(a6);
	fill.pod_cidr[IP_V4] = cidr(c4);
	fill.pod_cidr[IP_V6] = cidr(c6);
	assert_int_equal(node_new(&fill, &n, NULL), 0);
	assert_int_equal(snapshot_edit_put_node(ed, n, NULL), 0);
	node_unref(n);
}

static void put_pod(struct snapshot_edit *ed, const char *name, const char *node, const char *a4, const char *a6,
		    bool host)
{
	struct pod fill = { .ns = "shop", .name = name, .node = node, .host_network = host, .ready = true }, *p = NULL;

	fill.addr[IP_V4] = addr(a4);
	fill.addr[IP_V6] = addr(a6);
	assert_int_equal(pod_new(&fill, &p, NULL), 0);
	assert_int_equal(snapshot_edit_put_pod(ed, p, NULL), 0);
	pod_unref(p);
}

static struct snapshot *base(void)
{
	struct snapshot_edit *ed = NULL;
	struct snapshot *s = NULL;

	assert_int_equal(snapshot_edit_new(NULL, &ed), 0);
	put_node(ed, "a", "172.30.0.1", "fd00:172:30::1", "10.244.1.0/24", "fd00:10:244:1::/64");
	put_node(ed, "b", "172.30.0.2", "fd00:172:30::2", "10.244.2.0/24", "fd00:10:244:2::/64");
	put_node(ed, "four", "172.30.0.3", NULL, "10.244.3.0/24", NULL);
	put_node(ed, "none", "172.30.0.4", "fd00:172:30::4", NULL, NULL); /* runs no pods of its own */
	put_pod(ed, "cart", "a", "10.244.1.2", "fd00:10:244:1::2", false);
	put_pod(ed, "api", "a", "10.244.1.3", NULL, false);
	put_pod(ed, "away", "b", "10.244.2.2", "fd00:10:244:2::2", false);
	put_pod(ed, "agent", "a", "172.30.0.1", "fd00:172:30::1", true);
	put_pod(ed, "pending", NULL, NULL, NULL, false);
	assert_int_equal(snapshot_edit_commit(ed, &s), 0);
	return s;
}

/* Text lines with a sign in front, that is without the sysctls. */
static char *compile_text(const struct snapshot *from, const struct snapshot *to, const char *node)
{
	struct target_probe probe = { .usable = true };
	struct target_input in = { .from = from, .to = to, .node = node, .probe = &probe };
	struct target_program *p = NULL;
	char *text = NULL, *out, *save = NULL;
	size_t size = 0;
	FILE *f;

	assert_int_equal(target_host.compile(&in, &p, NULL), 0);
	f = open_memstream(&text, &size);
	assert_non_null(f);
	assert_int_equal(target_host.program_print(p, false, f), 0);
	assert_int_equal(fclose(f), 0);
	target_host.program_free(p);
	out = calloc(1, size + 1);
	assert_non_null(out);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (line[0] == ' ')
			continue;
		strcat(out, line);
		strcat(out, "\n");
	}
	free(text);
	return out;
}

static void expect(const struct snapshot *from, const struct snapshot *to, const char *node, const char *want)
{
	char *text = compile_text(from, to, node);

	assert_string_equal(text, want);
	free(text);
}

#define LINK_CART \
	"link ok59e1069a34 pod shop/cart mac 0a:59:e1:06:9a:34 pod-mac 0e:59:e1:06:9a:34 addr 10.244.1.2 addr fd00:10:244:1::2\n"
#define LINK_API "link okea30731bf4 pod shop/api mac 0a:ea:30:73:1b:f4 pod-mac 0e:ea:30:73:1b:f4 addr 10.244.1.3\n"
#define HEAD_A(kind) "host " kind " node a addr 172.30.0.1 addr fd00:172:30::1\n"

static void test_full(void **state)
{
	struct snapshot *s = base();

	(void)state;
	/* Names and MACs are for ever: links of an older version are told by them. */
	expect(NULL, s, "a",
	       HEAD_A("full") "+ unreachable 10.244.1.0/24\n"
			      "+ unreachable fd00:10:244:1::/64\n"
			      "+ route 10.244.2.0/24 via 172.30.0.2 node b\n"
			      "+ route fd00:10:244:2::/64 via fd00:172:30::2 node b\n"
			      "+ route 10.244.3.0/24 via 172.30.0.3 node four\n"
			      "+ " LINK_API "+ " LINK_CART);
	snapshot_unref(s);
}

static void test_delta(void **state)
{
	struct snapshot_edit *ed = NULL;
	struct snapshot *s = base(), *s2 = NULL;

	(void)state;
	expect(s, s, "a", HEAD_A("delta"));
	assert_int_equal(snapshot_edit_new(s, &ed), 0);
	put_node(ed, "b", "172.30.0.22", "fd00:172:30::2", "10.244.2.0/24",
		 "fd00:10:244:22::/64"); /* another address, another CIDR */
	assert_int_equal(snapshot_edit_del_node(ed, "four"), 0);
	put_node(ed, "new", "172.30.0.9", NULL, "10.244.9.0/24", NULL);
	assert_int_equal(snapshot_edit_del_pod(ed, "shop", "cart"), 0);
	put_pod(ed, "api", "a", "10.244.1.4", NULL, false); /* another address */
	put_pod(ed, "agent", "a", "172.30.0.1", "fd00:172:30::1", true);
	assert_int_equal(snapshot_edit_commit(ed, &s2), 0);
	{
		char *text = compile_text(s, s2, "a");

		/* Removals first; the order among the rest is that of snapshot_diff. */
		assert_non_null(strstr(text, HEAD_A("delta")));
		assert_non_null(strstr(text, "- route fd00:10:244:2::/64 via fd00:172:30::2 node b\n"));
		assert_non_null(strstr(text, "- route 10.244.3.0/24 via 172.30.0.3 node four\n"));
		assert_non_null(strstr(text, "+ route 10.244.2.0/24 via 172.30.0.22 node b\n"));
		assert_non_null(strstr(text, "+ route fd00:10:244:22::/64 via fd00:172:30::2 node b\n"));
		assert_non_null(strstr(text, "+ route 10.244.9.0/24 via 172.30.0.9 node new\n"));
		assert_non_null(strstr(text, "- " LINK_CART));
		assert_non_null(strstr(
			text,
			"+ link okea30731bf4 pod shop/api mac 0a:ea:30:73:1b:f4 pod-mac 0e:ea:30:73:1b:f4 addr 10.244.1.4\n"));
		assert_null(strstr(text, "agent"));
		assert_null(strstr(text, "- route 10.244.2.0/24")); /* replaced in one step */
		free(text);
	}
	snapshot_unref(s2);
	snapshot_unref(s);
}

/* A pod that moves here, and one that moves away or into the node's network. */
static void test_delta_moves(void **state)
{
	struct snapshot_edit *ed = NULL;
	struct snapshot *s = base(), *s2 = NULL;

	(void)state;
	assert_int_equal(snapshot_edit_new(s, &ed), 0);
	put_pod(ed, "cart", "b", "10.244.2.7", NULL, false);
	put_pod(ed, "api", "a", "172.30.0.1", NULL, true);
	assert_int_equal(snapshot_edit_commit(ed, &s2), 0);
	{
		char *text = compile_text(s, s2, "a");

		assert_non_null(strstr(text, "- " LINK_CART));
		assert_non_null(strstr(text, "- " LINK_API));
		assert_null(strstr(text, "+ "));
		free(text);
		text = compile_text(s2, s, "a");
		assert_non_null(strstr(text, "+ " LINK_CART));
		assert_non_null(strstr(text, "+ " LINK_API));
		assert_null(strstr(text, "- "));
		free(text);
	}
	snapshot_unref(s2);
	snapshot_unref(s);
}

/* Our own node's addresses are in everything: the program is a full one. */
static void test_own_node_changed(void **state)
{
	struct snapshot_edit *ed = NULL;
	struct snapshot *s = base(), *s2 = NULL;
	char *text;

	(void)state;
	assert_int_equal(snapshot_edit_new(s, &ed), 0);
	put_node(ed, "a", "172.30.0.77", "fd00:172:30::1", "10.244.1.0/24", "fd00:10:244:1::/64");
	put_pod(ed, "agent", "a", "172.30.0.77", "fd00:172:30::1", true);
	assert_int_equal(snapshot_edit_commit(ed, &s2), 0);
	text = compile_text(s, s2, "a");
	assert_non_null(strstr(text, "host full node a addr 172.30.0.77"));
	assert_non_null(strstr(text, "+ " LINK_CART));
	free(text);
	snapshot_unref(s2);
	snapshot_unref(s);
}

static void test_unknown_node(void **state)
{
	struct target_probe probe = { .usable = true };
	struct snapshot *s = base();
	struct target_input in = { .to = s, .node = "nowhere", .probe = &probe };
	struct target_program *p = NULL;
	struct err e = {};

	(void)state;
	assert_int_equal(target_host.compile(&in, &p, &e), -ENOENT);
	assert_string_equal(e.path, "nowhere");
	assert_null(p);
	snapshot_unref(s);
}

static void test_json(void **state)
{
	struct target_probe probe = { .usable = true };
	struct snapshot *s = base();
	struct target_input in = { .to = s, .node = "a", .probe = &probe };
	struct target_program *p = NULL;
	struct doc_reader *reader = NULL;
	const struct doc_node *root;
	struct doc *doc = NULL;
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	assert_int_equal(target_host.compile(&in, &p, NULL), 0);
	assert_int_equal(target_host.program_print(p, true, f), 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(doc_reader_new("program", text, size, &reader), 0);
	assert_int_equal(doc_reader_next(reader, &doc, NULL), 1);
	root = doc_root(doc);
	assert_int_equal(doc_get(root, "pods")->n, 2);
	assert_int_equal(doc_get(root, "routes")->n, 5);
	assert_int_equal(doc_get(root, "gone_pods")->n, 0);
	assert_int_equal(doc_get(root, "sysctls")->n, host_n_sysctls);
	assert_string_equal(doc_get(doc_get(root, "pods")->child[1], "link")->scalar, "ok59e1069a34");
	doc_free(doc);
	doc_reader_free(reader);
	free(text);
	target_host.program_free(p);
	snapshot_unref(s);
}

/* Name and MAC belong together: neither alone makes a link ours. */
static void test_link_is_ours(void **state)
{
	struct host_pod hp = {};
	struct rtnl_link l = { .kind = "veth" };

	(void)state;
	host_pod_names("shop", "cart", &hp);
	assert_true(strlen(hp.ifname) < sizeof(l.name));
	memcpy(l.name, hp.ifname, sizeof(l.name));
	memcpy(l.mac, hp.mac_node, sizeof(l.mac));
	assert_true(host_link_is_ours(&l));
	l.mac[5] ^= 1;
	assert_false(host_link_is_ours(&l));
	l.mac[5] ^= 1;
	strcpy(l.kind, "bridge");
	assert_false(host_link_is_ours(&l));
	strcpy(l.kind, "veth");
	strcpy(l.name, "ok0123456789x");
	assert_false(host_link_is_ours(&l));
	strcpy(l.name, "okay");
	assert_false(host_link_is_ours(&l));
	strcpy(l.name, "eth0");
	assert_false(host_link_is_ours(&l));
}

/* No two of many names collide, and MACs are unicast and locally administered. */
static void test_names_spread(void **state)
{
	enum { N = 5000 };
	static char names[N][16];

	(void)state;
	for (int i = 0; i < N; i++) {
		struct host_pod hp = {};
		char name[32];

		(void)snprintf(name, sizeof(name), "pod-%d", i);
		host_pod_names("default", name, &hp);
		assert_int_equal(hp.mac_node[0] & 3, 2);
		assert_int_equal(hp.mac_pod[0] & 3, 2);
		memcpy(names[i], hp.ifname, sizeof(names[i]));
	}
	qsort(names, N, sizeof(names[0]), (int (*)(const void *, const void *))strcmp);
	for (int i = 1; i < N; i++)
		assert_string_not_equal(names[i - 1], names[i]);
}

static void test_sysctl_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < host_n_sysctls; i++) {
		const struct host_sysctl *s = &host_sysctls[i];

		assert_int_equal(strncmp(s->name, "net/", 4), 0);
		assert_int_equal(strstr(s->name, "%s") != NULL, s->scope != HOST_SYSCTL_NODE);
		assert_true(s->wanted[0] && s->why[0]);
		assert_null(strchr(s->why, '"')); /* goes into JSON as it is */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),	     cmocka_unit_test(test_delta),
		cmocka_unit_test(test_delta_moves),  cmocka_unit_test(test_own_node_changed),
		cmocka_unit_test(test_unknown_node), cmocka_unit_test(test_json),
		cmocka_unit_test(test_link_is_ours), cmocka_unit_test(test_names_spread),
		cmocka_unit_test(test_sysctl_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
