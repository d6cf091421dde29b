/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads that a program of others makes. Runs in the child of load.c, inside the client's namespace, cgroup and CPUs.
 *
 * CPU is metered from just before the program starts until it has ended, and all that it does then is counted: there is no warm-up, and a few milliseconds of its own
 * start are in the window. That the right one answered is asked before (http, redis), told by the size of what came (h2), or by the server's own report (iperf3).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"
#include "load_gen.h"
#include "load_proto.h"
#include "tool.h"
#include "tool_parse.h"

#define MIB 1048576.0
#define TIMEOUT_MS 30000 /* beyond the load's own length: of a program that hangs */
#define LOG_SIZE_MAX (64u << 20) /* of h2load: two million requests */
#define H2_STREAMS 4 /* under way on each connection, closed loop */

/* The command line under construction. */
struct command {
	const char *argv[40];
	size_t n;
	char text[40][96]; /* words that are not constants */
	int inherit; /* fd; -1 = none */
	char inherit_path[32];
};

static void word(struct command *c, const char *w)
{
	if (c->n + 1 < ARRAY_LEN(c->argv))
		c->argv[c->n++] = w;
}

static void wordf(struct command *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void wordf(struct command *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(c->text[c->n], sizeof(c->text[0]), fmt, ap);
	va_end(ap);
	word(c, c->text[c->n]);
}

static void option(struct command *c, const char *name, const char *value)
{
	word(c, name);
	word(c, value);
}

static double duration_s(const struct load_conf *conf)
{
	return (double)conf->duration_ns / 1e9;
}

static void url(struct command *c, const struct load_target *t)
{
	char addr[IP_ADDR_STR_MAX];

	wordf(c, t->addr.fam == AF_INET6 ? "http://[%s]:%u" LOAD_HTTP_PATH : "http://%s:%u" LOAD_HTTP_PATH,
	      ip_addr_format(&t->addr, addr), t->port);
}

/* ---- one function per program ---- */

static int iperf3_command(struct command *c, const struct load_conf *conf)
{
	const struct load_target *t = &conf->targets[0];
	bool udp = conf->kind == LOAD_BULK_UDP;
	char addr[IP_ADDR_STR_MAX];

	word(c, "-c");
	wordf(c, "%s", ip_addr_format(&t->addr, addr));
	word(c, "-p");
	wordf(c, "%u", t->port);
	word(c, "-J");
	word(c, "--get-server-output");
	option(c, "-i", "0");
	option(c, "--connect-timeout", "3000");
	word(c, "-n");
	wordf(c, "%llu", (unsigned long long)conf->amount);
	word(c, "-b"); /* 0 = as fast as it goes */
	wordf(c, "%.0f", conf->rate_rps * MIB * 8);
	if (udp) {
		word(c, "-u");
		word(c, "-l");
		wordf(c, "%u", conf->message_size ? conf->message_size : BULK_MESSAGE_SIZE);
	} else {
		option(c, "-C", "cubic"); /* whatever the host's default is */
		word(c, "-P");
		wordf(c, "%u", load_info[conf->kind].n_connections);
	}
	return 0;
}

static int wrk_command(struct command *c, const struct load_conf *conf)
{
	static const char script[] = TOOL_WRK_SCRIPT;
	int r = tool_file(sizeof(script) - 1, &c->inherit, c->inherit_path);

	if (r < 0)
		return r;
	if (pwrite(c->inherit, script, sizeof(script) - 1, 0) != (ssize_t)sizeof(script) - 1)
		return -EIO;
	option(c, "-t", "1");
	word(c, "-c");
	wordf(c, "%u", conf->n_connections);
	word(c, "-d");
	wordf(c, "%llus", (unsigned long long)DIV_ROUND_UP(conf->duration_ns, NSEC_PER_SEC));
	option(c, "-s", c->inherit_path);
	url(c, &conf->targets[0]);
	return 0;
}

static int h2load_command(struct command *c, const struct load_conf *conf)
{
	int r = 0;

	option(c, "-t", "1");
	word(c, "-c");
	wordf(c, "%u", conf->n_connections);
	word(c, "-D");
	wordf(c, "%llums", (unsigned long long)(conf->duration_ns / NSEC_PER_MSEC));
	if (conf->rate_rps > 0) {
		r = tool_file(0, &c->inherit, c->inherit_path);
		wordf(c, "--rps=%.6f", conf->rate_rps / conf->n_connections);
		wordf(c, "--log-file=%s", c->inherit_path);
		wordf(c, "-m%u", 100); /* an arrival waits for no reply */
	} else {
		wordf(c, "-m%u", H2_STREAMS);
	}
	url(c, &conf->targets[0]);
	return r;
}

static int redis_command(struct command *c, const struct load_conf *conf)
{
	const struct load_target *t = &conf->targets[0];
	char addr[IP_ADDR_STR_MAX];

	word(c, "-h");
	wordf(c, "%s", ip_addr_format(&t->addr, addr));
	word(c, "-p");
	wordf(c, "%u", t->port);
	word(c, "-n");
	wordf(c, "%llu", (unsigned long long)conf->amount);
	word(c, "-c");
	wordf(c, "%u", conf->n_connections);
	word(c, "--csv");
	option(c, "get", LOAD_REDIS_KEY);
	return 0;
}

static int make_command(struct command *c, const struct load_conf *conf)
{
	word(c, conf->tool);
	switch (conf->kind) {
	case LOAD_HTTP:
		return wrk_command(c, conf);
	case LOAD_H2:
		return h2load_command(c, conf);
	case LOAD_REDIS:
		return redis_command(c, conf);
	case LOAD_BULK:
	case LOAD_BULK_8:
	case LOAD_BULK_UDP:
		return iperf3_command(c, conf);
	default:
		return -EINVAL;
	}
}

/* ---- what it says ---- */

static int read_h2load_log(const struct command *c, struct load_result *res, struct err *e)
{
	CLEANUP_FREE char *text = NULL;
	uint64_t n;
	struct stat st;

	if (fstat(c->inherit, &st) < 0)
		return -errno;
	if (st.st_size > (off_t)LOG_SIZE_MAX)
		return err_set(e, -EFBIG, "h2load", "its log has more than %u bytes", LOG_SIZE_MAX);
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	if (pread(c->inherit, text, (size_t)st.st_size, 0) != (ssize_t)st.st_size)
		return -EIO;
	text[st.st_size] = '\0';
	return tool_parse_h2load_log(text, &res->latency, &n, e);
}

static int parse(const struct load_conf *conf, const char *out, size_t size, struct tool_result *tr, struct err *e)
{
	int r;

	switch (conf->kind) {
	case LOAD_HTTP:
		return tool_parse_wrk(out, tr, e);
	case LOAD_H2:
		return tool_parse_h2load(out, tr, e);
	case LOAD_REDIS:
		return tool_parse_redis_benchmark(out, (double)conf->amount, tr, e);
	default:
		r = tool_parse_iperf3(out, size, tr, e);
		if (r == 0 && ip_addr_is_set(&conf->targets[0].backend) && !ip_addr_is_set(&tr->server))
			r = err_set(e, -EBADMSG, "iperf3", "the server's report, which tells who it is, is not there");
		return r;
	}
}

/* Was it the right one who answered? */
static bool is_right(const struct load_conf *conf, const struct tool_result *tr)
{
	const struct load_target *t = &conf->targets[0];

	if (str_eq(load_info[conf->kind].unit, "MiB"))
		return !ip_addr_is_set(&t->backend) || ip_addr_eq(&t->backend, &tr->server);
	/* What belongs to replies that were under way at the end is counted too. */
	return conf->kind != LOAD_H2 || t->page_size == 0 ||
	       (tr->bytes >= tr->n_done * t->page_size &&
		tr->bytes < (tr->n_done + conf->n_connections * (double)H2_STREAMS) * t->page_size);
}

static void take_result(const struct load_conf *conf, const struct tool_result *tr, struct load_result *res)
{
	bool right = is_right(conf, tr);

	res->end_ns = res->start_ns + (uint64_t)(tr->seconds * 1e9);
	res->n_retransmits = (int64_t)tr->n_retransmits;
	if (str_eq(load_info[conf->kind].unit, "MiB")) {
		res->n_sent = load_info[conf->kind].n_connections;
		res->n_ok = right ? res->n_sent : 0;
		res->n_wrong = res->n_sent - res->n_ok;
		res->units = right ? tr->bytes / MIB : 0;
		if (conf->kind == LOAD_BULK_UDP && tr->sent_bytes > 0)
			res->lost_share = 1 - MIN(tr->bytes / tr->sent_bytes, 1.0);
		return;
	}
	res->n_ok = right ? (uint64_t)tr->n_done : 0;
	res->n_wrong = right ? 0 : (uint64_t)tr->n_done;
	res->n_other_error = (uint64_t)tr->n_failed;
	res->n_sent = res->n_ok + res->n_wrong + res->n_other_error;
	res->units = (double)res->n_ok;
}

/* It did not do what it should: seen in the record, not the end of the run. */
static void take_failure(const struct load_hooks *hooks, int r, const struct err *e, struct load_result *res)
{
	res->n_sent = 1;
	res->n_other_error = !res->n_wrong;
	res->end_ns = MAX(clock_now_ns(&clock_monotonic), res->start_ns + 1);
	if (hooks && hooks->note)
		(void)snprintf(hooks->note->text, sizeof(hooks->note->text), "%.40s: %.150s", e->path,
			       e->text[0] ? e->text : strerror(-r));
}

static int run_command(const struct load_conf *conf, const struct command *c, struct load_result *res,
		       struct tool_result *tr, const struct load_hooks *hooks, struct err *e)
{
	const struct tool_run run = {
		.argv = c->argv,
		.inherit = c->inherit,
		.timeout_ms = (unsigned int)(duration_s(conf) * 1000) + TIMEOUT_MS,
	};
	CLEANUP_FREE char *out = NULL;
	size_t size = 0;
	int status = 0, r;

	if (hooks && hooks->on_window)
		hooks->on_window(true, hooks->arg);
	res->start_ns = clock_now_ns(&clock_monotonic);
	r = tool_run(&run, &out, &size, &status);
	if (hooks && hooks->on_window)
		hooks->on_window(false, hooks->arg);
	if (r < 0)
		return err_set_errno(e, r, conf->tool, "the program did not end in order");
	if (WIFSIGNALED(status))
		return err_set(e, -ECHILD, conf->tool, "the program was killed by signal %d", WTERMSIG(status));
	r = parse(conf, out, size, tr, e);
	if (r == 0 && status != 0)
		r = err_set(e, -EREMOTEIO, conf->tool, "the program ended with code %d", WEXITSTATUS(status));
	return r;
}

int load_by_tool(const struct load_conf *conf, const struct load_hooks *hooks, struct load_page *page)
{
	struct load_result *res = &page->result;
	struct command c = { .inherit = -1 };
	struct tool_result tr = {};
	struct err e = {};
	int r = make_command(&c, conf);

	if (r < 0) {
		(void)snprintf(page->failed_text, sizeof(page->failed_text), "the command line cannot be made");
		cleanup_fd(&c.inherit);
		return r;
	}
	res->start_ns = clock_now_ns(&clock_monotonic);
	if (conf->kind == LOAD_HTTP || conf->kind == LOAD_REDIS) {
		r = load_probe(conf, hooks);
		if (r < 0)
			(void)err_set_errno(&e, r, load_name[conf->kind], "a question before the load");
		res->n_wrong = r == -EREMOTEIO;
	}
	if (r == 0)
		r = run_command(conf, &c, res, &tr, hooks, &e);
	if (r == 0 && c.inherit >= 0 && conf->kind == LOAD_H2)
		r = read_h2load_log(&c, res, &e);
	if (r == 0)
		take_result(conf, &tr, res);
	else
		take_failure(hooks, r, &e, res);
	cleanup_fd(&c.inherit);
	return 0;
}
