/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The packet table on sim: every row, with every choice that the model leaves free. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/str.h"
#include "base/util.h"
#include "table.h"

#define VARIANTS 4

static struct table *load(void)
{
	const char *top = getenv("OFFKUBE_SOURCE_DIR");
	char *dir = str_printf("%s/tests/packet/table", top ? top : ".");
	struct table *t = NULL;
	struct err e = {};

	assert_non_null(dir);
	if (table_load(dir, &t, &e) < 0)
		fail_msg("%s: %s", e.path, e.text);
	free(dir);
	return t;
}

static void test_rows(void **state)
{
	uint64_t *branches = calloc(sim_n_branches(), sizeof(*branches));
	struct table *t = load();
	size_t failed = 0;

	(void)state;
	assert_non_null(branches);
	assert_true(table_n_rows(t) >= 40);
	for (size_t i = 0; i < table_n_rows(t); i++) {
		for (unsigned int variant = 0; variant < VARIANTS; variant++) {
			struct table_sim ts = { .variant = variant, .branch_sum = branches };
			struct table_result res;

			table_run(t, i, &table_sim_ops, &ts, &res);
			if (res.status != TABLE_PASSED) {
				print_error("%s (choice %u)\n", res.text, variant);
				failed++;
				break;
			}
		}
	}
	print_message("%zu rows\n", table_n_rows(t));
	/* The table is the specification: it must come by every branch of sim. */
	for (size_t i = 0; i < sim_n_branches(); i++) {
		if (branches[i] == 0) {
			print_error("no row takes the branch %s\n", sim_branch_name(i));
			failed++;
		}
	}
	table_free(t);
	free(branches);
	assert_int_equal(failed, 0);
}

/* A table that cannot fail proves nothing: a target that translates nothing, and one that
 * damages packets, must be caught. */
static int lazy_packet(void *arg, enum sim_origin origin, const uint8_t *buf, size_t size, struct table_seen *ret,
		       struct err *e)
{
	int r = table_sim_ops.packet(arg, origin, buf, size, ret, e);

	if (r == 0 && ret->verdict == VERDICT_TRANSLATE) {
		memcpy(ret->out, buf, size);
		ret->out_size = size;
	}
	return r;
}

static int bad_checksum_packet(void *arg, enum sim_origin origin, const uint8_t *buf, size_t size,
			       struct table_seen *ret, struct err *e)
{
	int r = table_sim_ops.packet(arg, origin, buf, size, ret, e);

	if (r == 0 && ret->out_size > 0)
		ret->out[ret->out_size - 1] ^= 1;
	return r;
}

static void test_catches(void **state)
{
	struct table_ops wrong[] = { table_sim_ops, table_sim_ops };
	struct table *t = load();

	(void)state;
	wrong[0].packet = lazy_packet;
	wrong[1].packet = bad_checksum_packet;
	for (size_t w = 0; w < ARRAY_LEN(wrong); w++) {
		size_t caught = 0;

		for (size_t i = 0; i < table_n_rows(t); i++) {
			struct table_sim ts = {};
			struct table_result res;

			table_run(t, i, &wrong[w], &ts, &res);
			caught += res.status == TABLE_FAILED;
		}
		assert_true(caught > table_n_rows(t) / 3);
	}
	table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_catches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
