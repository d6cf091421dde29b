/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One slice of the evaluation: the generator's run between two CPU marks, and its sample record. Called by eval.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "eval_int.h"

static const char *const mode_name[MODE_MAX] = { [MODE_OPEN] = "open", [MODE_CLOSED] = "closed" };

double eval_offered_rps(enum load_kind load)
{
	return load_info[load].offered;
}

/* What the generator asks in this arm, and who may answer. */
struct slice_targets {
	size_t n;
	struct load_target targets[EVAL_TARGETS_MAX];
	const struct eval_service *service[EVAL_TARGETS_MAX];
	const struct eval_backend *only[EVAL_TARGETS_MAX]; /* NULL: any backend of the Service */
	struct load_place place[EVAL_TARGETS_MAX]; /* `calls`: of the callers */
};

/* The Service's address, or that of backend `j`. */
static struct load_target *add_target(struct slice_targets *t, const struct eval_cell *cell, const struct strategy *st,
				      const struct eval_service *es, size_t j)
{
	const struct eval_backend *b = &es->backends[j];
	struct load_target *target = &t->targets[t->n];

	t->service[t->n] = es;
	t->only[t->n] = st->service_addresses ? NULL : b;
	*target = (struct load_target){
		.addr = st->service_addresses ? es->svc->cluster_ip[cell->family] : b->addr,
		.port = st->service_addresses ? es->port->port : b->port,
		.proto = IPPROTO_TCP,
	};
	t->n++;
	return target;
}

/* Each caller has its own namespace and its node's cgroup. Without Service addresses the callers take the backends in turn. */
static int make_calls(const struct eval_cell *cell, const struct eval_arm *arm, struct slice_targets *ret,
		      struct err *e)
{
	const struct lab *lab = testbed_lab(arm->testbed);

	for (size_t i = 0; i < cell->calls->n; i++) {
		const struct pod *caller = cell->calls->call[i].caller;
		const struct eval_service *es = &cell->calls->call[i].service;
		struct load_place *place = &ret->place[ret->n];

		place->netns_fd = lab_pod_netns(lab, caller->ns, caller->name);
		place->cgroup_fd = lab_node_cgroup(lab, caller->node);
		if (place->netns_fd < 0)
			return err_set(e, -ENOENT, caller->name, "the caller has no namespace in the lab");
		add_target(ret, cell, arm->strategy, es, i % es->n_backends)->place = place;
	}
	return 0;
}

/* `order`: of a program of others, which speaks to one server at a time, it chooses among equal ones. */
static int make_targets(const struct eval_cell *cell, const struct eval_arm *arm, bool by_tool, size_t order,
			struct slice_targets *ret, struct err *e)
{
	const struct strategy *st = arm->strategy;

	ret->n = 0;
	if (cell->calls)
		return make_calls(cell, arm, ret, e);
	for (size_t i = 0; i < cell->n_services; i++) {
		const struct eval_service *es = &cell->services[i];

		if (by_tool && i != order % cell->n_services)
			continue;
		for (size_t j = 0; j < (st->service_addresses ? 1 : es->n_backends) && ret->n < EVAL_TARGETS_MAX; j++) {
			struct load_target *target = add_target(ret, cell, st, es, j);

			if (by_tool)
				target->backend = es->backends[j].addr;
			target->page_size = cell->page_size;
		}
	}
	return 0;
}

static bool named(const struct eval_backend *b, const char *name)
{
	size_t ns_len = strlen(b->pod->ns);

	return strncmp(name, b->pod->ns, ns_len) == 0 && name[ns_len] == '/' && str_eq(name + ns_len + 1, b->pod->name);
}

static bool is_backend(const char *name, size_t target, const struct slice_targets *t)
{
	if (t->only[target])
		return named(t->only[target], name);
	for (size_t i = 0; i < t->service[target]->n_backends + t->service[target]->n_more; i++)
		if (named(&t->service[target]->backends[i], name))
			return true;
	return false;
}

/* Shared with the generator's process, which takes the marks. */
struct slice_run {
	struct eval *ev;
	struct slice_targets targets;
	struct cpu_mark from, to;
	bool marked;
	struct load_note note;
};

static void on_window(bool begin, void *arg)
{
	struct slice_run *run = arg;
	int r = cpu_meter_mark(run->ev->meter, begin ? &run->from : &run->to, NULL);

	run->marked = r == 0 && (begin || run->marked);
}

static bool on_answer(const char *name, size_t target, void *arg)
{
	struct slice_run *run = arg;

	return is_backend(name, target, &run->targets);
}

static json_t *hist_pairs(const struct hist *h)
{
	json_t *list = json_array();

	for (size_t i = 0; i < HIST_BUCKETS; i++)
		if (h->buckets[i])
			(void)json_array_append_new(list,
						    json_pack("[I, I]", (json_int_t)i, (json_int_t)h->buckets[i]));
	return list;
}

