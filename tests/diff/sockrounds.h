/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What single random questions cannot show: how choices spread, and what time does to affinity. Used by test_random_sockets.c. */
#ifndef OFFKUBE_TESTS_DIFF_SOCKROUNDS_H
#define OFFKUBE_TESTS_DIFF_SOCKROUNDS_H

#include "sockdiff.h"

/* Many new connections to SM_PLAIN: each backend gets its share. 0, 1 = not so (d->why), -errno. */
int sockround_spread(struct sockdiff *d);
/*
 * Every client asks SM_STICKY and again before its time is over, twice, so that only what starts the time anew keeps him where he is. Then a backend
 * goes: who had it moves, who had another does not. Then the time ends: they do not all stay. Takes three seconds.
 */
int sockround_affinity(struct sockdiff *d, struct err *e);
/* One datagram socket of IPv6 asks all Services of both families, twice: more than bpf-sock keeps for one socket. */
int sockround_many(struct sockdiff *d);

/*
 * Datagram sockets, connected and not, of a port whose backends leave in the next edit of the model (sockmodel.h), and the same sockets after it: the first are
 * ended, the others led to the backend that stays. Before: 1 or -errno may leave some open. `l` is zeroed at first.
 */
struct sockround_leaving {
	struct sd_flow v[8];
	size_t n;
};
int sockround_before_leaving(struct sockdiff *d, struct sockround_leaving *l);
int sockround_after_leaving(struct sockdiff *d, struct sockround_leaving *l); /* closes them, too */
void sockround_close_leaving(struct sockdiff *d, struct sockround_leaving *l);

#endif
