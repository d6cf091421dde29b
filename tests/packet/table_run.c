/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs rows of the packet table on a target and compares. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "table_int.h"

/* One row on its way. */
struct run {
	const struct table *t;
	const struct row *row;
	const struct table_ops *ops;
	void *arg;
	const struct snapshot *model; /* in force */
	struct names names;
	uint64_t reasons[REASON_MAX]; /* expected so far */
	size_t step;
	struct table_result *ret;
	struct err e;
};

/* One packet on its way. */
struct shot {
	uint8_t buf[TABLE_PACKET_MAX];
	size_t size;
	enum sim_origin origin;
	struct pkt in, out; /* out: of PASS, TRANSLATE and REJECT */
	struct table_seen seen;
};

/* Records the first failure; always -EBADMSG. */
static int __attribute__((format(printf, 2, 3))) fail(struct run *run, const char *fmt, ...)
{
	char text[768];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut, if need be */
	va_end(ap);
	run->ret->status = TABLE_FAILED;
	(void)snprintf(run->ret->text, sizeof(run->ret->text), "row %s (%s:%u), step %zu, on %s: %s", run->row->name,
		       run->row->file, run->row->line, run->step + 1, run->ops->name, text);
	return -EBADMSG;
}

/* The target or the table itself said no. */
static int give_up(struct run *run, int r)
{
	(void)fail(run, "%s%s%s (%s)", run->e.path, run->e.path[0] ? ": " : "", run->e.text, strerror(-r));
	if (r == -EOPNOTSUPP)
		run->ret->status = TABLE_SKIPPED;
	return -EBADMSG;
}

static const char *get(const struct doc_node *map, const char *key)
{
	const struct doc_node *n = doc_get(map, key);

	return n && n->type == DOC_SCALAR ? n->scalar : NULL;
}

/* ---- comparing OUT ---- */

static bool fits(const struct run *run, const char *want, const struct ip_addr *addr, uint16_t port, bool with_port)
{
	struct ip_addr a;
	uint16_t p;
	bool any;

	if (!want)
		return true;
	if (table_resolve(&run->names, want, &a, &p, &any) < 0)
		return false;
	return ip_addr_eq(&a, addr) && (!with_port || (any ? port != 0 : p == port));
}

static int compare_tuple(struct run *run, const char *what, const struct doc_node *want, const struct l4_tuple *t,
			 bool with_port)
{
	struct pkt p = { .t = *t };
	char text[256];

	if (!fits(run, get(want, "src"), &t->src, t->sport, with_port))
		return fail(run, "%s has the wrong source: %s, wanted %s", what, pkt_format(&p, text, sizeof(text)),
			    get(want, "src"));
	if (!fits(run, get(want, "dst"), &t->dst, t->dport, with_port))
		return fail(run, "%s has the wrong destination: %s, wanted %s", what,
			    pkt_format(&p, text, sizeof(text)), get(want, "dst"));
	return 0;
}

/* Whatever is no address, port or checksum must have stayed; the TTL less what a router takes. A raw socket
 * of the node fills in an IPv4 identification of 0. */
static int compare_rest(struct run *run, const struct shot *s)
{
	const struct pkt *in = &s->in, *out = &s->out;

	if (out->ttl + s->seen.ttl_less != in->ttl)
		return fail(run, "the TTL is %u after %u", out->ttl, in->ttl);
	if (s->seen.out_size != s->size)
		return fail(run, "%zu bytes out of %zu", s->seen.out_size, s->size);
	if (out->t.proto != in->t.proto || (out->ip_id != in->ip_id && in->ip_id != 0) ||
	    out->dscp_ecn != in->dscp_ecn || out->tcp_seq != in->tcp_seq || out->tcp_ack != in->tcp_ack ||
	    out->tcp_flags != in->tcp_flags || out->tcp_window != in->tcp_window || out->sctp_vtag != in->sctp_vtag ||
	    out->icmp_type != in->icmp_type || out->icmp_code != in->icmp_code || out->icmp_rest != in->icmp_rest)
		return fail(run, "a header field changed that must not");
	if (!in->has_inner &&
	    (out->payload_size != in->payload_size || memcmp(out->payload, in->payload, in->payload_size) != 0))
		return fail(run, "the payload changed");
	return 0;
}

