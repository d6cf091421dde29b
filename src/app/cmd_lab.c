/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * offkube lab: a cluster of network namespaces that stays up between commands. What a later command needs to know (the manifests, the
 * strategy) is kept as notes in the lab's state file.
 */
#include <errno.h>
#include <jansson.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "base/util.h"
#include "lab/lab.h"
#include "measure/testbed.h"
#include "net/cgroup.h"
#include "net/netns.h"

#define LAB_DEFAULT_NAME "lab"
#define OPTS_MAX 16 /* of one verb */

DEFINE_CLEANUP(struct testbed *, testbed_free);
DEFINE_CLEANUP(struct lab *, lab_free);

struct lab_request {
	struct app_workload workload;
	const char *name, *strategy;
	uint64_t n_clients;
	bool json, all, done;
	const char *args[256];
	size_t n_args;
};

static void lab_request_free(struct lab_request *q)
{
	opt_list_free(&q->workload.paths);
}

/* ---- notes: how the snapshot was made, so that another process makes the same ---- */

static int put_notes(struct lab *lab, const struct lab_request *q, struct err *e)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	char options[64];
	int r;

	for (size_t i = 0; i < q->workload.paths.n; i++) {
		CLEANUP_FREE char *path = realpath(q->workload.paths.v[i], NULL);

		strbuf_addf(&sb, "%s%s", i ? "\n" : "", path ? path : q->workload.paths.v[i]);
	}
	(void)snprintf(options, sizeof(options), "%llu %d %d", (unsigned long long)q->workload.n_nodes,
		       q->workload.ipv4_only, q->workload.maglev);
	if (sb.failed)
		return -ENOMEM;
	r = lab_set_note(lab, "workload", sb.buf ? sb.buf : "", e);
	return r < 0 ? r : lab_set_note(lab, "options", options, e);
}

static int find_owner(const struct lab_status *s, void *arg)
{
	return str_eq(s->name, arg) && s->owner ? 1 : 0;
}

/* An eval's, or of a "lab up" that has not ended yet or was killed. */
static bool is_of_process(const char *name)
{
	return lab_list(find_owner, (void *)name, NULL) == 1;
}

/* The snapshot that the lab was made from: its manifests read again. */
static int load_noted(const char *name, struct snapshot **ret, struct err *e)
{
	CLEANUP_FREE char *paths = NULL, *options = NULL;
	struct app_workload w = APP_WORKLOAD_INIT;
	const char *v[256];
	size_t n = 0;
	int ipv4_only = 0, maglev = 0;
	unsigned long long n_nodes = 2;
	char *save = NULL;
	int r;

	if (is_of_process(name))
		return err_set(e, -EBUSY, name, "the lab belongs to a process and cannot be opened by another");
	r = lab_get_note(name, "workload", &paths, e);
	if (r == 0)
		r = lab_get_note(name, "options", &options, e);
	if (r < 0)
		return r;
	if (sscanf(options, "%llu %d %d", &n_nodes, &ipv4_only, &maglev) != 3)
		return err_set(e, -EINVAL, name, "the lab's state file holds no usable options");
	w.n_nodes = n_nodes;
	w.ipv4_only = ipv4_only;
	w.maglev = maglev;
	for (char *p = strtok_r(paths, "\n", &save); p && n < ARRAY_LEN(v); p = strtok_r(NULL, "\n", &save))
		v[n++] = p;
	return app_load(&w, v, n, ret, NULL, e);
}

/* ---- verbs ---- */

