/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The laboratory's public verbs: up, open, update, down, and what callers ask of a handle. Called by measure/,
 * trace/ and app/.
 */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "base/util.h"
#include "clean.h"
#include "net/cgroup.h"
#include "net/netns.h"

/* ---- building the handle from a snapshot ---- */

static int add_node(struct lab *lab, const struct node *n)
{
	struct lab_node ln = {
		.name = strdup(n->name), .index = (uint32_t)lab->nodes.n, .netns_fd = -1, .cgroup_fd = -1
	};
	int r = ln.name ? 0 : -ENOMEM;

	memcpy(ln.addr, n->addr, sizeof(ln.addr));
	if (!r)
		r = vec_push(&lab->nodes, ln);
	if (r < 0)
		free(ln.name);
	return r;
}

static uint32_t free_slot(const struct lab *lab)
{
	uint32_t slot = 0;

	for (size_t i = 0; i < lab->pods.n; i++)
		slot = MAX(slot, lab->pods.v[i]->slot + 1);
	return slot;
}

/* Pods that have no node, or one that the lab has not, do not run. */
static bool runs(const struct lab *lab, const struct pod *p)
{
	return lab_find_node(lab, p->node) != NULL;
}

static int add_pod(struct lab *lab, const struct pod *p, uint32_t slot, struct lab_pod **ret)
{
	struct lab_pod *lp = calloc(1, sizeof(*lp));
	int r;

	if (!lp)
		return -ENOMEM;
	*lp = (struct lab_pod){ .slot = slot, .host_network = p->host_network, .netns_fd = -1 };
	lp->key = str_printf("%s/%s", p->ns, p->name);
	lp->node = strdup(p->node);
	if (!lp->key || !lp->node) {
		lab_pod_free(lp);
		return -ENOMEM;
	}
	r = lab_add_pod(lab, lp);
	if (!r && ret)
		*ret = lp;
	return r;
}

static int fill(struct lab *lab, const struct lab_conf *conf, struct err *e)
{
	CLEANUP_FREE const struct node **nodes = NULL;
	CLEANUP_FREE const struct pod **pods = NULL;
	CLEANUP_FREE char *root = NULL;
	size_t n_nodes = 0, n_pods = 0;
	int r = snapshot_sorted_nodes(conf->snapshot, &nodes, &n_nodes);

	if (!r)
		r = snapshot_sorted_pods(conf->snapshot, &pods, &n_pods);
	if (!r && !n_nodes)
		return err_set(e, -EINVAL, conf->name, "the model has no nodes");
	for (size_t i = 0; !r && i < n_nodes; i++)
		r = add_node(lab, nodes[i]);
	for (size_t i = 0; !r && i < n_pods; i++)
		if (runs(lab, pods[i]))
			r = add_pod(lab, pods[i], (uint32_t)i, NULL);
	for (uint32_t i = 0; !r && i < conf->n_clients; i++)
		r = vec_push(&lab->clients, (struct lab_client){ .netns_fd = -1 });
	if (r < 0)
		return r;
	lab->snapshot = snapshot_ref(conf->snapshot);
	lab->keep = conf->keep;
	lab->server_cpus = conf->server_cpus;
	lab->stop = conf->stop;
	lab->bare_ns = conf->bare_ns ? strdup(conf->bare_ns) : NULL;
	if (conf->bare_ns && !lab->bare_ns)
		return -ENOMEM;
	lab->owner = lab_proc_self();
	r = cgroup2_mount(&root);
	if (r == 0)
		lab->cgroup = str_printf("%s/" LAB_CGROUP_PREFIX "%s", root, lab->name);
	if (r == 0 && !lab->cgroup)
		return -ENOMEM;
	return lab_fabric_plan(lab, e);
}

/* A namespace costs an fd for as long as the lab is open. */
static void raise_files(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &l); /* a large lab fails then, and says so */
	}
}

/* ---- up ---- */

