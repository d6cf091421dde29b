/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The record writer: one object a line, flushed at once, failures told; and the facts of the machine. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "measure/record.h"

static char *read_all(const char *path)
{
	char *text = NULL;
	size_t size;

	assert_int_equal(read_file(path, 1 << 16, &text, &size), 0);
	return text;
}

static void test_lines(void **state)
{
	char path[] = "/tmp/okt-record-XXXXXX";
	struct record_writer *w = NULL;
	struct err e = {};
	int fd = mkstemp(path);
	json_t *obj;
	char *text;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "old\n", 4), 4);
	(void)close(fd);
	assert_int_equal(record_writer_open(path, &w, &e), 0);
	assert_int_equal(record_write(w, "one", json_pack("{s:i, s:s}", "n", 1, "text", "a\nb"), &e), 0);
	text = read_all(path); /* there before the file is closed */
	assert_string_equal(text, "{\"schema\":2,\"type\":\"one\",\"n\":1,\"text\":\"a\\nb\"}\n");
	free(text);
	/* The writer drops its reference only. */
	obj = json_pack("{s:b}", "yes", 1);
	assert_int_equal(record_write(w, "two", json_incref(obj), &e), 0);
	assert_int_equal(obj->refcount, 1);
	json_decref(obj);
	text = read_all(path);
	assert_non_null(strstr(text, "\n{\"schema\":2,\"type\":\"two\",\"yes\":true}\n"));
	free(text);
	record_writer_close(w);
	assert_int_equal(unlink(path), 0);
}

static void test_no_object(void **state)
{
	char path[] = "/tmp/okt-record-XXXXXX";
	struct record_writer *w = NULL;
	struct err e = {};
	int fd = mkstemp(path);
	char *text;

	(void)state;
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(record_writer_open(path, &w, NULL), 0);
	/* What json_pack makes of text that is no UTF-8. */
	assert_int_equal(record_write(w, "one", json_pack("{s:s}", "name", "\xff"), &e), -ENOMEM);
	assert_string_equal(e.path, path);
	text = read_all(path);
	assert_string_equal(text, "");
	free(text);
	record_writer_close(w);
	record_writer_close(NULL);
	assert_int_equal(unlink(path), 0);
}

static void test_cannot_be_written(void **state)
{
	struct record_writer *w = NULL;
	struct err e = {};

	(void)state;
	assert_int_equal(record_writer_open("/nonexistent/records.jsonl", &w, &e), -ENOENT);
	assert_string_equal(e.path, "/nonexistent/records.jsonl");
	assert_null(w);
	if (access("/dev/full", W_OK) < 0)
		return;
	e = (struct err){};
	assert_int_equal(record_writer_open("/dev/full", &w, &e), 0);
	assert_int_equal(record_write(w, "one", json_object(), &e), -ENOSPC);
	record_writer_close(w);
}

static void test_machine(void **state)
{
	static const char *const texts[] = { "kernel", "os", "cpu", "governor", "congestion_control" };
	json_t *m = record_machine();

	(void)state;
	assert_non_null(m);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_true(json_is_string(json_object_get(m, texts[i])));
	assert_true(json_string_length(json_object_get(m, "kernel")) > 0);
	assert_true(json_integer_value(json_object_get(m, "n_cpus")) >= 1);
	assert_true(json_integer_value(json_object_get(m, "memory_mib")) >= 16);
	assert_true(json_is_boolean(json_object_get(m, "virtual")));
	assert_true(json_real_value(json_object_get(m, "load_1m")) >= 0);
	json_decref(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_no_object),
		cmocka_unit_test(test_cannot_be_written),
		cmocka_unit_test(test_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
