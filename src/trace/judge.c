/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Judges what came out of the scratch node (judge.h). Called by live.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"
#include "judge.h"

/* Connections and clients remembered; beyond that reasons fall back to "chosen". */
#define REMEMBERED_MAX 262144

struct judge_affinity {
	struct trace_backend backend;
	uint64_t expires_ns;
};

/* ---- memory ---- */

static bool tuple_eq(const struct l4_tuple *a, const struct l4_tuple *b)
{
	struct l4_key ka = l4_key_of(a), kb = l4_key_of(b);

	return memcmp(&ka, &kb, sizeof(ka)) == 0;
}

static struct l4_tuple inverse(const struct l4_tuple *t)
{
	return (struct l4_tuple){
		.src = t->dst, .dst = t->src, .sport = t->dport, .dport = t->sport, .proto = t->proto
	};
}

static struct judge_flow *flow_find(const struct judge *j, const struct l4_tuple *t)
{
	struct l4_key k = l4_key_of(t);

	return map_get(j->flows, &k, sizeof(k));
}

static void flow_del(struct judge *j, struct judge_flow *f)
{
	struct l4_key orig = l4_key_of(&f->orig), reply = l4_key_of(&f->reply);

	(void)map_del(j->flows, &orig, sizeof(orig)); /* the value is f */
	(void)map_del(j->flows, &reply, sizeof(reply));
	free(f);
}

/* Older connections with one of the tuples have ended, or this one could not be. */
static int flow_add(struct judge *j, const struct l4_tuple *orig, const struct l4_tuple *out)
{
	struct l4_tuple reply = inverse(out);
	struct l4_key k_orig = l4_key_of(orig), k_reply = l4_key_of(&reply);
	struct judge_flow *f;
	int r;

	while ((f = flow_find(j, orig)) || (f = flow_find(j, &reply)))
		flow_del(j, f);
	if (map_count(j->flows) >= REMEMBERED_MAX)
		return 0;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->orig = *orig;
	f->reply = reply;
	r = map_put(j->flows, &k_orig, sizeof(k_orig), f, NULL);
	if (r == 0)
		r = map_put(j->flows, &k_reply, sizeof(k_reply), f, NULL);
	if (r < 0) {
		(void)map_del(j->flows, &k_orig, sizeof(k_orig));
		free(f);
	}
	return r;
}

int judge_init(struct judge *j, const struct clock *clock)
{
	int r = map_new(&j->flows);

	j->clock = clock;
	return r < 0 ? r : map_new(&j->affinity);
}

/* Flows stand under two keys each; they are collected once, by the original's. */
struct flow_list {
	VEC(struct judge_flow *) v;
};

static int collect_flow(const void *key, size_t key_size, void *value, void *arg)
{
	struct judge_flow *f = value;
	struct l4_key orig = l4_key_of(&f->orig);
	struct flow_list *list = arg;

	if (key_size != sizeof(orig) || memcmp(key, &orig, sizeof(orig)) != 0)
		return 0;
	return vec_push(&list->v, f);
}

void judge_done(struct judge *j)
{
	struct flow_list all = {};

	if (j->flows) {
		/* Out of memory while giving memory back: the rest goes with the process. */
		(void)map_each(j->flows, collect_flow, &all);
		for (size_t i = 0; i < all.v.n; i++)
			free(all.v.v[i]);
		vec_free(&all.v);
	}
	map_free(j->flows, NULL);
	map_free(j->affinity, free);
}

/* Also when the port or the Service is gone: nobody serves it. */
static bool is_stale(const struct snapshot *s, const struct judge_flow *f)
{
	const struct service *svc = snapshot_service_by_ip(s, &f->orig.dst);
	const struct service_port *port = svc ? service_find_port(svc, f->orig.proto, f->orig.dport) : NULL;

	return f->orig.proto == IPPROTO_UDP && !(port && service_port_serves(port, &f->reply.src, f->reply.sport));
}

int judge_update(struct judge *j, const struct snapshot *s)
{
	struct flow_list all = {};
	int r = map_each(j->flows, collect_flow, &all);

	for (size_t i = 0; r == 0 && i < all.v.n; i++)
		if (is_stale(s, all.v.v[i]))
			flow_del(j, all.v.v[i]);
	vec_free(&all.v);
	return r;
}

