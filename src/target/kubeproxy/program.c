/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * compile(): which API objects kube-proxy is shown, or which of them change. Pure. Called through target_ops.
 *
 * kube-proxy is told of its own node only, and of the Services that check() accepts. What another node is, it reads from the endpoints.
 */
#include "kubeproxy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

DEFINE_CLEANUP(struct target_program *, kp_program_free);

#define UNDERSTOOD                                                                                                \
	(1u << SERVICE_FEATURE_AFFINITY | 1u << SERVICE_FEATURE_TOPOLOGY | 1u << SERVICE_FEATURE_EXTERNAL_LOCAL | \
	 1u << SERVICE_FEATURE_SOURCE_RANGES | 1u << SERVICE_FEATURE_SCTP)

/*
 * The model holds no addresses of the other facets, so kube-proxy cannot be shown them, and nothing that is theirs alone. It could do
 * internalTrafficPolicy: Local; sim refuses it, and what cannot be compared is not carried.
 */
uint32_t kp_check(const struct target_probe *probe, const struct service *svc, struct refusal_list *refusals)
{
	(void)probe;
	return target_check_service(svc, 1u << SERVICE_FACET_CLUSTER_IP, UNDERSTOOD, refusals);
}

bool kp_carries(const struct service *svc)
{
	return kp_check(NULL, svc, NULL) & (1u << SERVICE_FACET_CLUSTER_IP);
}

/* ---- changes ---- */

static int add_slices(struct target_program *p, const struct service *svc, struct slices **ret)
{
	struct slices *s = calloc(1, sizeof(*s));
	int r = s ? slices_make(svc, s) : -ENOMEM;

	if (r == 0)
		r = vec_push(&p->slices, s);
	if (r < 0) {
		if (s)
			slices_free(s);
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

static const struct slice *find_slice(const struct slices *s, const char *name)
{
	for (size_t i = 0; s && i < s->v.n; i++)
		if (str_eq(s->v.v[i].name, name))
			return &s->v.v[i];
	return NULL;
}

static int change_slices(struct target_program *p, const struct slices *from, const struct slices *to)
{
	int r = 0;

	for (size_t i = 0; r == 0 && to && i < to->v.n; i++) {
		const struct slice *s = &to->v.v[i], *old = find_slice(from, s->name);

		if (!old || !slice_equal(old, s))
			r = vec_push(&p->changes, (struct kp_change){ .kind = API_SLICE, .svc = s->svc, .slice = s });
	}
	for (size_t i = 0; r == 0 && from && i < from->v.n; i++) {
		const struct slice *s = &from->v.v[i];

		if (!find_slice(to, s->name))
			r = vec_push(
				&p->changes,
				(struct kp_change){ .kind = API_SLICE, .svc = s->svc, .slice = s, .removed = true });
	}
	return r;
}

/* Is the Service object the same, whatever its endpoints? */
static bool same_object(const struct service *a, const struct service *b)
{
	if (memcmp(a->cluster_ip, b->cluster_ip, sizeof(a->cluster_ip)) != 0 || a->n_ports != b->n_ports ||
	    a->affinity_timeout_s != b->affinity_timeout_s)
		return false;
	for (size_t i = 0; i < a->n_ports; i++)
		if (!str_eq(a->ports[i].name, b->ports[i].name) || a->ports[i].proto != b->ports[i].proto ||
		    a->ports[i].port != b->ports[i].port)
			return false;
	return true;
}

static int diff_service(const struct service *from, const struct service *to, void *arg)
{
	struct target_program *p = arg;
	struct slices *slices_from = NULL, *slices_to = NULL;
	int r = 0;

	from = from && kp_carries(from) ? from : NULL;
	to = to && kp_carries(to) ? to : NULL;
	if (to && (!from || !same_object(from, to)))
		r = vec_push(&p->changes, (struct kp_change){ .kind = API_SERVICE, .svc = to });
	if (r == 0 && from && !to)
		r = vec_push(&p->changes, (struct kp_change){ .kind = API_SERVICE, .svc = from, .removed = true });
	if (r == 0 && from)
		r = add_slices(p, from, &slices_from);
	if (r == 0 && to)
		r = add_slices(p, to, &slices_to);
	return r == 0 ? change_slices(p, slices_from, slices_to) : r;
}

static int each_service(const struct service *svc, void *arg)
{
	return diff_service(NULL, svc, arg);
}

/* Nodes, Services, slices; then by namespace and name, then by the slice's name. */
static int change_cmp(const void *pa, const void *pb)
{
	const struct kp_change *a = pa, *b = pb;
	int r = (int)a->kind - (int)b->kind;

	if (r == 0 && a->svc)
		r = strcmp(a->svc->ns, b->svc->ns);
	if (r == 0 && a->svc)
		r = strcmp(a->svc->name, b->svc->name);
	if (r == 0 && a->slice)
		r = strcmp(a->slice->name, b->slice->name);
	return r;
}

static int add_node(struct target_program *p, const struct node *from, const struct node *to)
{
	if (from && node_equal(from, to))
		return 0;
	return vec_push(&p->changes, (struct kp_change){ .kind = API_NODE, .node = to });
}

static char *node_cidrs(const struct node *n)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	char text[IP_PREFIX_STR_MAX];

	for (int fam = 0; fam < IP_FAMILY_MAX; fam++)
		if (ip_addr_is_set(&n->pod_cidr[fam].addr))
			strbuf_addf(&sb, "%s%s", sb.len ? "," : "", ip_prefix_format(&n->pod_cidr[fam], text));
	return strbuf_take(&sb);
}

static int fill(struct target_program *p, const struct node *from, const struct node *to)
{
	const struct snapshot_diff_ops ops = { .service = diff_service };
	int r = add_node(p, from, to);

	if (r == 0 && p->with_services)
		r = p->from ? snapshot_diff(p->from, p->to, &ops, p) : snapshot_each_service(p->to, each_service, p);
	if (r == 0 && p->changes.n > 1)
		qsort(p->changes.v, p->changes.n, sizeof(p->changes.v[0]), change_cmp);
	return r;
}

int kp_compile(const struct target_input *in, struct target_program **ret, struct err *e)
{
	CLEANUP(kp_program_freep) struct target_program *p = NULL;
	const struct node *to = snapshot_node(in->to, in->node);
	const struct node *from = in->from ? snapshot_node(in->from, in->node) : NULL;
	int r;

	if (!to || (in->from && !from))
		return err_set(e, -ENOENT, in->node, "no such node in the model");
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(e, -ENOMEM, NULL, "out of memory");
	p->from = in->from ? snapshot_ref(in->from) : NULL;
	p->to = snapshot_ref(in->to);
	p->with_services = in->with_services;
	p->node = strdup(in->node);
	p->cluster_cidr = node_cidrs(to);
	r = p->node && p->cluster_cidr ? fill(p, from, to) : -ENOMEM;
	if (r < 0)
		return err_set_errno(e, r, in->node, "cannot compile");
	*ret = TAKE_PTR(p);
	return 0;
}

void kp_program_free(struct target_program *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->slices.n; i++) {
		slices_free(p->slices.v[i]);
		free(p->slices.v[i]);
	}
	vec_free(&p->slices);
	vec_free(&p->changes);
	snapshot_unref(p->from);
	snapshot_unref(p->to);
	free(p->cluster_cidr);
	free(p->node);
	free(p);
}

