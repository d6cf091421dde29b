/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands of `offkube` share. */
#ifndef OFFKUBE_APP_APP_H
#define OFFKUBE_APP_APP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/opt.h"
#include "model/snapshot.h"
#include "plan/plan.h"
#include "source/file.h"
#include "target/target.h"

/* Exit codes, the same for every command. */
enum app_exit {
	APP_OK = 0,
	APP_FAILED = 1,
	APP_USAGE = 2,
	APP_CANNOT = 77, /* this host cannot: missing privilege or kernel feature */
};

/* Set by SIGINT and SIGTERM; commands end in order. One per process: a signal handler has no other way. */
extern volatile int app_stop;
void app_catch_signals(void);

/* Text of the user's that goes into records and JSON: when it is not UTF-8, a last character that was cut goes, else every byte
 * outside ASCII becomes '?'. */
void app_fit_utf8(char *s);
/* The command as typed, for records (UTF-8): owned by the caller, NULL without memory. */
char *app_command_line(int argc, char **argv);
/* "out/<time>" unless `out` is given; made if absent. `buf` holds the name. */
int app_out_dir(const char *out, char buf[static 64], const char **ret, struct err *e);

/* Options of every command that reads manifests. */
struct app_workload {
	struct opt_str_list paths;
	uint64_t n_nodes;
	bool ipv4_only;
	bool maglev;
	const char *kube_proxy;
};
/* app_parse() hands it to target kube-proxy, by its environment variable. */
#define APP_KUBE_PROXY_OPT(dest)                                                                                     \
	{                                                                                                            \
		"kube-proxy", OPT_STR, "PATH",                                                                       \
			"the kube-proxy program (else $" APP_KUBE_PROXY_VARIABLE ", build/peers, $PATH)", dest, 0, 0 \
	}
#define APP_KUBE_PROXY_VARIABLE "OFFKUBE_KUBE_PROXY"
#define APP_WORKLOAD_OPTS(w)                                                                                           \
	{ "workload",                                                                                                  \
	  OPT_STR_LIST,                                                                                                \
	  "FILE",                                                                                                      \
	  "Kubernetes YAML or JSON, a folder, or - for standard input; may be repeated",                               \
	  &(w)->paths,                                                                                                 \
	  0,                                                                                                           \
	  0 },                                                                                                         \
		{ "nodes",	 OPT_U64, "N", "nodes to make up when the manifests have none (default 2)",            \
		  &(w)->n_nodes, 1,	  5000 },                                                                      \
		{ "ipv4-only", OPT_FLAG, NULL, "leave IPv6 out of made-up addresses", &(w)->ipv4_only, 0, 0 },         \
		APP_KUBE_PROXY_OPT(&(w)->kube_proxy),                                                                  \
	{                                                                                                              \
		"maglev", OPT_FLAG, NULL, "choose backends by the model's hash instead of at random", &(w)->maglev, 0, \
			0                                                                                              \
	}
#define APP_WORKLOAD_INIT    \
	{                    \
		.n_nodes = 2 \
	}

/* Loads the manifests (`paths` of `w`, or the one given). Warnings go to standard error. */
int app_load(const struct app_workload *w, const char *const *paths, size_t n_paths, struct snapshot **ret,
	     struct source_report *ret_report, struct err *e);

/* Parses, prints help or the mistake. APP_OK to go on (*ret_done = false), else the exit code with *ret_done = true.
 * `args` and `ret_n_args` may be NULL when the command takes no arguments. */
int app_parse(const struct opt_command *cmd, int argc, char **argv, const char **args, size_t *ret_n_args,
	      bool *ret_done);

/* Says the error on standard error and turns it into an exit code. */
int app_fail(const struct err *e, int r);

/* The one node of the snapshot called `name`; NULL = the first in order. */
int app_pick_node(const struct snapshot *s, const char *name, const char **ret, struct err *e);

/* Probes a target in the caller's own network namespace (plan, compile, probe). */
int app_probe_here(void *arg, const struct target_ops *ops, struct target_probe *ret, struct err *e);

#define APP_STRATEGIES_MAX 32
/* "a,b" into strategies, each once; NULL = all there are. Mistakes name --strategy. */
int app_parse_strategies(const char *list, const struct strategy *ret[static APP_STRATEGIES_MAX], size_t *ret_n,
			 struct err *e);

/* Labs that dead processes left, with `kept` those of "lab up" too. Goes on after a failure, returns the first. */
int app_clean_labs(bool kept, size_t *ret_n, struct err *e);

int cmd_probe(int argc, char **argv);
int cmd_plan(int argc, char **argv);
int cmd_compile(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_lab(int argc, char **argv);
int cmd_cleanup(int argc, char **argv);

#endif
