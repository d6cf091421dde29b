/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Snapshots rule by rule: lookups, addresses that belong to one, pod CIDRs, old ones staying as they were, differences, lost memory. */
#include <errno.h>

#include "model_alloc.h"

static struct snapshot *commit(struct snapshot_edit *ed)
{
	struct snapshot *s = NULL;

	assert_int_equal(snapshot_edit_commit(ed, &s), 0);
	assert_non_null(s);
	return s;
}

static struct snapshot_edit *edit(const struct snapshot *base)
{
	struct snapshot_edit *ed = NULL;

	assert_int_equal(snapshot_edit_new(base, &ed), 0);
	return ed;
}

/* Put and give up the maker's reference. */
static void put_node(struct snapshot_edit *ed, struct node *n)
{
	assert_int_equal(snapshot_edit_put_node(ed, n, NULL), 0);
	node_unref(n);
}

static void put_pod(struct snapshot_edit *ed, struct pod *p)
{
	assert_int_equal(snapshot_edit_put_pod(ed, p, NULL), 0);
	pod_unref(p);
}

static void put_service(struct snapshot_edit *ed, struct service *s)
{
	assert_int_equal(snapshot_edit_put_service(ed, s, NULL), 0);
	service_unref(s);
}

/* Two nodes, two pods, a Service with two endpoints. */
static struct snapshot *small_cluster(void)
{
	struct snapshot_edit *ed = edit(NULL);
	struct endpoint ep[] = { ready_at("10.1.0.2", 8080), ready_at("10.1.1.2", 8080) };

	put_node(ed, make_node("n1", "10.0.0.1", "10.1.0.0/24"));
	put_node(ed, make_node("n2", "10.0.0.2", "10.1.1.0/24"));
	put_pod(ed, make_pod("a", "10.1.0.2"));
	put_pod(ed, make_pod("b", "10.1.1.2"));
	put_service(ed, make_service("web", "10.96.0.1", ep, 2));
	return commit(ed);
}

static const char *name_of_node_at(const struct snapshot *s, const char *addr)
{
	struct ip_addr a = ip(addr);
	const struct node *n = snapshot_node_by_pod_ip(s, &a);

	return n ? n->name : "-";
}

static void empty_snapshot_has_nothing(void **state)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = commit(edit(NULL));
	struct ip_addr a = ip("10.0.0.1"), unset = { 0 };

	(void)state;
	assert_null(snapshot_node(s, "n"));
	assert_null(snapshot_pod(s, "a", "b"));
	assert_null(snapshot_service(s, "a", "b"));
	assert_null(snapshot_node_by_ip(s, &a));
	assert_null(snapshot_pod_by_ip(s, &a));
	assert_null(snapshot_service_by_ip(s, &a));
	assert_null(snapshot_node_by_pod_ip(s, &a));
	assert_null(snapshot_node_by_ip(s, &unset));
	assert_null(snapshot_node_by_pod_ip(s, &unset));
	assert_int_equal(snapshot_n_nodes(s) + snapshot_n_pods(s) + snapshot_n_services(s) + snapshot_n_endpoints(s),
			 0);
	snapshot_unref(NULL);
	snapshot_edit_free(NULL);
}

static void objects_are_found(void **state)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = small_cluster();
	struct ip_addr n1 = ip("10.0.0.1"), a = ip("10.1.0.2"), vip = ip("10.96.0.1");

	(void)state;
	assert_int_equal(snapshot_n_nodes(s), 2);
	assert_int_equal(snapshot_n_pods(s), 2);
	assert_int_equal(snapshot_n_services(s), 1);
	assert_int_equal(snapshot_n_endpoints(s), 2);
	assert_string_equal(snapshot_node(s, "n1")->name, "n1");
	assert_ptr_equal(snapshot_node_by_ip(s, &n1), snapshot_node(s, "n1"));
	assert_string_equal(snapshot_pod(s, "shop", "a")->name, "a");
	assert_ptr_equal(snapshot_pod_by_ip(s, &a), snapshot_pod(s, "shop", "a"));
	assert_string_equal(snapshot_service(s, "shop", "web")->name, "web");
	assert_ptr_equal(snapshot_service_by_ip(s, &vip), snapshot_service(s, "shop", "web"));
	/* Each index knows its own kind only, and the namespace counts. */
	assert_null(snapshot_pod_by_ip(s, &n1));
	assert_null(snapshot_node_by_ip(s, &a));
	assert_null(snapshot_service_by_ip(s, &a));
	assert_null(snapshot_pod(s, "other", "a"));
	assert_null(snapshot_service(s, "shop", "a"));
}

