/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * counters(): what can be told of the kube-proxy that runs on the node, also by a handle that did not start it: memory and CPU time of the process,
 * and its own count of synchronisations. It counts no connections.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "kubeproxy.h"
#include "metrics.h"
#include "net/netns.h"
#include "proc.h"

#define ANSWER_MAX (4u << 20)
#define ANSWER_MS 5000

static int ask_metrics(int fd, struct strbuf *sb)
{
	static const char ask[] = "GET /metrics HTTP/1.0\r\nHost: localhost\r\nAccept: text/plain\r\n\r\n";
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(KP_METRICS_PORT),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval limit = { .tv_sec = ANSWER_MS / 1000 };
	char buf[8192];
	ssize_t n;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(ask) - 1)
		return -errno;
	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0) {
		strbuf_add_mem(sb, buf, (size_t)n);
		if (sb->failed || sb->len > ANSWER_MAX)
			return -E2BIG;
	}
	return n < 0 ? -errno : 0;
}

/* All zero when it does not answer. */
static void read_metrics(const struct kp *h, struct kp_metrics *ret)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	CLEANUP_FD int fd = netns_socket(h->netns_fd, AF_INET, SOCK_STREAM, 0);

	*ret = (struct kp_metrics){};
	if (fd >= 0 && ask_metrics(fd, &sb) == 0 && sb.len)
		kp_metrics_parse(sb.buf, sb.len, ret);
}

int kp_counters(void *handle, int (*fn)(const struct target_counter *c, void *arg), void *arg, struct err *e)
{
	struct kp *h = handle;
	struct proc_use use = {};
	struct kp_metrics m;
	struct kp_mark mark = {};
	int r = kp_mark_read(h->nl, &mark, e);

	if (r <= 0 || proc_use_read(mark.proxy, mark.proxy_start, &use) < 0)
		return r < 0 ? r : 0; /* none runs: nothing to tell */
	read_metrics(h, &m);
	r = 0;
	const struct target_counter all[] = {
		{ "", "resident-bytes", use.rss_bytes },
		{ "", "peak-resident-bytes", use.peak_rss_bytes },
		{ "", "cpu-ns", use.cpu_ns },
		{ "", "syncs", m.n_syncs },
		{ "", "sync-ns", m.sync_ns },
		{ "", "sync-failures", m.n_failures },
	};

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(all); i++)
		r = fn(&all[i], arg);
	return r;
}
