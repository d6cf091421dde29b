/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bytes that libyaml gets. Called by the document reader.
 *
 * All input is checked first: UTF-8, and no character that YAML forbids, so that a binary file is called one. JSON
 * is nearly YAML, but not quite: its escaped surrogate pairs are joined here, since libyaml refuses them, and tabs
 * in front of the first brace become spaces.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "doc_impl.h"

#define BOM "\xef\xbb\xbf"
#define ESCAPE_LEN 6 /* \ud83d */

static bool is_json(const char *buf, size_t size)
{
	size_t i = 0;

	if (size >= 3 && memcmp(buf, BOM, 3) == 0)
		i = 3;
	while (i < size && isspace((unsigned char)buf[i]))
		i++;
	return i < size && (buf[i] == '{' || buf[i] == '[');
}

void doc_input_init(struct doc_input *in, const char *buf, size_t size)
{
	*in = (struct doc_input){ .buf = buf, .size = size, .json = is_json(buf, size) };
}

/* The 16 bits of "\uXXXX" at s. */
static bool read_escape(const char *s, unsigned int *ret)
{
	unsigned int v = 0;

	if (s[0] != '\\' || s[1] != 'u')
		return false;
	for (int i = 2; i < ESCAPE_LEN; i++) {
		int c = tolower((unsigned char)s[i]);

		if (!isxdigit(c))
			return false;
		v = v * 16 + (unsigned int)(isdigit(c) ? c - '0' : c - 'a' + 10);
	}
	*ret = v;
	return true;
}

/* A surrogate pair at in->at goes to `pending` as one long escape. */
static bool join_surrogates(struct doc_input *in)
{
	const char *s = in->buf + in->at;
	unsigned int high, low;

	if (in->size - in->at < 2 * ESCAPE_LEN || !read_escape(s, &high) || !read_escape(s + ESCAPE_LEN, &low))
		return false;
	if (high < 0xd800 || high > 0xdbff || low < 0xdc00 || low > 0xdfff)
		return false;
	in->n_pending = (size_t)snprintf(in->pending, sizeof(in->pending), "\\U%08x",
					 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
	in->at += 2 * ESCAPE_LEN;
	return true;
}

static char next_json_byte(struct doc_input *in)
{
	char c = in->buf[in->at++];

	if (!in->begun) {
		in->begun = c == '{' || c == '[';
		return c == '\t' ? ' ' : c;
	}
	in->escaped = c == '\\' && !in->escaped;
	return c;
}

static size_t take_pending(struct doc_input *in, unsigned char *buf, size_t size)
{
	size_t n = MIN(size, in->n_pending);

	memcpy(buf, in->pending, n);
	memmove(in->pending, in->pending + n, in->n_pending - n);
	in->n_pending -= n;
	return n;
}

int doc_input_read(void *input, unsigned char *buf, size_t size, size_t *ret_size)
{
	struct doc_input *in = input;
	size_t n = 0;

	if (!in->json) {
		n = MIN(size, in->size - in->at);
		memcpy(buf, in->buf + in->at, n);
		in->at += n;
	}
	while (in->json && n < size) {
		if (in->n_pending) {
			n += take_pending(in, buf + n, size - n);
		} else if (in->at == in->size) {
			break;
		} else if (in->buf[in->at] == '\\' && !in->escaped && join_surrogates(in)) {
			continue;
		} else {
			buf[n++] = (unsigned char)next_json_byte(in);
		}
	}
	*ret_size = n;
	return 1;
}

/* Length of the UTF-8 sequence at p and its code point; 0 if it is none. */
static size_t decode_utf8(const unsigned char *p, size_t left, uint32_t *ret)
{
	size_t n = p[0] < 0x80		 ? 1 :
		   (p[0] & 0xe0) == 0xc0 ? 2 :
		   (p[0] & 0xf0) == 0xe0 ? 3 :
		   (p[0] & 0xf8) == 0xf0 ? 4 :
					   0;
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c;

	if (!n || n > left)
		return 0;
	c = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return n;
}

/* c-printable of YAML 1.1. */
static bool is_allowed(uint32_t c)
{
	if (c < 0x20)
		return c == '\t' || c == '\n' || c == '\r';
	return c <= 0x7e || c == 0x85 || (c >= 0xa0 && c != 0xfeff && c != 0xfffe && c != 0xffff);
}

int doc_input_check(const struct doc_reader *r, struct err *e)
{
	const unsigned char *p = (const unsigned char *)r->input.buf;
	size_t left = r->input.size;
	size_t line = 1;

	if (left >= 3 && memcmp(p, BOM, 3) == 0) {
		p += 3;
		left -= 3;
	}
	while (left) {
		uint32_t c = 0;
		size_t n = decode_utf8(p, left, &c);

		if (!n)
			return doc_fail(r, line, -EINVAL, e, "this is no UTF-8 text: byte 0x%02x", *p);
		if (!is_allowed(c))
			return doc_fail(r, line, -EINVAL, e, "this is no text: character U+%04X is not allowed", c);
		line += c == '\n';
		p += n;
		left -= n;
	}
	return 0;
}