static int count_node(const struct node *n, void *arg)
{
	(void)n;
	return ++*(int *)arg == 2 ? 5 : 0;
}

static int count_pod(const struct pod *p, void *arg)
{
	(void)p;
	return ++*(int *)arg == 1 ? 6 : 0;
}

static int count_service(const struct service *s, void *arg)
{
	(void)s;
	++*(int *)arg;
	return 0;
}

static void walks_reach_all_and_stop(void **state)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = small_cluster();
	CLEANUP_FREE const struct node **nodes = NULL;
	CLEANUP_FREE const struct pod **pods = NULL;
	CLEANUP_FREE const struct service **services = NULL;
	int n = 0;
	size_t len;

	(void)state;
	assert_int_equal(snapshot_each_node(s, count_node, &n), 5);
	assert_int_equal(n, 2);
	n = 0;
	assert_int_equal(snapshot_each_pod(s, count_pod, &n), 6);
	assert_int_equal(n, 1);
	n = 0;
	assert_int_equal(snapshot_each_service(s, count_service, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(snapshot_sorted_nodes(s, &nodes, &len), 0);
	assert_int_equal(len, 2);
	assert_string_equal(nodes[0]->name, "n1");
	assert_int_equal(snapshot_sorted_pods(s, &pods, &len), 0);
	assert_string_equal(pods[1]->name, "b");
	assert_int_equal(snapshot_sorted_services(s, &services, &len), 0);
	assert_int_equal(len, 1);
}

static void address_belongs_to_one(void **state)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = small_cluster();
	struct snapshot_edit *ed = edit(s);
	CLEANUP(snapshot_unrefp) struct snapshot *same = NULL;
	struct pod *pod = make_pod("c", "10.1.0.2"), *pod_on_node = make_pod("c", "10.0.0.2");
	struct node *node = make_node("n3", "10.96.0.1", NULL), *cidr_twin = make_node("n3", NULL, "10.1.1.0/24");
	struct service *svc = make_service("api", "10.96.0.1", NULL, 0);
	struct err e = { 0 };

	(void)state;
	assert_int_equal(snapshot_edit_put_pod(ed, pod, &e), -EEXIST);
	assert_string_equal(e.path, "pod shop/c");
	assert_string_equal(e.text, "10.1.0.2 belongs to pod shop/a");
	e = (struct err){ 0 };
	assert_int_equal(snapshot_edit_put_node(ed, node, &e), -EEXIST);
	assert_string_equal(e.path, "node n3");
	assert_string_equal(e.text, "10.96.0.1 belongs to Service shop/web");
	e = (struct err){ 0 };
	assert_int_equal(snapshot_edit_put_service(ed, svc, &e), -EEXIST);
	assert_string_equal(e.path, "Service shop/api");
	e = (struct err){ 0 };
	assert_int_equal(snapshot_edit_put_node(ed, cidr_twin, &e), -EEXIST);
	assert_string_equal(e.text, "10.1.1.0/24 belongs to node n2");
	assert_int_equal(snapshot_edit_put_pod(ed, pod_on_node, NULL), -EEXIST);
	/* Nothing changed. */
	same = commit(ed);
	assert_int_equal(snapshot_n_pods(same), 2);
	assert_int_equal(snapshot_n_nodes(same), 2);
	assert_null(snapshot_service(same, "shop", "api"));
	pod_unref(pod);
	pod_unref(pod_on_node);
	node_unref(node);
	node_unref(cidr_twin);
	service_unref(svc);
}

