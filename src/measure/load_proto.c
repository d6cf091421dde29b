/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The protocols of our generator: the responder's, HTTP/1.1 and RESP (redis). Called by load_gen.c, load_file.c and load_tool.c. Replies are outside bytes: nothing
 * is believed of them. Pure.
 */
#include "load_proto.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "lab/responder.h"

#define REPLY_SIZE 64 /* of the responder */
#define VALUE_SIZE 64 /* of SET */
#define NUMBER_LEN_MAX 18

void load_name_at(const uint8_t *buf, size_t size, char ret[static LOAD_NAME_MAX])
{
	const uint8_t *end = memchr(buf, '\n', MIN(size, (size_t)LOAD_NAME_MAX));
	size_t len = end ? (size_t)(end - buf) : 0;

	memcpy(ret, buf, len);
	ret[len] = '\0';
}

/* Decimal digits from *at on; false when there is none, or more than fit. */
static bool read_number(const char *text, size_t size, size_t *at, uint64_t *ret)
{
	size_t begin = *at;
	uint64_t v = 0;

	while (*at < size && isdigit((unsigned char)text[*at]) && *at - begin < NUMBER_LEN_MAX)
		v = v * 10 + (uint64_t)(text[(*at)++] - '0');
	*ret = v;
	return *at > begin && !(*at < size && isdigit((unsigned char)text[*at]));
}

/* ---- the responder ---- */

static size_t responder_build(uint64_t id, uint8_t buf[static LOAD_REQUEST_MAX])
{
	responder_build_request(id, 0, REPLY_SIZE, buf);
	return RESPONDER_REQUEST_SIZE;
}

static int responder_parse(const uint8_t *buf, size_t size, struct load_reply *ret)
{
	struct responder_reply reply;
	int r = responder_parse_reply(buf, size, &reply, &ret->size);

	if (r == 0)
		(void)snprintf(ret->name, sizeof(ret->name), "%s", reply.name);
	return r;
}

/* ---- HTTP/1.1 ---- */

static size_t http_build(uint64_t id, uint8_t buf[static LOAD_REQUEST_MAX])
{
	static const char request[] = "GET " LOAD_HTTP_PATH " HTTP/1.1\r\nHost: offkube\r\n\r\n";

	(void)id;
	static_assert(sizeof(request) <= LOAD_REQUEST_MAX, "the request fits");
	memcpy(buf, request, sizeof(request) - 1);
	return sizeof(request) - 1;
}

/* The value of Content-Length; false when there is none, or two. */
static bool find_length(const char *head, size_t size, uint64_t *ret)
{
	static const char key[] = "\r\ncontent-length:";
	size_t len = sizeof(key) - 1;
	bool found = false;

	for (size_t i = 0; i + len < size; i++) {
		size_t at = i + len;

		if (head[i] != '\r' || strncasecmp(head + i, key, len) != 0)
			continue;
		while (at < size && head[at] == ' ')
			at++;
		if (found || !read_number(head, size, &at, ret) || at == size || head[at] != '\r')
			return false;
		found = true;
	}
	return found;
}

int load_http_head(const uint8_t *buf, size_t size, struct load_http_head *ret)
{
	static const char ok[] = "HTTP/1.1 200 ";
	size_t n = MIN(size, sizeof(ok) - 1);
	const uint8_t *end;

	if (memcmp(buf, ok, n) != 0)
		return -EBADMSG;
	end = memmem(buf, size, "\r\n\r\n", 4);
	if (!end)
		return -EAGAIN;
	ret->size = (size_t)(end - buf) + 4;
	return find_length((const char *)buf, ret->size, &ret->body_size) ? 0 : -EBADMSG;
}

static int http_parse(const uint8_t *buf, size_t size, struct load_reply *ret)
{
	struct load_http_head head;
	int r = load_http_head(buf, size, &head);

	if (r < 0)
		return r;
	if (head.body_size > LOAD_REPLY_MAX - MIN(head.size, (size_t)LOAD_REPLY_MAX))
		return -EBADMSG;
	if (size < head.size + head.body_size)
		return -EAGAIN;
	ret->size = head.size + head.body_size;
	load_name_at(buf + head.size, head.body_size, ret->name);
	return ret->name[0] ? 0 : -EBADMSG;
}

/* ---- RESP ---- */

/* GET of the value that tells who serves, and SET of another, in turn. */
static size_t redis_build(uint64_t id, uint8_t buf[static LOAD_REQUEST_MAX])
{
	int n;

	if (id % 2)
		n = snprintf((char *)buf, LOAD_REQUEST_MAX, "*2\r\n$3\r\nGET\r\n$%zu\r\n" LOAD_REDIS_KEY "\r\n",
			     sizeof(LOAD_REDIS_KEY) - 1);
	else
		n = snprintf((char *)buf, LOAD_REQUEST_MAX, "*3\r\n$3\r\nSET\r\n$4\r\nload\r\n$%d\r\n%0*llu\r\n",
			     VALUE_SIZE, VALUE_SIZE, (unsigned long long)id);
	return (size_t)n; /* constant but for the digits: it fits */
}

static int redis_parse(const uint8_t *buf, size_t size, struct load_reply *ret)
{
	const char *text = (const char *)buf;
	const uint8_t *eol = memmem(buf, size, "\r\n", 2);
	size_t at = 1;
	uint64_t len;

	ret->name[0] = '\0';
	if (size > 0 && text[0] != '+' && text[0] != '$')
		return -EBADMSG; /* an error, or nothing that we asked for */
	if (!eol)
		return size > 64 ? -EBADMSG : -EAGAIN;
	ret->size = (size_t)(eol - buf) + 2;
	if (text[0] == '+')
		return ret->size == 5 && memcmp(text, "+OK", 3) == 0 ? 0 : -EBADMSG;
	if (!read_number(text, ret->size, &at, &len) || at + 2 != ret->size || len > LOAD_REPLY_MAX / 2)
		return -EBADMSG; /* also "$-1": no such key */
	if (size < ret->size + len + 2)
		return -EAGAIN;
	load_name_at(buf + ret->size, len, ret->name);
	ret->size += len + 2;
	return ret->name[0] && memcmp(buf + ret->size - 2, "\r\n", 2) == 0 ? 0 : -EBADMSG;
}

const struct load_proto *load_proto_of(enum load_kind kind)
{
	static const struct load_proto responder = { responder_build, responder_parse };
	static const struct load_proto http = { http_build, http_parse };
	static const struct load_proto redis = { redis_build, redis_parse };

	switch (kind) {
	case LOAD_HTTP:
		return &http;
	case LOAD_REDIS:
		return &redis;
	default:
		return &responder;
	}
}
