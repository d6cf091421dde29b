/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The scheduler group of the CPU meter's spinners: cgroup v1 (own hierarchy for "cpu") and v2. Called by cpu.c. */
#include "cpu_group.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/util.h"

#define GROUP_PREFIX "offkube.meter."
#define REMOVE_TIMEOUT_NS (3 * NSEC_PER_SEC)

static bool has_word(const char *list, const char *word, const char *separators)
{
	CLEANUP_FREE char *copy = strdup(list);
	char *save = NULL;

	for (char *w = copy ? strtok_r(copy, separators, &save) : NULL; w; w = strtok_r(NULL, separators, &save))
		if (str_eq(w, word))
			return true;
	return false;
}

/* cgroup v2: may children of the root have the cpu controller? */
static bool v2_has_cpu(const char *mount)
{
	CLEANUP_FREE char *path = str_printf("%s/cgroup.subtree_control", mount);
	CLEANUP_FREE char *text = NULL;
	size_t size;

	return path && read_file(path, 4096, &text, &size) == 0 && has_word(text, "cpu", " \n");
}

/* The folder of the cpu controller's hierarchy; owned, NULL when there is none. mountinfo(5): ... mount point ... - type source options */
static char *find_mount(void)
{
	CLEANUP_FILE FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096];

	while (f && fgets(line, sizeof(line), f)) {
		char root[1024], mount[1024], type[64], options[1024];
		const char *tail = strstr(line, " - ");

		if (!tail || sscanf(line, "%*d %*d %*s %1023s %1023s", root, mount) != 2 ||
		    sscanf(tail, " - %63s %*s %1023s", type, options) != 2 || !str_eq(root, "/"))
			continue;
		if ((str_eq(type, "cgroup") && has_word(options, "cpu", ",\n")) ||
		    (str_eq(type, "cgroup2") && v2_has_cpu(mount)))
			return strdup(mount);
	}
	return NULL;
}

static int write_text(const char *dir, const char *name, const char *text)
{
	CLEANUP_FREE char *path = str_printf("%s/%s", dir, name);
	CLEANUP_FD int fd = path ? open(path, O_WRONLY | O_CLOEXEC) : -1;

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

int cpu_group_new(char **ret_dir, int *ret_procs_fd)
{
	CLEANUP_FREE char *mount = find_mount();
	CLEANUP_FREE char *dir = mount ? str_printf("%s/" GROUP_PREFIX "%d", mount, (int)getpid()) : NULL;
	CLEANUP_FREE char *procs = dir ? str_printf("%s/cgroup.procs", dir) : NULL;
	int fd, r;

	if (!procs)
		return mount ? -ENOMEM : -ENOENT;
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return -errno;
	r = write_text(dir, "cpu.idle", "1");
	fd = r == 0 ? open(procs, O_WRONLY | O_CLOEXEC) : r;
	if (fd < 0) {
		r = r < 0 ? r : -errno;
		(void)rmdir(dir); /* empty: nothing was moved there */
		return r;
	}
	*ret_dir = TAKE_PTR(dir);
	*ret_procs_fd = fd;
	return 0;
}

void cpu_group_free(char *dir)
{
	if (dir)
		(void)rmdir(dir); /* what does not go now is taken by cpu_group_clean */
	free(dir);
}

/* The owner is dead, so its spinners have been told to die; they may still be on their way out. */
static void remove_dead(const char *dir)
{
	const struct timespec step = { .tv_nsec = 2000000 };
	uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + REMOVE_TIMEOUT_NS;

	while (rmdir(dir) < 0 && errno == EBUSY && clock_now_ns(&clock_monotonic) < deadline_ns)
		(void)nanosleep(&step, NULL); /* between two looks at the condition */
}

void cpu_group_clean(void)
{
	CLEANUP_FREE char *mount = find_mount();
	DIR *d = mount ? opendir(mount) : NULL;
	struct dirent *ent;

	while (d && (ent = readdir(d))) {
		CLEANUP_FREE char *path = NULL;
		pid_t owner;

		if (strncmp(ent->d_name, GROUP_PREFIX, strlen(GROUP_PREFIX)) != 0)
			continue;
		owner = atoi(ent->d_name + strlen(GROUP_PREFIX));
		path = str_printf("%s/%s", mount, ent->d_name);
		if (!path)
			continue;
		if (owner > 0 && kill(owner, 0) < 0 && errno == ESRCH)
			remove_dead(path);
		else
			(void)rmdir(path); /* -EBUSY: a live meter's; gone: a reused pid's */
	}
	if (d)
		(void)closedir(d); /* read only */
}
