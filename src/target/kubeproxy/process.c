/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Our end of the server process. Called by ops.c and feed.c. */
#include "process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cleanup.h"
#include "base/util.h"
#include "net/netns.h"
#include "proc.h"

#define CTL_FD 3
#define ANSWER_MS 30000 /* to answer a question; the machine may be busy */
#define END_MS 5000

struct kp_process {
	pid_t pid; /* also the id of the group of all that run */
	uint64_t start; /* as proc_start() has it */
	int fd;
	uint32_t n_asked;
};

/* ---- life ---- */

/* In the child: nothing of the parent's stays open but the socket and standard error (for the sanitizers). */
static _Noreturn void child(const struct kp_process_conf *conf, int fd, pid_t parent)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail with a valid signal */
	if (getppid() != parent)
		_exit(0); /* it died before */
	/* The terminal's signals are for the parent, which ends us in order, and with us whomever kube-proxy has started. */
	if (setpgid(0, 0) < 0)
		_exit(1);
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGPIPE, SIG_IGN);
	if (dup2(fd, CTL_FD) < 0 || close_range(CTL_FD + 1, ~0u, 0) < 0)
		_exit(1);
	kp_server_main(conf, CTL_FD);
}

/* The child enters the namespace by being forked there. */
static pid_t fork_in(const struct kp_process_conf *conf, int fd, struct err *e)
{
	pid_t parent = getpid(), pid;
	int old = -1;
	int r = netns_enter(conf->netns_fd, &old);

	if (r < 0)
		return err_set_errno(e, r, conf->node, "cannot enter the node's network namespace");
	pid = fork();
	if (pid == 0)
		child(conf, fd, parent);
	r = pid < 0 ? -errno : 0;
	netns_leave(old);
	return r < 0 ? err_set_errno(e, r, conf->node, "cannot fork") : pid;
}

int kp_process_start(const struct kp_process_conf *conf, struct kp_process **ret, struct err *e)
{
	struct kp_process *p = calloc(1, sizeof(*p));
	struct kp_status status;
	int fds[2], r = 0;

	if (!p)
		return err_set(e, -ENOMEM, NULL, "out of memory");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		r = err_set_errno(e, -errno, NULL, "cannot make a socket pair");
	if (r == 0) {
		p->fd = fds[0];
		p->pid = fork_in(conf, fds[1], e);
		(void)close(fds[1]);
		if (p->pid < 0) {
			r = (int)p->pid;
			(void)close(p->fd);
		} else {
			p->start = proc_start(p->pid);
		}
	}
	if (r < 0) {
		free(p);
		return r;
	}
	r = kp_process_ask(p, &status, e); /* it listens */
	if (r < 0) {
		kp_process_stop(p);
		return r;
	}
	*ret = p;
	return 0;
}

/* Not yet buried: as long as it is not, nobody else gets its pid, which is the group's id. */
static bool has_ended(pid_t pid, int timeout_ms)
{
	uint64_t end = clock_now_ns(&clock_monotonic) + (uint64_t)timeout_ms * NSEC_PER_MSEC;

	for (;;) {
		siginfo_t info = {};
		int r = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);

		if (r < 0 ? errno != EINTR : info.si_pid == pid)
			return true;
		if (clock_now_ns(&clock_monotonic) >= end)
			return false;
		(void)poll(NULL, 0, 5); /* a process has no descriptor that says its end on every kernel */
	}
}

void kp_process_stop(struct kp_process *p)
{
	if (!p)
		return;
	/* It hears that, and ends kube-proxy and itself. Closing is not enough: processes that were forked since hold copies. */
	(void)shutdown(p->fd, SHUT_RDWR);
	(void)close(p->fd);
	if (!has_ended(p->pid, END_MS)) {
		(void)kill(p->pid, SIGKILL);
		(void)has_ended(p->pid, END_MS);
	}
	/* An nft that kube-proxy has started outlives it, and would write when others count on what is there. In vain: whoever needs it gone tries again, by the
	 * mark. */
	(void)proc_end_group(p->pid, p->start, KP_GROUP_END_MS);
	(void)waitpid(p->pid, NULL, WNOHANG);
	free(p);
}

pid_t kp_process_pid(const struct kp_process *p)
{
	return p->pid;
}

/* ---- talk ---- */

static int gone(struct err *e)
{
	return err_set(e, -EPIPE, "kube-proxy", "the process that serves it has ended");
}