/* ---- affinity ---- */

#define AFFINITY_KEY_MAX (2 * OBJ_NAME_MAX + 32)

static size_t affinity_key(const struct service *svc, const struct service_port *port, const struct ip_addr *client,
			   char key[static AFFINITY_KEY_MAX])
{
	int len = snprintf(key, AFFINITY_KEY_MAX - 17, "%s/%s/%u/%u", svc->ns, svc->name, port->proto, port->port);
	size_t size = MIN((size_t)len, (size_t)AFFINITY_KEY_MAX - 18) + 1;

	key[size] = (char)client->fam;
	memcpy(key + size + 1, client->bytes, 16);
	return size + 17;
}

static bool is_eligible(const struct judge_case *c, const struct service_port *port, const struct trace_backend *b)
{
	enum ip_family fam = ip_addr_family(&b->ip);
	CLEANUP_FREE const struct endpoint **eps = calloc(port->n_endpoints[fam] + 1, sizeof(*eps));
	size_t n = eps ? service_select(port, fam, c->node, eps, NULL) : 0;

	for (size_t i = 0; i < n; i++)
		if (eps[i]->port == b->port && ip_addr_eq(&eps[i]->addr, &b->ip))
			return true;
	return false;
}

/* What the target must have had in mind: this client's backend of before, if it still may have it. */
static enum reason affinity_reason(struct judge *j, const struct judge_case *c, const struct trace_result *r,
				   const struct ip_addr *client)
{
	uint64_t now_ns = clock_now_ns(j->clock);
	char key[AFFINITY_KEY_MAX];
	size_t key_size;
	struct judge_affinity *a;
	enum reason reason = REASON_CHOSEN;

	if (!r->port || !(r->service->features & 1u << SERVICE_FEATURE_AFFINITY))
		return reason;
	key_size = affinity_key(r->service, r->port, client, key);
	a = map_get(j->affinity, key, key_size);
	if (a && now_ns < a->expires_ns && a->backend.port == r->backend.port &&
	    ip_addr_eq(&a->backend.ip, &r->backend.ip) && is_eligible(c, r->port, &a->backend))
		reason = REASON_AFFINITY;
	if (!a && map_count(j->affinity) < REMEMBERED_MAX) {
		a = calloc(1, sizeof(*a));
		if (a && map_put(j->affinity, key, key_size, a, NULL) < 0) {
			free(a);
			a = NULL;
		}
	}
	if (a) {
		a->backend = r->backend;
		a->expires_ns = now_ns + r->service->affinity_timeout_s * NSEC_PER_SEC;
	}
	return reason;
}

/* ---- what is what among the seen ---- */

struct found {
	const struct scratch_seen *packet; /* the packet itself, as it left */
	struct pkt packet_fields;
	const struct scratch_seen *answer; /* a refusal that goes back */
	struct pkt answer_fields;
};

static bool parses(const struct scratch_seen *s, struct pkt *ret)
{
	int r = pkt_parse(s->buf, s->size, ret);

	return r == 0 || r == -EPROTONOSUPPORT;
}

/* Translation leaves alone what is compared here. */
static bool is_the_packet(const struct pkt *in, size_t in_size, const struct pkt *p, const struct scratch_seen *s)
{
	/* An identification of 0 is filled in when a process sends it. */
	if (p->t.proto != in->t.proto || p->t.src.fam != in->t.src.fam || s->size != in_size ||
	    (in->ip_id && p->ip_id != in->ip_id))
		return false;
	if (p->tcp_flags != in->tcp_flags || p->tcp_seq != in->tcp_seq || p->icmp_type != in->icmp_type ||
	    p->icmp_code != in->icmp_code)
		return false;
	if (in->has_inner)
		return p->has_inner;
	return p->payload_size == in->payload_size &&
	       (!p->payload_size || memcmp(p->payload, in->payload, p->payload_size) == 0);
}

