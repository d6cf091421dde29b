/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lab's namespaces and the wire between them. Called by lab.c and clean.c.
 *
 * One bridge in the ToR namespace; nodes and clients hang on it, each by a veth that is its "eth0". Addresses are
 * single (/32, /128), and who is on the bridge has a route for everybody else on it, so that the nodes may have any
 * addresses that the manifests say.
 *
 *	node:	 default route to the ToR
 *	client:	 default route to the first node: it finds pods and Services there, as behind a router of the cluster
 *	ToR:	 the nodes' pod CIDRs by their nodes (else its errors would not find back to a pod), and no default
 *		 route. What nobody owns ends here with "unreachable"; nothing loops, nothing leaves the machine.
 *
 * Pods get empty namespaces; target/host wires them.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/stat.h>

#include "base/util.h"
#include "internal.h"
#include "net/netns.h"
#include "net/rtnl.h"
#include "net/sysctl.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/*
 * Where targets keep what belongs to one network namespace: <cookie>.<target>.json. Who ends a namespace for good
 * deletes it.
 */
#define NETNS_STATE_DIR "/run/offkube/netns"
#define CLIENTS_MAX 200
#define TOR_HOST 254

/* Ranges for those outside the cluster: the first that the snapshot does not use. */
static const char *const outside_ranges[][IP_FAMILY_MAX] = {
	{ "172.31.0.0/24", "fd00:172:31::/64" },
	{ "192.168.231.0/24", "fd00:192:231::/64" },
	{ "100.127.31.0/24", "fd00:100:127::/64" },
};

/* ---- sysctls of our own namespaces ---- */

struct setting {
	const char *name, *value;
};

/* All: addresses are usable at once; each refused datagram is answered, not one a second, since tests count answers. */
static const struct setting settings_all[] = {
	{ "net/ipv6/conf/all/accept_dad", "0" },     { "net/ipv6/conf/default/accept_dad", "0" },
	{ "net/ipv6/conf/default/accept_ra", "0" },  { "net/ipv4/icmp_ratelimit", "0" },
	{ "net/ipv4/icmp_msgs_per_sec", "1000000" }, { "net/ipv4/icmp_msgs_burst", "1000000" },
	{ "net/ipv6/icmp/ratelimit", "0" },
};

/* The ToR routes, and sends nobody away. Its bridge does not call netfilter. */
static const struct setting settings_tor[] = {
	{ "net/ipv4/ip_forward", "1" },
	{ "net/ipv6/conf/all/forwarding", "1" },
	{ "net/ipv4/conf/all/send_redirects", "0" },
	{ "net/ipv4/conf/default/send_redirects", "0" },
	{ "net/bridge/bridge-nf-call-iptables", "0" },
	{ "net/bridge/bridge-nf-call-ip6tables", "0" },
};

/* Clients keep the way that they were given. */
static const struct setting settings_client[] = {
	{ "net/ipv4/conf/all/accept_redirects", "0" },
	{ "net/ipv4/conf/default/accept_redirects", "0" },
	{ "net/ipv6/conf/default/accept_redirects", "0" },
};

/* What this kernel lacks is left out. */
static int set_all(int netns_fd, const struct setting *v, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		struct err inner = {};
		int r = sysctl_write(netns_fd, v[i].name, v[i].value, &inner);

		if (r < 0 && r != -ENOENT)
			return err_set_errno(e, r, v[i].name, "cannot set the sysctl to %s", v[i].value);
	}
	return 0;
}

/* ---- names ---- */

static void netns_tor(const struct lab *lab, char *buf, size_t size)
{
	(void)snprintf(buf, size, LAB_NETNS_PREFIX "%s.tor", lab->name);
}

void lab_netns_node(const struct lab *lab, const struct lab_node *n, char *buf, size_t size)
{
	int len = snprintf(buf, size, LAB_NETNS_PREFIX "%s.node.%s", lab->name, n->name);

	if (len < 0 ||
	    (size_t)len >= MIN(size, (size_t)NETNS_NAME_MAX)) /* too long a name: its beginning, and which it is */
		(void)snprintf(buf, size, LAB_NETNS_PREFIX "%s.node.%.20s~%u", lab->name, n->name, n->index);
}

