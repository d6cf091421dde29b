/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is lost when a part dies, under a steady load (pulse.h). Called by eval_experiments.c.
 *
 *	reapply	the process that applies is gone, another one applies everything from scratch
 *	kill	such a process is killed in the middle of an apply that changes half of the Services; then another one makes everything as it was
 *	backend	a backend dies, and its endpoint is taken from all Services at once
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "eval_synthetic.h"
#include "pulse.h"

#define ROUNDS 3
#define BEFORE_MS 300 /* of load before the fault */
#define AFTER_MS 700 /* and after the repair */
#define TARGETS 4
#define KILLED_BACKEND 1
#define KILL_ATTEMPTS 8

enum fault { FAULT_REAPPLY, FAULT_KILL, FAULT_BACKEND, FAULT_MAX };
static const char *const fault_name[FAULT_MAX] = {
	[FAULT_REAPPLY] = "reapply",
	[FAULT_KILL] = "kill",
	[FAULT_BACKEND] = "backend",
};

/* One fault in one arm. */
struct trial {
	struct eval *ev;
	const struct eval_arm *arm;
	struct rng rng;
	uint64_t fault_ns, repaired_ns;
	uint64_t *apply_ns; /* of this arm: how long an apply from scratch takes; found by `reapply` */
	uint32_t attempt; /* of `kill` */
};

/* What the process that is to be killed has to say, should it not be. */
struct killed_page {
	bool done; /* before it was killed */
	int r;
	struct err err;
};

static int wait_ms(const struct eval *ev, int ms)
{
	uint64_t end = clock_now_ns(&clock_monotonic) + (uint64_t)ms * NSEC_PER_MSEC, now;

	while ((now = clock_now_ns(&clock_monotonic)) < end) {
		if (*ev->conf->stop)
			return -EINTR;
		(void)poll(NULL, 0, (int)((end - now) / NSEC_PER_MSEC) + 1);
	}
	return 0;
}

static size_t make_targets(const struct eval *ev, const struct eval_arm *arm, struct pulse_target *ret)
{
	struct eval_cell cell;

	eval_synthetic_cell(ev, LOAD_CONNECT, TARGETS, &cell);
	for (uint32_t i = 0; i < TARGETS; i++) {
		const struct eval_service *es = &cell.services[i];

		if (!arm->strategy->service_addresses) {
			/* Service i's first endpoint is backend i. */
			ret[i] = (struct pulse_target){ es->backends[0].addr, es->backends[0].port, 1u << i };
			continue;
		}
		ret[i] = (struct pulse_target){ es->svc->cluster_ip[IP_V4], es->port->port, 0 };
		for (uint32_t k = 0; k < es->n_backends + es->n_more; k++)
			ret[i].backends |= 1u << ((i + k) % SYNTHETIC_BACKENDS);
	}
	return TARGETS;
}

/* ---- the faults ---- */

static int do_reapply(struct trial *t, struct err *e)
{
	int r;

	t->fault_ns = clock_now_ns(&clock_monotonic);
	r = testbed_reapply(t->arm->testbed, t->ev->workload->snapshot, e);
	t->repaired_ns = clock_now_ns(&clock_monotonic);
	*t->apply_ns = t->repaired_ns - t->fault_ns;
	return r;
}

_Noreturn static void apply_and_die(const struct trial *t, const struct snapshot *s, struct killed_page *page,
				    pid_t parent)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail with a valid signal */
	if (getppid() != parent)
		_exit(1);
	page->r = testbed_reapply(t->arm->testbed, s, &page->err);
	page->done = true;
	_exit(0);
}

/* 0: it was killed in the middle of its work; -EAGAIN: it was done before; its own error. */
static int kill_one(struct trial *t, const struct snapshot *half, uint64_t delay_ns, struct killed_page *page,
		    struct err *e)
{
	const struct timespec delay = { .tv_sec = (time_t)(delay_ns / NSEC_PER_SEC),
					.tv_nsec = (long)(delay_ns % NSEC_PER_SEC) };
	pid_t parent = getpid(), pid = fork();
	int status = 0;

	if (pid == 0)
		apply_and_die(t, half, page, parent);
	if (pid < 0)
		return -errno;
	(void)nanosleep(&delay, NULL); /* the moment of the fault */
	t->fault_ns = clock_now_ns(&clock_monotonic);
	(void)kill(pid, SIGKILL); /* ours, not reaped */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (page->done && page->r < 0) {
		if (e)
			*e = page->err;
		return page->r;
	}
	if (page->done)
		return -EAGAIN;
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		return err_set(e, -ECHILD, "kill", "the process that applies ended by itself, status 0x%x", status);
	return 0;
}

