/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "report_run.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hist.h"

static const char *const loads[] = { "echo", "connect", "bulk" }; /* bulk: MiB, closed only */
static const char *const families[] = { "ipv4", "ipv6" };
static const char *const paths[] = { "same-node", "other-node" };
static const double base_ns[] = { 40000, 140000, 300000 };

struct report_run report_run_default(void)
{
	return (struct report_run){
		.strategies = { "none", "nft" },
		.factor = { 1, 1.06 },
		.n_strategies = 2,
		.n_workloads = 1,
		.n_loads = 1,
		.n_paths = 1,
		.n_families = 1,
		.n_rounds = 10,
		.n_rounds_planned = 10,
		.noise = 0.01,
		.requests = 1600,
		.seed = 1,
	};
}

#define BULK 2

struct gen {
	const struct report_run *run;
	FILE *f;
	struct rng rng;
};

static void begin(struct gen *g, const char *type)
{
	fprintf(g->f, "{\"schema\":%d,\"type\":\"%s\"", g->run->schema ? g->run->schema : 2, type);
}

static double noisy(struct gen *g, double v)
{
	/* The sum of three is near enough to a bell. */
	return v * (1 + g->run->noise * (rng_double(&g->rng) + rng_double(&g->rng) + rng_double(&g->rng) - 1.5) * 2);
}

static void workload_name(const struct report_run *run, int w, char *buf, size_t size)
{
	if (run->n_workloads == 1)
		(void)snprintf(buf, size, "%s", run->workload_name ? run->workload_name : "shop");
	else
		(void)snprintf(buf, size, "load-%02d", w);
}

static void write_run(struct gen *g)
{
	const struct report_run *run = g->run;
	char name[256];

	begin(g, "run");
	fprintf(g->f,
		",\"id\":\"2026-01-02T03:04:05Z-1\",\"started\":\"2026-01-02T03:04:05Z\",\"commit\":\"0123abc\",\"command\":\"offkube eval\",\"seed\":1,"
		"\"quick\":%s,\"budget_s\":0,\"rounds\":%d,\"open_ms\":400,\"closed_ms\":300,\"warmup_ms\":60,\"machine\":{\"kernel\":\"6.1\",\"os\":\"an "
		"OS\",\"cpu\":\"a CPU\",\"n_cpus\":2,\"memory_mib\":8000,\"virtual\":true,\"congestion_control\":\"cubic\",\"load_1m\":0.1},"
		"\"placement\":{\"servers\":[0],\"generator\":[1]},\"tools\":[],\"strategies\":[",
		run->n_rounds_planned < 10 ? "true" : "false", run->n_rounds_planned);
	for (int s = 0; s < run->n_strategies; s++)
		fprintf(g->f, "%s{\"name\":\"%s\",\"text\":\"what %s is\",\"service_addresses\":%s,\"version\":null}",
			s ? "," : "", run->strategies[s], run->strategies[s],
			strcmp(run->strategies[s], "none") == 0 ? "false" : "true");
	fputs("],\"arms\":[", g->f);
	for (int s = 0; s < run->n_strategies; s++)
		fprintf(g->f, "%s{\"arm\":\"%s\",\"strategy\":\"%s\"}", s ? "," : "", run->strategies[s],
			run->strategies[s]);
	if (!run->no_twin)
		fprintf(g->f, ",{\"arm\":\"%s (A/A)\",\"strategy\":\"%s\"}", run->strategies[0], run->strategies[0]);
	fputs("],\"loads\":[", g->f);
	for (int l = 0; l < run->n_loads; l++)
		fprintf(g->f,
			"%s{\"name\":\"%s\",\"text\":\"what %s is\",\"unit\":\"%s\",\"open\":%s,\"closed\":true,\"offered\":%d,"
			"\"connections\":8}",
			l ? "," : "", loads[l], loads[l], l == BULK ? "MiB" : "request", l == BULK ? "false" : "true",
			l == BULK    ? 0 :
			run->offered ? run->offered :
				       4000);
	fputs("],\"workloads\":[", g->f);
	for (int w = 0; w < run->n_workloads; w++) {
		workload_name(run, w, name, sizeof(name));
		fprintf(g->f, "%s{\"name\":\"%s\",\"nodes\":2,\"pods\":20,\"services\":10,\"endpoints\":20}",
			w ? "," : "", name);
	}
	fputs("]}\n", g->f);
}

