/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What our generator speaks: small requests and replies, answered in order on one connection. Private to measure/. */
#ifndef OFFKUBE_MEASURE_LOAD_PROTO_H
#define OFFKUBE_MEASURE_LOAD_PROTO_H

#include "measure/load.h"

#define LOAD_REQUEST_MAX 256
#define LOAD_REPLY_MAX 2048
#define LOAD_NAME_MAX 256

/* Servers of others tell who they are by what they serve: page, file and value begin with "namespace/pod" and a newline. */
#define LOAD_HTTP_PATH "/page"
#define LOAD_FILE_PATH "/file"
#define LOAD_REDIS_KEY "offkube"

struct load_reply {
	size_t size; /* bytes of the whole reply */
	char name[LOAD_NAME_MAX]; /* who answered; "" = this reply does not tell */
};

struct load_proto {
	/* Request number `id`; returns its size. */
	size_t (*build)(uint64_t id, uint8_t buf[static LOAD_REQUEST_MAX]);
	/* 0; -EAGAIN: not all is there; -EBADMSG: no reply of this protocol, or an error of the server. */
	int (*parse)(const uint8_t *buf, size_t size, struct load_reply *ret);
};

/* Never NULL. */
const struct load_proto *load_proto_of(enum load_kind kind);

struct load_http_head {
	size_t size; /* of the head, with the empty line */
	uint64_t body_size; /* Content-Length */
};
/* The head of a reply with status 200. As parse. */
int load_http_head(const uint8_t *buf, size_t size, struct load_http_head *ret);
/* "namespace/pod\n" at the beginning of `buf`: the name; else "". */
void load_name_at(const uint8_t *buf, size_t size, char ret[static LOAD_NAME_MAX]);

#endif