static void replaced_object_gives_its_address_back(void **state)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = small_cluster();
	CLEANUP(snapshot_unrefp) struct snapshot *next = NULL;
	struct snapshot_edit *ed = edit(s);
	struct ip_addr was = ip("10.1.0.2"), is = ip("10.1.0.3");

	(void)state;
	put_pod(ed, make_pod("a", "10.1.0.3"));
	put_pod(ed, make_pod("c", "10.1.0.2")); /* free by now */
	next = commit(ed);
	assert_string_equal(snapshot_pod_by_ip(next, &was)->name, "c");
	assert_string_equal(snapshot_pod_by_ip(next, &is)->name, "a");
	assert_string_equal(snapshot_pod_by_ip(s, &was)->name, "a");
	assert_null(snapshot_pod_by_ip(s, &is));
}

static void deleted_objects_are_gone_from_all_indexes(void **state)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = small_cluster();
	CLEANUP(snapshot_unrefp) struct snapshot *next = NULL;
	struct snapshot_edit *ed = edit(s);
	struct ip_addr n1 = ip("10.0.0.1"), a = ip("10.1.0.2"), vip = ip("10.96.0.1");

	(void)state;
	assert_int_equal(snapshot_edit_del_node(ed, "n1"), 0);
	assert_int_equal(snapshot_edit_del_node(ed, "n1"), -ENOENT);
	assert_int_equal(snapshot_edit_del_pod(ed, "shop", "a"), 0);
	assert_int_equal(snapshot_edit_del_pod(ed, "other", "b"), -ENOENT);
	assert_int_equal(snapshot_edit_del_service(ed, "shop", "web"), 0);
	assert_int_equal(snapshot_edit_del_service(ed, "shop", "none"), -ENOENT);
	next = commit(ed);
	assert_null(snapshot_node(next, "n1"));
	assert_null(snapshot_node_by_ip(next, &n1));
	assert_string_equal(name_of_node_at(next, "10.1.0.2"), "-");
	assert_string_equal(name_of_node_at(next, "10.1.1.2"), "n2");
	assert_null(snapshot_pod_by_ip(next, &a));
	assert_null(snapshot_service_by_ip(next, &vip));
	assert_int_equal(snapshot_n_endpoints(next), 0);
	assert_int_equal(snapshot_n_endpoints(s), 2);
	assert_ptr_equal(snapshot_service_by_ip(s, &vip), snapshot_service(s, "shop", "web"));
	assert_string_equal(name_of_node_at(s, "10.1.0.2"), "n1");
}

/* S6 */
static void host_network_pods_have_no_address_of_their_own(void **state)
{
	struct pod fill = { .ns = "sys", .name = "agent", .addr = { ip("10.0.0.1") }, .host_network = true };
	CLEANUP(snapshot_unrefp) struct snapshot *s = small_cluster();
	CLEANUP(snapshot_unrefp) struct snapshot *next = NULL;
	struct snapshot_edit *ed = edit(s);
	struct ip_addr n1 = ip("10.0.0.1");
	struct pod *p = NULL;

	(void)state;
	assert_int_equal(pod_new(&fill, &p, NULL), 0);
	put_pod(ed, p);
	fill.name = "proxy"; /* a second on the same node */
	assert_int_equal(pod_new(&fill, &p, NULL), 0);
	put_pod(ed, p);
	next = commit(ed);
	assert_null(snapshot_pod_by_ip(next, &n1));
	assert_string_equal(snapshot_node_by_ip(next, &n1)->name, "n1");
	assert_non_null(snapshot_pod(next, "sys", "proxy"));
}

