/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processes in the pods: which ports they serve, how they start and end. Called by lab.c and clean.c.
 *
 * A server is forked, not executed: one process per pod, in its pod's network namespace and its node's cgroup. It
 * waits until its pid stands in the state file ("go"); up to then it dies with us whatever happens, after that a
 * kept lab's server is let go.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "internal.h"
#include "net/cgroup.h"

#define PROCESS_NAME "ok-pod"
#define READY_DEADLINE_NS (60 * NSEC_PER_SEC)
#define LOOK_MS 100 /* how often children that died without a word are looked for */

/* ---- what every pod has to serve ---- */

static int want(struct lab_pod *pod, uint8_t proto, uint16_t port)
{
	if ((proto != IPPROTO_TCP && proto != IPPROTO_UDP) || !port)
		return 0; /* SCTP: crafted packets only */
	for (size_t i = 0; i < pod->want.n; i++)
		if (pod->want.v[i].proto == proto && pod->want.v[i].port == port)
			return 0;
	return vec_push(&pod->want, (struct responder_port){ proto, port });
}

/* The pod of the node's own network that has the port; NULL = nobody. */
static struct lab_pod *host_pod_with(const struct lab *lab, const char *node, uint8_t proto, uint16_t port, bool or_any)
{
	struct lab_pod *any = NULL;

	for (size_t i = 0; i < lab->pods.n; i++) {
		struct lab_pod *p = lab->pods.v[i];

		if (!p->host_network || strcmp(p->node, node) != 0)
			continue;
		if (!any)
			any = p;
		for (size_t k = 0; k < p->want.n; k++)
			if (p->want.v[k].proto == proto && p->want.v[k].port == port)
				return p;
	}
	return or_any ? any : NULL;
}

static int want_of_pod(const struct pod *p, void *arg)
{
	const struct lab *lab = arg;
	struct lab_pod *lp = lab_find_pod(lab, p->ns, p->name);
	int r = 0;

	if (str_eq(p->ns, lab->bare_ns))
		return 0;
	for (size_t i = 0; lp && !r && i < p->n_ports; i++) {
		const struct lab_pod *other = NULL;

		if (lp->host_network)
			other = host_pod_with(lab, lp->node, p->ports[i].proto, p->ports[i].port, false);
		if (other && other != lp) /* the scheduler would not have put both here: the first serves */
			log_debug("event=port-clash pod=%s port=%u other=%s why=\"same node network\"", lp->key,
				  p->ports[i].port, other->key);
		else
			r = want(lp, p->ports[i].proto, p->ports[i].port);
	}
	return r;
}

static int want_of_endpoint(const struct lab *lab, const struct service_port *sp, const struct endpoint *ep)
{
	const struct pod *p = snapshot_pod_by_ip(lab->snapshot, &ep->addr);
	const struct node *n = p ? NULL : snapshot_node_by_ip(lab->snapshot, &ep->addr);
	struct lab_pod *lp = NULL;

	if (p)
		lp = lab_find_pod(lab, p->ns, p->name);
	else if (n)
		lp = host_pod_with(lab, n->name, sp->proto, ep->port, true);
	return lp ? want(lp, sp->proto, ep->port) : 0; /* else: an endpoint outside of the lab */
}

static int want_of_service(const struct service *s, void *arg)
{
	if (str_eq(s->ns, ((const struct lab *)arg)->bare_ns))
		return 0;
	for (size_t i = 0; i < s->n_ports; i++)
		for (int f = 0; f < IP_FAMILY_MAX; f++)
			for (size_t k = 0; k < s->ports[i].n_endpoints[f]; k++) {
				int r = want_of_endpoint(arg, &s->ports[i], &s->ports[i].endpoints[f][k]);

				if (r < 0)
					return r;
			}
	return 0;
}

/* In the order of names, so that of two pods that clash it is always the same that serves. */
static int collect_wants(struct lab *lab)
{
	CLEANUP_FREE const struct pod **pods = NULL;
	size_t n = 0;
	int r = snapshot_sorted_pods(lab->snapshot, &pods, &n);

	for (size_t i = 0; i < lab->pods.n; i++)
		lab->pods.v[i]->want.n = 0;
	for (size_t i = 0; !r && i < n; i++)
		r = want_of_pod(pods[i], lab);
	return r ? r : snapshot_each_service(lab->snapshot, want_of_service, lab);
}

/* Takes from each pod's wants what one of its live servers serves; servers that ended are forgotten. */
static void drop_served(struct lab *lab)
{
	size_t n_kept = 0;

	for (size_t i = 0; i < lab->servers.n; i++) {
		struct lab_server *s = &lab->servers.v[i];
		struct lab_pod *p = map_get_str(lab->by_key, s->pod);

		if (!lab_proc_alive(&s->proc)) {
			(void)waitpid(s->proc.pid, NULL, WNOHANG); /* if it was ours */
			free(s->pod);
			vec_free(&s->ports);
			continue;
		}
		for (size_t k = 0; p && k < p->want.n;) {
			bool served = false;

			for (size_t m = 0; m < s->ports.n; m++)
				served |= s->ports.v[m].proto == p->want.v[k].proto &&
					  s->ports.v[m].port == p->want.v[k].port;
			if (served)
				p->want.v[k] = p->want.v[--p->want.n];
			else
				k++;
		}
		lab->servers.v[n_kept++] = *s;
	}
	lab->servers.n = n_kept;
}

