/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands of `offkube` share: loading manifests, parsing options, saying errors, signals. */
#include "app.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "base/util.h"

volatile int app_stop;

static void on_signal(int sig)
{
	(void)sig;
	app_stop = 1;
}

void app_catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	(void)sigaction(SIGINT, &sa, NULL); /* cannot fail for these */
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

static void print_warnings(const struct source_report *rep)
{
	size_t shown = MIN((size_t)rep->n_warnings, ARRAY_LEN(rep->warning));

	for (size_t i = 0; i < shown; i++)
		fprintf(stderr, "warning: %s ... continuing\n", rep->warning[i]);
	if (rep->n_warnings > shown)
		fprintf(stderr, "warning: %llu more like these ... continuing\n",
			(unsigned long long)(rep->n_warnings - shown));
}

int app_load(const struct app_workload *w, const char *const *paths, size_t n_paths, struct snapshot **ret,
	     struct source_report *ret_report, struct err *e)
{
	const struct source_file_conf conf = {
		.paths = paths,
		.n_paths = n_paths,
		.n_nodes = (uint32_t)w->n_nodes,
		.ipv4_only = w->ipv4_only,
		.choice = w->maglev ? BACKEND_CHOICE_MAGLEV : BACKEND_CHOICE_RANDOM,
	};
	CLEANUP_FREE struct source_report *rep = calloc(1, sizeof(*rep));
	int r;

	if (!rep)
		return -ENOMEM;
	if (n_paths == 0)
		return err_set(e, -EINVAL, NULL, "no manifests: give --workload FILE");
	r = source_file_load(&conf, ret, rep, e);
	if (r < 0)
		return r;
	print_warnings(rep);
	if (ret_report)
		*ret_report = *rep;
	return 0;
}

/* --kube-proxy is for whoever probes and starts the target, in whatever room: the environment is the way. */
static int export_kube_proxy(const struct opt_command *cmd, struct err *e)
{
	for (size_t i = 0; i < cmd->n_opts; i++) {
		const char *path;
		struct stat st;

		if (!str_eq(cmd->opts[i].name, "kube-proxy"))
			continue;
		path = *(const char **)cmd->opts[i].dest;
		if (!path)
			return 0;
		if (stat(path, &st) < 0)
			return err_set_errno(e, -errno, "--kube-proxy", "%s", path);
		if (!S_ISREG(st.st_mode) || access(path, X_OK) < 0)
			return err_set(e, -EINVAL, "--kube-proxy", "%s is no program that can be executed", path);
		return setenv(APP_KUBE_PROXY_VARIABLE, path, 1) < 0 ? -errno : 0;
	}
	return 0;
}

int app_parse(const struct opt_command *cmd, int argc, char **argv, const char **args, size_t *ret_n_args,
	      bool *ret_done)
{
	struct err e = {};
	bool help = false;
	size_t n_args = 0;
	int r;

	*ret_done = true;
	if (opt_parse(cmd, argc, argv, args, &n_args, &help, &e) < 0) {
		log_err(&e);
		fprintf(stderr, "usage: %s\n", cmd->usage);
		return APP_USAGE;
	}
	if (help) {
		opt_print_help(cmd, stdout);
		return APP_OK;
	}
	r = export_kube_proxy(cmd, &e);
	if (r < 0)
		return app_fail(&e, -EINVAL); /* a wrong path is no lack of this host */
	if (ret_n_args)
		*ret_n_args = n_args;
	*ret_done = false;
	return APP_OK;
}

int app_fail(const struct err *e, int r)
{
	struct err fallback = {};

	if (!e || e->code == 0) {
		(void)err_set_errno(&fallback, r, NULL, "failed");
		e = &fallback;
	}
	log_err(e);
	return r == -EPERM || r == -EACCES || r == -EOPNOTSUPP ? APP_CANNOT : APP_FAILED;
}

int app_pick_node(const struct snapshot *s, const char *name, const char **ret, struct err *e)
{
	CLEANUP_FREE const struct node **nodes = NULL;
	size_t n = 0;
	int r;

	if (name) {
		const struct node *node = snapshot_node(s, name);

		if (!node)
			return err_set(e, -ENOENT, name, "no such node in the manifests");
		*ret = node->name;
		return 0;
	}
	r = snapshot_sorted_nodes(s, &nodes, &n);
	if (r < 0)
		return r;
	if (n == 0)
		return err_set(e, -ENOENT, NULL, "the manifests give no node");
	*ret = nodes[0]->name;
	return 0;
}

int app_probe_here(void *arg, const struct target_ops *ops, struct target_probe *ret, struct err *e)
{
	const struct target_env env = { .node = arg, .netns_fd = -1, .cgroup_fd = -1, .clock = &clock_monotonic };

	return ops->probe(&env, ret, e);
}

/* Is it UTF-8 up to `len`? */
static bool is_utf8(const char *s, size_t len)
{
	json_t *j = json_stringn(s, len); /* NULL when it is not */

	json_decref(j);
	return j != NULL;
}

void app_fit_utf8(char *s)
{
	size_t len = strlen(s), cut = 0;

	while (cut < 3 && cut < len && (unsigned char)s[len - cut - 1] >= 0x80 && !is_utf8(s, len - cut))
		cut++;
	if (is_utf8(s, len - cut)) {
		s[len - cut] = '\0';
		return;
	}
	for (; *s; s++)
		if ((unsigned char)*s >= 0x80)
			*s = '?';
}

char *app_command_line(int argc, char **argv)
{
	struct strbuf sb = STRBUF_INIT;
	char *line;

	strbuf_add(&sb, "offkube");
	for (int i = 0; i < argc; i++)
		strbuf_addf(&sb, " %s", argv[i]);
	line = strbuf_take(&sb);
	if (line)
		app_fit_utf8(line);
	return line;
}

int app_out_dir(const char *out, char buf[static 64], const char **ret, struct err *e)
{
	time_t now = time(NULL);
	struct tm tm;
	int r;

	if (!out) {
		(void)gmtime_r(&now, &tm);
		(void)strftime(buf, 64, "out/%Y-%m-%dT%H-%M-%SZ", &tm);
		out = buf;
	}
	r = mkdir_all(out, 0755);
	if (r < 0)
		return err_set_errno(e, r, out, "cannot be made");
	*ret = out;
	return 0;
}

static int add_strategy(const struct strategy *st, const struct strategy **ret, size_t *n, struct err *e)
{
	for (size_t i = 0; i < *n; i++)
		if (ret[i] == st)
			return 0;
	if (*n == APP_STRATEGIES_MAX)
		return err_set(e, -E2BIG, "--strategy", "too many strategies");
	ret[(*n)++] = st;
	return 0;
}

int app_parse_strategies(const char *list, const struct strategy *ret[static APP_STRATEGIES_MAX], size_t *ret_n,
			 struct err *e)
{
	CLEANUP_FREE char *copy = strdup(list ? list : "");
	char *save = NULL;
	size_t n = 0;
	int r = copy ? 0 : -ENOMEM;

	for (size_t i = 0; !list && i < strategy_count() && r == 0; i++)
		if (!strategy_at(i)->is_variant)
			r = add_strategy(strategy_at(i), ret, &n, e);
	for (char *w = copy ? strtok_r(copy, ",", &save) : NULL; w && r == 0; w = strtok_r(NULL, ",", &save)) {
		const struct strategy *st = strategy_find(w);

		r = st ? add_strategy(st, ret, &n, e) :
			 err_set(e, -EINVAL, "--strategy", "no strategy \"%s\"; see offkube probe", w);
	}
	*ret_n = n;
	return r;
}
