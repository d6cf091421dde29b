/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What stands on standard error: it is put on a pipe for the while. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

struct capture {
	int saved, read_fd;
};

static struct capture begin(void)
{
	struct capture c;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	c.saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	assert_true(c.saved >= 0);
	assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
	close(fds[1]);
	c.read_fd = fds[0];
	return c;
}

static void end(struct capture c, char *buf, size_t size)
{
	ssize_t n;

	assert_true(dup2(c.saved, STDERR_FILENO) >= 0);
	close(c.saved);
	n = read(c.read_fd, buf, size - 1);
	close(c.read_fd);
	buf[n > 0 ? n : 0] = '\0';
}

static void levels_below_the_threshold_are_silent(void **state)
{
	char text[4096];
	struct capture c;

	(void)state;
	c = begin();
	log_info("quiet");
	log_warn("loud n=%d", 3);
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("now");
	log_set_level(LOG_LEVEL_ERROR);
	log_warn("not now");
	log_set_level(LOG_LEVEL_WARN);
	end(c, text, sizeof(text));
	assert_string_equal(text, "level=warn msg=\"loud n=3\"\nlevel=debug msg=\"now\"\n");
}

static void a_line_stays_one_line(void **state)
{
	char long_text[5000], text[8192];
	struct capture c;

	(void)state;
	memset(long_text, '"', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	c = begin();
	log_error("a \"b\"\nlevel=forged \\ \x1b");
	log_error("%s", long_text);
	end(c, text, sizeof(text));
	assert_memory_equal(text, "level=error msg=\"a \\\"b\\\" level=forged \\\\  \"\n", 44);
	assert_ptr_equal(strchr(strchr(text, '\n') + 1, '\n'), text + strlen(text) - 1);
	assert_string_equal(text + strlen(text) - 4, "\\\"\"\n");
}

static void errno_is_kept(void **state)
{
	struct err e = { .code = -EINVAL, .path = "p", .text = "t" };
	char text[200];
	struct capture c;

	(void)state;
	c = begin();
	errno = ERANGE;
	log_warn("x");
	log_err(&e);
	assert_int_equal(errno, ERANGE);
	end(c, text, sizeof(text));
}

static void errors_for_a_person(void **state)
{
	struct err e = { 0 }, bare = { 0 };
	char text[4096];
	struct capture c;

	(void)state;
	err_set(&e, -EINVAL, "shop.yaml:3", "wrong");
	err_set(&bare, -EINVAL, NULL, "also wrong");
	c = begin();
	log_err(&e);
	log_err(&bare);
	end(c, text, sizeof(text));
	assert_string_equal(text, "error: shop.yaml:3: wrong\nerror: also wrong\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels_below_the_threshold_are_silent),
		cmocka_unit_test(a_line_stays_one_line),
		cmocka_unit_test(errno_is_kept),
		cmocka_unit_test(errors_for_a_person),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
