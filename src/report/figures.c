/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All figures of a report: which there are, their files, and the pictures for the page. Called by html.c. */
#include "figure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "answer.h"
#include "base/util.h"

#define SVG_SIZE_MAX (8u << 20)

void figures_free(struct figures *f)
{
	for (size_t i = 0; i < f->v.n; i++) {
		free(f->v.v[i].title);
		free(f->v.v[i].svg);
	}
	vec_free(&f->v);
}

static void sketch_free(struct sketch *k)
{
	free(k->fig.title);
	strbuf_free(&k->csv);
	strbuf_free(&k->gp);
}

static int write_beside(const char *dir, const char *stem, const char *ending, const struct strbuf *sb, struct err *e)
{
	CLEANUP_FREE char *path = str_printf("%s/%s.%s", dir, stem, ending);
	int r;

	if (!path || sb->failed)
		return -ENOMEM;
	r = write_file_atomic(path, sb->buf ? sb->buf : "", sb->len);
	return r < 0 ? err_set_errno(e, r, path, "cannot be written") : 0;
}

/* Files of a finished sketch; an old picture goes, so that no stale one is shown. */
static int keep_sketch(struct sketch *k, const char *dir, struct figures *f, struct err *e)
{
	CLEANUP_FREE char *svg = str_printf("%s/%s.svg", dir, k->fig.stem);
	int r = write_beside(dir, k->fig.stem, "csv", &k->csv, e);

	if (r == 0)
		r = write_beside(dir, k->fig.stem, "gp", &k->gp, e);
	if (r == 0 && svg && unlink(svg) < 0 && errno != ENOENT)
		r = err_set_errno(e, -errno, svg, "cannot be replaced");
	if (r == 0)
		r = vec_push(&f->v, k->fig);
	if (r == 0)
		k->fig.title = NULL; /* now the list's */
	return r;
}

const struct group_info figure_groups[GROUP_MAX] = {
	[GROUP_WINNER] = { "winner", "Winner map, as a picture",
			   "Which strategy with Services is best in each cell; grey and \u201c=\u201d: a tie.", false },
	[GROUP_VERSUS] = { "versus", "Change against kube-proxy",
			   "Median of the ratios within rounds, 95 % interval; the band is the noise floor (A/A). What touches the band is a tie.",
			   true },
	[GROUP_CHANGE] = { "change", "Change against no Service at all",
			   "Median of the ratios within rounds, 95 % interval; the band is the noise floor (A/A). What touches the band is a tie.",
			   true },
	[GROUP_CPU] = { "cpu", "CPU per request, stacked",
			"Client, server and network together. Grey: the same requests without any Service. Coloured: what the strategy adds (Service cost) "
			"or saves, with the 95 % interval of the paired difference. The records hold no split by place (client, server, softirq).",
			false },
	[GROUP_CORES] = { "cores", "Cores per 10 Gbit/s",
			  "Sending and receiving side together, at full load; stacked as CPU per request. Dotted: 0.68, published by others for bare metal (CNI benchmark 2024, softirq not counted); not measured here. Veth pairs carry large segments between "
			  "namespaces: no NIC is in it.",
			  false },
	[GROUP_RATE] = { "rate", "Request rate", "Closed loop: as fast as the connections allow, 95 % interval.",
			 false },
	[GROUP_THROUGHPUT] = { "throughput", "Throughput",
			       "As fast as it goes, 95 % interval. There is no line rate: the wires are veth pairs.",
			       false },
	[GROUP_BAND] = { "band", "From worst to best",
			 "Rate of every round in every cell of a load over that of no Service in the same round: from the worst to the best, and the median.",
			 false },
	[GROUP_PARETO] = { "pareto", "Cores against p99",
			   "Who is left and below is better in both. Ringed: on the front, nobody with Services is better in one and no worse in the other.",
			   false },
	[GROUP_OFFERED] = { "offered", "Latency against offered load",
			    "Open loop, medians over rounds. The dotted line is the objective.", true },
	[GROUP_SIZE] = { "size", "Throughput against message size",
			 "As fast as it goes. There is no line rate: the wires are veth pairs.", false },
	[GROUP_LIVE] = { "live", "Connection rate against live connections",
			 "Closed loop, while so many idle connections stand.", false },
	[GROUP_UPDATES] = { "updates", "Under rule updates",
			    "Endpoints change so many times a second meanwhile: of a Service that is not asked, or of the one that is.",
			    false },
	[GROUP_SCALE] = { "scale", "What the number of Services costs",
			  "On a synthetic cluster; medians over rounds with 95 % intervals, both axes logarithmic. Crosses: published by others, on other "
			  "machines; not measured here.",
			  true },
	[GROUP_IN_FORCE] = { "in-force", "From a change until it is in force",
			     "All changes of all rounds: until a fresh socket is answered by the new backend.", false },
	[GROUP_FAULT] = { "fault", "Time line around a fault", "Mean over rounds, in bins of 10 ms.", false },
	[GROUP_IDLE] = { "idle", "Idle cost",
			 "All CPUs while nothing is asked; what the machine does anyway is in it for every strategy alike.",
			 false },
	[GROUP_COVERAGE] = { "coverage", "Offload coverage",
			     "Which tier carried which share of the connections, by the tiers\u2019 own counters.",
			     false },
	[GROUP_LATENCY] = { "latency", "Latency percentiles",
			    "Open loop at a fixed rate: medians over rounds of each slice\u2019s percentiles, with 95 % intervals.",
			    false },
	[GROUP_CDF] = { "distribution", "Distribution of latency",
			"All requests of all open-loop slices together; logarithmic.", false },
};

