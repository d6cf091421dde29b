/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the number of Services costs. Called by eval.c; method: docs/evaluation.md, "Scale".
 *
 * Each cluster is a forked process of its own (a worker) with a testbed of one node in it: so the memory that one cluster takes is seen apart from all others.
 * Workers stand side by side and do one thing at a time, when told: load from empty, first packets, changes. What is in force is seen by an
 * asking process in the client's pod (asker.h), the same for every strategy.
 */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asker.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/stats.h"
#include "base/util.h"
#include "eval_int.h"
#include "memory.h"
#include "synthetic.h"

#define WORKERS_MAX 64
#define STOP_LOOK_MS 200
#define SAMPLE_MAX 32 /* Services that must answer before "all" is in force */
#define LOAD_PERIOD_US 2000
#define LOAD_BACKOFF 100 /* in force is known to a hundredth of the time that it took, or to that period */
#define CHANGE_PERIOD_US 500
#define LOAD_TIMEOUT_NS (600 * NSEC_PER_SEC)
#define CHANGE_TIMEOUT_NS (60 * NSEC_PER_SEC)
/* A cluster that takes longer to load is loaded once only. */
#define LOAD_LONG_S 40

enum order { ORDER_UP, ORDER_LOAD, ORDER_FIRST, ORDER_CHANGES, ORDER_END };
static const char *const order_text[] = {
	[ORDER_UP] = "testbed",
	[ORDER_LOAD] = "from empty",
	[ORDER_FIRST] = "first packet",
	[ORDER_CHANGES] = "one change",
};

/* Shared by a worker and us; written by one side at a time. */
struct page {
	struct err err;
	int r;
	uint32_t n_asks, n_changes; /* of this order */
	uint64_t seed; /* of this order */
	uint32_t n_times; /* first packets so far */
	uint64_t times[ASKER_TIMES_MAX];
	struct scale_result result;
};

struct worker {
	pid_t pid;
	int fd;
	struct page *page;
	bool failed;
};

/* ---- the worker's process ---- */

struct cluster {
	struct synthetic shape;
	struct testbed *testbed;
	struct asker *asker;
	struct page *page;
	const volatile int *stop;
	struct rng rng;
};

/* Of the worker with that process id. */
static void lab_name_of(pid_t pid, char name[static LAB_NAME_MAX + 1])
{
	(void)snprintf(name, LAB_NAME_MAX + 1, "s%d", (int)pid);
}

static int cluster_up(struct eval *ev, struct cluster *cl, struct err *e)
{
	CLEANUP(snapshot_unrefp) struct snapshot *empty = NULL;
	const struct synthetic shape = { .n_nodes = 1, .n_endpoints = cl->shape.n_endpoints };
	char name[LAB_NAME_MAX + 1];
	const struct testbed_conf conf = {
		.name = name,
		.strategy = cl->page->result.strategy,
		.server_cpus = ev->server_cpus,
		.stop = ev->conf->stop,
	};
	struct testbed_conf with = conf;
	int r = synthetic_snapshot(&shape, &empty, e);

	lab_name_of(getpid(), name);
	with.snapshot = empty;
	if (r == 0)
		r = testbed_up(&with, &cl->testbed, e);
	if (r == 0)
		r = asker_start(lab_pod_netns(testbed_lab(cl->testbed), SYNTHETIC_NS, "client"),
				lab_node_cgroup(testbed_lab(cl->testbed), "node-1"), ev->generator_cpus, ev->conf->stop,
				&cl->asker, e);
	return r;
}

/* Memory of the process that programs: a peer's own, when its target counts it ("peak-resident-bytes"), else ours. */
static int process_memory(struct cluster *cl, bool peak, int64_t *ret_kib, struct err *e)
{
	for (const char *const *t = cl->page->result.strategy->tiers[FUNC_SERVICE_LB]; *t; t++) {
		uint64_t bytes = 0;
		int r = testbed_counter(cl->testbed, *t, NULL, peak ? "peak-resident-bytes" : "resident-bytes", &bytes,
					e);

		if (r < 0)
			return r;
		if (bytes) {
			*ret_kib = (int64_t)(bytes / 1024);
			return 0;
		}
	}
	return memory_of_self_kib(peak, ret_kib, e);
}

