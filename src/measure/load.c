/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs one load: a child process is put into the client's namespace, cgroup and CPUs and generates; the parent sleeps until it is done. Called by
 * eval_slice.c and the experiments.
 */
#include "measure/load.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"
#include "child.h"
#include "load_gen.h"
#include "place.h"

#define GRACE_MS 60000 /* beyond the load's own length: connecting, draining, moving a large file, a busy machine */

const char *const load_name[LOAD_KIND_MAX] = {
	[LOAD_ECHO] = "echo",	      [LOAD_CONNECT] = "connect", [LOAD_HTTP] = "http",
	[LOAD_BULK] = "bulk",	      [LOAD_CALLS] = "calls",	  [LOAD_H2] = "h2",
	[LOAD_REDIS] = "redis",	      [LOAD_FILE] = "file",	  [LOAD_BULK_8] = "bulk-8",
	[LOAD_BULK_UDP] = "bulk-udp",
};

const char *const load_text[LOAD_KIND_MAX] = {
	[LOAD_ECHO] = "small request and reply on lasting connections",
	[LOAD_CONNECT] = "a new TCP connection for each request",
	[LOAD_HTTP] = "a page of 1 KiB from nginx, HTTP/1.1 on lasting connections",
	[LOAD_BULK] = "bytes on one TCP stream, iperf3",
	[LOAD_CALLS] = "every pod calls the Services that its environment names, on lasting connections",
	[LOAD_H2] = "a page of 1 KiB from nghttpd, HTTP/2 on lasting connections",
	[LOAD_REDIS] = "small GET and SET of redis on lasting connections",
	[LOAD_FILE] = "one large file from nginx on a new connection",
	[LOAD_BULK_8] = "bytes on eight TCP streams, iperf3",
	[LOAD_BULK_UDP] = "datagrams of 1,400 bytes, iperf3",
};

const struct load_info load_info[LOAD_KIND_MAX] = {
	[LOAD_ECHO] = { "request", 16000, true, 8, NULL, NULL, NULL },
	[LOAD_CONNECT] = { "request", 3000, true, 8, NULL, NULL, NULL },
	[LOAD_HTTP] = { "request", 6000, true, 8, "nginx", NULL, "wrk" },
	[LOAD_BULK] = { "MiB", 500, true, 1, "iperf3", "iperf3", "iperf3" },
	[LOAD_CALLS] = { "request", 8000, true, 0, NULL, NULL, NULL },
	[LOAD_H2] = { "request", 30000, true, 8, "nghttpd", "h2load", "h2load" },
	[LOAD_REDIS] = { "request", 12000, true, 8, "redis-server", NULL, "redis-benchmark" },
	[LOAD_FILE] = { "MiB", 0, true, 1, "nginx", NULL, NULL },
	[LOAD_BULK_8] = { "MiB", 0, true, 8, "iperf3", NULL, "iperf3" },
	[LOAD_BULK_UDP] = { "MiB", 40, true, 1, "iperf3", "iperf3", "iperf3" },
};

int load_parse(const char *s)
{
	for (int i = 0; i < LOAD_KIND_MAX; i++)
		if (str_eq(load_name[i], s))
			return i;
	return -EINVAL;
}

static int generate(const struct load_conf *conf, const struct load_hooks *hooks, struct load_page *page)
{
	page->result.lost_share = -1;
	page->result.n_retransmits = -1;
	hist_init(&page->result.latency);
	hist_init(&page->result.lateness);
	if (conf->tool)
		return load_by_tool(conf, hooks, page);
	if (conf->kind == LOAD_FILE)
		return load_file(conf, hooks, page);
	return load_generate(conf, hooks, page);
}

_Noreturn static void child(const struct load_conf *conf, const struct load_hooks *hooks, struct load_page *page,
			    pid_t parent)
{
	int r = 0;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail with a valid signal */
	if (getppid() != parent)
		_exit(0);
	(void)signal(SIGINT, SIG_IGN); /* the parent ends us in order */
	(void)signal(SIGPIPE, SIG_IGN);
	r = place_enter(conf->netns_fd, conf->cgroup_fd, conf->cpus);
	if (r < 0)
		(void)strcpy(page->failed_text, "cannot enter the client's namespace, cgroup or CPUs");
	else
		r = generate(conf, hooks, page);
	page->failed = r;
	page->done = true;
	_exit(r < 0 ? 1 : 0);
}

int load_run(const struct load_conf *conf, const struct load_hooks *hooks, struct load_result *ret, struct err *e)
{
	int timeout_ms = (int)((conf->warmup_ns + conf->duration_ns) / NSEC_PER_MSEC) + GRACE_MS;
	struct load_page *page;
	pid_t parent = getpid(), pid;
	int r;

	if (conf->n_targets == 0 || conf->n_connections == 0)
		return err_set(e, -EINVAL, load_name[conf->kind], "a load needs targets and connections");
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return -errno;
	pid = fork();
	if (pid == 0)
		child(conf, hooks, page, parent);
	r = pid < 0 ? -errno : child_wait(pid, (unsigned int)timeout_ms, NULL);
	if (r == 0 && !page->done)
		r = -ECHILD;
	if (r < 0)
		(void)err_set_errno(e, r, load_name[conf->kind], "the generator did not end in order");
	else if (page->failed < 0)
		r = err_set_errno(e, page->failed, load_name[conf->kind], "%s", page->failed_text);
	else
		*ret = page->result;
	(void)munmap(page, sizeof(*page));
	return r;
}