static bool is_refusal(const struct pkt *in, const struct pkt *p)
{
	struct l4_tuple back = inverse(&in->t);

	if (!ip_addr_eq(&p->t.dst, &in->t.src))
		return false;
	if (p->t.proto == IPPROTO_ICMP || p->t.proto == IPPROTO_ICMPV6) {
		bool unreachable = p->t.proto == IPPROTO_ICMP ? p->icmp_type == 3 : p->icmp_type == 1;

		if (!unreachable)
			return false;
		/* A quoted packet without ports (an echo request) is known by its addresses. */
		return p->has_inner && ip_addr_eq(&p->inner.src, &in->t.src) && ip_addr_eq(&p->inner.dst, &in->t.dst) &&
		       p->inner.proto == in->t.proto && p->inner.sport == in->t.sport && p->inner.dport == in->t.dport;
	}
	return p->t.proto == IPPROTO_TCP && in->t.proto == IPPROTO_TCP && p->tcp_flags & TCP_FLAG_RST &&
	       tuple_eq(&p->t, &back);
}

static int find(const struct judge_case *c, const struct pkt *in, struct found *ret, struct err *e)
{
	for (size_t i = 0; i < c->seen->v.n; i++) {
		const struct scratch_seen *s = &c->seen->v.v[i];
		struct pkt p;

		if (!parses(s, &p))
			continue;
		if (is_the_packet(in, c->packet->size, &p, s)) {
			if (ret->packet)
				return err_set(e, -EPROTO, NULL, "the packet came out twice: by %s and by %s",
					       ret->packet->port ? ret->packet->port->label : "the node",
					       s->port ? s->port->label : "the node");
			ret->packet = s;
			ret->packet_fields = p;
		} else if (!ret->answer && is_refusal(in, &p)) {
			ret->answer = s;
			ret->answer_fields = p;
		}
	}
	/* Delivered to a process of the node, where nobody listens: the answer is that process's, not the target's. */
	if (ret->packet)
		ret->answer = NULL;
	return 0;
}

/* ---- verdicts ---- */

static void set_verdict(struct trace_result *r, enum reason reason)
{
	r->reason = reason;
	r->verdict = reason_verdict(reason);
	r->inferred = true;
}

static void set_bytes(struct trace_result *r, const struct scratch_seen *s)
{
	r->out_size = s->size;
	memcpy(r->out_buf, s->buf, s->size);
	(void)snprintf(r->left_by, sizeof(r->left_by), "%s", s->port ? s->port->label : "node");
}

static void set_flow(struct trace_result *r, const struct judge_case *c, const struct judge_flow *f)
{
	r->service = snapshot_service_by_ip(c->s, &f->orig.dst);
	r->port = r->service ? service_find_port(r->service, f->orig.proto, f->orig.dport) : NULL;
	r->has_backend = true;
	r->backend = (struct trace_backend){ f->reply.src, f->reply.sport };
	r->snat = !ip_addr_eq(&f->reply.dst, &f->orig.src);
	r->hairpin = ip_addr_eq(&f->reply.src, &f->orig.src);
}

/* The refusals tell themselves apart: the model knows whether the port is there. */
static void judge_refusal(const struct judge_case *c, const struct pkt *in, const struct found *f,
			  struct trace_result *r)
{
	const struct pkt *a = &f->answer_fields;

	r->service = snapshot_service_by_ip(c->s, &in->t.dst);
	r->port = r->service ? service_find_port(r->service, in->t.proto, in->t.dport) : NULL;
	set_verdict(r, r->port ? REASON_NO_ENDPOINTS : REASON_UNKNOWN_PORT);
	r->reject_rst = a->t.proto == IPPROTO_TCP;
	if (!r->reject_rst) {
		r->reject_icmp_type = a->icmp_type;
		r->reject_icmp_code = a->icmp_code;
	}
	set_bytes(r, f->answer);
}

/* Nothing was rewritten. */
static void judge_pass(struct judge *j, const struct judge_case *c, const struct pkt *in, struct trace_result *r)
{
	const struct service *svc = snapshot_service_by_ip(c->s, &in->t.dst);
	const struct judge_flow *f = in->has_inner ? NULL : flow_find(j, &in->t);

	if (svc && !c->carries(c->carries_arg, svc))
		svc = NULL;
	set_verdict(r, svc || f ? REASON_NOT_NEW : REASON_NOT_SERVICE);
	r->service = svc;
	if (f) {
		set_flow(r, c, f);
		r->has_backend = false;
		r->snat = false;
	}
}

