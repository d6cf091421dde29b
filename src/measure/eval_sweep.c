/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Measurements along an axis, on the synthetic cluster, other-node, IPv4. Called by eval_experiments.c; the axes are told in docs/evaluation.md.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "churn.h"
#include "eval_synthetic.h"
#include "holder.h"

#define WINDOW_MS 1000
#define WARMUP_MS 200
#define QUICK_WINDOW_MS 300
#define QUICK_WARMUP_MS 60
#define LASTING 64 /* connections that must live through updates */
/* A strategy's sweep of the offered load ends where this share of it is not answered in the window, or not even sent. */
#define FAILED_SHARE 0.05

enum axis { AXIS_OFFERED, AXIS_LIVE, AXIS_UPDATES, AXIS_UPDATES_SAME, AXIS_MAX };
struct axis_spec {
	const char *name, *left_out;
	uint32_t rounds, quick_rounds;
	size_t n_x;
	double x[8];
	struct {
		enum load_kind load;
		enum slice_mode mode;
	} loads[2];
	size_t n_loads;
};
static const struct axis_spec axis_spec[AXIS_MAX] = {
	[AXIS_OFFERED] = { "offered",
			   "sweep-offered",
			   3,
			   1,
			   6,
			   { 2000, 4000, 8000, 16000, 32000, 64000 },
			   { { LOAD_ECHO, MODE_OPEN }, { LOAD_CONNECT, MODE_OPEN } },
			   2 },
	[AXIS_LIVE] = { "live", "sweep-live", 2, 1, 4, { 0, 1000, 10000, 50000 }, { { LOAD_CONNECT, MODE_CLOSED } }, 1 },
	[AXIS_UPDATES] = { "updates",
			   "sweep-updates",
			   2,
			   1,
			   4,
			   { 0, 10, 100, 1000 },
			   { { LOAD_ECHO, MODE_OPEN }, { LOAD_CONNECT, MODE_CLOSED } },
			   2 },
	[AXIS_UPDATES_SAME] = { "updates-same",
				"sweep-updates-same",
				2,
				1,
				4,
				{ 0, 10, 100, 1000 },
				{ { LOAD_ECHO, MODE_OPEN }, { LOAD_CONNECT, MODE_CLOSED } },
				2 },
};
#define QUICK_X 2 /* points of a quick run */

/* One point in one arm. */
struct point {
	enum axis axis;
	size_t load; /* of the axis */
	double x;
	uint32_t round;
	size_t order;
};

static struct slice_conf slice_of(const struct eval *ev, const struct point *p)
{
	const struct axis_spec *spec = &axis_spec[p->axis];
	const uint64_t what[] = { p->axis, p->load, (uint64_t)p->x, p->round };

	return (struct slice_conf){
		.mode = spec->loads[p->load].mode,
		.offered = p->axis == AXIS_OFFERED ? p->x : eval_offered_rps(spec->loads[p->load].load),
		.warmup_ms = ev->conf->quick ? QUICK_WARMUP_MS : WARMUP_MS,
		.duration_ms = ev->conf->quick ? QUICK_WINDOW_MS : WINDOW_MS,
		.seed = hash_bytes(what, sizeof(what), ev->conf->seed), /* the same arrivals for all arms */
		.round = p->round,
		.order = p->order,
	};
}

/* How many Services are asked. Changes of "the same" mean the one that is asked; idle connections are spread as the load is. */
static size_t n_asked(enum axis axis)
{
	return axis == AXIS_UPDATES || axis == AXIS_UPDATES_SAME ? 1 : EVAL_SERVICES_MAX;
}

static int write_sweep(struct eval *ev, const struct point *p, json_t *j, struct err *e)
{
	ev->n_wrong += (uint64_t)json_integer_value(json_object_get(j, "wrong"));
	(void)json_object_set_new(j, "axis", json_string(axis_spec[p->axis].name));
	(void)json_object_set_new(j, "x", json_real(p->x));
	return record_write(ev->rec, "sweep", j, e);
}

/* ---- offered ---- */

/* Arrivals are Poisson: as many as were drawn for so short a window, not as many as its mean, must be answered; and a generator that sends fewer than chance
 * allows is itself at its end. */
