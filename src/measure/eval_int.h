/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the evaluation share. Private to measure/. */
#ifndef OFFKUBE_MEASURE_EVAL_INT_H
#define OFFKUBE_MEASURE_EVAL_INT_H

#include "base/progress.h"
#include "base/rand.h"
#include "measure/cpu.h"
#include "measure/eval.h"
#include "measure/record.h"
#include "measure/testbed.h"

#define EVAL_ARMS_MAX 33
#define EVAL_CELLS_MAX 32
#define EVAL_SERVICES_MAX 4 /* asked in turn within one cell */
#define EVAL_TARGETS_MAX 64

/* Where the usable backends are, seen from the client's node: all there, none there, some there. */
enum eval_path { PATH_SAME_NODE, PATH_OTHER_NODE, PATH_MIXED_NODES, PATH_MAX };
extern const char *const eval_path_name[PATH_MAX];
extern const char *const eval_family_name[IP_FAMILY_MAX];

/* One testbed that takes part. */
struct eval_arm {
	char name[48]; /* strategy, or "strategy (A/A)" */
	const struct strategy *strategy;
	struct testbed *testbed; /* NULL: refused here */
};

/* One backend of a cell's Service: its address and who answers there. */
struct eval_backend {
	struct ip_addr addr;
	uint16_t port;
	const struct pod *pod;
};

struct eval_service {
	const struct service *svc;
	const struct service_port *port;
	size_t n_backends; /* that the Service has, and that an arm without Service addresses asks */
	size_t n_more; /* behind those: may answer too (endpoints that come while it is measured) */
	struct eval_backend backends[16];
};

struct eval_cell {
	enum load_kind load;
	enum eval_path path;
	enum ip_family family;
	const struct pod *client;
	size_t n_services;
	struct eval_service services[EVAL_SERVICES_MAX];
	char why_not[160]; /* not empty: cannot be measured on this workload */
	bool left_out; /* the budget does not allow it */
};

enum slice_mode { MODE_OPEN, MODE_CLOSED, MODE_MAX };

/* One measurement to make: a cell in an arm and a mode. */
struct slice {
	size_t cell, arm;
	enum slice_mode mode;
};

/* The evaluation under way. */
struct eval {
	const struct eval_conf *conf;
	struct record_writer *rec;
	struct cpu_meter *meter;
	struct rng rng;
	struct progress progress;
	uint64_t start_ns;
	unsigned int open_ms, closed_ms, warmup_ms;
	uint64_t server_cpus, generator_cpus;
	uint32_t n_rounds;
	size_t n_arms;
	struct eval_arm arms[EVAL_ARMS_MAX];
	const struct eval_workload *workload; /* under way */
	size_t workload_at; /* its index */
	size_t n_cells;
	struct eval_cell cells[EVAL_CELLS_MAX];
	double setup_s; /* of a workload: testbeds and reachability; the longest so far */
	uint64_t n_reach_bad;
	bool busy_said; /* that the machine is busy while calibrating */
	uint32_t experiments; /* 1 << enum eval_experiment */
	double experiments_s; /* that those beside the cells will take, roughly */
	double scale_done; /* steps of the experiment scale, for the progress */
	struct eval_workload synthetic; /* the cluster of sweep, idle and fault; snapshot NULL = not needed */
	uint64_t n_wrong; /* answers of the experiments by somebody who is no backend */
};

/* Offered load of a kind, open loop. */
double eval_offered_rps(enum load_kind load);
#define EVAL_CONNECTIONS 8 /* lasting connections of echo; connections under way in closed loops */

/* The first record: what is run, where, how. */
int eval_write_run(struct eval *ev, struct err *e);

/* Measures one slice and writes its sample record. `order`: how many slices ran before it in this round. */
int eval_run_slice(struct eval *ev, const struct slice *sl, uint32_t round, size_t order, struct err *e);

/* How one slice is to be measured. */
struct slice_conf {
	enum slice_mode mode;
	double offered; /* open: units per second */
	unsigned int warmup_ms, duration_ms;
	uint64_t seed; /* of the arrivals */
	uint32_t round;
	size_t order;
};
/* Measures; *ret holds the members of a sample record (docs/records.md), the caller's to add to and to write. */
int eval_measure(struct eval *ev, const struct eval_cell *cell, const struct eval_arm *arm, const struct slice_conf *sc,
		 json_t **ret, struct err *e);

/* Which cells the workload gives: every load, path and family; quick: IPv4 only, and mixed-nodes only for a load that has neither of the pure paths. Pure.
 * Pointers live as long as the snapshot. */
int eval_make_cells(const struct snapshot *s, uint32_t loads, bool quick, struct eval_cell *cells, size_t *ret_n);

/* Testbeds of all arms side by side, and their testbed records; refused ones are recorded and have none. Down: goes on after a failure. */
int eval_arms_up(struct eval *ev, struct err *e);
int eval_arms_down(struct eval *ev, struct err *e);
size_t eval_n_live_arms(const struct eval *ev);
/* Finds the capacity of the CPUs again, and records it. */
int eval_calibrate(struct eval *ev, unsigned int windows, struct err *e);
/* "left-out": `what` is a load or an experiment; `st` NULL = all strategies. */
int eval_left_out(struct eval *ev, const char *workload, const char *what, const struct strategy *st, const char *why,
		  struct err *e);

/* Which experiments this run holds; then those beside the cells, in order. What does not fit the budget is recorded as left out. */
int eval_choose_experiments(struct eval *ev, struct err *e);
int eval_run_experiments(struct eval *ev, struct err *e);
int eval_scale(struct eval *ev, struct err *e);
int eval_idle(struct eval *ev, struct err *e);
int eval_cpu_check(struct eval *ev, struct err *e);

/* The pod behind an endpoint address; host-network pods are found by their node and port. NULL when none. */
const struct pod *eval_pod_of(const struct snapshot *s, const struct ip_addr *a, uint16_t port, uint8_t proto);

/* Asks every TCP and UDP Service of the arm from a pod of the same and of another node; writes reach records. *ret_n_bad counts those that failed. */
int eval_reach(const struct eval_conf *conf, const struct eval_workload *w, struct eval_arm *arm,
	       struct record_writer *rec, uint64_t *ret_n_bad, struct err *e);

#endif
