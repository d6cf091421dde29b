/* SPDX-License-Identifier: GPL-2.0-or-later */
/* offkube: the command line. Finds the command and hands over; each command is a file of its own. */
#include <stdio.h>

#include "app.h"
#include "base/util.h"
#include "version.h"

static const struct {
	const char *name, *text;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "eval", "measure the strategies on a workload, in a lab of its own, to a table and a page", cmd_eval },
	{ "report", "make the page again from the records of a run", cmd_report },
	{ "bench", "what the number of Services costs: first packet, one change, loading", cmd_bench },
	{ "lab", "a cluster of network namespaces: up, status, exec, apply, down", cmd_lab },
	{ "plan", "which function of which Service goes to which target, and why not to others", cmd_plan },
	{ "compile", "the program of a target, in memory, printed", cmd_compile },
	{ "trace", "what happens to a packet, and why", cmd_trace },
	{ "probe", "what this host can do", cmd_probe },
	{ "cleanup", "remove everything that OffKube installed on this host", cmd_cleanup },
};

static void print_usage(FILE *f)
{
	fprintf(f, "usage: offkube COMMAND [options]\n\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(f, "  %-8s  %s\n", commands[i].name, commands[i].text);
	fprintf(f, "\n\"offkube COMMAND --help\" tells the options, with examples.\n"
		   "Exit codes: 0 done, 1 failed or interrupted, 2 usage, 77 this host cannot.\n");
}

/* What did not reach the reader was not done. */
static int finish(int code)
{
	bool lost = ferror(stdout);

	if (fflush(stdout) == 0 && !lost)
		return code;
	fprintf(stderr, "error: standard output: cannot be written\n");
	return code == APP_OK ? APP_FAILED : code;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_usage(stderr);
		return APP_USAGE;
	}
	if (str_eq(argv[1], "--help") || str_eq(argv[1], "help")) {
		print_usage(stdout);
		return APP_OK;
	}
	if (str_eq(argv[1], "--version")) {
		printf("offkube %s\n", OFFKUBE_VERSION);
		return APP_OK;
	}
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (str_eq(commands[i].name, argv[1]))
			return finish(commands[i].run(argc - 1, argv + 1));
	fprintf(stderr, "offkube: no command \"%s\"; see offkube --help\n", argv[1]);
	return APP_USAGE;
}
