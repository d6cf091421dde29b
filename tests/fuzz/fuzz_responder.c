/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The responder's wire format: what a client reads from a server and a server from a client, whatever stands on the
 * wire.
 */
#include <stdlib.h>
#include <string.h>

#include "lab/proto.h"

#define CHECK(x)                 \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read as a reply says the same when it is built again. */
static void check_reply(const uint8_t *data, size_t size)
{
	uint8_t again[RESPONDER_REPLY_MAX];
	struct responder_reply r, r2;
	struct responder_request req;
	size_t reply_size = 0, size2 = 0;

	if (responder_parse_reply(data, size, &r, &reply_size) < 0)
		return;
	CHECK(reply_size <= size && reply_size >= RESPONDER_REPLY_MIN && strlen(r.name) <= RESPONDER_NAME_MAX);
	req = (struct responder_request){ .id = r.id, .reply_size = (uint16_t)reply_size };
	CHECK(responder_build_reply(&req, r.name, &r.client, r.client_port, again) == reply_size);
	CHECK(responder_parse_reply(again, reply_size, &r2, &size2) == 0 && size2 == reply_size);
	CHECK(r2.id == r.id && ip_addr_eq(&r2.client, &r.client) && r2.client_port == r.client_port &&
	      strcmp(r2.name, r.name) == 0);
}

static void check_request(const uint8_t *data, size_t size)
{
	uint8_t again[RESPONDER_REQUEST_SIZE];
	struct responder_request req;

	if (responder_parse_request(data, size, &req) < 0)
		return;
	responder_build_request(req.id, req.flags, req.reply_size, again);
	CHECK(memcmp(again, data, sizeof(again)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_reply(data, size);
	check_request(data, size);
	return 0;
}
