/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim as a target: the contract of target.h over an interpreter in memory. There is no node to
 * change, so what apply() makes true is what this handle would answer. Called by plan and apply,
 * and read by who writes a new target.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/map.h"
#include "base/str.h"
#include "base/util.h"
#include "internal.h"
#include "program.h"

extern const struct target_ops target_sim;

struct handle {
	char *node;
	const struct clock *clock;
	struct sim *sim; /* NULL: nothing in force */
	struct map *lines; /* texts in force; the values are the keys' own copies */
};

static int probe(const struct target_env *env, struct target_probe *ret, struct err *e)
{
	(void)env;
	(void)e;
	*ret = (struct target_probe){ .usable = true };
	return 0;
}

static uint32_t check(const struct target_probe *probe_result, const struct service *svc, struct refusal_list *refusals)
{
	(void)probe_result;
	return sim_check(svc, refusals);
}

static void handle_close(void *handle)
{
	struct handle *h = handle;

	if (!h)
		return;
	sim_free(h->sim);
	map_free(h->lines, free);
	free(h->node);
	free(h);
}

static int handle_open(const struct target_env *env, void **ret_handle, struct err *e)
{
	struct handle *h = calloc(1, sizeof(*h));

	if (!h)
		return err_set(e, -ENOMEM, NULL, "out of memory");
	h->clock = env->clock ? env->clock : &clock_monotonic;
	h->node = strdup(env->node);
	if (!h->node || map_new(&h->lines) < 0) {
		handle_close(h);
		return err_set(e, -ENOMEM, NULL, "out of memory");
	}
	*ret_handle = h;
	return 0;
}

static int put_line(struct map *lines, const char *text)
{
	char *copy = strdup(text);
	int r = copy ? map_put_str(lines, text, copy, NULL) : -ENOMEM;

	if (r < 0)
		free(copy);
	return r;
}

/* A new set of lines beside the old one, which stays as it is. */
static int copy_line(const void *key, size_t key_size, void *value, void *arg)
{
	(void)key;
	(void)key_size;
	return put_line(arg, value);
}

static int make_lines(const struct handle *h, const struct target_program *p, struct map **ret,
		      struct target_stats *stats, struct err *e)
{
	struct map *lines = NULL;
	int r = map_new(&lines);

	if (r == 0 && p->from)
		r = map_each(h->lines, copy_line, lines);
	for (size_t i = 0; r == 0 && i < p->lines.n; i++) {
		const struct line *l = &p->lines.v[i];
		size_t size = map_str_size(l->text);
		bool there = map_has(h->lines, l->text, size);

		if (p->from && l->removed != there) {
			r = err_set(e, -ESTALE, l->text, "the update does not fit what is in force");
		} else if (l->removed) {
			free(map_del(lines, l->text, size));
		} else {
			stats->n_kept += there;
			r = put_line(lines, l->text);
		}
	}
	if (r < 0) {
		map_free(lines, free);
		return err_set_errno(e, r, NULL, "cannot apply");
	}
	*ret = lines;
	return 0;
}

/* Service traffic is answered from now on by p->to. */
static int make_sim(struct handle *h, const struct target_program *p, struct target_stats *stats, struct err *e)
{
	size_t before;
	int r;

	if (!p->with_services) {
		sim_free(h->sim);
		h->sim = NULL;
		return 0;
	}
	if (!h->sim)
		return sim_new(p->to, p->node, h->clock, &h->sim, e);
	before = sim_n_connections(h->sim);
	r = sim_update(h->sim, p->to);
	if (r < 0)
		return err_set_errno(e, r, NULL, "cannot update");
	stats->n_stale_flows += before - sim_n_connections(h->sim);
	return 0;
}

static int apply(void *handle, const struct target_program *p, struct target_stats *stats, struct err *e)
{
	struct target_stats s = {};
	struct handle *h = handle;
	struct map *lines = NULL;
	int r;

	if (!str_eq(p->node, h->node))
		return err_set(e, -EINVAL, p->node, "the program is for another node than %s", h->node);
	r = make_lines(h, p, &lines, &s, e);
	if (r < 0)
		return r;
	r = make_sim(h, p, &s, e);
	if (r < 0) {
		map_free(lines, free);
		return r;
	}
	if (p->from) {
		for (size_t i = 0; i < p->lines.n; i++)
			*(p->lines.v[i].removed ? &s.n_removed : &s.n_added) += 1;
	} else {
		s.n_added = map_count(lines) - s.n_kept;
		s.n_removed = map_count(h->lines) - s.n_kept;
	}
	s.n_transactions = s.n_added + s.n_removed > 0;
	map_free(h->lines, free);
	h->lines = lines;
	if (stats)
		*stats = s;
	return 0;
}

static int verify(void *handle, const struct target_program *full, struct err *e)
{
	const struct handle *h = handle;

	for (size_t i = 0; i < full->lines.n; i++) {
		const char *text = full->lines.v[i].text;

		if (!map_has(h->lines, text, map_str_size(text)))
			return err_set(e, -ESTALE, text, "is missing");
	}
	if (map_count(h->lines) != full->lines.n)
		return err_set(e, -ESTALE, NULL, "%zu frontends are in force, %zu are wanted", map_count(h->lines),
			       full->lines.n);
	return 0;
}

static int handle_remove(void *handle, struct err *e)
{
	struct handle *h = handle;
	struct map *empty;

	if (map_new(&empty) < 0)
		return err_set(e, -ENOMEM, NULL, "out of memory");
	map_free(h->lines, free);
	h->lines = empty;
	sim_free(h->sim);
	h->sim = NULL;
	return 0;
}

struct text_list {
	VEC(const char *) v;
};

static int collect_text(const void *key, size_t key_size, void *value, void *arg)
{
	struct text_list *list = arg;

	(void)key;
	(void)key_size;
	return vec_push(&list->v, (const char *)value);
}

static int text_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int dump(void *handle, FILE *f, struct err *e)
{
	struct handle *h = handle;
	struct text_list list = {};
	int r = map_each(h->lines, collect_text, &list);

	if (r == 0) {
		if (list.v.n > 1)
			qsort(list.v.v, list.v.n, sizeof(list.v.v[0]), text_cmp);
		fprintf(f, "sim node %s: %zu frontends, %zu connections\n", h->node, list.v.n,
			h->sim ? sim_n_connections(h->sim) : 0);
		for (size_t i = 0; i < list.v.n; i++)
			fprintf(f, "%s\n", list.v.v[i]);
		r = ferror(f) ? -EIO : 0;
	}
	vec_free(&list.v);
	return r < 0 ? err_set_errno(e, r, NULL, "cannot dump") : 0;
}

static int counters(void *handle, int (*fn)(const struct target_counter *c, void *arg), void *arg, struct err *e)
{
	const struct handle *h = handle;
	int r = 0;

	(void)e;
	for (size_t i = 0; r == 0 && h->sim && i < REASON_MAX; i++) {
		struct target_counter c = { "", reason_name((enum reason)i), sim_reason_count(h->sim, (enum reason)i) };

		r = fn(&c, arg);
	}
	return r;
}

const struct target_ops target_sim = {
	.name = "sim",
	.text = "reference interpreter of the model, in memory",
	.functions = 1u << FUNC_SERVICE_LB | 1u << FUNC_MASQUERADE,
	.complete = true,
	.probe = probe,
	.check = check,
	.compile = program_compile,
	.program_free = program_free,
	.program_print = program_print,
	.open = handle_open,
	.close = handle_close,
	.apply = apply,
	.verify = verify,
	.remove = handle_remove,
	.dump = dump,
	.counters = counters,
};
