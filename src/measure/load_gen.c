/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Our own load generator: one thread, one epoll loop, TCP. Runs in the child of load.c.
 *
 * Open loop: arrival times are drawn before (Poisson) and do not wait for replies. Most loads put each request on one of the lasting
 * connections in turn (several may be under way on one; servers answer in order); `connect` opens a connection for each request and resets it after the
 * reply, so that neither side nor any connection table fills with TIME_WAIT. Latency is counted from the send (connect: from the
 * SYN); how late the send itself was goes to `lateness`.
 * Closed loop (rate 0): each of n_connections sends its next request when its reply is in. `connect` begins a new one in place of one that
 * failed; a lasting connection that is lost stays lost, and is seen as other_error.
 */
#include "load_gen.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/rand.h"
#include "base/util.h"
#include "load_proto.h"
#include "net/cgroup.h"

#define PIPELINE_MAX 256 /* requests under way on one connection */
#define CONNECT_OPEN_MAX 4096 /* connections under way, open loop */
#define REQUEST_TIMEOUT_NS (1 * NSEC_PER_SEC)

struct conn {
	int fd; /* -1 = free */
	bool connected;
	uint32_t target;
	/* Send times of the requests under way, oldest first. */
	uint64_t sent_ns[PIPELINE_MAX];
	uint64_t first, next; /* ring positions */
	uint8_t buf[2 * LOAD_REPLY_MAX];
	size_t n_buf;
};

struct gen {
	const struct load_conf *conf;
	const struct load_proto *proto;
	const struct load_hooks *hooks;
	struct load_page *page;
	struct load_result *res;
	struct rng rng;
	int epfd;
	struct conn *conns;
	uint32_t n_conns, n_busy; /* n_busy: connections under way (connect) */
	uint32_t turn; /* next connection or target */
	uint32_t *free_conns; /* stack of free indexes (connect) */
	uint32_t n_free;
	uint64_t window_from_ns, window_to_ns;
	uint64_t next_ns; /* next arrival */
	uint64_t id;
};

static bool in_window(const struct gen *g, uint64_t ns)
{
	return ns >= g->window_from_ns && ns < g->window_to_ns;
}

static int fail(struct gen *g, int r, const char *text)
{
	(void)snprintf(g->page->failed_text, sizeof(g->page->failed_text), "%s", text);
	return r;
}

/* ---- one connection ---- */

