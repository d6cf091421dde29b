/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads Services, with the checks that the API server makes: what it would not take is an error
 * here too, and so is a field that does not exist (a typo would lose traffic in silence). Ports are
 * in service_port.c. cluster_ip.c and endpoints.c do the rest.
 */
#include "service.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"

static const char *const known_root[] = { "apiVersion", "kind", "metadata", "spec", "status" };
static const char *const known_spec[] = {
	/* Read here. */
	"type",
	"clusterIP",
	"clusterIPs",
	"ipFamilies",
	"ipFamilyPolicy",
	"selector",
	"ports",
	"sessionAffinity",
	"sessionAffinityConfig",
	"internalTrafficPolicy",
	"externalTrafficPolicy",
	"externalIPs",
	"externalName",
	"loadBalancerSourceRanges",
	"allocateLoadBalancerNodePorts",
	"publishNotReadyAddresses",
	"trafficDistribution",
	/* No matter of ours. */
	"loadBalancerIP",
	"loadBalancerClass",
	"healthCheckNodePort",
};

/* ---- type, and who handles it ---- */

static bool headless(const struct service_fields *s)
{
	return s->n_given && !ip_addr_is_set(&s->given[0]);
}

static int read_type(struct service_fields *s)
{
	static const char *const types[] = {
		[TYPE_CLUSTER_IP] = "ClusterIP",
		[TYPE_NODE_PORT] = "NodePort",
		[TYPE_LOAD_BALANCER] = "LoadBalancer",
		[TYPE_EXTERNAL_NAME] = "ExternalName",
	};
	const char *name = NULL;
	size_t word = TYPE_CLUSTER_IP;
	int r;

	if (field_word(&s->spec, "type", types, ARRAY_LEN(types), &word) < 0 ||
	    field_str(&s->spec, "externalName", &name) < 0)
		return -EINVAL;
	s->type = word;
	if (s->type == TYPE_EXTERNAL_NAME && !name)
		return field_err(&s->spec, NULL, "externalName is missing");
	if (s->type == TYPE_EXTERNAL_NAME && s->n_given)
		return field_err(&s->spec, field_has(&s->spec, "clusterIP") ? "clusterIP" : "clusterIPs",
				 "an ExternalName Service has none");
	if (headless(s) && (s->type == TYPE_NODE_PORT || s->type == TYPE_LOAD_BALANCER))
		return field_err(&s->spec, field_has(&s->spec, "clusterIP") ? "clusterIP" : "clusterIPs",
				 "a %s Service cannot be headless", types[s->type]);
	r = field_bool(&s->spec, "publishNotReadyAddresses", &s->raw->publish_not_ready);
	return r < 0 ? r : 0;
}

/* SEMANTICS 1.2.1: Services that no proxy, or another one, handles. */
static int skip(struct service_fields *s)
{
	const struct object *o = s->spec.obj;
	struct source_report *rep = &o->load->report;

	if (s->type == TYPE_EXTERNAL_NAME)
		rep->n_external_name++;
	else if (headless(s) || labels_get(&o->labels, "service.kubernetes.io/headless"))
		rep->n_headless++;
	else if (labels_get(&o->labels, "service.kubernetes.io/service-proxy-name"))
		rep->n_other_proxy++;
	else
		return 0;
	s->raw->skipped = true;
	return 0;
}

/* ---- ClusterIPs and families ---- */

static int add_given(struct service_fields *s, const struct field *at, const char *key, const char *text)
{
	struct ip_addr *a = &s->given[s->n_given];

	if (strcmp(text, "None") == 0) {
		if (s->n_given)
			return field_err(at, key, "\"None\" stands alone");
		s->n_given = 1;
		return 0;
	}
	if (field_parse_addr(at, key, text, a) < 0)
		return -EINVAL;
	if (s->n_given && (headless(s) || a->fam == s->given[0].fam))
		return field_err(at, key, "must be of the other family than the first");
	s->n_given++;
	return 0;
}

/* clusterIP repeats the first of clusterIPs; either may stand alone. "" is none yet. */
static int read_cluster_ips(struct service_fields *s)
{
	const char *one = "", *text;
	struct field seq, item;
	int r = field_str(&s->spec, "clusterIP", &one);

	if (r < 0)
		return r;
	r = field_seq(&s->spec, "clusterIPs", &seq);
	if (r < 0)
		return r;
	if (r > 0 && seq.node->n > IP_FAMILY_MAX)
		return field_err(&s->spec, "clusterIPs", "there are at most two, one a family");
	for (size_t i = 0; r > 0 && i < seq.node->n; i++) {
		if (field_item(&seq, i, &item) < 0 || field_item_str(&seq, i, &text) < 0)
			return -EINVAL;
		if (i == 0 && *one && strcmp(one, text) != 0)
			return field_err(&s->spec, "clusterIP", "\"%" FIELD_SHOW "\" is not the first of clusterIPs",
					 one);
		if (add_given(s, &item, NULL, text) < 0)
			return -EINVAL;
	}
	if (*one && !s->n_given)
		return add_given(s, &s->spec, "clusterIP", one);
	return 0;
}

