/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the report share: the records as read, and what is computed from them. Private to report/.
 *
 * Order of things: load.c reads lines, load_rec.c turns them into cells and series, evaluate.c fills the estimates, answer.c writes the
 * sentence. After that the report is constant and table.c, json.c, html.c and figures.c print it.
 */
#ifndef OFFKUBE_REPORT_REPORT_INT_H
#define OFFKUBE_REPORT_REPORT_INT_H

#include <jansson.h>
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

enum metric { METRIC_CPU, METRIC_P50, METRIC_P90, METRIC_P99, METRIC_P999, METRIC_RATE, METRIC_MAX };

struct metric_info {
	const char *key; /* in JSON, file names and anchors */
	const char *name; /* "median latency" */
	const char *superlative; /* "lowest median latency" */
	bool higher_is_better;
	bool is_time; /* nanoseconds */
};
extern const struct metric_info metrics[METRIC_MAX];

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

/* One number of one arm of one cell. */
struct estimate {
	size_t n; /* rounds; 0 = not measured, and nothing below is set */
	struct interval median;
	size_t n_pairs; /* rounds that the baseline has too; 0 = no comparison */
	struct interval ratio; /* over the baseline */
	struct interval diff; /* less the baseline, in the metric's unit */
	enum verdict verdict; /* against the baseline */
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
	uint64_t n_discarded; /* steal: open samples left out of CPU figures */
	uint64_t n_sent, n_ok, n_refused, n_timeout, n_other, n_wrong;
	uint64_t n_open_ok,
		n_timed; /* open samples that tell latency: requests answered in them, and how many samples */
	uint64_t n_sent_in[MODE_MAX],
		n_failed_in[MODE_MAX]; /* closed loops send so many that they would hide failures of open ones */
	bool counted; /* a target of the strategy counts connections */
	uint64_t n_connections; /* of all targets */
	VEC(struct carried) carried; /* by target, in the order of the records */
	struct estimate est[METRIC_MAX];
};

struct noise {
	bool known;
	struct interval ratio; /* twin over its own strategy */
	double floor; /* largest distance of that interval from 1 */
};

struct cell {
	size_t workload, load;
	const char *path, *family;
	struct series *series; /* one per arm */
	struct noise noise[METRIC_MAX];
	bool few[METRIC_MAX]; /* too few requests a slice for this percentile: it is the slowest request; not ranked */
	size_t n_ranked[METRIC_MAX]; /* Service strategies that were compared */
};

struct left_out {
	const char *workload, *load, *path, *family, *why;
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
	VEC(struct left_out) left_out;
	VEC(struct refusal) refusals;
	VEC(struct reach_note) reach_notes;
	VEC(struct testbed_rec) testbeds;
	VEC(double) cpu_difference; /* |used - stat| / used of each open sample that counts */
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
	size_t base; /* strategy without Services ("none"); STRATEGIES_MAX = not there */
	size_t n_rounds; /* most that any series has */
	uint64_t n_wrong, n_discarded, n_failed, n_reach_failed, n_reach_skipped, n_reach_asked, n_reach_ok;
	char *answer;
};

DEFINE_CLEANUP(struct report *, report_free);

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
/* Values of a metric by round, those that are there. */
int series_values(const struct series *s, enum metric m, double **ret_v, size_t *ret_n);
/* The series of a strategy in a cell; NULL when it has no arm. */
const struct series *cell_series(const struct report *r, const struct cell *c, size_t strategy);
const struct estimate *cell_estimate(const struct report *r, const struct cell *c, size_t strategy,
				     enum metric m); /* NULL: not measured */
bool series_failing(const struct series *s); /* more requests failed than FAIL_SHARE_MAX allows */
bool strategy_measured(const struct report *r, size_t strategy);

/* answer.c */
int report_make_answer(struct report *r);
/* remark.c. Sentences that must stand on every page (wrong deliveries, interrupted, quick, budget, ...), one per call of `fn`. */
enum remark_level { REMARK_NOTE, REMARK_WARNING, REMARK_ALARM };
void report_each_remark(const struct report *r, void (*fn)(enum remark_level level, const char *text, void *arg),
			void *arg);

/* format.c. Results are owned by the caller's buffer. */
#define NUM_SIZE 64
const char *fmt_value(char buf[static NUM_SIZE], enum metric m, double v); /* "41.2 µs", "12,300 /s" */
const char *fmt_interval(char buf[static NUM_SIZE], enum metric m, const struct interval *i); /* "40.8 to 41.9 µs" */
const char *fmt_diff(char buf[static NUM_SIZE], enum metric m, double v); /* "+2.9 µs" */
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
