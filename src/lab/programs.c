/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs of others in pods. Called by measure/ through lab.h, and by clean.c.
 *
 * A program is a child of ours that dies with us, so no state file has to know it. What it prints goes into a file in memory that cannot grow: past its
 * end writes fail, and nothing is left of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/util.h"
#include "internal.h"

#define OUTPUT_SIZE 16384
#define READY_DEADLINE_NS (30 * NSEC_PER_SEC)
#define LOOK_MS 2 /* how often it is looked whether they listen */
#define TABLE_SIZE_MAX (1u << 20) /* of /proc/net/tcp in a namespace with a handful of sockets */
#define TCP_LISTEN_STATE 0x0A

void lab_running_free(struct lab_running *p)
{
	free(p->name);
	cleanup_fd(&p->out_fd);
}

int lab_folder(const struct lab *lab, char **ret_path, struct err *e)
{
	CLEANUP_FREE char *path = NULL;
	char dir[512];

	lab_state_dir(lab->name, dir, sizeof(dir));
	path = str_printf("%s/files", dir);
	if (!path)
		return -ENOMEM;
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_set_errno(e, -errno, path, "cannot make the folder");
	*ret_path = TAKE_PTR(path);
	return 0;
}

/* ---- the child ---- */

static void child_fail(const char *what, int r) __attribute__((noreturn));
static void child_fail(const char *what, int r)
{
	dprintf(STDERR_FILENO, "%s: %s\n", what, strerror(-r));
	_exit(127);
}

static void child_run(const struct lab *lab, const struct lab_pod *pod, const struct lab_program *p, const char *folder,
		      int out_fd, pid_t parent) __attribute__((noreturn));
static void child_run(const struct lab *lab, const struct lab_pod *pod, const struct lab_program *p, const char *folder,
		      int out_fd, pid_t parent)
{
	char tmp[600];
	char *env[] = { "PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "HOME=/", tmp, NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int r = lab_child_place(lab, pod); /* first: it needs the lab's fds */

	lab_child_detach(parent, false);
	(void)dup2(null, STDIN_FILENO);
	(void)dup2(out_fd, STDOUT_FILENO);
	(void)dup2(out_fd, STDERR_FILENO);
	(void)syscall(SYS_close_range, 3, ~0u, 0); /* all are CLOEXEC anyway */
	(void)snprintf(tmp, sizeof(tmp), "TMPDIR=%s", folder);
	if (r < 0)
		child_fail("cannot enter the pod's network namespace, cgroup and CPUs", r);
	(void)execve(p->argv[0], (char *const *)p->argv, env);
	child_fail(p->argv[0], -errno);
}

/* ---- what they say, and whether they listen ---- */

/* The last line that is not empty. */
static void last_words(const struct lab_running *p, char *buf, size_t size)
{
	char text[OUTPUT_SIZE + 1];
	off_t end = lseek(p->out_fd, 0, SEEK_CUR); /* shared with the program: as far as it has written */
	ssize_t n = end > 0 ? pread(p->out_fd, text, MIN((size_t)end, sizeof(text) - 1), 0) : 0;
	char *line;

	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
		n--;
	text[MAX(n, (ssize_t)0)] = '\0';
	line = strrchr(text, '\n');
	(void)snprintf(buf, size, "%s", line ? line + 1 : text);
	for (char *c = buf; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
			*c = '?';
}

static int has_ended(const struct lab_running *p, struct err *e)
{
	char words[200];

	if (lab_proc_alive(&p->proc))
		return 0;
	last_words(p, words, sizeof(words));
	return err_set(e, -ECHILD, p->name, "the program ended%s%s", words[0] ? ": " : " without a word", words);
}

int lab_check_programs(const struct lab *lab, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < lab->programs.n && r == 0; i++)
		r = has_ended(&lab->programs.v[i], e);
	return r;
}

/* Ticks off the ports that somebody listens on in the program's namespace: lines "0: 00000000:1F90 00000000:0000 0A ...". */
static void tick_ports(uint16_t *ports, size_t n, pid_t pid, const char *table)
{
	CLEANUP_FREE char *text = NULL;
	char path[64];
	size_t size;

	(void)snprintf(path, sizeof(path), "/proc/%d/net/%s", (int)pid, table);
	if (read_file(path, TABLE_SIZE_MAX, &text, &size) < 0)
		return; /* it has just ended, or has no IPv6 */
	for (const char *line = strchr(text, '\n'); line; line = strchr(line + 1, '\n')) {
		unsigned int port, state;

		if (sscanf(line + 1, "%*u: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x", &port, &state) != 2 ||
		    state != TCP_LISTEN_STATE)
			continue;
		for (size_t i = 0; i < n; i++)
			if (ports[i] == port)
				ports[i] = 0;
	}
}

/* Is the child where it belongs? Before, its tables are those of the host. */
static bool in_place(const struct lab_running *p)
{
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)p->proc.pid);
	return stat(path, &st) == 0 && st.st_ino == p->netns;
}

