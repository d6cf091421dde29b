/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server process: one loop over the parent's messages, the HTTP clients and kube-proxy's log. Forked by process.c into the node's network
 * namespace; ends when the parent closes its end of the socket or dies.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "http.h"
#include "log.h"
#include "proc.h"
#include "process.h"

#define INPUT_CHUNK 65536
#define TERM_MS 2000

struct server {
	const struct kp_process_conf *conf;
	int fd; /* the parent's */
	uint16_t port; /* that we listen on */
	struct store store;
	struct http *http;
	struct strbuf in; /* of the parent, not yet whole */
	pid_t proxy;
	int log_fd; /* -1 = none */
	struct kp_log log;
	struct kp_status status;
	bool tell; /* the status is news */
};

/* ---- kube-proxy ---- */

#define PROXY_ARGS 20

/* Everything is said by flags; what is not said here are kube-proxy's defaults. */
static int proxy_args(const struct server *s, char *argv[PROXY_ARGS])
{
	const char *node = s->conf->node, *cidr = s->conf->cluster_cidr;
	size_t n = 0;

	argv[n++] = strdup("kube-proxy");
	argv[n++] = str_printf("--master=http://127.0.0.1:%u", s->port);
	argv[n++] = str_printf("--hostname-override=%s", node);
	argv[n++] = strdup("--proxy-mode=nftables");
	argv[n++] = strdup("--detect-local-mode=ClusterCIDR");
	if (cidr[0])
		argv[n++] = str_printf("--cluster-cidr=%s", cidr);
	argv[n++] = strdup("--iptables-min-sync-period=0s"); /* of every mode but ipvs, whatever its name */
	argv[n++] = strdup("--iptables-sync-period=1s"); /* until a failed synchronisation is repeated, nothing else */
	argv[n++] = strdup("--conntrack-max-per-core=0");
	argv[n++] = strdup("--conntrack-min=0");
	argv[n++] = strdup("--conntrack-tcp-timeout-established=0");
	argv[n++] = strdup("--conntrack-tcp-timeout-close-wait=0");
	argv[n++] = strdup("--oom-score-adj=0");
	argv[n++] = str_printf("--metrics-bind-address=127.0.0.1:%d", KP_METRICS_PORT);
	argv[n++] = str_printf("--healthz-bind-address=127.0.0.1:%d", KP_HEALTHZ_PORT);
	argv[n++] = strdup("-v=2");
	for (size_t i = 0; i < n; i++)
		if (!argv[i])
			return -ENOMEM;
	argv[n] = NULL;
	return 0;
}