/* What to draw; members that the group does not need are 0. */
struct wanted {
	enum figure_group group;
	enum metric metric; /* GROUP_CHANGE, GROUP_VERSUS */
	size_t workload, number;
	const struct cell *cell;
	const struct curve *curve;
	const struct scale_point *scale;
	enum scale_figure scale_figure;
	const struct fault_rec *fault;
};

static void workload_title(struct strbuf *sb, const struct report *r, const struct wanted *w)
{
	static const char *const what[GROUP_MAX] = {
		[GROUP_WINNER] = "Who is best in which cell",
		[GROUP_CPU] = "CPU per request",
		[GROUP_CORES] = "Cores per 10 Gbit/s",
		[GROUP_RATE] = "Requests per second",
		[GROUP_THROUGHPUT] = "Throughput",
		[GROUP_BAND] = "Rate from the worst to the best round",
		[GROUP_IDLE] = "Idle cost",
		[GROUP_COVERAGE] = "Which tier carried the connections",
	};

	if (w->group == GROUP_CHANGE || w->group == GROUP_VERSUS)
		strbuf_addf(sb, "Change of %s against %s", short_name[w->metric],
			    r->strategies.v[r->ref[w->group == GROUP_CHANGE ? REF_BOUND : REF_PEER]].name);
	else
		strbuf_add(sb, what[w->group]);
	strbuf_addf(sb, ", %s", r->workloads.v[w->workload].name);
}

static void scale_title(struct strbuf *sb, const struct wanted *w)
{
	static const char *const what[SCALE_FIGURE_MAX] = {
		[SCALE_FIGURE_FIRST] = "First-packet latency against the number of Services",
		[SCALE_FIGURE_EMPTY] = "Time to program all Services from nothing",
		[SCALE_FIGURE_CHANGE] = "Time of one change against the number of Services",
		[SCALE_FIGURE_MEMORY] = "Memory against the number of Services",
	};
	char a[NUM_SIZE];

	strbuf_addf(sb, "%s, %s endpoints each",
		    w->group == GROUP_SCALE ? what[w->scale_figure] : "Change to in force at the most Services",
		    fmt_count(a, (uint64_t)w->scale->endpoints));
}

