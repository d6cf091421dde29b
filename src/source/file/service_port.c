/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the ports of a Service, for service.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "service.h"

static const char *const known_port[] = { "name", "protocol", "appProtocol", "port", "targetPort", "nodePort" };

/* A number, a name, or absent (= port). */
static int read_target(const struct field *item, struct raw_service_port *p)
{
	struct field target;
	const char *name;
	int64_t number = 0;
	int r = field_any(item, "targetPort", &target);

	p->target_port = p->port;
	if (r <= 0)
		return r;
	if (field_is_int(&target)) {
		r = field_int(item, "targetPort", 1, UINT16_MAX, &number);
		p->target_port = (uint16_t)number;
		return r < 0 ? r : 0;
	}
	r = field_str(item, "targetPort", &name);
	if (r < 0)
		return r;
	if (!name_is_port(name))
		return field_err(item, "targetPort",
				 "\"%" FIELD_SHOW "\" is neither a port number nor the name of a port", name);
	p->target_port = 0;
	p->target_name = load_intern(item->obj->load, name);
	return p->target_name ? 0 : -ENOMEM;
}

static int read_node_port(struct service_fields *s, const struct field *item, const struct raw_service_port *p)
{
	struct load *l = item->obj->load;
	int64_t port = 0;
	char key[64];
	struct place *place;
	const struct place *first;
	int r = field_int(item, "nodePort", 0, UINT16_MAX, &port);

	if (r < 0 || port == 0)
		return r < 0 ? r : 0;
	if (s->type != TYPE_NODE_PORT && s->type != TYPE_LOAD_BALANCER)
		return field_err(item, "nodePort", "goes only with type NodePort or LoadBalancer");
	s->n_node_ports++;
	(void)snprintf(key, sizeof(key), "nodePort %d %d", (int)port, (int)p->proto);
	first = map_get_str(l->seen, key);
	if (first)
		return field_err(item, "nodePort", "%d is taken by the Service at %s:%u", (int)port, first->file,
				 first->line);
	place = arena_alloc(l->arena, sizeof(*place));
	if (!place)
		return -ENOMEM;
	*place = s->raw->place;
	return map_put_str(l->seen, key, place, NULL);
}

static int read_port(struct service_fields *s, const struct field *item, bool only, struct raw_service_port *p)
{
	const char *name = "";
	int64_t port = 0;
	int r = field_check_known(item, known_port, ARRAY_LEN(known_port));

	if (r < 0)
		return r;
	p->proto = IPPROTO_TCP;
	if (field_str(item, "name", &name) < 0 || field_proto(item, "protocol", &p->proto) < 0)
		return -EINVAL;
	if (!*name && !only)
		return field_err(item, NULL, "a name is missing: several ports need one each");
	if (*name && !name_is_dns_label(name))
		return field_err(item, "name", "\"%" FIELD_SHOW "\" is no name: at most 63 of a-z, 0-9 and '-'", name);
	p->name = load_intern(item->obj->load, name);
	if (!p->name)
		return -ENOMEM;
	r = field_int(item, "port", 1, UINT16_MAX, &port);
	if (r <= 0)
		return r < 0 ? r : field_err(item, NULL, "port is missing");
	p->port = (uint16_t)port;
	r = read_target(item, p);
	return r < 0 ? r : read_node_port(s, item, p);
}

static void free_map(struct map *m)
{
	map_free(m, NULL);
}
DEFINE_CLEANUP(struct map *, free_map);

/* Ports are told apart by name, and by number with protocol. */
static int check_twins(const struct field *seq, const struct raw_service_port *ports)
{
	CLEANUP(free_mapp) struct map *seen = NULL;
	int r = map_new(&seen);

	for (size_t i = 0; i < seq->node->n && r == 0; i++) {
		const uint32_t number = (uint32_t)ports[i].proto << 16 | ports[i].port;
		struct field item;

		(void)field_item(seq, i, &item); /* was read before */
		if (map_has(seen, &number, sizeof(number)))
			return field_err(&item, "port", "another port has this number and protocol");
		if (map_has(seen, ports[i].name, map_str_size(ports[i].name)))
			return field_err(&item, "name", "another port is called \"%s\"", ports[i].name);
		r = map_put(seen, &number, sizeof(number), (void *)&ports[i], NULL);
		if (r == 0)
			r = map_put_str(seen, ports[i].name, (void *)&ports[i], NULL);
	}
	return r;
}

int service_read_ports(struct service_fields *s)
{
	struct load *l = s->spec.obj->load;
	struct field seq, item;
	int r = field_seq(&s->spec, "ports", &seq);

	if (r <= 0 || seq.node->n == 0)
		return r < 0 ? r : 0;
	s->raw->ports = arena_alloc(l->arena, seq.node->n * sizeof(*s->raw->ports));
	if (!s->raw->ports)
		return -ENOMEM;
	s->raw->n_ports = seq.node->n;
	for (size_t i = 0; i < seq.node->n; i++) {
		r = field_item_map(&seq, i, &item);
		if (r > 0)
			r = read_port(s, &item, seq.node->n == 1, &s->raw->ports[i]);
		if (r < 0)
			return r;
	}
	return check_twins(&seq, s->raw->ports);
}
