/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The evaluation. Called by `offkube eval`.
 *
 * Per workload: testbeds for all arms, side by side; reachability; then rounds. A round measures every cell once in every arm and mode, in
 * random order, in slices of well under a second, so that whatever the machine does besides hits all arms alike.
 */
#include "measure/eval.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/rand.h"
#include "base/str.h"
#include "base/util.h"
#include "eval_int.h"
#include "measure/cpu.h"

#define ROUNDS_MIN 3
#define LONG_RUN_S 120 /* rounds that take longer are said so before */
#define CALIBRATE_SLICES 16 /* about eight seconds: the speed of a CPU changes */
#define BUSY_SHARE_MAX 0.05 /* of the machine, by others while it is calibrated */

double eval_elapsed_s(const struct eval *ev)
{
	return (double)(clock_now_ns(&clock_monotonic) - ev->start_ns) / 1e9;
}

static double ns_to_ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

/* ---- testbeds ---- */

static void lab_name_of(const struct eval *ev, size_t arm, char name[static LAB_NAME_MAX + 1])
{
	(void)snprintf(name, LAB_NAME_MAX + 1, "e%d-%zu-%zu", (int)getpid(), ev->workload_at, arm);
}

static int write_refusals(struct eval *ev, const struct eval_arm *arm, struct err *e)
{
	const struct node *node = NULL;
	CLEANUP_FREE const struct node **nodes = NULL;
	size_t n_nodes;
	const struct plan *plan;
	int r = snapshot_sorted_nodes(ev->workload->snapshot, &nodes, &n_nodes);

	if (r < 0 || n_nodes == 0)
		return r;
	node = nodes[0];
	plan = testbed_plan(arm->testbed, node->name); /* the same for all nodes but for endpoint choice */
	for (size_t i = 0; plan && i < plan->n_parts; i++)
		for (size_t j = 0; r == 0 && j < plan->parts[i].refusals.n; j++) {
			const struct refusal_note *note = &plan->parts[i].refusals.v[j];

			r = record_write(ev->rec, "refusal",
					 json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "workload",
						   ev->workload->name, "strategy", arm->strategy->name, "target",
						   plan->parts[i].ops->name, "object", note->object, "field",
						   note->field, "refusal", refusal_name(note->why), "detail",
						   note->detail),
					 e);
		}
	return r;
}

/* The second testbed of the first strategy. */
static bool is_twin(const struct eval *ev, size_t i)
{
	return i > 0 && ev->arms[i].strategy == ev->arms[0].strategy;
}

/* "refusal: detail" of a strategy that cannot run here is an answer, not a failure. */
static int write_strategy_refused(struct eval *ev, const struct eval_arm *arm, const struct err *why, struct err *e)
{
	char name[64];
	const char *colon = strchr(why->text, ':');
	size_t len = colon ? MIN((size_t)(colon - why->text), sizeof(name) - 1) : 0;

	memcpy(name, why->text, len);
	name[len] = '\0';
	log_warn("strategy=%s refused=\"%s\" ... continuing", arm->strategy->name, why->text);
	return record_write(ev->rec, "strategy-refused",
			    json_pack("{s:s, s:s, s:s, s:s}", "workload", ev->workload->name, "strategy",
				      arm->strategy->name, "refusal", name, "detail",
				      colon ? colon + 1 + strspn(colon + 1, " ") : why->text),
			    e);
}

