/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The load of the experiment `fault`. Called by eval_fault.c. One epoll loop in a forked process; events go to shared memory. */
#include "pulse.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"
#include "lab/responder.h"
#include "place.h"
#include "synthetic.h"

#define LASTING 8
#define SLOTS 4096 /* questions under way: two a tick, for the time of a timeout, and room */
#define EVENTS_MAX 200000 /* over two minutes of them */
#define START_TIMEOUT_NS (10 * NSEC_PER_SEC)

struct page {
	_Atomic int ready; /* 1 = the lasting connections stand; negative: -errno */
	_Atomic int stop;
	uint32_t n_broken;
	size_t n_events;
	struct pulse_event events[EVENTS_MAX];
};

struct pulse {
	pid_t pid;
	struct page *page;
};

DEFINE_CLEANUP(struct pulse *, pulse_free);

/* ---- the process ---- */

struct slot {
	int fd; /* -1 = free */
	enum pulse_kind kind;
	uint32_t target;
	bool stands; /* a lasting connection that has answered: it can be broken */
	bool asked; /* the question is out */
	bool late; /* it counts as lost already; a lasting connection may still answer it */
	uint64_t sent_ns; /* of the question, or of its SYN; 0 = nothing under way */
	uint64_t id;
};

struct gen {
	struct page *page;
	const struct pulse_target *targets;
	size_t n_targets;
	int epfd;
	struct slot slots[SLOTS]; /* the first LASTING ones are the lasting connections */
	uint32_t n_free;
	uint32_t free_slots[SLOTS];
	uint64_t id;
	uint32_t turn;
};

static void note(struct gen *g, const struct slot *s, enum pulse_outcome outcome)
{
	if (g->page->n_events < EVENTS_MAX)
		g->page->events[g->page->n_events++] = (struct pulse_event){
			.sent_ns = s->sent_ns,
			.done_ns = clock_now_ns(&clock_monotonic),
			.kind = (uint8_t)s->kind,
			.outcome = (uint8_t)outcome,
		};
}

static int slot_open(struct gen *g, struct slot *s, enum pulse_kind kind, uint32_t target)
{
	const struct pulse_target *t = &g->targets[target];
	int type = kind == PULSE_DATAGRAM ? SOCK_DGRAM : SOCK_STREAM;
	struct epoll_event ev = { .events = EPOLLIN | (kind == PULSE_DATAGRAM ? 0u : EPOLLOUT) | EPOLLET,
				  .data.u32 = (uint32_t)(s - g->slots) };
	const struct linger rst = { .l_onoff = 1 };
	struct sockaddr_storage ss;
	socklen_t len = ip_addr_to_sockaddr(&t->addr, t->port, &ss);

	*s = (struct slot){ .fd = socket(t->addr.fam, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
			    .kind = kind,
			    .target = target };
	if (s->fd < 0 || epoll_ctl(g->epfd, EPOLL_CTL_ADD, s->fd, &ev) < 0)
		return -errno;
	if (type == SOCK_STREAM)
		(void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst)); /* else TIME_WAIT: no harm here */
	return connect(s->fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS ? -errno : 0;
}

static void slot_close(struct gen *g, struct slot *s)
{
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
	s->sent_ns = 0;
	if (s - g->slots >= LASTING)
		g->free_slots[g->n_free++] = (uint32_t)(s - g->slots);
}

static int slot_ask(struct gen *g, struct slot *s)
{
	uint8_t req[RESPONDER_REQUEST_SIZE];

	s->id = ++g->id;
	responder_build_request(s->id, 0, RESPONDER_REPLY_MIN, req);
	if (send(s->fd, req, sizeof(req), MSG_NOSIGNAL) != (ssize_t)sizeof(req))
		return -errno;
	s->asked = true;
	return 0;
}

/* The question is lost, if there was one. A lasting connection that is cut is made anew at its next turn. */
static void slot_fail(struct gen *g, struct slot *s)
{
	if (s->sent_ns && !s->late)
		note(g, s, PULSE_LOST);
	if (s->stands)
		g->page->n_broken++;
	slot_close(g, s);
}

static bool may_answer(const struct pulse_target *t, const char *name)
{
	for (uint32_t k = 0; k < SYNTHETIC_BACKENDS; k++)
		if (t->backends & (1u << k) && str_eq(name, synthetic_backend_name(k)))
			return true;
	return false;
}

/* Replies are smaller than any segment: they come whole. */
static void slot_read(struct gen *g, struct slot *s)
{
	uint8_t buf[RESPONDER_REPLY_MAX];
	struct responder_reply reply;
	size_t size;
	ssize_t n = recv(s->fd, buf, sizeof(buf), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || !s->sent_ns || responder_parse_reply(buf, (size_t)n, &reply, &size) < 0 || reply.id != s->id) {
		slot_fail(g, s);
		return;
	}
	if (!may_answer(&g->targets[s->target], reply.name))
		note(g, s, PULSE_WRONG);
	else if (!s->late)
		note(g, s, PULSE_OK);
	s->sent_ns = 0;
	s->late = false;
	s->stands = s->kind == PULSE_LASTING;
	if (s->kind != PULSE_LASTING)
		slot_close(g, s);
}

static void slot_event(struct gen *g, struct slot *s, uint32_t events)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (s->fd < 0)
		return;
	if (!s->asked && s->kind != PULSE_DATAGRAM && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
		if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 || err ||
		    (s->sent_ns && slot_ask(g, s) < 0)) {
			slot_fail(g, s);
			return;
		}
	}
	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		slot_read(g, s);
}