/* The name becomes ours: what is dead of it goes, and the state file says what we are about to make. */
static int claim(struct lab *lab, struct err *e)
{
	CLEANUP(lab_freep) struct lab *old = NULL;
	CLEANUP_FD int lock = lab_lock(e);
	int r;

	if (lock < 0)
		return lock;
	if (lab_state_read(lab->name, &old, NULL) == 0 && lab_is_alive(old))
		return old->owner.pid ?
			       err_set(e, -EEXIST, lab->name, "a lab of this name belongs to process %d, which lives",
				       old->owner.pid) :
			       err_set(e, -EEXIST, lab->name, "a lab of this name is up; offkube lab down removes it");
	r = lab_clean_locked(lab->name, e);
	if (r >= 0)
		r = lab_state_write(lab, e);
	lab->claimed = !r;
	return r;
}

static int build(struct lab *lab, struct err *e)
{
	int r = lab_cgroup_make(lab, e);

	if (!r)
		r = lab_fabric_up(lab, e);
	for (size_t i = 0; !r && i < lab->pods.n; i++)
		r = lab_stopped(lab) ? err_set(e, -EINTR, lab->name, "interrupted") :
				       lab_fabric_pod(lab, lab->pods.v[i], e);
	return r;
}

int lab_up(const struct lab_conf *conf, struct lab **ret, struct err *e)
{
	CLEANUP(lab_freep) struct lab *lab = NULL;
	int r = lab_name_check(conf->name, e);

	if (!r)
		r = lab_new(conf->name, &lab);
	if (!r)
		r = fill(lab, conf, e);
	if (r < 0)
		return r;
	raise_files();
	r = claim(lab, e);
	if (!r)
		r = build(lab, e);
	if (r < 0 && lab->claimed)
		(void)lab_down(TAKE_PTR(lab), NULL); /* the first failure is the one to tell */
	if (r < 0)
		return r;
	*ret = TAKE_PTR(lab);
	return 0;
}

/* ---- open ---- */

static int open_node(struct lab *lab, struct lab_node *n, struct err *e)
{
	const struct node *model = snapshot_node(lab->snapshot, n->name);
	char name[NETNS_NAME_MAX];

	if (!model)
		return err_set(e, -ESTALE, n->name, "the lab has this node, the manifests have not");
	memcpy(n->addr, model->addr, sizeof(n->addr));
	lab_netns_node(lab, n, name, sizeof(name));
	return netns_open(name, &n->netns_fd, e);
}

static int open_all(struct lab *lab, struct err *e)
{
	char name[NETNS_NAME_MAX];
	int r = 0;

	for (size_t i = 0; !r && i < lab->nodes.n; i++)
		r = open_node(lab, &lab->nodes.v[i], e);
	if (!r)
		r = lab_cgroup_make(lab, e); /* they are there: only opened */
	for (size_t i = 0; !r && i < lab->pods.n; i++) {
		struct lab_pod *p = lab->pods.v[i];

		lab_netns_pod(lab, p, name, sizeof(name));
		r = p->host_network ? 0 : netns_open(name, &p->netns_fd, NULL);
		if (r == -ENOENT)
			r = 0; /* an update was killed; the next lab_update makes it */
		else if (r < 0)
			(void)err_set_errno(e, r, name, "cannot be opened");
	}
	for (size_t i = 0; !r && i < lab->clients.n; i++) {
		lab_netns_client(lab, i, name, sizeof(name));
		r = netns_open(name, &lab->clients.v[i].netns_fd, e);
	}
	return r ? r : lab_fabric_plan(lab, e);
}

int lab_open(const char *name, const struct snapshot *s, struct lab **ret, struct err *e)
{
	CLEANUP(lab_freep) struct lab *lab = NULL;
	int r = lab_state_read(name, &lab, e);

	if (r < 0)
		return r;
	if (!lab->keep || !lab_is_alive(lab))
		return err_set(e, -ENOENT, name,
			       lab->keep ? "the lab is dead; offkube lab down removes what is left" :
					   "the lab belongs to a process and cannot be opened by another");
	raise_files();
	lab->snapshot = snapshot_ref(s);
	r = open_all(lab, e);
	if (r < 0)
		return r;
	lab->serving = lab->servers.n > 0;
	*ret = TAKE_PTR(lab);
	return 0;
}

/* ---- down ---- */

