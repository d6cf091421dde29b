/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of one connection, as the connection tracking of Linux sees it: which packet opens one,
 * which fits it, when it ends. Called by decide.c. Facts from
 * net/netfilter/nf_conntrack_proto_{tcp,udp,sctp,icmp,icmpv6}.c of Linux 6.x and its default sysctls (tcp_loose
 * = 1).
 *
 * What is left out, because no packet of an honest sender shows it: TCP windows and sequence
 * numbers (every segment is taken to be in its window, as with nf_conntrack_tcp_be_liberal = 1, and
 * every RST to be exact), SCTP verification tags once an association is open.
 */
#include <assert.h>

#include "internal.h"
#include "base/util.h"

#define SEC NSEC_PER_SEC

/* ---- TCP ---- */

enum tcp_state {
	TCP_SYN_SENT, /* SYN from the client */
	TCP_SYN_SENT2, /* ... and one from the server: simultaneous open */
	TCP_SYN_RECV, /* SYN+ACK */
	TCP_ESTABLISHED,
	TCP_FIN_WAIT, /* first FIN */
	TCP_CLOSE_WAIT, /* ... acknowledged */
	TCP_LAST_ACK, /* both FINs */
	TCP_TIME_WAIT, /* ... acknowledged */
	TCP_CLOSE, /* RST */
	TCP_STATE_MAX,
	TCP_SAME = 0xfd, /* let through, but nothing is learned from it */
	TCP_INVALID = 0xfe,
};

static const uint32_t tcp_timeout_s[] = {
	[TCP_SYN_SENT] = 120,	       [TCP_SYN_SENT2] = 120, [TCP_SYN_RECV] = 60,
	[TCP_ESTABLISHED] = 5 * 86400, [TCP_FIN_WAIT] = 120,  [TCP_CLOSE_WAIT] = 60,
	[TCP_LAST_ACK] = 30,	       [TCP_TIME_WAIT] = 120, [TCP_CLOSE] = 10,
};
static_assert(ARRAY_LEN(tcp_timeout_s) == TCP_STATE_MAX, "a timeout for each state");
#define TCP_TIMEOUT_UNANSWERED_S 300 /* taken up in the middle, no answer yet */

enum tcp_kind { KIND_SYN, KIND_SYNACK, KIND_FIN, KIND_ACK, KIND_RST, KIND_BAD };

/* Of the flags that matter only these sets are legal: S, SA, R, RA, FA, A. */
static enum tcp_kind tcp_kind(const struct pkt *p)
{
	switch (p->tcp_flags & (TCP_FLAG_SYN | TCP_FLAG_ACK | TCP_FLAG_FIN | TCP_FLAG_RST)) {
	case TCP_FLAG_SYN:
		return KIND_SYN;
	case TCP_FLAG_SYN | TCP_FLAG_ACK:
		return KIND_SYNACK;
	case TCP_FLAG_FIN | TCP_FLAG_ACK:
		return KIND_FIN;
	case TCP_FLAG_ACK:
		return KIND_ACK;
	case TCP_FLAG_RST:
	case TCP_FLAG_RST | TCP_FLAG_ACK:
		return KIND_RST;
	default:
		return KIND_BAD;
	}
}

static uint8_t tcp_next_syn(uint8_t state, enum dir dir)
{
	switch (state) {
	case TCP_SYN_SENT:
		return dir == DIR_ORIGINAL ? TCP_SYN_SENT : TCP_SYN_SENT2;
	case TCP_SYN_SENT2:
		return TCP_SYN_SENT2;
	case TCP_TIME_WAIT:
		return TCP_SYN_SENT; /* the two may have changed their parts */
	case TCP_CLOSE:
		return dir == DIR_ORIGINAL ? TCP_SYN_SENT : TCP_INVALID;
	default:
		return dir == DIR_ORIGINAL ? TCP_SAME : TCP_INVALID;
	}
}

static uint8_t tcp_next_synack(uint8_t state, enum dir dir)
{
	if (state == TCP_SYN_SENT2)
		return TCP_SYN_RECV;
	if (dir == DIR_REPLY)
		return state == TCP_SYN_SENT ? TCP_SYN_RECV : TCP_SAME;
	/* The client answers nobody's SYN, unless both opened. */
	return state == TCP_SYN_RECV ? TCP_SYN_RECV : TCP_INVALID;
}

