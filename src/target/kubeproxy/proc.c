/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes that the mark names. Called by ops.c and counters.c. */
#include "proc.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cleanup.h"
#include "base/str.h"

#define PROC_FILE_MAX 65536

static int read_proc(pid_t pid, const char *name, char **ret)
{
	char path[64];
	size_t size;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return read_file(path, PROC_FILE_MAX, ret, &size);
}

/* Fields of /proc/PID/stat from number 3 (the state) on; the name before may hold anything. A zombie is gone. */
static int read_stat(pid_t pid, uint64_t ret_cpu_ticks[1], uint64_t *ret_start)
{
	CLEANUP_FREE char *text = NULL;
	unsigned long long v[4], start;
	const char *at;
	char state;

	if (pid <= 0 || read_proc(pid, "stat", &text) < 0)
		return -ESRCH;
	at = strrchr(text, ')');
	if (!at ||
	    sscanf(at + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu %llu %*d %*d %*d %*d %llu",
		   &state, &v[0], &v[1], &v[2], &v[3], &start) != 6 ||
	    state == 'Z' || state == 'X')
		return -ESRCH;
	*ret_cpu_ticks = v[0] + v[1] + v[2] + v[3];
	*ret_start = start;
	return 0;
}

uint64_t proc_start(pid_t pid)
{
	uint64_t cpu, start;

	return read_stat(pid, &cpu, &start) < 0 ? 0 : start;
}

static uint64_t status_kib(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 10) * 1024 : 0;
}

int proc_use_read(pid_t pid, uint64_t start, struct proc_use *ret)
{
	CLEANUP_FREE char *text = NULL;
	uint64_t cpu, now;
	long hz = sysconf(_SC_CLK_TCK);

	if (read_stat(pid, &cpu, &now) < 0 || now != start || read_proc(pid, "status", &text) < 0)
		return -ESRCH;
	*ret = (struct proc_use){
		.rss_bytes = status_kib(text, "\nVmRSS:"),
		.peak_rss_bytes = status_kib(text, "\nVmHWM:"),
		.cpu_ns = hz > 0 ? cpu * (NSEC_PER_SEC / (uint64_t)hz) : 0,
	};
	return 0;
}

int proc_end(pid_t pid, uint64_t start, int timeout_ms)
{
	uint64_t end = clock_now_ns(&clock_monotonic) + (uint64_t)timeout_ms * NSEC_PER_MSEC;

	if (!start || proc_start(pid) != start)
		return 0;
	(void)kill(pid, SIGKILL);
	while (proc_start(pid) == start) {
		if (clock_now_ns(&clock_monotonic) >= end)
			return -ETIMEDOUT;
		(void)poll(NULL, 0, 2); /* not our child: nothing tells its end */
	}
	return 0;
}