static bool has_failed(const json_t *j, double x)
{
	double ok = json_number_value(json_object_get(j, "ok")), sent = json_number_value(json_object_get(j, "sent"));
	double mean = x * json_number_value(json_object_get(j, "seconds"));

	return ok < (1 - FAILED_SHARE) * sent || sent < (1 - FAILED_SHARE) * mean - 4 * sqrt(mean);
}

/* -ERANGE: measured and recorded, and more than this it does not carry. */
static int run_offered(struct eval *ev, const struct eval_arm *arm, const struct point *p, struct err *e)
{
	const struct slice_conf sc = slice_of(ev, p);
	struct eval_cell cell;
	json_t *j = NULL;
	bool failed;
	int r;

	eval_synthetic_cell(ev, axis_spec[p->axis].loads[p->load].load, n_asked(p->axis), &cell);
	r = eval_measure(ev, &cell, arm, &sc, &j, e);
	if (r < 0)
		return r;
	failed = has_failed(j, p->x);
	r = write_sweep(ev, p, j, e);
	return r == 0 && failed ? -ERANGE : r;
}

/* ---- live ---- */

/* The idle connections come from another pod, so that ports are no bottleneck of the load's. */
static int run_live(struct eval *ev, const struct eval_arm *arm, const struct point *p, struct err *e)
{
	const struct slice_conf sc = slice_of(ev, p);
	struct load_target targets[EVAL_SERVICES_MAX];
	struct holder *h = NULL;
	struct eval_cell cell;
	json_t *j = NULL;
	int r;

	eval_synthetic_cell(ev, axis_spec[p->axis].loads[p->load].load, n_asked(p->axis), &cell);
	for (size_t i = 0; i < cell.n_services; i++) {
		const struct eval_service *es = &cell.services[i];

		targets[i] = (struct load_target){ .addr = es->backends[0].addr, .port = es->backends[0].port };
		if (arm->strategy->service_addresses)
			targets[i] = (struct load_target){ .addr = es->svc->cluster_ip[IP_V4], .port = es->port->port };
	}
	r = holder_start(eval_synthetic_netns(arm, "holder"), eval_synthetic_cgroup(arm), targets, cell.n_services,
			 (uint32_t)p->x, ev->conf->stop, &h, e);
	if (r == 0)
		r = eval_measure(ev, &cell, arm, &sc, &j, e);
	holder_stop(h);
	return r < 0 ? r : write_sweep(ev, p, j, e);
}

/* ---- updates ---- */

/* The load's process hands its sample back as text. */
#define SAMPLE_TEXT_MAX (1u << 20)
struct sample_page {
	int r;
	struct err err;
	uint64_t window_ns[2];
	char text[SAMPLE_TEXT_MAX];
};

static void measure_into(struct eval *ev, const struct eval_cell *cell, const struct eval_arm *arm,
			 const struct slice_conf *conf, struct sample_page *page)
{
	CLEANUP_FREE char *text = NULL;
	struct slice_conf sc = *conf;
	json_t *j = NULL;

	sc.window_ns = page->window_ns;
	page->r = eval_measure(ev, cell, arm, &sc, &j, &page->err);
	if (page->r < 0)
		return;
	text = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	if (!text || strlen(text) >= sizeof(page->text))
		page->r = -E2BIG;
	else
		memcpy(page->text, text, strlen(text) + 1);
}

static uint32_t n_changes_within(const struct churn_result *res, const uint64_t window_ns[2])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < res->n_changes; i++)
		n += res->done_ns[i] >= window_ns[0] && res->done_ns[i] <= window_ns[1];
	return n;
}

/* The load in a process of its own, the changes here: they need the testbed's handles. */
static int measure_under_churn(struct eval *ev, const struct eval_arm *arm, const struct point *p,
			       const struct eval_cell *cell, struct sample_page *page, struct churn_result *res,
			       struct err *e)
{
	const struct slice_conf sc = slice_of(ev, p);
	struct churn_conf conf = {
		.shape = &eval_synthetic_shape,
		.testbed = arm->testbed,
		.rate = p->x,
		.service = p->axis == AXIS_UPDATES_SAME ? 0 : EVAL_SYNTHETIC_OTHER,
		.mark = EVAL_SYNTHETIC_MARK,
		.mark_port = SYNTHETIC_SERVICE_PORT,
		.netns_fd = eval_synthetic_netns(arm, "holder"),
		.cgroup_fd = eval_synthetic_cgroup(arm),
		.cpus = ev->generator_cpus,
		.stop = ev->conf->stop,
	};
	struct churn *churn = NULL;
	pid_t pid = -1;
	int r;