static int compare_pass(struct run *run, const struct doc_node *step, const struct shot *s)
{
	const struct doc_node *want = doc_get(step, "out");

	if (want) /* a clash may change the port of what passes */
		return compare_tuple(run, "OUT", want, &s->out.t, true);
	if (!run->ops->routes) {
		if (s->seen.out_size == s->size && memcmp(s->seen.out, s->buf, s->size) == 0)
			return 0;
		return fail(run, "a packet that passes was changed");
	}
	if (!ip_addr_eq(&s->in.t.src, &s->out.t.src) || !ip_addr_eq(&s->in.t.dst, &s->out.t.dst) ||
	    s->in.t.sport != s->out.t.sport || s->in.t.dport != s->out.t.dport)
		return fail(run, "a packet that passes was translated");
	return compare_rest(run, s);
}

static int compare_translated(struct run *run, const struct doc_node *step, const struct shot *s)
{
	const struct doc_node *want = doc_get(step, "out"), *quote = doc_get(want, "quote");
	int r = table_check_keys(want, "src dst quote", "out", &run->e);

	if (r < 0)
		return give_up(run, r);
	if (!pkt_checksums_ok(s->seen.out, s->seen.out_size))
		return fail(run, "a checksum of OUT is wrong");
	r = compare_tuple(run, "OUT", want, &s->out.t, !s->in.has_inner);
	if (r == 0 && quote)
		r = s->out.has_inner ? compare_tuple(run, "the quoted packet", quote, &s->out.inner, true) :
				       fail(run, "nothing is quoted");
	return r == 0 ? compare_rest(run, s) : r;
}

/* Port unreachable, to the client, about his packet. */
/* RFC 9293 3.10.7.1: what a closed port answers. */
static int compare_reset(struct run *run, const struct shot *s)
{
	const struct l4_tuple *in = &s->in.t, *out = &s->out.t;
	uint32_t next = s->in.tcp_seq + (uint32_t)s->in.payload_size + !!(s->in.tcp_flags & TCP_FLAG_SYN);
	bool acked = s->in.tcp_flags & TCP_FLAG_ACK;

	if (out->proto != IPPROTO_TCP || s->out.tcp_flags != (acked ? TCP_FLAG_RST : TCP_FLAG_RST | TCP_FLAG_ACK))
		return fail(run, "the answer is no reset: protocol %u flags %x", out->proto, s->out.tcp_flags);
	if (!ip_addr_eq(&out->src, &in->dst) || !ip_addr_eq(&out->dst, &in->src) || out->sport != in->dport ||
	    out->dport != in->sport)
		return fail(run, "the reset does not go back the way that the segment came");
	if (acked ? s->out.tcp_seq != s->in.tcp_ack : s->out.tcp_ack != next)
		return fail(run, "the reset has seq %u ack %u", s->out.tcp_seq, s->out.tcp_ack);
	return 0;
}

static int compare_answer(struct run *run, const struct shot *s)
{
	bool v4 = s->in.t.dst.fam == AF_INET;
	const struct l4_tuple *q = &s->out.inner;

	/* A reset that stays on the node passes no device that would make its checksum. */
	if (!pkt_checksums_ok(s->seen.out, s->seen.out_size) &&
	    !(s->in.t.proto == IPPROTO_TCP && s->origin == SIM_FROM_NODE))
		return fail(run, "a checksum of the answer is wrong");
	if (s->in.t.proto == IPPROTO_TCP && !run->ops->icmp_for_tcp)
		return compare_reset(run, s);
	if (s->out.t.proto != (v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6) || s->out.icmp_type != (v4 ? 3 : 1) ||
	    s->out.icmp_code != (v4 ? 3 : 4))
		return fail(run, "the answer is no port unreachable: protocol %u type %u code %u", s->out.t.proto,
			    s->out.icmp_type, s->out.icmp_code);
	if (!ip_addr_eq(&s->out.t.dst, &s->in.t.src))
		return fail(run, "the answer does not go to the client");
	if (!s->out.has_inner || !ip_addr_eq(&q->src, &s->in.t.src) || !ip_addr_eq(&q->dst, &s->in.t.dst) ||
	    q->sport != s->in.t.sport || q->dport != s->in.t.dport || q->proto != s->in.t.proto)
		return fail(run, "the answer does not quote the client's packet");
	return 0;
}

static int compare_allowed(struct run *run, const struct doc_node *step, const struct shot *s)
{
	const struct doc_node *list = doc_get(step, "allowed");

	if (!list)
		return 0;
	for (size_t i = 0; i < list->n; i++) {
		if (fits(run, list->child[i]->scalar, &s->out.t.dst, s->out.t.dport, true))
			return 0;
	}
	return fail(run, "the backend is none of those allowed");
}

/* ---- a step ---- */