static int conn_open(struct gen *g, struct conn *c, uint32_t target)
{
	const struct load_target *t = &g->conf->targets[target];
	struct sockaddr_storage ss;
	socklen_t len = ip_addr_to_sockaddr(&t->addr, t->port, &ss);
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u32 = (uint32_t)(c - g->conns) };
	int one = 1;

	c->fd = cgroup_socket(t->place ? t->place->cgroup_fd : -1, t->place ? t->place->netns_fd : -1, t->addr.fam,
			      SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (c->fd < 0) {
		int r = c->fd;

		c->fd = -1;
		return r;
	}
	c->connected = false;
	c->target = target;
	c->first = c->next = 0;
	c->n_buf = 0;
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* only costs latency, which is seen */
	if (epoll_ctl(g->epfd, EPOLL_CTL_ADD, c->fd, &ev) < 0)
		return -errno;
	if (connect(c->fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
		return -errno;
	return 0;
}

/* RST instead of FIN: see the head of this file. */
static void conn_close(struct gen *g, struct conn *c)
{
	const struct linger rst = { .l_onoff = 1 };

	/* No fd: there was none to be had (EMFILE), the place is given back all the same. */
	if (c->fd >= 0) {
		(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst)); /* else FIN: slower, not wrong */
		(void)close(c->fd);
		c->fd = -1;
	}
	if (g->conf->kind == LOAD_CONNECT) {
		g->free_conns[g->n_free++] = (uint32_t)(c - g->conns);
		g->n_busy--;
	}
}

static void count_error(struct gen *g, uint64_t sent_ns, int err)
{
	if (!in_window(g, sent_ns))
		return;
	if (err == ECONNREFUSED)
		g->res->n_refused++;
	else if (err == ETIMEDOUT)
		g->res->n_timeout++;
	else
		g->res->n_other_error++;
}

/* Everything under way on it has failed. */
static void conn_fail(struct gen *g, struct conn *c, int err)
{
	for (; c->first != c->next; c->first++)
		count_error(g, c->sent_ns[c->first % PIPELINE_MAX], err);
	conn_close(g, c);
}

static void note_sent(struct gen *g, struct conn *c, uint64_t now, uint64_t due_ns)
{
	c->sent_ns[c->next++ % PIPELINE_MAX] = now;
	if (!in_window(g, now))
		return;
	g->res->n_sent++;
	if (due_ns)
		hist_add(&g->res->lateness, now > due_ns ? now - due_ns : 0);
}

static int conn_send(struct gen *g, struct conn *c)
{
	uint8_t req[LOAD_REQUEST_MAX];
	size_t size = g->proto->build(++g->id, req);
	ssize_t n = send(c->fd, req, size, MSG_NOSIGNAL);

	if (n == (ssize_t)size)
		return 0;
	return n < 0 ? -errno : -EMSGSIZE; /* a full socket buffer of small requests: the connection is stuck */
}

/* One reply is in: judge who answered, take the time. */
static void take_reply(struct gen *g, struct conn *c, const struct load_reply *reply, uint64_t now)
{
	uint64_t sent = c->sent_ns[c->first++ % PIPELINE_MAX];

	if (!in_window(g, sent))
		return;
	if (reply->name[0] && g->hooks && g->hooks->is_backend &&
	    !g->hooks->is_backend(reply->name, c->target, g->hooks->arg)) {
		g->res->n_wrong++;
		return;
	}
	g->res->n_ok++;
	hist_add(&g->res->latency, now - sent);
}

/* ---- lasting and new connections ---- */

/* Next request on the lasting connection c. */
static void lasting_send(struct gen *g, struct conn *c, uint64_t due_ns)
{
	uint64_t now = clock_now_ns(&clock_monotonic);
	int r;

	if (c->fd < 0 || c->next - c->first == PIPELINE_MAX) {
		if (in_window(g, now)) {
			g->res->n_sent++;
			count_error(g, now, c->fd < 0 ? ECONNRESET : ETIMEDOUT);
		}
		return;
	}
	note_sent(g, c, now, due_ns);
	r = conn_send(g, c);
	if (r < 0)
		conn_fail(g, c, -r);
}

/* A new connection of `connect`. The request goes out when it is established. */
static void connect_start(struct gen *g, uint64_t due_ns)
{
	uint64_t now = clock_now_ns(&clock_monotonic);
	uint32_t target = g->turn++ % (uint32_t)g->conf->n_targets;
	struct conn *c;
	int r;

	if (g->n_free == 0) {
		if (in_window(g, now)) {
			g->res->n_sent++;
			count_error(g, now, ETIMEDOUT);
		}
		return;
	}
	c = &g->conns[g->free_conns[--g->n_free]];
	g->n_busy++;
	c->first = c->next = 0;
	r = conn_open(g, c, target);
	note_sent(g, c, now, due_ns);
	if (r < 0)
		conn_fail(g, c, -r);
}

static void after_reply(struct gen *g, struct conn *c)
{
	bool go_on = g->conf->rate_rps == 0 && clock_now_ns(&clock_monotonic) < g->window_to_ns;

	if (g->conf->kind == LOAD_CONNECT) {
		conn_close(g, c);
		if (go_on)
			connect_start(g, 0);
	} else if (go_on) {
		lasting_send(g, c, 0);
	}
}

static void read_replies(struct gen *g, struct conn *c)
{
	while (c->fd >= 0) {
		ssize_t n = recv(c->fd, c->buf + c->n_buf, sizeof(c->buf) - c->n_buf, 0);
		struct load_reply reply;
		uint64_t now;
		int r = 0;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			conn_fail(g, c, n < 0 ? errno : ECONNRESET);
			return;
		}
		now = clock_now_ns(&clock_monotonic);
		c->n_buf += (size_t)n;
		while (c->fd >= 0 && (r = g->proto->parse(c->buf, c->n_buf, &reply)) == 0) {
			if (c->first == c->next) {
				r = -EBADMSG; /* an answer to nothing */
				break;
			}
			memmove(c->buf, c->buf + reply.size, c->n_buf - reply.size);
			c->n_buf -= reply.size;
			take_reply(g, c, &reply, now);
			after_reply(g, c);
		}
		if (c->fd >= 0 && (r == -EBADMSG || c->n_buf == sizeof(c->buf)))
			conn_fail(g, c, EBADMSG); /* nonsense, or a reply that never ends */
	}
}

