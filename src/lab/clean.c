/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Taking labs down, and finding what dead ones left. Called by lab.c and by the command line through lab.h. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/util.h"
#include "clean.h"
#include "net/cgroup.h"
#include "net/netns.h"

int lab_destroy(const char *name, struct lab *lab, struct err *e)
{
	CLEANUP_FREE char *root = NULL;
	char prefix[sizeof(LAB_NETNS_PREFIX) + LAB_NAME_MAX + 2];
	int first = lab ? lab_servers_stop(lab, NULL, e) : 0;
	int r2 = lab ? lab_programs_stop(lab, first ? NULL : e) : 0;
	int r = 0;

	first = first ? first : r2;
	if (cgroup2_mount(&root) == 0) {
		char path[1024];

		(void)snprintf(path, sizeof(path), "%s/" LAB_CGROUP_PREFIX "%s", root, name);
		r = lab_cgroup_delete(path, e);
		first = first ? first : r;
	}
	(void)snprintf(prefix, sizeof(prefix), LAB_NETNS_PREFIX "%s.", name);
	r = lab_fabric_delete(prefix, false, e);
	first = first ? first : r;
	if (!first)
		first = lab_state_delete(name, e); /* last: as long as something is left, it is known */
	return first;
}

bool lab_is_alive(const struct lab *lab)
{
	if (lab->stale_boot)
		return false;
	return lab->owner.pid ? lab_proc_alive(&lab->owner) : lab->keep;
}

/* ---- which labs there are ---- */

struct names {
	VEC(char *) v;
};

static void names_free(struct names *ns)
{
	for (size_t i = 0; i < ns->v.n; i++)
		free(ns->v.v[i]);
	vec_free(&ns->v);
}

static int add_name(struct names *ns, const char *name, size_t len)
{
	char *copy;
	int r;

	for (size_t i = 0; i < ns->v.n; i++)
		if (strlen(ns->v.v[i]) == len && strncmp(ns->v.v[i], name, len) == 0)
			return 0;
	copy = strndup(name, len);
	if (!copy || lab_name_check(copy, NULL) < 0) {
		free(copy); /* not a lab's: it stays */
		return 0;
	}
	r = vec_push(&ns->v, copy);
	if (r < 0)
		free(copy);
	return r;
}

static int add_from_state(struct names *ns)
{
	DIR *dir = opendir(LAB_STATE_DIR);
	const struct dirent *d;
	int r = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (!r && (d = readdir(dir)))
		r = add_name(ns, d->d_name, strlen(d->d_name));
	(void)closedir(dir); /* only read */
	return r;
}

static int add_from_netns(struct names *ns)
{
	char **list = NULL;
	size_t n = 0;
	int r = netns_list(LAB_NETNS_PREFIX, &list, &n);

	for (size_t i = 0; i < n; i++) {
		const char *name = list[i] + strlen(LAB_NETNS_PREFIX);

		if (!r)
			r = add_name(ns, name, strcspn(name, "."));
		free(list[i]);
	}
	free(list);
	return r;
}

