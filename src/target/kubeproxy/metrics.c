/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the few metrics of kube-proxy that the counters show. Called by counters.c. */
#include "metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define LINE_MAX_SIZE 256

/* "name{labels} value" or "name value"; -1 when it is another. */
static double value_of(const char *line, const char *name)
{
	size_t len = strlen(name);
	const char *at = line + len;
	char *end;
	double v;

	if (strncmp(line, name, len) != 0)
		return -1;
	if (*at == '{') {
		at = strchr(at, '}');
		if (!at)
			return -1;
		at++;
	}
	if (*at != ' ')
		return -1;
	v = strtod(at, &end);
	return end != at && v >= 0 && v < 1e15 ? v : -1;
}

static void take_line(const char *line, struct kp_metrics *m)
{
	double v = value_of(line, "kubeproxy_sync_proxy_rules_duration_seconds_count");

	if (v >= 0)
		m->n_syncs += (uint64_t)v;
	v = value_of(line, "kubeproxy_sync_proxy_rules_duration_seconds_sum");
	if (v >= 0 && v < 1e9)
		m->sync_ns += (uint64_t)(v * 1e9);
	v = value_of(line, "kubeproxy_sync_proxy_rules_nftables_sync_failures_total");
	if (v >= 0)
		m->n_failures += (uint64_t)v;
}

void kp_metrics_parse(const char *text, size_t size, struct kp_metrics *ret)
{
	char line[LINE_MAX_SIZE];

	*ret = (struct kp_metrics){};
	while (size) {
		const char *end = memchr(text, '\n', size);
		size_t len = end ? (size_t)(end - text) : size, cut = MIN(len, sizeof(line) - 1);

		memcpy(line, text, cut);
		line[cut] = '\0';
		take_line(line, ret);
		text += len + (end != NULL);
		size -= len + (end != NULL);
	}
}
