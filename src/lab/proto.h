/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to lab: the server's side of the responder's wire format (responder.h). Pure. */
#ifndef OFFKUBE_LAB_PROTO_H
#define OFFKUBE_LAB_PROTO_H

#include "lab/responder.h"

#define RESPONDER_NAME_MAX 255

struct responder_request {
	uint64_t id;
	uint16_t flags;
	uint16_t reply_size; /* as asked; responder_build_reply bounds it */
};

/* 0; -EAGAIN when buf holds only the beginning of a request; -EBADMSG (wrong magic, unknown flag). */
int responder_parse_request(const uint8_t *buf, size_t size, struct responder_request *ret);
/*
 * Writes the reply to `req` as `name` for a client; returns its size: what was asked for, at least the header and
 * the name, at most RESPONDER_REPLY_MAX. Names over RESPONDER_NAME_MAX are cut.
 */
size_t responder_build_reply(const struct responder_request *req, const char *name, const struct ip_addr *client,
			     uint16_t client_port, uint8_t buf[static RESPONDER_REPLY_MAX]);

/* sockaddr to address; IPv4-mapped IPv6 (dual-stack sockets) becomes IPv4. */
int responder_peer(const struct sockaddr_storage *ss, struct ip_addr *ret, uint16_t *ret_port);

#endif
