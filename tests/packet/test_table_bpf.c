/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packet table on target bpf-sock, at level observed: each packet of a row that a socket of this node would send first is asked with a real socket call.
 * What cannot be asked so is skipped by class, and counted:
 *	a row none of whose packets can be asked, is skipped with the class of its first packet;
 *	within other rows packets that the kernel sends by itself once the socket is connected (replies, more of a connection), and calls that bpf-sock leaves to
 *	the tier below, are not compared.
 * bpf-sock refuses a Service that has an SCTP port as a whole; the models are taken without those ports, so that the other ports can be asked.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/util.h"
#include "lab/lab.h"
#include "packet/table_int.h"
#include "trace/trace.h"

extern const struct target_ops target_bpf_sock;

#define WAIT_MAX_NS (2 * NSEC_PER_SEC) /* in one step; longer ones are another class */
#define ROWS_ASKED_MIN 45

enum class {
	CLASS_ASKED,
	CLASS_LEFT, /* asked, and left to the tier below */
	CLASS_OUTSIDE,
	CLASS_PROTOCOL,
	CLASS_MALFORMED,
	CLASS_WITHIN,
	CLASS_WAITS,
	CLASS_AFTER,
	CLASS_NOTHING, /* a row without packets */
	CLASS_MAX
};
static const char *const class_text[CLASS_MAX] = {
	[CLASS_ASKED] = "asked with a socket call",
	[CLASS_LEFT] = "asked, and left to the tier below",
	[CLASS_OUTSIDE] = "the client is not on this node: no socket of ours",
	[CLASS_PROTOCOL] = "not TCP or UDP: no call of ours",
	[CLASS_MALFORMED] = "no socket sends such a packet",
	[CLASS_WITHIN] = "within a connection: the kernel sends it by itself",
	[CLASS_WAITS] = "waits longer than a live test may",
	[CLASS_AFTER] = "says where a packet went that was not asked",
	[CLASS_NOTHING] = "nothing is sent",
};

struct run {
	const struct table *t;
	const struct row *row;
	const struct snapshot *model; /* the table's */
	struct trace_runner *runner; /* opened with the first question */
	char runner_of[128]; /* model and node; "": not to be used by another row */
	struct names names;
	size_t step, n_packets[CLASS_MAX]; /* n_packets: of all rows */
	size_t n_asked; /* of this row, compared */
	enum class first; /* of this row */
	bool step_opened, updated,
		not_asked; /* this row has a runner; changed the model; has a packet that was not asked */
	struct err e;
};

static int __attribute__((format(printf, 2, 3))) fail(const struct run *run, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "FAILED: row %s (%s:%u), step %zu: ", run->row->name, run->row->file, run->row->line,
		run->step + 1);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap); /* for people */
	va_end(ap);
	fputc('\n', stderr);
	return -EBADMSG;
}

static const char *get(const struct doc_node *map, const char *key)
{
	const struct doc_node *n = doc_get(map, key);

	return n && n->type == DOC_SCALAR ? n->scalar : NULL;
}

/* ---- which can be asked ---- */

static bool is_whole(const struct doc_node *packet)
{
	return !doc_get(packet, "hex") && !doc_get(packet, "break") && !doc_get(packet, "fragment");
}

/* More of a connection, or of one that this row does not begin. */
static bool is_within(const struct doc_node *step, const struct pkt *p)
{
	const char *reason = get(step, "reason");

	if (p->t.proto == IPPROTO_TCP &&
	    (p->tcp_flags & (TCP_FLAG_SYN | TCP_FLAG_ACK | TCP_FLAG_RST | TCP_FLAG_FIN)) != TCP_FLAG_SYN)
		return true;
	return str_eq(reason, "reply") || str_eq(reason, "established");
}

static enum class classify(const struct doc_node *step, enum sim_origin origin, const uint8_t *buf, size_t size,
			   struct pkt *ret) {
	if (!is_whole(doc_get(step, "packet"))) return CLASS_MALFORMED;
	if (pkt_parse(buf, size, ret) < 0 ||
	    (ret->t.proto != IPPROTO_TCP && ret->t.proto != IPPROTO_UDP)) return CLASS_PROTOCOL;
	if (is_within(step, ret)) return CLASS_WITHIN;
	return origin == SIM_FROM_OUTSIDE ? CLASS_OUTSIDE : CLASS_ASKED;
}

/* ---- comparing ---- */

static bool is_allowed(const struct run *run, const struct doc_node *step, const struct trace_backend *b)
{
	const struct doc_node *list = doc_get(step, "allowed");

	for (size_t i = 0; list && i < list->n; i++) {
		struct ip_addr addr;
		uint16_t port;
		bool any;

		if (table_resolve(&run->names, list->child[i]->scalar, &addr, &port, &any) == 0 &&
		    ip_addr_eq(&addr, &b->ip) && port == b->port)
			return true;
	}
	return !list;
}

