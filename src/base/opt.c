/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Command-line options from a table. Called by app/ for each command. */
#include "base/opt.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define NAME_LEN_MAX 31

/* Levenshtein distance, for "did you mean". Names longer than any option are far from all. */
static unsigned int edit_distance(const char *a, const char *b)
{
	unsigned int row[NAME_LEN_MAX + 1];
	size_t la = strlen(a), lb = strlen(b);

	if (la > NAME_LEN_MAX || lb > NAME_LEN_MAX)
		return NAME_LEN_MAX;
	for (size_t j = 0; j <= lb; j++)
		row[j] = (unsigned int)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned int diagonal = row[0];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned int above = row[j];
			unsigned int swap = diagonal + (a[i - 1] != b[j - 1]);

			row[j] = MIN(swap, MIN(above, row[j - 1]) + 1);
			diagonal = above;
		}
	}
	return row[lb];
}

static const char *nearest_name(const struct opt_command *cmd, const char *name)
{
	unsigned int best = 3; /* further than two edits is no typing mistake */
	const char *nearest = NULL;

	for (size_t i = 0; i < cmd->n_opts; i++) {
		unsigned int d = edit_distance(name, cmd->opts[i].name);

		if (d < best && d < strlen(cmd->opts[i].name)) {
			best = d;
			nearest = cmd->opts[i].name;
		}
	}
	return nearest;
}

static int unknown_option(const struct opt_command *cmd, const char *name, struct err *e)
{
	const char *nearest = nearest_name(cmd, name);

	if (nearest)
		return err_set(e, -EINVAL, NULL, "unknown option --%s, did you mean --%s", name, nearest);
	return err_set(e, -EINVAL, NULL, "unknown option --%s, see \"%s --help\"", name, cmd->name);
}

static int set_u64(const struct opt *o, const char *value, struct err *e)
{
	char *end = NULL;
	uint64_t v;

	errno = 0;
	v = strtoull(value, &end, 10);
	if (!isdigit((unsigned char)*value) || *end)
		return err_set(e, -EINVAL, NULL, "--%s wants a whole number, not \"%s\"", o->name, value);
	if (errno == ERANGE || v < o->min || v > o->max)
		return err_set(e, -EINVAL, NULL, "--%s %s is not between %" PRIu64 " and %" PRIu64, o->name, value,
			       o->min, o->max);
	*(uint64_t *)o->dest = v;
	return 0;
}

static int add_to_list(struct opt_str_list *l, const char *value)
{
	/* The array has no capacity field: it grows when its length reaches a power of two. */
	if ((l->n & (l->n - 1)) == 0) {
		size_t want = l->n ? l->n * 2 : 1;
		const char **v = realloc(l->v, want * sizeof(*v));

		if (!v)
			return -ENOMEM;
		l->v = v;
	}
	l->v[l->n++] = value;
	return 0;
}

static int set_value(const struct opt *o, const char *value, struct err *e)
{
	switch (o->type) {
	case OPT_FLAG:
		*(bool *)o->dest = true;
		return 0;
	case OPT_STR:
		*(const char **)o->dest = value;
		return 0;
	case OPT_STR_LIST:
		if (add_to_list(o->dest, value))
			return err_set(e, -ENOMEM, NULL, "out of memory");
		return 0;
	case OPT_U64:
		return set_u64(o, value, e);
	}
	return err_set(e, -EINVAL, NULL, "--%s has no type", o->name);
}

static const struct opt *find_opt(const struct opt_command *cmd, const char *name, size_t len)
{
	for (size_t i = 0; i < cmd->n_opts; i++) {
		const struct opt *o = &cmd->opts[i];

		if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
			return o;
	}
	return NULL;
}

/* One option at argv[*i]; *i moves to the last word used. */
static int parse_option(const struct opt_command *cmd, int argc, char **argv, int *i, struct err *e)
{
	const char *name = argv[*i] + 2;
	const char *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct opt *o = find_opt(cmd, name, len);
	const char *value = NULL;

	if (!o) {
		char bare[NAME_LEN_MAX + 2];

		(void)snprintf(bare, sizeof(bare), "%.*s", (int)MIN(len, sizeof(bare) - 1), name); /* for a message */
		return unknown_option(cmd, bare, e);
	}
	if (o->type == OPT_FLAG) {
		if (equals)
			return err_set(e, -EINVAL, NULL, "--%s takes no value", o->name);
	} else if (equals) {
		value = equals + 1;
	} else if (*i + 1 < argc) {
		value = argv[++*i];
	} else {
		return err_set(e, -EINVAL, NULL, "--%s wants a value: %s", o->name, o->arg);
	}
	return set_value(o, value, e);
}

int opt_parse(const struct opt_command *cmd, int argc, char **argv, const char **args, size_t *ret_n_args,
	      bool *ret_help, struct err *e)
{
	bool options_ended = false;
	size_t n_args = 0;
	int r;

	*ret_help = false;
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];

		if (options_ended || word[0] != '-' || !word[1]) {
			if (n_args == cmd->max_args)
				return err_set(e, -EINVAL, NULL, "unexpected argument \"%s\"", word);
			args[n_args++] = word;
		} else if (str_eq(word, "--")) {
			options_ended = true;
		} else if (str_eq(word, "--help") || str_eq(word, "-h")) {
			*ret_help = true;
		} else if (word[1] != '-') {
			return err_set(e, -EINVAL, NULL, "unknown option %s, options begin with --", word);
		} else {
			r = parse_option(cmd, argc, argv, &i, e);
			if (r)
				return r;
		}
	}
	*ret_n_args = n_args;
	return 0;
}

void opt_print_help(const struct opt_command *cmd, FILE *f)
{
	int width = (int)strlen("--help");

	for (size_t i = 0; i < cmd->n_opts; i++) {
		const struct opt *o = &cmd->opts[i];
		int w = (int)(2 + strlen(o->name) + (o->arg ? 1 + strlen(o->arg) : 0));

		width = MAX(width, w);
	}
	fprintf(f, "usage: %s\n\n%s\n\noptions:\n", cmd->usage, cmd->summary);
	for (size_t i = 0; i < cmd->n_opts; i++) {
		const struct opt *o = &cmd->opts[i];
		int n = fprintf(f, "  --%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");

		fprintf(f, "%*s  %s\n", MAX(0, width + 2 - n), "", o->help);
	}
	fprintf(f, "  %-*s  this text\n", width, "--help");
	if (cmd->examples) {
		size_t len = strlen(cmd->examples);

		fprintf(f, "\nexamples:\n%s%s", cmd->examples, len && cmd->examples[len - 1] == '\n' ? "" : "\n");
	}
}

void opt_list_free(struct opt_str_list *l)
{
	free(l->v);
	l->v = NULL;
	l->n = 0;
}
