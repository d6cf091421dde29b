/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dump() and counters() of target nft: what is really there, read back for people and for reports. */
#include "nft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "base/vec.h"

/* ---- counters ---- */

/* "Service shop/cart:http"; by its address when the Service is not in the snapshot in force (or there is none yet). */
static void name_object(const struct nft *h, const struct elem_list *l, const struct elem *e, struct strbuf *sb)
{
	struct ip_addr cluster_ip = elem_cluster_ip(l, e);
	const struct service *svc = h->snapshot ? snapshot_service_by_ip(h->snapshot, &cluster_ip) : NULL;
	const struct service_port *port = svc ? service_find_port(svc, elem_proto(l, e), elem_port(l, e)) : NULL;
	char text[IP_ADDR_STR_MAX];
	const char *proto = ip_proto_name(elem_proto(l, e));

	if (port && port->name && port->name[0])
		strbuf_addf(sb, "Service %s/%s:%s", svc->ns, svc->name, port->name);
	else if (port)
		strbuf_addf(sb, "Service %s/%s", svc->ns, svc->name);
	else
		strbuf_addf(sb, "Service %s:%u/%s", ip_addr_format(&cluster_ip, text), elem_port(l, e),
			    proto ? proto : "?");
	if (svc && ip_addr_is_set(&svc->cluster_ip[IP_V4]) && ip_addr_is_set(&svc->cluster_ip[IP_V6]))
		strbuf_addf(sb, " (%s)", e->fam == IP_V4 ? "IPv4" : "IPv6");
}

static int count_services(struct nft *h, enum ip_family fam, int (*fn)(const struct target_counter *c, void *arg),
			  void *arg, struct err *e)
{
	CLEANUP(elem_list_free) struct elem_list found = {};
	struct packet_list packets = {};
	int r = readback_elems(h->nl, fam, SET_CONNECTIONS, &found, &packets, NULL, e);

	for (size_t i = 0; i < found.n && r == 0; i++) {
		CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
		struct target_counter c = { .name = "connections", .value = packets.v[i] };

		name_object(h, &found, &found.v[i], &sb);
		if (sb.failed) {
			r = -ENOMEM;
			break;
		}
		c.object = sb.buf;
		r = fn(&c, arg);
	}
	vec_free(&packets);
	return r;
}

int nft_counters(void *handle, int (*fn)(const struct target_counter *c, void *arg), void *arg, struct err *e)
{
	struct nft *h = handle;
	uint64_t sum[COUNTER_MAX] = {};
	int r = 0;

	for (int fam = 0; fam < IP_FAMILY_MAX && r == 0; fam++) {
		uint64_t v[COUNTER_MAX];

		r = readback_counters(h->nl, fam, v, e);
		for (size_t i = 0; i < COUNTER_MAX && r == 0; i++)
			sum[i] += v[i];
	}
	for (size_t i = 0; i < COUNTER_MAX && r == 0; i++) {
		struct target_counter c = { .object = "", .name = nft_counter_name[i], .value = sum[i] };

		r = fn(&c, arg);
	}
	for (int fam = 0; fam < IP_FAMILY_MAX && r == 0; fam++)
		r = count_services(h, fam, fn, arg, e);
	return r;
}

/* ---- dump ---- */

static void dump_rules(const struct skeleton *s, struct strbuf *sb)
{
	for (size_t i = 0; i < s->rules.n; i++) {
		const struct seen_rule *rule = &s->rules.v[i];

		if (i == 0 || !str_eq(rule->chain, s->rules.v[i - 1].chain))
			strbuf_addf(sb, "\tchain %s\n", rule->chain);
		strbuf_add(sb, "\t\trule\n");
		for (const char *p = rule->text; *p; p = strchr(p, '\n') + 1) /* each line ends in one */
			strbuf_addf(sb, "\t\t\t%.*s\n", (int)strcspn(p, "\n"), p);
	}
}

static int dump_set(struct nft *h, enum ip_family fam, enum nft_set_id set, struct strbuf *sb, struct err *e)
{
	CLEANUP(elem_list_free) struct elem_list found = {};
	struct packet_list packets = {};
	int r = readback_elems(h->nl, fam, set, &found, nft_set_spec[set].counter ? &packets : NULL, NULL, e);

	strbuf_addf(sb, "\t%s %s: %zu elements\n", nft_set_spec[set].data ? "map" : "set", nft_set_spec[set].name,
		    found.n);
	for (size_t i = 0; i < found.n && r == 0; i++) {
		strbuf_add(sb, "\t\t");
		elem_format_key(sb, &found, &found.v[i]);
		if (nft_set_spec[set].data) {
			strbuf_add(sb, " : ");
			elem_format_data(sb, &found, &found.v[i]);
		}
		if (i < packets.n)
			strbuf_addf(sb, " connections %llu", (unsigned long long)packets.v[i]);
		strbuf_add_char(sb, '\n');
	}
	vec_free(&packets);
	return r;
}

static int dump_family(struct nft *h, enum ip_family fam, struct strbuf *sb, struct err *e)
{
	CLEANUP(skeleton_free) struct skeleton s = {};
	uint64_t counters[COUNTER_MAX];
	int r = skeleton_read(h->nl, fam, &s, e);

	if (r < 0 || !s.exists)
		return r;
	strbuf_addf(sb, "table %s %s\n", nft_family[fam].name, TABLE_NAME);
	r = readback_counters(h->nl, fam, counters, e);
	for (size_t i = 0; i < COUNTER_MAX && r == 0; i++)
		strbuf_addf(sb, "\tcounter %s %llu\n", nft_counter_name[i], (unsigned long long)counters[i]);
	dump_rules(&s, sb);
	for (size_t set = 0; set < SET_MAX && r == 0; set++)
		r = dump_set(h, fam, set, sb, e);
	return r;
}

int nft_dump(void *handle, FILE *f, struct err *e)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	int r = 0;

	for (int fam = 0; fam < IP_FAMILY_MAX && r == 0; fam++)
		r = dump_family(handle, fam, &sb, e);
	if (r == 0 && sb.failed)
		r = -ENOMEM;
	if (r == 0 && sb.len && fwrite(sb.buf, 1, sb.len, f) != sb.len)
		r = -EIO;
	return r < 0 ? err_set_errno(e, r, NULL, "cannot list the table") : 0; /* keeps a text that is there */
}
