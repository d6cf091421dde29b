/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Changes under load. Called by eval_sweep.c. */
#include "churn.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asker.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"

#define ASK_PERIOD_US 5000
#define ASK_EACH 2 /* of two endpoints */
#define MARK_APART_NS \
	(200 * NSEC_PER_MSEC) /* a watched change has UDP flows to clean up after: it must not be what is measured */
#define MARK_TIMEOUT_NS (30 * NSEC_PER_SEC)
#define STOP_LOOK_NS (100 * NSEC_PER_MSEC)

struct churn {
	struct churn_conf conf;
	struct asker *asker;
	struct churn_result *result;
	struct snapshot *original;
	bool away, mark_away; /* how the two Services are now */
	bool watching;
	uint64_t watched_ns; /* when the watched change was begun */
};

DEFINE_CLEANUP(struct churn *, churn_free);

int churn_new(const struct churn_conf *conf, struct churn **ret, struct err *e)
{
	CLEANUP(churn_freep) struct churn *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->conf = *conf;
	c->original = snapshot_ref(testbed_snapshot(conf->testbed));
	r = asker_start(conf->netns_fd, conf->cgroup_fd, conf->cpus, conf->stop, &c->asker, e);
	if (r == 0)
		*ret = TAKE_PTR(c);
	return r;
}

void churn_free(struct churn *c)
{
	if (!c)
		return;
	asker_stop(c->asker);
	snapshot_unref(c->original);
	free(c);
}

int churn_fork(struct churn *c, pid_t *ret_pid, struct err *e)
{
	pid_t parent = getpid(), pid = fork();

	(void)c;
	if (pid < 0)
		return err_set_errno(e, -errno, NULL, "no process for the load");
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail with a valid signal */
		if (getppid() != parent)
			_exit(0);
	}
	*ret_pid = pid;
	return 0;
}

static int apply_move(struct churn *c, uint32_t service, bool away, bool tcp_only, struct err *e)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = NULL;
	int r = synthetic_move(c->conf.shape, testbed_snapshot(c->conf.testbed), service, away, tcp_only, &s, e);

	return r < 0 ? r : testbed_apply(c->conf.testbed, s, e);
}

static int change_marked(struct churn *c, struct err *e)
{
	c->watching = true;
	c->watched_ns = clock_now_ns(&clock_monotonic);
	c->mark_away = !c->mark_away;
	asker_steady_expect(c->asker, synthetic_moved_backend(c->conf.shape, c->conf.mark, c->mark_away));
	return apply_move(c, c->conf.mark, c->mark_away, false, e);
}

/* Is the watched change in force? `timeout_ns` 0: looks only. */
static int look(struct churn *c, uint64_t timeout_ns, struct err *e)
{
	uint64_t ns = 0;
	int r = asker_steady_seen(c->asker, timeout_ns, &ns, e);

	if (r <= 0)
		return r;
	c->watching = false;
	if (c->result->n_in_force < CHURN_MARKS_MAX)
		c->result->in_force_ns[c->result->n_in_force++] = ns > c->watched_ns ? ns - c->watched_ns : 0;
	return 0;
}

/* Without Service addresses there is nothing that could be seen to come into force. */
static bool can_watch(const struct churn *c)
{
	return c->conf.rate > 0 && testbed_strategy(c->conf.testbed)->service_addresses;
}

static int change(struct churn *c, struct err *e)
{
	int r;

	c->away = !c->away;
	r = apply_move(c, c->conf.service, c->away, true, e);
	if (r == 0 && c->result->n_changes < CHURN_CHANGES_MAX)
		c->result->done_ns[c->result->n_changes++] = clock_now_ns(&clock_monotonic);
	return r;
}

/* True: it has ended. */
static bool wait_end(int pidfd, uint64_t until_ns)
{
	uint64_t now = clock_now_ns(&clock_monotonic);
	uint64_t left_ns = until_ns > now ? until_ns - now : 0;
	const struct timespec ts = { .tv_sec = (time_t)(left_ns / NSEC_PER_SEC),
				     .tv_nsec = (long)(left_ns % NSEC_PER_SEC) };
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return ppoll(&p, 1, &ts, NULL) > 0;
}

static int change_while(struct churn *c, int pidfd, struct err *e)
{
	uint64_t period_ns = c->conf.rate > 0 ? (uint64_t)(1e9 / c->conf.rate) : UINT64_MAX / 2;
	uint64_t next = clock_now_ns(&clock_monotonic) + period_ns;
	/* The first one comes before the first change: a strategy that takes all of the window for one change has one that is watched. */
	uint64_t next_mark = can_watch(c) ? next : UINT64_MAX;
	int r = 0;

	while (r == 0 && !*c->conf.stop) {
		uint64_t now = clock_now_ns(&clock_monotonic);

		if (wait_end(pidfd, MIN(MIN(next, next_mark), now + STOP_LOOK_NS)))
			return 0;
		if (c->watching)
			r = look(c, 0, e);
		now = clock_now_ns(&clock_monotonic);
		if (r == 0 && now >= next_mark) {
			if (!c->watching)
				r = change_marked(c, e);
			next_mark = clock_now_ns(&clock_monotonic) + MARK_APART_NS;
		}
		if (r == 0 && now >= next) {
			r = change(c, e);
			/* Who cannot keep up makes the next one at once, but owes none. */
			next = MAX(next + period_ns, clock_now_ns(&clock_monotonic));
		}
	}
	return r < 0 ? r : -EINTR;
}

/* The last watched change has its time to come into force, after the load. */
static int end_watch(struct churn *c, struct err *e)
{
	int r = c->watching ? look(c, MARK_TIMEOUT_NS, e) : 0;

	if (r == 0 && c->watching)
		r = err_set(e, -ETIMEDOUT, "in force", "not within %.0f s", (double)MARK_TIMEOUT_NS / 1e9);
	return r < 0 ? r : asker_steady_end(c->asker, e);
}

/* Both Services as they were. */
static int restore(struct churn *c, struct err *e)
{
	int r = 0;

	if (c->away || c->mark_away || testbed_snapshot(c->conf.testbed) != c->original)
		r = testbed_apply(c->conf.testbed, c->original, e);
	c->result->dirty = r < 0;
	return r;
}

int churn_until_end(struct churn *c, pid_t pid, struct churn_result *ret, struct err *e)
{
	const struct asker_steady steady = {
		.addr = c->conf.mark_addr, .port = c->conf.mark_port, .n_each = ASK_EACH, .period_us = ASK_PERIOD_US
	};
	CLEANUP_FD int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int r, rr;

	c->result = ret;
	r = pidfd < 0 ? -errno : asker_steady_begin(c->asker, &steady, e);
	if (r == 0)
		r = change_while(c, pidfd, e);
	if (r < 0)
		(void)kill(pid, SIGKILL); /* ours, not reaped; its generator dies with it */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (r == 0)
		r = end_watch(c, e);
	if (r == -EINTR)
		return r; /* all of it goes */
	rr = restore(c, r == 0 ? e : NULL);
	return r < 0 ? r : rr;
}