static int arm_up(struct eval *ev, size_t i, struct err *e)
{
	struct eval_arm *arm = &ev->arms[i];
	char name[LAB_NAME_MAX + 1];
	const struct testbed_conf conf = {
		.name = name,
		.snapshot = ev->snapshot ? ev->snapshot : ev->workload->snapshot,
		.strategy = arm->strategy,
		.server_cpus = ev->server_cpus,
		.bare_ns = EVAL_NS,
		.verify = true,
		.stop = ev->conf->stop,
	};
	uint64_t t0 = clock_now_ns(&clock_monotonic);
	const struct apply_report *rep;
	struct err why = {};
	int r;

	if (is_twin(ev, i) && !ev->arms[0].testbed)
		return 0; /* the twin of what was refused */
	lab_name_of(ev, i, name);
	r = testbed_up(&conf, &arm->testbed, &why);
	if (r == -EOPNOTSUPP)
		return write_strategy_refused(ev, arm, &why, e);
	if (r < 0)
		return err_set(e, r, why.path[0] ? why.path : arm->name, "%s", why.text);
	rep = testbed_apply_report(arm->testbed);
	r = record_write(ev->rec, "testbed",
			 json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:f, s:I}", "workload", ev->workload->name, "arm",
				   arm->name, "strategy", arm->strategy->name, "up_ms",
				   ns_to_ms(clock_now_ns(&clock_monotonic) - t0), "compile_ms",
				   ns_to_ms(rep->compile_ns), "apply_ms", ns_to_ms(rep->apply_ns), "verify_ms",
				   ns_to_ms(rep->verify_ns), "added", (json_int_t)rep->total.n_added),
			 e);
	return r < 0 || is_twin(ev, i) ? r : write_refusals(ev, arm, e);
}

int eval_arms_up(struct eval *ev, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < ev->n_arms && r == 0; i++)
		r = *ev->conf->stop ? -EINTR : arm_up(ev, i, e);
	if (r == 0 && eval_n_live_arms(ev) == 0)
		r = err_set(e, -EOPNOTSUPP, NULL, "none of the strategies can run on this host; see offkube probe");
	return r;
}

int eval_arms_down(struct eval *ev, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < ev->n_arms; i++) {
		int ri = ev->arms[i].testbed ? testbed_down(TAKE_PTR(ev->arms[i].testbed), e) : 0;

		if (r == 0)
			r = ri;
	}
	return r;
}

/* ---- rounds ---- */

size_t eval_n_live_arms(const struct eval *ev)
{
	size_t n = 0;

	for (size_t i = 0; i < ev->n_arms; i++)
		n += ev->arms[i].testbed != NULL;
	return n;
}

static bool is_open(const struct eval_cell *c)
{
	return !c->why_not[0] && !c->left_out;
}

/* Of one round in one arm, roughly; 0 = nothing is left to measure. */
static double arm_round_s(const struct eval *ev)
{
	double s = eval_sweep_size_s(ev);

	for (size_t i = 0; i < ev->n_cells; i++)
		for (int m = 0; is_open(&ev->cells[i]) && m < MODE_MAX; m++)
			if (ev->cells[i].modes & (1u << m))
				s += eval_slice_s(ev, &ev->cells[i], m);
	return s;
}

/* Seconds that this workload may take for its rounds; negative when the time is over. Workloads to come need testbeds too, and all are taken down: as
 * long as the slowest so far. */
double eval_rounds_budget_s(const struct eval *ev)
{
	double n_left = (double)(ev->conf->n_workloads - ev->workload_at);
	double left = ev->conf->budget_s - EVAL_REPORT_RESERVE_S - ev->experiments_s - eval_elapsed_s(ev) -
		      ev->setup_s * (n_left - 1);

	return left / n_left;
}

/* Fits cells and rounds into the budget: fewer rounds first, then, from the last, cells. Returns the rounds. */
static uint32_t fit_budget(struct eval *ev)
{
	double arms = (double)eval_n_live_arms(ev);
	size_t last = ev->n_cells;

	if (ev->conf->budget_s == 0)
		return ev->n_rounds;
	for (;;) {
		double round_s = arm_round_s(ev) * arms;
		double rounds = round_s > 0 ? eval_rounds_budget_s(ev) / round_s : 0;

		if (rounds >= ROUNDS_MIN)
			return (uint32_t)MIN(rounds, (double)ev->n_rounds);
		if (last == 0)
			return 0;
		ev->cells[--last].left_out = true;
	}
}

int eval_left_out(struct eval *ev, const char *workload, const char *what, const struct strategy *st, const char *why,
		  struct err *e)
{
	return record_write(ev->rec, "left-out",
			    json_pack("{s:s, s:s, s:s, s:s, s:s?, s:s}", "workload", workload, "load", what, "path", "",
				      "family", "", "strategy", st ? st->name : NULL, "why", why),
			    e);
}