static int read_families(struct service_fields *s)
{
	static const char *const names[] = { [IP_V4] = "IPv4", [IP_V6] = "IPv6" };
	struct field seq, item;
	const char *text;
	int r = field_seq(&s->spec, "ipFamilies", &seq);

	if (r <= 0)
		return r;
	if (seq.node->n > IP_FAMILY_MAX)
		return field_err(&s->spec, "ipFamilies", "there are at most two");
	for (size_t i = 0; i < seq.node->n; i++) {
		enum ip_family fam;

		if (field_item(&seq, i, &item) < 0 || field_item_str(&seq, i, &text) < 0)
			return -EINVAL;
		if (strcmp(text, names[IP_V4]) != 0 && strcmp(text, names[IP_V6]) != 0)
			return field_err(&item, NULL, "\"%" FIELD_SHOW "\" is not known: IPv4 or IPv6", text);
		fam = strcmp(text, names[IP_V6]) == 0 ? IP_V6 : IP_V4;
		if (i && fam == s->family[0])
			return field_err(&item, NULL, "%s stands here twice", text);
		if (i < s->n_given && ip_addr_is_set(&s->given[i]) && ip_addr_family(&s->given[i]) != fam)
			return field_err(&item, NULL, "%s, but the ClusterIP in this place is not", text);
		s->family[s->n_families++] = fam;
	}
	return 0;
}

/* Which families the Service has: what is given, else IPv4; both when the policy says so. */
static int decide_families(struct service_fields *s)
{
	enum { SINGLE, PREFER, REQUIRE };
	static const char *const words[] = { "SingleStack", "PreferDualStack", "RequireDualStack" };
	size_t policy = SINGLE;
	bool many = s->n_given > 1 || s->n_families > 1;

	if (field_word(&s->spec, "ipFamilyPolicy", words, ARRAY_LEN(words), &policy) < 0)
		return -EINVAL;
	if (many && policy == SINGLE)
		return field_err(&s->spec, s->n_families > 1 ? "ipFamilies" : "clusterIPs",
				 "two of them need ipFamilyPolicy PreferDualStack or RequireDualStack");
	if (policy != SINGLE)
		s->raw->want[IP_V4] = s->raw->want[IP_V6] = true;
	else if (s->n_families)
		s->raw->want[s->family[0]] = true;
	else
		s->raw->want[s->n_given ? ip_addr_family(&s->given[0]) : IP_V4] = true;
	for (size_t i = 0; i < s->n_given; i++)
		if (ip_addr_is_set(&s->given[i]))
			s->raw->cluster_ip[ip_addr_family(&s->given[i])] = s->given[i];
	return 0;
}

/* ---- options ---- */

static int read_affinity(struct service_fields *s)
{
	static const char *const words[] = { "None", "ClientIP" };
	static const char *const known_config[] = { "clientIP" };
	static const char *const known_client[] = { "timeoutSeconds" };
	int64_t timeout_s = SERVICE_AFFINITY_TIMEOUT_DEFAULT_S;
	struct field config, client;
	size_t word = 0;
	int r;

	if (field_word(&s->spec, "sessionAffinity", words, ARRAY_LEN(words), &word) < 0)
		return -EINVAL;
	r = field_map(&s->spec, "sessionAffinityConfig", &config);
	if (r < 0)
		return r;
	if (r > 0 && word == 0)
		return field_err(&s->spec, "sessionAffinityConfig", "goes only with sessionAffinity ClientIP");
	if (r > 0 && field_check_known(&config, known_config, ARRAY_LEN(known_config)) < 0)
		return -EINVAL;
	if (r > 0)
		r = field_map(&config, "clientIP", &client);
	if (r > 0)
		r = field_check_known(&client, known_client, ARRAY_LEN(known_client)) < 0 ?
			    -EINVAL :
			    field_int(&client, "timeoutSeconds", 1, SERVICE_AFFINITY_TIMEOUT_MAX_S, &timeout_s);
	if (r < 0)
		return r;
	if (word) {
		s->raw->features |= 1u << SERVICE_FEATURE_AFFINITY;
		s->raw->affinity_timeout_s = (uint32_t)timeout_s;
	}
	return 0;
}

/* What reaches the Service from outside: NodePort, LoadBalancer, external addresses. */
static int read_external(struct service_fields *s)
{
	bool node_ports = true;
	struct ip_addr addr;
	struct field seq;
	int r = field_bool(&s->spec, "allocateLoadBalancerNodePorts", &node_ports);

	if (r < 0)
		return r;
	if (r > 0 && s->type != TYPE_LOAD_BALANCER)
		return field_err(&s->spec, "allocateLoadBalancerNodePorts", "goes only with type LoadBalancer");
	if (s->type == TYPE_NODE_PORT || (s->type == TYPE_LOAD_BALANCER && (node_ports || s->n_node_ports)))
		s->raw->facets |= 1u << SERVICE_FACET_NODE_PORT;
	if (s->type == TYPE_LOAD_BALANCER)
		s->raw->facets |= 1u << SERVICE_FACET_LOAD_BALANCER;
	r = field_seq(&s->spec, "externalIPs", &seq);
	for (size_t i = 0; r > 0 && i < seq.node->n; i++) {
		r = field_item_addr(&seq, i, &addr);
		s->raw->facets |= 1u << SERVICE_FACET_EXTERNAL_IP;
	}
	return r < 0 ? r : 0;
}