static int send_all(struct kp_process *p, struct iovec *iov, size_t n, struct err *e)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = n };

	while (m.msg_iovlen) {
		ssize_t done = sendmsg(p->fd, &m, MSG_NOSIGNAL);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return gone(e);
		while (m.msg_iovlen && (size_t)done >= m.msg_iov->iov_len) {
			done -= (ssize_t)m.msg_iov->iov_len;
			m.msg_iov++;
			m.msg_iovlen--;
		}
		if (m.msg_iovlen) {
			m.msg_iov->iov_base = (char *)m.msg_iov->iov_base + done;
			m.msg_iov->iov_len -= (size_t)done;
		}
	}
	return 0;
}

static int send_object(struct kp_process *p, enum kp_op op, enum api_kind kind, const char *key, uint64_t version,
		       const struct strbuf *json, const struct strbuf *proto, struct err *e)
{
	struct kp_msg m = {
		.op = op,
		.kind = kind,
		.key_size = (uint32_t)strlen(key) + 1,
		.json_size = (uint32_t)json->len,
		.proto_size = (uint32_t)proto->len,
		.version = version,
	};
	struct iovec iov[] = {
		{ &m, sizeof(m) },
		{ (char *)key, m.key_size },
		{ json->buf, json->len },
		{ proto->buf, proto->len },
	};

	if (json->failed || proto->failed)
		return err_set(e, -ENOMEM, key, "out of memory");
	if (m.key_size > KP_MSG_KEY_MAX || json->len > KP_MSG_BODY_MAX || proto->len > KP_MSG_BODY_MAX)
		return err_set(e, -E2BIG, key, "the object is too large");
	return send_all(p, iov, ARRAY_LEN(iov), e);
}

int kp_process_put(struct kp_process *p, enum api_kind kind, const char *key, uint64_t version,
		   const struct strbuf *json, const struct strbuf *proto, struct err *e)
{
	return send_object(p, KP_OP_PUT, kind, key, version, json, proto, e);
}

int kp_process_del(struct kp_process *p, enum api_kind kind, const char *key, uint64_t version,
		   const struct strbuf *json, const struct strbuf *proto, struct err *e)
{
	return send_object(p, KP_OP_DEL, kind, key, version, json, proto, e);
}

static int send_op(struct kp_process *p, enum kp_op op, struct err *e)
{
	struct kp_msg m = { .op = op };
	struct iovec iov = { &m, sizeof(m) };

	return send_all(p, &iov, 1, e);
}

int kp_process_run(struct kp_process *p, struct err *e)
{
	return send_op(p, KP_OP_RUN, e);
}

/* 1 = *ret is the next status, 0 = nothing to read. */
static int read_status(struct kp_process *p, struct kp_status *ret, struct err *e)
{
	size_t size = 0;

	while (size < sizeof(*ret)) {
		/* The rest of a status that has begun comes at once. */
		ssize_t n = recv(p->fd, (char *)ret + size, sizeof(*ret) - size, size ? 0 : MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0)
			return gone(e);
		size += (size_t)n;
	}
	return 1;
}

int kp_process_wait(struct kp_process *p, int timeout_ms, struct kp_status *ret, struct err *e)
{
	struct pollfd pfd = { .fd = p->fd, .events = POLLIN };
	struct kp_status st;
	int r, any = 0;

	if (poll(&pfd, 1, timeout_ms) < 0 && errno != EINTR)
		return err_set_errno(e, -errno, NULL, "cannot wait");
	while ((r = read_status(p, &st, e)) > 0) {
		*ret = st;
		any = 1;
	}
	return r < 0 ? r : any;
}

int kp_process_ask(struct kp_process *p, struct kp_status *ret, struct err *e)
{
	uint64_t end = clock_now_ns(&clock_monotonic) + ANSWER_MS * NSEC_PER_MSEC;
	int r = send_op(p, KP_OP_ASK, e);

	if (r < 0)
		return r;
	p->n_asked++;
	for (;;) {
		struct kp_status st = {};

		r = kp_process_wait(p, 1000, &st, e);
		if (r < 0)
			return r;
		if (r > 0 && st.n_asked == p->n_asked) {
			*ret = st;
			return 0;
		}
		if (clock_now_ns(&clock_monotonic) >= end)
			return err_set(e, -ETIMEDOUT, "kube-proxy", "the process that serves it does not answer");
	}
}
