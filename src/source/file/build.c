/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The second half of a load: records to a snapshot, in the order in which one needs the other. Called by load.c. */
#include <errno.h>

#include "load.h"

DEFINE_CLEANUP(struct snapshot_edit *, snapshot_edit_free);

int build_take_addr(struct load *l, const struct ip_addr *a, const struct place *place, const char *what)
{
	const struct place *first = map_get(l->addrs, a, sizeof(*a));
	char text[IP_ADDR_STR_MAX];
	struct place *copy;

	if (first)
		return load_err(l, -EINVAL, place, what, "address %s is taken already, at %s:%u", ip_addr_format(a, text), first->file, first->line);
	copy = arena_alloc(l->arena, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	*copy = *place;
	return map_put(l->addrs, a, sizeof(*a), copy, NULL);
}

int build_snapshot(struct load *l, struct snapshot **ret)
{
	CLEANUP(snapshot_edit_freep) struct snapshot_edit *ed = NULL;
	int r;

	if (l->services.n == 0 && l->workloads.n == 0)
		return err_set(l->e, -EINVAL, NULL, "nothing to run: the input holds no Service and no pod");
	r = snapshot_edit_new(NULL, &ed);
	if (r == 0)
		r = nodes_build(l, ed);
	if (r == 0)
		r = pods_build(l, ed);
	if (r == 0)
		r = cluster_ip_build(l);
	if (r == 0)
		r = endpoints_build(l, ed);
	return r < 0 ? r : snapshot_edit_commit(TAKE_PTR(ed), ret);
}
