/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Benchmarks of scale. Called by `offkube bench` (make bench). Method: docs/performance.md. */
#include "measure/bench.h"

#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/progress.h"
#include "base/rand.h"
#include "base/stats.h"
#include "base/str.h"
#include "base/util.h"
#include "bench_model.h"
#include "lab/responder.h"
#include "measure/record.h"
#include "measure/testbed.h"

#define ASK_TIMEOUT_S 2
#define ROUNDS_MAX 1000

struct bench {
	const struct bench_conf *conf;
	struct record_writer *rec;
	struct progress progress;
	double done;
	struct rng rng;
};

static void step(struct bench *b, const char *what)
{
	b->done++;
	if (b->conf->progress)
		progress_update(&b->progress, b->done, what);
}

/* ---- first packet ---- */

/* Shared with the child. */
struct ask_page {
	uint64_t seed; /* for the child */
	int failed;
	uint64_t median_ns;
};

/* One datagram from a fresh socket to Service i: the packet that meets every table for the first time. */
static int ask_once(uint32_t i, uint64_t id, uint64_t *ret_ns)
{
	const struct timeval timeout = { .tv_sec = ASK_TIMEOUT_S };
	uint8_t req[RESPONDER_REQUEST_SIZE], buf[RESPONDER_REPLY_MAX];
	CLEANUP_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct responder_reply reply;
	struct sockaddr_storage ss;
	struct ip_addr to;
	socklen_t len;
	size_t size;
	uint64_t t0;
	ssize_t n;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
		return -errno;
	bench_service_addr(i, &to);
	len = ip_addr_to_sockaddr(&to, BENCH_SERVICE_PORT, &ss);
	responder_build_request(id, 0, RESPONDER_REPLY_MIN, req);
	t0 = clock_now_ns(&clock_monotonic);
	if (sendto(fd, req, sizeof(req), 0, (struct sockaddr *)&ss, len) != (ssize_t)sizeof(req))
		return -errno;
	n = recv(fd, buf, sizeof(buf), 0);
	*ret_ns = clock_now_ns(&clock_monotonic) - t0;
	if (n < 0)
		return -errno;
	if (responder_parse_reply(buf, (size_t)n, &reply, &size) < 0 || reply.id != id)
		return -EBADMSG;
	return 0;
}

static int ask_many(const struct bench *b, uint32_t n_services, uint64_t seed, struct ask_page *page)
{
	CLEANUP_FREE double *v = calloc(b->conf->n_asks, sizeof(*v));
	struct rng rng;

	rng_seed(&rng, seed);
	if (!v)
		return -ENOMEM;
	for (uint32_t i = 0; i < b->conf->n_asks; i++) {
		uint64_t ns;
		int r = ask_once((uint32_t)rng_below(&rng, n_services), rng_u64(&rng), &ns);

		if (r < 0)
			return r;
		v[i] = (double)ns;
	}
	page->median_ns = (uint64_t)stats_median(v, b->conf->n_asks);
	return 0;
}

_Noreturn static void ask_child(const struct bench *b, uint32_t n_services, int netns_fd, struct ask_page *page,
				pid_t parent)
{
	cpu_set_t set;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail with a valid signal */
	if (getppid() != parent)
		_exit(0);
	CPU_ZERO(&set);
	CPU_SET(get_nprocs() - 1, &set);
	(void)sched_setaffinity(0, sizeof(set), &set); /* noise, not error */
	page->failed = setns(netns_fd, CLONE_NEWNET) < 0 ? -errno : ask_many(b, n_services, page->seed, page);
	_exit(0);
}

/* A slice in the client's pod; the median of its first packets. */
static int first_packet_slice(struct bench *b, struct testbed *tb, uint32_t n_services, double *ret_ns, struct err *e)
{
	int netns_fd = lab_pod_netns(testbed_lab(tb), "bench", "client");
	struct ask_page *page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t parent = getpid(), pid;
	int r;

	if (page == MAP_FAILED)
		return -errno;
	page->failed = -ECHILD; /* until it says otherwise */
	page->seed = rng_u64(&b->rng);
	pid = fork();
	if (pid == 0)
		ask_child(b, n_services, netns_fd, page, parent);
	r = pid < 0 ? -errno : 0;
	while (r == 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		if (*b->conf->stop)
			(void)kill(pid, SIGKILL); /* ours, not reaped: waitpid() just said so */
	if (r == 0)
		r = page->failed;
	if (r == 0)
		*ret_ns = (double)page->median_ns;
	else if (*b->conf->stop)
		r = -EINTR;
	(void)munmap(page, sizeof(*page));
	return r < 0 ? err_set_errno(e, r, "first-packet", "a Service of %u did not answer", n_services) : 0;
}

static int bench_testbed(const struct bench *b, uint32_t n_services, const char *suffix, struct testbed **ret,
			 struct apply_report *ret_report, struct err *e)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = NULL;
	char name[LAB_NAME_MAX + 1];
	struct testbed_conf conf = { .name = name, .strategy = b->conf->strategy };
	int r = bench_snapshot(n_services, &s, e);

	if (r < 0)
		return r;
	(void)snprintf(name, sizeof(name), "b%d-%s", (int)getpid(), suffix);
	conf.snapshot = s;
	conf.server_cpus = get_nprocs() > 1 ? 1 : 0;
	r = testbed_up(&conf, ret, e);
	if (r == 0 && ret_report)
		*ret_report = *testbed_apply_report(*ret);
	return r;
}