static int add_from_cgroup(struct names *ns)
{
	CLEANUP_FREE char *root = NULL;
	char **list = NULL;
	size_t n = 0;
	int r = cgroup2_mount(&root);

	if (r == -ENOENT)
		return 0;
	if (!r)
		r = lab_cgroup_list(root, &list, &n);
	for (size_t i = 0; i < n; i++) {
		if (!r)
			r = add_name(ns, list[i], strlen(list[i]));
		free(list[i]);
	}
	free(list);
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* ---- lab_list, lab_clean ---- */

static int tell_status(const char *name, int (*fn)(const struct lab_status *s, void *arg), void *arg)
{
	CLEANUP(lab_freep) struct lab *lab = NULL;
	struct lab_status s = {};

	(void)snprintf(s.name, sizeof(s.name), "%s", name);
	if (lab_state_read(name, &lab, NULL) == 0) {
		s.alive = lab_is_alive(lab);
		s.owner = lab->owner.pid;
		s.n_nodes = lab->nodes.n;
		s.n_pods = lab->pods.n;
		for (size_t i = 0; i < lab->servers.n; i++)
			s.n_servers += lab_proc_alive(&lab->servers.v[i].proc);
		for (size_t i = 0; i < lab->notes.n; i++)
			if (strcmp(lab->notes.v[i].key, "strategy") == 0)
				(void)snprintf(s.strategy, sizeof(s.strategy), "%s", lab->notes.v[i].value);
	}
	return fn(&s, arg);
}

int lab_list(int (*fn)(const struct lab_status *s, void *arg), void *arg, struct err *e)
{
	CLEANUP(names_free) struct names ns = {};
	int r = add_from_state(&ns);

	if (r < 0)
		return err_set_errno(e, r, LAB_STATE_DIR, "cannot list the labs");
	if (ns.v.n)
		qsort(ns.v.v, ns.v.n, sizeof(*ns.v.v), by_name);
	for (size_t i = 0; !r && i < ns.v.n; i++)
		r = tell_status(ns.v.v[i], fn, arg);
	return r;
}

/*
 * A trace at the sockets names its cgroup as a lab does ("trace-PID", "trace-PID-N"), so that a dead one's is found; it has no state file that says who
 * lives.
 */
static bool is_live_trace(const char *name)
{
	int pid, number, end = 0, end2 = 0;
	int n = sscanf(name, "trace-%d%n-%d%n", &pid, &end, &number, &end2);

	return n >= 1 && name[n == 2 ? end2 : end] == '\0' && pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

/* Under the lock. 1 = it was there and is gone, 0 = there was none, or it lives and `spare`. */
static int clean_one(const char *name, bool spare, struct err *e)
{
	CLEANUP(lab_freep) struct lab *lab = NULL;
	CLEANUP_FD int hold =
		lab_hold(name, NULL); /* an apply that is under way ends first; none: nothing is known of the lab */
	int r = lab_state_read(name, &lab, NULL);

	if (r < 0 && is_live_trace(name))
		return spare ? 0 : err_set(e, -EBUSY, name, "the trace of this process is under way");
	if (r == 0 && lab->owner.pid && lab->owner.pid != getpid() && lab_is_alive(lab))
		return spare ? 0 :
			       err_set(e, -EBUSY, name, "the lab belongs to process %d, which lives", lab->owner.pid);
	if (r == 0 && spare && lab_is_alive(lab))
		return 0; /* kept, or ours */
	/* No state file, or one that cannot be read: whoever writes it holds the lock, so it is a dead one's. */
	if (lab && lab->stale_boot)
		lab->servers.n = 0; /* their pids mean nothing now; n of strings is small change at reboot */
	r = lab_destroy(name, lab, e);
	return r < 0 ? r : 1;
}

int lab_clean_locked(const char *name, struct err *e)
{
	return clean_one(name, false, e);
}

static int list_all(struct names *ns)
{
	int r = add_from_state(ns);

	if (!r)
		r = add_from_netns(ns);
	return r ? r : add_from_cgroup(ns);
}

int lab_clean(const char *name, size_t *ret_n, struct err *e)
{
	CLEANUP(names_free) struct names ns = {};
	CLEANUP_FD int lock = -1;
	size_t n = 0;
	int r = name ? lab_name_check(name, e) : 0;
	int first = 0;

	if (r < 0)
		return r;
	lock = lab_lock(e);
	if (lock < 0)
		return lock;
	r = list_all(&ns);
	if (r < 0)
		return err_set_errno(e, r, name, "cannot list what labs left");
	for (size_t i = 0; i < ns.v.n; i++) {
		if (name && strcmp(ns.v.v[i], name) != 0)
			continue;
		r = clean_one(ns.v.v[i], !name, e);
		n += r > 0;
		if (r < 0 && !first)
			first = r;
	}
	if (ret_n)
		*ret_n = n;
	return first;
}
