/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tuples as keys. Called by connection tables (target/sim, trace). */
#include <string.h>

#include "net/pkt.h"

struct l4_key l4_key_of(const struct l4_tuple *t)
{
	struct l4_key k;

	k.b[0] = t->src.fam;
	memcpy(k.b + 1, t->src.bytes, 16);
	k.b[17] = t->dst.fam;
	memcpy(k.b + 18, t->dst.bytes, 16);
	memcpy(k.b + 34, &t->sport, 2);
	memcpy(k.b + 36, &t->dport, 2);
	k.b[38] = t->proto;
	return k;
}
