/* SPDX-License-Identifier: GPL-2.0-or-later */
/* records.jsonl from anywhere (report_load). What loads must print as table and as JSON; what does not says why. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "report/compare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nothing differs from itself. */
static void compare_with_itself(const struct report *rep)
{
	struct comparison *c = NULL;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out || report_compare(rep, "a", rep, "b", &c) < 0 || c->n_changed || c->n_differ ||
	    comparison_print_table(c, out) < 0 || comparison_print_json(c, out) < 0 || fclose(out) != 0)
		abort();
	comparison_free(c);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FILE *in = size ? fmemopen((void *)(uintptr_t)data, size, "r") : NULL;
	struct report *rep = NULL;
	struct err e = {};
	char *text = NULL;
	size_t text_size = 0;
	json_t *summary;
	FILE *out;

	if (!in)
		return 0;
	if (report_load_stream(in, "records.jsonl", &rep, &e) < 0) {
		(void)fclose(in); /* only read */
		if (!e.text[0] || rep)
			abort();
		return 0;
	}
	(void)fclose(in); /* only read */
	out = open_memstream(&text, &text_size);
	if (!out || report_print_table(rep, out, true) < 0 || fflush(out) != 0 || fseek(out, 0, SEEK_SET) != 0 ||
	    report_print_json(rep, out) < 0 || fclose(out) != 0)
		abort();
	summary = json_loads(text, JSON_DISABLE_EOF_CHECK, NULL);
	if (!summary || !json_is_string(json_object_get(summary, "answer")))
		abort();
	json_decref(summary);
	free(text);
	compare_with_itself(rep);
	report_free(rep);
	return 0;
}
