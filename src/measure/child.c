/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Waits for forked processes. Called by load.c and tool.c. */
#include "child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

int child_wait(pid_t pid, unsigned int timeout_ms, int *ret_status)
{
	CLEANUP_FD int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int r = pidfd < 0 ? -errno : 0, n;

	do
		n = r == 0 ? poll(&p, 1, (int)timeout_ms) : 0;
	while (n < 0 && errno == EINTR);
	if (n <= 0) {
		r = r < 0 ? r : -ETIMEDOUT;
		(void)kill(pid, SIGKILL); /* ours, not reaped */
	}
	(void)waitpid(pid, ret_status, 0); /* it has ended, or does so now */
	return r;
}
