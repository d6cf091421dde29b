/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of sim share. decide.c holds the rules; the others are its tools: track.c (life
 * of a connection), conn.c (connection table), affinity.c (memory of clients), choose.c
 * (endpoints), rewrite.c (bytes). */
#ifndef OFFKUBE_TARGET_SIM_INTERNAL_H
#define OFFKUBE_TARGET_SIM_INTERNAL_H

#include "base/map.h"
#include "base/vec.h"
#include "model/maglev.h"
#include "target/target.h"
#include "target_sim/sim.h"

enum sim_branch {
#define BRANCH(id, name, text) BRANCH_##id,
#include "branches.def"
#undef BRANCH
	BRANCH_MAX,
};

/* ---- track.c: what conntrack makes of a packet ---- */

enum dir { DIR_ORIGINAL, DIR_REPLY };

struct track {
	uint8_t proto;
	uint8_t state; /* of the protocol's own enum in track.c */
	bool seen_reply;
	bool close_seen; /* TCP: a FIN was seen while established */
	bool both_opened; /* TCP: a SYN from either side */
	bool challenged; /* TCP: a SYN while the last ACK was awaited: an ACK may answer that */
	uint8_t last_kind, last_dir; /* TCP: the segment before */
	uint64_t created_ns, expires_ns;
};

enum track_verdict {
	TRACK_FITS, /* the packet belongs to the connection */
	TRACK_LAST, /* it does, and the connection ends with it */
	TRACK_INVALID, /* it does not fit: translate nothing, change nothing */
	TRACK_REOPEN, /* the connection is over and this packet opens another */
};

/* The tuple of an ICMP request or of what answers one, and the tuple of the opposite direction: the query's id is the source port, type and
 * code are the destination port. False for every other packet. */
bool track_query(const struct pkt *p, struct l4_tuple *ret, struct l4_tuple *ret_opposite);
/* Does this packet open a connection? If so *ret is its start. Of the protocols without ports
 * only ICMP requests do. */
bool track_opens(const struct pkt *p, uint64_t now_ns, struct track *ret);
/* ... and is it the middle of a stream that nobody knew (TCP, loose)? */
bool track_is_pickup(const struct pkt *p);
/* A further packet. */
enum track_verdict track_packet(struct track *t, enum dir dir, const struct pkt *p, uint64_t now_ns);
/* TCP connection that both ends know to be over: its tuple may be taken. */
bool track_is_over(const struct track *t);

/* ---- conn.c: the connection table ---- */

struct conn {
	struct conn *prev, *next;
	struct l4_tuple orig; /* as the client sends */
	struct l4_tuple reply; /* as the other side answers, before we touch it */
	bool translated;
	struct track track;
};

struct conn_table {
	struct map *by_tuple; /* both tuples of each connection */
	struct conn head; /* ring, in the order of making */
	size_t n, n_swept; /* live after the last sweep */
};

struct l4_tuple tuple_inverse(const struct l4_tuple *t);
int conn_table_init(struct conn_table *t);
void conn_table_done(struct conn_table *t);
/* The connection that owns tuple t, and which of its sides; NULL when none. Timed-out ones are
 * found too. */
struct conn *conn_find(const struct conn_table *t, const struct l4_tuple *tuple, enum dir *ret_dir);
/* 0, -ENOMEM also when the table is full, -EEXIST when one of the tuples is taken. */
int conn_add(struct conn_table *t, const struct conn *fill, uint64_t now_ns);
void conn_del(struct conn_table *t, struct conn *c);

/* ---- affinity.c: which backend a client had ---- */

struct affinity_table {
	struct map *by_client;
	size_t n_swept;
};

struct affinity {
	struct sim_backend backend;
	uint64_t expires_ns;
	uint8_t proto;
	uint16_t port;
	const char *ns, *name; /* behind the struct */
	size_t key_size;
	const uint8_t *key;
};

int affinity_init(struct affinity_table *t);
void affinity_done(struct affinity_table *t);
/* NULL when the client is not known. Timed-out ones are found too. */
struct affinity *affinity_find(const struct affinity_table *t, const struct service *svc,
			       const struct service_port *port, const struct ip_addr *client);
int affinity_set(struct affinity_table *t, const struct service *svc, const struct service_port *port,
		 const struct ip_addr *client, const struct sim_backend *backend, uint64_t now_ns);
/* Forgets what no Service port with affinity of `s`, of a Service in force, asks for; returns how many, or -ENOMEM. */
int affinity_update(struct affinity_table *t, const struct snapshot *s);

/* ---- the interpreter ---- */

struct sim {
	struct snapshot *snapshot;
	char *node_name;
	const struct node *node; /* in snapshot */
	const struct clock *clock;
	struct conn_table conns;
	struct affinity_table affinity;
	struct maglev_pool *pool;
	VEC(struct sim_backend) allowed; /* of the packet at hand */
	VEC(const struct endpoint *) selected;
	VEC(struct maglev_backend) keys;
	uint64_t branch[BRANCH_MAX];
	uint64_t reason[REASON_MAX];
};

static inline void hit(struct sim *sim, enum sim_branch b)
{
	sim->branch[b]++;
}

/* What of a packet the rules look at. */
struct sim_in {
	const struct pkt *p;
	bool has_ports; /* TCP, UDP or SCTP */
	bool damaged; /* a checksum behind the IP header is wrong */
};

/* What the packet carries when it leaves. Differs from sim_result.out in the source port of a
 * new connection, if that is free. */
struct sim_wire {
	struct l4_tuple out;
	struct l4_tuple quoted; /* ICMP error: the packet in it */
};

/* decide.c: the rules. *wire is set for VERDICT_TRANSLATE. 0, -ENOMEM, -ESRCH as sim_packet(). */
int decide(struct sim *sim, const struct sim_in *in, const struct sim_observed *observed, struct sim_result *ret,
	   struct sim_wire *wire);
/* 0, -ENOENT when the node is gone, -ENOMEM: then nothing has changed. */
int decide_update(struct sim *sim, const struct snapshot *s);
/* Which facets of a Service sim carries. */
uint32_t sim_check(const struct service *svc, struct refusal_list *refusals);
/* Is it in force at its ClusterIP? */
bool is_carried(const struct service *svc);

/* choose.c: fills sim->allowed for a new connection; 0 or -ENOMEM. */
int choose_allowed(struct sim *sim, const struct service_port *port, enum ip_family fam);
/* The model's own choice among sim->allowed. */
int choose_one(struct sim *sim, const struct service *svc, const struct l4_tuple *t, struct sim_backend *ret);

/* rewrite.c: addresses and ports of a packet that pkt_parse() accepted; checksums are carried
 * on, so that a wrong one stays wrong. */
void rewrite_packet(uint8_t *buf, size_t size, const struct l4_tuple *to);
/* An ICMP error: outer addresses, and the addresses and ports of the packet that it quotes. */
void rewrite_error(uint8_t *buf, size_t size, const struct ip_addr *src, const struct ip_addr *dst,
		   const struct l4_tuple *inner);

#endif
