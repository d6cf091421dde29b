/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random models x random connections and datagrams, in a lab under a strategy: clients and servers must see what sim says.
 *
 *	test_SUITE [--seed N] [--models N] [--asks N] [--verbose]
 */
#ifndef OFFKUBE_TESTS_DIFF_SOCKRUN_H
#define OFFKUBE_TESTS_DIFF_SOCKRUN_H

/* What main() returns. */
int sockrun_main(int argc, char **argv, const char *suite, const char *strategy);

#endif