/* ---- what others need to know of a change ---- */

char *kp_change_key(const struct kp_change *c)
{
	switch (c->kind) {
	case API_NODE:
		return strdup(c->node->name);
	case API_SLICE:
		return str_printf("%s/%s", c->svc->ns, c->slice->name);
	default:
		return str_printf("%s/%s", c->svc->ns, c->svc->name);
	}
}

void kp_change_emit(const struct kp_change *c, struct emit *em, uint64_t version)
{
	switch (c->kind) {
	case API_NODE:
		api_emit_node(em, c->node, version);
		break;
	case API_SLICE:
		api_emit_slice(em, c->slice, version);
		break;
	default:
		api_emit_service(em, c->svc, version);
		break;
	}
}

/* ---- printing ---- */

static int print_change(const struct kp_change *c, bool json, uint64_t version, FILE *f)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	struct emit em = { .format = json ? EMIT_JSON : EMIT_YAML, .out = &sb };
	CLEANUP_FREE char *key = kp_change_key(c);

	kp_change_emit(c, &em, version);
	if (!key || sb.failed)
		return -ENOMEM;
	if (json)
		fprintf(f, "{\"type\":\"%s\",\"object\":%s}", c->removed ? "DELETED" : "ADDED", sb.buf);
	else if (c->removed)
		fprintf(f, "---\n# deleted: %s %s\n", api_types[c->kind].kind, key);
	else
		fprintf(f, "---\n%s\n", sb.buf);
	return 0;
}

int kp_program_print(const struct target_program *p, bool json, FILE *f)
{
	const char *kind = p->from ? "update" : "full";
	int r = 0;

	if (json)
		fprintf(f,
			"{\"target\":\"kube-proxy\",\"node\":\"%s\",\"kind\":\"%s\",\"clusterCIDR\":\"%s\",\"objects\":[",
			p->node, kind, p->cluster_cidr);
	else
		fprintf(f, "# kube-proxy node %s %s: %zu objects; --cluster-cidr=%s\n", p->node, kind, p->changes.n,
			p->cluster_cidr);
	for (size_t i = 0; r == 0 && i < p->changes.n; i++) {
		if (json && i)
			fputc(',', f);
		r = print_change(&p->changes.v[i], json, i + 1, f);
	}
	if (json)
		fputs("]}\n", f);
	return r ? r : ferror(f) ? -EIO : 0;
}