static json_t *target_names(const struct slice_targets *t)
{
	json_t *list = json_array();

	for (size_t i = 0; i < t->n; i++) {
		char addr[IP_ADDR_STR_MAX], text[IP_ADDR_STR_MAX + 8];

		(void)ip_addr_format(&t->targets[i].addr, addr);
		(void)snprintf(text, sizeof(text), t->targets[i].addr.fam == AF_INET6 ? "[%s]:%u" : "%s:%u", addr,
			       t->targets[i].port);
		(void)json_array_append_new(list, json_string(text));
	}
	return list;
}

static json_t *latency_json(const struct hist *h)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:f}", "p50", (json_int_t)hist_quantile(h, 0.5), "p90",
			 (json_int_t)hist_quantile(h, 0.9), "p99", (json_int_t)hist_quantile(h, 0.99), "p999",
			 (json_int_t)hist_quantile(h, 0.999), "max", (json_int_t)h->max_ns, "mean",
			 h->count ? h->sum_ns / (double)h->count : 0.0);
}

/* "namespace/pod", or how many pods call. */
static void name_client(const struct eval_cell *cell, char buf[static 600])
{
	size_t n = 1;

	if (!cell->calls) {
		(void)snprintf(buf, 600, "%s/%s", cell->client->ns, cell->client->name);
		return;
	}
	for (size_t i = 1; i < cell->calls->n; i++)
		n += cell->calls->call[i].caller != cell->calls->call[i - 1].caller;
	(void)snprintf(buf, 600, "%zu pods", n);
}

/* What only some loads tell. */
static void add_details(json_t *j, const struct slice_conf *sc, const struct load_result *res, bool by_tool)
{
	if (sc->mode == MODE_OPEN && (!by_tool || res->latency.count)) {
		(void)json_object_set_new(j, "latency_ns", latency_json(&res->latency));
		(void)json_object_set_new(j, "hist", hist_pairs(&res->latency));
	}
	if (sc->mode == MODE_OPEN && !by_tool)
		(void)json_object_set_new(j, "lateness_p99_ns",
					  json_integer((json_int_t)hist_quantile(&res->lateness, 0.99)));
	if (res->lost_share >= 0)
		(void)json_object_set_new(j, "lost_share", json_real(res->lost_share));
	if (res->n_retransmits >= 0)
		(void)json_object_set_new(j, "retransmits", json_integer(res->n_retransmits));
}

static void add_cpu(const struct eval *ev, json_t *j, const struct slice_run *run, double units)
{
	struct cpu_use use = { .discard = true };

	if (run->marked)
		cpu_meter_use(ev->meter, &run->from, &run->to, &use);
	(void)json_object_set_new(j, "cpu",
				  json_pack("{s:f, s:f, s:f, s:b}", "used_cores", use.used_cores, "stat_cores",
					    use.stat_cores, "steal_share", use.steal_share, "discard", use.discard));
	if (units > 0 && !use.discard)
		(void)json_object_set_new(j, "cpu_per_unit_ns", json_real(use.used_cores * use.seconds * 1e9 / units));
}

static json_t *sample_json(const struct eval *ev, const struct eval_cell *cell, const struct eval_arm *arm,
			   const struct slice_conf *sc, const struct slice_run *run, const struct load_result *res,
			   json_t *carried)
{
	double seconds = (double)(res->end_ns - res->start_ns) / 1e9;
	const char *tool = eval_tool_of(cell->load, sc->mode);
	char client[600];
	json_t *j;

	name_client(cell, client);
	j = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:s, s:s, s:o, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:f, "
		"s:o}",
		"workload", ev->workload->name, "load", load_name[cell->load], "path", eval_path_name[cell->path],
		"family", eval_family_name[cell->family], "mode", mode_name[sc->mode], "arm", arm->name, "strategy",
		arm->strategy->name, "round", (int)sc->round, "order", (int)sc->order, "kind", "real", "tool",
		tool ? tool : "offkube", "client", client, "targets", target_names(&run->targets), "offered",
		sc->mode == MODE_OPEN ? sc->offered : 0.0, "seconds", seconds, "sent", (json_int_t)res->n_sent, "ok",
		(json_int_t)res->n_ok, "refused", (json_int_t)res->n_refused, "timeout", (json_int_t)res->n_timeout,
		"other_error", (json_int_t)res->n_other_error, "wrong", (json_int_t)res->n_wrong, "units",
		str_eq(load_info[cell->load].unit, "MiB") ? json_real(res->units) :
							    json_integer((json_int_t)res->units),
		"rate", res->units / seconds, "carried", carried);
	if (!j)
		return NULL;
	add_details(j, sc, res, tool != NULL);
	add_cpu(ev, j, run, res->units);
	return j;
}

/* Connections that each of the strategy's Service tiers counted so far, on all nodes; -1 where there is no such counter. */
struct tier_counts {
	int64_t n[STRATEGY_TIERS_MAX];
};

static int count_connections(const struct eval_arm *arm, struct tier_counts *ret, struct err *e)
{
	const char *const *tiers = arm->strategy->tiers[FUNC_SERVICE_LB];

	for (size_t i = 0; tiers[i]; i++) {
		const struct target_ops *ops = target_find(tiers[i]);
		uint64_t n = 0;
		int r;

		ret->n[i] = -1;
		if (!ops || !ops->counters)
			continue;
		r = testbed_counter(arm->testbed, tiers[i], NULL, "connections", &n, e);
		if (r < 0)
			return r;
		if (r > 0)
			ret->n[i] = (int64_t)n;
	}
	return 0;
}

