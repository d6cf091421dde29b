/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reach, what was left out or refused, the proof of the path, method, threats and machine. Called by html.c. */
#include <inttypes.h>
#include <math.h>

#include "base/util.h"
#include "html.h"

static void head(struct strbuf *sb, const char *const *names, size_t n)
{
	strbuf_add(sb, "<thead><tr>");
	for (size_t i = 0; i < n; i++)
		strbuf_addf(sb, "<th scope=\"col\">%s</th>", names[i]);
	strbuf_add(sb, "</tr></thead>\n<tbody>\n");
}

#define HEAD(sb, ...) \
	head((sb), (const char *const[]){ __VA_ARGS__ }, ARRAY_LEN(((const char *const[]){ __VA_ARGS__ })))

/* ---- reach ---- */

static void reach_note_row(struct strbuf *sb, const struct report *r, const struct reach_note *n)
{
	char port[32];

	(void)snprintf(port, sizeof(port), "%" PRId64 "/", n->port);
	strbuf_add(sb, "<tr><td>");
	html_strategy(sb, r, n->strategy, KIND_REAL);
	strbuf_add(sb, "</td>");
	html_td(sb, n->workload);
	strbuf_add(sb, "<td>");
	strbuf_add_html(sb, n->service);
	strbuf_addf(sb, ":%s", port);
	strbuf_add_html(sb, n->proto);
	strbuf_add(sb, "</td>");
	html_td(sb, family_text(n->family));
	html_td(sb, path_text(n->path));
	html_td(sb, n->client ? n->client : "");
	html_td(sb, n->asked ? n->asked : "");
	strbuf_add(sb, n->skipped ? "<td>not asked: " : "<td class=\"bad\">");
	if (!n->skipped && n->answered_by)
		strbuf_add(sb, "answered by ");
	strbuf_add_html(sb, !n->skipped && n->answered_by ? n->answered_by : n->why ? n->why : "no answer");
	strbuf_add(sb, "</td></tr>\n");
}

static void reach_notes(struct strbuf *sb, const struct report *r, bool skipped)
{
	bool any = false;

	for (size_t i = 0; i < r->reach_notes.n; i++) {
		if (r->reach_notes.v[i].skipped != skipped)
			continue;
		if (!any) {
			strbuf_addf(sb, "<details%s><summary>%s</summary>\n", skipped ? "" : " open",
				    skipped ? "Not asked" : "Failed");
			html_table_begin(sb, skipped ? "Questions that were not asked, and why" :
						       "Questions that were not answered rightly");
			HEAD(sb, "strategy", "workload", "Service", "family", "path", "client", "asked",
			     "what happened");
			any = true;
		}
		reach_note_row(sb, r, &r->reach_notes.v[i]);
	}
	if (any) {
		html_table_end(sb);
		strbuf_add(sb, "</details>\n");
	}
}

void html_reach(struct strbuf *sb, const struct report *r)
{
	char a[NUM_SIZE];

	strbuf_add(
		sb,
		"<section id=\"reach\">\n<h2>Reach</h2>\n<p class=\"note\">Before any load every TCP and UDP Service port is asked once per "
		"path and family; the answer must name a pod of that Service (or, without an endpoint, be a refusal).</p>\n");
	if (r->n_reach_asked + r->n_reach_skipped == 0) {
		strbuf_add(sb, "<p>Nothing was asked.</p>\n</section>\n");
		return;
	}
	html_table_begin(sb, "Questions asked and answered");
	HEAD(sb, "workload", "strategy", "Services", "asked", "answered rightly", "failed", "not asked");
	for (size_t w = 0; w < r->workloads.n; w++)
		for (size_t s = 0; s < r->strategies.n; s++) {
			const struct reach_sum *sum = &r->reach[w * r->strategies.n + s];

			if (!sum->n_asked && !sum->n_skipped)
				continue;
			strbuf_add(sb, "<tr>");
			html_td(sb, r->workloads.v[w].name);
			strbuf_add(sb, "<td>");
			html_strategy(sb, r, s, KIND_REAL);
			strbuf_add(sb, "</td>");
			html_td_num(sb, fmt_count(a, sum->n_services));
			html_td_num(sb, fmt_count(a, sum->n_asked));
			html_td_num(sb, sum->n_ok == sum->n_asked ? "all" : fmt_count(a, sum->n_ok));
			strbuf_addf(sb, "<td class=\"num%s\">%s</td>", sum->n_failed ? " bad" : "",
				    fmt_count(a, sum->n_failed));
			html_td_num(sb, fmt_count(a, sum->n_skipped));
			strbuf_add(sb, "</tr>\n");
		}
	html_table_end(sb);
	reach_notes(sb, r, false);
	reach_notes(sb, r, true);
	strbuf_add(sb, "</section>\n");
}

