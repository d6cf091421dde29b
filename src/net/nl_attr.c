/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Netlink attributes by type. Called by whoever reads nf_tables and ctnetlink answers. */
#include <errno.h>

#include "net/nl.h"

struct attr_table {
	const struct nlattr **v;
	uint16_t max;
};

static int put_attr(const struct nlattr *attr, void *arg)
{
	const struct attr_table *t = arg;

	if (mnl_attr_get_type(attr) <= t->max)
		t->v[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

int nl_attrs(const struct nlmsghdr *nlh, size_t hdr_size, const struct nlattr **v, uint16_t max)
{
	struct attr_table t = { v, max };

	return mnl_attr_parse(nlh, (unsigned int)hdr_size, put_attr, &t) < 0 ? -EBADMSG : 0;
}

int nl_attrs_nested(const struct nlattr *nest, const struct nlattr **v, uint16_t max)
{
	struct attr_table t = { v, max };

	return !nest || mnl_attr_parse_nested(nest, put_attr, &t) < 0 ? -EBADMSG : 0;
}
