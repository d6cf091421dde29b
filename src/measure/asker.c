/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The asking process. Called by eval_scale.c and eval_sweep.c. One request at a time goes to it over a socket pair; it ends when its end is closed. */
#include "asker.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/rand.h"
#include "base/util.h"
#include "lab/responder.h"
#include "place.h"
#include "synthetic.h"

#define ASK_TIMEOUT_NS (2 * NSEC_PER_SEC)
#define STOP_LOOK_MS 200
#define OPEN_MAX_SOCKETS 32 /* questions that may still be answered */

enum message { MSG_ASKS, MSG_WATCH, MSG_STEADY, MSG_END, MSG_BEGUN, MSG_SEEN, MSG_DONE };

/* Shared with the child; written by one side at a time. */
struct page {
	/* MSG_ASKS */
	uint32_t n_services, n_asks;
	uint64_t seed;
	uint64_t times[ASKER_TIMES_MAX];
	/* MSG_WATCH */
	struct asker_watch watch;
	uint64_t answered_ns;
	/* MSG_STEADY; answered_ns too */
	struct asker_steady steady;
	_Atomic int want; /* backend that is looked for, -1 = none */
	_Atomic uint64_t since_ns;
	int r; /* of what was asked */
};

struct asker {
	pid_t pid;
	int fd;
	const volatile int *stop;
	struct page *page;
};

DEFINE_CLEANUP(struct asker *, asker_stop);

/* ---- the child ---- */

struct question {
	int fd; /* -1 = free */
	uint64_t id, sent_ns;
};

/* A fresh socket, one datagram. What the kernel refuses at once is a question without answer. */
static void put_question(struct question *q, const struct ip_addr *to, uint16_t port, uint64_t id)
{
	uint8_t req[RESPONDER_REQUEST_SIZE];
	struct sockaddr_storage ss;
	socklen_t len;

	if (q->fd >= 0)
		(void)close(q->fd);
	q->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	q->id = id;
	if (q->fd < 0)
		return;
	len = ip_addr_to_sockaddr(to, port, &ss);
	responder_build_request(id, 0, RESPONDER_REPLY_MIN, req);
	q->sent_ns = clock_now_ns(&clock_monotonic);
	(void)sendto(q->fd, req, sizeof(req), 0, (struct sockaddr *)&ss, len); /* see above */
}

static void ask_service(struct question *q, uint32_t service, uint64_t id)
{
	struct ip_addr to;

	synthetic_service_addr(service, &to);
	put_question(q, &to, SYNTHETIC_SERVICE_PORT, id);
}

/* Is the answer in, and from whom it should be? */
static bool take_answer(struct question *q, int backend)
{
	uint8_t buf[RESPONDER_REPLY_MAX];
	struct responder_reply reply;
	ssize_t n = recv(q->fd, buf, sizeof(buf), 0);
	size_t size;

	return n > 0 && responder_parse_reply(buf, (size_t)n, &reply, &size) == 0 && reply.id == q->id &&
	       (backend < 0 || str_eq(reply.name, synthetic_backend_name((uint32_t)backend)));
}

static int ask_once(uint32_t service, uint64_t id, uint64_t *ret_ns)
{
	struct question q = { .fd = -1 };
	uint64_t now;
	int r = -ETIMEDOUT;

	ask_service(&q, service, id);
	if (q.fd < 0)
		return -EMFILE;
	while (r < 0 && (now = clock_now_ns(&clock_monotonic)) < q.sent_ns + ASK_TIMEOUT_NS) {
		struct pollfd p = { .fd = q.fd, .events = POLLIN };

		if (poll(&p, 1, (int)((q.sent_ns + ASK_TIMEOUT_NS - now) / NSEC_PER_MSEC) + 1) > 0) {
			*ret_ns = clock_now_ns(&clock_monotonic) - q.sent_ns;
			r = take_answer(&q, -1) ? 0 : -ECONNREFUSED;
			break;
		}
	}
	(void)close(q.fd);
	return r;
}

