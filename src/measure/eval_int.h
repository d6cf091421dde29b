/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the evaluation share. Private to measure/. */
#ifndef OFFKUBE_MEASURE_EVAL_INT_H
#define OFFKUBE_MEASURE_EVAL_INT_H

#include "measure/eval.h"
#include "measure/record.h"
#include "measure/testbed.h"

#define EVAL_ARMS_MAX 33
#define EVAL_CELLS_MAX 32
#define EVAL_SERVICES_MAX 4 /* asked in turn within one cell */
#define EVAL_TARGETS_MAX 64

enum eval_path { PATH_SAME_NODE, PATH_OTHER_NODE, PATH_MAX };
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
	size_t n_backends;
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

/* Which cells the workload gives: every load, path and (unless quick: both) family. Pure. Pointers live as long as the snapshot. */
int eval_make_cells(const struct snapshot *s, uint32_t loads, bool quick, struct eval_cell *cells, size_t *ret_n);

/* The pod behind an endpoint address; host-network pods are found by their node and port. NULL when none. */
const struct pod *eval_pod_of(const struct snapshot *s, const struct ip_addr *a, uint16_t port, uint8_t proto);

/* Asks every TCP and UDP Service of the arm from a pod of the same and of another node; writes reach records. *ret_n_bad counts those that failed. */
int eval_reach(const struct eval_conf *conf, const struct eval_workload *w, struct eval_arm *arm, struct record_writer *rec,
	       uint64_t *ret_n_bad, struct err *e);

#endif
