/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The progress line, by a clock set by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/progress.h"

struct fixture {
	struct clock clock;
	struct progress p;
	FILE *out;
	char text[4096];
};

static void begin(struct fixture *f, bool tty, double total)
{
	*f = (struct fixture){ .clock = { .now_ns = clock_manual_now_ns, .manual_ns = 1000 } };
	f->out = tmpfile();
	assert_non_null(f->out);
	progress_start(&f->p, f->out, &f->clock, total);
	assert_false(f->p.tty);
	f->p.tty = tty;
}

static const char *end(struct fixture *f)
{
	size_t n;

	progress_end(&f->p);
	rewind(f->out);
	n = fread(f->text, 1, sizeof(f->text) - 1, f->out);
	f->text[n] = '\0';
	fclose(f->out);
	return f->text;
}

static void a_line_every_ten_seconds(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, false, 100);
	for (int s = 1; s <= 25; s++) {
		f.clock.manual_ns += NSEC_PER_SEC;
		progress_update(&f.p, s, "echo nft");
	}
	assert_string_equal(end(&f), " 10% 1:30 left echo nft\n 20% 1:20 left echo nft\n");
}

static void a_terminal_is_redrawn_and_cleared(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, true, 4);
	progress_update(&f.p, 0, "a");
	f.clock.manual_ns += NSEC_PER_MSEC;
	progress_update(&f.p, 1, "too soon");
	f.clock.manual_ns += 2 * NSEC_PER_SEC;
	progress_update(&f.p, 2, "b");
	assert_string_equal(end(&f), "\r\033[K[........................]   0%  a"
				     "\r\033[K[############............]  50% 0:02 left b"
				     "\r\033[K");
}

static void odd_totals_do_no_harm(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, false, 0);
	f.clock.manual_ns += 11 * NSEC_PER_SEC;
	progress_update(&f.p, 5, NULL);
	assert_string_equal(end(&f), "  0%  \n");
	begin(&f, false, 10);
	f.clock.manual_ns += 11 * NSEC_PER_SEC;
	progress_update(&f.p, 50, "x");
	assert_string_equal(end(&f), "100% 0:00 left x\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_every_ten_seconds),
		cmocka_unit_test(a_terminal_is_redrawn_and_cleared),
		cmocka_unit_test(odd_totals_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
