/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reachability before speed: every TCP and UDP Service port is asked from a pod of the same node as a backend and from a pod of another node, and the name in
 * the answer must be one of its usable pods. Called by eval.c.
 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "eval_int.h"
#include "lab/responder.h"

#define ASK_TIMEOUT_MS 3000

struct reach {
	const struct eval_workload *w;
	struct eval_arm *arm;
	struct record_writer *rec;
	uint64_t n_bad;
	struct err *e;
	const struct pod **pods; /* sorted */
	size_t n_pods;
	/* The question under way. */
	const struct service *svc;
	const struct service_port *port;
	enum ip_family fam;
	const struct endpoint **eps; /* room; then those usable from the client's node */
	size_t n_eps;
	const struct pod *client, *backend; /* who asks; who answers when asked directly */
	const struct endpoint *ep; /* of `backend` */
};

static const char *errno_name(int r)
{
	return r < 0 ? strerrorname_np(-r) : NULL;
}

static int write_reach(struct reach *q, enum eval_path path, const struct pod *client, const struct ip_addr *asked,
		       int r, const struct responder_reply *reply, bool ok, const char *skip)
{
	char svc[600], from[600] = "", to[IP_ADDR_STR_MAX] = "", seen[IP_ADDR_STR_MAX] = "";

	(void)snprintf(svc, sizeof(svc), "%s/%s", q->svc->ns, q->svc->name);
	if (client)
		(void)snprintf(from, sizeof(from), "%s/%s", client->ns, client->name);
	if (asked)
		(void)ip_addr_format(asked, to);
	if (reply)
		(void)ip_addr_format(&reply->client, seen);
	q->n_bad += !ok && !skip;
	return record_write(
		q->rec, "reach",
		json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:s?, s:s?, s:s?, s:s?, s:s?, s:b, s:s?, s:s?}",
			  "workload", q->w->name, "strategy", q->arm->strategy->name, "service", svc, "port",
			  (int)q->port->port, "proto", ip_proto_name(q->port->proto), "family",
			  eval_family_name[q->fam], "path", eval_path_name[path], "client", client ? from : NULL,
			  "client_node", client ? client->node : NULL, "asked", asked ? to : NULL, "answered_by",
			  reply ? reply->name : NULL, "seen_client", reply ? seen : NULL, "ok", ok, "error",
			  errno_name(r), "skip", skip),
		q->e);
}

/* Is `name` the pod of one of the usable endpoints (or, without Service addresses, of the one that was asked)? */
static bool answered_rightly(const struct reach *q, const char *name, const struct endpoint *asked)
{
	for (size_t i = 0; i < q->n_eps; i++) {
		const struct pod *p = eval_pod_of(q->w->snapshot, &q->eps[i]->addr, q->eps[i]->port, q->port->proto);
		char want[600];

		if (!p || (asked && q->eps[i] != asked))
			continue;
		(void)snprintf(want, sizeof(want), "%s/%s", p->ns, p->name);
		if (str_eq(want, name))
			return true;
	}
	return false;
}

/* The first client, and the first endpoint usable from its node, that lie to each other as the path wants. */
static bool find_pair(struct reach *q, enum eval_path path)
{
	for (size_t i = 0; i < q->n_pods; i++) {
		const struct pod *c = q->pods[i];
		const struct node *node = c->node ? snapshot_node(q->w->snapshot, c->node) : NULL;

		if (!node || c->host_network || !ip_addr_is_set(&c->addr[q->fam]))
			continue;
		q->n_eps = service_select(q->port, q->fam, node, q->eps, NULL);
		q->client = c;
		if (q->n_eps == 0)
			return true; /* nobody is there from this node: to be refused */
		for (size_t j = 0; j < q->n_eps; j++) {
			q->ep = q->eps[j];
			q->backend = eval_pod_of(q->w->snapshot, &q->ep->addr, q->ep->port, q->port->proto);
			if (q->backend && q->backend != c &&
			    str_eq(q->backend->node, c->node) == (path == PATH_SAME_NODE))
				return true;
		}
	}
	return false;
}

static int ask_path(struct reach *q, enum eval_path path)
{
	bool by_service = q->arm->strategy->service_addresses;
	struct responder_ask ask = { .proto = q->port->proto, .timeout_ms = ASK_TIMEOUT_MS };
	struct responder_reply reply = {};
	int r;

	if (!find_pair(q, path))
		return write_reach(q, path, NULL, NULL, 0, NULL, false, "no pod on that side to ask from");
	if (q->n_eps == 0 && !by_service)
		return write_reach(q, path, NULL, NULL, 0, NULL, false, "no usable endpoint");
	ask.netns_fd = lab_pod_netns(testbed_lab(q->arm->testbed), q->client->ns, q->client->name);
	ask.cgroup_fd = lab_node_cgroup(testbed_lab(q->arm->testbed), q->client->node);
	ask.to = by_service ? q->svc->cluster_ip[q->fam] : q->ep->addr;
	ask.to_port = by_service ? q->port->port : q->ep->port;
	if (ask.netns_fd < 0)
		return err_set(q->e, -ENOENT, q->client->name, "the client has no namespace in the lab");
	r = responder_ask(&ask, &reply, NULL, NULL);
	if (q->n_eps == 0)
		return write_reach(q, path, q->client, &ask.to, r, NULL, r == -ECONNREFUSED, NULL);
	return write_reach(q, path, q->client, &ask.to, r, r < 0 ? NULL : &reply,
			   r == 0 && answered_rightly(q, reply.name, by_service ? NULL : q->ep), NULL);
}

static int ask_port(struct reach *q)
{
	CLEANUP_FREE const struct endpoint **eps = calloc(q->port->n_endpoints[q->fam] + 1, sizeof(struct endpoint *));
	const char *skip = NULL;
	int r = 0;

	if (!eps)
		return -ENOMEM;
	q->eps = eps;
	if (q->port->proto == IPPROTO_SCTP)
		skip = "this lab's servers speak TCP and UDP";
	else if (q->svc->features & (1u << SERVICE_FEATURE_INTERNAL_LOCAL))
		skip = "refused: internal-traffic-policy";
	for (int path = PATH_SAME_NODE; path <= PATH_OTHER_NODE && r == 0; path++)
		r = skip ? write_reach(q, path, NULL, NULL, 0, NULL, false, skip) : ask_path(q, path);
	return r;
}

int eval_reach(const struct eval_conf *conf, const struct eval_workload *w, struct eval_arm *arm,
	       struct record_writer *rec, uint64_t *ret_n_bad, struct err *e)
{
	struct reach q = { .w = w, .arm = arm, .rec = rec, .e = e };
	CLEANUP_FREE const struct service **svcs = NULL;
	CLEANUP_FREE const struct pod **pods = NULL;
	size_t n_svcs;
	int r = snapshot_sorted_services(w->snapshot, &svcs, &n_svcs);

	if (r == 0)
		r = snapshot_sorted_pods(w->snapshot, &pods, &q.n_pods);
	q.pods = pods;
	for (size_t i = 0; r == 0 && i < n_svcs; i++)
		for (size_t p = 0; r == 0 && p < svcs[i]->n_ports; p++)
			for (int f = 0; r == 0 && f < IP_FAMILY_MAX; f++) {
				if (!ip_addr_is_set(&svcs[i]->cluster_ip[f]))
					continue;
				if (*conf->stop)
					return -EINTR;
				q.svc = svcs[i];
				q.port = &svcs[i]->ports[p];
				q.fam = f;
				r = ask_port(&q);
			}
	*ret_n_bad = q.n_bad;
	return r;
}
