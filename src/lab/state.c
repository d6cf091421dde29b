/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state file of a lab and the handle that it describes; owners and their processes. Called by lab.c, clean.c
 * and servers.c.
 *
 * LAB_STATE_DIR/<lab>/state.json is written whole, under a temporary name, and renamed.
 */
#include <ctype.h>
#include <errno.h>
#include <ftw.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <dirent.h>

#include "base/doc.h"
#include "base/util.h"
#include "internal.h"

#define STATE_SIZE_MAX (64u << 20)
#define PATH_SIZE 512
#define KILL_DEADLINE_MS 10000
#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

static const char *const outside_key[IP_FAMILY_MAX] = { "outside4", "outside6" };

/* ---- the handle ---- */

int lab_name_check(const char *name, struct err *e)
{
	size_t len = name ? strlen(name) : 0;

	if (len == 0 || len > LAB_NAME_MAX || !islower((unsigned char)name[0]) ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != len)
		return err_set(e, -EINVAL, name, "the name of a lab is 1 to %d of a-z, 0-9 and -, first a letter",
			       LAB_NAME_MAX);
	return 0;
}

int lab_new(const char *name, struct lab **ret)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	if (!lab)
		return -ENOMEM;
	(void)snprintf(lab->name, sizeof(lab->name), "%s", name);
	if (map_new(&lab->by_key) < 0) {
		free(lab);
		return -ENOMEM;
	}
	*ret = lab;
	return 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd); /* only a handle */
}

void lab_pod_free(struct lab_pod *pod)
{
	if (!pod)
		return;
	close_fd(pod->netns_fd);
	vec_free(&pod->want);
	free(pod->key);
	free(pod->node);
	free(pod);
}

static void server_free(struct lab_server *s)
{
	free(s->pod);
	vec_free(&s->ports);
}

void lab_free(struct lab *lab)
{
	if (!lab)
		return;
	for (size_t i = 0; i < lab->nodes.n; i++) {
		close_fd(lab->nodes.v[i].netns_fd);
		close_fd(lab->nodes.v[i].cgroup_fd);
		free(lab->nodes.v[i].name);
	}
	for (size_t i = 0; i < lab->clients.n; i++)
		close_fd(lab->clients.v[i].netns_fd);
	for (size_t i = 0; i < lab->pods.n; i++)
		lab_pod_free(lab->pods.v[i]);
	for (size_t i = 0; i < lab->servers.n; i++)
		server_free(&lab->servers.v[i]);
	for (size_t i = 0; i < lab->programs.n; i++)
		lab_running_free(&lab->programs.v[i]);
	for (size_t i = 0; i < lab->notes.n; i++) {
		free(lab->notes.v[i].key);
		free(lab->notes.v[i].value);
	}
	vec_free(&lab->nodes);
	vec_free(&lab->clients);
	vec_free(&lab->pods);
	vec_free(&lab->servers);
	vec_free(&lab->programs);
	free(lab->bare_ns);
	vec_free(&lab->notes);
	map_free(lab->by_key, NULL);
	snapshot_unref(lab->snapshot);
	free(lab->cgroup);
	free(lab);
}

struct lab_node *lab_find_node(const struct lab *lab, const char *name)
{
	for (size_t i = 0; name && i < lab->nodes.n; i++)
		if (strcmp(lab->nodes.v[i].name, name) == 0)
			return &lab->nodes.v[i];
	return NULL;
}

struct lab_pod *lab_find_pod(const struct lab *lab, const char *ns, const char *name)
{
	char key[2 * OBJ_NAME_MAX + 2];

	(void)snprintf(key, sizeof(key), "%s/%s", ns, name);
	return map_get_str(lab->by_key, key);
}

int lab_add_pod(struct lab *lab, struct lab_pod *pod)
{
	int r = vec_push(&lab->pods, pod);

	if (r < 0) {
		lab_pod_free(pod);
		return r;
	}
	return map_put_str(lab->by_key, pod->key, pod, NULL);
}

/* ---- lock ---- */