/* The moment is drawn from the time that an apply takes; with each attempt that came too late from half of it. */
static int do_kill(struct trial *t, struct err *e)
{
	CLEANUP(snapshot_unrefp) struct snapshot *half = NULL;
	uint64_t span_ns = (MAX(*t->apply_ns, NSEC_PER_MSEC) >> t->attempt) + 1;
	struct killed_page *page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int r;

	if (page == MAP_FAILED)
		return -errno;
	r = synthetic_without(&eval_synthetic_shape, t->ev->workload->snapshot, KILLED_BACKEND, &half, e);
	if (r == 0)
		r = kill_one(t, half, rng_below(&t->rng, span_ns), page, e);
	(void)munmap(page, sizeof(*page));
	if (r == 0)
		r = testbed_reapply(t->arm->testbed, t->ev->workload->snapshot, e);
	t->repaired_ns = clock_now_ns(&clock_monotonic);
	return r;
}

static int do_backend(struct trial *t, struct err *e)
{
	CLEANUP(snapshot_unrefp) struct snapshot *without = NULL;
	const char *pod = synthetic_backend_name(KILLED_BACKEND) + sizeof(SYNTHETIC_NS);
	int r = synthetic_without(&eval_synthetic_shape, t->ev->workload->snapshot, KILLED_BACKEND, &without, e);

	t->fault_ns = clock_now_ns(&clock_monotonic);
	if (r == 0)
		r = lab_kill_servers(testbed_lab(t->arm->testbed), SYNTHETIC_NS, pod, e);
	if (r == 0)
		r = testbed_apply(t->arm->testbed, without, e);
	t->repaired_ns = clock_now_ns(&clock_monotonic);
	return r;
}

/* The testbed as it was, whatever the trial did to it. After a failed apply, and where another process has changed things, from scratch. */
static int restore(const struct trial *t, enum fault f, bool scratch, struct err *e)
{
	int r = 0;

	if (f == FAULT_BACKEND)
		r = lab_start_servers(testbed_lab(t->arm->testbed), e);
	if (r < 0)
		return r;
	return scratch ? testbed_reapply(t->arm->testbed, t->ev->workload->snapshot, e) :
			 testbed_apply(t->arm->testbed, t->ev->workload->snapshot, e);
}

/* ---- one trial ---- */

static json_t *timeline_json(const struct pulse_sum *sum)
{
	json_t *list = json_array();

	for (size_t i = 0; i < sum->n_bins; i++)
		(void)json_array_append_new(list, json_pack("[i, i, i]", ((int)i - PULSE_BINS_BEFORE) * PULSE_BIN_MS,
							    (int)sum->ok[i], (int)sum->failed[i]));
	return list;
}

static int write_fault(const struct trial *t, enum fault f, uint32_t round, const struct pulse_sum *sum,
		       uint32_t n_broken, struct err *e)
{
	uint64_t repair_ns = MAX(t->repaired_ns, sum->well_ns) - t->fault_ns;

	t->ev->n_wrong += sum->n_wrong;
	return record_write(t->ev->rec, "fault",
			    json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
				      "workload", t->ev->workload->name, "arm", t->arm->name, "strategy",
				      t->arm->strategy->name, "round", (int)round, "fault", fault_name[f], "kind",
				      "real", "sent", (json_int_t)sum->n_sent, "ok", (json_int_t)sum->n_ok, "broken",
				      (json_int_t)n_broken, "lost", (json_int_t)sum->n_lost, "wrong",
				      (json_int_t)sum->n_wrong, "outage_ns", (json_int_t)sum->outage_ns, "repair_ns",
				      (json_int_t)repair_ns, "timeline", timeline_json(sum)),
			    e);
}

DEFINE_CLEANUP(struct pulse *, pulse_free);

/* One attempt, with a load of its own, from the testbed as it was made; and so it is left. */
static int run_attempt(struct trial *t, enum fault f, uint32_t round, bool *dirty, struct err *e)
{
	static int (*const make[FAULT_MAX])(struct trial *, struct err *) = { do_reapply, do_kill, do_backend };
	CLEANUP(pulse_freep) struct pulse *load = NULL;
	CLEANUP_FREE struct pulse_sum *sum = calloc(1, sizeof(*sum));
	struct pulse_target targets[PULSE_TARGETS_MAX];
	const struct pulse_event *events = NULL;
	uint32_t n_broken = 0;
	size_t n = 0;
	int r = sum ? 0 : -ENOMEM, rr;

	if (r == 0)
		r = pulse_start(eval_synthetic_netns(t->arm, "client"), eval_synthetic_cgroup(t->arm),
				t->ev->generator_cpus, targets, make_targets(t->ev, t->arm, targets), &load, e);
	if (r == 0)
		r = wait_ms(t->ev, BEFORE_MS);
	if (r < 0)
		return r;
	r = make[f](t, e);
	if (r == 0)
		r = wait_ms(t->ev, AFTER_MS);
	if (r == 0)
		r = pulse_end(load, &events, &n, &n_broken, e);
	rr = r == -EINTR ? 0 : restore(t, f, r < 0, r == 0 ? e : NULL);
	*dirty = rr < 0;
	if (r < 0 || rr < 0)
		return r < 0 ? r : rr;
	pulse_sum(events, n, t->fault_ns, sum);
	return write_fault(t, f, round, sum, n_broken, e);
}

