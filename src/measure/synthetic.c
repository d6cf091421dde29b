/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Snapshots for the experiments. Called by eval_scale.c and eval_synthetic.c. Endpoints may be shared by any number of Services, so a few real pods stand behind all. */
#include "synthetic.h"

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/util.h"

DEFINE_CLEANUP(struct snapshot_edit *, snapshot_edit_free);

enum { POD_CLIENT, POD_HOLDER, POD_BACKEND, POD_N = POD_BACKEND + SYNTHETIC_BACKENDS };
static const char *const pod_name[POD_N] = { "client", "holder", "b0", "b1", "b2", "b3" };
static const char *const backend_name[SYNTHETIC_BACKENDS] = {
	SYNTHETIC_NS "/b0",
	SYNTHETIC_NS "/b1",
	SYNTHETIC_NS "/b2",
	SYNTHETIC_NS "/b3",
};
static const char *const node_name[] = { "node-1", "node-2" };
static const char *const node_addr[] = { "172.30.0.1", "172.30.0.2" };
static const char *const pod_cidr[] = { "10.244.0.0/24", "10.244.1.0/24" };

const char *synthetic_backend_name(uint32_t k)
{
	return backend_name[k];
}

static uint32_t node_of(const struct synthetic *c, uint32_t pod)
{
	return pod < POD_BACKEND ? 0 : c->n_nodes - 1;
}

static void pod_addr(const struct synthetic *c, uint32_t pod, struct ip_addr *ret)
{
	struct ip_prefix cidr;

	(void)ip_prefix_parse(pod_cidr[node_of(c, pod)], &cidr); /* constant */
	(void)ip_prefix_nth(&cidr, 10 + pod, ret); /* a /24 holds it */
}

void synthetic_service_addr(uint32_t i, struct ip_addr *ret)
{
	struct ip_prefix service_cidr;

	(void)ip_prefix_parse("10.96.0.0/12", &service_cidr); /* constant */
	(void)ip_prefix_nth(&service_cidr, 10 + (uint64_t)i, ret); /* a million Services fit */
}

static int put_node(struct snapshot_edit *ed, uint32_t i, struct err *e)
{
	struct node fill = { .name = node_name[i] };
	struct node *n = NULL;
	int r;

	(void)ip_addr_parse(node_addr[i], &fill.addr[IP_V4]); /* constants of this file */
	(void)ip_prefix_parse(pod_cidr[i], &fill.pod_cidr[IP_V4]);
	r = node_new(&fill, &n, e);
	if (r == 0)
		r = snapshot_edit_put_node(ed, n, e);
	node_unref(n);
	return r;
}

/* Backends declare every port that an endpoint may have. */
static int put_pod(struct snapshot_edit *ed, const struct synthetic *c, uint32_t pod, struct err *e)
{
	struct container_port ports[2 * DIV_ROUND_UP(SYNTHETIC_ENDPOINTS_MAX, SYNTHETIC_BACKENDS)];
	uint16_t n_each = (uint16_t)DIV_ROUND_UP(MAX(c->n_endpoints, 1u), SYNTHETIC_BACKENDS);
	struct pod fill = {
		.ns = SYNTHETIC_NS,
		.name = pod_name[pod],
		.node = node_name[node_of(c, pod)],
		.ready = true,
		.ports = ports,
	};
	struct pod *p = NULL;
	int r;

	for (uint16_t k = 0; k < n_each; k++) {
		ports[fill.n_ports++] =
			(struct container_port){ .port = (uint16_t)(SYNTHETIC_PORT + k), .proto = IPPROTO_UDP };
		if (c->tcp)
			ports[fill.n_ports++] =
				(struct container_port){ .port = (uint16_t)(SYNTHETIC_PORT + k), .proto = IPPROTO_TCP };
	}
	pod_addr(c, pod, &fill.addr[IP_V4]);
	r = pod_new(&fill, &p, e);
	if (r == 0)
		r = snapshot_edit_put_pod(ed, p, e);
	pod_unref(p);
	return r;
}

/* What differs from the snapshot as made. */
struct change {
	bool tcp_only; /* of the TCP port alone */
	bool away; /* the last endpoint is at the backend after the last */
	int gone; /* backend that has no endpoint; -1 */
};

static void fill_endpoints(const struct synthetic *c, uint32_t i, const struct change *ch, struct endpoint *eps)
{
	for (uint32_t k = 0; k < c->n_endpoints; k++) {
		uint32_t at = k + (ch->away && k == c->n_endpoints - 1);
		uint32_t b = (i + at) % SYNTHETIC_BACKENDS;

		if ((int)b == ch->gone)
			b = (i + c->n_endpoints) % SYNTHETIC_BACKENDS;
		eps[k] = (struct endpoint){
			.port = (uint16_t)(SYNTHETIC_PORT + k / SYNTHETIC_BACKENDS),
			.ready = true,
			.serving = true,
			.node = node_name[node_of(c, POD_BACKEND + b)],
		};
		pod_addr(c, POD_BACKEND + b, &eps[k].addr);
	}
}