static void start_fresh(struct gen *g, enum pulse_kind kind)
{
	struct slot *s;
	uint64_t now = clock_now_ns(&clock_monotonic);
	int r;

	if (g->n_free == 0)
		return; /* more than a timeout's worth is under way: not asked, so not lost */
	s = &g->slots[g->free_slots[--g->n_free]];
	r = slot_open(g, s, kind, g->turn % (uint32_t)g->n_targets);
	s->sent_ns = now;
	if (r == 0 && kind == PULSE_DATAGRAM)
		r = slot_ask(g, s);
	if (r < 0)
		slot_fail(g, s);
}

static void ask_lasting(struct gen *g, struct slot *s)
{
	uint64_t now = clock_now_ns(&clock_monotonic);

	if (s->fd < 0) {
		if (slot_open(g, s, PULSE_LASTING, (uint32_t)(s - g->slots) % (uint32_t)g->n_targets) < 0)
			slot_close(g, s); /* at its next turn again */
		else
			s->sent_ns = now; /* of the SYN: asked as soon as it stands */
		return;
	}
	if (s->sent_ns)
		return;
	if (slot_ask(g, s) < 0)
		slot_fail(g, s); /* cut; the question was never sent, so it is not lost */
	else
		s->sent_ns = now;
}

/* Late is lost. A lasting connection whose answer is late stands all the same: it is waited for, and broken when it is stuck at the end. */
static void drop_late(struct gen *g)
{
	uint64_t now = clock_now_ns(&clock_monotonic);

	for (uint32_t i = 0; i < SLOTS; i++) {
		struct slot *s = &g->slots[i];

		if (s->fd < 0 || !s->sent_ns || s->late || now - s->sent_ns <= PULSE_TIMEOUT_MS * NSEC_PER_MSEC)
			continue;
		if (s->kind != PULSE_LASTING) {
			slot_fail(g, s);
			continue;
		}
		note(g, s, PULSE_LOST);
		s->late = true;
	}
}

static void count_stuck(struct gen *g)
{
	for (uint32_t i = 0; i < LASTING; i++)
		if (g->slots[i].fd >= 0 && g->slots[i].sent_ns)
			slot_fail(g, &g->slots[i]);
}

static void poll_until(struct gen *g, uint64_t until_ns)
{
	struct epoll_event ev[64];
	uint64_t now;

	while ((now = clock_now_ns(&clock_monotonic)) < until_ns) {
		const struct timespec ts = { .tv_nsec = (long)MIN(until_ns - now, NSEC_PER_SEC - 1) };
		int n = epoll_pwait2(g->epfd, ev, ARRAY_LEN(ev), &ts, NULL);

		for (int i = 0; i < n; i++)
			slot_event(g, &g->slots[ev[i].data.u32], ev[i].events);
	}
}

