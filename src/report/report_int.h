/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the report share: the records as read, and what is computed from them. Private to report/.
 *
 * Order of things: load.c reads lines, load_rec.c turns them into cells and series, evaluate.c and pool.c fill the estimates, answer.c writes the
 * sentence. After that the report is constant and table.c, json.c, html.c and figures.c print it.
 */
#ifndef OFFKUBE_REPORT_REPORT_INT_H
#define OFFKUBE_REPORT_REPORT_INT_H

#include <jansson.h>
#include <string.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/stats.h"
#include "base/str.h"
#include "base/vec.h"
#include "report/report.h"

#define REPORT_SCHEMA 2 /* the one that docs/records.md describes */

/* Bounds of what a file may hold: an evaluation stays far below them. */
#define LINE_SIZE_MAX (4u << 20)
#define STRATEGIES_MAX 32
#define ARMS_MAX 64
#define LOADS_MAX 32
#define TIERS_MAX 16 /* targets that carried Services */
#define TOOLS_MAX 32
#define WORKLOADS_MAX 256
#define CELLS_MAX 4096
#define SERIES_MAX 32768
#define ROUNDS_MAX 10000
#define SAMPLES_MAX 2000000
#define NOTES_MAX 2000 /* of each list; the rest is counted */
#define TEXT_SIZE_MAX 1000 /* of a string that is kept */

#define ROUNDS_WANTED 10 /* EVALUATION.md rule 3 */
#define PAIRS_MIN 3 /* rounds that a comparison needs */
#define FAIL_SHARE_MAX \
	0.001 /* a strategy that fails more of a cell's requests, in one of the modes, cannot win the cell */

/* CPU at the offered load (open loop), and as fast as it goes (closed loop). */
enum metric { METRIC_CPU, METRIC_CPU_FULL, METRIC_P50, METRIC_P90, METRIC_P99, METRIC_P999, METRIC_RATE, METRIC_MAX };

/* How a number is written. */
enum quantity { QUANTITY_NS, QUANTITY_PER_S, QUANTITY_MIB_PER_S, QUANTITY_CORES, QUANTITY_KIB };

struct metric_info {
	const char *key; /* in JSON, file names and anchors */
	const char *name; /* "median latency" */
	const char *superlative; /* "lowest median latency" */
	bool higher_is_better;
};
extern const struct metric_info metrics[METRIC_MAX];

static inline bool metric_is_cpu(enum metric m)
{
	return m == METRIC_CPU || m == METRIC_CPU_FULL;
}

/* What a load counts. */
enum unit { UNIT_REQUEST, UNIT_MIB, UNIT_MAX };
extern const char *const record_unit_name[UNIT_MAX];

enum mode { MODE_OPEN, MODE_CLOSED, MODE_MAX };
enum kind { KIND_REAL, KIND_EMULATED, KIND_MODELLED, KIND_MAX };
extern const char *const record_kind_name[KIND_MAX];

/* Against the baseline. NONE: nothing to compare; FEW: under PAIRS_MIN rounds; FAILED: requests failed on either side, so the others' latency and
 * cost say little. */
enum verdict { VERDICT_NONE, VERDICT_FEW, VERDICT_FAILED, VERDICT_TIE, VERDICT_BETTER, VERDICT_WORSE, VERDICT_MAX };
extern const char *const outcome_name[VERDICT_MAX];

struct strategy_rec {
	const char *name, *text;
	const char *version; /* of a peer's program, or NULL */
	bool services; /* clients use Service addresses */
	size_t arm; /* that is not the twin; ARMS_MAX = none */
};

struct arm_rec {
	const char *name;
	size_t strategy;
	bool twin; /* the second testbed of its strategy: "(A/A)" */
};

struct load_rec {
	const char *name, *text;
	enum unit unit;
	bool open, closed;
	double offered; /* units per second when open */
	int64_t connections;
};

/* A program of others that made load. */
struct tool_rec {
	const char *name, *version;
};

struct workload_rec {
	const char *name;
	int64_t nodes, pods, services, endpoints;
};