static int do_load(struct cluster *cl, struct err *e)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = NULL;
	uint32_t n = MIN(cl->shape.n_services, (uint32_t)SAMPLE_MAX), step = cl->shape.n_services / n;
	const struct asker_watch watch = {
		.first = cl->shape.n_services - 1 - step * (n - 1),
		.step = step,
		.n = n,
		.backend = -1,
		.n_each = 1,
		.period_us = LOAD_PERIOD_US,
		.backoff = LOAD_BACKOFF,
		.timeout_ns = LOAD_TIMEOUT_NS,
	};
	struct scale_result *res = &cl->page->result;
	int64_t process_kib = 0, kernel_kib = 0, process_end_kib = 0, kernel_end_kib = 0;
	uint64_t t0, t1 = 0;
	int r = memory_of_self_begin(e), rest = 0, rest_end = 0;

	if (r == 0)
		r = process_memory(cl, false, &process_kib, e);
	if (r == 0)
		rest = memory_of_kernel_at_rest_kib(&kernel_kib, e);
	if (r == 0)
		r = MIN(rest, 0);
	if (r == 0)
		r = synthetic_snapshot(&cl->shape, &s, e);
	if (r == 0)
		r = asker_watch_begin(cl->asker, &watch, e);
	t0 = clock_now_ns(&clock_monotonic);
	if (r == 0)
		r = testbed_apply(cl->testbed, s, e);
	res->from_empty_apply_s = (double)(clock_now_ns(&clock_monotonic) - t0) / 1e9;
	if (r == 0)
		r = asker_watch_end(cl->asker, &t1, e);
	if (r == 0)
		r = process_memory(cl, true, &process_end_kib, e);
	if (r == 0)
		rest_end = memory_of_kernel_at_rest_kib(&kernel_end_kib, e);
	if (r == 0)
		r = MIN(rest_end, 0);
	if (r < 0)
		return r;
	res->from_empty_s = (double)(t1 - t0) / 1e9;
	res->process_kib = process_end_kib - process_kib;
	if (rest == 0 && rest_end == 0)
		res->kernel_kib = kernel_end_kib - kernel_kib;
	else
		(void)snprintf(res->why, sizeof(res->why), "memory of the kernel: it did not come to rest %s the load",
			       rest ? "before" : "after");
	return 0;
}

static int do_first(struct cluster *cl, struct err *e)
{
	struct page *page = cl->page;
	uint32_t n = MIN(page->n_asks, (uint32_t)ASKER_TIMES_MAX - page->n_times);
	int r = asker_first_packets(cl->asker, cl->shape.n_services, n, page->seed, page->times + page->n_times, e);

	if (r == 0)
		page->n_times += n;
	return r;
}

static int one_change(struct cluster *cl, uint32_t i, bool away, struct err *e)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = NULL;
	const struct asker_watch watch = {
		.first = i,
		.n = 1,
		.backend = (int)synthetic_moved_backend(&cl->shape, i, away),
		.n_each = 2,
		.period_us = CHANGE_PERIOD_US,
		.timeout_ns = CHANGE_TIMEOUT_NS,
	};
	struct scale_result *res = &cl->page->result;
	uint64_t t0, t_apply, t1;
	int r = asker_watch_begin(cl->asker, &watch, e);

	t0 = clock_now_ns(&clock_monotonic);
	if (r == 0)
		r = synthetic_move(&cl->shape, testbed_snapshot(cl->testbed), i, away, false, &s, e);
	if (r == 0)
		r = testbed_apply(cl->testbed, s, e);
	t_apply = clock_now_ns(&clock_monotonic);
	if (r == 0)
		r = asker_watch_end(cl->asker, &t1, e);
	if (r < 0)
		return r;
	res->in_force_ns[res->n_changes] = t1 > t0 ? t1 - t0 : 0;
	res->apply_ns[res->n_changes++] = t_apply - t0;
	return 0;
}