static bool listens(const struct lab_running *p)
{
	uint16_t left[ARRAY_LEN(p->tcp_ports)];

	if (!in_place(p))
		return false;
	memcpy(left, p->tcp_ports, sizeof(left));
	tick_ports(left, ARRAY_LEN(left), p->proc.pid, "tcp");
	tick_ports(left, ARRAY_LEN(left), p->proc.pid, "tcp6");
	for (size_t i = 0; i < ARRAY_LEN(left); i++)
		if (left[i])
			return false;
	return true;
}

static int wait_listening(struct lab *lab, struct err *e)
{
	uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + READY_DEADLINE_NS;

	for (size_t i = 0; i < lab->programs.n;) {
		const struct lab_running *p = &lab->programs.v[i];
		int r;

		if (listens(p)) {
			i++;
			continue;
		}
		r = has_ended(p, e);
		if (r == 0 && lab_stopped(lab))
			r = err_set(e, -EINTR, lab->name, "interrupted");
		if (r == 0 && clock_now_ns(&clock_monotonic) > deadline_ns)
			r = err_set(e, -ETIMEDOUT, p->name, "the program does not listen");
		if (r < 0)
			return r;
		(void)poll(NULL, 0, LOOK_MS);
	}
	return 0;
}

/* ---- start and end ---- */

/* A file in memory of a fixed size. */
static int output_file(void)
{
	CLEANUP_FD int fd = memfd_create("offkube-program", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, OUTPUT_SIZE) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int start_one(struct lab *lab, const struct lab_program *p, const char *folder, struct err *e)
{
	const struct lab_pod *pod = lab_find_pod(lab, p->ns, p->pod);
	const char *base = strrchr(p->argv[0], '/');
	struct lab_running run = { .out_fd = -1 };
	pid_t parent = getpid();
	struct stat st;
	int r;

	if (!pod)
		return err_set(e, -ENOENT, p->pod, "the lab has no such pod");
	if (fstat(lab_pod_netns(lab, p->ns, p->pod), &st) < 0)
		return err_set_errno(e, -errno, pod->key, "the pod's network namespace");
	run.netns = st.st_ino;
	memcpy(run.tcp_ports, p->tcp_ports, sizeof(run.tcp_ports));
	run.name = str_printf("%s in %s", base ? base + 1 : p->argv[0], pod->key);
	run.out_fd = output_file();
	r = !run.name ? -ENOMEM : run.out_fd < 0 ? run.out_fd : vec_reserve(&lab->programs, lab->programs.n + 1);
	if (r == 0) {
		run.proc.pid = fork();
		if (run.proc.pid == 0)
			child_run(lab, pod, p, folder, run.out_fd, parent);
		r = run.proc.pid < 0 ? -errno : 0;
	}
	if (r < 0) {
		lab_running_free(&run);
		return err_set_errno(e, r, p->argv[0], "cannot start the program in %s", pod->key);
	}
	run.proc.start = lab_proc_start(run.proc.pid);
	return vec_push(&lab->programs, run); /* room is there */
}

int lab_start_programs(struct lab *lab, const struct lab_program *programs, size_t n, struct err *e)
{
	CLEANUP_FREE char *folder = NULL;
	int r;

	if (lab->keep)
		return err_set(e, -EINVAL, lab->name, "a lab that is kept runs no programs");
	r = lab_folder(lab, &folder, e);
	for (size_t i = 0; i < n && r == 0; i++)
		r = start_one(lab, &programs[i], folder, e);
	return r < 0 ? r : wait_listening(lab, e);
}

int lab_programs_stop(struct lab *lab, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < lab->programs.n; i++)
		(void)lab_proc_kill(&lab->programs.v[i].proc, false, NULL); /* the second pass tells */
	for (size_t i = 0; i < lab->programs.n; i++) {
		int ri = lab_proc_kill(&lab->programs.v[i].proc, true, e);

		r = r ? r : ri;
		lab_running_free(&lab->programs.v[i]);
	}
	lab->programs.n = 0;
	return r;
}