static void on_event(struct gen *g, struct conn *c, uint32_t events)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (c->fd < 0)
		return;
	if (!c->connected && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
		if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 || err) {
			conn_fail(g, c, err ? err : errno);
			return;
		}
		c->connected = true;
		if (g->conf->kind == LOAD_CONNECT && (err = -conn_send(g, c))) {
			conn_fail(g, c, err);
			return;
		}
	}
	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		read_replies(g, c);
}

/* Handles events until `until_ns`, or the next arrival if that is sooner. */
static int poll_until(struct gen *g, uint64_t until_ns)
{
	struct epoll_event ev[64];
	uint64_t now = clock_now_ns(&clock_monotonic);
	uint64_t wait_ns = until_ns > now ? until_ns - now : 0;
	const struct timespec ts = { .tv_sec = (time_t)(wait_ns / NSEC_PER_SEC),
				     .tv_nsec = (long)(wait_ns % NSEC_PER_SEC) };
	int n = epoll_pwait2(g->epfd, ev, ARRAY_LEN(ev), &ts, NULL);

	if (n < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < n; i++)
		on_event(g, &g->conns[ev[i].data.u32], ev[i].events);
	return 0;
}

/* ---- phases ---- */

static int gen_open(struct gen *g)
{
	bool connect = g->conf->kind == LOAD_CONNECT;

	g->n_conns = g->conf->n_connections;
	if (connect && g->conf->rate_rps > 0)
		g->n_conns = CONNECT_OPEN_MAX;
	else if (g->conf->kind == LOAD_CALLS)
		g->n_conns = (uint32_t)g->conf->n_targets;
	g->conns = calloc(g->n_conns, sizeof(*g->conns));
	g->free_conns = calloc(g->n_conns, sizeof(*g->free_conns));
	g->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (g->epfd < 0)
		return fail(g, -errno, "epoll cannot be had");
	if (!g->conns || !g->free_conns)
		return fail(g, -ENOMEM, "no memory for connections");
	for (uint32_t i = 0; i < g->n_conns; i++) {
		g->conns[i].fd = -1;
		if (connect)
			g->free_conns[g->n_free++] = i;
	}
	return 0;
}

/* All lasting connections are there before the warm-up. */
static int gen_establish(struct gen *g)
{
	uint64_t deadline = clock_now_ns(&clock_monotonic) + 5 * NSEC_PER_SEC;

	for (uint32_t i = 0; i < g->n_conns; i++) {
		int r = conn_open(g, &g->conns[i], i % (uint32_t)g->conf->n_targets);

		if (r < 0)
			return fail(g, r, "a connection cannot be begun");
	}
	for (uint32_t i = 0; i < g->n_conns; i++) {
		while (g->conns[i].fd >= 0 && !g->conns[i].connected) {
			int r = poll_until(g, deadline);

			if (r < 0 || clock_now_ns(&clock_monotonic) > deadline)
				return fail(g, r < 0 ? r : -ETIMEDOUT, "a connection was not established");
		}
		if (g->conns[i].fd < 0)
			return fail(g, -ECONNREFUSED, "a connection was refused");
	}
	return 0;
}

/* Closed loop, `connect`: at first, and for those that failed. Each free place once: who fails at once must not keep the loop from its end. */
static void gen_start_free(struct gen *g)
{
	for (uint32_t n = g->n_free; n > 0; n--)
		connect_start(g, 0);
}

