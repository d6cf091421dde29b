/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Command-line options from one table: parsing, --help and the docs come from it. Long options only, --name VALUE
 * or --name=VALUE.
 */
#ifndef OFFKUBE_BASE_OPT_H
#define OFFKUBE_BASE_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum opt_type { OPT_FLAG, OPT_STR, OPT_STR_LIST, OPT_U64 };

struct opt_str_list {
	const char **v; /* pointers into argv; array owned, free with opt_list_free */
	size_t n;
};

struct opt {
	const char *name; /* without "--" */
	enum opt_type type;
	const char *arg; /* "FILE", "SECONDS"; NULL for a flag */
	const char *help; /* one line, with the unit */
	void *dest; /* bool *, const char **, struct opt_str_list *, uint64_t * */
	uint64_t min, max; /* OPT_U64 only */
};

struct opt_command {
	const char *name; /* "eval" */
	const char *summary; /* one line */
	const char *usage; /* "offkube eval [options]" */
	const char *examples; /* lines, may be NULL */
	const struct opt *opts;
	size_t n_opts;
	size_t max_args; /* positional arguments */
};

/* 0, or -EINVAL with a sentence that names the option and, if one is near, "did you mean --x". *ret_help set on
 * --help. Positional arguments go to args (room for max_args) and *ret_n_args. "--" ends the options. */
int opt_parse(const struct opt_command *cmd, int argc, char **argv, const char **args, size_t *ret_n_args,
	      bool *ret_help, struct err *e);
void opt_print_help(const struct opt_command *cmd, FILE *f);
void opt_list_free(struct opt_str_list *l);

#endif
