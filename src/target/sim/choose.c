/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which backends a new connection may get, and which of them the model itself takes. Called by
 * decide.c. */
#include <errno.h>

#include "internal.h"
#include "base/util.h"

int choose_allowed(struct sim *sim, const struct service_port *port, enum ip_family fam)
{
	static const enum sim_branch branch_of[] = {
		[SELECT_READY] = BRANCH_R8_READY,
		[SELECT_SAME_NODE] = BRANCH_R8_SAME_NODE,
		[SELECT_SAME_ZONE] = BRANCH_R8_SAME_ZONE,
		[SELECT_TERMINATING] = BRANCH_R8_TERMINATING,
	};
	enum select_mode mode = SELECT_NONE;
	size_t n;

	sim->allowed.n = 0;
	if (vec_reserve(&sim->selected, port->n_endpoints[fam] + 1) < 0 ||
	    vec_reserve(&sim->allowed, port->n_endpoints[fam] + 1) < 0)
		return -ENOMEM;
	n = service_select(port, fam, sim->node, sim->selected.v, &mode);
	for (size_t i = 0; i < n; i++)
		sim->allowed.v[i] = (struct sim_backend){ sim->selected.v[i]->addr, sim->selected.v[i]->port };
	sim->allowed.n = n;
	if (n > 0)
		hit(sim, branch_of[mode]);
	return 0;
}

static int choose_maglev(struct sim *sim, uint32_t hash, size_t *ret)
{
	const struct maglev *table;
	int r;

	if (vec_reserve(&sim->keys, sim->allowed.n) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < sim->allowed.n; i++)
		sim->keys.v[i] = (struct maglev_backend){ sim->allowed.v[i].addr, sim->allowed.v[i].port };
	r = maglev_get(sim->pool, sim->keys.v, sim->allowed.n, 0, &table);
	if (r < 0)
		return r;
	*ret = table->slot[hash & (table->m - 1)];
	maglev_put(sim->pool, table);
	hit(sim, BRANCH_R8_MAGLEV);
	return 0;
}

int choose_one(struct sim *sim, const struct service *svc, const struct l4_tuple *t, struct sim_backend *ret)
{
	struct l4_tuple hashed = *t;
	size_t i;
	int r;

	if (svc->features & (1u << SERVICE_FEATURE_AFFINITY))
		hashed.sport = 0;
	i = tuple_hash(&hashed) % sim->allowed.n;
	if (svc->choice == BACKEND_CHOICE_MAGLEV) {
		r = choose_maglev(sim, tuple_hash(&hashed), &i);
		if (r < 0)
			return r;
	}
	*ret = sim->allowed.v[i];
	return 0;
}
