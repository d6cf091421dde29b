/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A program as text or JSON, for people, golden tests and bug reports. Called through target_host.program_print. */
#include <errno.h>
#include <inttypes.h>

#include "base/util.h"
#include "host.h"

#define MAC_STR_MAX 18

static const char *mac_format(const uint8_t mac[static 6], char buf[static MAC_STR_MAX])
{
	(void)snprintf(buf, MAC_STR_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		       mac[5]);
	return buf;
}

static void print_pod(const struct host_pod *hp, char sign, FILE *f)
{
	char mac[2][MAC_STR_MAX], ip[2][IP_ADDR_STR_MAX];

	fprintf(f, "%c link %s pod %s/%s mac %s pod-mac %s", sign, hp->ifname, hp->pod->ns, hp->pod->name,
		mac_format(hp->mac_node, mac[0]), mac_format(hp->mac_pod, mac[1]));
	for (int i = 0; i < IP_FAMILY_MAX; i++)
		if (ip_addr_is_set(&hp->pod->addr[i]))
			fprintf(f, " addr %s", ip_addr_format(&hp->pod->addr[i], ip[i]));
	fputc('\n', f);
}

static void print_route(const struct host_route *hr, char sign, FILE *f)
{
	char dst[IP_PREFIX_STR_MAX], via[IP_ADDR_STR_MAX];

	if (ip_addr_is_set(&hr->via))
		fprintf(f, "%c route %s via %s node %s\n", sign, ip_prefix_format(&hr->dst, dst),
			ip_addr_format(&hr->via, via), hr->node);
	else
		fprintf(f, "%c unreachable %s\n", sign, ip_prefix_format(&hr->dst, dst));
}

static void print_text(const struct target_program *p, FILE *f)
{
	char ip[IP_ADDR_STR_MAX];

	fprintf(f, "host %s node %s", p->full ? "full" : "delta", p->node);
	for (int i = 0; i < IP_FAMILY_MAX; i++)
		if (ip_addr_is_set(&p->addr[i]))
			fprintf(f, " addr %s", ip_addr_format(&p->addr[i], ip));
	fputc('\n', f);
	for (size_t i = 0; p->full && i < host_n_sysctls; i++)
		fprintf(f, "  sysctl %s = %s (%s)\n", host_sysctls[i].name, host_sysctls[i].wanted,
			host_sysctls[i].why);
	for (size_t i = 0; i < p->gone_routes.n; i++)
		print_route(&p->gone_routes.v[i], '-', f);
	for (size_t i = 0; i < p->routes.n; i++)
		print_route(&p->routes.v[i], '+', f);
	for (size_t i = 0; i < p->gone_pods.n; i++)
		print_pod(&p->gone_pods.v[i], '-', f);
	for (size_t i = 0; i < p->pods.n; i++)
		print_pod(&p->pods.v[i], '+', f);
}

/* Names of Kubernetes objects and addresses hold nothing that JSON would have escaped; sysctl reasons are ours. */
static void json_pods(const char *key, const struct host_pod *v, size_t n, FILE *f)
{
	char mac[2][MAC_STR_MAX], ip[2][IP_ADDR_STR_MAX];

	fprintf(f, ",\"%s\":[", key);
	for (size_t i = 0; i < n; i++) {
		const char *sep = "";

		fprintf(f,
			"%s{\"namespace\":\"%s\",\"pod\":\"%s\",\"link\":\"%s\",\"mac\":\"%s\",\"pod_mac\":\"%s\",\"addr\":[",
			i ? "," : "", v[i].pod->ns, v[i].pod->name, v[i].ifname, mac_format(v[i].mac_node, mac[0]),
			mac_format(v[i].mac_pod, mac[1]));
		for (int k = 0; k < IP_FAMILY_MAX; k++) {
			if (!ip_addr_is_set(&v[i].pod->addr[k]))
				continue;
			fprintf(f, "%s\"%s\"", sep, ip_addr_format(&v[i].pod->addr[k], ip[k]));
			sep = ",";
		}
		fputs("]}", f);
	}
	fputc(']', f);
}

static void json_routes(const char *key, const struct host_route *v, size_t n, FILE *f)
{
	char dst[IP_PREFIX_STR_MAX], via[IP_ADDR_STR_MAX];

	fprintf(f, ",\"%s\":[", key);
	for (size_t i = 0; i < n; i++) {
		fprintf(f, "%s{\"dst\":\"%s\"", i ? "," : "", ip_prefix_format(&v[i].dst, dst));
		if (ip_addr_is_set(&v[i].via))
			fprintf(f, ",\"via\":\"%s\",\"node\":\"%s\"}", ip_addr_format(&v[i].via, via), v[i].node);
		else
			fputs(",\"unreachable\":true}", f);
	}
	fputc(']', f);
}

static void print_json(const struct target_program *p, FILE *f)
{
	fprintf(f, "{\"target\":\"host\",\"full\":%s,\"node\":\"%s\",\"sysctls\":[", p->full ? "true" : "false",
		p->node);
	for (size_t i = 0; p->full && i < host_n_sysctls; i++)
		fprintf(f, "%s{\"name\":\"%s\",\"wanted\":\"%s\",\"why\":\"%s\"}", i ? "," : "", host_sysctls[i].name,
			host_sysctls[i].wanted, host_sysctls[i].why);
	fputc(']', f);
	json_pods("pods", p->pods.v, p->pods.n, f);
	json_pods("gone_pods", p->gone_pods.v, p->gone_pods.n, f);
	json_routes("routes", p->routes.v, p->routes.n, f);
	json_routes("gone_routes", p->gone_routes.v, p->gone_routes.n, f);
	fputs("}\n", f);
}

int host_program_print(const struct target_program *p, bool json, FILE *f)
{
	if (json)
		print_json(p, f);
	else
		print_text(p, f);
	return ferror(f) ? -EIO : 0;
}
