/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs gnuplot on the .gp files, in their folder. Called by figures.c. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "figure.h"

#define GNUPLOT_TIMEOUT_MS 120000
#define EXIT_NO_PROGRAM 127

/* In the child: never returns. */
static void run_child(const char *dir, char *const *argv, int err_fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (chdir(dir) < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(err_fd, STDERR_FILENO) < 0)
		_exit(1);
	(void)execvp(argv[0], argv); /* returns only on failure */
	_exit(errno == ENOENT || errno == EACCES ? EXIT_NO_PROGRAM : 1);
}

/* Reads what it says until it closes its end, keeps the last line that is not blank; kills it when the time is over. */
static int listen_to(pid_t pid, int fd, char *ret_why, size_t why_size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char buf[512];
	size_t at = 0;

	for (;;) {
		ssize_t n;
		int r = poll(&p, 1, GNUPLOT_TIMEOUT_MS);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0) {
			(void)kill(pid, SIGKILL); /* our own child, not reaped yet */
			return r < 0 ? -errno : -ETIMEDOUT;
		}
		n = read(fd, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		for (ssize_t i = 0; i < n; i++) {
			bool blank = (unsigned char)buf[i] < 0x20;

			if (at + 1 < why_size && (!blank || (at > 0 && ret_why[at - 1] != ' ')))
				ret_why[at++] = blank ? ' ' : buf[i];
		}
		ret_why[at] = '\0';
	}
}

static int run_argv(const char *dir, char *const *argv, char *ret_why, size_t why_size)
{
	CLEANUP_FD int rd = -1;
	int fds[2], status, r;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	rd = fds[0];
	pid = fork();
	if (pid < 0) {
		r = -errno;
		(void)close(fds[1]); /* nothing was written */
		return r;
	}
	if (pid == 0)
		run_child(dir, argv, fds[1]);
	(void)close(fds[1]); /* the child holds the other end */
	r = listen_to(pid, rd, ret_why, why_size);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (r < 0)
		return r;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_PROGRAM)
		return -ENOENT;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

int gnuplot_run(const char *dir, const char *const *stems, size_t n, char *ret_why, size_t why_size)
{
	CLEANUP_FREE char **argv = calloc(n + 3, sizeof(*argv));
	char program[] = "gnuplot", defaults[] = "--default-settings"; /* no file of the user's changes the figures */
	int r = argv ? 0 : -ENOMEM;

	ret_why[0] = '\0';
	if (r < 0 || n == 0)
		return r;
	argv[0] = program;
	argv[1] = defaults;
	for (size_t i = 0; i < n && r == 0; i++) {
		argv[2 + i] = str_printf("%s.gp", stems[i]);
		r = argv[2 + i] ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = run_argv(dir, argv, ret_why, why_size);
	for (size_t i = 0; i < n; i++)
		free(argv[2 + i]);
	return r;
}