static int do_asks(struct page *page)
{
	struct rng rng;
	int r = 0;

	rng_seed(&rng, page->seed);
	for (uint32_t i = 0; i < page->n_asks && r == 0; i++)
		r = ask_once((uint32_t)rng_below(&rng, page->n_services), rng_u64(&rng), &page->times[i]);
	return r;
}

/* Until `until_ns`, or the right answer: true, with its time. */
static bool wait_answers(struct question *qs, int backend, uint64_t until_ns, uint64_t *ret_ns)
{
	for (;;) {
		struct pollfd p[OPEN_MAX_SOCKETS];
		uint64_t now = clock_now_ns(&clock_monotonic);
		struct timespec ts = {};

		if (now < until_ns)
			ts.tv_nsec = (long)MIN(until_ns - now, NSEC_PER_SEC - 1);
		for (int i = 0; i < OPEN_MAX_SOCKETS; i++)
			p[i] = (struct pollfd){ .fd = qs[i].fd, .events = POLLIN };
		(void)ppoll(p, ARRAY_LEN(p), &ts, NULL); /* a signal: looked at again */
		*ret_ns = clock_now_ns(&clock_monotonic);
		for (int i = 0; i < OPEN_MAX_SOCKETS; i++) {
			if (qs[i].fd < 0 || !p[i].revents)
				continue;
			if (take_answer(&qs[i], backend))
				return true;
			(void)close(qs[i].fd); /* somebody else, or an error */
			qs[i].fd = -1;
		}
		if (now >= until_ns)
			return false;
	}
}

static void close_all(struct question *qs)
{
	for (int i = 0; i < OPEN_MAX_SOCKETS; i++) {
		if (qs[i].fd >= 0)
			(void)close(qs[i].fd);
		qs[i].fd = -1;
	}
}

static uint64_t watch_period_ns(const struct asker_watch *w, uint64_t begin)
{
	uint64_t least = w->period_us * NSEC_PER_USEC;

	return w->backoff ? MAX(least, (clock_now_ns(&clock_monotonic) - begin) / w->backoff) : least;
}

static int do_watch(struct page *page, int fd)
{
	const struct asker_watch *w = &page->watch;
	uint64_t begin = clock_now_ns(&clock_monotonic), next = begin, id = begin;
	struct question qs[OPEN_MAX_SOCKETS];
	const uint8_t begun = MSG_BEGUN;
	uint32_t at = 0, done = 0;
	bool told = false;

	for (int i = 0; i < OPEN_MAX_SOCKETS; i++)
		qs[i].fd = -1;
	while (done < w->n && next < begin + w->timeout_ns) {
		for (uint32_t k = 0; k < w->n_each; k++)
			ask_service(&qs[at++ % OPEN_MAX_SOCKETS], w->first + done * w->step, ++id);
		if (!told && send(fd, &begun, 1, 0) != 1)
			break;
		told = true;
		next += watch_period_ns(w, begin);
		if (wait_answers(qs, w->backend, next, &page->answered_ns)) {
			close_all(qs);
			done++;
			next = page->answered_ns;
		}
		next = MAX(next, clock_now_ns(&clock_monotonic));
	}
	close_all(qs);
	return done == w->n ? 0 : -ETIMEDOUT;
}

/* Looks at the questions that have news. The parent is told once, of the first answer that it looks for. */
static void take_steady(struct page *page, struct question *qs, const struct pollfd *p, int fd)
{
	const uint8_t seen = MSG_SEEN;

	for (int i = 0; i < OPEN_MAX_SOCKETS; i++) {
		int want = atomic_load(&page->want);

		if (qs[i].fd < 0 || !p[i].revents)
			continue;
		if (want >= 0 && qs[i].sent_ns >= atomic_load(&page->since_ns) && take_answer(&qs[i], want)) {
			page->answered_ns = clock_now_ns(&clock_monotonic);
			atomic_store(&page->want, -1);
			(void)send(fd, &seen, 1, 0); /* a parent that is gone ends us */
		}
		(void)close(qs[i].fd); /* answered, or an error */
		qs[i].fd = -1;
	}
}

