/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random model x random packets: a real target in scratch namespaces must do to every packet what sim says, byte for byte.
 *
 *	random_packets [--target NAME] [--seed N] [--models N] [--packets N] [--min-hits N] [--verbose]
 *
 * Ends with a histogram of sim's verdicts, reasons and branches: each must have come up at least --min-hits times, and packets that no Service is
 * asked for may be a fifth at most. A disagreement prints the seed, the model and the packets so far.
 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/opt.h"
#include "base/util.h"
#include "base/vec.h"
#include "histogram.h"
#include "packets.h"
#include "target_sim/sim.h"
#include "trace/trace.h"
#include "trace_sim.h"

/* Packets are told in phases shorter than any time-out of the model; after a pause all short ones are over. So nothing depends on the moment. */
#define PHASE_MS 1500
#define PAUSE_MS 3600
static_assert(PHASE_MS < GEN_AFFINITY_MIN_S * 1000, "no affinity ends within a phase");
static_assert(PAUSE_MS > GEN_AFFINITY_MAX_S * 1000 + 500, "every affinity ends in a pause");
#define PAUSE_EVERY 10 /* models */
/* So many share a pause: from the begin of a model's first phase to the end of its second there are at most one phase more and the pause, less
 * than the next longer time-outs (SCTP closed, TCP reset: 10 s). */
#define PAUSE_TOGETHER 3
static_assert((PAUSE_TOGETHER + 1) * PHASE_MS + PAUSE_MS < 10000, "no longer time-out ends");

#define LOG_MAX 4096

struct conf {
	const char *target;
	uint64_t seed, models, packets, min_hits;
	bool verbose, help;
	/* kube-proxy, which docs/equivalence.md tells: rejected TCP gets ICMP (1), nodes have pod CIDRs (2), no edits (3 to 5). */
	bool peer;
};

struct stats {
	uint64_t verdict[VERDICT_MAX], reason[REASON_MAX], packets, edits, cut_phases;
	uint64_t *branch;
	uint64_t other_reason; /* right in effect, but inferred as another reason of the same effect */
	uint64_t per_proto[256], v6, origin[TRACE_FROM_MAX], forwarded;
};

/* One model. */
struct diff {
	const struct conf *conf;
	uint64_t seed;
	struct stats *stats;
	struct gen gen;
	struct packets packets;
	struct trace_runner *live;
	struct sim *sim;
	struct sim *free_sim; /* takes its own choices; only what they cover is looked at */
	VEC(struct trace_packet) log; /* size 0: an edit */
	const struct service *service; /* of sim's last result; NULL = none */
	uint64_t phase_end_ns;
	char why[512];
};

static bool __attribute__((format(printf, 2, 3))) differ(struct diff *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(d->why, sizeof(d->why), fmt, ap); /* cut, if need be */
	va_end(ap);
	return false;
}

/* ---- comparing ---- */

static const char *tuple_text(const struct l4_tuple *t, char *buf, size_t size)
{
	struct pkt p = { .t = *t };

	return pkt_format(&p, buf, size);
}

static bool tuple_eq(const struct l4_tuple *a, const struct l4_tuple *b)
{
	return a->proto == b->proto && a->sport == b->sport && a->dport == b->dport && ip_addr_eq(&a->src, &b->src) &&
	       ip_addr_eq(&a->dst, &b->dst);
}

/* A router takes one from the TTL, and the IPv4 header has a checksum over it. */
static void route_bytes(uint8_t *buf)
{
	uint16_t sum;

	if (buf[0] >> 4 == 6) {
		buf[7]--;
		return;
	}
	buf[8]--;
	buf[10] = buf[11] = 0;
	sum = csum_fold(csum_partial(buf, (buf[0] & 15) * 4u, 0));
	buf[10] = (uint8_t)(sum >> 8);
	buf[11] = (uint8_t)sum;
}

