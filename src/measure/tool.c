/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds and runs programs of others. Called by eval_servers.c and load_tool.c. No shell; what they say stays in memory, and is bounded. */
#include "tool.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "child.h"

#define VERSION_TIMEOUT_MS 10000

int tool_file(size_t size, int *ret_fd, char path[static 32])
{
	CLEANUP_FD int fd = memfd_create("offkube-tool", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
	    (size && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) < 0))
		return -errno;
	(void)snprintf(path, 32, "/proc/self/fd/%d", fd);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static void child_run(const struct tool_run *run, int out_fd, pid_t parent) __attribute__((noreturn));
static void child_run(const struct tool_run *run, int out_fd, pid_t parent)
{
	static const char *const env[] = { "PATH=/usr/bin:/bin", "LC_ALL=C", "HOME=/", NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail with a valid signal */
	if (getppid() != parent)
		_exit(0);
	(void)signal(SIGINT, SIG_IGN); /* who runs it ends it */
	(void)signal(SIGPIPE, SIG_DFL);
	(void)dup2(null, STDIN_FILENO);
	(void)dup2(out_fd, STDOUT_FILENO);
	(void)dup2(out_fd, STDERR_FILENO);
	if (run->inherit >= 0)
		(void)fcntl(run->inherit, F_SETFD, 0);
	(void)execve(run->argv[0], (char *const *)run->argv, (char *const *)env);
	dprintf(STDERR_FILENO, "%s: %s\n", run->argv[0], strerror(errno));
	_exit(127);
}

int tool_run(const struct tool_run *run, char **ret_out, size_t *ret_size, int *ret_status)
{
	CLEANUP_FREE char *out = NULL;
	CLEANUP_FD int fd = -1;
	pid_t parent = getpid(), pid;
	char path[32];
	off_t end;
	int r = tool_file(TOOL_OUTPUT_MAX, &fd, path);

	if (r < 0)
		return r;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		child_run(run, fd, parent);
	r = child_wait(pid, run->timeout_ms, ret_status);
	if (r < 0)
		return r;
	end = lseek(fd, 0, SEEK_CUR); /* shared with the program: as far as it has written */
	if (end < 0)
		return -errno;
	if (end >= (off_t)TOOL_OUTPUT_MAX)
		return -EFBIG;
	out = malloc((size_t)end + 1);
	if (!out)
		return -ENOMEM;
	if (pread(fd, out, (size_t)end, 0) != end)
		return -EIO;
	out[end] = '\0';
	*ret_size = (size_t)end;
	*ret_out = TAKE_PTR(out);
	return 0;
}

/* ---- where and which ---- */

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static bool find_in(const char *folders, const char *name, char path[static 256])
{
	while (*folders) {
		size_t len = strcspn(folders, ":");

		if (len > 0 && folders[0] == '/' &&
		    (size_t)snprintf(path, 256, "%.*s/%s", (int)len, folders, name) < 256 && is_program(path))
			return true;
		folders += len + (folders[len] == ':');
	}
	return false;
}

/* The first number with a dot in it: of "nghttpd nghttp2/1.52.0" it is 1.52.0. */
static void find_version(const char *text, char version[static TOOL_VERSION_MAX])
{
	for (const char *at = text; *at && *at != '\n';) {
		size_t len = strspn(at, "0123456789.");

		if (len > 2 && len < TOOL_VERSION_MAX && isdigit((unsigned char)*at) && memchr(at, '.', len - 1)) {
			memcpy(version, at, len);
			version[len] = '\0';
			return;
		}
		at += len ? len : 1;
	}
}

int tool_find(const char *name, struct tool *ret)
{
	const char *folders = getenv("PATH");
	struct tool t = {};
	const char *const argv[] = { t.path, str_eq(name, "nginx") || str_eq(name, "wrk") ? "-v" : "--version", NULL };
	const struct tool_run run = { .argv = argv, .inherit = -1, .timeout_ms = VERSION_TIMEOUT_MS };
	CLEANUP_FREE char *out = NULL;
	size_t size;
	int status;

	if (!(folders && find_in(folders, name, t.path)) &&
	    !find_in("/usr/local/bin:/usr/bin:/usr/local/sbin:/usr/sbin:/sbin", name, t.path))
		return -ENOENT;
	if (tool_run(&run, &out, &size, &status) == 0) /* wrk says its version and fails */
		find_version(out, t.version);
	*ret = t;
	return 0;
}
