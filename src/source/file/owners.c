/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who made whom. The dump of a cluster holds a Deployment, its ReplicaSets and their Pods; a
 * written manifest only the Deployment. A workload whose Pods (or ReplicaSets) stand in the input
 * is not expanded again: what was observed is the truth. Called by pods.c.
 */
#include "owners.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

#define KEY_MAX (3 * OBJ_NAME_MAX)

static void owner_key(char key[static KEY_MAX], const char *kind, const char *ns, const char *name)
{
	(void)snprintf(key, KEY_MAX, "%s %s/%s", kind, ns, name);
}

static struct raw_workload *find(const struct map *by_name, const char *kind, const char *ns, const char *name)
{
	char key[KEY_MAX];

	owner_key(key, kind, ns, name);
	return map_get_str(by_name, key);
}

/*
 * The Deployment of a ReplicaSet that is not in the input itself: its name without the hash of the
 * template.
 */
static struct raw_workload *deployment_by_hash(const struct map *by_name, const struct raw_workload *pod)
{
	const char *hash = labels_get(&pod->spec.labels, "pod-template-hash");
	size_t len = strlen(pod->owner_name), hash_len = hash ? strlen(hash) : 0;
	char name[OBJ_NAME_MAX + 1];

	if (!hash_len || len <= hash_len + 1 || len > OBJ_NAME_MAX ||
	    strcmp(pod->owner_name + len - hash_len, hash) != 0 || pod->owner_name[len - hash_len - 1] != '-')
		return NULL;
	(void)snprintf(name, sizeof(name), "%.*s", (int)(len - hash_len - 1), pod->owner_name);
	return find(by_name, "Deployment", pod->ns, name);
}

static struct raw_workload *owner_of(const struct map *by_name, const struct raw_workload *w)
{
	struct raw_workload *owner;

	if (!w->owner_kind || strlen(w->owner_kind) > OBJ_NAME_MAX || strlen(w->owner_name) > OBJ_NAME_MAX)
		return NULL;
	owner = find(by_name, w->owner_kind, w->ns, w->owner_name);
	if (!owner && w->kind == WORKLOAD_POD && strcmp(w->owner_kind, "ReplicaSet") == 0)
		owner = deployment_by_hash(by_name, w);
	return owner == w ? NULL : owner;
}

static const char *workload_text(struct load *l, const char *kind, const char *name)
{
	return arena_printf(l->arena, "%.63s/%.253s", kind, name);
}

/* A Pod: its owners were expanded already, up to the Deployment. */
static int adopt(struct load *l, const struct map *by_name, struct raw_workload *pod)
{
	struct raw_workload *owner = owner_of(by_name, pod);
	struct raw_workload *top = owner;

	if (!pod->owner_kind)
		return 0;
	if (owner) {
		owner->observed = true;
		if (owner->kind == WORKLOAD_REPLICA_SET && owner_of(by_name, owner))
			top = owner_of(by_name, owner);
		top->observed = true;
	}
	pod->workload = top ? workload_text(l, workload_kind_name[top->kind], top->name) :
			      workload_text(l, pod->owner_kind, pod->owner_name);
	return pod->workload ? 0 : -ENOMEM;
}

static void free_map(struct map *m)
{
	map_free(m, NULL);
}
DEFINE_CLEANUP(struct map *, free_map);

int owners_resolve(struct load *l)
{
	CLEANUP(free_mapp) struct map *by_name = NULL;
	char key[KEY_MAX];
	int r = map_new(&by_name);

	for (size_t i = 0; i < l->workloads.n && r == 0; i++) {
		struct raw_workload *w = l->workloads.v[i];

		if (w->kind == WORKLOAD_POD)
			continue;
		owner_key(key, workload_kind_name[w->kind], w->ns, w->name);
		r = map_put_str(by_name, key, w, NULL);
		w->workload = workload_text(l, workload_kind_name[w->kind], w->name);
		if (!w->workload)
			r = -ENOMEM;
	}
	for (size_t i = 0; i < l->workloads.n && r == 0; i++) {
		struct raw_workload *w = l->workloads.v[i];

		if (w->kind == WORKLOAD_POD)
			r = adopt(l, by_name, w);
		else if (owner_of(by_name, w)) /* a Deployment's ReplicaSet */
			w->observed = true;
	}
	return r;
}