static uint8_t tcp_next_fin(uint8_t state)
{
	switch (state) {
	case TCP_SYN_SENT:
	case TCP_SYN_SENT2:
		return TCP_INVALID;
	case TCP_SYN_RECV:
	case TCP_ESTABLISHED:
		return TCP_FIN_WAIT;
	case TCP_FIN_WAIT:
	case TCP_CLOSE_WAIT:
		return TCP_LAST_ACK;
	default:
		return state;
	}
}

static uint8_t tcp_next_ack(uint8_t state, enum dir dir)
{
	switch (state) {
	case TCP_SYN_SENT:
	case TCP_SYN_SENT2:
		return dir == DIR_ORIGINAL ? TCP_INVALID : TCP_SAME;
	case TCP_SYN_RECV:
		return dir == DIR_ORIGINAL ? TCP_ESTABLISHED : TCP_SYN_RECV;
	case TCP_FIN_WAIT:
		return TCP_CLOSE_WAIT;
	case TCP_LAST_ACK:
		return TCP_TIME_WAIT;
	default:
		return state;
	}
}

static uint8_t tcp_next(const struct track *t, enum dir dir, enum tcp_kind kind)
{
	switch (kind) {
	case KIND_SYN:
		return tcp_next_syn(t->state, dir);
	case KIND_SYNACK:
		return tcp_next_synack(t->state, dir);
	case KIND_FIN:
		return tcp_next_fin(t->state);
	case KIND_ACK:
		if (t->state == TCP_SYN_RECV && t->both_opened)
			return TCP_ESTABLISHED;
		return tcp_next_ack(t->state, dir);
	case KIND_RST:
		return TCP_CLOSE;
	default:
		return TCP_INVALID;
	}
}

static void tcp_refresh(struct track *t, uint64_t now_ns)
{
	uint32_t timeout_s = tcp_timeout_s[t->state];

	if (t->state == TCP_ESTABLISHED && !t->seen_reply)
		timeout_s = TCP_TIMEOUT_UNANSWERED_S;
	t->expires_ns = now_ns + timeout_s * SEC;
}

/* An ACK against a stray SYN (RFC 5961) is not the last one. */
static bool is_challenge_ack(const struct track *t, enum dir dir, enum tcp_kind kind)
{
	return kind == KIND_ACK && t->state == TCP_LAST_ACK && t->challenged && t->last_kind == KIND_SYN &&
	       t->last_dir != dir;
}

static enum track_verdict tcp_packet(struct track *t, enum dir dir, const struct pkt *p, uint64_t now_ns)
{
	enum tcp_kind kind = tcp_kind(p);
	uint8_t next = tcp_next(t, dir, kind);
	bool reset_by_client = t->last_kind == KIND_RST && t->last_dir == DIR_ORIGINAL;

	if (next == TCP_INVALID)
		return TRACK_INVALID;
	/* A SYN after the end is a new connection, if the end was seen: both FINs, or the
	 * client's own RST. Otherwise it may be a stray one: it passes, and the server's SYN+ACK
	 * decides. */
	if (next == TCP_SYN_SENT && track_is_over(t)) {
		if (t->close_seen || reset_by_client)
			return TRACK_REOPEN;
		next = TCP_SAME;
	}
	if (next == TCP_SAME && kind == KIND_SYNACK && t->last_kind == KIND_SYN && t->last_dir != dir)
		next = TCP_SYN_RECV;
	if (is_challenge_ack(t, dir, kind)) {
		t->challenged = false;
		t->seen_reply = t->seen_reply || dir == DIR_REPLY;
		return TRACK_FITS;
	}
	if (next == TCP_SAME && kind == KIND_SYN) {
		t->challenged = t->state == TCP_LAST_ACK;
		t->both_opened = false;
	}
	if (next == TCP_SYN_SENT2)
		t->both_opened = true;
	t->last_kind = kind;
	t->last_dir = dir;
	if (next != TCP_SAME) {
		if (next == TCP_FIN_WAIT && t->state != next)
			t->close_seen = true;
		/* Nothing but a RST: not a connection. */
		if (kind == KIND_RST && !t->seen_reply)
			return TRACK_LAST;
		if (kind == KIND_SYNACK && t->state > TCP_SYN_RECV)
			t->close_seen = false; /* begun anew */
		t->state = next;
		tcp_refresh(t, now_ns);
	}
	if (dir == DIR_REPLY)
		t->seen_reply = true;
	return TRACK_FITS;
}

/* ---- UDP ---- */

