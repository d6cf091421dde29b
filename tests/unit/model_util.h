/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Short forms for the tests of the model: addresses from text, objects from a few words. Each fails the running test when it cannot. */
#ifndef OFFKUBE_TESTS_MODEL_UTIL_H
#define OFFKUBE_TESTS_MODEL_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "model/object.h"
#include "model/snapshot.h"

static inline struct ip_addr ip(const char *text)
{
	struct ip_addr a = { 0 };

	assert_int_equal(ip_addr_parse(text, &a), 0);
	return a;
}

static inline struct ip_prefix cidr(const char *text)
{
	struct ip_prefix p = { 0 };

	assert_int_equal(ip_prefix_parse(text, &p), 0);
	return p;
}

/* 10.x.y.z from the low 24 bits. */
static inline struct ip_addr ip4_nth(uint32_t n)
{
	return (struct ip_addr){ AF_INET, { 10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n } };
}

/* fd00::n */
static inline struct ip_addr ip6_nth(uint32_t n)
{
	return (struct ip_addr){
		AF_INET6,
		{ 0xfd, [12] = (uint8_t)(n >> 24), [13] = (uint8_t)(n >> 16), [14] = (uint8_t)(n >> 8), [15] = (uint8_t)n }
	};
}

/* A ready endpoint. */
static inline struct endpoint ready_at(const char *addr, uint16_t port)
{
	return (struct endpoint){ .addr = ip(addr), .port = port, .ready = true, .serving = true };
}

/* Of one port 80/tcp with IPv4 endpoints; cluster_ip may be NULL. */
static inline struct service *make_service(const char *name, const char *cluster_ip, const struct endpoint *ep,
					   size_t n)
{
	struct service_port port = {
		.name = "http", .proto = IPPROTO_TCP, .port = 80, .n_endpoints = { n }, .endpoints = { ep }
	};
	struct service fill = {
		.ns = "shop", .name = name, .facets = 1u << SERVICE_FACET_CLUSTER_IP, .n_ports = 1, .ports = &port
	};
	struct service *s = NULL;

	if (cluster_ip)
		fill.cluster_ip[IP_V4] = ip(cluster_ip);
	assert_int_equal(service_new(&fill, &s, NULL), 0);
	return s;
}

static inline struct pod *make_pod(const char *name, const char *addr)
{
	struct pod fill = { .ns = "shop", .name = name, .ready = true };
	struct pod *p = NULL;

	if (addr)
		fill.addr[IP_V4] = ip(addr);
	assert_int_equal(pod_new(&fill, &p, NULL), 0);
	return p;
}

/* addr and pod_cidr may be NULL. */
static inline struct node *make_node(const char *name, const char *addr, const char *pod_cidr)
{
	struct node fill = { .name = name };
	struct node *n = NULL;

	if (addr)
		fill.addr[IP_V4] = ip(addr);
	if (pod_cidr)
		fill.pod_cidr[IP_V4] = cidr(pod_cidr);
	assert_int_equal(node_new(&fill, &n, NULL), 0);
	return n;
}

/* Owned text of a snapshot. */
static inline char *dump_text(const struct snapshot *s)
{
	char *buf = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&buf, &size);

	assert_non_null(f);
	assert_int_equal(snapshot_dump(s, f), 0);
	assert_int_equal(fclose(f), 0);
	return buf;
}

#endif