static void close_fds(struct lab *lab)
{
	for (size_t i = 0; i < lab->nodes.n; i++) {
		cleanup_fd(&lab->nodes.v[i].netns_fd);
		cleanup_fd(&lab->nodes.v[i].cgroup_fd);
		lab->nodes.v[i].netns_fd = lab->nodes.v[i].cgroup_fd = -1;
	}
	for (size_t i = 0; i < lab->pods.n; i++) {
		cleanup_fd(&lab->pods.v[i]->netns_fd);
		lab->pods.v[i]->netns_fd = -1;
	}
	for (size_t i = 0; i < lab->clients.n; i++) {
		cleanup_fd(&lab->clients.v[i].netns_fd);
		lab->clients.v[i].netns_fd = -1;
	}
}

int lab_down(struct lab *lab, struct err *e)
{
	CLEANUP_FD int lock = lab_lock(e);
	int r;

	if (lock < 0) {
		lab_free(lab);
		return lock;
	}
	close_fds(lab); /* they would keep the namespaces alive */
	r = lab_destroy(lab->name, lab, e);
	lab_free(lab);
	return r;
}

/* ---- servers and changes ---- */

int lab_start_servers(struct lab *lab, struct err *e)
{
	int r = lab_servers_start(lab, e);

	if (r < 0)
		return r;
	lab->serving = true;
	if (lab->keep && lab->owner.pid) {
		lab->owner = (struct lab_proc){};
		r = lab_state_write(lab, e); /* from here on it needs nobody */
	}
	return r;
}

int lab_kill_servers(struct lab *lab, const char *ns, const char *pod, struct err *e)
{
	const struct lab_pod *p = lab_find_pod(lab, ns, pod);
	size_t n = lab->servers.n;
	int r = p ? lab_servers_stop(lab, p->key, e) : 0;

	if (r < 0)
		return r;
	return lab->servers.n < n ? lab_state_write(lab, e) : err_set(e, -ENOENT, pod, "the pod has no server");
}

static bool pod_stays(const struct lab *lab, const struct lab_pod *lp, const struct snapshot *s)
{
	const char *slash = strchr(lp->key, '/');
	CLEANUP_FREE char *ns = strndup(lp->key, (size_t)(slash - lp->key));
	const struct pod *p = ns ? snapshot_pod(s, ns, slash + 1) : NULL;

	return p && runs(lab, p) && p->host_network == lp->host_network && strcmp(p->node, lp->node) == 0;
}

static int remove_pod(struct lab *lab, struct lab_pod *lp, struct err *e)
{
	char name[NETNS_NAME_MAX];
	int r = lab_servers_stop(lab, lp->key, e);
	int r2 = 0;

	cleanup_fd(&lp->netns_fd);
	lp->netns_fd = -1;
	lab_netns_pod(lab, lp, name, sizeof(name));
	if (!lp->host_network)
		r2 = lab_fabric_delete(name, true, e);
	return r ? r : r2;
}

static int remove_pods(struct lab *lab, const struct snapshot *s, struct err *e)
{
	size_t n_kept = 0;
	int r = 0;

	for (size_t i = 0; i < lab->pods.n; i++) {
		struct lab_pod *lp = lab->pods.v[i];

		if (r || pod_stays(lab, lp, s)) {
			lab->pods.v[n_kept++] = lp;
			continue;
		}
		r = remove_pod(lab, lp, e);
		(void)map_del(lab->by_key, lp->key, map_str_size(lp->key)); /* lp itself, freed next */
		lab_pod_free(lp);
	}
	lab->pods.n = n_kept;
	return r;
}

/* Its namespace. What a killed update left under this name is nobody's. */
static int make_pod(struct lab *lab, struct lab_pod *p, struct err *e)
{
	char name[NETNS_NAME_MAX];
	int r = 0;

	lab_netns_pod(lab, p, name, sizeof(name));
	if (!p->host_network)
		r = lab_fabric_delete(name, true, e);
	return r ? r : lab_fabric_pod(lab, p, e);
}

static int add_pods(struct lab *lab, const struct snapshot *s, struct err *e)
{
	CLEANUP_FREE const struct pod **pods = NULL;
	uint32_t slot = free_slot(lab);
	size_t n = 0;
	int r = snapshot_sorted_pods(s, &pods, &n);

	for (size_t i = 0; !r && i < n; i++)
		if (runs(lab, pods[i]) && !lab_find_pod(lab, pods[i]->ns, pods[i]->name))
			r = add_pod(lab, pods[i], slot++, NULL);
	for (size_t i = 0; !r && i < lab->pods.n; i++)
		if (lab->pods.v[i]->netns_fd < 0)
			r = make_pod(lab, lab->pods.v[i], e);
	return r;
}