static bool same_bytes(struct diff *d, const struct trace_result *live, const uint8_t *want, size_t size)
{
	uint8_t expected[TRACE_PACKET_SIZE_MAX];

	memcpy(expected, want, size);
	if (live->forwarded)
		route_bytes(expected);
	if (live->out_size != size)
		return differ(d, "%zu bytes came out, wanted %zu", live->out_size, size);
	for (size_t i = 0; i < size; i++)
		if (live->out_buf[i] != expected[i])
			return differ(d, "byte %zu is %02x, wanted %02x (checksums are %s, wanted ones %s)", i,
				      live->out_buf[i], expected[i],
				      pkt_checksums_ok(live->out_buf, size) ? "right" : "wrong",
				      pkt_checksums_ok(expected, size) ? "right" : "wrong");
	return true;
}

/* A reset back the way that the segment came. One that stays on the node passes no device that would make its checksum. */
static bool same_reset(struct diff *d, const struct trace_packet *p, const struct trace_result *live,
		       const uint8_t *want_buf, size_t want_size)
{
	struct pkt answer, wanted;

	if (pkt_parse(live->out_buf, live->out_size, &answer) < 0 || pkt_parse(want_buf, want_size, &wanted) < 0)
		return differ(d, "the answer cannot be read");
	if (!live->reject_rst || !tuple_eq(&answer.t, &wanted.t) || answer.tcp_flags != wanted.tcp_flags ||
	    answer.tcp_seq != wanted.tcp_seq || answer.tcp_ack != wanted.tcp_ack)
		return differ(d, "the answer is not the reset that was wanted");
	return p->origin == TRACE_FROM_NODE || pkt_checksums_ok(live->out_buf, live->out_size) ||
	       differ(d, "a checksum of the reset is wrong");
}

/* Where sim resets: ICMP port unreachable to the client, about his segment. */
static bool icmp_for_reset(struct diff *d, const struct trace_packet *p, const struct trace_result *live)
{
	struct pkt in, answer;

	if (pkt_parse(p->buf, p->size, &in) < 0 || pkt_parse(live->out_buf, live->out_size, &answer) < 0)
		return differ(d, "the answer cannot be read");
	if (live->reject_rst || live->reject_icmp_type != (in.t.dst.fam == AF_INET6 ? 1 : 3) ||
	    live->reject_icmp_code != (in.t.dst.fam == AF_INET6 ? 4 : 3) || !ip_addr_eq(&answer.t.dst, &in.t.src))
		return differ(d, "the answer is not ICMP port unreachable to the client");
	return (answer.has_inner && tuple_eq(&answer.inner, &in.t)) ||
	       differ(d, "the answer does not quote the packet");
}

/* Port unreachable to the client, from the node, about his packet. */
static bool same_answer(struct diff *d, const struct trace_packet *p, const struct trace_result *live,
			const struct sim_result *want)
{
	struct pkt in, answer;

	if (pkt_parse(p->buf, p->size, &in) < 0 || pkt_parse(live->out_buf, live->out_size, &answer) < 0)
		return differ(d, "the answer cannot be read");
	if (live->reject_rst || live->reject_icmp_type != want->reject_icmp_type ||
	    live->reject_icmp_code != want->reject_icmp_code)
		return differ(d, "the answer is type %u code %u, wanted %u %u", live->reject_icmp_type,
			      live->reject_icmp_code, want->reject_icmp_type, want->reject_icmp_code);
	if (!tuple_eq(&answer.t, &want->out))
		return differ(d, "the answer has other addresses than wanted");
	if (!answer.has_inner || !tuple_eq(&answer.inner, &in.t))
		return differ(d, "the answer does not quote the packet");
	if (!pkt_checksums_ok(live->out_buf, live->out_size))
		return differ(d, "a checksum of the answer is wrong");
	return true;
}

/* Reasons that look the same from outside; the live runner tells them apart by what it remembers. */
static bool alike(enum reason a, enum reason b)
{
	return reason_verdict(a) == reason_verdict(b) && a != REASON_REPLY && b != REASON_REPLY &&
	       a != REASON_ICMP_RELATED && b != REASON_ICMP_RELATED && reason_verdict(a) != VERDICT_REJECT;
}

