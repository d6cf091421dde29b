/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The programs in our server pods: their files, their command lines, their start. Called by eval.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/util.h"
#include "eval_server_ports.h"
#include "eval_servers.h"
#include "load_proto.h"
#include "net/netns.h"

#define PROGRAMS_MAX 8 /* in one pod */
#define ARGS_MAX 24
#define WAIT_S 5

/* One server pod. */
struct place {
	struct lab *lab;
	const struct pod *pod;
	char name[64]; /* "offkube-eval/server-1" */
	char *dir; /* its folder */
	size_t page_size;
	uint64_t file_size;
	size_t n;
	struct lab_program programs[PROGRAMS_MAX];
	const char *argv[PROGRAMS_MAX][ARGS_MAX];
	char *owned[16]; /* words that are no constants */
	size_t n_owned;
	struct err *e;
};

static void place_free(struct place *p)
{
	for (size_t i = 0; i < p->n_owned; i++)
		free(p->owned[i]);
	free(p->dir);
}

/* NULL after a failed allocation: seen at the end. */
static const char *keep(struct place *p, char *word)
{
	if (p->n_owned < ARRAY_LEN(p->owned))
		return p->owned[p->n_owned++] = word;
	free(word);
	return NULL;
}

/* ---- files ---- */

static int make_dir(const struct place *p, const char *below)
{
	CLEANUP_FREE char *path = str_printf("%s%s", p->dir, below);

	if (!path)
		return -ENOMEM;
	return mkdir(path, 0755) < 0 && errno != EEXIST ? err_set_errno(p->e, -errno, path, "cannot make the folder") :
							  0;
}

/* `text`, then nothing but what a file has of itself, up to `size` bytes (0 = no more): a large file takes no memory. */
static int make_file(const struct place *p, const char *below, const char *text, uint64_t size)
{
	CLEANUP_FREE char *path = str_printf("%s%s", p->dir, below);
	CLEANUP_FD int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
	size_t len = strlen(text);

	if (!path)
		return -ENOMEM;
	if (fd < 0 || write(fd, text, len) != (ssize_t)len || (size && ftruncate(fd, (off_t)size) < 0))
		return err_set_errno(p->e, -errno, path, "cannot write the file");
	return 0;
}

static int make_nginx_files(const struct place *p)
{
	static const char conf[] =
		"daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\n"
		"events { worker_connections 1024; }\n"
		"http {\n"
		"  access_log off;\n"
		"  client_body_temp_path tmp/1; proxy_temp_path tmp/2; fastcgi_temp_path tmp/3; uwsgi_temp_path tmp/4;\n"
		"  scgi_temp_path tmp/5;\n"
		"  keepalive_requests 1000000000; keepalive_timeout 3600; sendfile on; tcp_nodelay on;\n"
		"  server { listen %d; %s listen %d; %s root www; }\n"
		"}\n";
	const char *v6_http = "", *v6_file = "";
	char v6[2][40] = {};
	CLEANUP_FREE char *text = NULL;
	int r;

	if (ip_addr_is_set(&p->pod->addr[IP_V6])) {
		(void)snprintf(v6[0], sizeof(v6[0]), "listen [::]:%d;", SERVER_HTTP_PORT);
		(void)snprintf(v6[1], sizeof(v6[1]), "listen [::]:%d;", SERVER_FILE_PORT);
		v6_http = v6[0];
		v6_file = v6[1];
	}
	text = str_printf(conf, SERVER_HTTP_PORT, v6_http, SERVER_FILE_PORT, v6_file);
	r = text ? make_file(p, "/nginx.conf", text, 0) : -ENOMEM;
	return r == 0 ? make_dir(p, "/tmp") : r;
}

static int make_files(const struct place *p)
{
	CLEANUP_FREE char *page = str_printf("%s\n", p->name);
	int r = page ? make_dir(p, "") : -ENOMEM;

	if (r == 0)
		r = make_dir(p, "/www");
	if (r == 0)
		r = make_file(p, "/www" LOAD_HTTP_PATH, page, p->page_size);
	if (r == 0)
		r = make_file(p, "/www" LOAD_FILE_PATH, page, p->file_size);
	return r == 0 ? make_nginx_files(p) : r;
}

/* ---- command lines ---- */

/* NULL ends the words; a NULL that should be none shows as a command line cut short, and as keep() that failed. */
static void add_program(struct place *p, uint16_t port, uint16_t port2, const char *const *words)
{
	struct lab_program *prog = &p->programs[p->n];
	size_t n = 0;

	for (; words[n] && n + 1 < ARGS_MAX; n++)
		p->argv[p->n][n] = words[n];
	*prog = (struct lab_program){
		.ns = p->pod->ns, .pod = p->pod->name, .argv = p->argv[p->n], .tcp_ports = { port, port2 }
	};
	p->n++;
}