struct run_rec {
	const char *id, *started, *commit, *command;
	int64_t seed, budget_s, rounds, open_ms, closed_ms, warmup_ms;
	bool quick;
	const char *kernel, *os, *cpu, *congestion_control;
	int64_t n_cpus, memory_mib;
	bool is_virtual;
	double load_1m;
	const char *servers, *generator; /* CPU numbers, as text */
};

struct numbers {
	double *v;
	size_t n, cap;
};

/* A value per round, in the order of rounds. */
struct value {
	int64_t round;
	double v;
};
struct track {
	VEC(struct value) at;
};

/* What others are compared with: the upper bound (no Service at all), and the incumbent (kube-proxy, when it took part). */
#define PEER_NAME "kube-proxy"
enum ref { REF_BOUND, REF_PEER, REF_MAX };

/* A comparison within rounds. */
struct against {
	size_t n_pairs; /* rounds that the reference has too; 0 = no comparison, and nothing below is set */
	struct interval ratio; /* over the reference */
	struct interval diff; /* less the reference, in the metric's unit */
	enum verdict verdict;
};

/* One number of one arm of one cell. */
struct estimate {
	size_t n; /* rounds; 0 = not measured, and nothing below is set */
	struct interval median;
	struct against vs[REF_MAX];
	bool best, tied; /* among the strategies that carry Services; best = alone in front */
};

/* What one round gave. NAN = not measured, or left out. */
struct round_row {
	int64_t round;
	uint8_t modes; /* 1 << enum mode that were seen */
	double v[METRIC_MAX];
};

/* Connections that one target carried. */
struct carried {
	const char *target;
	bool counted; /* it has such a counter */
	uint64_t n;
};

struct hist_pair {
	uint32_t bucket;
	uint64_t count;
};

/* The samples of one arm in one cell. */
struct series {
	VEC(struct round_row) rows; /* by round */
	VEC(struct hist_pair) hist; /* of all its open samples, by bucket */
	VEC(double) lateness; /* p99 of each open sample, ns */
	enum kind kind;
	uint64_t n_samples[MODE_MAX];
	uint64_t n_discarded; /* steal: samples left out of CPU figures */
	uint64_t n_sent, n_ok, n_refused, n_timeout, n_other, n_wrong;
	uint64_t n_open_ok,
		n_timed; /* open samples that tell latency: requests answered in them, and how many samples */
	uint64_t n_sent_in[MODE_MAX],
		n_failed_in[MODE_MAX]; /* closed loops send so many that they would hide failures of open ones */
	bool counted; /* a target of the strategy counts connections */
	uint64_t n_connections; /* of all targets */
	uint64_t n_retransmits;
	VEC(double) lost_share; /* of each slice that tells it */
	uint64_t n_changes, n_broken; /* sweeps of axis "updates" */
	struct numbers in_force; /* ns; the same */
	VEC(struct carried) carried; /* by target, in the order of the records */
	struct estimate est[METRIC_MAX];
};

struct noise {
	bool known;
	struct interval ratio; /* twin over its own strategy */
	double floor; /* largest distance of that interval from 1 */
};

/* Several cells as one number (pool.c). */
struct pool {
	size_t n_cells; /* 0 = nothing to compare, and nothing below is set */
	size_t n_under, n_over; /* cells whose median ratio is under, over 1 */
	struct interval ratio; /* geometric mean of the cells' ratios */
	bool noise_known;
	double floor; /* of the same cells' A/A pairs; 0 when unknown */
	enum verdict verdict;
	double sign_p; /* of n_under to n_over, two-sided */
};
/* One metric of one strategy on one load. */
struct pooled {
	struct pool vs[REF_MAX];
	bool best, tied; /* as in an estimate */
};

/* A cell, or (axis not NULL) a point of a sweep: the same cell at one place of an axis. */
struct cell {
	size_t workload, load;
	const char *path, *family;
	const char *axis; /* of docs/records.md, or NULL */
	double x;
	size_t number; /* its own, for seeds */
	struct series *series; /* one per arm */
	struct noise noise[METRIC_MAX];
	bool few[METRIC_MAX]; /* too few requests a slice for this percentile: it is the slowest request; not ranked */
	size_t n_ranked[METRIC_MAX]; /* Service strategies that were compared */
};