void lab_state_dir(const char *name, char *buf, size_t size)
{
	(void)snprintf(buf, size, LAB_STATE_DIR "/%s", name);
}

static int lock_dir(const char *path, struct err *e)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_set_errno(e, -errno, path, "cannot open");
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_set_errno(e, -errno, path, "cannot lock");
	return TAKE_FD(fd);
}

int lab_lock(struct err *e)
{
	int r = mkdir_all(LAB_STATE_DIR, 0755);

	if (r < 0)
		return err_set_errno(e, r, LAB_STATE_DIR, "cannot make the folder for the labs' state");
	return lock_dir(LAB_STATE_DIR, e);
}

int lab_hold(const char *name, struct err *e)
{
	CLEANUP_FD int fd = -1;
	char path[PATH_SIZE];
	struct err why = {};
	struct stat st;
	int r = lab_name_check(name, e);

	if (r < 0)
		return r;
	lab_state_dir(name, path, sizeof(path));
	fd = lock_dir(path, &why);
	if (fd == -ENOENT || (fd >= 0 && fstat(fd, &st) == 0 && st.st_nlink == 0)) /* taken down while we waited */
		return err_set(e, -ENOENT, name, "there is no such lab");
	return fd < 0 ? err_set(e, fd, why.path, "%s", why.text) : TAKE_FD(fd);
}

/* ---- writing ---- */

static void json_str(struct strbuf *sb, const char *s)
{
	strbuf_add_char(sb, '"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			strbuf_addf(sb, "\\%c", c);
		else if (c < 0x20)
			strbuf_addf(sb, "\\u%04x", c);
		else
			strbuf_add_char(sb, (char)c);
	}
	strbuf_add_char(sb, '"');
}

static void json_member(struct strbuf *sb, const char *key, const char *value)
{
	strbuf_addf(sb, "\"%s\":", key);
	json_str(sb, value);
}

static int boot_id(char **ret)
{
	size_t size;
	int r = read_file(BOOT_ID_PATH, 128, ret, &size);

	if (!r)
		(*ret)[strcspn(*ret, "\n")] = '\0';
	return r;
}

static void write_nodes(struct strbuf *sb, const struct lab *lab)
{
	strbuf_add(sb, ",\n\"nodes\":[");
	for (size_t i = 0; i < lab->nodes.n; i++) {
		strbuf_add(sb, i ? "," : "");
		json_str(sb, lab->nodes.v[i].name);
	}
	strbuf_add(sb, "],\n\"pods\":[");
	for (size_t i = 0; i < lab->pods.n; i++) {
		const struct lab_pod *p = lab->pods.v[i];

		strbuf_add(sb, i ? ",\n{" : "\n{");
		json_member(sb, "pod", p->key);
		strbuf_add_char(sb, ',');
		json_member(sb, "node", p->node);
		strbuf_addf(sb, ",\"slot\":%u,\"hostNetwork\":%s}", p->slot, p->host_network ? "true" : "false");
	}
	strbuf_add_char(sb, ']');
}

static void write_servers(struct strbuf *sb, const struct lab *lab)
{
	strbuf_add(sb, ",\n\"servers\":[");
	for (size_t i = 0; i < lab->servers.n; i++) {
		const struct lab_server *s = &lab->servers.v[i];

		strbuf_addf(sb, "%s{\"pid\":%d,\"start\":%" PRIu64 ",", i ? ",\n" : "\n", s->proc.pid, s->proc.start);
		json_member(sb, "pod", s->pod);
		strbuf_add(sb, ",\"ports\":[");
		for (size_t k = 0; k < s->ports.n; k++)
			strbuf_addf(sb, "%s%u", k ? "," : "", s->ports.v[k].proto << 16 | s->ports.v[k].port);
		strbuf_add(sb, "]}");
	}
	strbuf_add_char(sb, ']');
}