#define UDP_TIMEOUT_S 30
#define UDP_TIMEOUT_STREAM_S 120 /* answered, and still alive after two seconds */
#define UDP_STREAM_AFTER_S 2

static enum track_verdict udp_packet(struct track *t, enum dir dir, uint64_t now_ns)
{
	bool stream = t->seen_reply && now_ns > t->created_ns + UDP_STREAM_AFTER_S * SEC;

	t->expires_ns = now_ns + (stream ? UDP_TIMEOUT_STREAM_S : UDP_TIMEOUT_S) * SEC;
	if (dir == DIR_REPLY)
		t->seen_reply = true;
	return TRACK_FITS;
}

/* ---- SCTP (chunks: RFC 9260, section 3.2) ---- */

enum sctp_state {
	SCTP_CLOSED, /* INIT seen, or at its end */
	SCTP_COOKIE_WAIT, /* INIT ACK, or INIT on a probed path */
	SCTP_COOKIE_ECHOED,
	SCTP_ESTABLISHED,
	SCTP_SHUTDOWN, /* SHUTDOWN */
	SCTP_SHUTDOWN_ACKED, /* SHUTDOWN ACK */
	SCTP_HEARTBEAT, /* began with a HEARTBEAT: second path of an association */
	SCTP_STATE_MAX,
	SCTP_NONE = 0xfe, /* not open yet */
};

static const uint32_t sctp_timeout_s[] = {
	[SCTP_CLOSED] = 10,  [SCTP_COOKIE_WAIT] = 3,	[SCTP_COOKIE_ECHOED] = 3, [SCTP_ESTABLISHED] = 210,
	[SCTP_SHUTDOWN] = 3, [SCTP_SHUTDOWN_ACKED] = 3, [SCTP_HEARTBEAT] = 30,
};
static_assert(ARRAY_LEN(sctp_timeout_s) == SCTP_STATE_MAX, "a timeout for each state");

enum sctp_chunk {
	CHUNK_INIT = 1,
	CHUNK_INIT_ACK = 2,
	CHUNK_HEARTBEAT = 4,
	CHUNK_HEARTBEAT_ACK = 5,
	CHUNK_ABORT = 6,
	CHUNK_SHUTDOWN = 7,
	CHUNK_SHUTDOWN_ACK = 8,
	CHUNK_ERROR = 9,
	CHUNK_COOKIE_ECHO = 10,
	CHUNK_COOKIE_ACK = 11,
	CHUNK_SHUTDOWN_COMPLETE = 14,
};

/* Calls fn for each chunk. False when fn said so, or for a packet without chunks or with some
 * that may not stand together. */
static bool sctp_each_chunk(const struct pkt *p, bool (*fn)(uint8_t type, void *arg), void *arg)
{
	bool alone = false;
	size_t off = 0;

	while (off + 4 <= p->payload_size) {
		const uint8_t *c = p->payload + off;
		uint16_t size = (uint16_t)(c[2] << 8 | c[3]);
		bool first_only = c[0] == CHUNK_COOKIE_ACK || c[0] == CHUNK_COOKIE_ECHO;

		alone = alone || c[0] == CHUNK_INIT || c[0] == CHUNK_INIT_ACK || c[0] == CHUNK_SHUTDOWN_COMPLETE;
		if (size == 0 || (off > 0 && (alone || first_only)) || !fn(c[0], arg))
			return false;
		off += (size + 3u) & ~3u;
	}
	return off > 0;
}

struct sctp_walk {
	uint8_t state;
	enum dir dir;
	bool has_tag; /* the packet carries a tag that is not 0 */
	bool probes; /* it holds a HEARTBEAT or the ACK of one */
	bool repeats_init; /* ... or an INIT once more */
};

/* The path was only probed, with a HEARTBEAT, before. The client may do all over again; the server may but answer. */
static bool sctp_heartbeat_next(uint8_t type, struct sctp_walk *w)
{
	switch (type) {
	case CHUNK_HEARTBEAT:
		return true;
	case CHUNK_HEARTBEAT_ACK:
		if (w->dir == DIR_REPLY)
			w->state = SCTP_ESTABLISHED;
		return true;
	case CHUNK_INIT:
		w->state = SCTP_COOKIE_WAIT;
		return w->dir == DIR_ORIGINAL;
	case CHUNK_INIT_ACK:
	case CHUNK_ABORT:
	case CHUNK_SHUTDOWN:
	case CHUNK_ERROR:
	case CHUNK_COOKIE_ECHO:
	case CHUNK_COOKIE_ACK:
	case CHUNK_SHUTDOWN_COMPLETE:
		w->state = SCTP_CLOSED;
		return w->dir == DIR_ORIGINAL;
	case CHUNK_SHUTDOWN_ACK:
		w->state = SCTP_SHUTDOWN_ACKED;
		return w->dir == DIR_ORIGINAL;
	default:
		return true;
	}
}