/* ---- left out, refused ---- */

static void refusals(struct strbuf *sb, const struct report *r)
{
	html_table_begin(sb, "Refusals: what a strategy or its targets do not carry, and why");
	HEAD(sb, "workload", "strategy", "target", "object", "field", "refusal", "detail");
	for (size_t i = 0; i < r->refusals.n; i++) {
		const struct refusal *f = &r->refusals.v[i];

		strbuf_add(sb, "<tr>");
		html_td(sb, f->workload);
		html_td(sb, f->strategy);
		html_td(sb, f->whole ? "all" : f->target);
		html_td(sb, f->whole ? "the whole strategy" : f->object);
		html_td(sb, f->whole ? "" : f->field);
		html_td(sb, f->refusal);
		html_td(sb, f->detail);
		strbuf_add(sb, "</tr>\n");
	}
	html_table_end(sb);
}

void html_left_out(struct strbuf *sb, const struct report *r)
{
	strbuf_add(sb, "<section id=\"left-out\">\n<h2>Left out and refused</h2>\n");
	if (r->left_out.n) {
		html_table_begin(sb, "Cells and experiments that were not measured, and why");
		HEAD(sb, "workload", "load or experiment", "path", "family", "strategy", "why");
		for (size_t i = 0; i < r->left_out.n; i++) {
			const struct left_out *l = &r->left_out.v[i];

			strbuf_add(sb, "<tr>");
			html_td(sb, l->workload);
			html_td(sb, l->load);
			html_td(sb, path_text(l->path));
			html_td(sb, family_text(l->family));
			html_td(sb, l->strategy[0] ? l->strategy : "all");
			html_td(sb, l->why);
			strbuf_add(sb, "</tr>\n");
		}
		html_table_end(sb);
	} else {
		strbuf_add(sb, "<p>No cell was left out.</p>\n");
	}
	if (r->refusals.n)
		refusals(sb, r);
	else
		strbuf_add(sb, "<p>Nothing was refused.</p>\n");
	strbuf_add(sb, "</section>\n");
}

/* ---- proof of the path, testbeds ---- */

/* "bpf-sock 99.9 %, nft 0.1 %": which tier carried which share. */
static void proof_tiers(struct strbuf *sb, const struct report *r, size_t arm, uint64_t total)
{
	const char *names[TIERS_MAX];
	uint64_t counts[TIERS_MAX] = {};
	char a[NUM_SIZE];
	size_t n = 0;

	for (size_t i = 0; i < r->cells.n; i++)
		for (size_t k = 0; k < r->cells.v[i].series[arm].carried.n; k++) {
			const struct carried *c = &r->cells.v[i].series[arm].carried.v[k];
			size_t at = 0;

			while (at < n && !str_eq(names[at], c->target))
				at++;
			if (at == n && n < TIERS_MAX)
				names[n++] = c->target;
			if (at < n)
				counts[at] += c->n;
		}
	strbuf_add(sb, "<td>");
	for (size_t i = 0; i < n && total; i++) {
		strbuf_add(sb, i ? ", " : "");
		strbuf_add_html(sb, names[i]);
		strbuf_addf(sb, " %s", fmt_percent(a, (double)counts[i] / (double)total));
	}
	strbuf_add(sb, "</td>");
}

static void proof_row(struct strbuf *sb, const struct report *r, size_t arm)
{
	uint64_t n_ok = 0, n_connections = 0;
	enum kind kind = KIND_REAL;
	bool counted = false;
	char a[NUM_SIZE];

	for (size_t i = 0; i < r->cells.n; i++) {
		const struct series *s = &r->cells.v[i].series[arm];

		n_ok += s->n_ok;
		n_connections += s->n_connections;
		counted = counted || s->counted;
		kind = MAX(kind, s->kind);
	}
	strbuf_add(sb, "<tr><td>");
	html_strategy(sb, r, r->arms.v[arm].strategy, kind);
	strbuf_add(sb, r->arms.v[arm].twin ? " (A/A)</td>" : "</td>");
	html_td_num(sb, fmt_count(a, n_ok));
	strbuf_addf(sb, "<td class=\"num%s\">%s</td>", counted && !n_connections && n_ok ? " bad" : "",
		    counted ? fmt_count(a, n_connections) : "no such counter");
	proof_tiers(sb, r, arm, n_connections);
	html_td(sb, record_kind_name[kind]);
	strbuf_add(sb, "</tr>\n");
}

