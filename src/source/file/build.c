/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The second half of a load: records to a snapshot, in the order in which one needs the other.
 * Called by load.c.
 */
#include <errno.h>
#include <stdio.h>

#include "load.h"

DEFINE_CLEANUP(struct snapshot_edit *, snapshot_edit_free);

struct addr_owner {
	struct place place;
	const char *what;
};

int build_take_addr(struct load *l, const struct ip_addr *a, const struct place *place, const char *what,
		    const char *field)
{
	const struct addr_owner *first = map_get(l->addrs, a, sizeof(*a));
	char text[IP_ADDR_STR_MAX], at[200];
	struct addr_owner *owner;

	if (first) {
		(void)snprintf(at, sizeof(at), "%.150s%s%s", what, *field ? ": " : "", field);
		if (!first->place.line)
			return load_err(l, -EINVAL, place, at, "%s is an address of %s already, which is made up",
					ip_addr_format(a, text), first->what);
		return load_err(l, -EINVAL, place, at, "%s is an address of %s already, at %s:%u",
				ip_addr_format(a, text), first->what, first->place.file, first->place.line);
	}
	owner = arena_alloc(l->arena, sizeof(*owner));
	if (!owner)
		return -ENOMEM;
	*owner = (struct addr_owner){ *place, what };
	return map_put(l->addrs, a, sizeof(*a), owner, NULL);
}

int build_snapshot(struct load *l, struct snapshot **ret)
{
	CLEANUP(snapshot_edit_freep) struct snapshot_edit *ed = NULL;
	CLEANUP(snapshot_unrefp) struct snapshot *s = NULL;
	int r = snapshot_edit_new(NULL, &ed);

	if (r == 0)
		r = nodes_build(l, ed);
	if (r == 0)
		r = pods_build(l, ed);
	if (r == 0)
		r = cluster_ip_build(l);
	if (r == 0)
		r = endpoints_build(l, ed);
	if (r == 0)
		r = snapshot_edit_commit(TAKE_PTR(ed), &s);
	if (r < 0)
		return r;
	if (snapshot_n_services(s) == 0 && snapshot_n_pods(s) == 0)
		return err_set(l->e, -EINVAL, l->conf->n_paths > 1 ? NULL : l->file,
			       "nothing to run: no Service with an address, and no pod");
	*ret = TAKE_PTR(s);
	return 0;
}
