/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every BPF program of the tree, as built, is loaded by this kernel's verifier; how much it had to walk is reported. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

#define PROGRAMS_MIN 9 /* of target bpf-sock alone */
#define VERIFIED_MAX 200000 /* of the million that the kernel allows: far from its limit */

static const char *leaf_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* 0, or 1 when it is too much to walk. */
static int report(const char *path, const struct bpf_program *prog)
{
	struct bpf_prog_info info = {};
	uint32_t size = sizeof(info);
	int r = bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &size);

	if (r < 0) {
		printf("%s %s: %s\n", leaf_of(path), bpf_program__name(prog), strerror(-r));
		return 1;
	}
	printf("REPORT: %s %s: %zu instructions, %u walked by the verifier\n", leaf_of(path), bpf_program__name(prog),
	       bpf_program__insn_cnt(prog), info.verified_insns);
	return info.verified_insns > VERIFIED_MAX;
}

static int load(const char *path, size_t *n, bool *skipped)
{
	struct bpf_object *obj = bpf_object__open_file(path, NULL);
	struct bpf_program *prog;
	int r = obj ? bpf_object__load(obj) : -errno;
	int bad = 0;

	*skipped = r == -EPERM || r == -EACCES;
	if (r < 0)
		printf("%s%s: %s\n", *skipped ? "SKIP: " : "", path, strerror(-r));
	if (r == 0)
		bpf_object__for_each_program(prog, obj)
		{
			bad += report(path, prog);
			++*n;
		}
	bpf_object__close(obj);
	return r < 0 || bad;
}

int main(void)
{
	const char *build = getenv("OFFKUBE_BUILD_DIR");
	CLEANUP_FREE char *pattern = str_printf("%s/bpf/*/*.bpf.o", build ? build : ".");
	bool skipped = false;
	size_t n = 0;
	glob_t g = {};
	int bad = 0;

	if (!pattern || glob(pattern, 0, NULL, &g) != 0) {
		printf("no BPF object in the build folder (OFFKUBE_BUILD_DIR)\n");
		return 1;
	}
	for (size_t i = 0; i < g.gl_pathc && !skipped; i++)
		bad += load(g.gl_pathv[i], &n, &skipped);
	globfree(&g);
	if (skipped)
		return 77;
	return bad || n < PROGRAMS_MIN;
}
