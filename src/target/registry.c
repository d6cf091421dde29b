/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All targets. The one file beside app/ that names a concrete target: a new target adds its line
 * here. Mandatory members are asserted whenever the list is asked for, so that a target without one
 * cannot be used at all.
 */
#include <assert.h>

#include "base/util.h"
#include "target/target.h"

extern const struct target_ops target_sim;
extern const struct target_ops target_host;
extern const struct target_ops target_nft;
extern const struct target_ops target_bpf_sock;
extern const struct target_ops target_kube_proxy;

static const struct target_ops *const targets[] = { &target_sim, &target_host, &target_nft, &target_bpf_sock,
						    &target_kube_proxy };

static const struct target_ops *checked(const struct target_ops *ops)
{
	assert(ops->name && ops->name[0] && ops->text && ops->text[0]);
	assert(ops->functions != 0 && ops->functions < 1u << FUNC_MAX);
	assert(ops->probe);
	assert(ops->compile && ops->program_free && ops->program_print);
	assert(ops->open && ops->close && ops->apply && ops->verify && ops->remove && ops->dump);
	/* Who carries Services says which. */
	assert(ops->check || !(ops->functions & (1u << FUNC_SERVICE_LB)));
	return ops;
}

size_t target_count(void)
{
	return ARRAY_LEN(targets);
}

const struct target_ops *target_at(size_t i)
{
	return i < ARRAY_LEN(targets) ? checked(targets[i]) : NULL;
}

const struct target_ops *target_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		if (str_eq(targets[i]->name, name))
			return checked(targets[i]);
	}
	return NULL;
}