static void write_reach(struct gen *g, const char *workload, int s)
{
	for (int i = 0; i < 10; i++) {
		bool ok = s + 1 != g->run->n_strategies || i >= g->run->unreached;

		begin(g, "reach");
		fprintf(g->f,
			",\"workload\":\"%s\",\"strategy\":\"%s\",\"service\":\"shop/s%d\",\"port\":80,\"proto\":\"TCP\",\"family\":\"ipv4\",\"path\":"
			"\"same-node\",\"client\":\"shop/c\",\"client_node\":\"node-1\",\"asked\":\"10.96.0.%d\",\"answered_by\":%s,\"seen_client\":null,"
			"\"ok\":%s,\"error\":%s,\"skip\":null}\n",
			workload, g->run->strategies[s], i, i, ok ? "\"shop/b\"" : "null", ok ? "true" : "false",
			ok ? "null" : "\"ETIMEDOUT\"");
	}
}

struct at {
	const char *workload;
	int load, path, family, round, strategy, order;
	bool twin;
};

static void write_head(struct gen *g, const struct at *at, const char *mode, uint64_t ok, uint64_t failed,
		       uint64_t wrong, double units)
{
	const struct report_run *run = g->run;
	const char *name = run->strategies[at->strategy];
	bool services = strcmp(name, "none") != 0;

	begin(g, "sample");
	fprintf(g->f,
		",\"workload\":\"%s\",\"load\":\"%s\",\"path\":\"%s\",\"family\":\"%s\",\"mode\":\"%s\",\"arm\":\"%s%s\",\"strategy\":\"%s\","
		"\"round\":%d,\"order\":%d,\"kind\":\"%s\",\"tool\":\"offkube\",\"client\":\"shop/c\",\"targets\":[\"10.96.0.1:80\"],\"offered\":4000,\"seconds\":0.4,"
		"\"sent\":%llu,\"ok\":%llu,\"refused\":0,\"timeout\":%llu,\"other_error\":0,\"wrong\":%llu,\"units\":%.9g,\"rate\":",
		at->workload, loads[at->load], paths[at->path], families[at->family], mode, name,
		at->twin ? " (A/A)" : "", name, at->round, at->order,
		run->kind && at->strategy + 1 == run->n_strategies ? run->kind : "real",
		(unsigned long long)(ok + failed), (unsigned long long)ok, (unsigned long long)failed,
		(unsigned long long)wrong, units);
	fprintf(g->f, "%.9g,\"carried\":", units / 0.4);
	if (services)
		fprintf(g->f, "{\"%s\":%d}", name, run->no_counters ? 0 : 8);
	else
		fputs("{}", g->f);
}

static void write_open(struct gen *g, const struct at *at)
{
	const struct report_run *run = g->run;
	bool last = at->strategy + 1 == run->n_strategies && !at->twin;
	double ns = base_ns[at->load] * run->factor[at->strategy] * (at->path ? 1.4 : 1);
	bool discard = at->round < run->discarded;
	double cpu = discard ? 9e9 : noisy(g, ns * 0.6);
	double p50 = noisy(g, ns), p90 = noisy(g, ns * 1.3), p99 = noisy(g, ns * 1.8), p999 = noisy(g, ns * 3);
	uint64_t failed = (uint64_t)(last ? run->failed : at->twin ? run->twin_failed : 0);
	uint64_t n = (uint64_t)run->requests;

	if (last && run->dead) {
		failed = n;
		n = 0;
	}
	write_head(g, at, "open", n, failed,
		   last && at->round == 0 && at->load == 0 && at->path == 0 ? (uint64_t)run->wrong : 0, (double)n);
	fprintf(g->f,
		",\"latency_ns\":{\"p50\":%.0f,\"p90\":%.0f,\"p99\":%.0f,\"p999\":%.0f,\"max\":%.0f,\"mean\":%.0f}",
		p50, p90, p99, p999, p999 * 1.1, p50 * 1.1);
	fprintf(g->f, ",\"hist\":[[%zu,%llu],[%zu,%llu],[%zu,%llu]]", hist_bucket((uint64_t)p50),
		(unsigned long long)(n * 6 / 10), hist_bucket((uint64_t)p90), (unsigned long long)(n * 3 / 10),
		hist_bucket((uint64_t)p99), (unsigned long long)(n / 10));
	fprintf(g->f,
		",\"lateness_p99_ns\":9000,\"cpu\":{\"used_cores\":%.9g,\"stat_cores\":%.9g,\"steal_share\":%s,\"discard\":%s},"
		"\"cpu_per_unit_ns\":%.9g}\n",
		cpu * (double)n / 0.4 / 1e9, cpu * (double)n / 0.4 / 1e9 * 1.01, discard ? "0.1" : "0.001",
		discard ? "true" : "false", cpu);
}

