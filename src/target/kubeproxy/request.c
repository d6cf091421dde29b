/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads requests to the API: kube-proxy's lists and watches, and the events that it posts. What would have to be answered otherwise than by the
 * whole collection (another selector) is refused, never ignored. */
#include "request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/util.h"

#define EVENTS_PATH "/apis/events.k8s.io/v1/namespaces/"
#define PROTOBUF "application/vnd.kubernetes.protobuf"

static int refuse(int status, const char *text, const char **ret_text)
{
	*ret_text = text;
	return status;
}

static bool parse_number(const char *s, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || v > (max - (uint64_t)(*s - '0')) / 10)
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	*ret = v;
	return true;
}

static bool is_true(const char *s)
{
	return s && (str_eq(s, "true") || str_eq(s, "1"));
}

/* Is `type` one of those that Accept names? Parameters are let be: our encodings have none. */
static bool accepts(const char *accept, const char *type)
{
	size_t len = strlen(type);

	while (accept && *accept) {
		accept += strspn(accept, " ,\t");
		if (strncasecmp(accept, type, len) == 0 && strchr(" ,;\t", accept[len]))
			return true;
		accept += strcspn(accept, ",");
	}
	return false;
}

/* The selectors that choose all objects that we ever serve. */
static bool selects_all(enum api_kind kind, const struct request_in *in)
{
	static const char *const labels[API_KIND_MAX] = {
		[API_SERVICE] = "!service.kubernetes.io/service-proxy-name",
		[API_SLICE] = "!service.kubernetes.io/headless",
	};
	const char *l = in->label_selector, *f = in->field_selector;

	if (l && *l && !str_eq(l, labels[kind]))
		return false;
	if (!f || !*f)
		return true;
	/* A node sees itself alone. */
	return (kind == API_SERVICE && str_eq(f, "spec.clusterIP!=None")) ||
	       (kind == API_NODE && strncmp(f, "metadata.name=", 14) == 0 && !strchr(f, ','));
}

static int parse_watch(const struct request_in *in, struct request *out, const char **ret_text)
{
	uint64_t v = 0;

	out->what = REQUEST_WATCH;
	out->format = accepts(in->accept, PROTOBUF) ? EMIT_PROTO : EMIT_JSON;
	out->send_initial = is_true(in->send_initial);
	if (in->resource_version && *in->resource_version) {
		if (!parse_number(in->resource_version, UINT64_MAX, &out->version))
			return refuse(400, "resourceVersion is no number", ret_text);
		out->has_version = out->version != 0; /* 0 is any */
	}
	if (in->timeout_s) {
		if (!parse_number(in->timeout_s, UINT32_MAX, &v))
			return refuse(400, "timeoutSeconds is no number", ret_text);
		out->timeout_s = (uint32_t)MIN(v, (uint64_t)REQUEST_TIMEOUT_MAX_S);
	}
	return 0;
}

int request_parse(const struct request_in *in, struct request *ret, const char **ret_text)
{
	struct request out = { .kind = API_KIND_MAX };
	int r = 0;

	if (strncmp(in->path, EVENTS_PATH, strlen(EVENTS_PATH)) == 0) {
		out.what = REQUEST_EVENT;
		if (!str_eq(in->method, "POST") && !str_eq(in->method, "PATCH"))
			return refuse(405, "events are taken, not told", ret_text);
		*ret = out;
		return 0;
	}
	for (enum api_kind k = API_NODE; k < API_KIND_MAX; k++)
		if (str_eq(in->path, api_types[k].path))
			out.kind = k;
	if (out.kind == API_KIND_MAX)
		return refuse(404, "the server could not find the requested resource", ret_text);
	if (!str_eq(in->method, "GET"))
		return refuse(405, "this server is for reading", ret_text);
	if (!selects_all(out.kind, in))
		return refuse(400, "this server knows no such selector", ret_text);
	if (is_true(in->watch))
		r = parse_watch(in, &out, ret_text);
	if (r == 0)
		*ret = out;
	return r;
}