static int set_title(struct sketch *k, const struct wanted *w)
{
	const struct report *r = k->r;
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;

	if (w->scale) {
		scale_title(&sb, w);
	} else if (w->fault) {
		strbuf_addf(&sb, "Time line around the fault \u201c%s\u201d, %s", w->fault->fault,
			    r->workloads.v[w->workload].name);
	} else if (w->cell || w->curve) {
		const struct cell *c = w->cell ? w->cell : &r->sweeps.v[w->curve->first];

		strbuf_addf(&sb, "%s: ", figure_groups[w->group].title);
		(void)cell_label(r, c, &sb); /* failure is sticky in sb */
		if (w->curve && axis_is_updates(c->axis))
			strbuf_add(&sb,
				   str_eq(c->axis, "updates") ? ", of a Service not asked" : ", of the Service asked");
	} else {
		workload_title(&sb, r, w);
	}
	k->fig.title = strbuf_take(&sb);
	return k->fig.title ? 0 : -ENOMEM;
}

static bool draw(struct sketch *k, const struct wanted *w)
{
	switch (w->group) {
	case GROUP_WINNER:
		return sketch_winner(k);
	case GROUP_VERSUS:
		return sketch_change(k, w->metric, REF_PEER);
	case GROUP_CHANGE:
		return sketch_change(k, w->metric, REF_BOUND);
	case GROUP_CPU:
	case GROUP_CORES:
		return sketch_cpu(k, w->group == GROUP_CPU ? UNIT_REQUEST : UNIT_MIB);
	case GROUP_RATE:
	case GROUP_THROUGHPUT:
		return sketch_rate(k, w->group == GROUP_RATE ? UNIT_REQUEST : UNIT_MIB);
	case GROUP_BAND:
		return sketch_band(k);
	case GROUP_IDLE:
		return sketch_idle(k);
	case GROUP_COVERAGE:
		return sketch_coverage(k);
	case GROUP_PARETO:
		return sketch_pareto(k, w->cell);
	case GROUP_SCALE:
		return sketch_scale(k, w->scale, w->scale_figure);
	case GROUP_IN_FORCE:
		return w->curve ? sketch_in_force_sweep(k, w->curve) : sketch_in_force_scale(k, w->scale);
	case GROUP_FAULT:
		return sketch_fault(k, w->fault);
	case GROUP_LATENCY:
		return sketch_latency(k, w->cell);
	case GROUP_CDF:
		return sketch_cdf(k, w->cell);
	default:
		return sketch_curve(k, w->curve);
	}
}

static int make_one(const struct report *r, const char *dir, const struct wanted *w, struct figures *f, struct err *e)
{
	CLEANUP(sketch_free) struct sketch k = { .r = r, .fig = { .group = w->group, .workload = w->workload } };
	const char *stem = figure_groups[w->group].stem;
	const char *part = w->group == GROUP_CHANGE || w->group == GROUP_VERSUS ? metrics[w->metric].key :
			   w->group == GROUP_SCALE				? scale_figure_key[w->scale_figure] :
			   w->group == GROUP_IN_FORCE				? (w->curve ? "updates" : "scale") :
										  NULL;
	int ret;

	(void)snprintf(k.fig.stem, sizeof(k.fig.stem), "%s%s%s-%zu", stem, part ? "-" : "", part ? part : "",
		       w->number + 1);
	ret = set_title(&k, w);
	if (ret < 0 || !draw(&k, w))
		return ret;
	return keep_sketch(&k, dir, f, e);
}

