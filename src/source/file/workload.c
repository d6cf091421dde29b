/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads workloads (Deployment, ReplicaSet, StatefulSet, DaemonSet) and Pods. What a pod's
 * containers run is nobody's matter here: unknown fields of pod templates are passed over. pods.c
 * turns the records into pods.
 */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "load.h"
#include "taints.h"

const char *const workload_kind_name[WORKLOAD_KIND_MAX] = {
	[WORKLOAD_POD] = "Pod",
	[WORKLOAD_DEPLOYMENT] = "Deployment",
	[WORKLOAD_REPLICA_SET] = "ReplicaSet",
	[WORKLOAD_STATEFUL_SET] = "StatefulSet",
	[WORKLOAD_DAEMON_SET] = "DaemonSet",
};

static int read_port(const struct field *item, struct container_port *ret)
{
	const char *name = NULL;
	int64_t port = 0;
	int r;

	ret->proto = IPPROTO_TCP;
	r = field_int(item, "containerPort", 1, UINT16_MAX, &port);
	if (r <= 0)
		return r < 0 ? r : field_err(item, NULL, "containerPort is missing");
	if (field_proto(item, "protocol", &ret->proto) < 0 || field_str(item, "name", &name) < 0)
		return -EINVAL;
	if (name && !name_is_port(name))
		return field_err(item, "name",
				 "\"%" FIELD_SHOW
				 "\" is no name of a port: at most 15 of a-z, 0-9 and '-', one letter or more",
				 name);
	ret->port = (uint16_t)port;
	if (name) {
		ret->name = load_intern(item->obj->load, name);
		if (!ret->name)
			return -ENOMEM;
	}
	return 0;
}

static int read_ports(const struct field *container, struct pod_spec *spec)
{
	struct load *l = container->obj->load;
	struct container_port *ports;
	struct field seq, item;
	int r = field_seq(container, "ports", &seq);

	if (r <= 0 || seq.node->n == 0)
		return r < 0 ? r : 0;
	ports = arena_alloc(l->arena, (spec->n_ports + seq.node->n) * sizeof(*ports));
	if (!ports)
		return -ENOMEM;
	if (spec->n_ports)
		memcpy(ports, spec->ports, spec->n_ports * sizeof(*ports));
	spec->ports = ports;
	for (size_t i = 0; i < seq.node->n; i++) {
		r = field_item_map(&seq, i, &item);
		if (r > 0)
			r = read_port(&item, &spec->ports[spec->n_ports]);
		if (r < 0)
			return r;
		spec->n_ports++;
	}
	return 0;
}

/* One variable. valueFrom has no value here. */
static int read_env_var(const struct field *item, struct pod_spec *spec, size_t *size)
{
	struct load *l = item->obj->load;
	const char *name = NULL, *value = NULL;
	struct env_var *v = &spec->env[spec->n_env];
	size_t need;
	int r = field_str(item, "name", &name);

	if (r <= 0)
		return r < 0 ? r : field_err(item, NULL, "name is missing");
	r = field_str(item, "value", &value);
	if (r <= 0)
		return r;
	need = strlen(name) + strlen(value) + 2;
	if (strlen(value) > LOAD_ENV_VALUE_MAX || *size + need > LOAD_ENV_SIZE_MAX)
		return 0;
	*size += need;
	v->name = load_intern(l, name);
	v->value = load_intern(l, value);
	if (!v->name || !v->value)
		return -ENOMEM;
	spec->n_env++;
	return 0;
}

