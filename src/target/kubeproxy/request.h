/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a client of the API server asks for: the part of a request that we read ourselves. Pure; called by http.c and by its fuzz target. */
#ifndef OFFKUBE_TARGET_KUBEPROXY_REQUEST_H
#define OFFKUBE_TARGET_KUBEPROXY_REQUEST_H

#include "api.h"

#define REQUEST_TIMEOUT_MAX_S 3600

/* As it came, decoded; NULL = not given. */
struct request_in {
	const char *method, *path, *accept;
	const char *watch, *send_initial, *resource_version, *timeout_s, *field_selector, *label_selector;
};

enum request_what { REQUEST_LIST, REQUEST_WATCH, REQUEST_EVENT };

struct request {
	enum request_what what;
	enum api_kind kind;
	enum emit_format format; /* of a watch: JSON or protobuf; a list is always JSON */
	bool send_initial; /* a streaming list: all objects, a bookmark, then the events */
	bool has_version;
	uint64_t version; /* watch from here */
	uint32_t timeout_s; /* 0 = none */
};

/* 0, or the HTTP status of the refusal with a sentence in *ret_text. */
int request_parse(const struct request_in *in, struct request *ret, const char **ret_text);

#endif