static void longest_pod_cidr_wins(void **state)
{
	struct snapshot_edit *ed = edit(NULL);
	CLEANUP(snapshot_unrefp) struct snapshot *s = NULL;
	CLEANUP(snapshot_unrefp) struct snapshot *next = NULL;
	struct node six = { .name = "six", .pod_cidr[IP_V6] = cidr("fd00:1::/64") }, *n = NULL;

	(void)state;
	put_node(ed, make_node("wide", NULL, "10.0.0.0/8"));
	put_node(ed, make_node("mid", NULL, "10.1.0.0/16"));
	put_node(ed, make_node("odd", NULL, "10.1.2.0/23"));
	put_node(ed, make_node("one", NULL, "10.1.2.3/32"));
	put_node(ed, make_node("all", NULL, "0.0.0.0/0"));
	assert_int_equal(node_new(&six, &n, NULL), 0);
	put_node(ed, n);
	s = commit(ed);
	assert_string_equal(name_of_node_at(s, "10.1.2.3"), "one");
	assert_string_equal(name_of_node_at(s, "10.1.3.3"), "odd");
	assert_string_equal(name_of_node_at(s, "10.1.4.3"), "mid");
	assert_string_equal(name_of_node_at(s, "10.2.4.3"), "wide");
	assert_string_equal(name_of_node_at(s, "11.2.4.3"), "all");
	assert_string_equal(name_of_node_at(s, "fd00:1::7"), "six");
	assert_string_equal(name_of_node_at(s, "fd00:1:0:1::7"), "-");

	ed = edit(s);
	put_node(ed, make_node("odd", NULL, "10.9.0.0/16")); /* moves, and to another length */
	assert_int_equal(snapshot_edit_del_node(ed, "one"), 0);
	next = commit(ed);
	assert_string_equal(name_of_node_at(next, "10.1.2.3"), "mid");
	assert_string_equal(name_of_node_at(next, "10.9.2.3"), "odd");
	assert_string_equal(name_of_node_at(s, "10.9.2.3"), "wide");
	/* Lengths that are out of use are not looked up any more. */
	assert_int_equal(s->n_cidr[IP_V4][32], 1);
	assert_int_equal(next->n_cidr[IP_V4][32], 0);
	assert_int_equal(next->n_cidr[IP_V4][23], 0);
	assert_int_equal(next->n_cidr[IP_V4][16], 2);
}

struct changes {
	char text[512];
	int stop_after; /* 0 = never */
	int n;
};

static int note(struct changes *c, const char *kind, const char *name, const void *from, const void *to)
{
	size_t len = strlen(c->text);

	(void)snprintf(c->text + len, sizeof(c->text) - len, "%c%s %s;", !from ? '+' : !to ? '-' : '~', kind, name);
	return ++c->n == c->stop_after ? 9 : 0;
}

static int note_node(const struct node *from, const struct node *to, void *arg)
{
	return note(arg, "node", (to ? to : from)->name, from, to);
}

static int note_pod(const struct pod *from, const struct pod *to, void *arg)
{
	return note(arg, "pod", (to ? to : from)->name, from, to);
}

static int note_service(const struct service *from, const struct service *to, void *arg)
{
	return note(arg, "service", (to ? to : from)->name, from, to);
}

static const struct snapshot_diff_ops note_all = { note_node, note_pod, note_service };

static void assert_diff(const struct snapshot *from, const struct snapshot *to, const char *want)
{
	struct changes c = { 0 };

	assert_int_equal(snapshot_diff(from, to, &note_all, &c), 0);
	assert_string_equal(c.text, want);
}

static void differences_are_told(void **state)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = small_cluster();
	CLEANUP(snapshot_unrefp) struct snapshot *next = NULL;
	struct snapshot_edit *ed = edit(s);
	const struct snapshot_diff_ops pods_only = { .pod = note_pod };
	struct changes c = { .stop_after = 2 };

	(void)state;
	assert_diff(s, s, "");
	assert_diff(NULL, NULL, "");
	put_pod(ed, make_pod("c", "10.1.0.9"));
	put_service(ed, make_service("web", "10.96.0.2", NULL, 0));
	assert_int_equal(snapshot_edit_del_node(ed, "n2"), 0);
	put_pod(ed, make_pod("a", "10.1.0.2")); /* another block with the same content */
	next = commit(ed);
	assert_ptr_not_equal(snapshot_pod(s, "shop", "a"), snapshot_pod(next, "shop", "a"));
	assert_diff(s, next, "-node n2;+pod c;~service web;");
	assert_diff(next, s, "+node n2;-pod c;~service web;");
	assert_int_equal(snapshot_diff(s, next, &note_all, &c), 9);
	assert_int_equal(c.n, 2);
	c = (struct changes){ 0 };
	assert_int_equal(snapshot_diff(s, next, &pods_only, &c), 0);
	assert_string_equal(c.text, "+pod c;");
	c = (struct changes){ 0 };
	assert_int_equal(snapshot_diff(NULL, s, &note_all, &c), 0);
	assert_int_equal(c.n, 5);
	c = (struct changes){ 0 };
	assert_int_equal(snapshot_diff(s, NULL, &note_all, &c), 0);
	assert_int_equal(c.n, 5);
	assert_non_null(strstr(c.text, "-pod a;"));
}