static int lab_verb_up(struct lab_request *q, struct err *e)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = NULL;
	CLEANUP(testbed_freep) struct testbed *tb = NULL;
	struct testbed_conf conf = {
		.name = q->name,
		.n_clients = (uint32_t)q->n_clients,
		.keep = true,
		.verify = true,
		.stop = &app_stop,
	};
	int r;

	conf.strategy = strategy_find(q->strategy);
	if (!conf.strategy)
		return err_set(e, -EINVAL, q->strategy, "no such strategy; see offkube probe");
	r = app_load(&q->workload, q->workload.paths.v, q->workload.paths.n, &s, NULL, e);
	if (r < 0)
		return r;
	conf.snapshot = s;
	app_catch_signals();
	r = testbed_up(&conf, &tb, e);
	if (r == 0) {
		r = put_notes(testbed_lab(tb), q, e);
		if (r == 0 && app_stop)
			r = err_set(e, -EINTR, q->name, "interrupted; the lab was taken down again");
		if (r < 0)
			(void)testbed_down(TAKE_PTR(tb), NULL); /* the first failure is the one to tell */
	}
	if (r < 0)
		return r;
	printf("lab %s is up: %zu nodes, %zu pods, %zu Services, strategy %s\n", q->name, snapshot_n_nodes(s),
	       snapshot_n_pods(s), snapshot_n_services(s), q->strategy);
	printf("try: offkube lab exec --name %s node/NODE -- COMMAND, or offkube lab exec --name %s NAMESPACE/POD -- COMMAND\n",
	       q->name, q->name);
	return 0;
}

/* The lab's manifests, read again, applied from scratch by this process: what is there is adopted, only differences are changed. */
static int lab_verb_apply(struct lab_request *q, struct err *e)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = NULL;
	CLEANUP(testbed_freep) struct testbed *tb = NULL;
	CLEANUP(lab_freep) struct lab *lab = NULL;
	CLEANUP_FREE char *noted = NULL;
	struct testbed_conf conf = { .name = q->name, .keep = true, .verify = true };
	const struct apply_report *rep;
	CLEANUP_FD int hold = lab_hold(q->name, e);
	int r = hold < 0 ? hold : lab_get_note(q->name, "strategy", &noted, e);

	if (r < 0)
		return r;
	conf.strategy = strategy_find(q->strategy ? q->strategy : noted);
	if (!conf.strategy)
		return err_set(e, -EINVAL, q->strategy ? q->strategy : noted, "no such strategy; see offkube probe");
	r = load_noted(q->name, &s, e);
	if (r == 0)
		r = lab_open(q->name, s, &lab, e);
	if (r < 0)
		return r;
	conf.snapshot = s;
	r = testbed_adopt(lab, &conf, &tb, e);
	if (r < 0)
		return r;
	(void)TAKE_PTR(lab); /* the testbed's now */
	r = lab_start_servers(testbed_lab(tb), e);
	if (r == 0)
		r = lab_set_note(testbed_lab(tb), "strategy", conf.strategy->name, e);
	if (r < 0)
		return r;
	rep = testbed_apply_report(tb);
	printf("lab %s: strategy %s in force: %llu added, %llu removed, %llu kept\n", q->name, conf.strategy->name,
	       (unsigned long long)rep->total.n_added, (unsigned long long)rep->total.n_removed,
	       (unsigned long long)rep->total.n_kept);
	return 0;
}

static int print_status(const struct lab_status *s, void *arg)
{
	json_t *list = arg;

	if (list)
		return json_array_append_new(list,
					     json_pack("{s:s, s:b, s:i, s:s, s:I, s:I, s:I}", "name", s->name, "alive",
						       s->alive, "owner", (int)s->owner, "strategy", s->strategy,
						       "nodes", (json_int_t)s->n_nodes, "pods", (json_int_t)s->n_pods,
						       "servers", (json_int_t)s->n_servers));
	printf("%-16s %-5s strategy %-8s nodes %zu pods %zu servers %zu", s->name, s->alive ? "up" : "dead",
	       s->strategy, s->n_nodes, s->n_pods, s->n_servers);
	if (s->owner)
		printf(" owner pid %d", (int)s->owner);
	putchar('\n');
	return 0;
}

static int lab_verb_status(struct lab_request *q, struct err *e)
{
	json_t *list = q->json ? json_array() : NULL;
	int r = lab_list(print_status, list, e);

	if (list) {
		if (r == 0 && json_dumpf(list, stdout, JSON_INDENT(2)) < 0)
			r = -EIO;
		putchar('\n');
		json_decref(list);
	}
	return r;
}

static int down_one(const struct lab_status *s, void *arg)
{
	struct lab_request *q = arg;
	struct err e = {};
	int r;

	if (q->n_args == ARRAY_LEN(q->args) || s->owner)
		return 0;
	r = lab_clean(s->name, NULL, &e);
	if (r < 0)
		log_err(&e);
	else
		q->n_args++;
	return 0;
}