/* False = the chunk does not fit. */
static bool sctp_chunk_next(uint8_t type, void *arg)
{
	struct sctp_walk *w = arg;
	uint8_t st = w->state;
	bool shuts = st == SCTP_SHUTDOWN || st == SCTP_SHUTDOWN_ACKED;

	w->probes = w->probes || type == CHUNK_HEARTBEAT || type == CHUNK_HEARTBEAT_ACK;
	if (st == SCTP_HEARTBEAT)
		return sctp_heartbeat_next(type, w);
	if (type == CHUNK_ABORT || (type == CHUNK_SHUTDOWN_COMPLETE && st == SCTP_SHUTDOWN_ACKED)) {
		w->state = SCTP_CLOSED;
	} else if (type == CHUNK_INIT && st == SCTP_CLOSED) {
		w->repeats_init = true;
	} else if (type == CHUNK_INIT && st == SCTP_SHUTDOWN && w->dir == DIR_ORIGINAL) {
		w->state = SCTP_CLOSED;
	} else if (type == CHUNK_INIT_ACK && st == SCTP_CLOSED && w->dir == DIR_REPLY) {
		w->state = SCTP_COOKIE_WAIT;
	} else if (type == CHUNK_COOKIE_ECHO && st == SCTP_COOKIE_WAIT) {
		w->state = SCTP_COOKIE_ECHOED;
	} else if (type == CHUNK_COOKIE_ACK && st == SCTP_COOKIE_ECHOED) {
		w->state = SCTP_ESTABLISHED;
	} else if (type == CHUNK_ERROR && st == SCTP_COOKIE_ECHOED && w->dir == DIR_REPLY) {
		w->state = SCTP_CLOSED;
	} else if (type == CHUNK_SHUTDOWN && st == SCTP_ESTABLISHED) {
		w->state = SCTP_SHUTDOWN;
	} else if (type == CHUNK_SHUTDOWN_ACK && shuts) {
		w->state = SCTP_SHUTDOWN_ACKED;
	}
	return true;
}

/* Every chunk must be one that an association, or a second path of one, may begin with. What carries a tag is checked
 * against one that nobody has told yet, but for probes and SHUTDOWN ACK (RFC 9260, 8.4 and 8.5). */
static bool sctp_chunk_opens(uint8_t type, void *arg)
{
	struct sctp_walk *w = arg;
	uint8_t first;

	switch (type) {
	case CHUNK_INIT:
	case CHUNK_INIT_ACK:
	case CHUNK_SHUTDOWN:
	case CHUNK_ERROR:
	case CHUNK_COOKIE_ECHO:
		if (w->has_tag)
			return false;
		first = SCTP_CLOSED;
		break;
	case CHUNK_HEARTBEAT_ACK:
		first = SCTP_CLOSED;
		break;
	case CHUNK_SHUTDOWN_ACK:
		first = SCTP_SHUTDOWN_ACKED;
		break;
	case CHUNK_HEARTBEAT:
		first = SCTP_HEARTBEAT;
		break;
	default:
		return false;
	}
	if (w->state != SCTP_NONE)
		return sctp_chunk_next(type, w);
	w->state = first;
	return true;
}

static bool sctp_opens(const struct pkt *p, uint8_t *ret_state)
{
	struct sctp_walk w = { .state = SCTP_NONE, .dir = DIR_ORIGINAL, .has_tag = p->sctp_vtag != 0 };

	if (!sctp_each_chunk(p, sctp_chunk_opens, &w))
		return false;
	*ret_state = w.state;
	return true;
}

static enum track_verdict sctp_packet(struct track *t, enum dir dir, const struct pkt *p, uint64_t now_ns)
{
	struct sctp_walk w = { .state = t->state, .dir = dir };