/* Changes go in pairs: a Service drawn at random has an endpoint moved, then moved back. So each of them is one. */
static int do_changes(struct cluster *cl, struct err *e)
{
	uint32_t at = 0;
	int r = 0;

	for (uint32_t i = 0; i < cl->page->n_changes && cl->page->result.n_changes < SCALE_CHANGES_MAX && r == 0; i++) {
		if (i % 2 == 0)
			at = (uint32_t)rng_below(&cl->rng, cl->shape.n_services);
		r = *cl->stop ? -EINTR : one_change(cl, at, i % 2 == 0, e);
	}
	return r;
}

static int obey(struct cluster *cl, uint8_t order, struct err *e)
{
	rng_seed(&cl->rng, cl->page->seed);
	switch (order) {
	case ORDER_LOAD:
		return do_load(cl, e);
	case ORDER_FIRST:
		return do_first(cl, e);
	default:
		return do_changes(cl, e);
	}
}

/* Until told to end, or a signal. */
_Noreturn static void work(struct eval *ev, struct page *page, int fd, pid_t parent)
{
	struct cluster cl = {
		.shape = { .n_nodes = 1,
			   .n_services = page->result.n_services,
			   .n_endpoints = page->result.n_endpoints },
		.page = page,
		.stop = ev->conf->stop,
	};
	uint8_t order = ORDER_UP;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail with a valid signal */
	if (getppid() != parent)
		_exit(0);
	page->r = cluster_up(ev, &cl, &page->err);
	while (send(fd, &order, 1, MSG_NOSIGNAL) == 1 && page->r == 0) {
		while (!*cl.stop && poll(&p, 1, STOP_LOOK_MS) <= 0)
			;
		if (*cl.stop || recv(fd, &order, 1, 0) != 1 || order == ORDER_END)
			break;
		page->r = obey(&cl, order, &page->err);
	}
	asker_stop(cl.asker);
	_exit(cl.testbed && testbed_down(cl.testbed, NULL) < 0 ? 1 : 0);
}

/* ---- our side ---- */

static int worker_wait(struct eval *ev, struct worker *w)
{
	struct pollfd p = { .fd = w->fd, .events = POLLIN };
	uint8_t order;

	while (poll(&p, 1, STOP_LOOK_MS) <= 0)
		if (*ev->conf->stop)
			return -EINTR;
	if (recv(w->fd, &order, 1, 0) != 1)
		return *ev->conf->stop ? -EINTR : -ECHILD;
	return w->page->r;
}

/* What a worker could not do is noted in its result, and the others go on. Only an interruption ends all. */
static int note_failure(struct worker *w, enum order order, int r)
{
	struct scale_result *res = &w->page->result;

	if (r >= 0 || r == -EINTR)
		return r;
	w->failed = true;
	(void)snprintf(res->why, sizeof(res->why), "%s: %s%s%s", order_text[order], w->page->err.path,
		       w->page->err.path[0] ? ": " : "", w->page->err.text[0] ? w->page->err.text : strerror(-r));
	if (r != -EOPNOTSUPP)
		log_warn("strategy=%s services=%u scale=\"%s\" ... continuing", res->strategy->name, res->n_services,
			 res->why);
	return 0;
}