static int save_names(struct run *run, const struct doc_node *step, const struct shot *s)
{
	const char *name = get(step, "save");
	struct names *names = &run->names;
	size_t i;

	if (!name)
		return 0;
	for (i = 0; i < names->n; i++) {
		if (str_eq(names->v[i].name, name))
			break;
	}
	if (i == ARRAY_LEN(names->v) || strlen(name) >= sizeof(names->v[i].name))
		return fail(run, "too many names, or too long");
	if (i == names->n)
		names->n++;
	strcpy(names->v[i].name, name);
	names->v[i].in = s->in.t;
	names->v[i].out = s->out.t;
	return 0;
}

static int compare(struct run *run, const struct doc_node *step, struct shot *s)
{
	enum verdict want = (enum verdict)verdict_parse(get(step, "verdict"));
	enum reason reason = (enum reason)reason_parse(get(step, "reason"));
	int r;

	if (s->seen.verdict != want)
		return fail(run, "verdict %s (%s), wanted %s (%s)", verdict_name(s->seen.verdict),
			    run->ops->knows_reasons ? reason_name(s->seen.reason) : "?", verdict_name(want),
			    reason_name(reason));
	if (run->ops->knows_reasons && s->seen.reason != reason)
		return fail(run, "reason %s, wanted %s", reason_name(s->seen.reason), reason_name(reason));
	run->reasons[reason]++;
	if (want == VERDICT_DROP)
		return s->seen.out_size == 0 ? 0 : fail(run, "something came out");
	r = pkt_parse(s->seen.out, s->seen.out_size, &s->out);
	if (r < 0 && r != -EPROTONOSUPPORT)
		return fail(run, "OUT is no packet");
	if (want == VERDICT_REJECT)
		return compare_answer(run, s);
	r = want == VERDICT_PASS ? compare_pass(run, step, s) : compare_translated(run, step, s);
	if (r == 0)
		r = compare_allowed(run, step, s);
	return r == 0 ? save_names(run, step, s) : r;
}

static int do_packet(struct run *run, const struct doc_node *step)
{
	struct shot s = { .size = TABLE_PACKET_MAX };
	int r = table_build_packet(doc_get(step, "packet"), &run->names, run->model, run->row->node, &s.origin, s.buf,
				   &s.size, &run->e);

	if (r < 0)
		return give_up(run, r);
	/* May be malformed: then nothing is compared with it. */
	(void)pkt_parse(s.buf, s.size, &s.in);
	r = run->ops->packet(run->arg, s.origin, s.buf, s.size, &s.seen, &run->e);
	return r < 0 ? give_up(run, r) : compare(run, step, &s);
}

static int do_step(struct run *run, const struct doc_node *step)
{
	const char *update = get(step, "update"), *advance = get(step, "advance");
	int r = 0;

	if (update) {
		const struct snapshot *s = table_model(run->t, update);

		r = s ? run->ops->update(run->arg, s, &run->e) : -EINVAL;
		if (r < 0)
			return give_up(run, r);
		run->model = s;
	}
	if (advance) {
		r = run->ops->advance(run->arg, (uint64_t)(strtod(advance, NULL) * 1e9), &run->e);
		if (r < 0)
			return give_up(run, r);
	}
	return doc_get(step, "packet") ? do_packet(run, step) : 0;
}

/* Every packet of the row was counted under its reason, and nothing else was. */
static int compare_counters(struct run *run)
{
	for (size_t i = 0; run->ops->reason_count && i < REASON_MAX; i++) {
		uint64_t n = run->ops->reason_count(run->arg, (enum reason)i);

		if (n != run->reasons[i])
			return fail(run, "reason %s was counted %llu times, wanted %llu", reason_name((enum reason)i),
				    (unsigned long long)n, (unsigned long long)run->reasons[i]);
	}
	return 0;
}

void table_run(const struct table *t, size_t row, const struct table_ops *ops, void *arg, struct table_result *ret)
{
	struct run run = { .t = t, .row = &t->rows.v[row], .ops = ops, .arg = arg, .ret = ret };
	int r;

	*ret = (struct table_result){ .status = TABLE_PASSED };
	run.model = table_model(t, run.row->model);
	r = ops->start(arg, run.model, run.row->node, &run.e);
	if (r < 0) {
		(void)give_up(&run, r);
		return;
	}
	for (run.step = 0; r == 0 && run.step < run.row->steps->n; run.step++) {
		r = do_step(&run, run.row->steps->child[run.step]);
		if (r < 0)
			break;
	}
	if (r == 0)
		(void)compare_counters(&run);
	ops->stop(arg);
}