static int write_left_out(struct eval *ev, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ev->n_cells; i++) {
		const struct eval_cell *c = &ev->cells[i];

		if (!is_open(c) || c->less[0])
			r = record_write(ev->rec, "left-out",
					 json_pack("{s:s, s:s, s:s, s:s, s:s}", "workload", ev->workload->name, "load",
						   load_name[c->load], "path", eval_path_name[c->path], "family",
						   eval_family_name[c->family], "why",
						   c->why_not[0] ? c->why_not :
						   c->left_out	 ? "budget" :
								   c->less),
					 e);
	}
	return r;
}

/* Finds the capacity again. How busy others were meanwhile is recorded, and said once: what they use is in what the slices used. */
int eval_calibrate(struct eval *ev, unsigned int windows, struct err *e)
{
	json_t *rates = json_array();
	struct cpu_mark from, to;
	struct cpu_use use = {};
	int r = cpu_meter_mark(ev->meter, &from, e);

	if (r == 0)
		r = cpu_meter_calibrate(ev->meter, 40, windows, e);
	if (r == 0)
		r = cpu_meter_mark(ev->meter, &to, e);
	if (r == 0)
		cpu_meter_use(ev->meter, &from, &to, &use);
	if (use.busy_share > BUSY_SHARE_MAX && !ev->busy_said) {
		log_warn("busy_share=%.2f machine is busy with other things: CPU figures will be off ... continuing",
			 use.busy_share);
		ev->busy_said = true;
	}
	for (unsigned int i = 0; i < cpu_meter_n_cpus(ev->meter); i++)
		(void)json_array_append_new(rates, json_real(cpu_meter_rounds_per_s(ev->meter, i)));
	if (r < 0) {
		json_decref(rates);
		return r;
	}
	return record_write(ev->rec, "calibration",
			    json_pack("{s:o, s:f}", "rounds_per_s", rates, "busy_share", use.busy_share), e);
}

static int run_round(struct eval *ev, uint32_t round, uint32_t n_rounds, double done_s, struct err *e)
{
	struct slice slices[EVAL_CELLS_MAX * EVAL_ARMS_MAX * MODE_MAX];
	size_t n = 0;
	int r = eval_calibrate(ev, 3, e);

	for (size_t c = 0; c < ev->n_cells; c++)
		for (size_t a = 0; a < ev->n_arms; a++)
			for (int m = 0; m < MODE_MAX; m++)
				if (is_open(&ev->cells[c]) && ev->cells[c].modes & (1u << m) && ev->arms[a].testbed)
					slices[n++] = (struct slice){ .cell = c, .arm = a, .mode = m };
	rng_shuffle(&ev->rng, slices, n, sizeof(*slices));
	for (size_t i = 0; i < n && r == 0; i++) {
		char what[96];

		if (*ev->conf->stop)
			return -EINTR;
		(void)snprintf(what, sizeof(what), "%s: round %u of %u", ev->workload->name, round + 1, n_rounds);
		if (ev->conf->progress)
			progress_update(&ev->progress, done_s, what);
		if (i && i % CALIBRATE_SLICES == 0)
			r = eval_calibrate(ev, 2, e);
		if (r == 0)
			r = eval_run_slice(ev, &slices[i], round, i, e);
		done_s += eval_slice_s(ev, &ev->cells[slices[i].cell], slices[i].mode);
	}
	return r;
}

static int run_rounds(struct eval *ev, struct err *e)
{
	uint32_t n_rounds = fit_budget(ev);
	double round_s = arm_round_s(ev) * (double)eval_n_live_arms(ev);
	double size_s =
		eval_sweep_size_s(ev) * (double)eval_n_live_arms(ev); /* of a round's sizes, which come at the end */
	double rounds_s = (round_s - size_s) * n_rounds;
	uint32_t n_done = 0;
	int r = write_left_out(ev, e);

	if (ev->conf->progress && round_s * n_rounds > LONG_RUN_S)
		fprintf(ev->conf->progress, "%s: about %.0f minutes for %u rounds in %zu arms\n", ev->workload->name,
			ceil(round_s * n_rounds / 60), n_rounds, eval_n_live_arms(ev));
	if (ev->conf->progress)
		progress_start(&ev->progress, ev->conf->progress, &clock_monotonic, round_s * n_rounds);
	for (; n_done < n_rounds && r == 0; n_done++) {
		/* A machine slower than estimated: what was begun is kept, fewer rounds are had. */
		if (ev->conf->budget_s && n_done >= ROUNDS_MIN && eval_rounds_budget_s(ev) < round_s + size_s * n_done)
			break;
		r = run_round(ev, n_done, n_rounds, rounds_s / n_rounds * n_done, e);
	}
	if (r == 0)
		r = eval_sweep_size(ev, n_done, e);
	if (ev->conf->progress)
		progress_end(&ev->progress);
	return r;
}

