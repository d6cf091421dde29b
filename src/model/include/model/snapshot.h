/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * struct snapshot: an immutable picture of what should be true. Persistent: a snapshot made from another shares all unchanged objects and
 * all untouched parts of its indexes (hash tries), so that an edit costs O(changed objects x log), and snapshot_diff() costs O(changed).
 *
 *	struct snapshot_edit *ed;
 *	snapshot_edit_new(old, &ed);			-- old may be NULL: from empty
 *	snapshot_edit_put_service(ed, svc, &e);		-- takes its own reference
 *	snapshot_edit_commit(ed, &new);			-- ed is gone, also on failure; old is as it was
 *
 * One thread. Readers hold a reference for as long as they use any object of it.
 */
#ifndef OFFKUBE_MODEL_SNAPSHOT_H
#define OFFKUBE_MODEL_SNAPSHOT_H

#include <stdio.h>

#include "base/cleanup.h"
#include "model/object.h"

struct snapshot;
struct snapshot_edit;

int snapshot_edit_new(const struct snapshot *base, struct snapshot_edit **ret);
void snapshot_edit_free(struct snapshot_edit *ed); /* gives up the edit */
/* Add or replace by name. -EEXIST, nothing changed, when another object, of any kind, has one of its addresses (ClusterIP, pod or node address)
 * or its pod CIDR: err names both. After -ENOMEM the edit takes nothing more, and commit returns -ENOMEM. */
int snapshot_edit_put_node(struct snapshot_edit *ed, const struct node *n, struct err *e);
int snapshot_edit_put_pod(struct snapshot_edit *ed, const struct pod *p, struct err *e);
int snapshot_edit_put_service(struct snapshot_edit *ed, const struct service *s, struct err *e);
/* -ENOENT when absent. */
int snapshot_edit_del_node(struct snapshot_edit *ed, const char *name);
int snapshot_edit_del_pod(struct snapshot_edit *ed, const char *ns, const char *name);
int snapshot_edit_del_service(struct snapshot_edit *ed, const char *ns, const char *name);
int snapshot_edit_commit(struct snapshot_edit *ed, struct snapshot **ret);

struct snapshot *snapshot_ref(const struct snapshot *s);
void snapshot_unref(struct snapshot *s); /* NULL is fine */
DEFINE_CLEANUP(struct snapshot *, snapshot_unref);

/* Lookups: NULL when absent. O(log n). The result lives as long as the snapshot. */
const struct node *snapshot_node(const struct snapshot *s, const char *name);
const struct pod *snapshot_pod(const struct snapshot *s, const char *ns, const char *name);
const struct service *snapshot_service(const struct snapshot *s, const char *ns, const char *name);
/* By address. */
const struct service *snapshot_service_by_ip(const struct snapshot *s, const struct ip_addr *cluster_ip);
const struct pod *snapshot_pod_by_ip(const struct snapshot *s, const struct ip_addr *a); /* not host-network pods */
const struct node *snapshot_node_by_ip(const struct snapshot *s, const struct ip_addr *a);
/* The node whose pod CIDR holds the address. */
const struct node *snapshot_node_by_pod_ip(const struct snapshot *s, const struct ip_addr *a);

size_t snapshot_n_nodes(const struct snapshot *s);
size_t snapshot_n_pods(const struct snapshot *s);
size_t snapshot_n_services(const struct snapshot *s);
size_t snapshot_n_endpoints(const struct snapshot *s); /* over all ports and families */

/* Calls fn for each object until it returns non-zero, and returns that. Order: undefined but the same for the same snapshot. */
int snapshot_each_node(const struct snapshot *s, int (*fn)(const struct node *n, void *arg), void *arg);
int snapshot_each_pod(const struct snapshot *s, int (*fn)(const struct pod *p, void *arg), void *arg);
int snapshot_each_service(const struct snapshot *s, int (*fn)(const struct service *svc, void *arg), void *arg);
/* Sorted by (namespace, name); the array is the caller's (free), the objects the snapshot's. */
int snapshot_sorted_nodes(const struct snapshot *s, const struct node ***ret, size_t *ret_n);
int snapshot_sorted_pods(const struct snapshot *s, const struct pod ***ret, size_t *ret_n);
int snapshot_sorted_services(const struct snapshot *s, const struct service ***ret, size_t *ret_n);

/* What differs. old or new may be NULL (empty). For an added object the old pointer is NULL, for a removed one the new. Objects that are
 * equal in content but not the same block are reported only if they differ (service_equal etc.). NULL members are skipped.
 * Stops at the first non-zero return and returns it. */
struct snapshot_diff_ops {
	int (*node)(const struct node *from, const struct node *to, void *arg);
	int (*pod)(const struct pod *from, const struct pod *to, void *arg);
	int (*service)(const struct service *from, const struct service *to, void *arg);
};
int snapshot_diff(const struct snapshot *from, const struct snapshot *to, const struct snapshot_diff_ops *ops,
		  void *arg);

/* Sorted, stable text of everything; one line an object or endpoint. For people, golden tests and bug reports. */
int snapshot_dump(const struct snapshot *s, FILE *f);

#endif
