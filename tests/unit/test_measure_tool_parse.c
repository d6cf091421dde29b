/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What iperf3, wrk, h2load and redis-benchmark print, and what is read of it; the replies that our generator takes. The texts are those of the fuzz corpus. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "base/util.h"
#include "measure/load_proto.h"
#include "measure/tool.h"
#include "measure/tool_parse.h"

/* A file of the corpus without its first byte, which is for the fuzzer. */
static char *text_of(const char *name, size_t *ret_size)
{
	const char *top = getenv("OFFKUBE_SOURCE_DIR");
	char *path = str_printf("%s/tests/fuzz/corpus/tool_output/%s", top ? top : ".", name), *text = NULL;
	size_t size = 0;

	assert_non_null(path);
	if (read_file(path, 1 << 20, &text, &size) < 0)
		fail_msg("%s cannot be read", path);
	free(path);
	memmove(text, text + 1, size);
	*ret_size = size - 1;
	return text;
}

static bool near(double a, double b)
{
	return a > b * 0.999 && a < b * 1.001;
}

static void test_iperf3(void **state)
{
	struct tool_result res;
	struct ip_addr lo;
	struct err e = {};
	size_t size;
	char *text = text_of("iperf3-tcp.json", &size);

	(void)state;
	assert_int_equal(ip_addr_parse("127.0.0.1", &lo), 0);
	assert_int_equal(tool_parse_iperf3(text, size, &res, &e), 0);
	assert_true(near(res.seconds, 0.059069) && res.bytes == 201719808 && res.sent_bytes == 209715200);
	assert_true(res.n_retransmits == 0);
	assert_true(ip_addr_eq(&res.server, &lo));
	assert_int_equal(tool_parse_iperf3(text, size / 2, &res, &e), -EBADMSG);
	free(text);

	text = text_of("iperf3-udp.json", &size);
	assert_int_equal(tool_parse_iperf3(text, size, &res, NULL), 0);
	assert_true(res.bytes == 10486000 && res.sent_bytes == 10486000 && res.n_retransmits < 0);
	assert_true(ip_addr_eq(&res.server, &lo));
	free(text);

	text = text_of("iperf3-udp-fragments.json", &size); /* a warning first */
	assert_int_equal(tool_parse_iperf3(text, size, &res, NULL), 0);
	assert_true(res.bytes == 2091600 && res.sent_bytes == 2097200);
	free(text);

	e = (struct err){};
	text = text_of("iperf3-error.json", &size);
	assert_int_equal(tool_parse_iperf3(text, size, &res, &e), -EREMOTEIO);
	assert_string_equal(e.text, "unable to connect to server: Connection refused");
	free(text);
}

static void test_wrk(void **state)
{
	struct tool_result res;
	struct err e = {};
	size_t size;
	char *text = text_of("wrk.txt", &size);

	(void)state;
	assert_int_equal(tool_parse_wrk(text, &res, NULL), 0);
	assert_true(near(res.seconds, 1.001587) && res.n_done == 33014 && res.n_failed == 3);
	free(text);
	text = text_of("wrk-refused.txt", &size);
	assert_int_equal(tool_parse_wrk(text, &res, &e), -EREMOTEIO);
	assert_non_null(strstr(e.text, "Connection refused"));
	free(text);
	assert_int_equal(tool_parse_wrk("", &res, NULL), -EBADMSG);
	assert_int_equal(tool_parse_wrk("offkube 0 1 2\n", &res, NULL), -EBADMSG);
	assert_int_equal(tool_parse_wrk("offkube 1000000 nan 0\n", &res, NULL), -EBADMSG);
}

static void test_h2load(void **state)
{
	struct tool_result res;
	struct err e = {};
	size_t size;
	char *text = text_of("h2load.txt", &size);
	struct hist *h = calloc(1, sizeof(*h));
	uint64_t n = 0;

	(void)state;
	assert_non_null(h);
	hist_init(h);
	assert_int_equal(tool_parse_h2load(text, &res, NULL), 0);
	assert_true(near(res.seconds, 0.50017) && res.n_done == 136490 && res.n_failed == 2 && res.bytes == 167915520);
	free(text);
	text = text_of("h2load-none.txt", &size);
	assert_int_equal(tool_parse_h2load(text, &res, &e), -EREMOTEIO);
	assert_non_null(strstr(e.text, "none of 136492"));
	free(text);
	text = text_of("h2load.log", &size);
	assert_int_equal(tool_parse_h2load_log(text, h, &n, NULL), 0);
	assert_int_equal(n, 3);
	assert_int_equal(h->count, 2); /* the third failed */
	assert_int_equal(h->max_ns, 99000);
	free(text);
	e = (struct err){};
	assert_int_equal(tool_parse_h2load_log("1\t200\t5\n1\t200\n", h, &n, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "line 2"));
	free(h);
}