/* Both axes along which endpoints change, of another Service or of the one that is asked. */
static inline bool axis_is_updates(const char *axis)
{
	return strncmp(axis, "updates", strlen("updates")) == 0;
}

/* A run of points in report.sweeps: one cell along one axis. */
struct curve {
	size_t first, n;
};

/* What the number of Services costs; `values` and `est` by enum scale_metric. */
enum scale_metric {
	SCALE_FROM_EMPTY,
	SCALE_FIRST_P50,
	SCALE_FIRST_P99,
	SCALE_IN_FORCE,
	SCALE_APPLY,
	SCALE_PROCESS,
	SCALE_KERNEL,
	SCALE_MAX
};
struct scale_info {
	const char *key, *name;
	enum quantity quantity;
};
extern const struct scale_info scale_metrics[SCALE_MAX];

struct scale_point {
	size_t strategy;
	int64_t nodes, services, endpoints; /* endpoints of a Service */
	enum kind kind;
	const char *why; /* what was left out, and why; or NULL */
	struct track values[SCALE_MAX]; /* lists: their medians */
	struct numbers in_force; /* of all rounds, ns */
	struct estimate est[SCALE_MAX];
};

struct idle_rec {
	size_t workload, arm;
	struct track cores, process_kib;
	uint64_t n_discarded;
	struct estimate est_cores, est_process;
};

struct fault_bin {
	int64_t ms; /* from the fault */
	uint64_t ok, failed; /* summed over rounds */
};

struct fault_rec {
	size_t workload, arm;
	const char *fault;
	size_t n_rounds;
	uint64_t n_sent, n_ok, n_broken, n_lost, n_wrong;
	struct track outage_ns, repair_ns;
	VEC(struct fault_bin) timeline; /* by ms */
	struct estimate est_outage, est_repair;
};

/* The CPU meter against a load of known size. */
struct cpu_check {
	const char *what;
	double stated, measured; /* cores */
};

/* "" where a member says nothing. */
struct left_out {
	const char *workload, *load, *path, *family, *strategy, *why;
};

struct refusal {
	const char *workload, *strategy, *target, *object, *field, *refusal, *detail;
	bool whole; /* the strategy did not run at all */
};

struct reach_note {
	size_t strategy;
	const char *workload, *service, *proto, *family, *path, *client, *asked, *answered_by, *why;
	int64_t port;
	bool skipped; /* else failed */
};

/* Reach of one strategy on one workload. */
struct reach_sum {
	uint64_t n_asked, n_ok, n_failed, n_skipped, n_services;
	const char *last_service; /* to count them: they come in order */
};

struct testbed_rec {
	size_t workload, arm;
	double up_ms, compile_ms, apply_ms, verify_ms;
	int64_t added;
};

enum run_status { RUN_COMPLETE, RUN_INTERRUPTED, RUN_FAILED, RUN_KILLED, RUN_STATUS_MAX };
extern const char *const run_status_name[RUN_STATUS_MAX];

struct report {
	struct arena *arena; /* all strings */
	struct map *strings; /* text -> its one copy in the arena */
	struct run_rec run;
	VEC(struct strategy_rec) strategies;
	VEC(struct arm_rec) arms;
	VEC(struct load_rec) loads;
	VEC(struct tool_rec) tools;
	VEC(struct workload_rec) workloads;
	VEC(struct cell) cells;
	VEC(struct cell) sweeps; /* by curve and x, once evaluated */
	VEC(struct curve) curves;
	VEC(struct scale_point) scale;
	VEC(struct idle_rec) idle;
	VEC(struct fault_rec) faults;
	VEC(struct cpu_check) cpu_checks;
	VEC(struct left_out) left_out;
	VEC(struct refusal) refusals;
	VEC(struct reach_note) reach_notes;
	VEC(struct testbed_rec) testbeds;
	VEC(double) cpu_difference; /* |used - stat| / used of each sample that counts */
	struct reach_sum *reach; /* n_workloads x n_strategies */
	size_t n_left_out, n_refusals, n_reach_notes; /* also those beyond NOTES_MAX */
	size_t n_samples;
	enum run_status status;
	double seconds;
	const char *error; /* or NULL */
	double busy_sum; /* over calibrations: share of the machine that others had meanwhile */
	size_t n_busy; /* calibrations that tell it */
	size_t cut_line; /* line that a killed run left half-written; 0 = none */
	bool ended, have_run;