static bool is_idle(const struct gen *g)
{
	for (uint32_t i = 0; i < SLOTS; i++)
		if (g->slots[i].fd >= 0 && g->slots[i].sent_ns)
			return false;
	return true;
}

/* Lasting connections stand when each has answered once. */
static int establish(struct gen *g)
{
	uint64_t deadline = clock_now_ns(&clock_monotonic) + START_TIMEOUT_NS;

	for (uint32_t i = 0; i < LASTING; i++) {
		struct slot *s = &g->slots[i];
		int r = slot_open(g, s, PULSE_LASTING, i % (uint32_t)g->n_targets);

		if (r < 0)
			return r;
		s->sent_ns = clock_now_ns(&clock_monotonic);
	}
	while (!is_idle(g) && clock_now_ns(&clock_monotonic) < deadline)
		poll_until(g, clock_now_ns(&clock_monotonic) + NSEC_PER_MSEC);
	for (uint32_t i = 0; i < LASTING; i++)
		if (g->slots[i].fd < 0 || g->slots[i].sent_ns)
			return -ECONNREFUSED;
	return 0;
}

static void run(struct gen *g)
{
	uint64_t next = clock_now_ns(&clock_monotonic), stopped = 0;

	while (!stopped || (!is_idle(g) && next < stopped + 2 * PULSE_TIMEOUT_MS * NSEC_PER_MSEC)) {
		if (!stopped) {
			ask_lasting(g, &g->slots[g->turn % LASTING]);
			start_fresh(g, PULSE_CONNECT);
			start_fresh(g, PULSE_DATAGRAM);
			g->turn++;
		}
		next += PULSE_TICK_MS * NSEC_PER_MSEC;
		poll_until(g, next);
		if (g->turn % 16 == 0 || stopped)
			drop_late(g);
		if (!stopped && atomic_load(&g->page->stop))
			stopped = next;
	}
	count_stuck(g);
}

_Noreturn static void child(struct page *page, int netns_fd, int cgroup_fd, uint64_t cpus,
			    const struct pulse_target *targets, size_t n_targets, pid_t parent)
{
	struct gen *g = calloc(1, sizeof(*g));
	int r = g ? 0 : -ENOMEM;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail with a valid signal */
	(void)prctl(PR_SET_TIMERSLACK, 1); /* else ticks are 50 us late */
	if (getppid() != parent)
		_exit(0);
	(void)signal(SIGINT, SIG_IGN); /* the parent ends us in order */
	(void)signal(SIGTERM, SIG_IGN);
	if (r == 0)
		r = place_enter(netns_fd, cgroup_fd, cpus);
	if (r == 0) {
		g->page = page;
		g->targets = targets;
		g->n_targets = n_targets;
		g->epfd = epoll_create1(EPOLL_CLOEXEC);
		for (uint32_t i = 0; i < SLOTS; i++)
			g->slots[i].fd = -1;
		for (uint32_t i = LASTING; i < SLOTS; i++)
			g->free_slots[g->n_free++] = i;
		r = g->epfd < 0 ? -errno : establish(g);
	}
	page->n_events = 0; /* the first questions were for establishing */
	page->n_broken = 0;
	atomic_store(&page->ready, r < 0 ? r : 1);
	if (r == 0)
		run(g);
	_exit(r < 0);
}

/* ---- our side ---- */

int pulse_start(int netns_fd, int cgroup_fd, uint64_t cpus, const struct pulse_target *targets, size_t n_targets,
		struct pulse **ret, struct err *e)
{
	CLEANUP(pulse_freep) struct pulse *p = calloc(1, sizeof(*p));
	const struct timespec look = { .tv_nsec = 1000000 };
	pid_t parent = getpid();

