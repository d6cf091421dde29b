/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists and watches over HTTP/1.1. Called by server.c.
 *
 * A list or a watch is a stream: pieces are made one at a time, when the client has taken the one before. A watch without news is
 * suspended; http_wake() and the end of its time resume it. So memory is bounded by the connections, not by how slowly they read.
 */
#include "http.h"

#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/util.h"
#include "request.h"

#define CONNECTION_MEMORY (256 * 1024)

struct stream {
	struct http *http;
	struct stream *next;
	struct MHD_Connection *conn;
	struct request req;
	struct blob **initial; /* still to be told; referenced */
	size_t n_initial, i_initial;
	bool head_told, end_told; /* of a list its frame, of a watch the bookmarks */
	uint64_t next_event;
	uint64_t deadline_ns; /* UINT64_MAX = none */
	bool suspended;
	struct strbuf piece;
	size_t piece_done;
};

struct http {
	struct MHD_Daemon *daemon;
	struct store *store;
	struct stream *streams;
};

/* ---- streams ---- */

static void stream_free(void *arg)
{
	struct stream *s = arg, **at;

	for (at = &s->http->streams; *at && *at != s; at = &(*at)->next)
		;
	if (*at)
		*at = s->next;
	for (size_t i = s->i_initial; i < s->n_initial; i++)
		blob_unref(s->initial[i]);
	free(s->initial);
	strbuf_free(&s->piece);
	free(s);
}

static bool time_is_up(const struct stream *s)
{
	return clock_now_ns(&clock_monotonic) >= s->deadline_ns;
}

/* One more piece; false when there is none now, or never (ended is set by the caller's look at the stream). */
static bool list_piece(struct stream *s)
{
	const struct api_type *t = &api_types[s->req.kind];

	if (!s->head_told) {
		strbuf_addf(&s->piece,
			    "{\"kind\":\"%sList\",\"apiVersion\":\"%s\",\"metadata\":{\"resourceVersion\":\"%" PRIu64
			    "\"},\"items\":[",
			    t->kind, t->version, s->req.version);
		s->head_told = true;
	} else if (s->i_initial < s->n_initial) {
		struct blob *b = s->initial[s->i_initial];

		if (s->i_initial)
			strbuf_add_char(&s->piece, ',');
		strbuf_add_mem(&s->piece, b->bytes, b->json_size);
		blob_unref(b);
		s->i_initial++;
	} else if (!s->end_told) {
		strbuf_add(&s->piece, "]}\n");
		s->end_told = true;
	} else {
		return false;
	}
	return true;
}

static bool bookmark_piece(struct stream *s, uint64_t version, bool initial_end)
{
	struct blob *b = store_bookmark(s->req.kind, version, initial_end);

	if (!b) {
		s->piece.failed = true;
		return true;
	}
	store_frame(&s->piece, s->req.format, s->req.kind, STORE_BOOKMARK, b);
	blob_unref(b);
	return true;
}

static bool watch_piece(struct stream *s)
{
	struct collection *c = &s->http->store->kinds[s->req.kind];

	if (s->i_initial < s->n_initial) {
		struct blob *b = s->initial[s->i_initial++];

		store_frame(&s->piece, s->req.format, s->req.kind, STORE_ADDED, b);
		blob_unref(b);
		return true;
	}
	if (s->req.send_initial && !s->head_told) {
		s->head_told = true;
		return bookmark_piece(s, s->req.version, true);
	}
	if (s->next_event < c->first_event + c->events.n) {
		const struct store_event *ev = &c->events.v[s->next_event++ - c->first_event];

		store_frame(&s->piece, s->req.format, s->req.kind, ev->type, ev->blob);
		return true;
	}
	if (!s->end_told && time_is_up(s)) {
		s->end_told = true;
		return bookmark_piece(s, s->http->store->version, false);
	}
	return false;
}

/* What the client has not taken yet of the events. */
static void forget_events(struct http *h, enum api_kind kind)
{
	uint64_t needed = UINT64_MAX;

	for (const struct stream *s = h->streams; s; s = s->next)
		if (s->req.what == REQUEST_WATCH && s->req.kind == kind)
			needed = MIN(needed, s->next_event);
	store_trim(h->store, kind, needed);
}

static ssize_t stream_read(void *arg, uint64_t pos, char *buf, size_t max)
{
	struct stream *s = arg;
	size_t n = 0;

	(void)pos;
	while (n < max) {
		size_t left = s->piece.len - s->piece_done, take = MIN(left, max - n);

		if (left == 0) {
			strbuf_free(&s->piece);
			s->piece = (struct strbuf)STRBUF_INIT;
			s->piece_done = 0;
			if (!(s->req.what == REQUEST_LIST ? list_piece(s) : watch_piece(s)))
				break;
			if (s->piece.failed)
				return MHD_CONTENT_READER_END_WITH_ERROR;
			continue;
		}
		memcpy(buf + n, s->piece.buf + s->piece_done, take);
		n += take;
		s->piece_done += take;
	}
	if (n)
		return (ssize_t)n;
	if (s->end_told)
		return MHD_CONTENT_READER_END_OF_STREAM;
	forget_events(s->http, s->req.kind);
	s->suspended = true;
	MHD_suspend_connection(s->conn);
	return 0;
}

void http_wake(struct http *h, enum api_kind kind)
{
	for (struct stream *s = h->streams; s; s = s->next)
		if (s->suspended && s->req.kind == kind) {
			s->suspended = false;
			MHD_resume_connection(s->conn);
		}
}

/* ---- requests ---- */

static enum MHD_Result answer_text(struct MHD_Connection *conn, unsigned int status, const char *text)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result ret;

	if (!r)
		return MHD_NO;
	(void)MHD_add_response_header(r, "Content-Type", "application/json"); /* without it the text is still true */
	ret = MHD_queue_response(conn, status, r);
	MHD_destroy_response(r);
	return ret;
}