	synthetic_service_addr(EVAL_SYNTHETIC_MARK, &conf.mark_addr);
	if (!arm->strategy->service_addresses) {
		conf.mark_addr = cell->services[0].backends[0].addr;
		conf.mark_port = SYNTHETIC_PORT;
	}
	r = churn_new(&conf, &churn, e);
	if (r == 0)
		r = churn_fork(churn, &pid, e);
	if (r == 0 && pid == 0) {
		measure_into(ev, cell, arm, &sc, page);
		_exit(0);
	}
	if (r == 0)
		r = churn_until_end(churn, pid, res, e);
	churn_free(churn);
	if (r == 0 && page->r < 0) {
		r = page->r;
		if (e)
			*e = page->err;
	}
	return r;
}

/* *dirty: what was changed could not be undone. */
static int run_updates(struct eval *ev, const struct eval_arm *arm, const struct point *p, bool *dirty, struct err *e)
{
	struct sample_page *page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CLEANUP_FREE struct churn_result *res = calloc(1, sizeof(*res));
	struct load_target target;
	struct holder *h = NULL;
	struct eval_cell cell;
	uint32_t n_broken = 0;
	json_t *j = NULL;
	int r;

	if (page == MAP_FAILED || !res) {
		r = -ENOMEM;
		goto out;
	}
	page->r = -ECHILD; /* until it says otherwise */
	eval_synthetic_cell(ev, axis_spec[p->axis].loads[p->load].load, n_asked(p->axis), &cell);
	target = (struct load_target){ .addr = cell.services[0].backends[0].addr, .port = SYNTHETIC_PORT };
	if (arm->strategy->service_addresses)
		target = (struct load_target){ .addr = cell.services[0].svc->cluster_ip[IP_V4],
					       .port = SYNTHETIC_SERVICE_PORT };
	r = holder_start(eval_synthetic_netns(arm, "holder"), eval_synthetic_cgroup(arm), &target, 1, LASTING,
			 ev->conf->stop, &h, e);
	if (r == 0)
		r = measure_under_churn(ev, arm, p, &cell, page, res, e);
	*dirty = res->dirty;
	if (r == 0)
		r = holder_check(h, &n_broken, e);
	if (r == 0) {
		j = json_loads(page->text, 0, NULL);
		r = j ? 0 : -ENOMEM;
	}
	if (r == 0) {
		(void)json_object_set_new(j, "changes", json_integer(n_changes_within(res, page->window_ns)));
		(void)json_object_set_new(j, "broken", json_integer(n_broken));
		(void)json_object_set_new(j, "in_force_ns", eval_ns_list(res->in_force_ns, res->n_in_force));
		r = write_sweep(ev, p, j, e);
	}
out:
	holder_stop(h);
	if (page != MAP_FAILED)
		(void)munmap(page, sizeof(*page));
	return r;
}

/* ---- the whole ---- */

static int run_point(struct eval *ev, const struct eval_arm *arm, const struct point *p, bool *dirty, struct err *e)
{
	switch (p->axis) {
	case AXIS_OFFERED:
		return run_offered(ev, arm, p, e);
	case AXIS_LIVE:
		return run_live(ev, arm, p, e);
	default:
		return run_updates(ev, arm, p, dirty, e);
	}
}

/* Where a strategy has come to the end of an axis: there and beyond it is not measured again, in no round. */
struct ends {
	struct {
		bool is_there;
		double x;
	} at[EVAL_ARMS_MAX][2]; /* by the axis' load */
	bool no_updates[EVAL_ARMS_MAX]; /* its testbed is not as it was made: nothing more is changed in it */
};

static bool is_beyond(const struct ends *ends, size_t a, const struct point *p)
{
	if (ends->no_updates[a] && (p->axis == AXIS_UPDATES || p->axis == AXIS_UPDATES_SAME))
		return true;
	return ends->at[a][p->load].is_there && p->x >= ends->at[a][p->load].x;
}