static int same_nodes(const struct lab *lab, const struct snapshot *s, struct err *e)
{
	bool same = snapshot_n_nodes(s) == lab->nodes.n;

	for (size_t i = 0; same && i < lab->nodes.n; i++) {
		const struct node *n = snapshot_node(s, lab->nodes.v[i].name);

		const struct node *old = snapshot_node(lab->snapshot, lab->nodes.v[i].name);

		same = n && old && memcmp(n->addr, old->addr, sizeof(n->addr)) == 0 &&
		       memcmp(n->pod_cidr, old->pod_cidr, sizeof(n->pod_cidr)) == 0;
	}
	return same ? 0 : err_set(e, -EINVAL, lab->name, "the nodes of a lab cannot change while it is up");
}

int lab_update(struct lab *lab, const struct snapshot *s, struct err *e)
{
	int r = same_nodes(lab, s, e);
	int r2;

	if (r < 0)
		return r;
	r = remove_pods(lab, s, e);
	if (!r)
		r = add_pods(lab, s, e);
	if (!r) {
		snapshot_unref(lab->snapshot);
		lab->snapshot = snapshot_ref(s);
	}
	r2 = lab_state_write(lab, e);
	if (!r && !r2 && lab->serving)
		r = lab_servers_start(lab, e);
	return r ? r : r2;
}

/* ---- questions ---- */

int lab_node_netns(const struct lab *lab, const char *node)
{
	const struct lab_node *n = lab_find_node(lab, node);

	return n ? n->netns_fd : -1;
}

int lab_node_cgroup(const struct lab *lab, const char *node)
{
	const struct lab_node *n = lab_find_node(lab, node);

	return n ? n->cgroup_fd : -1;
}

const struct snapshot *lab_snapshot(const struct lab *lab)
{
	return lab->snapshot;
}

int lab_pod_netns(const struct lab *lab, const char *ns, const char *pod)
{
	const struct lab_pod *p = lab_find_pod(lab, ns, pod);

	if (!p)
		return -1;
	return p->host_network ? lab_node_netns(lab, p->node) : p->netns_fd;
}

int lab_client_netns(const struct lab *lab, uint32_t i)
{
	return i < lab->clients.n ? lab->clients.v[i].netns_fd : -1;
}

const struct ip_addr *lab_client_addr(const struct lab *lab, uint32_t i, enum ip_family fam)
{
	return i < lab->clients.n && ip_addr_is_set(&lab->clients.v[i].addr[fam]) ? &lab->clients.v[i].addr[fam] : NULL;
}

size_t lab_n_servers(const struct lab *lab)
{
	return lab->servers.n;
}

const char *lab_name(const struct lab *lab)
{
	return lab->name;
}

/* ---- notes ---- */

int lab_set_note(struct lab *lab, const char *key, const char *value, struct err *e)
{
	struct lab_note n = { strdup(key), strdup(value) };
	int r = n.key && n.value ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < lab->notes.n; i++)
		if (strcmp(lab->notes.v[i].key, key) == 0) {
			free(lab->notes.v[i].value);
			lab->notes.v[i].value = n.value;
			free(n.key);
			return lab_state_write(lab, e);
		}
	if (!r)
		r = vec_push(&lab->notes, n);
	if (r < 0) {
		free(n.key);
		free(n.value);
		return r;
	}
	return lab_state_write(lab, e);
}

int lab_get_note(const char *name, const char *key, char **ret_value, struct err *e)
{
	CLEANUP(lab_freep) struct lab *lab = NULL;
	int r = lab_state_read(name, &lab, e);

	for (size_t i = 0; !r && i < lab->notes.n; i++)
		if (strcmp(lab->notes.v[i].key, key) == 0) {
			*ret_value = strdup(lab->notes.v[i].value);
			return *ret_value ? 0 : -ENOMEM;
		}
	return r ? r : err_set(e, -ENOENT, name, "the lab has no note \"%s\"", key);
}
