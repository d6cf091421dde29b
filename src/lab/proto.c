/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The responder's wire format, both sides, without I/O: used by the server (server.c), by responder_ask (ask.c) and
 * by load generators.
 */
#include "proto.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/util.h"

static const uint8_t request_magic[4] = { 'O', 'K', 'R', 'Q' };
static const uint8_t reply_magic[4] = { 'O', 'K', 'R', 'P' };

/* Offsets in the reply. */
enum {
	AT_ID = 4,
	AT_SIZE = 12,
	AT_FAM = 14,
	AT_ADDR = 16,
	AT_PORT = 32,
	AT_NAME_LEN = 34,
	AT_NAME = RESPONDER_REPLY_MIN
};

static void put16(uint8_t *p, uint16_t v)
{
	v = htobe16(v);
	memcpy(p, &v, sizeof(v));
}

static uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return be16toh(v);
}

static void put64(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

void responder_build_request(uint64_t id, uint16_t flags, uint16_t reply_size,
			     uint8_t buf[static RESPONDER_REQUEST_SIZE])
{
	memcpy(buf, request_magic, sizeof(request_magic));
	put64(buf + 4, id);
	put16(buf + 12, flags);
	put16(buf + 14, reply_size);
}

int responder_parse_request(const uint8_t *buf, size_t size, struct responder_request *ret)
{
	struct responder_request req;

	if (memcmp(buf, request_magic, MIN(size, sizeof(request_magic))) != 0)
		return -EBADMSG;
	if (size < RESPONDER_REQUEST_SIZE)
		return -EAGAIN;
	req = (struct responder_request){ get64(buf + 4), get16(buf + 12), get16(buf + 14) };
	if (req.flags & ~RESPONDER_CLOSE)
		return -EBADMSG;
	*ret = req;
	return 0;
}

size_t responder_build_reply(const struct responder_request *req, const char *name, const struct ip_addr *client,
			     uint16_t client_port, uint8_t buf[static RESPONDER_REPLY_MAX])
{
	size_t name_len = strnlen(name, RESPONDER_NAME_MAX);
	size_t size = MAX(RESPONDER_REPLY_MIN + name_len, MIN((size_t)req->reply_size, (size_t)RESPONDER_REPLY_MAX));

	memset(buf, 0, size);
	memcpy(buf, reply_magic, sizeof(reply_magic));
	put64(buf + AT_ID, req->id);
	put16(buf + AT_SIZE, (uint16_t)size);
	buf[AT_FAM] = client->fam == AF_INET ? 4 : client->fam == AF_INET6 ? 6 : 0;
	memcpy(buf + AT_ADDR, client->bytes, sizeof(client->bytes));
	put16(buf + AT_PORT, client_port);
	put16(buf + AT_NAME_LEN, (uint16_t)name_len);
	memcpy(buf + AT_NAME, name, name_len);
	return size;
}

static int parse_client(const uint8_t *buf, struct ip_addr *ret)
{
	struct ip_addr a = {};

	if (buf[AT_FAM] == 4)
		a.fam = AF_INET;
	else if (buf[AT_FAM] == 6)
		a.fam = AF_INET6;
	else
		return -EBADMSG;
	memcpy(a.bytes, buf + AT_ADDR, ip_addr_size(&a));
	*ret = a;
	return 0;
}

int responder_parse_reply(const uint8_t *buf, size_t size, struct responder_reply *ret, size_t *ret_size)
{
	size_t reply_size, name_len;
	struct ip_addr client;

	if (memcmp(buf, reply_magic, MIN(size, sizeof(reply_magic))) != 0)
		return -EBADMSG;
	if (size < RESPONDER_REPLY_MIN)
		return -EAGAIN;
	reply_size = get16(buf + AT_SIZE);
	name_len = get16(buf + AT_NAME_LEN);
	if (reply_size > RESPONDER_REPLY_MAX || name_len > RESPONDER_NAME_MAX ||
	    reply_size < RESPONDER_REPLY_MIN + name_len || parse_client(buf, &client) < 0)
		return -EBADMSG;
	if (size < reply_size)
		return -EAGAIN;
	if (memchr(buf + AT_NAME, '\0', name_len))
		return -EBADMSG;
	*ret = (struct responder_reply){ .id = get64(buf + AT_ID),
					 .client = client,
					 .client_port = get16(buf + AT_PORT) };
	memcpy(ret->name, buf + AT_NAME, name_len);
	*ret_size = reply_size;
	return 0;
}

int responder_peer(const struct sockaddr_storage *ss, struct ip_addr *ret, uint16_t *ret_port)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;

	if (ss->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		*ret = (struct ip_addr){ .fam = AF_INET };
		memcpy(ret->bytes, in6->sin6_addr.s6_addr + 12, 4);
		if (ret_port)
			*ret_port = ntohs(in6->sin6_port);
		return 0;
	}
	return ip_addr_from_sockaddr(ss, ret, ret_port);
}
