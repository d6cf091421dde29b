/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Command-line options from a table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/opt.h"
#include "base/util.h"

struct values {
	bool json;
	const char *out;
	struct opt_str_list workloads;
	uint64_t repeat;
};

struct fixture {
	struct values v;
	struct opt opts[4];
	struct opt_command cmd;
	const char *args[2];
	size_t n_args;
	bool help;
	struct err e;
};

static void fill(struct fixture *f)
{
	*f = (struct fixture){
		.v = { .repeat = 5 },
		.opts = {
			{ "json", OPT_FLAG, NULL, "machine-readable", &f->v.json, 0, 0 },
			{ "out", OPT_STR, "DIR", "where results go", &f->v.out, 0, 0 },
			{ "workload", OPT_STR_LIST, "FILE", "may be given again", &f->v.workloads, 0, 0 },
			{ "repeat", OPT_U64, "N", "slices of each cell", &f->v.repeat, 1, 100 },
		},
		.cmd = { .name = "eval", .summary = "Measures.", .usage = "offkube eval [options]", .n_opts = 4, .max_args = 2 },
		.n_args = 77,
	};
	f->cmd.opts = f->opts;
}

/* The words behind the command's name, NULL at the end. */
static int parse(struct fixture *f, const char *const *words)
{
	char *argv[16] = { "eval" };
	int argc = 1;

	fill(f);
	for (; *words; words++)
		argv[argc++] = (char *)*words;
	return opt_parse(&f->cmd, argc, argv, f->args, &f->n_args, &f->help, &f->e);
}
#define PARSE(f, ...) parse((f), (const char *const[]){ __VA_ARGS__, NULL })

static void all_types_both_forms(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(PARSE(&f, "--json", "--out=a=b", "x", "--repeat", "7", "--workload", "1", "--workload=2",
			       "--workload", "3", "y"),
			 0);
	assert_true(f.v.json);
	assert_string_equal(f.v.out, "a=b");
	assert_int_equal(f.v.repeat, 7);
	assert_int_equal(f.v.workloads.n, 3);
	assert_string_equal(f.v.workloads.v[0], "1");
	assert_string_equal(f.v.workloads.v[2], "3");
	assert_int_equal(f.n_args, 2);
	assert_string_equal(f.args[0], "x");
	assert_string_equal(f.args[1], "y");
	assert_false(f.help);
	opt_list_free(&f.v.workloads);
	assert_null(f.v.workloads.v);
}

static void defaults_stay_without_words(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(parse(&f, (const char *const[]){ NULL }), 0);
	assert_int_equal(f.v.repeat, 5);
	assert_null(f.v.out);
	assert_int_equal(f.n_args, 0);
}

static void dash_and_double_dash(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(PARSE(&f, "-", "--", "--json"), 0);
	assert_false(f.v.json);
	assert_string_equal(f.args[0], "-");
	assert_string_equal(f.args[1], "--json");
}

static void help_is_seen(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(PARSE(&f, "--json", "--help"), 0);
	assert_true(f.help);
	assert_int_equal(PARSE(&f, "-h"), 0);
	assert_true(f.help);
}

static void assert_refused(const char *text, struct fixture *f, int r)
{
	assert_int_equal(r, -EINVAL);
	assert_string_equal(f->e.text, text);
	opt_list_free(&f->v.workloads);
}

static void mistakes_are_named(void **state)
{
	struct fixture f;

	(void)state;
	assert_refused("unknown option --jsno, did you mean --json", &f, PARSE(&f, "--jsno"));
	assert_refused("unknown option --wrkload, did you mean --workload", &f, PARSE(&f, "--wrkload=x"));
	assert_refused("unknown option --quite-different, see \"eval --help\"", &f, PARSE(&f, "--quite-different"));
	assert_refused("unknown option -j, options begin with --", &f, PARSE(&f, "-j"));
	assert_refused("--json takes no value", &f, PARSE(&f, "--json=yes"));
	assert_refused("--out wants a value: DIR", &f, PARSE(&f, "--workload", "w", "--out"));
	assert_refused("unexpected argument \"c\"", &f, PARSE(&f, "a", "b", "c"));
}

static void numbers_are_strict(void **state)
{
	static const char *const bad[] = { "", "x", "1x", "-1", "+1", " 1", "1.5" };
	static const char *const out[] = { "0", "101", "18446744073709551616", "99999999999999999999999" };
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(PARSE(&f, "--repeat", bad[i]), -EINVAL);
		assert_non_null(strstr(f.e.text, "--repeat wants a whole number"));
	}
	for (size_t i = 0; i < ARRAY_LEN(out); i++) {
		assert_int_equal(PARSE(&f, "--repeat", out[i]), -EINVAL);
		assert_non_null(strstr(f.e.text, "is not between 1 and 100"));
	}
	assert_int_equal(PARSE(&f, "--repeat=100"), 0);
	assert_int_equal(f.v.repeat, 100);
}

static void help_text(void **state)
{
	CLEANUP_FREE char *text = NULL;
	struct fixture f;
	size_t size;
	FILE *out;

	(void)state;
	fill(&f);
	f.cmd.examples = "  offkube eval --json";
	out = open_memstream(&text, &size);
	assert_non_null(out);
	opt_print_help(&f.cmd, out);
	fclose(out);
	assert_string_equal(text, "usage: offkube eval [options]\n\nMeasures.\n\noptions:\n"
				  "  --json           machine-readable\n"
				  "  --out DIR        where results go\n"
				  "  --workload FILE  may be given again\n"
				  "  --repeat N       slices of each cell\n"
				  "  --help           this text\n"
				  "\nexamples:\n  offkube eval --json\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_types_both_forms),
		cmocka_unit_test(defaults_stay_without_words),
		cmocka_unit_test(dash_and_double_dash),
		cmocka_unit_test(help_is_seen),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(numbers_are_strict),
		cmocka_unit_test(help_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
