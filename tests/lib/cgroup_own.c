/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The caller's own cgroup (cgroup_own.h). */
#include "cgroup_own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "net/cgroup.h"

/* "0::/path": of cgroup v2. */
static char *own_path(void)
{
	CLEANUP_FILE FILE *f = fopen("/proc/self/cgroup", "re");
	CLEANUP_FREE char *line = NULL;
	size_t cap = 0;

	while (f && getline(&line, &cap, f) > 0)
		if (strncmp(line, "0::", 3) == 0) {
			line[strcspn(line, "\n")] = '\0';
			return strdup(line + 3);
		}
	return NULL;
}

int cgroup_open_own(void)
{
	CLEANUP_FREE char *path = own_path();
	CLEANUP_FREE char *mount_point = NULL;
	CLEANUP_FREE char *full = NULL;
	int r = cgroup2_mount(&mount_point), fd;

	if (r < 0)
		return r;
	full = path ? str_printf("%s%s", mount_point, path) : NULL;
	if (!full)
		return path ? -ENOMEM : -ENOENT;
	fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