static int read_source_ranges(struct service_fields *s)
{
	struct field seq, item;
	const char *text;
	int r = field_seq(&s->spec, "loadBalancerSourceRanges", &seq);

	if (r <= 0 || seq.node->n == 0)
		return r < 0 ? r : 0;
	if (s->type != TYPE_LOAD_BALANCER)
		return field_err(&s->spec, "loadBalancerSourceRanges", "goes only with type LoadBalancer");
	for (size_t i = 0; i < seq.node->n; i++) {
		struct ip_prefix p;
		char buf[64];
		size_t len;

		if (field_item(&seq, i, &item) < 0 || field_item_str(&seq, i, &text) < 0)
			return -EINVAL;
		/* Blanks around it are allowed. */
		text += strspn(text, " \t");
		len = strcspn(text, " \t");
		if (len >= sizeof(buf) || text[len + strspn(text + len, " \t")])
			return field_err(&item, NULL, "\"%" FIELD_SHOW "\" is no CIDR", text);
		memcpy(buf, text, len);
		buf[len] = '\0';
		if (ip_prefix_parse(buf, &p) < 0)
			return field_err(&item, NULL, "\"%" FIELD_SHOW "\" is no CIDR", buf);
	}
	s->raw->features |= 1u << SERVICE_FEATURE_SOURCE_RANGES;
	return 0;
}

static int read_policies(struct service_fields *s)
{
	static const char *const words[] = { "Cluster", "Local" };
	static const char *const spreads[] = { "PreferClose", "PreferSameZone", "PreferSameNode" };
	const uint32_t outside = 1u << SERVICE_FACET_NODE_PORT | 1u << SERVICE_FACET_LOAD_BALANCER |
				 1u << SERVICE_FACET_EXTERNAL_IP;
	size_t internal = 0, external = 0, spread = 0;
	int r;

	if (field_word(&s->spec, "internalTrafficPolicy", words, ARRAY_LEN(words), &internal) < 0)
		return -EINVAL;
	r = field_word(&s->spec, "externalTrafficPolicy", words, ARRAY_LEN(words), &external);
	if (r < 0)
		return r;
	if (r > 0 && !(s->raw->facets & outside))
		return field_err(&s->spec, "externalTrafficPolicy", "goes only with what can be reached from outside");
	if (internal)
		s->raw->features |= 1u << SERVICE_FEATURE_INTERNAL_LOCAL;
	if (external)
		s->raw->features |= 1u << SERVICE_FEATURE_EXTERNAL_LOCAL;
	r = field_word(&s->spec, "trafficDistribution", spreads, ARRAY_LEN(spreads), &spread);
	if (r > 0) /* PreferClose is the old name of PreferSameZone */
		s->raw->distribution = spread == 2 ? DISTRIBUTION_SAME_NODE : DISTRIBUTION_SAME_ZONE;
	return r < 0 ? r : 0;
}

/* ---- entry ---- */

static int read_spec(struct service_fields *s)
{
	static int (*const steps[])(struct service_fields *) = {
		read_cluster_ips,   read_type,	   read_families,      decide_families, skip,
		service_read_ports, read_external, read_source_ranges, read_policies,	read_affinity,
	};
	int r = field_check_known(&s->spec, known_spec, ARRAY_LEN(known_spec));

	for (size_t i = 0; i < ARRAY_LEN(steps) && r == 0; i++)
		r = steps[i](s);
	if (r == 0)
		r = object_read_labels(&s->spec, "selector", &s->raw->selector);
	if (r == 0 && !s->raw->n_ports && !s->raw->skipped)
		return field_err(&s->spec, field_has(&s->spec, "ports") ? "ports" : NULL, "a Service needs a port");
	return r;
}

int service_read(struct object *o)
{
	const struct field root = { .obj = o, .node = o->root };
	struct service_fields s = {};
	struct load *l = o->load;
	int r;

	s.raw = arena_alloc(l->arena, sizeof(*s.raw));
	if (!s.raw)
		return -ENOMEM;
	s.raw->place = o->place;
	s.raw->ns = o->ns;
	s.raw->name = o->name;
	s.raw->facets = 1u << SERVICE_FACET_CLUSTER_IP;
	r = field_check_known(&root, known_root, ARRAY_LEN(known_root));
	if (r == 0 && !name_is_dns_label(o->name))
		r = object_err(o, o->place.line, "metadata.name",
			       "a Service's name has at most 63 characters and no dot");
	if (r < 0)
		return r;
	r = field_map(&root, "spec", &s.spec);
	if (r <= 0)
		return r < 0 ? r : field_err(&root, NULL, "spec is missing");
	r = read_spec(&s);
	return r < 0 ? r : vec_push(&l->services, s.raw);
}