void lab_netns_pod(const struct lab *lab, const struct lab_pod *p, char *buf, size_t size)
{
	(void)snprintf(buf, size, LAB_NETNS_PREFIX "%s.pod.%u", lab->name, p->slot);
}

void lab_netns_client(const struct lab *lab, size_t i, char *buf, size_t size)
{
	(void)snprintf(buf, size, LAB_NETNS_PREFIX "%s.client.%zu", lab->name, i);
}

/* ---- addresses outside the cluster ---- */

struct overlap {
	struct ip_prefix range[IP_FAMILY_MAX];
};

static bool hit_addr(const struct overlap *o, const struct ip_addr *a)
{
	return ip_addr_is_set(a) && ip_prefix_contains(&o->range[ip_addr_family(a)], a);
}

static int node_hits(const struct node *n, void *arg)
{
	const struct overlap *o = arg;

	for (int f = 0; f < IP_FAMILY_MAX; f++) {
		const struct ip_prefix *cidr = &n->pod_cidr[f];

		if (hit_addr(o, &n->addr[f]) || hit_addr(o, &cidr->addr))
			return 1;
		if (ip_addr_is_set(&cidr->addr) && ip_prefix_contains(cidr, &o->range[f].addr))
			return 1;
	}
	return 0;
}

static int pod_hits(const struct pod *p, void *arg)
{
	return hit_addr(arg, &p->addr[IP_V4]) || hit_addr(arg, &p->addr[IP_V6]);
}

static int service_hits(const struct service *s, void *arg)
{
	return hit_addr(arg, &s->cluster_ip[IP_V4]) || hit_addr(arg, &s->cluster_ip[IP_V6]);
}

static bool has_family(const struct lab *lab, enum ip_family f)
{
	for (size_t i = 0; i < lab->nodes.n; i++)
		if (ip_addr_is_set(&lab->nodes.v[i].addr[f]))
			return true;
	return false;
}

static int choose_range(struct lab *lab, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(outside_ranges); i++) {
		struct overlap o;

		for (int f = 0; f < IP_FAMILY_MAX; f++)
			if (ip_prefix_parse(outside_ranges[i][f], &o.range[f]) < 0)
				return -EINVAL;
		if (snapshot_each_node(lab->snapshot, node_hits, &o) ||
		    snapshot_each_pod(lab->snapshot, pod_hits, &o) ||
		    snapshot_each_service(lab->snapshot, service_hits, &o))
			continue;
		for (int f = 0; f < IP_FAMILY_MAX; f++)
			if (has_family(lab, f))
				lab->outside[f] = o.range[f];
		return 0;
	}
	return err_set(e, -EADDRINUSE, lab->name,
		       "every range for clients outside the cluster (%s ...) is used by the cluster",
		       outside_ranges[0][IP_V4]);
}

int lab_fabric_plan(struct lab *lab, struct err *e)
{
	int r = 0;

	if (lab->clients.n > CLIENTS_MAX)
		return err_set(e, -E2BIG, lab->name, "a lab has at most %d clients", CLIENTS_MAX);
	if (!ip_addr_is_set(&lab->outside[IP_V4].addr) && !ip_addr_is_set(&lab->outside[IP_V6].addr))
		r = choose_range(lab, e);
	for (size_t i = 0; !r && i < lab->clients.n; i++)
		for (int f = 0; !r && f < IP_FAMILY_MAX; f++)
			if (ip_addr_is_set(&lab->outside[f].addr))
				r = ip_prefix_nth(&lab->outside[f], i + 1, &lab->clients.v[i].addr[f]);
	return r;
}

/* ---- one namespace ---- */

