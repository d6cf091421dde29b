/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the evaluation share. Private to measure/. */
#ifndef OFFKUBE_MEASURE_EVAL_INT_H
#define OFFKUBE_MEASURE_EVAL_INT_H

#include "base/progress.h"
#include "base/rand.h"
#include "eval_servers.h"
#include "measure/cpu.h"
#include "measure/eval.h"
#include "measure/record.h"
#include "measure/testbed.h"

#define EVAL_ARMS_MAX 33
#define EVAL_CELLS_MAX 64
#define EVAL_SERVICES_MAX 4 /* asked in turn within one cell */
#define EVAL_TARGETS_MAX 64

/* Where the usable backends are, seen from the client's node: all there, none there, some there. */
enum eval_path { PATH_SAME_NODE, PATH_OTHER_NODE, PATH_MIXED_NODES, PATH_MAX };
extern const char *const eval_path_name[PATH_MAX];
extern const char *const eval_family_name[IP_FAMILY_MAX];

enum slice_mode { MODE_OPEN, MODE_CLOSED, MODE_MAX };
#define EVAL_BOTH_MODES (1u << MODE_OPEN | 1u << MODE_CLOSED)

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

/* The call graph: who calls which Service; one lasting connection for each. */
struct eval_calls {
	size_t n;
	struct {
		const struct pod *caller;
		struct eval_service service;
	} call[EVAL_TARGETS_MAX];
};

struct eval_cell {
	enum load_kind load;
	enum eval_path path;
	enum ip_family family;
	const struct pod *client;
	size_t n_services;
	struct eval_service services[EVAL_SERVICES_MAX];
	char why_not[160]; /* not empty: cannot be measured on this workload */
	char less[80]; /* not empty: why a mode of it cannot be measured */
	uint32_t modes; /* 1 << enum slice_mode: what is measured in rounds */
	const struct eval_calls *calls; /* `calls` alone; else NULL */
	uint32_t page_size; /* of the server's page; 0 = no such thing */
	uint32_t message_size; /* bulk-udp; 0 = the usual */
	bool left_out; /* the budget does not allow it */
};

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
	struct eval_tools tools; /* of others, as far as they are here */
	struct snapshot *snapshot; /* the workload's, with our servers */
	char servers_why[160]; /* not empty: why there are no servers of ours */
	bool servers_up; /* the snapshot has servers of ours */
	uint64_t file_mib; /* of the load `file` */
	struct eval_calls calls[IP_FAMILY_MAX];
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

/* Which loads: as asked for, else by the kind of run. */
uint32_t eval_loads(const struct eval_conf *conf);
/* Cells of the loads with servers of others, and of the call graph: behind those that are there. */
int eval_add_load_cells(struct eval *ev);
void eval_drop_server_cells(struct eval *ev, const char *why);
/* The call graph of a family. Pure; pointers live as long as ev->snapshot. */
void eval_find_calls(struct eval *ev, enum ip_family fam, const struct pod *const *pods, size_t n_pods,
		     struct eval_calls *ret);
#define EVAL_REPORT_RESERVE_S 8 /* of a budget: for the page */
double eval_elapsed_s(const struct eval *ev); /* of the run */
/* Seconds that the workload under way may still take for its rounds; negative when the time is over. With a budget only. */
double eval_rounds_budget_s(const struct eval *ev);
/* Throughput against the size of datagrams: sweep records, axis "size". */
int eval_sweep_size(struct eval *ev, uint32_t n_rounds, struct err *e);
double eval_sweep_size_s(const struct eval *ev); /* of one round, roughly; 0 = there is none */
/* Estimate of one slice. */
double eval_slice_s(const struct eval *ev, const struct eval_cell *cell, enum slice_mode mode);
unsigned int eval_duration_ms(const struct eval *ev, enum slice_mode mode);
struct slice_conf;
/* As load_conf.amount. */
uint64_t eval_amount(const struct eval *ev, const struct eval_cell *cell, const struct slice_conf *sc);
/* The program of others that makes this load; NULL = our own generator. */
const char *eval_tool_of(enum load_kind load, enum slice_mode mode);

/* Offered load of a kind, open loop. */
double eval_offered_rps(enum load_kind load);
#define EVAL_CONNECTIONS 8 /* lasting connections of echo; connections under way in closed loops */

/* A list of times. */
json_t *eval_ns_list(const uint64_t *v, size_t n);
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
	uint64_t *window_ns; /* NULL, or where begin and end of the window go (CLOCK_MONOTONIC) */
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
