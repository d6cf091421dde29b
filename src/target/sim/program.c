/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compiles a snapshot into sim's program and prints it. Called through target_ops by plan, trace
 * and `offkube compile --target sim`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "base/util.h"
#include "internal.h"

static void add_json_str(struct strbuf *sb, const char *s)
{
	strbuf_add_char(sb, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			strbuf_addf(sb, "\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			strbuf_addf(sb, "\\u%04x", (unsigned char)*s);
		else
			strbuf_add_char(sb, *s);
	}
	strbuf_add_char(sb, '"');
}

/* One Service port as one line. */
struct front {
	const struct service *svc;
	const struct service_port *port;
	enum ip_family fam;
	const struct endpoint **eps;
	size_t n_eps;
	enum select_mode mode;
};

static char *front_text(const struct front *fr)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	char a[IP_ADDR_STR_MAX];
	const char *open = fr->fam == IP_V6 ? "[" : "", *close = fr->fam == IP_V6 ? "]" : "";

	strbuf_addf(&sb, "%s%s%s:%u/%s", open, ip_addr_format(&fr->svc->cluster_ip[fr->fam], a), close, fr->port->port,
		    ip_proto_name(fr->port->proto));
	strbuf_addf(&sb, " %s/%s:%s", fr->svc->ns, fr->svc->name, fr->port->name);
	if (fr->n_eps == 0) {
		strbuf_add(&sb, " reject");
		return strbuf_take(&sb);
	}
	strbuf_add(&sb, fr->svc->choice == BACKEND_CHOICE_MAGLEV ? " maglev" : " random");
	if (fr->svc->features & (1u << SERVICE_FEATURE_AFFINITY))
		strbuf_addf(&sb, " affinity=%us", fr->svc->affinity_timeout_s);
	strbuf_addf(&sb, " %s:", select_mode_name[fr->mode]);
	for (size_t i = 0; i < fr->n_eps; i++)
		strbuf_addf(&sb, " %s%s%s:%u", open, ip_addr_format(&fr->eps[i]->addr, a), close, fr->eps[i]->port);
	return strbuf_take(&sb);
}

static char *front_json(const struct front *fr)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	char a[IP_ADDR_STR_MAX];

	strbuf_addf(&sb, "\"address\":\"%s\",\"port\":%u,\"proto\":\"%s\",\"namespace\":",
		    ip_addr_format(&fr->svc->cluster_ip[fr->fam], a), fr->port->port, ip_proto_name(fr->port->proto));
	add_json_str(&sb, fr->svc->ns);
	strbuf_add(&sb, ",\"service\":");
	add_json_str(&sb, fr->svc->name);
	strbuf_add(&sb, ",\"portName\":");
	add_json_str(&sb, fr->port->name);
	strbuf_addf(&sb, ",\"choice\":\"%s\"", fr->svc->choice == BACKEND_CHOICE_MAGLEV ? "maglev" : "random");
	if (fr->svc->features & (1u << SERVICE_FEATURE_AFFINITY))
		strbuf_addf(&sb, ",\"affinityTimeoutSeconds\":%u", fr->svc->affinity_timeout_s);
	strbuf_add(&sb, ",\"mode\":");
	add_json_str(&sb, select_mode_name[fr->mode]);
	strbuf_addf(&sb, ",\"reject\":%s,\"backends\":[", fr->n_eps == 0 ? "true" : "false");
	for (size_t i = 0; i < fr->n_eps; i++)
		strbuf_addf(&sb, "%s{\"ip\":\"%s\",\"port\":%u}", i ? "," : "", ip_addr_format(&fr->eps[i]->addr, a),
			    fr->eps[i]->port);
	strbuf_add_char(&sb, ']');
	return strbuf_take(&sb);
}

static int add_line(struct target_program *p, const struct front *fr, bool removed)
{
	struct line l = { removed, front_text(fr), front_json(fr) };
	int r = l.text && l.json ? vec_push(&p->lines, l) : -ENOMEM;

	if (r < 0) {
		free(l.text);
		free(l.json);
	}
	return r;
}

