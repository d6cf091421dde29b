/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Refusals: "this target cannot", typed. Not an error: nothing is wrong with the object, and the next target is asked.
 */
#ifndef OFFKUBE_TARGET_REFUSAL_H
#define OFFKUBE_TARGET_REFUSAL_H

#include <stddef.h>
#include <stdint.h>

enum refusal {
#define REFUSAL(id, name, text) REFUSAL_##id,
#include "target/refusals.def"
#undef REFUSAL
	REFUSAL_MAX,
};

const char *refusal_name(enum refusal r);
const char *refusal_text(enum refusal r);
int refusal_parse(const char *s);

/* One refusal about one object. */
struct refusal_note {
	enum refusal why;
	char object[320]; /* "Service shop/cart", "" = the target as a whole */
	char field[96]; /* "spec.internalTrafficPolicy", may be "" */
	char detail[160]; /* a sentence or "" ("CONFIG_NFT_FIB is not set") */
};

struct refusal_list {
	struct refusal_note *v;
	size_t n, cap;
	uint64_t count[REFUSAL_MAX]; /* all, also those beyond the bound of kept notes */
};

/* Keeps the first 10,000 notes, counts all. 0 or -ENOMEM. */
int refusal_add(struct refusal_list *l, enum refusal why, const char *object, const char *field, const char *detail);
void refusal_list_free(struct refusal_list *l);

#endif