static void write_notes(struct strbuf *sb, const struct lab *lab)
{
	strbuf_add(sb, ",\n\"notes\":[");
	for (size_t i = 0; i < lab->notes.n; i++) {
		strbuf_add(sb, i ? ",{" : "{");
		json_member(sb, "key", lab->notes.v[i].key);
		strbuf_add_char(sb, ',');
		json_member(sb, "value", lab->notes.v[i].value);
		strbuf_add_char(sb, '}');
	}
	strbuf_add(sb, "]}\n");
}

int lab_state_write(const struct lab *lab, struct err *e)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	CLEANUP_FREE char *boot = NULL;
	char path[PATH_SIZE], prefix[IP_PREFIX_STR_MAX];
	int r = boot_id(&boot);

	if (r < 0)
		return err_set_errno(e, r, BOOT_ID_PATH, "cannot read");
	strbuf_addf(&sb,
		    "{\"name\":\"%s\",\"boot\":\"%s\",\"keep\":%s,\"owner\":%d,\"ownerStart\":%" PRIu64
		    ",\n\"clients\":%zu,\"serverCpus\":\"%" PRIx64 "\"",
		    lab->name, boot, lab->keep ? "true" : "false", lab->owner.pid, lab->owner.start, lab->clients.n,
		    lab->server_cpus);
	if (lab->cgroup) {
		strbuf_add_char(&sb, ',');
		json_member(&sb, "cgroup", lab->cgroup);
	}
	for (int f = 0; f < IP_FAMILY_MAX; f++)
		if (ip_addr_is_set(&lab->outside[f].addr))
			strbuf_addf(&sb, ",\"%s\":\"%s\"", outside_key[f], ip_prefix_format(&lab->outside[f], prefix));
	write_nodes(&sb, lab);
	write_servers(&sb, lab);
	write_notes(&sb, lab);
	if (sb.failed)
		return -ENOMEM;
	lab_state_dir(lab->name, path, sizeof(path));
	r = mkdir_all(path, 0755);
	(void)snprintf(path, sizeof(path), LAB_STATE_DIR "/%s/state.json", lab->name);
	if (!r)
		r = write_file_atomic(path, sb.buf, sb.len);
	return r < 0 ? err_set_errno(e, r, path, "cannot write the lab's state") : 0;
}

/* ---- reading ---- */

static int read_node(struct lab *lab, const struct doc_node *d, struct err *e)
{
	struct lab_node n = { .index = (uint32_t)lab->nodes.n, .netns_fd = -1, .cgroup_fd = -1 };
	int r;

	if (d->type != DOC_SCALAR)
		return doc_err(d, "nodes", e, "is no name");
	n.name = strdup(d->scalar);
	r = n.name ? vec_push(&lab->nodes, n) : -ENOMEM;
	if (r < 0)
		free(n.name);
	return r;
}

static int read_pod(struct lab *lab, const struct doc_node *d, struct err *e)
{
	const char *key = "", *node = "";
	struct lab_pod *p;
	int64_t slot = 0;
	bool host = false;
	int r = doc_get_str(d, "pod", "pods.pod", &key, e);

	if (r >= 0)
		r = doc_get_str(d, "node", "pods.node", &node, e);
	if (r >= 0)
		r = doc_get_int(d, "slot", "pods.slot", 0, UINT32_MAX, &slot, e);
	if (r >= 0)
		r = doc_get_bool(d, "hostNetwork", "pods.hostNetwork", &host, e);
	if (r < 0)
		return r;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	*p = (struct lab_pod){
		.key = strdup(key), .node = strdup(node), .slot = (uint32_t)slot, .host_network = host, .netns_fd = -1
	};
	if (!p->key || !p->node) {
		lab_pod_free(p);
		return -ENOMEM;
	}
	return lab_add_pod(lab, p);
}

static int read_ports(struct lab_server *s, const struct doc_node *d)
{
	for (size_t i = 0; d && i < d->n; i++) {
		unsigned long v = d->child[i]->scalar ? strtoul(d->child[i]->scalar, NULL, 10) : 0;
		int r = vec_push(&s->ports, (struct responder_port){ (uint8_t)(v >> 16), (uint16_t)v });

		if (r < 0)
			return r;
	}
	return 0;
}