	if (!p)
		return -ENOMEM;
	if (n_targets == 0 || n_targets > PULSE_TARGETS_MAX)
		return err_set(e, -EINVAL, "fault", "%zu targets", n_targets);
	p->page = mmap(NULL, sizeof(*p->page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p->page == MAP_FAILED) {
		p->page = NULL;
		return -errno;
	}
	p->pid = fork();
	if (p->pid == 0)
		child(p->page, netns_fd, cgroup_fd, cpus, targets, n_targets, parent);
	if (p->pid < 0)
		return -errno;
	while (!atomic_load(&p->page->ready)) {
		if (waitpid(p->pid, NULL, WNOHANG) == p->pid) {
			p->pid = 0;
			return err_set(e, -ECHILD, "fault", "the load's process has ended");
		}
		(void)nanosleep(&look, NULL); /* between two looks; it has its own deadline */
	}
	if (p->page->ready < 0)
		return err_set_errno(e, p->page->ready, "fault", "the lasting connections do not stand");
	*ret = TAKE_PTR(p);
	return 0;
}

int pulse_end(struct pulse *p, const struct pulse_event **ret_events, size_t *ret_n, uint32_t *ret_n_broken,
	      struct err *e)
{
	int status = 0;

	atomic_store(&p->page->stop, 1);
	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		;
	p->pid = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(e, -ECHILD, "fault", "the load's process did not end in order");
	if (p->page->n_events == EVENTS_MAX)
		return err_set(e, -E2BIG, "fault", "it took too long: more than %d questions", EVENTS_MAX);
	*ret_events = p->page->events;
	*ret_n = p->page->n_events;
	*ret_n_broken = p->page->n_broken;
	return 0;
}

void pulse_free(struct pulse *p)
{
	if (!p)
		return;
	if (p->pid > 0) {
		(void)kill(p->pid, SIGKILL); /* ours, not reaped */
		(void)waitpid(p->pid, NULL, 0);
	}
	if (p->page)
		(void)munmap(p->page, sizeof(*p->page));
	free(p);
}

/* ---- what the events say ---- */

static void add_bin(struct pulse_sum *sum, uint32_t *bins, uint64_t at_ns, uint64_t first_ns)
{
	uint64_t bin = at_ns < first_ns ? PULSE_BINS_MAX : (at_ns - first_ns) / (PULSE_BIN_MS * NSEC_PER_MSEC);

	if (bin >= PULSE_BINS_MAX)
		return; /* outside of what is shown */
	bins[bin]++;
	sum->n_bins = MAX(sum->n_bins, (size_t)bin + 1);
}

static uint64_t gap(uint64_t from_ns, uint64_t to_ns, uint64_t fault_ns)
{
	return to_ns > fault_ns && to_ns > from_ns ? to_ns - from_ns : 0;
}

void pulse_sum(const struct pulse_event *events, size_t n, uint64_t fault_ns, struct pulse_sum *ret)
{
	uint64_t before_ns = PULSE_BINS_BEFORE * PULSE_BIN_MS * NSEC_PER_MSEC;
	uint64_t first_ns = fault_ns > before_ns ? fault_ns - before_ns : 0;
	uint64_t last_ok[PULSE_KIND_MAX] = {}, last_sent[PULSE_KIND_MAX] = {};

	memset(ret, 0, sizeof(*ret));
	ret->well_ns = fault_ns;
	for (size_t i = 0; i < n; i++) {
		const struct pulse_event *ev = &events[i];
		bool ok = ev->outcome == PULSE_OK;

		ret->n_sent++;
		ret->n_ok += ok;
		ret->n_lost += ev->outcome == PULSE_LOST;
		ret->n_wrong += ev->outcome == PULSE_WRONG;
		add_bin(ret, ok ? ret->ok : ret->failed, ok ? ev->done_ns : ev->sent_ns, first_ns);
		last_sent[ev->kind] = MAX(last_sent[ev->kind], ev->sent_ns);
		if (!ok) {
			ret->well_ns = MAX(ret->well_ns, ev->sent_ns);
			continue;
		}
		if (last_ok[ev->kind])
			ret->outage_ns = MAX(ret->outage_ns, gap(last_ok[ev->kind], ev->done_ns, fault_ns));
		last_ok[ev->kind] = ev->done_ns;
	}
	/* One that did not come back: until it was asked last. */
	for (int k = 0; k < PULSE_KIND_MAX; k++)
		if (last_ok[k])
			ret->outage_ns = MAX(ret->outage_ns, gap(last_ok[k], last_sent[k], fault_ns));
}