static _Noreturn void proxy_child(const struct server *s, char **argv, int out, pid_t parent)
{
	char group[80];
	char *const env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", group, NULL };
	int null = open("/dev/null", O_RDWR);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* survives exec: kube-proxy changes no credentials */
	if (getppid() != parent)
		_exit(0);
	(void)snprintf(group, sizeof(group), PROC_GROUP_ENV "=%d.%" PRIu64, (int)parent, proc_start(parent));
	(void)signal(SIGPIPE, SIG_DFL);
	if (null >= 0 && dup2(null, 0) >= 0 && dup2(out, 1) >= 0 && dup2(out, 2) >= 0 &&
	    close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
		(void)execve(s->conf->program, argv, env);
	dprintf(2, "error: cannot be executed: %s\n", strerror(errno));
	_exit(127);
}

static void proxy_start(struct server *s)
{
	char *argv[PROXY_ARGS] = {};
	int fds[2] = { -1, -1 };
	pid_t self = getpid();

	if (proxy_args(s, argv) < 0 || pipe2(fds, O_CLOEXEC) < 0)
		_exit(1); /* the parent hears it */
	(void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
	s->proxy = fork();
	if (s->proxy == 0)
		proxy_child(s, argv, fds[1], self);
	if (s->proxy < 0)
		_exit(1);
	for (size_t i = 0; i < PROXY_ARGS; i++)
		free(argv[i]);
	(void)close(fds[1]);
	s->log_fd = fds[0];
	s->status.proxy = s->proxy;
	s->tell = true;
}

/* Its log has ended, so it has, or is about to. */
static void proxy_ended(struct server *s)
{
	int status = 0;

	(void)close(s->log_fd);
	s->log_fd = -1;
	(void)kill(s->proxy, SIGKILL);
	(void)waitpid(s->proxy, &status, 0);
	s->proxy = 0;
	s->status.ended = true;
	kp_log_words(&s->log, s->status.words);
	if (!s->status.words[0])
		(void)snprintf(s->status.words, sizeof(s->status.words), "it said nothing, status %#x",
			       (unsigned int)status);
	s->tell = true;
}

static void read_log(struct server *s)
{
	char buf[4096];

	while (s->log_fd >= 0) {
		ssize_t n = read(s->log_fd, buf, sizeof(buf));

		if (n > 0)
			s->tell |= kp_log_feed(&s->log, buf, (size_t)n, &s->status);
		else if (n == 0)
			proxy_ended(s);
		else if (errno != EINTR)
			return; /* all is read */
	}
}

static void proxy_stop(struct server *s)
{
	if (!s->proxy)
		return;
	(void)kill(s->proxy, SIGTERM);
	for (int i = 0; i < TERM_MS / 5; i++) {
		if (waitpid(s->proxy, NULL, WNOHANG) != 0)
			return;
		(void)poll(NULL, 0, 5);
	}
	(void)kill(s->proxy, SIGKILL);
	(void)waitpid(s->proxy, NULL, 0);
}

/* ---- the parent ---- */

static void tell_parent(struct server *s)
{
	/* When the socket is full the parent has older news to read; it is told at the next turn. */
	ssize_t n;

	if (!s->status.ended)
		kp_log_words(&s->log, s->status.words);
	n = send(s->fd, &s->status, sizeof(s->status), MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n > 0 && (size_t)n < sizeof(s->status))
		n = send(s->fd, (char *)&s->status + n, sizeof(s->status) - (size_t)n, MSG_NOSIGNAL);
	s->tell = n < 0 && errno == EAGAIN;
}

static int take_object(struct server *s, const struct kp_msg *m, const char *body)
{
	const char *json = body + m->key_size;
	struct blob *b = blob_new(m->version, json, m->json_size, json + m->json_size, m->proto_size);
	int r;

	if (!b)
		return -ENOMEM;
	r = m->op == KP_OP_PUT ? store_put(&s->store, m->kind, body, b) : store_del(&s->store, m->kind, body, b);
	blob_unref(b);
	http_wake(s->http, m->kind);
	return r == -ENOENT ? 0 : r; /* deleting what is not there */
}

static int take_message(struct server *s, const struct kp_msg *m, const char *body)
{
	switch (m->op) {
	case KP_OP_PUT:
	case KP_OP_DEL:
		return take_object(s, m, body);
	case KP_OP_RUN:
		proxy_start(s);
		return 0;
	default:
		read_log(s);
		s->status.n_asked++;
		s->tell = true;
		return 0;
	}
}

static bool message_ok(const struct kp_msg *m)
{
	bool object = m->op == KP_OP_PUT || m->op == KP_OP_DEL;

	return m->op < KP_OP_MAX && m->kind < API_KIND_MAX && m->key_size <= KP_MSG_KEY_MAX &&
	       m->json_size <= KP_MSG_BODY_MAX && m->proto_size <= KP_MSG_BODY_MAX && (object ? m->key_size > 1 : true);
}

static int take_input(struct server *s)
{
	size_t at = 0;
	int r = 0;

	while (r == 0 && s->in.len - at >= sizeof(struct kp_msg)) {
		struct kp_msg m;
		size_t size;

		memcpy(&m, s->in.buf + at, sizeof(m));
		if (!message_ok(&m))
			return -EBADMSG;
		size = sizeof(m) + m.key_size + m.json_size + m.proto_size;
		if (s->in.len - at < size)
			break;
		r = take_message(s, &m, s->in.buf + at + sizeof(m));
		at += size;
	}
	memmove(s->in.buf, s->in.buf + at, s->in.len - at);
	s->in.len -= at;
	return r;
}

/* False: the parent is done with us. */
static bool read_parent(struct server *s)
{
	char *buf = malloc(INPUT_CHUNK);
	ssize_t n = buf ? recv(s->fd, buf, INPUT_CHUNK, MSG_DONTWAIT) : 0;
	bool ok = true;

	if (n > 0) {
		strbuf_add_mem(&s->in, buf, (size_t)n);
		ok = !s->in.failed && take_input(s) == 0;
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		ok = false;
	}
	free(buf);
	return ok;
}

/* ---- the loop ---- */

static int listen_loopback(uint16_t *ret_port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, HTTP_CONNECTIONS_MAX) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &size) < 0)
		return -errno;
	*ret_port = ntohs(a.sin_port);
	return fd;
}

static void loop(struct server *s)
{
	for (;;) {
		struct pollfd pfds[] = {
			{ .fd = s->fd, .events = POLLIN | (s->tell ? POLLOUT : 0) },
			{ .fd = http_fd(s->http), .events = POLLIN },
			{ .fd = s->log_fd, .events = POLLIN },
		};

		if (poll(pfds, ARRAY_LEN(pfds), http_timeout_ms(s->http)) < 0 && errno != EINTR)
			return;
		if (pfds[2].revents)
			read_log(s);
		if (pfds[0].revents & (POLLIN | POLLHUP | POLLERR) && !read_parent(s))
			return;
		http_run(s->http);
		if (s->tell)
			tell_parent(s);
	}
}

void kp_server_main(const struct kp_process_conf *conf, int fd)
{
	struct server s = { .conf = conf, .fd = fd, .log_fd = -1, .in = STRBUF_INIT };
	int listen_fd;

	if (store_init(&s.store) < 0)
		_exit(1);
	listen_fd = listen_loopback(&s.port);
	if (listen_fd < 0 || http_new(&s.store, listen_fd, &s.http) < 0)
		_exit(1);
	loop(&s);
	proxy_stop(&s);
	_exit(0); /* the kernel frees the rest */
}