static int read_server(struct lab *lab, const struct doc_node *d, struct err *e)
{
	struct lab_server s = {};
	const char *pod = "";
	int64_t pid = 0, start = 0;
	int r = doc_get_int(d, "pid", "servers.pid", 1, INT32_MAX, &pid, e);

	if (r >= 0)
		r = doc_get_int(d, "start", "servers.start", 0, INT64_MAX, &start, e);
	if (r >= 0)
		r = doc_get_str(d, "pod", "servers.pod", &pod, e);
	if (r >= 0)
		r = read_ports(&s, doc_get(d, "ports"));
	s.proc = (struct lab_proc){ (pid_t)pid, (uint64_t)start };
	s.pod = strdup(pod);
	if (r >= 0)
		r = s.pod ? vec_push(&lab->servers, s) : -ENOMEM;
	if (r < 0)
		server_free(&s);
	return r;
}

static int read_note(struct lab *lab, const struct doc_node *d, struct err *e)
{
	const char *key = "", *value = "";
	struct lab_note n;
	int r = doc_get_str(d, "key", "notes.key", &key, e);

	if (r >= 0)
		r = doc_get_str(d, "value", "notes.value", &value, e);
	if (r < 0)
		return r;
	n = (struct lab_note){ strdup(key), strdup(value) };
	r = n.key && n.value ? vec_push(&lab->notes, n) : -ENOMEM;
	if (r < 0) {
		free(n.key);
		free(n.value);
	}
	return r;
}

static int read_list(struct lab *lab, const struct doc_node *root, const char *key,
		     int (*fn)(struct lab *lab, const struct doc_node *d, struct err *e), struct err *e)
{
	const struct doc_node *list = NULL;
	int r = doc_get_seq(root, key, key, &list, e);

	for (size_t i = 0; r >= 0 && list && i < list->n; i++)
		r = fn(lab, list->child[i], e);
	return r < 0 ? r : 0;
}

static int read_head(struct lab *lab, const struct doc_node *root, struct err *e)
{
	const char *boot = "", *cgroup = NULL, *cpus = "0";
	int64_t owner = 0, start = 0, n_clients = 0;
	CLEANUP_FREE char *now = NULL;
	int r = boot_id(&now);

	if (r >= 0)
		r = doc_get_str(root, "boot", "boot", &boot, e);
	if (r >= 0)
		r = doc_get_bool(root, "keep", "keep", &lab->keep, e);
	if (r >= 0)
		r = doc_get_int(root, "owner", "owner", 0, INT32_MAX, &owner, e);
	if (r >= 0)
		r = doc_get_int(root, "ownerStart", "ownerStart", 0, INT64_MAX, &start, e);
	if (r >= 0)
		r = doc_get_int(root, "clients", "clients", 0, UINT16_MAX, &n_clients, e);
	if (r >= 0)
		r = doc_get_str(root, "serverCpus", "serverCpus", &cpus, e);
	if (r >= 0)
		r = doc_get_str(root, "cgroup", "cgroup", &cgroup, e);
	if (r < 0)
		return r;
	lab->owner = (struct lab_proc){ (pid_t)owner, (uint64_t)start };
	lab->server_cpus = strtoull(cpus, NULL, 16);
	lab->stale_boot = strcmp(boot, now) != 0;
	if (cgroup) {
		lab->cgroup = strdup(cgroup);
		if (!lab->cgroup)
			return -ENOMEM;
	}
	for (int f = 0; f < IP_FAMILY_MAX; f++) {
		const char *prefix = NULL;

		r = doc_get_str(root, outside_key[f], outside_key[f], &prefix, e);
		if (r < 0 || (prefix && ip_prefix_parse(prefix, &lab->outside[f]) < 0))
			return -EINVAL;
	}
	for (int64_t i = 0; i < n_clients; i++)
		if (vec_push(&lab->clients, (struct lab_client){ .netns_fd = -1 }) < 0)
			return -ENOMEM;
	return 0;
}

