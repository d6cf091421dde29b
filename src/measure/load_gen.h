/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The generators: they run in the child that load.c made. Private to measure/. */
#ifndef OFFKUBE_MEASURE_LOAD_GEN_H
#define OFFKUBE_MEASURE_LOAD_GEN_H

#include "measure/load.h"

/* Shared with the parent, which reads it when the child has ended. */
struct load_page {
	bool done; /* the generator came to its end, well or not */
	int failed; /* -errno of the generator itself */
	char failed_text[160];
	struct load_result result;
};

/* Each runs the whole load; fills page->result. 0 or -errno with page->failed_text. */
int load_generate(const struct load_conf *conf, const struct load_hooks *hooks, struct load_page *page);
int load_file(const struct load_conf *conf, const struct load_hooks *hooks, struct load_page *page); /* load_file.c */
int load_by_tool(const struct load_conf *conf, const struct load_hooks *hooks,
		 struct load_page *page); /* load_tool.c */

/* Asks targets[0] of an `http` or `redis` load once, on a connection of its own, and has the hook judge who answered: before a program of others
 * begins, which judges nothing. 0; -EREMOTEIO: the wrong one; -errno. */
int load_probe(const struct load_conf *conf, const struct load_hooks *hooks);

#endif