static int make_netns(const char *name, int *ret_fd, struct err *e)
{
	int r = netns_create(name, e);

	if (!r)
		r = netns_open(name, ret_fd, e);
	return r ? r : set_all(*ret_fd, settings_all, ARRAY_LEN(settings_all), e);
}

int lab_fabric_pod(struct lab *lab, struct lab_pod *pod, struct err *e)
{
	char name[NETNS_NAME_MAX];

	if (pod->host_network)
		return 0;
	lab_netns_pod(lab, pod, name, sizeof(name));
	return make_netns(name, &pod->netns_fd, e);
}

/* ---- who hangs on the bridge ---- */

struct port {
	struct nl *tor; /* session in the ToR */
	struct nl *nl; /* session in the namespace */
	int ifindex; /* of its eth0 */
};

static struct ip_prefix single(const struct ip_addr *a)
{
	return (struct ip_prefix){ *a, (uint8_t)(8 * ip_addr_size(a)) };
}

static int add_route(struct nl *nl, int ifindex, const struct ip_prefix *dst, const struct ip_addr *via, struct err *e)
{
	struct rtnl_route r = { .dst = *dst, .ifindex = ifindex, .protocol = RTPROT_STATIC };

	if (via) {
		r.via = *via;
		r.onlink = true;
	}
	return rtnl_route_replace(nl, &r, e);
}

static int tor_addr(const struct lab *lab, enum ip_family f, struct ip_addr *ret)
{
	return ip_prefix_nth(&lab->outside[f], TOR_HOST, ret);
}

static int plug(struct port *p, int netns_fd, const char *tor_ifname, struct err *e)
{
	struct rtnl_link l;
	int r = nl_open(netns_fd, NETLINK_ROUTE, &p->nl, e);

	if (!r)
		r = rtnl_veth_add(p->tor, tor_ifname, NULL, LAB_UPLINK, NULL, netns_fd, 0, e);
	if (!r)
		r = rtnl_link_set_master(p->tor, tor_ifname, LAB_BRIDGE, e);
	if (!r)
		r = rtnl_link_up(p->tor, tor_ifname, e);
	if (!r)
		r = rtnl_link_up(p->nl, LAB_UPLINK, e);
	if (!r)
		r = rtnl_link_get(p->nl, LAB_UPLINK, &l, e);
	if (!r)
		p->ifindex = l.ifindex;
	return r;
}

/* Everybody on the bridge but `self`. */
static int add_neighbours(const struct lab *lab, const struct port *p, enum ip_family f, const struct lab_node *self,
			  struct err *e)
{
	int r = add_route(p->nl, p->ifindex, &lab->outside[f], NULL, e);

	for (size_t i = 0; !r && i < lab->nodes.n; i++) {
		const struct lab_node *n = &lab->nodes.v[i];
		struct ip_prefix dst = single(&n->addr[f]);

		if (n != self && ip_addr_is_set(&n->addr[f]))
			r = add_route(p->nl, p->ifindex, &dst, NULL, e);
	}
	return r;
}

static int address(const struct lab *lab, const struct port *p, enum ip_family f, const struct ip_addr *own,
		   const struct lab_node *self, const struct ip_addr *gateway, struct err *e)
{
	struct ip_prefix addr = single(own), everything = { .addr.fam = own->fam };
	int r = rtnl_addr_add(p->nl, LAB_UPLINK, &addr, e);

	if (!r)
		r = add_neighbours(lab, p, f, self, e);
	return r ? r : add_route(p->nl, p->ifindex, &everything, gateway, e);
}

static int node_up(struct lab *lab, struct nl *tor, struct lab_node *n, struct err *e)
{
	struct port p = { .tor = tor };
	char name[NETNS_NAME_MAX], ifname[16];
	int r;

	lab_netns_node(lab, n, name, sizeof(name));
	(void)snprintf(ifname, sizeof(ifname), "n%u", n->index);
	r = make_netns(name, &n->netns_fd, e);
	if (!r)
		r = plug(&p, n->netns_fd, ifname, e);
	for (int f = 0; !r && f < IP_FAMILY_MAX; f++) {
		struct ip_addr gateway;

		if (!ip_addr_is_set(&n->addr[f]))
			continue;
		r = tor_addr(lab, f, &gateway);
		if (!r)
			r = address(lab, &p, f, &n->addr[f], n, &gateway, e);
	}
	nl_close(p.nl);
	if (r < 0)
		err_prefix_path(e, name);
	return r;
}

