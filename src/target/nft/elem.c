/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Elements as bytes; see elem.h. Called by compile.c, readback.c, apply.c and the printers. */
#include "elem.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "base/vec.h"

void elem_list_free(struct elem_list *l)
{
	free(l->v);
	free(l->bytes);
	*l = (struct elem_list){};
}

/* ---- building ---- */

static void put(struct elem_build *b, const void *v, size_t size)
{
	assert(b->size + size <= sizeof(b->bytes));
	memcpy(b->bytes + b->size, v, size);
	b->size += size;
}

void elem_put_addr(struct elem_build *b, const struct ip_addr *a)
{
	put(b, a->bytes, ip_addr_size(a));
}

void elem_put_proto(struct elem_build *b, uint8_t proto)
{
	put(b, (uint8_t[4]){ proto }, 4);
}

void elem_put_port(struct elem_build *b, uint16_t port)
{
	put(b, (uint8_t[4]){ (uint8_t)(port >> 8), (uint8_t)port }, 4);
}

/* Host order: so does the kernel's number generator write it. */
void elem_put_index(struct elem_build *b, uint32_t index)
{
	put(b, &index, 4);
}

void elem_put_chain(struct elem_build *b, struct chain_ref c)
{
	put(b, &c, sizeof(c));
}

int elem_add(struct elem_list *l, enum nft_set_id set, enum ip_family fam, const struct service *svc,
	     const struct elem_build *b)
{
	int r;

	assert(b->size == nft_key_size(set, fam) + nft_data_size(set, fam));
	if (l->n_bytes + b->size > UINT32_MAX)
		return -ENOMEM;
	r = vec_grow_raw((void **)&l->bytes, &l->cap_bytes, l->n_bytes + b->size, 1);
	if (r == 0)
		r = vec_reserve(l, l->n + 1);
	if (r < 0)
		return r;
	memcpy(l->bytes + l->n_bytes, b->bytes, b->size);
	l->v[l->n++] =
		(struct elem){ .svc = svc, .off = (uint32_t)l->n_bytes, .fam = (uint8_t)fam, .set = (uint8_t)set };
	l->n_bytes += b->size;
	return 0;
}

/* ---- reading ---- */

struct chain_ref elem_chain(const struct elem_list *l, const struct elem *e)
{
	struct chain_ref c;

	assert(e->set == SET_SERVICES);
	memcpy(&c, elem_data(l, e), sizeof(c));
	return c;
}

struct ip_addr elem_cluster_ip(const struct elem_list *l, const struct elem *e)
{
	struct ip_addr a = { .fam = nft_family[e->fam].nfproto };

	memcpy(a.bytes, elem_key(l, e) + nft_cluster_ip_offset(e->set, e->fam), nft_family[e->fam].addr_size);
	return a;
}

static const uint8_t *behind_cluster_ip(const struct elem_list *l, const struct elem *e)
{
	return elem_key(l, e) + nft_cluster_ip_offset(e->set, e->fam) + nft_family[e->fam].addr_size;
}

uint8_t elem_proto(const struct elem_list *l, const struct elem *e)
{
	return e->set == SET_CLUSTER_IPS ? 0 : behind_cluster_ip(l, e)[0];
}

uint16_t elem_port(const struct elem_list *l, const struct elem *e)
{
	const uint8_t *p = behind_cluster_ip(l, e) + 4;

	return e->set == SET_CLUSTER_IPS ? 0 : (uint16_t)(p[0] << 8 | p[1]);
}

/* ---- finding ---- */

static uint64_t elem_hash(const struct elem_list *l, const struct elem *e)
{
	return hash_bytes(elem_key(l, e), nft_key_size(e->set, e->fam), (uint64_t)e->set << 8 | e->fam);
}

static bool is_same_key(const struct elem_list *la, const struct elem *a, const struct elem_list *lb,
			const struct elem *b)
{
	return a->set == b->set && a->fam == b->fam &&
	       memcmp(elem_key(la, a), elem_key(lb, b), nft_key_size(a->set, a->fam)) == 0;
}

int elem_index_new(const struct elem_list *list, size_t n, size_t n_max, struct elem_index *ret)
{
	struct elem_index x = { .list = list, .mask = 15 };

	while (x.mask < 2 * n_max)
		x.mask = 2 * x.mask + 1;
	x.slot = calloc(x.mask + 1, sizeof(*x.slot));
	if (!x.slot)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		elem_index_put(&x, i);
	*ret = x;
	return 0;
}

void elem_index_free(struct elem_index *x)
{
	free(x->slot);
	x->slot = NULL;
}

void elem_index_put(struct elem_index *x, size_t i)
{
	size_t at = elem_hash(x->list, &x->list->v[i]) & x->mask;

	while (x->slot[at])
		at = (at + 1) & x->mask;
	x->slot[at] = (uint32_t)i + 1;
}

size_t elem_index_find(const struct elem_index *x, const struct elem_list *of, const struct elem *e)
{
	for (size_t at = elem_hash(of, e) & x->mask; x->slot[at]; at = (at + 1) & x->mask) {
		size_t i = x->slot[at] - 1;

		if (is_same_key(x->list, &x->list->v[i], of, e))
			return i;
	}
	return ELEM_NONE;
}

/* ---- text ---- */

static void format_proto(struct strbuf *sb, uint8_t proto)
{
	const char *name = ip_proto_name(proto);

	if (name)
		strbuf_add(sb, name);
	else
		strbuf_addf(sb, "%u", proto);
}

static void format_fields(struct strbuf *sb, const char *fields, enum ip_family fam, const uint8_t *p)
{
	char text[IP_ADDR_STR_MAX], chain[NFT_CHAIN_NAME_MAX];
	struct ip_addr a;
	struct chain_ref c;
	uint32_t index;

	for (const char *f = fields; *f; f++) {
		strbuf_add(sb, f == fields ? "" : " . ");
		switch (*f) {
		case 'a':
			a = (struct ip_addr){ .fam = nft_family[fam].nfproto };
			memcpy(a.bytes, p, nft_family[fam].addr_size);
			strbuf_add(sb, ip_addr_format(&a, text));
			break;
		case 'p':
			format_proto(sb, p[0]);
			break;
		case 's':
			strbuf_addf(sb, "%u", p[0] << 8 | p[1]);
			break;
		case 'i':
			memcpy(&index, p, 4);
			strbuf_addf(sb, "%u", index);
			break;
		default:
			memcpy(&c, p, sizeof(c));
			strbuf_addf(sb, "jump %s", chain_ref_name(c, chain));
			break;
		}
		p += *f == 'a' ? nft_family[fam].addr_size : 4;
	}
}

void elem_format_key(struct strbuf *sb, const struct elem_list *l, const struct elem *e)
{
	format_fields(sb, nft_set_spec[e->set].key, e->fam, elem_key(l, e));
}

void elem_format_data(struct strbuf *sb, const struct elem_list *l, const struct elem *e)
{
	if (nft_set_spec[e->set].data)
		format_fields(sb, nft_set_spec[e->set].data, e->fam, elem_data(l, e));
}
