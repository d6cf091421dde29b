/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Snapshots for the benchmarks: many Services over few real pods. Private to measure/. */
#ifndef OFFKUBE_MEASURE_BENCH_MODEL_H
#define OFFKUBE_MEASURE_BENCH_MODEL_H

#include "model/snapshot.h"

#define BENCH_NODES 2
#define BENCH_PORT 8080
#define BENCH_SERVICE_PORT 80

/* Two nodes; pods "client", "a", "b" on node-1, "c" on node-2, which all serve BENCH_PORT; n Services "s0", "s1", ... of one UDP port
 * with two endpoints each, a and b. Service i has ClusterIP 10.96.0.0/12 + 10 + i. */
int bench_snapshot(uint32_t n_services, struct snapshot **ret, struct err *e);
/* The same snapshot with the second endpoint of Service i moved from b to c, or back. */
int bench_snapshot_move(const struct snapshot *s, uint32_t i, bool to_c, struct snapshot **ret, struct err *e);
void bench_service_addr(uint32_t i, struct ip_addr *ret);

#endif