static bool same_meaning(struct diff *d, const struct trace_result *live, const struct sim_result *want)
{
	if (live->verdict != want->verdict)
		return differ(d, "verdict %s (%s), wanted %s (%s)", verdict_name(live->verdict),
			      reason_name(live->reason), verdict_name(want->verdict), reason_name(want->reason));
	if (live->reason != want->reason) {
		if (!alike(live->reason, want->reason))
			return differ(d, "reason %s, wanted %s", reason_name(live->reason), reason_name(want->reason));
		d->stats->other_reason++;
	}
	if (want->verdict != VERDICT_TRANSLATE)
		return true;
	if (live->snat != want->snat)
		return differ(d, "source address %s, wanted %s", live->snat ? "masqueraded" : "kept",
			      want->snat ? "masqueraded" : "kept");
	if (live->backend.port != want->backend.port || !ip_addr_eq(&live->backend.ip, &want->backend.addr))
		return differ(d, "another backend");
	return true;
}

static bool compare(struct diff *d, const struct trace_packet *p, const struct trace_result *live,
		    const struct sim_result *want, const uint8_t *want_buf, size_t want_size)
{
	char got[256], wanted[256];
	struct l4_tuple out = want->out;

	if (!same_meaning(d, live, want))
		return false;
	if (want->verdict == VERDICT_DROP)
		return true;
	if (want->reject_rst && d->conf->peer)
		return icmp_for_reset(d, p, live);
	if (want->reject_rst)
		return same_reset(d, p, live, want_buf, want_size);
	if (want->verdict == VERDICT_REJECT)
		return same_answer(d, p, live, want);
	if (want->sport_free)
		out.sport = live->out.sport;
	if (!tuple_eq(&live->out, &out))
		return differ(d, "came out as %s, wanted %s", tuple_text(&live->out, got, sizeof(got)),
			      tuple_text(&want->out, wanted, sizeof(wanted)));
	/* sim does not say which port a plain packet gets that would look like another connection's. */
	if (want->verdict == VERDICT_PASS && want->sport_free)
		return pkt_checksums_ok(live->out_buf, live->out_size) || differ(d, "a checksum is wrong");
	return same_bytes(d, live, want_buf, want_size);
}

/* ---- running ---- */

static enum sim_origin sim_origin_of(enum trace_origin o)
{
	return o == TRACE_FROM_POD ? SIM_FROM_POD : o == TRACE_FROM_NODE ? SIM_FROM_NODE : SIM_FROM_OUTSIDE;
}

static int ask_sim(struct diff *d, const struct trace_packet *p, const struct trace_result *live,
		   struct sim_result *ret, uint8_t *buf, size_t *size)
{
	struct sim_backend backend = { live->out.dst, live->out.dport };
	uint16_t sport = live->out.sport;
	struct sim_observed seen = {};

	if (live->verdict == VERDICT_TRANSLATE && live->reason != REASON_ICMP_RELATED) {
		seen.backend = &backend;
		seen.sport = &sport;
	}
	return sim_packet(d->sim, sim_origin_of(p->origin), p->buf, p->size, &seen, ret, buf, size);
}

static void count(struct diff *d, const struct trace_packet *p, const struct trace_result *live,
		  const struct sim_result *want)
{
	struct pkt pkt;

	d->stats->packets++;
	d->stats->verdict[want->verdict]++;
	d->stats->reason[want->reason]++;
	d->stats->origin[p->origin]++;
	d->stats->forwarded += live->forwarded;
	if (pkt_parse(p->buf, p->size, &pkt) == 0) {
		d->stats->per_proto[pkt.t.proto]++;
		d->stats->v6 += pkt.t.src.fam == AF_INET6;
	}
}

/* sim itself chooses only if nobody tells it what was chosen. */
static int follow_own_choice(struct diff *d, const struct trace_packet *p, struct err *e)
{
	uint8_t buf[TRACE_PACKET_SIZE_MAX];
	size_t size = sizeof(buf);
	struct sim_result res;
	int r = sim_packet(d->free_sim, sim_origin_of(p->origin), p->buf, p->size, NULL, &res, buf, &size);

	return r < 0 ? err_set_errno(e, r, NULL, "sim_packet, by its own choice") : 0;
}

