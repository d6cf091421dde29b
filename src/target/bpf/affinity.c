/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory of affinity belongs to the calls: it is never flushed. Only what belongs to a Service port that has no affinity (any more), or to another
 * Service than the address has now, is removed, so that a later Service with the same address does not inherit it. Called by apply.c.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "sock.h"

struct victims {
	const struct target_program *p;
	VEC(struct bpf_client_key) v;
};

static const struct service *owner(const struct snapshot *s, const struct bpf_vip *vip)
{
	struct ip_addr ip = bpf_addr_to_ip(&vip->addr);

	return snapshot_service_by_ip(s, &ip);
}

/* After a restart nobody knows whose the memory is: the address must do. */
static bool is_remembered_rightly(const struct target_program *p, const struct bpf_vip *vip)
{
	const struct service *now = owner(p->to, vip), *before = p->from ? owner(p->from, vip) : now;

	if (!bpf_sock_program_port(p, vip) || !(now->features & 1u << SERVICE_FEATURE_AFFINITY))
		return false;
	return before && str_eq(before->ns, now->ns) && str_eq(before->name, now->name);
}

static int note_victim(const void *key, void *arg)
{
	struct victims *victims = arg;
	struct bpf_client_key k;

	memcpy(&k, key, sizeof(k));
	return is_remembered_rightly(victims->p, &k.vip) ? 0 : vec_push(&victims->v, k);
}

/* Did this change take affinity from any Service port? Looking through all clients is for such only. */
static bool takes_affinity(const struct target_program *p)
{
	const struct entries *l = &p->del[TABLE_SERVICES];

	for (size_t i = 0; i < l->n; i++) {
		struct bpf_service svc;
		struct bpf_vip vip;

		memcpy(&svc, entry_value(TABLE_SERVICES, l, i), sizeof(svc));
		memcpy(&vip, entry_key(TABLE_SERVICES, l, i), sizeof(vip));
		if (svc.flags & BPF_SERVICE_AFFINITY && !is_remembered_rightly(p, &vip))
			return true;
	}
	return false;
}

int memory_forget_gone(const struct sock *h, const struct target_program *p, uint64_t *n_removed, struct err *e)
{
	struct victims victims = { .p = p };
	int r = 0;

	if (bpf_sock_program_is_full(p) || takes_affinity(p))
		r = map_each_key(h->map_fd[MAP_AFFINITY], sizeof(struct bpf_client_key), note_victim, &victims);
	for (size_t i = 0; i < victims.v.n && r == 0; i++) {
		r = bpf_map_delete_elem(h->map_fd[MAP_AFFINITY], &victims.v.v[i]);
		*n_removed += r == 0;
		r = r == -ENOENT ? 0 : r; /* the longest unused go by themselves */
	}
	vec_free(&victims.v);
	return r < 0 ? err_set_errno(e, r, "affinity", "cannot forget clients") : 0;
}