static int make_workload(const struct report *r, const char *dir, size_t workload, struct figures *f, struct err *e)
{
	static const enum metric changed[] = { METRIC_CPU, METRIC_CPU_FULL, METRIC_P50, METRIC_P99, METRIC_RATE };
	static const enum figure_group whole[] = { GROUP_WINNER,     GROUP_CPU,	 GROUP_CORES, GROUP_RATE,
						   GROUP_THROUGHPUT, GROUP_BAND, GROUP_IDLE,  GROUP_COVERAGE };
	int ret = 0;

	for (int ref = 0; ref < REF_MAX; ref++)
		for (size_t i = 0; i < ARRAY_LEN(changed) && ret == 0 && r->ref[ref] != STRATEGIES_MAX; i++)
			ret = make_one(r, dir,
				       &(struct wanted){ .group = ref == REF_BOUND ? GROUP_CHANGE : GROUP_VERSUS,
							 .metric = changed[i],
							 .workload = workload,
							 .number = workload },
				       f, e);
	for (size_t i = 0; i < ARRAY_LEN(whole) && ret == 0; i++)
		ret = make_one(r, dir, &(struct wanted){ .group = whole[i], .workload = workload, .number = workload },
			       f, e);
	return ret;
}

static int make_cells(const struct report *r, const char *dir, struct figures *f, struct err *e)
{
	static const enum figure_group groups[] = { GROUP_PARETO, GROUP_LATENCY, GROUP_CDF };
	int ret = 0;

	for (size_t i = 0; i < MIN(r->cells.n, (size_t)FIGURE_CELLS_MAX); i++)
		for (size_t g = 0; g < ARRAY_LEN(groups) && ret == 0; g++)
			ret = make_one(r, dir,
				       &(struct wanted){ .group = groups[g],
							 .workload = r->cells.v[i].workload,
							 .number = i,
							 .cell = &r->cells.v[i] },
				       f, e);
	return ret;
}

static int make_curves(const struct report *r, const char *dir, struct figures *f, struct err *e)
{
	static const struct {
		const char *axis;
		enum figure_group group;
	} groups[] = { { "offered", GROUP_OFFERED },
		       { "size", GROUP_SIZE },
		       { "live", GROUP_LIVE },
		       { "updates", GROUP_UPDATES },
		       { "updates-same", GROUP_UPDATES } };
	int ret = 0;

	for (size_t i = 0; i < MIN(r->curves.n, (size_t)FIGURE_CURVES_MAX); i++) {
		const struct curve *c = &r->curves.v[i];
		const struct cell *p = &r->sweeps.v[c->first];
		struct wanted w = { .workload = p->workload, .number = i, .curve = c };

		for (size_t g = 0; g < ARRAY_LEN(groups) && ret == 0; g++)
			if (str_eq(groups[g].axis, p->axis)) {
				w.group = groups[g].group;
				ret = make_one(r, dir, &w, f, e);
			}
		w.group = GROUP_IN_FORCE;
		if (ret == 0 && axis_is_updates(p->axis))
			ret = make_one(r, dir, &w, f, e);
	}
	return ret;
}

/* One set of figures for each number of endpoints of which there are several numbers of Services. */
static int make_scale(const struct report *r, const char *dir, struct figures *f, struct err *e)
{
	size_t number = 0;
	int ret = 0;

	for (size_t i = 0, n; i < r->scale.n && ret == 0; i += n) { /* sorted: groups stand together */
		const struct scale_point *like = &r->scale.v[i];
		struct wanted w = { .workload = FIGURE_NO_WORKLOAD, .number = number, .scale = like };
		bool several = false;

		for (n = 1; i + n < r->scale.n && like[n].nodes == like->nodes && like[n].endpoints == like->endpoints;
		     n++)
			several = several || like[n].services != like->services;
		w.group = GROUP_SCALE;
		for (int what = 0; what < SCALE_FIGURE_MAX && ret == 0 && several; what++) {
			w.scale_figure = what;
			ret = make_one(r, dir, &w, f, e);
		}
		w.group = GROUP_IN_FORCE;
		if (ret == 0)
			ret = make_one(r, dir, &w, f, e);
		number++;
	}
	return ret;
}

