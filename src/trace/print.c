/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Results as text: the JSON line of docs/trace.md, and words for people. Called by `offkube trace` and by tests' reports.
 */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "base/util.h"
#include "target/refusal.h"
#include "trace/trace.h"

/* Backends listed one by one. */
#define ALLOWED_SHOWN_MAX 10

static json_t *backend_json(const struct trace_backend *b)
{
	char ip[IP_ADDR_STR_MAX];

	return json_pack("{s:s, s:i}", "ip", ip_addr_format(&b->ip, ip), "port", b->port);
}

static json_t *tuple_json(const struct l4_tuple *t)
{
	char src[IP_ADDR_STR_MAX], dst[IP_ADDR_STR_MAX];
	const char *proto = ip_proto_name(t->proto);

	return json_pack("{s:s, s:i, s:s, s:i, s:s*}", "src", ip_addr_format(&t->src, src), "sport", t->sport, "dst",
			 ip_addr_format(&t->dst, dst), "dport", t->dport, "proto", proto ? proto : "other");
}

int trace_result_print_json(const char *target, const struct trace_result *r, FILE *f)
{
	json_auto_t *root = json_pack("{s:s, s:s, s:s, s:o, s:o, s:b}", "target", target, "verdict",
				      verdict_name(r->verdict), "reason", reason_name(r->reason), "backend",
				      r->has_backend ? backend_json(&r->backend) : json_null(), "out",
				      r->has_out ? tuple_json(&r->out) : json_null(), "snat", r->snat);

	if (!root)
		return -ENOMEM;
	if (json_dumpf(root, f, JSON_COMPACT) < 0)
		return -EIO;
	fputc('\n', f);
	return ferror(f) ? -EIO : 0;
}

static void print_place(const struct ip_addr *a, uint16_t port, FILE *f)
{
	char text[IP_ADDR_STR_MAX];

	fprintf(f, a->fam == AF_INET6 ? "[%s]:%u" : "%s:%u", ip_addr_format(a, text), port);
}

static void print_backends(const struct trace_result *r, FILE *f)
{
	if (r->n_allowed) {
		fprintf(f, "  allowed    %zu:", r->n_allowed);
		for (size_t i = 0; i < r->n_allowed && i < ALLOWED_SHOWN_MAX; i++) {
			fputc(' ', f);
			print_place(&r->allowed[i].ip, r->allowed[i].port, f);
		}
		fprintf(f, "%s\n", r->n_allowed > ALLOWED_SHOWN_MAX ? " ..." : "");
	}
	if (r->has_backend) {
		fputs("  backend    ", f);
		print_place(&r->backend.ip, r->backend.port, f);
		fprintf(f, "%s\n", r->hairpin ? " (the client itself)" : "");
	}
}

static void print_change(const char *what, const struct ip_addr *a, uint16_t a_port, const struct ip_addr *b,
			 uint16_t b_port, FILE *f)
{
	if (ip_addr_eq(a, b) && a_port == b_port)
		return;
	fprintf(f, "  rewrite    %s ", what);
	print_place(a, a_port, f);
	fputs(" -> ", f);
	print_place(b, b_port, f);
	fputc('\n', f);
}

static void print_out(const struct trace_packet *p, const struct trace_result *r, FILE *f)
{
	struct pkt in;

	if (pkt_parse(p->buf, p->size, &in) < 0)
		return;
	print_change("destination", &in.t.dst, in.t.dport, &r->out.dst, r->out.dport, f);
	print_change("source     ", &in.t.src, in.t.sport, &r->out.src, r->out.sport, f);
	if (r->sport_free)
		fputs("             (any free source port is right)\n", f);
	if (r->snat)
		fputs("  masquerade the backend sees the node's address\n", f);
	if (r->left_by[0])
		fprintf(f, "  left by    %s\n", r->left_by);
}

static void print_answer(const struct trace_result *r, FILE *f)
{
	if (r->reject_errno)
		fprintf(f, "  answer     the socket call fails: %s\n", strerror(r->reject_errno));
	else if (r->reject_rst)
		fputs("  answer     TCP reset to the client\n", f);
	else
		fprintf(f, "  answer     ICMP type %u code %u to the client\n", r->reject_icmp_type,
			r->reject_icmp_code);
}

static void print_service(const struct trace_result *r, FILE *f)
{
	if (!r->service)
		return;
	fprintf(f, "  service    %s/%s", r->service->ns, r->service->name);
	if (r->port)
		fprintf(f, " port %s%s%u/%s", r->port->name, r->port->name[0] ? ":" : "", r->port->port,
			ip_proto_name(r->port->proto));
	if (r->service->features & 1u << SERVICE_FEATURE_AFFINITY)
		fprintf(f, ", affinity ClientIP for %u s", r->service->affinity_timeout_s);
	fputc('\n', f);
}

int trace_result_print(const char *target, const struct trace_packet *p, const struct trace_result *r, FILE *f)
{
	char text[256] = "malformed packet";
	struct pkt in;
	int parsed = pkt_parse(p->buf, p->size, &in);

	if (parsed == 0)
		(void)pkt_format(&in, text, sizeof(text));
	fprintf(f, "%s (from %s)\n", text, trace_origin_name[p->origin]);
	print_service(r, f);
	if (r->refused)
		fprintf(f, "  not carried: %s (%s)\n", refusal_text(r->why), refusal_name(r->why));
	fprintf(f, "  %-10s %s: %s (%s%s)\n", target, verdict_name(r->verdict), reason_text(r->reason),
		reason_name(r->reason), r->inferred ? ", inferred" : "");
	print_backends(r, f);
	if (r->has_out)
		print_out(p, r, f);
	if (r->verdict == VERDICT_REJECT)
		print_answer(r, f);
	return ferror(f) ? -EIO : 0;
}