/* 0, 1 = they disagree, -errno. */
static int one_packet(struct diff *d, struct err *e)
{
	struct trace_packet p;
	struct trace_result live;
	struct sim_result want;
	uint8_t buf[TRACE_PACKET_SIZE_MAX];
	size_t size = sizeof(buf);
	int r;

	packets_next(&d->packets, &p);
	r = d->log.n < LOG_MAX ? vec_push(&d->log, p) : 0;
	if (r < 0)
		return r;
	r = trace_run(d->live, &p, &live, e);
	if (r < 0)
		return r;
	if (d->conf->verbose) {
		(void)trace_packet_print_json(&p, stdout);
		(void)trace_result_print_json(d->live->target, &live, stdout);
	}
	r = ask_sim(d, &p, &live, &want, buf, &size);
	if (r == -ESRCH) {
		char text[256];

		(void)differ(d, "came out as %s, which is not among the %zu that are allowed",
			     tuple_text(&live.out, text, sizeof(text)), want.n_allowed);
		return 1;
	}
	if (r < 0)
		return err_set_errno(e, r, NULL, "sim_packet");
	d->service = want.service;
	count(d, &p, &live, &want);
	r = follow_own_choice(d, &p, e);
	if (r < 0)
		return r;
	if (!compare(d, &p, &live, &want, buf, size))
		return 1;
	packets_learn(&d->packets, &p, &live);
	return 0;
}

static int edit(struct diff *d, struct err *e)
{
	int r = gen_edit(&d->gen);

	if (r < 0)
		return err_set_errno(e, r, NULL, "gen_edit");
	r = trace_update(d->live, d->gen.snapshot, e);
	if (r < 0)
		return r;
	if (d->conf->verbose) {
		printf("--- an edit\n");
		(void)snapshot_dump(d->gen.snapshot, stdout);
	}
	d->stats->edits++;
	r = d->log.n < LOG_MAX ? vec_push(&d->log, (struct trace_packet){}) : 0;
	if (r < 0)
		return r;
	r = sim_update(d->sim, d->gen.snapshot);
	if (r == 0)
		r = sim_update(d->free_sim, d->gen.snapshot);
	return r < 0 ? err_set_errno(e, r, NULL, "sim_update") : 0;
}

static void begin_phase(struct diff *d)
{
	d->phase_end_ns = clock_now_ns(&clock_monotonic) + PHASE_MS * NSEC_PER_MSEC;
}

static int phase(struct diff *d, uint64_t n, struct err *e)
{
	int r = 0;

	begin_phase(d);
	for (uint64_t i = 0; i < n && r == 0; i++) {
		if (clock_now_ns(&clock_monotonic) >= d->phase_end_ns) {
			d->stats->cut_phases++;
			break;
		}
		r = !d->conf->peer && gen_chance(&d->gen, 4) ? edit(d, e) : one_packet(d, e);
	}
	return r;
}

static bool has_pause(uint64_t seed)
{
	return seed % PAUSE_EVERY == 7;
}

