/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sysctls that pod wiring needs: one table; each is checked, the node's originals are recorded before the first
 * change and put back by remove. Called by host.c (node, uplink) and wire.c (our veths, whose values vanish with
 * them).
 *
 * Order matters, twice: writing ip_forward or all/forwarding drags other values along (conf/all/accept_redirects,
 * every interface's forwarding), so those stand before them, and restoring goes backwards. And accept_ra of the
 * uplink stands before IPv6 forwarding, which would purge a default route learned from router advertisements.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>

#include "base/doc.h"
#include "base/log.h"
#include "base/str.h"
#include "base/util.h"
#include "host.h"
#include "net/netns.h"
#include "net/sysctl.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define VALUE_MAX 64
#define NAME_MAX_SIZE 128
#define STATE_SIZE_MAX (64u << 10)
#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

const struct host_sysctl host_sysctls[] = {
	{ HOST_SYSCTL_UPLINK, "net/ipv6/conf/%s/accept_ra", "2", "1",
	  "a forwarding host ignores router advertisements unless this is 2" },
	{ HOST_SYSCTL_NODE, "net/ipv4/conf/all/accept_redirects", "0", NULL, "a router takes no redirects" },
	{ HOST_SYSCTL_NODE, "net/ipv4/conf/default/forwarding", "1", NULL, "new interfaces forward" },
	{ HOST_SYSCTL_UPLINK, "net/ipv4/conf/%s/forwarding", "1", NULL, "packets for pods come in here" },
	{ HOST_SYSCTL_NODE, "net/ipv4/ip_forward", "1", NULL, "the node routes between its pods and the other nodes" },
	{ HOST_SYSCTL_NODE, "net/ipv6/conf/default/forwarding", "1", NULL, "new interfaces forward" },
	{ HOST_SYSCTL_UPLINK, "net/ipv6/conf/%s/forwarding", "1", NULL, "packets for pods come in here" },
	{ HOST_SYSCTL_NODE, "net/ipv6/conf/all/forwarding", "1", NULL,
	  "the node routes between its pods and the other nodes" },
	{ HOST_SYSCTL_NODE, "net/ipv4/conf/all/send_redirects", "0", NULL,
	  "hairpin packets leave by the interface that they came in by; a redirect would lead around the Service" },
	{ HOST_SYSCTL_UPLINK, "net/ipv4/conf/%s/send_redirects", "0", NULL,
	  "as all/send_redirects: one of the two being 1 is enough to send" },
	{ HOST_SYSCTL_VETH, "net/ipv4/conf/%s/send_redirects", "0", NULL, "as all/send_redirects" },
	{ HOST_SYSCTL_VETH, "net/ipv4/conf/%s/rp_filter", "1", NULL,
	  "a pod cannot send from an address that is not its own" },
	{ HOST_SYSCTL_VETH, "net/ipv6/conf/%s/addr_gen_mode", "1", NULL,
	  "without a link-local address the node sends no IPv6 redirects to pods and no duplicate address detection" },
	{ HOST_SYSCTL_VETH, "net/ipv6/conf/%s/accept_ra", "0", NULL, "a pod cannot give its node a route" },
	{ HOST_SYSCTL_POD, "net/ipv6/conf/%s/accept_ra", "0", NULL, "nobody advertises to pods; no solicitations" },
};
const size_t host_n_sysctls = ARRAY_LEN(host_sysctls);

/* ---- the state file ---- */

struct record {
	char name[NAME_MAX_SIZE], was[VALUE_MAX], set[VALUE_MAX];
};

struct records {
	VEC(struct record) v;
};

static void records_free(struct records *rs)
{
	vec_free(&rs->v);
}

int host_netns_cookie(int netns_fd, uint64_t *ret)
{
	socklen_t size = sizeof(*ret);
	CLEANUP_FD int fd = netns_socket(netns_fd, AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		return fd;
	return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, ret, &size) < 0 ? -errno : 0;
}

static void state_path(const struct host *h, char *buf, size_t size)
{
	(void)snprintf(buf, size, "%s/%" PRIu64 ".host.json", HOST_STATE_DIR, h->cookie);
}

static int boot_id(char **ret)
{
	size_t size;
	int r = read_file(BOOT_ID_PATH, 128, ret, &size);

	if (!r)
		(*ret)[strcspn(*ret, "\n")] = '\0';
	return r;
}

/* Names and values of sysctls hold no quotes. */
static int state_write(const struct host *h, const struct records *rs)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	CLEANUP_FREE char *boot = NULL;
	char path[NAME_MAX_SIZE];
	int r = boot_id(&boot);

	if (r < 0)
		return r;
	strbuf_addf(&sb, "{\"boot\":\"%s\",\"node\":\"%s\",\"sysctls\":[", boot, h->node);
	for (size_t i = 0; i < rs->v.n; i++)
		strbuf_addf(&sb, "%s\n{\"name\":\"%s\",\"was\":\"%s\",\"set\":\"%s\"}", i ? "," : "", rs->v.v[i].name,
			    rs->v.v[i].was, rs->v.v[i].set);
	strbuf_add(&sb, "]}\n");
	if (sb.failed)
		return -ENOMEM;
	r = mkdir_all(HOST_STATE_DIR, 0755);
	state_path(h, path, sizeof(path));
	return r < 0 ? r : write_file_atomic(path, sb.buf, sb.len);
}