/* Closed loop: the first request of each lasting connection. */
static void gen_prime(struct gen *g)
{
	for (uint32_t i = 0; i < g->n_conns; i++)
		lasting_send(g, &g->conns[i], 0);
}

static void gen_arrival(struct gen *g)
{
	if (g->conf->kind == LOAD_CONNECT)
		connect_start(g, g->next_ns);
	else
		lasting_send(g, &g->conns[g->turn++ % g->n_conns], g->next_ns);
	g->next_ns += (uint64_t)rng_exp(&g->rng, 1e9 / g->conf->rate_rps);
}

/* Sends until `end_ns`. */
static int gen_send_until(struct gen *g, uint64_t end_ns)
{
	bool open = g->conf->rate_rps > 0;
	uint64_t now;

	while ((now = clock_now_ns(&clock_monotonic)) < end_ns) {
		int r;

		while (open && g->next_ns <= now && g->next_ns < end_ns)
			gen_arrival(g);
		if (!open && g->conf->kind == LOAD_CONNECT)
			gen_start_free(g);
		r = poll_until(g, open ? MIN(g->next_ns, end_ns) : end_ns);
		if (r < 0)
			return fail(g, r, "epoll failed");
	}
	return 0;
}

static bool gen_idle(const struct gen *g)
{
	if (g->conf->kind == LOAD_CONNECT)
		return g->n_busy == 0;
	for (uint32_t i = 0; i < g->n_conns; i++)
		if (g->conns[i].fd >= 0 && g->conns[i].first != g->conns[i].next)
			return false;
	return true;
}

/* Waits for what is under way, then closes; what has no answer by then has timed out. */
static int gen_drain(struct gen *g)
{
	uint64_t deadline = clock_now_ns(&clock_monotonic) + REQUEST_TIMEOUT_NS;

	while (!gen_idle(g) && clock_now_ns(&clock_monotonic) < deadline) {
		int r = poll_until(g, deadline);

		if (r < 0)
			return fail(g, r, "epoll failed");
	}
	for (uint32_t i = 0; i < g->n_conns; i++)
		if (g->conns[i].fd >= 0)
			conn_fail(g, &g->conns[i], ETIMEDOUT);
	return 0;
}

static void tell_window(struct gen *g, bool begin)
{
	if (g->hooks && g->hooks->on_window)
		g->hooks->on_window(begin, g->hooks->arg);
}

static int gen_run(struct gen *g)
{
	uint64_t start;
	int r = gen_open(g);

	if (r == 0 && g->conf->kind != LOAD_CONNECT)
		r = gen_establish(g);
	if (r < 0)
		return r;
	start = clock_now_ns(&clock_monotonic);
	g->window_from_ns = start + g->conf->warmup_ns;
	g->window_to_ns = g->window_from_ns + g->conf->duration_ns;
	g->next_ns = start;
	if (g->conf->rate_rps == 0 && g->conf->kind != LOAD_CONNECT)
		gen_prime(g);
	r = gen_send_until(g, g->window_from_ns);
	tell_window(g, true);
	if (r == 0)
		r = gen_send_until(g, g->window_to_ns);
	g->res->start_ns = g->window_from_ns;
	g->res->end_ns = g->window_to_ns; /* requests are counted up to there, however late the loop came to its end */
	tell_window(g, false);
	return r == 0 ? gen_drain(g) : r;
}

int load_generate(const struct load_conf *conf, const struct load_hooks *hooks, struct load_page *page)
{
	struct gen g = { .conf = conf, .hooks = hooks, .page = page, .res = &page->result, .epfd = -1 };
	int r;

	(void)prctl(PR_SET_TIMERSLACK, 1); /* else arrivals are 50 µs late; seen in `lateness` if refused */
	rng_seed(&g.rng, conf->seed);
	g.proto = load_proto_of(conf->kind);
	r = gen_run(&g);
	g.res->units = (double)g.res->n_ok;
	free(g.conns);
	free(g.free_conns);
	cleanup_fd(&g.epfd);
	return r;
}
