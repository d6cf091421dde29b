/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One load of a manifest in the tests of source/. */
#ifndef OFFKUBE_TESTS_UNIT_SOURCE_CASE_H
#define OFFKUBE_TESTS_UNIT_SOURCE_CASE_H

#include <netinet/in.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "source/file.h"

struct source_case {
	struct source_file_conf conf; /* set before case_load() what shall differ */
	struct snapshot *s; /* NULL when the load failed */
	struct source_report report;
	struct err e;
	int r;
};

/*
 * Loads the pieces of text, put together, as "in.yaml". What an earlier load left is freed. A
 * failure must say why and leave the snapshot alone: asserted.
 */
#define case_load(c, ...) case_load_((c), (const char *const[]){ __VA_ARGS__, NULL })
void case_load_(struct source_case *c, const char *const *pieces);
/* The same, and it must succeed. */
#define case_good(c, ...) case_good_((c), (const char *const[]){ __VA_ARGS__, NULL })
void case_good_(struct source_case *c, const char *const *pieces);
/* It must fail with -EINVAL and exactly this path and sentence. */
#define case_bad(c, path, sentence, ...) case_bad_((c), (path), (sentence), (const char *const[]){ __VA_ARGS__, NULL })
void case_bad_(struct source_case *c, const char *path, const char *sentence, const char *const *pieces);
void case_free(struct source_case *c);

const struct service *case_service(const struct source_case *c,
				   const char *name); /* of namespace default; asserted to be there */
const struct pod *case_pod(const struct source_case *c, const char *name);
/*
 * "10.244.0.2:80@node-1 rs, ..." with r ready, s serving, t terminating; "" = none. Of TCP unless
 * the port's text says else. Static buffer.
 */
const char *case_endpoints(const struct source_case *c, const char *service, uint8_t proto, uint16_t port,
			   enum ip_family fam);
const char *case_ip(const struct ip_addr *a); /* static buffer */
/* "a-0@node-1 a-1@node-2 ...": all pods, sorted by name. Static buffer. */
const char *case_pods(const struct source_case *c);
/* Asserts that a warning contains the text. */
void case_warns(const struct source_case *c, const char *text);

/* Manifest pieces. Arguments are string literals. */
#define M_SERVICE(name, spec) "---\napiVersion: v1\nkind: Service\nmetadata: {name: " name "}\nspec: {" spec "}\n"
#define M_POD(name, app, more)                                                          \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: " name ", labels: {app: " app \
	"}}\nspec: {containers: [{name: c}]}\n" more
#define M_WORKLOAD(kind, name, spec, pod_spec)                                               \
	"---\napiVersion: apps/v1\nkind: " kind "\nmetadata: {name: " name "}\nspec: {" spec \
	"template: {metadata: {labels: {app: " name "}}, spec: {" pod_spec                   \
	"containers: [{name: c, ports: [{containerPort: 80}]}]}}}\n"
#define M_NODE(name, more) "---\napiVersion: v1\nkind: Node\nmetadata: {name: " name "}\n" more
#define M_SLICE(name, service, type, body)                                                  \
	"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: " name \
	", labels: {kubernetes.io/service-name: " service "}}\naddressType: " type "\n" body

#endif
