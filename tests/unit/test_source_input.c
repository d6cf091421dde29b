/* SPDX-License-Identifier: GPL-2.0-or-later */
/* source/file/input.c, and source_file_load() over files, folders and standard input. */
#include "source_case.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "base/util.h"

#define SVC(name) "apiVersion: v1\nkind: Service\nmetadata: {name: " name "}\nspec: {ports: [{port: 80}]}\n"

struct folder {
	char path[64];
	char *paths[8];
	size_t n;
};

static void folder_new(struct folder *f)
{
	memset(f, 0, sizeof(*f));
	(void)snprintf(f->path, sizeof(f->path), "/tmp/offkube-source-XXXXXX");
	assert_non_null(mkdtemp(f->path));
}

static const char *folder_add(struct folder *f, const char *name, const char *text)
{
	char *path = str_printf("%s/%s", f->path, name);

	assert_non_null(path);
	assert_int_equal(write_file_atomic(path, text, strlen(text)), 0);
	f->paths[f->n++] = path;
	return path;
}

static void folder_free(struct folder *f)
{
	for (size_t i = 0; i < f->n; i++) {
		(void)unlink(f->paths[i]); /* a test may have removed it */
		free(f->paths[i]);
	}
	(void)rmdir(f->path); /* empty now */
}

static int load(struct source_case *c, const char *const *paths, size_t n)
{
	case_free(c);
	memset(&c->e, 0, sizeof(c->e));
	c->conf.paths = paths;
	c->conf.n_paths = n;
	c->r = source_file_load(&c->conf, &c->s, &c->report, &c->e);
	return c->r;
}

static void test_folder(void **state)
{
	struct source_case c = {};
	struct folder f;
	const char *path;

	(void)state;
	folder_new(&f);
	path = f.path;
	assert_int_equal(load(&c, &path, 1), -ENOENT);
	assert_string_equal(c.e.path, f.path);
	(void)folder_add(&f, "b.yml", SVC("b"));
	(void)folder_add(&f, "a.yaml", SVC("a"));
	(void)folder_add(&f, "c.json",
			 "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"c\"},"
			 "\"spec\":{\"ports\":[{\"port\":80}]}}");
	(void)folder_add(&f, "notes.txt", "no: [manifest");
	(void)folder_add(&f, ".hidden.yaml", "no: [manifest");
	assert_int_equal(load(&c, &path, 1), 0);
	assert_int_equal(snapshot_n_services(c.s), 3);
	assert_non_null(strstr(c.report.warning[0], "/a.yaml:1: Service default/a has no endpoints")); /* sorted */
	case_free(&c);
	folder_free(&f);
}

/* Files together are one input: what is there twice is named with both places. */
static void test_two_files(void **state)
{
	struct source_case c = {};
	struct folder f;
	const char *paths[2];
	char want[256];

	(void)state;
	folder_new(&f);
	paths[0] = folder_add(&f, "a.yaml", SVC("a"));
	paths[1] = folder_add(&f, "b.yaml", "\n\n---\n" SVC("a"));
	assert_int_equal(load(&c, paths, 2), -EINVAL);
	(void)snprintf(want, sizeof(want), "%s:4: Service default/a", paths[1]);
	assert_string_equal(c.e.path, want);
	(void)snprintf(want, sizeof(want), "defined a second time; the first is at %s:1", paths[0]);
	assert_string_equal(c.e.text, want);
	case_free(&c);
	folder_free(&f);
}

static void test_empty_file_beside_another(void **state)
{
	struct source_case c = {};
	struct folder f;
	const char *paths[2];

	(void)state;
	folder_new(&f);
	paths[0] = folder_add(&f, "a.yaml", "");
	paths[1] = folder_add(&f, "b.yaml", SVC("a"));
	assert_int_equal(load(&c, paths, 1), -EINVAL);
	assert_string_equal(c.e.path, paths[0]);
	assert_string_equal(c.e.text, "nothing to run: no Service with an address, and no pod");
	assert_int_equal(load(&c, paths, 2), 0);
	case_warns(&c, "a.yaml holds no object");
	case_free(&c);
	folder_free(&f);
}

static void test_unreadable(void **state)
{
	struct source_case c = {};
	const char *path = "/nonexistent/shop.yaml";

	(void)state;
	assert_int_equal(load(&c, &path, 1), -ENOENT);
	assert_string_equal(c.e.path, path);
	assert_string_equal(c.e.text, "cannot be read: No such file or directory");
	assert_null(c.s);
	assert_int_equal(load(&c, NULL, 0), -EINVAL);
}

static void test_standard_input(void **state)
{
	struct source_case c = {};
	struct folder f;
	const char *path = "-";
	int saved = dup(STDIN_FILENO), fd;

	(void)state;
	folder_new(&f);
	fd = open(folder_add(&f, "a.yaml", SVC("A")), O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && saved >= 0);
	assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
	assert_int_equal(load(&c, &path, 1), -EINVAL);
	assert_non_null(strstr(c.e.path, "standard input:3: Service: metadata.name"));
	assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
	(void)close(saved);
	(void)close(fd);
	folder_free(&f);
}

/* Of a path that does not fit into a message the end stays. */
static void test_long_path(void **state)
{
	struct source_case c = {};
	struct folder f;
	const char *path;
	char name[240];

	(void)state;
	folder_new(&f);
	memset(name, 'x', sizeof(name));
	(void)snprintf(name + sizeof(name) - 12, 12, "-shop.yaml");
	path = folder_add(&f, name, SVC("A"));
	assert_int_equal(load(&c, &path, 1), -EINVAL);
	assert_memory_equal(c.e.path, "...xxx", 6);
	assert_non_null(strstr(c.e.path, "x-shop.yaml:3: Service: metadata.name"));
	folder_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_folder),
		cmocka_unit_test(test_two_files),
		cmocka_unit_test(test_empty_file_beside_another),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_standard_input),
		cmocka_unit_test(test_long_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
