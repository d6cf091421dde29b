/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verify(), dump() and counters() of target bpf-sock: what is really there. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "sock.h"

/* ---- verify ---- */

static int stale(const struct target_program *p, enum table_id t, const struct entries *l, size_t i, const char *how,
		 struct err *e)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	struct ip_addr ip;
	const struct service *svc;

	table_spec[t].format_key(&sb, entry_key(t, l, i));
	/* Every key begins with the Service's address. */
	ip = bpf_addr_to_ip((const struct bpf_addr *)entry_key(t, l, i));
	svc = snapshot_service_by_ip(p->to, &ip);
	if (svc)
		strbuf_addf(&sb, " of Service %s/%s", svc->ns, svc->name);
	return err_set(e, -ESTALE, table_spec[t].name, "%s %s", sb.buf ? sb.buf : "", how);
}

static int verify_table(const struct sock *h, const struct target_program *p, enum table_id t, struct err *e)
{
	CLEANUP(entries_free) struct entries found = {};
	CLEANUP(table_ops_free) struct table_ops ops = {};
	int r = map_read(h->map_fd[t], t, &found);

	if (r == 0)
		r = table_ops_build(t, &found, &p->add[t], &ops);
	if (r < 0)
		return err_set_errno(e, r, table_spec[t].name, "cannot read the map");
	if (ops.n_put)
		return stale(p, t, &p->add[t], ops.put[0], ops.n_new ? "is missing" : "is not what it should be", e);
	if (ops.n_drop)
		return stale(p, t, &found, ops.drop[0], "is there, but should not be", e);
	return 0;
}

int bpf_sock_verify(void *handle, const struct target_program *full, struct err *e)
{
	struct sock *h = handle;
	enum sock_hook missing = HOOK_CONNECT4;
	int r = kernel_adopt(h, e);

	if (r < 0)
		return r;
	if (!bpf_sock_program_is_full(full))
		return err_set(e, -EINVAL, NULL, "verify needs a full program");
	r = kernel_is_attached(h, &missing);
	if (r == 0)
		return err_set(e, -ESTALE, sock_hook_name[missing], "no program of ours is attached to the cgroup");
	if (r < 0)
		return err_set_errno(e, r, h->dir, "cannot read what is attached");
	if (!h->loaded)
		return err_set(e, -ESTALE, h->dir, "a map is missing");
	r = 0;
	for (int t = 0; t < TABLE_MAX && r == 0; t++)
		r = verify_table(h, full, t, e);
	return r;
}

/* ---- dump ---- */

static int dump_table(const struct sock *h, enum table_id t, FILE *f)
{
	CLEANUP(entries_free) struct entries found = {};
	int r = map_read(h->map_fd[t], t, &found);

	if (r < 0)
		return r;
	(void)fprintf(f, "map %s: %zu of at most %u\n", table_spec[t].name, found.n, h->max_entries[t]);
	for (size_t i = 0; i < found.n; i++) {
		CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;

		table_spec[t].format_key(&sb, entry_key(t, &found, i));
		strbuf_add(&sb, " : ");
		table_spec[t].format_value(&sb, entry_value(t, &found, i));
		if (sb.failed)
			return -ENOMEM;
		(void)fprintf(f, "\t%s\n", sb.buf);
	}
	return 0;
}

int bpf_sock_dump(void *handle, FILE *f, struct err *e)
{
	struct sock *h = handle;
	enum sock_hook missing = HOOK_CONNECT4;
	int r = kernel_adopt(h, e);

	if (r < 0 || !h->loaded)
		return r;
	for (int i = 0; i < HOOK_MAX; i++)
		(void)fprintf(f, "link %s cgroup %llu\n", sock_hook_name[i], (unsigned long long)h->cgroup_id);
	r = kernel_is_attached(h, &missing);
	if (r == 0)
		(void)fprintf(f, "link %s is not attached\n", sock_hook_name[missing]);
	for (int t = 0; t < TABLE_MAX && r >= 0; t++)
		r = dump_table(h, t, f);
	if (r >= 0 && ferror(f))
		r = -EIO;
	return r < 0 ? err_set_errno(e, r, h->dir, "cannot list the maps") : 0;
}

/* ---- counters ---- */

struct counting {
	struct sock *h;
	int (*fn)(const struct target_counter *c, void *arg);
	void *arg;
};

/* "Service shop/cart:http"; by its address when the Service is not in the snapshot in force (or there is none yet). */
static void name_object(const struct sock *h, const struct bpf_vip *vip, struct strbuf *sb)
{
	struct ip_addr ip = bpf_addr_to_ip(&vip->addr);
	const struct service *svc = h->snapshot ? snapshot_service_by_ip(h->snapshot, &ip) : NULL;
	const struct service_port *port = svc ? service_find_port(svc, vip->proto, ntohs(vip->port)) : NULL;

	if (!port) {
		char text[IP_ADDR_STR_MAX];
		const char *proto = ip_proto_name(vip->proto);

		strbuf_addf(sb, "Service %s:%u/%s", ip_addr_format(&ip, text), ntohs(vip->port), proto ? proto : "?");
		return;
	}
	strbuf_addf(sb, "Service %s/%s", svc->ns, svc->name);
	if (port->name && port->name[0])
		strbuf_addf(sb, ":%s", port->name);
	if (ip_addr_is_set(&svc->cluster_ip[IP_V4]) && ip_addr_is_set(&svc->cluster_ip[IP_V6]))
		strbuf_addf(sb, " (%s)", ip.fam == AF_INET ? "IPv4" : "IPv6");
}

static int count_service(const void *key, void *arg)
{
	struct counting *c = arg;
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	struct target_counter tc = { .name = "connections" };
	struct bpf_vip vip;
	int r;

	memcpy(&vip, key, sizeof(vip));
	r = map_sum(c->h->map_fd[MAP_CONNECTIONS], &vip, &tc.value);
	if (r == -ENOENT)
		return 0;
	name_object(c->h, &vip, &sb);
	if (r == 0 && sb.failed)
		r = -ENOMEM;
	tc.object = sb.buf;
	return r ? r : c->fn(&tc, c->arg);
}

static int count_reasons(struct counting *c)
{
	int r = 0;

	for (uint32_t i = 0; i < REASON_MAX && r == 0; i++) {
		struct target_counter tc = { .object = "", .name = reason_name(i) };

		r = map_sum(c->h->map_fd[MAP_METRICS], &i, &tc.value);
		if (r == 0 && (tc.value || i == REASON_CHOSEN))
			r = c->fn(&tc, c->arg);
	}
	return r;
}

int bpf_sock_counters(void *handle, int (*fn)(const struct target_counter *c, void *arg), void *arg, struct err *e)
{
	struct counting c = { handle, fn, arg };
	int r = kernel_adopt(c.h, e);

	if (r < 0 || !c.h->loaded)
		return r;
	r = count_reasons(&c);
	if (r == 0)
		r = map_each_key(c.h->map_fd[MAP_CONNECTIONS], sizeof(struct bpf_vip), count_service, &c);
	return r < 0 ? err_set_errno(e, r, c.h->dir, "cannot read the counters") : r;
}