static void judge_error(struct judge *j, const struct judge_case *c, const struct pkt *in, struct trace_result *r)
{
	struct l4_tuple of = inverse(&in->inner);
	const struct judge_flow *f = flow_find(j, &of);

	set_verdict(r, REASON_ICMP_RELATED);
	if (f)
		set_flow(r, c, f);
}

static int judge_new(struct judge *j, const struct judge_case *c, const struct pkt *in, struct trace_result *r)
{
	const struct service *svc = snapshot_service_by_ip(c->s, &in->t.dst);
	struct judge_flow now = { .orig = in->t, .reply = inverse(&r->out) };

	if (!svc && ip_addr_eq(&in->t.src, &r->out.src) && ip_addr_eq(&in->t.dst, &r->out.dst) &&
	    in->t.dport == r->out.dport) {
		/* Only another source port: two plain connections would have looked alike. */
		set_verdict(r, REASON_NOT_SERVICE);
		return 0;
	}
	set_flow(r, c, &now);
	set_verdict(r, svc ? affinity_reason(j, c, r, &in->t.src) : REASON_CHOSEN);
	return flow_add(j, &in->t, &r->out);
}

static int judge_translated(struct judge *j, const struct judge_case *c, const struct pkt *in, struct trace_result *r)
{
	struct judge_flow *f = flow_find(j, &in->t);
	struct l4_tuple back = inverse(&r->out);

	if (in->has_inner) {
		judge_error(j, c, in, r);
		return 0;
	}
	if (!f || !(tuple_eq(&f->reply, &back) || tuple_eq(&f->orig, &back)))
		return judge_new(j, c, in, r);
	set_flow(r, c, f);
	set_verdict(r, tuple_eq(&f->orig, &in->t) ? REASON_ESTABLISHED : REASON_REPLY);
	if (r->reason == REASON_REPLY)
		f->answered = true;
	/* Reset before anybody answered: the connection never was. */
	if (in->t.proto == IPPROTO_TCP && in->tcp_flags & TCP_FLAG_RST && !f->answered)
		flow_del(j, f);
	return 0;
}

static int judge_left(struct judge *j, const struct judge_case *c, const struct pkt *in, const struct found *f,
		      struct trace_result *r)
{
	r->has_out = true;
	r->out = f->packet_fields.t;
	r->forwarded = f->packet->port && c->packet->origin != TRACE_FROM_NODE;
	set_bytes(r, f->packet);
	if (tuple_eq(&in->t, &r->out) && (!in->has_inner || tuple_eq(&in->inner, &f->packet_fields.inner))) {
		judge_pass(j, c, in, r);
		return 0;
	}
	return judge_translated(j, c, in, r);
}

/* A packet that cannot be read: all that can be said is whether anything came out. */
static void judge_malformed(const struct judge_case *c, struct trace_result *r)
{
	if (!c->seen->v.n) {
		set_verdict(r, REASON_MALFORMED);
		return;
	}
	set_verdict(r, REASON_NOT_SERVICE);
	set_bytes(r, &c->seen->v.v[0]);
}

int judge_packet(struct judge *j, const struct judge_case *c, struct trace_result *ret, struct err *e)
{
	struct found f = {};
	struct pkt in;
	int r;

	memset(ret, 0, sizeof(*ret));
	r = pkt_parse(c->packet->buf, c->packet->size, &in);
	if (r < 0 && r != -EPROTONOSUPPORT) {
		judge_malformed(c, ret);
		return 0;
	}
	r = find(c, &in, &f, e);
	if (r < 0)
		return r;
	if (f.packet)
		return judge_left(j, c, &in, &f, ret);
	if (f.answer)
		judge_refusal(c, &in, &f, ret);
	else
		set_verdict(ret, REASON_MALFORMED); /* the only reason there is for silence */
	return 0;
}