static int state_parse(const struct doc_node *root, struct records *rs)
{
	const struct doc_node *list = doc_get(root, "sysctls");
	CLEANUP_FREE char *boot = NULL;
	const char *was_boot = "";
	int r = boot_id(&boot);

	if (r < 0 || doc_get_str(root, "boot", "boot", &was_boot, NULL) < 0 || !list || list->type != DOC_SEQ)
		return r < 0 ? r : -EINVAL;
	if (strcmp(boot, was_boot) != 0)
		return 0; /* of a kernel that is gone */
	for (size_t i = 0; i < list->n; i++) {
		const char *name = "", *was = "", *set = "";
		struct record rec = {};

		if (doc_get_str(list->child[i], "name", "name", &name, NULL) < 0 ||
		    doc_get_str(list->child[i], "was", "was", &was, NULL) < 0 ||
		    doc_get_str(list->child[i], "set", "set", &set, NULL) < 0)
			return -EINVAL;
		(void)snprintf(rec.name, sizeof(rec.name), "%s", name);
		(void)snprintf(rec.was, sizeof(rec.was), "%s", was);
		(void)snprintf(rec.set, sizeof(rec.set), "%s", set);
		/* Outsiders cannot write the file, but it must never lead us out of /proc/sys/net. */
		if (strncmp(rec.name, "net/", 4) != 0 || strstr(rec.name, ".."))
			return -EINVAL;
		r = vec_push(&rs->v, rec);
		if (r < 0)
			return r;
	}
	return 0;
}

/* No file: nothing recorded. */
static int state_read(const struct host *h, struct records *rs, struct err *e)
{
	CLEANUP_FREE char *buf = NULL;
	struct doc_reader *reader = NULL;
	struct doc *doc = NULL;
	char path[NAME_MAX_SIZE];
	size_t size;
	int r;

	state_path(h, path, sizeof(path));
	r = read_file(path, STATE_SIZE_MAX, &buf, &size);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_set_errno(e, r, path, "cannot read the recorded sysctls");
	r = doc_reader_new(path, buf, size, &reader);
	if (!r)
		r = doc_reader_next(reader, &doc, e);
	r = r > 0 ? state_parse(doc_root(doc), rs) : r ? r : -EINVAL;
	if (doc)
		doc_free(doc);
	doc_reader_free(reader);
	return r < 0 ? err_set_errno(e, r, path, "the recorded sysctls cannot be understood") : 0;
}

static struct record *find_record(struct records *rs, const char *name)
{
	for (size_t i = 0; i < rs->v.n; i++)
		if (strcmp(rs->v.v[i].name, name) == 0)
			return &rs->v.v[i];
	return NULL;
}

/* ---- apply and verify ---- */

static bool value_differs(const struct host_sysctl *s, const char *value)
{
	return s->only_if ? strcmp(value, s->only_if) == 0 : strcmp(value, s->wanted) != 0;
}

static void sysctl_name(const struct host_sysctl *s, const char *ifname, char buf[static NAME_MAX_SIZE])
{
	const char *at = strstr(s->name, "%s");

	if (at)
		(void)snprintf(buf, NAME_MAX_SIZE, "%.*s%s%s", (int)(at - s->name), s->name, ifname, at + 2);
	else
		(void)snprintf(buf, NAME_MAX_SIZE, "%s", s->name);
}

/* 1 = differs, value in buf; 0 = as wanted, or not there (a kernel without IPv6: nothing to forward). */
static int sysctl_check(int netns_fd, const struct host_sysctl *s, const char *name, char value[static VALUE_MAX],
			struct err *e)
{
	struct err inner = {};
	int r = sysctl_read(netns_fd, name, value, VALUE_MAX, &inner);

	if (r == -ENOENT && strncmp(s->name, "net/ipv6/", 9) == 0)
		return 0;
	if (r < 0)
		return err_set_errno(e, r, name, "cannot read the sysctl");
	return value_differs(s, value);
}

