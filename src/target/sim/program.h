/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sim's program: the frontends of one node as lines, in text and JSON. Made by program.c,
 * carried out by target.c. */
#ifndef OFFKUBE_TARGET_SIM_PROGRAM_H
#define OFFKUBE_TARGET_SIM_PROGRAM_H

#include <stdio.h>

#include "base/err.h"
#include "base/vec.h"
#include "target/target.h"

/* One Service port in one family. The text tells all that there is: two frontends are equal when
 * their texts are. */
struct line {
	bool removed; /* update: no longer wanted */
	char *text, *json;
};

struct target_program {
	struct snapshot *from; /* NULL: full */
	struct snapshot *to;
	char *node;
	bool with_services;
	VEC(struct line) lines; /* sorted by text */
};

int program_compile(const struct target_input *in, struct target_program **ret, struct err *e);
void program_free(struct target_program *p);
int program_print(const struct target_program *p, bool json, FILE *f);

#endif
