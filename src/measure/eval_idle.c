/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a strategy takes when nothing is asked: CPU of the whole machine while its testbed alone is up, and the memory of processes that have to stand.
 * Called by eval_experiments.c.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "eval_synthetic.h"

#define ROUNDS 3
#define WINDOW_MS 3000
#define QUICK_WINDOW_MS 500 /* one round */

/* Resident memory of the strategy's standing processes, as its targets count it; without such a counter there is no process. */
static int standing_kib(const struct eval_arm *arm, uint64_t *ret, struct err *e)
{
	uint64_t sum = 0;
	int r = 0;

	for (const char *const *t = arm->strategy->tiers[FUNC_SERVICE_LB]; *t && r >= 0; t++) {
		uint64_t bytes = 0;

		r = testbed_counter(arm->testbed, *t, NULL, "resident-bytes", &bytes, e);
		sum += bytes;
	}
	*ret = sum / 1024;
	return r < 0 ? r : 0;
}

#define REST_CORES 0.05 /* CPU use of REST_LOOKS looks in a row lies within this */
#define REST_LOOKS 3
#define REST_LOOK_MS 100
#define REST_TIMEOUT_NS (5 * NSEC_PER_SEC)

/* What was made before is still cleaned up in the background: until the machine's CPU use is even. 0; 1 = not within five seconds; -errno. */
static int wait_rest(struct eval *ev, struct err *e)
{
	uint64_t deadline = clock_now_ns(&clock_monotonic) + REST_TIMEOUT_NS;
	double low = 0, high = 0;
	struct cpu_mark from, to;
	int n = 0, r = cpu_meter_mark(ev->meter, &from, e);

	while (r == 0 && n < REST_LOOKS) {
		struct cpu_use use;

		if (*ev->conf->stop)
			return -EINTR;
		if (clock_now_ns(&clock_monotonic) > deadline)
			return 1;
		(void)poll(NULL, 0, REST_LOOK_MS); /* between two looks at the condition */
		r = cpu_meter_mark(ev->meter, &to, e);
		if (r < 0)
			break;
		cpu_meter_use(ev->meter, &from, &to, &use);
		from = to;
		low = n ? MIN(low, use.used_cores) : use.used_cores;
		high = n ? MAX(high, use.used_cores) : use.used_cores;
		n = high - low > REST_CORES ? 0 : n + 1;
	}
	return r;
}

/* The length of a measurement, unless a signal ends it. */
static void wait_window(const struct eval *ev)
{
	uint64_t window_ms = ev->conf->quick ? QUICK_WINDOW_MS : WINDOW_MS;
	uint64_t end = clock_now_ns(&clock_monotonic) + window_ms * NSEC_PER_MSEC, now;

	while (!*ev->conf->stop && (now = clock_now_ns(&clock_monotonic)) < end)
		(void)poll(NULL, 0, (int)((end - now) / NSEC_PER_MSEC) + 1);
}

static int measure(struct eval *ev, const struct eval_arm *arm, uint32_t round, struct err *e)
{
	struct cpu_mark from, to;
	struct cpu_use use;
	uint64_t kib = 0;
	int rest = wait_rest(ev, e), r = rest < 0 ? rest : cpu_meter_mark(ev->meter, &from, e);

	if (r < 0)
		return r;
	wait_window(ev);
	if (*ev->conf->stop)
		return -EINTR;
	r = cpu_meter_mark(ev->meter, &to, e);
	if (r == 0)
		r = standing_kib(arm, &kib, e);
	if (r < 0)
		return r;
	cpu_meter_use(ev->meter, &from, &to, &use);
	return record_write(ev->rec, "idle",
			    json_pack("{s:s, s:s, s:s, s:i, s:f, s:b, s:{s:f, s:f, s:f, s:b}, s:I}", "workload",
				      ev->workload->name, "arm", arm->name, "strategy", arm->strategy->name, "round",
				      (int)round, "seconds", use.seconds, "at_rest", rest == 0, "cpu", "used_cores",
				      use.used_cores, "stat_cores", use.stat_cores, "steal_share", use.steal_share,
				      "discard", use.discard, "process_kib", (json_int_t)kib),
			    e);
}

/* A testbed of its own: what other strategies do in theirs must not be seen. */
static int idle_arm(struct eval *ev, size_t i, uint32_t round, struct err *e)
{
	struct eval_arm arm = ev->arms[i];
	char name[LAB_NAME_MAX + 1];
	const struct testbed_conf conf = {
		.name = name,
		.snapshot = ev->workload->snapshot,
		.strategy = arm.strategy,
		.server_cpus = ev->server_cpus,
		.stop = ev->conf->stop,
	};
	struct err why = {};
	int r, rd;

	(void)snprintf(name, sizeof(name), "i%d", (int)getpid());
	r = testbed_up(&conf, &arm.testbed, &why);
	if (r == -EINTR)
		return r;
	if (r == -EOPNOTSUPP && round)
		return 0; /* said before */
	if (r < 0) {
		char text[600];

		(void)snprintf(text, sizeof(text), "%s, round %u: %s%s%s", arm.name, round + 1, why.path,
			       why.path[0] ? ": " : "", why.text[0] ? why.text : strerror(-r));
		return eval_left_out(ev, ev->workload->name, "idle", arm.strategy, text, e);
	}
	r = measure(ev, &arm, round, e);
	rd = testbed_down(arm.testbed, r == 0 ? e : NULL);
	return r < 0 ? r : rd;
}

int eval_idle(struct eval *ev, struct err *e)
{
	uint32_t n_rounds = ev->conf->quick ? 1 : ROUNDS;
	int r = 0;

	if (ev->conf->progress)
		progress_start(&ev->progress, ev->conf->progress, &clock_monotonic, (double)(n_rounds * ev->n_arms));
	for (uint32_t round = 0; round < n_rounds && r == 0; round++) {
		size_t turn[EVAL_ARMS_MAX];

		r = eval_calibrate(ev, 3, e);
		for (size_t i = 0; i < ev->n_arms; i++)
			turn[i] = i;
		rng_shuffle(&ev->rng, turn, ev->n_arms, sizeof(*turn));
		for (size_t i = 0; i < ev->n_arms && r == 0; i++) {
			if (ev->conf->progress)
				progress_update(&ev->progress, (double)(round * ev->n_arms + i), "idle");
			r = *ev->conf->stop ? -EINTR : idle_arm(ev, turn[i], round, e);
		}
	}
	if (ev->conf->progress)
		progress_end(&ev->progress);
	return r;
}