static void testbeds(struct strbuf *sb, const struct report *r)
{
	html_table_begin(sb, "Testbeds: time until the strategy was in force on all nodes");
	HEAD(sb, "workload", "arm", "up, ms", "compile, ms", "apply, ms", "read back, ms", "entries added");
	for (size_t i = 0; i < r->testbeds.n; i++) {
		const struct testbed_rec *t = &r->testbeds.v[i];
		char a[NUM_SIZE];

		strbuf_add(sb, "<tr>");
		html_td(sb, r->workloads.v[t->workload].name);
		html_td(sb, r->arms.v[t->arm].name);
		strbuf_addf(
			sb,
			"<td class=\"num\">%.0f</td><td class=\"num\">%.2f</td><td class=\"num\">%.2f</td><td class=\"num\">%.2f</td>",
			t->up_ms, t->compile_ms, t->apply_ms, t->verify_ms);
		html_td_num(sb, fmt_count(a, (uint64_t)t->added));
		strbuf_add(sb, "</tr>\n");
	}
	html_table_end(sb);
}

void html_proof(struct strbuf *sb, const struct report *r)
{
	strbuf_add(sb, "<section id=\"proof\">\n<h2>Proof of the path</h2>\n");
	html_table_begin(
		sb,
		"Connections that the strategy's own Service counters saw on all nodes during the slices (warm-up included), beside the "
		"requests that were answered");
	HEAD(sb, "arm", "requests answered", "connections counted", "carried by", "kind");
	for (size_t a = 0; a < r->arms.n; a++)
		proof_row(sb, r, a);
	html_table_end(sb);
	if (r->testbeds.n)
		testbeds(sb, r);
	strbuf_add(sb, "</section>\n");
}

/* ---- method ---- */

static double lateness_of(const struct report *r, double p)
{
	VEC(double) all = {};
	double v = NAN;

	for (size_t i = 0; i < r->cells.n; i++)
		for (size_t a = 0; a < r->arms.n; a++)
			for (size_t k = 0; k < r->cells.v[i].series[a].lateness.n; k++)
				if (vec_push(&all, r->cells.v[i].series[a].lateness.v[k]) < 0) {
					vec_free(&all);
					return NAN;
				}
	if (all.n)
		v = stats_quantile(all.v, all.n, p);
	vec_free(&all);
	return v;
}

static void add_cross_checks(struct strbuf *sb, const struct report *r)
{
	double late = lateness_of(r, 0.5), late_worst = lateness_of(r, 1);
	char a[NUM_SIZE], b[NUM_SIZE];

	if (r->cpu_difference.n) {
		double mid = stats_median(r->cpu_difference.v, r->cpu_difference.n);

		strbuf_addf(sb, "<li>CPU by spinners against /proc/stat, slice by slice: median difference %s",
			    fmt_percent(a, mid));
		strbuf_addf(
			sb,
			", 90 %% of slices within %s. /proc/stat counts in ticks, which short slices cannot resolve.</li>\n",
			fmt_percent(a, stats_quantile(r->cpu_difference.v, r->cpu_difference.n, 0.9)));
	}
	if (!isnan(late))
		strbuf_addf(
			sb,
			"<li>The generator's own sends were late by %s at the p99 of the median slice, %s in the worst; latency counts from the "
			"send.</li>\n",
			fmt_value(a, QUANTITY_NS, late), fmt_value(b, QUANTITY_NS, late_worst));
}

static void add_method(struct strbuf *sb, const struct report *r)
{
	strbuf_addf(
		sb,
		"<ul>\n<li>All arms run side by side, each with its own cluster of namespaces, and take turns in random order: slices of %" PRId64
		" ms (open loop) and %" PRId64 " ms (closed loop) after %" PRId64
		" ms of warm-up, once per cell and round.</li>\n",
		r->run.open_ms, r->run.closed_ms, r->run.warmup_ms);
	strbuf_add(
		sb,
		"<li>Latency: open loop, arrival times fixed before; closed loop gives rates, and CPU where a load has no open loop.</li>\n"
		"<li>CPU per request: capacity less what lowest-priority spinners obtained, so user, system, softirq and irq time of client, "
		"server and network are all in it. Service cost: the same less that of no Service at all, paired by round.</li>\n"
		"<li>Intervals: bootstrap, 95 %, of the median over rounds; ratios and differences are taken within a round.</li>\n"
		"<li>Noise floor: the largest distance from 1 of the interval of the ratio between two testbeds of the same strategy (A/A). A change "
		"whose interval touches it is a tie.</li>\n"
		"<li>Slices with more than 2 % steal are left out of CPU figures and counted.</li>\n");
	add_cross_checks(sb, r);
	strbuf_add(sb, "</ul>\n");
}