static int run_trial(struct trial *t, enum fault f, uint32_t round, bool *dirty, struct err *e)
{
	int r = -EAGAIN;

	for (t->attempt = 0; r == -EAGAIN && !*dirty && t->attempt < KILL_ATTEMPTS; t->attempt++)
		r = run_attempt(t, f, round, dirty, e);
	return r == -EAGAIN ? err_set(e, -EALREADY, NULL, "every apply was over before it could be killed") : r;
}

/* ---- the whole ---- */

/* Which faults an arm is not led through any more. */
struct outs {
	bool fault[EVAL_ARMS_MAX][FAULT_MAX];
};

/* A strategy that cannot be led through a fault is left out of that one from there on, and said; of all when its testbed is not what it was. An interruption
 * ends all. */
static int try_trial(struct trial *t, enum fault f, uint32_t round, bool out[FAULT_MAX], struct err *e)
{
	struct err why = {};
	bool dirty = false;
	char text[600];
	int r = run_trial(t, f, round, &dirty, &why);

	if (r >= 0 || r == -EINTR || *t->ev->conf->stop)
		return r < 0 ? -EINTR : 0;
	out[f] = true;
	for (int i = 0; dirty && i < FAULT_MAX; i++)
		out[i] = true;
	(void)snprintf(text, sizeof(text), "%s: %s%s%s%s", fault_name[f], why.path, why.path[0] ? ": " : "",
		       why.text[0] ? why.text : strerror(-r), dirty ? "; it could not be repaired" : "");
	log_warn("strategy=%s fault=\"%s\" ... continuing", t->arm->strategy->name, text);
	return eval_left_out(t->ev, t->ev->workload->name, "fault", t->arm->strategy, text, e);
}

/* One fault in all arms, in random order. */
static int run_fault(struct eval *ev, enum fault f, uint32_t round, uint64_t apply_ns[EVAL_ARMS_MAX], struct outs *outs,
		     struct err *e)
{
	size_t turn[EVAL_ARMS_MAX];
	int r = 0;

	for (size_t i = 0; i < ev->n_arms; i++)
		turn[i] = i;
	rng_shuffle(&ev->rng, turn, ev->n_arms, sizeof(*turn));
	for (size_t i = 0; i < ev->n_arms && r == 0; i++) {
		size_t a = turn[i];
		struct trial t = { .ev = ev, .arm = &ev->arms[a], .apply_ns = &apply_ns[a] };

		if (ev->conf->progress)
			progress_update(&ev->progress, (double)((round * FAULT_MAX + f) * ev->n_arms + i), "fault");
		if (!t.arm->testbed || outs->fault[a][f])
			continue;
		rng_seed(&t.rng, rng_u64(&ev->rng));
		r = *ev->conf->stop ? -EINTR : try_trial(&t, f, round, outs->fault[a], e);
	}
	return r;
}

int eval_fault(struct eval *ev, struct err *e)
{
	struct outs outs = {};
	uint64_t apply_ns[EVAL_ARMS_MAX] = {};
	uint32_t n_rounds = ev->conf->quick ? 1 : ROUNDS;
	int r = 0;

	for (size_t i = 0; i < ev->n_arms && r == 0; i++)
		if (ev->arms[i].testbed && !ev->arms[i].strategy->service_addresses) {
			outs.fault[i][FAULT_BACKEND] = true;
			r = eval_left_out(ev, ev->workload->name, "fault", ev->arms[i].strategy,
					  "backend: clients choose the pods themselves", e);
		}
	if (ev->conf->progress)
		progress_start(&ev->progress, ev->conf->progress, &clock_monotonic,
			       (double)(n_rounds * FAULT_MAX * ev->n_arms));
	for (uint32_t round = 0; round < n_rounds && r == 0; round++)
		for (int f = 0; f < FAULT_MAX && r == 0; f++)
			r = run_fault(ev, (enum fault)f, round, apply_ns, &outs, e);
	if (ev->conf->progress)
		progress_end(&ev->progress);
	return r;
}
