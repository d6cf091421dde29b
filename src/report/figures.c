/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All figures of a report: which there are, their files, and the pictures for the page. Called by html.c. */
#include "figure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

struct wanted {
	enum figure_group group;
	enum metric metric; /* GROUP_CHANGE */
	size_t workload, number;
	const struct cell *cell; /* or NULL */
};

static int set_title(struct sketch *k, const struct wanted *w)
{
	const struct report *r = k->r;
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;

	switch (w->group) {
	case GROUP_CHANGE:
		strbuf_addf(&sb, "Change of %s against %s, %s", metrics[w->metric].name, r->strategies.v[r->base].name,
			    r->workloads.v[w->workload].name);
		break;
	case GROUP_CPU:
		strbuf_addf(&sb, "CPU per request, %s", r->workloads.v[w->workload].name);
		break;
	case GROUP_RATE:
		strbuf_addf(&sb, "Requests per second, %s", r->workloads.v[w->workload].name);
		break;
	case GROUP_LATENCY:
		strbuf_add(&sb, "Latency percentiles: ");
		(void)cell_label(r, w->cell, &sb); /* failure is sticky in sb */
		break;
	default:
		strbuf_add(&sb, "Distribution of latency: ");
		(void)cell_label(r, w->cell, &sb); /* failure is sticky in sb */
		break;
	}
	k->fig.title = strbuf_take(&sb);
	return k->fig.title ? 0 : -ENOMEM;
}

static bool draw(struct sketch *k, const struct wanted *w)
{
	switch (w->group) {
	case GROUP_CHANGE:
		return sketch_change(k, w->metric);
	case GROUP_CPU:
		return sketch_cpu(k);
	case GROUP_RATE:
		return sketch_rate(k);
	case GROUP_LATENCY:
		return sketch_latency(k, w->cell);
	default:
		return sketch_cdf(k, w->cell);
	}
}

static int make_one(const struct report *r, const char *dir, const struct wanted *w, struct figures *f, struct err *e)
{
	static const char *const stem[GROUP_MAX] = { "change", "cpu", "rate", "latency", "distribution" };
	CLEANUP(sketch_free) struct sketch k = { .r = r, .fig = { .group = w->group, .workload = w->workload } };
	int ret;

	if (w->group == GROUP_CHANGE)
		(void)snprintf(k.fig.stem, sizeof(k.fig.stem), "change-%s-%zu", metrics[w->metric].key, w->number + 1);
	else
		(void)snprintf(k.fig.stem, sizeof(k.fig.stem), "%s-%zu", stem[w->group], w->number + 1);
	ret = set_title(&k, w);
	if (ret < 0 || !draw(&k, w))
		return ret;
	return keep_sketch(&k, dir, f, e);
}

static int make_workload(const struct report *r, const char *dir, size_t workload, struct figures *f, struct err *e)
{
	static const enum metric changed[] = { METRIC_CPU, METRIC_P50, METRIC_P99, METRIC_RATE };
	int ret = 0;

	for (size_t i = 0; i < ARRAY_LEN(changed) && ret == 0 && r->base != STRATEGIES_MAX; i++)
		ret = make_one(r, dir, &(struct wanted){ GROUP_CHANGE, changed[i], workload, workload, NULL }, f, e);
	if (ret == 0)
		ret = make_one(r, dir, &(struct wanted){ GROUP_CPU, METRIC_CPU, workload, workload, NULL }, f, e);
	if (ret == 0)
		ret = make_one(r, dir, &(struct wanted){ GROUP_RATE, METRIC_RATE, workload, workload, NULL }, f, e);
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

	for (size_t w = 0; w < MIN(r->workloads.n, (size_t)FIGURE_WORKLOADS_MAX) && res == 0; w++) {
		res = make_workload(r, dir, w, ret, e);
		for (size_t i = 0; i < MIN(r->cells.n, (size_t)FIGURE_CELLS_MAX) && res == 0; i++) {
			if (r->cells.v[i].workload != w)
				continue;
			res = make_one(r, dir, &(struct wanted){ GROUP_LATENCY, METRIC_P50, w, i, &r->cells.v[i] }, ret,
				       e);
			if (res == 0)
				res = make_one(r, dir, &(struct wanted){ GROUP_CDF, METRIC_P50, w, i, &r->cells.v[i] },
					       ret, e);
		}
	}
	ret->n_not_drawn = r->cells.n - MIN(r->cells.n, (size_t)FIGURE_CELLS_MAX);
	return res < 0 ? res : draw_all(dir, ret);
}