static void add_iperf3(struct place *p, const struct tool *t, uint16_t port)
{
	const char *const words[] = { t->path, "-s", "-J", "-p", keep(p, str_printf("%u", port)), NULL };

	add_program(p, port, 0, words);
}

static int add_programs(struct place *p, const struct eval_tools *tools)
{
	const char *conf = keep(p, str_printf("%s/nginx.conf", p->dir)), *www = keep(p, str_printf("%s/www", p->dir)),
		   *h2 = keep(p, str_printf("%d", SERVER_H2_PORT)),
		   *redis = keep(p, str_printf("%d", SERVER_REDIS_PORT));
	const struct tool *t = eval_tool(tools, "nginx");

	if (t)
		add_program(p, SERVER_HTTP_PORT, SERVER_FILE_PORT,
			    (const char *const[]){ t->path, "-p", p->dir, "-c", conf, "-e", "stderr", NULL });
	t = eval_tool(tools, "nghttpd");
	if (t)
		add_program(p, SERVER_H2_PORT, 0,
			    (const char *const[]){ t->path, "--no-tls", "-n", "1", "-d", www, h2, NULL });
	t = eval_tool(tools, "redis-server");
	if (t)
		add_program(p, SERVER_REDIS_PORT, 0,
			    (const char *const[]){ t->path, "--port", redis, "--bind", "*", "-::*", "--protected-mode",
						   "no", "--save", "", "--appendonly", "no", "--dir", p->dir,
						   "--daemonize", "no", "--loglevel", "warning", NULL });
	t = eval_tool(tools, "iperf3");
	for (uint16_t i = 0; t && i < 2; i++)
		add_iperf3(p, t, (uint16_t)(SERVER_BULK_PORT + i));
	for (size_t i = 0; i < p->n_owned; i++)
		if (!p->owned[i])
			return -ENOMEM;
	return 0;
}

/* ---- the value that tells who serves ---- */

static int redis_talk(int fd, const struct place *p)
{
	const struct timeval wait = { .tv_sec = WAIT_S };
	const struct ip_addr lo = { AF_INET, { 127, 0, 0, 1 } };
	struct sockaddr_storage ss;
	socklen_t len = ip_addr_to_sockaddr(&lo, SERVER_REDIS_PORT, &ss);
	char req[256], reply[8] = "";
	int n = snprintf(req, sizeof(req), "*3\r\n$3\r\nSET\r\n$%zu\r\n" LOAD_REDIS_KEY "\r\n$%zu\r\n%s\n\r\n",
			 sizeof(LOAD_REDIS_KEY) - 1, strlen(p->name) + 1, p->name);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
	    connect(fd, (struct sockaddr *)&ss, len) < 0 || send(fd, req, (size_t)n, MSG_NOSIGNAL) != n ||
	    recv(fd, reply, 5, MSG_WAITALL) != 5)
		return -errno;
	return memcmp(reply, "+OK\r\n", 5) == 0 ? 0 : -EBADMSG;
}

static int set_redis(const struct place *p)
{
	CLEANUP_FD int fd = netns_socket(lab_pod_netns(p->lab, p->pod->ns, p->pod->name), AF_INET, SOCK_STREAM, 0);
	int r = fd < 0 ? fd : redis_talk(fd, p);

	return r < 0 ? err_set_errno(p->e, r, p->name, "redis-server does not take its first value") : 0;
}

/* ---- all ---- */

static int start_pod(struct lab *lab, const struct pod *pod, size_t i, const char *folder,
		     const struct eval_tools *tools, uint64_t file_size, struct err *e)
{
	CLEANUP(place_free)
	struct place p = { .lab = lab, .pod = pod, .page_size = EVAL_PAGE_SIZE(i), .file_size = file_size, .e = e };
	int r;

	(void)snprintf(p.name, sizeof(p.name), "%s/%s", pod->ns, pod->name);
	p.dir = str_printf("%s/%s", folder, pod->name);
	r = p.dir ? make_files(&p) : -ENOMEM;
	if (r == 0)
		r = add_programs(&p, tools);
	if (r == 0)
		r = lab_start_programs(lab, p.programs, p.n, e);
	if (r == 0 && eval_tool(tools, "redis-server"))
		r = set_redis(&p);
	return r;
}

int eval_servers_start(struct lab *lab, const struct snapshot *s, const struct eval_tools *tools, uint64_t file_size,
		       struct err *e)
{
	CLEANUP_FREE char *folder = NULL;
	int r = lab_folder(lab, &folder, e);

	for (size_t i = 0; i < EVAL_SERVER_NODES && r == 0; i++) {
		const struct pod *pod;
		char name[16];

		(void)snprintf(name, sizeof(name), "server-%zu", i + 1);
		pod = snapshot_pod(s, EVAL_NS, name);
		if (pod)
			r = start_pod(lab, pod, i, folder, tools, file_size, e);
	}
	return r;
}