static enum MHD_Result answer_status(struct MHD_Connection *conn, int status, const char *text)
{
	char buf[512];

	(void)snprintf(
		buf, sizeof(buf),
		"{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"%s\","
		"\"reason\":\"%s\",\"code\":%d}\n",
		text,
		status == 410 ? "Expired" :
		status == 404 ? "NotFound" :
				"BadRequest",
		status);
	return answer_text(conn, (unsigned int)status, buf);
}

static int stream_begin(struct stream *s)
{
	const struct store *store = s->http->store;
	const struct collection *c = &store->kinds[s->req.kind];

	s->next_event = c->first_event + c->events.n;
	if (s->req.what == REQUEST_LIST || s->req.send_initial || !s->req.has_version) {
		s->req.version = store->version;
		return store_all(store, s->req.kind, &s->initial, &s->n_initial);
	}
	return store_since(store, s->req.kind, s->req.version, &s->next_event);
}

static enum MHD_Result answer_stream(struct http *h, struct MHD_Connection *conn, const struct request *req)
{
	struct stream *s = calloc(1, sizeof(*s));
	struct MHD_Response *resp;
	enum MHD_Result ret;
	int r;

	if (!s)
		return MHD_NO;
	s->http = h;
	s->conn = conn;
	s->req = *req;
	s->deadline_ns = UINT64_MAX;
	if (req->timeout_s)
		s->deadline_ns = clock_now_ns(&clock_monotonic) + req->timeout_s * NSEC_PER_SEC;
	r = stream_begin(s);
	if (r < 0) {
		stream_free(s);
		return r == -ESTALE ? answer_status(conn, 410, "too old resource version") : MHD_NO;
	}
	s->next = h->streams;
	h->streams = s;
	resp = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, CONNECTION_MEMORY / 4, stream_read, s, stream_free);
	if (!resp) {
		stream_free(s);
		return MHD_NO;
	}
	ret = MHD_add_response_header(resp, "Content-Type",
				      req->format == EMIT_PROTO ? "application/vnd.kubernetes.protobuf;stream=watch" :
								  "application/json");
	if (ret == MHD_YES)
		ret = MHD_queue_response(conn, 200, resp);
	MHD_destroy_response(resp); /* frees the stream when nobody reads it */
	return ret;
}

static const char *arg_of(struct MHD_Connection *conn, const char *name)
{
	return MHD_lookup_connection_value(conn, MHD_GET_ARGUMENT_KIND, name);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn, const char *url, const char *method,
				  const char *version, const char *upload, size_t *upload_size, void **con_cls)
{
	struct http *h = cls;
	const struct request_in in = {
		.method = method,
		.path = url,
		.accept = MHD_lookup_connection_value(conn, MHD_HEADER_KIND, "Accept"),
		.watch = arg_of(conn, "watch"),
		.send_initial = arg_of(conn, "sendInitialEvents"),
		.resource_version = arg_of(conn, "resourceVersion"),
		.timeout_s = arg_of(conn, "timeoutSeconds"),
		.field_selector = arg_of(conn, "fieldSelector"),
		.label_selector = arg_of(conn, "labelSelector"),
	};
	struct request req;
	const char *text = "";
	int status;

	(void)version;
	(void)upload; /* an event: nobody reads it */
	if (!*con_cls) { /* called first with the head alone */
		*con_cls = h;
		return MHD_YES;
	}
	if (*upload_size) {
		*upload_size = 0;
		return MHD_YES;
	}
	status = request_parse(&in, &req, &text);
	if (status)
		return answer_status(conn, status, text);
	if (req.what == REQUEST_EVENT)
		return answer_text(
			conn, 201,
			"{\"kind\":\"Event\",\"apiVersion\":\"events.k8s.io/v1\",\"metadata\":{\"name\":\"taken\","
			"\"namespace\":\"default\"},\"eventTime\":null}\n");
	return answer_stream(h, conn, &req);
}

/* ---- the loop's side ---- */

int http_new(struct store *store, int listen_fd, struct http **ret)
{
	struct http *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->store = store;
	h->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, h,
				     MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_CONNECTION_LIMIT,
				     (unsigned int)HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				     (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
	if (!h->daemon) {
		free(h);
		return -EIO;
	}
	*ret = h;
	return 0;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	for (enum api_kind k = API_NODE; k < API_KIND_MAX; k++)
		http_wake(h, k);
	MHD_stop_daemon(h->daemon);
	free(h);
}

int http_fd(const struct http *h)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);

	return info ? info->epoll_fd : -1;
}

int http_timeout_ms(struct http *h)
{
	uint64_t now = clock_now_ns(&clock_monotonic), ms = UINT64_MAX;
	MHD_UNSIGNED_LONG_LONG mhd_ms = 0;

	if (MHD_get_timeout(h->daemon, &mhd_ms) == MHD_YES)
		ms = mhd_ms;
	for (const struct stream *s = h->streams; s; s = s->next)
		if (s->suspended && s->deadline_ns != UINT64_MAX)
			ms = MIN(ms, s->deadline_ns > now ? (s->deadline_ns - now) / NSEC_PER_MSEC + 1 : 0);
	return ms > 60000 ? (ms == UINT64_MAX ? -1 : 60000) : (int)ms;
}

void http_run(struct http *h)
{
	for (struct stream *s = h->streams; s; s = s->next)
		if (s->suspended && time_is_up(s)) {
			s->suspended = false;
			MHD_resume_connection(s->conn);
		}
	(void)MHD_run(h->daemon); /* MHD_NO only for daemons with threads of their own */
}
