/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Idle connections. Called by eval_sweep.c. As many processes as the limit of open files asks for; each end of a socket pair tells one of them what to do. */
#include "holder.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "lab/responder.h"
#include "place.h"

#define PER_PROCESS 12500
#define PROCESSES_MAX (HOLDER_MAX / PER_PROCESS)
#define TIMEOUT_S 2 /* of one connection, of one answer */
#define STOP_LOOK_MS 200

struct holder {
	size_t n; /* processes */
	pid_t pids[PROCESSES_MAX];
	int fds[PROCESSES_MAX];
	const volatile int *stop;
};

DEFINE_CLEANUP(struct holder *, holder_stop);

/* What a process says after each thing that it did. */
struct answer {
	int r;
	uint32_t n; /* standing, or broken */
};

/* ---- the process ---- */

static int connect_one(const struct load_target *t)
{
	const struct timeval timeout = { .tv_sec = TIMEOUT_S };
	const struct linger rst = { .l_onoff = 1 }; /* no side keeps TIME_WAIT */
	struct sockaddr_storage ss;
	socklen_t len = ip_addr_to_sockaddr(&t->addr, t->port, &ss);
	CLEANUP_FD int fd = socket(t->addr.fam, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
	    connect(fd, (struct sockaddr *)&ss, len) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static struct answer connect_all(const struct load_target *targets, size_t n_targets, int *fds, uint32_t n)
{
	struct answer a = {};

	for (; a.n < n; a.n++) {
		fds[a.n] = connect_one(&targets[a.n % n_targets]);
		if (fds[a.n] < 0) {
			a.r = fds[a.n];
			break;
		}
	}
	return a;
}

static bool is_answered(int fd)
{
	uint8_t req[RESPONDER_REQUEST_SIZE], buf[RESPONDER_REPLY_MAX];
	struct responder_reply reply;
	size_t have = 0, size;
	int r = -EAGAIN;

	responder_build_request((uint64_t)fd, 0, RESPONDER_REPLY_MIN, req);
	if (send(fd, req, sizeof(req), MSG_NOSIGNAL) != (ssize_t)sizeof(req))
		return false;
	while (r == -EAGAIN) {
		ssize_t n = recv(fd, buf + have, sizeof(buf) - have, 0);

		if (n <= 0)
			return false;
		have += (size_t)n;
		r = responder_parse_reply(buf, have, &reply, &size);
	}
	return r == 0 && reply.id == (uint64_t)fd;
}

_Noreturn static void hold(int fd, int netns_fd, int cgroup_fd, const struct load_target *targets, size_t n_targets,
			   uint32_t n, pid_t parent)
{
	struct rlimit files = {};
	struct answer a = {};
	int *fds = calloc(n, sizeof(*fds));
	char order;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail with a valid signal */
	if (getppid() != parent)
		_exit(0);
	(void)signal(SIGINT, SIG_IGN); /* the parent ends us in order */
	(void)signal(SIGTERM, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files); /* refused: connect_all will tell */
	}
	a.r = fds ? place_enter(netns_fd, cgroup_fd, 0) : -ENOMEM;
	if (a.r == 0)
		a = connect_all(targets, n_targets, fds, n);
	while (send(fd, &a, sizeof(a), MSG_NOSIGNAL) == (ssize_t)sizeof(a) && recv(fd, &order, 1, 0) == 1) {
		a = (struct answer){};
		for (uint32_t i = 0; i < n; i++)
			a.n += !is_answered(fds[i]);
	}
	_exit(0);
}

/* ---- our side ---- */

static int wait_answer(const struct holder *h, size_t i, uint32_t *ret_n, struct err *e)
{
	struct pollfd p = { .fd = h->fds[i], .events = POLLIN };
	struct answer a;

	while (poll(&p, 1, STOP_LOOK_MS) <= 0)
		if (*h->stop)
			return -EINTR;
	if (recv(h->fds[i], &a, sizeof(a), 0) != (ssize_t)sizeof(a))
		return err_set(e, -ECHILD, "idle connections", "a process that holds them has ended");
	if (a.r < 0)
		return err_set_errno(e, a.r, "idle connections", "after %u of them", a.n);
	*ret_n += a.n;
	return 0;
}

static int start_process(struct holder *h, int netns_fd, int cgroup_fd, const struct load_target *targets,
			 size_t n_targets, uint32_t n)
{
	pid_t parent = getpid();
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	h->fds[h->n] = fds[0];
	h->pids[h->n] = fork();
	if (h->pids[h->n] == 0) {
		(void)close(fds[0]);
		hold(fds[1], netns_fd, cgroup_fd, targets, n_targets, n, parent);
	}
	(void)close(fds[1]);
	return h->pids[h->n++] < 0 ? -errno : 0;
}

int holder_start(int netns_fd, int cgroup_fd, const struct load_target *targets, size_t n_targets, uint32_t n,
		 const volatile int *stop, struct holder **ret, struct err *e)
{
	CLEANUP(holder_stopp) struct holder *h = calloc(1, sizeof(*h));
	uint32_t n_standing = 0;
	int r = 0;

	if (!h)
		return -ENOMEM;
	h->stop = stop;
	if (n > HOLDER_MAX || n_targets == 0)
		return err_set(e, -EINVAL, "idle connections", "%u to %zu targets", n, n_targets);
	for (uint32_t left = n; left > 0 && r == 0; left -= MIN(left, (uint32_t)PER_PROCESS))
		r = start_process(h, netns_fd, cgroup_fd, targets, n_targets, MIN(left, (uint32_t)PER_PROCESS));
	for (size_t i = 0; i < h->n && r == 0; i++)
		r = wait_answer(h, i, &n_standing, e);
	if (r == 0)
		*ret = TAKE_PTR(h);
	return r;
}

int holder_check(struct holder *h, uint32_t *ret_n_broken, struct err *e)
{
	uint32_t n = 0;
	int r = 0;

	for (size_t i = 0; i < h->n && r == 0; i++)
		r = send(h->fds[i], "?", 1, MSG_NOSIGNAL) == 1 ? 0 : -errno;
	for (size_t i = 0; i < h->n && r == 0; i++)
		r = wait_answer(h, i, &n, e);
	if (r == 0)
		*ret_n_broken = n;
	return r;
}

void holder_stop(struct holder *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->n; i++)
		if (h->pids[i] > 0)
			(void)kill(h->pids[i], SIGKILL); /* ours, not reaped */
	for (size_t i = 0; i < h->n; i++) {
		if (h->pids[i] > 0)
			(void)waitpid(h->pids[i], NULL, 0);
		(void)close(h->fds[i]);
	}
	free(h);
}