static void add_threats(struct strbuf *sb, const struct report *r)
{
	strbuf_add(sb, "<h3>Threats</h3>\n<ul>\n");
	if (r->run.is_virtual)
		strbuf_add(
			sb,
			"<li>A virtual machine: absolute figures belong to it and its neighbours. Ratios within this run are what to quote.</li>\n");
	if (r->run.n_cpus <= 2)
		strbuf_addf(
			sb,
			"<li>%" PRId64
			" CPUs: client, servers and both nodes share them, so latency holds waiting for the CPU too.</li>\n",
			r->run.n_cpus);
	strbuf_add(
		sb,
		"<li>Nodes are namespaces of one kernel joined by veth: no wire, no NIC. \"Other node\" means another namespace.</li>\n");
	if (r->n_rounds < ROUNDS_WANTED)
		strbuf_addf(sb, "<li>Bootstrap intervals of %zu rounds are too narrow rather than too wide.</li>\n",
			    r->n_rounds);
	strbuf_add(
		sb,
		"<li>Many cells and metrics are compared at 95 %: a lone verdict close to the noise floor may be chance.</li>\n"
		"<li>The noise floor comes from one pair of testbeds, of the first strategy.</li>\n</ul>\n");
}

void html_method(struct strbuf *sb, const struct report *r)
{
	strbuf_add(sb, "<section id=\"method\">\n<h2>Method and threats, in brief</h2>\n");
	add_method(sb, r);
	add_threats(sb, r);
	html_table_begin(sb, "Strategies of this run");
	HEAD(sb, "strategy", "what it is");
	for (size_t s = 0; s < r->strategies.n; s++) {
		strbuf_add(sb, "<tr><td>");
		html_strategy(sb, r, s, KIND_REAL);
		strbuf_add(sb, "</td>");
		strbuf_add(sb, "<td>");
		strbuf_add_html(sb, r->strategies.v[s].text);
		if (r->strategies.v[s].version) {
			strbuf_add(sb, " (");
			strbuf_add_html(sb, r->strategies.v[s].version);
			strbuf_add(sb, ")");
		}
		strbuf_add(sb, "</td>");
		strbuf_add(sb, "</tr>\n");
	}
	html_table_end(sb);
	strbuf_add(sb, "</section>\n");
}

static void term(struct strbuf *sb, const char *name, const char *text)
{
	strbuf_add(sb, "<dt>");
	strbuf_add_html(sb, name);
	strbuf_add(sb, "</dt><dd>");
	strbuf_add_html(sb, text);
	strbuf_add(sb, "</dd>\n");
}

void html_machine(struct strbuf *sb, const struct report *r)
{
	const struct run_rec *run = &r->run;
	char num[64];

	strbuf_add(sb, "<section id=\"machine\">\n<h2>Machine and run</h2>\n<dl>\n");
	term(sb, "run", run->id);
	term(sb, "status", run_status_name[r->status]);
	term(sb, "command", run->command);
	term(sb, "commit", run->commit);
	(void)snprintf(num, sizeof(num), "%" PRId64, run->seed);
	term(sb, "seed", num);
	(void)snprintf(num, sizeof(num), "%zu of %" PRId64 " rounds, %.0f s", r->n_rounds, run->rounds, r->seconds);
	term(sb, "length", num);
	term(sb, "CPU", run->cpu);
	(void)snprintf(num, sizeof(num), "%" PRId64 "%s", run->n_cpus, run->is_virtual ? ", virtual machine" : "");
	term(sb, "CPUs", num);
	term(sb, "servers on CPUs", run->servers);
	term(sb, "generator on CPUs", run->generator);
	(void)snprintf(num, sizeof(num), "%" PRId64 " MiB", run->memory_mib);
	term(sb, "memory", num);
	for (size_t i = 0; i < r->tools.n; i++)
		term(sb, r->tools.v[i].name, r->tools.v[i].version);
	term(sb, "kernel", run->kernel);
	term(sb, "system", run->os);
	term(sb, "congestion control", run->congestion_control);
	(void)snprintf(num, sizeof(num), "%.2f", run->load_1m);
	term(sb, "load before the run", num);
	strbuf_add(sb, "</dl>\n</section>\n");
}
