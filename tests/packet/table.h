/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packet table: rows {model, packets in, verdict, packet OUT, counters} that every target must
 * obey. The rows are YAML, table/README.md describes them. This library reads them and drives any
 * target through struct table_ops.
 *
 *	table_load(dir, &t, &e);
 *	for (i = 0; i < table_n_rows(t); i++)
 *		table_run(t, i, &ops, arg, &result);
 *	table_free(t);
 */
#ifndef OFFKUBE_TESTS_PACKET_TABLE_H
#define OFFKUBE_TESTS_PACKET_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/snapshot.h"
#include "model/vocab.h"
#include "net/pkt.h"
#include "target_sim/sim.h"

#define TABLE_PACKET_MAX 2048

/* What became of one packet. */
struct table_seen {
	enum verdict verdict;
	enum reason reason; /* only if the target knows_reasons */
	uint8_t out[TABLE_PACKET_MAX]; /* PASS, TRANSLATE: as it left the node. REJECT: the answer to the client */
	size_t out_size;
	unsigned int ttl_less; /* by how much OUT's TTL is smaller: 1 when a router forwarded it */
};

/* A target under the table. All return 0 or -errno; -EOPNOTSUPP skips the row, err says why. */
struct table_ops {
	const char *name;
	bool knows_reasons; /* and counts them */
	bool routes; /* changes the TTL: what passes is compared field by field */
	bool icmp_for_tcp; /* rejected TCP is answered with ICMP port unreachable, not with a reset */
	/* A fresh node with this model; state of the row before is gone. */
	int (*start)(void *arg, const struct snapshot *s, const char *node, struct err *e);
	void (*stop)(void *arg);
	int (*packet)(void *arg, enum sim_origin origin, const uint8_t *buf, size_t size, struct table_seen *ret,
		      struct err *e);
	int (*update)(void *arg, const struct snapshot *s, struct err *e);
	int (*advance)(void *arg, uint64_t ns, struct err *e); /* time goes by */
	uint64_t (*reason_count)(void *arg, enum reason r); /* since start; may be NULL */
};

enum table_status { TABLE_PASSED, TABLE_FAILED, TABLE_SKIPPED };

struct table_result {
	enum table_status status;
	char text[1024]; /* why not passed: "row cart-v4 (services.yaml:12), step 3: ..." */
};

struct table;

/* Reads all *.yaml of a folder, sorted; models first, from models.yaml. -EINVAL with file, line
 * and what. */
int table_load(const char *dir, struct table **ret, struct err *e);
void table_free(struct table *t); /* NULL is fine */

size_t table_n_rows(const struct table *t);
const char *table_row_name(const struct table *t, size_t row);
const char *table_row_rule(const struct table *t, size_t row); /* rule of sim, section of SEMANTICS: "8; 1.3" */

void table_run(const struct table *t, size_t row, const struct table_ops *ops, void *arg, struct table_result *ret);

/* A named model of models.yaml, for other tests; the table's. NULL when there is none. */
const struct snapshot *table_model(const struct table *t, const char *name);

/* sim under the table. Each `variant` takes another choice where the model leaves one: 0 = sim's
 * own, n = the nth allowed backend. */
struct table_sim {
	struct clock clock;
	struct sim *sim;
	unsigned int variant;
	uint64_t *branch_sum; /* sim_n_branches() sums over all rows, or NULL */
};
extern const struct table_ops table_sim_ops; /* arg: struct table_sim * */

#endif