static json_t *carried_json(const struct eval_arm *arm, const struct tier_counts *before,
			    const struct tier_counts *after)
{
	const char *const *tiers = arm->strategy->tiers[FUNC_SERVICE_LB];
	json_t *j = json_object();

	for (size_t i = 0; tiers[i]; i++) {
		bool has_counter = before->n[i] >= 0 ||
				   after->n[i] >= 0; /* one that vanished in between counted nothing */
		int64_t n = MAX(after->n[i], 0) - MAX(before->n[i], 0);

		(void)json_object_set_new(j, tiers[i], has_counter ? json_integer(MAX(n, 0)) : json_null());
	}
	return j;
}

/* The same arrivals for all arms of a round: what is compared differs in nothing else. */
static uint64_t arrivals_seed(const struct eval *ev, const struct slice *sl, uint32_t round)
{
	const uint64_t what[] = { ev->workload_at, sl->cell, (uint64_t)sl->mode, round };

	return hash_bytes(what, sizeof(what), ev->conf->seed);
}

int eval_measure(struct eval *ev, const struct eval_cell *cell, const struct eval_arm *arm, const struct slice_conf *sc,
		 json_t **ret, struct err *e)
{
	struct slice_run *run = mmap(NULL, sizeof(*run), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *tool_name = eval_tool_of(cell->load, sc->mode);
	const struct tool *tool = tool_name ? eval_tool(&ev->tools, tool_name) : NULL;
	struct load_conf conf = {
		.kind = cell->load,
		.netns_fd = lab_pod_netns(testbed_lab(arm->testbed), cell->client->ns, cell->client->name),
		.cgroup_fd = lab_node_cgroup(testbed_lab(arm->testbed), cell->client->node),
		.cpus = ev->generator_cpus,
		.n_connections = MAX(load_info[cell->load].n_connections, 1u),
		.rate_rps = sc->mode == MODE_OPEN ? sc->offered : 0,
		.warmup_ns = sc->warmup_ms * NSEC_PER_MSEC,
		.duration_ns = sc->duration_ms * NSEC_PER_MSEC,
		.seed = sc->seed,
		.tool = tool ? tool->path : NULL,
		.message_size = cell->message_size,
		.amount = eval_amount(ev, cell, sc),
	};
	const struct load_hooks hooks = {
		.on_window = on_window, .is_backend = on_answer, .arg = run, .note = &run->note
	};
	CLEANUP_FREE struct load_result *res = calloc(1, sizeof(*res));
	struct tier_counts before = {}, after = {};
	int r;

	if (run == MAP_FAILED)
		return -errno;
	run->ev = ev;
	r = res ? make_targets(cell, arm, tool != NULL, sc->order, &run->targets, e) : -ENOMEM;
	conf.targets = run->targets.targets;
	conf.n_targets = run->targets.n;
	if (r == 0 && tool_name && !tool)
		r = err_set(e, -ENOENT, tool_name, "not installed on this host");
	if (r == 0 && conf.netns_fd < 0)
		r = err_set(e, -ENOENT, cell->client->name, "the client has no namespace in the lab");
	if (r == 0)
		r = count_connections(arm, &before, e);
	if (r == 0)
		r = load_run(&conf, &hooks, res, e);
	if (r < 0)
		(void)lab_check_programs(testbed_lab(arm->testbed),
					 e); /* says why nobody answered, if nobody has said more */
	if (r == 0 && run->note.text[0])
		log_warn("load=%s arm=\"%s\" failed=\"%s\" ... continuing", load_name[cell->load], arm->name,
			 run->note.text);
	if (r == 0)
		r = count_connections(arm, &after, e);
	if (r == 0 && sc->window_ns) {
		sc->window_ns[0] = res->start_ns;
		sc->window_ns[1] = res->end_ns;
	}
	if (r == 0) {
		*ret = sample_json(ev, cell, arm, sc, run, res, carried_json(arm, &before, &after));
		r = *ret ? 0 : -ENOMEM;
	}
	(void)munmap(run, sizeof(*run)); /* ours, mapped above */
	return r;
}

int eval_run_slice(struct eval *ev, const struct slice *sl, uint32_t round, size_t order, struct err *e)
{
	const struct eval_cell *cell = &ev->cells[sl->cell];
	const struct slice_conf sc = {
		.mode = sl->mode,
		.offered = eval_offered_rps(cell->load),
		.warmup_ms = ev->warmup_ms,
		.duration_ms = eval_duration_ms(ev, sl->mode),
		.seed = arrivals_seed(ev, sl, round),
		.round = round,
		.order = order,
	};
	json_t *j = NULL;
	int r = eval_measure(ev, cell, &ev->arms[sl->arm], &sc, &j, e);

	ev->n_wrong += (uint64_t)json_integer_value(json_object_get(j, "wrong"));
	return r < 0 ? r : record_write(ev->rec, "sample", j, e);
}