static void print_interval(FILE *f, const char *what, const struct interval *iv, const char *unit)
{
	fprintf(f, "  %-62s %9.3f  [%.3f, %.3f] %s\n", what, iv->mid, iv->low, iv->high, unit);
}

static int first_packet_rounds(struct bench *b, struct testbed *small, struct testbed *large, double *vs, double *vl,
			       struct err *e)
{
	int r = 0;

	for (uint32_t i = 0; i < b->conf->n_rounds && r == 0; i++) {
		bool large_first = rng_below(&b->rng, 2);

		for (int k = 0; k < 2 && r == 0; k++)
			r = large_first == (k == 0) ? first_packet_slice(b, large, b->conf->n_large, &vl[i], e) :
						      first_packet_slice(b, small, b->conf->n_small, &vs[i], e);
		if (r == 0 && *b->conf->stop)
			r = -EINTR;
		if (r == 0)
			r = record_write(b->rec, "bench-first-packet",
					 json_pack("{s:s, s:i, s:i, s:i, s:i, s:f, s:f}", "strategy",
						   b->conf->strategy->name, "round", (int)i, "asks",
						   (int)b->conf->n_asks, "services_small", (int)b->conf->n_small,
						   "services_large", (int)b->conf->n_large, "small_p50_ns", vs[i],
						   "large_p50_ns", vl[i]),
					 e);
		step(b, "first packet");
	}
	return r;
}

static int bench_first_packet(struct bench *b, struct testbed *large, struct err *e)
{
	double vs[ROUNDS_MAX], vl[ROUNDS_MAX];
	struct interval iv_small, iv_large, ratio;
	struct testbed *small = NULL;
	char what[96];
	int r, rd;

	r = bench_testbed(b, b->conf->n_small, "small", &small, NULL, e);
	if (r < 0)
		return r;
	r = first_packet_rounds(b, small, large, vs, vl, e);
	rd = testbed_down(small, r == 0 ? e : NULL);
	if (r < 0 || rd < 0)
		return r < 0 ? r : rd;
	for (uint32_t i = 0; i < b->conf->n_rounds; i++) {
		vs[i] /= 1e3;
		vl[i] /= 1e3;
	}
	r = stats_bootstrap_median(vs, b->conf->n_rounds, b->conf->seed, &iv_small);
	if (r == 0)
		r = stats_bootstrap_median(vl, b->conf->n_rounds, b->conf->seed, &iv_large);
	if (r == 0)
		r = stats_bootstrap_ratio(vl, vs, b->conf->n_rounds, b->conf->seed, &ratio);
	if (r < 0)
		return r;
	(void)snprintf(what, sizeof(what), "first packet, %u Services", b->conf->n_small);
	print_interval(b->conf->out, what, &iv_small, "us");
	(void)snprintf(what, sizeof(what), "first packet, %u Services", b->conf->n_large);
	print_interval(b->conf->out, what, &iv_large, "us");
	(void)snprintf(what, sizeof(what), "ratio, %u over %u Services", b->conf->n_large, b->conf->n_small);
	print_interval(b->conf->out, what, &ratio, "x");
	return 0;
}

/* ---- one change ---- */

static int one_change(struct bench *b, struct testbed *tb, uint32_t i, bool to_c, double *ret_ms, struct err *e)
{
	CLEANUP(snapshot_unrefp) struct snapshot *s = NULL;
	uint64_t t0 = clock_now_ns(&clock_monotonic);
	int r = bench_snapshot_move(testbed_snapshot(tb), i, to_c, &s, e);

	if (r == 0)
		r = testbed_apply(tb, s, e);
	*ret_ms = (double)(clock_now_ns(&clock_monotonic) - t0) / 1e6 /
		  BENCH_NODES; /* nodes work one after the other here */
	if (r < 0)
		return r;
	return record_write(b->rec, "bench-change",
			    json_pack("{s:s, s:i, s:i, s:f, s:I}", "strategy", b->conf->strategy->name, "services",
				      (int)b->conf->n_large, "nodes", BENCH_NODES, "ms_per_node", *ret_ms,
				      "transactions", (json_int_t)testbed_apply_report(tb)->total.n_transactions),
			    e);
}

