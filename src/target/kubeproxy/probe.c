/* SPDX-License-Identifier: GPL-2.0-or-later */
/* probe(): is there a kube-proxy to run, may we, and can the kernel? Leaves nothing. */
#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "kubeproxy.h"
#include "net/netns.h"

#define PROGRAM_VARIABLE "OFFKUBE_KUBE_PROXY"
#define FOLDERS_UP 5 /* build/debug/tests/packet/x and build/release/bin/x find build/peers */

/* 0, -ENOENT, -EACCES. */
static int is_program(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) && access(path, X_OK) == 0 ? 0 : -EACCES;
}

static char *beside_executable(void)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return NULL;
	self[n] = '\0';
	for (int i = 0; i < FOLDERS_UP; i++) {
		char *slash = strrchr(self, '/'), *path;

		if (!slash)
			return NULL;
		*slash = '\0';
		path = str_printf("%s/peers/kube-proxy", self);
		if (path && is_program(path) == 0)
			return path;
		free(path);
	}
	return NULL;
}

/* NULL when no folder of $PATH has it. */
static char *in_path(const char *name)
{
	const char *at = getenv("PATH");

	while (at && *at) {
		size_t len = strcspn(at, ":");
		char *path = len ? str_printf("%.*s/%s", (int)len, at, name) : NULL;

		if (path && is_program(path) == 0)
			return path;
		free(path);
		at += len + (at[len] == ':');
	}
	return NULL;
}

int kp_find_program(char **ret, struct err *e)
{
	const char *given = getenv(PROGRAM_VARIABLE);
	int r;

	if (given && *given) {
		r = is_program(given);
		if (r == -EACCES)
			return err_set(e, r, given, "this is no program that can be executed");
		if (r < 0)
			return err_set_errno(e, r, given, "there is no kube-proxy");
		*ret = strdup(given);
		return *ret ? 0 : -ENOMEM;
	}
	*ret = beside_executable();
	if (!*ret)
		*ret = in_path("kube-proxy");
	return *ret ? 0 :
		      err_set(e, -ENOENT, "kube-proxy",
			      "not found: give --kube-proxy PATH, or build it (tests/peers/build.sh)");
}

static void unusable(struct target_probe *p, enum refusal why, const char *detail, const char *path)
{
	*p = (struct target_probe){ .why = why };
	(void)snprintf(p->detail, sizeof(p->detail), "%s%s%s", path, path[0] ? ": " : "", detail);
}

/* kube-proxy starts the program of that name. */
static bool has_nft_program(void)
{
	static const char *const folders[] = { "/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
					       "/usr/bin",	  "/sbin",	    "/bin" };

	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "%s/nft", folders[i]);
		if (is_program(path) == 0)
			return true;
	}
	return false;
}

static int try_kernel(struct err *e)
{
	CLEANUP_FD int ns = -1;
	struct nl *nl = NULL;
	int r = netns_create_anonymous(&ns, e);

	if (r == 0)
		r = nl_open(ns, NETLINK_NETFILTER, &nl, e);
	if (r == 0)
		r = kp_table_exists(nl, IP_V4, KP_TABLE, e);
	nl_close(nl);
	return r < 0 ? r : 0;
}

int kp_probe(const struct target_env *env, struct target_probe *ret, struct err *e)
{
	struct target_probe p = { .usable = true };
	CLEANUP_FREE char *program = NULL;
	struct err inner = {};
	int r = try_kernel(&inner);

	(void)env;
	if (r == -ENOMEM)
		return err_set(e, r, NULL, "out of memory");
	if (r == -EPERM || r == -EACCES)
		unusable(&p, REFUSAL_NO_PRIVILEGE,
			 "network namespaces and nf_tables need CAP_SYS_ADMIN and CAP_NET_ADMIN", "");
	else if (r < 0)
		unusable(&p, REFUSAL_KERNEL_FEATURE, inner.text, inner.path);
	else if (kp_find_program(&program, &inner) < 0)
		unusable(&p, REFUSAL_NO_PROGRAM, inner.text, inner.path);
	else if (!has_nft_program())
		unusable(&p, REFUSAL_NO_PROGRAM, "kube-proxy needs it (Debian: nftables)", "nft");
	*ret = p;
	return 0;
}
