/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules, written with libnftnl. Called by skeleton.c (to install and to compare) and probe.c. What they do is
 * told in README.md.
 *
 * Old versions of the nft program die of a lookup whose key comes out of another lookup (they do not know its
 * length). So the map of affinity writes its answer one word ahead ("lead") of what is used as a key, and the words
 * behind it have been loaded with the reply tuple before: that is what such a program prints, and it is what they are
 * about to be.
 */
#include "rules.h"

#include <errno.h>
#include <libnftnl/expr.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"

/* ---- expressions ---- */

/* One rule under construction. */
struct writer {
	struct nftnl_rule *rule;
	const struct nft_family *f;
	struct nft_regs r;
	bool failed; /* an allocation did */
};

static struct nftnl_expr *expr(struct writer *w, const char *name)
{
	struct nftnl_expr *e = w->failed ? NULL : nftnl_expr_alloc(name);

	if (e)
		nftnl_rule_add_expr(w->rule, e);
	else
		w->failed = true;
	return e;
}

static void set_u32(struct nftnl_expr *e, uint16_t attr, uint32_t v)
{
	if (e)
		nftnl_expr_set_u32(e, attr, v);
}

static void set_str(struct writer *w, struct nftnl_expr *e, uint16_t attr, const char *s)
{
	if (e && nftnl_expr_set_str(e, attr, s) < 0)
		w->failed = true;
}

static void set_mem(struct writer *w, struct nftnl_expr *e, uint16_t attr, const void *v, uint32_t size)
{
	if (e && nftnl_expr_set(e, attr, v, size) < 0)
		w->failed = true;
}

/* As the kernel itself names them: every fourth word by the old name of the 128-bit register that begins there. */
static uint32_t reg(uint8_t word)
{
	return word % 4 ? NFT_REG32_00 + word : NFT_REG_1 + word / 4;
}

static void load_payload(struct writer *w, uint32_t base, uint32_t offset, uint32_t size, uint8_t to)
{
	struct nftnl_expr *e = expr(w, "payload");

	set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, reg(to));
	set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
	set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, size);
}

static void load_saddr(struct writer *w, uint8_t to)
{
	load_payload(w, NFT_PAYLOAD_NETWORK_HEADER, w->f->saddr_offset, w->f->addr_size, to);
}

static void load_daddr(struct writer *w, uint8_t to)
{
	load_payload(w, NFT_PAYLOAD_NETWORK_HEADER, w->f->daddr_offset, w->f->addr_size, to);
}

static void load_proto(struct writer *w, uint8_t to)
{
	struct nftnl_expr *e = expr(w, "meta");

	set_u32(e, NFTNL_EXPR_META_KEY, NFT_META_L4PROTO);
	set_u32(e, NFTNL_EXPR_META_DREG, reg(to));
}

/* CIP PROTO PORT */
static void load_service_key(struct writer *w)
{
	load_daddr(w, w->r.cip);
	load_proto(w, w->r.proto);
	load_payload(w, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, w->r.port);
}

static void load_ct(struct writer *w, uint32_t key, int dir, uint8_t to)
{
	struct nftnl_expr *e = expr(w, "ct");

	set_u32(e, NFTNL_EXPR_CT_KEY, key);
	if (e && dir >= 0)
		nftnl_expr_set_u8(e, NFTNL_EXPR_CT_DIR, (uint8_t)dir);
	set_u32(e, NFTNL_EXPR_CT_DREG, reg(to));
}

/* What stands in the words that the next lookup fills, for the eyes of the nft program. */
static void load_reply_tuple(struct writer *w)
{
	load_ct(w, w->f->ct_saddr, IP_CT_DIR_REPLY, w->r.bip);
	load_ct(w, NFT_CT_PROTO_SRC, IP_CT_DIR_REPLY, w->r.bport);
}

