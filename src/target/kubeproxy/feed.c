/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A program to the server process: each changed object in both encodings. Called by ops.c. */
#include <errno.h>

#include "base/util.h"
#include "kubeproxy.h"

static int feed_one(struct kp *h, const struct kp_change *c, struct err *e)
{
	CLEANUP_STRBUF struct strbuf json = STRBUF_INIT;
	CLEANUP_STRBUF struct strbuf proto = STRBUF_INIT;
	struct emit to_json = { .format = EMIT_JSON, .out = &json }, to_proto = { .format = EMIT_PROTO, .out = &proto };
	CLEANUP_FREE char *key = kp_change_key(c);
	uint64_t version = ++h->version;

	kp_change_emit(c, &to_json, version);
	kp_change_emit(c, &to_proto, version);
	if (!key)
		return err_set(e, -ENOMEM, NULL, "out of memory");
	return c->removed ? kp_process_del(h->process, c->kind, key, version, &json, &proto, e) :
			    kp_process_put(h->process, c->kind, key, version, &json, &proto, e);
}

int kp_feed(struct kp *h, const struct target_program *p, size_t from, size_t to, struct target_stats *stats,
	    struct err *e)
{
	int r = 0;

	for (size_t i = from; r == 0 && i < to; i++) {
		const struct kp_change *c = &p->changes.v[i];

		r = feed_one(h, c, e);
		if (r == 0)
			*(c->removed ? &stats->n_removed : &stats->n_added) += 1;
	}
	return r;
}

int kp_feed_zone_again(struct kp *h, const struct node *node, struct err *e)
{
	struct node without = *node;
	int r;

	without.zone = NULL;
	r = feed_one(h, &(struct kp_change){ .kind = API_NODE, .node = &without }, e);
	return r < 0 ? r : feed_one(h, &(struct kp_change){ .kind = API_NODE, .node = node }, e);
}
