/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Snapshots for the benchmarks. Called by bench.c. Endpoints may be shared by any number of Services, so a few real pods stand behind all. */
#include "bench_model.h"

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/util.h"

DEFINE_CLEANUP(struct snapshot_edit *, snapshot_edit_free);

enum bench_pod { POD_CLIENT, POD_A, POD_B, POD_C, POD_N };
static const char *const pod_name[POD_N] = { "client", "a", "b", "c" };
static const char *const pod_node[POD_N] = { "node-1", "node-1", "node-1", "node-2" };
static const char *const pod_addr[POD_N] = { "10.244.0.9", "10.244.0.10", "10.244.0.11", "10.244.1.10" };

static struct ip_addr addr(const char *text)
{
	struct ip_addr a = {};

	(void)ip_addr_parse(text, &a); /* constants of this file */
	return a;
}

void bench_service_addr(uint32_t i, struct ip_addr *ret)
{
	struct ip_prefix service_cidr;

	(void)ip_prefix_parse("10.96.0.0/12", &service_cidr); /* constant */
	(void)ip_prefix_nth(&service_cidr, 10 + (uint64_t)i, ret); /* a million Services fit */
}

static int put_node(struct snapshot_edit *ed, const char *name, const char *a, const char *cidr, struct err *e)
{
	struct node fill = { .name = name, .addr = { [IP_V4] = addr(a) } };
	struct node *n = NULL;
	int r;

	(void)ip_prefix_parse(cidr, &fill.pod_cidr[IP_V4]); /* constant */
	r = node_new(&fill, &n, e);
	if (r == 0)
		r = snapshot_edit_put_node(ed, n, e);
	node_unref(n);
	return r;
}

static int put_pod(struct snapshot_edit *ed, enum bench_pod i, struct err *e)
{
	const struct container_port ports[] = {
		{ .port = BENCH_PORT, .proto = IPPROTO_TCP },
		{ .port = BENCH_PORT, .proto = IPPROTO_UDP },
	};
	const struct pod fill = {
		.ns = "bench",
		.name = pod_name[i],
		.node = pod_node[i],
		.addr = { [IP_V4] = addr(pod_addr[i]) },
		.ready = true,
		.n_ports = ARRAY_LEN(ports),
		.ports = ports,
	};
	struct pod *p = NULL;
	int r = pod_new(&fill, &p, e);

	if (r == 0)
		r = snapshot_edit_put_pod(ed, p, e);
	pod_unref(p);
	return r;
}

static int put_service(struct snapshot_edit *ed, uint32_t i, enum bench_pod second, struct err *e)
{
	char name[24];
	const struct endpoint eps[] = {
		{ .addr = addr(pod_addr[POD_A]),
		  .port = BENCH_PORT,
		  .ready = true,
		  .serving = true,
		  .node = pod_node[POD_A] },
		{ .addr = addr(pod_addr[second]),
		  .port = BENCH_PORT,
		  .ready = true,
		  .serving = true,
		  .node = pod_node[second] },
	};
	const struct service_port port = {
		.name = "",
		.proto = IPPROTO_UDP,
		.port = BENCH_SERVICE_PORT,
		.n_endpoints = { [IP_V4] = ARRAY_LEN(eps) },
		.endpoints = { [IP_V4] = eps },
	};
	struct service fill = {
		.ns = "bench",
		.name = name,
		.facets = 1u << SERVICE_FACET_CLUSTER_IP,
		.n_ports = 1,
		.ports = &port,
	};
	struct service *svc = NULL;
	int r;

	(void)snprintf(name, sizeof(name), "s%u", i);
	bench_service_addr(i, &fill.cluster_ip[IP_V4]);
	r = service_new(&fill, &svc, e);
	if (r == 0)
		r = snapshot_edit_put_service(ed, svc, e);
	service_unref(svc);
	return r;
}

int bench_snapshot(uint32_t n_services, struct snapshot **ret, struct err *e)
{
	CLEANUP(snapshot_edit_freep) struct snapshot_edit *ed = NULL;
	int r = snapshot_edit_new(NULL, &ed);

	if (r == 0)
		r = put_node(ed, "node-1", "172.30.0.1", "10.244.0.0/24", e);
	if (r == 0)
		r = put_node(ed, "node-2", "172.30.0.2", "10.244.1.0/24", e);
	for (int i = 0; i < POD_N && r == 0; i++)
		r = put_pod(ed, i, e);
	for (uint32_t i = 0; i < n_services && r == 0; i++)
		r = put_service(ed, i, POD_B, e);
	return r < 0 ? r : snapshot_edit_commit(TAKE_PTR(ed), ret);
}

int bench_snapshot_move(const struct snapshot *s, uint32_t i, bool to_c, struct snapshot **ret, struct err *e)
{
	CLEANUP(snapshot_edit_freep) struct snapshot_edit *ed = NULL;
	int r = snapshot_edit_new(s, &ed);

	if (r == 0)
		r = put_service(ed, i, to_c ? POD_C : POD_B, e);
	return r < 0 ? r : snapshot_edit_commit(TAKE_PTR(ed), ret);
}
