/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entries of the maps as bytes, and the difference of two lists of them. Called by compile.c, apply.c, verify.c and print.c. */
#include "table.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "base/vec.h"

/* ---- addresses ---- */

struct bpf_addr bpf_addr_of(const struct ip_addr *a)
{
	struct bpf_addr ret = {};

	if (a->fam == AF_INET6) {
		memcpy(ret.word, a->bytes, 16);
	} else if (a->fam == AF_INET) {
		ret.word[2] = htonl(0xffff);
		memcpy(&ret.word[3], a->bytes, 4);
	}
	return ret;
}

struct ip_addr bpf_addr_to_ip(const struct bpf_addr *a)
{
	struct ip_addr ret = { .fam = AF_INET6 };

	if (a->word[0] == 0 && a->word[1] == 0 && a->word[2] == htonl(0xffff)) {
		ret.fam = AF_INET;
		memcpy(ret.bytes, &a->word[3], 4);
	} else {
		memcpy(ret.bytes, a->word, 16);
	}
	return ret;
}

struct bpf_vip bpf_vip_of(const struct ip_addr *a, uint8_t proto, uint16_t port)
{
	return (struct bpf_vip){ .addr = bpf_addr_of(a), .port = htons(port), .proto = proto };
}

struct bpf_backend bpf_backend_of(const struct ip_addr *a, uint16_t port)
{
	return (struct bpf_backend){ .addr = bpf_addr_of(a), .port = htons(port) };
}

/* ---- text ---- */

static void format_addr(struct strbuf *sb, const struct bpf_addr *a)
{
	struct ip_addr ip = bpf_addr_to_ip(a);
	char text[IP_ADDR_STR_MAX];

	strbuf_add(sb, ip_addr_format(&ip, text));
}

void format_vip(struct strbuf *sb, const struct bpf_vip *vip)
{
	const char *proto = ip_proto_name(vip->proto);

	format_addr(sb, &vip->addr);
	strbuf_addf(sb, " %s %u", proto ? proto : "?", ntohs(vip->port));
}

void format_backend(struct strbuf *sb, const struct bpf_backend *b)
{
	bool v6 = bpf_addr_to_ip(&b->addr).fam == AF_INET6;

	strbuf_add(sb, v6 ? "[" : "");
	format_addr(sb, &b->addr);
	strbuf_addf(sb, "%s:%u", v6 ? "]" : "", ntohs(b->port));
}

static void key_addr(struct strbuf *sb, const void *key)
{
	format_addr(sb, key);
}

static void key_vip(struct strbuf *sb, const void *key)
{
	format_vip(sb, key);
}

static void key_backend(struct strbuf *sb, const void *key)
{
	const struct bpf_backend_key *k = key;

	format_vip(sb, &k->vip);
	strbuf_addf(sb, " %u", k->index);
}

static void key_member(struct strbuf *sb, const void *key)
{
	const struct bpf_member_key *k = key;

	format_vip(sb, &k->vip);
	strbuf_add_char(sb, ' ');
	format_backend(sb, &k->backend);
}

static void key_client(struct strbuf *sb, const void *key)
{
	const struct bpf_client_key *k = key;

	format_vip(sb, &k->vip);
	strbuf_add_char(sb, ' ');
	format_addr(sb, &k->client);
}

static void key_slots(struct strbuf *sb, const void *key)
{
	const struct bpf_slots_key *k = key;

	format_vip(sb, &k->vip);
	strbuf_addf(sb, " block %u", k->block);
}

static void value_none(struct strbuf *sb, const void *value)
{
	(void)sb;
	(void)value;
}

static void value_service(struct strbuf *sb, const void *value)
{
	const struct bpf_service *v = value;

	strbuf_addf(sb, "backends %u", v->n_backends);
	if (v->flags & BPF_SERVICE_AFFINITY)
		strbuf_addf(sb, " affinity %us", v->affinity_timeout_s);
	if (v->flags & BPF_SERVICE_MAGLEV)
		strbuf_addf(sb, " maglev %u", v->slot_mask + 1);
	if (v->flags & BPF_SERVICE_LOCAL)
		strbuf_add(sb, " local");
}