/* ---- the child ---- */

struct start {
	struct lab *lab;
	pid_t parent;
	int go[2], ready[2], fail[2];
	size_t n_children;
};

/* What a child that cannot serve says before it ends; fits PIPE_BUF. */
struct failure {
	int code;
	char text[400];
};

static void keep_fds(int *fds, size_t n)
{
	unsigned int next = 3;

	for (size_t i = 0; i < n; i++)
		for (size_t k = i + 1; k < n; k++)
			if (fds[k] < fds[i]) {
				int swap = fds[i];

				fds[i] = fds[k];
				fds[k] = swap;
			}
	for (size_t i = 0; i < n; i++) {
		if ((unsigned int)fds[i] > next)
			(void)syscall(SYS_close_range, next, (unsigned int)fds[i] - 1,
				      0); /* best effort: they would only be held open */
		next = MAX(next, (unsigned int)fds[i] + 1);
	}
	(void)syscall(SYS_close_range, next, ~0u, 0);
}

void lab_child_detach(pid_t parent, bool ignore_pipe)
{
	sigset_t none;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	(void)setsid(); /* fails for no fresh child */
	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, sig == SIGPIPE && ignore_pipe ? SIG_IGN : SIG_DFL); /* SIGKILL and SIGSTOP refuse */
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Of our own: no signals from our terminal, none of our handlers, none of our files, death with us. */
static void child_detach(const struct start *st)
{
	int fds[] = { st->go[0], st->ready[1], st->fail[1] };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	lab_child_detach(st->parent, true);
	(void)prctl(PR_SET_NAME, PROCESS_NAME);
	(void)dup2(null, STDIN_FILENO);
	(void)dup2(null, STDOUT_FILENO);
	if (st->lab->keep)
		(void)dup2(null, STDERR_FILENO);
	keep_fds(fds, ARRAY_LEN(fds));
}

int lab_child_place(const struct lab *lab, const struct lab_pod *pod)
{
	const struct lab_node *node = lab_find_node(lab, pod->node);
	int ns = pod->host_network ? node->netns_fd : pod->netns_fd;
	cpu_set_t cpus;
	int r = cgroup_enter(node->cgroup_fd);

	if (r < 0)
		return r;
	if (setns(ns, CLONE_NEWNET) < 0)
		return -errno;
	CPU_ZERO(&cpus);
	for (int i = 0; i < 64; i++)
		if (lab->server_cpus >> i & 1)
			CPU_SET(i, &cpus);
	if (lab->server_cpus && sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
		return -errno;
	return 0;
}

static void child_run(const struct start *st, const struct lab_pod *pod) __attribute__((noreturn));
static void child_run(const struct start *st, const struct lab_pod *pod)
{
	struct failure f = {};
	struct err e = {};
	char go;
	int r = lab_child_place(st->lab, pod); /* first: it needs the lab's fds */

	child_detach(st);
	if (r < 0)
		(void)err_set_errno(&e, r, pod->key, "cannot enter the pod's network namespace, cgroup and CPUs");
	while (!r && read(st->go[0], &go, 1) != 1)
		if (errno != EINTR)
			_exit(1); /* we are given up */
	(void)close(st->go[0]);
	if (st->lab->keep)
		(void)prctl(PR_SET_PDEATHSIG, 0);
	if (!r)
		r = responder_run(pod->key, pod->want.v, pod->want.n, st->ready[1], &e);
	f.code = r;
	(void)snprintf(f.text, sizeof(f.text), "%.100s: %.290s", e.path, e.text);
	_exit(write(st->fail[1], &f, sizeof(f)) == sizeof(f) ? 1 : 2);
}

/* ---- the parent ---- */

static void close_pair(int fd[static 2])
{
	for (int i = 0; i < 2; i++) {
		if (fd[i] >= 0)
			(void)close(fd[i]); /* a pipe */
		fd[i] = -1;
	}
}

static void start_done(struct start *st)
{
	close_pair(st->go); /* children still waiting end by this */
	close_pair(st->ready);
	close_pair(st->fail);
}

static int add_server(struct lab *lab, const struct lab_pod *pod, pid_t pid)
{
	struct lab_server s = { .proc = { pid, lab_proc_start(pid) }, .pod = strdup(pod->key) };
	int r = s.pod ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < pod->want.n; i++)
		r = vec_push(&s.ports, pod->want.v[i]);
	if (!r)
		r = vec_push(&lab->servers, s);
	if (r < 0) {
		free(s.pod);
		vec_free(&s.ports);
	}
	return r;
}

