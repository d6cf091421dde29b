/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server in every pod, and the client side of its protocol. Like agnhost's netexec it answers with who it is and whom it saw.
 *
 * Wire format, TCP and UDP alike, all integers in network order (frames carry no strings that vary in length except the name):
 *	request:  magic "OKRQ"[4]  id[8]  flags[2]  reply_size[2]  then reply_size bytes are asked for in all (at least the reply header)
 *	reply:    magic "OKRP"[4]  id[8]  size[2]  fam[1] pad[1]  client_addr[16]  client_port[2]  name_len[2]  name[name_len]  zero padding up to size
 * TCP: any number of requests on one connection, answered in order; flag RESPONDER_CLOSE: the server closes after the answer. UDP: one datagram each.
 * Anything else on the wire closes the connection (TCP) or is ignored (UDP).
 */
#ifndef OFFKUBE_LAB_RESPONDER_H
#define OFFKUBE_LAB_RESPONDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/addr.h"

#define RESPONDER_REQUEST_SIZE 16
#define RESPONDER_REPLY_MIN 36
#define RESPONDER_REPLY_MAX 1400
#define RESPONDER_CLOSE 0x0001

struct responder_port {
	uint8_t proto; /* IPPROTO_TCP or _UDP */
	uint16_t port;
};

/* Serves until the process ends: one epoll loop in the calling process's network namespace, dual-stack wildcard sockets. UDP answers leave from the address
 * that was asked. Writes one byte to ready_fd once all sockets listen, then closes it. Returns only on failure. */
int responder_run(const char *name, const struct responder_port *ports, size_t n_ports, int ready_fd, struct err *e);

struct responder_reply {
	uint64_t id;
	struct ip_addr client; /* as the server saw it */
	uint16_t client_port;
	char name[256]; /* "namespace/pod" */
};

void responder_build_request(uint64_t id, uint16_t flags, uint16_t reply_size,
			     uint8_t buf[static RESPONDER_REQUEST_SIZE]);
/* 0 and *ret_size = bytes of the reply; -EAGAIN when buf holds only part of one; -EBADMSG. */
int responder_parse_reply(const uint8_t *buf, size_t size, struct responder_reply *ret, size_t *ret_size);

/* One request on a fresh socket made inside netns_fd: connect (TCP) or send (UDP), ask, wait for the answer. 0, or -errno as the
 * client saw it (-ECONNREFUSED, -ETIMEDOUT after timeout_ms ...). local/peer (may be NULL) get what getsockname and getpeername say.
 * `from` (may be NULL): bind to that address and port first (port 0 = any). cgroup_fd over 0: as a process of that cgroup would. */
struct responder_ask {
	int netns_fd;
	int cgroup_fd;
	struct ip_addr to;
	uint16_t to_port;
	uint8_t proto;
	const struct ip_addr *from;
	uint16_t from_port;
	unsigned int timeout_ms;
};
int responder_ask(const struct responder_ask *ask, struct responder_reply *ret, struct ip_addr *ret_local,
		  uint16_t *ret_local_port);

#endif
