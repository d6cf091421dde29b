/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The generator itself: runs in the child that load.c made. Private to measure/. */
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

/* Runs the whole load; fills page->result. 0 or -errno with page->failed_text. */
int load_generate(const struct load_conf *conf, const struct load_hooks *hooks, struct load_page *page);

#endif
