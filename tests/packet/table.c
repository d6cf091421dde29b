/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files and rows of the packet table. Called by the tests that run it. */
#include "table_int.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/util.h"

#define FILE_SIZE_MAX (1u << 20)
#define STEP_KEYS "packet update advance verdict reason allowed save out"

static bool has_word(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = words; (p = strstr(p, word)); p += len) {
		if ((p == words || p[-1] == ' ') && (p[len] == '\0' || p[len] == ' '))
			return true;
	}
	return false;
}

int table_check_keys(const struct doc_node *map, const char *keys, const char *path, struct err *e)
{
	if (map->type != DOC_MAP)
		return doc_err(map, path, e, "must be a mapping");
	for (size_t i = 0; i < map->n; i++) {
		if (!has_word(keys, map->key[i]))
			return doc_err(map->child[i], path, e, "unknown key %s (known: %s)", map->key[i], keys);
	}
	return 0;
}

static int check_step(const struct doc_node *step, struct err *e)
{
	const struct doc_node *packet = doc_get(step, "packet");
	const char *verdict = NULL, *reason = NULL;
	int r = table_check_keys(step, STEP_KEYS, "steps[]", e);

	if (r < 0)
		return r;
	if (!packet)
		return doc_get(step, "update") || doc_get(step, "advance") ?
			       0 :
			       doc_err(step, "steps[]", e, "says nothing");
	r = table_check_keys(packet, TABLE_PACKET_KEYS, "packet", e);
	if (r < 0)
		return r;
	if (doc_get_str(step, "verdict", "verdict", &verdict, e) <= 0 || verdict_parse(verdict) < 0)
		return doc_err(step, "verdict", e, "is missing or unknown");
	if (doc_get_str(step, "reason", "reason", &reason, e) <= 0 || reason_parse(reason) < 0)
		return doc_err(step, "reason", e, "is missing or unknown");
	if ((int)reason_verdict((enum reason)reason_parse(reason)) != verdict_parse(verdict))
		return doc_err(step, "reason", e, "%s does not go with %s", reason, verdict);
	if (verdict_parse(verdict) == VERDICT_TRANSLATE && !doc_get(step, "out"))
		return doc_err(step, "out", e, "is missing");
	return 0;
}

static int read_row(struct table *t, const char *file, const struct doc_node *n, struct err *e)
{
	struct row row = { .node = "n1", .file = file, .line = n->line };
	int r = table_check_keys(n, "name rule model node steps", "rows[]", e);

	if (r < 0)
		return r;
	if (doc_get_str(n, "name", "name", &row.name, e) < 0 || doc_get_str(n, "rule", "rule", &row.rule, e) < 0 ||
	    doc_get_str(n, "model", "model", &row.model, e) < 0 || doc_get_str(n, "node", "node", &row.node, e) < 0 ||
	    doc_get_seq(n, "steps", "steps", &row.steps, e) < 0)
		return -EINVAL;
	if (!row.name || !row.rule || !row.model || !row.steps)
		return doc_err(n, "rows[]", e, "name, rule, model and steps are needed");
	if (!table_model(t, row.model))
		return doc_err(n, "model", e, "no model %s", row.model);
	for (size_t i = 0; i < t->rows.n; i++) {
		if (str_eq(t->rows.v[i].name, row.name))
			return doc_err(n, "name", e, "%s is taken (%s:%u)", row.name, t->rows.v[i].file,
				       t->rows.v[i].line);
	}
	for (size_t i = 0; i < row.steps->n; i++) {
		r = check_step(row.steps->child[i], e);
		if (r < 0)
			return r;
	}
	return vec_push(&t->rows, row);
}

static int read_root(struct table *t, const char *file, const struct doc_node *root, struct err *e)
{
	const struct doc_node *models = NULL, *rows = NULL;
	int r = table_check_keys(root, "models rows", "", e);

	if (r < 0)
		return r;
	if (doc_get_map(root, "models", "models", &models, e) < 0 || doc_get_seq(root, "rows", "rows", &rows, e) < 0)
		return -EINVAL;
	if (models)
		r = table_read_models(t, models, e);
	for (size_t i = 0; rows && r == 0 && i < rows->n; i++)
		r = read_row(t, file, rows->child[i], e);
	return r;
}

static int read_one(struct table *t, const char *dir, const char *name, struct err *e)
{
	CLEANUP_FREE char *path = str_printf("%s/%s", dir, name);
	struct doc_reader *reader = NULL;
	struct file f = {};
	size_t size;
	int r;

	if (!path)
		return -ENOMEM;
	r = read_file(path, FILE_SIZE_MAX, &f.buf, &size);
	if (r < 0)
		return err_set_errno(e, r, path, "cannot read");
	f.name = strdup(name);
	r = f.name ? vec_push(&t->files, f) : -ENOMEM;
	if (r < 0) {
		free(f.name);
		free(f.buf);
		return r;
	}
	r = doc_reader_new(f.name, f.buf, size, &reader);
	if (r == 0)
		r = doc_reader_next(reader, &t->files.v[t->files.n - 1].doc, e);
	if (r == 1)
		r = read_root(t, f.name, doc_root(t->files.v[t->files.n - 1].doc), e);
	doc_reader_free(reader);
	if (r < 0)
		err_prefix_path(e, name);
	return r;
}

static int is_yaml(const struct dirent *d)
{
	size_t len = strlen(d->d_name);

	return len > 5 && strcmp(d->d_name + len - 5, ".yaml") == 0 && strcmp(d->d_name, "models.yaml") != 0;
}

int table_load(const char *dir, struct table **ret, struct err *e)
{
	struct table *t = calloc(1, sizeof(*t));
	struct dirent **names = NULL;
	int r, n;

	if (!t)
		return -ENOMEM;
	r = map_new(&t->models);
	if (r == 0)
		r = read_one(t, dir, "models.yaml", e);
	n = r < 0 ? 0 : scandir(dir, &names, is_yaml, alphasort);
	for (int i = 0; i < n; i++) {
		if (r >= 0)
			r = read_one(t, dir, names[i]->d_name, e);
		free(names[i]);
	}
	free(names);
	if (r < 0 || n < 0) {
		table_free(t);
		return r < 0 ? r : err_set_errno(e, -errno, dir, "cannot list");
	}
	*ret = t;
	return 0;
}

static void free_model(void *s)
{
	snapshot_unref(s);
}

void table_free(struct table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->files.n; i++) {
		doc_free(t->files.v[i].doc);
		free(t->files.v[i].buf);
		free(t->files.v[i].name);
	}
	vec_free(&t->files);
	vec_free(&t->rows);
	map_free(t->models, free_model);
	free(t);
}

size_t table_n_rows(const struct table *t)
{
	return t->rows.n;
}

const char *table_row_name(const struct table *t, size_t row)
{
	return t->rows.v[row].name;
}

const char *table_row_rule(const struct table *t, size_t row)
{
	return t->rows.v[row].rule;
}

const struct snapshot *table_model(const struct table *t, const char *name)
{
	return map_get_str(t->models, name);
}
