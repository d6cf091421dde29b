/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Synthetic records of experiments: sweeps along every axis, scale, idle, faults, checks of the CPU meter. Called by report_run.c. */
#include <math.h>
#include <string.h>

#include "base/hist.h"
#include "base/util.h"
#include "report_run.h"

#define N_ROUNDS 5

struct exp {
	const struct report_run *run;
	struct rng *rng;
	FILE *f;
};

static double noisy(struct exp *x, double v)
{
	return v * (1 + x->run->noise * (rng_double(x->rng) + rng_double(x->rng) + rng_double(x->rng) - 1.5) * 2);
}

static bool is_none(const struct report_run *run, int s)
{
	return strcmp(run->strategies[s], "none") == 0;
}

static bool is_last(const struct report_run *run, int s)
{
	return s + 1 == run->n_strategies;
}

static const char *workload(const struct report_run *run)
{
	return run->n_workloads > 1 ? "load-00" : run->workload_name ? run->workload_name : "shop";
}

static void list(struct exp *x, const char *key, double about, int n)
{
	fprintf(x->f, ",\"%s\":[", key);
	for (int i = 0; i < n; i++)
		fprintf(x->f, "%s%.0f", i ? "," : "", about * (0.6 + rng_exp(x->rng, 0.4)));
	fputs("]", x->f);
}

struct point {
	const char *load, *axis, *mode;
	double x, rate, p50, cpu;
	int strategy, round;
};

static void write_point(struct exp *x, const struct point *p)
{
	const char *name = x->run->strategies[p->strategy];
	double rate = p->rate > 0 ? p->rate : 1, seconds = 0.4;
	bool dead = is_last(x->run, p->strategy) && strcmp(p->axis, "offered") == 0 && x->run->collapse_at &&
		    p->x >= x->run->collapse_at;
	double ok = dead ? 0 : rate * seconds;

	fprintf(x->f,
		"{\"schema\":2,\"type\":\"sweep\",\"workload\":\"%s\",\"load\":\"%s\",\"path\":\"other-node\",\"family\":\"ipv4\",\"mode\":\"%s\","
		"\"axis\":\"%s\",\"x\":%.9g,\"arm\":\"%s\",\"strategy\":\"%s\",\"round\":%d,\"order\":0,\"kind\":\"real\",\"tool\":\"offkube\","
		"\"client\":\"shop/c\",\"targets\":[\"10.96.0.1:80\"],\"offered\":%.9g,\"seconds\":%g,\"sent\":%.0f,\"ok\":%.0f,"
		"\"refused\":0,\"timeout\":%.0f,\"other_error\":0,\"wrong\":0,\"units\":%.9g,\"rate\":%.9g,\"carried\":%s",
		workload(x->run), p->load, p->mode, p->axis, p->x, name, name, p->round,
		strcmp(p->mode, "open") == 0 ? rate : 0.0, seconds, rate * seconds, ok, rate * seconds - ok, ok,
		ok / seconds, is_none(x->run, p->strategy) ? "{}" : "{\"nft\":8}");
	if (strcmp(p->mode, "open") == 0)
		fprintf(x->f,
			",\"latency_ns\":{\"p50\":%.0f,\"p90\":%.0f,\"p99\":%.0f,\"p999\":%.0f,\"max\":%.0f,\"mean\":%.0f},\"hist\":[[%zu,100]],"
			"\"lateness_p99_ns\":9000",
			p->p50, noisy(x, p->p50 * 1.3), noisy(x, p->p50 * 2), noisy(x, p->p50 * 4), p->p50 * 9, p->p50,
			hist_bucket((uint64_t)p->p50));
	fprintf(x->f,
		",\"cpu\":{\"used_cores\":%.9g,\"stat_cores\":%.9g,\"steal_share\":0,\"discard\":false},\"cpu_per_unit_ns\":%.9g",
		p->cpu * rate / 1e9, p->cpu * rate / 1e9, p->cpu);
	if (strcmp(p->axis, "updates") == 0 && p->x > 0) {
		fprintf(x->f, ",\"changes\":%.0f,\"broken\":0", p->x * seconds);
		list(x, "in_force_ns", 2e6 * x->run->factor[p->strategy], 8);
	}
	fputs("}\n", x->f);
}

/* An M/M/1 queue in front of a server that takes 1 / capacity. */
static double queue_ns(double offered, double capacity)
{
	return offered < capacity * 0.99 ? 1e9 / (capacity - offered) + 30000 : 50e6;
}

static void write_sweeps(struct exp *x, int s, int round)
{
	static const double offered[] = { 1000, 2000, 4000, 8000, 16000, 24000, 32000 };
	static const double size[] = { 64, 128, 512, 1024, 1400, 4096, 16384 };
	static const double live[] = { 0, 100, 1000, 10000 }, updates[] = { 0, 10, 100, 1000 };
	double f = x->run->factor[s], capacity = 30000 / f / f;

	for (size_t i = 0; i < ARRAY_LEN(offered); i++)
		write_point(x,
			    &(struct point){ "echo", "offered", "open", offered[i], fmin(offered[i], capacity),
					     noisy(x, queue_ns(offered[i], capacity)), noisy(x, 60000 * f), s, round });
	for (size_t i = 0; i < ARRAY_LEN(size) && x->run->n_loads > 2; i++)
		write_point(x, &(struct point){ "bulk", "size", "closed", size[i],
						noisy(x, 200000 / f * size[i] / 1048576 / (1 + size[i] / 9000)), 0,
						noisy(x, 1e9 / size[i] * f), s, round });
	for (size_t i = 0; i < ARRAY_LEN(live) && x->run->n_loads > 1; i++) {
		double slow = 1 + live[i] / 40000 * f;

		write_point(x, &(struct point){ "connect", "live", "closed", live[i], noisy(x, 12000 / f / slow), 0,
						noisy(x, 90000 * f * slow), s, round });
	}
	for (size_t i = 0; i < ARRAY_LEN(updates) && x->run->n_loads > 1; i++) {
		double slow = 1 + updates[i] / 2000 * f;

		write_point(x, &(struct point){ "connect", "updates", "closed", updates[i], noisy(x, 12000 / f / slow),
						0, noisy(x, 90000 * f * slow), s, round });
		write_point(x, &(struct point){ "echo", "updates", "open", updates[i], 4000, noisy(x, 40000 * f * slow),
						noisy(x, 60000 * f * slow), s, round });
	}
}