/* Until told to end. Questions stay open for some periods: who answers later is too late to be of interest. */
static void do_steady(struct page *page, int fd)
{
	const struct asker_steady *s = &page->steady;
	uint64_t next = clock_now_ns(&clock_monotonic), id = next;
	struct question qs[OPEN_MAX_SOCKETS];
	uint32_t at = 0;

	for (int i = 0; i < OPEN_MAX_SOCKETS; i++)
		qs[i].fd = -1;
	for (;;) {
		struct pollfd p[OPEN_MAX_SOCKETS + 1];
		uint64_t now = clock_now_ns(&clock_monotonic);
		struct timespec ts = {};

		if (now >= next) {
			for (uint32_t k = 0; k < s->n_each; k++)
				put_question(&qs[at++ % OPEN_MAX_SOCKETS], &s->addr, s->port, ++id);
			next = MAX(next + s->period_us * NSEC_PER_USEC, now); /* what was late is not made up for */
		}
		now = clock_now_ns(&clock_monotonic);
		if (now < next)
			ts.tv_nsec = (long)MIN(next - now, NSEC_PER_SEC - 1);
		for (int i = 0; i < OPEN_MAX_SOCKETS; i++)
			p[i] = (struct pollfd){ .fd = qs[i].fd, .events = POLLIN };
		p[OPEN_MAX_SOCKETS] = (struct pollfd){ .fd = fd, .events = POLLIN };
		if (ppoll(p, ARRAY_LEN(p), &ts, NULL) <= 0)
			continue;
		if (p[OPEN_MAX_SOCKETS].revents)
			break; /* MSG_END is read by the caller's loop */
		take_steady(page, qs, p, fd);
	}
	close_all(qs);
}

_Noreturn static void child(struct page *page, int fd, int netns_fd, int cgroup_fd, uint64_t cpus, pid_t parent)
{
	const uint8_t done = MSG_DONE;
	uint8_t msg;
	int r;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail with a valid signal */
	(void)prctl(PR_SET_TIMERSLACK, 1); /* else questions are 50 us late */
	if (getppid() != parent)
		_exit(0);
	(void)signal(SIGINT, SIG_IGN); /* the parent ends us in order */
	(void)signal(SIGTERM, SIG_IGN);
	r = place_enter(netns_fd, cgroup_fd, cpus);
	page->r = r;
	if (send(fd, &done, 1, 0) != 1 || r < 0)
		_exit(1);
	while (recv(fd, &msg, 1, 0) == 1) {
		if (msg == MSG_STEADY) {
			do_steady(page, fd);
			continue; /* MSG_END comes */
		}
		if (msg != MSG_END)
			page->r = msg == MSG_ASKS ? do_asks(page) : do_watch(page, fd);
		if (send(fd, &done, 1, 0) != 1)
			break;
	}
	_exit(0);
}

/* ---- the parent ---- */

static int wait_message(struct asker *a, uint8_t want, struct err *e)
{
	struct pollfd p = { .fd = a->fd, .events = POLLIN };
	uint8_t msg;

	while (poll(&p, 1, STOP_LOOK_MS) <= 0) /* it ends by its own deadline, or we by a signal */
		if (*a->stop)
			return -EINTR;
	do {
		if (recv(a->fd, &msg, 1, 0) != 1)
			return err_set(e, -ECHILD, "asker", "the asking process has ended");
	} while (msg == MSG_SEEN && want == MSG_DONE); /* nobody looked for it any more */
	return msg == want ? 0 : err_set(e, -ECHILD, "asker", "the asking process has ended");
}

static int tell(struct asker *a, enum message m, struct err *e)
{
	const uint8_t msg = (uint8_t)m;

	return send(a->fd, &msg, 1, MSG_NOSIGNAL) == 1 ?
		       0 :
		       err_set_errno(e, -errno, "asker", "the asking process cannot be told");
}