static int compare(const struct run *run, const struct doc_node *step, const struct trace_result *res)
{
	const char *verdict = get(step, "verdict"), *reason = get(step, "reason");

	if (!str_eq(verdict_name(res->verdict), verdict))
		return fail(run, "verdict %s (%s), wanted %s (%s)", verdict_name(res->verdict),
			    reason_name(res->reason), verdict, reason);
	/* What passes: whether it is of a connection that nobody knows, only packets tell. */
	if (res->verdict != VERDICT_PASS && !str_eq(reason_name(res->reason), reason))
		return fail(run, "reason %s, wanted %s", reason_name(res->reason), reason);
	if (res->verdict == VERDICT_REJECT && res->reject_errno != ECONNREFUSED)
		return fail(run, "the caller hears %s", strerrorname_np(res->reject_errno));
	if (res->verdict != VERDICT_TRANSLATE)
		return 0;
	if (!res->has_backend || !res->has_out || !ip_addr_eq(&res->out.dst, &res->backend.ip))
		return fail(run, "the socket sends to nobody");
	return is_allowed(run, step, &res->backend) ? 0 : fail(run, "led to a backend that is not allowed");
}

static bool is_left(enum reason r)
{
	return strncmp(reason_name(r), "left-", 5) == 0;
}

/* Later steps say where the connection went. What was not asked went where it was sent. */
static void save(struct run *run, const struct doc_node *step, const struct pkt *p, const struct trace_result *res)
{
	const char *name = get(step, "save");

	if (!name || run->names.n == ARRAY_LEN(run->names.v))
		return;
	(void)snprintf(run->names.v[run->names.n].name, sizeof(run->names.v->name), "%s", name);
	run->names.v[run->names.n].in = p->t;
	run->names.v[run->names.n++].out = res && res->has_out ? res->out : p->t;
}

/* ---- models without SCTP ---- */

static int put_without_sctp(const struct service *svc, void *arg)
{
	struct snapshot_edit *ed = arg;
	struct service_port *ports = calloc(svc->n_ports, sizeof(*ports));
	struct service fill = *svc, *copy = NULL;
	int r = ports || svc->n_ports == 0 ? 0 : -ENOMEM;

	fill.features &= ~(1u << SERVICE_FEATURE_SCTP);
	fill.ports = ports;
	fill.n_ports = 0;
	for (size_t i = 0; i < svc->n_ports && r == 0; i++)
		if (svc->ports[i].proto != IPPROTO_SCTP)
			ports[fill.n_ports++] = svc->ports[i];
	if (r == 0 && fill.n_ports > 0 && fill.n_ports < svc->n_ports)
		r = service_new(&fill, &copy, NULL);
	if (copy)
		r = snapshot_edit_put_service(ed, copy, NULL);
	service_unref(copy);
	free(ports);
	return r;
}

static int without_sctp(const struct snapshot *s, struct snapshot **ret)
{
	struct snapshot_edit *ed = NULL;
	int r = snapshot_edit_new(s, &ed);

	if (r == 0)
		r = snapshot_each_service(s, put_without_sctp, ed);
	if (r == 0)
		return snapshot_edit_commit(ed, ret);
	snapshot_edit_free(ed);
	return r;
}

/* A row that changes nothing and remembers nothing leaves its runner to the next one. */
static int open_runner(struct run *run)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = NULL;
	char wanted[sizeof(run->runner_of)];
	int r;

	(void)snprintf(wanted, sizeof(wanted), "%s %s", run->row->model, run->row->node);
	if (run->runner && (run->step_opened || str_eq(wanted, run->runner_of)))
		return 0;
	trace_close(run->runner);
	run->runner = NULL;
	r = without_sctp(run->model, &s);
	if (r == 0)
		r = trace_call_open(&target_bpf_sock, s, run->row->node, &run->runner, NULL, &run->e);
	(void)snprintf(run->runner_of, sizeof(run->runner_of), "%s",
		       strstr(run->row->file, "affinity") || run->updated ? "" : wanted);
	return r;
}

static int ask(struct run *run, const struct doc_node *step, enum sim_origin origin, const struct pkt *p,
	       const uint8_t *buf, size_t size)
{
	struct trace_packet packet = { .origin = (enum trace_origin)origin, .size = size };
	struct trace_result res = {};
	int r;

	memcpy(packet.buf, buf, size);
	r = open_runner(run);
	run->step_opened = true;
	if (r == -EPERM || r == -EOPNOTSUPP)
		return r;
	if (r < 0)
		return fail(run, "%s: %s", run->e.path, run->e.text);
	r = trace_run(run->runner, &packet, &res, &run->e);
	if (r < 0)
		return fail(run, "%s: %s (%s)", run->e.path, run->e.text, strerror(-r));
	save(run, step, p, &res);
	if (is_left(res.reason)) {
		run->n_packets[CLASS_LEFT]++;
		return 0;
	}
	run->n_packets[CLASS_ASKED]++;
	run->n_asked++;
	return compare(run, step, &res);
}