static int put_service(struct snapshot_edit *ed, const struct synthetic *c, uint32_t i, const struct change *ch,
		       struct err *e)
{
	struct endpoint udp_eps[SYNTHETIC_ENDPOINTS_MAX], tcp_eps[SYNTHETIC_ENDPOINTS_MAX];
	const struct change as_made = { .gone = -1 };
	const struct service_port ports[] = {
		{ .name = "udp",
		  .proto = IPPROTO_UDP,
		  .port = SYNTHETIC_SERVICE_PORT,
		  .n_endpoints = { [IP_V4] = c->n_endpoints },
		  .endpoints = { [IP_V4] = udp_eps } },
		{ .name = "tcp",
		  .proto = IPPROTO_TCP,
		  .port = SYNTHETIC_SERVICE_PORT,
		  .n_endpoints = { [IP_V4] = c->n_endpoints },
		  .endpoints = { [IP_V4] = tcp_eps } },
	};
	char name[24];
	struct service fill = {
		.ns = SYNTHETIC_NS,
		.name = name,
		.facets = 1u << SERVICE_FACET_CLUSTER_IP,
		.n_ports = c->tcp ? 2 : 1,
		.ports = ports,
	};
	struct service *svc = NULL;
	int r;

	fill_endpoints(c, i, ch->tcp_only ? &as_made : ch, udp_eps);
	fill_endpoints(c, i, ch, tcp_eps);
	(void)snprintf(name, sizeof(name), "s%u", i);
	synthetic_service_addr(i, &fill.cluster_ip[IP_V4]);
	r = service_new(&fill, &svc, e);
	if (r == 0)
		r = snapshot_edit_put_service(ed, svc, e);
	service_unref(svc);
	return r;
}

int synthetic_snapshot(const struct synthetic *c, struct snapshot **ret, struct err *e)
{
	CLEANUP(snapshot_edit_freep) struct snapshot_edit *ed = NULL;
	const struct change as_made = { .gone = -1 };
	int r;

	if (c->n_nodes < 1 || c->n_nodes > ARRAY_LEN(node_name) || c->n_services > SYNTHETIC_SERVICES_MAX ||
	    c->n_endpoints < 1 || c->n_endpoints > SYNTHETIC_ENDPOINTS_MAX)
		return err_set(e, -EINVAL, "synthetic", "%u nodes, %u Services of %u endpoints: out of range",
			       c->n_nodes, c->n_services, c->n_endpoints);
	r = snapshot_edit_new(NULL, &ed);
	for (uint32_t i = 0; i < c->n_nodes && r == 0; i++)
		r = put_node(ed, i, e);
	for (uint32_t i = 0; i < POD_N && r == 0; i++)
		r = put_pod(ed, c, i, e);
	for (uint32_t i = 0; i < c->n_services && r == 0; i++)
		r = put_service(ed, c, i, &as_made, e);
	return r < 0 ? r : snapshot_edit_commit(TAKE_PTR(ed), ret);
}

uint32_t synthetic_moved_backend(const struct synthetic *c, uint32_t i, bool away)
{
	return (i + c->n_endpoints - 1 + away) % SYNTHETIC_BACKENDS;
}

int synthetic_move(const struct synthetic *c, const struct snapshot *s, uint32_t i, bool away, bool tcp_only,
		   struct snapshot **ret, struct err *e)
{
	CLEANUP(snapshot_edit_freep) struct snapshot_edit *ed = NULL;
	const struct change ch = { .tcp_only = tcp_only, .away = away, .gone = -1 };
	int r = c->n_endpoints < SYNTHETIC_BACKENDS ? snapshot_edit_new(s, &ed) :
						      err_set(e, -EINVAL, "synthetic", "no free backend to move to");

	if (r == 0)
		r = put_service(ed, c, i, &ch, e);
	return r < 0 ? r : snapshot_edit_commit(TAKE_PTR(ed), ret);
}

int synthetic_without(const struct synthetic *c, const struct snapshot *s, int gone, struct snapshot **ret,
		      struct err *e)
{
	CLEANUP(snapshot_edit_freep) struct snapshot_edit *ed = NULL;
	const struct change ch = { .gone = gone };
	int r = c->n_endpoints < SYNTHETIC_BACKENDS ? snapshot_edit_new(s, &ed) :
						      err_set(e, -EINVAL, "synthetic", "no free backend to go to");

	for (uint32_t i = 0; i < c->n_services && r == 0; i++)
		r = put_service(ed, c, i, &ch, e);
	return r < 0 ? r : snapshot_edit_commit(TAKE_PTR(ed), ret);
}
