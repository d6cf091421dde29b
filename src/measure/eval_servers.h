/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Servers of others for the loads: nginx, nghttpd, redis-server, iperf3 in pods of our own, added to the workload's snapshot. Private to measure/.
 *
 *	namespace offkube-eval: pod "client" and "server-1" on the first node, "server-2" on the second
 *	Services "http-1", "file-1", "h2-1", "redis-1", "bulk-1" with the backend server-1, and "http-2" ... with server-2
 *
 * So whatever the workload is, each load has a Service all of whose backends are on the client's node, and one with none there.
 */
#ifndef OFFKUBE_MEASURE_EVAL_SERVERS_H
#define OFFKUBE_MEASURE_EVAL_SERVERS_H

#include "lab/lab.h"
#include "measure/load.h"
#include "model/snapshot.h"
#include "tool.h"

#define EVAL_NS "offkube-eval"
#define EVAL_SERVER_NODES 2
#define EVAL_TOOLS 7
#define EVAL_PAGE_SIZE(i) (1024 + 128 * (i)) /* of server i (from 0): it shows who served */

extern const char *const eval_tool_name[EVAL_TOOLS];

struct eval_tools {
	struct tool tool[EVAL_TOOLS]; /* path "" = not on this host, or not asked for */
};
/* Looks for what the loads need. */
void eval_tools_find(uint32_t loads, struct eval_tools *ret);
const struct tool *eval_tool(const struct eval_tools *tools, const char *name); /* NULL: not there */

/* The snapshot with our pods and Services for those loads whose server is there; the same snapshot when none is. -ENOSPC, -EEXIST: no room for them, err
 * says why. Pure. */
int eval_servers_add(const struct snapshot *s, uint32_t loads, const struct eval_tools *tools, struct snapshot **ret,
		     struct err *e);
/* Configuration in the lab's folder, then the programs; returns when all listen. `s` as eval_servers_add made it. */
int eval_servers_start(struct lab *lab, const struct snapshot *s, const struct eval_tools *tools, uint64_t file_size,
		       struct err *e);

/* The Service of a load whose backend is server `i` (from 0); NULL when there is none. */
const struct service *eval_server_service(const struct snapshot *s, enum load_kind load, size_t i);

#endif