static int client_up(struct lab *lab, struct nl *tor, size_t i, struct err *e)
{
	struct lab_client *c = &lab->clients.v[i];
	struct port p = { .tor = tor };
	char name[NETNS_NAME_MAX], ifname[16];
	int r;

	lab_netns_client(lab, i, name, sizeof(name));
	(void)snprintf(ifname, sizeof(ifname), "c%u", (unsigned int)i);
	r = make_netns(name, &c->netns_fd, e);
	if (!r)
		r = set_all(c->netns_fd, settings_client, ARRAY_LEN(settings_client), e);
	if (!r)
		r = plug(&p, c->netns_fd, ifname, e);
	for (int f = 0; !r && f < IP_FAMILY_MAX; f++)
		if (ip_addr_is_set(&c->addr[f]) && ip_addr_is_set(&lab->nodes.v[0].addr[f]))
			r = address(lab, &p, f, &c->addr[f], NULL, &lab->nodes.v[0].addr[f], e);
	nl_close(p.nl);
	if (r < 0)
		err_prefix_path(e, name);
	return r;
}

static int add_pod_cidrs(const struct lab *lab, const struct port *p, enum ip_family f, struct err *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < lab->nodes.n; i++) {
		const struct node *n = snapshot_node(lab->snapshot, lab->nodes.v[i].name);

		if (n && ip_addr_is_set(&n->pod_cidr[f].addr) && ip_addr_is_set(&n->addr[f]))
			r = add_route(p->nl, p->ifindex, &n->pod_cidr[f], &n->addr[f], e);
	}
	return r;
}

static int tor_up(struct lab *lab, struct nl *tor, struct err *e)
{
	struct port p = { .nl = tor };
	struct rtnl_link l;
	int r = rtnl_bridge_add(tor, LAB_BRIDGE, e);

	if (!r)
		r = rtnl_link_up(tor, LAB_BRIDGE, e);
	if (!r)
		r = rtnl_link_get(tor, LAB_BRIDGE, &l, e);
	p.ifindex = r ? 0 : l.ifindex;
	for (int f = 0; !r && f < IP_FAMILY_MAX; f++) {
		struct ip_prefix addr;

		if (!ip_addr_is_set(&lab->outside[f].addr))
			continue;
		r = tor_addr(lab, f, &addr.addr);
		addr.len = (uint8_t)(8 * ip_addr_size(&addr.addr));
		if (!r)
			r = rtnl_addr_add(tor, LAB_BRIDGE, &addr, e);
		if (!r)
			r = add_neighbours(lab, &p, f, NULL, e);
		if (!r)
			r = add_pod_cidrs(lab, &p, f, e);
	}
	return r;
}

int lab_fabric_up(struct lab *lab, struct err *e)
{
	char name[NETNS_NAME_MAX];
	CLEANUP_FD int fd = -1;
	struct nl *tor = NULL;
	int r;

	netns_tor(lab, name, sizeof(name));
	r = make_netns(name, &fd, e);
	if (!r)
		r = set_all(fd, settings_tor, ARRAY_LEN(settings_tor), e);
	if (!r)
		r = nl_open(fd, NETLINK_ROUTE, &tor, e);
	if (!r)
		r = tor_up(lab, tor, e);
	for (size_t i = 0; !r && i < lab->nodes.n; i++)
		r = node_up(lab, tor, &lab->nodes.v[i], e);
	for (size_t i = 0; !r && i < lab->clients.n; i++)
		r = client_up(lab, tor, i, e);
	nl_close(tor);
	return r;
}