	if (!sctp_each_chunk(p, sctp_chunk_next, &w))
		return TRACK_INVALID;
	/* A server that has only been probed knows no tag to put into anything but its answer. */
	if (t->state == SCTP_HEARTBEAT && dir == DIR_REPLY && !t->seen_reply && !w.probes)
		return TRACK_INVALID;
	/* Whoever only repeats his INIT does not keep the entry alive. */
	if (!w.repeats_init || w.state != SCTP_CLOSED)
		t->expires_ns = now_ns + sctp_timeout_s[w.state] * SEC;
	t->state = w.state;
	if (dir == DIR_REPLY)
		t->seen_reply = true;
	return TRACK_FITS;
}

/* ---- ICMP: one query, of a sender, a target and an id, is a connection (RFC 792, RFC 4443, RFC 4620) ---- */

#define ICMP_TIMEOUT_S 30

static const struct query {
	uint8_t proto, request, answer;
} queries[] = {
	{ IPPROTO_ICMP, 8, 0 },	  { IPPROTO_ICMP, 13, 14 },	{ IPPROTO_ICMP, 15, 16 },
	{ IPPROTO_ICMP, 17, 18 }, { IPPROTO_ICMPV6, 128, 129 }, { IPPROTO_ICMPV6, 139, 140 },
};

static const struct query *query_of(const struct pkt *p)
{
	for (size_t i = 0; i < ARRAY_LEN(queries); i++)
		if (p->t.proto == queries[i].proto &&
		    (p->icmp_type == queries[i].request || p->icmp_type == queries[i].answer))
			return &queries[i];
	return NULL;
}

static bool icmp_opens(const struct pkt *p)
{
	const struct query *q = query_of(p);

	return q && p->icmp_type == q->request;
}

bool track_query(const struct pkt *p, struct l4_tuple *ret, struct l4_tuple *ret_opposite)
{
	const struct query *q = query_of(p);
	uint8_t opposite_type;

	if (!q)
		return false;
	opposite_type = p->icmp_type == q->request ? q->answer : q->request;
	*ret = p->t;
	ret->sport = (uint16_t)(p->icmp_rest >> 16);
	ret->dport = (uint16_t)(p->icmp_type << 8 | p->icmp_code);
	*ret_opposite = *ret;
	ret_opposite->src = p->t.dst;
	ret_opposite->dst = p->t.src;
	ret_opposite->dport = (uint16_t)(opposite_type << 8 | p->icmp_code);
	return true;
}

static enum track_verdict icmp_packet(struct track *t, enum dir dir, uint64_t now_ns)
{
	t->expires_ns = now_ns + ICMP_TIMEOUT_S * SEC;
	if (dir == DIR_REPLY)
		t->seen_reply = true;
	return TRACK_FITS;
}

/* ---- all ---- */

bool track_opens(const struct pkt *p, uint64_t now_ns, struct track *ret)
{
	struct track t = { .proto = p->t.proto, .created_ns = now_ns, .last_dir = DIR_ORIGINAL };

	switch (p->t.proto) {
	case IPPROTO_TCP:
		t.last_kind = tcp_kind(p);
		if (t.last_kind != KIND_SYN && t.last_kind != KIND_ACK)
			return false;
		t.state = t.last_kind == KIND_SYN ? TCP_SYN_SENT : TCP_ESTABLISHED;
		tcp_refresh(&t, now_ns);
		break;
	case IPPROTO_UDP:
		t.expires_ns = now_ns + UDP_TIMEOUT_S * SEC;
		break;
	case IPPROTO_SCTP:
		if (!sctp_opens(p, &t.state))
			return false;
		t.expires_ns = now_ns + sctp_timeout_s[t.state] * SEC;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (!icmp_opens(p))
			return false;
		t.expires_ns = now_ns + ICMP_TIMEOUT_S * SEC;
		break;
	default:
		return false;
	}
	*ret = t;
	return true;
}

bool track_is_pickup(const struct pkt *p)
{
	return p->t.proto == IPPROTO_TCP && tcp_kind(p) == KIND_ACK;
}

enum track_verdict track_packet(struct track *t, enum dir dir, const struct pkt *p, uint64_t now_ns)
{
	switch (t->proto) {
	case IPPROTO_TCP:
		return tcp_packet(t, dir, p, now_ns);
	case IPPROTO_UDP:
		return udp_packet(t, dir, now_ns);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return icmp_packet(t, dir, now_ns);
	default:
		return sctp_packet(t, dir, p, now_ns);
	}
}

bool track_is_over(const struct track *t)
{
	return t->proto == IPPROTO_TCP && (t->state == TCP_TIME_WAIT || t->state == TCP_CLOSE);
}