int asker_start(int netns_fd, int cgroup_fd, uint64_t cpus, const volatile int *stop, struct asker **ret, struct err *e)
{
	CLEANUP(asker_stopp) struct asker *a = calloc(1, sizeof(*a));
	pid_t parent = getpid();
	int fds[2], r;

	if (!a)
		return -ENOMEM;
	a->fd = -1;
	a->stop = stop;
	a->page = mmap(NULL, sizeof(*a->page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (a->page == MAP_FAILED) {
		a->page = NULL;
		return -errno;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	a->fd = fds[0];
	a->pid = fork();
	if (a->pid == 0) {
		(void)close(fds[0]); /* else it would never see our end */
		child(a->page, fds[1], netns_fd, cgroup_fd, cpus, parent);
	}
	(void)close(fds[1]);
	if (a->pid < 0)
		return -errno;
	r = wait_message(a, MSG_DONE, e);
	if (r == 0 && a->page->r < 0)
		r = err_set_errno(e, a->page->r, "asker", "cannot enter the client's namespace, cgroup or CPUs");
	if (r < 0)
		return r;
	*ret = TAKE_PTR(a);
	return 0;
}

void asker_stop(struct asker *a)
{
	if (!a)
		return;
	if (a->fd >= 0)
		(void)close(a->fd);
	if (a->pid > 0) {
		(void)kill(a->pid, SIGKILL); /* ours, not reaped */
		(void)waitpid(a->pid, NULL, 0);
	}
	if (a->page)
		(void)munmap(a->page, sizeof(*a->page));
	free(a);
}

int asker_first_packets(struct asker *a, uint32_t n_services, uint32_t n_asks, uint64_t seed, uint64_t *times,
			struct err *e)
{
	int r;

	if (n_services == 0 || n_asks > ASKER_TIMES_MAX)
		return err_set(e, -EINVAL, "asker", "%u questions to %u Services", n_asks, n_services);
	a->page->n_services = n_services;
	a->page->n_asks = n_asks;
	a->page->seed = seed;
	r = tell(a, MSG_ASKS, e);
	if (r == 0)
		r = wait_message(a, MSG_DONE, e);
	if (r < 0)
		return r;
	if (a->page->r < 0)
		return err_set_errno(e, a->page->r, "first packet", "a Service of %u did not answer", n_services);
	memcpy(times, a->page->times, n_asks * sizeof(*times));
	return 0;
}

int asker_watch_begin(struct asker *a, const struct asker_watch *w, struct err *e)
{
	int r;

	a->page->watch = *w;
	r = tell(a, MSG_WATCH, e);
	return r < 0 ? r : wait_message(a, MSG_BEGUN, e);
}

int asker_watch_end(struct asker *a, uint64_t *ret_ns, struct err *e)
{
	int r = wait_message(a, MSG_DONE, e);

	if (r < 0)
		return r;
	if (a->page->r < 0)
		return err_set_errno(e, a->page->r, "in force", "not within %.0f s",
				     (double)a->page->watch.timeout_ns / 1e9);
	*ret_ns = a->page->answered_ns;
	return 0;
}

int asker_steady_begin(struct asker *a, const struct asker_steady *s, struct err *e)
{
	a->page->steady = *s;
	atomic_store(&a->page->want, -1);
	return tell(a, MSG_STEADY, e);
}

void asker_steady_expect(struct asker *a, uint32_t backend)
{
	atomic_store(&a->page->since_ns, clock_now_ns(&clock_monotonic));
	atomic_store(&a->page->want, (int)backend);
}

int asker_steady_seen(struct asker *a, uint64_t timeout_ns, uint64_t *ret_ns, struct err *e)
{
	uint64_t begin = clock_now_ns(&clock_monotonic), waited = 0;
	struct pollfd p = { .fd = a->fd, .events = POLLIN };

	while (poll(&p, 1, (int)MIN((timeout_ns - waited) / NSEC_PER_MSEC, (uint64_t)STOP_LOOK_MS)) <= 0) {
		if (*a->stop)
			return -EINTR;
		waited = clock_now_ns(&clock_monotonic) - begin;
		if (waited >= timeout_ns)
			return 0;
	}
	if (wait_message(a, MSG_SEEN, e) < 0)
		return -ECHILD;
	*ret_ns = a->page->answered_ns;
	return 1;
}

int asker_steady_end(struct asker *a, struct err *e)
{
	int r;

	atomic_store(&a->page->want, -1);
	r = tell(a, MSG_END, e);
	return r < 0 ? r : wait_message(a, MSG_DONE, e);
}