/* What a strategy cannot do is recorded, and the others go on; an interruption ends all. */
static int try_point(struct eval *ev, size_t a, const struct point *p, struct ends *ends, struct err *e)
{
	const struct axis_spec *spec = &axis_spec[p->axis];
	struct err why = {};
	char text[600];
	int r = run_point(ev, &ev->arms[a], p, &ends->no_updates[a], &why);

	if (r == 0)
		return 0;
	if (r == -EINTR || *ev->conf->stop)
		return -EINTR;
	ends->at[a][p->load].is_there = true;
	ends->at[a][p->load].x = p->x;
	if (r == -ERANGE)
		(void)snprintf(text, sizeof(text), "%s: %.0f a second is not carried",
			       load_name[spec->loads[p->load].load], p->x);
	else
		(void)snprintf(text, sizeof(text), "%s at %.0f: %s%s%s%s", load_name[spec->loads[p->load].load], p->x,
			       why.path, why.path[0] ? ": " : "", why.text[0] ? why.text : strerror(-r),
			       ends->no_updates[a] ? "; its changes could not be undone" : "");
	if (r != -ERANGE)
		log_warn("strategy=%s axis=%s why=\"%s\" ... continuing", ev->arms[a].strategy->name, spec->name, text);
	return eval_left_out(ev, ev->workload->name, spec->left_out, ev->arms[a].strategy, text, e);
}

/* One point in all arms, in random order. */
static int run_arms(struct eval *ev, const struct point *first, struct ends *ends, double *done, const char *what,
		    struct err *e)
{
	size_t turn[EVAL_ARMS_MAX];
	int r = 0;

	for (size_t i = 0; i < ev->n_arms; i++)
		turn[i] = i;
	rng_shuffle(&ev->rng, turn, ev->n_arms, sizeof(*turn));
	for (size_t i = 0; i < ev->n_arms && r == 0; i++) {
		struct point p = *first;

		p.order += i;
		if (ev->conf->progress)
			progress_update(&ev->progress, (*done)++, what);
		if (*ev->conf->stop)
			return -EINTR;
		if (ev->arms[turn[i]].testbed && !is_beyond(ends, turn[i], &p))
			r = try_point(ev, turn[i], &p, ends, e);
	}
	return r;
}

static int run_axis(struct eval *ev, enum axis axis, struct ends *ends, double *done, struct err *e)
{
	const struct axis_spec *spec = &axis_spec[axis];
	uint32_t n_rounds = ev->conf->quick ? spec->quick_rounds : spec->rounds;
	size_t n_x = ev->conf->quick ? QUICK_X : spec->n_x;
	int r = 0;

	memset(ends->at, 0, sizeof(ends->at)); /* of another axis */
	for (uint32_t round = 0; round < n_rounds && r == 0; round++) {
		size_t order = 0;

		r = eval_calibrate(ev, 3, e);
		for (size_t l = 0; l < spec->n_loads && r == 0; l++)
			for (size_t i = 0; i < n_x && r == 0; i++) {
				const struct point p = { axis, l, spec->x[i], round, order };
				char what[96];

				(void)snprintf(what, sizeof(what), "sweep %s: %s at %.0f, round %u of %u", spec->name,
					       load_name[spec->loads[l].load], p.x, round + 1, n_rounds);
				r = run_arms(ev, &p, ends, done, what, e);
				order += ev->n_arms;
			}
	}
	return r;
}

int eval_sweep(struct eval *ev, struct err *e)
{
	struct ends ends = {};
	double total = 0, done = 0;
	int r = 0;

	for (int x = 0; x < AXIS_MAX; x++)
		total += (double)(ev->n_arms * axis_spec[x].n_loads *
				  (ev->conf->quick ? axis_spec[x].quick_rounds * QUICK_X :
						     axis_spec[x].rounds * axis_spec[x].n_x));
	if (ev->conf->progress)
		progress_start(&ev->progress, ev->conf->progress, &clock_monotonic, total);
	for (int x = 0; x < AXIS_MAX && r == 0; x++)
		r = run_axis(ev, (enum axis)x, &ends, &done, e);
	if (ev->conf->progress)
		progress_end(&ev->progress);
	return r;
}