static void write_closed(struct gen *g, const struct at *at)
{
	double ns = base_ns[at->load] * g->run->factor[at->strategy] * (at->path ? 1.4 : 1);
	double rate = noisy(g, 8e9 / ns), cpu = noisy(g, ns * 0.9);

	if (at->load == BULK) { /* two cores at full load: MiB per second */
		write_head(g, at, "closed", 8, 0, 0, noisy(g, 1.5e9 / ns) * 0.4);
		fprintf(g->f, ",\"retransmits\":%d", at->round);
	} else {
		write_head(g, at, "closed", (uint64_t)(rate * 0.4), 0, 0, (double)(uint64_t)(rate * 0.4));
	}
	fprintf(g->f,
		",\"cpu\":{\"used_cores\":1.9,\"stat_cores\":1.9,\"steal_share\":0,\"discard\":false},\"cpu_per_unit_ns\":%.9g}\n",
		cpu);
}

static void write_slices(struct gen *g, struct at at)
{
	int n_arms = g->run->n_strategies + !g->run->no_twin;

	for (int i = 0; i < n_arms; i++) {
		/* The order of arms turns with the round, as the real one is random. */
		int arm = (i + at.round) % n_arms;

		at.twin = arm == g->run->n_strategies;
		at.strategy = at.twin ? 0 : arm;
		at.order = i;
		if (at.load != BULK)
			write_open(g, &at);
		write_closed(g, &at);
	}
}

static void write_workload(struct gen *g, int w)
{
	const struct report_run *run = g->run;
	char name[256];

	workload_name(run, w, name, sizeof(name));
	if (run->refused) {
		begin(g, "strategy-refused");
		fprintf(g->f,
			",\"workload\":\"%s\",\"strategy\":\"%s\",\"refusal\":\"kernel-feature\",\"detail\":\"this kernel has none\"}\n",
			name, run->refused);
	}
	for (int s = 0; s < run->n_strategies; s++)
		write_reach(g, name, s);
	if (run->left_out) {
		begin(g, "left-out");
		fprintf(g->f,
			",\"workload\":\"%s\",\"load\":\"connect\",\"path\":\"other-node\",\"family\":\"ipv6\",\"why\":\"%s\"}\n",
			name, run->left_out);
	}
	for (int round = 0; round < run->n_rounds; round++)
		for (int l = 0; l < run->n_loads; l++)
			for (int p = 0; p < run->n_paths; p++)
				for (int f = 0; f < run->n_families; f++)
					write_slices(g, (struct at){ .workload = name,
								     .load = l,
								     .path = p,
								     .family = f,
								     .round = round });
}

void report_run_write(const struct report_run *run, FILE *f)
{
	struct gen g = { .run = run, .f = f };

	rng_seed(&g.rng, run->seed);
	write_run(&g);
	begin(&g, "calibration");
	fputs(",\"rounds_per_s\":[1e8,1e8]", f);
	if (run->busy_share >= 0)
		fprintf(f, ",\"busy_share\":%g", run->busy_share);
	fputs("}\n", f);
	for (int w = 0; w < run->n_workloads; w++)
		write_workload(&g, w);
	if (run->experiments)
		report_exp_write(run, &g.rng, f);
	if (run->status && !run->status[0])
		return;
	begin(&g, "end");
	fprintf(f, ",\"status\":\"%s\",\"seconds\":12.5,\"error\":null}\n", run->status ? run->status : "complete");
}

struct report *report_run_load(const struct report_run *run)
{
	char *dir = report_run_folder(run);
	struct report *rep = NULL;
	struct err e = {};

	if (report_load(dir, &rep, &e) < 0) {
		fprintf(stderr, "%s: %s\n", e.path, e.text);
		abort();
	}
	report_run_remove(dir);
	return rep;
}

char *report_run_folder(const struct report_run *run)
{
	char dir[] = "/tmp/offkube-report-XXXXXX", path[64];
	FILE *f;

	if (!mkdtemp(dir))
		abort();
	(void)snprintf(path, sizeof(path), "%s/records.jsonl", dir);
	f = fopen(path, "we");
	if (!f)
		abort();
	report_run_write(run, f);
	if (fclose(f) != 0)
		abort();
	return strdup(dir);
}

void report_run_remove(char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *ent;

	while (d && (ent = readdir(d)))
		(void)unlinkat(dirfd(d), ent->d_name, 0); /* "." and ".." stay */
	if (d)
		(void)closedir(d);
	(void)rmdir(dir);
	free(dir);
}