static int read_env(const struct field *container, struct pod_spec *spec, size_t *size)
{
	struct load *l = container->obj->load;
	struct env_var *env;
	struct field seq, item;
	int r = field_seq(container, "env", &seq);

	if (r <= 0 || seq.node->n == 0)
		return r < 0 ? r : 0;
	env = arena_alloc(l->arena, (spec->n_env + seq.node->n) * sizeof(*env));
	if (!env)
		return -ENOMEM;
	if (spec->n_env)
		memcpy(env, spec->env, spec->n_env * sizeof(*env));
	spec->env = env;
	for (size_t i = 0; i < seq.node->n; i++) {
		r = field_item_map(&seq, i, &item);
		if (r > 0)
			r = read_env_var(&item, spec, size);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Init containers count only when they stay (sidecars: restartPolicy Always). */
static int read_containers(const struct field *f, const char *key, bool sidecars_only, struct pod_spec *spec,
			   size_t *env_size)
{
	struct field seq, item;
	int r = field_seq(f, key, &seq);

	for (size_t i = 0; r > 0 && i < seq.node->n; i++) {
		const char *restart = "";

		r = field_item_map(&seq, i, &item);
		if (r > 0 && sidecars_only && field_str(&item, "restartPolicy", &restart) < 0)
			r = -EINVAL;
		if (r < 0 || (sidecars_only && strcmp(restart, "Always") != 0))
			continue;
		r = read_ports(&item, spec);
		if (r == 0)
			r = read_env(&item, spec, env_size);
		if (r == 0)
			r = 1;
	}
	return r < 0 ? r : 0;
}

/* `f` is a Pod or a template: metadata (its labels are read already) and spec. */
static int read_pod_spec(const struct field *f, struct pod_spec *spec)
{
	struct load *l = f->obj->load;
	const char *node_name = NULL;
	size_t env_size = 0;
	struct field s;
	int r = field_map(f, "spec", &s);

	if (r <= 0)
		return r < 0 ? r : field_err(f, NULL, "spec is missing");
	if (field_bool(&s, "hostNetwork", &spec->host_network) < 0 || field_str(&s, "nodeName", &node_name) < 0)
		return -EINVAL;
	if (node_name && *node_name) {
		spec->node_name = load_intern(l, node_name);
		if (!spec->node_name)
			return -ENOMEM;
	}
	r = object_read_labels(&s, "nodeSelector", &spec->node_selector);
	if (r == 0)
		r = tolerations_read(&s, spec);
	if (r == 0)
		r = read_containers(&s, "containers", false, spec, &env_size);
	if (r == 0)
		r = read_containers(&s, "initContainers", true, spec, &env_size);
	return r;
}

/* ---- workloads ---- */

static int read_template(const struct field *spec, struct raw_workload *w)
{
	struct labels match = {};
	struct field template, meta, selector;
	int r = field_map(spec, "template", &template);

	if (r <= 0)
		return r < 0 ? r : field_err(spec, NULL, "template is missing");
	r = field_map(&template, "metadata", &meta);
	if (r > 0)
		r = object_read_labels(&meta, "labels", &w->spec.labels);
	if (r < 0)
		return r;
	r = field_map(spec, "selector", &selector);
	if (r > 0)
		r = object_read_labels(&selector, "matchLabels", &match);
	if (r < 0)
		return r;
	if (!labels_match(&match, w->spec.labels.v, w->spec.labels.n))
		return field_err(&selector, "matchLabels", "does not match the labels of the template");
	return read_pod_spec(&template, &w->spec);
}

static int read_workload_spec(const struct field *root, struct raw_workload *w)
{
	struct field spec, ordinals;
	int64_t n = 1;
	int r = field_map(root, "spec", &spec);

	if (r <= 0)
		return r < 0 ? r : field_err(root, NULL, "spec is missing");
	if (field_int(&spec, "replicas", 0, LOAD_REPLICAS_MAX, &n) < 0)
		return -EINVAL;
	w->replicas = (uint64_t)n;
	r = field_map(&spec, "ordinals", &ordinals);
	n = 0;
	if (r > 0)
		r = field_int(&ordinals, "start", 0, LOAD_REPLICAS_MAX, &n);
	if (r < 0)
		return r;
	w->first_ordinal = (uint64_t)n;
	return read_template(&spec, w);
}

/* ---- Pods ---- */

static int read_pod_ips(const struct field *status, struct raw_workload *w)
{
	struct ip_addr addr;
	struct field seq, item;
	int r = field_seq(status, "podIPs", &seq);

	for (size_t i = 0; r > 0 && i < seq.node->n; i++) {
		r = field_item_map(&seq, i, &item);
		if (r > 0)
			r = field_addr(&item, "ip", &addr);
		if (r < 0)
			break;
		if (r > 0)
			w->addr[ip_addr_family(&addr)] = addr;
		r = 1;
	}
	if (r < 0)
		return r;
	r = field_addr(status, "podIP", &addr);
	if (r > 0 && !ip_addr_is_set(&w->addr[ip_addr_family(&addr)]))
		w->addr[ip_addr_family(&addr)] = addr;
	return r < 0 ? r : 0;
}

static int read_conditions(const struct field *status, struct raw_workload *w)
{
	struct field seq, item;
	int r = field_seq(status, "conditions", &seq);

	for (size_t i = 0; r > 0 && i < seq.node->n; i++) {
		const char *type = "", *value = "";

		r = field_item_map(&seq, i, &item);
		if (r > 0 && (field_str(&item, "type", &type) < 0 || field_str(&item, "status", &value) < 0))
			r = -EINVAL;
		if (r > 0 && strcmp(type, "Ready") == 0)
			w->not_ready = strcmp(value, "True") != 0;
	}
	return r < 0 ? r : 0;
}

static int read_pod_status(const struct field *root, struct raw_workload *w)
{
	const char *phase = "";
	struct field status;
	int r = field_map(root, "status", &status);

	if (r <= 0)
		return r;
	if (field_str(&status, "phase", &phase) < 0 || read_pod_ips(&status, w) < 0 || read_conditions(&status, w) < 0)
		return -EINVAL;
	w->completed = strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
	w->pending = strcmp(phase, "Pending") == 0 && !ip_addr_is_set(&w->addr[IP_V4]) &&
		     !ip_addr_is_set(&w->addr[IP_V6]);
	return 0;
}

static int read_pod(const struct field *root, struct raw_workload *w)
{
	struct field meta;

	if (field_map(root, "metadata", &meta) < 0)
		return -EINVAL;
	w->terminating = field_has(&meta, "deletionTimestamp");
	w->spec.labels = root->obj->labels;
	return read_pod_status(root, w) < 0 ? -EINVAL : read_pod_spec(root, &w->spec);
}

/* ---- both ---- */

/* The controller among the owners, if any. */
static int read_owner(const struct field *root, struct raw_workload *w)
{
	struct load *l = root->obj->load;
	struct field meta, seq, item;
	int r = field_map(root, "metadata", &meta);

	if (r > 0)
		r = field_seq(&meta, "ownerReferences", &seq);
	for (size_t i = 0; r > 0 && i < seq.node->n; i++) {
		const char *kind = NULL, *name = NULL;
		bool controller = false;

		if (field_item_map(&seq, i, &item) < 0 || field_str(&item, "kind", &kind) < 0 ||
		    field_str(&item, "name", &name) < 0 || field_bool(&item, "controller", &controller) < 0)
			return -EINVAL;
		if (!controller || !kind || !name)
			continue;
		w->owner_kind = load_intern(l, kind);
		w->owner_name = load_intern(l, name);
		return w->owner_kind && w->owner_name ? 0 : -ENOMEM;
	}
	return r < 0 ? r : 0;
}

static enum workload_kind kind_of(const char *kind)
{
	for (enum workload_kind k = 0; k < WORKLOAD_KIND_MAX; k++)
		if (strcmp(workload_kind_name[k], kind) == 0)
			return k;
	return WORKLOAD_POD;
}

int workload_read(struct object *o)
{
	const struct field root = { .obj = o, .node = o->root };
	struct load *l = o->load;
	struct raw_workload *w = arena_alloc(l->arena, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->place = o->place;
	w->kind = kind_of(o->kind);
	w->ns = o->ns;
	w->name = o->name;
	r = read_owner(&root, w);
	if (r == 0)
		r = w->kind == WORKLOAD_POD ? read_pod(&root, w) : read_workload_spec(&root, w);
	return r < 0 ? r : vec_push(&l->workloads, w);
}
