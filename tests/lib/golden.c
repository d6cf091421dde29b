/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Texts of programs that must not change unnoticed; see golden.h. */
#include "golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/util.h"

static void assert_one(const struct target_ops *ops, const char *folder, const char *name,
		       const struct target_program *p, bool json)
{
	const char *source = getenv("OFFKUBE_SOURCE_DIR");
	CLEANUP_FREE char *path =
		str_printf("%s/tests/golden/%s/%s.%s", source ? source : ".", folder, name, json ? "json" : "txt");
	CLEANUP_FREE char *text = NULL, *want = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	assert_int_equal(ops->program_print(p, json, f), 0);
	assert_int_equal(fclose(f), 0);
	if (getenv("OFFKUBE_UPDATE_GOLDEN"))
		assert_int_equal(write_file_atomic(path, text, size), 0);
	if (read_file(path, 1 << 20, &want, &size) < 0)
		fail_msg("cannot read %s", path);
	if (!str_eq(text, want))
		fail_msg("%s differs, now:\n%s", path, text);
}

void assert_golden(const struct target_ops *ops, const char *folder, const struct target_program *full,
		   const struct target_program *delta)
{
	for (int json = 0; json < 2; json++) {
		assert_one(ops, folder, "full", full, json);
		assert_one(ops, folder, "delta", delta, json);
	}
}
