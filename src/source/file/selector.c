/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Index of pods by (namespace, label, value), for endpoints.c. A selector walks the shortest list
 * among its pairs.
 */
#include "selector.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_MAX 640 /* namespace, key, value at their longest, and two separators */

struct pod_list {
	VEC(const struct pod *) pods;
};

struct selector_index {
	struct map *lists;
};

static size_t label_key(char key[static KEY_MAX], const char *ns, const struct label *label)
{
	int len = snprintf(key, KEY_MAX, "%s %s=%s", ns, label->key, label->value);

	return len < KEY_MAX ? (size_t)len : KEY_MAX - 1;
}

static void free_list(void *list)
{
	vec_free(&((struct pod_list *)list)->pods);
	free(list);
}

void selector_index_free(struct selector_index *x)
{
	if (!x)
		return;
	map_free(x->lists, free_list);
	free(x);
}
DEFINE_CLEANUP(struct selector_index *, selector_index_free);

static int add(struct selector_index *x, const struct pod *pod, const struct label *label)
{
	char key[KEY_MAX];
	size_t size = label_key(key, pod->ns, label);
	struct pod_list *list = map_get(x->lists, key, size);

	if (!list) {
		list = calloc(1, sizeof(*list));
		if (!list || map_put(x->lists, key, size, list, NULL) < 0) {
			free(list);
			return -ENOMEM;
		}
	}
	return vec_push(&list->pods, pod);
}

int selector_index_new(const struct pod *const *pods, size_t n, struct selector_index **ret)
{
	CLEANUP(selector_index_freep) struct selector_index *x = calloc(1, sizeof(*x));
	int r = x ? map_new(&x->lists) : -ENOMEM;

	for (size_t i = 0; i < n && r == 0; i++)
		for (size_t k = 0; k < pods[i]->n_labels && r == 0; k++)
			r = add(x, pods[i], &pods[i]->labels[k]);
	if (r == 0)
		*ret = TAKE_PTR(x);
	return r;
}

int selector_match(const struct selector_index *x, const char *ns, const struct labels *selector,
		   struct selector_pods *ret)
{
	const struct pod_list *best = NULL;
	struct selector_pods out = {};
	char key[KEY_MAX];

	for (size_t i = 0; i < selector->n; i++) {
		const struct pod_list *list = map_get(x->lists, key, label_key(key, ns, &selector->v[i]));

		if (!list) /* nobody has this label */
			return 0;
		if (!best || list->pods.n < best->pods.n)
			best = list;
	}
	if (!best)
		return 0;
	out.v = calloc(best->pods.n, sizeof(*out.v));
	if (!out.v)
		return -ENOMEM;
	for (size_t i = 0; i < best->pods.n; i++)
		if (labels_match(selector, best->pods.v[i]->labels, best->pods.v[i]->n_labels))
			out.v[out.n++] = best->pods.v[i];
	*ret = out;
	return 0;
}