static int parse_state(struct lab *lab, const struct doc_node *root, struct err *e)
{
	int r = read_head(lab, root, e);

	if (!r)
		r = read_list(lab, root, "nodes", read_node, e);
	if (!r)
		r = read_list(lab, root, "pods", read_pod, e);
	if (!r)
		r = read_list(lab, root, "servers", read_server, e);
	return r ? r : read_list(lab, root, "notes", read_note, e);
}

int lab_state_read(const char *name, struct lab **ret, struct err *e)
{
	CLEANUP(lab_freep) struct lab *lab = NULL;
	CLEANUP_FREE char *buf = NULL;
	struct doc_reader *reader = NULL;
	struct doc *doc = NULL;
	char path[PATH_SIZE];
	size_t size;
	int r = lab_name_check(name, e);

	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), LAB_STATE_DIR "/%s/state.json", name);
	r = read_file(path, STATE_SIZE_MAX, &buf, &size);
	if (r == -ENOENT)
		return err_set(e, r, name, "there is no such lab");
	if (r < 0)
		return err_set_errno(e, r, path, "cannot read the lab's state");
	r = lab_new(name, &lab);
	if (!r)
		r = doc_reader_new(path, buf, size, &reader);
	if (!r)
		r = doc_reader_next(reader, &doc, e);
	r = r > 0 ? parse_state(lab, doc_root(doc), e) : r ? r : -EINVAL;
	if (doc)
		doc_free(doc);
	doc_reader_free(reader);
	if (r < 0)
		return err_set(e, r, path, "the lab's state cannot be understood");
	*ret = TAKE_PTR(lab);
	return 0;
}

/* Also the temporary name of a write that was killed, and the files of programs. */
static int delete_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path) < 0 && errno != ENOENT ? -errno : 0;
}

int lab_state_delete(const char *name, struct err *e)
{
	char path[PATH_SIZE];
	int r;

	lab_state_dir(name, path, sizeof(path));
	r = nftw(path, delete_one, 16, FTW_DEPTH | FTW_PHYS);
	if (r == -1)
		r = errno == ENOENT ? 0 : -errno;
	return r < 0 ? err_set_errno(e, r, path, "cannot delete") : 0;
}

/* ---- processes ---- */

uint64_t lab_proc_start(pid_t pid)
{
	CLEANUP_FREE char *buf = NULL;
	unsigned long long start = 0;
	char path[64];
	size_t size;
	const char *at;
	char state;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (read_file(path, 4096, &buf, &size) < 0)
		return 0;
	at = strrchr(buf, ')'); /* the name may hold anything */
	if (!at || sscanf(at + 1, " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
			  &state, &start) != 2)
		return 0;
	return state == 'Z' || state == 'X' ? 0 : start; /* ended, only not waited for */
}

struct lab_proc lab_proc_self(void)
{
	return (struct lab_proc){ getpid(), lab_proc_start(getpid()) };
}

bool lab_proc_alive(const struct lab_proc *p)
{
	return p->pid > 0 && p->start && lab_proc_start(p->pid) == p->start;
}

int lab_proc_kill(const struct lab_proc *p, bool wait, struct err *e)
{
	CLEANUP_FD int fd = p->pid > 0 ? (int)syscall(SYS_pidfd_open, p->pid, 0) : -1;
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	char pid[32];
	int n;

	(void)snprintf(pid, sizeof(pid), "process %d", p->pid);
	if (fd < 0)
		return p->pid <= 0 || errno == ESRCH ? 0 : err_set_errno(e, -errno, pid, "pidfd_open");
	/* Checked with the pidfd in hand: from here on the pid cannot become another process. */
	if (!lab_proc_alive(p)) {
		(void)waitpid(p->pid, NULL, WNOHANG); /* if it was ours and has ended */
		return 0;
	}
	if (syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		return err_set_errno(e, -errno, pid, "cannot be ended");
	if (!wait)
		return 0;
	do {
		n = poll(&pfd, 1, KILL_DEADLINE_MS);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return err_set(e, -ETIMEDOUT, pid, "does not end");
	(void)waitpid(p->pid, NULL, WNOHANG); /* fails when it is not our child */
	return 0;
}
