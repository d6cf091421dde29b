/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Netlink attributes by type, from a message made here. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/nl.h"

#define TYPE_MAX 3

static void test_attrs(void **state)
{
	char buf[256] = {};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	const struct nlattr *v[TYPE_MAX + 1] = {}, *in[TYPE_MAX + 1] = {};
	struct nlattr *nest;

	(void)state;
	mnl_attr_put_u32(nlh, 1, 11);
	nest = mnl_attr_nest_start(nlh, 2);
	mnl_attr_put_u32(nlh, 3, 33);
	mnl_attr_put_u32(nlh, TYPE_MAX + 1, 44); /* a newer kernel's: passed over */
	mnl_attr_nest_end(nlh, nest);
	mnl_attr_put_u32(nlh, 100, 5);
	assert_int_equal(nl_attrs(nlh, 0, v, TYPE_MAX), 0);
	assert_non_null(v[1]);
	assert_int_equal(mnl_attr_get_u32(v[1]), 11);
	assert_null(v[3]);
	assert_int_equal(nl_attrs_nested(v[2], in, TYPE_MAX), 0);
	assert_int_equal(mnl_attr_get_u32(in[3]), 33);
	assert_null(in[1]);
	assert_int_equal(nl_attrs_nested(NULL, in, TYPE_MAX), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_attrs) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
