/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole files, in a folder of their own under the temporary directory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

static int make_folder(void **state)
{
	char *path = str_printf("%s/okt-file-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");

	if (!path || !mkdtemp(path))
		return -1;
	*state = path;
	return 0;
}

static int remove_folder(void **state)
{
	char *command = str_printf("rm -rf '%s'", (char *)*state);
	int r = command ? system(command) : -1;

	free(command);
	free(*state);
	return r;
}

static void what_is_written_is_read(void **state)
{
	CLEANUP_FREE char *path = str_printf("%s/a", (char *)*state);
	CLEANUP_FREE char *back = NULL;
	size_t size = 0;

	assert_int_equal(write_file_atomic(path, "one\0two", 7), 0);
	assert_int_equal(read_file(path, 7, &back, &size), 0);
	assert_int_equal(size, 7);
	assert_memory_equal(back, "one\0two", 8);
}

static void large_file_is_whole(void **state)
{
	CLEANUP_FREE char *path = str_printf("%s/large", (char *)*state);
	CLEANUP_FREE char *data = malloc(3000000);
	CLEANUP_FREE char *back = NULL;
	size_t size = 0;

	for (size_t i = 0; i < 3000000; i++)
		data[i] = (char)(i * 31 >> 3);
	assert_int_equal(write_file_atomic(path, data, 3000000), 0);
	assert_int_equal(read_file(path, SIZE_MAX, &back, &size), 0);
	assert_int_equal(size, 3000000);
	assert_memory_equal(back, data, size);
}

static void size_is_bounded(void **state)
{
	CLEANUP_FREE char *path = str_printf("%s/b", (char *)*state);
	char *back = NULL;
	size_t size = 77;

	assert_int_equal(write_file_atomic(path, "12345678", 8), 0);
	assert_int_equal(read_file(path, 7, &back, &size), -EFBIG);
	assert_int_equal(read_file("/dev/zero", 100000, &back, &size), -EFBIG);
	assert_null(back);
	assert_int_equal(size, 77);
}

static void size_of_proc_files_is_found_out(void **state)
{
	CLEANUP_FREE char *back = NULL;
	size_t size = 0;

	(void)state;
	assert_int_equal(read_file("/proc/self/status", 1 << 20, &back, &size), 0);
	assert_true(size > 100);
	assert_int_equal(strlen(back), size);
}

static void failures_are_told(void **state)
{
	CLEANUP_FREE char *missing = str_printf("%s/none", (char *)*state);
	CLEANUP_FREE char *below = str_printf("%s/none/x", (char *)*state);
	char *back = NULL;
	size_t size;

	assert_int_equal(read_file(missing, 10, &back, &size), -ENOENT);
	assert_int_equal(read_file(*state, 10, &back, &size), -EISDIR);
	assert_int_equal(write_file_atomic(below, "x", 1), -ENOENT);
}

/* Counts what stands in the folder, to see that no temporary file is left. */
static int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n - 2;
}

static void write_replaces_and_leaves_nothing(void **state)
{
	CLEANUP_FREE char *folder = str_printf("%s/replace", (char *)*state);
	CLEANUP_FREE char *path = str_printf("%s/c", folder);
	CLEANUP_FREE char *back = NULL;
	mode_t mask = umask(027);
	size_t size = 0;
	struct stat st;

	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(write_file_atomic(path, "old", 3), 0);
	assert_int_equal(write_file_atomic(path, "newer", 5), 0);
	umask(mask);
	assert_int_equal(read_file(path, 100, &back, &size), 0);
	assert_string_equal(back, "newer");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	/* A name that is a folder cannot be replaced; the temporary file goes again. */
	assert_int_equal(write_file_atomic(folder, "x", 1), -EISDIR);
	assert_int_equal(count_entries(folder), 1);
}

static void makes_all_folders(void **state)
{
	CLEANUP_FREE char *deep = str_printf("%s/x/y//z/", (char *)*state);
	CLEANUP_FREE char *file = str_printf("%s/d", (char *)*state);
	CLEANUP_FREE char *below_file = str_printf("%s/d/e", (char *)*state);

	assert_int_equal(mkdir_all(deep, 0755), 0);
	assert_int_equal(mkdir_all(deep, 0755), 0);
	assert_int_equal(access(deep, F_OK), 0);
	assert_int_equal(write_file_atomic(file, "", 0), 0);
	assert_int_equal(mkdir_all(file, 0755), -ENOTDIR);
	assert_int_equal(mkdir_all(below_file, 0755), -ENOTDIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read), cmocka_unit_test(large_file_is_whole),
		cmocka_unit_test(size_is_bounded),	   cmocka_unit_test(size_of_proc_files_is_found_out),
		cmocka_unit_test(failures_are_told),	   cmocka_unit_test(write_replaces_and_leaves_nothing),
		cmocka_unit_test(makes_all_folders),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
