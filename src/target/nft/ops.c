/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Target "nft": Services in a table of their own in nf_tables. This file is its entry: the handle and the members
 * of target_ops. */
#include "nft.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>

#include "base/util.h"
#include "base/vec.h"

extern const struct target_ops target_nft;

static void nft_close(void *handle)
{
	struct nft *h = handle;

	if (!h)
		return;
	for (int fam = 0; fam < IP_FAMILY_MAX; fam++)
		chains_forget(h, fam);
	nl_close(h->nl);
	snapshot_unref(h->snapshot);
	free(h);
}

static int nft_open(const struct target_env *env, void **ret_handle, struct err *e)
{
	struct nft *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return err_set_errno(e, -ENOMEM, NULL, "cannot open target nft");
	r = nl_open(env->netns_fd, NETLINK_NETFILTER, &h->nl, e);
	if (r < 0) {
		free(h);
		return r;
	}
	*ret_handle = h;
	return 0;
}

const struct target_ops target_nft = {
	.name = "nft",
	.text = "Services in nf_tables, spoken over netlink",
	.functions = 1u << FUNC_SERVICE_LB | 1u << FUNC_MASQUERADE,
	.complete = true,
	.probe = nft_probe,
	.check = nft_check,
	.compile = nft_compile,
	.program_free = nft_program_free,
	.program_print = nft_program_print,
	.open = nft_open,
	.close = nft_close,
	.apply = nft_apply,
	.verify = nft_verify,
	.remove = nft_remove,
	.dump = nft_dump,
	.counters = nft_counters,
};