/* The snapshot with the servers of the loads, and all cells. Without room for servers their loads are left out. */
static int make_cells(struct eval *ev, struct err *e)
{
	struct err why = {};
	int r = eval_servers_add(ev->workload->snapshot, eval_loads(ev->conf), &ev->tools, &ev->snapshot, &why);

	ev->servers_why[0] = '\0';
	if (r == -ENOSPC || r == -EEXIST) {
		(void)snprintf(ev->servers_why, sizeof(ev->servers_why), "%.60s%s%s", why.path, why.path[0] ? ": " : "",
			       why.text);
		ev->snapshot = snapshot_ref(ev->workload->snapshot);
		r = 0;
	}
	if (r < 0)
		return err_set(e, r, why.path, "%s", why.text);
	r = eval_make_cells(ev->snapshot, eval_loads(ev->conf), ev->conf->quick, ev->cells, &ev->n_cells);
	return r == 0 ? eval_add_load_cells(ev) : r;
}

/* In every arm. One that cannot be started in one of them is missed in all: they must do the same. */
static int servers_up(struct eval *ev, struct err *e)
{
	struct err why = {};
	int r = 0;

	for (size_t i = 0; i < ev->n_arms && r == 0; i++)
		if (ev->arms[i].testbed)
			r = eval_servers_start(testbed_lab(ev->arms[i].testbed), ev->snapshot, &ev->tools,
					       ev->file_mib << 20, &why);
	if (r == -EINTR || r == -ENOMEM)
		return err_set(e, r, why.path, "%s", why.text);
	if (r < 0) {
		char text[160];

		(void)snprintf(text, sizeof(text), "%.60s: %s", why.path, why.text);
		log_warn("servers=failed why=\"%s\" ... continuing", text);
		eval_drop_server_cells(ev, text);
	}
	return 0;
}

static int run_workload(struct eval *ev, struct err *e)
{
	double begin_s = eval_elapsed_s(ev);
	int r, rd;

	r = make_cells(ev, e);
	if (r == 0)
		r = eval_arms_up(ev, e);
	if (r == 0)
		r = servers_up(ev, e);
	for (size_t i = 0; i < ev->n_arms && r == 0; i++) {
		uint64_t n_bad = 0;

		if (!ev->arms[i].testbed || is_twin(ev, i))
			continue;
		r = eval_reach(ev->conf, ev->workload, &ev->arms[i], ev->rec, &n_bad, e);
		ev->n_reach_bad += n_bad;
	}
	ev->setup_s = MAX(ev->setup_s, eval_elapsed_s(ev) - begin_s);
	if (r == 0)
		r = run_rounds(ev, e);
	rd = eval_arms_down(ev, r == 0 ? e : NULL);
	snapshot_unref(ev->snapshot);
	ev->snapshot = NULL;
	return r < 0 ? r : rd;
}

/* ---- the whole ---- */

/* A quick run within a budget uses the budget: more rounds, narrower intervals. */
static uint32_t default_rounds(const struct eval_conf *conf)
{
	if (!conf->quick)
		return 10;
	return conf->budget_s ? 12 : 5;
}

static void choose_slices(struct eval *ev)
{
	unsigned int n_cpus = MIN((unsigned int)get_nprocs(), 64u);

	ev->open_ms = ev->conf->quick ? 250 : 300;
	ev->closed_ms = ev->conf->quick ? 250 : 300;
	ev->warmup_ms = ev->conf->quick ? 60 : 100;
	ev->file_mib = ev->conf->quick ? 64 : 1000;
	ev->n_rounds = ev->conf->n_rounds ? ev->conf->n_rounds : default_rounds(ev->conf);
	if (n_cpus > 1) {
		ev->generator_cpus = 1ull << (n_cpus - 1);
		ev->server_cpus = ev->generator_cpus - 1;
	}
}