/* ---- taking down ---- */

/* Which namespace a file stands for. A left-over name without its mount is of another device, and nobody's. */
struct ns_id {
	uint64_t dev, ino;
};

/* Ends whoever is in one of the namespaces (ids: struct ns_id -> anything), except us. */
static int end_inhabitants(const struct map *ids, struct err *e)
{
	DIR *dir = opendir("/proc");
	const struct dirent *d;
	int r = 0;

	if (!dir)
		return err_set_errno(e, -errno, "/proc", "cannot open");
	while ((d = readdir(dir))) {
		struct lab_proc p = { .pid = (pid_t)strtol(d->d_name, NULL, 10) };
		char path[300];
		struct ns_id id;
		struct stat st;
		int ri;

		if (p.pid <= 0 || p.pid == getpid())
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", p.pid);
		p.start = lab_proc_start(p.pid);
		if (stat(path, &st) < 0)
			continue;
		id = (struct ns_id){ st.st_dev, st.st_ino };
		if (!map_has(ids, &id, sizeof(id)))
			continue;
		ri = lab_proc_kill(&p, true, e);
		r = r ? r : ri;
	}
	(void)closedir(dir); /* only read */
	return r;
}

/* What targets recorded about the namespace. */
static void forget_state(const char *name)
{
	uint64_t cookie;
	socklen_t size = sizeof(cookie);
	CLEANUP_FD int ns = -1, fd = -1;
	char prefix[32], path[sizeof(NETNS_STATE_DIR) + 300];
	const struct dirent *d;
	DIR *dir;

	if (netns_open(name, &ns, NULL) < 0)
		return;
	fd = netns_socket(ns, AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) < 0)
		return;
	dir = opendir(NETNS_STATE_DIR);
	if (!dir)
		return;
	(void)snprintf(prefix, sizeof(prefix), "%" PRIu64 ".", cookie);
	while ((d = readdir(dir))) {
		if (strncmp(d->d_name, prefix, strlen(prefix)) != 0)
			continue;
		(void)snprintf(path, sizeof(path), NETNS_STATE_DIR "/%s", d->d_name);
		(void)unlink(path); /* of no use to anybody, and harmless */
	}
	(void)closedir(dir); /* only read */
}

static int collect_ids(char *const *names, size_t n, struct map *ids)
{
	int r = 0;

	for (size_t i = 0; !r && i < n; i++) {
		char path[sizeof(NETNS_DIR) + 300];
		struct stat st;

		(void)snprintf(path, sizeof(path), NETNS_DIR "/%s", names[i]);
		if (stat(path, &st) == 0) {
			const struct ns_id id = { st.st_dev, st.st_ino };

			r = map_put(ids, &id, sizeof(id), (void *)names[i], NULL);
		}
	}
	return r;
}

static int delete_all(char *const *names, size_t n, struct err *e)
{
	struct map *ids = NULL;
	int r = map_new(&ids);

	if (!r)
		r = collect_ids(names, n, ids);
	if (!r && n)
		r = end_inhabitants(ids, e);
	map_free(ids, NULL);
	for (size_t i = 0; i < n; i++) {
		int ri;

		forget_state(names[i]);
		ri = netns_delete(names[i], e);
		r = r ? r : ri;
	}
	return r;
}

int lab_fabric_delete(const char *prefix, bool exact, struct err *e)
{
	char **names = NULL;
	size_t n = 0, n_kept = 0;
	int r = netns_list(prefix, &names, &n);

	if (r < 0)
		return err_set_errno(e, r, NETNS_DIR, "cannot list");
	for (size_t i = 0; i < n; i++) {
		if (exact && strcmp(names[i], prefix) != 0)
			free(names[i]);
		else
			names[n_kept++] = names[i];
	}
	r = delete_all(names, n_kept, e);
	for (size_t i = 0; i < n_kept; i++)
		free(names[i]);
	free(names);
	return r;
}
