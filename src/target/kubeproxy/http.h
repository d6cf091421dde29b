/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The HTTP side of the server process: libmicrohttpd without threads, driven by the caller's loop. */
#ifndef OFFKUBE_TARGET_KUBEPROXY_HTTP_H
#define OFFKUBE_TARGET_KUBEPROXY_HTTP_H

#include "store.h"

#define HTTP_CONNECTIONS_MAX 64

struct http;

/* Takes the listening socket. The store stays the caller's. */
int http_new(struct store *store, int listen_fd, struct http **ret);
void http_free(struct http *h); /* NULL is fine */
/* Readable when http_run() has something to do. */
int http_fd(const struct http *h);
/* Milliseconds until http_run() must be called whatever happens; -1 = no need. */
int http_timeout_ms(struct http *h);
void http_run(struct http *h);
/* After the store has changed: watchers go on. */
void http_wake(struct http *h, enum api_kind kind);

#endif