static int fork_all(struct start *st, struct err *e)
{
	struct lab *lab = st->lab;

	for (size_t i = 0; i < lab->pods.n; i++) {
		const struct lab_pod *pod = lab->pods.v[i];
		pid_t pid;
		int r;

		if (!pod->want.n)
			continue;
		pid = fork();
		if (pid < 0)
			return err_set_errno(e, -errno, pod->key, "cannot start the pod's server");
		if (pid == 0)
			child_run(st, pod);
		st->n_children++;
		r = add_server(lab, pod, pid);
		if (r < 0)
			return r;
	}
	return 0;
}

static int send_go(struct start *st)
{
	static const char go[4096];
	size_t left = st->n_children;

	while (left) {
		ssize_t n = write(st->go[1], go, MIN(left, sizeof(go)));

		if (n < 0 && errno != EINTR)
			return -errno;
		left -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* A child that ended can only have failed. */
static int look_for_dead(const struct lab *lab, struct err *e)
{
	for (size_t i = 0; i < lab->servers.n; i++)
		if (!lab_proc_alive(&lab->servers.v[i].proc))
			return err_set(e, -ECHILD, lab->servers.v[i].pod, "the pod's server ended while it started");
	return 0;
}

static int read_failure(struct start *st, struct err *e)
{
	struct failure f = {};

	if (read(st->fail[0], &f, sizeof(f)) != sizeof(f))
		return 0; /* all writers are gone: the ready pipe or the deadline tells */
	f.text[sizeof(f.text) - 1] = '\0';
	return err_set(e, f.code < 0 ? f.code : -EIO, NULL, "%s", f.text);
}

static int wait_ready(struct start *st, struct err *e)
{
	uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + READY_DEADLINE_NS;
	size_t n_ready = 0;

	while (n_ready < st->n_children) {
		struct pollfd p[] = { { .fd = st->fail[0], .events = POLLIN },
				      { .fd = st->ready[0], .events = POLLIN } };
		char buf[512];
		int r = 0, n = poll(p, ARRAY_LEN(p), LOOK_MS);

		if (n < 0 && errno != EINTR)
			return err_set_errno(e, -errno, st->lab->name, "poll");
		if (n > 0 && p[0].revents & POLLIN)
			r = read_failure(st, e);
		if (!r && n > 0 && p[1].revents & POLLIN) {
			ssize_t got = read(st->ready[0], buf, sizeof(buf));

			n_ready += got > 0 ? (size_t)got : 0;
			continue;
		}
		if (!r && lab_stopped(st->lab))
			r = err_set(e, -EINTR, st->lab->name, "interrupted");
		if (!r)
			r = look_for_dead(st->lab, e);
		if (!r && clock_now_ns(&clock_monotonic) > deadline_ns)
			r = err_set(e, -ETIMEDOUT, st->lab->name, "%zu of %zu servers do not start",
				    st->n_children - n_ready, st->n_children);
		if (r < 0)
			return r;
	}
	return 0;
}

static int open_pipes(struct start *st)
{
	return pipe2(st->go, O_CLOEXEC) < 0 || pipe2(st->ready, O_CLOEXEC) < 0 || pipe2(st->fail, O_CLOEXEC) < 0 ?
		       -errno :
		       0;
}

int lab_servers_start(struct lab *lab, struct err *e)
{
	CLEANUP(start_done)
	struct start st = { .lab = lab, .parent = getpid(), .go = { -1, -1 }, .ready = { -1, -1 }, .fail = { -1, -1 } };
	int r = collect_wants(lab);

	if (r < 0)
		return r;
	drop_served(lab);
	r = open_pipes(&st);
	if (r < 0)
		return err_set_errno(e, r, lab->name, "pipe");
	r = fork_all(&st, e);
	if (!r)
		r = lab_state_write(lab, e);
	if (!r)
		r = send_go(&st);
	return r ? r : wait_ready(&st, e);
}

int lab_servers_stop(struct lab *lab, const char *pod, struct err *e)
{
	size_t n_kept = 0;
	int r = 0;

	/* All are told first: they end side by side. */
	for (size_t i = 0; i < lab->servers.n; i++)
		if (!pod || strcmp(lab->servers.v[i].pod, pod) == 0)
			(void)lab_proc_kill(&lab->servers.v[i].proc, false, NULL); /* the second pass tells */
	for (size_t i = 0; i < lab->servers.n; i++) {
		struct lab_server *s = &lab->servers.v[i];
		int ri;

		if (pod && strcmp(s->pod, pod) != 0) {
			lab->servers.v[n_kept++] = *s;
			continue;
		}
		ri = lab_proc_kill(&s->proc, true, e);
		r = r ? r : ri;
		free(s->pod);
		vec_free(&s->ports);
	}
	lab->servers.n = n_kept;
	return r;
}