static void lookup(struct writer *w, enum nft_set_id set, uint8_t from)
{
	struct nftnl_expr *e = expr(w, "lookup");

	set_str(w, e, NFTNL_EXPR_LOOKUP_SET, nft_set_spec[set].name);
	set_u32(e, NFTNL_EXPR_LOOKUP_SREG, reg(from));
	if (set == SET_SERVICES)
		set_u32(e, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
}

static void lookup_map(struct writer *w, enum nft_set_id set, uint8_t from, uint8_t to)
{
	struct nftnl_expr *e = expr(w, "lookup");

	set_str(w, e, NFTNL_EXPR_LOOKUP_SET, nft_set_spec[set].name);
	set_u32(e, NFTNL_EXPR_LOOKUP_SREG, reg(from));
	set_u32(e, NFTNL_EXPR_LOOKUP_DREG, reg(to));
}

static void random_index(struct writer *w, uint32_t n)
{
	struct nftnl_expr *e = expr(w, "numgen");

	set_u32(e, NFTNL_EXPR_NG_DREG, reg(w->r.index));
	set_u32(e, NFTNL_EXPR_NG_MODULUS, n);
	set_u32(e, NFTNL_EXPR_NG_TYPE, NFT_NG_RANDOM);
}

/* Key CIP PROTO PORT SADDR, data LEAD BIP BPORT. */
static void affinity(struct writer *w, uint32_t op, uint32_t timeout_s)
{
	struct nftnl_expr *e = expr(w, "dynset");

	set_str(w, e, NFTNL_EXPR_DYNSET_SET_NAME, nft_set_spec[SET_AFFINITY].name);
	set_u32(e, NFTNL_EXPR_DYNSET_OP, op);
	set_u32(e, NFTNL_EXPR_DYNSET_SREG_KEY, reg(w->r.cip));
	set_u32(e, NFTNL_EXPR_DYNSET_SREG_DATA, reg(w->r.lead));
	if (e && op != NFT_DYNSET_OP_DELETE)
		nftnl_expr_set_u64(e, NFTNL_EXPR_DYNSET_TIMEOUT, timeout_s * 1000ull);
}

static void count(struct writer *w, enum nft_counter_id id)
{
	struct nftnl_expr *e = expr(w, "objref");

	set_u32(e, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
	set_str(w, e, NFTNL_EXPR_OBJREF_IMM_NAME, nft_counter_name[id]);
}

static void dnat(struct writer *w)
{
	struct nftnl_expr *e = expr(w, "nat");

	set_u32(e, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
	set_u32(e, NFTNL_EXPR_NAT_FAMILY, w->f->nfproto);
	set_u32(e, NFTNL_EXPR_NAT_REG_ADDR_MIN, reg(w->r.bip));
	set_u32(e, NFTNL_EXPR_NAT_REG_PROTO_MIN, reg(w->r.bport));
}

static void masquerade(struct writer *w)
{
	struct nftnl_expr *e;

	count(w, COUNTER_MASQUERADED);
	e = expr(w, "masq");
	set_u32(e, NFTNL_EXPR_MASQ_FLAGS, NF_NAT_RANGE_PROTO_RANDOM_FULLY);
}

static void reject_tcp(struct writer *w)
{
	uint8_t tcp = IPPROTO_TCP;
	struct nftnl_expr *e;

	load_proto(w, 0);
	e = expr(w, "cmp");
	set_u32(e, NFTNL_EXPR_CMP_SREG, reg(0));
	set_u32(e, NFTNL_EXPR_CMP_OP, NFT_CMP_EQ);
	set_mem(w, e, NFTNL_EXPR_CMP_DATA, &tcp, sizeof(tcp));
	set_u32(expr(w, "reject"), NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_TCP_RST);
}

static void reject(struct writer *w)
{
	struct nftnl_expr *e = expr(w, "reject");

	set_u32(e, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_ICMP_UNREACH);
	if (e)
		nftnl_expr_set_u8(e, NFTNL_EXPR_REJECT_CODE, w->f->reject_code);
}

static void go_to(struct writer *w, enum nft_chain_id chain)
{
	struct nftnl_expr *e = expr(w, "immediate");

	set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	set_u32(e, NFTNL_EXPR_IMM_VERDICT, (uint32_t)NFT_GOTO);
	set_str(w, e, NFTNL_EXPR_IMM_CHAIN, nft_chain_spec[chain].name);
}

/* (register & mask) != value */
static void mask_differs(struct writer *w, uint8_t word, uint32_t size, const void *mask, const void *value)
{
	static const uint8_t zero[16];
	struct nftnl_expr *e = expr(w, "bitwise");

	set_u32(e, NFTNL_EXPR_BITWISE_SREG, reg(word));
	set_u32(e, NFTNL_EXPR_BITWISE_DREG, reg(word));
	set_u32(e, NFTNL_EXPR_BITWISE_LEN, size);
	set_mem(w, e, NFTNL_EXPR_BITWISE_MASK, mask, size);
	set_mem(w, e, NFTNL_EXPR_BITWISE_XOR, zero, size);
	e = expr(w, "cmp");
	set_u32(e, NFTNL_EXPR_CMP_SREG, reg(word));
	set_u32(e, NFTNL_EXPR_CMP_OP, NFT_CMP_NEQ);
	set_mem(w, e, NFTNL_EXPR_CMP_DATA, value, size);
}

static void is_dnat(struct writer *w)
{
	uint32_t mask = IPS_DST_NAT, none = 0;

	load_ct(w, NFT_CT_STATUS, -1, 0);
	mask_differs(w, 0, sizeof(mask), &mask, &none);
}

static void not_from(struct writer *w, const struct ip_prefix *cidr)
{
	uint8_t mask[16] = {};

	for (uint32_t i = 0; i < cidr->len; i++)
		mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
	load_saddr(w, 0);
	mask_differs(w, 0, w->f->addr_size, mask, cidr->addr.bytes);
}

/* ---- rules ---- */

typedef void (*rule_fn)(struct writer *w, const struct chain_id *c);

static void rule_to_service(struct writer *w, const struct chain_id *c)
{
	(void)c;
	load_daddr(w, w->r.cip);
	lookup(w, SET_CLUSTER_IPS, w->r.cip);
	go_to(w, CHAIN_SERVICE);
}

static void rule_service(struct writer *w, const struct chain_id *c)
{
	(void)c;
	load_service_key(w);
	lookup(w, SET_SERVICES, w->r.cip);
}

static void rule_no_endpoints(struct writer *w, const struct chain_id *c)
{
	(void)c;
	load_service_key(w);
	lookup(w, SET_NO_ENDPOINTS, w->r.cip);
	count(w, COUNTER_NO_ENDPOINTS);
	go_to(w, CHAIN_REJECT);
}

static void rule_unknown_port(struct writer *w, const struct chain_id *c)
{
	(void)c;
	count(w, COUNTER_UNKNOWN_PORT);
	go_to(w, CHAIN_REJECT);
}

/* A reset is heard at once; an ICMP error that arrives while connect() still sends is not (README). */
static void rule_reject_tcp(struct writer *w, const struct chain_id *c)
{
	(void)c;
	reject_tcp(w);
}

static void rule_reject(struct writer *w, const struct chain_id *c)
{
	(void)c;
	reject(w);
}

static void rule_pick(struct writer *w, const struct chain_id *c)
{
	load_service_key(w);
	random_index(w, c->ref.n);
	lookup_map(w, SET_BACKENDS, w->r.cip, w->r.bip);
	lookup(w, SET_CONNECTIONS, w->r.cip);
	count(w, COUNTER_CHOSEN);
	dnat(w);
}

/* The client's backend of before, if it is still eligible; the timer starts anew. */
static void rule_remembered(struct writer *w, const struct chain_id *c)
{
	load_service_key(w);
	load_saddr(w, w->r.saddr);
	load_reply_tuple(w);
	lookup_map(w, SET_AFFINITY, w->r.cip, w->r.lead);
	load_proto(w, w->r.lead); /* the same value again */
	lookup(w, SET_ELIGIBLE, w->r.bip);
	affinity(w, NFT_DYNSET_OP_UPDATE, c->ref.timeout_s);
	lookup(w, SET_CONNECTIONS, w->r.cip);
	count(w, COUNTER_AFFINITY);
	dnat(w);
}

/* Here the memory, if any, is of a backend that went away. */
static void rule_forget(struct writer *w, const struct chain_id *c)
{
	(void)c;
	load_service_key(w);
	load_saddr(w, w->r.saddr);
	load_reply_tuple(w);
	load_proto(w, w->r.lead);
	affinity(w, NFT_DYNSET_OP_DELETE, 0);
}

static void pick_sticky(struct writer *w, const struct chain_id *c)
{
	load_service_key(w);
	random_index(w, c->ref.n);
	load_reply_tuple(w);
	lookup_map(w, SET_STICKY_BACKENDS, w->r.cip, w->r.lead);
}

static void rule_pick_and_remember(struct writer *w, const struct chain_id *c)
{
	pick_sticky(w, c);
	load_proto(w, w->r.lead);
	load_saddr(w, w->r.saddr); /* over the index */
	affinity(w, NFT_DYNSET_OP_ADD, c->ref.timeout_s);
	lookup(w, SET_CONNECTIONS, w->r.cip);
	count(w, COUNTER_CHOSEN);
	dnat(w);
}

/* The memory is full. */
static void rule_pick_sticky(struct writer *w, const struct chain_id *c)
{
	pick_sticky(w, c);
	lookup(w, SET_CONNECTIONS, w->r.cip);
	count(w, COUNTER_CHOSEN);
	dnat(w);
}

static void rule_masquerade_foreign(struct writer *w, const struct chain_id *c)
{
	is_dnat(w);
	load_ct(w, w->f->ct_daddr, IP_CT_DIR_ORIGINAL, 0);
	lookup(w, SET_CLUSTER_IPS, 0);
	not_from(w, c->pod_cidr);
	masquerade(w);
}

static void rule_masquerade_hairpin(struct writer *w, const struct chain_id *c)
{
	uint8_t a = w->f->addr_words;

	(void)c;
	is_dnat(w);
	load_saddr(w, 0);
	load_daddr(w, a);
	load_ct(w, w->f->ct_daddr, IP_CT_DIR_ORIGINAL, 2 * a);
	load_proto(w, 3 * a);
	load_ct(w, NFT_CT_PROTO_DST, IP_CT_DIR_ORIGINAL, 3 * a + 1);
	lookup(w, SET_HAIRPIN, 0);
	masquerade(w);
}

/* ---- chains ---- */

/* The text is the rule in nft's syntax; @ip stands for the family, @n, @t and @cidr for the chain's parameters. */
struct rule_def {
	rule_fn fn;
	const char *text;
};

#define KEY "@ip daddr . meta l4proto . th dport"
#define REMEMBER "{ " KEY " . @ip saddr timeout @ts : backend }"
#define PICK "numgen random mod @n"

static const struct rule_def rules_entry[] = {
	{ rule_to_service, "@ip daddr @cluster-ips goto service" },
};
static const struct rule_def rules_reject[] = {
	{ rule_reject_tcp, "meta l4proto tcp reject with tcp reset" },
	{ rule_reject, "reject" },
};
/* The second look is for a packet that saw the Service change between its two lookups: the verdict of before, the
 * backends of now. */
static const struct rule_def rules_service[] = {
	{ rule_service, KEY " vmap @services" },
	{ rule_service, KEY " vmap @services" },
	{ rule_no_endpoints, KEY " @no-endpoints counter name \"no-endpoints\" goto reject" },
	{ rule_unknown_port, "counter name \"unknown-port\" goto reject" },
};
static const struct rule_def rules_postrouting[] = {
	{ rule_masquerade_hairpin,
	  "ct status dnat @ip saddr . @ip daddr . ct original @ip daddr . meta l4proto . ct original proto-dst "
	  "@hairpin counter name \"masqueraded\" masquerade fully-random" },
	{ rule_masquerade_foreign,
	  "ct status dnat ct original @ip daddr @cluster-ips @ip saddr != @cidr counter name \"masqueraded\" "
	  "masquerade fully-random" },
};
static const struct rule_def rules_pick[] = {
	{ rule_pick, KEY " @connections counter name \"chosen\" dnat to " KEY " . " PICK " map @backends" },
};
static const struct rule_def rules_affinity[] = {
	{ rule_remembered,
	  "backend = " KEY " . @ip saddr map @affinity; backend . " KEY " @eligible update @affinity " REMEMBER " " KEY
	  " @connections counter name \"affinity\" dnat to backend" },
	{ rule_forget, "delete @affinity { " KEY " . @ip saddr }" },
	{ rule_pick_and_remember, "backend = " KEY " . " PICK " map @sticky-backends; add @affinity " REMEMBER " " KEY
				  " @connections counter name \"chosen\" dnat to backend" },
	{ rule_pick_sticky, "backend = " KEY " . " PICK " map @sticky-backends; " KEY
			    " @connections counter name \"chosen\" dnat to backend" },
};

static const struct rule_def *defs_of(const struct chain_id *c, size_t *ret_n)
{
	switch (c->id) {
	case CHAIN_PREROUTING:
	case CHAIN_OUTPUT:
		*ret_n = ARRAY_LEN(rules_entry);
		return rules_entry;
	case CHAIN_REJECT:
		*ret_n = ARRAY_LEN(rules_reject);
		return rules_reject;
	case CHAIN_SERVICE:
		*ret_n = ARRAY_LEN(rules_service);
		return rules_service;
	case CHAIN_POSTROUTING:
		*ret_n = ip_addr_is_set(&c->pod_cidr->addr) ? 2 :
							      1; /* without a pod CIDR nobody is known to be foreign */
		return rules_postrouting;
	default:
		*ret_n = c->ref.timeout_s ? ARRAY_LEN(rules_affinity) : ARRAY_LEN(rules_pick);
		return c->ref.timeout_s ? rules_affinity : rules_pick;
	}
}

const char *chain_id_name(const struct chain_id *c, char buf[static NFT_CHAIN_NAME_MAX])
{
	return c->id < CHAIN_MAX ? nft_chain_spec[c->id].name : chain_ref_name(c->ref, buf);
}

static struct nftnl_rule *build_one(const struct chain_id *c, rule_fn fn)
{
	struct writer w = { .rule = nftnl_rule_alloc(), .f = &nft_family[c->fam], .r = nft_regs(c->fam) };
	char name[NFT_CHAIN_NAME_MAX];

	if (!w.rule)
		return NULL;
	nftnl_rule_set_u32(w.rule, NFTNL_RULE_FAMILY, w.f->nfproto);
	if (nftnl_rule_set_str(w.rule, NFTNL_RULE_TABLE, TABLE_NAME) < 0 ||
	    nftnl_rule_set_str(w.rule, NFTNL_RULE_CHAIN, chain_id_name(c, name)) < 0)
		w.failed = true;
	fn(&w, c);
	if (!w.failed)
		return w.rule;
	nftnl_rule_free(w.rule);
	return NULL;
}

int rules_build(const struct chain_id *c, struct rule_list *ret)
{
	size_t n;
	const struct rule_def *defs = defs_of(c, &n);

	*ret = (struct rule_list){};
	for (size_t i = 0; i < n; i++) {
		ret->v[ret->n] = build_one(c, defs[i].fn);
		if (!ret->v[ret->n])
			return -ENOMEM;
		ret->n++;
	}
	return 0;
}

void rule_list_free(struct rule_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		nftnl_rule_free(l->v[i]);
	l->n = 0;
}

/* ---- text ---- */

static void expand(const struct chain_id *c, const char *text, struct strbuf *sb)
{
	char cidr[IP_PREFIX_STR_MAX];

	for (const char *p = text; *p; p++) {
		if (strncmp(p, "@ip ", 4) == 0) {
			strbuf_addf(sb, "%s ", nft_family[c->fam].name);
			p += 3;
		} else if (strncmp(p, "@cidr", 5) == 0) {
			strbuf_add(sb, ip_prefix_format(c->pod_cidr, cidr));
			p += 4;
		} else if (strncmp(p, "mod @n", 6) == 0) {
			strbuf_addf(sb, "mod %u", c->ref.n);
			p += 5;
		} else if (strncmp(p, "@ts ", 4) == 0) {
			strbuf_addf(sb, "%us ", c->ref.timeout_s);
			p += 3;
		} else {
			strbuf_add_char(sb, *p);
		}
	}
}

void rules_text(const struct chain_id *c, const char *indent, struct strbuf *sb)
{
	size_t n;
	const struct rule_def *defs = defs_of(c, &n);

	for (size_t i = 0; i < n; i++) {
		strbuf_add(sb, indent);
		expand(c, defs[i].text, sb);
		strbuf_add_char(sb, '\n');
	}
}

/* Removes `what`, and behind it everything up to the next space if it ends in one, from the line. */
static void drop(char *line, const char *what)
{
	char *at = strstr(line, what), *behind;

	if (!at)
		return;
	behind = at + strlen(what);
	if (behind[-1] == ' ')
		behind += strcspn(behind, " ");
	memmove(at, behind, strlen(behind) + 1);
}

/* What a kernel adds when it tells a rule, and some kernels do not: defaults, and the upper end of a range of one. */
static void drop_defaults(char *line)
{
	if (strstr(line, "[ lookup ")) {
		drop(line, " 0x0");
	} else if (strstr(line, "[ dynset ")) {
		drop(line, " timeout 0ms");
	} else if (strstr(line, "[ nat ")) {
		drop(line, " addr_max reg ");
		drop(line, " proto_max reg ");
		drop(line, " flags 0x2");
		drop(line, " flags 0x3");
	}
}

/* The lines of libnftnl that describe expressions; the first names handle and position, which differ. */
int rule_canonical(const struct nftnl_rule *r, char **ret)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	size_t size = 8192;
	CLEANUP_FREE char *text = malloc(size);
	char *save = NULL;
	int n;

	if (!text)
		return -ENOMEM;
	n = nftnl_rule_snprintf(text, size, r, NFTNL_OUTPUT_DEFAULT, 0);
	if (n < 0 || (size_t)n >= size)
		return -EMSGSIZE;
	(void)strtok_r(text, "\n", &save);
	for (char *line = strtok_r(NULL, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		drop_defaults(line);
		strbuf_addf(&sb, "%s\n", line + strspn(line, " "));
	}
	*ret = strbuf_take(&sb);
	return *ret ? 0 : -ENOMEM;
}