	/* Computed. */
	size_t ref[REF_MAX]; /* strategy without Services ("none"), and "kube-proxy"; STRATEGIES_MAX = not there */
	size_t n_rounds; /* most that any series has */
	uint64_t n_wrong, n_discarded, n_failed, n_reach_failed, n_reach_skipped, n_reach_asked, n_reach_ok;
	struct pooled *pooled; /* by pool_of() */
	char *answer;
	VEC(char *) lines; /* the answer in detail: a sentence each */
};

DEFINE_CLEANUP(struct report *, report_free);
DEFINE_CLEANUP(struct comparison *, comparison_free);

/* load.c. `name` is what messages call the file. */
int report_load_stream(FILE *f, const char *name, struct report **ret, struct err *e);

/* load_rec.c: one record, into the report. */
struct rec {
	struct report *rep;
	const json_t *obj;
	const char *type;
	const char *place; /* "file:line" */
	int r; /* first failure, sticky */
	struct err *e;
};
int report_take_record(struct rec *c);
/* load_run.c, load_sample.c, load_exp.c: the records of these types. */
int rec_take_run(struct rec *c);
int rec_take_sample(struct rec *c, bool sweep);
int rec_take_scale(struct rec *c);
int rec_take_idle(struct rec *c);
int rec_take_fault(struct rec *c);
int rec_take_cpu_check(struct rec *c);
enum kind rec_take_kind(struct rec *c);
/* The "cpu" member: false with nothing set when it is discarded. */
bool rec_take_cpu(struct rec *c, double *ret_used, double *ret_stat);
/* A list of numbers from 0, appended to the vector; its median in *ret unless the list is empty (NAN). */
int rec_numbers(struct rec *c, const char *key, struct numbers *pool, double *ret_median);
int track_add(struct rec *c, struct track *t, int64_t round, double v);

#define REC_COUNT_MAX ((int64_t)1 << 53)
#define REC_NUM_MAX 1e18

#define REC_FIND(list, want)                                                    \
	({                                                                      \
		size_t at_ = 0;                                                 \
		while (at_ < (list)->n && !str_eq((list)->v[at_].name, (want))) \
			at_++;                                                  \
		at_;                                                            \
	})

/* The index of the name in member `key` of the record; 0 with c->r set when the run record has no such name. */
#define REC_NAMED(c, list, key)                                                                  \
	({                                                                                       \
		const char *name_ = rec_str((c), (c)->obj, (key));                               \
		size_t i_ = (c)->r < 0 ? 0 : REC_FIND((list), name_);                            \
		if ((c)->r == 0 && i_ == (list)->n) {                                            \
			(void)rec_fail((c), "%s \"%s\" is not in the run record", (key), name_); \
			i_ = 0;                                                                  \
		}                                                                                \
		i_;                                                                              \
	})