static void value_backend(struct strbuf *sb, const void *value)
{
	format_backend(sb, value);
}

static void value_member(struct strbuf *sb, const void *value)
{
	uint32_t flags;

	memcpy(&flags, value, sizeof(flags));
	strbuf_addf(sb, "%s%s%s", flags & BPF_MEMBER_ELIGIBLE ? "eligible" : "",
		    (flags & BPF_MEMBER_ELIGIBLE) && (flags & BPF_MEMBER_SERVING) ? " " : "",
		    flags & BPF_MEMBER_SERVING ? "serving" : "");
}

static void value_slots(struct strbuf *sb, const void *value)
{
	const struct bpf_slots *v = value;

	for (size_t i = 0; i < BPF_SLOTS_PER_BLOCK; i++)
		strbuf_addf(sb, i ? ",%u" : "%u", v->index[i]);
}

const struct table_spec table_spec[TABLE_MAX] = {
	[TABLE_CLUSTER_IPS] = { "cluster_ips", sizeof(struct bpf_addr), sizeof(uint32_t), key_addr, value_none },
	[TABLE_SERVICES] = { "services", sizeof(struct bpf_vip), sizeof(struct bpf_service), key_vip, value_service },
	[TABLE_BACKENDS] = { "backends", sizeof(struct bpf_backend_key), sizeof(struct bpf_backend), key_backend,
			     value_backend },
	[TABLE_MEMBERS] = { "members", sizeof(struct bpf_member_key), sizeof(uint32_t), key_member, value_member },
	[TABLE_HAIRPINS] = { "hairpins", sizeof(struct bpf_client_key), sizeof(uint32_t), key_client, value_none },
	[TABLE_SLOTS] = { "slots", sizeof(struct bpf_slots_key), sizeof(struct bpf_slots), key_slots, value_slots },
};

/* ---- lists ---- */

int entries_add(enum table_id t, struct entries *l, const void *key, const void *value)
{
	const struct table_spec *spec = &table_spec[t];
	int r = vec_grow_raw((void **)&l->bytes, &l->cap, l->n + 1, entry_size(t));
	uint8_t *at;

	if (r < 0)
		return r;
	at = l->bytes + l->n++ * entry_size(t);
	memcpy(at, key, spec->key_size);
	memcpy(at + spec->key_size, value, spec->value_size);
	return 0;
}

void entries_free(struct entries *l)
{
	free(l->bytes);
	*l = (struct entries){};
}

static int cmp_keys(const void *a, const void *b, void *arg)
{
	return memcmp(a, b, *(const uint16_t *)arg);
}

void entries_sort(enum table_id t, struct entries *l)
{
	uint16_t size = table_spec[t].key_size;

	if (l->n > 1)
		qsort_r(l->bytes, l->n, entry_size(t), cmp_keys, &size);
}

/* ---- difference ---- */

void table_ops_free(struct table_ops *ops)
{
	free(ops->put);
	free(ops->drop);
	*ops = (struct table_ops){};
}

int table_ops_build(enum table_id t, const struct entries *del, const struct entries *add, struct table_ops *ret)
{
	const struct table_spec *spec = &table_spec[t];
	struct table_ops ops = {
		.put = malloc((add->n + 1) * sizeof(*ops.put)),
		.drop = malloc((del->n + 1) * sizeof(*ops.drop)),
	};
	size_t d = 0;

	if (!ops.put || !ops.drop) {
		table_ops_free(&ops);
		return -ENOMEM;
	}
	for (size_t a = 0; a < add->n; a++) {
		int order = -1;

		while (d < del->n && (order = memcmp(entry_key(t, del, d), entry_key(t, add, a), spec->key_size)) < 0)
			ops.drop[ops.n_drop++] = (uint32_t)d++;
		if (d < del->n && order == 0) {
			if (memcmp(entry_value(t, del, d), entry_value(t, add, a), spec->value_size) != 0)
				ops.put[ops.n_put++] = (uint32_t)a;
			d++;
		} else {
			ops.put[ops.n_put++] = (uint32_t)a;
			ops.n_new++;
		}
	}
	while (d < del->n)
		ops.drop[ops.n_drop++] = (uint32_t)d++;
	*ret = ops;
	return 0;
}