static void make_arms(struct eval *ev)
{
	for (size_t i = 0; i < ev->conf->n_strategies; i++) {
		struct eval_arm *arm = &ev->arms[ev->n_arms++];

		arm->strategy = ev->conf->strategies[i];
		(void)snprintf(arm->name, sizeof(arm->name), "%s", arm->strategy->name);
	}
	ev->arms[ev->n_arms].strategy = ev->conf->strategies[0];
	(void)snprintf(ev->arms[ev->n_arms].name, sizeof(ev->arms[0].name), "%s (A/A)", ev->conf->strategies[0]->name);
	ev->n_arms++;
}

static int write_end(struct eval *ev, int r, const struct err *why, struct err *e)
{
	const char *status = r == 0 ? "complete" : r == -EINTR ? "interrupted" : "failed";

	return record_write(ev->rec, "end",
			    json_pack("{s:s, s:f, s:s?}", "status", status, "seconds", eval_elapsed_s(ev), "error",
				      r == 0		  ? NULL :
				      why && why->text[0] ? why->text :
							    strerror(-r)),
			    e);
}

/* Everything but `scale` tells CPU. */
static int start_meter(struct eval *ev, struct err *e)
{
	int r = ev->experiments == 1u << EVAL_SCALE ? 0 : cpu_meter_new(&ev->meter, e);

	return r == 0 && ev->meter ? eval_calibrate(ev, 8, e) : r;
}

static int run_all(struct eval *ev, struct err *e)
{
	int r;

	choose_slices(ev);
	make_arms(ev);
	if (ev->conf->n_workloads)
		eval_tools_find(eval_loads(ev->conf), &ev->tools);
	r = eval_choose_experiments(ev, e);
	if (r == 0)
		r = eval_write_run(ev, e);
	if (r == 0)
		r = start_meter(ev, e);
	for (ev->workload_at = 0; r == 0 && ev->workload_at < ev->conf->n_workloads; ev->workload_at++) {
		ev->workload = &ev->conf->workloads[ev->workload_at];
		if (ev->experiments & (1u << EVAL_CELLS))
			r = run_workload(ev, e);
	}
	if (r == 0)
		r = eval_run_experiments(ev, e);
	if (r == 0 && ev->n_wrong)
		r = err_set(e, -EREMOTEIO, NULL, "%" PRIu64 " answers came from no backend of the Service asked",
			    ev->n_wrong);
	if (r == 0 && ev->n_reach_bad)
		r = err_set(e, -EREMOTEIO, NULL,
			    "%" PRIu64 " questions to Services were not answered rightly; see the reach records",
			    ev->n_reach_bad);
	if (r == -EINTR)
		(void)err_set(e, r, NULL, "interrupted; the records so far are kept");
	return r;
}

int eval_run(const struct eval_conf *conf, struct err *e)
{
	CLEANUP_FREE char *path = str_printf("%s/records.jsonl", conf->out_dir);
	struct eval *ev = calloc(1, sizeof(*ev));
	int r;

	if (!ev || !path) {
		free(ev);
		return -ENOMEM;
	}
	ev->conf = conf;
	ev->start_ns = clock_now_ns(&clock_monotonic);
	rng_seed(&ev->rng, conf->seed);
	if (conf->n_strategies == 0 || conf->n_strategies >= EVAL_ARMS_MAX)
		r = err_set(e, -EINVAL, "--strategy", "between 1 and %d strategies", EVAL_ARMS_MAX - 1);
	else
		r = record_writer_open(path, &ev->rec, e);
	if (r == 0) {
		r = run_all(ev, e);
		(void)write_end(ev, r, e, NULL); /* the first failure is the one to tell */
	}
	cpu_meter_free(ev->meter);
	snapshot_unref((struct snapshot *)ev->synthetic.snapshot); /* ours alone */
	record_writer_close(ev->rec);
	free(ev);
	return r;
}