static int worker_start(struct eval *ev, struct worker *w, const struct strategy *st, const struct scale_size *size,
			uint32_t round)
{
	pid_t parent = getpid();
	int fds[2];

	w->fd = -1;
	w->page = mmap(NULL, sizeof(*w->page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (w->page == MAP_FAILED) {
		w->page = NULL;
		return -errno;
	}
	w->page->result = (struct scale_result){
		.strategy = st, .n_services = size->n_services, .n_endpoints = size->n_endpoints, .round = round
	};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	w->fd = fds[0];
	w->pid = fork();
	if (w->pid == 0) {
		(void)close(fds[0]);
		work(ev, w->page, fds[1], parent);
	}
	(void)close(fds[1]);
	if (w->pid < 0)
		return -errno;
	return note_failure(w, ORDER_UP, worker_wait(ev, w));
}

static int worker_order(struct eval *ev, struct worker *w, enum order order)
{
	const uint8_t byte = (uint8_t)order;
	int r;

	if (w->failed)
		return 0;
	w->page->seed = rng_u64(&ev->rng);
	r = send(w->fd, &byte, 1, MSG_NOSIGNAL) == 1 ? worker_wait(ev, w) : -ECHILD;
	return note_failure(w, order, r);
}

/* It takes its testbed down; waits. What a worker that died has left is cleaned, and its death noted. */
static void worker_end(struct eval *ev, struct worker *w)
{
	const uint8_t end = ORDER_END; /* closing our end would not do: later workers hold it too */
	char name[LAB_NAME_MAX + 1];
	struct err why = {};
	int status = 0;

	if (w->pid <= 0)
		return;
	(void)send(w->fd, &end, 1, MSG_NOSIGNAL); /* gone already: as well */
	if (*ev->conf->stop)
		(void)kill(w->pid, SIGTERM); /* ours, not reaped: it may be in the middle of something long */
	while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		lab_name_of(w->pid, name);
		if (WIFSIGNALED(status))
			(void)err_set(&why, -ECHILD, NULL, "the process of the cluster died of signal %d",
				      WTERMSIG(status));
		else
			(void)err_set(&why, -ECHILD, NULL, "the testbed could not be taken down");
		(void)snprintf(w->page->result.why, sizeof(w->page->result.why), "%s", why.text);
		if (lab_clean(name, NULL, &why) < 0)
			log_warn("lab=%s cleaned=no why=\"%s\" ... continuing", name, why.text);
	}
	w->pid = 0;
}

static void worker_free(struct worker *w)
{
	if (w->fd >= 0)
		(void)close(w->fd);
	if (w->page)
		(void)munmap(w->page, sizeof(*w->page));
	*w = (struct worker){ .fd = -1 };
}

static json_t *scale_json(const struct scale_result *res)
{
	json_t *j = json_pack("{s:s, s:i, s:i, s:i, s:i, s:s, s:s?}", "strategy", res->strategy->name, "round",
			      (int)res->round, "nodes", 1, "services", (int)res->n_services, "endpoints_per_service",
			      (int)res->n_endpoints, "kind", "real", "why", res->why[0] ? res->why : NULL);

	if (j && res->from_empty_s > 0) {
		(void)json_object_set_new(j, "from_empty_s", json_real(res->from_empty_s));
		(void)json_object_set_new(j, "from_empty_apply_s", json_real(res->from_empty_apply_s));
		(void)json_object_set_new(j, "memory",
					  json_pack("{s:I, s:o?}", "process_kib", (json_int_t)res->process_kib,
						    "kernel_kib",
						    res->kernel_kib ? json_integer(res->kernel_kib) : NULL));
	}
	if (j && res->first_p50_ns > 0)
		(void)json_object_set_new(j, "first_packet_ns",
					  json_pack("{s:f, s:f, s:f}", "p50", res->first_p50_ns, "p90",
						    res->first_p90_ns, "p99", res->first_p99_ns));
	if (j && res->n_changes) {
		(void)json_object_set_new(j, "in_force_ns", eval_ns_list(res->in_force_ns, res->n_changes));
		(void)json_object_set_new(j, "apply_ns", eval_ns_list(res->apply_ns, res->n_changes));
	}
	return j;
}

static int write_result(struct eval *ev, struct worker *w, struct err *e)
{
	CLEANUP_FREE double *v = calloc(w->page->n_times + 1, sizeof(*v));
	struct scale_result *res = &w->page->result;

	if (!v)
		return -ENOMEM;
	for (uint32_t i = 0; i < w->page->n_times; i++)
		v[i] = (double)w->page->times[i];
	if (w->page->n_times) {
		res->first_p50_ns = stats_quantile(v, w->page->n_times, 0.5);
		res->first_p90_ns = stats_quantile(v, w->page->n_times, 0.9);
		res->first_p99_ns = stats_quantile(v, w->page->n_times, 0.99);
	}
	if (ev->conf->on_scale)
		ev->conf->on_scale(res, ev->conf->on_scale_arg);
	return record_write(ev->rec, "scale", scale_json(res), e);
}

static void scale_step(struct eval *ev, const char *strategy, uint32_t n_services, const char *what)
{
	char text[96];

	(void)snprintf(text, sizeof(text), "scale: %s, %u Services, %s", strategy, n_services, what);
	ev->scale_done++;
	if (ev->conf->progress)
		progress_update(&ev->progress, ev->scale_done, text);
}

/* All of a round's clusters, one order each, in random order. */
static int order_all(struct eval *ev, struct worker *ws, size_t n, enum order order)
{
	size_t turn[WORKERS_MAX];
	int r = 0;

	for (size_t i = 0; i < n; i++)
		turn[i] = i;
	rng_shuffle(&ev->rng, turn, n, sizeof(*turn));
	for (size_t i = 0; i < n && r == 0; i++) {
		const struct scale_result *res = &ws[turn[i]].page->result;

		scale_step(ev, res->strategy->name, res->n_services, order_text[order]);
		if (order == ORDER_CHANGES && res->n_endpoints >= SYNTHETIC_BACKENDS)
			continue;
		r = *ev->conf->stop ? -EINTR : worker_order(ev, &ws[turn[i]], order);
	}
	return r;
}

/* One round of these strategies and sizes, all up side by side. *ret_longest_s: of their loads; INFINITY when one never came into force. */
static int run_round(struct eval *ev, const struct scale_conf *sc, const struct strategy *const *sts, size_t n_sts,
		     const struct scale_size *const *sizes, size_t n_sizes, uint32_t round, double *ret_longest_s,
		     struct err *e)
{
	CLEANUP_FREE struct worker *ws = calloc(WORKERS_MAX, sizeof(*ws));
	size_t n = 0;
	int r = ws ? 0 : -ENOMEM;

	for (size_t s = 0; s < n_sts && r == 0; s++)
		for (size_t z = 0; z < n_sizes && n < WORKERS_MAX && r == 0; z++) {
			scale_step(ev, sts[s]->name, sizes[z]->n_services, order_text[ORDER_UP]);
			r = *ev->conf->stop ? -EINTR : worker_start(ev, &ws[n], sts[s], sizes[z], round);
			n++;
		}
	for (size_t i = 0; i < n && r == 0; i++) {
		ws[i].page->n_asks = sc->n_asks;
		ws[i].page->n_changes = sc->n_changes;
	}
	if (r == 0)
		r = order_all(ev, ws, n, ORDER_LOAD);
	for (uint32_t i = 0; i < sc->n_slices && r == 0; i++)
		r = order_all(ev, ws, n, ORDER_FIRST);
	if (r == 0)
		r = order_all(ev, ws, n, ORDER_CHANGES);
	for (size_t i = 0; i < n; i++) {
		worker_end(ev, &ws[i]);
		if (r == 0)
			r = write_result(ev, &ws[i], e);
		if (ws[i].page)
			*ret_longest_s = MAX(*ret_longest_s, ws[i].page->result.from_empty_s > 0 ?
								     ws[i].page->result.from_empty_s :
								     INFINITY);
		worker_free(&ws[i]);
	}
	return r;
}

/* ---- the whole ---- */

static const struct scale_conf scale_full = {
	.sizes = {
		{ .n_services = 10, .n_endpoints = 2, .n_rounds = 5 },
		{ .n_services = 100, .n_endpoints = 2, .n_rounds = 5 },
		{ .n_services = 1000, .n_endpoints = 2, .n_rounds = 5 },
		{ .n_services = 10000, .n_endpoints = 2, .n_rounds = 5 },
		{ .n_services = 30000, .n_endpoints = 2, .n_rounds = 3, .alone = true },
		{ .n_services = 5000, .n_endpoints = 50, .n_rounds = 3, .alone = true },
	},
	.n_sizes = 6,
	.n_slices = 4,
	.n_asks = 200,
	.n_changes = 10,
};
static const struct scale_conf scale_quick = {
	.sizes = {
		{ .n_services = 10, .n_endpoints = 2, .n_rounds = 1 },
		{ .n_services = 1000, .n_endpoints = 2, .n_rounds = 1 },
	},
	.n_sizes = 2,
	.n_slices = 2,
	.n_asks = 200,
	.n_changes = 6,
};

/* A size of its own: one strategy after the other, in random order. */
static int run_alone(struct eval *ev, const struct scale_conf *sc, const struct strategy *const *sts, size_t n_sts,
		     const struct scale_size *size, struct err *e)
{
	bool done[EVAL_ARMS_MAX] = {};
	int r = 0;

	for (uint32_t round = 0; round < size->n_rounds; round++) {
		size_t turn[EVAL_ARMS_MAX];

		for (size_t i = 0; i < n_sts; i++)
			turn[i] = i;
		rng_shuffle(&ev->rng, turn, n_sts, sizeof(*turn));
		for (size_t i = 0; i < n_sts && r == 0; i++) {
			size_t s = turn[i];
			double took_s = 0;
			char why[160];

			if (done[s])
				continue;
			r = run_round(ev, sc, &sts[s], 1, &size, 1, round, &took_s, e);
			if (r < 0 || took_s <= LOAD_LONG_S || round + 1 == size->n_rounds)
				continue;
			if (isinf(took_s))
				(void)snprintf(why, sizeof(why),
					       "%u Services of %u endpoints could not be loaded: not tried again",
					       size->n_services, size->n_endpoints);
			else
				(void)snprintf(
					why, sizeof(why),
					"%u Services of %u endpoints took %.0f s to load: measured %u times, not %u",
					size->n_services, size->n_endpoints, took_s, round + 1, size->n_rounds);
			done[s] = true;
			r = eval_left_out(ev, "", "scale", sts[s], why, e);
		}
	}
	return r;
}

static double count_steps(const struct scale_conf *sc, size_t n_sts)
{
	double n = 0;

	for (size_t z = 0; z < sc->n_sizes; z++)
		n += (double)n_sts * sc->sizes[z].n_rounds * (3 + sc->n_slices);
	return n;
}

static int run_together(struct eval *ev, const struct scale_conf *sc, const struct strategy *const *sts, size_t n_sts,
			struct err *e)
{
	const struct scale_size *sizes[SCALE_SIZES_MAX];
	size_t n = 0;
	uint32_t n_rounds = 0;
	int r = 0;

	for (size_t z = 0; z < sc->n_sizes; z++)
		if (!sc->sizes[z].alone) {
			sizes[n++] = &sc->sizes[z];
			n_rounds = MAX(n_rounds, sc->sizes[z].n_rounds);
		}
	for (uint32_t round = 0; round < n_rounds && n && r == 0; round++) {
		double took_s = 0;

		r = run_round(ev, sc, sts, n_sts, sizes, n, round, &took_s, e);
	}
	return r;
}

int eval_scale(struct eval *ev, struct err *e)
{
	const struct scale_conf *sc = ev->conf->scale ? ev->conf->scale : ev->conf->quick ? &scale_quick : &scale_full;
	const struct strategy *sts[EVAL_ARMS_MAX];
	size_t n_sts = 0;
	int r = 0;

	for (size_t i = 0; i < ev->conf->n_strategies; i++)
		if (ev->conf->strategies[i]->service_addresses)
			sts[n_sts++] = ev->conf->strategies[i];
		else if (r == 0)
			r = eval_left_out(ev, "", "scale", ev->conf->strategies[i], "carries no Services", e);
	ev->scale_done = 0;
	if (ev->conf->progress)
		progress_start(&ev->progress, ev->conf->progress, &clock_monotonic, count_steps(sc, n_sts));
	if (r == 0 && n_sts)
		r = run_together(ev, sc, sts, n_sts, e);
	for (size_t z = 0; z < sc->n_sizes && r == 0; z++)
		if (sc->sizes[z].alone)
			r = run_alone(ev, sc, sts, n_sts, &sc->sizes[z], e);
	if (ev->conf->progress)
		progress_end(&ev->progress);
	return r;
}