static int make_faults(const struct report *r, const char *dir, struct figures *f, struct err *e)
{
	size_t number = 0;
	int ret = 0;

	for (size_t i = 0; i < r->faults.n && ret == 0; i++) { /* sorted */
		const struct fault_rec *at = &r->faults.v[i];

		if (i && at->workload == at[-1].workload && str_eq(at->fault, at[-1].fault))
			continue;
		ret = make_one(
			r, dir,
			&(struct wanted){
				.group = GROUP_FAULT, .workload = at->workload, .number = number++, .fault = at },
			f, e);
	}
	return ret;
}

/* ---- pictures ---- */

/* Several pictures share the page: each name inside one gets the figure's stem in front. Drops everything before the root element, and the
 * title, which the page sets. */
static char *svg_for_page(const char *svg, const struct figure *fig)
{
	static const char *const before_name[] = { "id='", "id=\"", "href='#", "href=\"#", "url(#" };
	const char *at = strstr(svg, "<svg"), *title = strstr(svg, "<title>"),
		   *title_end = title ? strstr(title, "</title>") : NULL;
	struct strbuf sb = STRBUF_INIT;

	if (!at || !title_end || title < at)
		return NULL;
	strbuf_add(&sb, "<svg role=\"img\" ");
	at += strlen("<svg");
	while (*at) {
		size_t len = 0;

		if (at == title) {
			strbuf_add(&sb, "<title>");
			strbuf_add_html(&sb, fig->title);
			at = title_end;
		}
		for (size_t i = 0; i < ARRAY_LEN(before_name) && len == 0; i++)
			if (strncmp(at, before_name[i], strlen(before_name[i])) == 0)
				len = strlen(before_name[i]);
		strbuf_add_mem(&sb, at, len ? len : 1);
		if (len) {
			strbuf_add(&sb, fig->stem);
			strbuf_add_char(&sb, '-');
		}
		at += len ? len : 1;
	}
	return strbuf_take(&sb);
}

static int load_picture(const char *dir, struct figure *fig)
{
	CLEANUP_FREE char *path = str_printf("%s/%s.svg", dir, fig->stem);
	CLEANUP_FREE char *svg = NULL;
	size_t size;
	int r = path ? read_file(path, SVG_SIZE_MAX, &svg, &size) : -ENOMEM;

	if (r < 0)
		return r == -ENOENT || r == -EFBIG ? 0 : r; /* not drawn: the page says so */
	fig->svg = svg_for_page(svg, fig);
	return 0;
}

static int draw_all(const char *dir, struct figures *f)
{
	CLEANUP_FREE const char **stems = calloc(f->v.n + 1, sizeof(*stems));
	int r;

	if (!stems)
		return -ENOMEM;
	for (size_t i = 0; i < f->v.n; i++)
		stems[i] = f->v.v[i].stem;
	r = gnuplot_run(dir, stems, f->v.n, f->why, sizeof(f->why));
	if (r == -ENOMEM)
		return r;
	f->no_gnuplot = r == -ENOENT;
	if (r < 0 && !f->why[0])
		(void)snprintf(f->why, sizeof(f->why), "%s", strerror(-r));
	if (r == 0)
		f->why[0] = '\0'; /* warnings of a run that went well */
	r = 0;
	for (size_t i = 0; i < f->v.n && r == 0; i++)
		r = load_picture(dir, &f->v.v[i]);
	return r;
}

int figures_make(const struct report *r, const char *dir, struct figures *ret, struct err *e)
{
	int res = 0;

	for (size_t w = 0; w < MIN(r->workloads.n, (size_t)FIGURE_WORKLOADS_MAX) && res == 0; w++)
		res = make_workload(r, dir, w, ret, e);
	if (res == 0)
		res = make_cells(r, dir, ret, e);
	if (res == 0)
		res = make_curves(r, dir, ret, e);
	if (res == 0)
		res = make_scale(r, dir, ret, e);
	if (res == 0)
		res = make_faults(r, dir, ret, e);
	ret->n_not_drawn = r->cells.n - MIN(r->cells.n, (size_t)FIGURE_CELLS_MAX);
	return res < 0 ? res : draw_all(dir, ret);
}