/* Originals of all, before anything is changed: a write may drag others along. */
static int record_originals(struct host_run *run, struct err *e)
{
	CLEANUP(records_free) struct records rs = {};
	bool fresh = false;
	int r = state_read(run->h, &rs, e);

	for (size_t i = 0; !r && i < host_n_sysctls; i++) {
		const struct host_sysctl *s = &host_sysctls[i];
		struct record rec = {};

		if (s->scope != HOST_SYSCTL_NODE && !(s->scope == HOST_SYSCTL_UPLINK && run->uplink[0]))
			continue;
		sysctl_name(s, run->uplink, rec.name);
		if (find_record(&rs, rec.name) ||
		    sysctl_read(run->h->env.netns_fd, rec.name, rec.was, sizeof(rec.was), NULL) < 0)
			continue; /* recorded before; or not there: nothing to restore */
		(void)snprintf(rec.set, sizeof(rec.set), "%s", s->wanted);
		r = vec_push(&rs.v, rec);
		fresh = true;
	}
	if (!r && fresh) {
		r = state_write(run->h, &rs);
		if (r < 0)
			(void)err_set_errno(e, r, HOST_STATE_DIR, "cannot record the sysctls before changing them");
	}
	return r;
}

int host_sysctl_node(struct host_run *run)
{
	bool recorded = false;

	for (size_t i = 0; i < host_n_sysctls; i++) {
		const struct host_sysctl *s = &host_sysctls[i];
		char name[NAME_MAX_SIZE], value[VALUE_MAX] = "";
		int r;

		if (s->scope != HOST_SYSCTL_NODE && !(s->scope == HOST_SYSCTL_UPLINK && run->uplink[0]))
			continue;
		sysctl_name(s, run->uplink, name);
		r = sysctl_check(run->h->env.netns_fd, s, name, value, run->e);
		if (r > 0)
			r = host_differs(run, name, "the sysctl is not as wanted");
		else if (!r) {
			run->stats->n_kept++;
			continue;
		}
		if (!r && !recorded) {
			r = record_originals(run, run->e);
			recorded = true;
		}
		if (!r)
			r = sysctl_write(run->h->env.netns_fd, name, s->wanted, run->e);
		if (r < 0)
			return r;
		run->stats->n_added++;
		log_debug("event=sysctl node=%s name=%s was=%s now=%s", run->h->node, name, value, s->wanted);
	}
	return 0;
}

int host_sysctl_link(struct host_run *run, enum host_sysctl_scope scope, int netns_fd, const char *ifname)
{
	for (size_t i = 0; i < host_n_sysctls; i++) {
		const struct host_sysctl *s = &host_sysctls[i];
		char name[NAME_MAX_SIZE], value[VALUE_MAX];
		int r;

		if (s->scope != scope)
			continue;
		sysctl_name(s, ifname, name);
		r = sysctl_check(netns_fd, s, name, value, run->e);
		if (!r)
			continue;
		if (r > 0)
			r = host_differs(run, name, "the sysctl is not as wanted");
		if (!r)
			r = sysctl_write(netns_fd, name, s->wanted, run->e);
		if (r < 0)
			return r;
		run->stats->n_added++;
	}
	return 0;
}

/* ---- remove and dump ---- */

int host_sysctl_restore(struct host *h, struct err *e)
{
	CLEANUP(records_free) struct records rs = {};
	char path[NAME_MAX_SIZE], value[VALUE_MAX];
	int r = state_read(h, &rs, e);
	int first = r;

	/*
	 * Decide first: what is no longer as we set it belongs to somebody else, unless an early write of the loop
	 * below changes it.
	 */
	for (size_t i = 0; i < rs.v.n; i++) {
		struct record *rec = &rs.v.v[i];

		if (sysctl_read(h->env.netns_fd, rec->name, value, sizeof(value), NULL) < 0 ||
		    strcmp(value, rec->set) != 0)
			rec->name[0] = '\0';
	}
	for (size_t i = rs.v.n; i-- > 0;) {
		const struct record *rec = &rs.v.v[i];

		if (!rec->name[0] || sysctl_read(h->env.netns_fd, rec->name, value, sizeof(value), NULL) < 0 ||
		    strcmp(value, rec->was) == 0)
			continue;
		r = sysctl_write(h->env.netns_fd, rec->name, rec->was, e);
		if (r < 0 && !first)
			first = r;
	}
	state_path(h, path, sizeof(path));
	if (!first && unlink(path) < 0 && errno != ENOENT)
		first = err_set_errno(e, -errno, path, "cannot delete the recorded sysctls");
	return first;
}

int host_sysctl_dump(struct host *h, FILE *f)
{
	CLEANUP(records_free) struct records rs = {};
	int r = state_read(h, &rs, NULL);

	for (size_t i = 0; i < rs.v.n; i++) {
		char value[VALUE_MAX] = "?";

		(void)sysctl_read(h->env.netns_fd, rs.v.v[i].name, value, sizeof(value), NULL); /* "?" says it */
		fprintf(f, "sysctl %s = %s (was %s)\n", rs.v.v[i].name, value, rs.v.v[i].was);
	}
	return r;
}