static void pause_ms(uint32_t ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

static void report(struct diff *d)
{
	printf("\n--- target %s disagrees with sim: %s\n", d->conf->target, d->why);
	printf("--- seed %llu: run it again with --seed %llu --models 1\n", (unsigned long long)d->seed,
	       (unsigned long long)d->seed);
	printf("--- the model, after %u edits:\n", d->gen.n_edits);
	(void)snapshot_dump(d->gen.snapshot, stdout);
	if (d->service)
		printf("--- about Service %s/%s\n", d->service->ns, d->service->name);
	printf("--- packets so far, the last one is the one:\n");
	for (size_t i = 0; i < d->log.n; i++) {
		if (d->log.v[i].size)
			(void)trace_packet_print_json(&d->log.v[i], stdout);
		else
			printf("--- an edit\n");
	}
	(void)fflush(stdout);
}

/* "sim" against itself tries the test, and what its packets cover, without privileges. */
static int open_target(struct diff *d, enum refusal *ret_why, struct err *e)
{
	const struct target_ops *ops = target_find(d->conf->target);

	if (strcmp(d->conf->target, "sim") == 0)
		return trace_sim_open_clock(d->gen.snapshot, GEN_NODE, &clock_monotonic, &d->live, e);
	return trace_live_open(ops, d->gen.snapshot, GEN_NODE, &d->live, ret_why, e);
}

static int open_model(struct diff *d, const struct conf *conf, struct stats *stats, enum refusal *ret_why,
		      struct err *e)
{
	const struct gen_conf gen_conf = { .seed = d->seed, .sctp = true, .refused = true, .cidrs = conf->peer };
	int r;

	d->conf = conf;
	d->stats = stats;
	if (conf->verbose)
		printf("model %llu\n", (unsigned long long)d->seed);
	r = gen_init(&d->gen, &gen_conf);
	if (r < 0)
		return err_set_errno(e, r, NULL, "gen_init");
	r = open_target(d, ret_why, e);
	if (r == 0)
		r = sim_new(d->gen.snapshot, GEN_NODE, &clock_monotonic, &d->sim, e);
	if (r == 0)
		r = sim_new(d->gen.snapshot, GEN_NODE, &clock_monotonic, &d->free_sim, e);
	packets_init(&d->packets, &d->gen);
	d->packets.prefer_sctp = has_pause(d->seed);
	return r;
}

static void close_model(struct diff *d)
{
	for (size_t i = 0; d->free_sim && i < sim_n_branches(); i++) {
		bool choice = strcmp(sim_branch_name(i), "8.maglev") == 0;

		d->stats->branch[i] += sim_branch_count(choice ? d->free_sim : d->sim, i);
	}
	sim_free(d->sim);
	sim_free(d->free_sim);
	trace_close(d->live);
	gen_done(&d->gen);
	vec_free(&d->log);
}

/* Models side by side. With a pause each has a second phase after it. 0, 1 = one disagrees, -errno. */
static int run_group(struct diff *models, size_t n, bool with_pause, const struct conf *conf, struct stats *stats,
		     enum refusal *ret_why, struct err *e)
{
	size_t n_open = 0, at = 0;
	int r = 0;

	while (n_open < n && r == 0)
		r = open_model(&models[n_open++], conf, stats, ret_why, e);
	for (size_t i = 0; i < n && r == 0; i++)
		r = phase(&models[at = i], conf->packets, e);
	if (r == 0 && with_pause)
		pause_ms(PAUSE_MS);
	for (size_t i = 0; i < n && r == 0 && with_pause; i++) {
		models[i].packets.prefer_sctp = false;
		models[i].packets.revisit = true;
		r = phase(&models[at = i], conf->packets, e);
	}
	if (r == 1)
		report(&models[at]);
	if (r < 0)
		fprintf(stderr, "seed %llu: %s: %s (%s)\n", (unsigned long long)models[at].seed, e->path, e->text,
			strerror(-r));
	for (size_t i = 0; i < n_open; i++)
		close_model(&models[i]);
	return r;
}

/* ---- the histogram ---- */

static bool line(const struct conf *conf, const char *kind, const char *name, uint64_t n)
{
	bool low = n < conf->min_hits;

	printf("  %-8s %-24s %10llu%s\n", kind, name, (unsigned long long)n, low ? "   TOO FEW" : "");
	return !low;
}

static bool print_stats(const struct conf *conf, const struct stats *s)
{
	uint64_t misses = s->reason[REASON_NOT_SERVICE];
	bool ok = true;

	printf("%llu packets, %llu edits of models, %llu phases cut short; IPv6 %llu; from pods %llu, node %llu, outside %llu; "
	       "tcp %llu udp %llu sctp %llu\n",
	       (unsigned long long)s->packets, (unsigned long long)s->edits, (unsigned long long)s->cut_phases,
	       (unsigned long long)s->v6, (unsigned long long)s->origin[TRACE_FROM_POD],
	       (unsigned long long)s->origin[TRACE_FROM_NODE], (unsigned long long)s->origin[TRACE_FROM_OUTSIDE],
	       (unsigned long long)s->per_proto[IPPROTO_TCP], (unsigned long long)s->per_proto[IPPROTO_UDP],
	       (unsigned long long)s->per_proto[IPPROTO_SCTP]);
	for (int i = 0; i < VERDICT_MAX; i++)
		ok &= line(conf, "verdict", verdict_name((enum verdict)i), s->verdict[i]);
	for (int i = 0; i < REASON_MAX; i++)
		if (strncmp(reason_name((enum reason)i), "left-", 5) != 0) /* of faster tiers, never of sim */
			ok &= line(conf, "reason", reason_name((enum reason)i), s->reason[i]);
	for (size_t i = 0; i < sim_n_branches(); i++)
		ok &= line(conf, "branch", sim_branch_name(i), s->branch[i]);
	printf("reasons inferred otherwise, with the same effect: %llu\n", (unsigned long long)s->other_reason);
	printf("misses (no Service asked): %.1f %%\n", s->packets ? 100.0 * (double)misses / (double)s->packets : 0);
	if (misses * 5 > s->packets) {
		printf("misses are more than a fifth\n");
		ok = false;
	}
	if (s->other_reason * 50 > s->packets) {
		printf("more than 2 %% of the reasons were inferred otherwise\n");
		ok = false;
	}
	return ok;
}

/* For test_histogram.py. */
static int write_counts(const struct stats *s)
{
	const struct histogram h = { s->packets, s->verdict, s->reason, s->branch };

	return histogram_write("random_packets", &h);
}

static int run_all(const struct conf *conf, struct stats *stats)
{
	struct diff waiting[PAUSE_TOGETHER];
	enum refusal why = REFUSAL_MAX;
	struct err e = {};
	size_t n_waiting = 0;
	int r = 0;

	if (!target_find(conf->target)) {
		fprintf(stderr, "no target is called %s\n", conf->target);
		return 2;
	}
	for (uint64_t i = 0; i < conf->models && r == 0; i++) {
		struct diff one = { .seed = conf->seed + i };

		if (has_pause(one.seed))
			waiting[n_waiting++] = one;
		else
			r = run_group(&one, 1, false, conf, stats, &why, &e);
		if (r == 0 && n_waiting > 0 && (n_waiting == PAUSE_TOGETHER || i + 1 == conf->models)) {
			r = run_group(waiting, n_waiting, true, conf, stats, &why, &e);
			n_waiting = 0;
		}
	}
	if (r == -EPERM || (r == -EOPNOTSUPP && why != REFUSAL_MAX)) {
		printf("SKIP: %s\n", e.text);
		return 77;
	}
	return r ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct conf conf = { .target = "nft", .seed = 1, .models = 126, .packets = 190, .min_hits = 50 };
	const struct opt opts[] = {
		{ "target", OPT_STR, "NAME", "target to compare with sim", &conf.target, 0, 0 },
		{ "seed", OPT_U64, "N", "seed of the first model", &conf.seed, 0, UINT32_MAX },
		{ "models", OPT_U64, "N", "number of models", &conf.models, 1, 1000000 },
		{ "packets", OPT_U64, "N", "packets and edits for each model", &conf.packets, 1, 100000 },
		{ "min-hits", OPT_U64, "N", "how often each verdict, reason and branch must come up", &conf.min_hits, 0,
		  1000000 },
		{ "verbose", OPT_FLAG, NULL, "tell each edit, each packet and what the target did", &conf.verbose, 0,
		  0 },
	};
	const struct opt_command cmd = {
		.name = "random_packets",
		.summary = "a target against sim on random packets",
		.usage = "random_packets [options]",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
	};
	struct stats stats = { .branch = calloc(sim_n_branches(), sizeof(uint64_t)) };
	struct err e = {};
	size_t n_args = 0;
	int code;

	if (!stats.branch)
		return 1;
	if (opt_parse(&cmd, argc, argv, NULL, &n_args, &conf.help, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		free(stats.branch);
		return 2;
	}
	if (conf.help) {
		opt_print_help(&cmd, stdout);
		free(stats.branch);
		return 0;
	}
	conf.peer = str_eq(conf.target, "kube-proxy");
	if (!conf.peer)
		histogram_forget("random_packets");
	code = run_all(&conf, &stats);
	if (code == 0 && !conf.peer && write_counts(&stats) < 0)
		code = 1;
	if (code != 77 && code != 2 && !print_stats(&conf, &stats) && conf.min_hits)
		code = 1;
	free(stats.branch);
	return code;
}
