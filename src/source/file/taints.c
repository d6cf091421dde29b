/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Taints and tolerations. Called by node.c, workload.c (read) and pods.c (placing). */
#include "taints.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"

/* The text at `key`, "" when absent, in the load's memory. */
static int read_text(const struct field *f, const char *key, const char **ret)
{
	const char *s = "";

	if (field_str(f, key, &s) < 0)
		return -EINVAL;
	*ret = load_intern(f->obj->load, s);
	return *ret ? 0 : -ENOMEM;
}

static int read_taint(const struct field *item, struct taint *ret)
{
	int r = read_text(item, "key", &ret->key);

	if (r == 0)
		r = read_text(item, "value", &ret->value);
	return r == 0 ? read_text(item, "effect", &ret->effect) : r;
}

int taints_read(const struct field *spec, struct raw_node *n)
{
	struct field seq, item;
	int r = field_seq(spec, "taints", &seq);

	if (r <= 0 || seq.node->n == 0)
		return r < 0 ? r : 0;
	n->taints = arena_alloc(spec->obj->load->arena, seq.node->n * sizeof(*n->taints));
	if (!n->taints)
		return -ENOMEM;
	for (size_t i = 0; i < seq.node->n; i++) {
		struct taint t;

		r = field_item_map(&seq, i, &item);
		if (r > 0)
			r = read_taint(&item, &t);
		if (r < 0)
			return r;
		if (strcmp(t.effect, "NoSchedule") == 0 || strcmp(t.effect, "NoExecute") == 0)
			n->taints[n->n_taints++] = t;
	}
	return 0;
}

static int read_toleration(const struct field *item, struct toleration *ret)
{
	static const char *const operators[] = { "Equal", "Exists" };
	size_t op = 0;
	int r = read_text(item, "key", &ret->key);

	if (r == 0)
		r = read_text(item, "value", &ret->value);
	if (r == 0)
		r = read_text(item, "effect", &ret->effect);
	if (r == 0 && field_word(item, "operator", operators, ARRAY_LEN(operators), &op) < 0)
		r = -EINVAL;
	ret->exists = op == 1;
	return r;
}

int tolerations_read(const struct field *spec, struct pod_spec *p)
{
	struct field seq, item;
	int r = field_seq(spec, "tolerations", &seq);

	if (r <= 0 || seq.node->n == 0)
		return r < 0 ? r : 0;
	p->tolerations = arena_alloc(spec->obj->load->arena, seq.node->n * sizeof(*p->tolerations));
	if (!p->tolerations)
		return -ENOMEM;
	for (size_t i = 0; i < seq.node->n; i++) {
		r = field_item_map(&seq, i, &item);
		if (r > 0)
			r = read_toleration(&item, &p->tolerations[i]);
		if (r < 0)
			return r;
		p->n_tolerations++;
	}
	return 0;
}

static bool tolerates(const struct toleration *t, const struct taint *taint)
{
	if (*t->effect && strcmp(t->effect, taint->effect) != 0)
		return false;
	if (!*t->key)
		return t->exists;
	return strcmp(t->key, taint->key) == 0 && (t->exists || strcmp(t->value, taint->value) == 0);
}

bool taints_allow(const struct raw_node *n, const struct raw_workload *w)
{
	static const char state[] = "node.kubernetes.io/";

	for (size_t i = 0; i < n->n_taints; i++) {
		bool ok = w->kind == WORKLOAD_DAEMON_SET && strncmp(n->taints[i].key, state, sizeof(state) - 1) == 0;

		for (size_t k = 0; k < w->spec.n_tolerations && !ok; k++)
			ok = tolerates(&w->spec.tolerations[k], &n->taints[i]);
		if (!ok)
			return false;
	}
	return true;
}