static void write_scale(struct exp *x, int s, int round)
{
	static const int services[] = { 10, 100, 1000, 10000 };

	for (size_t i = 0; i < ARRAY_LEN(services) && !is_none(x->run, s); i++) {
		double n = services[i], f = x->run->factor[s];

		fprintf(x->f,
			"{\"schema\":2,\"type\":\"scale\",\"strategy\":\"%s\",\"round\":%d,\"nodes\":2,\"services\":%d,\"endpoints_per_service\":2,"
			"\"from_empty_s\":%.6f,\"first_packet_ns\":{\"p50\":%.0f,\"p90\":%.0f,\"p99\":%.0f},\"memory\":{\"process_kib\":%.0f,"
			"\"kernel_kib\":%.0f},\"kind\":\"%s\",\"why\":null",
			x->run->strategies[s], round, services[i], noisy(x, 0.002 + n * 1e-4 * f * f),
			noisy(x, 60000 * f), noisy(x, 80000 * f), noisy(x, 120000 * f), noisy(x, 900 + n * f),
			noisy(x, 300 + n * 0.8 * f), x->run->kind && is_last(x->run, s) ? x->run->kind : "real");
		list(x, "in_force_ns", 1e6 * f + n * 100 * (f - 0.99), 12);
		list(x, "apply_ns", 8e5 * f + n * 90 * (f - 0.99), 12);
		fputs("}\n", x->f);
	}
}

static void write_idle(struct exp *x, int s, int round)
{
	double cores = noisy(x, is_none(x->run, s) ? 0.004 : 0.004 * x->run->factor[s]);

	fprintf(x->f,
		"{\"schema\":2,\"type\":\"idle\",\"workload\":\"%s\",\"arm\":\"%s\",\"strategy\":\"%s\",\"round\":%d,\"seconds\":2,\"cpu\":{"
		"\"used_cores\":%.9g,\"stat_cores\":0,\"steal_share\":0,\"discard\":false},\"process_kib\":%d}\n",
		workload(x->run), x->run->strategies[s], x->run->strategies[s], round, cores,
		strcmp(x->run->strategies[s], "kube-proxy") == 0 ? 61234 : 0);
}

static void write_faults(struct exp *x, int s, int round)
{
	static const char *const faults[] = { "backend", "kill", "reapply" };

	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		int outage = (int)(noisy(x, 30 * x->run->factor[s] * (double)(2 - i)) / 10) * 10, lost = 0;

		fprintf(x->f,
			"{\"schema\":2,\"type\":\"fault\",\"workload\":\"%s\",\"arm\":\"%s\",\"strategy\":\"%s\",\"round\":%d,\"fault\":\"%s\","
			"\"timeline\":[",
			workload(x->run), x->run->strategies[s], x->run->strategies[s], round, faults[i]);
		for (int ms = -300; ms < 700; ms += 10) {
			bool down = ms >= 0 && ms < outage;

			fprintf(x->f, "%s[%d,%d,%d]", ms > -300 ? "," : "", ms, down ? 12 : 40, down ? 28 : 0);
			lost += down ? 28 : 0;
		}
		fprintf(x->f,
			"],\"sent\":4000,\"ok\":%d,\"broken\":%d,\"lost\":%d,\"wrong\":0,\"outage_ns\":%d,\"repair_ns\":%d}\n",
			4000 - lost, i == 0, lost, outage * 1000000 + 200000, outage * 1200000 + 300000);
	}
}

void report_exp_write(const struct report_run *run, struct rng *rng, FILE *f)
{
	struct exp x = { run, rng, f };

	for (int round = 0; round < N_ROUNDS; round++)
		for (int s = 0; s < run->n_strategies; s++) {
			write_sweeps(&x, s, round);
			write_scale(&x, s, round);
			write_idle(&x, s, round);
			write_faults(&x, s, round);
		}
	fputs("{\"schema\":2,\"type\":\"cpu-check\",\"what\":\"busy-loop\",\"stated_cores\":0.5,\"measured_cores\":0.507}\n"
	      "{\"schema\":2,\"type\":\"cpu-check\",\"what\":\"softirq\",\"stated_cores\":0.2,\"measured_cores\":0.231}\n",
	      f);
	fprintf(f,
		"{\"schema\":2,\"type\":\"left-out\",\"workload\":\"%s\",\"load\":\"scale\",\"path\":\"\",\"family\":\"\","
		"\"strategy\":\"%s\",\"why\":\"250,000 endpoints: this machine has too little memory\"}\n",
		workload(run), run->strategies[run->n_strategies - 1]);
}
