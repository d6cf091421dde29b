/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scratch node of the live runner: an unnamed namespace wired like a node, all of whose neighbours are ours.
 *
 *	node namespace			outer namespace (no addresses, no forwarding)
 *	eth0 (node's addresses)	<veth>	eth0		default routes lead here
 *	p1, p2, ... 		<veth>	p1, p2, ...	one for each pod of the node: its routes and neighbour entries
 *
 * Dies with the process: nothing has a name.
 */
#ifndef OFFKUBE_TRACE_SCRATCH_H
#define OFFKUBE_TRACE_SCRATCH_H

#include <sched.h>

#include "base/map.h"
#include "base/vec.h"
#include "net/nl.h"
#include "trace/trace.h"

#define SCRATCH_UPLINK "eth0"

/* One veth pair. */
struct scratch_port {
	char ifname[16]; /* on both sides */
	char label[300]; /* "pod shop/cart-0", "uplink" */
	int outer_ifindex;
	uint8_t node_mac[6], outer_mac[6];
	struct ip_addr addr[IP_FAMILY_MAX]; /* the pod's; unset for the uplink */
	bool wanted; /* by the snapshot of an update under way */
	bool gone; /* its pod is */
};

/* TCP, UDP, SCTP, ICMP or ICMPv6. */
#define SCRATCH_N_LOCAL 4

struct scratch {
	int node_ns, outer_ns;
	struct nl *node_nl, *outer_nl;
	struct ip_addr node_addr[IP_FAMILY_MAX];
	struct scratch_port *uplink;
	VEC(struct scratch_port *) pods;
	uint32_t n_made; /* ports so far: names and MAC addresses */
	int inject_fd; /* AF_PACKET in the outer namespace */
	int capture_fd; /* AF_PACKET in the outer namespace, all devices */
	int raw_fd[IP_FAMILY_MAX]; /* what the node itself sends */
	int local_fd[IP_FAMILY_MAX][SCRATCH_N_LOCAL]; /* what is delivered to the node itself */
	uint64_t cookie; /* of the last sentinel */
};

/* A packet that came out. */
struct scratch_seen {
	const struct scratch_port *port; /* NULL: delivered to the node itself */
	size_t size;
	uint8_t buf[TRACE_PACKET_SIZE_MAX];
};

struct scratch_seen_list {
	VEC(struct scratch_seen) v;
};

int scratch_new(const struct snapshot *s, const struct node *node, struct scratch **ret, struct err *e);
void scratch_free(struct scratch *sc); /* NULL is fine, half-built is fine */
/* Ports for pods that are new; then, after the target has been told, those of pods that are gone are taken away. */
int scratch_add_pods(struct scratch *sc, const struct snapshot *s, const struct node *node, struct err *e);
int scratch_drop_pods(struct scratch *sc, struct err *e);

/* The port of the pod with this address; NULL when none. */
const struct scratch_port *scratch_pod(const struct scratch *sc, const struct ip_addr *a);
/*
 * Puts the packet in where its origin says, and collects all that comes out because of it. -ENOENT: no pod of this node has its source address;
 * -EINVAL: no process can send it; -ETIME: the sentinel did not arrive.
 */
int scratch_run(struct scratch *sc, const struct trace_packet *p, struct scratch_seen_list *ret, struct err *e);

#endif