static int do_packet(struct run *run, const struct doc_node *step)
{
	uint8_t buf[TABLE_PACKET_MAX];
	size_t size = sizeof(buf);
	enum sim_origin origin;
	struct pkt p = {};
	enum class class;
	int r = table_build_packet(doc_get(step, "packet"), &run->names, run->model, run->row->node, &origin, buf,
				   &size, &run->e);

	if (r < 0 && run->not_asked) {
		run->n_packets[CLASS_AFTER]++;
		return 1;
	}
	if (r < 0)
		return fail(run, "%s: %s", run->e.path, run->e.text);
	class = classify(step, origin, buf, size, &p);
	if (run->first == CLASS_NOTHING)
		run->first = class;
	if (class == CLASS_ASKED)
		return ask(run, step, origin, &p, buf, size);
	run->n_packets[class]++;
	run->not_asked = true;
	save(run, step, &p, NULL);
	return 0;
}

static void wait_ns(uint64_t ns)
{
	struct timespec ts = { .tv_sec = (time_t)(ns / NSEC_PER_SEC), .tv_nsec = (long)(ns % NSEC_PER_SEC) };

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

static int change_model(struct run *run, const struct snapshot *to)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = NULL;
	int r = without_sctp(to, &s);

	run->model = to;
	run->updated = true;
	run->runner_of[0] = '\0';
	return r == 0 && run->step_opened ? trace_update(run->runner, s, &run->e) : r;
}

/* 1: the rest of the row cannot be asked. */
static int do_step(struct run *run, const struct doc_node *step)
{
	const char *update = get(step, "update"), *advance = get(step, "advance");
	uint64_t ns = advance ? (uint64_t)(strtod(advance, NULL) * 1e9) : 0;
	int r;

	if (update) {
		r = change_model(run, table_model(run->t, update));
		if (r < 0)
			return fail(run, "%s: %s", run->e.path, run->e.text);
	}
	if (ns > WAIT_MAX_NS) {
		run->n_packets[CLASS_WAITS]++;
		if (run->first == CLASS_NOTHING)
			run->first = CLASS_WAITS;
		return 1;
	}
	wait_ns(ns); /* the time that the row is about */
	return doc_get(step, "packet") ? do_packet(run, step) : 0;
}

static int do_row(struct run *run, size_t i)
{
	int r = 0;

	run->row = &run->t->rows.v[i];
	run->model = table_model(run->t, run->row->model);
	run->names = (struct names){};
	run->n_asked = 0;
	run->first = CLASS_NOTHING;
	run->step_opened = run->updated = run->not_asked = false;
	for (run->step = 0; r == 0 && run->step < run->row->steps->n; run->step++) {
		r = do_step(run, run->row->steps->child[run->step]);
		if (r < 0)
			break;
	}
	return r < 0 ? r : 0;
}

/* A cleanup of labs, by whomever, spares the cgroup of a trace that is under way. */
static int check_spared(struct run *run)
{
	struct err e = {};
	char name[32];

	(void)snprintf(name, sizeof(name), "trace-%d", (int)getpid());
	return !run->runner || lab_clean(name, NULL, &e) == -EBUSY ? 0 : fail(run, "a cleanup takes the cgroup away");
}

static int report(const struct run *run, size_t n_asked, size_t n_skipped, size_t n_failed)
{
	for (int i = 0; i < CLASS_MAX; i++)
		printf("packets: %5zu %s\n", run->n_packets[i], class_text[i]);
	printf("%zu rows asked, %zu failed, %zu skipped\n", n_asked, n_failed, n_skipped);
	return n_failed > 0 || n_asked < ROWS_ASKED_MIN;
}

int main(void)
{
	const char *top = getenv("OFFKUBE_SOURCE_DIR");
	char *dir = str_printf("%s/tests/packet/table", top ? top : ".");
	size_t n_asked = 0, n_skipped = 0, n_failed = 0;
	struct table *t = NULL;
	struct run run = {};
	int r = 0;

	if (!dir || table_load(dir, &t, &run.e) < 0) {
		fprintf(stderr, "%s: %s\n", run.e.path, run.e.text);
		return 1;
	}
	free(dir);
	run.t = t;
	for (size_t i = 0; i < table_n_rows(t); i++) {
		r = do_row(&run, i);
		if (r == 0)
			r = check_spared(&run);
		if (r == -EPERM || r == -EOPNOTSUPP)
			break;
		n_failed += r < 0;
		n_asked += r == 0 && run.n_asked > 0;
		n_skipped += r == 0 && run.n_asked == 0;
		if (r == 0 && run.n_asked == 0)
			printf("skipped: row %s: %s\n", run.row->name,
			       class_text[run.first == CLASS_ASKED ? CLASS_LEFT : run.first]);
	}
	trace_close(run.runner);
	table_free(t);
	if (r == -EPERM || r == -EOPNOTSUPP) {
		printf("SKIP: %s\n", run.e.text);
		return 77;
	}
	return report(&run, n_asked, n_skipped, n_failed);
}