/* load_field.c: typed reads. On failure c->r is set, and the result is harmless. Strings are kept in the arena. */
int rec_fail(struct rec *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *rec_keep(struct rec *c, const char *s);
const char *rec_str(struct rec *c, const json_t *obj, const char *key); /* "" on failure */
const char *rec_str_or_null(struct rec *c, const json_t *obj, const char *key);
double rec_num(struct rec *c, const json_t *obj, const char *key, double min, double max);
int64_t rec_int(struct rec *c, const json_t *obj, const char *key, int64_t min, int64_t max);
bool rec_bool(struct rec *c, const json_t *obj, const char *key);
const json_t *rec_obj(struct rec *c, const json_t *obj, const char *key); /* NULL on failure */
const json_t *rec_list(struct rec *c, const json_t *obj, const char *key, size_t max); /* NULL on failure */

/* evaluate.c */
int report_evaluate(struct report *r, struct err *e);
/* The series of a strategy in a cell; NULL when it has no arm. */
const struct series *cell_series(const struct report *r, const struct cell *c, size_t strategy);
const struct estimate *cell_estimate(const struct report *r, const struct cell *c, size_t strategy,
				     enum metric m); /* NULL: not measured */
bool series_failing(const struct series *s); /* more requests failed than FAIL_SHARE_MAX allows */
bool strategy_measured(const struct report *r, size_t strategy);
/* evaluate_exp.c: sweeps, scale, idle, faults. */
int report_evaluate_exp(struct report *r);
/* What evaluate_exp.c borrows. */
int report_compare_cells(const void *pa, const void *pb); /* struct cell, for qsort */
int evaluate_cell(const struct report *r, struct cell *c);
/* What pool.c borrows. */
enum verdict judge(const struct interval *ratio, double floor, bool higher_is_better);
bool may_win_cell(const struct report *r, const struct cell *c, size_t strategy, enum metric m);
/* Ratios of a over b in the rounds that both have; the caller frees. */
int series_ratios(const struct series *a, const struct series *b, enum metric m, double **ret, size_t *ret_n);
/* pool.c. `load`: its index, or r->loads.n for all loads together. */
int report_evaluate_pools(struct report *r);
const struct pooled *pool_of(const struct report *r, size_t load, size_t strategy, enum metric m);
int evaluate_track(const struct track *t, const struct track *const ref[REF_MAX], uint64_t seed, struct estimate *est);
/* The largest x of a curve of axis "offered" up to which a strategy carries what is offered within the objective; 0 = not even the least.
 * *ret_all: it holds at all of its points. NAN: not measured. */
#define OBJECTIVE_P99_NS 1e6
#define CARRIED_SHARE_MIN 0.95 /* of what was offered */
double curve_largest_load(const struct report *r, const struct curve *c, size_t strategy, bool *ret_all);
const struct scale_point *scale_find(const struct report *r, size_t strategy, int64_t nodes, int64_t services,
				     int64_t endpoints);

/* answer.c */
int report_make_answer(struct report *r);
/* remark.c. Sentences that must stand on every page (wrong deliveries, interrupted, quick, budget, ...), one per call of `fn`. */
enum remark_level { REMARK_NOTE, REMARK_WARNING, REMARK_ALARM };
void report_each_remark(const struct report *r, void (*fn)(enum remark_level level, const char *text, void *arg),
			void *arg);

/* format.c. Results are owned by the caller's buffer. */
#define NUM_SIZE 64
enum quantity quantity_of(const struct report *r, const struct cell *c, enum metric m);
const char *metric_name(const struct report *r, const struct cell *c, enum metric m); /* "CPU per MiB" */
const char *fmt_value(char buf[static NUM_SIZE], enum quantity q, double v); /* "41.2 µs", "12,300 /s", "9.41 Gbit/s" */
const char *fmt_interval(char buf[static NUM_SIZE], enum quantity q, const struct interval *i); /* "40.8 to 41.9" */
const char *fmt_diff(char buf[static NUM_SIZE], enum quantity q, double v); /* "+2.9 µs" */
#define GBIT_PER_MIB (1048576 * 8 / 1e9)
#define CORES_PER_10G(ns_per_mib) ((ns_per_mib) / GBIT_PER_MIB * 10 / 1e9) /* cores that carry 10 Gbit/s */
const char *fmt_percent(char buf[static NUM_SIZE], double share); /* "4.3 %" */
const char *fmt_change(char buf[static NUM_SIZE], double ratio); /* "+4.3 %" */
const char *fmt_change_interval(char buf[static NUM_SIZE], const struct interval *ratio); /* "+3.1 to +5.6 %" */
const char *fmt_count(char buf[static NUM_SIZE], uint64_t n); /* "12,300" */
const char *path_text(const char *path); /* "same-node" -> "same node" */
const char *family_text(const char *family); /* "ipv4" -> "IPv4" */
/* "echo, same node, IPv4", and the workload in front when the run has several. */
int cell_label(const struct report *r, const struct cell *c, struct strbuf *sb);
size_t text_width(const char *s); /* code points */

#endif