/* Changes go in pairs: a Service drawn at random has an endpoint moved, then moved back. So each of them is one. */
static int bench_change(struct bench *b, struct testbed *tb, struct err *e)
{
	CLEANUP_FREE double *v = calloc(b->conf->n_changes, sizeof(*v));
	struct interval iv;
	uint32_t at = 0;
	char what[96];
	int r = 0;

	if (!v)
		return -ENOMEM;
	for (uint32_t i = 0; i < b->conf->n_changes && r == 0; i++) {
		if (i % 2 == 0)
			at = (uint32_t)rng_below(&b->rng, b->conf->n_large);
		r = *b->conf->stop ? -EINTR : one_change(b, tb, at, i % 2 == 0, &v[i], e);
		step(b, "one change");
	}
	if (r == 0)
		r = stats_bootstrap_median(v, b->conf->n_changes, b->conf->seed, &iv);
	if (r < 0)
		return r;
	(void)snprintf(what, sizeof(what), "one endpoint changed among %u Services x 2, in force, per node",
		       b->conf->n_large);
	print_interval(b->conf->out, what, &iv, "ms");
	return 0;
}

/* ---- load from empty ---- */

static int bench_load(struct bench *b, struct testbed **ret, struct err *e)
{
	CLEANUP_FREE double *v = calloc(b->conf->n_loads, sizeof(*v));
	struct interval iv;
	char what[96];
	int r = 0;

	if (!v)
		return -ENOMEM;
	for (uint32_t i = 0; i < b->conf->n_loads && r == 0; i++) {
		struct apply_report rep = {};

		if (*ret)
			r = testbed_down(TAKE_PTR(*ret), e);
		if (r == 0)
			r = *b->conf->stop ? -EINTR : bench_testbed(b, b->conf->n_large, "large", ret, &rep, e);
		if (r < 0)
			break;
		v[i] = (double)(rep.compile_ns + rep.apply_ns) / 1e9 / BENCH_NODES;
		r = record_write(b->rec, "bench-load",
				 json_pack("{s:s, s:i, s:i, s:f, s:I, s:I}", "strategy", b->conf->strategy->name,
					   "services", (int)b->conf->n_large, "nodes", BENCH_NODES, "s_per_node", v[i],
					   "transactions", (json_int_t)rep.total.n_transactions, "added",
					   (json_int_t)rep.total.n_added),
				 e);
		step(b, "load from empty");
	}
	if (r == 0)
		r = stats_bootstrap_median(v, b->conf->n_loads, b->conf->seed, &iv);
	if (r < 0)
		return r;
	(void)snprintf(what, sizeof(what), "%u Services x 2 endpoints from empty, in force, per node",
		       b->conf->n_large);
	print_interval(b->conf->out, what, &iv, "s");
	return 0;
}

/* ---- the whole ---- */

static int bench_all(struct bench *b, struct err *e)
{
	struct testbed *large = NULL;
	int r, rd = 0;

	fprintf(b->conf->out, "strategy %s; median [95 %% interval]\n", b->conf->strategy->name);
	r = bench_load(b, &large, e);
	if (r == 0)
		r = bench_first_packet(b, large, e);
	if (r == 0)
		r = bench_change(b, large, e);
	if (large)
		rd = testbed_down(large, r == 0 ? e : NULL);
	return r < 0 ? r : rd;
}

int bench_run(const struct bench_conf *conf, struct err *e)
{
	CLEANUP_FREE char *path = str_printf("%s/records.jsonl", conf->out_dir);
	struct bench b = { .conf = conf };
	int r;

	if (!path)
		return -ENOMEM;
	if (conf->n_rounds > ROUNDS_MAX || !conf->n_rounds || !conf->n_loads || !conf->n_changes || !conf->n_asks)
		return err_set(e, -EINVAL, NULL, "every count must be at least 1, and rounds at most %d", ROUNDS_MAX);
	rng_seed(&b.rng, conf->seed);
	r = record_writer_open(path, &b.rec, e);
	if (r == 0)
		r = record_write(b.rec, "bench-run",
				 json_pack("{s:s, s:s, s:I, s:o}", "commit", conf->commit, "command", conf->command,
					   "seed", (json_int_t)conf->seed, "machine", record_machine()),
				 e);
	if (r == 0 && conf->progress)
		progress_start(&b.progress, conf->progress, &clock_monotonic,
			       conf->n_rounds + conf->n_changes + conf->n_loads);
	if (r == 0)
		r = bench_all(&b, e);
	if (b.progress.out)
		progress_end(&b.progress);
	record_writer_close(b.rec);
	return r == -EINTR ? err_set(e, r, NULL, "interrupted") : r;
}