/* The lines of one Service as seen from `node`. */
static int add_service(struct target_program *p, const struct service *svc, const struct node *node, bool removed)
{
	if (!p->with_services || !(sim_check(svc, NULL) & (1u << SERVICE_FACET_CLUSTER_IP)))
		return 0;
	for (size_t i = 0; i < svc->n_ports; i++) {
		for (enum ip_family fam = IP_V4; fam < IP_FAMILY_MAX; fam++) {
			struct front fr = { .svc = svc, .port = &svc->ports[i], .fam = fam };
			CLEANUP_FREE const struct endpoint **eps = NULL;
			int r;

			if (!ip_addr_is_set(&svc->cluster_ip[fam]))
				continue;
			eps = malloc((fr.port->n_endpoints[fam] + 1) * sizeof(*eps)); /* + 1: never 0 */
			if (!eps)
				return -ENOMEM;
			fr.eps = eps;
			fr.n_eps = service_select(fr.port, fam, node, eps, &fr.mode);
			r = add_line(p, &fr, removed);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

struct walk {
	struct target_program *p;
	const struct node *from_node, *to_node;
	bool node_changed;
};

static int walk_added(const struct service *svc, void *arg)
{
	struct walk *w = arg;

	return add_service(w->p, svc, w->to_node, false);
}

static int walk_removed(const struct service *svc, void *arg)
{
	struct walk *w = arg;

	return add_service(w->p, svc, w->from_node, true);
}

static int diff_node(const struct node *from, const struct node *to, void *arg)
{
	struct walk *w = arg;

	if (from == w->from_node || to == w->to_node)
		w->node_changed = true;
	return 0;
}

static int diff_service(const struct service *from, const struct service *to, void *arg)
{
	int r = from ? walk_removed(from, arg) : 0;

	return r == 0 && to ? walk_added(to, arg) : r;
}

static int line_cmp(const void *a, const void *b)
{
	const struct line *la = a, *lb = b;
	int r = strcmp(la->text, lb->text);

	return r ? r : (int)lb->removed - (int)la->removed;
}

static void line_free(struct line *l)
{
	free(l->text);
	free(l->json);
}

/* Sorts; of an update, what is removed and added alike stays. */
static void settle(struct target_program *p)
{
	size_t n = 0;

	if (p->lines.n > 1)
		qsort(p->lines.v, p->lines.n, sizeof(p->lines.v[0]), line_cmp);
	for (size_t i = 0; i < p->lines.n; i++) {
		struct line *l = &p->lines.v[i];

		if (l->removed && i + 1 < p->lines.n && !l[1].removed && strcmp(l->text, l[1].text) == 0) {
			line_free(&l[0]);
			line_free(&l[1]);
			i++;
			continue;
		}
		p->lines.v[n++] = *l;
	}
	p->lines.n = n;
}

static int fill(struct target_program *p, struct walk *w)
{
	struct snapshot_diff_ops nodes = { .node = diff_node }, services = { .service = diff_service };
	int r;

	if (!p->from)
		return snapshot_each_service(p->to, walk_added, w);
	r = snapshot_diff(p->from, p->to, &nodes, w);
	if (r < 0)
		return r;
	if (!w->node_changed)
		return snapshot_diff(p->from, p->to, &services, w);
	/* The choice of endpoints depends on the node's name and zone: look at all. */
	r = snapshot_each_service(p->from, walk_removed, w);
	return r < 0 ? r : snapshot_each_service(p->to, walk_added, w);
}

int program_compile(const struct target_input *in, struct target_program **ret, struct err *e)
{
	struct target_program *p;
	struct walk w = { .from_node = in->from ? snapshot_node(in->from, in->node) : NULL,
			  .to_node = snapshot_node(in->to, in->node) };
	int r;

	if (!w.to_node || (in->from && !w.from_node))
		return err_set(e, -ENOENT, in->node, "no such node in the model");
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(e, -ENOMEM, NULL, "out of memory");
	w.p = p;
	p->from = in->from ? snapshot_ref(in->from) : NULL;
	p->to = snapshot_ref(in->to);
	p->node = strdup(in->node);
	p->with_services = in->with_services;
	r = p->node ? fill(p, &w) : -ENOMEM;
	if (r < 0) {
		program_free(p);
		return err_set_errno(e, r, in->node, "cannot compile");
	}
	settle(p);
	*ret = p;
	return 0;
}

void program_free(struct target_program *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->lines.n; i++)
		line_free(&p->lines.v[i]);
	vec_free(&p->lines);
	snapshot_unref(p->from);
	snapshot_unref(p->to);
	free(p->node);
	free(p);
}

static void print_json(const struct target_program *p, FILE *f)
{
	fprintf(f, "{\"target\":\"sim\",\"node\":\"%s\",\"kind\":\"%s\",\"frontends\":[", p->node,
		p->from ? "update" : "full");
	for (size_t i = 0; i < p->lines.n; i++) {
		const struct line *l = &p->lines.v[i];

		fprintf(f, "%s{%s%s}", i ? "," : "",
			p->from ? (l->removed ? "\"op\":\"remove\"," : "\"op\":\"add\",") : "", l->json);
	}
	fputs("]}\n", f);
}

static void print_text(const struct target_program *p, FILE *f)
{
	fprintf(f, "sim node %s %s: %zu frontends\n", p->node, p->from ? "update" : "full", p->lines.n);
	for (size_t i = 0; i < p->lines.n; i++) {
		const struct line *l = &p->lines.v[i];

		fprintf(f, "%s%s\n", p->from ? (l->removed ? "- " : "+ ") : "", l->text);
	}
}

int program_print(const struct target_program *p, bool json, FILE *f)
{
	if (json)
		print_json(p, f);
	else
		print_text(p, f);
	return ferror(f) ? -EIO : 0;
}
