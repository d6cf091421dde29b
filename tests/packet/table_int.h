/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the packet table share: table.c (files and rows), table_model.c (models),
 * table_packet.c (packets), table_run.c. */
#ifndef OFFKUBE_TESTS_PACKET_TABLE_INT_H
#define OFFKUBE_TESTS_PACKET_TABLE_INT_H

#include "base/doc.h"
#include "base/map.h"
#include "base/vec.h"
#include "table.h"

struct row {
	const char *name, *rule, *model, *node, *file;
	const struct doc_node *steps;
	unsigned int line;
};

struct file {
	char *name, *buf;
	struct doc *doc;
};

struct table {
	VEC(struct file) files; /* rows point into them */
	VEC(struct row) rows;
	struct map *models; /* name -> struct snapshot * */
};

/* A mapping may have these keys only ("a b c"). */
int table_check_keys(const struct doc_node *map, const char *keys, const char *path, struct err *e);

/* Adds models: a mapping name -> model. */
int table_read_models(struct table *t, const struct doc_node *models, struct err *e);

/* "10.0.0.1:80", "[fd00::1]:80", "10.0.0.1", "fd00::1"; port 0 when absent; "*" as port:
 * *ret_any. 0 or -EINVAL. */
int table_parse_endpoint(const char *s, struct ip_addr *ret, uint16_t *ret_port, bool *ret_any);

/* Ends of the connections that a row has named. */
struct names {
	struct {
		char name[32];
		struct l4_tuple in, out; /* first packet, before and after */
	} v[16];
	size_t n;
};

/* As table_parse_endpoint, and "$c.client", "$c.vip", "$c.source", "$c.backend". */
int table_resolve(const struct names *names, const char *s, struct ip_addr *ret, uint16_t *ret_port, bool *ret_any);

#define TABLE_PACKET_KEYS "from proto src dst tcp udp sctp icmp quote payload ttl fragment break hex"
/* Builds what a `packet:` mapping says, sent on `node` of s. */
int table_build_packet(const struct doc_node *map, const struct names *names, const struct snapshot *s,
		       const char *node, enum sim_origin *ret_origin, uint8_t *buf, size_t *ret_size, struct err *e);

#endif