static void test_redis_benchmark(void **state)
{
	struct tool_result res;
	struct err e = {};
	size_t size;
	char *text = text_of("redis.csv", &size);

	(void)state;
	assert_int_equal(tool_parse_redis_benchmark(text, 20000, &res, NULL), 0);
	assert_true(res.n_done == 20000 && near(res.seconds, 20000 / 39447.73));
	free(text);
	text = text_of("redis-refused.txt", &size);
	assert_int_equal(tool_parse_redis_benchmark(text, 20000, &res, &e), -EREMOTEIO);
	assert_non_null(strstr(e.text, "Connection refused"));
	free(text);
	assert_int_equal(tool_parse_redis_benchmark("\"test\",\"rps\"\n\"x\",\"0.0\"\n", 1, &res, NULL), -EBADMSG);
}

/* ---- replies ---- */

static void test_replies(void **state)
{
	static const struct {
		enum load_kind kind;
		const char *bytes;
		int r;
		size_t size;
		const char *name;
	} rows[] = {
		{ LOAD_HTTP, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\na/b\nxx", 0, 44, "a/b" },
		{ LOAD_HTTP, "HTTP/1.1 200 OK\r\ncontent-length:6\r\n\r\na/b\nxxHTTP/1.1", 0, 43, "a/b" },
		{ LOAD_HTTP, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\na/b\nx", -EAGAIN, 0, NULL },
		{ LOAD_HTTP, "HTTP/1.1 2", -EAGAIN, 0, NULL },
		{ LOAD_HTTP, "HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\na/b\nxx", -EBADMSG, 0, NULL },
		{ LOAD_HTTP, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", -EBADMSG, 0, NULL },
		{ LOAD_HTTP, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nContent-Length: 7\r\n\r\na/b\nxxx", -EBADMSG, 0,
		  NULL },
		{ LOAD_HTTP, "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\na/b\n", -EBADMSG, 0, NULL },
		{ LOAD_HTTP, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nno name", -EBADMSG, 0, NULL },
		{ LOAD_REDIS, "$4\r\na/b\n\r\n", 0, 10, "a/b" },
		{ LOAD_REDIS, "+OK\r\n$4", 0, 5, "" },
		{ LOAD_REDIS, "$4\r\na/b\n\r", -EAGAIN, 0, NULL },
		{ LOAD_REDIS, "$4\r\na/b\nxx", -EBADMSG, 0, NULL },
		{ LOAD_REDIS, "$-1\r\n", -EBADMSG, 0, NULL },
		{ LOAD_REDIS, "-ERR no\r\n", -EBADMSG, 0, NULL },
		{ LOAD_REDIS, "+PONG\r\n", -EBADMSG, 0, NULL },
		{ LOAD_REDIS, "", -EAGAIN, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct load_reply reply = {};
		int r = load_proto_of(rows[i].kind)
				->parse((const uint8_t *)rows[i].bytes, strlen(rows[i].bytes), &reply);

		if (r != rows[i].r)
			fail_msg("row %zu: %d, not %d", i, r, rows[i].r);
		if (r < 0)
			continue;
		assert_int_equal(reply.size, rows[i].size);
		assert_string_equal(reply.name, rows[i].name);
	}
}

static void test_requests(void **state)
{
	uint8_t buf[LOAD_REQUEST_MAX];

	(void)state;
	for (int kind = 0; kind < LOAD_KIND_MAX; kind++)
		for (uint64_t id = 1; id < 4; id++) {
			size_t size = load_proto_of(kind)->build(id, buf);

			assert_in_range(size, 16, LOAD_REQUEST_MAX);
		}
}

/* ---- finding and running ---- */

static void test_find(void **state)
{
	struct tool t = { .path = "untouched" };

	(void)state;
	assert_int_equal(tool_find("no-such-program", &t), -ENOENT);
	assert_string_equal(t.path, "untouched");
	assert_int_equal(tool_find("sh/../sh", &t), -ENOENT);
}

static void test_run(void **state)
{
	const char *const echo[] = { "/bin/echo", "hello", NULL };
	const char *const sleeps[] = { "/bin/sleep", "60", NULL };
	const char *const talks[] = { "/usr/bin/yes", NULL };
	struct tool_run run = { .argv = echo, .inherit = -1, .timeout_ms = 20000 };
	size_t size = 0;
	int status = -1;
	char *out = NULL;

	(void)state;
	assert_int_equal(tool_run(&run, &out, &size, &status), 0);
	assert_string_equal(out, "hello\n");
	assert_true(size == 6 && status == 0);
	free(out);
	out = NULL;
	run.argv = sleeps;
	run.timeout_ms = 20;
	assert_int_equal(tool_run(&run, &out, &size, &status), -ETIMEDOUT);
	run.argv = talks;
	run.timeout_ms = 20000;
	assert_int_equal(tool_run(&run, &out, &size, &status), -EFBIG);
	assert_null(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_iperf3),	cmocka_unit_test(test_wrk),
		cmocka_unit_test(test_h2load),	cmocka_unit_test(test_redis_benchmark),
		cmocka_unit_test(test_replies), cmocka_unit_test(test_requests),
		cmocka_unit_test(test_find),	cmocka_unit_test(test_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