int app_clean_labs(bool kept, size_t *ret_n, struct err *e)
{
	struct lab_request q = {};
	int r = 0, rc;

	if (kept)
		r = lab_list(down_one, &q, e);
	rc = lab_clean(NULL, ret_n, e);
	*ret_n += q.n_args;
	if (r == 0)
		r = rc;
	rc = apply_sweep(e);
	return r < 0 ? r : rc;
}

static int lab_verb_down(struct lab_request *q, struct err *e)
{
	size_t n = 0;
	int r = q->all ? app_clean_labs(true, &n, e) : lab_clean(q->name, &n, e);

	if (r == 0)
		r = apply_sweep(e);
	if (r == 0)
		printf("%zu lab%s removed\n", n, n == 1 ? "" : "s");
	return r;
}

static bool is_number(const char *s)
{
	size_t len = strlen(s);

	return len && len < 6 && len == strspn(s, "0123456789");
}

struct place {
	int netns_fd, cgroup_fd; /* the lab's; cgroup -1 = none */
};

static void find_pod_place(const struct lab *lab, const char *ns, const char *name, struct place *ret)
{
	const struct pod *p = snapshot_pod(lab_snapshot(lab), ns, name);

	ret->netns_fd = lab_pod_netns(lab, ns, name);
	ret->cgroup_fd = p && p->node ? lab_node_cgroup(lab, p->node) : -1;
}

/* Where "exec" goes: node/NAME, client/N, NAMESPACE/POD or POD (namespace default). */
static int find_place(const struct lab *lab, const char *place, struct place *ret, struct err *e)
{
	CLEANUP_FREE char *copy = strdup(place);
	char *slash;

	if (!copy)
		return -ENOMEM;
	*ret = (struct place){ -1, -1 };
	slash = strchr(copy, '/');
	if (slash)
		*slash = '\0';
	if (!slash)
		find_pod_place(lab, "default", place, ret);
	else if (str_eq(copy, "node"))
		*ret = (struct place){ lab_node_netns(lab, slash + 1), lab_node_cgroup(lab, slash + 1) };
	else if (str_eq(copy, "client") && is_number(slash + 1))
		ret->netns_fd = lab_client_netns(lab, (uint32_t)strtoul(slash + 1, NULL, 10));
	else
		find_pod_place(lab, copy, slash + 1, ret);
	if (ret->netns_fd < 0)
		return err_set(e, -ENOENT, place, "no such node, pod or client in the lab");
	return 0;
}

static int lab_verb_exec(struct lab_request *q, struct err *e)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = NULL;
	CLEANUP(lab_freep) struct lab *lab = NULL;
	struct place place;
	int old = -1;
	int r;

	if (q->n_args < 2)
		return err_set(e, -EINVAL, NULL, "give a place and a command: offkube lab exec shop/cart-0 -- ip addr");
	r = load_noted(q->name, &s, e);
	if (r == 0)
		r = lab_open(q->name, s, &lab, e);
	if (r == 0)
		r = find_place(lab, q->args[0], &place, e);
	if (r == 0)
		r = cgroup_enter(place.cgroup_fd);
	if (r == 0)
		r = netns_enter(place.netns_fd, &old);
	if (r < 0)
		return r;
	q->args[q->n_args] = NULL;
	(void)execvp(q->args[1], (char *const *)&q->args[1]); /* returns on failure only */
	return err_set_errno(e, -errno, q->args[1], "cannot be run");
}

enum verb { VERB_UP, VERB_STATUS, VERB_EXEC, VERB_APPLY, VERB_DOWN, VERB_MAX };

