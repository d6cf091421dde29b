/* SPDX-License-Identifier: GPL-2.0-or-later */
/* version(): what the program says of itself, for the record of a run. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"
#include "kubeproxy.h"

#define ANSWER_NS (10 * NSEC_PER_SEC)
#define SAID_MAX 256

int kp_version_parse(const char *said, char ret[static TARGET_VERSION_MAX])
{
	static const char before[] = "Kubernetes v";
	const char *at = strstr(said, before);
	size_t len;

	if (!at)
		return -EBADMSG;
	at += sizeof(before) - 1;
	len = strcspn(at, " \n");
	if (len == 0 ||
	    (size_t)snprintf(ret, TARGET_VERSION_MAX, "kube-proxy v%.*s", (int)len, at) >= TARGET_VERSION_MAX)
		return -EBADMSG;
	return 0;
}

/* What it writes until its end, or until we have heard enough. */
static int hear(int fd, char said[static SAID_MAX])
{
	uint64_t end = clock_now_ns(&clock_monotonic) + ANSWER_NS, now;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t have = 0;

	while (have < SAID_MAX - 1 && (now = clock_now_ns(&clock_monotonic)) < end) {
		ssize_t n;

		if (poll(&p, 1, (int)((end - now) / NSEC_PER_MSEC) + 1) <= 0)
			continue;
		n = read(fd, said + have, SAID_MAX - 1 - have);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0) {
			said[have] = '\0';
			return 0;
		}
		have += n > 0 ? (size_t)n : 0;
	}
	return -ETIMEDOUT;
}

int kp_version(char ret[static TARGET_VERSION_MAX])
{
	CLEANUP_FREE char *program = NULL;
	CLEANUP_FD int from = -1, to = -1;
	char said[SAID_MAX], word[] = "--version";
	pid_t parent = getpid(), pid;
	int fds[2], r = kp_find_program(&program, NULL);

	if (r < 0)
		return r;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	from = fds[0];
	to = fds[1];
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		char *const argv[] = { program, word, NULL };

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail with a valid signal */
		if (getppid() == parent && dup2(to, STDOUT_FILENO) >= 0)
			(void)execv(program, argv);
		_exit(127);
	}
	cleanup_fd(&to); /* else there would be no end */
	to = -1;
	r = hear(from, said);
	(void)kill(pid, SIGKILL); /* ours, not reaped: it has ended, or does so now */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r < 0 ? r : kp_version_parse(said, ret);
}
