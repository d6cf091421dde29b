/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes that the mark names. Called by ops.c, process.c and counters.c. */
#include "proc.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "base/util.h"
#include "base/vec.h"

#define PROC_FILE_MAX 65536

static int read_proc(pid_t pid, const char *name, char **ret)
{
	char path[64];
	size_t size;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return read_file(path, PROC_FILE_MAX, ret, &size);
}

struct stat_line {
	pid_t group;
	uint64_t cpu_ticks, start;
	bool gone; /* a zombie, which only waits to be buried */
};

/* Fields of /proc/PID/stat from number 3 (the state) on; the name before may hold anything. */
static int read_stat(pid_t pid, struct stat_line *ret)
{
	CLEANUP_FREE char *text = NULL;
	unsigned long long v[4], start;
	const char *at;
	char state;
	int group;

	if (pid <= 0 || read_proc(pid, "stat", &text) < 0)
		return -ESRCH;
	at = strrchr(text, ')');
	if (!at || sscanf(at + 1, " %c %*d %d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu %llu %*d %*d %*d %*d %llu",
			  &state, &group, &v[0], &v[1], &v[2], &v[3], &start) != 7)
		return -ESRCH;
	*ret = (struct stat_line){ .group = group,
				   .cpu_ticks = v[0] + v[1] + v[2] + v[3],
				   .start = start,
				   .gone = state == 'Z' || state == 'X' };
	return 0;
}

uint64_t proc_start(pid_t pid)
{
	struct stat_line s;

	return read_stat(pid, &s) < 0 || s.gone ? 0 : s.start;
}

static uint64_t status_kib(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 10) * 1024 : 0;
}

int proc_use_read(pid_t pid, uint64_t start, struct proc_use *ret)
{
	CLEANUP_FREE char *text = NULL;
	struct stat_line s;
	long hz = sysconf(_SC_CLK_TCK);

	if (read_stat(pid, &s) < 0 || s.gone || s.start != start || read_proc(pid, "status", &text) < 0)
		return -ESRCH;
	*ret = (struct proc_use){
		.rss_bytes = status_kib(text, "\nVmRSS:"),
		.peak_rss_bytes = status_kib(text, "\nVmHWM:"),
		.cpu_ns = hz > 0 ? s.cpu_ticks * (NSEC_PER_SEC / (uint64_t)hz) : 0,
	};
	return 0;
}

static uint64_t deadline(int timeout_ms)
{
	return clock_now_ns(&clock_monotonic) + (uint64_t)timeout_ms * NSEC_PER_MSEC;
}

static int wait_gone(pid_t pid, uint64_t start, uint64_t end_ns)
{
	while (proc_start(pid) == start) {
		if (clock_now_ns(&clock_monotonic) >= end_ns)
			return -ETIMEDOUT;
		(void)poll(NULL, 0, 2); /* not our child: nothing tells its end */
	}
	return 0;
}

int proc_end(pid_t pid, uint64_t start, int timeout_ms)
{
	if (!start || proc_start(pid) != start)
		return 0;
	(void)kill(pid, SIGKILL);
	return wait_gone(pid, start, deadline(timeout_ms));
}

/* ---- groups ---- */

struct member {
	pid_t pid;
	uint64_t start;
};

struct members {
	VEC(struct member) v;
};

static void members_free(struct members *m)
{
	vec_free(&m->v);
}

/* Those that live. */
static int list_members(pid_t group, struct members *ret)
{
	DIR *dir = opendir("/proc");
	const struct dirent *d;
	int r = dir ? 0 : -errno;

	while (r == 0 && (d = readdir(dir))) {
		pid_t pid = (pid_t)strtol(d->d_name, NULL, 10); /* 0: no process */
		struct stat_line s;

		if (read_stat(pid, &s) == 0 && s.group == group && !s.gone)
			r = vec_push(&ret->v, ((struct member){ pid, s.start }));
	}
	if (dir)
		(void)closedir(dir); /* only read */
	return r;
}

static bool has_word(pid_t pid, const char *word)
{
	CLEANUP_FREE char *env = NULL;
	char path[64];
	size_t size = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	if (read_file(path, PROC_FILE_MAX, &env, &size) < 0)
		return false;
	for (size_t at = 0; at < size; at += strlen(env + at) + 1)
		if (strcmp(env + at, word) == 0)
			return true;
	return false;
}

static bool is_ours(pid_t id, uint64_t start, const struct members *m)
{
	struct stat_line leader;
	char word[80];

	if (read_stat(id, &leader) == 0)
		return leader.start == start;
	(void)snprintf(word, sizeof(word), PROC_GROUP_ENV "=%d.%" PRIu64, (int)id, start);
	for (size_t i = 0; i < m->v.n; i++)
		if (has_word(m->v.v[i].pid, word))
			return true;
	return false;
}

int proc_end_group(pid_t id, uint64_t start, int timeout_ms)
{
	CLEANUP(members_free) struct members before = {};
	CLEANUP(members_free) struct members after = {};
	uint64_t end_ns = deadline(timeout_ms);
	int r;

	if (!start || id <= 1 || id == getpgrp())
		return 0;
	r = list_members(id, &before);
	if (r < 0 || before.v.n == 0 || !is_ours(id, start, &before))
		return r;
	/* From here on the group only becomes smaller: whoever is in it has the signal, and no more fork()s. */
	(void)kill(-id, SIGKILL);
	r = list_members(id, &after);
	for (size_t i = 0; i < after.v.n && r == 0; i++)
		r = wait_gone(after.v.v[i].pid, after.v.v[i].start, end_ns);
	return r;
}