static const struct {
	const char *name, *usage, *summary, *examples;
	int (*run)(struct lab_request *q, struct err *e);
	size_t max_args;
} verbs[VERB_MAX] = {
	[VERB_UP] = { "up", "offkube lab up --workload FILE... [--name NAME] [--strategy NAME] [--clients N]",
		      "Builds a lab and puts a strategy in force; it stays until \"lab down\". Ctrl-C takes away what was built.",
		      "  offkube lab up --workload examples/shop.yaml --strategy nft\n", lab_verb_up, 0 },
	[VERB_STATUS] = { "status", "offkube lab status [--json]", "The labs on this host.",
			  "  offkube lab status --json\n", lab_verb_status, 0 },
	[VERB_EXEC] = { "exec", "offkube lab exec [--name NAME] PLACE -- COMMAND...",
			"Runs a command in the network namespace and the cgroup of node/NAME, client/N or NAMESPACE/POD.",
			"  offkube lab exec node/node-1 -- nft list table ip offkube\n"
			"  offkube lab exec shop/cart-0 -- ip addr\n",
			lab_verb_exec, 254 },
	[VERB_APPLY] = { "apply", "offkube lab apply [--name NAME] [--strategy NAME]",
			 "Reads the lab's manifests again and applies them from scratch; live connections go on.",
			 "  offkube lab apply --strategy nft\n", lab_verb_apply, 0 },
	[VERB_DOWN] = { "down", "offkube lab down [--name NAME | --all]",
			"Removes a lab completely: a kept one, or what a killed run left.",
			"  offkube lab down --name two\n  offkube lab down --all\n", lab_verb_down, 0 },
};

/* The options of one verb, in the order of its help; `opts` has room for all. Returns how many. */
static size_t verb_opts(struct lab_request *q, size_t verb, struct opt opts[static OPTS_MAX])
{
	const struct opt workload[] = { APP_WORKLOAD_OPTS(&q->workload) };
	const bool up = verb == VERB_UP;
	size_t n = 0;

	for (size_t i = 0; up && i < ARRAY_LEN(workload); i++)
		opts[n++] = workload[i];
	if (verb != VERB_STATUS)
		opts[n++] = (struct opt){ "name",   OPT_STR, "NAME", "lab name (default " LAB_DEFAULT_NAME ")",
					  &q->name, 0,	     0 };
	if (up || verb == VERB_APPLY)
		opts[n++] = (struct opt){
			"strategy",   OPT_STR, "NAME", up ? "strategy (default nft)" : "change to another",
			&q->strategy, 0,       0
		};
	if (verb == VERB_APPLY)
		opts[n++] = (struct opt)APP_KUBE_PROXY_OPT(&q->workload.kube_proxy);
	if (up)
		opts[n++] = (struct opt){ "clients",	 OPT_U64, "N", "clients outside the cluster (default 1)",
					  &q->n_clients, 0,	  16 };
	if (verb == VERB_STATUS)
		opts[n++] = (struct opt){ "json", OPT_FLAG, NULL, "machine-readable", &q->json, 0, 0 };
	if (verb == VERB_DOWN)
		opts[n++] = (struct opt){ "all", OPT_FLAG, NULL, "every kept or dead lab", &q->all, 0, 0 };
	return n;
}

static int run_verb(size_t verb, int argc, char **argv)
{
	CLEANUP(lab_request_free)
	struct lab_request q = {
		.workload = APP_WORKLOAD_INIT,
		.name = LAB_DEFAULT_NAME,
		.n_clients = 1,
	};
	struct opt opts[OPTS_MAX];
	const struct opt_command cmd = {
		.name = verbs[verb].name,
		.summary = verbs[verb].summary,
		.usage = verbs[verb].usage,
		.examples = verbs[verb].examples,
		.opts = opts,
		.n_opts = verb_opts(&q, verb, opts),
		.max_args = verbs[verb].max_args,
	};
	struct err e = {};
	int r = app_parse(&cmd, argc, argv, q.args, &q.n_args, &q.done);

	if (q.done)
		return r;
	if (!q.strategy && verbs[verb].run == lab_verb_up)
		q.strategy = "nft";
	r = verbs[verb].run(&q, &e);
	return r < 0 ? app_fail(&e, r) : APP_OK;
}

int cmd_lab(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < ARRAY_LEN(verbs); i++)
		if (str_eq(argv[1], verbs[i].name))
			return run_verb(i, argc - 1, argv + 1);
	fprintf(argc > 1 && str_eq(argv[1], "--help") ? stdout : stderr, "usage:\n");
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		fprintf(argc > 1 && str_eq(argv[1], "--help") ? stdout : stderr, "  %s\n      %s\n", verbs[i].usage,
			verbs[i].summary);
	return argc > 1 && str_eq(argv[1], "--help") ? APP_OK : APP_USAGE;
}