static void given_up_edit_changes_nothing(void **state)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = small_cluster();
	CLEANUP_FREE char *before = dump_text(s), *after = NULL;
	struct snapshot_edit *ed = edit(s);

	(void)state;
	put_pod(ed, make_pod("c", "10.1.0.9"));
	assert_int_equal(snapshot_edit_del_service(ed, "shop", "web"), 0);
	snapshot_edit_free(ed);
	after = dump_text(s);
	assert_string_equal(before, after);
}

/* An edit outlives the snapshot that it started from, and a snapshot its reader's first reference. */
static void references_keep_alive(void **state)
{
	struct snapshot *s = small_cluster(), *next;
	struct snapshot_edit *ed = edit(s);
	struct pod *p = make_pod("c", "10.1.0.9");

	(void)state;
	assert_ptr_equal(snapshot_ref(s), s);
	snapshot_unref(s);
	assert_int_equal(snapshot_n_pods(s), 2);
	snapshot_unref(s);
	assert_int_equal(snapshot_edit_put_pod(ed, p, NULL), 0);
	assert_int_equal(snapshot_edit_put_pod(ed, p, NULL), 0); /* the same block again */
	assert_int_equal(p->ref.count, 3); /* ours, by name, by address */
	next = commit(ed);
	assert_int_equal(snapshot_n_pods(next), 3);
	snapshot_unref(next);
	assert_int_equal(p->ref.count, 1);
	pod_unref(p);
}

/* Each allocation of an edit fails in its turn: the edit takes nothing more, the old snapshot is as it was, nothing leaks. */
static void lost_memory_spoils_the_edit_only(void **state)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = small_cluster();
	CLEANUP_FREE char *before = dump_text(s), *after = NULL;
	struct pod *p = make_pod("a", "10.1.0.7");
	struct node *n = make_node("n2", "10.0.0.7", "10.1.7.0/24");
	struct snapshot *next = NULL;
	size_t fails;
	int r = -ENOMEM;

	(void)state;
	for (fails = 0; r < 0; fails++) {
		struct snapshot_edit *ed = NULL;
		struct err e = { 0 };

		assert_in_range(fails, 0, 100);
		n_allocs = 0;
		fail_at = fails;
		r = snapshot_edit_new(s, &ed);
		if (r == 0) {
			r = snapshot_edit_put_pod(ed, p, &e);
			assert_int_equal(e.code, r);
			if (r == 0)
				r = snapshot_edit_put_node(ed, n, NULL);
			if (r == 0)
				r = snapshot_edit_del_service(ed, "shop", "web");
			fail_at = SIZE_MAX;
			if (r < 0)
				assert_int_equal(snapshot_edit_del_pod(ed, "shop", "b"), -ENOMEM);
			assert_int_equal(snapshot_edit_commit(ed, &next), r);
		}
		fail_at = SIZE_MAX;
		assert_true(r == 0 || r == -ENOMEM);
		assert_true((r == 0) == (next != NULL));
	}
	assert_true(fails > 8);
	after = dump_text(s);
	assert_string_equal(before, after);
	snapshot_unref(next);
	assert_int_equal(p->ref.count, 1);
	assert_int_equal(n->ref.count, 1);
	pod_unref(p);
	node_unref(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_snapshot_has_nothing),
		cmocka_unit_test(objects_are_found),
		cmocka_unit_test(walks_reach_all_and_stop),
		cmocka_unit_test(address_belongs_to_one),
		cmocka_unit_test(replaced_object_gives_its_address_back),
		cmocka_unit_test(deleted_objects_are_gone_from_all_indexes),
		cmocka_unit_test(host_network_pods_have_no_address_of_their_own),
		cmocka_unit_test(longest_pod_cidr_wins),
		cmocka_unit_test(differences_are_told),
		cmocka_unit_test(given_up_edit_changes_nothing),
		cmocka_unit_test(references_keep_alive),
		cmocka_unit_test(lost_memory_spoils_the_edit_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
